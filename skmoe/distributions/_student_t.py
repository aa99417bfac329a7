"""Components of Student's t distribution."""

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special
from scipy.interpolate import CubicHermiteSpline

from .._numerics.gamma_shapes import log_gamma_ratio
from ._arrays import take
from ._components import BaseComponents

TINY = 1e-290  # a probability below it loses digits
TAIL = 1e-14  # mass beyond the nodes
STEP = 0.2  # between nodes, of the inverse hyperbolic sine
BLOCK = 2**17  # distances that are looked at together
KNOTS = 2001  # of the interpolation, where there are many distances
LARGEST = 1e150  # error in units of the scale: its square is finite
MANY_PAIRS = 300  # of components, from which on distances within pairs are interpolated
PLACES = 2001  # of that interpolation
LEAST_DF = 5.0  # for which it is good to 1e-4 of the score: below, moments are missing
ORDER = 5  # of its polynomial in how unlike the scales of a pair are
FARTHEST = 33.0  # inverse hyperbolic sine, beyond which E|T - z| is |z|


class StudentTComponents(BaseComponents):
    """Components of Student's t distribution, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Centres, which are the means.
    scale : ndarray that broadcasts against ``mean``
        Scales, such as one for each expert, (n_experts,) or (n_experts, n_outputs). Several
        outputs are one multivariate t variable within an expert: uncorrelated, not independent.
    df : float or ndarray that broadcasts to (n_samples, n_experts)
        Degrees of freedom, above 1. Those of (n_samples, n_experts, n_outputs) are of outputs that
        are independent within an expert.

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

    @property
    def var(self):
        """Variances, shaped like ``mean``; infinite for two degrees of freedom and fewer."""
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
        half = 0.5 * (self.df + n_outputs)
        constant = log_gamma_ratio(0.5 * self.df, 0.5 * n_outputs)
        constant = constant - 0.5 * n_outputs * np.log(np.pi * self.df)
        return constant - log_scale - half * np.log1p(distance / self.df)

    def cdf(self, y):
        return special.stdtr(self._df(), (y - self.mean) / self.scale)

    def sf(self, y):
        return special.stdtr(self._df(), (self.mean - y) / self.scale)

    def logcdf(self, y):
        return log_tail(self._df(), (y - self.mean) / self.scale)

    def logsf(self, y):
        return log_tail(self._df(), (self.mean - y) / self.scale)

    def ppf(self, q):
        if q in (0.0, 1.0):
            return np.full(self.mean.shape, -np.inf if q == 0.0 else np.inf)
        return self.mean + self.scale * special.stdtrit(self._df(), q)

    def crps(self, weights, y):
        """Continuous ranked probability score of their mixture, to some 1e-6 of the scales.

        It is the mean distance from the target less half that of two independent draws [1]_. The
        former is in closed form; the latter, for two components, is an integral by the trapezoidal
        rule, or of many pairs interpolated between such, good to 1e-4 of the score.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Of the mixture.
        y : float or ndarray that broadcasts against ``mean``
            Targets.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or None
            None for several outputs, and for less than two degrees of freedom.

        References
        ----------
        .. [1] A. Jordan, F. Krueger and S. Lerch, "Evaluating probabilistic forecasts with
           scoringRules", Journal of Statistical Software 90 (2019).
        """
        if self.mean.ndim == 3 or self.df.min() < 2:
            return None
        return student_t_crps(self, weights, y)

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
    """Logarithm of Student's t distribution function; where it underflows, its asymptote."""
    z = np.asarray(z)
    tail = special.stdtr(df, z)
    with np.errstate(divide="ignore"):
        log_tail = np.array(np.log(tail))
    far = (tail < TINY) & np.isfinite(z)
    if far.any():
        df, z = np.broadcast_to(df, z.shape)[far], z[far]
        log_tail[far] = log_t(z, df) + np.log(-z / df - 1 / z)
    return log_tail


def student_t_crps(components, weights, y):
    """CRPS (n,) of a mixture of components of two degrees of freedom or more.

    Of two components, the mean distance from the wider one is averaged over the narrower.
    """
    mean, scale, df = components.mean, components.scale, components.df
    nodes, widths = _quadrature_nodes(df.min())
    excess = _excess(df, mean.size * len(nodes))

    def distances(z, df):
        z = np.abs(z)
        return z + excess(z, df)

    of_y = scale * distances((y - mean) / scale, df)
    score = np.einsum("nk,nk->n", weights, of_y - weights * scale * _half_difference(df))
    first, second = np.triu_indices(mean.shape[1], 1)
    if len(first) >= MANY_PAIRS and df.min() == df.max() >= LEAST_DF:
        return score - _of_many_pairs(weights, mean, scale, float(df.flat[0]))
    size = max(1, BLOCK // (len(nodes) * max(1, len(first))))
    for start in range(0, len(mean) if len(first) else 0, size):
        rows = slice(start, start + size)
        swap = scale[rows, first] > scale[rows, second]
        narrow, wide = np.where(swap, second, first), np.where(swap, first, second)
        at = np.arange(len(mean))[rows, None]
        gap, unit = mean[at, narrow] - mean[at, wide], scale[at, wide]
        z = (gap[..., None] + scale[at, narrow][..., None] * nodes) / unit[..., None]
        density = np.exp(log_t(nodes, df[at, narrow][..., None])) * widths
        between = unit * (density * distances(z, df[at, wide][..., None])).sum(axis=2)
        score[rows] -= (weights[at, first] * weights[at, second] * between).sum(axis=1)
    return score


def _quadrature_nodes(df):
    """Places, and widths around them, of the trapezoidal rule for a variable of Student's t."""
    end = np.arcsinh(-special.stdtrit(df, TAIL))
    steps = np.linspace(-end, end, 2 * int(np.ceil(end / STEP)) + 1)
    return np.sinh(steps), (steps[1] - steps[0]) * np.cosh(steps)


def _of_many_pairs(weights, mean, scale, df):
    """Sums (n,) over pairs of components of their mean distances, times both weights."""
    sums = np.empty(len(mean))
    table, slopes = _pair_table(df)
    for row, weight in enumerate(weights):
        used = np.flatnonzero(weight)
        first, second = np.triu_indices(len(used), 1)
        weight, centre, square = weight[used], mean[row, used], scale[row, used] ** 2
        together = square[first] + square[second]
        unit, gap = np.sqrt(together), np.abs(centre[first] - centre[second])
        unlike = 2 * ((square[first] - square[second]) / together) ** 2 - 1
        place = (PLACES - 1) * (gap / (unit + gap))
        knot = np.minimum(place.astype(np.intp), PLACES - 2)
        coefficients = table[knot] + (place - knot)[:, None] * slopes[knot]
        excess = chebyshev.chebval(unlike, coefficients.T, tensor=False)
        sums[row] = weight[first] * weight[second] @ (gap + unit * excess)
    return sums


@lru_cache(maxsize=8)
def _pair_table(df):
    """What E|D - gap| exceeds the gap by, D being a difference of two variables in units of both.

    Coefficients (PLACES, ORDER) of Chebyshev polynomials of how unlike their scales are, at gaps of
    z / (1 + z) from 0 to 1, and their differences.
    """
    u = np.linspace(0, 1, PLACES)[:-1, None]
    unlike = chebyshev.chebpts1(ORDER)
    root = np.sqrt(0.5 * (unlike + 1))
    wide, narrow = np.sqrt(0.5 * (1 + root)), np.sqrt(0.5 * (1 - root))
    z, excess = u / (1 - u), np.zeros((PLACES, ORDER))
    for node, width in zip(*_quadrature_nodes(df), strict=True):
        at = np.abs(z - narrow * node) / wide
        share = width * np.exp(log_t(node, df))
        excess[:-1] += share * wide * (at + _exact_excess(at, df))
    excess[:-1] -= z
    table = np.linalg.solve(chebyshev.chebvander(unlike, ORDER - 1), excess.T).T
    return table, np.diff(table, axis=0)


def _half_difference(df):
    """Half the mean distance between two independent variables of Student's t."""
    log_ratio = special.betaln(0.5, df - 0.5) - 2 * special.betaln(0.5, 0.5 * df)
    return 2 * np.sqrt(df) / (df - 1) * np.exp(log_ratio)


def _excess(df, n_values):
    """The function E|T - z| - |z| of positive z and degrees of freedom."""
    if np.ptp(df) > 0 or n_values < 4 * KNOTS:
        return _exact_excess
    df, places = df.flat[0], np.linspace(0, FARTHEST, KNOTS)
    z = np.sinh(places)
    slopes = -2 * special.stdtr(df, -z) * np.cosh(places)
    spline = CubicHermiteSpline(places, _exact_excess(z, df), slopes)
    return lambda z, _: spline(np.minimum(np.arcsinh(z), FARTHEST))


def _exact_excess(z, df):
    at_z = np.exp(log_t(z, df) + np.log(df + z**2))
    return 2 * (at_z / (df - 1) - z * special.stdtr(df, -z))


def log_t(z, df):
    """Log-density of Student's t distribution."""
    constant = log_gamma_ratio(0.5 * df, 0.5) - 0.5 * np.log(np.pi * df)
    return constant - 0.5 * (df + 1) * np.log1p(np.minimum(np.abs(z), LARGEST) ** 2 / df)
