"""Routing: the k best experts of each row, and rows sorted by expert."""

from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport NAN

import numpy as np


def top_k(
    const floating[:, ::1] scores,  # IN: (n_samples, n_experts)
    Py_ssize_t[:, ::1] experts,     # OUT: (n_samples, k)
    int n_threads,                  # IN
) -> None:
    """Numbers of the k experts of highest score for each row, best first.

    Among equal scores the lower number comes first. A NaN is lower than all other scores.

    Parameters
    ----------
    scores : C-contiguous array of shape (n_samples, n_experts)
        Log-probabilities, or anything else that ranks experts.
    experts : array of shape (n_samples, k)
        Written to; k must be between 1 and n_experts.
    n_threads : int
        At least 1.

    Raises
    ------
    ValueError
        If shapes disagree or `n_threads` is below 1.
    """
    cdef Py_ssize_t n_samples = scores.shape[0]
    cdef Py_ssize_t i

    if experts.shape[0] != n_samples or not 1 <= experts.shape[1] <= scores.shape[1]:
        raise ValueError(
            f"experts has shape {(experts.shape[0], experts.shape[1])}, scores "
            f"{(scores.shape[0], scores.shape[1])}"
        )
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}")
    for i in prange(n_samples, schedule="static", num_threads=n_threads, nogil=True):
        _top_k_row(scores, experts, i)


cdef void _top_k_row(
    const floating[:, ::1] scores,  # IN
    Py_ssize_t[:, ::1] experts,     # OUT
    Py_ssize_t i,                   # IN: the row
) noexcept nogil:
    """Keep the best so far in order, and insert each expert that beats the last of them."""
    cdef Py_ssize_t k = experts.shape[1]
    cdef Py_ssize_t expert, place
    cdef floating score
    cdef floating last = <floating> NAN  # score of the last one kept

    for expert in range(scores.shape[1]):
        score = scores[i, expert]
        if expert >= k and not _beats(score, last):
            continue
        place = min(expert, k - 1)
        while place > 0 and _beats(score, scores[i, experts[i, place - 1]]):
            experts[i, place] = experts[i, place - 1]
            place = place - 1
        experts[i, place] = expert
        last = scores[i, experts[i, min(expert, k - 1)]]


cdef inline bint _beats(floating score, floating other) noexcept nogil:
    return score > other or (other != other and score == score)


def sort_by_expert(
    const Py_ssize_t[::1] experts,  # IN: (n_places,)
    Py_ssize_t[::1] places,         # OUT: (n_places,)
    Py_ssize_t[::1] bounds,         # OUT: (n_experts + 1,)
) -> None:
    """Counting sort: the places of each expert side by side, in rising order.

    Expert e has ``places[bounds[e]:bounds[e + 1]]``. A negative number is nobody's, and its
    place stands at the end of `places`.

    Parameters
    ----------
    experts : array of shape (n_places,)
        Number of the expert at each place, below n_experts.
    places : array of shape (n_places,)
        Written to.
    bounds : array of shape (n_experts + 1,)
        Written to.

    Raises
    ------
    ValueError
        If shapes disagree or a number is too large.
    """
    cdef Py_ssize_t n_places = experts.shape[0]
    cdef Py_ssize_t n_experts = bounds.shape[0] - 1
    cdef Py_ssize_t i, expert
    cdef Py_ssize_t largest = -1

    if places.shape[0] != n_places or n_experts < 0:
        raise ValueError(f"places has {places.shape[0]} entries, experts {n_places}")
    cdef Py_ssize_t[::1] following = np.zeros(n_experts + 2, dtype=np.intp)
    with nogil:
        for i in range(n_places):
            largest = max(largest, experts[i])
    if largest >= n_experts:
        raise ValueError(f"experts has the number {largest}; there are {n_experts} experts")
    with nogil:
        for i in range(n_places):
            if experts[i] >= 0:
                following[experts[i] + 2] += 1
        for expert in range(n_experts):
            following[expert + 2] += following[expert + 1]
        for expert in range(n_experts + 1):
            bounds[expert] = following[expert + 1]
        # Nobody's places start where those of the last expert end.
        following[0] = bounds[n_experts]
        for i in range(n_places):
            if experts[i] >= 0:
                places[following[experts[i] + 1]] = i
                following[experts[i] + 1] += 1
            else:
                places[following[0]] = i
                following[0] += 1
