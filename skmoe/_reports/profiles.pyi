# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
from typing import Any, Literal

__all__ = [
    "ExpertProfiles",
]

class ExpertProfiles:
    profiles: list[Any]
    outputs: list[str]
    of_classes: bool
    kind: Literal["expert", "regime"]
    notes: list[str]
    def __init__(
        self,
        profiles: list[Any],
        outputs: list[str],
        of_classes: bool,
        kind: Literal["expert", "regime"] = "expert",
        notes: list[str] = ...,
    ) -> None: ...
    def to_frame(self) -> Any: ...
