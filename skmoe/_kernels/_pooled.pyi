import numpy as np
from numpy.typing import NDArray

def learn_posterior(
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    tau: NDArray[np.float64],
    rho: NDArray[np.float64],
    groups: NDArray[np.int32] | None,
    mean: NDArray[np.float64],
    cov: NDArray[np.float64],
    own: NDArray[np.float64],
    shared: NDArray[np.float64],
) -> tuple[float, float]: ...
def variance_steps(
    group: NDArray[np.int32],
    mean: NDArray[np.float64],
    var: NDArray[np.float64],
    steps: NDArray[np.float64],
) -> None: ...
def join_sums(
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    regime: NDArray[np.int32],
    place: NDArray[np.int32],
    joined: NDArray[np.float64],
    joined_cross: NDArray[np.float64],
) -> None: ...
def part_moments(
    mean: NDArray[np.float64],
    cov: NDArray[np.float64],
    regime: NDArray[np.int32],
    place: NDArray[np.int32],
    parted: NDArray[np.float64],
    parted_cov: NDArray[np.float64],
) -> None: ...
def learn_precisions(
    mass: NDArray[np.float64],
    squares: NDArray[np.float64],
    nu: NDArray[np.float64],
    found: NDArray[np.float64],
) -> tuple[float, float]: ...
