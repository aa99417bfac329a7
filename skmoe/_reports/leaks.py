"""Columns that give the target away: a target computed from them, or from which they are."""

import numpy as np
from scipy import sparse, stats

from .._numerics.samples import LEAST_COPIED, MOST_COMPARED
from .._numerics.statistics import standardisation
from .._tables.mixed import is_table
from .by_regime import first_of

FEWEST_ROWS = 20  # besides the columns
MOST_ROWS = 1_000
MOST_COLUMNS = 200  # that are looked at
EXACT = 1e-6  # fraction of the target's variance that counts as none
SAME_ORDER = 1 - 1e-6  # rank correlation
NEXT_TO_NOTHING = 0.01  # slope, relative to the largest, in standard deviations
LEAST_DECIDED = 0.5  # share of the rows whose target a level decides
NEARLY = 0.01  # interquartile ranges of the target that are no difference
TIMES_USUAL = 5.0  # as often as the most frequent target of all
BY_CHANCE = 0.01
MOST_OF_ONE = 0.9  # probability of a level of one class, share of such a class
ROWS_A_LEVEL = 2.0  # rows per level, on average, to compare rows of one level


def notes_on_rows(rows, names, *, classifies):
    """Sentences on columns from which the target follows, and on rows that repeat others."""
    return [*leak_notes(rows, names, classifies=classifies), *repeated_rows(rows)[1]]


def leak_notes(rows, names, *, classifies):
    """Sentences on columns, of these names, from which the target follows; a list."""
    X = rows.X
    if sparse.issparse(X) or rows.y.ndim > 1:
        return []
    is_first, _ = repeated_rows(rows)
    used = np.flatnonzero((rows.weight > 0) & is_first)[:MOST_ROWS]
    y = np.asarray(rows.y, dtype=float)[used]
    if len(used) < FEWEST_ROWS or X.shape[1] > MOST_COLUMNS or y.min() == y.max():
        return []
    strings = rows.described.strings
    missing = rows.described.missing
    labels = rows.described.labels
    columns = {label: X[label].to_numpy() if is_table(X) else X[:, label] for label in labels}
    columns = {label: column[used] for label, column in columns.items()}
    whole = [label for label in labels if label not in {*strings, *missing}]
    numbers = np.array([columns[j] for j in whole], dtype=float).reshape(len(whole), len(used)).T
    if names is None:
        names = [f"x{j}" for j in labels]
    named = dict(zip(labels, labels if is_table(X) else names, strict=True))
    if not classifies:
        for found, what in (
            (_linear(numbers, y), "determine the target as a linear function, without errors"),
            (_in_order(numbers, y), "put the rows in the order of the target"),
        ):
            if found:
                found = first_of([named[whole[j]] for j in found])
                return [f"The columns {found} {what}. Leave out those known only after it."]
    whole = [label for label in labels if label not in missing]
    shares = {named[j]: _share_decided(columns[j], y, classifies, j in strings) for j in whole}
    if not (shares := {name: share for name, share in shares.items() if share > 0}):
        return []
    if classifies:
        what = "are of the same class"
    else:
        what = "have the same target"
    if min(shares.values()) == 1:
        most = ""
    else:
        most = f", in {min(shares.values()):.0%} of the rows"
    return [
        f"Rows of equal values in the columns {first_of(list(shares))} {what}{most}: are they "
        "computed from it, or are rows repeated?"
    ]


def _linear(X, y):
    """Numbers of the columns that the target is a linear function of; none if it is not."""
    if not X.shape[1] or len(y) < 2 * X.shape[1] + FEWEST_ROWS:
        return []
    mean, scale = standardisation(X, np.ones(len(y)))
    Z = (X - mean) / scale
    centred = y - y.mean()
    coef = np.linalg.lstsq(Z, centred, rcond=None)[0]
    rest = centred - Z @ coef
    if rest @ rest > EXACT * (centred @ centred):
        return []
    return list(np.flatnonzero(np.abs(coef) > NEXT_TO_NOTHING * np.abs(coef).max()))


def _in_order(X, y):
    """Numbers of the columns in the order of the target, or in the opposite one."""
    columns = np.column_stack([y, X])
    ranks = stats.rankdata(columns, axis=0) - 0.5 * (len(y) + 1)
    length = np.sqrt(np.square(ranks).sum(axis=0))
    same = np.abs(ranks[:, 0] @ ranks) > SAME_ORDER * length[0] * length
    found = [j for j in np.flatnonzero(same) if len(np.unique(columns[:, j])) >= FEWEST_ROWS]
    if found[:1] == [0]:
        return [j - 1 for j in found[1:]]
    return []


def _share_decided(column, y, classifies, has_strings):
    """Share of the rows whose target their level decides; 0 where it is no more than usual.

    It is 1 where all rows of a level have one target, and there are several of each. Else the rows
    that are like most of their level in what is rounded to a hundredth of the interquartile range
    have to be many, and no target frequent. For classes, which numbers often separate, rows count
    if their level, a string, has one class only and so many rows that this is hardly chance; if
    nearly all of them are of one class they are not enough.
    """
    if column.dtype.kind == "O":
        texts = [str(value) for value in column]
    else:
        texts = column
    levels = np.unique(texts, return_inverse=True)[1]
    mass = np.bincount(levels)
    if len(mass) * ROWS_A_LEVEL > len(y) or len(mass) < 2:
        return 0.0
    centred = y - y.mean()
    means = np.bincount(levels, centred) / mass
    if np.square(centred - means[levels]).sum() < EXACT * (centred @ centred):
        return 1.0
    if classifies and not has_strings:
        return 0.0
    if classifies:
        near = 1.0
    else:
        near = NEARLY * np.subtract(*np.percentile(y, [75, 25]))
    values = np.unique(np.round(y / (near or 1.0)), return_inverse=True)[1]
    pairs, place, alike = np.unique(
        levels * len(y) + values, return_inverse=True, return_counts=True
    )
    most = np.zeros(len(mass), dtype=int)
    np.maximum.at(most, pairs // len(y), alike)
    shares = np.bincount(values) / len(y)
    if classifies:
        decided = ((most == mass) & ((shares[:, None] ** mass).sum(axis=0) < BY_CHANCE))[levels]
        is_usual = np.bincount(values[decided], minlength=1).max() > MOST_OF_ONE * decided.sum()
    else:
        decided = (alike[place] == most[levels]) & (alike[place] > 1)
        is_usual = decided.mean() < TIMES_USUAL * shares.max()
    if is_usual or decided.mean() < LEAST_DECIDED:
        return 0.0
    return float(decided.mean())


# Rows that repeat others -------------------------------------------------------------------------


SAID = (
    "{:,} of {:,} rows repeat others: their columns and targets are equal, or nearly. "
    "Each counts as an observation of its own, so that repeats may look like regimes where there "
    "are none. Keep one of each, or let their sample_weight add up to one; subject does not help."
)


def repeated_rows(rows):
    """Which rows of ``fit`` repeat none before them, (n_samples,), and a sentence; a list."""
    first = rows.first_copies
    counts_once = np.bincount(first, rows.weight)[first] <= 1 + 1e-9
    is_first = (first == np.arange(len(first))) | counts_once
    n_repeats = np.count_nonzero(~is_first)
    n_used = np.count_nonzero(rows.weight)
    if n_repeats < LEAST_COPIED * min(n_used, MOST_COMPARED):
        return np.ones(len(first), bool), []
    return is_first, [SAID.format(n_repeats, min(n_used, MOST_COMPARED))]
