"""Conformal intervals: between quantiles that contain enough calibration rows."""

import numpy as np

from .._data import NO_METADATA
from .._tables.mixed import take_rows
from .._validation import check_fitted, check_known_rows, check_X
from ..exceptions import warn_user

OUT_OF_FOLD = "oof"


def conformal_intervals(mixture, X, level, conformal, by, exposure, trials):
    """Intervals (n, 2) or (n, 2, n_levels); parameters are those of ``predict_interval``."""
    levels = np.atleast_1d(level)
    if levels.ndim > 1 or not levels.size or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"level must be in [0, 1], such as 0.9 for 90 %, or a list; got {level}.")
    if exposure is not None or trials is not None:
        raise ValueError("Conformal intervals are for rows without exposure and trials.")
    if by not in (None, "expert"):
        raise ValueError(f"by must be None or 'expert'; got {by!r}.")
    check_fitted(mixture)
    X, model = check_X(mixture, X), mixture._model
    tails, of_known, weight = _calibration(mixture, conformal)
    intervals = np.empty((X.shape[0], 2, len(levels)))
    if by is None:
        of_expert, of_known = np.zeros(len(intervals), dtype=int), np.zeros_like(of_known)
    else:
        of_expert = most_probable(model, X)
    needed = 0.0  # rows, where they are too few
    for k in np.unique(of_expert):
        rows, known = np.flatnonzero(of_expert == k), of_known == k
        distribution = mixture._predictive.distribution(take_rows(X, rows))
        for j, each in enumerate(levels):
            tail = tail_of(tails[known], weight[known], each)
            fewest = 1 / (1 - each) - 1 if each < 1 else 0.0
            needed = max(needed, fewest * (weight[known].sum() + 1e-6 < fewest))
            if distribution.discrete:  # rounding must not exclude values at the ends
                tail *= 1 - 1e-9
            # At zero quantiles are those of single components, which may be bounded.
            intervals[rows, 0, j] = distribution.ppf(tail) if tail > 0 else -np.inf
            intervals[rows, 1, j] = distribution.ppf(1 - tail) if tail > 0 else np.inf
    if needed:
        rows = (
            f"{np.ceil(needed - 1e-6):.0f} calibration rows{' of each expert' * (by is not None)}"
        )
        warn_user(f"Conformal intervals of this level are infinite: they need {rows}.", UserWarning)
    return intervals if np.ndim(level) else intervals[:, :, 0]


def most_probable(model, X):
    """Number of the most probable expert, (n,)."""
    routes = model.routes(X)
    return routes.dense(routes.weights).argmax(axis=1)


def _calibration(mixture, conformal):
    """Calibration rows: probabilities of their tails, their experts, and weights, (n,) each.

    The rows are given, or those of ``fit``, by out-of-fold predictions.
    """
    if isinstance(conformal, str) and conformal == OUT_OF_FOLD:
        if "oof_pit_" not in vars(mixture):
            why = f"after {mixture._changed_by or f'training={mixture.plan_.training!r} in-sample'}"
            if "oof_score_" in vars(mixture):
                why = "for discrete, censored or several targets, and stacks with another gate"
            raise ValueError(
                f"conformal='oof' needs oof_pit_, missing {why}: give conformal=(X, y)."
            )
        if mixture.top_k != mixture._oof_top_k:
            raise ValueError(
                f"conformal='oof' is for the top_k of fit, {mixture._oof_top_k}; it is "
                f"{mixture.top_k} now. Fit again, or give conformal=(X, y)."
            )
        tails = np.minimum(mixture.oof_pit_, 1 - mixture.oof_pit_)
        return tails, mixture._oof_expert, mixture._oof_weight
    if not (isinstance(conformal, tuple) and len(conformal) == 2):
        raise ValueError(f"conformal must be None, 'oof' or a tuple (X, y); got {conformal!r:.80}.")
    rows, model = check_known_rows(mixture, *conformal, None, NO_METADATA), mixture._model
    if rows.y.ndim > 1:
        raise ValueError("Conformal intervals are of one output; y has several.")
    distribution = mixture._predictive.distribution(rows.X)
    beyond = distribution.sf(rows.y)
    if distribution.discrete:  # as the largest value of all has nothing above
        beyond = beyond + distribution.pmf(rows.y)
    return np.minimum(distribution.cdf(rows.y), beyond), most_probable(model, rows.X), rows.weight


def tail_of(tails, weight, level):
    """Probability of each tail, so that intervals contain a new row with probability ``level``.

    ``tails`` of calibration rows are probabilities beyond the target, on its side. That of a new
    row is below the r-th smallest of n with probability r / (n + 1) at most; 0 of too few rows.
    """
    rank = np.floor((1 - level) * (weight.sum() + 1) + 1e-9)
    if rank < 1:
        return 0.0
    order = np.argsort(tails)
    place = np.searchsorted(np.cumsum(weight[order]), rank - 1e-9)
    return min(0.5, tails[order[min(place, len(order) - 1)]])
