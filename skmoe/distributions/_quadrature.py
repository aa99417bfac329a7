"""Roots and integrals of mixtures, all rows at once."""

from dataclasses import dataclass

import numpy as np
from scipy import special

# Panels end where the components' distribution functions have these values: each component is
# resolved at its own scale, and its tails down to 1e-10 of its mass.
PANEL_ENDS = special.expit(np.linspace(-23, 23, 33))
PANEL_NODES, PANEL_WEIGHTS = np.polynomial.legendre.leggauss(5)
DISCRETE_TAIL = 1e-12
MOST_STEPS = 200  # of a search for a zero; a few dozen are usual


def find_root(function, low, high, noise):
    """Zeros of monotone functions, by Chandrupatla's method.

    It bisects unless the function looks smooth between the last three arguments, and only then
    interpolates: Newton's method and the secant stall between modes far apart [1]_.

    Parameters
    ----------
    function : callable
        Values for an array of arguments, all at once.
    low, high : ndarrays of one shape
        Ends of the brackets.
    noise : float
        Values that are zero for all that rounding knows.

    Returns
    -------
    root : ndarray, shaped like ``low``
        To the last bit or to ``noise``; the nearer end where there is no zero between the two.

    References
    ----------
    .. [1] T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of
       a nonlinear function without using derivatives", Advances in Engineering Software 28 (1997)
       145-149.
    """
    last, at_last, other, at_other = low, function(low), high, function(high)
    nearer = np.abs(at_last) < np.abs(at_other)
    best, at_best = np.where(nearer, last, other), np.where(nearer, at_last, at_other)
    share = np.full(low.shape, 0.5)
    for _ in range(MOST_STEPS):
        last_bits = 2 * np.finfo(float).eps * np.abs(best) + 1e-300
        least = np.minimum(last_bits / np.maximum(np.abs(other - last), 1e-300), 0.5)
        stuck = np.sign(at_last) * np.sign(at_other) > 0
        if (stuck | (least == 0.5) | (np.abs(at_best) <= noise)).all():
            break
        new = last + np.clip(share, least, 1 - least) * (other - last)
        at_new = function(new)
        nearer = np.abs(at_new) < np.abs(at_best)  # those that are done wait for the rest
        best, at_best = np.where(nearer, new, best), np.where(nearer, at_new, at_best)
        same = np.sign(at_new) == np.sign(at_last)
        third, at_third = np.where(same, last, other), np.where(same, at_last, at_other)
        other, at_other = np.where(same, other, last), np.where(same, at_other, at_last)
        last, at_last = new, at_new
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            place = (last - other) / (third - other)
            value = (at_last - at_other) / (at_third - at_other)
            smooth = (value**2 < place) & ((1 - value) ** 2 < 1 - place)
            quadratic = at_last / (at_other - at_last) * at_third / (at_other - at_third) + (
                (third - last) / (other - last)
            ) * at_last / (at_third - at_last) * at_other / (at_third - at_other)
        share = np.where(smooth, quadratic, 0.5)
    return best


def find_whole(function, low, high):
    """Smallest whole numbers where increasing functions are not negative, by bisection.

    Parameters
    ----------
    function : callable
        Values for an array of arguments, all at once.
    low, high : ndarrays of one shape
        Whole numbers; the function is not negative at ``high``.

    Returns
    -------
    root : ndarray, shaped like ``low``
        Whole numbers.
    """
    low = low - 1
    while (high - low > 1).any():
        middle = np.floor(0.5 * (low + high))
        below = function(middle) < 0
        low, high = np.where(below, middle, low), np.where(below | (high - low <= 1), high, middle)
    return high


@dataclass
class Grid:
    """Places at which the mixtures of all rows are looked at, in rising order.

    Attributes
    ----------
    places : ndarray of shape (n_samples, n_places)
        Nodes of Gauss and Legendre between quantiles of the components; all whole numbers for
        discrete mixtures.
    weights : ndarray of shape (n_samples, n_places)
        Of the sum that is the integral.
    log_density : ndarray of shape (n_samples, n_places)
        Of the mixture.
    """

    places: np.ndarray
    weights: np.ndarray
    log_density: np.ndarray


def panels(distribution, including=None):
    """Ends of the panels of each row, (n, B), in rising order; some panels may be empty."""
    unused = distribution.weights == 0
    components = distribution.components
    ends = [components.ppf(q) for q in PANEL_ENDS]
    ends += getattr(components, "edges", [])
    ends = [np.where(unused, np.nan, end) for end in ends]
    ends = np.sort(np.concatenate(ends, axis=1), axis=1)  # those that are not there come last
    ends = np.where(np.isnan(ends), np.nanmax(ends, axis=1, keepdims=True), ends)
    if including is None:
        return ends
    return np.sort(np.column_stack([ends, including]), axis=1)


def whole_numbers(distribution, including=None):
    """All whole numbers between the extreme quantiles of any row, (G,)."""
    unused = distribution.weights == 0
    components = distribution.components
    low = np.where(unused, np.inf, components.ppf(DISCRETE_TAIL)).min()
    high = np.where(unused, -np.inf, components.ppf(1 - DISCRETE_TAIL)).max()
    if including is not None:
        low, high = min(low, including.min()), max(high, including.max())
    return np.arange(low, high + 1)


def nodes(distribution, including=None):
    """Places and weights (n, G) of sums that are integrals over one output.

    Parameters
    ----------
    distribution : MixtureDistribution
        Of one output.
    including : ndarray of shape (n_samples,), default=None
        Places where what is integrated has a jump.

    Returns
    -------
    places, weights : ndarrays of shape (n_samples, n_places)
        In rising order.
    """
    if distribution.discrete:
        numbers = whole_numbers(distribution, including)
        places = np.broadcast_to(numbers, (len(distribution.weights), len(numbers)))
        return places, np.ones(places.shape)
    ends = panels(distribution, including)
    middle, half = 0.5 * (ends[:, 1:] + ends[:, :-1]), 0.5 * np.diff(ends, axis=1)
    places = middle[:, :, None] + half[:, :, None] * PANEL_NODES
    weights = half[:, :, None] * PANEL_WEIGHTS
    return places.reshape(len(ends), -1), weights.reshape(len(ends), -1)


def at_places(function, places):
    """A function of one value for each row, at several places for each row, (n, G)."""
    return np.stack([function(column) for column in places.T], axis=1)


def density_grid(distribution):
    """The density at the nodes, as a Grid."""
    places, weights = nodes(distribution)
    return Grid(places, weights, at_places(distribution.logpdf, places))


def entropy(distribution):
    """Minus the expectation of the log-density, (n,)."""
    grid = density_grid(distribution)
    # What has no density is never seen: 0 log 0 is nothing.
    log_density = np.maximum(grid.log_density, -1e300)
    return -(grid.weights * np.exp(grid.log_density) * log_density).sum(axis=1)


def crps(distribution, y):
    """Integral of the squared distance between the distribution function and a step at y, (n,)."""
    places, weights = nodes(distribution, including=y)
    total = np.zeros(len(y))
    for place, weight in zip(places.T, weights.T, strict=True):
        total += weight * np.where(place < y, distribution.cdf(place), distribution.sf(place)) ** 2
    return total
