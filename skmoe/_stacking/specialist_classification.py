"""What clones of a classifier beside a generalist are weighed by."""

import numpy as np
from scipy.special import logsumexp

from .gate import choose_penalty, fit_gate, log_gate_of
from .specialists import FIRST_PENALTY, Refitted, SpecialistsTrainer

CALIBRATION_ROUNDS = 10  # alternations of calibration and gate


class SpecialistClassification(SpecialistsTrainer):
    """Learns calibration and gate."""

    def _begin(self, predictions):
        """Nothing: errors of classes have no size."""

    def _calibrated(self, means, Z):
        """The calibrated likelihood, and log-densities (n, n_experts)."""
        y, weight = self.data.y, self.data.weight
        likelihood = self.parts.likelihood.fitting(in_sample=False, linear=False)
        likelihood.start(y, weight, means.shape[1])
        resp, gate, used = np.ones(means.shape[:2]), None, np.flatnonzero(weight)
        penalty = FIRST_PENALTY if Z.shape[1] else None
        for _ in range(CALIBRATION_ROUNDS):
            likelihood.update(y, means, resp * weight[:, None])
            density = likelihood.log_density(y, means)
            gate = fit_gate(Z[used], density[used], weight[used], penalty, gate)[0]
            resp, _ = _posterior(gate, Z, density)
        return likelihood, density

    def _judge(self, means, Z, penalties):
        weight = self.data.weight
        _, density = self._calibrated(means, Z)

        def fit(rows, penalty, start):
            return fit_gate(Z[rows], density[rows], weight[rows], penalty, start)[0]

        def posterior(gate, rows):
            return _posterior(gate, Z[rows], density[rows])

        return choose_penalty(
            weight, self.folds, means.shape[1], fit, posterior, penalties=penalties
        )

    def _densities(self, means):
        return self._calibrated(means, np.empty((len(means), 0)))[1]

    def _refit(self, means, Z, penalty):
        weight, used = self.data.weight, np.flatnonzero(self.data.weight)
        likelihood, density = self._calibrated(means, Z)
        gate, objective, converged = fit_gate(Z[used], density[used], weight[used], penalty)
        labels, log_density = _posterior(gate, Z, density)
        return Refitted(
            likelihood=likelihood,
            labels=labels,
            objective=objective,
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )


def _posterior(gate, Z, density):
    """Responsibilities (n, n_experts) and log-densities (n,) of rows."""
    joint = log_gate_of(*gate, Z) + density
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total
