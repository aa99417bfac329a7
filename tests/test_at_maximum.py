"""EM ends at the maximum of the likelihood, and not where its steps have become small."""

import numpy as np
import pytest
from scipy import optimize, stats

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.inference._information import maximise
from skmoe.likelihoods import RandomEffects, StudentT


def columns(n=200, n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(n, n_features))


def counts(n=200, seed=0):
    rng, X = columns(n, seed=seed)
    mean = np.exp(1 + X @ [0.3, -0.2])
    return X, rng.poisson(mean * rng.gamma(1.2, 1 / 1.2, size=n)), {}


def long_tails(n=200):
    rng, X = columns(n)
    return X, X @ [1.0, -1.0] + rng.standard_t(3, size=n), {}


def censored(n=300):
    rng, X = columns(n)
    y = X @ [1.0, -1.0] + 2 * rng.normal(size=n) - 1
    return X, np.where(y <= 0, -np.inf, y), {"upper": np.maximum(y, 0.0)}


def of_subjects(n=200):
    rng, X = columns(n)
    subject = np.repeat(np.arange(n // 10), 10)
    return (
        X,
        X @ [1.0, -1.0] + rng.normal(size=n // 10)[subject] + rng.normal(size=n),
        {"subject": subject},
    )


ONE = {
    "negative binomial": (counts, {"likelihood": "negative_binomial"}),
    "poisson": (counts, {"likelihood": "poisson"}),
    "student": (long_tails, {"likelihood": StudentT("estimate")}),
    "tobit": (censored, {}),
    "random intercept": (of_subjects, {"likelihood": RandomEffects()}),
}


@pytest.mark.parametrize("name", ONE)
def test_one_expert_is_at_its_maximum(name):
    make, params = ONE[name]
    X, y, facts = make()
    moe = MixtureOfExpertsRegressor(n_experts=1, training="em", **params)
    moe.fit(X, y, **facts)
    summary = moe.summary(X, y, **facts)
    assert moe.converged_
    assert abs(moe.log_density(X, y, **facts).sum() - summary.log_likelihood) < 1e-8
    bic = -2 * summary.log_likelihood + summary.n_parameters * np.log(
        summary.n_samples if summary.n_subjects is None else summary.n_subjects
    )
    assert abs(moe.bic(X, y, **facts) - bic) < 1e-7


@pytest.mark.parametrize("weighted", [False, True])
def test_negative_binomial_regression_is_the_maximum_of_a_general_optimiser(weighted):
    X, y, _ = counts(150)
    weight = np.random.default_rng(4).integers(1, 4, 150) if weighted else np.ones(150)

    def loss(theta):
        mean, shape = np.exp(theta[0] + X @ theta[1:3]), np.exp(theta[3])
        return -weight @ stats.nbinom.logpmf(y, shape, shape / (shape + mean))

    found = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-5})
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="negative_binomial", training="em")
    moe.fit(X, y, weight)
    assert weight @ moe.log_density(X, y) > -found.fun - 1e-8


@pytest.mark.parametrize("name", ["negative binomial", "student", "tobit", "poisson"])
def test_a_slow_mixture_stops_when_no_more_than_tol_is_left(name):
    if name == "tobit":  # regimes that overlap, so that EM is slow
        rng, X = columns(400)
        y = np.where(rng.uniform(size=400) < 0.5, 1 + X[:, 0], -X[:, 1]) + rng.normal(size=400)
        y, facts = np.where(y <= -0.5, -np.inf, y), {"upper": np.maximum(y, -0.5)}
        params = {}
    else:
        make, params = ONE[name]
        X, y, facts = make()
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        gate=ConstantGate(),
        training="em",
        random_state=0,
        n_init=3,
        max_iter=2000,
        **params,
    ).fit(X, y, **facts)
    further = MixtureOfExpertsRegressor(**moe.get_params(deep=False)).set_params(
        tol=1e-10, max_iter=5000, init=lambda *_: moe.responsibilities(X, y, **facts), n_init=1
    )
    gain = further.fit(X, y, **facts).lower_bound_ - moe.lower_bound_
    assert moe.converged_
    assert gain < 2 * moe.tol


def three_lines(seed, n=150):
    rng, X = columns(n, seed=seed)
    lines = X @ rng.normal(size=(2, 3)) + 1.5 * rng.normal(size=3)
    y = lines[np.arange(n), rng.integers(3, size=n)] + 0.5 * rng.normal(size=n)
    return X, np.where(y <= 0, -np.inf, y), {"upper": np.maximum(y, 0.0)}


@pytest.mark.parametrize(
    ("seed", "gate"),
    [  # EM is slow, and its gains are small, far from the maximum
        (2, SoftmaxGate(alpha=0)),
        (3, SoftmaxGate(alpha=0)),
        (7, SoftmaxGate(alpha=0)),
        (10, ConstantGate()),
        (15, ConstantGate()),
    ],
)
def test_three_censored_experts_are_at_their_maximum(seed, gate):
    X, y, facts = three_lines(seed)
    moe = MixtureOfExpertsRegressor(
        n_experts=3, gate=gate, training="em", n_init=1, random_state=0
    ).fit(X, y, **facts)
    assert moe.converged_
    # A distance of .1 standard errors is a gain of .005.
    gain = moe.summary(X, y, **facts).log_likelihood - moe.log_density(X, y, **facts).sum()
    assert 0 <= gain + 1e-9 < 0.5 * 0.1**2


def test_two_tobit_experts_with_a_gate_are_at_their_maximum():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(300, 2))
    lines = X @ rng.normal(size=(2, 2)) + rng.normal(size=2)
    is_second = rng.uniform(size=300) < 1 / (1 + np.exp(-2 * X[:, 0]))
    y = lines[np.arange(300), is_second.astype(int)] + 0.5 * rng.normal(size=300)
    facts = {"upper": np.maximum(y, 0.0)}
    y = np.where(y <= 0, -np.inf, y)
    settings = {"training": "em", "n_init": 1, "random_state": 0}
    moe = MixtureOfExpertsRegressor(n_experts=2, gate=SoftmaxGate(alpha=0), **settings)
    moe.fit(X, y, **facts)
    assert moe.converged_
    gain = moe.summary(X, y, **facts).log_likelihood - moe.log_density(X, y, **facts).sum()
    assert 0 <= gain + 1e-9 < 0.5 * 0.1**2  # .1 standard errors


class Unbounded:
    """A likelihood that rises with a parameter until its derivatives overflow."""

    def value(self, theta):
        return theta.sum()

    def derivatives(self, theta):
        curvature = np.full((1, 1), 1.0 if theta[0] < 40 else np.nan)
        return theta.sum(), np.ones(1), curvature


def test_newton_steps_end_where_derivatives_overflow():
    theta, value, information, converged = maximise(Unbounded(), np.zeros(1))
    assert not converged
    assert 30 < theta[0] < 40
    assert np.isfinite(information).all()
    assert value == theta.sum()
