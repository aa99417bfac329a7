"""One pass over the rows of a mixture of linear experts with Gaussian errors, or logistic ones.

Block after block of rows, while it stays in the cache: logits and means, E-step, and all sums over
rows that the M-step needs.
"""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t

cdef extern from "_block.h" nogil:
    enum:
        BLOCK_ROWS "SKMOE_BLOCK_ROWS"
        STRIDE "SKMOE_BLOCK"
    double gaussian_e_step_f64(
        double*, double*, const double*, const double*, const double*, const double*, double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    double logistic_e_step_f64(
        double*, double*, const double*, const double*, double*, double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    double given_gaussian_f64(
        double*, double*, const double*, const double*, const double*,
        Py_ssize_t, Py_ssize_t) noexcept
    double given_logistic_f64(
        double*, double*, const double*, const double*, const double*, double*, double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void gaussian_weights_f64(
        const double*, const double*, const double*, const double*, double*, double*, double*,
        double*, Py_ssize_t, Py_ssize_t) noexcept
    void logistic_weights_f64(
        const double*, const double*, const double*, const double*, double*, double*, double*,
        double*, Py_ssize_t, Py_ssize_t) noexcept
    double gaussian_e_step_f32(
        float*, float*, const float*, const float*, const float*, const float*, float*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    double logistic_e_step_f32(
        float*, float*, const float*, const float*, float*, float*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    double given_gaussian_f32(
        float*, float*, const float*, const float*, const float*, Py_ssize_t, Py_ssize_t) noexcept
    double given_logistic_f32(
        float*, float*, const float*, const float*, const float*, float*, float*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void gaussian_weights_f32(
        const float*, const float*, const float*, const float*, float*, float*, float*,
        double*, Py_ssize_t, Py_ssize_t) noexcept
    void logistic_weights_f32(
        const float*, const float*, const float*, const float*, float*, float*, float*,
        double*, Py_ssize_t, Py_ssize_t) noexcept
    void multinomial_weights_f64(
        const double*, const double*, const double*, const double*, const double*, double*,
        double*, double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void multinomial_weights_f32(
        const float*, const float*, const float*, const float*, const float*, float*, float*,
        float*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void curvature_weights_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void curvature_weights_f32(const float*, const float*, float*, Py_ssize_t, Py_ssize_t) noexcept
    void separate_weights_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void separate_weights_f32(const float*, const float*, float*, Py_ssize_t, Py_ssize_t) noexcept
    void predict_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void predict_f32(
        const float*, const float*, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_sums_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_sums_f32(
        const float*, const float*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_grams_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_grams_f32(
        const float*, const float*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept

cdef extern from "_log_linear.h" nogil:
    double skmoe_log_linear_e_step(
        double*, double*, const double*, const double*, const double*, const double*, bint, double*,
        double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_given_log_linear(
        double*, double*, const double*, const double*, const double*, const double*, bint,
        const double*, double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void skmoe_log_linear_weights(
        const double*, const double*, const double*, const double*, double*, double*, double*,
        double*, double*, Py_ssize_t, Py_ssize_t) noexcept

cdef enum:
    LINE = 64  # bytes; a block's arrays start at multiples of it


def of_classes(n_classes):
    """Functions and Gram matrices of each expert of so many classes: one, or more for over two."""
    return (n_classes, n_classes * (n_classes - 1) // 2) if n_classes > 2 else (1, 1)


def sizes(n_experts, n_columns, with_curvature, n_classes=2, kind=0):
    """Lengths of the sums and of one thread's workspace.

    Parameters
    ----------
    n_experts, n_columns : int
        The intercept counts as a column.
    with_curvature : bool
        Whether the gate's curvature is asked for.
    n_classes : int, default=2
        Classes of logistic experts; those of three and more have a function for each class.
    kind : int, default=0
        Of a log link: 1 for counts, 2 for Gamma, whose shapes are learned from a sum more.

    Returns
    -------
    n_sums, n_workspace : int
        Numbers of float64 in the sums and in the workspace; exact, however large.
    """
    # No products of a fixed width.
    K, p = int(n_experts), int(n_columns)
    n_functions, n_grams = of_classes(int(n_classes))
    n_curvatures = 0
    if with_curvature:
        n_curvatures = K * (K - 1) // 2 if K * p <= MOST_PAIRED else K
    n_sums = 1 + K * (2 if kind == GAMMA else 1) + K * (1 + n_functions) * p
    n_sums += p * (p + 1) // 2 * (K * n_grams + n_curvatures)
    n_arrays = 2 + p + K * (3 + 2 * n_functions + n_grams) + n_curvatures
    return n_sums, LINE + STRIDE * (n_arrays + (n_functions > 1))


cdef void set_sizes(
    Problem* problem, Py_ssize_t K, Py_ssize_t p, Py_ssize_t n_classes, int kind,
    bint with_curvature,
) noexcept nogil:
    """Set the numbers of a problem, those of `sizes`, for as many experts, columns and classes."""
    cdef Py_ssize_t C = n_classes
    problem.n_experts, problem.n_columns, problem.n_classes = K, p, C
    problem.kind, problem.n_totals = kind, 2 * K if kind == GAMMA else K
    problem.n_functions, problem.n_grams = 1, 1
    if C > 2:
        problem.n_functions, problem.n_grams = C, C * (C - 1) // 2
    problem.n_pairs, problem.n_curvatures = p * (p + 1) // 2, 0
    problem.is_paired = K * p <= MOST_PAIRED
    if with_curvature:
        problem.n_curvatures = K * (K - 1) // 2 if problem.is_paired else K
    problem.n_sums = 1 + problem.n_totals + K * (1 + problem.n_functions) * p
    problem.n_sums += problem.n_pairs * (K * problem.n_grams + problem.n_curvatures)


def linear_pass(
    const floating[:, :] X,              # IN: (n_samples, p - 1)
    const double[::1] y,                 # IN: (n_samples,)
    const double[::1] sample_weight,     # IN: (n_samples,)
    const double[::1] mean,              # IN: (p - 1,)
    const double[::1] scale,             # IN: (p - 1,)
    double y_mean,                       # IN
    double y_scale,                      # IN
    const floating[:, ::1] coef,         # IN: (2 K, p) of the gate, then of the experts
    const floating[::1] precision,       # IN: (K,) 1 / scale of the errors
    const floating[::1] log_scale,       # IN: (K,) its logarithm and log(2 pi) / 2
    const double[:, ::1] resp,           # IN: (n_samples, K) or None
    bint logistic,                       # IN
    bint with_grams,                     # IN
    bint with_curvature,                 # IN
    Py_ssize_t n_kept,                   # IN
    Py_ssize_t chunk_rows,               # IN: a multiple of 512
    floating[:, ::1] workspace,          # OUT: (n_threads, n_workspace)
    double[:, ::1] partial,              # OUT: (n_chunks, n_sums)
    double[::1] sums,                    # OUT: (n_sums,)
) -> None:
    """E-step and all sums over the rows, in standardised columns of X and y.

    Parameters
    ----------
    X : array of shape (n_samples, p - 1)
        Float32 or float64, in any order; the pass computes in this precision, sums of blocks of
        rows are added in float64.
    y, sample_weight : float64 array of shape (n_samples,)
        Target, 0 or 1 where experts are logistic, and weights.
    mean, scale : float64 array of shape (p - 1,)
        What the columns are standardised with; the last column of the design is the intercept.
    y_mean, y_scale : float
        What the target is standardised with.
    coef : array of shape (2 * K, p)
        Coefficients of the gate's logits, then of the experts' means, or log-odds of class 1.
    precision, log_scale : array of shape (K,)
        Of the errors of the standardised target; for linear experts without `resp`, else ignored.
    resp : float64 array of shape (n_samples, K) or None
        Responsibilities to use in place of those of the E-step.
    logistic : bool
        Whether the experts are logistic, and not linear.
    with_grams : bool
        Whether the experts' Gram matrices are asked for; else they are zeros.
    n_kept : int
        Linear experts that share a row, those of largest gate probability times density.
    with_curvature, chunk_rows
        See `sizes`; rows are summed in chunks of so many.
    workspace, partial
        Memory, of any content.
    sums : array of shape (n_sums,)
        Written to: the log-likelihood (with `resp`, the gate's of them); K weighted squares of
        residuals; (p, 2 K) weighted sums of the columns times the residuals, and times what
        responsibilities exceed the gate by; Gram matrices (p (p + 1) / 2, K), upper
        triangles by columns; with_curvature the same (p (p + 1) / 2, K (K - 1) / 2) with weights
        of products of two probabilities, (k, l) with k < l, l slowest, and above 500 weights of the
        gate (p (p + 1) / 2, K), a bound on its curvature expert by expert. The same bits for any
        number of threads. For logistic experts: with `resp` the first number includes their
        log-likelihood; their masses replace the squares; Gram matrices are weighted by the
        curvature, mass times p (1 - p).

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n_samples = X.shape[0]
    cdef const double[::1] no_offset = None
    cdef Problem problem
    n_experts, n_columns, asked = precision.shape[0], X.shape[1] + 1, bool(with_curvature)
    set_sizes(&problem, n_experts, n_columns, 2, 0, asked)
    n_sums, n_workspace = sizes(n_experts, n_columns, asked)
    problem.y_mean, problem.y_scale = y_mean, y_scale
    problem.logistic, problem.with_grams = logistic, with_grams
    problem.n_kept = n_kept
    if chunk_rows < 1 or chunk_rows % BLOCK_ROWS:
        raise ValueError(f"chunk_rows must be a multiple of {BLOCK_ROWS}, got {chunk_rows}")
    cdef Py_ssize_t n_chunks = (n_samples + chunk_rows - 1) // chunk_rows
    cdef int n_threads = <int> max(1, min(workspace.shape[0], n_chunks, INT_MAX))

    _check_shape("y", (y.shape[0],), (n_samples,))
    _check_shape("sample_weight", (sample_weight.shape[0],), (n_samples,))
    _check_shape("mean", (mean.shape[0],), (X.shape[1],))
    _check_shape("scale", (scale.shape[0],), (X.shape[1],))
    _check_shape("coef", (coef.shape[0], coef.shape[1]), (2 * n_experts, problem.n_columns))
    _check_shape("log_scale", (log_scale.shape[0],), (n_experts,))
    if resp is not None:
        _check_shape("resp", (resp.shape[0], resp.shape[1]), (n_samples, n_experts))
    _check_shape("sums", (sums.shape[0],), (n_sums,))
    _check_shape("partial", (partial.shape[0], partial.shape[1]), (n_chunks, n_sums))
    if workspace.shape[0] < 1 or workspace.shape[1] < n_workspace:
        raise ValueError(f"workspace has shape {(workspace.shape[0], workspace.shape[1])}")

    with nogil:
        sum_rows(
            &problem, X, y, sample_weight, no_offset, mean, scale, coef, precision, log_scale, resp,
            chunk_rows, n_threads, workspace, &partial[0, 0] if n_chunks else NULL, &sums[0],
        )


cdef void sum_rows(
    const Problem* problem,              # IN
    const floating[:, :] X,              # IN
    const double[::1] y,                 # IN
    const double[::1] sample_weight,     # IN
    const double[::1] offset,            # IN: of the functions, or None
    const double[::1] mean,              # IN
    const double[::1] scale,             # IN
    const floating[:, ::1] coef,         # IN: an even number of functions
    const floating[::1] precision,       # IN
    const floating[::1] log_scale,       # IN
    const double[:, ::1] resp,           # IN
    Py_ssize_t chunk_rows,               # IN
    int n_threads,                       # IN
    floating[:, ::1] workspace,          # OUT
    double* partial,                     # OUT: (n_chunks, n_sums)
    double* sums,                        # OUT: (n_sums,)
) noexcept nogil:
    """The pass of `linear_pass`; its arguments are right."""
    cdef Py_ssize_t n_samples = X.shape[0]
    cdef Py_ssize_t n_chunks = (n_samples + chunk_rows - 1) // chunk_rows
    cdef Py_ssize_t n_sums = problem.n_sums
    cdef Py_ssize_t chunk, j

    for chunk in prange(n_chunks, schedule="dynamic", num_threads=n_threads):
        _pass_chunk(
            problem, X, y, sample_weight, offset, mean, scale, coef, precision, log_scale, resp,
            chunk * chunk_rows, min((chunk + 1) * chunk_rows, n_samples),
            &workspace[threadid(), 0], partial + chunk * n_sums,
        )
    for j in range(n_sums):
        sums[j] = 0.0
    for chunk in range(n_chunks):
        for j in range(n_sums):
            sums[j] += partial[chunk * n_sums + j]


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")


cdef void _pass_chunk(
    const Problem* problem,              # IN
    const floating[:, :] X,              # IN
    const double[::1] y,                 # IN
    const double[::1] sample_weight,     # IN
    const double[::1] offset,            # IN: of the functions, or None
    const double[::1] mean,              # IN
    const double[::1] scale,             # IN
    const floating[:, ::1] coef,         # IN
    const floating[::1] precision,       # IN
    const floating[::1] log_scale,       # IN
    const double[:, ::1] resp,           # IN
    Py_ssize_t start,                    # IN: first row
    Py_ssize_t stop,                     # IN: one past the last
    floating* workspace,                 # OUT
    double* sums,                        # OUT: (n_sums,)
) noexcept nogil:
    """Sums over the rows of one chunk."""
    cdef Py_ssize_t n_columns = problem.n_columns
    cdef Py_ssize_t n_experts = problem.n_experts
    # Everything of a block of rows, one after the other; of each a row of STRIDE numbers.
    cdef floating* target = <floating*> ((<uintptr_t> workspace + LINE - 1) // LINE * LINE)
    cdef floating* weight = target + STRIDE
    cdef floating* design = weight + STRIDE
    cdef Py_ssize_t n_classes = problem.n_classes
    cdef Py_ssize_t n_functions = n_experts * problem.n_functions
    cdef Py_ssize_t n_grams = n_experts * problem.n_grams
    cdef Py_ssize_t n_slopes = n_experts + n_functions
    cdef floating* gate = design + n_columns * STRIDE
    cdef floating* means = gate + n_experts * STRIDE
    cdef floating* shares = means + (n_functions + n_slopes % 2) * STRIDE
    cdef floating* mass = shares + n_experts * STRIDE
    cdef floating* pull = mass + n_grams * STRIDE
    cdef floating* lack = pull + n_functions * STRIDE
    cdef floating* curvatures = lack + n_experts * STRIDE
    cdef double* squares = sums + 1
    cdef double* slopes = squares + problem.n_totals
    cdef double* grams = slopes + n_slopes * n_columns
    cdef double* gate_grams = grams + problem.n_pairs * n_grams
    cdef Py_ssize_t block, row, n_rows, rows, j, k
    cdef Py_ssize_t K = problem.n_experts
    cdef Py_ssize_t p = problem.n_columns
    cdef double of_unit = 1.0 / problem.y_scale

    for j in range(problem.n_sums):
        sums[j] = 0.0
    for block in range((stop - start + BLOCK_ROWS - 1) // BLOCK_ROWS):
        row = start + block * BLOCK_ROWS
        n_rows = min(<Py_ssize_t> BLOCK_ROWS, stop - row)
        rows = (n_rows + 15) // 16 * 16  # whole lines; those beyond are of weight 0
        _standardise(X, mean, scale, row, n_rows, rows, design)
        for j in range(n_rows):
            target[j] = <floating> ((y[row + j] - problem.y_mean) * of_unit)
            weight[j] = <floating> sample_weight[row + j]
        for j in range(n_rows, rows):
            target[j] = weight[j] = 0.0
        if resp is not None:
            _copy_columns(resp, row, n_rows, rows, shares)
        if floating is double:
            predict_f64(design, &coef[0, 0], gate, p, n_slopes + n_slopes % 2, rows)
            if problem.kind:
                for k in range(K if offset is not None else 0):
                    for j in range(n_rows):
                        means[k * STRIDE + j] += offset[row + j]
                if resp is None:
                    sums[0] += skmoe_log_linear_e_step(
                        gate, means, target, weight, &precision[0], &log_scale[0],
                        problem.kind == GAMMA, mass, pull, shares, K, rows)
                else:
                    sums[0] += skmoe_given_log_linear(
                        gate, means, target, weight, &precision[0], &log_scale[0],
                        problem.kind == GAMMA, shares, mass, pull, K, rows)
                skmoe_log_linear_weights(
                    gate, shares, means, weight, mass, pull, lack, squares,
                    squares + K if problem.kind == GAMMA else NULL, K, rows)
            elif problem.logistic:
                if resp is None:
                    sums[0] += logistic_e_step_f64(
                        gate, means, target, weight, mass, shares, n_classes, K, rows)
                else:
                    sums[0] += given_logistic_f64(
                        gate, means, target, weight, shares, mass, pull, n_classes, K, rows)
                if n_classes > 2:
                    multinomial_weights_f64(
                        gate, shares, means, target, weight, mass, pull, lack, squares,
                        n_classes, K, rows)
                else:
                    logistic_weights_f64(
                        gate, shares, means, weight, mass, pull, lack, squares, K, rows)
            else:
                if resp is None:
                    sums[0] += gaussian_e_step_f64(
                        gate, means, target, weight, &precision[0], &log_scale[0], shares,
                        problem.n_kept, K, rows)
                else:
                    sums[0] += given_gaussian_f64(gate, means, target, weight, shares, K, rows)
                gaussian_weights_f64(
                    gate, shares, means, weight, mass, pull, lack, squares, K, rows)
            add_sums_f64(design, pull, slopes, p, n_slopes, rows)
            if problem.with_grams:
                add_grams_f64(design, mass, grams, p, n_grams, rows)
            if problem.n_curvatures:
                if problem.is_paired:
                    curvature_weights_f64(gate, weight, curvatures, K, rows)
                else:
                    separate_weights_f64(gate, weight, curvatures, K, rows)
                add_grams_f64(design, curvatures, gate_grams, p, problem.n_curvatures, rows)
        else:
            predict_f32(design, &coef[0, 0], gate, p, n_slopes + n_slopes % 2, rows)
            if problem.logistic:
                if resp is None:
                    sums[0] += logistic_e_step_f32(
                        gate, means, target, weight, mass, shares, n_classes, K, rows)
                else:
                    sums[0] += given_logistic_f32(
                        gate, means, target, weight, shares, mass, pull, n_classes, K, rows)
                if n_classes > 2:
                    multinomial_weights_f32(
                        gate, shares, means, target, weight, mass, pull, lack, squares,
                        n_classes, K, rows)
                else:
                    logistic_weights_f32(
                        gate, shares, means, weight, mass, pull, lack, squares, K, rows)
            else:
                if resp is None:
                    sums[0] += gaussian_e_step_f32(
                        gate, means, target, weight, &precision[0], &log_scale[0], shares,
                        problem.n_kept, K, rows)
                else:
                    sums[0] += given_gaussian_f32(gate, means, target, weight, shares, K, rows)
                gaussian_weights_f32(
                    gate, shares, means, weight, mass, pull, lack, squares, K, rows)
            add_sums_f32(design, pull, slopes, p, n_slopes, rows)
            if problem.with_grams:
                add_grams_f32(design, mass, grams, p, n_grams, rows)
            if problem.n_curvatures:
                if problem.is_paired:
                    curvature_weights_f32(gate, weight, curvatures, K, rows)
                else:
                    separate_weights_f32(gate, weight, curvatures, K, rows)
                add_grams_f32(design, curvatures, gate_grams, p, problem.n_curvatures, rows)


cdef void _standardise(
    const floating[:, :] X,    # IN
    const double[::1] mean,    # IN
    const double[::1] scale,   # IN
    Py_ssize_t start,          # IN: first row
    Py_ssize_t n_rows,         # IN
    Py_ssize_t rows,           # IN: with those that fill the last line
    floating* design,          # OUT: (p, STRIDE), the last row of ones
) noexcept nogil:
    """Standardised columns of a block and the intercept."""
    cdef Py_ssize_t n_features = X.shape[1]
    cdef Py_ssize_t tile, stop, i, j
    cdef double of_column, factor

    for tile in range(0, n_rows, 8):  # a line of each column
        stop = min(tile + 8, n_rows)
        for j in range(n_features):
            of_column, factor = mean[j], 1.0 / scale[j]
            for i in range(tile, stop):
                design[j * STRIDE + i] = <floating> ((X[start + i, j] - of_column) * factor)
    for i in range(n_rows):
        design[n_features * STRIDE + i] = 1.0
    for j in range(n_features + 1):
        for i in range(n_rows, rows):
            design[j * STRIDE + i] = 0.0


cdef void _copy_columns(
    const double[:, ::1] array,  # IN
    Py_ssize_t start,            # IN: first row
    Py_ssize_t n_rows,           # IN
    Py_ssize_t rows,             # IN: with those that fill the last line
    floating* out,               # OUT: (n_columns, STRIDE)
) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(n_rows):
        for j in range(array.shape[1]):
            out[j * STRIDE + i] = <floating> array[start + i, j]
    for j in range(array.shape[1]):
        for i in range(n_rows, rows):
            out[j * STRIDE + i] = 0.0
