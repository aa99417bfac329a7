import numpy as np
from numpy.typing import NDArray

def softmax_newton(
    design: NDArray[np.float64],
    targets: NDArray[np.float64],
    coef: NDArray[np.float64],
    penalty: NDArray[np.float64],
    max_iter: int,
    tol: float,
    proba: NDArray[np.float64],
    log_proba: NDArray[np.float64],
) -> tuple[int, bool]: ...
def softmax_volume(
    pairs: NDArray[np.float64],
    penalty: NDArray[np.float64],
    variance: NDArray[np.float64] | None,
) -> float: ...
def learn_softmax(
    design: NDArray[np.float64],
    targets: NDArray[np.float64],
    coef: NDArray[np.float64],
    penalty: NDArray[np.float64],
    groups: NDArray[np.int32],
    smallest: float,
    largest: float,
    n_steps: int,
    max_iter: int,
    tol: float,
    proba: NDArray[np.float64],
    log_proba: NDArray[np.float64],
) -> float: ...
