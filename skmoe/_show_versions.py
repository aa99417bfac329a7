"""Versions to put into a bug report."""

import importlib.metadata

import sklearn

from ._compat import n_openmp_threads

OPTIONAL = ("polars", "pyarrow", "dask", "lightgbm", "xgboost", "catboost")  # others' experts, rows


def show_versions():
    """Print the versions of skmoe, of Python and of what they depend on, for bug reports.

    Below those of skmoe stands what :func:`sklearn.show_versions` prints.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.
    """
    print(f"\nskmoe: {_version('skmoe')}, {n_openmp_threads(None)} threads in its kernels")
    for name in OPTIONAL:
        print(f"{name:>13}: {_version(name)}")
    sklearn.show_versions()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
