"""How linear and logistic experts take part in a one-pass EM iteration.

A sweep makes the M-step from the sums of the last pass, and the next pass, which is the E-step. The
M-step of least squares is exact; logistic experts and a softmax gate make one Newton step of the
bound that EM raises. Where the log-likelihood itself then falls, the step was too long, and is
halved. Where EM is slow, its steps are accelerated.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
from scipy import sparse

from .._data import ArrayRows
from .._experts.least_squares import LeastSquaresExperts
from .._experts.logistic import LogisticExperts
from .._kernels._linear_pass import sizes
from .._kernels._linear_run import LinearRun
from .._numerics.statistics import LEAST_PIVOT, LeastSquaresStatistics
from ..likelihoods import Categorical, Gaussian
from .problem import shallow_copy
from .sums import LOG_ROOT_2_PI, PassParameters, Sums, run_pass, sum_rows

SMALLEST_STEP = 1e-3  # below this, parameters are not changed
ROUNDING = 1e-13  # relative rounding error of an objective
FIRST_GAIN = 1e-10  # per unit of weight; smaller gains mean that given responsibilities are learned


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
    def sums(self, problem, resp=None, with_gate=True):
        """Sums of a pass with the parameters as they are; the gate's too if ``with_gate``."""

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

    def has_runs(self, experts):
        """Whether ``begin_run`` makes runs for them."""
        return type(self).begin_run is not Sweep.begin_run

    def begin_run(self, problem, *, is_given):
        """A LinearRun at the parameters, and sums unless resp ``is_given``; None if not for it."""
        return None

    def accelerated(self, problem, point, value):
        """Whether a pass at the proposal of ``problem.acceleration`` is better than EM's step.

        The problem is at the parameters of EM's next step, with the sums of the last pass;
        ``point`` and ``value`` are the parameters and the penalised log-likelihood of that pass.
        """
        if problem.top_k or not (problem.accelerates and problem.acceleration.is_late):
            return False
        now = self.point(problem)
        blocks = self.metric(problem)
        proposal, least = problem.acceleration.propose(
            point, now - point, lambda directions: _scaled_by(blocks, directions)
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

    @classmethod
    def covers(cls, experts, likelihood):
        if not cls._is_constant_gaussian(experts, likelihood) or sparse.issparse(experts.rows.X):
            return False
        return experts.flat and np.ptp(experts.y) > 0

    @staticmethod
    def _is_constant_gaussian(experts, likelihood):
        """Whether experts are solved from sums, and errors are Gaussian of constant scales."""
        if type(experts) is not LeastSquaresExperts or type(likelihood) is not Gaussian:
            return False
        if len(experts.y) <= len(experts.mean):  # then they are solved without sums over rows
            return False
        return isinstance(likelihood.scale, str) and likelihood.scale in ("expert", "shared")

    def begin_run(self, problem, *, is_given):
        experts = problem.experts
        likelihood = problem.likelihood
        settings = {
            "y_mean": experts.y_mean[0],
            "y_scale": experts.y_scale[0],
            "is_prior": experts.prior,
            "floor": float(likelihood.floor_),
            "variance": float(likelihood._variance),
            "shared": likelihood.scale == "shared",
            "least_pivot": LEAST_PIVOT,
        }
        run = begin_run(problem, None, settings, is_given)
        if run is not None:
            run.coef = np.array(experts.standard_coef[:, :, 0])
            if not is_given:
                run.errors = np.array(likelihood.scale_)
        return run

    def end_run(self, problem, run, n_iter):
        experts = problem.experts
        likelihood = problem.likelihood
        problem.sums = end_run(problem, run)
        experts.n_fits += n_iter * experts.n_experts
        experts.set_coef(np.asarray(run.coef)[:, :, None])
        before = sums_of(run, run.other_sums, False)
        # Their targets are residuals of the coefficients before.
        residuals = LeastSquaresStatistics(before.gram, before.cross, before.squares)
        experts.statistics = residuals.with_targets(np.asarray(run.old_coef)[:, :, None])
        squares = np.asarray(run.squares) * experts.y_scale[0] ** 2
        likelihood.update_from_sums(np.asarray(run.row_masses), squares)
        likelihood.scale_ = np.asarray(run.errors)

    def step(self, problem):
        experts = problem.experts
        likelihood = problem.likelihood
        before = problem.gate
        given = problem.given
        size = 1.0
        entropy = 0.0
        if given is None:
            point = self.point(problem)
            value = problem.sums.value + problem.log_prior()
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
        residuals = LeastSquaresStatistics(sums.gram, sums.cross, sums.squares)
        statistics = residuals.with_targets(experts.standard_coef)
        experts.solve(statistics)
        squares = statistics.residual_squares(experts.coef)
        likelihood.update_from_sums(
            sums.mass, self._shaped(experts, squares * experts.y_scale**2), experts.penalty
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
            problem.sums = sums
            size = size / 2

    def _first_size(self, problem, entropy):
        """Part of the gate's first step: far from the optimum the bound alone is too lax."""
        before = problem.gate
        sums = problem.sums
        size = 1.0
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
        scale = problem.likelihood.scale_.reshape(squares.shape)
        errors = np.vdot(squares, (problem.experts.y_scale / scale) ** 2)
        return -0.5 * errors - (problem.sums.mass @ (np.log(scale) + LOG_ROOT_2_PI)).sum()

    @staticmethod
    def _shaped(experts, of_outputs):
        """Numbers of each expert and output, without outputs where there is one alone."""
        if experts.flat:
            return of_outputs[:, 0]
        return of_outputs

    def point(self, problem):
        """Linear functions, logarithms of scales, and logits."""
        functions = problem.experts.standard_coef.swapaxes(1, 2)
        parts = functions, np.log(problem.likelihood.scale_), problem.gate.sum_logits().T
        return np.concatenate([part.ravel() for part in parts])

    def go_to(self, problem, point):
        experts = problem.experts
        likelihood = problem.likelihood
        n_experts, p, n_outputs = experts.standard_coef.shape
        n_scales = n_experts * n_outputs
        functions = point[: n_scales * p]
        others = point[n_scales * p :]
        log_scale = others[:n_scales]
        logits = others[n_scales:]
        experts.set_functions(functions.reshape(n_experts, n_outputs, p).swapaxes(1, 2))
        scale = self._shaped(experts, np.exp(log_scale).reshape(n_experts, n_outputs))
        likelihood.scale_ = np.maximum(scale, likelihood.floor_)
        problem.gate.set_logits(logits.reshape(n_experts, -1).T)

    def metric(self, problem):
        sums = problem.sums
        n_outputs = problem.experts.y_scale.size
        scale = problem.likelihood.scale_.reshape(-1, n_outputs)
        precision = (problem.experts.y_scale / scale).reshape(-1, 1, 1) ** 2
        of_scales = 2 * np.repeat(sums.mass, n_outputs)[:, None, None]
        grams = np.repeat(sums.gram, n_outputs, axis=0)
        return [grams * precision, of_scales, problem.gate.curvature_of_each()]

    def sums(self, problem, resp=None, with_gate=True):
        experts = problem.experts
        scale = problem.likelihood.scale_
        if resp is not None:  # there may be none yet, and it is not used
            scale = np.full(experts.n_experts, experts.y_scale[0])
        return run_compiled(
            problem,
            experts.standard_coef[:, :, 0],
            scale,
            resp,
            with_gate,
            y_mean=experts.y_mean[0],
            y_scale=experts.y_scale[0],
        )


class LogisticSweep(Sweep):
    """Logistic experts of two classes."""

    _of_rows = None

    @classmethod
    def covers(cls, experts, likelihood):
        is_known = type(experts) is LogisticExperts and cls._is_uncalibrated(likelihood)
        return is_known and experts.n_classes == 2 and not sparse.issparse(experts.rows.X)

    @staticmethod
    def _is_uncalibrated(likelihood):
        """Whether it takes the experts' probabilities as they are."""
        if type(likelihood) is not Categorical:
            return False
        return likelihood.calibration is None and likelihood.epsilon == 0

    def begin_run(self, problem, *, is_given):
        experts = problem.experts
        gram, constant = self.sums_of_rows(problem)
        settings = {"n_newton": experts.n_first_newton, "constant": constant} | experts.run_settings
        run = begin_run(problem, gram, settings, is_given)
        if run is not None:
            experts.begin_run(run, is_given=is_given)
        return run

    def end_run(self, problem, run, n_iter):
        experts = problem.experts = shallow_copy(problem.experts)
        problem.sums = self._of_classes(end_run(problem, run))
        experts.n_fits += n_iter * experts.n_experts
        experts.end_run(run)
        self._end(problem, run)

    def step(self, problem):
        problem.experts.n_fits += problem.experts.n_experts
        if problem.given is None:
            self._ascend(problem, None)
        else:
            self._learn_given(problem)
        self._end(problem)
        return self._total(problem)

    @staticmethod
    def _end(problem, run=None):
        """Tell the likelihood what the last pass has found, or a run."""
        problem.likelihood.take_mass(problem.sums.mass)

    @staticmethod
    def _learn_scales(problem, sums):
        """M-step of the likelihood; of classes there is none."""

    def _learn_given(self, problem):
        """M-step for the given responsibilities, then an E-step.

        The experts go to their optimum, as linear ones do. The gate makes one step: at its own
        optimum it would be sharp around starts that are so.
        """
        resp = problem.given
        problem.experts.forget_curvature()
        problem.sums = self.sums(problem, resp)
        pairs = problem.sums.pairs
        problem.sums.pairs = None
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
        sums = problem.sums
        gate = problem.gate
        experts = problem.experts
        likelihood = problem.likelihood
        before = self._total(problem)
        size = 1.0
        point = self.point(problem)
        least = before - max(ROUNDING, np.finfo(experts.rows.X.dtype).eps) * abs(before)
        while size >= SMALLEST_STEP:
            problem.experts = shallow_copy(experts)
            if with_gate:
                problem.gate = shallow_copy(gate)
                problem.likelihood = shallow_copy(likelihood)
                problem.gate.learn_sums(sums, size)
                self._learn_scales(problem, sums)
            problem.experts.learn_sums(sums, size)
            if resp is None and size == 1.0 and self.accelerated(problem, point, before):
                return self._total(problem) - before
            problem.sums = self.sums(problem, resp, with_gate)
            problem.load_from_sums()
            if self._total(problem) >= least:
                return self._total(problem) - before
            size /= 2
        problem.sums = sums
        problem.gate = gate
        problem.experts = experts
        problem.likelihood = likelihood
        problem.load_from_sums()
        return 0.0

    def point(self, problem):
        """Linear functions, and logits."""
        return np.append(problem.experts.functions, problem.gate.sum_logits().T)

    def go_to(self, problem, point):
        shape = problem.experts.functions.shape
        functions, logits = np.split(point, [np.prod(shape)])
        problem.experts.set_functions(functions.reshape(shape))
        problem.gate.set_logits(logits.reshape(shape[0], -1).T)

    def metric(self, problem):
        return [problem.experts.curvature_of_each(), problem.gate.curvature_of_each()]

    @staticmethod
    def _total(problem):
        """Penalised log-likelihood, or what the M-step raises for given responsibilities."""
        return problem.sums.value + problem.log_prior()

    def sums(self, problem, resp=None, with_gate=True):
        experts = problem.experts
        with_grams = problem.experts.wants_curvature
        log_odds = experts.coef[:, :, 1] - experts.coef[:, :, 0]
        sums = run_compiled(
            problem,
            log_odds,
            np.ones(len(log_odds)),
            resp,
            with_gate,
            logistic=True,
            with_grams=with_grams,
        )
        sums.has_grams = with_grams
        self.sums_of_rows(problem)
        return self._of_classes(sums)

    def sums_of_rows(self, problem):
        # Gram matrix of all rows, and a part of the log-likelihood that nothing changes.
        if self._of_rows is None:
            experts = problem.experts
            constant = self._constant(problem)
            flat = problem.rows.reduce(sum_rows, (experts.mean, experts.scale, constant))
            p = len(experts.mean) + 1
            self._of_rows = flat[:-1].reshape(p, p), float(flat[-1])
        return self._of_rows

    @staticmethod
    def _constant(problem):
        """A function of the target that log-densities have besides, or None."""

    def _of_classes(self, sums):
        """Sums of one function of each expert as those of two classes."""
        sums.mass, sums.squares = np.split(sums.squares[:, 0], [len(sums.gram)])
        if sums.gram.ndim == 3:  # of one pair of classes
            sums.gram = sums.gram[:, None]
            sums.cross = np.concatenate([-sums.cross, sums.cross], axis=2)
        sums.rows_gram, constant = self._of_rows
        sums.value += constant
        return sums


# Many iterations at once --------------------------------------------------------------------------


def begin_run(problem, rows_gram, settings, is_given):
    """A LinearRun at the parameters of a problem, but for scales; None for rows elsewhere."""
    experts = problem.experts
    gate = problem.gate
    rows = problem.rows
    if type(rows) is not ArrayRows or not problem.is_compiled or gate.alpha_of_runs is None:
        return None
    # Where experts change rows, what goes farther along the last steps ends in worse optima.
    if problem.accelerates and problem.top_k is None:
        acceleration = problem.acceleration
    else:
        acceleration = None
    run = LinearRun(
        experts.n_experts,
        rows.y,
        rows.weight,
        experts.mean,
        experts.scale,
        experts.alpha,
        rows_gram,
        acceleration,
        alpha=gate.alpha_of_runs,
        longest_drift=gate.longest_drift,
        offset=rows.offset,
        rounding=max(ROUNDING, np.finfo(rows.X.dtype).eps),
        n_kept=problem.top_k or experts.n_experts,
        **settings,
    )
    gate.begin_run(run)
    if not is_given:
        sums = problem.sums
        run.value = np.nan  # a pass comes first
        if sums.flat is not None:
            np.asarray(run.sums)[: len(sums.flat)] = sums.flat
            run.has_pairs = sums.pairs is not None
            run.has_grams = sums.has_grams
            run.value = sums.value + problem.log_prior()
    return run


def end_run(problem, run):
    """Give a problem the gate of a run; its Sums."""
    problem.gate = shallow_copy(problem.gate)
    problem.given = None
    problem.gate.end_run(run)
    return replace(sums_of(run, run.sums, run.has_pairs), has_grams=run.has_grams)


def sums_of(run, flat, has_pairs):
    """Flat sums of a run as Sums."""
    shape = *run.logits.shape[::-1], has_pairs, run.n_classes, run.kind
    return Sums.from_kernel(np.asarray(flat)[: sizes(*shape)[0]], *shape)


def sums_of_pass(problem, kernel, coef, errors, resp, with_gate, **settings):
    """What a kernel of passes returns; other arguments are those of ``PassParameters``."""
    experts = problem.experts
    gate = problem.gate
    with_curvature = with_gate and gate.wants_curvature
    parameters = PassParameters(
        experts.mean,
        experts.scale,
        gate.sum_logits(),
        coef,
        errors,
        resp=resp,
        with_curvature=with_curvature,
        top_k=problem.top_k,
        **settings,
    )
    return problem.rows.reduce(kernel, parameters), with_curvature


def run_compiled(problem, coef, *given, **settings):
    """Sums of a compiled pass."""
    flat, with_curvature = sums_of_pass(problem, run_pass, coef, *given, **settings)
    return Sums.from_kernel(flat, *coef.shape, with_curvature)


def _scaled_by(blocks, directions):
    """Products (n_parameters, n_directions) of blocks on a diagonal and directions."""
    products = []
    start = 0
    for block in blocks:
        n_blocks, size, _ = block.shape
        part = directions[start : start + n_blocks * size].reshape(n_blocks, size, -1)
        products.append((block @ part).reshape(n_blocks * size, -1))
        start += n_blocks * size
    return np.concatenate(products)
