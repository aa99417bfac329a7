"""Stacks and specialists of several outputs, whose errors may be correlated."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.likelihoods import Gaussian

EXPERTS = [("line", Ridge()), ("squares", make_pipeline(PolynomialFeatures(2), Ridge()))]


def correlated(n, seed, correlation):
    """Two outputs of errors of standard deviation 0.4, and the log-density of the truth."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    mean = np.stack([X[:, 0] + X[:, 1], X[:, 1] * X[:, 2]], axis=1)
    error = stats.multivariate_normal([0, 0], 0.16 * np.array([[1, correlation], [correlation, 1]]))
    errors = error.rvs(n, random_state=rng)
    return X, mean + errors, error.logpdf(errors)


def stack(covariance="full", **settings):
    likelihood = "auto" if covariance == "diag" else Gaussian(covariance=covariance)
    settings = {"experts": EXPERTS, "training": "stack", "random_state": 0} | settings
    return MixtureOfExpertsRegressor(likelihood=likelihood, **settings)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_correlated_errors_are_learned_where_there_are_any(correlation):
    (X, y, _), new = correlated(400, 0, correlation), correlated(2000, 1, correlation)
    joint, alone = stack().fit(X, y), stack("diag").fit(X, y)
    score, independent = (m.log_density(*new[:2]).mean() for m in (joint, alone))
    # Log-densities of 400 rows that chose gate, scales and means cost a few hundredths.
    assert score > new[2].mean() - 0.05
    if correlation:
        # By -log(1 - 0.9**2) / 2, which is 0.83.
        assert score > independent + 0.7
    else:
        assert score > independent - 0.02
    dist = joint.predict_dist(X[:50])
    cov = dist.cov().mean(axis=0)
    assert cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]) == pytest.approx(correlation, abs=0.1)
    assert_allclose(dist.mean(), joint.predict(X[:50]), rtol=1e-9)
    # Out-of-fold scores are those of new rows, within three standard errors of 400 rows.
    assert joint.oof_score_ == pytest.approx(score, abs=3 * new[2].std() / 20)


def test_every_output_has_its_own_sizes_of_errors_and_combination():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(800, 2))
    y = X @ np.ones((2, 2)) + np.exp(1.5 * X) * 0.1 * rng.normal(size=(800, 2))
    moe = stack().fit(X, y)
    factors = moe.likelihood_.scale_model_(X)
    assert factors.shape == (800, 1, 2)
    slopes = [np.polyfit(X[:, j], np.log(factors[:, 0, j]), 1)[0] for j in range(2)]
    # The trees draw what they learn towards the mean, by a penalty on each leaf.
    assert_allclose(slopes, 1.5, atol=0.6)
    combination = moe.named_experts_["stack"].final_estimator_
    assert combination.coef_.shape == (2, 4)
    predictions = np.stack([each.predict(X) for each in moe.experts_[:2]], axis=1)
    for j in range(2):
        weights = combination.coef_[j].reshape(2, 2)
        assert_array_equal(weights[:, 1 - j], 0.0)
        of_output = predictions[..., j] @ weights[:, j] + combination.intercept_[j]
        assert_allclose(moe.experts_[2].predict(X)[:, j], of_output, rtol=1e-9)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_units_levels_and_order_of_the_outputs_do_not_matter(covariance):
    X, y, _ = correlated(200, 0, 0.5)
    y *= np.exp(1.5 * X[:, :2])  # errors of unlike sizes
    changed = y[:, ::-1] * [1e3, 1.0] + [0.0, 1e4]
    one, other = stack(covariance).fit(X, y), stack(covariance).fit(X, changed)
    # L-BFGS ends within its tolerance; rounding differs with the unit.
    assert_allclose(other.log_density(X, changed) + np.log(1e3), one.log_density(X, y), atol=1e-2)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_specialists_are_found_beside_a_generalist(covariance):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(500, 4))
    same = X[:, :1] * X[:, 1:2] > 0
    y = np.where(same, 2 * X[:, 2:], -2 * X[:, 2:]) + 0.3 * rng.normal(size=(500, 2))
    tree = DecisionTreeRegressor(min_samples_leaf=5)
    moe = stack(covariance, experts=tree, training="specialists", n_experts=2).fit(X, y)
    assert moe.specialisation_.kept
    again = pickle.loads(pickle.dumps(moe))
    assert_allclose(again.predict_dist(X).logpdf(y), moe.log_density(X, y), rtol=1e-9)


def test_what_is_not_taken_says_what_to_do():
    X, y, _ = correlated(60, 0, 0.5)
    moe = MixtureOfExpertsRegressor(EXPERTS, training="stack", likelihood=Gaussian())
    with pytest.raises(ValueError, match=r"or Gaussian\(covariance='full'\) of several outputs"):
        moe.fit(X, y)
    with pytest.raises(ValueError, match="likelihood='auto'"):
        stack().fit(X, y[:, 0])
    tree = DecisionTreeRegressor()
    plan = stack(experts=[("line", Ridge()), ("tree", tree)], training="auto").plan(X, y)
    assert plan.training == "em"
    assert "training='stack' may predict better" in plan.reasons["training"]
