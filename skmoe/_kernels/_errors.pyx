"""Errors of one regression: how their variance depends on the columns, and their shape."""

from libc.math cimport INFINITY, fmax, log
from libc.stdint cimport uintptr_t

import numpy as np

cdef extern from "_errors.h" nogil:
    enum:
        BLOCK_ROWS "SKMOE_BLOCK_ROWS"
        STRIDE "SKMOE_BLOCK"
        N_SHAPES "SKMOE_N_SHAPES"
    void predict_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_sums_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_grams_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_gamma_value(
        const double*, const double*, double, const double*, const double*, double*,
        Py_ssize_t) noexcept
    void skmoe_gamma_weights(
        const double*, const double*, double*, double*, Py_ssize_t) noexcept
    double skmoe_shape_e_step(
        const double*, const double*, const double*, const double*, const double*, double*,
        double*, Py_ssize_t) noexcept
    void skmoe_shape_weights(
        const double*, const double*, const double*, const double*, const double*, double*,
        double*, Py_ssize_t) noexcept

cdef extern from "_cholesky.h" nogil:
    double skmoe_cholesky(double*, Py_ssize_t) noexcept
    void skmoe_solve_factored(const double*, double*, Py_ssize_t) noexcept

cdef enum:
    LINE = 64        # bytes; arrays of a block start at multiples of it
    MOST_STEPS = 100  # of Newton
    SPARSE = 100      # products in a Gram matrix, over those of a row, from which rows are sparse

cdef double FLOOR = 1e-12     # of a curvature, over the largest
cdef double SHORTEST = 1e-8   # part of a step
cdef double TINY = 1e-300
cdef double SMALL_GAIN = 1e-10  # per unit of weight, that a step promises


cdef struct Rows:
    Py_ssize_t n, p         # the last column is the intercept
    Py_ssize_t size         # of a block
    double* blocks          # of each block: the design (p, B), and other arrays behind it
    double* sums            # (p, 1)
    double* packed          # (p (p + 1) / 2, 1)
    double* matrix          # (p, p)
    double* coef            # (2, p), the second one zeros
    Py_ssize_t most         # entries of a row that are not zero
    const int* places       # (n, most): their columns, then -1; NULL unless rows are sparse


cdef double* _array(const Rows* rows, Py_ssize_t number, Py_ssize_t part) noexcept nogil:
    """A row of a block behind its design."""
    return rows.blocks + number * rows.size + (rows.p + part) * STRIDE


cdef Py_ssize_t _length(const Rows* rows, Py_ssize_t number) noexcept nogil:
    """How many rows a block has, with those that fill the last line, of weight 0."""
    return (min(<Py_ssize_t> BLOCK_ROWS, rows.n - number * BLOCK_ROWS) + 15) // 16 * 16


cdef Py_ssize_t _n_blocks(const Rows* rows) noexcept nogil:
    return (rows.n + BLOCK_ROWS - 1) // BLOCK_ROWS


cdef double[::1] _begin(Rows* rows, Py_ssize_t n, Py_ssize_t p, Py_ssize_t n_arrays):
    """Memory of the rows, all zeros, to be kept as long as they are used."""
    rows.n, rows.p, rows.size = n, p, STRIDE * (p + n_arrays)
    cdef Py_ssize_t n_pairs = p * (p + 1) // 2
    cdef Py_ssize_t n_numbers = _n_blocks(rows) * rows.size
    cdef double[::1] memory = np.zeros(n_numbers + LINE + p * (p + 3) + n_pairs)
    rows.blocks = <double*> ((<uintptr_t> &memory[0] + LINE - 1) // LINE * LINE)
    rows.sums = rows.blocks + n_numbers
    rows.packed = rows.sums + p
    rows.matrix = rows.packed + n_pairs
    rows.coef = rows.matrix + p * p
    rows.places = NULL
    return memory


cdef void _take(Rows* rows, const double[:] column, Py_ssize_t part) noexcept nogil:
    """Copy a number of each row."""
    cdef Py_ssize_t number, i
    cdef double* array
    for number in range(_n_blocks(rows)):
        array = _array(rows, number, part)
        for i in range(min(<Py_ssize_t> BLOCK_ROWS, rows.n - number * BLOCK_ROWS)):
            array[i] = column[number * BLOCK_ROWS + i]


cdef int[:, ::1] _find_places(Rows* rows):
    """Places of the entries that are not zero, to be kept; None if rows are not sparse."""
    cdef Py_ssize_t i, j, used
    cdef const double* row
    rows.most = 1
    for i in range(rows.n):
        row, used = _array(rows, i // BLOCK_ROWS, -rows.p) + i % BLOCK_ROWS, 0
        for j in range(rows.p):
            used += row[j * STRIDE] != 0
        rows.most = max(rows.most, used)
    if rows.p * rows.p < SPARSE * rows.most * rows.most:
        return None
    cdef int[:, ::1] places = np.full((rows.n, rows.most), -1, dtype=np.intc)
    for i in range(rows.n):
        row, used = _array(rows, i // BLOCK_ROWS, -rows.p) + i % BLOCK_ROWS, 0
        for j in range(rows.p):
            if row[j * STRIDE] != 0:
                places[i, used] = <int> j
                used += 1
    rows.places = &places[0, 0]
    return places


cdef void _add_sparse_grams(Rows* rows, Py_ssize_t of_grams) noexcept nogil:
    """The upper triangle of the Gram matrix, from entries that are not zero."""
    cdef Py_ssize_t p = rows.p, i, j, k
    cdef const double* row
    cdef const int* places
    cdef double weighted
    for j in range(p * p):
        rows.matrix[j] = 0.0
    for i in range(rows.n):
        row = _array(rows, i // BLOCK_ROWS, -p) + i % BLOCK_ROWS
        places = rows.places + i * rows.most
        for j in range(rows.most):
            if places[j] < 0:
                break
            weighted = _array(rows, i // BLOCK_ROWS, of_grams)[i % BLOCK_ROWS]
            weighted *= row[places[j] * STRIDE]
            for k in range(j, rows.most):
                if places[k] < 0:
                    break
                rows.matrix[places[j] * p + places[k]] += weighted * row[places[k] * STRIDE]


cdef void _sum(
    Rows* rows,
    Py_ssize_t of_sums,
    Py_ssize_t of_grams,
    bint has_gram=True,
) noexcept nogil:
    """Sums of the columns, and their Gram matrix, with the weights of two arrays of the blocks."""
    cdef Py_ssize_t p = rows.p, i, j, number
    for j in range(p):
        rows.sums[j] = 0.0
    for j in range(p * (p + 1) // 2):
        rows.packed[j] = 0.0
    for number in range(_n_blocks(rows)):
        add_sums_f64(_array(rows, number, -p), _array(rows, number, of_sums), rows.sums, p, 1,
                     _length(rows, number))
        if rows.places == NULL and has_gram:
            add_grams_f64(_array(rows, number, -p), _array(rows, number, of_grams), rows.packed, p,
                          1, _length(rows, number))
    if not has_gram:
        return
    if rows.places != NULL:
        _add_sparse_grams(rows, of_grams)
        return
    for j in range(p):
        for i in range(j + 1):
            rows.matrix[i * p + j] = rows.packed[j * (j + 1) // 2 + i]


cdef bint _factor(Rows* rows) noexcept nogil:
    """Factor the matrix; False if it has no factor."""
    cdef Py_ssize_t p = rows.p, j
    cdef double largest = 1e-300
    for j in range(p):
        largest = fmax(largest, rows.matrix[j * p + j])
    for j in range(p):
        rows.matrix[j * p + j] += FLOOR * largest
    return skmoe_cholesky(rows.matrix, p) > 0


cdef double _solve(Rows* rows) noexcept nogil:
    """Coefficients, the solution of ``matrix x = sums`` by the factor; ``sums x``."""
    cdef double product = 0.0
    for j in range(rows.p):
        rows.coef[j] = rows.sums[j]
    skmoe_solve_factored(rows.matrix, rows.coef, rows.p)
    for j in range(rows.p):
        product += rows.coef[j] * rows.sums[j]
    return product


def learn_variance(
    const double[:, :] basis,   # IN: (n_samples, q)
    const double[:] squares,    # IN: (n_samples,)
    const double[:] weight,     # IN: (n_samples,)
    double penalty,             # IN
    double[::1] log_variance,   # OUT: (n_samples,)
) -> None:
    """Logarithm of a variance that is log-linear in some columns, of most likelihood.

    It is a Gamma regression of squares with a log link, by Newton's method.

    Parameters
    ----------
    basis : float64 array of shape (n_samples, q)
        Columns; there is an intercept besides.
    squares, weight : float64 array of shape (n_samples,)
        Squared errors, positive, and weights of the rows.
    penalty : float
        L2 penalty of the slopes, per unit of weight.
    log_variance : float64 array of shape (n_samples,)
        Written to.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Rows rows
    cdef Py_ssize_t n = basis.shape[0], p = basis.shape[1] + 1, i, j, number, _step
    cdef double value, new_value, total = 0.0, mean = 0.0, promised, size
    _check_shape("squares", (squares.shape[0],), (n,))
    _check_shape("weight", (weight.shape[0],), (n,))
    _check_shape("log_variance", (log_variance.shape[0],), (n,))
    # 0 are squares, 1 weights, 2 and 3 linear functions, 4 and 5 those of a step, then ratios, what
    # they exceed one by, and curvatures.
    cdef double[::1] _memory = _begin(&rows, n, p, 9)
    cdef double[::1] kept = np.zeros(p)
    cdef double* at = &kept[0]
    with nogil:
        for j in range(p - 1):
            _take(&rows, basis[:, j], j - p)
        _take(&rows, squares, 0)
        _take(&rows, weight, 1)
        for i in range(n):
            total += weight[i]
            mean += weight[i] * squares[i]
        for number in range(_n_blocks(&rows)):
            for i in range(_length(&rows, number)):
                _array(&rows, number, -1)[i] = 1.0
                _array(&rows, number, 2)[i] = log(mean / total)
        at[p - 1] = log(mean / total)
        value = _deviance(&rows, at, 0.0, penalty * total)
        for _step in range(MOST_STEPS):
            for number in range(_n_blocks(&rows)):
                skmoe_gamma_weights(
                    _array(&rows, number, 6), _array(&rows, number, 1), _array(&rows, number, 7),
                    _array(&rows, number, 8), _length(&rows, number))
            _sum(&rows, 7, 8)
            for j in range(p - 1):
                rows.sums[j] -= penalty * total * at[j]
                rows.matrix[j * p + j] += penalty * total
            if not _factor(&rows):
                break
            promised = _solve(&rows)
            for number in range(_n_blocks(&rows)):
                predict_f64(_array(&rows, number, -p), rows.coef, _array(&rows, number, 4), p, 2,
                            _length(&rows, number))
            size, new_value = 1.0, INFINITY
            while size > SHORTEST:
                new_value = _deviance(&rows, at, size, penalty * total)
                if new_value <= value - 1e-4 * size * promised:
                    break
                size /= 2
            if not new_value <= value:
                break
            value = new_value
            for j in range(p):
                at[j] += size * rows.coef[j]
            for number in range(_n_blocks(&rows)):
                for i in range(_length(&rows, number)):
                    _array(&rows, number, 2)[i] += size * _array(&rows, number, 4)[i]
            if promised <= SMALL_GAIN * total:
                break
        for i in range(n):
            number = i // BLOCK_ROWS
            log_variance[i] = _array(&rows, number, 2)[i - number * BLOCK_ROWS]


cdef double _deviance(Rows* rows, const double* at, double size, double penalty) noexcept nogil:
    """Half the penalised deviance after a part of a step, with ratios in the blocks."""
    cdef double value = 0.0, slope
    cdef Py_ssize_t j, number
    for number in range(_n_blocks(rows)):
        value += skmoe_gamma_value(
            _array(rows, number, 2), _array(rows, number, 4), size, _array(rows, number, 0),
            _array(rows, number, 1), _array(rows, number, 6), _length(rows, number))
    for j in range(rows.p - 1):
        slope = at[j] + size * rows.coef[j]
        value += 0.5 * penalty * slope * slope
    return value


def likelihood_of_shape(
    const double[:, :] design,  # IN: (n_samples, p)
    const double[:] errors,     # IN: (n_samples,)
    const double[:] sd,         # IN: (n_samples,)
    const double[:] weight,     # IN: (n_samples,)
    Py_ssize_t n_steps,         # IN
    double smallest,            # IN
) -> float:
    """Log-likelihood of errors over scales as a mixture of three normal ones, by EM.

    They are around a linear function that is fitted along: a step is one of least squares along
    the direction by the last Gram matrix, which is summed anew after 1, 2, 4, 8 ... steps.

    Parameters
    ----------
    design : float64 array of shape (n_samples, p)
        Columns of that function, the intercept last.
    errors, sd, weight : float64 array of shape (n_samples,)
        Errors, their relative scales, and weights of the rows.
    n_steps : int
        E-steps, at least one.
    smallest : float
        What is added to variances of components.

    Returns
    -------
    log_likelihood : float
        But for the logarithms of ``sd`` and of 2 pi.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Rows rows
    cdef Py_ssize_t n = design.shape[0], p = design.shape[1], i, j, k, number, step
    cdef double value = 0.0, total = 0.0, promised, along
    cdef bint has_factor = False
    cdef double[N_SHAPES] centre, precision, share, log_share
    cdef double[N_SHAPES * N_SHAPES] sums
    cdef double* target
    cdef double* unit
    cdef double* change
    _check_shape("errors", (errors.shape[0],), (n,))
    _check_shape("sd", (sd.shape[0],), (n,))
    _check_shape("weight", (weight.shape[0],), (n,))
    # 0 are errors over scales, around the function, 1 weights, 2 inverse scales, 3 to 5 shares, 6
    # curvatures, 7 slopes, then a step of the function.
    cdef double[::1] _memory = _begin(&rows, n, p, 10)
    for j in range(p):
        _take(&rows, design[:, j], j - p)
    cdef int[:, ::1] _places = _find_places(&rows)
    with nogil:
        _take(&rows, errors, 0)
        _take(&rows, weight, 1)
        _take(&rows, sd, 2)
        for number in range(_n_blocks(&rows)):
            target, unit = _array(&rows, number, 0), _array(&rows, number, 2)
            for i in range(_length(&rows, number)):
                unit[i] = 1 / unit[i] if unit[i] > 0 else 1.0  # of rows that fill the block
                target[i] *= unit[i]
                total += _array(&rows, number, 1)[i]
        for k in range(N_SHAPES):
            centre[k], precision[k], share[k] = k - 1.0, 1.0, 1.0 / N_SHAPES
        for step in range(n_steps):
            value = 0.0
            for k in range(N_SHAPES):
                log_share[k] = log(share[k]) + 0.5 * log(precision[k])
            for k in range(N_SHAPES * N_SHAPES):
                sums[k] = 0.0
            for number in range(_n_blocks(&rows)):
                value += skmoe_shape_e_step(
                    _array(&rows, number, 0), _array(&rows, number, 1), log_share, centre,
                    precision, _array(&rows, number, 3), sums, _length(&rows, number))
            if step == n_steps - 1:
                break
            for k in range(N_SHAPES):
                centre[k], share[k] = sums[N_SHAPES + k] / sums[k], sums[k] / total
                precision[k] = 1 / (
                    fmax(sums[2 * N_SHAPES + k] / sums[k] - centre[k] * centre[k], 0.0) + smallest)
            for number in range(_n_blocks(&rows)):
                skmoe_shape_weights(
                    _array(&rows, number, 0), _array(&rows, number, 2), centre, precision,
                    _array(&rows, number, 3), _array(&rows, number, 6), _array(&rows, number, 7),
                    _length(&rows, number))
            _sum(&rows, 7, 6, not step & (step - 1))
            if not step & (step - 1):
                has_factor = _factor(&rows)
            if not has_factor:
                continue
            promised, along = _solve(&rows), 0.0
            for number in range(_n_blocks(&rows)):
                change = _array(&rows, number, 8)
                predict_f64(_array(&rows, number, -p), rows.coef, change, p, 2,
                            _length(&rows, number))
                for i in range(_length(&rows, number)):
                    along += _array(&rows, number, 6)[i] * change[i] * change[i]
            promised /= fmax(along, TINY)
            for number in range(_n_blocks(&rows)):
                target, unit = _array(&rows, number, 0), _array(&rows, number, 2)
                for i in range(_length(&rows, number)):
                    target[i] -= promised * unit[i] * _array(&rows, number, 8)[i]
    return value


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, where {expected} is needed")
