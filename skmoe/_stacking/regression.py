"""Densities of regressors: how unlike ones are combined, scales by row and Student's t tails."""

import numpy as np
from scipy import sparse
from scipy.optimize import nnls
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import RidgeCV

from .._experts.fitting import inside_offering
from .._tables.encoding import DescribedColumns, default_encoder, dense_encoder, fit_columns
from ..likelihoods import StudentT
from .densities import Densities
from .gate import cross_fitted
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

STACK_ROWS = 10.0  # by weight; fewer are combined with equal weights


class RegressionDensities(Densities):
    """Learns scales that depend on the row and Student's t tails; its unit is that of the target.

    See ``Densities`` for the parameters.
    """

    process = None  # the expert whose standard deviation widens the scales

    def __init__(self, *given):
        super().__init__(*given)
        y = self.data.y
        weight = self.data.weight
        self.likelihood = StudentT(df="estimate").start(y, weight, 1)
        self.units = TargetUnits.of(y, weight, self.likelihood.floor_)
        self.y = self.units.standardise(y)
        self.log_unit = np.log(self.units.unit)
        self.floor = self.likelihood.floor_
        self.own = {}

    def standardise(self, predictions):
        return self.units.standardise(predictions)

    def restore(self, predictions):
        return self.units.restore(predictions)

    def begin(self, predictions):
        """Learn how large the errors of these predictions are, by row."""
        Z, encoder = size_columns(self.gate, self.data, self.parts.gate.encoder)
        errors = self.y - predictions
        weight = self.data.weight
        models, log_size = cross_fit_sizes(Z, errors, weight, self.folds, self.units.floor)
        self.sizes = ErrorSizes(models, encoder, log_size, weight, self.process)
        self.log_size = self.sizes.centred(log_size)

    def take_own(self, log_densities, means):
        """Keep those that explain more, with the stack, than learned scales and tails do."""
        if not log_densities:
            return
        weight = self.data.weight
        learned = self._out_of_fold(means)
        for k, own in log_densities.items():
            own = own + self.log_unit
            gain = np.logaddexp(own, learned[:, -1]) - np.logaddexp(learned[:, k], learned[:, -1])
            if 0 < weight @ gain < np.inf:
                self.own[k] = own

    def stack(self, predictions, fitted):
        widens = (each for each in fitted if inside_offering("widening", each)[0] is not None)
        self.process = next(widens, None)
        weight = self.data.weight
        middle = self.units.middle
        unit = self.units.unit
        used = weight > 0
        combination = fit_combination(predictions[used], self.y[used], weight[used])
        combination.intercept_ = middle + unit * combination.intercept_
        combination.intercept_ -= middle * combination.coef_.sum()
        stacked = cross_fit_combination(predictions, self.y, weight, self.folds)
        named = list(zip(self.parts.names, fitted, strict=True))
        stack = StackingRegressor(named, final_estimator=combination, cv="prefit")
        stack.estimators_ = fitted
        stack.final_estimator_ = combination
        stack.stack_method_ = ["predict"] * len(fitted)
        return stacked, stack

    def _refit(self, means, Z, penalty, shares):
        rows = self._rows(means, Z, shares)
        floor = self.units.floor
        parameters, objective, converged = refit_parameters(rows, floor, penalty)
        self.sizes.slope = parameters.slope
        likelihood = self.likelihood
        likelihood.scale_ = self.units.unit * parameters.scales(floor)
        likelihood.df_ = np.full(means.shape[1], parameters.df)
        if self.parts.is_list:
            likelihood.own_density_ = np.isin(np.arange(means.shape[1]), list(self.own))
            likelihood.scale_[likelihood.own_density_] = np.nan
        likelihood.scale_model_ = self.sizes
        return likelihood, *posterior_of(parameters, rows, floor), objective, converged

    def _judge(self, means, Z, penalties, shares):
        rows = self._rows(means, Z, shares)
        return cross_fit_parameters(rows, self.units.floor, self.folds, penalties)

    def _out_of_fold(self, means, shares=None):
        rows = self._rows(means, np.empty((len(means), 0)), shares)
        return cross_fit_densities(rows, self.units.floor, self.folds)

    def _rows(self, means, Z, shares):
        return StackedRows(self.y, means, Z, self.log_size, self.data.weight, self.own, shares)


def size_columns(gate, data, encoder):
    """Numbers that the sizes of errors are learned from, and the encoder that makes them.

    ``gate`` is one that was asked for, and may see other columns, or None; ``encoder`` is that of
    the default gate, None of a single expert. Columns are without missing values, and their encoder
    is None where they are the rows themselves.
    """
    if gate is None and encoder is not None:
        return np.asarray(data.Z, dtype=np.float64), encoder
    is_sparse = sparse.issparse(data.X)
    described = DescribedColumns(data.X, data.weight)
    if not is_sparse and not described.is_mixed:
        return np.asarray(data.X, dtype=np.float64), None
    if is_sparse:
        encoder = dense_encoder(data.X)
    else:
        encoder = default_encoder(described)
    encoder, columns = fit_columns(encoder, data.X, data.y, data.weight)
    return np.asarray(columns, dtype=np.float64), encoder


def fit_combination(predictions, y, weight):
    """The combination (RidgeCV) of predictions (n, K), without negative weights; of few their mean.

    The mean of the rows left in is low where a row left out is high: of few rows, or where nothing
    can be learned, out-of-fold predictions run against the target, and least squares would turn
    them round. [1]_ found stacks without negative weights to be the better ones throughout.

    References
    ----------
    .. [1] L. Breiman, "Stacked regressions", Machine Learning 24, 1996.
    """
    combination = RidgeCV()
    n_experts = predictions.shape[1]
    if weight.sum() < STACK_ROWS or len(y) < 2:
        combination.coef_ = np.full(n_experts, 1.0 / n_experts)
        combination.intercept_ = 0.0
        combination.alpha_ = np.inf
        combination.n_features_in_ = n_experts
        return combination
    combination.fit(predictions, y, sample_weight=weight)
    if combination.coef_.min() < 0:
        middle = np.average(predictions, axis=0, weights=weight)
        level = np.average(y, weights=weight)
        root = np.sqrt(weight)
        design = root[:, None] * (predictions - middle)
        design = np.vstack([design, np.sqrt(combination.alpha_) * np.eye(n_experts)])
        combination.coef_, _ = nnls(design, np.append(root * (y - level), np.zeros(n_experts)))
        combination.intercept_ = level - middle @ combination.coef_
    return combination


def cross_fit_combination(predictions, y, weight, folds):
    """What combinations that were fitted without a fold make of its predictions, (n,)."""

    def fit(seen):
        return fit_combination(predictions[seen], y[seen], weight[seen])

    def predict(combination, rows):
        return combination.predict(predictions[rows])

    return cross_fitted(weight, folds, fit, predict)
