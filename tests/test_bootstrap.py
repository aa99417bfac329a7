"""Bootstrap: standard errors of formulas, experts in one order, groups, jobs, refusals."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference import _bootstrap, bootstrap


def equal_halves(n_samples=200, seed=0):
    """Two lines of equal loads, so that their order by load is a matter of luck."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n_samples, 1))
    up = rng.uniform(size=n_samples) < 0.5
    return X, np.where(up, 2 * X[:, 0], 3 - X[:, 0]) + 0.5 * rng.normal(size=n_samples)


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, training="em", n_init=3, random_state=0)


def test_standard_errors_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1))
    y = 2 * X[:, 0] + np.abs(X[:, 0]) * rng.normal(size=100)
    moe = mixture(experts=LinearRegression(), n_experts=1, n_init=1).fit(X, y)
    result = bootstrap(moe, X, y, n_resamples=100, random_state=0)
    # White's sandwich, without the assumption of equal errors.
    expected = moe.summary(X, y, cov="sandwich").std_error[:2]
    # 100 resamples know a standard error to 7 %.
    assert_allclose(result.standard_error[:2], expected, rtol=0.25)
    low, high = result.confidence_interval
    assert (low < result.estimate).all()
    assert (result.estimate < high).all()
    assert_allclose((high - low)[:2], 3.92 * expected, rtol=0.3)


def test_standard_errors_of_a_mixture_agree_with_the_information():
    X, y = equal_halves()
    moe = mixture(gate=ConstantGate()).fit(X, y)
    result = bootstrap(moe, X, y, n_resamples=100, random_state=0)
    expected = moe.summary(X, y).std_error
    # 100 resamples know a standard error to 7 %; the experts overlap, which adds curvature.
    assert_allclose(result.standard_error, expected, rtol=0.3)


def test_experts_of_resamples_are_in_the_order_of_the_mixture(monkeypatch):
    X, y = equal_halves()
    moe = mixture(gate=ConstantGate()).fit(X, y)
    slopes = [1, 4]
    settings = {"n_resamples": 20, "random_state": 0}
    draws = bootstrap(moe, X, y, **settings).bootstrap_distribution[slopes]
    assert np.abs(draws - moe.summary(X, y).estimate[slopes, None]).max() < 0.3
    # Without matching, the order by load does flip.
    monkeypatch.setattr("skmoe.inference._bootstrap.match", lambda mixture, shared: None)
    draws = bootstrap(moe, X, y, **settings).bootstrap_distribution[slopes]
    assert 0 < (draws[0] > 0.5).sum() < 20


def test_groups_are_drawn_together():
    X, y = equal_halves(60)
    X, y, groups = (np.repeat(each, 4, axis=0) for each in (X, y, [f"p{i}" for i in range(60)]))
    moe = mixture(experts=LinearRegression(), n_experts=1).fit(X, y)
    settings = {"n_resamples": 50, "random_state": 0}
    alone = bootstrap(moe, X, y, **settings).standard_error[:2]
    together = bootstrap(moe, X, y, groups=groups, **settings).standard_error[:2]
    assert_allclose(together / alone, 2, rtol=0.35)  # four copies know no more than one


def test_subjects_are_drawn_whole_and_twice_as_two():
    rng = np.random.default_rng(0)
    subject = np.repeat([f"p{i}" for i in range(40)], 4)
    up = np.repeat(rng.uniform(size=40) < 0.5, 4)
    X = rng.normal(size=(160, 1))
    y = np.where(up, 3 + X[:, 0], -2 * X[:, 0]) + 0.3 * rng.normal(size=160)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(), n_init=2, random_state=0, training="em"
    )
    moe.fit(X, y, subject=subject)
    result = bootstrap(moe, X, y, subject=subject, n_resamples=60, random_state=0)
    # 60 resamples know a standard error to 9 %.
    expected = moe.summary(X, y, subject=subject, cov="sandwich").std_error
    assert_allclose(result.standard_error, expected, rtol=0.4)
    assert_allclose(result.standard_error[6], 2 / np.sqrt(40), rtol=0.35)  # of 40, not of 160
    with pytest.raises(ValueError, match="not both"):
        bootstrap(moe, X, y, subject=subject, groups=subject)
    tree = mixture(experts=DecisionTreeRegressor(max_depth=1), cv=2, n_init=1).fit(X, y)
    with pytest.raises(ValueError, match="both sides of a fold"):
        bootstrap(tree, X, y, subject=subject, statistic=lambda m: m.predict(X[:1]))


def test_exposures_go_with_their_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 1))
    exposure = rng.uniform(1, 20, size=150)
    y = rng.poisson(exposure * np.exp(0.5 + 0.3 * X[:, 0]))
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="poisson", training="em")
    moe.fit(X, y, exposure=exposure)
    result = bootstrap(
        moe, X, y, exposure=exposure, n_resamples=50, random_state=0,
        statistic=lambda m: [m.experts_[0].intercept_, m.experts_[0].coef_[0]],
    )  # fmt: skip
    design = np.column_stack([np.ones(150), X])
    mean = exposure * np.exp(design @ result.estimate)
    expected = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * mean[:, None]))))
    assert_allclose(result.standard_error, expected, rtol=0.4)
    assert_allclose(result.estimate, [0.5, 0.3], atol=0.1)


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_levels_that_resamples_lack_have_no_intervals_and_others_have_theirs(training, monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.uniform(-3, 3, 100), "kind": rng.choice(["a", "b"], 100)})
    table.loc[0, "kind"] = "c"
    y = 2 * table["x"] + 3.0 * (table["kind"] == "a") + 0.2 * rng.normal(size=100)
    moe = MixtureOfExpertsRegressor(n_experts=1, training=training, random_state=0).fit(table, y)
    result = bootstrap(moe, table, y, n_resamples=10, random_state=0)
    draws = dict(zip(result.names[1], result.bootstrap_distribution, strict=True))
    lacks = np.isnan(draws["kind=c"])
    assert 0 < lacks.sum() < 10
    assert np.isnan(result.standard_error[result.names[1].index("kind=c")])
    assert_allclose(draws["x"], 2.0, atol=0.1)
    assert_allclose(draws["kind=a"], 3.0, atol=0.4)  # against b, also where c is not there
    assert "n/a: kind=c, of which some resamples have no rows" in str(result)
    monkeypatch.setattr(_bootstrap, "bootstrap", lambda *rows, **given: result)  # of 200
    assert "n/a: kind=c" in str(moe.summary(table, y, cov="bootstrap"))
    effects = moe.marginal_effects(table, y, cov="bootstrap")
    error = dict(zip(effects.columns, effects.std_error, strict=True))
    assert np.isnan(error.pop("kind: c against b"))
    assert np.isfinite(list(error.values())).all()


def test_any_mixture_has_a_bootstrap_of_a_statistic():
    X, y = equal_halves(80)
    weight = np.arange(80) % 2
    moe = mixture(experts=DecisionTreeRegressor(max_depth=2), cv=2, n_init=1).fit(X, y)
    at = [[-1.0], [1.0]]
    result = bootstrap(
        moe, X, y, sample_weight=weight, statistic=lambda m: m.predict(at), n_resamples=4,
        random_state=0,
    )  # fmt: skip
    assert result.bootstrap_distribution.shape == (2, 4)
    assert_allclose(result.estimate, moe.predict(at))
    assert (result.standard_error > 0).all()
    other = bootstrap(
        moe, X, np.where(weight > 0, y, 1e3), sample_weight=weight,
        statistic=lambda m: m.predict(at), n_resamples=4, random_state=0,
    )  # fmt: skip
    assert_allclose(result.bootstrap_distribution, other.bootstrap_distribution)
    with pytest.raises(ValueError, match="statistic=..."):
        bootstrap(moe, X, y)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_resamples": 1}, ValueError, "at least 2; got 1"),
        ({"confidence_level": 95}, ValueError, "got 95"),
        ({"estimator": LinearRegression()}, TypeError, "got LinearRegression"),
    ],
)
def test_what_cannot_be_resampled_is_refused(given, error, message):
    X, y = equal_halves(50)
    given = {"estimator": mixture(n_experts=1).fit(X, y), "X": X, "y": y, **given}
    with pytest.raises(error, match=message):
        bootstrap(**given)


def test_a_class_that_resamples_lose_is_named_as_the_cause():
    X = np.arange(20.0)[:, None]
    label = (X[:, 0] > 9).astype(int)
    moe = MixtureOfExpertsClassifier(n_experts=1, training="em").fit(X, label)
    with pytest.raises(ValueError, match="lack a class"):
        bootstrap(moe, X, label, groups=np.zeros(20), sample_weight=label, n_resamples=2)
