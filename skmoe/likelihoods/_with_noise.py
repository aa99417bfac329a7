"""Any errors around the prediction of an expert, and rows that no expert made."""

from numbers import Real

import numpy as np
from scipy import special

from ..distributions import NoisyComponents
from ._composed import Around, copied_parts
from ._error_terms import NoisyTerms
from ._names import unfitted
from ._outliers import without_outliers

FIRST_SHARE = 0.05
SHARE_BOUNDS = (1e-4, 0.5)
FIRST_STEPS = 20  # from scales that outliers have made to those of the other rows


class WithNoise(Around):
    r"""Another likelihood, and a share of rows that are noise.

    .. math:: p_k(y \mid x) = (1 - \epsilon) \, f_k(y \mid x)
        + \epsilon \, \frac{1}{y_{\max} - y_{\min}}

    Noise is uniform over the range of the target in training, whatever the expert and the row
    [1]_; for several outputs, over the box of their ranges, all outputs of a row at once. EM
    learns :math:`\epsilon` with the rest: a row counts for an expert, and for its scale, with the
    probability that it is not noise. Nothing is taken from clean rows, and however far away an
    outlier is, it costs the same.

    Distributions, densities and draws are those of targets as they are recorded, noise included.
    ``predict`` leaves it out, as :meth:`MixtureDistribution.without_noise
    <skmoe.distributions.MixtureDistribution.without_noise>` does.

    Parameters
    ----------
    likelihood : str or likelihood, default="gaussian"
        Of the rows that are not noise; continuous: "gaussian", "laplace", "student_t",
        "log_normal" or an object.
    share : float or "estimate", default="estimate"
        Share :math:`\epsilon` of noise, above 0 and at most 0.5. "estimate" learns it.

    Attributes
    ----------
    share_ : float
        Share of noise.
    low_, high_ : float or ndarray of shape (n_outputs,)
        Range of the noise.
    likelihood_ : likelihood
        Of the rows that are not noise, fitted.

    References
    ----------
    .. [1] J. D. Banfield and A. E. Raftery, "Model-based Gaussian and non-Gaussian clustering",
       Biometrics 49 (1993) 803-821.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import WithNoise
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(0, 1, 200)[:, None]
    >>> y = X[:, 0] + 0.1 * rng.normal(size=200)
    >>> y[::10] = rng.uniform(-5, 5, size=20)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=WithNoise())
    >>> moe = moe.fit(X, y)
    >>> round(moe.likelihood_.share_, 2), moe.likelihood_.scale_.round(1)
    (0.1, array([0.1]))
    """

    share_bounds = SHARE_BOUNDS
    is_robust = is_reweighted = True

    def __init__(self, likelihood="gaussian", share="estimate"):
        self.likelihood = likelihood
        self.share = share

    def start(self, y, weight, n_experts):
        estimated = isinstance(self.share, str) and self.share == "estimate"
        if not estimated and not (isinstance(self.share, Real) and 0 < self.share <= 0.5):
            raise ValueError(
                f'share must be above 0 and at most 0.5, or "estimate"; got {self.share!r}.'
            )
        inner = unfitted(self.likelihood)
        family = inner.expert_family
        if family is not None and not family.has_density:
            raise ValueError(
                "Uniform noise has a density, which cannot be weighed against probabilities of "
                f"counts; got {self.likelihood!r}. Use 'negative_binomial' by itself."
            )
        if inner.keeps_order:
            raise ValueError(
                "Noise around a list of likelihoods is not known: put it inside, as in "
                "PerExpert([WithNoise(), 'gaussian'])."
            )
        if inner.stands_alone:
            raise ValueError(f"Noise around {inner} is not known.")
        if inner.scale_estimator() is not None:
            raise ValueError(
                "Beside noise, scales cannot depend on the row: give the likelihood "
                'scale="expert" or scale="shared".'
            )
        self.share_ = FIRST_SHARE if estimated else float(self.share)
        self.likelihood_ = self._new[0].start(y, without_outliers(y, weight), n_experts)
        self.low_, self.high_ = y[weight > 0].min(axis=0), y[weight > 0].max(axis=0)
        constant = self.low_ == self.high_
        width = np.where(constant, np.maximum(1e-6 * np.abs(self.low_), 1e-120), 0.0)
        self.low_, self.high_ = self.low_ - 0.5 * width, self.high_ + 0.5 * width
        self._is_fitted = False
        return self

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        if not self._is_fitted:
            copied_parts(self)[0].update(y, prediction, weights, penalty, pooled_rows)
        for _ in range(1 if self._is_fitted else FIRST_STEPS):
            own = weights * (1 - self.noise_proba(y, prediction))
            copied_parts(self)[0].update(y, prediction, own, penalty, pooled_rows)
            if self.share == "estimate":
                share = 1 - own.sum() / weights.sum()
                self.share_ = float(np.clip(share, *SHARE_BOUNDS))
        self._is_fitted = True

    def noise_proba(self, y, prediction):
        """Probability that a row is noise, for each expert that it may belong to.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert, as ``predict_experts`` gives it.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts)
            Zero outside the range of the noise. Its sum weighted by the responsibilities is the
            probability that a row is noise, whatever the expert.
        """
        log_density = self.likelihood_.log_density(y, prediction)
        log_odds = np.log(self.share_) - np.log1p(-self.share_)
        return special.expit(log_odds + self.log_uniform(y)[:, None] - log_density)

    def log_uniform(self, y):
        """Log-density of the noise.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Minus infinity outside its range.
        """
        inside = (y >= self.low_) & (y <= self.high_)
        log_density = np.where(inside, -np.log(self.high_ - self.low_), -np.inf)
        return log_density.sum(axis=1) if y.ndim == 2 else log_density

    def working_weights(self, y, prediction):
        # Probabilities that rows are not noise, times the working weights of the other likelihood.
        own = 1 - self.noise_proba(y, prediction)
        working = self.likelihood_.working_weights(y, prediction)
        return own if working is None else own * working

    def working_target(self, y, prediction):
        return self.likelihood_.working_target(y, prediction)

    def point(self):
        inner = super().point()
        return inner if inner is None else np.append(inner, special.logit(self.share_))

    def at(self, point):
        twin = super().at(point[:-1])
        if self.share == "estimate":
            twin.share_ = float(np.clip(special.expit(point[-1]), *SHARE_BOUNDS))
        return twin

    def log_density(self, y, prediction, experts=None):
        own = np.log1p(-self.share_) + self.likelihood_.log_density(y, prediction, experts)
        return np.logaddexp(own, np.log(self.share_) + self.log_uniform(y)[:, None])

    def components(self, prediction, experts=None):
        own = self.likelihood_.components(prediction, experts)
        return NoisyComponents(own, self.share_, self.low_, self.high_)

    def terms(self):
        inner = self.likelihood_.terms()
        if inner is None or np.ndim(self.low_) > 0:
            return None
        return NoisyTerms.around(inner, None if self.share == "estimate" else self.share_)

    @property
    def n_parameters_(self):
        of_errors = super().n_parameters_
        return None if of_errors is None else of_errors + (self.share == "estimate")
