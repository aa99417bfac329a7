"""Derivatives of the log-density of generalised linear models, of any family."""

from functools import cache

import numpy as np

from ._terms import PredictorTerms, of_each_output

LARGEST_PREDICTOR = 300.0
LARGEST_SHAPE = 1e5  # beyond, counts are Poisson's, and Gamma's targets exact


class FamilyTerms(PredictorTerms):
    """A generalised linear model; its target is y, and the exposures or trials."""

    family = None  # errors around the linear predictor

    @classmethod
    @cache
    def of(cls, family):
        """The terms of a family, a subclass."""
        attributes = {"family": family}
        if family.scale is not None:
            attributes["logs_of"] = (family.scale,)
        if family.at_bound_message is not None:
            attributes["at_bound_message"] = family.at_bound_message
        return type("FamilyTerms", (cls,), attributes)

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        y, size = target[:, :1], target[:, 1:]
        predictors = np.clip(self.predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
        self.is_possible = self.family.supports(y)  # of zero inflation, not all are
        y = np.where(self.is_possible, y, self.family.mean(predictors))
        self._given = y, predictors, np.exp(self.logs[0]) if self.logs_of else 1.0, size

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        return np.column_stack([y, np.ones(len(y)) if exposure is None else exposure])

    def log_density(self):
        y, predictors, scale, size = self._given
        log_density = self.family.log_density(y, size * self.family.mean(predictors), scale, size)
        return np.where(self.is_possible, log_density, -np.inf)[:, 0]

    def first(self):
        return self.family.first(*self._given)

    def second(self):
        return self.family.second(*self._given)

    def undecided(self, weights):
        if not self.family.is_rate:
            return super().undecided(weights)
        return np.repeat(-weights @ self.second()[0][0], 2)  # of successes and of failures

    @classmethod
    def mean_of(cls, predictors, beside):
        mean = cls.family.mean(np.clip(predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR))
        return mean * cls.family.mean_factor(*np.exp(beside))[0]

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        predictors = np.clip(predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
        factor, of_log = cls.family.mean_factor(*np.exp(beside))
        slopes = of_each_output(cls.family.mean_slope(predictors) * factor)
        of_scale = of_each_output(cls.mean_of(predictors, beside) * of_log)
        return [slopes] + [of_scale] * len(cls.beside())

    @classmethod
    def at_bound(cls, logs, likelihood):
        if not cls.logs_of:
            return super().at_bound(logs, likelihood)
        return logs[:, 0, 0] > np.log(LARGEST_SHAPE)
