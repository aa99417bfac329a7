"""What EM asks of experts."""

import copy
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._kernels._pooled import join_sums, part_moments
from .._numerics.columns import sparse_standardisation, standardised, with_intercept
from .._numerics.statistics import row_products


class Experts(ABC):
    """All experts of a mixture in training.

    Attributes
    ----------
    predictions : ndarray of shape (n_samples, n_experts, ...)
        For the rows: means (n, K) or (n, K, n_outputs), or class probabilities (n, K, n_classes).
    in_sample : bool
        Whether these were made for rows that the experts saw.
    is_solved : bool
        Whether experts are solved together, and not by ``fit`` of their own.
    penalty : float or ndarray
        What their prior adds to the likelihood's objective; see ``BaseLikelihood.log_prior``.
    own_log_density : dict of int to ndarray of shape (n_samples,)
        Log-density of the rows under an expert that knows better than the likelihood; NaN for rows
        of which it does not.
    own_log_prior : float
        Log-prior of these experts.
    minimum_rows : float
        Weight below which an expert counts as dead.
    n_fits : int
        Fits of single experts so far.
    n_functions : int or None
        Linear functions of the columns in each expert; None where parameters cannot be counted.
    precision : float or ndarray
        Precision of the likelihood of each expert, for families with a scale.
    taken_by_subjects : callable or None
        That of the likelihood, given the subjects.
    """

    in_sample = True
    is_solved = False
    penalty = 0.0
    own_log_density = {}
    own_log_prior = 0.0
    minimum_rows = 10
    n_fits = 0
    n_functions = None
    precision = 1.0
    taken_by_subjects = None

    @contextmanager
    def side_by_side(self, n_jobs):
        """Context in which experts can be fitted, ``n_jobs`` at a time."""
        yield

    @abstractmethod
    def fit(self, resp, working=None, exposure=None, target=None):
        """Refit the experts, or those whose weights moved, and predict the rows.

        All arguments are (n_samples, n_experts): ``resp`` responsibilities; ``working`` weights
        that multiply them, for robust likelihoods; ``exposure``, by which the target is divided and
        weights are multiplied; ``target``, what each expert is fitted on in place of what the
        likelihood makes of y.
        """

    def point(self):
        """All coefficients (n_numbers,), for EM to extrapolate; None where they are not known."""
        return None

    def go_to(self, point):
        """Take other coefficients, as ``point`` returns them."""
        raise TypeError(f"{type(self).__name__} does not implement go_to.")

    @abstractmethod
    def state(self):
        """What ``restore`` needs; never changed in place."""

    @abstractmethod
    def restore(self, state):
        """Back to an earlier state."""

    def with_own(self, log_density):
        """Log-densities (n, K) of the likelihood, in place with those that experts know better."""
        for k, own in self.own_log_density.items():
            known = ~np.isnan(own)
            log_density[known, k] = own[known]
        return log_density

    def streaming(self, resp, order, fitted):
        """Experts without rows that go on with ``learn_batch``, or None where one cannot.

        ``learn_batch(X, y, weights, *, keep, gain)`` returns experts that have learned from a
        batch, with ``predictions`` for it where they are ``in_sample``.

        New expert ``j`` is old expert ``order[j]``; ``fitted`` are the estimators in the new order.
        After a one-pass problem ``resp`` is None, and the last sums tell what is needed.
        ``select(order)`` of what it returns are some of these experts.
        """
        return None


@dataclass
class _DesignRows:
    """Rows in standardised columns, which are made when somebody asks, once for all copies."""

    X: object
    mean: np.ndarray
    scale: np.ndarray
    _products = None

    @cached_property
    def design(self):
        return with_intercept(standardised(self.X, self.mean, self.scale))

    def products(self, penalty):
        """Products of the rows, in the metric of the common penalty of all copies."""
        if self._products is None:
            self._products = row_products(self.design[:, :-1], penalty)
        return self._products


class LinearExperts(Experts):
    """Experts that are linear functions of standardised columns and an intercept.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Finite numbers. Sparse columns are scaled, but not centred.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_experts : int
        Number of experts.
    penalty : float, default=0.0
        L2 penalty of the experts.
    prior : bool, default=False
        Whether the penalty is a prior of the coefficients of standardised columns, and not, as
        scikit-learn's is, on those of the raw ones.
    exposure : ndarray of shape (n_samples,), default=None
        Exposures or trials of the rows, where predictions are means or rates.
    units : Units, default=None
        Units of columns and target, if known.

    Attributes
    ----------
    source : array-like or DataFrame
        What X was before it was checked.
    template : estimator or None
        What ``partial_fit`` makes experts of where ``fit`` made them in folds: one whose rows were
        all of one class is a DummyClassifier there.
    """

    is_solved = True
    coef = template = None

    def __init__(
        self, X, y, weight, n_experts, *, penalty=0.0, prior=False, exposure=None, units=None
    ):
        self.source = X
        self.weight = weight
        self.n_experts = n_experts
        self.prior = prior
        if units is None:
            self.mean, self.scale = sparse_standardisation(X, weight)
        else:
            self.mean = units.mean
            self.scale = units.scale
        self._take(X, y)
        if prior:
            self.alpha = np.full(X.shape[1], penalty)
        else:
            self.alpha = penalty / self.scale**2
        self.minimum_rows = X.shape[1] + 2

    def _take(self, X, y):
        """Hold these rows, in the standardised columns of the first ones."""
        self.y = y
        self.rows = _DesignRows(X, self.mean, self.scale)

    @property
    def design(self):
        """Standardised columns and the intercept, (n_samples, p); sparse where X is."""
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
        twin.y = twin.rows = twin.weight = twin.source = None
        vars(twin).pop("predictions", None)
        return twin

    @staticmethod
    def functions_of(columns, coef):
        """Linear functions (n_rows, n_experts, m) of standardised columns, of (n_experts, p, m)."""
        n_experts, p, m = coef.shape
        flat = coef.swapaxes(0, 1).reshape(p, -1)
        return (columns @ flat[:-1] + flat[-1]).reshape(-1, n_experts, m)

    def point(self):
        if self.coef is not None:
            return self.coef.ravel()
        return None

    def go_to(self, point):
        self.set_coef(point.reshape(self.coef.shape))

    def set_coef(self, coef):
        """Take coefficients, of which predictions and penalty follow."""
        self.coef = coef
        vars(self).pop("predictions", None)
        self._set_penalty()

    @abstractmethod
    def _set_penalty(self):
        """Set ``penalty`` from the coefficients."""

    @cached_property
    @abstractmethod
    def predictions(self):
        """Predictions for the rows with the coefficients as they are, made when asked for."""

    def state(self):
        return self.coef

    def restore(self, state):
        self.set_coef(state)

    def forget_curvature(self):
        """Take the curvature anew before the next step from sums, where one is kept."""

    @abstractmethod
    def finish(self, templates):
        """Fitted estimators, made of the unfitted templates, with these coefficients."""

    def raw(self, coef):
        """Coefficients (p, m) and intercepts (m,) in the units of X, from (p + 1, m)."""
        raw = coef[:-1] / self.scale[:, None]
        return raw, coef[-1] - self.mean @ raw


# Experts of one regime: one regression function, with errors of any shape ------------------------

# They have their slopes in common. Their intercepts are the same, or differ by offsets, a finite
# mixture of which has the shape of any errors:
#
#     b_k = beta_r(k) + c_k e,     c_k ~ N(0, kappa)
#
# with the regime r(k) of expert k, the coefficients beta_r of a regime, of which those in
# ``pooled`` speak, and e one for the intercept and zero for all slopes. The offsets of a regime
# follow its coefficients, so that the posterior of all of them together is exact.


class Ties:
    """Which experts are of one regime.

    Parameters
    ----------
    regime : array-like of int of shape (n_experts,)
        Number of the regime of each expert, from zero.
    has_offsets : bool
        Whether intercepts within a regime differ.
    n_columns : int
        Coefficients of an expert, q.

    Attributes
    ----------
    n_regimes : int
        R.
    n_offsets : int
        Offsets of a regime, m; those of a small one are in part nobody's.
    """

    def __init__(self, regime, has_offsets, n_columns):
        self.regime = np.asarray(regime, dtype=np.int32)
        self.has_offsets = has_offsets
        self.n_regimes = int(self.regime.max()) + 1
        place = [np.count_nonzero(self.regime[:k] == r) for k, r in enumerate(self.regime)]
        if has_offsets:
            self.n_offsets = max(place) + 1
        else:
            self.n_offsets = 0
        # ``place`` is the number of each one's offset, among all coefficients of its regime.
        self._size = n_columns
        self.place = np.array(place, dtype=np.int32) + n_columns

    def joined(self, gram, cross):
        """Sums (K, q, q) and (K, q) of experts as those of regimes, (R, q + m, ...)."""
        size = self._size + self.n_offsets
        found = np.zeros((self.n_regimes, size, size)), np.zeros((self.n_regimes, size))
        join_sums(
            np.ascontiguousarray(gram), np.ascontiguousarray(cross), self.regime, self.place, *found
        )
        return found

    def padded(self, levels):
        # Offsets are none.
        if levels is None:
            return None
        return np.append(levels, np.full(self.n_offsets, False))

    def parted(self, coefficients):
        """``Coefficients`` of regimes with means and covariances of the experts' ones."""
        shape = len(self.regime), self._size
        mean = np.empty(shape)
        cov = np.empty((*shape, self._size))
        moments = map(np.ascontiguousarray, (coefficients.mean, coefficients.cov))
        part_moments(*moments, self.regime, self.place, mean, cov)
        return replace(coefficients, mean=mean, cov=cov)
