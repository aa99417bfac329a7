"""Tables with strings and missing values in blocks: what all blocks hold together, and as numbers.

An encoder is fitted on what the first look found, and not on rows: on a table of a few rows that
has the levels of the strings, the means of the numbers, and gaps where there are any.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from .._tables.encoding import (
    check_any_left,
    check_no_dates,
    columns_of_no_use,
    table_encoder,
    warn_of_left_out,
)
from .._tables.levels import Levels, check_uniform
from .._tables.mixed import check_table, describe_columns, is_table, plain_columns


@dataclass(frozen=True)
class TableForm:
    """What the tables of all blocks have in common, as experts are shown them."""

    names: tuple  # tuple of str: of the columns
    # Dict of str to dtype: of mixed tables: numbers are floats, and categories are those of all
    # blocks.
    dtypes: dict

    @classmethod
    def of(cls, look):
        """That of the tables that a first look, FirstLook, has seen; None where these are arrays.

        Tables of numbers alone are shown as arrays are, under their names.
        """
        if look.names is None or look.is_numeric:
            return None if look.names is None else cls(look.names, {})
        from pandas import CategoricalDtype  # as the blocks were

        dtypes = dict.fromkeys(look.names, np.dtype(np.float64))
        for label, levels in look.strings.items():
            dtypes[label] = look.dtypes[label]
            if isinstance(dtypes[label], CategoricalDtype):
                # Too many to count are an identifier, which no expert takes for categories.
                many = levels.values is None
                dtypes[label] = object if many else CategoricalDtype(sorted(levels.known))
        return cls(look.names, dtypes)

    def __call__(self, rows):
        """A table, or rows in an array, in this form."""
        from pandas import DataFrame

        if not is_table(rows):
            rows = DataFrame(rows, columns=list(self.names), dtype=rows.dtype)
        categories = {x: dtype for x, dtype in self.dtypes.items() if dtype == "category"}
        return plain_columns(rows.astype(categories)).astype(self.dtypes)  # these may be booleans


def split_table(table):
    """A table of a block, checked, and its numbers.

    Returns the table with floats for its numbers, None where all are numbers and none is missing;
    and these, NaN for what is missing, or no number.
    """
    table = check_table(table, sparse_ok=False, strings_ok=None)
    check_no_dates(table)
    strings, missing = describe_columns(table)
    if not (strings or missing):
        return None, table
    is_number = ~table.columns.isin(strings)
    numbers = np.full(table.shape, np.nan)
    numeric = table.loc[:, is_number]
    numbers[:, is_number] = numeric.to_numpy(dtype=np.float64, na_value=np.nan)
    plain = {
        label: numbers[:, j] if is_number[j] else table[label].array
        for j, label in enumerate(table.columns)
    }
    return type(table)(plain), numbers


def levels_of(table, used):
    """Levels of the columns of a table that hold no numbers, by their labels, in the rows used."""
    table = table[used]
    return {label: Levels.of(table, label) for label in describe_columns(table)[0]}


def add_levels(levels, other, labels):
    """Levels of two blocks together; a column that only one of them has is missing in the other."""
    nothing = Levels(np.array([np.nan], dtype=object), 0)
    return {
        label: levels.get(label, nothing) + other.get(label, nothing)
        for label in labels
        if label in levels or label in other
    }


def fit_encoder(look, who, *, shrinks):
    """The encoder of default experts and gates, fitted.

    As for rows in memory, except that missing numbers are replaced by means. Warns about columns
    that are left out.

    ``who`` are the parts that are default ones; ``shrinks`` is as for ``identifiers``. Raises a
    ValueError if there are no columns left, or one holds numbers and other things.
    """
    strings = look.strings
    has_numbers = dict(zip(look.names, np.isfinite(look.columns.low), strict=True))
    for label, levels in strings.items():
        if has_numbers[label]:
            raise ValueError(
                f"The column {label!r} holds numbers in some blocks of rows, and others in others: "
                "make all of them strings, or all numbers."
            )
        check_uniform(label, levels.values if levels.values is not None else [])
    names, dates = columns_of_no_use(
        {label: levels.kind for label, levels in strings.items()}, shrinks=shrinks
    )
    warn_of_left_out(names, dates, who)
    check_any_left(names + dates, len(look.names))
    few = _table_of_few_rows(look, strings)
    return table_encoder(few, names + dates, imputes="mean").fit(few)


def encode(encoder, table):
    """What a fitted encoder makes of the table of a block, in which columns may be empty."""
    table = plain_columns(table)
    for _, part, labels in encoder.transformers_:
        if isinstance(part, OneHotEncoder):
            empty = [label for label in labels if table[label].dtype.kind == "f"]
            table = table.astype(dict.fromkeys(empty, object))
    return encoder.transform(table)


def _table_of_few_rows(look, strings):
    from pandas import Categorical, CategoricalDtype, DataFrame  # as the blocks were

    known = {label: levels.values for label, levels in strings.items() if levels.values is not None}
    n_rows = max([2, *map(len, known.values())])
    columns = {}
    for label, mean, has_gaps in zip(look.names, look.columns.mean, look.has_gaps, strict=True):
        if label in strings:
            columns[label] = np.resize(known.get(label, np.array(["?"], dtype=object)), n_rows)
            if isinstance(look.dtypes[label], CategoricalDtype):  # perhaps of numbers
                columns[label] = Categorical(columns[label])
        else:
            columns[label] = np.full(n_rows, mean)
            columns[label][-1] = np.nan if has_gaps else mean
    return DataFrame(columns)
