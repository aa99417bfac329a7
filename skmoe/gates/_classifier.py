"""Any classifier as a gate."""

from numbers import Real

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, VisualBlock, fit_context
from .._experts import fitting
from .._experts.solvers import is_linear
from ..distributions._arrays import draw_places
from ._base import LOAD_PRIOR, BaseGate, soft_labels, take_experts


def as_gate(gate):
    """A gate unchanged, and any other classifier as a ClassifierGate."""
    return gate if isinstance(gate, BaseGate) else ClassifierGate(gate)


class ClassifierGate(MetaEstimatorMixin, BaseGate):
    """Any probabilistic classifier as a gate.

    If ``fit`` of the classifier takes ``sample_weight``, each row is repeated for every expert with
    its responsibility as weight. Otherwise one expert per row is drawn with these probabilities. An
    expert that was never drawn has the probability of the smoothing.

    A mixture fits it once for each refit of the experts, and cross-fits it, in five folds of its
    own if experts have none, unless ``cv=False`` or the classifier is linear. The gate that
    predicts is finally fitted on all rows.

    Parameters
    ----------
    classifier : estimator
        Classifier with ``fit`` and ``predict_proba``; it is cloned.
    smoothing : float, default=1e-4
        Added to all probabilities, which are then renormalised, so that none is zero.
    random_state : int, RandomState instance or None, default=None
        Random number generator of these draws.
    load_balance : float, default=0.0
        In EM of a mixture: strength of a Dirichlet prior on the mean probabilities of the experts,
        in prior rows for each training row. 0.01 is mild, 0.1 strong; it biases rare regimes.
    target_load : array-like of shape (n_experts,), default=None
        Prior means of the loads. None: equal. If given, copies are not sorted by load.

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
    >>> gate = gate.fit([[0.0], [1.0], [2.0], [3.0]], soft)
    >>> gate.predict_proba([[3.0]]).round(3)
    array([[0.2, 0.8]])
    """

    _parameter_constraints = {
        "classifier": [HasMethods(["fit", "predict_proba"])],
        "smoothing": [Interval(Real, 0, 0.1, closed="left")],
        "random_state": ["random_state"],
        **LOAD_PRIOR,
    }
    is_costly = True

    @property
    def can_memorise(self):
        """Whether the classifier can memorise its rows: unless it is linear."""
        return not is_linear(self.classifier)

    _minimum_share = 1e-3  # smaller responsibilities get no row

    def __init__(
        self, classifier, *, smoothing=1e-4, random_state=None, load_balance=0.0, target_load=None
    ):
        self.classifier = classifier
        self.smoothing = smoothing
        self.random_state = random_state
        self.load_balance = load_balance
        self.target_load = target_load

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        validate_data(self, X, skip_check_array=True)
        targets, weight = soft_labels(self, X, y, sample_weight)
        rows, experts, weights = self._hard_labels(
            targets, weight, weighted=fitting.takes_sample_weight(self.classifier)
        )
        X_fit = _safe_indexing(X, rows)
        self.classifier_ = clone(self.classifier)
        if (experts == experts[0]).all():  # a single expert, which some classifiers do not accept
            self.classifier_ = DummyClassifier(strategy="prior").fit(X_fit, experts)
        elif weights is None:
            self.classifier_.fit(X_fit, experts)
        else:
            fitting.fit_weighted(self.classifier_, X_fit, experts, weights)
        self._columns = np.arange(targets.shape[1])
        return self

    @property
    def learns_batches(self):
        """Whether the classifier has ``partial_fit``."""
        return fitting.learns_batches(self.classifier)

    def learn_batch(self, X, y, sample_weight, *, keep, gain):
        # Without ``keep`` and ``gain``: the classifier learns and forgets at its own rate.
        targets, weight = soft_labels(self, X, y, sample_weight)
        rows, experts, weights = self._hard_labels(
            targets, weight, weighted=fitting.learns_weights(self.classifier)
        )
        given = _safe_indexing(X, rows), self._columns[experts], weights
        classifiers, classes = (self.classifier_, self.classifier), np.arange(targets.shape[1])
        self.classifier_ = fitting.learn_weighted(*classifiers, *given, classes)

    def _hard_labels(self, targets, weight, *, weighted):
        """Rows, an expert for each, and their weights or None."""
        if weighted:
            shares = fitting.round_shares(targets) * (weight > 0)[:, None]
            # The labels of a branch of a tree may all be small.
            least = self._minimum_share * min(1.0, shares.shape[1] * shares.max())
            rows, experts = np.nonzero(shares > least)
            return rows, experts, shares[rows, experts] * weight[rows]
        experts = draw_places(targets, 1, check_random_state(self.random_state))[:, 0]
        rows = np.flatnonzero(weight > 0)
        return rows, experts[rows], None

    def predict_log_proba(self, X):
        check_is_fitted(self)
        validate_data(self, X, skip_check_array=True, reset=False)
        seen = self.classifier_.predict_proba(X)
        if np.isnan(seen).any():
            raise ValueError(f"The gate {self.classifier} predicted NaN.")
        n_columns = 1 + max(self._columns.max(), self.classifier_.classes_.max())
        proba = np.zeros((len(seen), n_columns))
        proba[:, self.classifier_.classes_] = seen
        proba = proba[:, self._columns] + self.smoothing
        with np.errstate(divide="ignore"):
            return np.log(proba / proba.sum(axis=1, keepdims=True))

    def reorder(self, order):
        take_experts(self, order, "_columns")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.classifier).input_tags
        return tags

    def _sk_visual_block_(self):
        classifier = vars(self).get("classifier_", self.classifier)
        return VisualBlock("parallel", [classifier], names=["classifier"], dash_wrapped=False)
