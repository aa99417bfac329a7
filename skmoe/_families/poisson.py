"""Poisson counts."""

import numpy as np
from sklearn.linear_model import PoissonRegressor

from .._numerics.gamma_shapes import inverse_trigamma, log_mean_of_gamma
from ..distributions import NegativeBinomialComponents, PoissonComponents
from ..distributions._counts import log_poisson
from .base import LARGEST_LOG_MEAN, LogLink

LARGEST_LOG_RATIO = 700.0  # of a mean over a target; more is infinite


class PoissonFamily(LogLink):
    """Counts whose variance is their mean; sizes are exposures."""

    estimator = PoissonRegressor

    def unit(self, y, predictor, scale=1.0):
        near = np.where(y > 0, y, 1.0)
        value = predictor - np.log(near)  # in place from here on: this is where time goes
        np.minimum(value, LARGEST_LOG_RATIO, out=value)
        excess = np.expm1(value)
        excess *= near
        excess += y == 0  # the mean less y
        value *= y
        value -= excess
        return value, -excess, excess + y

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

    def relative(self, y, size, unit):
        return y, size * unit

    def averaged(self, mean, variance, scale, size):
        shape = inverse_trigamma(variance)
        return NegativeBinomialComponents(mean * np.exp(log_mean_of_gamma(shape)), shape)
