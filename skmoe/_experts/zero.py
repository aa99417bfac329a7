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


class BesideZero(Experts):
    """Linear experts, and in the last place one that always predicts zero.

    Parameters
    ----------
    others : LinearExperts
        The others, which are copied before they change: forks do not share them.
    """

    is_solved = True
    n_fits = property(lambda self: self.others.n_fits)
    penalty = property(lambda self: self.others.penalty)
    minimum_rows = property(lambda self: self.others.minimum_rows)
    n_functions = property(lambda self: self.others.n_functions)
    source = property(lambda self: self.others.source)

    def __init__(self, others):
        self.others = others

    @property
    def predictions(self):
        """Predictions for the rows, (n_samples, n_experts), zeros in the last column."""
        others = self.others.predictions
        return np.hstack([others, np.zeros((len(others), 1))])

    def on_rows(self, rows, weight):
        """A copy on some of the rows, with other weights."""
        return type(self)(self.others.on_rows(rows, weight))

    def _copied(self):
        self.others = copy.copy(self.others)
        return self.others

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the others, each with its own column."""
        given = resp, working, exposure, target
        given = (None if each is None else each[:, :-1] for each in given)
        others = self._copied()
        others.precision = self.precision
        others.fit(*given)

    def point(self):
        return self.others.point()

    def go_to(self, point):
        self._copied().go_to(point)

    def state(self):
        return self.others.state()

    def restore(self, state):
        self._copied().restore(state)

    def finish(self, templates):
        """Fitted estimators, made of the unfitted templates, of the others."""
        return self.others.finish(templates)
