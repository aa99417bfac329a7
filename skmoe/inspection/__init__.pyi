# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Sequence
from typing import Any, Literal
from numpy.typing import ArrayLike
from skmoe.distributions import MixtureDistribution

__all__ = [
    "CalibrationDisplay",
    "ExpertDisplay",
    "GateDisplay",
    "PredictiveDisplay",
]

class CalibrationDisplay:
    densities_: list[np.ndarray]
    bands_: list[Any]
    coverage_line_: Any
    axes_: np.ndarray
    ax_: Any
    figure_: Any
    pit: np.ndarray
    expert_pit: np.ndarray
    responsibilities: np.ndarray
    names: list[str]
    sample_weight: np.ndarray | None
    randomised: bool
    name: str | None
    def __init__(
        self,
        *,
        pit: np.ndarray,
        expert_pit: np.ndarray,
        responsibilities: np.ndarray,
        names: list[str],
        sample_weight: np.ndarray | None = None,
        randomised: bool = False,
        name: str | None = None,
    ) -> None: ...
    def coverage(self, levels: float | ArrayLike) -> float | np.ndarray: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        kind: Literal["pit", "experts", "coverage"] = "pit",
        n_bins: int = 10,
        output: int | None = None,
        sample_weight: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        name: str | None = None,
        by: Literal["regime", "expert"] = "regime",
        ax: Any = None,
    ) -> CalibrationDisplay: ...
    @classmethod
    def from_predictions(
        cls,
        distribution: MixtureDistribution,
        y: ArrayLike,
        *,
        kind: Literal["pit", "experts", "coverage"] = "pit",
        n_bins: int = 10,
        output: int | None = None,
        sample_weight: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> CalibrationDisplay: ...
    def plot(
        self,
        ax: Any = None,
        *,
        kind: Literal["pit", "experts", "coverage"] = "pit",
        n_bins: int = 10,
    ) -> CalibrationDisplay: ...

class ExpertDisplay:
    lines_: list[Any]
    preferred_lines_: list[Any]
    scatters_: list[Any]
    axes_: np.ndarray
    ax_: Any
    figure_: Any
    axis: Any
    predictions: np.ndarray
    proba: np.ndarray
    names: list[str]
    target_name: str
    y: np.ndarray | None
    responsibilities: np.ndarray | None
    of_class: bool
    def __init__(
        self,
        *,
        axis: Any,
        predictions: np.ndarray,
        proba: np.ndarray,
        names: list[str],
        target_name: str = "y",
        y: np.ndarray | None = None,
        responsibilities: np.ndarray | None = None,
        of_class: bool = False,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        feature: int | str | None = None,
        *,
        responsibilities: ArrayLike | None = None,
        output: int | None = None,
        class_of_interest: int | float | bool | str | None = None,
        grid_resolution: int = 100,
        subsample: int = 200,
        random_state: int | np.random.RandomState | None = None,
        by: Literal["regime", "expert"] = "regime",
        ax: Any = None,
    ) -> ExpertDisplay: ...
    def plot(self, ax: Any = None) -> ExpertDisplay: ...
    @property
    def points(self) -> np.ndarray: ...

class GateDisplay:
    lines_: list[list[Any]]
    scatters_: list[list[Any]]
    meshes_: list[Any]
    axes_: np.ndarray
    ax_: Any
    figure_: Any
    panels: list[tuple[Any, ...]]
    proba: list[np.ndarray]
    names: list[str]
    responsibilities: np.ndarray | None
    def __init__(
        self,
        *,
        panels: list[tuple[Any, ...]],
        proba: list[np.ndarray],
        names: list[str],
        responsibilities: np.ndarray | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        features: int | str | tuple[Any, ...] | list[Any] | None = None,
        *,
        responsibilities: ArrayLike | None = None,
        grid_resolution: int = 100,
        subsample: int = 200,
        random_state: int | np.random.RandomState | None = None,
        by: Literal["regime", "expert"] = "regime",
        ax: Any = None,
    ) -> GateDisplay: ...
    def plot(self, ax: Any = None) -> GateDisplay: ...
    @property
    def points(self) -> list[tuple[np.ndarray, ...]]: ...

class PredictiveDisplay:
    fans_: list[Any]
    mean_line_: Any
    lines_: list[Any]
    axes_: np.ndarray
    ax_: Any
    figure_: Any
    axis: Any
    levels: tuple[float, ...]
    intervals: np.ndarray | None
    mean: np.ndarray | None
    proba: np.ndarray | None
    classes: np.ndarray | None
    discrete: bool
    target_name: str
    y: np.ndarray | None
    def __init__(
        self,
        *,
        axis: Any,
        levels: tuple[float, ...] = ...,
        intervals: np.ndarray | None = None,
        mean: np.ndarray | None = None,
        proba: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        discrete: bool = False,
        target_name: str = "y",
        y: np.ndarray | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        feature: int | str | None = None,
        *,
        levels: Sequence[float] = ...,
        output: int | None = None,
        grid_resolution: int = 100,
        ax: Any = None,
    ) -> PredictiveDisplay: ...
    def plot(self, ax: Any = None) -> PredictiveDisplay: ...
    @property
    def points(self) -> np.ndarray: ...
