from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

class PooledRun:
    def __init__(
        self,
        rows: tuple[Doubles, Doubles, Doubles],
        gate: tuple[Any, ...],
        groups: NDArray[np.int32],
        resp: Doubles,
        tau: Doubles,
        rho: Doubles,
        n_rounds: int,
        n_arrays: int,
        ties: Any = None,
    ) -> None: ...
    def begin(self, n_rounds: int, log_gate: Doubles, log_unit: float) -> float: ...
    def advance(
        self, n_iter: int, tol: float, reference: float, log_unit: float
    ) -> list[float]: ...
    def of_coefficients(
        self,
    ) -> tuple[Doubles, Doubles, float, float, Doubles, Doubles, Doubles, Doubles]: ...
    def of_variances(self) -> tuple[Doubles, Doubles]: ...
    def of_sums(self) -> tuple[Doubles, Doubles]: ...
    def of_gate(self) -> tuple[Doubles, tuple[Doubles, Doubles]]: ...
    def of_counts(self) -> Doubles: ...
    def of_rows(self) -> dict[str, Doubles]: ...

class LinesRun(PooledRun):
    def __init__(
        self, *given: object, nu: Doubles, floor: float, precisions: Doubles, ties: Any
    ) -> None: ...
    def of_precisions(self) -> tuple[Doubles, Doubles, float, float]: ...
    def of_squares(self) -> Doubles: ...

class StepsRun(PooledRun):
    def __init__(
        self,
        *given: object,
        kind: int,
        learns_variances: bool,
        size: float,
        limits: tuple[float, float, float, float],
        expected: Doubles,
        begins_alike: bool,
        scales: Doubles,
        of_rows: Doubles | None = None,
        sums: tuple[Doubles, Doubles] | None = None,
        divergence: float = 0.0,
        ties: Any = None,
    ) -> None: ...
    def of_steps(self) -> tuple[float, Doubles, Doubles]: ...
    def of_scales(self) -> tuple[Doubles, Doubles, Doubles]: ...
