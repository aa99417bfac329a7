r"""Log-linear experts with partially pooled coefficients.

Expert k has one linear function of the columns, the logarithm of its mean. Its expected
log-density under a normal posterior, with mean m and variance v for a row, is in closed form:

    E log Poisson(y | exposure exp(f))  =  y (log exposure + m) - exposure exp(m + v / 2) - log y!

Functions are relative to the mean rate of all rows, so that the prior of the intercepts does not
depend on the unit of the exposure.
"""

import numpy as np
from scipy import special

from .log_linear import LogLinearExperts
from .pooled_steps import Expected, PooledInSteps

LARGEST_LOG_MEAN = 500.0
HALF_AN_EVENT = 0.5  # that each row is given more, in as much exposure, where steps begin


class Counts:
    """Poisson's likelihood.

    Parameters
    ----------
    exposure : ndarray of shape (n_samples,)
        Expected counts where a function is zero.
    """

    n_functions = 1
    first_size = largest_size = 1.0

    def __init__(self, exposure):
        self.exposure = exposure[:, None, None]

    def first(self, targets, n_experts):
        """``Expected`` of rows whose means are about their targets."""
        exposure = self.exposure[:, :, 0]
        mean = np.log((targets + HALF_AN_EVENT) / (exposure + HALF_AN_EVENT))
        mean = np.repeat(mean[:, None], n_experts, axis=1)
        return self.expected(targets, mean, np.zeros_like(mean))

    def expected(self, targets, mean, variance, near=None):
        """Expected log-probabilities; see ``Expected``.

        Parameters
        ----------
        targets : ndarray of shape (n_samples, 1)
            Counts.
        mean, variance : ndarray of shape (n_samples, n_experts, 1)
            Of the functions.
        near : Expected, default=None
            Not used.
        """
        y = targets[:, None]
        counts = self.exposure * np.exp(np.minimum(mean + 0.5 * variance, LARGEST_LOG_MEAN))
        value = y * (np.log(self.exposure) + mean) - counts - special.gammaln(y + 1)
        return Expected(value[:, :, 0], counts, y - counts + counts * mean)


class PooledLogLinearExperts(PooledInSteps, LogLinearExperts):
    """K log-linear experts with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight
        As ``LinearExperts`` takes them.
    exposure : ndarray of shape (n_samples,) or None
        Of the rows.
    shared_columns : list of int
        Numbers of the columns in which experts do not differ.
    own_variance : float, default=None
        What tau is for more than one expert; None learns it.
    """

    def __init__(self, X, y, weight, *, exposure=None, shared_columns=(), own_variance=None):
        super().__init__(
            X, y, weight, 1, penalty=0.0, per_column_unit=False, glm="poisson",
            exposure=exposure, prior=False,
        )  # fmt: skip
        self.own_variance = own_variance
        self._stand_on(X, weight, shared_columns)
        exposure = np.ones(len(y)) if exposure is None else exposure
        rate = weight @ y / (weight @ exposure)
        self.log_unit, self.kind = np.log(rate), Counts(rate * exposure)
        self.targets_of_kind = y[:, None]

    def _first_weights(self, resp):
        """Equal ones: a row that an expert knows nothing of might have any mean there."""
        return np.full_like(resp, 1 / self.n_experts)

    @property
    def predictions(self):
        """Means of the experts at the means of their coefficients, (n, K)."""
        return np.exp(self._log_mean(self.coef))

    def _set_means(self, mean):
        self.coef = mean[:, :, 0].copy()
        self.coef[:, -1] += self.log_unit
