"""Conformal calibration of predictive distributions by their tails."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """What rows that a mixture has not seen say of its distribution."""

    tail: np.ndarray  # (n_samples,): probability beyond y, in the tail in which it lies
    of_expert: np.ndarray  # (n_samples,): number of the most probable expert
    weight: np.ndarray  # (n_samples,): weights

    @classmethod
    def of(cls, cdf, of_expert, weight):
        """From values of the distribution function at y."""
        return cls(np.minimum(cdf, 1 - cdf), of_expert, weight)

    def of_rows(self, rows):
        """Of some of the rows."""
        return Calibration(self.tail[rows], self.of_expert[rows], self.weight[rows])

    def tail_of(self, level):
        """Probability of each tail, so that intervals between hold a new row with the level.

        The tail of a new row is below the r-th smallest of n with probability r / (n + 1) at most.
        It is zero, and the interval is all numbers, where rows are too few for the level.
        """
        rank = np.floor((1 - level) * (self.weight.sum() + 1) + 1e-9)
        if rank < 1:
            return 0.0
        order = np.argsort(self.tail)
        place = np.searchsorted(np.cumsum(self.weight[order]), rank - 1e-9)
        return min(0.5, self.tail[order[min(place, len(order) - 1)]])
