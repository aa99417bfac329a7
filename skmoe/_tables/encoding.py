"""Mixed tables as numbers: the encoder that default experts and gates come with."""

import re

import numpy as np
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from ..exceptions import LeftOutColumnsWarning, warn_user
from .mixed import describe_columns, from_polars, is_missing, is_table

MOST_LEVELS = 40  # of any column, however few the rows
MOST_DISTINCT = 0.1  # levels for each row
DATE = re.compile(r"\s*(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4})([T ].*)?$")


def _check_uniform(label, column):
    """Refuse a column of unlike things, such as strings and numbers: it has no categories."""
    column = np.asarray(column)
    if column.dtype.kind != "O":
        return
    values = {value for value in column if not is_missing(value)}
    try:
        sorted(values)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(
            f"The column {label!r} holds values of unlike kinds, {kinds}, which cannot be encoded "
            "together: make all of them strings, or all numbers."
        ) from None


def table_encoder(X, left_out=()):
    """Unfitted transformer to numbers: one-hot for strings, imputation with indicator.

    Categories that ``fit`` did not see are all zeros; columns ``left_out`` are gone.
    """
    strings, missing = describe_columns(X)
    labels = list(X.columns) if is_table(X) else list(range(X.shape[1]))
    numeric = [label for label in labels if label not in set(strings)]
    strings = [label for label in strings if label not in set(left_out)]
    for label in strings:
        _check_uniform(label, X[label] if is_table(X) else X[:, label])
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = []
    if numeric:
        imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        parts.append((imputer, numeric))
    if strings:
        parts.append((one_hot, strings))
    encoder = make_column_transformer(*parts, verbose_feature_names_out=False)
    return encoder.set_output(transform="default")


def default_encoder(X):
    """``table_encoder`` of a table that the user leaves to the mixture.

    Dates are refused: a column for each of them would tell every row apart. Strings of which the
    same is true are left out.
    """
    strings, _ = describe_columns(X)
    dates = [column for column in strings if is_table(X) and X[column].dtype.kind in "mM"]
    if dates:
        raise ValueError(
            f"The columns {dates} hold dates or durations, which are not encoded: put numbers in "
            "their place, such as the month or the days since the first, drop them, or give "
            "Pipelines as experts and gate."
        )
    left_out = sum(identifiers(X), [])
    if len(left_out) == X.shape[1]:
        raise ValueError(
            f"The columns {left_out} hold identifiers, free text or dates, and there are no others "
            "to learn from: put numbers or categories in their place, or give Pipelines as experts "
            "and gate."
        )
    return table_encoder(X, left_out)


def identifiers(X):
    """Columns of strings that nearly tell every row apart, of no use as categories.

    These have more than 40 levels, and more levels than a tenth of the rows.

    Parameters
    ----------
    X : DataFrame or ndarray
        Rows.

    Returns
    -------
    names, dates : list of column labels
        Identifiers or free text, and dates that are written as strings, whose levels need not be
        that many.
    """
    names, dates = [], []
    for label in describe_columns(X)[0]:
        column = X[label] if is_table(X) else X[:, label]
        if column.dtype.kind in "mM":  # which are refused
            continue
        if is_table(X):
            values = column.dropna()
            n_levels = values.nunique()
        else:
            values = [value for value in column if not is_missing(value)]
            n_levels = len(set(values))
        if n_levels <= MOST_LEVELS:
            continue
        if all(isinstance(value, str) and DATE.match(value) for value in values[:MOST_LEVELS]):
            dates.append(label)
        elif n_levels > MOST_DISTINCT * len(values):
            names.append(label)
    return names, dates


def warn_of_left_out(X):
    """Name the columns that the default encoder leaves out, if there are any."""
    names, dates = identifiers(X)
    what = []
    if names:
        what.append(
            f"{names}, which hold identifiers or free text (drop them, or give Pipelines that "
            "encode them)"
        )
    if dates:
        what.append(
            f"{dates}, which hold dates as strings (put numbers in their place, such as the month "
            "or the days since the first)"
        )
    if what:
        warn_user(
            f"The default experts and gate leave out the columns {' and '.join(what)}.",
            LeftOutColumnsWarning,
        )


def numeric_matrix(X):
    """X as a dense float64 matrix, encoded where it has to be."""
    X = from_polars(X)  # what transformers with set_output(transform="polars") make
    if sparse.issparse(X):
        return X.toarray().astype(np.float64)
    if any(describe_columns(X)):
        return np.asarray(table_encoder(X).fit_transform(X), dtype=np.float64)
    return np.asarray(X, dtype=np.float64)
