"""Rounds of pooled lines and their gate, one after the other, without coming back to Python.

A round is an M-step of the lines, whose coefficients, prior variances and precisions have
posteriors, a Newton step of the gate under its prior, and an E-step with expected log-densities.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fmax, isnan, lgamma, log
from libc.stdint cimport uintptr_t
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
    double skmoe_pooled_e_step(
        const double*, const double*, const double*, const double*, const double*, const double*,
        double, const double*, double*, double*, double*, Py_ssize_t, Py_ssize_t,
        Py_ssize_t) noexcept

cdef enum:
    LINE = 64  # bytes; arrays of a block start at multiples of it

cdef double LOG_2_PI = 1.8378770664093453


cdef class PooledRun:
    """Pooled lines of one output and their gate, on their way.

    Parameters
    ----------
    design : float64 array of shape (n_samples, q)
        Columns of the lines, the intercept last.
    y, weight : float64 array of shape (n_samples,)
        Target, and positive weights of the rows.
    gate_design : float64 array of shape (n_samples, p)
        Columns of the gate, the intercept last.
    gate_penalty : float64 array of shape (p,)
        Precisions of the prior of its weights.
    groups : int32 array of shape (2, q)
        As ``learn_posterior`` takes them.
    nu : float64 array of shape (n_grid,)
        As ``learn_precisions`` takes it.
    floor : float
        Added to squared errors.
    resp : float64 array of shape (n_samples, K)
        Responsibilities to begin with, as are all below.
    tau, rho : float64 array of shape (q,)
        Prior variances, as ``learn_posterior`` takes them.
    precisions : float64 array of shape (2, K)
        Shapes and rates of the posterior of precisions.
    coef : float64 array of shape (p, K)
        Weights of the gate.
    rounds_of_one : int
        M-steps of a single line in a round: its rows are the same ones whatever it learns.
    """

    cdef Py_ssize_t n, q, K, size, n_blocks
    cdef const double[:, :] design, gate_design
    cdef const double[::1] y, weight, gate_penalty, nu
    cdef const int[:, ::1] groups
    cdef double floor, total
    cdef Py_ssize_t n_learned
    cdef double[::1] tau, rho, squares, log_norm, prior
    cdef double[:, ::1] precisions, mean, shared, cross, coef, proba, log_proba, resp, log_density
    cdef double[:, :, ::1] cov, own, gram
    cdef double evidence, divergence
    cdef double[::1] memory
    cdef double* rows         # of each block: (size,)
    cdef double* packed       # (q (q + 1) / 2, K)
    cdef double* by_column    # (q, K)
    cdef double* coefs        # (K + 1, q)
    cdef double* numbers      # (5, K)
    cdef double* scaled       # (K, q, q) and (K, q)
    cdef double* work         # (4 q + 12, q)

    def __init__(
        self, design, y, weight, gate_design, gate_penalty, groups, nu, floor, resp, tau, rho,
        precisions, coef, rounds_of_one,
    ):
        n, K = resp.shape
        q, p = design.shape[1], len(gate_penalty)
        given = design, y, weight, gate_design, groups, tau, rho, precisions, coef
        shapes = (n, q), (n,), (n,), (n, p), (2, q), (q,), (q,), (2, K), (p, K)
        if tuple(each.shape for each in given) != shapes:
            raise ValueError(f"Shapes disagree with responsibilities of shape {resp.shape}")
        self.design, self.gate_design, self.y, self.weight = design, gate_design, y, weight
        self.gate_penalty, self.groups, self.nu, self.floor = gate_penalty, groups, nu, floor
        self.n_learned = rounds_of_one if K == 1 else 1
        self.n, self.q, self.K, self.total = n, q, K, np.sum(weight)
        self.n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS
        # The design, 0 targets, 1 weights, 2 log-norms, then K each of responsibilities, of weights
        # of these, of products with targets and, for an even number, of means.
        self.size = STRIDE * (q + 4 * K + 4)
        n_pairs, n_rows = q * (q + 1) // 2, self.n_blocks * self.size
        n_sums = n_pairs * K + q * K + (K + 1) * q + 5 * K + K * q * (q + 1)
        self.memory = np.zeros(n_rows + LINE + n_sums + q * (4 * q + 12))
        self.rows = <double*> ((<uintptr_t> &self.memory[0] + LINE - 1) // LINE * LINE)
        self.packed = self.rows + self.n_blocks * self.size
        self.by_column = self.packed + self.q * (self.q + 1) // 2 * self.K
        self.coefs = self.by_column + self.q * self.K
        self.numbers = self.coefs + (self.K + 1) * self.q
        self.scaled = self.numbers + 5 * self.K
        self.work = self.scaled + self.K * self.q * (self.q + 1)
        self.resp, self.log_density = np.array(resp), np.empty((n, K))
        self.proba, self.log_proba = np.ones((n, K)), np.zeros((n, K))
        self.tau, self.rho, self.precisions = np.array(tau), np.array(rho), np.array(precisions)
        self.coef, self.log_norm, self.prior = np.array(coef), np.empty(n), np.empty(2)
        self.mean, self.cov = np.empty((K, q)), np.empty((K, q, q))
        self.own, self.shared = np.empty((2, K, q)), np.empty((2, q))
        self.gram, self.cross, self.squares = np.empty((K, q, q)), np.empty((K, q)), np.empty(K)

    cdef double* array(self, Py_ssize_t number, Py_ssize_t part) noexcept nogil:
        """A row of a block behind its design."""
        return self.rows + number * self.size + (self.q + part) * STRIDE

    cdef Py_ssize_t length(self, Py_ssize_t number) noexcept nogil:
        """How many rows a block has, with those that fill the last line, of weight 0."""
        return (min(<Py_ssize_t> BLOCK_ROWS, self.n - number * BLOCK_ROWS) + 15) // 16 * 16

    cdef void take(self) noexcept nogil:
        """Copy the rows, column after column."""
        cdef Py_ssize_t i, j, k, start, number
        cdef double* first
        for number in range(self.n_blocks):
            start, first = number * BLOCK_ROWS, self.array(number, 0)
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                for j in range(self.q):
                    first[(j - self.q) * STRIDE + i] = self.design[start + i, j]
                first[i], first[STRIDE + i] = self.y[start + i], self.weight[start + i]
                for k in range(self.K):
                    first[(3 + k) * STRIDE + i] = self.resp[start + i, k]

    cdef void give(self) noexcept nogil:
        """Copy what is of the rows back."""
        cdef Py_ssize_t i, k, start, number, K = self.K
        cdef double* first
        for number in range(self.n_blocks):
            start, first = number * BLOCK_ROWS, self.array(number, 0)
            for i in range(min(<Py_ssize_t> BLOCK_ROWS, self.n - start)):
                self.log_norm[start + i] = first[2 * STRIDE + i]
                for k in range(K):
                    self.resp[start + i, k] = first[(3 + k) * STRIDE + i]
                    self.log_density[start + i, k] = first[(3 + 3 * K + k) * STRIDE + i]

    cdef void sum_rows(self) noexcept nogil:
        """Sums over the rows for the M-step of the lines."""
        cdef Py_ssize_t q = self.q, K = self.K, i, j, k, number, rows
        for j in range(q * (q + 1) // 2 * K + q * K):
            self.packed[j] = 0.0  # and what stands behind
        for k in range(K):
            self.squares[k] = 0.0
        for number in range(self.n_blocks):
            rows = self.length(number)
            skmoe_pooled_weights(
                self.array(number, 3), self.array(number, 1), self.array(number, 0),
                self.array(number, 3 + K), self.array(number, 3 + 2 * K), &self.squares[0], K, rows)
            add_grams_f64(self.array(number, -q), self.array(number, 3 + K), self.packed, q, K,
                          rows)
            add_sums_f64(self.array(number, -q), self.array(number, 3 + 2 * K), self.by_column, q,
                         K, rows)
        for k in range(K):
            for j in range(q):
                self.cross[k, j] = self.by_column[j * K + k]
                for i in range(j + 1):
                    self.gram[k, i, j] = self.packed[(j * (j + 1) // 2 + i) * K + k]
                    self.gram[k, j, i] = self.gram[k, i, j]

    cdef void learn_lines(self) noexcept nogil:
        """Posteriors of coefficients and precisions, and their priors."""
        cdef Py_ssize_t q = self.q, K = self.K, i, j, k
        cdef double unit, fitted
        cdef double* cross = self.scaled + K * q * q
        cdef double* mass = self.numbers
        cdef double* errors = self.numbers + K
        cdef posteriors.Problem problem
        cdef posteriors.Posterior found
        problem.K, problem.q, problem.gram, problem.cross = <int> K, <int> q, self.scaled, cross
        found.mean, found.cov = &self.mean[0, 0], &self.cov[0, 0, 0]
        found.own_mean, found.own_var = &self.own[0, 0, 0], &self.own[1, 0, 0]
        found.shared_mean, found.shared_var = &self.shared[0, 0], &self.shared[1, 0]
        for k in range(K):
            unit = self.precisions[0, k] / self.precisions[1, k]
            for i in range(q):
                cross[k * q + i] = unit * self.cross[k, i]
                for j in range(q):
                    self.scaled[(k * q + i) * q + j] = unit * self.gram[k, i, j]
        posteriors.learn(
            &problem, &self.tau[0], &self.rho[0], &self.groups[0, 0], self.work, &found)
        self.evidence, self.divergence = found.evidence, found.divergence
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

    cdef int learn_gate(self, gates.Problem* gate) except -1 nogil:
        """A Newton step of the gate."""
        cdef Py_ssize_t i, k, number, n_iter = 0
        cdef double* targets
        cdef double* mass
        for number in range(self.n_blocks):
            targets = gates.block(gate, number, 4)
            mass = gates.block(gate, number, 6)
            for i in range(gates.rows_of(gate, number)):
                mass[i] = 0.0
                for k in range(self.K):
                    targets[k * STRIDE + i] = self.array(number, 3 + self.K)[k * STRIDE + i]
                    mass[i] += targets[k * STRIDE + i]
        return gates.newton(gate, &self.coef[0, 0], 1, 0.0, &n_iter)

    cdef double e_step(self, gates.Problem* gate) noexcept nogil:
        """E-step; the log-likelihood of the rows."""
        cdef Py_ssize_t q = self.q, K = self.K, j, k, number, rows
        cdef double value = 0.0
        cdef double* precision = self.numbers + 2 * K
        cdef double* constant = self.numbers + 3 * K
        for k in range(K):
            precision[k] = self.precisions[0, k] / self.precisions[1, k]
            constant[k] = psi(self.precisions[0, k]) - log(self.precisions[1, k]) - LOG_2_PI
            for j in range(q):
                self.coefs[k * q + j] = self.mean[k, j]
        for number in range(self.n_blocks):
            rows = self.length(number)
            predict_f64(self.array(number, -q), self.coefs, self.array(number, 3 + 3 * K), q,
                        (K + 1) // 2 * 2, rows)
            value += skmoe_pooled_e_step(
                self.array(number, -q), self.array(number, 0), self.array(number, 1),
                &self.cov[0, 0, 0], precision, constant, self.floor,
                gates.block(gate, number, 3) if K > 1 else NULL,
                self.array(number, 3 + 3 * K), self.array(number, 3), self.array(number, 2), q, K,
                rows)
        return value

    cdef double log_prior(self) noexcept nogil:
        """Log-prior of the gate less divergences of the lines from their priors."""
        cdef double total = -self.divergence, shape, rate
        cdef double a = 0.5 * self.prior[0], b = 0.5 * self.prior[0] * self.prior[1]
        cdef Py_ssize_t j, k
        for k in range(self.K):
            shape, rate = self.precisions[0, k], self.precisions[1, k]
            total -= shape * log(rate) - lgamma(shape) - shape + b * shape / rate
            total -= (shape - a) * (psi(shape) - log(rate)) - a * log(b) + lgamma(a)
            for j in range(self.gate_penalty.shape[0]):
                total -= 0.5 * self.gate_penalty[j] * self.coef[j, k] * self.coef[j, k]
        return total

    def advance(self, Py_ssize_t n_iter, double tol, double reference, double log_unit) -> list:
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
        cdef Py_ssize_t number, _round, i
        objectives = []
        with nogil:
            self.take()
            for number in range(self.n_blocks if self.K > 1 else 0):
                gates.take_design(&gate, self.gate_design, number)
        while len(objectives) < n_iter:
            PyErr_CheckSignals()
            with nogil:
                self.sum_rows()
                for _round in range(self.n_learned):
                    self.learn_lines()
                if self.K > 1:
                    self.learn_gate(&gate)
                value = (self.e_step(&gate) + self.log_prior()) / self.total - log_unit
            objectives.append(value)
            if not value - reference > tol or isnan(value):
                break
            reference = value
        with nogil:
            self.give()
            for i in range(self.n):
                self.log_norm[i] -= log_unit
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
        return np.asarray(self.tau)[None], np.asarray(self.rho)[None]

    def of_precisions(self) -> tuple:
        """Shapes and rates (K,) of the posterior of the precisions, nu and centre of its prior."""
        shape, rate = np.asarray(self.precisions)
        return shape, rate, self.prior[0], self.prior[1]

    def of_sums(self) -> list:
        """Sums over the rows: (K, q, q), (K, q, 1) and (K, 1)."""
        cross, squares = np.asarray(self.cross), np.asarray(self.squares)
        return [np.asarray(self.gram), cross[:, :, None], squares[:, None]]

    def of_gate(self) -> tuple:
        """Weights (p, K), and probabilities (n_samples, K) with their logarithms."""
        return np.asarray(self.coef), (np.asarray(self.proba), np.asarray(self.log_proba))

    def of_rows(self) -> dict:
        """Responsibilities and expected log-densities (n_samples, K), and log-density, by name."""
        resp, log_density = np.asarray(self.resp), np.asarray(self.log_density)
        return {"resp": resp, "log_density": log_density, "log_norm": np.asarray(self.log_norm)}
