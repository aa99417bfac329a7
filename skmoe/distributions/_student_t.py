"""Components of Student's t distribution."""

from functools import cached_property, lru_cache

import numpy as np
from scipy import special

from .._kernels._exp import mixed_cdf, symmetric_cdf
from .._numerics.gamma_shapes import log_gamma_ratio
from ._arrays import log_of_tail, take
from ._components import BaseComponents

MANY, FEW = 5_000, 8  # values, and degrees of freedom, whose distribution function is interpolated
STEP, N_STEPS = 0.005, 8_000  # of the interpolation, in the inverse hyperbolic sine
LARGEST = 1e150  # error in units of the scale: its square is finite


class StudentTComponents(BaseComponents):
    """Components of Student's t distribution, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Centres, which are the means.
    scale : ndarray that broadcasts against ``mean``
        Scales, such as one for each expert, (n_experts,) or (n_experts, n_outputs). Several outputs
        are a multivariate t variable within an expert: uncorrelated, but not independent.
    df : float or ndarray that broadcasts to (n_samples, n_experts)
        Degrees of freedom, above 1. With shape (n_samples, n_experts, n_outputs), outputs are
        independent within an expert.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import StudentTComponents
    >>> mean, scale = np.array([[-1.0, 1.0]]), np.array([0.5, 2.0])
    >>> StudentTComponents(mean, scale, 4.0).cdf(-1.0).round(3)
    array([[0.5  , 0.187]])
    """

    def __init__(self, mean, scale, df):
        self.mean = mean
        self.scale = np.broadcast_to(scale, mean.shape)
        self._are_independent = np.ndim(df) == 3
        self.df = np.broadcast_to(df, mean.shape if self._are_independent else mean.shape[:2])

    def _df(self):
        """Degrees of freedom, shaped to broadcast against ``mean``."""
        return self.df[:, :, None] if self.mean.ndim > self.df.ndim else self.df

    @cached_property
    def _kinds(self):
        """The distinct degrees of freedom, and the index of each, to broadcast against them."""
        df = self._df()
        df = df[:1] if df.strides[0] == 0 else df
        kinds, which = np.unique(df, return_inverse=True)
        return kinds, which.reshape(df.shape)

    @property
    def var(self):
        """Variances, shaped like ``mean``; infinite for two degrees of freedom or fewer."""
        df = self._df()
        finite = df > 2
        return np.where(finite, self.scale**2 * df / np.where(finite, df - 2, 1.0), np.inf)

    def logpdf(self, y):
        if self._are_independent:
            outputs = range(self.mean.shape[2])
            y = np.broadcast_to(y, np.broadcast_shapes(np.shape(y), self.mean.shape))
            return sum(self.output(j).logpdf(y[..., j]) for j in outputs)
        distance, log_scale, n_outputs = ((y - self.mean) / self.scale) ** 2, np.log(self.scale), 1
        if self.mean.ndim == 3:
            n_outputs = self.mean.shape[2]
            distance, log_scale = distance.sum(axis=2), log_scale.sum(axis=2)
        df = self.df[:1] if self.df.strides[0] == 0 else self.df  # once where they are the experts'
        constant = log_gamma_ratio(0.5 * df, 0.5 * n_outputs)
        constant = constant - 0.5 * n_outputs * np.log(np.pi * df)
        return constant - log_scale - 0.5 * (self.df + n_outputs) * np.log1p(distance / self.df)

    def cdf(self, y):
        return self._below((y - self.mean) / self.scale)

    def sf(self, y):
        return self._below((self.mean - y) / self.scale)

    def _below(self, z):
        """Probabilities of less than z; interpolated, to 3e-12, if there are many."""
        kinds, which = self._kinds
        if z.size < MANY or len(kinds) > FEW:
            return special.stdtr(self._df(), z)
        first = np.broadcast_to(N_STEPS * which, self.mean.shape).ravel()
        below = np.array(z, dtype=np.float64, order="C")
        symmetric_cdf(below.reshape(-1, first.size), first, _log_tail_cubics(*kinds), STEP, N_STEPS)
        return below

    def mixed_cdf(self, weights, y):
        kinds, which = self._kinds
        if y.size * weights.shape[1] < MANY or len(kinds) > FEW:
            return super().mixed_cdf(weights, y)
        given = np.broadcast_arrays(weights, self.mean, self.scale, N_STEPS * which)
        places = np.ascontiguousarray(y.reshape(-1, len(weights)))
        sums, cubics = np.empty(places.shape), _log_tail_cubics(*kinds)
        mixed_cdf(places, *map(np.ascontiguousarray, given), cubics, STEP, N_STEPS, sums)
        return sums.reshape(y.shape[:-1])

    def logcdf(self, y):
        return log_tail(self._df(), (y - self.mean) / self.scale)

    def logsf(self, y):
        return log_tail(self._df(), (self.mean - y) / self.scale)

    def ppf(self, q):
        if q in (0.0, 1.0):
            return np.full(self.mean.shape, -np.inf if q == 0.0 else np.inf)
        kinds, which = self._kinds
        return self.mean + self.scale * special.stdtrit(kinds, q)[which]

    def output(self, j):
        df = self.df[..., j] if self._are_independent else self.df
        return StudentTComponents(self.mean[..., j], self.scale[..., j], df)

    def rvs(self, places, random_state):
        if self._are_independent:
            outputs = range(self.mean.shape[2])
            return np.stack([self.output(j).rvs(places, random_state) for j in outputs], axis=2)
        mean, scale, df = (take(values, places) for values in (self.mean, self.scale, self.df))
        normal = random_state.standard_normal(mean.shape)
        stretch = np.sqrt(df / random_state.chisquare(df))
        return mean + scale * normal * (stretch[..., None] if mean.ndim == 3 else stretch)


def log_tail(df, z):
    """Logarithm of Student's t distribution function, or its asymptote where it underflows."""

    def asymptote(df, z):
        return log_t(z, df) + np.log(-z / df - 1 / z)

    return log_of_tail(special.stdtr(df, z), asymptote, df, z)


@lru_cache(maxsize=64)
def _log_tail_cubics(*kinds):
    """Cubic polynomials, (len(kinds) * N_STEPS, 4), that interpolate ``log_tail``.

    For each number of degrees of freedom there is one for each step of arcsinh(-z), from 0 on.
    """
    df, places = np.array(kinds)[:, None], STEP * np.arange(N_STEPS + 1)
    z = -np.sinh(places)
    values = log_tail(df, z)
    slopes = -STEP * np.cosh(places) * np.exp(log_t(z, df) - values)
    first, last, rise = slopes[:, :-1], slopes[:, 1:], np.diff(values)
    cubics = values[:, :-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise
    return np.stack(cubics, axis=2).reshape(-1, 4)


def log_t(z, df):
    """Log-density of Student's t distribution."""
    constant = log_gamma_ratio(0.5 * df, 0.5) - 0.5 * np.log(np.pi * df)
    return constant - 0.5 * (df + 1) * np.log1p(np.minimum(np.abs(z), LARGEST) ** 2 / df)
