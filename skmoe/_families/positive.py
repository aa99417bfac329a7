"""Families of positive targets: Gamma, Weibull, inverse Gaussian, and Beta below one."""

from functools import partial

import numpy as np
from scipy import special, stats
from sklearn.linear_model import GammaRegressor, TweedieRegressor

from .._numerics.gamma_shapes import (
    LARGEST_SHAPE,
    inverse_trigamma,
    log_mean_of_gamma,
    shape_of_deviance,
)
from ..distributions import ScipyComponents
from ..distributions._scipy import GammaComponents, WeibullComponents
from .base import LARGEST_LOG_MEAN, LogitLink, LogLink

MOST_CERTAIN = 1e-15  # of a mean, or of what it leaves, that a logit is taken of
LARGEST_PREDICTOR = 300.0  # of a mean whose square does not underflow
MEANS = 1e-300, 1 - 2.0**-53  # within which there is a distribution
LARGEST_SHARE = 0.99  # of the variance of zeros and ones
LONGEST_STEP = 1.0  # of the logarithm of a scale
LARGEST_LOG_RATIO = 200.0  # of a target over its mean, whose square is finite


class GammaFamily(LogLink):
    """Positive targets whose standard deviation is ``mean / sqrt(shape)``."""

    estimator = GammaRegressor
    kernel = 2
    scale = "shape_"
    has_density = True

    def unit(self, y, predictor, scale=1.0):
        value = np.log(y) - predictor
        excess = np.expm1(value)
        value -= excess
        return value, excess, 1 + excess

    def normaliser(self, scale):
        return scale * np.log(scale) - scale - special.gammaln(scale)

    def normaliser_bend(self, scale):
        return 1 / scale - special.polygamma(1, scale)

    def constant(self, y, size=1.0):
        return -np.log(y)

    def best_scale(self, mean, scale=1.0):
        return shape_of_deviance(-mean)

    def expected_unit(self, y, mean, variance, scale=1.0):
        log_ratio = np.log(y) - mean
        ratio = np.exp(np.minimum(log_ratio + 0.5 * variance, LARGEST_LOG_MEAN))
        return log_ratio + 1 - ratio, ratio - 1, ratio

    def first_curvature(self, curvature):
        return np.ones_like(curvature)  # expected; that of small targets is next to none

    def components(self, mean, scale=1.0, size=1.0):
        return GammaComponents(mean, np.broadcast_to(scale, mean.shape))

    def averaged(self, mean, variance, scale, size):
        shape = inverse_trigamma(special.polygamma(1, scale) + variance)
        mean = mean * np.exp(log_mean_of_gamma(shape) - log_mean_of_gamma(scale))
        return ScipyComponents(stats.gamma(shape, scale=mean / shape))


class WeibullFamily(LogLink):
    """Durations ``(mean / gamma(1 + 1 / shape)) * e ** (1 / shape)``, of exponential e."""

    estimator = GammaRegressor
    scale = "shape_"
    unit_has_scale = has_density = scale_is_slope = True

    def unit(self, y, predictor, scale=1.0):
        log_ratio = scale * (np.log(y) - predictor + special.gammaln(1 + 1 / scale))
        log_ratio = np.minimum(log_ratio, LARGEST_LOG_MEAN)  # of the cumulative hazard
        ratio = np.exp(log_ratio)
        return (log_ratio - ratio) / scale, ratio - 1, scale * ratio

    def normaliser(self, scale):
        return np.log(scale)

    def constant(self, y, size=1.0):
        return -np.log(y)

    def components(self, mean, scale=1.0, size=1.0):
        shape = np.broadcast_to(scale, mean.shape)
        return WeibullComponents(mean / special.gamma(1 + 1 / shape), shape)


class InverseGaussianFamily(LogLink):
    """Positive targets whose variance is ``mean ** 3 / shape``; shapes have the target's unit."""

    estimator = partial(TweedieRegressor, power=3, link="log")
    scale = "shape_"
    has_density = scale_has_unit = True

    def unit(self, y, predictor, scale=1.0):
        inverse = self.target_unit / y
        ratio = self._ratio(y, predictor)
        value = -0.5 * inverse * (ratio - 1) ** 2
        return value, inverse * ratio * (ratio - 1), inverse * ratio  # the expected curvature

    def normaliser(self, scale):
        return 0.5 * np.log(scale)

    def normaliser_bend(self, scale):
        return -0.5 / scale**2

    def constant(self, y, size=1.0):
        return 0.5 * np.log(self.target_unit / (2 * np.pi)) - 1.5 * np.log(y)

    def best_scale(self, mean, scale=1.0):
        return 0.5 / np.maximum(-mean, 0.5 / LARGEST_SHAPE)

    def expected_unit(self, y, mean, variance, scale=1.0):
        inverse = self.target_unit / y
        ratio = self._ratio(y, mean - 0.5 * variance)
        square = self._ratio(y, mean - variance) ** 2
        value = -0.5 * inverse * (square - 2 * ratio + 1)
        curvature = inverse * np.maximum(2 * square - ratio, 0.0)
        return value, inverse * (square - ratio), curvature

    def _ratio(self, y, predictor):
        """Target over mean."""
        return np.exp(np.clip(np.log(y) - predictor, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))

    def components(self, mean, scale=1.0, size=1.0):
        shape = np.broadcast_to(self.target_unit * scale, mean.shape)
        return ScipyComponents(stats.invgauss(mean / shape, scale=shape))

    def averaged(self, mean, variance, scale, size):
        # To first order; the exponential of a large variance would be no mean of any target.
        share = self.target_unit * scale / mean
        return self.components(mean * (1 + 0.5 * variance), scale / (1 + variance * share))


class BetaFamily(LogitLink):
    """Rates whose variance is ``mean * (1 - mean) / (1 + scale)``."""

    scale = "concentration_"
    unit_has_scale = has_density = True

    def link(self, mean):
        return special.logit(np.clip(mean, MOST_CERTAIN, 1 - MOST_CERTAIN))

    def unit(self, y, predictor, scale=1.0):
        mean, other = _rates(predictor)
        information = special.polygamma(1, scale * mean) + special.polygamma(1, scale * other)
        curvature = (mean * other) ** 2 * scale * information + 0 * y  # which is expected
        return *self.sloped(y, predictor, scale), curvature

    def sloped(self, y, predictor, scale):
        mean, other = _rates(predictor)
        a = scale * mean
        b = scale * other
        value = mean * np.log(y) + other * np.log1p(-y)
        value = value - (special.gammaln(a) + special.gammaln(b)) / scale
        return value, mean * other * (special.logit(y) - special.digamma(a) + special.digamma(b))

    def normaliser(self, scale):
        return special.gammaln(scale)

    def constant(self, y, size=1.0):
        return -np.log(y) - np.log1p(-y)

    def statistic(self, value, y, mean, variance, scale):
        # The slope of the log-density in the logarithm of the scale, which has no closed maximum.
        rate, other = _rates(mean)
        slope = rate * (np.log(y) - special.digamma(scale * rate))
        slope += other * (np.log1p(-y) - special.digamma(scale * other))
        return scale * (slope + special.digamma(scale))

    def best_scale(self, mean, scale=1.0):
        # Curvatures are between one half, of large scales, and one: no such step goes down.
        step = np.clip(1.5 * mean, -LONGEST_STEP, LONGEST_STEP)
        return np.minimum(scale * np.exp(step), LARGEST_SHAPE)

    def log_density(self, y, mean, scale=1.0, size=1.0):
        is_possible = (y > 0) & (y < 1)
        mean = np.clip(mean, *MEANS)
        y = np.where(is_possible, y, 0.5)
        a = scale * mean
        b = scale * (1 - mean)
        log_density = special.gammaln(scale) - special.gammaln(a) - special.gammaln(b)
        log_density = log_density + (a - 1) * np.log(y) + (b - 1) * np.log1p(-y)
        return np.where(is_possible, log_density, -np.inf)

    def components(self, mean, scale=1.0, size=1.0):
        mean = np.clip(mean, *MEANS)
        return ScipyComponents(stats.beta(mean * scale, (1 - mean) * scale))

    def averaged(self, mean, variance, scale, size):
        # The variance of the mean, to first order, is added to that around it.
        of_mean = np.minimum(mean * (1 - mean) * variance, LARGEST_SHARE)
        share = of_mean + (1 - of_mean) / (1 + scale)  # of the variance of zeros and ones
        return self.components(mean, (1 - share) / share)


def _rates(predictor):
    """Means, and what they leave of one."""
    predictor = np.clip(predictor, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
    return special.expit(predictor), special.expit(-predictor)
