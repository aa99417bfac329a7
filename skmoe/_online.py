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
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.validation import check_array, check_consistent_length

from ._answers import posterior
from ._callbacks import FitTasks
from ._compat import check_sample_weight
from ._experts import StreamedExperts
from ._routing import Routes, keep_best
from ._tables import is_table
from ._weights import learns_batches, learns_weights
from .exceptions import ExpertCollapseWarning, IgnoredWeightsWarning, ScaleFloorWarning
from .gates import BaseGate

STEP_EXPONENT = 0.6
FIRST_ROWS = 500  # before stepwise EM starts, at least
FIRST_ROWS_PER_PARAMETER = 20  # of all the experts
PATIENCE = 10  # times as many rows as that are waited for weight, or for a class, at most


@dataclass
class Buffer:
    """The first rows of a stream, on which ``partial_fit`` refits until there are enough."""

    classes: np.ndarray | None
    X: object = None
    y: np.ndarray | None = None
    weight: np.ndarray | None = None

    def extended(self, X, y, weight):
        """A buffer with some more rows."""
        if self.X is None:
            return Buffer(self.classes, X, y, weight)
        if y.shape[1:] != self.y.shape[1:]:
            raise ValueError(f"y has {y.shape[1:]} outputs, {self.y.shape[1:]} in the first call.")
        return Buffer(
            self.classes,
            stack_rows(self.X, X),
            np.concatenate([self.y, y]),
            np.concatenate([self.weight, weight]),
        )


@dataclass
class Stream:
    """What ``partial_fit`` carries from batch to batch, beside the fitted gate and likelihood.

    Attributes
    ----------
    experts : object
        With ``learn_batch`` and without rows.
    seen : float
        Weight of all rows so far, in ``fit`` too.
    counted : float
        The part of it that ``forget_factor`` has left. Statistics are sums of this weight.
    first : float
        Weight from which on the past fades.
    load_prior : ndarray of shape (n_experts,) or None
        Prior counts of the loads per unit of weight.
    n_batches : int
        Batches after ``fit``.
    """

    experts: object
    seen: float
    counted: float
    first: float
    load_prior: np.ndarray | None
    n_batches: int = 0

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


class StreamLearner:
    """``partial_fit`` of a mixture, whatever its target is."""

    _buffer = None
    _stream = None

    def _learns_streams(self):
        """For ``available_if``: True, or an AttributeError that says which part cannot."""
        try:
            obstacle = self._stream_obstacle()
        except (TypeError, ValueError):
            return True  # parameters that partial_fit, as fit, complains about
        if obstacle:
            raise AttributeError(f"This mixture has no partial_fit: {obstacle}.")
        return True

    def _stream_obstacle(self):
        _, templates = self._expert_list()
        if self._shared_effects():
            return "shared_effects are known to fit alone"
        solved = not isinstance(self.experts, list) and (self.cv is False or self.cv == "auto")
        if not solved or self._linear_penalty(templates[0]) is None:
            for template in templates:
                if not learns_batches(template):
                    return f"the expert {template} has none, and is not solved in closed form"
        gate = self._default_gate() if self.gate is None or len(templates) == 1 else self.gate
        gate = gate.steps[-1][1] if isinstance(gate, Pipeline) else gate
        if isinstance(gate, BaseGate) and not hasattr(gate, "learn_batch"):
            return f"the gate {gate} has no learn_batch"
        if not isinstance(gate, BaseGate) and not learns_batches(gate):
            return f"the gate {gate} has none"
        likelihood = self._unfitted_likelihood()
        if not hasattr(likelihood, "learn_batch"):
            return f"the likelihood {likelihood} has no learn_batch"
        return None

    # The first rows -------------------------------------------------------------------------

    def _partial_fit(self, X, y, sample_weight, classes=None):
        self._check_given(y)
        if hasattr(self, "experts_") and self._buffer is None:
            self._learn_batch(X, y, sample_weight)
        else:
            self._fit_buffer(X, y, sample_weight, classes)

    def _fit_buffer(self, X, y, sample_weight, classes):
        """Refit on the first rows, these included; afterwards, if they are enough, forget them."""
        X = self._check_X(X, reset=self._buffer is None)
        if self._buffer is None:
            self._buffer = Buffer(classes)  # which says to _check_target what classes there are
        y = self._check_target(y)
        check_consistent_length(X, y)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        buffer = self._buffer = self._buffer.extended(X, self._labels(y), weight)
        self.n_samples_seen_ = float(buffer.weight.sum())
        used = np.count_nonzero(buffer.weight)
        n_experts = len(self._expert_list()[0])
        folds = self.cv if isinstance(self.cv, Integral) else 0
        present = np.unique(buffer.y[buffer.weight > 0])
        if used < max(2, n_experts, folds) or (classes is not None and len(present) < 2):
            return  # nothing can be fitted yet
        wanted = max(FIRST_ROWS, FIRST_ROWS_PER_PARAMETER * n_experts * (X.shape[1] + 1))
        complete = buffer.weight.sum() >= wanted
        if buffer.classes is not None:
            complete = complete and len(present) == len(buffer.classes)
        complete = complete or len(buffer.weight) >= PATIENCE * wanted
        with warnings.catch_warnings():
            if not complete:  # the next batch may put it right
                warnings.simplefilter("ignore", ExpertCollapseWarning)
                warnings.simplefilter("ignore", ScaleFloorWarning)
                warnings.simplefilter("ignore", ConvergenceWarning)
            tasks = FitTasks(self, buffer.X, buffer.y, buffer.weight)
            self._fit(buffer.X, buffer.y, buffer.weight, None, None, {}, tasks)
        if complete:
            self._buffer = None

    def _begin_stream(self, problem, order):
        """Gather what ``partial_fit`` needs to go on from a fit."""
        self._stream = self._changed_by = None
        self.n_samples_seen_ = float(problem.weight.sum())
        if problem.subjects is not None:
            return
        _, gate = split_last(self.gate_)
        if not (hasattr(gate, "learn_batch") and hasattr(problem.likelihood, "learn_batch")):
            return
        experts = problem.begin_stream(order, self.experts_, gate)
        if experts is None:
            return
        prior = problem.load_prior
        weight = self.n_samples_seen_
        n_columns = self.n_features_in_ + 1
        self._stream = Stream(
            experts,
            seen=weight,
            counted=weight,
            first=max(FIRST_ROWS, FIRST_ROWS_PER_PARAMETER * len(order) * n_columns),
            load_prior=None if prior is None else prior[order] / weight,
        )

    # Batches --------------------------------------------------------------------------------

    def _learn_batch(self, X, y, sample_weight):
        """E-step on a batch, then the M-step of every part."""
        stream = self._stream
        if stream is None and self._changed_by is not None:
            raise TypeError(
                f"After {self._changed_by} a mixture cannot go on with partial_fit: there are no "
                "sums over the rows that its experts were fitted on."
            )
        if stream is None:
            raise TypeError(
                "This fit cannot go on with partial_fit, which knows no subjects; and groups, "
                "sparse data or other parameters asked for experts without partial_fit. Fit again, "
                "with dense data, without subject and groups."
            )
        X = self._check_X(X)
        y = self._check_known_target(y)
        check_consistent_length(X, y)
        weight = self._check_weight(sample_weight, X, y, n_experts=1)
        total = float(weight.sum())
        keep, gain, seen, counted = stream.factors(total, self.forget_factor)
        head, gate = split_last(self.gate_)
        Z = X if head is None else head.transform(X)
        predictions = self._expert_predictions(X)
        log_gate = np.ascontiguousarray(self.gate_.predict_log_proba(X), dtype=np.float64)
        log_density = self._route_log_density(X, y, Routes(log_gate))
        routes = Routes(log_gate, self.top_k)  # in a sparse mixture, scales learn how it is used
        served, _ = posterior(routes.spread(routes.log_weights, fill=-np.inf), log_density)
        resp, _ = posterior(log_gate, keep_best(log_gate, log_density, self.top_k))
        proba = np.exp(log_gate)
        share = gain * total / counted
        self.expert_load_ = (1 - share) * self.expert_load_ + share * (weight @ proba / total)
        weights = resp * weight[:, None]

        experts, estimators = self._learn_experts(X, y, weights, keep, gain)
        likelihood = copy.copy(self.likelihood_)
        seen_predictions = experts.predictions if experts.in_sample else predictions
        served = served * weight[:, None]
        likelihood.learn_batch(y, seen_predictions, served, experts.penalty, keep=keep, gain=gain)
        gate = copy.copy(gate)
        if stream.load_prior is not None and gate.takes_load_prior:
            gate._load_prior = stream.load_prior * counted
        elif stream.load_prior is not None:  # as in Mixture, for the batch's part of the rows
            resp = resp + stream.load_prior * proba / np.maximum(self.expert_load_, 1e-300)
        gate.learn_batch(Z, resp, weight, keep=keep, gain=gain)

        self.experts_ = estimators
        self.named_experts_ = Bunch(**dict(zip(self.named_experts_, estimators, strict=True)))
        self.likelihood_ = likelihood
        self.gate_ = join_last(self.gate_, gate)
        self.n_samples_seen_ = seen
        for name in ("oof_score_", "oof_log_density_", "oof_responsibilities_"):
            self.__dict__.pop(name, None)
        self._changed_by = "partial_fit"
        self._stream = replace(
            stream,
            experts=experts.without_rows(),
            seen=seen,
            counted=counted,
            n_batches=stream.n_batches + 1,
        )

    def _learn_experts(self, X, y, weights, keep, gain):
        """Experts after the batch, and the fitted estimators that they are."""
        experts = self._stream.experts
        if isinstance(experts, StreamedExperts):
            deaf = [e for e in experts.templates if not learns_weights(e)]
            if deaf and np.ptp(weights.sum(axis=1)) > 1e-9:
                self._warn(
                    IgnoredWeightsWarning,
                    f"partial_fit of {deaf[0]} takes no sample_weight and is called without it.",
                )
            experts = experts.learn_batch(X, y, weights, keep=keep, gain=gain)
            return experts, experts.estimators
        head, _ = split_last(self.experts_[0])  # all have the same transformers
        design = X if head is None else head.transform(X)
        experts = experts.learn_batch(
            check_array(design, dtype=np.float64, input_name="The design of linear experts"),
            y,
            weights,
            keep=keep,
            gain=gain,
        )
        last = [copy.copy(split_last(estimator)[1]) for estimator in self.experts_]
        estimators = self._finish_linear(experts, last)
        return experts, [
            join_last(old, new) for old, new in zip(self.experts_, estimators, strict=True)
        ]


def split_last(estimator):
    """Transformers of a fitted Pipeline, or None, and its last step or what is no Pipeline."""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return (estimator[:-1] if len(estimator) > 1 else None), estimator.steps[-1][1]


def join_last(estimator, last):
    """``estimator`` with another last step, or that step where it is no Pipeline."""
    if not isinstance(estimator, Pipeline):
        return last
    return Pipeline([*estimator.steps[:-1], (estimator.steps[-1][0], last)])


def stack_rows(X, other):
    """Rows of both, which are both tables, both sparse or both arrays."""
    if is_table(X) != is_table(other) or sparse.issparse(X) != sparse.issparse(other):
        raise ValueError(
            "Rows must be of one kind: all tables, all sparse or all arrays; got "
            f"{type(other).__name__} after {type(X).__name__}."
        )
    if is_table(X):
        from pandas import concat

        return concat([X, other], ignore_index=True)
    if sparse.issparse(X):
        return sparse.vstack([X, other], format="csr")
    return np.concatenate([X, other])
