"""How unlike regressors, each fitted on all rows, are combined."""

import numpy as np
from scipy.optimize import nnls
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import RidgeCV

from .._numerics.statistics import standardisation
from ..likelihoods import StudentT
from .given_gate import gate_around, size_columns
from .parameters import (
    ErrorSizes,
    StackedRows,
    TargetUnits,
    cross_fit_densities,
    cross_fit_parameters,
    cross_fit_sizes,
    posterior_of,
    refit_parameters,
)
from .trainer import Learned, StackedTrainer

STACK_ROWS = 10.0  # by weight; fewer are combined with equal weights


class StackedRegression(StackedTrainer):
    """Learns a linear stack, scales that depend on the row, Student's t tails and the gate.

    What the stack predicts for these is out of fold, too.
    """

    def _learn(self, predictions, fitted):
        parts, data, folds = self.parts, self.data, self.folds
        y, weight = data.y, data.weight
        n_components = len(fitted) + 1
        likelihood = StudentT(df="estimate").start(y, weight, n_components)
        units = TargetUnits.of(y, weight, likelihood.floor_)
        middle, unit, floor = units.middle, units.unit, units.floor
        target, predictions = units.standardise(y), units.standardise(predictions)
        used = weight > 0
        combination = fit_combination(predictions[used], target[used], weight[used])
        stacked = cross_fit_combination(predictions, target, weight, folds)
        Z, encoder = size_columns(self.gate, data, parts.gate.encoder)
        models, log_size = cross_fit_sizes(Z, target - stacked, weight, folds, floor)
        sizes = ErrorSizes(models, encoder, log_size, weight)
        mean, scale = standardisation(Z, weight)
        means = np.column_stack([predictions, stacked])
        rows = StackedRows(target, means, (Z - mean) / scale, sizes.centred(log_size), weight)
        gate = None
        if self.gate is None:
            penalty, resp, log_norm = cross_fit_parameters(rows, floor, folds)
        else:
            density, penalty = cross_fit_densities(rows, floor, folds), None
            equal = np.full(means.shape, 1 / n_components)
            gate, resp, log_norm = gate_around(
                self.gate, data, folds, density, equal, self.settings.tol
            )
        parameters, objective, converged = refit_parameters(rows, floor, penalty)
        labels, log_density = posterior_of(parameters, rows, floor)
        sizes.slope = parameters.slope
        likelihood.scale_ = unit * parameters.scales(floor)
        likelihood.df_ = np.full(n_components, parameters.df)
        likelihood.scale_model_ = sizes
        combination.intercept_ = middle + unit * combination.intercept_
        combination.intercept_ -= middle * combination.coef_.sum()
        return Learned(
            stack=stack_of(parts.names, fitted, combination),
            likelihood=likelihood,
            penalty=penalty,
            labels=labels,
            gate=gate,
            means=units.restore(means),
            resp=resp,
            log_norm=log_norm - np.log(unit),
            objective=objective - np.log(unit),
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )


def fit_combination(predictions, y, weight):
    """The combination (RidgeCV) of predictions (n, K), without negative weights; of few their mean.

    The mean of the rows left in is low where a row left out is high: of few rows, or where nothing
    can be learned, out-of-fold predictions run against the target, and least squares would turn
    them round. [1]_ found stacks without negative weights to be the better ones throughout.

    References
    ----------
    .. [1] L. Breiman, "Stacked regressions", Machine Learning 24, 1996.
    """
    combination, n_experts = RidgeCV(), predictions.shape[1]
    if weight.sum() < STACK_ROWS or len(y) < 2:
        combination.coef_, combination.intercept_ = np.full(n_experts, 1.0 / n_experts), 0.0
        combination.alpha_, combination.n_features_in_ = np.inf, n_experts
        return combination
    combination.fit(predictions, y, sample_weight=weight)
    if combination.coef_.min() < 0:
        middle = np.average(predictions, axis=0, weights=weight)
        level, root = np.average(y, weights=weight), np.sqrt(weight)
        design = root[:, None] * (predictions - middle)
        design = np.vstack([design, np.sqrt(combination.alpha_) * np.eye(n_experts)])
        target = np.append(root * (y - level), np.zeros(n_experts))
        combination.coef_, _ = nnls(design, target)
        combination.intercept_ = level - middle @ combination.coef_
    return combination


def cross_fit_combination(predictions, y, weight, folds):
    """What combinations that were fitted without a fold make of its predictions, (n,)."""
    stacked = np.empty(len(y))
    for train, test in folds:
        seen = train[weight[train] > 0]
        combination = fit_combination(predictions[seen], y[seen], weight[seen])
        stacked[test] = combination.predict(predictions[test])
    return stacked


def stack_of(names, fitted, combination):
    """A StackingRegressor of fitted estimators and a fitted regressor of their predictions."""
    stack = StackingRegressor(
        list(zip(names, fitted, strict=True)), final_estimator=combination, cv="prefit"
    )
    stack.estimators_, stack.final_estimator_ = fitted, combination
    stack.stack_method_ = ["predict"] * len(fitted)
    return stack
