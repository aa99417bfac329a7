# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Callable, Sequence
from typing import Any, Literal
from numpy.typing import ArrayLike
from skmoe.distributions import MixtureDistribution
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

__all__ = [
    "BootstrapResult",
    "MarginalEffects",
    "MixtureSummary",
    "Stability",
    "SubjectEffects",
    "bootstrap",
    "subject_effects",
]

def bootstrap(
    estimator: MixtureOfExpertsRegressor | MixtureOfExpertsClassifier,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    subject: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    statistic: Callable[..., Any] | None = None,
    n_resamples: int = 200,
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> BootstrapResult: ...

def subject_effects(
    mixture: MixtureOfExpertsRegressor,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    subject: ArrayLike,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> SubjectEffects: ...

class SubjectEffects:
    mixture: MixtureOfExpertsRegressor
    labels: np.ndarray
    responsibilities: np.ndarray
    mean: np.ndarray | None
    covariance: np.ndarray | None
    def __init__(
        self,
        mixture: MixtureOfExpertsRegressor,
        labels: np.ndarray,
        responsibilities: np.ndarray,
        mean: np.ndarray | None = None,
        covariance: np.ndarray | None = None,
    ) -> None: ...
    def predict(self, X: Any, subject: ArrayLike) -> np.ndarray: ...
    def predict_dist(self, X: Any, subject: ArrayLike) -> MixtureDistribution: ...
    def to_frame(self) -> Any: ...

class BootstrapResult:
    bootstrap_distribution: np.ndarray
    standard_error: np.ndarray
    confidence_interval: Any
    estimate: np.ndarray
    names: Any
    confidence_level: float
    has_tests: bool
    index: Any
    value: str
    def __init__(
        self, estimate: np.ndarray, distribution: np.ndarray, names: Any, confidence_level: float
    ) -> None: ...
    def to_frame(self) -> Any: ...

class MarginalEffects:
    std_error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    quantities: list[str]
    columns: list[str]
    kind: Literal["observed", "sandwich", "posterior", "bootstrap"]
    level: float
    notes: Sequence[str]
    has_tests: bool
    n_rows: float
    df: float
    index: Any
    value: str
    def __init__(
        self,
        quantities: list[str],
        columns: list[str],
        effect: np.ndarray,
        cov: np.ndarray,
        *,
        kind: Literal["observed", "sandwich", "posterior", "bootstrap"],
        has_tests: bool,
        level: float,
        n_rows: float,
        notes: Sequence[str] = ...,
        df: float = ...,
    ) -> None: ...
    def to_frame(self) -> Any: ...

class MixtureSummary:
    std_error: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    parts: list[str]
    terms: list[str]
    df: np.ndarray | float
    kind: Literal["observed", "sandwich", "posterior", "bootstrap"]
    level: float
    notes: Sequence[str]
    log_likelihood: float
    n_parameters: int | None
    n_samples: float
    n_subjects: int | None
    has_tests: bool
    index: Any
    value: str
    def __init__(
        self,
        parts: list[str],
        terms: list[str],
        estimate: np.ndarray,
        cov: np.ndarray,
        *,
        kind: Literal["observed", "sandwich", "posterior", "bootstrap"],
        level: float,
        log_likelihood: float,
        n_parameters: int | None,
        n_samples: float,
        n_subjects: int | None = None,
        notes: Sequence[str] = ...,
        df: np.ndarray | float = ...,
    ) -> None: ...
    def to_frame(self) -> Any: ...

class Stability:
    share: dict[Any, Any]
    rand: dict[Any, Any]
    changes: dict[Any, Any]
    labels: np.ndarray
    n_regimes: int
    word: Literal["regime", "expert"]
    n_by: dict[Any, Any]
    labels_by: dict[Any, Any]
    random_states: dict[Any, Any]
    counts: np.ndarray | None
    has_tests: bool
    index: Any
    value: str
    def __init__(
        self,
        labels: np.ndarray,
        n_regimes: int,
        *,
        n_by: dict[Any, Any],
        labels_by: dict[Any, Any],
        random_states: dict[Any, Any],
        counts: np.ndarray | None = None,
        word: Literal["regime", "expert"] = "regime",
    ) -> None: ...
    def to_frame(self, of: Literal["refits", "rows"] = "refits") -> Any: ...
    def verdict(self) -> str: ...
