"""Experts with ``warm_start`` go on from their last refit, those that can."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe._experts.estimators import EstimatorExperts
from skmoe._experts.fitting import fit_again

SIZES = {"hidden_layer_sizes": (6,), "alpha": 1e-3, "random_state": 0}
NET = {"lbfgs": {"solver": "lbfgs"}, "adam": {"learning_rate_init": 0.01, "n_iter_no_change": 1000}}


def two_curves(n_samples, seed=0):
    """Two smooth regimes, one on each side of zero in the first column; noise 0.1."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 2))
    y = np.where(X[:, 0] > 0, 1 + np.sin(2 * X[:, 1]), -X[:, 1])
    return X, y + 0.1 * rng.normal(size=n_samples)


def responsibilities(n_samples, n_experts, seed):
    return np.random.default_rng(seed).dirichlet(np.full(n_experts, 0.7), size=n_samples)


def net_experts(estimators, X, y, weight=None, **params):
    weight = np.ones(len(y)) if weight is None else weight
    params = {"folds": None, "min_responsibility": 0.0, "classes": None, **params}
    names = [f"expert{k}" for k in range(len(estimators))]
    return EstimatorExperts(names, estimators, X, y, weight, are_clones=True, **params)


def refit(experts, *resps):
    with experts.side_by_side(None):
        for resp in resps:
            experts.fit(resp)
    return experts


class Recorder(RegressorMixin, BaseEstimator):
    """Weighted mean; notes which rows, numbered in the last column, it was ever fitted on."""

    def __init__(self, warm_start=True):
        self.warm_start = warm_start

    def fit(self, X, y, sample_weight=None):
        if not self.warm_start or not hasattr(self, "rows_"):
            self.rows_, self.n_fits_ = set(), 0
        return self.partial_fit(X, y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        self.rows_ = self.rows_ | set(X[:, -1].tolist())
        self.n_fits_ += 1
        self.mean_ = np.average(y, weights=sample_weight)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("solver", NET)
def test_nets_of_the_folds_go_on_as_by_hand(solver, in_pipeline):
    X, y = two_curves(150)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=150)
    resps = [responsibilities(150, 2, seed) for seed in range(3)]
    folds = [(np.arange(75, 150), np.arange(75)), (np.arange(75), np.arange(75, 150))]
    net = MLPRegressor(max_iter=5, warm_start=True, **NET[solver], **SIZES)
    expert = make_pipeline(StandardScaler(), net) if in_pipeline else net
    experts = net_experts(
        [clone(expert), clone(expert)], X, y, weight, folds=folds, min_responsibility=0.1
    )
    refit(experts, *resps)
    for k in range(2):
        for train, test in folds:
            scaler = StandardScaler(with_mean=in_pipeline, with_std=in_pipeline)
            by_hand = clone(net)
            for i, resp in enumerate(resps):
                rows = train[resp[train, k] >= 0.1]
                if i == 0:  # transformers stay as they were fitted
                    scaler.fit(X[rows])
                with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
                    by_hand.fit(
                        scaler.transform(X[rows]),
                        y[rows],
                        sample_weight=resp[rows, k] * weight[rows],
                    )
            prediction = by_hand.predict(scaler.transform(X[test]))
            # shares are rounded to 2**-28, which a few steps of a solver do not magnify much
            assert_allclose(experts.predictions[test, k], prediction, atol=1e-5)
    anew = refit(net_experts([clone(expert)] * 2, X, y, weight, folds=folds), resps[-1])
    assert np.abs(anew.predictions - experts.predictions).mean() > 0.1


def test_a_weight_of_two_is_a_row_given_twice_in_every_refit():
    X, y = two_curves(80)
    resps = [responsibilities(80, 2, seed) for seed in range(3)]
    net = MLPRegressor(max_iter=5, warm_start=True, solver="lbfgs", **SIZES)
    weight = np.where(np.arange(80) < 30, 2.0, 1.0)
    weighted = refit(net_experts([net, net], X, y, weight), *resps)
    rows = np.concatenate([np.arange(80), np.arange(30)])
    repeated = refit(net_experts([net, net], X[rows], y[rows]), *[resp[rows] for resp in resps])
    assert_allclose(weighted.predictions, repeated.predictions[:80], atol=1e-6)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_net_that_has_converged_follows_other_weights(early_stopping):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(300, 1))
    y = np.where(np.arange(300) < 150, X[:, 0], 1 - X[:, 0] + 0.5 * rng.normal(size=300))
    first, second = np.repeat([[1.0, 0.01], [0.01, 1.0]], 150, axis=1)
    net = MLPRegressor(
        warm_start=True, max_iter=500, learning_rate_init=0.01, early_stopping=early_stopping,
        **SIZES,
    )  # fmt: skip
    begun = clone(net).fit(X, y, sample_weight=first)
    before = begun.predict(X)
    went_on = fit_again(begun, X, y, second)
    assert_array_equal(begun.predict(X), before)

    def loss(model):
        return np.average((y - model.predict(X)) ** 2, weights=second)

    afresh = clone(net).fit(X, y, sample_weight=second)
    assert loss(begun) > 3 * loss(afresh)
    assert loss(went_on) < 1.05 * loss(afresh)


@pytest.mark.parametrize("warm_start", [True, False])
def test_each_fold_goes_on_with_its_own_model_and_never_sees_the_others(warm_start):
    X, y = two_curves(120)
    X = np.column_stack([X, np.arange(120)])
    folds = [(np.setdiff1d(np.arange(120), test), test) for test in np.arange(120).reshape(3, 40)]
    resps = [responsibilities(120, 2, seed) for seed in range(3)]
    recorder = Recorder(warm_start)
    for _ in range(2):  # the second fit knows nothing of the first
        experts = refit(net_experts([recorder, recorder], X, y, folds=folds), *resps)
        for models in experts.models:
            for model, (_, test) in zip(models, folds, strict=True):
                assert model.rows_.isdisjoint(test)
                assert model.n_fits_ == (len(resps) if warm_start else 1)
    assert not hasattr(recorder, "rows_")


def test_classifier_begins_anew_where_its_rows_have_other_classes():
    X, target = two_curves(150)
    y = np.digitize(target, [-0.5, 0.5])
    net = MLPClassifier(max_iter=20, warm_start=True, solver="lbfgs", **SIZES)
    full = responsibilities(150, 2, 0)
    without = np.where((y == 2)[:, None], [0.0, 1.0], full)  # expert 0 loses class 2
    params = {"classes": np.arange(3), "min_responsibility": 0.1}
    changed = refit(net_experts([net, net], X, y, **params), full, without)
    anew = refit(net_experts([net, net], X, y, **params), without)
    assert_array_equal(changed.models[0][0].classes_, [0, 1])
    assert_array_equal(changed.predictions[:, 0], anew.predictions[:, 0])
    assert np.abs(changed.predictions[:, 1] - anew.predictions[:, 1]).max() > 0.01


def test_few_epochs_an_iteration_find_the_lines():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(600, 1))
    y = np.where(X[:, 0] > 0, 3 * X[:, 0], 1 - X[:, 0]) + 0.1 * rng.normal(size=600)
    few = SGDRegressor(max_iter=3, tol=None, eta0=0.02, warm_start=True)
    moe = MixtureOfExpertsRegressor(few, n_experts=2, n_init=2, cv=2, random_state=0).fit(X, y)
    lines = np.array([(expert.coef_[0], expert.intercept_[0]) for expert in moe.experts_])
    assert_allclose(lines[np.argsort(lines[:, 0])], [[-1, 1], [3, 0]], atol=0.1)
