"""Classifiers that learn and predict rates of success."""

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._tables.mixed import has_shape, take_rows


class RateRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """Regressor of rates of success by a classifier of success and failure.

    Each row is learned twice: as a success, with the rate as its weight, and as a failure, with
    the rest. The experts of :class:`~skmoe.likelihoods.Binomial` that are classifiers are such
    regressors.

    Parameters
    ----------
    classifier : classifier
        Takes ``sample_weight``.

    Attributes
    ----------
    classifier_ : classifier
        Fitted, of the classes 0, failure, and 1, success.
    n_features_in_ : int
        Number of columns.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skmoe import RateRegressor
    >>> model = RateRegressor(LogisticRegression(C=1e6))
    >>> model = model.fit([[0.0], [1.0]], [0.25, 0.75], sample_weight=[20, 20])
    >>> model.predict([[0.0], [1.0]]).round(2)
    array([0.25, 0.75])
    """

    def __init__(self, classifier):
        self.classifier = classifier

    def fit(self, X, y, sample_weight=None):
        """Fit the classifier.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Rates, between 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, such as numbers of trials. None is a weight of one for each.

        Returns
        -------
        self : RateRegressor
            Fitted.

        Raises
        ------
        ValueError
            If a rate is not between 0 and 1, or the classifier takes no weights.
        """
        rate = np.asarray(y, dtype=np.float64)
        if not ((rate >= 0) & (rate <= 1)).all():
            raise ValueError("Rates are numbers between 0 and 1.")
        if not has_fit_parameter(self.classifier, "sample_weight"):
            raise ValueError(
                f"{type(self.classifier).__name__} takes no sample_weight, by which a classifier "
                "learns rates: take a regressor."
            )
        if not has_shape(X):
            X = np.asarray(X)
        if sample_weight is None:
            weight = np.ones(len(rate))
        else:
            weight = np.asarray(sample_weight)
        of_failures = weight * (1 - rate)
        of_successes = weight * rate
        failures = np.flatnonzero(of_failures > 0)
        successes = np.flatnonzero(of_successes > 0)
        rows = np.concatenate([failures, successes])
        labels = np.repeat([0, 1], [len(failures), len(successes)])
        is_one_class = not (len(failures) and len(successes))
        if is_one_class:
            model = DummyClassifier(strategy="prior")
        else:
            model = clone(self.classifier)
        weights = np.concatenate([of_failures[failures], of_successes[successes]])
        self.classifier_ = model.fit(take_rows(X, rows), labels, sample_weight=weights)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        """Predict rates.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        rate : ndarray of shape (n_samples,)
            Probabilities of success.
        """
        check_is_fitted(self)
        proba = self.classifier_.predict_proba(X)
        classes = self.classifier_.classes_
        return proba[:, -1] * (classes[-1] == 1)

    @property
    def coef_(self):
        """Coefficients (n_features,) of a linear classifier."""
        return self.classifier_.coef_[0]

    @property
    def intercept_(self):
        """Intercept of a linear classifier."""
        return float(self.classifier_.intercept_[0])

    @property
    def feature_importances_(self):
        """Importances (n_features,) of the classifier's columns."""
        return self.classifier_.feature_importances_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.classifier).input_tags
        return tags
