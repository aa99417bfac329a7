"""An expert that is the mean of the models that cross-fitting made of it."""

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from ..distributions import MixtureDistribution
from .prediction import aligned_proba, own_log_proba
from .traits import has_own_density


class FoldEnsemble(BaseEstimator):
    """The models that cross-fitting made of one expert; predicts their mean.

    Every training row was seen by all models but one, so predictions for training rows are
    optimistic: the mixture's ``oof_*`` attributes are not.

    Parameters
    ----------
    estimators : list of estimators
        Models, one for each fold.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted models.
    classes_ : ndarray of shape (n_classes,)
        Of classifiers: all classes that any of the models saw.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skmoe import FoldEnsemble
    >>> models = [
    ...     DummyRegressor(strategy="constant", constant=c) for c in (1.0, 2.0)
    ... ]
    >>> FoldEnsemble(models).fit([[0.0]], [0.0]).predict([[0.0]])
    array([1.5])
    """

    def __init__(self, estimators):
        self.estimators = estimators

    @classmethod
    def from_fitted(cls, models):
        """An ensemble of models that are fitted already.

        Parameters
        ----------
        models : list of estimators
            Fitted models.

        Returns
        -------
        ensemble : FoldEnsemble
            A fitted one.
        """
        ensemble = cls(models)
        ensemble._set_models(models)
        return ensemble

    def fit(self, X, y):
        """Fit every model on the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Target.

        Returns
        -------
        self : FoldEnsemble
            The fitted ensemble.
        """
        self._set_models([clone(model).fit(X, y) for model in self.estimators])
        return self

    def _set_models(self, models):
        self.estimators_ = models
        if is_classifier(models[0]):
            self.classes_ = np.unique(np.concatenate([model.classes_ for model in models]))

    @property
    def feature_importances_(self):
        """Mean importance of each column, where the models have them.

        Returns
        -------
        importances : ndarray of shape (n_features,)
            As the models measure them.
        """
        return np.mean([model.feature_importances_ for model in self.estimators_], axis=0)

    def predict(self, X):
        """Mean prediction, or the class of the highest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target, or classes.
        """
        if is_classifier(self):
            return self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return np.mean([model.predict(X) for model in self.estimators_], axis=0)

    def predict_proba(self, X):
        """Mean class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one.
        """
        proba = [aligned_proba(model, X, self.classes_) for model in self.estimators_]
        return np.mean(proba, axis=0)

    @available_if(lambda self: has_own_density(self.estimators[0]))
    def log_density(self, X, y):
        """Log-density of each target, of mixtures: of the mean of the models' densities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm; of a probability for classifiers.
        """
        if is_classifier(self):
            return own_log_proba(self.predict_proba(X), np.searchsorted(self.classes_, y))
        return self.predict_dist(X).logpdf(y)

    @available_if(lambda self: hasattr(self.estimators[0], "predict_dist"))
    def predict_dist(self, X):
        """Predictive distribution, of mixtures: every model's with the same weight.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        distribution : MixtureDistribution
            Whose components are the distributions of the models.
        """
        answers = [model.predict_dist(X) for model in self.estimators_]
        return MixtureDistribution.of_equals(answers)

    def __sklearn_tags__(self):
        return get_tags(self.estimators[0])
