"""Gaussian errors around the prediction of an expert."""

import numpy as np

from ..distributions import GaussianComponents
from ._scaled import ScaledErrors


class Gaussian(ScaledErrors):
    r"""Gaussian errors with a standard deviation for each expert.

    .. math:: y \mid x, k \sim N(\mu_k(x), \sigma_k^2)

    Several outputs have a standard deviation each and are independent within an expert.
    :math:`\sigma_k^2` is the weighted mean squared residual, but at least
    :math:`\max(10^{-6} \operatorname{var}(y), \delta^2 / 12)`, where :math:`\delta` is the step
    of the grid on which y lies, if it lies on one: the variance of the rounding error.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Standard deviations, in the units of y.
    floor_ : float or ndarray of shape (n_outputs,)
        The smallest standard deviation allowed.

    Examples
    --------
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import Gaussian
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.1, 1.9, 3.0]
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=Gaussian()).fit(X, y)
    >>> moe.likelihood_.scale_.round(2)
    array([0.07])
    """

    _of_experts = ("scale_", "_mass", "_squares")

    def _learn(self, squares, weights, penalty, pooled_rows):
        self.update_from_sums(*self._sum(squares, weights), penalty, pooled_rows)

    def update_from_sums(self, mass, squares, penalty=0.0, pooled_rows=0.0):
        """Re-estimate the standard deviations from sums over the rows.

        Parameters
        ----------
        mass : ndarray of shape (n_experts,)
            Sums of the weights.
        squares : ndarray of shape (n_experts,) or (n_experts, n_outputs)
            Weighted sums of the squares of the residuals.
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs), default=0.0
            As in ``update``.
        pooled_rows : float, default=0.0
            As in ``update``.
        """
        self._mass, self._squares = mass, squares
        self._pooled_rows = pooled_rows
        self._refresh(penalty)

    def learn_batch(self, y, prediction, weights, penalty=0.0, *, keep, gain):
        """Re-estimate the standard deviations from one more batch of rows.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs), default=0.0
            What the prior of the experts adds to their sum of squares.
        keep, gain : float
            Factors of the sums over the rows seen before, and over those of the batch.
        """
        mass, squares = self._sum((y[:, None] - prediction) ** 2, weights)
        self._mass = keep * self._mass + gain * mass
        self._squares = keep * self._squares + gain * squares
        self._refresh(penalty)

    def _sum(self, squares, weights):
        return weights.sum(axis=0), np.einsum("nk,nk...->k...", weights, squares)

    def _refresh(self, penalty):
        self._set_scale(self._mass, self._squares + penalty, self._pooled_rows)

    def _around(self, prediction, experts):
        return GaussianComponents(prediction, self.scale_[experts])
