"""The small systems of equations of an M-step, from sums over rows.

Of a few columns and experts, each takes less time than a call of LAPACK from Python.
"""

import numpy as np

cdef extern from "_cholesky.h" nogil:
    double skmoe_cholesky(double*, Py_ssize_t) noexcept
    void skmoe_solve_factored(const double*, double*, Py_ssize_t) noexcept


cdef double FLOOR = 1e-12  # of a diagonal entry, over the largest


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


def add_to_targets(
    const double[:, :, :] gram,     # IN: (K, p, p)
    const double[:, :, :] cross,    # IN: (K, p, m)
    const double[:, :] squares,     # IN: (K, m)
    const double[:, :, :] coef,     # IN: (K, p, m)
    double sign,                    # IN
    double[:, :, ::1] new_cross,    # OUT: (K, p, m)
    double[:, ::1] new_squares,     # OUT: (K, m)
) -> None:
    """Sums of K least-squares problems after linear functions were added to their targets.

    Parameters
    ----------
    gram, cross : float64 array of shape (K, p, p) and (K, p, m)
        As `least_squares` takes them.
    squares : float64 array of shape (K, m)
        Weighted squares of the targets.
    coef : float64 array of shape (K, p, m)
        The functions; taken `sign` times.
    sign : float
        -1 to subtract them.
    new_cross, new_squares : float64 array of shape (K, p, m) and (K, m)
        Written to.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_problems = cross.shape[0]
    cdef Py_ssize_t n_columns = cross.shape[1]
    cdef Py_ssize_t n_targets = cross.shape[2]
    cdef Py_ssize_t i, j, k, target
    cdef double fitted, total
    shape, of_squares = (n_problems, n_columns, n_targets), (n_problems, n_targets)
    square = (n_problems, n_columns, n_columns)
    _check_shape("gram", (gram.shape[0], gram.shape[1], gram.shape[2]), square)
    _check_shape("squares", (squares.shape[0], squares.shape[1]), of_squares)
    _check_shape("coef", (coef.shape[0], coef.shape[1], coef.shape[2]), shape)
    found = (new_cross.shape[0], new_cross.shape[1], new_cross.shape[2])
    _check_shape("new_cross", found, shape)
    _check_shape("new_squares", (new_squares.shape[0], new_squares.shape[1]), of_squares)

    for k in range(n_problems):
        for target in range(n_targets):
            total = squares[k, target]
            for i in range(n_columns):
                fitted = 0.0
                for j in range(n_columns):
                    fitted += gram[k, i, j] * coef[k, j, target]
                fitted *= sign
                total += sign * coef[k, i, target] * (2.0 * cross[k, i, target] + fitted)
                new_cross[k, i, target] = cross[k, i, target] + fitted
            new_squares[k, target] = total


def cholesky(
    double[:, ::1] matrix,  # IN OUT: (n, n)
) -> float:
    """Factorise a symmetric matrix in place.

    Parameters
    ----------
    matrix : float64 array of shape (n, n)
        Its upper triangle is replaced by U with matrix = U' U; what is below is not looked at.

    Returns
    -------
    pivots : float
        The smallest on the diagonal of U over the largest: 0 where the matrix is not positive
        definite, and U is undefined.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    _check_shape("matrix", (matrix.shape[1],), (matrix.shape[0],))
    if matrix.shape[0] == 0:
        return 1.0
    return skmoe_cholesky(&matrix[0, 0], matrix.shape[0])


def solve_factored(
    const double[:, ::1] factor,  # IN: (n, n)
    double[::1] right,            # IN OUT: (n,)
) -> None:
    """Solve a system of equations in place.

    Parameters
    ----------
    factor : float64 array of shape (n, n)
        From `cholesky`.
    right : float64 array of shape (n,)
        Right-hand side; the solution on return.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    n = right.shape[0]
    _check_shape("factor", (factor.shape[0], factor.shape[1]), (n, n))
    if n:
        skmoe_solve_factored(&factor[0, 0], &right[0], n)


def softmax_curvature(
    const double[:, :, :] pairs,    # IN: (K (K - 1) / 2, p, p)
    double[:, :, :, ::1] hessian,   # OUT: (K, p, K, p)
) -> None:
    """Assemble the negative Hessian of a multinomial log-likelihood of K classes.

    Parameters
    ----------
    pairs : float64 array of shape (K (K - 1) / 2, p, p)
        Gram matrices of the columns with weights of mass times the probabilities of two classes,
        (k, l) with k < l, l slowest.
    hessian : float64 array of shape (K, p, K, p)
        Written to: between two classes, the matrix of theirs with a minus sign; within one, the
        sum over its pairs, as probabilities sum to one.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_classes = hessian.shape[0]
    cdef Py_ssize_t n_columns = hessian.shape[1]
    cdef Py_ssize_t i, j, k, l
    cdef Py_ssize_t pair = 0
    cdef double entry
    shape = (n_classes * (n_classes - 1) // 2, n_columns, n_columns)
    _check_shape("pairs", (pairs.shape[0], pairs.shape[1], pairs.shape[2]), shape)
    _check_shape("hessian", (hessian.shape[2], hessian.shape[3]), (n_classes, n_columns))

    for k in range(n_classes):
        for i in range(n_columns):
            for j in range(n_columns):
                hessian[k, i, k, j] = 0.0
    for l in range(n_classes):  # no-cython-lint
        for k in range(l):
            for i in range(n_columns):
                for j in range(n_columns):
                    entry = pairs[pair, i, j]
                    hessian[k, i, l, j] = hessian[l, i, k, j] = -entry
                    hessian[k, i, k, j] += entry
                    hessian[l, i, l, j] += entry
            pair += 1


def add_softmax_penalty(
    double[:, :, :, ::1] hessian,  # IN OUT: (K, p, K, p)
    const double[::1] penalty,     # IN: (p,)
) -> None:
    """Make a negative Hessian of `softmax_curvature` definite.

    The direction (1, ..., 1) over the classes is flat. A gradient has no part in it, so any
    curvature along it leaves the Newton step what it is.

    Parameters
    ----------
    hessian : float64 array of shape (K, p, K, p)
        Gains the penalty, curvature along the flat direction of each column, and a little of it
        on the diagonal.
    penalty : float64 array of shape (p,)
        L2 penalty of each column.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_classes = hessian.shape[0]
    cdef Py_ssize_t n_columns = hessian.shape[1]
    cdef Py_ssize_t j, k, l
    cdef double of_column, shared
    cdef double largest = 1e-300
    _check_shape("hessian", (hessian.shape[2], hessian.shape[3]), (n_classes, n_columns))
    _check_shape("penalty", (penalty.shape[0],), (n_columns,))

    for j in range(n_columns):
        of_column = 0.0
        for k in range(n_classes):
            of_column += hessian[k, j, k, j]
        largest = max(largest, of_column)
    for j in range(n_columns):
        of_column = 0.0
        for k in range(n_classes):
            of_column += hessian[k, j, k, j]
        shared = max(of_column, FLOOR * largest) / n_classes
        for k in range(n_classes):
            for l in range(n_classes):  # no-cython-lint
                hessian[k, j, l, j] += shared
            hessian[k, j, k, j] += penalty[j] + FLOOR * largest


def softmax_step(
    const double[:, ::1] factor,   # IN: (K p, K p)
    const double[:, :] gradient,   # IN: (p, K)
    double[:, ::1] step,           # OUT: (p, K)
) -> float:
    """Newton step of a multinomial log-likelihood, whose coefficients sum to zero over classes.

    Parameters
    ----------
    factor : float64 array of shape (K p, K p)
        From `cholesky` of a definite negative Hessian.
    gradient : float64 array of shape (p, K)
        Gradient of the penalised log-likelihood.
    step : float64 array of shape (p, K)
        Written to: sums to zero over the K classes.

    Returns
    -------
    decrement : float
        Product of gradient and step.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_columns = step.shape[0]
    cdef Py_ssize_t n_classes = step.shape[1]
    cdef Py_ssize_t size = n_columns * n_classes
    cdef Py_ssize_t j, k
    cdef double mean
    cdef double decrement = 0.0
    _check_shape("gradient", (gradient.shape[0], gradient.shape[1]), (n_columns, n_classes))
    _check_shape("factor", (factor.shape[0], factor.shape[1]), (size, size))
    if size == 0:
        return 0.0
    cdef double[::1] solution = np.empty(size)  # class after class

    for k in range(n_classes):
        for j in range(n_columns):
            solution[k * n_columns + j] = gradient[j, k]
    skmoe_solve_factored(&factor[0, 0], &solution[0], size)
    for j in range(n_columns):
        mean = 0.0
        for k in range(n_classes):
            mean += solution[k * n_columns + j]
        mean /= n_classes
        for k in range(n_classes):
            step[j, k] = solution[k * n_columns + j] - mean
            decrement += step[j, k] * gradient[j, k]
    return decrement


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
