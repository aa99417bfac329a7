"""A gate of two levels: groups of experts, and experts within groups."""

import copy
from numbers import Integral

import numpy as np
from scipy import special
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, fit_context
from .._tables.mixed import check_table
from ._base import BaseGate, soft_labels, take_experts
from ._classifier import ClassifierGate
from ._softmax import SoftmaxGate


class TreeGate(MetaEstimatorMixin, BaseGate):
    r"""Gate of two levels: a decision between groups of experts, and a gate within each group.

    .. math:: \log \pi_k(x) = \log \rho_{b(k)}(x) + \log \pi_{k \mid b(k)}(x)

    This is the gate of a hierarchical mixture of experts [1]_, where :math:`b(k)` is the group (the
    branch) of expert k. Given soft labels, the levels are fitted separately, which is exact: the
    decision to their sums over the branches, each branch to its own labels. In EM with softmax
    gates the likelihood never falls.

    ``add_expert`` creates such a gate, with the old gate as a branch and the new expert as another.

    Parameters
    ----------
    sizes : list of int, default=None
        Number of experts of each branch; the first branch has the first experts. None: about the
        square root of n_experts branches of nearly equal size.
    gate : gate or classifier, default=None
        Cloned for the decision and for every branch of more than one expert. None is a
        :class:`SoftmaxGate`.
    max_iter : int, default=100
        ``max_iter`` of these gates, if they have it.
    warm_start : bool, default=False
        ``warm_start`` of these gates, if they have it.
    random_state : int, RandomState instance or None, default=None
        For classifiers that take no ``sample_weight``, as in :class:`ClassifierGate`.

    Attributes
    ----------
    decision_ : BaseGate
        The fitted gate over the branches.
    branches_ : list of BaseGate or None
        The fitted gates within the branches; None for a branch of one expert.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    References
    ----------
    .. [1] M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts and the EM
       algorithm", Neural Computation 6 (1994) 181-214.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.gates import TreeGate
    >>> X = np.array([[-3.0, 0.0], [-3.0, 1.0], [3.0, 0.0], [3.0, 1.0]])
    >>> gate = TreeGate(sizes=[2, 1]).fit(X, [0, 1, 2, 2])
    >>> gate.predict([[-3.0, 1.0], [3.0, 0.5]])
    array([1, 2])
    >>> gate.decision_.predict_proba([[3.0, 0.5]]).round(2)
    array([[0.04, 0.96]])
    """

    keeps_order = True

    _parameter_constraints = {
        "sizes": ["array-like", None],
        "gate": [HasMethods(["fit", "predict_proba"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(self, sizes=None, gate=None, *, max_iter=100, warm_start=False, random_state=None):
        self.sizes = sizes
        self.gate = gate
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        X = check_table(X, sparse_ok=True, strings_ok=lambda: True)
        validate_data(self, X, skip_check_array=True)
        targets, weight = soft_labels(self, X, y, sample_weight)
        parts = np.split(targets, np.cumsum(self._branch_sizes(targets.shape[1]))[:-1], axis=1)
        sums = np.column_stack([part.sum(axis=1) for part in parts])
        # Equal soft labels for rows outside of a branch.
        filled = [part if part.any() else np.ones_like(part) for part in parts]
        previous = [None] * (1 + len(parts))
        if self.warm_start and "decision_" in vars(self) and len(self.branches_) == len(parts):
            previous = [self.decision_, *self.branches_]
        self.decision_, *self.branches_ = (
            None if part.shape[1] == 1 else self._start(gate).fit(X, part, weight)
            for gate, part in zip(previous, [sums, *filled], strict=True)
        )
        self._columns = np.arange(targets.shape[1])
        return self

    @property
    def learns_batches(self):
        """Whether the gates of both levels have it."""
        if "decision_" in vars(self):
            return all(gate.learns_batches for gate in self._gates())
        return self._template().learns_batches

    def begin_stream(self, X, y, sample_weight):
        for gate, labels in self._levels(y):
            gate.begin_stream(X, labels, sample_weight)

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        # Copies, so that shallow copies of this gate keep theirs.
        self.decision_ = copy.copy(self.decision_)
        self.branches_ = [copy.copy(branch) for branch in self.branches_]
        for gate, labels in self._levels(y):
            gate.learn_batch(X, labels, sample_weight, keep=keep, gain=gain)

    def _places(self):
        """Numbers of the experts of each branch, before ``reorder``."""
        sizes = [1 if branch is None else len(branch.classes_) for branch in self.branches_]
        return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])

    def _levels(self, y):
        """Each gate with its soft labels, from those (n_samples, n_experts) of all experts.

        No row belongs to experts that were removed: their probabilities fade.
        """
        places = self._places()
        labels = np.zeros((len(y), places[-1][-1] + 1))
        labels[:, self._columns] = y
        parts = [labels[:, numbers] for numbers in places]
        yield self.decision_, np.column_stack([part.sum(axis=1) for part in parts])
        for branch, part in zip(self.branches_, parts, strict=True):
            if branch is not None:
                yield branch, part

    def _branch_sizes(self, n_experts):
        if self.sizes is None:
            n_branches = int(np.ceil(np.sqrt(n_experts)))
            return [len(part) for part in np.array_split(np.arange(n_experts), n_branches)]
        sizes = np.asarray(self.sizes)
        valid = sizes.ndim == 1 and len(sizes) > 1 and sizes.dtype.kind == "i" and sizes.min() > 0
        if not valid or sizes.sum() != n_experts:
            raise ValueError(
                "sizes must be two or more positive integers, the experts of each branch, which "
                f"sum to the number of experts, {n_experts}; got {self.sizes!r}."
            )
        return sizes.tolist()

    def for_decision(self):
        return clone(self._template())

    def _template(self):
        if self.gate is None:
            gate = SoftmaxGate()
        else:
            gate = self.gate
        if isinstance(gate, BaseGate):
            return gate
        return ClassifierGate(gate, random_state=self.random_state)

    @property
    def is_costly(self):
        """Whether the gates of the branches are."""
        return self._template().is_costly

    def _start(self, previous):
        """A gate to fit: a new one, or a copy of the last one to continue from."""
        if previous is None:
            gate = clone(self._template())
        else:
            gate = copy.copy(previous)
        settings = {"max_iter": self.max_iter, "warm_start": self.warm_start}
        if settings.keys() <= gate.get_params(deep=False).keys():
            gate.set_params(**settings)
        return gate

    def predict_log_proba(self, X):
        check_is_fitted(self)
        X = check_table(X, sparse_ok=True, strings_ok=lambda: True)
        validate_data(self, X, skip_check_array=True, reset=False)
        log_proba = []
        decision = self.decision_.predict_log_proba(X)
        for of_branch, branch in zip(decision.T, self.branches_, strict=True):
            if branch is None:
                within = 0.0
            else:
                within = branch.predict_log_proba(X)
            log_proba.append(of_branch[:, None] + within)
        every = np.hstack(log_proba)
        kept = every[:, self._columns]
        if kept.shape == every.shape:
            return kept
        return kept - special.logsumexp(kept, axis=1, keepdims=True)

    def log_prior(self):
        return float(sum(gate.log_prior() for gate in self._gates()))

    @property
    def n_iter_(self):
        """Largest number of iterations of a gate."""
        return max(gate.n_iter_ for gate in self._gates())

    @property
    def n_functions_(self):
        """Number of free linear functions of the columns in all gates."""
        return sum(gate.n_functions_ for gate in self._gates())

    @property
    def n_parameters_(self):
        if any(gate.objective == "joint" for gate in self._gates()):
            return None
        return sum(gate.n_parameters_ for gate in self._gates())

    def _gates(self):
        return [self.decision_, *(branch for branch in self.branches_ if branch is not None)]

    def reorder(self, order):
        take_experts(self, order, "_columns")

    def simplified(self):
        for branch, places in zip(self.branches_, self._places(), strict=True):
            if branch is not None and np.array_equal(self._columns, places):
                return branch
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._template()).input_tags
        return tags
