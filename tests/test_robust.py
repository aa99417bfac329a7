"""Likelihoods under which a few gross outliers do not matter."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import two_soft_lines
from scipy import optimize, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe._numerics.columns import outlier_bounds
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import StudentT
from skmoe.metrics import log_score

ROBUST = {"student_t": StudentT(), "estimate": StudentT("estimate")}


def soft_lines_and_outliers(seed, n=300, n_outputs=None, errors="normal", share=0.0):
    """Two lines; ``share`` of the rows are gross outliers."""
    X, y, *_, rng = two_soft_lines(n, seed, kind=errors, n_outputs=n_outputs)
    bad = rng.uniform(size=n) < share
    y[bad] += 15 * rng.choice([-1, 1], size=y[bad].shape) + 10 * rng.normal(size=y[bad].shape)
    return X, y, bad


def iterate(moe, X, y, sample_weight=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return moe.fit(X, y, sample_weight)


# EM ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("experts", [None, LinearRegression()])
@pytest.mark.parametrize("likelihood", ROBUST)
def test_likelihood_never_falls(likelihood, experts, gate):
    X, y, _ = soft_lines_and_outliers(0, share=0.05)
    weight = np.random.default_rng(1).integers(0, 4, size=len(y)) * 0.7
    moe = MixtureOfExpertsRegressor(
        experts, 2, gate=gate, likelihood=ROBUST[likelihood], n_init=1, max_iter=60, tol=0,
        random_state=0,
    )  # fmt: skip
    iterate(moe, X, y, weight)
    assert moe.n_iter_ > 10
    assert np.diff(moe.lower_bounds_).min() > -1e-9  # rounding


@pytest.mark.parametrize("likelihood", [StudentT(), StudentT("estimate")])
def test_likelihood_of_two_outputs_never_falls(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n_outputs=2, share=0.05)
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        likelihood=likelihood,
        n_init=1,
        max_iter=60,
        tol=0,
        random_state=0,
        training="em",
    )
    iterate(moe, X, y)
    assert moe.n_iter_ > 10
    assert np.diff(moe.lower_bounds_).min() > -1e-9


def test_one_student_t_expert_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = X @ [1.0, -2.0] + 3 + 0.5 * rng.standard_t(3, size=150)

    def loss(theta):
        return -stats.t.logpdf(y, theta[4], X @ theta[:2] + theta[2], np.exp(theta[3])).sum()

    best = optimize.minimize(loss, [0, 0, 0, 0, 4.0], bounds=[(None, None)] * 4 + [(2.1, 200)])
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), 1, likelihood=StudentT("estimate"), max_iter=1000, tol=1e-12
    )
    iterate(moe, X, y)
    assert_allclose(moe.log_density(X, y).sum(), -best.fun, rtol=1e-6)
    assert_allclose(moe.experts_[0].coef_, best.x[:2], atol=1e-3)
    assert_allclose(moe.likelihood_.scale_, np.exp(best.x[3]), rtol=1e-2)
    assert_allclose(moe.likelihood_.df_, best.x[4], rtol=3e-2)  # a flat top


@pytest.mark.parametrize(
    ("likelihood", "errors"), [(StudentT("estimate"), "student"), (StudentT(3), "student")]
)
def test_planted_parameters_are_recovered(likelihood, errors):
    X, y, _ = soft_lines_and_outliers(0, n=4000, errors=errors)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=4, random_state=0, training="em"
    )
    moe.fit(X, y)
    order = np.argsort([expert.coef_[1] for expert in moe.experts_])
    coef = np.array([[*moe.experts_[k].coef_, moe.experts_[k].intercept_] for k in order])
    # Five standard errors: the scale over the root of 2000 rows, or of their logarithm.
    assert_allclose(coef, [[0, -1, -2], [0, 2, 2]], atol=0.08)
    assert_allclose(moe.likelihood_.scale_[order], [0.6, 0.3], rtol=0.12)
    if likelihood.get_params().get("df") == "estimate":
        assert_allclose(moe.likelihood_.df_, 3.0, rtol=0.3)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_multivariate_t_recovers_its_degrees_of_freedom_and_scales(n_outputs):
    rng = np.random.default_rng(0)
    shape = (5000,) if n_outputs is None else (5000, n_outputs)
    stretch = np.sqrt(5 / rng.chisquare(5, size=(5000,) + (1,) * (len(shape) - 1)))
    y = np.arange(1, 1 + (n_outputs or 1)) * rng.normal(size=shape) * stretch
    likelihood = StudentT("estimate").start(y, np.ones(5000), 1)
    for _ in range(60):
        likelihood.update(y, np.zeros((5000, 1, *shape[1:])), np.ones((5000, 1)))
    assert_allclose(likelihood.df_, 5, rtol=0.2)
    assert_allclose(likelihood.scale_[0], [1.0] if n_outputs is None else [1.0, 2.0], rtol=0.06)


@pytest.mark.parametrize("likelihood", ROBUST)
def test_weight_of_two_is_a_row_given_twice(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n=120, share=0.05)
    weight = np.random.default_rng(0).integers(1, 4, size=120)
    settings = {"n_experts": 2, "likelihood": ROBUST[likelihood], "n_init": 3, "max_iter": 20}
    weighted = iterate(
        MixtureOfExpertsRegressor(**settings, random_state=0, training="em"), X, y, weight
    )
    repeated = iterate(
        MixtureOfExpertsRegressor(**settings, random_state=0, training="em"),
        np.repeat(X, weight, axis=0),
        np.repeat(y, weight),
    )
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4, atol=1e-4)
    assert_allclose(weighted.log_density(X, y), repeated.log_density(X, y), rtol=1e-4, atol=1e-4)


# Outliers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["student_t", "estimate"])
def test_outliers_cost_little_from_default_starts(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n=1000)
    X_test, y_test, _ = soft_lines_and_outliers(1, n=2000)
    X_spoilt, spoilt, _ = soft_lines_and_outliers(0, n=1000, share=0.05)
    assert_array_equal(X, X_spoilt)
    scores = {}
    for name, given, target in [
        ("clean", ROBUST[likelihood], y), ("spoilt", ROBUST[likelihood], spoilt),
        ("gaussian, clean", "gaussian", y), ("gaussian, spoilt", "gaussian", spoilt),
    ]:  # fmt: skip
        moe = MixtureOfExpertsRegressor(
            n_experts=2, likelihood=given, random_state=0, training="em"
        )
        scores[name] = log_score(moe.fit(X, target), X_test, y_test)
    assert scores["clean"] > scores["gaussian, clean"] - 0.03  # the price of t_4 for Gaussian rows
    assert scores["spoilt"] > scores["clean"] - 0.1
    assert scores["spoilt"] > scores["gaussian, spoilt"] + 0.4


def test_working_weights_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    y, prediction = rng.normal(size=40), rng.normal(size=(40, 2))
    distance = np.abs(y[:, None] - prediction)
    t = StudentT(5).start(y, np.ones(40), 2)
    t.update(y, prediction, np.ones((40, 2)))
    expected = 6 / (5 + (distance / t.scale_) ** 2)
    assert_allclose(t.working_weights(y, prediction), expected, rtol=1e-12)


def test_fence_holds_the_bulk_and_no_gross_outlier():
    rng = np.random.default_rng(0)
    y = rng.normal(size=1000)
    y[:50] = 1e6
    low, high = outlier_bounds(y, np.ones(1000))
    assert -3 < low < -1.5
    assert 1.5 < high < 3
    assert outlier_bounds(y, np.r_[np.zeros(50), np.ones(950)])[1] < high  # rows of no weight
    for n in (*range(1, 40), 999):  # weights that are equal, and repetitions
        weight = 1 + np.arange(n) % 3
        repeated = np.repeat(y[:n], weight)
        bounds = outlier_bounds(repeated, np.full(len(repeated), 0.3))
        assert bounds == outlier_bounds(y[:n], 0.3 * weight)
    assert outlier_bounds(np.r_[np.zeros(95), 1:6], np.ones(100)) == (
        0,
        5,
    )  # no deciles to speak of


def test_floor_is_not_made_by_outliers():
    y = np.random.default_rng(0).normal(size=1000)
    y[:50] = 1e6
    assert StudentT().start(y, np.ones(1000), 1).floor_ < 2e-3


# Parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [2, -1.0, np.nan, np.inf, "four", None, [3.0]])
def test_impossible_degrees_of_freedom_are_refused(df):
    X, y, _ = soft_lines_and_outliers(0, n=50)
    with pytest.raises(ValueError, match='df must be a number above 2, or "estimate"'):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=StudentT(df)).fit(X, y)


@pytest.mark.parametrize(
    ("likelihood", "per_expert"),
    [("gaussian", 1), ("student_t", 1), (StudentT("estimate"), 2)],
)
def test_information_criteria_count_scales_and_degrees_of_freedom(likelihood, per_expert):
    X, y, _ = soft_lines_and_outliers(0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=2, random_state=0, training="em"
    )
    moe.fit(X, y)
    n_parameters = 2 * 3 + 3 + 2 * per_expert  # experts, gate, scales
    log_likelihood = moe.log_density(X, y).sum()
    expected = -2 * log_likelihood + n_parameters * np.log(len(y))
    assert_allclose(moe.bic(X, y), expected, rtol=1e-12)
