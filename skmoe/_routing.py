"""Which experts answer for a row, and how much each counts: all of them, or the top k.

With ``top_k=k`` the mixture is the one of the k experts of highest gate probability,
renormalised. Mean, density and quantiles are all of it.
"""

from numbers import Integral

import numpy as np

from ._kernels import _routing
from ._kernels._estep import e_step
from ._numerics.multinomial import log_softmax
from ._parallel import kernel_threads


class Routes:
    """Experts of each row with their weights.

    Parameters
    ----------
    log_gate : ndarray of shape (n_samples, n_experts)
        Log-probabilities of the gate; up to a constant of the row, where ``top_k`` is given.
    top_k : int or None, default=None
        Experts for each row; None, or as many as there are, is all of them.

    Attributes
    ----------
    shape : (int, int)
        Rows, and routes of each.
    experts : ndarray of shape (n_samples, k) or None
        Numbers of the experts, the most probable first, of equal ones the lower number. None
        where every expert answers for every row, in order.
    log_weights : ndarray of shape (n_samples, k)
        Log-probabilities, those of a row summing to one.
    n_experts : int
        Experts in all.
    """

    def __init__(self, log_gate, top_k=None):
        if top_k is not None and not (isinstance(top_k, Integral) and top_k >= 1):
            raise ValueError(f"top_k must be a positive integer or None; got {top_k!r}.")
        self.n_experts = log_gate.shape[1]
        self.experts = None
        if top_k is None:
            self.log_weights = log_gate
        elif top_k >= self.n_experts:
            self.log_weights = log_softmax(log_gate)
        else:
            self.experts = best_experts(log_gate, top_k)
            self.log_weights = log_softmax(np.take_along_axis(log_gate, self.experts, axis=1))
        self.shape = self.log_weights.shape

    @classmethod
    def to_all(cls, n_samples, n_experts):
        """Routes of every row to every expert; their weights mean nothing."""
        return cls(np.zeros((n_samples, n_experts)))

    @property
    def weights(self):
        """Probabilities, (n_samples, k)."""
        return np.exp(self.log_weights)

    def dense(self, values, fill=0.0):
        """One column for each expert, (n, K), from one for each route, (n, k)."""
        if self.experts is None:
            return values
        dense = np.full((len(values), self.n_experts), fill)
        np.put_along_axis(dense, self.experts, values, axis=1)
        return dense

    def fill(self, out, answer):
        """Write an answer for each route; every expert predicts once, for its own rows.

        ``answer(expert, rows)`` -> (n_rows, ...), from the number of an expert and the numbers of
        its rows, or None for all rows. Returns ``out``.
        """
        if self.experts is None:
            for expert in range(self.n_experts):
                out[:, expert] = answer(expert, None)
            return out
        k = self.experts.shape[1]
        flat = out.reshape((-1, *out.shape[2:]))
        places = group_places(self.experts, self.n_experts)
        for expert in range(self.n_experts):
            if len(places[expert]):
                flat[places[expert]] = answer(expert, places[expert] // k)
        return out

    def lead_to(self, expert):
        """Mask (n_samples, k) of the routes that lead to an expert."""
        if self.experts is not None:
            return self.experts == expert
        mask = np.zeros(self.shape, dtype=bool)
        mask[:, expert] = True
        return mask

    def in_order(self):
        """Experts and weights, (n, k), the most probable first."""
        if self.experts is not None:
            return self.experts, self.weights
        experts = best_experts(self.weights, self.n_experts)
        return experts, np.take_along_axis(self.weights, experts, axis=1)


def routed(proba, top_k):
    """Log-probabilities (n, K) of the gate, as predictions with this ``top_k`` use it."""
    log_gate = np.log(np.maximum(proba, 1e-300))
    if top_k is None:
        return log_gate
    routes = Routes(log_gate, top_k)
    return routes.dense(routes.log_weights, fill=-np.inf)


def best_experts(scores, k):
    """Numbers of the k experts of highest score for each row, best first; (n, k)."""
    experts = np.empty((len(scores), k), dtype=np.intp)
    n_threads = kernel_threads(scores.size)
    _routing.top_k(np.ascontiguousarray(scores, dtype=np.float64), experts, n_threads)
    return experts


def keep_best(log_gate, log_density, k):
    """``log_density`` with -inf for all but the k largest of each row in gate times density.

    ``k`` None keeps all. It is a copy where anything is left out.
    """
    if k is None or k >= log_gate.shape[1]:
        return log_density
    experts = best_experts(log_gate + log_density, k)
    kept = np.full_like(log_density, -np.inf)
    np.put_along_axis(kept, experts, np.take_along_axis(log_density, experts, axis=1), axis=1)
    return kept


def group_places(experts, n_experts):
    """For each expert, its places in ``experts`` (n, k) read row by row, in rising order."""
    places = np.empty(experts.size, dtype=np.intp)
    bounds = np.empty(n_experts + 1, dtype=np.intp)
    _routing.sort_by_expert(experts.ravel(), places, bounds)
    return [places[bounds[k] : bounds[k + 1]] for k in range(n_experts)]


def count_loads(gate_proba, weight, k):
    """Summed probability of each expert, and weight of the rows sent to it; each (K,).

    Rows are sent to their ``k`` most probable experts; None is the same as all, of which only
    the first then counts.
    """
    n_experts = gate_proba.shape[1]
    if k is None or k >= n_experts:
        sent = np.bincount(gate_proba.argmax(axis=1), weight, minlength=n_experts)
    else:
        chosen = best_experts(gate_proba, k)
        sent = np.bincount(chosen.ravel(), np.repeat(weight, k), minlength=n_experts)
    return weight @ gate_proba, sent


def evenness(load, sent, total):
    """How evenly experts are used, in the measures that sparse mixtures are known by.

    ``load`` and ``sent`` are from ``count_loads``. A dict of ``variation``, ``unused`` and
    ``switch``, as ExpertReport describes them.
    """
    load = load / total
    return {
        "variation": float(load.std() / load.mean()),
        "unused": int(np.count_nonzero(sent == 0)),
        "switch": float(len(load) * (sent / sent.sum()) @ load),
    }


def posterior(log_gate, log_density):
    """Responsibilities (n, K) and log-density (n,) of rows from the two (n, K) logarithms."""
    log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
    resp = np.empty_like(log_gate)
    log_norm = np.empty(len(log_gate))
    e_step(log_gate, log_density, np.ones(len(log_gate)), resp, log_norm, kernel_threads(resp.size))
    return resp, log_norm
