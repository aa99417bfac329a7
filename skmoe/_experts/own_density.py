"""Predictive distributions that regressors have of their own, for stacks."""

from inspect import signature

import numpy as np
from scipy.stats.distributions import rv_frozen

from ..distributions import (
    GaussianComponents,
    MixtureDistribution,
    NestedComponents,
    ScipyComponents,
)
from .traits import has_oob_prediction, offers, step_inside


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
    while (tell := _teller(estimator)) is None:
        estimator, X = step_inside(estimator, X)
    distribution = tell(estimator, X, floor)
    if distribution.discrete or distribution.components.has_atoms:
        raise ValueError(
            f"{type(estimator).__name__} gives single values a probability, which cannot be "
            "weighed against the densities of other experts. Give it a continuous distribution, "
            "or leave it out of the list."
        )
    return _without_spikes(distribution, floor)


def _teller(estimator):
    """What makes its distribution of an estimator, X and the floor; None where it has none."""
    if offers(estimator, "predict_dist"):
        return lambda estimator, X, _: estimator.predict_dist(X)
    if offers(estimator, "pred_dist"):
        return lambda estimator, X, _: _of_scipy(estimator.pred_dist(X))
    if offers(estimator, "predict") and "return_std" in signature(estimator.predict).parameters:
        return _of_deviation
    return None


def _of_deviation(estimator, X, floor):
    mean, std = estimator.predict(X, return_std=True)
    components = GaussianComponents(_column(mean), np.maximum(_column(std), floor))
    return MixtureDistribution(np.ones((len(mean), 1)), components)


def _of_scipy(distribution):
    """Of a frozen distribution of SciPy, or of NGBoost, which keeps one as ``dist``."""
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
