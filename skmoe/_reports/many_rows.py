"""Scores and reports of rows that are not in memory."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from .._numerics.moments import Moments, add_fields
from .._rows.opening import open_rows
from .._rows.validation import check_known_rows
from .expert_report import report_of_sums, report_sums


def reduce_rows(kernel, mixture, X, y=None, sample_weight=None, parameters=None, **others):
    """Sums over rows that are not in memory.

    ``kernel(mixture, rows, parameters)`` -> sums over the Rows of a block. ``others`` are other
    arguments that have an entry for each row, which have to be None.
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


@dataclass(frozen=True)
class ErrorSums:
    """Weighted squared errors (n_outputs,) of predictions, and Moments of the target."""

    squares: np.ndarray
    target: Moments

    __add__ = add_fields


def r2_of_rows(mixture, X, y, sample_weight):
    """R², the mean of all outputs, as ``sklearn.metrics.r2_score`` has it."""
    sums = reduce_rows(_error_sums, mixture, X, y, sample_weight)
    errors, total = sums.squares, sums.target.squares
    of_constant = np.where(errors == 0, 1.0, 0.0)
    is_constant = sums.target.low == sums.target.high
    r2 = np.where(is_constant, of_constant, 1 - errors / np.where(is_constant, 1.0, total))
    return float(r2.mean())


def _error_sums(mixture, rows, _):
    y = rows.y.reshape(len(rows.y), -1)
    errors = y - mixture.predict(rows.X).reshape(y.shape)
    return ErrorSums(rows.weight @ errors**2, Moments.of(y, rows.weight))


def accuracy_of_rows(mixture, X, y, sample_weight):
    """Share of the weight of rows whose class is predicted."""
    right, total = reduce_rows(_count_right, mixture, X, y, sample_weight)
    return float(right / total)


def _count_right(mixture, rows, _):
    right = mixture.predict(rows.X) == mixture.classes_[rows.y]
    return np.array([rows.weight @ right, rows.weight.sum()])


# Information criteria ---------------------------------------------------------------------------


@dataclass(frozen=True)
class LikelihoodSums:
    """Log-likelihood, entropy of responsibilities, and the columns of experts and gate."""

    # ``value``, ``entropy``: sums over rows, by weight.
    value: float
    entropy: float
    # ``experts``, ``gate``: of what linear experts and gate see.
    experts: Moments
    gate: Moments | None

    __add__ = add_fields


@dataclass(frozen=True)
class Triangles:
    """Triangular factors of standardised columns, of experts and gate; those of two blocks add."""

    experts: np.ndarray
    gate: np.ndarray | None

    def __add__(self, other):
        def stacked(ours, theirs):
            return np.linalg.qr(np.vstack([ours, theirs]), mode="r")

        gate = None if self.gate is None else stacked(self.gate, other.gate)
        return Triangles(stacked(self.experts, other.experts), gate)


def likelihood_of_rows(mixture, X, y, sample_weight, metadata):
    """Log-likelihood, weight, free parameters, and entropy of the responsibilities.

    A second pass looks for columns that depend on each other.
    """
    mixture._check_maximised()
    sums = reduce_rows(_likelihood_sums, mixture, X, y, sample_weight, **metadata._asdict())
    triangles = reduce_rows(_triangles, mixture, X, y, sample_weight, sums)
    rows = [
        None if moments is None else _rows_of(moments, triangle)
        for moments, triangle in ((sums.experts, triangles.experts), (sums.gate, triangles.gate))
    ]
    n_parameters = mixture._model.n_parameters_of(*rows, mixture._n_functions)
    return sums.value, sums.experts.weight, n_parameters, sums.entropy


def _likelihood_sums(mixture, rows, _):
    resp, log_density, weight = mixture._model.e_step(rows)
    experts, gate = mixture._model.linear_columns(rows.X)
    return LikelihoodSums(
        float(weight @ log_density),
        float(weight @ special.entr(resp).sum(axis=1)),
        Moments.of(experts, weight),
        None if gate is None else Moments.of(gate, weight),
    )


def _triangles(mixture, rows, sums):
    columns = mixture._model.linear_columns(rows.X)
    return Triangles(
        *(
            None if each is None else _triangle(each, rows.weight, moments)
            for each, moments in zip(columns, (sums.experts, sums.gate), strict=True)
        )
    )


def _triangle(columns, weight, moments):
    mean, scale = moments.standardisation()
    standard = np.where(moments.low == moments.high, 0.0, (columns - mean) / scale)
    return np.linalg.qr(np.sqrt(weight)[:, None] * standard, mode="r")


def _rows_of(moments, triangle):
    """A few rows with the means and, but for a factor, the covariances of many."""
    mean, scale = moments.standardisation()
    return mean + scale * np.vstack([triangle, -triangle])


# Reports ----------------------------------------------------------------------------------------


def report_on_rows(mixture, groups, X, y, sample_weight, metadata, trained):
    """ExpertReport on rows that are not in memory.

    ``metadata`` have to be none; ``trained`` is the report on the training rows, for what only
    training knows.
    """
    sums = reduce_rows(_report_sums, mixture, X, y, sample_weight, groups, **metadata._asdict())
    return report_of_sums(mixture._model, groups, sums, trained)


def _report_sums(mixture, rows, groups):
    return report_sums(mixture._model, groups, rows)
