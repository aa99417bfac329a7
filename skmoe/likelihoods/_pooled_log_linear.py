"""What pooled experts leave of log-linear likelihoods: means whose logarithms are uncertain."""

import numpy as np
from scipy import special

from ..distributions import NegativeBinomialComponents
from ._counts import Poisson
from ._log_linear_terms import PoissonTerms
from ._uncertain import UncertainCoefficients

SMALLEST_VARIANCE = 1e-12


class PooledPoisson(UncertainCoefficients, Poisson):
    r"""Predictive distribution of counts around experts with partially pooled coefficients.

    The logarithm of the mean of an expert is known up to a variance :math:`v = x^T C_k x`, and the
    mean counts as a Gamma variable whose logarithm has this variance, of shape :math:`\theta`,

    .. math:: y \mid x, k \sim \mathrm{NegativeBinomial}(\mu, \theta), \quad \psi'(\theta) = v,
        \quad \log \mu = x^T \mathrm{E}\, b_k + \log \theta - \psi(\theta)

    with the digamma function :math:`\psi`. A fit with ``pooling`` makes it of
    :class:`~skmoe.likelihoods.Poisson`.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, 1, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    outside_var_ : ndarray of shape (1,)
        Variance per unit of squared distance from the space of the rows of ``fit``.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    transformer_ : Pipeline or None
        Makes what the experts see of X.
    """

    per_expert = ("coef_cov_",)
    posterior_terms = PoissonTerms

    def take(self, experts, resp, transformer):
        """Take what pooled experts have learned.

        Parameters
        ----------
        experts : PooledLogLinearExperts
            Trained.
        resp : ndarray of shape (n_samples, n_experts)
            Responsibilities.
        transformer : Pipeline or None
            Fitted; from X to what the experts see.
        """
        self.take_coefficients(experts, experts.posterior.coefficients, transformer)

    def for_batches(self):
        """Poisson's likelihood."""
        return self.into(Poisson())

    def scale_model_(self, X):
        """Standard deviations of the logarithms of the means, (n_samples, n_experts)."""
        return np.sqrt(self.variances(X)[:, :, 0])

    def components(self, prediction, experts=None, row_scale=None):
        """Distributions around the predictions.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts)
            Mean of each expert at the mean of its coefficients.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are; None is all experts in order.
        row_scale : ndarray of shape (n_samples, n_experts), default=None
            From ``scale_model_``, of all experts; None is zero.
        """
        if row_scale is None:
            return super().components(prediction, experts)
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts, axis=1)
        shape = inverse_trigamma(np.maximum(row_scale**2, SMALLEST_VARIANCE))
        mean = prediction * np.exp(np.log(shape) - special.digamma(shape))
        return NegativeBinomialComponents(mean, shape)


def inverse_trigamma(value):
    """Solve trigamma(x) = value, by Newton's method for 1 / trigamma(x), which is nearly linear.

    Parameters
    ----------
    value : ndarray
        Positive.

    Returns
    -------
    x : ndarray, shaped like value
        Positive.
    """
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = special.polygamma(1, x)
        step = trigamma * (1 - trigamma / value) / special.polygamma(2, x)
        x = x + step
        if np.all(np.abs(step) < 1e-12 * x):
            break
    return x
