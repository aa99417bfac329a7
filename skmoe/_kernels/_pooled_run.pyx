"""Rounds of pooled experts and their gate, one after the other, without coming back to Python.

A round is an M-step of the experts, whose coefficients and prior variances, and the precisions of
lines, have posteriors, a Newton step of the gate under its prior, and an E-step with expected
log-densities.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, fmax, fmin, isnan, lgamma, log
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy
from scipy.special.cython_special cimport psi

import numpy as np

from . cimport _pooled as posteriors
from . cimport _softmax_steps as gates

cdef extern from "_pooled_run.h" nogil:
    enum:
        BLOCK_ROWS "SKMOE_BLOCK_ROWS"
        STRIDE "SKMOE_BLOCK"
    void predict_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_sums_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void add_grams_f64(
        const double*, const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void skmoe_pooled_weights(
        const double*, const double*, const double*, double*, double*, double*, Py_ssize_t,
        Py_ssize_t) noexcept
    void skmoe_pooled_pulls(
        const double*, const double*, const double*, const double*, double*, double*, Py_ssize_t,
        Py_ssize_t) noexcept
    void skmoe_pooled_lines(
        const double*, const double*, const double*, const double*, const double*, double, double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void skmoe_pooled_classes(
        const double*, const double*, const double*, double*, double*, double*, Py_ssize_t,
        Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_pooled_bound(
        const double*, const double*, const double*, Py_ssize_t, Py_ssize_t) noexcept
    double skmoe_pooled_shares(
        const double*, const double*, const double*, double*, double*, Py_ssize_t,
        Py_ssize_t) noexcept

cdef enum:
    LINE = 64  # bytes; arrays of a block start at multiples of it

cdef double LOG_2_PI = 1.8378770664093453


cdef class PooledRun:
    """Pooled experts of one linear function and their gate, on their way.

    Parameters
    ----------
    rows : tuple
        Of the experts: float64 arrays of shape (n_samples, q), columns with the intercept last,
        and (n_samples,), target and positive weights.
    gate : tuple
        Float64 arrays of shape (n_samples, p), (p,) and (p, K): its columns with the intercept
        last, precisions of the prior of its weights, and these to begin with.
    groups : int32 array of shape (2, q)
        As ``learn_posterior`` takes them.
    resp : float64 array of shape (n_samples, K)
        Responsibilities to begin with.
    tau, rho : float64 array of shape (q,)
        Prior variances to begin with, as ``learn_posterior`` takes them.
    n_rounds : int
        M-steps of the experts in a round.
    n_arrays : int
        Numbers of each row that each expert needs, for expected log-densities, which come first,
        and what these follow from.
    """

    cdef Py_ssize_t n, q, K, size, n_blocks, n_rounds
    cdef const double[:, :] design, gate_design
    cdef const double[::1] y, weight, gate_penalty
    cdef const int[:, ::1] groups
    cdef double total, evidence, divergence
    cdef double[::1] tau, rho, log_norm, memory
    cdef double[:, ::1] mean, shared, cross, coef, proba, log_proba, resp, log_density
    cdef double[:, :, ::1] cov, own, gram
    cdef double* rows         # of each block: (size,)
    cdef double* packed       # (q (q + 1) / 2, K)
    cdef double* by_column    # (q, K)
    cdef double* coefs        # (K + 1, q)
    cdef double* numbers      # (4, K)
    cdef double* scaled       # (K, q, q) and (K, q)
    cdef double* sums         # the same
    cdef double* work         # (4 q + 12, q)

    def __init__(self, rows, gate, groups, resp, tau, rho, n_rounds, n_arrays):
        (n, K), (design, y, weight) = resp.shape, rows
        gate_design, gate_penalty, coef = gate
        q, p = design.shape[1], len(gate_penalty)
        given = design, y, weight, gate_design, coef, groups, tau, rho
        shapes = (n, q), (n,), (n,), (n, p), (p, K), (2, q), (q,), (q,)
        if tuple(each.shape for each in given) != shapes:
            raise ValueError(f"Shapes disagree with responsibilities of shape {resp.shape}")
        self.design, self.gate_design, self.y, self.weight = design, gate_design, y, weight
        self.gate_penalty, self.groups = gate_penalty, groups
        self.n, self.q, self.K, self.total, self.n_rounds = n, q, K, np.sum(weight), n_rounds
        self.n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS
        # The design, 0 targets, 1 weights, 2 log-norms, then K each of responsibilities, of what
        # Gram matrices are weighted with, and sums, and of what the experts need.
        self.size = STRIDE * (q + 3 + (3 + n_arrays) * K)
        n_pairs, n_rows = q * (q + 1) // 2, self.n_blocks * self.size
        n_sums = n_pairs * K + q * K + (K + 1) * q + 4 * K + 2 * K * q * (q + 1)
        self.memory = np.zeros(n_rows + LINE + n_sums + q * (4 * q + 12))
        self.rows = <double*> ((<uintptr_t> &self.memory[0] + LINE - 1) // LINE * LINE)
        self.packed = self.rows + self.n_blocks * self.size
        self.by_column = self.packed + self.q * (self.q + 1) // 2 * self.K
        self.coefs = self.by_column + self.q * self.K
        self.numbers = self.coefs + (self.K + 1) * self.q
        self.scaled = self.numbers + 4 * self.K
        self.sums = self.scaled + self.K * self.q * (self.q + 1)
        self.work = self.sums + self.K * self.q * (self.q + 1)
        self.resp, self.log_density = np.array(resp, order="C"), np.empty((n, K))
        self.proba, self.log_proba = np.ones((n, K)), np.zeros((n, K))
        self.tau, self.rho = np.array(tau), np.array(rho)
        self.coef, self.log_norm = np.array(coef, order="C"), np.empty(n)
        self.mean, self.cov = np.empty((K, q)), np.empty((K, q, q))
        self.own, self.shared = np.empty((2, K, q)), np.empty((2, q))
        self.gram, self.cross = np.zeros((K, q, q)), np.zeros((K, q))

    # What experts of a kind do:

    cdef void start(self) noexcept nogil:
        """Where M-steps begin, for the responsibilities in the blocks."""

    cdef void learn(self, Py_ssize_t n_rounds) noexcept nogil:
        """Posteriors of what the experts are made of, and their priors."""

    cdef void expect(self) noexcept nogil:
        """Expected log-densities of the rows."""

    cdef double of_prior(self) noexcept nogil:
        """The divergence of the experts from their priors."""
        return self.divergence

    cdef double* array(self, Py_ssize_t number, Py_ssize_t part) noexcept nogil:
        """A row of a block behind its design."""
        return self.rows + number * self.size + (self.q + part) * STRIDE

    cdef Py_ssize_t length(self, Py_ssize_t number) noexcept nogil:
        """How many rows a block has, with those that fill the last line, of weight 0."""
        return (min(<Py_ssize_t> BLOCK_ROWS, self.n - number * BLOCK_ROWS) + 15) // 16 * 16

    cdef void take_rows(self, const double[:, ::1] values, Py_ssize_t part) noexcept nogil:
        """Copy numbers of the rows, column after column."""
        cdef Py_ssize_t i, k, start, number
        cdef double* first
        for number in range(self.n_blocks):
            start, first = number * BLOCK_ROWS, self.array(number, part)
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                for k in range(values.shape[1]):
                    first[k * STRIDE + i] = values[start + i, k]

    cdef void give_rows(self, double[:, ::1] values, Py_ssize_t part) noexcept nogil:
        """Copy numbers of the rows back."""
        cdef Py_ssize_t i, k, start, number
        cdef double* first
        for number in range(self.n_blocks):
            start, first = number * BLOCK_ROWS, self.array(number, part)
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                for k in range(values.shape[1]):
                    values[start + i, k] = first[k * STRIDE + i]

    cdef void take(self) noexcept nogil:
        """Copy the rows."""
        cdef Py_ssize_t i, j, start, number
        cdef double* first
        for number in range(self.n_blocks):
            start, first = number * BLOCK_ROWS, self.array(number, 0)
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                for j in range(self.q):
                    first[(j - self.q) * STRIDE + i] = self.design[start + i, j]
                first[i], first[STRIDE + i] = self.y[start + i], self.weight[start + i]
        self.take_rows(self.resp, 3)

    cdef void give(self, double log_unit) noexcept nogil:
        """Copy what is of the rows back."""
        cdef Py_ssize_t i, number, start
        for number in range(self.n_blocks):
            start = number * BLOCK_ROWS
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                self.log_norm[start + i] = self.array(number, 2)[i] - log_unit
        self.give_rows(self.resp, 3)
        self.give_rows(self.log_density, 3 + 3 * self.K)

    cdef void add_up(self, double* gram, double* cross) noexcept nogil:
        """Sums over the rows, (K, q, q) and (K, q), by the weights in the blocks."""
        cdef Py_ssize_t q = self.q, K = self.K, i, j, k, number, rows
        for j in range(q * (q + 1) // 2 * K + q * K):
            self.packed[j] = 0.0  # and what stands behind
        for number in range(self.n_blocks):
            rows = self.length(number)
            add_grams_f64(self.array(number, -q), self.array(number, 3 + K), self.packed, q, K,
                          rows)
            add_sums_f64(self.array(number, -q), self.array(number, 3 + 2 * K), self.by_column, q,
                         K, rows)
        for k in range(K):
            for j in range(q):
                cross[k * q + j] = self.by_column[j * K + k]
                for i in range(j + 1):
                    gram[(k * q + i) * q + j] = self.packed[(j * (j + 1) // 2 + i) * K + k]
                    gram[(k * q + j) * q + i] = gram[(k * q + i) * q + j]

    cdef double find(
        self, double* gram, double* cross, double* tau, double* rho, bint learns
    ) noexcept nogil:
        """The posterior of the coefficients by these sums; its divergence from the prior."""
        cdef posteriors.Problem problem
        cdef posteriors.Posterior found
        problem.K, problem.q, problem.gram, problem.cross = <int> self.K, <int> self.q, gram, cross
        found.mean, found.cov = &self.mean[0, 0], &self.cov[0, 0, 0]
        found.own_mean, found.own_var = &self.own[0, 0, 0], &self.own[1, 0, 0]
        found.shared_mean, found.shared_var = &self.shared[0, 0], &self.shared[1, 0]
        posteriors.learn(
            &problem, tau, rho, &self.groups[0, 0] if learns else NULL, self.work, &found)
        self.evidence = found.evidence
        return found.divergence

    cdef void predict(self, Py_ssize_t part) noexcept nogil:
        """Means of the linear functions; one of an odd number of experts is followed by zeros."""
        cdef Py_ssize_t number
        memcpy(self.coefs, &self.mean[0, 0], self.K * self.q * sizeof(double))
        for number in range(self.n_blocks):
            predict_f64(self.array(number, -self.q), self.coefs, self.array(number, part), self.q,
                        (self.K + 1) // 2 * 2, self.length(number))

    cdef int learn_gate(self, gates.Problem* gate) except -1 nogil:
        """A Newton step of the gate."""
        cdef Py_ssize_t i, k, number, n_iter = 0
        cdef double* targets
        cdef double* mass
        cdef double* weight
        for number in range(self.n_blocks):
            targets, weight = gates.block(gate, number, 4), self.array(number, 1)
            mass = gates.block(gate, number, 6)
            for i in range(gates.rows_of(gate, number)):
                mass[i] = 0.0
                for k in range(self.K):
                    targets[k * STRIDE + i] = weight[i] * self.array(number, 3)[k * STRIDE + i]
                    mass[i] += targets[k * STRIDE + i]
        return gates.newton(gate, &self.coef[0, 0], 1, 0.0, &n_iter)

    cdef double e_step(self, gates.Problem* gate) noexcept nogil:
        """E-step; the objective, in sums of weights."""
        cdef Py_ssize_t K = self.K, j, k, number
        cdef double value = -self.of_prior()
        for number in range(self.n_blocks):
            value += skmoe_pooled_shares(
                self.array(number, 3 + 3 * K), gates.block(gate, number, 3) if K > 1 else NULL,
                self.array(number, 1), self.array(number, 3), self.array(number, 2), K,
                self.length(number))
        for j in range(self.gate_penalty.shape[0]):
            for k in range(K):
                value -= 0.5 * self.gate_penalty[j] * self.coef[j, k] * self.coef[j, k]
        return value

    def begin(self, Py_ssize_t n_rounds, const double[:, :] log_gate, double log_unit) -> float:
        """Experts for the responsibilities of a start, and an E-step; the objective.

        Parameters
        ----------
        n_rounds : int
            M-steps.
        log_gate : float64 array of shape (n_samples, K)
            Logarithms of the gate's probabilities.
        log_unit : float
            As ``advance`` takes it.
        """
        cdef gates.Problem gate
        cdef double[::1] _memory = gates.begin(
            &gate, self.n, self.gate_penalty.shape[0], self.K, self.gate_penalty)
        cdef Py_ssize_t number, i, k, start
        cdef double value
        with nogil:
            self.take()
            for number in range(self.n_blocks):
                start = number * BLOCK_ROWS
                for i in range(self.length(number)):
                    for k in range(self.K):
                        gates.block(&gate, number, 3)[k * STRIDE + i] = (
                            log_gate[start + i, k] if start + i < self.n else 0.0)
            self.start()
            self.learn(n_rounds)
            self.expect()
            value = self.e_step(&gate) / self.total - log_unit
            self.give(log_unit)
        return value

    def advance(
        self, Py_ssize_t n_iter, double tol, double reference, double log_unit
    ) -> list:
        """Some rounds, until one gains no more than ``tol``.

        Parameters
        ----------
        n_iter : int
            Rounds at most, one at least.
        tol : float
            Per unit of weight.
        reference : float
            Objective before these; minus infinity if there is none.
        log_unit : float
            Logarithm of the unit of the target, which objectives and log-norms are less by.

        Returns
        -------
        objectives : list of float
            After each round, per unit of weight.
        """
        cdef gates.Problem gate
        cdef double value
        cdef double[::1] _memory = gates.begin(
            &gate, self.n, self.gate_penalty.shape[0], self.K, self.gate_penalty)
        cdef Py_ssize_t number
        objectives = []
        with nogil:
            self.take()
            for number in range(self.n_blocks if self.K > 1 else 0):
                gates.take_design(&gate, self.gate_design, number)
        while len(objectives) < n_iter:
            PyErr_CheckSignals()
            with nogil:
                self.learn(self.n_rounds)
                if self.K > 1:
                    self.learn_gate(&gate)
                self.expect()
                value = self.e_step(&gate) / self.total - log_unit
            objectives.append(value)
            if not value - reference > tol or isnan(value):
                break
            reference = value
        with nogil:
            self.give(log_unit)
            for number in range(self.n_blocks if self.K > 1 else 0):
                gates.give(&gate, number, self.proba, self.log_proba)
        return objectives

    def of_coefficients(self) -> tuple:
        """Means (K, q), covariances (K, q, q), divergence and evidence; and other moments.

        These are means and variances (q,) of what is common, and (K, q) of deviations.
        """
        mean, cov = np.asarray(self.mean), np.asarray(self.cov)
        shared, own = np.asarray(self.shared), np.asarray(self.own)
        return mean, cov, self.divergence, self.evidence, shared[0], shared[1], own[0], own[1]

    def of_variances(self) -> tuple:
        """Prior variances of deviations and of what is common, (1, q) each."""
        return np.reshape(self.tau, (1, -1)), np.reshape(self.rho, (1, -1))

    def of_sums(self) -> tuple:
        """Sums over the rows, (K, q, q) and (K, q)."""
        return np.asarray(self.gram), np.asarray(self.cross)

    def of_gate(self) -> tuple:
        """Weights (p, K), and probabilities (n_samples, K) with their logarithms."""
        return np.asarray(self.coef), (np.asarray(self.proba), np.asarray(self.log_proba))

    def of_rows(self) -> dict:
        """Responsibilities and expected log-densities (n_samples, K), and log-density, by name."""
        resp, log_density = np.asarray(self.resp), np.asarray(self.log_density)
        return {"resp": resp, "log_density": log_density, "log_norm": np.asarray(self.log_norm)}


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
    """

    cdef const double[::1] nu
    cdef double floor
    cdef bint has_sums
    cdef double[::1] squares, prior
    cdef double[:, ::1] precisions

    def __init__(self, *given, nu, floor, precisions):
        super().__init__(*given, 2)  # of an odd number of experts, one more
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
