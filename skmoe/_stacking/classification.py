"""What unlike classifiers that all know all rows are combined by."""

import numpy as np
from scipy.special import log_softmax, logsumexp

from .._experts.classifier_stack import ClassifierStack, fit_combination
from .._numerics.statistics import standardisation
from .gate import choose_penalty, fit_gate, log_gate_of
from .trainer import Learned, StackedTrainer

STANDARD_ERRORS = 2.0  # by which a gate that looks at the row must be better; see choose_penalty


class StackedClassification(StackedTrainer):
    """Learns a stack from out-of-fold predictions, and the gate from these and the stack's.

    What the stack predicts is out of fold too, and it is what calibrates. All components are mixed
    with one share of the class shares, which is what remains where nothing predicts the class.
    """

    def _learn(self, predictions, fitted):
        parts, data = self.parts, self.data
        y, weight, used = data.y, data.weight, np.flatnonzero(data.weight)
        combination = fit_combination(predictions[used], y[used], weight[used])
        means = np.concatenate([predictions, self._stacked(predictions)[:, None]], axis=1)
        n_components = means.shape[1]
        likelihood = parts.likelihood.fitting(in_sample=True, linear=False)
        likelihood.start(y, weight, n_components).take_mass(np.full(n_components, weight.sum()))
        likelihood.epsilon_[:] = self._share_of_prior(likelihood, means)
        density = likelihood.log_density(y, means)
        Z = np.asarray(data.Z, dtype=np.float64)
        mean, scale = standardisation(Z, weight)
        Z = (Z - mean) / scale

        def fit(rows, penalty, start):
            return fit_gate(Z[rows], density[rows], weight[rows], penalty, start)[0]

        def posterior(gate, rows):
            joint = log_gate_of(*gate, Z[rows]) + density[rows]
            total = logsumexp(joint, axis=1)
            return np.exp(joint - total[:, None]), total

        penalty, resp, log_norm = choose_penalty(
            weight, self.folds, n_components, fit, posterior, standard_errors=STANDARD_ERRORS
        )
        gate, objective, converged = fit_gate(
            Z[used], density[used], weight[used], penalty, fit(used, None, None)
        )
        labels, log_density = posterior(gate, np.arange(len(y)))
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

    def _share_of_prior(self, likelihood, means):
        """Proportion of the class shares in a mixture of them and all components."""
        y, weight, used = self.data.y, self.data.weight, np.flatnonzero(self.data.weight)
        prior = np.log(likelihood.class_share_[y[used]])
        density = np.column_stack([likelihood.log_density(y[used], means[used]), prior])
        (intercepts, _), *_ = fit_gate(np.empty((len(used), 0)), density, weight[used], None)
        return max(np.exp(log_softmax(intercepts))[-1], likelihood.epsilon)

    def _stacked(self, predictions):
        """Probabilities (n, n_classes) by stacks that were fitted without the fold."""
        y, weight = self.data.y, self.data.weight
        proba = np.empty((len(y), predictions.shape[2]))
        for train, test in self.folds:
            seen = train[weight[train] > 0]
            combination = fit_combination(predictions[seen], y[seen], weight[seen])
            proba[test] = np.exp(combination.log_proba(predictions[test]))
        return proba
