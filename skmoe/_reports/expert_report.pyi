# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from typing import Any

__all__ = [
    "ExpertReport",
]

class ExpertReport:
    columns: dict[Any, Any]
    overlap: np.ndarray
    optima: list[dict[Any, Any]]
    balance: dict[Any, Any]
    notes: list[str]
    plan: str | None
    is_sparse: bool
    def __init__(
        self,
        columns: dict[Any, Any],
        overlap: np.ndarray,
        optima: list[dict[Any, Any]],
        balance: dict[Any, Any],
        notes: list[str] = ...,
        *,
        plan: str | None = None,
        is_sparse: bool = False,
    ) -> None: ...
    def to_frame(self) -> Any: ...
