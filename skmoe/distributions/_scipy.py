"""Components of any kind that SciPy has."""

from functools import cached_property

import numpy as np
from scipy import special, stats

from ._arrays import diagonal, take
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
        """Log-density of each component; of discrete ones, the log-probability of the value.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs.
        """
        log_density = self.distribution.logpmf if self.discrete else self.distribution.logpdf
        return log_density(y).sum(axis=2) if self.mean.ndim == 3 else log_density(y)

    def cdf(self, y):
        """Distribution function of each component.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self.distribution.cdf(y)

    def sf(self, y):
        """Survival function of each component, exact in the upper tail.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self.distribution.sf(y)

    def logcdf(self, y):
        return self.distribution.logcdf(y)

    def logsf(self, y):
        return self.distribution.logsf(y)

    def ppf(self, q):
        """Quantile function of each component.

        Parameters
        ----------
        q : float
            A probability.

        Returns
        -------
        quantiles : ndarray, shaped like ``mean``
            Of each output alone; of discrete components, the smallest whole number whose
            distribution function is at least q.
        """
        if not self.discrete or q in (0.0, 1.0):
            return self.distribution.ppf(q)
        # SciPy's own, of means in the billions, is NaN or takes forever.
        guess = self.mean + special.ndtri(q) * np.sqrt(self.var)
        return find_quantile(self.cdf, q, np.where(np.isfinite(guess), guess, 0.0))

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return diagonal(self.var)

    def output(self, j):
        """The components of one output alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : ScipyComponents
            Of one output.
        """

        return ScipyComponents(self._frozen(lambda parameter: parameter[..., j]))

    def rvs(self, places, random_state):
        """Draw from some of the components.

        Parameters
        ----------
        places : ndarray of shape (n_samples, size)
            For each draw of a row, the number of the component.
        random_state : RandomState
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples, size) or (n_samples, size, n_outputs)
            In the units of the target.
        """
        drawn = self._frozen(lambda parameter: take(parameter, places))
        return drawn.rvs(size=take(self.mean, places).shape, random_state=random_state)

    def _frozen(self, select):
        """The distribution with some of its parameters, which are first shaped like ``mean``."""

        def of(parameter):
            return select(np.broadcast_to(parameter, self.mean.shape))

        frozen = self.distribution
        named = {name: of(parameter) for name, parameter in frozen.kwds.items()}
        return frozen.dist(*(of(parameter) for parameter in frozen.args), **named)
