"""How unlike classifiers, each fitted on all rows, are combined."""

import numpy as np
from scipy.special import log_softmax, logsumexp

from .._experts.classifier_stack import ClassifierStack, fit_combination
from .._numerics.statistics import standardisation
from .gate import choose_penalty, fit_gate, log_gate_of
from .given_gate import gate_around
from .trainer import Learned, StackedTrainer

STANDARD_ERRORS = 2.0  # by which a gate must beat constant proportions; see choose_penalty


class StackedClassification(StackedTrainer):
    """Learns a stack from out-of-fold predictions, and the gate from these and the stack's.

    What the stack predicts is out of fold too, and it is what calibrates. All components are mixed
    with one share of the class shares, which is what remains where nothing predicts the class.
    """

    def _learn(self, predictions, fitted):
        parts, data, Z = self.parts, self.data, self._gate_columns()
        y, weight, used = data.y, data.weight, np.flatnonzero(data.weight)
        combination = fit_combination(predictions[used], y[used], weight[used])
        means = np.concatenate([predictions, self._stacked(predictions)[:, None]], axis=1)
        n_components = means.shape[1]
        likelihood = parts.likelihood.fitting(in_sample=True, linear=False)
        likelihood.start(y, weight, n_components).take_mass(np.full(n_components, weight.sum()))
        own = likelihood.log_density(y, means)
        prior = np.log(np.maximum(likelihood.class_share_[y], np.finfo(float).tiny))

        def smoothed(share, rows):
            of_prior = np.log(share) + prior[rows]
            return np.logaddexp(np.log1p(-share) + own[rows], of_prior[:, None])

        def fit_both(rows, penalty, start):
            share, gate = start or (share_of_prior(own[rows], prior[rows], weight[rows]), None)
            gate, *ends = fit_gate(Z[rows], smoothed(share, rows), weight[rows], penalty, gate)
            return (share, gate), *ends

        def fit(rows, penalty, start):
            return fit_both(rows, penalty, start)[0]

        def posterior(fitted, rows):
            share, gate = fitted
            joint = log_gate_of(*gate, Z[rows]) + smoothed(share, rows)
            total = logsumexp(joint, axis=1)
            return np.exp(joint - total[:, None]), total

        gate, penalty = None, None
        if self.gate is None:
            penalty, resp, log_norm = choose_penalty(
                weight, self.folds, n_components, fit, posterior, standard_errors=STANDARD_ERRORS
            )
        else:
            density = np.empty_like(own)
            for train, test in self.folds:
                seen = train[weight[train] > 0]
                density[test] = smoothed(fit(seen, None, None)[0], test)
            equal = np.full(own.shape, 1 / n_components)
            gate, resp, log_norm = gate_around(
                self.gate, data, self.folds, density, equal, self.settings.tol
            )
        learned, objective, converged = fit_both(used, penalty, fit(used, None, None))
        labels, log_density = posterior(learned, np.arange(len(y)))
        floor = likelihood.epsilon  # already in what is mixed with the class shares
        likelihood.epsilon_[:] = floor + (1 - floor) * learned[0]
        stack = ClassifierStack(list(zip(parts.names, fitted, strict=True)))
        return Learned(
            stack=stack.take(combination, parts.classes),
            likelihood=likelihood,
            penalty=penalty,
            labels=labels,
            gate=gate,
            means=means,
            resp=resp,
            log_norm=log_norm,
            objective=objective,
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )

    def _gate_columns(self):
        """Standardised columns of the default gate; none where another was asked for."""
        if self.gate is not None:
            return np.empty((len(self.data.y), 0))
        Z = np.asarray(self.data.Z, dtype=np.float64)
        mean, scale = standardisation(Z, self.data.weight)
        return (Z - mean) / scale

    def _stacked(self, predictions):
        """Probabilities (n, n_classes) by stacks that were fitted without the fold."""
        y, weight = self.data.y, self.data.weight
        proba = np.empty((len(y), predictions.shape[2]))
        for train, test in self.folds:
            seen = train[weight[train] > 0]
            combination = fit_combination(predictions[seen], y[seen], weight[seen])
            proba[test] = np.exp(combination.log_proba(predictions[test]))
        return proba


def share_of_prior(log_density, log_prior, weight):
    """Proportion of the class shares in a mixture of them and all components.

    ``log_prior`` (n_samples,) are logarithms of the shares of the rows' classes; weights are
    positive.
    """
    density = np.column_stack([log_density, log_prior])
    (intercepts, _), *_ = fit_gate(np.empty((len(weight), 0)), density, weight, None)
    return np.exp(log_softmax(intercepts))[-1]
