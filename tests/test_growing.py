"""Experts that are added, removed and replaced: what is learned, and what stays as it was."""

import copy
import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._updates import growing
from skmoe.exceptions import ExpertCollapseWarning, IgnoredWeightsWarning, NoReplayWarning
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate

NEW_SLOPES, NEW_INTERCEPT, NEW_SCALE = np.array([-1.5, 1.0]), 5.0, 0.3


def old_rows(n, seed):
    """Rows of three planes, each in a region of its own around the origin."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n, 2))
    k = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    planes = [X[:, 0] - 2 * X[:, 1], 2 * X[:, 0] + 3, -X[:, 1] * 2 - 2]
    return X, np.choose(k, planes) + 0.2 * rng.normal(size=n)


def new_rows(n, seed):
    """Rows of a fourth plane, beside the others."""
    rng = np.random.default_rng(seed)
    X = rng.uniform([4, -3], [7, 3], size=(n, 2))
    return X, X @ NEW_SLOPES + NEW_INTERCEPT + NEW_SCALE * rng.normal(size=n)


def both(*parts):
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def score(moe, X, y):
    return moe.log_density(X, y).mean()


regressor = partial(MixtureOfExpertsRegressor, training="em", n_init=3, random_state=0)


OLD, NEW = old_rows(1500, 0), new_rows(300, 1)
REPLAY = OLD[0][::50], OLD[1][::50]  # 2 %, and drawn in no order


@pytest.fixture(scope="module")
def three_lines():
    return regressor(n_experts=3).fit(*OLD)


@pytest.fixture
def moe(three_lines):
    return copy.deepcopy(three_lines)


@pytest.fixture(scope="module")
def grown(three_lines):
    return copy.deepcopy(three_lines).add_expert(*NEW, replay=REPLAY)


# Adding -----------------------------------------------------------------------------------------


def test_two_percent_of_the_old_rows_keep_the_old_and_teach_the_new(three_lines, grown):
    old, new = old_rows(4000, 2), new_rows(2000, 3)
    refit = regressor(n_experts=4, n_init=6).fit(*both(OLD, NEW))
    assert score(grown, *old) > score(three_lines, *old) - 0.02
    moved = np.abs(grown.predict(old[0]) - three_lines.predict(old[0])).mean()
    assert moved < 0.03 * old[1].std()
    assert score(three_lines, *new) < -50  # which knew nothing of these
    assert score(grown, *new) > score(refit, *new) - 0.03


def test_new_expert_recovers_its_plane(grown):
    expert = grown.named_experts_["expert3"]
    # Standard errors: 0.3 / sqrt(300) over the spread 0.87 and 1.7 of the columns; 0.11 for the
    # intercept, which lies 5.5 from the middle of the rows.
    assert_allclose(expert.coef_, NEW_SLOPES, atol=0.06)
    assert_allclose(expert.intercept_, NEW_INTERCEPT, atol=0.35)
    assert_allclose(grown.likelihood_.scale_[3], NEW_SCALE, rtol=0.15)
    assert_allclose(grown.expert_load_[3], len(NEW[1]) / (len(NEW[1]) + len(OLD[1])), atol=0.01)


def test_old_experts_scales_and_proportions_stay(three_lines, moe):
    before = list(moe.experts_)
    moe.add_expert(*NEW, replay=REPLAY)
    assert list(moe.named_experts_) == ["expert0", "expert1", "expert2", "expert3"]
    assert all(new is old for new, old in zip(moe.experts_, before, strict=False))
    assert_array_equal(moe.likelihood_.scale_[:3], three_lines.likelihood_.scale_)
    X = np.concatenate([old_rows(500, 4)[0], new_rows(500, 4)[0], [[200.0, -300.0]]])
    assert_allclose(moe.gate_proba(X).sum(axis=1), 1, rtol=1e-12)
    log_proba = moe.gate_.predict_log_proba(X)
    log_ratios = log_proba[:, :3] - special.logsumexp(log_proba[:, :3], axis=1, keepdims=True)
    assert_allclose(log_ratios, three_lines.gate_.predict_log_proba(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "gate",
    [
        GaussianGate(),
        LogisticRegression(),
        make_pipeline(StandardScaler(), SoftmaxGate()),
        make_pipeline(StandardScaler(), LogisticRegression()),
        TreeGate([2, 1]),
    ],
    ids=["gaussian", "classifier", "pipeline", "pipeline of a classifier", "tree"],
)
@pytest.mark.parametrize("n_experts", [3, 1])
def test_any_gate_is_grown_and_keeps_its_proportions(gate, n_experts):
    old, held_out, new = old_rows(300, 0), old_rows(500, 2), new_rows(500, 3)
    gate = None if n_experts == 1 and isinstance(gate, TreeGate) else gate
    moe = regressor(n_experts=n_experts, n_init=1, gate=gate).fit(*old)
    proportions, before = moe.gate_proba(held_out[0]), score(moe, *held_out)
    moe.add_expert(*new_rows(60, 1), replay=(old[0][::10], old[1][::10]))
    grown = moe.gate_proba(held_out[0])[:, :-1]
    assert_allclose(grown / grown.sum(axis=1, keepdims=True), proportions, rtol=1e-9, atol=1e-12)
    assert score(moe, *held_out) > before - 0.05
    assert score(moe, *new) > -0.4  # entropy of the noise: log(0.3) + 1.42 = 0.21


def test_likelihood_rises_from_step_to_step(moe, monkeypatch):
    runs = []
    run_em = growing.run_em
    monkeypatch.setattr(
        growing, "run_em", lambda *args, **kwargs: runs.append(run_em(*args, **kwargs)) or runs[-1]
    )
    X, y = both(NEW, old_rows(100, 5))  # of which a third is no news
    moe.add_expert(X, y, replay=REPLAY)
    for run in runs:
        assert run.converged
        assert len(run.objectives) > 3
        assert np.diff(run.objectives).min() > -1e-9


def test_new_rows_of_old_regimes_are_left_to_these(moe):
    moe.add_expert(*both(NEW, old_rows(300, 5)), replay=REPLAY)
    assert_allclose(moe.experts_[-1].coef_, NEW_SLOPES, atol=0.08)
    assert_allclose(moe.likelihood_.scale_[-1], NEW_SCALE, rtol=0.2)
    assert_allclose(moe.expert_load_[-1], 300 / 2100, atol=0.02)


def test_new_regime_among_the_old_rows_is_a_part_of_the_density(three_lines, moe):
    """Which x cannot part from the old: the density has both, in their proportions."""
    X, y = old_rows(3000, 6)
    n_new = 1000
    y[:n_new] = 20 + X[:n_new, 0] + 0.3 * np.random.default_rng(0).normal(size=n_new)
    moe.add_expert(X[: n_new // 2], y[: n_new // 2], replay=REPLAY)
    assert_allclose(moe.experts_[-1].coef_, [1, 0], atol=0.03)
    share = 500 / 2000
    assert_allclose(moe.gate_proba(X)[:, -1].mean(), share, atol=0.02)
    old = old_rows(2000, 7)
    # All that an old row can lose is the logarithm of its share.
    assert score(moe, *old) == pytest.approx(np.log(1 - share) + score(three_lines, *old), abs=0.03)


def test_replay_rows_are_old_whatever_their_target():
    """Even where the new expert, which goes through them, would explain them better."""
    moe = regressor(n_experts=1).fit(*OLD)
    X = REPLAY[0]
    moe.add_expert(*NEW, replay=(X, X @ NEW_SLOPES + NEW_INTERCEPT))
    assert moe.likelihood_.scale_[1] < 0.2 * moe.likelihood_.scale_[0]
    assert moe.gate_proba(OLD[0])[:, 1].mean() < 0.02
    assert moe.expert_load_[1] == pytest.approx(300 / 1800, abs=0.01)


@pytest.mark.parametrize("n_new", [10, 300])
def test_new_expert_learns_nothing_from_replay_rows(n_new):
    moe = regressor(n_experts=1, cv=False).fit(*OLD)
    held_out = old_rows(2000, 2)
    before = score(moe, *held_out)
    tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=0)
    moe.add_expert(NEW[0][:n_new], NEW[1][:n_new], tree, replay=REPLAY)
    assert score(moe, *held_out) > before - 0.02
    fitted = moe.experts_[1].tree_
    assert 0.9 * n_new <= fitted.n_node_samples[0] <= n_new  # the old plane may have a few
    assert fitted.threshold[fitted.feature == 0].min() > 4  # no split at all among the old rows


def test_replay_rows_count_by_their_share_and_weights_are_repeats(three_lines):
    """Replay rows given twice stand for half as many each; new rows of weight 2 are two rows."""

    def grow(replay, X, y, weight=None):
        return copy.deepcopy(three_lines).add_expert(X, y, sample_weight=weight, replay=replay)

    X, y = NEW
    weight = np.tile([1.0, 2.0, 3.0], 100)
    times = weight.astype(int)
    one = grow(REPLAY, X, y, weight)
    other = grow(both(REPLAY, REPLAY), np.repeat(X, times, axis=0), np.repeat(y, times))
    rows = both(old_rows(200, 2), new_rows(200, 3))
    assert_allclose(one.log_density(*rows), other.log_density(*rows), rtol=1e-6)
    assert_allclose(one.expert_load_, other.expert_load_, rtol=1e-6)
    assert one.n_samples_seen_ == other.n_samples_seen_ == 1500 + 600


def test_all_old_rows_are_their_own_replay(three_lines, grown):
    whole = copy.deepcopy(three_lines).add_expert(*NEW, replay=OLD)
    for X, y in [old_rows(2000, 2), new_rows(2000, 3)]:
        assert_allclose(score(grown, X, y), score(whole, X, y), atol=0.02)


@pytest.mark.parametrize("table", [False, True])
def test_gaussian_gate_generates_the_old_rows(table):
    def given(X):
        return pd.DataFrame(X, columns=["a", "b"]) if table else X

    held_out, new = old_rows(2000, 2), new_rows(2000, 3)
    moe = regressor(n_experts=3, gate=GaussianGate(), n_init=1).fit(given(OLD[0]), OLD[1])
    before, mean = score(moe, given(held_out[0]), held_out[1]), moe.predict(given(held_out[0]))
    moe.add_expert(given(NEW[0]), NEW[1])
    assert score(moe, given(held_out[0]), held_out[1]) > before - 0.05
    assert np.abs(moe.predict(given(held_out[0])) - mean).mean() < 0.05 * held_out[1].std()
    assert score(moe, given(new[0]), new[1]) > -0.4


def test_without_old_rows_nothing_is_added_unless_that_is_asked_for(moe):
    before, bytes_before = vars(moe).copy(), pickle.dumps(moe)
    with pytest.raises(ValueError, match=r"Pass replay=\(X_old, y_old\), drawn at random"):
        moe.add_expert(*NEW)
    assert all(vars(moe)[name] is before[name] for name in before)
    assert pickle.dumps(moe) == bytes_before
    with pytest.warns(NoReplayWarning, match="may take over everywhere") as warned:
        moe.add_expert(*NEW, replay=())
    assert warned[0].filename == __file__
    assert moe.gate_proba(OLD[0])[:, -1].min() > 0.99


def test_gate_that_can_generate_old_rows_does_so_unless_there_are_to_be_none():
    moe = regressor(n_experts=2, n_init=1, gate=GaussianGate()).fit(*OLD)
    with pytest.warns(NoReplayWarning):
        moe.add_expert(*NEW, replay=[])
    assert moe.gate_proba(OLD[0])[:, -1].min() > 0.99


def test_expert_for_rows_that_are_known_collapses_with_a_warning(moe):
    with pytest.warns(ExpertCollapseWarning, match="'more' ended with next to no rows"):
        moe.add_expert(*old_rows(100, 5), name="more", replay=REPLAY)


def test_experts_are_added_one_after_the_other(three_lines, grown):
    X, y = new_rows(300, 8)
    X_third, y_third = X - [11, 0], 4 - y
    moe = copy.deepcopy(grown)
    replay = both(REPLAY, (NEW[0][::20], NEW[1][::20]))
    moe.add_expert(X_third, y_third, name="third", replay=replay)
    assert list(moe.named_experts_)[3:] == ["expert3", "third"]
    assert_allclose(moe.experts_[-1].coef_, -NEW_SLOPES, atol=0.06)
    for rows in [old_rows(1000, 2), new_rows(1000, 3)]:
        assert score(moe, *rows) > score(grown, *rows) - 0.02
        proba = moe.gate_proba(rows[0])[:, :4]
        proba /= proba.sum(axis=1, keepdims=True)
        assert_allclose(proba, grown.gate_proba(rows[0]), atol=1e-12)
    moe.remove_expert("third")  # and all is as it was
    assert_allclose(moe.log_density(*OLD), grown.log_density(*OLD), rtol=1e-12)
    moe.remove_expert("expert3")
    assert isinstance(moe.gate_, SoftmaxGate)
    assert_allclose(moe.log_density(*OLD), three_lines.log_density(*OLD), rtol=1e-12)


def test_flexible_expert_is_cross_fitted(moe):
    """A grown tree would have no errors on its own rows: its scale is that of new ones."""
    moe.set_params(cv=3)
    moe.add_expert(*NEW, DecisionTreeRegressor(min_samples_leaf=3, random_state=0), replay=REPLAY)
    X, y = new_rows(2000, 3)
    error = np.sqrt(np.mean((moe.experts_[-1].predict(X) - y) ** 2))
    assert 0.9 * error < moe.likelihood_.scale_[-1] < 1.3 * error  # a fold's tree errs more
    assert score(moe, X, y) > -1.0


def test_expert_without_weights_learns_from_the_new_rows_alone(moe):
    X, y = new_rows(100, 1)
    twin = copy.deepcopy(moe)
    moe.add_expert(X, y, KNeighborsRegressor(), replay=REPLAY)  # and no warning: no weights given
    assert moe.experts_[-1].n_samples_fit_ <= 100
    weight = np.linspace(0.5, 1.5, 100)
    with pytest.warns(IgnoredWeightsWarning, match="take no sample_weight"):
        twin.add_expert(X, y, KNeighborsRegressor(), sample_weight=weight, replay=REPLAY)


@pytest.mark.parametrize("top_k", [1, 2])
def test_sparse_mixture_grows(top_k):
    held_out, new = old_rows(1000, 2), new_rows(1000, 3)
    moe = regressor(n_experts=3, top_k=top_k).fit(*OLD)
    before = score(moe, *held_out)
    moe.add_expert(*NEW, replay=REPLAY)
    assert score(moe, *held_out) > before - 0.02
    assert score(moe, *new) > -0.3
    experts, weights = moe.route(new[0])
    assert experts.shape == (1000, top_k)
    assert (experts[:, 0] == 3).mean() > 0.99
    assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    moe.remove_expert("expert0").remove_expert("expert1")
    assert moe.route(new[0])[0].shape == (1000, min(top_k, 2))


def test_several_outputs_grow():
    def twice(rows):
        return rows[0], np.column_stack([rows[1], 1 - 2 * rows[1]])

    moe = regressor(n_experts=3).fit(*twice(OLD)).add_expert(*twice(NEW), replay=twice(REPLAY))
    assert_allclose(moe.experts_[-1].coef_, np.outer([1, -2], NEW_SLOPES), atol=0.12)
    X, y = twice(new_rows(500, 3))
    assert moe.score(X, y) > 0.95


def test_table_with_strings_grows_and_meets_a_category_that_it_does_not_know():
    def table(X, word):
        return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "word": word})

    old = table(OLD[0], np.where(OLD[0][:, 0] > 0, "right", "left"))
    moe = regressor(n_experts=3).fit(old, OLD[1])
    before = moe.log_density(old, OLD[1]).mean()
    moe.add_expert(table(NEW[0], "far"), NEW[1], replay=(old[::50], REPLAY[1]))
    assert moe.log_density(old, OLD[1]).mean() > before - 0.02
    X, y = new_rows(500, 3)
    assert moe.log_density(table(X, "far"), y).mean() > -0.3


# Classifiers ------------------------------------------------------------------------------------


def old_classes(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    one = X[:, 1] + 0.3 * rng.logistic(size=n) > 0
    return X, np.where(X[:, 0] < 0, np.where(one, "b", "a"), np.where(one, "c", "a"))


def new_classes(n, seed, n_classes=2):
    """Far to the right, of fewer classes: the other way up, or of one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)) + [7, 0]
    return X, np.where((X[:, 1] + 0.3 * rng.logistic(size=n) > 0) & (n_classes == 2), "a", "b")


@pytest.mark.parametrize("n_classes", [2, 1])
@pytest.mark.parametrize(
    "gate",
    [None, pytest.param(GaussianGate(), marks=pytest.mark.slow)],
    ids=["softmax", "gaussian"],
)
def test_classifier_grows_from_rows_of_some_of_its_classes(n_classes, gate):
    old, held_out = old_classes(600, 0), old_classes(2000, 2)
    moe = MixtureOfExpertsClassifier(
        n_experts=2, n_init=2, random_state=0, gate=gate, training="em"
    ).fit(*old)
    before = score(moe, *held_out)
    new = new_classes(100, 1, n_classes)
    moe.add_expert(*new, replay=(old[0][::30], old[1][::30]) if gate is None else None)
    assert score(moe, *held_out) > before - 0.02
    X, y = new_classes(2000, 3, n_classes)
    if n_classes == 2:
        truth = special.log_expit(np.where(y == "a", 1, -1) * X[:, 1] / 0.3).mean()
        assert score(moe, X, y) > truth - 0.05
    else:
        assert score(moe, X, y) > -0.03
    proba = moe.predict_proba(X)
    assert_array_equal(moe.classes_, ["a", "b", "c"])
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert proba[:, 2].mean() < 0.01  # none of it was ever seen there


def test_class_that_the_mixture_does_not_know_is_an_error():
    old = old_classes(200, 0)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=1, random_state=0, training="em").fit(*old)
    X, y = new_classes(50, 1)
    before = vars(moe).copy()
    with pytest.raises(ValueError, match=r"y has the classes \['d'\], which were not in fit"):
        moe.add_expert(X, np.where(y == "a", "d", y), replay=old)
    stranger = FrozenEstimator(LogisticRegression().fit(X, np.where(y == "a", "d", y)))
    with pytest.raises(ValueError, match=r"the classes \['d'\], which y does not hold"):
        moe.add_expert(X, y, stranger, replay=old)
    assert all(vars(moe)[name] is before[name] for name in before)


# Pooled experts ---------------------------------------------------------------------------------


def pooled_rows(kind, n, seed, *, is_new=False):
    """Rows of two lines with a target of a kind; new ones lie far away, and are of a third."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) + [8.0 * is_new, 0, 0]
    line = np.where(X[:, 0] > 0, 1 + 2 * X[:, 1], -2 * X[:, 1] - X[:, 2])
    line = 2 - 1.5 * X[:, 1] if is_new else line
    if kind == "classes":
        return X, np.where(2 * line + rng.logistic(size=n) > 0, "yes", "no")
    if kind == "three classes":
        return X, np.digitize(2 * line + rng.logistic(size=n), [-1, 2])
    if kind == "counts":
        return X, rng.poisson(np.exp(0.5 + 0.4 * line))
    y = line + 0.3 * rng.normal(size=n)
    if kind == "gamma":
        return X, np.exp(0.4 * y)
    if kind == "outputs":
        return X, np.column_stack([y, 1 - y + 0.3 * rng.normal(size=n)])
    if kind == "one regime":  # errors of two sizes: experts are tied, and the gate sees no rows
        return X, y if is_new else X[:, 1] + rng.choice([0.2, 1.5], size=n) * rng.normal(size=n)
    if kind == "table":
        word = rng.choice(["a", "b", "c"], size=n)
        table = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "w": X[:, 2], "word": word})
        table.loc[rng.random(n) < 0.05, "w"] = np.nan
        return table.replace({"word": {"a": "new"}}) if is_new else table, y + (word == "a")
    return X, y


def pooled_mixture(kind, **params):
    if "classes" in kind:
        return MixtureOfExpertsClassifier(random_state=0, **params)
    likelihood = {"counts": "poisson", "gamma": "gamma"}.get(kind, "auto")
    return MixtureOfExpertsRegressor(likelihood=likelihood, random_state=0, **params)


KINDS = {  # numbers of experts and old rows; None has the evidence choose
    "line": ("auto", 400),
    "few": ("auto", 90),
    "outputs": (2, 300),
    "table": (2, 300),
    "one regime": ("auto", 300),
    "counts": (2, 300),
    "gamma": (2, 300),
    "classes": ("auto", 125),
    "three classes": (2, 400),
}


@pytest.fixture(scope="module")
def pooled_mixtures():
    """Fits of each kind, made once."""
    fitted = {}

    def of_kind(kind):
        if kind not in fitted:
            n_experts, n = KINDS[kind]
            moe = pooled_mixture(kind, n_experts=n_experts)
            fitted[kind] = moe.fit(*pooled_rows(kind, n, 0))
            assert moe.likelihood_.averages_experts
        return copy.deepcopy(fitted[kind])

    return of_kind


def replay_of(kind):
    return pooled_rows(kind, 80, 0)  # the first of those of the fit


@pytest.mark.parametrize("kind", KINDS)
def test_pooled_experts_stay_as_they_are_when_one_is_added(pooled_mixtures, kind):
    moe = pooled_mixtures(kind)
    old, new = pooled_rows(kind, 1000, 2), pooled_rows(kind, 1000, 3, is_new=True)
    few_new = pooled_rows(kind, 120, 1, is_new=True)
    alone = clone(moe).set_params(n_experts=1, training="em").fit(*few_new)
    density, proba = moe.log_density(*old), moe.gate_proba(old[0])
    grown = copy.deepcopy(moe).add_expert(*few_new, name="new", replay=replay_of(kind))
    assert np.mean(density - grown.log_density(*old)) < 0.05
    assert score(grown, *new) > score(alone, *new) - 0.05  # some of 120 rows stay with the old
    assert score(grown, *new) > score(moe, *new) + 0.3
    left = grown.gate_proba(old[0])[:, :-1]
    assert_allclose(left / left.sum(axis=1, keepdims=True), proba, rtol=1e-9, atol=1e-12)
    # All that an old row may lose is the logarithm of the share of the old experts.
    assert np.all(grown.log_density(*old) > density + np.log(left.sum(axis=1)) - 1e-9)
    assert ("_beside" in vars(grown)) == ("_beside" in vars(moe))
    grown.remove_expert("new")  # and all is as it was
    assert_allclose(grown.log_density(*old), density, rtol=1e-9)
    assert getattr(grown, "regimes_", None) == getattr(moe, "regimes_", None)
    assert getattr(grown, "model_weights_", None) == getattr(moe, "model_weights_", None)


@pytest.mark.parametrize("kind", KINDS)
def test_grown_pooled_mixture_answers_all_that_a_fitted_one_does(pooled_mixtures, kind):
    moe = pooled_mixtures(kind)
    moe.add_expert(*pooled_rows(kind, 120, 1, is_new=True), name="new", replay=replay_of(kind))
    X, y = pooled_rows(kind, 60, 2)
    log_density = moe.log_density(X, y)
    if "classes" in kind:
        proba = moe.predict_proba(X)
        of_class = np.searchsorted(moe.classes_, y)
        assert_allclose(np.log(proba[np.arange(60), of_class]), log_density, rtol=1e-9)
    else:
        dist = moe.predict_dist(X)
        assert_allclose(dist.logpdf(y), log_density, rtol=1e-9)
        assert_allclose(dist.mean(), moe.predict(X), rtol=1e-9)
        if kind not in ("outputs", "counts"):
            assert_allclose(dist.cdf(moe.predict_quantiles(X, [0.3])[:, 0]), 0.3, atol=1e-6)
    assert_array_equal(pickle.loads(pickle.dumps(moe)).log_density(X, y), log_density)
    assert_allclose(moe.responsibilities(X, y).sum(axis=1), 1, rtol=1e-12)
    assert "new" in moe.expert_report(X, y, by="expert").columns["expert"]
    assert len(moe.expert_report(X, y).columns) > 5
    if "regimes_" in vars(moe):
        assert moe.regimes_[-1] == ["new"]
        assert moe.n_regimes_ == len(moe.regimes_)
    table = moe.coefficients(by="expert")
    assert np.isfinite(table.values[table.terms.index("intercept")]).all()
    assert str(moe.coefficients())
    for refused in (moe.summary, moe.marginal_effects, moe.bic):
        with pytest.raises(ValueError, match=r"fit\(X, y\)"):
            refused(X, y)
    with pytest.raises(ValueError, match="a report needs rows"):
        moe.expert_report()


@pytest.mark.parametrize(
    "kind", [pytest.param(each, marks=[pytest.mark.slow] * (each == "table")) for each in KINDS]
)
def test_all_pooled_experts_may_go_but_a_new_one(pooled_mixtures, kind):
    moe, (X, y) = pooled_mixtures(kind), pooled_rows(kind, 300, 2)
    tree = DecisionTreeClassifier if "classes" in kind else DecisionTreeRegressor
    tree = LinearRegression() if kind == "table" else tree(min_samples_leaf=10, random_state=0)
    pooled = list(moe.named_experts_)
    moe.add_expert(*pooled_rows(kind, 120, 1, is_new=True), tree, name="new", replay=(X, y))
    for name in pooled:
        moe.remove_expert(name)
    assert not moe.likelihood_.averages_experts
    assert list(moe.named_experts_) == ["new"]
    assert np.isfinite(moe.log_density(X, y)).all()
    moe.add_expert(*pooled_rows(kind, 120, 1, is_new=True), replay=(X, y))


def test_probabilities_far_away_are_not_rounded_beside_an_expert_of_another_kind(pooled_mixtures):
    moe = pooled_mixtures("classes")
    X = 100 * pooled_rows("classes", 50, 2)[0]
    before = moe._model.expert_proba(X)
    assert before.min() < 1e-3
    tree = DecisionTreeClassifier(min_samples_leaf=10, random_state=0)
    moe.add_expert(*pooled_rows("classes", 120, 1, is_new=True), tree, replay=replay_of("classes"))
    assert_array_equal(moe._model.expert_proba(X)[:, :-1], before)


def test_unseen_levels_widen_pooled_experts_alone(pooled_mixtures):
    moe = pooled_mixtures("table")
    X, y = pooled_rows("table", 200, 1, is_new=True)
    moe.add_expert(X, y, LinearRegression(), replay=replay_of("table"))
    scales = moe._model.row_scale(X)
    assert_array_equal(scales[:, -1], 1.0)
    unseen = (X["word"] == "new").to_numpy()
    assert scales[unseen, 0].min() > 1.01 * scales[~unseen, 0].min()
    assert str(moe.coefficients(by="expert"))


def test_weight_of_one_expert_far_away_goes_on_after_growth(pooled_mixtures):
    """Far from all rows predictions average over one old expert, with the new one in both."""
    moe = pooled_mixtures("few")
    other, weight, _ = moe._beside
    X_new = pooled_rows("few", 120, 1, is_new=True)[0]
    alone = [each.predict(X_new) for each in other.experts]
    grown = copy.deepcopy(moe)
    grown.add_expert(*pooled_rows("few", 120, 1, is_new=True), replay=replay_of("few"))
    X, y = pooled_rows("few", 50, 2)
    X = X * [-9, 1, 1]  # away from the new rows, too
    at = np.abs(grown.gate_proba(X)[:, -1]) < 1e-9
    assert at.sum() > 10
    assert moe._predictive.weights(X)[1][at].max() > 0.04
    assert_allclose(grown.log_density(X, y)[at], moe.log_density(X, y)[at], rtol=1e-6)
    assert_array_equal(grown._beside[0].experts[0].predict(X_new), *alone)
    assert grown._beside[1] == weight


def test_new_expert_among_pooled_ones_has_tails_of_its_rows(pooled_mixtures):
    moe = pooled_mixtures("line")
    rows = pooled_rows("line", 20, 1, is_new=True)
    moe.add_expert(*rows, replay=replay_of("line"))
    assert_allclose(moe.likelihood_.df_[-1], 20, atol=0.5)
    error = rows[1] - moe.experts_[-1].predict(rows[0])
    assert 0.8 * error.std() < moe.likelihood_.scale_[-1] < 2 * error.std()


def test_pooled_mixture_that_has_grown_is_pooled_again_by_a_warm_start(pooled_mixtures):
    moe = pooled_mixtures("outputs")
    new = pooled_rows("outputs", 120, 1, is_new=True)
    moe.add_expert(*new, replay=replay_of("outputs"))
    held_out = both(pooled_rows("outputs", 500, 2), pooled_rows("outputs", 200, 3, is_new=True))
    before = score(moe, *held_out)
    moe.set_params(n_experts=3, warm_start=True)
    moe.fit(*both(pooled_rows("outputs", 300, 0), new))
    assert moe.likelihood_.pooled_.all()
    assert score(moe, *held_out) > before - 0.05


def test_weights_are_repeats_where_pooled_experts_grow(pooled_mixtures):
    X, y = pooled_rows("line", 60, 1, is_new=True)
    times = np.tile([1, 2, 3], 20)
    one, other = pooled_mixtures("line"), pooled_mixtures("line")
    one.add_expert(X, y, sample_weight=times.astype(float), replay=replay_of("line"))
    other.add_expert(np.repeat(X, times, axis=0), np.repeat(y, times), replay=replay_of("line"))
    rows = both(pooled_rows("line", 100, 2), pooled_rows("line", 100, 3, is_new=True))
    assert_allclose(one.log_density(*rows), other.log_density(*rows), rtol=1e-6)


@pytest.mark.parametrize("training", ["stack", "specialists"])
def test_expert_is_added_to_a_stack_that_is_frozen_as_the_first_of_another(training):
    trees = DecisionTreeRegressor(min_samples_leaf=10, random_state=0)
    experts = [("line", Ridge()), ("tree", trees)] if training == "stack" else trees
    moe = MixtureOfExpertsRegressor(experts, training=training, n_experts=2, cv=2, random_state=0)
    moe.fit(*pooled_rows("line", 200, 0))
    whole = MixtureOfExpertsRegressor([("old", FrozenEstimator(moe))], cv="prefit")
    whole.fit(*replay_of("line"))
    new = pooled_rows("line", 120, 1, is_new=True)
    whole.add_expert(*new, Ridge(), name="new", replay=replay_of("line"))
    old = pooled_rows("line", 500, 2)
    assert score(whole, *old) > score(moe, *old) - 0.05
    assert score(whole, *pooled_rows("line", 500, 3, is_new=True)) > -0.35


# Removing ---------------------------------------------------------------------------------------

GATES = {
    "softmax": SoftmaxGate(),
    "gaussian": GaussianGate(),
    "constant": ConstantGate(),
    "classifier": LogisticRegression(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "tree": TreeGate([1, 2]),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_others_share_what_was_removed_in_their_old_proportions(gate):
    X, y = old_rows(300, 0)
    moe = regressor(n_experts=3, n_init=1, gate=gate).fit(X, y)
    before, old_gate = copy.deepcopy(moe), moe.gate_
    moe.remove_expert("expert1")
    expected = before.gate_proba(X)[:, [0, 2]]
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(moe.gate_proba(X), expected, rtol=1e-9)
    assert_allclose(
        moe.expert_load_, before.expert_load_[[0, 2]] / before.expert_load_[[0, 2]].sum()
    )
    assert list(moe.named_experts_) == ["expert0", "expert2"]
    assert moe.experts_[1] is moe.named_experts_["expert2"]
    assert_array_equal(moe.likelihood_.scale_, before.likelihood_.scale_[[0, 2]])
    assert_array_equal(moe.predict_experts(X), before.predict_experts(X)[:, [0, 2]])
    assert old_gate.predict_proba(X).shape == (300, 3)  # the old gate is not changed in place


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize("keep", [1, 2])
def test_loads_sum_to_one_after_the_one_that_had_them_all_is_gone(gate, keep):
    X, y = old_rows(300, 0)
    gate = clone(gate).set_params(sizes=None) if isinstance(gate, TreeGate) else gate

    def first_takes_all(X, y, n_experts, random_state):
        return np.eye(n_experts)[np.zeros(len(X), dtype=int)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the others have no row, which is what this is about
        moe = regressor(n_experts=keep + 1, n_init=1, gate=gate, init=first_takes_all, max_iter=1)
        moe.fit(X, y)
    moe.expert_load_ = np.eye(keep + 1)[0]  # whatever revived the others
    moe.remove_expert("expert0")
    assert_allclose(moe.expert_load_, 1 / keep)
    assert np.isfinite(moe.predict(X)).all()
    assert_allclose(moe.gate_proba(X).sum(axis=1), 1)


def test_mixture_shrinks_to_one_expert_and_grows_again(three_lines, moe):
    moe.remove_expert("expert0").remove_expert("expert1")
    X, y = old_rows(100, 2)
    assert_array_equal(moe.gate_proba(X), np.ones((100, 1)))
    assert_allclose(moe.predict(X), three_lines.experts_[2].predict(X), rtol=1e-12)
    moe.add_expert(*NEW, replay=REPLAY)
    assert list(moe.named_experts_) == ["expert2", "expert0"]  # the first name that is free
    assert score(moe, *new_rows(500, 3)) > -0.3


# Errors -----------------------------------------------------------------------------------------


class Unlucky(RegressorMixin, BaseEstimator):
    """Fits, and then cannot predict."""

    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "an expert 'expert0' already", lambda m: m.add_expert(*NEW, name="expert0")),
        (ValueError, "must not contain __", lambda m: m.add_expert(*NEW, name="a__b")),
        (ValueError, "constructor arguments", lambda m: m.add_expert(*NEW, name="gate")),
        (TypeError, "must be a string; got 3", lambda m: m.add_expert(*NEW, name=3)),
        (TypeError, "is a class: call it", lambda m: m.add_expert(*NEW, Ridge)),
        (ValueError, "regressor", lambda m: m.add_expert(*NEW, LogisticRegression())),
        (RuntimeError, "luck", lambda m: m.add_expert(*NEW, Unlucky(), replay=REPLAY)),
        (ValueError, "fitted", lambda m: m.add_expert(*NEW, FrozenEstimator(Ridge()), replay=OLD)),
        (ValueError, "pair", lambda m: m.add_expert(*NEW, replay=OLD[0])),
        (ValueError, "0 sample", lambda m: m.add_expert(*NEW, replay=(OLD[0][:0], OLD[1][:0]))),
        (ValueError, "inconsistent", lambda m: m.add_expert(*NEW, replay=(OLD[0], OLD[1][:9]))),
        (
            ValueError,
            "one kind",
            lambda m: m.add_expert(*NEW, replay=(pd.DataFrame(OLD[0]), OLD[1])),
        ),
        (ValueError, "1 features", lambda m: m.add_expert(NEW[0][:, :1], NEW[1], replay=REPLAY)),
        (ValueError, "NaN", lambda m: m.add_expert(NEW[0], NEW[1] * np.nan, replay=REPLAY)),
        (ValueError, "requires y", lambda m: m.add_expert(NEW[0], None, replay=REPLAY)),
        (ValueError, "outputs", lambda m: m.add_expert(NEW[0], np.ones((300, 2)), replay=REPLAY)),
        (ValueError, "no expert 'x'; the names are", lambda m: m.remove_expert("x")),
        (ValueError, "no expert 0; the names are", lambda m: m.remove_expert(0)),
    ],
)
def test_error_leaves_the_mixture_as_it_was(moe, error, message, change):
    before, bytes_before = vars(moe).copy(), pickle.dumps(moe)
    with pytest.raises(error, match=message):
        change(moe)
    assert all(vars(moe)[name] is before[name] for name in before)
    assert vars(moe).keys() == before.keys()
    assert pickle.dumps(moe) == bytes_before


def test_last_expert_cannot_be_removed():
    moe = regressor(n_experts=1).fit(*OLD)
    with pytest.raises(ValueError, match="'expert0' is the only one left; a mixture needs one"):
        moe.remove_expert("expert0")
    assert len(moe.experts_) == 1


def test_expert_has_to_be_named_where_the_others_are_unlike():
    moe = regressor([("ridge", Ridge()), ("line", LinearRegression())]).fit(*OLD)
    with pytest.raises(ValueError, match="unlike each other: pass the estimator"):
        moe.add_expert(*NEW, replay=REPLAY)
    moe.add_expert(*NEW, Ridge(), name="new", replay=REPLAY)
    assert list(moe.named_experts_) == ["ridge", "line", "new"]
    assert score(moe, *new_rows(500, 3)) > -0.3


def test_too_few_iterations_warn(moe):
    moe.set_params(max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter=1, before") as added:
        moe.add_expert(*NEW, replay=REPLAY)
    assert added[0].filename == __file__  # where it was asked for


# Afterwards -------------------------------------------------------------------------------------


def test_grown_mixture_answers_all_that_a_fitted_one_does(grown):
    X, y = both(old_rows(200, 2), new_rows(50, 3))
    gate, experts = grown.gate_proba(X), grown.predict_experts(X)
    assert_allclose(grown.predict(X), (gate * experts).sum(axis=1), rtol=1e-9)
    density = -0.5 * ((y[:, None] - experts) / grown.likelihood_.scale_) ** 2
    density -= np.log(grown.likelihood_.scale_) + 0.5 * np.log(2 * np.pi)
    with np.errstate(divide="ignore"):
        expected = special.logsumexp(np.log(gate) + density, axis=1)
    assert_allclose(grown.log_density(X, y), expected, rtol=1e-9)
    dist = grown.predict_dist(X)
    assert_allclose(dist.logpdf(y), expected, rtol=1e-9)
    assert_allclose(dist.cdf(grown.predict_quantiles(X, [0.3])[:, 0]), 0.3, atol=1e-6)
    assert_allclose(grown.responsibilities(X, y).sum(axis=1), 1, rtol=1e-12)
    assert list(grown.expert_report(X, y).columns["expert"]) == list(grown.named_experts_)
    assert grown.sample_y(X[:3], random_state=0).shape == (3, 1)
    for twin in (pickle.loads(pickle.dumps(grown)), copy.deepcopy(grown)):
        assert_array_equal(twin.log_density(X, y), grown.log_density(X, y))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("add_expert", lambda m: m.add_expert(*NEW, replay=REPLAY)),
        ("remove_expert", lambda m: m.remove_expert("expert0")),
    ],
)
def test_what_needs_the_rows_of_the_fit_says_what_came_after_it(moe, name, change):
    rows = old_rows(200, 0)
    moe.set_params(cv=2, n_init=1).fit(*rows)
    assert moe.oof_score_ > -3
    change(moe)
    assert not hasattr(moe, "oof_score_")
    with pytest.raises(ValueError, match=f"After {name} a report needs rows"):
        moe.expert_report()
    with pytest.raises(ValueError, match=f"after {name} a mixture is not at"):
        moe.bic(*OLD)
    moe.set_params(cv="auto").fit(*rows)  # which begins afresh
    assert np.isfinite(moe.bic(*rows))


def test_what_speaks_of_one_fit_is_gone_once_the_mixture_has_changed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.where(X[:, 0] > 0, 3 * X[:, 1], -3 * X[:, 1]) + 0.1 * rng.normal(size=300)
    pooled = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert len(pooled.experts_) >= 2
    assert pooled.log_evidence_
    pooled.remove_expert("expert1")
    assert not hasattr(pooled, "log_evidence_")
    models = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=3))]
    stacked = MixtureOfExpertsRegressor(models, random_state=0).fit(X, y)
    assert stacked.specialisation_ is not None
    stacked.remove_expert("tree")
    assert not hasattr(stacked, "specialisation_")


def test_parameters_do_not_change_and_fit_begins_with_the_first_experts(three_lines, grown):
    assert grown.get_params() == three_lines.get_params()
    again = clone(grown).fit(*OLD)
    assert list(again.named_experts_) == list(three_lines.named_experts_)
    assert_array_equal(again.log_density(*OLD), three_lines.log_density(*OLD))


def test_warm_start_trains_all_of_a_grown_mixture(grown):
    rows = both(OLD, NEW)
    moe = copy.deepcopy(grown).set_params(warm_start=True)
    with pytest.raises(ValueError, match="which has 4 experts; n_experts is 3"):
        moe.fit(*rows)
    assert_array_equal(moe.log_density(*rows), grown.log_density(*rows))
    moe.set_params(n_experts=4).fit(*rows)
    assert score(moe, *rows) > score(grown, *rows) - 1e-3  # penalties are in the objective too
    assert len(moe.experts_) == 4


def test_collected_rows_of_a_stream_are_not_mixed_up_with_growth():
    moe = regressor(n_experts=3)
    moe.partial_fit(OLD[0][:200], OLD[1][:200])  # which waits for 500
    moe.add_expert(*NEW, replay=(OLD[0][:200], OLD[1][:200]))
    assert moe.n_samples_seen_ == 500
    with pytest.raises(TypeError, match="After add_expert"):
        moe.partial_fit(*OLD)


# Models that exist already ----------------------------------------------------------------------


def test_frozen_experts_stay_through_fits_and_growth():
    regions = [OLD[0][:, 0] < 0, OLD[0][:, 0] >= 0]
    trees = [
        DecisionTreeRegressor(min_samples_leaf=10, random_state=0).fit(OLD[0][r], OLD[1][r])
        for r in regions
    ]
    experts = [(name, FrozenEstimator(tree)) for name, tree in zip("ab", trees, strict=True)]
    moe = regressor(experts, cv="prefit").fit(*OLD)
    ahead = LinearRegression().fit(*NEW)
    moe.add_expert(*NEW, FrozenEstimator(ahead), name="c", replay=REPLAY)
    assert moe.n_expert_fits_ == 0
    assert [expert.estimator for expert in moe.experts_] == [*trees, ahead]
    assert_allclose(moe.likelihood_.scale_[2], np.std(NEW[1] - ahead.predict(NEW[0])), rtol=0.05)

    moe.add_expert(NEW[0] + [0, 20], NEW[1], Ridge(), name="d", replay=both(REPLAY, NEW))
    assert moe.n_expert_fits_ > 0  # the new one alone is trained
    assert [expert.estimator for expert in moe.experts_[:3]] == [*trees, ahead]

    named = [
        (name, e if name != "d" else FrozenEstimator(e)) for name, e in moe.named_experts_.items()
    ]
    whole = both(OLD, NEW, (NEW[0] + [0, 20], NEW[1]))
    prefit = regressor(named, cv="prefit").fit(*whole)  # growth made permanent
    assert prefit.n_expert_fits_ == 0
    for rows in [old_rows(1000, 2), new_rows(1000, 3)]:
        assert score(prefit, *rows) > score(moe, *rows) - 0.03
    moe.fit(*OLD)
    assert list(moe.named_experts_) == ["a", "b"]
    assert [expert.estimator for expert in moe.experts_] == trees


def test_mixture_starts_from_one_model_that_is_trained(three_lines):
    """A frozen mixture as the only expert, and new ones beside it."""
    moe = regressor([("old", FrozenEstimator(three_lines))], cv="prefit").fit(*OLD)
    moe.add_expert(*NEW, Ridge(), name="new", replay=REPLAY)
    for rows in [old_rows(1000, 2), new_rows(1000, 3)]:
        grown = copy.deepcopy(three_lines).add_expert(*NEW, Ridge(), replay=REPLAY)
        assert_allclose(score(moe, *rows), score(grown, *rows), atol=0.01)


# The gate ---------------------------------------------------------------------------------------


def soft_labels(n, n_experts, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, special.softmax(X @ rng.normal(size=(2, n_experts)) * 2, axis=1)


def test_levels_of_a_tree_are_the_gates_of_sums_and_branches():
    X, y = soft_labels(200, 4)
    weight = np.linspace(0.5, 2, 200)
    tree = TreeGate([2, 1, 1]).fit(X, y, sample_weight=weight)
    sums = np.column_stack([y[:, :2].sum(axis=1), y[:, 2:]])
    decision = SoftmaxGate().fit(X, sums, sample_weight=weight).predict_proba(X)
    branch = SoftmaxGate().fit(X, y[:, :2], sample_weight=weight).predict_proba(X)
    expected = np.column_stack([decision[:, :1] * branch, decision[:, 1:]])
    assert_allclose(tree.predict_proba(X), expected, rtol=1e-12)
    assert tree.branches_[1:] == [None, None]
    gates = [tree.decision_, tree.branches_[0]]
    assert tree.n_parameters_ == sum(gate.n_parameters_ for gate in gates)
    assert tree.log_prior() == sum(gate.log_prior() for gate in gates)


def test_steps_of_a_tree_one_at_a_time_reach_the_solution():
    X, y = soft_labels(200, 5)
    solved = TreeGate().fit(X, y)
    assert [len(branch.classes_) for branch in solved.branches_ if branch] == [2, 2]
    steps = TreeGate(warm_start=True, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(30):
            steps.fit(X, y)
    assert_allclose(steps.predict_proba(X), solved.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("order", [[3, 0, 2, 1, 4], [1, 4], [0, 1, 4], [2]])
def test_reordered_tree_keeps_the_proportions(order):
    X, y = soft_labels(100, 5)
    tree = TreeGate([2, 2, 1]).fit(X, y)
    expected = tree.predict_proba(X)[:, order]
    expected /= expected.sum(axis=1, keepdims=True)
    tree.reorder(np.array(order))
    assert_allclose(tree.predict_proba(X), expected, rtol=1e-12)
    tree.reorder(np.arange(len(order))[::-1])
    assert_allclose(tree.predict_proba(X), expected[:, ::-1], rtol=1e-12)


def test_one_whole_branch_is_a_gate_of_its_own():
    X, y = soft_labels(100, 5)
    tree = TreeGate([3, 2]).fit(X, y)
    assert tree.simplified() is tree
    branch = tree.branches_[0]
    part = copy.copy(tree)
    part.reorder(np.array([0, 1, 2]))
    assert part.simplified() is branch
    assert_allclose(part.predict_proba(X), branch.predict_proba(X), rtol=1e-12)
    part.reorder(np.array([1, 0, 2]))
    assert part.simplified() is part


@pytest.mark.parametrize(
    "gate", [None, GaussianGate(), ConstantGate(), LogisticRegression()], ids=repr
)
def test_branch_without_rows_has_finite_probabilities(gate):
    X, y = soft_labels(60, 2)
    for little in (0.0, 1e-6):
        proba = TreeGate([2, 2], gate).fit(X, np.column_stack([little * y, y])).predict_proba(X)
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        assert proba[:, :2].max() < 1e-3


@pytest.mark.parametrize("gate", [ConstantGate(), GaussianGate()], ids=["constant", "gaussian"])
def test_experts_without_rows_share_evenly_what_the_others_leave(gate):
    X, y = soft_labels(60, 2)
    gate.fit(X, np.column_stack([y, np.zeros((60, 2))])).reorder(np.array([2, 3]))
    assert_allclose(gate.predict_proba(X), 0.5)


@pytest.mark.parametrize("sizes", [[4], [2, 1], [4, 0], [2.0, 2.0], [[2, 2]], [5, -1], 2])
def test_sizes_of_branches_have_to_fit(sizes):
    X, y = soft_labels(30, 4)
    with pytest.raises(ValueError, match="sizes|'sizes'"):
        TreeGate(sizes).fit(X, y)
