"""The parameters of a mixture that training reads."""

from dataclasses import dataclass, fields

import numpy as np

CROSS_FITTED_ITERATIONS = 10  # at most; experts are what costs
CROSS_FITTED_PATIENCE = 2
INNER_STEPS = 10  # E-steps for one refit of cross-fitted experts, or around frozen ones
# Multiplications of the starts, at most, where others than their number count: half a second on the
# first rows of a stream, for the iterations too, and two of X that is wide.
STREAM_WORK, WIDE_WORK = 4e8, 2e9
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
    # Whether it is one of several fits to folds, that a fit to all rows has done the search for.
    in_fold: bool = False
    finds_regimes: bool = True  # where the evidence does
    to_beat: float = -np.inf  # mean log-density of the best other expert of the same stack
    most_work: float = np.inf  # multiplications of the starts, and of the iterations, about

    @classmethod
    def of(cls, estimator):
        """The settings of an estimator."""
        params = estimator.get_params(deep=False)
        given = {field.name: params[field.name] for field in fields(cls) if field.name in params}
        return cls(**given, **estimator._in_stack)

    def most_iterations(self, folds, n_experts, likelihood, is_censored=False):
        """EM iterations at most."""
        if folds in (None, "prefit"):
            return self.max_iter
        # A single cross-fitted expert has nothing to iterate for but working weights and targets.
        once = n_experts == 1 and not likelihood.is_reweighted and not is_censored
        return min(self.max_iter, 1 if once else CROSS_FITTED_ITERATIONS)

    def patience(self, folds, gate):
        """Iterations without a gain, after which EM stops: 1 where the objective must rise."""
        rises = folds in (None, "prefit") and not gate.is_costly
        return 1 if rises else CROSS_FITTED_PATIENCE

    def not_converged(self, run, folds):
        """Message of a ConvergenceWarning after a run, or None."""
        ended = run.converged or run.fell or run.interrupted
        ended |= len(run.objectives) < self.max_iter  # for want of work, as a stream begins
        if ended or folds not in (None, "prefit"):
            return None
        return (
            f"EM stopped after max_iter={self.max_iter} iterations before it met tol={self.tol}. "
            "Raise max_iter or tol."
        )

    def active_top_k(self, n_experts):
        """Experts that a row keeps, or None where that is all of them."""
        return None if self.top_k is None or self.top_k >= n_experts else self.top_k

    def least_responsibility(self, folds, n_experts):
        """Responsibility below which a row is not given to an expert."""
        return 0.0 if folds is None else min(0.1, 0.5 / n_experts)
