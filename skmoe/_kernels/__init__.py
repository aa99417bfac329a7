"""Compiled kernels; the tests hold each against its NumPy reference."""

from importlib.util import find_spec

if find_spec(f"{__name__}._systems") is None:
    raise ImportError(
        f"The kernels of skmoe are not compiled in {__path__[0]}, the sources of a clone. Run `pip "
        "install -e .` in the clone, or Python from another folder."
    )
