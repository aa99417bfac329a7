"""Methods that leaves have: changes of a fitted mixture, standard errors, effects, stability."""

from sklearn.utils.metaestimators import available_if

from ._base import BaseMixtureOfExperts
from ._compat import fit_context
from ._data import RowMetadata
from ._doors import inference, updates
from ._validation import wherever


def learns_streams(mixture):
    """For ``available_if`` of ``partial_fit``."""
    return updates("partial_fit").can_stream(mixture)


class ExtendedMixture(BaseMixtureOfExperts):
    """Methods of which the core has no more than what they promise."""

    _grows = True  # whether experts can be added to the last fit

    @available_if(learns_streams)
    @fit_context(prefer_skip_nested_validation=False)
    @wherever
    def partial_fit(self, X, y, sample_weight=None):
        """Learn from one more batch of rows, by stepwise EM.

        The first rows are collected until several starts of EM are sensible: a weight of 500
        or of 20 for each parameter of the experts, whichever is more. Until then the
        mixture is refitted by maximum likelihood whenever the weight has doubled, once there are
        as many rows as experts. Afterwards each batch is used once and not kept [1]_. After
        ``fit``, ``partial_fit`` continues from the fitted mixture, also a pooled one by maximum
        likelihood.

        Linear and logistic experts, the gate and the scales are re-estimated from sufficient
        statistics of all rows, in columns standardised as the first rows were. Other experts use
        their own ``partial_fit``, weighted by responsibility; their scales come from the errors
        before they learn from a row. Transformers do not change.

        A stream goes on after ``add_expert`` and ``remove_expert``: a new expert starts from the
        sums over the rows that it was added with, and every level of the gate learns from a batch.

        ``experts_``, ``gate_``, ``likelihood_``, ``expert_load_`` and ``n_samples_seen_`` are
        updated. ``lower_bounds_``, ``n_iter_`` and similar ones stay those of the last fit; the
        ``oof_*`` attributes are deleted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
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
        TypeError
            If ``fit`` has left nothing to continue from, or ``add_expert`` an expert that has no
            ``partial_fit`` and is not solved in closed form.
        ValueError
            If the batch cannot be used. The mixture is then unchanged.

        References
        ----------
        .. [1] O. Cappé and E. Moulines, "On-line expectation-maximization algorithm for latent
           data models", Journal of the Royal Statistical Society B 71 (2009) 593-613.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> rng = np.random.default_rng(0)
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0)
        >>> for _ in range(20):
        ...     X = rng.uniform(-3, 3, size=(200, 1))
        ...     y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
        ...     moe = moe.partial_fit(X, y)
        >>> sorted(round(float(expert.coef_[0]), 2) for expert in moe.experts_)
        [-1.0, 1.0]
        """
        return updates("partial_fit").partial_fit(self, X, y, sample_weight)

    def add_expert(self, X, y, expert=None, *, name=None, sample_weight=None, replay=None):
        """Add an expert for new rows; the others do not change.

        A logistic regression learns to separate new rows from old ones, and ``gate_`` becomes a
        :class:`~skmoe.gates.TreeGate` with the old gate below it. Only this regression and the new
        expert, with its scale, are trained, by EM. The old experts, their scales and their
        relative gate probabilities do not change.

        The regression needs some old rows, ``replay``, which represent all of them; the new expert
        does not learn from these. Without ``replay`` rows are generated if the gate can do so (a
        :class:`~skmoe.gates.GaussianGate` without transformers). Otherwise the new expert would
        take over everywhere, which is an error unless ``replay=()``.

        Pooled experts keep the uncertainty of their coefficients, and averages over one expert are
        kept as well (:ref:`model_averaging`). The new expert is not pooled. With Gaussian errors
        its predictive distribution is Student's t, with as many degrees of freedom as it has rows.

        The parameters of the mixture do not change, so that ``fit`` starts again with the original
        experts. ``lower_bounds_``, ``n_iter_`` and the like stay those of the last fit, ``oof_*``
        attributes are deleted, and until the next fit there is no ``bic``, ``aic`` or ``summary``.
        ``partial_fit`` goes on, without ``load_balance``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target; for a classifier, only classes of ``classes_``.
        expert : estimator, default=None
            Estimator to add, cross-fitted where ``fit`` would cross-fit it; a ``FrozenEstimator``
            is taken as it is. None is one more like the others, where they are clones.
        name : str, default=None
            Its name. None is the first of ``expert0``, ``expert1`` and so on that is free.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the new rows. None is a weight of one for each.
        replay : (X_old, y_old), default=None
            A random sample of the training rows; about seven for each column are enough. Each
            represents ``n_samples_seen_ / len(y_old)`` rows, fewer with a ``forget_factor`` in a
            stream. None is rows that the gate generates;
            ``()`` is no old rows, with a :class:`~skmoe.exceptions.NoReplayWarning`.

        Returns
        -------
        self : object
            The mixture, with the new expert last.

        Raises
        ------
        ValueError
            If rows, name or expert cannot be used, there is neither ``replay`` nor a gate that
            generates rows, or the mixture is a stack or of specialists. The mixture is then as it
            was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.abs(X[:, 0]) + 0.01 * np.sin(200 * X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
        >>> X_new = np.linspace(4, 5, 50)[:, None]
        >>> moe = moe.add_expert(X_new, 10 - X_new[:, 0], replay=(X[::10], y[::10]))
        >>> moe.predict([[-1.0], [4.5]]).round(2)
        array([1. , 5.5])
        """
        return updates("add_expert").add_expert(self, X, y, expert, name, sample_weight, replay)

    def remove_expert(self, name):
        """Remove an expert; the others and their scales stay.

        The gate probabilities of the others are renormalised. Parameters and other fitted
        attributes are treated as by ``add_expert``.

        Parameters
        ----------
        name : str
            A name in ``named_experts_``.

        Returns
        -------
        self : object
            The mixture without the expert.

        Raises
        ------
        ValueError
            If there is no such expert, or no other. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0)
        >>> noise = 0.01 * np.sin(200 * X[:, 0])
        >>> moe = moe.fit(X, np.abs(X[:, 0]) + (X[:, 0] > 1) + noise)
        >>> list(moe.remove_expert("expert2").named_experts_)
        ['expert0', 'expert1']
        """
        return updates("remove_expert").remove_expert(self, name)

    def summary(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        cov="observed",
        level=0.95,
        by="regime",
        max_rows=60,
    ):
        r"""Coefficients with standard errors, tests and confidence intervals.

        The covariance matrix of all parameters (coefficients and scales of experts, log-odds of the
        gate) is the inverse of the observed information of the mixture [1]_, from exact second
        derivatives of the log-likelihood. It accounts for uncertainty about component membership.
        "sandwich" is valid for errors that are not Gaussian or heteroscedastic, too [2]_, with a
        factor for few rows or subjects and Student's t [4]_.

        If columns are constant or linearly dependent, such as one-hot columns, one of them is the
        reference (for a category its most frequent level): its coefficient is n/a, and the others
        are differences from it. Effects that the rows of an expert do not identify are n/a, too.

        Penalties are ignored: Newton steps lead from the fit to maximum likelihood. If a
        coefficient moves by more than a standard error, the penalty matters or EM stopped early,
        and an error is raised. The default penalties do not cause this unless the border of the
        gate is sharp.

        For pooled experts the table describes the posterior, without tests. ``std_error`` are the
        standard deviations of Laplace's approximation [3]_: the inverse of the observed information
        plus the precision of the prior. Prior variances of slopes are treated as known. The prior
        lets intercepts differ as much as slopes. The prior of the gate's slopes is weak. If no
        slope matters, or experts do not differ, standard deviations are almost zero, because the
        prior then fixes the slopes. With Gaussian errors, intervals are those of Student's t.

        All coefficients of pooled experts are identified, but levels of a string column only by
        their differences: from the most frequent one, whose coefficient is n/a, or, for random
        effects (ten levels or more), from their mean, with their standard deviation. "sandwich"
        adds the precision of the prior to the squared scores. Parameters along which the posterior
        has no maximum, and those of an expert whose scale is at its floor, have no standard error;
        a note names them.

        "bootstrap" is the covariance over 200 refits to resampled rows, or subjects, by
        :func:`~skmoe.inference.bootstrap`. It needs no derivatives, maximum or normal posterior.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The rows of the fit, which is not checked.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights. For "observed" a row of weight 2 is two rows; for "sandwich" it is one
            row that represents two of the population.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. The sandwich allows for any dependence within a subject. Upper bounds are
            for likelihoods with ``censored_terms``, and an error names these.
        cov : {"observed", "sandwich", "bootstrap"}, default="observed"
            Covariance of the estimates. For pooled experts "observed" is that of the posterior.
        level : float, default=0.95
            Level of the confidence intervals.
        by : {"regime", "expert"}, default="regime"
            "regime" lists once what the experts of a regime share: slopes, the intercept at the
            mean of the errors, and the gate between regimes; levels and scales of experts follow.
            "expert" lists all parameters of each expert, as does "regime" if experts share none.
        max_rows : int or None, default=60
            Rows that are printed under each heading at most, the first and the last. None is all.

        Returns
        -------
        summary : MixtureSummary
            See :class:`~skmoe.inference.MixtureSummary`. Prints as a table, shows as HTML, and
            turns into a DataFrame with ``to_frame``. Coefficients are in the units of X, or of
            what the transformers of a Pipeline make of it.

        Raises
        ------
        ValueError
            If the mixture has no such standard errors: experts that are not linear or logistic (or
            log-linear, for counts and positive targets), another gate than
            :class:`~skmoe.gates.SoftmaxGate` or :class:`~skmoe.gates.ConstantGate`, a scale at its
            floor, a gate that separates the experts perfectly, or a nearly singular information
            matrix. For pooled experts, if no parameter is near a maximum of the posterior. Only the
            first two conditions apply to cov="bootstrap", none to
            :func:`~skmoe.inference.bootstrap` of a statistic.

        References
        ----------
        .. [1] T. A. Louis, "Finding the observed information matrix when using the EM
           algorithm", Journal of the Royal Statistical Society B 44 (1982) 226-233.
        .. [2] H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50
           (1982) 1-25.
        .. [3] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
           Computation 4 (1992) 720-736.
        .. [4] A. C. Cameron and D. L. Miller, "A practitioner's guide to cluster-robust inference",
           Journal of Human Resources 50 (2015) 317-372.

        Examples
        --------
        >>> print(moe.summary(X, y))
        estimate  std_error ...
        """
        return inference("summary")._summary.summary(
            self,
            X,
            y,
            sample_weight,
            RowMetadata(exposure, trials, subject, upper),
            cov,
            level,
            by,
            max_rows,
        )

    def marginal_effects(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        cov="observed",
        level=0.95,
    ):
        r"""Average marginal effects of the columns of X, with standard errors.

        The effect of a column on the mean of y [1]_, averaged over the rows: the derivative of

        .. math:: E[y \mid x] = \sum_k \pi_k(x) \, \mu_k(x),

        which includes the changes of experts and gate. For classes it is that of each probability.
        The table also has the effects on the gate probabilities :math:`\pi_k` and on the means
        :math:`\mu_k` of the experts, or of regimes (``regimes_``).

        For a number it is the derivative, in units of y per unit of the column in X; rows where it
        is missing do not count. For strings, categories and booleans it is a difference: the mean
        with all rows at a level minus that with all rows at the most frequent one.

        Standard errors follow from the covariance matrix of ``summary`` by the delta method, with
        the rows as given. For pooled experts, effects are at the posterior means of the
        coefficients, as in ``predict_experts``, and there are no tests; an effect has no standard
        error if the posterior is not normal in a direction that matters to it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The rows of the fit, which is not checked.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, in the fit and in the averages.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. Effects are on the mean of counts for these exposures and trials, as in
            ``predict``, and on the mean of the uncensored target.
        cov : {"observed", "sandwich", "bootstrap"}, default="observed"
            Covariance of the estimates, as in ``summary``.
        level : float, default=0.95
            Level of the confidence intervals.

        Returns
        -------
        effects : MarginalEffects
            See :class:`~skmoe.inference.MarginalEffects`. Prints as a table, shows as HTML, and
            turns into a DataFrame with ``to_frame``. A column that a quantity does not depend on
            has no line there, and one that a transformer bins has none at all.

        Raises
        ------
        ValueError
            If there is no ``summary``, for the same reasons.

        References
        ----------
        .. [1] T. Bartus, "Estimation of marginal effects using margeff", Stata Journal 5 (2005)
           309-329.

        Examples
        --------
        >>> print(moe.marginal_effects(X, y))
        effect  std_error ...
        """
        return inference("marginal_effects")._effects.marginal_effects(
            self, X, y, sample_weight, RowMetadata(exposure, trials, subject, upper), cov, level
        )

    def stability(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        groups=None,
        n_resamples=20,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        """Stability of the regimes over random seeds and subsamples.

        The mixture is refitted ``n_resamples`` times to the same rows with another
        ``random_state``, and as often to half of the rows. Each refit is compared by its number of
        regimes, and by the regime of each row, that of largest responsibility. For mixtures without
        ``n_regimes_``, such as those trained by EM, experts are compared.

        Halves are drawn without replacement, since the duplicates in a bootstrap sample look like
        regimes and favour larger models [1]_. Halves vary as much as a bootstrap sample, but have
        less information: that they find fewer regimes does not mean that there are fewer.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The rows that were given to ``fit``; this is not checked.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights. A row is drawn as one observation, and keeps its weight.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. Halves are of the subjects.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group, such as a person, are drawn together.
        n_resamples : int, default=20
            Number of refits of each kind.
        n_jobs : int, default=None
            Jobs for the refits. The result does not depend on it.
        random_state : int, RandomState instance or None, default=None
            Draws the seeds and the halves.
        verbose : int, default=0
            1 prints how many refits are done, and about how many seconds remain.

        Returns
        -------
        stability : Stability
            Prints as a table with a verdict, shows as HTML, and turns into a DataFrame with
            ``to_frame``.

        Raises
        ------
        ValueError
            If there are no regimes (``training`` "stack" or "specialists"), the mixture was changed
            after ``fit``, or ``n_resamples`` is less than 2.

        References
        ----------
        .. [1] S. Janitza, H. Binder and A.-L. Boulesteix, "Pitfalls of hypothesis tests and model
           selection on bootstrap samples: causes and consequences in biometrical applications",
           Biometrical Journal 58 (2016) 447-473.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-3, 3, size=(60, 1))
        >>> y = np.abs(X[:, 0]) + (X[:, 0] > 0) + 0.1 * rng.normal(size=60)
        >>> moe = MixtureOfExpertsRegressor(
        ...     n_experts=2, training="em", n_init=2, random_state=0
        ... ).fit(X, y)
        >>> stability = moe.stability(X, y, n_resamples=2, random_state=0)
        >>> stability.share["halves"]
        {2: 1.0}
        """
        return inference("stability")._stability.stability(
            self,
            X,
            y,
            sample_weight,
            RowMetadata(exposure, trials, subject, upper),
            groups,
            n_resamples,
            n_jobs,
            random_state,
            verbose,
        )
