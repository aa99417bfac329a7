r"""Experts of one regime: one regression function, with errors of any shape.

They have their slopes in common. Their intercepts are the same, or differ by offsets, a finite
mixture of which has the shape of any errors:

    b_k = beta_r(k) + c_k e,     c_k ~ N(0, kappa)

with the regime r(k) of expert k, the coefficients beta_r of a regime, of which those in ``pooled``
speak, and e one for the intercept and zero for all slopes. The offsets of a regime stand behind its
coefficients, so that the posterior of all of them together is exact.
"""

from dataclasses import replace

import numpy as np


class Ties:
    """Which experts are of one regime.

    Parameters
    ----------
    regime : array-like of int of shape (n_experts,)
        Number of the regime of each expert, from zero.
    has_offsets : bool
        Whether intercepts within a regime differ.
    n_columns : int
        Coefficients of an expert, q.

    Attributes
    ----------
    n_regimes : int
        R.
    n_offsets : int
        Offsets of a regime, m; those of a small one are in part nobody's.
    """

    def __init__(self, regime, has_offsets, n_columns):
        self.regime, self.has_offsets = np.asarray(regime), has_offsets
        self.n_regimes = int(self.regime.max()) + 1
        self._is_member = np.equal.outer(np.arange(self.n_regimes), self.regime).astype(float)
        place = [np.count_nonzero(self.regime[:k] == r) for k, r in enumerate(self.regime)]
        self.n_offsets = max(place) + 1 if has_offsets else 0
        # (K, q + m, q): what of a regime's coefficients those of an expert are sums of
        self._parts = np.zeros((len(place), n_columns + self.n_offsets, n_columns))
        self._parts[:, :n_columns] = np.eye(n_columns)
        if has_offsets:
            self._parts[np.arange(len(place)), n_columns + np.array(place), -1] = 1.0

    def joined(self, gram, cross):
        """Sums (K, q, q) and (K, q) of experts as those of regimes, (R, q + m, ...)."""
        parts = self._parts
        gram = parts @ gram @ parts.swapaxes(1, 2)
        cross = (parts @ cross[:, :, None])[:, :, 0]
        return np.tensordot(self._is_member, gram, 1), self._is_member @ cross

    def parted(self, coefficients):
        """``Coefficients`` of regimes with means and covariances of the experts' ones."""
        parts, mean = self._parts, coefficients.mean[self.regime]
        return replace(
            coefficients,
            mean=(mean[:, None] @ parts)[:, 0],
            cov=parts.swapaxes(1, 2) @ coefficients.cov[self.regime] @ parts,
        )
