r"""Log-linear experts with partially pooled coefficients.

Expert k has one linear function of the columns, f, the logarithm of its mean. The expected
log-density under a normal posterior, with mean m and variance v of f for a row, is in closed form:

    E log Poisson(y | e exp(f))   =  y (log e + m) - e exp(m + v / 2) - log y!
    E log Gamma(y | a, exp(f))    =  a log a - log Gamma(a) - a - a deviance - log y
    deviance  =  E [y / exp(f) - 1 - log y + f]  =  y exp(v / 2 - m) - 1 - log y + m

with an exposure e and the shape a of the expert, which is a point. Functions are relative to the
mean of all rows, so that the prior of the intercepts does not depend on units.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from .._numerics.gamma_shapes import shape_of_deviance
from .log_linear import LARGEST_LOG_MEAN, LogLinearExperts
from .pooled_steps import Expected, PooledInSteps, StepSums, loss_of_quadratics

DRAWN_IN = 0.5  # events that each row is given more, in as much exposure, where steps begin


# Expected log-densities -----------------------------------------------------------------------


class _LogLinearKind:
    """One function, whose steps begin near the targets."""

    n_functions = 1
    first_size = largest_size = 1.0
    exposure = np.ones((1, 1, 1))

    def first(self, targets, n_experts):
        """``Expected`` of rows whose means are about their targets."""
        return self._near_targets(targets, n_experts)[0]

    def _near_targets(self, targets, n_experts):
        mean = np.log((targets[:, None] + DRAWN_IN) / (self.exposure + DRAWN_IN))
        mean = np.repeat(mean, n_experts, axis=1)
        return self.expected(targets, mean, np.zeros_like(mean)), mean


class Counts(_LogLinearKind):
    """Poisson's likelihood.

    Parameters
    ----------
    exposure : ndarray of shape (n_samples,)
        Expected counts where a function is zero.
    """

    def __init__(self, exposure):
        self.exposure = exposure[:, None, None]

    def expected(self, targets, mean, variance, near=None):
        """Expected log-probabilities of counts (n, 1); see ``Expected``."""
        y = targets[:, None]
        counts = self.exposure * np.exp(np.minimum(mean + 0.5 * variance, LARGEST_LOG_MEAN))
        value = y * (np.log(self.exposure) + mean) - counts - special.gammaln(y + 1)
        return Expected(value[:, :, 0], counts, y - counts + counts * mean)


@dataclass(frozen=True)
class ExpectedDeviance(Expected):
    """``Expected`` of positive targets."""

    # (n_samples, n_experts): half the expected deviance of each row.
    deviance: np.ndarray | None = None


@dataclass(frozen=True)
class Positive(_LogLinearKind):
    """Gamma's likelihood."""

    shape: np.ndarray  # (n_experts,): shapes
    # ``mass``, ``deviance``: (n_experts,): weight of the rows that the shapes were learned from,
    # and sum of half their deviances.
    mass: np.ndarray
    deviance: np.ndarray

    @classmethod
    def alike(cls, targets, weight, n_experts):
        """Shapes of all experts as if all had the same mean everywhere."""
        y = targets[:, 0]
        deviance = np.full(n_experts, weight @ (y - 1 - np.log(y)) / n_experts)
        mass = np.full(n_experts, weight.sum() / n_experts)
        return cls(shape_of_deviance(deviance / mass), mass, deviance)

    def first(self, targets, n_experts):
        """The same with the curvature that is expected: that of small targets is next to none."""
        found, mean = self._near_targets(targets, n_experts)
        curvature = np.broadcast_to(self.shape[:, None], mean.shape)
        return Expected(
            found.value, curvature, found.working + (curvature - found.curvature) * mean
        )

    def learned(self, mass, deviance):
        """The shapes of the highest bound, for sums (K,) over rows."""
        mean = np.where(mass > 0, deviance, self.deviance) / np.where(mass > 0, mass, self.mass)
        return Positive(shape_of_deviance(mean), mass, deviance)

    def expected(self, targets, mean, variance, near=None):
        """Expected log-densities of positive targets; see ``Counts.expected``."""
        log_y, mean = np.log(targets), mean[:, :, 0]
        ratio = np.minimum(log_y - mean + 0.5 * variance[:, :, 0], LARGEST_LOG_MEAN)
        return self.of_deviance(targets, mean, np.exp(ratio) - 1 - log_y + mean)

    def of_deviance(self, targets, mean, deviance):
        """The same of half the expected deviance (n, K) of each row."""
        shape, log_y = self.shape, np.log(targets)
        ratio = deviance + 1 + log_y - mean
        value = _log_constant(shape) - shape * deviance - log_y
        working = shape * (ratio - 1 + ratio * mean)
        return ExpectedDeviance(
            value, (shape * ratio)[:, :, None], working[:, :, None], deviance=deviance
        )

    def loss_as_one(self, pair, more):
        """Log-likelihood that two experts lose with one shape, and ``more`` deviance."""
        mass, deviance = self.mass[pair], self.deviance[pair]
        alone = _profiled(mass, deviance).sum()
        return float(alone - _profiled(mass.sum(), deviance.sum() + more))


def _log_constant(shape):
    """Log-density of a target that is its mean, times the target."""
    return shape * np.log(shape) - special.gammaln(shape) - shape


def _profiled(mass, deviance):
    """Log-likelihood of rows at the best of shapes, but for what depends on the targets alone."""
    mass = np.maximum(mass, np.finfo(float).tiny)
    shape = shape_of_deviance(deviance / mass)
    return mass * _log_constant(shape) - shape * deviance


@dataclass(frozen=True)
class GammaSums(StepSums):
    """``StepSums`` of positive targets."""

    deviance: np.ndarray  # (K,): half the expected deviances


# Experts in training --------------------------------------------------------------------------


class PooledLogLinearExperts(PooledInSteps, LogLinearExperts):
    """K log-linear experts with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight, shared_columns, units, block
        As ``PooledExperts`` takes them.
    exposure : ndarray of shape (n_samples,), default=None
        Of the rows.

    Attributes
    ----------
    unit : float
        Mean rate or target, whose logarithm functions are relative to.
    """

    glm: str

    def __init__(
        self, X, y, weight, *, shared_columns=(), exposure=None, units=None,
        block=None,
    ):  # fmt: skip
        super().__init__(
            X, y, weight, 1, penalty=0.0, per_column_unit=False, glm=self.glm,
            exposure=exposure, prior=False, units=units,
        )  # fmt: skip
        self._stand_on(X, weight, shared_columns, units, block)
        total = weight.sum() if exposure is None else weight @ exposure
        self.unit = weight @ y / total if units is None else units.y_mean[0]
        self._take_targets(exposure)

    def _first_weights(self, resp):
        """Equal ones: a row that an expert knows nothing of might have any mean there."""
        return np.full_like(resp, 1 / self.n_experts)

    @property
    def predictions(self):
        """Means of the experts at the means of their coefficients, (n, K)."""
        return np.exp(self._functions(self.coef))

    def _set_means(self, mean):
        self.coef = mean[:, :, 0].copy()
        self.coef[:, -1] += np.log(self.unit)


class PooledPoissonExperts(PooledLogLinearExperts):
    """Of counts; see ``PooledLogLinearExperts``."""

    glm = "poisson"

    def _take_targets(self, exposure=None):
        exposure = np.ones(len(self.y)) if exposure is None else exposure
        self.kind, self.targets_of_kind = Counts(self.unit * exposure), self.y[:, None]


class PooledGammaExperts(PooledLogLinearExperts):
    """Of positive targets, each with a shape; see ``PooledLogLinearExperts``."""

    glm = "gamma"
    has_scales = True

    def _take_targets(self, exposure=None):
        self.targets_of_kind, self.y_scale = self.y[:, None] / self.unit, np.array([self.unit])

    def begin(self, resp):
        self.kind = Positive.alike(self.targets_of_kind, self.weight, self.n_experts)
        super().begin(resp)

    def _better(self, weights):
        posterior = super()._better(weights)
        (coefficients,), deviance = posterior.coefficients, posterior.expected.deviance
        total = np.einsum("nk,nk->k", weights, deviance)
        self.kind = self.kind.learned(weights.sum(axis=0), total)
        mean = self.design @ coefficients.mean.T
        expected = self.kind.of_deviance(self.targets_of_kind, mean, deviance)
        return replace(posterior, expected=expected)

    def sum_rows(self, resp):
        """Sums over the rows: GammaSums; see ``Pooled``."""
        weights, deviance = resp * self.weight[:, None], self.posterior.expected.deviance
        of_steps = super().sum_rows(resp)
        return GammaSums(**vars(of_steps), deviance=np.einsum("nk,nk->k", weights, deviance))

    def learn_sums(self, sums, size=1.0, learns=True):
        """Shapes, and a step under these, from sums over rows; see ``Pooled``."""
        before, self.kind = self.kind.shape, self.kind.learned(sums.mass, sums.deviance)
        ratio = (self.kind.shape / before)[:, None]  # curvatures and targets grow with the shape
        scaled = replace(sums, gram=ratio[:, :, None] * sums.gram, cross=ratio * sums.cross)
        super().learn_sums(scaled, size, learns)

    def state(self):
        return *super().state(), self.kind

    def restore(self, state):
        *state, self.kind = state
        super().restore(state)

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one function and shape."""
        pair, posterior = [k, other], self.posterior
        shape = self.kind.shape[pair][:, None]
        more = loss_of_quadratics(
            posterior.gram[:, pair] / shape[:, :, None], posterior.cross[:, pair] / shape
        )
        return self.kind.loss_as_one(pair, more)
