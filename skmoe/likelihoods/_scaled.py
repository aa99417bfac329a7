"""What likelihoods with a scale for each expert share."""

from abc import abstractmethod

import numpy as np

from .._numerics.columns import grid_step, variance_of, without_outliers
from ..distributions import GaussianComponents, StudentTComponents
from ._base import BaseLikelihood

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
        used = y if (weight > 0).all() else y[weight > 0]
        columns = used.reshape(len(used), -1)
        steps = np.array([grid_step(column) for column in columns.T])
        steps = steps if y.ndim == 2 else steps[0]
        largest = np.maximum(columns.max(axis=0), -columns.min(axis=0))
        self._bulk_variance = np.minimum(self._variance, MOST_OF_BULK * bulk)
        self._set_floor(steps, largest if y.ndim == 2 else largest[0])
        return self

    def _set_floor(self, step, largest):
        """Smallest scale allowed, from the step of the target's grid and its largest value."""
        floor = np.sqrt(np.maximum(1e-6 * self._bulk_variance, step**2 / 12))
        rounding = 8 * np.finfo(float).eps * largest
        self.floor_ = np.maximum(np.maximum(floor, rounding), 1e-120)

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
        everyone = slice(None) if experts is None else experts
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
        return 1 / self.scale_**2 if self.scale_ is not None else 1.0

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


def gaussian_between(low, high):
    """Weight (None: one), mean and mean square of standard Gaussian variables between two ends."""
    middle, is_narrow = _middle(low, high)
    log_mass = GaussianComponents(np.zeros(low.shape), 1.0).log_between(low, high)
    at_low, at_high = _density_ratio(low, log_mass), _density_ratio(high, log_mass)
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
