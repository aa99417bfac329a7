"""What pooled experts leave of the Gaussian likelihood: Student's t around uncertain lines."""

import copy

import numpy as np

from .._doors import error_terms
from .._experts.pooled import FEWEST_DF
from ..distributions import StudentTComponents
from ..distributions._student_t import IndependentStudentT
from ._gaussian import Gaussian
from ._uncertain import UncertainCoefficients


class PooledGaussian(UncertainCoefficients, Gaussian):
    r"""Predictive distribution around experts with partially pooled coefficients.

    Coefficients and precision of an expert have a posterior, and a new target is

    .. math:: y \mid x, k \sim t_{\nu_k}(\mu_k(x), \sqrt{\sigma_k^2 + x^T C_k x})

    with the covariance :math:`C_k` of the coefficients and :math:`1 / \sigma_k^2` the posterior
    mean of the precision. A fit with ``training="pooled"`` makes it of
    :class:`~skmoe.likelihoods.Gaussian`.

    Parameters
    ----------
    scale : {"expert", "shared"}, default="expert"
        Whether each expert has an error variance of its own.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Scales :math:`\sigma_k`, in the units of y.
    df_ : ndarray, shaped like scale_
        Degrees of freedom.
    coef_cov_ : ndarray of shape (n_experts, n_outputs, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last; in squared units of y.
    own_var_, shared_var_ : ndarray of shape (n_outputs, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common; in squared units of y.
    log_scale_precision_ : ndarray, shaped like scale_
        Prior precisions of the logarithms of the scales, around their common level.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """

    per_expert = ("scale_", "df_", "log_scale_precision_", "coef_cov_", "_mass", "_squares")

    def __init__(self, scale="expert"):
        super().__init__(scale)

    def take(self, experts, sums):
        """Take what pooled experts have learned; sums are those at the last responsibilities."""
        shape = (experts.n_experts,) if experts.flat else (experts.n_experts, -1)
        unit = experts.y_scale
        posteriors = [precisions for _, precisions in experts.posteriors]
        precision = np.stack([each.mean for each in posteriors], axis=1)
        curvature = np.stack([each.log_scale_precision for each in posteriors], axis=1)
        coefficients = [coefficients for coefficients, _ in experts.posteriors]
        self.take_coefficients(experts, coefficients, unit)
        self.scale_ = (unit / np.sqrt(precision)).reshape(shape)
        self.df_ = experts.degrees_of_freedom(sums).reshape(shape)
        self.log_scale_precision_ = curvature.reshape(shape)
        self._mass = sums.mass
        self._squares = (self.scale_.T**2 * self._mass).T

    def extended(self, other, k):
        # The scale of the new expert is known as well as its rows tell.
        other = copy.copy(other)
        df = np.maximum(other._mass, FEWEST_DF)
        other.df_ = np.broadcast_to(df, other.scale_.T.shape).T
        other.log_scale_precision_ = np.full_like(other.scale_, np.inf)
        return super().extended(other, k)

    def widen(self, factor):
        self.scale_ = factor * self.scale_

    @property
    def at_floor_(self):
        """Whether each expert's errors are as small as the floor, for any output; (n_experts,).

        The floor is a part of every pooled variance.
        """
        at_floor = self.scale_**2 <= 2 * self.floor_**2
        return at_floor.reshape(len(self.scale_), -1).any(axis=1)

    def for_batches(self):
        plain = self.into(Gaussian(self.scale), but=("df_", "log_scale_precision_"))
        plain.update_from_sums(self._mass, self._squares)
        return plain

    def terms(self):
        return error_terms().PooledTerms

    def scale_model_(self, X):
        """Factors of the scales for rows, (n_samples, n_experts) or (..., n_outputs)."""
        variance = self.variances(X)
        return np.sqrt(1 + variance.reshape((len(variance), *self.scale_.shape)) / self.scale_**2)

    def components(self, prediction, experts=None, row_scale=None):
        """Distributions around the predictions; ``row_scale`` are factors for all experts."""
        if experts is None:
            return self._around(prediction, self.scale_ * row_scale, slice(None))
        rows = np.arange(len(experts))[:, None]
        return self._around(prediction, self.scale_[experts] * row_scale[rows, experts], experts)

    def _around(self, prediction, scale, experts):
        kind = StudentTComponents if prediction.ndim == 2 else IndependentStudentT
        return kind(prediction, scale, self.df_[experts])
