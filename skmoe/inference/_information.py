"""Log-likelihood of mixtures of (generalised) linear experts, with its two first derivatives.

With the log-joint ``log pi_k(x) f_k(y | x)`` of expert k, its score ``s_k`` and the
responsibilities ``r_k`` of a row, the row's score is ``sum_k r_k s_k`` and its observed information
that of the complete data minus the information lost because the expert is unknown [1]_:

    - sum_k r_k hessian_k - (sum_k r_k s_k s_k^T - s s^T)

References
----------
.. [1] T. A. Louis, "Finding the observed information matrix when using the EM algorithm", Journal
   of the Royal Statistical Society B 44 (1982) 226-233.
"""

import numpy as np
from scipy import linalg
from sklearn.utils import gen_batches

from .._routing import posterior
from ._error_terms import SoftmaxTerms

BLOCK_ROWS = 8192
NEWTON_STEPS = 50
LONGEST_STEP = 30.0  # of a coefficient of standardised columns, or the logarithm of a scale
SINGULAR = 1e-8  # smallest eigenvalue of the information, its diagonal scaled to ones
SMALLEST_GAIN = 1e-8  # of the log-likelihood: 1e-4 standard errors from the maximum


class MixtureLikelihood:
    """Log-likelihood of a mixture as a function of all its parameters.

    They are one vector: those of each expert, shared ones once, then those of the gate, log-odds
    against the first expert.

    Parameters
    ----------
    terms : type
        Derived from ExpertTerms: kind of all experts.
    design : ndarray of shape (n_samples, n_columns)
        Design of the experts; the last column is the intercept's.
    target : ndarray of shape (n_samples, n_outputs)
        As the terms take it.
    gate_design : ndarray of shape (n_samples, n_gate_columns)
        Design of the gate; a single column of ones for proportions.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_experts : int
        Number of experts.
    subjects : Subjects, default=None
        Which rows share one expert; the gate's design then has a row for each subject.
    owners : sequence, default=None
        For each parameter of the experts, one expert after the other, who owns it: parameters
        of the same owner are one. None is that each is its own.

    Attributes
    ----------
    size : int
        Number of free parameters.
    n_units : int
        Number of rows, or of subjects.
    free : ndarray of shape (size,)
        Their places among each expert's parameters and the gate's.
    spread : ndarray of shape (n_parameters, size)
        Makes each expert's parameters and the gate's of the free ones.
    """

    def __init__(
        self, terms, design, target, gate_design, weight, n_experts, subjects=None, owners=None
    ):
        self.terms = terms
        self.design = design
        self.target = target
        self.gate_design = gate_design
        self.weight = weight
        self.n_experts = n_experts
        self.subjects = subjects
        if subjects is None:
            self.n_units = len(weight)
        else:
            self.n_units = np.count_nonzero(subjects.counts)
        self.n_expert_parameters = n_experts * terms.size(design, target)
        places = np.arange(self.n_expert_parameters)
        first = {}
        if owners is not None:
            places = [first.setdefault(owner, place) for place, owner in enumerate(owners)]
        n_gate = (n_experts - 1) * gate_design.shape[1]
        places = np.append(places, self.n_expert_parameters + np.arange(n_gate))
        self.free, number = np.unique(places, return_inverse=True)
        self.size = len(self.free)
        self.spread = np.eye(self.size)[number]

    def split(self, theta):
        """Parameters of each expert, (n_experts, size), and those of the gate."""
        of_experts, of_gate = np.split(self.spread @ theta, [self.n_expert_parameters])
        return of_experts.reshape(self.n_experts, -1), of_gate

    def value(self, theta):
        """The log-likelihood."""
        with np.errstate(over="ignore", invalid="ignore"):  # too long a step is tried, not taken
            return sum(block.log_likelihood() for block in self._blocks(theta))

    def derivatives(self, theta):
        """Log-likelihood, gradient (size,) and observed information (size, size)."""
        n_parameters = len(self.spread)
        value = 0.0
        gradient = np.zeros(n_parameters)
        information = np.zeros((n_parameters, n_parameters))
        for block in self._blocks(theta):
            value += block.log_likelihood()
            scores = block.scores()
            gradient += block.unit_weight @ scores
            information += scores.T @ (scores * block.unit_weight[:, None])
            information -= block.curvature()
        return value, self.spread.T @ gradient, self.spread.T @ information @ self.spread

    def outer_scores(self, theta, n_parameters):
        """Sum of ``weight**2 * score score^T`` over rows, or of subjects, (size, size).

        Fitted to as many parameters, scores are too small; the sum is times the factor of [2]_.
        """
        outer = np.zeros((self.size, self.size))
        for block in self._blocks(theta):
            weighted = block.scores() @ self.spread * block.unit_weight[:, None]
            outer += weighted.T @ weighted
        n_rows = len(self.weight)
        n_units = self.n_units
        factor = n_units / max(n_units - 1, 1) * (n_rows - 1) / max(n_rows - n_parameters, 1)
        return factor * outer

    def undecided(self, theta):
        """Weighted sums of p (1 - p) of the gate (n_experts,), and of the experts.

        Those of the experts are (n_experts, n_classes), without classes (n_experts, 0).
        """
        of_gate = 0.0
        of_experts = 0.0
        for block in self._blocks(theta):
            of_gate = of_gate + block.gate.undecided(block.unit_weight)
            masses = zip(block.experts, block.row_mass.T, strict=True)
            of_experts = of_experts + np.array([expert.undecided(mass) for expert, mass in masses])
        return of_gate, of_experts

    def _blocks(self, theta):
        of_experts, of_gate = self.split(theta)
        if self.subjects is not None:
            if self.terms.joins_rows:
                more = [self.subjects]
            else:
                more = []
            experts = [self.terms(part, self.design, self.target, *more) for part in of_experts]
            yield _Block(experts, of_gate, self.gate_design, self.weight, self.subjects)
            return
        for rows in gen_batches(len(self.weight), BLOCK_ROWS):
            design = self.design[rows]
            target = self.target[rows]
            experts = [self.terms(part, design, target) for part in of_experts]
            yield _Block(experts, of_gate, self.gate_design[rows], self.weight[rows])


class _Block:
    """Some rows under given parameters; units are rows, or subjects.

    Attributes
    ----------
    unit_weight : ndarray of shape (n_units,)
        How often each unit counts.
    resp : ndarray of shape (n_units, n_experts)
        Responsibilities.
    row_mass : ndarray of shape (n_rows, n_experts)
        The same for each row, times its weight.
    """

    def __init__(self, experts, gate_theta, gate_design, weight, subjects=None):
        self.experts = experts
        self.subjects = subjects
        if subjects is None:
            self.unit_weight = weight
        else:
            self.unit_weight = subjects.counts
        no_labels = np.zeros((len(gate_design), len(experts)))  # they are responsibilities
        self.gate = SoftmaxTerms(gate_theta, gate_design, no_labels)
        log_density = np.column_stack([self._of_units(e, e.log_density()) for e in experts])
        self.resp, self.log_norm = posterior(self.gate.log_proba, log_density)
        if subjects is None:
            of_rows = self.resp
        else:
            of_rows = subjects.of_rows(self.resp)
        self.row_mass = of_rows * weight[:, None]

    def _of_units(self, expert, values):
        is_of_units = self.subjects is None or expert.joins_rows
        if is_of_units:
            return values
        return self.subjects.weighted_sum(values)

    def log_likelihood(self):
        return self.unit_weight @ self.log_norm

    def scores(self):
        """Score of each unit, (n_units, size)."""
        experts = zip(self.experts, self.resp.T, strict=True)
        of_experts = [self._of_units(each, each.score()) * r[:, None] for each, r in experts]
        return np.hstack([*of_experts, self.gate.score(self.resp)])

    def curvature(self):
        """Sum over units and experts of ``r_k (hessian_k + s_k s_k^T)``, weighted."""
        mass = self.resp * self.unit_weight[:, None]
        n_experts = len(self.experts)
        expert_blocks = []
        with_gate = []
        of_gate = self.gate.hessian(self.unit_weight)
        for k, expert in enumerate(self.experts):
            score = self._of_units(expert, expert.score())
            weights = mass[:, [k]]
            gate_score = self.gate.score(np.eye(n_experts)[k])
            expert_blocks.append(expert.hessian(self.row_mass[:, k]) + score.T @ (score * weights))
            with_gate.append(score.T @ (gate_score * weights))
            of_gate = of_gate + gate_score.T @ (gate_score * weights)
        curvature = linalg.block_diag(*expert_blocks, of_gate)
        beside = np.vstack(with_gate)
        end = len(beside)
        curvature[:end, end:] = beside
        curvature[end:, :end] = beside.T
        return curvature


def maximise(likelihood, theta):
    """Raise the log-likelihood by Newton steps to the maximum next to ``theta``.

    Along directions in which the curvature has the wrong sign, steps go uphill, too.

    Returns the parameters there, the log-likelihood, the observed information, and whether a
    further step would gain nothing.
    """
    value, gradient, information = likelihood.derivatives(theta)
    for _ in range(NEWTON_STEPS):
        step, gain = _ascent(gradient, information)
        if gain < SMALLEST_GAIN:
            return theta, value, information, True
        size = min(1.0, LONGEST_STEP / np.abs(step).max())
        while not likelihood.value(theta + size * step) > value:
            size /= 2
            if size < 1e-6:  # no ascent to working precision
                return theta, value, information, gain < 1e-4
        there = theta + size * step
        found = likelihood.derivatives(there)
        if not all(np.isfinite(each).all() for each in found):  # a scale without bound
            break
        theta = there
        (value, gradient, information) = found
    return theta, value, information, False


def inverse(information):
    """Covariance of the estimates, whatever the units of the parameters are.

    For a singular information the pseudo-inverse: exact for what its flat directions do not affect.

    Returns it, ``flat`` (size, n_flat), orthonormal directions with almost no information, and the
    units (size,) of these, in which the information has a diagonal of ones.
    """
    unit = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    units = np.outer(unit, unit)
    values, vectors = linalg.eigh(information * units)
    known = values >= SINGULAR
    if known.all():
        return linalg.inv(information * units) * units, vectors[:, :0], unit
    covariance = (vectors[:, known] / values[known]) @ vectors[:, known].T
    return covariance * units, vectors[:, ~known], unit


def _ascent(gradient, information):
    """A Newton step, its curvatures made positive, and the gain that it promises."""
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    values, vectors = linalg.eigh(information * np.outer(unit, unit))
    slope = vectors.T @ (unit * gradient)
    curvature = np.maximum(np.abs(values), 1e-10)
    return unit * (vectors @ (slope / curvature)), 0.5 * np.sum(slope**2 / curvature)
