"""Durations whose logarithm is a location and an error of a known form."""

import numpy as np
from sklearn.linear_model import GammaRegressor

from .base import LogLink


class DurationFamily(LogLink):
    """Durations with a shape, by which errors of the logarithm are divided."""

    estimator = GammaRegressor
    scale = "shape_"
    has_precision = unit_has_scale = has_density = True

    def normaliser(self, scale):
        return np.log(scale)

    def constant(self, y, size=1.0):
        return -np.log(y)

    def supports(self, y):
        return y > 0

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return self.components(mean, scale).logpdf(y)
