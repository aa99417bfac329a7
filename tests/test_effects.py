"""Average marginal effects: textbook formulas, derivatives of predictions, levels, coverage."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from mixtures import regressor_of
from numpy.testing import assert_allclose
from scipy import sparse, special
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, exceptions
from skmoe._families.counts import BinomialFamily, NegativeBinomialFamily, PoissonFamily
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.inference import bootstrap
from skmoe.inference._error_terms import (
    FamilyTerms,
    GaussianTerms,
    SoftmaxTerms,
    StudentTTerms,
)
from skmoe.likelihoods import Gaussian, LogNormal, RandomEffects, StudentT

LINES = np.array([[0.0, 0.6, -0.4], [1.5, -0.5, 0.5]])  # intercept and slopes, by regime
GATE = np.array([-0.3, 1.5, 0.8])  # log-odds of the second regime


def two_regimes(seed=0, n=300):
    """Columns, predictors of the rows in their regimes, and a generator."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    design = np.column_stack([np.ones(n), X])
    regime = (rng.uniform(size=n) < special.expit(design @ GATE)).astype(int)
    return X, np.einsum("ij,ij->i", design, LINES[regime]), rng


mixture = partial(
    regressor_of,
    gate=SoftmaxGate(alpha=0),
    training="em",
    n_init=2,
    max_iter=5000,
    tol=1e-9,
    random_state=0,
)


def counts(likelihood, **settings):
    experts = PoissonRegressor(alpha=0) if likelihood == "poisson" else None
    return mixture(likelihood, experts=experts, **settings)


# Means --------------------------------------------------------------------------------------------

TERMS = {
    "gaussian": (GaussianTerms, 2),
    "student_t": (StudentTTerms, 1),
    "log_normal": (LogNormal().terms(), 2),
    "censored": (LogNormal().censored_terms(), 1),
    "poisson": (FamilyTerms.of(PoissonFamily()), 1),
    "negative_binomial": (FamilyTerms.of(NegativeBinomialFamily()), 1),
    "binomial": (FamilyTerms.of(BinomialFamily()), 1),
    "classes": (SoftmaxTerms, 2),
}


@pytest.mark.parametrize("kind", TERMS)
def test_slopes_of_means_are_derivatives(kind):
    terms, n_predictors = TERMS[kind]
    rng, h = np.random.default_rng(0), 1e-6
    predictors = rng.normal(size=(7, n_predictors))
    beside = -rng.uniform(0.2, 1, size=(len(terms.beside()), n_predictors))
    by_predictors, *by_beside = terms.slopes_of_mean(predictors, beside)
    assert len(by_beside) == len(beside)
    for m, step in enumerate(h * np.eye(n_predictors)):
        ends = [terms.mean_of(predictors + sign * step, beside) for sign in (1, -1)]
        assert_allclose(by_predictors[:, :, m], (ends[0] - ends[1]) / (2 * h), atol=1e-8)
        for row, slopes in enumerate(by_beside):
            moved = np.zeros_like(beside)
            moved[row] = step
            ends = [terms.mean_of(predictors, beside + sign * moved) for sign in (1, -1)]
            assert_allclose(slopes[:, :, m], (ends[0] - ends[1]) / (2 * h), atol=1e-8)


# One expert ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["poisson", "logistic"])
def test_effects_of_one_generalised_linear_model_are_those_of_the_textbook(kind):
    # With mu = h(eta) the effect of column j is mean(h') b_j; its gradient by the coefficients is
    # mean(h'' x) b_j + mean(h') e_j, and their covariance (X' W X)^-1.
    X, _, rng = two_regimes()
    weight = rng.uniform(0.5, 2, size=len(X))
    eta = 0.3 + X @ [0.5, -0.8]
    if kind == "poisson":
        y = rng.poisson(np.exp(eta))
        moe = counts("poisson", n_experts=1)
    else:
        y = rng.uniform(size=len(X)) < special.expit(eta)
        experts = LogisticRegression(C=1e8, tol=1e-10)
        moe = MixtureOfExpertsClassifier(n_experts=1, experts=experts, training="em")
    moe.fit(X, y, sample_weight=weight)
    design = np.column_stack([np.ones(len(X)), X])
    coef = moe.summary(X, y, weight).estimate
    mean = np.exp(design @ coef) if kind == "poisson" else special.expit(design @ coef)
    slope = mean if kind == "poisson" else mean * (1 - mean)
    bend = mean if kind == "poisson" else slope * (1 - 2 * mean)
    covariance = np.linalg.inv((design.T * (weight * slope)) @ design)
    share = weight / weight.sum()
    jacobian = np.outer(coef[1:], (share * bend) @ design) + (share @ slope) * np.eye(3)[1:]
    effects = moe.marginal_effects(X, y, weight)
    expected = (share @ slope) * coef[1:]
    std_error = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    if kind == "logistic":
        names = ["probability of False", "probability of True"]
        assert effects.quantities == list(np.repeat(names, 2))
        expected, std_error = np.append(-expected, expected), np.tile(std_error, 2)
    assert_allclose(effects.effect, expected, rtol=1e-6)
    assert_allclose(effects.std_error, std_error, rtol=1e-5)


# Two regimes, every likelihood --------------------------------------------------------------------


def log_normal_mean(eta, log_scale, *_):
    return np.exp(eta + np.exp(2 * log_scale) / 2)


CASES = {  # likelihood, target of predictors, mean of predictors and what is beside them
    "gaussian": ("gaussian", lambda eta, rng: eta + 0.3 * rng.normal(size=len(eta)), None),
    "one_scale": (Gaussian("shared"), lambda eta, rng: eta + 0.3 * rng.normal(size=len(eta)), None),
    "student_t": (StudentT(), lambda eta, rng: eta + 0.2 * rng.standard_t(4, len(eta)), None),
    "log_normal": (
        "log_normal",
        lambda eta, rng: np.exp(eta + 0.3 * rng.normal(size=len(eta))),
        log_normal_mean,
    ),
    "poisson": ("poisson", lambda eta, rng: rng.poisson(np.exp(1 + eta)), np.exp),
    "negative_binomial": (
        "negative_binomial",
        lambda eta, rng: rng.poisson(np.exp(2 + 1.3 * eta) * rng.gamma(9, 1 / 9, len(eta))),
        lambda eta, _: np.exp(eta),
    ),
    "gamma": (
        "gamma",
        lambda eta, rng: np.exp(eta) * rng.gamma(9, 1 / 9, len(eta)),
        lambda eta, _: np.exp(eta),
    ),
}


def averages(parameters, n_beside, mean_of, X, exposure):
    """Means, gate and means within, from the parameters of a summary: an independent version."""
    design = np.column_stack([np.ones(len(X)), X])
    size = 3 + n_beside
    parts = [parameters[:size], parameters[size : 2 * size]]
    mean_of = (lambda eta, *_: eta) if mean_of is None else mean_of
    means = np.column_stack([mean_of(design @ part[:3], *part[3:]) for part in parts])
    means = means * exposure[:, None]
    second = special.expit(design @ parameters[2 * size :])
    proba = np.column_stack([1 - second, second])
    everything = np.column_stack([(proba * means).sum(axis=1), proba, means])
    return everything.mean(axis=0)


@pytest.mark.parametrize("case", CASES)
def test_effects_and_their_errors_are_those_of_the_mean_by_the_parameters(case):
    likelihood, target, mean_of = CASES[case]
    X, eta, rng = two_regimes(n=400)
    y, has_exposure = target(eta, rng), case == "poisson"
    exposure = rng.uniform(0.5, 3, size=len(y)) if has_exposure else np.ones(len(y))
    given = {"exposure": exposure} if has_exposure else {}
    moe = mixture(likelihood, n_init=1, tol=1e-4).fit(X, y, **given)
    effects, summary = moe.marginal_effects(X, y, **given), moe.summary(X, y, **given)
    n_beside = (len(summary.estimate) - 3) // 2 - 3

    def by_differences(parameters, h=1e-4):
        ends = [
            averages(parameters, n_beside, mean_of, X + sign * h * np.eye(2)[j], exposure)
            for j in range(2)
            for sign in (1, -1)
        ]
        return np.column_stack([ends[0] - ends[1], ends[2] - ends[3]]).ravel() / (2 * h)

    steps = 1e-4 * np.maximum(summary.std_error, 1e-3)
    jacobian = [
        (by_differences(summary.estimate + step) - by_differences(summary.estimate - step))
        for step in np.diag(steps)
    ]
    jacobian = np.transpose(jacobian) / (2 * steps)
    covariance = jacobian @ summary.cov @ jacobian.T
    # Differences of differences, with steps of 1e-4, leave some 1e-6.
    assert_allclose(effects.effect, by_differences(summary.estimate), rtol=1e-5, atol=1e-6)
    assert_allclose(effects.std_error, np.sqrt(np.diag(covariance)), rtol=1e-3, atol=1e-5)
    assert_allclose(effects.cov, covariance, rtol=1e-3, atol=1e-3 * covariance.max())


def by_predictions(predict, X, h=1e-4):
    """Average derivatives of predictions by the columns of X, columns first."""
    steps = h * np.eye(X.shape[1])
    ends = [predict(X + step) - predict(X - step) for step in steps]
    return np.stack([end.mean(axis=0) for end in ends]) / (2 * h)


def effects_of(effects, quantity):
    return effects.to_frame().loc[quantity, "effect"].to_numpy()


def test_effects_are_average_derivatives_of_predictions():
    X, eta, rng = two_regimes()
    y = eta + 0.3 * rng.normal(size=len(eta))
    moe = mixture().fit(X, y)
    effects = moe.marginal_effects(X, y)
    within, gate = by_predictions(moe.predict_experts, X), by_predictions(moe.gate_proba, X)
    # The fit is within some 1e-5 of the maximum.
    assert_allclose(effects_of(effects, "mean"), by_predictions(moe.predict, X), atol=1e-4)
    for k in range(2):
        assert_allclose(effects_of(effects, f"expert{k}: mean"), within[:, k], atol=1e-4)
        name = f"gate: probability of expert{k}"
        assert_allclose(effects_of(effects, name), gate[:, k], atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_effects_on_classes_are_those_of_their_probabilities_and_sum_to_zero(n_classes):
    X, eta, rng = two_regimes(n=600)
    y = np.digitize(3 * eta + rng.logistic(size=len(eta)), [0, 2][: n_classes - 1])
    experts = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000)
    moe = MixtureOfExpertsClassifier(
        n_experts=2, training="em", experts=experts, gate=SoftmaxGate(alpha=0.1), random_state=0,
        n_init=2, tol=1e-7, max_iter=5000,
    ).fit(X, y)  # fmt: skip
    effects = moe.marginal_effects(X, y)
    classes = np.stack([effects_of(effects, f"probability of {c}") for c in range(n_classes)], 1)
    # The gate has a small penalty.
    assert_allclose(classes, by_predictions(moe.predict_proba, X), atol=5e-3)
    assert_allclose(classes.sum(axis=1), 0, atol=1e-9)
    within = [effects_of(effects, f"expert1: probability of {c}") for c in range(n_classes)]
    assert_allclose(np.sum(within, axis=0), 0, atol=1e-9)


# Levels -------------------------------------------------------------------------------------------


def people(seed=0, n=300):
    """A table of numbers, strings and booleans with gaps, and a target of two regimes."""
    X, eta, rng = two_regimes(seed, n)
    kind = rng.choice(["low", "mid", "top"], size=n, p=[0.2, 0.5, 0.3])
    table = pd.DataFrame({"x": X[:, 0], "kind": kind, "owner": X[:, 1] > 0.3})
    y = eta + (kind == "top") + 0.3 * rng.normal(size=n)
    table.loc[:5, "x"], table.loc[3:8, "kind"] = np.nan, None
    return table, y


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_effects_of_levels_are_differences_of_predictions(training):
    table, y = people(n=200)
    weight = np.random.default_rng(0).integers(1, 3, size=len(y))
    encoder = make_column_transformer(
        (SimpleImputer(), ["x"]), (OneHotEncoder(drop="first"), ["kind", "owner"])
    )
    gate = make_pipeline(encoder, SoftmaxGate(alpha=0)) if training == "em" else None
    moe = MixtureOfExpertsRegressor(
        n_experts=2, training=training, gate=gate, n_init=2, random_state=0, tol=1e-8, max_iter=5000
    ).fit(table, y, sample_weight=weight)
    effects = moe.marginal_effects(table, y, weight)
    for predict, quantity in (
        (moe.predict, "mean"),
        (lambda X: moe.predict_experts(X)[:, 0], "expert0: mean"),
        (lambda X: moe.gate_proba(X)[:, 1], "gate: probability of expert1"),
    ):
        found = effects.to_frame().loc[quantity, "effect"]
        for column, level, reference in (("kind", "top", "mid"), ("owner", True, False)):
            after, before = table.assign(**{column: level}), table.assign(**{column: reference})
            change = np.average(predict(after) - predict(before), weights=weight)
            assert_allclose(found[f"{column}: {level} against {reference}"], change, atol=1e-4)
        ends = [predict(table.assign(x=table["x"] + step))[6:] for step in (1e-4, -1e-4)]
        slope = np.average(ends[0] - ends[1], weights=weight[6:]) / 2e-4
        assert_allclose(found["x"], slope, atol=1e-4)
    assert len(effects.effect) == 5 * 5


# What columns and rows may be ---------------------------------------------------------------------


def test_effects_go_through_what_transformers_make_of_a_column():
    X, _, rng = two_regimes()
    y = X[:, 0] + 2 * X[:, 0] ** 2 - X[:, 0] * X[:, 1] + rng.normal(size=len(X))
    experts = make_pipeline(PolynomialFeatures(include_bias=False), LinearRegression())
    moe = mixture(n_experts=1, experts=experts).fit(X, y)
    effects, summary = moe.marginal_effects(X, y), moe.summary(X, y)
    # The derivative by x0 of b . (x0, x1, x0^2, x0 x1, x1^2), averaged.
    slope = np.array([0, 1, 0, 2 * X[:, 0].mean(), X[:, 1].mean(), 0, 0])
    assert_allclose(effects.effect[0], slope @ summary.estimate, rtol=1e-7)
    assert_allclose(effects.std_error[0], np.sqrt(slope @ summary.cov @ slope), rtol=1e-6)


def test_columns_that_are_not_seen_or_seen_in_steps_are_left_out_and_named():
    X, y, rng = two_regimes()
    y = y + rng.normal(size=len(y))
    table = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "unseen": y})
    bins = KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf")
    encoder = make_column_transformer(("passthrough", ["a"]), (bins, ["b"]))
    experts = make_pipeline(encoder, LinearRegression())
    effects = mixture(n_experts=1, experts=experts).fit(table, y).marginal_effects(table, y)
    assert effects.columns == ["a"]
    assert effects.notes[0].startswith("left out: ['b', 'unseen']")


def test_what_a_quantity_does_not_depend_on_has_no_line():
    X, y, rng = two_regimes()
    y = y + 0.3 * rng.normal(size=len(y))
    proportions = mixture(gate=ConstantGate(), n_init=1, tol=1e-5).fit(X, y)
    effects = proportions.marginal_effects(X, y)
    assert set(effects.quantities) == {"mean", "expert0: mean", "expert1: mean"}
    only_first = make_column_transformer(("passthrough", [0]))
    gate = make_pipeline(only_first, SoftmaxGate(alpha=0))
    effects = mixture(gate=gate, n_init=1, tol=1e-5).fit(X, y).marginal_effects(X, y)
    frame = effects.to_frame()
    assert list(frame.loc["gate: probability of expert0"].index) == ["x0"]
    assert list(frame.loc["expert0: mean"].index) == ["x0", "x1"]


def test_effects_of_columns_that_others_make_up_are_not_known():
    X, _, rng = two_regimes()
    city = rng.choice(["Lyon", "Nice", "Rome"], size=len(X), p=[0.3, 0.5, 0.2])
    country = np.where(city == "Rome", "Italy", "France")
    table = pd.DataFrame({"x": X[:, 0], "twice": 2 * X[:, 0], "city": city, "country": country})
    y = X[:, 0] + (city == "Rome") + rng.normal(size=len(X))
    effects = mixture(n_experts=1).fit(table, y).marginal_effects(table, y)
    known = dict(zip(effects.columns, np.isfinite(effects.effect), strict=True))
    assert known == {
        "x": False,
        "twice": False,
        "city: Lyon against Nice": True,
        "city: Rome against Nice": False,
        "country: Italy against France": False,
    }
    assert "n/a" in str(effects)
    assert np.isfinite(effects.std_error).sum() == 1


def test_weight_two_is_a_row_given_twice_and_units_go_through():
    X, y, rng = two_regimes()
    y = y + 0.3 * rng.normal(size=len(y))
    weight = rng.integers(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    moe = mixture(n_init=1).fit(X, y, sample_weight=weight)
    effects = moe.marginal_effects(X, y, weight)
    repeated = moe.marginal_effects(X[rows], y[rows])
    assert_allclose(effects.effect, repeated.effect, rtol=1e-6, atol=1e-9)
    assert_allclose(effects.cov, repeated.cov, rtol=1e-6, atol=1e-12)
    assert effects.n_rows == weight.sum()
    far = X * [1e3, 1e-3] + [1e6, 5.0]
    other = mixture(n_init=1).fit(far, 10 * y, sample_weight=weight)
    other = other.marginal_effects(far, 10 * y, weight)
    unit = np.tile([1e3, 1e-3], 5)
    unit[[0, 1, 6, 7, 8, 9]] /= 10
    order = np.arange(10)
    if abs(other.effect[2] * unit[2] - effects.effect[2]) > 0.01:  # the numbers are arbitrary
        order = [0, 1, 4, 5, 2, 3, 8, 9, 6, 7]
    assert_allclose((other.effect * unit)[order], effects.effect, rtol=1e-4, atol=1e-5)
    assert_allclose((other.std_error * unit)[order], effects.std_error, rtol=1e-4)


def test_subjects_have_effects():
    X, _, rng = two_regimes(n=400)
    subject = np.repeat(np.arange(100), 4)
    of_subject = X[::4][subject]
    line = np.where((of_subject[:, 0] > 0) == (rng.uniform(size=100) < 0.9)[subject], 1.0, -1.0)
    y = line * (2 + X[:, 1]) + 0.4 * rng.normal(size=100)[subject] + 0.5 * rng.normal(size=400)
    X = np.column_stack([of_subject[:, 0], X[:, 1]])
    gate = make_pipeline(make_column_transformer(("passthrough", [0])), SoftmaxGate(alpha=0))
    moe = mixture(RandomEffects(), gate=gate, n_init=1, tol=1e-7).fit(X, y, subject=subject)
    effects = moe.marginal_effects(X, y, subject=subject)
    assert_allclose(effects_of(effects, "mean"), by_predictions(moe.predict, X), atol=1e-2)


# Pooled experts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "classes", "poisson"])
def test_pooled_effects_of_levels_are_those_of_maximum_likelihood(kind):
    table, y = people(n=2000)
    eta = (table["x"].fillna(0) + (table["kind"] == "top") - table["owner"]).to_numpy()
    rng = np.random.default_rng(1)
    given, kinds = {}, {"classes": MixtureOfExpertsClassifier}
    if kind == "classes":
        y = rng.uniform(size=2000) < special.expit(eta)
    elif kind == "poisson":
        y, given = rng.poisson(np.exp(1 + eta)), {"likelihood": "poisson"}
    else:
        y = eta + rng.normal(size=2000)
    moe = kinds.get(kind, MixtureOfExpertsRegressor)(n_experts=1, **given)
    pooled = moe.fit(table, y).marginal_effects(table, y)
    by_likelihood = moe.set_params(training="em").fit(table, y).marginal_effects(table, y)
    assert pooled.columns == by_likelihood.columns
    is_rare = np.array(["missing" in name for name in pooled.columns])  # the prior counts there
    assert is_rare.any()
    apart = np.abs(pooled.effect - by_likelihood.effect) / by_likelihood.std_error.max()
    assert apart[~is_rare].max() < 0.1
    assert apart[is_rare].max() < 0.2
    assert_allclose(pooled.std_error, by_likelihood.std_error, rtol=0.05)


@pytest.mark.parametrize("cov", ["sandwich", "bootstrap"])
@pytest.mark.parametrize("training", ["em", "pooled"])
def test_effects_of_one_line_have_the_errors_of_the_summary(training, cov, monkeypatch):
    few = partial(bootstrap, n_resamples=2)
    monkeypatch.setattr("skmoe.inference._bootstrap.bootstrap", few)
    table, _ = people(n=100)
    table = table.fillna({"x": 0.0, "kind": "mid"})
    rng = np.random.default_rng(1)
    y = table["x"] + 2 * (table["kind"] == "top") + (1 + table["owner"]) * rng.normal(size=100)
    moe = MixtureOfExpertsRegressor(n_experts=1, training=training, random_state=0).fit(table, y)
    effects, summary = (each(table, y, cov=cov) for each in (moe.marginal_effects, moe.summary))
    terms = [term.removesuffix(" (reference)") for term in summary.terms]
    contrasts = np.zeros((4, len(terms)))
    for row, (after, before) in enumerate(
        [("x", None), ("kind=low", "kind=mid"), ("kind=top", "kind=mid"), ("owner", None)]
    ):
        contrasts[row, terms.index(after)] = 1
        if before is not None:
            contrasts[row, terms.index(before)] = -1
    expected = contrasts @ np.nan_to_num(summary.cov) @ contrasts.T
    assert_allclose(effects.effect, contrasts @ np.nan_to_num(summary.estimate), atol=1e-9)
    assert_allclose(effects.cov, expected, rtol=1e-6, atol=1e-9)
    assert effects.kind == cov


def test_experts_of_one_regime_are_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = 2 * X[:, 0] + rng.standard_t(3, size=200)
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    assert moe.n_regimes_ == 1
    effects = moe.marginal_effects(X, y)
    assert effects.quantities == ["mean"]
    assert_allclose(effects.effect, by_predictions(moe.predict, X), atol=1e-6)


def test_effects_on_a_regime_are_those_on_the_sum_and_the_mixture_of_its_experts():
    X, y, rng = two_regimes()
    y = y + 6 * (rng.uniform(size=len(y)) < 0.3) + 0.3 * rng.normal(size=len(y))
    moe = MixtureOfExpertsRegressor(n_experts=3, n_init=1, random_state=0).fit(X, y)
    moe.likelihood_.regime_ = np.array([0, 1, 0])
    effects = moe.marginal_effects(X, y)

    def of_regime(X):
        proba, means = moe.gate_proba(X)[:, [0, 2]], moe.predict_experts(X)[:, [0, 2]]
        share = proba.sum(axis=1)
        return np.column_stack([share, (proba * means).sum(axis=1) / share])

    expected = by_predictions(of_regime, X)
    name = "regime0 (expert0, expert2)"
    assert_allclose(effects_of(effects, f"gate: probability of {name}"), expected[:, 0], atol=1e-6)
    assert_allclose(effects_of(effects, f"{name}: mean"), expected[:, 1], atol=1e-6)
    assert len(effects.effect) == 2 * (1 + 2 + 2)


# What is printed and what is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({"experts": DecisionTreeRegressor(max_depth=2)}, {}, "DecisionTreeRegressor is not among"),
        ({"gate": GaussianGate()}, {}, "GaussianGate"),
        ({}, {"cov": "robust"}, "cov must be 'observed', 'sandwich' or 'bootstrap'; got 'robust'"),
        ({}, {"level": 95}, "level must be between 0 and 1; got 95"),
    ],
)
def test_mixtures_without_standard_errors_are_refused(settings, given, message):
    X, y, rng = two_regimes(n=100)
    y = y + 0.3 * rng.normal(size=100)
    moe = mixture(**({"gate": SoftmaxGate(), "n_init": 1, "tol": 1e-3} | settings)).fit(X, y)
    with pytest.raises(ValueError, match=message):
        moe.marginal_effects(X, y, **given)


def test_sparse_rows_are_refused_with_a_way_out():
    X, y, rng = two_regimes(n=100)
    moe = mixture(n_experts=1).fit(X, y + rng.normal(size=100))
    with pytest.raises(TypeError, match=re.escape("X.toarray()")):
        moe.marginal_effects(sparse.csr_matrix(X), y)


def test_effects_that_take_long_are_announced_once(monkeypatch):
    monkeypatch.setattr(exceptions, "LONG", 1e-9)
    X = np.random.default_rng(0).normal(size=(60, 3))
    moe = MixtureOfExpertsRegressor(LinearRegression(), 1, cv=False).fit(X, X[:, 0] + X[:, 1] ** 2)
    with pytest.warns(exceptions.LongFitWarning, match="The effects may take") as warned:
        moe.marginal_effects(X, X[:, 0] + X[:, 1] ** 2)
    assert len(warned) == 1
