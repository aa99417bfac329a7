"""Mixtures whose experts or gate see no column, or a constant one."""

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate

FINE = {"n_experts": 2, "tol": 1e-11, "max_iter": 5000, "random_state": 0}


def none_of_them(estimator):
    """The estimator behind a transformer that selects no column."""
    return make_pipeline(make_column_transformer(("passthrough", [])), estimator)


def two_levels(n=400):
    rng = np.random.default_rng(0)
    low = rng.uniform(size=n) < 0.4
    return np.where(low, rng.normal(-2, 0.5, size=n), rng.normal(1, 1, size=n))


@pytest.fixture(scope="module")
def plain():
    y = two_levels()[:, None]
    gaussians = GaussianMixture(2, tol=1e-11, max_iter=5000, reg_covar=0, random_state=0).fit(y)
    return gaussians.score(y) * len(y), gaussians.bic(y)


@pytest.mark.parametrize("gate", [None, ConstantGate(), SoftmaxGate(alpha=0)])
def test_a_constant_column_makes_a_gaussian_mixture(gate, plain):
    y, X = two_levels(), np.full((400, 1), 3.0)
    moe = MixtureOfExpertsRegressor(training="em", gate=gate, **FINE).fit(X, y)
    assert moe.log_density(X, y).sum() == pytest.approx(plain[0], abs=1e-4)
    assert moe.bic(X, y) == pytest.approx(plain[1], abs=1e-3)
    assert moe.predict(X[:1]) == pytest.approx(y.mean(), abs=1e-4)
    assert np.isnan(moe.summary(X, y).estimate).any()  # of the constant column
    assert len(moe.coefficients().terms)


def test_no_columns_make_a_gaussian_mixture(plain):
    X, y = np.random.default_rng(1).normal(size=(400, 2)), two_levels()
    experts, gate = none_of_them(LinearRegression()), none_of_them(SoftmaxGate())
    moe = MixtureOfExpertsRegressor(experts, gate=gate, **FINE).fit(X, y)
    assert moe.log_density(X, y).sum() == pytest.approx(plain[0], abs=1e-4)
    assert moe.bic(X, y) == pytest.approx(plain[1], abs=1e-3)
    np.testing.assert_allclose(moe.predict(X), y.mean(), atol=1e-3)
    terms = {"intercept", "constant", "standard deviation"}
    assert set(moe.coefficients().terms) == terms


def test_experts_without_columns_are_levels_that_the_gate_chooses_between():
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, size=(400, 1))
    high = X[:, 0] + 0.3 * rng.normal(size=400) > 0
    for expert, likelihood, y in (
        (LinearRegression(), "gaussian", np.where(high, 5.0, 2.0) + 0.5 * rng.normal(size=400)),
        (PoissonRegressor(alpha=0), "poisson", rng.poisson(np.where(high, 20.0, 3.0))),
    ):
        moe = MixtureOfExpertsRegressor(none_of_them(expert), likelihood=likelihood, **FINE)
        moe = moe.fit(X, y)
        levels = np.sort(moe.predict_experts(X)[0])
        expected = [y[~high].mean(), y[high].mean()]
        np.testing.assert_allclose(levels, expected, rtol=0.1)
        right = int(np.argmax(moe.predict_experts(X)[0]))
        assert moe.gate_proba([[0.9]])[0, right] > 0.9


def test_other_mixtures_take_a_constant_column():
    X, rng = np.ones((300, 1)), np.random.default_rng(3)
    counts = np.where(rng.uniform(size=300) < 0.3, 0, rng.poisson(4, size=300))
    moe = MixtureOfExpertsRegressor(likelihood="poisson", training="em", **FINE).fit(X, counts)
    assert moe.predict(X[:1]) == pytest.approx(counts.mean(), rel=1e-4)  # as at any maximum
    assert moe.predict_dist(X[:1]).pmf(0) == pytest.approx((counts == 0).mean(), abs=0.01)
    classifier = MixtureOfExpertsClassifier(n_experts=2, training="em", random_state=0)
    proba = classifier.fit(X, counts > 3).predict_proba(X[:1])[0, 1]
    assert proba == pytest.approx((counts > 3).mean(), abs=0.01)
