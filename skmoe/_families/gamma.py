"""Gamma distributed targets."""

import numpy as np
from scipy import special, stats
from sklearn.linear_model import GammaRegressor

from .._numerics.gamma_shapes import inverse_trigamma, log_mean_of_gamma, shape_of_deviance
from ..distributions import ScipyComponents
from ..distributions._gamma import GammaComponents
from .base import LARGEST_LOG_MEAN, LogLink


class GammaFamily(LogLink):
    """Positive targets whose standard deviation is ``mean / sqrt(shape)``."""

    estimator = GammaRegressor
    scale = "shape_"
    has_precision = has_density = True

    def unit(self, y, predictor, scale=1.0):
        value = np.log(np.where(y > 0, y, 1.0)) - predictor  # zeros have no weight
        excess = np.expm1(value)
        value -= excess
        return value, excess, 1 + excess

    def normaliser(self, scale):
        return scale * np.log(scale) - scale - special.gammaln(scale)

    def normaliser_bend(self, scale):
        return 1 / scale - special.polygamma(1, scale)

    def constant(self, y, size=1.0):
        return -np.log(y)

    def supports(self, y):
        return y > 0

    def best_scale(self, mean, scale=1.0):
        return shape_of_deviance(-mean)

    def expected_unit(self, y, mean, variance, scale=1.0):
        log_ratio = np.log(y) - mean
        ratio = np.exp(np.minimum(log_ratio + 0.5 * variance, LARGEST_LOG_MEAN))
        return log_ratio + 1 - ratio, ratio - 1, ratio

    def first_curvature(self, curvature):
        return np.ones_like(curvature)  # expected; that of small targets is next to none

    def log_density(self, y, mean, scale=1.0, size=1.0):
        is_possible = y > 0
        y = np.where(is_possible, y, 1.0)
        ratio = y / mean
        constant = scale * np.log(scale) - special.gammaln(scale)
        log_density = constant + scale * (np.log(ratio) - ratio) - np.log(y)
        return np.where(is_possible, log_density, -np.inf)

    def components(self, mean, scale=1.0, size=1.0):
        return GammaComponents(mean, np.broadcast_to(scale, mean.shape))

    def relative(self, y, size, unit):
        return y / unit, size

    def averaged(self, mean, variance, scale, size):
        shape = inverse_trigamma(special.polygamma(1, scale) + variance)
        mean = mean * np.exp(log_mean_of_gamma(shape) - log_mean_of_gamma(scale))
        return ScipyComponents(stats.gamma(shape, scale=mean / shape))
