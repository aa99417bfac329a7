"""Weighted Gram matrices of a few columns, for many weights at once."""

from libc.stdint cimport uintptr_t

cdef extern from "_block.h" nogil:
    enum:
        BLOCK_ROWS "SKMOE_BLOCK_ROWS"
        STRIDE "SKMOE_BLOCK"
    void add_grams_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept

cdef enum:
    LINE = 64  # bytes; arrays start at multiples of it


def workspace_size(n_columns, n_grams):
    """How many numbers ``add_grams`` computes with."""
    return LINE + (n_columns + n_grams) * STRIDE


def add_grams(
    const double[:, :] design,   # IN: (n_samples, p)
    const double[:, :] weights,  # IN: (n_samples, n_grams)
    double[::1] workspace,       # OUT: (workspace_size(p, n_grams),)
    double[:, ::1] grams,        # IN OUT: (p (p + 1) / 2, n_grams)
) -> None:
    """Add the weighted Gram matrices of a design.

    Parameters
    ----------
    design : float64 array of shape (n_samples, p)
        Columns, in any order.
    weights : float64 array of shape (n_samples, n_grams)
        Weights of the rows in each matrix, in any order.
    workspace
        Memory, of any content.
    grams : float64 array of shape (p * (p + 1) / 2, n_grams)
        Added to: upper triangles, column after column.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_samples = design.shape[0], p = design.shape[1], n = weights.shape[1]
    cdef Py_ssize_t number
    if weights.shape[0] != n_samples or grams.shape[0] != p * (p + 1) // 2 or grams.shape[1] != n:
        raise ValueError(
            f"design {(n_samples, p)}, weights {(weights.shape[0], n)} and sums "
            f"{(grams.shape[0], grams.shape[1])} do not fit together"
        )
    if workspace.shape[0] < workspace_size(p, n):
        raise ValueError(f"workspace has shape {(workspace.shape[0],)}")
    if not (n_samples and p and n):
        return
    cdef double* block = <double*> ((<uintptr_t> &workspace[0] + LINE - 1) // LINE * LINE)
    with nogil:
        for number in range((n_samples + BLOCK_ROWS - 1) // BLOCK_ROWS):
            _add_block(design, weights, &grams[0, 0], number * BLOCK_ROWS, block)


cdef void _add_block(
    const double[:, :] design,   # IN
    const double[:, :] weights,  # IN
    double* grams,               # IN OUT
    Py_ssize_t start,            # IN: first row
    double* block,               # OUT: (p + n_grams, STRIDE)
) noexcept nogil:
    cdef Py_ssize_t p = design.shape[1], n = weights.shape[1]
    cdef Py_ssize_t n_rows = min(<Py_ssize_t> BLOCK_ROWS, design.shape[0] - start)
    cdef Py_ssize_t rows = (n_rows + 15) // 16 * 16  # whole lines; those beyond are of weight 0
    _copy(design, start, n_rows, rows, block)
    _copy(weights, start, n_rows, rows, block + p * STRIDE)
    add_grams_f64(block, block + p * STRIDE, grams, p, n, rows)


cdef void _copy(
    const double[:, :] array,  # IN: (n_samples, n_columns)
    Py_ssize_t start,          # IN: first row
    Py_ssize_t n_rows,         # IN
    Py_ssize_t rows,           # IN: with those that fill the last line
    double* out,               # OUT: (n_columns, STRIDE)
) noexcept nogil:
    """Columns of a block, some lines of each at a time."""
    cdef Py_ssize_t tile, stop, i, j
    for tile in range(0, n_rows, 8):
        stop = min(tile + 8, n_rows)
        for j in range(array.shape[1]):
            for i in range(tile, stop):
                out[j * STRIDE + i] = array[start + i, j]
    for j in range(array.shape[1]):
        for i in range(n_rows, rows):
            out[j * STRIDE + i] = 0.0


def add_sparse_grams(
    const double[::1] data,         # IN: (n_stored,)
    const Py_ssize_t[::1] indices,  # IN: (n_stored,)
    const Py_ssize_t[::1] indptr,   # IN: (n_samples + 1,)
    const double[:, ::1] weights,   # IN: (n_samples, n_grams)
    double[:, ::1] grams,           # IN OUT: (p (p + 1) / 2, n_grams)
) -> None:
    """Do as ``add_grams`` for a design of compressed rows.

    Parameters
    ----------
    data, indices, indptr
        Arrays of a CSR matrix (n_samples, p) without duplicates.
    weights : float64 array of shape (n_samples, n_grams)
        Weights of the rows in each matrix.
    grams : float64 array of shape (p * (p + 1) / 2, n_grams)
        Added to: upper triangles, column after column.

    Raises
    ------
    ValueError
        If shapes disagree, or there is no room for a column.
    """
    cdef Py_ssize_t n_samples = weights.shape[0], n = weights.shape[1], row, a, b, k, place
    cdef Py_ssize_t column, other, largest = -1
    cdef double product
    if indptr.shape[0] != n_samples + 1 or grams.shape[1] != n or data.shape[0] != indices.shape[0]:
        raise ValueError("data, indices, indptr, weights and sums do not fit together")
    with nogil:
        for a in range(indices.shape[0]):
            largest = max(largest, indices[a])
    if indptr[n_samples] > data.shape[0] or (largest + 1) * (largest + 2) // 2 > grams.shape[0]:
        raise ValueError(f"sums have no room for column {largest}")
    with nogil:
        for row in range(n_samples):
            for a in range(indptr[row], indptr[row + 1]):
                column = indices[a]
                for b in range(indptr[row], a + 1):
                    other = indices[b]
                    if other < column:
                        place = column * (column + 1) // 2 + other
                    else:
                        place = other * (other + 1) // 2 + column
                    product = data[a] * data[b]
                    for k in range(n):
                        grams[place, k] += product * weights[row, k]
