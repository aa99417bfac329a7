"""Streams: stepwise EM, batch after batch, in memory that does not grow.

Every part of a mixture keeps additive statistics of the rows it has seen. A batch adds those of
its own, made under the parameters as they are, and each part solves its M-step for the sum [1]_.
The share of the past shrinks a little with every batch, because its statistics were made under
earlier parameters: after a weight n of rows, about ``(n / n_0)**-0.6`` of them fades while
``n_0`` rows pass.

References
----------
.. [1] O. Cappé and E. Moulines, "On-line expectation-maximization algorithm for latent data
   models", Journal of the Royal Statistical Society B 71 (2009) 593-613.
"""

import copy
import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array

from .._compat import learn_columns
from .._em.loop import count
from .._em.problem import shallow_copy
from .._experts import fitting
from .._routing import Routes, keep_best, posterior
from .._tables.mixed import is_table
from ..exceptions import IgnoredWeightsWarning, SmallWeightsWarning, noted, warn_user

STEP_EXPONENT = 0.6
FIRST_ROWS = 500  # before stepwise EM starts, at least
FIRST_ROWS_PER_PARAMETER = 20  # parameters of all experts
LATE = 0.25  # part of these rows, from which on a search that was cut short begins no more anew
PATIENCE = 10  # times as many rows as that are waited for weight, or for a class, at most


@dataclass
class Buffer:
    """The first rows of a stream, on which ``partial_fit`` refits until there are enough.

    ``fitted`` is the weight of those that the last refit from new starts has seen, ``n_classes``
    how many classes; ``fewest`` is the number of rows of positive weight that the first fit takes.
    """

    classes: np.ndarray | None
    X: object = None
    y: np.ndarray | None = None
    weight: np.ndarray | None = None
    fitted: float = 0.0
    n_classes: int = 0
    fewest: int = 2
    is_cut: bool = False  # whether it ended for want of work, and goes on with the next batch

    def extended(self, X, y, weight):
        """A buffer with some more rows."""
        if self.X is None:
            return replace(self, X=X, y=y, weight=weight)
        if y.shape[1:] != self.y.shape[1:]:
            raise ValueError(f"y has {y.shape[1:]} outputs, {self.y.shape[1:]} in the first call.")
        y, weight = map(np.concatenate, ((self.y, y), (self.weight, weight)))
        return replace(self, X=stack_rows(self.X, X), y=y, weight=weight)

    def can_be_fitted(self):
        """Whether there are rows enough, and two classes if any."""
        is_enough = np.count_nonzero(self.weight) >= self.fewest
        return is_enough and (self.classes is None or self._n_classes_now() > 1)

    def state(self):
        """What there is, and what the first fit takes, in words."""
        found = count(np.count_nonzero(self.weight), "row")
        needed = f"{self.fewest} rows"
        if self.classes is not None:
            found = f"{found} (classes: {self._n_classes_now()})"
            needed = f"{needed} of 2 classes"
        return f"partial_fit has collected {found} so far, and fits once it has {needed}."

    def is_due(self):
        """Whether a refit pays: the weight has doubled since the last, or a class is new."""
        return self.weight.sum() >= 2 * self.fitted or self._n_classes_now() > self.n_classes

    def after_refit(self, is_cut, went_on):
        """A buffer after a refit on all its rows, which began anew or ``went_on`` from the last."""
        if went_on:
            fitted = self.fitted
        else:
            fitted = float(self.weight.sum())
        return replace(self, fitted=fitted, n_classes=self._n_classes_now(), is_cut=is_cut)

    def _n_classes_now(self):
        if self.classes is None:
            return 0
        return len(np.unique(self.y[self.weight > 0]))

    def goes_on(self, n_experts):
        """Whether a refit goes on from the last one, whose search was cut short."""
        if not self.is_cut or self._n_classes_now() > self.n_classes:
            return False
        enough = self.weight.sum() >= LATE * rows_wanted(n_experts, self.X.shape[1])
        return enough or not self.is_due()

    def is_complete(self, n_experts):
        """Whether stepwise EM can start: enough weight and every class, or patience has an end."""
        wanted = rows_wanted(n_experts, self.X.shape[1])
        complete = self.weight.sum() >= wanted
        if self.classes is not None:
            complete = complete and self._n_classes_now() == len(self.classes)
        return complete or len(self.weight) >= PATIENCE * wanted


def stack_rows(X, other):
    """Rows of both, which are both tables, both sparse or both arrays."""
    if is_table(X) != is_table(other) or sparse.issparse(X) != sparse.issparse(other):
        raise ValueError(
            f"Rows must stay of one kind; got {type(other).__name__} after {type(X).__name__}."
        )
    if is_table(X):
        from pandas import concat

        return concat([X, other], ignore_index=True)
    if sparse.issparse(X):
        return sparse.vstack([X, other], format="csr")
    return np.concatenate([X, other])


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
        self.names = names
        self.templates = templates
        self.estimators = estimators
        self.min_responsibility = min_responsibility
        self.classes = classes

    @property
    def n_experts(self):
        """Number of experts."""
        return len(self.estimators)

    def select(self, order):
        """Some of the experts."""
        twin = copy.copy(self)
        twin.names = [self.names[k] for k in order]
        twin.templates = [self.templates[k] for k in order]
        twin.estimators = [self.estimators[k] for k in order]
        return twin

    def learn_batch(self, X, y, weights, first):
        """Go on with every expert on its rows; column ``first`` of the weights is of the first one.

        How fast an expert learns and forgets is its own affair.
        """
        ignoring = [e for e in self.templates if not fitting.learns_weights(e)]
        if ignoring and np.ptp(weights.sum(axis=1)) > 1e-9:
            warn_user(
                f"partial_fit of {ignoring[0]} takes no sample_weight and is called without it.",
                IgnoredWeightsWarning,
            )
        if self.classes is None:
            labels = y
        else:
            labels = self.classes[y]
        twin = copy.copy(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallWeightsWarning)  # of responsibilities
            twin.estimators = [
                self._learn(k, X, labels, weights, weights[:, first + k])
                for k in range(self.n_experts)
            ]
        return twin

    def _learn(self, k, X, y, weights, its_weights):
        weight = weights.sum(axis=1)
        share = its_weights / np.where(weight > 0, weight, 1.0)
        if fitting.learns_weights(self.templates[k]):
            rows = np.flatnonzero(share > max(self.min_responsibility, fitting.NEGLIGIBLE_SHARE))
            given = its_weights[rows]
        else:  # the rows it wins, ties included
            rows = np.flatnonzero((weight > 0) & (its_weights >= weights.max(axis=1)))
            given = None
        if not len(rows):
            return self.estimators[k]
        args = self.templates[k], _safe_indexing(X, rows), y[rows], given, self.classes
        model = self.estimators[k]
        with noted(f"Raised by partial_fit of expert {self.names[k]!r}."):
            return fitting.learn_weighted(model, *args)


@dataclass
class Stream:
    """State of ``partial_fit`` between batches, in addition to fitted gate and likelihood."""

    # Experts with ``learn_batch`` and without rows: those of ``fit``, then each that was added.
    groups: list
    seen: float  # weight of all rows so far, in ``fit`` too
    # The part of it that ``forget_factor`` has left. Statistics are sums of this weight.
    counted: float
    first: float  # weight from which on the past fades
    load_prior: np.ndarray | None  # (n_experts,): prior counts of the loads per unit of weight

    @classmethod
    def begin(cls, trained, n_features):
        """What ``partial_fit`` needs to go on from a fit (Trained), or None where it cannot.

        The gate of the model is made ready to learn batches.
        """
        problem = trained.problem
        model = trained.model
        order = trained.order
        _, gate = fitting.split_last(model.gate)
        can_learn = gate.learns_batches and model.likelihood.learns_batches
        if problem.data.subjects is not None or not can_learn:
            return None
        experts = problem.streaming_experts(order, model.experts)
        if experts is None:
            experts = stream_of_lines(
                trained.parts, problem.resp, problem.data, order, *problem.working_data
            )
        if experts is None:
            return None
        problem.begin_gate_stream(gate, order)
        weight = float(problem.weight.sum())
        prior = problem.load_prior
        if prior is not None:
            prior = prior[order] / weight
        first = rows_wanted(len(order), n_features)
        return cls([experts], seen=weight, counted=weight, first=first, load_prior=prior)

    def extended(self, experts, weight):
        """A stream with experts that have learned from new rows of this weight.

        There is no prior on the loads any more: ``add_expert`` has none.
        """
        return replace(
            self,
            groups=[*self.groups, experts],
            seen=self.seen + weight,
            counted=self.counted + weight,
            load_prior=None,
        )

    def select(self, order):
        """A stream with some of the experts, in the order that they have."""
        groups = []
        first = 0
        for group in self.groups:
            numbers = order[(first <= order) & (order < first + group.n_experts)] - first
            if len(numbers):
                groups.append(group.select(numbers))
            first += group.n_experts
        if self.load_prior is None:
            prior = None
        else:
            prior = self.load_prior[order]
        return replace(self, groups=groups, load_prior=prior)

    def factors(self, weight, forget_factor):
        """Factors of the statistics so far and of a batch of some weight, and the new sums.

        The share of the past depends on the weight that has passed, not on the number of
        batches in which it came.
        """
        seen = self.seen + weight
        remains = forget_factor**weight
        counted = remains * self.counted + weight
        power = 1 - STEP_EXPONENT
        faded = (self.seen**power - seen**power) / (power * self.first**power)
        share = remains * min(np.exp(faded), self.seen / seen)
        if self.counted:
            keep = share * counted / self.counted
        else:
            keep = 0.0
        return keep, (1 - share) * counted / weight, seen, counted


def rows_wanted(n_experts, n_features):
    """Weight of the rows that several starts of EM need."""
    return max(FIRST_ROWS, FIRST_ROWS_PER_PARAMETER * n_experts * (n_features + 1))


def stream_of_lines(parts, resp, data, order, *working):
    """Lines that few rows have brought into folds, solved once to go on with batches; or None.

    New expert ``j`` is old expert ``order[j]`` of the Parts; ``working`` are working weights, if
    there are any.
    """
    if isinstance(parts.templates[0], Pipeline) and parts.transformer is None:
        return None  # each expert has transformers of its own
    experts = parts.make_solved(data, None, 0)
    if experts is None or not experts.n_experts == len(order) == resp.shape[1]:
        return None  # with specialists there is a generalist, or it is alone
    experts.fit(resp, *working)
    experts.template = clone(fitting.split_last(parts.templates[0])[1])
    learn_columns(experts.template, experts.source)
    return experts.streaming(resp, order, None)


def stream_of_expert(parts, fitted, min_responsibility, data, resp):
    """An expert that was fitted on its own, to go on with batches; None where it cannot.

    It is the last of the Parts; ``resp`` (n_samples, 1) are its responsibilities for the rows.
    """
    template = parts.templates[-1]
    last = fitting.split_last(template)[1]
    fitted_last = fitting.split_last(fitted)[1]
    penalty = parts.solver.penalty_of(last)
    if penalty is not None and type(fitted_last) is type(last):
        target = parts.likelihood.expert_target(data.y)
        design = _design(fitted, data.X)
        experts = parts.solver.experts(design, target, data.weight, 1, penalty=penalty)
        experts.fit(resp)
        return experts.streaming(resp, [0], None)
    if not fitting.learns_batches(template):
        return None
    names = parts.names[-1:]
    return StreamedExperts(names, [template], [fitted], min_responsibility, parts.classes)


def responsibilities(model, X, y):
    """Responsibilities (n, K) as EM has them: under ``top_k``, of the best by gate and density."""
    log_gate, log_density = log_densities_of(model, X, y)
    return posterior(log_gate, keep_best(log_gate, log_density, model.top_k))[0]


def learn_batch(model, stream, rows, load, forget_factor):
    """E-step on a batch, then the M-step of every part.

    Returns model, stream and the load, the mean gate probabilities so far, with this batch
    included.
    """
    X = rows.X
    y = rows.y
    weight = rows.weight
    total = float(weight.sum())
    keep, gain, seen, counted = stream.factors(total, forget_factor)
    head, gate = fitting.split_last(model.gate)
    if head is None:
        Z = X
    else:
        Z = head.transform(X)
    predictions = model.expert_predictions(X)
    log_gate, log_density = log_densities_of(model, X, y)
    # In a sparse mixture, scales learn how it is used.
    routes = Routes(log_gate, model.top_k)
    routed, _ = posterior(routes.dense(routes.log_weights, fill=-np.inf), log_density)
    resp, _ = posterior(log_gate, keep_best(log_gate, log_density, model.top_k))
    proba = np.exp(log_gate)
    share = gain * total / counted
    load = (1 - share) * load + share * (weight @ proba / total)

    groups, estimators, predictions, penalty = _learn_experts(
        model.experts, stream.groups, X, y, predictions, resp * weight[:, None], keep, gain
    )
    likelihood = shallow_copy(model.likelihood.for_batches())
    routed = routed * weight[:, None]
    likelihood.learn_batch(y, predictions, routed, penalty, keep=keep, gain=gain)
    gate = shallow_copy(gate)
    if stream.load_prior is not None and gate.takes_load_prior:
        gate.load_prior = stream.load_prior * counted
    elif stream.load_prior is not None:  # as in training, for the batch's part of the rows
        resp = resp + stream.load_prior * proba / np.maximum(load, 1e-300)
    if len(estimators) > 1:  # all others may have been removed
        gate.learn_batch(Z, resp, weight, keep=keep, gain=gain)
    gate = fitting.join_last(model.gate, gate)
    model = replace(model, experts=estimators, gate=gate, likelihood=likelihood)
    return model, replace(stream, groups=groups, seen=seen, counted=counted), load


def _learn_experts(before, groups, X, y, predictions, weights, keep, gain):
    """Groups after the batch, and estimators, predictions and penalty that scales learn by.

    ``before`` are the fitted estimators, ``predictions`` (n_samples, n_experts, ...) theirs.
    """
    learned = []
    estimators = []
    predicted = []
    penalties = []
    first = 0
    for group in groups:
        its = slice(first, first + group.n_experts)
        if isinstance(group, StreamedExperts):
            group = group.learn_batch(X, y, weights, first)
            estimators += group.estimators
            predicted.append(predictions[:, its])
        else:
            design = _design(before[first], X)  # all have the same transformers
            group = group.learn_batch(design, y, weights[:, its], keep=keep, gain=gain)
            last = [fitting.split_last(estimator)[1] for estimator in before[its]]
            if group.template is not None:
                last = [group.template] * group.n_experts
            solved = group.finish([shallow_copy(estimator) for estimator in last])
            estimators += map(fitting.join_last, before[its], solved)
            predicted.append(group.predictions)
            group = group.without_rows()
        learned.append(group)
        penalties.append(np.broadcast_to(group.penalty, (group.n_experts, *y.shape[1:])))
        first = its.stop
    return learned, estimators, np.concatenate(predicted, axis=1), np.concatenate(penalties)


def _design(estimator, X):
    """What the last step of a fitted linear expert sees of X."""
    head, _ = fitting.split_last(estimator)
    if head is None:
        design = X
    else:
        design = head.transform(X)
    what = "The design of linear experts"
    return check_array(design, accept_sparse="csr", dtype=np.float64, input_name=what)


def log_densities_of(model, X, y):
    """Log-probabilities of the gate and log-densities under every expert, both (n, K)."""
    routes = model.all_routes(X)
    log_gate = np.ascontiguousarray(routes.log_weights, dtype=np.float64)
    return log_gate, model.log_densities(X, y, routes)
