from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", np.float32, np.float64)

def exp(x: NDArray[Floating]) -> None: ...
def log(x: NDArray[np.float64]) -> None: ...
