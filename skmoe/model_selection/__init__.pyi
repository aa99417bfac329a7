# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Iterable
from typing import Any, Literal
from numpy.typing import ArrayLike
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

__all__ = [
    "ExpertSelection",
    "select_n_experts",
]

def select_n_experts(
    estimator: MixtureOfExpertsRegressor | MixtureOfExpertsClassifier,
    X: Any,
    y: ArrayLike,
    n_experts: Iterable[Any] = ...,
    *,
    criterion: Literal["auto", "evidence", "bic", "icl", "aic", "cv"] = "auto",
    cv: Any = 5,
    sample_weight: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    subject: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> ExpertSelection: ...

class ExpertSelection:
    best_n_experts_: int
    best_estimator_: Any
    criterion_: Literal["evidence", "bic", "icl", "aic", "cv"]
    results_: dict[Any, Any]
    def __init__(
        self,
        results: dict[Any, Any],
        best: int,
        estimator: Any,
        criterion: Literal["evidence", "bic", "icl", "aic", "cv"],
    ) -> None: ...
    @property
    def disagreement(self) -> str | None: ...
    def to_frame(self) -> Any: ...
