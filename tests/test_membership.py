"""Predictors of regimes that are kept, in three steps."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, special
from sklearn.linear_model import LinearRegression, LogisticRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference import membership_summary
from skmoe.likelihoods import RandomEffects

ODDS = np.array([-0.3, 1.0, 0.0])  # intercept and slopes of the second regime against the first
mixture = partial(
    MixtureOfExpertsRegressor, LinearRegression(), n_experts=2, gate=ConstantGate(), n_init=1
)


def rows_of_regimes(seed, n=600, noise=0.7):
    """X, y, predictors of the regimes, and these."""
    rng = np.random.default_rng(seed)
    X, Z = rng.normal(size=(n, 1)), rng.normal(size=(n, 2))
    regime = (rng.uniform(size=n) < special.expit(ODDS[0] + Z @ ODDS[1:])).astype(int)
    y = np.where(regime == 1, 1.5 + X[:, 0], -X[:, 0]) + noise * rng.normal(size=n)
    return X, y, Z, regime


def from_planted(X, y, regime, **params):
    """A mixture from the planted regimes, which have their numbers in it."""
    moe = mixture(init=lambda *given: np.eye(2)[regime], tol=1e-6, random_state=0)
    moe.fit(X, y, **params)
    sign = 1 if moe.experts_[0].intercept_ < moe.experts_[1].intercept_ else -1
    return moe, sign


@pytest.mark.slow
def test_it_is_unbiased_where_classifying_first_is_not_and_intervals_cover():
    estimates, covered, naive = [], [], []
    for seed in range(200):
        X, y, Z, regime = rows_of_regimes(seed)
        moe, sign = from_planted(X, y, regime)
        summary = membership_summary(moe, X, y, Z)
        truth = sign * ODDS
        estimates.append(sign * summary.estimate)
        covered.append((summary.lower <= truth) & (truth <= summary.upper))
        assigned = moe.responsibilities(X, y, by="expert").argmax(axis=1)
        naive.append(sign * LogisticRegression(C=np.inf).fit(Z, assigned).coef_[0])
    estimates, naive = np.array(estimates), np.array(naive)
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    # A logit of 600 rows has a bias of its own, of the order of a coefficient over the rows.
    assert (np.abs(estimates.mean(axis=0) - ODDS) < 3 * error + 0.02).all()
    assert naive[:, 0].mean() < 0.75
    assert 0.92 < np.mean(covered) < 0.98


def test_estimates_and_errors_are_those_of_the_formula():
    X, y, Z, regime = rows_of_regimes(0, n=300)
    weight = np.random.RandomState(0).randint(0, 3, size=300)
    moe, _ = from_planted(X, y, regime, sample_weight=weight)
    summary = membership_summary(moe, X, 1.0 * y, 5 + 10 * Z, weight)
    resp = moe.responsibilities(X, y, by="expert")
    assigned, design = resp.argmax(axis=1), np.column_stack([np.ones(300), 5 + 10 * Z])
    errors = np.array(
        [
            [(weight * resp[:, t])[assigned == w].sum() / (weight @ resp[:, t]) for w in (0, 1)]
            for t in (0, 1)
        ]
    )

    def of_rows(theta):
        second = special.expit(design @ theta)
        return np.log((1 - second) * errors[0, assigned] + second * errors[1, assigned])

    best = optimize.minimize(lambda theta: -weight @ of_rows(theta), summary.estimate, tol=1e-10)
    assert_allclose(summary.estimate, best.x, atol=1e-4)
    assert_allclose(summary.log_likelihood, -best.fun)
    steps = np.diag([1e-4, 1e-5, 1e-5])
    scores = np.transpose(
        [
            (of_rows(summary.estimate + s) - of_rows(summary.estimate - s)) / (2 * s.sum())
            for s in steps
        ]
    )

    def gradient(theta):
        return np.array(
            [weight @ (of_rows(theta + s) - of_rows(theta - s)) / (2 * s.sum()) for s in steps]
        )

    hessian = [
        (gradient(summary.estimate + s) - gradient(summary.estimate - s)) / (2 * s.sum())
        for s in steps
    ]
    inverse, weighted = np.linalg.inv(hessian), scores * weight[:, None]
    sandwich = inverse @ (weighted.T @ weighted) @ inverse
    assert_allclose(summary.std_error, np.sqrt(np.diag(sandwich)), rtol=1e-3)


def test_where_regimes_are_clear_it_is_a_logit_of_them():
    X, y, Z, regime = rows_of_regimes(1, noise=0.1)
    moe, sign = from_planted(X, y + 50 * regime, regime)
    frame = membership_summary(moe, X, y + 50 * regime, pd.DataFrame(Z, columns=["a", "b"]))
    frame = frame.to_frame().loc["expert1 against expert0"]
    logit = LogisticRegression(C=np.inf, tol=1e-8).fit(Z, regime)
    found = sign * frame["estimate"]
    assert_allclose(found.loc[["a", "b"]], logit.coef_[0], atol=1e-4)
    assert_allclose(found.loc["intercept"], logit.intercept_[0], atol=1e-4)


def test_subjects_are_counted_once_and_columns_of_others_are_left_out():
    rng = np.random.default_rng(0)
    subject, Z = np.repeat(np.arange(300), 5), rng.normal(size=(300, 1))
    regime = (rng.uniform(size=300) < special.expit(ODDS[0] + Z[:, 0])).astype(int)
    X, level = rng.normal(size=(1500, 1)), 0.5 * rng.normal(size=300)
    y = np.where(regime[subject] == 1, 1.5 + X[:, 0], -X[:, 0]) + level[subject]
    y += 0.7 * rng.normal(size=1500)
    moe = mixture(likelihood=RandomEffects(), random_state=0)
    moe.fit(X, y, subject=subject)
    sign = 1 if moe.experts_[0].intercept_ < 0.75 else -1
    given = np.column_stack([Z, 2 * Z])[subject]
    summary = membership_summary(moe, X, y, given, subject=subject)
    assert summary.n_subjects == 300
    assert summary.n_parameters == 2
    assert "1500 rows of 300 subjects" in str(summary)
    assert np.isnan(summary.estimate[1])
    assert (sign * summary.estimate[2] * 2 - 1) ** 2 < (3 * 2 * summary.std_error[2]) ** 2
    logit = 1 / np.sqrt(
        (np.square(Z[:, 0]) * special.expit(Z[:, 0]) * special.expit(-Z[:, 0])).sum()
    )
    assert_allclose(2 * summary.std_error[2], logit, rtol=0.25)
    with pytest.raises(ValueError, match="differ within subject 0"):
        membership_summary(moe, X, y, X, subject=subject)


def test_predictors_of_rows_of_weight_zero_do_not_matter():
    X, y, Z, regime = rows_of_regimes(0, n=200)
    moe, _ = from_planted(X, y, regime)
    weight, kept = np.where(np.arange(200) % 4 == 0, 0.0, 1.0), np.arange(200) % 4 > 0
    missing = np.where(kept[:, None], Z, np.nan)
    found = membership_summary(moe, X, y, missing, weight)
    expected = membership_summary(moe, X[kept], y[kept], Z[kept])
    assert_allclose(found.estimate, expected.estimate, rtol=1e-6)
    subject = np.arange(200) // 4
    given = np.where(kept[:, None], Z[1::4][subject], Z)
    found = membership_summary(moe, X, y, given, weight, subject=subject)
    expected = membership_summary(moe, X[kept], y[kept], given[kept], subject=subject[kept])
    assert_allclose(found.estimate, expected.estimate, rtol=1e-6)


def test_what_cannot_be_is_refused():
    X, y, Z, regime = rows_of_regimes(0, n=100)
    moe, _ = from_planted(X, y, regime)
    separating = 10.0 * moe.responsibilities(X, y, by="expert")[:, :1].round()
    for given, params, message in [
        (Z[:50], {}, "inconsistent"),
        (np.array([["a"]] * 100), {}, "predictors|could not convert"),
        (Z, {"level": 1.0}, "level"),
        (separating, {}, "separate them without an error"),
    ]:
        with pytest.raises(ValueError, match=message):
            membership_summary(moe, X, y, given, **params)
    seeing = mixture(gate=None).fit(X, y)
    with pytest.raises(ValueError, match="sees no columns"):
        membership_summary(seeing, X, y, Z)
