"""Gaussian errors around the prediction of an expert."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from .._doors import error_terms
from .._experts.fitting import offers
from .._numerics.columns import grid_step
from ..distributions import CorrelatedComponents, GaussianComponents
from ..distributions._arrays import diagonal
from ._scaled import ScaledErrors

KINDS = ("expert", "shared", "auto")


class Gaussian(ScaledErrors):
    r"""Gaussian errors with a standard deviation for each expert.

    .. math:: y \mid x, k \sim N(\mu_k(x), \sigma_k^2)

    Each of several outputs has a standard deviation; they are independent within an expert unless
    ``covariance="full"``. :math:`\sigma_k^2` is the weighted mean squared residual, but at least
    :math:`\max(10^{-6} \operatorname{var}(y), \delta^2 / 12)`, where :math:`\delta` is the rounding
    unit of y, or 0 if y is not rounded: the second is the variance of the rounding error.

    Parameters
    ----------
    scale : {"expert", "shared", "auto"} or regressor, default="expert"
        "expert" is a standard deviation for each expert, "shared" one for all of them. With a
        regressor errors are heteroscedastic, :math:`\sigma_k(x) = \sigma_k s(x)`: after EM with
        constant scales it is fitted to the squared errors in units of the variance of their expert
        [1]_, out of fold unless it is linear; a power of its predictions is :math:`s(x)^2`, between
        0.05 and 20, and EM continues. "auto" is a random forest, kept if it raises the mean
        log-density by 0.01 and by two standard errors.

    covariance : {"diag", "full"}, default="diag"
        Covariance of several outputs within an expert. "full" has m (m + 1) / 2 parameters for m
        outputs; in units of the smallest standard deviations, all its eigenvalues are at least one.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Standard deviations :math:`\sigma_k`, in the units of y.
    covariance_ : ndarray of shape (n_experts, n_outputs, n_outputs) or None
        Full covariances.
    scale_model_ : callable or None
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
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=1, training="em", likelihood=Gaussian()
    ... ).fit(X, y)
    >>> moe.likelihood_.scale_.round(2)
    array([0.12])
    """

    name = "gaussian"

    covariance_, has_scale_free_mean = None, True

    def __init__(self, scale="expert", *, covariance="diag"):
        self.scale = scale
        self.covariance = covariance

    @property
    def has_sums(self):
        """Whether sums over rows are sufficient: if scales do not depend on the row."""
        return isinstance(self.scale, str) and self.scale in ("expert", "shared")

    @property
    def can_be_pooled(self):
        """Whether partial pooling can learn it: with constant scales and independent outputs."""
        return self.has_sums and self.covariance == "diag"

    @property
    def takes_upper(self):
        """Whether targets may be censored: if scales do not depend on the row."""
        return self.scale_estimator() is None

    @property
    def per_expert(self):
        """Names of the fitted attributes whose first axis are the experts."""
        own = ("scale_", "_mass", "_squares")
        return own if self.covariance_ is None else (*own, "covariance_")

    def start(self, y, weight, n_experts):
        known = isinstance(self.scale, str) and self.scale in KINDS
        if not known and not offers(self.scale, "fit", "predict"):
            raise ValueError(f"scale must be one of {KINDS} or a regressor; got {self.scale!r}.")
        if self.covariance not in ("diag", "full"):
            raise ValueError(f'covariance must be "diag" or "full"; got {self.covariance!r}.')
        self._is_full = self.covariance == "full" and y.ndim == 2
        return super().start(y, weight, n_experts)

    def start_from_sums(self, variance, values, largest):
        """Like ``start``, for a target whose rows are not in memory.

        Parameters
        ----------
        variance : float or ndarray of shape (n_outputs,)
            Weighted variance of the target.
        values : ndarray or None, or list of these
            Its distinct values, a list for several outputs; None if there are too many for a grid.
        largest : float or ndarray of shape (n_outputs,)
            Its largest absolute value.

        Returns
        -------
        self : Gaussian
            With ``floor_`` set.
        """
        self._is_full, self._variance, self._bulk_variance = False, variance, variance
        of_outputs = values if np.ndim(variance) else [values]
        steps = np.array([0.0 if of is None else grid_step(of) for of in of_outputs])
        self._set_floor(steps if np.ndim(variance) else steps[0], largest)
        return self

    def scale_estimator(self):
        if not isinstance(self.scale, str):
            return self.scale
        return RandomForestRegressor(50, min_samples_leaf=20) if self.scale == "auto" else None

    def _learn(self, residuals, weights, penalty, pooled_rows):
        self.update_from_sums(*self._sum(residuals, weights), penalty, pooled_rows)

    def _learn_sums(self, mass, squares, penalty, pooled_rows):
        self.update_from_sums(mass, squares, penalty, pooled_rows)

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

    @property
    def independent_outputs(self):
        """Whether the errors of several outputs are independent."""
        return self.covariance == "diag"

    learns_batches = has_sums

    def learn_batch(self, y, prediction, weights, penalty=0.0, *, keep, gain):
        mass, squares = self._sum(y[:, None] - prediction, weights)
        self._mass = keep * self._mass + gain * mass
        self._squares = keep * self._squares + gain * squares
        self._refresh(penalty)

    def _sum(self, residuals, weights):
        """Weights (K,) and weighted sums of squares, or of products (K, n_outputs, n_outputs)."""
        if not self._is_full:
            return weights.sum(axis=0), np.einsum("nk,nk...->k...", weights, residuals**2)
        products = [(r.T * w) @ r for r, w in zip(residuals.swapaxes(0, 1), weights.T, strict=True)]
        return weights.sum(axis=0), np.stack(products)

    def _refresh(self, penalty):
        mass, squares = self._mass, self._squares
        if self._is_full:
            penalty = diagonal(np.broadcast_to(penalty, squares.shape[:2]))
        squares = squares + penalty
        if self._is_shared:
            squares = np.broadcast_to(squares.sum(axis=0), squares.shape)
            mass = np.full_like(mass, mass.sum())
        if self._is_full:
            self._set_covariance(mass, squares, self._pooled_rows)
        else:
            self._set_scale(mass, squares, self._pooled_rows)

    def _set_covariance(self, mass, products, pooled_rows):
        """Covariances, in no direction narrower than the floors."""
        mass = mass[:, None, None]
        alone = np.diag(self._variance)
        covariance = np.where(mass > 0, products / np.where(mass > 0, mass, 1.0), alone)
        if pooled_rows > 0:
            pooled = (mass * covariance).sum(axis=0) / mass.sum()
            covariance = (mass * covariance + pooled_rows * pooled) / (mass + pooled_rows)
        in_floors = covariance / np.outer(self.floor_, self.floor_)
        values, vectors = np.linalg.eigh(in_floors)
        if values.min() < 1:
            in_floors = (vectors * np.maximum(values, 1.0)[:, None]) @ vectors.swapaxes(1, 2)
        self.covariance_ = in_floors * np.outer(self.floor_, self.floor_)
        self.scale_ = np.sqrt(np.diagonal(self.covariance_, axis1=1, axis2=2))

    def _around(self, prediction, scale, experts):
        if not self._is_full:
            return GaussianComponents(prediction, scale)
        factor = np.linalg.cholesky(self.covariance_)[experts]
        if scale.ndim > 2:  # of each row
            factor = factor * (scale / self.scale_[experts])[..., None]
        return CorrelatedComponents(prediction, factor)

    def log_prior(self, penalty):
        # For full covariances, the diagonal of the inverse replaces ``1 / scale_**2``.
        if not self._is_full:
            return super().log_prior(penalty)
        precision = np.diagonal(np.linalg.inv(self.covariance_), axis1=1, axis2=2)
        return -0.5 * float(np.sum(penalty * precision))

    @property
    def n_parameters_(self):
        if self.scale_model_ is not None:
            return None
        of_one, n_outputs = self.scale_[0].size, self.scale_[0].size
        if self._is_full:
            of_one = n_outputs * (n_outputs + 1) // 2
        return of_one if self.scale == "shared" else of_one * len(self.scale_)

    def terms(self):
        if self.scale_model_ is not None or self.covariance_ is not None:
            return None
        return error_terms().GaussianTerms.of(is_shared=self._is_shared)

    def censored_terms(self):
        return error_terms().GaussianTerms.of(is_shared=self._is_shared, is_censored=True)

    @property
    def _is_shared(self):
        return isinstance(self.scale, str) and self.scale == "shared"
