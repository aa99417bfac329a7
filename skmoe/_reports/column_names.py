"""What transformers make of the columns of X: a name for each, and how it follows from X."""

import copy
from dataclasses import dataclass, replace

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from .._compat import input_places
from .._experts.fitting import column_names, split_last
from .._experts.prediction import columns_seen
from .._experts.solvers import is_linear
from .._numerics.columns import effects_of
from .._tables.encoding import ConstantColumn
from .._tables.mixed import is_missing

INDICATOR = "missingindicator_"


@dataclass
class Columns:
    """Columns that a model sees, each ``slope * raw + shift`` of the one it is named after."""

    # List of str: ``age``, ``kind=low`` for a level of a category, ``age missing`` for an
    # indicator; of what other transformers make, their own names.
    names: list
    # ``slope``, ``shift``: (n_columns,): 1 and 0, except after scalers.
    slope: np.ndarray
    shift: np.ndarray
    # Name of the column that each is a level of, where all of its levels are there as zeros and
    # ones; else None.
    category: list

    @classmethod
    def raw(cls, names):
        """Columns as they are."""
        names = list(map(str, names))
        return cls(names, np.ones(len(names)), np.zeros(len(names)), [None] * len(names))

    def take(self, places):
        """Some of them, by number; of a category not all, perhaps."""
        taken = Columns.raw([self.names[j] for j in places])
        return replace(taken, slope=self.slope[places], shift=self.shift[places])

    def scaled(self, slope, shift):
        """Those that a scaler makes of them."""
        shift = slope * self.shift + shift
        return replace(Columns.raw(self.names), slope=slope * self.slope, shift=shift)


def columns_of(estimator, names):
    """The columns that an expert or gate sees; see ``columns_behind``."""
    transformer, last = split_last(estimator)
    return columns_behind(transformer, last.n_features_in_, names)


def columns_behind(transformer, n_columns, names):
    """What a fitted Pipeline, or None, makes of the columns of X, which have these names.

    They are called x0 and so on where a transformer does not name what it makes. No two have the
    same name, and none is called as the intercept is.
    """
    columns = _named_columns(transformer, n_columns, names)
    taken = ["intercept"]
    for name in columns.names:
        while name in taken:
            name += " (2)"
        taken.append(name)
    return replace(columns, names=taken[1:])


def _named_columns(transformer, n_columns, names):
    numbered = Columns.raw([f"x{j}" for j in range(n_columns)])
    if transformer is None:
        if names is None:
            return numbered
        return Columns.raw(names)
    if isinstance(transformer[-1], ConstantColumn):
        return Columns.raw(transformer[-1].get_feature_names_out())
    try:
        if names is None:
            names = [f"x{j}" for j in range(transformer.n_features_in_)]
        return _behind_transformers(transformer, Columns.raw(names))
    except (AttributeError, ValueError):  # a transformer that does not name what it makes
        return numbered


def _behind_transformers(transformer, columns):
    kind = type(transformer)
    if transformer == "passthrough" or (kind is FunctionTransformer and transformer.func is None):
        return columns
    if isinstance(transformer, Pipeline):
        for _, step in transformer.steps:
            columns = _behind_transformers(step, columns)
        return columns
    if isinstance(transformer, ColumnTransformer):
        return _behind_parts(transformer, columns)
    if kind is OneHotEncoder:
        encoder = copy.copy(transformer)
        encoder.feature_name_combiner = _name_of_level
        levels = Columns.raw(encoder.get_feature_names_out(columns.names))
        if transformer.drop is None:
            encoder.feature_name_combiner = lambda name, _: str(name)
            levels.category = list(encoder.get_feature_names_out(columns.names))
        return levels
    if kind is SimpleImputer or kind is MissingIndicator:
        return _imputed(transformer, columns)
    if kind in SCALERS:
        return columns.scaled(*SCALERS[kind](transformer))
    return Columns.raw(transformer.get_feature_names_out(columns.names))


def _name_of_level(name, level):
    if is_missing(level):
        return f"{name} missing"
    return f"{name}={level}"


def _behind_parts(transformer, columns):
    parts = []
    for name, part, _ in transformer.transformers_:
        place = transformer.output_indices_[name]
        if part != "drop" and place.stop > place.start:
            seen = columns.take(input_places(transformer, name))
            parts.append((place.start, _behind_transformers(part, seen)))
    parts.sort(key=lambda part: part[0])
    parts = [part for _, part in parts]
    return Columns(
        sum([part.names for part in parts], []),
        np.concatenate([part.slope for part in parts]),
        np.concatenate([part.shift for part in parts]),
        sum([part.category for part in parts], []),
    )


def _imputed(transformer, columns):
    """Those of an imputer: columns without any value may be gone, and indicators be added."""
    place = {name: j for j, name in enumerate(columns.names)}
    out = Columns.raw(transformer.get_feature_names_out(columns.names))
    for j, name in enumerate(out.names):
        if name in place:
            out.slope[j] = columns.slope[place[name]]
            out.shift[j] = columns.shift[place[name]]
        else:
            out.names[j] = f"{name.removeprefix(INDICATOR)} missing"
    return out


def _affine(n_columns, scale, center):
    """Slope and shift of ``(x - center) / scale``, where None is nothing to do."""
    if scale is None:
        slope = np.ones(n_columns)
    else:
        slope = 1 / scale
    return slope, np.zeros(n_columns) if center is None else -center * slope


SCALERS = {  # slope and shift of each
    StandardScaler: lambda scaler: _affine(
        scaler.n_features_in_, scaler.scale_, scaler.mean_ if scaler.with_mean else None
    ),
    RobustScaler: lambda scaler: _affine(scaler.n_features_in_, scaler.scale_, scaler.center_),
    MaxAbsScaler: lambda scaler: _affine(scaler.n_features_in_, scaler.scale_, None),
    MinMaxScaler: lambda scaler: (scaler.scale_, scaler.min_),
}


# How tables of coefficients have levels: as differences from a reference, or from their mean -----


FROM_REFERENCE = "levels: differences from the reference, the most frequent level of the column"
FROM_MEAN = "levels of {}: differences from their mean"
IS_REFERENCE = " (reference)"


def shares_of_levels(mixture, rows):
    """Share of the rows of ``fit``, by weight, of each level that has a coefficient; a dict.

    For rows that are not in memory they are those of the sample.
    """
    shares = {}
    names = column_names(mixture)
    linear = [each for each in mixture.experts_ if is_linear(each)]
    if split_last(mixture.gate_)[1].is_linear:
        linear.append(mixture.gate_)
    for estimator in linear:
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
    columns = columns_of(estimator, column_names(mixture))
    learned = mixture.likelihood_.columns_
    effects = np.zeros(len(columns.names))
    places = {}
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
