import numpy as np
from numpy.typing import NDArray

def least_squares(
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    penalty: NDArray[np.float64],
    coef: NDArray[np.float64],
    least_pivot: float,
) -> list[int]: ...
def add_to_targets(
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    squares: NDArray[np.float64],
    coef: NDArray[np.float64],
    sign: float,
    new_cross: NDArray[np.float64],
    new_squares: NDArray[np.float64],
) -> None: ...
def cholesky(matrix: NDArray[np.float64]) -> float: ...
def solve_factored(factor: NDArray[np.float64], right: NDArray[np.float64]) -> None: ...
def softmax_step(
    factor: NDArray[np.float64], gradient: NDArray[np.float64], step: NDArray[np.float64]
) -> float: ...
def softmax_curvature(pairs: NDArray[np.float64], hessian: NDArray[np.float64]) -> None: ...
def add_softmax_penalty(hessian: NDArray[np.float64], penalty: NDArray[np.float64]) -> None: ...
