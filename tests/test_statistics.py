"""Additive statistics and least squares against plain NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmoe._experts.least_squares import LeastSquaresExperts
from skmoe._numerics import statistics as grams
from skmoe._numerics.statistics import (
    BLOCK_ROWS,
    KERNEL_COLUMNS,
    LeastSquaresRows,
    LeastSquaresStatistics,
    least_squares_statistics,
    standardisation,
    weighted_grams,
)


def draw(n, p, n_experts, n_outputs=1, seed=0):
    """A design with an intercept in the last column, targets and weights."""
    rng = np.random.default_rng(seed)
    design = np.column_stack([rng.normal(size=(n, p)), np.ones(n)])
    return design, rng.normal(size=(n, n_outputs)), rng.uniform(size=(n, n_experts))


@pytest.mark.parametrize("n", [1, 50, BLOCK_ROWS, BLOCK_ROWS + 1])
@pytest.mark.parametrize(
    ("n_columns", "n_grams"), [(1, 3), (5, 1), (5, 4), (KERNEL_COLUMNS, 2), (KERNEL_COLUMNS + 1, 2)]
)
@pytest.mark.parametrize("sign", [np.positive, np.abs])
def test_grams_equal_their_definition(n_columns, n_grams, n, sign):
    rng = np.random.default_rng(0)
    design = rng.normal(size=(n, n_columns))
    weights = sign(rng.normal(size=(n, n_grams)))  # of either sign, or of one
    expected = np.einsum("ni,nk,nj->kij", design, weights, design, optimize=True)
    grams = weighted_grams(design, weights)
    # Sums of n terms of order one.
    assert_allclose(grams, expected, rtol=0, atol=1e-14 * n + 1e-14)
    assert_allclose(grams, grams.transpose(0, 2, 1), rtol=0, atol=1e-14 * n)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_coefficients_equal_those_of_lstsq(alpha, n_outputs):
    design, targets, weights = draw(200, 4, 3, n_outputs)
    penalty = alpha * np.arange(1.0, 5.0)
    coef = LeastSquaresStatistics.from_rows(design, targets, weights).solve(penalty)
    for k in range(3):
        root = np.sqrt(weights[:, [k]])
        ridge = np.column_stack([np.diag(np.sqrt(penalty)), np.zeros(4)])
        rows = np.vstack([design * root, ridge])
        right = np.vstack([targets * root, np.zeros((4, n_outputs))])
        expected = np.linalg.lstsq(rows, right)[0]
        # Normal equations of a well conditioned design: rounding times its condition.
        assert_allclose(coef[k], expected, rtol=1e-11, atol=1e-12)


def test_rank_deficient_problem_gets_the_slopes_of_least_norm():
    design, targets, weights = draw(50, 3, 1)
    design = np.column_stack([design[:, 0], design[:, 0], design[:, 1:]])  # twice the same
    coef = LeastSquaresStatistics.from_rows(design, targets, weights).solve(np.zeros(4))[0]
    assert_allclose(coef[0], coef[1], rtol=1e-8)
    # The intercept is free, so least norm is that of the slopes on centred columns.
    w = weights[:, 0]
    centred = design[:, :-1] - np.average(design[:, :-1], axis=0, weights=w)
    y = targets[:, 0] - np.average(targets[:, 0], weights=w)
    expected = np.linalg.pinv(centred * np.sqrt(w)[:, None]) @ (y * np.sqrt(w))
    assert_allclose(coef[:-1, 0], expected, rtol=1e-8, atol=1e-10)  # squared condition


# More columns than rows -------------------------------------------------------------------------


PENALTIES = {
    "none": np.zeros(30),
    "tiny": np.full(30, 1e-6),
    "one": np.ones(30),
    "of raw columns": 10.0 ** -np.linspace(-4, 8, 30),
}


def reference(design, targets, weight, penalty):
    """Least squares of one problem by singular values of the rows, centred, and of the penalty."""
    mean = weight @ design[:, :-1] / weight.sum()
    middle = weight @ targets / weight.sum()
    unit = np.sqrt(np.where(penalty > 0, penalty, 1.0))  # the norm that is least
    rows = np.sqrt(weight)[:, None] * (design[:, :-1] - mean) / unit
    right = np.sqrt(weight)[:, None] * (targets - middle)
    rows *= np.count_nonzero(weight) > 1  # of one row, the rounding of its mean is left
    if penalty.any():
        rows = np.vstack([rows, np.eye(len(penalty))])
        right = np.vstack([right, np.zeros((len(penalty), targets.shape[1]))])
    slopes = np.linalg.lstsq(rows, right, rcond=1e-11)[0] / unit[:, None]
    return np.vstack([slopes, middle - mean @ slopes])


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("n", [1, 2, 12, 30])
def test_fewer_rows_than_columns_have_the_coefficients_of_lstsq(n, name, n_outputs):
    design, targets, weights = draw(n, 30, 4, n_outputs)
    weights[:, 1] *= 10.0 ** np.linspace(-4, 4, n)
    weights[1:, 2] = 0.0
    weights[:, 3] = 0.0
    rows = least_squares_statistics(design, targets, weights)
    assert isinstance(rows, LeastSquaresRows)
    coef = rows.solve(PENALTIES[name])
    for k in range(3):
        expected = reference(design, targets, weights[:, k], PENALTIES[name])
        # Products of rows square the condition, and what is left is solved for again.
        assert_allclose(coef[k], expected, rtol=1e-8, atol=1e-8 * abs(expected).max())
    assert_array_equal(coef[3], 0.0)
    if name in ("tiny", "one"):
        expected = rows.summed().solve(PENALTIES[name])
        # The sums square it too, and rounding is divided by a penalty of 1e-6.
        assert_allclose(coef, expected, rtol=1e-5, atol=1e-5 * abs(expected).max())


def test_repeated_rows_have_the_coefficients_of_weights():
    design, targets, _ = draw(10, 40, 1)
    twice = [np.repeat(each, 2, axis=0) for each in (design, targets)]
    for penalty in (np.zeros(40), np.full(40, 1e-6)):
        expected = LeastSquaresRows(design, targets, np.full((10, 1), 2.0)).solve(penalty)
        coef = LeastSquaresRows(*twice, np.ones((20, 1))).solve(penalty)
        assert_allclose(coef, expected, rtol=1e-9, atol=1e-10)  # of singular products


def test_a_gram_matrix_beyond_the_counts_of_lapack_is_refused_before_it_is_made():
    most = grams.MOST_COLUMNS
    assert 1 + 6 * most + 2 * most**2 < 2**31  # the work space of its symmetric eigenproblems
    with pytest.raises(ValueError, match=r"65536 columns of 70000 rows take 2 matrices of 34"):
        weighted_grams(np.broadcast_to(1.0, (70_000, 65_536)), np.broadcast_to(1.0, (70_000, 2)))


# Standardisation --------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_standardised_columns_have_mean_zero_and_variance_one(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) * [1.0, 100.0, 0.5] + offset
    weight = rng.uniform(size=500)
    mean, scale = standardisation(X, weight)
    Z = (X - mean) / scale
    share = weight / weight.sum()
    # The rounding of an offset is not a matter of the method.
    rounding = np.finfo(float).eps * (1 + abs(offset)) / 0.5
    assert_allclose(share @ Z, 0, atol=4 * rounding)
    assert_allclose(share @ Z**2, 1, rtol=1e-12 + 4 * rounding)


# Badly scaled columns ---------------------------------------------------------------------------


def year_polynomial():
    rng = np.random.default_rng(0)
    year = rng.uniform(1900, 2020, size=400)
    y = 3.0 + 0.2 * (year - 1960) - 0.01 * (year - 1960) ** 2
    # The reference: the same space spanned by centred columns.
    centred = (year - 1960) / 60
    good = np.column_stack([centred, centred**2, np.ones(400)])
    return np.column_stack([year, year**2]), y + rng.normal(size=400), good


def test_raw_year_and_its_square_are_solved_to_eight_digits():
    X, y, good = year_polynomial()
    resp = np.random.default_rng(1).dirichlet(np.ones(2), size=400)
    experts = LeastSquaresExperts(X, y, np.ones(400), 2, penalty=0.0, prior=False)
    experts.fit(resp)
    templates = [type("Line", (), {})(), type("Line", (), {})()]
    fitted = experts.finish(templates)
    for k in range(2):
        root = np.sqrt(resp[:, k])
        expected = good @ np.linalg.lstsq(good * root[:, None], y * root)[0]
        # Condition 1e4 of the standardised columns, squared by the normal equations.
        assert_allclose(experts.predictions[:, k], expected, rtol=1e-8, atol=1e-8 * np.ptp(y))
        # In raw units, terms of 1e4 cancel.
        raw = X @ fitted[k].coef_ + fitted[k].intercept_
        assert_allclose(raw, expected, rtol=1e-8, atol=1e-8 * np.ptp(y))
