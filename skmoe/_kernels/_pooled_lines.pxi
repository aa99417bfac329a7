"""Rounds of lines of one output, whose precisions have posteriors; of `_pooled_run.pyx`."""

cdef class LinesRun(PooledRun):
    """Lines of one output.

    Parameters
    ----------
    *given
        As ``PooledRun`` takes them, but for the last one.
    nu : float64 array of shape (n_grid,)
        As ``learn_precisions`` takes it.
    floor : float
        Added to squared errors.
    precisions : float64 array of shape (2, K)
        Shapes and rates of the posterior of precisions to begin with.
    ties
        As ``PooledRun`` takes them.
    """

    cdef const double[::1] nu
    cdef double floor
    cdef bint has_sums
    cdef double[::1] squares, prior
    cdef double[:, ::1] precisions

    def __init__(self, *given, nu, floor, precisions, ties):
        super().__init__(*given, 2, ties)  # of an odd number of experts, one more
        if precisions.shape != (2, self.K):
            raise ValueError(f"precisions has shape {precisions.shape}, not {(2, self.K)}")
        self.nu, self.floor, self.precisions = nu, floor, np.array(precisions)
        self.squares, self.prior, self.has_sums = np.empty(self.K), np.empty(2), False

    cdef void learn(self, Py_ssize_t n_rounds) noexcept nogil:
        cdef Py_ssize_t _round
        if self.K > 1 or not self.has_sums:  # those of a single line stay
            self.sum_rows()
        for _round in range(n_rounds):
            self.learn_once()

    cdef void sum_rows(self) noexcept nogil:
        """Sums over the rows."""
        cdef Py_ssize_t K = self.K, k, number
        for k in range(K):
            self.squares[k] = 0.0
        for number in range(self.n_blocks):
            skmoe_pooled_weights(
                self.array(number, 3), self.array(number, 1), self.array(number, 0),
                self.array(number, 3 + K), self.array(number, 3 + 2 * K), &self.squares[0], K,
                self.length(number))
        self.add_up(&self.gram[0, 0, 0], &self.cross[0, 0])
        self.has_sums = True

    cdef void learn_once(self) noexcept nogil:
        """Posteriors of coefficients and precisions, and their priors, from the sums."""
        cdef Py_ssize_t q = self.q, K = self.K, i, j, k
        cdef double unit, fitted
        cdef double* cross = self.scaled + K * q * q
        cdef double* mass = self.numbers
        cdef double* errors = self.numbers + K
        for k in range(K):
            unit = self.precisions[0, k] / self.precisions[1, k]
            for i in range(q):
                cross[k * q + i] = unit * self.cross[k, i]
                for j in range(q):
                    self.scaled[(k * q + i) * q + j] = unit * self.gram[k, i, j]
        self.divergence = self.find(self.scaled, cross, &self.tau[0], &self.rho[0], True)
        for k in range(K):
            mass[k], errors[k] = self.gram[k, q - 1, q - 1], self.squares[k]
            for i in range(q):
                fitted = 0.0
                for j in range(q):
                    fitted += self.gram[k, i, j] * self.mean[k, j]
                    errors[k] += self.gram[k, i, j] * self.cov[k, i, j]
                errors[k] += self.mean[k, i] * (fitted - 2 * self.cross[k, i])
            errors[k] = fmax(errors[k], 0.0) + self.floor * mass[k]
        posteriors.find_precisions(
            K, mass, errors, self.nu.shape[0], &self.nu[0], &self.precisions[0, 0], &self.prior[0])

    cdef void expect(self) noexcept nogil:
        cdef Py_ssize_t K = self.K, k, number
        cdef double* precision = self.numbers + 2 * K
        cdef double* constant = self.numbers + 3 * K
        for k in range(K):
            precision[k] = self.precisions[0, k] / self.precisions[1, k]
            constant[k] = psi(self.precisions[0, k]) - log(self.precisions[1, k]) - LOG_2_PI
        self.predict(3 + 3 * K)
        for number in range(self.n_blocks):
            skmoe_pooled_lines(
                self.array(number, -self.q), self.array(number, 0), &self.cov[0, 0, 0], precision,
                constant, self.floor, self.array(number, 3 + 3 * K), self.q, K,
                self.length(number))

    cdef double of_prior(self) noexcept nogil:
        cdef double total = self.divergence, shape, rate
        cdef double a = 0.5 * self.prior[0], b = 0.5 * self.prior[0] * self.prior[1]
        cdef Py_ssize_t k
        for k in range(self.K):
            shape, rate = self.precisions[0, k], self.precisions[1, k]
            total += shape * log(rate) - lgamma(shape) - shape + b * shape / rate
            total += (shape - a) * (psi(shape) - log(rate)) - a * log(b) + lgamma(a)
        return total

    def of_precisions(self) -> tuple:
        """Shapes and rates (K,) of the posterior of the precisions, nu and centre of its prior."""
        shape, rate = np.asarray(self.precisions)
        return shape, rate, self.prior[0], self.prior[1]

    def of_squares(self) -> np.ndarray:
        """Weighted sums of squares of the target, (K,)."""
        return np.asarray(self.squares)
