"""Derivatives of the log-density of linear regressions with skew-normal errors."""

import numpy as np
from scipy import special

from ._terms import PredictorTerms

LARGEST_SKEW = 50.0  # beyond, errors are those of half a normal distribution


class SkewNormalTerms(PredictorTerms):
    """Linear regressions with skew-normal errors."""

    logs_of = ("scale_",)
    values_of = ("skew_",)
    standardises = True
    at_bound_message = (
        "The scale of {names} is at its floor, or the skew as large as is allowed: there the "
        "likelihood is not at a maximum, and has no standard errors."
    )

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.scale, self.skew = np.exp(self.logs[0]), self.values[0]
        self.z = (self.target - self.predictors) / self.scale
        inside = self.skew * self.z
        log_cdf = special.log_ndtr(inside)
        self.hazard = np.exp(-0.5 * inside**2 - 0.5 * np.log(2 * np.pi) - log_cdf)
        self.bend = -self.hazard * (inside + self.hazard)  # its derivative
        self.log_cdf = log_cdf

    def log_density(self):
        of_normal = -0.5 * (self.z**2 + np.log(2 * np.pi))
        return (np.log(2) + of_normal + self.log_cdf - self.logs[0]).sum(axis=1)

    def first(self):
        z, slope = self.z, self.z - self.skew * self.hazard
        return [slope / self.scale, z * slope - 1, z * self.hazard]

    def second(self):
        z, skew, scale = self.z, self.skew, self.scale
        slope, curvature = z - skew * self.hazard, 1 - skew**2 * self.bend
        by_skew = -self.hazard - skew * z * self.bend
        mixed = -(slope + z * curvature) / scale
        return [
            [-curvature / scale**2, mixed, by_skew / scale],
            [mixed, z * scale * mixed, z * by_skew],
            [by_skew / scale, z * by_skew, z**2 * self.bend],
        ]

    @classmethod
    def at_bound(cls, logs, likelihood):
        at_floor = (np.exp(logs[:, :, 0]) <= 1.001 * likelihood.floor_).any(axis=1)
        return at_floor | (np.abs(likelihood.skew_) > 0.99 * LARGEST_SKEW)
