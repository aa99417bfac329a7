"""Methods of a fitted mixture for any target."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from scipy import special

from ._data import RowMetadata
from ._experts.fitting import split_last
from ._experts.solvers import is_linear
from ._model import Average
from ._reports.by_regime import groups_of
from ._validation import AnyRows, check_fitted, check_known_rows, check_X

GROWTH = ("add_expert", "remove_expert")  # changes that are no maximum


def criteria(log_likelihood, weight, n_parameters, entropy):
    """Information criteria by name, from what ``_likelihood_terms`` returns."""
    bic = -2 * log_likelihood + n_parameters * np.log(weight)
    return {"aic": -2 * log_likelihood + 2 * n_parameters, "bic": bic, "icl": bic + 2 * entropy}


class FittedMixture(AnyRows):
    """Gate, responsibilities, densities and information criteria of a fitted mixture."""

    _changed_by = None  # the method that has changed it since the last fit

    def gate_proba(self, X, *, by="expert"):
        """Gate probability of each expert or regime for each row, before the target is known.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        by : {"expert", "regime"}, default="expert"
            Columns for each expert, as of ``predict_experts``, or for each regime, as
            ``responsibilities`` has them by default. The two differ only if experts are tied.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts) or (n_samples, n_regimes)
            Rows sum to one. With ``top_k`` they are zero except for the k most probable experts,
            whose probabilities are renormalised.

        Examples
        --------
        >>> moe.gate_proba(X[:3]).sum(axis=1).round(6)
        array([1., 1., 1.])
        """
        check_fitted(self)
        routes = self._model.routes(check_X(self, X))
        return groups_of(self, by).proba(routes.dense(routes.weights))

    def route(self, X):
        """The experts that predict each row, the most probable first.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        experts : ndarray of shape (n_samples, k)
            Numbers of the experts in ``experts_``; k is ``top_k``, or all of them.
        weights : ndarray of shape (n_samples, k)
            Their weights. Rows sum to one.

        Examples
        --------
        >>> moe.route(X[:3])[0].shape  # experts, the most probable first
        (3, 2)
        """
        check_fitted(self)
        return self._model.routes(check_X(self, X)).in_order()

    def responsibilities(
        self,
        X,
        y=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        sample_weight=None,
        by="regime",
    ):
        """Responsibilities: probability of each regime or expert for each row, given its target.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target. None if X is a :class:`~skmoe.rows.Files`, which has the target.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. Without subjects rows are independent.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows within their subjects; they change nothing without ``subject``.
        by : {"regime", "expert"}, default="regime"
            Columns for each regime (the first is the sum over the experts of ``regimes_[0]``) or
            for each expert. The two differ only if experts are tied.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_regimes) or (n_samples, n_experts)
            Rows sum to one, and are equal for all rows of a subject.

        Raises
        ------
        ValueError
            If gate probabilities differ within a subject.

        Examples
        --------
        >>> moe.responsibilities(X[:3], y[:3]).sum(axis=1).round(6)
        array([1., 1., 1.])
        """
        metadata = RowMetadata(exposure, trials, subject, upper)
        rows = check_known_rows(self, X, y, sample_weight, metadata)
        return groups_of(self, by).proba(self._model.responsibilities(rows))

    def log_density(
        self,
        X,
        y=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        sample_weight=None,
    ):
        r"""Log-density of each target, :math:`\log \sum_k \pi_k(x) f_k(y \mid x)`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target. None if X is a :class:`~skmoe.rows.Files`, which has the target.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. Without subjects rows are independent.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows within their subjects; they change nothing without ``subject``.

        Returns
        -------
        log_density : ndarray of shape (n_samples,) or (n_subjects,)
            Natural logarithm; for classifiers, of a probability. With ``subject``, the joint
            log-density of its rows, :math:`\log \sum_k \pi_k \prod_i f_k(y_i \mid x_i)^{w_i}`,
            in the order of ``numpy.unique(subject)``.

        Raises
        ------
        ValueError
            If gate probabilities differ within a subject.

        Examples
        --------
        >>> moe.log_density(X[:3], y[:3]).shape
        (3,)
        """
        metadata = RowMetadata(exposure, trials, subject, upper)
        return self._predictive.log_density(check_known_rows(self, X, y, sample_weight, metadata))

    def bic(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
    ):
        """Bayesian information criterion, ``-2 log L + p log n``; lower is better.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; n is their sum.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. With subjects, n is their number.

        Returns
        -------
        bic : float
            With p free parameters of experts, scales and gate, not counting coefficients of
            constant and linearly dependent columns.

        Raises
        ------
        ValueError
            If the parameters cannot be counted, or are not at a maximum of the likelihood of y
            given X: cross-fitted experts, ``top_k``, ``class_weight``,
            :class:`~skmoe.gates.GaussianGate`.

        Examples
        --------
        >>> two = moe.set_params(training="em").fit(X, y).bic(X, y)
        >>> print(two < moe.set_params(n_experts=1).fit(X, y).bic(X, y))
        True
        """
        return criteria(
            *self._likelihood_terms(
                X, y, sample_weight, RowMetadata(exposure, trials, subject, upper)
            )
        )["bic"]

    def aic(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
    ):
        """Akaike information criterion, ``-2 log L + 2 p``; lower is better.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``.

        Returns
        -------
        aic : float
            With p as in ``bic``.

        Raises
        ------
        ValueError
            As for ``bic``.

        Examples
        --------
        >>> em = moe.set_params(training="em").fit(X, y)
        >>> print(em.aic(X, y) < em.bic(X, y))
        True
        """
        return criteria(
            *self._likelihood_terms(
                X, y, sample_weight, RowMetadata(exposure, trials, subject, upper)
            )
        )["aic"]

    def icl(
        self,
        X,
        y,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
    ):
        r"""Integrated completed likelihood, ``bic`` plus twice the entropy; lower is better.

        The entropy of the responsibilities, :math:`-\sum_{ik} r_{ik} \log r_{ik}`, penalises
        experts that share rows, so that ``icl`` chooses well-separated regimes [1]_.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        exposure, trials, subject, upper : array-like of shape (n_samples,)
            As in ``fit``. With subjects, entropy and n are those of subjects.

        Returns
        -------
        icl : float
            At least ``bic``.

        Raises
        ------
        ValueError
            As for ``bic``.

        References
        ----------
        .. [1] C. Biernacki, G. Celeux and G. Govaert, "Assessing a mixture model for clustering
           with the integrated completed likelihood", IEEE Transactions on Pattern Analysis and
           Machine Intelligence 22 (2000) 719-725.

        Examples
        --------
        >>> em = moe.set_params(training="em").fit(X, y)
        >>> print(em.icl(X, y) >= em.bic(X, y))
        True
        """
        return criteria(
            *self._likelihood_terms(
                X, y, sample_weight, RowMetadata(exposure, trials, subject, upper)
            )
        )["icl"]

    @property
    def _model(self):
        """The fitted mixture: Model."""
        if self._classes is None:
            target = {}
        else:
            target = {"classes": self._classes}
        return self._model_class(
            list(self.named_experts_),
            self.experts_,
            self.gate_,
            self.likelihood_,
            self._y_shape,
            self._active_top_k(),
            **target,
        )

    @property
    def _predictive(self):
        """What predictions are of: the Model, or an Average of it and another."""
        if "_beside" not in vars(self):
            return self._model
        other, *weights = self._beside
        return Average((self._model, replace(other)), *weights)

    def _active_top_k(self):
        """Experts that a row keeps, as a model takes it: none where ``top_k`` is of all clones."""
        of_all_rows = self.plan_.training in ("stack", "specialists")
        if of_all_rows:
            n_experts = self.plan_.n_experts
        else:
            n_experts = len(self.experts_)
        is_number = isinstance(self.top_k, Integral)  # what is none is refused where it is used
        if is_number and self.top_k >= n_experts:
            return None
        return self.top_k

    @property
    def _is_cross_fitted(self):
        """Whether the last fit predicted its rows by experts that had not seen them."""
        return "oof_score_" in vars(self)  # the arrays may be deleted, to serve it

    def _why_uncounted(self):
        """What keeps the parameters from being counted, and what to run, two str; or None.

        Parameters can be counted of linear experts that are at the maximum of a likelihood.
        """
        pooled = {"n_experts": self.plan_.n_experts, "training": "em", "cv": False}
        gate = split_last(self.gate_)[1]
        if self.top_k is not None and self.top_k < len(self.experts_):
            why = "a mixture with top_k is not at the maximum"
            settings = {"top_k": None}
        elif self._changed_by in GROWTH:
            why = f"after {self._changed_by} a mixture is not at the maximum"
            settings = {}
        elif self.likelihood_.averages_experts:
            why = "a prior shrinks the experts (training='pooled')"
            settings = pooled
        elif self._n_functions is None:
            why, settings = self._why_not_solved()
            settings = settings or {"experts": None, **pooled}
        elif gate.n_parameters_ is None:
            why = f"{type(gate).__name__} has no n_parameters_"
            settings = {"gate": None}
        elif self.likelihood_.n_parameters_ is None:
            why = f"{self.likelihood_} has no n_parameters_"
            settings = {"likelihood": "auto", **pooled}
        else:
            return None
        now = self.get_params(deep=False)
        changed = [f"{name}={value!r}" for name, value in settings.items() if now[name] != value]
        if changed:
            new = f".set_params({', '.join(changed)})"
        else:
            new = ""
        return why, f"`mixture{new}.fit(X, y)`"

    def _why_not_solved(self):
        """Why experts were not solved together, in sample, and settings that mend just that."""
        _, templates = self._expert_list()
        unlike = [each for each in templates if not is_linear(each)]
        if self._is_list or isinstance(self.experts, str):
            settings = {"experts": None, "n_experts": "auto", "training": "em", "cv": False}
            return "it has a list of experts, not clones of one estimator", settings
        if unlike:
            last = type(split_last(unlike[0])[1]).__name__
            return f"{last} is not among the linear or logistic experts", {}
        if not self._is_cross_fitted:
            return "its experts were not solved together, but each by its own fit", {}
        why = "its experts were cross-fitted"
        if isinstance(self.cv, str):
            why += ", as cv='auto' does where rows are fewer than ten a coefficient"
        return why, {"cv": False}

    def _check_maximised(self):
        """Raise a ValueError unless parameters are counted, at a maximum of the likelihood of y."""
        check_fitted(self)
        found = self._why_uncounted()
        if found is not None:
            why, line = found
            instead = "by cross-validating the log-score"
            if self.likelihood_.averages_experts:
                instead = "by log_evidence_ (numbers of experts) and lower_bound_, its bound"
            raise ValueError(
                "Information criteria need the number of parameters of a maximum-likelihood fit: "
                f"here {why}. Run {line}, or compare mixtures {instead}."
            )
        if self.class_weight is not None:
            raise ValueError(
                "With class_weight a mixture is not at the maximum of the likelihood of the data, "
                "which information criteria need. Cross-validate the log-score instead."
            )
        gate = split_last(self.gate_)[1]
        if gate.objective == "joint":
            raise ValueError(
                f"{type(gate).__name__} maximises the joint likelihood of X and y; information "
                "criteria need that of y given X: take SoftmaxGate, or cross-validate."
            )

    def _likelihood_terms(self, X, y, sample_weight, metadata):
        """Log-likelihood, weight, free parameters, and entropy of the responsibilities."""
        rows = check_known_rows(self, X, y, sample_weight, metadata)
        self._check_maximised()
        n_parameters = self._model.n_parameters(rows.X, rows.weight, self._n_functions)
        resp, log_density, weight = self._model.e_step(rows)
        entropy = float(weight @ special.entr(resp).sum(axis=1))
        return weight @ log_density, weight.sum(), n_parameters, entropy
