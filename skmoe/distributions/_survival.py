"""Weibull components."""

from functools import cached_property

import numpy as np
from scipy import stats

from ._scipy import ScipyComponents

LARGEST = 700.0  # of an exponent
SMALL = -30.0  # logarithms of hazards below it are those of probabilities


class WeibullComponents(ScipyComponents):
    """Durations whose rate of events is a power of time.

    Parameters
    ----------
    location, shape : ndarray of shape (n_samples, n_experts)
        What ``y`` is divided by, and the power that is taken of it.
    """

    def __init__(self, location, shape):
        self.location, self.shape = location, shape
        self.log_location = np.log(location)

    @cached_property
    def distribution(self):
        return stats.weibull_min(self.shape, scale=self.location)

    def _standard(self, y):
        """``shape * log(y / location)``; minus infinity where y is not positive."""
        with np.errstate(divide="ignore"):
            return self.shape * (np.log(np.maximum(y, 0.0)) - self.log_location)

    def logpdf(self, y):
        is_inside = (y > 0) & np.isfinite(y)
        y = np.where(is_inside, y, 1.0)
        z = self._standard(y)
        log_density = np.log(self.shape) - np.log(y) + z - np.exp(np.minimum(z, LARGEST))
        return np.where(is_inside, log_density, -np.inf)

    def logcdf(self, y):
        z = self._standard(y)
        hazard = np.exp(np.minimum(z, LARGEST))
        with np.errstate(divide="ignore"):
            near, far = np.log(-np.expm1(-hazard)), np.log1p(-np.exp(-hazard))
        return np.where(z < SMALL, z, np.where(z < 0, near, far))

    def logsf(self, y):
        z = self._standard(y)
        return np.where(np.isposinf(z), -np.inf, -np.exp(np.minimum(z, LARGEST)))
