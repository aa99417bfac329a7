"""Least squares experts, all K of them at once, from additive statistics."""

import copy
from functools import cached_property

import numpy as np

from .._numerics.statistics import LeastSquaresStatistics, least_squares_statistics, standardisation
from .base import LinearExperts
from .fitting import split_last


class LeastSquaresExperts(LinearExperts):
    """Weighted least squares for K experts from their additive statistics.

    See ``LinearExperts`` for the parameters. ``prior`` says whether the penalty is a prior in units
    of the error variance, under which EM is monotone; scikit-learn's ridge penalty is none.
    """

    def __init__(self, X, y, weight, n_experts, *, units=None, **settings):
        if units is None:
            self.y_mean, self.y_scale = standardisation(y.reshape(len(y), -1), weight)
        else:
            self.y_mean = units.y_mean
            self.y_scale = units.y_scale
        self.flat = y.ndim == 1
        if self.flat:
            self.n_functions = 1
        else:
            self.n_functions = y.shape[1]
        super().__init__(X, y, weight, n_experts, units=units, **settings)

    @property
    def targets(self):
        """Standardised target, (n_samples, n_outputs)."""
        return (self.y.reshape(len(self.y), -1) - self.y_mean) / self.y_scale

    def fit(self, resp, working=None, exposure=None, target=None):
        """Least squares with weights ``resp``, times ``working`` where it is given."""
        weights = (resp if working is None else resp * working) * self.weight[:, None]
        if target is None:
            sums = self._sum(weights)
        else:  # each expert has one of its own
            target = (target - self.y_mean) / self.y_scale
            sums = LeastSquaresStatistics.of_own_targets(self.design, target, weights)
        if self.taken_by_subjects is not None:
            sums += -1.0 * self.taken_by_subjects(self.design, self.targets, resp)
        self.solve(sums)

    def _sum(self, weights):
        return least_squares_statistics(self.design, self.targets, weights, self.rows.products)

    def solve(self, statistics):
        """Least squares from the sums over the rows."""
        self.n_fits += self.n_experts
        self.statistics = statistics
        self.set_coef(statistics.solve(self.alpha))

    def streaming(self, resp, order, fitted):
        return self.without_rows().select(order)

    def select(self, order):
        twin = copy.copy(self)
        twin.n_experts = len(order)
        twin.coef = self.coef[order]
        twin.statistics = self.statistics[order]
        return twin

    def learn_batch(self, X, y, weights, *, keep, gain):
        """M-step for ``keep`` times the statistics so far and ``gain`` times those of a batch.

        Returns experts with ``predictions`` for the batch; ``weights`` (n, K) are responsibilities
        times those of the rows.
        """
        twin = copy.copy(self)
        twin._take(X, y)
        twin.solve(keep * self.statistics + gain * twin._sum(weights))
        return twin

    @property
    def standard_coef(self):
        """Coefficients in standardised columns and target (n_experts, p, 1); zeros at first."""
        if self.coef is not None:
            return self.coef
        return np.zeros((self.n_experts, len(self.mean) + 1, self.y_scale.size))

    def set_functions(self, coef):
        """Set ``standard_coef``."""
        self.set_coef(coef)

    def predict_standardised(self, columns):
        """Predictions for rows of standardised columns, as ``predictions``."""
        predictions = self.functions_of(columns, self.coef) * self.y_scale + self.y_mean
        if self.flat:
            return predictions[..., 0]
        return predictions

    @cached_property
    def predictions(self):
        fitted = np.stack([self.design @ coef for coef in self.coef], axis=1)
        fitted = fitted * self.y_scale + self.y_mean
        return fitted.reshape((len(self.y), self.n_experts) + self.y.shape[1:])

    def _set_penalty(self):
        if self.prior:
            squares = np.einsum("j,kjm->km", self.alpha, self.coef[:, :-1] ** 2)
            squares = squares * self.y_scale**2
            if self.flat:
                self.penalty = squares[:, 0]
            else:
                self.penalty = squares

    def state(self):
        return self.coef, self.statistics

    def restore(self, state):
        coef, self.statistics = state
        self.set_coef(coef)

    def finish(self, templates):
        for template, coef in zip(templates, self.coef, strict=True):
            raw, intercept = self.raw(coef)
            raw = (raw * self.y_scale).T
            intercept = intercept * self.y_scale + self.y_mean
            if self.flat:
                template.coef_ = raw[0]
            else:
                template.coef_ = raw
            if self.flat:
                template.intercept_ = float(intercept[0])
            else:
                template.intercept_ = intercept
            template.n_features_in_ = len(self.scale)
        return templates


# Columns in which experts are held to be monotone ------------------------------------------------


# Names of the parameter in scikit-learn, and in LightGBM, XGBoost and CatBoost.
CONSTRAINTS = ("monotonic_cst", "monotone_constraints")


def monotone_columns(estimators, columns):
    """Numbers of the columns in which all estimators are monotone, in the same direction.

    ``columns`` are names, or numbers. Constraints after transformers are of other columns, and do
    not count.
    """
    directions = np.stack([_directions(each, columns) for each in estimators])
    return np.flatnonzero((directions == directions[0]).all(axis=0) & (directions[0] != 0)).tolist()


def _directions(estimator, columns):
    """-1, 0 or 1 for each column."""
    directions = np.zeros(len(columns), dtype=int)
    head, last = split_last(estimator)
    if head is not None:
        params = {}
    else:
        params = last.get_params(deep=False)
    given = next((params[name] for name in CONSTRAINTS if params.get(name) is not None), {})
    if isinstance(given, str):
        given = _parsed(given)
    if isinstance(given, dict):
        places = {name: number for number, name in enumerate(columns)}
        # CatBoost may write the number of a column in place of its name.
        numbers = {str(number): number for number in range(len(columns))}
        given = {(numbers | places).get(name, name): each for name, each in given.items()}
    else:
        given = dict(enumerate(given))
    for place, direction in given.items():
        if place in range(len(columns)):
            directions[place] = direction
    return directions


def _parsed(text):
    # "(1,0,-1)", "[1,0,-1]", or CatBoost's "0:1,dose:-1"
    items = [each.rpartition(":") for each in text.strip("()[] ").split(",") if each.strip()]
    if any(mark for _, mark, _ in items):
        return {name.strip(): int(direction) for name, _, direction in items}
    return [int(direction) for *_, direction in items]
