"""Densities of experts that are each fitted on all rows, and the gate around them, out of fold."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .._em.general import GeneralProblem
from .._em.loop import run_em
from .._em.problem import CROSS_FITTED_ITERATIONS, CROSS_FITTED_PATIENCE
from .._experts.base import Experts
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from ..gates import ConstantGate
from ..likelihoods import BaseLikelihood
from .gate import GATE_PENALTIES


@dataclass
class Candidate:
    """A mixture with its experts, gate strength and out-of-fold densities."""

    names: list  # names of the experts
    # (n_samples, n_experts) or (n_samples, n_experts, n_classes): out-of-fold predictions.
    means: np.ndarray
    columns: object  # (n_samples, n_columns): what the weights of the gate are to be fitted on
    penalty: float | None  # L2 penalty of these; None where there are none
    # ``resp``, ``log_density``: (n_samples, n_experts) and (n_samples,): out of fold.
    resp: np.ndarray
    log_density: np.ndarray
    gate: object = None  # BaseGate: fitted where it was asked for; None for proportions
    fit: object = None  # what fits its weights to columns and labels; None where it is fitted
    # (n_samples,), of numbers: distribution function at y, out of fold, if no expert has its own.
    cdf: np.ndarray | None = None
    shares: np.ndarray | None = None  # (n_samples, n_experts): from which all is learned

    def fitted_gate(self, Z, labels, weight):
        """The gate, by an M-step from the optimum: with the same weights, and of its own kind."""
        if self.gate is None:
            return ConstantGate().fit(Z, labels, sample_weight=weight)
        if self.fit is not None:
            self.gate.set_params(alpha=self.penalty)
            self.fit(self.columns, labels, weight)
        return self.gate


class Densities(ABC):
    """What turns out-of-fold predictions into densities, and learns a gate around these.

    Predictions are in the units of this object, but where it says otherwise.

    Parameters
    ----------
    parts : Parts
        Parts of the mixture.
    data : TrainingData
        The rows.
    folds : list of (train, test)
        In which all is learned.
    gate : GateParts or None
        A gate that was asked for.
    tol : float
        As of ``run_em``, for that gate.
    """

    log_unit = 0.0  # logarithm of the unit of the target
    floor = None  # smallest standard deviation of densities that experts have of their own

    def __init__(self, parts, data, folds, gate, tol):
        self.parts = parts
        self.data = data
        self.folds = folds
        self.gate = gate
        self.tol = tol

    def standardise(self, predictions):
        """From the units of y."""
        return predictions

    def restore(self, predictions):
        """Back to the units of y."""
        return predictions

    def begin(self, predictions):
        """Look at the best predictions that there are, (n, ...), before anything is judged."""
        return

    def take_own(self, log_densities, means):
        """Look at the out-of-fold log-densities that experts have of their own, a dict by number.

        ``means`` (n, n_experts, ...) are the predictions of all, the stack's last.
        """
        return

    @abstractmethod
    def stack(self, predictions, fitted):
        """Out-of-fold predictions (n, ...) of a stack, and the stack itself, fitted.

        ``fitted`` are the experts, fitted on all rows, whose predictions are given.
        """

    @abstractmethod
    def _judge(self, means, Z, penalties, shares):
        """Strength of the gate, and out-of-fold results; see ``choose_penalty``.

        Beside responsibilities and log-densities it may be what ``Candidate`` has last.

        ``Z`` are standardised columns, ``shares`` of the rows what to start from, or None.
        """

    @abstractmethod
    def _out_of_fold(self, means, shares=None):
        """Log-densities (n, n_experts) of the experts, out of fold."""

    @abstractmethod
    def _refit(self, means, Z, penalty, shares):
        """See ``refit``; parameters as of ``_judge``."""

    def alone(self, names, means):
        """The mixture of these experts in constant proportions."""
        return self._behind(names, means, np.empty((len(means), 0)), (None,), None)

    def gated(self, names, means, default, penalties=GATE_PENALTIES, shares=None):
        """The mixture with the gate that was asked for, or the default one of the best strength.

        ``default()`` -> the unfitted gate, the columns of its weights, and what fits these.
        ``shares`` (n, n_experts) of the rows are what experts were fitted with, None all alike.
        """
        if self.gate is None:
            gate, columns, fit = default()
            return self._behind(names, means, columns, penalties, shares, gate, fit)
        with few_threads(means.size):
            density = self._out_of_fold(means, shares)
        if shares is None:
            start = np.full(density.shape, 1 / len(names))
        else:
            start = shares
        density = np.ascontiguousarray(density)
        # Its responsibilities and log-densities are under gates that did not see the row.
        given = FixedExperts(density), self.gate.trained, FixedDensities(), self.data
        prior = self.gate.trained.prior_counts(density.shape[1], self.data.weight.sum())
        problem = GeneralProblem(*given, gate_folds=self.folds, load_prior=prior)
        run_em(
            problem.start(start),
            tol=self.tol,
            max_iter=CROSS_FITTED_ITERATIONS,
            patience=CROSS_FITTED_PATIENCE,
        )
        gate = problem.finished_gate(self.gate.given)
        log_density = problem.log_norm - self.log_unit
        given = names, means, np.empty((len(means), 0)), None
        return Candidate(*given, problem.resp, log_density, gate, shares=shares)

    def _behind(self, names, means, columns, penalties, shares, gate=None, fit=None):
        with few_threads(means.size):
            judged = self._judge(means, self._standardised(columns), penalties, shares)
        penalty, resp, log_density, *more = judged
        gate, fit = (None, None) if penalty is None else (gate, fit)
        log_density = log_density - self.log_unit
        found = Candidate(names, means, columns, penalty, resp, log_density, gate, fit, *more)
        return replace(found, shares=shares)

    def refit(self, chosen):
        """What is learned from all rows for the mixture that was chosen.

        Returns the fitted likelihood, responsibilities (n, n_experts) and log-densities (n,), the
        penalised log-likelihood per unit of weight, and whether the optimiser met its tolerance.
        """
        with few_threads(chosen.means.size):
            columns = self._standardised(chosen.columns)
            return self._refit(chosen.means, columns, chosen.penalty, chosen.shares)

    def _standardised(self, columns):
        columns = np.asarray(columns, dtype=np.float64)
        mean, scale = standardisation(columns, self.data.weight)
        return (columns - mean) / scale


# A gate around experts whose densities are fixed --------------------------------------------------


class FixedExperts(Experts):
    """Experts of which nothing is trained; predictions are log-densities (n_samples, n_experts)."""

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
