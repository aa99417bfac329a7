"""Weibull distributed durations."""

import numpy as np
from scipy import special

from ..distributions._survival import WeibullComponents
from .base import LARGEST_LOG_MEAN
from .durations import DurationFamily


class WeibullFamily(DurationFamily):
    """Durations ``(mean / gamma(1 + 1 / shape)) * e ** (1 / shape)``, of exponential e."""

    def unit(self, y, predictor, scale=1.0):
        log_ratio = self._log_ratio(y, predictor, scale)
        ratio = np.exp(log_ratio)
        return (log_ratio - ratio) / scale, ratio - 1, scale * ratio

    def _log_ratio(self, y, predictor, scale):
        """Logarithm of the cumulative hazard."""
        log_ratio = scale * (np.log(y) - predictor + special.gammaln(1 + 1 / scale))
        return np.minimum(log_ratio, LARGEST_LOG_MEAN)

    def first(self, y, predictor, scale=1.0, size=1.0):
        log_ratio = self._log_ratio(y, predictor, scale)
        excess, by_shape = np.expm1(log_ratio), log_ratio - special.digamma(1 + 1 / scale)
        return [scale * excess, 1 - by_shape * excess]

    def second(self, y, predictor, scale=1.0, size=1.0):
        log_ratio = self._log_ratio(y, predictor, scale)
        ratio, by_shape = np.exp(log_ratio), log_ratio - special.digamma(1 + 1 / scale)
        mixed = scale * (ratio - 1 + ratio * by_shape)
        bend = by_shape + special.polygamma(1, 1 + 1 / scale) / scale
        of_shape = bend * (1 - ratio) - ratio * by_shape**2
        return [[-(scale**2) * ratio, mixed], [mixed, of_shape]]

    def components(self, mean, scale=1.0, size=1.0):
        shape = np.broadcast_to(scale, mean.shape)
        return WeibullComponents(mean / special.gamma(1 + 1 / shape), shape)
