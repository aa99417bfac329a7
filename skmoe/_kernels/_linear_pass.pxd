"""The pass over the rows, for kernels that make many of them."""

from cython cimport floating


cdef enum:
    MOST_PAIRED = 500  # weights of a gate; above, its curvature is bounded expert by expert
    COUNTS = 1  # kinds of targets with a log link, those of ``Family.kernel``
    GAMMA = 2


cdef struct Problem:
    Py_ssize_t n_experts     # K
    Py_ssize_t n_columns     # p, the intercept included
    Py_ssize_t n_pairs       # p (p + 1) / 2
    Py_ssize_t n_curvatures  # K (K - 1) / 2, or K; 0 where the gate's is not asked for
    Py_ssize_t n_classes     # of logistic experts
    Py_ssize_t n_functions   # of each expert: one, or one for each of three classes and more
    Py_ssize_t n_grams       # of each expert: one, or one for each pair of these classes
    Py_ssize_t n_kept        # experts that share a row at most
    Py_ssize_t n_totals      # numbers of the experts in the sums: masses or squares, or both
    Py_ssize_t n_sums
    int kind                 # 0, or of a log link
    bint logistic            # also with a log link: whether experts make Newton steps
    bint with_grams
    bint is_paired           # whether the gate's curvature is by pairs of experts
    double y_mean
    double y_scale


cdef void set_sizes(
    Problem*, Py_ssize_t, Py_ssize_t, Py_ssize_t, int, bint) noexcept nogil


cdef void sum_rows(
    const Problem*, const floating[:, :], const double[::1], const double[::1], const double[::1],
    const double[::1], const double[::1], const floating[:, ::1], const floating[::1],
    const floating[::1], const double[:, ::1], Py_ssize_t, int, floating[:, ::1], double*,
    double*) noexcept nogil
