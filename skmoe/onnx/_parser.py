"""What can be converted, and the operators of skl2onnx that stand in front of that of a mixture."""

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
from skl2onnx._parse import _parse_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map  # later ones too
from skl2onnx.common._topology import Variable
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import BaseDecisionTree

from .. import likelihoods
from .._attributes import set_model
from .._experts.classifier_stack import ClassifierStack
from .._experts.fitting import split_last
from .._experts.prediction import is_stack_of
from .._experts.solvers import has_experts, is_multinomial
from .._ready.density_forest import DensityForestRegressor
from .._ready.diverse import NetRegressor
from .._ready.smooth import SmoothRegressor
from ..gates import ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate
from ..likelihoods._pooled import PooledCategorical, PooledGaussian
from ._writers import float_type, is_table_encoder

# What can be converted -------------------------------------------------------------------------

# Likelihoods of numbers. Except under LogNormal, an expert predicts the mean of its component.
OF_NUMBERS = (
    likelihoods.Gaussian,
    PooledGaussian,
    likelihoods.StudentT,
    likelihoods.LogNormal,
    likelihoods.Poisson,
    likelihoods.NegativeBinomial,
    likelihoods.Gamma,
)
OF_CLASSES = (likelihoods.Categorical, PooledCategorical)
GATES = (ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate)
# Operators of experts that skmoe writes; others are made of these.
OPERATORS = {
    **dict.fromkeys((LinearRegression, LogisticRegression, Ridge, RidgeCV), "SkmoeLinear"),
    DensityForestRegressor: "SkmoeDensityForest",
    NetRegressor: "SklearnMLPRegressor",
    SmoothRegressor: "SkmoeSmooth",
}
MADE_OF_OTHERS = Pipeline, FrozenEstimator


def check_likelihood(likelihood, *, classifies):
    """Raise a NotImplementedError if mixtures with a likelihood cannot be converted."""
    kinds = OF_CLASSES if classifies else OF_NUMBERS
    name = type(likelihood).__name__
    if type(likelihood) not in kinds:
        names = ", ".join(each.__name__ for each in kinds)
        raise NotImplementedError(
            f"Mixtures with the likelihood {name} cannot be converted to ONNX, but with {names}."
        )


def check_labels_of_onnx(classes):
    """Raise a NotImplementedError if these class labels cannot be converted."""
    kind = classes.dtype.kind
    is_whole = kind in "biu" or (kind == "f" and (classes == np.round(classes)).all())
    if not is_whole and not all(isinstance(each, str) for each in classes):
        raise NotImplementedError(
            f"Class labels must be integers or strings for ONNX; got {classes}."
        )


def check_gate(gate):
    """Raise a NotImplementedError if a fitted gate cannot be converted."""
    *transformers, last = steps_of(gate)
    name = _unwritten_gate(last)
    if name is not None:
        names = ", ".join(each.__name__ for each in GATES)
        raise NotImplementedError(
            f"The gate cannot be converted to ONNX: {name} is none of {names}, of which "
            "ClassifierGate cannot be within a TreeGate."
        )
    check_estimators("The gate", [*transformers, inner_estimator(last)])


def inner_estimator(gate):
    """The fitted estimator inside of a gate, or None."""
    return vars(gate).get("classifier_")


def _unwritten_gate(gate, *, inside=False):
    """Name of the class of a gate, or of one inside it, that cannot be written; None if all can."""
    if type(gate) not in GATES or (inside and inner_estimator(gate) is not None):
        return type(gate).__name__
    if type(gate) is TreeGate:
        parts = [gate.decision_, *gate.branches_]
    else:
        parts = []
    names = [_unwritten_gate(part, inside=True) for part in parts if part is not None]
    return next(filter(None, names), None)


def check_estimators(role, estimators):
    """Raise a NotImplementedError if one of some fitted estimators cannot be converted."""
    for estimator in estimators:
        # None, a word, or a mixture, which its own converter checks.
        if not isinstance(estimator, BaseEstimator) or has_experts(estimator):
            continue
        why = None
        kind = type(estimator)
        if isinstance(estimator, TransformedTargetRegressor):
            if type(estimator.transformer_) is not StandardScaler:
                why = f"of {kind.__name__} the transformer has to be a StandardScaler"
        elif kind not in {*OPERATORS, *MADE_OF_OTHERS, *sklearn_operator_name_map}:
            why = f"skl2onnx has no converter of {kind.__name__}; see update_registered_converter"
        elif _parts_missing(estimator):  # it would not end, or send them the wrong way
            why = "its trees learned from NaN: put a SimpleImputer before it, in a Pipeline"
        if why is not None:
            raise NotImplementedError(f"{role} cannot be converted to ONNX: {why}.")
        check_estimators(role, _inside(estimator))


def _inside(estimator):
    """Estimators that scikit-learn's own Pipelines and meta-estimators are made of."""
    if not type(estimator).__module__.startswith(("sklearn.", "skmoe.")):
        return []
    parts = vars(estimator)
    tables = [*parts.get("steps", ()), *parts.get("transformers", ())]
    one = parts.get("best_estimator_", parts.get("estimator"))
    return [*(each[1] for each in tables), one, parts.get("regressor")]


def steps_of(estimator):
    """Steps of a Pipeline, one estimator in a list, or none of None."""
    if isinstance(estimator, Pipeline):
        return [step for _, step in estimator.steps]
    if estimator is None:
        return []
    return [estimator]


# Operators in front of that of a mixture -------------------------------------------------------


@dataclass(frozen=True)
class GraphParts:
    """Variables that the operator of a mixture begins with."""

    # List of Variable: predictions; None is for a stack of the experts before it, which is computed
    # from these.
    experts: list
    gate: Variable  # logarithms of its probabilities, up to a constant of the row
    columns: Variable | None  # what pooled experts of classes see

    def variables(self):
        """All of them, in a list."""
        return [each for each in (*self.experts, self.gate, self.columns) if each is not None]

    @classmethod
    def among(cls, rest, model):
        """Those of a mixture, which are the last inputs of its operator and are taken off these."""
        if is_averaged(model):
            columns = rest.pop()
        else:
            columns = None
        gate = rest.pop()
        experts = []
        for combines_others in reversed(stacks(model)):
            experts.append(None if combines_others else rest.pop())
        return cls(experts[::-1], gate, columns)


class Parser:
    """Declares the operators of the parts of one mixture; what they share is there once.

    Parameters
    ----------
    scope : Scope
        Scope of skl2onnx.
    inputs : list of Variable
        Columns of X, or matrices of some.
    """

    def __init__(self, scope, inputs):
        self.scope = scope
        self.inputs = inputs
        self._seen = {}

    def declare(self, alias, model, inputs, name="variable", kind=None):
        """Output of an operator of one output; ``kind`` of numbers None is that of its inputs."""
        operator = self.scope.declare_local_operator(alias, model)
        kind = kind or float_type(inputs)
        operator.inputs = list(inputs)
        operator.outputs.append(self.scope.declare_local_variable(name, kind()))
        return operator.outputs[0]

    def _exact(self, alias, model, inputs, name="variable"):
        return self.declare(alias, model, inputs, name, DoubleTensorType)

    def head(self, transformers, variables=None):
        """What transformers, one after the other, make of variables, None the columns: a list."""
        if variables is None:
            variables = self.inputs
        for transformer in transformers:
            if isinstance(transformer, FrozenEstimator):  # in experts that were added
                variables = self.head(steps_of(transformer.estimator), variables)
                continue
            make = partial(self._transformed, transformer, variables)
            variables = self._once(id(transformer), variables, make)
        return variables

    def _once(self, what, variables, make):
        """What ``make`` declares of variables, and once for the same ones."""
        key = (what, *(each.full_name for each in variables))
        if key not in self._seen:
            self._seen[key] = make()
        return self._seen[key]

    def _transformed(self, transformer, variables):
        if isinstance(transformer, str) or transformer is None:  # "passthrough"
            return variables
        if is_table_encoder(transformer):
            return [self.declare("SkmoeTableEncoder", transformer, variables)]
        return _parse_sklearn(self.scope, transformer, variables)

    def matrix(self, variables):
        """Several columns of numbers as one matrix."""
        if len(variables) == 1:
            return variables[0]
        make = partial(self.declare, "SklearnConcat", None, variables, "columns")
        return self._once("merged", variables, make)

    def columns(self, transformers):
        """A matrix of what ``head`` makes."""
        return self.matrix(self.head(transformers))

    def prediction(self, name, estimator):
        """What an expert predicts, (n, m)."""
        check_estimators(f"The expert {name!r}", [estimator])
        return self._prediction(estimator, self.inputs)

    def _prediction(self, estimator, variables):
        if isinstance(estimator, Pipeline):
            head = self.head([step for _, step in estimator.steps[:-1]])
            return self._prediction(estimator[-1], head)
        if isinstance(estimator, FrozenEstimator):
            return self._prediction(estimator.estimator, variables)
        if isinstance(estimator, TransformedTargetRegressor):
            inside = self._prediction(estimator.regressor_, variables)
            return self._exact("SkmoeRescaled", estimator.transformer_, [inside])
        classifies = is_classifier(estimator)
        if type(estimator) in OPERATORS and (not classifies or is_multinomial(estimator)):
            return self._exact(OPERATORS[type(estimator)], estimator, [self.matrix(variables)])
        if classifies:
            self.scope.add_options(id(estimator), {"zipmap": False})
        if not has_experts(estimator):
            variables = [self.matrix(variables)]
        if rounds_rows(estimator) and float_type(variables) is DoubleTensorType:
            make = partial(self.declare, "SkmoeRounded", None, variables, "rounded")
            variables = [self._once("rounded", variables, make)]
        return _parse_sklearn(self.scope, estimator, variables)[1 if classifies else 0]

    def gate(self, gate):
        """Logarithms of gate probabilities (n, K), up to a constant of the row."""
        check_gate(gate)
        *transformers, gate = steps_of(gate)
        head = self.head(transformers)
        inner = inner_estimator(gate)
        if not gate.sees_rows:
            inputs = head[:1]
        else:
            inputs = [self.matrix(head)]
        if inner is not None:
            inputs.append(self._prediction(inner, head))
        return self._exact("SkmoeGate", gate, inputs, "gate")

    def weights(self, model):
        """Weights (n, 2) of the mixtures that predictions average over, in a list; or none."""
        if "_beside" not in vars(model):
            return []
        columns = self.columns(steps_of(model.gate_)[:-1])
        return [self._exact("SkmoeWeights", model._predictive, [columns], "weights")]

    def parts(self, model):
        """What the operator of a mixture begins with: GraphParts."""
        for name, is_other in zip(model.named_experts_, model._model.predicts_other, strict=True):
            if is_other:
                raise NotImplementedError(
                    f"The expert {name!r} cannot be converted to ONNX: a stack takes the mean of "
                    "its density, which is not what it predicts."
                )
        experts = zip(model.named_experts_.items(), stacks(model), strict=True)
        columns = None
        variables = [None if is_stack else self.prediction(*named) for named, is_stack in experts]
        if is_averaged(model):
            first = model.experts_[np.argmax(model.likelihood_.pooled_)]
            columns = self.columns(steps_of(split_last(first)[0]))
        return GraphParts(variables, self.gate(model.gate_), columns)


def _members(estimator):
    """Fitted members of an ensemble, a list."""
    members = vars(estimator).get("estimators_", [])
    if isinstance(members, np.ndarray):
        return list(members.flat)
    return members


def rounds_rows(estimator):
    """Whether an estimator sees rows in single precision alone, as scikit-learn's trees do."""
    members = _members(estimator)
    is_of_such = len(members) > 0 and all(map(rounds_rows, members))
    return isinstance(estimator, BaseDecisionTree) or is_of_such


def _parts_missing(estimator):
    """Whether a tree parts missing values from all others: by an infinite threshold."""
    if "tree_" in vars(estimator):
        return np.isinf(estimator.tree_.threshold).any()
    return any(map(_parts_missing, _members(estimator)))


def stacks(model):
    """Whether each expert is computed from the predictions of those before it, a list."""
    experts = model.experts_
    return [is_stack_of(each, experts[:k]) and _is_written(each) for k, each in enumerate(experts)]


def averaged(mixture):
    """The mixtures that predictions average over, a list."""
    if "_beside" not in vars(mixture):
        return [mixture]
    twin = copy.copy(mixture)
    set_model(twin, mixture._beside[0])
    return [mixture, twin]


def is_averaged(model):
    """Whether class probabilities are averaged over uncertain coefficients."""
    return isinstance(model.likelihood_, PooledCategorical)


def _is_written(stack):
    return isinstance(stack, ClassifierStack) or type(stack.final_estimator_) is RidgeCV
