"""What the columns of a fit hold, levels of strings too, and whether other rows hold the same."""

import re
import sys
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._compat import check_sample_weight
from .mixed import (
    as_pandas,
    check_real,
    describe_columns,
    dtype_kind,
    is_missing,
    is_number,
    is_plain,
    is_scalar_missing,
    is_table,
    types_of,
    with_columns,
)

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
                values = np.fromiter(column.unique(), dtype=object)
                n_values = int(column.count())
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
        if can_be_learned:
            return "effects"
        return "identifier"


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


# Columns of a fit, and other rows ----------------------------------------------------------------

NUMBERS = "numbers"
STRINGS = "strings"
KINDS = {  # by what pandas infers
    "string": STRINGS,
    **dict.fromkeys(("boolean", "integer", "floating", "mixed-integer-float", "decimal"), NUMBERS),
    **dict.fromkeys(("datetime64", "datetime", "date", "period"), "dates"),
    "time": "times of day",
    **dict.fromkeys(("timedelta64", "timedelta"), "durations"),
    "complex": "complex numbers",
    "empty": None,
}
OTHERS = "other values"
MEDIAN_ROWS = 100_000  # for medians, at most twice as many


def kinds_of(X):
    """What the columns of rows hold.

    By the columns of a table: what they hold, such as "numbers", and the name of their dtype, None
    of a numeric one. Those are left out that hold nothing, or unlike things.
    """
    if not is_table(X):
        return {}
    kinds = {}
    for label in X.columns:
        column = X[label]
        kind = kind_of(column)
        name = None if _is_numeric(column.dtype) else str(column.dtype)
        if kind != OTHERS:
            kinds[label] = kind, name
    return kinds


def match_kinds(X, kinds):
    """Other rows with the same columns, as they may be shown to what was fitted.

    In a table, columns without a value get the dtype that they had in fit, and numbers that stand
    as objects are numbers: the dtype of one row with a missing string is object or float.

    Raises a ValueError that names a column, if it is not there or holds values of another kind than
    in fit.
    """
    if not is_table(X):
        return X
    changed = {}
    dtypes = dict(zip(X.columns, X.dtypes, strict=True))
    lacking = [label for label in kinds if label not in dtypes]
    if lacking:
        raise ValueError(f"X lacks the columns {lacking}, which it had in fit.")
    for label, (kind, dtype) in kinds.items():
        is_numeric = _is_numeric(dtypes[label])
        if is_numeric and dtype is None:
            continue
        column = X[label]
        found = kind_of(column)
        if found == kind and (dtype is not None or is_numeric):
            continue
        if found == kind:  # numbers, as objects
            changed[label] = column.astype(np.float64)
        elif column.isna().all():
            changed[label] = column.astype(object).astype(_dtype_named(dtype))
        else:
            if column.dtype.kind == "b":
                values = "booleans"
            else:
                values = found
            if found == OTHERS:
                values = f"values of the types {types_of(column)}"
            raise ValueError(
                f"The column {label!r} holds {values}, but held {kind} in fit: give it {kind}."
            )
    return with_columns(X, changed)


def medians_of(X):
    """Medians (n_columns,) of dense numbers without gaps, where these are many of some rows.

    None of other tables and arrays, whose gaps encoders impute, and of sparse matrices.
    """
    if sparse.issparse(X) or any(describe_columns(X)):
        return None
    return np.median(np.asarray(X[:: len(X) // MEDIAN_ROWS + 1], dtype=np.float64), axis=0)


def fill_missing(X, medians):
    """Rows whose missing numbers are the medians of the rows of fit; as they are, without these."""
    if medians is None or sparse.issparse(X):
        return X
    strings, missing = describe_columns(X)
    if strings or not missing:
        return X
    if not is_table(X):
        return np.where(np.isnan(X), medians.astype(X.dtype), X)
    # Columns of whole numbers or booleans of pandas cannot hold every median.
    X = X.astype(dict.fromkeys(missing, np.float64))
    return X.fillna(dict(zip(X.columns, medians, strict=True)))


def kind_of(column):
    """What a column of a table holds: "numbers", for booleans too, "strings" and the like."""
    pandas = sys.modules["pandas"]  # imported, as this is its column
    dtype = column.dtype
    if _is_numeric(dtype):
        return NUMBERS
    if isinstance(dtype, pandas.StringDtype):
        return STRINGS
    if isinstance(dtype, pandas.CategoricalDtype):
        column = dtype.categories
    return KINDS.get(pandas.api.types.infer_dtype(column, skipna=True), OTHERS)


def _dtype_named(name):
    """The dtype of a name from ``kinds_of``; of categories without any, which are no numbers."""
    pandas = sys.modules["pandas"]
    if name == "category":
        return pandas.CategoricalDtype(pandas.Index([], dtype=object))
    if name is None:
        return np.float64
    return name


def _is_numeric(dtype):
    return dtype.kind in "biuf"


# Values of rows, such as a target or weights, that have to be numbers, or labels -----------------


def check_numbers(name, values):
    """Values of rows, which have to be numbers; None and the like among them become NaN.

    Objects become an array of floats, all else is returned as it is. Raises a ValueError, with
    ``name`` for what they are, if there are strings, dates, durations, complex numbers or other
    things among them.
    """
    if is_plain(values) or values is None:
        return values
    given = values = as_pandas(values)
    if is_table(values):
        kinds = [dtype.kind for dtype in values.dtypes]
    else:
        kinds = [dtype_kind(values)]
    if all(kind in ("b", "i", "u", "f") for kind in kinds):
        return given
    check_real(name, values)
    values = as_array(name, values)
    check_real(name, values)
    kind = values.dtype.kind
    if kind in "US":
        what = "strings"
    elif kind in "mM":
        what = "dates or durations"
    else:
        what = None
    if kind == "O":
        others = [value for value in values.ravel() if not is_number(value)]
        if others:
            text = repr(others[0])
            if not (len(text) <= 50):
                text = f"{text[:50]}..."
            what = f"values of the types {types_of(others)}, such as {text}"
    if what is not None:
        raise ValueError(
            f"{name} holds {what}, and has to hold numbers: convert them, strings of numbers by "
            "astype(float), dates to the days since the first."
        )
    if kind != "O":
        return given
    floats = [np.nan if is_scalar_missing(value) else float(value) for value in values.ravel()]
    return np.reshape(floats, values.shape)


def check_weights(sample_weight, X, **given):
    """Weights (n_samples,) of the rows of X, ones for None; see scikit-learn's function.

    ``given`` are other arguments of that.
    """
    sample_weight = check_numbers("sample_weight", sample_weight)
    return check_sample_weight(sample_weight, X, dtype=np.float64, **given)


def check_labels(name, values):
    """Refuse labels of which some are missing, or which have no order, such as 1 and "a"."""
    values = as_pandas(values)
    check_real(name, values)
    values = as_array(name, values)
    if values.dtype.kind != "O" or values.ndim != 1:
        return
    if all(isinstance(value, str) for value in values):  # much quicker than what follows
        return
    missing = np.flatnonzero([is_scalar_missing(value) for value in values])
    if len(missing):
        raise ValueError(
            f"Input {name} contains NaN, None or the like in {len(missing)} rows, the first of "
            f"them row {missing[0]}: drop these rows, or give them a label of their own."
        )
    kinds = {str: "strings"}
    found = {kinds.get(type(value), "numbers" if is_number(value) else None) for value in values}
    if found not in ({"strings"}, {"numbers"}):
        raise ValueError(
            f"{name} holds labels of types {types_of(values)}: make all strings, or all numbers."
        )


def as_array(name, values):
    """Values of rows as an array; ValueError where they are lists of unlike lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of unlike lengths
        raise ValueError(f"{name} needs one value for each row and output: {error}") from error
