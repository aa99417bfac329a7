"""Gamma distributed targets around the prediction of an expert."""

import numpy as np
from scipy import optimize

from .._families.gamma import GammaFamily
from .._numerics.gamma_shapes import LARGEST_SHAPE
from ..distributions._gamma import GammaComponents
from ._means import PositiveMeans, means_of
from ._uncertain import UncertainFunction

LARGEST_STEP = 0.5  # of the logarithm of a shape, in one update where targets are censored


class Gamma(PositiveMeans):
    r"""Positive targets whose standard deviation is a fixed part of their mean.

    .. math:: f_k(y \mid x) = \frac{1}{\Gamma(\nu_k) y}
        \Big(\frac{\nu_k y}{\mu_k(x)}\Big)^{\nu_k} \exp\Big(-\frac{\nu_k y}{\mu_k(x)}\Big)

    The standard deviation is :math:`\mu_k / \sqrt{\nu_k}`: sizes of claims, waiting times, prices.
    The default experts are log-linear, as scikit-learn's ``GammaRegressor`` is. The shapes solve
    :math:`\log \nu - \psi(\nu) = \bar d`, with the weighted mean of
    :math:`y / \mu - 1 - \log(y / \mu)` on the right, half the mean deviance [1]_.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`, a million at most.
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

    family = GammaFamily()
    can_be_pooled = has_sums = True
    takes_upper = True
    per_expert = learned_logs = ("shape_",)

    def check_values(self, y):
        if (y <= 0).any():
            raise ValueError(f"Gamma needs positive targets; y holds {y[y <= 0][0]:.6g}.")

    def _floor(self, y, weight):
        return 1e-6 * float(weight @ y / weight.sum())

    def start_target(self, y, weight):
        return np.log(y)

    def expected_target(self, bounds, prediction):
        # y times its density is a Gamma density too, of one shape more.
        mean = means_of(self, prediction)
        shape = np.broadcast_to(self.shape_, mean.shape)
        heavier = GammaComponents(mean * (shape + 1) / shape, shape + 1)  # of the same rate
        low, high = bounds.lower[:, None], bounds.upper[:, None]
        log_mass = GammaComponents(mean, shape).log_between(low, high)
        target = mean * np.exp(heavier.log_between(low, high) - log_mass)
        return np.clip(target, low, high), None

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if self.scales_ is None:
            self.update(bounds.points, prediction, weights, penalty)
        mean = means_of(self, prediction)
        low, high = bounds.lower[:, None], bounds.upper[:, None]
        penalty = np.broadcast_to(penalty, len(self.shape_))

        def loss(log_shape, k):
            shape = np.full((len(mean), 1), np.exp(log_shape))
            log_probability = GammaComponents(mean[:, [k]], shape).log_between(low, high)[:, 0]
            used = weights[:, k] > 0
            return shape[0, 0] * penalty[k] - weights[used, k] @ log_probability[used]

        self.shape_ = np.array([self._best_shape(loss, k) for k in range(len(self.shape_))])

    def _best_shape(self, loss, k):
        """The shape of the smallest loss of expert k, within a factor of the last one."""
        last = np.log(self.shape_[k])
        ends = last - LARGEST_STEP, min(last + LARGEST_STEP, np.log(LARGEST_SHAPE))
        best = optimize.minimize_scalar(
            loss, bounds=ends, args=(k,), method="bounded", options={"xatol": 1e-5}
        )
        return np.exp(best.x if best.fun < loss(last, k) else last)

    def pooled(self):
        return PooledGamma()


class PooledGamma(UncertainFunction, Gamma):
    r"""Predictive distribution of positive targets around pooled experts.

    .. math:: y \mid x, k \sim \mathrm{Gamma}(\theta, \mathrm{mean} = \mu), \quad
        \psi'(\theta) = \psi'(\nu_k) + v, \quad
        \log \mu = x^T \mathrm{E}\, b_k - \log \nu_k + \psi(\nu_k) + \log \theta - \psi(\theta)

    with the shape :math:`\nu_k` of the expert. A pooled fit makes it of
    :class:`~skmoe.likelihoods.Gamma`.

    Attributes
    ----------
    shape_ : ndarray of shape (n_experts,)
        Shapes :math:`\nu`.
    coef_cov_ : ndarray of shape (n_experts, 1, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    own_var_, shared_var_ : ndarray of shape (1, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """
