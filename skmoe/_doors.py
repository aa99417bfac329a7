"""The doors to the leaves, folders that the core neither imports when loaded nor needs to fit.

Each function below has the only import of its leaf in the core; ``tests/test_house.py`` holds the
core to that, and fits mixtures without the leaves.
"""


def not_in_onnx(mixture, training):
    """What cannot be converted to ONNX of a mixture to be fitted, a list; nothing of None."""
    if mixture is None:
        return []
    try:
        from .onnx._parser import refusals
    except ImportError:
        return []
    return refusals(mixture, training)
