"""A gate in training that answers for every row with a model that did not see it."""

import copy

import numpy as np
from sklearn.utils import _safe_indexing


class CrossFittedGate:
    """A gate in training: copies of it, each fitted without one fold.

    In EM a gate is trained on the responsibilities that it then weighs. What it has memorised of
    them confirms itself there, and scales, objective and out-of-fold score are too good.

    Parameters
    ----------
    gate : BaseGate
        Unfitted, or to go on from; copied.
    folds : list of (train, test)
        They hold out every row once.
    """

    def __init__(self, gate, folds):
        self.gate, self.folds = gate, folds
        self.objective, self.takes_load_prior = gate.objective, gate.takes_load_prior
        self.is_costly = gate.is_costly
        self.models = [gate] * len(folds)

    def fit(self, X, y, sample_weight):
        """Fit the copies, or go on with them.

        Parameters
        ----------
        X : array-like of n_samples rows
            The rows that the folds are of.
        y : ndarray of shape (n_samples, n_experts)
            Soft labels.
        sample_weight : ndarray of shape (n_samples,)
            Weights.
        """
        self.models = [
            self._fit_one(copy.copy(model), *_rows(train, X, y, sample_weight))
            for model, (train, _) in zip(self.models, self.folds, strict=True)
        ]
        self._last_fit = X, y, sample_weight

    def _fit_one(self, gate, X, y, sample_weight):
        if self.takes_load_prior:
            gate._load_prior = self._load_prior
        return gate.fit(X, y, sample_weight=sample_weight)

    def _log_proba_of_checked(self, X):
        """Log-probabilities (n_samples, n_experts), of the models that did not see the row."""
        return self._out_of_fold("_log_proba_of_checked", X)

    def score_samples(self, X):
        """Log-densities (n_samples,) of the rows, under the models that did not see them."""
        return self._out_of_fold("score_samples", X)

    def _out_of_fold(self, method, X):
        tests = [test for _, test in self.folds]
        values = [
            getattr(model, method)(_safe_indexing(X, test))
            for model, test in zip(self.models, tests, strict=True)
        ]
        return np.concatenate(values)[np.argsort(np.concatenate(tests))]

    def log_prior(self):
        """Mean log-prior of the models."""
        return float(np.mean([model.log_prior() for model in self.models]))

    def finish(self, settings):
        """The gate, with these settings fitted on all rows and the last labels of ``fit``."""
        gate = copy.copy(self.gate).set_params(**settings)
        return self._fit_one(gate, *self._last_fit)

    def __repr__(self):
        return repr(self.gate)


def _rows(rows, *arrays):
    return [_safe_indexing(array, rows) for array in arrays]
