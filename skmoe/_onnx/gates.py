"""Gates in ONNX: the logarithms of their probabilities, up to a constant of the row."""

import numpy as np

from ..gates import ClassifierGate, ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate
from ..gates._forest import OFFSET
from .trees import mean_of_trees


def _softmax(graph, gate, X, inner):
    return graph.linear(X, gate.coef_, gate.intercept_)


def _constant(graph, gate, X, inner):
    n_samples = graph("Shape", X, start=0, end=1)
    log_proportions = np.log(np.maximum(gate.proportions_, 1e-300))
    return graph("Expand", log_proportions[None], graph("Concat", n_samples, np.array([1]), axis=0))


def _forest(graph, gate, X, inner):
    proba = mean_of_trees(graph, gate.trees_, X)
    logs = graph("Log", graph("Add", proba, np.array(OFFSET)))
    return _softmax(graph, gate.softmax_, graph("Concat", X, logs, axis=1), None)


def _classifier(graph, gate, X, inner):
    seen = np.zeros((len(gate.classifier_.classes_), len(gate._columns)))
    for place, number in enumerate(gate.classifier_.classes_):
        seen[place, gate._columns == number] = 1.0
    proba = graph("MatMul", inner, seen)
    return graph("Log", graph("Add", proba, np.array(gate.smoothing)))


def _gaussian(graph, gate, X, inner):
    Z = graph("Div", graph("Sub", X, gate._mean), gate._scale)
    log_joint = []
    for mean, factor, proportion in zip(*gate._standard, gate.proportions_, strict=True):
        whitened = graph.linear(Z, np.linalg.inv(factor), -np.linalg.solve(factor, mean))
        squares = graph.reshape(graph.sum(graph("Mul", whitened, whitened), 1), -1, 1)
        constant = np.log(max(proportion, 1e-300)) - np.log(np.diag(factor)).sum()
        log_joint.append(graph.linear(squares, [[-0.5]], constant))
    return graph("Concat", *log_joint, axis=1)


def _tree(graph, gate, X, inner):
    decision, log_proba = _log_proba(graph, gate.decision_, X), []
    for number, branch in enumerate(gate.branches_):
        of_branch = graph("Gather", decision, np.array([number]), axis=1)
        within = np.array(0.0) if branch is None else _log_proba(graph, branch, X)
        log_proba.append(graph("Add", of_branch, within))
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
