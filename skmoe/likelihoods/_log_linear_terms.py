"""Derivatives of the log-density of generalised linear models with a log link."""

from abc import abstractmethod

import numpy as np
from scipy import special

from ._terms import PredictorTerms, of_each_output

LARGEST_LOG_MEAN = 300.0
LARGEST_SHAPE = 1e5  # beyond, counts are Poisson's, and Gamma's targets exact


class LogLinearTerms(PredictorTerms):
    """A generalised linear model with a log link; its target is y and the log-exposure."""

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.target = target[:, :1]
        log_mean = np.clip(self.predictors + target[:, 1:], -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN)
        self.mean = np.exp(log_mean)

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        return np.column_stack([y, np.zeros(len(y)) if exposure is None else np.log(exposure)])

    def log_density(self):
        return self._log_density()[:, 0]

    @classmethod
    def mean_of(cls, predictors, beside):
        return np.exp(np.clip(predictors, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN))

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        slopes = of_each_output(cls.mean_of(predictors, beside))
        return [slopes] + [np.zeros_like(slopes)] * len(cls.beside())

    @abstractmethod
    def _log_density(self):
        """``log_density`` as a column."""


class PoissonTerms(LogLinearTerms):
    """Counts whose variance is their mean."""

    def _log_density(self):
        return special.xlogy(self.target, self.mean) - self.mean - special.gammaln(self.target + 1)

    def first(self):
        return [self.target - self.mean]

    def second(self):
        return [[-self.mean]]


class ShapeTerms(LogLinearTerms):
    """A log-linear model with a shape."""

    logs_of = ("shape_",)

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.shape = np.exp(self.logs[0])

    @classmethod
    def at_bound(cls, logs, likelihood):
        return logs[:, 0, 0] > np.log(LARGEST_SHAPE)


class NegativeBinomialTerms(ShapeTerms):
    """Counts whose variance is ``mean + mean**2 / shape``."""

    at_bound_message = (
        "The counts of {names} vary no more than Poisson's, so that their shape has no "
        "maximum and no standard error. Take likelihood='poisson'."
    )

    def _log_density(self):
        y, shape, total = self.target, self.shape, self.mean + self.shape
        log_binomial = special.gammaln(y + shape) - special.gammaln(shape) - special.gammaln(y + 1)
        excess = -shape * np.log1p(self.mean / shape)
        return log_binomial + excess + special.xlogy(y, self.mean / total)

    def first(self):
        y, mean, shape = self.target, self.mean, self.shape
        return [(y - mean) * shape / (mean + shape), shape * self._by_shape()]

    def _by_shape(self):
        y, shape, total = self.target, self.shape, self.mean + self.shape
        of_gamma = special.digamma(y + shape) - special.digamma(shape)
        return of_gamma + np.log(shape / total) + 1 - (y + shape) / total

    def second(self):
        y, mean, shape, total = self.target, self.mean, self.shape, self.mean + self.shape
        of_gamma = special.polygamma(1, y + shape) - special.polygamma(1, shape)
        bend = of_gamma + 1 / shape - 2 / total + (y + shape) / total**2
        mixed = (y - mean) * mean * shape / total**2
        return [
            [-mean * shape * (y + shape) / total**2, mixed],
            [mixed, shape * self._by_shape() + shape**2 * bend],
        ]


class GammaTerms(ShapeTerms):
    """Positive targets whose standard deviation is ``mean / sqrt(shape)``."""

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.is_zero = self.target == 0  # of zero inflation: no row of this expert
        self.target = np.where(self.is_zero, self.mean, self.target)

    def _log_density(self):
        shape, ratio = self.shape, self.target / self.mean
        constant = shape * np.log(shape) - special.gammaln(shape)
        log_density = constant + shape * (np.log(ratio) - ratio) - np.log(self.target)
        return np.where(self.is_zero, -np.inf, log_density)

    def first(self):
        ratio = self.target / self.mean
        return [self.shape * (ratio - 1), self.shape * self._by_shape(ratio)]

    def _by_shape(self, ratio):
        return np.log(self.shape) + 1 - special.digamma(self.shape) + np.log(ratio) - ratio

    def second(self):
        ratio, shape = self.target / self.mean, self.shape
        bend = 1 / shape - special.polygamma(1, shape)
        mixed = shape * (ratio - 1)
        return [[-shape * ratio, mixed], [mixed, shape * self._by_shape(ratio) + shape**2 * bend]]
