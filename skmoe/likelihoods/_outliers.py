"""Targets that may be outliers: those far from the bulk of the others."""

import numpy as np

DECILES = 0.1, 0.9
BEYOND_DECILES = 0.25  # of the distance between first and last decile, beyond each of them


def outlier_bounds(y, weight):
    """Ends of the bulk of the target, beyond which a row may be an outlier.

    They are of shape () or (n_outputs,), and the extremes of y where the deciles are one value.
    """
    ends = np.array([_bounds(column, weight) for column in y.reshape(len(y), -1).T])
    return (ends[:, 0], ends[:, 1]) if y.ndim == 2 else (ends[0, 0], ends[0, 1])


def _bounds(y, weight):
    if (weight == weight[0]).all():
        places = [max(int(np.ceil((q - 1e-9) * len(y))) - 1, 0) for q in DECILES]
        first, last = np.partition(y, places)[places]
    else:
        order = np.argsort(y, kind="stable")
        cumulative = np.cumsum(weight[order]) / weight.sum()
        first, last = (y[order[np.searchsorted(cumulative, q - 1e-9)]] for q in DECILES)
    if first == last:
        return y[weight > 0].min(), y[weight > 0].max()
    return first - BEYOND_DECILES * (last - first), last + BEYOND_DECILES * (last - first)


def without_outliers(y, weight):
    """The weights (n,) of the rows within ``outlier_bounds``, zero for those outside."""
    low, high = outlier_bounds(y, weight)
    inside = ((y >= low) & (y <= high)).reshape(len(y), -1).all(axis=1)
    return np.where(inside, weight, 0.0) if (weight * inside).any() else weight
