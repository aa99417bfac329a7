"""Textbook mixtures of regressions: the maximum likelihoods that other packages report."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate


def np_reg(load):
    """Two regressions of yn on x and its square (Leisch 2004)."""
    X, y, _, _ = load("NPreg")
    x = X["x"].to_numpy() if "x" in X else X.iloc[:, 0].to_numpy()
    return np.column_stack([x, x**2]), y


def co2(load):
    """CO2 emission on the gross national product of 28 countries (Hurn et al. 2003)."""
    X, y, _, _ = load("CO2data")
    return X[["GNP"]].to_numpy(), y


def tone(load):
    """Tuning of overtones, 150 trials with a musician (Cohen 1980)."""
    X, y, _, _ = load("tonedata")
    return X[["stretchratio"]].to_numpy(), y


# Maximum log-likelihoods as flexmix and mixtools report them, to the digits that they agree on.
TEXTBOOK = [(np_reg, -642.5320), (co2, -66.93977), (tone, 141.1984)]
DIGITS = 1e-3


def reference_em(X, y, resp, n_iter=20_000):
    """Mixture of regressions with constant shares: normal equations, run to convergence.

    Returns coefficients (K, d + 1), standard deviations (K,), shares (K,), log-likelihood.
    """
    design = np.column_stack([X, np.ones(len(X))])
    last = -np.inf
    for _ in range(n_iter):
        share = resp.mean(axis=0)
        beta = np.array(
            [np.linalg.lstsq(design * np.sqrt(r)[:, None], y * np.sqrt(r))[0] for r in resp.T]
        )
        residual = y[:, None] - design @ beta.T
        sigma = np.sqrt((resp * residual**2).sum(axis=0) / resp.sum(axis=0))
        joint = np.log(share) + stats.norm.logpdf(residual, scale=sigma)
        log_norm = special.logsumexp(joint, axis=1)
        resp = np.exp(joint - log_norm[:, None])
        if log_norm.sum() - last < 1e-12:
            break
        last = log_norm.sum()
    return beta, sigma, share, log_norm.sum()


@pytest.mark.parametrize("experts", [None, LinearRegression()])
@pytest.mark.parametrize(("problem", "log_likelihood"), TEXTBOOK)
def test_textbook_likelihood_and_coefficients_are_reached(
    problem, log_likelihood, experts, shared_data
):
    X, y = problem(shared_data)
    moe = MixtureOfExpertsRegressor(
        experts,
        2,
        gate=ConstantGate(),
        cv=False,
        tol=1e-11,
        max_iter=5000,
        random_state=0,
        training="em",
    ).fit(X, y)
    assert (moe.likelihood_.scale_ > moe.likelihood_.floor_ * 1.01).all()
    assert_allclose(moe.log_density(X, y).sum(), log_likelihood, rtol=0, atol=DIGITS)

    beta, sigma, share, value = reference_em(X, y, moe.responsibilities(X, y))
    assert_allclose(value, log_likelihood, rtol=0, atol=DIGITS)
    fitted = np.array([[*expert.coef_, expert.intercept_] for expert in moe.experts_])
    # EM stops at gains of 1e-11 per row, which leaves coefficients a few 1e-6 from the optimum.
    assert_allclose(fitted, beta, rtol=1e-3, atol=1e-3)
    assert_allclose(moe.likelihood_.scale_, sigma, rtol=1e-3)
    assert_allclose(moe.gate_.proportions_, share, rtol=1e-3)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("problem", "log_likelihood"), TEXTBOOK)
def test_textbook_likelihood_does_not_depend_on_the_seed(
    problem, log_likelihood, seed, shared_data
):
    X, y = problem(shared_data)
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        gate=ConstantGate(),
        cv=False,
        tol=1e-9,
        max_iter=2000,
        random_state=seed + 1,
        training="em",
    ).fit(X, y)  # 28 countries for four coefficients: "auto" would make folds
    # tol=1e-9 per row leaves some 1e-6 to gain per row where EM is slow, as on the tones.
    assert_allclose(moe.log_density(X, y).sum(), log_likelihood, rtol=0, atol=5e-3)
