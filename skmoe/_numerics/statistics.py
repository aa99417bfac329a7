"""Additive statistics of rows: all that a least-squares M-step needs to see.

The statistics of two blocks of rows add up to those of both, so nothing below depends on how many
blocks there were. Where rows are fewer than columns they are their own statistics, and least
squares are solved for a number of each row: nothing of columns x columns is made.
"""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import gen_batches

from .._kernels._grams import add_grams, add_sparse_grams, workspace_size
from .._kernels._systems import add_to_targets, least_squares
from .._tables.mixed import LARGEST, check_sizes

BLOCK_ROWS = 2048
BLOCK_ENTRIES = 2**21  # at most, and one row at least
REFINED = 2  # solutions from products of rows, the second for what the first has left
DEPENDENT = 1e-5  # standard deviations that others leave of a column; below, it is made of them
LOGS_OF_MEANS = -500.0, 350.0  # of rows however far out: means are positive, squares finite
LEAST_PIVOT = 1e-6  # pivot of a Cholesky factor over the largest: condition below 1e12


def standardisation(X, sample_weight):
    """Weighted mean and scale of each column; the scale of a constant column is 1.

    One weight is positive. Raises a ValueError if numbers are so large, or so small, that their
    squares are none.
    """
    weight = sample_weight / sample_weight.sum()
    n_rows = max(min(BLOCK_ENTRIES // max(X.shape[1], 1), BLOCK_ROWS), 1)
    blocks = [slice(i, i + n_rows) for i in range(0, len(X), n_rows)]
    mean = sum(weight[rows] @ X[rows] for rows in blocks)
    # The second pass removes the rounding of a large mean.
    mean_error, squares = np.zeros((2, X.shape[1]))
    for rows in blocks:
        centred = X[rows] - mean
        mean_error += weight[rows] @ centred
        with np.errstate(over="ignore"):
            squares += weight[rows] @ np.square(centred, out=centred)
    if not (squares < LARGEST**2.5).all():
        check_sizes(X, "the columns to standardise", smallest=False)
    if squares.min(initial=1.0) < LARGEST**-2.5:  # zero for constant columns
        check_sizes(X - X[:1], "the columns to standardise, less its first row,", smallest=True)
    mean += mean_error
    scale = np.sqrt(np.maximum(squares - mean_error**2, 0.0))
    constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(mean), 1e-300)
    return mean, np.where(constant, 1.0, scale)


def independent_columns(X, sample_weight, last=()):
    """Columns that have coefficients of their own beside an intercept.

    From the last to the first, ``last`` ones after all others, a column is left out that is
    constant or a linear combination of those kept: of one-hot columns the one that is ``last``, or
    the first level, as ``OneHotEncoder(drop="first")`` does.

    Returns bool (n_features,), of which as many are true as the rank of the centred columns. One
    weight is positive.
    """
    used = sample_weight > 0
    X = X[used]
    weight = sample_weight[used]
    mean, scale = standardisation(X, weight)
    scale[np.ptp(X, axis=0) == 0] = np.inf  # else the rounding of a large mean is left
    numbers = np.arange(X.shape[1])
    order = np.lexsort((-numbers, np.isin(numbers, last)))
    root = np.sqrt(weight / weight.sum())[:, None]
    triangle = np.empty((0, X.shape[1]))
    for rows in gen_batches(len(X), BLOCK_ROWS):
        block = root[rows] * ((X[rows] - mean) / scale)[:, order]
        triangle = np.linalg.qr(np.vstack([triangle, block]), mode="r")
    left = np.abs(np.diag(triangle))  # residual of each column on those before it
    if len(left) == X.shape[1] and (left > DEPENDENT).all():
        return np.ones(X.shape[1], dtype=bool)
    kept = np.zeros(X.shape[1], dtype=bool)
    basis = np.empty((len(triangle), 0))
    for j, column in zip(order, triangle.T, strict=True):
        for _ in range(2):  # once more for what rounding leaves
            column = column - basis @ (basis.T @ column)
        norm = np.linalg.norm(column)
        if norm > DEPENDENT:
            kept[j] = True
            basis = np.column_stack([basis, column / norm])
    return kept


def least_squares_statistics(design, targets, weights, products=None):
    """What K weighted least-squares problems on one design are solved from.

    The last column of ``design`` is the intercept; ``weights`` (n_samples, n_experts) are of the
    rows in each problem; ``products`` is as in ``LeastSquaresRows``. What is returned adds up.
    """
    if design.shape[0] < design.shape[1] and not sparse.issparse(design):
        return LeastSquaresRows(design, targets, weights, products)
    return LeastSquaresStatistics.from_rows(design, targets, weights)


@dataclass
class LeastSquaresStatistics:
    """Sums over rows for K weighted least-squares problems on one design."""

    # (n_experts, n_columns, n_columns): weighted Gram matrices; the last column of the design is
    # the intercept.
    gram: np.ndarray
    # (n_experts, n_columns, n_outputs): weighted products of the design and the targets.
    cross: np.ndarray
    squares: np.ndarray  # (n_experts, n_outputs): weighted squares of the targets

    @classmethod
    def from_rows(cls, design, targets, weights):
        """Sum over rows: design (n, p), targets (n, m), weights (n, K)."""
        cross = [design.T @ (weights[:, [k]] * targets) for k in range(weights.shape[1])]
        return cls(weighted_grams(design, weights), np.stack(cross), weights.T @ targets**2)

    @classmethod
    def of_own_targets(cls, design, targets, weights):
        """Sum over rows where each problem has a target of its own: targets (n, K)."""
        weighted = weights * targets
        cross = weighted.T @ design
        squares = (weighted * targets).sum(axis=0)
        return cls(weighted_grams(design, weights), cross[:, :, None], squares[:, None])

    @classmethod
    def joined(cls, parts):
        """Those of several problems in one."""
        fields = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, fields))

    def with_targets(self, coef, sign=1.0):
        """These sums where ``sign`` times functions were added to the targets.

        Their coefficients are (n_experts, n_columns, n_outputs).
        """
        cross = np.empty(self.cross.shape)
        squares = np.empty(self.squares.shape)
        add_to_targets(self.gram, self.cross, self.squares, coef, sign, cross, squares)
        return LeastSquaresStatistics(self.gram, cross, squares)

    def summed(self):
        """These sums."""
        return self

    @property
    def mass(self):
        """Weights of the rows of each problem, (n_experts,)."""
        return self.gram[:, -1, -1]

    def __add__(self, other):
        return add_fields(self, other.summed())

    def __rmul__(self, factor):
        return LeastSquaresStatistics(*(factor * sums for sums in vars(self).values()))

    def __getitem__(self, experts):
        return LeastSquaresStatistics(*(sums[experts] for sums in vars(self).values()))

    def residual_squares(self, coef):
        """Weighted squares of the residuals of ``coef``, (n_experts, n_outputs)."""
        return np.maximum(self.with_targets(coef, -1.0).squares, 0.0)

    def solve(self, penalty):
        """Coefficients that minimise each problem's penalised sum of squares.

        The intercept is free. Without penalty, a rank-deficient problem gets the solution of
        least norm in the coordinates of the design.

        ``penalty`` (n_columns - 1,) is L2, of each slope. Returns (n_experts, n_columns,
        n_outputs): slopes, then the intercept.
        """
        coef = np.empty(self.cross.shape)
        for k in least_squares(self.gram, self.cross, penalty, coef, LEAST_PIVOT):
            coef[k] = _least_norm(self.gram[k], self.cross[k], penalty)
        return coef


@dataclass
class LeastSquaresRows:
    r"""Rows of K weighted least-squares problems on a design of more columns than rows.

    It has the methods of ``LeastSquaresStatistics``. The slopes that minimise

    .. math:: \sum_i w_i (y_i - b - x_i^T \beta)^2 + \beta^T D \beta

    are :math:`D^{-1} X^T W^{1/2} a`, with one number :math:`a_i` for each row [1]_; without a
    penalty, those of least norm are, with D = 1.

    References
    ----------
    .. [1] C. Saunders, A. Gammerman and V. Vovk, "Ridge regression learning algorithm in dual
       variables", ICML (1998) 515-521.
    """

    design: np.ndarray  # (n_samples, n_columns): the last column is the intercept
    targets: np.ndarray  # (n_samples, n_outputs): targets
    weights: np.ndarray  # (n_samples, n_experts): of the rows in each problem
    # ``products(penalty)`` -> what ``row_products`` of these rows and that penalty returns, for
    # instance because it was made before.
    products: object = None

    def summed(self):
        """The sums over these rows."""
        return LeastSquaresStatistics.from_rows(self.design, self.targets, self.weights)

    def __add__(self, other):
        if not isinstance(other, LeastSquaresRows):
            return other + self
        both = zip(self._arrays(), other._arrays(), strict=True)
        return least_squares_statistics(*(np.concatenate(pair) for pair in both))

    def _arrays(self):
        return self.design, self.targets, self.weights

    def __rmul__(self, factor):
        return LeastSquaresRows(self.design, self.targets, factor * self.weights)

    def __getitem__(self, experts):
        return LeastSquaresRows(self.design, self.targets, self.weights[:, experts])

    def solve(self, penalty):
        """Coefficients (n_experts, n_columns, n_outputs); see ``LeastSquaresStatistics``."""
        slopes = self.design[:, :-1]
        metric = _metric(penalty)
        ridge = float(penalty.any())
        products = (self.products or partial(row_products, slopes))(penalty)
        coef = np.zeros((self.weights.shape[1], self.design.shape[1], self.targets.shape[1]))
        for k in np.flatnonzero(self.weights.sum(axis=0) > 0):
            root = np.sqrt(self.weights[:, [k]])
            numbers = 0.0
            length = np.linalg.norm(root)
            inner = products * root * root.T
            unit = root / length
            # What is along the intercept leaves the system; any curvature there keeps it definite.
            along = inner @ unit
            other = along - 0.5 * (unit.T @ along + np.trace(inner) / len(inner)) * unit
            inner = inner - unit * other.T - other * unit.T + ridge * np.eye(len(inner))
            factor, failed = linalg.lapack.dpotrf(inner, lower=1)
            well = not failed and (at := factor.diagonal()).min() > LEAST_PIVOT * at.max()
            if well:
                solve = partial(linalg.cho_solve, (factor, True))
            else:
                solve = partial(_by_eigen, inner)
            for _ in range(REFINED):
                left = root * (self.targets - self.design @ coef[k]) - ridge * numbers
                step = solve(left - unit @ (unit.T @ left))
                step -= unit @ (unit.T @ step)
                coef[k, :-1] += (slopes.T @ (root * step)) / metric[:, None]
                coef[k, -1] += (unit.T @ left - along.T @ step)[0] / length
                numbers = numbers + step
        return coef


def row_products(slopes, penalty):
    """Products of rows in the metric of a penalty, ``slopes @ diag(1 / penalty) @ slopes.T``."""
    scaled = slopes / np.sqrt(_metric(penalty))
    return scaled @ scaled.T


def _metric(penalty):
    """The penalty, positive; ones where there is none."""
    if penalty.any():
        return np.maximum(penalty, 1e-30 * penalty.max(initial=0.0))
    return penalty + 1.0


def each_times(matrices, vectors):
    """Products (..., m) of matrices (..., m, n) and vectors (..., n), one of each."""
    return (matrices @ vectors[..., None])[..., 0]


def solve_symmetric(matrices, rights):
    """Least-norm solutions (n, p, m) of n positive semi-definite systems (n, p, p)."""
    if not rights.size:
        return np.zeros_like(rights)
    pairs = zip(matrices, rights, strict=True)
    solved = (linalg.lapack.dposv(matrix, right, lower=1) for matrix, right in pairs)
    factors, solutions, failed = zip(*solved, strict=True)
    solutions = np.stack(solutions)
    pivots = np.stack([factor.diagonal() for factor in factors])
    well = pivots.min(axis=1) > LEAST_PIVOT * pivots.max(axis=1)
    for k in np.flatnonzero(~well | (np.array(failed) > 0)):
        solutions[k] = _by_eigen(matrices[k], rights[k])
    return solutions


def _least_norm(gram, cross, penalty):
    """Coefficients (p, m) of one problem whose columns depend on each other."""
    mass = max(gram[-1, -1], 1e-300)  # without rows, all is zero
    mean = gram[-1, :-1] / mass
    intercept = cross[-1] / mass
    matrix = gram[:-1, :-1] - np.outer(gram[:-1, -1], mean) + np.diag(penalty)
    slopes = _by_eigen(matrix, cross[:-1] - np.outer(mean, cross[-1]))
    return np.vstack([slopes, intercept - mean @ slopes])


def _by_eigen(matrix, right):
    """The same of one system that is not positive definite to working precision."""
    values, vectors = linalg.eigh(matrix)
    keep = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
    if not keep.any():
        return np.zeros_like(right)
    return vectors[:, keep] @ ((vectors[:, keep].T @ right) / values[keep, None])


# Weighted Gram matrices, many of one design, of dense and of sparse rows -------------------------


MOST_COLUMNS = 2**15 - 3  # of a Gram matrix: LAPACK needs 1 + 6 n + 2 n^2 numbers, an int
KERNEL_COLUMNS = 128  # beyond, BLAS has threads that make up for one product a matrix
GRAM_ROWS = 2048


def weighted_grams(design, weights):
    """All the weighted Gram matrices ``design.T @ diag(weights[:, k]) @ design``.

    They are (n_grams, n_columns, n_columns), for weights (n_samples, n_grams) of any sign and a
    design that may be sparse. Raises a ValueError if there are so many columns that LAPACK's counts
    overflow.
    """
    (n_samples, n_columns), n_grams = design.shape, weights.shape[1]
    if n_columns > MOST_COLUMNS:
        raise ValueError(
            f"{n_columns} columns of {n_samples} rows take {n_grams} matrices of "
            f"{8e-9 * n_columns**2:.0f} GB: give fewer than {MOST_COLUMNS} columns, or fewer rows."
        )
    grams = GramSums(n_columns, n_grams, is_sparse=sparse.issparse(design))
    grams.add(design, weights)
    return grams.matrices()


class GramSums:
    """The same of rows that come in blocks.

    Parameters
    ----------
    n_columns, n_grams : int
        Sizes.
    is_sparse : bool
        Whether designs are.
    """

    def __init__(self, n_columns, n_grams, *, is_sparse):
        self.n_columns = n_columns
        self.n_grams = n_grams
        self.is_sparse = is_sparse
        self.is_packed = is_sparse or n_columns <= KERNEL_COLUMNS
        packed = n_columns * (n_columns + 1) // 2, n_grams
        self.sums = np.zeros(packed if self.is_packed else (n_grams, n_columns, n_columns))

    def add(self, design, weights):
        """Add rows; the arguments are those of ``weighted_grams``."""
        if self.is_sparse:
            design = design.tocsr()
            design.sum_duplicates()
            add_sparse_grams(
                design.data,
                design.indices.astype(np.intp),
                design.indptr.astype(np.intp),
                np.ascontiguousarray(weights),
                self.sums,
            )
        elif self.is_packed:
            workspace = np.empty(workspace_size(self.n_columns, self.n_grams))
            add_grams(design, weights, workspace, self.sums)
        else:
            for start in range(0, len(design), GRAM_ROWS):
                block = design[start : start + GRAM_ROWS]
                for k in range(self.n_grams):
                    weight = weights[start : start + GRAM_ROWS, k]
                    if weight.min() < 0:
                        self.sums[k] += (block.T * weight) @ block
                    else:  # half as many products
                        root = block * np.sqrt(weight)[:, None]
                        self.sums[k] += root.T @ root

    def matrices(self):
        """Those of all rows, (n_grams, n_columns, n_columns)."""
        if self.is_packed:
            return unpack(self.sums, self.n_columns)
        return self.sums


def unpack(packed, p):
    """Symmetric matrices (n, p, p) from upper triangles (p (p + 1) / 2, n) by columns."""
    return np.ascontiguousarray(packed.T).take(_places(p), axis=1)


@cache
def _places(p):
    """Where each entry of a symmetric matrix stands in its upper triangle by columns, (p, p)."""
    first, last = np.sort(np.indices((p, p)), axis=0)
    return last * (last + 1) // 2 + first


def add_fields(ours, theirs):
    """The ``__add__`` of data classes whose fields are sums over rows, or None."""
    both = zip(vars(ours).values(), vars(theirs).values(), strict=True)
    return type(ours)(*(None if one is None else one + more for one, more in both))
