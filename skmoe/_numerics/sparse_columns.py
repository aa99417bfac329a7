"""Standardised columns, of sparse rows scaled and not centred, so that they stay sparse."""

import numpy as np
from scipy import sparse

from .statistics import standardisation as of_dense


def sparse_standardisation(X, weight):
    """Mean and scale of the columns; the mean of sparse ones stays 0.

    ``(X - mean) / scale`` has variance 1 but in columns that are constant. One weight is positive.
    """
    if not sparse.issparse(X):
        return of_dense(X, weight)
    share = weight / weight.sum()
    mean = share @ X
    entries = sparse.coo_array(X)
    shares = share[entries.row]
    squares = shares * (entries.data - mean[entries.col]) ** 2
    stored = np.bincount(entries.col, shares, minlength=X.shape[1])
    variance = np.bincount(entries.col, squares, minlength=X.shape[1]) + (1 - stored) * mean**2
    scale = np.sqrt(np.maximum(variance, 0.0))
    constant = scale <= 1e-7 * np.abs(mean) + 1e-300  # 1 - stored is exact to about 1e-16
    return np.zeros(X.shape[1]), np.where(constant, 1.0, scale)


def standardised(X, mean, scale):
    """The standardised columns; sparse ones are filled where those of dense rows were centred."""
    if sparse.issparse(X) and not mean.any():
        return X @ sparse.diags_array(1 / scale)
    return ((X.toarray() if sparse.issparse(X) else X) - mean) / scale


def with_intercept(columns):
    """The columns, and one of ones."""
    ones = np.ones((columns.shape[0], 1))
    if sparse.issparse(columns):
        return sparse.csr_array(sparse.hstack([columns, ones], format="csr"))
    return np.hstack([columns, ones])
