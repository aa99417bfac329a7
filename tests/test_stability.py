"""Stability: numbers of regimes, Rand indices, rows that change; facts travel; the picture."""

import copy
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference import Stability
from skmoe.inference._bootstrap import BootstrapRows
from skmoe.inference._stability import changed


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
    assert stability.verdict().startswith("Stable")
    assert stability.word == "expert"


@pytest.mark.slow
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


@pytest.mark.slow
def test_experts_of_one_regime_are_one_side():
    # Exponential errors take several experts, of one regime: no row can change sides.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X @ [1, 2] + rng.exponential(size=200)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert len(moe.experts_) > moe.n_regimes_ == 1
    stability = moe.stability(X, y, n_resamples=2, random_state=0)
    assert (stability.labels == 0).all()
    assert stability.share["seeds"] == {1: 1.0}


def test_a_close_call_shows_several_numbers():
    X, y = two_lines(60, noise=2.5)
    moe = by_em(n_experts="auto").fit(X, y)
    stability = moe.stability(X, y, n_resamples=6, random_state=0)
    assert len(stability.share["halves"]) > 1
    assert_allclose(sum(stability.share["halves"].values()), 1)
    assert stability.verdict().startswith(("The number ", "Not settled"))


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


@pytest.mark.parametrize("n_found", [1, 2, 3, 5])
def test_names_of_regimes_do_not_count(n_found):
    rng = np.random.default_rng(n_found)
    labels, other = rng.integers(3, size=50), rng.integers(n_found, size=50)
    everyone = np.ones(50, bool)
    renamed = rng.permutation(n_found)[other]
    assert_array_equal(changed(labels, other, everyone), changed(labels, renamed, everyone))
    assert not changed(other, renamed, everyone).any()


VERDICTS = {
    "Stable: seeds": ([[1, 1, 1, 0, 0, 0]] * 2, [[0, 0, 0, 1, 1, 1]] * 2),
    "Not settled: on the same rows": ([[0, 0, 1, 2, 2, 2]] * 2, [[0, 0, 0, 1, 1, 1]] * 2),
    "Not settled: seeds agree on": ([[0, 1, 0, 1, 0, 1]] * 2, [[0, 0, 0, 1, 1, 1]] * 2),
    "The number is open": ([[0, 0, 0, 1, 1, 1]] * 2, [[0, 0, 1, 1, 2, 2]] * 2),
    "The number takes all": ([[0, 0, 0, 1, 1, 1]] * 2, [[0, 0, 0, 0, 0, 0]] * 2),
    "The number is stable": ([[0, 0, 0, 1, 1, 1]] * 2, [[0, 1, 0, 1, 0, 1]] * 2),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_one_sentence_says_what_it_comes_to(verdict):
    stability = of_labels(*VERDICTS[verdict])
    assert stability.verdict().startswith(verdict)
    assert str(stability).endswith(stability.verdict())
    assert stability.verdict() in stability._repr_html_()
    assert "2 regimes (the fit)" in str(stability)


def test_frames_hold_refits_and_rows(clear):
    moe, X, _, stability = clear
    refits = stability.to_frame()
    assert refits.index.names == ["source", "refit"]
    assert list(refits.columns) == ["random_state", "n_experts", "rand"]
    assert_allclose(refits.loc["halves", "rand"], stability.rand["halves"])
    rows = stability.to_frame("rows")
    assert len(rows) == len(X)
    assert_allclose(rows["changes_by_halves"], stability.changes["halves"])
    with pytest.raises(ValueError, match="'refits' or 'rows'"):
        stability.to_frame("columns")


def test_result_is_reproducible_and_does_not_depend_on_jobs(clear):
    moe, X, y, stability = clear
    with parallel_config("threading"):
        again = moe.stability(X, y, n_resamples=5, random_state=0, n_jobs=2)
    for source in ("seeds", "halves"):
        assert_array_equal(again.labels_by[source], stability.labels_by[source])
        assert_array_equal(again.n_by[source], stability.n_by[source])
    other = moe.stability(X, y, n_resamples=5, random_state=1)
    assert (other.random_states["seeds"] != stability.random_states["seeds"]).all()


def test_seeds_are_fits_that_can_be_repeated():
    X, y = two_lines(60, noise=2.5)
    moe = by_em(n_experts=3, n_init=1).fit(X, y)
    stability = moe.stability(X, y, n_resamples=4, random_state=0)
    for seed, labels in zip(
        stability.random_states["seeds"], stability.labels_by["seeds"], strict=True
    ):
        twin = by_em(n_experts=3, n_init=1, random_state=int(seed)).fit(X, y)
        assert_array_equal(twin.responsibilities(X, y).argmax(axis=1), labels)


def test_the_fitted_mixture_stays_as_it_is(clear):
    _, X, y, _ = clear
    moe = by_em(warm_start=True).fit(X, y)
    before, params = copy.deepcopy(vars(moe)), moe.get_params()
    resp = moe.responsibilities(X, y)
    moe.stability(X, y, n_resamples=2, random_state=0)
    assert vars(moe).keys() == before.keys()
    assert moe.get_params() == params
    assert_array_equal(moe.responsibilities(X, y), resp)
    assert_array_equal(moe.lower_bounds_, before["lower_bounds_"])


def test_warm_start_is_not_gone_on_with():
    X, y = two_lines(60, noise=2.5)
    settings = {"n_experts": 3, "n_init": 1}
    cold, warm = (by_em(**settings, warm_start=each).fit(X, y) for each in (False, True))
    cold, warm = (each.stability(X, y, n_resamples=3, random_state=0) for each in (cold, warm))
    assert_array_equal(cold.labels_by["seeds"], warm.labels_by["seeds"])


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


def test_weights_and_exposure_travel_with_their_rows(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1))
    exposure, weight = rng.uniform(1, 3, size=80), rng.uniform(0.5, 2, size=80)
    y = rng.poisson(exposure * np.exp(np.where(X[:, 0] > 0, X[:, 0], 1)))
    moe = by_em(likelihood="poisson").fit(X, y, sample_weight=weight, exposure=exposure)
    given = fits_of(monkeypatch, moe, X, y, weight, exposure=exposure)
    place = {value: i for i, value in enumerate(X[:, 0])}
    assert [len(each["y"]) for each in given] == [80, 80, 40, 40]
    for each in given:
        rows = [place[value] for value in each["X"][:, 0]]
        assert len(set(rows)) == len(rows)
        assert_array_equal(each["y"], y[rows])
        assert_array_equal(each["sample_weight"], weight[rows])
        assert_array_equal(each["exposure"], exposure[rows])


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


@pytest.mark.parametrize("n_units", [2, 5, 8])
def test_a_half_is_of_units_without_repeats(n_units):
    unit = np.tile(np.arange(n_units), 3)
    weight = np.where(unit == 0, 0.0, 1.0)
    rows = BootstrapRows(None, unit, weight, None, None, unit)
    half = rows.halve(np.random.RandomState(0))
    assert len(set(half)) == len(half)
    assert (weight[half] > 0).all()
    kept = set(unit[half])
    assert set(half) == {i for i in range(len(unit)) if unit[i] in kept}
    assert -(-n_units // 2) - 1 <= len(kept) <= -(-n_units // 2)


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


def test_string_columns_whose_levels_a_half_lacks():
    X, y = two_lines(60)
    table = pd.DataFrame({"x": X[:, 0], "side": np.where(X[:, 1] > 0, "left", "right")})
    table.loc[0, "side"] = "seldom"
    moe = by_em().fit(table, y)
    stability = moe.stability(table, y, n_resamples=4, random_state=0)
    assert stability.rand["halves"].shape == (4,)


def test_what_has_no_regimes_is_refused():
    X, y = two_lines(60)
    experts = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=2))]
    stack = MixtureOfExpertsRegressor(experts, training="stack", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="Training by 'stack'.*training='em'"):
        stack.stability(X, y)
    moe = by_em().fit(X, y)
    with pytest.raises(ValueError, match="n_resamples must be 2"):
        moe.stability(X, y, n_resamples=1)
    with pytest.raises(ValueError, match="After partial_fit"):
        moe.partial_fit(X, y).stability(X, y)
