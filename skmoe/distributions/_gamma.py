"""Gamma components."""

from functools import cached_property

import numpy as np
from scipy import special, stats

from ._scipy import ScipyComponents

TINY = 1e-290  # a probability below it loses digits


class GammaComponents(ScipyComponents):
    """Gamma components, whose tails are known in logarithms where they underflow.

    Parameters
    ----------
    mean, shape : ndarray of shape (n_samples, n_experts)
        The standard deviation is ``mean / sqrt(shape)``.
    """

    def __init__(self, mean, shape):
        self.mean, self.shape, self.rate = mean, shape, shape / mean

    @cached_property
    def distribution(self):
        """As SciPy has them; made when somebody asks, since that takes time."""
        return stats.gamma(self.shape, scale=self.mean / self.shape)

    def logpdf(self, y):
        is_inside = (y > 0) & np.isfinite(y)
        x = self.rate * np.where(is_inside, y, 1.0)
        log_density = self.shape * np.log(x) - x - special.gammaln(self.shape)
        return np.where(is_inside, log_density - np.log(np.where(is_inside, y, 1.0)), -np.inf)

    def logcdf(self, y):
        x = self.rate * np.maximum(y, 0.0)
        return self._log_tail(special.gammainc, x, lambda shape, x: np.log(x / (shape - x)))

    def logsf(self, y):
        x = self.rate * np.maximum(y, 0.0)
        return self._log_tail(special.gammaincc, x, lambda shape, x: np.log(x / (x + 1 - shape)))

    def _log_tail(self, function, x, log_asymptote):
        """Logarithm of an incomplete gamma function, from the density where it underflows."""
        tail = function(self.shape, x)
        with np.errstate(divide="ignore"):
            log_tail = np.log(tail)
        far = (tail < TINY) & np.isfinite(x) & (x > 0)
        if far.any():
            shape, x = np.broadcast_to(self.shape, x.shape)[far], x[far]
            log_density = (shape - 1) * np.log(x) - x - special.gammaln(shape)
            log_tail[far] = log_density + log_asymptote(shape, x)
        return log_tail
