"""Ordered logistic experts, all K of them at once, and the estimator that they become."""

from functools import cached_property
from numbers import Real

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from .._compat import Interval, fit_context
from .._numerics.ordered import SMALLEST_GAP, between, probabilities
from .._numerics.statistics import solve_symmetric
from .._tables.known import check_weights
from .base import LinearExperts

GAP_PRIOR = 1e-6  # rows, of all, by which gaps between thresholds are near one
MOST_HALVINGS = 30
MOST_STEPS = 100


class OrderedLogisticExperts(LinearExperts):
    """Proportional odds for K experts, a damped Newton step or two at a time.

    See ``LinearExperts`` for the parameters; ``y`` are class numbers, ``classes`` the labels and
    ``order`` those from the lowest to the highest, None as they are. ``coef`` are the slopes and
    then the thresholds, (n_experts, n_columns + n_classes - 1).
    """

    n_functions = 1
    n_newton = 2
    n_first_newton = 20
    offset = 0.0  # of all predictors, (n_rows,)

    def __init__(self, X, y, weight, n_experts, *, classes, order, **settings):
        self.classes, self.ranks = classes, ranks_of(classes, order)
        super().__init__(X, y, weight, n_experts, **settings)
        # Thresholds do not meet where an expert has no rows of a class, which Newton's steps need.
        self._prior = GAP_PRIOR * weight.sum()
        # A row of weight one half in each class, so that all thresholds are finite.
        mass = np.bincount(self.ranks[y], weight, minlength=len(classes)) + 0.5
        start = special.logit(np.cumsum(mass)[:-1] / mass.sum())
        self._begun = False
        self.set_coef(np.tile(np.append(np.zeros(X.shape[1]), start), (n_experts, 1)))

    @property
    def n_columns(self):
        """Number of slopes."""
        return len(self.scale)

    def fit(self, resp, working=None, exposure=None, target=None):
        """A few Newton steps with weights ``resp``."""
        rank, n_steps = self.ranks[self.y], self.n_newton if self._begun else self.n_first_newton
        of_class = np.eye(len(self.ranks))[rank]
        columns = -self.design[:, :-1]
        to_low = np.hstack([columns, of_class[:, 1:]])  # of the ends, by slopes and thresholds
        to_high = np.hstack([columns, of_class[:, :-1]])
        coef = self.coef.copy()
        for k in range(self.n_experts):
            weights = resp[:, k] * self.weight
            for _ in range(n_steps):
                coef[k], gain = self._newton_step(coef[k], weights, rank, to_low, to_high)
                if gain <= 1e-12 * weights.sum():
                    break
        self._begun = True
        self.n_fits += self.n_experts
        self.set_coef(coef)

    def _newton_step(self, coef, weights, rank, to_low, to_high):
        """Better coefficients of one expert, and how much the penalised sum rises at most."""
        _, (by_low, by_high), (of_low, of_high, of_both) = between(*self._ends(coef, rank))
        penalty = np.append(self.alpha, np.zeros(len(self.ranks) - 1))
        slope = to_low.T @ (weights * by_low) + to_high.T @ (weights * by_high) - penalty * coef
        mixed = to_low.T @ ((weights * of_both)[:, None] * to_high)
        bend = to_low.T @ ((weights * of_low)[:, None] * to_low) + mixed + mixed.T
        bend += to_high.T @ ((weights * of_high)[:, None] * to_high)
        gaps = np.diff(coef[self.n_columns :])
        of_gaps = np.diff(np.eye(len(coef))[self.n_columns :], axis=0)
        slope += self._prior * of_gaps.T @ (1 / gaps - 1)
        bend -= self._prior * of_gaps.T @ (of_gaps / gaps[:, None] ** 2)
        step = solve_symmetric((np.diag(penalty) - bend)[None], slope[None, :, None])[0, :, 0]
        promised, length = slope @ step, 1.0
        before = self._objective(coef, weights, rank, penalty)
        for _ in range(MOST_HALVINGS):
            new = coef + length * step
            if self._objective(new, weights, rank, penalty) >= before + 1e-4 * length * promised:
                return new, promised
            length *= 0.5
        return coef, 0.0

    def ends(self, rank):
        """Thresholds below and above the class of each row, less its predictor; of one expert."""
        return self._ends(self.coef[0], rank)

    def _ends(self, coef, rank):
        thresholds = np.concatenate([[-np.inf], coef[self.n_columns :], [np.inf]])
        predictor = self.design[:, :-1] @ coef[: self.n_columns] + self.offset
        return thresholds[rank] - predictor, thresholds[rank + 1] - predictor

    def _objective(self, coef, weights, rank, penalty):
        gaps = np.diff(coef[self.n_columns :])
        if not (gaps > SMALLEST_GAP).all():
            return -np.inf
        log_proba = between(*self._ends(coef, rank))[0]
        of_gaps = self._prior * (np.log(gaps) - gaps).sum()
        return weights @ log_proba + of_gaps - 0.5 * penalty @ coef**2

    def go_to(self, point):
        coef = point.reshape(self.coef.shape).copy()
        thresholds = coef[:, self.n_columns :]  # which may have been led past each other
        steps = 2 * SMALLEST_GAP * np.arange(thresholds.shape[1])
        coef[:, self.n_columns :] = np.maximum.accumulate(thresholds - steps, axis=1) + steps
        self.set_coef(coef)

    def predict_standardised(self, columns):
        """Probabilities (n_rows, n_experts, n_classes) for rows of standardised columns."""
        each = [
            probabilities(columns @ coef[: self.n_columns], coef[self.n_columns :])[:, self.ranks]
            for coef in self.coef
        ]
        return np.stack(each, axis=1)

    @cached_property
    def predictions(self):
        return self.predict_standardised(self.design[:, :-1])

    def _set_penalty(self):
        slopes, thresholds = np.split(self.coef, [self.n_columns], axis=1)
        gaps = np.diff(thresholds, axis=1)
        self.penalty = 0.5 * (self.alpha * slopes**2).sum(axis=1)
        self.penalty -= self._prior * (np.log(gaps) - gaps).sum(axis=1)

    def finish(self, templates):
        for template, coef in zip(templates, self.coef, strict=True):
            slopes = coef[: self.n_columns] / self.scale
            template.coef_ = slopes
            template.thresholds_ = coef[self.n_columns :] + self.mean @ slopes
            template.classes_, template.n_features_in_ = self.classes, self.n_columns
            template.order_ = self.classes[np.argsort(self.ranks)]
        return templates


class OrderedLogisticRegression(ClassifierMixin, BaseEstimator):
    r"""Logistic regression of ordered classes, with proportional odds.

    .. math:: P(y \le c \mid x) = \frac{1}{1 + \exp(-(\theta_c - x^T \beta))}

    One coefficient for each column, and a threshold between each class and the next [1]_: the
    default expert of :class:`~skmoe.MixtureOfExpertsClassifier` under ``likelihood="ordinal"``. A
    positive coefficient makes higher classes more probable, as in R's ``polr``.

    Parameters
    ----------
    alpha : float, default=1e-3
        Penalty of half the squared coefficients of standardised columns, added to the summed
        negative log-likelihood.
    order : list, default=None
        Labels from the lowest to the highest. None is their sorted order.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients :math:`\beta`.
    thresholds_ : ndarray of shape (n_classes - 1,)
        Thresholds :math:`\theta`, rising.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels, the columns of ``predict_proba``.
    order_ : ndarray of shape (n_classes,)
        Labels in their order.
    n_features_in_ : int
        Number of columns.

    References
    ----------
    .. [1] P. McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical
       Society B 42 (1980) 109-142.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import OrderedLogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 1))
    >>> y = np.digitize(X[:, 0] + rng.logistic(size=2000), [-1.0, 1.0])
    >>> model = OrderedLogisticRegression().fit(X, y)
    >>> model.coef_.round(1), model.thresholds_.round(1)
    (array([1.]), array([-1.,  1.]))
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "order": ["array-like", None],
    }

    def __init__(self, alpha=1e-3, *, order=None):
        self.alpha = alpha
        self.order = order

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit thresholds and coefficients.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. None is a weight of one for each.

        Returns
        -------
        self : OrderedLogisticRegression
            Fitted.
        """
        given, (X, y) = X, check_X_y(X, y, dtype=np.float64, estimator=self)
        weight = check_weights(sample_weight, X, ensure_non_negative=True)
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes.tolist()[0]!r}; two are needed.")
        settings = {"classes": classes, "order": self.order, "penalty": float(self.alpha)}
        experts = OrderedLogisticExperts(X, numbers, weight, 1, prior=True, **settings)
        validate_data(self, given, skip_check_array=True)  # learns the columns
        experts.n_first_newton = MOST_STEPS
        experts.fit(np.ones((len(X), 1)))
        return experts.finish([self])[0]

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns follow ``classes_``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        ranks = ranks_of(self.classes_, self.order_)
        return probabilities(X @ self.coef_, self.thresholds_)[:, ranks]

    def predict(self, X):
        """The most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        best = self.predict_proba(X).argmax(axis=1)  # which says that it is not fitted
        return self.classes_[best]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # of classes that are in no order
        return tags


def ranks_of(classes, order):
    """Place of each class (n_classes,) in an order, which may have more; None is as they are.

    Raises a ValueError if a class is not in the order, or is in it twice.
    """
    if order is None:
        return np.arange(len(classes))
    order = np.asarray(order).tolist()
    places = {label: place for place, label in enumerate(order)}
    if len(places) < len(order):
        raise ValueError(f"order={order} has a class twice: give each once, from the lowest.")
    missing = [label for label in classes.tolist() if label not in places]
    if missing:
        raise ValueError(f"order={list(places)} lacks the classes {missing}.")
    return np.argsort(np.argsort([places[label] for label in classes.tolist()]))
