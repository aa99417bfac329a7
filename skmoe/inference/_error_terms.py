"""Log-densities of experts under each likelihood, from which standard errors are made."""

from functools import cache

import numpy as np

from .._numerics.multinomial import log_softmax
from .._numerics.statistics import weighted_grams
from ..distributions import GaussianComponents, StudentTComponents
from ._terms import ExpertTerms, PredictorTerms

LARGEST_LOG = 700.0  # of a mean
LARGEST_DF = 150.0  # beyond, tails are those of Gaussian errors
LARGEST_PREDICTOR = 300.0
LARGEST_SHAPE = 1e5  # beyond, counts are Poisson's, and Gamma's targets exact


@cache
def variant(terms, **attributes):
    """The same terms with other attributes, a subclass."""
    return type(terms.__name__, (terms,), attributes)


# Linear regressions ------------------------------------------------------------------------------


class GaussianTerms(PredictorTerms):
    """Linear regressions with Gaussian errors, of the target or of its logarithm.

    Where it ``is_censored``, the target is a column of lower and one of upper bounds, equal where
    it was observed.
    """

    logs_of = ("scale_",)
    standardises = True
    of_logarithm = is_censored = False

    @classmethod
    def of(cls, *, is_shared=False, **kind):
        """The terms of a kind, a subclass; ``is_shared`` where all experts have one scale."""
        return variant(cls, shared_logs=("scale_",) if is_shared else (), **kind)

    @classmethod
    def n_predictors(cls, target):
        if cls.is_censored:
            return 1
        return target.shape[1]

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        if not cls.is_censored:
            return super().target_of(likelihood, y, exposure)
        return np.column_stack([likelihood.expert_target(end) for end in (y.lower, y.upper)])

    @classmethod
    def points(cls, target):
        if not cls.is_censored:
            return target
        lower = np.where(np.isfinite(target[:, :1]), target[:, :1], target[:, 1:])
        return np.where(np.isfinite(target[:, 1:]), 0.5 * (lower + target[:, 1:]), lower)

    @classmethod
    def has_density(cls, target):
        return (target[:, 0] == target[:, -1]) | (not cls.is_censored)

    @classmethod
    def log_jacobian(cls, target):
        if not cls.of_logarithm:
            return super().log_jacobian(target)
        logarithms = target[:, : cls.n_predictors(target)].sum(axis=1)
        return np.where(cls.has_density(target), -logarithms, 0.0)

    @classmethod
    def mean_of(cls, predictors, beside):
        if not cls.of_logarithm:
            return predictors
        return np.exp(np.clip(predictors + 0.5 * np.exp(2 * beside[0]), None, LARGEST_LOG))

    def errors(self):
        """Distributions (n_samples, n_outputs) around the predictors."""
        return GaussianComponents(self.predictors, np.exp(self.logs[0]))

    def log_densities(self):
        if self.is_censored:
            return self.errors().log_between(self.target[:, :1], self.target[:, 1:])
        return self.errors().logpdf(self.target)

    @classmethod
    def at_bound(cls, logs, likelihood):
        return (np.exp(logs[:, :, 0]) <= 1.001 * likelihood.floor_).any(axis=1)


class PooledTerms(GaussianTerms):
    """Gaussian errors of linear experts that a prior shrinks.

    At a maximum of the likelihood the second derivatives by a coefficient and a log-scale are zero.
    Elsewhere they are the gradient of the prior, with which experts of more columns than rows would
    have no joint maximum with their scale: they are left out.
    """

    @classmethod
    def at_bound(cls, logs, likelihood):
        return likelihood.at_floor_

    def second(self):
        (of_location, mixed), (_, of_log) = super().second()
        nothing = np.zeros_like(mixed)
        return [[of_location, nothing], [nothing, of_log]]


class StudentTTerms(GaussianTerms):
    """Linear regressions with Student's t errors; one output."""

    logs_of = ("scale_", "df_")
    df = None  # degrees of freedom; None where they are parameters
    at_bound_message = (
        "The scale of {names} is at its floor, or its tails are as light as those of Gaussian "
        "errors: there the likelihood is not at a maximum, and has no standard errors."
    )

    @classmethod
    def of_df(cls, df):
        """The terms for given degrees of freedom, or for those that are to be estimated."""
        if df == "estimate":
            return cls
        return variant(cls, logs_of=("scale_",), df=df)

    def errors(self):
        if self.df is None:
            df = np.exp(self.logs[1])
        else:
            df = self.df
        return StudentTComponents(self.predictors, np.exp(self.logs[0]), df)

    @classmethod
    def at_bound(cls, logs, likelihood):
        has_light_tails = (np.exp(logs[:, :, 1:]) > LARGEST_DF).any(axis=(1, 2))
        return super().at_bound(logs, likelihood) | has_light_tails


# Generalised linear models, of any family --------------------------------------------------------


class FamilyTerms(PredictorTerms):
    """A generalised linear model.

    Its target is y, and the exposures or trials; or, where it ``is_censored``, the bounds.
    """

    family = None  # errors around the linear predictor
    is_censored = False

    @classmethod
    def of(cls, family, *, is_censored=False):
        """The terms of a family, a subclass."""
        return variant(
            cls,
            family=family,
            is_censored=is_censored,
            logs_of=() if family.scale is None else (family.scale,),
            at_bound_message=family.at_bound_message or cls.at_bound_message,
        )

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        if cls.is_censored:
            return np.column_stack([y.lower, y.upper])
        return np.column_stack([y, np.ones(len(y)) if exposure is None else exposure])

    def log_densities(self):
        mean = self.mean_of(self.predictors, self.logs)
        if self.logs_of:
            scale = np.exp(self.logs[0])
        else:
            scale = 1.0
        first = self.target[:, :1]
        second = self.target[:, 1:]
        if self.is_censored:
            return self.family.components(mean, scale).log_between(first, second)
        return self.family.log_density(first, second * mean, scale, second)

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
        return logs[:, 0, 0] > np.log(LARGEST_SHAPE * likelihood.family.target_unit)


# Derivatives of the log-probability of classes by logistic regressions ---------------------------


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
        intercept = np.reshape(expert.intercept_, (-1, 1))
        coef = expert.coef_
        parameters = np.column_stack([intercept, coef])
        if len(parameters) > 1:
            return parameters[1:] - parameters[0]
        return parameters

    def log_density(self):
        return (self.target * self.log_proba).sum(axis=1)

    def score(self, labels=None):
        """Gradient of each row's log-density, (n_samples, size); of other labels where given."""
        beyond = (self.target if labels is None else labels) - self.proba
        return (beyond[:, 1:, None] * self.design[:, None, :]).reshape(len(beyond), -1)

    def hessian(self, weights):
        n_odds = self.proba.shape[1] - 1
        n_columns = self.design.shape[1]
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
