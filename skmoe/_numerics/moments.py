"""Moments of columns that come in blocks of rows."""

from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Moments:
    """Weighted moments of columns, and their extremes; those of two blocks of rows add up [1]_.

    Attributes
    ----------
    weight : float
        Of the rows.
    mean, squares : ndarray of shape (n_columns,)
        Weighted means, and weighted sums of squares about them.
    low, high : ndarray of shape (n_columns,)
        Smallest and largest value.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance", The American Statistician 37 (1983) 242-247.
    """

    weight: float
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """Moments of the rows of an array (n_rows, n_columns) of finite numbers."""
        total = None
        for start in range(0, len(X), BLOCK_ROWS):
            block = X[start : start + BLOCK_ROWS].astype(np.float64)
            of_block = cls._of_few(block, weight[start : start + BLOCK_ROWS])
            total = of_block if total is None else total + of_block
        return total

    @classmethod
    def _of_few(cls, X, weight):
        total = weight.sum()
        mean = weight @ X / total if total > 0 else X[0]
        centred = X - mean
        error = weight @ centred / max(total, 1e-300)  # of a large mean
        squares = np.maximum(weight @ centred**2 - total * error**2, 0.0)
        return cls(total, mean + error, squares, X.min(axis=0), X.max(axis=0))

    def __add__(self, other):
        weight = self.weight + other.weight
        share = other.weight / weight if weight > 0 else 0.0
        apart = other.mean - self.mean
        return Moments(
            weight,
            self.mean + share * apart,
            self.squares + other.squares + self.weight * share * apart**2,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def size(self):
        """Largest absolute value of each column, (n_columns,)."""
        return np.maximum(self.high, -self.low)

    def standardisation(self):
        """Mean and scale of each column, (n_columns,); the scale of a constant column is 1."""
        scale = np.sqrt(self.squares / self.weight)
        constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean), 1e-300)
        return self.mean, np.where(constant | (self.low == self.high), 1.0, scale)
