"""Components of counts, with means of any size."""

import numpy as np
from scipy import special

from ._arrays import draw_places, take
from ._components import BaseComponents
from ._quadrature import find_quantile

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
LARGEST = 1e300  # where the distribution function is evaluated at infinity
LARGEST_DRAWN = 1e15  # mean of a Poisson draw; beyond, its normal approximation is exact in floats
SMALLEST_MEAN = 1e-280
WITHIN_FLOATS = np.nextafter(-1.0, 0.0), 1e300
MANY = 1e5  # events, beyond which SciPy's incomplete Gamma function is inexact in the tails
NEAR = 0.2  # of eta, where the series below is exact to 1e-12
SERIES = (-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835, -139 / 777600, 1 / 25515, -571 / 261273600)


def log_poisson(y, mean):
    """Poisson log-probabilities of whole numbers, from half the deviance and Stirling's series.

    Terms as large as ``y log(y)`` are not subtracted, so that the error is the rounding error of
    ``y - mean`` [1]_.

    References
    ----------
    .. [1] C. Loader, "Fast and accurate computation of binomial probabilities" (2000).
    """
    return -_half_deviance(y, mean) - _stirling(y)


def log_negative_binomial(y, mean, shape):
    """Negative binomial log-probabilities of whole numbers, computed as in ``log_poisson``."""
    mean = np.maximum(mean, SMALLEST_MEAN)
    total = y + shape
    gap = y - mean
    rest = _stirling(total) - _stirling(shape) - _stirling(y) - np.log1p(y / shape)
    return rest - shape * _log1p(-gap / total) - y * _log1p(shape * gap / mean / total)


def log_binomial(y, mean, trials):
    """Binomial log-probabilities of whole numbers, computed as in ``log_poisson``."""
    failures = trials - y
    rest = _stirling(trials) - _stirling(y) - _stirling(failures)
    return rest - _half_deviance(y, mean) - _half_deviance(failures, trials - mean)


def _half_deviance(y, mean):
    """``y log(y / mean) - y + mean``."""
    mean = np.maximum(mean, SMALLEST_MEAN)
    gap = y - mean
    with np.errstate(over="ignore"):
        return y * _log1p(gap / mean) - gap


def _log1p(x):
    """``log(1 + x)``, finite for any x from -1 on."""
    return np.log1p(np.clip(x, *WITHIN_FLOATS))


def _stirling(x):
    """``log(Gamma(x + 1)) - x log(x) + x``."""
    large = np.maximum(x, 15.0)
    inverse = 1 / large**2
    rest = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / large
    small = np.minimum(x, 15.0)
    exact = special.gammaln(small + 1) - special.xlogy(small, small) + small
    return np.where(x < 15, exact, HALF_LOG_2PI + 0.5 * np.log(large) + rest)


class _CountComponents(BaseComponents):
    """Counts of one output, with ``mean`` and ``var`` (n_samples, n_experts).

    Subclasses have log-probabilities and ``_tail``, the distribution function or the survival
    function, at whole numbers from 0 on.
    """

    discrete = True

    def logpdf(self, y):
        possible = (y >= 0) & (y == np.floor(y)) & np.isfinite(y)
        return np.where(possible, self._log_probability(np.where(possible, y, 0.0)), -np.inf)

    def cdf(self, y):
        return np.where(y < 0, 0.0, self._tail(np.clip(np.floor(y), 0, LARGEST), upper=False))

    def sf(self, y):
        return np.where(y < 0, 1.0, self._tail(np.clip(np.floor(y), 0, LARGEST), upper=True))

    def ppf(self, q):
        if q in (0.0, 1.0):
            return np.full(self.mean.shape, -1.0 if q == 0.0 else np.inf)
        # A Gamma variable with this mean and variance; its skewness is larger by 1 / std.
        scale = self.var / np.maximum(self.mean, 1e-300)
        shape = np.minimum(self.mean / np.maximum(scale, 1e-250), MANY**3)  # else nearly normal
        gamma = scale * special.gammaincinv(np.maximum(shape, 1e-300), q)
        normal = self.mean + np.sqrt(self.var) * special.ndtri(q)
        guess = np.where(shape < MANY**3, gamma, normal) - 0.5
        less_skewed = np.where(shape > 100, (special.ndtri(q) ** 2 - 1) / 6, 0.0)
        return find_quantile(self.cdf, q, guess - less_skewed)

    def rvs(self, places, random_state):
        mean = self._drawn_means(places, random_state)
        draws = random_state.poisson(np.minimum(mean, LARGEST_DRAWN)).astype(np.float64)
        large = mean > LARGEST_DRAWN
        if large.any():
            normal = random_state.standard_normal(large.sum())
            draws[large] = np.round(mean[large] + np.sqrt(mean[large]) * normal)
        return draws


class PoissonComponents(_CountComponents):
    """Poisson components, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts)
        Means, not negative.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import PoissonComponents
    >>> PoissonComponents(np.array([[1.0, 5.0]])).cdf(2).round(3)
    array([[0.92 , 0.125]])
    """

    def __init__(self, mean):
        self.mean = mean

    @property
    def var(self):
        """Variances, which are the means."""
        return self.mean

    def _log_probability(self, y):
        return log_poisson(y, self.mean)

    def _tail(self, y, *, upper):
        """Probability of at most y, or of more than y."""
        events = y + 1
        few = np.minimum(events, MANY)
        tail = (special.gammainc if upper else special.gammaincc)(few, self.mean)
        large = events > MANY
        if not np.any(large):
            return tail
        z, rest = _temme(np.maximum(events, MANY), self.mean)
        return np.where(large, special.ndtr(z) - rest if upper else special.ndtr(-z) + rest, tail)

    def _drawn_means(self, places, random_state):
        return take(self.mean, places)


class NegativeBinomialComponents(_CountComponents):
    """Negative binomial components, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts)
        Means, not negative.
    shape : float or ndarray that broadcasts against ``mean``
        Shapes; the variance is ``mean + mean**2 / shape``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import NegativeBinomialComponents
    >>> NegativeBinomialComponents(np.array([[1.0, 5.0]]), 2.0).cdf(2).round(3)
    array([[0.889, 0.323]])
    """

    def __init__(self, mean, shape):
        self.mean = mean
        self.shape = np.broadcast_to(shape, mean.shape)

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self.mean + self.mean**2 / self.shape

    def _log_probability(self, y):
        return log_negative_binomial(y, self.mean, self.shape)

    def _tail(self, y, *, upper):
        """Probability of at most y, or of more than y."""
        total = self.shape + self.mean
        few = self.mean < self.shape
        share = np.where(few, self.mean, self.shape) / total  # the smaller one, exactly
        a = np.where(few, y + 1, self.shape)
        b = np.where(few, self.shape, y + 1)
        if np.all(few):
            return (special.betainc if upper else special.betaincc)(a, b, share)
        if not np.any(few):
            return (special.betaincc if upper else special.betainc)(a, b, share)
        within = special.betainc(a, b, share)
        beyond = special.betaincc(a, b, share)
        return np.where(few == upper, within, beyond)

    def _drawn_means(self, places, random_state):
        mean = take(self.mean, places)
        shape = take(self.shape, places)
        return mean * random_state.gamma(shape) / shape


class BinomialComponents(_CountComponents):
    """Binomial components, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts)
        Expected successes, from 0 to the trials.
    trials : float or ndarray that broadcasts against ``mean``
        Whole numbers, 1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import BinomialComponents
    >>> BinomialComponents(np.array([[1.0, 5.0]]), 10.0).cdf(2).round(3)
    array([[0.93 , 0.055]])
    """

    def __init__(self, mean, trials):
        self.mean = mean
        self.trials = np.broadcast_to(trials, mean.shape)

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self.mean * (1 - self.mean / self.trials)

    def logpdf(self, y):
        return super().logpdf(np.where(y <= self.trials, y, -1.0))

    def ppf(self, q):
        return np.minimum(super().ppf(q), self.trials)

    def rvs(self, places, random_state):
        mean = take(self.mean, places)
        trials = take(self.trials, places)
        return random_state.binomial(trials.astype(np.int64), mean / trials).astype(np.float64)

    def _log_probability(self, y):
        return log_binomial(y, self.mean, self.trials)

    def _tail(self, y, *, upper):
        """Probability of at most y, or of more than y."""
        below = np.minimum(y, self.trials - 1)
        if upper:
            function = special.betainc
        else:
            function = special.betaincc
        tail = function(below + 1, self.trials - below, self.mean / self.trials)
        return np.where(y < self.trials, tail, 0.0 if upper else 1.0)


def _temme(a, x):
    r"""Parts of the incomplete Gamma functions for large a, exact to about 1e-12.

    :math:`Q(a, x) = \Phi(-z) + R` and :math:`P(a, x) = \Phi(z) - R`, with the first term of
    Temme's uniform expansion for R [1]_.

    References
    ----------
    .. [1] N. M. Temme, "The asymptotic expansion of the incomplete gamma functions", SIAM Journal
       on Mathematical Analysis 10 (1979) 757-766.
    """
    deviance = np.maximum(_half_deviance(a, x), 0.0)
    eta = np.sign(x - a) * np.sqrt(2 * deviance / a)
    far = np.abs(eta) > NEAR
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = a / (x - a) - 1 / eta
    factor = np.where(far, exact, np.polynomial.polynomial.polyval(np.clip(eta, -1, 1), SERIES))
    return eta * np.sqrt(a), factor * np.exp(-deviance) / np.sqrt(2 * np.pi * a)


class AveragedBinomialComponents(BinomialComponents):
    """Averages of binomial distributions over several rates, for each row and expert.

    Parameters
    ----------
    rates : ndarray of shape (n_samples, n_experts, n_rates)
        Between 0 and 1.
    masses : ndarray of shape (n_rates,)
        Probabilities of the rates, all above zero.
    trials : float or ndarray that broadcasts to (n_samples, n_experts)
        Whole numbers, 1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import AveragedBinomialComponents
    >>> rates = np.array([[[0.1, 0.9]]])
    >>> AveragedBinomialComponents(rates, np.array([0.5, 0.5]), 10.0).var.round(1)
    array([[16.9]])
    """

    def __init__(self, rates, masses, trials):
        self.masses = masses
        trials = np.broadcast_to(trials, rates.shape[:2])
        self._each = BinomialComponents(trials[:, :, None] * rates, trials[:, :, None])
        super().__init__(self._each.mean @ masses, trials)

    @property
    def var(self):
        return (self._each.var + (self._each.mean - self.mean[:, :, None]) ** 2) @ self.masses

    def rvs(self, places, random_state):
        masses = np.broadcast_to(self.masses, (len(places), len(self.masses)))
        drawn = draw_places(masses, places.shape[1], random_state)
        rows = np.arange(len(places))[:, None]
        mean = self._each.mean[rows, places, drawn]
        trials = take(self.trials, places)
        return random_state.binomial(trials.astype(np.int64), mean / trials).astype(np.float64)

    def _log_probability(self, y):
        values = self._each._log_probability(np.asarray(y)[..., None])
        return special.logsumexp(values, b=self.masses, axis=-1)

    def _tail(self, y, *, upper):
        return self._each._tail(np.asarray(y)[..., None], upper=upper) @ self.masses
