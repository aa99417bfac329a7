"""Regressors that learn and predict ordered classes."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_consistent_length, column_or_1d, get_tags
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, Interval, fit_context
from .._numerics.ordered import between, probabilities
from .._tables.mixed import has_shape
from .._tables.vectors import check_weights
from .fitting import fit_weighted, takes_sample_weight
from .ordered_logistic import OrderedLogisticExperts, ordered_classes

CURVATURE = 0.5  # of minus the log-probability of an interval of a logistic variable, at most


class OrderedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""Classifier of ordered classes by a regressor of their latent mean.

    .. math:: P(y \le c \mid x) = \frac{1}{1 + \exp(-(\theta_c - f(x)))}

    The regressor learns f, in place of the line of :class:`OrderedLogisticRegression`. The
    log-probability of a class is above a parabola of curvature 1/2 that touches it at the present f
    [1]_, so that fits of the regressor to :math:`f + 2 \, \partial \log P / \partial f` raise the
    likelihood where it is fitted by least squares; the thresholds :math:`\theta` follow by Newton's
    method. A step that lowers the likelihood, as one of trees may, is not taken, and is the last.
    Regressors given as ``experts`` under ``likelihood="ordinal"`` become such classifiers, which go
    on from their last fit.

    Parameters
    ----------
    regressor : regressor
        Cloned for each step. One that memorises its rows is best kept from it, by the depth of its
        trees for instance, or by few steps.
    order : list, default=None
        Labels from the lowest to the highest. None is their sorted order.
    max_iter : int, default=10
        Steps at most, each a fit of the regressor.
    tol : float, default=1e-3
        Root mean square change of f below which no more steps are taken.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last one, which it keeps where no step raises the
        likelihood.

    Attributes
    ----------
    regressor_ : regressor
        Fitted; its ``predict`` is f.
    thresholds_ : ndarray of shape (n_classes - 1,)
        Thresholds, rising.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels, the columns of ``predict_proba``.
    n_iter_ : int
        Number of steps.
    n_features_in_ : int
        Number of columns.

    References
    ----------
    .. [1] D. Böhning and B. G. Lindsay, "Monotonicity of quadratic-approximation algorithms",
       Annals of the Institute of Statistical Mathematics 40 (1988) 641-663.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import GradientBoostingRegressor
    >>> from skmoe import OrderedClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(500, 1))
    >>> y = np.digitize(X[:, 0] ** 2 + rng.logistic(size=500), [2.0, 6.0])
    >>> trees = GradientBoostingRegressor(n_estimators=20)
    >>> model = OrderedClassifier(trees).fit(X, y)
    >>> model.predict([[-3.0], [0.0], [3.0]])
    array([2, 0, 2])
    """

    keeps_better_fit = True  # with warm_start
    _parameter_constraints = {
        "regressor": [HasMethods(["fit", "predict"])],
        "order": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    def __init__(self, regressor, *, order=None, max_iter=10, tol=1e-3, warm_start=False):
        self.regressor = regressor
        self.order = order
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit regressor and thresholds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. None is a weight of one for each.

        Returns
        -------
        self : OrderedClassifier
            Fitted.

        Raises
        ------
        ValueError
            If there is one class only, or one is not in the order; or if there are weights, and
            the regressor takes none.
        """
        X = X if has_shape(X) else np.asarray(X)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        weight = check_weights(sample_weight, X, ensure_non_negative=True)
        classes, numbers, ranks = ordered_classes(y, self.order)
        if sample_weight is not None and not takes_sample_weight(self.regressor):
            raise ValueError(
                f"{self.regressor!r} takes no sample_weight: give a regressor that does, or no "
                "weights."
            )
        cuts = OrderedLogisticExperts(
            np.empty((len(weight), 0)), numbers, weight, 1, classes=classes, ranks=ranks,
            penalty=0.0, prior=True,
        )  # fmt: skip
        everything, latent = np.ones((len(weight), 1)), np.zeros(len(weight))
        n_iter, change, best, highest = 0, np.inf, None, -np.inf
        if self.warm_start and np.array_equal(vars(self).get("classes_"), classes):
            latent = np.asarray(self.regressor_.predict(X), dtype=np.float64)
            cuts.offset, best = latent, (self.regressor_, self.thresholds_)
            cuts.set_coef(self.thresholds_[None])
            highest = weight @ between(*cuts.ends(ranks[numbers]))[0]
        while n_iter < self.max_iter and change > self.tol:
            _, slopes, _ = between(*cuts.ends(ranks[numbers]))
            target = latent - sum(slopes) / CURVATURE
            model = clone(self.regressor)
            if sample_weight is None:
                model.fit(X, target)
            else:
                fit_weighted(model, X, target, weight)
            latent, last = np.asarray(model.predict(X), dtype=np.float64), latent
            cuts.offset = latent
            cuts.fit(everything)
            change = np.sqrt(np.average((latent - last) ** 2, weights=weight))
            n_iter += 1
            value = weight @ between(*cuts.ends(ranks[numbers]))[0]
            if value < highest:
                break
            best, highest = (model, cuts.coef[0]), value
        (self.regressor_, self.thresholds_), self.n_iter_ = best, n_iter
        self.classes_, self._ranks, self.n_features_in_ = classes, ranks, X.shape[1]
        return self

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns follow ``classes_``.
        """
        check_is_fitted(self)
        latent = np.asarray(self.regressor_.predict(X), dtype=np.float64)
        return probabilities(latent, self.thresholds_)[:, self._ranks]

    def predict(self, X):
        """The most probable class.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def feature_importances_(self):
        """Importances (n_features,) of the regressor's columns."""
        return self.regressor_.feature_importances_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.regressor).input_tags
        tags.classifier_tags.poor_score = True  # of classes that are in no order
        return tags
