"""Rows in memory, or in memory maps: one block."""

import math
import threading
from functools import cached_property

import numpy as np
from sklearn.utils import gen_batches

from .source import RowSource


class ArrayRows(RowSource):
    """Rows in arrays.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features) or sparse matrix
        Columns, of floats; sparse ones are standardised, with their intercept.
    y : ndarray of shape (n_samples,)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights.
    table : DataFrame of n_samples rows, default=None
        The rows as experts are shown them that take tables. None is X.

    Attributes
    ----------
    X, y, weight, table
        The same, y and weight as contiguous float64.
    n_rows : int
        Number of rows.
    """

    in_memory = True

    def __init__(self, X, y, weight, table=None):
        self.X, self.table = X, table
        self.y, self.weight = (np.ascontiguousarray(each, dtype=np.float64) for each in (y, weight))
        self.n_rows = X.shape[0]
        self._memory = {}

    def reduce(self, kernel, parameters):
        """Sums over all rows: the kernel goes through them in blocks, and threads, of its own."""
        return kernel(self, parameters)

    def part(self, rows):
        """A slice of the rows."""
        table = None if self.table is None else self.table.iloc[rows]
        return ArrayRows(self.X[rows], self.y[rows], self.weight[rows], table)

    @property
    def target(self):
        """y, for a kernel that has done with it before its next call."""
        return self.y

    def memory(self, name, shape, dtype):
        """An array for a kernel to write to, kept for its next call."""
        array = self._memory.get((name, *shape))
        if array is None:
            array = self._memory[name, *shape] = np.empty(shape, dtype)
        return array

    def __getstate__(self):
        return {**vars(self), "_memory": {}}


class BlockArrays(ArrayRows):
    """Rows of a block; kernels write to memory that the thread keeps for its next block.

    Fresh memory takes as long as several percents of a pass, most of all in a worker of Dask's,
    where what was freed goes back to the system at once.
    """

    _of_thread = threading.local()

    def __init__(self, X, y, weight, table=None):
        self.X, self.table, self.n_rows = X, table, len(X)
        self.weight = np.ascontiguousarray(weight, dtype=np.float64)
        self._y = y

    @cached_property
    def y(self):
        """Target, or class numbers, as float64."""
        return np.ascontiguousarray(self._y, dtype=np.float64)

    @property
    def target(self):
        if self._y.dtype == np.float64 and self._y.flags.c_contiguous:
            return self._y
        target = self.memory("target", self._y.shape, np.float64)
        target[:] = self._y
        return target

    def memory(self, name, shape, dtype):
        """See ``ArrayRows``; one array of each name is kept, the largest."""
        kept, size = vars(self._of_thread), math.prod(shape)
        if name not in kept or kept[name].dtype != dtype or kept[name].size < size:
            kept[name] = np.empty(size, dtype)
        return kept[name][:size].reshape(shape)

    def part(self, rows):
        table = None if self.table is None else self.table.iloc[rows]
        return BlockArrays(self.X[rows], self._y[rows], self.weight[rows], table)

    def slices(self, n_rows):
        """The same rows in slices of so many each, the last of fewer."""
        return [self.part(rows) for rows in gen_batches(self.n_rows, n_rows)]
