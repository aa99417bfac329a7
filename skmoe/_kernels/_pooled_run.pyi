import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

class PooledRun:
    def __init__(
        self,
        design: Doubles,
        y: Doubles,
        weight: Doubles,
        gate_design: Doubles,
        gate_penalty: Doubles,
        groups: NDArray[np.int32],
        nu: Doubles,
        floor: float,
        resp: Doubles,
        tau: Doubles,
        rho: Doubles,
        precisions: Doubles,
        coef: Doubles,
        rounds_of_one: int,
    ) -> None: ...
    def advance(
        self, n_iter: int, tol: float, reference: float, log_unit: float
    ) -> list[float]: ...
    def of_coefficients(
        self,
    ) -> tuple[Doubles, Doubles, float, float, Doubles, Doubles, Doubles, Doubles]: ...
    def of_variances(self) -> tuple[Doubles, Doubles]: ...
    def of_precisions(self) -> tuple[Doubles, Doubles, float, float]: ...
    def of_sums(self) -> list[Doubles]: ...
    def of_gate(self) -> tuple[Doubles, tuple[Doubles, Doubles]]: ...
    def of_rows(self) -> dict[str, Doubles]: ...
