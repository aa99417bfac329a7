"""Pooled experts on rows that are not in memory."""

from functools import partial
from numbers import Integral

import numpy as np

from .._pooling.many_rows import PooledRowsTrainer


def pooled_trainer(
    mixture,
    share,
    source,
    look,
    rows,
    data,
    parts,
    settings,
    splitting,
    encoder,
    start_seed,
    expert_seed,
):
    """What trains pooled experts: PooledRowsTrainer."""
    return PooledRowsTrainer(
        source,
        data,
        parts,
        settings,
        share=share,
        encoder=encoder,
        splitting=splitting,
        seed=start_seed,
        expert_seed=expert_seed,
        n_experts=mixture.n_experts if isinstance(mixture.n_experts, Integral) else None,
        start_likelihood=partial(_started, look=look, data=data),
    )


def _started(likelihood, look, data):
    """A likelihood that has looked at the targets of all rows."""
    if look.target is None:
        return likelihood.start_from_sums(look.mass, 1)
    if likelihood.expert_family is not None:
        values = look.values
        if values is None:  # too many to be known, but for the extremes
            values = np.concatenate([data.y, look.target.low, look.target.high])
        return likelihood.start(values, np.ones(len(values)), 1)
    variance, largest = look.target.squares / look.weight, look.target.size
    if data.y.ndim == 1:
        variance, largest = variance[0], largest[0]
    return likelihood.start_from_sums(variance, look.values, largest)
