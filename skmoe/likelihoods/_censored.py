r"""Expected targets between bounds: the E-step for targets that are censored.

An expert is fitted on what its target is expected to be, given that it lies within its bounds, and
its scale from the expected squares of the errors. Both are moments of truncated distributions, of
which this file has the standard ones: of z between a and b, with a working weight u for Student's
t distribution, which is a mixture of Gaussians of precisions u [1]_.

References
----------
.. [1] G. J. McLachlan and T. Krishnan, "The EM algorithm and extensions", 2nd edition, Wiley
   (2008), sections 2.6 and 5.8.
"""

import numpy as np

from ..distributions import GaussianComponents, StudentTComponents
from ._censored_targets import CensoredTargets
from ._scaled import grid_step

NARROW = 1e-6  # an interval, in units of the scale, whose moments are those of its middle


class CensoredErrors(CensoredTargets):
    """Censored targets for likelihoods of errors around predictions with a scale for each expert.

    It is mixed into ``ScaledErrors``. A subclass says what the moments between bounds are,
    ``_moments``.
    """

    @property
    def takes_upper(self):
        """Whether targets may be censored: where scales do not depend on the row."""
        return self.scale_estimator() is None

    def _moments(self, bounds, prediction):
        """Moments of the standardised errors within the bounds."""
        lower, upper = (self._on_scale(end)[:, None] for end in (bounds.lower, bounds.upper))
        return self._between((lower - prediction) / self.scale_, (upper - prediction) / self.scale_)

    def _on_scale(self, bound):
        """Bounds on the scale of the predictions."""
        return bound

    def _between(self, low, high):
        """Of z between two ends (n, K): weight E u (None for ones), E uz / E u, and E uzz."""
        return gaussian_between(low, high)

    def expected_target(self, bounds, prediction):
        working, location, _ = self._moments(bounds, prediction)
        return prediction + self.scale_ * location, working

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if self.scale_ is None:
            self._set_censored_floor(bounds)
            self.update(bounds.points, prediction, weights, penalty, pooled_rows)
            return
        *_, squares = self._moments(bounds, prediction)
        sums = np.einsum("nk,nk->k", weights, squares) * self.scale_**2
        self._learn_sums(weights.sum(axis=0), sums, penalty, pooled_rows)

    def _set_censored_floor(self, bounds):
        """Smallest scale: only targets that were observed can lie on a grid by rounding."""
        points = self.expert_target(bounds.points)
        observed = points[bounds.lower == bounds.upper]
        step = grid_step(observed) if len(observed) else 0.0
        self._set_floor(step, np.abs(points).max())

    def _learn_sums(self, mass, squares, penalty, pooled_rows):
        """Scales from weights (K,) and weighted sums of squared errors (K,)."""
        self._set_scale(mass, squares + penalty, pooled_rows)


def gaussian_between(low, high):
    """Weight (None: one), mean and mean square of standard Gaussian variables between two ends."""
    middle, is_narrow = _middle(low, high)
    log_mass = GaussianComponents(np.zeros(low.shape), 1.0).log_between(low, high)
    at_low, at_high = _density_ratio(low, log_mass), _density_ratio(high, log_mass)
    mean = np.where(is_narrow, middle, np.clip(at_low - at_high, low, high))
    squares = 1 + _finite(low) * at_low - _finite(high) * at_high
    return None, mean, np.where(is_narrow, middle**2, np.maximum(squares, mean**2))


def _density_ratio(z, log_mass):
    """Gaussian density at an end, over the probability between both."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_mass)


def student_between(low, high, df):
    r"""Mean weight, weighted mean and weighted square of Student's t variables between two ends.

    With the weight :math:`u = (\nu + 1) / (\nu + z^2)` of a value, the density times u is that of
    a t variable of :math:`\nu + 2` degrees of freedom and the scale
    :math:`\sqrt{\nu / (\nu + 2)}`, and the density times uz is minus the derivative of the density.
    """
    middle, is_narrow = _middle(low, high)
    standard = StudentTComponents(np.zeros(low.shape), 1.0, df)
    shrunken = StudentTComponents(np.zeros(low.shape), np.sqrt(df / (df + 2)), df + 2)
    log_mass = standard.log_between(low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        weight = np.exp(shrunken.log_between(low, high) - log_mass)
        at_low, at_high = (np.exp(standard.logpdf(end) - log_mass) for end in (low, high))
        mean = np.clip((at_low - at_high) / weight, low, high)
    weight = np.where(is_narrow, (df + 1) / (df + middle**2), weight)
    mean = np.where(is_narrow, middle, mean)
    squares = np.maximum(df + 1 - df * weight, weight * mean**2)
    return weight, mean, np.where(is_narrow, weight * middle**2, squares)


def _middle(low, high):
    """Middles of the intervals, and whether these are so narrow that they are all that matters."""
    with np.errstate(invalid="ignore"):
        width = high - low
    is_narrow = width < NARROW
    return np.where(is_narrow, low + 0.5 * np.where(is_narrow, width, 0.0), 0.0), is_narrow


def _finite(z):
    return np.where(np.isfinite(z), z, 0.0)
