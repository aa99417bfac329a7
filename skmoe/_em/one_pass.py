"""The one-pass problem: linear or logistic experts of one output, softmax or constant gate.

One EM iteration is one pass over the rows. It makes the E-step and leaves sums: all that the next
M-step needs of experts, scales and gate. No array of n rows and K experts is made unless somebody
asks for one.
"""

import copy

import numpy as np
from scipy import special

from .._numerics.multinomial import BLOCK_LIMIT, NEWTON_LIMIT
from .._rows.arrays import ArrayRows
from ..gates import ConstantGate, SoftmaxGate
from .acceleration import Acceleration
from .general import GeneralProblem
from .problem import SampleProblem, shallow_copy
from .revival import SAME_DENSITY
from .sums import BLOCK_ROWS
from .sweeps import LeastSquaresSweep, LogisticSweep

REPORT_ROWS = 4096
SWEEPS = (LeastSquaresSweep, LogisticSweep)


class OnePassProblem(SampleProblem):
    """A mixture of linear or logistic experts in training; see ``Problem``, and ``covers``.

    Attributes
    ----------
    rows : RowSource
        The rows, which are reached by ``reduce`` alone.
    given : ndarray of shape (n_samples, n_experts) or None
        Responsibilities to start from.
    sums : Sums
        Of the last pass.
    """

    given = sums = _arrays = None
    objective = -np.inf

    def __init__(self, experts, gate, likelihood, data, **settings):
        super().__init__(experts, gate, likelihood, data, **settings)
        self.rows = ArrayRows(experts.rows.X, experts.y, data.weight)
        self.acceleration = Acceleration()
        self.sweep = next(sweep for sweep in SWEEPS if sweep.covers(experts, likelihood))()
        gate.begin_sums(self.Z, experts.n_experts, (experts.mean, experts.scale))

    @staticmethod
    def covers(experts, gate, likelihood, data, *, load_prior, top_k):
        """Whether these parts can be trained here; see ``Problem``."""
        if not any(sweep.covers(experts, likelihood) for sweep in SWEEPS):
            return False
        if experts.shared is not None or top_k is not None or data.subjects is not None:
            return False
        if data.Z is not experts.source:
            return False
        n_columns = len(experts.mean) + 1
        if n_columns > BLOCK_LIMIT:  # BLAS makes the sums over rows of wide tables faster
            return False
        if type(gate) is ConstantGate:
            return True
        n_weights = experts.n_experts * n_columns
        has_l2_alone = type(gate) is SoftmaxGate and (gate.l1_ratio == 0 or gate.alpha == 0)
        return has_l2_alone and load_prior is None and n_weights <= NEWTON_LIMIT

    # EM -------------------------------------------------------------------------------------

    def start(self, resp):
        """Take responsibilities (n, K) to start from; the problem."""
        self.given, self._arrays = np.ascontiguousarray(resp, dtype=np.float64), None
        self.acceleration = Acceleration()
        return self

    def fork(self):
        """A problem on the same data that trains on its own, in another thread if need be."""
        twin = super().fork()
        twin.rows = copy.copy(self.rows)  # with memory of its own
        twin.acceleration = Acceleration()
        return twin

    def on_rows(self, sample):
        """A problem of the same parts on some of the rows; see ``Problem``."""
        twin = super().on_rows(sample)
        twin.rows = ArrayRows(twin.experts.rows.X, twin.experts.y, sample.weight)
        twin.sweep = type(self.sweep)()
        twin.experts.forget_curvature()
        return twin

    def adopt(self, other):
        """Take the parameters of a problem of the same parts, trained on some of the rows."""
        self._take_parts(other)
        self.acceleration = Acceleration()
        self.given = self._arrays = None
        self.gate.forget_curvature()
        self.experts.forget_curvature()
        self.sweep.take_pass(self)

    def step(self):
        """One EM iteration, one pass over the rows but where a step was too long."""
        self._arrays = None
        before, is_first = self.objective, self.given is not None
        self.objective = self.sweep.step(self) / self.weight.sum()
        if not is_first:
            self.acceleration.note(self.objective - before)
        return self.objective

    def load_from_sums(self):
        """Set the load from the sums of the last pass."""
        self.load = self.sums.gate_mass / self.weight.sum()

    def state(self):
        """All that ``restore`` needs; nothing in it is changed in place."""
        return {
            "experts": self.experts.state(),
            "gate": shallow_copy(self.gate),
            "likelihood": shallow_copy(self.likelihood),
            "sums": (self.sums, self.objective, self.load),
        }

    def restore(self, state):
        """Back to an earlier state."""
        self.given = self._arrays = None
        self.acceleration = Acceleration()
        self.experts.restore(state["experts"])
        self.gate = shallow_copy(state["gate"])
        self.likelihood = shallow_copy(state["likelihood"])
        self.sums, self.objective, self.load = state["sums"]

    # Arrays that somebody asks for ----------------------------------------------------------

    @property
    def resp(self):
        """Responsibilities, (n_samples, n_experts)."""
        return self._in_arrays().resp if self.given is None else self.given

    @property
    def log_norm(self):
        """Log-density of each row, (n_samples,)."""
        return self._in_arrays().log_norm

    def _in_arrays(self):
        """The general problem of the same parts, after an E-step."""
        if self._arrays is None:
            general = GeneralProblem(
                self.experts, self.gate, self.likelihood, self.data,
                load_prior=self.load_prior,
            )  # fmt: skip
            general.resp = np.broadcast_to(0.0, (len(self.y), self.experts.n_experts))
            general.e_step()
            self._arrays = general
        return self._arrays

    # What is known of it --------------------------------------------------------------------

    def effective_rows(self):
        """Weight of the rows of each expert, (K,)."""
        return self.sums.mass

    def copies(self):
        """Whether a heavier expert has the same density everywhere, (K,)."""
        first = slice(BLOCK_ROWS)
        log_density = self.likelihood.log_density(self.y[first], self._answers(first)[1])
        difference = np.abs(log_density[:, :, None] - log_density[:, None]).max(axis=0)
        np.fill_diagonal(difference, np.inf)
        if difference.min() >= SAME_DENSITY:
            return np.zeros(len(self.load), dtype=bool)
        return self._in_arrays().copies()

    def _answers(self, rows):
        """Gate's logits (n_rows, K) and experts' predictions for some rows."""
        experts, logits = self.experts, self.gate.sum_logits()
        columns = (experts.rows.X[rows] - experts.mean) / experts.scale
        return columns @ logits[:-1] + logits[-1], experts.predict_standardised(columns)

    def blocks(self):
        """What reports are made of, block after block of rows; see ``Problem``."""
        for start in range(0, len(self.y), REPORT_ROWS):
            rows = slice(start, start + REPORT_ROWS)
            logits, predictions = self._answers(rows)
            log_density = self.likelihood.log_density(self.y[rows], predictions)
            joint = special.softmax(logits + log_density, axis=1)
            yield rows, joint, special.softmax(logits, axis=1), predictions

    def streaming_experts(self, order, estimators):
        """Experts that go on with ``learn_batch``, or None."""
        return self.experts.streaming_from_sums(order)
