"""How experts whose sums are made by blocks take part in a one-pass EM iteration.

They have several outputs, three classes and more, a log link, or sparse rows.
"""

from abc import abstractmethod

import numpy as np
from scipy import sparse

from .._experts.generalized_linear import GeneralizedLinearExperts
from .._experts.logistic import LogisticExperts
from .._numerics.gamma_shapes import LARGEST_SHAPE
from .._numerics.multinomial import NEWTON_LIMIT
from .sums import ClassErrors, FamilyErrors, GaussianErrors, block_pass
from .sweeps import LeastSquaresSweep, LogisticSweep, Sweep, sums_of_pass

SPARSE_NEWTON_LIMIT = 1300  # weights; of sparse rows Gram matrices take no time, factors little
CURVATURE_LIMIT = 2**21  # numbers in the curvatures of all experts: each start keeps its own


class OutputsSweep(LeastSquaresSweep):
    """Least squares of several outputs that err independently of each other, or of sparse rows."""

    @classmethod
    def covers(cls, experts, likelihood):
        if not cls._is_constant_gaussian(experts, likelihood):
            return False
        errs_alone = experts.flat or likelihood.independent_outputs
        return errs_alone and (np.ptp(experts.y, axis=0) > 0).all()

    begin_run = Sweep.begin_run

    def sums(self, problem, resp=None, with_gate=True):
        experts = problem.experts
        shape = (problem.experts.n_experts, -1)
        # With responsibilities there may be no scale, and it is not used.
        any_scale = np.tile(experts.y_scale, (experts.n_experts, 1))
        if resp is not None:
            scale = any_scale
        else:
            scale = problem.likelihood.scale_.reshape(shape)
        errors = GaussianErrors(scale, experts.y_mean, experts.y_scale)
        sums, _ = sums_of_pass(problem, block_pass, experts.standard_coef, errors, resp, with_gate)
        sums.gram = sums.gram[:, 0]
        sums.rows_gram = sums.gram.sum(axis=0)
        return sums


class NewtonSweep(LogisticSweep):
    """Experts that make Newton steps from sums of a pass by blocks."""

    @staticmethod
    @abstractmethod
    def _errors(problem):
        """How the target lies around the linear functions, as ``PassParameters`` takes it."""

    def _constant(self, problem):
        return self._errors(problem).constant

    def sums(self, problem, resp=None, with_gate=True):
        experts = problem.experts
        (gram, constant) = self.sums_of_rows(problem)
        functions = experts.functions.reshape(experts.n_experts, -1, len(experts.mean) + 1)
        sums, _ = sums_of_pass(
            problem,
            block_pass,
            functions.swapaxes(1, 2),
            self._errors(problem),
            resp,
            with_gate,
            with_grams=experts.wants_curvature,
        )
        sums.rows_gram = gram
        sums.value = sums.value + constant
        return sums


class MultinomialSweep(NewtonSweep):
    """Logistic experts of three classes and more, or of sparse rows."""

    @classmethod
    def covers(cls, experts, likelihood):
        if type(experts) is not LogisticExperts or not cls._is_uncalibrated(likelihood):
            return False
        size = experts.coef[0].size
        if sparse.issparse(experts.rows.X):
            most = SPARSE_NEWTON_LIMIT
        else:
            most = NEWTON_LIMIT
        return size <= most and experts.n_experts * size**2 <= CURVATURE_LIMIT

    @staticmethod
    def _errors(problem):
        return ClassErrors()


class GeneralizedLinearSweep(NewtonSweep):
    """Generalised linear models, each with a scale where its family has one.

    Scales are those of the last pass' experts, whose own step is the same for any scale. Each of
    the two raises the bound.
    """

    @classmethod
    def covers(cls, experts, likelihood):
        if type(experts) is not GeneralizedLinearExperts or not likelihood.has_sums:
            return False
        is_prior = experts.prior or not experts.alpha.any()  # else the objective may fall
        return type(experts.family) is type(likelihood.family) and is_prior

    def has_runs(self, experts):
        return experts.family.kernel is not None and experts.rows.X.dtype == np.float64

    def begin_run(self, problem, *, is_given):
        run = super().begin_run(problem, is_given=is_given)
        scales = problem.likelihood.scales_
        if run is not None and scales is not None:
            run.errors = scales**-0.5
        return run

    @staticmethod
    def _errors(problem):
        return FamilyErrors(problem.likelihood.family, problem.likelihood.scales_)

    @staticmethod
    def _end(problem, run=None):
        if run is not None and problem.experts.family.scale is not None:
            problem.likelihood.scales_ = np.asarray(run.errors) ** -2.0

    @staticmethod
    def _learn_scales(problem, sums):
        problem.likelihood.update_from_sums(sums.mass, sums.squares, problem.experts.penalty)

    def point(self, problem):
        scales = problem.likelihood.scales_
        # Logarithms of scales come first.
        return np.append([] if scales is None else np.log(scales), super().point(problem))

    def go_to(self, problem, point):
        likelihood = problem.likelihood
        if likelihood.scales_ is not None:
            log_scales, point = np.split(point, [problem.experts.n_experts])
            likelihood.scales_ = np.minimum(np.exp(log_scales), LARGEST_SHAPE)
        super().go_to(problem, point)

    def metric(self, problem):
        scales = problem.likelihood.scales_
        (of_experts, of_gate) = super().metric(problem)
        if scales is None:
            return [of_experts, of_gate]
        of_scales = -problem.sums.mass * scales**2 * problem.experts.family.normaliser_bend(scales)
        return [of_scales[:, None, None], scales[:, None, None] * of_experts, of_gate]
