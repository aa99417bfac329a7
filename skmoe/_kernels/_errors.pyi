import numpy as np
from numpy.typing import NDArray

def learn_variance(
    basis: NDArray[np.float64],
    squares: NDArray[np.float64],
    weight: NDArray[np.float64],
    penalty: float,
    log_variance: NDArray[np.float64],
) -> None: ...
def likelihood_of_shape(
    design: NDArray[np.float64],
    errors: NDArray[np.float64],
    sd: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_steps: int,
    smallest: float,
) -> float: ...
