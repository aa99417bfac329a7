"""Other partitions into as many regimes: which are noted, and which are not."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_rand_score

from skmoe import MixtureOfExpertsRegressor
from skmoe._pooling import rivals
from skmoe._pooling.rivals import Rivals, rand_index

LABELS = np.repeat([0, 1], 50)
OTHERS = np.tile([0, 1], 50)


def stand_in(labels, nats, regime=None):
    """Stands for a pooled mixture of this partition of rows to experts, and evidence."""
    n_experts = labels.max() + 1
    ties = None if regime is None else SimpleNamespace(regime=regime, n_regimes=regime.max() + 1)
    problem = SimpleNamespace(
        evidence=nats / len(labels),
        resp=np.eye(n_experts)[labels],
        is_at_optimum=False,
        experts=SimpleNamespace(n_experts=n_experts, ties=ties),
    )
    problem.fork = lambda: problem
    return problem


def notes(chosen, *others, converge=lambda problem: problem, weight=None):
    found = Rivals(np.ones(len(LABELS)) if weight is None else weight, converge)
    for each in (chosen, *others):
        found.add(each)
    return found.notes(chosen)


def test_another_partition_of_nearly_as_much_evidence_is_noted():
    (note,) = notes(stand_in(LABELS, 0), stand_in(OTHERS, -2), stand_in(OTHERS, -1.5))
    assert "into 2 regimes (adjusted Rand index 0.00) has a log-evidence 1.5 nats below" in note
    (note,) = notes(stand_in(LABELS, 0), stand_in(OTHERS, 1))  # given up, and then it was better
    assert "1.0 nats above that of this one" in note


@pytest.mark.parametrize(
    "other",
    [
        stand_in(OTHERS, -3.5),  # far behind
        stand_in(1 - LABELS, -1),  # the same, by other names
        stand_in(np.r_[LABELS[:-1], 0], -1),  # a row apart
        stand_in(np.arange(100) % 3, -1),  # another number
    ],
)
def test_what_is_far_behind_or_the_same_is_not_noted(other):
    assert notes(stand_in(LABELS, 0), other) == []


def test_what_converges_to_the_mixture_that_is_kept_is_not_noted():
    chosen = stand_in(LABELS, 0)
    assert notes(chosen, stand_in(OTHERS, -1), converge=lambda problem: chosen) == []


def test_experts_of_one_regime_are_one_part():
    split = np.repeat([0, 1, 2, 3], 25)
    tied = stand_in(split, 0, np.array([0, 0, 1, 1]))
    assert notes(tied, stand_in(LABELS, -1)) == []
    assert len(notes(tied, stand_in(OTHERS, -1))) == 1
    crossed = stand_in(split, -1, np.array([0, 1, 0, 1]))
    assert len(notes(tied, crossed)) == 1


def test_evidence_is_that_of_all_rows_by_weight():
    far = stand_in(OTHERS, -2)
    assert notes(stand_in(LABELS, 0), far, weight=np.full(100, 2.0)) == []  # 4 nats


@pytest.mark.parametrize("seed", range(3))
def test_rand_index_is_that_of_pairs_and_weights_are_repeats(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=2000)
    others = np.where(rng.random(2000) < 0.7, labels, rng.integers(4, size=2000))
    weight = rng.integers(1, 4, size=2000)
    index = rand_index(labels, others, weight)
    # That of pairs of different rows differs by the reciprocal of their number.
    repeated = adjusted_rand_score(np.repeat(labels, weight), np.repeat(others, weight))
    assert_allclose(index, repeated, atol=2e-3)
    assert_allclose(index, rand_index(labels, others, 0.1 * weight))
    assert_allclose(
        index,
        rand_index(np.repeat(labels, weight), np.repeat(others, weight), np.ones(weight.sum())),
    )
    assert rand_index(labels, labels, weight) == 1


def lines(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 1))
    return X, np.where(rng.random(n) < 0.5, 2 * X[:, 0] + 3, -2 * X[:, 0]) + 0.3 * rng.normal(
        size=n
    )


def test_report_and_plan_say_so(monkeypatch):
    X, y = lines()
    plain = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert "Another partition" not in str(plain.expert_report())  # where regimes are clear
    monkeypatch.setattr(rivals, "CLOSE", np.inf)
    monkeypatch.setattr(rivals, "ALIKE", 1.1)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    for said in (moe.expert_report(), moe.plan_):
        assert "Another partition of the rows into 2 regimes" in " ".join(str(said).split())
    assert_allclose(moe.predict(X), plain.predict(X))  # what is noted changes nothing


@pytest.mark.parametrize("shape", [0.5, 50.0])
def test_no_model_of_counts_exceeds_the_means_that_are_the_counts(shape):
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=200), np.ones(200)])
    mean = np.exp(design @ [1.0, 1.0])
    y = rng.poisson(mean * rng.gamma(shape, 1 / shape, size=200)).astype(float)
    problem = SimpleNamespace(
        experts=SimpleNamespace(design=design),
        data=SimpleNamespace(y=y, exposure=None),
        weight=rng.uniform(0.5, 2, size=200),
    )
    found = rivals.overdispersed_evidence(problem, rivals.PoissonFamily)
    assert -np.inf < found < rivals._most_of_counts(problem)
