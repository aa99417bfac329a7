r"""Generalised linear models of any family with partially pooled coefficients.

Expert k has one linear predictor of the columns, whose normal posterior has mean m and variance v
for a row; the family has the expectation of its ``unit`` under it. Scales, where a family has
them, are points. Predictors of a log link are relative to the mean of all rows, so that the prior
of the intercepts does not depend on units.
"""

import numpy as np

from .generalized_linear import GeneralizedLinearExperts
from .pooled import loss_of_quadratics
from .pooled_steps import Expected, PooledInSteps, ignores_rows


class PooledGeneralizedLinearExperts(PooledInSteps, GeneralizedLinearExperts):
    """K generalised linear models with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight, exposure, family
        As ``GeneralizedLinearExperts`` takes them.
    block : ndarray of int of shape (n_features,), default=None
        Number of the column of strings that each is a level of; see ``StandardColumns``.

    Attributes
    ----------
    scales : ndarray of shape (n_experts,) or float
        Scales of the family; one where it has none.
    """

    scales = 1.0
    _mass = None
    _values = None

    def __init__(self, X, y, weight, *, family, exposure=None, block=None):
        super().__init__(X, y, weight, 1, family=family, exposure=exposure)
        self.family = family.in_unit(1.0)  # as targets of a unit are relative to their mean
        self.stand_on(X, weight, block)
        if exposure is None:
            sizes = np.ones(len(y))
        else:
            sizes = exposure
        mean = weight @ y / (weight @ sizes)
        self.unit = family.unit_of(mean)
        self._level = family.link(mean / self.unit)  # predictor of that mean
        # Means are in that unit, by the target or by sizes.
        if family.has_density:
            self.y_scale = np.array([self.unit])
            y = y / self.unit
        else:
            sizes = sizes * self.unit
        self.targets = (y / sizes)[:, None]
        self.sizes = sizes[:, None]
        self._constant = family.constant(y, sizes)[:, None]
        self._is_of_one_trial = family.is_rate and bool((self.sizes == 1).all())

    @property
    def has_scales(self):
        """Whether experts of one function can differ."""
        return self.family.scale is not None

    def _begin_anew(self):
        super()._begin_anew()
        if self.has_scales:  # as if all experts had the same mean everywhere
            self.scales = np.ones(self.n_experts)
            given = self.targets, self._level
            value, *_ = self.family.unit(*given, 1.0)
            value = self.family.statistic(value, *given, 0.0, 1.0)
            self._values = np.full(self.n_experts, self.weight @ value[:, 0] / self.n_experts)
            self._mass = np.full(self.n_experts, self.weight.sum() / self.n_experts)
            self._learn_scales(self._mass, self._values)

    has_run = property(lambda self: self.family.kernel is not None)

    def _of_kind(self):
        log_y = np.log(np.where(self.targets > 0, self.targets, 1.0))
        of_rows = np.hstack([log_y, self.sizes, self._constant])
        given = {"scales": np.broadcast_to(self.scales, self.n_experts), "of_rows": of_rows}
        return {"kind": self.family.kernel, "begins_alike": True} | given

    def take_run(self, run):
        if self.has_scales:
            self.scales, self._mass, self._values = run.of_scales()
        super().take_run(run)

    def _first_weights(self, resp):
        # Where an expert of unbounded means has no information, a row could have any mean.
        if self.family.is_rate:
            return resp
        return np.full_like(resp, 1 / self.n_experts)

    def _first(self):
        predictor = self.family.first_predictor(self.targets * self.sizes, self.sizes)
        mean = np.repeat(predictor, self.n_experts, axis=1)
        value, slope, curvature = self.family.expected_unit(
            self.targets, mean, np.zeros_like(mean), self.scales
        )
        return self._scaled((value, slope, self.family.first_curvature(curvature), None), mean)

    def _expected(self, mean, variance, near=None):
        given = self.targets, mean[:, :, 0], variance[:, :, 0]
        unit = self.family.expected_unit(*given, self.scales)
        statistic = self.family.statistic(unit[0], *given, self.scales)
        return self._scaled((*unit, statistic), mean[:, :, 0])

    def _scaled(self, unit, mean):
        """``Expected`` of the rows, from what is expected of the unit."""
        value, slope, curvature = (self.sizes * self.scales * each for each in unit[:3])
        value = value + self.family.normaliser(self.scales) + self._constant
        working = slope + curvature * mean
        return Expected(value, curvature[:, :, None], working[:, :, None], unit=unit)

    def _better(self, weights):
        posterior = super()._better(weights)
        if not self.has_scales:
            return posterior
        values = np.einsum("nk,nk->k", weights * self.sizes, posterior.expected.unit[3])
        self._learn_scales(weights.sum(axis=0), values)
        return self.with_expected(posterior)

    def _learn_scales(self, mass, values):
        """The scales of the highest bound, for sums (K,) over rows; those without rows stay."""
        used = mass > 0
        scales = np.broadcast_to(self.scales, mass.shape).copy()
        scales[used] = self.family.best_scale(values[used] / mass[used], scales[used])
        self.scales = scales
        self._mass = mass
        self._values = values

    def _set_means(self, mean):
        coef = mean[:, :, 0].copy()
        coef[:, -1] += np.log(self.unit)
        self.set_coef(coef)

    def state(self):
        return *super().state(), (self.scales, self._mass, self._values)

    def restore(self, state):
        *state, (self.scales, self._mass, self._values) = state
        super().restore(state)

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one function and scale."""
        if not self.has_scales:
            return super().loss_as_one(k, other)
        pair = [k, other]
        posterior = self.posterior
        scales = self.scales[pair]
        values = self._values[pair]
        mass = np.maximum(self._mass[pair], np.finfo(float).tiny)
        if self.family.unit_has_scale:  # no closed maximum: as if errors were normal
            scales = 1 + scales  # variances are a share of those of zeros and ones
            values = -0.5 * mass / scales
        gram = posterior.gram[:, pair] / scales[:, None, None]
        more = loss_of_quadratics(gram, posterior.cross[:, pair] / scales[:, None])
        alone = self._profiled(mass, values).sum()
        return float(alone - self._profiled(mass.sum(), values.sum() - more))

    def _profiled(self, mass, values):
        """Log-likelihood of rows at the best of scales, but for what only targets are in."""
        if self.family.unit_has_scale:
            return -0.5 * mass * np.log(-2 * values / mass)
        scales = self.family.best_scale(values / mass)
        return mass * self.family.normaliser(scales) + scales * values

    @property
    def is_one_expert(self):
        """Whether the gate before two rates of single trials is one logistic regression."""
        return self._is_of_one_trial and self.n_experts == 2 and ignores_rows(self)
