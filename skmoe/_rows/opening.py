"""Rows as training, and whoever sums over them, reach them."""

from .blocks import IterableRows
from .files import ITERATED


def open_rows(X, y, sample_weight, *, classifies, as_given=False):
    """Rows that are not in memory: BlockRows.

    Kernels are given ``(X, y, weight)`` of a block as it comes with ``as_given``. Raises a
    TypeError or ValueError if they are other things than Files or collections of Dask's, or not in
    the same blocks.
    """
    if not isinstance(X, ITERATED):
        from .dask_rows import DaskRows  # and Dask, which has been imported before

        return DaskRows(X, y, sample_weight, classifies=classifies, as_given=as_given)
    if y is not None or sample_weight is not None:
        raise TypeError(
            "Files hold target and weights too: name their columns by Files(..., target=..., "
            "weight=...), or let a reader return (X, y, weight), and pass no y and sample_weight."
        )
    rows = IterableRows(X, classifies=classifies, as_given=as_given)
    rows.max_expert_rows = X.max_expert_rows
    return rows
