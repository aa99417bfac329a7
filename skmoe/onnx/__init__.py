"""Converters of mixtures to ONNX, registered with skl2onnx when this module is imported.

``skl2onnx.to_onnx(mixture, X[:1])`` then works, also for a mixture within a Pipeline or a search.
It needs the extra: ``pip install "skmoe[onnx]"``. See :ref:`the guide <onnx>` for what can be
converted.

The option "gate" adds the gate probabilities to the outputs, as "gate_proba"; a classifier has
"zipmap" too, as every classifier of skl2onnx.
"""

import numpy as np
from sklearn.base import is_classifier

try:
    from onnx import TensorProto
    from skl2onnx import update_registered_converter
    from skl2onnx._parse import _apply_zipmap
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common import _registration
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType
except ImportError as _error:
    raise ImportError("skmoe.onnx needs skl2onnx: pip install 'skmoe[onnx]'.") from _error

from .._classifier import MixtureOfExpertsClassifier
from .._experts.classifier_stack import FLOOR, ClassifierStack
from .._numerics.trees import Trees
from .._regressor import MixtureOfExpertsRegressor
from .._validation import check_fitted
from ..likelihoods._pooled import PooledCategorical, normal_points
from . import _parser, _writers

__all__ = []

LEAST_OPSET = 18


# Operators of mixtures --------------------------------------------------------------------------


def _parse(scope, model, inputs, custom_parsers=None):
    """Declare the operator of a mixture, and those in front of it; its outputs."""
    check_fitted(model)
    names = ["variable"]
    defaults = {"gate": False}
    classifies = is_classifier(model)
    _parser.check_likelihood(model.likelihood_, classifies=classifies)
    if classifies:
        _parser.check_labels_of_onnx(model.classes_)
        names = ["label", "probabilities"]
        defaults = {"zipmap": True, "gate": False}
    options = scope.get_options(model, defaults)
    parser = _parser.Parser(scope, inputs)
    variables = list(inputs)
    for each in _parser.averaged(model):
        variables += parser.parts(each).variables()
    operator = scope.declare_local_operator(sklearn_operator_name_map[type(model)], model)
    operator.inputs = variables + parser.weights(model)
    _declare_outputs(scope, operator, names, inputs)
    outputs = list(operator.outputs)
    if options.get("zipmap"):
        outputs = _apply_zipmap(options["zipmap"], scope, model, inputs[0].type, outputs)
    if options["gate"]:
        _declare_outputs(scope, operator, ["gate_proba"], inputs)
        outputs = [*outputs, operator.outputs[-1]]
    return outputs


def _declare_outputs(scope, operator, names, inputs):
    for name in names:
        if name == "label":
            kind = Int64TensorType
        else:
            kind = _writers.float_type(inputs)
        operator.outputs.append(scope.declare_local_variable(name, kind()))


# What the operators compute ---------------------------------------------------------------------


def _stacked_predictions(graph, model, parts):
    """Predictions (n, K, m) of all experts."""
    predictions = []
    for k, expert in enumerate(model.experts_):
        if parts.experts[k] is None:
            predictions.append(_combined(graph, expert, graph("Concat", *predictions, axis=1), k))
            continue
        found = graph.number(parts.experts[k])
        if is_classifier(model) and not np.array_equal(expert.classes_, model.classes_):
            found = found @ (np.asarray(expert.classes_)[:, None] == model.classes_)
        predictions.append(found)
    return graph.stack(predictions)


def _combined(graph, stack, before, n_before):
    """What a stack predicts, from the predictions (n, K * m) of its members."""
    if not isinstance(stack, ClassifierStack):
        final = stack.final_estimator_
        return graph.linear(before, np.atleast_2d(final.coef_), final.intercept_)
    n_classes = len(stack.classes_)
    product = graph("Log", before + FLOOR) @ np.kron(stack.weights_[:, None], np.eye(n_classes))
    linear = before @ stack.coef_.reshape(n_before * n_classes, n_classes)
    return graph("Softmax", product + linear, axis=1)


def _gate_weights(graph, model, parts):
    """Gate probabilities (n, K), zero but for the ``top_k`` largest."""
    log_gate = graph.number(parts.gate)
    k = model.top_k
    if k is not None and k < len(model.experts_):
        largest = [graph.scope.get_unique_variable_name(name) for name in ("values", "places")]
        graph.container.add_node(
            "TopK",
            [log_gate, graph.constant(np.array([k]))],
            largest,
            axis=1,
            name=graph.scope.get_unique_operator_name("TopK"),
        )
        log_gate = graph("ScatterElements", 0.0 * log_gate + -np.inf, *largest[::-1], axis=1)
    return graph("Softmax", log_gate, axis=1)


def _of_all(graph, operator):
    """Each mixture that predictions average over, weights (n, 1) or None, and GraphParts."""
    rest = list(operator.inputs)
    models = _parser.averaged(operator.raw_operator)
    if len(models) == 1:
        return [(models[0], None, _parser.GraphParts.among(rest, models[0]))]
    weights = graph.number(rest.pop())
    shares = [graph("Gather", weights, np.array([j]), axis=1) for j in range(len(models))]
    of_models = zip(models[::-1], shares[::-1], strict=True)
    return [(each, share, _parser.GraphParts.among(rest, each)) for each, share in of_models][::-1]


def _graph(scope, operator, container):
    if container.target_opset < LEAST_OPSET:
        raise ValueError(f"target_opset must be {LEAST_OPSET} at least, for a mixture.")
    return _writers.Graph(scope, container)


def _average(graph, operator, place, answers):
    """Mean of the experts' answers by the gate, over all mixtures that predictions average over.

    ``answers`` makes those (n, K, m) of one mixture of its parts and predictions. The output at
    ``place``, where there is one, are gate probabilities.
    """
    lists = []
    for number, (one, share, parts) in enumerate(_of_all(graph, operator)):
        weights = _gate_weights(graph, one, parts)
        if len(operator.outputs) > place and number == 0:
            graph.number(weights, operator.outputs[place])
        found = answers(graph, one, parts, _stacked_predictions(graph, one, parts))
        lists.append((weights if share is None else weights * share, found))
    weights, values = lists[0]
    if len(lists) > 1:  # as those of one mixture
        weights, values = (graph("Concat", *each, axis=1) for each in zip(*lists, strict=True))
    return graph.sum(graph("Unsqueeze", weights, np.array([-1])) * values, 1)


def _convert_regressor(scope, operator, container):
    graph = _graph(scope, operator, container)
    graph.number(_average(graph, operator, 1, _expert_means), operator.outputs[0])


def _expert_means(graph, model, parts, predictions):
    """Means (n, K, m) of the experts."""
    likelihood = model.likelihood_
    if likelihood.family is not None and likelihood.floor_ > 0:
        return graph("Max", predictions, np.array(likelihood.floor_))
    if likelihood.changes_target:  # LogNormal
        half = 0.5 * likelihood.scale_.reshape(len(model.experts_), -1) ** 2
        return graph("Exp", predictions + half)
    return predictions


def _convert_classifier(scope, operator, container):
    graph = _graph(scope, operator, container)
    proba = _average(graph, operator, 2, _calibrated)
    graph.number(proba, operator.outputs[1])
    best = graph("ArgMax", proba, axis=1, keepdims=0)
    graph("Gather", _labels(operator.raw_operator), best, axis=0, output=operator.outputs[0])


def _calibrated(graph, model, parts, predictions):
    """Class probabilities (n, K, n_classes), as ``calibrate`` of the likelihood makes them."""
    likelihood = model.likelihood_
    own = np.array(model._model.own_density)[:, None]
    temperature = np.where(own, 1.0, likelihood.temperature_[:, None])
    epsilon = np.where(own, 0.0, likelihood.epsilon_[:, None])
    if (temperature != 1).any():
        powered = graph("Pow", predictions, 1 / temperature)
        predictions = powered / graph.sum(powered, 2, keepdims=1)
    if (epsilon != 0).any():
        predictions = predictions * (1 - epsilon) + epsilon * likelihood.class_share_
    if isinstance(likelihood, PooledCategorical):
        return _averaged(graph, likelihood, parts.columns, predictions)
    return predictions


def _averaged(graph, likelihood, columns, predictions):
    """Class probabilities, averaged over the posterior of the coefficients."""
    variance = _writers.variances(graph, likelihood, graph.number(columns))
    log_proba = graph("Log", graph("Max", predictions, np.array(np.finfo(np.float64).tiny)))
    n_functions = likelihood.coef_cov_.shape[1]
    if n_functions == 1:
        log_odds = log_proba @ np.array([[0.5, -0.5], [-0.5, 0.5]])
        return graph("Softmax", log_odds / graph("Sqrt", np.pi / 8 * variance + 1.0), axis=2)
    noise = graph("Unsqueeze", graph("Sqrt", variance), np.array([2])) * normal_points(n_functions)
    proba = graph("Softmax", graph("Unsqueeze", log_proba, np.array([2])) + noise, axis=3)
    return graph("ReduceMean", proba, np.array([2]), keepdims=0)


def _labels(model):
    """Classes as ONNX has them: integers or strings."""
    classes = model.classes_
    if classes.dtype.kind == "f":
        return classes.astype(np.int64)
    return classes


# Operators of one output, which stand in front of that of a mixture ------------------------------


def _gate_of(graph, gate, X, *inner):
    if not gate.sees_rows:
        X = X.full_name
    else:
        X = graph.number(X)
    return _writers.WRITERS[type(gate)](graph, gate, X, graph.number(*inner) if inner else None)


def _rescaled(graph, scaler, values):
    values = graph.reshape(graph.number(values), -1, scaler.n_features_in_)
    if scaler.scale_ is None:
        scale = 1.0
    else:
        scale = scaler.scale_
    return values * scale + (0.0 if scaler.mean_ is None else scaler.mean_)


def _linear_expert(graph, model, X):
    coef = np.atleast_2d(model.coef_)
    intercept = model.intercept_
    if is_classifier(model) and len(model.classes_) == 2:
        coef = np.concatenate([0 * coef, coef])
        intercept = np.append(0.0, intercept)
    values = graph.linear(graph.number(X), coef, intercept)
    if is_classifier(model):
        return graph("Softmax", values, axis=1)
    return values


def _smooth(graph, model, X):
    scaled = (model.unit_ * model.coef_).reshape(len(model.centres_), -1)
    return graph.linear(_writers.kernel(graph, model, X, model.centres_), scaled.T, model.level_)


def _density_forest(graph, model, X):
    trees = Trees.of_forest(model.forest_, model._histograms @ model._centres)
    return _writers.mean_of_trees(graph, trees, X)


def _converter(write):
    """A converter, from a function of graph, model and inputs that returns the one output."""

    def convert(scope, operator, container):
        graph = _graph(scope, operator, container)
        graph.number(write(graph, operator.raw_operator, *operator.inputs), operator.outputs[0])

    return convert


# Registration -----------------------------------------------------------------------------------


def _shape_mixture(operator):
    n_samples = operator.inputs[0].get_first_dimension()
    model = operator.raw_operator
    kind = type(operator.outputs[is_classifier(model)].type)
    for output in operator.outputs:
        output.set_type(kind([n_samples, None]))
    if is_classifier(model):
        if _labels(model).dtype.kind in "OU":
            label = StringTensorType
        else:
            label = Int64TensorType
        operator.outputs[0].set_type(label([n_samples]))
        operator.outputs[1].set_type(kind([n_samples, len(model.classes_)]))
    else:
        operator.outputs[0].set_type(kind([n_samples, (*model._y_shape, 1)[0]]))


def _shape_numbers(operator):
    n_samples = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(type(operator.outputs[0].type)([n_samples, None]))


_OF_CLASSES = {"zipmap": [True, False, "columns"], "nocl": [False]}
for _kind, _convert, _options in (
    (MixtureOfExpertsRegressor, _convert_regressor, {}),
    (MixtureOfExpertsClassifier, _convert_classifier, _OF_CLASSES),
):
    _given = f"Skmoe{_kind.__name__}", _shape_mixture, _convert
    _options = {"gate": [True, False], **_options}
    update_registered_converter(_kind, *_given, parser=_parse, options=_options)
for _alias, _write in {
    "SkmoeGate": _gate_of,
    "SkmoeRescaled": _rescaled,
    "SkmoeRounded": lambda graph, _, matrix: graph("Cast", matrix, to=TensorProto.FLOAT),
    "SkmoeWeights": _writers.weights_of_average,
    "SkmoeTableEncoder": _writers.write_encoder,
    "SkmoeDensityForest": _density_forest,
    "SkmoeLinear": _linear_expert,
    "SkmoeSmooth": _smooth,
}.items():
    _registration.register_converter(_alias, _converter(_write), overwrite=True)
    _registration.register_shape_calculator(_alias, _shape_numbers, overwrite=True)
for _kind in ("Classifier", "Regressor"):
    _alias = f"SklearnHistGradientBoosting{_kind}"
    _convert = _registration.get_converter(_alias)
    _given = (_alias, _writers.exact_boosting(_convert))
    _options = _convert.get_allowed_options()
    _registration.register_converter(*_given, overwrite=True, options=_options)
