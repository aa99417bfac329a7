"""Derivatives of the log-probability of classes by logistic regressions."""

import numpy as np

from .._numerics.grams import weighted_grams
from .._numerics.multinomial import log_softmax
from ._terms import ExpertTerms


class SoftmaxTerms(ExpertTerms):
    """Multinomial logistic regression, by log-odds against the first class.

    Parameters
    ----------
    theta : ndarray of shape ((n_classes - 1) * n_columns,)
        Coefficients of one class after the other.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    labels : ndarray of shape (n_samples, n_classes)
        One-hot, or soft.
    """

    def __init__(self, theta, design, labels):
        super().__init__(theta, design, labels)
        self.log_proba = log_softmax(np.column_stack([np.zeros(len(design)), self.predictors]))
        self.proba = np.exp(self.log_proba)

    @staticmethod
    def n_predictors(labels):
        return labels.shape[1] - 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        return np.eye(len(likelihood.class_share_))[y]

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        intercept, coef = np.reshape(expert.intercept_, (-1, 1)), expert.coef_
        parameters = np.column_stack([intercept, coef])
        return parameters[1:] - parameters[0] if len(parameters) > 1 else parameters

    def log_density(self):
        return (self.target * self.log_proba).sum(axis=1)

    def score(self, labels=None):
        """Gradient of each row's log-density, (n_samples, size); of other labels where given."""
        beyond = (self.target if labels is None else labels) - self.proba
        return (beyond[:, 1:, None] * self.design[:, None, :]).reshape(len(beyond), -1)

    def hessian(self, weights):
        n_odds, n_columns = self.proba.shape[1] - 1, self.design.shape[1]
        hessian = np.zeros((n_odds, n_columns, n_odds, n_columns))
        for i in range(n_odds):
            proba = self.proba[:, 1:]
            of_pair = weights[:, None] * proba[:, [i]] * proba
            of_pair[:, i] -= weights * proba[:, i]
            hessian[i] = weighted_grams(self.design, of_pair).transpose(1, 0, 2)
        return hessian.reshape(n_odds * n_columns, n_odds * n_columns)

    def undecided(self, weights):
        return weights @ (self.proba * (1 - self.proba))

    @classmethod
    def mean_of(cls, predictors, beside):
        return np.exp(log_softmax(np.column_stack([np.zeros(len(predictors)), predictors])))
