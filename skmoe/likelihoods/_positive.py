"""Positive targets: amounts, durations and shares; around means, or means of logarithms."""

from functools import partial

import numpy as np
from scipy import optimize, special, stats

from .._doors import error_terms
from .._families.positive import BetaFamily, GammaFamily, InverseGaussianFamily, WeibullFamily
from .._numerics.gamma_shapes import LARGEST_SHAPE
from ..distributions import GaussianComponents, ScipyComponents
from ..distributions._scipy import GammaComponents
from ._gaussian import ScaledErrors
from ._means import FamilyLikelihood, means_of
from ._pooled import pooled_class

LARGEST_STEP = 0.5  # of the logarithm of a shape, in one update
FIRST_STEP = 4.0
NO_ERROR = 0.9 * LARGEST_SHAPE  # a shape that only the limit holds
SMALLEST_WIDTH = 1e-6  # of an interval of cumulative hazards, whose middle is its mean


class SearchedShapes(FamilyLikelihood):
    """Positive targets, with a shape of each expert.

    Where targets are censored, shapes maximise the likelihood in one variable each.
    """

    takes_upper = True
    per_expert = learned_logs = ("shape_",)

    def check_values(self, y):
        if (y <= 0).any():
            name = type(self).__name__
            raise ValueError(f"{name} needs positive targets; y holds {y[y <= 0][0]:.6g}.")

    def _floor(self, y, weight):
        return 1e-6 * float(weight @ y / weight.sum())

    def start_target(self, y, weight):
        return np.log(y)

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if self.scales_ is None:
            self.update(bounds.points, prediction, weights, penalty)
        self._search(bounds.lower, bounds.upper, prediction, weights, penalty)

    def _search(self, lower, upper, prediction, weights, penalty, longest=LARGEST_STEP):
        """Raise the likelihood by the shapes, each within a factor of the last one."""
        mean = means_of(self, prediction)
        low = lower[:, None]
        high = upper[:, None]
        penalty = np.broadcast_to(penalty, len(self.shape_))

        def loss(log_shape, k):
            shape = np.full((len(mean), 1), np.exp(log_shape))
            components = self.family.components(mean[:, [k]], shape)
            log_probability = components.log_between(low, high)[:, 0]
            used = weights[:, k] > 0
            return shape[0, 0] * penalty[k] - weights[used, k] @ log_probability[used]

        best = [_lowest(partial(loss, k=k), last, longest) for k, last in enumerate(self.shape_)]
        self.shape_ = np.array(best)

    def censored_terms(self):
        return error_terms().FamilyTerms.of(self.family, is_censored=True)


def _lowest(loss, shape, longest):
    last = min(np.log(shape), np.log(LARGEST_SHAPE))  # which may have been extrapolated beyond
    ends = last - longest, min(last + longest, np.log(LARGEST_SHAPE))
    best = optimize.minimize_scalar(loss, bounds=ends, method="bounded")
    return np.exp(best.x if best.fun < loss(last) else last)


class Gamma(SearchedShapes):
    r"""Positive targets whose standard deviation is proportional to their mean.

    .. math:: f_k(y \mid x) = \frac{1}{\Gamma(\nu_k) y}
        \Big(\frac{\nu_k y}{\mu_k(x)}\Big)^{\nu_k} \exp\Big(-\frac{\nu_k y}{\mu_k(x)}\Big)

    The standard deviation is :math:`\mu_k / \sqrt{\nu_k}`, as for claims, waiting times and prices.
    The default experts are log-linear, like scikit-learn's ``GammaRegressor``. The shapes solve
    :math:`\log \nu - \psi(\nu) = \bar d`, with the weighted mean of
    :math:`y / \mu - 1 - \log(y / \mu)` on the right, half the mean deviance [1]_.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`, at most a million.
    floor_ : float
        The smallest mean allowed, a millionth of the mean target; 0 with log-linear experts.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, Chapman and
       Hall (1989), section 8.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> y = np.exp(1 + X[:, 0]) * rng.gamma(4.0, 1 / 4.0, size=1000)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="gamma").fit(X, y)
    >>> log_mean = np.log(moe.predict([[0.0], [1.0]]))
    >>> log_mean.round(1), moe.likelihood_.shape_.round()
    (array([1., 2.]), array([4.]))
    """

    name = "gamma"

    family = GammaFamily()
    can_be_pooled = has_sums = True

    def expected_target(self, bounds, prediction):
        # y times its density is a Gamma density too, of one shape more.
        mean = means_of(self, prediction)
        shape = np.broadcast_to(self.shape_, mean.shape)
        heavier = GammaComponents(mean * (shape + 1) / shape, shape + 1)  # of the same rate
        low = bounds.lower[:, None]
        high = bounds.upper[:, None]
        log_mass = GammaComponents(mean, shape).log_between(low, high)
        return np.clip(mean * np.exp(heavier.log_between(low, high) - log_mass), low, high), None


PooledGamma = pooled_class(Gamma)


class InverseGaussian(SearchedShapes):
    r"""Positive targets with a heavier upper tail than those of Gamma.

    .. math:: f_k(y \mid x) = \sqrt{\frac{\lambda_k}{2 \pi y^3}}
        \exp\Big(-\frac{\lambda_k (y - \mu_k(x))^2}{2 \mu_k(x)^2 y}\Big)

    The variance is :math:`\mu_k^3 / \lambda_k`. The default experts are log-linear, like
    scikit-learn's ``TweedieRegressor(power=3, link="log")``. The shapes :math:`\lambda_k` are one
    over the weighted mean of :math:`(y - \mu)^2 / (\mu^2 y)`, the unit deviance [1]_.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\lambda`, in the unit of y; at most a million times the mean target.
    floor_ : float
        The smallest mean allowed, a millionth of the mean target; 0 with log-linear experts.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, Chapman and
       Hall (1989), section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(2000, 1))
    >>> y = rng.wald(np.exp(1 + X[:, 0]), 20.0)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="inverse_gaussian")
    >>> log_mean = np.log(moe.fit(X, y).predict([[0.0], [1.0]]))
    >>> log_mean.round(1), moe.likelihood_.shape_.round()
    (array([1., 2.]), array([20.]))
    """

    name = "inverse_gaussian"

    family = InverseGaussianFamily()
    takes_upper = False
    can_be_pooled = has_sums = True


PooledInverseGaussian = pooled_class(InverseGaussian)


class Weibull(SearchedShapes):
    r"""Durations whose hazard is a power of time.

    .. math:: S_k(y \mid x) = \exp\Big(-\Big(\frac{y}{\lambda_k(x)}\Big)^{\nu_k}\Big), \qquad
        \mu_k(x) = \lambda_k(x) \, \Gamma(1 + 1 / \nu_k)

    The rate rises with time where the shape :math:`\nu_k` is above 1, falls where it is below, and
    is constant at 1, the exponential distribution. Experts predict the means :math:`\mu_k`; the
    default ones are log-linear, an accelerated failure time model that has proportional hazards too
    [1]_. Where an expert has the intercept :math:`b_k`, that of :math:`\log \mu_k`, R's ``survreg``
    has :math:`b_k - \log \Gamma(1 + 1 / \nu_k)`, that of :math:`\log \lambda_k`, with the same
    slopes and the scale :math:`1 / \nu_k`. Targets may be censored, by ``upper`` of ``fit``;
    experts are then fitted on expected powers :math:`y^{\nu_k}`.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`, at most a million.
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
        if self.scales_ is not None:
            longest = LARGEST_STEP
        else:
            longest = FIRST_STEP
        if self.scales_ is None:
            self.shape_ = np.ones(weights.shape[1])
        self._search(y, y, prediction, weights, penalty, longest)

    def expected_target(self, bounds, prediction):
        # The cumulative hazard is exponential between those of the bounds.
        components = self.family.components(means_of(self, prediction), self.shape_)
        low = np.maximum(bounds.lower, 0.0)[:, None]
        high = bounds.upper[:, None]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            start, end = (-components.logsf(bound) for bound in (low, high))
            width = np.where(np.isfinite(high), end - start, np.inf)
            less = np.where(np.isfinite(width) & (width > 0), width / np.expm1(width), 0.0)
            hazard = np.where(width > SMALLEST_WIDTH, start + 1 - less, start + 0.5 * width)
        return np.clip(components.location * hazard ** (1 / self.shape_), low, high), None


class Beta(FamilyLikelihood):
    r"""Rates and shares between 0 and 1, without trials.

    .. math:: f_k(y \mid x) = \frac{\Gamma(\phi_k)}{\Gamma(\mu \phi_k) \Gamma((1 - \mu) \phi_k)} \,
        y^{\mu \phi_k - 1} (1 - y)^{(1 - \mu) \phi_k - 1}, \quad \mu = \mu_k(x)

    Beta regression [1]_: for shares such as those of income, ground cover or correct answers. The
    variance is :math:`\mu (1 - \mu) / (1 + \phi_k)`. Experts predict the mean: the default ones
    have linear log-odds, and other classifiers and regressors are used as under
    :class:`~skmoe.likelihoods.Binomial`. Means of experts that are not solved by EM are not
    allowed nearer to 0 or 1 than :math:`1 / (2n)` on n rows.

    Attributes
    ----------
    concentration_ : ndarray of shape (n_experts,)
        Concentrations :math:`\phi`, at most a million; called precisions in R's betareg.
    floor_ : float
        Smallest distance of means from 0 and 1; 0 with experts that EM solves.

    References
    ----------
    .. [1] S. Ferrari and F. Cribari-Neto, "Beta regression for modelling rates and proportions",
       Journal of Applied Statistics 31 (2004) 799-815.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 1))
    >>> mean = 1 / (1 + np.exp(-X[:, 0]))
    >>> y = rng.beta(20 * mean, 20 * (1 - mean))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="beta").fit(X, y)
    >>> moe.predict([[0.0], [2.0]]).round(2)
    array([0.5 , 0.88])
    >>> moe.likelihood_.concentration_.round()
    array([20.])
    """

    name = "beta"

    family = BetaFamily()
    can_be_pooled = has_sums = True
    per_expert = learned_logs = ("concentration_",)

    def check_values(self, y):
        wrong = (y <= 0) | (y >= 1)
        if wrong.any():
            raise ValueError(
                f"Beta needs rates between 0 and 1, and neither; y holds {y[wrong][0]:.6g}. Give "
                "successes and trials to likelihood='binomial', or (y * (n - 1) + 0.5) / n."
            )

    def start_target(self, y, weight):
        return special.logit(y)


PooledBeta = pooled_class(Beta)


LARGEST_LOG = 500.0  # of a prediction; its square is a float still


class LogNormal(ScaledErrors):
    r"""Positive targets whose logarithm has Gaussian errors.

    .. math:: \log y \mid x, k \sim N(\mu_k(x), \sigma_k^2), \qquad
        f_k(y \mid x) = \frac{1}{y} \, N(\log y; \mu_k(x), \sigma_k^2)

    Experts are fitted on :math:`\log y`. ``predict_experts`` and ``expert_report`` are on that
    scale, and a ``FrozenEstimator`` has to predict logarithms. Predictions of the mixture are in
    units of y: ``predict`` is the mean, which for one expert is :math:`\exp(\mu_k + \sigma_k^2 /
    2)` [1]_, quantiles are the exponentials of those of :math:`\log y`, and densities and
    information criteria are comparable with those of other likelihoods.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Standard deviations :math:`\sigma_k` of :math:`\log y`; relative errors, if small.
    floor_ : float or ndarray of shape (n_outputs,)
        The smallest one allowed; as for :class:`Gaussian`, from :math:`\log y`.

    References
    ----------
    .. [1] J. Aitchison and J. A. C. Brown, "The lognormal distribution", Cambridge University
       Press (1957), section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> y = np.exp(1 + X[:, 0] + 0.5 * rng.normal(size=1000))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="log_normal")
    >>> log_location = moe.fit(X, y).predict_experts([[0.0], [1.0]])
    >>> log_location.round(1).ravel(), moe.likelihood_.scale_.round(1)
    (array([1., 2.]), array([0.5]))
    >>> median = moe.predict_quantiles([[0.0], [1.0]], 0.5)
    >>> median.round(1), moe.predict([[0.0], [1.0]]).round(1)
    (array([2.7, 7.3]), array([3.1, 8.3]))
    """

    name = "log_normal"

    changes_target = looks_at_target = takes_upper = True

    def expert_target(self, y):
        return np.log(np.maximum(y, np.finfo(float).tiny))

    def start(self, y, weight, n_experts):
        if (y <= 0).any():
            raise ValueError(f"LogNormal needs positive targets; y holds {y[y <= 0][0]:.6g}.")
        return super().start(self.expert_target(y), weight, n_experts)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        super().update(self.expert_target(y), prediction, weights, penalty, pooled_rows)

    def log_density(self, y, prediction, experts=None):
        if experts is None:
            scale = self.scale_
        else:
            scale = self.scale_[experts]
        log_y = self.expert_target(y)[:, None]
        log_density = -0.5 * ((log_y - prediction) / scale) ** 2 - log_y
        log_density -= np.log(scale * np.sqrt(2 * np.pi))
        log_density = np.where(y[:, None] > 0, log_density, -np.inf)
        if prediction.ndim == 3:
            return log_density.sum(axis=2)
        return log_density

    def log_probability(self, bounds, prediction):
        lower = self._on_scale(bounds.lower)
        upper = self._on_scale(bounds.upper)
        logarithm = GaussianComponents(prediction, self.scale_)
        log_jacobian = np.where((lower == upper) & np.isfinite(lower), -lower, 0.0)
        return logarithm.log_between(lower[:, None], upper[:, None]) + log_jacobian[:, None]

    def _on_scale(self, bound):
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(bound, 0.0))

    def _around(self, prediction, scale, experts):
        median = np.exp(np.clip(prediction, -LARGEST_LOG, LARGEST_LOG))
        return ScipyComponents(stats.lognorm(scale, scale=median))

    def terms(self):
        return error_terms().GaussianTerms.of(of_logarithm=True)

    def censored_terms(self):
        return error_terms().GaussianTerms.of(of_logarithm=True, is_censored=True)
