"""Posteriors of pooled experts, in one call: their coefficients, prior variances, and precisions.

``skmoe._experts.pooled`` has the model. BLAS and LAPACK store matrices by columns: their lower
triangle is the upper one here.
"""

from libc.math cimport INFINITY, NAN, exp, fabs, fmax, fmin, isfinite, lgamma, log, sqrt
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport ddot, dsymv, dsyrk, dtrmm
from scipy.linalg.cython_lapack cimport dpotrf, dpotri, dtrtri

import numpy as np

cdef double FIRST_JITTER = 1e-14  # of the trace, for a matrix that rounding made indefinite
cdef double SMALLEST_VARIANCE = 1e-8
cdef double LARGEST_VARIANCE = 1e4
cdef double LONGEST_STEP = 30.0  # factor by which MacKay's step changes a variance at most


include "_pooled_ties.pxi"


def learn_posterior(
    const double[:, :, ::1] gram,  # IN: (K, q, q)
    const double[:, ::1] cross,    # IN: (K, q)
    double[::1] tau,               # IN OUT: (q,)
    double[::1] rho,               # IN OUT: (q,)
    const int[:, ::1] groups,      # IN: (2, q) or None
    double[:, ::1] mean,           # OUT: (K, q)
    double[:, :, ::1] cov,         # OUT: (K, q, q)
    double[:, :, ::1] own,         # OUT: (2, K, q)
    double[:, ::1] shared,         # OUT: (2, q)
) -> tuple:
    """Posterior of the coefficients of K experts that share a prior, and its variances.

    Parameters
    ----------
    gram, cross : float64 array of shape (K, q, q) and (K, q)
        Sums in units of the error variances.
    tau, rho : float64 array of shape (q,)
        Prior variances of deviations and of what is common. Several experts have positive `tau`.
        Those of groups are replaced where that raises the evidence.
    groups : int32 array of shape (2, q) or None
        Number of the group of each variance, those of `tau` first; a group is learned as one, from
        0, and -1 is not learned. None learns nothing.
    mean, cov : float64 array of shape (K, q) and (K, q, q)
        Written to: of the coefficients.
    own, shared : float64 array of shape (2, K, q) and (2, q)
        Written to: means, then variances, of deviations and of what is common.

    Returns
    -------
    evidence, divergence : float
        See `Coefficients`.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Problem problem
    cdef Posterior found
    n_experts, q = cross.shape[0], cross.shape[1]
    _check_shape("gram", (gram.shape[0], gram.shape[1], gram.shape[2]), (n_experts, q, q))
    _check_shape("tau", (tau.shape[0],), (q,))
    _check_shape("rho", (rho.shape[0],), (q,))
    _check_shape("mean", (mean.shape[0], mean.shape[1]), (n_experts, q))
    _check_shape("cov", (cov.shape[0], cov.shape[1], cov.shape[2]), (n_experts, q, q))
    _check_shape("own", (own.shape[0], own.shape[1], own.shape[2]), (2, n_experts, q))
    _check_shape("shared", (shared.shape[0], shared.shape[1]), (2, q))
    problem.K, problem.q = n_experts, q
    problem.gram, problem.cross = <double*> &gram[0, 0, 0], <double*> &cross[0, 0]
    found.mean, found.cov = &mean[0, 0], &cov[0, 0, 0]
    found.own_mean, found.own_var = &own[0, 0, 0], &own[1, 0, 0]
    found.shared_mean, found.shared_var = &shared[0, 0], &shared[1, 0]
    cdef double[::1] work = np.empty((4 * q + 16) * q)
    cdef const int* learned = NULL
    if groups is not None:
        _check_shape("groups", (groups.shape[0], groups.shape[1]), (2, q))
        learned = &groups[0, 0]
    with nogil:
        learn(&problem, &tau[0], &rho[0], learned, &work[0], &found)
    return found.evidence, found.divergence


cdef void learn(
    const Problem* problem,  # IN
    double* tau,             # IN OUT: (q,)
    double* rho,             # IN OUT: (q,)
    const int* groups,       # IN: (2, q) or NULL
    double* work,            # OUT: (4 q + 16, q) memory
    Posterior* found,        # OUT
) noexcept nogil:
    """What ``learn_posterior`` does."""
    cdef Py_ssize_t q = problem.q, j
    cdef double* steps = work + 4 * q  # by MacKay's step and by EM's; of tau and rho
    cdef double* memory = work + 8 * q
    cdef double before
    cdef int step
    if groups == NULL:
        _solve(problem, tau, rho, True, memory, found)
        return
    _solve(problem, tau, rho, False, memory, found)
    before = found.evidence
    for step in range(2):
        for j in range(q):
            steps[2 * step * q + j] = tau[j]
            steps[(2 * step + 1) * q + j] = rho[j]
    _step(groups, found.own_mean, found.own_var, problem.K, problem.q,
          steps, steps + 2 * q, work)
    _step(groups + q, found.shared_mean, found.shared_var, 1, problem.q,
          steps + q, steps + 3 * q, work)
    for step in range(2):
        _solve(problem, steps + 2 * step * q, steps + (2 * step + 1) * q, True, memory, found)
        if found.evidence >= before:
            for j in range(q):
                tau[j] = steps[2 * step * q + j]
                rho[j] = steps[(2 * step + 1) * q + j]
            break
    else:
        _solve(problem, tau, rho, True, memory, found)


def variance_steps(
    const int[::1] group,       # IN: (q,)
    const double[:, ::1] mean,  # IN: (K, q)
    const double[:, ::1] var,   # IN: (K, q)
    double[:, :] steps,         # IN OUT: (2, q)
) -> None:
    """New variances of coefficients with these moments, in place of the last ones.

    Parameters
    ----------
    group : int32 array of shape (q,)
        A row of the `groups` that `learn_posterior` takes.
    mean, var : float64 array of shape (K, q)
        Moments of the coefficients.
    steps : float64 array of shape (2, q)
        Variances, twice; by MacKay's step and by EM's on return.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef int q = group.shape[0]
    cdef double[::1] work = np.empty(4 * q)
    _check_shape("mean", (mean.shape[1],), (q,))
    _check_shape("var", (var.shape[0], var.shape[1]), (mean.shape[0], q))
    _check_shape("steps", (steps.shape[0], steps.shape[1]), (2, q))
    fast, slow = np.array(steps[0]), np.array(steps[1])
    cdef double[::1] by_mackay = fast
    cdef double[::1] by_em = slow
    _step(&group[0], &mean[0, 0], &var[0, 0], mean.shape[0], q, &by_mackay[0], &by_em[0], &work[0])
    steps[0, :], steps[1, :] = by_mackay, by_em


cdef void _step(
    const int* group,    # IN: (q,)
    const double* mean,  # IN: (K, q)
    const double* var,   # IN: (K, q)
    int K, int q,        # IN
    double* fast,        # IN OUT: (q,)
    double* slow,        # IN OUT: (q,)
    double* sums,        # OUT: (4, q) memory
) noexcept nogil:
    """MacKay's step of variances, and that of EM; in both are the last ones."""
    cdef int j, k, g
    cdef double last, squares, determined
    for j in range(4 * q):
        sums[j] = 0.0
    for j in range(q):
        g = group[j]
        if g < 0:
            continue
        if sums[2 * q + g] == 0.0:
            sums[3 * q + g] = fast[j]
        sums[2 * q + g] += K
        for k in range(K):
            sums[g] += mean[k * q + j] * mean[k * q + j]
            sums[q + g] += var[k * q + j]
    for j in range(q):
        g = group[j]
        if g < 0:
            continue
        squares, last = sums[g], sums[3 * q + g]
        determined = fmax(sums[2 * q + g] - sums[q + g] / last, 1e-10)
        fast[j] = fmin(
            fmax(squares / determined, fmax(SMALLEST_VARIANCE, last / LONGEST_STEP)),
            fmin(LARGEST_VARIANCE, last * LONGEST_STEP),
        )
        slow[j] = fmin(
            fmax((squares + sums[q + g]) / sums[2 * q + g], SMALLEST_VARIANCE), LARGEST_VARIANCE)


cdef void _solve(
    const Problem* problem,  # IN
    const double* tau,       # IN: (q,)
    const double* rho,       # IN: (q,)
    bint has_cov,            # IN: else cov is undefined
    double* work,            # OUT: (4 q + 8, q) memory
    Posterior* found,        # OUT
) noexcept nogil:
    """The posterior under these variances.

    With T = diag(tau)^(1/2), R = diag(rho)^(1/2), G_k and h_k the sums and P_k = (I + T G_k T)^-1:

        V = R (I + R sum_k T^-1 (I - P_k) T^-1 R)^-1 R = Z Z',   E b_0 = V sum_k T^-1 P_k T h_k
        X_k = T P_k T^-1 Z,   E d_k = T P_k T (h_k - G_k E b_0)
        Cov b_k = T P_k T + X_k X_k',   Cov d_k = T P_k T + (Z - X_k) (Z - X_k)'
    """
    cdef int K = problem.K
    cdef int q = problem.q
    cdef Py_ssize_t size = q * q
    cdef int i, j, k, one = 1
    cdef double unit = 1.0, zero = 0.0, total = 0.0, half_log_det = 0.0
    cdef double share, variance
    cdef double* gram
    cdef double* cross
    cdef double* shared = work               # (q, q)
    cdef double* turned = shared + size      # (q, q) Z, upper triangle
    cdef double* scaled = turned + size      # (q, q) T^-1 Z
    cdef double* moved = scaled + size       # (q, q) X
    cdef double* root = moved + size         # (q,) T
    cdef double* of_shared = root + q        # (q,) R
    cdef double* right = of_shared + q       # (q,)
    cdef double* left = right + q            # (q,)
    cdef double* sums = left + q             # (q,)
    cdef double* inverse

    for j in range(q):
        root[j] = sqrt(tau[j] if K > 1 else tau[j] + rho[j])
        of_shared[j] = sqrt(rho[j])
        sums[j] = 0.0
    for j in range(size):
        shared[j] = 0.0
    for k in range(K):
        gram, cross, inverse = problem.gram + k * size, problem.cross + k * q, found.cov + k * size
        for i in range(q):
            for j in range(q):
                inverse[i * q + j] = root[i] * root[j] * gram[i * q + j]
        half_log_det += _factor(inverse, left, q)
        dpotri("L", &q, inverse, &q, &i)
        _mirror(inverse, q)
        for j in range(q):
            right[j] = root[j] * cross[j]
        dsymv("L", &q, &unit, inverse, &q, right, &one, &zero, left, &one)
        total += ddot(&q, right, &one, left, &one)
        if K == 1:
            break
        for i in range(q):
            sums[i] += left[i] / root[i]
            for j in range(q):
                shared[i * q + j] -= inverse[i * q + j] / (root[i] * root[j])
            shared[i * q + i] += 1 / tau[i]

    if K == 1:  # b_0 and d are parts of what is normal with the sum of their variances
        for j in range(q):
            found.mean[j] = root[j] * left[j]
            variance = tau[j] + rho[j]
            share = rho[j] / variance if variance > 0 else 0.0
            variance *= inverse[j * q + j]
            found.shared_mean[j] = share * found.mean[j]
            found.own_mean[j] = (1 - share) * found.mean[j]
            found.shared_var[j] = rho[j] * (1 - share) + share * share * variance
            found.own_var[j] = tau[j] * share + (1 - share) * (1 - share) * variance
    else:
        for i in range(q):
            for j in range(q):
                shared[i * q + j] *= of_shared[i] * of_shared[j]
        half_log_det += _factor(shared, left, q)
        dtrtri("L", "N", &q, shared, &q, &i)
        for i in range(q):
            left[i] = found.shared_mean[i] = found.shared_var[i] = 0.0
        for i in range(q):
            for j in range(i, q):
                turned[i * q + j] = of_shared[i] * shared[i * q + j]
                scaled[i * q + j] = turned[i * q + j] / root[i]
                left[j] += turned[i * q + j] * sums[i]
                found.shared_var[i] += turned[i * q + j] * turned[i * q + j]
        for i in range(q):
            total += left[i] * left[i]
            for j in range(i, q):
                found.shared_mean[i] += turned[i * q + j] * left[j]
    found.evidence = 0.5 * total - half_log_det

    for k in range(K):
        gram, cross, inverse = problem.gram + k * size, problem.cross + k * q, found.cov + k * size
        if K > 1:
            memcpy(right, cross, q * sizeof(double))
            share = -1.0
            dsymv("L", &q, &share, gram, &q, found.shared_mean, &one, &unit, right, &one)
            for j in range(q):
                right[j] *= root[j]
            dsymv("L", &q, &unit, inverse, &q, right, &one, &zero, left, &one)
            memcpy(moved, inverse, size * sizeof(double))
            dtrmm("L", "L", "N", "N", &q, &q, &unit, scaled, &q, moved, &q)
            for i in range(q):
                found.own_mean[k * q + i] = root[i] * left[i]
                found.mean[k * q + i] = found.shared_mean[i] + root[i] * left[i]
                variance = tau[i] * inverse[i * q + i]
                for j in range(q):
                    moved[i * q + j] *= root[i]
                    share = moved[i * q + j] - (turned[i * q + j] if j >= i else 0.0)
                    variance += share * share
                found.own_var[k * q + i] = variance
        if not has_cov:
            continue
        for i in range(q):
            for j in range(q):
                inverse[i * q + j] *= root[i] * root[j]
        if K > 1:
            dsyrk("L", "T", &q, &q, &unit, moved, &q, &unit, inverse, &q)
            _mirror(inverse, q)
    found.divergence = half_log_det + _of_moments(problem, tau, rho, found)


cdef double _of_moments(
    const Problem* problem, const double* tau, const double* rho, const Posterior* found
) noexcept nogil:
    """The divergence less half the log-determinant; no difference of sums over rows."""
    cdef Py_ssize_t j, k, q = problem.q
    cdef double total = 0.0
    for j in range(q):
        if rho[j] > 0:
            total += (found.shared_mean[j] ** 2 + found.shared_var[j]) / rho[j] - 1
        for k in range(problem.K if tau[j] > 0 else 0):
            total += (found.own_mean[k * q + j] ** 2 + found.own_var[k * q + j]) / tau[j] - 1
    return 0.5 * total


cdef double _factor(
    double* matrix,    # IN OUT: (q, q)
    double* diagonal,  # OUT: (q,) memory
    int q,             # IN
) noexcept nogil:
    """Cholesky factor of I plus a matrix, in its upper triangle; half its log-determinant.

    If rounding has made it indefinite, a little is added to its diagonal.
    """
    cdef int i, j, failed
    cdef double jitter = FIRST_JITTER, trace = 0.0, half_log_det = 0.0
    for i in range(q):
        matrix[i * q + i] += 1
        diagonal[i] = matrix[i * q + i]
        trace += diagonal[i]
    while True:
        dpotrf("L", &q, matrix, &q, &failed)
        if not failed:
            break
        if not isfinite(trace) or jitter > 1e10:
            return NAN
        for i in range(q):
            matrix[i * q + i] = diagonal[i] + jitter * trace
            for j in range(i + 1, q):
                matrix[i * q + j] = matrix[j * q + i]
        jitter *= 10
    for i in range(q):
        half_log_det += log(matrix[i * q + i])
    return half_log_det


cdef void _mirror(double* matrix, int q) noexcept nogil:
    """Copy the upper triangle to the lower one."""
    cdef int i, j
    for i in range(q):
        for j in range(i):
            matrix[i * q + j] = matrix[j * q + i]


def learn_precisions(
    const double[::1] mass,     # IN: (K,)
    const double[::1] squares,  # IN: (K,)
    const double[::1] nu,       # IN: (n_grid,)
    double[:, ::1] found,       # OUT: (2, K)
) -> tuple:
    """Posterior of precisions, with the prior of a grid that maximises the bound.

    Parameters
    ----------
    mass, squares : float64 array of shape (K,)
        Weights of the rows, and expected weighted squares of their residuals, positive.
    nu : float64 array of shape (n_grid,)
        Degrees of freedom of the prior.
    found : float64 array of shape (2, K)
        Written to: shapes and rates of the posterior.

    Returns
    -------
    nu, centre : float
        Parameters of the prior.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef double[2] prior
    n_experts = mass.shape[0]
    _check_shape("squares", (squares.shape[0],), (n_experts,))
    _check_shape("found", (found.shape[0], found.shape[1]), (2, n_experts))
    with nogil:
        find_precisions(mass.shape[0], &mass[0], &squares[0], nu.shape[0], &nu[0], &found[0, 0],
                        prior)
    return prior[0], prior[1]


cdef void find_precisions(
    Py_ssize_t K,           # IN
    const double* mass,     # IN: (K,)
    const double* squares,  # IN: (K,)
    Py_ssize_t n_grid,      # IN
    const double* nu,       # IN: (n_grid,)
    double* found,          # OUT: (2, K)
    double* of_prior,       # OUT: (2,) nu and centre
) noexcept nogil:
    """What ``learn_precisions`` does."""
    cdef Py_ssize_t g, k, _
    cdef double total_mass = 0.0, total = 0.0, best = -INFINITY, best_nu = nu[0], best_centre = 0.0
    cdef double centre, prior, share, slope, curvature, step, shape, value
    for k in range(K):
        total_mass += mass[k]
        total += squares[k]
    for g in range(n_grid):
        centre = log(total / total_mass)
        for _ in range(30):
            prior = nu[g] * exp(centre)
            slope, curvature = 0.5 * K * nu[g], 0.0
            for k in range(K):
                share = prior / (prior + squares[k])
                slope -= 0.5 * (nu[g] + mass[k]) * share
                curvature += 0.5 * (nu[g] + mass[k]) * share * (1 - share)
            step = fmin(fmax(slope / fmax(curvature, 1e-300), -2.0), 2.0)
            centre += step
            if fabs(step) < 1e-10:
                break
        prior = 0.5 * nu[g]
        value = K * (prior * (log(prior) + centre) - lgamma(prior))
        for k in range(K):
            shape = prior + 0.5 * mass[k]
            value += lgamma(shape) - shape * log(prior * exp(centre) + 0.5 * squares[k])
        if value > best or g == 0:
            best, best_nu, best_centre = value, nu[g], exp(centre)
    for k in range(K):
        found[k] = 0.5 * (best_nu + mass[k])
        found[K + k] = 0.5 * (best_nu * best_centre + squares[k])
    of_prior[0], of_prior[1] = best_nu, best_centre


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
