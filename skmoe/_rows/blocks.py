"""Rows in many blocks, each of which is read when it is needed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length

from .._parallel import thread_map
from .._tables.mixed import as_pandas, is_table
from ..exceptions import noted
from .arrays import BlockArrays
from .mixed_tables import encode, split_table
from .source import RowSource, add_up

FEWEST_ONES = 2**18  # rows of a block of files
SLICE_ROWS = 2**15  # for a thread: whatever the number of threads, so that sums are the same


@dataclass(frozen=True)
class Block:
    """Rows of a block, checked.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Float32 or float64; NaN for strings and missing values of a table.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Target as it was given: floats, or labels.
    weight : ndarray of shape (n_rows,)
        Weights.
    names : tuple of str or None
        Of the columns of a table.
    table : DataFrame or None
        The rows, where they are a table of strings or with missing values; once these are known,
        where experts are to see them.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    names: tuple | None
    table: object = None

    @classmethod
    def of(cls, X, y, weight, *, classifies, is_known, encoder=None, form=None):
        """Rows as they were given, of which there is one at least, checked.

        Parameters
        ----------
        X, y, weight : array-likes of n_rows rows
            As they were given; weights may be None.
        classifies : bool
            Whether the target holds labels.
        is_known : bool
            Whether the rows were seen before, and found to be finite.
        encoder : transformer, default=None
            Makes numbers of a table that is known.
        form : TableForm, default=None
            That of such a table, where experts are to see it.
        """
        if y is None:
            raise ValueError(
                "There is no target beside these rows: Files take its column by target=, or a "
                "reader that returns (X, y); with a Dask collection, pass y."
            )
        X, table = as_pandas(X), None
        names = tuple(X.columns) if is_table(X) else None
        if names is not None and not is_known:
            table, X = split_table(X)
        elif encoder is not None:
            table, X = None if form is None else form(X), encode(encoder, X)
        finite = {"ensure_all_finite": not is_known}
        if table is None or is_known:
            X = check_array(X, dtype=[np.float64, np.float32], input_name="X", **finite)
        y = np.asarray(y)
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if y.ndim > (1 if classifies else 2):
            raise ValueError(
                f"The target has shape {y.shape}; a row has one label, or a few numbers."
            )
        dtype = None
        if not classifies:
            dtype = [np.float64, np.float32] if is_known else np.float64
        y = check_array(y, ensure_2d=y.ndim == 2, dtype=dtype, input_name="y", **finite)
        if weight is None:
            weight = unit_weights(len(X))
        else:
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
        return self.X if self.table is None else self.table

    def rows(self, classes, class_weights=None):
        """The same with numbers for a target, those of labels among ``classes``: BlockArrays.

        Weights are multiplied by ``class_weights`` (n_classes,), if given.
        """
        y = self.y if classes is None else np.searchsorted(classes, self.y)
        weight = self.weight if class_weights is None else self.weight * class_weights[y]
        return BlockArrays(self.X, y, weight, self.table)


def unit_weights(n_rows):
    """Weights of one, (n_rows,), read-only: blocks share their memory, which takes time to get."""
    return _ones(max(FEWEST_ONES, 1 << (n_rows - 1).bit_length()))[:n_rows]


@lru_cache(maxsize=1)
def _ones(n_rows):
    ones = np.ones(n_rows)
    ones.flags.writeable = False
    return ones


class BlockRows(RowSource):
    """Rows in many blocks.

    Parameters
    ----------
    classifies : bool
        Whether the target holds labels.
    as_given : bool, default=False
        Whether kernels are given ``(X, y, weight)`` of a block as it comes.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
        Labels, once they are known: kernels are then given their numbers.
    encoder : transformer or None
        Of tables with strings or missing values, once it is known.
    form : TableForm or None
        Of the same, where experts are to see them, once it is known.
    class_weights : ndarray of shape (n_classes,) or None
        Factors of the weights, once they are known.
    is_known : bool
        Whether there was a first look. Before it, kernels are given a ``Block``; after it,
        ``ArrayRows``.
    """

    def __init__(self, *, classifies, as_given=False):
        self.classifies, self.as_given, self.is_known = classifies, as_given, False
        self.classes = self.encoder = self.form = self.class_weights = None

    def know(self, classes, *, encoder=None, form=None, class_weights=None):
        """Take what the first look has found; labels are None of numbers."""
        self.classes, self.encoder, self.form, self.is_known = classes, encoder, form, True
        self.class_weights = class_weights

    def _task(self, kernel, parameters):
        if self.as_given:
            return GivenTask(kernel, parameters)
        return BlockTask(
            kernel,
            parameters,
            self.classifies,
            self.classes,
            self.is_known,
            self.encoder,
            self.form,
            self.class_weights,
        )


@dataclass(frozen=True)
class BlockTask:
    """A kernel, ready for ``(number, X, y, weight)`` of one block, wherever that may be."""

    kernel: object
    parameters: object
    classifies: bool
    classes: np.ndarray | None
    is_known: bool
    encoder: object
    form: object
    class_weights: np.ndarray | None

    def __call__(self, number, X, y, weight, run=None):
        """What the kernel makes of a block; None where it has no rows.

        With ``run``, a ``map``, it goes through slices of the rows.
        """
        if not X.shape[0]:
            return None
        with noted(f"In block {number} of the rows."):
            block = Block.of(
                X,
                y,
                weight,
                classifies=self.classifies,
                is_known=self.is_known,
                encoder=self.encoder,
                form=self.form,
            )
            if not self.is_known:
                return self.kernel(block, self.parameters)
            rows = block.rows(self.classes, self.class_weights)
            if run is None or rows.n_rows <= SLICE_ROWS:
                return self.kernel(rows, self.parameters)
            return add_up(run(self._on_slice, rows.slices(SLICE_ROWS)))

    def _on_slice(self, rows):
        return self.kernel(rows, self.parameters)


@dataclass(frozen=True)
class GivenTask:
    """A kernel that takes ``(X, y, weight)`` of a block as it comes."""

    kernel: object
    parameters: object

    def __call__(self, number, X, y, weight, run=None):
        """What the kernel makes of a block; None where it has no rows."""
        if not X.shape[0]:
            return None
        with noted(f"In block {number} of the rows."):
            return self.kernel((X, y, weight), self.parameters)


class IterableRows(BlockRows):
    """Rows of an iterable of blocks, one after the other.

    Parameters
    ----------
    blocks : iterable
        ``(X, y, weight)`` of each block; the same whenever it is iterated over.
    classifies, as_given : bool
        As for BlockRows.
    """

    def __init__(self, blocks, *, classifies, as_given=False):
        super().__init__(classifies=classifies, as_given=as_given)
        self._blocks = blocks

    def reduce(self, kernel, parameters):
        """Sums over all rows; one block is held at a time, of which threads take slices."""
        with thread_map() as run:
            return add_up(self._each(self._task(kernel, parameters), run))

    def _each(self, task, run):
        number = 0
        for block in self._blocks:
            yield task(number, *block, run)
            del block  # before the next one is read
            number += 1
