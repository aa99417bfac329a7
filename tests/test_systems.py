"""The kernels of an M-step's systems of equations against NumPy and SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import linalg

from skmoe._kernels._systems import (
    add_softmax_penalty,
    cholesky,
    least_squares,
    softmax_curvature,
    softmax_step,
    solve_factored,
)

LEAST_PIVOT = 1e-6


def draw_rows(n_columns, n_experts, n_targets, seed=0):
    """Design with an intercept, targets and weights of a few rows."""
    rng = np.random.default_rng(seed)
    n = 3 * n_columns + 5
    design = np.column_stack([rng.normal(2, 3, size=(n, n_columns - 1)), np.ones(n)])
    return design, rng.normal(size=(n, n_targets)), rng.uniform(size=(n, n_experts))


def sums_of(design, targets, weights):
    gram = np.einsum("ni,nk,nj->kij", design, weights, design)
    return gram, np.einsum("ni,nk,nm->kim", design, weights, targets)


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("n_columns", [1, 2, 6, 16, 17, 18, 40])
def test_least_squares_are_those_of_weighted_rows_and_a_ridge(n_columns, n_targets):
    design, targets, weights = draw_rows(n_columns, 4, n_targets)
    penalty = np.linspace(0.5, 2.0, n_columns - 1)
    gram, cross = sums_of(design, targets, weights)
    coef = np.full(cross.shape, np.nan)
    assert least_squares(gram, cross, penalty, coef, LEAST_PIVOT) == []
    # Rows of the penalty's root with target 0 make a ridge of plain least squares.
    ridge = np.eye(n_columns)[:-1] * np.sqrt(penalty)[:, None]
    for k in range(4):
        root = np.sqrt(weights[:, [k]])
        rows = np.vstack([root * design, ridge])
        right = np.vstack([root * targets, np.zeros((n_columns - 1, n_targets))])
        expected = np.linalg.lstsq(rows, right, rcond=None)[0]
        assert_allclose(coef[k], expected, rtol=1e-9, atol=1e-9)  # normal equations


def test_problems_without_a_unique_solution_are_named_and_the_others_solved():
    design, targets, weights = draw_rows(5, 3, 1)
    design[:, 1] = 2 * design[:, 0] - 1  # which leaves the intercept's system singular for all
    gram, cross = sums_of(design, targets, weights)
    penalty, coef = np.zeros(4), np.empty(cross.shape)
    assert least_squares(gram, cross, penalty, coef, LEAST_PIVOT) == [0, 1, 2]
    design, targets, weights = draw_rows(5, 3, 1)
    weights[:, 1] = 0  # an expert of no rows
    weights[3:, 2] = 0  # and one of three rows for five coefficients
    gram, cross = sums_of(design, targets, weights)
    assert least_squares(gram, cross, penalty, coef, LEAST_PIVOT) == [1, 2]
    root = np.sqrt(weights[:, [0]])
    expected = np.linalg.lstsq(root * design, root * targets, rcond=None)[0]
    assert_allclose(coef[0], expected, rtol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 33, 100])
def test_cholesky_factorises_and_solves(n):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n + 3))
    matrix, right = root @ root.T, rng.normal(size=n)
    factor, solution = matrix.copy(), right.copy()
    pivots = cholesky(factor)
    solve_factored(factor, solution)
    if n:
        expected = linalg.cholesky(matrix)
        assert_allclose(np.triu(factor), expected, rtol=1e-9, atol=1e-11)
        assert_allclose(pivots, np.diag(expected).min() / np.diag(expected).max(), rtol=1e-9)
        assert_allclose(matrix @ solution, right, rtol=0, atol=1e-8)


@pytest.mark.parametrize("entry", [0.0, -1.0, np.nan, np.inf])
def test_cholesky_says_what_is_not_positive_definite(entry):
    matrix = np.eye(20)
    matrix[17, 17] = entry
    assert cholesky(matrix) == 0.0


def draw_pairs(n_classes, n_columns, seed=0):
    """Rows, probabilities, and Gram matrices of the pairs of classes."""
    rng = np.random.default_rng(seed)
    n = 60
    design = np.column_stack([rng.normal(size=(n, n_columns - 1)), np.ones(n)])
    proba = rng.dirichlet(np.ones(n_classes), size=n)
    second, first = np.tril_indices(n_classes, -1)
    pairs = np.einsum("ni,nq,nj->qij", design, proba[:, first] * proba[:, second], design)
    return design, proba, pairs


@pytest.mark.parametrize(("n_classes", "n_columns"), [(1, 3), (2, 1), (3, 6), (5, 4)])
def test_newton_step_solves_the_penalised_system_and_sums_to_zero(n_classes, n_columns):
    design, proba, pairs = draw_pairs(n_classes, n_columns)
    size = n_classes * n_columns
    penalty = np.append(np.linspace(0.1, 0.5, n_columns - 1), 0.0)
    hessian = np.empty((n_classes, n_columns) * 2)
    softmax_curvature(pairs, hessian)
    penalised = hessian.reshape(size, size) + np.diag(np.tile(penalty, n_classes))
    add_softmax_penalty(hessian, penalty)
    factor, step = hessian.reshape(size, size).copy(), np.empty((n_columns, n_classes))
    assert cholesky(factor) > 0
    rng = np.random.default_rng(1)
    gradient = design.T @ (rng.dirichlet(np.ones(n_classes), size=60) - proba)
    decrement = softmax_step(factor, gradient, step)
    assert_allclose(step.sum(axis=1), 0.0, atol=1e-12)
    assert_allclose(penalised @ step.T.ravel(), gradient.T.ravel(), rtol=0, atol=1e-8)
    assert_allclose(decrement, np.vdot(gradient, step), rtol=1e-12)


@pytest.mark.parametrize("name", ["gram", "cross", "penalty", "coef"])
def test_least_squares_name_the_argument_of_a_wrong_shape(name):
    arguments = {
        "gram": np.zeros((2, 3, 3)),
        "cross": np.zeros((2, 3, 1)),
        "penalty": np.zeros(2),
        "coef": np.zeros((2, 3, 1)),
    }
    arguments[name] = np.zeros([size + 1 for size in arguments[name].shape[:-1]] + [2**3])
    with pytest.raises(ValueError, match=r"has shape \(.*\), where \(.*\) is needed"):
        least_squares(**arguments, least_pivot=LEAST_PIVOT)


def test_kernels_of_the_gate_name_the_argument_of_a_wrong_shape():
    needed = r"has shape \(.*\), where \(.*\) is needed"
    with pytest.raises(ValueError, match=f"pairs {needed}"):
        softmax_curvature(np.zeros((2, 2, 2)), np.zeros((3, 2, 3, 2)))
    with pytest.raises(ValueError, match=f"hessian {needed}"):
        softmax_curvature(np.zeros((3, 2, 2)), np.zeros((3, 2, 3, 1)))
    with pytest.raises(ValueError, match=f"penalty {needed}"):
        add_softmax_penalty(np.zeros((3, 2, 3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=f"gradient {needed}"):
        softmax_step(np.eye(6), np.zeros((3, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=f"factor {needed}"):
        softmax_step(np.eye(5), np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=f"factor {needed}"):
        solve_factored(np.eye(5), np.zeros(4))
    with pytest.raises(ValueError, match=f"matrix {needed}"):
        cholesky(np.zeros((2, 3)))
