"""Writes nodes of ONNX: a graph, and trees, kernels, gates and encoders of tables in it."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common._topology import Variable
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from .._experts.fitting import column_names
from .._model import ELSEWHERE
from .._ready.smooth import SAME
from ..gates import ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate
from ..gates._classifier import OFFSET

ML = "ai.onnx.ml"


def float_type(variables):
    """Type of the numbers computed from some variables: double if any of them is, else float."""
    is_double = any(isinstance(each.type, DoubleTensorType) for each in variables)
    if is_double:
        return DoubleTensorType
    return FloatTensorType


def _binary(op, *, is_swapped=False):
    def node(self, other):
        if not isinstance(other, str | Variable):
            other = np.asarray(other, dtype=float)
        return self.graph(op, *((other, self) if is_swapped else (self, other)))

    return node


class Result(str):
    """Name of a result in a graph, with arithmetic, which adds nodes."""

    graph = None  # Graph
    __array_ufunc__ = None  # arrays leave arithmetic to it
    __add__ = __radd__ = _binary("Add")
    __sub__ = _binary("Sub")
    __rsub__ = _binary("Sub", is_swapped=True)
    __mul__ = __rmul__ = _binary("Mul")
    __truediv__ = _binary("Div")
    __rtruediv__ = _binary("Div", is_swapped=True)
    __matmul__ = _binary("MatMul")


class Graph:
    """Adds nodes to a container; ``graph(op, *inputs)`` is the Result.

    All is computed in double precision, but what other converters write.

    Parameters
    ----------
    scope, container
        As skl2onnx hands them to a converter.
    """

    def __init__(self, scope, container):
        self.scope = scope
        self.container = container
        self._constants = {}

    def __call__(self, op, *inputs, domain="", output=None, **attributes):
        """Add a node of ONNX's operator ``op``.

        Inputs are results, variables of skl2onnx, or constants. ``output`` is a variable where the
        result goes; None is a new name.
        """
        if output is None:
            name = self.scope.get_unique_variable_name(op)
        else:
            name = output.full_name
        self.container.add_node(
            op,
            [self._name(each) for each in inputs],
            name,
            op_domain=domain,
            name=self.scope.get_unique_operator_name(op),
            **attributes,
        )
        result = Result(name)
        result.graph = self
        return result

    def _name(self, value):
        if isinstance(value, str):
            return str(value)
        if isinstance(value, Variable):
            return value.full_name
        return self.constant(value)

    def constant(self, values):
        """Name of a constant; numbers that are no integers are of double precision."""
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
            key = values.dtype, values.shape, values.tobytes()
            if key not in self._constants:
                self._constants[key] = self._initializer(numpy_helper.from_array(values.copy("C")))
            return self._constants[key]
        return self._initializer(helper.make_tensor("", TensorProto.STRING, values.shape, values))

    def _initializer(self, tensor):
        name = self.scope.get_unique_variable_name("constant")
        if tensor.raw_data:
            content = tensor
        else:
            content = list(tensor.string_data)
        self.container.add_initializer(name, tensor.data_type, tensor.dims, content)
        return name

    def number(self, value, output=None):
        """A result as numbers of double precision, or of that of ``output``, a variable."""
        is_double = output is None or isinstance(output.type, DoubleTensorType)
        if is_double:
            to = TensorProto.DOUBLE
        else:
            to = TensorProto.FLOAT
        return self("Cast", value, to=to, output=output)

    def reshape(self, value, *shape):
        """A result in another shape, in which 0 keeps an axis and -1 is what is left."""
        return self("Reshape", value, np.array(shape))

    def stack(self, values):
        """Results (n, m) side by side, (n, K, m)."""
        return self("Concat", *[self.reshape(each, 0, 1, -1) for each in values], axis=1)

    def sum(self, value, axis, keepdims=0):
        """A result summed over one axis, which is gone."""
        return self("ReduceSum", value, np.array([axis]), keepdims=keepdims)

    def linear(self, value, coef, intercept):
        """Linear functions (n, m) of a result (n, p), from coefficients (m, p) and (m,)."""
        return self("MatMul", value, np.asarray(coef).T) + np.atleast_1d(intercept)


# Trees in flat arrays ---------------------------------------------------------------------------


def mean_of_trees(graph, trees, X):
    """What ``trees.predict`` makes of rows X (n, n_columns), in double precision."""
    if trees.dtype == np.float32:  # in which rows are compared
        X = graph("Cast", X, to=TensorProto.FLOAT)
    X = graph("Cast", X, to=TensorProto.DOUBLE)
    leaf, target = np.indices(trees.leaves.shape).reshape(2, -1)
    n_targets = trees.leaves.shape[1]
    order, tree = _order(trees)
    attributes = _nodes(trees, order, tree, leaf) | {"target_ids": target.tolist()}
    numbers = {
        "nodes_values": np.append(trees.threshold, np.zeros(len(trees.leaves)))[order],
        "target_weights": trees.leaves.ravel(),
        "base_values": np.full(n_targets, trees.baseline),
    }
    for name, each in numbers.items():
        attributes[f"{name}_as_tensor"] = numpy_helper.from_array(each.astype(np.float64))
    attributes["n_targets"] = n_targets
    return graph.number(graph("TreeEnsembleRegressor", X, domain=ML, op_version=3, **attributes))


def _order(trees):
    """Order in which nodes, and leaves after them, stand tree by tree, and the tree of each."""
    numbers = np.arange(len(trees.roots))
    n_nodes = len(trees.column)
    # There is one leaf more than nodes in each tree.
    starts = np.where(trees.roots >= 0, trees.roots, -1 - trees.roots - numbers)
    counts = np.diff(np.append(starts, n_nodes))
    tree = np.concatenate([np.repeat(numbers, counts), np.repeat(numbers, counts + 1)])
    return np.argsort(tree, kind="stable"), tree


def _nodes(trees, order, tree, leaf):
    """Attributes of nodes and then leaves, numbered through; ``leaf`` is that of each value."""
    n_leaves = len(trees.leaves)
    n_nodes = len(trees.column)
    children = trees.children.astype(int)
    children = np.where(children >= 0, children, n_nodes - 1 - children)
    rest = np.zeros(n_leaves, dtype=int)
    place = n_nodes + leaf
    integers = {
        "nodes_treeids": tree[order],
        "nodes_nodeids": order,
        "nodes_featureids": np.append(trees.column, rest)[order],
        "nodes_truenodeids": np.append(children[::2], rest)[order],
        "nodes_falsenodeids": np.append(children[1::2], rest)[order],
        "target_treeids": tree[place],
        "target_nodeids": place,
    }
    modes = ["BRANCH_LEQ" if number < n_nodes else "LEAF" for number in order]
    return {name: values.tolist() for name, values in integers.items()} | {"nodes_modes": modes}


# What depends on distances of rows: kernels, and weights of averages ----------------------------


def kernel(exact, model, columns, centres):
    """Kernels (n, m) of a Gaussian process around its centres."""
    columns = exact.number(columns)
    (places, values) = model.indicators_
    if len(places):
        off = exact("Abs", exact("Gather", columns, places, axis=1) - values)
        has_value = exact.number(exact("Less", off, np.array(SAME)))
        columns = exact("Concat", columns, has_value, axis=1)
    square = _squared_distances(exact, columns / model.length_scales_, centres)
    s = exact("Sqrt", 5.0 * square)
    return (s + 1.0 + 5 / 3 * square) * exact("Exp", exact("Neg", s))


def weights_of_average(exact, average, X):
    """Weights (n, 2) of both models of an Average; ``X`` is what the gate of the first sees."""
    surroundings = average.surroundings
    columns = exact.number(X)
    other = 0.0 * exact.sum(columns, 1, keepdims=1) + average.weight
    if surroundings is not None:
        Z = (columns - surroundings.centre) * surroundings.slopes
        square = _squared_distances(exact, Z, surroundings.rows)
        nearest = exact("ReduceMin", square, np.array([1]))
        usual = np.array(surroundings.usual)
        near = usual / exact("Max", nearest, usual)
        other = exact("Max", other, ELSEWHERE * (1.0 - near))
    return exact("Concat", 1.0 - other, other, axis=1)


def _squared_distances(exact, A, B):
    """Between rows, (n, m)."""
    products = exact.linear(A, -2.0 * B, np.einsum("ij,ij->i", B, B))
    return exact("Max", products + exact.sum(A * A, 1, keepdims=1), np.array(0.0))


# Variances of what pooled experts predict ------------------------------------------------------


def variances(graph, likelihood, X):
    """Variances (n, K, n_functions) of the linear functions of pooled experts.

    ``X`` is what its ``columns_`` take.
    """
    columns = likelihood.columns_
    cov = likelihood.coef_cov_
    n_experts, n_functions, size, _ = cov.shape
    standard = (X - columns.mean) / columns.scale
    directions = standard
    outside = None
    if columns.basis is not None:
        directions = standard @ columns.basis
        rest = standard - directions @ columns.basis.T
        outside = graph.reshape(graph.sum(rest * rest, 1), -1, 1, 1)
    # x' C x, with the intercept last in x
    flat = cov.reshape(-1, size, size).swapaxes(0, 1).reshape(size, -1)
    products = graph.linear(directions, flat[:-1].T, flat[-1])
    products = graph.reshape(products, 0, n_experts * n_functions, size)
    design = graph.linear(directions, np.eye(size)[:, :-1], np.eye(size)[-1])
    forms = graph.sum(products * graph.reshape(design, 0, 1, size), 2)
    variance = graph.reshape(forms, 0, n_experts, n_functions)
    prior = likelihood.own_var_ + likelihood.shared_var_
    is_pooled = likelihood.pooled_[:, None].astype(float)
    if outside is not None:
        variance = variance + outside * (prior[:, 0] * is_pooled)
    if columns.block is not None:  # levels that fit did not see
        is_level, of_levels = columns.of_levels(prior)
        unseen = graph("Max", 1.0 - X @ is_level, np.array(0.0)) @ of_levels
        variance = variance + graph.reshape(unseen, -1, 1, n_functions) * is_pooled
    return graph("Max", variance, np.array(0.0))


# Gates: the logarithms of their probabilities, up to a constant of the row ----------------------


def _softmax(graph, gate, X, inner):
    return graph.linear(X, gate.coef_, gate.intercept_)


def _constant(graph, gate, X, inner):
    n_samples = graph("Shape", X, start=0, end=1)
    log_proportions = np.log(np.maximum(gate.proportions_, 1e-300))
    return graph("Expand", log_proportions[None], graph("Concat", n_samples, np.array([1]), axis=0))


def _forest(graph, gate, X, inner):
    logs = graph("Log", mean_of_trees(graph, gate.trees_, X) + OFFSET)
    return _softmax(graph, gate.softmax_, graph("Concat", X, logs, axis=1), None)


def _classifier(graph, gate, X, inner):
    seen = np.zeros((len(gate.classifier_.classes_), len(gate._columns)))
    for place, number in enumerate(gate.classifier_.classes_):
        seen[place, gate._columns == number] = 1.0
    return graph("Log", inner @ seen + gate.smoothing)


def _gaussian(graph, gate, X, inner):
    Z = (X - gate._mean) / gate._scale
    log_joint = []
    for mean, factor, proportion in zip(*gate._standard, gate.proportions_, strict=True):
        whitened = graph.linear(Z, np.linalg.inv(factor), -np.linalg.solve(factor, mean))
        squares = graph.sum(whitened * whitened, 1, keepdims=1)
        constant = np.log(max(proportion, 1e-300)) - np.log(np.diag(factor)).sum()
        log_joint.append(graph.linear(squares, [[-0.5]], constant))
    return graph("Concat", *log_joint, axis=1)


def _tree(graph, gate, X, inner):
    decision = _log_proba(graph, gate.decision_, X)
    log_proba = []
    for number, branch in enumerate(gate.branches_):
        of_branch = graph("Gather", decision, np.array([number]), axis=1)
        if branch is None:
            within = 0.0
        else:
            within = _log_proba(graph, branch, X)
        log_proba.append(of_branch + within)
    return graph("Gather", graph("Concat", *log_proba, axis=1), gate._columns, axis=1)


def _log_proba(graph, gate, X):
    return graph("LogSoftmax", WRITERS[type(gate)](graph, gate, X, None), axis=1)


WRITERS = {
    SoftmaxGate: _softmax,
    ConstantGate: _constant,
    ForestGate: _forest,
    ClassifierGate: _classifier,
    GaussianGate: _gaussian,
    TreeGate: _tree,
}


# Encoders of tables: one-hot columns and imputation with indicators ------------------------------

# The converter of skl2onnx for ``SimpleImputer`` leaves out the indicators, and is in single
# precision. A ColumnTransformer of these two, such as the default encoder, is written here.


def is_table_encoder(transformer):
    """Whether ``write_encoder`` can write all its parts."""
    is_plain = type(transformer) is ColumnTransformer and not transformer.transformer_weights
    is_plain = is_plain or type(transformer) is SimpleImputer
    return is_plain and all(map(_is_known, _column_parts(transformer)))


def _column_parts(transformer):
    """Fitted parts with some columns, as (transformer, columns)."""
    if type(transformer) is SimpleImputer:
        return [(transformer, list(range(transformer.n_features_in_)))]
    names = column_names(transformer)
    if names is None:
        names = range(transformer.n_features_in_)
    numbers = {name: number for number, name in enumerate(names)}
    parts = []
    for _, part, columns in transformer.transformers_:
        if isinstance(columns, slice):
            columns = np.arange(transformer.n_features_in_)[columns]
        columns = np.atleast_1d(np.asarray(columns, dtype=object))
        if all(isinstance(each, bool | np.bool_) for each in columns):
            columns = np.flatnonzero(columns.astype(bool))
        if not isinstance(part, str) or part != "drop":
            parts.append((part, [numbers.get(each, each) for each in columns]))
    return [part for part in parts if part[1]]


def _is_known(part):
    transformer, _ = part
    if isinstance(transformer, str):
        return transformer == "passthrough"
    if type(transformer) is FunctionTransformer:
        return transformer.func is None
    if type(transformer) is SimpleImputer:
        statistics = transformer.statistics_
        of_numbers = statistics.dtype.kind == "f" and np.isnan(transformer.missing_values)
        return of_numbers and not np.isnan(statistics).any()
    if type(transformer) is OneHotEncoder:
        keeps_rare = transformer.max_categories is None and transformer.min_frequency is None
        return transformer.drop is None and keeps_rare and transformer.handle_unknown == "ignore"
    return False


def write_encoder(graph, transformer, *inputs):
    """Name of the encoded table.

    ``inputs`` are the columns, or matrices of some of them, in the order of the table, and
    ``transformer`` is a fitted one of which ``is_table_encoder`` is true.
    """
    widths = [(*each.type.shape[1:], None)[0] for each in inputs]
    if widths == [None] and not inputs[0].is_root:  # a matrix that other steps made
        widths = [transformer.n_features_in_]
    if None in widths:
        raise ValueError("initial_types must say how many columns each input of the table has.")
    columns = [(x, j) for x, width in zip(inputs, widths, strict=True) for j in range(width)]
    if len(columns) != transformer.n_features_in_:
        raise ValueError(
            f"fit had {transformer.n_features_in_} columns; initial_types have {len(columns)}."
        )
    encoded = []
    for part, numbers in _column_parts(transformer):
        encoded += _encoded_columns(graph, part, [columns[number] for number in numbers])
    return graph("Concat", *encoded, axis=1)


def _encoded_columns(graph, part, columns):
    if type(part) is OneHotEncoder:
        pairs = zip(columns, part.categories_, strict=True)
        return [_one_hot(graph, column, levels) for column, levels in pairs if len(levels)]
    columns = [graph.number(_taken(graph, *column)) for column in columns]
    if type(part) is not SimpleImputer:
        return columns
    missing = [graph("IsNaN", column) for column in columns]
    triples = zip(missing, part.statistics_, columns, strict=True)
    filled = [graph("Where", each, np.array([[value]]), x) for each, value, x in triples]
    if part.add_indicator:
        marked = part.indicator_.features_
    else:
        marked = []
    return filled + [graph.number(missing[j]) for j in marked]


def _taken(graph, variable, j):
    """One column of a variable, (n, 1)."""
    if variable.type.shape[1] == 1:
        return variable.full_name
    return graph("Gather", variable, np.array([j]), axis=1)


def _one_hot(graph, column, levels):
    taken = _taken(graph, *column)
    if not isinstance(column[0].type, StringTensorType):
        return graph.number(graph("Equal", graph.number(taken), levels[None].astype(float)))
    # None and NaN are "nan": so does a table say of missing strings, whichever these were.
    levels = [str(np.nan if level is None else level).encode() for level in levels]
    one_hot = graph("OneHotEncoder", taken, domain=ML, cats_strings=levels, zeros=1)
    return graph.number(graph.reshape(one_hot, -1, len(levels)))


# Histogram gradient boosting, by the converter of skl2onnx ----------------------------------------

# skl2onnx writes booleans, which protobuf 7 refuses, for the directions of missing values. And it
# rounds thresholds, which are often values of training rows, so that these go elsewhere.
DIRECTIONS = "nodes_missing_value_tracks_true"
REAL = {"nodes_values", "nodes_hitrates", "target_weights", "class_weights", "base_values"}


def exact_boosting(convert):
    """A converter that writes what ``convert`` does, in doubles, and integers for booleans."""

    def convert_boosting(scope, operator, container):
        def add_exactly(*args, **attributes):
            if DIRECTIONS in attributes:
                attributes[DIRECTIONS] = [int(each) for each in attributes[DIRECTIONS]]
            for name in REAL & {*attributes}:
                numbers = np.asarray(attributes.pop(name), dtype=float)
                attributes[f"{name}_as_tensor"] = numpy_helper.from_array(numbers, name)
            add_node(*args, **attributes)

        add_node = container.add_node
        wide = scope.get_unique_variable_name("wide")
        add_node("Cast", operator.input_full_names, wide, op_version=13, to=TensorProto.DOUBLE)
        operator.inputs.set_element(0, Variable(wide, wide, scope, DoubleTensorType()))
        container.add_node = add_exactly
        convert._fct(scope, operator, container, op_version=3)  # which has doubles
        del container.add_node

    return convert_boosting
