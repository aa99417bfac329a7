"""Partial pooling of successes in trials: the bound, regimes or none, predictive distributions."""

import numpy as np
import pytest
from planted import linear_models
from scipy import special, stats
from sklearn.linear_model import LogisticRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe._data import Rows, TrainingData
from skmoe._em.starts import STARTS, soften
from skmoe._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from skmoe._pooling.problem import PooledGate, PooledProblem
from skmoe.distributions import AveragedBinomialComponents
from skmoe.gates import ConstantGate
from skmoe.likelihoods._counts import PooledBinomial

N_TEST = 1000
NODES, MASSES = np.polynomial.hermite_e.hermegauss(80)
MASSES = MASSES / MASSES.sum()


def pooled(**params):
    defaults = {"n_experts": 2, "training": "pooled", "n_init": 3, "random_state": 0}
    return MixtureOfExpertsRegressor(likelihood="binomial", **defaults | params)


def logistic_rows(n, p, seed, **params):
    """X, successes and trials, to fit and to test."""
    rows = linear_models("binomial", n, p, seed, n_test=N_TEST, exposure=(1, 30), **params)
    X, y, trials = rows.X, rows.y, rows.exposure
    return (X[:n], y[:n], trials[:n]), (X[n:], y[n:], trials[n:])


def log_density(moe, rows):
    X, y, trials = rows
    return moe.log_density(X, y, trials=trials).mean()


def log_density_of_one(rows, test):
    X, y, trials = rows
    twice, labels = np.vstack([X, X]), np.repeat([1, 0], len(y))
    line = LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-8)
    line.fit(twice, labels, sample_weight=np.append(y, trials - y))
    return stats.binom.logpmf(test[1], test[2], line.predict_proba(test[0])[:, 1]).mean()


def problem(X, y, trials, weight, n_experts, **settings):
    likelihood = PooledBinomial().fitting(in_sample=True, linear=True).start(y, weight, 1)
    experts = PooledGeneralizedLinearExperts(
        X, y, weight, family=likelihood.family, exposure=trials, **settings
    )
    data = TrainingData.of(Rows(X, y, weight, trials), X, np.arcsin(np.sqrt(y / trials)))
    gate = PooledGate(X if n_experts > 1 else X[:, :0], weight)
    return PooledProblem(experts.resized(n_experts), gate, likelihood, data)


# The bound ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "p", "n_experts", "level"),
    [(80, 3, 3, 0.0), (80, 3, 2, -4.0), (60, 5, 1, 0.0), (40, 60, 2, 0.0)],
)
def test_bound_never_falls_at_a_fixed_prior_of_the_gate(n, p, n_experts, level):
    X, y, trials = logistic_rows(n, p, 0, regimes=2, level=level)[0]
    weight = np.random.default_rng(1).exponential(size=n)
    training = problem(X, y, trials, weight, n_experts)
    start = STARTS["functions"](
        X, training.data.target, weight, n_experts, np.random.RandomState(0)
    )
    training.start(soften(start, n_experts))
    bounds = np.array([training.step() for _ in range(40)])
    assert (np.diff(bounds) >= -1e-9 * np.maximum(1, np.abs(bounds[1:]))).all()
    assert bounds[-1] > bounds[0]


def test_posterior_of_many_trials_is_that_of_maximum_likelihood():
    (X, y, trials), _ = logistic_rows(40, 2, 0, level=-4.0)
    trials, y = 1000 * trials, 1000 * y
    training = problem(X, y, trials, np.ones(40), 1).start(np.ones((40, 1)))
    for _ in range(20):
        training.step()
    experts = training.experts
    rates = experts.predictions[:, 0]
    information = experts.design.T @ (experts.design * (trials * rates * (1 - rates))[:, None])
    (coefficients,) = experts.posterior.coefficients
    np.testing.assert_allclose(coefficients.cov[0], np.linalg.inv(information), rtol=1e-2)


# Regimes or none ------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, -3.0])
def test_without_regimes_there_is_one_expert(level):
    rows, test = logistic_rows(60, 5, 0, level=level)
    moe = pooled(n_experts="auto").fit(*rows[:2], trials=rows[2])
    assert len(moe.experts_) == 1
    assert list(moe.log_evidence_) == [1, 2, 3, 4]
    assert log_density(moe, test) > log_density_of_one(rows, test) - 0.02


def test_two_regimes_are_found_without_being_told():
    rows, test = logistic_rows(200, 5, 0, regimes=2)
    moe = pooled(n_experts="auto", training="auto").fit(*rows[:2], trials=rows[2])
    told = pooled(training="em").fit(*rows[:2], trials=rows[2])
    assert isinstance(moe.likelihood_, PooledBinomial)
    assert len(moe.experts_) == 2
    assert log_density(moe, test) > log_density(told, test) - 0.02


# How it is used -------------------------------------------------------------------------------

ROWS, TEST = logistic_rows(150, 2, 1, regimes=2)


@pytest.fixture(scope="module")
def fitted_rates():
    return pooled().fit(*ROWS[:2], trials=ROWS[2])


def test_weights_are_repeats():
    X, y, trials = (each[:100] for each in ROWS)
    twice = np.arange(100) % 3 == 0
    rows = np.append(np.arange(100), np.flatnonzero(twice))
    weighted = pooled(n_init=1).fit(X, y, sample_weight=1.0 + twice, trials=trials)
    repeated = pooled(n_init=1).fit(X[rows], y[rows], trials=trials[rows])
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, atol=1e-6)
    np.testing.assert_allclose(weighted.predict(TEST[0]), repeated.predict(TEST[0]), rtol=1e-3)


def test_rates_are_averages_over_what_is_not_known(fitted_rates):
    X, y, trials = (each[:40] for each in TEST)
    design = fitted_rates.likelihood_.columns_.design(X)
    cov, plug_in = fitted_rates.likelihood_.coef_cov_[:, 0], fitted_rates.predict_experts(X)
    std = np.sqrt(np.einsum("ij,kjl,il->ik", design, cov, design))
    rates = special.expit(special.logit(plug_in)[:, :, None] + std[:, :, None] * NODES)
    gate = fitted_rates.gate_proba(X)
    np.testing.assert_allclose(
        fitted_rates.predict(X), (gate * (rates @ MASSES)).sum(axis=1), rtol=1e-5
    )
    pmf = stats.binom.pmf(y[:, None, None], trials[:, None, None], rates) @ MASSES
    pmf = (gate * pmf).sum(axis=1)
    np.testing.assert_allclose(
        fitted_rates.log_density(X, y, trials=trials), np.log(pmf), rtol=1e-5
    )
    distribution = fitted_rates.predict_dist(X, trials=np.full(40, 12.0))
    total = sum(distribution.pmf(float(count)) for count in range(13))
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    low, high = fitted_rates.predict_interval(X, 0.9, trials=trials).T
    assert ((low >= 0) & (high <= trials)).all()
    far = fitted_rates.predict_dist(8 * X, trials=trials).components
    assert (far.var >= far.mean * (1 - far.mean / far.trials)).all()


def test_components_are_averages_of_binomial_ones():
    rates, masses = np.random.default_rng(0).uniform(size=(5, 2, 3)), np.array([0.2, 0.5, 0.3])
    trials = np.arange(3.0, 8.0)[:, None]
    ours = AveragedBinomialComponents(rates, masses, trials)
    each, y = stats.binom(trials[:, :, None], rates), np.arange(5.0)[:, None]
    np.testing.assert_allclose(np.exp(ours.logpdf(y)), each.pmf(y[:, :, None]) @ masses)
    np.testing.assert_allclose(ours.cdf(y), each.cdf(y[:, :, None]) @ masses)
    np.testing.assert_allclose(ours.sf(y), each.sf(y[:, :, None]) @ masses, atol=1e-15)
    np.testing.assert_allclose(ours.var, ((each.var() + each.mean() ** 2) @ masses) - ours.mean**2)
    quantile = ours.ppf(0.6)
    assert (ours.cdf(quantile) >= 0.6).all()
    assert (ours.cdf(quantile - 1) < 0.6).all()
    draws = ours.rvs(np.ones((5, 4000), dtype=int), np.random.RandomState(0))
    std = np.sqrt(ours.var[:, 1] / 4000)
    assert (np.abs(draws.mean(axis=1) - ours.mean[:, 1]) < 5 * std).all()


def test_centres_share_a_regime_each():
    centre, rng = np.repeat(np.arange(30), 2), np.random.default_rng(0)
    treated, regime = np.tile([0.0, 1.0], 30)[:, None], centre % 2
    trials = np.full(60, 200.0)
    y = rng.binomial(200, special.expit(-2.0 + regime - 0.3 * treated[:, 0]))
    moe = pooled(n_experts="auto", gate=ConstantGate())
    moe.fit(treated, y, trials=trials, subject=centre)
    np.testing.assert_allclose([each.coef_[0] for each in moe.experts_], [-0.3] * 2, atol=0.15)


@pytest.mark.parametrize("n", [2, 5])
def test_few_rows_and_certain_rates_are_enough(n):
    X, _, trials = (each[:n] for each in ROWS)
    for y in (np.zeros(n), trials):
        moe = pooled(n_experts="auto", n_init=1).fit(X, y, trials=trials)
        assert np.isfinite(log_density(moe, (X, y, trials)))
        assert np.isfinite(moe.predict(TEST[0])).all()
