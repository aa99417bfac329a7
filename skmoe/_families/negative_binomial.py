"""Negative binomial counts."""

import numpy as np
from scipy import special

from ..distributions import NegativeBinomialComponents
from ..distributions._counts import log_negative_binomial
from .poisson import PoissonFamily


class NegativeBinomialFamily(PoissonFamily):
    """Counts whose variance is ``mean + mean**2 / shape``: those of Poisson, of unknown exposure.

    Experts are those of Poisson, with the expected exposure; ``unit`` is theirs.
    """

    scale = "shape_"
    at_bound_message = (
        "The counts of {names} vary no more than Poisson's, so that their shape has no "
        "maximum and no standard error. Take likelihood='poisson'."
    )

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return log_negative_binomial(y, mean, scale)

    def components(self, mean, scale=1.0, size=1.0):
        return NegativeBinomialComponents(mean, scale)

    def first(self, y, predictor, scale=1.0, size=1.0):
        mean = size * self.mean(predictor)
        total, gap = mean + scale, y - mean
        by_scale = special.digamma(y + scale) - special.digamma(scale) + np.log(scale / total)
        return [gap * scale / total, scale * (by_scale - gap / total)]

    def second(self, y, predictor, scale=1.0, size=1.0):
        mean = size * self.mean(predictor)
        total, gap = mean + scale, y - mean
        bend = special.polygamma(1, y + scale) - special.polygamma(1, scale)
        bend = bend + 1 / scale - 2 / total + (y + scale) / total**2
        mixed = gap * mean * scale / total**2
        by_log = self.first(y, predictor, scale, size)[1]
        return [
            [-mean * scale * (y + scale) / total**2, mixed],
            [mixed, by_log + scale**2 * bend],
        ]
