"""What reports of experts are made of: sums over rows."""

from dataclasses import dataclass, fields

import numpy as np

from .._routing import count_loads


@dataclass
class ReportSums:
    """Sums over rows of what the experts do there; those of two blocks add up.

    Attributes
    ----------
    total : float
        Weight of the rows.
    rows, load, sent, wins, certain, entropy, losses : ndarray of shape (n_experts,)
        Summed responsibilities, gate probabilities, weights of the rows sent to an expert and of
        those that it has the largest responsibility for; and, of the rows that are its own by
        responsibility, gate probabilities, entropies of the gate, and losses.
    overlap : ndarray of shape (n_experts, n_experts)
        Summed products of responsibilities.
    """

    total: float
    rows: np.ndarray
    load: np.ndarray
    sent: np.ndarray
    wins: np.ndarray
    certain: np.ndarray
    entropy: np.ndarray
    losses: np.ndarray
    overlap: np.ndarray

    @classmethod
    def of(cls, resp, gate_proba, loss, weight, top_k):
        """Sum over rows.

        Parameters
        ----------
        resp, gate_proba, loss : ndarray of shape (n_rows, n_experts)
            Responsibilities, gate probabilities, and losses of the experts.
        weight : ndarray of shape (n_rows,)
            Weights.
        top_k : int or None
            Experts that a row is sent to; None for all.
        """
        n_experts = resp.shape[1]
        mass = resp * weight[:, None]
        load, sent = count_loads(gate_proba, weight, top_k)
        plogp = gate_proba * np.log(np.where(gate_proba > 0, gate_proba, 1.0))
        return cls(
            total=weight.sum(),
            rows=mass.sum(axis=0),
            load=load,
            sent=sent,
            wins=np.bincount(resp.argmax(axis=1), weight, minlength=n_experts),
            certain=np.einsum("nk,nk->k", mass, gate_proba),
            entropy=-(plogp.sum(axis=1) @ mass),
            losses=np.einsum("nk,nk->k", mass, loss),
            overlap=mass.T @ resp,
        )

    def __add__(self, other):
        names = [field.name for field in fields(self)]
        return ReportSums(*(getattr(self, name) + getattr(other, name) for name in names))
