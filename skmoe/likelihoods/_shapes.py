"""Shapes of positive targets that are found by a search, and standard errors between bounds."""

from functools import partial

import numpy as np
from scipy import optimize

from .._numerics.gamma_shapes import LARGEST_SHAPE
from ._family_terms import FamilyTerms
from ._means import PositiveMeans, means_of

LARGEST_STEP = 0.5  # of the logarithm of a shape, in one update
FIRST_STEP = 4.0
STEP = 1e-3  # of a predictor, or the logarithm of a shape, in differences


class SearchedShapes(PositiveMeans):
    """Positive means, whose shapes maximise the likelihood where targets are censored."""

    takes_upper = True
    per_expert = learned_logs = ("shape_",)

    def check_values(self, y):
        if (y <= 0).any():
            name = type(self).__name__
            raise ValueError(f"{name} needs positive targets; y holds {y[y <= 0][0]:.6g}.")

    def _floor(self, y, weight):
        return 1e-6 * float(weight @ y / weight.sum())

    def start_target(self, y, weight):
        return np.log(y)

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if self.scales_ is None:
            self.update(bounds.points, prediction, weights, penalty)
        self._search(bounds.lower, bounds.upper, prediction, weights, penalty)

    def _search(self, lower, upper, prediction, weights, penalty, longest=LARGEST_STEP):
        """Raise the likelihood by the shapes, each within a factor of the last one."""
        mean, low, high = means_of(self, prediction), lower[:, None], upper[:, None]
        penalty = np.broadcast_to(penalty, len(self.shape_))

        def loss(log_shape, k):
            shape = np.full((len(mean), 1), np.exp(log_shape))
            components = self.family.components(mean[:, [k]], shape)
            log_probability = components.log_between(low, high)[:, 0]
            used = weights[:, k] > 0
            return shape[0, 0] * penalty[k] - weights[used, k] @ log_probability[used]

        best = [_lowest(partial(loss, k=k), last, longest) for k, last in enumerate(self.shape_)]
        self.shape_ = np.array(best)

    def censored_terms(self):
        return CensoredFamilyTerms.of(self.family)


def _lowest(loss, shape, longest):
    last = min(np.log(shape), np.log(LARGEST_SHAPE))  # which may have been extrapolated beyond
    ends = last - longest, min(last + longest, np.log(LARGEST_SHAPE))
    best = optimize.minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-5})
    return np.exp(best.x if best.fun < loss(last) else last)


class CensoredFamilyTerms(FamilyTerms):
    """A generalised linear model whose targets lie between bounds, by central differences."""

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        """The bounds, in two columns; y is a ``Bounds``."""
        return np.column_stack([y.lower, y.upper])

    def __init__(self, theta, design, target):
        super(FamilyTerms, self).__init__(theta, design, target)
        centre, ahead, back = (self._log_probability(step, 0.0) for step in (0.0, STEP, -STEP))
        up, down = (self._log_probability(0.0, step) for step in (STEP, -STEP))
        corners = (
            sign * other * self._log_probability(sign * STEP, other * STEP)
            for sign in (1, -1)
            for other in (1, -1)
        )
        self._centre, mixed = centre, sum(corners) / (4 * STEP**2)
        self._first = [(ahead - back) / (2 * STEP), (up - down) / (2 * STEP)]
        twice = [(one - 2 * centre + other) / STEP**2 for one, other in ((ahead, back), (up, down))]
        self._second = [[twice[0], mixed], [mixed, twice[1]]]

    def _log_probability(self, step, step_of_log):
        mean = self.family.mean(self.predictors + step)
        components = self.family.components(mean, np.exp(self.logs[0] + step_of_log))
        return components.log_between(self.target[:, :1], self.target[:, 1:])

    def log_density(self):
        return self._centre[:, 0]

    def first(self):
        return self._first

    def second(self):
        return self._second
