"""Acceleration of EM's last iterations: the objective rises, to the same optimum, in less time."""

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LinearRegression, LogisticRegression

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em import sweeps, trainer
from skmoe._em.one_pass import OnePassProblem
from skmoe._em.problem import Problem
from skmoe._kernels._linear_run import Acceleration
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Gaussian

KINDS = ["softmax", "constant", "shared", "logistic"]


def slow_problem(kind, seed, n=400):
    """Overlapping regimes, in which EM is slow, and responsibilities near the truth."""
    rng = np.random.default_rng([seed, len(kind)])
    n_experts, p = rng.integers(2, 4), rng.integers(1, 4)
    X = rng.normal(size=(n, p))
    design = np.column_stack([X, np.ones(n)])
    functions = rng.normal(size=(n_experts, p + 1))
    logits = design @ rng.normal(size=(p + 1, n_experts)) * (0 if kind == "constant" else 2)
    regime = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    f = np.einsum("ij,ij->i", design, functions[regime])
    if kind == "logistic":
        y = (rng.uniform(size=n) < special.expit(2 * f)).astype(int)
    else:
        y = f + rng.uniform(0.3, 1.0) * rng.normal(size=n)
    weight = rng.uniform(0.5, 2.0, size=n) if seed % 2 else np.ones(n)
    return (
        X,
        y,
        weight,
        0.3 * np.eye(n_experts)[regime] + 0.7 * rng.dirichlet(np.ones(n_experts), n),
    )


def fitted_from(kind, X, y, weight, resp, **settings):
    given = {"init": lambda *args: resp, "n_init": 1, "cv": False, "tol": 1e-7, "max_iter": 2000}
    given["gate"] = ConstantGate() if kind == "constant" else SoftmaxGate()
    if kind == "logistic":
        moe = MixtureOfExpertsClassifier(LogisticRegression(), resp.shape[1])
    else:
        likelihood = Gaussian("shared") if kind == "shared" else "gaussian"
        moe = MixtureOfExpertsRegressor(LinearRegression(), resp.shape[1], likelihood=likelihood)
    return moe.set_params(**(given | settings)).fit(X, y, weight)


@pytest.fixture
def passes(monkeypatch):
    """A list with an entry for each pass over the rows."""
    made = []

    def counted(rows, parameters, run_pass=sweeps.run_pass):
        made.append(parameters)
        return run_pass(rows, parameters)

    monkeypatch.setattr(sweeps, "run_pass", counted)
    monkeypatch.setattr(OnePassProblem, "advance", Problem.advance)  # step by step
    return made


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_objective_never_falls_on_many_problems(kind, monkeypatch):
    monkeypatch.setattr(trainer, "REVIVALS", 0)  # re-seeding is a new start, from lower
    for seed in range(100):
        moe = fitted_from(kind, *slow_problem(kind, seed), max_iter=60)
        steps = np.diff(moe.lower_bounds_)
        assert steps.min() > -1e-9 * abs(moe.lower_bound_)  # a sum over rows is rounded


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_passes_to_the_same_optimum_or_a_better_one(kind, passes, monkeypatch):
    counts = []
    for seed in range(8):
        problem = slow_problem(kind, seed)
        passes.clear()
        moe, n_passes = fitted_from(kind, *problem), len(passes)
        with monkeypatch.context() as patch:
            patch.setattr(OnePassProblem, "accelerates", False)
            passes.clear()
            plain = fitted_from(kind, *problem)
        counts.append((n_passes, len(passes)))
        # Where gains are a hundredth of what is to come, they end EM that far from the optimum.
        assert moe.lower_bound_ > plain.lower_bound_ - 100 * moe.tol
    accelerated, plain = np.transpose(counts)
    assert np.median(accelerated / plain) < 1.0
    assert accelerated.sum() < 0.8 * plain.sum()


def test_of_a_linear_map_the_fixed_point_is_found_in_as_many_steps_as_there_are_dimensions():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    metric = root @ root.T + np.eye(4)
    shrink = np.linalg.solve(metric, metric - np.diag([0.05, 0.1, 0.2, 0.3]))
    target, point = rng.normal(size=4), np.zeros(4)
    found = Acceleration()
    for gain in (0.01, 0.009, 0.008, 0.007, 0.006):
        found.note(gain)
    for _ in range(6):
        step = (shrink - np.eye(4)) @ (point - target)
        proposal, _ = found.propose(point, step, lambda directions: metric @ directions)
        point = point + step if proposal is None else proposal
    np.testing.assert_allclose(point, target, atol=1e-6)
