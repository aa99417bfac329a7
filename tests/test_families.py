"""Families of errors: what they promise; rates that are Beta distributed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, special, stats

from skmoe import MixtureOfExpertsRegressor
from skmoe._families.base import Family
from skmoe._families.counts import BinomialFamily, NegativeBinomialFamily, PoissonFamily
from skmoe._families.positive import (
    BetaFamily,
    GammaFamily,
    InverseGaussianFamily,
    WeibullFamily,
)
from skmoe._kernels._linear_run import shape_sums
from skmoe.likelihoods._positive import PooledBeta

NODES, MASSES = np.polynomial.hermite_e.hermegauss(60)
MASSES = MASSES / MASSES.sum()


# Rates that are no successes in trials ------------------------------------------------------------


TRUTH = np.array([[-1.0, 0.0, -0.5], [1.0, 0.0, 1.0]])  # intercept first
SIZES = np.array([8.0, 30.0])


def rates(n=1500, seed=0):
    """Columns, and rates of two regimes behind a soft border."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    k = (rng.uniform(size=n) < special.expit(3 * X[:, 0])).astype(int)
    mean = special.expit(TRUTH[k, 0] + (TRUTH[k, 1:] * X).sum(axis=1))
    return X, rng.beta(SIZES[k] * mean, SIZES[k] * (1 - mean))


def mixture(**settings):
    return MixtureOfExpertsRegressor(**{"likelihood": "beta", "random_state": 0, **settings})


@pytest.fixture(scope="module")
def by_sums():
    """A mixture by maximum likelihood, of which all is learned from sums over rows."""
    return mixture(n_experts=2, n_init=3, training="em", tol=1e-8).fit(*rates())


def test_beta_family_is_learned_by_sums_and_never_falls(by_sums):
    assert np.diff(by_sums.lower_bounds_).min() > -1e-9
    coef = np.array([[e.intercept_, *e.coef_] for e in by_sums.experts_])
    order = coef[:, 0].argsort()
    assert_allclose(coef[order], TRUTH, atol=0.2)  # some four standard errors
    assert_allclose(by_sums.likelihood_.concentration_[order], SIZES, rtol=0.25)


def test_beta_family_has_standard_errors_at_the_maximum(by_sums):
    table = by_sums.summary(*rates()).to_frame()
    sizes = table["estimate"].to_numpy()[[3, 7]]
    assert_allclose(np.sort(sizes), np.sort(np.log(by_sums.likelihood_.concentration_)), atol=0.01)
    gap = np.abs(np.sort(sizes) - np.log(SIZES))
    assert (gap < 4 * table["std_error"].to_numpy()[[3, 7]].max()).all()


def test_beta_family_is_pooled_and_finds_its_regimes(by_sums):
    X, y = rates()
    moe = mixture().fit(X, y)
    assert isinstance(moe.likelihood_, PooledBeta)
    assert moe.n_regimes_ == 2
    X, y = rates(seed=1)
    assert moe.log_density(X, y).mean() > by_sums.log_density(X, y).mean() - 0.01
    low, high = moe.predict_interval(X, 0.9).T
    assert ((low < y) & (y < high)).mean() == pytest.approx(0.9, abs=0.03)


def test_one_expert_is_the_beta_regression_of_maximum_likelihood():
    X, y = rates(n=400)
    y = np.clip(y, 1e-4, 1 - 1e-4)

    def loss(theta):
        theta = np.clip(theta, -9, 9)  # steps too long are no estimates
        mean, size = special.expit(theta[0] + X @ theta[1:3]), np.exp(theta[3])
        return -stats.beta.logpdf(y, mean * size, (1 - mean) * size).sum()

    best = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-5})
    moe = mixture(n_experts=1, training="em").fit(X, y)
    assert moe.log_density(X, y).sum() == pytest.approx(-best.fun, abs=1e-4)
    table = moe.summary(X, y).to_frame()
    assert_allclose(table["estimate"], best.x, atol=1e-3)
    steps = np.eye(4) * 1e-3  # central differences of the likelihood
    hessian = [
        [
            sum(s * t * loss(best.x + s * a + t * b) for s in (1, -1) for t in (1, -1)) / 4e-6
            for b in steps
        ]
        for a in steps
    ]
    assert_allclose(table["std_error"], np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=2e-3)


def test_rates_have_quantiles_and_a_crps_that_is_the_integral(by_sums):
    X, y = rates(n=5)
    distribution = by_sums.predict_dist(X)
    for i, target in enumerate(y):
        one, total = by_sums.predict_dist(np.tile(X[i], (2001, 1))), 0.0
        for ends, is_above in (((0, target), 0), ((target, 1), 1)):
            grid = np.linspace(*ends, 2001)
            total += np.trapezoid((one.cdf(grid) - is_above) ** 2, grid)
        assert distribution.crps(y)[i] == pytest.approx(total, abs=1e-6)
    for q in (0.05, 0.5, 0.95):
        assert_allclose(distribution.cdf(by_sums.predict_quantiles(X, q)), q, atol=1e-6)


@pytest.mark.parametrize("wrong", [0.0, 1.0, 1.2, -3.0])
def test_rates_outside_are_refused(wrong):
    X, y = rates(n=50)
    y[3] = wrong
    with pytest.raises(ValueError, match=r"Beta needs rates between 0 and 1.*y holds"):
        mixture(n_experts=1).fit(X, y)


# What all promise ---------------------------------------------------------------------------------

TARGETS = {
    PoissonFamily(): np.array([0.0, 1.0, 7.0, 40.0])[:, None],
    GammaFamily(): np.array([0.01, 0.5, 3.0, 20.0])[:, None],
    BinomialFamily(): np.array([0.0, 0.2, 0.7, 1.0])[:, None],
    BetaFamily(): np.array([0.01, 0.2, 0.7, 0.99])[:, None],
    WeibullFamily(): np.array([0.01, 0.5, 3.0, 20.0])[:, None],
    InverseGaussianFamily(): np.array([0.1, 0.5, 3.0, 20.0])[:, None],
}
EXPECTED = BetaFamily, InverseGaussianFamily  # curvatures, or they are cut at zero
POOLED = [family for family in TARGETS if type(family).averaged is not Family.averaged]
SCALES = np.array([0.7, 5.0, 60.0])


@pytest.mark.parametrize("family", TARGETS, ids=lambda family: type(family).__name__)
def test_slopes_are_derivatives(family):
    y, predictor = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    up, down = (family.unit(y, predictor + step, SCALES) for step in (1e-5, -1e-5))
    _, slope, curvature = family.unit(y, predictor, SCALES)
    assert_allclose(slope, (up[0] - down[0]) / 2e-5, rtol=1e-6, atol=1e-7)
    if not isinstance(family, EXPECTED):
        assert_allclose(curvature, -(up[1] - down[1]) / 2e-5, rtol=1e-6, atol=1e-8)
    assert_allclose(family.mean(family.link(family.mean(predictor))), family.mean(predictor))


@pytest.mark.parametrize("family", TARGETS, ids=lambda family: type(family).__name__)
def test_parts_of_the_log_density_add_up(family):
    y, predictor = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    scale = SCALES if family.scale is not None else 1.0
    value = scale * family.unit(y, predictor, scale)[0]
    value = value + family.normaliser(scale) + family.constant(y)
    assert_allclose(value, family.log_density(y, family.mean(predictor), scale), rtol=1e-10)


@pytest.mark.parametrize("family", POOLED, ids=lambda family: type(family).__name__)
def test_expectations_are_those_of_a_finer_quadrature(family):
    y, mean = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    variance = np.array([1e-4, 0.1, 0.4])
    predictors = mean[:, :, None] + np.sqrt(variance)[:, None] * NODES
    exact = family.unit(y[:, :, None], predictors, SCALES[:, None])
    found = family.expected_unit(y, mean, variance, SCALES)
    # Ten nodes, and a millionth of variance more, where there is no closed form.
    tolerance = {PoissonFamily: 1e-9, GammaFamily: 1e-9, BinomialFamily: 1e-5}
    tolerance[InverseGaussianFamily] = 1e-9
    tolerance = tolerance.get(type(family), 2e-4)
    for one, other in zip(found[:2], exact[:2], strict=True):
        assert_allclose(one, other @ MASSES, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("family", POOLED, ids=lambda family: type(family).__name__)
def test_expected_slopes_and_curvatures_are_derivatives(family):
    y, mean = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    variance = np.array([0.02, 0.3, 2.0])

    def value(mean, variance):
        return family.expected_unit(y, mean, variance, SCALES)[0]

    _, slope, curvature = family.expected_unit(y, mean, variance, SCALES)
    by_mean = (value(mean + 1e-5, variance) - value(mean - 1e-5, variance)) / 2e-5
    assert_allclose(slope, by_mean, rtol=1e-6, atol=1e-7)
    by_variance = (value(mean, variance + 1e-5) - value(mean, variance - 1e-5)) / 2e-5
    if not isinstance(family, EXPECTED):
        assert_allclose(curvature, -2 * by_variance, rtol=1e-5, atol=1e-7)


def test_derivatives_of_negative_binomial_counts():
    family, y = NegativeBinomialFamily(), np.array([1.0, 4.0])[:, None]
    predictor, steps = np.array([-0.5, 0.8]), np.array([[1e-5, 0], [0, 1e-5]])

    def at(step, of_log):
        scale = np.array([2.0, 9.0]) * np.exp(of_log)
        value = family.log_density(y, family.mean(predictor + step), scale)
        return value, family.first(y, predictor + step, scale)

    for i, step in enumerate(steps):
        up, down = at(*step), at(*-step)
        assert_allclose(at(0, 0)[1][i], (up[0] - down[0]) / 2e-5, rtol=1e-5, atol=1e-6)
    mean, slope = family.mean(predictor), at(0, 0)[1][1]
    for k, shape in enumerate([2.0, 9.0]):
        given = y[:, 0], np.full(2, mean[k]), np.ones(2)
        value, first, second = shape_sums(*given, shape)
        here, there = (family.log_density(y[:, 0], mean[k], each).sum() for each in (shape, 3.0))
        assert_allclose(value - shape_sums(*given, 3.0, False)[0], here - there, rtol=1e-10)
        assert_allclose(first, slope[:, k].sum(), rtol=1e-10)
        assert_allclose(second, (up[1][1] - down[1][1])[:, k].sum() / 2e-5, rtol=1e-5)


def test_beta_rates_of_far_rows_are_predicted():
    X, y = rates(300)[:2]
    moe = mixture(n_experts=1, training="em").fit(X, y)
    far = np.sign(moe.experts_[0].coef_) * 1e3
    assert_allclose(moe.predict([far, -far]), [1.0, 0.0], atol=1e-12)
