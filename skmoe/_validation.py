"""Rows as they were given to a method, checked; errors tell what to do."""

from functools import wraps
from inspect import isfunction, signature

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from . import _doors
from ._compat import check_feature_names, check_n_features, learn_columns
from ._data import NO_METADATA, Bounds, Rows, check_ids, is_out_of_core
from ._experts.solvers import MOST_SPARSE_COLUMNS, is_wide
from ._tables.encoding import DescribedColumns, check_takes_gaps
from ._tables.known import (
    check_numbers,
    check_weights,
    fill_missing,
    kinds_of,
    match_kinds,
    medians_of,
)
from ._tables.mixed import check_sizes, check_table
from .exceptions import SmallWeightsWarning, warn_user

FEW_COLUMNS = 20  # as many as a gate has use for
MOST_TRIALS = 1e15  # beyond, incomplete Beta functions lose their digits
LIGHT_ROW = 0.1  # weights around less than this were hardly meant as numbers of rows


class AnyRows:
    """A base of classes whose public methods of X answer for rows wherever these are.

    Only ``fit`` sees to that itself.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, method in list(vars(cls).items()):
            is_public = isfunction(method) and not name.startswith("_") and name != "fit"
            if is_public and "X" in signature(method).parameters:
                setattr(cls, name, wherever(method))


def wherever(method):
    """A method for rows in memory; where they are not, the leaf ``rows`` answers in its place."""

    @wraps(method)
    def answer(mixture, *args, **params):
        if any(map(is_out_of_core, (*args, *params.values()))):
            return _doors.rows().answer(method, mixture, *args, **params)
        return method(mixture, *args, **params)

    return answer


def check_rows(
    mixture,
    X,
    y,
    sample_weight=None,
    metadata=NO_METADATA,
    *,
    reset=False,
    known=True,
    may_be_empty=False,
):
    """Rows to learn from, some of them of positive weight unless they ``may_be_empty``.

    ``reset`` learns the columns anew; the target is ``known`` to a fitted mixture, or not.
    """
    rows = _rows_of(mixture, X, y, sample_weight, metadata, learns=True, reset=reset, known=known)
    bounds = rows.bounds
    weight = rows.weight
    if bounds is not None and not all(np.isfinite(e).any() for e in (bounds.lower, bounds.upper)):
        raise ValueError(
            "Every target is censored on the same side: some must be observed, or have two bounds."
        )
    n_used = np.count_nonzero(weight)
    if n_used == 0 and not may_be_empty:
        raise ValueError("sample_weight is zero for every row; one at least must be positive.")
    warn_of_small_weights(weight.sum(), weight @ weight, n_used)
    return rows


def check_enough_rows(n_used, n_experts):
    """Raise a ValueError if rows of positive weight are fewer than experts, or than two."""
    if n_used < n_experts:
        raise ValueError(
            f"Found n_samples={n_used} rows of positive weight, fewer than "
            f"n_experts={n_experts}. Give more rows, or ask for fewer experts."
        )
    if n_used < 2:
        raise ValueError(
            f"Found n_samples={n_used} row of positive weight while a minimum of 2 is required: "
            "one does not tell the variance of the errors."
        )


def check_known_rows(mixture, X, y, sample_weight=None, metadata=NO_METADATA):
    """Rows for a fitted mixture to look at."""
    check_fitted(mixture)
    return _rows_of(mixture, X, y, sample_weight, metadata)


def _rows_of(mixture, X, y, sample_weight, metadata, *, learns=False, reset=False, known=True):
    """Checked rows with the trials that y may hold, and the bounds of what is censored."""
    if y is None:
        raise ValueError(
            f"This {type(mixture).__name__} estimator requires y to be passed, but the target y "
            f"is None.{'' if learns else ' Without targets call gate_proba(X) or predict(X).'}"
        )
    X = check_X(mixture, X, reset=reset)
    y, trials = mixture._counted(y, metadata.trials)
    y, bounds = check_bounds(mixture, y, metadata)
    y = mixture._check_target(y, known=known)
    check_consistent_length(X, y)
    if learns:
        weight = mixture._check_weight(sample_weight, X, y)
    else:
        weight = check_weights(sample_weight, X)
    exposure = check_exposure(mixture, metadata.exposure, X, trials, y)
    return Rows(X, y, weight, exposure, check_ids("subject", metadata.subject, X), bounds)


def check_X(mixture, X, *, reset=False):
    """X as a table or array; ``reset`` learns the number and names of the columns."""
    if reset:
        mixture._wide_expert = None
    if sparse.issparse(X):
        _check_takes_sparse(mixture, X, reset)
        if not reset and mixture.likelihood_.averages_experts:
            X = X.toarray()  # as pooled experts have seen it in fit
    if is_out_of_core(X):
        raise TypeError(f"This method takes rows in memory, not {type(X).__name__}.")
    X = check_table(X, sparse_ok=True, strings_ok=mixture._strings_ok)
    check_sizes(X, "X", smallest=reset)
    if reset:
        learn_columns(mixture, X)
        mixture._wide_expert = _wide_expert(mixture, X)
        mixture._column_kinds = kinds_of(X)
        if mixture._encodes:
            mixture._medians = medians_of(X)
        else:
            mixture._medians = None
        return X
    check_feature_names(mixture, X, reset=False)
    check_n_features(mixture, X, reset=False)
    X = fill_missing(match_kinds(X, mixture._column_kinds), mixture._medians)
    described = DescribedColumns(X)
    if described.is_mixed and mixture.__sklearn_is_fitted__():
        for part in (mixture.gate_, *mixture.experts_):
            check_takes_gaps("expert" if part is not mixture.gate_ else "gate", part, described)
    return X


def _wide_expert(mixture, X):
    """The default expert, where it has a penalty that is chosen, for X is wide; else None."""
    is_asked = mixture.experts is not None or mixture.training == "pooled"
    if is_asked or mixture._buffer is not None or not is_wide(X):
        return None
    return mixture._solver().wide_expert


def _check_takes_sparse(mixture, X, reset):
    """Raise a TypeError with experts and a gate that take these sparse rows."""
    dense = mixture._dense_parts()
    n_samples, n_columns = X.shape
    if dense:
        if isinstance(mixture.experts, str):
            part = f"experts={mixture.experts!r}"
        else:
            part = dense[0]
        what = f"Sparse data was passed, but {part} needs dense data"
    elif reset and mixture.experts is None and is_wide(X) and _wide_expert(mixture, X) is None:
        what = (
            f"Sparse data of {n_samples} rows and {n_columns} columns was passed; the default "
            f"experts take fewer than {MOST_SPARSE_COLUMNS} columns, and fewer than there are rows"
        )
    else:
        return
    last = mixture._default_expert()
    last = last.get_params(deep=False).get("classifier", last)  # the classifier inside, of rates
    if type(last) is LinearRegression:
        name = "Ridge"
    else:
        name = type(last).__name__
    gate = "SoftmaxGate()"
    if n_columns > FEW_COLUMNS:
        gate = f"make_pipeline(TruncatedSVD({FEW_COLUMNS}), {gate})"
    raise TypeError(
        f"{what}. Give experts and a gate that take it, such as experts={name}() and gate={gate}; "
        f"X.toarray() would take {n_samples * n_columns * 8 / 2**30:.2g} GB."
    )


def check_exposure(mixture, exposure, X, trials=None, y=None):
    """Exposure (n_samples,) of each row, or trials, in which y are successes; or None."""
    if mixture._likelihood().takes_trials or trials is not None:
        return check_trials(mixture, exposure, X, trials, y)
    if exposure is None:
        return None
    if not mixture._likelihood().takes_exposure:
        raise ValueError("exposure needs a likelihood of counts, such as likelihood='poisson'.")
    exposure = numbers_of_rows("exposure", exposure, X)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError("exposure must be positive and finite in every row.")
    check_sizes(exposure, "exposure", smallest=True)
    return exposure


def numbers_of_rows(name, values, X):
    """Numbers (n_samples,), one for each row of X."""
    values = check_numbers(name, values)
    try:
        values = column_or_1d(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} needs a number for each row: {error}") from error
    check_consistent_length(X, values)
    return values


def check_single_trials(mixture, y):
    """Raise a ValueError if y, which a score compares with rates, counts successes."""
    if mixture._likelihood().takes_trials and np.max(y, initial=0.0) > 1:
        raise ValueError(
            "Predictions without trials are rates, and y has more than one success in a row: pass "
            "trials=, or rates with the trials as sample_weight."
        )


def check_trials(mixture, exposure, X, trials, y):
    """Trials (n_samples,) of each row, or None for a single one."""
    if not mixture._likelihood().takes_trials:
        raise ValueError("trials needs likelihood='binomial'.")
    if exposure is not None:
        raise ValueError("likelihood='binomial' takes trials in place of an exposure.")
    if trials is not None:
        trials = numbers_of_rows("trials", trials, X)
        possible = (trials > 0) & (trials <= MOST_TRIALS) & (trials == np.floor(trials))
        if not possible.all():
            raise ValueError("trials must be whole numbers from 1 to 1e15 in every row.")
    if y is not None and not ((y >= 0) & (y <= (1 if trials is None else trials))).all():
        raise ValueError(
            "Successes must be between 0 and the trials of their row: pass trials=, or y with a "
            "column of successes and one of failures. Without, each row is one trial."
        )
    if y is not None and (y != np.floor(y)).any():
        raise ValueError("Successes must be whole numbers: give these and trials, not rates.")
    return trials


def check_bounds(mixture, y, metadata):
    """The target as a finite one, and the bounds of what is censored, or None.

    Raises a ValueError if there is no such target: NaN, an upper bound below y, or a row without
    a finite bound.
    """
    upper = metadata.upper
    if upper is None:
        return y, None
    likelihood = mixture._likelihood()
    if not likelihood.takes_upper:
        names = likelihood.names_where(lambda each: each.takes_upper)
        raise ValueError(
            f"upper needs likelihood={names}, without a scale that depends on the row."
        )
    if np.ndim(y) > 1 and np.shape(y)[1] > 1:
        raise ValueError(f"upper is for one output; y has shape {np.shape(y)}.")
    y = column_or_1d(check_numbers("y", y), dtype=np.float64)
    upper = numbers_of_rows("upper", upper, y)
    for name, values in (("y", y), ("upper", upper)):
        if np.isnan(values).any():
            row = np.flatnonzero(np.isnan(values))[0]
            raise ValueError(f"{name} is NaN in row {row}; an unknown bound is infinite.")
    wrong = np.flatnonzero(upper < y)
    if len(wrong):
        row = wrong[0]
        raise ValueError(
            f"upper must be at least y; row {row} has y={y[row]:.6g} and upper={upper[row]:.6g}."
        )
    unknown = np.flatnonzero(~np.isfinite(y) & ~np.isfinite(upper))
    if len(unknown):
        raise ValueError(f"Row {unknown[0]} has no finite bound: y or upper must be finite.")
    check_sizes(np.where(np.isfinite(upper), upper, 0.0), "upper", smallest=True)
    bounds = Bounds(y, upper)
    return bounds.points, bounds if (y < upper).any() else None


def check_responsibilities(responsibilities, n_rows, groups):
    """Responsibilities (n_samples, n_groups) that a user gave for Groups of experts."""
    responsibilities = np.asarray(responsibilities, dtype=np.float64)
    shape = (n_rows, len(groups.names))
    if responsibilities.shape != shape:
        raise ValueError(
            f"responsibilities have shape {responsibilities.shape}; {shape} is needed, a row for "
            f"each of X and a column for each {groups.kind}."
        )
    return responsibilities


def check_fitted(mixture):
    """check_is_fitted, but that asks all experts for their tags: longer than a row takes."""
    if mixture.__sklearn_is_fitted__():
        return
    if mixture._buffer is not None:
        raise NotFittedError(
            f"This {type(mixture).__name__} is not fitted yet: {mixture._buffer.state()}"
        )
    check_is_fitted(mixture)


def check_classes(classes):
    """Raise a ValueError where there is one class only."""
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()[0]!r}; a classifier needs two at least."
        )


def warn_of_small_weights(total, squares, n_used):
    """Say so where weights, of this sum and sum of squares, can hardly be meant as row counts."""
    if total > 0 and squares / total < LIGHT_ROW:  # the mean weight of a unit of weight
        warn_user(
            f"sample_weight sums to {total:.3g} over {n_used} rows; a row of weight 2 counts as "
            "two rows. Divide sample_weight by its mean if each row is one observation.",
            SmallWeightsWarning,
        )
