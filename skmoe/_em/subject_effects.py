"""The general problem where each subject has an intercept of its own within its expert."""

from .._numerics.statistics import LeastSquaresStatistics
from .general import GeneralProblem


class SubjectEffectProblem(GeneralProblem):
    r"""Lines around which subjects have random intercepts; see ``Problem`` for the parameters.

    Given the ratio :math:`\lambda` of the variances between and within subjects, generalised least
    squares is least squares from other sums: those over all rows, less those over subjects of the
    products of their own sums, times :math:`\lambda / (1 + n \lambda)` for a subject of n rows.
    """

    def step(self):
        """One EM iteration: generalised least squares, then scales, gate and E-step."""
        before, point = self.objective, self._point()
        self.experts.precision = self.likelihood.precision_
        self.experts.solve(self._sums())
        self.update_around_experts()
        return self._accelerated(before, point)

    def _sums(self):
        experts, subjects = self.experts, self.subjects
        design, targets = experts.design, experts.targets
        sums = LeastSquaresStatistics.from_rows(design, targets, self.resp * self.weight[:, None])
        ratio, sizes = self.likelihood.ratio_, subjects.sizes[:, None]
        shrunk = subjects.of_first_rows(self.resp) * ratio / (1 + sizes * ratio)
        of_design, of_targets = subjects.weighted_sum(design), subjects.weighted_sum(targets)
        between = LeastSquaresStatistics.from_rows(of_design, of_targets, shrunk)
        return sums + (-1.0) * between
