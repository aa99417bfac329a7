"""The parameters of a mixture that training reads."""

from dataclasses import dataclass, fields

import numpy as np

from .._tables.vectors import check_numbers
from ..exceptions import warn_user

CROSS_FITTED_ITERATIONS = 10  # at most; experts are what costs
CROSS_FITTED_PATIENCE = 2
INNER_STEPS = 10  # E-steps for one refit of cross-fitted experts, or around frozen ones


@dataclass(frozen=True)
class Settings:
    """Parameters of the estimators, with their names; MixtureOfExpertsRegressor describes them."""

    cv: object
    ensemble: bool
    min_responsibility: object
    top_k: int | None
    router_noise: float
    load_balance: float
    target_load: object
    init: object
    n_init: int
    max_iter: int
    tol: float
    max_expert_rows: int
    n_jobs: int | None
    verbose: int
    verbose_interval: int

    @classmethod
    def of(cls, estimator):
        """The settings of an estimator."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})

    def warn_of_no_effect(self):
        """Say so where a parameter has no effect beside the others."""
        if self.load_balance == 0 and self.target_load is not None:
            warn_user(
                "target_load has no effect while load_balance is 0: raise it to 0.01.", UserWarning
            )
        if self.router_noise > 0 and self.top_k is None:
            warn_user(
                "router_noise has no effect without top_k: it blurs who is in it.", UserWarning
            )

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
        """What a ConvergenceWarning has to say of a run, or None."""
        ended = run.converged or run.fell or run.interrupted
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
        if self.min_responsibility != "auto":
            return self.min_responsibility
        return 0.0 if folds is None else min(0.1, 0.5 / n_experts)

    def load_prior(self, n_experts, weight):
        """Prior counts (n_experts,) of the loads, or None where these are left to the data.

        Raises
        ------
        ValueError
            If ``target_load`` is not a positive number for each expert.
        """
        target = np.full(n_experts, 1.0) if self.target_load is None else self.target_load
        target = np.asarray(check_numbers("target_load", target), dtype=np.float64)
        if target.shape != (n_experts,) or not (np.isfinite(target) & (target > 0)).all():
            raise ValueError(
                f"target_load must be {n_experts} positive numbers, one for each expert; got "
                f"{self.target_load!r}."
            )
        if self.load_balance == 0 or n_experts == 1:
            return None
        return self.load_balance * weight.sum() * target / target.sum()
