"""The small systems of equations of an M-step, from sums over rows.

Of a few columns and experts, each takes less time than a call of LAPACK from Python.
"""

import numpy as np

cdef extern from "_cholesky.h" nogil:
    double skmoe_cholesky(double*, Py_ssize_t) noexcept
    void skmoe_solve_factored(const double*, double*, Py_ssize_t) noexcept


def least_squares(
    const double[:, :, :] gram,   # IN: (K, p, p)
    const double[:, :, :] cross,  # IN: (K, p, m)
    const double[::1] penalty,    # IN: (p - 1,)
    double[:, :, ::1] coef,       # OUT: (K, p, m)
    double least_pivot,           # IN
) -> list:
    """Solve K penalised least-squares problems on one design with an intercept.

    The intercept is eliminated first, so that the rest is a system of centred columns.

    Parameters
    ----------
    gram : float64 array of shape (K, p, p)
        Weighted Gram matrices of the columns, the intercept last.
    cross : float64 array of shape (K, p, m)
        Weighted products of the columns and m targets.
    penalty : float64 array of shape (p - 1,)
        L2 penalty of each slope.
    coef : float64 array of shape (K, p, m)
        Written to: slopes, then the intercept.
    least_pivot : float
        Smallest pivot of a Cholesky factor, over its largest, of a system that is solved.

    Returns
    -------
    singular : list of int
        Numbers of the problems that are not, as their systems are singular or nearly so; their
        ``coef`` is undefined.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_problems = gram.shape[0]
    cdef Py_ssize_t n_columns = gram.shape[1]
    cdef Py_ssize_t n_targets = cross.shape[2]
    cdef Py_ssize_t n_slopes = n_columns - 1
    cdef Py_ssize_t i, j, k, target
    cdef double mass, mean, intercept
    _check_shape("gram", (gram.shape[1], gram.shape[2]), (n_columns, n_columns))
    shape = (n_problems, n_columns, n_targets)
    _check_shape("cross", (cross.shape[0], cross.shape[1], cross.shape[2]), shape)
    _check_shape("penalty", (penalty.shape[0],), (n_slopes,))
    _check_shape("coef", (coef.shape[0], coef.shape[1], coef.shape[2]), shape)
    cdef double[:, ::1] system = np.empty((n_columns, n_columns))  # its last row for one target
    cdef double* matrix = &system[0, 0]
    cdef double* slopes = matrix + n_slopes * n_slopes

    singular = []
    for k in range(n_problems):
        mass = gram[k, n_slopes, n_slopes]
        mass = mass if mass > 0 else 1.0  # of no rows, all is zero
        for i in range(n_slopes):
            mean = gram[k, n_slopes, i] / mass
            for j in range(i, n_slopes):
                matrix[i * n_slopes + j] = gram[k, i, j] - mean * gram[k, n_slopes, j]
            matrix[i * n_slopes + i] += penalty[i]
        if not skmoe_cholesky(matrix, n_slopes) > least_pivot:
            singular.append(k)
            continue
        for target in range(n_targets):
            intercept = cross[k, n_slopes, target] / mass
            for i in range(n_slopes):
                slopes[i] = cross[k, i, target] - gram[k, n_slopes, i] * intercept
            skmoe_solve_factored(matrix, slopes, n_slopes)
            for i in range(n_slopes):
                coef[k, i, target] = slopes[i]
                intercept -= gram[k, n_slopes, i] / mass * slopes[i]
            coef[k, n_slopes, target] = intercept
    return singular


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
