# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
from typing import Any, Literal

__all__ = [
    "Plan",
]

class Plan:
    training: Literal["em", "pooled", "stack", "specialists"]
    n_experts: int | None
    most_experts: int
    experts: str
    gate: str
    likelihood: str
    predictions: str
    reasons: dict[Any, Any]
    most_expert_fits: int | None
    n_regimes: int | None
    notes: Any
    about_rows: Any
    request: Any
    is_default_gate: Any
    n_rows: Any
    number_by: Any
    is_number_of_plain: Any
    shape: Any
    n_init: Any
    n_slow: Any
    time_of_fits: Any
    em_may_follow: Any
    def __init__(
        self,
        training: Literal["em", "pooled", "stack", "specialists"],
        n_experts: int | None,
        most_experts: int,
        experts: str,
        gate: str,
        likelihood: str,
        predictions: str,
        reasons: dict[Any, Any],
        most_expert_fits: int | None,
        notes: Any = ...,
        about_rows: Any = ...,
        request: Any = None,
        n_regimes: int | None = None,
        is_default_gate: Any = True,
        n_rows: Any = 0.0,
        number_by: Any = None,
        is_number_of_plain: Any = False,
        shape: Any = ...,
        n_init: Any = 1,
        n_slow: Any = 0,
        time_of_fits: Any = "",
        em_may_follow: Any = False,
    ) -> None: ...
    @property
    def cells(self) -> Any: ...
    @property
    def encoding(self) -> Any: ...
    @property
    def findings(self) -> list[str]: ...
    def fitted(self, trained: Any, about_rows: Any) -> Any: ...
    @property
    def goes_on(self) -> Any: ...
    @property
    def likely_fits(self) -> Any: ...
    @property
    def sentence(self) -> Any: ...
