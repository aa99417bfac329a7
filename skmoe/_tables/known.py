"""Columns that a fit has seen, and whether other rows have the same, with values of these kinds."""

import sys

import numpy as np
from scipy import sparse

from .mixed import describe_columns, is_table, types_of, with_columns

NUMBERS, STRINGS = "numbers", "strings"
KINDS = {  # by what pandas infers
    "string": STRINGS,
    "boolean": NUMBERS,
    "integer": NUMBERS,
    "floating": NUMBERS,
    "mixed-integer-float": NUMBERS,
    "decimal": NUMBERS,
    "datetime64": "dates",
    "datetime": "dates",
    "date": "dates",
    "period": "dates",
    "time": "times of day",
    "timedelta64": "durations",
    "timedelta": "durations",
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
        kind, name = kind_of(column), None if _is_numeric(column.dtype) else str(column.dtype)
        if kind != OTHERS:
            kinds[label] = kind, name
    return kinds


def match_kinds(X, kinds):
    """Other rows with the same columns, as they may be shown to what was fitted.

    In a table, columns without a value get the dtype that they had in fit, and numbers that stand
    as objects are numbers: the dtype of one row with a missing string is object or float.

    Raises a ValueError if a column holds values of another kind than in fit; it names the column.
    """
    if not is_table(X):
        return X
    changed, dtypes = {}, dict(zip(X.columns, X.dtypes, strict=True))
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
            values = "booleans" if column.dtype.kind == "b" else found
            if found == OTHERS:
                values = f"values of the types {types_of(column)}"
            raise ValueError(
                f"The column {label!r} holds {values}, but held {kind} in fit: give it values of "
                "that kind."
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
    return np.float64 if name is None else name


def _is_numeric(dtype):
    return dtype.kind in "biuf"
