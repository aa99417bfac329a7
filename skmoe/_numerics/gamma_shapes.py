"""Shapes of Gamma variables, and ratios of Gamma functions."""

import numpy as np
from scipy import special

LARGEST_SHAPE = 1e6  # a relative standard deviation of 0.1 %, the floor of Gaussian scales


def shape_of_deviance(deviance):
    """Solve log(shape) - digamma(shape) = deviance, by Newton's method in log(shape).

    The deviance is half the mean one, ``y / mean - 1 - log(y / mean)``; the shape is a million at
    most.
    """
    deviance = np.maximum(deviance, 0.5 / LARGEST_SHAPE)
    root = np.sqrt((deviance - 3) ** 2 + 24 * deviance)
    above = 2 / (np.abs(deviance - 3) + root)
    shape = np.where(deviance < 3, (3 - deviance + root) / (12 * deviance), above)
    for _ in range(50):
        error = np.log(shape) - special.digamma(shape) - deviance
        step = error / (1 - shape * special.polygamma(1, shape))
        shape = shape * np.exp(-np.clip(step, -1, 1))
        if np.all(np.abs(step) < 1e-12):
            break
    return np.minimum(shape, LARGEST_SHAPE)


def log_gamma_ratio(x, step):
    """``log(Gamma(x + step) / Gamma(x))``, without their difference, which loses digits.

    Both are positive, x of any size. It is about ``step * log(x)`` for large x.
    """
    return special.gammaln(step) - special.betaln(x, step)


def inverse_trigamma(value):
    """Solve trigamma(x) = value, by Newton's method for 1 / trigamma(x), which is nearly linear."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = special.polygamma(1, x)
        step = trigamma * (1 - trigamma / value) / special.polygamma(2, x)
        x = x + step
        if np.all(np.abs(step) < 1e-12 * x):
            break
    return x


def log_mean_of_gamma(shape):
    """Logarithm of the mean of a Gamma variable, less the mean of its logarithm.

    Parameters
    ----------
    shape : ndarray
        Positive.

    Returns
    -------
    difference : ndarray, shaped like shape
        About ``0.5 / shape`` for large shapes.
    """
    return np.log(shape) - special.digamma(shape)
