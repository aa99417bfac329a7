"""Gaussian errors around an expert with random effects of subjects."""

from functools import cached_property

import numpy as np
from scipy import optimize, sparse
from sklearn.base import clone

from .._data import Subjects
from .._numerics.multinomial import definite_factors
from .._numerics.statistics import LeastSquaresStatistics, each_times, standardisation
from .._tables.mixed import as_pandas, column_numbers, is_table
from ..distributions import GaussianComponents
from ..likelihoods._gaussian import ScaledErrors

LARGEST = 1e3  # standard deviation between subjects over that within, of a standardised column
SEED = 0.1  # where the search starts; at zero its gradient is none
STEPS = 3  # of a search, which begins where the last one ended


class EffectSubjects(Subjects):
    """Subjects with random coefficients of ``effects``, of shape (n_samples, n_effects)."""

    def __init__(self, labels, weight, effects):
        super().__init__(labels, weight)
        self.effects = effects

    @property
    def sizes(self):
        """Weight of the rows of each subject, (n_subjects,); 1 where it is zero."""
        return self._total

    def total(self, values):
        """Sums over the rows of each subject (n_subjects, n_columns), whatever their weights."""
        columns = [np.bincount(self.numbers, column, len(self.labels)) for column in values.T]
        return np.column_stack(columns)

    def products(self, values):
        """Weighted products of ``effects`` and columns, (n_subjects, n_effects, n_columns)."""
        outer = self.effects[:, :, None] * values[:, None, :]
        return self.weighted_sum(outer.reshape(len(values), -1)).reshape(-1, *outer.shape[1:])

    @cached_property
    def grams(self):
        """Weighted products of ``effects`` with themselves, (n_subjects, n_effects, n_effects)."""
        return self.products(self.effects)

    def inner_roots(self, factor):
        r"""Roots R of the inverse of :math:`M = I + \Lambda^T G \Lambda`, and log-determinants.

        For each subject; G are ``grams``, and :math:`\Lambda` is the factor of the covariance of
        the effects over the variance within subjects.
        """
        lower = definite_factors(np.eye(len(factor)) + factor.T @ self.grams @ factor)
        log_det = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.inv(lower).swapaxes(1, 2), log_det

    def roots(self, factor):
        """``inner_roots``, times the factor.

        With V the covariance of a subject's rows and Z its effects, both over the variance within,
        the inverse of V is I less the square of Z times these.
        """
        inner, log_det = self.inner_roots(factor)
        return factor @ inner, log_det

    def effect_units(self, *, centred):
        """Matrix that standardises ``effects``, of which the first is the intercept.

        Those that are not ``centred`` are of the size of one.
        """
        mean, scale = standardisation(self.effects, self.row_weight)
        if not centred:
            return np.diag(1 / np.hypot(mean, scale))
        units = np.diag(1 / scale)
        units[0, 1:] = -mean[1:] / scale[1:]
        return units


class RandomEffects(ScaledErrors):
    r"""Gaussian errors around an expert, with random intercepts and slopes of subjects.

    .. math:: y_{si} \mid x_{si}, k \sim N(\mu_k(x_{si}) + z_{si}^T b_s, \sigma_k^2), \quad
        b_s \sim N(0, \Psi_k), \quad z = (1, \text{columns})

    All rows of subject s share the expert and the effects :math:`b_s`, which are integrated out
    [1]_: given the expert the rows of a subject are jointly normal, with covariance
    :math:`\sigma_k^2 I + Z_s \Psi_k Z_s^T`. A single row, or one of a new subject, has the variance
    :math:`\sigma_k^2 + z^T \Psi_k z`. ``fit`` takes the ``subject`` of each row; experts are
    linear. Predictions are for new subjects; for those of ``fit`` see
    :func:`~skmoe.inference.subject_effects`.

    Parameters
    ----------
    columns : list of str or int, default=()
        Names or numbers of the columns of X, which are numeric, with random slopes. An empty list
        is a random intercept only.
    covariance : {"full", "diag"}, default="full"
        Whether the effects of a subject are correlated. "full" does not depend on the origin of a
        column; "diag" does.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,)
        Standard deviations :math:`\sigma` within subjects, in the units of y.
    covariance_ : ndarray of shape (n_experts, n_effects, n_effects)
        Covariances :math:`\Psi` of the effects: of the intercept, then of the columns.
    subject_scale_ : ndarray of shape (n_experts, n_effects)
        Their standard deviations.
    relative_factor_ : ndarray of shape (n_experts, n_effects, n_effects)
        Factors :math:`\Lambda` of :math:`\Psi = \sigma^2 \Lambda \Lambda^T`.
    floor_ : float
        The smallest ``scale_`` allowed.

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
    >>> level, slope = rng.normal(size=(2, 100))
    >>> y = level[patient] + (1 + 0.3 * slope[patient]) * X[:, 0]
    >>> y = y + 0.5 * rng.normal(size=600)
    >>> from skmoe.likelihoods import RandomEffects
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=RandomEffects([0]))
    >>> moe = moe.fit(X, y, subject=patient)
    >>> moe.likelihood_.scale_.round(1), moe.likelihood_.subject_scale_.round(1)
    (array([0.5]), array([[1. , 0.3]]))
    """

    takes_subjects = True
    per_expert = ("scale_", "relative_factor_")
    learned_values = ("relative_factor_",)
    effect_numbers_ = ()  # of the columns
    effect_names_ = ()

    def __init__(self, columns=(), *, covariance="full"):
        self.columns = columns
        self.covariance = covariance

    # The columns ----------------------------------------------------------------------------

    def of_columns(self, n_columns, names):
        if self.covariance not in ("full", "diag"):
            raise ValueError(f'covariance must be "full" or "diag"; got {self.covariance!r}.')
        if np.ndim(self.columns) != 1:
            if self.columns is None:
                such_as = []
            else:
                such_as = [self.columns]
            raise ValueError(f"columns must be a list, such as {such_as!r}; got {self.columns!r}.")
        if names is not None:
            names = list(names)
        numbers = column_numbers(self.columns, n_columns, names)
        for column, places in zip(self.columns, numbers, strict=True):
            if len(places) > 1:
                several = [names[i] for i in places]
                raise ValueError(f"{column!r} may be one of the columns {several}: give its name.")
        numbers = [places[0] for places in numbers]
        twin = clone(self)
        twin.effect_numbers_ = tuple(numbers)
        twin.effect_names_ = tuple(f"x{i}" if names is None else names[i] for i in numbers)
        return twin

    def fitting(self, *, in_sample, linear):
        twin = super().fitting(in_sample=in_sample, linear=linear)
        twin.effect_numbers_ = self.effect_numbers_
        twin.effect_names_ = self.effect_names_
        return twin

    def subjects_of(self, X, subject, weight):
        return EffectSubjects(subject, weight, self.effects_of(X))

    def row_arguments(self, row_scale=None, exposure=None, subjects=None, X=None):
        arguments = super().row_arguments(row_scale, exposure, subjects)
        if X is None:
            return arguments
        return arguments | {"effects": self.effects_of(X)}

    def effects_of(self, X):
        """Columns of the random effects.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        effects : ndarray of shape (n_samples, n_effects)
            Ones of the intercept, then columns.
        """
        ones = np.ones((X.shape[0], 1))
        numbers = list(self.effect_numbers_)
        if not numbers:
            return ones
        if sparse.issparse(X):
            raise ValueError(
                f"RandomEffects({list(self.columns)!r}) needs dense columns: give X.toarray()."
            )
        X = as_pandas(X)
        if is_table(X):
            part = X.iloc[:, numbers].to_numpy()
        else:
            part = X[:, numbers]
        try:
            part = np.asarray(part, dtype=np.float64)
            known = np.isfinite(part).all(axis=0)
        except (TypeError, ValueError):
            known = np.zeros(len(numbers), dtype=bool)
        if not known.all():
            name = self.effect_names_[int(np.argmin(known))]
            raise ValueError(
                f"RandomEffects({list(self.columns)!r}) needs columns of finite numbers, which "
                f"{name!r} is not: encode or impute it, or leave it out."
            )
        return np.column_stack([ones, part])

    # Within EM ------------------------------------------------------------------------------

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"RandomEffects takes one output; y has {y.shape[1]}.")
        n_effects = 1 + len(self.effect_numbers_)
        self.relative_factor_ = np.zeros((n_experts, n_effects, n_effects))
        return super().start(y, weight, n_experts)

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0, *, subjects):
        # All scales go to the maximum; responsibilities are equal within a subject.
        residuals = y[:, None] - prediction
        same = np.ptp(subjects.effects[subjects.row_weight > 0, 1:], axis=0) == 0
        if same.any():
            raise ValueError(
                f"RandomEffects({list(self.columns)!r}): leave out the constant column "
                f"{self.effect_names_[int(np.argmax(same))]!r}. Each subject has an intercept."
            )
        resp = subjects.total(weights) / subjects.sizes[:, None]
        self.effect_units_ = subjects.effect_units(centred=self.covariance == "full")
        products = subjects.products(residuals)
        squares = subjects.weighted_sum(residuals**2)
        penalty = np.broadcast_to(penalty, resp.shape[1:])
        scales = []
        factors = []
        for k, last in enumerate(self.relative_factor_):
            scale = np.sqrt(self._variance)
            factor = np.zeros_like(last)
            if resp[:, k].any():
                given = (
                    resp[:, k],
                    products[..., k],
                    squares[:, k],
                    penalty[k],
                    self.floor_,
                    subjects,
                )
                places = self._places(len(last))
                scale, factor = _best_factor(given, last, places, self.effect_units_)
            scales.append(scale)
            factors.append(factor)
        self.scale_ = np.array(scales)
        self.relative_factor_ = np.array(factors)

    def taken_by_subjects(self, subjects, design, targets, resp):
        """What random effects take from the sums over rows of least squares.

        The rest are the sums of generalised least squares.

        Parameters
        ----------
        subjects : EffectSubjects
            The rows of each subject.
        design : ndarray of shape (n_samples, n_columns)
            Standardised columns.
        targets : ndarray of shape (n_samples, 1)
            Standardised target.
        resp : ndarray of shape (n_samples, n_experts)
            Responsibilities.

        Returns
        -------
        taken : LeastSquaresStatistics
            Sums for each expert.
        """
        products = subjects.products(np.column_stack([design, targets]))
        resp = subjects.of_first_rows(resp)
        between = []
        for k, factor in enumerate(self.relative_factor_):
            along = subjects.roots(factor)[0].swapaxes(1, 2) @ products
            along = along.reshape(-1, products.shape[2])
            weights = np.repeat(resp[:, [k]], len(factor), axis=0)
            between.append(
                LeastSquaresStatistics.from_rows(
                    along[:, : design.shape[1]], along[:, design.shape[1] :], weights
                )
            )
        return LeastSquaresStatistics.joined(between)

    def _places(self, n_effects):
        """Which entries of a factor may differ from zero, for standardised columns."""
        is_full = self.covariance == "full"
        if is_full:
            return np.tril_indices(n_effects)
        return np.diag_indices(n_effects)

    def log_density(self, y, prediction, experts=None, *, subjects=None, effects=None):
        if subjects is None:
            return self.components(prediction, experts, effects=effects).logpdf(y[:, None])
        residuals = y[:, None] - prediction
        rows = GaussianComponents(prediction, self.scale_).logpdf(y[:, None])
        products = subjects.products(residuals)
        gain = []
        for k, factor in enumerate(self.relative_factor_):
            roots, log_det = subjects.roots(factor)
            along = each_times(roots.swapaxes(1, 2), products[..., k])
            gain.append(0.5 * ((along**2).sum(axis=1) / self.scale_[k] ** 2 - log_det))
        return rows + subjects.of_rows(np.transpose(gain) / subjects.sizes[:, None])

    # After EM -------------------------------------------------------------------------------

    def posterior(self, y, prediction, subjects):
        """Mean and covariance of the effects of subjects, given their rows and the expert.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        subjects : Subjects
            The rows of each subject.

        Returns
        -------
        mean : ndarray of shape (n_subjects, n_experts, n_effects)
            Best linear unbiased predictions.
        covariance : ndarray of shape (n_subjects, n_experts, n_effects, n_effects)
            Covariance of the effects.
        """
        products = subjects.products(y[:, None] - prediction)
        means = []
        covariances = []
        for k, factor in enumerate(self.relative_factor_):
            roots, _ = subjects.roots(factor)
            outer = roots @ roots.swapaxes(1, 2)
            means.append(each_times(outer, products[..., k]))
            covariances.append(self.scale_[k] ** 2 * outer)
        return np.stack(means, axis=1), np.stack(covariances, axis=1)

    def components_given(self, prediction, effects, mean, covariance):
        """Distributions around the predictions, given estimates of the subjects.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        effects : ndarray of shape (n_samples, n_effects)
            Columns of the random effects.
        mean : ndarray of shape (n_samples, n_experts, n_effects)
            Means of the coefficients of the row's subject under each expert.
        covariance : ndarray of shape (n_samples, n_experts, n_effects, n_effects)
            The same.

        Returns
        -------
        components : GaussianComponents
            One for each row and expert.
        """
        shifted = prediction + np.einsum("ni,nki->nk", effects, mean)
        return self._shifted(shifted, self.scale_, effects, covariance)

    def components(self, prediction, experts=None, *, effects):
        if experts is None:
            everyone = slice(None)
        else:
            everyone = experts
        return self._shifted(prediction, self.scale_[everyone], effects, self.covariance_[everyone])

    def _shifted(self, prediction, scale, effects, covariance):
        covariance = np.broadcast_to(covariance, (len(effects), *covariance.shape[-3:]))
        between = np.einsum("ni,nkij,nj->nk", effects, covariance, effects)
        return self._around(prediction, np.sqrt(scale**2 + between), None)

    def _around(self, prediction, scale, experts):
        return GaussianComponents(prediction, scale)

    def terms(self):
        from .terms import RandomEffectsTerms  # of the leaf of inference, which fits do without

        return RandomEffectsTerms.of_effects(self.effect_names_, is_full=self.covariance == "full")

    @property
    def covariance_(self):
        """Covariances of the effects, (n_experts, n_effects, n_effects)."""
        factor = self.relative_factor_
        return self.scale_[:, None, None] ** 2 * (factor @ factor.swapaxes(1, 2))

    @property
    def subject_scale_(self):
        """Standard deviations of the effects, (n_experts, n_effects)."""
        return np.sqrt(np.diagonal(self.covariance_, axis1=1, axis2=2))

    @property
    def n_parameters_(self):
        return self.scale_.size * (1 + len(self._places(self.relative_factor_.shape[1])[0]))


def _profile(factor, resp, products, squares, penalty, floor, subjects):
    """Minus twice the log-likelihood of one expert, where the variance within subjects is best.

    Per unit of weight; with its derivatives by the relative factor, and that variance.
    """
    grams = subjects.grams
    mass = resp @ subjects.sizes
    inner, log_det = subjects.inner_roots(factor)
    along = each_times(inner.swapaxes(1, 2), products @ factor)
    rest = resp @ (squares - (along**2).sum(axis=1)) + penalty
    variance = max(rest / mass, floor**2)
    loss = np.log(variance) + rest / variance / mass + resp @ log_det / mass
    shrunk = each_times(inner, along)
    left = products - each_times(grams, shrunk @ factor.T)
    of_size = (grams @ factor) @ (inner @ inner.swapaxes(1, 2))
    slope = np.tensordot(resp, of_size, 1) - (resp[:, None] * left).T @ shrunk / variance
    return loss, 2 * slope / mass, variance


def _best_factor(given, last, places, units):
    """Standard deviation within subjects, and the relative factor, not worse than the last one.

    ``given`` are arguments of ``_profile``. Only the entries at ``places`` of the factor times
    ``units`` may differ from zero.
    """
    start = np.linalg.solve(units, last)
    diagonal = np.diag_indices(len(last))
    sign = np.where(start[diagonal] < 0, -1.0, 1.0)
    start[diagonal] = sign * np.maximum(np.abs(start[diagonal]), SEED)

    def factor_of(values):
        factor = np.zeros_like(last)
        factor[places] = values
        return units @ factor

    def loss_of(values):
        loss, slope, _ = _profile(factor_of(values), *given)
        return loss, (units.T @ slope)[places]

    found = optimize.minimize(
        loss_of,
        start[places],
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LARGEST, LARGEST)] * len(places[0]),
        options={"maxiter": STEPS, "ftol": 1e-14, "gtol": 1e-8},
    )
    tried = [(*_profile(each, *given), each) for each in (last, factor_of(found.x))]
    _, _, variance, factor = min(tried, key=lambda each: each[0])
    return np.sqrt(variance), factor
