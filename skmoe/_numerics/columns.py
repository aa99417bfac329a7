"""Standardised columns and an intercept, as a prior that is alike for all slopes sees them."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.utils import gen_batches

from .statistics import standardisation

FEW_COLUMNS = 2048  # that are turned at a time
SMALLEST_DIRECTION = 1e-10  # singular values below, relative to the largest, are rounding


@dataclass(frozen=True)
class StandardColumns:
    """Standardised columns, turned into the space of the rows where columns outnumber them.

    Under independent normal priors of one variance a rotation of the columns changes nothing, and
    what lies outside the space of the rows keeps its prior.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of the columns.
    basis : ndarray of shape (n_features, n_directions) or None
        Orthonormal directions; None is the columns themselves.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray | None = None

    @classmethod
    def of(cls, X, weight, units=None):
        """Columns of these rows, an ndarray of finite numbers, or those of known ``units``."""
        if units is not None:
            return cls(units.mean, units.scale)
        mean, scale = standardisation(X, weight)
        if X.shape[1] < len(X):
            return cls(mean, scale)
        used = X if weight.all() else X[weight != 0]
        return cls(mean, scale, _row_space(_standardised(used, mean, scale)))

    @property
    def n_columns(self):
        """Number of columns of the design."""
        return 1 + (len(self.mean) if self.basis is None else self.basis.shape[1])

    def design(self, X):
        """Directions and the intercept, (n_samples, n_directions + 1)."""
        standard = _standardised(X, self.mean, self.scale)
        standard = standard if self.basis is None else standard @ self.basis
        return np.column_stack([standard, np.ones(len(X))])

    def outside(self, X):
        """Squared distances of rows from the space, (n_samples,)."""
        if self.basis is None:
            return np.zeros(len(X))
        standard = _standardised(X, self.mean, self.scale)
        standard -= (standard @ self.basis) @ self.basis.T
        return np.einsum("ij,ij->i", standard, standard)

    def standard(self, coef):
        """Coefficients (n_features + 1, m) of standardised columns, from those of the design."""
        return coef if self.basis is None else np.vstack([self.basis @ coef[:-1], coef[-1:]])

    def standard_variances(self, variances):
        """Prior variances (m, n_features + 1) of standardised columns, from those of the design."""
        if self.basis is None:
            return variances
        return np.hstack([np.repeat(variances[:, :1], len(self.mean), axis=1), variances[:, -1:]])


def _standardised(X, mean, scale):
    """Standardised columns, in memory of their own and no more."""
    standard = X - mean
    standard /= scale
    return standard


def _row_space(standard):
    """Orthonormal directions (p, r) of the space of the rows (n, p), in whose memory they are."""
    turned, triangle = linalg.qr(standard.T, mode="economic", overwrite_a=True, check_finite=False)
    left, size, _ = np.linalg.svd(triangle)
    kept = size > SMALLEST_DIRECTION * max(size[0], 1e-300)
    for part in gen_batches(len(turned), FEW_COLUMNS):
        turned[part, : kept.sum()] = turned[part] @ left[:, kept]
    return turned[:, : kept.sum()]


def quadratic_forms(design, cov):
    """``x' C_k x`` for rows of a design and the covariances (K, q, q), (n, K)."""
    return np.stack([np.einsum("ij,ij->i", design @ each, design) for each in cov], axis=1)
