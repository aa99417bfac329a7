"""What pooled experts leave of likelihoods: coefficients are known up to a normal posterior."""

import copy

import numpy as np
from scipy import special
from scipy.stats import qmc

from .._doors import error_terms
from .._experts.pooled import FEWEST_DF
from .._experts.pooled_posteriors import with_whole_cov
from .._numerics.columns import quadratic_forms
from .._tables.encoding import numeric_matrix
from ..distributions import StudentTComponents
from ._categorical import Categorical
from ._gaussian import Gaussian
from ._means import scales_of

SMALLEST_VARIANCE = 1e-12  # of a linear predictor
N_POINTS = 64  # a power of two


class UncertainCoefficients:
    """What the likelihoods of pooled experts keep of the coefficients.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, n_functions, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    own_var_, shared_var_ : ndarray of shape (n_functions, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    log_scale_precision_ : ndarray of shape (n_experts,) or (n_experts, n_functions), or None
        Prior precisions of the logarithms of the scales; None where these have no prior.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    offset_var_ : ndarray of shape (n_functions,) or None
        Prior variances of offsets of intercepts within regimes; None where there are none.
    """

    offset_var_ = None
    averages_experts = True
    n_parameters_ = log_scale_precision_ = None

    def take_coefficients(self, experts, coefficients, unit=1.0):
        """Take the Coefficients of each function, and their unit or units, from trained experts."""
        unit = np.broadcast_to(unit, len(coefficients))
        columns = experts.columns
        ties = experts.ties
        cov = np.stack([with_whole_cov(each, ties).cov for each in coefficients], axis=1)
        own, shared = (each[:, : columns.n_columns] for each in (experts.tau, experts.rho))
        self.coef_cov_ = columns.whole_cov(cov, own + shared) * unit[:, None, None] ** 2
        self.columns_ = columns.whole
        self.own_var_, self.shared_var_ = (
            columns.standard_variances(variances) * unit[:, None] ** 2
            for variances in (own, shared)
        )
        if ties is not None:
            self.regime_ = ties.regime
            if ties.has_offsets:
                self.offset_var_ = experts.tau[:, -1] * unit**2
            else:
                self.offset_var_ = None

    @property
    def pooled_(self):
        """Whether each expert is pooled, and none that was added later, (n_experts,)."""
        return self.coef_cov_[:, 0, -1, -1] > 0

    def extended(self, other, k):
        # Coefficients of the new expert, if it has any, are those that it was fitted with.
        other = copy.copy(other)
        other.coef_cov_ = np.zeros((k + 1, *self.coef_cov_.shape[1:]))
        twin = super().extended(other, k)
        if self.regime_ is not None:
            twin.regime_ = np.append(self.regime_, self.regime_.max() + 1)
        return twin

    def variances(self, X):
        """Variances of the linear functions, (n_samples, n_experts, n_functions)."""
        X = numeric_matrix(X)
        design = self.columns_.design(X)
        functions = self.coef_cov_.swapaxes(0, 1)
        variance = np.stack([quadratic_forms(design, cov) for cov in functions], axis=2)
        unseen = self.columns_.variances_of_unseen(X, self.own_var_ + self.shared_var_)
        variance += unseen[:, None] * self.pooled_[:, None]
        return np.maximum(variance, 0.0)

    def widen(self, factor):
        """Make errors so many times as large, where they have a scale of their own."""

    @classmethod
    def plain(cls):
        """The likelihood, unstarted, that this is the pooled one of."""
        return next(each for each in cls.__mro__ if not issubclass(each, UncertainCoefficients))()

    def into(self, plain, but=()):
        """Another likelihood with the attributes of this one, but for some and those above."""
        left_out = {"coef_cov_", "own_var_", "shared_var_", "columns_", "regime_", "offset_var_"}
        left_out.update(but)
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        vars(plain).update(kept)
        return plain


class UncertainFunction(UncertainCoefficients):
    """Likelihoods of pooled experts of a family, whose linear predictors have a posterior.

    ``pooled_class`` makes them of those of other experts.

    Means are averaged over the predictor. The mean of a log link is known up to the variance of its
    logarithm. Predictive distributions are those that are left when the mean, or the target, counts
    as a Gamma variable whose logarithm has the mean and variance that it has under the posterior.
    The mean of an average over log-normal means would grow as the exponential of half the variance
    far from the rows of ``fit``, and all but a few of the targets would be far below it.
    """

    @property
    def per_expert(self):
        """Names of the fitted attributes whose first axis are the experts."""
        return (*super().per_expert, "coef_cov_")

    def take(self, experts, resp):
        """Take what pooled experts have learned at the last responsibilities (n, K)."""
        self.take_coefficients(experts, experts.posterior.coefficients)
        if self.family.scale is not None:
            self.scales_ = experts.scales

    def for_batches(self):
        return self.into(self.plain())

    def scale_model_(self, X):
        """Standard deviations of the linear functions, (n_samples, n_experts)."""
        return np.sqrt(self.variances(X)[:, :, 0])

    def components(self, prediction, experts=None, row_scale=None, *, trials=1.0):
        """``row_scale``, from ``scale_model_``, is of all experts, and None is zero."""
        if row_scale is None:
            return super().components(prediction, experts, trials=trials)
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts, axis=1)
        variance = np.maximum(row_scale**2, SMALLEST_VARIANCE)
        return self.family.averaged(prediction, variance, scales_of(self, experts), trials)


def pooled_class(kind):
    """Class of a likelihood of pooled experts, from that of others, whose family has ``averaged``.

    The module of ``kind`` keeps it as "Pooled" and the name of ``kind``, by which it is pickled.
    """
    attributes = {"__module__": kind.__module__, "__doc__": f"{kind.__name__}, of pooled experts."}
    kind._pooled_class = type("Pooled" + kind.__name__, (UncertainFunction, kind), attributes)
    return kind._pooled_class


class PooledGaussian(UncertainCoefficients, Gaussian):
    r"""Predictive distribution around experts with partially pooled coefficients.

    Coefficients and precision of an expert have a posterior, and a new target is

    .. math:: y \mid x, k \sim t_{\nu_k}(\mu_k(x), \sqrt{\sigma_k^2 + x^T C_k x})

    with the covariance :math:`C_k` of the coefficients and :math:`1 / \sigma_k^2` the posterior
    mean of the precision. A fit with ``training="pooled"`` makes it of
    :class:`~skmoe.likelihoods.Gaussian`.

    Parameters
    ----------
    scale : {"expert", "shared"}, default="expert"
        Whether each expert has an error variance of its own.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Scales :math:`\sigma_k`, in the units of y.
    df_ : ndarray, shaped like scale_
        Degrees of freedom.
    coef_cov_ : ndarray of shape (n_experts, n_outputs, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last; in squared units of y.
    own_var_, shared_var_ : ndarray of shape (n_outputs, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common; in squared units of y.
    log_scale_precision_ : ndarray, shaped like scale_
        Prior precisions of the logarithms of the scales, around their common level.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """

    per_expert = ("scale_", "df_", "log_scale_precision_", "coef_cov_", "_mass", "_squares")

    def __init__(self, scale="expert"):
        super().__init__(scale)

    def take(self, experts, resp):
        """Take what pooled experts have learned at the last responsibilities (n, K)."""
        sums = experts.sum_rows(resp)
        if experts.flat:
            shape = (experts.n_experts,)
        else:
            shape = (experts.n_experts, -1)
        unit = experts.y_scale
        posteriors = [precisions for _, precisions in experts.posteriors]
        precision = np.stack([each.mean for each in posteriors], axis=1)
        # By the curvature of the prior of -1/2 log lambda, given s_0, at the means.
        curvature = np.stack([2 * each.nu * each.centre * each.mean for each in posteriors], axis=1)
        coefficients = [coefficients for coefficients, _ in experts.posteriors]
        self.take_coefficients(experts, coefficients, unit)
        self.scale_ = (unit / np.sqrt(precision)).reshape(shape)
        self.df_ = experts.degrees_of_freedom(sums).reshape(shape)
        self.log_scale_precision_ = curvature.reshape(shape)
        self._mass = sums.mass
        self._squares = (self.scale_.T**2 * self._mass).T

    def extended(self, other, k):
        # The scale of the new expert is as uncertain as its rows make it.
        other = copy.copy(other)
        other.df_ = np.broadcast_to(np.maximum(other._mass, FEWEST_DF), other.scale_.T.shape).T
        other.log_scale_precision_ = np.full_like(other.scale_, np.inf)
        return super().extended(other, k)

    def widen(self, factor):
        self.scale_ = factor * self.scale_

    @property
    def at_floor_(self):
        """Whether each expert's errors are as small as the floor, for any output; (n_experts,).

        The floor is a part of every pooled variance.
        """
        return (self.scale_**2 <= 2 * self.floor_**2).reshape(len(self.scale_), -1).any(axis=1)

    def for_batches(self):
        plain = self.into(Gaussian(self.scale), but=("df_", "log_scale_precision_"))
        plain.update_from_sums(self._mass, self._squares)
        return plain

    def terms(self):
        return error_terms().PooledTerms

    def scale_model_(self, X):
        """Factors of the scales for rows, (n_samples, n_experts) or (..., n_outputs)."""
        variance = self.variances(X)
        return np.sqrt(1 + variance.reshape((len(variance), *self.scale_.shape)) / self.scale_**2)

    def components(self, prediction, experts=None, row_scale=None):
        """Distributions around the predictions; ``row_scale`` are factors for all experts."""
        if experts is None:
            return self._around(prediction, self.scale_ * row_scale, slice(None))
        rows = np.arange(len(experts))[:, None]
        return self._around(prediction, self.scale_[experts] * row_scale[rows, experts], experts)

    def _around(self, prediction, scale, experts):
        df = np.broadcast_to(self.df_[experts], prediction.shape)  # of each output
        return StudentTComponents(prediction, scale, df)


class PooledCategorical(UncertainCoefficients, Categorical):
    r"""Class probabilities of experts with partially pooled coefficients.

    The linear functions :math:`f_c` of an expert have a normal posterior, over which its
    probabilities are averaged. Those of two classes have one function, the log-odds, of mean m and
    variance :math:`v = x^T C_k x`, and the average is about [1]_

    .. math:: p_k(1 \mid x) = \Bigl(1 + \exp\frac{-m}{\sqrt{1 + \pi v / 8}}\Bigr)^{-1}.

    Those of more classes are averaged over 64 points of Sobol's sequence, the same for all rows.
    A fit with ``training="pooled"`` makes it.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, n_functions, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last; one function for two
        classes, else one for each.
    own_var_, shared_var_ : ndarray of shape (n_functions, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.

    References
    ----------
    .. [1] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
       Computation 4 (1992) 720-736.
    """

    per_expert = (*Categorical.per_expert, "coef_cov_")

    def __init__(self, *, n_classes=0):
        super().__init__(calibration=None, epsilon=0.0, n_classes=n_classes)

    def take(self, experts, resp):
        self.start_from_sums(self._counts, experts.n_experts)
        self.take_mass(experts.weight @ resp)
        self.take_coefficients(experts, experts.posterior.coefficients)

    def for_batches(self):
        return self.into(Categorical(calibration=None, epsilon=0.0))

    def scale_model_(self, X):
        """Standard deviations of the linear functions, (n_samples, n_experts, n_functions)."""
        return np.sqrt(self.variances(X))

    def calibrate(self, prediction, experts=None, row_scale=None):
        """Class probabilities, averaged over the posterior of the experts.

        ``row_scale``, from ``scale_model_``, is (n, K, n_functions), and None is zero.
        """
        prediction = super().calibrate(prediction, experts)  # of experts that were added later
        if row_scale is None:
            return prediction
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts[:, :, None], axis=1)
        log_proba = np.log(np.maximum(prediction, np.finfo(float).tiny))
        if row_scale.shape[2] == 1:
            log_odds = log_proba[..., 1:] - log_proba[..., :1]
            log_odds = log_odds / np.sqrt(1 + np.pi / 8 * row_scale**2)
            return special.expit(np.concatenate([-log_odds, log_odds], axis=2))
        points = normal_points(row_scale.shape[2])
        return sum(special.softmax(log_proba + row_scale * z, axis=2) for z in points) / N_POINTS


def normal_points(n_dimensions):
    """Points (N_POINTS, n_dimensions) that are spread as independent normal variables are."""
    return special.ndtri(qmc.Sobol(n_dimensions, scramble=False).random(N_POINTS) + 0.5 / N_POINTS)
