"""What likelihoods of targets that cannot be negative share: positive means."""

import copy
from abc import abstractmethod

import numpy as np
from sklearn.base import BaseEstimator


class PositiveMeans(BaseEstimator):
    """A target that is not negative, around predictions that are its mean.

    ``glm`` names the generalised linear model that the default experts are, with a log link.
    """

    glm = "poisson"
    _of_experts = ()  # attributes whose first axis are the experts

    def start(self, y, weight, n_experts):
        """Look at the target once before EM.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : likelihood
            With ``floor_`` set.

        Raises
        ------
        ValueError
            If the target is not of this kind.
        """
        if y.ndim == 2:
            raise ValueError(f"{type(self).__name__} takes one output; y has {y.shape[1]}.")
        self._check_target(y)
        if not (weight @ y > 0):
            raise ValueError("y is zero in every row of positive weight; there is nothing to fit.")
        self.floor_ = self._floor(y, weight)
        self._n_experts = n_experts
        return self

    @abstractmethod
    def _check_target(self, y):
        """ValueError where the target is not of this kind."""

    @abstractmethod
    def _floor(self, y, weight):
        """The smallest mean allowed."""

    def _means(self, prediction):
        """Predictions, none of them so small that a target of some size is impossible."""
        if (prediction < 0).any():
            raise ValueError(
                f"An expert predicts {prediction.min():.3g}, but {type(self).__name__} needs means "
                "that are not negative. Use experts that respect it, such as PoissonRegressor, "
                "HistGradientBoostingRegressor(loss='poisson') or forests."
            )
        return np.maximum(prediction, self.floor_)

    def log_density(self, y, prediction, experts=None):
        """Log-density of each row under each expert.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are, where each row has k of the experts; None is all of
            them in order.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Natural logarithm, for counts of a probability.
        """
        return self.components(prediction, experts).logpdf(y[:, None])

    def components(self, prediction, experts=None):
        """Distributions around the predictions.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts)
            Prediction of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are; None is all experts in order.

        Returns
        -------
        components : ScipyComponents
            One for each row and expert.
        """
        return self._around(self._means(prediction), slice(None) if experts is None else experts)

    @abstractmethod
    def _around(self, mean, experts):
        """``components``; ``experts`` indexes what each expert has one of."""

    def log_prior(self, penalty):
        """Log-prior of experts with an L2 penalty.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts,)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            ``-sum(penalty)``.
        """
        return -float(np.sum(penalty))

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_kept,)
            A permutation, or a part of one.
        """
        for name in self._of_experts:
            setattr(self, name, getattr(self, name)[order])

    def extended(self, other, k):
        """A likelihood with one expert more, the last.

        Parameters
        ----------
        other : likelihood
            Fitted, of the same kind.
        k : int
            Number of its expert to take.

        Returns
        -------
        likelihood : likelihood
            A new one, with the floor of this one.
        """
        twin = copy.copy(self)
        for name in self._of_experts:
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(twin, name, np.concatenate([ours, theirs[k : k + 1]]))
        return twin

    @property
    def n_parameters_(self):
        """Number of free parameters."""
        return sum(getattr(self, name).size for name in self._of_experts)
