"""Of more rows than are searched at once a part decides, and all rows are fitted."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.loop import DECIDING_ROWS

SLOPES = np.array([1.0, 2.0, 0.0])
OTHER = np.array([2.0, -1.0, 1.0])


def rows_of(kind, n, seed=0):
    """Rows of a number of regimes, with the errors or the curve that the kind names."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    error = 0.6 * rng.normal(size=n)
    if kind.endswith("t"):
        error = 0.6 * rng.standard_t(3, size=n)
    elif kind == "exponential":
        error = rng.exponential(size=n)
    elif kind == "spread":
        error = error * np.exp(0.7 * X[:, 0])
    elif kind == "square":
        error = error + X[:, 1] ** 2
    mean = X @ SLOPES
    if kind.startswith("two"):
        first = rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 2]))
        mean = np.where(first, mean, X @ OTHER - 1)
    return X, mean + error


@pytest.mark.parametrize(
    ("kind", "n_regimes"),
    [
        ("t", 1),
        ("two t", 2),
        *(
            pytest.param(kind, n_regimes, marks=pytest.mark.slow)
            for kind, n_regimes in [
                ("normal", 1),
                ("exponential", 1),
                ("spread", 1),
                ("square", 1),
                ("two", 2),
            ]
        ),
    ],
)
def test_regimes_are_told_from_noise_in_more_rows_than_decide(kind, n_regimes):
    X, y = rows_of(kind, 2 * DECIDING_ROWS)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert moe.plan_.training == "pooled"
    assert moe.n_regimes_ == n_regimes
    assert "decided on 10,000 of 20,000 rows, fitted to all" in moe.plan_.sentence
    if kind == "square":
        assert any("curve of x1" in each for each in moe.plan_.findings)
    else:
        slopes = np.array([expert.coef_ for expert in moe.experts_])
        for planted in [SLOPES, OTHER][:n_regimes]:  # standard errors are below .02
            assert np.abs(slopes - planted).max(axis=1).min() < 0.1


def test_one_row_more_changes_little():
    X, y = rows_of("two t", DECIDING_ROWS + 1)
    X_new, y_new = rows_of("two t", 1000, seed=1)
    few = MixtureOfExpertsRegressor(random_state=0).fit(X[:-1], y[:-1])
    more = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert few.n_regimes_ == more.n_regimes_ == 2
    assert more.score(X_new, y_new) == pytest.approx(few.score(X_new, y_new), abs=0.01)


def test_all_rows_are_fitted_whatever_their_order():
    X, y = rows_of("two", 2 * DECIDING_ROWS)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    turned = MixtureOfExpertsRegressor(random_state=0).fit(X[::-1], y[::-1])
    assert len(moe.experts_) == len(turned.experts_) == 2
    assert_allclose(turned.predict(X), moe.predict(X), atol=0.01)
    # As by EM on all rows from there, which does not shrink.
    all_rows = MixtureOfExpertsRegressor(
        LinearRegression(), n_experts=2, init=lambda X, y, *_: moe.responsibilities(X, y)
    )
    assert moe.score(X, y) == pytest.approx(all_rows.fit(X, y).score(X, y), abs=1e-4)


@pytest.mark.slow
def test_rows_of_weight_two_are_rows_given_twice():
    X, y = rows_of("two t", 3 * DECIDING_ROWS // 2)
    weight = np.where(np.arange(len(y)) % 3, 1, 2)
    weighted = MixtureOfExpertsRegressor(random_state=0).fit(X, y, sample_weight=weight)
    repeated = MixtureOfExpertsRegressor(random_state=0).fit(
        np.repeat(X, weight, axis=0), np.repeat(y, weight)
    )
    assert weighted.n_regimes_ == repeated.n_regimes_ == 2
    assert weighted.score(X, y) == pytest.approx(repeated.score(X, y), abs=0.01)


def test_copies_of_few_rows_count_as_many():
    X, y = rows_of("two t", 400)
    copies = 50
    many = MixtureOfExpertsRegressor(random_state=0).fit(
        np.repeat(X, copies, axis=0), np.repeat(y, copies)
    )
    weight = np.full(len(y), DECIDING_ROWS / len(y))
    few = MixtureOfExpertsRegressor(random_state=0).fit(X, y, sample_weight=weight)
    assert many.log_evidence_[1] == pytest.approx(few.log_evidence_[1], abs=1e-4)
    assert many.n_regimes_ == few.n_regimes_


def test_classes_of_more_rows_than_decide():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * DECIDING_ROWS, 3))
    logits = np.where(X[:, 2] > 0, 3 * X[:, 0], 3 * X[:, 1])
    y = np.where(rng.random(len(X)) < 1 / (1 + np.exp(-logits)), "yes", "no")
    moe = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    assert (moe.plan_.training, len(moe.experts_)) == ("pooled", 2)
    truth = 1 / (1 + np.exp(-logits))
    assert np.abs(moe.predict_proba(X)[:, 1] - truth).mean() < 0.05


@pytest.mark.parametrize("n_regimes", [1, 2])
def test_counts_of_more_rows_than_decide(n_regimes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * DECIDING_ROWS, 2))
    slope = np.where((X[:, 1] > 0) & (n_regimes == 2), -0.8, 0.8)
    y = rng.poisson(np.exp(1 + slope * X[:, 0]))
    moe = MixtureOfExpertsRegressor(likelihood="poisson", random_state=0).fit(X, y)
    assert (moe.plan_.training, moe.n_regimes_) == ("pooled", n_regimes)


def test_levels_that_no_deciding_row_has():
    X, y = rows_of("two", 2 * DECIDING_ROWS)
    rng = np.random.default_rng(0)
    names = np.array([f"level{k}" for k in range(40)])
    level = np.where(rng.random(len(y)) < 0.995, "common", rng.choice(names, len(y)))
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(level=level)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(table, y)
    assert moe.n_regimes_ == 2
    assert np.isfinite(moe.predict(table, quantiles=[0.1, 0.9])).all()


def test_a_warm_start_goes_on():
    X, y = rows_of("two", DECIDING_ROWS + 2000)
    moe = MixtureOfExpertsRegressor(random_state=0, warm_start=True).fit(X, y)
    before = moe.score(X, y)
    assert len(moe.fit(X, y).experts_) == 2
    assert moe.score(X, y) == pytest.approx(before, abs=1e-3)
