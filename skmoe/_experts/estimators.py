"""Experts that are any estimators: fitted from responsibilities, predicted out of fold."""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._doors import ready, updates
from .._parallel import jobs
from ..exceptions import SmallWeightsWarning
from .base import Experts
from .fit_task import FewOutOfBag, FitTask, RowsOfExpert, fit_and_predict
from .fitting import (
    NEGLIGIBLE_SHARE,
    is_frozen,
    learns_batches,
    offers,
    round_shares,
    supports_warm_start,
    takes_sample_weight,
)
from .folds import OutOfBag

ENOUGH_ROWS = 20  # by weight; an expert that would get fewer takes those next in line as well
SAME_SHARE = 1e-9  # responsibilities that differ by less are equal
BARELY_CHANGED = 0.001  # relative sum of absolute changes of weights that needs no refit


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
    classes : ndarray of shape (n_classes,) or None
        None for regressors.
    are_clones : bool
        Whether all are clones of one, so that equal responsibilities make equal experts.
    target : callable, default=None
        From y to what is fitted and predicted by estimators without a density of their own; those
        that have one see y itself. None for y.
    quiet : bool, default=False
        Whether the experts keep to themselves that they have not converged.
    density_floor : float, default=None
        Smallest standard deviation in the densities that regressors of any kind have of their own.
        None asks for those of mixtures alone.
    """

    are_counted = True  # whether progress counts their fits

    def __init__(
        self,
        names,
        estimators,
        X,
        y,
        weight,
        *,
        folds,
        min_responsibility,
        classes,
        are_clones,
        target=None,
        quiet=False,
        density_floor=None,
    ):
        self.names = names
        self.estimators = estimators
        self.X = X
        self.y = y
        self.weight = weight
        self.min_responsibility = min_responsibility
        self.classes = classes
        self.are_clones = are_clones
        self.target = target
        self.quiet = quiet
        self.density_floor = density_floor
        self.in_sample = folds is None
        self.weighted = [takes_sample_weight(e) or is_frozen(e) for e in estimators]
        leaf = ready()
        self.stops_early = [leaf and leaf.packages.stops_early(each) for each in estimators]
        self.models = None  # (n_experts, n_folds)
        self.last_fit = None  # (n_experts, n_folds): RowsOfExpert on which they were fitted
        # By number: models of those that were fitted to all rows before, and what folds go on from.
        self.of_all_rows = {}
        self.going_on = {}
        self.n_fits = 0
        self.own_log_density = {}
        self._set_folds(folds)
        self._frozen_results = None
        if classes is None:
            self._y_shape = y.shape[1:]
        else:
            self._y_shape = (len(classes),)

    def _set_folds(self, folds):
        everything = np.arange(len(self.y))
        self.folds = folds
        if isinstance(folds, list):
            self._splits = folds
        else:
            self._splits = [(everything, everything)]

    @contextmanager
    def side_by_side(self, n_jobs):
        with jobs(n_jobs, shared=(self.X, self.y)) as self._jobs:
            yield

    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the experts whose weights moved, every fold; predict the rows it did not see."""
        plan = self.plan(resp, working, exposure, target)
        try:
            done = self.run(plan.tasks)
        except FewOutOfBag:
            if self.folds.required:
                raise
            self._set_folds(self.folds.folds)
            self.models = self.last_fit = None
            return self.fit(resp, working, exposure, target)
        self.take(plan, done)

    def plan(self, resp, working=None, exposure=None, target=None):
        """What is to be fitted for these responsibilities."""
        if working is None:
            shares = resp
        else:
            shares = resp * working
        originals = [self._original(shares, target, k) for k in range(len(self.estimators))]
        rows_of = partial(self._rows, resp, shares, exposure, target)
        fits = {}
        tasks = []
        kept = []
        for k in sorted(set(originals)):
            if is_frozen(self.estimators[k]):
                continue
            parts = [self._parts(k, fold) for fold in range(len(self._splits))]
            fits[k] = [rows_of(k, train) for train, _ in parts]
            if self._barely_changed(k, fits[k]):
                kept.append(k)
                continue
            for fold, (_, stop) in enumerate(parts):
                validation = None if stop is None else rows_of(k, stop)
                test = self._splits[fold][1]
                tasks.append(FitTask(k, fold, fits[k][fold], validation, test))
        tasks.sort(key=attrgetter("fold"))  # unlike ones in turn, to show how long all take
        self.n_fits += len(tasks)
        if self._frozen_results is None:
            everything = np.arange(len(self.y))
            frozen = [k for k, estimator in enumerate(self.estimators) if is_frozen(estimator)]
            tasks += [FitTask(k, 0, RowsOfExpert(everything[:0]), None, everything) for k in frozen]
        return _Plan(originals, fits, kept, tasks)

    def take(self, plan, done):
        """Take what came of the tasks of a plan, in their order."""
        results = self.by_expert(plan.tasks, done)
        if self._frozen_results is None:
            self._frozen_results = {k: results[k] for k in results if k not in plan.fits}
        results = results | self._frozen_results
        fits = dict(plan.fits)
        for k in plan.kept:
            results[k] = _FittedExpert(
                self.models[k], self.predictions[:, k], self.own_log_density.get(k)
            )
            fits[k] = self.last_fit[k]
        self.last_fit = [fits.get(k) for k in plan.originals]
        found = [results[k] for k in plan.originals]
        self.models = [each.models for each in found]
        self.predictions = np.stack([each.predictions for each in found], axis=1)
        self.own_log_density = {k: each.own for k, each in enumerate(found) if each.own is not None}
        if self.in_sample and self.own_log_density:
            refitted = [k for k in self.own_log_density if k in fits and k not in plan.kept]
            trained = [results[k].models[0] for k in refitted]
            priors = [model._log_prior for model in trained if offers(model, "_log_prior")]
            self.own_log_prior = sum(priors)

    def _barely_changed(self, k, fits):
        """Whether expert k would be fitted, in every fold, just about as it was fitted last.

        In-sample experts never: there the gain of a refit, however small, is what EM stops by.
        """
        if self.last_fit is None or self.in_sample or supports_warm_start(self.estimators[k]):
            return False
        for now, last in zip(fits, self.last_fit[k], strict=True):
            if now.exposure is not None or now.target is not None:  # which change
                return False
            change = np.zeros(len(self.y))
            change[now.rows] = 1.0 if now.weights is None else now.weights
            total = change.sum()
            change[last.rows] -= 1.0 if last.weights is None else last.weights
            if np.abs(change).sum() > BARELY_CHANGED * total:
                return False
        return True

    def by_expert(self, tasks, done):
        """What came of the tasks (FitTask), by expert."""
        results = {}
        for task, (model, prediction, own) in zip(tasks, done, strict=True):
            if task.k not in results:
                results[task.k] = _FittedExpert([], np.empty((len(self.y), *self._y_shape)), None)
            result = results[task.k]
            result.models.append(model)
            result.predictions[task.test] = prediction
            if own is not None:
                if result.own is None:
                    result.own = np.full(len(self.y), np.nan)
                result.own[task.test] = own
        return results

    def run(self, tasks, estimators=None):
        """What ``fit_and_predict`` returns for each task, of these experts or of others."""
        estimators = estimators or self.estimators
        is_oob = isinstance(self.folds, OutOfBag)
        given = self._y_shape, self.classes, is_oob, self.target, self.density_floor
        arguments = []
        for task in tasks:
            last = self._last(task.k, task.fold, task.fitted_on.rows)
            arguments.append((self.names[task.k], estimators[task.k], last, task, *given))
        all_continue = all(supports_warm_start(e) for e in self.estimators if not is_frozen(e))
        with warnings.catch_warnings():  # here: tasks get the filters, threads would share them
            warnings.simplefilter("ignore", SmallWeightsWarning)  # of responsibilities
            # LightGBM says so where it is a parameter of the estimator, and reads it all the same.
            warnings.filterwarnings("ignore", "categorical_feature keyword has been found")
            # What it asks for instead does not encode the labels of a classifier.
            warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
            # The logarithm of the rate of an expert all of whose counts are zero.
            warnings.filterwarnings("ignore", "divide by zero encountered in log", RuntimeWarning)
            if self.quiet or all_continue:  # the next refit continues
                warnings.simplefilter("ignore", ConvergenceWarning)
            if self.are_clones:
                unlike = 1
            else:
                unlike = len(self.estimators)
            return self._jobs.of_experts(fit_and_predict, arguments, unlike, self.are_counted)

    def _last(self, k, fold, rows):
        """The model from which expert k goes on in this fold, or None.

        It has seen rows of the fold's training part alone, in whatever iteration, so that what it
        predicts for the others stays honest.
        """
        if k in self.going_on:
            return self.going_on[k]
        if self.models is None or not supports_warm_start(self.models[k][fold]):
            return None
        last = self.models[k][fold]
        known = self.classes is None or np.array_equal(last.classes_, np.unique(self.y[rows]))
        if known:
            return last
        return None

    def _original(self, shares, target, k):
        """The first expert that would be fitted just as expert k is."""
        if not self.are_clones:
            return k
        if target is None:
            given = shares
        else:
            given = np.vstack([shares, target])
        return next(j for j in range(k + 1) if np.array_equal(given[:, j], given[:, k]))

    def _parts(self, k, fold):
        """Rows that the model of a fold is fitted on, and those by which trees stop, or None."""
        train = self._splits[fold][0]
        if not self.stops_early[k]:
            return train, None
        stop = ready().packages.validation_rows(self._splits, fold)
        if stop is None or not len(stop):
            return train, None
        return np.setdiff1d(train, stop), stop

    def _rows(self, resp, shares, exposure, target, k, train):
        """Rows of ``train`` that expert k is fitted on: RowsOfExpert.

        ``shares`` (n, K) are responsibilities times working weights.
        """
        if self.in_sample:
            share = shares[train, k]
        else:
            share = round_shares(shares[train, k])
        usable = self.weight[train] > 0
        if self.weighted[k]:
            keep = usable & (share >= self.min_responsibility) & (share > NEGLIGIBLE_SHARE)
        else:  # the rows it wins, ties included
            keep = usable & (resp[:, k] >= resp.max(axis=1) - SAME_SHARE)[train]
            if shares is not resp:  # but for what weights would have taken out
                keep &= share >= self.min_responsibility * resp[train, k]
        mass = self.weight[train]
        if mass[keep].sum() < ENOUGH_ROWS:
            ranking = np.argsort(-share, kind="stable")
            enough = np.searchsorted(np.cumsum(mass[ranking]), ENOUGH_ROWS)
            least = share[ranking[min(enough, len(ranking) - 1)]]
            keep = usable & (share >= least)  # by value: a row and its copies stay together
            share = np.maximum(share, 1e-6)
        rows = train[keep]
        if self.weighted[k]:
            weights = share[keep] * mass[keep]
        else:
            weights = None
        if target is not None:
            target = target[rows, k]
        if exposure is None:
            return RowsOfExpert(rows, weights, None, target)
        exposure = exposure[rows, k]
        return RowsOfExpert(rows, None if weights is None else weights * exposure, exposure, target)

    def streaming(self, resp, order, fitted):
        if not all(learns_batches(estimator) for estimator in self.estimators):
            return None
        templates = [self.estimators[k] for k in order]
        return updates("partial_fit").StreamedExperts(
            self.names, templates, fitted, self.min_responsibility, self.classes
        )

    def state(self):
        results = self.models, self.predictions, self.own_log_density, self.own_log_prior
        return self.folds, self.last_fit, results

    def restore(self, state):
        folds, self.last_fit, results = state
        self._set_folds(folds)
        self.models, self.predictions, self.own_log_density, self.own_log_prior = results

    def finish(self, resp, working=None, exposure=None, target=None):
        """The fitted experts, in a list."""
        if working is None:
            shares = resp
        else:
            shares = resp * working
        folded = [
            isinstance(self.folds, list) and not is_frozen(each) and k not in self.of_all_rows
            for k, each in enumerate(self.estimators)
        ]
        if not any(folded) and not self.of_all_rows:
            return [models[0] for models in self.models]
        refitted = np.flatnonzero(folded)
        estimators = list(self.estimators)
        for k in refitted:
            if self.stops_early[k]:
                estimators[k] = ready().packages.with_median_trees(estimators[k], self.models[k])
        found = self.fit_to_all(refitted, resp, shares, exposure, target, estimators)
        found |= self.of_all_rows
        return [found.get(k, each[0]) for k, each in enumerate(self.models)]

    def fit_to_all(
        self, numbers, resp, shares, exposure=None, target=None, estimators=None, prepare=None
    ):
        """Models of some experts that are fitted to all rows, by number; see ``FitTask``."""
        everything = np.arange(len(self.y))
        tasks = []
        for k in numbers:
            rows = self._rows(resp, shares, exposure, target, k, everything)
            tasks.append(FitTask(k, 0, rows, None, everything[:0], prepare))
        self.n_fits += len(tasks)
        done = self.run(tasks, estimators)
        return {task.k: model for task, (model, *_) in zip(tasks, done, strict=True)}


class _Plan(NamedTuple):
    """What a fit of all experts comes to."""

    originals: list  # list of int: of each expert, the first that is fitted just so
    # Dict of int to list of RowsOfExpert: what each that is not frozen would be fitted on by fold.
    fits: dict
    kept: list  # list of int: those of them that stay as they are
    tasks: list  # list of FitTask: for the others


@dataclass
class _FittedExpert:
    """Models of an expert, one for each split, and what they make of the rows.

    Its own log-density of y, (n_samples,), is NaN for rows of a split whose training rows are of
    one class, so that a model without a density stands in.
    """

    models: list
    predictions: np.ndarray
    own: np.ndarray | None
