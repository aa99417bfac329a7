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
    what lies outside the space of the rows keeps its prior. The one-hot columns of a column of
    strings have a prior variance of their own, and one scale, as their coefficients are the effects
    of levels.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of the columns.
    basis : ndarray of shape (n_features, n_directions) or None
        Orthonormal directions; None is the columns themselves.
    block : ndarray of int of shape (n_features,) or None
        Number of the column of strings that a column is a level of, from 1; 0 of the others. None
        where all are alike. Columns in blocks are not turned.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray | None = None
    block: np.ndarray | None = None

    @classmethod
    def of(cls, X, weight, units=None, block=None):
        """Columns of these rows, an ndarray of finite numbers, or those of known ``units``."""
        mean, scale = standardisation(X, weight) if units is None else (units.mean, units.scale)
        if block is not None:
            return cls(mean, _scale_of_blocks(scale, block), block=block)
        if units is not None or X.shape[1] < len(X):
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

    def variances_of_unseen(self, X, variances):
        """Variances (n_samples, m) of the functions by what the rows of ``fit`` do not tell.

        Directions outside of their space, and levels that they do not have, are as the prior says.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Columns.
        variances : ndarray of shape (m, n_features + 1)
            Prior variances of standardised columns.
        """
        if self.basis is not None:
            return self.outside(X)[:, None] * variances[:, 0]
        if self.block is None:
            return np.zeros((len(X), len(variances)))
        is_level, of_levels = self.of_levels(variances)
        return np.maximum(1 - X @ is_level, 0.0) @ of_levels

    def of_levels(self, variances):
        """Which column is a level of which block (n_features, n_blocks), and raw prior variances.

        The variances (n_blocks, m) of the levels of a block are alike.
        """
        is_level = np.equal.outer(self.block, np.arange(1, self.block.max(initial=0) + 1))
        first = is_level.argmax(axis=0)
        return is_level.astype(float), (variances[:, first] / self.scale[first] ** 2).T

    def standard(self, coef):
        """Coefficients (n_features + 1, m) of standardised columns, from those of the design."""
        return coef if self.basis is None else np.vstack([self.basis @ coef[:-1], coef[-1:]])

    def standard_variances(self, variances):
        """Prior variances (m, n_features + 1) of standardised columns, from those of the design."""
        if self.basis is None:
            return variances
        return np.hstack([np.repeat(variances[:, :1], len(self.mean), axis=1), variances[:, -1:]])


def _scale_of_blocks(scale, block):
    """Scales (n_features,) of which the columns of a block have one, that of all their variance."""
    scale = scale.copy()
    for number in range(1, block.max(initial=0) + 1):
        levels = block == number
        scale[levels] = np.sqrt(np.sum(scale[levels] ** 2))
    return scale


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
