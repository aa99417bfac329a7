"""Rows that repeat others: with equal columns, and a target that is the same or nearly so."""

import numpy as np
from scipy import sparse

from .._tables.encoding import labels_of
from .._tables.mixed import is_table

MOST_ROWS = 100_000  # that are looked at
LEAST_SHARE = 0.1  # of the rows, for a word about them
NEARLY = 0.01  # interquartile ranges of the target between rows that repeat each other
LEAST_NEAR = 0.9  # share of the rows of equal columns whose targets have to be near
BY_CHANCE = 0.05  # rows of equal columns for each row, if columns are independent
SAID = (
    "{:,} of {:,} rows repeat others: their columns are equal, and their targets are, or nearly. "
    "Each counts as an observation of its own, so that repeats may look like regimes where there "
    "are none. Keep one of each, or let their sample_weight add up to one; subject does not help."
)


def repeated_rows(rows):
    """Which rows of ``fit`` repeat none before them, (n_samples,), and a sentence; a list."""
    X, used = rows.X, np.flatnonzero(rows.weight > 0)[:MOST_ROWS]
    is_first = np.ones(len(rows.y), bool)
    nothing = is_first, []
    if sparse.issparse(X) or len(used) < 2:
        return nothing
    group, log_values = np.zeros(len(used), dtype=int), 0.0  # as many as frequent ones count for
    for label in labels_of(X):
        codes = (X[label].factorize()[0] + 1 if is_table(X) else _codes(X[:, label]))[used]
        group = np.unique(group * (codes.max() + 1) + codes, return_inverse=True)[1]
        if group.max() > (1 - LEAST_SHARE) * len(used):
            return nothing
        log_values -= np.log(np.square(np.bincount(codes) / len(codes)).sum())
    if np.log(len(used)) - log_values > np.log(BY_CHANCE):
        return nothing
    y = np.asarray(rows.y, dtype=float).reshape(len(rows.y), -1)[used]
    first, mass = np.unique(group, return_index=True, return_counts=True)[1:]
    off = np.zeros(y[first].shape)
    np.maximum.at(off, group, np.abs(y - y[first][group]))
    is_near = (off <= NEARLY * np.subtract(*np.percentile(y, [75, 25], axis=0))).all(axis=1)
    is_near &= np.bincount(group, rows.weight[used]) > 1 + 1e-9
    n_repeats, n_alike = (mass - 1) @ is_near, mass[mass > 1].sum()
    if mass @ (is_near & (mass > 1)) < LEAST_NEAR * n_alike or n_repeats < LEAST_SHARE * len(used):
        return nothing
    is_first[used] = ~is_near[group]
    is_first[used[first]] = True
    return is_first, [SAID.format(n_repeats, len(used))]


def _codes(column):
    """Numbers from zero of the values of a column of an array."""
    if column.dtype.kind != "O":
        return np.unique(column, return_inverse=True)[1]
    numbers = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in column])
