"""What unlike classifiers that all know all rows are combined by."""

import copy

import numpy as np
from scipy.special import logsumexp

from .._experts.classifier_stack import ClassifierStack, fit_combination
from .._numerics.statistics import standardisation
from .stacked import Learned, StackedTrainer
from .stacked_gate import choose_penalty, fit_gate, log_gate_of


class StackedClassification(StackedTrainer):
    """Learns a stack, the calibration of each expert, of the stack too, and the gate.

    The experts all know all rows, and so does their calibration: it is learned from each expert
    alone, before the gate. Stack, calibration and gate all look at out-of-fold predictions, the
    gate at those of stacks that were fitted without the fold as well.
    """

    def _learn(self, predictions, fitted):
        parts, data = self.parts, self.data
        y, weight, used = data.y, data.weight, np.flatnonzero(data.weight)
        combination = fit_combination(predictions[used], y[used], weight[used])
        means = np.concatenate([predictions, self._stacked(predictions)[:, None]], axis=1)
        n_components = means.shape[1]
        uncalibrated = parts.likelihood.fitting(in_sample=False, linear=False)
        uncalibrated.start(y, weight, n_components)
        mean, scale = standardisation(np.asarray(data.Z, dtype=np.float64), weight)
        Z = (data.Z - mean) / scale

        def calibrated(rows):
            likelihood = copy.copy(uncalibrated)
            each = np.repeat(weight[rows, None], n_components, axis=1)
            likelihood.update(y[rows], means[rows], each)
            return likelihood

        def gate_around(likelihood, rows, penalty, start=None):
            log_density = likelihood.log_density(y[rows], means[rows])
            return fit_gate(Z[rows], log_density, weight[rows], penalty, start)

        def fit(rows, penalty, last):
            likelihood, start = last or (calibrated(rows), None)
            return likelihood, gate_around(likelihood, rows, penalty, start)[0]

        def posterior(parameters, rows):
            likelihood, gate = parameters
            joint = log_gate_of(*gate, Z[rows]) + likelihood.log_density(y[rows], means[rows])
            total = logsumexp(joint, axis=1)
            return np.exp(joint - total[:, None]), total

        penalty, resp, log_norm = choose_penalty(weight, self.folds, n_components, fit, posterior)
        likelihood = calibrated(used)
        gate, objective, converged = gate_around(likelihood, used, None)
        if penalty is not None:
            gate, objective, converged = gate_around(likelihood, used, penalty, gate)
        labels, log_density = posterior((likelihood, gate), np.arange(len(y)))
        stack = ClassifierStack(list(zip(parts.names, fitted, strict=True)))
        return Learned(
            stack=stack.take(combination, parts.classes),
            likelihood=likelihood,
            penalty=penalty,
            labels=labels,
            means=means,
            resp=resp,
            log_norm=log_norm,
            objective=objective,
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )

    def _stacked(self, predictions):
        """Probabilities (n, n_classes) by stacks that were fitted without the fold."""
        y, weight = self.data.y, self.data.weight
        proba = np.empty((len(y), predictions.shape[2]))
        for train, test in self.folds:
            seen = train[weight[train] > 0]
            combination = fit_combination(predictions[seen], y[seen], weight[seen])
            proba[test] = np.exp(combination.log_proba(predictions[test]))
        return proba
