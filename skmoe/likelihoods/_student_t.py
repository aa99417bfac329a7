"""Student's t errors around the prediction of an expert."""

from functools import partial
from numbers import Real

import numpy as np
from scipy import optimize

from .._doors import error_terms
from .._numerics.gamma_shapes import log_gamma_ratio
from ..distributions import StudentTComponents
from ._gaussian import ScaledErrors, student_between

FIRST_DF = 4.0
DF_BOUNDS = (2.1, 200.0)  # of an estimate: a variance, and next to Gaussian
FIRST_STEPS = 20  # from the scale of all residuals, outliers included, to a robust one


class StudentT(ScaledErrors):
    r"""Student's t errors with a scale for each expert, less sensitive to outliers.

    .. math:: y \mid x, k \sim t_{\nu_k}(\mu_k(x), \sigma_k)

    It is a mixture of Gaussians with different precisions, which EM includes: a row has the working
    weight

    .. math:: u_{ik} = \frac{\nu_k + m}{\nu_k + d_{ik}}, \qquad
        d_{ik} = \sum_{j=1}^m \frac{(y_{ij} - \mu_{kj}(x_i))^2}{\sigma_{kj}^2}

    when expert k is fitted by least squares and :math:`\sigma_{kj}^2` is the mean of
    :math:`u_{ik} (y_{ij} - \mu_{kj}(x_i))^2` [1]_. The m outputs are one multivariate t variable
    with a scale each: uncorrelated, but with outliers in the same rows. Degrees of freedom are
    estimated by maximising the likelihood itself (the ECME algorithm of [2]_), so that the
    likelihood rises with linear experts as it does with :class:`Gaussian`.

    Parameters
    ----------
    df : float or "estimate", default=4.0
        Degrees of freedom :math:`\nu`, above 2 so that the variance exists. "estimate" learns them
        for each expert, between 2.1 and 200, which needs some hundred rows per expert.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Scales :math:`\sigma`, in the units of y. The standard deviation is
        :math:`\sigma \sqrt{\nu / (\nu - 2)}`. NaN for experts of a stack with a density of their
        own.
    df_ : ndarray of shape (n_experts,)
        Degrees of freedom.
    floor_ : float or ndarray of shape (n_outputs,)
        The smallest scale allowed; as for :class:`Gaussian`, from the bulk of y.

    References
    ----------
    .. [1] K. L. Lange, R. J. A. Little and J. M. G. Taylor, "Robust statistical modeling using
       the t distribution", Journal of the American Statistical Association 84 (1989) 881-896.
    .. [2] C. Liu and D. B. Rubin, "ML estimation of the t distribution using EM and its
       extensions, ECM and ECME", Statistica Sinica 5 (1995) 19-39.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import StudentT
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> y = X[:, 0] + 0.01 * np.sin(50 * X[:, 0])
    >>> y[::10] = 30.0
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=StudentT()).fit(
    ...     X, y
    ... )
    >>> moe.predict([[0.0], [1.0]]).round(2) + 0.0
    array([0., 1.])
    """

    name = "student_t"

    has_scale_free_mean = takes_upper = is_robust = is_reweighted = True
    per_expert = learned_logs = ("scale_", "df_")

    @property
    def can_be_stacked(self):
        """Whether the default is meant, of which the degrees of freedom are then learned."""
        return self.df == FIRST_DF

    def __init__(self, df=FIRST_DF):
        self.df = df

    def start(self, y, weight, n_experts):
        estimated = isinstance(self.df, str) and self.df == "estimate"
        if not estimated and not (isinstance(self.df, Real) and 2 < self.df < np.inf):
            raise ValueError(f'df must be a number above 2, or "estimate"; got {self.df!r}.')
        self.df_ = np.full(n_experts, FIRST_DF if estimated else float(self.df))
        return super().start(y, weight, n_experts)

    def _learn(self, residuals, weights, penalty, pooled_rows):
        squares = residuals**2
        steps = 1
        if self.scale_ is None:
            super()._learn(residuals, weights, 0.0, pooled_rows)
            steps = FIRST_STEPS
        for _ in range(steps):
            self._improve(squares, weights, penalty, pooled_rows)

    def working_weights(self, y, prediction):
        return self._working_weights((y[:, None] - prediction) ** 2)

    def _working_weights(self, squares):
        if squares.ndim == 3:
            n_outputs = squares.shape[2]
        else:
            n_outputs = 1
        return (self.df_ + n_outputs) / (self.df_ + self._distance(squares))

    def _distance(self, squares):
        """Squared residuals in units of the scales, summed over the outputs, (n, K)."""
        distance = squares / self.scale_**2
        if distance.ndim == 3:
            return distance.sum(axis=2)
        return distance

    def _improve(self, squares, weights, penalty, pooled_rows):
        sums = np.einsum("nk,nk...->k...", weights * self._working_weights(squares), squares)
        self._set_scale(weights.sum(axis=0), sums + penalty, pooled_rows)
        if self.df == "estimate":
            distance = self._distance(squares)
            if squares.ndim == 3:
                n_outputs = squares.shape[2]
            else:
                n_outputs = 1
            pairs = zip(distance.T, weights.T, strict=True)
            self._set_df([partial(_df_loss, *pair, n_outputs) for pair in pairs], weights)

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        super().update_censored(bounds, prediction, weights, penalty, pooled_rows)
        if self.df == "estimate":
            given = zip(prediction.T[:, :, None], self.scale_, weights.T, strict=True)
            self._set_df([partial(_censored_df_loss, bounds, *each) for each in given], weights)

    def _keep_within_bounds(self):
        super()._keep_within_bounds()
        if self.df == "estimate":
            self.df_ = np.clip(self.df_, *DF_BOUNDS)

    def _set_df(self, losses, weights):
        """Degrees of freedom of the smallest loss of each expert, if smaller than the last."""
        given = zip(losses, self.df_, weights.sum(axis=0) > 0, strict=True)
        self.df_ = np.array([_best_df(loss, df) if is_used else df for loss, df, is_used in given])

    def _between(self, low, high):
        return student_between(low, high, self.df_)

    def _around(self, prediction, scale, experts):
        return StudentTComponents(prediction, scale, self.df_[experts])

    def terms(self):
        if np.ndim(self.scale_) > 1:
            return None
        return error_terms().StudentTTerms.of_df(self.df)

    @property
    def n_parameters_(self):
        return self.scale_.size + (self.df_.size if self.df == "estimate" else 0)


def _best_df(loss, last):
    """Degrees of freedom of the smallest loss, a function of their logarithm, or ``last``."""
    best = optimize.minimize_scalar(loss, bounds=np.log(DF_BOUNDS), method="bounded")
    if best.fun < loss(np.log(last)):
        return float(np.exp(best.x))
    return last


def _df_loss(distance, weight, n_outputs, log_df):
    """Minus the log-likelihood of (n,) squared distances, but for the scale."""
    df = np.exp(log_df)
    constant = log_gamma_ratio(0.5 * df, 0.5 * n_outputs) - 0.5 * n_outputs * log_df
    return 0.5 * (df + n_outputs) * (weight @ np.log1p(distance / df)) - weight.sum() * constant


def _censored_df_loss(bounds, prediction, scale, weight, log_df):
    """Minus the log-likelihood of targets of which some are censored."""
    components = StudentTComponents(prediction, scale, np.exp(log_df))
    return -(weight @ components.log_between(bounds.lower[:, None], bounds.upper[:, None])[:, 0])
