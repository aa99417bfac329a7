"""Rounds of pooled experts and their gate, one after the other, without coming back to Python.

A round is an M-step of the experts, whose coefficients and prior variances, and the precisions of
lines, have posteriors, a Newton step of the gate under its prior, and an E-step with expected
log-densities.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport exp, fabs, fmax, fmin, isnan, lgamma, log, sqrt
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
    void skmoe_pooled_log_linear(
        const double*, const double*, const double*, const double*, const double*, const double*,
        bint, double*, double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
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

    Experts are of R regimes, whose s coefficients are the q of the columns and those of offsets;
    without ties R is K, and s is q.

    Parameters
    ----------
    rows : tuple
        Of the experts: float64 arrays of shape (n_samples, q), columns with the intercept last,
        and (n_samples,), target and positive weights.
    gate : tuple
        Float64 arrays of shape (n_samples, p), (p,) and (p, F): its columns with the intercept
        last, precisions of the prior of its weights, and these to begin with; without shares F
        is K. Of a ``RegimeGate`` follow the function of each expert, and the parameters (K,) of the
        posterior of its share, and of its prior.
    groups : int32 array of shape (2, s)
        As ``learn_posterior`` takes them.
    resp : float64 array of shape (n_samples, K)
        Responsibilities to begin with.
    tau, rho : float64 array of shape (s,)
        Prior variances to begin with, as ``learn_posterior`` takes them.
    n_rounds : int
        M-steps of the experts in a round.
    n_arrays : int
        Numbers of each row that each expert needs, for expected log-densities, which come first,
        and what these follow from.
    ties : Ties, default=None
        Which experts are of one regime; None is each of its own.
    """

    cdef Py_ssize_t n, q, K, R, s, F, size, n_blocks, n_rounds, log_gate
    cdef const int[::1] regime, place, function
    cdef bint is_tied, has_shares
    cdef double prior_count, of_shares
    cdef const double[:, :] design, gate_design
    cdef const double[::1] y, weight, gate_penalty
    cdef const int[:, ::1] groups
    cdef double total, evidence, divergence
    cdef double[::1] tau, rho, log_norm, memory, counts, log_share
    cdef double[:, ::1] mean, shared, cross, coef, proba, log_proba, resp, log_density
    cdef double[:, ::1] joined_cross, joined_mean
    cdef double[:, :, ::1] cov, own, gram, joined_gram, joined_cov
    cdef double* rows         # of each block: (size,)
    cdef double* packed       # (q (q + 1) / 2, K)
    cdef double* by_column    # (q, K)
    cdef double* coefs        # (K + 1, q)
    cdef double* numbers      # (4, K)
    cdef double* scaled       # (K, q, q) and (K, q)
    cdef double* sums         # the same
    cdef double* work         # (4 s + 16, s)

    def __init__(self, rows, gate, groups, resp, tau, rho, n_rounds, n_arrays, ties=None):
        (n, K), (design, y, weight) = resp.shape, rows
        gate_design, gate_penalty, coef, *shares = gate
        q, p, F, alone = design.shape[1], len(gate_penalty), coef.shape[1], range(K)
        function, counts, prior_count = shares or (alone, np.ones(K), 1.0)
        regime, place, R, s = (alone, alone, K, q) if ties is None else (
            ties.regime, ties.place, ties.n_regimes, q + ties.n_offsets)
        given = design, y, weight, gate_design, coef, groups, tau, rho
        shapes = (n, q), (n,), (n,), (n, p), (p, F), (2, s), (s,), (s,)
        cdef const int[:, ::1] numbers = np.array([regime, place, function], dtype=np.intc)
        if tuple(each.shape for each in given) != shapes or numbers.shape[1] != K:
            raise ValueError(f"Shapes disagree with responsibilities of shape {resp.shape}")
        self.regime, self.place, self.function = numbers[0], numbers[1], numbers[2]
        self.is_tied, self.has_shares = ties is not None, bool(shares)
        self.R, self.s, self.F, self.prior_count = R, s, F, prior_count
        self.counts, self.log_share, self.of_shares = np.array(counts), np.zeros(K), 0.0
        if self.is_tied:
            self.joined_gram, self.joined_cov = np.empty((2, R, s, s))
            self.joined_cross, self.joined_mean = np.empty((2, R, s))
        self.design, self.gate_design, self.y, self.weight = design, gate_design, y, weight
        self.gate_penalty, self.groups = gate_penalty, groups
        self.n, self.q, self.K, self.total, self.n_rounds = n, q, K, np.sum(weight), n_rounds
        self.n_blocks = (n + BLOCK_ROWS - 1) // BLOCK_ROWS
        # The design, 0 targets, 1 weights, 2 log-norms, then K each of responsibilities, of what
        # Gram matrices are weighted with, and sums, of what the experts need, and of the gate, and
        # three that are for experts with a log link.
        self.log_gate = 3 + (3 + n_arrays) * K
        self.size = STRIDE * (q + self.log_gate + K + 3)
        n_pairs, n_rows = q * (q + 1) // 2, self.n_blocks * self.size
        n_sums = n_pairs * K + q * K + (K + 1) * q + 4 * K + 2 * K * q * (q + 1)
        self.memory = np.zeros(n_rows + LINE + n_sums + s * (4 * s + 16))
        self.rows = <double*> ((<uintptr_t> &self.memory[0] + LINE - 1) // LINE * LINE)
        self.packed = self.rows + self.n_blocks * self.size
        self.by_column = self.packed + self.q * (self.q + 1) // 2 * self.K
        self.coefs = self.by_column + self.q * self.K
        self.numbers = self.coefs + (self.K + 1) * self.q
        self.scaled = self.numbers + 4 * self.K
        self.sums = self.scaled + self.K * self.q * (self.q + 1)
        self.work = self.sums + self.K * self.q * (self.q + 1)
        self.resp, self.log_density = np.array(resp, order="C"), np.empty((n, K))
        self.proba, self.log_proba = np.ones((n, F)), np.zeros((n, F))
        self.tau, self.rho = np.array(tau), np.array(rho)
        self.coef, self.log_norm = np.array(coef, order="C"), np.empty(n)
        self.mean, self.cov = np.empty((K, q)), np.empty((K, q, q))
        self.own, self.shared = np.empty((2, R, s)), np.empty((2, s))
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

    cdef void take_rows(self, const double[:, :] values, Py_ssize_t part) noexcept nogil:
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
        problem.K, problem.q, problem.gram, problem.cross = <int> self.R, <int> self.s, gram, cross
        found.mean, found.cov = &self.mean[0, 0], &self.cov[0, 0, 0]
        if self.is_tied:
            problem.gram, problem.cross = &self.joined_gram[0, 0, 0], &self.joined_cross[0, 0]
            posteriors.join(
                gram, cross, &self.regime[0], &self.place[0], self.K, self.q, self.R, self.s,
                problem.gram, problem.cross)
            found.mean, found.cov = &self.joined_mean[0, 0], &self.joined_cov[0, 0, 0]
        found.own_mean, found.own_var = &self.own[0, 0, 0], &self.own[1, 0, 0]
        found.shared_mean, found.shared_var = &self.shared[0, 0], &self.shared[1, 0]
        posteriors.learn(
            &problem, tau, rho, &self.groups[0, 0] if learns else NULL, self.work, &found)
        if self.is_tied:
            posteriors.part(
                found.mean, found.cov, &self.regime[0], &self.place[0], self.K, self.q, self.s,
                &self.mean[0, 0], &self.cov[0, 0, 0])
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
        """A Newton step of the gate; and its shares."""
        cdef Py_ssize_t i, k, number, rows, n_iter = 0
        cdef double share
        cdef double* targets
        cdef double* mass
        cdef double* weight
        for k in range(self.K):
            self.counts[k] = self.prior_count
        for number in range(self.n_blocks):
            targets, weight = gates.block(gate, number, 4), self.array(number, 1)
            mass, rows = gates.block(gate, number, 6), self.length(number)
            for k in range(self.F):
                for i in range(rows):
                    targets[k * STRIDE + i] = mass[i] = 0.0
            for k in range(self.K):
                for i in range(rows):
                    share = weight[i] * self.array(number, 3)[k * STRIDE + i]
                    targets[self.function[k] * STRIDE + i] += share
                    mass[i] += share
                    self.counts[k] += share
        self.take_shares()
        return gates.newton(gate, &self.coef[0, 0], 1, 0.0, &n_iter) if self.F > 1 else 0

    cdef void take_shares(self) noexcept nogil:
        """Expected logarithms of shares within functions, and their divergence, from counts."""
        cdef Py_ssize_t f, k, size
        cdef double total
        self.of_shares = 0.0
        for f in range(self.F if self.has_shares else 0):
            total, size = 0.0, 0
            for k in range(self.K):
                if self.function[k] == f:
                    total += self.counts[k]
                    size += 1
            self.of_shares += lgamma(total) - lgamma(size * self.prior_count)
            for k in range(self.K):
                if self.function[k] == f:
                    self.log_share[k] = psi(self.counts[k]) - psi(total)
                    self.of_shares += (self.counts[k] - self.prior_count) * self.log_share[k]
                    self.of_shares += lgamma(self.prior_count) - lgamma(self.counts[k])

    cdef void expect_gate(self, gates.Problem* gate) noexcept nogil:
        """Logarithms of probabilities of the experts, of functions and shares."""
        cdef Py_ssize_t i, k, number
        cdef const double* of_function
        cdef double* found
        for number in range(self.n_blocks):
            for k in range(self.K):
                of_function = gates.block(gate, number, 3) + self.function[k] * STRIDE
                found = self.array(number, self.log_gate + k)
                for i in range(self.length(number)):
                    found[i] = self.log_share[k] + (of_function[i] if self.F > 1 else 0.0)

    cdef double e_step(self) noexcept nogil:
        """E-step; the objective, in sums of weights."""
        cdef Py_ssize_t K = self.K, j, k, number
        cdef double value = -self.of_prior() - self.of_shares
        for number in range(self.n_blocks):
            value += skmoe_pooled_shares(
                self.array(number, 3 + 3 * K), self.array(number, self.log_gate),
                self.array(number, 1), self.array(number, 3), self.array(number, 2), K,
                self.length(number))
        for j in range(self.gate_penalty.shape[0]):
            for k in range(self.F):
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
        cdef double value
        with nogil:
            self.take()
            self.take_rows(log_gate, self.log_gate)
            self.take_shares()
            self.start()
            self.learn(n_rounds)
            self.expect()
            value = self.e_step() / self.total - log_unit
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
            &gate, self.n, self.gate_penalty.shape[0], self.F, self.gate_penalty)
        cdef Py_ssize_t number
        objectives = []
        with nogil:
            self.take()
            for number in range(self.n_blocks if self.F > 1 else 0):
                gates.take_design(&gate, self.gate_design, number)
        while len(objectives) < n_iter:
            PyErr_CheckSignals()
            with nogil:
                self.learn(self.n_rounds)
                if self.K > 1:
                    self.learn_gate(&gate)
                    self.expect_gate(&gate)
                self.expect()
                value = self.e_step() / self.total - log_unit
            objectives.append(value)
            if not value - reference > tol or isnan(value):
                break
            reference = value
        with nogil:
            self.give(log_unit)
            for number in range(self.n_blocks if self.F > 1 else 0):
                gates.give(&gate, number, self.proba, self.log_proba)
        return objectives

    def of_coefficients(self) -> tuple:
        """Means (K, q), covariances (K, q, q), divergence and evidence; and other moments.

        These are means and variances (s,) of what is common, and (R, s) of deviations.
        """
        mean, cov = np.asarray(self.mean), np.asarray(self.cov)
        shared, own = np.asarray(self.shared), np.asarray(self.own)
        return mean, cov, self.divergence, self.evidence, shared[0], shared[1], own[0], own[1]

    def of_variances(self) -> tuple:
        """Prior variances of deviations and of what is common, (1, s) each."""
        return np.reshape(self.tau, (1, -1)), np.reshape(self.rho, (1, -1))

    def of_sums(self) -> tuple:
        """Sums over the rows, (K, q, q) and (K, q)."""
        return np.asarray(self.gram), np.asarray(self.cross)

    def of_gate(self) -> tuple:
        """Weights (p, F), and probabilities (n_samples, F) with their logarithms."""
        return np.asarray(self.coef), (np.asarray(self.proba), np.asarray(self.log_proba))

    def of_counts(self) -> np.ndarray:
        """Parameters (K,) of the posterior of the shares."""
        return np.asarray(self.counts)

    def of_rows(self) -> dict:
        """Responsibilities and expected log-densities (n_samples, K), and log-density, by name."""
        resp, log_density = np.asarray(self.resp), np.asarray(self.log_density)
        return {"resp": resp, "log_density": log_density, "log_norm": np.asarray(self.log_norm)}


include "_gamma_shapes.pxi"
include "_pooled_lines.pxi"
include "_pooled_steps.pxi"
