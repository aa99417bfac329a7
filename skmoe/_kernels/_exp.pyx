"""exp, log and distribution functions of an array, by what the kernels call for each number."""

from libc.stdint cimport int64_t

from cython cimport floating


cdef extern from "_exp_all.h" nogil:
    void skmoe_exp_all_f64(double*, Py_ssize_t) noexcept
    void skmoe_exp_all_f32(float*, Py_ssize_t) noexcept
    void skmoe_log_all_f64(double*, Py_ssize_t) noexcept
    void skmoe_symmetric_cdf_f64(
        double*, const int64_t*, Py_ssize_t, const double*, double, double
    ) noexcept
    void skmoe_mixed_cdf_f64(
        const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, const double*,
        const double*, const int64_t*, const double*, double, double, double*
    ) noexcept


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


def symmetric_cdf(
    double[:, ::1] z,  # IN OUT
    const int64_t[::1] first,  # IN
    const double[:, ::1] cubics,  # IN
    double step,
    Py_ssize_t n_steps,
) -> None:
    """Put probabilities of less than z, of symmetric distributions, in the place of z.

    The logarithm of the probability below -|z| is interpolated, by cubic polynomials.

    Parameters
    ----------
    z : float64 array of shape (n_places, n)
        NaN stays; what is beyond the last step has the probability at its end.
    first : int64 array of shape (n,)
        Number of the polynomial of each column at 0.
    cubics : float64 array of shape (n_polynomials, 4)
        Coefficients, of rising powers, of the share of a step.
    step : float
        Width of a step in arcsinh(|z|).
    n_steps : int
        Number of steps of a distribution.
    """
    cdef Py_ssize_t i
    if z.shape[1] == 0:
        return
    if first.shape[0] != z.shape[1]:
        raise ValueError("There is one first polynomial for each column.")
    for i in range(z.shape[0]):
        skmoe_symmetric_cdf_f64(
            &z[i, 0], &first[0], z.shape[1], &cubics[0, 0], step, <double>n_steps
        )


def mixed_cdf(
    const double[:, ::1] places,  # IN
    const double[:, ::1] weight,  # IN
    const double[:, ::1] centre,  # IN
    const double[:, ::1] scale,  # IN
    const int64_t[:, ::1] first,  # IN
    const double[:, ::1] cubics,  # IN
    double step,
    Py_ssize_t n_steps,
    double[:, ::1] sums,  # OUT
) -> None:
    """Sums of weights times the probabilities that components of a row have below places.

    Parameters
    ----------
    places : float64 array of shape (n_places, n)
        Values for each row.
    weight, centre, scale : float64 arrays of shape (n, n_components)
        Of the components; those without weight are left out.
    first : int64 array of shape (n, n_components)
        Number of the polynomial of each component at 0.
    cubics, step, n_steps
        As of ``symmetric_cdf``.
    sums : float64 array of shape (n_places, n)
        Takes the sums.
    """
    if places.shape[0] == 0 or weight.shape[0] == 0 or weight.shape[1] == 0:
        sums[:, :] = 0.0
        return
    skmoe_mixed_cdf_f64(
        &places[0, 0], places.shape[0], weight.shape[0], weight.shape[1], &weight[0, 0],
        &centre[0, 0], &scale[0, 0], &first[0, 0], &cubics[0, 0], step, <double>n_steps,
        &sums[0, 0]
    )
