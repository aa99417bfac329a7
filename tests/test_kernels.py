"""Each kernel against its NumPy reference."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, log_expit, logsumexp, softmax
from sklearn.cluster import KMeans

from skmoe._kernels._estep import e_step
from skmoe._kernels._exp import exp, log
from skmoe._kernels._grams import add_grams, add_sparse_grams, workspace_size
from skmoe._kernels._k_means import far_rows, k_means
from skmoe._kernels._linear_pass import linear_pass, sizes
from skmoe._routing import keep_best

DTYPES = [np.float32, np.float64]

# Sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("integer", [int, np.int64])
@pytest.mark.parametrize("with_curvature", [False, True])
@pytest.mark.parametrize("n_columns", [1, 46_341, 65_536, 2**31 - 1, 2**31, 2**40])
@pytest.mark.parametrize("n_experts", [1, 2, 65_537, 2**31])
def test_sizes_of_the_pass_are_exact_beyond_every_integer(
    n_experts, n_columns, with_curvature, integer
):
    pairs = sum(divmod(n_columns * (n_columns + 1), 2))  # triangular numbers have no remainder
    curvatures = n_experts
    if n_experts * n_columns <= 500:
        curvatures = n_experts * (n_experts - 1) // 2
    curvatures *= with_curvature
    expected = 1 + n_experts + 2 * n_experts * n_columns + pairs * (n_experts + curvatures)
    n_sums, n_workspace = sizes(integer(n_experts), integer(n_columns), with_curvature)
    assert n_sums == expected
    assert n_workspace >= 512 * (2 + n_columns + 6 * n_experts + curvatures)


@pytest.mark.parametrize("n_features", [46_340, 65_535, 65_536])
def test_pass_over_too_many_columns_for_32_bits_asks_for_all_the_memory(n_features):
    # 65,536 columns with the intercept have 2^31 + 2^15 pairs; 2^32 + 2^16 are nothing in 32 bits.
    n_sums, n_workspace = sizes(1, n_features + 1, False)
    arguments = draw_pass(1, n_features, 1)
    needed = rf"sums has shape \(1000,\), where \({n_sums},\) is needed"
    with pytest.raises(ValueError, match=needed):
        linear_pass(
            **arguments, resp=None, with_grams=True, with_curvature=False, n_kept=1, chunk_rows=512,
            workspace=np.empty((1, n_workspace)), partial=np.empty((1, 1000)), sums=np.empty(1000),
        )  # fmt: skip


# E-step -----------------------------------------------------------------------------------------


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
    [([np.inf, 0, -np.inf], [1, 0, 0]), ([np.inf, 1e30, np.inf], [0.5, 0, 0.5])],
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


# exp and log ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_within_one_and_a_half_units_in_the_last_place(dtype):
    rng = np.random.default_rng(0)
    low, high = (-106, 90) if dtype is np.float32 else (-750, 712)
    x = np.concatenate(
        [
            rng.uniform(low, high, 400_000),
            rng.uniform(-1, 1, 100_000),
            rng.uniform(low, 0.92 * low, 100_000),  # denormal results, down to zero
            np.arange(low, high) * np.log(2),  # where the power of two changes
        ]
    ).astype(dtype)
    precise = np.float64 if dtype is np.float32 else np.longdouble
    if np.finfo(precise).nmant <= np.finfo(dtype).nmant:
        pytest.skip("no floats of higher precision here to compare with")
    expected = np.exp(x.astype(precise))
    result = x.copy()
    exp(result)
    finite = expected < np.finfo(dtype).max
    assert np.isposinf(result[~finite]).all()
    unit = np.spacing(expected[finite].astype(dtype)).astype(precise)
    assert (np.abs(result[finite] - expected[finite]) / unit).max() < 1.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 3, 64, 67])
def test_exp_of_what_is_no_number_or_infinite(n, dtype):
    for value, expected in [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, 0), (0, 1), (-0.0, 1)]:
        x = np.full(n, value, dtype=dtype)
        exp(x)
        assert_array_equal(x, np.full(n, expected))


def test_log_is_within_one_and_a_half_units_in_the_last_place():
    rng = np.random.default_rng(0)
    halves = 2.0 ** np.arange(-1000, 1000) * np.sqrt(0.5)  # where the power of two changes
    x = np.concatenate(
        [
            rng.uniform(0.5, 3, 400_000),
            rng.uniform(0.999, 1.001, 100_000),  # results next to zero
            2.0 ** rng.uniform(-1074, 1024, 400_000),  # denormal ones too
            2.0 ** np.arange(-1074, 1024),
            halves,
            np.nextafter(halves, 0),
            np.nextafter(halves, np.inf),
        ]
    )
    if np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
        pytest.skip("no floats of higher precision here to compare with")
    expected = np.log(x.astype(np.longdouble))
    result = x.copy()
    log(result)
    unit = np.spacing(np.abs(expected).astype(np.float64)).astype(np.longdouble)
    assert (np.abs(result - expected) / unit).max() < 1.5


@pytest.mark.parametrize("n", [0, 1, 3, 64, 67])
def test_log_of_what_is_no_number_infinite_or_not_positive(n):
    values = [(np.nan, np.nan), (np.inf, np.inf), (0.0, -np.inf), (-0.0, -np.inf), (1.0, 0.0)]
    values += [(-1e-310, np.nan), (-1.0, np.nan), (-np.inf, np.nan)]
    for value, expected in values:
        x = np.full(n, value)
        log(x)
        assert_array_equal(x, np.full(n, expected))


# The pass over the rows of linear experts -------------------------------------------------------


def draw_pass(n_samples, n_features, n_experts, seed=0, logistic=False):
    """Arguments of the pass by name, but for memory and what is optional."""
    rng = np.random.default_rng(seed)
    arguments = {
        "X": rng.normal(size=(n_samples, n_features)) * 3 + 1,
        "y": rng.normal(size=n_samples),
        "sample_weight": rng.integers(0, 3, size=n_samples) * 0.7,
        "mean": rng.normal(size=n_features),
        "scale": rng.uniform(1, 3, size=n_features),
        "y_mean": 0.1,
        "y_scale": 1.3,
        "coef": rng.normal(size=(2 * n_experts, n_features + 1)),
        "precision": rng.uniform(1, 3, size=n_experts),
        "log_scale": rng.normal(size=n_experts),
        "logistic": logistic,
    }
    if logistic:
        arguments |= {"y": rng.integers(0, 2, size=n_samples) * 1.0, "y_mean": 0.0, "y_scale": 1.0}
    return arguments


def run_pass(
    arguments, resp=None, with_grams=True, with_curvature=True, n_threads=1, chunk_rows=512,
    n_kept=1000,
):  # fmt: skip
    X = arguments["X"]
    n_sums, n_workspace = sizes(len(arguments["precision"]), X.shape[1] + 1, with_curvature)
    sums = np.full(n_sums, 99.0)
    linear_pass(
        **arguments,
        resp=resp,
        with_grams=with_grams,
        with_curvature=with_curvature,
        n_kept=n_kept,
        chunk_rows=chunk_rows,
        workspace=np.full((n_threads, n_workspace), np.nan, dtype=X.dtype),
        partial=np.full((-(-len(X) // chunk_rows), n_sums), np.nan),
        sums=sums,
    )
    return sums


def reference_pass(
    X, y, sample_weight, mean, scale, y_mean, y_scale, coef, precision, log_scale, logistic,
    resp=None, n_kept=1000,
):  # fmt: skip
    """The sums by their definitions."""
    n_experts = len(precision)
    design = np.column_stack([(X - mean) / scale, np.ones(len(X))])
    logits, fitted = design @ coef[:n_experts].T, design @ coef[n_experts:].T
    log_gate = logits - logsumexp(logits, axis=1, keepdims=True)
    if logistic:
        residuals = y[:, None] - expit(fitted)
        log_density = log_expit(np.where(y[:, None] > 0, fitted, -fitted))
    else:
        residuals = ((y - y_mean) / y_scale)[:, None] - fitted
        log_density = -0.5 * (residuals * precision) ** 2 - log_scale
        log_density = keep_best(log_gate, log_density, n_kept)
    if resp is None:
        resp = softmax(log_gate + log_density, axis=1)
        value = sample_weight @ logsumexp(log_gate + log_density, axis=1)
    else:
        log_joint = log_gate + log_density if logistic else log_gate
        value = sample_weight @ (resp * log_joint).sum(axis=1)
    proba, mass = np.exp(log_gate), resp * sample_weight[:, None]
    curvature = mass * expit(fitted) * expit(-fitted) if logistic else mass
    column, row = np.tril_indices(design.shape[1])
    pairs = design[:, row] * design[:, column]
    lack = mass - sample_weight[:, None] * proba
    second, first = np.tril_indices(n_experts, -1)
    products = sample_weight[:, None] * proba[:, first] * proba[:, second]
    if coef[:n_experts].size > 500:
        products = sample_weight[:, None] * np.minimum(proba, 2 * proba * (1 - proba))
    return [
        np.array([value]),
        mass.sum(axis=0) if logistic else (mass * residuals**2).sum(axis=0),
        design.T @ np.hstack([mass * residuals, lack]),
        pairs.T @ curvature,
        pairs.T @ products,
    ]


def flat(parts):
    return np.concatenate([part.ravel() for part in parts])


SHAPES = [(1, 1, 1), (15, 2, 2), (511, 3, 3), (513, 4, 5), (1500, 20, 8), (600, 1, 9)]
SHAPES.append((40, 7, 70))  # more weights of the gate than its pairs of experts are summed for


@pytest.mark.parametrize("logistic", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_pass_leaves_the_sums_of_their_definitions(shape, given, logistic):
    arguments = draw_pass(*shape, logistic=logistic)
    n_samples, _, n_experts = shape
    resp = None
    if given:
        resp = np.random.default_rng(1).dirichlet(np.ones(n_experts), size=n_samples)
    _compare_pass(arguments, resp=resp)


@pytest.mark.parametrize("n_kept", [1, 2, 4])
def test_rows_are_shared_by_the_largest_and_of_equal_ones_by_the_first(n_kept):
    arguments = draw_pass(513, 4, 5)
    for name in ("precision", "log_scale"):  # experts 1 and 3 are the same
        arguments[name][3] = arguments[name][1]
    arguments["coef"][[3, 8]] = arguments["coef"][[1, 6]]
    _compare_pass(arguments, n_kept=n_kept)


def _compare_pass(arguments, **settings):
    parts = reference_pass(**arguments, **settings)
    # Each is a sum of n terms of mixed signs; its rounding is that of the largest.
    for dtype, rtol in [(np.float64, 1e-13), (np.float32, 2e-5)]:
        converted = {
            name: value.astype(dtype) if name in ("X", "coef", "precision", "log_scale") else value
            for name, value in arguments.items()
        }
        sums = run_pass(converted, **settings)
        for part, result in zip(
            parts, np.split(sums, np.cumsum([part.size for part in parts])[:-1]), strict=True
        ):
            atol = rtol * abs(part).max(initial=1.0)
            assert_allclose(result, part.ravel(), rtol=0, atol=atol)


@pytest.mark.parametrize("logistic", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pass_gives_the_same_bits_for_any_number_of_threads_and_layout(dtype, logistic):
    arguments = draw_pass(5000, 4, 3, logistic=logistic)
    for name in ("X", "coef", "precision", "log_scale"):
        arguments[name] = arguments[name].astype(dtype)
    sums = run_pass(arguments)
    for n_threads in (2, 3, 7):
        assert_array_equal(run_pass(arguments, n_threads=n_threads), sums)
    arguments["X"] = np.asfortranarray(arguments["X"])
    for array in arguments.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    assert_array_equal(run_pass(arguments), sums)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pass_survives_experts_that_are_certain_and_wrong(dtype):
    arguments = draw_pass(600, 2, 3, logistic=True)
    arguments["coef"][3:] = [1e4, 0.0, 0.0]  # probabilities of 0 and 1, for all experts alike
    for name in ("X", "coef", "precision", "log_scale"):
        arguments[name] = arguments[name].astype(dtype)
    expected = flat(reference_pass(**arguments))
    sums = run_pass(arguments)
    assert expected[0] < -1e4
    rtol = 1e-12 if dtype is np.float64 else 1e-4
    assert_allclose(sums, expected, rtol=rtol, atol=rtol * abs(expected[1:]).max())


@pytest.mark.parametrize("name", ["y", "sample_weight", "mean", "scale", "coef", "log_scale"])
def test_pass_names_the_argument_of_a_wrong_shape(name):
    arguments = draw_pass(20, 2, 3)
    arguments[name] = arguments[name][:1]
    with pytest.raises(ValueError, match=rf"{name} has shape \(1,.*\), where"):
        run_pass(arguments)
    with pytest.raises(ValueError, match="chunk_rows must be a multiple of 512, got 500"):
        run_pass(draw_pass(20, 2, 3), chunk_rows=500)


# Gram matrices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 15, 512, 513, 1500])
@pytest.mark.parametrize(("n_columns", "n_grams"), [(1, 1), (4, 3), (7, 4), (3, 13)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_grams_are_added_to_what_is_there(n, n_columns, n_grams, order):
    rng = np.random.default_rng(0)
    design = np.asarray(rng.normal(size=(n, n_columns)), order=order)
    weights = np.asarray(rng.normal(size=(n, n_grams)), order=order)
    first, last = np.tril_indices(n_columns)
    start = rng.normal(size=(len(first), n_grams))
    sums = start.copy()
    add_grams(design, weights, np.full(workspace_size(n_columns, n_grams), np.nan), sums)
    expected = start + (design[:, first] * design[:, last]).T @ weights
    # Sums of n terms of order one, in another order.
    assert_allclose(sums, expected, rtol=0, atol=1e-14 * (n + 1))


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        (((5, 2), (4, 1), 200_000, (3, 1)), "do not fit together"),
        (((5, 2), (5, 1), 200_000, (4, 1)), "do not fit together"),
        (((5, 2), (5, 1), 200_000, (3, 2)), "do not fit together"),
        (((5, 2), (5, 1), 10, (3, 1)), "workspace"),
    ],
)
def test_grams_of_wrong_shapes_are_refused(shapes, what):
    design, weights, workspace, sums = map(np.zeros, shapes)
    with pytest.raises(ValueError, match=what):
        add_grams(design, weights, workspace, sums)


@pytest.mark.parametrize("n_grams", [1, 5])
def test_grams_of_sparse_rows_are_those_of_dense_ones(n_grams):
    rng = np.random.default_rng(0)
    design = sparse.csr_array(rng.binomial(1, 0.3, (200, 7)) * rng.normal(size=(200, 7)))
    weights = rng.normal(size=(200, n_grams))
    first, last = np.tril_indices(7)
    start = rng.normal(size=(len(first), n_grams))
    sums = start.copy()
    shuffled = np.concatenate(
        [rng.permutation(np.arange(*ends)) for ends in itertools.pairwise(design.indptr)]
    )
    places = design.indices[shuffled].astype(np.intp), design.indptr.astype(np.intp)
    add_sparse_grams(design.data[shuffled], *places, weights, sums)
    dense = design.toarray()
    expected = start + (dense[:, first] * dense[:, last]).T @ weights
    assert_allclose(sums, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_rows", "n_sums"), [(2, 3), (3, 2)])
def test_grams_of_sparse_rows_without_room_are_refused(n_rows, n_sums):
    places = np.array([0, 1, 1]), np.array([0, 1, 2, 3])
    with pytest.raises(ValueError, match="do not fit together|no room for column 1"):
        add_sparse_grams(np.ones(3), *places, np.ones((n_rows, 1)), np.zeros((n_sums, 1)))


@pytest.mark.parametrize("n_clusters", [1, 2, 5])
def test_k_means_is_that_of_scikit_learn(n_clusters):
    points, weight = np.random.default_rng(0).normal(size=(300, 3)), np.arange(300.0) % 3
    labels, centres = np.empty(300, dtype=np.intp), points[:n_clusters].copy()
    reference = KMeans(n_clusters, init=centres, n_init=1, tol=0.0, max_iter=20)
    k_means(points, weight, centres, 20, labels)
    assert_array_equal(labels, reference.fit_predict(points, sample_weight=weight))


@pytest.mark.parametrize("n_distinct", [200, 2])
def test_far_rows_are_those_of_greedy_k_means(n_distinct):
    rng = np.random.default_rng(n_distinct)
    points = np.repeat(rng.normal(size=(n_distinct, 3)), 200 // n_distinct, axis=0)
    mass, quantiles, drawn = rng.integers(0, 3, 200) * 1.0, rng.random((4, 3)), np.empty((4, 3))
    far_rows(points, mass, quantiles, drawn)
    expected, distance = [], np.full(200, np.inf)
    for of_row in quantiles:
        cumulative = np.cumsum(mass * distance if expected else mass)
        cumulative = cumulative if cumulative[-1] > 0 else np.cumsum(mass)
        rows = np.searchsorted(cumulative, of_row * cumulative[-1], side="right")
        rows = rows if expected else rows[:1]
        near = np.minimum(distance, ((points[rows, None] - points) ** 2).sum(axis=2))
        best = np.argmin(near @ mass)
        expected.append(points[rows[best]])
        distance = near[best]
    assert_array_equal(drawn, expected)
