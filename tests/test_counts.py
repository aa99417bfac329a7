"""Counts and positive targets: Poisson, negative binomial, Gamma; exposure."""

from functools import partial

import numpy as np
import pytest
from mixtures import regressor_of
from numpy.testing import assert_allclose
from planted import planted
from scipy import optimize, special, stats
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import GammaRegressor, LinearRegression, PoissonRegressor

from skmoe import MixtureOfExpertsClassifier
from skmoe.gates import ConstantGate

LIKELIHOODS = ["poisson", "negative_binomial", "gamma"]
SLOPES = np.array([[1.0, 0.5], [-0.5, 1.5]])  # of log-means: regimes times (column 1, intercept)


def rows_of_rates(kind, n=2000, seed=0):
    """Two log-linear regimes behind a soft gate; X, y, exposure."""
    coef = np.insert(SLOPES, 0, 0, axis=1)
    rows = planted(n, 2, kind=kind, gate=[3, 0, 0], coef=coef, exposure=(2, 10), random_state=seed)
    if kind == "gamma":
        return rows.X, rows.y / rows.exposure, None
    return rows.X, rows.y, rows.exposure


mixture = partial(regressor_of, training="em", n_init=6, max_iter=500, tol=1e-8, random_state=0)


def only(**rows):
    return {name: value for name, value in rows.items() if value is not None}


# Maximum likelihood --------------------------------------------------------------------------


def np_reg(load):
    X, *_ = load("NPreg")
    return X[["x"]].to_numpy(), X["yp"].to_numpy(float), {}


def seizure(load):
    X, y, *_ = load("seizure")
    treated, day = X["Treatment"].to_numpy() == "Yes", np.log(X["Day"].to_numpy())
    return np.column_stack([treated, day, treated * day]), y, {"exposure": X["Hours"].to_numpy()}


def fabric(load):
    X, y, *_ = load("fabricfault")
    return np.log(X[["Length"]].to_numpy()), y, {}


# As R's flexmix reports them.
TEXTBOOK = [(np_reg, -440.6403), (seizure, -376.1762), (fabric, -84.8882)]


@pytest.mark.parametrize("experts", [None, PoissonRegressor(alpha=0)])
@pytest.mark.parametrize(("problem", "log_likelihood"), TEXTBOOK)
def test_textbook_likelihood_is_reached(problem, log_likelihood, experts, shared_data):
    X, y, rows = problem(shared_data)
    moe = mixture("poisson", experts=experts, gate=ConstantGate(), cv=False, tol=1e-10, n_init=10)
    moe.fit(X, y, **rows)  # 32 rolls of cloth for four coefficients: "auto" would make folds
    assert_allclose(moe.log_density(X, y, **rows).sum(), log_likelihood, rtol=0, atol=1e-3)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_planted_regimes_are_recovered_and_the_objective_rises(kind):
    X, y, exposure = rows_of_rates(kind)
    moe = mixture(kind, n_init=2).fit(X, y, **only(exposure=exposure))
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    found = np.array([[e.coef_[1], e.intercept_, e.coef_[0]] for e in moe.experts_])
    found = found[np.argsort(-found[:, 0])]
    # Three standard errors of about 1000 rows of relative spread 0.3 to 0.6 each.
    assert_allclose(found[:, :2], SLOPES, atol=0.07)
    assert_allclose(found[:, 2], 0, atol=0.1)
    if kind != "poisson":
        assert_allclose(moe.likelihood_.shape_, 3.0 if "bin" in kind else 5.0, rtol=0.2)
    assert moe.likelihood_.n_parameters_ == (0 if kind == "poisson" else 2)
    bic = -2 * moe.log_density(X, y, **only(exposure=exposure)).sum()
    bic += (2 * 3 + 3 + moe.likelihood_.n_parameters_) * np.log(len(y))
    assert_allclose(moe.bic(X, y, **only(exposure=exposure)), bic)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize(
    ("kind", "model"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)]
)
def test_one_expert_is_the_generalised_linear_model_of_scikit_learn(kind, model, alpha):
    X, y, exposure = rows_of_rates(kind, 300)
    exposure = np.ones(len(y)) if exposure is None else exposure
    weight = np.random.default_rng(0).uniform(0.1, 2, size=len(y))
    solver = {"solver": "newton-cholesky", "tol": 1e-10}
    reference = model(alpha=alpha, **solver).fit(X, y / exposure, weight * exposure)
    moe = mixture(kind, experts=model(alpha=alpha), n_experts=1)
    moe.fit(X, y, sample_weight=weight, **({} if kind == "gamma" else {"exposure": exposure}))
    assert type(moe.experts_[0]) is model
    assert_allclose(moe.experts_[0].coef_, reference.coef_, rtol=1e-6)
    assert_allclose(moe.experts_[0].intercept_, reference.intercept_, rtol=1e-6)
    assert_allclose(moe.predict(X), reference.predict(X), rtol=1e-6)


@pytest.mark.parametrize("kind", ["negative_binomial", "gamma"])
def test_one_expert_is_the_maximum_that_a_general_optimiser_finds(kind):
    X, y, exposure = rows_of_rates(kind, 200)
    factor = 1.0 if exposure is None else exposure

    def loss(theta):
        mean, shape = factor * np.exp(X @ theta[:2] + theta[2]), np.exp(theta[3])
        if kind == "gamma":
            return -stats.gamma.logpdf(y, shape, scale=mean / shape).sum()
        return -stats.nbinom.logpmf(y, shape, shape / (shape + mean)).sum()

    best = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-4})
    moe = mixture(kind, n_experts=1, tol=1e-12).fit(X, y, **only(exposure=exposure))
    assert_allclose(moe.log_density(X, y, **only(exposure=exposure)).sum(), -best.fun, atol=1e-4)
    assert_allclose(np.log(moe.likelihood_.shape_), best.x[3], atol=1e-2)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_weight_two_is_a_row_given_twice(kind):
    X, y, exposure = rows_of_rates(kind, 150)
    weight = np.random.default_rng(0).integers(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    moe = mixture(kind, n_init=2, max_iter=40)
    weighted = clone(moe).fit(X, y, sample_weight=weight, **only(exposure=exposure))
    repeated = clone(moe).fit(
        X[rows], y[rows], **({} if exposure is None else {"exposure": exposure[rows]})
    )
    assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-9)
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)


# Exposure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("poisson", "exposure"), ("binomial", "trials")])
def test_exposures_and_trials_count_where_starts_are_tried_on_a_sample(kind, name):
    coef = [[0.5, 0.0, 1.0], [0.0, -0.5, -1.0]]
    rows = planted(12_000, 2, kind=kind, gate=[3, 0, 0], coef=coef, exposure=(2, 10))
    moe = mixture(kind, n_init=2, tol=1e-5).fit(rows.X, rows.y, **{name: rows.exposure})
    found = sorted(float(np.ravel(e.intercept_)[0]) for e in moe.experts_)
    assert_allclose(found, [-1.0, 1.0], atol=0.1)  # of standard errors of about 0.02


def test_an_exposure_multiplies_rates_everywhere():
    X, y, exposure = rows_of_rates("negative_binomial", 400)
    moe = mixture("negative_binomial", n_init=1, tol=1e-5).fit(X, y, exposure=exposure)
    assert_allclose(moe.predict(X, exposure=exposure), exposure * moe.predict(X), rtol=1e-12)
    mean = exposure[:, None] * moe.predict_experts(X)
    shape = moe.likelihood_.shape_
    proba = moe.gate_proba(X) * stats.nbinom.pmf(y[:, None], shape, shape / (shape + mean))
    density = moe.log_density(X, y, exposure=exposure)
    assert_allclose(density, np.log(proba.sum(axis=1)), rtol=1e-9)
    resp = moe.responsibilities(X, y, exposure=exposure)
    assert_allclose(resp, proba / proba.sum(axis=1, keepdims=True), atol=1e-9)
    dist = moe.predict_dist(X, exposure=exposure)
    assert_allclose(moe.predict_quantiles(X, [0.1, 0.9], exposure=exposure), dist.ppf([0.1, 0.9]))
    interval = moe.predict_interval(X, 0.8, exposure=exposure)
    assert_allclose(interval, np.stack(dist.interval(0.8), axis=1))
    assert dist.discrete
    draws = moe.sample_y(X, 300, random_state=0, exposure=exposure)
    assert_allclose(draws.mean(), dist.mean().mean(), rtol=0.02)
    covered = np.mean((y >= interval[:, 0]) & (y <= interval[:, 1]))
    assert 0.78 < covered < 0.92  # at least 0.8 by construction, more since counts are whole
    assert_allclose(moe.bic(X, y, exposure=exposure), -2 * density.sum() + 11 * np.log(400))
    report = moe.expert_report(X, y, exposure=exposure).columns
    assert_allclose(report["error"], moe.expert_report().columns["error"], rtol=1e-4)


def test_another_unit_of_exposure_changes_rates_alone():
    X, y, hours = rows_of_rates("poisson", 400)
    by_hour = mixture("poisson").fit(X, y, exposure=hours)
    by_minute = mixture("poisson").fit(X, y, exposure=60 * hours)
    assert_allclose(by_minute.predict(X) * 60, by_hour.predict(X), rtol=1e-6)
    assert_allclose(by_minute.lower_bound_, by_hour.lower_bound_, rtol=1e-8)
    report = by_hour.expert_report(X, y, exposure=hours).columns
    assert_allclose(report["error"], by_hour.expert_report().columns["error"], rtol=1e-4)


# Any experts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["poisson", "negative_binomial"])
def test_an_event_where_none_is_expected_is_unlikely_and_not_impossible(kind):
    X = np.repeat([0.0, 1.0], 100)[:, None]
    y = np.where(X[:, 0] > 0.5, 3.0, 0.0)
    moe = mixture(kind, experts=RandomForestRegressor(10, random_state=0), n_experts=1).fit(X, y)
    assert moe.predict([[0.0]]) < 0.01
    assert -20 < moe.log_density([[0.0]], [1.0])[0] < -3


def test_the_zeros_of_zero_inflated_counts_get_an_expert_with_a_mean_near_zero():
    rng, n = np.random.default_rng(0), 2000
    X = rng.uniform(-1, 1, size=(2 * n, 2))
    share, mean = special.expit(1.5 * X[:, 1] - 0.5), np.exp(0.7 + X[:, 0] - 0.4 * X[:, 1])
    is_zero = rng.uniform(size=2 * n) < share
    y = np.where(is_zero, 0, rng.poisson(mean))
    moe = regressor_of(likelihood="poisson", n_init=2, random_state=0).fit(X[:n], y[:n])
    means = moe.predict_experts(X).mean(axis=0)
    assert means.min() < 0.05 * means.max()
    # A standard error of the share is 0.01.
    assert moe.expert_load_[means.argmin()] == pytest.approx(is_zero[:n].mean(), abs=0.03)
    truth = np.log(share * (y == 0) + (1 - share) * stats.poisson.pmf(y, mean))
    # On rows that are new: six estimated parameters cost 6 / (2 n) = 0.0015, the sample as much.
    assert (moe.log_density(X, y) - truth)[n:].mean() > -0.006


def test_a_group_without_events_does_no_harm():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 60)
    X = np.eye(3)[group]
    y = rng.poisson(np.array([0.0, 1, 4])[group])
    moe = mixture("poisson", n_experts=1).fit(X, y)
    assert_allclose(moe.predict(np.eye(3)[1:]), [y[group == g].mean() for g in (1, 2)], rtol=1e-4)
    assert moe.predict(np.eye(3)[:1])[0] < 1e-3


# What cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("poisson", [0, 1, -2, 3], "whole numbers from 0 on; y holds -2"),
        ("negative_binomial", [0, 1, 0.5, 3], "y holds 0.5. Give events and their exposure"),
        ("gamma", [1, 2, 0, 3], "positive targets; y holds 0"),
        ("poisson", [0, 0, 0, 0], "nothing to fit"),
        ("poisson", [[0, 1], [1, 2], [0, 0], [1, 1]], "takes one output; y has 2"),
    ],
)
def test_targets_of_another_kind_are_refused(kind, y, message):
    with pytest.raises(ValueError, match=message):
        mixture(kind, n_experts=1).fit(np.arange(4.0)[:, None], y)


@pytest.mark.parametrize(
    ("exposure", "message"),
    [([1.0, 0.0, 1.0, 1.0], "positive"), ([1, np.nan, 1, 1], "positive"), ([1.0], "inconsistent")],
)
def test_impossible_exposures_are_refused(exposure, message):
    X, y = np.arange(4.0)[:, None], [0, 1, 2, 3]
    with pytest.raises(ValueError, match=message):
        mixture("poisson", n_experts=1).fit(X, y, exposure=exposure)
    moe = mixture("poisson", n_experts=1).fit(X, y)
    with pytest.raises(ValueError, match=message):
        moe.predict(X, exposure=exposure)


def test_exposure_means_nothing_to_other_likelihoods():
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    with pytest.raises(ValueError, match="needs a likelihood of counts"):
        mixture("gaussian", n_experts=1).fit(X, y, exposure=np.ones(20))
    with pytest.raises(ValueError, match="needs a likelihood of counts"):
        mixture("gamma", n_experts=1).fit(X, y + 1, exposure=np.ones(20))
    with pytest.raises(ValueError, match="needs a likelihood of counts"):
        MixtureOfExpertsClassifier(n_experts=1).fit(X, y > 9, exposure=np.ones(20))


def test_experts_that_predict_negative_means_are_refused():
    X = np.linspace(0, 1, 100)[:, None]
    y = np.round(np.exp(5 * X[:, 0] - 2))
    with pytest.raises(ValueError, match=r"predicts -.*PoissonRegressor"):
        mixture("poisson", experts=LinearRegression(), n_experts=1).fit(X, y)


@pytest.mark.parametrize("value", [2500.0, -2500.0, 1e5])
@pytest.mark.parametrize("likelihood", ["poisson", "gamma"])
def test_predictions_of_a_training_row_far_out_are_finite(likelihood, value):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2))
    y = 1 + rng.poisson(np.exp(np.where(X[:, 0] > 0, 1 + X[:, 1], 2 - X[:, 1])))
    X[5, 1] = value
    moe = mixture(likelihood, max_iter=50, n_init=3).fit(X, y)
    found = moe.predict(X), moe.predict_experts(X), moe.predict_interval(X), moe.score(X, y)
    assert all(np.isfinite(each).all() for each in (*found, moe.expert_report().columns["error"]))
