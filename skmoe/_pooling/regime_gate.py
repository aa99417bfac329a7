"""A gate before regimes: experts of one regime are as probable, among these, in all rows."""

import numpy as np
from scipy import special

from .problem import LARGEST_ALPHA, PooledGate

PRIOR_COUNT = 1.0  # of each expert, among those of its regime


class RegimeGate(PooledGate):
    """Softmax over regimes, times proportions within them.

    The proportions of a regime have a Dirichlet prior and posterior, of which ``log_proba`` holds
    the expected logarithms.

    Parameters
    ----------
    gate : PooledGate
        Of the same rows.
    regime : ndarray of int of shape (n_experts,)
        Number of the regime of each expert.
    """

    def __init__(self, gate, regime):
        vars(self).update(vars(gate))
        self.regime = np.asarray(regime)
        self._members = np.equal.outer(self.regime, np.arange(max(regime) + 1)).astype(float)

    @property
    def coef_of_experts(self):
        coef = self.coef[:, self.regime].copy()
        total = self._counts @ self._members
        coef[-1] += np.log(self._counts) - np.log(total[self.regime])
        return coef

    @property
    def proba(self):
        """Probabilities (n_samples, n_experts), with the mean shares in a regime."""
        total = (self._counts @ self._members)[self.regime]
        return np.exp(self._log_proba[:, self.regime]) * (self._counts / total)

    @property
    def sees_rows(self):
        return self._members.shape[1] > 1

    def begin(self, resp, alpha=None):
        self._learn_shares(resp)
        super().begin(resp, alpha)

    def fit(self, resp, max_iter=1, tol=0.0):
        self._learn_shares(resp)
        super().fit(resp @ self._members, max_iter, tol)

    def learn_alpha(self, resp, largest=LARGEST_ALPHA):
        if self._members.shape[1] == 1:
            self.alpha = np.full(len(self.coef) - 1, LARGEST_ALPHA)
            self._learn_shares(resp)
            self._set(self.coef)
        else:
            super().learn_alpha(resp, largest)

    def log_prior(self):
        """Log-prior of the weights, less the KL divergence of the shares from their prior."""
        counts, prior = self._counts, PRIOR_COUNT
        total, of_prior = counts @ self._members, prior * self._members.sum(axis=0)
        divergence = special.gammaln(total).sum() - special.gammaln(counts).sum()
        divergence -= special.gammaln(of_prior).sum() - len(counts) * special.gammaln(prior)
        divergence += (counts - prior) @ self._log_share
        return super().log_prior() - float(divergence)

    def _learn_shares(self, resp):
        self._counts = PRIOR_COUNT + self.weight @ resp
        total = (self._counts @ self._members)[self.regime]
        self._log_share = special.digamma(self._counts) - special.digamma(total)

    def _n_functions(self, resp):
        return self._members.shape[1]

    def _set(self, coef):
        super()._set(coef)
        self.log_proba = self._log_proba[:, self.regime] + self._log_share
