"""What EM drives: a training problem."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from operator import attrgetter

import numpy as np

from .._kernels._estep import e_step
from .._kernels._linear_run import Acceleration
from .._parallel import kernel_threads
from .._reports.expert_report import ReportSums
from .._routing import keep_best, routed
from .loop import copies_of_heavier, dead_experts, reseeded, run_em

IDLE = 0.1  # of the mean load, below which an expert is idle


class Finished:
    """What reports and streams ask of a problem that was trained on the rows ``data``."""

    n_revived = top_k = load_prior = None
    working = working_exposure = working_target = None  # see ``GeneralProblem``
    # Of the rows: target, weights, factors of the means, bounds of censored targets, which of them
    # share an expert.
    y, weight, exposure, bounds, subjects = (
        property(attrgetter(f"data.{name}"))
        for name in ("y", "weight", "exposure", "bounds", "subjects")
    )

    @property
    def working_data(self):
        """Weights, exposures and targets that experts are fitted with, besides responsibilities."""
        return self.working, self.working_exposure, self.working_target

    def dead(self):
        """Numbers of the experts to warn of; by default none, as one left out costs nothing."""
        return np.arange(0)

    def report_sums(self, model, order):
        """What reports are made of: ReportSums.

        Expert ``j`` of the model, made of this problem, is its expert ``order[j]``.
        """
        loss = model.losses(self.y, self.means[:, order], self.bounds)
        proba = self.gate_proba[:, order]
        return ReportSums.of(self.resp[:, order], proba, loss, self.weight, self.top_k)

    def streaming_experts(self, order, estimators):
        """Experts that go on with ``learn_batch``, or None.

        New expert ``j`` is old expert ``order[j]``; the estimators are in the new order.
        """
        return

    def begin_gate_stream(self, gate, order):
        """Make a fitted gate, in a new order, ready to learn batches."""
        return


class Problem(Finished, ABC):
    """Experts, gate and likelihood in training on the rows of one fit.

    ``start`` takes responsibilities (n, K), and returns the problem; ``adopt`` takes the parameters
    of a problem of the same parts that was trained on some of the rows.

    Parameters
    ----------
    experts : Experts
        Untrained, on the rows of ``data``.
    gate : BaseGate
        Unfitted, or to go on from; belongs to this object.
    likelihood : BaseLikelihood
        Started; belongs to this object.
    data : TrainingData
        The rows.
    Z : array-like of n_samples rows, default=None
        What the gate sees in place of ``data.Z``: ``data.columns``.
    n_inner : int, default=1
        E-steps, each with an update of scales and gate, for one refit of the experts.
    load_prior : ndarray of shape (n_experts,), default=None
        Prior counts of a Dirichlet prior on the mean gate probabilities; None for no prior.
    top_k : int, default=None
        Each row keeps its ``top_k`` largest responsibilities; the objective is then the bound
        ``log sum_k pi_k f_k`` over those k, which rises as the likelihood does without
        truncation (J. Lücke and J. Eggert, "Expectation truncation and the benefits of
        preselection in training generative models", JMLR 11 (2010) 2855-2900). None for all.

    Attributes
    ----------
    objective : float
        Penalised log-likelihood per unit of weight, or a bound of it.
    load : ndarray of shape (n_experts,)
        Mean gate probabilities.
    resp : ndarray of shape (n_samples, n_experts)
        Responsibilities.
    log_norm : ndarray of shape (n_samples,)
        Log-density of each row.
    n_revived : ndarray of shape (n_experts,) or None
        How often each expert was re-seeded; None for never.
    accelerates : bool
        Whether slow iterations are accelerated.
    is_compiled : bool
        Whether many iterations are made at once.
    """

    accelerates = is_compiled = False
    objective = -np.inf
    routes = None  # experts of a row in predictions, while idle ones are re-seeded
    template = None  # what compiled runs of ``climb`` begin like, a LinearRun
    of_state = ()  # attributes that belong to a state, beside the parts

    def __init__(
        self, experts, gate, likelihood, data, *, Z=None, n_inner=1, load_prior=None, top_k=None
    ):
        self.experts = experts
        self.gate = gate
        self.likelihood = likelihood
        self.data = data
        if Z is None:
            self.Z = data.Z
        else:
            self.Z = Z
        self.gate_sees_columns = Z is not None
        self.n_inner = n_inner
        self.load_prior = load_prior
        self.top_k = top_k
        self.acceleration = Acceleration()
        if gate.takes_load_prior:
            gate.load_prior = load_prior
        else:
            gate.load_prior = None

    @property
    def means(self):
        """Predictions of the experts, times the exposure."""
        predictions = self.experts.predictions
        if self.exposure is None:
            return predictions
        return predictions * self.exposure[:, None]

    # Initial state --------------------------------------------------------------------------

    def on_rows(self, sample):
        """A problem of the same parts on some of the rows, with weights of the same sum."""
        twin = self.fork()
        twin.experts = self.experts.on_rows(sample.rows, sample.weight)
        twin.data = sample
        twin.Z = sample.columns if self.gate_sees_columns else sample.Z
        return twin

    def fork(self):
        """A problem on the same data that trains on its own."""
        twin = shallow_copy(self)
        twin.experts = shallow_copy(self.experts)
        twin.gate = shallow_copy(self.gate)
        twin.likelihood = shallow_copy(self.likelihood)
        twin.acceleration = Acceleration()
        return twin

    def _take_parts(self, other):
        self.experts.restore(other.experts.state())
        self.gate = shallow_copy(other.gate)
        self.likelihood = shallow_copy(other.likelihood)

    # What the loop asks ---------------------------------------------------------------------

    @abstractmethod
    def step(self):
        """One EM iteration; returns the objective."""

    def advance(self, n_iter, tol, foresees, gains, reference):
        """Some EM iterations, at least one and at most ``n_iter``; the objectives, in a list.

        Where there are several, they end with the first that leaves no more than ``tol`` to gain,
        by the last ``gains`` and the objective ``reference`` before these, and none is below the
        one before; ``foresees`` is as in ``run_em``.
        """
        return [self.step()]

    def climbing(self, rounded=True):
        """The problem as starts climb from it: its ``climb`` and ``resp_of`` leave it alone."""
        return self

    def climb(self, resp, state, max_iter, tol):
        """A run from a state, or from resp and its gate: objectives, state, effective rows."""
        twin = self.fork()
        if state is not None:
            twin.restore(state)
        if resp is not None:
            twin.start(resp)
        # It ends in NaN where no expert can explain a row.
        run = run_em(
            twin, max_iter=max_iter, tol=tol, patience=1, after=lambda each: np.isnan(each[-1])
        )
        return run.objectives, twin.state(), twin.effective_rows()

    def resp_of(self, state):
        """Responsibilities (n_samples, n_experts) in a state that ``climb`` has returned."""
        twin = self.fork()
        twin.restore(state)
        return twin.resp

    def state(self):
        """All that ``restore`` needs; nothing in it is changed in place."""
        arrays = {name: vars(self).get(name) for name in self.of_state}
        return self.experts.state(), shallow_copy(self.gate), shallow_copy(self.likelihood), arrays

    def restore(self, state):
        """Back to an earlier state."""
        experts, gate, likelihood, arrays = state
        self.acceleration = Acceleration()
        self.experts.restore(experts)
        self.gate = shallow_copy(gate)
        self.likelihood = shallow_copy(likelihood)
        vars(self).update(arrays)

    def revive(self):
        """Hand each dead expert, or idle one, rows around a place of high loss; whether any was."""
        dead = self.dead()
        if self.routes is not None:
            load = self.weight @ np.exp(routed(self.gate_proba, self.routes))
            dead = np.union1d(dead, np.flatnonzero(load < IDLE * load.mean()))
        if not len(dead):
            return False
        self.reseed(dead)
        n_experts = len(self.load)
        if self.n_revived is None:
            n_revived = np.zeros(n_experts, dtype=int)
        else:
            n_revived = self.n_revived
        self.n_revived = n_revived + np.isin(np.arange(n_experts), dead)
        return True

    def reseed(self, dead):
        """Hand each of these experts the rows around a place of high loss."""
        self.start(reseeded(self.resp, -self.log_norm, dead, self.data))

    def posterior(self, log_gate, log_density, top_k=None):
        """Responsibilities (n, K), log-densities of the rows (n,), and the log-likelihood."""
        subjects = self.subjects
        weight = self.weight
        if subjects is not None:
            log_gate = subjects.log_gate(log_gate)
            log_density = subjects.weighted_sum(log_density)
            weight = subjects.counts
        log_density = keep_best(log_gate, log_density, top_k)
        resp = np.empty_like(log_gate)
        log_norm = np.empty(len(log_gate))
        n_threads = kernel_threads(resp.size)
        log_likelihood = e_step(log_gate, log_density, weight, resp, log_norm, n_threads)
        if subjects is not None:
            resp = subjects.of_rows(resp)
            log_norm = subjects.per_row(log_norm)
        return resp, log_norm, log_likelihood

    # Attributes of the problem --------------------------------------------------------------

    def log_prior(self):
        """Log-prior of gate and experts, what penalties take from the log-likelihood."""
        of_experts = self.likelihood.log_prior(self.experts.penalty) + self.experts.own_log_prior
        return self.gate.log_prior() + of_experts

    def effective_rows(self):
        """Weight of the rows of each expert, (K,)."""
        return self.weight @ self.resp

    def copies(self):
        """Whether a heavier expert has the same density everywhere, (K,): both then stay alike."""
        return copies_of_heavier(self.log_density, self.load)

    def dead(self):
        """Numbers of the experts with next to no rows, and of copies of others."""
        return dead_experts(self)

    def finished_gate(self, given):
        """A copy of the gate, with the settings of ``given`` if it is of the same class."""
        gate = shallow_copy(self.gate.gate if self.gate.is_cross_fitted else self.gate)
        if type(given) is type(gate):
            vars(gate).update(given.get_params(deep=False))
        return gate

    def load_under(self, gate):
        """Mean probability (K,) that the finished gate gives to each expert."""
        return self.load

    def fit_to_routing(self):
        """Fit the scales to the mixture that predicts, where that is another one."""
        return


def shallow_copy(part):
    """A shallow copy; ``copy.copy`` of an estimator asks for versions first, which takes time."""
    twin = object.__new__(type(part))
    vars(twin).update(vars(part))
    return twin


# The parameters of a mixture that training reads -------------------------------------------------


CROSS_FITTED_ITERATIONS = 10  # at most; experts are what costs
CROSS_FITTED_PATIENCE = 2
ROUNDS_AFTER_STACK = 3  # of fits of experts, at most, by EM that follows a stack
INNER_STEPS = 10  # E-steps for one refit of cross-fitted experts, or around frozen ones
# Multiplications of the starts, at most, where others than their number count: half a second on the
# first rows of a stream, for the iterations too, and two of X that is wide.
STREAM_WORK = 4e8
WIDE_WORK = 2e9
FEW_ROWS = 130  # by weight, below which predictions average over numbers of experts


@dataclass(frozen=True)
class Settings:
    """Parameters of the estimators, with their names; MixtureOfExpertsRegressor describes them."""

    cv: object
    top_k: int | None
    init: object
    n_init: int
    max_iter: int
    tol: float
    n_jobs: int | None
    verbose: int
    # Whether this is a fit to one of several folds, after the search on all rows.
    in_fold: bool = False
    finds_regimes: bool = True  # where the evidence does
    to_beat: float = -np.inf  # mean log-density of the best other expert of the same stack
    most_work: float = np.inf  # multiplications of the starts, and of the iterations, about
    began: float = field(default_factory=time.monotonic)  # when the fit began

    @classmethod
    def of(cls, estimator):
        """The settings of an estimator."""
        params = estimator.get_params(deep=False)
        given = {each.name: params[each.name] for each in fields(cls) if each.name in params}
        return cls(**given, **estimator._in_stack)

    def most_iterations(self, folds, n_experts, likelihood, is_censored=False):
        """EM iterations at most."""
        if folds in (None, "prefit"):
            return self.max_iter
        # A single cross-fitted expert only iterates for working weights and targets.
        once = n_experts == 1 and not likelihood.is_reweighted and not is_censored
        return min(self.max_iter, 1 if once else CROSS_FITTED_ITERATIONS)

    def patience(self, folds, gate):
        """Iterations without a gain, after which EM stops: 1 where the objective must rise."""
        if folds in (None, "prefit") and not gate.is_costly:
            return 1
        return CROSS_FITTED_PATIENCE

    def not_converged(self, run, folds):
        """Message of a ConvergenceWarning after a run, or None."""
        ended = run.converged or run.fell or run.interrupted
        ended |= len(run.objectives) < self.max_iter  # work is limited as a stream begins
        if ended or folds not in (None, "prefit"):
            return None
        return f"EM stopped after max_iter={self.max_iter}, before tol={self.tol}: raise either."

    def active_top_k(self, n_experts):
        """Experts that a row keeps, or None where that is all of them."""
        if self.top_k is None or self.top_k >= n_experts:
            return None
        return self.top_k
