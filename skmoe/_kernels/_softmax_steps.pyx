"""Penalised multinomial logistic regression by Newton's method, on dense rows."""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, fmax, fmin, isfinite, log, sqrt
from libc.stdint cimport uintptr_t
from scipy.linalg.cython_lapack cimport dpotrf, dpotri, dpotrs

import numpy as np

cdef extern from "_softmax_steps.h" nogil:
    enum:
        BLOCK_ROWS "SKMOE_BLOCK_ROWS"
        STRIDE "SKMOE_BLOCK"
    void predict_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_sums_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_grams_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void curvature_weights_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_softmax_value(
        const double*, const double*, double, const double*, double*, double*,
        Py_ssize_t, Py_ssize_t) noexcept
    void skmoe_softmax_lack(
        const double*, const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_largest(const double*, Py_ssize_t, Py_ssize_t) noexcept

cdef enum:
    LINE = 64  # bytes; arrays of a block start at multiples of it

cdef double LONGEST_STEP = 30.0  # change of a logit: without curvature, Newton would go to infinity
cdef double SHORTEST = 1e-8  # part of a step
cdef double FLOOR = 1e-12  # of a curvature, over the largest
cdef double ROUNDING = 1e-14  # of the objective, relative: smaller gains it cannot tell


include "_softmax_passes.pxi"


def softmax_newton(
    const double[:, :] design,     # IN: (n_samples, p)
    const double[:, :] targets,    # IN: (n_samples, K)
    double[:, ::1] coef,           # IN OUT: (p, K)
    const double[::1] penalty,     # IN: (p,)
    Py_ssize_t max_iter,           # IN
    double tol,                    # IN
    double[:, ::1] proba,          # OUT: (n_samples, K)
    double[:, ::1] log_proba,      # OUT: (n_samples, K)
) -> tuple:
    """Raise the objective of ``skmoe._numerics.multinomial``, whose ``fit`` has the parameters.

    Parameters
    ----------
    design, targets, penalty, max_iter, tol
        As ``fit`` takes them; there are two classes at least, and some row has mass.
    coef : float64 array of shape (p, K)
        To begin with; replaced.
    proba, log_proba : float64 array of shape (n_samples, K)
        Written to: of the rows, at the last of ``coef``.

    Returns
    -------
    n_iter, converged : int and bool
        Steps, and whether `tol` was met.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Problem problem
    cdef Py_ssize_t n = design.shape[0], p = design.shape[1], K = targets.shape[1], n_iter = 0
    cdef Py_ssize_t n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS, number
    cdef bint converged
    _check_shape("targets", (targets.shape[0],), (n,))
    _check_shape("coef", (coef.shape[0], coef.shape[1]), (p, K))
    _check_shape("penalty", (penalty.shape[0],), (p,))
    _check_shape("proba", (proba.shape[0], proba.shape[1]), (n, K))
    _check_shape("log_proba", (log_proba.shape[0], log_proba.shape[1]), (n, K))
    cdef double[::1] _memory = begin(&problem, n, p, K, penalty)
    with nogil:
        for number in range(n_blocks):
            take_design(&problem, design, number)
            _take(&problem, targets, number)
        converged = newton(&problem, &coef[0, 0], max_iter, tol, &n_iter)
        for number in range(n_blocks):
            give(&problem, number, proba, log_proba)
    return n_iter, converged


def softmax_volume(
    const double[:, :, ::1] pairs,  # IN: (K (K - 1) / 2, p, p)
    const double[::1] penalty,      # IN: (p,)
    double[::1] variance,           # OUT: (p,) or None
) -> float:
    """Volume of the posterior of a softmax's weights relative to its prior, by Laplace's method.

    It is ``-1/2 log|I + H / P|`` of curvature H and prior precisions P, of functions that sum to
    zero.

    Parameters
    ----------
    pairs : float64 array of shape (K (K - 1) / 2, p, p)
        From ``skmoe._numerics.multinomial.pair_grams``.
    penalty : float64 array of shape (p,)
        Prior precisions of the columns, positive.
    variance : float64 array of shape (p,) or None
        Written to: of each column, the sum of the posterior variances of K - 1 orthonormal
        functions.

    Returns
    -------
    log_volume : float
        Its logarithm.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Problem problem
    cdef Py_ssize_t n_pairs = pairs.shape[0], p = penalty.shape[0], i, j, pair
    cdef Py_ssize_t K = <Py_ssize_t> (0.5 + sqrt(0.25 + 2.0 * n_pairs) + 1e-9)
    cdef double volume
    cdef double* variances = NULL
    n_columns = penalty.shape[0]
    _check_shape("pairs", (pairs.shape[1], pairs.shape[2]), (n_columns, n_columns))
    if variance is not None:
        _check_shape("variance", (variance.shape[0],), (n_columns,))
        variance[:] = 0.0
        variances = &variance[0]
    if K == 1:
        return 0.0
    cdef double[::1] _memory = begin(&problem, 0, p, K, penalty)
    with nogil:
        for j in range(p):
            for i in range(j + 1):
                for pair in range(n_pairs):
                    problem.grams[(j * (j + 1) // 2 + i) * n_pairs + pair] = pairs[pair, i, j]
        _factor(&problem)
        volume = _volume(&problem)
        if variances != NULL:
            _variances(&problem, variances)
    return volume


def learn_softmax(
    const double[:, :] design,     # IN: (n_samples, p)
    const double[:, :] targets,    # IN: (n_samples, K)
    double[:, ::1] coef,           # IN OUT: (p, K)
    double[::1] penalty,           # IN OUT: (p,)
    const int[::1] groups,         # IN: (p,)
    double smallest,               # IN
    double largest,                # IN
    Py_ssize_t n_steps,            # IN
    Py_ssize_t max_iter,           # IN
    double tol,                    # IN
    double[:, ::1] proba,          # OUT: (n_samples, K)
    double[:, ::1] log_proba,      # OUT: (n_samples, K)
) -> float:
    """Weights and the precisions of their prior that maximise the evidence, by turns.

    Parameters
    ----------
    design, targets, coef, max_iter, tol, proba, log_proba
        As ``softmax_newton`` takes them; proba are those of the last weights.
    penalty : float64 array of shape (p,)
        Prior precisions of the columns, to begin with; replaced.
    groups : int32 array of shape (p,)
        Number, from 0, of the group of each column, whose precision is learned as one; -1 is not
        learned.
    smallest, largest : float
        Bounds of precisions.
    n_steps : int
        MacKay's steps, each after Newton's.

    Returns
    -------
    log_volume : float
        As ``softmax_volume`` returns it.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Problem problem
    cdef Py_ssize_t n = design.shape[0], p = design.shape[1], K = targets.shape[1], n_iter, j, g
    cdef Py_ssize_t n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS, number, _step
    cdef double volume, precision
    _check_shape("targets", (targets.shape[0],), (n,))
    _check_shape("coef", (coef.shape[0], coef.shape[1]), (p, K))
    _check_shape("penalty", (penalty.shape[0],), (p,))
    _check_shape("groups", (groups.shape[0],), (p,))
    _check_shape("proba", (proba.shape[0], proba.shape[1]), (n, K))
    _check_shape("log_proba", (log_proba.shape[0], log_proba.shape[1]), (n, K))
    cdef double[::1] _memory = begin(&problem, n, p, K, penalty)
    cdef double[:, ::1] work = np.empty((3, p))
    with nogil:
        for number in range(n_blocks):
            take_design(&problem, design, number)
            _take(&problem, targets, number)
        for _step in range(n_steps):
            n_iter = 0
            newton(&problem, &coef[0, 0], max_iter, tol, &n_iter)
            _sum(&problem, &coef[0, 0])
            _factor(&problem)
            _variances(&problem, &work[0, 0])
            for j in range(p):
                work[1, j] = work[2, j] = 0.0
            for j in range(p):
                if groups[j] >= 0:
                    work[1, groups[j]] += K - 1 - penalty[j] * work[0, j]  # what rows determine
                    for g in range(K):
                        work[2, groups[j]] += coef[j, g] * coef[j, g]
            for j in range(p):
                if groups[j] >= 0:
                    precision = work[1, groups[j]] / fmax(work[2, groups[j]], 1e-300)
                    if precision == precision:  # of a failed factor it is NaN, and stays so
                        precision = fmin(fmax(precision, smallest), largest)
                    penalty[j] = precision
        _factor(&problem)
        volume = _volume(&problem)
        for number in range(n_blocks):
            give(&problem, number, proba, log_proba)
    return volume


cdef double _volume(const Problem* problem) noexcept nogil:
    """Logarithm of the volume of the posterior relative to the prior's, from the factor."""
    cdef Py_ssize_t j
    cdef double volume = 0.0
    for j in range(problem.n_free):
        volume += 0.5 * log(problem.penalty[j % problem.p])
        volume -= log(problem.hessian[j * problem.n_free + j])
    return volume


cdef void _variances(Problem* problem, double* variance) noexcept nogil:
    """Write the sums of posterior variances of each column, in place of the factor."""
    cdef Py_ssize_t j
    cdef int size = problem.n_free, failed
    dpotri("L", &size, problem.hessian, &size, &failed)
    for j in range(problem.p):
        variance[j] = 0.0
    for j in range(size):
        variance[j % problem.p] += problem.hessian[j * size + j]


cdef double[::1] begin(
    Problem* problem,           # OUT
    Py_ssize_t n,               # IN
    Py_ssize_t p,               # IN
    Py_ssize_t K,               # IN
    const double[::1] penalty,  # IN: (p,)
):
    """Memory of a problem, to be kept as long as it is used."""
    cdef Py_ssize_t j, n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS
    problem.n, problem.p, problem.K = n, p, K
    problem.n_pairs, problem.n_free = K * (K - 1) // 2, (K - 1) * p
    # Design, targets, logits, direction, probabilities, logarithms, lack, curvatures and mass.
    problem.size_of_block = STRIDE * (p + 6 * (K + 1) + problem.n_pairs + 1)
    cdef Py_ssize_t n_packed = p * (p + 1) // 2 * problem.n_pairs
    cdef Py_ssize_t n_rows = n_blocks * problem.size_of_block
    cdef double[::1] memory = np.empty(
        n_rows + LINE + n_packed + problem.n_free * (problem.n_free + 2) + K * (K - 1)
        + (3 * K + 1) * p)
    problem.rows = <double*> ((<uintptr_t> &memory[0] + LINE - 1) // LINE * LINE)
    problem.penalty = &penalty[0]
    problem.gradient = problem.rows + n_rows
    problem.grams = problem.gradient + p * K
    problem.hessian = problem.grams + n_packed
    problem.solution = problem.hessian + problem.n_free * problem.n_free
    problem.basis = problem.solution + 2 * problem.n_free
    problem.step = problem.basis + K * (K - 1)
    problem.by_class = problem.step + p * K
    for j in range((K + 1) * p):
        problem.by_class[j] = 0.0
    _helmert(problem.basis, K)
    return memory


cdef void _helmert(double* basis, Py_ssize_t K) noexcept nogil:
    """An orthonormal basis (K, K - 1) of what sums to zero."""
    cdef Py_ssize_t j, k
    for k in range(K - 1):
        for j in range(K):
            basis[j * (K - 1) + k] = 0.0
        for j in range(k + 2):
            basis[j * (K - 1) + k] = (
                (1.0 if j <= k else -(k + 1.0)) / sqrt((k + 1.0) * (k + 2.0)))


cdef int newton(
    Problem* problem,     # IN OUT
    double* coef,         # IN OUT: (p, K)
    Py_ssize_t max_iter,  # IN
    double tol,           # IN
    Py_ssize_t* n_iter,   # IN OUT: steps so far
) except -1 nogil:
    """Newton's steps for the targets in the blocks; whether ``tol`` was met."""
    cdef Py_ssize_t number, i
    cdef double value, new_value, decrement, size, largest
    cdef double* step = problem.step
    cdef double* mass
    cdef bint converged = False, is_last
    problem.total = 0.0
    for number in range((problem.n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        mass = block(problem, number, 6)
        for i in range(rows_of(problem, number)):
            problem.total += mass[i]
    _predict(problem, coef, 0)
    value = _value(problem, coef, NULL, 0.0)
    while n_iter[0] < max_iter and not converged:
        n_iter[0] += 1
        with gil:
            PyErr_CheckSignals()  # of Ctrl-C
        _sum(problem, coef)
        decrement = _solve(problem, step)
        largest = _predict(problem, step, 1)
        if decrement <= ROUNDING * fabs(value):
            _value(problem, coef, step, 1.0)
            size, converged = 1.0, True
        else:
            is_last = not decrement > tol * problem.total
            size = fmin(1.0, LONGEST_STEP / fmax(largest, 1e-300))
            while True:
                new_value = _value(problem, coef, step, size)
                if new_value >= value + 1e-4 * size * decrement:
                    value = new_value
                    break
                size /= 2
                if not size > SHORTEST:  # no ascent to working precision
                    size, is_last = 0.0, True
                    _value(problem, coef, step, size)
                    break
            converged = is_last
        _move(problem, coef, step, size)
    return converged


cdef void _factor(Problem* problem) noexcept nogil:
    """Cholesky factor of the curvature with the penalty, from the Gram matrices."""
    cdef Py_ssize_t p = problem.p, K = problem.K, a, b, i, j, k, other, pair
    cdef int size = problem.n_free, failed = 1
    cdef double* hessian = problem.hessian
    cdef double* diagonal = problem.solution + size
    cdef double* basis = problem.basis
    cdef double part, entry, largest = 1e-300, trace = 0.0, jitter = 0.0
    for j in range(size * size):
        hessian[j] = 0.0
    pair = 0
    for other in range(1, K):
        for k in range(other):
            for a in range(max(k - 1, 0), other):  # for others the two are the same
                for b in range(max(k - 1, 0), a + 1):  # the lower triangle
                    part = basis[k * (K - 1) + a] - basis[other * (K - 1) + a]
                    part *= basis[k * (K - 1) + b] - basis[other * (K - 1) + b]
                    for j in range(p):
                        for i in range(j + 1):
                            entry = part * problem.grams[
                                (j * (j + 1) // 2 + i) * problem.n_pairs + pair]
                            hessian[(a * p + i) * size + b * p + j] += entry
                            if i < j:
                                hessian[(a * p + j) * size + b * p + i] += entry
            pair += 1
    for j in range(size):
        largest = fmax(largest, hessian[j * size + j])
    for j in range(size):
        diagonal[j] = hessian[j * size + j] + problem.penalty[j % p] + FLOOR * largest
        trace += diagonal[j]
    while failed and jitter < 1e10 and isfinite(trace):  # rounding may have made it indefinite
        for j in range(size):
            hessian[j * size + j] = diagonal[j] + jitter * trace / size
            for i in range(j):
                hessian[i * size + j] = hessian[j * size + i]
        dpotrf("L", &size, hessian, &size, &failed)
        jitter = fmax(10 * jitter, FLOOR)


cdef double _solve(
    Problem* problem,  # IN OUT
    double* step,      # OUT: (p, K)
) noexcept nogil:
    """Newton's step, and the product of gradient and step: what it promises, twice."""
    cdef Py_ssize_t p = problem.p, K = problem.K, a, j, k
    cdef int size = problem.n_free, failed, one = 1
    cdef double* hessian = problem.hessian
    cdef double* solution = problem.solution
    cdef double* diagonal = problem.solution + size
    cdef double* basis = problem.basis
    cdef double decrement = 0.0
    _factor(problem)
    for a in range(K - 1):
        for j in range(p):
            solution[a * p + j] = 0.0
            for k in range(K):
                solution[a * p + j] += problem.gradient[j * K + k] * basis[k * (K - 1) + a]
            diagonal[a * p + j] = solution[a * p + j]
    dpotrs("L", &size, &one, hessian, &size, solution, &size, &failed)
    for j in range(size):
        decrement += diagonal[j] * solution[j]
    for j in range(p):
        for k in range(K):
            step[j * K + k] = 0.0
            for a in range(K - 1):
                step[j * K + k] += solution[a * p + j] * basis[k * (K - 1) + a]
    return decrement


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
