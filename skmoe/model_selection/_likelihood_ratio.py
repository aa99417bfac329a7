"""Likelihood-ratio tests: whether one more expert is needed, and whether the gate is."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state

from .._compat import check_sample_weight
from .._data import RowMetadata
from .._experts.folds import in_sample
from .._experts.traits import seed_estimator
from .._parallel import jobs
from .._rows.validation import check_X
from .._tables.mixed import rows_of
from ..distributions._arrays import draw_places, take
from ..distributions._quadrature import find_root
from ..gates import ConstantGate
from ..gates._classifier import as_gate
from ..inference._bootstrap import with_all_classes
from ..inference._estimates import Estimates
from ._censoring import Censoring
from ._n_experts import check_clones

LITTLE = 1e-9  # least responsibility, for rows that are impossible under every expert


@dataclass
class LikelihoodRatioResult:
    """A likelihood-ratio statistic and its p-value.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    pvalue : float
        Probability of such a statistic or a larger one if the smaller mixture is true.
    df : int, default=None
        Degrees of freedom of the chi-squared distribution that gave the p-value.
    null_distribution : ndarray of shape (n_resamples,), default=None
        Statistics under the smaller mixture, where these gave the p-value.

    See Also
    --------
    n_experts_test : Makes it.
    gate_test : Makes it.

    Examples
    --------
    >>> from skmoe.model_selection import LikelihoodRatioResult
    >>> LikelihoodRatioResult(3.2, 0.07, df=1).pvalue
    0.07
    """

    statistic: float
    pvalue: float
    df: int | None = None
    null_distribution: np.ndarray | None = field(default=None, repr=False)


def n_experts_test(
    estimator, X, y, n_experts=1, *, sample_weight=None, exposure=None, trials=None, subject=None,
    upper=None, n_resamples=99, n_jobs=None, random_state=None, verbose=0,
):  # fmt: skip
    """Test ``n_experts`` experts against one more, by the parametric bootstrap.

    The ratio of the two likelihoods has no known distribution, since the parameters of an expert
    too many are not defined. So targets are drawn from the smaller mixture, and both mixtures
    fitted to these, again and again [1]_, each time from the same kinds of starts.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor or MixtureOfExpertsClassifier
        With one linear or logistic expert to clone. It stays as it is, fitted or not. Fewer starts
        (``n_init``) make the test quicker, and leave it valid.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    n_experts : int, default=1
        Number of experts under the hypothesis.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights: a row of weight 2 counts as two rows, whose targets are drawn one by one. Where
        weights are no whole numbers, one target is drawn for each row.
    exposure, trials, subject, upper : array-like of shape (n_samples,), default=None
        As in ``fit``. In the targets that are drawn, rows of a subject share an expert too, experts
        that are known stay, and all are beyond their entries. They are censored at the limits of
        their rows, which of observed ones are drawn from the product-limit estimate of all limits
        [2]_; not for targets in intervals.
    n_resamples : int, default=99
        Draws; the smallest possible p-value is ``1 / (n_resamples + 1)``.
    n_jobs : int, default=None
        Jobs for the draws. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Draws the targets, and the seed of the mixture where it has none.
    verbose : int, default=0
        Progress: joblib prints how many draws are done, more often from 10 on.

    Returns
    -------
    result : LikelihoodRatioResult
        With ``statistic``, ``pvalue`` and ``null_distribution``.

    Raises
    ------
    ValueError
        If the mixture is not at the maximum of a likelihood: its experts are not linear or
        logistic, or ``top_k`` is set.
    TypeError
        If the estimator is no mixture, or its experts are a list.

    See Also
    --------
    select_n_experts : Chooses among many numbers, at less expense.

    References
    ----------
    .. [1] G. J. McLachlan, "On bootstrapping the likelihood ratio test statistic for the number
       of components in a normal mixture", Applied Statistics 36 (1987) 318-324.
    .. [2] B. Efron, "Censored data and the bootstrap", Journal of the American Statistical
       Association 76 (1981) 312-319.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.model_selection import n_experts_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(100, 1))
    >>> y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=100)
    >>> moe = MixtureOfExpertsRegressor(n_init=2, random_state=0)
    >>> n_experts_test(moe, X, y, 1, n_resamples=9, random_state=0).pvalue
    0.1
    """
    check_clones(estimator)
    if n_experts < 1 or n_resamples < 1:
        raise ValueError(
            f"n_experts and n_resamples must be positive; got {n_experts!r} and {n_resamples!r}."
        )
    X, estimator = rows_of(X), estimator._of_order_in(y)
    y, trials = estimator._counted(np.asarray(y), trials)
    metadata = RowMetadata(exposure, trials, subject, upper).checked(X)
    weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if (weight == np.round(weight)).all():
        rows = np.repeat(np.arange(len(weight)), weight.astype(np.int64))
        X, y, metadata = _safe_indexing(X, rows), y[rows], metadata.take(rows)
        weight = np.ones(len(rows))
    table = X, weight, metadata
    censor = None
    if upper is not None:
        censor = Censoring(np.asarray(y, np.float64), metadata.upper, weight, metadata.entry)
    random_state = check_random_state(random_state)
    estimator = in_sample(seed_estimator(estimator, random_state))
    seeds = random_state.randint(np.iinfo(np.int32).max, size=n_resamples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an expert too many may well collapse
        statistic, null = _ratio(estimator, table, y, n_experts)
        with jobs(n_jobs, (estimator, null, table, n_experts, censor), verbose) as run:
            drawn = np.array(run(_ratio_of_draw, [(int(seed),) for seed in seeds]))
    pvalue = (1 + int((drawn >= statistic).sum())) / (1 + n_resamples)
    return LikelihoodRatioResult(statistic, pvalue, null_distribution=drawn)


def _ratio(estimator, table, y, n_experts):
    """Twice the gain of one more expert, and the mixture without it.

    ``table`` are rows without their target: X, weights and RowMetadata.
    """
    X, weight, metadata = table
    small, large = (
        clone(estimator).set_params(n_experts=k).fit(X, y, weight, **metadata.given())
        for k in (n_experts, n_experts + 1)
    )
    values = [each._likelihood_terms(X, y, weight, metadata)[0] for each in (small, large)]
    # Starts may end below the smaller mixture, which the larger one has among its kind.
    return 2 * max(0.0, float(values[1] - values[0])), small


def _ratio_of_draw(estimator, null, table, n_experts, censor, seed):
    random_state, (X, weight, metadata) = np.random.RandomState(seed), table
    given = metadata._replace(upper=None).given()

    def draw():
        y = _draw(null, X, random_state, **given)
        return (y, metadata.upper) if censor is None else censor(y, random_state)

    y, upper = with_all_classes(null, draw)
    return _ratio(estimator, (X, weight, metadata._replace(upper=upper)), y, n_experts)[0]


def _draw(mixture, X, random_state, subject=None, expert=None, entry=None, **given):
    """A target for each row, drawn from a mixture: of a subject from one expert, beyond entries."""
    if subject is None and expert is None and entry is None:
        return mixture.sample_y(X, random_state=random_state, **given)[..., 0]
    proba, number = mixture.gate_proba(X), np.arange(X.shape[0])
    if subject is not None:
        _, first, number = np.unique(subject, return_index=True, return_inverse=True)
        proba = proba[first]
    components = None
    if not is_classifier(mixture):
        components = mixture.predict_dist(X, **given).components
    if entry is not None:
        log_seen = components.logsf(entry[:, None])
        proba = proba * np.exp(log_seen - log_seen.max(axis=1, keepdims=True))
    drawn = draw_places(proba, 1, random_state)[:, 0]
    if expert is not None:
        drawn[number[expert >= 0]] = expert[expert >= 0]
    places = drawn[number][:, None]
    if components is None:
        of_experts = mixture._model.expert_proba(check_X(mixture, X))
        proba = np.take_along_axis(of_experts, places[:, :, None], axis=1)[:, 0]
        return mixture.classes_[draw_places(proba, 1, random_state)[:, 0]]
    y = components.rvs(places, random_state)[:, 0]
    return y if entry is None else _beyond(entry, y, components, places, random_state)


def _beyond(entry, y, components, places, random_state):
    """Targets (n_samples,) as they are, and drawn anew where they are not beyond their entries."""

    def log_beyond(values):
        return take(components.logsf(values[:, None]), places)[:, 0]

    seen, low = y > entry, np.maximum(entry, np.finfo(float).min)
    log_level = log_beyond(low) + np.log1p(-random_state.uniform(size=len(y)))
    width = 1.0 + np.abs(low)
    while (short := ~seen & (log_beyond(low + width) > log_level)).any():
        width[short] *= 2
    low, high = np.where(seen, y, low), np.where(seen, y, low + width)
    return find_root(lambda values: log_level - log_beyond(values), low, high)


def gate_test(
    estimator, X, y, *, sample_weight=None, exposure=None, trials=None, subject=None, upper=None,
    random_state=None,
):  # fmt: skip
    r"""Test whether the gate has to look at the row: softmax gate against proportions.

    Twice the difference of the log-likelihoods is chi-squared, with as many degrees of freedom as
    the gate has weights, :math:`(K - 1) d` for columns of rank d, where all experts of the smaller
    mixture are needed and differ: then this is a regular test [1]_. Both likelihoods are taken at
    their maxima, without the penalties of gate and experts. EM starts the one mixture from the
    other's responsibilities too, so that both are at the same optimum.

    Parameters
    ----------
    estimator : MixtureOfExpertsRegressor or MixtureOfExpertsClassifier
        With linear or logistic experts, two at least, and a softmax gate. It stays as it is,
        fitted or not. What is compared are fits by EM, ``training="em"``, of as many experts as it
        has, or would choose, where ``n_experts`` is "auto", and with ``cv=False`` in place of
        "auto".
    X : array-like or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights: a row of weight 2 counts as two rows.
    exposure, trials, subject, upper : array-like of shape (n_samples,), default=None
        As in ``fit``.
    random_state : int, RandomState instance or None, default=None
        Seed of the mixture where it has none.

    Returns
    -------
    result : LikelihoodRatioResult
        With ``statistic``, ``pvalue`` and ``df``.

    Raises
    ------
    ValueError
        If the gate is none that is tested, there is one expert only, or the mixture has no
        ``summary``.

    References
    ----------
    .. [1] S. S. Wilks, "The large-sample distribution of the likelihood ratio for testing
       composite hypotheses", Annals of Mathematical Statistics 9 (1938) 60-62.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.model_selection import gate_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.where(rng.uniform(size=200) < 0.5, X[:, 0], 3 - X[:, 0])
    >>> y += 0.3 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0)
    >>> result = gate_test(moe, X, y)
    >>> result.df, result.pvalue > 0.05
    (1, True)
    """
    check_clones(estimator)
    gate = estimator.gate.steps[-1][1] if isinstance(estimator.gate, Pipeline) else estimator.gate
    if not (gate is None or (as_gate(gate).is_linear and gate.sees_rows)):
        raise ValueError(f"gate_test compares a SoftmaxGate with proportions; the gate is {gate}.")
    metadata = RowMetadata(exposure, trials, subject, upper).checked(X)
    rows = {"sample_weight": sample_weight, **metadata.given()}
    fitted = estimator
    estimator = in_sample(seed_estimator(estimator, check_random_state(random_state)))
    if estimator.n_experts == "auto":
        if not fitted.__sklearn_is_fitted__():
            fitted = clone(estimator).fit(X, y, **rows)
        estimator.set_params(n_experts=fitted.plan_.n_experts)
    proportions = clone(estimator).set_params(gate=ConstantGate())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both go on to their maxima afterwards
        with_gate, without = (clone(each).fit(X, y, **rows) for each in (estimator, proportions))
        from_without = _started(estimator, X, y, rows, without)
        from_gate = _started(proportions, X, y, rows, with_gate)
    if len(with_gate.experts_) == 1:
        raise ValueError("A single expert has no gate: give n_experts, two at least.")
    try:
        best_with, best_without = (
            max(Estimates(each, X, y, sample_weight, metadata).highest() for each in candidates)
            for candidates in ((with_gate, from_without), (without, from_gate))
        )
    except ValueError as error:
        params = estimator.get_params(deep=False)
        settings = ("n_experts", "training", "cv", "random_state")
        given = ", ".join(f"{name}={params[name]!r}" for name in settings)
        raise ValueError(
            f"gate_test fitted the mixture anew, by maximum likelihood with {given}, once with its "
            f"gate and once with proportions, and of one of them: {error}"
        ) from error
    statistic = 2 * max(0.0, float(best_with - best_without))
    n_with, n_without = (each._free_parameters(X, sample_weight) for each in (with_gate, without))
    df = n_with - n_without
    return LikelihoodRatioResult(statistic, float(stats.chi2.sf(statistic, df)), df=df)


def _started(estimator, X, y, rows, other):
    """The mixture that EM reaches from the responsibilities of another one."""
    resp = other.responsibilities(X, y, **rows, by="expert")
    if other.likelihood_.zero_expert is not None:  # a start is of the experts beside it
        resp = resp[:, :-1] + LITTLE
    start = clone(estimator).set_params(init=lambda *given: resp, n_init=1)
    return start.fit(X, y, **rows)
