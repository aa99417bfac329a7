"""What likelihoods of targets that cannot be negative share: positive means."""

from abc import abstractmethod

import numpy as np
from sklearn.base import clone

from ._base import BaseLikelihood


class PositiveMeans(BaseLikelihood):
    """A target that is not negative, around predictions that are its mean.

    ``glm`` names the generalised linear model that the default experts are, with a log link.
    """

    glm = "poisson"
    _linear = False

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"{type(self).__name__} takes one output; y has {y.shape[1]}.")
        self.check_values(y)
        self.start_from_sums(weight @ y, n_experts)
        self.floor_ = 0.0 if self._linear else self._floor(y, weight)
        return self

    def start_from_sums(self, total, n_experts):
        """Do as ``start`` for log-linear experts of a target whose rows are not in memory.

        Parameters
        ----------
        total : float
            Weighted sum of the target.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : likelihood
            Without a floor.

        Raises
        ------
        ValueError
            If the target is zero.
        """
        if not (total > 0):
            raise ValueError("y is zero in every row of positive weight; there is nothing to fit.")
        self.floor_, self._n_experts = 0.0, n_experts
        return self

    def fitting(self, *, in_sample, linear):
        # The means of log-linear experts are positive as they are, and need no floor.
        twin = clone(self)
        twin._linear = linear
        return twin

    @abstractmethod
    def _floor(self, y, weight):
        """The smallest mean allowed."""

    def log_density(self, y, prediction, experts=None):
        return self.components(prediction, experts).logpdf(y[:, None])

    def components(self, prediction, experts=None):
        return self._around(means_of(self, prediction), slice(None) if experts is None else experts)

    @abstractmethod
    def _around(self, mean, experts):
        """``components``; ``experts`` indexes what each expert has one of."""


def means_of(likelihood, prediction):
    """Predictions, none of them so small that a target of some size is impossible."""
    if (prediction < 0).any():
        raise ValueError(
            f"An expert predicts {prediction.min():.3g}, but {type(likelihood).__name__} needs "
            "means that are not negative. Use experts that respect it, such as PoissonRegressor, "
            "HistGradientBoostingRegressor(loss='poisson') or forests."
        )
    return np.maximum(prediction, likelihood.floor_)
