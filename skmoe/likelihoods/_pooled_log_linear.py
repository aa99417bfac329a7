r"""What pooled experts leave of log-linear likelihoods: means whose logarithms are uncertain.

The logarithm of the mean of an expert is known up to a variance :math:`v = x^T C_k x`. Predictive
distributions are those of the likelihood that are left when the mean, or the target, counts as a
Gamma variable whose logarithm has the mean and variance that it has under the posterior. The mean
of an average over log-normal means would grow as :math:`\exp(v / 2)` far from the rows of ``fit``,
and all but a few of the targets would be far below it.
"""

import numpy as np
from scipy import special, stats

from .._numerics.gamma_shapes import inverse_trigamma
from ..distributions import NegativeBinomialComponents, ScipyComponents
from ._counts import Poisson
from ._gamma import Gamma
from ._uncertain import UncertainFunction

SMALLEST_VARIANCE = 1e-12  # of a logarithm


class _UncertainMeans(UncertainFunction):
    """What the likelihoods below share."""

    def components(self, prediction, experts=None, row_scale=None):
        """``row_scale``, from ``scale_model_``, is of all experts, and None is zero."""
        if row_scale is None:
            return super().components(prediction, experts)
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts, axis=1)
        variance = np.maximum(row_scale**2, SMALLEST_VARIANCE)
        return self._averaged(prediction, variance, slice(None) if experts is None else experts)


class PooledPoisson(_UncertainMeans, Poisson):
    r"""Predictive distribution of counts around experts with partially pooled coefficients.

    .. math:: y \mid x, k \sim \mathrm{NegativeBinomial}(E \, \mu, \theta), \quad \psi'(\theta) = v,
        \quad \log \mu = x^T \mathrm{E}\, b_k + \log \theta - \psi(\theta)

    with the exposure E and the digamma function :math:`\psi`. A fit with ``pooling`` makes it of
    :class:`~skmoe.likelihoods.Poisson`.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, 1, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    own_var_, shared_var_ : ndarray of shape (1, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """

    per_expert = ("coef_cov_",)

    def for_batches(self):
        return self.into(Poisson())

    def _averaged(self, prediction, variance, experts):
        shape = inverse_trigamma(variance)
        return NegativeBinomialComponents(prediction * np.exp(_log_mean(shape)), shape)


class PooledGamma(_UncertainMeans, Gamma):
    r"""Predictive distribution of positive targets around pooled experts.

    .. math:: y \mid x, k \sim \mathrm{Gamma}(\theta, \mathrm{mean} = \mu), \quad
        \psi'(\theta) = \psi'(\nu_k) + v, \quad
        \log \mu = x^T \mathrm{E}\, b_k - \log \nu_k + \psi(\nu_k) + \log \theta - \psi(\theta)

    with the shape :math:`\nu_k` of the expert. A fit with ``pooling`` makes it of
    :class:`~skmoe.likelihoods.Gamma`.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`.
    coef_cov_ : ndarray of shape (n_experts, 1, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    own_var_, shared_var_ : ndarray of shape (1, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """

    per_expert = ("shape_", "coef_cov_", "_mass")

    def take(self, experts, sums):
        super().take(experts, sums)
        self.shape_, self._mass = experts.kind.shape, sums.mass

    def for_batches(self):
        return self.into(Gamma())

    def _averaged(self, prediction, variance, experts):
        own = self.shape_[experts]
        shape = inverse_trigamma(special.polygamma(1, own) + variance)
        mean = prediction * np.exp(_log_mean(shape) - _log_mean(own))
        return ScipyComponents(stats.gamma(shape, scale=mean / shape))


def _log_mean(shape):
    """Logarithm of the mean of a Gamma variable, less the mean of its logarithm."""
    return np.log(shape) - special.digamma(shape)
