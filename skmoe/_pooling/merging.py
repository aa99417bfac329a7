"""Which two experts of a mixture are least missed when they become one."""

from itertools import combinations

import numpy as np
from scipy import special


def cheapest_merger(experts, resp, log_gate, weight):
    r"""The two experts that lose least as one, at these responsibilities.

    What the experts lose, and what the gate gains as it no longer tells the two apart:

    .. math:: L_{kl} - \sum_i w_i \sum_{j \in \{k, l\}} r_{ij} \log
        \frac{r_{ij} / (r_{ik} + r_{il})}{\pi_{ij} / (\pi_{ik} + \pi_{il})}

    ``experts`` are two at least, with ``loss_as_one(k, l)``; ``resp`` and ``log_gate`` are (n, K).
    Returns the loss of log-likelihood, before the smaller mixture is trained, and the pair.
    """
    losses = []
    for pair in map(list, combinations(range(resp.shape[1]), 2)):
        own, log_share = resp[:, pair], special.log_softmax(log_gate[:, pair], axis=1)
        total = np.maximum(own.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        told_apart = weight @ (special.xlogy(own, own / total) - own * log_share).sum(axis=1)
        losses.append((experts.loss_as_one(*pair) - told_apart, tuple(pair)))
    return min(losses)


def merged(resp, pair):
    """Responsibilities with the second of two experts added to the first."""
    k, other = pair
    together = resp.copy()
    together[:, k] += together[:, other]
    return np.delete(together, other, axis=1)
