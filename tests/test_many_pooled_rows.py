"""Pooled experts on rows that are not in memory: the mixture of the same rows in memory."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from mixtures import alone
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, planted
from sklearn.linear_model import Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._data import Rows, TrainingData
from skmoe._em.starts import soften
from skmoe._experts.pooled import PooledExperts
from skmoe._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from skmoe._experts.pooled_logistic import PooledLogisticExperts
from skmoe._pooling.problem import PooledGate, PooledProblem
from skmoe.gates import ConstantGate
from skmoe.likelihoods import Binomial, Gamma, Gaussian, Poisson
from skmoe.likelihoods._pooled import PooledCategorical, PooledGaussian
from skmoe.rows import Files
from skmoe.rows._blocks import BlockRows, IterableRows
from skmoe.rows._pooled import PooledRowsProblem, SummedGate

KINDS = ["gaussian", "two outputs", "poisson", "gamma", "binomial", "two classes", "three classes"]
BOUNDS = {
    "one block": [1500],
    "three, one of them empty": [300, 300, 1500],
    "seven": [1, 40, 600, 800, 801, 1200, 1500],
}


@pytest.fixture(autouse=True)
def few_rows_for_starts(monkeypatch):
    """The number of experts is chosen on a sample of so few rows that thousands are many."""
    monkeypatch.setattr("skmoe._em.starts.FEWEST_ROWS", 1000)
    monkeypatch.setattr("skmoe._em.starts.ROWS_PER_COEFFICIENT", 5)


LIKELIHOODS = {"poisson": Poisson(), "gamma": Gamma(), "binomial": Binomial()}


def two_functions(kind, n=1500):
    """Rows, target, weights and regimes of two linear functions behind a soft border."""
    coef = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, -1.0, -0.5]])
    truth = {
        "gaussian": {"coef": 3 * coef, "noise": [0.3, 0.6]},
        "two outputs": {"coef": np.stack([coef, [0, 0, 2, 0] - coef], axis=2), "noise": 0.3},
        "poisson": {"coef": coef + [0, 0, 0, 1], "kind": "poisson"},
        "gamma": {"coef": coef, "kind": "gamma"},
        "three classes": {"coef": 4.0, "n_outputs": 3, "kind": "classes"},
    }.get(kind, {"coef": 4 * coef, "kind": "logistic"})
    rows = planted(n, gate=[-5, 0, 0, 0], unlike_units=True, **truth)
    y = np.unique(rows.y, return_inverse=True)[1] if "classes" in kind else rows.y.astype(float)
    return rows.X, y, rows.weights(), rows.regime


def blocks_of(*arrays, bounds):
    starts = [0, *bounds[:-1]]
    slices = [slice(start, stop) for start, stop in zip(starts, bounds, strict=True)]
    return [tuple(each[rows] for each in arrays) for rows in slices]


def parts_of(kind, X, y, weight):
    """One pooled expert, and its likelihood."""
    if "classes" in kind:
        classes = np.arange(1 + y.max())
        experts = PooledLogisticExperts(X, y, weight, classes=classes)
        likelihood = PooledCategorical(n_classes=len(classes))
    elif kind in LIKELIHOODS:
        likelihood = LIKELIHOODS[kind].pooled().fitting(in_sample=True, linear=True)
        experts = PooledGeneralizedLinearExperts(X, y, weight, family=likelihood.family)
    else:
        likelihood = PooledGaussian().start(y, weight, 1)
        experts = PooledExperts(X, y, weight, floor=likelihood.floor_, shared_scale=False)
    return experts, likelihood.start(y, weight, 1)


def problem_in_memory(kind, *, n_experts=2, right=0.8, n_steps=3):
    """A problem a few steps after a start, at responsibilities that know the regimes or do not."""
    X, y, weight, second = two_functions(kind)
    experts, likelihood = parts_of(kind, X, y, weight)
    data = TrainingData.of(Rows(X, y, weight), X, None)
    gate = PooledGate(X if n_experts > 1 else X[:, :0], weight)
    problem = PooledProblem(experts.resized(n_experts), gate, likelihood, data)
    known = soften(second % n_experts, n_experts)
    problem.start(right * known + (1 - right) / n_experts)
    for _ in range(n_steps):
        problem.step()
    return problem


def problem_of_blocks(problem, *, bounds, shuffled=False):
    """The same from the same parameters, on blocks of the rows."""
    data = problem.data
    order = np.random.default_rng(1).permutation(len(data.y))
    order = order if shuffled else np.arange(len(data.y))
    is_class = data.y.dtype.kind == "i"
    blocks = blocks_of(data.X[order], data.y[order], data.weight[order], bounds=bounds)
    rows = IterableRows(blocks, classifies=is_class)
    rows.know(np.unique(data.y) if is_class else None)
    return PooledRowsProblem(problem, data, rows)


def run(problem, n_steps):
    for _ in range(n_steps):
        problem.step()


def assert_same(problem, other):
    """The same parameters, bound and evidence, and what predictions take of the experts."""
    same = {"rtol": 1e-6, "atol": 1e-8}
    assert_allclose(other.gate.coef, problem.gate.coef, **same)
    assert_allclose(other.experts.coef, problem.experts.coef, **same)
    assert_allclose(other.experts.tau, problem.experts.tau, **same)
    assert_allclose(other.experts.rho, problem.experts.rho, **same)
    assert_allclose(other.load, problem.load, **same)
    assert_allclose(other.effective_rows(), problem.effective_rows(), **same)
    assert other.objective == pytest.approx(problem.objective, rel=1e-9)
    assert other.evidence == pytest.approx(problem.evidence, rel=1e-9)
    for each in (problem, other):
        each.fit_to_routing()
    for name in ("coef_cov_", "scale_", "df_", "log_scale_precision_", "shape_", "class_share_"):
        expected = getattr(problem.likelihood, name, None)
        if expected is not None:
            assert_allclose(getattr(other.likelihood, name), expected, **same)


# Equal to rows in memory ------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
def test_lines_of_blocks_are_those_of_rows_in_memory(bounds):
    problem = problem_in_memory("gaussian")
    other = problem_of_blocks(problem, bounds=bounds)
    assert other.objective == pytest.approx(problem.objective, rel=1e-12)
    run(problem, 40)
    run(other, 40)
    assert_same(problem, other)
    assert not other.copies().any()
    other.experts.restore(alike(other.experts.state()))
    assert other.copies().sum() == 1


def alike(state):
    """The posterior of the first of some lines, for all."""
    posteriors, tau, rho = state
    ((coefficients, precisions),) = posteriors
    first = [0] * len(coefficients.mean)
    coefficients = replace(coefficients, mean=coefficients.mean[first], cov=coefficients.cov[first])
    shape, rate = precisions.shape[first], precisions.rate[first]
    return [(coefficients, replace(precisions, shape=shape, rate=rate))], tau, rho


@pytest.mark.parametrize("kind", KINDS)
def test_experts_of_shuffled_blocks_are_those_of_rows_in_memory(kind):
    problem = problem_in_memory(kind)
    other = problem_of_blocks(problem, bounds=BOUNDS["three, one of them empty"], shuffled=True)
    n_steps = 200 if kind in ("three classes", "gamma") else 80  # whose steps are others at first
    run(problem, n_steps)
    run(other, n_steps)
    assert_same(problem, other)


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_precision_of_the_prior_of_the_gate_is_that_learned_in_memory(kind):
    problem = problem_in_memory(kind)
    problem.gate.alpha = np.full_like(problem.gate.alpha, 30.0)
    other = problem_of_blocks(problem, bounds=BOUNDS["seven"])
    for each in (problem, other):
        for _ in range(8):
            run(each, 15)
            each.learn_alpha()
        run(each, 30)
    assert problem.gate.alpha.max() < 3
    assert other.gate.alpha == pytest.approx(problem.gate.alpha, rel=1e-5)
    # The precision, and so the weights, are where steps between changes of it have led.
    assert_allclose(other.gate.coef, problem.gate.coef, rtol=1e-5, atol=1e-6)
    assert other.evidence == pytest.approx(problem.evidence, rel=1e-8)


def test_one_expert_of_blocks_is_that_of_rows_in_memory():
    problem = problem_in_memory("gaussian", n_experts=1)
    other = problem_of_blocks(problem, bounds=BOUNDS["seven"])
    run(problem, 30)
    run(other, 30)
    assert_same(problem, other)
    assert len(other.finished_gate(ConstantGate()).proportions_) == 1


# The bound rises --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_bound_never_falls_from_a_start_that_knows_little(kind):
    small = problem_in_memory(kind, n_experts=3, right=0.3, n_steps=0)
    problem = problem_of_blocks(small, bounds=BOUNDS["seven"])
    bounds = np.array([problem.step() for _ in range(60)])
    # Rounding of sums over rows, of numbers of about the size of the bound.
    assert (np.diff(bounds) >= -1e-11 * np.maximum(1, np.abs(bounds[1:]))).all()
    assert bounds[-1] > bounds[0] + 1e-4


def test_steps_that_are_too_long_are_taken_again_shorter(monkeypatch):
    step = SummedGate.learn_sums
    monkeypatch.setattr(SummedGate, "learn_sums", lambda g, sums, size=1.0: step(g, sums, 6 * size))
    small = problem_in_memory("gaussian")
    problem = problem_of_blocks(small, bounds=BOUNDS["seven"])
    bounds = np.array([problem.step() for _ in range(100)])
    assert (np.diff(bounds) >= -1e-11).all()
    run(small, 100)
    assert bounds[-1] == pytest.approx(small.objective, abs=1e-9)


# Fits -------------------------------------------------------------------------------------------


def pooled(kind="gaussian", **params):
    params = {"training": "pooled", "n_experts": "auto", "n_init": 3, "random_state": 0} | params
    if "classes" in kind:
        return MixtureOfExpertsClassifier(**params)
    likelihood = "gaussian" if kind == "two outputs" else kind
    return MixtureOfExpertsRegressor(**{"likelihood": likelihood} | params)


def answers(moe, X):
    return moe.predict_proba(X) if hasattr(moe, "predict_proba") else moe.predict(X)


@pytest.mark.parametrize("kind", KINDS)
def test_regimes_and_their_number_are_found_as_in_memory(kind):
    X, y, weight, _ = two_functions(kind, n=3000)
    # Few rows say little by their classes, and steps under bounds of these are short.
    params = {"n_experts": 2, "tol": 1e-7} if "classes" in kind else {}
    moe = alone(pooled(kind, **params), X, y, weight)
    other = pooled(kind, **params).fit(in_parts(X, y, weight, bounds=[1000, 1000, 3000]))
    assert len(moe.experts_) == len(other.experts_) == 2
    # EM ends where the bound gains less than tol, and the precision of the gate moves by a tenth.
    assert_allclose(answers(other, X), answers(moe, X), rtol=0.01, atol=0.04 * np.std(y))
    assert_allclose(other.expert_load_, moe.expert_load_, atol=0.005)
    assert list(other.log_evidence_) == [2]
    assert other.log_evidence_[2] == pytest.approx(moe.log_evidence_[2], abs=1e-4)
    assert other.n_samples_seen_ == pytest.approx(weight.sum())
    assert other.gate_.alpha == pytest.approx(moe.gate_.alpha, rel=0.1)
    ours, theirs = moe.expert_report().columns, other.expert_report().columns
    for name in ("load", "rows", "wins", "gate", "entropy", "error"):
        assert_allclose(theirs[name], ours[name], rtol=0.03)


def test_the_order_of_rows_and_their_blocks_make_no_difference():
    X, y, weight, _ = two_functions("gaussian", n=3000)
    order = np.random.default_rng(0).permutation(3000)
    moe = pooled().fit(in_parts(X, y, weight, bounds=[3000]))
    other = pooled().fit(in_parts(*(a[order] for a in (X, y, weight)), bounds=[10, 2000, 3000]))
    assert_allclose(other.predict(X), moe.predict(X), rtol=1e-6, atol=1e-8)
    assert_allclose(other.lower_bounds_, moe.lower_bounds_, rtol=1e-9)
    assert other.log_evidence_ == pytest.approx(moe.log_evidence_, rel=1e-9)


def test_rows_given_twice_are_rows_of_weight_two():
    X, y, _, _ = two_functions("gaussian", n=2400)
    X, y = np.round(X, 1), np.round(y, 1)
    copies = np.random.default_rng(0).integers(1, 4, 2400)
    again = np.repeat(np.arange(2400), copies)
    np.random.default_rng(1).shuffle(again)
    moe = pooled().fit(in_parts(X, y, copies, bounds=[800, 2400]))
    other = pooled().fit(in_parts(X[again], y[again], bounds=[10, 900, len(again)]))
    assert_allclose(other.predict(X), moe.predict(X), rtol=1e-6, atol=1e-8)
    assert_allclose(other.lower_bounds_, moe.lower_bounds_, rtol=1e-9)


def test_rows_of_the_sample_count_as_themselves_when_the_number_is_chosen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 4))
    y = X @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=8000)  # one line
    moe = pooled().fit(in_parts(X, y, bounds=[3000, 8000]))
    assert len(moe.experts_) == 1
    assert_allclose(moe.experts_[0].coef_, [1.0, -1.0, 0.5, 0.0], atol=0.05)
    (note,) = moe.expert_report().notes
    assert "evidence of 1,000 rows" in note
    assert f"{moe.log_evidence_[1]:.4f}" not in note  # that is the evidence of all


def test_what_a_fit_leaves_behind():
    X, y, _, _ = two_functions("gaussian", n=3000)
    moe = pooled(tol=1e-9).fit(in_parts(X, y, bounds=[1000, 3000]))
    assert moe.converged_
    assert (np.diff(moe.lower_bounds_) >= -1e-12).all()
    again = pickle.loads(pickle.dumps(moe))
    assert_array_equal(again.predict(X), moe.predict(X))
    assert moe.coefficients().terms[:3] == ["intercept", "x0", "x1"]
    low, high = moe.predict_interval(X, 0.9).T
    assert np.mean((low < y) & (y < high)) == pytest.approx(0.9, abs=0.03)
    in_memory = pooled(tol=1e-9).fit(X, y)
    errors, expected = (each.summary(X, y).to_frame()["std_error"] for each in (moe, in_memory))
    assert_allclose(errors, expected, rtol=0.02)


def test_kernels_travel_to_the_rows(monkeypatch):
    X, y, _, _ = two_functions("gamma")
    moe = pooled("gamma").fit(in_parts(X, y, bounds=[500, 1500]))
    task, sizes = BlockRows._task, []

    def sent(self, *args):
        sizes.append(len(pickle.dumps(task(self, *args))))
        return pickle.loads(pickle.dumps(task(self, *args)))

    monkeypatch.setattr(BlockRows, "_task", sent)
    other = pooled("gamma").fit(in_parts(X, y, bounds=[500, 1500]))
    assert_array_equal(other.predict(X), moe.predict(X))
    assert max(sizes[2:]) < 8 * 1500  # no row, not even a number of each, goes with them


def test_lines_that_are_asked_for_tell_the_sample_from_all_rows(capsys):
    X, y, _, _ = two_functions("gaussian", n=3000)
    pooled(verbose=1).fit(in_parts(X, y, bounds=[1000, 3000]))
    lines = re.sub(r"(?m)^ +[\d.]+ s  ", "", capsys.readouterr().out).splitlines()
    first, last = lines.index("A sample of 1,000 rows"), lines.index("All rows")
    assert lines[last - 1] == "Kept 2 experts"
    assert first < last - 3
    assert lines[last + 1].startswith("2 experts: log-evidence -")


def test_fewer_rows_than_columns():
    X = np.random.default_rng(0).normal(size=(60, 80))
    y = X[:, 0] - X[:, 1] + 0.3 * np.random.default_rng(1).normal(size=60)
    moe = pooled(n_experts=1).fit(X, y)
    other = pooled(n_experts=1).fit(in_parts(X, y, bounds=[20, 60]))
    for factor in (1, 2):  # and outside of what the rows span
        found, expected = (m.predict(factor * X, return_std=True) for m in (other, moe))
        assert_allclose(found, expected, rtol=1e-3, atol=1e-3)  # EM stops at tol


def test_weights_of_classes():
    X, y, weight, _ = two_functions("two classes", n=3000)
    params = {"class_weight": {0: 3.0, 1: 1.0}, "n_experts": 2, "tol": 1e-8}
    moe = pooled("two classes", **params).fit(X, y, weight)
    other = pooled("two classes", **params).fit(in_parts(X, y, weight, bounds=[900, 3000]))
    assert other.n_samples_seen_ == pytest.approx(moe.n_samples_seen_)
    assert len(moe.experts_) == len(other.experts_)
    assert_allclose(other.predict_proba(X), moe.predict_proba(X), atol=0.02)


def test_strings_and_missing_values():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pandas.DataFrame({"dose": rng.normal(size=3000), "kind": rng.choice(["a", "b"], 3000)})
    y = np.where(table["kind"] == "a", 2, -1) * table["dose"] + 0.2 * rng.normal(size=3000)
    table.loc[::10, "dose"] = np.nan
    y = np.where(table["dose"].isna(), 0.2 * rng.normal(size=3000), y)
    parts = [(table[:1000], y[:1000]), (table[1000:], y[1000:])]
    moe = pooled().fit(Files(parts, reader=lambda part: part))
    assert len(moe.experts_) == 2
    assert moe.coefficients().terms[1:3] == ["dose", "dose missing"]
    observed = table["dose"].notna().to_numpy()
    left = (y - moe.predict(table))[observed]
    assert np.std(left) < 0.3
    in_memory = pooled().fit(table.fillna({"dose": table["dose"].mean()}), y)
    assert_allclose(moe.predict(table), in_memory.predict(table.fillna(0.0)), atol=0.3)


def test_auto_does_not_pool_rows_that_are_not_in_memory():
    X, y, _, _ = two_functions("gaussian")
    moe = pooled(training="auto", n_experts=2).fit(in_parts(X, y, bounds=[500, 1500]))
    assert not hasattr(moe, "log_evidence_")


def test_collections_of_dask():
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    X, y, weight, _ = two_functions("poisson", n=3000)
    moe = pooled("poisson").fit(in_parts(X, y, weight, bounds=[900, 900, 1200, 3000]))
    chunks = (900, 0, 300, 1800)
    blocks = [da.from_array(each, chunks=(chunks, -1)[: each.ndim]) for each in (X, y, weight)]
    with dask.config.set(scheduler="threads"):
        other = pooled("poisson").fit(*blocks)
    assert_allclose(other.predict(blocks[0]).compute(), moe.predict(X), rtol=1e-9)
    assert other.log_evidence_ == pytest.approx(moe.log_evidence_)


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "params", "change", "what"),
    [
        (
            "gaussian",
            {"experts": Ridge()},
            None,
            "training='pooled' needs linear experts without a penalty.*training='em'",
        ),
        ("gaussian", {"likelihood": "student_t"}, None, "training='pooled' needs likelihood"),
        ("gaussian", {"likelihood": Gaussian("auto")}, None, "training='pooled' needs likelihood"),
        ("poisson", {}, lambda X, y: (X, y + 0.5), "whole numbers"),
        ("poisson", {}, lambda X, y: (X, np.column_stack([y, y])), "takes one output"),
        ("gamma", {}, lambda X, y: (X, y - 0.5), "positive"),
        ("binomial", {}, lambda X, y: (X, 2 * y), "between 0 and the trials"),
    ],
    ids=range(7),
)
def test_what_cannot_be_pooled_is_refused_by_name(kind, params, change, what):
    X, y, _, _ = two_functions(kind)
    if change is not None:
        X, y = change(X, y)
    moe = pooled(kind, **params)
    before = vars(moe).copy()
    with pytest.raises(ValueError, match=what):
        moe.fit(in_parts(X, y, bounds=[500, 1500]))
    assert vars(moe) == before
