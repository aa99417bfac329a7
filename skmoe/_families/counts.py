"""Families of counts: Poisson, negative binomial, and successes in trials."""

import numpy as np
from scipy import special
from sklearn.linear_model import PoissonRegressor

from .._numerics.gamma_shapes import inverse_trigamma, log_mean_of_gamma
from ..distributions import (
    AveragedBinomialComponents,
    BinomialComponents,
    NegativeBinomialComponents,
    PoissonComponents,
)
from ..distributions._counts import log_binomial, log_negative_binomial, log_poisson
from .base import LARGEST_LOG_MEAN, LogitLink, LogLink

LARGEST_LOG_RATIO = 700.0  # of a mean over a target; more is infinite
# For a standard normal variable. Equal distances leave no gaps in the tails, as Gauss's nodes
# would, and are as exact for smooth functions.
NORMAL_NODES = np.linspace(-5, 5, 21)
NORMAL_MASSES = special.softmax(-0.5 * NORMAL_NODES**2)
MOST_CERTAIN = 1e-15  # of a rate, or of what it leaves


class PoissonFamily(LogLink):
    """Counts whose variance is their mean; sizes are exposures."""

    estimator = PoissonRegressor
    kernel = 1

    def unit(self, y, predictor, scale=1.0):
        near = np.where(y > 0, y, 1.0)
        ratio = np.minimum(predictor - np.log(near), LARGEST_LOG_RATIO)
        excess = near * np.expm1(ratio) + (y == 0)  # the mean less y
        return y * ratio - excess, -excess, excess + y

    def constant(self, y, size=1.0):
        near = np.where(y > 0, y, 1.0)
        return np.where(y > 0, log_poisson(near, near), 0.0)

    def expected_unit(self, y, mean, variance, scale=1.0):
        log_y = np.log(np.where(y > 0, y, 1.0))
        expected = np.exp(np.minimum(mean + 0.5 * variance, LARGEST_LOG_MEAN))
        return y * (mean - log_y) + y - expected, y - expected, expected

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return log_poisson(y, mean)

    def components(self, mean, scale=1.0, size=1.0):
        return PoissonComponents(mean)

    def averaged(self, mean, variance, scale, size):
        shape = inverse_trigamma(variance)
        return NegativeBinomialComponents(mean * np.exp(log_mean_of_gamma(shape)), shape)


class NegativeBinomialFamily(PoissonFamily):
    """Counts whose variance is ``mean + mean**2 / shape``: those of Poisson, of unknown exposure.

    Experts are those of Poisson, with the expected exposure; ``unit`` is theirs.
    """

    scale = "shape_"
    kernel = None
    at_bound_message = (
        "The counts of {names} vary no more than Poisson's, so that their shape has no "
        "maximum and no standard error. Take likelihood='poisson'."
    )

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return log_negative_binomial(y, mean, scale)

    def components(self, mean, scale=1.0, size=1.0):
        return NegativeBinomialComponents(mean, scale)

    def first(self, y, predictor, scale=1.0, size=1.0):
        mean = size * self.mean(predictor)
        total = mean + scale
        gap = y - mean
        by_scale = special.digamma(y + scale) - special.digamma(scale) + np.log(scale / total)
        return [gap * scale / total, scale * (by_scale - gap / total)]


class BinomialFamily(LogitLink):
    """Successes in trials, which are the sizes, with log-odds that are linear."""

    def unit(self, y, predictor, scale=1.0):
        rate = special.expit(predictor)
        # log(1 + exp(predictor)), without a second exponential.
        log_norm = np.maximum(predictor, 0) - np.log(np.maximum(rate, 1 - rate))
        return y * predictor - log_norm, y - rate, rate * (1 - rate)

    def constant(self, y, size=1.0):
        return -special.betaln(y + 1, size - y + 1) - np.log1p(size)

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return log_binomial(y, mean, size)

    def components(self, mean, scale=1.0, size=1.0):
        return BinomialComponents(mean, size)

    def averaged(self, mean, variance, scale, size):
        log_odds = special.logit(np.clip(mean / size, MOST_CERTAIN, 1 - MOST_CERTAIN))
        rates = special.expit(log_odds[:, :, None] + np.sqrt(variance)[:, :, None] * NORMAL_NODES)
        return AveragedBinomialComponents(rates, NORMAL_MASSES, size)
