"""Components with a share of uniform noise."""

import numpy as np
from scipy import special

from ._arrays import diagonal
from ._components import BaseComponents
from ._quadrature import find_root

TAILS = special.expit([-20.0, -16, -12, -8, -6, -4, 4, 6, 8, 12, 16, 20])


class NoisyComponents(BaseComponents):
    """Components with a share of uniform noise each.

    Parameters
    ----------
    components : BaseComponents
        Continuous components, such as :class:`GaussianComponents`.
    share : float
        Probability of noise.
    low, high : float or ndarray of shape (n_outputs,)
        Ends of its range; for several outputs it is uniform over the box.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import GaussianComponents, NoisyComponents
    >>> gaussian = GaussianComponents(
    ...     np.array([[-1.0, 1.0]]), np.array([0.5, 2.0])
    ... )
    >>> NoisyComponents(gaussian, 0.1, -10.0, 10.0).cdf(-1.0).round(3)
    array([[0.495, 0.188]])
    """

    def __init__(self, components, share, low, high):
        self.components = components
        self.share, self.low, self.high = share, low, high

    @property
    def edges(self):
        return [self.low, self.high, *(self.components.ppf(q) for q in TAILS)]

    def without_noise(self):
        return self.components

    @property
    def mean(self):
        """Means, (n_samples, n_experts) or (n_samples, n_experts, n_outputs)."""
        middle = 0.5 * (self.low + self.high)
        return (1 - self.share) * self.components.mean + self.share * middle

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        within = (1 - self.share) * self.components.var + self.share * self._noise_var()
        return within + self.share * (1 - self.share) * self._gap() ** 2

    def _noise_var(self):
        return (self.high - self.low) ** 2 / 12

    def _gap(self):
        """From the middle of the noise to the means of the components."""
        return self.components.mean - 0.5 * (self.low + self.high)

    def _uniform(self, y):
        """Distribution function of the noise."""
        return np.clip((y - self.low) / (self.high - self.low), 0.0, 1.0)

    def logpdf(self, y):
        own = np.log1p(-self.share) + self.components.logpdf(y)
        inside = (self.low <= y) & (y <= self.high)
        noise = np.where(inside, -np.log(self.high - self.low), -np.inf)
        if self.components.mean.ndim == 3:
            noise = np.sum(noise, axis=-1)
        return np.logaddexp(own, np.log(self.share) + noise)

    def cdf(self, y):
        return (1 - self.share) * self.components.cdf(y) + self.share * self._uniform(y)

    def sf(self, y):
        above = np.clip((self.high - y) / (self.high - self.low), 0.0, 1.0)
        return (1 - self.share) * self.components.sf(y) + self.share * above

    def ppf(self, q):
        own, noise = self.components.ppf(q), self.low + q * (self.high - self.low)
        low, high = np.minimum(own, noise), np.maximum(own, noise)
        if q in (0.0, 1.0):
            return low if q == 0.0 else high
        return find_root(lambda y: self.cdf(y) - q, low, high, noise=4 * np.finfo(float).eps * q)

    @property
    def cov(self):
        gap = self._gap()
        between = self.share * (1 - self.share) * gap[..., :, None] * gap[..., None, :]
        noise = self.share * diagonal(self._noise_var())
        return (1 - self.share) * self.components.cov + noise + between

    def output(self, j):
        return NoisyComponents(
            self.components.output(j), self.share, self.low[..., j], self.high[..., j]
        )

    def rvs(self, places, random_state):
        draws = self.components.rvs(places, random_state)
        is_noise = random_state.uniform(size=places.shape) < self.share
        noise = self.low + (self.high - self.low) * random_state.uniform(size=draws.shape)
        return np.where(is_noise.reshape(is_noise.shape + (1,) * (draws.ndim - 2)), noise, draws)
