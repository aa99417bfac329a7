"""Decision trees of scikit-learn in flat arrays: smaller files, and quicker for single rows."""

import numpy as np

from .._compat import boosted_trees

BLOCK = 2**14  # pairs of a row and a tree that are looked at together


class Trees:
    """The mean of ensembles of regression trees.

    Parameters
    ----------
    dtype, leaf_dtype : dtype
        In which rows are compared, and in which leaves are kept; None is the same.
    trees : list of tuple
        Column, threshold, first and second child, and value (n_outputs,) of each node of a tree;
        children are below zero in leaves.
    weight : float
        Weight of each tree in the mean.
    baseline : float
        Added to it.
    """

    def __init__(self, dtype, trees, weight, baseline=0.0, leaf_dtype=None):
        self.dtype = np.dtype(dtype)
        self.baseline = baseline
        roots = []
        parts = []
        n_nodes = 0
        n_leaves = 0
        for column, threshold, first, second, value in trees:
            inner = first >= 0
            number = np.where(inner, n_nodes + np.cumsum(inner) - 1, -n_leaves - np.cumsum(~inner))
            children = number[np.stack([first[inner], second[inner]], axis=1)]
            roots.append(number[0])
            parts.append((column[inner], threshold[inner], children, weight * value[~inner]))
            n_nodes = n_nodes + inner.sum()
            n_leaves = n_leaves + (~inner).sum()
        column, threshold, children, leaves = map(np.concatenate, zip(*parts, strict=True))
        self.roots = np.asarray(roots, dtype=np.int32)
        self.column = _smallest(column)
        self.children = _smallest(children.ravel())
        self.threshold = threshold.astype(dtype)
        self.leaves = leaves.astype(leaf_dtype or dtype)
        # A row in single precision is above a threshold if it is above the next number below.
        above = self.threshold > threshold
        self.threshold[above] = np.nextafter(self.threshold[above], self.dtype.type(-np.inf))

    @classmethod
    def of_forest(cls, forest, values=None, leaf_dtype=None):
        """From a fitted RandomForestRegressor; ``values`` (n_nodes of all,) replace its own."""
        trees = []
        start = 0
        for tree in (each.tree_ for each in forest.estimators_):
            end = start + tree.node_count
            if values is None:
                value = tree.value[..., 0]
            else:
                value = values[start:end, None]
            trees.append(
                (tree.feature, tree.threshold, tree.children_left, tree.children_right, value)
            )
            start = end
        return cls(np.float32, trees, 1 / len(trees), leaf_dtype=leaf_dtype)

    @classmethod
    def of_boosting(cls, models):
        """From several fitted HistGradientBoostingRegressor, before their link.

        They have seen neither missing values nor categories.
        """
        baselines, parts = zip(*map(boosted_trees, models), strict=True)
        trees = []
        for nodes in sum(parts, []):
            first = np.where(nodes["is_leaf"], -1, nodes["left"].astype(int))
            trees.append(
                (
                    nodes["feature_idx"],
                    nodes["num_threshold"],
                    first,
                    nodes["right"].astype(int),
                    nodes["value"][:, None],
                )
            )
        return cls(np.float64, trees, 1 / len(models), np.mean(baselines))

    def predict(self, X):
        """Means (n, n_outputs) of rows (n, n_columns) without missing values."""
        X = np.ascontiguousarray(X, dtype=self.dtype)
        total = np.empty((len(X), self.leaves.shape[1]))
        size = max(1, BLOCK // len(self.roots))
        for start in range(0, len(X), size):
            rows = slice(start, start + size)
            found = self.leaves.take(self._leaves_of(X[rows]), axis=0)
            total[rows] = found.sum(axis=0, dtype=np.float64)
        return total + self.baseline

    def _leaves_of(self, X):
        """Numbers (n_trees, n) of the leaves that rows are in."""
        values = X.ravel()
        places = np.tile(np.arange(0, X.size, X.shape[1]), len(self.roots))
        at = np.repeat(self.roots, len(X))
        inner = np.flatnonzero(at >= 0)
        while len(inner):
            node = at.take(inner)
            seen = values.take(places.take(inner) + self.column.take(node))
            below = self.children.take(2 * node + (seen > self.threshold.take(node)))
            at[inner] = below
            inner = inner[below >= 0]
        return (-1 - at).reshape(-1, len(X))


def _smallest(numbers):
    """Integers in the smallest dtype that holds them."""
    return numbers.astype(np.min_scalar_type(-1 - int(np.abs(numbers).max(initial=0))))
