"""The E-step: log-gate and log-density in, responsibilities and log-likelihood out."""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY, exp, isinf, log

import numpy as np

cdef extern from "_posterior.h" nogil:
    enum:
        STRIDE "SKMOE_BLOCK"
        FEW_ROWS "SKMOE_FEW_ROWS"
    void skmoe_posterior(double*, double*, Py_ssize_t) noexcept
    void add_transposed_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void add_transposed_f32(const float*, const float*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void transpose_back_f64(const double*, double*, Py_ssize_t, Py_ssize_t) noexcept
    void transpose_back_f32(const double*, float*, Py_ssize_t, Py_ssize_t) noexcept
    double take_log_norms_f64(const double*, const double*, double*, Py_ssize_t) noexcept
    double take_log_norms_f32(const double*, const double*, float*, Py_ssize_t) noexcept

# Rows are summed in chunks of this fixed size, whatever the number of threads.
cdef enum:
    CHUNK_ROWS = 256


def e_step(
    const floating[:, ::1] log_gate,     # IN: (n_samples, n_experts)
    const floating[:, ::1] log_density,  # IN: (n_samples, n_experts)
    const double[::1] sample_weight,     # IN: (n_samples,)
    floating[:, ::1] resp,               # OUT: (n_samples, n_experts)
    floating[::1] log_norm,              # OUT: (n_samples,)
    int n_threads,                       # IN
) -> float:
    """Turn log-gate and log-density into responsibilities and log-likelihood.

    With l = log_gate + log_density, each row of `log_norm` is the log-sum-exp of l and
    `resp` is exp(l - log_norm). The result has the same bits for any number of threads.

    Parameters
    ----------
    log_gate, log_density : C-contiguous array of shape (n_samples, n_experts)
        Both float32 or both float64; sums are taken in float64 either way.
    sample_weight : float64 array of shape (n_samples,)
        A row of weight 0 adds nothing to the returned sum, whatever its `log_norm`.
    resp : array of shape (n_samples, n_experts)
        Written to; of the dtype of the inputs, whose memory it must not share.
    log_norm : array of shape (n_samples,)
        Written to; likewise.
    n_threads : int
        At least 1.

    Returns
    -------
    log_likelihood : float
        Sum of sample_weight * log_norm.

    Raises
    ------
    ValueError
        If shapes disagree or `n_threads` is below 1.

    Notes
    -----
    A row that is -inf throughout has `log_norm` -inf and equal responsibilities. In a row with
    +inf, `log_norm` is +inf and the entries at +inf share the responsibility. A NaN makes the
    whole row NaN.
    """
    cdef Py_ssize_t n_samples = log_gate.shape[0]
    cdef Py_ssize_t n_experts = log_gate.shape[1]
    cdef Py_ssize_t n_chunks = (n_samples + CHUNK_ROWS - 1) // CHUNK_ROWS
    cdef Py_ssize_t chunk
    cdef double log_likelihood = 0.0

    rows, entries = (n_samples,), (n_samples, n_experts)
    _check_shape("log_density", (log_density.shape[0], log_density.shape[1]), entries)
    _check_shape("sample_weight", (sample_weight.shape[0],), rows)
    _check_shape("resp", (resp.shape[0], resp.shape[1]), entries)
    _check_shape("log_norm", (log_norm.shape[0],), rows)
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}")

    cdef double[::1] partial = np.empty(n_chunks)
    n_threads = <int> max(1, min(n_threads, n_chunks))
    cdef double[:, ::1] workspace = np.empty((n_threads, n_experts * STRIDE + 1))
    for chunk in prange(n_chunks, schedule="static", num_threads=n_threads, nogil=True):
        partial[chunk] = _e_step_rows(
            log_gate, log_density, sample_weight, resp, log_norm,
            chunk * CHUNK_ROWS, min((chunk + 1) * CHUNK_ROWS, n_samples),
            &workspace[threadid(), 0],
        )
    for chunk in range(n_chunks):
        log_likelihood += partial[chunk]
    return log_likelihood


def _check_shape(name, shape, expected):
    if shape != expected:
        raise ValueError(f"{name} has shape {shape}, but log_gate asks for {expected}")


cdef double _e_step_rows(
    const floating[:, ::1] log_gate,     # IN
    const floating[:, ::1] log_density,  # IN
    const double[::1] sample_weight,     # IN
    floating[:, ::1] resp,               # OUT
    floating[::1] log_norm,              # OUT
    Py_ssize_t start,                    # IN: first row
    Py_ssize_t stop,                     # IN: one past the last
    double* joint,                       # OUT: (n_experts, STRIDE) memory
) noexcept nogil:
    """Do the rows of one chunk; return their part of the log-likelihood."""
    cdef Py_ssize_t n_experts = log_gate.shape[1]
    cdef Py_ssize_t block, rows, i, k
    cdef const floating* gate
    cdef const floating* density
    cdef floating* share
    cdef double[FEW_ROWS] norms
    cdef double of_block
    cdef double log_likelihood = 0.0

    for block in range((stop - start + FEW_ROWS - 1) // FEW_ROWS):  # no-cython-lint: it counts
        rows = min(<Py_ssize_t> FEW_ROWS, stop - start)
        gate, density, share = &log_gate[start, 0], &log_density[start, 0], &resp[start, 0]
        for k in range(n_experts):
            for i in range(rows, FEW_ROWS):
                joint[k * STRIDE + i] = 0.0
        if floating is double:
            add_transposed_f64(gate, density, joint, n_experts, rows)
            skmoe_posterior(joint, norms, n_experts)
            transpose_back_f64(joint, share, n_experts, rows)
            of_block = take_log_norms_f64(norms, &sample_weight[start], &log_norm[start], rows)
        else:
            add_transposed_f32(gate, density, joint, n_experts, rows)
            skmoe_posterior(joint, norms, n_experts)
            transpose_back_f32(joint, share, n_experts, rows)
            of_block = take_log_norms_f32(norms, &sample_weight[start], &log_norm[start], rows)
        if of_block != of_block:  # rows with infinities or NaN
            of_block = 0.0
            for i in range(start, start + rows):
                if log_norm[i] != log_norm[i]:
                    norms[i - start] = _e_step_row(log_gate, log_density, resp, i)
                    log_norm[i] = <floating> norms[i - start]
                if sample_weight[i] != 0.0:  # else 0 * -inf would be NaN
                    of_block += sample_weight[i] * norms[i - start]
        log_likelihood += of_block
        start += FEW_ROWS
    return log_likelihood


cdef inline double _e_step_row(
    const floating[:, ::1] log_gate,     # IN
    const floating[:, ::1] log_density,  # IN
    floating[:, ::1] resp,               # OUT
    Py_ssize_t i,                        # IN: the row
) noexcept nogil:
    """Do one row, with infinities or NaN; return its log-sum-exp."""
    cdef Py_ssize_t k
    cdef Py_ssize_t n_experts = log_gate.shape[1]
    cdef double joint
    cdef double share
    cdef double largest = -INFINITY
    cdef double total = 0.0
    cdef double scale

    for k in range(n_experts):
        joint = <double> log_gate[i, k] + <double> log_density[i, k]
        if joint > largest:  # never a NaN: that one comes back in the sum
            largest = joint

    if not isinf(largest):
        for k in range(n_experts):
            joint = <double> log_gate[i, k] + <double> log_density[i, k]
            share = exp(joint - largest)
            resp[i, k] = <floating> share
            total += share
    else:
        for k in range(n_experts):
            joint = <double> log_gate[i, k] + <double> log_density[i, k]
            if joint != joint:
                share = joint
            else:
                share = 1.0 if joint == largest else 0.0  # inf - inf would be NaN
            resp[i, k] = <floating> share
            total += share

    scale = 1.0 / total
    for k in range(n_experts):
        resp[i, k] = <floating> (resp[i, k] * scale)
    return largest + log(total)
