"""Derivatives of the log-probability of censored targets, for standard errors."""

import numpy as np

from ..distributions import GaussianComponents
from ._gaussian_terms import GaussianTerms, LogNormalMean


class CensoredGaussianTerms(GaussianTerms):
    """Linear regressions with Gaussian errors whose targets lie between bounds.

    The target is a column of lower and one of upper bounds, equal where it was observed. With the
    standardised bounds a and b and the densities there over the probability between them, h(a) and
    h(b), sums ``a**p h(a) - b**p h(b)`` make all derivatives.
    """

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        """The bounds on the scale of the predictions, in two columns; y is a ``Bounds``."""
        return np.column_stack([likelihood.expert_target(end) for end in (y.lower, y.upper)])

    @classmethod
    def points(cls, target):
        lower = np.where(np.isfinite(target[:, :1]), target[:, :1], target[:, 1:])
        return np.where(np.isfinite(target[:, 1:]), 0.5 * (lower + target[:, 1:]), lower)

    @classmethod
    def has_density(cls, target):
        return target[:, 0] == target[:, 1]

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.is_observed = self.has_density(target)[:, None]
        self.residuals = self.residuals[:, :1]
        self.scale = np.exp(self.logs[0])
        components = GaussianComponents(self.predictors, self.scale)
        self._log_density = components.log_between(target[:, :1], target[:, 1:])
        self._sums = self._sums_at_bounds()

    def _sums_at_bounds(self):
        """Sums for the powers 0, 1, 2 and 3; zeros for observed targets."""
        sums = np.zeros((4, *self.predictors.shape))
        for end, sign in ((self.target[:, :1], 1.0), (self.target[:, 1:], -1.0)):
            matters = np.isfinite(end) & ~self.is_observed
            z = np.where(matters, (end - self.predictors) / self.scale, 0.0)
            log_ratio = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - self._log_density
            ratio = np.exp(np.where(matters, log_ratio, -np.inf))
            for power in range(4):
                sums[power] += sign * z**power * ratio
        return sums

    def log_density(self):
        return self._log_density[:, 0]

    def first(self):
        zeroth, once, *_ = self._sums
        return [
            np.where(self.is_observed, observed, censored)
            for observed, censored in zip(super().first(), [zeroth / self.scale, once], strict=True)
        ]

    def second(self):
        zeroth, once, twice, thrice = self._sums
        mixed = (twice - zeroth * once - zeroth) / self.scale
        censored = [
            [(once - zeroth**2) / self.scale**2, mixed],
            [mixed, thrice - once - once**2],
        ]
        return [
            [np.where(self.is_observed, *pair) for pair in zip(*rows, strict=True)]
            for rows in zip(super().second(), censored, strict=True)
        ]


class CensoredLogNormalTerms(LogNormalMean, CensoredGaussianTerms):
    """Gaussian errors of the logarithm of y."""

    @classmethod
    def log_jacobian(cls, target):
        return np.where(cls.has_density(target), -target[:, 0], 0.0)
