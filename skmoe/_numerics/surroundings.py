"""How far rows are from those of a fit."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state, gen_batches

MOST_ROWS = 500  # that others are compared with
USUAL = 0.9  # share of the rows of fit, whose distances from the nearest one are usual
DECIMALS = 9  # of log-odds, in which rows are the same
ROUNDING = 1e-12  # of the largest square of a row: squares of distances are not more exact
BLOCK = 1_000  # rows whose distances are in memory at once


@dataclass(frozen=True)
class Surroundings:
    """Rows of a fit in columns times slopes, by which others are near them or far away."""

    slopes: np.ndarray  # (n_features,)
    centre: np.ndarray  # (n_features,)
    rows: np.ndarray  # (n_rows, n_features): some of them
    usual: float  # square of the distance of a row of ``fit`` from the nearest other one

    @classmethod
    def of(cls, X, weight, slopes):
        """Of these rows, whose copies are one; None where they are all alike."""
        centre = np.average(X, axis=0, weights=weight)
        Z = ((X - centre) * slopes)[weight > 0].round(DECIMALS)
        Z, place = np.unique(Z, axis=0, return_inverse=True)
        if len(Z) == 1:
            return None
        some = check_random_state(0).permutation(len(Z))[:MOST_ROWS]
        Z, weight = Z[some], np.bincount(place.ravel(), weight[weight > 0])[some]
        squares = squared_distances(Z, Z)
        np.fill_diagonal(squares, np.inf)
        nearest = squares.min(axis=1)
        usual = np.quantile(nearest, USUAL, weights=weight, method="inverted_cdf")
        exact = ROUNDING * np.einsum("ij,ij->i", Z, Z).max()
        return cls(slopes, centre, Z, float(max(usual, exact)))

    def far(self, X):
        """0 for rows that are as near to one of ``fit`` as is usual, to 1 for distant ones; (n,).

        The usual square of the distance, in part of that of the row, is what is left to 1.
        """
        nearest = np.empty(len(X))
        for rows in gen_batches(len(X), BLOCK):
            Z = (X[rows] - self.centre) * self.slopes
            nearest[rows] = squared_distances(Z, self.rows).min(axis=1)
        return 1 - self.usual / np.maximum(nearest, self.usual)


def squared_distances(A, B):
    """Between rows, (n, m); as large as rounding where they are zero, and not below."""
    squares = A @ B.T
    squares *= -2.0
    squares += np.einsum("ij,ij->i", A, A)[:, None]
    squares += np.einsum("ij,ij->i", B, B)
    return np.maximum(squares, 0.0, out=squares)
