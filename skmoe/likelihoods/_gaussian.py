"""Gaussian errors around the prediction of an expert."""

import copy

import numpy as np
from sklearn.base import BaseEstimator

from ..distributions import GaussianComponents


class Gaussian(BaseEstimator):
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

    def start(self, y, weight, n_experts):
        """Look at the target once before EM.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : Gaussian
            With ``floor_`` set.
        """
        share = weight / weight.sum()
        self._variance = share @ (y - share @ y) ** 2
        columns = y[weight > 0].reshape(np.count_nonzero(weight > 0), -1)
        steps = np.array([_grid_step(column) for column in columns.T])
        steps = steps if y.ndim == 2 else steps[0]
        floor = np.sqrt(np.maximum(1e-6 * self._variance, steps**2 / 12))
        rounding = 8 * np.finfo(float).eps * np.abs(columns).max(axis=0 if y.ndim == 2 else None)
        self.floor_ = np.maximum(np.maximum(floor, rounding), 1e-100)
        return self

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        """Re-estimate the standard deviations.

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
        pooled_rows : float, default=0.0
            Each expert is given so many rows more, of the geometric mean of all the variances:
            an expert of few rows then does not trust them alone.
        """
        self._sums = self._sum(y, prediction, weights)
        self._pooled_rows = pooled_rows
        self._set_scale(penalty)

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
        batch = self._sum(y, prediction, weights)
        self._sums = [keep * s + gain * b for s, b in zip(self._sums, batch, strict=True)]
        self._set_scale(penalty)

    def _sum(self, y, prediction, weights):
        squares = np.einsum("nk,nk...->k...", weights, (y[:, None] - prediction) ** 2)
        return [weights.sum(axis=0), squares]

    def _set_scale(self, penalty):
        mass, squares = self._sums
        squares = squares + penalty
        mass = mass.reshape(mass.shape + (1,) * (squares.ndim - 1))
        variance = np.where(mass > 0, squares / np.where(mass > 0, mass, 1.0), self._variance)
        if self._pooled_rows > 0:
            log_variance = np.log(np.maximum(variance, self.floor_**2))
            pooled = np.exp((mass * log_variance).sum(axis=0) / mass.sum())
            variance = (mass * variance + self._pooled_rows * pooled) / (mass + self._pooled_rows)
        self.scale_ = np.maximum(np.sqrt(variance), self.floor_)

    def log_density(self, y, prediction, experts=None):
        """Log-density of each row under each expert.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are, where each row has k of the experts; None is all of
            them in order.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs.
        """
        return self.components(prediction, experts).logpdf(y[:, None])

    def components(self, prediction, experts=None):
        """Distributions around the predictions.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are; None is all experts in order.

        Returns
        -------
        components : GaussianComponents
            One for each row and expert.
        """
        scale = self.scale_ if experts is None else self.scale_[experts]
        return GaussianComponents(prediction, scale)

    def log_prior(self, penalty):
        """Log-prior of experts whose L2 penalty is in units of the error variance.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            ``-sum(penalty / (2 * scale_**2))``.
        """
        return -0.5 * float(np.sum(penalty / self.scale_**2))

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_kept,)
            A permutation, or a part of one.
        """
        self.scale_ = self.scale_[order]
        self._sums = [s[order] for s in self._sums]

    def extended(self, other, k):
        """A likelihood with one expert more, the last.

        Parameters
        ----------
        other : Gaussian
            Fitted, of the same kind.
        k : int
            Number of its expert to take.

        Returns
        -------
        likelihood : Gaussian
            A new one, with the floor of this one.
        """
        twin = copy.copy(self)
        twin.scale_ = np.concatenate([self.scale_, other.scale_[k : k + 1]])
        twin._sums = [
            np.concatenate([s, o[k : k + 1]]) for s, o in zip(self._sums, other._sums, strict=True)
        ]
        return twin

    @property
    def n_parameters_(self):
        """Number of free parameters."""
        return self.scale_.size


def _grid_step(y):
    """Step of the regular grid that the values of y lie on and mostly fill, else 0.

    Three distinct values at least must lie on it and fill a quarter of its places in their
    range. The answer depends on the distinct values alone, so that a repeated row changes
    nothing.
    """
    values = np.unique(y)
    if len(values) < 3:
        return 0.0
    step = np.diff(values).min()
    places = (values - values[0]) / step
    off_grid = np.abs(places - np.round(places)) > 1e-6 * np.maximum(places, 1.0)
    if off_grid.any() or len(values) < 0.25 * (places[-1] + 1):
        return 0.0
    return step
