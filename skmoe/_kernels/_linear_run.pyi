from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", np.float32, np.float64)
Doubles = NDArray[np.float64]

class Acceleration:
    is_late: bool
    def note(self, gain: float) -> None: ...
    def propose(
        self, point: Doubles, step: Doubles, metric: Callable[[Doubles], Doubles]
    ) -> tuple[Doubles | None, float]: ...
    def reject(self) -> None: ...

class LinearRun:
    logits: Doubles
    coef: Doubles
    errors: Doubles
    sums: Doubles
    mass: Doubles
    factor: Doubles
    bound: Doubles
    curvature: Doubles
    squares: Doubles
    row_masses: Doubles
    other_sums: Doubles
    old_coef: Doubles
    has_grams: bool
    has_pairs: bool
    has_factor: bool
    has_curvature: bool
    drift: float
    expert_drift: float
    value: float
    n_classes: int
    kind: int
    rises: bool
    def __init__(
        self,
        n_experts: int,
        y: Doubles,
        weight: Doubles,
        mean: Doubles,
        scale: Doubles,
        penalty: Doubles,
        rows_gram: Doubles | None,
        acceleration: Acceleration | None,
        *,
        y_mean: float = 0.0,
        y_scale: float = 1.0,
        is_prior: bool = True,
        alpha: float = -1.0,
        floor: float = 0.0,
        variance: float = 1.0,
        shared: bool = False,
        n_kept: int = 2**31,
        longest_drift: float = 0.1,
        longest_expert_drift: float = 0.1,
        least_pivot: float = 1e-6,
        rounding: float = 1e-13,
        n_newton: int = 0,
        n_classes: int = 2,
        kind: int = 0,
        offset: Doubles | None = None,
        constant: float = 0.0,
    ) -> None: ...
    def beside(self, other: LinearRun | None) -> LinearRun: ...
    def rounded(self) -> LinearRun: ...
    def rounded_columns(self, X: NDArray[Floating]) -> NDArray[np.float32]: ...
    def going_on(self, other: LinearRun) -> LinearRun: ...
    def expert_masses(self) -> list[float]: ...
    def take_classes(self, functions: Doubles, curvature: Doubles | None) -> None: ...
    def of_classes(self) -> tuple[Doubles, Doubles]: ...

def advance(
    run: LinearRun,
    X: NDArray[Floating],
    resp: Doubles | None,
    n_iter: int,
    tol: float,
    foresees: bool,
    gains: list[float],
    reference: float,
    chunk_rows: int,
    workspace: NDArray[Floating],
    partial: Doubles,
) -> list[float]: ...
def responsibilities(run: LinearRun, X: NDArray[Floating]) -> Doubles: ...
def dissolved(resp: Doubles, light: int) -> Doubles: ...
def left_to_gain(gains: list[float], objective: float, foresees: bool) -> float: ...
def shape_sums(
    y: Doubles, mean: Doubles, weight: Doubles, shape: float, derives: bool = True
) -> tuple[float, float, float]: ...
