"""Components of Student's t distribution."""

from functools import cached_property, lru_cache

import numpy as np
from scipy import interpolate, special

from .._numerics.gamma_shapes import log_gamma_ratio
from ._arrays import log_of_tail, take
from ._components import BaseComponents

# ``stdtr`` takes half a microsecond, so that the distribution function of many values, of few
# degrees of freedom, is interpolated: in steps of the inverse hyperbolic sine.
MANY_VALUES = 5_000
FEW_KINDS = 8
STEP = 0.005
N_STEPS = 8_000
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
        if self.mean.ndim > self.df.ndim:
            return self.df[:, :, None]
        return self.df

    @cached_property
    def _kinds(self):
        """The distinct degrees of freedom, and the index of each, to broadcast against them."""
        df = self._df()
        if df.strides[0] == 0:
            df = df[:1]
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
        distance = ((y - self.mean) / self.scale) ** 2
        log_scale = np.log(self.scale)
        n_outputs = 1
        if self.mean.ndim == 3:
            n_outputs = self.mean.shape[2]
            distance = distance.sum(axis=2)
            log_scale = log_scale.sum(axis=2)
        if self.df.strides[0] == 0:
            df = self.df[:1]
        else:
            df = self.df  # once where they are the experts'
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
        if z.size < MANY_VALUES or len(kinds) > FEW_KINDS:
            return special.stdtr(self._df(), z)
        # The lower tail, in which it has full relative precision.
        place = np.minimum(np.arcsinh(np.abs(z)), STEP * N_STEPS)
        tail = np.empty(z.shape)
        which = np.broadcast_to(which, z.shape)
        for number, df in enumerate(kinds):
            chosen = which == number
            tail[chosen] = _log_tail_spline(df)(place[chosen])
        np.exp(tail, out=tail)
        return np.where(z > 0, 1 - tail, tail)

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
        if self._are_independent:
            df = self.df[..., j]
        else:
            df = self.df
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
def _log_tail_spline(df):
    """A spline of ``log_tail`` at -z as a function of arcsinh(z), from z = 0 on."""
    places = STEP * np.arange(N_STEPS + 1)
    z = -np.sinh(places)
    values = log_tail(df, z)
    slopes = -np.cosh(places) * np.exp(log_t(z, df) - values)
    return interpolate.CubicHermiteSpline(places, values, slopes)


def log_t(z, df):
    """Log-density of Student's t distribution."""
    constant = log_gamma_ratio(0.5 * df, 0.5) - 0.5 * np.log(np.pi * df)
    return constant - 0.5 * (df + 1) * np.log1p(np.minimum(np.abs(z), LARGEST) ** 2 / df)
