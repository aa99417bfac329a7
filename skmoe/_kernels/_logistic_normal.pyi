import numpy as np
from numpy.typing import NDArray

def logistic_normal(
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    labels: NDArray[np.float64],
    found: NDArray[np.float64],
) -> None: ...
