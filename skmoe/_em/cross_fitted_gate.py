"""A gate in training that answers for every row with a model that did not see it."""

import copy
from itertools import repeat

import numpy as np
from sklearn.utils import _safe_indexing


class CrossFittedGate:
    """A gate in training: copies of it, each fitted without one fold.

    In EM a gate is trained on the responsibilities that it then weighs. What it has memorised of
    them confirms itself there, and scales, objective and out-of-fold score are too good.

    Parameters
    ----------
    gate : BaseGate
        Unfitted, or to start from; copied.
    folds : list of (train, test)
        They hold out every row once.
    """

    def __init__(self, gate, folds):
        self.gate, self.folds = gate, folds
        self.objective, self.is_costly = gate.objective, gate.is_costly
        self.takes_load_prior = gate.takes_load_prior
        self.begin()

    def begin(self):
        """Forget what the copies have learned."""
        self.models = [self.gate] * len(self.folds)

    def fit(self, X, y, sample_weight):
        """Fit the copies, or go on with them.

        Parameters
        ----------
        X : array-like of n_samples rows
            The rows that the folds are of.
        y : ndarray of shape (n_samples, n_experts), or iterable of them
            Soft labels, for all copies or for each.
        sample_weight : ndarray of shape (n_samples,)
            Weights.
        """
        labels = repeat(y, len(self.folds)) if isinstance(y, np.ndarray) else y
        self.models = [
            copy.copy(model).fit(
                _safe_indexing(X, train), own[train], sample_weight=sample_weight[train]
            )
            for model, own, (train, _) in zip(self.models, labels, self.folds, strict=True)
        ]

    def log_proba_of_each(self, X):
        """Log-probabilities (n_samples, n_experts) by each of the copies, one after the other."""
        return (model.log_proba_of_checked(X) for model in self.models)

    def log_proba_of_checked(self, X):
        """Log-probabilities (n_samples, n_experts), of the models that did not see the row."""
        return self._out_of_fold("log_proba_of_checked", X)

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

    def __repr__(self):
        return repr(self.gate)
