"""Lloyd's k-means, of a few steps on as many rows as starts are tried on."""

import numpy as np


def k_means(
    const double[:, ::1] points,  # IN: (n_samples, d)
    const double[::1] weight,     # IN: (n_samples,)
    double[:, ::1] centres,       # IN OUT: (K, d)
    Py_ssize_t max_iter,          # IN
    Py_ssize_t[::1] labels,       # OUT: (n_samples,)
) -> int:
    """Number of the nearest centre of each row, with centres that are means of their rows.

    Parameters
    ----------
    points : float64 array of shape (n_samples, d)
        Rows.
    weight : float64 array of shape (n_samples,)
        Of the rows.
    centres : float64 array of shape (K, d)
        To begin with; replaced. Without rows, a centre stays where it is.
    max_iter : int
        Steps at most; they end where labels stay the same.
    labels : intp array of shape (n_samples,)
        Written to; of equally near centres the first.

    Returns
    -------
    n_iter : int
        Steps.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n = points.shape[0], d = points.shape[1], K = centres.shape[0]
    cdef Py_ssize_t i, j, k, n_iter = 0
    cdef bint changed
    _check_shape("weight", (weight.shape[0],), (n,))
    _check_shape("centres", (centres.shape[1],), (d,))
    _check_shape("labels", (labels.shape[0],), (n,))
    # Columns lie one after the other, so that distances to a centre are vector instructions.
    cdef double[:, ::1] columns = np.ascontiguousarray(np.asarray(points).T)
    cdef double[:, ::1] sums = np.empty((K, d))
    cdef double[::1] mass = np.empty(K)
    cdef double[:, ::1] memory = np.empty((3, n))
    with nogil:
        for i in range(n):
            labels[i] = -1
        while True:
            changed = _assign(columns, centres, memory, labels)
            if not changed or n_iter == max_iter:
                break
            n_iter += 1
            sums[:, :] = 0.0
            mass[:] = 0.0
            for i in range(n):
                mass[labels[i]] += weight[i]
                for j in range(d):
                    sums[labels[i], j] += weight[i] * points[i, j]
            for k in range(K):
                for j in range(d if mass[k] > 0 else 0):
                    centres[k, j] = sums[k, j] / mass[k]
    return n_iter


cdef bint _assign(
    const double[:, ::1] columns,  # IN: (d, n_samples)
    const double[:, ::1] centres,  # IN: (K, d)
    double[:, ::1] memory,         # OUT: (3, n_samples)
    Py_ssize_t[::1] labels,        # IN OUT: (n_samples,)
) noexcept nogil:
    """Take the nearest centres; whether any of them is another one than before."""
    cdef Py_ssize_t n = columns.shape[1], i, j, k
    cdef double* nearest = &memory[0, 0]
    cdef double* own = &memory[1, 0]
    cdef double* place = &memory[2, 0]
    cdef const double* column
    cdef double centre, way
    cdef bint changed = False
    for k in range(centres.shape[0]):
        for i in range(n):
            own[i] = 0.0
        for j in range(columns.shape[0]):
            column, centre = &columns[j, 0], centres[k, j]
            for i in range(n):
                way = column[i] - centre
                own[i] += way * way
        for i in range(n):
            if k == 0 or own[i] < nearest[i]:
                nearest[i], place[i] = own[i], k
    for i in range(n):
        changed = changed or labels[i] != <Py_ssize_t> place[i]
        labels[i] = <Py_ssize_t> place[i]
    return changed


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
