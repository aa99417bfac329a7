"""Base class of gates."""

from abc import ABCMeta, abstractmethod
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._compat import Interval, QuickParameters, check_y
from .._tables.known import check_numbers, check_weights

LOAD_PRIOR = {  # constraints of its parameters
    "load_balance": [Interval(Real, 0, None, closed="left")],
    "target_load": ["array-like", None],
}


class BaseGate(ClassifierMixin, QuickParameters, BaseEstimator, metaclass=ABCMeta):
    """Base class of gates that take soft labels.

    A gate of your own derives from this class and implements ``fit`` and ``predict_log_proba``,
    and ``reorder`` if experts are to be sorted by load, or removed. Arrays are replaced, never
    written to, since EM keeps shallow copies. ``partial_fit`` of a mixture needs ``learn_batch``,
    and ``begin_stream`` for what ``fit`` does not keep of its rows. If it has parameters named
    ``warm_start`` and ``max_iter``, a mixture sets them to ``True`` and 1 on its clone: each EM
    iteration then takes one step from the end of the last one.

    Attributes
    ----------
    objective : {"conditional", "joint"}
        Likelihood that EM maximises with this gate: that of the target given the row, or, for a
        gate with ``score_samples``, the joint one of both.
    takes_load_prior : bool
        Whether ``fit`` uses ``load_prior``, in closed form.
    load_prior : ndarray of shape (n_experts,) or None
        Prior counts of the experts, set by a mixture if ``takes_load_prior``.
    load_balance, target_load, columns
        Prior on the loads, and columns of the gate, for gates with these parameters; see
        :class:`SoftmaxGate`.
    can_be_pooled : bool
        Whether partial pooling can learn the gate: a softmax of linear functions or proportions.
    sees_rows : bool
        Whether probabilities depend on the row.
    is_linear : bool
        Whether log-odds are linear, ``coef_`` and ``intercept_``, or constants, ``proportions_``.
    keeps_order : bool
        Whether the order of experts matters to the gate, so that copies must not be sorted by
        load: by default, whether there is a ``target_load``.
    is_costly : bool
        Whether ``fit`` costs as much as that of an expert and starts anew each time. A mixture
        then calls it once for each refit of its experts, not in every E-step.
    can_sample : bool
        Whether ``sample(n_samples, random_state)`` generates rows, with the expert of each.
    has_sums : bool
        Whether EM can train the gate, with linear log-odds, from sufficient statistics of the rows,
        also out of memory. It then has ``begin_sums``, ``sum_logits``, ``set_logits``,
        ``learn_sums``, ``exact_sums``, ``wants_curvature``, ``forget_curvature`` and
        ``curvature_of_each``, as those of :class:`SoftmaxGate` or, without ``sees_rows``, of
        :class:`ConstantGate`.
    n_functions_ : int
        Number of linear functions of the columns in ``n_parameters_``: for ``bic``, linearly
        dependent columns do not count.
    """

    objective = "conditional"
    takes_load_prior = False
    load_balance = 0.0
    target_load = None
    columns = None
    can_be_pooled = is_linear = False
    sees_rows = True
    is_costly = has_sums = is_cross_fitted = False
    can_sample = False
    n_functions_ = 0
    n_iter_ = 1
    load_prior = None
    alpha_of_runs = None  # L2 penalty in compiled EM; negative for a constant gate
    _parameter_constraints = {}
    _one_class_will_do = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("can_be_pooled", "has_sums"):
            if name not in vars(cls):
                setattr(cls, name, False)  # for this class only: a subclass may learn otherwise

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
            Weights; None: weights of one.

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
            Natural logarithms; ``-inf`` for experts that the gate excludes.
        """

    def predict_log_odds(self, X):
        """Log-probability of each expert up to a constant of the row, sufficient for routing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_odds : ndarray of shape (n_samples, n_experts)
            Their softmax is ``predict_proba``.
        """
        return self.predict_log_proba(X)

    def log_proba_of_checked(self, X):
        """``predict_log_proba`` for rows that a mixture has already checked.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Natural logarithms.
        """
        return self.predict_log_proba(X)

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
        """Most probable expert, or class if the gate was fitted on class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        best = np.argmax(self.predict_log_proba(X), axis=1)  # which says that it is not fitted
        return self.classes_[best]

    def log_prior(self):
        """Log-prior of the fitted parameters, that is, minus the penalty in ``fit``.

        Returns
        -------
        log_prior : float
            Up to a constant; 0 for a gate without penalty.
        """
        return 0.0

    def begin_stream(self, X, y, sample_weight):
        """Collect what ``learn_batch`` needs from the rows that the gate was fitted on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_experts)
            Soft labels.
        sample_weight : array-like of shape (n_samples,)
            Weights.
        """

    @property
    def learns_batches(self):
        """Whether there is a ``learn_batch``, which ``partial_fit`` needs."""
        return type(self).learn_batch is not BaseGate.learn_batch

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        """Learn from one more batch of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_experts)
            Soft labels.
        sample_weight : array-like of shape (n_samples,)
            Weights.
        keep, gain : float
            Factors of the earlier statistics, and of the rows of the batch.
        """
        raise TypeError(f"{type(self).__name__} does not implement learn_batch.")

    @property
    def keeps_order(self):
        """Whether the order of experts matters to the gate."""
        return self.target_load is not None

    def prior_counts(self, n_experts, weight):
        """Prior counts of the experts, from ``load_balance`` and ``target_load``.

        Parameters
        ----------
        n_experts : int
            Number of experts.
        weight : float
            Weight of all rows.

        Returns
        -------
        counts : ndarray of shape (n_experts,) or None
            None without a prior.

        Raises
        ------
        ValueError
            If ``target_load`` is not a positive number for each expert.
        """
        if self.target_load is None:
            target = np.full(n_experts, 1.0)
        else:
            target = self.target_load
        target = np.asarray(check_numbers("target_load", target), dtype=np.float64)
        if target.shape != (n_experts,) or not (np.isfinite(target) & (target > 0)).all():
            raise ValueError(
                f"target_load must be {n_experts} positive numbers; got {self.target_load!r}."
            )
        if self.load_balance == 0 or n_experts == 1:
            return None
        return self.load_balance * weight * target / target.sum()

    @property
    def n_parameters_(self):
        """Number of free parameters, for ``bic``; None if they cannot be counted."""
        return None

    @property
    def can_memorise(self):
        """Whether the gate can memorise its rows: by default, if it is costly."""
        return self.is_costly

    def for_decision(self):
        """A gate like this one to decide between an old mixture and a new expert.

        Returns
        -------
        gate : BaseGate
            Unfitted.
        """
        return clone(self)

    def simplified(self):
        """The same gate without branches that have no experts.

        Returns
        -------
        gate : BaseGate
            This one, unless it has branches.
        """
        return self

    @property
    def has_countable_parameters(self):
        """Whether there is an ``n_parameters_`` after ``fit``."""
        return type(self).n_parameters_ is not BaseGate.n_parameters_

    @property
    def can_reorder(self):
        """Whether experts can be renumbered, and their order does not matter."""
        return type(self).reorder is not BaseGate.reorder and not self.keeps_order

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_kept,)
            A permutation, or a part of one: the other experts are removed, without changing
            the relative probabilities of those that stay.
        """
        raise TypeError(f"{type(self).__name__} does not implement reorder(order).")


def shares(mass, prior=None):
    """Proportions of masses (K,) and prior counts; equal ones without any mass."""
    if prior is not None:
        mass = mass + prior
    total = mass.sum()
    if total > 0:
        return mass / total
    return np.full(len(mass), 1 / len(mass))


def take_experts(gate, order, *names):
    """Renumber classes and those fitted attributes that exist, along the first axis."""
    gate.classes_ = gate.classes_[: len(order)]
    for name in names:
        if vars(gate).get(name) is not None:
            setattr(gate, name, vars(gate)[name][order])


def linear_columns_of(gate):
    """Columns that the gate of a mixture selects, or None for all."""
    if isinstance(gate, BaseGate):
        return gate.columns
    return None


def check_sees_all(gate):
    """Raise a ValueError if a gate that is only a part of a mixture's gate selects columns."""
    if gate.columns is not None:
        raise ValueError(
            f"columns={gate.columns!r} is for a {type(gate).__name__} that is the gate of a "
            "mixture. Select columns in front of this one, by a ColumnTransformer in a Pipeline."
        )


def soft_labels(gate, X, y, sample_weight):
    """Check y and the weights; sets ``classes_``, returns (targets (n, K), weights (n,)).

    The targets are not multiplied by the weights.
    """
    if y is None:
        raise ValueError(
            f"{type(gate).__name__} requires y to be passed, but the target y is None."
        )
    y = np.asarray(y)
    weight = check_weights(sample_weight, X, ensure_non_negative=True)
    check_consistent_length(X, y)
    if weight.sum() <= 0:
        raise ValueError("sample_weight must have at least one positive entry.")
    if y.ndim == 2 and (y.shape[1] > 1 or gate._one_class_will_do):
        targets = y.astype(np.float64)
        if not (np.isfinite(targets).all() and (targets >= 0).all()):
            raise ValueError("Soft labels y must be finite and non-negative.")
        gate.classes_ = np.arange(y.shape[1])
        return targets, weight
    y = check_y(column_or_1d(y, warn=True), estimator=gate)
    check_classification_targets(y)
    gate.classes_, code = np.unique(y, return_inverse=True)
    if len(gate.classes_) < 2 and not gate._one_class_will_do:
        raise ValueError(f"y has one class only, {gate.classes_[0]!r}; two are needed.")
    return np.eye(len(gate.classes_))[code], weight
