"""Streams: ``partial_fit`` against EM on all rows at once, and what it leaves as it was."""

import copy
import pickle
import re
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.one_pass import OnePassProblem
from skmoe._numerics import multinomial as _multinomial
from skmoe._updates import changes
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.inspection import GateDisplay
from skmoe.likelihoods import Categorical

SLOPES = np.array([[2.0, -1.0], [-1.0, 1.5], [0.5, 0.5]])
INTERCEPTS = np.array([0.0, 3.0, -3.0])
SCALES = np.array([0.4, 0.6, 0.5])
GATE = np.array([[2.0, 0.0], [-1.0, 1.5], [-1.0, -1.5]])


def draw(n, seed=0, steepness=1.0):
    """Rows of three overlapping lines behind a softmax."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    proba = special.softmax(X @ GATE.T, axis=1)
    k = (rng.uniform(size=(n, 1)) > np.cumsum(proba, axis=1)[:, :-1]).sum(axis=1)
    mean = steepness * (X * SLOPES[k]).sum(axis=1) + INTERCEPTS[k]
    return X, mean + SCALES[k] * rng.normal(size=n)


def draw_classes(n, seed=0):
    """Rows of two logistic regressions, unlike on either side of a border."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    first = rng.uniform(size=n) < special.expit(4 * X[:, 0])
    logits = np.where(first, 3 * X[:, 1], -2 * X[:, 1] + 1)
    return X, np.where(rng.uniform(size=n) < special.expit(logits), "yes", "no")


def feed(moe, X, y, size, weight=None, **params):
    for i in range(0, len(y), size):
        rows = slice(i, i + size)
        w = None if weight is None else weight[rows]
        moe.partial_fit(X[rows], y[rows], sample_weight=w, **params)
    return moe


regressor = partial(MixtureOfExpertsRegressor, n_experts=3, training="em", n_init=6, random_state=0)


def score(moe, X, y):
    return moe.log_density(X, y).mean()


def assert_same_answers(moe, other, rtol=1e-12):
    X, y = draw(50, seed=9)
    assert_allclose(moe.log_density(X, y), other.log_density(X, y), rtol=rtol, atol=rtol)
    assert_allclose(moe.expert_load_, other.expert_load_, rtol=rtol)


# Against batch EM -------------------------------------------------------------------------------


def test_planted_parameters_are_recovered():
    X, y = draw(30_000)
    moe = feed(regressor(), X, y, 500)
    order = np.argsort([expert.coef_[0] for expert in moe.experts_])[::-1]
    order = order[[0, 2, 1]]  # as in SLOPES: 2, -1, 0.5
    experts = [moe.experts_[k] for k in order]
    # Standard errors: 0.6 / sqrt(window of 6,000 rows * 1/3) is 0.013; overlap doubles them.
    assert_allclose([e.coef_ for e in experts], SLOPES, atol=0.08)
    assert_allclose([e.intercept_ for e in experts], INTERCEPTS, atol=0.08)
    assert_allclose(moe.likelihood_.scale_[order], SCALES, atol=0.04)
    gate = moe.gate_.coef_[order]
    assert_allclose(gate - gate.mean(axis=0), GATE - GATE.mean(axis=0), atol=0.3)
    assert moe.n_samples_seen_ == 30_000
    assert_allclose(moe.expert_load_, moe.gate_proba(X).mean(axis=0), atol=0.02)


@pytest.mark.parametrize("size", [50, 200, 5000])
def test_stream_reaches_most_of_the_gain_of_batch_em(size):
    X, y = draw(10_000)
    held_out = draw(10_000, seed=1)
    start = regressor().fit(X[:500], y[:500])
    whole = copy.deepcopy(start).set_params(warm_start=True, max_iter=300).fit(X, y)
    floor, gain = score(start, *held_out), score(whole, *held_out) - score(start, *held_out)
    assert gain > 0.01  # of which there is something to reach
    feed(start, X[500:], y[500:], size)
    assert score(start, *held_out) > floor + 0.8 * gain
    feed(start, X, y, size)
    feed(start, X, y, size)
    assert score(start, *held_out) > floor + 0.95 * gain


@pytest.mark.parametrize(
    "gate", [SoftmaxGate(tol=0), GaussianGate(), ConstantGate()], ids=lambda g: type(g).__name__
)
@pytest.mark.parametrize("load_balance", [0.0, 0.1])
def test_batch_alone_is_one_em_iteration(gate, load_balance):
    """With nothing kept of the past, the M-step is that of EM on the batch; here both ways."""
    X, y = draw(600)
    gate = clone(gate).set_params(load_balance=load_balance, target_load=[1.0, 1.0])
    moe = regressor(n_experts=2, gate=gate, n_init=1, max_iter=1, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration is not meant to converge
        moe.fit(X, y)
        twice = clone(moe).set_params(max_iter=2).fit(X, y)
    moe._stream.seen = moe._stream.counted = 0.0
    moe.partial_fit(X, y)
    for one, other in zip(moe.experts_, twice.experts_, strict=True):
        assert_allclose(one.coef_, other.coef_, rtol=1e-14)
        assert_allclose(one.intercept_, other.intercept_, rtol=1e-14)
    assert_allclose(moe.likelihood_.scale_, twice.likelihood_.scale_, rtol=1e-14)
    # Two experts: the bound on the curvature is the curvature, and the step is Newton's.
    assert_allclose(moe.gate_proba(X), twice.gate_proba(X), rtol=1e-8)


def test_bound_is_above_the_curvature_and_meets_it_for_two_classes():
    rng = np.random.default_rng(0)
    for n_classes in (2, 5):
        design, mass = rng.normal(size=(40, 3)), rng.uniform(size=40)
        proba = rng.dirichlet(np.ones(n_classes), size=40)
        outer = np.einsum("nk,kj->nkj", proba, np.eye(n_classes))
        outer -= proba[:, :, None] * proba[:, None, :]
        exact = np.einsum("n,nkj,na,nb->kajb", mass, outer, design, design)
        bound = _multinomial.curvature(design, mass, proba)
        full = np.zeros_like(exact)
        for k in range(n_classes):
            full[k, :, k, :] = bound[k]
        gap = (full - exact).reshape(3 * n_classes, -1)
        assert np.linalg.eigvalsh(gap).min() > -1e-10
        v = rng.normal(size=3)
        if n_classes == 2:
            both = np.stack([v, -v]).ravel()
            assert_allclose(both @ gap @ both, 0, atol=1e-14)


def test_wide_bound_is_above_the_narrow_one(monkeypatch):
    rng = np.random.default_rng(0)
    design = sparse.random(60, 8, density=0.5, random_state=0, format="csr")
    mass, proba = rng.uniform(size=60), rng.dirichlet(np.ones(3), size=60)
    narrow = _multinomial.curvature(design, mass, proba)
    monkeypatch.setattr(_multinomial, "BLOCK_LIMIT", 7)
    wide = _multinomial.curvature(design, mass, proba)
    assert wide.shape == (3, 8)
    for k in range(3):
        assert np.linalg.eigvalsh(np.diag(wide[k]) - narrow[k]).min() > -1e-10


def test_wide_gate_learns_from_batches(monkeypatch):
    monkeypatch.setattr(_multinomial, "BLOCK_LIMIT", 1)
    X, y = draw(10_000)
    held_out = draw(5000, seed=1)
    moe = regressor().fit(X[:500], y[:500])
    before = score(moe, *held_out)
    moe.gate_.coef_ *= 0.3  # something for the gate to learn
    spoiled = score(moe, *held_out)
    feed(moe, X, y, 200)
    assert spoiled < before - 0.1
    assert score(moe, *held_out) > before - 0.05  # slower than with blocks, and never unstable


# Weights, batches, forgetting -------------------------------------------------------------------


@pytest.mark.parametrize("gate", [SoftmaxGate(), GaussianGate()], ids=["softmax", "gaussian"])
def test_weight_is_repetition(gate):
    X, y = draw(2500)
    weight = np.random.default_rng(0).integers(0, 3, size=2500).astype(float)
    weighted = feed(regressor(gate=gate), X, y, 250, weight)
    repeated = regressor(gate=gate)
    for i in range(0, 2500, 250):
        rows = np.repeat(np.arange(i, i + 250), weight[i : i + 250].astype(int))
        repeated.partial_fit(X[rows], y[rows])
    assert weighted._buffer is None
    # EM on the first rows stops by a tolerance, up to where rounding may move it.
    assert_same_answers(weighted, repeated, rtol=1e-6)


def test_share_of_the_past_does_not_depend_on_the_size_of_batches():
    X, y = draw(700)
    moe = regressor(forget_factor=0.9999).fit(X, y)

    def past(sizes):
        stream, share = copy.copy(moe._stream), 1.0
        for size in sizes:
            before = stream.counted
            keep, _, stream.seen, stream.counted = stream.factors(size, moe.forget_factor)
            share *= keep * before / stream.counted
        return share

    assert_allclose(past([10_000]), past([20] * 500), rtol=1e-13)  # 500 roundings
    assert past([10_000]) < 0.9999**10_000


def test_forget_factor_follows_a_change_and_1_does_not():
    calm, changed = draw(10_000), draw(3000, seed=1, steepness=0.5)
    held_out = draw(4000, seed=2, steepness=0.5)
    scores = {}
    for factor in (1.0, 0.998):
        moe = feed(regressor(forget_factor=factor), *calm, 500)
        feed(moe, *changed, 100)
        scores[factor] = score(moe, *held_out)
    target = score(regressor().fit(*changed), *held_out)
    assert scores[0.998] > target - 0.02  # the memory of about 500 rows is worth that
    assert scores[1.0] < target - 0.2


def test_memory_does_not_grow_with_batches():
    X, y = draw(6000)
    moe = feed(regressor(), X[:1000], y[:1000], 500)
    before = len(pickle.dumps(moe))
    feed(moe, X[1000:], y[1000:], 50)
    assert len(pickle.dumps(moe)) < before + 100  # numbers have more digits
    assert before < 20_000


# Going on ---------------------------------------------------------------------------------------


@pytest.fixture
def refits(monkeypatch):
    """Weights of the rows of each fit."""
    weights, fit = [], MixtureOfExpertsRegressor._fit

    def counted(self, rows, tasks):
        weights.append(float(rows.checked.weight.sum()))
        return fit(self, rows, tasks)

    for kind in (MixtureOfExpertsRegressor, MixtureOfExpertsClassifier):
        monkeypatch.setattr(kind, "_fit", counted)
    return weights


@pytest.mark.parametrize(("size", "weight"), [(10, 1.0), (100, 1.0), (50, 2.0), (1, 0.9)])
def test_until_there_are_enough_rows_refits_come_when_their_weight_has_doubled(
    size, weight, refits
):
    n = min(100 * size, 700) if size > 1 else 40
    X, y = draw(n)
    moe = regressor(max_iter=300, n_init=1, n_experts=2)
    feed(moe, X, y, size, np.full(n, weight))
    assert moe.n_samples_seen_ == pytest.approx(n * weight)
    grew = np.divide(refits[1:], refits[:-1])
    assert (grew >= 2).sum() >= len(grew) - 1  # but for the last one, where they are enough
    assert len(refits) <= 2 + np.log2(500 / (size * weight))
    if moe._buffer is None:
        assert 500 <= refits[-1] < 500 + size * weight  # as before


def test_a_search_that_would_take_long_is_spread_over_the_batches(refits, monkeypatch):
    steps, advance = [], OnePassProblem._iterate

    def counted(self, *wanted):
        objectives = advance(self, *wanted)
        steps.extend(objectives)
        return objectives

    monkeypatch.setattr(OnePassProblem, "_iterate", counted)
    X, y = draw(600)
    whole = feed(regressor(top_k=2), X, y, 50)
    n_refits, longest = len(refits), 0
    monkeypatch.setattr(changes, "STREAM_WORK", 3e5)
    moe = regressor(top_k=2)
    for i in range(0, 600, 50):
        before = len(steps)
        feed(moe, X[i : i + 50], y[i : i + 50], 50)
        longest = max(longest, len(steps) - before)
        assert moe.n_iter_ <= 15  # each of 2e4 and more
    assert longest <= 3 * 15  # starts, which may run over, and iterations
    assert len(refits) - n_refits > n_refits  # batches in between have their part
    assert moe._buffer is None
    held_out = draw(2000, seed=1)
    assert score(moe, *held_out) > score(whole, *held_out) - 0.02


def test_a_class_that_is_new_does_not_meet_a_search_that_goes_on(refits, monkeypatch):
    monkeypatch.setattr(changes, "STREAM_WORK", 2e7)
    X, y = draw_classes(600)
    y = np.append(y[:550], np.full(50, "new"))
    moe = MixtureOfExpertsClassifier(LogisticRegression(), n_experts=2, random_state=0)
    feed(moe, X, y, 50, classes=["no", "new", "yes"])
    assert moe.predict_proba(X[550:])[:, 0].mean() > 0.05
    assert np.isfinite(moe.log_density(X, y)).all()


def test_a_class_that_is_new_is_refitted_at_once(refits):
    X, y = draw_classes(90)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=1, random_state=0, max_iter=2)
    moe.partial_fit(X[:60], y[:60], classes=["no", "new", "yes"])
    moe.partial_fit(X[60:80], y[60:80])
    before = moe.predict_proba(X[:1])[0, 0]
    moe.partial_fit(X[80:], np.full(10, "new"))
    assert refits == [60, 90]
    assert before < 1e-3 < moe.predict_proba(X[:1])[0, 0]


def test_until_there_are_enough_rows_refits_are_on_all():
    X, y = draw(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of which a stream that has hardly begun says nothing
        whole = regressor(max_iter=20).fit(X, y)
    moe = feed(regressor(max_iter=20, warm_start=True), X, y, 100)
    assert_same_answers(moe, whole, rtol=1e-9)
    assert moe._buffer is not None
    feed(moe, *draw(200, seed=1), 200)
    assert moe._buffer is None


def test_fit_then_partial_fit_goes_on():
    X, y = draw(5000)
    moe = regressor().fit(X, y)
    coef = moe.experts_[0].coef_
    moe.partial_fit(*draw(20, seed=1))
    assert moe.n_samples_seen_ == 5020
    assert 0 < np.abs(moe.experts_[0].coef_ - coef).max() < 0.05


def test_fit_begins_afresh():
    X, y = draw(800)
    fresh = regressor().fit(X, y)
    streamed = feed(regressor(), *draw(1200, seed=1), 300).fit(X, y)
    buffered = regressor().partial_fit(*draw(100, seed=1)).fit(X, y)
    for moe in (streamed, buffered):
        assert_same_answers(moe, fresh)
        assert moe.n_samples_seen_ == 800


@pytest.mark.parametrize("n_before", [200, 1500])
def test_pickled_in_mid_stream_it_goes_on_alike(n_before):
    moe = feed(regressor(n_init=2), *draw(n_before), n_before // 2)
    other = pickle.loads(pickle.dumps(moe))
    for each in (moe, other):
        feed(each, *draw(900, seed=1), 300)
    assert_same_answers(moe, other, rtol=0)


def test_clone_is_unfitted_and_predictions_change_nothing():
    X, y = draw(900)
    moe = feed(regressor(), X, y, 300)
    assert not hasattr(clone(moe), "experts_")
    assert clone(moe)._stream is None
    before = pickle.dumps(moe)
    moe.predict(X), moe.log_density(X, y), moe.predict_interval(X), moe.expert_report(X, y)
    assert pickle.dumps(moe) == before


def test_experts_that_were_handed_out_stay_as_they_are():
    moe = regressor().fit(*draw(700))
    expert, gate = moe.experts_[0], moe.gate_
    coef, weights = expert.coef_.copy(), gate.coef_.copy()
    moe.partial_fit(*draw(300, seed=1))
    assert_array_equal(expert.coef_, coef)
    assert_array_equal(gate.coef_, weights)
    assert not np.array_equal(moe.experts_[0].coef_, coef)
    assert moe.named_experts_.expert0 is moe.experts_[0]


def test_information_criteria_count_the_same_parameters():
    X, y = draw(1500)
    moe = regressor().fit(X[:700], y[:700])
    p = moe.aic(X, y) + 2 * moe.log_density(X, y).sum()
    moe.partial_fit(X[700:], y[700:])
    assert_allclose(moe.aic(X, y) + 2 * moe.log_density(X, y).sum(), p, rtol=1e-9)


def test_report_of_training_rows_is_refused_after_a_stream():
    X, y = draw(700)
    moe = regressor().fit(X, y)
    moe.expert_report()
    moe.partial_fit(X, y)
    with pytest.raises(ValueError, match="pass X and y"):
        moe.expert_report()
    assert_allclose(sum(moe.expert_report(X, y).columns["load"]), 1)


# Kinds of experts, gates and data ---------------------------------------------------------------


@pytest.mark.parametrize("expert", [LinearRegression(), Ridge(1.0)], ids=["ols", "ridge"])
def test_penalty_means_what_it_means_in_fit(expert):
    X, y = draw(4000)
    moe = regressor(experts=expert, n_experts=1).fit(X[:1000], y[:1000])
    feed(moe, X[1000:], y[1000:], 1000)
    whole = clone(expert).fit(X, y)
    # A single expert: the past fades before 500 rows only; parts are weighted unlike a little.
    assert_allclose(moe.experts_[0].coef_, whole.coef_, atol=0.1)
    strong = regressor(experts=Ridge(4000.0), n_experts=1).fit(X[:1000], y[:1000])
    feed(strong, X[1000:], y[1000:], 1000)
    assert_allclose(strong.experts_[0].coef_, Ridge(4000.0).fit(X, y).coef_, atol=0.06)


def test_several_outputs():
    X, y = draw(3000)
    both = np.column_stack([y, -y])
    moe = feed(regressor(), X, both, 500)
    assert moe.predict(X).shape == (3000, 2)
    assert_allclose(moe.predict(X)[:, 0], -moe.predict(X)[:, 1], atol=1e-6)
    assert moe.likelihood_.scale_.shape == (3, 2)


def test_table_with_strings_and_missing_values():
    X, y = draw(4000)
    table = pd.DataFrame(X, columns=["a", "b"])
    table["kind"] = np.where(np.arange(4000) % 2, "odd", "even")
    table.loc[::7, "b"] = np.nan
    y = y + 4.0 * (table["kind"] == "odd").to_numpy()
    moe = regressor()
    for i in range(0, 4000, 400):
        moe.partial_fit(table.iloc[i : i + 400], y[i : i + 400])
    assert list(moe.feature_names_in_) == ["a", "b", "kind"]
    assert moe._buffer is None
    assert moe.score(table, y) > 0.6
    with pytest.raises(ValueError, match="feature names"):
        moe.partial_fit(table.rename(columns={"a": "c"}), y)


def test_experts_behind_a_transformer_and_gate_in_a_pipeline(monkeypatch):
    X, y = draw(3000)
    # Else the gate that is trained in one pass begins its stream with a curvature from some
    # iterations before, which parts the two by three thousandths.
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)
    moe = feed(
        regressor(
            experts=make_pipeline(StandardScaler(), LinearRegression()),
            gate=make_pipeline(StandardScaler(), SoftmaxGate()),
            tol=1e-14,
        ),
        X,
        y,
        500,
    )
    plain = feed(regressor(experts=LinearRegression(), tol=1e-14), X, y, 500)
    # Standardised twice, nothing changes but the road to the optimum, which ends within tol of it.
    assert_allclose(moe.predict(X), plain.predict(X), atol=1e-5)


def test_logistic_experts_reach_most_of_the_gain_of_batch_em():
    X, y = draw_classes(10_000)
    held_out = draw_classes(10_000, seed=1)
    start = MixtureOfExpertsClassifier(
        n_experts=2, n_init=3, random_state=0, max_iter=300, training="em"
    )
    start.fit(X[:500], y[:500])
    whole = copy.deepcopy(start).set_params(warm_start=True).fit(X, y)
    floor, gain = score(start, *held_out), score(whole, *held_out) - score(start, *held_out)
    assert gain > 0.005
    feed(start, X[500:], y[500:], 200)
    assert score(start, *held_out) > floor + 0.8 * gain
    feed(start, X, y, 200)
    feed(start, X, y, 200)
    assert score(start, *held_out) > floor + 0.9 * gain


def test_class_that_comes_late_is_learned():
    X, y = draw_classes(12_000)
    y = y.astype("<U5")
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=2, random_state=0)
    classes = ["maybe", "no", "yes"]
    moe.partial_fit(X[:5000], y[:5000], classes=classes)  # ten times what is waited for at most
    assert moe._buffer is None
    assert_array_equal(moe.classes_, classes)
    assert moe.predict_proba(X)[:, 0].max() < 1e-3
    late = X[:, 1] > 1
    y[late] = "maybe"
    feed(moe, X[5000:11_000], y[5000:11_000], 200)
    assert moe.score(X[11_000:][late[11_000:]], y[11_000:][late[11_000:]]) > 0.7


def test_experts_with_a_partial_fit_of_their_own_learn_on():
    X, y = draw(12_000)
    held_out = draw(4000, seed=1)
    moe = regressor(experts=SGDRegressor(tol=None, max_iter=5), cv=3)
    moe.partial_fit(X[:600], y[:600])
    assert hasattr(moe, "oof_score_")
    start, coef = score(moe, *held_out), moe.experts_[0].coef_.copy()
    feed(moe, X[600:], y[600:], 300)
    assert not hasattr(moe, "oof_score_")
    assert score(moe, *held_out) > start + 0.01
    assert not np.array_equal(moe.experts_[0].coef_, coef)
    # Scales are those of errors on rows to come, of which the older ones were a little larger.
    resp = moe.responsibilities(*held_out)
    z = (held_out[1][:, None] - moe.predict_experts(held_out[0])) / moe.likelihood_.scale_
    mean = (resp * z**2).sum(axis=0) / resp.sum(axis=0)
    assert (mean > 0.8).all()
    assert (mean < 1.05).all()


def test_naive_bayes_on_a_stream_is_naive_bayes_on_all_its_rows():
    X, y = draw_classes(3000)
    moe = MixtureOfExpertsClassifier(GaussianNB(), n_experts=1, cv=False, random_state=0)
    feed(moe, X, y, 600, classes=["no", "yes"])
    whole = GaussianNB().fit(X, y)
    assert_allclose(moe.experts_[0].theta_, whole.theta_, rtol=1e-14)
    assert_allclose(moe.experts_[0].var_, whole.var_, rtol=1e-6)  # var_smoothing is of each batch


def test_expert_meets_a_class_that_it_never_saw():
    X, y = draw_classes(2000)
    y = np.where(X[:, 0] > 1.5, "far", y)
    few = X[:, 0] < 1.5
    moe = MixtureOfExpertsClassifier(GaussianNB(), n_experts=1, cv=False, class_weight={"far": 1.0})
    with warnings.catch_warnings():
        moe.partial_fit(X[few], y[few], classes=["far", "no", "yes"])
        moe._buffer = None
        moe.partial_fit(X, y)
    assert_array_equal(moe.experts_[0].classes_, ["far", "no", "yes"])
    assert (moe.predict(X[~few]) == "far").mean() > 0.8


def test_calibration_follows_overconfident_experts():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 1, 3)) * 2
    y = np.array([rng.choice(3, p=p) for p in special.softmax(logits[:, 0], axis=1)])
    sure = special.softmax(2.0 * logits, axis=2)  # temperature 2
    likelihood = Categorical().start(y[:200], np.ones(200), 1)
    likelihood.update(y[:200], special.softmax(logits[:200], axis=2), np.ones((200, 1)))
    for i in range(200, 20_000, 200):
        rows = slice(i, i + 200)
        likelihood.learn_batch(y[rows], sure[rows], np.ones((200, 1)), keep=0.95, gain=1.0)
    assert_allclose(likelihood.temperature_, 2.0, rtol=0.1)
    assert likelihood.epsilon_[0] < 0.02
    assert_allclose(likelihood.class_share_, np.bincount(y) / len(y), atol=0.03)


def test_calibration_of_a_first_batch_is_that_of_update():
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet(np.ones(3), size=(500, 2))
    y, weights = rng.integers(3, size=500), rng.dirichlet(np.ones(2), size=500)
    fitted = Categorical(calibration="smoothing").start(y, np.ones(500), 2)
    fitted.update(y, prediction, weights)
    before = fitted.epsilon_.copy()
    fitted.learn_batch(y, prediction, weights, keep=0.5, gain=1.0)
    assert_allclose(fitted.epsilon_, before, rtol=0.02)  # EM was about to stand still


def test_frozen_experts_stay_and_gate_and_scales_learn():
    X, y = draw(2000)
    lines = [
        (name, FrozenEstimator(LinearRegression().fit(*draw(300, seed=s))))
        for name, s in (("a", 1), ("b", 2))
    ]
    moe = regressor(experts=lines, n_experts="auto").fit(X[:600], y[:600])
    scale = moe.likelihood_.scale_.copy()
    moe.partial_fit(X[600:], y[600:])
    assert_allclose(moe.experts_[0].predict(X), lines[0][1].predict(X), rtol=1e-12)
    assert not np.array_equal(moe.likelihood_.scale_, scale)


def test_classifier_as_gate_learns_by_its_own_partial_fit():
    X, y = draw(6000)
    moe = feed(regressor(gate=GaussianNB()), X[:600], y[:600], 600)
    counts = moe.gate_.classifier_.class_count_.sum()
    feed(moe, X[600:], y[600:], 600)
    # Each row is repeated for the experts that have a share in it.
    assert_allclose(moe.gate_.classifier_.class_count_.sum() - counts, 5400, rtol=0.01)
    assert score(moe, X, y) > score(regressor(gate=ConstantGate()).fit(X, y), X, y) + 0.1


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"experts": DecisionTreeRegressor()}, "DecisionTreeRegressor"),
        ({"experts": LinearRegression(), "cv": 5}, "LinearRegression"),
        ({"experts": [("a", Ridge()), ("b", SGDRegressor())], "n_experts": "auto"}, "Ridge"),
        ({"gate": KNeighborsClassifier()}, "KNeighborsClassifier"),
        ({"gate": SoftmaxGate(l1_ratio=0.5)}, "learn_batch"),
    ],
)
def test_there_is_no_partial_fit_where_a_part_cannot_learn_from_batches(params, reason):
    moe = regressor(**params)
    assert not hasattr(moe, "partial_fit")
    with pytest.raises(AttributeError) as error:
        moe.partial_fit  # noqa: B018
    assert reason in f"{error.value} {error.value.__cause__}"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda X, y: (X[:, :1], y, None), "features"),
        (lambda X, y: (X, y[:-1], None), "inconsistent"),
        (lambda X, y: (X, np.where(y > 0, np.nan, y), None), "NaN"),
        (lambda X, y: (np.where(X > 1, np.inf, X), y, None), "infinity"),
        (lambda X, y: (X, y, -np.ones(len(y))), "[Nn]egative"),
        (lambda X, y: (X, np.column_stack([y, y]), None), "outputs"),
        (lambda X, y: (X, None, None), "requires y"),
    ],
)
@pytest.mark.parametrize("n_before", [100, 700])
def test_batch_that_cannot_be_used_leaves_the_mixture_as_it_was(n_before, bad, message):
    moe = regressor(max_iter=20).partial_fit(*draw(n_before))
    before = pickle.dumps(moe)
    X, y, weight = bad(*draw(50, seed=1))
    with pytest.raises(ValueError, match=message):
        moe.partial_fit(X, y, sample_weight=weight)
    assert pickle.dumps(moe) == before


def test_expert_that_fails_in_mid_batch_leaves_the_mixture_as_it_was(monkeypatch):
    moe = regressor(experts=SGDRegressor(), cv=2).fit(*draw(600))
    before, learn, calls = pickle.dumps(moe), SGDRegressor.partial_fit, []

    def tired(self, X, y, sample_weight=None):
        calls.append(len(X))
        learn(self, X, y, sample_weight)
        if len(calls) == 2:
            raise ZeroDivisionError("nothing to divide by")
        return self

    monkeypatch.setattr(SGDRegressor, "partial_fit", tired)
    with pytest.raises(ZeroDivisionError) as error:
        moe.partial_fit(*draw(50, seed=1))
    assert "expert1" in error.value.__notes__[0]
    assert pickle.dumps(moe) == before


def test_rows_that_cannot_be_fitted_yet_are_only_collected():
    X, y = draw(600)
    moe = regressor(max_iter=300).partial_fit(X[:2], y[:2])
    assert not hasattr(moe, "experts_")
    with pytest.raises(Exception, match="not fitted yet"):
        moe.predict(X)
    moe.partial_fit(X[2:], y[2:])
    assert_same_answers(moe, regressor(max_iter=300).fit(X, y))


ASKING = [
    lambda moe, X, y: moe.predict(X),
    lambda moe, X, y: moe.score(X, y),
    lambda moe, X, y: moe.expert_report(),
    lambda moe, X, y: moe.summary(X, y),
    lambda moe, X, y: moe.marginal_effects(X, y),
    GateDisplay.from_estimator,
]


@pytest.mark.parametrize("params", [{}, {"n_experts": 1}, {"n_experts": 3}])
@pytest.mark.parametrize("classes", [None, ["no", "yes"]])
def test_whoever_asks_too_early_is_told_how_many_rows_there_are_and_are_needed(params, classes):
    X, y = draw(20) if classes is None else draw_classes(20)
    kind = MixtureOfExpertsRegressor if classes is None else MixtureOfExpertsClassifier
    moe, given = kind(**params), {} if classes is None else {"classes": classes}
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        moe.predict(X)
    told = None
    for n_used in range(1, 11):
        rows = slice(2 * n_used - 2, 2 * n_used)
        moe.partial_fit(X[rows], y[rows], sample_weight=[0.0, 1.0], **given)
        if hasattr(moe, "experts_"):
            break
        for ask in ASKING:
            with pytest.raises(NotFittedError) as error:
                ask(moe, X, y)
            assert f"has collected {n_used} row" in str(error.value)
            told = int(re.search(r"once it has (\d+) rows", str(error.value)).group(1))
        if classes is not None:
            n_classes = len(set(y[1 : 2 * n_used : 2]))
            assert f"classes: {n_classes}) so far" in str(error.value)
            assert "of 2 classes" in str(error.value)
    assert n_used == told if classes is None else n_used >= told
    assert moe.predict(X).shape == (20,)


def test_classes_are_needed_first_and_then_fixed():
    X, y = draw_classes(600)
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=1, random_state=0, max_iter=300)
    with pytest.raises(ValueError, match="first call"):
        moe.partial_fit(X, y)
    with pytest.raises(ValueError, match="two at least"):
        moe.partial_fit(X, y, classes=["no"])
    with pytest.raises(ValueError, match="classes"):
        moe.partial_fit(X, np.where(y == "no", "perhaps", y), classes=["no", "yes"])
    assert not hasattr(moe, "classes_")
    moe.partial_fit(X, y, classes=["yes", "no"])
    assert_array_equal(moe.classes_, ["no", "yes"])
    moe.partial_fit(X, y).partial_fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="not those of the first call"):
        moe.partial_fit(X, y, classes=["no", "yes", "more"])
    with pytest.raises(ValueError, match="balanced"):
        clone(moe).set_params(class_weight="balanced").partial_fit(X, y, classes=["no", "yes"])


def test_fitted_classifier_needs_no_classes():
    X, y = draw_classes(800)
    moe = MixtureOfExpertsClassifier(
        LogisticRegression(), n_experts=2, n_init=1, random_state=0, max_iter=300
    )
    moe.fit(X[:600], y[:600]).partial_fit(X[600:], y[600:])
    assert moe.n_samples_seen_ == 800


@pytest.mark.parametrize("as_rows", [sparse.csr_array, pd.DataFrame])
def test_an_expert_whose_rows_were_all_of_one_class_learns_the_other(as_rows):
    X, y = draw_classes(30)
    of_one_class = np.where(y == y[0], 1.0, 0.0)
    moe = MixtureOfExpertsClassifier(
        LogisticRegression(), n_experts=2, gate=ConstantGate(), n_init=1, max_iter=1, random_state=0
    )
    with pytest.warns(ExpertCollapseWarning):
        moe.fit(as_rows(X), y, sample_weight=of_one_class)
    before = moe.log_density(as_rows(X), y).sum()
    moe.partial_fit(as_rows(X), y)
    assert moe.log_density(as_rows(X), y).sum() > before
    assert_allclose(moe.predict_proba(as_rows(X)).sum(axis=1), 1)


def test_sparse_rows_need_experts_with_a_partial_fit():
    X, y = draw(700)
    X = sparse.csr_matrix(np.where(np.abs(X) < 0.5, 0, X))
    wide = sparse.hstack([X, sparse.random(700, 500, density=0.01, random_state=0)], format="csr")
    moe = regressor(experts=Ridge(), n_init=1, max_iter=2).fit(wide, y)  # each by its own fit
    with pytest.raises(TypeError, match="sparse data"):
        moe.partial_fit(wide, y)
    moe = regressor(experts=SGDRegressor(), n_init=1, cv=2)
    feed(moe, sparse.vstack([X, X], format="csr")[:1200], np.tile(y, 2)[:1200], 300)
    assert moe._buffer is None


def test_sparse_mixture_streams_under_its_own_routes():
    rng = np.random.default_rng(0)

    def rows(n):
        X = rng.uniform(-2, 2, size=(n, 1))
        return X, np.abs(X[:, 0]) + np.floor(X[:, 0]) + 0.1 * rng.normal(size=n)

    X, y = rows(1000)
    moe = MixtureOfExpertsRegressor(n_experts=4, top_k=1, random_state=0).fit(X, y)
    held_out = rows(2000)
    before = moe.log_density(*held_out).mean()
    for _ in range(20):
        moe.partial_fit(*rows(500))
    assert moe.log_density(*held_out).mean() > before
    experts, _ = moe.route(X)
    error = y - np.take_along_axis(moe.predict_experts(X), experts, axis=1)[:, 0]
    served = np.sqrt(np.bincount(experts[:, 0], error**2) / np.bincount(experts[:, 0]))
    assert_allclose(moe.likelihood_.scale_, served, rtol=0.25)


@pytest.mark.parametrize("is_classifier", [False, True])
def test_a_default_fit_on_a_mixed_table_goes_on_with_batches(is_classifier):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(900, 2))
    value = np.where(X[:, 0] > 0, 2 * X[:, 1], -1 - X[:, 1]) + 0.1 * rng.normal(size=900)
    table = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": np.where(X[:, 1] > 1, "u", "v")})
    make = MixtureOfExpertsClassifier if is_classifier else MixtureOfExpertsRegressor
    y = value > 0 if is_classifier else value
    moe = make(random_state=0).fit(table[:600], y[:600])
    before = moe.score(table, y)
    for start in (600, 700, 800):
        moe.partial_fit(table[start : start + 100], y[start : start + 100])
    assert moe.n_samples_seen_ == 900
    assert moe.score(table, y) > before - 0.01


@pytest.mark.parametrize("experts", [None, LinearRegression(), SGDRegressor()])
def test_without_the_leaf_of_streams_a_mixture_fits_and_says_what_is_not_there(
    experts, monkeypatch
):
    monkeypatch.setitem(sys.modules, "skmoe._updates", None)
    X, y = draw(200)[:2]
    few = {"n_init": 1, "tol": 1.0, "cv": False, "random_state": 0}
    moe = MixtureOfExpertsRegressor(experts, 2, **few).fit(X, y)
    moe.predict(X)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as refused:
        moe.partial_fit(X, y)
    assert "partial_fit needs skmoe._updates" in str(refused.value.__cause__)
    name = next(iter(moe.named_experts_))
    for change in (
        lambda: moe.add_expert(X, y, replay=()),
        lambda: moe.remove_expert(name),
    ):
        with pytest.raises(ImportError, match="needs skmoe._updates, which is not installed"):
            change()
