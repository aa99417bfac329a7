"""Experts that go on with their own ``partial_fit``."""

import copy
import warnings

import numpy as np
from sklearn.utils import _safe_indexing

from ..exceptions import SmallWeightsWarning, noted
from .fitting import NEGLIGIBLE_SHARE, learn_weighted, learns_weights


class StreamedExperts:
    """Experts that go on with their own ``partial_fit``, batch after batch.

    Parameters
    ----------
    names, templates, estimators : lists of length n_experts
        Unfitted estimators and, from them, fitted ones.
    min_responsibility : float
        Rows below it are not given to an expert.
    classes : ndarray of shape (n_classes,) or None
        None for regressors.
    """

    in_sample = False  # what was predicted before they saw the batch is honest
    penalty = 0.0

    def __init__(self, names, templates, estimators, min_responsibility, classes):
        self.names, self.templates, self.estimators = names, templates, estimators
        self.min_responsibility, self.classes = min_responsibility, classes

    def without_rows(self):
        """These experts: they hold no rows."""
        return self

    def learn_batch(self, X, y, weights, *, keep, gain):
        """Go on with every expert on its rows.

        Not by ``keep`` and ``gain``: how fast an expert learns and forgets is its own affair.
        """
        labels = y if self.classes is None else self.classes[y]
        twin = copy.copy(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallWeightsWarning)  # of responsibilities
            twin.estimators = [
                self._learn(k, X, labels, weights) for k in range(len(self.estimators))
            ]
        return twin

    def _learn(self, k, X, y, weights):
        weight = weights.sum(axis=1)
        share = weights[:, k] / np.where(weight > 0, weight, 1.0)
        if learns_weights(self.templates[k]):
            rows = np.flatnonzero(share > max(self.min_responsibility, NEGLIGIBLE_SHARE))
            given = weights[rows, k]
        else:  # the rows it wins, ties included
            rows = np.flatnonzero((weight > 0) & (weights[:, k] >= weights.max(axis=1)))
            given = None
        if not len(rows):
            return self.estimators[k]
        args = self.templates[k], _safe_indexing(X, rows), y[rows], given, self.classes
        model = self.estimators[k]
        with noted(f"Raised by partial_fit of expert {self.names[k]!r}."):
            return learn_weighted(model, *args)
