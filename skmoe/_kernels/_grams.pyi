import numpy as np
from numpy.typing import NDArray

def add_grams(
    design: NDArray[np.float64], weights: NDArray[np.float64], grams: NDArray[np.float64]
) -> None: ...
