"""Lloyd's k-means, of a few steps on as many rows as starts are tried on."""

from libc.math cimport INFINITY

import numpy as np


def far_rows(
    const double[:, ::1] points,     # IN: (n_samples, d)
    const double[::1] mass,          # IN: (n_samples,)
    const double[:, ::1] quantiles,  # IN: (n_rows, n_trials)
    double[:, ::1] drawn,            # OUT: (n_rows, d)
) -> None:
    """Rows far from each other, by greedy k-means++.

    Each is the best of some rows, which are quantiles of the mass times the squared distance to
    those before: it leaves the smallest sum of these products. The first one is not chosen.

    Parameters
    ----------
    points : float64 array of shape (n_samples, d)
        Rows, in the order of which quantiles are.
    mass : float64 array of shape (n_samples,)
        Of the rows.
    quantiles : float64 array of shape (n_rows, n_trials)
        Between 0 and 1, of the rows to choose from.
    drawn : float64 array of shape (n_rows, d)
        Written to.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n = points.shape[0], d = points.shape[1], n_rows = quantiles.shape[0]
    cdef Py_ssize_t i, j, number, trial, row, best
    cdef double left, least, way, total
    _check_shape("mass", (mass.shape[0],), (n,))
    _check_shape("drawn", (drawn.shape[0], drawn.shape[1]), (n_rows, d))
    cdef double[::1] cumulative = np.empty(n)
    cdef double[::1] distance = np.full(n, INFINITY)
    cdef double[::1] nearest = np.empty(n)
    cdef double[::1] kept = np.empty(n)
    with nogil:
        for number in range(n_rows):
            total = 0.0
            for i in range(n if number else 0):
                total += mass[i] * distance[i]
                cumulative[i] = total
            if not total > 0:  # the first one, or fewer distinct rows than asked for
                total = 0.0
                for i in range(n):
                    total += mass[i]
                    cumulative[i] = total
            least, best = INFINITY, 0
            for trial in range(quantiles.shape[1] if number else 1):
                row = min(_after(cumulative, quantiles[number, trial] * total), n - 1)
                left = 0.0
                for i in range(n):
                    nearest[i] = 0.0
                    for j in range(d):
                        way = points[i, j] - points[row, j]
                        nearest[i] += way * way
                    nearest[i] = min(nearest[i], distance[i])
                    left += mass[i] * nearest[i]
                if left < least * (1 - 1e-9) or trial == 0:  # rounding errors do not decide
                    least, best = left, row
                    kept, nearest = nearest, kept
            drawn[number] = points[best]
            distance, kept = kept, distance


cdef Py_ssize_t _after(const double[::1] cumulative, double value) noexcept nogil:
    """How many entries are no more than a value."""
    cdef Py_ssize_t first = 0, last = cumulative.shape[0], middle
    while first < last:
        middle = (first + last) // 2
        if cumulative[middle] <= value:
            first = middle + 1
        else:
            last = middle
    return first


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
