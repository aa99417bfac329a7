"""What a fitted mixture answers for rows that are not in memory."""

from functools import partial, wraps
from inspect import signature

from sklearn.utils.validation import check_is_fitted

from .._data import Facts
from .files import Blocks, Files, is_elsewhere

OF_ROWS = (*Facts._fields, "sample_weight")  # what has an entry for each row, beside y


def block_by_block(method):
    """Let a method of a fitted mixture answer for rows that are not in memory, too."""
    parameters = signature(method)
    needs_target = "y" in parameters.parameters

    @wraps(method)
    def answer(mixture, X, *args, **params):
        if not is_elsewhere(X):
            return method(mixture, X, *args, **params)
        check_is_fitted(mixture)
        asked = parameters.bind(mixture, X, *args, **params).arguments
        del asked["self"], asked["X"]
        y = asked.pop("y", None)
        is_file = isinstance(X, Files)
        of_rows = [name for name in OF_ROWS if asked.get(name) is not None]
        of_rows += ["y"] if is_file and y is not None else []
        if of_rows:
            raise TypeError(f"{method.__name__} takes no {of_rows[0]} beside {type(X).__name__}.")
        if is_file:
            return Blocks(partial(_of_block, method, mixture, needs_target, asked), X)
        if needs_target and y is None:
            raise TypeError(f"{method.__name__} needs the target: pass y.")
        from .dask_rows import answer_lazily

        return answer_lazily(method.__name__, mixture, X, y, asked)

    return answer


def _of_block(method, mixture, needs_target, params, X, y):
    if needs_target and y is None:
        raise ValueError(f"{method.__name__} needs the target: Files take its column by target=.")
    target = {"y": y} if needs_target else {}
    return method(mixture, X, **target, **params)
