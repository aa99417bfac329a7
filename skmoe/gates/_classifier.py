"""Any classifier as a gate; and a softmax on columns and the probabilities of a random forest."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error
from sklearn.utils import _safe_indexing, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, VisualBlock, fit_context
from .._experts import fitting
from .._experts.fitting import round_shares
from .._experts.solvers import is_linear
from .._numerics.trees import Trees
from ..distributions._arrays import draw_places
from ._base import LOAD_PRIOR, BaseGate, soft_labels, take_experts
from ._softmax import SoftmaxGate


def as_gate(gate):
    """A gate unchanged, and any other classifier as a ClassifierGate."""
    if isinstance(gate, BaseGate):
        return gate
    return ClassifierGate(gate)


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
        Prior means of the loads. None: equal. If given, clones are not sorted by load.

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
        weighted = fitting.takes_sample_weight(self.classifier)
        rows, experts, weights = self._hard_labels(targets, weight, weighted)
        X_fit = _safe_indexing(X, rows)
        self.classifier_ = clone(self.classifier)
        if (experts == experts[0]).all():  # a single expert, which some classifiers do not accept
            self.classifier_ = DummyClassifier(strategy="prior").fit(X_fit, experts)
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
        weighted = fitting.learns_weights(self.classifier)
        rows, experts, weights = self._hard_labels(targets, weight, weighted)
        given = _safe_indexing(X, rows), self._columns[experts], weights
        classifiers = (self.classifier_, self.classifier)
        classes = np.arange(targets.shape[1])
        self.classifier_ = fitting.learn_weighted(*classifiers, *given, classes)

    def _hard_labels(self, targets, weight, weighted):
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


OFFSET = 0.03  # added to probabilities before taking logarithms


class ForestGate(BaseGate):
    r"""Softmax gate over the columns and the log-probabilities of a random forest.

    A softmax gate separates experts by hyperplanes; a forest also finds regions such as boxes,
    stripes or a chessboard. The forest is fitted to the soft labels, and a :class:`SoftmaxGate` to
    the columns of X and :math:`\log(p_k(x) + 0.03)`, where :math:`p_k` are the out-of-bag
    probabilities of the forest.

    Parameters
    ----------
    n_estimators : int, default=60
        Number of trees of the forest.
    min_samples_leaf : int, default=5
        Smallest number of rows in a leaf.
    max_features : float, default=0.5
        Share of the columns considered in each split.
    max_samples : int or None, default=2000
        Largest number of rows drawn for each tree. None: as many as there are. On 20,000 rows,
        log-scores were not higher with more than 2,000.
    alpha : float, default=3.0
        Penalty of the softmax gate; see :class:`SoftmaxGate`.
    random_state : int, RandomState instance or None, default=None
        Random number generator of the forest.

    Attributes
    ----------
    trees_ : object
        The trees of the fitted forest; ``trees_.predict`` has a column for each soft label.
    softmax_ : SoftmaxGate
        The fitted gate over the columns of X and the log-probabilities.
    classes_ : ndarray of shape (n_experts,)
        Class labels, or the numbers of the experts.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    See Also
    --------
    ClassifierGate : Any classifier as a gate, such as a forest alone.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.gates import ForestGate, SoftmaxGate
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(500, 2))
    >>> quadrant = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> softmax = SoftmaxGate().fit(X, quadrant)
    >>> float(softmax.predict_proba([[0.5, 0.5]])[0, 1].round(1))
    0.5
    >>> gate = ForestGate(random_state=0).fit(X, quadrant)
    >>> float(gate.predict_proba([[0.5, 0.5]])[0, 1].round(1))
    1.0
    """

    _parameter_constraints = {
        # With 20 trees, one row in ten thousand is in the bag of all.
        "n_estimators": [Interval(Integral, 20, None, closed="left")],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "max_features": [Interval(Real, 0, 1, closed="right")],
        "max_samples": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }
    is_costly = True

    def __init__(
        self,
        n_estimators=60,
        *,
        min_samples_leaf=5,
        max_features=0.5,
        max_samples=2000,
        alpha=3.0,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_samples = max_samples
        self.alpha = alpha
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        return self.fit_softmax(self.fit_forest(X, y, sample_weight), y, sample_weight)

    def fit_forest(self, X, y, sample_weight=None):
        """Fit the forest alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples, n_regimes) or (n_samples,)
            Soft labels, or class labels. There need not be as many regimes as experts.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None: weights of one.

        Returns
        -------
        columns : ndarray of shape (n_samples, n_features + n_regimes)
            Argument of ``fit_softmax``: X and out-of-bag log-probabilities.
        """
        X = validate_data(self, X, dtype=np.float64)
        targets, weight = soft_labels(self, X, y, sample_weight)
        targets = round_shares(targets)
        used = weight > 0
        equal = np.ptp(weight[used]) == 0
        n_used = np.count_nonzero(used)
        has_more = self.max_samples is not None and self.max_samples < n_used
        forest = RandomForestRegressor(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            max_samples=self.max_samples if has_more else None,
            oob_score=mean_squared_error,  # the default, R², warns about few rows
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
            forest.fit(X[used], targets[used], None if equal else weight[used])
        # Three digits are enough for shares, and the leaves are most of the file.
        self.trees_ = Trees.of_forest(forest, leaf_dtype=np.float16)
        out_of_bag = forest.oob_prediction_.reshape(targets[used].shape)
        in_all_bags = out_of_bag.sum(axis=1) == 0  # heavy rows, without a mean out of bag
        out_of_bag[in_all_bags] = np.average(targets[used], axis=0, weights=weight[used])
        proba = np.empty_like(targets)
        proba[used] = out_of_bag
        if not used.all():
            proba[~used] = self.trees_.predict(X[~used])
        return _with_log_proba(X, proba)

    def fit_softmax(self, columns, y, sample_weight=None):
        """Fit the softmax gate after the forest.

        Parameters
        ----------
        columns : ndarray of shape (n_samples, n_features + n_regimes)
            Result of ``fit_forest``.
        y : array-like of shape (n_samples, n_experts) or (n_samples,)
            Soft labels, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; None: weights of one.

        Returns
        -------
        self : ForestGate
            The fitted gate.
        """
        self.softmax_ = SoftmaxGate(alpha=self.alpha).fit(columns, y, sample_weight=sample_weight)
        self.classes_ = self.softmax_.classes_
        return self

    def predict_log_proba(self, X):
        check_is_fitted(self, "softmax_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.softmax_.predict_log_proba(_with_log_proba(X, self.trees_.predict(X)))

    def log_proba_of_checked(self, X):
        if type(self) is ForestGate and type(X) is np.ndarray and X.dtype.kind == "f":
            return self.softmax_.log_proba_of_checked(_with_log_proba(X, self.trees_.predict(X)))
        return self.predict_log_proba(X)

    def reorder(self, order):
        self.softmax_.reorder(order)
        self.classes_ = self.softmax_.classes_


def _with_log_proba(X, proba):
    """The columns of X and the logarithms of probabilities."""
    return np.column_stack([X, np.log(proba + OFFSET)])
