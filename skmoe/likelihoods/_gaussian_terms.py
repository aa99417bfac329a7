"""Log-densities of linear regressions with Gaussian errors, observed or censored."""

from functools import cache

import numpy as np

from ..distributions import GaussianComponents
from ._terms import PredictorTerms

LARGEST_LOG = 700.0  # of a mean


class GaussianTerms(PredictorTerms):
    """Linear regressions with Gaussian errors."""

    logs_of = ("scale_",)
    standardises = True

    def log_densities(self):
        squares = ((self.target - self.predictors) * np.exp(-self.logs[0])) ** 2
        return -0.5 * (squares + np.log(2 * np.pi)) - self.logs[0]

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


class LogNormalTerms(LogNormalMean, GaussianTerms):
    """Gaussian errors of the logarithm of y."""

    @classmethod
    def log_jacobian(cls, target):
        return -target.sum(axis=1)


class CensoredGaussianTerms(GaussianTerms):
    """Linear regressions with Gaussian errors whose targets lie between bounds.

    The target is a column of lower and one of upper bounds, equal where it was observed.
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

    def log_densities(self):
        components = GaussianComponents(self.predictors, np.exp(self.logs[0]))
        return components.log_between(self.target[:, :1], self.target[:, 1:])


class CensoredLogNormalTerms(LogNormalMean, CensoredGaussianTerms):
    """Gaussian errors of the logarithm of y."""

    @classmethod
    def log_jacobian(cls, target):
        return np.where(cls.has_density(target), -target[:, 0], 0.0)
