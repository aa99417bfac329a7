r"""Derivatives of the log-density of subjects with random intercepts.

With residuals r and weights w of the n rows of a subject (n the sum of the weights), its sums
:math:`S = \sum w r` and :math:`W = \sum w r^2 - S^2 / n`, and :math:`D = \sigma^2 + n \tau^2`,

.. math:: \log f = -\frac{n}{2} \log 2 \pi - (n - 1) \log \sigma - \frac{1}{2} \log D
    - \frac{W}{2 \sigma^2} - \frac{S^2}{2 n D}.
"""

import numpy as np

from .._numerics.grams import weighted_grams
from ._terms import ExpertTerms

SMALLEST_RATIO = 1e-5  # of the variance between subjects over that within; below, it is none


class RandomInterceptTerms(ExpertTerms):
    """Lines with Gaussian errors, around whose intercepts subjects vary.

    Attributes
    ----------
    subjects : Subjects
        Which rows belong to which subject; log-densities and scores are those of subjects.
    """

    logs_of = ("scale_", "subject_scale_")
    standardises = joins_rows = True
    n_scales = 2
    at_bound_message = (
        "Within {names} errors are next to none, or subjects do not differ: there a variance is at "
        "the end of what is allowed, and has no standard error. Ask for fewer experts, or set "
        "likelihood='gaussian'."
    )

    def __init__(self, theta, design, target, subjects):
        super().__init__(theta, design, target)
        self.subjects, self.sizes = subjects, subjects.sizes
        self.within, self.between = np.exp(2 * self.logs[:, 0])  # variances
        self.total = self.within + self.sizes * self.between  # of the sum of a subject, over n
        self.residuals = (target - self.predictors)[:, 0]
        self.sums = subjects.weighted_sum(self.residuals)
        self.columns = subjects.weighted_sum(design)
        squares = subjects.weighted_sum(self.residuals**2)
        self.squares = np.maximum(squares - self.sums**2 / self.sizes, 0.0)
        # Derivatives of the log-density by ``total``.
        means = self.sums**2 / self.sizes / self.total
        self.slope = 0.5 * (means - 1) / self.total
        self.bend = (0.5 - means) / self.total**2

    def log_density(self):
        of_size = self.sizes * np.log(2 * np.pi) + 2 * (self.sizes - 1) * self.logs[0]
        of_sums = np.log(self.total) + self.sums**2 / self.sizes / self.total
        return -0.5 * (of_size + of_sums + self.squares / self.within)

    def _coef_scores(self):
        """Derivatives by the coefficients within and between subjects, (n_subjects, n_columns)."""
        products = self.subjects.weighted_sum(self.design * self.residuals[:, None])
        of_means = self.columns * (self.sums / self.sizes)[:, None]
        return (products - of_means) / self.within, of_means / self.total[:, None]

    def score(self):
        within, between = self._coef_scores()
        by_within = self.squares / self.within - (self.sizes - 1) + 2 * self.within * self.slope
        by_between = 2 * self.sizes * self.between * self.slope
        return np.column_stack([within + between, by_within, by_between])

    def hessian(self, weights):
        mass = self.subjects.total(weights[:, None])[:, 0] / self.sizes  # of each subject
        own, shared = 2 * self.within, 2 * self.sizes * self.between  # derivatives of ``total``
        of_rows = weighted_grams(self.design, weights[:, None] / self.within)[0]
        gap = mass / self.sizes * (1 / self.within - 1 / self.total)
        of_coef = weighted_grams(self.columns, gap[:, None])[0] - of_rows
        within, between = self._coef_scores()
        by_total = between / self.total[:, None]
        with_logs = np.stack(
            [-mass @ (2 * within + own * by_total), -(mass * shared) @ by_total], axis=1
        )
        of_both = mass @ (own * shared * self.bend)
        of_own = 2 * own * self.slope + own**2 * self.bend - 2 * self.squares / self.within
        of_shared = 2 * shared * self.slope + shared**2 * self.bend
        of_logs = np.array([[mass @ of_own, of_both], [of_both, mass @ of_shared]])
        return np.block([[of_coef, with_logs], [with_logs.T, of_logs]])

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        coef = np.append(expert.intercept_, expert.coef_)
        scales = np.array([likelihood.scale_[k], likelihood.subject_scale_[k]])
        return np.append(coef, np.log(np.maximum(scales, 1e-300)))[None]  # of none is a number

    @classmethod
    def at_bound(cls, logs, likelihood):
        within, between = np.exp(logs[:, 0]).T
        is_at_end = between**2 <= SMALLEST_RATIO * within**2
        return (within <= 1.001 * likelihood.floor_) | is_at_end
