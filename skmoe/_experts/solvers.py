"""Solvers of linear experts: which estimators are solved all K at once, and by what.

A solver stands for the estimators of scikit-learn that it solves: within EM no ``fit`` of theirs
is called, and what comes out are such estimators, fitted.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy import sparse
from sklearn.base import clone, is_classifier
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
from .ordered_logistic import OrderedLogisticExperts, OrderedLogisticRegression, ranks_of
from .rates import RateRegressor

# A coefficient for each column is too few to learn rows by heart.
IN_SAMPLE = (
    LinearRegression,
    Ridge,
    LogisticRegression,
    OrderedLogisticRegression,
    PoissonRegressor,
    GammaRegressor,
    TweedieRegressor,
)

MOST_SPARSE_COLUMNS = 500  # of so many and more, experts fit themselves: no Gram matrices


def are_solved_sparse(shape):
    """Whether linear experts are solved on sparse rows of this shape, or fit themselves."""
    n_samples, n_columns = shape
    return n_columns < min(MOST_SPARSE_COLUMNS, n_samples)


def is_wide(X):
    """Whether sparse X has too many columns for default experts without a chosen penalty."""
    return sparse.issparse(X) and not are_solved_sparse(X.shape)


class LinearSolver(ABC):
    """A kind of linear experts.

    Attributes
    ----------
    default_penalty : float
        L2 penalty of the default experts, on standardised columns.
    """

    default_penalty: float

    @abstractmethod
    def default_expert(self):
        """The unfitted estimator that ``experts=None`` stands for."""

    def wide_expert(self):
        """What ``experts=None`` stands for where X is wide, but for its penalty; None: the same."""
        return None

    def as_expert(self, estimator):
        """An expert of this target, made of what the user gave: by default that itself."""
        return estimator

    def penalty_of(self, estimator):
        """L2 penalty of an estimator that is solved here, or None where it has to fit itself.

        Only the very classes of scikit-learn with an intercept qualify, not their subclasses:
        those may do something else.

        Raises an InvalidParameterError if the parameters are not what the estimator's own ``fit``
        takes.
        """
        if type(estimator) in IN_SAMPLE:
            validate_params(estimator)
        if not estimator.get_params(deep=False).get("fit_intercept"):
            return None
        return self._penalty_of(estimator)

    @abstractmethod
    def _penalty_of(self, estimator):
        """``penalty_of`` an estimator with an intercept and valid parameters."""

    @abstractmethod
    def experts(self, design, y, weight, n_experts, **settings):
        """Experts in training, unstarted.

        ``design`` has finite numbers; ``y`` is what experts are fitted on, or class numbers.
        ``settings`` are ``penalty``, ``prior``, ``exposure`` and ``units`` of ``LinearExperts``;
        under a prior EM is monotone.
        """


class LeastSquares(LinearSolver):
    """Linear and ridge regression; ``penalty`` multiplies the whole squared norm."""

    default_penalty = 1e-6

    def default_expert(self):
        return LinearRegression()

    def wide_expert(self):
        return Ridge()

    def _penalty_of(self, estimator):
        if estimator.get_params(deep=False).get("positive"):
            return None
        if type(estimator) is LinearRegression:
            return 0.0
        if type(estimator) is Ridge and np.isscalar(estimator.alpha):
            return float(estimator.alpha)
        return None

    def experts(self, design, y, weight, n_experts, **settings):
        return LeastSquaresExperts(design, y, weight, n_experts, **settings)


class Logistic(LinearSolver):
    """Logistic regression of two and more classes; ``penalty`` multiplies half the squared norm.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,), default=None
        Labels, in the order of class numbers; None while they are not known.
    """

    default_penalty = 1e-3

    def __init__(self, classes=None):
        self.classes = classes

    def default_expert(self):
        return LogisticRegression(C=1 / self.default_penalty, solver="newton-cholesky", tol=1e-11)

    def wide_expert(self):
        return LogisticRegression(max_iter=1000)

    def _penalty_of(self, estimator):
        if type(estimator) is not LogisticRegression or estimator.class_weight is not None:
            return None
        if estimator.penalty is None:
            return 0.0
        is_l2 = estimator.penalty in ("l2", "deprecated") and not estimator.l1_ratio
        if not (is_l2 and is_multinomial(estimator)) or estimator.dual:
            return None
        return 1.0 / estimator.C

    def experts(self, design, y, weight, n_experts, **settings):
        return LogisticExperts(design, y, weight, n_experts, classes=self.classes, **settings)


class OrderedLogistic(LinearSolver):
    """Proportional odds of ordered classes; ``penalty`` is as for ``Logistic``.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,), default=None
        Labels, in the order of class numbers; None while they are not known.
    order : list, default=None
        Labels from the lowest to the highest.
    """

    default_penalty = Logistic.default_penalty

    def __init__(self, classes=None, order=None):
        self.classes, self.order = classes, order

    def default_expert(self):
        return OrderedLogisticRegression(self.default_penalty, order=self.order)

    def as_expert(self, estimator):
        last = split_last(estimator)[1]
        if not isinstance(last, OrderedLogisticRegression):
            raise ValueError(
                "likelihood='ordinal' needs experts=None or OrderedLogisticRegression(); got "
                f"{last!r}."
            )
        return join_last(estimator, clone(last).set_params(order=self.order))

    def penalty_of(self, estimator):
        validate_params(estimator)
        return self._penalty_of(estimator)

    def _penalty_of(self, estimator):
        return float(estimator.alpha)

    def experts(self, design, y, weight, n_experts, **settings):
        settings |= {"classes": self.classes, "ranks": ranks_of(self.classes, self.order)}
        return OrderedLogisticExperts(design, y, weight, n_experts, **settings | {"prior": True})


class GeneralizedLinear(LinearSolver):
    """Generalised linear models of positive means; ``penalty`` is their ``alpha``.

    Parameters
    ----------
    family : Family
        Errors around the linear predictor.
    """

    default_penalty = 1e-6

    def __init__(self, family):
        self.family = family

    def default_expert(self):
        return self.family.estimator(alpha=0)

    def _penalty_of(self, estimator):
        return float(estimator.alpha) if type(estimator) is self.family.estimator else None

    def experts(self, design, y, weight, n_experts, **settings):
        given = design, y, weight, n_experts
        return GeneralizedLinearExperts(*given, family=self.family, **settings)


class Rates(GeneralizedLinear):
    """Logistic regressions of rates of success; ``penalty`` is as for ``Logistic``."""

    default_penalty = Logistic.default_penalty
    of_classes = Logistic()

    def default_expert(self):
        return RateRegressor(self.of_classes.default_expert())

    def as_expert(self, estimator):
        """The same, but for classifiers, which become regressors of rates."""
        last = split_last(estimator)[1]
        if isinstance(last, type) or not is_classifier(last):
            if has_own_density(last):
                raise ValueError(
                    "A mixture of regressors knows no trials and is no expert of rates; take a "
                    "MixtureOfExpertsClassifier."
                )
            return estimator
        return join_last(estimator, RateRegressor(last))

    def penalty_of(self, estimator):
        is_rate = isinstance(estimator, RateRegressor)
        return self.of_classes.penalty_of(estimator.classifier) if is_rate else None


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

    Of a Pipeline, the last step counts; of a mixture, its experts.
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
