"""Distinct values of columns that hold no numbers."""

import re
from dataclasses import dataclass

import numpy as np

from .mixed import is_missing, is_table, types_of

MOST_LEVELS = 40  # levels of any column, however many the rows
MOST_DISTINCT = 0.1  # levels for each row
MOST_EFFECTS = 300  # levels whose effects pooled experts learn
FEWEST_ROWS_OF_EFFECT = 1.2  # rows per level, on average; fewer are names, one a row
MOST_COUNTED = 100_000  # levels of one column; with more it is an identifier
DATE = re.compile(r"\s*(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4})([T ].*)?$")


@dataclass(frozen=True)
class Levels:
    """Distinct values of a column, and what kind it is."""

    # Ndarray of objects of shape (n_levels,): missing ones included; None where there are too many
    # to count.
    values: np.ndarray | None
    n_values: int  # rows of the column that have a value

    @classmethod
    def of(cls, X, label):
        """Levels of a column of a table, by its label, or of an array, by its number."""
        if is_table(X):
            column = X[label]
            try:
                values, n_values = np.fromiter(column.unique(), dtype=object), int(column.count())
            except TypeError:
                check_hashable(label, column)
                raise
            check_hashable(label, values)
        else:
            column = X[:, label]
            check_hashable(label, column)
            there = [value for value in column if not is_missing(value)]
            without = [value for value in column if is_missing(value)][:1]
            n_values = len(there)
            values = np.fromiter([*dict.fromkeys(there), *without], dtype=object)
        return cls(values if len(values) <= MOST_COUNTED else None, n_values)

    @property
    def known(self):
        """Levels but for missing ones."""
        return [value for value in self.values if not is_missing(value)]

    @property
    def kind(self):
        """Kind of the column: "category", "effects", or, left out, "date" or "identifier".

        All but the first have more than 40 levels. For dates as strings that is the only condition;
        the others have more levels than a tenth of the rows, too: "effects" at most 300, with 1.2
        rows each or more, which can be learned where they are shrunk, and identifiers and free
        text more of them.
        """
        if self.values is None:
            return "identifier"
        known = self.known
        if len(known) <= MOST_LEVELS:
            return "category"
        if all(isinstance(value, str) and DATE.match(value) for value in known[:MOST_LEVELS]):
            return "date"
        if len(known) <= MOST_DISTINCT * self.n_values:
            return "category"
        n_rows = self.n_values / len(known)
        can_be_learned = len(known) <= MOST_EFFECTS and n_rows >= FEWEST_ROWS_OF_EFFECT
        return "effects" if can_be_learned else "identifier"


def check_hashable(label, values):
    """Refuse a column of lists, tuples, complex numbers and the like: they are no categories."""
    try:
        for value in values:
            hash([] if isinstance(value, tuple | complex) else value)
    except TypeError:
        raise ValueError(
            f"The column {label!r} holds values of the types {types_of(values)}: give numbers or "
            "strings, or Pipelines that take it as experts and gate."
        ) from None


def check_uniform(label, values):
    """Refuse a column of unlike things, such as strings and numbers: it has no categories."""
    check_hashable(label, values)
    values = {value for value in set(values) if not is_missing(value)}
    try:
        sorted(values)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(
            f"The column {label!r} holds values of unlike kinds, {kinds}, which cannot be encoded "
            "together: make all of them strings, or all numbers."
        ) from None
