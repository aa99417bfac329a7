"""How responsibilities reach the ``fit`` of an estimator as weights."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ._compat import routing_enabled


def round_shares(shares):
    """Responsibilities on a grid of 2**-28: trees must not flip on the last bit of a weight.

    The grid is fine enough that a share on the border of two cells moves no smooth estimator by
    more than solvers' tolerances do.
    """
    return np.round(shares * 2.0**28) * 2.0**-28


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
    if routing_enabled():
        _set_requests(estimator, True)
    elif steps:
        return estimator.fit(X, y, **{f"{steps[-1][0]}__sample_weight": weights})
    return estimator.fit(X, y, sample_weight=weights)


def _set_requests(estimator, wanted):
    """Request weights, or refuse them, for an estimator and all that it holds."""
    if isinstance(estimator, FrozenEstimator):  # the user's own, and never fitted
        return
    if has_fit_parameter(estimator, "sample_weight") and hasattr(estimator, "set_fit_request"):
        estimator.set_fit_request(sample_weight=wanted)
    for value in estimator.get_params(deep=False).values():
        named = isinstance(value, list) and all(isinstance(item, tuple) for item in value)
        parts = [item[1] for item in value] if named else [value]
        for part in parts:
            if hasattr(part, "fit") and hasattr(part, "get_params"):
                last_only = isinstance(estimator, Pipeline) and part is not parts[-1]
                _set_requests(part, wanted and not last_only)
