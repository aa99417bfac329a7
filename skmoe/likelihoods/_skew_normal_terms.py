"""Derivatives of the log-density of linear regressions with skew-normal errors."""

import numpy as np

from ..distributions._skewed import log_skew_normal, normal_hazard
from ._terms import PredictorTerms, of_each_output

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
        self.hazard = normal_hazard(self.skew * self.z)
        self.bend = -self.hazard * (self.skew * self.z + self.hazard)  # its derivative

    def log_density(self):
        return (log_skew_normal(self.z, self.skew) - self.logs[0]).sum(axis=1)

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
    def mean_of(cls, predictors, beside):
        scale, skew = np.exp(beside[0]), beside[1]
        return predictors + scale * np.sqrt(2 / np.pi) * skew / np.sqrt(1 + skew**2)

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        ones, skew = np.ones_like(predictors), beside[1]
        shift = cls.mean_of(0 * predictors, beside)
        by_skew = np.exp(beside[0]) * np.sqrt(2 / np.pi) * (1 + skew**2) ** -1.5
        return [of_each_output(slopes) for slopes in (ones, shift, by_skew * ones)]

    @classmethod
    def at_bound(cls, logs, likelihood):
        at_floor = (np.exp(logs[:, :, 0]) <= 1.001 * likelihood.floor_).any(axis=1)
        return at_floor | (np.abs(likelihood.skew_) > 0.99 * LARGEST_SKEW)
