"""Rounds of logistic experts, whose posteriors are found in steps; of `_pooled_run.pyx`."""

cdef class ClassesRun(PooledRun):
    """Logistic experts of two classes, targets of 0 and 1; ``PooledInSteps`` has their steps.

    Parameters
    ----------
    *given
        As ``PooledRun`` takes them, but for the last two.
    learns_variances : bool
        Whether prior variances are learned.
    size : float
        Of the next step.
    limits : tuple of float
        The largest size of a step, by which factor it grows, the smallest one, and what is
        rounding in a sum over rows.
    sums : tuple or None
        Float64 arrays of shape (K, q, q) and (K, q), which the posterior is of; None for ``begin``.
    divergence : float
        Of the posterior.
    expected : float64 array of shape (n_samples, 3 K)
        Expected log-probabilities, their curvatures, and working responses.
    """

    cdef bint learns_variances
    cdef double step_size, largest, growth, smallest, rounding
    cdef double[:, ::1] expected
    cdef double[::1] new_tau, new_rho

    def __init__(
        self, *given, learns_variances, size, limits, sums=None, divergence=0.0, expected=None
    ):
        super().__init__(*given, 1, 6)
        self.largest, self.growth, self.smallest, self.rounding = limits
        self.learns_variances, self.step_size, self.divergence = learns_variances, size, divergence
        self.expected = np.zeros((self.n, 3 * self.K)) if expected is None else np.array(expected)
        if sums is not None:
            self.gram, self.cross = map(np.array, sums)
        self.new_tau, self.new_rho = np.array(self.tau), np.array(self.rho)

    cdef void take(self) noexcept nogil:
        PooledRun.take(self)
        self.take_rows(self.expected, 3 + 3 * self.K)

    cdef void give(self, double log_unit) noexcept nogil:
        PooledRun.give(self, log_unit)
        self.give_rows(self.expected, 3 + 3 * self.K)

    cdef void start(self) noexcept nogil:
        cdef Py_ssize_t j, K = self.K
        for j in range(K * self.q):
            (&self.mean[0, 0])[j] = 0.0
        for j in range(K * self.q * self.q):
            (&self.cov[0, 0, 0])[j] = 0.0
        self.expect_near()
        self.keep()  # of the sums are none
        self.sum_rows()
        self.divergence = self.move(1.0, False)
        self.keep()

    cdef void learn(self, Py_ssize_t n_rounds) noexcept nogil:
        cdef Py_ssize_t _round
        for _round in range(n_rounds):
            self.step()

    cdef void step(self) noexcept nogil:
        """A step of the posterior, as long as the bound lets it be."""
        cdef double divergence, least = self.bound(3 + 3 * self.K) - self.divergence
        cdef bint learns = True
        least -= self.rounding * fabs(least)
        self.sum_rows()
        while self.step_size > self.smallest:
            divergence = self.move(self.step_size, learns)
            if self.bound(3 + 6 * self.K) - divergence >= least:
                self.step_size = fmin(self.largest, self.growth * self.step_size)
                self.divergence = divergence
                self.keep()
                return
            if not learns:
                self.step_size *= 0.5
            learns = False
        self.step_size = self.largest
        self.find(&self.gram[0, 0, 0], &self.cross[0, 0], &self.tau[0], &self.rho[0], False)

    cdef void sum_rows(self) noexcept nogil:
        """Sums over the rows, of which the next posterior is."""
        cdef Py_ssize_t K = self.K, number
        for number in range(self.n_blocks):
            skmoe_pooled_pulls(
                self.array(number, 3), self.array(number, 1), self.array(number, 3 + 4 * K),
                self.array(number, 3 + 5 * K), self.array(number, 3 + K),
                self.array(number, 3 + 2 * K), K, self.length(number))
        self.add_up(self.sums, self.sums + K * self.q * self.q)

    cdef double move(self, double size, bint learns) noexcept nogil:
        """The posterior after a step, with prior variances or without; its divergence."""
        cdef Py_ssize_t j, n = self.K * self.q * self.q
        cdef const double* gram = &self.gram[0, 0, 0]
        cdef const double* cross = &self.cross[0, 0]
        cdef double divergence
        for j in range(n):
            self.scaled[j] = (1 - size) * gram[j] + size * self.sums[j]
        for j in range(self.K * self.q):
            self.scaled[n + j] = (1 - size) * cross[j] + size * self.sums[n + j]
        memcpy(&self.new_tau[0], &self.tau[0], self.q * sizeof(double))
        memcpy(&self.new_rho[0], &self.rho[0], self.q * sizeof(double))
        divergence = self.find(
            self.scaled, self.scaled + n, &self.new_tau[0], &self.new_rho[0],
            learns and self.learns_variances)
        self.expect_near()
        return divergence

    cdef void keep(self) noexcept nogil:
        """Take the posterior after a step."""
        cdef Py_ssize_t n = self.K * self.q * self.q, number
        memcpy(&self.gram[0, 0, 0], self.scaled, n * sizeof(double))
        memcpy(&self.cross[0, 0], self.scaled + n, self.K * self.q * sizeof(double))
        memcpy(&self.tau[0], &self.new_tau[0], self.q * sizeof(double))
        memcpy(&self.rho[0], &self.new_rho[0], self.q * sizeof(double))
        for number in range(self.n_blocks):
            memcpy(self.array(number, 3 + 3 * self.K), self.array(number, 3 + 6 * self.K),
                   3 * self.K * STRIDE * sizeof(double))

    cdef void expect_near(self) noexcept nogil:
        """What is expected of the rows after a step."""
        cdef Py_ssize_t K = self.K, number
        self.predict(3 + 6 * K)
        for number in range(self.n_blocks):
            skmoe_pooled_classes(
                self.array(number, -self.q), self.array(number, 0), &self.cov[0, 0, 0],
                self.array(number, 3 + 6 * K), self.array(number, 3 + 7 * K),
                self.array(number, 3 + 8 * K), self.q, K, self.length(number))

    cdef double bound(self, Py_ssize_t part) noexcept nogil:
        """Expected log-probabilities by responsibilities, summed over the rows."""
        cdef Py_ssize_t number
        cdef double value = 0.0
        for number in range(self.n_blocks):
            value += skmoe_pooled_bound(
                self.array(number, part), self.array(number, 3), self.array(number, 1), self.K,
                self.length(number))
        return value

    def of_steps(self) -> tuple:
        """The size of the next step, and curvatures and working responses (n_samples, K)."""
        return self.step_size, *np.split(np.asarray(self.expected), 3, axis=1)[1:]
