"""Gaussian components."""

import numpy as np
from scipy import special

from .._numerics.statistics import each_times
from ._arrays import take
from ._components import BaseComponents

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class GaussianComponents(BaseComponents):
    """Gaussian components, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Means.
    std : ndarray that broadcasts against ``mean``
        Standard deviations, such as one for each expert, (n_experts,) or (n_experts, n_outputs);
        outputs are independent within an expert.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import GaussianComponents
    >>> two = GaussianComponents(np.array([[-1.0, 1.0]]), np.array([0.5, 2.0]))
    >>> two.cdf(-1.0).round(3)
    array([[0.5  , 0.159]])
    """

    def __init__(self, mean, std):
        self.mean = mean
        self._given_std = std
        self.std = np.broadcast_to(std, mean.shape)

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self.std**2

    def logpdf(self, y):
        log_scale = np.log(self._given_std) + _HALF_LOG_2PI  # it may be the same for all rows
        log_density = -0.5 * ((y - self.mean) / self.std) ** 2 - log_scale
        if self.mean.ndim == 3:
            return log_density.sum(axis=2)
        return log_density

    def cdf(self, y):
        return special.ndtr((y - self.mean) / self.std)

    def sf(self, y):
        return special.ndtr((self.mean - y) / self.std)

    def logcdf(self, y):
        return special.log_ndtr((y - self.mean) / self.std)

    def logsf(self, y):
        return special.log_ndtr((self.mean - y) / self.std)

    def ppf(self, q):
        return self.mean + self.std * special.ndtri(q)

    def crps(self, weights, y):
        r"""Continuous ranked probability score of the mixture, in closed form.

        .. math:: \sum_k \pi_k A(y - \mu_k, \sigma_k) - \tfrac{1}{2} \sum_{jk} \pi_j \pi_k
            A\bigl(\mu_j - \mu_k, \sqrt{\sigma_j^2 + \sigma_k^2}\bigr)

        where A is the mean of the absolute value of a Gaussian variable [1]_.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Weights of the components.
        y : float or ndarray that broadcasts against ``mean``
            Targets.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            For each output separately.

        References
        ----------
        .. [1] E. P. Grimit, T. Gneiting, V. J. Berrocal and N. A. Johnson, "The continuous
           ranked probability score for circular variables and its application to mesoscale
           forecast ensemble verification", Quarterly Journal of the Royal Meteorological
           Society 132 (2006) 2925-2942.
        """
        gap = _mean_absolute(y - self.mean, self.std)
        for k in range(weights.shape[1]):
            spread = np.hypot(self.std[:, [k]], self.std)
            between = _mean_absolute(self.mean[:, [k]] - self.mean, spread)
            gap[:, k] -= 0.5 * np.einsum("nj,nj...->n...", weights, between)
        return np.einsum("nk,nk...->n...", weights, gap)

    def output(self, j):
        return GaussianComponents(self.mean[..., j], self.std[..., j])

    def rvs(self, places, random_state):
        mean = take(self.mean, places)
        std = take(self.std, places)
        return mean + std * random_state.standard_normal(mean.shape)


class CorrelatedComponents(GaussianComponents):
    """Gaussian components of several outputs that are correlated within an expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts, n_outputs)
        Means.
    factor : ndarray of shape (..., n_outputs, n_outputs)
        Lower Cholesky factors of the covariances, such as one for each expert; broadcasts to
        (n_samples, n_experts, n_outputs, n_outputs).

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import CorrelatedComponents
    >>> factor = np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]])
    >>> component = CorrelatedComponents(np.zeros((1, 1, 2)), factor)
    >>> component.logpdf(np.array([1.0, 1.0])).round(2)
    array([[-1.88]])
    """

    def __init__(self, mean, factor):
        super().__init__(mean, np.sqrt((factor**2).sum(axis=-1)))
        self.factor = factor

    def logpdf(self, y):
        whitened = each_times(np.linalg.inv(self.factor), y - self.mean)
        log_det = np.log(np.diagonal(self.factor, axis1=-2, axis2=-1)).sum(axis=-1)
        return -0.5 * (whitened**2).sum(axis=2) - log_det - self.mean.shape[2] * _HALF_LOG_2PI

    @property
    def cov(self):
        cov = self.factor @ self.factor.swapaxes(-1, -2)
        return np.broadcast_to(cov, (*self.mean.shape, self.mean.shape[2]))

    def rvs(self, places, random_state):
        mean = take(self.mean, places)
        factor = np.broadcast_to(self.factor, (*self.mean.shape, self.mean.shape[2]))
        return mean + each_times(take(factor, places), random_state.standard_normal(mean.shape))


def _mean_absolute(mean, std):
    """Mean of the absolute value of Gaussian variables."""
    z = mean / std
    return std * 2 * np.exp(-0.5 * z**2 - _HALF_LOG_2PI) + mean * (2 * special.ndtr(z) - 1)
