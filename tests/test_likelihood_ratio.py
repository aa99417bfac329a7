"""Likelihood-ratio tests: their size, their power, the numbers they are made of, refusals."""

from functools import partial

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose
from planted import planted
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.model_selection import gate_test, n_experts_test
from skmoe.model_selection._censoring import Censoring
from skmoe.model_selection._likelihood_ratio import _draw


def line(seed, n_samples=60):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 1))
    return X, X[:, 0] + rng.normal(size=n_samples)


def overlapping_lines(seed, n_samples=200, *, steep=0.0):
    truth = {"gate": [steep, 0, 0.4], "coef": [[-1, 0, -1], [2, -1, 1]], "noise": 0.6}
    return planted(n_samples, 2, random_state=seed, **truth)[:2]


mixture = partial(MixtureOfExpertsRegressor, training="em", n_init=1, random_state=0)


@pytest.mark.slow
def test_gate_test_is_chi_squared_where_proportions_are_true():
    moe = mixture(n_experts=2, init="kmeans_y")
    statistics = [gate_test(moe, *overlapping_lines(seed, 120)).statistic for seed in range(30)]
    # Of 300 tables of 300 rows, 4 % of the p-values were below 0.05, 47 % below 0.5.
    assert stats.kstest(statistics, stats.chi2(2).cdf).pvalue > 0.01
    assert 1.2 < np.mean(statistics) < 3.0


def test_gate_test_finds_a_gate():
    result = gate_test(mixture(n_experts=2), *overlapping_lines(0, steep=1.0))
    assert result.df == 2
    assert result.pvalue < 1e-4
    assert_allclose(result.pvalue, stats.chi2.sf(result.statistic, 2))


def test_gate_test_compares_the_maxima_of_both_likelihoods():
    X, y = overlapping_lines(0, steep=0.5)
    weight = np.random.default_rng(0).integers(1, 3, size=len(y))
    pipeline = make_pipeline(StandardScaler(), SoftmaxGate())
    moe = mixture(n_experts=2, gate=pipeline, n_init=4)
    result = gate_test(moe, X, y, sample_weight=weight)
    long = {"n_experts": 2, "n_init": 4, "tol": 1e-10, "max_iter": 3000}
    values = [
        weight @ mixture(gate=gate, **long).fit(X, y, sample_weight=weight).log_density(X, y)
        for gate in (SoftmaxGate(alpha=0), ConstantGate())
    ]
    assert_allclose(result.statistic, 2 * (values[0] - values[1]), rtol=1e-4, atol=1e-4)
    # The squared Wald statistic is the same for many rows.
    summary = mixture(gate=SoftmaxGate(alpha=0), **long)
    summary = summary.fit(X, y, sample_weight=weight).summary(X, y, weight)
    slopes, cov = summary.estimate[-2:], summary.cov[-2:, -2:]
    assert_allclose(slopes @ np.linalg.solve(cov, slopes), result.statistic, rtol=0.3)
    repeated = gate_test(moe, np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(repeated.statistic, result.statistic, rtol=1e-5)


def test_gate_test_of_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    odds = 4 * X[:, 1] * np.where(X[:, 0] + 0.5 * rng.logistic(size=500) > 0, 1, -1)
    label = (odds + rng.logistic(size=500) > 0).astype(int)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=2, random_state=0)
    assert gate_test(moe, X, label).pvalue < 1e-3


def test_number_of_experts_that_is_too_small_is_rejected():
    X, y = overlapping_lines(1, 100, steep=1.0)
    result = n_experts_test(mixture(), X, y, 1, n_resamples=9, random_state=0)
    assert result.pvalue == 1 / 10
    assert result.null_distribution.shape == (9,)
    assert result.statistic > 2 * result.null_distribution.max()
    fits = [mixture(n_experts=k).fit(X, y).log_density(X, y).sum() for k in (1, 2)]
    assert_allclose(result.statistic, 2 * (fits[1] - fits[0]))


@pytest.mark.slow
def test_number_of_experts_that_is_true_has_uniform_p_values():
    moe = mixture(max_iter=15, init="functions")
    pvalues = [
        n_experts_test(moe, *line(seed), 1, n_resamples=9, random_state=seed).pvalue
        for seed in range(20)
    ]
    # Multiples of a tenth: of 20, two are expected at each.
    assert 0.35 < np.mean(pvalues) < 0.75
    assert np.mean(np.array(pvalues) <= 0.2) < 0.45
    assert min(pvalues) < 0.4


def visits(seed=0, *, n_subjects=40, apart=2.0):
    """Five rows of each subject, whose regime depends on a column of the subject's."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), 5)
    age = rng.normal(size=n_subjects)
    second = (rng.logistic(size=n_subjects) < 1.5 * age)[subject]
    side = rng.choice([-1.0, 1.0], size=len(subject)) * rng.uniform(1, 2, size=len(subject))
    X = np.column_stack([side, age[subject]])
    y = np.where(second, apart, -apart) * X[:, 0] + rng.normal(size=len(subject))
    return X, y, subject


def by_age(**settings):
    only = make_column_transformer(("passthrough", [1]))
    return mixture(n_experts=2, gate=make_pipeline(only, SoftmaxGate()), n_init=3, **settings)


def test_gate_test_of_subjects_compares_their_likelihoods():
    X, y, subject = visits()
    long = {"tol": 1e-10, "max_iter": 3000}
    result = gate_test(by_age(**long), X, y, subject=subject)
    values = [
        moe.fit(X, y, subject=subject).log_density(X, y, subject=subject).sum()
        for moe in (
            by_age(**long).set_params(gate__softmaxgate__alpha=0),
            by_age(**long).set_params(gate=ConstantGate()),
        )
    ]
    assert result.df == 1
    assert_allclose(result.statistic, 2 * (values[0] - values[1]), rtol=1e-4, atol=1e-4)
    assert result.pvalue < 0.05


def test_gate_test_counts_the_rank_of_redundant_columns():
    X, y = overlapping_lines(0, steep=1.0)
    result = gate_test(mixture(n_experts=2), X, y)
    doubled = gate_test(mixture(n_experts=2), np.column_stack([X, X, np.ones(len(X))]), y)
    assert doubled.df == result.df == 2
    assert_allclose(doubled.statistic, result.statistic, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:EM stopped")
def test_tests_are_told_of_the_exposure():
    rng = np.random.default_rng(0)
    X, exposure = rng.normal(size=(150, 1)), rng.uniform(1, 20, size=150)
    y = rng.poisson(exposure * np.exp(0.3 * X[:, 0]))
    moe = mixture(likelihood="poisson", gate=ConstantGate(), max_iter=30)
    found = n_experts_test(moe, X, y, exposure=exposure, n_resamples=9, random_state=0)
    fits = [clone(moe).set_params(n_experts=k).fit(X, y, exposure=exposure) for k in (1, 2)]
    values = [each.log_density(X, y, exposure=exposure).sum() for each in fits]
    assert_allclose(found.statistic, max(0, 2 * (values[1] - values[0])), atol=1e-9)
    assert found.pvalue > 0.1  # without exposures two experts are beyond doubt
    assert n_experts_test(moe, X, y, n_resamples=9, random_state=0).pvalue == 0.1
    two = mixture(n_experts=2, likelihood="poisson")
    assert gate_test(two, X, y, exposure=exposure).statistic != gate_test(two, X, y).statistic


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_targets_of_a_subject_are_drawn_from_one_expert(kind):
    X, y, subject = visits(n_subjects=400, apart=8.0)
    if kind == "regression":
        moe = by_age()
    else:
        y = (y > 0).astype(int)
        only = make_column_transformer(("passthrough", [1]))
        moe = MixtureOfExpertsClassifier(
            n_experts=2, gate=make_pipeline(only, SoftmaxGate()), n_init=3, random_state=0
        )
    moe.fit(X, y, subject=subject)
    drawn = _draw(moe, X, np.random.RandomState(0), subject=subject)
    assert drawn.shape == y.shape
    # The sign of the slope is the expert's: nearly all rows of a subject agree on it.
    middle = 0.0 if kind == "regression" else 0.5
    up, truly_up = (((values > middle) == (X[:, 0] > 0)).reshape(400, 5) for values in (drawn, y))
    assert np.abs(up.mean(axis=1) - 0.5).mean() > 0.49
    # Five standard deviations of the share of 400 subjects.
    assert_allclose(up.mean(), truly_up.mean(), atol=0.13)


def test_experts_of_subjects_are_tested_for():
    X, y, subject = visits(apart=1.0)
    moe = mixture(gate=ConstantGate(), max_iter=20)
    assert n_experts_test(moe, X, y, 1, subject=subject, n_resamples=9).pvalue == 0.1
    assert n_experts_test(moe, X, y, 2, subject=subject, n_resamples=9, random_state=0).pvalue > 0.1


@pytest.mark.filterwarnings("ignore:EM stopped")
def test_rows_of_weight_two_are_two_rows_for_the_number_of_experts():
    X, y = overlapping_lines(0, 40)
    weight = np.random.default_rng(0).integers(0, 3, size=len(y))
    moe = mixture(gate=ConstantGate(), max_iter=5, cv=False)
    quick = {"n_resamples": 3, "random_state": 0}
    weighted = n_experts_test(moe, X, y, sample_weight=weight, **quick)
    repeated = n_experts_test(moe, np.repeat(X, weight, axis=0), np.repeat(y, weight), **quick)
    assert_allclose(weighted.statistic, repeated.statistic, rtol=1e-9)
    assert_allclose(weighted.null_distribution, repeated.null_distribution, rtol=1e-9)
    halves = n_experts_test(moe, X, y, sample_weight=weight + 0.5, **quick)
    fits = [
        clone(moe).set_params(n_experts=k).fit(X, y, sample_weight=weight + 0.5) for k in (1, 2)
    ]
    values = [(weight + 0.5) @ each.log_density(X, y) for each in fits]
    assert_allclose(halves.statistic, 2 * (values[1] - values[0]))


@pytest.mark.filterwarnings("ignore:EM stopped")
@pytest.mark.parametrize("side", [1, -1])
def test_number_of_experts_of_censored_targets(side):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 1))
    moe = mixture(gate=ConstantGate(), max_iter=20)
    for n_regimes in (1, 2):
        slope = np.where(rng.uniform(size=150) < 0.5, 4.0, -4.0) if n_regimes == 2 else 1.0
        y = slope * X[:, 0] + 0.3 * rng.normal(size=150)
        limit = rng.normal(1.0, 1.0, size=150)
        bounds = np.minimum(y, limit), np.where(y > limit, np.inf, y)
        lower, upper = bounds if side == 1 else (-bounds[1], -bounds[0])
        given = {"upper": upper, "n_resamples": 9, "random_state": 0}
        found = n_experts_test(moe, X, lower, 1, **given)
        fits = [clone(moe).set_params(n_experts=k).fit(X, lower, upper=upper) for k in (1, 2)]
        values = [each.log_density(X, lower, upper=upper).sum() for each in fits]
        assert_allclose(found.statistic, max(0, 2 * (values[1] - values[0])), atol=1e-9)
        assert (found.pvalue == 0.1) == (n_regimes == 2)


def test_drawn_targets_are_censored_as_those_of_fit():
    rng = np.random.default_rng(0)
    n = 4000
    y, limit = rng.exponential(size=n), rng.exponential(2.0, size=n)
    lower, upper = np.minimum(y, limit), np.where(y > limit, np.inf, y)
    for sign in (1, -1):
        bounds = (lower, upper) if sign == 1 else (-upper, -lower)
        censoring = Censoring(*bounds, np.ones(n))
        low, high = censoring(sign * rng.exponential(size=n), np.random.RandomState(0))
        nearest = sign * (low if sign == 1 else high)  # the target, or its limit
        is_censored = low < high
        assert is_censored.mean() == pytest.approx(1 / 3, abs=0.04)  # five standard errors
        assert stats.kstest(nearest[is_censored], stats.expon(scale=2 / 3).cdf).pvalue > 1e-3
        was_censored = np.isinf(upper)
        assert (nearest[was_censored] <= lower[was_censored]).all()


def test_targets_with_one_limit_are_drawn_with_that():
    y = np.random.default_rng(0).normal(size=200)
    low, high = (
        np.where(y < 0, -np.inf, np.minimum(y, 2)),
        np.where(y > 2, np.inf, np.maximum(y, 0)),
    )
    drawn = np.random.default_rng(1).normal(size=200)
    lower, upper = Censoring(low, high, np.ones(200))(drawn, np.random.RandomState(0))
    np.testing.assert_array_equal(lower, np.where(drawn < 0, -np.inf, np.minimum(drawn, 2)))
    np.testing.assert_array_equal(upper, np.where(drawn > 2, np.inf, np.maximum(drawn, 0)))
    with pytest.raises(ValueError, match="not in intervals"):
        Censoring(np.zeros(2), np.array([0.0, 1.0]), np.ones(2))


def test_gate_test_has_as_many_experts_as_the_mixture():
    X, y = overlapping_lines(0, steep=1.0)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)  # pooled, and their number found
    assert len(moe.experts_) == 2
    result = gate_test(moe, X, y)
    assert result.df == 2
    assert_allclose(
        result.statistic,
        gate_test(MixtureOfExpertsRegressor(n_experts=2, random_state=0), X, y).statistic,
    )


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_gate_test_says_what_it_fitted_where_that_has_no_maximum():
    X, y = overlapping_lines(0)
    exact = np.where(X[:, 0] > 0, X[:, 1], y)
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0)
    message = r"fitted the mixture anew.*n_experts=2, training='em', cv=False.*at its floor"
    with pytest.raises(ValueError, match=message):
        gate_test(moe, X, exact)


def test_tests_with_class_weights_are_refused():
    X, y = overlapping_lines(0)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=1, class_weight="balanced", random_state=0)
    for test in (gate_test, n_experts_test):
        with pytest.raises(ValueError, match="With class_weight"):
            test(moe, X, y > 0)


def test_result_does_not_depend_on_jobs():
    X, y = line(0, 40)
    moe = mixture(max_iter=5)
    one = n_experts_test(moe, X, y, n_resamples=4, random_state=0)
    with parallel_config("threading"):
        two = n_experts_test(moe, X, y, n_resamples=4, random_state=0, n_jobs=2)
    assert_allclose(one.null_distribution, two.null_distribution, rtol=0)
    assert "null_distribution" not in repr(one)
    assert not hasattr(moe, "experts_")


@pytest.mark.parametrize(
    ("test", "given", "error", "message"),
    [
        (gate_test, {"estimator": LinearRegression()}, TypeError, "got LinearRegression"),
        (n_experts_test, {"estimator": LinearRegression()}, TypeError, "got LinearRegression"),
        (
            n_experts_test,
            {"estimator": mixture(experts=[("line", LinearRegression())])},
            TypeError,
            "experts in a list",
        ),
        (n_experts_test, {"n_experts": 0}, ValueError, "got 0 and 99"),
        (
            n_experts_test,
            {"estimator": mixture(experts=DecisionTreeRegressor(max_depth=1), cv=2)},
            ValueError,
            "cannot be counted",
        ),
        (gate_test, {"estimator": mixture(gate=ConstantGate())}, ValueError, "is ConstantGate"),
        (gate_test, {"estimator": mixture(gate=GaussianGate())}, ValueError, "is GaussianGate"),
        (gate_test, {"estimator": mixture(n_experts=1)}, ValueError, "two at least"),
        (
            gate_test,
            {"estimator": mixture(experts=DecisionTreeRegressor(max_depth=1), cv=2, n_experts=2)},
            ValueError,
            "linear or logistic",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(test, given, error, message):
    X, y = line(0, 40)
    given = {"estimator": mixture(n_experts=2), "X": X, "y": y, **given}
    with pytest.raises(error, match=message):
        test(**given)
