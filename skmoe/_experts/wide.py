"""The penalty of default experts of wide X: chosen by cross-validation, on all rows."""

import warnings

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing

from .._data import Rows
from .fitting import fit_weighted, split_last
from .folds import count_units, shuffled_folds
from .prediction import aligned_proba

PENALTIES = 10.0 ** np.arange(5, -5.5, -0.5)  # L2, from the strongest on
N_FOLDS = 5
PATIENCE = 2  # penalties in turn that are worse than the best, after which weaker ones are too
LEAST_PROBABILITY = 1e-15


def with_best_penalty(estimator, X, y, weight, seed, groups=None):
    """A Ridge or LogisticRegression of the penalty whose out-of-fold loss is lowest.

    That is the squared error, or the log-loss; ``y`` are then class numbers.
    """
    used = np.flatnonzero(weight > 0)
    X, y, weight = _safe_indexing(X, used), y[used], weight[used]
    classifies = is_classifier(estimator)
    groups = None if groups is None else groups[used]
    folds = _splits_for_penalty(classifies, Rows(X, y, weight), seed, groups)
    models = [clone(estimator) for _ in folds]
    for model in models if classifies else []:
        split_last(model)[1].set_params(warm_start=True)
    best, lowest, n_worse = {}, np.inf, 0
    for penalty in PENALTIES.tolist():
        params, loss = {"C": 1 / penalty} if classifies else {"alpha": penalty}, 0.0
        for model, (train, test) in zip(models, folds, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                split_last(model)[1].set_params(**params)
                fit_weighted(model, *(_safe_indexing(each, train) for each in (X, y, weight)))
            loss += weight[test] @ _losses(model, _safe_indexing(X, test), y[test])
        n_worse = 0 if loss < lowest else n_worse + 1
        if loss < lowest:
            best, lowest = params, loss
        if n_worse == PATIENCE:
            break
    best_one = clone(estimator)
    split_last(best_one)[1].set_params(**best)
    return best_one


def _splits_for_penalty(classifies, rows, seed, groups):
    """Folds, (train, test) in a list; those with two classes in training."""
    n_folds = min(N_FOLDS, count_units(rows, groups))
    if n_folds < 2:
        return []
    folds = shuffled_folds(n_folds, rows, groups, classifies, seed)
    return [fold for fold in folds if not classifies or len(np.unique(rows.y[fold[0]])) > 1]


def _losses(model, X, y):
    """Loss of each row."""
    if not is_classifier(model):
        return ((y - model.predict(X)) ** 2).reshape(len(y), -1).sum(axis=1)
    classes = np.arange(max(y.max(), model.classes_.max()) + 1)
    proba = aligned_proba(model, X, classes)  # it may lack a rare class
    return -np.log(np.maximum(proba[np.arange(len(y)), y], LEAST_PROBABILITY))
