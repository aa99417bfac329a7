"""How linear and logistic experts take part in a one-pass EM iteration.

A sweep makes the M-step from the sums of the last pass, and the next pass, which is the E-step. The
M-step of least squares is exact; logistic experts and a softmax gate make one Newton step of the
bound that EM raises. Where the log-likelihood itself then falls, the step was too long, and is
halved. Where EM is slow, its steps are accelerated.
"""

from abc import ABC, abstractmethod

import numpy as np

from .._experts.least_squares import LeastSquaresExperts
from .._experts.logistic import LogisticExperts
from .._numerics.statistics import LeastSquaresStatistics
from ..likelihoods import Categorical, Gaussian
from .problem import shallow_copy
from .sums import PassParameters, Sums, run_pass

SMALLEST_STEP = 1e-3  # below, parameters stay where they are
ROUNDING = 1e-13  # of an objective, relative
FIRST_GAIN = 1e-10  # per unit of weight; by less, given responsibilities have been learned


class Sweep(ABC):
    """One kind of M-step of a one-pass problem."""

    @staticmethod
    @abstractmethod
    def covers(experts, likelihood):
        """Whether these parts are of this kind."""

    @abstractmethod
    def step(self, problem):
        """M-step and pass; the penalised log-likelihood reached."""

    @abstractmethod
    def sums(self, problem, resp=None, with_curvature=None):
        """Sums of a pass with the parameters as they are."""

    @abstractmethod
    def point(self, problem):
        """Parameters of experts, likelihood and gate, (n_parameters,), that EM steps add to."""

    @abstractmethod
    def go_to(self, problem, point):
        """Set them."""

    @abstractmethod
    def metric(self, problem):
        """Curvature of the complete data at the sums of the last pass, block after block.

        Arrays (n_blocks, size, size) for as many blocks of ``point``, in its order.
        """

    def accelerated(self, problem, point, value):
        """Whether a pass at the proposal of ``problem.acceleration`` is better than EM's step.

        Parameters
        ----------
        problem : OnePassProblem
            At the parameters of EM's next step, with the sums of the last pass.
        point : ndarray of shape (n_parameters,)
            Parameters of the last pass.
        value : float
            Penalised log-likelihood there.
        """
        if not (problem.accelerates and problem.acceleration.is_late):
            return False
        now = self.point(problem)
        blocks = self.metric(problem)
        proposal, least = problem.acceleration.propose(
            point, now - point, lambda directions: _times(blocks, directions)
        )
        if proposal is None:
            return False
        before = problem.experts, problem.likelihood, problem.gate, problem.sums
        problem.experts, problem.likelihood = map(shallow_copy, before[:2])
        problem.gate = shallow_copy(problem.gate)
        self.go_to(problem, proposal)
        self.take_pass(problem)
        if problem.sums.value + problem.log_prior() >= value + least:
            return True
        problem.experts, problem.likelihood, problem.gate, problem.sums = before
        problem.acceleration.reject()
        return False

    def take_pass(self, problem):
        """E-step with the parameters as they are, and the sums for the next M-step."""
        problem.sums = self.sums(problem)
        problem.load_from_sums()


class LeastSquaresSweep(Sweep):
    """Least squares with Gaussian errors of a scale for each expert, or one for all."""

    @staticmethod
    def covers(experts, likelihood):
        if type(experts) is not LeastSquaresExperts or type(likelihood) is not Gaussian:
            return False
        if len(experts.y) <= len(experts.mean):  # then they are solved without sums over rows
            return False
        is_constant = isinstance(likelihood.scale, str) and likelihood.scale in ("expert", "shared")
        return is_constant and experts.flat and np.ptp(experts.y) > 0

    def step(self, problem):
        """M-step and pass; the penalised log-likelihood reached."""
        experts, likelihood, before = problem.experts, problem.likelihood, problem.gate
        given, size, entropy = problem.given, 1.0, 0.0
        if given is None:
            point, value = self.point(problem), problem.sums.value + problem.log_prior()
        else:
            share = np.where(given > 0, given, 1.0)
            entropy = -problem.weight @ np.einsum("nk,nk->n", share, np.log(share))
            problem.sums = self.sums(problem, given)
            problem.sums.value += entropy
            if not before.exact_sums:
                size = self._first_size(problem, entropy)
        sums = problem.sums
        bound = sums.value + before.log_prior()
        if given is None:
            bound -= self._value(problem, sums.squares)
        statistics = LeastSquaresStatistics.from_residuals(
            sums.gram, sums.cross, sums.squares, experts.standard_coef
        )
        experts.solve(statistics)
        squares = statistics.residual_squares(experts.coef)
        likelihood.update_from_sums(
            sums.mass, squares[:, 0] * experts.y_scale[0] ** 2, experts.penalty
        )
        problem.given = None
        # With the gate as it was, the objective would now be at least this.
        bound += self._value(problem, squares) + likelihood.log_prior(experts.penalty)
        while True:
            problem.gate = shallow_copy(before)
            if size >= SMALLEST_STEP:
                problem.gate.learn_sums(sums, size)
            if given is None and size == 1.0 and self.accelerated(problem, point, value):
                return problem.sums.value + problem.log_prior()
            self.take_pass(problem)
            total = problem.sums.value + problem.log_prior()
            if size < SMALLEST_STEP or total >= bound - ROUNDING * abs(bound):
                return total
            problem.sums, size = sums, size / 2

    def _first_size(self, problem, entropy):
        """Part of the gate's first step: far from the optimum the bound alone is too lax."""
        before, sums, size = problem.gate, problem.sums, 1.0
        value = sums.value + before.log_prior()
        while size >= SMALLEST_STEP:
            problem.gate = shallow_copy(before)
            problem.gate.learn_sums(sums, size)
            of_rows = self.sums(problem, problem.given).value + entropy
            if of_rows + problem.gate.log_prior() >= value - ROUNDING * abs(value):
                break
            size /= 2
        problem.gate = before
        return size

    @staticmethod
    def _value(problem, squares):
        """Experts' part of the bound but for their prior."""
        scale = problem.likelihood.scale_
        errors = squares[:, 0] * problem.experts.y_scale[0] ** 2 / scale**2
        of_rows = -0.5 * errors - problem.sums.mass * np.log(scale * np.sqrt(2 * np.pi))
        return of_rows.sum()

    def point(self, problem):
        """Linear functions, logarithms of scales, and logits."""
        functions, scale = problem.experts.standard_coef, problem.likelihood.scale_
        return np.concatenate(
            [functions.ravel(), np.log(scale), problem.gate.sum_logits().T.ravel()]
        )

    def go_to(self, problem, point):
        """Set them."""
        experts, likelihood = problem.experts, problem.likelihood
        shape = experts.standard_coef.shape
        ends = np.cumsum([np.prod(shape), shape[0]])
        functions, log_scale, logits = np.split(point, ends)
        experts.set_functions(functions.reshape(shape))
        likelihood.scale_ = np.maximum(np.exp(log_scale), likelihood.floor_)
        problem.gate.set_logits(logits.reshape(shape[0], -1).T)

    def metric(self, problem):
        """Curvature of the complete data; see ``Sweep``."""
        sums, y_scale = problem.sums, problem.experts.y_scale[0]
        precision = (y_scale / problem.likelihood.scale_) ** 2
        of_scales = 2 * sums.mass[:, None, None]
        return [sums.gram * precision[:, None, None], of_scales, problem.gate.curvature_of_each()]

    def sums(self, problem, resp=None, with_curvature=None):
        """Sums of a pass with the parameters as they are."""
        experts, gate = problem.experts, problem.gate
        # With responsibilities there may be none, and nobody looks at it.
        any_scale = np.full(experts.n_experts, experts.y_scale[0])
        scale = any_scale if resp is not None else problem.likelihood.scale_
        wanted = gate.wants_curvature if with_curvature is None else with_curvature
        parameters = PassParameters(
            experts.mean,
            experts.scale,
            gate.sum_logits(),
            experts.standard_coef[:, :, 0],
            scale,
            y_mean=experts.y_mean[0],
            y_scale=experts.y_scale[0],
            resp=resp,
            with_curvature=wanted,
        )
        flat = problem.rows.reduce(run_pass, parameters)
        return Sums.from_kernel(flat, *parameters.expert_coef.shape, wanted)


class LogisticSweep(Sweep):
    """Logistic experts of two classes."""

    _rows_gram = None

    @staticmethod
    def covers(experts, likelihood):
        if type(experts) is not LogisticExperts or type(likelihood) is not Categorical:
            return False
        calibrates = likelihood.temperature or likelihood.smoothing or likelihood.epsilon != 0
        return experts.n_classes == 2 and not calibrates

    def step(self, problem):
        """M-step and pass; the penalised log-likelihood reached."""
        problem.experts.n_fits += problem.experts.n_experts
        if problem.given is None:
            self._ascend(problem, None)
        else:
            self._learn_given(problem)
        problem.likelihood.take_mass(problem.sums.mass)
        return self._total(problem)

    def _learn_given(self, problem):
        """M-step for the given responsibilities, then an E-step.

        The experts go to their optimum, as linear ones do. The gate makes one step: at its own
        optimum it would be sharp around starts that are so.
        """
        resp = problem.given
        problem.experts.forget_curvature()
        problem.sums = self.sums(problem, resp)
        pairs, problem.sums.pairs = problem.sums.pairs, None
        least = FIRST_GAIN * problem.weight.sum()
        for _ in range(problem.experts.n_first_newton):
            if self._ascend(problem, resp, with_gate=False) <= least:
                break
        problem.sums.pairs = pairs
        self._ascend(problem, resp)
        problem.given = None
        self.take_pass(problem)

    def _ascend(self, problem, resp, *, with_gate=True):
        """Newton step of the experts, and of the gate, that raises what ``_total`` is; the gain."""
        sums, gate, experts = problem.sums, problem.gate, problem.experts
        before, size = self._total(problem), 1.0
        point = self.point(problem)
        least = before - max(ROUNDING, np.finfo(experts.rows.X.dtype).eps) * abs(before)
        while size >= SMALLEST_STEP:
            problem.experts = shallow_copy(experts)
            problem.experts.learn_sums(sums, size)
            if with_gate:
                problem.gate = shallow_copy(gate)
                problem.gate.learn_sums(sums, size)
            if resp is None and size == 1.0 and self.accelerated(problem, point, before):
                return self._total(problem) - before
            wanted = with_gate and problem.gate.wants_curvature
            problem.sums = self.sums(problem, resp, wanted)
            problem.load_from_sums()
            if self._total(problem) >= least:
                return self._total(problem) - before
            size /= 2
        problem.sums, problem.gate, problem.experts = sums, gate, experts
        problem.load_from_sums()
        return 0.0

    def point(self, problem):
        """Log-odds of the experts, and logits."""
        return np.append(problem.experts.log_odds, problem.gate.sum_logits().T)

    def go_to(self, problem, point):
        """Set them."""
        shape = problem.experts.log_odds.shape
        functions, logits = np.split(point, [np.prod(shape)])
        problem.experts.set_functions(functions.reshape(shape))
        problem.gate.set_logits(logits.reshape(shape[0], -1).T)

    def metric(self, problem):
        """Curvature of the complete data; see ``Sweep``."""
        return [problem.experts.curvature_of_each(), problem.gate.curvature_of_each()]

    @staticmethod
    def _total(problem):
        """Penalised log-likelihood, or what the M-step raises for given responsibilities."""
        return problem.sums.value + problem.log_prior()

    def sums(self, problem, resp=None, with_curvature=None):
        """Sums of a pass with the parameters as they are."""
        experts = problem.experts
        if self._rows_gram is None:  # where all is 0, every curvature is a quarter
            nothing = np.zeros_like(experts.log_odds)
            at_zero = self._run(problem, nothing, None, False, True)
            self._rows_gram = 4 * at_zero.gram.sum(axis=0)
        wanted = problem.gate.wants_curvature if with_curvature is None else with_curvature
        sums = self._run(problem, experts.log_odds, resp, wanted, experts.wants_curvature)
        sums.mass, sums.squares = sums.squares[:, 0], None
        sums.rows_gram = self._rows_gram
        return sums

    @staticmethod
    def _run(problem, functions, resp, with_curvature, with_grams):
        experts = problem.experts
        parameters = PassParameters(
            experts.mean,
            experts.scale,
            problem.gate.sum_logits(),
            functions,
            np.ones(experts.n_experts),
            resp=resp,
            logistic=True,
            with_grams=with_grams,
            with_curvature=with_curvature,
        )
        flat = problem.rows.reduce(run_pass, parameters)
        return Sums.from_kernel(flat, *functions.shape, with_curvature)


def _times(blocks, directions):
    """Products (n_parameters, n_directions) of blocks on a diagonal and directions."""
    products, start = [], 0
    for block in blocks:
        n_blocks, size, _ = block.shape
        part = directions[start : start + n_blocks * size].reshape(n_blocks, size, -1)
        products.append((block @ part).reshape(n_blocks * size, -1))
        start += n_blocks * size
    return np.concatenate(products)
