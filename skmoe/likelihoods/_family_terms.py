"""Log-densities of generalised linear models, of any family."""

from functools import cache

import numpy as np

from ._terms import PredictorTerms

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

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        return np.column_stack([y, np.ones(len(y)) if exposure is None else exposure])

    def log_densities(self):
        y, size = self.target[:, :1], self.target[:, 1:]
        mean = self.family.mean(np.clip(self.predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR))
        y = np.where(self.family.supports(y), y, mean)  # of zero inflation, not all are possible
        scale = np.exp(self.logs[0]) if self.logs_of else 1.0
        return self.family.log_density(y, size * mean, scale, size)

    def log_density(self):
        is_possible = self.family.supports(self.target[:, 0])
        return np.where(is_possible, self.log_densities()[:, 0], -np.inf)

    def widths(self):
        steep = self.family.scale_is_slope  # the log-density depends on scale * predictor
        return [np.exp(-np.maximum(self.logs[0], 0.0)) if steep else 1.0, *super().widths()[1:]]

    def undecided(self, weights):
        if not self.family.is_rate:
            return super().undecided(weights)
        return np.repeat(-weights @ self.second()[0][0], 2)  # of successes and of failures

    @classmethod
    def mean_of(cls, predictors, beside):
        return cls.family.mean(np.clip(predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR))

    @classmethod
    def at_bound(cls, logs, likelihood):
        if not cls.logs_of:
            return super().at_bound(logs, likelihood)
        return logs[:, 0, 0] > np.log(LARGEST_SHAPE)


class CensoredFamilyTerms(FamilyTerms):
    """A generalised linear model whose targets lie between bounds."""

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        """The bounds, in two columns; y is a ``Bounds``."""
        return np.column_stack([y.lower, y.upper])

    def log_densities(self):
        mean = self.family.mean(np.clip(self.predictors, -LARGEST_PREDICTOR, LARGEST_PREDICTOR))
        components = self.family.components(mean, np.exp(self.logs[0]))
        return components.log_between(self.target[:, :1], self.target[:, 1:])

    def log_density(self):
        return self.log_densities()[:, 0]
