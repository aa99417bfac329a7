"""The first look at rows that are not in memory: all that training asks of them before EM."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from .._numerics.drawing import SPARE, RowSample, hash_rows
from .._numerics.moments import Moments
from .._tables.mixed import HEAVIEST, check_sizes

MOST_VALUES = 100_000  # of a target that lies on a grid; a finer one is none


@dataclass(frozen=True)
class LookParameters:
    """What the first look is told.

    Attributes
    ----------
    classifies : bool
        Whether the target holds labels.
    fewest, rows_per_column : int
        How many rows to draw: ``fewest``, or ``rows_per_column`` times one more than the columns
        if that is more.
    """

    classifies: bool
    fewest: int
    rows_per_column: int

    def n_drawn(self, n_columns):
        """How many rows to draw of a table."""
        return max(self.fewest, self.rows_per_column * (n_columns + 1))


@dataclass(frozen=True)
class FirstLook:
    """What is known of the rows before EM; of two blocks it adds up.

    Attributes
    ----------
    names : tuple of str or None
        Of the columns, where they have any.
    n_rows, n_used : int
        All rows, and those of positive weight.
    weight_squares : float
        Sum of the squared weights.
    columns : Moments
        Of X.
    target : Moments or None
        Of the target; None of labels.
    values : ndarray or None
        Distinct values of the target; None where these are too many for a grid.
    mass : ndarray or None
        Weight of each of the distinct labels.
    sample : RowSample
        Rows X, y to start from.
    """

    names: tuple | None
    n_rows: int
    n_used: int
    weight_squares: float
    columns: Moments
    target: Moments | None
    values: np.ndarray | None
    mass: np.ndarray | None
    sample: RowSample

    def __add__(self, other):
        if self.names != other.names or len(self.columns.mean) != len(other.columns.mean):
            ours, theirs = (
                f"{len(look.columns.mean)} columns" if look.names is None else list(look.names)
                for look in (self, other)
            )
            raise ValueError(f"Blocks of rows must have the same columns: {ours}, then {theirs}.")
        values, mass = self._all_values(other)
        return FirstLook(
            self.names,
            self.n_rows + other.n_rows,
            self.n_used + other.n_used,
            self.weight_squares + other.weight_squares,
            self.columns + other.columns,
            None if self.target is None else self.target + other.target,
            values,
            mass,
            self.sample + other.sample,
        )

    def _all_values(self, other):
        if self.values is None or other.values is None:
            return None, None
        values = np.concatenate([self.values, other.values])
        if self.mass is None:
            return _few_values(values), None
        values, numbers = np.unique(values, return_inverse=True)
        return values, np.bincount(numbers, np.concatenate([self.mass, other.mass]))

    @property
    def weight(self):
        """Sum of the weights."""
        return self.columns.weight


def first_look(block, parameters):
    """A kernel for ``RowSource.reduce``: FirstLook of a checked block, and whether it can be used.

    Parameters
    ----------
    block : Block
        Rows with the target as it was given.
    parameters : LookParameters
        What to look for.
    """
    X, y, weight = block.X, block.y, block.weight
    check_sizes(X, "X", smallest=False)
    check_sizes(weight, "sample_weight", smallest=False, limit=HEAVIEST)
    used = weight > 0
    if parameters.classifies:
        check_classification_targets(y)
        target, (values, numbers) = None, np.unique(y, return_inverse=True)
        mass = np.bincount(numbers, weight)
    else:
        check_sizes(y, "y", smallest=False)
        target, mass = Moments.of(y[:, None], weight), None
        values = _few_values(y[used])
    return FirstLook(
        block.names,
        len(X),
        np.count_nonzero(used),
        float(weight @ weight),
        Moments.of(X, weight),
        target,
        values,
        mass,
        RowSample(
            SPARE * parameters.n_drawn(X.shape[1]),
            hash_rows(X, y),
            weight,
            np.ones(len(X), dtype=int),
            (X, y),
        ),
    )


def weigh_sample(block, sample):
    """A kernel: weights (n_kept,) of the sample's rows in a block."""
    return sample.weigh(hash_rows(block.X, block.y), block.weight)


def _few_values(values):
    """Distinct values, or None where there are too many."""
    for some in (values[: 2 * MOST_VALUES], values):  # too many of the first spare the rest
        distinct = np.sort(some)  # much quicker than numpy.unique of floats that all differ
        distinct = distinct[np.diff(distinct, prepend=np.nan) != 0]
        if len(distinct) > MOST_VALUES:
            return None
    return distinct
