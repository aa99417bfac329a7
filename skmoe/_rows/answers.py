"""What a fitted mixture answers for rows that are not in memory."""

from functools import partial, wraps
from inspect import signature

from .._data import RowMetadata
from .._experts.traits import draw_seeds
from .files import ITERATED, Blocks, is_out_of_core
from .source import of_block
from .validation import check_fitted

OF_ROWS = (*RowMetadata._fields, "sample_weight")  # what has an entry for each row, beside y


def block_by_block(method):
    """Let a method of a fitted mixture answer for rows that are not in memory, too."""
    parameters = signature(method)
    needs_target = "y" in parameters.parameters

    @wraps(method)
    def answer(mixture, X, *args, **params):
        if not is_out_of_core(X):
            return method(mixture, X, *args, **params)
        check_fitted(mixture)
        asked = parameters.bind(mixture, X, *args, **params).arguments
        del asked["self"], asked["X"]
        y = asked.pop("y", None)
        is_iterated = isinstance(X, ITERATED)
        of_rows = [name for name in OF_ROWS if asked.get(name) is not None]
        of_rows += ["y"] if is_iterated and y is not None else []
        if of_rows:
            raise TypeError(f"{method.__name__} takes no {of_rows[0]} beside {type(X).__name__}.")
        if asked.get("capacity_factor") is not None:
            raise TypeError(
                f"capacity_factor ranks all rows: pass {method.__name__} a block of them in memory."
            )
        if "random_state" in parameters.parameters:
            asked["random_state"] = draw_seeds(asked.get("random_state"), 1)[0]
        if is_iterated:
            return Blocks(partial(_of_block, method, mixture, needs_target, asked), X)
        if needs_target and y is None:
            raise TypeError(f"{method.__name__} needs the target: pass y.")
        from .dask_rows import answer_lazily

        return answer_lazily(method.__name__, mixture, X, y, asked)

    return answer


def in_memory(instead):
    """Let a method refuse rows that are not in memory, with a hint what to do instead."""

    def decorated(method):
        @wraps(method)
        def answer(mixture, *args, **params):
            for given in (*args, *params.values()):
                if is_out_of_core(given):
                    raise TypeError(
                        f"{method.__name__} takes rows in memory, and no {type(given).__name__}: "
                        f"{instead}."
                    )
            return method(mixture, *args, **params)

        return answer

    return decorated


def _of_block(method, mixture, needs_target, params, number, X, y):
    if needs_target and y is None:
        raise ValueError(f"{method.__name__} needs the target: Files take its column by target=.")
    target = {"y": y} if needs_target else {}
    return method(mixture, X, **target, **of_block(params, number))
