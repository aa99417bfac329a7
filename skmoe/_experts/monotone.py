"""Columns in which experts are held to be monotone."""

import numpy as np

from .fitting import split_last

# Names of the parameter in scikit-learn, and in LightGBM, XGBoost and CatBoost.
CONSTRAINTS = ("monotonic_cst", "monotone_constraints")


def monotone_columns(estimators, columns):
    """Numbers of the columns in which all estimators are monotone, in the same direction.

    ``columns`` are names, or numbers. Constraints behind transformers are of other columns, and do
    not count.
    """
    directions = np.stack([_directions(each, columns) for each in estimators])
    agree = (directions == directions[0]).all(axis=0)
    return np.flatnonzero(agree & (directions[0] != 0)).tolist()


def _directions(estimator, columns):
    """-1, 0 or 1 for each column."""
    directions = np.zeros(len(columns), dtype=int)
    head, last = split_last(estimator)
    params = {} if head is not None else last.get_params(deep=False)
    given = next((params[name] for name in CONSTRAINTS if params.get(name) is not None), {})
    if isinstance(given, str):
        given = _parsed(given)
    if isinstance(given, dict):
        places = {name: number for number, name in enumerate(columns)}
        given = {
            places.get(name, _number_of_column(name)): direction
            for name, direction in given.items()
        }
    else:
        given = dict(enumerate(given))
    for place, direction in given.items():
        if place in range(len(columns)):
            directions[place] = direction
    return directions


def _parsed(text):
    # "(1,0,-1)", "[1,0,-1]", or CatBoost's "0:1,dose:-1"
    items = [each.rpartition(":") for each in text.strip("()[] ").split(",") if each.strip()]
    if any(mark for _, mark, _ in items):
        return {name.strip(): int(direction) for name, _, direction in items}
    return [int(direction) for *_, direction in items]


def _number_of_column(name):
    # of the column, which CatBoost may write in place of its name
    return int(name) if isinstance(name, str) and name.isdecimal() else name
