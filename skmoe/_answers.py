"""What a fitted mixture answers, whatever its target is."""

from abc import abstractmethod

import numpy as np
from scipy import sparse, special
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from ._compat import check_feature_names, check_n_features, check_sample_weight, n_openmp_threads
from ._experts import expert_prediction, has_own_density
from ._kernels._estep import e_step
from ._linear import predict_at_once
from ._report import ExpertReport, describe_experts
from ._routing import Routes, load_metrics
from ._subjects import Subjects, check_subject
from ._tables import check_table, take_rows
from .gates import BaseGate

GROWTH = ("add_expert", "remove_expert", "replace_expert")  # changes that are no maximum


class FittedMixture:
    """Gate, responsibilities, densities and information criteria of a fitted mixture."""

    _changed_by = None  # the method that has changed it since the last fit

    def _check_X(self, X, *, reset=False):
        """X as a table or array; ``fit`` resets the number and names of the columns."""
        if sparse.issparse(X) and self._dense_parts():
            raise TypeError(
                f"Sparse data was passed, but {self._dense_parts()[0]} needs dense data. Give "
                "experts and a gate that take sparse data, such as Ridge and SoftmaxGate, or use "
                "X.toarray()."
            )
        X = check_table(X, sparse_ok=True, strings_ok=self._strings_ok)
        check_feature_names(self, X, reset=reset)
        check_n_features(self, X, reset=reset)
        return X

    def _check_fitted(self):
        """check_is_fitted, but that asks all experts for their tags: longer than a row takes."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def gate_proba(self, X):
        """Probability with which the gate sends each row to each expert.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts)
            Rows sum to one. With ``top_k`` zero for all experts but the k most probable, which
            are renormalised.
        """
        self._check_fitted()
        routes = self._routes(self._check_X(X))
        return routes.spread(routes.weights)

    def route(self, X, capacity_factor=None):
        """The experts that answer for each row, the most probable first.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        capacity_factor : float, default=None
            Limits each expert to ``ceil(capacity_factor * n_samples * k / n_experts)`` rows: the
            ones with the highest weight. ``predict`` knows no capacity, since a row's answer must
            not depend on the rows beside it.

        Returns
        -------
        experts : ndarray of shape (n_samples, k)
            Numbers of the experts in ``experts_``; k is ``top_k``, or all of them. -1 for a route
            that was dropped for lack of capacity.
        weights : ndarray of shape (n_samples, k)
            How much each counts; rows sum to one, but for dropped routes, whose weight is 0.

        Raises
        ------
        ValueError
            If the capacity factor is not positive.
        """
        self._check_fitted()
        if capacity_factor is not None and not capacity_factor > 0:
            raise ValueError(f"capacity_factor must be positive or None; got {capacity_factor!r}.")
        return self._routes(self._check_X(X)).limited(capacity_factor)

    def responsibilities(self, X, y, *, exposure=None, subject=None, sample_weight=None):
        """Probability that each expert made each row, given its target too.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``. None is every row on its own.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows within their subjects; they change nothing without ``subject``.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_experts)
            Rows sum to one, and are equal for all rows of a subject.

        Raises
        ------
        ValueError
            If the gate tells rows of a subject apart.
        """
        resp, _, subjects = self._e_step(X, y, exposure, subject, sample_weight)
        return resp if subjects is None else subjects.of_rows(resp)

    def log_density(self, X, y, *, exposure=None, subject=None, sample_weight=None):
        r"""Log-density of each target, :math:`\log \sum_k \pi_k(x) f_k(y \mid x)`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``. None is every row on its own.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows within their subjects; they change nothing without ``subject``.

        Returns
        -------
        log_density : ndarray of shape (n_samples,) or (n_subjects,)
            Natural logarithm; of a probability for classifiers. With ``subject`` that of all rows
            of each subject together, :math:`\log \sum_k \pi_k \prod_i f_k(y_i \mid x_i)^{w_i}`, in
            the order of ``numpy.unique(subject)``.

        Raises
        ------
        ValueError
            If the gate tells rows of a subject apart.
        """
        return self._e_step(X, y, exposure, subject, sample_weight)[1]

    def _routes(self, X):
        """Who answers for checked rows: Routes."""
        if self.top_k is None:
            if isinstance(self.gate_, BaseGate):
                return Routes(self.gate_._log_proba_of_checked(X))
            return Routes(self.gate_.predict_log_proba(X))
        gate = self.gate_
        if isinstance(gate, Pipeline):
            X, gate = gate[:-1].transform(X), gate[-1]
        return Routes(gate.predict_log_odds(X), self.top_k)

    def _e_step(self, X, y, exposure=None, subject=None, sample_weight=None):
        """Responsibilities and log-densities of rows, or of subjects, and these or None."""
        self._check_fitted()
        X = self._check_X(X)
        y = self._check_known_target(y)
        check_consistent_length(X, y)
        routes = self._routes(X)
        log_density = self._route_log_density(X, y, routes, self._check_exposure(exposure, X))
        subject = check_subject(subject, X)
        if subject is None:
            resp, log_norm = posterior(routes.log_weights, log_density)
            return routes.spread(resp), log_norm, None
        weight = check_sample_weight(sample_weight, X, dtype=np.float64)
        subjects = Subjects(subject, weight)
        log_gate = subjects.log_gate(routes.spread(routes.log_weights, fill=-np.inf))
        log_density = subjects.weighted_sum(routes.spread(log_density, fill=0.0))
        return *posterior(log_gate, log_density), subjects

    def _check_exposure(self, exposure, X):
        """Exposure (n_samples,) of each row, or None."""
        if exposure is None:
            return None
        if is_classifier(self) or not getattr(self._unfitted_likelihood(), "takes_exposure", False):
            raise ValueError(
                "exposure is for likelihoods of counts, such as likelihood='poisson'; this "
                f"{type(self).__name__} has none of them."
            )
        exposure = column_or_1d(exposure, dtype=np.float64)
        check_consistent_length(X, exposure)
        if not (np.isfinite(exposure) & (exposure > 0)).all():
            raise ValueError("exposure must be positive and finite in every row.")
        return exposure

    def _of_rows(self, X):
        """What the fitted likelihood is told about rows besides targets and predictions."""
        model = getattr(self.likelihood_, "spread_model_", None)
        return {} if model is None else {"spread": model(X)}

    @abstractmethod
    def _route_log_density(self, X, y, routes, exposure=None):
        """Log-density (n, k) of checked rows under the expert of each route."""

    def _expert_predictions(self, X, routes=None, leave_out=()):
        """Predictions (n, k), (n, k, n_outputs) or (n, k, n_classes) for each route.

        Without routes, of every expert for every row.
        """
        classes = getattr(self, "classes_", None)
        if (routes is None or routes.experts is None) and not leave_out:
            predictions = predict_at_once(self.experts_, X, classes)
            if predictions is not None:
                return predictions
        if routes is None:
            routes = Routes(np.zeros((X.shape[0], len(self.experts_))))
        shape = self._y_shape if classes is None else (len(classes),)
        names = list(self.named_experts_)

        def predict(k, rows):
            expert = self.experts_[k]
            answer = expert_prediction(names[k], expert, take_rows(X, rows), shape, classes)
            return self._for_experts(answer) if has_own_density(expert) else answer

        asked = [k for k in range(len(names)) if k not in leave_out]
        return routes.fill(np.empty((*routes.shape, *shape)), predict, only=asked)

    def expert_report(self, X=None, y=None, sample_weight=None, *, exposure=None, subject=None):
        """What each expert does: rows, load, certainty of the gate, overlap, error, scale.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows. None is the training rows, out of fold where experts are cross-fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``.

        Returns
        -------
        report : ExpertReport
            Prints as a table, shows as HTML, and turns into a DataFrame with ``to_frame``. Its
            docstring says what each column is.

        Raises
        ------
        ValueError
            If only one of X and y is given, or neither after ``partial_fit`` or ``add_expert``.
        """
        self._check_fitted()
        if (X is None) != (y is None):
            raise ValueError("expert_report takes both X and y, or neither for the training rows.")
        if X is None:
            if self._changed_by is not None:
                raise ValueError(
                    f"After {self._changed_by} there are no training rows to report on: pass X "
                    "and y."
                )
            return self._training_report
        X = self._check_X(X)
        resp = self.responsibilities(
            X, y, exposure=exposure, subject=subject, sample_weight=sample_weight
        )
        routes = self._routes(X)
        weight = check_sample_weight(sample_weight, resp, dtype=np.float64)
        means = self._expert_predictions(X)
        if exposure is not None:
            means = means * self._check_exposure(exposure, X)[:, None]
        loss = self._losses(self._check_known_target(y), means)
        trained = self._training_report
        columns, overlap = describe_experts(
            list(self.named_experts_),
            [(resp, routes.spread(routes.weights), loss, weight)],
            self._error_from_loss,
            self.likelihood_,
            None if trained is None else np.array(trained.columns["revived"]),
        )
        balance = load_metrics(routes, weight)
        return ExpertReport(columns, overlap, [] if trained is None else trained.optima, balance)

    def bic(self, X, y, sample_weight=None, *, exposure=None, subject=None):
        """Bayesian information criterion, ``-2 log L + p log n``; lower is better.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; n is their sum.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``; n is then the number of subjects.

        Returns
        -------
        bic : float
            With p, the free parameters of experts, scales and gate.

        Raises
        ------
        ValueError
            If the parameters cannot be counted, or predictions in training were not in-sample.
        """
        log_likelihood, n_samples, n_parameters = self._likelihood_terms(
            X, y, sample_weight, exposure, subject
        )
        return -2 * log_likelihood + n_parameters * np.log(n_samples)

    def aic(self, X, y, sample_weight=None, *, exposure=None, subject=None):
        """Akaike information criterion, ``-2 log L + 2 p``; lower is better.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``.

        Returns
        -------
        aic : float
            With p, the free parameters of experts, scales and gate.

        Raises
        ------
        ValueError
            If the parameters cannot be counted, or predictions in training were not in-sample.
        """
        log_likelihood, _, n_parameters = self._likelihood_terms(
            X, y, sample_weight, exposure, subject
        )
        return -2 * log_likelihood + 2 * n_parameters

    def icl(self, X, y, sample_weight=None, *, exposure=None, subject=None):
        r"""Integrated completed likelihood, ``bic`` plus twice the entropy; lower is better.

        The entropy of the responsibilities, :math:`-\sum_{ik} r_{ik} \log r_{ik}`, counts against
        experts that share rows, so that ``icl`` chooses regimes which can be told apart [1]_.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        exposure : array-like of shape (n_samples,), default=None
            Of each row, as in ``fit``.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject share one expert, as in ``fit``; entropy and n are then those
            of the subjects.

        Returns
        -------
        icl : float
            At least ``bic``.

        Raises
        ------
        ValueError
            If the parameters cannot be counted, or predictions in training were not in-sample.

        References
        ----------
        .. [1] C. Biernacki, G. Celeux and G. Govaert, "Assessing a mixture model for clustering
           with the integrated completed likelihood", IEEE Transactions on Pattern Analysis and
           Machine Intelligence 22 (2000) 719-725.
        """
        bic = self.bic(X, y, sample_weight, exposure=exposure, subject=subject)
        resp, _, subjects = self._e_step(X, y, exposure, subject, sample_weight)
        weight = _unit_weight(sample_weight, resp, subjects)
        return bic + 2 * float(weight @ special.entr(resp).sum(axis=1))

    def _free_parameters(self):
        """Number of free parameters of a likelihood that is at its maximum; else ValueError."""
        self._check_fitted()
        if self.top_k is not None and self.top_k < len(self.experts_):
            raise ValueError(
                "Information criteria need the maximum of the likelihood, which a mixture with "
                "top_k is not at. Set top_k=None, or cross-validate the log-score instead."
            )
        if self._changed_by in GROWTH:
            raise ValueError(
                "Information criteria need the maximum of the likelihood, which a mixture after "
                f"{self._changed_by} is not at. Cross-validate the log-score instead."
            )
        if self._n_parameters is None:
            raise ValueError(
                "The parameters of this mixture cannot be counted: information criteria need "
                "linear or logistic experts with in-sample predictions (cv=False, where cv='auto' "
                "finds fewer than ten rows a coefficient) and a gate with n_parameters_. Compare "
                "mixtures by cross-validating the log-score instead."
            )
        return self._n_parameters

    def _likelihood_terms(self, X, y, sample_weight, exposure=None, subject=None):
        n_parameters = self._free_parameters()
        _, log_density, subjects = self._e_step(X, y, exposure, subject, sample_weight)
        weight = _unit_weight(sample_weight, log_density, subjects)
        return weight @ log_density, weight.sum(), n_parameters


def _unit_weight(sample_weight, rows, subjects):
    """Weights of rows, or of subjects, which count once."""
    if subjects is not None:
        return subjects.counts
    return check_sample_weight(sample_weight, rows, dtype=np.float64)


def posterior(log_gate, log_density):
    """Responsibilities (n, K) and log-density (n,) of rows from the two (n, K) logarithms."""
    log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
    resp, log_norm = np.empty_like(log_gate), np.empty(len(log_gate))
    e_step(log_gate, log_density, np.ones(len(log_gate)), resp, log_norm, n_openmp_threads())
    return resp, log_norm
