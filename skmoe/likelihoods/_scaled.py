"""What likelihoods with a scale for each expert share."""

from abc import abstractmethod
from numbers import Real

import numpy as np

from ._base import BaseLikelihood
from ._outliers import without_outliers

SAME = 1e-12  # of the range of the target: values that are nearer differ by rounding
FEW_VALUES = 10_000
FIRST_DF = 4.0
DF_BOUNDS = (2.1, 200.0)  # of an estimate: a variance, and next to Gaussian
MOST_OF_BULK = 2.0  # variances of the rows that are no outliers: what the floor is a part of


class ScaledErrors(BaseLikelihood):
    """Errors around the predictions with a scale for each expert.

    A subclass says what the distribution around a prediction is, ``_around``, and how residuals
    make scales, ``_learn``, if not by their mean square.
    """

    per_expert = learned_logs = ("scale_",)

    def start(self, y, weight, n_experts):
        bulk = variance_of(y, without_outliers(y, weight))
        weight = self._bulk(y, weight)
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

    def _bulk(self, y, weight):
        """Weights of the rows that the variance is that of."""
        return weight

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


class TailedErrors(ScaledErrors):
    """Errors with degrees of freedom, ``df``: a number, or "estimate"."""

    def start(self, y, weight, n_experts):
        estimated = isinstance(self.df, str) and self.df == "estimate"
        if not estimated and not (isinstance(self.df, Real) and 2 < self.df < np.inf):
            raise ValueError(f'df must be a number above 2, or "estimate"; got {self.df!r}.')
        self.df_ = np.full(n_experts, FIRST_DF if estimated else float(self.df))
        return super().start(y, weight, n_experts)

    def _keep_within_bounds(self):
        super()._keep_within_bounds()
        if self.df == "estimate":
            self.df_ = np.clip(self.df_, *DF_BOUNDS)


class RobustErrors(ScaledErrors):
    """Errors with heavy tails, fitted by least squares with working weights.

    A subclass says what ``_working_weights(squares)`` are, and ``_improve`` takes a step that
    raises the likelihood; both see the squared residuals (n, K) or (n, K, n_outputs). Variance
    and floor are those of the bulk of the target, so that outliers do not make them.
    """

    is_robust = is_reweighted = True
    first_steps = 20  # from the scale of all residuals, outliers included, to a robust one

    def _bulk(self, y, weight):
        return without_outliers(y, weight)

    def _learn(self, residuals, weights, penalty, pooled_rows):
        squares, steps = residuals**2, 1
        if self.scale_ is None:
            super()._learn(residuals, weights, 0.0, pooled_rows)
            steps = self.first_steps
        for _ in range(steps):
            self._improve(squares, weights, penalty, pooled_rows)

    @abstractmethod
    def _improve(self, squares, weights, penalty, pooled_rows):
        """One more step of the scales."""

    def working_weights(self, y, prediction):
        return self._working_weights((y[:, None] - prediction) ** 2)

    @abstractmethod
    def _working_weights(self, squares):
        """``working_weights`` from the squared residuals."""


def grid_step(y):
    """Step of the regular grid that the values of y lie on and mostly fill, else 0.

    Three distinct values at least must lie on it and fill a quarter of its places in their
    range. The answer depends on the distinct values alone, so that a repeated row changes
    nothing.
    """
    few = _distinct(y[:FEW_VALUES])
    if len(few) > 1 and 4 * len(y) * np.diff(few).min() < few[-1] - few[0]:
        return 0.0  # too fine to be filled, which spares the rest
    values = _distinct(y)
    if len(values) < 3:
        return 0.0
    step = np.diff(values).min()
    places = (values - values[0]) / step
    off_grid = np.abs(places - np.round(places)) > 1e-6 * np.maximum(places, 1.0)
    if off_grid.any() or len(values) < 0.25 * (places[-1] + 1):
        return 0.0
    return step


def _distinct(y):
    """Values of y in order, of which those are one that floats of sums and differences part."""
    values = np.unique(y)
    gaps = np.diff(values, prepend=-np.inf)
    return values[gaps > SAME * (values[-1] - values[0])] if len(values) > 1 else values


def variance_of(y, weight):
    """Weighted variance of a target, () or (n_outputs,)."""
    share = weight / weight.sum()
    return share @ (y - share @ y) ** 2
