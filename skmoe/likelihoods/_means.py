"""What likelihoods of a family share: their experts predict means."""

import numpy as np

from ._base import BaseLikelihood


class FamilyLikelihood(BaseLikelihood):
    """Errors of a family around predictions that are its means.

    A subclass has a ``family``, names its scale in ``per_expert`` and ``learned_logs``, if there is
    one, and says by ``can_be_pooled`` and ``has_sums`` what its experts may be learned by.
    """

    looks_at_target = True

    @property
    def scales_(self):
        """Scales of the experts as the family has them, (n_experts,); None where there are none."""
        scales = vars(self).get(self.family.scale)
        if scales is None:
            return None
        return scales / self.family.target_unit

    @scales_.setter
    def scales_(self, scales):
        setattr(self, self.family.scale, scales * self.family.target_unit)

    @property
    def precision_(self):
        """What half a deviance of each expert counts: its scale, or 1 where there is none."""
        if self.scales_ is None:
            return 1.0
        return self.scales_

    def log_prior(self, penalty):
        """Log-prior of experts whose L2 penalty is in units of the dispersion, ``1 / precision_``.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts,)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            ``-sum(precision_ * penalty)``.
        """
        return -float(np.sum(self.precision_ * penalty))

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0, *, trials=1.0):
        if self.family.scale is None:  # the mean says it all
            return
        predictor = self.family.link(means_of(self, prediction, trials) / trials)
        given = (y[:, None] / trials, predictor)
        scale = scales_of(self)
        value, *_ = self.family.unit(*given, scale)
        values = self.family.statistic(value, *given, 0.0, scale)
        values = np.einsum("nk,nk->k", weights, values)
        self.update_from_sums(weights.sum(axis=0), values, penalty, pooled_rows)

    def update_from_sums(self, mass, values, penalty=0.0, pooled_rows=0.0):
        """Re-estimate the scales from sums over the rows.

        Parameters
        ----------
        mass : ndarray of shape (n_experts,)
            Sums of the weights.
        values : ndarray of shape (n_experts,)
            Weighted sums of the family's ``statistic``.
        penalty : float or ndarray of shape (n_experts,), default=0.0
            As in ``update``.
        pooled_rows : float, default=0.0
            As in ``update``.
        """
        if self.family.scale is None:
            return
        values = values - penalty
        if pooled_rows > 0:
            values = values + pooled_rows * values.sum() / mass.sum()
            mass = mass + pooled_rows
        # Experts without rows get any scale.
        mean = np.where(mass > 0, values, -1.0) / np.where(mass > 0, mass, 1.0)
        self.scales_ = self.family.best_scale(mean, scales_of(self))

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"{type(self).__name__} takes one output; y has {y.shape[1]}.")
        self.check_values(y)
        self.start_from_sums(weight @ y / weight.sum(), n_experts)
        # The means of generalised linear models are possible as they are.
        if self._linear:
            self.floor_ = 0.0
        else:
            self.floor_ = self._floor(y, weight)
        return self

    def _floor(self, y, weight):
        """The smallest mean allowed, of rates the smallest distance from the ends."""
        return 0.5 / weight.sum()  # half an event in all rows

    def start_from_sums(self, mean, n_experts):
        """Do as ``start`` for generalised linear models of rows that are not in memory.

        Parameters
        ----------
        mean : float
            Weighted mean of the target.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : likelihood
            Without a floor.
        """
        if not (self.family.is_rate or mean > 0):
            raise ValueError("y is zero in every row of positive weight; there is nothing to fit.")
        check_family(self.family)
        self.family = self.family.in_unit(mean)
        self.floor_ = 0.0
        return self

    def log_density(self, y, prediction, experts=None, *, trials=1.0):
        mean = means_of(self, prediction, trials)
        return self.family.log_density(y[:, None], mean, scales_of(self, experts), trials)

    def components(self, prediction, experts=None, *, trials=1.0):
        mean = means_of(self, prediction, trials)
        return self.family.components(mean, scales_of(self, experts), trials)


def check_family(family):
    """Raise a TypeError if a family of positive numbers is not what it says that it is."""
    if family.is_rate or not family.has_density:
        return
    target = np.array([[1.0], [3.0]])
    mean = np.full((2, 1), 1.5)
    of_ones = family.in_unit(1.0)
    of_twos = family.in_unit(2.0)
    expected = of_ones.log_density(target, mean, 2.0)
    doubled = of_twos.log_density(2 * target, 2 * mean, 2.0)
    # Experts are fitted by the unit, scales by the statistic, and both must know of target_unit.
    scale = 2.0 / of_twos.target_unit
    unit, *_ = of_twos.unit(target, of_twos.link(mean), scale)
    terms = scale * unit + of_twos.normaliser(scale) + of_twos.constant(target)
    if not np.allclose([terms, doubled + np.log(2.0)], expected):
        raise TypeError(
            f"The functions of {type(family).__name__} contradict each other: the scale times "
            "unit, normaliser and constant must add up to the log-density, whatever target_unit "
            "is. With scale_has_unit=True, scales are in multiples of target_unit; without it, "
            "they have no unit."
        )


def means_of(likelihood, prediction, trials=1.0):
    """Predictions, none of them such that a target is impossible."""
    floor = likelihood.floor_
    if likelihood.family.is_rate:
        return np.clip(prediction, floor, trials - floor)
    if (prediction < 0).any():
        raise ValueError(
            f"An expert predicts {prediction.min():.3g}; {type(likelihood).__name__} needs means "
            "of 0 or more, as PoissonRegressor, forests or loss='poisson' of boosting predict."
        )
    return np.maximum(prediction, floor)


def scales_of(likelihood, experts=None):
    """Scales of the experts (n_experts,), or those of the experts of each row; else one."""
    scales = likelihood.scales_
    if scales is None:
        return 1.0
    if experts is None:
        return scales
    return scales[experts]
