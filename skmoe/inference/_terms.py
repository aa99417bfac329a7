"""Derivatives of the log-density of an expert, for standard errors.

A likelihood with standard errors returns one of these classes in its ``terms``. For a likelihood of
your own, derive from :class:`PredictorTerms` if outputs have independent errors, and else from
:class:`ExpertTerms`.
"""

import copy
from abc import ABC, abstractmethod
from functools import cached_property, partial
from itertools import combinations_with_replacement

import numpy as np
from scipy import linalg

STEP = 1e-3  # of differences, in widths: relative errors of some 1e-10, by bend and by rounding
MEAN_STEP = 2e-4
NO_CURVATURE = (
    "{}: the log-density has a kink at some rows, and no second derivative, of which standard "
    "errors are made. Return None in terms() of the likelihood, and ask inference.bootstrap."
)


class ExpertTerms(ABC):
    """Log-density of rows under one expert that is linear in the columns, and its derivatives.

    An expert has one or several linear predictors: for each output, or for each class except the
    first. Its parameters are, for each predictor, the coefficients and then the logarithms of other
    parameters of the likelihood, such as scales.

    Parameters
    ----------
    theta : ndarray of shape (size,)
        Parameters; for each predictor the coefficients, the intercept last, then the logarithms.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    target : ndarray of shape (n_samples, n_outputs)
        Result of the class method ``target_of``.

    Attributes
    ----------
    logs_of : tuple of str
        Names of the fitted attributes of the likelihood, positive and with an entry for each
        expert, whose logarithms are parameters: ``("scale_",)`` is reported as ``log_scale``.
    values_of : tuple of str
        Names of more such attributes, of any sign, which are parameters themselves: ``("skew_",)``
        is reported as ``skew``.
    shared_logs : tuple of str
        Names among both that are the same for all experts.
    standardises : bool
        Whether the target may be shifted and scaled: predictors are locations, and the first
        ``n_scales`` of the logarithms, if there are any, are those of scales.
    n_scales : int
        See ``standardises``.
    joins_rows : bool
        Whether rows of a subject are dependent given their expert. ``__init__`` then also gets the
        ``Subjects``, and log-densities and scores are those of each subject.
    at_bound_message : str
        Reason why the experts of ``at_bound`` have no standard errors, with their ``{names}``.
    """

    logs_of = ()
    values_of = ()
    shared_logs = ()
    standardises = joins_rows = False
    n_scales = 1
    at_bound_message = (
        "{names} predict their rows almost without error: the scale is at its floor, where there "
        "are no standard errors. Ask for fewer experts."
    )

    def __init__(self, theta, design, target):
        self.design = design
        self.target = target
        n_columns = design.shape[1]
        theta = theta.reshape(self.n_predictors(target), n_columns + len(self.beside()))
        self.predictors = design @ theta[:, :n_columns].T  # (n_samples, n_predictors)
        beside = theta[:, n_columns:].T
        self.logs = beside[: len(self.logs_of)]  # (n_logs, n_predictors)
        self.values = beside[len(self.logs_of) :]

    @abstractmethod
    def log_density(self):
        """Log-density of each row, joint over the outputs.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm.
        """

    @abstractmethod
    def score(self):
        """Gradient of the log-density of each row.

        Returns
        -------
        score : ndarray of shape (n_samples, size)
            By the parameters, in their order.
        """

    @abstractmethod
    def hessian(self, weights):
        """Weighted sum over the rows of the second derivatives of the log-density.

        Parameters
        ----------
        weights : ndarray of shape (n_samples,)
            Weights of the rows.

        Returns
        -------
        hessian : ndarray of shape (size, size)
            By the parameters, in their order.
        """

    def undecided(self, weights):
        """Weighted sums of p (1 - p) of each class.

        They are almost zero if an expert separates classes, so that there is no maximum.

        Parameters
        ----------
        weights : ndarray of shape (n_samples,)
            Weights of the rows.

        Returns
        -------
        undecided : ndarray of shape (n_classes,)
            Empty, the default, without classes.
        """
        return np.empty(0)

    @staticmethod
    def n_predictors(target):
        """Number of linear predictors.

        Parameters
        ----------
        target : ndarray of shape (n_samples, n_outputs)
            Result of ``target_of``.

        Returns
        -------
        n_predictors : int
            By default one for each column of the target.
        """
        return target.shape[1]

    @classmethod
    def size(cls, design, target):
        """Number of parameters.

        Parameters
        ----------
        design : ndarray of shape (n_samples, n_columns)
            The last column is the intercept's.
        target : ndarray of shape (n_samples, n_outputs)
            Result of ``target_of``.

        Returns
        -------
        size : int
            Number of parameters of one expert.
        """
        return cls.n_predictors(target) * (design.shape[1] + len(cls.beside()))

    @classmethod
    def beside(cls):
        """Names of the attributes that are parameters in addition to coefficients.

        Returns
        -------
        names : tuple of str
            Those of ``logs_of``, then of ``values_of``.
        """
        return cls.logs_of + cls.values_of

    @classmethod
    def names_beside(cls, predictor):
        """Names in reports of the parameters other than coefficients.

        Parameters
        ----------
        predictor : int
            Number of the predictor.

        Returns
        -------
        names : list of str
            In the order of ``beside()``.
        """
        logs = ["log_" + name.rstrip("_") for name in cls.logs_of]
        return logs + [name.rstrip("_") for name in cls.values_of]

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        """The target for ``__init__``.

        Parameters
        ----------
        likelihood : BaseLikelihood
            Fitted.
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        exposure : ndarray of shape (n_samples,) or None
            Its exposure.

        Returns
        -------
        target : ndarray of shape (n_samples, n_outputs)
            By default the target of the experts.
        """
        return likelihood.expert_target(y).reshape(len(y), -1)

    @classmethod
    def log_jacobian(cls, target):
        """Log-density of y minus that of the target.

        Parameters
        ----------
        target : ndarray of shape (n_samples, n_outputs)
            Result of ``target_of``.

        Returns
        -------
        log_jacobian : ndarray of shape (n_samples,)
            Zeros by default, for experts that are fitted on y itself.
        """
        return np.zeros(len(target))

    @classmethod
    def points(cls, target):
        """The target as numbers that can be standardised.

        Parameters
        ----------
        target : ndarray of shape (n_samples, n_outputs)
            Result of ``target_of``.

        Returns
        -------
        points : ndarray of shape (n_samples, n_predictors)
            By default the target.
        """
        return target

    @classmethod
    def has_density(cls, target):
        """Which rows have a density, in units of y, rather than a probability.

        Parameters
        ----------
        target : ndarray of shape (n_samples, n_outputs)
            Result of ``target_of``.

        Returns
        -------
        has_density : ndarray of bool of shape (n_samples,)
            By default all.
        """
        return np.ones(len(target), dtype=bool)

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        """Parameters of a fitted expert in the units of X and y.

        Parameters
        ----------
        expert : estimator
            Linear.
        likelihood : BaseLikelihood
            Fitted.
        k : int
            Number of the expert.

        Returns
        -------
        parameters : ndarray of shape (n_predictors, 1 + n_columns + n_logs)
            Intercepts, coefficients and logarithms.
        """
        intercept = np.reshape(expert.intercept_, -1)
        coef = np.reshape(expert.coef_, (len(intercept), -1))
        logs = [np.log(np.reshape(getattr(likelihood, name)[k], -1)) for name in cls.logs_of]
        values = [np.reshape(getattr(likelihood, name)[k], -1) for name in cls.values_of]
        return np.column_stack([intercept, coef, *logs, *values])

    @classmethod
    def mean_of(cls, predictors, beside):
        """Mean of y, for average marginal effects.

        Parameters
        ----------
        predictors : ndarray of shape (n_samples, n_predictors)
            In the units of y.
        beside : ndarray of shape (n_beside, n_predictors)
            Logarithms and values, in the order of ``beside()``.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_outputs)
            By default the predictors. For an exposure of one, or one trial.
        """
        return predictors

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        """Derivatives of the mean.

        Parameters
        ----------
        predictors : ndarray of shape (n_samples, n_predictors)
            In the units of y.
        beside : ndarray of shape (n_beside, n_predictors)
            Logarithms and values, in the order of ``beside()``.

        Returns
        -------
        slopes : list of 1 + n_beside ndarrays of shape (n_samples, n_outputs, n_predictors)
            By the predictors, then by each of the logarithms and values: central differences of
            ``mean_of``.
        """
        n_predictors = predictors.shape[1]
        slopes = []

        def mean_at(place, j, length):
            parts = [predictors, *beside[:, None]]
            parts[place] = parts[place] + length * (np.arange(n_predictors) == j)
            return cls.mean_of(parts[0], np.vstack([beside[:0], *parts[1:]]))

        for place in range(1 + len(beside)):
            of_each = []
            for j in range(n_predictors):
                step = MEAN_STEP * (1.0 if place else 1 + np.abs(predictors[:, [j]]))
                of_each.append(_slope(partial(mean_at, place, j), step))
            slopes.append(np.stack(of_each, axis=2))
        return slopes

    @classmethod
    def at_bound(cls, logs, likelihood):
        """Whether the likelihood of an expert still rises at the bound of its parameters.

        Parameters
        ----------
        logs : ndarray of shape (n_experts, n_predictors, n_logs)
            Logarithms of the attributes ``logs_of``, in the units of y.
        likelihood : BaseLikelihood
            Fitted.

        Returns
        -------
        at_bound : ndarray of bool of shape (n_experts,)
            By default that of the likelihood's ``at_floor_``.
        """
        return np.asarray(likelihood.at_floor_, dtype=bool)


class PredictorTerms(ExpertTerms):
    """Terms whose derivatives are central differences; errors of outputs are independent.

    A subclass implements ``log_densities`` by its ``predictors`` and ``target``, of shape
    (n_samples, n_outputs), and ``logs`` and ``values``, one row (n_outputs,) for each of
    ``logs_of`` and of ``values_of``, which change to compute differences: cache nothing of them.
    A ValueError where the log-density has kinks, as Laplace's, and no second derivatives.

    Parameters
    ----------
    theta : ndarray of shape (size,)
        Parameters; for each predictor the coefficients, the intercept last, then the logarithms.
    design : ndarray of shape (n_samples, n_columns)
        The last column is the intercept's.
    target : ndarray of shape (n_samples, n_outputs)
        Result of the class method ``target_of``.
    """

    @abstractmethod
    def log_densities(self):
        """Log-density of each output.

        Returns
        -------
        log_densities : ndarray of shape (n_samples, n_outputs)
            Natural logarithms.
        """

    def log_density(self):
        return self.log_densities().sum(axis=1)

    def widths(self):
        """Lengths over which the log-density changes, for predictors, logarithms and values.

        Returns
        -------
        widths : list of 1 + n_logs + n_values floats or ndarrays of shape (n_outputs,)
            By default the scale for predictors that are locations, and 1 otherwise.
        """
        has_scale = self.standardises and len(self.logs) > 0
        return [np.exp(self.logs[0]) if has_scale else 1.0] + [1.0] * len(self.beside())

    @cached_property
    def _derivatives(self):
        """First and second derivatives of ``log_densities``, in the order of ``widths``."""
        n_outputs = self.predictors.shape[1]
        after_logs = 1 + len(self.logs)
        lengths = STEP * np.array([np.broadcast_to(each, n_outputs) for each in self.widths()])
        moves = [place[:, None] * lengths for place in np.eye(len(lengths))]

        def moved(move, size):
            twin = copy.copy(self)
            twin.predictors = self.predictors + size * move[0]
            twin.logs = self.logs + size * move[1:after_logs]
            twin.values = self.values + size * move[after_logs:]
            return twin.log_densities()

        def curvature(move):
            near, far = ((moved(move, k) - 2 * here + moved(move, -k)) / k**2 for k in (1, 2))
            if (np.abs(near - far) > 0.1 * np.maximum(np.abs(near), STEP)).any():
                raise ValueError(NO_CURVATURE.format(type(self).__name__))
            return (4 * near - far) / 3

        here = self.log_densities()
        n = len(moves)
        pairs = zip(moves, lengths, strict=True)
        first = [_slope(partial(moved, move), 1.0) / length for move, length in pairs]
        second = [[None] * n for _ in range(n)]
        for i, j in combinations_with_replacement(range(n), 2):
            # By both together, less by one against the other.
            bend = curvature(moves[i] + moves[j]) - curvature(moves[i] - moves[j])
            second[i][j] = second[j][i] = bend / (4 * lengths[i] * lengths[j])
        return first, second

    def _columns(self):
        """What each derivative is multiplied by, (n_samples, n_columns) or ones."""
        return [self.design] + [np.ones((len(self.design), 1))] * len(self.beside())

    def score(self):
        pairs = list(zip(self._derivatives[0], self._columns(), strict=True))
        outputs = range(pairs[0][0].shape[1])
        return np.hstack([first[:, [j]] * columns for j in outputs for first, columns in pairs])

    def second(self):
        """Second derivatives by the predictors, the logarithms and the values.

        Returns
        -------
        second : list of 1 + n_logs + n_values such lists
            A symmetric matrix of ndarrays of shape (n_samples, n_outputs).
        """
        return self._derivatives[1]

    def hessian(self, weights):
        second = self.second()
        columns = self._columns()

        def product(a, b, j):
            return columns[a].T @ (columns[b] * (weights * second[a][b][:, j])[:, None])

        places = range(len(columns))
        outputs = range(second[0][0].shape[1])
        rows = [[[product(a, b, j) for b in places] for a in places] for j in outputs]
        return linalg.block_diag(*map(np.block, rows))


def _slope(value, step):
    """Derivative at 0 of a function of a length: central differences, by Richardson's rule."""
    near, far = ((value(size * step) - value(-size * step)) / (2 * size * step) for size in (1, 2))
    return (4 * near - far) / 3
