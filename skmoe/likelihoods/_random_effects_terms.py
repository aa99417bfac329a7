r"""Derivatives of the log-density of subjects with random effects.

With residuals r, columns X, effects Z and weights W of the n rows of a subject, the covariance of
its effects over the variance within, D, and :math:`H = W^{-1} + Z D Z^T`,

.. math:: \log f = -\frac{n}{2} \log 2 \pi \sigma^2 - \frac{1}{2} \log |I + D Z^T W Z|
    - \frac{1}{2 \sigma^2} r^T H^{-1} r

and with :math:`D_a` the derivative of D by a parameter, that of the logarithm of the determinant is
:math:`\operatorname{tr} D_a Z^T H^{-1} Z`, and that of :math:`H^{-1}` is
:math:`-H^{-1} Z D_a Z^T H^{-1}`.
"""

import numpy as np

from .._numerics.grams import weighted_grams
from ._terms import ExpertTerms

SMALLEST_RATIO = 1e-5  # of variances between subjects over that within; below, there is none


class RandomEffectsTerms(ExpertTerms):
    """Lines with Gaussian errors, around whose coefficients subjects vary.

    Attributes
    ----------
    subjects : Subjects
        Which rows belong to which subject; log-densities and scores are those of subjects.
    pairs : list of (int, int)
        Effects whose correlations are parameters.
    """

    standardises = joins_rows = True
    at_bound_message = (
        "Within {names} errors are next to none, or subjects do not differ, or some effects of "
        "theirs follow from others: there a variance is at the end of what is allowed, and has no "
        "standard error. Ask for fewer experts, or for fewer columns of RandomEffects, or set its "
        "covariance='diag', or likelihood='gaussian'."
    )

    @classmethod
    def of_effects(cls, names, *, is_full):
        """The terms for effects of an intercept and of columns of these names."""
        effects = ["intercept", *names]
        pairs = [(i, j) for j in range(len(effects)) for i in range(j)] if is_full else []
        labels = [f": {name}" for name in effects] if names else [""]
        attributes = {
            "logs_of": ("scale_", *(f"subject_scale_{label}" for label in labels)),
            "values_of": tuple(f"correlation: {effects[i]}, {effects[j]}" for i, j in pairs),
            "n_scales": 1 + len(effects),
            "pairs": pairs,
        }
        return type("RandomEffectsTerms", (cls,), attributes)

    @classmethod
    def names_beside(cls, predictor):
        return ["log_" + name.replace("scale_", "scale") for name in cls.logs_of] + [*cls.values_of]

    def __init__(self, theta, design, target, subjects):
        super().__init__(theta, design, target)
        self.subjects, self.sizes = subjects, subjects.sizes
        self.within = np.exp(2 * self.logs[0, 0])
        self.covariance = self.relative_covariance(self.logs[:, 0], self.values[:, 0])
        grams, residuals = subjects.grams, target - self.predictors
        inner = np.eye(len(self.covariance)) + self.covariance @ grams
        self.is_possible = np.linalg.eigvalsh(self.covariance)[0] > 0  # else too long a step
        self.log_det = np.linalg.slogdet(inner)[1]
        shrunk = np.linalg.solve(inner, np.broadcast_to(self.covariance, inner.shape))
        columns, products = subjects.products(design), subjects.products(residuals)[..., 0]
        # Of X' H^-1 r, Z' H^-1 Z, Z' H^-1 r, Z' H^-1 X and r' H^-1 r.
        by_shrunk = np.einsum("sij,sj->si", shrunk, products)
        of_rows = subjects.weighted_sum(design * residuals)
        self.by_coef = of_rows - np.einsum("sip,si->sp", columns, by_shrunk)
        self.of_effects = grams - grams @ shrunk @ grams
        self.slopes = products - np.einsum("sij,sj->si", grams, by_shrunk)
        self.columns, self.shrunk = columns, shrunk
        squares = subjects.weighted_sum(residuals[:, 0] ** 2)
        self.squares = np.maximum(squares - (products * by_shrunk).sum(axis=1), 0.0)

    @classmethod
    def relative_covariance(cls, logs, correlations):
        """Covariance of the effects over the variance within, from the parameters."""
        scales, correlation = np.exp(logs[1:] - logs[0]), np.eye(len(logs) - 1)
        for (i, j), value in zip(cls.pairs, correlations, strict=True):
            correlation[i, j] = correlation[j, i] = value
        return correlation * np.outer(scales, scales)

    def log_density(self):
        if not self.is_possible:
            return np.full(len(self.sizes), -np.inf)
        of_size = self.sizes * np.log(2 * np.pi * self.within)
        return -0.5 * (of_size + self.log_det + self.squares / self.within)

    def _masks(self):
        """What the covariance is multiplied with, to be differentiated by logarithms of scales."""
        ones = np.eye(len(self.covariance))
        return [one[:, None] + one for one in ones]

    def _first(self):
        """Derivatives of the covariance, by logarithms of scales and by correlations."""
        first = [self.covariance * mask for mask in self._masks()]
        scales = np.sqrt(np.diag(self.covariance))
        for i, j in self.pairs:
            by_correlation = np.zeros_like(self.covariance)
            by_correlation[i, j] = by_correlation[j, i] = scales[i] * scales[j]
            first.append(by_correlation)
        return np.array(first)

    def _from_relative(self):
        """Derivatives of log-scales over that within by those in the units of the target."""
        change = np.eye(1 + len(self.covariance) + len(self.pairs))
        change[1 : 1 + len(self.covariance), 0] = -1.0
        return change

    def _by_effects(self, by):
        """Quadratic forms of the derivatives ``by`` of the covariance: (n_subjects, n_by)."""
        traces = np.einsum("aij,sji->sa", by, self.of_effects)
        return traces, np.einsum("si,aij,sj->sa", self.slopes, by, self.slopes) / self.within

    def score(self):
        traces, squares = self._by_effects(self._first())
        by_scale = self.squares / self.within - self.sizes
        beside = np.column_stack([by_scale, -0.5 * (traces - squares)])
        return np.hstack([self.by_coef / self.within, beside @ self._from_relative()])

    def hessian(self, weights):
        mass = self.subjects.total(weights[:, None])[:, 0] / self.sizes  # of each subject
        first, masks = self._first(), self._masks()
        taken = np.einsum("s,sip,sij,sjq->pq", mass, self.columns, self.shrunk, self.columns)
        of_coef = (taken - weighted_grams(self.design, weights[:, None])[0]) / self.within
        grams = self.subjects.grams
        seen = self.columns - grams @ self.shrunk @ self.columns
        across = np.einsum("s,sip,aij,sj->pa", mass, seen, first, self.slopes)
        with_coef = -np.column_stack([2 * mass @ self.by_coef, across]) / self.within
        traces, squares = (mass @ each for each in self._by_effects(first))
        beside = np.empty((1 + len(first), 1 + len(first)))
        beside[0, 0] = -2 * mass @ self.squares / self.within
        beside[0, 1:] = beside[1:, 0] = -squares
        moved = np.einsum("aij,sj->sai", first, self.slopes)
        joint = np.einsum("s,sai,sij,sbj->ab", mass, moved, self.of_effects, moved) / self.within
        turned = first[None] @ self.of_effects[:, None]
        joint = 2 * joint - np.einsum("s,saij,sbji->ab", mass, turned, turned)
        for a, mask in enumerate(masks):
            second = [mass @ each for each in self._by_effects(first * mask)]
            joint[a] += second[0] - second[1]
            joint[len(masks) :, a] = joint[a, len(masks) :]
        beside[1:, 1:] = -0.5 * joint
        change = self._from_relative()
        with_coef = with_coef @ change
        return np.block([[of_coef, with_coef], [with_coef.T, change.T @ beside @ change]])

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        covariance = likelihood.covariance_[k]
        scales = np.maximum(np.sqrt(np.diag(covariance)), 1e-150)  # of none is a number
        correlations = [covariance[i, j] / (scales[i] * scales[j]) for i, j in cls.pairs]
        logs = np.log([likelihood.scale_[k], *scales])
        return np.hstack([expert.intercept_, expert.coef_, logs, correlations])[None]

    @classmethod
    def at_bound(cls, logs, likelihood):
        n_logs, units = len(cls.logs_of), np.linalg.inv(likelihood.effect_units_)
        at_end = []
        for (of_expert,) in logs:
            within = cls.relative_covariance(of_expert[:n_logs], of_expert[n_logs:])
            least = np.linalg.eigvalsh(units @ within @ units.T)[0]
            at_floor = np.exp(of_expert[0]) <= 1.001 * likelihood.floor_
            at_end.append(at_floor or least <= SMALLEST_RATIO)
        return np.array(at_end)
