"""The doors to the leaves, folders that the core neither imports when loaded nor needs to fit.

Each function below has the only import of its leaf in the core; ``tests/test_house.py`` holds the
core to that, and fits mixtures without the leaves.
"""


def rows():
    """What fits mixtures, and answers, where rows are not in memory."""
    try:
        from .rows import _methods
    except ImportError as error:
        raise ImportError(
            "Rows that are not in memory need skmoe.rows, which is not there."
        ) from error
    return _methods
