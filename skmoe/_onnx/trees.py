"""Trees in flat arrays in ONNX."""

import numpy as np
from onnx import TensorProto, numpy_helper

from .graph import ML


def mean_of_trees(graph, trees, X, leaves=None):
    """What ``trees.predict`` makes of rows X (n, n_columns), in double precision.

    ``leaves`` (n_leaves, n_outputs), a sparse matrix, stands in place of the values of the leaves.
    """
    if trees.dtype == np.float32:  # in which rows are compared
        X = graph("Cast", X, to=TensorProto.FLOAT)
    X = graph("Cast", X, to=TensorProto.DOUBLE)
    if leaves is None:
        leaf, target = np.indices(trees.leaves.shape).reshape(2, -1)
        values, n_targets = trees.leaves.ravel(), trees.leaves.shape[1]
    else:
        leaves = leaves.tocoo()
        leaf, target, values, n_targets = *leaves.coords, leaves.data, leaves.shape[1]
    order, tree = _order(trees)
    attributes = _nodes(trees, order, tree, leaf) | {"target_ids": target.tolist()}
    numbers = {
        "nodes_values": np.append(trees.threshold, np.zeros(len(trees.leaves)))[order],
        "target_weights": values,
        "base_values": np.full(n_targets, trees.baseline),
    }
    for name, each in numbers.items():
        attributes[f"{name}_as_tensor"] = numpy_helper.from_array(each.astype(np.float64))
    attributes["n_targets"] = n_targets
    return graph.number(graph("TreeEnsembleRegressor", X, domain=ML, op_version=3, **attributes))


def _order(trees):
    """Order in which nodes, and leaves after them, stand tree by tree, and the tree of each."""
    numbers, n_nodes = np.arange(len(trees.roots)), len(trees.column)
    # There is one leaf more than nodes in each tree.
    starts = np.where(trees.roots >= 0, trees.roots, -1 - trees.roots - numbers)
    counts = np.diff(np.append(starts, n_nodes))
    tree = np.concatenate([np.repeat(numbers, counts), np.repeat(numbers, counts + 1)])
    return np.argsort(tree, kind="stable"), tree


def _nodes(trees, order, tree, leaf):
    """Attributes of nodes and then leaves, numbered through; ``leaf`` is that of each value."""
    n_leaves, n_nodes = len(trees.leaves), len(trees.column)
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
    lists = {name: values.tolist() for name, values in integers.items()}
    return lists | {"nodes_modes": modes}
