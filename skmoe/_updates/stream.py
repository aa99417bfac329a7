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
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array

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
        found, needed = count(np.count_nonzero(self.weight), "row"), f"{self.fewest} rows"
        if self.classes is not None:
            found, needed = f"{found} (classes: {self._n_classes_now()})", f"{needed} of 2 classes"
        return f"partial_fit has collected {found} so far, and fits once it has {needed}."

    def is_due(self):
        """Whether a refit pays: the weight has doubled since the last, or a class is new."""
        return self.weight.sum() >= 2 * self.fitted or self._n_classes_now() > self.n_classes

    def after_refit(self, is_cut, went_on):
        """A buffer after a refit on all its rows, which began anew or ``went_on`` from the last."""
        fitted = self.fitted if went_on else float(self.weight.sum())
        return replace(self, fitted=fitted, n_classes=self._n_classes_now(), is_cut=is_cut)

    def _n_classes_now(self):
        return 0 if self.classes is None else len(np.unique(self.y[self.weight > 0]))

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
        self.names, self.templates, self.estimators = names, templates, estimators
        self.min_responsibility, self.classes = min_responsibility, classes

    def without_rows(self):
        """These experts: they hold no rows."""
        return self

    def learn_batch(self, X, y, weights, *, keep, gain):
        """Go on with every expert on its rows.

        Not by ``keep`` and ``gain``: how fast an expert learns and forgets is its own affair.
        """
        labels = y if self.classes is None else self.classes[y]
        twin = copy.copy(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallWeightsWarning)  # of responsibilities
            twin.estimators = [
                self._learn(k, X, labels, weights) for k in range(len(self.estimators))
            ]
        return twin

    def _learn(self, k, X, y, weights):
        weight = weights.sum(axis=1)
        share = weights[:, k] / np.where(weight > 0, weight, 1.0)
        if fitting.learns_weights(self.templates[k]):
            rows = np.flatnonzero(share > max(self.min_responsibility, fitting.NEGLIGIBLE_SHARE))
            given = weights[rows, k]
        else:  # the rows it wins, ties included
            rows = np.flatnonzero((weight > 0) & (weights[:, k] >= weights.max(axis=1)))
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

    experts: object  # with ``learn_batch`` and without rows
    seen: float  # weight of all rows so far, in ``fit`` too
    # The part of it that ``forget_factor`` has left. Statistics are sums of this weight.
    counted: float
    first: float  # weight from which on the past fades
    load_prior: np.ndarray | None  # (n_experts,): prior counts of the loads per unit of weight
    n_batches: int = 0  # batches after ``fit``

    @classmethod
    def begin(cls, trained, n_features):
        """What ``partial_fit`` needs to go on from a fit (Trained), or None where it cannot.

        The gate of the model is made ready to learn batches.
        """
        problem, model, order = trained.problem, trained.model, trained.order
        _, gate = fitting.split_last(model.gate)
        can_learn = gate.learns_batches and model.likelihood.learns_batches
        if problem.data.subjects is not None or not can_learn:
            return None
        experts = problem.streaming_experts(order, model.experts)
        if experts is None:
            given = problem.resp, problem.data, order, *problem.working_data
            experts = stream_of_lines(trained.parts, *given)
        if experts is None:
            return None
        problem.begin_gate_stream(gate, order)
        weight, prior = float(problem.weight.sum()), problem.load_prior
        prior = None if prior is None else prior[order] / weight
        first = rows_wanted(len(order), n_features)
        return cls(experts, seen=weight, counted=weight, first=first, load_prior=prior)

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
        keep = share * counted / self.counted if self.counted else 0.0
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
    return experts.streaming(resp, order, None)


def responsibilities(model, X, y):
    """Responsibilities (n, K) as EM has them: under ``top_k``, of the best by gate and density."""
    log_gate, log_density = log_densities_of(model, X, y)
    return posterior(log_gate, keep_best(log_gate, log_density, model.top_k))[0]


def learn_batch(model, stream, rows, load, forget_factor):
    """E-step on a batch, then the M-step of every part.

    Returns model, stream and the load, the mean gate probabilities so far, with this batch
    included.
    """
    X, y, weight = rows.X, rows.y, rows.weight
    total = float(weight.sum())
    keep, gain, seen, counted = stream.factors(total, forget_factor)
    head, gate = fitting.split_last(model.gate)
    Z = X if head is None else head.transform(X)
    predictions = model.expert_predictions(X)
    log_gate, log_density = log_densities_of(model, X, y)
    # In a sparse mixture, scales learn how it is used.
    routes = Routes(log_gate, model.top_k)
    routed, _ = posterior(routes.dense(routes.log_weights, fill=-np.inf), log_density)
    resp, _ = posterior(log_gate, keep_best(log_gate, log_density, model.top_k))
    proba = np.exp(log_gate)
    share = gain * total / counted
    load = (1 - share) * load + share * (weight @ proba / total)

    given = model.experts, stream.experts, X, y, predictions, resp * weight[:, None], keep, gain
    experts, estimators, predictions, penalty = _learn_experts(*given)
    likelihood, routed = shallow_copy(model.likelihood.for_batches()), routed * weight[:, None]
    likelihood.learn_batch(y, predictions, routed, penalty, keep=keep, gain=gain)
    gate = shallow_copy(gate)
    if stream.load_prior is not None and gate.takes_load_prior:
        gate.load_prior = stream.load_prior * counted
    elif stream.load_prior is not None:  # as in training, for the batch's part of the rows
        resp = resp + stream.load_prior * proba / np.maximum(load, 1e-300)
    gate.learn_batch(Z, resp, weight, keep=keep, gain=gain)
    gate = fitting.join_last(model.gate, gate)
    model = replace(model, experts=estimators, gate=gate, likelihood=likelihood)
    sums = {"seen": seen, "counted": counted, "n_batches": stream.n_batches + 1}
    return model, replace(stream, experts=experts.without_rows(), **sums), load


def _learn_experts(before, experts, X, y, predictions, weights, keep, gain):
    """Experts after the batch, and estimators, predictions and penalty that scales learn by.

    ``before`` are the fitted estimators, ``predictions`` (n_samples, n_experts, ...) theirs.
    """
    if isinstance(experts, StreamedExperts):
        ignoring = [e for e in experts.templates if not fitting.learns_weights(e)]
        if ignoring and np.ptp(weights.sum(axis=1)) > 1e-9:
            warn_user(
                f"partial_fit of {ignoring[0]} takes no sample_weight and is called without it.",
                IgnoredWeightsWarning,
            )
        experts = experts.learn_batch(X, y, weights, keep=keep, gain=gain)
        return experts, experts.estimators, predictions, experts.penalty
    head, _ = fitting.split_last(before[0])  # all have the same transformers
    design = X if head is None else head.transform(X)
    what = "The design of linear experts"
    design = check_array(design, accept_sparse="csr", dtype=np.float64, input_name=what)
    experts = experts.learn_batch(design, y, weights, keep=keep, gain=gain)
    last = [shallow_copy(fitting.split_last(estimator)[1]) for estimator in before]
    solved = experts.finish(last)
    estimators = [fitting.join_last(old, new) for old, new in zip(before, solved, strict=True)]
    return experts, estimators, experts.predictions, experts.penalty


def log_densities_of(model, X, y):
    """Log-probabilities of the gate and log-densities under every expert, both (n, K)."""
    routes = model.all_routes(X)
    log_gate = np.ascontiguousarray(routes.log_weights, dtype=np.float64)
    return log_gate, model.log_densities(X, y, routes)
