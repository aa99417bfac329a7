import numpy as np
from numpy.typing import NDArray

def workspace_size(n_columns: int, n_grams: int) -> int: ...
def add_grams(
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
    workspace: NDArray[np.float64],
    grams: NDArray[np.float64],
) -> None: ...
def add_sparse_grams(
    data: NDArray[np.float64],
    indices: NDArray[np.intp],
    indptr: NDArray[np.intp],
    weights: NDArray[np.float64],
    grams: NDArray[np.float64],
) -> None: ...
