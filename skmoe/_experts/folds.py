"""Which rows an expert does not see: in-sample, out-of-bag, or folds drawn once per fit."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import _safe_indexing

from .._data import Rows, check_ids, number_ids
from .fitting import fit_weighted, has_oob_prediction, is_frozen, leaves_every_row_out, split_last
from .prediction import aligned_proba
from .solvers import count_coefficients, is_linear

DEFAULT_FOLDS = 5
IN_SAMPLE = "in-sample"
PREFIT = "prefit"
OUT_OF_BAG = "out of bag"
IN_FOLDS = "out of fold"
ROWS_PER_COEFFICIENT = 10  # by weight; with fewer, linear experts nearly memorise their rows


@dataclass(frozen=True)
class OutOfBag:
    """Out-of-bag predictions in place of folds."""

    folds: list  # list of (train, test): for what has no out-of-bag predictions
    # Whether experts must not fall back to these where members leave too few rows out.
    required: bool


@dataclass(frozen=True)
class Splitting:
    """How the rows of one fit are split into folds."""

    # "auto", "oob", "prefit", False, int, splitter or iterable: as the mixtures take it.
    cv: object
    params: dict  # what a splitter is given, such as ``groups``
    subject: np.ndarray | None  # (n_samples,): rows of one subject stay in one fold
    seed: int  # for the shuffle
    stratify: bool  # whether an integer means stratified folds
    # From which "auto" sees whether linear experts have too many coefficients to be predicted
    # in-sample; None is the weight of the rows.
    n_rows: float | None = None

    def is_by_row(self, rows):
        """Whether any row may be left out alone."""
        is_drawn = isinstance(self.cv, (int, str)) and not self.params and self.cv is not False
        return is_drawn and count_units(rows, self.subject) == len(rows.y)

    def folds(self, estimators, rows):
        """Folds (train, test) for cross-fitting; None, OutOfBag or "prefit" where there are none.

        None is for predictions in-sample, "prefit" for experts that are all fitted already. Every
        fold needs a row of positive weight to train on.
        """
        params = self.params
        if "groups" in params:
            groups = check_ids("groups", params["groups"], rows.X)
            params = params | {"groups": number_ids(groups)[2]}
        if self.n_rows is None:
            n_rows = rows.weight.sum()
        else:
            n_rows = self.n_rows
        kind, n_folds, _ = decide_folds(
            self.cv, estimators, rows, params, n_rows=n_rows, subject=self.subject
        )
        if kind in (IN_SAMPLE, PREFIT):
            if kind == IN_SAMPLE:
                return None
            return PREFIT
        drawn = self._draw(self.cv if n_folds is None else n_folds, rows, params)
        if kind == OUT_OF_BAG:
            return OutOfBag(drawn, required=self.cv == "oob")
        return drawn

    def _draw(self, cv, rows, params):
        """A list of (train, test), checked."""
        if isinstance(cv, Integral):
            units = params.get("groups", self.subject)
            folds = shuffled_folds(int(cv), rows, units, self.stratify, self.seed)
        else:
            folds = check_cv(cv).split(rows.X, rows.y, **params)
        folds = [(np.asarray(train), np.asarray(test)) for train, test in folds]
        check_folds(folds, cv, rows, self.subject)
        return folds

    def why_out_of_fold(self, estimators, rows, folds):
        """Why linear experts are predicted out of fold though nobody asked for it; a list."""
        is_automatic = isinstance(self.cv, str) and self.cv == "auto" and not self.params
        if not (is_automatic and isinstance(folds, list) and all(map(is_linear, estimators))):
            return []
        n_coefficients = sum(count_coefficients(e, rows.X, rows.y) for e in estimators)
        return [
            f"{rows.weight.sum():g} rows are fewer than {ROWS_PER_COEFFICIENT} for each of "
            f"{n_coefficients} coefficients, so that cv='auto' takes out-of-fold predictions, "
            "without bic or summary. For these: mixture.set_params(cv=False).fit(X, y)."
        ]

    def gate_folds(self, folds, rows, *, can_memorise):
        """Folds without which the gate is trained; None where it may see all rows.

        Those of the experts are the gate's too if there are any; ``can_memorise`` says whether it
        needs folds of its own where there are none.
        """
        if isinstance(folds, OutOfBag):
            folds = folds.folds
        if isinstance(folds, list):
            return folds
        if self.cv is False or not can_memorise:
            return None
        n_folds = min(DEFAULT_FOLDS, count_units(rows, self.subject))
        if n_folds < 2:
            return None
        return replace(self, cv=n_folds, params={}, stratify=False).folds([], rows)


def decide_folds(cv, estimators, rows, split_params, *, n_rows=np.inf, subject=None):
    """How a Splitting has rows predicted, before it draws any folds.

    Returns ``IN_SAMPLE``, ``PREFIT``, ``OUT_OF_BAG`` or ``IN_FOLDS``, the number of folds, or None
    if a splitter of the user's does not say it, and the reason in words.
    """
    trained = [e for e in estimators if not is_frozen(e)]
    if cv is True:
        raise ValueError("cv=True says nothing; use 'auto', False, an integer or a splitter.")
    if cv is False:
        if split_params:
            raise ValueError(
                "groups need folds: leave them out, or use cv='auto', an integer or a splitter."
            )
        return IN_SAMPLE, None, "cv=False"
    is_auto = isinstance(cv, str) and cv == "auto"
    if cv == "prefit" and trained:
        raise ValueError(
            f"cv='prefit' needs experts in sklearn.frozen.FrozenEstimator; got {trained[0]!r}."
        )
    if cv == "prefit" or (is_auto and not trained):
        return PREFIT, None, "the experts are fitted already"
    without_oob = [e for e in trained if not has_oob_prediction(e)]
    units = split_params.get("groups", subject)
    if cv == "oob" and (units is not None or without_oob):
        if without_oob:
            found = f"{without_oob[0]!r} is none"
        else:
            found = "it omits rows, not whole groups"
        raise ValueError(
            "cv='oob' needs bagging estimators with bootstrap=True and an oob_score, such as "
            f"random forests, without groups or subjects; {found}. Use cv='auto' or an integer."
        )
    if not isinstance(cv, str):
        return IN_FOLDS, (int(cv) if isinstance(cv, Integral) else None), "as asked for by cv"
    if cv != "oob" and not split_params and _are_small(trained, rows.X, rows.y, n_rows):
        many = f"linear experts with {ROWS_PER_COEFFICIENT} rows a coefficient or more"
        if np.isfinite(n_rows):
            reason = many
        else:
            reason = "the experts have a parametric likelihood"
        return IN_SAMPLE, None, reason
    n_units = count_units(rows, units)
    n_folds = min(DEFAULT_FOLDS, n_units)
    are_rows = units is None and n_units == len(rows.y)
    if cv == "oob" or (are_rows and all(leaves_every_row_out(e) for e in trained)):
        reason = "members of a bagging ensemble leave rows out"
        if is_auto:
            reason += "; folds, if too few do"
        return OUT_OF_BAG, n_folds, reason
    if n_folds < 2:
        if "groups" in split_params:
            unit = "group"
        else:
            unit = "subject"
        if unit == "group":
            otherwise = "leave groups out"
        else:
            otherwise = "ask for in-sample ones by cv=False"
        raise ValueError(
            f"Out-of-fold predictions need two {unit}s or more; found 1. Give more, or {otherwise}."
        )
    few = f"linear experts with fewer than {ROWS_PER_COEFFICIENT} rows a coefficient"
    if split_params:
        few = "groups are given"
    if all(map(is_linear, trained)):
        reason = few
    else:
        reason = "the experts can memorise their rows"
    return IN_FOLDS, n_folds, reason


def _are_small(estimators, X, y, n_rows):
    """Whether all are linear, with few coefficients for so many rows."""
    if not all(is_linear(e) for e in estimators):
        return False
    if np.isinf(n_rows):
        return True
    counts = {e: count_coefficients(e, X, y) for e in dict.fromkeys(estimators)}
    return n_rows >= ROWS_PER_COEFFICIENT * sum(counts[e] for e in estimators)


def check_folds(folds, cv, rows, subject):
    """Raise a ValueError where folds that a ``cv`` made are of no use."""
    for number, (train, test) in enumerate(folds):
        if not len(train) or not rows.weight[train].any():
            raise ValueError(
                f"Fold {number} of cv has no row of positive weight to train on: give more rows."
            )
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                f"Fold {number} of cv trains on {len(both)} rows that it holds out, such as row "
                f"{both[0]}: leave them out, or set cv=False for in-sample predictions."
            )
        if subject is not None and np.isin(subject, subject[test]).sum() > len(test):
            raise ValueError(
                "The folds split subjects: use an integer for cv, or groups of whole subjects."
            )
    tested = np.concatenate([[], *(test for _, test in folds)])
    if not np.array_equal(np.sort(tested), np.arange(len(rows.weight))):
        raise ValueError(
            f"cv must hold out every row exactly once, as KFold does; {cv!r} does not."
        )


def in_sample(estimator):
    """The mixture, set to maximise the likelihood itself where "auto" might do otherwise.

    ``cv="auto"`` might make folds, and ``training="auto"`` shrink the coefficients.
    """
    if isinstance(estimator.cv, str) and estimator.cv == "auto":
        estimator.set_params(cv=False)
    if estimator.training == "auto":
        estimator.set_params(training="em")
    return estimator


def count_units(rows, units):
    """Number of groups or subjects, of which each row has one; without any, of rows less copies."""
    return len(number_ids(rows.first_copies if units is None else units)[0])


def shuffled_folds(n_folds, rows, units, stratify, seed):
    """Folds (train, test), by groups or subjects, or by rows with their copies, stratified."""
    _, first, of_row = number_ids(rows.first_copies if units is None else units)
    if n_folds > len(first):
        raise ValueError(
            f"{n_folds} folds were asked for, more than the {len(first)} groups, subjects or "
            "different rows. Ask for fewer."
        )
    y = rows.y[first]
    kind = KFold
    if stratify and units is None and np.unique(y, return_counts=True)[1].min() >= n_folds:
        kind = StratifiedKFold
    folds = kind(n_folds, shuffle=True, random_state=seed).split(y, y)
    return [[np.flatnonzero(np.isin(of_row, each)) for each in fold] for fold in folds]


# The penalty of default experts of wide X ---------------------------------------------------------


PENALTIES = 10.0 ** np.arange(5, -5.5, -0.5)  # L2, from the strongest on
N_FOLDS = 5
PATIENCE = 2  # penalties in turn that are worse than the best, after which weaker ones are too
LEAST_PROBABILITY = 1e-15


def with_best_penalty(estimator, X, y, weight, seed, groups=None):
    """A Ridge or LogisticRegression of the penalty whose out-of-fold loss is lowest.

    That is the squared error, or the log-loss; ``y`` are then class numbers.
    """
    used = np.flatnonzero(weight > 0)
    X = _safe_indexing(X, used)
    y = y[used]
    weight = weight[used]
    classifies = is_classifier(estimator)
    if groups is not None:
        groups = groups[used]
    rows = Rows(X, y, weight)
    n_folds = min(N_FOLDS, count_units(rows, groups))
    if n_folds > 1:
        folds = shuffled_folds(n_folds, rows, groups, classifies, seed)
    else:
        folds = []
    if classifies:  # two classes at least to train on
        folds = [fold for fold in folds if len(np.unique(y[fold[0]])) > 1]
    models = [clone(estimator) for _ in folds]
    for model in models if classifies else []:
        split_last(model)[1].set_params(warm_start=True)
    best = {}
    lowest = np.inf
    n_worse = 0
    for penalty in PENALTIES.tolist():
        params = {"C": 1 / penalty} if classifies else {"alpha": penalty}
        loss = 0.0
        for model, (train, test) in zip(models, folds, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                split_last(model)[1].set_params(**params)
                fit_weighted(model, *(_safe_indexing(each, train) for each in (X, y, weight)))
            loss += weight[test] @ _losses(model, _safe_indexing(X, test), y[test])
        if loss < lowest:
            n_worse = 0
        else:
            n_worse = n_worse + 1
        if loss < lowest:
            best = params
            lowest = loss
        if n_worse == PATIENCE:
            break
    best_one = clone(estimator)
    split_last(best_one)[1].set_params(**best)
    return best_one


def _losses(model, X, y):
    """Loss of each row."""
    if not is_classifier(model):
        return ((y - model.predict(X)) ** 2).reshape(len(y), -1).sum(axis=1)
    classes = np.arange(max(y.max(), model.classes_.max()) + 1)
    proba = aligned_proba(model, X, classes)  # it may lack a rare class
    return -np.log(np.maximum(proba[np.arange(len(y)), y], LEAST_PROBABILITY))
