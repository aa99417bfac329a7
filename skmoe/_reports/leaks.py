"""Columns that give the target away: a target computed from them, or from which they are."""

import numpy as np
from scipy import sparse, stats

from .._numerics.statistics import standardisation
from .._tables.encoding import labels_of
from .._tables.mixed import describe_columns, is_table
from .display import first_of

FEWEST_ROWS = 20  # besides the columns
MOST_ROWS, MOST_COLUMNS = 1_000, 200  # that are looked at
EXACT = 1e-6  # fraction of the target's variance that counts as none
SAME_ORDER = 1 - 1e-6  # rank correlation
FIRST_ROWS, NEARLY = 100, 0.8  # and rank correlation of these that may be the same order
NEXT_TO_NOTHING = 0.01  # slope, relative to the largest, in standard deviations
ROWS_A_LEVEL = 2.0  # rows per level, on average, to compare rows of one level


def leak_notes(rows, names, *, classifies):
    """Sentences on columns from which the target follows; a list.

    Parameters
    ----------
    rows : Rows
        Of ``fit``.
    names : list of str or None
        Of the columns.
    classifies : bool
        Whether the target are class numbers.
    """
    X, used = rows.X, np.flatnonzero(rows.weight > 0)[:MOST_ROWS]
    if sparse.issparse(X) or rows.y.ndim > 1 or len(used) < FEWEST_ROWS:
        return []
    y = np.asarray(rows.y, dtype=float)[used]
    if X.shape[1] > MOST_COLUMNS or y.min() == y.max():
        return []
    strings, missing = describe_columns(X)
    labels = labels_of(X)
    columns = {label: X[label].to_numpy() if is_table(X) else X[:, label] for label in labels}
    columns = {label: column[used] for label, column in columns.items()}
    whole = [label for label in labels if label not in {*strings, *missing}]
    numbers = np.array([columns[label] for label in whole], dtype=float)
    numbers = numbers.reshape(len(whole), len(used)).T
    if is_table(X) or names is None:
        named = dict(zip(labels, labels if is_table(X) else [f"x{j}" for j in labels], strict=True))
    else:
        named = dict(zip(labels, names, strict=True))
    if not classifies:
        exact = _linear(numbers, y)
        if exact:
            found = first_of([named[whole[j]] for j in exact])
            return [
                f"The target is a linear function of the columns {found}: is it computed from "
                "them, or one of them from it, as shares that add up to one are?"
            ]
        likely = _may_order(numbers, y)
        ordered = [whole[j] for j in np.flatnonzero(likely) if _orders(numbers[:, j], y)]
        if ordered:
            found = first_of([named[label] for label in ordered])
            return [f"The columns {found} put the rows in the order of the target: are they it?"]
    alike = [label for label in labels if label not in missing and _decides(columns[label], y)]
    if not alike:
        return []
    what = "are of the same class" if classifies else "have the same target"
    found = first_of([named[label] for label in alike])
    return [f"Rows of equal values in the columns {found} {what}: are they computed from it?"]


def _linear(X, y):
    """Numbers of the columns that the target is a linear function of; none if it is not."""
    if not X.shape[1] or len(y) < 2 * X.shape[1] + FEWEST_ROWS:
        return []
    weight = np.ones(len(y))
    mean, scale = standardisation(X, weight)
    Z, centred = (X - mean) / scale, y - y.mean()
    coef = np.linalg.lstsq(Z, centred, rcond=None)[0]
    rest = centred - Z @ coef
    if rest @ rest > EXACT * (centred @ centred):
        return []
    return list(np.flatnonzero(np.abs(coef) > NEXT_TO_NOTHING * np.abs(coef).max()))


def _may_order(X, y):
    """Whether the first rows of columns (n, p) are in the order of the target or nearly so, (p,).

    It spares most columns the ranks of all rows.
    """
    few = np.column_stack([y, X])[:FIRST_ROWS]
    ranks = few.argsort(axis=0).argsort(axis=0) - 0.5 * (len(few) - 1)
    return np.abs(ranks[:, 0] @ ranks[:, 1:]) > NEARLY * (ranks[:, 0] @ ranks[:, 0])


def _orders(column, y):
    """Whether a column has the order of the target, or the opposite one."""
    if min(len(np.unique(column)), len(np.unique(y))) < FEWEST_ROWS:
        return False
    return abs(stats.spearmanr(column, y).statistic) > SAME_ORDER


def _decides(column, y):
    """Whether all rows of a level have one target, and there are several of each."""
    texts = [str(value) for value in column] if column.dtype.kind == "O" else column
    levels = np.unique(texts, return_inverse=True)[1]
    mass = np.bincount(levels)
    if len(mass) * ROWS_A_LEVEL > len(y) or len(mass) < 2:
        return False
    centred = y - y.mean()
    means = np.bincount(levels, centred) / mass
    return bool(np.square(centred - means[levels]).sum() < EXACT * (centred @ centred))
