"""Gaussian errors around the prediction of an expert."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils.metaestimators import available_if

from ..distributions import GaussianComponents
from ._scaled import ScaledErrors

KINDS = ("expert", "shared", "auto")


class Gaussian(ScaledErrors):
    r"""Gaussian errors with a standard deviation for each expert.

    .. math:: y \mid x, k \sim N(\mu_k(x), \sigma_k^2)

    Several outputs have a standard deviation each and are independent within an expert.
    :math:`\sigma_k^2` is the weighted mean squared residual, but at least
    :math:`\max(10^{-6} \operatorname{var}(y), \delta^2 / 12)`, where :math:`\delta` is the step
    of the grid on which y lies, if it lies on one: the variance of the rounding error.

    Parameters
    ----------
    scale : {"expert", "shared", "auto"} or regressor, default="expert"
        "expert" is a standard deviation for each expert, "shared" one for all of them. A regressor
        makes errors wider for some rows than for others, whatever the expert:
        :math:`\sigma_k(x) = \sigma_k s(x)`. After EM under constant scales it learns the squared
        errors, each in units of its expert's variance, from the row [1]_, out of fold unless it
        is linear; a power of what it predicts is :math:`s(x)^2`, between 0.05 and 20, and EM goes
        on with that. "auto" does so with a random forest, and stays with "expert" unless the
        log-density of a row gains 0.01 and two standard errors of the gain.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Standard deviations :math:`\sigma_k`, in the units of y.
    spread_model_ : callable or None
        From rows to :math:`s(x)` (n, 1); None for constant scales.
    floor_ : float or ndarray of shape (n_outputs,)
        The smallest standard deviation allowed.

    References
    ----------
    .. [1] M. Davidian and R. J. Carroll, "Variance function estimation", Journal of the American
       Statistical Association 82 (1987) 1079-1091.

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
    spread_model_ = None

    def __init__(self, scale="expert"):
        self.scale = scale

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

        Raises
        ------
        ValueError
            If ``scale`` is none of what it can be.
        """
        known = isinstance(self.scale, str) and self.scale in KINDS
        if not known and not (hasattr(self.scale, "fit") and hasattr(self.scale, "predict")):
            raise ValueError(f"scale must be one of {KINDS} or a regressor; got {self.scale!r}.")
        return super().start(y, weight, n_experts)

    def spread_estimator(self):
        """The regressor of squared errors, unfitted, where the scale depends on the row.

        Returns
        -------
        estimator : estimator or None
            None for constant scales.
        """
        if not isinstance(self.scale, str):
            return self.scale
        return RandomForestRegressor(50, min_samples_leaf=20) if self.scale == "auto" else None

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

    @available_if(lambda self: isinstance(self.scale, str) and self.scale in ("expert", "shared"))
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
        mass, squares = self._mass, self._squares + penalty
        if isinstance(self.scale, str) and self.scale == "shared":
            squares = np.broadcast_to(squares.sum(axis=0), squares.shape)
            mass = np.full_like(mass, mass.sum())
        self._set_scale(mass, squares, self._pooled_rows)

    def _around(self, prediction, scale, experts):
        return GaussianComponents(prediction, scale)

    @property
    def n_parameters_(self):
        """Number of free parameters; None where a regressor has some too."""
        if self.spread_model_ is not None:
            return None
        return self.scale_[0].size if self.scale == "shared" else self.scale_.size
