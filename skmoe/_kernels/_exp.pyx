"""exp and log of an array, by what the kernels call for each number."""

from cython cimport floating


cdef extern from "_exp_all.h" nogil:
    void skmoe_exp_all_f64(double*, Py_ssize_t) noexcept
    void skmoe_exp_all_f32(float*, Py_ssize_t) noexcept
    void skmoe_log_all_f64(double*, Py_ssize_t) noexcept


def exp(
    floating[::1] x,  # IN OUT
) -> None:
    """Put exp(x) in the place of x.

    Parameters
    ----------
    x : array of shape (n,)
        Float32 or float64. exp(-inf) is 0, exp(inf) is inf and exp(NaN) is NaN.
    """
    if x.shape[0] == 0:
        return
    if floating is double:
        skmoe_exp_all_f64(&x[0], x.shape[0])
    else:
        skmoe_exp_all_f32(&x[0], x.shape[0])


def log(
    double[::1] x,  # IN OUT
) -> None:
    """Put log(x) in the place of x.

    Parameters
    ----------
    x : float64 array of shape (n,)
        log(0) is -inf, log(inf) is inf and log(NaN) is NaN, as is that of numbers below zero.
    """
    if x.shape[0] > 0:
        skmoe_log_all_f64(&x[0], x.shape[0])
