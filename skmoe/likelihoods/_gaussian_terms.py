"""Derivatives of the log-density of linear regressions with Gaussian errors."""

from functools import cache

import numpy as np

from ._terms import PredictorTerms, of_each_output

LARGEST_LOG = 700.0  # of a mean


class GaussianTerms(PredictorTerms):
    """Linear regressions with Gaussian errors."""

    logs_of = ("scale_",)
    standardises = True

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.precision = np.exp(-2 * self.logs[0])
        self.residuals = self.target - self.predictors

    def log_density(self):
        squares = self.residuals**2 * self.precision
        return (-0.5 * (squares + np.log(2 * np.pi)) - self.logs[0]).sum(axis=1)

    def first(self):
        by_location = self.residuals * self.precision
        return [by_location, self.residuals * by_location - 1]

    def second(self):
        mixed = -2 * self.residuals * self.precision
        of_location = np.broadcast_to(-self.precision, mixed.shape)
        return [[of_location, mixed], [mixed, self.residuals * mixed]]

    @classmethod
    def at_bound(cls, logs, likelihood):
        return (np.exp(logs[:, :, 0]) <= 1.001 * likelihood.floor_).any(axis=1)


@cache
def of_shared_scale(terms):
    """The same terms of one scale for all experts, a subclass."""
    return type(terms.__name__, (terms,), {"shared_logs": ("scale_",)})


class LogNormalMean:
    """Mean of what has a logarithm with Gaussian errors."""

    @classmethod
    def mean_of(cls, predictors, beside):
        return np.exp(np.clip(predictors + 0.5 * np.exp(2 * beside[0]), None, LARGEST_LOG))

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        mean = cls.mean_of(predictors, beside)
        return [of_each_output(mean), of_each_output(mean * np.exp(2 * beside[0]))]


class LogNormalTerms(LogNormalMean, GaussianTerms):
    """Gaussian errors of the logarithm of y."""

    @classmethod
    def log_jacobian(cls, target):
        return -target.sum(axis=1)
