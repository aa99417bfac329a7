"""Sums and moments of experts that share coefficients; part of `_pooled.pyx`."""


def join_sums(
    const double[:, :, ::1] gram,     # IN: (K, q, q)
    const double[:, ::1] cross,       # IN: (K, q)
    const int[::1] regime,            # IN: (K,)
    const int[::1] place,             # IN: (K,)
    double[:, :, ::1] joined,         # OUT: (R, s, s)
    double[:, ::1] joined_cross,      # OUT: (R, s)
) -> None:
    """Sums of experts as those of regimes, of which each expert may have an offset of its own.

    Parameters
    ----------
    gram, cross : float64 array of shape (K, q, q) and (K, q)
        Sums of experts, the intercept last.
    regime, place : int32 array of shape (K,)
        Number of the regime of each expert, below R, and of its offset, from q to s - 1.
    joined, joined_cross : float64 array of shape (R, s, s) and (R, s)
        Written to: sums of regimes. There are no offsets if s is q.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    _check_ties(gram, cross, regime, place, joined, joined_cross)
    join(&gram[0, 0, 0], &cross[0, 0], &regime[0], &place[0], cross.shape[0], cross.shape[1],
         joined.shape[0], joined.shape[1], &joined[0, 0, 0], &joined_cross[0, 0])


cdef void join(
    const double* gram,         # IN: (K, q, q)
    const double* cross,        # IN: (K, q)
    const int* regime,          # IN: (K,)
    const int* place,           # IN: (K,)
    Py_ssize_t K, Py_ssize_t q, Py_ssize_t R, Py_ssize_t s,  # IN
    double* joined,             # OUT: (R, s, s)
    double* joined_cross,       # OUT: (R, s)
) noexcept nogil:
    """What ``join_sums`` does."""
    cdef Py_ssize_t i, j, k
    cdef const double* row
    cdef double* of_regime
    cdef double* target
    for j in range(R * s * s):
        joined[j] = 0.0
    for j in range(R * s):
        joined_cross[j] = 0.0
    for k in range(K):
        of_regime, target = joined + regime[k] * s * s, joined_cross + regime[k] * s
        for i in range(q):
            target[i] += cross[k * q + i]
            for j in range(q):
                of_regime[i * s + j] += gram[(k * q + i) * q + j]
        if s > q:
            row = gram + (k * q + q - 1) * q
            target[place[k]] += cross[k * q + q - 1]
            of_regime[place[k] * s + place[k]] += row[q - 1]
            for j in range(q):
                of_regime[place[k] * s + j] += row[j]
                of_regime[j * s + place[k]] += row[j]


def part_moments(
    const double[:, ::1] mean,        # IN: (R, s)
    const double[:, :, ::1] cov,      # IN: (R, s, s)
    const int[::1] regime,            # IN: (K,)
    const int[::1] place,             # IN: (K,)
    double[:, ::1] parted,            # OUT: (K, q)
    double[:, :, ::1] parted_cov,     # OUT: (K, q, q)
) -> None:
    """Moments of the coefficients of experts from those of regimes; see ``join_sums``.

    Parameters
    ----------
    mean, cov : float64 array of shape (R, s) and (R, s, s)
        Moments of the coefficients of regimes, those of offsets last.
    regime, place : int32 array of shape (K,)
        Number of the regime of each expert, and of its offset.
    parted, parted_cov : float64 array of shape (K, q) and (K, q, q)
        Written to: moments of the coefficients of experts.

    Raises
    ------
    ValueError
        If shapes disagree.
    """
    _check_ties(parted_cov, parted, regime, place, cov, mean)
    part(&mean[0, 0], &cov[0, 0, 0], &regime[0], &place[0], parted.shape[0], parted.shape[1],
         mean.shape[1], &parted[0, 0], &parted_cov[0, 0, 0])


cdef void part(
    const double* mean,         # IN: (R, s)
    const double* cov,          # IN: (R, s, s)
    const int* regime,          # IN: (K,)
    const int* place,           # IN: (K,)
    Py_ssize_t K, Py_ssize_t q, Py_ssize_t s,  # IN
    double* parted,             # OUT: (K, q)
    double* parted_cov,         # OUT: (K, q, q)
) noexcept nogil:
    """What ``part_moments`` does."""
    cdef Py_ssize_t i, j, k
    cdef const double* of_regime
    cdef const double* offset
    cdef double* found
    for k in range(K):
        of_regime, found = cov + regime[k] * s * s, parted_cov + k * q * q
        for i in range(q):
            parted[k * q + i] = mean[regime[k] * s + i]
            for j in range(q):
                found[i * q + j] = of_regime[i * s + j]
        if s > q:
            offset = of_regime + place[k] * s
            parted[k * q + q - 1] += mean[regime[k] * s + place[k]]
            for j in range(q):
                found[(q - 1) * q + j] += offset[j]
                found[j * q + q - 1] += offset[j]
            found[q * q - 1] += offset[place[k]]


def _check_ties(gram, cross, regime, place, joined, joined_cross):
    (K, q), (R, s) = cross.shape[:2], joined_cross.shape[:2]
    _check_shape("gram of experts", gram.shape[:3], (K, q, q))
    _check_shape("gram of regimes", joined.shape[:3], (R, s, s))
    _check_shape("regime and place", (*regime.shape[:1], *place.shape[:1]), (K, K))
    is_there = s == q or q <= np.min(place) and np.max(place) < s
    if s < q or np.min(regime) < 0 or np.max(regime) >= R or not is_there:
        raise ValueError("regime or place has numbers that are not there")
