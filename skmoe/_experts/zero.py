"""An expert that always predicts zero, beside linear experts that are solved together."""

import copy

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator

from .base import Experts


def with_zero(name, names, estimators):
    """Names and estimators of experts, and of one more that always predicts zero.

    ``name`` is None for no such expert. Raises a ValueError if another expert has its name.
    """
    if name is None:
        return names, estimators
    if name in names:
        raise ValueError(f"{name!r} is the name of the zero component: call the expert otherwise.")
    zero = FrozenEstimator(DummyRegressor(strategy="constant", constant=0.0).fit([[0.0]], [0.0]))
    return [*names, name], [*estimators, zero]


def _of_others(name):
    return property(lambda self: getattr(self.experts, name))


class BesideZero(Experts):
    """Linear experts, and in the last place one that always predicts zero.

    Parameters
    ----------
    experts : LinearExperts
        The others. They are copied before they change, so that forks do not share them.
    """

    is_solved = True
    penalty = _of_others("penalty")
    minimum_rows = _of_others("minimum_rows")
    n_fits = _of_others("n_fits")
    n_functions = _of_others("n_functions")
    shared_columns = _of_others("shared_columns")
    owner = _of_others("owner")
    source = _of_others("source")

    def __init__(self, experts):
        self.experts = experts

    @property
    def predictions(self):
        """Predictions for the rows, (n_samples, n_experts), zeros in the last column."""
        others = self.experts.predictions
        return np.hstack([others, np.zeros((len(others), 1))])

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the others, each with its own column."""
        given = resp, working, exposure, target
        given = (None if each is None else each[:, :-1] for each in given)
        self.experts = copy.copy(self.experts)
        self.experts.precision = self.precision
        self.experts.fit(*given)

    def on_rows(self, rows, weight):
        """A copy on some of the rows, with other weights."""
        return BesideZero(self.experts.on_rows(rows, weight))

    def point(self):
        return self.experts.point()

    def go_to(self, point):
        self.experts = copy.copy(self.experts)
        self.experts.go_to(point)

    def state(self):
        return self.experts.state()

    def restore(self, state):
        self.experts = copy.copy(self.experts)
        self.experts.restore(state)

    def finish(self, templates):
        """Fitted estimators, made of the unfitted templates, of the others."""
        return self.experts.finish(templates)
