# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
from collections.abc import Callable
from typing import Any

__all__ = [
    "Blocks",
    "Files",
]

class Blocks:
    def __init__(self, method: Callable[..., Any], files: Files) -> None: ...
    def __iter__(self) -> Any: ...

class Files:
    paths: Any
    reader: Callable[..., Any] | None
    target: int | str | None
    weight: int | str | None
    block_rows: int
    max_expert_rows: int
    def __init__(
        self,
        paths: Any,
        reader: Callable[..., Any] | None = None,
        *,
        target: int | str | None = None,
        weight: int | str | None = None,
        block_rows: int = 262144,
        max_expert_rows: int = 100000,
    ) -> None: ...
    def __iter__(self) -> None: ...
