"""Redundant columns: whatever the coding of a table, the same parameters, criteria and tables."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.likelihoods import Gaussian
from skmoe.model_selection import select_n_experts


def rows_of_kinds(seed=0, n_samples=400):
    """Two numbers, a kind of three levels, and a target of two regimes."""
    rng = np.random.default_rng(seed)
    X, kind = rng.normal(size=(n_samples, 2)), rng.integers(3, size=n_samples)
    second = rng.uniform(size=n_samples) < 1 / (1 + np.exp(-1.5 * X[:, 0] - 0.5 * (kind == 2)))
    y = np.where(second, 3 + 2 * X[:, 1] - (kind == 1), -1 - X[:, 1] + (kind == 2))
    return X, np.eye(3)[kind], y + 0.5 * rng.normal(size=n_samples)


CODINGS = {
    "drop first": lambda X, kind: np.column_stack([X, kind[:, 1:]]),
    "drop last": lambda X, kind: np.column_stack([X, kind[:, :-1]]),
    "one-hot": lambda X, kind: np.column_stack([X, kind]),
    "constant": lambda X, kind: np.column_stack([np.full(len(X), 1e13), X, kind, X[:, 0] * 0]),
    "doubled": lambda X, kind: np.column_stack([X, kind[:, 1:], X, X.sum(axis=1)]),
    "affine": lambda X, kind: np.column_stack([X @ [[3, 1], [1, -2]] + 50, 1e-3 * kind - 7]),
    "single precision": lambda X, kind: np.column_stack([X, kind]).astype(np.float32),
}
MIXTURES = {
    "gaussian": (MixtureOfExpertsRegressor, {"n_experts": 2}, 2),
    "three": (MixtureOfExpertsRegressor, {"n_experts": 3}, 3),
    "proportions": (MixtureOfExpertsRegressor, {"n_experts": 2, "gate": ConstantGate()}, 2),
    "tree": (MixtureOfExpertsRegressor, {"n_experts": 3, "gate": TreeGate([2, 1])}, 3),
    "one scale": (MixtureOfExpertsRegressor, {"n_experts": 2, "likelihood": Gaussian("shared")}, 1),
    "outputs": (MixtureOfExpertsRegressor, {"n_experts": 2}, 4),
    "poisson": (MixtureOfExpertsRegressor, {"n_experts": 2, "likelihood": "poisson"}, 0),
    "classes": (MixtureOfExpertsClassifier, {"n_experts": 2}, 0),
}


def target(name, y):
    if name == "outputs":
        return np.column_stack([y, -y + np.arange(len(y)) % 3])
    if name == "poisson":
        return np.round(np.exp(0.5 * y)).clip(0, 20)
    return np.digitize(y, [-1, 1]) if name == "classes" else y


def free_parameters(moe, X, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    return moe._model.n_parameters(X, weight, moe._n_functions)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", MIXTURES)
def test_number_of_parameters_is_the_rank_of_what_is_estimated(name, coding):
    X, kind, y = rows_of_kinds()
    X = CODINGS[coding](X, kind)
    kind_of_mixture, settings, n_scales = MIXTURES[name]
    moe = kind_of_mixture(**settings, n_init=1, max_iter=1, random_state=0, training="em")
    with pytest.warns(UserWarning, match="max_iter=1"):
        moe.fit(X, target(name, y))
    rank = 1 + 2 + 2
    n_functions = settings["n_experts"] * {"outputs": 2, "classes": 2}.get(name, 1)
    n_odds = settings["n_experts"] - 1
    in_gate = n_odds if name == "proportions" else n_odds * rank
    assert free_parameters(moe, X) == n_functions * rank + n_scales + in_gate
    assert isinstance(free_parameters(moe, X), int)


@pytest.mark.parametrize("coding", CODINGS)
def test_criteria_do_not_depend_on_the_coding(coding):
    X, kind, y = rows_of_kinds()
    found = []
    for each in ("drop first", coding):
        table = CODINGS[each](X, kind)
        moe = MixtureOfExpertsRegressor(
            n_experts=2, gate=SoftmaxGate(alpha=1e-6), n_init=4, tol=1e-9, max_iter=500,
            random_state=0,
        training="em").fit(table, y)  # fmt: skip
        found.append([getattr(moe, name)(table, y) for name in ("bic", "aic", "icl")])
    # EM stops within some 1e-7 of a row's log-likelihood; the entropy is of first order.
    assert_allclose(found[1][:2], found[0][:2], rtol=0, atol=1e-2)
    assert_allclose(found[1][2], found[0][2], rtol=0, atol=0.3)


def test_columns_are_counted_behind_the_transformers_of_each_part():
    X, kind, y = rows_of_kinds()

    def doubled(gate_or_expert):
        return make_pipeline(FunctionTransformer(lambda X: np.hstack([X, X])), gate_or_expert)

    moe = MixtureOfExpertsRegressor(
        doubled(LinearRegression()), 2, gate=doubled(SoftmaxGate()), n_init=1, random_state=0
    ).fit(X, y)
    assert free_parameters(moe, X) == 3 * 3 + 2


def test_encoded_strings_are_counted_as_treatment_contrasts(shared_data):
    X, y, _, _ = shared_data("cps1985")
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0, training="em").fit(X, y)
    n_columns = sum(X[c].nunique() - 1 if X[c].dtype.kind not in "fi" else 1 for c in X)
    assert free_parameters(moe, X) == 3 * (n_columns + 1) + 2 == 53


def test_rows_without_weight_identify_nothing():
    X, kind, y = rows_of_kinds()
    weight = 1.0 - kind[:, 2]
    table = CODINGS["one-hot"](X, kind)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=1, random_state=0, training="em")
    moe.fit(table, y, sample_weight=weight)
    kept = weight > 0
    assert free_parameters(moe, table, weight) == free_parameters(moe, table[kept]) == 3 * 4 + 2


@pytest.mark.parametrize("gate", [GaussianGate(), TreeGate([1, 1], GaussianGate())])
def test_criteria_of_another_likelihood_are_refused(gate):
    X, _, y = rows_of_kinds()
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=gate, n_init=1, random_state=0, training="em"
    ).fit(X, y)
    for criterion in (moe.bic, moe.aic, moe.icl):
        with pytest.raises(ValueError, match=r"joint likelihood of X and y|criteria need"):
            criterion(X, y)
    moe.set_params(max_iter=5)
    with pytest.warns(UserWarning, match="max_iter=5"):
        assert select_n_experts(moe, X, y, [2], cv=2, random_state=0).criterion_ == "cv"


def test_criteria_with_class_weights_are_refused():
    X, _, y = rows_of_kinds()
    moe = MixtureOfExpertsClassifier(n_experts=1, class_weight="balanced", training="em").fit(
        X, y > 0
    )
    for criterion in (moe.bic, moe.aic, moe.icl):
        with pytest.raises(ValueError, match="With class_weight a mixture is not at the maximum"):
            criterion(X, y > 0)


# Summaries --------------------------------------------------------------------------------------


def summarised(coding, likelihood="gaussian"):
    X, kind, y = rows_of_kinds()
    y = target(likelihood, y)
    table = CODINGS[coding](X, kind)
    settings = {"n_init": 4, "tol": 1e-10, "max_iter": 2000, "random_state": 0}
    if likelihood == "classes":
        moe = MixtureOfExpertsClassifier(n_experts=1, **settings, training="em")
    else:
        experts = PoissonRegressor(alpha=0) if likelihood == "poisson" else LinearRegression()
        moe = MixtureOfExpertsRegressor(
            experts, 2, gate=SoftmaxGate(alpha=1e-6), likelihood=likelihood, **settings
        )
    return moe.fit(table, y), moe.summary(table, y), table, y


@pytest.mark.parametrize("cov", ["observed", "sandwich"])
@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "classes"])
def test_summary_of_redundant_columns_is_that_of_the_coding_which_drops_the_first(likelihood, cov):
    moe, _, table, y = summarised("drop first", likelihood)
    expected = moe.summary(table, y, cov=cov)
    moe, _, table, y = summarised("constant", likelihood)
    found = moe.summary(table, y, cov=cov)
    # x0 is constant, then two numbers and three levels, then another constant.
    renamed = {"x1": "x0", "x2": "x1", "x4": "x2", "x5": "x3"}
    unknown = np.isin(found.terms, ["x0", "x3", "x6"])
    assert_array_equal(np.isnan(found.estimate), unknown)
    assert_array_equal(np.isnan(found.std_error), unknown)
    known = np.flatnonzero(~unknown)
    assert [renamed.get(found.terms[i], found.terms[i]) for i in known] == expected.terms
    # Newton's steps end within 1e-4 standard errors of the maximum.
    off = np.abs(found.estimate[known] - expected.estimate) / expected.std_error
    assert off.max() < 1e-3
    assert_allclose(found.cov[np.ix_(known, known)], expected.cov, rtol=5e-3, atol=1e-6)
    assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-9)
    assert found.n_parameters == expected.n_parameters


def test_what_one_expert_has_no_rows_for_is_not_identified_in_it_alone():
    rng = np.random.default_rng(0)
    X, subject = rng.normal(size=(300, 2)), np.repeat(np.arange(60), 5)
    second = subject < 30
    y = np.where(second, 5 + X[:, 1], -5 - X[:, 1]) + 0.3 * rng.normal(size=300)
    # Some rows of the second regime, whose other rows say beyond doubt whose subject it is.
    X = np.column_stack([X, second & (np.arange(300) % 5 == 0)])
    moe = MixtureOfExpertsRegressor(n_experts=2, gate=ConstantGate(), random_state=0, training="em")
    moe.fit(X, y, subject=subject)
    summary = moe.summary(X, y, subject=subject)
    lacks = f"expert{np.argmin([expert.intercept_ for expert in moe.experts_])}"
    unknown = np.flatnonzero(np.isnan(summary.estimate))
    assert [(summary.parts[i], summary.terms[i]) for i in unknown] == [(lacks, "x2")]
    assert f"n/a in {lacks}: x2, which the rows hardly determine" in str(summary)
    # The others are those of a regression on the rows of the expert.
    design = np.column_stack([np.ones(150), X[~second, :2]])
    coef, squares = np.linalg.lstsq(design, y[~second])[:2]
    std_error = np.sqrt(squares[0] / 150 * np.diag(np.linalg.inv(design.T @ design)))
    place = summary.parts.index(lacks)
    assert_allclose(summary.estimate[place : place + 3], coef, rtol=1e-6)
    assert_allclose(summary.std_error[place : place + 3], std_error, rtol=1e-6)


def test_one_scale_for_all_experts_is_one_parameter():
    X, kind, y = rows_of_kinds()
    table = CODINGS["one-hot"](X, kind)
    settings = {"n_experts": 2, "n_init": 4, "tol": 1e-9, "max_iter": 1000, "random_state": 0}
    moe = MixtureOfExpertsRegressor(likelihood=Gaussian("shared"), **settings, training="em").fit(
        table, y
    )
    shared = moe.summary(table, y)
    free = MixtureOfExpertsRegressor(**settings, training="em").fit(table, y).summary(table, y)
    places = np.flatnonzero(np.array(shared.terms) == "log_scale")
    assert shared.n_parameters == free.n_parameters - 1 == free_parameters(moe, table)
    assert shared.estimate[places[0]] == shared.estimate[places[1]]
    # All rows say what it is, not those of one expert.
    pooled = (free.std_error[places] ** -2).sum() ** -0.5
    assert_allclose(shared.std_error[places], pooled, rtol=0.05)
