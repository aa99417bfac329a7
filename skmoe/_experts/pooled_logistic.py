r"""Logistic experts with partially pooled coefficients.

In standardised columns with the intercept last, x, expert k has a linear function f_m = x'b_km for
the second of two classes, or for each of three and more, and

    P(y_i = c | z_i = k)  =  softmax(f)_c      (of two classes, a logistic function of f)
    b_k = b_0 + d_k,   b_0 ~ N(0, diag(rho)),   d_k ~ N(0, diag(tau))

alike for each function, which share rho and tau; see ``pooled`` for these. Under a normal q(b) the
functions of a row are normal, with means and variances, and the expected log-probability of its
class has no closed form. A bound from below stands for it: that of Jaakkola and Jordan [1]_ for two
classes, the tilted one of Knowles and Minka [2]_ for more. With

    curvature = -2 d bound / d variance,    slope = d bound / d mean

q(b) is the exact posterior under a normal likelihood with the sums gram = sum v R curvature x x'
and cross = sum v R (slope + curvature mean) x, or moves a part of the way there [3]_. Of two
classes the whole way is coordinate ascent; of more a step that lowers the bound is taken again
shorter.

References
----------
.. [1] T. S. Jaakkola and M. I. Jordan, "Bayesian parameter estimation via variational methods",
   Statistics and Computing 10 (2000) 25-37.
.. [2] D. A. Knowles and T. P. Minka, "Non-conjugate variational message passing for multinomial and
   binary regression", NIPS 24 (2011) 1701-1709.
.. [3] M. E. Khan and W. Lin, "Conjugate-computation variational inference", AISTATS (2017).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from .._numerics.columns import quadratic_forms
from .._numerics.statistics import weighted_grams
from .logistic import LogisticExperts
from .pooled import (
    INTERCEPT_VARIANCE,
    LARGEST_VARIANCE,
    LONGEST_STEP,
    SMALL_PENALTY,
    SMALLEST_VARIANCE,
    learn_variances,
    pooled_coefficients,
)
from .pooled_base import Pooled

FIRST_ROUNDS = 6  # of coefficients and variances for the responsibilities of a start
GROWTH = 1.3  # of the size of a step, after one that raised the bound
NO_SLOPE = 1e-4  # variance of slopes that leave an expert constant
SMALLEST_SIZE = 0.02  # of a step, below which none is taken
ROUNDING = 1e-10  # of a sum over rows, relative
N_TILTS = 4  # steps to the best tilt of a row


# Expected log-probabilities -------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """Bounds of expected log-probabilities, and their derivatives.

    Attributes
    ----------
    value : ndarray of shape (n_samples, n_experts)
        Bounds.
    curvature, working : ndarray of shape (n_samples, n_experts, n_functions)
        ``-2 d value / d variance``, not negative, and ``d value / d mean + curvature * mean``.
    tilt : ndarray of shape (n_samples, n_experts, n_functions) or None
        For bounds near these to start from.
    """

    value: np.ndarray
    curvature: np.ndarray
    working: np.ndarray
    tilt: np.ndarray | None = None


class TwoClasses:
    """Jaakkola's and Jordan's bound, at its best: xi^2 = mean^2 + variance.

    ``log s(xi) - xi / 2 + (y - 1/2) mean`` with the curvature ``tanh(xi / 2) / (2 xi)``.
    """

    n_functions = 1
    first_size = largest_size = 1.0

    @staticmethod
    def expected(labels, mean, variance, near=None):
        """Bounds for rows; see ``Expected``.

        Parameters
        ----------
        labels : ndarray of shape (n_samples, n_functions)
            Zeros and ones.
        mean, variance : ndarray of shape (n_samples, n_experts, n_functions)
            Of the functions.
        near : Expected, default=None
            Of the same rows, with functions that are not far away.
        """
        xi = np.sqrt(mean**2 + variance + 1e-12)
        sign = labels[:, None] - 0.5
        value = special.log_expit(xi) - 0.5 * xi + sign * mean
        curvature = np.tanh(0.5 * xi) / (2 * xi)
        return Expected(value[:, :, 0], curvature, np.broadcast_to(sign, mean.shape))


class ManyClasses:
    """Knowles' and Minka's tilted bound.

    For any tilts a, ``E log sum exp f <= log sum_c exp(m_c + (1 - 2 a_c) v_c / 2) + sum a_c^2 v_c /
    2``. At their best they are the softmax p in there, and the curvature ``p (1 - 2 a) + a^2``.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    """

    # All functions move at once, and the sums hold no products of two of them: a whole step is
    # up to twice that of Newton.
    first_size, largest_size = 0.5, 0.7

    def __init__(self, n_classes):
        self.n_functions = n_classes

    @staticmethod
    def expected(labels, mean, variance, near=None):
        """Bounds for rows; see ``TwoClasses.expected``."""
        tilt = _softmax(mean)[0] if near is None else near.tilt
        for _ in range(N_TILTS):
            tilt = 0.5 * (tilt + _softmax(mean + (0.5 - tilt) * variance)[0])
        proba, log_norm = _softmax(mean + (0.5 - tilt) * variance)
        value = (labels[:, None] * mean).sum(axis=2) - log_norm
        value -= 0.5 * (tilt**2 * variance).sum(axis=2)
        curvature = (proba - tilt) ** 2 + proba * (1 - proba)
        working = labels[:, None] - proba + curvature * mean
        return Expected(value, curvature, working, tilt)


def _softmax(values):
    """Softmax over the last axis, and its log-norm; quicker than SciPy's on small arrays."""
    largest = values.max(axis=-1, keepdims=True)
    proba = np.exp(values - largest)
    norm = proba.sum(axis=-1, keepdims=True)
    proba /= norm
    return proba, (largest + np.log(norm))[..., 0]


# Coefficients ---------------------------------------------------------------------------------


def _coefficients(gram, cross, tau, rho):
    """Posteriors of all functions, a list of Coefficients."""
    return [pooled_coefficients(*each) for each in zip(gram, cross, tau, rho, strict=True)]


def _learn_variances_of_one(gram, cross, tau, rho, with_tau):
    """``learn_variances`` of the log-odds of two classes."""
    found, tau, rho = learn_variances(
        gram[0], cross[0], tau[0], rho[0], np.full(tau.shape[1], with_tau)
    )
    return [found], tau[None], rho[None]


def _learn_variances_of_all(gram, cross, tau, rho, with_tau):
    """The same for several functions that share their variances, by MacKay's step, or EM's.

    With variances of its own, the function of one class would shrink to nothing: what is added to
    those of all classes alike makes no difference to the rows.

    Returns
    -------
    coefficients : list of Coefficients
    tau, rho : ndarray of shape (n_functions, q)
        The rows of each are alike.
    """
    now = _coefficients(gram, cross, tau, rho)
    shared_mean, shared_var, own_mean, own_var = (
        np.stack([vars(each)[name] for each in now])
        for name in ("shared_mean", "shared_var", "own_mean", "own_var")
    )
    slopes, intercept = slice(0, -1), slice(-1, None)
    for step in (_mackay, _em):
        new_tau, new_rho = tau.copy(), rho.copy()
        new_rho[:, slopes] = step(shared_mean[:, slopes], shared_var[:, slopes], rho)
        for group in (slopes, intercept) if with_tau else ():
            new_tau[:, group] = step(own_mean[..., group], own_var[..., group], tau[:, group])
        new = _coefficients(gram, cross, new_tau, new_rho)
        if sum(each.evidence for each in new) >= sum(each.evidence for each in now):
            return new, new_tau, new_rho
    return now, tau, rho


def _em(mean, var, last):
    """The variance of a group of coefficients that EM takes; 1 of none."""
    variance = (np.sum(mean**2) + var.sum()) / mean.size if mean.size else 1.0
    return np.clip(variance, SMALLEST_VARIANCE, LARGEST_VARIANCE)


def _mackay(mean, var, last):
    """The same by MacKay's step from the last one."""
    if not mean.size:
        return 1.0
    last = last[0, 0]
    determined = max(mean.size - var.sum() / last, 1e-10)
    shortest, longest = last / LONGEST_STEP, last * LONGEST_STEP
    variance = np.clip(np.sum(mean**2) / determined, shortest, longest)
    return np.clip(variance, SMALLEST_VARIANCE, LARGEST_VARIANCE)


# Experts in training --------------------------------------------------------------------------


@dataclass(frozen=True)
class Posterior:
    """What is known of the coefficients.

    Attributes
    ----------
    coefficients : list of Coefficients
        Of each function.
    gram, cross : ndarray of shape (n_functions, K, q, q) and (n_functions, K, q)
        Sums that they are the posterior of.
    tau, rho : ndarray of shape (n_functions, q)
        Prior variances.
    expected : Expected
        Of the rows.
    """

    coefficients: list
    gram: np.ndarray
    cross: np.ndarray
    tau: np.ndarray
    rho: np.ndarray
    expected: Expected

    @property
    def divergence(self):
        """What is paid for what is not known of the coefficients."""
        return sum(each.divergence for each in self.coefficients)

    def bound(self, weights):
        """What a step raises at these weights (n_samples, n_experts) of the rows."""
        return np.vdot(weights, self.expected.value) - self.divergence


class PooledLogisticExperts(Pooled, LogisticExperts):
    """K logistic experts with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight, classes
        As ``LogisticExperts`` takes them.
    own_variance : float, default=None
        What tau is for more than one expert; None learns it.

    Attributes
    ----------
    posterior : Posterior
        After ``begin``.
    """

    def __init__(self, X, y, weight, *, classes, own_variance=None):
        super().__init__(X, y, weight, 1, classes=classes, penalty=0.0, per_column_unit=False)
        self.own_variance = own_variance
        self._stand_on(X, weight)
        self.kind = TwoClasses() if self.n_classes == 2 else ManyClasses(self.n_classes)
        self._labels = self.labels[:, -self.kind.n_functions :]

    tau = property(lambda self: self.posterior.tau)
    rho = property(lambda self: self.posterior.rho)

    def begin(self, resp):
        """Forget everything, and learn from the responsibilities of a start."""
        shape = (self.kind.n_functions, self.n_experts, self.design.shape[1])
        tau = 1.0 if self.own_variance is None else self.own_variance
        tau = np.full((shape[0], shape[2]), 0.0 if self.n_experts == 1 else tau)
        rho = np.ones((shape[0], shape[2]))
        rho[:, -1] = INTERCEPT_VARIANCE
        nothing = np.zeros((len(self.design), self.n_experts, shape[0]))
        expected = self.kind.expected(self._labels, nothing, nothing)
        first = Posterior([], np.zeros((*shape, shape[2])), np.zeros(shape), tau, rho, expected)
        self._set(self._moved(first, self._sums(first, resp * self.weight[:, None]), 1.0, False))
        self._size = self.kind.first_size
        self.fit(resp, n_rounds=FIRST_ROUNDS)

    def fit(self, resp, working=None, exposure=None, n_rounds=1):
        """Coefficients and prior variances of a higher bound; see ``Experts``."""
        weights = resp * self.weight[:, None]
        for _ in range(n_rounds):
            self._set(self._better(weights))
        self.n_fits += self.n_experts

    def _better(self, weights):
        """The posterior after a step, as long as the bound lets it be."""
        now = self.posterior
        least = now.bound(weights)
        least -= ROUNDING * abs(least)
        sums, learns = self._sums(now, weights), True
        while self._size > SMALLEST_SIZE:
            new = self._moved(now, sums, self._size, learns)
            if new.bound(weights) >= least:
                self._size = min(self.kind.largest_size, GROWTH * self._size)
                return new
            if not learns:
                self._size *= 0.5
            learns = False
        self._size = self.kind.first_size
        return now

    def _sums(self, now, weights):
        """Sums over the rows, shaped like ``gram`` and ``cross`` of ``Posterior``."""
        n_columns = self.design.shape[1]
        curvature, working = (
            (weights[:, :, None] * each).transpose(0, 2, 1).reshape(len(weights), -1)
            for each in (now.expected.curvature, now.expected.working)
        )
        shape = (self.kind.n_functions, self.n_experts, n_columns)
        gram = weighted_grams(self.design, curvature).reshape(*shape, n_columns)
        cross = (working.T @ self.design).reshape(shape)
        if shape[0] > 1 and now.coefficients:
            shift, of_prior = self._to_centre(now)
            cross += np.einsum("mkij,kj->mki", gram, shift) + of_prior
        return gram, cross

    def _to_centre(self, now):
        """What to add to the coefficients of all classes alike, for the prior to be happiest.

        The rows do not see it, and steps would take forever to find it.

        Returns
        -------
        shift : ndarray of shape (K, q)
            The optimum; the prior's precision of an average over experts is 1 / (tau + K rho), of
            deviations from it 1 / tau.
        of_prior : ndarray of shape (n_functions, K, q)
            The precision times the shift.
        """
        mean = np.stack([each.mean for each in now.coefficients])
        average = mean.mean(axis=1, keepdims=True)
        of_average = 1 / (now.tau + self.n_experts * now.rho)[:, None]
        of_deviation = 1 / np.where(now.tau > 0, now.tau, np.inf)[:, None]  # none for one line
        moved = -(of_average * average).sum(axis=0) / of_average.sum(axis=0)
        turned = -(of_deviation * (mean - average)).sum(axis=0)
        turned /= np.maximum(of_deviation.sum(axis=0), 1e-300)
        return moved + turned, of_average * moved + of_deviation * turned

    def _moved(self, now, sums, size, learns):
        """The posterior after a step of a size between 0 and 1; with prior variances or without."""
        gram, cross = (
            (1 - size) * old + size * new
            for old, new in zip((now.gram, now.cross), sums, strict=True)
        )
        tau, rho = now.tau, now.rho
        with_tau = self.n_experts > 1 and self.own_variance is None
        if learns:
            learn = _learn_variances_of_all if len(gram) > 1 else _learn_variances_of_one
            coefficients, tau, rho = learn(gram, cross, tau, rho, with_tau)
        else:
            coefficients = _coefficients(gram, cross, tau, rho)
        mean = np.stack([self.design @ each.mean.T for each in coefficients], axis=2)
        variance = np.stack([quadratic_forms(self.design, c.cov) for c in coefficients], axis=2)
        expected = self.kind.expected(self._labels, mean, np.maximum(variance, 0.0), now.expected)
        return Posterior(coefficients, gram, cross, tau, rho, expected)

    def _set(self, posterior):
        self.posterior = posterior
        coef = np.stack([each.mean for each in posterior.coefficients], axis=2)
        self._set_coef(np.dstack([-0.5 * coef, 0.5 * coef]) if self.n_classes == 2 else coef)

    def _set_coef(self, coef):
        self.coef, self.predictions = coef, None

    def state(self):
        """What ``restore`` needs; never changed in place."""
        return self.posterior, self._size

    def restore(self, state):
        """Back to an earlier state."""
        posterior, self._size = state
        self._set(posterior)

    @property
    def divergence(self):
        """What is paid for what is not known of the coefficients."""
        return self.posterior.divergence

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one function, by the quadratic in the sums."""
        gram, cross = self.posterior.gram, self.posterior.cross
        alone = _optimum(gram[:, [k, other]], cross[:, [k, other]])
        together = _optimum(gram[:, k] + gram[:, other], cross[:, k] + cross[:, other])
        return float(alone - together)

    @property
    def is_one_expert(self):
        """Whether no more experts than classes ignore the rows: the gate is the regression then."""
        slopes = (self.tau + self.rho)[:, :-1]
        return self.n_experts <= self.n_classes and bool((slopes < NO_SLOPE).all())

    def expected_log_density(self):
        """Bound of the expected log-probability of each row's class, (n, K)."""
        return self.posterior.expected.value


def _optimum(gram, cross):
    """Largest values of ``cross'b - 1/2 b'gram b`` for the last axes, summed."""
    penalty = SMALL_PENALTY * np.eye(gram.shape[-1])
    return 0.5 * np.vdot(cross, np.linalg.solve(gram + penalty, cross[..., None])[..., 0])
