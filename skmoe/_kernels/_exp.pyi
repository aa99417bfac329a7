from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", np.float32, np.float64)

def exp(x: NDArray[Floating]) -> None: ...
def log(x: NDArray[np.float64]) -> None: ...
def symmetric_cdf(
    z: NDArray[np.float64],
    first: NDArray[np.int64],
    cubics: NDArray[np.float64],
    step: float,
    n_steps: int,
) -> None: ...
def mixed_cdf(
    places: NDArray[np.float64],
    weight: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    first: NDArray[np.int64],
    cubics: NDArray[np.float64],
    step: float,
    n_steps: int,
    sums: NDArray[np.float64],
) -> None: ...
