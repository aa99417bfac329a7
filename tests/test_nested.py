"""Mixtures as experts of mixtures, and experts that are fitted already."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate, TreeGate


def four_pieces(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 1))
    y = np.abs(X[:, 0]) + np.floor(X[:, 0]) + 0.1 * rng.normal(size=n_samples)
    return X, y


@pytest.fixture(scope="module")
def nested():
    inner = MixtureOfExpertsRegressor(n_experts=2, n_init=3, training="em")
    outer = MixtureOfExpertsRegressor(
        [("pair", inner), ("line", LinearRegression())], cv=False, random_state=0
    )
    return outer.fit(*four_pieces(500, 0))


@pytest.mark.parametrize("top_k", [None, 1])
def test_density_of_a_nested_mixture_is_the_gates_mean_of_both(nested, top_k):
    X, y = four_pieces(200, 1)
    pair, line = nested.experts_
    weights = nested.set_params(top_k=top_k).gate_proba(X)
    scale = nested.likelihood_.scale_[1]
    of_line = np.exp(-0.5 * ((y - line.predict(X)) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))
    density = weights[:, 0] * np.exp(pair.log_density(X, y)) + weights[:, 1] * of_line
    assert_allclose(nested.log_density(X, y), np.log(density), rtol=1e-9)
    mean = weights[:, 0] * pair.predict(X) + weights[:, 1] * line.predict(X)
    assert_allclose(nested.predict(X), mean, rtol=1e-9)
    distribution = nested.predict_dist(X)
    assert_allclose(distribution.pdf(y), density, rtol=1e-9)
    assert_allclose(distribution.cdf(distribution.ppf(0.2)), 0.2, rtol=1e-9)
    assert_allclose(distribution.cdf(y) + distribution.sf(y), 1.0, rtol=1e-12)
    one = nested.predict_dist(X[:1])
    area, _ = integrate.quad(lambda value: one.pdf(value)[0], -8, 8, limit=500)
    assert area == pytest.approx(1.0, abs=1e-6)
    second, _ = integrate.quad(
        lambda value: (value - one.mean()[0]) ** 2 * one.pdf(value)[0], -8, 8, limit=500
    )
    assert one.var()[0] == pytest.approx(second, rel=1e-5)


def soft_tree(n_samples, seed):
    """Four lines behind two levels of softmax gates, whose borders are wide."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=n_samples)
    right = rng.uniform(size=n_samples) < special.expit(2 * x)
    within = rng.uniform(size=n_samples) < special.expit(2 * (x - np.where(right, 1.5, -1.5)))
    expert = 2 * right + within
    slope, level = np.array([1.0, -1.0, 0.5, -2.0]), np.array([0.0, 1.0, 2.0, 3.0])
    return x[:, None], slope[expert] * x + level[expert] + 0.3 * rng.normal(size=n_samples)


def leaf_responsibilities(X, y, tree):
    """Of the experts of its experts, side by side."""
    outer = tree.responsibilities(X, y)
    inner = [pair.responsibilities(X, y) for pair in tree.experts_]
    return np.hstack([outer[:, [k]] * resp for k, resp in enumerate(inner)])


def test_two_levels_reach_the_likelihood_of_the_flat_mixture_with_the_product_gate():
    X, y = soft_tree(1000, 0)
    params = {"n_init": 3, "tol": 1e-8, "max_iter": 1000}
    gate = SoftmaxGate(alpha=1e-4)
    pair = MixtureOfExpertsRegressor(n_experts=2, gate=gate, **params, training="em")
    tree = MixtureOfExpertsRegressor(pair, n_experts=2, gate=gate, random_state=0, **params)
    tree.fit(X, y)
    assert np.diff(tree.lower_bounds_).min() > -1e-9
    assert tree.lower_bound_ - tree.lower_bounds_[0] > 0.02
    flat = MixtureOfExpertsRegressor(
        n_experts=4,
        gate=TreeGate([2, 2], gate),
        init=lambda X, y, n_experts, random_state: leaf_responsibilities(X, y, tree),
        n_init=1,
        tol=1e-8,
        max_iter=1000,
        training="em",
    ).fit(X, y)
    difference = tree.log_density(X, y).mean() - flat.log_density(X, y).mean()
    assert abs(difference) < 1e-4
    assert_allclose(flat.responsibilities(X, y), leaf_responsibilities(X, y, tree), atol=0.02)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
def test_classifier_takes_a_mixture_at_its_word():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 2))
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "differ")
    pair = MixtureOfExpertsClassifier(n_experts=2, n_init=3)
    outer = MixtureOfExpertsClassifier(
        [("pair", pair), ("tree", DecisionTreeClassifier(max_depth=1))],
        training="em", cv=2, n_init=2, max_iter=3, random_state=0,
    ).fit(X, y)  # fmt: skip
    proba = outer.experts_[0].predict_proba(X)
    tree = outer.likelihood_.calibrate(outer._model.expert_predictions(X))[:, 1]
    gate = outer.gate_proba(X)
    expected = gate[:, :1] * proba + gate[:, 1:] * tree
    assert_allclose(outer.predict_proba(X), expected, rtol=1e-9)
    own = np.log(expected[np.arange(400), np.searchsorted(outer.classes_, y)])
    assert_allclose(outer.log_density(X, y), own, rtol=1e-9)
    assert outer.score(X, y) > 0.95


@pytest.fixture(scope="module")
def models():
    """Two models, each of which knows one half of the line, and rows that neither has seen."""
    X, y = four_pieces(600, 0)
    left = X[:, 0] < 0
    halves = [
        RandomForestRegressor(20, random_state=0).fit(X[half], y[half]) for half in (left, ~left)
    ]
    return [(name, FrozenEstimator(m)) for name, m in zip("ab", halves, strict=True)]


@pytest.mark.parametrize("cv", ["prefit", "auto"])
def test_prefit_learns_gate_and_scales_alone(models, cv):
    X, y = four_pieces(400, 1)
    moe = MixtureOfExpertsRegressor(models, cv=cv, random_state=0).fit(X, y)
    assert moe.n_expert_fits_ == 0
    assert moe.converged_
    for (_, given), expert in zip(models, moe.experts_, strict=True):
        assert expert.estimator is given.estimator
    sides = np.array([[-1.5], [1.5]])
    assert_allclose(moe.gate_proba(sides), np.eye(2), atol=0.05)
    X, y = four_pieces(2000, 2)
    squares = (y[:, None] - moe.predict_experts(X)) ** 2
    own = np.column_stack([X[:, 0] < -0.1, X[:, 0] > 0.1])
    errors = np.sqrt((squares * own).sum(axis=0) / own.sum(axis=0))
    assert_allclose(moe.likelihood_.scale_, errors, rtol=0.15)  # those of new rows
    assert np.diff(moe.lower_bounds_).min() > -1e-9


def test_prefit_calibrates_classifiers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 2))
    y = (X[:, 0] + rng.logistic(size=900) > 0).astype(int)
    honest, sharp = (LogisticRegression().fit(X[:300], y[:300]) for _ in range(2))
    sharp.coef_ *= 4
    moe = MixtureOfExpertsClassifier([("sharp", FrozenEstimator(sharp))], cv="prefit")
    moe.fit(X[300:600], y[300:600])
    honest, calibrated, raw = (
        log_loss(y[600:], m.predict_proba(X[600:])) for m in (honest, moe, sharp)
    )
    assert calibrated < honest + 0.02
    assert raw > honest + 0.15


def test_prefit_needs_experts_that_are_frozen_and_fitted(models):
    X, y = four_pieces(100, 1)
    with pytest.raises(ValueError, match="FrozenEstimator"):
        MixtureOfExpertsRegressor([models[0], ("line", Ridge())], cv="prefit").fit(X, y)
    unfitted = [("a", FrozenEstimator(Ridge())), models[1]]
    with pytest.raises(NotFittedError):
        MixtureOfExpertsRegressor(unfitted, cv="prefit").fit(X, y)


def test_proportions_of_frozen_experts_are_those_of_maximum_likelihood(models):
    X, y = four_pieces(400, 1)
    moe = MixtureOfExpertsRegressor(models, gate=ConstantGate(), cv="prefit", tol=1e-12)
    moe.set_params(max_iter=1000).fit(X, y)
    densities = [
        -0.5 * ((y - e.predict(X)) / s) ** 2 - np.log(s)
        for e, s in zip(moe.experts_, moe.likelihood_.scale_, strict=True)
    ]
    share = np.linspace(0.001, 0.999, 9981)
    value = np.logaddexp(
        np.log(share) + densities[0][:, None], np.log1p(-share) + densities[1][:, None]
    ).sum(axis=0)
    assert moe.gate_.proportions_[0] == pytest.approx(share[value.argmax()], abs=2e-4)
