import numpy as np
from numpy.typing import NDArray

def k_means(
    points: NDArray[np.float64],
    weight: NDArray[np.float64],
    centres: NDArray[np.float64],
    max_iter: int,
    labels: NDArray[np.intp],
) -> int: ...
