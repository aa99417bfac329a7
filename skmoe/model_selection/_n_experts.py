"""Number of experts, by evidence, information criteria and cross-validation."""

import warnings
from collections.abc import Iterable

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import _safe_indexing, check_array, check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._compat import with_callbacks_of
from .._data import RowMetadata, Rows, Subjects
from .._em.loop import count, refits
from .._experts.fitting import seed_estimator
from .._experts.folds import Splitting, in_sample
from .._fitted import criteria
from .._parameters import ExpertParameters
from .._reports.by_regime import html_table, text_table
from .._tables.known import check_weights
from .._tables.mixed import has_shape
from ..exceptions import LongFitWarning

CRITERIA = ("bic", "icl", "aic")
FEW = 0.2  # parameters per row, above which "auto" uses no information criterion


class ExpertSelection:
    """Result of :func:`select_n_experts`; prints as a table and shows as HTML.

    Parameters
    ----------
    results : dict of str to ndarray
        The table.
    best : int
        Index of its best row.
    estimator : mixture
        The best mixture, fitted.
    criterion : {"evidence", "bic", "icl", "aic", "cv"}
        Criterion of the choice.

    Attributes
    ----------
    best_n_experts_ : int
        The chosen number of experts.
    best_estimator_ : mixture
        The mixture with that number, fitted on all rows.
    criterion_ : {"evidence", "bic", "icl", "aic", "cv"}
        Criterion of the choice.
    results_ : dict of str to ndarray
        One value for each candidate. ``n_experts``; then, for "evidence", ``log_evidence``, the
        logarithm of the evidence of all rows; for information criteria ``log_likelihood``,
        ``n_parameters``, ``aic``, ``bic`` and ``icl``; for "cv"
        ``log_score``, the mean log-density of held-out rows, ``difference``, its distance from
        the highest, and ``std_error`` of this paired difference.

    See Also
    --------
    select_n_experts : Computes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.model_selection import select_n_experts
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(random_state=0)
    >>> found = select_n_experts(moe, X, y, [1, 2], criterion="bic")
    >>> print(found)
    n_experts  log_likelihood  n_parameters     aic     bic     icl
    1                  -169.6             3   345.3   355.2   355.2
    2                   168.4             8  -320.9  -294.5  -279.7  <- bic
    """

    def __init__(self, results, best, estimator, criterion):
        self.results_ = results
        self.best_n_experts_ = int(results["n_experts"][best])
        self.best_estimator_ = estimator
        self.criterion_ = criterion

    @property
    def disagreement(self):
        """Explanation, if BIC and ICL choose different numbers of experts.

        Returns
        -------
        sentence : str or None
            Printed below the table. None if they agree, or for other criteria.
        """
        if self.criterion_ not in CRITERIA:
            return None
        best = (np.argmin(self.results_[name]) for name in ("bic", "icl"))
        by_bic, by_icl = (self.results_["n_experts"][row] for row in best)
        if by_bic == by_icl:
            return None
        return (
            f"BIC is lowest with {count(by_bic)}, ICL with {count(by_icl)}: the experts of BIC "
            "describe the target best, but share rows; take ICL's number to read experts as groups."
        )

    def to_frame(self):
        """The table as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by the number of experts.
        """
        import pandas as pd

        return pd.DataFrame(self.results_).set_index("n_experts")

    def _cells(self):
        digits = {"n_experts": "d", "n_parameters": "d"}
        if self.criterion_ == "cv":
            usual = ".4f"
        else:
            usual = ".1f"
        return [
            [f"{column[i]:{digits.get(name, usual)}}" for name, column in self.results_.items()]
            + [f"<- {self.criterion_}" if n_experts == self.best_n_experts_ else ""]
            for i, n_experts in enumerate(self.results_["n_experts"])
        ]

    def __str__(self):
        table = text_table([*self.results_, ""], self._cells())
        if self.disagreement is None:
            return table
        return f"{table}\n{self.disagreement}"

    __repr__ = __str__

    def _repr_html_(self):
        below = filter(None, [self.disagreement])
        return html_table([*self.results_, ""], self._cells(), below=below)


def select_n_experts(
    estimator,
    X,
    y,
    n_experts=range(1, 7),
    *,
    criterion="auto",
    cv=5,
    sample_weight=None,
    exposure=None,
    trials=None,
    subject=None,
    upper=None,
    groups=None,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    r"""Choose the number of experts of a mixture; 1 is always among the candidates.

    The evidence (pooled experts) and information criteria (maximum likelihood) take one fit for
    each candidate. Cross-validation repeats the whole EM, including starts, on each training
    part, and compares log-densities of held-out rows: the choice is the smallest number whose
    mean is within one standard error of the highest. The standard error is that of the paired
    difference between rows [1]_.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor or MixtureOfExpertsClassifier
        Mixture with a single estimator as experts, not a list. It is not changed.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    n_experts : iterable of int, default=range(1, 7)
        Candidates.
    criterion : {"auto", "evidence", "bic", "icl", "aic", "cv"}, default="auto"
        "auto" is "evidence" if ``fit`` pools the experts. Otherwise it is "bic" if parameters can
        be counted (linear or logistic experts, predicted in-sample) and the largest candidate has
        at least five rows, or subjects, for each of them, and else "cv": with fewer, BIC finds
        too many experts. "icl" prefers experts that share few rows; "aic" tends to find too many.
        With these three ``training="auto"`` is maximum likelihood by EM.
    cv : int, splitter or iterable of (train, test), default=5
        Folds of the outer cross-validation; a number means shuffled folds, stratified for
        classes. Every row has to be held out once.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights: a row of weight 2 counts as two rows.
    exposure, trials, subject, upper : array-like of shape (n_samples,), default=None
        As in ``fit``. Criteria count subjects; folds keep them together, and standard errors are
        those of subjects.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group stay in one fold, here and in ``fit``, which then also predicts linear
        experts out of fold, unless ``cv=False``. Standard errors are those of groups.
    n_jobs : int, default=None
        Jobs for candidates and folds. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Random number generator of the folds, and of the mixture if it has none.
    verbose : int, default=0
        1 prints how many fits are done, and about how many seconds remain.

    Returns
    -------
    selection : ExpertSelection
        With ``best_n_experts_``, ``best_estimator_`` and a table of all candidates.

    Raises
    ------
    ValueError
        If the criterion is unknown, needs parameters that cannot be counted, or needs pooling, or
        if there are no candidates.
    TypeError
        If the estimator is no mixture, or its experts are a list.

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, "Classification and
       Regression Trees", Wadsworth (1984), section 3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.model_selection import select_n_experts
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(300, 1))
    >>> y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=300)
    >>> moe = MixtureOfExpertsRegressor(random_state=0)
    >>> select_n_experts(moe, X, y, range(1, 4)).best_n_experts_
    2
    >>> by_cv = {"criterion": "cv", "cv": 3, "random_state": 0}
    >>> select_n_experts(moe, X, y, [2], **by_cv).best_n_experts_
    2
    """
    if not isinstance(estimator, ExpertParameters):
        raise TypeError(f"estimator must be a mixture of experts; got {estimator!r}.")
    if estimator._is_list:
        raise TypeError("A list has as many experts as estimators; give one estimator to clone.")
    if isinstance(n_experts, Iterable):
        candidates = list(n_experts)
    else:
        candidates = [n_experts]
    if not candidates or min(candidates) < 1:
        raise ValueError(f"n_experts must be positive numbers, one at least; got {n_experts!r}.")
    candidates = sorted({1, *map(int, candidates)})
    if criterion not in ("auto", "evidence", "cv", *CRITERIA):
        raise ValueError(
            f"criterion must be 'auto', 'evidence', 'cv', 'bic', 'icl' or 'aic'; got {criterion!r}."
        )
    if not has_shape(X):
        X = check_array(X, dtype=None, ensure_all_finite=False)
    y, trials = estimator._counted(np.asarray(y), trials)
    check_consistent_length(X, y, groups)
    metadata = RowMetadata(exposure, trials, subject, upper).checked(X)
    rows = {
        "sample_weight": check_weights(sample_weight, X, ensure_non_negative=True),
        **metadata.given(),
    }
    if groups is not None:
        rows["groups"] = column_or_1d(groups)
    random_state = check_random_state(random_state)
    estimator = seed_estimator(estimator, random_state)
    if criterion in ("auto", "evidence"):
        criterion = _resolved(criterion, estimator, candidates[-1], X, y, rows)
    if criterion != "cv":
        is_pooled = criterion == "evidence"
        if not is_pooled:
            estimator = _in_sample(estimator, rows)
        tasks = [(k,) for k in candidates]
        fits = _fits(_fit_number, estimator, X, y, rows, tasks, n_jobs, verbose)
        if is_pooled:
            pairs = zip(fits, candidates, strict=True)
            evidence = [each.n_samples_seen_ * each.log_evidence_[k] for (each, _), k in pairs]
            results = {"n_experts": np.array(candidates), "log_evidence": np.array(evidence)}
            best = int(np.argmax(results["log_evidence"]))
        else:
            results = _information(fits, candidates, X, y, rows)
            best = int(np.argmin(results[criterion]))
        fitted, caught = fits[best]
    else:
        seed = random_state.randint(np.iinfo(np.int32).max)
        if "groups" in rows:
            together = {"groups": rows["groups"]}
        else:
            together = {}
        splitting = Splitting(cv, together, rows.get("subject"), seed, is_classifier(estimator))
        folds = splitting.folds([], Rows(X, y, rows["sample_weight"]))
        log_density, weight = _held_out(estimator, X, y, rows, candidates, folds, n_jobs, verbose)
        results = _compare(log_density, weight, candidates, rows.get("groups"))
        best = int(np.argmax(results["difference"] <= results["std_error"]))
        fitted, caught = _fit_number(estimator, X, y, rows, candidates[best])
    for warning in caught:  # warnings of the other candidates do not concern the user
        if not isinstance(warning, LongFitWarning):
            warnings.warn(warning, stacklevel=2)
    return ExpertSelection(results, best, fitted, criterion)


def _resolved(criterion, estimator, most_experts, X, y, rows):
    """The criterion for "auto", or "evidence" if experts are pooled."""
    plan = clone(estimator).set_params(n_experts="auto").plan(X, y, **rows)
    if plan.training == "pooled":
        return "evidence"
    if criterion == "evidence":
        raise ValueError(
            f"criterion='evidence' needs pooled experts, but these would be trained by "
            f"{plan.training!r}: {plan.reasons['training']}."
        )
    if _has_few_parameters(estimator, most_experts, X, y, rows):
        return "bic"
    return "cv"


def _has_few_parameters(estimator, n_experts, X, y, rows):
    """Whether information criteria apply, by a mixture with little training."""
    probe = _in_sample(clone(estimator), rows).set_params(n_init=1, max_iter=1)
    try:
        mixture, _ = _fit_number(probe, X, y, rows, n_experts)
        _, n_units, n_parameters, _ = _likelihood_terms(mixture, X, y, rows)
    except ValueError:
        return False
    return n_parameters <= FEW * n_units


def _in_sample(estimator, rows):
    """The mixture at the maximum of its likelihood, unless groups need folds."""
    if "groups" in rows:
        return estimator
    return in_sample(estimator)


def _fits(function, estimator, X, y, rows, tasks, n_jobs, verbose):
    """Results of tasks, run in reverse order: more experts take longer."""
    shared = estimator, X, y, rows
    return refits(estimator, (X, y), function, shared, tasks[::-1], n_jobs, verbose)[::-1]


def _fit_number(estimator, X, y, rows, n_experts):
    """A fitted mixture with this number of experts, and its warnings."""
    mixture = with_callbacks_of(clone(estimator)).set_params(n_experts=n_experts)
    if mixture.cv is False:  # without folds, fit takes no groups
        rows = {name: values for name, values in rows.items() if name != "groups"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.fit(X, y, **rows)
    return mixture, [warning.message for warning in caught]


def _scored_with(rows):
    """Arguments of criteria and densities with an entry for each row."""
    return {"sample_weight": None, **{k: v for k, v in rows.items() if k != "groups"}}


def _likelihood_terms(mixture, X, y, rows):
    given = _scored_with(rows)
    return mixture._likelihood_terms(X, y, given.pop("sample_weight"), RowMetadata(**given))


def _information(fits, candidates, X, y, rows):
    terms = zip(*(_likelihood_terms(mixture, X, y, rows) for mixture, _ in fits), strict=True)
    log_likelihood, _, n_parameters, _ = terms = list(map(np.array, terms))
    found = {"n_experts": np.array(candidates), "log_likelihood": log_likelihood}
    return found | {"n_parameters": n_parameters} | criteria(*terms)


def _held_out(estimator, X, y, rows, candidates, folds, n_jobs, verbose):
    """Held-out log-density of each row, or subject, and their weights.

    The first is (n_units, n_candidates), the second (n_units,).
    """
    tasks = [(k, train, test) for k in candidates for train, test in folds]
    parts = _fits(_score_fold, estimator, X, y, rows, tasks, n_jobs, verbose)
    tested = [test for _, test in folds]
    weight = rows["sample_weight"]
    if "subject" in rows:
        subjects = Subjects(rows["subject"], weight)
        weight = subjects.counts
        labels = (np.unique(rows["subject"][test]) for test in tested)
        tested = [np.searchsorted(subjects.labels, each) for each in labels]
    log_density = np.empty((len(weight), len(candidates)))
    for i in range(len(candidates)):
        for test, part in zip(tested, parts[i * len(folds) :], strict=False):
            log_density[test, i] = part
    return log_density, weight


def _score_fold(estimator, X, y, rows, n_experts, train, test):
    of_train, of_test = ({name: v[part] for name, v in rows.items()} for part in (train, test))
    mixture, _ = _fit_number(estimator, _safe_indexing(X, train), y[train], of_train, n_experts)
    return mixture.log_density(_safe_indexing(X, test), y[test], **_scored_with(of_test))


def _compare(log_density, weight, candidates, groups=None):
    """Mean of each column, difference from the highest, and its standard error."""
    share = weight / weight.sum()
    score = share @ log_density
    behind = log_density[:, [np.argmax(score)]] - log_density
    difference = share @ behind
    beyond = behind - difference
    variance = share @ beyond**2 / weight.sum()
    if groups is not None and len(groups) == len(weight):
        numbers = np.unique(groups, return_inverse=True)[1]
        sums = [np.bincount(numbers, share * column) for column in beyond.T]
        variance = np.square(sums).sum(axis=1)
    return {
        "n_experts": np.array(candidates),
        "log_score": score,
        "difference": difference,
        "std_error": np.sqrt(variance),
    }
