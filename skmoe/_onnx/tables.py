"""Encoders of tables in ONNX: one-hot columns and imputation with indicators.

The converter of skl2onnx for ``SimpleImputer`` leaves out the indicators, and is in single
precision. A ColumnTransformer of these two, such as the default encoder, is written here.
"""

import numpy as np
from skl2onnx.common.data_types import StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from .._experts.traits import column_names
from .graph import ML


def is_table_encoder(transformer):
    """Whether ``encode`` can write all its parts."""
    if type(transformer) is SimpleImputer:
        return _is_known((transformer, None))
    if type(transformer) is not ColumnTransformer or transformer.transformer_weights:
        return False
    return all(_is_known(part) for part in _parts(transformer))


def _parts(transformer):
    """Fitted parts with some columns, as (transformer, columns)."""
    if type(transformer) is SimpleImputer:
        return [(transformer, list(range(transformer.n_features_in_)))]
    names = column_names(transformer)
    names = range(transformer.n_features_in_) if names is None else names
    numbers = {name: number for number, name in enumerate(names)}
    parts = []
    for _, part, columns in transformer.transformers_:
        if isinstance(columns, slice):
            columns = np.arange(transformer.n_features_in_)[columns]
        columns = np.atleast_1d(np.asarray(columns, dtype=object))
        if all(isinstance(each, bool | np.bool_) for each in columns):
            columns = np.flatnonzero(columns.astype(bool))
        if not isinstance(part, str) or part != "drop":
            parts.append((part, [numbers.get(each, each) for each in columns]))
    return [part for part in parts if part[1]]


def _is_known(part):
    transformer, _ = part
    if isinstance(transformer, str):
        return transformer == "passthrough"
    if type(transformer) is FunctionTransformer:
        return transformer.func is None
    if type(transformer) is SimpleImputer:
        statistics = transformer.statistics_
        of_numbers = statistics.dtype.kind == "f" and np.isnan(transformer.missing_values)
        return of_numbers and not np.isnan(statistics).any()
    if type(transformer) is OneHotEncoder:
        keeps_rare = transformer.max_categories is None and transformer.min_frequency is None
        plain = transformer.drop is None and keeps_rare
        return plain and transformer.handle_unknown == "ignore"
    return False


def encode(graph, transformer, inputs):
    """Name of the encoded table.

    ``inputs`` are the columns, or matrices of some of them, in the order of the table, and
    ``transformer`` is a fitted one of which ``is_table_encoder`` is true.
    """
    if any(each.type.shape[1:] in ([], [None]) for each in inputs):
        raise ValueError("initial_types must say how many columns each input of the table has.")
    columns = [(each, j) for each in inputs for j in range(each.type.shape[1])]
    if len(columns) != transformer.n_features_in_:
        raise ValueError(
            f"The table of fit has {transformer.n_features_in_} columns, initial_types "
            f"{len(columns)}."
        )
    encoded = []
    for part, numbers in _parts(transformer):
        chosen = [columns[number] for number in numbers]
        encoded += _encoded(graph, part, chosen)
    return graph("Concat", *encoded, axis=1)


def _encoded(graph, part, columns):
    if type(part) is OneHotEncoder:
        pairs = zip(columns, part.categories_, strict=True)
        return [_one_hot(graph, column, levels) for column, levels in pairs if len(levels)]
    columns = [graph.number(_taken(graph, *column)) for column in columns]
    if type(part) is not SimpleImputer:
        return columns
    missing = [graph("IsNaN", column) for column in columns]
    triples = zip(missing, part.statistics_, columns, strict=True)
    filled = [graph("Where", each, np.array([[value]]), x) for each, value, x in triples]
    marked = part.indicator_.features_ if part.add_indicator else []
    return filled + [graph.number(missing[j]) for j in marked]


def _taken(graph, variable, j):
    """One column of a variable, (n, 1)."""
    if variable.type.shape[1] == 1:
        return variable.full_name
    return graph("Gather", variable, np.array([j]), axis=1)


def _one_hot(graph, column, levels):
    taken = _taken(graph, *column)
    if not isinstance(column[0].type, StringTensorType):
        return graph.number(graph("Equal", graph.number(taken), levels[None].astype(float)))
    # None and NaN are "nan": so does a table say of missing strings, whichever these were.
    levels = [str(np.nan if level is None else level).encode() for level in levels]
    one_hot = graph("OneHotEncoder", taken, domain=ML, cats_strings=levels, zeros=1)
    return graph.number(graph.reshape(one_hot, -1, len(levels)))
