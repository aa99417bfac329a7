# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
from collections.abc import Sequence
from typing import Any
from numpy.typing import ArrayLike
from skmoe import MixtureOfExpertsRegressor

__all__ = [
    "crps_score",
    "interval_score",
    "log_score",
    "pinball_score",
]

def crps_score(
    estimator: MixtureOfExpertsRegressor,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
) -> float: ...

def interval_score(
    estimator: MixtureOfExpertsRegressor,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    level: float = 0.9,
) -> float: ...

def log_score(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> float: ...

def pinball_score(
    estimator: MixtureOfExpertsRegressor,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    quantile: float | Sequence[float] = ...,
) -> float: ...
