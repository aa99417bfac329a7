# Made by tests/stubs.py.
# ruff: noqa
# fmt: off

__all__ = [
    "ExpertCollapseWarning",
    "IgnoredWeightsWarning",
    "LeftOutColumnsWarning",
    "LongFitWarning",
    "NoReplayWarning",
    "NumbersAsStringsWarning",
    "ScaleFloorWarning",
    "SmallWeightsWarning",
    "ThinnedRowsWarning",
]

class ExpertCollapseWarning(UserWarning): ...

class IgnoredWeightsWarning(UserWarning): ...

class LeftOutColumnsWarning(UserWarning): ...

class LongFitWarning(UserWarning): ...

class NoReplayWarning(UserWarning): ...

class NumbersAsStringsWarning(UserWarning): ...

class ScaleFloorWarning(UserWarning): ...

class SmallWeightsWarning(UserWarning): ...

class ThinnedRowsWarning(UserWarning): ...
