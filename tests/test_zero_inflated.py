"""A component that is always zero, beside experts of counts and amounts."""

import re

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions import MixtureDistribution
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import ZeroInflated

BASES = ("poisson", "negative_binomial", "gamma")


def zero_inflated(base, n=800, seed=0):
    """Columns, targets, and what made them: coefficients of the mean and of the zeros."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    of_mean, of_zero = np.array([0.7, 1.0, -0.4]), np.array([-0.5, 0.0, 1.5])
    design = np.column_stack([np.ones(n), X])
    mean = np.exp(design @ of_mean)
    draws = {
        "poisson": lambda: rng.poisson(mean),
        "negative_binomial": lambda: rng.poisson(mean * rng.gamma(2.0, 0.5, size=n)),
        "gamma": lambda: mean * rng.gamma(3.0, 1 / 3.0, size=n),
    }
    never = rng.uniform(size=n) < special.expit(design @ of_zero)
    return X, np.where(never, 0.0, draws[base]()), of_mean, of_zero


def classical(base, **params):
    """One expert and a logistic share of zeros, without a penalty."""
    gate = SoftmaxGate(alpha=0)
    return MixtureOfExpertsRegressor(
        n_experts=1, gate=gate, likelihood=ZeroInflated(base), tol=1e-11, max_iter=3000, **params
    )


def negative_log_likelihood(theta, X, y, base):
    design = np.column_stack([np.ones(len(X)), X])
    mean, log_odds, shape = np.exp(design @ theta[:3]), design @ theta[3:6], np.exp(theta[6])
    if base == "poisson":
        own = stats.poisson.logpmf(y, mean)
    elif base == "negative_binomial":
        own = stats.nbinom.logpmf(y, shape, shape / (shape + mean))
    else:
        own = stats.gamma.logpdf(np.where(y > 0, y, 1.0), shape, scale=mean / shape)
        own = np.where(y > 0, own, -np.inf)
    zero = np.where(y == 0, special.log_expit(log_odds), -np.inf)
    return -np.logaddexp(zero, special.log_expit(-log_odds) + own).sum()


@pytest.mark.parametrize("base", BASES)
def test_one_expert_is_the_zero_inflated_regression(base):
    X, y, of_mean, of_zero = zero_inflated(base)
    best = optimize.minimize(negative_log_likelihood, np.zeros(7), (X, y, base), method="BFGS")
    moe = classical(base).fit(X, y)
    assert moe.log_density(X, y).sum() == pytest.approx(-best.fun, abs=1e-5)
    assert np.diff(moe.lower_bounds_).min() >= -1e-10  # a rising objective, but for rounding
    summary = moe.summary(X, y)
    estimate = summary.estimate if base == "poisson" else np.delete(summary.estimate, 3)
    np.testing.assert_allclose(estimate, best.x[:6], atol=1e-3)  # BFGS stops at 1e-5 of slope
    n_parameters = 6 if base == "poisson" else 7
    assert moe.bic(X, y) == pytest.approx(2 * best.fun + n_parameters * np.log(len(y)), abs=1e-3)
    std_error = summary.std_error if base == "poisson" else np.delete(summary.std_error, 3)
    distance = (estimate - np.append(of_mean, of_zero)) / std_error
    assert np.abs(distance).max() < 4


def test_agrees_with_pscl_and_flexmix():
    # zeroinfl(y ~ x + z) of pscl 1.5.9, and FLXMRziglm of flexmix 2.3-20 with the same optimum.
    i = np.arange(1, 401)
    x, z = (i * 7) % 41 / 20 - 1, (i * 11) % 29 / 14 - 1
    y = np.where((i * 13) % 10 + 2 * z < 3, 0, np.floor(np.exp(1 + 0.8 * x) * (i * 17 % 23) / 11))
    X = np.column_stack([x, z])
    known = {
        "poisson": (
            -623.3552381,
            [0.888560645, 0.959976331, -0.010916312, -0.38555806, 0.15870909, -0.76142757],
            [0.055123643, 0.084352749, 0.071540383, 0.13863869, 0.23476328, 0.21180395],
        ),
        "negative_binomial": (
            -622.1311994,
            [0.86519597, 0.98686117, -0.01232448, 2.83233767, -0.44924738, 0.22307252, -0.78893076],
            [0.061492813, 0.093593865, 0.079321155, 0.759569908, 0.1557152, 0.25148323, 0.22158899],
        ),
    }
    for base, (log_likelihood, estimate, std_error) in known.items():
        summary = classical(base).fit(X, y).summary(X, y)
        assert summary.log_likelihood == pytest.approx(log_likelihood, abs=1e-5)
        np.testing.assert_allclose(summary.estimate, estimate, atol=1e-3)
        np.testing.assert_allclose(summary.std_error, std_error, rtol=1e-2)  # R's are numerical


def test_two_regimes_and_zeros_are_recovered():
    rng = np.random.default_rng(1)
    X, hours = rng.uniform(-1, 1, size=(1500, 2)), rng.uniform(1, 3, size=1500)
    mean = np.where(X[:, 0] > 0, np.exp(2 + X[:, 1]), np.exp(0.5 - X[:, 1]))
    never = rng.uniform(size=1500) < 0.3
    y = np.where(never, 0, rng.poisson(hours * mean))
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=ZeroInflated(), random_state=0)
    moe = moe.fit(X, y, exposure=hours)
    assert list(moe.named_experts_) == ["expert0", "expert1", "zero"]
    assert moe.expert_load_[-1] == pytest.approx(0.3, abs=0.03)
    assert sorted(round(expert.coef_[1]) for expert in moe.experts_[:-1]) == [-1, 1]
    right = np.array([[0.5, 0.0]])
    assert moe.predict(right, exposure=[2.0]) == pytest.approx(0.7 * 2 * np.exp(2), rel=0.1)
    assert moe.responsibilities(X, y, exposure=hours)[y > 0, -1].max() == 0
    assert "zero" in str(moe.expert_report())
    assert "gate: zero against expert0" in moe.summary(X, y, exposure=hours).parts
    assert list(moe.coefficients().experts) == ["expert0", "expert1", "zero"]


@pytest.mark.parametrize("base", BASES)
def test_distribution_is_that_of_its_parts(base):
    X, y, *_ = zero_inflated(base, n=400)
    moe = classical(base).fit(X, y)
    rows = X[:3]
    dist, share = moe.predict_dist(rows), moe.gate_proba(rows)[:, -1]
    own = MixtureDistribution(
        np.ones((3, 1)), moe.likelihood_.likelihood_.components(moe.predict_experts(rows)[:, :1])
    )
    np.testing.assert_allclose(dist.mean(), (1 - share) * own.mean())
    second_moment = (1 - share) * (own.var() + own.mean() ** 2)
    np.testing.assert_allclose(dist.var(), second_moment - dist.mean() ** 2)
    for value in (0.0, 2.0):
        np.testing.assert_allclose(dist.cdf(value), share + (1 - share) * own.cdf(value))
        expected = (1 - share) * own.pdf(value) + share * (value == 0)
        np.testing.assert_allclose(dist.pdf(value), expected)
    assert (dist.ppf(0.99 * dist.cdf(0.0).min()) == 0).all()
    quantile = dist.ppf(0.95)
    assert (dist.cdf(quantile) >= 0.95 - 1e-9).all()
    draws = dist.rvs(20000, random_state=0)
    np.testing.assert_allclose((draws == 0).mean(axis=1), dist.cdf(0.0), atol=0.015)
    np.testing.assert_allclose(draws.mean(axis=1), dist.mean(), rtol=0.05)
    np.testing.assert_allclose(dist.crps(1.0), _crps_of_draws(draws, 1.0), rtol=0.05)


def _crps_of_draws(draws, y):
    ranked = np.sort(draws, axis=1)
    n = ranked.shape[1]
    gini = (2 * np.arange(1, n + 1) - n - 1) @ ranked.T / n**2
    return np.abs(draws - y).mean(axis=1) - gini


def test_amounts_with_zeros_have_no_density_at_zero():
    X, y, *_ = zero_inflated("gamma", n=200)
    dist = classical("gamma").fit(X, y).predict_dist(X[:2])
    for method in (dist.entropy, lambda: dist.hazard(1.0)):
        with pytest.raises(ValueError, match="probability of zero"):
            method()


def test_counts_without_more_zeros_leave_the_component_empty():
    X, *_ = zero_inflated("poisson")
    y = 1.0 + np.random.default_rng(0).poisson(np.exp(X[:, 0]))
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(), likelihood=ZeroInflated(), random_state=0
    ).fit(X, y)
    assert moe.expert_load_[-1] < 1e-6


def test_the_number_that_is_chosen_is_without_the_component(capsys):
    X, y, *_ = zero_inflated("gamma", n=150)
    moe = MixtureOfExpertsRegressor(
        likelihood=ZeroInflated("gamma"), n_init=1, max_iter=30, random_state=0, verbose=1
    ).fit(X, y)
    number = "1 expert" if moe.plan_.n_experts == 1 else f"{moe.plan_.n_experts} experts"
    assert f"BIC: {number}; worse by" in moe.plan_.findings[0]
    text = capsys.readouterr().out
    assert f"Kept {number}\n" in text
    shown = float(re.search(rf" {number}: corrected BIC ([\d.]+)", text).group(1))
    assert 0 <= shown - moe.bic(X, y) < 3  # the correction


def test_weights_are_repetitions():
    X, y, *_ = zero_inflated("negative_binomial", n=300)
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    rows = np.repeat(np.arange(300), weight)
    weighted = classical("negative_binomial").fit(X, y, sample_weight=weight)
    repeated = classical("negative_binomial").fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_what_cannot_be_inflated_is_refused():
    X, y, *_ = zero_inflated("poisson", n=50)
    with pytest.raises(ValueError, match="takes a likelihood of counts"):
        MixtureOfExpertsRegressor(likelihood=ZeroInflated("gaussian")).fit(X, y)
    experts = [("zero", DecisionTreeRegressor())]
    with pytest.raises(ValueError, match="call the expert otherwise"):
        MixtureOfExpertsRegressor(experts, likelihood=ZeroInflated()).fit(X, y)
    moe = classical("poisson").fit(X, y)
    with pytest.raises(ValueError, match="mixture with a zero component"):
        moe.remove_expert("expert0")


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("n_experts", "n_columns"), [(8, 1), (2, 20)])
def test_cross_fitted_experts_never_learn_the_zeros_of_the_component(base, n_experts, n_columns):
    X, y, *_ = zero_inflated(base, n=60)
    X = np.column_stack([X, np.random.default_rng(1).normal(size=(60, n_columns))])
    moe = MixtureOfExpertsRegressor(
        n_experts=n_experts, likelihood=ZeroInflated(base), cv=3, n_init=1, max_iter=3,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    assert np.isfinite(moe.predict(X)).all()
    assert (moe.oof_responsibilities_[y > 0, -1] == 0).all()
    if base == "gamma":
        assert (moe.oof_responsibilities_[y == 0, -1] == 1).all()
