from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", np.float32, np.float64)

def of_classes(n_classes: int) -> tuple[int, int]: ...
def sizes(
    n_experts: int, n_columns: int, with_curvature: bool, n_classes: int = 2, kind: int = 0
) -> tuple[int, int]: ...
def linear_pass(
    X: NDArray[Floating],
    y: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    y_mean: float,
    y_scale: float,
    coef: NDArray[Floating],
    precision: NDArray[Floating],
    log_scale: NDArray[Floating],
    resp: NDArray[np.float64] | None,
    logistic: bool,
    with_grams: bool,
    with_curvature: bool,
    n_kept: int,
    chunk_rows: int,
    workspace: NDArray[Floating],
    partial: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None: ...
