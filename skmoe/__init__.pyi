# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Callable
from typing import Any, Literal, Self, overload
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from skmoe.likelihoods import BaseLikelihood, Categorical
from skmoe._reports.coefficients import CoefficientTable
from skmoe._reports.profiles import ExpertProfiles
from skmoe._reports.expert_report import ExpertReport
from skmoe.inference import MarginalEffects, MixtureSummary, Stability
from skmoe.distributions import MixtureDistribution
from skmoe._planning.plan import Plan
from skmoe._stacking.specialisation import Specialisation

__all__ = [
    "DensityForestRegressor",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "RateRegressor",
    "show_versions",
]
__version__: str

def show_versions() -> None: ...

class DensityForestRegressor(RegressorMixin, BaseEstimator):
    forest_: Any
    width_: float
    adaptive_: bool | Literal["proportional"]
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_estimators: int
    min_samples_leaf: Literal["best"] | int | float
    max_features: Literal["best", "sqrt", "log2"] | int | float | None
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        n_estimators: int = 100,
        *,
        min_samples_leaf: Literal["best"] | int | float = 1,
        max_features: Literal["best", "sqrt", "log2"] | int | float | None = 1.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def predict(self, X: Any) -> np.ndarray: ...
    def predict_dist(self, X: Any) -> MixtureDistribution: ...

class RateRegressor(RegressorMixin, BaseEstimator):
    classifier_: Any
    n_features_in_: int
    classifier: Any
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(self, classifier: Any) -> None: ...
    @property
    def coef_(self) -> Any: ...
    @property
    def feature_importances_(self) -> np.ndarray: ...
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    @property
    def intercept_(self) -> Any: ...
    def predict(self, X: Any) -> np.ndarray: ...

class MixtureOfExpertsClassifier(ClassifierMixin, BaseEstimator):
    classes_: np.ndarray
    plan_: Plan
    experts_: list[Any]
    named_experts_: Any
    gate_: Any
    likelihood_: Categorical
    expert_load_: np.ndarray
    lower_bounds_: list[float]
    lower_bound_: float
    log_evidence_: dict[Any, Any]
    model_weights_: dict[Any, Any]
    specialisation_: Specialisation
    start_lower_bounds_: list[list[float]]
    n_iter_: int
    n_expert_fits_: int
    converged_: bool
    oof_score_: float
    oof_log_density_: np.ndarray
    oof_responsibilities_: np.ndarray
    n_samples_seen_: float
    n_features_in_: int
    feature_names_in_: np.ndarray
    experts: Any
    n_experts: int | Literal["auto"]
    gate: Any
    likelihood: Literal["auto", "categorical"] | Categorical
    training: Literal["auto", "em", "pooled", "stack", "specialists"]
    class_weight: dict[Any, Any] | Literal["balanced"] | None
    expert_columns: list[int | str] | None
    cv: Any
    top_k: int | None
    init: str | Callable[..., Any]
    n_init: int
    max_iter: int
    tol: float
    warm_start: bool
    forget_factor: float
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: int
    set_fit_request: Callable[..., Any]
    set_partial_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    set_callbacks: Callable[..., Self]
    def __init__(
        self,
        experts: Any = None,
        n_experts: int | Literal["auto"] = "auto",
        *,
        gate: Any = None,
        likelihood: Literal["auto", "categorical"] | Categorical = "auto",
        training: Literal["auto", "em", "pooled", "stack", "specialists"] = "auto",
        class_weight: dict[Any, Any] | Literal["balanced"] | None = None,
        expert_columns: list[int | str] | None = None,
        cv: Any = "auto",
        top_k: int | None = None,
        init: str | Callable[..., Any] = "auto",
        n_init: int = 10,
        max_iter: int = 500,
        tol: float = 1e-05,
        warm_start: bool = False,
        forget_factor: float = 1.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def add_expert(
        self,
        X: Any,
        y: ArrayLike,
        expert: Any = None,
        *,
        name: str | None = None,
        sample_weight: ArrayLike | None = None,
        replay: Any = None,
    ) -> Self: ...
    def aic(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def bic(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def coefficients(
        self, *, by: Literal["regime", "expert"] = "regime", max_rows: int | None = 60
    ) -> CoefficientTable: ...
    def expert_profiles(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        responsibilities: ArrayLike | None = None,
        described_by: Any = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> ExpertProfiles: ...
    def expert_report(
        self,
        X: Any = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> ExpertReport: ...
    @property
    def feature_importances_(self) -> np.ndarray: ...
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        **params: dict[Any, Any],
    ) -> Self: ...
    def gate_proba(self, X: Any, *, by: Literal["expert", "regime"] = "expert") -> np.ndarray: ...
    def get_metadata_routing(self) -> Any: ...
    def get_params(self, deep: bool = True) -> dict[Any, Any]: ...
    def icl(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def log_density(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> np.ndarray: ...
    def marginal_effects(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        cov: Literal["observed", "sandwich", "bootstrap"] = "observed",
        level: float = 0.95,
    ) -> MarginalEffects: ...
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self: ...
    def plan(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Plan: ...
    def predict(self, X: Any) -> np.ndarray: ...
    def predict_experts(self, X: Any) -> np.ndarray: ...
    def predict_log_proba(self, X: Any) -> np.ndarray: ...
    def predict_proba(self, X: Any) -> np.ndarray: ...
    def remove_expert(self, name: str) -> Self: ...
    def responsibilities(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> np.ndarray: ...
    def route(self, X: Any) -> tuple[np.ndarray, np.ndarray]: ...
    def sample_y(
        self, X: Any, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray: ...
    def score(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def set_params(self, **params: dict[Any, Any]) -> Self: ...
    def stability(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        n_resamples: int = 20,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> Stability: ...
    def summary(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        cov: Literal["observed", "sandwich", "bootstrap"] = "observed",
        level: float = 0.95,
        by: Literal["regime", "expert"] = "regime",
        max_rows: int | None = 60,
    ) -> MixtureSummary: ...

class MixtureOfExpertsRegressor(RegressorMixin, BaseEstimator):
    n_regimes_: int
    regimes_: list[list[str]]
    n_distinct_experts_: int
    plan_: Plan
    experts_: list[Any]
    named_experts_: Any
    gate_: Any
    likelihood_: BaseLikelihood
    expert_load_: np.ndarray
    lower_bounds_: list[float]
    lower_bound_: float
    log_evidence_: dict[Any, Any]
    model_weights_: dict[Any, Any]
    specialisation_: Specialisation
    start_lower_bounds_: list[list[float]]
    n_iter_: int
    n_expert_fits_: int
    converged_: bool
    oof_score_: float
    oof_log_density_: np.ndarray
    oof_responsibilities_: np.ndarray
    n_samples_seen_: float
    n_features_in_: int
    feature_names_in_: np.ndarray
    experts: Any
    n_experts: int | Literal["auto"]
    gate: Any
    likelihood: str | BaseLikelihood
    training: Literal["auto", "em", "pooled", "stack", "specialists"]
    expert_columns: list[int | str] | None
    cv: Any
    top_k: int | None
    init: str | Callable[..., Any]
    n_init: int
    max_iter: int
    tol: float
    warm_start: bool
    forget_factor: float
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: int
    class_weight: Any
    set_fit_request: Callable[..., Any]
    set_partial_fit_request: Callable[..., Any]
    set_predict_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    set_callbacks: Callable[..., Self]
    def __init__(
        self,
        experts: Any = None,
        n_experts: int | Literal["auto"] = "auto",
        *,
        gate: Any = None,
        likelihood: str | BaseLikelihood = "auto",
        training: Literal["auto", "em", "pooled", "stack", "specialists"] = "auto",
        expert_columns: list[int | str] | None = None,
        cv: Any = "auto",
        top_k: int | None = None,
        init: str | Callable[..., Any] = "auto",
        n_init: int = 10,
        max_iter: int = 500,
        tol: float = 1e-05,
        warm_start: bool = False,
        forget_factor: float = 1.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def add_expert(
        self,
        X: Any,
        y: ArrayLike,
        expert: Any = None,
        *,
        name: str | None = None,
        sample_weight: ArrayLike | None = None,
        replay: Any = None,
    ) -> Self: ...
    def aic(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def bic(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def coefficients(
        self, *, by: Literal["regime", "expert"] = "regime", max_rows: int | None = 60
    ) -> CoefficientTable: ...
    def expert_profiles(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        responsibilities: ArrayLike | None = None,
        described_by: Any = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> ExpertProfiles: ...
    def expert_report(
        self,
        X: Any = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> ExpertReport: ...
    @property
    def feature_importances_(self) -> np.ndarray: ...
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        **params: dict[Any, Any],
    ) -> Self: ...
    def gate_proba(self, X: Any, *, by: Literal["expert", "regime"] = "expert") -> np.ndarray: ...
    def get_metadata_routing(self) -> Any: ...
    def get_params(self, deep: bool = True) -> dict[Any, Any]: ...
    def icl(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> float: ...
    def log_density(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> np.ndarray: ...
    def marginal_effects(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        cov: Literal["observed", "sandwich", "bootstrap"] = "observed",
        level: float = 0.95,
    ) -> MarginalEffects: ...
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def plan(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Plan: ...
    @overload
    def predict(
        self,
        X: Any,
        return_std: Literal[False] = False,
        *,
        quantiles: float | ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> np.ndarray: ...
    @overload
    def predict(
        self,
        X: Any,
        return_std: Literal[True],
        *,
        quantiles: float | ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def predict_dist(
        self, X: Any, *, exposure: ArrayLike | None = None, trials: ArrayLike | None = None
    ) -> MixtureDistribution: ...
    def predict_experts(self, X: Any) -> np.ndarray: ...
    def predict_interval(
        self,
        X: Any,
        level: float | ArrayLike = 0.9,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> np.ndarray: ...
    def predict_quantiles(
        self,
        X: Any,
        q: float | ArrayLike,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> np.ndarray: ...
    def remove_expert(self, name: str) -> Self: ...
    def responsibilities(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        by: Literal["regime", "expert"] = "regime",
    ) -> np.ndarray: ...
    def route(self, X: Any) -> tuple[np.ndarray, np.ndarray]: ...
    def sample_y(
        self,
        X: Any,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> np.ndarray: ...
    def score(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> float: ...
    def set_params(self, **params: dict[Any, Any]) -> Self: ...
    def stability(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        n_resamples: int = 20,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> Stability: ...
    def summary(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        subject: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        cov: Literal["observed", "sandwich", "bootstrap"] = "observed",
        level: float = 0.95,
        by: Literal["regime", "expert"] = "regime",
        max_rows: int | None = 60,
    ) -> MixtureSummary: ...
