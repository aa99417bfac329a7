# Made by tests/stubs.py.
# ruff: noqa
# fmt: off
import numpy as np
from collections.abc import Callable
from typing import Any, Literal, Self
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = [
    "BaseGate",
    "ClassifierGate",
    "ConstantGate",
    "ForestGate",
    "GaussianGate",
    "SoftmaxGate",
    "TreeGate",
]

class BaseGate(ClassifierMixin, BaseEstimator):
    objective: Literal["conditional", "joint"]
    takes_load_prior: bool
    load_prior: np.ndarray | None
    load_balance: Any
    target_load: Any
    columns: Any
    can_be_pooled: bool
    sees_rows: bool
    is_linear: bool
    is_costly: bool
    can_sample: bool
    has_sums: bool
    n_functions_: int
    is_cross_fitted: bool
    n_iter_: int
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def begin_stream(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> None: ...
    @property
    def can_memorise(self) -> Any: ...
    @property
    def can_reorder(self) -> Any: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def for_decision(self) -> BaseGate: ...
    def for_number(self, n_experts: int) -> Self: ...
    @property
    def has_countable_parameters(self) -> Any: ...
    @property
    def keeps_order(self) -> bool: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    @property
    def learns_batches(self) -> Any: ...
    def log_prior(self) -> float: ...
    def log_proba_of_checked(self, X: ArrayLike) -> np.ndarray: ...
    @property
    def n_parameters_(self) -> Any: ...
    def predict(self, X: ArrayLike) -> np.ndarray: ...
    def predict_log_odds(self, X: ArrayLike) -> np.ndarray: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def predict_proba(self, X: ArrayLike) -> np.ndarray: ...
    def prior_counts(self, n_experts: int, weight: float) -> np.ndarray | None: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def simplified(self) -> BaseGate: ...

class ConstantGate(BaseGate):
    proportions_: np.ndarray
    classes_: np.ndarray
    n_features_in_: int
    load_balance: float
    target_load: ArrayLike | None
    exact_sums: bool
    has_sums: bool
    is_linear: bool
    sees_rows: bool
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    takes_load_prior: bool
    wants_curvature: bool
    def __init__(
        self, *, load_balance: float = 0.0, target_load: ArrayLike | None = None
    ) -> None: ...
    def begin_sums(self, X: ArrayLike, n_experts: int, units: Any) -> None: ...
    @property
    def can_be_pooled(self) -> Any: ...
    def curvature_of_each(self) -> np.ndarray: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def forget_curvature(self) -> None: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    def learn_sums(self, sums: Any, size: float = 1.0) -> None: ...
    def log_prior(self) -> float: ...
    @property
    def n_parameters_(self) -> Any: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def set_logits(self, logits: np.ndarray) -> None: ...
    def sum_logits(self) -> np.ndarray: ...

class ForestGate(BaseGate):
    trees_: Any
    softmax_: SoftmaxGate
    classes_: np.ndarray
    n_features_in_: int
    n_estimators: int
    min_samples_leaf: int
    max_features: float
    max_samples: int | None
    alpha: float
    random_state: int | np.random.RandomState | None
    can_be_pooled: bool
    has_sums: bool
    is_costly: bool
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        n_estimators: int = 60,
        *,
        min_samples_leaf: int = 5,
        max_features: float = 0.5,
        max_samples: int | None = 2000,
        alpha: float = 3.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def fit_forest(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> np.ndarray: ...
    def fit_softmax(
        self, columns: np.ndarray, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def log_proba_of_checked(self, X: ArrayLike) -> np.ndarray: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...

class GaussianGate(BaseGate):
    proportions_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray
    classes_: np.ndarray
    n_features_in_: int
    covariance_type: Literal["full", "diag", "tied"]
    prior_rows: float | None
    load_balance: float
    target_load: ArrayLike | None
    can_be_pooled: bool
    can_sample: bool
    has_sums: bool
    objective: Literal["conditional", "joint"]
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    takes_load_prior: bool
    def __init__(
        self,
        covariance_type: Literal["full", "diag", "tied"] = "full",
        *,
        prior_rows: float | None = None,
        load_balance: float = 0.0,
        target_load: ArrayLike | None = None,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    def log_prior(self) -> float: ...
    @property
    def n_parameters_(self) -> Any: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def score_samples(self, X: ArrayLike) -> np.ndarray: ...

class SoftmaxGate(BaseGate):
    coef_: np.ndarray
    intercept_: np.ndarray
    classes_: np.ndarray
    n_iter_: int
    n_features_in_: int
    alpha: float
    l1_ratio: float
    load_balance: float
    target_load: ArrayLike | None
    columns: list[int | str] | None
    max_iter: int
    tol: float
    warm_start: bool
    exact_sums: bool
    is_linear: bool
    keeps_curvature: bool
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        alpha: float = 0.1,
        *,
        l1_ratio: float = 0.0,
        load_balance: float = 0.0,
        target_load: ArrayLike | None = None,
        columns: list[int | str] | None = None,
        max_iter: int = 100,
        tol: float = 1e-08,
        warm_start: bool = False,
    ) -> None: ...
    def begin_stream(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> None: ...
    def begin_sums(
        self, X: ArrayLike, n_experts: int, units: Any, logits: np.ndarray | None = None
    ) -> None: ...
    @property
    def can_be_pooled(self) -> Any: ...
    def curvature_of_each(self) -> np.ndarray: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def forget_curvature(self) -> None: ...
    @property
    def has_sums(self) -> Any: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    def learn_sums(self, sums: Any, size: float = 1.0) -> None: ...
    @property
    def learns_batches(self) -> Any: ...
    def log_prior(self) -> float: ...
    def log_proba_of_checked(self, X: ArrayLike) -> np.ndarray: ...
    @property
    def n_functions_(self) -> Any: ...
    @property
    def n_parameters_(self) -> Any: ...
    def predict_log_odds(self, X: ArrayLike) -> np.ndarray: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def prior_precision(self) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def set_logits(self, logits: np.ndarray) -> None: ...
    def sum_logits(self) -> np.ndarray: ...
    @property
    def wants_curvature(self) -> Any: ...

class ClassifierGate(BaseGate):
    classifier_: Any
    classes_: np.ndarray
    classifier: Any
    smoothing: float
    random_state: int | np.random.RandomState | None
    load_balance: float
    target_load: ArrayLike | None
    can_be_pooled: bool
    has_sums: bool
    is_costly: bool
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        classifier: Any,
        *,
        smoothing: float = 0.0001,
        random_state: int | np.random.RandomState | None = None,
        load_balance: float = 0.0,
        target_load: ArrayLike | None = None,
    ) -> None: ...
    @property
    def can_memorise(self) -> Any: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    @property
    def learns_batches(self) -> Any: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...

class TreeGate(BaseGate):
    decision_: BaseGate
    branches_: list[BaseGate | None]
    classes_: np.ndarray
    n_features_in_: int
    sizes: list[int] | None
    gate: Any
    max_iter: int
    warm_start: bool
    random_state: int | np.random.RandomState | None
    can_be_pooled: bool
    has_sums: bool
    keeps_order: bool
    set_fit_request: Callable[..., Any]
    set_score_request: Callable[..., Any]
    def __init__(
        self,
        sizes: list[int] | None = None,
        gate: Any = None,
        *,
        max_iter: int = 100,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def begin_stream(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def for_decision(self) -> BaseGate: ...
    def for_number(self, n_experts: int) -> Self: ...
    @property
    def is_costly(self) -> Any: ...
    def learn_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike, *, keep: float, gain: float
    ) -> None: ...
    @property
    def learns_batches(self) -> Any: ...
    def log_prior(self) -> float: ...
    @property
    def n_functions_(self) -> Any: ...
    @property
    def n_iter_(self) -> Any: ...
    @property
    def n_parameters_(self) -> Any: ...
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray: ...
    def reorder(self, order: np.ndarray) -> None: ...
    def simplified(self) -> BaseGate: ...
