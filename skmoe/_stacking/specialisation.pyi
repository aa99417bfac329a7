# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from typing import Any

__all__ = [
    "Specialisation",
]

class Specialisation:
    score_without: Any
    score_with: Any
    standard_error: Any
    of_list: Any
    def __init__(
        self, score_without: Any, score_with: Any, standard_error: Any, of_list: Any = False
    ) -> None: ...
    @property
    def gain(self) -> Any: ...
    @property
    def kept(self) -> Any: ...
    @classmethod
    def of(
        cls,
        log_density_without: Any,
        log_density_with: Any,
        weight: np.ndarray,
        *,
        of_list: Any = False,
    ) -> Any: ...
