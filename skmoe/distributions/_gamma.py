"""Gamma components."""

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
        super().__init__(stats.gamma(shape, scale=mean / shape))
        self.shape, self.rate = shape, shape / mean

    def logcdf(self, y):
        """Logarithm of the distribution function of each component, exact in the lower tail."""
        x = self.rate * np.maximum(y, 0.0)
        return self._log_tail(special.gammainc, x, lambda shape, x: np.log(x / (shape - x)))

    def logsf(self, y):
        """Logarithm of the survival function of each component, exact in the upper tail."""
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
