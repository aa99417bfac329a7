"""Quantiles and intervals of a fitted mixture, conformal ones as well."""

import numpy as np

from .._data import NO_METADATA
from .._numerics.conformal import Calibration
from .._tables.mixed import take_rows
from .._validation import AnyRows, check_fitted, check_known_rows, check_X

OUT_OF_FOLD = "oof"


class QuantileMixture(AnyRows):
    """Mixture of regressors that is asked for quantiles and intervals."""

    def predict_quantiles(self, X, q, *, exposure=None, trials=None):
        """Quantiles of the predictive distribution.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        q : float or array-like of shape (n_quantiles,)
            Probabilities.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of binomial ones; None is one each.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            With several outputs one last axis more.

        Examples
        --------
        >>> moe.predict_quantiles([[2.0]], [0.05, 0.5, 0.95]).round(1)
        array([[3.8, 4. , 4.2]])
        """
        return self.predict_dist(X, exposure=exposure, trials=trials).ppf(q)

    def predict_interval(
        self, X, level=0.9, *, exposure=None, trials=None, conformal=None, by=None
    ):
        """Central interval of the predictive distribution, or a conformal interval.

        A conformal interval is between quantiles of it, of probabilities by which enough of other
        rows are inside [1]_.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        level : float or array-like of shape (n_levels,), default=0.9
            Probability that the interval holds.
        exposure, trials : array-like of shape (n_samples,), default=None
            As in ``fit``: exposures of counts, or trials of binomial ones; None is one each.
        conformal : (X, y) or "oof", default=None
            Rows that ``fit`` has not seen (split conformal): if new rows are exchangeable with
            them, the interval holds the target with a probability of at least ``level``, whatever
            the model is. "oof" calibrates by ``oof_pit_``, without rows set aside: there is no such
            guarantee for few rows [2]_, and the coverage tends to ``level`` where predictions by
            all rows and out of fold come to the same. None is no calibration.
        by : "expert", default=None
            Calibrate each row by rows of the same most probable expert alone (Mondrian): the
            guarantee then holds for the rows of each expert. None is by all rows.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_levels)
            Lower and upper end; with several outputs one last axis more. Infinite where fewer than
            ``level / (1 - level)`` rows calibrate, by weight with "oof".

        Raises
        ------
        ValueError
            If conformal intervals are asked for with "oof" of a mixture without ``oof_pit_`` or
            of another ``top_k`` than in ``fit``, of several outputs, or with exposures or trials.

        References
        ----------
        .. [1] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal prediction",
           PNAS 118 (2021) e2107794118.
        .. [2] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive inference
           with the jackknife+", Annals of Statistics 49 (2021) 486-507.

        Examples
        --------
        >>> moe.predict_interval([[2.0]], level=0.9).round(1)
        array([[3.8, 4.2]])
        """
        if conformal is not None:
            return conformal_intervals(self, X, level, conformal, by, exposure, trials)
        if by is not None:
            raise ValueError("by is for conformal intervals: give conformal as well.")
        distribution = self.predict_dist(X, exposure=exposure, trials=trials)
        if np.ndim(level) != 1:
            return np.stack(distribution.interval(level), axis=1)
        if not len(level):
            raise ValueError("level must be one probability or a list of them; got an empty list.")
        return np.stack([np.stack(distribution.interval(each), axis=1) for each in level], axis=2)


def conformal_intervals(mixture, X, level, conformal, by, exposure, trials):
    """Intervals (n, 2) or (n, 2, n_levels); parameters are those of ``predict_interval``."""
    levels = np.atleast_1d(level)
    if levels.ndim > 1 or not levels.size or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"level must be in [0, 1], or a list of such; got {level}.")
    if exposure is not None or trials is not None:
        raise ValueError("Conformal intervals are for rows without exposure and trials.")
    if by not in (None, "expert"):
        raise ValueError(f"by must be None or 'expert'; got {by!r}.")
    check_fitted(mixture)
    X, model = check_X(mixture, X), mixture._model
    calibration = _calibration(mixture, conformal)
    intervals = np.empty((X.shape[0], 2, len(levels)))
    of_expert = np.zeros(len(intervals), dtype=int)
    of_known = np.zeros_like(calibration.of_expert)
    if by is not None:
        of_expert, of_known = most_probable(model, X), calibration.of_expert
    for k in np.unique(of_expert):
        rows, known = np.flatnonzero(of_expert == k), calibration.of_rows(of_known == k)
        distribution = mixture._predictive.distribution(take_rows(X, rows))
        for j, each in enumerate(levels):
            tail = known.tail_of(each)
            if distribution.discrete:  # rounding must not take values from the ends
                tail *= 1 - 1e-9
            # At zero quantiles are those of single components, which may be bounded.
            intervals[rows, 0, j] = distribution.ppf(tail) if tail > 0 else -np.inf
            intervals[rows, 1, j] = distribution.ppf(1 - tail) if tail > 0 else np.inf
    return intervals if np.ndim(level) else intervals[:, :, 0]


def most_probable(model, X):
    """Number of the expert that the gate gives most, (n,)."""
    routes = model.routes(X)
    return routes.dense(routes.weights).argmax(axis=1)


def _calibration(mixture, conformal):
    """Calibration by the rows that are given, or by out-of-fold predictions."""
    if isinstance(conformal, str) and conformal == OUT_OF_FOLD:
        if "oof_pit_" not in vars(mixture):
            raise ValueError(
                "conformal='oof' needs the out-of-fold distribution at the training rows "
                "(oof_pit_), which is not there: its experts have seen these, its targets are "
                "discrete, censored or several, or a stack has another gate than its own. Give "
                "conformal=(X, y) of rows that it has not seen."
            )
        if mixture.top_k != mixture._oof_top_k:
            raise ValueError(
                f"conformal='oof' is for the top_k of fit, {mixture._oof_top_k}; it is "
                f"{mixture.top_k} now. Fit again, or give conformal=(X, y)."
            )
        return Calibration.of(mixture.oof_pit_, mixture._oof_expert, mixture._oof_weight)
    if not (isinstance(conformal, tuple) and len(conformal) == 2):
        raise ValueError(
            "conformal must be None, 'oof', or a tuple (X, y) of rows that fit has not seen; got "
            f"{conformal!r:.80}."
        )
    rows, model = check_known_rows(mixture, *conformal, None, NO_METADATA), mixture._model
    if rows.y.ndim > 1:
        raise ValueError("Conformal intervals are of one output; y has several.")
    distribution = mixture._predictive.distribution(rows.X)
    beyond = distribution.sf(rows.y)
    if distribution.discrete:  # as the largest value of all has nothing above
        beyond = beyond + distribution.pmf(rows.y)
    tail = np.minimum(distribution.cdf(rows.y), beyond)
    return Calibration(tail, most_probable(model, rows.X), rows.weight)
