"""Starts next to a mixture: two of its experts are merged, and another is halved."""

from itertools import combinations

import numpy as np

from .starts import STARTS, soften

HALVINGS = ("functions", "kmeans_x")  # ways to halve the rows of an expert


def halves(data, resp, k, name, random_state):
    """Responsibilities (n, 2) of two experts that share those of one.

    ``name`` is that of the start that halves the rows of expert k, one of ``HALVINGS``.
    """
    target = data.y if data.target is None else data.target
    labels = STARTS[name](data.columns, target, data.weight * resp[:, k], 2, random_state)
    return resp[:, [k]] * soften(labels, 2)


def moved(data, resp, log_norm, n_moves, random_state):
    """Responsibilities of neighbours of a mixture, the most promising first [1]_.

    Merged are experts that share rows, halved those whose rows are explained worst.

    ``resp`` (n, K) is of three experts or more, ``log_norm`` (n,) the log-density of each row.
    Returns at most ``n_moves``, in a list.

    References
    ----------
    .. [1] N. Ueda, R. Nakano, Z. Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models",
       Neural Computation 12 (2000) 2109-2128.
    """
    weighted = resp * data.weight[:, None]
    shared = resp.T @ weighted
    size = np.sqrt(np.maximum(shared.diagonal(), 1e-300))
    alike = sorted(
        combinations(range(len(size)), 2),
        key=lambda pair: -shared[pair] / (size[pair[0]] * size[pair[1]]),
    )
    mass = weighted.sum(axis=0)
    badly = np.argsort(log_norm @ weighted / np.maximum(mass, 1e-300), kind="stable")
    badly = [k for k in badly if mass[k] >= 2]
    ranked = sorted(
        (i + j, i, j, pair, k)
        for i, pair in enumerate(alike)
        for j, k in enumerate(k for k in badly if k not in pair)
    )
    starts = []
    for number, (*_, pair, k) in enumerate(ranked * len(HALVINGS)):
        if len(starts) == n_moves:
            break
        merged = resp.copy()
        merged[:, pair[0]] += merged[:, pair[1]]
        name = HALVINGS[(number + number // len(ranked)) % len(HALVINGS)]
        merged[:, [k, pair[1]]] = halves(data, resp, k, name, random_state)
        starts.append(merged)
    return starts
