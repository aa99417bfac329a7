"""Components of any kind that SciPy has."""

from functools import cached_property

import numpy as np
from scipy import special, stats

from ._arrays import take
from ._components import BaseComponents
from ._quadrature import find_quantile


class ScipyComponents(BaseComponents):
    """Components of any kind that :mod:`scipy.stats` has, one for each row and expert.

    Parameters
    ----------
    distribution : frozen distribution of scipy.stats
        Continuous, or discrete on whole numbers. Its parameters broadcast to
        (n_samples, n_experts) or (n_samples, n_experts, n_outputs), as in
        ``stats.t(4, loc=prediction, scale=scale)``; outputs are independent within an expert.

    Attributes
    ----------
    discrete : bool
        Whether all the probability is on whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from skmoe.distributions import MixtureDistribution, ScipyComponents
    >>> counts = ScipyComponents(stats.poisson(np.array([[1.0, 5.0]])))
    >>> counts.cdf(2.5).round(3)
    array([[0.92 , 0.125]])
    >>> MixtureDistribution(np.array([[0.5, 0.5]]), counts).ppf([0.1, 0.5, 0.9])
    array([[0., 2., 7.]])
    """

    def __init__(self, distribution):
        self.distribution = distribution
        self.discrete = isinstance(distribution.dist, stats.rv_discrete)

    @cached_property
    def mean(self):
        """Means, (n_samples, n_experts) or (n_samples, n_experts, n_outputs)."""
        with np.errstate(over="ignore", invalid="ignore"):  # higher moments, which SciPy finds too
            return np.asarray(self.distribution.mean())

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.distribution.var()

    def logpdf(self, y):
        log_density = self.distribution.logpmf if self.discrete else self.distribution.logpdf
        return log_density(y).sum(axis=2) if self.mean.ndim == 3 else log_density(y)

    def cdf(self, y):
        return self.distribution.cdf(y)

    def sf(self, y):
        return self.distribution.sf(y)

    def logcdf(self, y):
        return self.distribution.logcdf(y)

    def logsf(self, y):
        return self.distribution.logsf(y)

    def ppf(self, q):
        if not self.discrete or q in (0.0, 1.0):
            return self.distribution.ppf(q)
        # SciPy's own, of means in the billions, is NaN or takes forever.
        guess = self.mean + special.ndtri(q) * np.sqrt(self.var)
        return find_quantile(self.cdf, q, np.where(np.isfinite(guess), guess, 0.0))

    def output(self, j):
        return ScipyComponents(self._frozen(lambda parameter: parameter[..., j]))

    def rvs(self, places, random_state):
        drawn = self._frozen(lambda parameter: take(parameter, places))
        return drawn.rvs(size=take(self.mean, places).shape, random_state=random_state)

    def _frozen(self, select):
        """The distribution with some of its parameters, which are first shaped like ``mean``."""

        def of(parameter):
            return select(np.broadcast_to(parameter, self.mean.shape))

        frozen = self.distribution
        named = {name: of(parameter) for name, parameter in frozen.kwds.items()}
        return frozen.dist(*(of(parameter) for parameter in frozen.args), **named)
