"""Experts that are any estimators: seeded, fitted from responsibilities, predicted out of fold.

What EM asks of experts, here and in ``_linear.py``:

- ``fit(resp, working, exposure)`` refits them, or those whose weights moved, and sets
  ``predictions``: (n, K), (n, K, outputs), or class probabilities (n, K, classes). ``working``
  (n, K), or None, multiplies the responsibilities as weights; it comes from robust likelihoods.
  With ``exposure`` (n, K), or None, the target is ``y / exposure``, and the exposure a factor of
  the weights;
- ``in_sample``: whether those were made for rows that the experts saw;
- ``penalty``: what their prior adds to the likelihood's objective;
- ``own_log_density``: by the number of an expert, the log-density (n,) of the rows under it,
  where it knows better than the likelihood, and ``own_log_prior`` of these experts;
- ``state()`` and ``restore(state)``;
- ``n_fits``, and ``minimum_rows``, below which an expert counts as dead;
- ``finish(resp, working, exposure)``: the fitted estimators;
- ``streaming(resp, order, fitted)``: an object without rows, for ``partial_fit``. Its
  ``learn_batch(X, y, weights, *, keep, gain)`` returns one that has learned from a batch, with
  ``predictions`` for it where they are ``in_sample``; None where there is no ``partial_fit``.
"""

import copy
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples

from ._parallel import jobs
from ._weights import (
    fit_again,
    fit_weighted,
    goes_on,
    learn_weighted,
    learns_batches,
    learns_weights,
    round_shares,
    takes_sample_weight,
)
from .distributions import MixtureDistribution

NEGLIGIBLE_SHARE = 1e-10  # in weights below it, what estimators compute is rounding error
ENOUGH_ROWS = 20  # by weight; an expert that would get fewer takes those next in line as well
MOST_SEEN_BY_ALL = 0.05  # of the weight of an expert's rows: in bag for all members of a forest
HARDLY_MOVED = 0.001  # sum of absolute changes of weights, of their sum: not worth a refit


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
    >>> models = [DummyRegressor(strategy="constant", constant=c) for c in (1.0, 2.0)]
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


def aligned_proba(estimator, X, classes):
    """``predict_proba`` with a column for each of ``classes``, 0 where it never saw one."""
    unknown = np.setdiff1d(estimator.classes_, classes).tolist()
    if unknown:
        raise ValueError(f"It predicts the classes {unknown}, which y does not hold.")
    proba = np.zeros((_num_samples(X), len(classes)))
    proba[:, np.searchsorted(classes, estimator.classes_)] = estimator.predict_proba(X)
    return proba


def own_log_proba(proba, y):
    """Log-probability of each row's class, (n,), from all of them, (n, n_classes)."""
    return np.log(np.maximum(proba[np.arange(len(y)), y], np.finfo(float).tiny))


def expert_prediction(name, estimator, X, y_shape, classes):
    """Prediction of one expert for some rows, checked.

    Parameters
    ----------
    name : str
        For errors.
    estimator : estimator
        Fitted.
    X : array-like or DataFrame of n_samples rows
        What the estimator takes.
    y_shape : tuple
        Shape of one target: ``()`` or ``(n_outputs,)``; of class probabilities (n_classes,).
    classes : ndarray of shape (n_classes,) or None
        None for regressors.

    Returns
    -------
    prediction : ndarray of shape (n_samples,) + y_shape
        Finite.
    """
    try:
        if classes is None:
            prediction = np.asarray(estimator.predict(X), dtype=np.float64)
        else:
            prediction = aligned_proba(estimator, X, classes)
        prediction = prediction.reshape((_num_samples(X), *y_shape))
    except Exception as error:  # whatever it is, it goes on, with the name of the expert
        error.add_note(f"Raised by predict of expert {name!r}.")
        raise
    if not np.isfinite(prediction).all():
        raise ValueError(f"Expert {name!r} predicted NaN or infinity.")
    return prediction


def seed_estimator(estimator, random_state):
    """A clone whose open ``random_state`` parameters are integers drawn from ``random_state``.

    Integers that the user set stay.
    """
    estimator = clone(estimator)
    seeds = {}
    for key, value in sorted(estimator.get_params(deep=True).items()):
        is_seed = key == "random_state" or key.endswith("__random_state")
        if is_seed and not isinstance(value, (int, np.integer)):
            seeds[key] = random_state.randint(np.iinfo(np.int32).max)
    return estimator.set_params(**seeds) if seeds else estimator


def has_oob_prediction(estimator):
    """Whether the estimator is a bagging ensemble that leaves rows out."""
    params = estimator.get_params(deep=False)
    return "oob_score" in params and bool(params.get("bootstrap", False))


def leaves_every_row_out(estimator):
    """Whether it has so many members that each row is out of bag for some: one in 10,000 not."""
    enough = estimator.get_params(deep=False).get("n_estimators", 0) >= 20
    return has_oob_prediction(estimator) and enough


def has_own_density(estimator):
    """Whether it says how probable a target is, as a mixture does."""
    return hasattr(estimator, "log_density")


def is_frozen(estimator):
    """Whether it is fitted already, and stays as it is."""
    return isinstance(estimator, FrozenEstimator)


@dataclass(frozen=True)
class OutOfBag:
    """Out-of-bag predictions in place of folds.

    Attributes
    ----------
    folds : list of (train, test)
        For what has no out-of-bag predictions.
    required : bool
        Whether experts must not fall back to these where members leave too few rows out.
    """

    folds: list
    required: bool


class FewOutOfBag(ValueError):
    """Raised where most members, or all, have seen rows that need out-of-bag predictions."""


class EstimatorExperts:
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
    alike : bool
        Whether all are clones of one, so that equal responsibilities make equal experts.
    target : callable or None
        From y to what is fitted and predicted by estimators without a density of their own, those
        that have one see y itself; None for y.
    """

    minimum_rows = 10
    penalty = 0.0
    own_log_prior = 0.0

    def __init__(
        self, names, estimators, X, y, weight, *, folds, min_responsibility, ensemble, classes,
        alike, target=None,
    ):  # fmt: skip
        self.names, self.estimators = names, estimators
        self.X, self.y, self.weight = X, y, weight
        self.ensemble = ensemble
        self.min_responsibility = min_responsibility
        self.classes, self.alike, self.target = classes, alike, target
        self.in_sample = folds is None
        self.weighted = [takes_sample_weight(e) or is_frozen(e) for e in estimators]
        self.models = None  # (n_experts, n_folds)
        self.taught = None  # (n_experts, n_folds): rows, weights and exposures they were fitted on
        self.n_fits = 0
        self._set_folds(folds)
        self._frozen_answers = None
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

    def fit(self, resp, working=None, exposure=None):
        """Refit the experts whose weights moved, every fold; predict the rows it did not see."""
        shares = resp if working is None else resp * working
        originals = [self._original(shares, k) for k in range(len(self.estimators))]
        taught = {
            k: [self._rows(resp, shares, exposure, k, train) for train, _ in self._splits]
            for k in sorted(set(originals))
            if not is_frozen(self.estimators[k])
        }
        kept = [k for k in taught if self._hardly_moved(k, taught[k])]
        refitted = [k for k in taught if k not in kept]
        tasks = [
            (k, fold, test, *taught[k][fold])
            for k in refitted
            for fold, (_, test) in enumerate(self._splits)
        ]
        self.n_fits += len(tasks)
        if self._frozen_answers is None:
            everything = np.arange(len(self.y))
            frozen = [k for k, estimator in enumerate(self.estimators) if is_frozen(estimator)]
            tasks += [(k, 0, everything, everything[:0], None, None) for k in frozen]
        try:
            answers = self._answers(tasks)
        except FewOutOfBag:
            if self.folds.required:
                raise
            self._set_folds(self.folds.folds)
            self.models = self.taught = None
            return self.fit(resp, working, exposure)
        if self._frozen_answers is None:
            self._frozen_answers = {k: answers[k] for k in frozen}
        answers = answers | self._frozen_answers
        for k in kept:
            own = self.own_log_density.get(k)
            answers[k] = _Answer(self.models[k], self.predictions[:, k], own)
            taught[k] = self.taught[k]
        answers = [answers[k] for k in originals]
        self.taught = [taught.get(k) for k in originals]
        self.models = [answer.models for answer in answers]
        self.predictions = np.stack([answer.predictions for answer in answers], axis=1)
        self.own_log_density = {
            k: answer.log_density
            for k, answer in enumerate(answers)
            if answer.log_density is not None
        }
        if self.in_sample and self.own_log_density:
            trained = [answers[k].models[0] for k in self.own_log_density if k in refitted]
            self.own_log_prior = sum(getattr(model, "_log_prior", 0.0) for model in trained)

    def _hardly_moved(self, k, taught):
        """Whether expert k would be fitted, in every fold, just about as it was fitted last.

        In-sample experts never: there the gain of a refit, however small, is what EM stops by.
        """
        if self.taught is None or self.in_sample or goes_on(self.estimators[k]):
            return False
        for (rows, weights, exposure), last in zip(taught, self.taught[k], strict=True):
            if exposure is not None:  # by which the target is divided
                return False
            change = np.zeros(len(self.y))
            change[rows] = 1.0 if weights is None else weights
            total = change.sum()
            change[last[0]] -= 1.0 if last[1] is None else last[1]
            if np.abs(change).sum() > HARDLY_MOVED * total:
                return False
        return True

    def _answers(self, tasks):
        """Fit for each (expert, fold, test, rows, weights, exposure); the answers by expert."""
        results = self._run(
            (k, fold, (*taught, test, self.classes), isinstance(self.folds, OutOfBag))
            for k, fold, test, *taught in tasks
        )
        answers = {}
        for (k, _, test, *_), (model, prediction, log_density) in zip(tasks, results, strict=True):
            if k not in answers:
                shape = (len(self.y), *self._y_shape)
                own = None if log_density is None else np.empty(len(self.y))
                answers[k] = _Answer([], np.empty(shape), own)
            answers[k].models.append(model)
            answers[k].predictions[test] = prediction
            if log_density is not None:
                answers[k].log_density[test] = log_density
        return answers

    def _run(self, tasks):
        """Fit and predict for each (expert, fold, arrays, out of bag); see _fit_and_predict."""
        going_on = all(goes_on(e) for e in self.estimators if not is_frozen(e))
        with warnings.catch_warnings():  # here: tasks get the filters, threads would share them
            if going_on:  # what is not reached now, the next refit reaches
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
        if self.models is None or not goes_on(self.models[k][fold]):
            return None
        last = self.models[k][fold]
        known = self.classes is None or np.array_equal(last.classes_, np.unique(self.y[rows]))
        return last if known else None

    def _original(self, shares, k):
        """The first expert that would be fitted just as expert k is."""
        if not self.alike:
            return k
        return next(j for j in range(k + 1) if np.array_equal(shares[:, j], shares[:, k]))

    def _rows(self, resp, shares, exposure, k, train):
        """Rows of ``train`` that expert k is fitted on, and their weights and exposures (or None).

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
        if exposure is None:
            return rows, weights, None
        exposure = exposure[rows, k]
        return rows, None if weights is None else weights * exposure, exposure

    def streaming(self, resp, order, fitted):
        """The fitted experts, to go on with ``learn_batch``; None where one of them cannot."""
        if not all(learns_batches(estimator) for estimator in self.estimators):
            return None
        templates = [self.estimators[k] for k in order]
        return StreamedExperts(self.names, templates, fitted, self.min_responsibility, self.classes)

    def state(self):
        """What ``restore`` needs; never changed in place."""
        answers = self.models, self.predictions, self.own_log_density, self.own_log_prior
        return self.folds, self.taught, answers

    def restore(self, state):
        """Back to an earlier state."""
        folds, self.taught, answers = state
        self._set_folds(folds)
        self.models, self.predictions, self.own_log_density, self.own_log_prior = answers

    def finish(self, resp, working=None, exposure=None):
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
                    *self._rows(resp, shares, exposure, k, everything),
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


class StreamedExperts:
    """Experts that go on with their own ``partial_fit``, batch after batch.

    Parameters
    ----------
    names, templates, estimators : lists of length n_experts
        Unfitted estimators and, from them, fitted ones.
    min_responsibility : float
        Rows below it are not given to an expert.
    classes : ndarray of shape (n_classes,) or None
        None for regressors.
    """

    in_sample = False  # what was predicted before they saw the batch is honest
    penalty = 0.0

    def __init__(self, names, templates, estimators, min_responsibility, classes):
        self.names, self.templates, self.estimators = names, templates, estimators
        self.min_responsibility, self.classes = min_responsibility, classes

    def without_rows(self):
        """These experts: they hold no rows."""
        return self

    def learn_batch(self, X, y, weights, *, keep, gain):
        """Go on with every expert on its rows.

        Parameters
        ----------
        X : array-like or DataFrame of n_samples rows
            The batch.
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target, or class numbers.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        keep, gain : float
            Not used: how fast an expert learns and forgets is its own affair.

        Returns
        -------
        experts : StreamedExperts
            With new ``estimators``.
        """
        labels = y if self.classes is None else self.classes[y]
        twin = copy.copy(self)
        twin.estimators = [self._learn(k, X, labels, weights) for k in range(len(self.estimators))]
        return twin

    def _learn(self, k, X, y, weights):
        weight = weights.sum(axis=1)
        share = weights[:, k] / np.where(weight > 0, weight, 1.0)
        if learns_weights(self.templates[k]):
            rows = np.flatnonzero(share > max(self.min_responsibility, NEGLIGIBLE_SHARE))
            given = weights[rows, k]
        else:  # the rows it wins, ties included
            rows = np.flatnonzero((weight > 0) & (weights[:, k] >= weights.max(axis=1)))
            given = None
        if not len(rows):
            return self.estimators[k]
        args = self.templates[k], _safe_indexing(X, rows), y[rows], given, self.classes
        model = self.estimators[k]
        try:
            if isinstance(model, FoldEnsemble):  # none of its models has seen these rows
                models = [learn_weighted(each, *args) for each in model.estimators_]
                return FoldEnsemble.from_fitted(models)
            return learn_weighted(model, *args)
        except Exception as error:  # whatever it is, it goes on, with the name of the expert
            error.add_note(f"Raised by partial_fit of expert {self.names[k]!r}.")
            raise


@dataclass
class _Answer:
    """Models of an expert, one for each split, and what they make of the rows."""

    models: list
    predictions: np.ndarray
    log_density: np.ndarray | None


def _fit_and_predict(X, y, name, estimator, last, arrays, y_shape, oob, target):
    """Fit a clone, or go on from the last model; predict other rows, out of bag where asked."""
    rows, weights, exposure, test, classes = arrays
    X_fit, y_fit = _safe_indexing(X, rows), y[rows]
    if exposure is not None:
        y_fit = y_fit / exposure
    if target is not None and not has_own_density(estimator):
        y_fit = target(y_fit)
    frozen = is_frozen(estimator)
    if classes is not None and not frozen and (y_fit == y_fit[0]).all():
        model, oob = DummyClassifier(strategy="prior").fit(X_fit, y_fit), False
    else:
        model = clone(estimator)
        try:
            if last is not None:
                model = fit_again(last, X_fit, y_fit, weights)
            elif weights is None:
                model.fit(X_fit, y_fit)
            else:
                fit_weighted(model, X_fit, y_fit, weights)
        except Exception as error:  # whatever it is, it goes on, with the name of the expert
            error.add_note(f"Raised by fit of expert {name!r} on {len(rows)} rows.")
            raise
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
