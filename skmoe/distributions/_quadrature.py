"""Roots and integrals for mixtures, vectorised over the rows."""

import numpy as np
from scipy import special
from scipy.optimize import elementwise

# Panels end where the components' distribution functions have these values, so that each component
# is resolved at its own scale, with its tails down to 1e-10 of its mass.
PANEL_ENDS = special.expit(np.linspace(-23, 23, 21))
PANEL_NODES, PANEL_WEIGHTS = np.polynomial.legendre.leggauss(5)
UNLIKE = 1.5  # ratio of the ends of a panel above which a polynomial in log t is more exact
LARGEST_RATIO = 4.0  # ratio of the ends of a panel for which it is unclear which is more exact
MOST_RATIOS = 12  # panels into which a long one is divided, from its upper end
LARGEST_LOG_DENSITY = 700.0  # of which the exponential is a float
BLOCK = 2**15  # values of components that are computed at once
SHORT = 16  # whole numbers in a panel, all of which are evaluated
LONG_NODES = np.polynomial.legendre.leggauss(8)[0]
BEYOND_THE_LAST = 2  # whole numbers after the last quantile: for rare events there are no others


def find_root(function, low, high, noise):
    """Zeros of monotone functions, one for each row, by Chandrupatla's method; or the nearer end.

    ``function`` takes an array of arguments, one for each row; ``noise`` is the size below which
    values are rounding errors.
    """

    def of_rows(y, rows):
        rows = rows.astype(np.intp)
        arguments = low.copy()
        arguments[rows] = y
        return function(arguments)[rows]

    rows = np.arange(len(low))
    tolerances = {"fatol": noise}
    found = elementwise.find_root(of_rows, (low, high), args=(rows,), tolerances=tolerances)
    nearer_end = np.where(np.abs(function(low)) <= np.abs(function(high)), low, high)
    return np.where(found.success, found.x, nearer_end)


def find_whole(function, low, high):
    """Smallest whole numbers where increasing functions are not negative, by bisection.

    Both ends are whole numbers, and functions are not negative at ``high``. To a few bits
    where floats do not hold all whole numbers.
    """
    low = low - 1
    while True:
        middle = np.floor(low + (high - low) / 2)
        is_open = (low < middle) & (middle < high)
        if not is_open.any():
            return high
        is_below = function(middle) < 0
        low = np.where(is_open & is_below, middle, low)
        high = np.where(is_open & ~is_below, middle, high)


def find_quantile(cdf, q, guess):
    """Quantiles of counts: the smallest whole numbers with ``cdf(y) >= q``.

    The nearer the guess, the faster.
    """
    high = np.ceil(guess) + 0.0
    low = high - 1
    step = np.maximum(1.0, 1e-15 * np.abs(high))
    while (beyond := cdf(low) >= q).any():
        low = np.where(beyond, np.floor(low - step), low)
        step = 2 * step
    step = np.maximum(1.0, 1e-15 * np.abs(high))
    while (short := cdf(high) < q).any():
        high = np.where(short, np.ceil(high + step), high)
        step = 2 * step
    return find_whole(lambda y: cdf(y) - q, low + 1, high)


def panels(distribution, levels=PANEL_ENDS):
    """Ends of the panels of each row, (n, B), in increasing order; some panels may be empty."""
    ends = np.sort(quantiles_of(distribution, levels), axis=1)
    # Missing ones come last.
    return np.where(np.isnan(ends), np.nanmax(ends, axis=1, keepdims=True), ends)


def quantiles_of(distribution, levels):
    """Quantiles of the components, (n, B), including those of nested mixtures.

    NaN for components without weight.
    """
    components = distribution.components
    unused = distribution.weights == 0
    parts = []
    for rows, places, nested in components.nested or ():
        ends = quantiles_of(nested, levels)
        ends[unused[rows, places]] = np.nan
        of_places = np.full((*unused.shape, ends.shape[1]), np.nan)  # a row may have several
        of_places[rows, places] = ends
        parts.append(of_places.reshape(len(unused), -1))
        unused[rows, places] = True
    if not unused.all() or not parts:
        if components.nested is None:
            flat = components
        else:
            flat = components.components
        parts += [np.where(unused, np.nan, flat.ppf(q)) for q in levels]
    return np.hstack(parts)


def nodes(distribution, including=None):
    """Places and weights (n, G) of sums that are integrals over one output.

    They are in increasing order. ``including`` (n,) are places where the integrand has a jump.
    """
    ends = panels(distribution)
    if distribution.discrete:
        return _whole_nodes(ends, including)
    if including is not None:
        ends = np.sort(np.hstack([ends, including[:, None]]), axis=1)
    ends = _shorten(ends)
    low = ends[:, :-1, None]
    high = ends[:, 1:, None]
    middle = 0.5 * (high + low)
    half = 0.5 * (high - low)
    places = middle + half * PANEL_NODES
    weights = half * PANEL_WEIGHTS
    on_log_scale = (ends[:, :1, None] >= 0) & (low > 0) & (high > UNLIKE * low)
    if on_log_scale.any():
        log_low = np.log(np.where(on_log_scale, low, 1.0))
        half = 0.5 * (np.log(np.where(on_log_scale, high, 1.0)) - log_low)
        on_log = np.exp(log_low + half * (1 + PANEL_NODES))
        places = np.where(on_log_scale, on_log, places)
        weights = np.where(on_log_scale, half * PANEL_WEIGHTS * on_log, weights)
    return places.reshape(len(ends), -1), weights.reshape(len(ends), -1)


def _shorten(ends):
    """Ends, and more between two of very different size, if all components are positive."""
    low = ends[:, :-1]
    high = ends[:, 1:]
    unlike = (ends[:, :1] >= 0) & (high > LARGEST_RATIO * low)
    if not unlike.any():
        return ends
    more = high[:, :, None] * LARGEST_RATIO ** -np.arange(1.0, MOST_RATIOS + 1)
    more = np.where(unlike[:, :, None] & (more > low[:, :, None]), more, ends[:, -1, None, None])
    ends = np.sort(np.hstack([ends, more.reshape(len(ends), -1)]), axis=1)
    return np.hstack([ends[:, (ends < ends[:, -1:]).any(axis=0)], ends[:, -1:]])


def _whole_nodes(ends, including):
    """``nodes`` for sums over whole numbers: all of a short panel, eight of a long panel."""
    low = ends[:, :1]
    high = ends[:, -1:] + BEYOND_THE_LAST
    doubling = 2.0 ** np.arange(np.ceil(np.log2((high - low).max())))  # for masses close to zero
    ends = [ends, np.minimum(low + doubling, high), high]
    ends += [] if including is None else [np.ceil(including)[:, None]]
    ends = np.sort(np.concatenate(ends, axis=1), axis=1)
    ends = np.hstack([ends, ends[:, -1:] + 1])  # a panel ends before the first of the next
    first = ends[:, :-1].ravel()
    length = np.diff(ends, axis=1).ravel()
    n_nodes = np.where(length > SHORT, len(LONG_NODES), length).astype(int)
    panel = np.repeat(np.arange(len(length)), n_nodes)
    steps = np.arange(len(panel), dtype=float) - np.repeat(np.cumsum(n_nodes) - n_nodes, n_nodes)
    weights = np.ones(len(panel))
    is_long = length[panel] > SHORT
    steps[is_long], weights[is_long] = _long_panels(length[length > SHORT])
    row = panel // (ends.shape[1] - 1)
    counts = np.bincount(row, minlength=len(ends))
    column = np.arange(len(panel)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = len(ends), counts.max()
    all_places = np.broadcast_to(ends[:, -1:] - 1, shape).copy()
    all_weights = np.zeros(shape)
    all_places[row, column] = first[panel] + steps
    all_weights[row, column] = weights
    return all_places, all_weights


def _long_panels(length):
    """Offsets of eight of ``length`` consecutive whole numbers, and their weights.

    The offsets are next to Gauss-Legendre nodes, in pairs around the middle; the weights make the
    sum of a polynomial of degree 7 over all whole numbers exact.
    """
    n = length[:, None]
    half = 0.5 * (length[:, None] - 1)
    left = np.round(half + 0.5 * n * LONG_NODES[: len(LONG_NODES) // 2])
    v = length**-2.0
    # Moments of the places in units of half the length, of which the odd ones are zero.
    second = (1 - v) / 3
    fourth = (1 - v) * (3 - 7 * v) / 15
    sixth = (1 - v) * (3 - 18 * v + 31 * v**2) / 21
    even_moments = np.stack([np.ones_like(v), second, fourth, sixth], axis=1)
    powers = ((left - half) / (0.5 * n))[:, None, :] ** np.array([0, 2, 4, 6])[:, None]
    weights = 0.5 * n * np.linalg.solve(powers, even_moments[:, :, None])[:, :, 0]
    steps = np.hstack([left, (n - 1 - left)[:, ::-1]])
    return steps.ravel(), np.hstack([weights, weights[:, ::-1]]).ravel()


def at_places(distribution, method, places):
    """The ``method`` "logpdf", "cdf" or "sf" of one output at places (n, G) of each row, (n, G)."""
    n_blocks = places.shape[1] * distribution.weights.size // BLOCK
    blocks = np.array_split(places.T, np.clip(n_blocks, 1, max(places.shape[1], 1)))
    return np.concatenate([mixed(distribution, method, block) for block in blocks]).T


def mixed(distribution, method, y):
    """``at_places``, for places (..., n_samples), all at once."""
    values = getattr(distribution.components, method)(y[..., None])
    if method == "logpdf":
        return special.logsumexp(values, b=distribution.weights, axis=-1)
    return np.einsum("nk,...nk->...n", distribution.weights, values)


def entropy(distribution):
    """Minus the expectation of the log-density, (n,)."""
    places, weights = nodes(distribution)
    log_density = np.minimum(at_places(distribution, "logpdf", places), LARGEST_LOG_DENSITY)
    # Values without density do not count: 0 log 0 is 0.
    log_density = np.maximum(log_density, -1e300)
    return -(weights * np.exp(log_density) * log_density).sum(axis=1)


def crps(distribution, y):
    """Integral of the squared distance between the distribution function and a step at y, (n,)."""
    places, weights = nodes(distribution, including=y)
    distance = at_places(distribution, "cdf", places) - (places >= y[:, None])
    return (weights * distance**2).sum(axis=1)
