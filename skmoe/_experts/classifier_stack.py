"""One classifier more: what combines the probabilities of classifiers that are fitted already."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from .._tables.mixed import accepts
from .prediction import aligned_proba

# Chosen by cross-validated log-score of unlike classifiers on small tables.
FLOOR = 1e-3  # added to probabilities before their logarithm is taken
WEIGHT_PENALTY = 2.0  # L2 of the deviations of the weights from equal ones
COEF_PENALTY = 1.0  # L2 of the coefficients of the probabilities


def pooled_log_proba(proba, weights, coef):
    """Logarithms (n, n_classes) of the combined probabilities of (n, K, n_classes).

    ``weights`` (K,) are of their logarithms; ``coef`` (K, n_classes, n_classes) of themselves, from
    each classifier and class to each class.
    """
    log_odds = np.einsum("nkc,k->nc", np.log(proba + FLOOR), weights)
    return log_softmax(log_odds + np.tensordot(proba, coef), axis=1)


def negative_log_likelihood(weights, coef, proba, y, sample_weight):
    """Penalised negative log-likelihood of classes, and its derivatives by weights and coef.

    ``proba`` (n_samples, K, n_classes) is of rows that the classifiers have not seen, ``y`` class
    numbers.
    """
    log_proba = pooled_log_proba(proba, weights, coef)
    rows = np.arange(len(y))
    deviations = weights - 1 / len(weights)
    value = -sample_weight @ log_proba[rows, y]
    value += 0.5 * WEIGHT_PENALTY * deviations @ deviations
    value += 0.5 * COEF_PENALTY * np.sum(coef**2)
    excess = np.exp(log_proba)
    excess[rows, y] -= 1.0
    excess *= sample_weight[:, None]
    by_weights = np.einsum("nkc,nc->k", np.log(proba + FLOOR), excess)
    by_coef = np.tensordot(proba, excess, axes=(0, 0))
    return value, by_weights + WEIGHT_PENALTY * deviations, by_coef + COEF_PENALTY * coef


def fit_log_linear_pool(proba, y, sample_weight):
    """Weights and coef that minimise ``negative_log_likelihood``, which is convex, by L-BFGS."""
    _, K, n_classes = proba.shape
    total = sample_weight.sum()

    def unpacked(theta):
        return theta[:K], theta[K:].reshape(K, n_classes, n_classes)

    def value_and_gradient(theta):
        value, *gradient = negative_log_likelihood(*unpacked(theta), proba, y, sample_weight)
        return value / total, np.append(*gradient) / total

    start = np.append(np.full(K, 1 / K), np.zeros(K * n_classes**2))
    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6, "maxcor": 20}
    result = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return unpacked(result.x)


class ClassifierStack(ClassifierMixin, BaseEstimator):
    r"""A stack of classifiers that are fitted already.

    .. math:: p(c \mid x) \propto \exp\Big(\sum_k w_k \log(p_k(c \mid x) + 0.001)
        + \sum_{kd} v_{kdc} \, p_k(d \mid x)\Big)

    The first sum is a product of experts, whose weights have an L2 penalty of their deviations
    from equal ones; the second is the multinomial logistic regression of ``StackingClassifier``.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Fitted classifiers.

    Attributes
    ----------
    estimators_ : list of estimators
        The classifiers.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    weights_ : ndarray of shape (n_estimators,)
        w.
    coef_ : ndarray of shape (n_estimators, n_classes, n_classes)
        v.
    """

    def __init__(self, estimators):
        self.estimators = estimators

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        takes = (accepts(each, "allow_nan") for _, each in self.estimators)
        tags.input_tags.allow_nan = all(takes)
        return tags

    def fit(self, X, y, sample_weight=None):
        """Learn to combine the classifiers, which stay as they are, on rows unseen by them."""
        classes, numbers = np.unique(y, return_inverse=True)
        if sample_weight is None:
            weight = np.ones(len(numbers))
        else:
            weight = np.asarray(sample_weight)
        estimators = [estimator for _, estimator in self.estimators]
        proba = np.stack([aligned_proba(each, X, classes) for each in estimators], axis=1)
        return self.take(fit_log_linear_pool(proba, numbers, weight), classes)

    def take(self, combination, classes):
        """Take weights and coef that were fitted elsewhere, for these class labels; self."""
        self.estimators_ = [estimator for _, estimator in self.estimators]
        self.classes_ = classes
        self.weights_, self.coef_ = combination
        return self

    def predict_proba(self, X):
        """Class probabilities (n_samples, n_classes)."""
        proba = [aligned_proba(each, X, self.classes_) for each in self.estimators_]
        return self.combine(np.stack(proba, axis=1))

    def combine(self, proba):
        """Combined probabilities (n, n_classes) from those of each, (n, K, n_classes)."""
        return np.exp(pooled_log_proba(proba, self.weights_, self.coef_))

    def predict(self, X):
        """The most probable class of each row."""
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]
