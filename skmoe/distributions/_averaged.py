"""Binomial components whose rates are not known for sure."""

import numpy as np
from scipy import special

from ._arrays import draw_places, take
from ._counts import BinomialComponents


class AveragedBinomialComponents(BinomialComponents):
    """Averages of binomial distributions over several rates, one for each row and expert.

    Parameters
    ----------
    rates : ndarray of shape (n_samples, n_experts, n_rates)
        Between 0 and 1.
    masses : ndarray of shape (n_rates,)
        Probabilities of the rates, all above zero.
    trials : float or ndarray that broadcasts to (n_samples, n_experts)
        Whole numbers from 1 on.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import AveragedBinomialComponents
    >>> rates = np.array([[[0.1, 0.9]]])
    >>> AveragedBinomialComponents(rates, np.array([0.5, 0.5]), 10.0).var.round(1)
    array([[16.9]])
    """

    def __init__(self, rates, masses, trials):
        self.masses = masses
        trials = np.broadcast_to(trials, rates.shape[:2])
        self._each = BinomialComponents(trials[:, :, None] * rates, trials[:, :, None])
        super().__init__(self._each.mean @ masses, trials)

    @property
    def var(self):
        deviations = self._each.mean - self.mean[:, :, None]
        return (self._each.var + deviations**2) @ self.masses

    def rvs(self, places, random_state):
        masses = np.broadcast_to(self.masses, (len(places), len(self.masses)))
        drawn = draw_places(masses, places.shape[1], random_state)
        rows = np.arange(len(places))[:, None]
        mean, trials = self._each.mean[rows, places, drawn], take(self.trials, places)
        return random_state.binomial(trials.astype(np.int64), mean / trials).astype(np.float64)

    def _log_probability(self, y):
        values = self._each._log_probability(np.asarray(y)[..., None])
        return special.logsumexp(values, b=self.masses, axis=-1)

    def _tail(self, y, *, upper):
        return self._each._tail(np.asarray(y)[..., None], upper=upper) @ self.masses
