"""What a target is that Gaussian errors are not for."""

import numpy as np

LARGE_SHARE = 0.1  # of the rows, that have one value
FEWEST_VALUES = 10  # that a target has which is not discrete
MOST_SHARE_OF_VALUES = 0.5  # distinct values to rows, of counts


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
    most = shares.argmax()
    if len(values) < FEWEST_VALUES or shares[most] < LARGE_SHARE:
        return ""
    told = f"{100 * shares[most]:.0f} % of the targets are exactly {values[most]:g}"
    if values[most] == 0 and values[0] == 0:
        return f"{told}, and the others positive: likelihood=ZeroInflated('gamma') is for these."
    if most in (0, len(values) - 1):
        return f"{told}, the end of their range: if they are censored there, give fit their upper."
    return (
        f"{told}: classify which they are (MixtureOfExpertsClassifier), and fit the mixture to the "
        "others."
    )
