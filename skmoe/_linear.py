"""Linear and logistic experts, all K of them at once, on one design of standardised columns."""

import copy
from functools import cached_property

import numpy as np
from scipy import special
from sklearn.base import clone
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.pipeline import Pipeline

from . import _multinomial
from ._compat import validate_params
from ._statistics import LeastSquaresStatistics, standardisation

DEFAULT_REGRESSION_ALPHA = 1e-6  # of the default experts, on standardised columns
DEFAULT_LOGISTIC_ALPHA = 1e-3

# A coefficient for each column is too few to learn rows by heart.
IN_SAMPLE = (
    LinearRegression,
    Ridge,
    LogisticRegression,
    PoissonRegressor,
    GammaRegressor,
    TweedieRegressor,
)


def linear_penalty(estimator, task):
    """L2 penalty of an estimator that is solved here, or None where it has to fit itself.

    Only the very classes below with an intercept qualify, not their subclasses: those may do
    something else.

    Parameters
    ----------
    estimator : estimator
        An expert, unfitted.
    task : {"regression", "classification"}
        Kind of the mixture.

    Returns
    -------
    penalty : float or None
        Multiplies half the squared norm of a logistic expert's coefficients, the whole squared
        norm of a linear one's.

    Raises
    ------
    InvalidParameterError
        If the parameters are not what the estimator's own ``fit`` takes.
    """
    if type(estimator) in (LinearRegression, Ridge, LogisticRegression):
        validate_params(estimator)
    params = estimator.get_params(deep=False)
    if not params.get("fit_intercept", False) or params.get("positive", False):
        return None
    if task == "regression":
        if type(estimator) is LinearRegression:
            return 0.0
        if type(estimator) is Ridge and np.isscalar(params["alpha"]):
            return float(params["alpha"])
        return None
    if type(estimator) is not LogisticRegression or params["class_weight"] is not None:
        return None
    if params["penalty"] is None:
        return 0.0
    is_l2 = params["penalty"] in ("l2", "deprecated") and not params["l1_ratio"]
    if not (is_l2 and _is_multinomial(estimator)) or params["dual"]:
        return None
    return 1.0 / params["C"]


def _is_multinomial(estimator):
    """Whether a LogisticRegression is one for all classes, and not for each against the rest."""
    multi_class = getattr(estimator, "multi_class", "deprecated")
    return multi_class == "deprecated" and estimator.solver != "liblinear"


def is_linear(estimator):
    """Whether in-sample predictions are honest enough: linear, logistic and log-linear models.

    Of a Pipeline, the last step counts; of a mixture, its experts.
    """
    if hasattr(estimator, "_expert_list"):
        in_sample = estimator.cv is False or estimator.cv == "auto"
        return in_sample and all(is_linear(expert) for expert in estimator._expert_list()[1])
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    return isinstance(last, IN_SAMPLE)


def count_coefficients(estimator, X, y):
    """Coefficients of a linear model for each function that it fits, of a mixture of all experts.

    Parameters
    ----------
    estimator : estimator
        Unfitted, ``is_linear``.
    X : array-like or DataFrame of n_samples rows
        What it takes. The transformers of a Pipeline are fitted, to see what they make of it.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target.

    Returns
    -------
    n_coefficients : int
        Columns and an intercept.
    """
    if hasattr(estimator, "_expert_list"):
        return sum(count_coefficients(e, X, y) for e in estimator._expert_list()[1])
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = clone(estimator[:-1]).fit_transform(X, y)
    return X.shape[1] + 1


def predict_at_once(experts, X, classes):
    """What fitted linear or logistic experts predict, without each of them checking X again.

    Parameters
    ----------
    experts : list of estimators
        Fitted; of the very classes of scikit-learn, or they may do something else.
    X : array-like or DataFrame of n_samples rows
        Checked as mixtures do.
    classes : ndarray of shape (n_classes,) or None
        None for regressors.

    Returns
    -------
    predictions : ndarray of shape (n_samples, n_experts) or (..., n_classes) or None
        None where the experts have to be asked one by one: because they are others, or to say
        what is wrong with X.
    """
    kinds = (LinearRegression, Ridge) if classes is None else (LogisticRegression,)
    if type(X) is not np.ndarray or any(type(expert) not in kinds for expert in experts):
        return None
    shape = X.shape[1:]
    if classes is not None:
        n_functions = 1 if len(classes) == 2 else len(classes)
        shape = (n_functions, *shape)
        alike = all(
            np.array_equal(expert.classes_, classes)
            and (n_functions == 1 or _is_multinomial(expert))
            for expert in experts
        )
        if not alike:
            return None
    if any(expert.coef_.shape != shape for expert in experts):
        return None
    fitted = np.empty((len(X), len(experts), *shape[:-1]))
    for k, expert in enumerate(experts):
        fitted[:, k] = X @ expert.coef_.T + expert.intercept_
    if not np.isfinite(fitted).all():
        return None
    if classes is None:
        return fitted
    if n_functions == 1:
        return special.expit(np.concatenate([-fitted, fitted], axis=2))
    return special.softmax(fitted, axis=2)


class _Rows:
    """Rows in standardised columns, which are made when somebody asks, once for all copies."""

    def __init__(self, X, mean, scale):
        self.X, self.mean, self.scale = X, mean, scale

    @cached_property
    def design(self):
        return np.column_stack([(self.X - self.mean) / self.scale, np.ones(len(self.X))])


class _Design:
    """What linear experts share: standardised columns and an intercept.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite numbers.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_experts : int
        Number of experts.
    penalty : float
        L2 penalty of the experts.
    per_column_unit : bool
        Whether the penalty is on coefficients of the raw columns, as scikit-learn's is, and
        not on those of the standardised ones.
    units : (ndarray, ndarray), default=None
        Mean and scale of the columns where they are known.
    """

    in_sample = True
    n_fits = 0
    shared = None  # mask (p + 1,) of the columns with one coefficient for all experts
    precision = 1.0  # of each expert, by which these are weighed
    own_log_density = {}  # of no expert: the likelihood knows them all
    own_log_prior = 0.0

    def __init__(self, X, y, weight, n_experts, *, penalty, per_column_unit, units=None):
        self.weight, self.n_experts = weight, n_experts
        self.mean, self.scale = standardisation(X, weight) if units is None else units
        self._take(X, y)
        self.alpha = penalty / self.scale**2 if per_column_unit else np.full(X.shape[1], penalty)
        self.minimum_rows = X.shape[1] + 2

    def _take(self, X, y):
        """Hold these rows, in the standardised columns of the first ones."""
        self.y = y
        self.rows = _Rows(X, self.mean, self.scale)

    @property
    def design(self):
        """Standardised columns and the intercept, (n_samples, p)."""
        return self.rows.design

    def on_rows(self, rows, weight):
        """A copy on some of the rows, with other weights, in the same units."""
        twin = copy.copy(self)
        twin.weight = weight
        twin._take(self.rows.X[rows], self.y[rows])
        return twin

    def without_rows(self):
        """A copy that holds no rows, for ``partial_fit``."""
        twin = copy.copy(self)
        twin.y = twin.rows = twin.weight = twin.predictions = None
        return twin

    def share(self, columns):
        """Give all experts one coefficient for each of these columns; the experts."""
        self.shared = np.zeros(len(self.scale) + 1, dtype=bool)
        self.shared[columns] = True
        return self

    def _n_free(self):
        """Coefficients of all experts for one output, shared ones counted once."""
        n_columns = len(self.scale) + 1
        if self.shared is None:
            return self.n_experts * n_columns
        n_shared = np.count_nonzero(self.shared)
        return self.n_experts * (n_columns - n_shared) + n_shared

    def raw(self, coef):
        """Coefficients (p, m) and intercepts (m,) in the units of X, from (p + 1, m)."""
        raw = coef[:-1] / self.scale[:, None]
        return raw, coef[-1] - self.mean @ raw


class LinearExperts(_Design):
    """Weighted least squares for K experts from their additive statistics.

    See ``_Design`` for the parameters. ``prior`` says whether the penalty is a prior in units
    of the error variance, under which EM is monotone; scikit-learn's ridge penalty is none.
    """

    def __init__(self, X, y, weight, n_experts, *, penalty, per_column_unit, prior, units=None):
        self.y_mean, self.y_scale = standardisation(y.reshape(len(y), -1), weight)
        self.flat = y.ndim == 1
        super().__init__(
            X, y, weight, n_experts, penalty=penalty, per_column_unit=per_column_unit, units=units
        )
        self.prior = prior
        self.penalty = 0.0

    @property
    def targets(self):
        """Standardised target, (n_samples, n_outputs)."""
        return (self.y.reshape(len(self.y), -1) - self.y_mean) / self.y_scale

    def fit(self, resp, working=None, exposure=None):
        """Least squares with weights ``resp``, times ``working`` where it is given."""
        shares = resp if working is None else resp * working
        self.solve(self._sum(shares * self.weight[:, None]))

    def _sum(self, weights):
        return LeastSquaresStatistics.from_rows(self.design, self.targets, weights)

    def solve(self, statistics):
        """Least squares from the sums over the rows."""
        self.n_fits += self.n_experts
        self.statistics = statistics
        if self.shared is None:
            coef = statistics.solve(self.alpha)
        else:
            coef = statistics.solve_shared(self.alpha, self.shared, self.precision)
        self._set_coef(coef)

    def streaming(self, resp, order, fitted):
        """These experts in another order, without their rows, to go on with ``learn_batch``."""
        if self.shared is not None:
            return None
        twin = self.without_rows()
        twin.coef, twin.statistics = self.coef[order], self.statistics[order]
        return twin

    def learn_batch(self, X, y, weights, *, keep, gain):
        """M-step for ``keep`` times the statistics so far and ``gain`` times those of a batch.

        Parameters
        ----------
        X, y : ndarrays of n_samples rows
            The batch.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        keep, gain : float
            Factors.

        Returns
        -------
        experts : LinearExperts
            With ``predictions`` for the batch.
        """
        twin = copy.copy(self)
        twin._take(X, y)
        twin.solve(keep * self.statistics + gain * twin._sum(weights))
        return twin

    @property
    def predictions(self):
        """Predictions for the rows, (n_samples, n_experts) or (..., n_outputs)."""
        if self._predictions is None:
            fitted = np.stack([self.design @ coef for coef in self.coef], axis=1)
            self._predictions = (fitted * self.y_scale + self.y_mean).reshape(
                (len(self.y), self.n_experts) + self.y.shape[1:]
            )
        return self._predictions

    @predictions.setter
    def predictions(self, predictions):
        self._predictions = predictions

    def _set_coef(self, coef):
        self.coef, self.predictions = coef, None
        if self.prior:
            squares = np.einsum("j,kjm->km", self.alpha, self.coef[:, :-1] ** 2)
            squares = squares * self.y_scale**2
            self.penalty = squares[:, 0] if self.flat else squares

    def state(self):
        """What ``restore`` needs; never changed in place."""
        return self.coef, self.statistics

    def restore(self, state):
        """Back to an earlier state."""
        coef, self.statistics = state
        self._set_coef(coef)

    def finish(self, templates):
        """Fitted estimators, of the classes of the templates, with these coefficients."""
        fitted = []
        for template, coef in zip(templates, self.coef, strict=True):
            raw, intercept = self.raw(coef)
            raw = (raw * self.y_scale).T
            intercept = intercept * self.y_scale + self.y_mean
            template.coef_ = raw[0] if self.flat else raw
            template.intercept_ = float(intercept[0]) if self.flat else intercept
            template.n_features_in_ = len(self.scale)
            fitted.append(template)
        return fitted

    def n_parameters(self):
        """Free coefficients of all experts."""
        return self._n_free() * self.coef.shape[2]


class LogisticExperts(_Design):
    """Penalised multinomial logistic regression for K experts, a Newton step or two at a time.

    Of two classes, ``learn_sums`` makes the steps of all experts from sums over the rows.

    See ``_Design`` for the parameters; ``n_classes`` is the number of classes.
    """

    n_newton = 2
    n_first_newton = 20  # from nothing: a start, and warm_start, then begin at their optimum
    longest_drift = 0.1  # of the log-odds, until their curvature is taken anew
    _curvature = _factors = None  # of log-odds of two classes, for steps from sums
    _drift = 0.0

    def __init__(self, X, y, weight, n_experts, *, n_classes, penalty, per_column_unit, units=None):
        self.n_classes = n_classes
        super().__init__(
            X, y, weight, n_experts, penalty=penalty, per_column_unit=per_column_unit, units=units
        )
        # Two classes have one coefficient w in scikit-learn and -w/2, w/2 here.
        factor = 2.0 if n_classes == 2 else 1.0
        self.column_penalty = np.append(factor * self.alpha, 0.0)
        self._set_coef(np.zeros((n_experts, len(self.column_penalty), n_classes)))

    @property
    def labels(self):
        """Class of each row, (n_samples, n_classes) of zeros and ones."""
        return np.eye(self.n_classes)[self.y]

    @property
    def log_odds(self):
        """Coefficients of the log-odds of the second of two classes, (n_experts, p)."""
        return self.coef[:, :, 1] - self.coef[:, :, 0]

    def learn_sums(self, sums, size=1.0):
        """A Newton step of the log-odds of two classes from sums, taken where they are.

        Parameters
        ----------
        sums : Sums
            Of ``_linear_mixture.py``.
        size : float, default=1.0
            Part of the step to take.
        """
        penalty, log_odds = np.append(self.alpha, 0.0), self.log_odds
        if self.wants_curvature:
            self._curvature, self._drift = sums.gram, 0.0
            floor = 1e-12 * max(sums.gram.max(), 1e-300)  # in directions that are flat
            self._factors = [
                _multinomial.factor_definite(gram + np.diag(penalty + floor)) for gram in sums.gram
            ]
        slope = sums.cross[:, :, 0] - penalty * log_odds
        step = np.stack(
            [
                _multinomial.solve_factored(factor, of_expert)
                for factor, of_expert in zip(self._factors, slope, strict=True)
            ]
        )
        step *= size * _multinomial.shortening(step.T, sums.rows_gram)[:, None]
        spread = max(self._curvature[:, -1, -1].sum(), 1e-300)
        self._drift += np.sqrt(max(np.vdot(step, slope), 0.0) / spread)
        half = 0.5 * (log_odds + step)
        self._set_coef(np.stack([-half, half], axis=2))

    @property
    def wants_curvature(self):
        """Whether the next step from sums asks for the curvature where it begins."""
        return self._curvature is None or self._drift > self.longest_drift

    def forget_curvature(self):
        """Take the curvature anew before the next step."""
        self._curvature = self._factors = None

    def fit(self, resp, working=None, exposure=None):
        """A few Newton steps on the labels with weights ``resp``."""
        coef, labels = np.empty_like(self.coef), self.labels
        for k in range(self.n_experts):
            coef[k], _, _ = _multinomial.fit(
                self.design,
                labels * (resp[:, k] * self.weight)[:, None],
                self.coef[k],
                self.column_penalty,
                max_iter=self.n_newton if self.coef.any() else self.n_first_newton,
                tol=1e-10,
            )
        self.n_fits += self.n_experts
        self._set_coef(coef)

    def streaming(self, resp, order, fitted):
        """These experts in another order, without their rows, to go on with ``learn_batch``."""
        bounds = [
            _multinomial.curvature(self.design, mass, proba)
            for mass, proba in zip(
                (resp * self.weight[:, None])[:, order].T,
                self.predictions.transpose(1, 0, 2)[order],
                strict=True,
            )
        ]
        return self._streaming(bounds, order)

    def streaming_from_sums(self, order):
        """The same after steps from sums, with the curvature of the last ones."""
        bounds = 2 * self._curvature[order]  # see _multinomial.curvature
        return self._streaming(list(np.stack([bounds, bounds], axis=1)), order)

    def _streaming(self, bounds, order):
        twin = self.without_rows()
        twin.coef, twin.bounds = self.coef[order], bounds
        twin.forget_curvature()
        return twin

    def learn_batch(self, X, y, weights, *, keep, gain):
        """One step for ``keep`` times what was seen so far and ``gain`` times a batch.

        Parameters
        ----------
        X, y : ndarrays of n_samples rows
            The batch.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        keep, gain : float
            Factors.

        Returns
        -------
        experts : LogisticExperts
            With ``predictions`` for the batch.
        """
        twin = copy.copy(self)
        twin._take(X, y)
        labels = twin.labels
        steps = [
            _multinomial.stream_step(
                twin.design,
                labels * weights[:, [k]],
                self.coef[k],
                self.column_penalty,
                self.bounds[k],
                keep=keep,
                gain=gain,
            )
            for k in range(self.n_experts)
        ]
        twin._set_coef(np.stack([coef for coef, _ in steps]))
        twin.bounds = [bound for _, bound in steps]
        twin.n_fits += self.n_experts
        return twin

    @property
    def predictions(self):
        """Class probabilities of the rows, (n_samples, n_experts, n_classes)."""
        if self._predictions is None:
            log_proba = [_multinomial.log_softmax(self.design @ coef) for coef in self.coef]
            self._predictions = np.exp(np.stack(log_proba, axis=1))
        return self._predictions

    @predictions.setter
    def predictions(self, predictions):
        self._predictions = predictions

    def _set_coef(self, coef):
        self.coef, self.predictions = coef, None
        self.penalty = 0.5 * np.einsum("j,kjc->k", self.column_penalty, coef**2)

    def state(self):
        """What ``restore`` needs; never changed in place."""
        return self.coef, self._curvature, self._factors, self._drift

    def restore(self, state):
        """Back to an earlier state."""
        coef, self._curvature, self._factors, self._drift = state
        self._set_coef(coef)

    def finish(self, templates, classes):
        """Fitted estimators, of the classes of the templates, with these coefficients."""
        fitted = []
        for template, coef in zip(templates, self.coef, strict=True):
            raw, intercept = self.raw(coef)
            raw = raw.T
            if len(classes) == 2:
                raw, intercept = raw[1:] - raw[:1], intercept[1:] - intercept[:1]
            template.coef_, template.intercept_ = raw, intercept
            template.classes_, template.n_features_in_ = classes, len(self.scale)
            template.n_iter_ = np.array([self.n_fits // self.n_experts], dtype=np.int32)
            fitted.append(template)
        return fitted

    def n_parameters(self):
        """Free coefficients of all experts; the classes' sum is fixed."""
        n_experts, n_columns, n_classes = self.coef.shape
        return n_experts * n_columns * (n_classes - 1)
