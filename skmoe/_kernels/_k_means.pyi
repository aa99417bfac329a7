import numpy as np
from numpy.typing import NDArray

def far_rows(
    points: NDArray[np.float64],
    mass: NDArray[np.float64],
    quantiles: NDArray[np.float64],
    drawn: NDArray[np.float64],
) -> None: ...
def k_means(
    points: NDArray[np.float64],
    weight: NDArray[np.float64],
    centres: NDArray[np.float64],
    max_iter: int,
    labels: NDArray[np.intp],
) -> int: ...
