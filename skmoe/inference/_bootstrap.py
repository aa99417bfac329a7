"""Bootstrap of mixtures, with experts in the same order in all resamples."""

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import optimize, stats
from sklearn.base import is_classifier
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils.validation import check_consistent_length

from .._compat import with_callbacks_of
from .._data import RowMetadata, check_ids, number_ids
from .._em.loop import refits
from .._experts.fitting import join_last, offers, split_last
from .._parameters import ExpertParameters
from .._reports.by_regime import html_table, text_table, under_headings
from .._reports.column_names import IS_REFERENCE
from .._tables.known import check_weights
from .._tables.mixed import has_shape
from .._validation import check_fitted
from ._estimates import check_applies, parameter_names, raw_parameters
from ._posterior import estimates_of

DRAWS = 100  # attempts until all classes are in a resample


class EstimateTable:
    """What tables of estimates have in common; ``_lines`` are below the table.

    Attributes
    ----------
    value : str
        Name of the attribute that has the estimates.
    index : dict of str to str
        Names of the attributes with headings and rows, by their names in a DataFrame.
    has_tests : bool
        Whether there are tests.
    """

    value = "estimate"
    index = {"part": "parts", "term": "terms"}
    has_tests = True
    _under = staticmethod(under_headings)

    def _set(self, estimate, cov, *, tested, df=np.inf):
        """Set estimates, whether each is tested, and the degrees of freedom of intervals."""
        self.cov = cov
        self.std_error = np.sqrt(np.diag(cov))
        vars(self)[self.value] = estimate
        self.z = np.full(len(estimate), np.nan)
        np.divide(estimate, self.std_error, out=self.z, where=tested & self.has_tests)
        self.p_value = 2 * stats.t.sf(np.abs(self.z), df)
        reach = stats.t.ppf(0.5 + self.level / 2, df) * self.std_error
        self.lower = estimate - reach
        self.upper = estimate + reach

    def _labels(self):
        """Headings and rows, by the names of ``index``."""
        return {name: vars(self)[attribute] for name, attribute in self.index.items()}

    def _columns(self):
        names = (self.value, "std_error", "z", "p_value", "lower", "upper")
        return {name: vars(self)[name] for name in names}

    def to_frame(self):
        """The table as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by headings and rows, or by numbers.
        """
        import pandas as pd

        labels = self._labels()
        index = None
        if labels:
            index = pd.MultiIndex.from_arrays(list(labels.values()), names=list(labels))
        return pd.DataFrame(self._columns(), index=index)

    def _header(self):
        if self.has_tests:
            tests = ["z", "p_value"]
        else:
            tests = []
        return ["", self.value, "std_error", *tests, *_interval_ends(self.level)]

    def _cells(self):
        cells = []
        labels = self._labels()
        for estimate, std_error, *tests, lower, upper in zip(
            *self._columns().values(), strict=True
        ):
            if np.isnan(std_error):
                if np.isnan(estimate):
                    shown = []
                else:
                    shown = [f"{estimate:.4g}"]
                cells.append([*shown, "n/a"] + [""] * (len(self._header()) - len(shown) - 2))
                continue
            row = [f"{estimate:.4g}", f"{std_error:.3g}"]
            if self.has_tests:
                z, p_value = tests
                shown = [f"{z:.2f}", "<0.001" if p_value < 5e-4 else f"{p_value:.3f}"]
                row += shown if np.isfinite(z) else ["", ""]
            cells.append([*row, f"{lower:.4g}", f"{upper:.4g}"])
        if not labels:
            return [[str(i), *row] for i, row in enumerate(cells)]
        return self._under(*labels.values(), cells)

    def __str__(self):
        return "\n".join([text_table(self._header(), self._cells()), "", *self._lines()])

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._header(), self._cells(), below=self._lines())


class BootstrapResult(EstimateTable):
    """Result of :func:`bootstrap`; prints as a table and shows as HTML.

    Parameters
    ----------
    estimate : ndarray
        The statistic of the fitted mixture.
    distribution : ndarray of shape (..., n_resamples)
        The statistic of each resample.
    names : (list of str, list of str) or None
        Part and term of each parameter, if the statistic is the parameters.
    confidence_level : float
        Confidence level of the intervals.

    Attributes
    ----------
    bootstrap_distribution : ndarray of shape (..., n_resamples)
        The statistic of each resample.
    standard_error : ndarray
        Standard deviation of the resamples.
    confidence_interval : (ndarray, ndarray)
        Percentiles of the resamples.

    See Also
    --------
    bootstrap : Computes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.inference import BootstrapResult
    >>> draws = np.random.default_rng(0).normal(size=(1, 1000))
    >>> result = BootstrapResult(np.zeros(1), draws, None, 0.9)
    >>> result.standard_error.round(2)
    array([0.98])
    """

    has_tests = False

    def __init__(self, estimate, distribution, names, confidence_level):
        self.estimate = estimate
        self.bootstrap_distribution = distribution
        self.names = names
        self.confidence_level = confidence_level
        self.standard_error = distribution.std(axis=-1, ddof=1)
        tail = (1 - confidence_level) / 2
        self.confidence_interval = tuple(np.quantile(distribution, [tail, 1 - tail], axis=-1))

    def _header(self):
        return ["", "estimate", "std_error", *_interval_ends(self.confidence_level)]

    def _labels(self):
        if self.names is None:
            return {}
        return dict(zip(self.index, self.names, strict=True))

    def _columns(self):
        columns = (self.estimate, self.standard_error, *self.confidence_interval)
        names = ("estimate", "std_error", "lower", "upper")
        return dict(zip(names, map(np.ravel, columns), strict=True))

    def _lines(self):
        lines = [f"{self.bootstrap_distribution.shape[-1]} resamples"]
        lacking = np.isnan(self.standard_error) & ~np.isnan(self.estimate)
        if self.names is not None and lacking.any():
            terms = dict.fromkeys(np.array(self.names[1])[lacking].tolist())
            lines.append(f"n/a: {', '.join(terms)}, of which some resamples have no rows")
        return lines


def bootstrap(
    estimator,
    X,
    y,
    *,
    sample_weight=None,
    exposure=None,
    trials=None,
    subject=None,
    upper=None,
    groups=None,
    statistic=None,
    n_resamples=200,
    confidence_level=0.95,
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Bootstrap a fitted mixture: standard errors and intervals by refits to resampled rows.

    Each refit starts from the fitted mixture, so that EM is fast and stays near the same optimum;
    uncertainty about the optimum is not included. The experts of each refit are matched with those
    of the mixture by their responsibilities, to undo label switching [1]_.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor or MixtureOfExpertsClassifier
        Fitted mixture; it is not changed.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows it was fitted on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their target.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights. A row is drawn as one observation, and keeps its weight.
    exposure, trials, subject, upper : array-like of shape (n_samples,)
        As in ``fit``. Whole subjects are drawn, and a subject drawn twice counts as two.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group, such as a person, are drawn together.
    statistic : callable, default=None
        ``statistic(mixture)`` -> number or array of fixed shape. None is the parameters of
        ``summary``; NaN (n/a) if not identified, or of a level without rows in a resample.
    n_resamples : int, default=200
        Number of refits. Percentiles need more than standard errors: 1000 or more.
    confidence_level : float, default=0.95
        Confidence level of the percentile intervals.
    n_jobs : int, default=None
        Jobs for the refits. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Random number generator of the resamples.
    verbose : int, default=0
        1 prints how many refits are done, and about how many seconds remain.

    Returns
    -------
    result : BootstrapResult
        With ``bootstrap_distribution``, ``standard_error`` and ``confidence_interval``, as in
        ``scipy.stats.bootstrap``, and ``to_frame``.

    Raises
    ------
    ValueError
        If an option is unknown, a statistic is needed, or there are subjects with cross-fitted
        experts: copies of a subject would be on both sides of a fold.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.summary : Standard errors by derivatives, without refits.

    References
    ----------
    .. [1] M. Stephens, "Dealing with label switching in mixture models", Journal of the Royal
       Statistical Society B 62 (2000) 795-809.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inference import bootstrap
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> at_zero = bootstrap(
    ...     moe,
    ...     X,
    ...     y,
    ...     statistic=lambda mixture: mixture.predict([[0.0]]),
    ...     n_resamples=20,
    ...     random_state=0,
    ... )
    >>> at_zero.standard_error.shape
    (1,)
    """
    _check_options(estimator, statistic, n_resamples, confidence_level)
    metadata = RowMetadata(exposure, trials, subject, upper)
    rows = check_bootstrap_rows(estimator, X, y, sample_weight, metadata, groups)
    if rows.metadata.subject is not None and estimator._is_cross_fitted:
        raise ValueError(
            "Subjects cannot be drawn with replacement for cross-fitted experts: a subject that "
            "is drawn twice would be on both sides of a fold."
        )
    known = rows.responsibilities(estimator)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_resamples)
    names = None
    if statistic is None:
        names = parameter_names(estimator)
        estimates = estimates_of(estimator, X, rows.y, sample_weight, rows.metadata)
        statistic = partial(
            _parameters, names=_without_references(names), recode=estimates.in_full_rank()
        )
    shared = (estimator, rows, known, statistic)
    tasks = [(int(seed),) for seed in seeds]
    what = "fits (skmoe.inference.bootstrap has n_resamples, n_jobs)"  # which summary has not
    resamples = refits(estimator, (X, rows.y), _resample, shared, tasks, n_jobs, verbose, what)
    estimate = np.asarray(statistic(estimator), dtype=np.float64)
    return BootstrapResult(estimate, np.stack(resamples, axis=-1), names, confidence_level)


def bootstrap_covariance(mixture, X, y, sample_weight, metadata):
    """Parameters as in ``summary``, their covariance over resamples, and notes in a list."""
    result = bootstrap(
        mixture,
        X,
        y,
        sample_weight=sample_weight,
        **metadata._asdict(),
        n_jobs=mixture.n_jobs,
        random_state=mixture.random_state,
        verbose=mixture.verbose,
    )
    return result.estimate, np.cov(result.bootstrap_distribution), result._lines()[1:]


def _without_references(names):
    """Pairs of part and term, without the note on levels that are references."""
    return [(part, term.removesuffix(IS_REFERENCE)) for part, term in zip(*names, strict=True)]


def _parameters(mixture, names, recode):
    """Parameters of a refit by name, as in ``summary``; NaN without a row, or not identified.

    Regimes of one of the fits may share their gate, which has no slopes then.
    """
    own = _without_references(parameter_names(mixture))
    slopes = [
        {"intercept"} < {t for part, t in each if part.startswith("gate: ")}
        for each in (names, own)
    ]
    raw = dict(zip(own, raw_parameters(mixture, by_load=not slopes[0]), strict=True))
    found = recode @ [raw.get(name, 0.0) for name in names]
    lacks = [name not in raw and (slopes[1] or not name[0].startswith("gate: ")) for name in names]
    return np.where(lacks, np.nan, found)


@dataclass
class BootstrapRows:
    """Rows of a fit, with their weights, subjects and other arguments."""

    X: object
    y: np.ndarray
    weight: np.ndarray
    metadata: RowMetadata
    groups: np.ndarray | None
    unit: np.ndarray  # (n_samples,): number of what is drawn: the row, its group or its subject

    def responsibilities(self, mixture):
        """Responsibilities of a fitted mixture for these rows, (n_samples, n_experts)."""
        given = self.metadata.given()
        if self.metadata.subject is not None:
            given["sample_weight"] = self.weight
        return mixture.responsibilities(self.X, self.y, **given, by="expert")

    def draw(self, random_state):
        """Numbers of rows, their weights and subjects in one resample of units."""
        n_units = self.unit.max() + 1
        drawn = random_state.randint(n_units, size=n_units)
        if self.metadata.subject is None:
            counts = np.bincount(drawn, minlength=n_units)[self.unit]
            rows = np.flatnonzero(counts * self.weight)
            return rows, (counts * self.weight)[rows], None
        members = np.split(np.argsort(self.unit, kind="stable"), np.cumsum(np.bincount(self.unit)))
        rows = np.concatenate([members[unit] for unit in drawn])
        copies = np.repeat(np.arange(n_units), [len(members[unit]) for unit in drawn])
        return rows, self.weight[rows], copies

    def halve(self, random_state):
        """Numbers of the rows of half the units, drawn without replacement."""
        n_units = self.unit.max() + 1
        drawn = random_state.permutation(n_units)[: -(-n_units // 2)]
        return np.flatnonzero(np.isin(self.unit, drawn) & (self.weight > 0))

    def fit(self, mixture, rows, weight, subject):
        """Fit a mixture to some of the rows."""
        params = self.metadata._replace(subject=None).take(rows).given()
        if subject is not None:
            params["subject"] = subject
        # A splitter may ask for groups; elsewhere they would change how experts are predicted.
        if self.groups is not None and offers(mixture.cv, "get_n_splits"):
            params["groups"] = self.groups[rows]
        X = _safe_indexing(self.X, rows)
        y = self.y[rows]
        return mixture.fit(X, y, sample_weight=weight, **params)


def check_bootstrap_rows(estimator, X, y, sample_weight, metadata, groups):
    """Rows of a fit, checked: BootstrapRows."""
    if not has_shape(X):
        X = np.asarray(X)
    y, trials = estimator._counted(np.asarray(y), metadata.trials)
    metadata = metadata._replace(trials=trials).checked(X)
    check_consistent_length(X, y, groups)
    weight = check_weights(sample_weight, X, ensure_non_negative=True)
    subject = metadata.subject
    if subject is not None and groups is not None:
        raise ValueError("Give groups or subject, not both: whole subjects are drawn anyway.")
    if groups is not None:
        groups = check_ids("groups", groups, X)
    if groups is None:
        unit = subject
    else:
        unit = groups
    if unit is None:
        unit = np.arange(len(y))
    else:
        unit = number_ids(unit)[2]
    return BootstrapRows(X, y, weight, metadata, groups, unit)


def _check_options(estimator, statistic, n_resamples, confidence_level):
    if not isinstance(estimator, ExpertParameters):
        raise TypeError(f"estimator must be a mixture of experts; got {estimator!r}.")
    check_fitted(estimator)
    if n_resamples < 2:
        raise ValueError(f"n_resamples must be at least 2; got {n_resamples!r}.")
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1; got {confidence_level!r}.")
    if statistic is None:
        check_applies(estimator)


def _resample(estimator, rows, known, statistic, seed):
    """The statistic of one resample."""
    draw = partial(rows.draw, np.random.RandomState(seed))
    drawn, weight, subject = with_all_classes(estimator, rows.y, draw)
    # If gate and scales are learned from out-of-fold predictions alone, there is nothing to
    # continue from, and no order of experts that could change.
    goes_on = estimator._grows
    twin = with_callbacks_of(estimator).set_params(verbose=0, warm_start=goes_on)
    rows.fit(twin, drawn, weight, subject)
    if goes_on:
        match(twin, known.T @ (rows.responsibilities(twin) * rows.weight[:, None]))
    return np.asarray(statistic(twin), dtype=np.float64)


def with_all_classes(estimator, y, draw):
    """Result of ``draw``, numbers of rows first, repeated until their y have all classes."""
    for _ in range(DRAWS):
        drawn, *others = draw()
        if not is_classifier(estimator) or len(np.unique(y[drawn])) == len(estimator.classes_):
            return drawn, *others
    raise ValueError("Resamples lack a class: it has too few rows, or groups, for the bootstrap.")


def match(mixture, shared):
    """Renumber the experts of a mixture like those of another one, by replacing attributes.

    Experts of a list do not move, nor do those whose order matters to the gate. Entry (k, j) of
    ``shared`` is the overlap of expert k of the other mixture and expert j of this one.
    """
    head, gate = split_last(mixture.gate_)
    if mixture._is_list or not gate.can_reorder:
        return
    _, order = optimize.linear_sum_assignment(shared, maximize=True)
    gate = copy.copy(gate)
    likelihood = copy.copy(mixture.likelihood_)
    gate.reorder(order)
    likelihood.reorder(order)
    mixture.gate_ = join_last(mixture.gate_, gate)
    mixture.likelihood_ = likelihood
    experts = mixture.experts_ = [mixture.experts_[k] for k in order]
    mixture.named_experts_ = Bunch(**dict(zip(mixture.named_experts_, experts, strict=True)))
    mixture.expert_load_ = mixture.expert_load_[order]


def _interval_ends(level):
    """Names of the ends of a central interval: 2.5 % and 97.5 % for a level of 0.95."""
    return [f"{50 * (1 + sign * level):.4g} %" for sign in (-1, 1)]
