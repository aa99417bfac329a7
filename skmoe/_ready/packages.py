"""Estimators of other packages: early stopping of boosted trees, and densities of their own."""

import sys
from inspect import signature

import numpy as np
from scipy.stats.distributions import rv_frozen
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from .. import distributions
from .._experts.fitting import join_last, offers, split_last

# LightGBM, XGBoost and CatBoost have early stopping as a parameter, and want a validation set in
# ``fit``. These are the parameters that ask for early stopping if they are set.
STOPPING = {
    "lightgbm": (
        "early_stopping_rounds",
        "early_stopping_round",
        "early_stopping",
        "n_iter_no_change",
    ),
    "xgboost": ("early_stopping_rounds", "callbacks"),
    "catboost": ("early_stopping_rounds", "od_wait", "od_type"),
}
OF_WEIGHTS = {"lightgbm": "eval_sample_weight", "xgboost": "sample_weight_eval_set"}

# Chosen by the log-density of quantile forests on small tables, and of simulated distributions.
LEVELS = ((np.arange(20) + 0.5) / 20).tolist()  # of the quantiles that a density is made of
DF = 5.0  # of the kernels at these
HALF = [5, 14]  # numbers of the quantiles that half of the mass is between
NARROWEST = 0.15  # of the kernels, in distances between these


def _library_of(estimator):
    """Name of the library that an estimator, or a class that it derives from, is of, or None."""
    names = (cls.__module__.partition(".")[0] for cls in type(estimator).__mro__)
    return next((name for name in names if name in STOPPING), None)


def _stopping_params(estimator):
    """Names of the parameters by which an estimator asks for early stopping."""
    names = STOPPING.get(_library_of(estimator), ())
    return [name for name in names if _is_set(estimator.get_params(deep=False).get(name))]


def _is_set(value):
    if isinstance(value, list):
        return any(map(_is_stopping, value))
    return bool(value)


def _is_stopping(callback):
    return type(callback).__name__ == "EarlyStopping"


def _without_stopping(estimator, **params):
    """An unfitted estimator that asks for no early stopping, with some other parameters.

    It is made anew: CatBoost cannot set a parameter back to what it was.
    """
    params = clone(estimator).get_params(deep=False) | params
    for name in _stopping_params(estimator):
        value = params.pop(name)
        if isinstance(value, list):
            params[name] = [each for each in value if not _is_stopping(each)] or None
    return type(estimator)(**params)


def stops_early(estimator):
    """Whether an estimator, or the last step of a Pipeline, asks for a validation set."""
    return bool(_stopping_params(split_last(estimator)[1]))


def validation_rows(splits, fold):
    """Rows by which the trees of a fold's model stop: no others than those it may know.

    They are the fold that comes next, which is as unlike the rest as the folds are: subjects and
    groups stay together. With fewer than three folds they are every fifth row.
    """
    train = splits[fold][0]
    if len(splits) < 3:
        return train[4::5]
    return np.intersect1d(train, splits[(fold + 1) % len(splits)][1])


def fit_validated(model, X, y, weights, validation):
    """Fit a model that ``stops_early``, in place or not; the fitted model.

    ``validation`` has X, y and weights of other rows. Classes that ``y`` does not hold are left out
    of it, and all trees are fitted where no row is left. Weights may be None.
    """
    head, last = split_last(model)
    X_other, y_other, other_weights = validation
    if offers(last, "predict_proba"):
        rows = np.flatnonzero(np.isin(y_other, y))
        X_other = _safe_indexing(X_other, rows)
        y_other = y_other[rows]
        if other_weights is not None:
            other_weights = other_weights[rows]
    if head is not None:
        X = Pipeline(head.steps).fit(X, y).transform(X)  # in place, whatever memory the model has
    if weights is None:
        arguments = {}
    else:
        arguments = {"sample_weight": weights}
    if len(y_other):
        if head is not None:
            X_other = head.transform(X_other)
        arguments |= _validating(last, X_other, y_other, other_weights)
    else:
        last = _without_stopping(last)
    last.fit(X, y, **arguments)
    return join_last(model, last)


def _validating(estimator, X, y, weights):
    """Arguments of ``fit`` for a validation set."""
    library = _library_of(estimator)
    if library in OF_WEIGHTS:
        if weights is None:
            given = {}
        else:
            given = {OF_WEIGHTS[library]: [weights]}
        return {"eval_set": [(X, y)]} | given | ({"verbose": False} if library == "xgboost" else {})
    categories = list(estimator.get_params(deep=False).get("cat_features") or [])
    pool = sys.modules["catboost"].Pool(X, y, weight=weights, cat_features=categories)
    return {"eval_set": pool}


def with_median_trees(estimator, models):
    """An unfitted estimator of as many trees as models of it stopped with: their median.

    It needs no validation set, and has all trees where no model stopped.
    """
    counts = [count for each in models if (count := _count_trees(split_last(each)[1]))]
    last = split_last(estimator)[1]
    if _library_of(last) == "catboost":
        name = "iterations"
    else:
        name = "n_estimators"
    if counts:
        n_trees = {name: int(np.median(counts))}
    else:
        n_trees = {}
    return join_last(estimator, _without_stopping(last, **n_trees))


def _count_trees(last):
    """Trees that a fitted model predicts with; None where it did not stop early."""
    library = _library_of(last)
    if library == "lightgbm":
        return last.best_iteration_
    if library == "xgboost" and _stopping_params(last):
        return last.best_iteration + 1
    if library == "catboost":
        return last.tree_count_
    return None


# Densities --------------------------------------------------------------------------------------


def density_of_other(estimator):
    """What makes a distribution of an estimator, X and a floor, and whether that has its mean."""
    if offers(estimator, "pred_dist"):
        return _of_scipy, False
    for method in ("predict", "predict_quantiles"):
        if offers(estimator, method):
            for name in signature(getattr(estimator, method)).parameters:
                if (method, name) in ARGUMENTS:
                    return ARGUMENTS[method, name]
    return None


def _of_deviation(estimator, X, floor):
    mean, std = estimator.predict(X, return_std=True)
    components = distributions.GaussianComponents(_column(mean), np.maximum(_column(std), floor))
    return distributions.MixtureDistribution(np.ones((len(mean), 1)), components)


def _of_quantiles(estimator, X, floor):
    return _between(estimator.predict(X, quantiles=LEVELS), floor)


def _of_alphas(estimator, X, floor):
    return _between(estimator.predict_quantiles(X, alpha=LEVELS), floor)


ARGUMENTS = {
    ("predict", "return_std"): (_of_deviation, True),
    ("predict", "quantiles"): (_of_quantiles, False),
    ("predict_quantiles", "alpha"): (_of_alphas, False),
}


def _between(quantiles, floor):
    """A kernel at each of the quantiles (n, len(LEVELS)), as wide as they are apart there."""
    quantiles = np.sort(np.asarray(quantiles, dtype=np.float64), axis=1)
    apart = np.gradient(quantiles, axis=1)
    least = np.maximum(NARROWEST * np.diff(quantiles[:, HALF], axis=1), floor)
    components = distributions.StudentTComponents(quantiles, np.maximum(apart, least), DF)
    return distributions.MixtureDistribution(np.full(quantiles.shape, 1 / len(LEVELS)), components)


def _of_scipy(estimator, X, _):
    """Distribution from a frozen one of SciPy, or from NGBoost, which has one as ``dist``."""
    distribution = estimator.pred_dist(X)
    if not isinstance(distribution, rv_frozen):
        distribution = distribution.dist
    kwds = {name: _column(value) for name, value in distribution.kwds.items()}
    frozen = distribution.dist(*map(_column, distribution.args), **kwds)
    components = distributions.ScipyComponents(frozen)
    return distributions.MixtureDistribution(np.ones((len(components.mean), 1)), components)


def _column(values):
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)
