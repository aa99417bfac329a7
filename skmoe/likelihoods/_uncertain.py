"""Linear functions whose coefficients are known up to a normal posterior."""

import copy

import numpy as np

from .._numerics.columns import quadratic_forms
from .._tables.encoding import numeric_matrix
from ._means import scales_of

SMALLEST_VARIANCE = 1e-12  # of a linear predictor


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
        n_columns = experts.columns.n_columns
        cov = np.stack([each.cov for each in coefficients], axis=1)
        self.coef_cov_ = cov * unit[:, None, None] ** 2
        self.columns_ = experts.columns
        self.own_var_, self.shared_var_ = (
            self.columns_.standard_variances(variances) * unit[:, None] ** 2
            for variances in (experts.tau[:, :n_columns], experts.rho[:, :n_columns])
        )
        ties = experts.ties
        if ties is not None:
            self.regime_ = ties.regime
            self.offset_var_ = experts.tau[:, -1] * unit**2 if ties.has_offsets else None

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

    def reorder(self, order):
        """Renumber the experts in place; see ``BaseLikelihood``."""
        super().reorder(order)
        if self.regime_ is not None:
            self.regime_ = self.regime_[order]

    def variances(self, X):
        """Of the linear functions of what experts see, (n_samples, n_experts, n_functions)."""
        X = numeric_matrix(X)
        design, functions = self.columns_.design(X), self.coef_cov_.swapaxes(0, 1)
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

    ``class PooledGamma(UncertainFunction, Gamma)`` needs no methods of its own.

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

    def take(self, experts, sums):
        """Take what pooled experts have learned; sums are those at the last responsibilities."""
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
