"""What targets are like: discrete, on a grid, with outliers."""

import numpy as np

# Share of the rows with one value, and ratio to the next value: rounded targets have a mode, too.
LARGE_SHARE, TIMES_NEXT = 0.1, 3.0
FEWEST_VALUES = 10  # that a target has which is not discrete
MOST_SHARE_OF_VALUES = 0.5  # distinct values to rows, of counts
DECILES = 0.1, 0.9
BEYOND_DECILES = 0.25  # of the distance between first and last decile, beyond each of them
SAME = 1e-12  # of the range of the target: values that are nearer differ by rounding
FEW_VALUES = 10_000


def kind_of_target(y, weight):
    """A sentence that names the kind of a discrete or inflated target and what to use, or ""."""
    used = weight > 0
    for column in y[used].reshape(np.count_nonzero(used), -1).T:
        sentence = _kind_of_values(column, weight[used])
        if sentence:
            return sentence
    return ""


def _kind_of_values(y, weight):
    values, places = np.unique(y, return_inverse=True)
    if len(values) == 2:
        return (
            f"The target has two values, {values[0]:g} and {values[1]:g}: fit "
            "MixtureOfExpertsClassifier, which learns their probabilities."
        )
    shares = np.bincount(places, weight) / weight.sum()
    is_count = values[0] >= 0 and (values == np.round(values)).all()
    if is_count and len(values) <= MOST_SHARE_OF_VALUES * len(y):
        return (
            "The target is a count, or takes few values: likelihood='negative_binomial' or "
            "'poisson' is for counts, ZeroInflated around one of them for counts of many zeros."
        )
    most, (second, largest) = shares.argmax(), np.sort([0.0, *shares])[-2:]
    if len(values) < FEWEST_VALUES or largest < max(LARGE_SHARE, TIMES_NEXT * second):
        return ""
    mode = f"{100 * shares[most]:.0f} % of the targets are exactly {values[most]:g}"
    if values[most] == 0 and values[0] == 0:
        return f"{mode}, and the others positive: likelihood=ZeroInflated('gamma') is for these."
    if most in (0, len(values) - 1):
        return f"{mode}, the end of their range: if they are censored there, give fit their upper."
    return (
        f"{mode}: classify which they are (MixtureOfExpertsClassifier), and fit the mixture to the "
        "others."
    )


def outlier_bounds(y, weight):
    """Ends of the bulk of the target, beyond which a row may be an outlier.

    They are of shape () or (n_outputs,), and the extremes of y where the deciles are one value.
    """
    ends = []
    for column in y.reshape(len(y), -1).T:
        if (weight == weight[0]).all():
            places = [max(int(np.ceil((q - 1e-9) * len(y))) - 1, 0) for q in DECILES]
            first, last = np.partition(column, places)[places]
        else:
            order = np.argsort(column, kind="stable")
            cumulative = np.cumsum(weight[order]) / weight.sum()
            first, last = (column[order[np.searchsorted(cumulative, q - 1e-9)]] for q in DECILES)
        beyond = BEYOND_DECILES * (last - first)
        used = column[weight > 0] if first == last else [first - beyond, last + beyond]
        ends.append((np.min(used), np.max(used)))
    low, high = np.transpose(ends)
    return (low, high) if y.ndim == 2 else (low[0], high[0])


def without_outliers(y, weight):
    """The weights (n,) of the rows within ``outlier_bounds``, zero for those outside."""
    low, high = outlier_bounds(y, weight)
    inside = ((y >= low) & (y <= high)).reshape(len(y), -1).all(axis=1)
    return np.where(inside, weight, 0.0) if (weight * inside).any() else weight


def grid_step(y):
    """Step of the regular grid that the values of y lie on and mostly fill, else 0.

    Three distinct values at least must lie on it and fill a quarter of its places in their
    range. The answer depends on the distinct values alone, so that a repeated row changes
    nothing.
    """
    few = _distinct(y[:FEW_VALUES])
    if len(few) > 1 and 4 * len(y) * np.diff(few).min() < few[-1] - few[0]:
        return 0.0  # too fine to be filled, which spares the rest
    values = _distinct(y)
    if len(values) < 3:
        return 0.0
    step = np.diff(values).min()
    places = (values - values[0]) / step
    off_grid = np.abs(places - np.round(places)) > 1e-6 * np.maximum(places, 1.0)
    if off_grid.any() or len(values) < 0.25 * (places[-1] + 1):
        return 0.0
    return step


def _distinct(y):
    """Values of y in order, of which those are one that floats of sums and differences part."""
    values = np.unique(y)
    gaps = np.diff(values, prepend=-np.inf)
    return values[gaps > SAME * (values[-1] - values[0])] if len(values) > 1 else values


def variance_of(y, weight):
    """Weighted variance of a target, () or (n_outputs,)."""
    share = weight / weight.sum()
    return share @ (y - share @ y) ** 2
