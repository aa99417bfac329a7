# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

__all__ = [
    "DistillationLosses",
    "DistilledRegressor",
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

class DistillationLosses:
    by_target: dict[Any, Any]
    levels: np.ndarray
    kept: float
    width: float
    def __init__(self, levels: np.ndarray, kept: float, width: float) -> None: ...

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

class DistilledRegressor(RegressorMixin, BaseEstimator):
    estimator_: Any
    losses_: DistillationLosses
    mixture: MixtureOfExpertsRegressor
    estimator: Any
    quantiles: tuple[float, ...]
    test_size: float
    random_state: int | np.random.RandomState | None
    set_fit_request: Callable[..., Any]
    set_predict_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        mixture: MixtureOfExpertsRegressor,
        estimator: Any,
        *,
        quantiles: tuple[float, ...] = ...,
        test_size: float = 0.25,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None: ...
    def fit(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def predict(self, X: Any, quantiles: tuple[float, ...] | None = None) -> np.ndarray: ...
    def predict_quantiles(self, X: Any) -> np.ndarray: ...
