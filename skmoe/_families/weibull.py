"""Weibull distributed durations."""

import numpy as np
from scipy import special
from sklearn.linear_model import GammaRegressor

from ..distributions._survival import WeibullComponents
from .base import LARGEST_LOG_MEAN, LogLink


class WeibullFamily(LogLink):
    """Durations ``(mean / gamma(1 + 1 / shape)) * e ** (1 / shape)``, of exponential e."""

    estimator = GammaRegressor
    scale = "shape_"
    has_precision = unit_has_scale = has_density = scale_is_slope = True

    def unit(self, y, predictor, scale=1.0):
        log_ratio = scale * (np.log(y) - predictor + special.gammaln(1 + 1 / scale))
        log_ratio = np.minimum(log_ratio, LARGEST_LOG_MEAN)  # of the cumulative hazard
        ratio = np.exp(log_ratio)
        return (log_ratio - ratio) / scale, ratio - 1, scale * ratio

    def normaliser(self, scale):
        return np.log(scale)

    def constant(self, y, size=1.0):
        return -np.log(y)

    def supports(self, y):
        return y > 0

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return self.components(mean, scale).logpdf(y)

    def components(self, mean, scale=1.0, size=1.0):
        shape = np.broadcast_to(scale, mean.shape)
        return WeibullComponents(mean / special.gamma(1 + 1 / shape), shape)
