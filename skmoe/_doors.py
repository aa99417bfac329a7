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


def updates(what=None):
    """``_updates``; where it is not there, None, or an ImportError that ``what`` needs it."""
    try:
        from . import _updates
    except ImportError as error:
        if what is None:
            return None
        raise ImportError(f"{what} needs skmoe._updates, which is not installed.") from error
    return _updates


def begin_stream(*trained):
    """What ``partial_fit`` goes on from; None where there is none."""
    leaf = updates()
    return None if leaf is None else leaf.Stream.begin(*trained)


def inference(what):
    """``inference``, or an ImportError that ``what`` needs it."""
    try:
        from . import inference
    except ImportError as error:
        raise ImportError(f"{what} needs skmoe.inference, which is not installed.") from error
    return inference


def error_terms(what="terms"):
    """Log-densities of experts with their derivatives, which standard errors are made of."""
    return inference(what)._error_terms


def rows():
    """What fits mixtures, and answers, where rows are not in memory."""
    try:
        from .rows import _methods
    except ImportError as error:
        raise ImportError(
            "Rows that are not in memory need skmoe.rows, which is not there."
        ) from error
    return _methods


def ready(what=None):
    """``_ready``; where it is not there, None, or an ImportError that ``what`` is of it."""
    try:
        from . import _ready
    except ImportError as error:
        if what is None:
            return None
        raise ImportError(f"{what} needs skmoe._ready, which is not installed.") from error
    return _ready


def effects(what):
    """``_effects``; where it is not there, an ImportError that ``what`` is of it."""
    try:
        from . import _effects
    except ImportError as error:
        raise ImportError(f"{what} needs skmoe._effects, which is not installed.") from error
    return _effects


def served(module, **doors):
    """``__getattr__`` and ``__dir__`` of a module that has these names of leaves."""
    import sys

    def found(name):
        if name in doors:
            return getattr(doors[name](name), name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return found, lambda: sorted({*vars(sys.modules[module]), *doors})
