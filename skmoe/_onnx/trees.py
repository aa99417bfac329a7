"""Trees in flat arrays in ONNX."""

import numpy as np
from onnx import TensorProto, numpy_helper

from .graph import ML


def mean_of_trees(graph, trees, X):
    """What ``trees.predict`` makes of rows X (n, n_columns)."""
    is_single = trees.dtype == np.float32
    X = graph("Cast", X, to=TensorProto.FLOAT if is_single else TensorProto.DOUBLE)
    order, tree = _order(trees)
    attributes = _nodes(trees, order, tree)
    for name, values in _values(trees, order).items():
        tensor = numpy_helper.from_array(values)
        attributes |= {name: values} if is_single else {f"{name}_as_tensor": tensor}
    return graph.number(graph("TreeEnsembleRegressor", X, domain=ML, op_version=3, **attributes))


def _values(trees, order):
    """Attributes that are numbers of the precision of the trees."""
    n_leaves, n_outputs = trees.leaves.shape
    threshold = np.append(trees.threshold, np.zeros(n_leaves, dtype=trees.dtype))
    return {
        "nodes_values": threshold[order],
        "target_weights": trees.leaves.ravel(),
        "base_values": np.full(n_outputs, trees.baseline, dtype=trees.dtype),
    }


def _order(trees):
    """Order in which nodes, and leaves after them, stand tree by tree, and the tree of each."""
    numbers, n_nodes = np.arange(len(trees.roots)), len(trees.column)
    # There is one leaf more than nodes in each tree.
    starts = np.where(trees.roots >= 0, trees.roots, -1 - trees.roots - numbers)
    counts = np.diff(np.append(starts, n_nodes))
    tree = np.concatenate([np.repeat(numbers, counts), np.repeat(numbers, counts + 1)])
    return np.argsort(tree, kind="stable"), tree


def _nodes(trees, order, tree):
    """Attributes that are not: nodes and then leaves are numbered through."""
    (n_leaves, n_outputs), n_nodes = trees.leaves.shape, len(trees.column)
    children = np.where(trees.children >= 0, trees.children, n_nodes - 1 - trees.children)
    rest = np.zeros(n_leaves, dtype=int)
    leaf = np.repeat(np.arange(n_nodes, n_nodes + n_leaves), n_outputs)
    integers = {
        "nodes_treeids": tree[order],
        "nodes_nodeids": order,
        "nodes_featureids": np.append(trees.column, rest)[order],
        "nodes_truenodeids": np.append(children[::2], rest)[order],
        "nodes_falsenodeids": np.append(children[1::2], rest)[order],
        "target_treeids": tree[leaf],
        "target_nodeids": leaf,
        "target_ids": np.tile(np.arange(n_outputs), n_leaves),
    }
    modes = ["BRANCH_LEQ" if place < n_nodes else "LEAF" for place in order]
    lists = {name: values.tolist() for name, values in integers.items()}
    return lists | {"nodes_modes": modes, "n_targets": n_outputs}
