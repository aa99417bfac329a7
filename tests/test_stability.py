"""Stability: numbers of regimes, Rand indices, rows that change; facts travel; the picture."""

from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference import Stability


def two_lines(n=120, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = np.where(X[:, 1] > 0, 2 * X[:, 0] + 3, -2 * X[:, 0]) + noise * rng.normal(size=n)
    return X, y


def by_em(**settings):
    settings = {"n_experts": 2, "n_init": 2, "cv": False, "random_state": 0, **settings}
    return MixtureOfExpertsRegressor(**settings, training="em")


def of_labels(seeds, halves, labels=(0, 0, 0, 1, 1, 1), **settings):
    """A Stability of partitions that are given."""
    labels_by = {"seeds": np.array(seeds), "halves": np.array(halves)}
    return Stability(
        np.array(labels),
        max(labels) + 1,
        n_by={source: each.max(axis=1) + 1 for source, each in labels_by.items()},
        labels_by=labels_by,
        random_states={source: np.arange(len(each)) for source, each in labels_by.items()},
        **settings,
    )


@pytest.fixture(scope="module")
def clear():
    X, y = two_lines()
    moe = by_em().fit(X, y)
    return moe, X, y, moe.stability(X, y, n_resamples=5, random_state=0)


def test_clear_regimes_are_found_again_in_the_same_rows(clear):
    stability = clear[-1]
    for source in ("seeds", "halves"):
        assert stability.share[source] == {2: 1.0}
        assert stability.rand[source].min() > 0.95
        assert stability.changes[source].mean() < 0.02
    assert "Stable: seeds and halves of the rows agree on 2 experts (n_exp" in stability.verdict()
    assert stability.word == "expert"


@pytest.mark.parametrize("n_lines", [1, 2])
def test_pooled_regimes_are_found_again_and_noise_is_one(n_lines):
    X, y = two_lines(160)
    if n_lines == 1:
        y = X[:, 0] + np.random.default_rng(0).normal(size=160)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    stability = moe.stability(X, y, n_resamples=3, random_state=0)
    assert stability.word == "regime"
    assert stability.n_regimes == n_lines
    for source in ("seeds", "halves"):
        assert stability.share[source] == {n_lines: 1.0}
        assert stability.rand[source].min() > 0.95
    assert stability.verdict().startswith("Stable")


def test_rand_index_and_changes_are_those_of_counted_pairs():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=30)
    refits = rng.integers(4, size=(6, 30))
    stability = of_labels(refits[:3], refits[3:], labels)
    pairs = list(combinations(range(30), 2))
    for source, others in (("seeds", refits[:3]), ("halves", refits[3:])):
        rand, moved = [], []
        for other in others:
            one = np.array([labels[i] == labels[j] for i, j in pairs])
            two = np.array([other[i] == other[j] for i, j in pairs])
            both, expected = (one & two).sum(), one.sum() * two.sum() / len(pairs)
            rand.append((both - expected) / ((one.sum() + two.sum()) / 2 - expected))
            names = [np.array(names) for names in permutations([0, 1, 2, 3])]
            moved.append(min(np.mean(each[other] != labels) for each in names))
        assert_allclose(stability.rand[source], rand)
        assert_allclose(stability.changes[source].mean(), np.mean(moved))


def test_seeds_are_fits_that_can_be_repeated():
    X, y = two_lines(60, noise=2.5)
    moe = by_em(n_experts=3, n_init=1).fit(X, y)
    stability = moe.stability(X, y, n_resamples=4, random_state=0)
    for seed, labels in zip(
        stability.random_states["seeds"], stability.labels_by["seeds"], strict=True
    ):
        twin = by_em(n_experts=3, n_init=1, random_state=int(seed)).fit(X, y)
        assert_array_equal(twin.responsibilities(X, y).argmax(axis=1), labels)


def test_rows_of_weight_zero_are_none(clear):
    _, X, y, _ = clear
    weight = np.r_[np.full(len(y), 2.0), np.zeros(20)]
    more, target = np.vstack([X, X[:20]]), np.r_[y, -10 * y[:20]]
    moe = by_em().fit(more, target, sample_weight=weight)
    stability = moe.stability(more, target, weight, n_resamples=3, random_state=0)
    alone = by_em().fit(X, y, sample_weight=weight[: len(y)])
    expected = alone.stability(X, y, weight[: len(y)], n_resamples=3, random_state=0)
    assert_allclose(stability.rand["seeds"], expected.rand["seeds"])
    assert_allclose(stability.changes["seeds"][: len(y)], expected.changes["seeds"])
    assert len(stability.labels) == len(target)


def fits_of(monkeypatch, moe, *args, **params):
    """What each refit of ``stability`` was given: rows, weights and facts."""
    given = []
    fit = type(moe).fit

    def recorded(mixture, X, y, sample_weight=None, **facts):
        given.append({"X": X, "y": y, "sample_weight": sample_weight, **facts})
        return fit(mixture, X, y, sample_weight, **facts)

    monkeypatch.setattr(type(moe), "fit", recorded)
    moe.stability(*args, **params, n_resamples=2, random_state=0)
    return given


def test_halves_are_of_whole_subjects(monkeypatch):
    rng = np.random.default_rng(0)
    subject = np.repeat([f"p{i}" for i in range(30)], 4)
    up = np.repeat(rng.uniform(size=30) < 0.5, 4)
    X = rng.normal(size=(120, 1))
    y = np.where(up, 3 + X[:, 0], -2 * X[:, 0]) + 0.3 * rng.normal(size=120)
    moe = by_em(gate=ConstantGate()).fit(X, y, subject=subject)
    stability = moe.stability(X, y, subject=subject, n_resamples=2, random_state=0)
    assert (stability.labels.reshape(30, 4) == stability.labels[::4, None]).all()
    assert stability.rand["halves"].min() > 0.9
    for each in fits_of(monkeypatch, moe, X, y, subject=subject)[2:]:
        names, counts = np.unique(each["subject"], return_counts=True)
        assert len(names) == 15
        assert (counts == 4).all()
    with pytest.raises(ValueError, match="not both"):
        moe.stability(X, y, subject=subject, groups=subject)


def test_halves_of_classes_have_all_of_them():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = np.where((X[:, 0] > 0) ^ (X[:, 1] > 0), "a", "b")
    y[:2] = "rare"
    moe = MixtureOfExpertsClassifier(
        n_experts=2, training="em", n_init=1, cv=False, max_iter=50, tol=1e-2, random_state=0
    )
    stability = moe.fit(X, y).stability(X, y, n_resamples=4, random_state=0)
    assert stability.labels_by["halves"].shape == (4, 60)
    with pytest.raises(ValueError, match="lack a class"):  # where each class is a group
        moe.stability(X, y, groups=y, n_resamples=2, random_state=0)


def test_what_has_no_regimes_is_refused():
    X, y = two_lines(60)
    experts = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=2))]
    stack = MixtureOfExpertsRegressor(experts, training="stack", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="Training by 'stack'.*experts=None"):
        stack.stability(X, y)
    moe = by_em().fit(X, y)
    with pytest.raises(ValueError, match="n_resamples must be at least 2"):
        moe.stability(X, y, n_resamples=1)
    with pytest.raises(ValueError, match="After partial_fit"):
        moe.partial_fit(X, y).stability(X, y)
