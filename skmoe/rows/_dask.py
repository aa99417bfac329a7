"""Rows in Dask collections: arrays and DataFrames.

A pass over the rows is one task for each block. Tasks carry the parameters and return sums, so that
workers hold nothing that the fit could lose: the blocks of a worker that died are computed again.
"""

import dask  # optional: this file is imported only for such collections
import dask.array
import numpy as np
from sklearn import get_config

from .._parallel import on_one_thread
from .._tables.mixed import has_shape
from ._blocks import BlockRows, add_up

FEW_BLOCKS = 8  # whose sums are added at once


class DaskRows(BlockRows):
    """Rows in Dask collections; Dask's scheduler, or client, runs the kernels.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features), or dask.dataframe.DataFrame
        Rows.
    y, weight : dask.array.Array of shape (n_samples,), or dask.dataframe.Series
        Target and weights, in the same blocks; weights may be None.
    classifies, as_given : bool
        As for BlockRows.

    Raises
    ------
    TypeError or ValueError
        If these are no Dask collections, or not in the same blocks.
    """

    def __init__(self, X, y, weight, *, classifies, as_given=False):
        super().__init__(classifies=classifies, as_given=as_given)
        self._collections = X, y, weight  # a cluster drops results without references
        self._blocks = aligned_blocks(X, {"y": y, "sample_weight": weight})

    def _add_blocks(self, task):
        """See ``BlockRows``; sums of a few blocks are added on their worker."""
        run, add = (dask.delayed(each, traverse=False) for each in (on_one_thread, add_up))
        config = get_config()
        sums = [run(config, task, number, *block) for number, block in enumerate(self._blocks)]
        while len(sums) > 1:
            sums = [add(sums[i : i + FEW_BLOCKS]) for i in range(0, len(sums), FEW_BLOCKS)]
        return dask.compute(*sums)[0]


def aligned_blocks(X, others):
    """Blocks of X and of arrays with an entry for each of its rows, matched.

    ``others`` are by name, None for missing ones. Returns tuples of X and the others, as
    objects of ``dask.delayed``.
    """
    if not _is_collection(X) or X.ndim != 2:
        raise TypeError(f"X must be a two-dimensional Dask array or a Dask DataFrame; got {X!r}.")
    if isinstance(X, dask.array.Array) and X.numblocks[1] > 1:
        raise ValueError(
            f"The columns of X are in {X.numblocks[1]} chunks: pass X.rechunk({{1: -1}})."
        )
    parts = [_parts(X)]
    for name, other in others.items():
        if other is None:
            parts.append([None] * len(parts[0]))
            continue
        if not _is_collection(other):
            raise TypeError(
                f"{name} must be a Dask collection, as X is; got {type(other).__name__}."
            )
        parts.append(_parts(other))
        if len(parts[-1]) != len(parts[0]):
            raise ValueError(
                f"X has {len(parts[0])} blocks of rows, {name} has {len(parts[-1])}: give them the "
                f"same, by {name}.rechunk of arrays or repartition of DataFrames."
            )
    return list(zip(*parts, strict=True))


def _parts(collection):
    """Blocks of rows as objects of ``dask.delayed``."""
    return list(np.ravel(np.array(collection.to_delayed(), dtype=object)))


def _is_collection(values):
    """Whether this is a Dask array, DataFrame or Series."""
    return dask.is_dask_collection(values) and has_shape(values)
