"""One pass over the rows per iteration, against the general problem on the same rows."""

import pickle
import tracemalloc
import warnings
from functools import partial

import numpy as np
import pytest
import scipy
from mixtures import assert_same_parameters, fit_from
from numpy.testing import assert_allclose, assert_array_equal
from planted import rows_and_start
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.fixes import parse_version

from skmoe import MixtureOfExpertsRegressor
from skmoe._em.general import GeneralProblem
from skmoe._em.loop import run_em
from skmoe._em.one_pass import OnePassProblem
from skmoe._numerics.samples import sample_rows
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Gaussian

rows_of_lines = partial(rows_and_start, "line", n=600, share=0.0)
fit = partial(fit_from, "line", max_iter=300)
GATES = [SoftmaxGate(), SoftmaxGate(alpha=1e-3), ConstantGate()]
EXPERTS = [None, LinearRegression(), Ridge(alpha=2.0)]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("experts", EXPERTS)
def test_with_new_curvature_at_each_step_the_path_is_that_of_the_general_problem(
    experts, gate, monkeypatch
):
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)
    data = rows_of_lines()
    settings = {"experts": experts, "gate": gate, "max_iter": 12}
    fast, general = fit(*data, **settings), fit(*data, general=True, **settings)
    # Rounding alone parts them, and iterations amplify it somewhat.
    assert_allclose(fast.lower_bounds_, general.lower_bounds_, rtol=1e-10)
    assert_same_parameters(fast, general, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", ["expert", "shared"])
@pytest.mark.parametrize("gate", GATES)
def test_both_problems_end_at_the_same_optimum(gate, scale):
    data = rows_of_lines()
    settings = {"gate": gate, "likelihood": Gaussian(scale=scale)}
    fast, general = fit(*data, **settings), fit(*data, general=True, **settings)
    # Where an iteration gains no more than rounding, 1e-16 per row, parameters are within its
    # root of the optimum, and the gate's flat directions somewhat further.
    assert_same_parameters(fast, general, rtol=1e-5, atol=1e-5)
    assert np.diff(fast.lower_bounds_).min() >= -1e-13


def test_scale_shared_by_all_experts_takes_the_path_of_the_general_problem(monkeypatch):
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)
    data = rows_of_lines()
    settings = {"likelihood": Gaussian(scale="shared"), "max_iter": 12}
    fast, general = fit(*data, **settings), fit(*data, general=True, **settings)
    assert_allclose(fast.lower_bounds_, general.lower_bounds_, rtol=1e-10)
    assert np.ptp(fast.likelihood_.scale_) == 0


@pytest.mark.parametrize("load_balance", [0.0, 0.5])
def test_load_prior_of_proportions_is_the_general_one(load_balance, monkeypatch):
    for kind in (OnePassProblem, GeneralProblem):  # EM's own steps
        monkeypatch.setattr(kind, "accelerates", False)
    data = rows_of_lines()
    settings = {"gate": ConstantGate(load_balance=load_balance), "max_iter": 20}
    assert_same_parameters(fit(*data, **settings), fit(*data, general=True, **settings), rtol=1e-9)


@pytest.mark.parametrize("gate", GATES)
def test_report_responsibilities_and_stream_are_those_of_the_general_problem(gate, monkeypatch):
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)
    monkeypatch.setattr("skmoe._em.one_pass.REPORT_ROWS", 100)
    X, y, weight, resp = rows_of_lines()
    fast = fit(X, y, weight, resp, gate=gate)
    general = fit(X, y, weight, resp, gate=gate, general=True)
    for name, expected in general.expert_report().columns.items():
        if isinstance(expected[0], str):
            assert fast.expert_report().columns[name] == expected
        else:
            # Both are as near the optimum as the last bits of the objective can tell.
            assert_allclose(fast.expert_report().columns[name], expected, rtol=1e-5)
    for batch in (slice(200), slice(200, 400)):  # the curvature of the gate decides its steps
        fast.partial_fit(X[batch], y[batch])
        general.partial_fit(X[batch], y[batch])
    assert_allclose(fast.predict(X), general.predict(X), rtol=1e-4, atol=1e-4)


def test_float32_rows_give_the_fit_of_float64_to_their_precision():
    X, y, weight, resp = rows_of_lines(n=3000)
    X = X.astype(np.float32)
    fast = fit(X, y, weight, resp, max_iter=100, tol=1e-6)
    exact = fit(X.astype(np.float64), y, weight, resp, max_iter=100, tol=1e-6)
    # Columns are standardised in float64 and then rounded to 6e-8 of their scale.
    assert_allclose(fast.lower_bound_, exact.lower_bound_, rtol=1e-5)
    assert_allclose(fast.predict(X), exact.predict(X), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_fit_has_the_same_bits_for_any_number_of_threads(n_threads, monkeypatch):
    X, y, weight, resp = rows_of_lines(n=5000)
    one = fit(X, y, weight, resp, max_iter=5)
    monkeypatch.setattr("skmoe._em.sums.kernel_threads", lambda work: n_threads)
    more = fit(X, y, weight, resp, max_iter=5)
    assert one.lower_bounds_ == more.lower_bounds_
    assert_array_equal(one.gate_.coef_, more.gate_.coef_)


def test_too_long_steps_of_the_gate_are_cut_until_the_objective_rises(monkeypatch):
    data = rows_of_lines()
    learn_sums = SoftmaxGate.learn_sums
    monkeypatch.setattr(
        SoftmaxGate, "learn_sums", lambda self, sums, size=1.0: learn_sums(self, sums, 40 * size)
    )
    moe = fit(*data, max_iter=40)
    assert np.diff(moe.lower_bounds_).min() >= -1e-13
    assert_allclose(moe.lower_bound_, fit(*data, general=True).lower_bound_, atol=0.05)


@pytest.mark.parametrize("n_experts", [2, 3])
def test_separated_regions_without_penalty_stay_finite(n_experts):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = np.where(X[:, 0] > 0, 5 + X[:, 0], -5 - X[:, 0]) + 0.1 * rng.normal(size=400)
    resp = rng.dirichlet(np.ones(n_experts), size=400)
    moe = fit(X, y, None, resp, gate=SoftmaxGate(alpha=0.0), max_iter=50)
    assert np.isfinite(moe.gate_.coef_).all()
    assert np.diff(moe.lower_bounds_).min() >= -1e-13


def test_one_expert_is_least_squares():
    X, y, weight, _ = rows_of_lines()
    moe = MixtureOfExpertsRegressor(LinearRegression(), 1).fit(X, y, weight)
    expected = LinearRegression().fit(X, y, weight)
    assert_allclose(moe.experts_[0].coef_, expected.coef_, rtol=1e-9)
    assert_allclose(moe.predict(X), expected.predict(X), rtol=1e-9, atol=1e-9)


def kind_of_problem(moe, X, y):
    """The class that trained a mixture."""
    kinds = []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(
            "skmoe._em.trainer.run_em", lambda p, **kw: kinds.append(type(p)) or run_em(p, **kw)
        )
        moe.set_params(max_iter=3).fit(X, y)
    return kinds[0]


def test_what_the_pass_cannot_do_goes_to_the_general_problem():
    X, y, _, resp = rows_of_lines(n=200)
    settings = {"n_experts": 3, "init": lambda *args: resp, "n_init": 1}
    assert (
        kind_of_problem(MixtureOfExpertsRegressor(**settings, training="em"), X, y)
        is OnePassProblem
    )
    polynomial = make_pipeline(PolynomialFeatures(2), Ridge())
    for params in (
        {"top_k": 1},
        {"gate": SoftmaxGate(l1_ratio=0.5)},
        {"gate": SoftmaxGate(load_balance=0.1)},
        {"experts": polynomial},
        {"likelihood": Gaussian(scale="auto")},
    ):
        moe = MixtureOfExpertsRegressor(**settings, **params, training="em")
        assert kind_of_problem(moe, X, y) is not OnePassProblem
    for n_rows, n_columns, one_pass in [(60, 60, False), (60, 59, True), (600, 500, False)]:
        wide = np.random.default_rng(0).normal(size=(n_rows, n_columns))
        moe = MixtureOfExpertsRegressor(n_experts=1, cv=False, training="em")
        assert (kind_of_problem(moe, wide, wide[:, 0]) is OnePassProblem) == one_pass
    moe = MixtureOfExpertsRegressor(**settings, training="em")
    for outputs, one_pass in [([y, -y], True), ([y, 0 * y], False)]:  # errors that vary
        assert (kind_of_problem(moe, X, np.column_stack(outputs)) is OnePassProblem) == one_pass


# Samples for starts -----------------------------------------------------------------------------


def test_sampled_rows_are_spread_as_the_weights_are():
    X, y, _, _ = rows_of_lines(n=4000)
    weight = np.random.default_rng(1).integers(0, 4, size=4000) * 0.7
    rows, sampled = sample_rows(X, y, weight, 1000)
    assert len(np.unique(rows)) == len(rows) <= 1000
    assert (weight[rows] > 0).all()
    assert_allclose(sampled.sum(), weight.sum())
    # 1000 rows, four sigma.
    mean = np.average(X, axis=0, weights=weight)
    deviation = (np.average(X[rows], axis=0, weights=sampled) - mean) / X.std(axis=0)
    assert abs(deviation).max() < 4 / np.sqrt(1000)


def test_rows_given_twice_are_sampled_as_rows_of_weight_two():
    X, y, _, _ = rows_of_lines(n=1000)
    weight = np.random.default_rng(1).integers(0, 3, size=1000)
    rows, sampled = sample_rows(X, y, weight.astype(float), 300)
    repeated = np.repeat(np.arange(1000), weight)
    again, counts = sample_rows(X[repeated], y[repeated], np.ones(len(repeated)), 300)
    # Which copy is taken does not matter.
    total = np.zeros(1000)
    np.add.at(total, repeated[again], counts)
    expected = np.zeros(1000)
    expected[rows] = sampled
    assert_allclose(total, expected)


def test_a_row_that_many_are_copies_of_is_in_the_sample():
    X, y, _, _ = rows_of_lines(n=4000)
    X[::2], y[::2] = 0.0, 1.0
    rows, sampled = sample_rows(X, y, np.ones(4000), 100)
    assert_allclose(sampled[y[rows] == 1.0].sum(), 2000, rtol=0.05)  # the others are 99 draws


def test_the_sample_knows_neither_the_order_nor_the_type_of_the_rows():
    X, y, _, _ = rows_of_lines(n=3000)
    X, y = np.round(X).astype(np.float32), np.round(y)  # many copies
    rows, sampled = sample_rows(X, y, np.ones(3000), 200)
    order = np.random.default_rng(0).permutation(3000)
    again, weight = sample_rows(X[order].astype(int), y[order], np.ones(3000), 200)
    assert_array_equal(X[rows], X[order][again])
    assert_allclose(sampled, weight)


def test_starts_on_a_sample_find_what_starts_on_all_rows_find(monkeypatch):
    X, y, _, _ = rows_of_lines(n=3000)
    moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0, training="em").fit(X, y)
    monkeypatch.setattr("skmoe._em.starts.FEWEST_ROWS", 500)
    monkeypatch.setattr("skmoe._em.starts.ROWS_PER_COEFFICIENT", 10)
    sampled = MixtureOfExpertsRegressor(n_experts=3, random_state=0, training="em").fit(X, y)
    # Both end within tol of the same optimum.
    assert_allclose(sampled.lower_bound_, moe.lower_bound_, atol=1e-4)
    outputs = np.column_stack([y, y])  # for the general problem
    both = MixtureOfExpertsRegressor(n_experts=3, random_state=0, training="em").fit(X, outputs)
    # Two outputs tell the experts apart better than one: near the same functions, not the same.
    assert_allclose(both.predict(X)[:, 0], sampled.predict(X), atol=0.5)


# Wide tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("expert", [LinearRegression(), Ridge(), Ridge(alpha=1e-3)])
@pytest.mark.parametrize("shape", [(60, 59), (60, 60), (60, 61), (60, 400), (600, 520)])
def test_one_expert_is_the_estimator_however_wide_the_table(shape, expert):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) * 10 ** rng.uniform(-1, 1, size=shape[1]) + 5.0
    y, weight = X[:, 0] + rng.normal(size=shape[0]), rng.uniform(0.5, 2.0, size=shape[0])
    # Without a penalty and with more columns than rows, least norm depends on the columns' scale.
    if type(expert) is LinearRegression and shape[1] >= shape[0] - 1:
        moe = MixtureOfExpertsRegressor(expert, 1).fit(X, y, weight)
        assert_allclose(moe.predict(X), y, atol=1e-8)
        return
    moe = MixtureOfExpertsRegressor(expert, 1).fit(X, y, weight)
    other = clone(expert).fit(X, y, weight)
    assert_allclose(moe.experts_[0].coef_, other.coef_, rtol=1e-7, atol=1e-8)
    assert_allclose(moe.predict(X), other.predict(X), rtol=1e-8, atol=1e-8)


def wide(n, p):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)).astype(np.float32)
    return X, np.where(X[:, 0] > 0, 3 + X[:, 1], X[:, 1] - 3) + 0.1 * rng.normal(size=n)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "params",
    [
        {"n_experts": 1},
        pytest.param({"n_experts": 2, "gate": ConstantGate()}, marks=pytest.mark.slow),
        pytest.param({"n_experts": 2, "cv": 2}, marks=pytest.mark.slow),
    ],
)
def test_memory_of_a_wide_fit_is_that_of_its_rows(params):
    n, p = 8, 65_535  # whose square does not fit 32 bits, nor 34 GB of memory
    X, y = wide(n, p)
    moe = MixtureOfExpertsRegressor(**params, n_init=1, max_iter=1, random_state=0, training="em")
    tracemalloc.start()
    moe.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    copies = 30 if parse_version(scipy.__version__) >= parse_version("1.15") else 100  # of L-BFGS
    assert peak < copies * n * p * 8  # columns by columns are 8,192 times the rows
    assert np.isfinite(moe.predict(X)).all()


def test_a_stream_of_wide_batches_is_least_squares_of_all_its_rows():
    X, y = wide(90, 40)
    X = X.astype(np.float64)
    moe = MixtureOfExpertsRegressor(Ridge(), 1, cv=False).fit(X[:30], y[:30])
    for rows in (slice(30, 35), slice(35, 60), slice(60, 90)):  # to more rows than columns
        moe.partial_fit(X[rows], y[rows])
    kept = pickle.loads(pickle.dumps(moe)).partial_fit(X[:1], y[:1])
    assert np.isfinite(kept.predict(X)).all()
    # The past fades a little with every batch.
    correlation = np.corrcoef(moe.predict(X), Ridge().fit(X, y).predict(X))[0, 1]
    assert correlation > 0.99
