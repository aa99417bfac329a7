from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", np.float32, np.float64)

def e_step(
    log_gate: NDArray[Floating],
    log_density: NDArray[Floating],
    sample_weight: NDArray[np.float64],
    resp: NDArray[Floating],
    log_norm: NDArray[Floating],
    n_threads: int,
) -> float: ...
