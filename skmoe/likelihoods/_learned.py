"""Parameters that likelihoods learn for each expert: stored, extrapolated and copied."""

import copy

import numpy as np

from .._doors import error_terms


class LearnedParameters:
    """Fitted attributes with one value, or one array, for each expert."""

    per_expert = learned_logs = learned_values = ()
    own_density_ = _pooled_class = None
    learns_batches = False

    def point(self):
        """The learned parameters, as numbers of any sign, for EM to extrapolate.

        Returns
        -------
        point : ndarray of shape (n_numbers,) or None
            None if there are none.
        """
        names = *self.learned_logs, *self.learned_values
        is_all = all(name in names for name in self.per_expert if name.endswith("_"))
        if not is_all or any(vars(self).get(name) is None for name in names):
            return None
        parts = [np.log(np.ravel(vars(self)[name])) for name in self.learned_logs]
        parts += [np.ravel(vars(self)[name]) for name in self.learned_values]
        return np.concatenate([np.empty(0), *parts])

    def at(self, point):
        """A likelihood with other learned parameters.

        Parameters
        ----------
        point : ndarray of shape (n_numbers,)
            As ``point`` returns it.

        Returns
        -------
        likelihood : BaseLikelihood
            A new one, within the bounds of the parameters.
        """
        twin = copy.copy(self)
        end = 0
        for name in (*self.learned_logs, *self.learned_values):
            before = vars(self)[name]
            values = point[end : end + np.size(before)].reshape(np.shape(before))
            end += np.size(before)
            if name in self.learned_logs:  # what has stayed the same does so to the last digit
                values = np.where(values == np.log(before), before, np.exp(values))
            setattr(twin, name, values)
        twin._keep_within_bounds()
        return twin

    def _keep_within_bounds(self):
        """Move the parameters set by ``at`` into their bounds; by default there are none."""

    @property
    def n_parameters_(self):
        """Number of free parameters, for ``bic``; None if they cannot be counted."""
        return sum(np.size(vars(self)[name]) for name in self.per_expert)

    def log_prior(self, penalty):
        """Log-prior that corresponds to the penalty of the experts.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            By default ``-sum(penalty)``.
        """
        return -float(np.sum(penalty))

    @property
    def precision_(self):
        """Weights of the squared errors, or half deviances, of experts that share coefficients."""
        return 1.0

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_kept,)
            A permutation, or a part of one.
        """
        for name in (*self.per_expert, "own_density_", "regime_"):
            if vars(self).get(name) is not None:
                setattr(self, name, vars(self)[name][order])

    def extended(self, other, k):
        """A likelihood with one more expert, the last.

        Parameters
        ----------
        other : BaseLikelihood
            Fitted, of the same kind.
        k : int
            Number of its expert to take.

        Returns
        -------
        likelihood : BaseLikelihood
            A new one, otherwise the same.
        """
        twin = copy.copy(self)
        for name in self.per_expert:
            ours = vars(self)[name]
            theirs = vars(other)[name]
            setattr(twin, name, np.concatenate([ours, theirs[k : k + 1]]))
        return twin

    def for_batches(self):
        """The likelihood for ``partial_fit``.

        Returns
        -------
        likelihood : BaseLikelihood
            This one, or for pooled experts the one by maximum likelihood.
        """
        return self

    def learn_batch(self, y, prediction, weights, penalty=0.0, *, keep, gain):
        """``update`` for a batch of a stream.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        prediction : ndarray of shape (n_samples, n_experts) or (..., n_outputs)
            Prediction of each expert.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts,) or (n_experts, n_outputs), default=0.0
            Penalty of the coefficients of each expert.
        keep, gain : float
            Factors of the earlier statistics, and of the rows of the batch.
        """
        raise TypeError(f"{type(self).__name__} does not implement learn_batch.")

    def pooled(self):
        """The likelihood, unfitted, for partially pooled experts.

        Returns
        -------
        likelihood : BaseLikelihood
            What ``pooled_class`` has made of this class.

        Raises
        ------
        TypeError
            If there is none.
        """
        pooled = self._pooled_class
        if pooled is None or not issubclass(pooled, type(self)):  # or that of a parent
            name = type(self).__name__
            raise TypeError(f"{name} has can_be_pooled, but no pooled_class({name}) was made.")
        return pooled()

    def scale_estimator(self):
        """Unfitted regressor of squared errors that the scales depend on, or None.

        Returns
        -------
        estimator : estimator or None
            None if scales are constant.
        """
        return None

    def terms(self):
        """Class of the derivatives of the log-density, for standard errors, or None.

        Returns
        -------
        terms : type or None
            Derived from :class:`ExpertTerms`, for the density in ``log_density``; by default
            that of ``family``. Without a family None: no standard errors.
        """
        if self.family is None:
            return None
        return error_terms().FamilyTerms.of(self.family.in_unit(1.0))

    def censored_terms(self):
        """Class of these derivatives for censored targets, or None.

        Returns
        -------
        terms : type or None
            Whose ``target_of`` takes bounds in place of y; by default None.
        """
        return None

    # Censored targets -------------------------------------------------------------

    def log_probability(self, bounds, prediction):
        """Log-density of observed targets, and log-probability of the intervals of censored ones.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal if the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_experts)
            Natural logarithm.
        """
        return self.components(prediction).log_between(bounds.lower[:, None], bounds.upper[:, None])

    def expected_target(self, bounds, prediction):
        """Targets and weights of the experts for censored targets.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal if the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.

        Returns
        -------
        target : ndarray of shape (n_samples, n_experts)
            Expected ``expert_target`` within the bounds, under each expert.
        working : ndarray of shape (n_samples, n_experts) or None
            Factors of the responsibilities, as of ``working_weights``.
        """
        raise TypeError(f"{type(self).__name__} does not implement expected_target.")

    def update_censored(self, bounds, prediction, weights, penalty=0.0, pooled_rows=0.0):
        """``update`` for censored targets.

        Parameters
        ----------
        bounds : Bounds
            With ``lower`` and ``upper`` (n_samples,), equal if the target was observed.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts,), default=0.0
            As in ``update``.
        pooled_rows : float, default=0.0
            As in ``update``.
        """
        raise TypeError(f"{type(self).__name__} does not implement update_censored.")
