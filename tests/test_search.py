"""Moves from the best ends of starts lead to better optima; the report says how many met."""

from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em import starts as starts_of_em
from skmoe._em import trainer
from skmoe._em.problem import Problem
from skmoe._em.starts import moved
from skmoe._kernels._linear_run import dissolved
from skmoe._pooling.problem import PooledProblem
from skmoe.gates import ConstantGate


def regimes(n_regimes, n=240, seed=0):
    """Lines of unequal size in parts of a line, hard to find at once."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, n_regimes, size=(n, 1))
    slopes = rng.normal(size=n_regimes) * 3
    return X, (slopes[X[:, 0].astype(int)] * (X[:, 0] % 1 - 0.5) + 0.2 * rng.normal(size=n))


mixture = partial(MixtureOfExpertsRegressor, experts=LinearRegression(), n_init=4, random_state=0)


def test_moves_end_no_lower_and_some_higher(monkeypatch):
    X, y = regimes(5)
    searched = [mixture(n_experts=5, random_state=seed).fit(X, y) for seed in range(5)]
    monkeypatch.setattr(trainer.Trainer, "moves_in_vain", 0)
    plain = [mixture(n_experts=5, random_state=seed).fit(X, y) for seed in range(5)]
    gains = [a.lower_bound_ - b.lower_bound_ for a, b in zip(searched, plain, strict=True)]
    assert min(gains) > -1e-3  # of an optimum that was the lower one after fifty iterations
    assert max(gains) > 0.01
    assert max(len(moe.start_lower_bounds_) for moe in searched) > 4


@pytest.mark.parametrize("far", ["X", "y"])
def test_rows_of_weight_zero_may_be_beyond_single_precision(far):
    X, y = regimes(3)
    reference = mixture(n_experts=3).fit(X[1:], y[1:])
    {"X": X, "y": y}[far][0] = 1e60
    moe = mixture(n_experts=3).fit(X, y, sample_weight=np.arange(len(y)) > 0)
    assert moe.lower_bound_ == pytest.approx(reference.lower_bound_, abs=1e-9)


def test_fifty_starts_reach_the_optimum_that_one_needs_luck_for():
    X, y = regimes(8, seed=2)
    make = partial(mixture, n_experts=8, training="em", cv=False)
    one = [make(n_init=1, random_state=seed).fit(X, y).lower_bound_ for seed in range(4)]
    fifty = [make(n_init=50, random_state=seed).fit(X, y).lower_bound_ for seed in (0, 2)]
    assert min(one) < min(fifty) - 0.1
    assert max(one) < min(fifty) + 1e-3
    assert max(fifty) - min(fifty) < 1e-3


def test_more_starts_are_given_more_iterations_where_these_are_limited(monkeypatch):
    monkeypatch.setattr(trainer, "SEARCH_WORK", 1.2e7)
    X, y = regimes(5)
    few, many = (mixture(n_experts=5, n_init=n_init).fit(X, y) for n_init in (10, 40))
    n_few, n_many = (sum(map(len, moe.start_lower_bounds_)) for moe in (few, many))
    assert n_many > 3 * n_few


def test_a_long_search_of_pooled_experts_is_cut_short_unless_n_init_is_large(monkeypatch):
    X, y = regimes(7)
    begun, start = [], PooledProblem.start
    monkeypatch.setattr(PooledProblem, "start", lambda *given: begun.append(1) or start(*given))

    def found(**params):
        begun.clear()
        moe = MixtureOfExpertsRegressor(random_state=0, **params).fit(X, y)
        cut = any("was cut short" in note for note in moe.expert_report().notes)
        return cut, len(begun), moe.log_evidence_

    _, n_whole, evidence = found()
    monkeypatch.setattr("skmoe._pooling.trainer.MOVES_WORK", 2e3)
    cut, n_short, less = found()
    assert cut
    assert n_short < 0.7 * n_whole
    assert less[5] == pytest.approx(evidence[5], abs=1e-3)  # found before
    assert not found(n_init=200)[0]


def test_an_optimum_that_all_starts_reach_is_enough():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = np.where(X[:, 0] > 0, 5 + X[:, 0], -5 - X[:, 0]) + 0.1 * rng.normal(size=200)
    moe = mixture(n_experts=2).fit(X, y)
    assert 4 < len(moe.start_lower_bounds_) <= 4 + 3 * (4 * 4 + 2)  # moves in vain, from three ends
    many = mixture(n_experts=2, n_init=10).fit(X, y)
    assert len(many.start_lower_bounds_) < 10 + 4 * 10  # where nine of ten lead, fewer moves
    assert many.lower_bound_ > moe.lower_bound_ - 1e-6
    assert not any("reached the best" in note for note in moe.expert_report().notes)


@pytest.mark.parametrize("n_experts", [3, 4])
@pytest.mark.parametrize("kind", ["halves", "other"])
def test_moves_are_other_responsibilities_and_a_weight_of_two_is_a_row_given_twice(n_experts, kind):
    X, y = regimes(n_experts, n=100)
    moe = mixture(n_experts=n_experts).fit(X, y)
    weight = np.where(np.arange(100) % 3, 1, 2)

    def moves(rows, weight):
        data = SimpleNamespace(target=y[rows, None], columns=X[rows], weight=weight)
        resp = moe.responsibilities(X[rows], y[rows])
        other = np.roll(resp, 1, axis=1) ** 2 if kind == "other" else None
        return resp, moved(data, resp, 6, np.random.RandomState(0), other)

    resp, of_weights = moves(np.arange(100), weight.astype(float))
    repeated = np.repeat(np.arange(100), weight)
    _, of_rows = moves(repeated, np.ones(len(repeated)))
    assert len(of_weights) == 6
    for start, same in zip(of_weights, of_rows, strict=True):
        np.testing.assert_allclose(start.sum(axis=1), 1.0)
        assert (start >= 0).all()
        assert np.abs(start - resp).max() > 0.1
        np.testing.assert_allclose(start[repeated], same, atol=1e-9)


@pytest.mark.parametrize("kind", ["lines", "classes", "counts", "top_k", "constant"])
def test_runs_from_starts_are_those_of_the_problem(kind, monkeypatch):
    X, y = regimes(3)
    weight, params = np.random.default_rng(0).integers(0, 3, len(y)) * 1.0, {}
    make = MixtureOfExpertsClassifier if kind == "classes" else MixtureOfExpertsRegressor
    if kind in ("top_k", "constant"):
        params = {"top_k": 2} if kind == "top_k" else {"gate": ConstantGate()}
    y, expert = (y > 0, LogisticRegression()) if kind == "classes" else (y, LinearRegression())
    if kind == "counts":
        y, expert, params = np.rint(np.exp(y)), PoissonRegressor(alpha=0), {"likelihood": "poisson"}

    def climb_from(problem, starts, *given, **settings):
        # Those of a search are in single precision; the same runs in double are exact.
        for (rounded, exact), resp in product([(False, 1e-9), (True, 1e-5)], starts):
            climbing = problem.climbing(rounded)
            objectives, state, rows = climbing.climb(resp, None, 12, 0.0)
            same, same_state, same_rows = Problem.climb(problem, resp, None, 12, 0.0)
            n_both = min(len(objectives), len(same))  # rounding may end one earlier
            assert n_both >= 8
            np.testing.assert_allclose(objectives[:n_both], same[:n_both], rtol=0, atol=exact)
            np.testing.assert_allclose(rows, same_rows, rtol=1e-3 if rounded else 1e-6)
            resp = climbing.resp_of(state)
            same_resp = problem.resp_of(same_state)
            np.testing.assert_allclose(resp, same_resp, rtol=0, atol=1e-3 if rounded else 1e-9)
            twin = problem.fork()
            twin.restore(state)  # with an iteration in double precision
            assert twin.objective >= objectives[-1] - 1e-6
            twin.sweep.take_pass(twin)
            of_pass = (twin.sums.value + twin.log_prior()) / weight.sum()
            np.testing.assert_allclose(twin.objective, of_pass, rtol=1e-12)
        return starts_of_em.climb_from(problem, starts, *given, **settings)

    monkeypatch.setattr(trainer, "climb_from", climb_from)
    make(expert, 3, n_init=4, random_state=0, **params).fit(X, y, sample_weight=weight)


def test_other_errors_are_searched_from_the_optimum_of_normal_ones(monkeypatch):
    X, y = regimes(2, n=120)
    y = y + 0.1 * np.random.default_rng(1).standard_t(2, 120)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, training="em", n_init=4, likelihood="student_t", random_state=0
    )
    searched = []

    def climb_from(problem, starts, *given, most, **settings):
        searched.append((problem.is_compiled, most))
        return starts_of_em.climb_from(problem, starts, *given, most=most, **settings)

    monkeypatch.setattr(trainer, "climb_from", climb_from)
    moe.fit(X, y)
    (is_compiled, of_normal), (is_compiled_too, of_these) = searched
    assert is_compiled
    assert not is_compiled_too
    assert of_these == of_normal / 3
    found = moe.lower_bound_
    monkeypatch.setattr(trainer, "normal_lines", lambda *given: None)
    assert found > moe.fit(X, y).lower_bound_ - 1e-3
    assert searched[2:] == [(False, of_normal)]


def test_where_a_search_ends_does_not_depend_on_scales():
    X, y = regimes(4)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    params = {"n_experts": 4, "gate": ConstantGate(), "tol": 1e-12, "max_iter": 3000}
    moe = mixture(**params).fit(X, y, sample_weight=weight)
    # Numbers that single precision has not, or not near the others.
    scaled = mixture(**params).fit(1e-9 * X + 3e-7, y, sample_weight=3e15 * weight)
    np.testing.assert_allclose(scaled.predict(1e-9 * X + 3e-7), moe.predict(X), rtol=1e-4)
    np.testing.assert_allclose(scaled.lower_bound_, moe.lower_bound_, rtol=1e-8)


def test_an_expert_dissolves_among_the_others():
    resp = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
    expected = [[0.2 / 0.7, 0, 0.5 / 0.7], [0.5, 0, 0.5], [0.5, 0, 0.5]]
    np.testing.assert_allclose(dissolved(resp, 1), expected)


def test_starts_that_are_given_are_all_that_is_tried():
    X, y = regimes(2, n=120)

    def init(X, y, n_experts, random_state):
        return random_state.dirichlet(np.ones(n_experts), len(X))

    moe = mixture(n_experts=2, cv=False, init=init).set_params(n_init=20).fit(X, y)
    assert len(moe.start_lower_bounds_) == 20
