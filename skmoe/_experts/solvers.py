"""Solvers of linear experts: which estimators are solved all K at once, and by what.

A solver stands for the estimators of scikit-learn that it solves: within EM no ``fit`` of theirs
is called, and what comes out are such estimators, fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.pipeline import Pipeline

from .._compat import validate_params
from .fitting import has_own_density, join_last, offers, seed_estimator, split_last
from .generalized_linear import GeneralizedLinearExperts
from .least_squares import LeastSquaresExperts
from .logistic import LogisticExperts
from .rates import RateRegressor

# A coefficient for each column is too few to memorise rows.
IN_SAMPLE = (
    LinearRegression,
    Ridge,
    LogisticRegression,
    PoissonRegressor,
    GammaRegressor,
    TweedieRegressor,
)

MOST_SPARSE_COLUMNS = 500  # from this many on, experts fit themselves, without Gram matrices


def are_solved_sparse(shape):
    """Whether linear experts are solved on sparse rows of this shape, or fit themselves."""
    n_samples, n_columns = shape
    return n_columns < min(MOST_SPARSE_COLUMNS, n_samples)


def is_wide(X):
    """Whether sparse X has too many columns for default experts without a chosen penalty."""
    return sparse.issparse(X) and not are_solved_sparse(X.shape)


LEAST_PENALTY = 1e-6
LEAST_PENALTY_OF_CLASSES = 1e-3  # L2 of default experts


@dataclass(frozen=True)
class LinearSolver:
    """A kind of linear experts, and the estimators for which it stands."""

    kind: type  # of LinearExperts
    settings: dict  # settings in addition to the common ones
    default_expert: object  # the unfitted estimator that ``experts=None`` stands for
    default_penalty: float  # L2 of that, on standardised columns
    # L2 penalty of an estimator with an intercept; None of one that has to fit itself. Only the
    # very classes of scikit-learn are solved, not their subclasses, which may do something else.
    own_penalty: Callable
    # What ``experts=None`` stands for where X is wide, but for its penalty; None: the same.
    wide_expert: object = None
    as_expert: Callable = lambda estimator: estimator  # what the user gave as an expert of y

    def penalty_of(self, estimator):
        """L2 penalty of an estimator that is solved here, or None where it has to fit itself.

        Raises an InvalidParameterError if the parameters are not what the estimator's own ``fit``
        takes.
        """
        if type(estimator) in IN_SAMPLE:
            validate_params(estimator)
        if vars(estimator).get("fit_intercept", True):
            return self.own_penalty(estimator)
        return None

    def experts(self, design, y, weight, n_experts, **settings):
        """Experts in training, unstarted.

        ``design`` has finite numbers; ``y`` is what experts are fitted on, or class numbers.
        ``settings`` are ``penalty``, ``prior``, ``exposure`` and ``units`` of ``LinearExperts``;
        under a prior EM is monotone.
        """
        return self.kind(design, y, weight, n_experts, **settings | self.settings)


def least_squares():
    """Solver of linear and ridge regression; the penalty multiplies the whole squared norm."""

    def own_penalty(estimator):
        if type(estimator) is LinearRegression and not estimator.positive:
            return 0.0
        is_ridge = type(estimator) is Ridge and not estimator.positive
        if is_ridge and np.isscalar(estimator.alpha):
            return float(estimator.alpha)
        return None

    default = LinearRegression()
    return LinearSolver(LeastSquaresExperts, {}, default, LEAST_PENALTY, own_penalty, Ridge())


def logistic(classes=None):
    """Solver of logistic regression; the penalty multiplies half the squared norm.

    ``classes`` are labels, in the order of class numbers, or None while they are not known.
    """

    def own_penalty(estimator):
        if type(estimator) is not LogisticRegression or estimator.class_weight is not None:
            return None
        if estimator.penalty is None:
            return 0.0
        is_l2 = estimator.penalty in ("l2", "deprecated") and not estimator.l1_ratio
        if not (is_l2 and is_multinomial(estimator)) or estimator.dual:
            return None
        return 1.0 / estimator.C

    least = LEAST_PENALTY_OF_CLASSES
    wide = LogisticRegression(max_iter=1000)
    default = LogisticRegression(C=1 / least, solver="newton-cholesky", tol=1e-11)
    return LinearSolver(LogisticExperts, {"classes": classes}, default, least, own_penalty, wide)


def generalized_linear(family):
    """Solver of generalised linear models of a family; the penalty is their ``alpha``."""

    def own_penalty(estimator):
        is_of_family = type(estimator) is type(default)
        if is_of_family and isinstance(estimator, TweedieRegressor):
            is_of_family = (estimator.power, estimator.link) == (default.power, default.link)
        if is_of_family:
            return float(estimator.alpha)
        return None

    default = family.estimator(alpha=0)
    settings = {"family": family}
    return LinearSolver(GeneralizedLinearExperts, settings, default, LEAST_PENALTY, own_penalty)


def rates(family):
    """Solver of logistic regressions of rates of success; the penalty is as of classes."""
    of_classes = logistic()

    def own_penalty(estimator):
        is_rate = isinstance(estimator, RateRegressor)
        if is_rate:
            return of_classes.penalty_of(estimator.classifier)
        return None

    def as_expert(estimator):
        last = split_last(estimator)[1]
        if isinstance(last, type) or not is_classifier(last):
            if has_own_density(last):
                raise ValueError(
                    "A mixture of regressors learns no rates: take a MixtureOfExpertsClassifier."
                )
            return estimator
        return join_last(estimator, RateRegressor(last))

    return LinearSolver(
        GeneralizedLinearExperts,
        {"family": family},
        RateRegressor(of_classes.default_expert),
        of_classes.default_penalty,
        own_penalty,
        as_expert=as_expert,
    )


def is_multinomial(estimator):
    """Whether a LogisticRegression is one for all classes, and not for each against the rest."""
    multi_class = estimator.get_params(deep=False).get("multi_class", "deprecated")
    return multi_class == "deprecated" and estimator.solver != "liblinear"


def count_coefficients(estimator, X, y):
    """Coefficients, intercept included, of a linear model for each function that it fits.

    The transformers of a Pipeline are fitted, to see what they make of X.
    """
    if has_experts(estimator):
        return sum(count_coefficients(e, X, y) for e in estimator._expert_list()[1])
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = seed_estimator(estimator[:-1], 0).fit_transform(X, y)
    return X.shape[1] + 1


def is_linear(estimator):
    """Whether in-sample predictions are honest enough: linear, logistic and log-linear models.

    For a Pipeline, the last step counts; for a mixture, its experts.
    """
    if has_experts(estimator):
        in_sample = estimator.cv is False or estimator.cv == "auto"
        return in_sample and all(is_linear(expert) for expert in estimator._expert_list()[1])
    last = split_last(estimator)[1]
    if isinstance(last, RateRegressor):
        last = last.classifier
    return isinstance(last, IN_SAMPLE)


def has_experts(estimator):
    """Whether an estimator is a mixture."""
    return offers(estimator, "_expert_list")
