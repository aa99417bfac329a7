"""Errors that are skewed, around the location that an expert predicts."""

from abc import abstractmethod

import numpy as np
from scipy import optimize

from ..distributions import SkewNormalComponents, SkewTComponents
from ..distributions._skewed import log_skew_normal, normal_hazard
from ..distributions._student_t import log_t, log_tail
from ._outliers import without_outliers
from ._scaled import DF_BOUNDS, FIRST_DF, ScaledErrors, TailedErrors
from ._skew_normal_terms import LARGEST_SKEW, SkewNormalTerms

DF_STEP = 1e-6  # of their logarithm, for a difference
FIRST_SKEW = 2.0  # at most, of a search
LITTLE_SKEW = 0.5
LONGEST_STEP = 20.0  # of the logarithm of a scale, for one refit of the experts
STEPS = 10  # of scale, skew and degrees of freedom, for one refit of the experts


class _SkewedErrors(ScaledErrors):
    """Errors with a scale and a skew, one output.

    Such an error is ``scale * (delta * |u| + sqrt(1 - delta**2) * v)``, divided by the root of a
    latent precision where tails are long, with u and v standard normal. EM subtracts the
    expectation of the first part from the target on which experts are fitted.

    A skew moves the location away from the mean. Both are found together: ``_shift`` is how far
    below the predictions the locations are, until the next fit of the experts accounts for it.
    """

    is_reweighted = True
    per_expert = ("scale_", "skew_", "_shift")
    learned_logs, learned_values = ("scale_",), ("skew_", "_shift")

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"{type(self).__name__} takes one output; y has {y.shape[1]}.")
        self.skew_ = self._shift = np.zeros(n_experts)
        return super().start(y, weight, n_experts)

    def _learn(self, residuals, weights, penalty, pooled_rows):
        n_experts = residuals.shape[1]
        self._shift = np.zeros(n_experts)
        if self.scale_ is None:
            super()._learn(residuals, weights, 0.0, pooled_rows)
        penalty = np.broadcast_to(penalty, n_experts)
        better = [
            self._better(k, residuals[:, k], weights[:, k], penalty[k]) for k in range(n_experts)
        ]
        for name, values in zip(self._learned, zip(*better, strict=True), strict=True):
            setattr(self, name, np.array(values))

    def _keep_within_bounds(self):
        super()._keep_within_bounds()
        self.skew_ = np.clip(self.skew_, -LARGEST_SKEW, LARGEST_SKEW)

    @property
    def _learned(self):
        """Attributes that are learned."""
        return ("_shift", "scale_", "skew_")

    def _better(self, k, residuals, weights, penalty):
        """Shift, scale, skew and degrees of freedom of expert k, at a higher likelihood if it can.

        Gaussian errors are a saddle of the likelihood. Where there is little skew, a second search
        starts from one of the sign of the residuals' third moment.
        """
        used = weights > 0
        last = tuple(vars(self)[name][k] for name in self._learned)
        if not used.any():
            return last
        residuals, weights = residuals[used], weights[used]
        share, (_, unit, skew, *df) = weights / weights.sum(), last
        arguments = residuals, share, penalty / weights.sum(), unit, self._df(k)
        starts = [[0.0, np.log(unit), skew, *np.log(df)]]
        if abs(skew) < LITTLE_SKEW:
            starts.append([*self._skewed_start(residuals, share, unit), *np.log(df)])
        of_scale = np.log(self.floor_), np.log(unit) + LONGEST_STEP
        bounds = [(None, None), of_scale, (-LARGEST_SKEW, LARGEST_SKEW)]
        bounds += [np.log(DF_BOUNDS)] * len(df)
        options = {"maxiter": STEPS, "ftol": 1e-15, "gtol": 1e-9}
        found = [
            optimize.minimize(
                self._loss,
                np.clip(start, -700, 700),
                arguments,
                "L-BFGS-B",
                jac=True,
                bounds=bounds,
                options=options,
            )
            for start in starts
        ]
        best = min(found, key=lambda each: each.fun)
        if not best.fun < self._loss(starts[0], *arguments)[0]:
            return last
        shift, log_scale, skew, *log_df = best.x
        scale = max(float(np.exp(log_scale)), np.min(self.floor_))
        return shift * unit, scale, skew, *np.exp(log_df)

    def _skewed_start(self, residuals, share, unit):
        """Shift in units, logarithm of the scale, and skew: about the mean and variance of now."""
        skew = _skew_of(residuals, share, self.floor_)
        delta = skew / np.sqrt(1 + skew**2)
        scale = unit / np.sqrt(1 - 2 / np.pi * delta**2)
        return np.sqrt(2 / np.pi) * delta, np.log(scale), skew

    def _loss(self, place, residuals, share, penalty, unit, df):
        """Mean negative log-density of an expert, the penalty of its coefficients, and the slopes.

        ``place`` is the shift in units, the logarithm of the scale, the skew and, unless ``df`` is
        given, the logarithm of the degrees of freedom. Residuals and shares are of rows of positive
        weight; the shares add up to one, and the penalty is per unit of weight. ``unit`` is the
        last scale.
        """
        shift, scale, skew, log_df = place[0] * unit, np.exp(place[1]), place[2], place[3:]
        z = (residuals + shift) / scale
        df = np.exp(log_df[0]) if len(log_df) else df
        log_density, by_z, by_skew = self._slopes(z, skew, df)
        of_prior = 0.5 * penalty / scale**2
        slopes = [
            -(share @ by_z) * unit / scale,
            1 + share @ (by_z * z) - 2 * of_prior * (1 + skew**2),
            2 * of_prior * skew - share @ by_skew,
        ]
        if len(log_df):
            more = self._slopes(z, skew, df * np.exp(DF_STEP))[0]
            slopes.append(-(share @ (more - log_density)) / DF_STEP)
        value = of_prior * (1 + skew**2) - share @ log_density + place[1]
        return value, np.array(slopes)

    def _df(self, k):
        """Degrees of freedom that are not learned, if there are any."""
        return None

    @abstractmethod
    def _slopes(self, z, skew, df):
        """Log-density of standardised errors, and its derivatives by these and by the skew."""

    def working_target(self, y, prediction):
        # The target less the expected skewed part of the error.
        location = prediction - self._shift
        z = (y[:, None] - location) / self.scale_
        gap = -self._slopes(z, self.skew_, self.df_)[1] * self.scale_
        gap /= 1 + self.skew_**2
        working = self.working_weights(y, prediction)
        return location + (gap if working is None else gap / working)

    @property
    def precision_(self):
        """Weights of squared errors, those without skew; 1 before there are scales."""
        return (1 + self.skew_**2) / self.scale_**2 if self.scale_ is not None else 1.0

    def log_prior(self, penalty):
        # The penalty is in units of the part of errors without skew.
        return -0.5 * float(np.sum(penalty * self.precision_))

    @property
    def n_parameters_(self):
        return (len(self._learned) - 1) * len(self.scale_)


class SkewNormal(_SkewedErrors):
    r"""Errors of the skew-normal distribution.

    .. math:: f_k(y \mid x) = \frac{2}{\sigma_k} \, \phi(z) \, \Phi(\lambda_k z),
        \quad z = \frac{y - \mu_k(x)}{\sigma_k}

    The skew :math:`\lambda_k` is 0 for Gaussian errors; positive ones have a longer right tail.
    Experts predict the location :math:`\mu_k`, below the mean by
    :math:`\sigma_k \delta_k \sqrt{2 / \pi}` with
    :math:`\delta_k = \lambda_k / \sqrt{1 + \lambda_k^2}`; ``predict`` is the mean.
    In EM the expected skewed part of an error is taken from the target, so that experts of any kind
    are fitted by least squares; scales and skews raise the likelihood itself [1]_. One output.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,)
        Scales :math:`\sigma`, in the units of y.
    skew_ : ndarray of shape (n_experts,)
        Skews :math:`\lambda`, between -50 and 50.
    floor_ : float
        The smallest scale allowed; as for :class:`Gaussian`.

    References
    ----------
    .. [1] F. Chamroukhi, "Skew-normal mixture of experts", International Joint Conference on Neural
       Networks (2016) 3000-3007.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> X = np.linspace(-1, 1, 2000)[:, None]
    >>> y = 2 * X[:, 0] + stats.skewnorm(5.0).rvs(2000, random_state=0)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="skew_normal")
    >>> moe = moe.fit(X, y)
    >>> location = moe.experts_[0].predict([[0.0]])
    >>> location.round(1) + 0.0, moe.predict([[0.0]]).round(1)
    (array([0.]), array([0.8]))
    """

    def _slopes(self, z, skew, df):
        hazard = normal_hazard(skew * z)
        return log_skew_normal(z, skew), skew * hazard - z, z * hazard

    def _around(self, prediction, scale, experts):
        return SkewNormalComponents(prediction - self._shift[experts], scale, self.skew_[experts])

    def terms(self):
        return SkewNormalTerms


class SkewT(TailedErrors, _SkewedErrors):
    r"""Errors of the skew t distribution: long tails, of which one is longer.

    .. math:: f_k(y \mid x) = \frac{2}{\sigma_k} \, t_\nu(z) \,
        T_{\nu + 1}\Big(\lambda_k z \sqrt{\frac{\nu + 1}{\nu + z^2}}\Big),
        \quad z = \frac{y - \mu_k(x)}{\sigma_k}

    As :class:`SkewNormal`, and a row far from the prediction counts for little, as for
    :class:`StudentT`. Experts predict the location :math:`\mu_k`; ``predict`` is the mean [1]_.
    One output.

    Parameters
    ----------
    df : float or "estimate", default=4.0
        Degrees of freedom :math:`\nu`, above 2 so that there is a variance. "estimate" learns one
        number for each expert, between 2.1 and 200; that takes some hundred rows for each.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,)
        Scales :math:`\sigma`, in the units of y.
    skew_ : ndarray of shape (n_experts,)
        Skews :math:`\lambda`, between -50 and 50.
    df_ : ndarray of shape (n_experts,)
        Degrees of freedom.
    floor_ : float
        The smallest scale allowed; from the bulk of y.

    References
    ----------
    .. [1] F. Chamroukhi, "Skew t mixture of experts", Neurocomputing 266 (2017) 390-408.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.distributions import SkewTComponents
    >>> X = np.linspace(-1, 1, 2000)[:, None]
    >>> errors = SkewTComponents(np.zeros((2000, 1)), 1.0, 5.0, 4.0)
    >>> which = np.zeros((2000, 1), int)
    >>> errors = errors.rvs(which, np.random.RandomState(0))[:, 0]
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="skew_t")
    >>> moe = moe.fit(X, 2 * X[:, 0] + errors)
    >>> location = moe.experts_[0].predict([[0.0]])
    >>> location.round(1) + 0.0, moe.predict([[0.0]]).round(1)
    (array([0.]), array([0.9]))
    """

    is_robust = True
    per_expert = ("scale_", "skew_", "_shift", "df_")
    learned_logs = ("scale_", "df_")

    def __init__(self, df=FIRST_DF):
        self.df = df

    @property
    def _learned(self):
        return super()._learned + (("df_",) if self.df == "estimate" else ())

    def _df(self, k):
        return self.df_[k]

    def _bulk(self, y, weight):
        return without_outliers(y, weight)

    def _slopes(self, z, skew, df):
        root = np.sqrt((df + 1) / (df + z**2))
        inside = skew * z * root
        log_cdf = log_tail(df + 1, inside)
        hazard = np.exp(log_t(inside, df + 1) - log_cdf)
        by_z = skew * root * df / (df + z**2) * hazard - root**2 * z
        return np.log(2) + log_t(z, df) + log_cdf, by_z, z * root * hazard

    def working_weights(self, y, prediction):
        # Expected latent precisions.
        skew, df = self.skew_, self.df_
        z = (y[:, None] - prediction + self._shift) / self.scale_
        inside = skew * z * np.sqrt((df + 1) / (df + z**2))
        log_ratio = log_tail(df + 3, inside * np.sqrt((df + 3) / (df + 1)))
        log_ratio = log_ratio - log_tail(df + 1, inside)
        return (df + 1) / (df + z**2) * np.maximum(np.exp(log_ratio), 1e-6)

    def _around(self, prediction, scale, experts):
        location = prediction - self._shift[experts]
        return SkewTComponents(location, scale, self.skew_[experts], self.df_[experts])


def _skew_of(residuals, share, floor):
    """A skew of the sign of the third moment, larger where that is."""
    centred = residuals - share @ residuals
    size = max(np.sqrt(share @ centred**2), np.min(floor))
    return FIRST_SKEW * np.clip(share @ (centred / size) ** 3, -1, 1)
