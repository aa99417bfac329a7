"""Posteriors of pooled experts, for kernels that need them again and again."""


cdef struct Problem:
    int K
    int q
    double* gram             # (K, q, q), only read, as is cross
    double* cross            # (K, q)


cdef struct Posterior:
    double evidence
    double divergence
    double* mean             # (K, q) of the experts' coefficients
    double* cov              # (K, q, q)
    double* own_mean         # (K, q) of deviations
    double* own_var          # (K, q)
    double* shared_mean      # (q,)
    double* shared_var       # (q,)


cdef void learn(const Problem*, double*, double*, const int*, double*, Posterior*) noexcept nogil
cdef void join(
    const double*, const double*, const int*, const int*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
    Py_ssize_t, double*, double*
) noexcept nogil
cdef void part(
    const double*, const double*, const int*, const int*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
    double*, double*
) noexcept nogil
cdef void find_precisions(
    Py_ssize_t, const double*, const double*, Py_ssize_t, const double*, double*, double*
) noexcept nogil
