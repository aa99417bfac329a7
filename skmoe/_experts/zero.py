"""An expert that always predicts zero, beside linear experts that are solved together."""

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator

from .composed import ComposedExperts


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


class BesideZero(ComposedExperts):
    """Linear experts, and in the last place one that always predicts zero.

    Parameters
    ----------
    parts : list of one LinearExperts
        The others.
    """

    penalty = property(lambda self: self.parts[0].penalty)
    minimum_rows = property(lambda self: self.parts[0].minimum_rows)
    n_functions = property(lambda self: self.parts[0].n_functions)
    source = property(lambda self: self.parts[0].source)

    @property
    def predictions(self):
        """Predictions for the rows, (n_samples, n_experts), zeros in the last column."""
        others = self.parts[0].predictions
        return np.hstack([others, np.zeros((len(others), 1))])

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the others, each with its own column."""
        given = resp, working, exposure, target
        given = (None if each is None else each[:, :-1] for each in given)
        (others,) = self.copied()
        others.precision = self.precision
        others.fit(*given)

    def finish(self, templates):
        """Fitted estimators, made of the unfitted templates, of the others."""
        return self.parts[0].finish(templates)
