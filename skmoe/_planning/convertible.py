"""What has a converter to ONNX: asked by the plan before a fit, and by the converters after it."""

from functools import cache

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .._experts.density_forest import DensityForestRegressor
from .._experts.smooth import SmoothRegressor
from .._experts.solvers import has_experts
from ..gates import ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate
from ..gates._classifier import as_gate
from ..likelihoods import (
    Categorical,
    Gamma,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    StudentT,
)
from ..likelihoods._pooled import PooledGaussian
from ..likelihoods._pooled_categorical import PooledCategorical

# Of those of numbers, but LogNormal, the mean of a component is the prediction of the expert.
OF_NUMBERS = (
    Gaussian, PooledGaussian, StudentT, LogNormal, Poisson, NegativeBinomial, Gamma,
)  # fmt: skip
OF_CLASSES = (Categorical, PooledCategorical)
GATES = (ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate)
# Written by skmoe, or made of others.
WRITTEN = (
    LinearRegression, LogisticRegression, Ridge, RidgeCV, DensityForestRegressor, SmoothRegressor,
    Pipeline, FrozenEstimator,
)  # fmt: skip


@cache
def _known_to_skl2onnx():
    """What skl2onnx has converters of, also those registered later; None where it is not there."""
    try:
        from skl2onnx._supported_operators import sklearn_operator_name_map
    except ImportError:
        return None
    return sklearn_operator_name_map


def check_convertible(refusal):
    """Raise a NotImplementedError with what a function below says, unless that is None."""
    if refusal is not None:
        raise NotImplementedError(refusal)


def refused_likelihood(likelihood, *, classifies):
    """Why mixtures with a likelihood, fitted or not, cannot be converted; None if they can."""
    kinds, name = OF_CLASSES if classifies else OF_NUMBERS, type(likelihood).__name__
    if type(likelihood) in kinds:
        return None
    names = ", ".join(each.__name__ for each in kinds)
    return f"Mixtures with the likelihood {name} cannot be converted to ONNX, but with {names}."


def refused_labels(classes):
    """Why these class labels cannot be converted; None if they can."""
    is_whole = classes.dtype.kind == "f" and (classes == np.round(classes)).all()
    if classes.dtype.kind in "biu" or is_whole or all(isinstance(each, str) for each in classes):
        return None
    return f"Class labels must be integers or strings for ONNX; got {classes}."


def refused_gate(gate):
    """Why a gate, fitted or not, cannot be converted; None if it can."""
    *transformers, last = steps_of(gate)
    name = _unwritten_gate(as_gate(last))
    if name is not None:
        names = ", ".join(each.__name__ for each in GATES)
        return (
            f"The gate cannot be converted to ONNX: {name} is none of {names}, of which "
            "ClassifierGate cannot be within a TreeGate."
        )
    return refused_estimators("The gate", [*transformers, inner_estimator(as_gate(last))])


def inner_estimator(gate):
    """The estimator inside of a gate, fitted where the gate is, or None."""
    return vars(gate).get("classifier_", vars(gate).get("classifier"))


def _unwritten_gate(gate, *, inside=False):
    """Name of the class of a gate, or of one inside it, that cannot be written; None if all can."""
    if type(gate) not in GATES or (inside and inner_estimator(gate) is not None):
        return type(gate).__name__
    parts = []
    if type(gate) is TreeGate:
        is_fitted = "branches_" in vars(gate)
        parts = [gate.decision_, *gate.branches_] if is_fitted else [gate.gate]
    names = [_unwritten_gate(as_gate(part), inside=True) for part in parts if part is not None]
    return next(filter(None, names), None)


def refused_estimators(role, estimators):
    """Why one of some estimators, fitted or not, cannot be converted; None if all can."""
    for estimator in estimators:
        if not isinstance(estimator, BaseEstimator):  # None or a word
            continue
        why = _own_refusal(estimator)
        if why is not None:
            return f"{role} cannot be converted to ONNX: {why}"
        inner = refused_estimators(role, _inside(estimator))
        if inner is not None:
            return inner
    return None


def _own_refusal(estimator):
    if has_experts(estimator):  # a fitted one is asked by its own converter
        return None if "experts_" in vars(estimator) else _of_nested(estimator)
    if isinstance(estimator, TransformedTargetRegressor):
        transformer = vars(estimator).get("transformer_", estimator.transformer)
        if type(transformer) is StandardScaler:
            return None
        name = type(estimator).__name__
        return f"of {name} the transformer has to be a StandardScaler."
    known = _known_to_skl2onnx()
    if type(estimator) in WRITTEN or known is None or type(estimator) in known:
        return None
    return f"skl2onnx has no converter of {type(estimator).__name__}."


def _inside(estimator):
    """Estimators that scikit-learn's own Pipelines and meta-estimators are made of."""
    if has_experts(estimator) or not type(estimator).__module__.startswith(("sklearn.", "skmoe.")):
        return []
    parts = vars(estimator)
    tables = [*parts.get("steps", ()), *parts.get("transformers", ())]
    one = parts.get("best_estimator_", parts.get("estimator"))
    return [*(each[1] for each in tables), one, parts.get("regressor")]


def _of_nested(mixture):
    is_pooled = mixture.experts is None and mixture.training in ("auto", "pooled")
    return next(iter(refusals(mixture, "pooled" if is_pooled else mixture.training)), None)


def refusals(mixture, training):
    """What cannot be converted of a mixture that is to be trained in one of the ways, a list."""
    likelihood, classifies = mixture._likelihood(), mixture._classifies
    if training == "pooled":
        likelihood = likelihood.pooled() or likelihood
    elif training in ("stack", "specialists") and not classifies:
        likelihood = StudentT()  # which these learn
    names, templates = mixture._expert_list()
    n_unlike = len(names) if mixture._is_list else 1
    has_gate = mixture.gate is not None and mixture.n_experts != 1
    classes = vars(mixture).get("classes_")
    found = [
        refused_likelihood(likelihood, classifies=classifies),
        None if classes is None else refused_labels(classes),
        refused_gate(mixture.gate) if has_gate else None,
    ]
    for name, each in zip(names[:n_unlike], templates, strict=False):
        found.append(refused_estimators(f"The expert {name!r}", [each]))
    return [each for each in found if each is not None]


def steps_of(estimator):
    """Steps of a Pipeline, one estimator in a list, or none of None."""
    if isinstance(estimator, Pipeline):
        return [step for _, step in estimator.steps]
    return [] if estimator is None else [estimator]
