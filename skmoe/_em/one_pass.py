"""The one-pass problem: linear, logistic or log-linear experts, softmax or constant gate.

One EM iteration is one pass over the rows. It makes the E-step and leaves sums: all that the next
M-step needs of experts, scales and gate. No array of n rows and K experts is made unless somebody
asks for one.
"""

import copy
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._data import ArrayRows
from .._kernels._linear_run import Acceleration, LinearRun, advance, responsibilities
from .._numerics.multinomial import BLOCK_LIMIT, NEWTON_LIMIT, log_softmax
from .._reports.expert_report import ReportSums
from .._routing import keep_best, posterior
from .block_sweeps import (
    SPARSE_NEWTON_LIMIT,
    GeneralizedLinearSweep,
    MultinomialSweep,
    OutputsSweep,
)
from .general import GeneralProblem
from .loop import copies_of_heavier
from .problem import INNER_STEPS, Problem
from .sums import pass_memory
from .sweeps import LeastSquaresSweep, LogisticSweep

REPORT_ROWS = 4096
FIRST_ROWS = 32  # enough to distinguish most experts
SWEEPS = (LeastSquaresSweep, LogisticSweep, OutputsSweep, MultinomialSweep, GeneralizedLinearSweep)


class OnePassProblem(Problem):
    """A mixture of experts that learn from sums over rows; see ``Problem``, and ``covers``.

    Attributes
    ----------
    rows : ArrayRows or BlockRows
        The rows, which are reached by ``reduce`` alone.
    given : ndarray of shape (n_samples, n_experts) or None
        Responsibilities to start from.
    sums : Sums
        Sums of the last pass.
    small : OnePassProblem or None
        The problem on a sample of the rows, from which this one took its parameters.

    Parameters
    ----------
    rows : ArrayRows or BlockRows, default=None
        The rows, where these are not in memory, and ``data`` are a sample of them. None is the rows
        of ``data``.
    """

    given = sums = small = _arrays = _copies = None
    routed = None  # with ``top_k``, the mixture that predicts, a GeneralProblem
    accelerates = True
    of_state = ("sums", "objective", "load")

    def __init__(self, experts, gate, likelihood, data, *, rows=None, **settings):
        super().__init__(experts, gate, likelihood, data, **settings)
        if rows is None:
            self.rows = self._in_memory()
        else:
            self.rows = rows
        self.sweep = next(sweep for sweep in SWEEPS if sweep.covers(experts, likelihood))()
        gate.begin_sums(self.Z, experts.n_experts, (experts.mean, experts.scale))

    @staticmethod
    def covers(experts, gate, likelihood, data, *, load_prior, top_k):
        """Whether these parts can be trained here; see ``Problem``."""
        kind = next((sweep for sweep in SWEEPS if sweep.covers(experts, likelihood)), None)
        has_trials = data.exposure is not None and not likelihood.takes_exposure
        has_more = data.subjects is not None or data.bounds is not None or has_trials
        if kind is None or has_more or data.Z is not experts.source:
            return False
        if top_k is not None and kind is not LeastSquaresSweep:
            return False
        n_columns = len(experts.mean) + 1
        if n_columns > BLOCK_LIMIT:  # BLAS makes the sums over rows of wide tables faster
            return False
        if not gate.has_sums or not gate.sees_rows:
            return gate.has_sums
        n_weights = experts.n_experts * n_columns
        if sparse.issparse(experts.rows.X):
            most = SPARSE_NEWTON_LIMIT
        else:
            most = NEWTON_LIMIT
        return load_prior is None and (kind in SWEEPS[:2] or n_weights <= most)

    # EM -------------------------------------------------------------------------------------

    def start(self, resp):
        self.given = np.ascontiguousarray(resp, dtype=np.float64)
        self._arrays = None
        self.acceleration = Acceleration()
        return self

    def fork(self):
        twin = super().fork()
        twin.rows = copy.copy(self.rows)  # with memory of its own
        return twin

    def on_rows(self, sample):
        return super().on_rows(sample)._alone()

    def on_sample(self):
        """The problem on ``data``, where these are a sample of the rows."""
        return super().fork()._alone()

    def _alone(self):
        self.rows = self._in_memory()
        self.sweep = type(self.sweep)()
        self.small = None
        self.experts.forget_curvature()
        return self

    def _in_memory(self):
        if self.exposure is None:
            offset = None
        else:
            offset = np.log(self.exposure)
        if sparse.issparse(self.experts.rows.X):
            X = self.experts.design
        else:
            X = self.experts.rows.X
        return ArrayRows(X, self.experts.y, self.weight, offset)

    def adopt(self, other):
        self._go_on_from(other)
        self.small = other
        self.sweep.take_pass(self)
        self.objective = (self.sums.value + self.log_prior()) / self.data.total_weight

    def _go_on_from(self, other):
        self._take_parts(other)
        self.acceleration = Acceleration()
        self.given = self._arrays = None
        self.gate.forget_curvature()
        self.experts.forget_curvature()

    def reseed(self, dead):
        """See ``Problem``; done on the sample, where EM began with one."""
        if self.small is None:
            return super().reseed(dead)
        small = self.small
        self.small.top_k = self.top_k
        small._go_on_from(self)
        small.reseed(dead)
        small.step()
        self.adopt(small)

    def step(self):
        """One EM iteration, one pass over the rows but where a step was too long."""
        self._arrays = None
        before = self.objective
        is_first = self.given is not None
        self.objective = self.sweep.step(self) / self.data.total_weight
        if not is_first:
            self.acceleration.note(self.objective - before)
        return self.objective

    def advance(self, n_iter, *wanted):
        run = self.sweep.begin_run(self, is_given=self.given is not None)
        objectives = []
        if run is not None:
            objectives = self._iterate(run, self.given, n_iter if run.rises else 1, *wanted)
        if not objectives:  # rows, gate or M-step do not allow a compiled run
            return [self.step()]
        self._take(run, len(objectives))
        return objectives

    def _take(self, run, n_iter):
        self.sweep.end_run(self, run, n_iter)
        self._arrays = None
        self.objective = run.value / self.data.total_weight
        self.load_from_sums()

    def _iterate(self, run, resp, *wanted):
        """Objectives of a compiled run on the rows."""
        memory = pass_memory(self.rows, *run.logits.shape[::-1], True, run.n_classes, run.kind)
        return advance(run, self.rows.X, resp, *wanted, *memory)

    def climbing(self, rounded=True):
        # Its runs are compiled; states are LinearRuns.
        twin = self.fork()
        run = twin.template = self.sweep.begin_run(twin, is_given=True)
        if run is None or not run.rises:
            return self
        # EM goes on from where they end in single precision, which rounding does not change.
        if self.accelerates and rounded and not run.kind:
            columns = run.rounded_columns(self.rows.X)
            twin.template = run.rounded()
            twin.rows = ArrayRows(columns, self.rows.y, self.weight)
        return twin

    def climb(self, resp, state, max_iter, tol):
        if self.template is None:
            return super().climb(resp, state, max_iter, tol)
        if resp is None:
            run = self.template.going_on(state)
        else:
            run = self.template.beside(state)
        if resp is not None:
            resp = np.ascontiguousarray(resp, dtype=np.float64)
        objectives = self._iterate(run, resp, max_iter, tol, False, [], -np.inf)
        # A first step that is not for kernels leads nowhere.
        return objectives or [np.nan], run, np.array(run.expert_masses())

    def resp_of(self, state):
        if self.template is None:
            return super().resp_of(state)
        return responsibilities(self.template.going_on(state), self.rows.X)

    @property
    def is_compiled(self):
        return self.sweep.has_runs(self.experts) and not sparse.issparse(self.experts.rows.X)

    def load_from_sums(self):
        """Set the load from the sums of the last pass, where it is what the gate has."""
        self.load = np.maximum(self.sums.mass - self.sums.excess[-1], 0.0) / self.data.total_weight

    def restore(self, state):
        self.given = self._arrays = None
        if isinstance(state, LinearRun):
            run = self.sweep.begin_run(self, is_given=True).going_on(state)
            self._take(run, len(self._iterate(run, None, 1, 0.0, False, [], -np.inf)))
        else:
            super().restore(state)
        self.acceleration = Acceleration()

    # Arrays that are computed on request ----------------------------------------------------

    @property
    def resp(self):
        """Responsibilities, (n_samples, n_experts)."""
        if self.given is None:
            return self._in_arrays()[0]
        return self.given

    @property
    def log_norm(self):
        """Log-density of each row, (n_samples,)."""
        return self._in_arrays()[1]

    @property
    def gate_proba(self):
        """Probabilities of the gate, (n_samples, n_experts)."""
        return self._in_arrays()[2]

    def _in_arrays(self):
        """Responsibilities and log-densities of the rows, of an E-step, and of the gate."""
        if self._arrays is None:
            logits, log_density, _ = self._answers(self._in_memory())
            log_gate = log_softmax(logits)
            found = posterior(log_gate, keep_best(log_gate, log_density, self.top_k))
            self._arrays = *found, np.exp(log_gate)
        return self._arrays

    # Attributes of the problem --------------------------------------------------------------

    def effective_rows(self):
        return self.sums.mass

    def copies(self):
        """See ``Problem``; on the sample, where rows are not in memory."""
        if self._copies is None or self._copies[0] is not self.sums:
            for rows in (slice(FIRST_ROWS), slice(None)):
                _, log_density, _ = self._answers(self._in_memory().part(rows))
                found = copies_of_heavier(log_density, self.load)
                if not found.any():
                    break
            self._copies = self.sums, found
        return self._copies[1]

    @property
    def _answers(self):
        return Answers(self.experts.without_rows(), self.gate.sum_logits(), self.likelihood)

    def report_sums(self, model, order):
        if self.routed is not None:
            return self.routed.report_sums(model, order)
        return self.rows.reduce(sum_for_report, (self._answers, model, order))

    def streaming_experts(self, order, estimators):
        return self.experts.streaming(None, order, estimators)

    def fit_to_routing(self):
        if self.top_k is not None:
            self.routed = GeneralProblem(
                self.experts, self.gate, self.likelihood, self.data, top_k=self.top_k
            ).start(self.resp)
            self.routed.e_step()
            self.routed.fit_to_routing()
            self.likelihood = self.routed.likelihood
            self.load = self.routed.load
            self._arrays = self.routed.resp, self.routed.log_norm, self.routed.gate_proba


def make_problem(
    experts,
    gate,
    likelihood,
    data,
    *,
    in_sample,
    gate_folds=None,
    load_prior=None,
    top_k=None,
    Z=None,
):
    """The first kind of problem that covers the parts; see ``Problem`` for these.

    ``gate_folds`` are None where the gate sees all rows; ``in_sample`` says whether predictions are
    made for rows that the experts saw.
    """
    settings = {"load_prior": load_prior, "top_k": top_k}
    if OnePassProblem.covers(experts, gate, likelihood, data, **settings):  # quicker
        return OnePassProblem(experts, gate, likelihood, data, **settings)
    settings |= {"n_inner": 1 if in_sample else INNER_STEPS, "gate_folds": gate_folds, "Z": Z}
    return GeneralProblem(experts, gate, likelihood, data, **settings)


# Kernels for ``ArrayRows.reduce``, besides ``run_pass`` -------------------------------------------


@dataclass(frozen=True)
class Answers:
    """A mixture on its way, without rows."""

    experts: object  # LinearExperts: with ``predict_standardised``
    logits: np.ndarray  # (p, n_experts): coefficients of the gate's logits in standardised columns
    likelihood: object  # BaseLikelihood: of the experts

    def __call__(self, rows):
        """Logits of the gate and log-densities (n_rows, K), and predictions, of ArrayRows."""
        X = rows.X
        is_ready = sparse.issparse(rows.X)  # standardised, with its intercept
        if is_ready:
            columns = X[:, :-1]
        else:
            columns = (X - self.experts.mean) / self.experts.scale
        predictions = self.experts.predict_standardised(columns)
        if rows.offset is not None:
            predictions *= np.exp(rows.offset)[:, None]
        logits = columns @ self.logits[:-1] + self.logits[-1]
        y = rows.y.astype(self.likelihood.target_dtype, copy=False)
        return logits, self.likelihood.log_density(y, predictions), predictions

    def over(self, block):
        """The same for a block, a few rows at a time, their target and weights before it."""
        for start in range(0, block.n_rows, REPORT_ROWS):
            rows = block.part(slice(start, start + REPORT_ROWS))
            yield rows.y, rows.weight, *self(rows)


def sum_for_report(block, parameters):
    """ReportSums of a block; ``parameters`` are answers, model and order of ``report_sums``."""
    (answers, model, order), total = parameters, None
    for y, weight, logits, log_density, predictions in answers.over(block):
        resp = posterior(logits, log_density)[0][:, order]
        proba = posterior(logits, np.zeros_like(log_density))[0][:, order]
        sums = ReportSums.of(resp, proba, model.losses(y, predictions[:, order]), weight, None)
        if total is None:
            total = sums
        else:
            total = total + sums
    return total
