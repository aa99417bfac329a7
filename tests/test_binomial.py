"""Successes in trials: the binomial likelihood, and experts that predict rates."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, RateRegressor
from skmoe.distributions import BinomialComponents
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.metrics import crps_score, interval_score, log_score, pinball_score

# As R's flexmix reports them, of the second regime for the estimates.
LOG_LIKELIHOOD = -874.250321346
ESTIMATES = [-1.054417958, 1.546696577, -0.016300170]
ERRORS = [0.079000044, 0.065362486, 0.082854509]

COEF = np.array([[-1.0, 1.5], [1.0, -1.0]])  # intercept and slope of the log-odds, by regime


def logistic_regimes(n=400, seed=0):
    """Two logistic regimes behind a soft gate; X, successes, trials. The stream never changes."""
    rng = np.random.RandomState(seed)
    X, trials = rng.normal(size=(n, 2)), rng.randint(5, 30, size=n)
    regime = (rng.uniform(size=n) > special.expit(1.5 * X[:, 1])).astype(int)
    log_odds = COEF[regime, 0] + COEF[regime, 1] * X[:, 0]
    return X, rng.binomial(trials, special.expit(log_odds)), trials


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    likelihood="binomial",
    training="em",
    n_init=3,
    tol=1e-8,
    random_state=0,
)


# Distribution --------------------------------------------------------------------------------


def test_components_are_binomial():
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 60, size=(40, 1)).astype(float)
    proba = rng.uniform(size=(40, 3))
    ours = BinomialComponents(trials * proba, trials)
    # Of a column of trials ppf(1) is wrong in scipy 1.13.
    reference = stats.binom(np.broadcast_to(trials, proba.shape), proba)
    y = np.floor(rng.uniform(size=(40, 1)) * (trials + 1))
    for name in ("logpmf", "cdf", "sf"):
        got = getattr(ours, "logpdf" if name == "logpmf" else name)(y)
        assert_allclose(got, getattr(reference, name)(y), rtol=1e-9, atol=1e-300)
    for q in (0.0, 0.01, 0.3, 0.5, 0.975, 1.0):
        assert_array_equal(ours.ppf(q), reference.ppf(q))
    assert_allclose(ours.mean, reference.mean())
    assert_allclose(ours.var, reference.var())
    assert (ours.logpdf(trials + 1) == -np.inf).all()
    assert (ours.cdf(trials) == 1).all()
    assert (ours.sf(trials) == 0).all()
    draws = ours.rvs(np.zeros((40, 4000), dtype=int), np.random.RandomState(0))
    sd = np.sqrt(ours.var[:, 0] / 4000)
    assert (np.abs(draws.mean(axis=1) - ours.mean[:, 0]) < 5 * sd).all()


# Maximum likelihood --------------------------------------------------------------------------


def test_regimes_are_recovered_and_the_objective_rises():
    X, y, trials = logistic_regimes(3000)
    moe = mixture().fit(X, y, trials=trials)
    summary = moe.summary(X, y, trials=trials).to_frame()
    order = np.argsort([expert.intercept_ for expert in moe.experts_])
    for k, truth in zip(order, COEF, strict=True):
        rows = summary.loc[f"expert{k}"]
        beyond = rows["estimate"].to_numpy() - [*truth, 0.0]
        assert (np.abs(beyond) < 4 * rows["std_error"].to_numpy()).all()
    one_step = mixture(n_init=1, init="functions", tol=0, max_iter=30)
    bounds = one_step.fit(X[:300], y[:300], trials=trials[:300]).lower_bounds_
    assert len(bounds) > 3
    assert np.diff(bounds).min() > -1e-10


def test_likelihoods_and_standard_errors_are_those_of_flexmix():
    # d <- read.csv(...)                                    # planted(400)
    # m <- stepFlexmix(cbind(y, t - y) ~ x1 + x2, data = d, k = 2, nrep = 5,
    #                  model = FLXMRglm(family = "binomial"),
    #                  concomitant = FLXPmultinom(~ x1 + x2))
    # logLik(m); refit(m, method = "optim")                 # flexmix 2.3.20, tolerance 1e-12
    X, y, trials = logistic_regimes()
    moe = mixture(gate=SoftmaxGate(alpha=0)).fit(X, y, trials=trials)
    assert_allclose(moe.log_density(X, y, trials=trials).sum(), LOG_LIKELIHOOD, atol=1e-3)
    bic = -2 * LOG_LIKELIHOOD + 9 * np.log(400)
    assert_allclose(moe.bic(X, y, trials=trials), bic, atol=2e-3)
    k = int(np.argmin([expert.intercept_ for expert in moe.experts_]))
    rows = moe.summary(X, y, trials=trials).to_frame().loc[f"expert{k}"]
    assert_allclose(rows["estimate"], ESTIMATES, atol=2e-4)
    assert_allclose(rows["std_error"], ERRORS, rtol=2e-3)


@pytest.mark.parametrize("C", [0.1, 10.0])
def test_one_expert_is_the_logistic_regression_of_each_trial(C):
    X, y, trials = logistic_regimes(100)
    X = X * [1.0, 30.0]
    moe = mixture(LogisticRegression(C=C), n_experts=1, tol=1e-12).fit(X, y, trials=trials)
    rows = np.repeat(np.arange(len(y)), trials)
    won = np.concatenate([np.arange(t) < s for s, t in zip(y, trials, strict=True)]).astype(int)
    reference = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12).fit(X[rows], won)
    assert_allclose(moe.experts_[0].coef_, reference.coef_[0], rtol=1e-6)
    assert_allclose(moe.predict(X), reference.predict_proba(X)[:, 1], rtol=1e-6)


def test_single_trials_are_two_classes():
    X, y, trials = logistic_regimes(600)
    won = (np.random.RandomState(1).uniform(size=600) < y / trials).astype(int)
    gate = ConstantGate()
    rates = mixture(n_experts=2, gate=gate).fit(X, won)
    classes = MixtureOfExpertsClassifier(
        n_experts=2, gate=gate, training="em", tol=1e-8, random_state=0
    ).fit(X, won)
    assert_allclose(rates.log_density(X, won).sum(), classes.log_density(X, won).sum(), atol=0.05)


# Ways to give rows ---------------------------------------------------------------------------


def test_two_columns_are_successes_and_failures():
    X, y, trials = logistic_regimes(200)
    counts = np.column_stack([y, trials - y])
    by_trials, by_columns = mixture().fit(X, y, trials=trials), mixture().fit(X, counts)
    assert_array_equal(by_trials.predict(X), by_columns.predict(X))
    given, frame = {"trials": trials}, pd.DataFrame(counts, columns=["won", "lost"])
    for method in ("log_density", "responsibilities", "bic", "icl"):
        expected = getattr(by_trials, method)(X, y, **given)
        assert_allclose(getattr(by_columns, method)(X, frame), expected, rtol=1e-12)
    assert_allclose(
        by_columns.score(X, counts), by_trials.score(X, y / trials, sample_weight=trials)
    )
    cv = cross_val_score(mixture(n_init=2), X, counts, cv=2, scoring=log_score)
    assert np.isfinite(cv).all()


def test_weights_are_repeats():
    X, y, trials = logistic_regimes(150)
    weight = np.random.RandomState(2).randint(0, 3, size=150)
    rows = np.repeat(np.arange(150), weight)
    weighted = mixture().fit(X, y, sample_weight=weight, trials=trials)
    repeated = mixture().fit(X[rows], y[rows], trials=trials[rows])
    assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-6)


def test_trials_multiply_rates_everywhere():
    X, y, trials = logistic_regimes(300)
    moe = mixture().fit(X, y, trials=trials)
    rate = moe.predict(X)
    assert ((rate > 0) & (rate < 1)).all()
    assert_allclose(moe.predict(X, trials=trials), trials * rate)
    proba, of_experts = moe.gate_proba(X), moe.predict_experts(X)
    pmf = (proba * stats.binom.pmf(y[:, None], trials[:, None], of_experts)).sum(axis=1)
    assert_allclose(moe.log_density(X, y, trials=trials), np.log(pmf), rtol=1e-8)
    dist = moe.predict_dist(X, trials=trials)
    assert_allclose(dist.pmf(y), pmf, rtol=1e-8)
    cdf = (proba * stats.binom.cdf(y[:, None], trials[:, None], of_experts)).sum(axis=1)
    assert_allclose(dist.cdf(y), cdf, rtol=1e-8)
    low, high = dist.interval(0.9)
    assert ((low >= 0) & (high <= trials)).all()
    assert_array_equal(moe.predict_interval(X, 0.9, trials=trials), np.column_stack([low, high]))
    draws = moe.sample_y(X, 400, random_state=0, trials=trials)
    assert (draws.max(axis=1) <= trials).all()
    assert_allclose(draws.mean(axis=1), trials * rate, atol=5 * np.sqrt(0.25 * 30**2 / 400))
    assert moe.expert_report(X, y, trials=trials) is not None
    assert "log-odds of success" in str(moe.coefficients())


# Any experts ---------------------------------------------------------------------------------


def test_rates_are_learned_from_weighted_rows():
    X, y, trials = logistic_regimes(120)
    model = RateRegressor(LogisticRegression()).fit(X, y / trials, sample_weight=trials)
    twice, labels = np.vstack([X, X]), np.repeat([1, 0], 120)
    reference = LogisticRegression().fit(
        twice, labels, sample_weight=np.concatenate([y, trials - y])
    )
    assert_allclose(model.predict(X), reference.predict_proba(X)[:, 1], rtol=1e-4)
    assert_array_equal(RateRegressor(LogisticRegression()).fit(X, np.ones(120)).predict(X), 1)
    assert_array_equal(RateRegressor(LogisticRegression()).fit(X, np.zeros(120)).predict(X), 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        RateRegressor(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        RateRegressor(KNeighborsClassifier()).fit(X, y / trials)


# What cannot be used -------------------------------------------------------------------------


def test_wrong_counts_are_refused():
    X, y, trials = logistic_regimes(50)
    moe = mixture(n_init=1)
    for wrong, given, message in [
        (y, {}, "one trial"),
        (trials + 1, {"trials": trials}, "between 0 and the trials"),
        (y / trials, {"trials": trials}, "whole numbers"),
        (y, {"trials": trials + 0.5}, "whole numbers from 1"),
        (np.column_stack([y, trials - y]), {"trials": trials}, "without trials"),
        (np.column_stack([y, y, y]), {}, "without trials"),
        (y, {"exposure": trials}, "in place of an exposure"),
    ]:
        with pytest.raises(ValueError, match=message):
            moe.fit(X, wrong, **given)
    with pytest.raises(ValueError, match="binomial"):
        MixtureOfExpertsRegressor(likelihood="poisson").fit(X, y, trials=trials)
    with pytest.raises(ValueError, match="learns no rates"):
        mixture(MixtureOfExpertsRegressor()).fit(X, y, trials=trials)


@pytest.mark.parametrize("trials", [1.0, 50.0, 1e9, 1e15])
@pytest.mark.parametrize("rate", [0.0, 1e-12, 0.5, 1.0])
def test_any_number_of_trials_has_quantiles_and_draws(trials, rate):
    components = BinomialComponents(np.array([[trials * rate]]), trials)
    for q in (0.01, 0.5, 0.99):
        place = components.ppf(q)
        near = 1e-9 if trials < 1e9 else 1e-4  # digits of an incomplete Beta function
        assert components.cdf(place) >= q - near
        assert place == 0 or components.cdf(place - 1) <= q + near
    draws = components.rvs(np.zeros((1, 9), dtype=int), np.random.RandomState(0))
    assert ((draws >= 0) & (draws <= trials)).all()
    assert np.isfinite(components.logpdf(components.ppf(0.5))).all()


def test_scores_do_not_compare_successes_with_rates():
    X, y, trials = logistic_regimes(100)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="binomial").fit(X, y, trials=trials)
    scores = crps_score, interval_score, pinball_score, lambda moe, *given: moe.score(*given)
    for score in scores:
        with pytest.raises(ValueError, match="are rates"):
            score(moe, X, y)
        assert np.isfinite(score(moe, X, y / trials, trials))
    of_counts = moe.score(X, np.column_stack([y, trials - y]))
    assert of_counts == pytest.approx(moe.score(X, y / trials, trials))
    assert of_counts == pytest.approx(moe.score(X, y, trials=trials))
    assert of_counts == pytest.approx(moe.score(X, y.tolist(), trials=trials.tolist()))
    expected = -moe.predict_dist(X, trials=trials).crps(y).mean()
    assert crps_score(moe, X, y, trials=trials) == pytest.approx(expected)
