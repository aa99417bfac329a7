"""One pass over the rows per iteration, against the general problem on the same rows."""

import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest
import scipy
from mixtures import assert_same_parameters, fit_from
from numpy.testing import assert_allclose
from planted import rows_and_start
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.utils.fixes import parse_version

from skmoe import MixtureOfExpertsRegressor
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


def test_too_long_steps_of_the_gate_are_cut_until_the_objective_rises(monkeypatch):
    data = rows_of_lines()
    learn_sums = SoftmaxGate.learn_sums
    monkeypatch.setattr(
        SoftmaxGate, "learn_sums", lambda self, sums, size=1.0: learn_sums(self, sums, 40 * size)
    )
    moe = fit(*data, max_iter=40)
    assert np.diff(moe.lower_bounds_).min() >= -1e-13
    assert_allclose(moe.lower_bound_, fit(*data, general=True).lower_bound_, atol=0.05)


# Samples for starts -----------------------------------------------------------------------------


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
    [{"n_experts": 1}, {"n_experts": 2, "gate": ConstantGate()}, {"n_experts": 2, "cv": 2}],
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
