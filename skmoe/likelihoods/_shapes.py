"""Shapes of positive targets that are found by a search."""

from functools import partial

import numpy as np
from scipy import optimize

from .._doors import error_terms
from .._numerics.gamma_shapes import LARGEST_SHAPE
from ._means import PositiveMeans, means_of

LARGEST_STEP = 0.5  # of the logarithm of a shape, in one update
FIRST_STEP = 4.0


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
        return error_terms().CensoredFamilyTerms.of(self.family)


def _lowest(loss, shape, longest):
    last = min(np.log(shape), np.log(LARGEST_SHAPE))  # which may have been extrapolated beyond
    ends = last - longest, min(last + longest, np.log(LARGEST_SHAPE))
    best = optimize.minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-5})
    return np.exp(best.x if best.fun < loss(last) else last)
