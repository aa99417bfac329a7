"""Anderson acceleration of the last, slow iterations of EM; part of `_linear_run.pyx`."""


@final
cdef class Acceleration:
    r"""Extrapolates EM's steps from the last few of them.

    EM maps a point :math:`\theta` to :math:`\theta + f(\theta)`. Anderson's method [1]_ finds the
    linear combination of the last steps with the smallest norm, in the metric of the complete
    data's curvature, and continues from the same combination of the points that they lead to. It
    begins where EM is slow: earlier, it would lead to other optima. A proposal has to raise the
    objective by half of what EM's own step promises, ``f' metric f / 2``; else the step is EM's,
    and so the objective never falls [2]_.

    Attributes
    ----------
    is_late : bool
        Whether EM has become slow: only then is there anything to propose.

    References
    ----------
    .. [1] D. G. Anderson, "Iterative procedures for nonlinear integral equations", Journal of the
       ACM 12 (1965) 547-560.
    .. [2] N. C. Henderson and R. Varadhan, "Damped Anderson acceleration with restarts and
       monotonicity control for accelerating EM and EM-like algorithms", Journal of Computational
       and Graphical Statistics 28 (2019) 834-846.
    """

    cdef readonly bint is_late
    cdef double gain                # of the last iteration; NaN before there is one
    cdef int pause, n_slow, n_held
    cdef double[:, :, ::1] held     # (MEMORY, 2, n): points and EM's steps from them
    cdef double[:, :, ::1] changes  # (MEMORY + 1, 2, n): by which they differ from the newest

    def __init__(self):
        self.gain, self.pause, self.n_slow, self.n_held, self.is_late = np.nan, 0, 0, 0, False
        self.held = self.changes = None

    cpdef void note(self, double gain) noexcept:
        """Take the gain of an iteration, per unit of weight."""
        cdef bint is_slow
        if not isnan(self.gain) and gain < LARGEST_GAIN:
            is_slow = SLOW_RATE * self.gain < gain < self.gain
            self.n_slow = self.n_slow + 1 if is_slow else 0
            self.is_late = self.is_late or self.n_slow >= SLOW_ITERATIONS
        self.gain = gain

    def propose(self, const double[::1] point, const double[::1] step, metric):
        """A point to continue from in place of ``point + step``, and the gain it needs; or None.

        ``step`` is EM's, and ``metric`` the curvature of the complete data times directions
        (n_parameters, n_directions). The gain is the objective's; None where EM's own step is to be
        taken.
        """
        cdef Py_ssize_t n = len(point)
        cdef double[::1] goal = np.empty(n)
        cdef double[:, ::1] weighted
        self.prepare(n)
        if n == 0 or not self.push(&point[0], &step[0], n):
            return None, 0.0
        directions = np.asarray(self.changes)[: self.n_before + 1, 1]
        weighted = np.ascontiguousarray(metric(directions.T).T, dtype=np.float64)
        least = self.solve(&weighted[0, 0], &point[0], &goal[0])
        return (None, 0.0) if least < 0 else (np.asarray(goal), least)

    cdef int n_before  # of the earlier steps that a proposal is made of

    cdef void prepare(self, Py_ssize_t n):
        """Allocate memory for so many parameters."""
        if self.held is None or self.held.shape[2] != n:
            self.held, self.changes = np.empty((MEMORY, 2, n)), np.empty((MEMORY + 1, 2, n))
            self.n_held = 0

    cdef bint push(self, const double* point, const double* step, Py_ssize_t n) noexcept nogil:
        """Take a point and EM's step from it; whether there is something to propose."""
        cdef Py_ssize_t i, j
        cdef bint is_paused = self.pause > 0
        self.pause, self.n_before = max(0, self.pause - 1), self.n_held
        for i in range(self.n_before):
            for j in range(n):
                self.changes[i, 1, j] = step[j] - self.held[i, 1, j]
                self.changes[i, 0, j] = point[j] - self.held[i, 0, j] + self.changes[i, 1, j]
        memcpy(&self.changes[self.n_before, 1, 0], step, n * sizeof(double))
        if self.n_held == MEMORY:  # the oldest goes
            memmove(&self.held[0, 0, 0], &self.held[1, 0, 0], (MEMORY - 1) * 2 * n * sizeof(double))
            self.n_held -= 1
        memcpy(&self.held[self.n_held, 0, 0], point, n * sizeof(double))
        memcpy(&self.held[self.n_held, 1, 0], step, n * sizeof(double))
        self.n_held += 1
        return not is_paused and self.n_before > 0

    cdef double solve(
        self, const double* weighted, const double* point, double* goal
    ) noexcept nogil:
        """Write the proposed point; returns the gain it needs, -1 for EM's own step.

        ``weighted`` (n_before + 1, n) are the directions of ``push`` in the metric, EM's step last.
        """
        cdef Py_ssize_t n = self.held.shape[2]
        cdef Py_ssize_t i, j
        cdef Py_ssize_t m = self.n_before
        cdef double[MEMORY * MEMORY] normal
        cdef double[MEMORY] shares
        cdef const double* step = &self.changes[m, 1, 0]
        for i in range(m):
            for j in range(i, m):
                normal[i * m + j] = dot(&self.changes[i, 1, 0], weighted + j * n, n)
            normal[i * m + i] *= 1 + RIDGE
            shares[i] = dot(step, weighted + i * n, n)
        if not skmoe_cholesky(normal, m) > 0:
            return -1.0
        skmoe_solve_factored(normal, shares, m)
        for j in range(n):
            goal[j] = point[j] + step[j]
            for i in range(m):
                goal[j] -= shares[i] * self.changes[i, 0, j]
        return LEAST_SHARE * fmax(0.5 * dot(step, weighted + m * n, n), 0.0)

    cpdef void reject(self) noexcept nogil:
        """The last proposal was not better: forget its steps, and pause the acceleration."""
        self.n_held, self.pause = 0, PAUSE


cdef double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t j
    for j in range(n):
        total += a[j] * b[j]
    return total
