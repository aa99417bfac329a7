"""Versions to put into a bug report."""

import importlib.metadata

import sklearn

from ._compat import n_openmp_threads

OPTIONAL = ("polars", "pyarrow", "dask", "lightgbm", "xgboost", "catboost")  # others' experts, rows


def show_versions():
    """Print the versions of skmoe, of Python and of what they depend on, for bug reports.

    Below those of skmoe stands what ``sklearn.show_versions`` prints.

    Examples
    --------
    >>> from skmoe import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    skmoe: ...
    """
    from . import __version__

    print(f"\nskmoe: {__version__}, its kernels on {n_openmp_threads()} threads")
    print("\nWhat some use beside it:")
    for name in OPTIONAL:
        print(f"{name:>13}: {_version(name)}")
    sklearn.show_versions()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
