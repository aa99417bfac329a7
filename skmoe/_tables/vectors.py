"""Values of rows, such as a target or weights, that have to be numbers, or labels."""

import numpy as np

from .._compat import check_sample_weight
from .mixed import (
    as_pandas,
    check_real,
    dtype_kind,
    is_number,
    is_plain,
    is_scalar_missing,
    is_table,
    types_of,
)


def check_numbers(name, values):
    """Values of rows, which have to be numbers; None and the like among them become NaN.

    Objects become an array of floats, all else is returned as it is. Raises a ValueError, with
    ``name`` for what they are, if there are strings, dates, durations, complex numbers or other
    things among them.
    """
    if is_plain(values) or values is None:
        return values
    given = values = as_pandas(values)
    is_a_table = is_table(values)
    kinds = [dtype.kind for dtype in values.dtypes] if is_a_table else [dtype_kind(values)]
    if all(kind in ("b", "i", "u", "f") for kind in kinds):
        return given
    check_real(name, values)
    values = as_array(name, values)
    check_real(name, values)
    kind = values.dtype.kind
    what = "strings" if kind in "US" else "dates or durations" if kind in "mM" else None
    if kind == "O":
        others = [value for value in values.ravel() if not is_number(value)]
        if others:
            what = f"values of the types {types_of(others)}, such as {_short(others[0])}"
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
            f"{name} holds labels of the types {types_of(values)}, which cannot be told apart in "
            "an order: make all of them strings, or all numbers."
        )


def as_array(name, values):
    """Values of rows as an array; ValueError where they are lists of unlike lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of unlike lengths
        raise ValueError(f"{name} needs one value for each row and output: {error}") from error


def _short(value):
    text = repr(value)
    return text if len(text) <= 50 else f"{text[:50]}..."
