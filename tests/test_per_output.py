"""Outputs of different families."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor, OutputsRegressor
from skmoe.gates import ConstantGate
from skmoe.likelihoods import PerOutput

BOTH = {"size": "gaussian", "count": "poisson"}


def two_regimes(n=600, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 2))
    first = rng.uniform(size=n) < special.expit(2 * X[:, 0])
    size = np.where(first, 2 + X[:, 1], -1 - 2 * X[:, 1]) + 0.5 * rng.normal(size=n)
    count = rng.poisson(np.exp(np.where(first, 1 + 0.5 * X[:, 1], 0.2 - 0.3 * X[:, 1])))
    return X, pd.DataFrame({"size": size, "count": count})


def test_one_expert_is_a_regression_of_each_output():
    X, y = two_regimes()
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=BOTH, tol=1e-12).fit(X, y)
    line = LinearRegression().fit(X, y["size"])
    counts = PoissonRegressor(alpha=0, tol=1e-10).fit(X, y["count"])
    expected = np.column_stack([line.predict(X), counts.predict(X)])
    np.testing.assert_allclose(moe.predict(X), expected, rtol=1e-4, atol=1e-5)
    scale = np.std(y["size"] - expected[:, 0])
    log_density = stats.norm.logpdf(y["size"], expected[:, 0], scale)
    log_density += stats.poisson.logpmf(y["count"], expected[:, 1])
    assert moe.log_density(X, y).sum() == pytest.approx(log_density.sum(), abs=1e-4)
    assert moe.bic(X, y) == pytest.approx(-2 * log_density.sum() + 7 * np.log(600), abs=1e-3)


def test_agrees_with_flexmix():
    # flexmix 2.3-20: model = list(FLXMRglm(a ~ .), FLXMRglm(b ~ ., family = "poisson")), k = 2.
    i = np.arange(1, 301)
    x, first = (i * 7) % 41 / 20 - 1, (i * 13) % 10 < 4
    error = stats.norm.ppf(((i * 17) % 101 + 0.5) / 101)
    a = np.where(first, 2 + x, -1 - x) + 0.5 * error
    b = stats.poisson.ppf(((i * 29) % 97 + 0.5) / 97, np.exp(np.where(first, 1.5 + 0.5 * x, 0.3)))
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(), likelihood=PerOutput(["gaussian", "poisson"]), tol=1e-12,
        max_iter=2000, random_state=0,
    )  # fmt: skip
    X, y = x[:, None], np.column_stack([a, b])
    moe = moe.fit(X, y)
    # Its sigmas are divided by degrees of freedom, so that it ends a little below the maximum.
    assert -935.735679563 < moe.log_density(X, y).sum() < -935.725
    assert moe.bic(X, y) == pytest.approx(1934.212966, abs=1e-2)
    for expert, (intercepts, slopes) in zip(
        moe.experts_,
        [
            ((-1.00797607, 0.196169767), (-1.06567331, -0.006853293)),
            ((1.99762571, 1.52756594), (0.97384999, 0.54481818)),
        ],
        strict=True,
    ):
        found = [float(each.intercept_) for each in expert.estimators_]
        np.testing.assert_allclose(found, intercepts, atol=2e-3)
        found = [each.coef_[0] for each in expert.estimators_]
        np.testing.assert_allclose(found, slopes, atol=2e-3)
    np.testing.assert_allclose(moe.gate_.proportions_, [0.59439349, 0.40560651], atol=1e-3)


@pytest.mark.parametrize(
    "likelihood",
    [
        BOTH,
        {"size": "student_t", "count": "negative_binomial"},
        {"size": "skew_normal", "count": "gaussian"},
    ],
)
def test_the_objective_rises_and_regimes_are_recovered(likelihood):
    X, y = two_regimes()
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=3, tol=1e-8, random_state=0
    ).fit(X, y)
    assert np.diff(moe.lower_bounds_).min() >= -1e-9
    slopes = sorted(float(expert.estimators_[0].coef_[1]) for expert in moe.experts_)
    np.testing.assert_allclose(slopes, [-2, 1], atol=0.15)


def test_distribution_answers_for_each_output():
    X, y = two_regimes()
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=BOTH, random_state=0).fit(X, y)
    dist = moe.predict_dist(X[:4])
    quantiles = dist.ppf([0.1, 0.5, 0.9])
    assert quantiles.shape == (4, 3, 2)
    assert (quantiles[:, :, 1] == np.round(quantiles[:, :, 1])).all()
    size, count = dist.output(0), dist.output(1)
    assert not size.discrete
    assert count.discrete
    np.testing.assert_allclose(size.cdf(quantiles[:, 1, 0]), 0.5)
    np.testing.assert_allclose(quantiles[:, 2, 1], count.ppf(0.9))
    draws = dist.rvs(20_000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=1), dist.mean(), atol=0.1)
    covariance = [np.cov(each.T) for each in draws]
    np.testing.assert_allclose(covariance, dist.cov(), atol=0.2)
    np.testing.assert_allclose(dist.crps(y[:4])[:, 1], count.crps(y["count"][:4]))


def test_reports_name_each_output():
    X, y = two_regimes()
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=BOTH, random_state=0).fit(X, y)
    parts = moe.coefficients().parts
    assert "prediction, output 0" in parts
    assert "logarithm of the prediction, output 1" in parts
    assert moe.likelihood_.scale_.shape == (2, 2)
    assert np.isnan(moe.likelihood_.scale_[:, 1]).all()
    shared = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=BOTH, shared_effects=[1], n_init=2, random_state=0
    ).fit(X, y)
    for j in range(2):
        first, second = (expert.estimators_[j].coef_[1] for expert in shared.experts_)
        assert first == pytest.approx(second, abs=1e-9)


def test_any_experts_of_several_outputs_take_part():
    X, y = two_regimes(300)
    tree = DecisionTreeRegressor(max_depth=3, min_samples_leaf=10, random_state=0)
    moe = MixtureOfExpertsRegressor(tree, n_experts=2, likelihood=BOTH, random_state=0).fit(X, y)
    assert moe.predict(X).shape == (300, 2)


def test_a_regressor_for_each_output_can_be_fitted_alone():
    X, y = two_regimes(200)
    model = OutputsRegressor([LinearRegression(), PoissonRegressor()])
    weight = np.random.default_rng(0).uniform(size=200)
    model = model.fit(X, y, sample_weight=weight)
    alone = LinearRegression().fit(X, y["size"], sample_weight=weight)
    np.testing.assert_allclose(model.predict(X)[:, 0], alone.predict(X))


def test_what_cannot_be_is_refused():
    X, y = two_regimes(60)
    with pytest.raises(ValueError, match="in the same order"):
        MixtureOfExpertsRegressor(likelihood=BOTH).fit(X, y[["count", "size"]])
    with pytest.raises(ValueError, match="one for each output"):
        MixtureOfExpertsRegressor(likelihood=PerOutput(["gaussian"])).fit(X, y)
    with pytest.raises(ValueError, match="leave experts at None"):
        MixtureOfExpertsRegressor(
            DecisionTreeRegressor(), likelihood={"size": "student_t", "count": "gaussian"}
        ).fit(X, y)
