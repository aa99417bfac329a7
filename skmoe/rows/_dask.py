"""Rows in Dask collections: arrays and DataFrames.

A pass over the rows is one task for each block. Tasks carry the parameters and return sums, so that
workers hold nothing that the fit could lose: the blocks of a worker that died are computed again.
Predictions are lazy collections.
"""

from copy import copy
from functools import partial

import dask  # optional: this file is imported only for such collections
import dask.array
import numpy as np
from sklearn import get_config

from .._parallel import on_one_thread
from .._reports.by_regime import EXPERT, groups_of
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
    _check_rows(X)
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


def _check_rows(X):
    """Raise an error unless X is a Dask collection whose blocks have whole rows."""
    if not _is_collection(X) or X.ndim != 2:
        raise TypeError(f"X must be a two-dimensional Dask array or a Dask DataFrame; got {X!r}.")
    if isinstance(X, dask.array.Array) and X.numblocks[1] > 1:
        raise ValueError(
            f"The columns of X are in {X.numblocks[1]} chunks: pass X.rechunk({{1: -1}})."
        )


def _is_collection(values):
    """Whether this is a Dask array, DataFrame or Series."""
    return dask.is_dask_collection(values) and has_shape(values)


# Lazy answers -------------------------------------------------------------------------------------


def answer_lazily(method, mixture, X, params):
    """What a method answers for the rows of a Dask collection, none of which is computed yet.

    That is an array for an array, and for a DataFrame a Series or DataFrame with its index. Shape
    and dtype follow from the mixture; rows that Dask makes up may be of no category in ``fit``.
    """
    _check_rows(X)
    name = method.__name__
    is_array = isinstance(X, dask.array.Array)
    axes = _axes_of_answer(name, mixture, params)
    if axes is None or (len(axes) > 1 and not is_array):
        raise TypeError(
            f"{name} takes no {type(X).__name__}: have Dask call it on each block, by "
            f"dask.delayed(mixture.{name}) of those in X.to_delayed()."
        )
    has_labels = mixture._classifies and name in ("predict", "predict_experts")
    if has_labels:
        value = mixture.classes_[:1]
    else:
        value = np.zeros(1)
    example = np.resize(value, (1, *map(len, axes)))
    # A task of its own, which is sent to each worker once, and which later fits do not change.
    call = dask.delayed(partial(method, copy(mixture), **params), traverse=False)
    if is_array:
        empty = example[:0]
        sizes = {axis: len(labels) for axis, labels in enumerate(axes, start=2)}
        answer = dask.array.blockwise(
            _answer_of_rows,
            (0, *sizes),
            X,
            (0, 1),
            new_axes=sizes,
            concatenate=True,
            dtype=empty.dtype,
            meta=empty,
            call=call,
            config=get_config(),
            empty=empty,
        )
    else:
        import pandas

        if axes:
            table = pandas.DataFrame(example, columns=axes[0])
        else:
            table = pandas.Series(example)
        empty = table.iloc[:0].set_axis(X._meta.index)
        answer = X.map_partitions(
            _answer_of_rows, meta=empty, call=call, config=get_config(), empty=empty
        )
    if not params.get("return_std"):
        return answer
    if is_array:
        return (answer[:, 0], answer[:, 1])
    return (answer["mean"], answer["std"])


def _axes_of_answer(name, mixture, params):
    """Labels along the axes of an answer, but for that of the rows: a list of sequences.

    None of methods that need a target or random numbers, or answer otherwise than by an array.
    """
    if name in ("predict_proba", "predict_log_proba"):
        return [mixture.classes_]
    if name == "gate_proba":
        return [groups_of(mixture, params.get("by", EXPERT)).names]
    axes = [range(n_outputs) for n_outputs in mixture._y_shape]
    if name == "predict_experts":
        return [list(mixture.named_experts_), *axes]
    if name not in ("predict", "predict_quantiles", "predict_interval"):
        return None
    for asked in ("level", "q", "quantiles"):
        if np.ndim(params.get(asked)):
            axes.insert(0, params[asked])
    if name == "predict_interval":
        axes.insert(0, ["lower", "upper"])
    if params.get("return_std"):
        axes.insert(0, ["mean", "std"])
    return axes


def _answer_of_rows(X, call, config, empty):
    """The answer for the rows of a block, of the kind of that for no rows."""
    if not X.shape[0]:
        return empty
    answer = on_one_thread(config, call, X)
    if isinstance(answer, tuple):  # mean and standard deviation
        answer = np.stack(answer, axis=1)
    if isinstance(empty, np.ndarray):
        return answer
    if empty.ndim == 1:
        return type(empty)(answer, index=X.index, dtype=empty.dtype)
    return type(empty)(answer, index=X.index, columns=empty.columns)
