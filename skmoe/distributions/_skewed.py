"""Components of the skew-normal and the skew t distribution."""

import numpy as np
from scipy import special

from .._numerics.gamma_shapes import log_gamma_ratio
from ._arrays import take
from ._components import BaseComponents
from ._quadrature import find_root
from ._student_t import log_t, log_tail

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(40)


def log_skew_normal(z, skew):
    """Log-density of the standard skew-normal distribution."""
    return np.log(2) - 0.5 * (z**2 + np.log(2 * np.pi)) + special.log_ndtr(skew * z)


def log_skew_t(z, skew, df):
    """Log-density of the standard skew t distribution."""
    inside = skew * z * np.sqrt((df + 1) / (df + z**2))
    return np.log(2) + log_t(z, df) + log_tail(df + 1, inside)


def normal_hazard(x):
    """Density of the standard normal distribution over its distribution function."""
    return np.sqrt(2 / np.pi) / special.erfcx(-x / np.sqrt(2))


class _SkewedComponents(BaseComponents):
    """What both have: a location, a scale and a skew for each row and expert, one output."""

    def __init__(self, location, scale, skew):
        self.location = location
        self.scale = np.broadcast_to(scale, location.shape)
        self.skew = np.broadcast_to(skew, location.shape)

    def _standard(self, y):
        return (y - self.location) / self.scale

    @property
    def _delta(self):
        return self.skew / np.sqrt(1 + self.skew**2)

    @property
    def mean(self):
        """Means, (n_samples, n_experts)."""
        return self.location + self.scale * self._delta * self._mean_of_half()

    @property
    def var(self):
        """Variances, (n_samples, n_experts)."""
        shift = self._delta * self._mean_of_half()
        return self.scale**2 * (self._var_without_skew() - shift**2)

    def logpdf(self, y):
        return self._log_density(self._standard(y)) - np.log(self.scale)

    def cdf(self, y):
        z = self._standard(y)
        return np.clip(self._symmetric(z) - self._taken(z), 0.0, 1.0)

    def sf(self, y):
        z = self._standard(y)
        return np.clip(self._symmetric(-z) + self._taken(z), 0.0, 1.0)

    def ppf(self, q):
        # Between those of the distribution without skew and of all its skew.
        if q in (0.0, 1.0):
            return np.full(self.location.shape, -np.inf if q == 0.0 else np.inf)
        to_right = self.skew >= 0
        ends = [np.where(to_right, q, 0.5 * q), np.where(to_right, 0.5 + 0.5 * q, q)]
        low, high = (self.location + self.scale * self._symmetric_ppf(end) for end in ends)
        return find_root(lambda y: self.cdf(y) - q, low, high, noise=4 * np.finfo(float).eps * q)

    def rvs(self, places, random_state):
        delta = take(self._delta, places)
        half, normal = random_state.standard_normal((2, *places.shape))
        standard = delta * np.abs(half) + np.sqrt(1 - delta**2) * normal
        standard = standard * self._stretch(places, random_state)
        return take(self.location, places) + take(self.scale, places) * standard


class SkewNormalComponents(_SkewedComponents):
    """Skew-normal components, one for each row and expert.

    Parameters
    ----------
    location : ndarray of shape (n_samples, n_experts)
        Locations, which are not the means.
    scale, skew : float or ndarray that broadcasts against ``location``
        Scales, and skews of any sign, the ``a`` of ``scipy.stats.skewnorm``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import SkewNormalComponents
    >>> two = SkewNormalComponents(np.zeros((1, 2)), 1.0, np.array([0.0, 5.0]))
    >>> two.cdf(0.0).round(3)
    array([[0.5  , 0.063]])
    """

    def _mean_of_half(self):
        return np.sqrt(2 / np.pi)

    def _var_without_skew(self):
        return 1.0

    def _log_density(self, z):
        return log_skew_normal(z, self.skew)

    def _symmetric(self, z):
        return special.ndtr(z)

    def _symmetric_ppf(self, q):
        return special.ndtri(q)

    def _taken(self, z):
        """What the skew takes from the distribution function."""
        return 2 * special.owens_t(z, self.skew)

    def _stretch(self, places, random_state):
        return 1.0


class SkewTComponents(_SkewedComponents):
    """Skew t components, one for each row and expert.

    Parameters
    ----------
    location : ndarray of shape (n_samples, n_experts)
        Locations, which are not the means.
    scale, skew : float or ndarray that broadcasts against ``location``
        Scales, and skews of any sign.
    df : float or ndarray that broadcasts against ``location``
        Degrees of freedom, above 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import SkewTComponents
    >>> two = SkewTComponents(np.zeros((1, 2)), 1.0, np.array([0.0, 5.0]), 4.0)
    >>> two.cdf(0.0).round(3)
    array([[0.5  , 0.063]])
    """

    def __init__(self, location, scale, skew, df):
        super().__init__(location, scale, skew)
        self.df = np.broadcast_to(df, location.shape)

    def _mean_of_half(self):
        half = log_gamma_ratio(0.5 * (self.df - 1), 0.5)
        return np.exp(0.5 * np.log(self.df / np.pi) - half)

    def _var_without_skew(self):
        return self.df / (self.df - 2)

    def _log_density(self, z):
        return log_skew_t(z, self.skew, self.df)

    def _symmetric(self, z):
        return special.stdtr(self.df, z)

    def _symmetric_ppf(self, q):
        return special.stdtrit(self.df, q)

    def _taken(self, z):
        """What the skew takes from the distribution function: a bivariate t probability.

        By Plackett's identity its derivative by the skew is elementary. The integral is by Gauss
        and Legendre's rule over the inverse hyperbolic sine, on whose scale the integrand is
        smooth for any skew.
        """
        half, total = 0.5 * np.arcsinh(self.skew), 0.0
        for node, weight in zip(NODES, NODE_WEIGHTS, strict=True):
            stretch = np.cosh(half * (1 + node))
            log_power = 0.5 * self.df * np.log1p((z * stretch) ** 2 / self.df)
            total = total + weight / stretch * np.exp(-log_power)
        return half * total / np.pi

    def _stretch(self, places, random_state):
        df = take(self.df, places)
        return np.sqrt(df / random_state.chisquare(df))
