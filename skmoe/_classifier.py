"""MixtureOfExpertsClassifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from ._compat import StrOptions, check_y, fit_context
from ._experts.families import Logistic
from ._model import ClassificationModel
from ._parameters import check_classes, check_fitted, check_X
from ._reports.many_rows import accuracy_of_rows
from ._rows.answers import block_by_block, in_memory
from ._rows.files import is_elsewhere
from ._updating import UpdatableMixture
from .distributions._arrays import draw_places
from .inference._summary import InferringMixture
from .likelihoods import Categorical


class MixtureOfExpertsClassifier(ClassifierMixin, InferringMixture, UpdatableMixture):
    r"""Mixture of experts for classification, trained by EM.

    .. math:: P(y = c \mid x) = \sum_k \pi_k(x) \, p_k(c \mid x)

    Any probabilistic classifiers are the experts :math:`p_k`; a learned gate :math:`\pi`
    decides from the row which of them answer and how much each counts [1]_. Experts that can
    interpolate their own rows are cross-fitted, and calibrated on what they say of rows that
    they did not see.

    Parameters
    ----------
    experts : estimator, list of (str, estimator) or "diverse", default=None
        One classifier, cloned for every expert, or a named list of unlike ones, in which
        ``"drop"`` leaves one out. One in a ``FrozenEstimator`` stays as it is; a mixture can be
        an expert too. One that has ``partial_fit``, such as a net, goes on in each iteration from
        where the last one left it if its ``warm_start`` is True. Boosting that is to stop early
        gets a validation set: see :doc:`/guide/boosting`. None is logistic regression, with
        coefficients pooled or, without ``pooling``, with a next-to-nothing L2 penalty; on a
        DataFrame with strings or missing values these are encoded first. "diverse" is a list of
        logistic regression, histogram gradient boosting, a random forest, a neural net and, for
        fewer than 1,000 rows of equal weight, a Gaussian process: "logistic", "boosting",
        "forest", "net", "process". Each is in the Pipeline that it needs, for strings and missing
        values too.
    n_experts : int, default=None
        Number of experts; with ``pooling`` an upper bound. None is the length of the list, else 4.
    gate : gate, classifier or Pipeline ending in one, default=None
        See :mod:`skmoe.gates`. None is a :class:`~skmoe.gates.SoftmaxGate`; strings and
        missing values are encoded for it. The transformers of a Pipeline are fitted once.
    calibration : {"auto", "temperature", "smoothing"} or None, default="auto"
        How the experts' probabilities are calibrated out of fold; see
        :class:`~skmoe.likelihoods.Categorical`. "auto" is both, and for in-sample predictions
        no more than a fixed smoothing of 0.001 (none for logistic regression). None is that
        fixed smoothing for all.
    class_weight : dict or "balanced", default=None
        Weights of the classes, multiplied into ``sample_weight``. The probabilities are then
        those of a population with these weights.
    shared_effects : list or dict, default=None
        Columns in whose coefficients experts do not differ, as in
        :class:`MixtureOfExpertsRegressor`. The default experts, or one ``LogisticRegression``,
        by maximum likelihood. None is no column.
    pooling : "auto", bool or float, default="auto"
        Whether the coefficients of each expert deviate from common ones by a normal prior, and the
        evidence decides how far, as well as how many experts there are: ``n_experts`` is then an
        upper bound, and a mixture where there are no regimes becomes one logistic regression, whose
        penalty is learned too. See :doc:`/guide/small_tables`. Probabilities are averaged over what
        is not known of the coefficients. It is there for the default experts behind a softmax gate,
        whose ``alpha`` is learned as well, or a constant one; not with another ``calibration``,
        ``cv`` other than "auto" or False, ``top_k``, ``load_balance``, groups, sparse data or a
        stream that begins with ``partial_fit``, and "auto" not within the experts of another
        mixture. "auto" pools wherever it is available, up to 10,000 rows in memory, and is maximum
        likelihood elsewhere. True pools, or raises an error that says what is in the way. A
        positive number pools, with this number as prior variance of the deviations, of slopes and
        intercepts, for standardised columns: 1 lets experts differ freely, 0.01 hardly. False is
        maximum likelihood.
    specialisation : {"auto", 0, 1}, default="auto"
        How far the experts specialise. 1: EM fits each expert with its responsibilities. 0: each
        expert of a named list is fitted on all rows, out of fold and once more for predictions;
        the gate is learned from the out-of-fold predictions, and so is one expert more, "stack",
        which combines the probabilities of the others, and calibrates. Whether and how strongly the
        gate looks at the row is chosen by the out-of-fold log-probability. ``calibration`` and
        parameters of EM, its starts and its loads, ``ensemble`` among them, then say nothing. See
        :ref:`the guide <unlike_models>`. "auto" is 1 for logistic experts, for those that are ready
        or go on from iteration to iteration, and where a parameter asks for what only EM takes:
        another gate, sparse X, ``top_k``, ``load_balance``, subjects, ``cv=False``,
        ``warm_start``. A list is else fitted as with 0; where a mixture of logistic experts
        explains the classes better than that, EM is tried, and kept if it raises the out-of-fold
        log-probability by more than its standard error. Of one estimator there are a "generalist",
        fitted on all rows, and ``n_experts`` clones beside it, on regimes, behind a
        :class:`~skmoe.gates.ForestGate`, which are left out unless they raise it as much (see
        :ref:`the guide <clones>`).
    cv : "auto", "oob", "prefit", False, int, splitter or iterable, default="auto"
        How the E-step gets predictions for rows that experts and gate have not seen. "auto" is
        in-sample for linear models with ten rows a coefficient or more (by weight, over all
        experts), out of bag for bagging ensembles, unless too few of their members leave out a
        row of large weight, and five shuffled stratified folds for all others (for all experts of
        a list as soon as one needs them). False is in-sample for everything, which for flexible
        experts makes probabilities worthless. "oob" insists on out-of-bag predictions.
        "prefit", which "auto" is where all experts are frozen, learns gate and calibration alone.
    ensemble : bool, default=False
        In EM with folds: whether an expert is the :class:`FoldEnsemble` of its fold models, whose
        average is better for single trees and worse for boosting and nets on few rows. False refits
        it on all its rows at the end.
    min_responsibility : float or "auto", default="auto"
        Rows for which an expert has less are not given to it. "auto" is
        ``min(0.1, 0.5 / n_experts)`` where predictions are out of sample, else 0.
    top_k : int, default=None
        Experts that answer for a row: the k most probable ones, renormalised. In training a row
        teaches the k experts of largest responsibility. None is all experts. Read when
        predicting too, so that ``set_params(top_k=...)`` works on a fitted mixture, whose
        calibration stays; ``fit`` makes it for the ``top_k`` that it is given. With 1,
        densities pay for every row that the gate sends to the wrong expert.
    router_noise : float, default=0.0
        With ``top_k``: size of the noise, in nats, that blurs the choice of experts in the first
        iterations, and falls to nothing. May help ``top_k=1`` out of bad starts.
    load_balance : float, default=0.0
        Strength of a Dirichlet prior on the experts' mean gate probabilities: prior rows for
        each training row. 0.01 is mild, 0.1 strong; it biases rare regimes.
    target_load : array-like of shape (n_experts,), default=None
        Loads that the prior pulls to. None is equal ones. Given, clones keep its order.
    init : str or callable, default="auto"
        Where EM starts. "auto" goes through unlike starts: "functions", random logistic
        regressions that share the rows by how well they explain y, and "kmeans_x" and
        "gaussians", which look at X alone; one of these names takes only that. A callable
        ``(X, y, n_experts, random_state)`` returns responsibilities (n_samples, n_experts).
    n_init : int, default=10
        Number of starts. Each gets ten EM iterations with logistic experts, the five best get
        fifty more, and the best of these goes on. Where fewer than three led to the best, as many
        more are tried, up to three times, from there: two experts merged, another halved.
    max_iter : int, default=500
        EM iterations at most, each a refit of the experts. Cross-fitted experts stop at 10.
    tol : float, default=1e-5
        EM stops when the objective per unit of weight has no more to gain, as its last gains
        foretell for experts in-sample, or when an iteration changes it by no more; cross-fitted
        experts, when two in succession did not better it by more. One linear expert goes to its
        maximum, whatever ``tol`` is.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last solution in place of new starts; with ``pooling``,
        from its number of experts too.
    forget_factor : float, default=1.0
        For ``partial_fit``: the weight of what was seen falls by this factor for each unit of
        weight seen since; 0.999 follows a drift within about a thousand rows. 1.0 forgets
        nothing. Class shares and calibration fade alike; experts that go on with their own
        ``partial_fit`` forget as they do.
    max_expert_rows : int, default=100_000
        Of rows that are not in memory, how many of its own an expert is fitted on at most, where no
        sums over them tell all; see :doc:`/guide/many_rows`. Rows beyond are thinned by a hash of
        their content, with a warning.
    n_jobs : int, default=None
        Jobs for experts, folds and starts. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Draws folds, starts and the seeds of experts that have none.
    verbose : int, default=0
        Whether to print a line for each start, for each number of experts that pooling tries, and
        for each iteration of EM, with the objective.
    verbose_interval : int, default=1
        Iterations between two lines of the last kind.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    experts_ : list of estimators
        Fitted experts; clones are in the order of falling load.
    named_experts_ : Bunch
        The same by name; clones are called ``expert0``, ``expert1`` and so on.
    gate_ : gate or Pipeline
        The fitted gate; after ``add_expert`` a :class:`~skmoe.gates.TreeGate` around it.
    likelihood_ : Categorical
        With the calibration of each expert; with ``pooling``, the covariances of its coefficients.
    expert_load_ : ndarray of shape (n_experts,)
        Mean probability that the gate gives to each expert on the training rows.
    lower_bounds_ : list of float
        Objective after each EM iteration: penalised log-likelihood per unit of weight, out of
        fold where experts are cross-fitted.
    lower_bound_ : float
        Objective of the iterate that was kept, the best. With ``pooling`` a bound on the
        logarithm of the evidence, per unit of weight.
    log_evidence_ : dict of int to float
        Only with ``pooling``: for each number of experts that was tried, the highest
        ``lower_bound_`` less what is paid for what is not known of the gate. The largest was kept,
        but for mixtures of no more experts than classes that all ignore the row: their gate is a
        logistic regression, as one expert is. Of rows that are not in memory, the number that was
        kept alone.
    specialisation_ : Specialisation
        Only where ``specialisation="auto"`` has tried clones beside a generalist, or EM for a
        list: the mean out-of-fold log-probabilities ``score_without`` and ``score_with`` them,
        their difference ``gain``, its ``standard_error``, and ``kept``.
    start_lower_bounds_ : list of list of float
        Objectives of each start, iteration by iteration, under linear experts; EM went on from
        the best. Empty where there was nothing to choose, one start or one expert, and with
        ``pooling``, whose mixtures start from more than that.
    n_iter_ : int
        EM iterations.
    n_expert_fits_ : int
        Fits of single experts that the training took.
    converged_ : bool
        Whether EM met ``tol`` at the iterate that was kept: the next iteration, or the next two
        of cross-fitted experts, changed the objective by ``tol`` at most. False where EM stopped
        because the objective fell by more, as out-of-fold densities may.
    oof_score_ : float
        Mean out-of-fold log-probability. Only where predictions were out of sample, as the next
        two. The regimes were chosen on these rows, so it is optimistic: compare mixtures
        by cross-validating :func:`~skmoe.metrics.log_score`.
    oof_log_density_ : ndarray of shape (n_samples,)
        Out-of-fold log-probability of each training row's class.
    oof_responsibilities_ : ndarray of shape (n_samples, n_experts)
        Out-of-fold responsibilities.
    n_samples_seen_ : float
        Weight of all the rows that ``fit`` and ``partial_fit`` have seen.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had strings for names.

    See Also
    --------
    MixtureOfExpertsRegressor : The same for numbers.

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
        **UpdatableMixture._parameter_constraints,
        "calibration": [StrOptions({"auto", "temperature", "smoothing"}), None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        experts=None,
        n_experts=None,
        *,
        gate=None,
        calibration="auto",
        class_weight=None,
        shared_effects=None,
        pooling="auto",
        specialisation="auto",
        cv="auto",
        ensemble=False,
        min_responsibility="auto",
        top_k=None,
        router_noise=0.0,
        load_balance=0.0,
        target_load=None,
        init="auto",
        n_init=10,
        max_iter=500,
        tol=1e-5,
        warm_start=False,
        forget_factor=1.0,
        max_expert_rows=100_000,
        n_jobs=None,
        random_state=None,
        verbose=0,
        verbose_interval=1,
    ):
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.calibration = calibration
        self.class_weight = class_weight
        self.shared_effects = shared_effects
        self.pooling = pooling
        self.specialisation = specialisation
        self.cv = cv
        self.ensemble = ensemble
        self.min_responsibility = min_responsibility
        self.top_k = top_k
        self.router_noise = router_noise
        self.load_balance = load_balance
        self.target_load = target_load
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.forget_factor = forget_factor
        self.max_expert_rows = max_expert_rows
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    @available_if(UpdatableMixture._learns_streams)
    @fit_context(prefer_skip_nested_validation=False)
    @in_memory("pass one block after the other")
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from one more batch of rows, as EM on a stream does.

        The first rows are collected until several starts of EM are sensible: a weight of 500
        or of 20 for each parameter of the experts, whichever is more, and a row of each class.
        Until then each call refits the mixture on all of them (and does not fit it yet where
        rows are fewer than experts). Afterwards each batch is seen once and forgotten [1]_.
        After ``fit``, ``partial_fit`` goes on from there.

        Linear and logistic experts, the gate and the scales are re-estimated from sums over all
        rows seen, in columns standardised as those of the first rows. Other experts go on with
        their own ``partial_fit``, each on its rows, weighted by responsibility; their scales
        are those of errors made before they saw the row. Transformers stay as they are.

        ``experts_``, ``gate_``, ``likelihood_``, ``expert_load_`` and ``n_samples_seen_`` move
        with the stream. ``lower_bounds_``, ``n_iter_`` and the like stay those of the last fit;
        the ``oof_*`` attributes are deleted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,)
            Target.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. Needed on the first call, unless ``fit`` was before;
            afterwards they may be left out.
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
            cannot learn from batches: there is no such method then.
        ValueError
            If the batch cannot be used. The mixture is then as it was before.

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
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once: with partial_fit give a dict of "
                "weights."
            )
        return self._learn(X, y, sample_weight, self._check_classes(classes))

    def _check_classes(self, classes):
        """All classes: those of the first call."""
        known = self._classes if self._buffer is None else self._buffer.classes
        if not self.__sklearn_is_fitted__() and self._buffer is None:
            known = None
        if classes is None and known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is None:
            return known
        classes = np.unique(classes)
        if known is not None and not np.array_equal(classes, known):
            raise ValueError(
                f"classes={classes.tolist()} are not those of the first call, {known.tolist()}."
            )
        if len(classes) < 2:
            raise ValueError(f"classes={classes.tolist()}; a classifier needs two at least.")
        return classes

    @property
    def _classes(self):
        """Labels, once they are known, or None."""
        return vars(self).get("classes_")

    def _family(self):
        return Logistic(self._classes)

    def _likelihood(self):
        return Categorical(
            temperature=self.calibration in ("auto", "temperature"),
            smoothing=self.calibration in ("auto", "smoothing"),
            n_classes=0 if self._classes is None else len(self._classes),
        )

    def _labels(self, y):
        return self.classes_[y]

    def _check_target(self, y):
        y = check_y(column_or_1d(y, warn=True), estimator=self)
        check_classification_targets(y)
        if self._buffer is not None:  # of a stream, whose classes were named
            self.classes_ = self._buffer.classes
            return self._check_known_target(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        check_classes(self.classes_)
        return numbers

    def _check_known_target(self, y):
        y = column_or_1d(y, warn=True)
        unknown = np.setdiff1d(y, self.classes_).tolist()
        if unknown:
            raise ValueError(f"y has the classes {unknown}, which fit did not see.")
        return np.searchsorted(self.classes_, y)

    def _check_weight(self, sample_weight, X, y):
        weight = super()._check_weight(sample_weight, X, y)
        if self.class_weight is None:
            return weight
        return weight * self._class_weights(np.bincount(y, weight, minlength=len(self.classes_)))[y]

    def _class_weights(self, mass):
        """Weight of each class, by its weight in the rows; "balanced" makes all sums the same."""
        if isinstance(self.class_weight, str):
            return mass.sum() / (np.count_nonzero(mass) * np.where(mass > 0, mass, 1.0))
        return compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)

    @block_by_block
    def predict_proba(self, X):
        """Predict class probabilities, the gate's average of the experts' calibrated ones.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns follow ``classes_``.
        """
        check_fitted(self)
        return self._model.proba(check_X(self, X))

    @block_by_block
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
        """
        proba = self.predict_proba(X)
        return self.classes_[draw_places(proba, n_samples, check_random_state(random_state))]

    @block_by_block
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
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @block_by_block
    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        label : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]

    @block_by_block
    def predict_experts(self, X):
        """Most probable class of each expert for each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples, n_experts)
            Elements of ``classes_``.
        """
        check_fitted(self)
        proba = self._model.expert_predictions(check_X(self, X))
        return self.classes_[np.argmax(proba, axis=2)]

    def score(self, X, y=None, sample_weight=None):
        """Accuracy of ``predict(X)``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or Files
            Rows; collections of Dask's, too.
        y : array-like of shape (n_samples,), default=None
            Their target. None is for :class:`~skmoe.rows.Files` in place of X, which hold it.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            Share of rows, by weight, whose class is predicted.
        """
        if is_elsewhere(X):
            check_fitted(self)
            return accuracy_of_rows(self, X, y, sample_weight)
        return super().score(X, y, sample_weight)
