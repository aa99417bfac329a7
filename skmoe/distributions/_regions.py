"""Modes and regions of highest density of mixtures, all rows at once."""

import numpy as np

from ._quadrature import at_places, density_grid, find_root, find_whole

GOLDEN = 0.5 * (np.sqrt(5) - 1)
SAME_LOG_DENSITY = 9  # decimals; what differs by less is rounding, and no valley
WITHIN_A_STEP = np.arange(-2.0, 3.0)  # of where a search among whole numbers ends
BESIDE_A_STEP = 1e-12  # in log-density: on the far side, where the density is level
STEEPEST = 50.0  # log-densities further from a level than that tell no more


def modes(distribution):
    """Places of the local maxima of each row, highest first, (n, M) filled up with NaN."""
    places, there = _maxima(distribution, density_grid(distribution), 1)
    height = np.where(there, at_places(distribution, "logpdf", places), -np.inf)
    order = np.argsort(-height, axis=1, kind="stable")
    return np.take_along_axis(np.where(there, places, np.nan), order, axis=1)


def _maxima(distribution, grid, sign):
    """Local maxima (minima with sign -1) of each row, (n, M), and which of them are there."""
    index, there = _where(_peaks(sign * grid.log_density))
    low = np.take_along_axis(grid.places, np.maximum(index - 1, 0), axis=1)
    high = np.take_along_axis(grid.places, np.minimum(index + 1, grid.places.shape[1] - 1), axis=1)

    def height(places):
        return sign * at_places(distribution, "logpdf", places)

    if not distribution.discrete:
        return _golden_section(height, low, high), there
    places = np.take_along_axis(grid.places, index, axis=1)
    if (high - low > 2).any():
        near = np.floor(_golden_section(lambda x: height(np.floor(x)), low, high))
        near = np.clip(near[:, :, None] + WITHIN_A_STEP, low[:, :, None], high[:, :, None])
        best = height(near.reshape(len(near), -1)).reshape(near.shape).argmax(axis=2)
        near = np.take_along_axis(near, best[:, :, None], axis=2)[:, :, 0]
        places = np.where(high - low > 2, near, places)
    return places, there


def _peaks(log_density):
    """Mask of the places from which the density falls to both sides; one for each plateau."""
    with np.errstate(invalid="ignore"):  # -inf beside -inf
        slope = np.sign(np.diff(np.round(log_density, SAME_LOG_DENSITY), axis=1))
    slope = np.nan_to_num(slope)
    edge = np.ones((len(slope), 1))
    slope = np.hstack([edge, slope, -edge])
    last_slope = np.where(slope != 0, np.arange(slope.shape[1]), 0)
    slope = np.take_along_axis(slope, np.maximum.accumulate(last_slope, axis=1), axis=1)
    return (slope[:, :-1] > 0) & (slope[:, 1:] < 0)


def _where(mask):
    """Indices (n, M) of the true entries of each row, and which of them are there."""
    most = mask.sum(axis=1).max()
    index = np.argsort(~mask, axis=1, kind="stable")[:, :most]
    return index, np.take_along_axis(mask, index, axis=1)


def _golden_section(function, low, high):
    for _ in range(45):  # then the bracket is 4e-10 of what it was, and the density is level
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        rises = function(left) < function(right)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
    return 0.5 * (low + high)


def highest_density(distribution, level):
    """Smallest region of some probability: for each row an array (n_intervals, 2)."""
    grid = density_grid(distribution)
    if not distribution.discrete:
        return _above_a_level(distribution, grid, level)
    regions, all_seen = _most_probable(grid, level), grid.weights.max(axis=1) <= 1
    if not all_seen.all():
        others = _above_a_level(distribution, grid, level)
        regions = [a if seen else b for a, b, seen in zip(regions, others, all_seen, strict=True)]
    return regions


def _above_a_level(distribution, grid, level):
    """Regions of densities above that level with which they have the probability."""
    mass = grid.weights * np.exp(grid.log_density)
    order = np.argsort(-grid.log_density, axis=1, kind="stable")
    depth = -np.take_along_axis(grid.log_density, order, axis=1)  # rises along each row
    mass = np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1)
    # Depths between which the probability of what is less deep passes the level.
    beyond = np.argmax(mass >= np.minimum(0.5 + 0.5 * level, mass[:, -1:]), axis=1)
    deepest = np.take_along_axis(depth, beyond[:, None], axis=1)[:, 0]
    places, log_density = _with_extremes(distribution, grid)
    found = {}

    def excess(depth):
        low, high, there = _crossings(distribution, places, log_density, -depth)
        below = low - 1 if distribution.discrete else low
        inside = at_places(distribution, "cdf", high) - at_places(distribution, "cdf", below)
        found["ends"] = low, high, there
        return np.where(there, inside, 0.0).sum(axis=1) - level

    shallowest = -log_density.max(axis=1)
    if distribution.discrete:  # down to the probability of one whole number
        level_depth = find_root(excess, shallowest, deepest, jump=lambda x: 1.5 * np.exp(-x))
    else:
        level_depth = find_root(excess, shallowest, deepest, noise=1e-14) + BESIDE_A_STEP
    excess(level_depth)
    ends = np.stack(found["ends"][:2], axis=2)
    return [row[there] for row, there in zip(ends, found["ends"][2], strict=True)]


def _with_extremes(distribution, grid):
    """Places and log-densities of the grid, its maxima and minima, and of a place beyond each end.

    Between two of them the density rises or falls, so that no crossing of a level is missed.
    """
    span = np.ptp(grid.places, axis=1, keepdims=True) + 1e-300
    extremes = [_maxima(distribution, grid, sign)[0] for sign in (1, -1)]
    ends = [grid.places[:, :1] - span, grid.places[:, -1:] + span]
    extra = np.hstack([*extremes, *ends])
    places = np.hstack([grid.places, extra])
    log_density = np.hstack([grid.log_density, at_places(distribution, "logpdf", extra)])
    log_density[:, -2:] = -np.inf
    order = np.argsort(places, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(log_density, order, axis=1)


def _crossings(distribution, places, log_density, level):
    """Ends of the intervals in which the log-density is above a level: (n, M) each, and a mask."""
    above = log_density >= level[:, None]
    above[np.arange(len(above)), log_density.argmax(axis=1)] = True  # the top, as rounding has it
    ends = []
    for sign, crosses in ((1, ~above[:, :-1] & above[:, 1:]), (-1, above[:, :-1] & ~above[:, 1:])):
        index, there = _where(crosses)
        low = np.take_along_axis(places, index, axis=1)
        high = np.take_along_axis(places, index + 1, axis=1)

        def height(place, sign=sign):
            values = at_places(distribution, "logpdf", place) - level[:, None]
            return sign * np.clip(values, -STEEPEST, STEEPEST)

        if not distribution.discrete:
            ends.append(find_root(height, low, high, noise=1e-14))
        elif sign > 0:
            ends.append(find_whole(height, low + 1, high))
        else:
            ends.append(find_whole(height, low + 1, high) - 1)
    return *ends, there


def _most_probable(grid, level):
    """Runs of whole numbers, the most probable ones that together have the probability."""
    probability = grid.weights * np.exp(grid.log_density)
    order = np.argsort(-grid.log_density, axis=1, kind="stable")
    before = np.cumsum(np.take_along_axis(probability, order, axis=1), axis=1)
    before = np.hstack([np.zeros((len(before), 1)), before[:, :-1]])
    taken = np.zeros(order.shape, dtype=int)
    np.put_along_axis(taken, order, (before < level).astype(int), axis=1)
    step = np.diff(np.pad(taken, ((0, 0), (1, 1))), axis=1)
    runs = []
    for row, change in zip(grid.places, step, strict=True):
        first, last = np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1
        runs.append(np.column_stack([row[first], row[last]]))
    return runs
