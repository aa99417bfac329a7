"""Predictive distributions that regressors have of their own, for stacks."""

from inspect import signature

import numpy as np
from scipy.stats.distributions import rv_frozen

from ..distributions import (
    GaussianComponents,
    MixtureDistribution,
    NestedComponents,
    ScipyComponents,
    StudentTComponents,
)
from .traits import has_oob_prediction, offers, step_inside

# Chosen by the log-density of quantile forests on small tables, and of known distributions.
LEVELS = ((np.arange(20) + 0.5) / 20).tolist()  # of the quantiles that a density is made of
DF = 5.0  # of the kernels at these
HALF = [5, 14]  # numbers of the quantiles that half of the mass is between
NARROWEST = 0.15  # of the kernels, in distances between these


def tells_density(estimator):
    """Whether a regressor has a distribution of its own for each row; of a search, once fitted."""
    while estimator is not None:
        if _teller(estimator) is not None:
            return True
        estimator, _ = step_inside(estimator, None)
    return False


def has_oob_density(estimator):
    """Whether all that a stack asks of it is known of the rows out of bag."""
    return has_oob_prediction(estimator) and not tells_density(estimator)


def own_distribution(estimator, X, floor):
    """Predictive distribution of a fitted regressor that ``tells_density``: MixtureDistribution.

    Components of a standard deviation below ``floor`` are Gaussian ones of that: where targets are
    rounded or repeat, a spike would have whatever density.
    """
    estimator, X = _last_estimator(estimator, X)
    distribution = _teller(estimator)(estimator, X, floor)
    if distribution.discrete or distribution.components.has_atoms:
        raise ValueError(
            f"{type(estimator).__name__} gives single values a probability, which cannot be "
            "weighed against the densities of other experts. Give it a continuous distribution, "
            "or leave it out of the list."
        )
    return _without_spikes(distribution, floor)


def predicts_mean(estimator):
    """Whether ``predict`` is the mean of the distribution, if it tells any."""
    if not tells_density(estimator):
        return True
    return _teller(_last_estimator(estimator, None)[0]) in (_as_it_is, _of_deviation)


def _last_estimator(estimator, X):
    """What ``_teller`` knows in a search or Pipeline, and X as it sees it."""
    while _teller(estimator) is None:
        estimator, X = step_inside(estimator, X)
    return estimator, X


def _teller(estimator):
    """What makes its distribution of an estimator, X and the floor; None where it has none."""
    if offers(estimator, "predict_dist"):
        return _as_it_is
    if offers(estimator, "pred_dist"):
        return _of_scipy
    for method in ("predict", "predict_quantiles"):
        if offers(estimator, method):
            for name in signature(getattr(estimator, method)).parameters:
                if (method, name) in ARGUMENTS:
                    return ARGUMENTS[method, name]
    return None


def _as_it_is(estimator, X, _):
    return estimator.predict_dist(X)


def _of_deviation(estimator, X, floor):
    mean, std = estimator.predict(X, return_std=True)
    components = GaussianComponents(_column(mean), np.maximum(_column(std), floor))
    return MixtureDistribution(np.ones((len(mean), 1)), components)


def _of_quantiles(estimator, X, floor):
    return _between(estimator.predict(X, quantiles=LEVELS), floor)


def _of_alphas(estimator, X, floor):
    return _between(estimator.predict_quantiles(X, alpha=LEVELS), floor)


ARGUMENTS = {
    ("predict", "return_std"): _of_deviation,
    ("predict", "quantiles"): _of_quantiles,
    ("predict_quantiles", "alpha"): _of_alphas,
}


def _between(quantiles, floor):
    """A kernel at each of the quantiles (n, len(LEVELS)), as wide as they are apart there."""
    quantiles = np.sort(np.asarray(quantiles, dtype=np.float64), axis=1)
    padded = np.pad(quantiles, ((0, 0), (1, 1)), mode="edge")
    apart = padded[:, 2:] - padded[:, :-2]
    apart[:, 1:-1] *= 0.5
    middle = np.diff(quantiles[:, HALF], axis=1)
    least = np.maximum(NARROWEST * middle, floor)
    components = StudentTComponents(quantiles, np.maximum(apart, least), DF)
    return MixtureDistribution(np.full(quantiles.shape, 1 / len(LEVELS)), components)


def _of_scipy(estimator, X, _):
    """Of a frozen distribution of SciPy, or of NGBoost, which keeps one as ``dist``."""
    distribution = estimator.pred_dist(X)
    if not isinstance(distribution, rv_frozen):
        distribution = distribution.dist
    kwds = {name: _column(value) for name, value in distribution.kwds.items()}
    frozen = distribution.dist(*map(_column, distribution.args), **kwds)
    components = ScipyComponents(frozen)
    return MixtureDistribution(np.ones((len(components.mean), 1)), components)


def _column(values):
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def _without_spikes(distribution, floor):
    components = distribution.components
    rows, places = np.nonzero(components.var < floor**2)
    if not len(rows):
        return distribution
    mean = components.mean[rows, places][:, None]
    wide = MixtureDistribution(np.ones((len(rows), 1)), GaussianComponents(mean, np.array([floor])))
    nested = NestedComponents(components, [(rows, places, wide)])
    return MixtureDistribution(distribution.weights, nested)
