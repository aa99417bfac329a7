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
        place = [np.count_nonzero(self.regime[:k] == r) for k, r in enumerate(self.regime)]
        self.n_offsets = max(place) + 1 if has_offsets else 0
        self._size, self._place = n_columns, n_columns + np.array(place)  # of each one's offset

    def joined(self, gram, cross):
        """Sums (K, q, q) and (K, q) of experts as those of regimes, (R, q + m, ...)."""
        q, size = self._size, self._size + self.n_offsets
        joined, of_target = np.zeros((self.n_regimes, size, size)), np.zeros((self.n_regimes, size))
        for r, place, own, target in zip(self.regime, self._place, gram, cross, strict=True):
            joined[r, :q, :q] += own
            of_target[r, :q] += target
            if self.has_offsets:
                joined[r, place, :q] += own[-1]
                joined[r, :q, place] += own[-1]
                joined[r, place, place] += own[-1, -1]
                of_target[r, place] += target[-1]
        return joined, of_target

    def padded(self, levels):
        # Offsets are none.
        return None if levels is None else np.append(levels, np.full(self.n_offsets, False))

    def parted(self, coefficients):
        """``Coefficients`` of regimes with means and covariances of the experts' ones."""
        q, mean, cov = self._size, coefficients.mean[self.regime], coefficients.cov[self.regime]
        parted_mean, parted = mean[:, :q].copy(), cov[:, :q, :q].copy()
        if self.has_offsets:
            each = np.arange(len(mean))
            offset = cov[each, self._place]
            parted_mean[:, -1] += mean[each, self._place]
            parted[:, -1] += offset[:, :q]
            parted[:, :, -1] += offset[:, :q]
            parted[:, -1, -1] += offset[each, self._place]
        return replace(coefficients, mean=parted_mean, cov=parted)
