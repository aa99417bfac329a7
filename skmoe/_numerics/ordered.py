"""Probabilities of ordered classes, as those of a logistic variable between two thresholds."""

import numpy as np
from scipy import special

SMALLEST_GAP = 1e-9  # between two thresholds


def between(low, high):
    """Log-probabilities of intervals of a standard logistic variable, and their derivatives.

    The first ones are by the ends, (low, high), and the second ones by both of low, by both of high
    and by each of them. Ends may be infinite.
    """
    below = special.log_expit(low), special.log_expit(high)
    above = special.log_expit(-low), special.log_expit(-high)
    with np.errstate(invalid="ignore"):
        inside = -np.expm1(np.minimum(low - high, -SMALLEST_GAP))
    log_proba = below[1] + above[0] + np.log(inside)
    by_low = -np.exp(below[0] - below[1]) / inside
    by_high = np.exp(above[1] - above[0]) / inside
    of_low = by_low * (1 - 2 * np.exp(below[0])) - by_low**2
    of_high = by_high * (1 - 2 * np.exp(below[1])) - by_high**2
    return log_proba, (by_low, by_high), (of_low, of_high, -by_low * by_high)


def probabilities(predictor, thresholds):
    """Probabilities (..., n_classes) of predictors (...,) between thresholds (n_classes - 1,)."""
    distance = predictor[..., None] - thresholds
    first, last = np.ones_like(predictor)[..., None], np.zeros_like(predictor)[..., None]
    above = np.concatenate([first, special.expit(distance), last], axis=-1)
    below = np.concatenate([last, special.expit(-distance), first], axis=-1)
    # Differences of numbers that are not near one are exact.
    proba = np.where(above[..., :-1] > 0.5, np.diff(below), -np.diff(above))
    proba = np.maximum(proba, np.finfo(float).tiny)
    return proba / proba.sum(axis=-1, keepdims=True)
