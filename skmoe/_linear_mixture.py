"""The linear EM problem: linear experts, Gaussian errors, softmax or constant gate.

One EM iteration is one pass over the rows, in blocks that stay in the cache. It makes the E-step
and leaves sums: all that the next M-step needs of experts, scales and gate. No array of n rows and
K experts is made unless somebody asks for one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from ._kernels._linear_pass import linear_pass, sizes
from ._linear import LinearExperts
from ._mixture import SAME_DENSITY, Mixture
from ._multinomial import BLOCK_LIMIT, NEWTON_LIMIT
from ._parallel import kernel_threads
from ._statistics import LeastSquaresStatistics
from .gates import ConstantGate, SoftmaxGate
from .likelihoods import Gaussian

BLOCK_ROWS = 512  # of the kernel
MOST_CHUNKS = 32  # of rows, each with sums of its own: enough for as many threads
CHUNK_NUMBERS = 2**22  # at most, in the sums of all chunks
REPORT_ROWS = 4096
SUMS_OF_AN_EXPONENTIAL = 16  # to which the pass adds in the time that one exponential takes
SMALLEST_STEP = 1e-3  # of the gate; below, it stays where it is
ROUNDING = 1e-13  # of an objective, relative
ARRAYS = ("resp", "log_norm", "log_density", "gate_proba")


@dataclass
class Sums:
    """Sums over rows at one point of the parameters, in standardised columns.

    Attributes
    ----------
    value : float
        Log-likelihood. With given responsibilities, the bound on it but for the experts' part.
    gram : ndarray of shape (n_experts, p, p)
        Weighted Gram matrices of the columns, the intercept last; of logistic experts their
        curvature.
    cross : ndarray of shape (n_experts, p, 1)
        Weighted products of columns and residuals.
    squares : ndarray of shape (n_experts, 1) or None
        Weighted squares of residuals.
    lack : ndarray of shape (p, n_experts)
        Columns times what responsibilities exceed the gate by: the slope of the gate.
    pairs : ndarray of shape (n_experts * (n_experts - 1) / 2, p, p) or None
        Gram matrices weighted by products of two gate probabilities.
    mass : ndarray of shape (n_experts,)
        Weights of the experts' rows.
    rows_gram : ndarray of shape (p, p)
        Gram matrix of all rows.
    """

    value: float
    gram: np.ndarray
    cross: np.ndarray
    squares: np.ndarray
    lack: np.ndarray
    pairs: np.ndarray | None
    mass: np.ndarray
    rows_gram: np.ndarray

    @property
    def gate_mass(self):
        """Summed probabilities of the gate, (n_experts,)."""
        return np.maximum(self.mass - self.lack[-1], 0.0)

    @classmethod
    def from_kernel(cls, flat, n_experts, p, with_curvature):
        """Take the kernel's numbers for linear experts apart."""
        n_pairs = p * (p + 1) // 2
        n_curvatures = n_experts * (n_experts - 1) // 2
        at_slopes = 1 + n_experts
        at_grams = at_slopes + 2 * n_experts * p
        at_pairs = at_grams + n_pairs * n_experts
        slopes = flat[at_slopes:at_grams].reshape(p, 2 * n_experts)
        pairs = flat[at_pairs:].reshape(n_pairs, n_curvatures) if with_curvature else None
        gram = _unpack(flat[at_grams:at_pairs].reshape(n_pairs, n_experts), p)
        return cls(
            float(flat[0]),
            gram,
            slopes[:, :n_experts].T[:, :, None],
            flat[1:at_slopes, None],
            slopes[:, n_experts:],
            None if pairs is None else _unpack(pairs, p),
            gram[:, -1, -1],
            gram.sum(axis=0),
        )


def _unpack(packed, p):
    """Symmetric matrices (n, p, p) from upper triangles (p (p + 1) / 2, n) by columns."""
    return packed.T.take(_places(p), axis=1)


@cache
def _places(p):
    """Where each entry of a symmetric matrix stands in its upper triangle by columns, (p, p)."""
    first, last = np.sort(np.indices((p, p)), axis=0)
    return last * (last + 1) // 2 + first


def _twin(part):
    """A shallow copy; ``copy.copy`` of an estimator asks for versions first, which takes time."""
    twin = object.__new__(type(part))
    vars(twin).update(vars(part))
    return twin


class LinearMixture(Mixture):
    """A mixture of linear experts in training; see ``Mixture``, and ``covers`` for which ones.

    Responsibilities and the like are made by the general problem when they are asked for.
    """

    given = None  # responsibilities to start from
    sums = None

    def __init__(self, experts, gate, likelihood, Z, y, weight, **settings):
        super().__init__(experts, gate, likelihood, Z, y, weight, **settings)
        del self.gate_proba
        self.y, self.weight = np.ascontiguousarray(y), np.ascontiguousarray(weight)
        gate.begin_sums(Z, experts.n_experts, (experts.mean, experts.scale))
        self._memory = {}

    @classmethod
    def covers(cls, experts, gate, likelihood, Z, X, *, load_prior, subjects, top_k):
        """Whether these parts can be trained here.

        Parameters
        ----------
        experts, gate, likelihood : object
            The parts.
        Z : array-like
            What the gate sees.
        X : array-like
            What the experts see.
        load_prior, subjects, top_k
            As in ``Mixture``.
        """
        if not cls._covers_experts(experts, likelihood) or experts.shared is not None:
            return False
        if Z is not X or top_k is not None or subjects is not None:
            return False
        n_columns = len(experts.mean) + 1
        if n_columns > BLOCK_LIMIT:  # BLAS makes the sums over rows of wide tables faster
            return False
        if type(gate) is ConstantGate:
            return True
        n_weights = experts.n_experts * n_columns
        has_l2_alone = type(gate) is SoftmaxGate and (gate.l1_ratio == 0 or gate.alpha == 0)
        return has_l2_alone and load_prior is None and n_weights <= NEWTON_LIMIT

    @staticmethod
    def _covers_experts(experts, likelihood):
        if type(experts) is not LinearExperts or type(likelihood) is not Gaussian:
            return False
        if len(experts.y) <= len(experts.mean):  # then they are solved without sums over rows
            return False
        is_constant = isinstance(likelihood.scale, str) and likelihood.scale in ("expert", "shared")
        return is_constant and experts.flat and np.ptp(experts.y) > 0

    def __getattr__(self, name):
        if name not in ARRAYS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        kept = self.objective, self.load
        shape = len(self.y), self.experts.n_experts
        vars(self)["resp"] = np.broadcast_to(0.0, shape)  # their shape is looked at
        self._e_step()
        self.objective, self.load = kept
        return vars(self)[name]

    def __getstate__(self):
        return {**vars(self), "_memory": {}}

    def start(self, resp):
        """Take responsibilities (n, K) to start from."""
        self._forget_arrays()
        self.given = self.resp = np.ascontiguousarray(resp, dtype=np.float64)
        return self

    def adopt(self, other):
        """Take the parameters of a mixture of the same parts, trained on some of the rows."""
        self._take_parts(other)
        self._forget_arrays()
        self.given = None
        self.gate.forget_curvature()
        self._take_pass()

    def step(self):
        """One EM iteration, one pass over the rows but where the gate's step was too long."""
        if self.given is not None:
            self.sums = self._given_sums()
        size = 1.0 if self.given is None or self.gate.exact_sums else self._first_size()
        sums, before = self.sums, self.gate
        bound = sums.value + before.log_prior() - self._experts_value(sums.squares)
        statistics = LeastSquaresStatistics.from_residuals(
            sums.gram, sums.cross, sums.squares, self._coef()
        )
        self.experts.solve(statistics)
        squares = statistics.residual_squares(self.experts.coef)
        self.likelihood.update_from_sums(
            sums.mass, squares[:, 0] * self.experts.y_scale[0] ** 2, self.experts.penalty
        )
        self.given = None
        self._forget_arrays()
        # With the gate as it was, the objective would now be at least this.
        bound += self._experts_value(squares) + self.likelihood.log_prior(self.experts.penalty)
        while True:
            self.gate = _twin(before)
            if size >= SMALLEST_STEP:
                self.gate.learn_sums(sums, size)
            self._take_pass()
            total = self.sums.value + self.log_prior()
            if size < SMALLEST_STEP or total >= bound - ROUNDING * abs(bound):
                break
            size /= 2
        self.objective = total / self.weight.sum()
        return self.objective

    def _given_sums(self):
        """Sums with the given responsibilities in place of those of an E-step."""
        sums = self._pass(self.given)
        share = np.where(self.given > 0, self.given, 1.0)
        entropy = self._entropy = -self.weight @ np.einsum("nk,nk->n", share, np.log(share))
        sums.value += entropy
        return sums

    def _first_size(self):
        """Part of the gate's first step: far from the optimum the bound alone is too lax."""
        before, value, size = self.gate, self.sums.value + self.gate.log_prior(), 1.0
        while size >= SMALLEST_STEP:
            self.gate = _twin(before)
            self.gate.learn_sums(self.sums, size)
            new = self._pass(self.given).value + self._entropy + self.gate.log_prior()
            if new >= value - ROUNDING * abs(value):
                break
            size /= 2
        self.gate = before
        return size

    def _coef(self):
        """The experts' coefficients in standardised columns (n_experts, p, 1); zeros at first."""
        if hasattr(self.experts, "coef"):
            return self.experts.coef
        return np.zeros((self.experts.n_experts, len(self.experts.mean) + 1, 1))

    def _experts_value(self, squares):
        """Experts' part of the bound but for their prior; it is not in the given sums."""
        if self.given is not None:
            return 0.0
        scale = self.likelihood.scale_
        errors = squares[:, 0] * self.experts.y_scale[0] ** 2 / scale**2
        of_rows = -0.5 * errors - self.sums.mass * np.log(scale * np.sqrt(2 * np.pi))
        return of_rows.sum()

    def _take_pass(self):
        """E-step with the parameters as they are, and the sums for the next M-step."""
        self.sums = self._pass(None)
        self._load_from_sums()

    def _load_from_sums(self):
        self.load = self.sums.gate_mass / self.weight.sum()

    def _pass(self, resp):
        experts = self.experts
        # With responsibilities there may be none, and nobody looks at it.
        any_scale = np.full(experts.n_experts, experts.y_scale[0])
        scale = any_scale if resp is not None else self.likelihood.scale_
        return self._run_kernel(
            self._coef()[:, :, 0],
            resp,
            self.gate.wants_curvature,
            units=(experts.y_mean[0], experts.y_scale[0]),
            scale=scale,
        )

    def _run_kernel(
        self, functions, resp, with_curvature, *, units=(0.0, 1.0), scale=None, logistic=False,
        with_grams=True,
    ):  # fmt: skip
        """Sums with the gate as it is and the experts' linear functions (n_experts, p)."""
        experts, X = self.experts, self.experts.rows.X
        n_experts, p = functions.shape
        scale = np.ones(n_experts) if scale is None else scale
        n_sums, n_workspace = sizes(n_experts, p, with_curvature)
        n_chunks = max(1, min(MOST_CHUNKS, CHUNK_NUMBERS // n_sums))
        blocks = -(-len(X) // BLOCK_ROWS)
        chunk_rows = BLOCK_ROWS * -(-blocks // n_chunks)
        work = len(X) * (2 * n_experts + n_sums // SUMS_OF_AN_EXPONENTIAL)
        coef = np.concatenate([self.gate.sum_logits().T, functions])
        flat = np.empty(n_sums)
        linear_pass(
            X,
            self.y.astype(np.float64, copy=False),
            self.weight,
            experts.mean,
            experts.scale,
            *units,
            coef.astype(X.dtype),
            (units[1] / scale).astype(X.dtype),
            np.log(scale * np.sqrt(2 * np.pi)).astype(X.dtype),
            resp,
            logistic,
            with_grams,
            with_curvature,
            chunk_rows,
            self._array("workspace", (kernel_threads(work), n_workspace), X.dtype),
            self._array("partial", (-(-len(X) // chunk_rows), n_sums), np.float64),
            flat,
        )
        return Sums.from_kernel(flat, n_experts, p, with_curvature)

    def _array(self, name, shape, dtype):
        """Memory for the kernel, kept for the next pass."""
        array = self._memory.get((name, *shape))
        if array is None:
            array = self._memory[name, *shape] = np.empty(shape, dtype)
        return array

    def effective_rows(self):
        """Weight of the rows of each expert, (K,)."""
        return self.sums.mass

    def _copies(self):
        first = slice(BLOCK_ROWS)
        log_density = self.likelihood.log_density(self.y[first], self._answers(first)[1])
        difference = np.abs(log_density[:, :, None] - log_density[:, None]).max(axis=0)
        np.fill_diagonal(difference, np.inf)
        if difference.min() >= SAME_DENSITY:
            return np.zeros(len(self.load), dtype=bool)
        return super()._copies()

    def _answers(self, rows):
        """Gate's logits (n_rows, K) and experts' predictions for some rows."""
        experts = self.experts
        columns = (experts.rows.X[rows] - experts.mean) / experts.scale
        logits = self.gate.sum_logits()
        return columns @ logits[:-1] + logits[-1], self._predictions_for(columns)

    def _predictions_for(self, columns):
        """Experts' predictions for rows of standardised columns."""
        experts, coef = self.experts, self.experts.coef[:, :, 0].T
        return (columns @ coef[:-1] + coef[-1]) * experts.y_scale + experts.y_mean

    def _forget_arrays(self):
        for name in ARRAYS:
            vars(self).pop(name, None)

    def blocks(self):
        """What reports are made of, block after block of rows; see ``Mixture``."""
        for start in range(0, len(self.y), REPORT_ROWS):
            rows = slice(start, start + REPORT_ROWS)
            logits, predictions = self._answers(rows)
            log_density = self.likelihood.log_density(self.y[rows], predictions)
            joint = special.softmax(logits + log_density, axis=1)
            yield rows, joint, special.softmax(logits, axis=1), predictions

    def begin_stream(self, order, estimators, gate):
        """Experts that go on with ``learn_batch``; the gate has its curvature already."""
        return self.experts.streaming(None, order, estimators)

    def state(self):
        """All that ``restore`` needs; nothing in it is changed in place."""
        return {
            "experts": self.experts.state(),
            "gate": _twin(self.gate),
            "likelihood": _twin(self.likelihood),
            "sums": (self.sums, self.objective, self.load),
        }

    def restore(self, state):
        """Back to an earlier state."""
        self._forget_arrays()
        self.given = None
        self.experts.restore(state["experts"])
        self.gate = _twin(state["gate"])
        self.likelihood = _twin(state["likelihood"])
        self.sums, self.objective, self.load = state["sums"]
