"""MixtureOfExpertsClassifier."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from ._base import BaseMixtureOfExperts
from ._compat import StrOptions, check_y, fit_context
from ._doors import updates
from ._experts.solvers import logistic
from ._extended import ExtendedMixture, learns_streams
from ._model import ClassificationModel
from ._reports.docstrings import completed_by
from ._tables.known import check_labels
from ._tables.mixed import HEAVIEST, check_sizes
from ._validation import check_classes, check_fitted, check_X, wherever
from .distributions._arrays import check_n_draws, draw_places
from .likelihoods import Categorical


@completed_by(BaseMixtureOfExperts)
class MixtureOfExpertsClassifier(ClassifierMixin, ExtendedMixture):
    r"""Mixture of experts for classification.

    .. math:: P(y = c \mid x) = \sum_k \pi_k(x) \, p_k(c \mid x)

    The experts :math:`p_k` are any probabilistic classifiers; the gate :math:`\pi` is learned and
    gives each of them a weight for each row [1]_. Experts that can interpolate their training rows
    are cross-fitted, and calibrated by their out-of-fold predictions.

    Parameters
    ----------
    experts : estimator, list of estimator or of (str, estimator), or "diverse", default=None
        None is logistic regression, with strings and missing values encoded; its penalty is
        chosen by cross-validation for :doc:`wide X </guide/wide>`. One classifier is copied for
        each expert. A list has classifiers or (name, classifier), where "drop" removes an entry;
        "diverse" is a :ref:`ready list <diverse>`. Classifiers in a ``FrozenEstimator`` are not
        refitted. See :doc:`/guide/training`, and for early stopping :doc:`/guide/boosting`.
    likelihood : {"auto", "categorical"} or Categorical, default="auto"
        How the probabilities of experts are calibrated. "auto" and "categorical" learn
        temperatures and smoothing out of fold; for in-sample predictions there is a fixed
        smoothing of 0.001 (none for logistic regression). See
        :class:`~skmoe.likelihoods.Categorical`.
    class_weight : dict or "balanced", default=None
        Weights of the classes, multiplied into ``sample_weight``. The probabilities are then
        those of a population with these weights.
    init : str or callable, default="auto"
        Initialisation of EM. "auto" tries "functions" (random logistic regressions, with rows
        assigned by how well these explain y), "kmeans_x", "scattered" (random partitions of X) and
        "layers_of_x"; a name selects one of them. A callable ``(X, y, n_experts, random_state)``
        returns responsibilities (n_samples, n_experts).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    likelihood_ : Categorical
        With the calibration of each expert; if pooled, the covariances of the coefficients.
    log_evidence_ : dict of int to float
        Log-evidence per row of each number of experts that was tried, only if pooled: the highest
        ``lower_bound_`` with the weights of the gate integrated out, by Laplace's approximation.
        The mixture with the largest is kept. Mixtures without slopes and with no more experts than
        classes are excluded: they are equivalent to the logistic regression of their gate.

    See Also
    --------
    MixtureOfExpertsRegressor : The same for numeric targets.

    References
    ----------
    .. [1] R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, "Adaptive mixtures of
       local experts", Neural Computation 3 (1991) 79-87.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(400, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "differ")
    >>> moe = MixtureOfExpertsClassifier(n_experts=2, random_state=0).fit(X, y)
    >>> moe.predict([[0.5, 0.5], [0.5, -0.5]])
    array(['same', 'differ'], dtype='<U6')
    """

    _model_class = ClassificationModel
    _parameter_constraints = {
        **ExtendedMixture._parameter_constraints,
        "likelihood": [StrOptions({"auto", "categorical"}), Categorical],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        experts=None,
        n_experts="auto",
        *,
        gate=None,
        likelihood="auto",
        training="auto",
        class_weight=None,
        expert_columns=None,
        cv="auto",
        top_k=None,
        init="auto",
        n_init=10,
        max_iter=500,
        tol=1e-5,
        warm_start=False,
        forget_factor=1.0,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.likelihood = likelihood
        self.training = training
        self.class_weight = class_weight
        self.expert_columns = expert_columns
        self.cv = cv
        self.top_k = top_k
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.forget_factor = forget_factor
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    @available_if(learns_streams)
    @fit_context(prefer_skip_nested_validation=False)
    @wherever
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from one more batch of rows, by stepwise EM.

        The first rows are collected until there is a weight of 500, or of 20 for each parameter
        of the experts if that is more, and a row of each class. Until then the mixture is
        refitted from several starts whenever the weight has doubled or there is a new class, once
        there are as many rows as experts. Afterwards each batch is used once and not kept [1]_.
        After ``fit``, ``partial_fit`` continues from the fitted mixture.

        Linear and logistic experts, the gate and the scales are re-estimated from sufficient
        statistics of all rows, in columns standardised as the first rows were. Other experts use
        their own ``partial_fit``, weighted by responsibility; their scales come from the errors
        before they learn from a row. Transformers do not change.

        ``experts_``, ``gate_``, ``likelihood_``, ``expert_load_`` and ``n_samples_seen_`` are
        updated. ``lower_bounds_``, ``n_iter_`` and similar ones stay those of the last fit; the
        ``oof_*`` attributes are deleted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,)
            Target.
        classes : array-like of shape (n_classes,), default=None
            All classes, including those of later batches. Required in the first call, unless
            the mixture is fitted.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a row of weight 2 counts as two rows. None is a weight of one for each.

        Returns
        -------
        self : object
            The mixture.

        Raises
        ------
        AttributeError
            If an expert has no ``partial_fit`` and is not solved in closed form, or the gate
            cannot learn from batches: the mixture then has no such method.
        ValueError
            If the batch cannot be used. The mixture is then unchanged.

        References
        ----------
        .. [1] O. Cappé and E. Moulines, "On-line expectation-maximization algorithm for latent
           data models", Journal of the Royal Statistical Society B 71 (2009) 593-613.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsClassifier
        >>> rng = np.random.default_rng(0)
        >>> moe = MixtureOfExpertsClassifier(n_experts=2, random_state=0)
        >>> for _ in range(10):
        ...     X = rng.uniform(-1, 1, size=(200, 2))
        ...     y = np.where(X[:, 0] * X[:, 1] > 0, "same", "differ")
        ...     moe = moe.partial_fit(X, y, classes=["differ", "same"])
        >>> moe.predict([[0.5, 0.5], [0.5, -0.5]])
        array(['same', 'differ'], dtype='<U6')
        """
        return updates("partial_fit").partial_fit(self, X, y, sample_weight, classes)

    @property
    def _classes(self):
        """Labels, or None before they are known."""
        return vars(self).get("classes_")

    def _solver(self):
        return logistic(self._classes)

    def _likelihood(self):
        if isinstance(self.likelihood, str):
            likelihood = Categorical()
        else:
            likelihood = clone(self.likelihood)
        if self._classes is None:
            n_classes = 0
        else:
            n_classes = len(self._classes)
        return likelihood.set_params(n_classes=n_classes)

    def _labels(self, y):
        return self.classes_[y]

    def _check_target(self, y, known=False):
        check_labels("y", y)
        y = column_or_1d(y, warn=True)
        if not known:
            y = check_y(y, estimator=self)
            check_classification_targets(y)
            if self._buffer is None:
                self.classes_, numbers = np.unique(y, return_inverse=True)
                check_classes(self.classes_)
                return numbers
            self.classes_ = self._buffer.classes  # a stream, whose classes were given
        unknown = np.setdiff1d(y, self.classes_).tolist()
        if unknown:
            raise ValueError(f"y has the classes {unknown}, which were not in fit.")
        return np.searchsorted(self.classes_, y)

    def _check_weight(self, sample_weight, X, y):
        weight = super()._check_weight(sample_weight, X, y)
        if self.class_weight is None:
            return weight
        mass = np.bincount(y, weight, minlength=len(self.classes_))
        weight = weight * self._class_weights(mass)[y]
        check_sizes(weight, "sample_weight times class_weight", smallest=True, limit=HEAVIEST)
        return weight

    def _class_weights(self, mass):
        """Weight of each class, by its weight in the rows; "balanced" makes all sums the same."""
        if isinstance(self.class_weight, str):
            return mass.sum() / (np.count_nonzero(mass) * np.where(mass > 0, mass, 1.0))
        for label, value in self.class_weight.items():
            if not (isinstance(value, Real) and 0 <= value <= HEAVIEST):
                raise ValueError(
                    f"class_weight must be a number of 0 at least, and {HEAVIEST:.0e} at most, for "
                    f"each class; got {value!r} for {label!r}."
                )
        return compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)

    def predict_proba(self, X):
        """Predict class probabilities: those of the experts, calibrated, weighted by the gate.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. Those of :class:`~skmoe.rows.Files` and Dask are predicted
            :doc:`block by block </guide/many_rows>`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns follow ``classes_``.

        Examples
        --------
        >>> moe.predict_proba([[0.5, 0.5]]).round(1)
        array([[0., 1.]])
        """
        check_fitted(self)
        return self._predictive.proba(check_X(self, X))

    def sample_y(self, X, n_samples=1, random_state=None):
        """Draw classes with the predicted probabilities.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_rows, n_features)
            Rows.
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            Draws them; an int gives the same ones each time, of rows that are not in memory in the
            same blocks.

        Returns
        -------
        y : ndarray of shape (n_rows, n_samples)
            Classes.

        Examples
        --------
        >>> moe.sample_y([[0.5, 0.5]], random_state=0)
        array([['same']], dtype='<U6')
        """
        check_n_draws("n_samples", n_samples)
        proba = self.predict_proba(X)
        return self.classes_[draw_places(proba, n_samples, check_random_state(random_state))]

    def predict_log_proba(self, X):
        """Predict the logarithm of class probabilities.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns follow ``classes_``.

        Examples
        --------
        >>> moe.predict_log_proba([[0.5, 0.5]]).argmax(axis=1)
        array([1])
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. Those of :class:`~skmoe.rows.Files` and Dask are predicted
            :doc:`block by block </guide/many_rows>`.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.

        Examples
        --------
        >>> moe.predict([[0.5, 0.5]])
        array(['same'], dtype='<U6')
        """
        best = np.argmax(self.predict_proba(X), axis=1)  # which says that it is not fitted
        return self.classes_[best]

    def predict_experts(self, X):
        """Most probable class of each expert for each row, in columns as those of ``gate_proba``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples, n_experts)
            Elements of ``classes_``.

        Examples
        --------
        >>> moe.predict_experts([[0.5, 0.5]]).shape  # the class of each expert
        (1, 2)
        """
        check_fitted(self)
        return self.classes_[np.argmax(self._model.expert_predictions(check_X(self, X)), axis=2)]

    def score(self, X, y=None, sample_weight=None):
        """Accuracy of ``predict(X)``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or Files
            Rows, also as Dask collections.
        y : array-like of shape (n_samples,), default=None
            Their target. None if X is a :class:`~skmoe.rows.Files`, which has the target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            Share of rows, by weight, whose class is predicted.

        Examples
        --------
        >>> moe.score(X, y) > 0.95
        True
        """
        return super().score(X, y, sample_weight)
