"""Log-likelihood of mixtures of (generalised) linear experts, with its two first derivatives.

With the log-joint ``log pi_k(x) f_k(y | x)`` of expert k, its score ``s_k`` and the
responsibilities ``r_k`` of a row, the row's score is ``sum_k r_k s_k`` and its observed information
that of the complete data less what the unknown expert takes away [1]_:

    - sum_k r_k hessian_k - (sum_k r_k s_k s_k^T - s s^T)

References
----------
.. [1] T. A. Louis, "Finding the observed information matrix when using the EM algorithm", Journal
   of the Royal Statistical Society B 44 (1982) 226-233.
"""

from abc import abstractmethod

import numpy as np
from scipy import linalg, special
from sklearn.utils import gen_batches

from .._numerics.multinomial import log_softmax
from .._numerics.statistics import weighted_grams

BLOCK_ROWS = 8192
NEWTON_STEPS = 50
LARGEST_LOG_MEAN = 300.0
LONGEST_STEP = 30.0  # of a coefficient of standardised columns, or the logarithm of a scale
SINGULAR = 1e-8  # smallest eigenvalue of the information, its diagonal scaled to ones
SMALLEST_GAIN = 1e-8  # of the log-likelihood: 1e-4 standard errors from the maximum


class GaussianTerms:
    """Linear regressions of one expert with Gaussian errors, independent over the outputs.

    Parameters
    ----------
    theta : ndarray of shape (n_outputs * (n_columns + 1),)
        For each output the coefficients, then the logarithm of the standard deviation.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    targets : ndarray of shape (n_samples, n_outputs)
        Targets.
    """

    def __init__(self, theta, design, targets):
        theta = theta.reshape(targets.shape[1], -1)
        self.design, self.log_scale = design, theta[:, -1]
        self.precision = np.exp(-2 * self.log_scale)
        self.residuals = targets - design @ theta[:, :-1].T

    @staticmethod
    def size(design, targets):
        """Number of parameters."""
        return targets.shape[1] * (design.shape[1] + 1)

    def log_density(self):
        """Of each row, (n_samples,)."""
        squares = self.residuals**2 * self.precision
        return (-0.5 * (squares + np.log(2 * np.pi)) - self.log_scale).sum(axis=1)

    def score(self):
        """Gradient of each row's log-density, (n_samples, size)."""
        slope = (self.residuals * self.precision)[:, :, None] * self.design[:, None, :]
        of_scale = self.residuals**2 * self.precision - 1
        return np.concatenate([slope, of_scale[:, :, None]], axis=2).reshape(len(slope), -1)

    def hessian(self, weights):
        """Weighted sum over the rows, (size, size)."""
        blocks = []
        for residuals, precision in zip(self.residuals.T, self.precision, strict=True):
            by_scale = -2 * precision * (self.design.T @ (weights * residuals))
            gram = self.design.T @ (self.design * weights[:, None])
            corner = -2 * precision * (weights @ residuals**2)
            blocks.append(
                np.block([[-precision * gram, by_scale[:, None]], [by_scale[None], corner]])
            )
        return linalg.block_diag(*blocks)


class LogLinearTerms:
    """A generalised linear model of one expert with a log link.

    Parameters
    ----------
    theta : ndarray of shape (n_columns,) or (n_columns + 1,)
        Coefficients, then the logarithm of the shape, if there is one.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    target : ndarray of shape (n_samples, 2)
        Target, and logarithm of the exposure.
    """

    has_shape = True

    def __init__(self, theta, design, target):
        n_columns = design.shape[1]
        self.design, self.target = design, target[:, 0]
        log_mean = design @ theta[:n_columns] + target[:, 1]
        self.mean = np.exp(np.clip(log_mean, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN))
        self.shape = np.exp(theta[n_columns]) if self.has_shape else None

    @classmethod
    def size(cls, design, target):
        """Number of parameters."""
        return design.shape[1] + cls.has_shape

    @abstractmethod
    def log_density(self):
        """Of each row, (n_samples,)."""

    @abstractmethod
    def _first(self):
        """Derivatives (n_samples,) by the logarithms of mean and shape."""

    @abstractmethod
    def _second(self):
        """By that of the mean twice, by both, and by that of the shape twice."""

    def score(self):
        """Gradient of each row's log-density, (n_samples, size)."""
        by_mean, by_shape = self._first()
        slope = self.design * by_mean[:, None]
        return np.column_stack([slope, by_shape]) if self.has_shape else slope

    def hessian(self, weights):
        """Weighted sum over the rows, (size, size)."""
        by_mean, mixed, by_shape = self._second()
        hessian = self.design.T @ (self.design * (weights * by_mean)[:, None])
        if not self.has_shape:
            return hessian
        beside = self.design.T @ (weights * mixed)
        return np.block([[hessian, beside[:, None]], [beside[None], weights @ by_shape]])


class PoissonTerms(LogLinearTerms):
    """Counts whose variance is their mean."""

    has_shape = False

    def log_density(self):
        return special.xlogy(self.target, self.mean) - self.mean - special.gammaln(self.target + 1)

    def _first(self):
        return self.target - self.mean, None

    def _second(self):
        return -self.mean, None, None


class NegativeBinomialTerms(LogLinearTerms):
    """Counts whose variance is ``mean + mean**2 / shape``."""

    def log_density(self):
        y, shape, total = self.target, self.shape, self.mean + self.shape
        log_binomial = special.gammaln(y + shape) - special.gammaln(shape) - special.gammaln(y + 1)
        excess = -shape * np.log1p(self.mean / shape)
        return log_binomial + excess + special.xlogy(y, self.mean / total)

    def _first(self):
        y, mean, shape = self.target, self.mean, self.shape
        return (y - mean) * shape / (mean + shape), shape * self._by_shape()

    def _by_shape(self):
        y, shape, total = self.target, self.shape, self.mean + self.shape
        of_gamma = special.digamma(y + shape) - special.digamma(shape)
        return of_gamma + np.log(shape / total) + 1 - (y + shape) / total

    def _second(self):
        y, mean, shape, total = self.target, self.mean, self.shape, self.mean + self.shape
        of_gamma = special.polygamma(1, y + shape) - special.polygamma(1, shape)
        bend = of_gamma + 1 / shape - 2 / total + (y + shape) / total**2
        return (
            -mean * shape * (y + shape) / total**2,
            (y - mean) * mean * shape / total**2,
            shape * self._by_shape() + shape**2 * bend,
        )


class GammaTerms(LogLinearTerms):
    """Positive targets whose standard deviation is ``mean / sqrt(shape)``."""

    def log_density(self):
        shape, ratio = self.shape, self.target / self.mean
        constant = shape * np.log(shape) - special.gammaln(shape)
        return constant + shape * (np.log(ratio) - ratio) - np.log(self.target)

    def _first(self):
        ratio = self.target / self.mean
        return self.shape * (ratio - 1), self.shape * self._by_shape(ratio)

    def _by_shape(self, ratio):
        return np.log(self.shape) + 1 - special.digamma(self.shape) + np.log(ratio) - ratio

    def _second(self):
        ratio, shape = self.target / self.mean, self.shape
        bend = 1 / shape - special.polygamma(1, shape)
        return (
            -shape * ratio,
            shape * (ratio - 1),
            shape * self._by_shape(ratio) + shape**2 * bend,
        )


class SoftmaxTerms:
    """Multinomial logistic regression, by log-odds against the first class.

    Parameters
    ----------
    theta : ndarray of shape ((n_classes - 1) * n_columns,)
        Coefficients of one class after the other.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    labels : ndarray of shape (n_samples, n_classes)
        One-hot, or soft.
    """

    def __init__(self, theta, design, labels):
        log_odds = design @ theta.reshape(labels.shape[1] - 1, design.shape[1]).T
        self.design, self.labels = design, labels
        self.log_proba = log_softmax(np.column_stack([np.zeros(len(design)), log_odds]))
        self.proba = np.exp(self.log_proba)

    @staticmethod
    def size(design, labels):
        """Number of parameters."""
        return (labels.shape[1] - 1) * design.shape[1]

    def log_density(self):
        """Of each row, (n_samples,)."""
        return (self.labels * self.log_proba).sum(axis=1)

    def score(self, labels=None):
        """Gradient of each row's log-density, (n_samples, size); of other labels where given."""
        beyond = (self.labels if labels is None else labels) - self.proba
        return (beyond[:, 1:, None] * self.design[:, None, :]).reshape(len(beyond), -1)

    def hessian(self, weights):
        """Weighted sum over the rows, (size, size)."""
        n_odds, n_columns = self.proba.shape[1] - 1, self.design.shape[1]
        hessian = np.zeros((n_odds, n_columns, n_odds, n_columns))
        for i in range(n_odds):
            proba = self.proba[:, 1:]
            of_pair = weights[:, None] * proba[:, [i]] * proba
            of_pair[:, i] -= weights * proba[:, i]
            hessian[i] = weighted_grams(self.design, of_pair).transpose(1, 0, 2)
        return hessian.reshape(n_odds * n_columns, n_odds * n_columns)

    def undecided(self, weights):
        """Weighted sums of p (1 - p), (n_classes,): next to nothing where classes separate."""
        return weights @ (self.proba * (1 - self.proba))


class MixtureLikelihood:
    """Log-likelihood of a mixture as a function of all its parameters.

    They are one vector: those of each expert, shared ones once, then those of the gate, log-odds
    against the first expert.

    Parameters
    ----------
    terms : {GaussianTerms, SoftmaxTerms, PoissonTerms, NegativeBinomialTerms, GammaTerms}
        Kind of the experts.
    design : ndarray of shape (n_samples, n_columns)
        Of the experts; the last column is the intercept's.
    target : ndarray of shape (n_samples, n_outputs), (n_samples, n_classes) or (n_samples, 2)
        Targets, classes one-hot, or target and log-exposure.
    gate_design : ndarray of shape (n_samples, n_gate_columns)
        Of the gate; a single column of ones for proportions.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_experts : int
        Number of experts.
    subjects : Subjects, default=None
        Which rows share one expert; the gate's design then has a row for each subject.
    shared : sequence of int, default=()
        Places among an expert's parameters of those that all experts have in common.

    Attributes
    ----------
    size : int
        Number of free parameters.
    free : ndarray of shape (size,)
        Their places among each expert's parameters and the gate's.
    spread : ndarray of shape (n_parameters, size)
        Makes each expert's parameters and the gate's of the free ones.
    """

    def __init__(
        self, terms, design, target, gate_design, weight, n_experts, subjects=None, shared=()
    ):
        self.terms, self.design, self.target = terms, design, target
        self.gate_design, self.weight, self.n_experts = gate_design, weight, n_experts
        self.subjects = subjects
        self.expert_size = terms.size(design, target)
        n_gate = (n_experts - 1) * gate_design.shape[1]
        owner = np.arange(n_experts * self.expert_size + n_gate)
        for place in shared:
            owner[place : n_experts * self.expert_size : self.expert_size] = place
        self.free, number = np.unique(owner, return_inverse=True)
        self.size = len(self.free)
        self.spread = np.eye(self.size)[number]

    def split(self, theta):
        """Parameters of each expert (n_experts, expert_size), and those of the gate."""
        theta, end = self.spread @ theta, self.n_experts * self.expert_size
        return theta[:end].reshape(self.n_experts, self.expert_size), theta[end:]

    def value(self, theta):
        """The log-likelihood."""
        with np.errstate(over="ignore", invalid="ignore"):  # too long a step is tried, not taken
            return sum(block.log_likelihood() for block in self._blocks(theta))

    def derivatives(self, theta):
        """Log-likelihood, gradient (size,) and observed information (size, size)."""
        n_parameters = len(self.spread)
        value, gradient = 0.0, np.zeros(n_parameters)
        information = np.zeros((n_parameters, n_parameters))
        for block in self._blocks(theta):
            value += block.log_likelihood()
            scores = block.scores()
            gradient += block.unit_weight @ scores
            information += scores.T @ (scores * block.unit_weight[:, None])
            information -= block.curvature()
        return value, self.spread.T @ gradient, self.spread.T @ information @ self.spread

    def outer_scores(self, theta):
        """Sum of ``weight**2 * score score^T`` over rows, or of subjects, (size, size)."""
        outer = np.zeros((self.size, self.size))
        for block in self._blocks(theta):
            weighted = block.scores() @ self.spread * block.unit_weight[:, None]
            outer += weighted.T @ weighted
        return outer

    def undecided(self, theta):
        """Weighted sums of p (1 - p) of the gate (n_experts,), and of logistic experts.

        Those of the experts, (n_experts, n_classes), are None for linear ones.
        """
        of_gate, of_experts = 0.0, 0.0
        for block in self._blocks(theta):
            of_gate = of_gate + block.gate.undecided(block.unit_weight)
            if self.terms is SoftmaxTerms:
                of_experts = of_experts + np.array(
                    [
                        expert.undecided(mass)
                        for expert, mass in zip(block.experts, block.row_mass.T, strict=True)
                    ]
                )
        return of_gate, (of_experts if self.terms is SoftmaxTerms else None)

    def _blocks(self, theta):
        of_experts, of_gate = self.split(theta)
        if self.subjects is not None:
            experts = [self.terms(part, self.design, self.target) for part in of_experts]
            yield _Block(experts, of_gate, self.gate_design, self.weight, self.subjects)
            return
        for rows in gen_batches(len(self.weight), BLOCK_ROWS):
            experts = [
                self.terms(part, self.design[rows], self.target[rows]) for part in of_experts
            ]
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
        self.experts, self.subjects = experts, subjects
        self.unit_weight = weight if subjects is None else subjects.counts
        no_labels = np.zeros(
            (len(gate_design), len(experts))
        )  # the gate's are the responsibilities
        self.gate = SoftmaxTerms(gate_theta, gate_design, no_labels)
        log_density = self._of_units(np.column_stack([e.log_density() for e in experts]))
        joint = self.gate.log_proba + log_density
        highest = joint.max(axis=1, keepdims=True)
        self.log_norm = np.log(np.exp(joint - highest).sum(axis=1)) + highest[:, 0]
        self.resp = np.exp(joint - self.log_norm[:, None])
        of_rows = self.resp if subjects is None else subjects.of_rows(self.resp)
        self.row_mass = of_rows * weight[:, None]

    def _of_units(self, values):
        return values if self.subjects is None else self.subjects.weighted_sum(values)

    def log_likelihood(self):
        return self.unit_weight @ self.log_norm

    def scores(self):
        """Score of each unit, (n_units, size)."""
        of_experts = [
            self._of_units(expert.score()) * resp[:, None]
            for expert, resp in zip(self.experts, self.resp.T, strict=True)
        ]
        return np.hstack([*of_experts, self.gate.score(self.resp)])

    def curvature(self):
        """Sum over units and experts of ``r_k (hessian_k + s_k s_k^T)``, weighted."""
        mass = self.resp * self.unit_weight[:, None]
        n_experts = len(self.experts)
        expert_blocks, with_gate = [], []
        of_gate = self.gate.hessian(self.unit_weight)
        for k, expert in enumerate(self.experts):
            score, weights = self._of_units(expert.score()), mass[:, [k]]
            gate_score = self.gate.score(np.eye(n_experts)[k])
            hessian = expert.hessian(self.row_mass[:, k])
            expert_blocks.append(hessian + score.T @ (score * weights))
            with_gate.append(score.T @ (gate_score * weights))
            of_gate = of_gate + gate_score.T @ (gate_score * weights)
        curvature = linalg.block_diag(*expert_blocks, of_gate)
        beside = np.vstack(with_gate)
        end = len(beside)
        curvature[:end, end:], curvature[end:, :end] = beside, beside.T
        return curvature


def maximise(likelihood, theta):
    """Raise the log-likelihood by Newton steps to the maximum next to ``theta``.

    Directions of wrong curvature are gone along upwards.

    Parameters
    ----------
    likelihood : MixtureLikelihood
        Of the rows.
    theta : ndarray of shape (size,)
        Where to start.

    Returns
    -------
    theta : ndarray of shape (size,)
        Parameters at the maximum.
    value : float
        Log-likelihood.
    information : ndarray of shape (size, size)
        Observed information.
    converged : bool
        Whether a further step would gain nothing.
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
        theta = theta + size * step
        value, gradient, information = likelihood.derivatives(theta)
    return theta, value, information, False


def inverse(information):
    """Covariance of the estimates, whatever the units of the parameters are.

    Of a singular information the pseudo-inverse: right for what its flat directions leave alone.

    Parameters
    ----------
    information : ndarray of shape (size, size)
        Observed information.

    Returns
    -------
    covariance : ndarray of shape (size, size)
        Inverse of the information.
    flat : ndarray of shape (size, n_flat)
        Orthonormal directions that the rows say next to nothing about, in units in which the
        information has a diagonal of ones.
    unit : ndarray of shape (size,)
        These units.
    """
    unit = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    units = np.outer(unit, unit)
    values, vectors = linalg.eigh(information * units)
    told = values >= SINGULAR
    if told.all():
        return linalg.inv(information * units) * units, vectors[:, :0], unit
    covariance = (vectors[:, told] / values[told]) @ vectors[:, told].T
    return covariance * units, vectors[:, ~told], unit


def _ascent(gradient, information):
    """A Newton step, its curvatures made positive, and the gain that it promises."""
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    values, vectors = linalg.eigh(information * np.outer(unit, unit))
    slope = vectors.T @ (unit * gradient)
    curvature = np.maximum(np.abs(values), 1e-10)
    return unit * (vectors @ (slope / curvature)), 0.5 * np.sum(slope**2 / curvature)
