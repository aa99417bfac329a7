r"""Pooled experts whose likelihood is not quadratic in their functions: what all of them share.

In standardised columns with the intercept last, x, expert k has linear functions f_m = x'b_km,

    b_k = b_0 + d_k,   b_0 ~ N(0, diag(rho)),   d_k ~ N(0, diag(tau))

alike for each function, which share rho and tau; see ``pooled`` for these. Under a normal q(b) the
functions of a row are normal, and experts know the expected log-density of the row given
their means and variances, or a bound from below, and its derivatives. With

    curvature = -2 d bound / d variance,    slope = d bound / d mean

q(b) is the exact posterior under a normal likelihood with the sums gram = sum v R curvature x x'
and cross = sum v R (slope + curvature mean) x, or moves a part of the way there, which is a step
along the natural gradient [1]_. A step that lowers the bound is taken again shorter.

References
----------
.. [1] M. E. Khan and W. Lin, "Conjugate-computation variational inference", AISTATS (2017).
"""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .._kernels._pooled_run import StepsRun
from .._numerics.columns import quadratic_forms
from .._numerics.statistics import weighted_grams
from .pooled import Pooled, loss_of_quadratics, without_intercept
from .pooled_posteriors import Coefficients, learn_variances

GROWTH = 1.3  # of the size of a step, after one that raised the bound
SMALLEST_SIZE = 0.02  # of a step, below which none is taken
ROUNDING = 1e-10  # of a sum over rows, relative
NO_SLOPE = 1e-4  # variance of slopes that leave an expert constant


@dataclass(frozen=True)
class Expected:
    """Expected log-densities or bounds of them, and their derivatives."""

    value: np.ndarray  # (n_samples, n_experts): of each row
    # ``curvature``, ``working``: (n_samples, n_experts, n_functions): ``-2 d value / d variance``,
    # not negative, and ``d value / d mean + curvature * mean``.
    curvature: np.ndarray
    working: np.ndarray
    # (n_samples, n_experts, n_functions): for bounds near these to start from.
    tilt: np.ndarray | None = None
    unit: tuple | None = None  # what a family expects of its ``unit``, and its ``statistic``


@dataclass(frozen=True)
class Posterior:
    """Posterior of the coefficients."""

    coefficients: list  # list of Coefficients: of each function
    # ``gram``, ``cross``: (n_functions, K, q, q) and (n_functions, K, q): sums that they are the
    # posterior of.
    gram: np.ndarray
    cross: np.ndarray
    # ``tau``, ``rho``: (n_functions, q): prior variances.
    tau: np.ndarray
    rho: np.ndarray
    expected: Expected  # of the rows

    @property
    def divergence(self):
        """KL divergence of the posterior of the coefficients from the prior."""
        return sum(each.divergence for each in self.coefficients)

    def bound(self, weights):
        """What a step raises at these weights (n_samples, n_experts) of the rows."""
        return np.vdot(weights, self.expected.value) - self.divergence


class PooledInSteps(Pooled):
    """Experts with partially pooled coefficients, whose posterior is found in steps.

    A subclass calls ``stand_on`` and sets the attributes below.

    Attributes
    ----------
    n_pooled : int
        Linear functions of an expert that have a posterior.
    first_size, largest_size : float
        Size of the first step, and the largest one.
    posterior : Posterior
        After ``begin``.
    """

    n_pooled = 1
    first_rounds = 6
    first_size = largest_size = 1.0
    learns_variances = True
    tau = property(lambda self: self.posterior.tau)
    rho = property(lambda self: self.posterior.rho)
    divergence = property(lambda self: self.posterior.divergence)

    def begin(self, resp):
        self._begin_anew()
        shape = (self.n_pooled, self.n_experts, self.design.shape[1])
        first = Posterior(
            [],
            np.zeros((*shape, shape[2])),
            np.zeros(shape),
            *self.first_variances(shape[0]),
            self._first(),
        )
        weights = self._first_weights(resp) * self.weight[:, None]
        self._set(self._moved(first, self._sums(first, weights), 1.0, False))
        self.fit(resp, n_rounds=self.first_rounds)

    def _first_weights(self, resp):
        """Responsibilities for the first step, which no bound holds back."""
        return resp

    def fit(self, resp, working=None, exposure=None, target=None, n_rounds=1):
        """Coefficients and prior variances of a higher bound; see ``Experts``."""
        weights = resp * self.weight[:, None]
        for _ in range(n_rounds):
            self._set(self._better(weights))
        self.n_fits += self.n_experts

    @abstractmethod
    def _first(self):
        """``Expected`` of the rows where steps begin."""

    @abstractmethod
    def _expected(self, mean, variance, near=None):
        """``Expected`` of the rows, for normal functions (n_samples, n_experts, n_pooled)."""

    def run_with(self, gate, resp, begins):
        variances = self.first_variances(1) if begins else (self.tau, self.rho)
        own = {}
        if begins:
            self._begin_anew()
        else:
            now = self.posterior
            own = {"sums": (now.gram[0], now.cross[0]), "divergence": now.divergence}
        if begins:
            found = self._first()
        else:
            found = now.expected
        return StepsRun(
            (self.design, self.targets[:, 0], self.weight),
            gate.given,
            self._groups,
            resp,
            *(each[0] for each in variances),
            size=self._size,
            learns_variances=self.learns_variances,
            ties=self.ties,
            limits=(self.largest_size, GROWTH, SMALLEST_SIZE, ROUNDING),
            expected=np.hstack([found.value, found.curvature[:, :, 0], found.working[:, :, 0]]),
            **own,
            **self._of_kind(),
        )

    def _begin_anew(self):
        self._size = self.first_size

    def _of_kind(self):
        """Arguments of a ``StepsRun`` that say what the experts are."""
        return {"kind": 0, "begins_alike": False, "scales": np.ones(self.n_experts)}

    def take_run(self, run):
        self._size, *others = run.of_steps()
        expected = Expected(run.of_rows()["log_density"], *(each[:, :, None] for each in others))
        sums = (each[None] for each in run.of_sums())
        coefficients = [Coefficients(*run.of_coefficients())]
        self._set(Posterior(coefficients, *sums, *run.of_variances(), expected))

    def _better(self, weights):
        """The posterior after a step, as long as the bound lets it be."""
        now = self.posterior
        least = now.bound(weights)
        least -= ROUNDING * abs(least)
        sums = self._sums(now, weights)
        learns = True
        while self._size > SMALLEST_SIZE:
            new = self._moved(now, sums, self._size, learns)
            if new.bound(weights) >= least:
                self._size = min(self.largest_size, GROWTH * self._size)
                return new
            if not learns:
                self._size *= 0.5
            learns = False
        self._size = self.first_size
        return now

    def _sums(self, now, weights):
        """Sums over the rows, shaped like ``gram`` and ``cross`` of ``Posterior``."""
        n_columns = self.design.shape[1]
        curvature, working = (
            (weights[:, :, None] * each).transpose(0, 2, 1).reshape(len(weights), -1)
            for each in (now.expected.curvature, now.expected.working)
        )
        shape = (self.n_pooled, self.n_experts, n_columns)
        gram = weighted_grams(self.sparse_design, curvature).reshape(*shape, n_columns)
        return gram, (working.T @ self.sparse_design).reshape(shape)

    def _moved(self, now, sums, size, learns):
        """The posterior after a step of a size between 0 and 1; with prior variances or without."""
        pairs = zip((now.gram, now.cross), self._centred(now, *sums), strict=True)
        gram, cross = ((1 - size) * old + size * new for old, new in pairs)
        if learns and self.learns_variances:
            groups = self._groups
        else:
            groups = None
        coefficients, *variances = learn_variances(
            gram, cross, now.tau, now.rho, groups, self.ties, self.levels_apart
        )
        posterior = Posterior(coefficients, gram, cross, *variances, None)
        return self.with_expected(posterior, now.expected)

    def _centred(self, now, gram, cross):
        """Sums that lead to an optimum which is sooner found."""
        return gram, cross

    def with_expected(self, posterior, near=None):
        """A posterior with what is expected of the rows, of which ``near`` may be close."""
        coefficients = posterior.coefficients
        mean = np.stack([self.design @ each.mean.T for each in coefficients], axis=2)
        forms = [quadratic_forms(self.design, each.cov, self.level_of) for each in coefficients]
        expected = self._expected(mean, np.maximum(np.stack(forms, axis=2), 0.0), near)
        return replace(posterior, expected=expected)

    def _set(self, posterior):
        self.posterior = posterior
        self._set_means(np.stack([each.mean for each in posterior.coefficients], axis=2))

    @abstractmethod
    def _set_means(self, mean):
        """Take means (K, q, n_functions) of the coefficients for those of the experts."""

    def state(self):
        return self.posterior, self._size

    def restore(self, state):
        posterior, self._size = state
        self._set(posterior)

    def expected_log_density(self):
        return self.posterior.expected.value

    def slope_sums(self, resp):
        return without_intercept(*self._sums(self.posterior, resp * self.weight[:, None]))

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one function, by the quadratic in the sums."""
        gram = self.posterior.gram
        cross = self.posterior.cross
        return loss_of_quadratics(gram[:, [k, other]], cross[:, [k, other]])


def ignores_rows(experts):
    """Whether the evidence has left no pooled expert a slope."""
    return bool(((experts.tau + experts.rho)[:, :-1] < NO_SLOPE).all())
