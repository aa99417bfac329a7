"""A gate trained around experts whose densities are fixed."""

from .._experts.base import Experts
from ..likelihoods import BaseLikelihood
from .general import GeneralProblem


class FixedExperts(Experts):
    """Experts of which nothing is trained; their predictions are their log-densities.

    Parameters
    ----------
    log_density : ndarray of shape (n_samples, n_experts)
        Log-density of each row under each expert.
    """

    def __init__(self, log_density):
        self.predictions = log_density

    def fit(self, resp, working=None, exposure=None, target=None):
        pass

    def state(self):
        pass

    def restore(self, state):
        pass


class FixedDensities(BaseLikelihood):
    """The likelihood of ``FixedExperts``."""

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        pass

    def log_density(self, y, prediction, experts=None):
        return prediction

    def components(self, prediction, experts=None):
        raise TypeError("Fixed densities have no distribution.")


def gate_problem(log_density, gate, data, *, gate_folds):
    """The problem of a gate around experts of fixed densities: GeneralProblem.

    The gate is unfitted, or to go on from, and trained without each of ``gate_folds``, if there are
    any.
    """
    return GeneralProblem(
        FixedExperts(log_density),
        gate,
        FixedDensities(),
        data,
        gate_folds=gate_folds,
        load_prior=gate.prior_counts(log_density.shape[1], data.weight.sum()),
    )
