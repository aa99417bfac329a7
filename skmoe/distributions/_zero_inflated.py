"""Components of which some are always zero."""

import numpy as np

from ._arrays import take
from ._components import BaseComponents


class ZeroInflatedComponents(BaseComponents):
    """Components of which some are a point mass at zero.

    Parameters
    ----------
    components : BaseComponents
        Components of targets that are not negative, such as :class:`PoissonComponents`.
    is_zero : ndarray of bool that broadcasts to (n_samples, n_experts)
        Which of them are replaced by a point mass.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import (
    ...     MixtureDistribution, PoissonComponents, ZeroInflatedComponents,
    ... )
    >>> poisson = PoissonComponents(np.array([[3.0, 1.0]]))
    >>> counts = ZeroInflatedComponents(poisson, [False, True])
    >>> MixtureDistribution(np.array([[0.5, 0.5]]), counts).pmf(0).round(3)
    array([0.525])
    """

    edges = (0.0,)

    def __init__(self, components, is_zero):
        self.components = components
        self.is_zero = np.broadcast_to(is_zero, components.mean.shape)

    @property
    def discrete(self):
        return self.components.discrete

    @property
    def has_atoms(self):
        return not self.discrete and bool(self.is_zero.any())

    @property
    def mean(self):
        """Means, (n_samples, n_experts)."""
        return np.where(self.is_zero, 0.0, self.components.mean)

    @property
    def var(self):
        """Variances, (n_samples, n_experts)."""
        return np.where(self.is_zero, 0.0, self.components.var)

    def logpdf(self, y):
        at_zero = np.where(np.equal(y, 0), 0.0, -np.inf)
        return np.where(self.is_zero, at_zero, self.components.logpdf(y))

    def cdf(self, y):
        return np.where(self.is_zero, np.greater_equal(y, 0), self.components.cdf(y))

    def sf(self, y):
        return np.where(self.is_zero, np.less(y, 0), self.components.sf(y))

    def ppf(self, q):
        lowest = -1.0 if self.discrete and q == 0 else 0.0
        return np.where(self.is_zero, lowest, self.components.ppf(q))

    def rvs(self, places, random_state):
        draws = self.components.rvs(places, random_state)
        return np.where(take(self.is_zero, places), 0.0, draws)
