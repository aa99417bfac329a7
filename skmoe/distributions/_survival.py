"""Components of durations whose logarithm is a location and an error of a known form."""

from functools import cached_property

import numpy as np
from scipy import special, stats

from ._scipy import ScipyComponents

LARGEST = 700.0  # of an exponent
SMALL = -30.0  # logarithms of hazards below it are those of probabilities


class DurationComponents(ScipyComponents):
    """Durations; ``shape * log(y / location)`` has the same distribution for all.

    Parameters
    ----------
    location, shape : ndarray of shape (n_samples, n_experts)
        What ``y`` is divided by, and the power that is taken of it.
    """

    def __init__(self, location, shape):
        self.location, self.shape = location, shape
        self.log_location = np.log(location)

    def _standard(self, y):
        """``shape * log(y / location)``; minus infinity where y is not positive."""
        with np.errstate(divide="ignore"):
            return self.shape * (np.log(np.maximum(y, 0.0)) - self.log_location)

    def logpdf(self, y):
        is_inside = (y > 0) & np.isfinite(y)
        y = np.where(is_inside, y, 1.0)
        log_density = np.log(self.shape) - np.log(y) + self._log_density(self._standard(y))
        return np.where(is_inside, log_density, -np.inf)


class WeibullComponents(DurationComponents):
    """Weibull components: the rate of events is a power of time."""

    @cached_property
    def distribution(self):
        return stats.weibull_min(self.shape, scale=self.location)

    @staticmethod
    def _log_density(z):
        return z - np.exp(np.minimum(z, LARGEST))

    def logcdf(self, y):
        z = self._standard(y)
        hazard = np.exp(np.minimum(z, LARGEST))
        with np.errstate(divide="ignore"):
            near, far = np.log(-np.expm1(-hazard)), np.log1p(-np.exp(-hazard))
        return np.where(z < SMALL, z, np.where(z < 0, near, far))

    def logsf(self, y):
        z = self._standard(y)
        return np.where(np.isposinf(z), -np.inf, -np.exp(np.minimum(z, LARGEST)))


class LogLogisticComponents(DurationComponents):
    """Log-logistic components around their medians, the locations."""

    @cached_property
    def distribution(self):
        return stats.fisk(self.shape, scale=self.location)

    @cached_property
    def mean(self):
        """Infinite where the shape is one or less."""
        return self._moment(1)

    @property
    def var(self):
        """Infinite where the shape is two or less."""
        with np.errstate(invalid="ignore"):
            return np.where(self.shape > 2, self._moment(2) - self._moment(1) ** 2, np.inf)

    def _moment(self, order):
        angle = np.pi * order / np.maximum(self.shape, order * (1 + 1e-12))
        with np.errstate(over="ignore"):
            moment = self.location**order * angle / np.sin(angle)
        return np.where(self.shape > order, moment, np.inf)

    @staticmethod
    def _log_density(z):
        return special.log_expit(z) + special.log_expit(-z)

    def logcdf(self, y):
        return special.log_expit(self._standard(y))

    def logsf(self, y):
        return special.log_expit(-self._standard(y))
