r"""Censored targets for the parametric bootstrap: where each row's target would be censored.

A censored row tells its limit. That of an observed row is not known, only that it lies beyond the
target: it is drawn from the product-limit estimate of the limits of all rows, given that [1]_.

References
----------
.. [1] B. Efron, "Censored data and the bootstrap", Journal of the American Statistical Association
   76 (1981) 312-319; with what is known of each limit as in A. C. Davison and D. V. Hinkley,
   "Bootstrap methods and their application", Cambridge University Press, 1997, algorithm 3.1.
"""

import numpy as np

from .._numerics.statistics import weight_above

TINY = np.finfo(float).tiny


class Limits:
    """Limits beyond which targets are censored on the right.

    Parameters
    ----------
    known : ndarray of shape (n_samples,)
        A limit, or a value that the limit is not below.
    is_limit : ndarray of bool of shape (n_samples,)
        Which of them it is.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    entry : ndarray of shape (n_samples,), default=None
        What limits are not below in any row that is seen.
    """

    def __init__(self, known, is_limit, weight, entry=None):
        self._known, self._is_limit = known, is_limit
        self._limits, number = np.unique(known[is_limit], return_inverse=True)
        ended = np.bincount(number, weight[is_limit], minlength=len(self._limits))
        at_risk = weight_above(known, weight, self._limits)
        if entry is not None:
            at_risk -= weight_above(entry, weight, self._limits, side="right")
        left = 1 - ended / np.maximum(at_risk, TINY)
        # Share of the limits that lie beyond each of them; of few rows at risk, none may.
        self._log_beyond = np.cumsum(np.log(np.maximum(left, TINY)))

    def draw(self, random_state):
        """A limit (n_samples,) for each row, infinite where there is none."""
        log_u = np.log(np.maximum(random_state.uniform(size=len(self._known)), TINY))
        before = np.append(0.0, self._log_beyond)[np.searchsorted(self._limits, self._known)]
        place = np.searchsorted(-self._log_beyond, -log_u - before)
        drawn = np.append(self._limits, np.inf)[place]
        return np.where(self._is_limit, self._known, drawn)


class Censoring:
    """Censors targets that are drawn as those of fit were.

    Parameters
    ----------
    lower, upper : ndarray of shape (n_samples,)
        Bounds of the targets, equal where they were observed.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    entry : ndarray of shape (n_samples,), default=None
        Entries of the rows, which are no targets' and no limits' alone.
    """

    def __init__(self, lower, upper, weight, entry=None):
        if ((lower < upper) & np.isfinite(lower) & np.isfinite(upper)).any():
            raise ValueError(
                "Targets that are drawn can be censored on the left and on the right, not in "
                "intervals: y or upper has to be infinite where they differ."
            )
        known, is_limit = np.where(np.isfinite(upper), upper, lower), np.isinf(upper)
        self._right = Limits(known, is_limit, weight, entry)
        self._left = Limits(-np.where(np.isfinite(lower), lower, upper), np.isinf(lower), weight)

    def __call__(self, y, random_state):
        """Lower and upper bounds of targets (n_samples,)."""
        right, left = self._right.draw(random_state), -self._left.draw(random_state)
        is_right, is_left = y > right, y < left
        lower = np.where(is_left, -np.inf, np.where(is_right, right, y))
        return lower, np.where(is_left, left, np.where(is_right, np.inf, y))
