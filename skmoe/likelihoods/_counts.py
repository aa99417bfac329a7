"""Counts, and successes in trials, around the mean that an expert predicts."""

import numpy as np
from scipy import optimize

from .._families.counts import BinomialFamily, NegativeBinomialFamily, PoissonFamily
from .._kernels._linear_run import shape_sums
from ..distributions._counts import SMALLEST_MEAN
from ._means import FamilyLikelihood, means_of
from ._pooled import pooled_class

SHAPE_RANGE = np.log([1e-3, 1e6])  # above the last one, counts are Poisson to six digits
MOST_CUTS = 5


class _Counts(FamilyLikelihood):
    """Counts of events, possibly with an exposure."""

    takes_exposure = True

    def check_values(self, y):
        wrong = (y < 0) | (y != np.floor(y))
        if wrong.any():
            raise ValueError(
                f"{type(self).__name__} needs counts, whole numbers from 0 on; y holds "
                f"{y[wrong][0]:.6g}. Give events and their exposure, not their ratio."
            )

    def start_target(self, y, weight):
        return np.sqrt(y)


class Poisson(_Counts):
    r"""Counts whose variance is their mean.

    .. math:: P(y \mid x, k) = e^{-m} m^y / y!, \quad m = E \, \mu_k(x)

    E is the exposure of the row, by default 1, such as hours of observation or years of insurance.
    Experts predict the rate :math:`\mu_k`, events per unit of exposure. The default experts are
    log-linear, like scikit-learn's ``PoissonRegressor``; an offset is the log of the exposure.

    Means of other experts are at least :math:`1 / (2n)`, half an event in all n rows, so that
    events are never impossible.

    Attributes
    ----------
    floor_ : float
        The smallest mean allowed; 0 with log-linear experts.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, hours = rng.uniform(size=(500, 1)), rng.uniform(1, 10, size=500)
    >>> y = rng.poisson(hours * np.exp(1 + X[:, 0]))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="poisson")
    >>> moe = moe.fit(X, y, exposure=hours)
    >>> np.log(moe.predict([[0.0], [1.0]])).round(1)
    array([0.9, 2. ])
    >>> moe.predict([[0.0]], exposure=[10.0]).round()
    array([26.])
    """

    name = "poisson"

    family = PoissonFamily()
    can_be_pooled = has_sums = True


PooledPoisson = pooled_class(Poisson)


class NegativeBinomial(_Counts):
    r"""Overdispersed counts.

    .. math:: P(y \mid x, k) = \binom{y + \theta_k - 1}{y}
        \Big(\frac{\theta_k}{\theta_k + m}\Big)^{\theta_k} \Big(\frac{m}{\theta_k + m}\Big)^y,
        \quad m = E \, \mu_k(x)

    The variance is :math:`m + m^2 / \theta_k`. Such a count is Poisson with a mean multiplied by
    a Gamma variable of shape and rate :math:`\theta_k`. EM uses its expectation
    :math:`(y + \theta_k) / (m + \theta_k)` as a further exposure of the row, so that experts are
    fitted as for :class:`Poisson`, by estimators of any kind. The shapes are the maxima
    of the likelihood [1]_.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\theta`, between 0.001 and a million; small ones mean strong overdispersion.
    floor_ : float
        The smallest mean allowed, as for :class:`Poisson`.

    References
    ----------
    .. [1] J. F. Lawless, "Negative binomial and mixed Poisson regression", Canadian Journal of
       Statistics 15 (1987) 209-225.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(2000, 1))
    >>> y = rng.poisson(np.exp(1 + X[:, 0]) * rng.gamma(2.0, 1 / 2.0, size=2000))
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=1, likelihood="negative_binomial"
    ... ).fit(X, y)
    >>> moe.likelihood_.shape_.round(1)
    array([2.])
    """

    name = "negative_binomial"

    family = NegativeBinomialFamily()
    expert_family = PoissonFamily()
    is_reweighted = True
    per_expert = learned_logs = ("shape_",)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        mean = means_of(self, prediction)
        if self.scales_ is None:
            last = np.full(mean.shape[1], np.nan)
        else:
            last = self.shape_
        each = zip(mean.T, weights.T, last, strict=True)
        self.shape_ = np.array([_better_shape(y, *of_expert) for of_expert in each])

    def working_exposure(self, y, prediction):
        # Expected multipliers of the means, given the counts.
        return (y[:, None] + self.shape_) / (means_of(self, prediction) + self.shape_)

    def _keep_within_bounds(self):
        self.shape_ = np.clip(self.shape_, *np.exp(SHAPE_RANGE))


def _better_shape(y, mean, weights, last):
    """The shape of highest likelihood; with a last one, a Newton step from there in its log."""
    used = weights > 0
    if not used.any():
        if np.isnan(last):
            return 1.0
        return last
    given = [np.array(each[used], float) for each in (y, np.maximum(mean, SMALLEST_MEAN), weights)]

    def loss(log_shape):
        return -shape_sums(*given, np.exp(log_shape), False)[0]

    if np.isnan(last):
        return float(np.exp(optimize.minimize_scalar(loss, bounds=SHAPE_RANGE, method="bounded").x))
    (here, first, second), place = shape_sums(*given, last), np.log(last)
    if second < 0:
        step = np.clip(-first / second, -1, 1)
    else:
        step = np.sign(first)
    for _ in range(MOST_CUTS):
        new = np.clip(place + step, *SHAPE_RANGE)
        if abs(first * (new - place)) <= 1e-12 * weights.sum() or loss(new) < -here:
            return float(np.exp(new))
        step /= 4
    return last


class Binomial(FamilyLikelihood):
    r"""Successes in a number of trials.

    .. math:: P(y \mid x, k) = \binom{t}{y} \, p_k(x)^y (1 - p_k(x))^{t - y}

    Pass the successes as y and the trials t of each row as ``trials``, or successes and failures as
    the two columns of y. Without ``trials`` each row is one trial, and y is zero or one. Experts
    predict the rate :math:`p_k`: logistic regressions by default, or any classifiers, fitted to
    each row twice, weighted by its successes and by its failures; or any regressors, fitted to the
    observed rates, weighted by the trials.

    Rates of experts that are not solved by EM are kept away from 0 and 1, so that no outcome is
    impossible: each row has at least :math:`1 / (2n)` expected successes and failures, half of one
    in all n rows.

    Attributes
    ----------
    floor_ : float
        The smallest expected number of successes, or failures, of a row; 0 with logistic experts.

    See Also
    --------
    skmoe.MixtureOfExpertsClassifier : Classes of single trials.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, trials = rng.normal(size=(500, 1)), rng.integers(1, 40, size=500)
    >>> y = rng.binomial(trials, 1 / (1 + np.exp(-X[:, 0])))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="binomial")
    >>> moe = moe.fit(X, y, trials=trials)
    >>> moe.predict([[0.0], [2.0]]).round(1)
    array([0.5, 0.9])
    >>> moe.predict([[0.0]], trials=[20]).round()
    array([10.])
    """

    name = "binomial"

    family = BinomialFamily()
    can_be_pooled = True
    takes_trials = True

    def start_target(self, y, weight):
        return np.arcsin(np.sqrt(y))


PooledBinomial = pooled_class(Binomial)
