"""Load balancing, re-seeding of dead experts, and the report about both."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special
from sklearn.base import clone

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.metrics import log_score

ROUNDING = 1e-9  # per unit of weight: what sums of a few hundred terms may lose


def four_pieces(n_samples, seed):
    """Four lines side by side."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 1))
    piece = np.minimum(((X[:, 0] + 1) * 2).astype(int), 3)
    means = np.choose(piece, [3 * X[:, 0] + 1, -2 * X[:, 0], 1 + X[:, 0], 2 - 3 * X[:, 0]])
    return X, means + 0.2 * rng.normal(size=n_samples)


def crossing_lines(n_samples, seed):
    """Two lines that cross, with equal shares everywhere."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    slope = np.where(rng.random(n_samples) < 0.5, 2.0, -2.0)
    return X, 1 + slope * X[:, 0] + 0.3 * rng.normal(size=n_samples)


MODELS = {four_pieces: 4, crossing_lines: 2}


def one_owns_nearly_all(X, y, n_experts, random_state):
    """One expert has 98 % of every row: all experts start alike."""
    resp = np.full((len(X), n_experts), 0.02 / (n_experts - 1))
    resp[:, 0] = 0.98
    return resp


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate(), GaussianGate()])
@pytest.mark.parametrize("load_balance", [0.01, 0.3])
def test_objective_rises_under_the_load_prior(gate, load_balance):
    X, y = four_pieces(400, seed=0)
    moe = MixtureOfExpertsRegressor(
        n_experts=3, gate=clone(gate).set_params(load_balance=load_balance), tol=1e-10, max_iter=60,
        n_init=1, init="functions", random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether 60 iterations are enough is not the question
        moe.fit(X, y)
    assert not any(moe.expert_report().columns["revived"]), "re-seeding may lower it"
    assert len(moe.lower_bounds_) > 5
    assert np.diff(moe.lower_bounds_).min() > -ROUNDING


def test_objective_under_the_load_prior_is_the_formula():
    X, y = four_pieces(300, seed=1)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(load_balance=0.2), random_state=0, max_iter=500
    ).fit(X, y)
    counts = 0.2 * len(y) / 2
    log_prior = counts * np.log(moe.gate_.proportions_).sum()
    # The default experts' own prior is about 1e-9 per row.
    assert_allclose(moe.lower_bound_, (moe.log_density(X, y).sum() + log_prior) / len(y), atol=1e-7)


def test_constant_gate_has_the_dirichlet_mode():
    X, y = crossing_lines(500, seed=0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(load_balance=0.5, target_load=[0.8, 0.2]),
        tol=1e-10, max_iter=2000, random_state=0,
    ).fit(X, y)  # fmt: skip
    mass = moe.responsibilities(X, y).sum(axis=0)
    expected = (mass + 0.5 * len(y) * np.array([0.8, 0.2])) / (1.5 * len(y))
    # At the fixed point, up to the last step of EM.
    assert_allclose(moe.gate_.proportions_, expected, atol=1e-4)


@pytest.mark.parametrize("gate", [SoftmaxGate(), GaussianGate(), ConstantGate()])
def test_stronger_prior_pulls_the_loads_nearer_to_the_target(gate):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 1))
    y = np.where(X[:, 0] > 1.2, 5 - 2 * X[:, 0], X[:, 0]) + 0.2 * rng.normal(size=600)
    distances = []
    for load_balance in (0.0, 0.3, 10.0):
        balanced = clone(gate).set_params(load_balance=load_balance)
        moe = MixtureOfExpertsRegressor(
            n_experts=2, gate=balanced, training="em", random_state=0, n_init=2, max_iter=500
        ).fit(X, y)
        distances.append(abs(moe.expert_load_[0] - 0.5))
    assert distances[0] > 0.2
    assert all(np.diff(distances) < 0)
    assert distances[-1] < 0.1


def test_target_load_is_followed_in_its_own_order():
    X, y = crossing_lines(500, seed=0)
    gate = SoftmaxGate(load_balance=20.0, target_load=[1, 4])
    moe = MixtureOfExpertsRegressor(gate=gate, random_state=0, max_iter=500).fit(X, y)
    # The data say one half; twenty prior rows for each row say 0.2 and 0.8.
    assert_allclose(moe.expert_load_, [0.2, 0.8], atol=0.03)


@pytest.mark.parametrize("target_load", [[0.5], [0.5, -0.5], [0.5, np.nan]])
def test_target_load_that_is_no_load_is_refused(target_load):
    X, y = crossing_lines(50, seed=0)
    with pytest.raises(ValueError, match="target_load must be 2 positive numbers"):
        MixtureOfExpertsRegressor(
            n_experts=2, gate=SoftmaxGate(load_balance=0.1, target_load=target_load)
        ).fit(X, y)


@pytest.mark.parametrize("load_balance", [0.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_target_load_says_how_many_experts_there_are_and_keeps_their_order(load_balance):
    X, y = four_pieces(400, seed=0)
    gate = SoftmaxGate(load_balance=load_balance, target_load=[1, 2, 3])
    moe = MixtureOfExpertsRegressor(gate=gate, max_iter=500, random_state=0, training="em")
    assert moe.plan(X, y).n_experts == len(moe.fit(X, y).experts_) == 3
    assert moe.gate_.keeps_order
    if load_balance == 0:
        free = clone(moe).set_params(gate=SoftmaxGate(), n_experts=3).fit(X, y)
        assert_allclose(np.sort(moe.expert_load_), np.sort(free.expert_load_))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_reseeding_mends_a_start_in_which_one_expert_owns_nearly_all(model):
    X, y = model(1000, seed=0)
    X_test, y_test = model(2000, seed=100)
    settings = {"n_experts": MODELS[model], "random_state": 0, "max_iter": 500}
    best = MixtureOfExpertsRegressor(**settings, training="em").fit(X, y)
    mended = MixtureOfExpertsRegressor(
        init=one_owns_nearly_all, n_init=1, **settings, training="em"
    )
    mended.fit(X, y)  # would warn of a dead expert, and warnings are errors
    assert sum(mended.expert_report().columns["revived"]) > 0
    assert log_score(mended, X_test, y_test) > log_score(best, X_test, y_test) - 0.05


def test_copies_of_an_expert_are_reported():
    X, y = crossing_lines(200, seed=0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, init=one_owns_nearly_all, n_init=1, max_iter=1, random_state=0, training="em"
    )
    with (
        pytest.warns(ExpertCollapseWarning, match="copies of others"),
        pytest.warns(UserWarning, match="max_iter=1"),
    ):
        moe.fit(X, y)


def test_report_holds_what_its_definitions_say():
    X, y = four_pieces(400, seed=0)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=400)
    moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0, max_iter=500, training="em").fit(
        X, y
    )
    report = moe.expert_report(X, y, sample_weight=weight)
    resp, gate = moe.responsibilities(X, y), moe.gate_proba(X)
    mass = resp * weight[:, None]
    entropy = special.entr(gate).sum(axis=1) / np.log(3)
    squares = (y[:, None] - moe.predict_experts(X)) ** 2
    expected = {
        "load": np.average(gate, axis=0, weights=weight),
        "rows": mass.sum(axis=0),
        "gate": (mass * gate).sum(axis=0) / mass.sum(axis=0),
        "entropy": entropy @ mass / mass.sum(axis=0),
        "error": np.sqrt((mass * squares).sum(axis=0) / mass.sum(axis=0)),
        "scale": moe.likelihood_.scale_,
    }
    for name, values in expected.items():
        assert_allclose(report.columns[name], values, rtol=1e-10, err_msg=name)
    assert_allclose(report.overlap.sum(axis=1), 1.0)  # an expert's rows belong to somebody
    assert_allclose(sum(optimum["share"] for optimum in report.optima), 1.0)
    objectives = [optimum["objective"] for optimum in report.optima]
    assert objectives == sorted(objectives, reverse=True)
