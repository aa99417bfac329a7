"""Sparse mixtures: the top k experts of each row, in training and in prediction."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em import problem, trainer
from skmoe._em.sweeps import LeastSquaresSweep, Sweep
from skmoe._kernels._routing import top_k
from skmoe.gates import SoftmaxGate

N_REGIMES = 6


def regimes(n_samples, seed):
    """Linear functions on the cells of random centres."""
    centres, slopes, levels = (
        np.random.default_rng(5).uniform(-1, 1, size=(N_REGIMES, 2)),
        np.random.default_rng(6).normal(size=(N_REGIMES, 2)),
        np.random.default_rng(7).normal(size=N_REGIMES),
    )
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 2))
    cell = ((X[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    return X, (X * slopes[cell]).sum(axis=1) + levels[cell] + 0.1 * rng.normal(size=n_samples)


@pytest.fixture(scope="module")
def data():
    return regimes(1500, 0)


@pytest.fixture(scope="module")
def dense(data):
    return MixtureOfExpertsRegressor(n_experts=N_REGIMES, random_state=0, training="em").fit(*data)


@pytest.fixture
def mixture(dense):
    """The dense one, whose ``top_k`` a test may set."""
    return dense.set_params(top_k=None)


def test_top_k_kernel_puts_nan_last():
    scores = np.array([[np.nan, 1.0, np.nan, 2.0], [np.nan, np.nan, np.nan, -np.inf]])
    experts = np.empty((2, 3), dtype=np.intp)
    top_k(scores, experts, 1)
    assert_array_equal(experts, [[3, 1, 0], [3, 0, 1]])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_truncated_bound_rises(data, k, monkeypatch):
    monkeypatch.setattr(trainer, "MORE_EXPERTS", 1)  # else it begins where EM has converged
    given = {"init": "kmeans_xy", "n_init": 1, "tol": 1e-8, "max_iter": 500, "random_state": 0}
    moe = MixtureOfExpertsRegressor(n_experts=N_REGIMES, top_k=k, **given).fit(*data)
    assert moe._training_reports["expert"].columns["revived"] == [0] * N_REGIMES
    assert np.diff(moe.lower_bounds_).min() > -1e-10
    assert moe.lower_bounds_[-1] - moe.lower_bounds_[0] > 0.3


def test_truncated_training_is_as_good_as_dense_training(data, mixture):
    sparse_ = MixtureOfExpertsRegressor(n_experts=N_REGIMES, top_k=2, random_state=0).fit(*data)
    held_out = regimes(2000, 1)
    in_full = sparse_.set_params(top_k=None).log_density(*held_out).mean()
    assert in_full > mixture.log_density(*held_out).mean() - 0.02


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
def test_beginning_with_more_experts_leads_to_better_optima(monkeypatch):
    given = {"n_experts": N_REGIMES, "n_init": 1, "training": "em"}
    rows = [regimes(800, seed) for seed in range(4)]
    found = []
    for more in (1, 2, 4):
        monkeypatch.setattr(trainer, "MORE_EXPERTS", more)
        fits = [MixtureOfExpertsRegressor(top_k=1, random_state=0, **given).fit(*r) for r in rows]
        found.append([moe.lower_bound_ for moe in fits])
        kept = [moe.route(rows[0][0])[0].shape[1] for moe in fits]
        assert kept == [1] * 4
    assert np.mean(found[1]) > np.mean(found[0]) + 0.05
    assert np.mean(found[2]) > np.mean(found[0]) + 0.05


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
def test_experts_that_routes_hardly_lead_to_begin_anew(monkeypatch):
    given = {"n_experts": 40, "top_k": 2, "n_init": 1, "training": "em", "random_state": 0}
    found = []
    for least in (0.0, problem.IDLE):
        monkeypatch.setattr(problem, "IDLE", least)
        for seed in (0, 3):
            rng = np.random.default_rng(seed)
            X = rng.uniform(-1, 1, (2000, 3))
            y = np.sin(4 * X[:, 0]) + 2 * X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=2000)
            moe = MixtureOfExpertsRegressor(Ridge(), **given).fit(X, y)
            found.append(((moe.expert_load_ < 0.1 / 40).sum(), moe.log_density(X, y).mean()))
    before, after = np.mean(found[:2], axis=0), np.mean(found[2:], axis=0)
    assert after[0] < before[0]
    assert after[1] > before[1] + 0.01


@pytest.mark.parametrize("k", [1, 2, 3])
def test_all_answers_speak_of_the_same_truncated_mixture(data, mixture, k):
    X, y = data[0][:300], data[1][:300]
    gate, means = mixture.gate_proba(X), mixture.predict_experts(X)
    kept = np.argsort(-gate, axis=1, kind="stable")[:, :k]
    weights = np.zeros_like(gate)
    np.put_along_axis(weights, kept, np.take_along_axis(gate, kept, axis=1), axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    scale = mixture.likelihood_.scale_
    density = (weights * stats.norm.pdf(y[:, None], means, scale)).sum(axis=1)
    mixture.set_params(top_k=k)
    assert_allclose(mixture.gate_proba(X), weights, rtol=1e-9, atol=1e-300)
    assert_allclose(mixture.predict(X), (weights * means).sum(axis=1), rtol=1e-9)
    assert_allclose(mixture.log_density(X, y), np.log(density), rtol=1e-9)
    distribution = mixture.predict_dist(X)
    assert distribution.weights.shape == (300, k)
    assert_allclose(distribution.pdf(y), density, rtol=1e-9)
    cdf = (weights * stats.norm.cdf(y[:, None], means, scale)).sum(axis=1)
    assert_allclose(distribution.cdf(y), cdf, rtol=1e-9, atol=1e-12)
    assert_allclose(distribution.cdf(distribution.ppf(0.3)), 0.3, rtol=1e-9)
    shares = weights * stats.norm.pdf(y[:, None], means, scale) / density[:, None]
    assert_allclose(mixture.responsibilities(X, y), shares, rtol=1e-7, atol=1e-12)


def test_classifier_answers_with_its_top_k():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    given = {"n_experts": 4, "n_init": 2, "cv": 3, "random_state": 0, "training": "em"}
    moe = MixtureOfExpertsClassifier(**given).fit(X, y)
    gate = moe.gate_proba(X)
    proba = moe.likelihood_.calibrate(moe._model.expert_predictions(X))
    kept = np.argsort(-gate, axis=1, kind="stable")[:, :2]
    weights = np.take_along_axis(gate, kept, axis=1)
    expected = np.take_along_axis(proba, kept[:, :, None], axis=1)
    expected = (weights[:, :, None] * expected).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    moe.set_params(top_k=2)
    assert_allclose(moe.predict_proba(X), expected, rtol=1e-9)
    own = np.log(expected[np.arange(600), y])
    assert_allclose(moe.log_density(X, y), own, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [N_REGIMES, 20])
def test_k_of_all_experts_is_no_truncation(data, mixture, k):
    X, y = data
    expected = mixture.log_density(X, y)
    assert_allclose(mixture.set_params(top_k=k).log_density(X, y), expected, rtol=1e-12)
    given = {"n_experts": N_REGIMES, "top_k": k, "random_state": 0, "training": "em"}
    fitted = MixtureOfExpertsRegressor(**given).fit(X, y)
    assert_array_equal(fitted.lower_bounds_, mixture.lower_bounds_)


def test_answers_do_not_depend_on_the_other_rows(data, mixture):
    X = data[0]
    whole = mixture.set_params(top_k=2).predict(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(mixture.predict(X[order]), whole[order], rtol=1e-12)
    assert_allclose(mixture.predict(X[:1]), whole[:1], rtol=1e-12)
    with pytest.raises(ValueError, match="0 sample"):
        mixture.predict(X[:0])


class Counting(RegressorMixin, BaseEstimator):
    """Predicts its number, and remembers what it was asked."""

    def __init__(self, number=0.0):
        self.number = number

    def fit(self, X, y):
        self.asked_ = []
        return self

    def predict(self, X):
        self.asked_.append(np.array(X))
        return np.full(len(X), float(self.number))


@pytest.fixture
def counting(data):
    """Four experts that predict their number, under a gate that never takes the last one."""
    X, y = data
    experts = [(f"e{k}", FrozenEstimator(Counting(k).fit(X, y))) for k in range(4)]
    moe = MixtureOfExpertsRegressor(experts, cv=False, max_iter=1, n_init=1)
    with pytest.warns(ConvergenceWarning):
        moe.fit(X, y)
    labels = np.column_stack([X[:, 0] > 0.2, X[:, 0] < -0.2, np.abs(X[:, 0]) <= 0.2])
    gate = SoftmaxGate(alpha=1e-3).fit(X, np.column_stack([labels + 0.01, np.zeros(len(X))]))
    gate.intercept_[3] = -1000.0
    moe.gate_ = gate
    for expert in moe.experts_:
        expert.estimator.asked_ = []
    return moe


def test_each_expert_is_asked_once_for_its_own_rows(data, counting):
    X = data[0]
    counting.set_params(top_k=2).predict(X)
    experts, _ = counting.route(X)
    for k in range(3):
        (asked,) = counting.experts_[k].estimator.asked_
        assert_array_equal(asked, X[(experts == k).any(axis=1)])
    assert counting.experts_[3].estimator.asked_ == []


@pytest.mark.parametrize("form", ["frame", "csr"])
def test_rows_of_frames_and_sparse_matrices_find_their_experts(data, form):
    X, y = data
    given = {"n_experts": 4, "cv": 3, "top_k": 2, "n_init": 2, "random_state": 0}
    pandas = pytest.importorskip("pandas")
    table = sparse.csr_array(X) if form == "csr" else pandas.DataFrame(X, columns=["a", "b"])
    moe = MixtureOfExpertsRegressor(Ridge(), gate=SoftmaxGate(), **given).fit(table, y)
    gate, means = moe.set_params(top_k=None).gate_proba(table), moe.predict_experts(table)
    kept = np.argsort(-gate, axis=1, kind="stable")[:, :2]
    weights, chosen = (np.take_along_axis(a, kept, axis=1) for a in (gate, means))
    expected = (weights * chosen).sum(axis=1) / weights.sum(axis=1)
    assert_allclose(moe.set_params(top_k=2).predict(table), expected, rtol=1e-9)


def test_setting_top_k_leaves_scales_and_fitting_with_it_covers_wrong_turns(data, mixture):
    X, y = data
    before = mixture.likelihood_.scale_.copy()
    mixture.set_params(top_k=1).predict_dist(X)
    assert_array_equal(mixture.likelihood_.scale_, before)
    served = MixtureOfExpertsRegressor(n_experts=N_REGIMES, top_k=1, random_state=0).fit(X, y)
    experts, _ = served.route(X)
    own = np.take_along_axis(served.predict_experts(X), experts, axis=1)[:, 0]
    squares = np.bincount(experts[:, 0], (y - own) ** 2, minlength=N_REGIMES)
    rows = np.bincount(experts[:, 0], minlength=N_REGIMES)
    mean = squares / rows
    pooled = np.exp(rows @ np.log(mean) / rows.sum())
    assert_allclose(served.likelihood_.scale_**2, (squares + pooled) / (rows + 1), rtol=1e-6)
    held_out = regimes(2000, 1)
    assert served.log_density(*held_out).mean() > mixture.log_density(*held_out).mean()


def test_routes_begin_with_the_most_probable(data, mixture):
    for k in (None, 2):
        experts, weights = mixture.set_params(top_k=k).route(data[0])
        assert_allclose(weights.sum(axis=1), 1.0)
        assert (np.diff(weights, axis=1) <= 0).all()
        proba = mixture.gate_proba(data[0])
        assert_array_equal(weights, np.take_along_axis(proba, experts, axis=1))


def test_information_criteria_refuse_a_truncated_mixture(data, mixture):
    assert np.isfinite(mixture.bic(*data))
    with pytest.raises(ValueError, match="top_k"):
        mixture.set_params(top_k=2).bic(*data)


@pytest.mark.parametrize("k", [0, 1.5, "two"])
def test_bad_top_k_is_refused_before_anything_is_asked(data, mixture, k):
    with pytest.raises(ValueError, match="top_k"):
        mixture.set_params(top_k=k).predict(data[0])
    with pytest.raises(ValueError, match="top_k"):
        MixtureOfExpertsRegressor(n_experts=2, top_k=k).fit(*data)


@pytest.mark.parametrize("top_k", [None, 2])
def test_more_weights_than_are_paired_take_the_same_steps_compiled_or_not(top_k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 8))
    y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 2]) + 0.1 * rng.normal(size=400)
    settings = {"n_experts": 60, "top_k": top_k, "n_init": 1, "max_iter": 4, "random_state": 0}
    moe = MixtureOfExpertsRegressor(Ridge(), training="em", cv=False, tol=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations of many experts
        compiled = moe.fit(X, y).lower_bounds_
        monkeypatch.setattr(LeastSquaresSweep, "begin_run", Sweep.begin_run)
        by_steps = moe.fit(X, y).lower_bounds_
    assert_allclose(compiled, by_steps, rtol=1e-8)
    assert compiled[-1] > compiled[0]
