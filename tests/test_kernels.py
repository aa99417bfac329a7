"""Each kernel against its NumPy reference."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp, softmax

from skmoe._kernels._estep import e_step

DTYPES = [np.float32, np.float64]


def run_e_step(log_gate, log_density, sample_weight=None, n_threads=1):
    """Call the kernel on fresh outputs, full of a value that no row may keep."""
    n_samples, _ = log_gate.shape
    if sample_weight is None:
        sample_weight = np.ones(n_samples)
    resp = np.full_like(log_gate, 99)
    log_norm = np.full(n_samples, 99, dtype=log_gate.dtype)
    total = e_step(log_gate, log_density, sample_weight, resp, log_norm, n_threads)
    return resp, log_norm, total


def draw(n_samples, n_experts, dtype, seed=0):
    rng = np.random.default_rng(seed)
    log_gate = np.log(rng.dirichlet(np.ones(n_experts), size=n_samples)).astype(dtype)
    log_density = rng.normal(scale=10, size=(n_samples, n_experts)).astype(dtype)
    return log_gate, log_density, rng.uniform(size=n_samples)


def one_row(log_density, dtype=np.float64, sample_weight=1.0):
    """The kernel on one row under a gate of log 1."""
    log_density = np.array([log_density], dtype=dtype)
    resp, log_norm, total = run_e_step(
        np.zeros_like(log_density), log_density, np.array([sample_weight])
    )
    return resp[0], log_norm[0], total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_experts", [1, 2, 4, 8, 64])
@pytest.mark.parametrize("n_samples", [0, 1, 255, 256, 257, 5000])
def test_e_step_equals_logsumexp_and_softmax(n_samples, n_experts, dtype):
    log_gate, log_density, sample_weight = draw(n_samples, n_experts, dtype)
    resp, log_norm, total = run_e_step(log_gate, log_density, sample_weight, n_threads=2)

    joint = log_gate.astype(np.float64) + log_density
    expected = logsumexp(joint, axis=1)
    # Kernel and reference each round the K terms of a sum in float64, then what they store.
    eps, eps_sum = np.finfo(dtype).eps, (n_experts + 4) * np.finfo(np.float64).eps
    assert_allclose(log_norm, expected, rtol=2 * eps, atol=eps_sum)
    # Below the smallest normal number no relative precision is left.
    tiny = np.finfo(dtype).tiny
    assert_allclose(resp, softmax(joint, axis=1), rtol=2 * eps + eps_sum, atol=tiny)
    # A sum of n terms, each with the error of its log_norm before it is stored.
    rtol = (n_samples + n_experts + 4) * np.finfo(np.float64).eps
    assert_allclose(total, sample_weight @ expected, rtol=rtol, atol=rtol)
    assert isinstance(total, float)


@pytest.mark.parametrize("dtype", DTYPES)
def test_e_step_gives_the_same_bits_for_any_number_of_threads(dtype):
    log_gate, log_density, sample_weight = draw(5000, 4, dtype)
    resp, log_norm, total = run_e_step(log_gate, log_density, sample_weight)
    for n_threads in (2, 3, 7):
        other = run_e_step(log_gate, log_density, sample_weight, n_threads)
        assert_array_equal(other[0], resp)
        assert_array_equal(other[1], log_norm)
        assert other[2] == total


def test_e_step_reads_arrays_it_may_not_write():
    inputs = draw(300, 3, np.float64)
    resp, log_norm, total = run_e_step(*inputs)
    for array in inputs:
        array.flags.writeable = False
    other = run_e_step(*inputs)
    assert_array_equal(other[0], resp)
    assert_array_equal(other[1], log_norm)
    assert other[2] == total


@pytest.mark.parametrize("dtype", DTYPES)
def test_e_step_shares_a_row_of_zero_density_equally(dtype):
    resp, log_norm, total = one_row([-np.inf] * 4, dtype)
    assert_array_equal(resp, [0.25] * 4)
    assert log_norm == -np.inf
    assert total == -np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_e_step_gives_nothing_to_an_expert_of_zero_density(dtype):
    resp, log_norm, _ = one_row([-np.inf, 1.5, -np.inf], dtype)
    assert_array_equal(resp, [0, 1, 0])
    assert log_norm == 1.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("log_density", "expected"),
    [
        ([np.inf, 0, -np.inf], [1, 0, 0]),
        ([np.inf, 1e30, np.inf], [0.5, 0, 0.5]),
    ],
)
def test_e_step_shares_a_row_of_infinite_density_among_the_infinite(log_density, expected, dtype):
    resp, log_norm, total = one_row(log_density, dtype)
    assert_array_equal(resp, expected)
    assert log_norm == np.inf
    assert total == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("others", [0.0, -np.inf, np.inf, np.nan])
def test_e_step_keeps_a_nan_in_its_row(others, position, dtype):
    log_gate, log_density, _ = draw(3, 3, dtype)
    clean_resp, clean_log_norm, _ = run_e_step(log_gate, log_density)
    log_density[1] = others
    log_density[1, position] = np.nan
    resp, log_norm, total = run_e_step(log_gate, log_density)

    assert np.isnan(resp[1]).all()
    assert np.isnan(log_norm[1])
    assert np.isnan(total)
    assert_array_equal(resp[[0, 2]], clean_resp[[0, 2]])
    assert_array_equal(log_norm[[0, 2]], clean_log_norm[[0, 2]])


@pytest.mark.parametrize("log_density", [[-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]])
def test_e_step_counts_no_row_of_zero_weight(log_density):
    _, log_norm, total = one_row(log_density, sample_weight=0.0)
    assert not np.isfinite(log_norm)
    assert total == 0.0


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.float32, 1e4), (np.float32, 1e38), (np.float64, 1e4), (np.float64, 1e308)],
)
def test_e_step_neither_overflows_nor_underflows(dtype, scale):
    scale = float(dtype(scale))
    resp, log_norm, total = one_row([scale, scale, -scale], dtype)
    assert_array_equal(resp, [0.5, 0.5, 0])
    assert log_norm == dtype(scale + np.log(2))
    assert total == scale + np.log(2)

    resp, log_norm, total = one_row([-scale, -scale], dtype)
    assert_array_equal(resp, [0.5, 0.5])
    assert log_norm == dtype(-scale + np.log(2))
    assert total == -scale + np.log(2)


def test_e_step_adds_float32_rows_in_float64():
    # 2^25 + 1 has no float32; a float32 accumulator would lose the second row.
    log_density = np.array([[2.0**25], [1.0]], dtype=np.float32)
    _, _, total = run_e_step(np.zeros_like(log_density), log_density)
    assert total == 2.0**25 + 1


@pytest.mark.parametrize("name", ["log_density", "sample_weight", "resp", "log_norm"])
def test_e_step_names_the_argument_of_a_wrong_shape(name):
    arguments = {
        "log_gate": np.zeros((5, 2)),
        "log_density": np.zeros((5, 2)),
        "sample_weight": np.ones(5),
        "resp": np.empty((5, 2)),
        "log_norm": np.empty(5),
        "n_threads": 1,
    }
    arguments[name] = arguments[name][:4]
    with pytest.raises(ValueError, match=rf"{name} has shape \(4,.*\), but log_gate"):
        e_step(**arguments)


def test_e_step_refuses_less_than_one_thread():
    with pytest.raises(ValueError, match="n_threads must be at least 1, got 0"):
        run_e_step(np.zeros((3, 2)), np.zeros((3, 2)), n_threads=0)
