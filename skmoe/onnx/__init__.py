"""Converters of mixtures to ONNX, registered with skl2onnx when this module is imported.

``skl2onnx.to_onnx(mixture, X[:1])`` then works, also for a mixture within a Pipeline or a search.
It needs the extra: ``pip install "skmoe[onnx]"``. See :ref:`the guide <onnx>` for what can be
converted.

Options of a regressor are "gate", which adds the gate probabilities to the outputs as
"gate_proba", and "quantiles", a list of probabilities, which adds the quantiles; those of a
classifier are "gate" and, as for every classifier of skl2onnx, "zipmap".
"""

import numpy as np
from sklearn.base import is_classifier

try:
    from onnx import TensorProto
    from skl2onnx import update_registered_converter
    from skl2onnx._parse import _apply_zipmap
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common import _registration
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
except ImportError as _error:
    raise ImportError("skmoe.onnx needs skl2onnx: pip install 'skmoe[onnx]'.") from _error

from .._classifier import MixtureOfExpertsClassifier
from .._experts.classifier_stack import FLOOR, ClassifierStack
from .._experts.fitting import inside_offering
from .._numerics.trees import Trees
from .._ready.density_forest import DensityForestRegressor
from .._regressor import MixtureOfExpertsRegressor
from .._validation import check_fitted
from ..likelihoods import Gaussian, LogNormal, StudentT
from ..likelihoods._pooled import PooledCategorical, PooledGaussian, normal_points
from . import _densities, _parser, _writers
from ._parser import refusals as refusals

__all__ = []

LEAST_OPSET = 18
# Those of a regressor; "components" is for mixtures within a mixture.
_OPTIONS = {"gate": False, "quantiles": None, "components": False}


# Operators of mixtures --------------------------------------------------------------------------


def _declare_mixture(scope, model, inputs, dense=False):
    """The operator of a mixture, without outputs; ``dense`` has the components of all experts."""
    parser, variables = _parser.Parser(scope, inputs), list(inputs)
    for each in _densities.averaged(model):
        variables += parser.parts(each, dense).variables()
    variables += parser.weights(model)
    operator = scope.declare_local_operator(sklearn_operator_name_map[type(model)], model)
    operator.inputs = variables
    return operator


def _parse_regressor(scope, model, inputs, custom_parsers=None):
    check_fitted(model)
    _parser.check_convertible(_parser.refused_likelihood(model.likelihood_, classifies=False))
    options = scope.get_options(model, dict(_OPTIONS))
    if options["quantiles"] is not None:
        _check_probabilities(options["quantiles"])
    if _is_dense(options):
        _check_components(model)
    operator = _declare_mixture(scope, model, inputs, _is_dense(options))
    names = ["components" if options["components"] else "variable"]
    names += ["gate_proba"] if options["gate"] else []
    names += ["quantiles"] if options["quantiles"] is not None else []
    _declare_outputs(scope, operator, names, inputs)
    return operator.outputs


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    check_fitted(model)
    _parser.check_convertible(_parser.refused_likelihood(model.likelihood_, classifies=True))
    _parser.check_convertible(_parser.refused_labels(model.classes_))
    options = scope.get_options(model, {"zipmap": True, "gate": False})
    operator = _declare_mixture(scope, model, inputs)
    _declare_outputs(scope, operator, ["label", "probabilities"], inputs)
    outputs = list(operator.outputs)
    if options["zipmap"]:
        outputs = _apply_zipmap(options["zipmap"], scope, model, inputs[0].type, outputs)
    if options["gate"]:
        _declare_outputs(scope, operator, ["gate_proba"], inputs)
        outputs = [*outputs, operator.outputs[-1]]
    return outputs


def _declare_outputs(scope, operator, names, inputs):
    kinds = {"label": Int64TensorType, "components": DoubleTensorType}
    for name in names:
        kind = kinds.get(name, _writers.float_type(inputs))
        operator.outputs.append(scope.declare_local_variable(name, kind()))


def _is_dense(options):
    return options["quantiles"] is not None or options["components"]


def _check_components(model):
    """Raise an error where quantiles are not available."""
    likelihood, why = model.likelihood_, None
    is_other = likelihood.scale_model_ is not None and _parser.sizes_of(model) is None
    if type(likelihood) not in (Gaussian, PooledGaussian, StudentT, LogNormal):
        why = f"the likelihood is {type(likelihood).__name__}"
    elif model._y_shape:
        why = "there are several outputs"
    elif is_other and not _parser.is_pooled(model):
        why = "a regressor has learned scales, as with Gaussian('auto')"
    for name, each in _densities.own_experts(model).items():
        if isinstance(each, MixtureOfExpertsRegressor) and not likelihood.changes_target:
            _check_components(each)
            if each.likelihood_.changes_target:
                why = f"the expert {name!r} has log-normal errors"
        elif type(each) is not DensityForestRegressor:
            why = f"the expert {name!r} has a density of its own, that of {type(each).__name__}"
    if why is not None:
        raise NotImplementedError(
            f"Quantiles cannot be converted to ONNX where {why}: it takes Gaussian, log-normal or "
            "Student's t errors of one output, mixtures of these and DensityForestRegressor."
        )


def _check_probabilities(probabilities):
    values = np.asarray(probabilities, dtype=float)
    if values.ndim != 1 or not ((values > 0) & (values < 1)).all():
        raise ValueError(f"quantiles must be a list of probabilities; got {probabilities!r}.")


# What the operators compute ---------------------------------------------------------------------


def _aligned(graph, proba, own_classes, classes):
    """Probabilities with a column for each of ``classes``."""
    proba = graph.number(proba)
    if np.array_equal(own_classes, classes):
        return proba
    return proba @ (np.asarray(own_classes)[:, None] == classes)


def _stacked_predictions(graph, model, parts, own=()):
    """Predictions (n, K, m) of all experts; the parts of ``own`` are components of densities."""
    predictions = []
    for k, expert in enumerate(model.experts_):
        if parts.experts[k] is None:
            before = graph("Concat", *predictions, axis=1)
            predictions.append(_combined(graph, expert, before, k))
        elif is_classifier(model):
            predictions.append(_aligned(graph, parts.experts[k], expert.classes_, model.classes_))
        elif k in own:
            predictions.append(_densities.mean_of_components(graph, parts.experts[k]))
        else:
            predictions.append(graph.number(parts.experts[k]))
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
    log_gate, n_experts = graph.number(parts.gate), len(model.experts_)
    if model.top_k is not None and model.top_k < n_experts:
        log_gate = _keep_largest(graph, log_gate, model.top_k)
    return graph("Softmax", log_gate, axis=1)


def _keep_largest(graph, log_gate, k):
    """-inf for all but the k largest of each row."""
    values, places = (graph.scope.get_unique_variable_name(name) for name in ("values", "places"))
    graph.container.add_node(
        "TopK", [log_gate, graph.constant(np.array([k]))], [values, places], axis=1,
        name=graph.scope.get_unique_operator_name("TopK"),
    )  # fmt: skip
    nothing = 0.0 * log_gate + -np.inf
    return graph("ScatterElements", nothing, places, values, axis=1)


def _weighted_sum(graph, weights, values):
    """Sum over the experts, (n, m) of (n, K) and (n, K, m)."""
    return graph.sum(graph("Unsqueeze", weights, np.array([-1])) * values, 1)


def _of_all(graph, operator):
    """Each mixture that predictions average over, weights (n, 1) or None, and GraphParts."""
    rest, models = list(operator.inputs), _densities.averaged(operator.raw_operator)
    if len(models) == 1:
        return [(models[0], None, _parser.GraphParts.among(rest, models[0]))]
    weights = graph.number(rest.pop())
    shares = [graph("Gather", weights, np.array([j]), axis=1) for j in range(len(models))]
    of_models = zip(models[::-1], shares[::-1], strict=True)
    return [(each, share, _parser.GraphParts.among(rest, each)) for each, share in of_models][::-1]


def _concatenated(graph, arrays):
    """Arrays (n, K, ...) of several mixtures as that of one."""
    return graph("Concat", *arrays, axis=1) if len(arrays) > 1 else arrays[0]


def _graph(scope, operator, container):
    if container.target_opset < LEAST_OPSET:
        raise ValueError(f"target_opset must be {LEAST_OPSET} at least, for a mixture.")
    return _writers.Graph(scope, container)


def _convert_regressor(scope, operator, container):
    graph, model = _graph(scope, operator, container), operator.raw_operator
    options, lists = container.get_options(model, dict(_OPTIONS)), []
    for number, (one, share, parts) in enumerate(_of_all(graph, operator)):
        own = np.flatnonzero(one._model.own_density) if _is_dense(options) else ()
        predictions = _stacked_predictions(graph, one, parts, own)
        if one.likelihood_.family is not None and one.likelihood_.floor_ > 0:
            predictions = graph("Max", predictions, np.array(one.likelihood_.floor_))
        weights = _gate_weights(graph, one, parts)
        if options["gate"] and number == 0:
            graph.number(weights, operator.outputs[1])
        weights, of_all = weights if share is None else weights * share, ()
        if _is_dense(options):
            of_all = _components(graph, one, parts, weights, predictions, own)
        if one.likelihood_.changes_target:  # LogNormal
            half = 0.5 * one.likelihood_.scale_.reshape(len(one.experts_), -1) ** 2
            predictions = graph("Exp", predictions + half)
        lists.append((weights, predictions, *of_all))
    weights, means, *of_all = [_concatenated(graph, each) for each in zip(*lists, strict=True)]
    if _is_dense(options):
        if options["components"]:
            graph("Concat", *of_all, axis=1, output=operator.outputs[0])
            return
        values = _densities.quantiles(
            graph, *of_all, _densities.degrees(model), np.asarray(options["quantiles"])
        )
        values = graph("Exp", values) if model.likelihood_.changes_target else values
        graph.number(values, operator.outputs[-1])
    graph.number(_weighted_sum(graph, weights, means), operator.outputs[0])


def _components(graph, model, parts, weights, predictions, own):
    """Weights, means and scales (n, M), as of ``degrees``; experts ``own`` have densities."""
    likelihood, mean = model.likelihood_, graph.reshape(predictions, 0, -1)
    if isinstance(likelihood, PooledGaussian):
        of_lines = _densities.variances(graph, likelihood, graph.number(parts.columns))
        scale = graph("Sqrt", graph.reshape(of_lines, 0, -1) + likelihood.scale_**2)
    else:
        scale = 0.0 * mean + likelihood.scale_
        if _parser.sizes_of(model) is not None:
            scale = scale * graph.number(parts.columns)
    if not len(own):
        return weights, mean, scale
    rest = np.setdiff1d(np.arange(len(model.experts_)), own)
    lists = [[graph("Gather", each, rest, axis=1) for each in (weights, mean, scale)]]
    for k, expert in zip(own, _densities.own_experts(model).values(), strict=True):
        weight = graph("Gather", weights, np.array([k]), axis=1)
        lists.append(
            _densities.nested(
                graph, parts.experts[k], weight, expert, _densities.least_scale(model)
            )
        )
    return [graph("Concat", *each, axis=1) for each in zip(*lists, strict=True)]


def _convert_classifier(scope, operator, container):
    graph, model = _graph(scope, operator, container), operator.raw_operator
    lists = []
    for number, (one, share, parts) in enumerate(_of_all(graph, operator)):
        weights = _gate_weights(graph, one, parts)
        if len(operator.outputs) > 2 and number == 0:
            graph.number(weights, operator.outputs[2])
        calibrated = _calibrated(graph, one, parts, _stacked_predictions(graph, one, parts))
        lists.append((weights if share is None else weights * share, calibrated))
    proba = _weighted_sum(graph, *(_concatenated(graph, each) for each in zip(*lists, strict=True)))
    graph.number(proba, operator.outputs[1])
    best = graph("ArgMax", proba, axis=1, keepdims=0)
    graph("Gather", _labels(model), best, axis=0, output=operator.outputs[0])


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
    variance = _densities.variances(graph, likelihood, graph.number(columns))
    tiny = np.finfo(np.float64).tiny
    log_proba = graph("Log", graph("Max", predictions, np.array(tiny)))
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
    return classes.astype(np.int64) if classes.dtype.kind == "f" else classes


# Operators of one output, which stand in front of that of a mixture ------------------------------


def _factors_of_sizes(graph, sizes, columns, *seen):
    log_size = _writers.mean_of_trees(graph, sizes.trees, columns)
    log_size = graph("Max", graph("Min", log_size, np.array(sizes.high)), np.array(sizes.low))
    factor = graph("Exp", (log_size - sizes.centre) * sizes.slope)
    if sizes.process is None:
        return factor
    process, _ = inside_offering("widening", sizes.process)
    known = _writers.kernel(graph, process, *seen, process.seen_) @ process.whitening_.T
    variance = process.prior_ - graph.sum(known * known, 1, keepdims=1)
    excess = graph("Max", variance / process.left_out_, np.array(1.0))
    return factor * graph("Sqrt", excess)


def _gate_of(graph, gate, X, *inner):
    X = X.full_name if not gate.sees_rows else graph.number(X)
    return _writers.WRITERS[type(gate)](graph, gate, X, graph.number(*inner) if inner else None)


def _rounded(graph, _, matrix):
    return graph("Cast", matrix, to=TensorProto.FLOAT)


def _rescaled(graph, scaler, values):
    values = graph.reshape(graph.number(values), -1, scaler.n_features_in_)
    scale = 1.0 if scaler.scale_ is None else scaler.scale_
    return values * scale + (0.0 if scaler.mean_ is None else scaler.mean_)


def _linear_expert(graph, model, X):
    coef, intercept = np.atleast_2d(model.coef_), model.intercept_
    if is_classifier(model) and len(model.classes_) == 2:
        coef, intercept = np.concatenate([0 * coef, coef]), np.append(0.0, intercept)
    values = graph.linear(graph.number(X), coef, intercept)
    return graph("Softmax", values, axis=1) if is_classifier(model) else values


def _smooth(graph, model, X):
    scaled = (model.unit_ * model.coef_).reshape(len(model.centres_), -1)
    return graph.linear(_writers.kernel(graph, model, X, model.centres_), scaled.T, model.level_)


def _density_forest(graph, model, X):
    trees = Trees.of_forest(model.forest_, model._histograms @ model._centres)
    return _writers.mean_of_trees(graph, trees, X)


def _forest_components(graph, model, X):
    return graph("Concat", *_densities.of_forest(graph, model, X), axis=1)


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
        label = StringTensorType if _labels(model).dtype.kind in "OU" else Int64TensorType
        operator.outputs[0].set_type(label([n_samples]))
        operator.outputs[1].set_type(kind([n_samples, len(model.classes_)]))
    elif operator.outputs[0].raw_name != "components":
        operator.outputs[0].set_type(kind([n_samples, (*model._y_shape, 1)[0]]))


def _shape_numbers(operator):
    n_samples = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(type(operator.outputs[0].type)([n_samples, None]))


update_registered_converter(
    MixtureOfExpertsRegressor,
    "SkmoeMixtureOfExpertsRegressor",
    _shape_mixture,
    _convert_regressor,
    parser=_parse_regressor,
    options={"gate": [True, False], "quantiles": None, "components": [True, False]},
)
update_registered_converter(
    MixtureOfExpertsClassifier,
    "SkmoeMixtureOfExpertsClassifier",
    _shape_mixture,
    _convert_classifier,
    parser=_parse_classifier,
    options={
        "zipmap": [True, False, "columns"],
        "nocl": [False],
        "gate": [True, False],
    },
)
for _alias, _write in {
    "SkmoeGate": _gate_of,
    "SkmoeRescaled": _rescaled,
    "SkmoeRounded": _rounded,
    "SkmoeSizes": _factors_of_sizes,
    "SkmoeWeights": _writers.weights_of_average,
    "SkmoeTableEncoder": _writers.write_encoder,
    "SkmoeDensityForest": _density_forest,
    "SkmoeForestComponents": _forest_components,
    "SkmoeLinear": _linear_expert,
    "SkmoeSmooth": _smooth,
}.items():
    _registration.register_converter(_alias, _converter(_write), overwrite=True)
    _registration.register_shape_calculator(_alias, _shape_numbers, overwrite=True)
for _kind in ("Classifier", "Regressor"):
    _alias = f"SklearnHistGradientBoosting{_kind}"
    _convert = _registration.get_converter(_alias)
    _registration.register_converter(
        _alias,
        _writers.with_integer_attributes(_convert),
        overwrite=True,
        options=_convert.get_allowed_options(),
    )
