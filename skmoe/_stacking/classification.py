"""Densities of classifiers: how unlike ones are combined, and how clones are calibrated."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp

from .._experts.classifier_stack import ClassifierStack, fit_log_linear_pool, pooled_log_proba
from .densities import Densities
from .gate import FIRST_PENALTY, choose_penalty, cross_fitted, fit_gate, log_gate_of

CALIBRATION_ROUNDS = 10  # alternations of calibration and gate
STANDARD_ERRORS = 2.0  # by which the gate of a stack must beat proportions; see choose_penalty


class ClassificationDensities(Densities):
    """Learns from a stack, which calibrates, or the calibration of clones of one classifier.

    All components except the stack are mixed with one share of the class shares, which is what
    remains where nothing predicts the class. See ``Densities`` for the parameters.
    """

    def stack(self, predictions, fitted):
        y = self.data.y
        weight = self.data.weight
        used = np.flatnonzero(self.data.weight)

        def fit(rows):
            return fit_log_linear_pool(predictions[rows], y[rows], weight[rows])

        def predict(combination, rows):
            return np.exp(pooled_log_proba(predictions[rows], *combination))

        stacked = cross_fitted(weight, self.folds, fit, predict)
        stack = ClassifierStack(list(zip(self.parts.names, fitted, strict=True)))
        return stacked, stack.take(fit(used), self.parts.classes)

    def _refit(self, means, Z, penalty, shares):
        (likelihood, rows), used = self._fitted(means, Z), np.flatnonzero(self.data.weight)
        if rows.log_prior is None:
            start = None
        else:
            start = rows.fit(used, None)[0]
        (share, gate), objective, converged = rows.fit(used, penalty, start)
        if rows.log_prior is not None:
            floor = likelihood.epsilon  # already in what is mixed with the class shares
            likelihood.epsilon_[:] = floor + (1 - floor) * share
        return likelihood, *rows.posterior((share, gate), slice(None)), objective, converged

    def _judge(self, means, Z, penalties, shares):
        _, rows = self._fitted(means, Z)
        if rows.log_prior is None:
            errors = 0.0
        else:
            errors = STANDARD_ERRORS
        return choose_penalty(
            rows.weight,
            self.folds,
            lambda *start: rows.fit(*start)[0],
            rows.posterior,
            penalties=penalties,
            standard_errors=errors,
        )

    def _out_of_fold(self, means, shares=None):
        _, rows = self._fitted(means, np.empty((len(means), 0)))
        return cross_fitted(rows.weight, self.folds, rows.share, rows.smoothed)

    def _fitted(self, means, Z):
        """The likelihood, and the rows under it."""
        y = self.data.y
        weight = self.data.weight
        is_stack = self.parts.is_list
        likelihood = self.parts.likelihood.fitting(in_sample=is_stack, linear=False)
        likelihood.own_density_ = np.zeros(means.shape[1], dtype=bool)
        likelihood.start(y, weight, means.shape[1])
        if is_stack:
            likelihood.take_mass(np.full(means.shape[1], weight.sum()))
            prior = np.log(np.maximum(likelihood.class_share_[y], np.finfo(float).tiny))
            return likelihood, _Rows(likelihood.log_density(y, means), prior, Z, weight)
        resp = np.ones(means.shape[:2])
        fitted = None
        used = np.flatnonzero(weight)
        if Z.shape[1]:
            penalty = FIRST_PENALTY
        else:
            penalty = None
        for _ in range(CALIBRATION_ROUNDS):
            likelihood.update(y, means, resp * weight[:, None])
            rows = _Rows(likelihood.log_density(y, means), None, Z, weight)
            fitted = rows.fit(used, penalty, fitted)[0]
            resp, _ = rows.posterior(fitted, slice(None))
        return likelihood, rows


@dataclass(frozen=True)
class _Rows:
    """Rows that a gate is fitted on, and the share of the class shares, (share, gate)."""

    log_density: np.ndarray  # (n_samples, n_components): of the classes, under each component
    # (n_samples,): logarithms of the shares of the rows' classes; None where these have no part.
    log_prior: np.ndarray | None
    Z: np.ndarray  # (n_samples, n_columns): standardised columns of the gate
    weight: np.ndarray  # (n_samples,): weights

    def share(self, rows):
        """Proportion of the class shares in a mixture of them and all components."""
        if self.log_prior is None:
            return 0.0
        density = np.column_stack([self.log_density[rows], self.log_prior[rows]])
        no_columns = np.empty((len(density), 0))
        (intercepts, _), *_ = fit_gate(no_columns, density, self.weight[rows], None)
        return np.exp(log_softmax(intercepts))[-1]

    def smoothed(self, share, rows):
        """Log-densities of the components, each mixed with the class shares."""
        own = self.log_density[rows]
        if self.log_prior is None:
            return own
        return np.logaddexp(np.log1p(-share) + own, (np.log(share) + self.log_prior[rows])[:, None])

    def fit(self, rows, penalty, start=None):
        """Share and gate, from a start; the rest as of ``fit_gate``."""
        share, gate = start or (self.share(rows), None)
        density = self.smoothed(share, rows)
        weight = self.weight[rows]
        gate, *ends = fit_gate(self.Z[rows], density, weight, penalty, gate)
        return (share, gate), *ends

    def posterior(self, fitted, rows):
        """Responsibilities (n, n_components) and log-densities (n,)."""
        share, gate = fitted
        joint = log_gate_of(*gate, self.Z[rows]) + self.smoothed(share, rows)
        total = logsumexp(joint, axis=1)
        return np.exp(joint - total[:, None]), total
