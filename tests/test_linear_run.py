"""EM in compiled runs: the same iterations as step by step in NumPy."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.one_pass import OnePassProblem
from skmoe._em.problem import Problem
from skmoe._kernels._linear_run import left_to_gain
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Gaussian

KINDS = {
    "lines": (MixtureOfExpertsRegressor, LinearRegression(), {}),
    "one scale": (
        MixtureOfExpertsRegressor,
        LinearRegression(),
        {"likelihood": Gaussian("shared")},
    ),
    "ridge": (MixtureOfExpertsRegressor, Ridge(2.0), {}),
    "default": (MixtureOfExpertsRegressor, None, {}),
    "logistic": (MixtureOfExpertsClassifier, LogisticRegression(C=0.5), {}),
    "three classes": (MixtureOfExpertsClassifier, LogisticRegression(C=0.5), {}),
    "four classes": (MixtureOfExpertsClassifier, LogisticRegression(C=2.0), {}),
    "counts": (MixtureOfExpertsRegressor, None, {"likelihood": "poisson"}),
    "exposures": (MixtureOfExpertsRegressor, None, {"likelihood": "poisson"}),
    "gamma": (MixtureOfExpertsRegressor, None, {"likelihood": "gamma"}),
}
GATES = {"softmax": SoftmaxGate(), "sharp": SoftmaxGate(1e-6), "constant": ConstantGate()}


def mixture_from(kind, gate, *, step_by_step, monkeypatch, dtype=float, copy=False, max_iter=40):
    """A mixture of three experts from given responsibilities, and its rows."""
    make, expert, params = KINDS[kind]
    rng = np.random.default_rng(0)
    X = rng.normal([0, 5, -3], [1, 10, 0.1], size=(300, 3))
    if copy:
        X[:, 2] = X[:, 0]
    y = np.where(X[:, 0] > 0, 2 * X[:, 0] + 1, -X[:, 0]) + 0.3 * rng.normal(size=300)
    resp, weight = rng.dirichlet(np.ones(3), size=300), rng.integers(0, 4, size=300)
    if make is MixtureOfExpertsClassifier:
        n_classes = {"three classes": 3, "four classes": 4}.get(kind, 2)
        y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    elif "likelihood" in params and kind != "one scale":
        y = np.exp(y) if kind == "gamma" else np.floor(np.exp(y))
    given = {"exposure": 1 + X[:, 1] ** 2} if kind == "exposures" else {}
    with monkeypatch.context() as patched:
        if step_by_step:
            patched.setattr(OnePassProblem, "advance", Problem.advance)
        moe = make(expert, 3, training="em", gate=GATES[gate], init=lambda *_: resp, n_init=1,
                   max_iter=max_iter, tol=0.0, **params)  # fmt: skip
        moe.fit(X.astype(dtype), y, sample_weight=weight.astype(float), **given)
    return moe, X


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")  # of some starts
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("kind", KINDS)
def test_runs_make_the_iterations_that_are_made_step_by_step(kind, gate, monkeypatch):
    run, X = mixture_from(kind, gate, step_by_step=False, monkeypatch=monkeypatch)
    steps, _ = mixture_from(kind, gate, step_by_step=True, monkeypatch=monkeypatch)
    assert len(run.lower_bounds_) > 20
    n_both = min(len(run.lower_bounds_), len(steps.lower_bounds_))  # rounding may end one earlier
    assert abs(len(run.lower_bounds_) - len(steps.lower_bounds_)) <= 3
    np.testing.assert_allclose(run.lower_bounds_[:n_both], steps.lower_bounds_[:n_both], rtol=1e-9)
    np.testing.assert_allclose(run.gate_proba(X), steps.gate_proba(X), atol=1e-6)
    if kind != "ridge":  # whose penalty is none of the likelihood
        assert np.diff(run.lower_bounds_).min() > -1e-12


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["lines", "logistic", "four classes"])
def test_runs_on_single_precision(kind, monkeypatch):
    given = {"step_by_step": False, "monkeypatch": monkeypatch, "max_iter": 8}
    single, _ = mixture_from(kind, "softmax", dtype=np.float32, **given)
    double, _ = mixture_from(kind, "softmax", **given)
    np.testing.assert_allclose(single.lower_bounds_, double.lower_bounds_, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_that_depend_on_each_other_are_left_to_the_step_of_least_norm(monkeypatch):
    given = {"monkeypatch": monkeypatch, "copy": True, "max_iter": 10}
    run, X = mixture_from("lines", "softmax", step_by_step=False, **given)
    steps, _ = mixture_from("lines", "softmax", step_by_step=True, **given)
    np.testing.assert_allclose(run.predict(X), steps.predict(X), rtol=1e-9)


def test_what_is_left_to_gain_is_foreseen_by_the_slowest_of_the_last_gains():
    assert left_to_gain([8.0, 4.0, 1.0], 1.0, False) == 1.0
    assert left_to_gain([8.0, 4.0, 1.0], 1.0, True) == pytest.approx(2.0)  # halved at least
    assert left_to_gain([1.0], 1.0, True) == pytest.approx(200.0)
    assert left_to_gain([1.0, -1e-3], 1.0, True) == -1e-3


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_experts_without_penalty_are_tried_on_columns_given_twice(n_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    functions = np.where(X[:, :1] > 0, X @ rng.normal(size=(4, n_classes)), -2 * X[:, :n_classes])
    y = (functions + rng.gumbel(size=functions.shape)).argmax(axis=1)
    moe = MixtureOfExpertsClassifier(LogisticRegression(C=np.inf), 2, training="em", random_state=0)
    once = moe.fit(X, y).lower_bound_
    twice = moe.fit(np.hstack([X, X, X[:, :2] + X[:, 2:]]), y)
    assert all(np.isfinite(bounds).all() for bounds in twice.start_lower_bounds_)
    assert twice.lower_bound_ > once - 0.01  # per row
