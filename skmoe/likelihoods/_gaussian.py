"""Errors with a scale for each expert, and Gaussian ones."""

from abc import abstractmethod

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from .._doors import error_terms
from .._experts.fitting import offers
from .._numerics.columns import grid_step, variance_of, without_outliers
from ..distributions import CorrelatedComponents, GaussianComponents, StudentTComponents
from ..distributions._arrays import diagonal
from ._base import BaseLikelihood

KINDS = ("expert", "shared", "auto")
MOST_OF_BULK = 2.0  # variances of the rows that are no outliers: what the floor is a part of
NARROW = 1e-6  # an interval, in units of the scale, whose moments are those of its middle


class ScaledErrors(BaseLikelihood):
    """Errors around the predictions with a scale for each expert.

    A subclass says what the distribution around a prediction is, ``_around``, and how residuals
    make scales, ``_learn``, if not by their mean square. One that ``takes_upper`` says what the
    moments of its standardised errors between bounds are, ``_between``, if not those of Gaussian
    ones: experts are fitted on what their target is expected to be, given that it lies within its
    bounds, and scales from the expected squares of the errors [1]_.

    References
    ----------
    .. [1] G. J. McLachlan and T. Krishnan, "The EM algorithm and extensions", 2nd edition, Wiley
       (2008), sections 2.6 and 5.8.
    """

    per_expert = learned_logs = ("scale_",)

    def start(self, y, weight, n_experts):
        within = without_outliers(y, weight)
        bulk = variance_of(y, within)
        if self.is_robust:  # variance and floor are not made of outliers
            weight = within
        self._variance = variance_of(y, weight)
        if (weight > 0).all():
            used = y
        else:
            used = y[weight > 0]
        columns = used.reshape(len(used), -1)
        steps = np.array([grid_step(column) for column in columns.T])
        if not (y.ndim == 2):
            steps = steps[0]
        largest = np.maximum(columns.max(axis=0), -columns.min(axis=0))
        self._bulk_variance = np.minimum(self._variance, MOST_OF_BULK * bulk)
        self._set_floor(steps, largest if y.ndim == 2 else largest[0])
        return self

    def _set_floor(self, step, largest):
        """Smallest scale allowed, from the step of the target's grid and its largest value."""
        floor = np.sqrt(np.maximum(1e-6 * self._bulk_variance, step**2 / 12))
        self.floor_ = np.maximum(np.maximum(floor, 8 * np.finfo(float).eps * largest), 1e-120)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0, row_scale=None):
        residuals = y[:, None] - prediction
        if row_scale is not None:
            residuals /= self._shaped(row_scale, prediction)
        self._learn(residuals, weights, penalty, pooled_rows)

    @staticmethod
    def _shaped(row_scale, prediction):
        """``row_scale`` with as many axes as the predictions have."""
        return row_scale.reshape(row_scale.shape + (1,) * (prediction.ndim - row_scale.ndim))

    def _learn(self, residuals, weights, penalty, pooled_rows):
        """``update`` from the residuals (n, K) or (n, K, n_outputs)."""
        squares = np.einsum("nk,nk...->k...", weights, residuals**2)
        self._set_scale(weights.sum(axis=0), squares + penalty, pooled_rows)

    def _set_scale(self, mass, squares, pooled_rows):
        """Scales from weights (K,) and weighted sums of squares (K,) or (K, n_outputs)."""
        mass = mass.reshape(mass.shape + (1,) * (squares.ndim - 1))
        variance = np.where(mass > 0, squares / np.where(mass > 0, mass, 1.0), self._variance)
        if pooled_rows > 0:
            log_variance = np.log(np.maximum(variance, self.floor_**2))
            pooled = np.exp((mass * log_variance).sum(axis=0) / mass.sum())
            variance = (mass * variance + pooled_rows * pooled) / (mass + pooled_rows)
        self.scale_ = np.maximum(np.sqrt(variance), self.floor_)

    def log_density(self, y, prediction, experts=None, row_scale=None):
        return self.components(prediction, experts, row_scale).logpdf(y[:, None])

    def components(self, prediction, experts=None, row_scale=None):
        if experts is None:
            everyone = slice(None)
        else:
            everyone = experts
        scale = self.scale_[everyone]
        if row_scale is not None:
            scale = scale * self._shaped(row_scale, prediction)
        return self._around(prediction, scale, everyone)

    @abstractmethod
    def _around(self, prediction, scale, experts):
        """``components``; ``experts`` indexes what each expert has one of."""

    def log_prior(self, penalty):
        """Log-prior of experts whose L2 penalty is in units of the squared scale.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            ``-sum(penalty / (2 * scale_**2))``.
        """
        return -0.5 * float((penalty / self.scale_**2).sum())

    def _keep_within_bounds(self):
        self.scale_ = np.maximum(self.scale_, self.floor_)

    @property
    def at_floor_(self):
        """Whether each expert's scale is the smallest allowed, for any output; (n_experts,)."""
        return (self.scale_ <= 1.001 * self.floor_).reshape(len(self.scale_), -1).any(axis=1)

    @property
    def precision_(self):
        """What a square of each expert counts, ``1 / scale_**2``; 1 before there are scales."""
        if self.scale_ is not None:
            return 1 / self.scale_**2
        return 1.0

    @property
    def n_parameters_(self):
        return self.scale_.size

    # Censored targets ------------------------------------------------------------------------

    def _moments(self, bounds, prediction):
        """Moments of the standardised errors within the bounds."""
        lower, upper = (self._on_scale(end)[:, None] for end in (bounds.lower, bounds.upper))
        return self._between((lower - prediction) / self.scale_, (upper - prediction) / self.scale_)

    def _on_scale(self, bound):
        """Bounds on the scale of the predictions."""
        return bound

    def _between(self, low, high):
        """For z between two ends (n, K): weight E u (None for ones), E uz / E u, and E uzz."""
        return gaussian_between(low, high)

    def expected_target(self, bounds, prediction):
        working, location, _ = self._moments(bounds, prediction)
        return prediction + self.scale_ * location, working

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if self.scale_ is None:
            # Only targets that were observed can lie on a grid by rounding.
            points = self.expert_target(bounds.points)
            observed = points[bounds.lower == bounds.upper]
            self._set_floor(grid_step(observed) if len(observed) else 0.0, np.abs(points).max())
            self.update(bounds.points, prediction, weights, penalty, pooled_rows)
            return
        *_, squares = self._moments(bounds, prediction)
        sums = np.einsum("nk,nk->k", weights, squares) * self.scale_**2
        self._learn_sums(weights.sum(axis=0), sums, penalty, pooled_rows)

    def _learn_sums(self, mass, squares, penalty, pooled_rows):
        """Scales from weights (K,) and weighted sums of squared errors (K,)."""
        self._set_scale(mass, squares + penalty, pooled_rows)


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

    covariance_ = None
    has_scale_free_mean = True

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
        if self.covariance_ is None:
            return own
        return (*own, "covariance_")

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
        self._is_full = False
        self._variance = variance
        self._bulk_variance = variance
        if np.ndim(variance):
            of_outputs = values
        else:
            of_outputs = [values]
        steps = np.array([0.0 if of is None else grid_step(of) for of in of_outputs])
        self._set_floor(steps if np.ndim(variance) else steps[0], largest)
        return self

    def scale_estimator(self):
        if not isinstance(self.scale, str):
            return self.scale
        if self.scale == "auto":
            return RandomForestRegressor(50, min_samples_leaf=20)
        return None

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
        self._mass = mass
        self._squares = squares
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
        mass = self._mass
        squares = self._squares
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
        of_one = self.scale_[0].size
        n_outputs = self.scale_[0].size
        if self._is_full:
            of_one = n_outputs * (n_outputs + 1) // 2
        if self.scale == "shared":
            return of_one
        return of_one * len(self.scale_)

    def terms(self):
        if self.scale_model_ is not None or self.covariance_ is not None:
            return None
        return error_terms().GaussianTerms.of(is_shared=self._is_shared)

    def censored_terms(self):
        return error_terms().GaussianTerms.of(is_shared=self._is_shared, is_censored=True)

    @property
    def _is_shared(self):
        return isinstance(self.scale, str) and self.scale == "shared"


# Moments of standardised errors between bounds ---------------------------------------------------


def gaussian_between(low, high):
    """Weight (None: one), mean and mean square of standard Gaussian variables between two ends."""
    middle, is_narrow = _middle(low, high)
    log_mass = GaussianComponents(np.zeros(low.shape), 1.0).log_between(low, high)
    at_low = _density_ratio(low, log_mass)
    at_high = _density_ratio(high, log_mass)
    mean = np.where(is_narrow, middle, np.clip(at_low - at_high, low, high))
    squares = 1 + _finite(low) * at_low - _finite(high) * at_high
    return None, mean, np.where(is_narrow, middle**2, np.maximum(squares, mean**2))


def _density_ratio(z, log_mass):
    """Gaussian density at an end, over the probability between both."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_mass)


def student_between(low, high, df):
    r"""Mean weight, weighted mean and weighted square of Student's t variables between two ends.

    With the weight :math:`u = (\nu + 1) / (\nu + z^2)` of a value, the density times u is that of
    a t variable of :math:`\nu + 2` degrees of freedom and the scale
    :math:`\sqrt{\nu / (\nu + 2)}`, and the density times uz is minus the derivative of the density.
    """
    middle, is_narrow = _middle(low, high)
    standard = StudentTComponents(np.zeros(low.shape), 1.0, df)
    shrunken = StudentTComponents(np.zeros(low.shape), np.sqrt(df / (df + 2)), df + 2)
    log_mass = standard.log_between(low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        weight = np.exp(shrunken.log_between(low, high) - log_mass)
        at_low, at_high = (np.exp(standard.logpdf(end) - log_mass) for end in (low, high))
        mean = np.clip((at_low - at_high) / weight, low, high)
    weight = np.where(is_narrow, (df + 1) / (df + middle**2), weight)
    mean = np.where(is_narrow, middle, mean)
    squares = np.maximum(df + 1 - df * weight, weight * mean**2)
    return weight, mean, np.where(is_narrow, weight * middle**2, squares)


def _middle(low, high):
    """Middles of the intervals, and whether these are so narrow that they are all that matters."""
    with np.errstate(invalid="ignore"):
        width = high - low
    is_narrow = width < NARROW
    return np.where(is_narrow, low + 0.5 * np.where(is_narrow, width, 0.0), 0.0), is_narrow


def _finite(z):
    return np.where(np.isfinite(z), z, 0.0)
