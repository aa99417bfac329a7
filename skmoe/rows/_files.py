"""Rows in files, and in tables that are gone through again for each pass."""

from collections.abc import Iterable, Iterator
from glob import glob
from numbers import Integral
from pathlib import Path

import numpy as np

from .._data import IteratedRows
from .._experts.fitting import offers
from .._tables.mixed import as_pandas, has_shape
from ..exceptions import noted


class Files(IteratedRows):
    """Rows in files, read block by block.

    Mixtures take it in place of ``X`` and ``y``: ``fit(files)`` reads the files once in each EM
    iteration, and ``predict(files)``, ``log_density(files)`` and other methods return
    :class:`Blocks`. Iteration yields ``(X, y, weight)`` of each block, as for ``partial_fit``, with
    ``None`` for columns that the files do not have.

    Parameters
    ----------
    paths : str, path, list of these, or table, dataset or query
        Files, in the order of their rows; a str may be a pattern such as ``"part-*.npy"``, or a
        directory, whose ``.parquet`` files are read, including those in subdirectories. Or a
        table or dataset of pyarrow, a LazyFrame of polars, a relation of DuckDB, or another object
        with an Arrow stream of the same rows in the same order each time. For an address, such as
        ``"s3://bucket/rows"``, give a dataset. With ``reader``, arguments of ``reader``.
    reader : callable, default=None
        ``reader(path)`` -> ``(X, y)`` or ``(X, y, weight)``, X an array of numbers or a
        DataFrame, or an iterator over such blocks. It must return the same rows in each call.
        ``None`` reads ``.npy`` files by memory maps, and ``.parquet`` files by pyarrow and pandas,
        at most a row group at a time.
    target : int or str, default=None
        Column of the target: a number in ``.npy`` files, a name in ``.parquet`` files. ``None``
        if there is no target, for predictions.
    weight : int or str, default=None
        Column of the sample weights. ``None``: each row has weight one.
    block_rows : int, default=262144
        Largest number of rows in a block; blocks that ``reader`` returns are not divided.
    max_expert_rows : int, default=100_000
        Largest number of rows that a mixture is fitted on, in memory, if it cannot learn from sums
        over all rows; see :doc:`/guide/many_rows`. Of more, a sample is drawn by a hash of their
        content, with a warning.

    See Also
    --------
    Blocks : Results of methods for the rows of files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.rows import Files
    >>> folder = Path(tempfile.mkdtemp())
    >>> rng = np.random.default_rng(0)
    >>> for part in range(4):
    ...     X = rng.uniform(-3, 3, size=(5000, 1))
    ...     y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=5000)
    ...     np.save(folder / f"part-{part}.npy", np.column_stack([X, y]))
    >>> files = Files(str(folder / "part-*.npy"), target=-1)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files)
    >>> sorted(round(float(expert.coef_[0]), 1) for expert in moe.experts_)
    [-1.0, 1.0]
    >>> [len(mean) for mean in moe.predict(files)]
    [5000, 5000, 5000, 5000]
    """

    def __init__(
        self,
        paths,
        reader=None,
        *,
        target=None,
        weight=None,
        block_rows=2**18,
        max_expert_rows=IteratedRows.max_expert_rows,
    ):
        self.paths = paths
        self.reader = reader
        self.target = target
        self.weight = weight
        self.block_rows = block_rows
        self.max_expert_rows = max_expert_rows

    def __repr__(self):
        return f"Files({_named(self.paths)})"

    def __iter__(self):
        for path in self._all_paths():
            with noted(f"In {_named(path)}."):
                yield from self._blocks(path)

    def _all_paths(self):
        paths = self.paths
        if self.reader is not None and (self.target is not None or self.weight is not None):
            raise ValueError(
                "A reader returns (X, y) or (X, y, weight): give no target and weight with it."
            )
        for name in ("block_rows", "max_expert_rows"):
            value = vars(self)[name]
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} must be an integer, 1 or more; got {value!r}.")
        if self.reader is not None and not callable(self.reader):
            raise TypeError(f"reader must be a function or None; got {self.reader!r}.")
        if gives_batches(paths):
            return [paths]
        if isinstance(paths, (str, Path)):
            is_pattern = self.reader is None and not Path(paths).exists()
            if is_pattern:
                paths = sorted(glob(str(paths)))
            else:
                paths = [paths]
            if self.reader is None:
                paths = [file for path in paths for file in _files_of(path)]
        if not isinstance(paths, Iterable) or isinstance(paths, Iterator):
            raise TypeError(
                "paths must be a path, a list, or a table, dataset or query that can be read "
                f"twice; got {type(paths).__name__}."
            )
        paths = list(paths)
        if not paths:
            raise FileNotFoundError(
                f"There is no file {self.paths!r}. What is at an address is read by "
                "Files(pyarrow.dataset.dataset(address))."
            )
        return paths

    def _blocks(self, path):
        if self.reader is not None:
            found = self.reader(path)
            if isinstance(found, tuple) or has_shape(found):
                found = [found]
            if not isinstance(found, Iterable):
                raise TypeError(
                    "A reader must return (X, y), (X, y, weight), or an iterator over such blocks; "
                    f"got {type(found).__name__}."
                )
            yield from map(_complete, found)
        elif gives_batches(path):
            yield from map(self._split_batch, batches_of(path, self.block_rows))
        elif not isinstance(path, (str, Path)):
            raise TypeError(
                f"{path!r} is no path: give a reader, a function from such an entry to (X, y)."
            )
        elif Path(path).suffix == ".npy":
            yield from self._split_columns(np.load(path, mmap_mode="r"))
        elif Path(path).suffix == ".parquet":
            with _pyarrow().parquet.ParquetFile(path) as file:
                yield from map(self._split_batch, file.iter_batches(batch_size=self.block_rows))
        else:
            raise ValueError(
                f"{path} is no .npy or .parquet file: give a reader, a function from it to (X, y)."
            )

    def _split_columns(self, table):
        if table.ndim != 2:
            raise ValueError(
                f"The array has shape {table.shape}: rows and columns are needed, or a reader."
            )
        places = [_place(each, table) for each in (self.target, self.weight)]
        _check_unlike(*places)
        used = [place for place in places if place is not None]
        is_last = used == [table.shape[1] - 1]
        for start in range(0, len(table), self.block_rows):
            block = table[start : start + self.block_rows]
            if is_last:
                X = block[:, :-1]
            else:
                X = block
            if used and not is_last:
                X = np.delete(block, used, axis=1)  # which copies
            yield X, *(None if place is None else block[:, place] for place in places)

    def _split_batch(self, batch):
        X = as_pandas(batch)
        _check_unlike(self.target, self.weight)
        for name in (self.target, self.weight):
            if name is not None and name not in X.columns:
                raise ValueError(f"There is no column {name!r}, but there are {list(X.columns)}.")
        y, weight = (None if name is None else X.pop(name) for name in (self.target, self.weight))
        return X, y, weight


class Blocks:
    """Results for the rows of :class:`Files`, computed block by block in each iteration over them.

    Iteration yields the array of each block, in the order of the rows, so that only one block is in
    memory. ``numpy.asarray`` computes the result of the method for all rows.

    Parameters
    ----------
    method : callable
        ``method(number, X, y)`` -> array of n_rows rows, where ``number`` is that of the block.
    files : Files
        The rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.rows import Files
    >>> X = np.linspace(-2, 2, 100)[:, None]
    >>> y = 3 * X[:, 0] + np.sin(40 * X[:, 0])
    >>> moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    >>> files = Files([slice(60), slice(60, 100)], reader=lambda rows: (X[rows],))
    >>> predictions = moe.predict(files)
    >>> [block.shape for block in predictions]
    [(60,), (40,)]
    >>> np.asarray(predictions).shape
    (100,)
    """

    def __init__(self, method, files):
        self._method = method
        self._files = files

    def __iter__(self):
        number = 0
        for X, y, _ in self._files:  # enumerate would hold the last block
            if X.shape[0]:
                with noted(f"In block {number} of the rows."):
                    answer = self._method(number, X, y)
                del X, y  # before the next ones are read
                yield answer
            number += 1

    def __array__(self, dtype=None, copy=None):
        answers = list(self)
        if not answers:
            raise ValueError(f"There are no rows in {self._files!r}.")
        if not all(isinstance(answer, np.ndarray) for answer in answers):
            raise TypeError(
                f"The results are no arrays, but {type(answers[0]).__name__}s: iterate over them."
            )
        return np.asarray(np.concatenate(answers), dtype=dtype)


def _named(path):
    """Names of paths in messages; tables, which would print their content, by type."""
    if isinstance(path, str | Path | tuple | list):
        return repr(path)
    if gives_batches(path) or has_shape(path):
        return f"a {type(path).__name__}"
    return repr(path)


def _complete(block):
    """X, y and weight of a block, None for missing ones."""
    if not isinstance(block, tuple):
        block = (block,)
    if not 1 <= len(block) <= 3:
        raise ValueError(f"A block is (X, y) or (X, y, weight); got {len(block)} parts.")
    if not has_shape(block[0]):
        raise TypeError(
            f"X of a block must be an array or a DataFrame; got {type(block[0]).__name__}."
        )
    if len(block[0].shape) != 2:
        raise ValueError(
            f"X of a block has shape {block[0].shape}: rows and columns are needed, two axes."
        )
    for name, each in zip(("y", "weight"), block[1:], strict=False):
        if each is not None and not isinstance(each, list) and np.ndim(each) == 0:
            raise TypeError(f"{name} of a block must be an array; got {type(each).__name__}.")
    return block + (None,) * (3 - len(block))


def _files_of(path):
    """Parquet files in a directory; another path alone."""
    if Path(path).is_dir():
        return sorted(Path(path).rglob("*.parquet"))
    return [path]


def _check_unlike(target, weight):
    if target is not None and target == weight:
        raise ValueError(f"target and weight are both column {target!r}, which cannot be both.")


def _place(column, table):
    """Number from 0 of a column of an array, or None."""
    n_columns = table.shape[1]
    if column is None:
        return None
    if not isinstance(column, Integral) or not -n_columns <= column < n_columns:
        raise ValueError(f"target and weight must be columns below {n_columns}; got {column!r}.")
    return int(column) % n_columns


# Tables that are gone through again for each pass -------------------------------------------------


ARROW_STREAM = "__arrow_c_stream__"  # of Arrow's PyCapsule interface


def gives_batches(source):
    """Whether this is a table, dataset or query whose rows can be read repeatedly."""
    if isinstance(source, Iterator):  # such as a RecordBatchReader, which can be read once
        return False
    return any(offers(source, name) for name in ("to_batches", "collect_batches", ARROW_STREAM))


def batches_of(source, n_rows):
    """Batches with a limited number of rows, as tables of pyarrow or polars."""
    if offers(source, "to_batches"):  # of pyarrow
        if offers(source, "to_pandas"):
            size = "max_chunksize"
        else:
            size = "batch_size"  # or a dataset
        yield from source.to_batches(**{size: n_rows})
    elif offers(source, "collect_batches"):  # a LazyFrame of polars
        for table in source.collect_batches(chunk_size=n_rows, maintain_order=True):
            yield from table.iter_slices(n_rows)
    else:
        for batch in _pyarrow().RecordBatchReader.from_stream(source):
            for start in range(0, len(batch), n_rows):
                yield batch.slice(start, n_rows)


def _pyarrow():
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet files and Arrow streams need pyarrow and pandas: pip install both."
        ) from error
    return pyarrow
