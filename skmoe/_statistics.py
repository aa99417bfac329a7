"""Additive statistics of rows: all that a least-squares M-step needs to see.

The statistics of two blocks of rows add up to those of both, so nothing below knows how many
blocks there were.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ._tables import LARGEST, check_sizes

BLOCK_ROWS = 2048  # a block of pairwise products of 20 columns stays in the L2 cache
PAIRWISE_COLUMNS = 40  # beyond this the pairwise products cost more than K separate products


def standardisation(X, sample_weight):
    """Weighted mean and scale of each column; the scale of a constant column is 1.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite numbers.
    sample_weight : ndarray of shape (n_samples,)
        Weights, of which at least one is positive.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        Such that ``(X - mean) / scale`` has weighted mean 0 and variance 1.

    Raises
    ------
    ValueError
        If numbers are so large, or so small, that their squares are none.
    """
    weight = sample_weight / sample_weight.sum()
    mean = np.zeros(X.shape[1])
    for rows in _blocks(X):
        mean += weight[rows] @ X[rows]
    mean_error, squares = np.zeros_like(mean), np.zeros_like(mean)
    for rows in _blocks(X):  # the second pass removes the rounding of a large mean
        centred = X[rows] - mean
        mean_error += weight[rows] @ centred
        with np.errstate(over="ignore"):
            squares += weight[rows] @ centred**2
    if not (squares < LARGEST**2.5).all():
        check_sizes(X, "the columns to standardise", smallest=False)
    if squares.min(initial=1.0) < LARGEST**-2.5:  # of a constant column they are zero
        check_sizes(X - X[:1], "the columns to standardise, less its first row,", smallest=True)
    mean += mean_error
    scale = np.sqrt(np.maximum(squares - mean_error**2, 0.0))
    constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant, 1.0, scale)


def _blocks(X):
    return (slice(start, start + BLOCK_ROWS) for start in range(0, len(X), BLOCK_ROWS))


def weighted_grams(design, weights):
    """All the weighted Gram matrices ``design.T @ diag(weights[:, k]) @ design``.

    Parameters
    ----------
    design : ndarray of shape (n_samples, n_columns)
        Columns of the problem.
    weights : ndarray of shape (n_samples, n_grams)
        One weight vector a column; may be negative.

    Returns
    -------
    grams : ndarray of shape (n_grams, n_columns, n_columns)
        Symmetric matrices.
    """
    n_columns, n_grams = design.shape[1], weights.shape[1]
    grams = np.zeros((n_grams, n_columns, n_columns))
    if n_columns > PAIRWISE_COLUMNS or n_grams == 1:
        for start in range(0, len(design), BLOCK_ROWS):
            block = design[start : start + BLOCK_ROWS]
            for k in range(n_grams):
                grams[k] += (block.T * weights[start : start + BLOCK_ROWS, k]) @ block
        return grams
    rows, columns = np.triu_indices(n_columns)
    upper = np.zeros((len(rows), n_grams))
    for start in range(0, len(design), BLOCK_ROWS):
        block = np.ascontiguousarray(design[start : start + BLOCK_ROWS].T)
        upper += (block[rows] * block[columns]) @ weights[start : start + BLOCK_ROWS]
    grams[:, rows, columns] = upper.T
    grams[:, columns, rows] = upper.T
    return grams


@dataclass
class LeastSquaresStatistics:
    """Sums over rows for K weighted least-squares problems on one design.

    Attributes
    ----------
    gram : ndarray of shape (n_experts, n_columns, n_columns)
        Weighted Gram matrices; the last column of the design is the intercept.
    cross : ndarray of shape (n_experts, n_columns, n_outputs)
        Weighted products of the design and the targets.
    squares : ndarray of shape (n_experts, n_outputs)
        Weighted squares of the targets.
    """

    gram: np.ndarray
    cross: np.ndarray
    squares: np.ndarray

    @classmethod
    def from_rows(cls, design, targets, weights):
        """Sum over rows: design (n, p), targets (n, m), weights (n, K)."""
        cross = [design.T @ (weights[:, [k]] * targets) for k in range(weights.shape[1])]
        return cls(weighted_grams(design, weights), np.stack(cross), weights.T @ targets**2)

    @classmethod
    def from_residuals(cls, gram, cross, squares, coef):
        """From sums with residuals of ``coef`` (n_experts, n_columns, n_outputs) as targets."""
        fitted = gram @ coef
        squares = squares + np.einsum("kjm,kjm->km", coef, 2 * cross + fitted)
        return cls(gram, cross + fitted, squares)

    def __add__(self, other):
        return LeastSquaresStatistics(
            self.gram + other.gram, self.cross + other.cross, self.squares + other.squares
        )

    def __rmul__(self, factor):
        return LeastSquaresStatistics(
            factor * self.gram, factor * self.cross, factor * self.squares
        )

    def __getitem__(self, experts):
        return LeastSquaresStatistics(
            self.gram[experts], self.cross[experts], self.squares[experts]
        )

    def residual_squares(self, coef):
        """Weighted squares of the residuals of ``coef``, (n_experts, n_outputs)."""
        left = self.gram @ coef - 2 * self.cross
        return np.maximum(self.squares + np.einsum("kjm,kjm->km", coef, left), 0.0)

    def solve(self, penalty):
        """Coefficients that minimise each problem's penalised sum of squares.

        The intercept is free. Without penalty, a rank-deficient problem gets the solution of
        least norm in the coordinates of the design.

        Parameters
        ----------
        penalty : ndarray of shape (n_columns - 1,)
            L2 penalty of each slope.

        Returns
        -------
        coef : ndarray of shape (n_experts, n_columns, n_outputs)
            Slopes, then the intercept.
        """
        coef = np.zeros(self.cross.shape)
        mass = self.gram[:, -1, -1]
        mean = self.gram[:, -1, :-1] / np.where(mass > 0, mass, 1.0)[:, None]
        matrix = self.gram[:, :-1, :-1] - (mass[:, None] * mean)[:, :, None] * mean[:, None]
        columns = np.arange(len(penalty))
        matrix[:, columns, columns] += penalty
        right = self.cross[:, :-1] - mean[:, :, None] * self.cross[:, -1:]
        for k in np.flatnonzero(mass > 0):
            coef[k, :-1] = solve_symmetric(matrix[k], right[k])
            coef[k, -1] = self.cross[k, -1] / mass[k] - mean[k] @ coef[k, :-1]
        return coef

    def solve_shared(self, penalty, shared, precision):
        """Coefficients of all problems at once, of which some are shared.

        Parameters
        ----------
        penalty : ndarray of shape (n_columns - 1,)
            L2 penalty of each slope.
        shared : ndarray of bool of shape (n_columns,)
            Columns with one coefficient for all experts.
        precision : float or ndarray that broadcasts to (n_experts, n_outputs)
            What a square counts in each problem.

        Returns
        -------
        coef : ndarray of shape (n_experts, n_columns, n_outputs)
            Slopes, then the intercept.
        """
        grams = self.gram + np.diag(np.append(penalty, 0.0))
        n_experts, _, n_outputs = self.cross.shape
        precision = np.asarray(precision, dtype=np.float64)
        precision = precision[:, None] if precision.ndim == 1 else precision
        precision = np.broadcast_to(precision, (n_experts, n_outputs))
        each = [
            solve_shared(p[:, None, None] * grams, p[:, None] * self.cross[..., m], shared)
            for m, p in enumerate(precision.T)
        ]
        return np.stack(each, axis=2)


def solve_shared(grams, rights, shared):
    """Solutions of K symmetric systems that have some of their coefficients in common.

    Parameters
    ----------
    grams : ndarray of shape (n_experts, n_columns, n_columns)
        Positive semi-definite matrices.
    rights : ndarray of shape (n_experts, n_columns)
        Right-hand sides.
    shared : ndarray of bool of shape (n_columns,)
        Columns of one coefficient for all: their equations are summed.

    Returns
    -------
    coef : ndarray of shape (n_experts, n_columns)
        Equal over the experts in the shared columns.
    """
    n_experts, n_columns = rights.shape
    own = np.flatnonzero(~shared)
    places = np.empty((n_experts, n_columns), dtype=int)
    places[:, own] = np.arange(n_experts * len(own)).reshape(n_experts, -1)
    places[:, shared] = n_experts * len(own) + np.arange(np.count_nonzero(shared))
    size = places.max() + 1
    matrix, right = np.zeros((size, size)), np.zeros(size)
    for place, gram, side in zip(places, grams, rights, strict=True):
        matrix[np.ix_(place, place)] += gram
        right[place] += side
    return solve_symmetric(matrix, right[:, None])[:, 0][places]


def solve_symmetric(matrix, right):
    """Least-norm solution of a positive semi-definite system."""
    if not len(matrix):
        return np.zeros_like(right)
    factor, failed = linalg.lapack.dpotrf(matrix, lower=1)
    diagonal = np.diag(factor)
    if not failed and diagonal.min() > 1e-6 * diagonal.max():  # condition below about 1e12
        return linalg.lapack.dpotrs(factor, right, lower=1)[0]
    # Not positive definite to working precision: the eigenvectors say what is.
    values, vectors = linalg.eigh(matrix)
    keep = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
    if not keep.any():
        return np.zeros_like(right)
    return vectors[:, keep] @ ((vectors[:, keep].T @ right) / values[keep, None])
