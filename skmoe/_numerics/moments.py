"""Moments of columns that come in blocks of rows."""

from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 2048


def add_fields(ours, theirs):
    """The ``__add__`` of data classes whose fields are sums over rows, or None."""
    both = zip(vars(ours).values(), vars(theirs).values(), strict=True)
    return type(ours)(*(None if one is None else one + more for one, more in both))


@dataclass(frozen=True)
class Moments:
    """Weighted moments of columns, and their extremes; those of two blocks of rows add up [1]_.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance", The American Statistician 37 (1983) 242-247.
    """

    # Float or ndarray of shape (n_columns,): of the rows; of those that have a value, where some
    # have none.
    weight: float | np.ndarray
    # ``mean``, ``squares``: (n_columns,): weighted means, and weighted sums of squares about them.
    mean: np.ndarray
    squares: np.ndarray
    # ``low``, ``high``: (n_columns,): smallest and largest value; infinity, and its negative, of a
    # column without values.
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """Moments of the rows of an array (n_rows, n_columns); NaN is no value."""
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
        if np.isnan(mean).any():
            return cls._of_gaps(X, weight)
        centred = X - mean
        error = weight @ centred / max(total, 1e-300)  # rounding error of a large mean
        squares = np.maximum(weight @ centred**2 - total * error**2, 0.0)
        return cls(total, mean + error, squares, X.min(axis=0), X.max(axis=0))

    @classmethod
    def _of_gaps(cls, X, weight):
        there = ~np.isnan(X)
        weights, X = weight[:, None] * there, np.where(there, X, 0.0)
        total = weights.sum(axis=0)
        mean = (weights * X).sum(axis=0) / np.maximum(total, 1e-300)
        squares = (weights * (X - mean) ** 2).sum(axis=0)
        low, high = (np.where(there, X, none) for none in (np.inf, -np.inf))
        return cls(total, mean, squares, low.min(axis=0), high.max(axis=0))

    def __add__(self, other):
        weight = self.weight + other.weight
        share = other.weight / np.maximum(weight, 1e-300)
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
        """Largest absolute value of each column, (n_columns,); NaN of one without values."""
        return np.where(self.low > self.high, np.nan, np.maximum(self.high, -self.low))

    def standardisation(self):
        """Mean and scale of each column, (n_columns,); the scale of a constant column is 1."""
        scale = np.sqrt(self.squares / self.weight)
        constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean), 1e-300)
        return self.mean, np.where(constant | (self.low == self.high), 1.0, scale)
