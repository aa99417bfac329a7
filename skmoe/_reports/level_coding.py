"""How tables of coefficients have levels: as differences from a reference, or from their mean."""

import numpy as np

from .._experts.fitting import split_last
from .._experts.prediction import columns_seen
from .._experts.solvers import is_linear
from .._experts.traits import column_names
from .._numerics.columns import effects_of
from .column_names import columns_behind, columns_of

FROM_REFERENCE = "levels: differences from the most frequent one of their column, the reference"
FROM_MEAN = "levels of {}: differences from their mean"
IS_REFERENCE = " (reference)"


def shares_of_levels(mixture, rows):
    """Share of the rows of ``fit``, by weight, of each level that has a coefficient; a dict.

    Of rows that are not in memory they are those of the sample.
    """
    shares, names = {}, column_names(mixture)
    linear = [each for each in mixture.experts_ if is_linear(each)]
    for estimator in linear + [mixture.gate_] * split_last(mixture.gate_)[1].is_linear:
        head, _ = split_last(estimator)
        columns = columns_behind(head, 0, names)
        if not shares.keys() >= {*columns.names} and any(columns.category):
            mean = np.average(columns_seen(estimator, rows.X), axis=0, weights=rows.weight)
            shares = dict(zip(columns.names, mean.round(9).tolist(), strict=True)) | shares
    return shares


def coding_of_levels(mixture, estimator):
    """Places of the levels of each column of strings that an expert or gate sees, and a reference.

    Pairs by the name of the column. The reference is the place of the most frequent level, or None
    where levels, being random effects, are differences from their mean.
    """
    columns, learned = columns_of(estimator, column_names(mixture)), mixture.likelihood_.columns_
    effects, places = np.zeros(len(columns.names)), {}
    if estimator is mixture.gate_:
        if not split_last(estimator)[1].sees_rows:
            return {}
    elif learned is not None and learned.block is not None:
        effects = effects_of(learned.block)
    for j, category in enumerate(columns.category):
        if category is not None:
            places.setdefault(category, []).append(j)
    share = [mixture._level_shares.get(name, 0.0) for name in columns.names]
    return {
        name: (levels, None if effects[levels[0]] else max(levels, key=share.__getitem__))
        for name, levels in places.items()
    }


def names_of_terms(mixture, estimator):
    """Names of the columns that an expert or gate sees; those of references say so."""
    names = list(columns_of(estimator, column_names(mixture)).names)
    for _, reference in coding_of_levels(mixture, estimator).values():
        if reference is not None:
            names[reference] += IS_REFERENCE
    return names
