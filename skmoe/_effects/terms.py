r"""Log-density of subjects with random effects, and its derivatives, for standard errors.

With residuals r, columns X, effects Z and weights W of the n rows of a subject, the covariance of
its effects over the variance within, D, and :math:`H = W^{-1} + Z D Z^T`, the log-density is

.. math:: -\frac{n}{2} \log 2 \pi \sigma^2 - \frac{1}{2} \log |I + D Z^T W Z|
    - \frac{1}{2 \sigma^2} r^T H^{-1} r
"""

from functools import cached_property

import numpy as np

from .._numerics.statistics import weighted_grams
from ..likelihoods import ExpertTerms

SMALLEST_RATIO = 1e-5  # of variances between subjects over that within; below, there is none
STEP = 1e-5  # of differences of first derivatives: relative errors of some 1e-10


class RandomEffectsTerms(ExpertTerms):
    """Lines with Gaussian errors, around whose coefficients subjects vary.

    See the top of this file. Derivatives by coefficients are exact; those by scales and
    correlations are complex steps [1]_, and differences of these.

    Attributes
    ----------
    subjects : Subjects
        Which rows belong to which subject; log-densities and scores are those of subjects.
    pairs : list of (int, int)
        Effects whose correlations are parameters.

    References
    ----------
    .. [1] W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real
       functions", SIAM Review 40 (1998) 110-112.
    """

    standardises = joins_rows = True
    at_bound_message = (
        "A variance within {names} is at its bound, and has no standard error: errors are next to "
        "none, subjects do not differ, or their effects depend on each other. Ask for fewer "
        "experts, fewer columns of RandomEffects, covariance='diag', or likelihood='gaussian'."
    )

    @classmethod
    def of_effects(cls, names, *, is_full):
        """The terms for effects of an intercept and of columns of these names."""
        effects = ["intercept", *names]
        if is_full:
            pairs = [(i, j) for j in range(len(effects)) for i in range(j)]
        else:
            pairs = []
        if names:
            labels = [f": {name}" for name in effects]
        else:
            labels = [""]
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
        self.subjects = subjects
        self.sizes = subjects.sizes
        residuals = target - self.predictors
        self.columns = subjects.products(design)
        products = subjects.products(residuals)
        self.products = products[..., 0]
        self.of_rows = subjects.weighted_sum(design * residuals)
        self.of_squares = subjects.weighted_sum(residuals[:, 0] ** 2)
        self.beside_coef = np.concatenate([self.logs[:, 0], self.values[:, 0]])
        # Else too long a step.
        self.is_possible = np.linalg.eigvalsh(self.relative_covariance(self.beside_coef))[0] > 0

    @classmethod
    def relative_covariance(cls, beside):
        """Covariance of the effects over the variance within, from logarithms and correlations."""
        logs, correlations = np.split(beside, [len(cls.logs_of)])
        scales = np.exp(logs[1:] - logs[0])
        correlation = np.eye(len(logs) - 1, dtype=beside.dtype)
        for (i, j), value in zip(cls.pairs, correlations, strict=True):
            correlation[i, j] = correlation[j, i] = value
        return correlation * np.outer(scales, scales)

    def _shrunk(self, beside):
        """D (I + Z'WZ D)^-1 of each subject, and logarithms of the determinants."""
        covariance = self.relative_covariance(beside)
        grams = self.subjects.grams
        inner = np.eye(len(covariance)) + covariance @ grams
        sign, log_det = np.linalg.slogdet(inner)
        covariance = np.broadcast_to(covariance, inner.shape)
        return np.linalg.solve(inner, covariance), log_det + np.log(sign)

    def _at(self, beside):
        """Log-densities and their derivatives by coefficients, (n_subjects, 1 + n_columns)."""
        shrunk, log_det = self._shrunk(beside)
        within = np.exp(2 * beside[0])
        along = np.einsum("sij,sj->si", shrunk, self.products)
        squares = self.of_squares - (self.products * along).sum(axis=1)
        of_size = self.sizes * (np.log(2 * np.pi) + 2 * beside[0])
        log_density = -0.5 * (of_size + log_det + squares / within)
        by_coef = (self.of_rows - np.einsum("sip,si->sp", self.columns, along)) / within
        return np.column_stack([log_density, by_coef])

    def _slopes_at(self, beside):
        """Derivatives of ``_at`` by complex steps, (n_subjects, 1 + n_columns, n_beside)."""
        steps = 1e-30j * np.eye(len(beside))
        return np.stack([self._at(beside + step).imag / 1e-30 for step in steps], axis=2)

    @cached_property
    def _here(self):
        return self._at(self.beside_coef)

    @cached_property
    def _slopes(self):
        return self._slopes_at(self.beside_coef)

    def log_density(self):
        if not self.is_possible:
            return np.full(len(self.sizes), -np.inf)
        return self._here[:, 0]

    def score(self):
        return np.hstack([self._here[:, 1:], self._slopes[:, 0]])

    def hessian(self, weights):
        mass = self.subjects.total(weights[:, None])[:, 0] / self.sizes  # of each subject
        at = self.beside_coef
        (shrunk, _) = self._shrunk(self.beside_coef)
        taken = np.einsum("s,sip,sij,sjq->pq", mass, self.columns, shrunk, self.columns)
        of_coef = taken - weighted_grams(self.design, weights[:, None])[0]
        of_coef /= np.exp(2 * at[0])
        with_coef = np.tensordot(mass, self._slopes[:, 1:], 1)
        pairs = ((self._slopes_at(at + e), self._slopes_at(at - e)) for e in STEP * np.eye(len(at)))
        beside = [mass @ (up - down)[:, 0] for up, down in pairs]
        return np.block([[of_coef, with_coef], [with_coef.T, np.array(beside) / (2 * STEP)]])

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        covariance = likelihood.covariance_[k]
        scales = np.maximum(np.sqrt(np.diag(covariance)), 1e-150)  # of none is a number
        correlations = [covariance[i, j] / (scales[i] * scales[j]) for i, j in cls.pairs]
        logs = np.log([likelihood.scale_[k], *scales])
        return np.hstack([expert.intercept_, expert.coef_, logs, correlations])[None]

    @classmethod
    def at_bound(cls, logs, likelihood):
        units = np.linalg.inv(likelihood.effect_units_)
        at_end = []
        for (of_expert,) in logs:
            least = np.linalg.eigvalsh(units @ cls.relative_covariance(of_expert) @ units.T)[0]
            at_floor = np.exp(of_expert[0]) <= 1.001 * likelihood.floor_
            at_end.append(at_floor or least <= SMALLEST_RATIO)
        return np.array(at_end)
