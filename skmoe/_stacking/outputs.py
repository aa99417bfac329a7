"""Densities of regressors of several outputs: errors that are correlated, scales by row."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import logsumexp
from sklearn.base import clone

from ..likelihoods import StudentT
from .densities import Densities
from .gate import choose_penalty, cross_fitted, fit_gate, log_gate_of
from .parameters import StackedRows, fit_parameters
from .regression import RegressionDensities, combination_of_outputs, stack_of

ROUNDS = {False: 20, True: 200}  # alternations of scales and gate, at most; where it is precise
GAIN = {False: 1e-4, True: 1e-7}  # of the log-density a row, by which they end
POOLED_ROWS = 5.0  # that each expert borrows from all, so that few do not make it narrow


class OutputDensities(Densities):
    """Learns the errors of several outputs together, by the likelihood's own M-step.

    Each output has its own combination of the experts, and sizes of errors by row. Errors in units
    of these are Student's t or, with correlations, Gaussian. See ``Densities`` for the parameters.
    """

    def __init__(self, *given):
        super().__init__(*given)
        asked = self.parts.likelihood
        self.likelihood = StudentT(df="estimate") if asked.independent_outputs else clone(asked)
        self.of_outputs = [
            RegressionDensities(self.parts, replace(self.data, y=column), *given[2:])
            for column in self.data.y.T
        ]

    def begin(self, predictions):
        """Learn how large the errors of these predictions (n, n_outputs) are, by row."""
        weight, log_sizes = self.data.weight, []
        for each, prediction in zip(self.of_outputs, predictions.T, strict=True):
            prediction = each.standardise(prediction)
            each.begin(prediction)
            no_columns = np.empty((len(weight), 0))
            rows = StackedRows(each.y, prediction[:, None], no_columns, each.log_size, weight)
            fitted, *_ = fit_parameters(rows.take(weight > 0), each.units.floor, None)
            each.sizes.slope = fitted.slope
            log_sizes.append(fitted.slope * each.log_size)
        log_size = np.stack(log_sizes, axis=1)
        self.size, self.log_volume = np.exp(log_size), log_size.sum(axis=1)

    def stack(self, predictions, fitted):
        each = [
            of.stack(of.standardise(of_output), fitted)
            for of, of_output in zip(self.of_outputs, np.moveaxis(predictions, 2, 0), strict=True)
        ]
        columns = [of.restore(s) for of, (s, _) in zip(self.of_outputs, each, strict=True)]
        combination = combination_of_outputs([stack.final_estimator_ for _, stack in each])
        return np.stack(columns, axis=1), stack_of(self.parts.names, fitted, combination)

    def _refit(self, means, Z, penalty, shares):
        fit, seen = partial(self._fit, means, Z, shares), np.flatnonzero(self.data.weight)
        start = None if penalty is None else fit(seen, None)[0]
        fitted, objective, converged = fit(seen, penalty, start, precise=True)
        likelihood, _ = fitted
        likelihood.own_density_ = np.zeros(means.shape[1], dtype=bool)
        likelihood.scale_model_ = partial(_sizes, [each.sizes for each in self.of_outputs])
        posterior = self._posterior(means, Z, fitted, slice(None))
        return likelihood, *posterior, objective, converged

    def _judge(self, means, Z, penalties, shares):
        def fit(*given):
            return self._fit(means, Z, shares, *given)[0]

        posterior = partial(self._posterior, means, Z)
        return choose_penalty(self.data.weight, self.folds, fit, posterior, penalties=penalties)

    def _out_of_fold(self, means, shares=None):
        def fit(seen):
            return self._fit(means, np.empty((len(means), 0)), shares, seen, None)[0][0]

        return cross_fitted(self.data.weight, self.folds, fit, partial(self._density, means))

    def _fit(self, means, Z, shares, rows, penalty, start=None, *, precise=False):
        """Likelihood and gate, each given the other in turn; the rest as of ``fit_gate``.

        ``start`` is where there are no shares to start from; None is equal ones.
        """
        y, weight = self.data.y / self.size, self.data.weight
        scaled = (means / self.size[:, None])[rows]
        likelihood, gate = self.likelihood.start(self.data.y, weight, means.shape[1]), None
        resp, last = np.full(scaled.shape[:2], 1 / scaled.shape[1]), -np.inf
        if shares is not None:
            resp = shares[rows]
        elif start is not None:
            likelihood, gate = start
            resp, _ = self._posterior(means, Z, start, rows)
        y, weight, likelihood = y[rows], weight[rows], copy.copy(likelihood)
        for _ in range(ROUNDS[precise]):
            likelihood.update(y, scaled, resp * weight[:, None], pooled_rows=POOLED_ROWS)
            density = self._density(means, likelihood, rows)
            gate, objective, converged = fit_gate(Z[rows], density, weight, penalty, gate)
            if objective - last < GAIN[precise]:
                return (likelihood, gate), objective, converged
            resp, _ = self._posterior(means, Z, (likelihood, gate), rows)
            last = objective
        return (likelihood, gate), objective, False

    def _density(self, means, likelihood, rows):
        """Log-densities (n, n_components); errors are in units of the sizes by row."""
        size = self.size[rows]
        density = likelihood.log_density(self.data.y[rows] / size, means[rows] / size[:, None])
        return density - self.log_volume[rows, None]

    def _posterior(self, means, Z, fitted, rows):
        """Responsibilities (n, n_components) and log-densities (n,)."""
        likelihood, gate = fitted
        joint = log_gate_of(*gate, Z[rows]) + self._density(means, likelihood, rows)
        total = logsumexp(joint, axis=1)
        return np.exp(joint - total[:, None]), total


def _sizes(of_outputs, X):
    """Factors of the scales, (n, 1, n_outputs), from the ErrorSizes of each output."""
    return np.stack([each(X) for each in of_outputs], axis=2)
