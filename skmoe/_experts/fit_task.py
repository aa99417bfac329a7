"""One fit of one expert: what it is fitted on, and what it then predicts of other rows."""

from collections.abc import Callable
from itertools import repeat
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import _safe_indexing

from .._doors import ready
from ..exceptions import noted
from .fitting import fit_again, fit_weighted, has_own_density, is_frozen, offers
from .prediction import expert_prediction, own_distribution, tells_density

MOST_SEEN_BY_ALL = 0.05  # of the weight of an expert's rows: in bag for all members of a forest


class FewOutOfBag(ValueError):
    """Raised where most members, or all, have seen rows that need out-of-bag predictions."""


class RowsOfExpert(NamedTuple):
    """Rows that an expert is fitted on."""

    rows: np.ndarray  # of int: their numbers
    # ``weights``, ``exposure``, ``target``: (len(rows),): their weights; by what their targets are
    # divided; or targets in place of theirs.
    weights: np.ndarray | None = None
    exposure: np.ndarray | None = None
    target: np.ndarray | None = None

    def of(self, X, y, transform):
        """X and y of the rows, as the expert is to see them; ``transform`` (or None) is of y."""
        if self.exposure is None:
            part = y[self.rows]
        else:
            part = y[self.rows] / self.exposure
        if self.target is not None:
            part = self.target
        elif transform is not None:
            part = transform(part)
        return _safe_indexing(X, self.rows), part


class FitTask(NamedTuple):
    """A fit of expert ``k`` in a fold, and the rows to predict then."""

    # ``k``, ``fold``: whose fit it is.
    k: int
    fold: int
    fitted_on: RowsOfExpert  # what the expert is fitted on
    validation: RowsOfExpert | None  # rows by which boosting stops
    test: np.ndarray  # of int: numbers of the rows to predict
    prepare: Callable | None = None  # what is done with a clone before it is fitted


def fit_and_predict(X, y, name, estimator, last, task, y_shape, classes, oob, target, floor):
    """Fit a clone, or go on from the last model; predict other rows, out of bag where asked.

    X and y are all rows, of which the ``task`` takes some; ``last`` is the model to go on from, or
    None; ``y_shape`` is that of one row's prediction; ``classes`` are None for regressors; ``oob``
    says whether rows that the model was fitted on are predicted out of bag; ``target`` and the
    ``floor`` of densities are as of ``EstimatorExperts``.

    Returns the model, predictions (len(task.test), *y_shape), and, of experts with a density of
    their own, log-densities (len(task.test),), or None.
    """
    if has_own_density(estimator):
        transform = None
    else:
        transform = target
    rows = task.fitted_on.rows
    weights = task.fitted_on.weights
    X_fit, y_fit = task.fitted_on.of(X, y, transform)
    is_fitted = is_frozen(estimator)
    has_one_class = classes is not None and not is_fitted and (y_fit == y_fit[0]).all()
    if has_one_class:
        model = DummyClassifier(strategy="prior").fit(X_fit, y_fit)
    else:
        validation = None
        if task.validation is not None:
            validation = *task.validation.of(X, y, transform), task.validation.weights
        with noted(f"Raised by fit of expert {name!r} on {len(rows)} rows."):
            model = _fit(estimator, last, X_fit, y_fit, weights, validation, task.prepare)
    if not len(task.test):
        return model, np.empty((0, *y_shape)), None
    X_test = _safe_indexing(X, task.test)
    y_test = y[task.test]
    prediction, own = _predict(name, model, X_test, y_test, y_shape, classes, target, floor)
    if oob and own is None and not (has_one_class or is_fitted):
        outside, values = _oob_prediction(name, model, X_fit, weights, y_shape, classes)
        prediction[rows[outside]] = values[outside]
    return model, prediction, own


def _fit(estimator, last, X, y, weights, validation, prepare):
    """A fitted clone, or ``last`` after another fit; ``validation``: X, y and weights, or None."""
    if last is not None:
        return fit_again(last, X, y, weights)
    model = clone(estimator)
    if prepare is not None:
        prepare(model)
    if validation is not None:
        return ready().packages.fit_validated(model, X, y, weights, validation)
    fit_weighted(model, X, y, weights)
    return model


def _predict(name, model, X, y, y_shape, classes, target, floor):
    """Prediction of each row, and the log-density of y under a model that has its own, or None."""
    if floor is None and has_own_density(model) and classes is None:
        distribution = model.predict_dist(X)
        mean = distribution.mean()
        return mean if target is None else target(mean), distribution.logpdf(y)
    if floor is not None and tells_density(model):
        with noted(f"Raised by the predictive distribution of expert {name!r}."):
            distribution = own_distribution(model, X, floor)
            return distribution.mean(), distribution.logpdf(y)
    prediction = expert_prediction(name, model, X, y_shape, classes)
    if has_own_density(model):
        of_class = prediction[np.arange(len(y)), np.searchsorted(classes, y)]
        return prediction, np.log(np.maximum(of_class, np.finfo(float).tiny))
    return prediction, None


def _oob_prediction(name, model, X, weights, y_shape, classes):
    """Mean over the members of a bagging ensemble that did not see a row.

    Returns a mask of the rows that some member did not see, and the means; FewOutOfBag where too
    many rows have none.
    """
    if not sparse.issparse(X):
        X = np.asarray(X)
    total = np.zeros((X.shape[0], *y_shape))
    count = np.zeros(X.shape[0])
    draws_columns = offers(model, "estimators_features_")
    if draws_columns:
        subsets = model.estimators_features_
    else:
        subsets = repeat(slice(None))
    members = zip(model.estimators_, model.estimators_samples_, subsets, strict=False)
    for member, sample, features in members:
        unseen = np.ones(X.shape[0], dtype=bool)
        unseen[sample] = False
        if not unseen.any():
            continue
        rows = X[unseen][:, features]
        if classes is None:
            total[unseen] += member.predict(rows).reshape((rows.shape[0], *y_shape))
        else:  # the members speak of numbers of the ensemble's classes
            seen = model.classes_[np.asarray(member.classes_, dtype=int)]
            total[np.ix_(unseen, np.searchsorted(classes, seen))] += member.predict_proba(rows)
        count[unseen] += 1
    seen_by_all = np.average(count == 0, weights=weights)
    if seen_by_all > MOST_SEEN_BY_ALL:
        raise FewOutOfBag(
            f"Expert {name!r}: all members saw {seen_by_all:.0%} of its rows, by weight, so that "
            "these have no out-of-bag prediction. Raise n_estimators, or use folds (cv=5)."
        )
    return count > 0, total / np.maximum(count, 1).reshape((-1,) + (1,) * len(y_shape))
