import numpy as np
from numpy.typing import NDArray

def top_k(
    scores: NDArray[np.float32] | NDArray[np.float64],
    experts: NDArray[np.intp],
    n_threads: int,
) -> None: ...
def sort_by_expert(
    experts: NDArray[np.intp],
    places: NDArray[np.intp],
    bounds: NDArray[np.intp],
) -> None: ...
