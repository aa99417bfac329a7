"""Columns: standardised, as priors see them; a few in place of many; and what targets are like."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.extmath import randomized_svd

from .._tables.encoding import numeric_matrix
from .multinomial import definite_factors
from .statistics import standardisation

FEWEST_EFFECTS = 10  # levels of a column of strings with a variance of its own
MANY_COLUMNS = 50  # whose quadratic forms are of factors
LARGEST_SHORT = 1e12  # of numbers whose squares are in the range of single precision
SPARSE = 0.3  # share of entries that are not zero, as where most columns are levels of strings
SMALLEST_DIRECTION = 1e-10  # lengths below, relative to the largest, are rounding
SMALLEST_SQUARE = 1e-13  # the same of eigenvalues of a Gram matrix


@dataclass(frozen=True)
class StandardColumns:
    """Standardised columns, turned into the space of the rows.

    Under independent normal priors of one variance a rotation of the columns changes nothing, and
    what lies outside the space of the rows keeps its prior. So those of one variance are as many as
    their rank while experts are trained, and also later, where columns outnumber rows. The one-hot
    columns of a column of strings of ten levels and more have a prior variance of their own, and
    one scale, as their coefficients are the effects of levels: fewer levels hardly determine a
    variance [1]_.

    References
    ----------
    .. [1] A. Gelman, "Prior distributions for variance parameters in hierarchical models",
       Bayesian Analysis 1 (2006) 515-534.
    """

    # ``mean``, ``scale``: (n_features,): of the columns.
    mean: np.ndarray
    scale: np.ndarray
    # (n_features, n_directions): orthonormal directions; None is the columns themselves.
    basis: np.ndarray | None = None
    # (n_features,) of int: number of the column of strings that a column is a level of, from 1; 0
    # of the others. None where there are none.
    block: np.ndarray | None = None
    is_wide: bool = False  # whether columns outnumber rows; else the basis is that of training

    @classmethod
    def of(cls, X, weight, block=None):
        """Columns of these rows, an ndarray of finite numbers."""
        mean, scale = standardisation(X, weight)
        if block is None:
            effects = np.zeros(X.shape[1], dtype=int)
        else:
            effects = effects_of(block)
        if not effects.any() and X.shape[1] >= len(X):
            if weight.all():
                used = X
            else:
                used = X[weight > 0]
            return cls(mean, scale, _row_space(_standardised(used, mean, scale)), is_wide=True)
        # What a row does not have is zero, so that rows are sparse.
        mean = np.where(effects, 0.0, mean)
        scale = scale.copy()
        for number in np.unique(effects[effects > 0]):  # columns of one variance have one scale
            scale[effects == number] = np.sqrt(np.sum(scale[effects == number] ** 2))
        return cls(mean, scale, block=block)._turned(X, weight, effects == 0)

    def _turned(self, X, weight, plain):
        rows = _standardised(X, self.mean, self.scale)[:, plain] * np.sqrt(weight)[:, None]
        size, directions = np.linalg.eigh(rows.T @ rows)
        directions = directions[:, size >= SMALLEST_SQUARE * size.max(initial=0.0)]
        if directions.shape[1] == len(directions):
            return self
        basis = linalg.block_diag(directions, np.eye(len(plain) - len(directions)))
        return replace(self, basis=basis[np.argsort(np.argsort(~plain, kind="stable"))])

    @property
    def whole(self):
        """The same after training."""
        if self.is_wide:
            return self
        return replace(self, basis=None)

    @cached_property
    def effects(self):
        """``block`` of the columns of the design, 0 where there is no variance of its own."""
        if self.block is None or self.basis is None:
            return self.block
        return effects_of(self.block)[np.abs(self.basis).argmax(axis=0)]

    @property
    def n_columns(self):
        """Number of columns of the design."""
        return 1 + (len(self.mean) if self.basis is None else self.basis.shape[1])

    @cached_property
    def level_of(self):
        """Which column of strings, with a variance, each is a level of, (n_columns,), 0 of none."""
        if self.block is None:
            effects = np.zeros(1, dtype=int)
        else:
            effects = effects_of(self.effects)
        if effects.any():
            return np.append(effects, 0)
        return None

    @cached_property
    def levels(self):
        """Those of the column of strings that has most, with a variance, (n_columns,); or None."""
        numbers = self.level_of
        if numbers is None:
            return None
        return numbers == np.bincount(numbers[numbers > 0]).argmax()

    def design(self, X):
        """Directions and the intercept, (n_samples, n_directions + 1)."""
        standard = _standardised(X, self.mean, self.scale)
        return with_intercept(standard if self.basis is None else standard @ self.basis)

    def variances_of_unseen(self, X, variances):
        """Variances (n_samples, m) of the functions by what the rows of ``fit`` do not tell.

        Directions outside of their space, and levels that they do not have, follow the prior.

        ``variances`` (m, n_features + 1) are the prior's, of standardised columns.
        """
        if self.basis is not None:
            rest = _standardised(X, self.mean, self.scale)
            rest -= (rest @ self.basis) @ self.basis.T
            return np.einsum("ij,ij->i", rest, rest)[:, None] * variances[:, 0]
        if self.block is None:
            return np.zeros((len(X), len(variances)))
        is_level, of_levels = self.of_levels(variances)
        return np.maximum(1 - X @ is_level, 0.0) @ of_levels

    def of_levels(self, variances):
        """Which column is a level of which block (n_features, n_blocks), and raw prior variances.

        Those (n_blocks, m) of a block are of a level of average frequency.
        """
        is_level = np.equal.outer(self.block, np.arange(1, self.block.max(initial=0) + 1))
        squares = (self.scale**2 @ is_level) / is_level.sum(axis=0)
        return is_level.astype(float), (variances[:, is_level.argmax(axis=0)] / squares).T

    def standard(self, coef):
        """Coefficients (n_features + 1, m) of standardised columns, from those of the design."""
        if self.basis is None:
            return coef
        return np.vstack([self.basis @ coef[:-1], coef[-1:]])

    def standard_variances(self, variances):
        """Prior variances (m, n_features + 1) of standardised columns, from those of the design."""
        if self.basis is None:
            return variances
        place = np.zeros(len(self.mean), dtype=int)  # where each has its variance
        if self.block is not None:
            place = np.where(effects_of(self.block), np.abs(self.basis).argmax(axis=1), 0)
        return np.hstack([variances[:, place], variances[:, -1:]])

    def whole_cov(self, cov, variances):
        """Covariances (..., m, q, q) of coefficients of ``whole``, from those of the design.

        ``variances`` (m, q) are the prior's, which is all that is known of other directions.
        """
        if self.is_wide or self.basis is None:
            return cov
        basis = linalg.block_diag(self.basis, 1.0)
        rest = np.eye(len(basis)) - basis @ basis.T
        return basis @ cov @ basis.T + variances[:, 0, None, None] * rest


def effects_of(block):
    """``block`` where a variance of its own can be learned, by enough levels; 0 elsewhere."""
    return np.where(np.bincount(block)[block] < FEWEST_EFFECTS, 0, block)


def groups_of_slopes(is_slope, block):
    """Masks of slopes that have one variance, a list; see ``StandardColumns`` for ``block``."""
    if block is None:
        return [is_slope]
    effects = np.full(len(is_slope), -1)
    effects[is_slope] = effects_of(block)
    return [effects == number for number in np.unique(effects[is_slope])]


def _standardised(X, mean, scale):
    """Standardised columns, in memory of their own and no more."""
    standard = X - mean
    standard /= scale
    return standard


def _row_space(standard):
    """Orthonormal directions (p, r) of the space of the rows (n, p), in whose memory they are."""
    directions, triangle, _ = linalg.qr(
        standard.T, pivoting=True, mode="economic", overwrite_a=True, check_finite=False
    )
    size = np.abs(triangle.diagonal())  # falling
    return directions[:, : np.count_nonzero(size > SMALLEST_DIRECTION * max(size[0], 1e-300))]


def sparse_rows(design, levels):
    """A design whose products take less time, where it has levels and is mostly zero."""
    is_sparse = levels is not None and np.count_nonzero(design) <= SPARSE * design.size
    if is_sparse:
        return sparse.csr_array(design)
    return design


def parted(design, level_of, is_short=False):
    """Columns of a design but for levels, those (m, n) of levels of the rows, and their values.

    ``is_short`` asks for single precision where that takes half as long, and is within range.
    """
    if level_of is None:
        others = design
        place = None
        value = None
    else:
        levels = [np.flatnonzero(level_of == each) for each in np.unique(level_of[level_of > 0])]
        place = np.stack([each[design[:, each].argmax(axis=1)] for each in levels])
        others = design[:, level_of == 0]
        value = design[np.arange(len(design)), place]
    if is_short and others.shape[1] > MANY_COLUMNS and np.abs(others).max() < LARGEST_SHORT:
        others = others.astype(np.float32)
    return others, place, value


def quadratic_forms(design, cov, level_of=None, parts=None):
    """``x' C_k x`` for rows of a design, or its ``parts``, and covariances (K, q, q); (n, K)."""
    design, place, value = parts or parted(design, level_of)
    if level_of is None:
        own = np.arange(cov.shape[1])
    else:
        own = np.flatnonzero(level_of == 0)
    if level_of is None:
        of_own = cov
    else:
        of_own = cov[:, own[:, None], own]
    if len(own) > MANY_COLUMNS:  # triangles take half as long
        factors = definite_factors(of_own).astype(design.dtype)
        trmm = linalg.get_blas_funcs("trmm", (design,))
        turned = (trmm(1.0, each.T, design.T) for each in factors)
        forms = np.stack([np.einsum("ij,ij->j", each, each) for each in turned], axis=1)
    else:
        forms = np.stack([np.einsum("ij,ij->i", design @ each, design) for each in of_own], axis=1)
    if level_of is not None:
        for k, each in enumerate(cov):
            with_others = np.einsum("aij,ij->ai", each[:, own][place], design)
            with_levels = np.einsum("abi,bi->ai", each[place[:, None], place], value)
            forms[:, k] += ((2 * with_others + with_levels) * value).sum(axis=0)
    return forms


# Standardised columns, of sparse rows scaled and not centred, so that they stay sparse -----------


def sparse_standardisation(X, weight):
    """Mean and scale of the columns; the mean of sparse ones stays 0.

    ``(X - mean) / scale`` has variance 1 but in columns that are constant. One weight is positive.
    """
    if not sparse.issparse(X):
        return standardisation(X, weight)
    share = weight / weight.sum()
    mean = share @ X
    entries = sparse.coo_array(X)
    shares = share[entries.row]
    squares = shares * (entries.data - mean[entries.col]) ** 2
    stored = np.bincount(entries.col, shares, minlength=X.shape[1])
    variance = np.bincount(entries.col, squares, minlength=X.shape[1]) + (1 - stored) * mean**2
    scale = np.sqrt(np.maximum(variance, 0.0))
    constant = scale <= 1e-7 * np.abs(mean) + 1e-300  # 1 - stored is exact to about 1e-16
    return np.zeros(X.shape[1]), np.where(constant, 1.0, scale)


def standardised(X, mean, scale):
    """The standardised columns; sparse ones are filled where those of dense rows were centred."""
    if sparse.issparse(X) and not mean.any():
        return X @ sparse.diags_array(1 / scale)
    return ((X.toarray() if sparse.issparse(X) else X) - mean) / scale


def with_intercept(columns):
    """The columns, and one of ones."""
    ones = np.ones((columns.shape[0], 1))
    if sparse.issparse(columns):
        return sparse.csr_array(sparse.hstack([columns, ones], format="csr"))
    return np.hstack([columns, ones])


# How far rows are from those of a fit ------------------------------------------------------------


MOST_ROWS = 500  # that others are compared with
USUAL = 0.9  # share of the rows of fit, whose distances from the nearest one are usual
DECIMALS = 9  # of log-odds, in which rows are the same
ROUNDING = 1e-12  # of the largest square of a row: squares of distances are not more exact
BLOCK = 1_000  # rows whose distances are in memory at once


@dataclass(frozen=True)
class Surroundings:
    """Rows of a fit in columns times slopes, to measure the distance of others from them."""

    slopes: np.ndarray  # (n_features,)
    centre: np.ndarray  # (n_features,)
    rows: np.ndarray  # (n_rows, n_features): some of them
    usual: float  # square of the distance of a row of ``fit`` from the nearest other one

    @classmethod
    def of(cls, X, weight, slopes):
        """Surroundings of these rows, without copies; None where all rows are the same."""
        centre = np.average(X, axis=0, weights=weight)
        Z = ((X - centre) * slopes)[weight > 0].round(DECIMALS)
        Z, place = np.unique(Z, axis=0, return_inverse=True)
        if len(Z) == 1:
            return None
        some = check_random_state(0).permutation(len(Z))[:MOST_ROWS]
        Z = Z[some]
        weight = np.bincount(place.ravel(), weight[weight > 0])[some]
        squares = squared_distances(Z, Z)
        np.fill_diagonal(squares, np.inf)
        usual = np.quantile(squares.min(axis=1), USUAL, weights=weight, method="inverted_cdf")
        exact = ROUNDING * np.einsum("ij,ij->i", Z, Z).max()
        return cls(slopes, centre, Z, float(max(usual, exact)))

    def far(self, X):
        """From 0 for rows at a usual distance from one of ``fit`` to 1 for distant ones; (n,).

        One minus the usual squared distance over that of the row.
        """
        nearest = np.empty(len(X))
        for rows in gen_batches(len(X), BLOCK):
            Z = (X[rows] - self.centre) * self.slopes
            nearest[rows] = squared_distances(Z, self.rows).min(axis=1)
        return 1 - self.usual / np.maximum(nearest, self.usual)


def squared_distances(A, B):
    """Between rows, (n, m); as large as rounding where they are zero, and not below."""
    squares = A @ B.T
    squares *= -2.0
    squares += np.einsum("ij,ij->i", A, A)[:, None]
    squares += np.einsum("ij,ij->i", B, B)
    return np.maximum(squares, 0.0, out=squares)


# Few columns that stand for many ------------------------------------------------------------------


MOST_COLUMNS = 50  # for starts: a linear fit on thousands would cost more than what it starts
SUBSPACE_ITERATIONS = 6


def start_columns(Z, weight):
    """Columns for starts: standardised numbers, or their principal components if too many.

    They are of mean variance one, and 50 at most.
    """
    if sparse.issparse(Z) and Z.shape[1] > MOST_COLUMNS:
        columns = sparse.csr_array(Z)  # not centred: that would fill it
    else:
        columns = numeric_matrix(Z)
        mean, scale = standardisation(columns, weight)
        columns = _standardised(columns, mean, scale)
        if columns.shape[1] <= MOST_COLUMNS:
            return columns
    return principal_components(columns, weight)


def principal_components(columns, weight):
    """The 50 leading ones of centred columns, or of sparse ones, as ``start_columns`` has them.

    What is drawn is a number for each column, and none of a row, so that a row of weight 2 is a row
    given twice.
    """
    share = weight / weight.sum()
    root = sparse.diags_array(np.sqrt(share))
    *_, directions = randomized_svd(
        root @ columns, MOST_COLUMNS, n_iter=SUBSPACE_ITERATIONS, transpose=False, random_state=0
    )
    components = columns @ directions.T
    components = components - share @ components
    return components / np.sqrt(max((share @ components**2).sum() / MOST_COLUMNS, 1e-300))


# What targets are like: discrete, on a grid, with outliers ----------------------------------------


# Share of the rows with one value, and ratio to the next value: rounded targets have a mode, too.
LARGE_SHARE = 0.1
TIMES_NEXT = 3.0
FEWEST_VALUES = 10  # that a target has which is not discrete
LARGEST_COUNT = 1_000  # whole numbers above may be prices
MOST_SHARE_OF_VALUES = 0.5  # distinct values to rows, of counts
DECILES = np.array([0.1, 0.9]) - 1e-9  # which rounding of weights does not move
BEYOND_DECILES = 0.25  # of the distance between first and last decile, beyond each of them
SAME = 1e-12  # of the range of the target: values that are nearer differ by rounding
FEW_VALUES = 10_000


def kind_of_target(y, weight):
    """A sentence that names the kind of a discrete or inflated target and what to use, or ""."""
    used = weight > 0
    columns = y[used].reshape(np.count_nonzero(used), -1).T
    return next(filter(None, (_kind_of_values(each, weight[used]) for each in columns)), "")


def _kind_of_values(y, weight):
    values, places = np.unique(y, return_inverse=True)
    if len(values) == 2:
        both = f"{values[0]:g} and {values[1]:g}"
        return f"The target has two values, {both}: fit MixtureOfExpertsClassifier."
    shares = np.bincount(places, weight) / weight.sum()
    is_count = 0 <= values[0] and values[-1] <= LARGEST_COUNT and (values == np.round(values)).all()
    if is_count and len(values) <= MOST_SHARE_OF_VALUES * len(y):
        return (
            "The target is a count, or takes few values: likelihood='negative_binomial' or "
            "'poisson' is for counts; an expert with a mean near zero accounts for many zeros."
        )
    most = shares.argmax()
    (second, largest) = np.sort([0.0, *shares])[-2:]
    if len(values) < FEWEST_VALUES or largest < max(LARGE_SHARE, TIMES_NEXT * second):
        return ""
    mode = f"{100 * shares[most]:.0f} % of the targets are exactly {values[most]:g}"
    if values[most] == 0 and values[0] == 0:
        return (
            f"{mode}, and the others positive. If 0 stands for values below it (censored), "
            "fit(X, np.where(y > 0, y, -np.inf), upper=y). Else classify y > 0, and fit the "
            "mixture to the positive rows."
        )
    if most in (0, len(values) - 1):
        return f"{mode}, the end of their range: if they are censored there, give fit their upper."
    return f"{mode}: classify which they are, and fit the mixture to the others."


def outlier_bounds(y, weight):
    """Ends of the bulk of the target, beyond which a row may be an outlier.

    They are of shape () or (n_outputs,), and the extremes of y where the deciles are one value.
    """
    ends = []
    weights = None if (weight == weight[0]).all() else weight  # no sort without any
    for column in y.reshape(len(y), -1).T:
        first, last = np.quantile(column, DECILES, weights=weights, method="inverted_cdf")
        beyond = BEYOND_DECILES * (last - first)
        if first == last:
            used = column[weight > 0]
        else:
            used = [first - beyond, last + beyond]
        ends.append((np.min(used), np.max(used)))
    low, high = np.transpose(ends)
    if y.ndim == 2:
        return (low, high)
    return (low[0], high[0])


def without_outliers(y, weight):
    """The weights (n,) of the rows within ``outlier_bounds``, zero for those outside."""
    low, high = outlier_bounds(y, weight)
    inside = ((y >= low) & (y <= high)).reshape(len(y), -1).all(axis=1)
    if (weight * inside).any():
        return np.where(inside, weight, 0.0)
    return weight


def grid_step(y):
    """Step of the regular grid that the values of y lie on and mostly fill, else 0.

    Three distinct values at least must lie on it and fill a quarter of its places in their
    range. The answer depends on the distinct values alone, so that a repeated row changes
    nothing.
    """
    few = _distinct(y[:FEW_VALUES])
    if len(few) > 1 and 4 * len(y) * np.diff(few).min() < few[-1] - few[0]:
        return 0.0  # too fine to be filled, which spares the rest
    values = _distinct(y)
    if len(values) < 3:
        return 0.0
    step = np.diff(values).min()
    places = (values - values[0]) / step
    off_grid = np.abs(places - np.round(places)) > 1e-6 * np.maximum(places, 1.0)
    if off_grid.any() or len(values) < 0.25 * (places[-1] + 1):
        return 0.0
    return step


def _distinct(y):
    """Values of y in order, of which those are one that floats of sums and differences part."""
    values = np.unique(y)
    gaps = np.diff(values, prepend=-np.inf)
    if len(values) > 1:
        return values[gaps > SAME * (values[-1] - values[0])]
    return values


def variance_of(y, weight):
    """Weighted variance of a target, () or (n_outputs,)."""
    share = weight / weight.sum()
    return share @ (y - share @ y) ** 2
