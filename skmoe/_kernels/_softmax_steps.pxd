"""Newton's steps of a softmax, for kernels that make them again and again on the same rows."""


cdef struct Problem:
    Py_ssize_t n, p, K       # the last column is the intercept
    Py_ssize_t n_pairs       # K (K - 1) / 2
    int n_free               # (K - 1) p: coefficients sum to zero over the classes
    double* rows             # of each block: (size_of_block,)
    Py_ssize_t size_of_block
    const double* penalty    # (p,)
    double total             # mass of all rows
    double* gradient         # (p, K)
    double* grams            # (p (p + 1) / 2, n_pairs)
    double* hessian          # (n_free, n_free)
    double* solution         # (2, n_free)
    double* basis            # (K, K - 1): orthonormal, summing to zero
    double* step             # (p, K)
    double* by_class         # (K + 1, p): coefficients, one class after the other


cdef double[::1] begin(Problem*, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double[::1])
cdef void take_design(Problem*, const double[:, :], Py_ssize_t) noexcept nogil
cdef int newton(Problem*, double*, Py_ssize_t, double, Py_ssize_t*) except -1 nogil
cdef double* block(const Problem*, Py_ssize_t, Py_ssize_t) noexcept nogil
cdef Py_ssize_t rows_of(const Problem*, Py_ssize_t) noexcept nogil
cdef void give(Problem*, Py_ssize_t, double[:, ::1], double[:, ::1]) noexcept nogil
