"""Durations around the prediction of an expert, with or without an event."""

import numpy as np

from .._families.positive import WeibullFamily
from .._numerics.gamma_shapes import LARGEST_SHAPE
from ._means import means_of
from ._shapes import FIRST_STEP, LARGEST_STEP, SearchedShapes

NO_ERROR = 0.9 * LARGEST_SHAPE  # a shape that only the limit holds
SMALLEST_WIDTH = 1e-6  # of an interval of cumulative hazards, whose middle is its mean


class Weibull(SearchedShapes):
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

    name = "weibull"

    family = WeibullFamily()

    @property
    def at_floor_(self):
        """Whether the errors of each expert are as small as is allowed, (n_experts,)."""
        return self.shape_ > NO_ERROR

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        longest = LARGEST_STEP if self.scales_ is not None else FIRST_STEP
        if self.scales_ is None:
            self.shape_ = np.ones(weights.shape[1])
        self._search(y, y, prediction, weights, penalty, longest)

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
