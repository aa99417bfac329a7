"""The softmax gate: hyperplanes, soft or sharp."""

import warnings
from math import sqrt
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, fit_context, learn_columns
from .._numerics import multinomial as _multinomial
from .._numerics.columns import sparse_standardisation, standardised, with_intercept
from ._base import LOAD_PRIOR, BaseGate, check_sees_all, soft_labels, take_experts

# Change of the logits, divided by the root of the number of experts, after which the curvature is
# recomputed: with more experts it is a larger part of the cost.
LONGEST_DRIFT = 0.1


class SoftmaxGate(BaseGate):
    r"""Softmax gate, a multinomial logistic regression that takes soft labels.

    .. math:: \pi_k(x) = \exp(w_k^T x + b_k) / \sum_j \exp(w_j^T x + b_j)

    The columns of X are standardised internally (weighted mean 0, variance 1; sparse columns are
    only scaled), and in these units the fit maximises

    .. math:: \sum_{ik} y_{ik} \log \pi_k(x_i)
        - \alpha \sum_{kj} \bigl(\rho |w_{kj}| + \tfrac{1 - \rho}{2} w_{kj}^2\bigr)

    with intercepts free and :math:`\rho` for ``l1_ratio``: by damped Newton steps [1]_, by L-BFGS
    where there are more than 500 parameters, by proximal Newton steps [2]_ where
    ``l1_ratio`` is positive. The objective never falls. Fitted on its own, the gate is a
    multinomial logistic regression for soft labels.

    Parameters
    ----------
    alpha : float, default=0.1
        Penalty of the standardised weights, added to the summed negative log-likelihood. It
        keeps the weights finite under perfect separation.
    l1_ratio : float, default=0.0
        L1 share of the penalty, which selects columns, for gates with hundreds of columns.
    load_balance : float, default=0.0
        In EM of a mixture: strength of a Dirichlet prior on the mean probabilities of the experts,
        in prior rows for each training row. 0.01 is mild, 0.1 strong; it biases rare regimes.
    target_load : array-like of shape (n_experts,), default=None
        Prior means of the loads. None: equal. If given, clones are not sorted by load.
    columns : list of int or str, default=None
        In a mixture: columns of X for the gate, by number or name, as ``z`` in R's ``y ~ x | z``;
        strings and missing values are encoded. The fitted gate is a Pipeline that selects them,
        with a gate without ``columns``. None: all columns. For columns of the experts see
        ``expert_columns`` of the mixture.
    max_iter : int, default=100
        Largest number of Newton steps.
    tol : float, default=1e-8
        Stop when the next step is expected to gain less than this per unit of weight.
    warm_start : bool, default=False
        Start from the weights of the last ``fit`` if the shapes agree, without a warning when
        ``max_iter`` is reached, since the caller continues.

    Attributes
    ----------
    coef_ : ndarray of shape (n_experts, n_features)
        Weights in the units of X; without an L1 part they sum to zero over the
        experts.
    intercept_ : ndarray of shape (n_experts,)
        Intercepts; without an L1 part they sum to zero.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_iter_ : int
        Steps taken by the last ``fit``.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    References
    ----------
    .. [1] M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts and the EM
       algorithm", Neural Computation 6 (1994) 181-214.
    .. [2] J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear
       models via coordinate descent", Journal of Statistical Software 33 (2010) 1-22.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.gates import SoftmaxGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> soft = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
    >>> SoftmaxGate().fit(X, soft).predict_proba([[0.0]]).round(2)
    array([[0.46, 0.54]])
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        **LOAD_PRIOR,
        "columns": [list, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    _bound = None  # curvature of the earlier rows, for a stream
    _standard = None, None  # coef_ that was set last, and the weights that it was computed from
    exact_sums = False
    is_linear = True
    keeps_curvature = True  # for more than one step from sums
    _factor = None  # Cholesky factor of the curvature, for steps from sums

    def __init__(
        self,
        alpha=0.1,
        *,
        l1_ratio=0.0,
        load_balance=0.0,
        target_load=None,
        columns=None,
        max_iter=100,
        tol=1e-8,
        warm_start=False,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.load_balance = load_balance
        self.target_load = target_load
        self.columns = columns
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        check_sees_all(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64)
        targets, weight = soft_labels(self, X, y, sample_weight)
        mean, scale = self._units = sparse_standardisation(X, weight)
        standard = self._standardise(X)
        start = self._start(targets.shape[1])
        targets = targets * weight[:, None]
        settings = {"max_iter": self.max_iter, "tol": self.tol}
        if self.l1_ratio > 0 and self.alpha > 0:
            given = standard, targets, start, float(self.alpha), self.l1_ratio
            coef, n_iter, converged = _multinomial.fit_elastic_net(*given, **settings)
        else:
            given = with_intercept(standard), targets, start, self._penalty()
            coef, n_iter, converged, _ = _multinomial.fit(*given, **settings)
        if not converged and not self.warm_start:
            warnings.warn(
                f"SoftmaxGate stopped after max_iter={self.max_iter} steps before it met "
                f"tol={self.tol}. Raise max_iter, or alpha if the classes can be separated.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.n_iter_ = n_iter
        self._bound = None
        self._set_weights(coef)
        return self

    def begin_stream(self, X, y, sample_weight):
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        targets, weight = soft_labels(self, X, y, sample_weight)
        proba = np.exp(_multinomial.log_softmax(self._log_odds(X)))
        self._bound = _multinomial.curvature(
            with_intercept(self._standardise(X)), weight * targets.sum(axis=1), proba
        )

    @property
    def can_be_pooled(self):
        """Whether partial pooling can learn the gate: no L1 penalty, no prior on the loads."""
        return self.learns_batches and self.load_balance == 0

    @property
    def learns_batches(self):
        """Whether there is a ``learn_batch``: without an L1 penalty."""
        return self.l1_ratio == 0 or self.alpha == 0

    has_sums = learns_batches  # whether EM can train it from sums

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        # One step by the running curvature, in the standardised columns of ``fit``.
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        targets, weight = soft_labels(self, X, y, sample_weight)
        coef, self._bound = _multinomial.stream_step(
            with_intercept(self._standardise(X)),
            targets * weight[:, None],
            self.sum_logits(),
            self._penalty(),
            self._bound,
            keep=keep,
            gain=gain,
        )
        self._set_weights(coef)

    def begin_sums(self, X, n_experts, units, logits=None):
        """Prepare for ``learn_sums``, which learns from sums over these dense, finite rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, for the number and names of the columns.
        n_experts : int
            Number of experts.
        units : (ndarray, ndarray)
            Weighted mean and standard deviation of the columns.
        logits : ndarray of shape (n_features + 1, n_experts), default=None
            Coefficients to begin with, as ``sum_logits`` returns them.
        """
        learn_columns(self, X)
        self.classes_ = np.arange(n_experts)
        self._units = units
        self.n_iter_ = 1
        self._bound = None
        self._factor = None
        self._set_weights(self._start(n_experts) if logits is None else logits)

    def sum_logits(self):
        """Coefficients of the logits in standardised columns.

        Returns
        -------
        logits : ndarray of shape (n_features + 1, n_experts)
            The intercepts last.
        """
        raw, standard = self._standard
        if raw is self.coef_:
            return standard
        mean, scale = self._units
        return np.vstack([self.coef_.T * scale[:, None], self.intercept_ + self.coef_ @ mean])

    @property
    def wants_curvature(self):
        """Whether the next step needs a new curvature, rather than an old one."""
        return self._factor is None or self._drift > self.longest_drift

    def forget_curvature(self):
        """Recompute the curvature before the next step."""
        self._factor = None

    def learn_sums(self, sums, size=1.0):
        """A Newton step from sums over the rows at the current weights.

        Parameters
        ----------
        sums : Sums
            Sums of the last pass over the rows.
        size : float, default=1.0
            Part of the step to take.
        """
        penalty = self._penalty()
        coef = self.sum_logits()
        if sums.pairs is not None:
            if sums.is_separate:
                self._bound = sums.pairs
                each = [_multinomial.factor_definite(b + np.diag(penalty)) for b in self._bound]
                self._factor = np.concatenate(each)
            else:
                hessian = _multinomial.hessian_of_pairs(sums.pairs, len(self.classes_))
                self._bound = 2 * np.einsum("kikj->kij", hessian)  # see _multinomial.curvature
                self._factor = _multinomial.factor_hessian(hessian, penalty)
            self._bound_mass = max(0.5 * self._bound[:, -1, -1].sum(), 1e-300)
            self._drift = 0.0
        slope = sums.excess - penalty[:, None] * coef
        step, decrement = _multinomial.newton_direction(self._factor, slope)
        if not (size == 1.0):
            self._factor = None  # it was too small for a whole step
        change = np.vdot(step, sums.rows_gram @ step) / sums.rows_gram[-1, -1]  # in the logits
        size *= min(1.0, _multinomial.LONGEST_CHANGE / max(sqrt(max(change, 0.0)), 1e-300))
        self._drift += size * sqrt(max(decrement, 0.0) / self._bound_mass)
        self._set_weights(coef + size * step)

    def set_logits(self, logits):
        """Set the coefficients between steps from sums, as ``sum_logits`` returns them.

        Parameters
        ----------
        logits : ndarray of shape (n_features + 1, n_experts)
            The intercepts last.
        """
        if self._bound is not None:
            change = (logits - self.sum_logits()).T
            squares = 0.5 * np.vdot(change, (self._bound @ change[:, :, None])[:, :, 0])
            self._drift += sqrt(max(squares, 0.0) / self._bound_mass)
        self._set_weights(logits)

    @property
    def alpha_of_runs(self):
        """L2 penalty of the weights in compiled EM; None if that cannot train this gate."""
        if type(self) is SoftmaxGate:
            return self.alpha
        return None

    @property
    def longest_drift(self):
        """Change of logits after which their curvature is recomputed; negative for every step."""
        if self.keeps_curvature:
            return LONGEST_DRIFT * sqrt(len(self.classes_))
        return -1.0

    def begin_run(self, run):
        """Copy the coefficients and their last curvature into a LinearRun.

        Parameters
        ----------
        run : LinearRun
            Written to in place.
        """
        run.logits = np.array(self.sum_logits(), dtype=np.float64, order="C")
        run.has_factor = self._factor is not None
        if run.has_factor:
            run.factor = self._factor.copy()
            run.bound = self._bound.copy()
            run.drift = self._drift

    def end_run(self, run):
        """Take the parameters from a LinearRun.

        Parameters
        ----------
        run : LinearRun
            Parameters that EM has reached.
        """
        if run.has_factor:
            self._factor = np.asarray(run.factor)
        else:
            self._factor = None
        if run.has_factor:
            self._bound = np.asarray(run.bound)
            self._drift = run.drift
            self._bound_mass = max(0.5 * self._bound[:, -1, -1].sum(), 1e-300)
        self._set_weights(np.asarray(run.logits))

    def curvature_of_each(self):
        """Curvature of the objective in the weights of each expert alone.

        Returns
        -------
        curvature : ndarray of shape (n_experts, n_features + 1, n_features + 1)
            From the last step from sums that computed it.
        """
        return 0.5 * self._bound + np.diag(self._penalty())

    def _standardise(self, X):
        return standardised(X, *self._units)

    def prior_precision(self):
        """Curvature of the penalty in the weights of each column.

        Returns
        -------
        precision : ndarray of shape (n_features,)
            In the units of X.
        """
        return self.alpha * self._units[1] ** 2

    def _penalty(self):
        penalty = np.full(self.n_features_in_ + 1, float(self.alpha))
        penalty[-1] = 0.0
        return penalty

    def _set_weights(self, coef):
        mean, scale = self._units
        self.coef_ = (coef[:-1] / scale[:, None]).T
        self._standard = self.coef_, coef
        self.intercept_ = coef[-1] - self.coef_ @ mean
        self._log_prior = -self.alpha * _multinomial.elastic_net(coef[:-1], self.l1_ratio)

    def _start(self, n_experts):
        """Standardised weights to start from, (n_features + 1, n_experts)."""
        shape = (n_experts, self.n_features_in_)
        last = vars(self).get("coef_")
        if not self.warm_start or last is None or last.shape != shape:
            return np.zeros((shape[1] + 1, n_experts))
        start = self.sum_logits()
        if self.l1_ratio == 0:
            return start - start.mean(axis=1, keepdims=True)
        return start

    def predict_log_proba(self, X):
        return _multinomial.log_softmax(self.predict_log_odds(X))

    def log_proba_of_checked(self, X):
        if type(self) is SoftmaxGate and type(X) is np.ndarray and X.dtype.kind == "f":
            log_odds = self._log_odds(X.astype(np.float64, copy=False))
            if np.isfinite(log_odds).all():
                return _multinomial.log_softmax(log_odds)
        return self.predict_log_proba(X)  # raises the error

    def predict_log_odds(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return self._log_odds(X)

    def _log_odds(self, X):
        log_odds = X @ self.coef_.T
        log_odds += self.intercept_
        return log_odds

    def log_prior(self):
        # In standardised units.
        return self._log_prior

    @property
    def n_functions_(self):
        """Number of free linear functions of the columns: log-odds against the first expert."""
        return len(self.coef_) - 1

    @property
    def n_parameters_(self):
        """Number of free parameters, without linearly dependent columns."""
        return self.n_functions_ * (self.coef_.shape[1] + 1)

    def reorder(self, order):
        take_experts(self, order, "coef_", "intercept_", "_bound")
        self._factor = None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
