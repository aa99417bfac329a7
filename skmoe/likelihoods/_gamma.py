"""Gamma distributed targets around the prediction of an expert."""

import numpy as np

from .._families.positive import GammaFamily
from ..distributions._scipy import GammaComponents
from ._means import means_of
from ._shapes import SearchedShapes
from ._uncertain import UncertainFunction


class Gamma(SearchedShapes):
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

    name = "gamma"

    family = GammaFamily()
    can_be_pooled = has_sums = True

    def expected_target(self, bounds, prediction):
        # y times its density is a Gamma density too, of one shape more.
        mean = means_of(self, prediction)
        shape = np.broadcast_to(self.shape_, mean.shape)
        heavier = GammaComponents(mean * (shape + 1) / shape, shape + 1)  # of the same rate
        low, high = bounds.lower[:, None], bounds.upper[:, None]
        log_mass = GammaComponents(mean, shape).log_between(low, high)
        target = mean * np.exp(heavier.log_between(low, high) - log_mass)
        return np.clip(target, low, high), None

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
