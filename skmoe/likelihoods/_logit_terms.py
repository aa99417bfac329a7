"""Derivatives of the log-density of successes around logistic regressions."""

import numpy as np
from scipy import special

from ..distributions._counts import log_binomial
from ._terms import PredictorTerms


class BinomialTerms(PredictorTerms):
    """Logistic regressions of successes; the target is these and the trials."""

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.target, self.trials = target[:, :1], target[:, 1:]
        self.proba = special.expit(self.predictors)

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        return np.column_stack([y, np.ones(len(y)) if exposure is None else exposure])

    def log_density(self):
        return log_binomial(self.target, self.trials * self.proba, self.trials)[:, 0]

    def first(self):
        return [self.target - self.trials * self.proba]

    def second(self):
        return [[-self.trials * self.proba * (1 - self.proba)]]

    def undecided(self, weights):
        undecided = weights @ (self.trials * self.proba * (1 - self.proba))
        return np.repeat(undecided, 2)  # of successes and of failures
