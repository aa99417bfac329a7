"""The doors to the leaves, folders that the core neither imports when loaded nor needs to fit.

The core imports leaves here alone; ``tests/test_house.py`` holds it to that, and fits mixtures
without the leaves.
"""

import sys
from functools import partial
from importlib import import_module

LEAVES = "_effects", "_ready", "_updates", "inference", "rows"


def leaf(name, what=None):
    """A leaf by its name; where it is not there, None, or an ImportError that ``what`` needs it.

    Whatever else fails when a leaf is imported is raised as it is.
    """
    try:
        return import_module(f"{__package__}.{name}")
    except ModuleNotFoundError as error:
        if error.name not in [f"{__package__}.{each}" for each in LEAVES]:
            raise
        if what is None:
            return None
        raise ImportError(f"{what} needs {error.name}, which is not installed.") from error


updates, ready, effects = (partial(leaf, name) for name in ("_updates", "_ready", "_effects"))
inference = partial(leaf, "inference")
rows = partial(leaf, "rows", "What is done with rows that are not in memory")


def error_terms(what="terms"):
    """Log-densities of experts with their derivatives, which standard errors are made of."""
    return inference(what)._error_terms


def served(module, **doors):
    """``__getattr__`` and ``__dir__`` of a module that has these names of leaves."""

    def found(name):
        if name in doors:
            return getattr(doors[name](name), name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return found, lambda: sorted({*vars(sys.modules[module]), *doors})
