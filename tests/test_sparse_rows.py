"""Sparse rows of fewer than 500 columns: experts are solved as those of dense rows are."""

import tracemalloc
import warnings

import numpy as np
import pytest
from mixtures import problem_of
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.general import GeneralProblem
from skmoe._em.one_pass import OnePassProblem
from skmoe._experts.estimators import EstimatorExperts
from skmoe._numerics.columns import sparse_standardisation
from skmoe.gates import ConstantGate, SoftmaxGate

KINDS = ["line", "outputs", "two", "three", "counts"]


def rows_with_few_entries(n=900, n_columns=6, n_experts=2, seed=1):
    """Rows with a few entries each, and a column of ones, weights, targets, and a start."""
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 4, size=(n, n_columns)) * (rng.random((n, n_columns)) < 0.4)
    X = np.column_stack([X, np.ones(n)]).astype(float)
    label = (X @ rng.normal(size=(n_columns + 1, n_experts))).argmax(axis=1)
    functions = (X @ rng.normal(size=(n_columns + 1, 3 * n_experts))).reshape(n, n_experts, 3)
    functions = functions[np.arange(n), label] / 2
    noisy = functions + 0.3 * rng.normal(size=(n, 3))
    classes = np.array(["a", "b", "c"])[(2 * functions + rng.gumbel(size=(n, 3))).argmax(axis=1)]
    y = {
        "line": noisy[:, 0],
        "outputs": noisy,
        "two": np.where(classes == "a", "yes", "no"),
        "three": classes,
        "counts": rng.poisson(np.exp(np.clip(functions[:, 0], -3, 2))),
    }
    near = 0.5 * np.eye(n_experts)[label] + 0.5 * rng.dirichlet(np.ones(n_experts), size=n)
    return X, y, rng.integers(0, 4, size=n) * 0.7, near


def solved_mixture(kind, **params):
    settings = {"n_experts": 2, "gate": SoftmaxGate(), "random_state": 0, "cv": False, **params}
    if kind in ("two", "three"):
        return MixtureOfExpertsClassifier(**{"experts": LogisticRegression(), **settings})
    likelihood = "poisson" if kind == "counts" else "gaussian"
    expert = PoissonRegressor(alpha=0) if kind == "counts" else Ridge(0.5)
    return MixtureOfExpertsRegressor(**{"experts": expert, "likelihood": likelihood, **settings})


def fit(kind, X, y, weight=None, resp=None, **params):
    if resp is not None:
        params = {"init": lambda *args: resp, "n_init": 1, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solved_mixture(kind, **params).fit(X, y, weight)


def assert_same_mixtures(one, other, X, rtol):
    """The same on sparse and on dense rows."""
    assert_allclose(other.lower_bound_, one.lower_bound_, rtol=1e-8)
    assert_allclose(other.gate_proba(sparse.csr_array(X)), one.gate_proba(X), rtol, atol=rtol)
    name = "predict_proba" if hasattr(one, "classes_") else "predict"
    for expert, same in zip(one.experts_, other.experts_, strict=True):
        answers = getattr(expert, name)(X)
        assert_allclose(getattr(same, name)(sparse.csr_array(X)), answers, rtol, atol=rtol)
    ours, theirs = one.expert_report().columns, other.expert_report().columns
    for name in ("load", "rows", "wins", "gate", "entropy", "overlap"):
        assert_allclose(theirs[name], ours[name], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_rows_end_where_dense_ones_do(kind, gate):
    X, y, weight, resp = rows_with_few_entries()
    params = {"gate": gate, "tol": 1e-9, "max_iter": 400}
    dense = fit(kind, X, y[kind], weight, resp, **params)
    thin = fit(kind, sparse.csr_array(X), y[kind], weight, resp, **params)
    assert thin.n_iter_ < 400
    assert_same_mixtures(dense, thin, X, rtol=1e-6)  # the same steps, in other units
    assert thin.bic(sparse.csr_array(X), y[kind]) == pytest.approx(dense.bic(X, y[kind]), rel=1e-6)


def test_starts_on_sparse_rows_find_clear_regimes():
    rng = np.random.default_rng(0)
    X = (rng.random((600, 4)) < 0.4).astype(float)
    y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.1 * rng.normal(size=600)
    dense, thin = (fit("line", rows, y, n_init=3) for rows in (X, sparse.csr_matrix(X)))
    assert thin.lower_bound_ == pytest.approx(dense.lower_bound_, abs=1e-3)
    assert thin.score(sparse.csr_matrix(X), y) > 0.99


@pytest.mark.parametrize(
    "layout", [sparse.csc_array, sparse.coo_array, lambda X: sparse.csr_matrix(X, dtype=np.float32)]
)
def test_layout_of_sparse_rows_is_of_no_consequence(layout):
    X, y, weight, resp = rows_with_few_entries()
    params = {"max_iter": 10, "tol": 0.0}
    expected = fit("line", sparse.csr_array(X), y["line"], weight, resp, **params)
    other = fit("line", layout(X), y["line"], weight, resp, **params)
    assert_allclose(other.lower_bounds_, expected.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_two_are_rows_given_twice(kind):
    X, y, _, resp = rows_with_few_entries(n=400)
    times = np.random.default_rng(1).integers(0, 3, size=len(X))
    twice = np.repeat(np.arange(len(X)), times)
    params = {"max_iter": 10, "tol": 0.0}
    rows = sparse.csr_array(X)
    one = fit(kind, rows, y[kind], times.astype(float), resp, **params)
    other = fit(kind, rows[twice], y[kind][twice], None, resp[twice], **params)
    assert_allclose(other.lower_bounds_, one.lower_bounds_, rtol=1e-7)


@pytest.mark.parametrize("kind", ["line", "outputs", "two", "three"])
def test_streams_of_sparse_rows_go_on_as_those_of_dense_ones(kind):
    X, y, weight, resp = rows_with_few_entries()
    params = {"tol": 1e-12, "max_iter": 400}
    first, then = slice(600), slice(600, 900)
    both = []
    for rows in (X, sparse.csr_array(X)):
        moe = fit(kind, rows[first], y[kind][first], weight[first], resp[first], **params)
        both.append(moe.partial_fit(rows[then], y[kind][then], sample_weight=weight[then]))
    name = "predict_proba" if kind in ("two", "three") else "predict"
    dense, thin = (getattr(moe, name)(X) for moe in both)
    assert_allclose(thin, dense, atol=1e-4)


@pytest.mark.parametrize(
    "params", [{"likelihood": "student_t"}, {"top_k": 1}, {"gate": SoftmaxGate(l1_ratio=0.2)}]
)
def test_the_general_problem_solves_sparse_rows_too(params):
    X, y, weight, resp = rows_with_few_entries()
    dense, thin = (
        fit("line", rows, y["line"], weight, resp, max_iter=8, tol=0.0, **params)
        for rows in (X, sparse.csr_array(X))
    )
    assert thin.lower_bound_ == pytest.approx(dense.lower_bound_, abs=1e-4)
    problem = problem_of(solved_mixture("line", **params), sparse.csr_array(X), y["line"])
    assert type(problem) is GeneralProblem
    assert problem.experts.is_solved


def test_which_sparse_rows_are_solved():
    rng = np.random.default_rng(0)
    for shape, is_solved in [((600, 499), True), ((600, 500), False), ((90, 100), False)]:
        X = sparse.csr_array(rng.binomial(1, 0.02, shape) * rng.normal(size=shape))
        problem = problem_of(solved_mixture("line"), X, rng.normal(size=shape[0]))
        assert type(problem) is (OnePassProblem if is_solved else GeneralProblem)
        assert isinstance(problem.experts, EstimatorExperts) is not is_solved


def test_experts_behind_a_transformer_of_sparse_rows():
    X, y, weight, resp = rows_with_few_entries()
    moe = make_pipeline(MaxAbsScaler(), Ridge(0.5))
    rows = sparse.csr_array(X)
    one = fit("line", rows, y["line"], weight, resp, experts=moe)
    other = fit("line", X, y["line"], weight, resp, experts=moe)
    # Refits of estimators end EM a little beside its optimum, and not at the same place.
    assert one.lower_bound_ == pytest.approx(other.lower_bound_, abs=2e-5)
    assert_allclose(one.predict(rows), other.predict(X), atol=0.02)


def test_memory_is_not_that_of_dense_rows():
    rng = np.random.default_rng(0)
    n, n_columns = 20_000, 400
    columns = rng.integers(0, n_columns, size=(n, 5))
    entries = np.ones(5 * n), (np.repeat(np.arange(n), 5), columns.ravel())
    X = sparse.csr_array(entries, shape=(n, n_columns))
    y = X @ rng.normal(size=n_columns)
    start = np.random.default_rng(1).dirichlet(np.ones(2), size=n)
    tracemalloc.start()
    fit("line", X, y, None, start, max_iter=3, tol=0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * 8 * n * n_columns  # starts look at 50 components


def test_scaled_sparse_columns_have_the_variance_of_dense_ones():
    X, _, weight, _ = rows_with_few_entries()
    mean, scale = sparse_standardisation(sparse.csr_array(X), weight)
    _, expected = sparse_standardisation(X, weight)
    assert_allclose(mean, 0)
    assert_allclose(scale, expected, rtol=1e-10)  # that of a constant column is 1
