"""Log-normal targets: Gaussian errors of the logarithm."""

import numpy as np
from scipy import stats

from .._doors import error_terms
from ..distributions import GaussianComponents, ScipyComponents
from ._scaled import ScaledErrors

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
        scale = self.scale_ if experts is None else self.scale_[experts]
        log_y = self.expert_target(y)[:, None]
        log_density = -0.5 * ((log_y - prediction) / scale) ** 2 - log_y
        log_density -= np.log(scale * np.sqrt(2 * np.pi))
        log_density = np.where(y[:, None] > 0, log_density, -np.inf)
        return log_density.sum(axis=2) if prediction.ndim == 3 else log_density

    def log_probability(self, bounds, prediction):
        lower, upper = self._on_scale(bounds.lower), self._on_scale(bounds.upper)
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
