"""Few columns that stand for many."""

import numpy as np
from scipy import linalg, sparse

from .._tables.encoding import numeric_matrix
from .statistics import standardisation

MOST_COLUMNS = 50  # for starts: a linear fit on thousands would cost more than what it starts
SUBSPACE_ITERATIONS = 6


def start_columns(Z, weight):
    """What starts look at: standardised numbers, or their principal components if too many.

    Parameters
    ----------
    Z : DataFrame, ndarray or sparse matrix of n_samples rows
        What the gate sees.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.

    Returns
    -------
    columns : ndarray of shape (n_samples, n_columns)
        Of mean variance one; 50 columns at most.
    """
    if sparse.issparse(Z) and Z.shape[1] > MOST_COLUMNS:
        columns = sparse.csr_array(Z)  # not centred: that would fill it
    else:
        columns = numeric_matrix(Z)
        mean, scale = standardisation(columns, weight)
        columns = columns - mean
        columns /= scale
        if columns.shape[1] <= MOST_COLUMNS:
            return columns
    components = columns @ _principal_directions(columns, weight / weight.sum())
    components = components - weight @ components / weight.sum()
    variance = weight @ components**2 / weight.sum()
    return components / np.sqrt(max(variance.mean(), 1e-300))


def _principal_directions(columns, share):
    """Leading eigenvectors of the weighted Gram matrix by subspace iteration, (p, 50).

    It starts from directions and sees the rows only through their weighted sums, so that a row
    of weight 2 is a row given twice.
    """
    random_state = np.random.RandomState(0)
    directions = random_state.standard_normal((columns.shape[1], MOST_COLUMNS))
    for _ in range(SUBSPACE_ITERATIONS):
        products = (share[:, None] * (columns @ directions)).T @ columns
        del directions  # of many columns they are as large as the rows
        directions, _ = linalg.qr(products.T, mode="economic", overwrite_a=True)
    return directions
