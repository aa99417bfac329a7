"""The first look at rows that are not in memory: all that training needs before EM."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from .._numerics.drawing import SPARE, RowSample, hash_rows
from .._numerics.moments import Moments
from .._tables.mixed import HEAVIEST, check_sizes
from .mixed_tables import add_levels, levels_of

MOST_VALUES = 100_000  # values of a target on a grid


@dataclass(frozen=True)
class LookParameters:
    """Arguments of the first look."""

    classifies: bool  # whether the target holds labels
    # ``fewest``, ``rows_per_column``: how many rows to draw: ``fewest``, or ``rows_per_column``
    # times one more than the columns if that is more.
    fewest: int
    rows_per_column: int
    # BaseLikelihood: what checks the values of a target that holds no labels.
    likelihood: object = None

    def n_drawn(self, n_columns):
        """How many rows to draw of a table."""
        return max(self.fewest, self.rows_per_column * (n_columns + 1))


@dataclass(frozen=True)
class FirstLook:
    """What is known of the rows before EM; the looks at two blocks add up."""

    names: tuple | None  # tuple of str: of the columns, where they have any
    # ``n_rows``, ``n_used``: all rows, and those of positive weight.
    n_rows: int
    n_used: int
    # ``weight``, ``weight_squares``: sums of the weights and of their squares.
    weight: float
    weight_squares: float
    columns: Moments  # moments of X
    has_gaps: np.ndarray  # (n_features,) of bool: whether a column has rows without a number
    levels: dict  # dict of str to Levels: of columns that hold no numbers
    dtypes: dict  # dict of str to dtype: of the same columns, as the first of the blocks has them
    target: Moments | None  # moments of the target; None for labels
    # Ndarray or None, or tuple of these: distinct values of the target, of several outputs of each;
    # None where these are too many for a grid.
    values: np.ndarray | None
    mass: np.ndarray | None  # weight of each of the distinct labels
    sample: RowSample  # rows X, y to start from

    def __add__(self, other):
        if self.names != other.names or len(self.columns.mean) != len(other.columns.mean):
            ours, theirs = (
                f"{len(look.columns.mean)} columns" if look.names is None else list(look.names)
                for look in (self, other)
            )
            raise ValueError(f"Blocks of rows must have the same columns: {ours}, then {theirs}.")
        if self.target is not None and self.target.mean.shape != other.target.mean.shape:
            ours, theirs = self.target.mean.size, other.target.mean.size
            raise ValueError(
                f"Blocks of rows must have as many outputs each: {ours}, then {theirs}."
            )
        values, mass = self._all_values(other)
        return FirstLook(
            self.names,
            self.n_rows + other.n_rows,
            self.n_used + other.n_used,
            self.weight + other.weight,
            self.weight_squares + other.weight_squares,
            self.columns + other.columns,
            self.has_gaps | other.has_gaps,
            add_levels(self.levels, other.levels, self.names or ()),
            other.dtypes | self.dtypes,
            None if self.target is None else self.target + other.target,
            values,
            mass,
            self.sample + other.sample,
        )

    @property
    def has_one_function(self):
        """Whether the target is one number, or one of two classes."""
        return len(self.values) == 2 if self.target is None else self.target.mean.size == 1

    @property
    def has_unequal_weights(self):
        """Whether some row of positive weight counts more than another."""
        return self.weight_squares * self.n_used > self.weight**2 * (1 + 1e-12)

    @property
    def strings(self):
        """Levels of the columns that hold other values than numbers, by their labels."""
        return {label: levels for label, levels in self.levels.items() if levels.n_values}

    @property
    def is_numeric(self):
        """Whether all are numbers, and none is missing."""
        return not self.strings and not self.has_gaps.any()

    def _all_values(self, other):
        if isinstance(self.values, tuple):
            both = zip(self.values, other.values, strict=True)
            return tuple(_few_of_both(ours, theirs) for ours, theirs in both), None
        if self.mass is not None and _are_strings(self.values) != _are_strings(other.values):
            ours, theirs = self.values.tolist(), other.values.tolist()
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
    """A kernel for ``RowSource.reduce``: FirstLook of a block, and whether it can be used."""
    X, y, weight = block.X, block.y, block.weight
    used = weight > 0
    levels = {} if block.table is None else levels_of(block.table, used)
    check_sizes(X, "X", smallest=False)
    check_sizes(weight, "sample_weight", smallest=False, limit=HEAVIEST)
    if parameters.classifies:
        check_classification_targets(y)
        target, (values, numbers) = None, np.unique(y, return_inverse=True)
        mass = np.bincount(numbers, weight)
    else:
        check_sizes(y, "y", smallest=False)
        if parameters.likelihood is not None:
            parameters.likelihood.check_values(y)
        target, mass = Moments.of(y.reshape(len(y), -1), weight), None
        each = [_few_values(column[used]) for column in y.reshape(len(y), -1).T]
        values = each[0] if y.ndim == 1 else tuple(each)
    return FirstLook(
        block.names,
        len(X),
        np.count_nonzero(used),
        float(weight.sum()),
        float(weight @ weight),
        Moments.of(X, weight),
        np.zeros(X.shape[1], dtype=bool) if block.table is None else np.isnan(X).any(axis=0),
        levels,
        {label: block.table[label].dtype for label in levels},
        target,
        values,
        mass,
        RowSample(
            SPARE * parameters.n_drawn(X.shape[1]),
            hash_rows(block.values, y),
            weight,
            np.ones(len(X), dtype=int),
            (block.values, y),
        ),
    )


def weigh_sample(block, sample):
    """A kernel: weights (n_kept,) of the sample's rows in a block."""
    return sample.weigh(hash_rows(block.values, block.y), block.weight)


def column_moments(rows, _):
    """A kernel: Moments of the columns of rows in arrays."""
    return Moments.of(rows.X, rows.weight)


def _are_strings(labels):
    return isinstance(labels[0], str)


def _few_of_both(ours, theirs):
    return None if ours is None or theirs is None else _few_values(np.append(ours, theirs))


def _few_values(values):
    """Distinct values, or None where there are too many."""
    for some in (values[: 2 * MOST_VALUES], values):  # too many of the first spare the rest
        distinct = np.sort(some)  # much quicker than numpy.unique of floats that all differ
        distinct = distinct[np.diff(distinct, prepend=np.nan) != 0]
        if len(distinct) > MOST_VALUES:
            return None
    return distinct
