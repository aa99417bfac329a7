# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from skmoe.distributions import GaussianComponents

__all__ = [
    "BaseLikelihood",
    "Beta",
    "Binomial",
    "Categorical",
    "ExpertTerms",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "PredictorTerms",
    "RandomEffects",
    "StudentT",
    "Weibull",
]

class ExpertTerms:
    logs_of: tuple[str, ...]
    values_of: tuple[str, ...]
    shared_logs: tuple[str, ...]
    standardises: bool
    n_scales: int
    joins_rows: bool
    at_bound_message: str
    design: np.ndarray
    target: np.ndarray
    predictors: Any
    logs: Any
    values: Any
    def __init__(self, theta: np.ndarray, design: np.ndarray, target: np.ndarray) -> None: ...
    @classmethod
    def at_bound(cls, logs: np.ndarray, likelihood: BaseLikelihood) -> np.ndarray: ...
    @classmethod
    def beside(cls) -> tuple[str, ...]: ...
    @classmethod
    def has_density(cls, target: np.ndarray) -> np.ndarray: ...
    def hessian(self, weights: np.ndarray) -> np.ndarray: ...
    def log_density(self) -> np.ndarray: ...
    @classmethod
    def log_jacobian(cls, target: np.ndarray) -> np.ndarray: ...
    @classmethod
    def mean_of(cls, predictors: np.ndarray, beside: np.ndarray) -> np.ndarray: ...
    @staticmethod
    def n_predictors(target: np.ndarray) -> int: ...
    @classmethod
    def names_beside(cls, predictor: int) -> list[str]: ...
    @classmethod
    def of_fit(cls, expert: Any, likelihood: BaseLikelihood, k: int) -> np.ndarray: ...
    @classmethod
    def points(cls, target: np.ndarray) -> np.ndarray: ...
    def score(self) -> np.ndarray: ...
    @classmethod
    def size(cls, design: np.ndarray, target: np.ndarray) -> int: ...
    @classmethod
    def slopes_of_mean(cls, predictors: np.ndarray, beside: np.ndarray) -> list[Any]: ...
    @classmethod
    def target_of(
        cls, likelihood: BaseLikelihood, y: np.ndarray, exposure: np.ndarray | None
    ) -> np.ndarray: ...
    def undecided(self, weights: np.ndarray) -> np.ndarray: ...

class PredictorTerms(ExpertTerms):
    design: np.ndarray
    target: np.ndarray
    predictors: Any
    logs: Any
    values: Any
    def hessian(self, weights: np.ndarray) -> np.ndarray: ...
    def log_densities(self) -> np.ndarray: ...
    def log_density(self) -> np.ndarray: ...
    def score(self) -> float: ...
    def second(self) -> list[Any]: ...
    def widths(self) -> list[Any]: ...

class BaseLikelihood(BaseEstimator):
    name: str | None
    family: Any
    takes_exposure: bool
    takes_trials: bool
    takes_upper: bool
    takes_subjects: bool
    taken_by_subjects: Callable[..., Any] | None
    target_dtype: Any
    can_be_pooled: bool
    can_be_stacked: bool
    has_sums: bool
    independent_outputs: bool
    regime_: np.ndarray | None
    columns_: Any
    averages_experts: bool
    scale_model_: Callable[..., Any] | None
    has_scale_free_mean: bool
    scale_: np.ndarray | None
    own_density_: np.ndarray | None
    at_floor_: Sequence[bool]
    per_expert: tuple[str, ...]
    learned_logs: tuple[str, ...]
    learned_values: tuple[str, ...]
    learns_batches: bool
    changes_target: bool
    looks_at_target: bool
    is_robust: bool
    is_reweighted: bool
    by_name: Any
    df_: Any
    def at(self, point: np.ndarray) -> BaseLikelihood: ...
    def censored_terms(self) -> type | None: ...
    def check_values(self, y: np.ndarray) -> None: ...
    def components(self, prediction: np.ndarray, experts: np.ndarray | None = None) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    @property
    def expert_family(self) -> Any: ...
    def expert_target(self, y: np.ndarray) -> np.ndarray: ...
    def extended(self, other: BaseLikelihood, k: int) -> BaseLikelihood: ...
    def fitting(self, *, in_sample: bool, linear: bool) -> BaseLikelihood: ...
    def for_batches(self) -> BaseLikelihood: ...
    def learn_batch(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        *,
        keep: float,
        gain: float,
    ) -> None: ...
    def log_density(
        self, y: np.ndarray, prediction: np.ndarray, experts: np.ndarray | None = None
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    def log_probability(self, bounds: Any, prediction: np.ndarray) -> np.ndarray: ...
    @property
    def n_parameters_(self) -> Any: ...
    @classmethod
    def names_where(cls, does: Callable[..., Any]) -> str: ...
    def of_columns(self, n_columns: int, names: Sequence[str | None]) -> BaseLikelihood: ...
    def point(self) -> np.ndarray | None: ...
    def pooled(self) -> BaseLikelihood: ...
    @property
    def precision_(self) -> Any: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def row_arguments(
        self,
        row_scale: np.ndarray | None = None,
        exposure: np.ndarray | None = None,
        subjects: Any = None,
        X: Any = None,
    ) -> dict[Any, Any]: ...
    def scale_estimator(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def subjects_of(self, X: Any, subject: np.ndarray, weight: np.ndarray) -> Any: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def working_data(
        self, y: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, ...] | None: ...
    def working_exposure(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray | None: ...
    def working_weights(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray | None: ...

class Categorical(BaseLikelihood):
    temperature_: np.ndarray
    epsilon_: np.ndarray
    class_share_: np.ndarray
    calibration: Literal["auto", "temperature", "smoothing"] | None
    epsilon: float
    n_classes: int
    can_be_stacked: bool
    has_scale_free_mean: bool
    has_sums: bool
    learns_batches: bool
    name: str | None
    per_expert: tuple[str, ...]
    target_dtype: Any
    def __init__(
        self,
        *,
        calibration: Literal["auto", "temperature", "smoothing"] | None = "auto",
        epsilon: float = 0.001,
        n_classes: int = 0,
    ) -> None: ...
    def at(self, point: np.ndarray) -> BaseLikelihood: ...
    def calibrate(
        self, prediction: np.ndarray, experts: np.ndarray | None = None
    ) -> np.ndarray: ...
    @property
    def can_be_pooled(self) -> Any: ...
    def components(self, prediction: np.ndarray, experts: np.ndarray | None = None) -> None: ...
    def fitting(self, *, in_sample: bool, linear: bool) -> BaseLikelihood: ...
    def learn_batch(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        *,
        keep: float,
        gain: float,
    ) -> None: ...
    def log_density(
        self, y: np.ndarray, prediction: np.ndarray, experts: np.ndarray | None = None
    ) -> np.ndarray: ...
    @property
    def n_parameters_(self) -> Any: ...
    def point(self) -> np.ndarray | None: ...
    @property
    def scale_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, counts: np.ndarray, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def take_mass(self, mass: np.ndarray) -> None: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class Beta(BaseLikelihood):
    concentration_: np.ndarray
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        trials: ArrayLike = 1.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class Binomial(BaseLikelihood):
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    looks_at_target: bool
    name: str | None
    takes_trials: bool
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        trials: ArrayLike = 1.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class Gaussian(BaseLikelihood):
    scale_: np.ndarray
    covariance_: np.ndarray | None
    scale_model_: Callable[..., Any] | None
    floor_: float | np.ndarray
    scale: Any
    covariance: Literal["diag", "full"]
    can_be_stacked: bool
    has_scale_free_mean: bool
    learned_logs: tuple[str, ...]
    name: str | None
    def __init__(
        self, scale: Any = "expert", *, covariance: Literal["diag", "full"] = "diag"
    ) -> None: ...
    @property
    def at_floor_(self) -> Any: ...
    @property
    def can_be_pooled(self) -> Any: ...
    def censored_terms(self) -> type | None: ...
    def components(
        self,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        row_scale: np.ndarray | None = None,
    ) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    @property
    def has_sums(self) -> Any: ...
    @property
    def independent_outputs(self) -> Any: ...
    def learn_batch(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        *,
        keep: float,
        gain: float,
    ) -> None: ...
    @property
    def learns_batches(self) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        row_scale: np.ndarray | None = None,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def n_parameters_(self) -> Any: ...
    @property
    def per_expert(self) -> Any: ...
    @property
    def precision_(self) -> Any: ...
    def scale_estimator(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(
        self,
        variance: float | np.ndarray,
        values: np.ndarray | None | list[Any],
        largest: float | np.ndarray,
    ) -> Self: ...
    @property
    def takes_upper(self) -> Any: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        row_scale: np.ndarray | None = None,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        squares: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class LogNormal(BaseLikelihood):
    scale_: np.ndarray
    floor_: float | np.ndarray
    can_be_pooled: bool
    can_be_stacked: bool
    changes_target: bool
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    takes_upper: bool
    @property
    def at_floor_(self) -> Any: ...
    def censored_terms(self) -> type | None: ...
    def components(
        self,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        row_scale: np.ndarray | None = None,
    ) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    def expert_target(self, y: np.ndarray) -> np.ndarray: ...
    def log_density(
        self, y: np.ndarray, prediction: np.ndarray, experts: np.ndarray | None = None
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    def log_probability(self, bounds: Any, prediction: np.ndarray) -> np.ndarray: ...
    @property
    def n_parameters_(self) -> Any: ...
    @property
    def precision_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class RandomEffects(BaseLikelihood):
    scale_: np.ndarray
    relative_factor_: np.ndarray
    floor_: float
    columns: list[str | int]
    covariance: Literal["full", "diag"]
    can_be_pooled: bool
    can_be_stacked: bool
    effect_names_: Any
    effect_numbers_: Any
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    learned_values: tuple[str, ...]
    per_expert: tuple[str, ...]
    takes_subjects: bool
    def __init__(
        self, columns: list[str | int] = ..., *, covariance: Literal["full", "diag"] = "full"
    ) -> None: ...
    @property
    def at_floor_(self) -> Any: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, effects: np.ndarray
    ) -> Any: ...
    def components_given(
        self, prediction: np.ndarray, effects: np.ndarray, mean: np.ndarray, covariance: np.ndarray
    ) -> GaussianComponents: ...
    @property
    def covariance_(self) -> np.ndarray: ...
    def effects_of(self, X: Any) -> np.ndarray: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    def fitting(self, *, in_sample: bool, linear: bool) -> BaseLikelihood: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        subjects: Any = None,
        effects: np.ndarray | None = None,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def n_parameters_(self) -> Any: ...
    def of_columns(self, n_columns: int, names: Sequence[str | None]) -> BaseLikelihood: ...
    def posterior(
        self, y: np.ndarray, prediction: np.ndarray, subjects: Any
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @property
    def precision_(self) -> Any: ...
    def row_arguments(
        self,
        row_scale: np.ndarray | None = None,
        exposure: np.ndarray | None = None,
        subjects: Any = None,
        X: Any = None,
    ) -> dict[Any, Any]: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    @property
    def subject_scale_(self) -> np.ndarray: ...
    def subjects_of(self, X: Any, subject: np.ndarray, weight: np.ndarray) -> Any: ...
    def taken_by_subjects(
        self, subjects: Any, design: np.ndarray, targets: np.ndarray, resp: np.ndarray
    ) -> Any: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        subjects: Any,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class StudentT(BaseLikelihood):
    scale_: np.ndarray
    df_: np.ndarray
    floor_: float | np.ndarray
    df: float | Literal["estimate"]
    can_be_pooled: bool
    has_scale_free_mean: bool
    has_sums: bool
    is_reweighted: bool
    is_robust: bool
    learned_logs: tuple[str, ...]
    name: str | None
    per_expert: tuple[str, ...]
    takes_upper: bool
    def __init__(self, df: float | Literal["estimate"] = 4.0) -> None: ...
    @property
    def at_floor_(self) -> Any: ...
    @property
    def can_be_stacked(self) -> Any: ...
    def components(
        self,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        row_scale: np.ndarray | None = None,
    ) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        row_scale: np.ndarray | None = None,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def n_parameters_(self) -> Any: ...
    @property
    def precision_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def terms(self) -> type | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        row_scale: np.ndarray | None = None,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def working_weights(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray | None: ...

class Gamma(BaseLikelihood):
    shape_: np.ndarray
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    takes_upper: bool
    def censored_terms(self) -> type | None: ...
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        trials: ArrayLike = 1.0,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class InverseGaussian(BaseLikelihood):
    shape_: np.ndarray
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    takes_upper: bool
    def censored_terms(self) -> type | None: ...
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        trials: ArrayLike = 1.0,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class NegativeBinomial(BaseLikelihood):
    shape_: np.ndarray
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    expert_family: Any
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    is_reweighted: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    takes_exposure: bool
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def working_exposure(self, y: np.ndarray, prediction: np.ndarray) -> np.ndarray | None: ...

class Poisson(BaseLikelihood):
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    looks_at_target: bool
    name: str | None
    takes_exposure: bool
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
        *,
        trials: ArrayLike = 1.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...

class Weibull(BaseLikelihood):
    shape_: np.ndarray
    floor_: float
    can_be_pooled: bool
    can_be_stacked: bool
    family: Any
    has_scale_free_mean: bool
    has_sums: bool
    learned_logs: tuple[str, ...]
    looks_at_target: bool
    name: str | None
    per_expert: tuple[str, ...]
    takes_upper: bool
    @property
    def at_floor_(self) -> Any: ...
    def censored_terms(self) -> type | None: ...
    def check_values(self, y: np.ndarray) -> None: ...
    def components(
        self, prediction: np.ndarray, experts: np.ndarray | None = None, *, trials: ArrayLike = 1.0
    ) -> Any: ...
    def expected_target(
        self, bounds: Any, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]: ...
    def log_density(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        experts: np.ndarray | None = None,
        *,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray: ...
    def log_prior(self, penalty: float | np.ndarray) -> float: ...
    @property
    def precision_(self) -> Any: ...
    @property
    def scales_(self) -> Any: ...
    def start(self, y: np.ndarray, weight: np.ndarray, n_experts: int) -> Self: ...
    def start_from_sums(self, mean: float, n_experts: int) -> Self: ...
    def start_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None: ...
    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_censored(
        self,
        bounds: Any,
        prediction: np.ndarray,
        weights: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
    def update_from_sums(
        self,
        mass: np.ndarray,
        values: np.ndarray,
        penalty: float | np.ndarray = 0.0,
        pooled_rows: float = 0.0,
    ) -> None: ...
