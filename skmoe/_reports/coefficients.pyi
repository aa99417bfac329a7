# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from typing import Any

__all__ = [
    "CoefficientTable",
]

class CoefficientTable:
    experts: list[str]
    parts: list[str]
    terms: list[str]
    values: np.ndarray
    note: str
    def __init__(
        self,
        experts: list[str],
        parts: list[str],
        terms: list[str],
        values: np.ndarray,
        note: str = "",
    ) -> None: ...
    def to_frame(self) -> Any: ...
