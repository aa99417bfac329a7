"""Gates: which expert answers for a row, and how much each counts.

A gate is a classifier whose classes are the experts. It is trained on soft labels, the
responsibilities of the experts for each row, and it answers with probabilities. Ours derive
from :class:`BaseGate`; any other classifier becomes a gate through :class:`ClassifierGate`,
which the mixtures wrap around it themselves.
"""

import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from . import _softmax
from ._compat import HasMethods, Interval, VisualBlock, check_sample_weight, check_y, fit_context
from ._statistics import standardisation
from ._weights import fit_weighted, round_shares, takes_sample_weight

__all__ = ["BaseGate", "ClassifierGate", "ConstantGate", "SoftmaxGate"]


class BaseGate(ClassifierMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of gates that take soft labels.

    A gate of your own derives from this class and implements ``fit`` and ``predict_log_proba``,
    and ``reorder`` where clones are to be ordered by falling load.
    Where it has parameters named ``warm_start`` and ``max_iter``, a mixture sets them on its
    clone to ``True`` and 1: each EM iteration then makes one step from where the last one ended.
    """

    @abstractmethod
    def fit(self, X, y, sample_weight=None):
        """Fit the gate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_experts) or (n_samples,)
            Soft labels, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None is a weight of one for each row.

        Returns
        -------
        self : BaseGate
            The fitted gate.
        """

    @abstractmethod
    def predict_log_proba(self, X):
        """Log-probability of each expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Natural logarithms.
        """

    def predict_proba(self, X):
        """Probability of each expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts)
            Rows sum to one.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X):
        """Most probable expert, or class where the gate was fitted on class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        best = np.argmax(self.predict_log_proba(X), axis=1)
        return self.classes_[best]

    def log_prior(self):
        """Log-prior of the fitted parameters, the penalty that ``fit`` takes into account.

        Returns
        -------
        log_prior : float
            0 for a gate without penalty.
        """
        return 0.0

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            A permutation.
        """
        raise TypeError(f"{type(self).__name__} does not implement reorder(order).")

    def _soft_labels(self, X, y, sample_weight):
        """Check y and the weights; sets ``classes_``, returns (targets (n, K), weights (n,)).

        The targets are not yet multiplied by the weights.
        """
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        y = np.asarray(y)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_consistent_length(X, y)
        if weight.sum() <= 0:
            raise ValueError("sample_weight must have at least one positive entry.")
        constant = isinstance(self, ConstantGate)
        if y.ndim == 2 and (y.shape[1] > 1 or constant):
            targets = y.astype(np.float64)
            if not (np.isfinite(targets).all() and (targets >= 0).all()):
                raise ValueError("Soft labels y must be finite and non-negative.")
            self.classes_ = np.arange(y.shape[1])
            return targets, weight
        y = check_y(column_or_1d(y, warn=True), estimator=self)
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2 and not constant:
            raise ValueError(f"y has one class only, {self.classes_[0]!r}; two are needed.")
        return np.eye(len(self.classes_))[code], weight


class SoftmaxGate(BaseGate):
    r"""Softmax gate, a multinomial logistic regression that takes soft labels.

    .. math:: \pi_k(x) = \exp(w_k^T x + b_k) / \sum_j \exp(w_j^T x + b_j)

    The columns of X are standardised inside (weighted mean 0, variance 1), and the fit maximises
    :math:`\sum_{ik} y_{ik} \log \pi_k(x_i) - \frac{\alpha}{2} \lVert W \rVert^2` in these
    units, intercepts free, by damped Newton steps [1]_; by L-BFGS where there are more than 500
    parameters. The objective never falls.

    Parameters
    ----------
    alpha : float, default=0.1
        L2 penalty of the standardised weights, added to the summed negative log-likelihood. It
        keeps the weights finite where the experts' regions can be separated.
    max_iter : int, default=100
        Newton steps at most.
    tol : float, default=1e-8
        Stop when the next step promises less than this per unit of mass.
    warm_start : bool, default=False
        Start from the weights of the last ``fit`` where the shapes agree. No warning is then
        given when ``max_iter`` is reached: the caller goes on.

    Attributes
    ----------
    coef_ : ndarray of shape (n_experts, n_features)
        Weights in the units of X; they sum to zero over the experts.
    intercept_ : ndarray of shape (n_experts,)
        Intercepts; they sum to zero.
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
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    def __init__(self, alpha=0.1, *, max_iter=100, tol=1e-8, warm_start=False):
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the gate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_experts) or (n_samples,)
            Soft labels, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None is a weight of one for each row.

        Returns
        -------
        self : SoftmaxGate
            The fitted gate.
        """
        X = validate_data(self, X, dtype=np.float64)
        targets, weight = self._soft_labels(X, y, sample_weight)
        mean, scale = standardisation(X, weight)
        design = np.column_stack([(X - mean) / scale, np.ones(len(X))])
        coef, n_iter, converged = _softmax.fit(
            design,
            targets * weight[:, None],
            self._start(targets.shape[1], mean, scale),
            np.append(np.full(X.shape[1], float(self.alpha)), 0.0),
            max_iter=self.max_iter,
            tol=self.tol,
        )
        if not converged and not self.warm_start:
            warnings.warn(
                f"SoftmaxGate stopped after max_iter={self.max_iter} steps before it met "
                f"tol={self.tol}. Raise max_iter, or alpha if the classes can be separated.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.coef_ = (coef[:-1] / scale[:, None]).T
        self.intercept_ = coef[-1] - self.coef_ @ mean
        self.n_iter_ = n_iter
        self._log_prior = -0.5 * self.alpha * float((coef[:-1] ** 2).sum())
        return self

    def _start(self, n_experts, mean, scale):
        """Standardised weights to start from, (n_features + 1, n_experts)."""
        start = np.zeros((len(mean) + 1, n_experts))
        if self.warm_start and getattr(self, "coef_", start).shape == (n_experts, len(mean)):
            start[:-1] = self.coef_.T * scale[:, None]
            start[-1] = self.intercept_ + self.coef_ @ mean
            start -= start.mean(axis=1, keepdims=True)
        return start

    def predict_log_proba(self, X):
        """Log-probability of each expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return _softmax.log_softmax(X @ self.coef_.T + self.intercept_)

    def log_prior(self):
        """Log-prior of the fitted weights, ``-alpha / 2 * ||W||**2`` in standardised units.

        Returns
        -------
        log_prior : float
            At most 0.
        """
        return self._log_prior

    @property
    def n_parameters_(self):
        """Number of free parameters."""
        return (self.coef_.shape[0] - 1) * (self.coef_.shape[1] + 1)

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            A permutation.
        """
        self.coef_, self.intercept_ = self.coef_[order], self.intercept_[order]


class ConstantGate(BaseGate):
    """Gate that does not look at the row: the proportions of a plain mixture.

    Attributes
    ----------
    proportions_ : ndarray of shape (n_experts,)
        Probability of each expert.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    Examples
    --------
    >>> from skmoe.gates import ConstantGate
    >>> gate = ConstantGate().fit([[0.0], [1.0]], [[0.75, 0.25], [0.25, 0.75]])
    >>> gate.predict_proba([[5.0]])
    array([[0.5, 0.5]])
    """

    def fit(self, X, y, sample_weight=None):
        """Fit the proportions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; only their number is looked at.
        y : array-like of shape (n_samples, n_experts) or (n_samples,)
            Soft labels, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None is a weight of one for each row.

        Returns
        -------
        self : ConstantGate
            The fitted gate.
        """
        validate_data(self, X, skip_check_array=True)
        targets, weight = self._soft_labels(X, y, sample_weight)
        mass = weight @ targets
        self.proportions_ = mass / mass.sum()
        return self

    def predict_log_proba(self, X):
        """Log-probability of each expert, the same for every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; only their number is looked at.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            ``-inf`` for an expert that no row belongs to.
        """
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        with np.errstate(divide="ignore"):
            log_proportions = np.log(self.proportions_)
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        return np.tile(log_proportions, (n_samples, 1))

    @property
    def n_parameters_(self):
        """Number of free parameters."""
        return len(self.proportions_) - 1

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            A permutation.
        """
        self.proportions_ = self.proportions_[order]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.classifier_tags.poor_score = True
        return tags


class ClassifierGate(MetaEstimatorMixin, BaseGate):
    """Any probabilistic classifier as a gate.

    Where the classifier's ``fit`` takes ``sample_weight``, each row is repeated once for every
    expert that has a share in it, with that share as weight. Elsewhere one expert a row is drawn
    in proportion to the shares. An expert that the classifier never saw keeps the probability
    that the smoothing gives it.

    Parameters
    ----------
    classifier : estimator
        Classifier with ``fit`` and ``predict_proba``; it is cloned.
    smoothing : float, default=1e-4
        Added to every probability before these are renormalised, so that none is zero.
    random_state : int, RandomState instance or None, default=None
        Draws the experts for classifiers without ``sample_weight``.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier; its classes are numbers of experts.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skmoe.gates import ClassifierGate
    >>> soft = [[1.0, 0.0], [1.0, 0.0], [0.2, 0.8], [0.2, 0.8]]
    >>> gate = ClassifierGate(DecisionTreeClassifier(max_depth=1))
    >>> gate.fit([[0.0], [1.0], [2.0], [3.0]], soft).predict_proba([[3.0]]).round(3)
    array([[0.2, 0.8]])
    """

    _parameter_constraints = {
        "classifier": [HasMethods(["fit", "predict_proba"])],
        "smoothing": [Interval(Real, 0, 0.1, closed="left")],
        "random_state": ["random_state"],
    }
    _minimum_share = 1e-3  # smaller shares are not worth a repeated row

    def __init__(self, classifier, *, smoothing=1e-4, random_state=None):
        self.classifier = classifier
        self.smoothing = smoothing
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit a clone of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; whatever the classifier takes.
        y : array-like of shape (n_samples, n_experts) or (n_samples,)
            Soft labels, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None is a weight of one for each row.

        Returns
        -------
        self : ClassifierGate
            The fitted gate.
        """
        validate_data(self, X, skip_check_array=True)
        targets, weight = self._soft_labels(X, y, sample_weight)
        self.classifier_ = clone(self.classifier)
        if takes_sample_weight(self.classifier):
            shares = round_shares(targets) * (weight > 0)[:, None]
            rows, experts = np.nonzero(shares > self._minimum_share)
            fit_weighted(
                self.classifier_,
                _safe_indexing(X, rows),
                experts,
                shares[rows, experts] * weight[rows],
            )
        else:
            cumulative = np.cumsum(targets, axis=1)
            drawn = check_random_state(self.random_state).random_sample(len(targets))
            experts = (drawn[:, None] * cumulative[:, -1:] > cumulative).sum(axis=1)
            rows = np.flatnonzero(weight > 0)
            self.classifier_.fit(_safe_indexing(X, rows), experts[rows])
        self._columns = np.arange(targets.shape[1])
        return self

    def predict_log_proba(self, X):
        """Log-probability of each expert, smoothed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Finite where ``smoothing`` is positive.
        """
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        seen = self.classifier_.predict_proba(X)
        proba = np.zeros((len(seen), len(self.classes_)))
        proba[:, self.classifier_.classes_] = seen
        proba = proba[:, self._columns] + self.smoothing
        with np.errstate(divide="ignore"):
            return np.log(proba / proba.sum(axis=1, keepdims=True))

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            A permutation.
        """
        self._columns = self._columns[order]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.classifier).input_tags
        return tags

    def _sk_visual_block_(self):
        classifier = getattr(self, "classifier_", self.classifier)
        return VisualBlock("parallel", [classifier], names=["classifier"], dash_wrapped=False)
