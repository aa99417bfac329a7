"""Gaussian errors around an expert whose intercept each subject shifts."""

import numpy as np
from scipy import optimize

from ..distributions import GaussianComponents
from ._random_intercept_terms import RandomInterceptTerms
from ._scaled import ScaledErrors

LOG_RATIOS = (-14.0, 14.0)  # of the variance between subjects over that within


class RandomIntercept(ScaledErrors):
    r"""Gaussian errors around an expert, with an intercept of its own for each subject.

    .. math:: y_{si} \mid x_{si}, k \sim N(\mu_k(x_{si}) + b_s, \sigma_k^2), \quad
        b_s \sim N(0, \tau_k^2)

    All rows of subject s share the expert and the intercept :math:`b_s`, which is integrated out
    [1]_: with residuals r, their joint density is that of independent errors times

    .. math:: (1 + n_s \lambda)^{-1/2} \exp\Bigl(\frac{\lambda}{1 + n_s \lambda}
        \frac{(\sum_i r_i)^2}{2 \sigma_k^2}\Bigr), \quad \lambda = \tau_k^2 / \sigma_k^2.

    A row alone, or of a subject that is not known, has the variance
    :math:`\sigma_k^2 + \tau_k^2`. ``fit`` takes the ``subject`` of each row; experts are linear,
    and predictions those for new subjects.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,)
        Standard deviations :math:`\sigma` within subjects, in the units of y.
    subject_scale_ : ndarray of shape (n_experts,)
        Standard deviations :math:`\tau` between them.
    ratio_ : ndarray of shape (n_experts,)
        Ratios :math:`\lambda` of the variances.
    floor_ : float
        The smallest of the first that is allowed.

    References
    ----------
    .. [1] N. M. Laird and J. H. Ware, "Random-effects models for longitudinal data", Biometrics 38
       (1982) 963-974.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, patient = rng.normal(size=(600, 1)), np.repeat(np.arange(100), 6)
    >>> y = X[:, 0] + rng.normal(size=100)[patient] + 0.5 * rng.normal(size=600)
    >>> from skmoe.likelihoods import RandomIntercept
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=RandomIntercept())
    >>> moe = moe.fit(X, y, subject=patient)
    >>> moe.likelihood_.scale_.round(1), moe.likelihood_.subject_scale_.round(1)
    (array([0.5]), array([1.]))
    """

    takes_subjects = stands_alone = True
    per_expert = ("scale_", "subject_scale_", "ratio_")
    subject_scale_ = None

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"RandomIntercept takes one output; y has {y.shape[1]}.")
        self.ratio_ = np.zeros(n_experts)
        return super().start(y, weight, n_experts)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0, *, subjects):
        # Both scales go to the maximum; responsibilities are equal within a subject.
        self._learn(y[:, None] - prediction, weights, penalty, subjects)

    def _learn(self, residuals, weights, penalty, subjects):
        sums, squares = (subjects.weighted_sum(each) for each in (residuals, residuals**2))
        sizes = subjects.sizes
        resp = subjects.total(weights) / sizes[:, None]
        penalty = np.broadcast_to(penalty, resp.shape[1:])
        best = [
            self._best(resp[:, k], sizes, sums[:, k], squares[:, k], penalty[k], self.ratio_[k])
            for k in range(resp.shape[1])
        ]
        self.scale_, self.ratio_ = np.array(best).T
        self.subject_scale_ = self.scale_ * np.sqrt(self.ratio_)

    def _best(self, resp, sizes, sums, squares, penalty, last):
        """Scale and ratio of the variances of one expert, from sums over each subject."""
        mass = resp @ sizes
        if not mass > 0:
            return np.sqrt(self._variance), 0.0

        def variance(ratio):
            rest = resp @ (squares - ratio / (1 + sizes * ratio) * sums**2) + penalty
            return max(rest / mass, self.floor_**2), rest

        def loss(ratio):
            of_rows, rest = variance(ratio)
            return mass * np.log(of_rows) + rest / of_rows + resp @ np.log1p(sizes * ratio)

        found = optimize.minimize_scalar(
            lambda log_ratio: loss(np.exp(log_ratio)),
            bounds=LOG_RATIOS, method="bounded", options={"xatol": 1e-8},
        )  # fmt: skip
        ratio = min((last, 0.0, float(np.exp(found.x))), key=loss)
        return np.sqrt(variance(ratio)[0]), ratio

    def log_density(self, y, prediction, experts=None, *, subjects=None):
        if subjects is None:
            return super().log_density(y, prediction, experts)
        residuals = y[:, None] - prediction
        rows = GaussianComponents(prediction, self.scale_).logpdf(y[:, None])
        sizes = subjects.sizes[:, None]
        gain = self.ratio_ / (1 + sizes * self.ratio_) / (2 * self.scale_**2)
        gain = gain * subjects.weighted_sum(residuals) ** 2 - 0.5 * np.log1p(sizes * self.ratio_)
        return rows + subjects.of_rows(gain / sizes)

    def terms(self):
        return RandomInterceptTerms

    def _around(self, prediction, scale, experts):
        return GaussianComponents(prediction, np.hypot(scale, self.subject_scale_[experts]))

    @property
    def n_parameters_(self):
        return 2 * self.scale_.size
