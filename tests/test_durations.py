"""Weibull durations: components, censoring, standard errors, regimes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, special, stats

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions._scipy import WeibullComponents
from skmoe.gates import ConstantGate

TRUTH = np.array([[0.5, 1.0, 2.5], [2.0, -0.7, 1.5]])  # intercept, slope, shape


def durations(n, seed=0):
    """Durations in two regimes, of which the second column decides, and ends of watching."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    k = (rng.uniform(size=n) < special.expit(3 * X[:, 1])).astype(int)
    time = np.exp(
        TRUTH[k, 0] + TRUTH[k, 1] * X[:, 0] + np.log(rng.exponential(size=n)) / TRUTH[k, 2]
    )
    end = rng.exponential(15, size=n)
    return X, np.minimum(time, end), np.where(time <= end, time, np.inf)


def bounds_of_all_kinds(n=300):
    """One regime: targets observed, and censored on the right, the left and in an interval."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 1))
    low = np.exp(1 + 0.5 * X[:, 0] + np.log(rng.exponential(size=n)) / 1.5)
    high, kind = low.copy(), rng.integers(4, size=n)
    low[kind == 1] *= rng.uniform(size=np.sum(kind == 1))
    high[kind == 1] = np.inf
    low[kind == 2] = -np.inf
    low[kind == 3], high[kind == 3] = np.floor(low[kind == 3]), np.floor(high[kind == 3]) + 1
    return X, low, high


def test_components_are_those_of_scipy_and_known_far_in_the_tails():
    location, shape = np.array([[0.5, 2.0, 40.0]]), np.array([[0.8, 2.5, 9.0]])
    ours, theirs = WeibullComponents(location, shape), stats.weibull_min(shape, scale=location)
    for y in (0.1, 1.0, 30.0):
        for method in ("logpdf", "cdf", "sf", "logcdf", "logsf"):
            assert_allclose(getattr(ours, method)(y), getattr(theirs, method)(y), rtol=1e-9)
    assert_allclose(ours.ppf(0.3), theirs.ppf(0.3))
    assert_allclose([ours.mean, ours.var], [theirs.mean(), theirs.var()])
    assert_allclose(ours.logcdf(1e-200), shape * np.log(1e-200 / location), rtol=1e-12)
    assert_allclose(ours.logpdf(np.array([[0.0], [-1.0], [np.inf]])), -np.inf)


def test_one_expert_is_the_accelerated_failure_time_model_of_maximum_likelihood():
    X, low, high = bounds_of_all_kinds()
    is_observed = low == high

    def loss(theta):
        location, shape = np.exp(theta[0] + theta[1] * X[:, 0]), np.exp(theta[2])
        location = location / special.gamma(1 + 1 / shape)  # experts predict the mean
        each = stats.weibull_min(shape, scale=location)
        mass = each.cdf(high) - each.cdf(np.maximum(low, 0))
        density = each.logpdf(np.where(is_observed, low, 1.0))
        return -np.where(is_observed, density, np.log(np.maximum(mass, 1e-300))).sum()

    best = optimize.minimize(loss, [1.0, 0.5, 0.3], method="Nelder-Mead", tol=1e-10)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull").fit(X, low, upper=high)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    assert moe.log_density(X, low, upper=high).sum() == pytest.approx(-best.fun, abs=1e-4)
    table = moe.summary(X, low, upper=high).to_frame()
    assert_allclose(table["estimate"], best.x, atol=1e-3)
    steps = np.eye(3) * 1e-3
    hessian = [
        [
            sum(s * t * loss(best.x + s * a + t * b) for s in (1, -1) for t in (1, -1)) / 4e-6
            for b in steps
        ]
        for a in steps
    ]
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)))
    assert_allclose(table["std_error"], expected, rtol=2e-3)  # both by differences


@pytest.mark.parametrize("is_censored", [False, True])
def test_two_regimes_are_recovered_and_em_never_falls(is_censored):
    X, y, upper = durations(1500)
    upper = upper if is_censored else y
    if not is_censored:
        rng = np.random.default_rng(1)
        k = (rng.uniform(size=1500) < special.expit(3 * X[:, 1])).astype(int)
        error = np.log(rng.exponential(size=1500)) / TRUTH[k, 2]
        y = upper = np.exp(TRUTH[k, 0] + TRUTH[k, 1] * X[:, 0] + error)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood="weibull", n_init=1, tol=1e-7, random_state=0
    ).fit(X, y, upper=upper)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    shape = moe.likelihood_.shape_
    level = np.array([expert.intercept_ for expert in moe.experts_])
    level = level - special.gammaln(1 + 1 / shape)
    found = np.column_stack([level, [expert.coef_[0] for expert in moe.experts_], shape])
    assert_allclose(found[level.argsort()], TRUTH, atol=0.3)  # some four standard errors
    assert_allclose(found[level.argsort(), 1], TRUTH[:, 1], atol=0.15)


def test_marginal_effects_are_those_on_the_mean():
    X, y, _ = durations(400)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull").fit(X, y)
    effects = moe.marginal_effects(X, y).to_frame()["effect"].to_numpy()
    for j, effect in enumerate(effects[:2]):
        step = 1e-4 * np.eye(2)[j]
        slope = (moe.predict(X + step) - moe.predict(X - step)).mean() / 2e-4
        assert effect == pytest.approx(slope, rel=1e-5)


def test_targets_that_are_not_positive_are_refused():
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull")
    with pytest.raises(ValueError, match="needs positive targets; y holds 0"):
        moe.fit(np.zeros((4, 1)), [1.0, 2.0, 0.0, 3.0])


def test_a_precise_regime_beside_a_far_one_is_fitted_under_censoring():
    rng = np.random.default_rng(0)
    X, k = rng.normal(size=(300, 1)), np.arange(300) % 2
    near, far = np.exp(X[:, 0] + 0.01 * rng.normal(size=300)), rng.weibull(1, size=300)
    low = np.where(k, near, np.exp(6 + 0.5 * X[:, 0]) * far)
    high = low.copy()
    high[::5] = np.inf
    low[::5] *= 0.7
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood="weibull", random_state=0, gate=ConstantGate()
    ).fit(X, low, upper=high)
    assert_allclose(np.sort([e.coef_[0] for e in moe.experts_]), [0.5, 1.0], atol=0.15)
    assert moe.likelihood_.shape_.max() > 50


# How many regimes ------------------------------------------------------------------------------


def test_one_regime_in_few_rows_is_one_expert():
    X = np.random.default_rng(1).normal(size=(40, 3))  # of which some are learned by heart
    y = np.exp(X[:, 0]) * np.random.default_rng(2).weibull(2.0, size=40)
    moe = MixtureOfExpertsRegressor(likelihood="weibull", n_init=2, random_state=0).fit(X, y)
    assert len(moe.experts_) == 1
    assert moe.likelihood_.shape_ == pytest.approx([2.0], abs=0.8)  # some three standard errors
