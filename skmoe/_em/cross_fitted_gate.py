"""A gate in training that answers for every row with a model that did not see it."""

import copy
from itertools import repeat

import numpy as np
from sklearn.utils import _safe_indexing

from .._data import ArrayRows
from .._numerics.multinomial import NEWTON_LIMIT
from .._numerics.statistics import standardisation
from .problem import shallow_copy
from .sums import PassParameters, Sums, run_pass

SMALLEST_STEP = 1e-3  # fraction of a Newton step; below this, a gate is not changed
ROUNDING = 1e-13  # relative rounding error of an objective


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
    sum_to_one : bool, default=False
        Whether the soft labels of each row do.
    """

    is_linear = False  # but each of its copies may be
    is_cross_fitted = True

    def __init__(self, gate, folds, *, sum_to_one=False):
        self.gate = gate
        self.folds = folds
        self._sum_to_one = sum_to_one
        self._parts = {}
        self.objective = gate.objective
        self.is_costly = gate.is_costly
        self.takes_load_prior = gate.takes_load_prior
        self.begin()

    def begin(self):
        """Forget what the copies have learned."""
        self.models = [self.gate] * len(self.folds)

    def fit(self, X, y, sample_weight):
        """Fit the copies, or go on with them.

        Rows are those that the folds split; y has soft labels (n, K) for all copies, or for each.
        """
        if isinstance(y, np.ndarray):
            labels = repeat(y, len(self.folds))
        else:
            labels = y
        self.models = [
            self._fitted(fold, model, X, own, sample_weight)
            for fold, (model, own) in enumerate(zip(self.models, labels, strict=True))
        ]

    def _fitted(self, fold, model, X, labels, weight):
        """A copy of a model, fitted without a fold."""
        train, _ = self.folds[fold]
        if not (self._sum_to_one and steps_from_sums(self.gate, X, labels.shape[1])):
            X_train = _safe_indexing(X, train)
            return copy.copy(model).fit(X_train, labels[train], sample_weight=weight[train])
        if fold not in self._parts:
            self._parts[fold] = GateSums(X, weight, train)
        return self._parts[fold].stepped(model, labels)

    def log_proba_of_checked(self, X):
        """Log-probabilities (n_samples, n_experts), of the models that did not see the row."""
        return self._out_of_fold(lambda model, rows: model.log_proba_of_checked(rows), X)

    def score_samples(self, X):
        """Log-densities (n_samples,) of the rows, under the models that did not see them."""
        return self._out_of_fold(lambda model, rows: model.score_samples(rows), X)

    def _out_of_fold(self, predict, X):
        tests = [test for _, test in self.folds]
        pairs = zip(self.models, tests, strict=True)
        values = [predict(model, _safe_indexing(X, test)) for model, test in pairs]
        return np.concatenate(values)[np.argsort(np.concatenate(tests))]

    def log_prior(self):
        """Mean log-prior of the models."""
        return float(np.mean([model.log_prior() for model in self.models]))

    def __repr__(self):
        return repr(self.gate)


def steps_from_sums(gate, X, n_experts):
    """Whether a fit of a gate is one Newton step, of few weights and from dense rows."""
    is_step = gate.has_sums and gate.sees_rows and vars(gate).get("max_iter") == 1
    is_dense = type(X) is np.ndarray and X.dtype == np.float64
    return is_step and is_dense and n_experts * (X.shape[1] + 1) <= NEWTON_LIMIT


class GateSums:
    """Rows, or those without a fold, of which sums are taken: the others have no weight."""

    def __init__(self, X, weight, train=slice(None)):
        of_part = np.zeros(len(X))
        of_part[train] = weight[train]
        self.rows = ArrayRows(X, np.zeros(len(X)), of_part)
        self.units = standardisation(X, of_part)
        self._rows_gram = None

    def stepped(self, gate, labels):
        """A copy of a softmax gate after a Newton step, halved until the objective rises."""
        n_experts = labels.shape[1]
        gate = shallow_copy(gate)
        gate.begin_sums(self.rows.X, n_experts, self.units)
        sums = self._sums(gate, labels, with_curvature=True)
        before = sums.value + gate.log_prior()
        size = 1.0
        while size >= SMALLEST_STEP:
            after = shallow_copy(gate)
            after.learn_sums(sums, size)
            value = self._sums(after, labels, with_curvature=False).value + after.log_prior()
            if value >= before - ROUNDING * abs(before):
                return after
            size /= 2
        return gate

    def _sums(self, gate, labels, with_curvature):
        nothing = np.zeros((labels.shape[1], self.rows.X.shape[1] + 1))
        parameters = PassParameters(
            *self.units,
            gate.sum_logits(),
            nothing,
            np.ones(len(nothing)),
            resp=np.ascontiguousarray(labels),
            with_grams=self._rows_gram is None,
            with_curvature=with_curvature,
        )
        sums = Sums.from_kernel(run_pass(self.rows, parameters), *nothing.shape, with_curvature)
        if self._rows_gram is None:
            self._rows_gram = sums.rows_gram
        sums.rows_gram = self._rows_gram
        return sums
