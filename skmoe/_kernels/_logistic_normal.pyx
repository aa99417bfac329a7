"""What is expected of two classes where the log-odds are normal."""

cdef extern from "_logistic_normal.h" nogil:
    void skmoe_logistic_normal(
        const double*, const double*, const double*, double*, double*, double*,
        Py_ssize_t) noexcept


def logistic_normal(
    const double[::1] mean,      # IN: (n,)
    const double[::1] variance,  # IN: (n,)
    const double[::1] labels,    # IN: (n,)
    double[:, ::1] found,        # OUT: (3, n)
) -> None:
    """Expected log-probabilities of classes, and what steps to the posterior need.

    Parameters
    ----------
    mean, variance : float64 array of shape (n,)
        Of the log-odds.
    labels : float64 array of shape (n,)
        0 or 1.
    found : float64 array of shape (3, n)
        Written to: expectations, minus twice their derivatives in the variance, and these times the
        mean plus the derivatives in the mean.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    cdef Py_ssize_t n = mean.shape[0]
    for name, each in (("variance", variance), ("labels", labels), ("found", found[0])):
        if each.shape[0] != n:
            raise ValueError(f"{name} has {each.shape[0]} numbers, where {n} are needed")
    if n > 0:
        skmoe_logistic_normal(
            &mean[0], &variance[0], &labels[0], &found[0, 0], &found[1, 0], &found[2, 0], n)
