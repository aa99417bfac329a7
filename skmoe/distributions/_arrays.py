"""Functions shared by the kinds of components."""

from numbers import Integral

import numpy as np


def diagonal(var):
    """Covariance matrices (..., m, m) from variances (..., m) of independent outputs."""
    return var[..., None] * np.eye(var.shape[-1])


def check_probabilities(name, q):
    """A probability, or an array (n_quantiles,) of them; ValueError if it is neither."""
    q = np.asarray(q, dtype=np.float64)
    if q.ndim > 1 or not q.size or not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"{name} must be probabilities in [0, 1], such as 0.9; got {q}.")
    return q


def check_n_draws(name, n_draws):
    """Raise a ValueError unless this is a number of draws."""
    if not isinstance(n_draws, Integral) or isinstance(n_draws, bool) or n_draws < 0:
        raise ValueError(f"{name} must be an integer, 0 or more; got {n_draws!r}.")


def draw_places(weights, size, random_state):
    """Numbers of columns (n, size), drawn with the probabilities in each row of ``weights``."""
    cumulative = np.cumsum(weights, axis=1)
    levels = random_state.uniform(size=(len(weights), size)) * cumulative[:, -1:]
    return (levels[:, :, None] >= cumulative[:, None, :]).sum(axis=2)


def take(values, places):
    """The entries (n, size[, m]) of ``values`` (n, K[, m]) at ``places`` (n, size)."""
    return values[np.arange(len(places))[:, None], places]


TINY = 1e-290  # probabilities below it lose digits


def log_of_tail(tail, asymptote, shape, z):
    """Logarithms of probabilities, those of ``asymptote(shape, z)`` where they underflow."""
    with np.errstate(divide="ignore"):
        logs = np.array(np.log(tail))
    far = (tail < TINY) & np.isfinite(z) & (z != 0)
    if far.any():
        logs[far] = asymptote(*(np.broadcast_to(each, tail.shape)[far] for each in (shape, z)))
    return logs
