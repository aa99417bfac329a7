"""One pass over the rows per iteration for logistic experts, against the general problem."""

from functools import partial

import numpy as np
import pytest
from mixtures import assert_same_parameters, fit_from
from numpy.testing import assert_allclose
from planted import rows_and_start
from scipy.special import log_expit
from sklearn.linear_model import LogisticRegression

from skmoe._experts.logistic import LogisticExperts
from skmoe.gates import ConstantGate, SoftmaxGate


@pytest.fixture
def newton_alone(monkeypatch):
    """Both problems make the same steps: one of Newton, from new curvature, an iteration."""
    monkeypatch.setattr("skmoe._em.one_pass.OnePassProblem.accelerates", False)
    monkeypatch.setattr("skmoe._em.general.GeneralProblem.accelerates", False)
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)
    monkeypatch.setattr(LogisticExperts, "longest_drift", -1.0)
    monkeypatch.setattr(LogisticExperts, "n_newton", 1)


rows_of_labels = partial(rows_and_start, "two", n=800)
fit = partial(fit_from, "two", max_iter=500)
GATES = [SoftmaxGate(), SoftmaxGate(alpha=1e-3), ConstantGate()]
EXPERTS = [None, LogisticRegression(), LogisticRegression(C=0.1)]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("experts", EXPERTS)
def test_with_new_curvature_at_each_step_the_path_is_that_of_the_general_problem(
    experts, gate, newton_alone
):
    data = rows_of_labels()
    settings = {"experts": experts, "gate": gate, "max_iter": 12}
    fast, general = fit(*data, **settings), fit(*data, general=True, **settings)
    # The first M-step of the experts ends within 1e-10 of its optimum, here as there.
    assert_allclose(fast.lower_bounds_, general.lower_bounds_, rtol=1e-9)
    assert_same_parameters(fast, general, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("penalty", [None, 0.1])
def test_at_the_end_the_objective_has_no_slope(gate, penalty):
    X, y, weight, resp = rows_of_labels(n=1500, n_experts=2)
    expert = None if penalty is None else LogisticRegression(C=1 / penalty)
    moe = fit(X, y, weight, resp, experts=expert, gate=gate, max_iter=3000)
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    design = np.column_stack([(X - mean) / scale, np.ones(len(X))])
    proba = moe.gate_proba(X)
    resp = moe.responsibilities(X, y)
    for k, trained in enumerate(moe.experts_):
        errors = (y == "yes") - trained.predict_proba(X)[:, 1]
        slope = design.T @ (weight * resp[:, k] * errors)
        # 1e-3 is the default experts', on standardised columns.
        pull = 1e-3 * trained.coef_[0] * scale if penalty is None else penalty * trained.coef_[0]
        slope[:-1] -= pull if penalty is None else pull / scale
        assert_allclose(slope / weight.sum(), 0.0, atol=1e-7)
    lack = weight[:, None] * (resp - proba)
    if isinstance(gate, SoftmaxGate):
        slope = design.T @ lack
        slope[:-1] -= gate.alpha * (moe.gate_.coef_ * scale).T
        assert_allclose(slope / weight.sum(), 0.0, atol=1e-7)
    else:
        assert_allclose(lack.sum(axis=0) / weight.sum(), 0.0, atol=1e-7)
    assert np.diff(moe.lower_bounds_).min() >= -1e-13


@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_experts_are_the_logistic_regressions_of_their_rows(penalty):
    X, y, weight, resp = rows_of_labels(n=1500, n_experts=2)
    X = (X - X.mean(axis=0)) / X.std(axis=0)  # for the solver of scikit-learn
    expert = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10)
    moe = fit(X, y, weight, resp, experts=expert, max_iter=3000)
    weights = moe.responsibilities(X, y) * weight[:, None]
    sign = np.where(y == "yes", 1, -1)

    def loss(model, weights):
        likelihood = weights @ log_expit(sign * model.decision_function(X))
        return 0.5 * penalty * (model.coef_**2).sum() - likelihood

    for k, trained in enumerate(moe.experts_):
        assert type(trained) is LogisticRegression
        again = LogisticRegression(**expert.get_params()).fit(X, y, weights[:, k])
        assert loss(trained, weights[:, k]) <= loss(again, weights[:, k]) + 1e-9
        # A loss within 1e-9 of its least leaves coefficients the root of that.
        assert_allclose(trained.coef_, again.coef_, atol=1e-4)


def test_rows_of_weight_two_are_rows_given_twice():
    X, y, weight, resp = rows_of_labels()
    weight = np.round(weight / 0.7).astype(int)
    rows = np.repeat(np.arange(len(y)), weight)
    one = fit(X, y, weight, resp, max_iter=30)
    other = fit(X[rows], y[rows], None, resp[rows], max_iter=30)
    assert_allclose(one.lower_bounds_, other.lower_bounds_, rtol=1e-9)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("part", [SoftmaxGate, LogisticExperts])
def test_too_long_steps_are_cut_until_the_objective_rises(part, monkeypatch):
    data = rows_of_labels()
    learn_sums = part.learn_sums
    monkeypatch.setattr(
        part, "learn_sums", lambda self, sums, size=1.0: learn_sums(self, sums, 40 * size)
    )
    moe = fit(*data, max_iter=40)
    assert np.diff(moe.lower_bounds_).min() >= -1e-13


def test_classes_that_lines_separate_without_penalty_stay_finite():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 2))
    y = X[:, 0] * X[:, 1] > 0
    resp = 0.4 * np.eye(2)[(X[:, 0] > 0).astype(int)] + 0.3
    expert = LogisticRegression(C=np.inf)
    moe = fit(X, y, None, resp, experts=expert, gate=SoftmaxGate(alpha=0.0), max_iter=60)
    assert np.isfinite([expert.coef_ for expert in moe.experts_]).all()
    assert np.diff(moe.lower_bounds_).min() >= -1e-13
    assert moe.score(X, y) > 0.97


def test_collinear_and_constant_columns_do_no_harm():
    X, y, weight, resp = rows_of_labels()
    wide = np.column_stack([X, X[:, 0] + X[:, 2], np.full(len(X), 7.0)])
    expert = LogisticRegression(C=np.inf)
    one = fit(X, y, weight, resp, experts=expert)
    other = fit(wide, y, weight, resp, experts=expert)
    # The gate's small penalty sees the column that is there twice.
    assert_allclose(other.predict_proba(wide), one.predict_proba(X), atol=4e-2)
