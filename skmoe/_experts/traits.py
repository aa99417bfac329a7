"""Questions about one estimator."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from .._numerics.samples import seeded

STACK = "stack"  # the expert that combines the others where all know all rows
FORESTS = (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
COPIES = ("copy", "copy_X")  # parameters of scikit-learn's: whether rows are copied
GENERALIST = "generalist"  # the expert that all rows teach, beside clones that specialise
LINES = "lines"  # the default mixture among "diverse" experts, which stacks alone have a use for
PROCESS_ROWS = 1_000  # of fewer there is a Gaussian process of classes among these


def draw_seeds(random_state, size):
    """Integer seeds from whatever ``random_state`` a user gave, a list."""
    is_seed = isinstance(random_state, Integral)
    random_state = seeded(random_state) if is_seed else check_random_state(random_state)
    return random_state.randint(2**31 - 1, size=size).tolist()


def seed_estimator(estimator, random_state):
    """A clone whose open ``random_state`` parameters are integers drawn from ``random_state``.

    Integers that the user set stay. Rows, which other parts see too, are copied before a change.
    """
    estimator = clone(estimator)
    params = sorted(estimator.get_params(deep=True).items())
    in_place = [key for key, value in params if value is False and key.split("__")[-1] in COPIES]
    estimator.set_params(**dict.fromkeys(in_place, True))
    open_ones = [
        key
        for key, value in params
        if (key == "random_state" or key.endswith("__random_state"))
        and not isinstance(value, (int, np.integer, str))  # "deprecated", of TargetEncoder
    ]
    if not open_ones:
        return estimator
    random_state = check_random_state(random_state)
    seeds = {key: random_state.randint(np.iinfo(np.int32).max) for key in open_ones}
    return estimator.set_params(**seeds)


def has_oob_prediction(estimator):
    """Whether the estimator is a bagging ensemble that leaves rows out."""
    params = estimator.get_params(deep=False)
    return "oob_score" in params and bool(params.get("bootstrap", False))


def leaves_every_row_out(estimator):
    """Whether it has so many members that each row is out of bag for some: one in 10,000 not."""
    enough = estimator.get_params(deep=False).get("n_estimators", 0) >= 20
    return has_oob_prediction(estimator) and enough


def is_forest(estimator):
    """Whether it is one of scikit-learn's forests.

    Their trees grow without Python's lock, so that threads do, and are so large that they take long
    from one process to another.
    """
    return isinstance(estimator, FORESTS)


def offers(estimator, *names):
    """Whether an object of scikit-learn's or of the user's has these methods or attributes."""
    return all(hasattr(estimator, name) for name in names)


def column_names(estimator):
    """Names of the columns that an estimator was fitted on, or None."""
    return getattr(estimator, "feature_names_in_", None)


def has_own_density(estimator):
    """Whether it has a density of its own, as a mixture does."""
    return offers(estimator, "log_density")


def step_inside(estimator, X):
    """What a search found or a Pipeline ends in, and X as it sees it; None for what is neither."""
    if offers(estimator, "best_estimator_"):
        return estimator.best_estimator_, X
    if not isinstance(estimator, Pipeline):
        return None, X
    transforms = len(estimator) > 1 and X is not None
    return estimator[-1], estimator[:-1].transform(X) if transforms else X


def inside_offering(name, estimator, X=None):
    """What Pipelines and searches end in that has this method, None without one, and its X."""
    while estimator is not None and not offers(estimator, name):
        estimator, X = step_inside(estimator, X)
    return estimator, X


def is_frozen(estimator):
    """Whether it is fitted already, and stays as it is."""
    return isinstance(estimator, FrozenEstimator)
