"""EM of linear experts with a softmax or constant gate: iterations without returning to Python.

The passes over the rows are those of `linear_pass`; here is what comes between them: the M-step of
least squares or logistic experts, of scales and gate, step lengths, acceleration, and when to stop.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cython cimport final, floating
from libc.limits cimport INT_MAX
from libc.math cimport INFINITY, exp, fabs, fmax, fmin, isnan, lgamma, log, log1p, sqrt
from libc.string cimport memcpy, memmove
from scipy.linalg.cython_lapack cimport dsyev
from scipy.special.cython_special cimport psi

from ._linear_pass cimport GAMMA, Problem, set_sizes, sum_rows

cdef extern from "_cholesky.h" nogil:
    double skmoe_cholesky(double*, Py_ssize_t) noexcept
    void skmoe_solve_factored(const double*, double*, Py_ssize_t) noexcept

cdef enum:
    MEMORY = 5  # EM steps that an acceleration looks at
    N_GAINS = 5

cdef double LOG_ROOT_2_PI = 0.9189385332046727
cdef double FARTHEST = 1e12       # standardised, in single precision, where weights may be 0
cdef double FLOOR = 1e-12         # of a diagonal entry of a curvature, over the largest
cdef double SMALLEST_STEP = 1e-3  # below, parameters stay where they are
cdef double FIRST_GAIN = 1e-10    # per unit of weight; by less, given responsibilities are learned
cdef double LONGEST_CHANGE = 10.0  # root mean square change of the logits by a step
cdef double LARGEST_PREDICTOR = 500.0  # with a log link
cdef double LEAST = -0.9999999999999999  # whose log1p is finite
cdef double FINEST = 1e-13        # relative gain of an objective that may be rounding error
cdef double SLOWEST = 0.995       # rate by which gains are taken to shrink at most
cdef double LARGEST_GAIN = 0.01   # acceleration begins below this gain, per unit of weight
cdef double SLOW_RATE = 0.2       # ratio of a gain to the one before
cdef int SLOW_ITERATIONS = 4      # in succession whose gains fall, but not faster than that
cdef double LEAST_SHARE = 0.5     # of the gain of EM's own step that an accelerated one must reach
cdef int PAUSE = 2                # plain iterations after a proposal that was not better
cdef double RIDGE = 1e-10         # relative, of the least squares of an acceleration

include "_acceleration.pxi"
include "_gamma_shapes.pxi"
include "_linear_steps.pxi"


# The passes of a run, and steps that end in one ---------------------------------------------------


cdef void _pass(
    LinearRun run, const floating[:, :] X, floating[:, ::1] coef, floating[:, ::1] units,
    floating[:, ::1] workspace, bint with_resp, bint with_pairs,
) noexcept nogil:
    """Sums with the parameters as they are, to ``other_sums``."""
    cdef Problem problem
    cdef Py_ssize_t K = run.K
    cdef Py_ssize_t j, k
    cdef bint with_grams = run.wants_grams()
    set_sizes(&problem, K, run.p, run.n_classes, run.kind, with_pairs)
    problem.logistic, problem.with_grams = run.logistic, with_grams
    problem.n_kept = run.n_kept
    problem.y_mean, problem.y_scale = run.y_mean, run.y_scale
    for k in range(K):
        for j in range(run.p):
            coef[k, j] = <floating> run.logits[j, k]
        for j in range(run.q):
            coef[K + k * run.n_functions + j // run.p, j % run.p] = <floating> run.coef[k, j]
        units[0, k] = <floating> (run.y_scale / run.errors[k])
        units[1, k] = <floating> (log(run.errors[k]) + LOG_ROOT_2_PI)
        if run.kind:
            units[0, k] = <floating> (1 / (run.errors[k] * run.errors[k]))
            units[1, k] = <floating> run.constant_of(k)
    sum_rows(
        &problem, X, run.y, run.weight, run.offset, run.mean, run.scale, coef, units[0], units[1],
        run.resp if with_resp else run.no_resp, run.chunk_rows, run.n_threads, workspace,
        &run.partial[0, 0], &run.other_sums[0],
    )
    for j in range(problem.n_sums):
        run.other_sums[j] *= run.unit
    run.other_grams, run.other_pairs = with_grams, with_pairs


cdef bint _is_accelerated(
    LinearRun run, const floating[:, :] X, floating[:, ::1] coef, floating[:, ::1] units,
    floating[:, ::1] workspace,
) noexcept nogil:
    """Whether a pass at an accelerated step is better than EM's step, which is kept if not."""
    cdef double least = 0.0
    cdef double drift = run.drift
    cdef double expert_drift = run.expert_drift
    if run.acceleration is None or not run.acceleration.is_late or not run.propose(&least):
        return False
    run.go_to_goal()
    _pass(run, X, coef, units, workspace, False, run.wants_pairs(1.0))
    if run.total() >= run.old_value + least:
        run.accept()
        return True
    run.go_to_em(drift, expert_drift)
    run.acceleration.reject()
    return False


cdef bint _step_lines(
    LinearRun run, const floating[:, :] X, floating[:, ::1] coef, floating[:, ::1] units,
    floating[:, ::1] workspace, bint is_given,
) noexcept nogil:
    """M-step of linear experts, scales and gate, and a pass; False where it is not for this kernel.

    With scales and gate unchanged, experts raise the bound; the gate's step may be too long, and
    is halved. Its curvature is then old, and is renewed.
    """
    cdef double bound, drift, value, size, slack
    cdef bint is_found
    run.keep()
    bound = run.sums[0] + run.gate_prior()
    if not is_given:
        bound -= run.expert_value(&run.sums[1])
    slack = run.rounding * (fabs(bound) + run.total_weight)
    is_found = run.find_gate_step()
    drift, size = run.drift, 1.0
    if is_found and is_given and not run.is_constant:
        value = bound
        while size >= SMALLEST_STEP:  # far from the optimum the bound alone is too lax
            run.move_gate(size, drift)
            _pass(run, X, coef, units, workspace, True, False)
            if run.other_sums[0] + run.entropy + run.gate_prior() >= value - slack:
                break
            size /= 2
    if not is_found or not run.solve_lines():
        run.go_back()
        return False
    bound += run.expert_value(&run.squares[0]) + run.expert_prior()
    while True:
        run.move_gate(size, drift)
        if size == 1 and not is_given and _is_accelerated(run, X, coef, units, workspace):
            return True
        _pass(run, X, coef, units, workspace, False, run.wants_pairs(size))
        if size < SMALLEST_STEP or run.total() >= bound - slack:
            run.accept()
            return True
        size /= 2


cdef bint _ascend(
    LinearRun run, const floating[:, :] X, floating[:, ::1] coef, floating[:, ::1] units,
    floating[:, ::1] workspace, bint is_given, bint with_gate,
) noexcept nogil:
    """Newton step of logistic experts, and of the gate, and a pass; False as for ``_step_lines``.

    It is halved until the penalised log-likelihood rises, or that of given responsibilities.
    """
    cdef double drift, expert_drift
    cdef double size = 1.0
    cdef double least = run.value - run.rounding * (fabs(run.value) + run.total_weight)
    run.keep()
    if not (run.find_expert_steps() and (not with_gate or run.find_gate_step())):
        run.go_back()
        return False
    drift, expert_drift = run.drift, run.expert_drift
    if with_gate:
        run.learn_shapes()
    while size >= SMALLEST_STEP:
        if with_gate:
            run.move_gate(size, drift)
        run.move_experts(size, expert_drift)
        if size == 1 and not is_given and _is_accelerated(run, X, coef, units, workspace):
            return True
        _pass(run, X, coef, units, workspace, is_given, with_gate and run.wants_pairs(size))
        if run.total() >= least:
            run.accept()
            return True
        size /= 2
    run.go_back()
    run.drift, run.expert_drift = drift, expert_drift
    return True


cdef bint _begin(
    LinearRun run, const floating[:, :] X, floating[:, ::1] coef, floating[:, ::1] units,
    floating[:, ::1] workspace,
) noexcept nogil:
    """M-step for given responsibilities, and a pass; False as for ``_step_lines``.

    Logistic experts reach their optimum, as linear ones do. The gate makes one step: at its own
    optimum it would be sharp around starts that are so.
    """
    cdef Py_ssize_t _, i, k
    cdef double before, share
    run.entropy = 0.0
    for i in range(run.resp.shape[0]):
        for k in range(run.K):
            share = run.resp[i, k]
            if share > 0:
                run.entropy -= run.unit * run.weight[i] * share * log(share)
    _pass(run, X, coef, units, workspace, True, run.wants_pairs(1.0))
    run.accept()
    if not run.logistic:
        run.sums[0] += run.entropy
        return _step_lines(run, X, coef, units, workspace, True)
    if not run.is_constant and not run.take_gate_curvature():
        return False
    for _ in range(run.n_newton):
        before = run.value
        if not _ascend(run, X, coef, units, workspace, True, False):
            return False
        if run.value - before <= FIRST_GAIN * run.total_weight:
            break
    if not _ascend(run, X, coef, units, workspace, True, True):
        return False
    _pass(run, X, coef, units, workspace, False, run.wants_pairs(1.0))
    run.accept()
    return True


def advance(
    LinearRun run,                  # IN OUT
    const floating[:, :] X,         # IN: (n_samples, p - 1)
    const double[:, ::1] resp,      # IN: (n_samples, K) or None
    Py_ssize_t n_iter,              # IN
    double tol,                     # IN
    bint foresees,                  # IN
    list gains,                     # IN
    double reference,               # IN
    Py_ssize_t chunk_rows,          # IN: a multiple of 512
    floating[:, ::1] workspace,     # OUT: (n_threads, n_workspace)
    double[:, ::1] partial,         # OUT: (n_chunks, n_sums)
) -> list:
    """Iterate until the gain, or all that is left to gain, is at most ``tol``.

    Parameters
    ----------
    run : LinearRun
        Its attributes are written to.
    X : array of shape (n_samples, p - 1)
        Columns, float32 or float64.
    resp : float64 array of shape (n_samples, K) or None
        Responsibilities to start from; None continues from the sums of the run.
    n_iter : int
        Iterations at most.
    tol : float
        Per unit of weight.
    foresees : bool
        Whether ``tol`` is for all that is left to gain, extrapolated from the last gains.
    gains : list of float
        Gains of the last iterations before these.
    reference : float
        Objective of the last one; minus infinity if there is none.
    chunk_rows, workspace, partial
        As for `linear_pass`.

    Returns
    -------
    objectives : list of float
        One for each iteration, per unit of weight. Empty if the first M-step is singular, which
        this kernel does not solve. They never fall: the run ends before an iteration that would
        lower them.
    """
    cdef bint done, is_first
    cdef double objective, before
    dtype = np.asarray(X).dtype
    n_functions = run.K * (1 + run.n_functions)
    cdef floating[:, ::1] coef = np.zeros((n_functions + n_functions % 2, run.p), dtype)
    cdef floating[:, ::1] units = np.empty((2, run.K), dtype)
    run.chunk_rows, run.partial, run.resp = chunk_rows, partial, resp
    run.n_threads = <int> max(1, min(workspace.shape[0], partial.shape[0], INT_MAX))
    if run.has_factor:
        run.find_bound_mass()
    if run.acceleration is not None:
        run.acceleration.prepare(run.point.shape[0])
    objectives = []
    gains = list(gains)
    if resp is None and isnan(run.value):
        _pass(run, X, coef, units, workspace, False, run.wants_pairs(1.0))
        run.accept()
    before = run.value / run.total_weight
    while len(objectives) < n_iter:
        PyErr_CheckSignals()
        is_first = resp is not None and not objectives
        with nogil:
            if is_first:
                done = _begin(run, X, coef, units, workspace)
            elif run.logistic:
                done = _ascend(run, X, coef, units, workspace, False, True)
            else:
                done = _step_lines(run, X, coef, units, workspace, False)
        if not done:
            break
        objective = run.value / run.total_weight
        if objectives and not objective >= before:
            run.sums, run.other_sums = run.other_sums, run.sums
            run.has_grams, run.has_pairs = run.old_grams, run.old_pairs
            run.go_back()
            break
        if run.acceleration is not None and not is_first:
            run.acceleration.note(objective - before)
        objectives.append(objective)
        gains.append(objective - reference)
        if len(gains) > N_GAINS:
            del gains[0]
        reference = before = objective
        if left_to_gain(gains, objective, foresees) <= tol or isnan(objective):
            break
    return objectives


cdef double log_linear_density(
    LinearRun run, Py_ssize_t i, Py_ssize_t k, double predictor
) noexcept nogil:
    """Log-density of a row under an expert with a log link, but for constants of either."""
    cdef double ratio
    cdef double shape = 1 / (run.errors[k] * run.errors[k])
    if run.offset is not None:
        predictor += run.offset[i]
    predictor = fmax(fmin(predictor, LARGEST_PREDICTOR), -LARGEST_PREDICTOR)
    if run.kind != GAMMA:
        return run.y[i] * predictor - exp(predictor)
    ratio = log(run.y[i]) - predictor
    return shape * (ratio - exp(fmin(ratio, LARGEST_PREDICTOR)))


def responsibilities(LinearRun run, const floating[:, :] X) -> np.ndarray:
    """Responsibilities (n_samples, K) of the experts that a run has reached.

    Parameters
    ----------
    run : LinearRun
        With its parameters.
    X : array of shape (n_samples, p - 1)
        Columns, float32 or float64.
    """
    cdef Py_ssize_t n_samples = X.shape[0]
    cdef Py_ssize_t K = run.K
    cdef Py_ssize_t F = run.n_functions
    cdef Py_ssize_t c, i, j, k, other, n_above
    cdef double column, largest, total, error
    cdef double[::1] joint = np.empty(K)
    cdef double[::1] means = np.empty(K * F)
    cdef double[::1] constants = np.zeros(K)
    found = np.empty((n_samples, K))
    cdef double[:, ::1] resp = found
    for k in range(K if run.kind else 0):
        constants[k] = run.constant_of(k) + 1 / (run.errors[k] * run.errors[k])
    with nogil:
        for i in range(n_samples):
            for k in range(K):
                joint[k] = run.logits[run.p - 1, k] + constants[k]
                for c in range(F):
                    means[k * F + c] = run.coef[k, (c + 1) * run.p - 1]
            for j in range(run.p - 1):
                column = (X[i, j] - run.mean[j]) / run.scale[j]
                for k in range(K):
                    joint[k] += column * run.logits[j, k]
                    for c in range(F):
                        means[k * F + c] += column * run.coef[k, c * run.p + j]
            for k in range(K):
                if F > 1:
                    largest, total = -INFINITY, 0.0
                    for c in range(F):
                        largest = fmax(largest, means[k * F + c])
                    for c in range(F):
                        total += exp(means[k * F + c] - largest)
                    joint[k] += means[k * F + <Py_ssize_t> run.y[i]] - largest - log(total)
                elif run.kind:
                    joint[k] += log_linear_density(run, i, k, means[k])
                elif run.logistic:
                    error = -means[k] if run.y[i] > 0 else means[k]
                    joint[k] -= fmax(error, 0.0) + log(1.0 + exp(-fabs(error)))
                else:
                    error = run.y[i] - run.y_mean - run.y_scale * means[k]
                    error /= run.errors[k]
                    joint[k] -= 0.5 * error * error + log(run.errors[k])
            largest, total = -INFINITY, 0.0
            for k in range(K):
                largest = fmax(largest, joint[k])
            for k in range(K):
                n_above = 0
                for other in range(K if run.n_kept < K else 0):
                    n_above += joint[other] > joint[k] or (joint[other] == joint[k] and other < k)
                resp[i, k] = exp(joint[k] - largest) if n_above < run.n_kept else 0.0
                total += resp[i, k]
            for k in range(K):
                resp[i, k] /= total
    return found


def dissolved(const double[:, :] resp, Py_ssize_t light) -> np.ndarray:
    """Responsibilities (n_samples, K) without one expert, whose rows the others share."""
    cdef Py_ssize_t K = resp.shape[1]
    cdef Py_ssize_t i, k
    cdef double total
    found = np.array(resp)
    cdef double[:, ::1] near = found
    for i in range(resp.shape[0]):
        near[i, light] = total = 0.0
        for k in range(K):
            total += near[i, k]
        for k in range(K):
            near[i, k] = near[i, k] / total if total > 1e-8 else (k != light) / (K - 1.0)
    return found


def left_to_gain(list gains, double objective, bint foresees) -> float:
    """The last gain or, if it ``foresees``, that and all later ones.

    Later gains are extrapolated with the largest ratio of successive gains so far.
    """
    cdef double gain = gains[len(gains) - 1]
    if not foresees or gain <= FINEST * fabs(objective):
        return gain
    rate = SLOWEST
    if len(gains) > 2 and min(gains) > 0:
        rate = min(rate, max(later / before for before, later in zip(gains, gains[1:])))
    return gain + gain * rate / (1 - rate)


def shape_sums(
    const double[::1] y,       # IN
    const double[::1] mean,    # IN
    const double[::1] weight,  # IN
    double shape,
    bint derives=True,
) -> tuple:
    """Negative binomial log-likelihood of a shape, and its derivatives by the shape's logarithm.

    Parameters
    ----------
    y, mean, weight : float64 array of shape (n,)
        Counts, their means, which are positive, and weights.
    shape : float
        Positive.
    derives : bool, default=True
        Whether derivatives are asked for; else these are zero.

    Returns
    -------
    value, first, second : float
        Sums over the rows; the value is without what is the same for any shape.
    """
    cdef double value = 0.0, first = 0.0, second = 0.0
    cdef double total, gap, beyond, by_shape
    cdef double of_shape = stirling(shape), psi_of_shape = psi(shape)
    cdef double trigamma_of_shape = trigamma(shape)
    cdef Py_ssize_t i, n = y.shape[0]
    if mean.shape[0] != n or weight.shape[0] != n:
        raise ValueError(f"Lengths {n}, {mean.shape[0]} and {weight.shape[0]} are not the same")
    with nogil:
        for i in range(n):
            total, gap, beyond = y[i] + shape, y[i] - mean[i], mean[i] + shape
            value += weight[i] * (
                stirling(total) - of_shape - log1p(y[i] / shape)
                - shape * log1p(fmax(-gap / total, LEAST))
                - y[i] * log1p(fmax(fmin(shape * gap / mean[i] / total, 1e300), LEAST)))
            if not derives:
                continue
            by_shape = psi(total) - psi_of_shape + log(shape / beyond) - gap / beyond
            first += weight[i] * by_shape
            second += weight[i] * (
                trigamma(total) - trigamma_of_shape + 1 / shape - 2 / beyond
                + total / (beyond * beyond))
    return value, shape * first, shape * first + shape * shape * second


cdef double stirling(double x) noexcept nogil:
    """``log(Gamma(x + 1)) - x log(x) + x``."""
    return log(x) - gamma_constant(x) if x > 0 else 0.0
