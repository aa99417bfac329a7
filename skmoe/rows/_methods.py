"""Methods of a fitted mixture for rows that are not in memory."""

from functools import partial
from inspect import signature

import numpy as np

from .._data import IteratedRows, RowMetadata, is_out_of_core
from .._experts.fitting import draw_seeds
from .._reports.by_regime import groups_of
from .._reports.expert_report import report_of_sums, report_sums
from .._validation import check_fitted, check_known_rows
from ._blocks import open_rows
from ._files import Blocks
from ._look import Moments

INSTEAD = {"partial_fit": "pass one block after the other"}  # of a sample of the rows
OF_ROWS = (*RowMetadata._fields, "sample_weight")  # arguments with an entry for each row, except y
ROW_BY_ROW = {
    "gate_proba",
    "log_density",
    "predict",
    "predict_dist",
    "predict_experts",
    "predict_interval",
    "predict_log_proba",
    "predict_proba",
    "predict_quantiles",
    "responsibilities",
    "route",
    "sample_y",
}


def answer(method, mixture, *args, **params):
    """Result of a method if some of its arguments are not in memory.

    It is computed row by row, by sums over rows, or is a TypeError that says what to do instead.
    """
    name = method.__name__
    if name not in ROW_BY_ROW | SUMMED.keys():
        given = next(filter(is_out_of_core, (*args, *params.values())))
        raise TypeError(
            f"{name} takes rows in memory, and no {type(given).__name__}: "
            f"{INSTEAD.get(name, 'pass a sample of the rows')}."
        )
    asked = signature(method).bind(mixture, *args, **params).arguments
    del asked["self"]
    if not is_out_of_core(asked["X"]):
        return method(mixture, *args, **params)
    check_fitted(mixture)
    if name in SUMMED:
        return SUMMED[name](mixture, **asked)
    return _answer_row_by_row(method, mixture, **asked)


def _answer_row_by_row(method, mixture, X, y=None, **asked):
    """The results for all rows of X: Blocks, or a Dask collection."""
    name = method.__name__
    parameters = signature(method).parameters
    of_rows = [each for each in OF_ROWS if asked.get(each) is not None]
    if y is not None:
        of_rows.append("y")
    if of_rows:
        raise TypeError(f"{name} takes no {of_rows[0]} with {type(X).__name__}.")
    if not isinstance(X, IteratedRows):
        from ._dask import answer_lazily  # and Dask, which has been imported before

        return answer_lazily(method, mixture, X, asked)
    if "random_state" in parameters:
        asked["random_state"] = draw_seeds(asked.get("random_state"), 1)[0]
    return Blocks(partial(_answer_block, method, mixture, "y" in parameters, asked), X)


def _answer_block(method, mixture, needs_target, params, number, X, y):
    if needs_target and y is None:
        raise ValueError(f"{method.__name__} needs the target: Files take its column by target=.")
    if needs_target:
        target = {"y": y}
    else:
        target = {}
    if "random_state" in params:  # each block draws on its own
        params = params | {"random_state": np.random.RandomState([params["random_state"], number])}
    return method(mixture, X, **target, **params)


# Sums over rows -----------------------------------------------------------------------------------


def reduce_rows(kernel, mixture, X, y=None, sample_weight=None, parameters=None, **others):
    """Sums over rows that are not in memory.

    ``kernel(mixture, rows, parameters)`` -> sums over the Rows of a block. ``others`` are the other
    arguments with an entry for each row, which have to be None.
    """
    for name, value in others.items():
        if value is not None:
            raise TypeError(f"{name} is for rows in memory; {type(X).__name__} have none.")
    source = open_rows(X, y, sample_weight, classifies=mixture._classifies, as_given=True)
    sums = source.reduce(partial(_of_block, kernel, mixture), parameters)
    if sums is None:
        raise ValueError("There are no rows.")
    return sums


def _of_block(kernel, mixture, block, parameters):
    return kernel(mixture, check_known_rows(mixture, *block), parameters)


# Scores -----------------------------------------------------------------------------------------


def score(mixture, X, y=None, sample_weight=None, exposure=None, trials=None):
    """Accuracy, or R², averaged over the outputs, as in ``sklearn.metrics.r2_score``."""
    if exposure is not None or trials is not None:
        raise TypeError(f"score takes no exposure and no trials with {type(X).__name__}.")
    if mixture._classifies:
        right, total = reduce_rows(_count_right, mixture, X, y, sample_weight)
        return float(right / total)
    moments = reduce_rows(_error_moments, mixture, X, y, sample_weight)
    total, errors = np.split(moments.squares, 2)
    errors = errors + moments.weight * np.split(moments.mean**2, 2)[1]  # about zero
    is_constant = np.split(moments.low == moments.high, 2)[0]
    of_constant = np.where(errors == 0, 1.0, 0.0)
    r2 = np.where(is_constant, of_constant, 1 - errors / np.where(is_constant, 1.0, total))
    return float(r2.mean())


def _error_moments(mixture, rows, _):
    """Moments of the target and of the errors of predictions."""
    y = rows.y.reshape(len(rows.y), -1)
    return Moments.of(np.hstack([y, y - mixture.predict(rows.X).reshape(y.shape)]), rows.weight)


def _count_right(mixture, rows, _):
    right = mixture.predict(rows.X) == mixture.classes_[rows.y]
    return np.array([rows.weight @ right, rows.weight.sum()])


# Reports ----------------------------------------------------------------------------------------


def expert_report(mixture, X, y=None, sample_weight=None, by="regime", **metadata):
    """ExpertReport; what only training knows comes from the report on the training rows."""
    groups = groups_of(mixture, by)
    trained = mixture._training_reports.get(groups.kind)
    sums = reduce_rows(_report_sums, mixture, X, y, sample_weight, groups, **metadata)
    return report_of_sums(mixture._model, groups, sums, trained)


def _report_sums(mixture, rows, groups):
    return report_sums(mixture._model, groups, rows)


SUMMED = {"expert_report": expert_report, "score": score}
