"""Few columns, and few rows, that stand for many."""

import numpy as np
from scipy import sparse

from .._encoding import numeric_matrix
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
        columns = (columns - mean) / scale
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
        products = columns.T @ (share[:, None] * (columns @ directions))
        directions, _ = np.linalg.qr(products)
    return directions


def sample_rows(Z, y, weight, n_rows):
    """Rows at even steps of cumulative weight along a fixed direction.

    A row of weight 2 is two rows there too, so nothing depends on how often a row is repeated.

    Parameters
    ----------
    Z : DataFrame, ndarray or sparse matrix of n_samples rows
        What the gate sees.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_rows : int
        How many steps; a row of large weight takes several.

    Returns
    -------
    rows : ndarray of ints
        Row numbers, in the order of the direction.
    weight : ndarray of shape (len(rows),)
        Their weights, with the same sum as that of all rows.
    """
    random_state = np.random.RandomState(0)
    place = _along(random_state, y.reshape(len(y), -1).astype(float), weight)
    place += _along(random_state, Z if sparse.issparse(Z) else numeric_matrix(Z), weight)
    order = np.argsort(place, kind="stable")
    del place  # these are arrays of all rows
    cumulative = weight[order]
    np.cumsum(cumulative, out=cumulative)
    steps = (np.arange(n_rows) + 0.5) * cumulative[-1] / n_rows
    places, counts = np.unique(np.searchsorted(cumulative, steps, side="right"), return_counts=True)
    return order[places], counts * cumulative[-1] / n_rows


def _along(random_state, columns, weight):
    """Standardised columns times a drawn direction; sparse ones are scaled only."""
    direction = random_state.standard_normal(columns.shape[1])
    if sparse.issparse(columns):
        share = weight / weight.sum()
        size = np.sqrt(share @ columns.power(2))
        return columns @ (direction / np.where(size > 0, size, 1.0))
    mean, scale = standardisation(columns, weight)
    direction = direction / scale
    place = columns @ direction
    place -= mean @ direction
    return place
