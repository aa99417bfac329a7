"""Passes over the rows of a softmax, block after block; part of `_softmax_steps.pyx`."""


cdef double* block(const Problem* problem, Py_ssize_t number, Py_ssize_t part) noexcept nogil:
    """A part of a block of rows; -1 is the design.

    0 are logits, 1 the direction, 2 probabilities, 3 their logarithms, 4 targets, 5 what these
    exceed probabilities by, and 6 the mass, followed by curvatures.
    """
    cdef double* first = problem.rows + number * problem.size_of_block
    if part < 0:
        return first
    return first + (problem.p + part * (problem.K + 1)) * STRIDE


cdef Py_ssize_t rows_of(const Problem* problem, Py_ssize_t number) noexcept nogil:
    """How many rows a block has, with those that fill the last line, of mass 0."""
    return (min(<Py_ssize_t> BLOCK_ROWS, problem.n - number * BLOCK_ROWS) + 15) // 16 * 16


cdef void take_design(
    Problem* problem,           # IN OUT
    const double[:, :] design,  # IN
    Py_ssize_t number,          # IN: of the block
) noexcept nogil:
    """Copy rows, column after column."""
    cdef Py_ssize_t start = number * BLOCK_ROWS, i, j
    cdef Py_ssize_t n_rows = min(<Py_ssize_t> BLOCK_ROWS, problem.n - start)
    cdef double* columns = block(problem, number, -1)
    for j in range(problem.p):
        for i in range(rows_of(problem, number)):
            columns[j * STRIDE + i] = design[start + i, j] if i < n_rows else 0.0


cdef void _take(
    Problem* problem,            # IN OUT
    const double[:, :] targets,  # IN
    Py_ssize_t number,           # IN: of the block
) noexcept nogil:
    """Copy targets, and sum them."""
    cdef Py_ssize_t start = number * BLOCK_ROWS, i, j
    cdef Py_ssize_t n_rows = min(<Py_ssize_t> BLOCK_ROWS, problem.n - start)
    cdef double* labels = block(problem, number, 4)
    cdef double* mass = block(problem, number, 6)
    for i in range(rows_of(problem, number)):
        mass[i] = 0.0
        for j in range(problem.K):
            labels[j * STRIDE + i] = targets[start + i, j] if i < n_rows else 0.0
            mass[i] += labels[j * STRIDE + i]


cdef void give(
    Problem* problem,            # IN
    Py_ssize_t number,           # IN: of the block
    double[:, ::1] proba,        # OUT
    double[:, ::1] log_proba,    # OUT
) noexcept nogil:
    """Copy probabilities and their logarithms, row after row."""
    cdef Py_ssize_t start = number * BLOCK_ROWS, i, k
    cdef double* found = block(problem, number, 2)
    cdef double* logarithms = block(problem, number, 3)
    for i in range(min(<Py_ssize_t> BLOCK_ROWS, problem.n - start)):
        for k in range(problem.K):
            proba[start + i, k] = found[k * STRIDE + i]
            log_proba[start + i, k] = logarithms[k * STRIDE + i]


cdef double _predict(
    Problem* problem,     # IN OUT
    const double* coef,   # IN: (p, K)
    Py_ssize_t part,      # IN: of the block
) noexcept nogil:
    """Linear functions of the rows; the largest absolute value."""
    cdef Py_ssize_t j, k, number, rows
    cdef double largest = 0.0
    for k in range(problem.K):
        for j in range(problem.p):
            problem.by_class[k * problem.p + j] = coef[j * problem.K + k]
    for number in range((problem.n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        rows = rows_of(problem, number)
        predict_f64(
            block(problem, number, -1), problem.by_class, block(problem, number, part),
            problem.p, (problem.K + 1) // 2 * 2, rows)
        largest = fmax(largest, skmoe_largest(block(problem, number, part), problem.K, rows))
    return largest


cdef double _value(
    Problem* problem,    # IN OUT
    const double* coef,  # IN: (p, K)
    const double* step,  # IN: (p, K) or NULL
    double size,         # IN
) noexcept nogil:
    """The objective after a part of a step, and the probabilities there."""
    cdef Py_ssize_t j, k, number
    cdef double value = 0.0, entry
    for number in range((problem.n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        value += skmoe_softmax_value(
            block(problem, number, 0), block(problem, number, 0 if step == NULL else 1), size,
            block(problem, number, 4), block(problem, number, 2), block(problem, number, 3),
            problem.K, rows_of(problem, number))
    for j in range(problem.p):
        for k in range(problem.K):
            entry = coef[j * problem.K + k]
            if step != NULL:
                entry += size * step[j * problem.K + k]
            value -= 0.5 * problem.penalty[j] * entry * entry
    return value


cdef void _move(
    Problem* problem,    # IN OUT
    double* coef,        # IN OUT: (p, K)
    const double* step,  # IN: (p, K)
    double size,         # IN
) noexcept nogil:
    """Take a part of a step."""
    cdef Py_ssize_t j, i, number
    cdef double* logits
    cdef double* direction
    for j in range(problem.p * problem.K):
        coef[j] += size * step[j]
    for number in range((problem.n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        logits, direction = block(problem, number, 0), block(problem, number, 1)
        for j in range(problem.K):
            for i in range(j * STRIDE, j * STRIDE + rows_of(problem, number)):
                logits[i] += size * direction[i]


cdef void _sum(
    Problem* problem,    # IN OUT
    const double* coef,  # IN: (p, K)
) noexcept nogil:
    """Gradient, and the Gram matrices of which the curvature is made."""
    cdef Py_ssize_t p = problem.p, K = problem.K, j, k, number, rows
    for j in range(p * K):
        problem.gradient[j] = 0.0
    for j in range(p * (p + 1) // 2 * problem.n_pairs):
        problem.grams[j] = 0.0
    for number in range((problem.n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        rows = rows_of(problem, number)
        skmoe_softmax_lack(
            block(problem, number, 4), block(problem, number, 2), block(problem, number, 6),
            block(problem, number, 5), K, rows)
        add_sums_f64(
            block(problem, number, -1), block(problem, number, 5), problem.gradient, p, K, rows)
        curvature_weights_f64(
            block(problem, number, 2), block(problem, number, 6),
            block(problem, number, 6) + STRIDE, K, rows)
        add_grams_f64(
            block(problem, number, -1), block(problem, number, 6) + STRIDE, problem.grams, p,
            problem.n_pairs, rows)
    for j in range(p):
        for k in range(K):
            problem.gradient[j * K + k] -= problem.penalty[j] * coef[j * K + k]
