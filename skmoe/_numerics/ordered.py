"""Probabilities of ordered classes, as those of a logistic variable between two thresholds."""

import numpy as np
from scipy import special

SMALLEST_GAP = 1e-9  # between two thresholds


def between(low, high):
    """Log-probabilities of intervals of a standard logistic variable, and their derivatives.

    The first ones are by the ends, (low, high), and the second ones by both of low, by both of high
    and by each of them. Ends may be infinite.
    """
    at_low, at_high = special.expit(low), special.expit(high)
    with np.errstate(invalid="ignore"):
        inside = -np.expm1(np.minimum(low - high, -SMALLEST_GAP))
    log_proba = special.log_expit(high) + special.log_expit(-low) + np.log(inside)
    by_low = -at_low / (at_high * inside)
    by_high = special.expit(-high) / (special.expit(-low) * inside)
    of_low = by_low * (1 - 2 * at_low) - by_low**2
    of_high = by_high * (1 - 2 * at_high) - by_high**2
    return log_proba, (by_low, by_high), (of_low, of_high, -by_low * by_high)


def probabilities(predictor, thresholds):
    """Probabilities (..., n_classes) of predictors (...,) between thresholds (n_classes - 1,)."""
    above = special.expit(predictor[..., None] - thresholds)
    first, last = np.ones_like(predictor)[..., None], np.zeros_like(predictor)[..., None]
    proba = np.concatenate([first, above], axis=-1) - np.concatenate([above, last], axis=-1)
    proba = np.maximum(proba, np.finfo(float).tiny)
    return proba / proba.sum(axis=-1, keepdims=True)
