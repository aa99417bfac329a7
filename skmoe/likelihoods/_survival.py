"""Durations around the prediction of an expert, with or without an event."""

import numpy as np
from scipy import special

from .._families.log_logistic import LogLogisticFamily
from .._families.weibull import WeibullFamily
from .._numerics.gamma_shapes import LARGEST_SHAPE
from ._means import means_of
from ._shapes import FIRST_STEP, LARGEST_STEP, SearchedShapes

NO_ERROR = 0.9 * LARGEST_SHAPE  # a shape that only the limit holds
SMALLEST_WIDTH = 1e-6  # of an interval of cumulative hazards, whose middle is its mean


class _Durations(SearchedShapes):
    """Durations with a shape that has no closed maximum."""

    @property
    def at_floor_(self):
        """Whether the errors of each expert are as small as is allowed, (n_experts,)."""
        return self.shape_ > NO_ERROR

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        longest = LARGEST_STEP if self.scales_ is not None else FIRST_STEP
        if self.scales_ is None:
            self.shape_ = np.ones(weights.shape[1])
        self._search(y, y, prediction, weights, penalty, longest)


class Weibull(_Durations):
    r"""Durations whose rate of events is a power of time.

    .. math:: S_k(y \mid x) = \exp\Big(-\Big(\frac{y}{\lambda_k(x)}\Big)^{\nu_k}\Big), \qquad
        \mu_k(x) = \lambda_k(x) \, \Gamma(1 + 1 / \nu_k)

    The rate rises with time where the shape :math:`\nu_k` is above 1, falls where it is below, and
    is constant at 1, the exponential distribution. Experts predict the means :math:`\mu_k`; the
    default ones are log-linear, an accelerated failure time model that has proportional hazards
    too [1]_. Where an expert has the intercept :math:`b_k`, that of :math:`\log \mu_k`, R's
    ``survreg`` has :math:`b_k - \log \Gamma(1 + 1 / \nu_k)`, that of :math:`\log \lambda_k`, beside
    the same slopes and the scale :math:`1 / \nu_k`. Targets may be censored, by ``upper`` of
    ``fit``; experts are then fitted on expected powers :math:`y^{\nu_k}`.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`, a million at most.
    floor_ : float
        The smallest mean allowed, a millionth of the mean target; 0 with log-linear experts.

    References
    ----------
    .. [1] J. D. Kalbfleisch and R. L. Prentice, "The statistical analysis of failure time data",
       2nd edition, Wiley (2002), section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> time = np.exp(1 + X[:, 0]) * rng.weibull(2.0, size=1000)
    >>> end = rng.uniform(0, 10, size=1000)
    >>> y, upper = np.minimum(time, end), np.where(time <= end, time, np.inf)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull")
    >>> moe = moe.fit(X, y, upper=upper)
    >>> moe.likelihood_.shape_.round(1), moe.experts_[0].coef_.round(1)
    (array([2.]), array([1.]))
    >>> from scipy.special import gammaln
    >>> less = gammaln(1 + 1 / moe.likelihood_.shape_)
    >>> (moe.experts_[0].intercept_ - less).round(1)  # in survreg
    array([1.])
    >>> moe.predict_dist([[0.0]]).sf(3.0).round(1)
    array([0.3])
    """

    family = WeibullFamily()

    def expected_target(self, bounds, prediction):
        # The cumulative hazard is exponential between those of the bounds.
        components = self.family.components(means_of(self, prediction), self.shape_)
        low, high = np.maximum(bounds.lower, 0.0)[:, None], bounds.upper[:, None]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            start, end = (-components.logsf(bound) for bound in (low, high))
            width = np.where(np.isfinite(high), end - start, np.inf)
            less = np.where(np.isfinite(width) & (width > 0), width / np.expm1(width), 0.0)
            hazard = np.where(width > SMALLEST_WIDTH, start + 1 - less, start + 0.5 * width)
        return np.clip(components.location * hazard ** (1 / self.shape_), low, high), None

    def middle_target(self, targets, shares, prediction):
        # The mean of their powers, of which the largest is one.
        largest = targets.max(axis=0)
        powers = (shares * (targets / largest) ** self.shape_).sum(axis=0)
        return largest * powers ** (1 / self.shape_)


class LogLogistic(_Durations):
    r"""Durations whose logarithm has logistic errors, so that the odds of an event are a power.

    .. math:: S_k(y \mid x) = \frac{1}{1 + (y / \mu_k(x))^{\nu_k}}

    The rate of events rises and falls again where the shape :math:`\nu_k` is above 1. Experts
    predict the **medians** :math:`\mu_k`; the default ones are log-linear, an accelerated failure
    time model that has proportional odds too [1]_, with the coefficients of R's ``survreg``, whose
    scale is :math:`1 / \nu`. Other experts have to learn medians, as boosting with
    ``loss="absolute_error"`` does. Targets may be censored, by ``upper`` of ``fit``; experts are
    then fitted on the quantile in the middle, by probability, between the two bounds, with which
    the likelihood rises [2]_.

    The mean, :math:`\mu_k (\pi / \nu_k) / \sin(\pi / \nu_k)`, is infinite where the shape is 1 or
    less; ``predict_quantiles(X, 0.5)`` is always there.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`, a million at most.
    floor_ : float
        The smallest median allowed, a millionth of the mean target; 0 with log-linear experts.

    References
    ----------
    .. [1] S. Bennett, "Log-logistic regression models for survival data", Applied Statistics 32
       (1983) 165-171.
    .. [2] D. R. Hunter and K. Lange, "A tutorial on MM algorithms", The American Statistician 58
       (2004) 30-37.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> time = np.exp(1 + X[:, 0] + 0.5 * rng.logistic(size=1000))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="log_logistic")
    >>> moe = moe.fit(X, time)
    >>> moe.likelihood_.shape_.round(1), moe.experts_[0].coef_.round(1)
    (array([1.9]), array([1.]))
    >>> moe.predict_quantiles([[0.0]], 0.5).round(1)
    array([2.6])
    """

    family = LogLogisticFamily()

    def expected_target(self, bounds, prediction):
        # Its log-density touches the log-probability of the bounds here, and is below elsewhere.
        median = means_of(self, prediction)
        low, high = bounds.lower[:, None], bounds.upper[:, None]
        components = self.family.components(median, self.shape_)
        below = np.logaddexp(components.logcdf(low), components.logcdf(high))
        beyond = np.logaddexp(components.logsf(low), components.logsf(high))
        target = median * np.exp((below - beyond) / self.shape_)
        return np.clip(target, low, high), None

    def middle_target(self, targets, shares, prediction):
        # Of the mean probability below them: the density is as steep there, and falls faster.
        median = means_of(self, prediction)
        components = self.family.components(median, self.shape_)
        below, beyond = (
            special.logsumexp(each, axis=0, b=shares)
            for each in (components.logcdf(targets), components.logsf(targets))
        )
        return median * np.exp((below - beyond) / self.shape_)
