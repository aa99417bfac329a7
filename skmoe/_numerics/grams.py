"""Weighted Gram matrices, many of one design, of dense and of sparse rows."""

from functools import cache

import numpy as np
from scipy import sparse

from .._kernels._grams import add_grams, add_sparse_grams, workspace_size

MOST_COLUMNS = 2**15 - 3  # of a Gram matrix: LAPACK needs 1 + 6 n + 2 n^2 numbers, an int
KERNEL_COLUMNS = 128  # beyond, BLAS has threads that make up for one product a matrix
BLOCK_ROWS = 2048


def weighted_grams(design, weights):
    """All the weighted Gram matrices ``design.T @ diag(weights[:, k]) @ design``.

    They are (n_grams, n_columns, n_columns), for weights (n_samples, n_grams) of any sign and a
    design that may be sparse. Raises a ValueError if there are so many columns that LAPACK's counts
    overflow.
    """
    (n_samples, n_columns), n_grams = design.shape, weights.shape[1]
    if n_columns > MOST_COLUMNS:
        raise ValueError(
            f"{n_columns} columns of {n_samples} rows would take {n_grams} matrices of "
            f"{8e-9 * n_columns**2:.0f} GB: reduce X to fewer than {MOST_COLUMNS} columns, or take "
            "linear experts and fewer rows than columns."
        )
    grams = GramSums(n_columns, n_grams, is_sparse=sparse.issparse(design))
    grams.add(design, weights)
    return grams.matrices()


class GramSums:
    """The same of rows that come in blocks.

    Parameters
    ----------
    n_columns, n_grams : int
        Sizes.
    is_sparse : bool
        Whether designs are.
    """

    def __init__(self, n_columns, n_grams, *, is_sparse):
        self.n_columns, self.n_grams, self.is_sparse = n_columns, n_grams, is_sparse
        self.is_packed = is_sparse or n_columns <= KERNEL_COLUMNS
        packed = n_columns * (n_columns + 1) // 2, n_grams
        self.sums = np.zeros(packed if self.is_packed else (n_grams, n_columns, n_columns))

    def add(self, design, weights):
        """Add rows; the arguments are those of ``weighted_grams``."""
        if self.is_sparse:
            design = design.tocsr()
            design.sum_duplicates()
            places = design.indices.astype(np.intp), design.indptr.astype(np.intp)
            add_sparse_grams(design.data, *places, np.ascontiguousarray(weights), self.sums)
        elif self.is_packed:
            workspace = np.empty(workspace_size(self.n_columns, self.n_grams))
            add_grams(design, weights, workspace, self.sums)
        else:
            for start in range(0, len(design), BLOCK_ROWS):
                block = design[start : start + BLOCK_ROWS]
                for k in range(self.n_grams):
                    weight = weights[start : start + BLOCK_ROWS, k]
                    if weight.min() < 0:
                        self.sums[k] += (block.T * weight) @ block
                    else:  # half as many products
                        root = block * np.sqrt(weight)[:, None]
                        self.sums[k] += root.T @ root

    def matrices(self):
        """Those of all rows, (n_grams, n_columns, n_columns)."""
        return unpack(self.sums, self.n_columns) if self.is_packed else self.sums


def unpack(packed, p):
    """Symmetric matrices (n, p, p) from upper triangles (p (p + 1) / 2, n) by columns."""
    return np.ascontiguousarray(packed.T).take(_places(p), axis=1)


@cache
def _places(p):
    """Where each entry of a symmetric matrix stands in its upper triangle by columns, (p, p)."""
    first, last = np.sort(np.indices((p, p)), axis=0)
    return last * (last + 1) // 2 + first


def add_fields(ours, theirs):
    """The ``__add__`` of data classes whose fields are sums over rows, or None."""
    both = zip(vars(ours).values(), vars(theirs).values(), strict=True)
    return type(ours)(*(None if one is None else one + more for one, more in both))
