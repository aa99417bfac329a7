# Posteriors where most columns are levels, between which Gram matrices are zero. With levels first,
# for expert k, G = [[diag(m), E], [E', O]], and L = diag(alone) + H'H with a row of H for each
# other column; V = diag(apart) + S'S with rows for those of all experts and once more.


cdef void _multiply(
    bint a_turned, bint b_turned,    # IN: whether a factor is transposed
    int m, int n, int k,             # IN: sizes of the product, and what is summed over
    double sign,                     # IN
    const double* a, int a_columns,  # IN: and its columns in memory, from row to row
    const double* b, int b_columns,  # IN
    double old,                      # IN: part of C that is kept
    double* c, int c_columns,        # IN OUT
) noexcept nogil:
    """C = old C + sign A B."""
    cdef char* turned = "T"
    cdef char* plain = "N"
    dgemm(turned if b_turned else plain, turned if a_turned else plain, &n, &m, &k, &sign,
          <double*> b, &b_columns, <double*> a, &a_columns, &old, c, &c_columns)


cdef double _invert(double* matrix, double* diagonal, int n) noexcept nogil:
    """Z, upper triangular, with Z Z' = (I + matrix)^-1, in place; half that log-determinant."""
    cdef int i, j
    cdef double half_log_det = _factor(matrix, diagonal, n)
    dtrtri("L", "N", &n, matrix, &n, &i)
    for i in range(n):
        for j in range(i):
            matrix[i * n + j] = 0.0
    return half_log_det


cdef void _turn(
    double* right,        # IN: (q,)
    const double* alone,  # IN: (n,)
    const double* half,   # IN: (r, q)
    int n, int q, int r,  # IN: levels, all columns, rows
    double* left,         # OUT: (q,)
) noexcept nogil:
    """left = (diag(alone) + half'half) right."""
    cdef int i, j
    cdef double product
    for j in range(q):
        left[j] = alone[j] * right[j] if j < n else 0.0
    for i in range(r):
        product = 0.0
        for j in range(q):
            product += half[i * q + j] * right[j]
        for j in range(q):
            left[j] += half[i * q + j] * product


cdef void _subtract_gram(
    const double* mass, const double* edge, const double* inner,  # IN: m, E and O
    const double* vector,  # IN: (q,)
    int n, int q,          # IN
    double* result,        # IN OUT: (q,)
) noexcept nogil:
    """result -= G vector."""
    cdef int i, j, r = q - n
    for i in range(n):
        result[i] -= mass[i] * vector[i]
        for j in range(r):
            result[i] -= edge[i * r + j] * vector[n + j]
            result[n + j] -= edge[i * r + j] * vector[i]
    for i in range(r):
        for j in range(r):
            result[n + i] -= inner[i * r + j] * vector[n + j]


cdef Py_ssize_t size_apart(Py_ssize_t K, Py_ssize_t q, Py_ssize_t n) noexcept nogil:
    """Numbers that ``_solve_apart`` computes with."""
    cdef Py_ssize_t r = q - n, rows = (K + 1) * r
    return (6 * q + K * (3 * n + q) + r * (n + q) * (2 * K + 2) + 2 * rows * (q + rows)
            + (K + 2) * r * r + rows)


cdef void _solve_apart(
    const Problem* problem,  # IN: with an order
    const double* tau,       # IN: (q,)
    const double* rho,       # IN: (q,)
    bint has_cov,            # IN: else cov is undefined
    double* work,            # OUT: (size_apart,) memory
    Posterior* found,        # OUT
) noexcept nogil:
    """The posterior under these variances; zeros for covariances between levels."""
    cdef int K = problem.K, q = problem.q, n = problem.n_levels, r = q - n, rows = K * r
    cdef int all_rows = rows + r, i, j, k
    cdef const int* order = problem.order
    cdef const double* row
    cdef double total = 0.0, half_log_det = 0.0, value, deviation, variance, along
    cdef double* of_tau = work                  # (q,) tau, or all variance of one expert
    cdef double* of_rho = of_tau + q            # (q,)
    cdef double* right = of_rho + q             # (q,)
    cdef double* mean = right + q               # (q,) of b_0
    cdef double* left = mean + q                # (q,)
    cdef double* apart = left + q               # (q,)
    cdef double* all_cross = apart + q          # (K, q)
    cdef double* all_mass = all_cross + K * q   # (K, n) m, then shares and alone
    cdef double* all_share = all_mass + K * n
    cdef double* all_alone = all_share + K * n
    cdef double* all_edge = all_alone + K * n            # (K, n, r) E
    cdef double* all_weighted = all_edge + rows * n      # (K, n, r) diag(alone) E
    cdef double* all_inner = all_weighted + rows * n     # (K, r, r) O
    cdef double* half = all_inner + rows * r             # (K, r, q) H
    cdef double* half_gram = half + rows * q             # (K, r, q) H G
    cdef double* shared = half_gram + rows * q           # (K r + r, q) S
    cdef double* moved = shared + all_rows * q           # (K r + r, q) S G L, then S less that
    cdef double* sums = moved + all_rows * q             # (n, r)
    cdef double* within = sums + n * r                   # (K r, K r)
    cdef double* inner = within + rows * rows            # (r, r)
    cdef double* small = inner + r * r                   # (r, r)
    cdef double* products = small + r * r                # (K r + r, K r)
    cdef double* bent = products + all_rows * rows       # (r, q)
    cdef double* spread = bent + r * q                   # (r, n)
    cdef double* others = spread + r * n                 # (r, q) rows of the covariances
    cdef double* diagonal = others + r * q               # (K r,)
    cdef double* mass
    cdef double* share
    cdef double* alone
    cdef double* edge
    cdef double* weighted
    cdef double* own
    cdef double* own_gram
    cdef double* cross
    cdef double* cov

    for j in range(q):
        of_tau[j], of_rho[j] = tau[order[j]] + (rho[order[j]] if K == 1 else 0.0), rho[order[j]]
        right[j] = 0.0
    for j in range(n * r):
        sums[j] = 0.0
    for j in range(r * r):
        inner[j] = 0.0
    for j in range(n):
        apart[j] = 0.0
    for k in range(K):
        mass, share, alone = all_mass + k * n, all_share + k * n, all_alone + k * n
        edge, weighted = all_edge + k * n * r, all_weighted + k * n * r
        own, own_gram, cross = half + k * r * q, half_gram + k * r * q, all_cross + k * q
        for i in range(q):
            row, cross[i] = problem.gram + (k * q + order[i]) * q, problem.cross[k * q + order[i]]
            for j in range(r):
                if i < n:
                    edge[i * r + j] = row[order[n + j]]
                else:
                    all_inner[(k * r + i - n) * r + j] = row[order[n + j]]
            if i < n:
                mass[i] = row[order[i]]
                share[i] = 1 / (1 + of_tau[i] * mass[i])
                alone[i] = of_tau[i] * share[i]
                half_log_det -= 0.5 * log(share[i])
                apart[i] += share[i] * mass[i]
                for j in range(r):
                    weighted[i * r + j] = alone[i] * edge[i * r + j]
                    sums[i * r + j] += share[i] * edge[i * r + j]
        memcpy(small, all_inner + k * r * r, r * r * sizeof(double))
        _multiply(True, False, r, r, n, -1.0, edge, r, weighted, r, 1.0, small, r)
        for i in range(r):
            for j in range(r):
                inner[i * r + j] += small[i * r + j]
                small[i * r + j] *= sqrt(of_tau[n + i] * of_tau[n + j])
        half_log_det += _invert(small, diagonal, r)
        for i in range(r):
            for j in range(r):
                own[i * q + n + j] = small[j * r + i] * sqrt(of_tau[n + j])
        _multiply(False, True, r, n, r, -1.0, own + n, q, weighted, r, 0.0, own, q)
        _turn(cross, alone, own, n, q, r, left)
        for j in range(q):
            total += cross[j] * left[j]
            right[j] += cross[j]
        if K == 1:
            break
        _subtract_gram(mass, edge, all_inner + k * r * r, left, n, q, right)
        _multiply(False, True, r, n, r, 1.0, own + n, q, edge, r, 0.0, own_gram, q)
        for i in range(r):
            for j in range(n):
                own_gram[i * q + j] += own[i * q + j] * mass[j]
        _multiply(False, False, r, r, n, 1.0, own, q, edge, r, 0.0, own_gram + n, q)
        _multiply(False, False, r, r, r, 1.0, own + n, q, all_inner + k * r * r, r, 1.0,
                  own_gram + n, q)

    if K > 1:
        # Between levels the inverse of V is diagonal but for products of rows of H G.
        for j in range(n):
            value = 1 + of_rho[j] * apart[j]
            half_log_det += 0.5 * log(value)
            apart[j] = of_rho[j] / value
            for i in range(rows):
                shared[i * q + j] = half_gram[i * q + j] * sqrt(of_rho[j])
                moved[i * q + j] = shared[i * q + j] / value
        _multiply(False, True, rows, rows, n, -1.0, moved, q, shared, q, 0.0, within, rows)
        half_log_det += _invert(within, diagonal, rows)
        _multiply(True, False, rows, n, rows, 1.0, within, rows, moved, q, 0.0, shared, q)
        _multiply(True, False, n, r, rows, -1.0, half_gram, q, half_gram + n, q, 1.0, sums, r)
        _multiply(True, False, r, r, rows, -1.0, half_gram + n, q, half_gram + n, q, 1.0, inner, r)
        for i in range(r):
            for j in range(r):
                inner[i * r + j] *= sqrt(of_rho[n + i] * of_rho[n + j])
            for j in range(n):
                sums[j * r + i] *= sqrt(of_rho[n + i] * of_rho[j])
                value = apart[j] / of_rho[j] if of_rho[j] > 0 else 1.0
                shared[(rows + i) * q + j] = -sums[j * r + i] * value
        _multiply(True, True, r, rows, n, 1.0, sums, r, shared, q, 0.0, products, rows)
        _multiply(False, False, r, n, rows, -1.0, products, rows, shared, q, 1.0,
                  shared + rows * q, q)
        _multiply(False, False, r, r, n, 1.0, shared + rows * q, q, sums, r, 1.0, inner, r)
        half_log_det += _invert(inner, diagonal, r)
        _multiply(True, False, r, n, r, 1.0, inner, r, shared + rows * q, q, 0.0, moved, q)
        for i in range(all_rows):
            for j in range(q):
                if j >= n:
                    shared[i * q + j] = inner[(j - n) * r + i - rows] if i >= rows else 0.0
                elif i >= rows:
                    shared[i * q + j] = moved[(i - rows) * q + j]
                shared[i * q + j] *= sqrt(of_rho[j])
        _turn(right, apart, shared, n, q, all_rows, mean)
        for j in range(q):
            total += right[j] * mean[j]
            value = apart[j] if j < n else 0.0
            for i in range(all_rows):
                value += shared[i * q + j] * shared[i * q + j]
            found.shared_mean[order[j]], found.shared_var[order[j]] = mean[j], value
    found.evidence = 0.5 * total - half_log_det

    for k in range(K):
        mass, share, alone = all_mass + k * n, all_share + k * n, all_alone + k * n
        edge, weighted = all_edge + k * n * r, all_weighted + k * n * r
        own, own_gram, cross = half + k * r * q, half_gram + k * r * q, all_cross + k * q
        cov = found.cov + k * q * q
        if K > 1:
            memcpy(right, cross, q * sizeof(double))
            _subtract_gram(mass, edge, all_inner + k * r * r, mean, n, q, right)
            _turn(right, alone, own, n, q, r, left)
            _multiply(False, True, all_rows, r, q, 1.0, shared, q, own_gram, q, 0.0, products, r)
            _multiply(False, False, all_rows, q, r, 1.0, products, r, own, q, 0.0, moved, q)
            _multiply(False, True, all_rows, n, r, 1.0, shared + n, q, weighted, r, 1.0, moved, q)
            for i in range(r):
                for j in range(n):
                    spread[i * n + j] = own_gram[i * q + j] * apart[j]
            _multiply(False, True, r, r, n, 1.0, spread, n, own_gram, q, 0.0, small, r)
            _multiply(False, False, r, q, r, 1.0, small, r, own, q, 0.0, bent, q)
        if has_cov:
            memset(cov, 0, q * q * sizeof(double))
        for j in range(q):
            variance, along, value = (alone[j] if j < n else 0.0), 0.0, 0.0
            for i in range(r):
                variance += own[i * q + j] * own[i * q + j]
            i = k * q + order[j]
            if K == 1:  # b_0 and d are parts of what is normal with the sum of their variances
                value = of_rho[j] / of_tau[j] if of_tau[j] > 0 else 0.0
                found.mean[i] = left[j]
                found.shared_mean[i], found.own_mean[i] = value * left[j], (1 - value) * left[j]
                found.shared_var[i] = of_rho[j] * (1 - value) + value * value * variance
                found.own_var[i] = tau[i] * value + (1 - value) * (1 - value) * variance
                if has_cov:
                    cov[order[j] * q + order[j]] = variance
                continue
            for i in range(r):
                variance += bent[i * q + j] * own[i * q + j]
                if j < n:
                    along += own[i * q + j] * spread[i * n + j]
            deviation = variance
            if j < n:
                value = alone[j] * mass[j]
                deviation += value * value * apart[j] + 2 * value * along
                variance += share[j] * share[j] * apart[j] - 2 * share[j] * along
            for i in range(all_rows):
                moved[i * q + j] += value * shared[i * q + j]
                deviation += moved[i * q + j] * moved[i * q + j]
                moved[i * q + j] = shared[i * q + j] - moved[i * q + j]
                variance += moved[i * q + j] * moved[i * q + j]
            i = k * q + order[j]
            found.own_mean[i], found.own_var[i] = left[j], deviation
            left[j] += mean[j]
            found.mean[i] = left[j]
            if has_cov:
                cov[order[j] * q + order[j]] = variance
        if not has_cov:
            continue
        _multiply(True, False, r, q, r, 1.0, own + n, q, own, q, 0.0, others, q)
        if K > 1:
            _multiply(True, False, r, q, r, 1.0, own + n, q, bent, q, 1.0, others, q)
            _multiply(True, False, r, q, all_rows, 1.0, moved + n, q, moved, q, 1.0, others, q)
            _multiply(True, False, r, n, r, 1.0, own + n, q, spread, n, 0.0, bent, q)
        for j in range(q):
            for i in range(r):
                if K > 1 and j < n:
                    others[i * q + j] -= bent[i * q + j] * share[j]
                cov[order[n + i] * q + order[j]] = cov[order[j] * q + order[n + i]] = (
                    others[i * q + j])
    found.divergence = half_log_det + _of_moments(problem, tau, rho, found)
