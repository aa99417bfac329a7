"""Few columns that stand for many."""

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import gen_batches

from .._tables.encoding import numeric_matrix
from .statistics import standardisation

MOST_COLUMNS = 50  # for starts: a linear fit on thousands would cost more than what it starts
SUBSPACE_ITERATIONS = 6
FEW_COLUMNS = 2048  # that are made at a time


def start_columns(Z, weight):
    """Columns for starts: standardised numbers, or their principal components if too many.

    They are of mean variance one, and 50 at most.
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
    return _principal_components(
        columns, weight, np.concatenate([*_first_directions(columns.shape[1])])
    )


def components_of_turned(turned, basis, weight):
    """``start_columns`` of more than 50 standardised columns in the space of their rows.

    ``turned`` (n_samples, n_directions) are the columns, times the ``basis`` (n_columns,
    n_directions), orthonormal directions of that space.
    """
    directions, place = np.zeros((basis.shape[1], MOST_COLUMNS)), 0
    for some in _first_directions(len(basis)):
        directions += basis[place : place + len(some)].T @ some
        place += len(some)
    return _principal_components(turned, weight, directions)


def _principal_components(columns, weight, directions):
    components = columns @ _principal_directions(columns, weight / weight.sum(), directions)
    components = components - weight @ components / weight.sum()
    variance = weight @ components**2 / weight.sum()
    return components / np.sqrt(max(variance.sum() / MOST_COLUMNS, 1e-300))


def _first_directions(n_columns):
    """Directions (n_columns, 50) to start from, a few columns at a time."""
    random_state = np.random.RandomState(0)
    for part in gen_batches(n_columns, FEW_COLUMNS):
        yield random_state.standard_normal((part.stop - part.start, MOST_COLUMNS))


def _principal_directions(columns, share, directions):
    """Leading eigenvectors of the weighted Gram matrix by subspace iteration, (p, 50).

    It starts from directions and sees the rows only through their weighted sums, so that a row
    of weight 2 is a row given twice.
    """
    for _ in range(SUBSPACE_ITERATIONS):
        products = (share[:, None] * (columns @ directions)).T @ columns
        del directions  # for many columns as large as the rows
        directions, triangle = linalg.qr(products.T, mode="economic", overwrite_a=True)
        directions *= np.where(triangle.diagonal() < 0, -1, 1)  # unique, whatever the coordinates
    return directions
