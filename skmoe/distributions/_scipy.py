"""Components from SciPy: any distribution, and Gamma and Weibull with tails in logarithms."""

from functools import cached_property

import numpy as np
from scipy import special, stats

from ._arrays import log_of_tail, take
from ._components import BaseComponents
from ._quadrature import find_quantile

LARGEST = 700.0  # of an exponent
SMALL = -30.0  # below it, logarithms of hazards equal those of probabilities


class ScipyComponents(BaseComponents):
    """Components from any distribution of :mod:`scipy.stats`, for each row and expert.

    Parameters
    ----------
    distribution : frozen distribution of scipy.stats
        Continuous, or discrete on whole numbers. Its parameters broadcast to
        (n_samples, n_experts) or (n_samples, n_experts, n_outputs), as in
        ``stats.t(4, loc=prediction, scale=scale)``; outputs are independent within an expert.

    Attributes
    ----------
    discrete : bool
        Whether the distribution is discrete, on whole numbers.

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
        with np.errstate(over="ignore", invalid="ignore"):  # SciPy computes higher moments, too
            return np.asarray(self.distribution.mean())

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.distribution.var()

    def logpdf(self, y):
        if self.discrete:
            log_density = self.distribution.logpmf
        else:
            log_density = self.distribution.logpdf
        if self.mean.ndim == 3:
            return log_density(y).sum(axis=2)
        return log_density(y)

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
        # SciPy's, for means in the billions, is NaN or never ends.
        guess = self.mean + special.ndtri(q) * np.sqrt(self.var)
        return find_quantile(self.cdf, q, np.where(np.isfinite(guess), guess, 0.0))

    def output(self, j):
        return ScipyComponents(self._frozen(lambda parameter: parameter[..., j]))

    def rvs(self, places, random_state):
        drawn = self._frozen(lambda parameter: take(parameter, places))
        return drawn.rvs(size=take(self.mean, places).shape, random_state=random_state)

    def _frozen(self, select):
        """The distribution with some of its parameters, broadcast to the shape of ``mean``."""

        def of(parameter):
            return select(np.broadcast_to(parameter, self.mean.shape))

        frozen = self.distribution
        named = {name: of(parameter) for name, parameter in frozen.kwds.items()}
        return frozen.dist(*(of(parameter) for parameter in frozen.args), **named)


class GammaComponents(ScipyComponents):
    """Gamma components, with logarithms of the tails where these underflow.

    Parameters
    ----------
    mean, shape : ndarray of shape (n_samples, n_experts)
        The standard deviation is ``mean / sqrt(shape)``.
    """

    def __init__(self, mean, shape):
        self.mean = mean
        self.shape = shape
        self.rate = shape / mean

    @cached_property
    def distribution(self):
        """SciPy's distribution, created when it is first needed, since that takes time."""
        return stats.gamma(self.shape, scale=self.mean / self.shape)

    def logpdf(self, y):
        is_inside = (y > 0) & np.isfinite(y)
        x = self.rate * np.where(is_inside, y, 1.0)
        log_density = self.shape * np.log(x) - x - special.gammaln(self.shape)
        return np.where(is_inside, log_density - np.log(np.where(is_inside, y, 1.0)), -np.inf)

    def logcdf(self, y):
        return self._log_tail(special.gammainc, y, lambda shape, x: shape - x)

    def logsf(self, y):
        return self._log_tail(special.gammaincc, y, lambda shape, x: x + 1 - shape)

    def _log_tail(self, function, y, divisor):
        """Logarithm of an incomplete gamma function; from the density where it underflows."""

        def asymptote(shape, x):
            log_density = (shape - 1) * np.log(x) - x - special.gammaln(shape)
            return log_density + np.log(x / divisor(shape, x))

        x = self.rate * np.maximum(y, 0.0)
        return log_of_tail(function(self.shape, x), asymptote, self.shape, x)


class WeibullComponents(ScipyComponents):
    """Weibull components: durations whose hazard is a power of time.

    Parameters
    ----------
    location, shape : ndarray of shape (n_samples, n_experts)
        Divisor of ``y``, and exponent of the ratio.
    """

    def __init__(self, location, shape):
        self.location = location
        self.shape = shape
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
            near = np.log(-np.expm1(-hazard))
            far = np.log1p(-np.exp(-hazard))
        return np.where(z < SMALL, z, np.where(z < 0, near, far))

    def logsf(self, y):
        z = self._standard(y)
        return np.where(np.isposinf(z), -np.inf, -np.exp(np.minimum(z, LARGEST)))
