"""Experts that all know all rows: training="stack"."""

import copy
from functools import cache

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._stacking.parameters import (
    StackedParameters,
    StackedRows,
    cross_fit_sizes,
    fit_parameters,
    negative_objective,
)
from skmoe._stacking.regression import cross_fit_combination, fit_combination
from skmoe.gates import ConstantGate, SoftmaxGate

FLOOR = 0.05


def unlike(**settings):
    experts = [
        ("line", LinearRegression()),
        ("neighbours", KNeighborsRegressor(15)),
        ("tree", DecisionTreeRegressor(min_samples_leaf=10)),
    ]
    return MixtureOfExpertsRegressor(experts, training="stack", random_state=0, **settings)


def heteroscedastic(n, seed, log_slope=1.0):
    """A line left of zero, a wave right of it; the scale is exp(log_slope * second column)."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 2))
    scale = 0.3 * np.exp(log_slope * X[:, 1])
    mean = np.where(X[:, 0] < 0, 2 * X[:, 0], np.sin(6 * X[:, 0]))
    return X, mean + scale * rng.standard_t(8, size=n), mean, scale


def pool_rows(n=60, n_components=3, n_columns=2, seed=0, own_densities=None):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return StackedRows(
        y=y,
        means=y[:, None] * 0.5 + 0.5 * rng.normal(size=(n, n_components)),
        Z=rng.normal(size=(n, n_columns)),
        u=rng.normal(size=n),
        weight=rng.uniform(0.5, 2.0, size=n),
        own=own_densities or {},
    )


# What is maximised ---------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [None, 3.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("own", [None, {1: np.linspace(-3.0, 1.0, 60)}])
def test_gradient_agrees_with_finite_differences(penalty, seed, own):
    rows, gated = pool_rows(seed=seed, own_densities=own), penalty is not None
    centre = np.array([-0.3, 0.1, 0.2])
    shape = StackedParameters(np.zeros(3), np.zeros((2, 3)), centre, 0.0, 0.0)
    theta = np.random.default_rng(seed).normal(scale=0.5, size=len(shape.packed(gated)))

    def value(theta):
        return negative_objective(shape.unpacked(theta, gated), rows, FLOOR, centre, penalty)[0]

    def gradient(theta):
        at = shape.unpacked(theta, gated)
        return negative_objective(at, rows, FLOOR, centre, penalty)[1].packed(gated)

    # Forward differences of 1.5e-8 on a sum of 60 rows err by about 1e-6 for each parameter.
    assert check_grad(value, gradient, theta) < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_more_freedom_raises_the_objective(seed):
    rows = pool_rows(n=200, seed=seed)
    constant, of_constant, converged = fit_parameters(rows, FLOOR, None)
    _, of_gated, _ = fit_parameters(rows, FLOOR, 3.0, constant)
    assert converged
    # Weights of zero, the start, are the constant gate: L-BFGS never ends below its start.
    assert of_gated >= of_constant - 1e-12


# What it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [150, 600])
def test_intervals_cover_where_there_is_nothing_to_learn(n):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 3)), rng.normal(size=n)
    X_new, y_new = rng.normal(size=(3000, 3)), rng.normal(size=3000)
    moe = unlike().fit(X, y)
    low, high = moe.predict_interval(X_new, 0.9).T
    # The standard deviation of 150 rows errs by 6 %, and so the cover by about 2.5 points.
    assert 0.85 < np.mean((low < y_new) & (y_new < high)) < 0.95
    assert isinstance(moe.gate_, ConstantGate)


def test_recovers_scales_that_depend_on_the_row():
    X, y, _, _ = heteroscedastic(600, seed=0)
    moe = unlike(cv=3).fit(X, y)
    X_new, y_new, _, scale = heteroscedastic(2000, seed=1)
    ratio = np.log(moe.predict_dist(X_new).std() / scale)
    assert np.corrcoef(np.log(moe.predict_dist(X_new).std()), np.log(scale))[0, 1] > 0.85
    assert ratio.std() < 0.6  # of the log of a scale that itself has a standard deviation of 1.15
    low, high = moe.predict_interval(X_new, 0.9).T
    assert 0.85 < np.mean((low < y_new) & (y_new < high)) < 0.95


def test_gate_knows_which_expert_is_better_where():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(500, 2))
    y = np.where(X[:, 0] < 0, 3 * X[:, 1], -3 * X[:, 1]) + 0.2 * rng.normal(size=500)
    slopes = {"up": 3.0, "down": -3.0}
    frozen = [(name, FrozenEstimator(_line(slope))) for name, slope in slopes.items()]
    moe = MixtureOfExpertsRegressor(frozen, training="stack", random_state=0).fit(X, y)
    assert isinstance(moe.gate_, SoftmaxGate)
    proba = moe.gate_proba([[-1.5, 1.0], [1.5, 1.0]])
    assert proba[0, 0] > 0.9
    assert proba[1, 1] > 0.9
    assert moe.responsibilities([[-1.5, 1.0]], [3.0])[0, 0] > 0.95


def _line(slope):
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return LinearRegression().fit(X, slope * X[:, 1])


def test_out_of_fold_density_is_that_of_new_rows():
    X, y, _, _ = heteroscedastic(600, seed=0)
    moe = unlike().fit(X, y)
    X_new, y_new, _, _ = heteroscedastic(3000, seed=1)
    error = moe.oof_log_density_.std() / np.sqrt(600)
    # Experts in folds see four fifths of the rows, so that new rows may be a little likelier.
    assert abs(moe.oof_score_ - moe.log_density(X_new, y_new).mean()) < 3 * error + 0.05


@pytest.mark.parametrize(("n", "optimism"), [(20, 0.1), (60, 0.05)])
def test_a_stack_of_few_rows_is_not_judged_on_rows_that_it_has_seen(n, optimism):
    experts = [
        ("ridge", Ridge()),
        ("five", KNeighborsRegressor(5)),
        ("two", KNeighborsRegressor(2)),
        ("tree", DecisionTreeRegressor(min_samples_leaf=3)),
        ("smooth", SVR()),
        ("rough", SVR(C=10, gamma=1.0)),
    ]
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n + 500, 3))
        y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.7 * rng.normal(size=len(X))
        moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=seed)
        moe.fit(X[:n], y[:n])
        low, high = moe.predict_interval(X[n:], 0.9).T
        inside = np.mean((low < y[n:]) & (y[n:] < high))
        found.append((moe.oof_score_ - moe.log_density(X[n:], y[n:]).mean(), inside))
    gap, cover = np.mean(found, axis=0)
    assert gap < optimism
    assert 0.84 < cover < 0.93


def noise_and_signal(n=60):
    """Predictions (n, 3) of a target: one of it, one of noise, and one against it."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=n)
    noise = rng.normal(size=(n, 3))
    return np.column_stack([y, np.zeros(n), -y]) + noise, y, rng.uniform(0.5, 2.0, size=n)


def test_the_combination_of_a_fold_has_not_seen_it():
    predictions, y, weight = noise_and_signal()
    folds = list(KFold(3).split(y))
    before = cross_fit_combination(predictions, y, weight, folds)
    for train, test in folds:
        other, heavy = y.copy(), weight.copy()
        other[test] *= -10.0
        heavy[test] *= 5.0
        after = cross_fit_combination(predictions, other, heavy, folds)
        np.testing.assert_array_equal(after[test], before[test])
        assert (after[train] != before[train]).all()


def test_the_combination_is_the_best_without_negative_weights():
    predictions, y, weight = noise_and_signal()
    combination = fit_combination(predictions, y, weight)
    error = combination.predict(predictions) - y
    gradient = predictions.T @ (weight * error) + combination.alpha_ * combination.coef_
    assert abs(weight @ error) < 1e-10
    # No change of a positive weight, and no rise of one that is zero, makes it better.
    positive = combination.coef_ > 0
    assert positive[0]
    assert not positive[2]
    np.testing.assert_allclose(gradient[positive], 0, atol=1e-8)
    assert (gradient[~positive] >= 0).all()
    free = RidgeCV().fit(predictions[:, :1], y, sample_weight=weight)
    alone = fit_combination(predictions[:, :1], y, weight)
    np.testing.assert_array_equal(alone.coef_, free.coef_)


@pytest.mark.parametrize("copies", [1, 2])
def test_sizes_of_errors_hold_weights_for_rows_given_so_often(copies):
    rng = np.random.default_rng(0)
    Z, weight = rng.normal(size=(60, 2)), copies * rng.integers(0, 3, size=60).astype(float)
    residuals = np.exp(Z[:, 0]) * rng.normal(size=60)
    rows = np.repeat(np.arange(60), weight.astype(int))

    def sizes(rows, weight):
        fold = rows % 3
        folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
        return cross_fit_sizes(Z[rows], residuals[rows], weight, folds, 0.0)[1]

    weighted, repeated = sizes(np.arange(60), weight)[rows], sizes(rows, np.ones(len(rows)))
    # Boosting adds up gradients in single precision.
    np.testing.assert_allclose(weighted, repeated, atol=1e-5)


def test_units_do_not_matter():
    X, y, _, _ = heteroscedastic(200, seed=0)
    moe, other = unlike(cv=3).fit(X, y), unlike(cv=3).fit(X, 1e4 * y + 1e6)
    # 1e6 has ten digits left below 1e4 * y; L-BFGS stops at 1e-7 of the objective.
    np.testing.assert_allclose(other.predict(X), 1e4 * moe.predict(X) + 1e6, rtol=1e-6)
    assert other.oof_score_ == pytest.approx(moe.oof_score_ - np.log(1e4), abs=1e-4)


@pytest.mark.parametrize("value", [0.0, -7.0, 1e9])
def test_a_constant_target_is_predicted(value):
    X = np.arange(40.0)[:, None]
    moe = unlike().fit(X, np.full(40, value))
    np.testing.assert_allclose(moe.predict(X), value, rtol=1e-6, atol=1e-100)
    assert np.isfinite(moe.oof_score_)


# Weights, folds, jobs ------------------------------------------------------------------------


def test_rows_of_weight_zero_change_nothing():
    X, y, _, _ = heteroscedastic(200, seed=0)
    X_more = np.vstack([X, 5 + X[:50]])
    y_more = np.append(y, 100 + y[:50])
    folds = list(KFold(3).split(X))
    extra = np.array_split(np.arange(200, 250), 3)
    weight = np.append(np.ones(200), np.zeros(50))
    more = []
    for k, (train, test) in enumerate(folds):
        others = np.concatenate([part for j, part in enumerate(extra) if j != k])
        more.append((np.append(train, others), np.append(test, extra[k])))
    moe = unlike(cv=folds).fit(X, y)
    other = unlike(cv=more).fit(X_more, y_more, sample_weight=weight)
    np.testing.assert_allclose(other.predict(X), moe.predict(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.oof_log_density_[:200], moe.oof_log_density_, atol=1e-6)
    assert other.oof_score_ == pytest.approx(moe.oof_score_, abs=1e-8)


@pytest.mark.parametrize(
    ("experts", "n_fits"),
    [
        ([("a", Ridge()), ("b", Ridge(100.0))], 12),  # lines too are predicted out of fold
        ([("a", RandomForestRegressor(30)), ("b", RandomForestRegressor(30, max_depth=2))], 2),
        ([("a", Ridge()), ("b", FrozenEstimator(_line(1.0)))], 6),
        ([("a", FrozenEstimator(_line(2.0))), ("b", FrozenEstimator(_line(1.0)))], 0),
    ],
)
def test_every_expert_is_fitted_once_a_fold_and_once_more(experts, n_fits):
    X, y, _, _ = heteroscedastic(150, seed=0)
    moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=0).fit(X, y)
    assert moe.n_expert_fits_ == n_fits
    whole = moe.experts_[0]
    if isinstance(whole, Ridge):
        np.testing.assert_allclose(whole.predict(X), Ridge().fit(X, y).predict(X))


# As any mixture ------------------------------------------------------------------------------


def test_what_is_fitted_keeps_its_meaning():
    X, y, _, _ = heteroscedastic(250, seed=0)
    moe = unlike().fit(X, y)
    assert list(moe.named_experts_) == ["line", "neighbours", "tree", "stack"]
    predictions = moe.predict_experts(X)
    final = moe.named_experts_["stack"].final_estimator_
    np.testing.assert_allclose(final.predict(predictions[:, :3]), predictions[:, 3])
    proba, resp = moe.gate_proba(X), moe.responsibilities(X, y)
    np.testing.assert_allclose(proba.mean(axis=0), moe.expert_load_)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.sum(proba * predictions, axis=1), moe.predict(X))
    assert moe.oof_responsibilities_.shape == resp.shape
    assert moe.oof_score_ == pytest.approx(moe.oof_log_density_.mean())
    scale = moe.likelihood_.scale_ * moe.likelihood_.scale_model_(X)
    np.testing.assert_allclose(moe.predict_dist(X).components.scale, scale)
    assert len(np.unique(moe.likelihood_.df_)) == 1
    for report in (moe.expert_report(), moe.expert_report(X, y)):
        assert report.columns["expert"] == list(moe.named_experts_)
        assert "stack" in str(report)
    with pytest.raises(ValueError, match="Information criteria need"):
        moe.bic(X, y)


def test_groups_stay_together():
    def in_groups(n, seed):
        """Rows that come in threes, alike in X, and in a target of which X says nothing."""
        rng = np.random.default_rng(seed)
        X, y = np.repeat(rng.normal(size=(n, 2)), 3, axis=0), np.repeat(rng.normal(size=n), 3)
        return X, y + 0.1 * rng.normal(size=3 * n), np.repeat(np.arange(n), 3)

    (X, y, groups), (X_new, y_new, _) = in_groups(60, 0), in_groups(500, 1)
    moe = unlike(cv=3).set_params(neighbours__n_neighbors=1)
    torn = clone(moe).fit(X, y)
    moe.fit(X, y, groups=groups)
    assert torn.oof_score_ > torn.log_density(X_new, y_new).mean() + 1.0  # it has seen the others
    # Sixty groups: the standard error of their mean log-density is about 0.1.
    assert abs(moe.oof_score_ - moe.log_density(X_new, y_new).mean()) < 0.3


# "auto" ---------------------------------------------------------------------------------------


def regimes(n, seed):
    """A plane right of zero, a step left of it."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    mean = np.where(X[:, 0] > 0, 3 * X[:, 1], np.sign(X[:, 2]))
    return X, mean + 0.1 * rng.normal(size=n)


def auto(**settings):
    experts = [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2))]
    return MixtureOfExpertsRegressor(experts, random_state=0, **settings)


def test_a_list_is_a_stack_unless_there_are_regimes():
    X, y, _, _ = heteroscedastic(300, seed=0)
    moe, stack = auto().fit(X, y), auto(training="stack").fit(X, y)
    assert not hasattr(moe, "specialisation_")
    np.testing.assert_array_equal(moe.predict(X), stack.predict(X))
    assert moe.n_expert_fits_ == 12


def test_regimes_of_a_list_are_found():
    (X, y), (X_new, y_new) = regimes(400, 0), regimes(2000, 1)
    moe, em = auto().fit(X, y), auto(training="em").fit(X, y)
    found = moe.specialisation_
    assert found.kept
    assert found.gain > 1
    assert str(found) in str(moe.expert_report())
    assert list(moe.named_experts_) == ["line", "tree"]
    # EM from what the stack knows makes a third of the fits, and learns as much.
    assert moe.log_density(X_new, y_new).mean() > em.log_density(X_new, y_new).mean() - 0.05
    best = -0.5 * np.log(2 * np.pi * 0.1**2) - 0.5  # of the true density, on average
    assert moe.log_density(X_new, y_new).mean() > best - 0.5  # the border is a guess
    stack = auto(training="stack").fit(X, y)
    assert stack.log_density(X_new, y_new).mean() < best - 1.5


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "fit_params"),
    [
        ({"experts": Ridge(), "n_experts": 2}, {}),
        ({"experts": None}, {}),
        ({"experts": [("a", Ridge())]}, {}),
        ({"experts": [("a", Ridge()), ("stack", Ridge())]}, {}),
        ({"likelihood": "log_normal"}, {}),
        ({"likelihood": "poisson"}, {}),
        ({"cv": False}, {}),
        ({"top_k": 1}, {}),
        ({"gate": SoftmaxGate(load_balance=0.1)}, {}),
        ({"warm_start": True}, {}),
        ({"training": "both"}, {}),
        ({"training": 0}, {}),
        ({}, {"subject": np.arange(100)}),
        ({}, {"exposure": np.ones(100)}),
        ({"likelihood": "gaussian"}, {"y": np.ones((100, 2))}),
    ],
)
def test_refuses_what_it_does_not_know_and_stays_as_it_was(settings, fit_params):
    X, y, _, _ = heteroscedastic(100, seed=0)
    moe = copy.deepcopy(fitted_once()).set_params(**settings)
    state = vars(moe).copy()
    with pytest.raises((ValueError, TypeError)):
        moe.fit(**{"X": X, "y": y, **fit_params})
    assert vars(moe) == state
    if "top_k" not in settings:
        np.testing.assert_array_equal(moe.predict(X), fitted_once().predict(X))


@cache
def fitted_once():
    X, y, _, _ = heteroscedastic(100, seed=0)
    return unlike().fit(X, y)


def test_experts_can_be_removed_but_not_added():
    X, y, _, _ = heteroscedastic(100, seed=0)
    moe = copy.deepcopy(fitted_once())
    with pytest.raises(ValueError, match="can be added to stacks"):
        moe.add_expert(X, y)
    moe.remove_expert("tree")
    assert list(moe.named_experts_) == ["line", "neighbours", "stack"]
    assert np.isfinite(moe.log_density(X, y)).all()


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_a_stack_of_few_rows_predicts_no_worse_than_their_mean(n):
    # Out of fold, the mean of the others is low where the target is high.
    errors, covered = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n + 200, 2))
        y = X[:, 0] + 0.5 * rng.normal(size=n + 200)
        experts = [("line", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))]
        moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=0)
        moe.fit(X[:n], y[:n])
        of_mean = np.sqrt(np.mean((y[n:] - y[:n].mean()) ** 2))
        errors.append(np.sqrt(np.mean((y[n:] - moe.predict(X[n:])) ** 2)) / of_mean)
        low, high = moe.predict_interval(X[n:], 0.9).T
        covered.append(np.mean((low <= y[n:]) & (y[n:] <= high)))
    assert np.mean(errors) < 1.0
    assert np.mean(covered) > 0.7
