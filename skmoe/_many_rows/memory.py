"""How many rows of its own an expert may have: those for which there is memory."""

import os
import sys
from dataclasses import dataclass

import numpy as np

from .._numerics.drawing import SPARE
from .._tables.mixed import is_table

SHARE = 0.25  # fraction of the memory: added samples exist twice, and estimators copy rows


@dataclass(frozen=True)
class ExpertRows:
    """Rows on which an expert is fitted at most."""

    most: int  # their number
    reason: str  # what this number comes from, for the user

    @classmethod
    def that_fit(cls, max_expert_rows, X, shape, memory):
        """At most ``max_expert_rows``, and those of all experts together in a share of the memory.

        ``shape`` is that of what all experts predict for a row; ``memory`` the bytes that the
        smallest of the processes has that hold rows, None if unknown.
        """
        n_experts = shape[0]
        row_bytes = _bytes_of(X) / len(X) + 8 * (np.prod(shape) + n_experts + 4)
        all_bytes = SPARE * n_experts * row_bytes  # one more row for each
        fitting = max_expert_rows if memory is None else int(SHARE * memory / all_bytes)
        if fitting >= max_expert_rows:
            return cls(max_expert_rows, "max_expert_rows")
        return cls(
            max(fitting, 1),
            f"max_expert_rows={max_expert_rows:,} rows of {row_bytes:,.0f} bytes for each of "
            f"{n_experts} experts, {SPARE} times over, are {all_bytes * max_expert_rows / 1e9:.3g} "
            f"GB, more than {SHARE:.0%} of the {memory / 1e9:.3g} GB of memory that this "
            "process, or the smallest worker, has",
        )


def _bytes_of(X):
    """Of rows as they are kept: those of mixed tables as objects."""
    if not is_table(X):
        return X.nbytes
    values = X.to_numpy()
    if values.dtype != object:
        return values.nbytes
    return values.nbytes + sum(map(sys.getsizeof, values.ravel()))


def memory_left():
    """Bytes of memory that this machine has left, or, without psutil, has; None for unknown."""
    try:
        from psutil import virtual_memory
    except ImportError:
        try:
            return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (AttributeError, ValueError):  # on Windows, and where the name is unknown
            return None
    return float(virtual_memory().available)


def memory_for_rows():
    """Bytes of memory of this machine or of the smallest worker of Dask's, if that is less."""
    limits = [memory_left()]
    distributed = sys.modules.get("distributed")  # imported if there is a cluster
    if distributed is not None:
        try:
            workers = distributed.default_client().scheduler_info()["workers"]
        except ValueError:  # there is no client
            workers = {}
        limits += [worker["memory_limit"] for worker in workers.values()]
    return min((limit for limit in limits if limit), default=None)
