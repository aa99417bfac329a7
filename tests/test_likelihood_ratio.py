"""Likelihood-ratio tests: their size, their power, the numbers they are made of, refusals."""

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.model_selection import gate_test, n_experts_test


def line(seed, n_samples=60):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 1))
    return X, X[:, 0] + rng.normal(size=n_samples)


def two_lines(seed, n_samples=200, *, steep=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    up = rng.uniform(size=n_samples) < 1 / (1 + np.exp(-0.4 - steep * X[:, 0]))
    y = np.where(up, 1 + 2 * X[:, 0] - X[:, 1], -1 - X[:, 0])
    return X, y + 0.6 * rng.normal(size=n_samples)


def mixture(**settings):
    return MixtureOfExpertsRegressor(**{"n_init": 1, "random_state": 0, **settings})


@pytest.mark.slow
def test_gate_test_is_chi_squared_where_proportions_are_true():
    moe = mixture(n_experts=2, init="kmeans_y")
    statistics = [gate_test(moe, *two_lines(seed, 120)).statistic for seed in range(30)]
    # Of 300 tables of 300 rows, 4 % of the p-values were below 0.05, 47 % below 0.5.
    assert stats.kstest(statistics, stats.chi2(2).cdf).pvalue > 0.01
    assert 1.2 < np.mean(statistics) < 3.0


def test_gate_test_finds_a_gate():
    result = gate_test(mixture(n_experts=2), *two_lines(0, steep=1.0))
    assert result.df == 2
    assert result.pvalue < 1e-4
    assert_allclose(result.pvalue, stats.chi2.sf(result.statistic, 2))


def test_gate_test_compares_the_maxima_of_both_likelihoods():
    X, y = two_lines(0, steep=0.5)
    weight = np.random.default_rng(0).integers(1, 3, size=len(y))
    pipeline = make_pipeline(StandardScaler(), SoftmaxGate())
    moe = mixture(n_experts=2, gate=pipeline, n_init=4)
    result = gate_test(moe, X, y, sample_weight=weight)
    long = {"n_experts": 2, "n_init": 4, "tol": 1e-10, "max_iter": 3000}
    values = [
        weight @ mixture(gate=gate, **long).fit(X, y, sample_weight=weight).log_density(X, y)
        for gate in (SoftmaxGate(alpha=0), ConstantGate())
    ]
    assert_allclose(result.statistic, 2 * (values[0] - values[1]), rtol=1e-4, atol=1e-4)
    # The squared Wald statistic is the same for many rows.
    summary = mixture(gate=SoftmaxGate(alpha=0), **long)
    summary = summary.fit(X, y, sample_weight=weight).summary(X, y, weight)
    slopes, cov = summary.estimate[-2:], summary.cov[-2:, -2:]
    assert_allclose(slopes @ np.linalg.solve(cov, slopes), result.statistic, rtol=0.3)
    repeated = gate_test(moe, np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(repeated.statistic, result.statistic, rtol=1e-5)


def test_gate_test_of_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    odds = 4 * X[:, 1] * np.where(X[:, 0] + 0.5 * rng.logistic(size=500) > 0, 1, -1)
    label = (odds + rng.logistic(size=500) > 0).astype(int)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=2, random_state=0)
    assert gate_test(moe, X, label).pvalue < 1e-3


def test_number_of_experts_that_is_too_small_is_rejected():
    X, y = two_lines(1, 100, steep=1.0)
    result = n_experts_test(mixture(), X, y, 1, n_resamples=9, random_state=0)
    assert result.pvalue == 1 / 10
    assert result.null_distribution.shape == (9,)
    assert result.statistic > 2 * result.null_distribution.max()
    fits = [mixture(n_experts=k).fit(X, y).log_density(X, y).sum() for k in (1, 2)]
    assert_allclose(result.statistic, 2 * (fits[1] - fits[0]))


@pytest.mark.slow
def test_number_of_experts_that_is_true_has_uniform_p_values():
    moe = mixture(max_iter=15, init="functions")
    pvalues = [
        n_experts_test(moe, *line(seed), 1, n_resamples=9, random_state=seed).pvalue
        for seed in range(20)
    ]
    # Multiples of a tenth: of 20, two are expected at each.
    assert 0.35 < np.mean(pvalues) < 0.75
    assert np.mean(np.array(pvalues) <= 0.2) < 0.45
    assert min(pvalues) < 0.4


def test_result_does_not_depend_on_jobs():
    X, y = line(0, 40)
    moe = mixture(max_iter=5)
    one = n_experts_test(moe, X, y, n_resamples=4, random_state=0)
    with parallel_config("threading"):
        two = n_experts_test(moe, X, y, n_resamples=4, random_state=0, n_jobs=2)
    assert_allclose(one.null_distribution, two.null_distribution, rtol=0)
    assert "null_distribution" not in repr(one)
    assert not hasattr(moe, "experts_")


@pytest.mark.parametrize(
    ("test", "given", "error", "message"),
    [
        (gate_test, {"estimator": LinearRegression()}, TypeError, "got LinearRegression"),
        (n_experts_test, {"estimator": LinearRegression()}, TypeError, "got LinearRegression"),
        (
            n_experts_test,
            {"estimator": mixture(experts=[("line", LinearRegression())])},
            TypeError,
            "experts in a list",
        ),
        (n_experts_test, {"n_experts": 0}, ValueError, "got 0 and 99"),
        (
            n_experts_test,
            {"estimator": mixture(experts=DecisionTreeRegressor(max_depth=1), cv=2)},
            ValueError,
            "cannot be counted",
        ),
        (gate_test, {"estimator": mixture(gate=ConstantGate())}, ValueError, "is ConstantGate"),
        (gate_test, {"estimator": mixture(gate=GaussianGate())}, ValueError, "is GaussianGate"),
        (gate_test, {"estimator": mixture(n_experts=1)}, ValueError, "two at least"),
        (
            gate_test,
            {"estimator": mixture(experts=DecisionTreeRegressor(max_depth=1), cv=2, n_experts=2)},
            ValueError,
            "linear or logistic",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(test, given, error, message):
    X, y = line(0, 40)
    given = {"estimator": mixture(n_experts=2), "X": X, "y": y, **given}
    with pytest.raises(error, match=message):
        test(**given)
