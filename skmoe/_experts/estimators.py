"""Experts that are any estimators: fitted from responsibilities, predicted out of fold."""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing

from .._parallel import jobs
from ..exceptions import SmallWeightsWarning, noted
from .base import Experts
from .fitting import (
    NEGLIGIBLE_SHARE,
    fit_again,
    fit_weighted,
    learns_batches,
    round_shares,
    supports_warm_start,
    takes_sample_weight,
)
from .fold_ensemble import FoldEnsemble
from .folds import OutOfBag
from .prediction import expert_prediction, own_log_proba
from .streamed import StreamedExperts
from .traits import has_own_density, is_frozen

ENOUGH_ROWS = 20  # by weight; an expert that would get fewer takes those next in line as well
MOST_SEEN_BY_ALL = 0.05  # of the weight of an expert's rows: in bag for all members of a forest
BARELY_CHANGED = 0.001  # sum of absolute changes of weights, of their sum: not worth a refit


class FewOutOfBag(ValueError):
    """Raised where most members, or all, have seen rows that need out-of-bag predictions."""


class EstimatorExperts(Experts):
    """Experts that are any estimators.

    Parameters
    ----------
    names, estimators : lists of length n_experts
        Unfitted estimators, seeded already.
    X : array-like or DataFrame of n_samples rows
        What the estimators take.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, or class labels.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    folds : None, OutOfBag, "prefit" or list of (train, test)
        In-sample predictions, out-of-bag ones, those of frozen experts, or those of models that
        did not see the fold.
    min_responsibility : float
        Rows below it are not given to an expert.
    ensemble : bool
        With folds: keep the models of the folds, else refit one on all rows at the end.
    classes : ndarray of shape (n_classes,) or None
        None for regressors.
    are_clones : bool
        Whether all are clones of one, so that equal responsibilities make equal experts.
    target : callable, default=None
        From y to what is fitted and predicted by estimators without a density of their own; those
        that have one see y itself. None for y.
    """

    def __init__(
        self, names, estimators, X, y, weight, *, folds, min_responsibility, ensemble, classes,
        are_clones, target=None,
    ):  # fmt: skip
        self.names, self.estimators = names, estimators
        self.X, self.y, self.weight = X, y, weight
        self.ensemble = ensemble
        self.min_responsibility = min_responsibility
        self.classes, self.are_clones, self.target = classes, are_clones, target
        self.in_sample = folds is None
        self.weighted = [takes_sample_weight(e) or is_frozen(e) for e in estimators]
        self.models = None  # (n_experts, n_folds)
        self.last_fit = (
            None  # (n_experts, n_folds): what ``_rows`` returned, on which they were fitted
        )
        self.n_fits = 0
        self._set_folds(folds)
        self._frozen_results = None
        self._y_shape = y.shape[1:] if classes is None else (len(classes),)

    def _set_folds(self, folds):
        everything = np.arange(len(self.y))
        self.folds = folds
        self._splits = folds if isinstance(folds, list) else [(everything, everything)]

    @contextmanager
    def side_by_side(self, n_jobs):
        """Context in which experts can be fitted, ``n_jobs`` at a time."""
        with jobs(n_jobs, shared=(self.X, self.y)) as self._jobs:
            yield

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the experts whose weights moved, every fold; predict the rows it did not see."""
        shares = resp if working is None else resp * working
        originals = [self._original(shares, target, k) for k in range(len(self.estimators))]
        fits = {
            k: [self._rows(resp, shares, exposure, target, k, train) for train, _ in self._splits]
            for k in sorted(set(originals))
            if not is_frozen(self.estimators[k])
        }
        kept = [k for k in fits if self._barely_changed(k, fits[k])]
        refitted = [k for k in fits if k not in kept]
        tasks = [
            (k, fold, test, *fits[k][fold])
            for k in refitted
            for fold, (_, test) in enumerate(self._splits)
        ]
        self.n_fits += len(tasks)
        if self._frozen_results is None:
            everything = np.arange(len(self.y))
            frozen = [k for k, estimator in enumerate(self.estimators) if is_frozen(estimator)]
            tasks += [(k, 0, everything, everything[:0], None, None, None) for k in frozen]
        try:
            results = self._fit_tasks(tasks)
        except FewOutOfBag:
            if self.folds.required:
                raise
            self._set_folds(self.folds.folds)
            self.models = self.last_fit = None
            return self.fit(resp, working, exposure, target)
        if self._frozen_results is None:
            self._frozen_results = {k: results[k] for k in frozen}
        results = results | self._frozen_results
        for k in kept:
            own = self.own_log_density.get(k)
            results[k] = _FittedExpert(self.models[k], self.predictions[:, k], own)
            fits[k] = self.last_fit[k]
        results = [results[k] for k in originals]
        self.last_fit = [fits.get(k) for k in originals]
        self.models = [result.models for result in results]
        self.predictions = np.stack([result.predictions for result in results], axis=1)
        self.own_log_density = {
            k: result.log_density
            for k, result in enumerate(results)
            if result.log_density is not None
        }
        if self.in_sample and self.own_log_density:
            trained = [results[k].models[0] for k in self.own_log_density if k in refitted]
            self.own_log_prior = sum(getattr(model, "_log_prior", 0.0) for model in trained)

    def _barely_changed(self, k, fits):
        """Whether expert k would be fitted, in every fold, just about as it was fitted last.

        In-sample experts never: there the gain of a refit, however small, is what EM stops by.
        """
        if self.last_fit is None or self.in_sample or supports_warm_start(self.estimators[k]):
            return False
        for (rows, weights, *of_target), last in zip(fits, self.last_fit[k], strict=True):
            if any(each is not None for each in of_target):  # which changes it
                return False
            change = np.zeros(len(self.y))
            change[rows] = 1.0 if weights is None else weights
            total = change.sum()
            change[last[0]] -= 1.0 if last[1] is None else last[1]
            if np.abs(change).sum() > BARELY_CHANGED * total:
                return False
        return True

    def _fit_tasks(self, tasks):
        """Fit for each (expert, fold, test, *what ``_rows`` returns); the results by expert."""
        done = self._run(
            (k, fold, (*fitted_on, test, self.classes), isinstance(self.folds, OutOfBag))
            for k, fold, test, *fitted_on in tasks
        )
        results = {}
        for (k, _, test, *_), (model, prediction, log_density) in zip(tasks, done, strict=True):
            if k not in results:
                shape = (len(self.y), *self._y_shape)
                own = None if log_density is None else np.empty(len(self.y))
                results[k] = _FittedExpert([], np.empty(shape), own)
            results[k].models.append(model)
            results[k].predictions[test] = prediction
            if log_density is not None:
                results[k].log_density[test] = log_density
        return results

    def _run(self, tasks):
        """Fit and predict for each (expert, fold, arrays, out of bag); see _fit_and_predict."""
        all_continue = all(supports_warm_start(e) for e in self.estimators if not is_frozen(e))
        with warnings.catch_warnings():  # here: tasks get the filters, threads would share them
            warnings.simplefilter("ignore", SmallWeightsWarning)  # of responsibilities
            if all_continue:  # what is not reached now, the next refit reaches
                warnings.simplefilter("ignore", ConvergenceWarning)
            return self._jobs(
                _fit_and_predict,
                (
                    (
                        self.names[k],
                        self.estimators[k],
                        self._last(k, fold, arrays[0]),
                        arrays,
                        self._y_shape,
                        oob,
                        self.target,
                    )
                    for k, fold, arrays, oob in tasks
                ),
            )

    def _last(self, k, fold, rows):
        """The model from which expert k goes on in this fold, or None.

        It has seen rows of the fold's training part alone, in whatever iteration, so that what it
        predicts for the others stays honest.
        """
        if self.models is None or not supports_warm_start(self.models[k][fold]):
            return None
        last = self.models[k][fold]
        known = self.classes is None or np.array_equal(last.classes_, np.unique(self.y[rows]))
        return last if known else None

    def _original(self, shares, target, k):
        """The first expert that would be fitted just as expert k is."""
        if not self.are_clones:
            return k
        given = shares if target is None else np.vstack([shares, target])
        return next(j for j in range(k + 1) if np.array_equal(given[:, j], given[:, k]))

    def _rows(self, resp, shares, exposure, target, k, train):
        """Rows of ``train`` that expert k is fitted on; weights, exposures, targets (or None).

        ``shares`` (n, K) are responsibilities times working weights.
        """
        share = shares[train, k] if self.in_sample else round_shares(shares[train, k])
        usable = self.weight[train] > 0
        if self.weighted[k]:
            keep = usable & (share >= self.min_responsibility) & (share > NEGLIGIBLE_SHARE)
        else:  # the rows it wins, ties included
            keep = usable & (resp[train, k] >= resp[train].max(axis=1) - 1e-9)
            if shares is not resp:  # but for what weights would have taken out
                keep &= share >= self.min_responsibility * resp[train, k]
        mass = self.weight[train]
        if mass[keep].sum() < ENOUGH_ROWS:
            ranking = np.argsort(-share, kind="stable")
            enough = np.searchsorted(np.cumsum(mass[ranking]), ENOUGH_ROWS)
            least = share[ranking[min(enough, len(ranking) - 1)]]
            keep = usable & (share >= least)  # by value, so that a row brings its copies along
            share = np.maximum(share, 1e-6)
        rows = train[keep]
        weights = share[keep] * mass[keep] if self.weighted[k] else None
        target = None if target is None else target[rows, k]
        if exposure is None:
            return rows, weights, None, target
        exposure = exposure[rows, k]
        return rows, None if weights is None else weights * exposure, exposure, target

    def ignoring_weights(self):
        """Names of the experts that take no weights."""
        return [name for name, takes in zip(self.names, self.weighted, strict=True) if not takes]

    def streaming(self, resp, order, fitted):
        """The fitted experts, to go on with ``learn_batch``; None where one of them cannot."""
        if not all(learns_batches(estimator) for estimator in self.estimators):
            return None
        templates = [self.estimators[k] for k in order]
        return StreamedExperts(self.names, templates, fitted, self.min_responsibility, self.classes)

    def state(self):
        """What ``restore`` needs; never changed in place."""
        results = self.models, self.predictions, self.own_log_density, self.own_log_prior
        return self.folds, self.last_fit, results

    def restore(self, state):
        """Back to an earlier state."""
        folds, self.last_fit, results = state
        self._set_folds(folds)
        self.models, self.predictions, self.own_log_density, self.own_log_prior = results

    def finish(self, resp, working=None, exposure=None, target=None):
        """The fitted experts, in a list."""
        shares = resp if working is None else resp * working
        folded = [isinstance(self.folds, list) and not is_frozen(e) for e in self.estimators]
        if self.ensemble or not any(folded):
            return [
                FoldEnsemble.from_fitted(models) if in_folds else models[0]
                for models, in_folds in zip(self.models, folded, strict=True)
            ]
        everything = np.arange(len(self.y))
        refitted = np.flatnonzero(folded)
        results = self._run(
            (
                k,
                0,
                (
                    *self._rows(resp, shares, exposure, target, k, everything),
                    everything[:0],
                    self.classes,
                ),
                False,
            )
            for k in refitted
        )
        self.n_fits += len(refitted)
        models = [models[0] for models in self.models]
        for k, (model, _, _) in zip(refitted, results, strict=True):
            models[k] = model
        return models


@dataclass
class _FittedExpert:
    """Models of an expert, one for each split, and what they make of the rows."""

    models: list
    predictions: np.ndarray
    log_density: np.ndarray | None


def _fit_and_predict(X, y, name, estimator, last, arrays, y_shape, oob, target):
    """Fit a clone, or go on from the last model; predict other rows, out of bag where asked."""
    rows, weights, exposure, own_target, test, classes = arrays
    X_fit, y_fit = _safe_indexing(X, rows), y[rows]
    if exposure is not None:
        y_fit = y_fit / exposure
    if own_target is not None:
        y_fit = own_target
    elif target is not None and not has_own_density(estimator):
        y_fit = target(y_fit)
    frozen = is_frozen(estimator)
    if classes is not None and not frozen and (y_fit == y_fit[0]).all():
        model, oob = DummyClassifier(strategy="prior").fit(X_fit, y_fit), False
    else:
        model = clone(estimator)
        with noted(f"Raised by fit of expert {name!r} on {len(rows)} rows."):
            if last is not None:
                model = fit_again(last, X_fit, y_fit, weights)
            elif weights is None:
                model.fit(X_fit, y_fit)
            else:
                fit_weighted(model, X_fit, y_fit, weights)
    if not len(test):
        return model, np.empty((0, *y_shape)), None
    X_test = _safe_indexing(X, test)
    if has_own_density(model) and classes is None:
        distribution = model.predict_dist(X_test)
        mean = distribution.mean()
        return model, mean if target is None else target(mean), distribution.logpdf(y[test])
    prediction = expert_prediction(name, model, X_test, y_shape, classes)
    if has_own_density(model):
        return model, prediction, own_log_proba(prediction, np.searchsorted(classes, y[test]))
    if oob and not frozen:
        X_fit = X_fit if sparse.issparse(X_fit) else np.asarray(X_fit)
        outside, values = _oob_prediction(model, X_fit, y_shape, classes)
        seen_by_all = np.average(~outside, weights=weights)
        if seen_by_all > MOST_SEEN_BY_ALL:
            raise FewOutOfBag(
                f"Expert {name!r} has members of which all saw {seen_by_all:.0%} of its rows, by "
                "weight, so that these have no out-of-bag prediction: raise n_estimators, or use "
                "folds (cv=5). Bags that are drawn by weight nearly always hold heavy rows."
            )
        prediction[rows[outside]] = values[outside]
    return model, prediction, None


def _oob_prediction(model, X, y_shape, classes):
    """Mean over the members of a bagging ensemble that did not see a row.

    Returns a mask of the rows that some member did not see, and the means.
    """
    total = np.zeros((X.shape[0], *y_shape))
    count = np.zeros(X.shape[0])
    subsets = getattr(model, "estimators_features_", repeat(slice(None)))
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
            columns = np.searchsorted(classes, seen)
            total[np.ix_(unseen, columns)] += member.predict_proba(rows)
        count[unseen] += 1
    count_ = np.maximum(count, 1).reshape((-1,) + (1,) * len(y_shape))
    return count > 0, total / count_
