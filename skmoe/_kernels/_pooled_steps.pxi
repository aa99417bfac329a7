"""Rounds of experts whose posteriors are found in steps; of `_pooled_run.pyx`."""

cdef enum:
    LOGISTIC, COUNTS, GAMMA  # kinds of experts


cdef class StepsRun(PooledRun):
    """Experts of one function whose log-density is not quadratic in it.

    These are logistic experts of two classes, targets of 0 and 1, and those of counts and positive
    targets with a log link; ``PooledInSteps`` has their steps.

    Parameters
    ----------
    *given
        As ``PooledRun`` takes them, but for the last three.
    kind : int
        0 for logistic experts, 1 for counts, 2 for Gamma, whose shapes are learned.
    learns_variances : bool
        Whether prior variances are learned.
    size : float
        Of the next step.
    limits : tuple of float
        The largest size of a step, by which factor it grows, the smallest one, and what is
        rounding in a sum over rows.
    expected : float64 array of shape (n_samples, 3 K)
        Expected log-densities, their curvatures, and working responses, where steps begin.
    begins_alike : bool
        Whether all experts have the same part of each row in the first step.
    scales : float64 array of shape (K,)
        Of the family; ones where it has none.
    of_rows : float64 array of shape (n_samples, 3) or None
        With a log link: logarithms of positive targets, sizes, and constants of log-densities.
    sums : tuple or None
        Float64 arrays of shape (K, q, q) and (K, q), which the posterior is of; None for ``begin``.
    divergence : float
        Of the posterior.
    ties
        As ``PooledRun`` takes them.
    """

    cdef int kind
    cdef bint begins_alike
    cdef double[::1] scales, mass, values
    cdef double[:, ::1] of_row
    cdef bint learns_variances
    cdef double step_size, largest, growth, smallest, rounding
    cdef double[:, ::1] expected
    cdef double[::1] new_tau, new_rho

    def __init__(
        self, *given, kind, learns_variances, size, limits, expected, begins_alike, scales,
        of_rows=None, sums=None, divergence=0.0, ties=None,
    ):
        super().__init__(*given, 1, 6, ties)
        self.largest, self.growth, self.smallest, self.rounding = limits
        self.kind, self.begins_alike = kind, begins_alike
        self.learns_variances, self.step_size, self.divergence = learns_variances, size, divergence
        self.expected, self.scales = np.array(expected, order="C"), np.array(scales)
        self.of_row = np.zeros((self.n, 3)) if of_rows is None else of_rows
        found = np.shape(self.expected), np.shape(self.scales), np.shape(self.of_row)
        if found != ((self.n, 3 * self.K), (self.K,), (self.n, 3)):
            raise ValueError(f"Shapes {found} are not of {self.n} rows and {self.K} experts")
        self.mass, self.values = np.zeros((2, self.K))
        if sums is not None:
            self.gram, self.cross = map(np.array, sums)
        self.new_tau, self.new_rho = np.array(self.tau), np.array(self.rho)

    cdef void take(self) noexcept nogil:
        PooledRun.take(self)
        self.take_rows(self.expected, 3 + 3 * self.K)
        self.take_rows(self.of_row, self.log_gate + self.K)

    cdef void give(self, double log_unit) noexcept nogil:
        PooledRun.give(self, log_unit)
        self.give_rows(self.expected, 3 + 3 * self.K)

    cdef void start(self) noexcept nogil:
        cdef Py_ssize_t i, number
        for number in range(self.n_blocks if self.begins_alike else 0):
            for i in range(self.K * STRIDE):
                self.array(number, 3)[i] = 1.0 / self.K
        self.sum_rows()
        self.take_rows(self.resp, 3)
        self.divergence = self.move(1.0, False)
        self.keep()

    cdef void learn(self, Py_ssize_t n_rounds) noexcept nogil:
        cdef Py_ssize_t _round
        for _round in range(n_rounds):
            self.step()
            if self.kind == GAMMA:
                self.learn_shapes()

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
        memcpy(&self.new_tau[0], &self.tau[0], self.s * sizeof(double))
        memcpy(&self.new_rho[0], &self.rho[0], self.s * sizeof(double))
        divergence = self.find(
            self.scaled, self.scaled + n, &self.new_tau[0], &self.new_rho[0],
            learns and self.learns_variances)
        self.expect_near()
        return divergence

    cdef void keep(self) noexcept nogil:
        """Take the posterior after a step."""
        cdef Py_ssize_t n = self.K * self.q * self.q
        memcpy(&self.gram[0, 0, 0], self.scaled, n * sizeof(double))
        memcpy(&self.cross[0, 0], self.scaled + n, self.K * self.q * sizeof(double))
        memcpy(&self.tau[0], &self.new_tau[0], self.s * sizeof(double))
        memcpy(&self.rho[0], &self.new_rho[0], self.s * sizeof(double))
        self.keep_expected()

    cdef void keep_expected(self) noexcept nogil:
        """Take what is expected of the rows after it."""
        cdef Py_ssize_t number
        for number in range(self.n_blocks):
            memcpy(self.array(number, 3 + 3 * self.K), self.array(number, 3 + 6 * self.K),
                   3 * self.K * STRIDE * sizeof(double))

    cdef void expect_near(self) noexcept nogil:
        """What is expected of the rows after a step."""
        cdef Py_ssize_t K = self.K, k, number
        cdef double* constant = self.numbers
        for k in range(K):
            constant[k] = gamma_constant(self.scales[k]) if self.kind == GAMMA else 0.0
        self.predict(3 + 6 * K)
        for number in range(self.n_blocks):
            if self.kind == LOGISTIC:
                skmoe_pooled_classes(
                    self.array(number, -self.q), self.array(number, 0), &self.cov[0, 0, 0],
                    self.array(number, 3 + 6 * K), self.array(number, 3 + 7 * K),
                    self.array(number, 3 + 8 * K), self.q, K, self.length(number))
            else:
                skmoe_pooled_log_linear(
                    self.array(number, -self.q), self.array(number, 0),
                    self.array(number, self.log_gate + K), &self.cov[0, 0, 0], &self.scales[0],
                    constant, self.kind == GAMMA, self.array(number, 3 + 6 * K),
                    self.array(number, 3 + 7 * K), self.array(number, 3 + 8 * K), self.q, K,
                    self.length(number))

    cdef void learn_shapes(self) noexcept nogil:
        """The shapes of the highest bound, and what is then expected of the rows."""
        cdef Py_ssize_t i, k, number
        cdef double share, rest
        cdef const double* weight
        cdef const double* constant
        for k in range(self.K):
            self.mass[k] = self.values[k] = 0.0
            for number in range(self.n_blocks):
                weight = self.array(number, 1)
                constant = self.array(number, self.log_gate + self.K + 2)
                for i in range(self.length(number)):
                    share = weight[i] * self.array(number, 3)[k * STRIDE + i]
                    rest = self.array(number, 3 + 3 * self.K)[k * STRIDE + i] - constant[i]
                    self.mass[k] += share
                    self.values[k] += share * rest
            self.values[k] -= self.mass[k] * gamma_constant(self.scales[k])
            self.values[k] /= self.scales[k]
            if self.mass[k] > 0:
                self.scales[k] = shape_of_deviance(-self.values[k] / self.mass[k])
        self.expect_near()
        self.keep_expected()

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

    def of_scales(self) -> tuple:
        """Scales (K,), and the weights of the rows and sums that they were learned from."""
        return np.asarray(self.scales), np.asarray(self.mass), np.asarray(self.values)
