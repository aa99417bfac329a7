"""How responsibilities reach the ``fit`` of an estimator as weights."""

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from ._compat import routing_enabled


def round_shares(shares):
    """Responsibilities on a grid of 2**-20: trees must not flip on the last bit of a weight."""
    return np.round(shares * 2.0**20) * 2.0**-20


def takes_sample_weight(estimator):
    """Whether ``fit`` takes ``sample_weight``; of a Pipeline, whether its last step's does."""
    steps = getattr(estimator, "steps", None)
    return has_fit_parameter(steps[-1][1] if steps else estimator, "sample_weight")


def fit_weighted(estimator, X, y, weights):
    """Fit ``estimator`` in place with weights, which in a Pipeline go to the last step alone.

    The weights are the mixture's and not the user's metadata, so the estimator, a clone that
    belongs to the mixture, has its requests set here.
    """
    steps = getattr(estimator, "steps", None)
    if not steps:
        return estimator.fit(X, y, sample_weight=weights)
    last_name, last = steps[-1]
    if not routing_enabled():
        return estimator.fit(X, y, **{f"{last_name}__sample_weight": weights})
    for _, step in steps:
        if has_fit_parameter(step, "sample_weight") and hasattr(step, "set_fit_request"):
            step.set_fit_request(sample_weight=step is last)
    return estimator.fit(X, y, sample_weight=weights)
