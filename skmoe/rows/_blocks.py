"""Rows in many blocks, which are read when they are needed."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, check_consistent_length

from .._data import ArrayRows, IteratedRows
from .._numerics.statistics import add_fields
from .._parallel import thread_map
from .._tables import mixed
from .._tables.known import check_labels, check_numbers
from .._tables.mixed import as_pandas, check_real, is_table
from ..exceptions import noted

CHANGED = "blocks, and what readers return, must be the same in each pass over the rows."
SAME_WEIGHT = 1e-9  # relative difference of the total weight in two passes: rounding
SLICE_ROWS = 2**15  # for a thread: independent of the number of threads, so that sums are the same


def add_up(sums):
    """Sums of blocks, in their order, of which those that are None have no rows."""
    total = None
    for each in sums:
        if each is not None:
            if total is None:
                total = each
            else:
                total = total + each
    return total


@dataclass(frozen=True)
class Block:
    """Rows of a block, checked."""

    X: np.ndarray  # (n_rows, n_features): float32 or float64; NaN where there is a table
    y: np.ndarray  # (n_rows,) or (n_rows, n_outputs): target as it was given: floats, or labels
    weight: np.ndarray  # (n_rows,): weights
    names: tuple | None  # tuple of str: of the columns of a table
    # DataFrame: the rows in the first pass, where they are a table of strings or missing values.
    table: object = None

    @classmethod
    def of(cls, X, y, weight, task):
        """Rows as they were given to a BlockTask, of which there is one at least, checked.

        Weights may be None.
        """
        if y is None:
            raise ValueError(
                "These rows have no target: Files take its column by target=, or a "
                "reader that returns (X, y); with a Dask collection, pass y."
            )
        X = as_pandas(X)
        table = None
        if is_table(X):
            names = tuple(X.columns)
        else:
            names = None
        if task.columns is not None:
            X = task.columns.match(X)
        if names is not None and not task.is_known:
            X = mixed.check_table(X, sparse_ok=False, strings_ok=None)
            if any(mixed.describe_columns(X)):  # its numbers are not summed
                table = X
                X = np.full(X.shape, np.nan)
        if table is None:
            check_real("X", X)
            X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if task.classifies:
            check_labels("y", y)
        else:
            y = check_numbers("y", y)
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim > (1 if task.classifies else 2):
            raise ValueError(
                f"The target has shape {y.shape}; a row has one label, or a few numbers."
            )
        dtype = None
        if not task.classifies:
            if task.is_known:
                dtype = [np.float64, np.float32]
            else:
                dtype = np.float64
        y = check_array(y, ensure_2d=y.ndim == 2, dtype=dtype, input_name="y")
        if weight is None:
            weight = np.ones(len(X))
        else:
            weight = check_numbers("sample_weight", weight)
            weight = check_array(
                weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
            ).reshape(-1)
            if weight.min() < 0:
                raise ValueError("Negative values in sample_weight: weights are at least 0.")
        check_consistent_length(X, y, weight)
        return cls(X, y, weight, names, table)

    @property
    def values(self):
        """The rows, strings and missing values included."""
        if self.table is None:
            return self.X
        return self.table

    def rows(self, classes):
        """The same with numbers for a target, those of labels among ``classes``: ArrayRows."""
        if classes is None:
            y = self.y
        else:
            y = self._numbers_of(classes)
        return ArrayRows(self.X, y, self.weight)

    def _numbers_of(self, classes):
        numbers = np.searchsorted(classes, self.y)
        if not np.array_equal(classes.take(numbers, mode="clip"), self.y):
            unknown = np.setdiff1d(self.y, classes).tolist()
            raise ValueError(f"y has the classes {unknown}, which are new in this pass: {CHANGED}")
        return numbers


class BlockRows:
    """Rows in many blocks.

    Parameters
    ----------
    classifies : bool
        Whether the target holds labels.
    as_given : bool, default=False
        Whether kernels get ``(X, y, weight)`` of a block unchanged. Otherwise they get a ``Block``
        before ``know``, and ``ArrayRows`` after it.
    """

    max_expert_rows = IteratedRows.max_expert_rows

    def __init__(self, *, classifies, as_given=False):
        self._every_task = BlockTask(classifies, as_given)
        self._seen = None  # number and weight of the rows, by the first pass

    def know(self, classes, **found):
        """Set what the first look has found, fields of BlockTask; labels are None for numbers."""
        self._every_task = replace(self._every_task, is_known=True, classes=classes, **found)

    def reduce(self, kernel, parameters):
        """See ``ArrayRows``; raises if the number or weight of rows differs from the first pass."""
        task = replace(self._every_task, kernel=kernel, parameters=parameters)
        found = self._add_blocks(task)
        if task.as_given:
            return found
        found = found or Counted(0, 0.0, None)
        now = (found.n_rows, found.weight)
        before = self._seen
        if before is None:
            self._seen = now
        elif now[0] != before[0] or abs(now[1] - before[1]) > SAME_WEIGHT * before[1]:
            raise ValueError(
                "The rows have changed during the fit: a pass over them found "
                f"{now[0]} rows of weight {now[1]:.6g}, and the first one {before[0]} rows of "
                f"weight {before[1]:.6g}. {CHANGED.capitalize()}"
            )
        return found.sums

    @abstractmethod
    def _add_blocks(self, task):
        """Sum of the results of a task for all blocks, by ``add_up``; None if there are no rows.

        ``task(number, X, y, weight)`` gets an unchanged block, and its number from 0.
        """


@dataclass(frozen=True)
class Counted:
    """Sums over rows, with the number and weight of the rows; those of two blocks add up."""

    n_rows: int
    weight: float
    sums: object

    __add__ = add_fields


@dataclass(frozen=True)
class BlockTask:
    """A kernel with all that it needs for ``(number, X, y, weight)`` of a block, in any process."""

    classifies: bool  # whether the target holds labels
    as_given: bool  # whether the kernel takes the block as it comes
    is_known: bool = False  # whether there was a first look, which finds the following
    classes: np.ndarray | None = None  # (n_classes,): labels, of which kernels see the numbers
    columns: object = None  # KnownColumns: of the rows
    kernel: object = None
    parameters: object = None

    def __call__(self, number, X, y, weight, run=None):
        """Result of the kernel for a block; None if it has no rows.

        A ``Counted``, unless blocks are passed unchanged. With ``run``, a ``map``, it is computed
        for slices of the rows.
        """
        if not X.shape[0]:
            return None
        with noted(f"In block {number} of the rows."):
            if self.as_given:
                return self.kernel((X, y, weight), self.parameters)
            block = Block.of(X, y, weight, self)
            return Counted(len(block.y), float(block.weight.sum()), self._sums(block, run))

    def _sums(self, block, run):
        if not self.is_known:
            return self.kernel(block, self.parameters)
        rows = block.rows(self.classes)
        if run is None or rows.n_rows <= SLICE_ROWS:
            return self.kernel(rows, self.parameters)
        slices = map(rows.part, gen_batches(rows.n_rows, SLICE_ROWS))
        return add_up(run(lambda part: self.kernel(part, self.parameters), slices))


class IterableRows(BlockRows):
    """Rows of an iterable of blocks, one after another.

    Parameters
    ----------
    blocks : iterable
        ``(X, y, weight)`` of each block; the same in each iteration.
    classifies, as_given : bool
        As for BlockRows.
    """

    def __init__(self, blocks, *, classifies, as_given=False):
        super().__init__(classifies=classifies, as_given=as_given)
        self._blocks = blocks

    def _add_blocks(self, task):
        """See ``BlockRows``; one block is in memory at a time, and threads take slices of it."""
        with thread_map() as run:
            return add_up(self._each(task, run))

    def _each(self, task, run):
        number = 0
        for block in self._blocks:  # enumerate would keep the last one
            yield task(number, *block, run)
            del block  # before the next one is read
            number += 1


# Access to rows for training, and for sums over them -----------------------------------------


def open_rows(X, y, sample_weight, *, classifies, as_given=False):
    """Rows that are not in memory: BlockRows.

    With ``as_given`` kernels get ``(X, y, weight)`` of a block unchanged. Raises a TypeError or
    ValueError for anything but Files and Dask collections, and if blocks do not match.
    """
    if not isinstance(X, IteratedRows):
        from ._dask import DaskRows  # and Dask, which has been imported before

        return DaskRows(X, y, sample_weight, classifies=classifies, as_given=as_given)
    if y is not None or sample_weight is not None:
        raise TypeError(
            "Files hold target and weights too: name their columns by Files(..., target=..., "
            "weight=...), or let a reader return (X, y, weight), and pass no y and sample_weight."
        )
    rows = IterableRows(X, classifies=classifies, as_given=as_given)
    rows.max_expert_rows = X.max_expert_rows
    return rows
