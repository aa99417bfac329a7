"""First pass over rows that are not in memory: all that training needs before EM."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.multiclass import check_classification_targets

from .._numerics.samples import SPARE, RowSample, hash_rows
from .._tables import mixed
from .._tables.known import check_hashable
from ._blocks import add_up

MOST_VALUES = 100_000  # values of a target on a grid
BLOCK_ROWS = 2048  # of moments, at a time
ADDED = ("n_rows", "n_used", "weight", "weight_squares", "columns", "sample")  # of looks


@dataclass(frozen=True)
class Moments:
    """Weighted moments of columns, and their extremes; those of two blocks of rows add up [1]_.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance", The American Statistician 37 (1983) 242-247.
    """

    weight: float  # weight of the rows
    # ``mean``, ``squares``: (n_columns,): weighted means, and weighted sums of squares about them.
    mean: np.ndarray
    squares: np.ndarray
    # ``low``, ``high``: (n_columns,): smallest and largest value.
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """Moments of the rows of an array (n_rows, n_columns)."""
        blocks = gen_batches(len(X), BLOCK_ROWS)
        return add_up(cls._of_few(X[rows].astype(np.float64), weight[rows]) for rows in blocks)

    @classmethod
    def _of_few(cls, X, weight):
        total = weight.sum()
        if total > 0:
            mean = weight @ X / total
        else:
            mean = X[0]
        centred = X - mean
        error = weight @ centred / max(total, 1e-300)  # rounding error of a large mean
        squares = np.maximum(weight @ centred**2 - total * error**2, 0.0)
        return cls(total, mean + error, squares, X.min(axis=0), X.max(axis=0))

    def __add__(self, other):
        weight = self.weight + other.weight
        share = other.weight / np.maximum(weight, 1e-300)
        apart = other.mean - self.mean
        return Moments(
            weight,
            self.mean + share * apart,
            self.squares + other.squares + self.weight * share * apart**2,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def size(self):
        """Largest absolute value of each column, (n_columns,)."""
        return np.maximum(self.high, -self.low)

    def standardisation(self):
        """Mean and scale of each column, (n_columns,); the scale of a constant column is 1."""
        scale = np.sqrt(self.squares / self.weight)
        constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean), 1e-300)
        return self.mean, np.where(constant | (self.low == self.high), 1.0, scale)


def n_drawn(fewest, per_column, n_columns):
    """Number of rows to draw: ``per_column`` times the number of columns plus one."""
    return max(fewest, per_column * (n_columns + 1))


@dataclass(frozen=True)
class FirstLook:
    """What the first pass finds; the results for two blocks add up."""

    names: tuple | None  # tuple of str: of the columns, where they have any
    # ``n_rows``, ``n_used``: all rows, and those of positive weight.
    n_rows: int
    n_used: int
    # ``weight``, ``weight_squares``: sums of the weights and of their squares.
    weight: float
    weight_squares: float
    columns: Moments  # moments of X
    is_numeric: bool  # whether all values are numbers, and none is missing
    dtypes: dict  # dict of str to dtype: of columns that are not numeric
    target: Moments | None  # moments of the target; None for labels
    # Ndarray or None, or tuple of these: distinct values of the target, for each of several
    # outputs; None if there are too many for a grid.
    values: np.ndarray | None
    mass: np.ndarray | None  # weight of each of the distinct labels
    sample: RowSample  # rows X, y to start from

    def __add__(self, other):
        if self.names != other.names or len(self.columns.mean) != len(other.columns.mean):
            ours, theirs = (_listed(len(each.columns.mean), each.names) for each in (self, other))
            raise ValueError(f"Blocks of rows must have the same columns: {ours}, then {theirs}.")
        if self.target is not None and self.target.mean.shape != other.target.mean.shape:
            ours = self.target.mean.size
            theirs = other.target.mean.size
            raise ValueError(
                f"Blocks of rows must have as many outputs each: {ours}, then {theirs}."
            )
        values, mass = self._all_values(other)
        return FirstLook(
            **{name: vars(self)[name] + vars(other)[name] for name in ADDED},
            names=self.names,
            is_numeric=self.is_numeric and other.is_numeric,
            dtypes=other.dtypes | self.dtypes,
            target=None if self.target is None else self.target + other.target,
            values=values,
            mass=mass,
        )

    @property
    def has_one_function(self):
        """Whether the target is a single number, or one of two classes."""
        if self.target is None:
            return len(self.values) == 2
        return self.target.mean.size == 1

    def _all_values(self, other):
        if isinstance(self.values, tuple):
            both = zip(self.values, other.values, strict=True)
            return tuple(_few_of_both(ours, theirs) for ours, theirs in both), None
        if self.mass is not None and _are_strings(self.values) != _are_strings(other.values):
            ours = self.values.tolist()
            theirs = other.values.tolist()
            raise ValueError(
                "Labels must be strings in all blocks of rows, or in none: "
                f"{ours[0]!r} is in one, and {theirs[0]!r} in another."
            )
        if self.mass is None:
            return _few_of_both(self.values, other.values), None
        values = np.concatenate([self.values, other.values])
        values, numbers = np.unique(values, return_inverse=True)
        return values, np.bincount(numbers, np.concatenate([self.mass, other.mass]))


def first_look(block, parameters):
    """Kernel for ``RowSource.reduce``: FirstLook of a block, after checking it."""
    # Whether there are labels; who checks other targets; how many rows to draw of so many columns.
    (classifies, likelihood, drawn), X, y, weight = parameters, block.X, block.y, block.weight
    used = weight > 0
    is_numeric = block.table is None
    dtypes = {}
    if not is_numeric:
        labels = mixed.describe_columns(block.table)[0]
        for label in labels:
            check_hashable(label, block.table[label])
        dtypes = {label: block.table[label].dtype for label in labels}
    mixed.check_sizes(X, "X", smallest=False)
    mixed.check_sizes(weight, "sample_weight", smallest=False, limit=mixed.HEAVIEST)
    if classifies:
        check_classification_targets(y)
        target = None
        (values, numbers) = np.unique(y, return_inverse=True)
        mass = np.bincount(numbers, weight)
    else:
        mixed.check_sizes(y, "y", smallest=False)
        likelihood.check_values(y)
        target = Moments.of(y.reshape(len(y), -1), weight)
        mass = None
        each = [_few_values(column[used]) for column in y.reshape(len(y), -1).T]
        if y.ndim == 1:
            values = each[0]
        else:
            values = tuple(each)
    n_rows = SPARE * drawn(X.shape[1])
    ones = np.ones(len(X), dtype=int)
    arrays = (block.values, y)
    sample = RowSample(n_rows, hash_rows(*arrays), weight, ones, arrays)
    return FirstLook(
        block.names,
        len(X),
        np.count_nonzero(used),
        float(weight.sum()),
        float(weight @ weight),
        Moments.of(X, weight),
        is_numeric,
        dtypes,
        target,
        values,
        mass,
        sample,
    )


def weigh_sample(block, sample):
    """Kernel: weights (n_kept,) of the sample's rows in a block."""
    return sample.weigh(hash_rows(block.values, block.y), block.weight)


def _are_strings(labels):
    return isinstance(labels[0], str)


def _few_of_both(ours, theirs):
    if ours is None or theirs is None:
        return None
    return _few_values(np.append(ours, theirs))


def _few_values(values):
    """Distinct values, or None where there are too many."""
    distinct = np.unique(values)
    if len(distinct) <= MOST_VALUES:
        return distinct
    return None


def _listed(n_columns, names):
    """Columns in a message: their names, or how many there are."""
    if names is None:
        return f"{n_columns} columns"
    return list(names)


@dataclass(frozen=True)
class KnownColumns:
    """Columns of the rows in ``fit``."""

    n_columns: int  # how many there are
    names: tuple | None = None  # tuple of str: of those of a table

    @classmethod
    def of(cls, X):
        """Columns of a table or an array."""
        return cls(X.shape[1], tuple(X.columns) if mixed.is_table(X) else None)

    def match(self, X):
        """Other rows; ValueError if these have other columns."""
        other = KnownColumns.of(X)
        if other != self:
            ours, theirs = (_listed(each.n_columns, each.names) for each in (self, other))
            raise ValueError(f"Rows must have the columns of earlier rows: {ours}, not {theirs}.")
        if mixed.is_table(X):
            return mixed.plain_columns(X)
        return X


def as_table(look, X):
    """Rows of blocks that were tables, in an array, as a table with the same dtypes."""
    from pandas import DataFrame  # as the blocks were

    table = DataFrame(X, columns=list(look.names), dtype=X.dtype)
    if look.is_numeric:
        return table
    dtypes = dict.fromkeys(look.names, np.dtype(np.float64)) | look.dtypes
    categories = {x: "category" for x, dtype in dtypes.items() if dtype == "category"}
    plain = mixed.plain_columns(table.astype(categories))  # each block may have others
    return plain.astype(dtypes | categories)
