"""Scores for predictive distributions; larger is better, as for scikit-learn's scorers.

Each is a callable ``(estimator, X, y, sample_weight=None)``, for ``scoring`` in
``cross_val_score`` and ``GridSearchCV``; set options by ``functools.partial``.
"""

from inspect import signature

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metadata_routing import MetadataRequest

from ._data import RowMetadata
from ._experts.fitting import inside_offering
from ._validation import check_single_trials
from .distributions._arrays import check_probabilities

__all__ = ["crps_score", "interval_score", "log_score", "pinball_score"]


def takes_rows(score):
    """Let scikit-learn's metadata routing pass further arguments than weights to a score."""

    def get_metadata_routing():
        request = MetadataRequest(owner=score.__name__)
        for name in RowMetadata._fields:
            if name in signature(score).parameters:
                request.score.add_request(param=name, alias=True)
        return request

    score.get_metadata_routing = get_metadata_routing
    return score


@takes_rows
def log_score(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    exposure=None,
    trials=None,
    upper=None,
):
    """Mean log-density of the targets under a fitted mixture.

    The logarithmic score is strictly proper: the true distribution maximises its expectation. For a
    censored target it is the log-probability of its interval. With ``enable_metadata_routing``,
    searches and ``cross_validate`` pass metadata of ``fit`` to scores, too.

    Parameters
    ----------
    estimator : mixture
        Fitted; or a Pipeline that ends in a mixture, or a search over one.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    exposure, trials, upper : array-like of shape (n_samples,), default=None
        As in ``fit``: exposures of counts, trials of successes, upper bounds of censored targets.

    Returns
    -------
    score : float
        Natural logarithm.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.metrics import log_score
    >>> X, y = load_diabetes(return_X_y=True)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1)
    >>> cross_val_score(moe, X, y, scoring=log_score, cv=3).round(1)
    array([-5.4, -5.5, -5.4])
    """
    mixture, X = _unwrap(estimator, X)
    given = RowMetadata(exposure, trials, None, upper).given()
    return float(np.average(mixture.log_density(X, _targets(y), **given), weights=sample_weight))


@takes_rows
def interval_score(estimator, X, y, sample_weight=None, *, exposure=None, trials=None, level=0.9):
    r"""Minus the mean interval score of the central predictive intervals.

    .. math:: (u - l) + \tfrac{2}{1 - \text{level}} \, [(l - y)_+ + (y - u)_+]

    The width, plus a penalty for each target outside. The true quantiles minimise its expectation
    [1]_.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor
        Fitted, with ``predict_dist``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    exposure, trials : array-like of shape (n_samples,), default=None
        As in ``fit``. None: one for each row, so that counts are rates.
    level : float, default=0.9
        Probability of the intervals.

    Returns
    -------
    score : float
        In the units of the target, at most 0; a mean over outputs.

    See Also
    --------
    pinball_score : The same for single quantiles.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", Journal of the American Statistical Association 102 (2007) 359-378.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.metrics import interval_score
    >>> X, y = load_diabetes(return_X_y=True)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    >>> round(interval_score(moe, X, y, level=0.5))
    -137
    """
    distribution, y = _predicted(estimator, X, y, exposure, trials)
    low, high = distribution.interval(level)
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return -_weighted_mean(high - low + 2 / (1 - level) * outside, sample_weight)


@takes_rows
def crps_score(estimator, X, y, sample_weight=None, *, exposure=None, trials=None):
    r"""Minus the mean continuous ranked probability score of the predictive distributions.

    .. math:: \int (F(t) - [t \ge y])^2 \, dt

    A generalised absolute error: strictly proper, in the units of the target, and less sensitive to
    outliers than :func:`log_score` [1]_.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor
        Fitted, with ``predict_dist``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    exposure, trials : array-like of shape (n_samples,), default=None
        As in ``fit``. None: one for each row, so that counts are rates.

    Returns
    -------
    score : float
        In the units of the target, at most 0; a mean over outputs.

    See Also
    --------
    pinball_score : For single quantiles; twice its mean over all of them is this score.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", Journal of the American Statistical Association 102 (2007) 359-378.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.metrics import crps_score
    >>> X, y = load_diabetes(return_X_y=True)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    >>> round(crps_score(moe, X, y), 1)
    -30.5
    """
    distribution, y = _predicted(estimator, X, y, exposure, trials)
    return -_weighted_mean(distribution.crps(y), sample_weight)


@takes_rows
def pinball_score(
    estimator, X, y, sample_weight=None, *, exposure=None, trials=None, quantile=(0.1, 0.5, 0.9)
):
    r"""Minus the mean pinball loss of predictive quantiles.

    .. math:: \max(q \, (y - y_q), (q - 1)(y - y_q))

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor
        Fitted, with ``predict_dist``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    exposure, trials : array-like of shape (n_samples,), default=None
        As in ``fit``. None: one for each row, so that counts are rates.
    quantile : float or sequence of float, default=(0.1, 0.5, 0.9)
        Probabilities; the loss is a mean over them.

    Returns
    -------
    score : float
        In the units of the target, at most 0; a mean over outputs.

    See Also
    --------
    interval_score : The same for central intervals.
    crps_score : The same for all quantiles.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.metrics import pinball_score
    >>> X, y = load_diabetes(return_X_y=True)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1)
    >>> score = partial(pinball_score, quantile=0.9)
    >>> cross_val_score(moe, X, y, scoring=score, cv=3).round(1)
    array([-9.7, -9.8, -9.7])
    """
    distribution, y = _predicted(estimator, X, y, exposure, trials)
    probabilities = np.atleast_1d(check_probabilities("quantile", quantile))
    quantiles = distribution.ppf(probabilities)
    q = probabilities.reshape((-1,) + (1,) * (y.ndim - 1))
    beyond = y[:, None] - quantiles
    return -_weighted_mean(np.maximum(q * beyond, (q - 1) * beyond), sample_weight)


def _predicted(estimator, X, y, exposure, trials):
    """The predictive distributions, and targets of their shape."""
    mixture, X = _unwrap(estimator, X)
    if is_classifier(mixture):
        raise TypeError("This score is for regressors: take log_score for classes.")
    given = RowMetadata(exposure, trials).given()
    distribution = mixture.predict_dist(X, **given)
    y = _targets(y).astype(np.float64)
    if trials is None:
        check_single_trials(mixture, y)
    expected = distribution.mean().shape
    if y.shape != expected:
        raise ValueError(f"y has shape {y.shape}; the predictions have {expected}.")
    return distribution, y


def _targets(y):
    """Targets as an array, a single column as a vector, as ``fit`` takes them."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    return y


def _weighted_mean(losses, weight):
    """Weighted over the rows, plain over all other axes."""
    return float(np.average(losses.reshape(len(losses), -1).mean(axis=1), weights=weight))


def _unwrap(estimator, X):
    """The mixture at the end of Pipelines and searches, and X as it sees it."""
    mixture, X = inside_offering("log_density", estimator, X)
    if mixture is None:
        name = type(estimator).__name__
        kind = ["Regressor", "Classifier"][is_classifier(estimator)]
        needed = f"give a mixture, such as MixtureOfExperts{kind}(model, n_experts=1)."
        raise TypeError(f"{name} has no log_density: {needed}")
    return mixture, X
