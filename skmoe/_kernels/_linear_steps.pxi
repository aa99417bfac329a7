"""The M-step of linear experts and their gate, from sums over rows; part of `_linear_run.pyx`."""


@final
cdef class LinearRun:
    """A mixture of linear experts in training, with its rows.

    Attributes are read and set between runs: ``logits`` (p, K) of the gate in standardised columns,
    the intercept last, ``coef`` (K, q) of the experts, and ``errors`` (K,), their scales, of Gamma
    targets ``1 / sqrt(shape)``, the scales of relative errors; ``sums``
    of a pass with these, with ``has_grams`` and ``has_pairs``, the curvatures of experts and gate
    that it has summed; of the gate ``mass`` (K,), and ``factor`` (K p, K p), ``bound`` (K, p, p)
    and ``drift`` of a curvature, if it ``has_factor``, above 500 weights factors (K p, p); of
    logistic experts ``curvature`` (K, q, q) and ``expert_drift``, if it ``has_curvature``;
    ``value``, the penalised log-likelihood. From the last M-step of linear experts: ``row_masses``
    and ``squares`` (K,) of the residuals, and from the iterate before it ``other_sums`` and
    ``old_coef``. q is p, or of three classes and more as often, their functions one after the
    other.

    Parameters
    ----------
    n_experts : int
        K.
    y, weight : float64 array of shape (n_samples,)
        Target, class numbers of logistic experts, and weights.
    mean, scale : float64 array of shape (p - 1,)
        What the columns are standardised with.
    penalty : float64 array of shape (p - 1,)
        L2 penalty of the experts' slopes.
    rows_gram : float64 array of shape (p, p) or None
        Gram matrix of all rows, for logistic experts; None asks for linear ones.
    acceleration : Acceleration or None
        Extrapolates the last, slow iterations.
    y_mean, y_scale : float
        What the target is standardised with.
    is_prior : bool
        Whether the penalty is in units of the error variance, a prior.
    alpha : float
        Penalty of the gate; negative for a constant gate.
    floor, variance : float
        The smallest scale of errors, and the variance of an expert without rows.
    shared : bool
        Whether all experts have one scale.
    n_kept : int
        Linear experts that share a row.
    longest_drift, longest_expert_drift : float
        Change of logits and functions after which curvature is recomputed; negative: every step.
    n_newton : int
        Steps of logistic experts, at most, for given responsibilities.
    n_classes : int
        Classes of logistic experts.
    kind : int
        Of targets with a log link, in place of classes: 1 for counts, 2 for Gamma; else 0.
    offset : float64 array of shape (n_samples,) or None
        What is added to the functions of such experts.
    constant : float
        What the log-likelihood has besides.
    least_pivot : float
        Smallest pivot of a Cholesky factor over its largest; below, slopes are of least norm.
    """

    cdef Problem sizes  # of a pass with the gate's curvature
    cdef Py_ssize_t K, p, q, n_functions, n_kept, at_slopes, at_grams
    cdef Py_ssize_t n_newton
    cdef readonly Py_ssize_t n_classes
    cdef readonly int kind
    cdef bint logistic, scaled, is_constant, is_prior, shared
    cdef double y_mean, y_scale, alpha, floor, variance, longest_drift, longest_expert_drift
    cdef double constant, least_pivot, total_weight, bound_mass, entropy, rounding, epsilon, unit
    cdef const double[::1] y, weight, offset, mean, scale, penalty
    cdef const double[:, ::1] resp, no_resp, rows_gram
    cdef Acceleration acceleration
    cdef public double[:, ::1] logits, coef, factor, old_coef
    cdef public double[:, :, ::1] bound, curvature
    cdef double[:, :, ::1] factors
    cdef public double[::1] errors, sums, mass, squares, row_masses, other_sums
    cdef public bint has_grams, has_pairs, has_factor, has_curvature
    cdef public double drift, expert_drift, value
    # Those of the iterate before, and of EM's step where an accelerated one is tried.
    cdef double[::1] old_errors, old_mass, em_errors, em_mass
    cdef double[:, ::1] old_logits, em_logits, em_coef
    cdef double old_drift, old_expert_drift, old_value
    cdef bint old_grams, old_pairs, other_grams, other_pairs
    # The current step: directions of gate and experts, and workspace.
    cdef double[:, ::1] gate_step, expert_step, gram, singular, partial, weighted
    cdef double[::1] decrements, vector, work, point, step, goal
    cdef bint is_factored
    cdef double gate_decrement, gate_length
    cdef Py_ssize_t chunk_rows
    cdef int n_threads

    def __init__(
        self, n_experts, y, weight, mean, scale, penalty, rows_gram, acceleration, *,
        y_mean=0.0, y_scale=1.0, is_prior=True, alpha=-1.0, floor=0.0, variance=1.0, shared=False,
        n_kept=2**31, longest_drift=0.1, longest_expert_drift=0.1, least_pivot=1e-6,
        rounding=1e-13, n_newton=0, n_classes=2, kind=0, offset=None, constant=0.0,
    ):
        self.y, self.weight, self.mean, self.scale, self.penalty = y, weight, mean, scale, penalty
        K, p = n_experts, len(mean) + 1
        self.K, self.p, self.n_kept, self.n_classes = K, p, min(n_kept, K), n_classes
        self.rows_gram, self.logistic = rows_gram, rows_gram is not None
        self.kind, self.offset, self.constant = kind, offset, constant
        self.acceleration, self.is_constant = acceleration, alpha < 0
        self.y_mean, self.y_scale, self.is_prior, self.alpha = y_mean, y_scale, is_prior, alpha
        self.floor, self.variance, self.shared = floor, variance, shared
        if kind == GAMMA:
            self.floor = LARGEST_SHAPE ** -0.5
        self.longest_drift, self.longest_expert_drift = longest_drift, longest_expert_drift
        self.least_pivot, self.rounding, self.n_newton = least_pivot, rounding, n_newton
        self.total_weight, self.bound_mass = np.sum(weight), 1e-300
        self.epsilon, self.unit = np.finfo(np.float64).eps, 1.0
        self._allocate()

    cdef void _allocate(self):
        """Arrays of the parameters, of the sums and of steps."""
        set_sizes(&self.sizes, self.K, self.p, self.n_classes, self.kind, True)
        self.n_functions = self.sizes.n_functions
        self.q = self.n_functions * self.p
        self.at_slopes = 1 + self.sizes.n_totals
        self.at_grams = self.at_slopes + self.K * (self.p + self.q)
        self.scaled = self.kind == GAMMA or not self.logistic
        K, p, q = self.K, self.p, self.q
        n = K * (p + q) + (K if self.scaled else 0)
        # Each is a slice, which is made in a fraction of the time of an array.
        cdef double[:, ::1] of_pass = np.zeros((2, self.sizes.n_sums))
        cdef double[:, :, ::1] of_gate = np.zeros((4, p, K))
        cdef double[:, :, ::1] of_experts = np.zeros((4, K, q))
        cdef double[:, ::1] of_each = np.ones((9, K))
        cdef double[:, ::1] of_point = np.zeros((4 + MEMORY, n))
        self.sums, self.other_sums = of_pass[0], of_pass[1]
        self.logits, self.old_logits = of_gate[0], of_gate[1]
        self.em_logits, self.gate_step = of_gate[2], of_gate[3]
        self.coef, self.old_coef = of_experts[0], of_experts[1]
        self.em_coef, self.expert_step = of_experts[2], of_experts[3]
        self.errors, self.old_errors, self.em_errors = of_each[0], of_each[1], of_each[2]
        self.squares, self.decrements = of_each[3], of_each[4]
        self.mass, self.old_mass, self.em_mass = of_each[5], of_each[6], of_each[7]
        self.row_masses = of_each[8]
        self.point, self.step, self.goal = of_point[0], of_point[1], of_point[2]
        self.weighted = of_point[3:]
        if not self.is_constant:
            self.factor = np.zeros((K * p, K * p if self.sizes.is_paired else p))
            self.bound = np.zeros((K, p, p))
        if self.logistic:
            self.curvature, self.factors = np.zeros((2, K, q, q))
        self.resp = self.no_resp = None
        self.gram, self.vector = np.zeros((p, p)), np.zeros(max(K * p, q))
        self.singular, self.work = np.zeros((p, p - 1)), np.zeros(5 * p + 1)

    @property
    def rises(self):
        """Whether no iteration lowers the objective: not under a penalty that is no prior."""
        return self.is_prior or self.logistic or not np.any(self.penalty)

    def beside(self, LinearRun other):
        """A run on the same rows that begins with the gate of another one, None for its own.

        Experts with a log link begin with its functions and scales, too.
        """
        cdef LinearRun twin = LinearRun.__new__(LinearRun)
        twin.K, twin.p, twin.n_kept, twin.n_classes = self.K, self.p, self.n_kept, self.n_classes
        twin.n_newton, twin.logistic = self.n_newton, self.logistic
        twin.kind, twin.offset, twin.constant = self.kind, self.offset, self.constant
        twin.is_constant, twin.is_prior, twin.shared = self.is_constant, self.is_prior, self.shared
        twin.y_mean, twin.y_scale, twin.alpha = self.y_mean, self.y_scale, self.alpha
        twin.floor, twin.variance, twin.rounding = self.floor, self.variance, self.rounding
        twin.longest_drift, twin.least_pivot = self.longest_drift, self.least_pivot
        twin.longest_expert_drift = self.longest_expert_drift
        twin.total_weight, twin.bound_mass = self.total_weight, self.bound_mass
        twin.epsilon, twin.unit = self.epsilon, self.unit
        twin.y, twin.weight, twin.mean, twin.scale = self.y, self.weight, self.mean, self.scale
        twin.penalty, twin.rows_gram = self.penalty, self.rows_gram
        twin.acceleration = None if self.acceleration is None else Acceleration()
        twin._allocate()
        if other is None:
            other = self
        twin.logits[:, :], twin.mass[:] = other.logits, other.mass
        if self.kind:  # from zeros it is far to the logarithms of means
            twin.coef[:, :], twin.errors[:] = other.coef, other.errors
        return twin

    def rounded(self):
        """A run like this one on standardised rows in single precision.

        Weights are relative to the largest one, so that their scale does not matter.
        """
        cdef LinearRun twin = self.beside(self)
        twin.mean, twin.scale = np.zeros(self.p - 1), np.ones(self.p - 1)
        reach = FARTHEST * self.y_scale
        twin.y = np.clip(self.y, self.y_mean - reach, self.y_mean + reach)
        twin.unit = np.max(self.weight)
        twin.weight = np.asarray(self.weight) / twin.unit
        twin.epsilon = np.finfo(np.float32).eps
        twin.rounding = fmax(twin.epsilon, self.rounding)
        twin.least_pivot = fmax(10 * twin.epsilon, self.least_pivot)
        return twin

    def rounded_columns(self, X):
        """The rows of such a run, (n_samples, p - 1)."""
        columns = (X - np.asarray(self.mean)) / np.asarray(self.scale)
        return np.clip(columns, -FARTHEST, FARTHEST).astype(np.float32)

    def going_on(self, LinearRun other):
        """The other run or, if that one is of another precision, a run at its parameters."""
        cdef LinearRun twin
        if self.epsilon == other.epsilon:
            return other
        twin = self.beside(other)
        twin.coef[:, :], twin.errors[:] = other.coef, other.errors
        twin.value = np.nan  # there are no sums
        return twin

    def expert_masses(self):
        """Weight of the rows of each expert, (K,)."""
        return [self.mass_of(k) for k in range(self.K)]

    def take_classes(self, functions, curvature):
        """Begin with functions (K, C, p) of the classes, and their curvature (K, C, p, C, p)."""
        if self.n_classes == 2:  # log-odds of the second
            functions = functions[:, 1] - functions[:, 0]
        self.coef = np.array(functions.reshape(self.K, self.q), order="C")
        self.has_curvature = curvature is not None
        if self.has_curvature:
            curvature = curvature[:, 1, :, 1] if self.n_classes == 2 else curvature
            self.curvature = np.array(curvature.reshape(self.K, self.q, self.q), order="C")

    def of_classes(self):
        """Functions of the classes and their curvature, as ``take_classes`` takes them."""
        K, C, p = self.K, self.n_classes, self.p
        coef, curvature = np.array(self.coef), np.asarray(self.curvature)
        if C > 2:
            return coef.reshape(K, C, p), curvature.reshape(K, C, p, C, p)
        rows = np.stack([curvature, -curvature], axis=2)
        return 0.5 * np.stack([-coef, coef], axis=1), np.stack([rows, -rows], axis=1)

    # Sums over the rows ----------------------------------------------------------------------

    cdef double gram_of(self, Py_ssize_t k, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
        """Entry of the Gram matrix of an expert, of its curvature if experts are logistic."""
        cdef Py_ssize_t place = j * (j + 1) // 2 + i if i <= j else i * (i + 1) // 2 + j
        return self.sums[self.at_grams + place * self.K + k]

    cdef double mass_of(self, Py_ssize_t k) noexcept nogil:
        """Weight of the rows of an expert."""
        return self.sums[1 + k] if self.logistic else self.gram_of(k, self.p - 1, self.p - 1)

    cdef double pull_of(self, Py_ssize_t k, Py_ssize_t j) noexcept nogil:
        """Weighted product of a column and the residuals of an expert, of each function."""
        cdef Py_ssize_t F = self.n_functions
        return self.sums[self.at_slopes + (j % self.p) * self.K * (F + 1) + k * F + j // self.p]

    cdef double excess_of(self, Py_ssize_t k, Py_ssize_t j) noexcept nogil:
        """Product of a column and responsibilities minus gate probabilities."""
        cdef Py_ssize_t n_pulls = self.K * self.n_functions
        return self.sums[self.at_slopes + j * (n_pulls + self.K) + n_pulls + k]

    # Priors and bounds -----------------------------------------------------------------------

    cdef double constant_of(self, Py_ssize_t k) noexcept nogil:
        """What the log-densities of an expert with a log link have besides."""
        return gamma_constant(1 / (self.errors[k] * self.errors[k])) if self.kind == GAMMA else 0.0

    cdef double gate_prior(self) noexcept nogil:
        cdef double total = 0.0
        cdef Py_ssize_t j, k
        if self.is_constant:
            return 0.0
        for j in range(self.p - 1):
            for k in range(self.K):
                total += self.logits[j, k] * self.logits[j, k]
        return -0.5 * self.alpha * total

    cdef double penalty_of(self, Py_ssize_t k) noexcept nogil:
        """Twice the penalty of an expert, in squared units of the target."""
        cdef double total = 0.0
        cdef Py_ssize_t j
        if not (self.is_prior or self.logistic):
            return 0.0
        for j in range(self.q):
            total += self.penalty_at(j) * self.coef[k, j] * self.coef[k, j]
        return total * self.y_scale * self.y_scale

    cdef double penalty_at(self, Py_ssize_t j) noexcept nogil:
        """Penalty of a coefficient; intercepts have none."""
        return self.penalty[j % self.p] if j % self.p < self.p - 1 else 0.0

    cdef double expert_prior(self) noexcept nogil:
        cdef double total = 0.0
        cdef Py_ssize_t k
        for k in range(self.K):
            total -= 0.5 * self.penalty_of(k) / (self.errors[k] * self.errors[k])
        return total

    cdef double expert_value(self, const double* squares) noexcept nogil:
        """Part of linear experts in the bound, without their prior."""
        cdef double total = 0.0
        cdef double precision
        cdef Py_ssize_t k
        for k in range(self.K):
            precision = self.y_scale / self.errors[k]
            total -= 0.5 * squares[k] * precision * precision
            total -= self.mass_of(k) * (log(self.errors[k]) + LOG_ROOT_2_PI)
        return total

    # The gate's step -------------------------------------------------------------------------

    cdef bint take_gate_curvature(self) noexcept nogil:
        """Factor of the gate's curvature, where the last pass has summed it; False if none."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t C = self.sizes.n_curvatures
        cdef Py_ssize_t start = self.at_grams + self.sizes.n_pairs * self.sizes.n_grams * K
        cdef Py_ssize_t i, j, k, other, pair
        cdef double entry, of_column, shared
        cdef double largest = 1e-300
        cdef double* H = &self.factor[0, 0]
        cdef Py_ssize_t n = K * p
        if not self.has_pairs:
            return self.has_factor
        self.drift = 0.0
        if not self.sizes.is_paired:
            return self.take_separate_curvatures()
        for i in range(n * n):
            H[i] = 0.0
        for other in range(K):
            for k in range(other):
                pair = other * (other - 1) // 2 + k
                for j in range(p):
                    for i in range(j + 1):
                        entry = self.sums[start + (j * (j + 1) // 2 + i) * C + pair]
                        H[(k * p + i) * n + k * p + j] += entry
                        H[(other * p + i) * n + other * p + j] += entry
                        H[(k * p + i) * n + other * p + j] = -entry  # above the diagonal
                        H[(k * p + j) * n + other * p + i] = -entry
        for k in range(K):
            for j in range(p):
                for i in range(j + 1):
                    entry = 2 * H[(k * p + i) * n + k * p + j]
                    self.bound[k, i, j] = self.bound[k, j, i] = entry
        self.find_bound_mass()
        # Along (1, ..., 1) over the experts it is flat; any curvature there leaves the step as is.
        for j in range(p):
            of_column = 0.0
            for k in range(K):
                of_column += H[(k * p + j) * n + k * p + j]
            largest = fmax(largest, of_column)
        for j in range(p):
            of_column = 0.0
            for k in range(K):
                of_column += H[(k * p + j) * n + k * p + j]
            shared = fmax(of_column, FLOOR * largest) / K
            for k in range(K):
                for other in range(k, K):
                    H[(k * p + j) * n + other * p + j] += shared
                H[(k * p + j) * n + k * p + j] += FLOOR * largest
                H[(k * p + j) * n + k * p + j] += self.alpha if j < p - 1 else 0.0
        self.has_factor = skmoe_cholesky(H, n) > 0
        return self.has_factor

    cdef bint take_separate_curvatures(self) noexcept nogil:
        """The same for a bound on the curvature expert by expert."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t start = self.at_grams + self.sizes.n_pairs * self.sizes.n_grams * K
        cdef Py_ssize_t i, j, k
        cdef double entry
        cdef double largest = 1e-300
        self.has_factor = True
        for k in range(K):
            for j in range(p):
                for i in range(j + 1):
                    entry = self.sums[start + (j * (j + 1) // 2 + i) * K + k]
                    self.bound[k, i, j] = self.bound[k, j, i] = entry
                    self.factor[k * p + i, j] = entry
                largest = fmax(largest, entry)
        self.find_bound_mass()
        for k in range(K):
            for j in range(p):
                self.factor[k * p + j, j] += FLOOR * largest
                self.factor[k * p + j, j] += self.alpha if j < p - 1 else 0.0
            self.has_factor = skmoe_cholesky(&self.factor[k * p, 0], p) > 0 and self.has_factor
        return self.has_factor

    cdef void find_bound_mass(self) noexcept nogil:
        """What a change of the logits by one weighs in all rows."""
        cdef Py_ssize_t k
        self.bound_mass = 1e-300
        for k in range(self.K):
            self.bound_mass += 0.5 * self.bound[k, self.p - 1, self.p - 1]

    cdef bint find_gate_step(self) noexcept nogil:
        """Newton direction of the gate, and the largest part of it to take; False if none."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t i, j, k
        cdef double mean, slope
        cdef double change = 0.0
        cdef double* solution = &self.vector[0]
        if self.is_constant:
            return True
        if not self.take_gate_curvature():
            return False
        for k in range(K):
            for j in range(p):
                slope = self.alpha * self.logits[j, k] if j < p - 1 else 0.0
                solution[k * p + j] = self.excess_of(k, j) - slope
        i = self.factor.shape[1]
        for k in range(K * p // i):
            skmoe_solve_factored(&self.factor[k * i, 0], solution + k * i, i)
        self.gate_decrement = 0.0
        for j in range(p):
            mean = 0.0
            for k in range(K):
                mean += solution[k * p + j]
            mean /= K
            for k in range(K):
                self.gate_step[j, k] = solution[k * p + j] - mean
                slope = self.alpha * self.logits[j, k] if j < p - 1 else 0.0
                self.gate_decrement += self.gate_step[j, k] * (self.excess_of(k, j) - slope)
        self.sum_grams()
        for i in range(p):
            for j in range(p):
                for k in range(K):
                    change += self.gate_step[i, k] * self.gram[i, j] * self.gate_step[j, k]
        change = sqrt(fmax(change / self.gram[p - 1, p - 1], 0.0))
        self.gate_length = fmin(1.0, LONGEST_CHANGE / fmax(change, 1e-300))
        return True

    cdef void sum_grams(self) noexcept nogil:
        """Gram matrix of all rows."""
        cdef Py_ssize_t i, j, k
        for i in range(self.p):
            for j in range(self.p):
                self.gram[i, j] = self.rows_gram[i, j] if self.logistic else 0.0
                if not self.logistic:
                    for k in range(self.K):
                        self.gram[i, j] += self.gram_of(k, i, j)

    cdef void move_gate(self, double size, double drift) noexcept nogil:
        """Take a part of the gate's step from the last iterate."""
        cdef Py_ssize_t j, k
        cdef double total = 0.0
        if self.is_constant:
            for k in range(self.K):
                self.mass[k] = self.mass_of(k)
                total += self.mass[k]
            for k in range(self.K):
                self.logits[self.p - 1, k] = log(
                    fmax(self.mass[k] / total if total > 0 else 1.0 / self.K, 1e-300))
            return
        size *= self.gate_length if size >= SMALLEST_STEP else 0.0
        for j in range(self.p):
            for k in range(self.K):
                self.logits[j, k] = self.old_logits[j, k] + size * self.gate_step[j, k]
        self.drift = drift + size * sqrt(fmax(self.gate_decrement, 0.0) / self.bound_mass)

    # The experts' step -----------------------------------------------------------------------

    cdef bint solve_lines(self) noexcept nogil:
        """Least squares and scales from the sums; False where they could not be solved."""
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t m = p - 1
        cdef Py_ssize_t i, j, k
        cdef double mass, mean, intercept, fitted, total, of_all
        cdef double total_mass = 0.0
        cdef double* matrix = &self.gram[0, 0]
        cdef double* slopes = matrix + m * m
        cdef double* cross = &self.vector[0]
        of_all = 0.0
        for k in range(self.K):
            mass = self.mass_of(k)
            mass = mass if mass > 0 else 1.0
            total = self.sums[1 + k]
            for i in range(p):  # the sums are of residuals
                fitted = 0.0
                for j in range(p):
                    fitted += self.gram_of(k, i, j) * self.old_coef[k, j]
                total += self.old_coef[k, i] * (2.0 * self.pull_of(k, i) + fitted)
                cross[i] = self.pull_of(k, i) + fitted
            for i in range(m):
                mean = self.gram_of(k, m, i) / mass
                for j in range(i, m):
                    matrix[i * m + j] = self.gram_of(k, i, j) - mean * self.gram_of(k, m, j)
                matrix[i * m + i] += self.penalty[i]
            intercept = cross[m] / mass
            for i in range(m):
                slopes[i] = cross[i] - self.gram_of(k, m, i) * intercept
            memcpy(&self.singular[0, 0], matrix, m * m * sizeof(double))
            if m and skmoe_cholesky(matrix, m) > self.least_pivot:
                skmoe_solve_factored(matrix, slopes, m)
            elif m and not self.solve_singular(slopes):
                return False
            for i in range(m):
                self.coef[k, i] = slopes[i]
                intercept -= self.gram_of(k, m, i) / mass * slopes[i]
            self.coef[k, m] = intercept
            for i in range(p):
                fitted = 0.0
                for j in range(p):
                    fitted += self.gram_of(k, i, j) * self.coef[k, j]
                total -= self.coef[k, i] * (2.0 * cross[i] - fitted)
            self.squares[k] = fmax(total, 0.0)
            of_all += self.squares[k] * self.y_scale * self.y_scale + self.penalty_of(k)
            self.row_masses[k] = self.mass_of(k)
            total_mass += self.row_masses[k]
        for k in range(self.K):
            mass, total = self.mass_of(k), self.squares[k] * self.y_scale * self.y_scale
            total += self.penalty_of(k)
            if self.shared:
                mass, total = total_mass, of_all
            total = total / mass if mass > 0 else self.variance
            self.errors[k] = fmax(sqrt(total), self.floor)
        return True

    cdef bint solve_singular(self, double* slopes) noexcept nogil:
        """Solution of least norm, in place of the right side; False where LAPACK has none."""
        cdef int m = <int> self.p - 1
        cdef int failed = 0
        cdef int n_work = <int> self.work.shape[0] - 2 * m
        cdef double* values = &self.work[0]
        cdef double* parts = values + m
        cdef Py_ssize_t i, j
        dsyev(b"V", b"L", &m, &self.singular[0, 0], &m, values, parts + m, &n_work, &failed)
        if failed:
            return False
        for i in range(m):
            parts[i] = 0.0
            if values[i] > m * self.epsilon * fmax(values[m - 1], 0.0):
                parts[i] = dot(&self.singular[i, 0], slopes, m) / values[i]
        for j in range(m):
            slopes[j] = 0.0
            for i in range(m):
                slopes[j] += self.singular[i, j] * parts[i]
        return True

    cdef void take_curvature(self, Py_ssize_t k) noexcept nogil:
        """Curvature of a logistic expert at the last pass."""
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t C = self.n_classes
        cdef Py_ssize_t E = self.sizes.n_grams
        cdef Py_ssize_t c, d, i, j, place
        cdef double entry
        cdef double[:, :] H = self.curvature[k]
        if C == 2:
            for i in range(p):
                for j in range(p):
                    H[i, j] = self.gram_of(k, i, j)
            return
        H[:, :] = 0.0
        for i in range(p):
            for j in range(p):
                place = j * (j + 1) // 2 + i if i <= j else i * (i + 1) // 2 + j
                place = self.at_grams + (place * self.K + k) * E
                for d in range(C):
                    for c in range(d):
                        entry = self.sums[place + d * (d - 1) // 2 + c]
                        H[c * p + i, c * p + j] += entry
                        H[d * p + i, d * p + j] += entry
                        H[c * p + i, d * p + j] = H[d * p + i, c * p + j] = -entry

    cdef bint factor_curvature(self, Py_ssize_t k) noexcept nogil:
        """Its factor, with the penalty and as little more on the diagonal as it needs."""
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t q = self.q
        cdef Py_ssize_t C = self.n_functions
        cdef Py_ssize_t c, d, i, j
        cdef double of_column
        cdef double largest = 1e-300
        cdef double share = FLOOR
        cdef double* factor = &self.factors[k, 0, 0]
        while share <= 1:
            memcpy(factor, &self.curvature[k, 0, 0], q * q * sizeof(double))
            for j in range(p):
                of_column = 0.0
                for c in range(C):
                    of_column += self.curvature[k, c * p + j, c * p + j]
                largest = fmax(largest, of_column)
            for j in range(p if C > 1 else 0):
                # Along (1, ..., 1) over the classes it is flat; any curvature there will do.
                of_column = 0.0
                for c in range(C):
                    of_column += self.curvature[k, c * p + j, c * p + j]
                of_column = fmax(of_column, FLOOR * largest) / C
                for c in range(C):
                    for d in range(C):
                        factor[(c * p + j) * q + d * p + j] += of_column
            for i in range(q):
                factor[i * q + i] += share * largest + self.penalty_at(i)
            if skmoe_cholesky(factor, q) > 0:
                return True
            share *= 10
        return False

    cdef bint find_expert_steps(self) noexcept nogil:
        """Newton directions of logistic experts; False where a curvature is singular."""
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t q = self.q
        cdef Py_ssize_t C = self.n_functions
        cdef Py_ssize_t c, i, j, k
        cdef double change, largest, mean
        cdef double* step
        for k in range(self.K):
            step = &self.expert_step[k, 0]
            if self.has_grams:
                self.take_curvature(k)
            if (self.has_grams or not self.is_factored) and not self.factor_curvature(k):
                return False
            for j in range(q):
                step[j] = self.pull_of(k, j) - self.penalty_at(j) * self.coef[k, j]
                self.vector[j] = step[j]
            skmoe_solve_factored(&self.factors[k, 0, 0], step, q)
            for j in range(p if C > 1 else 0):
                mean = 0.0
                for c in range(C):
                    mean += step[c * p + j]
                for c in range(C):
                    step[c * p + j] -= mean / C
            self.decrements[k] = dot(&self.vector[0], step, q)
            largest = 0.0
            for c in range(C):
                change = 0.0
                for i in range(p):
                    for j in range(p):
                        change += step[c * p + i] * self.rows_gram[i, j] * step[c * p + j]
                largest = fmax(largest, change)
            change = sqrt(fmax(largest / self.rows_gram[p - 1, p - 1], 0.0))
            change *= 0.5 if C == 1 and not self.kind else 1.0  # of each of two classes
            change = fmin(1.0, LONGEST_CHANGE / fmax(change, 1e-300))
            self.decrements[k] *= change
            for j in range(q):
                step[j] *= change
        if self.has_grams:
            self.expert_drift = 0.0
        self.has_curvature = self.is_factored = True
        return True

    cdef void learn_shapes(self) noexcept nogil:
        """Scales of Gamma experts of the highest likelihood around their last functions."""
        cdef Py_ssize_t k
        cdef double mass, value
        for k in range(self.K if self.kind == GAMMA else 0):
            mass, value = self.mass_of(k), self.sums[1 + self.K + k] - 0.5 * self.penalty_of(k)
            self.errors[k] = 1 / sqrt(shape_of_deviance(-value / mass if mass > 0 else 1.0))

    cdef void move_experts(self, double size, double drift) noexcept nogil:
        """Take a part of the steps of logistic experts from the last iterate."""
        cdef Py_ssize_t j, k
        cdef double squares = 0.0
        for k in range(self.K):
            squares += size * self.decrements[k]
            for j in range(self.q):
                self.coef[k, j] = self.old_coef[k, j] + size * self.expert_step[k, j]
        self.expert_drift = drift
        self.add_expert_drift(squares)

    cdef void add_expert_drift(self, double squares) noexcept nogil:
        cdef double mass = 0.0
        cdef Py_ssize_t c, j, k
        for k in range(self.K):
            for c in range(self.n_functions):
                j = (c + 1) * self.p - 1
                mass += self.curvature[k, j, j] * (0.5 if self.n_functions > 1 else 1.0)
        self.expert_drift += sqrt(fmax(squares, 0.0) / fmax(mass, 1e-300))

    # Iterates --------------------------------------------------------------------------------

    cdef bint wants_pairs(self, double size) noexcept nogil:
        """Whether a pass renews the gate's curvature: old, or too small for a whole step."""
        cdef bint is_old = size < 1 or not self.has_factor or self.drift > self.longest_drift
        return is_old and not self.is_constant

    cdef bint wants_grams(self) noexcept nogil:
        if not self.logistic:
            return True
        return not self.has_curvature or self.expert_drift > self.longest_expert_drift

    cdef void keep(self) noexcept nogil:
        """Keep the parameters as those of the iterate before."""
        self.old_logits[:, :], self.old_coef[:, :] = self.logits, self.coef
        self.old_errors[:], self.old_mass[:] = self.errors, self.mass
        self.old_drift, self.old_expert_drift = self.drift, self.expert_drift
        self.old_value, self.old_grams = self.value, self.has_grams
        self.old_pairs = self.has_pairs

    cdef void go_back(self) noexcept nogil:
        """Take the parameters of the iterate before."""
        self.logits[:, :], self.coef[:, :] = self.old_logits, self.old_coef
        self.errors[:], self.mass[:] = self.old_errors, self.old_mass
        self.drift, self.expert_drift = self.old_drift, self.old_expert_drift
        self.value = self.old_value

    cdef double total(self) noexcept nogil:
        """Penalised log-likelihood of a pass with these parameters, to ``other_sums``."""
        return self.other_sums[0] + self.constant + self.gate_prior() + self.expert_prior()

    cdef void accept(self) noexcept nogil:
        self.value = self.total()
        self.sums, self.other_sums = self.other_sums, self.sums
        self.has_grams, self.has_pairs = self.other_grams, self.other_pairs

    # Acceleration ----------------------------------------------------------------------------

    cdef void write_point(
        self, double* out, double[:, ::1] coef, double[::1] errors, double[:, ::1] logits
    ) noexcept nogil:
        """Functions, logarithms of scales, and logits."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t start = K * self.q
        cdef Py_ssize_t j, k
        memcpy(out, &coef[0, 0], start * sizeof(double))
        if self.scaled:
            for k in range(K):
                out[start + k] = log(errors[k])
            start += K
        for k in range(K):
            for j in range(p):
                out[start + k * p + j] = logits[j, k]

    cdef bint propose(self, double* least) noexcept nogil:
        """Accelerated step in place of EM's, and the gain it needs; False for EM's step."""
        cdef Py_ssize_t n = self.point.shape[0]
        cdef Py_ssize_t i
        self.write_point(&self.point[0], self.old_coef, self.old_errors, self.old_logits)
        self.write_point(&self.step[0], self.coef, self.errors, self.logits)
        for i in range(n):
            self.step[i] -= self.point[i]
        if not self.acceleration.push(&self.point[0], &self.step[0], n):
            return False
        for i in range(self.acceleration.n_before + 1):
            self.weigh(&self.acceleration.changes[i, 1, 0], &self.weighted[i, 0])
        least[0] = self.acceleration.solve(&self.weighted[0, 0], &self.point[0], &self.goal[0])
        return least[0] >= 0

    cdef void weigh(self, const double* direction, double* out) noexcept nogil:
        """A direction times the curvature of the complete data at the last pass."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t q = self.q
        cdef Py_ssize_t start = K * q
        cdef Py_ssize_t i, j, k
        cdef double precision, total
        for k in range(K):
            precision = (self.y_scale / self.errors[k]) ** 2
            for i in range(q):
                total = 0.0
                for j in range(q):
                    if self.logistic:
                        total += self.curvature[k, i, j] * direction[k * q + j]
                    else:
                        total += self.gram_of(k, i, j) * direction[k * q + j]
                if self.logistic:
                    total += self.penalty_at(i) * direction[k * q + i]
                out[k * q + i] = precision * total
        if self.scaled:
            for k in range(K):
                total = 2.0
                if self.kind == GAMMA:
                    precision = 1 / (self.errors[k] * self.errors[k])
                    total = 4 * precision * (precision * trigamma(precision) - 1)
                out[start + k] = total * self.mass_of(k) * direction[start + k]
            start += K
        for k in range(K):
            for i in range(p):
                total = 0.0
                if self.is_constant:
                    total = self.mass[k] * direction[start + k * p + i] if i == p - 1 else 0.0
                else:
                    for j in range(p):
                        total += 0.5 * self.bound[k, i, j] * direction[start + k * p + j]
                    total += self.alpha * direction[start + k * p + i] if i < p - 1 else 0.0
                out[start + k * p + i] = total

    cdef void go_to_goal(self) noexcept nogil:
        """Take the parameters that were proposed; EM's are kept."""
        cdef Py_ssize_t K = self.K
        cdef Py_ssize_t p = self.p
        cdef Py_ssize_t q = self.q
        cdef Py_ssize_t start = K * q
        cdef Py_ssize_t i, j, k
        cdef double squares = 0.0
        cdef double largest = -INFINITY
        cdef double total = 0.0
        cdef double masses = 0.0
        self.em_logits[:, :], self.em_coef[:, :] = self.logits, self.coef
        self.em_errors[:], self.em_mass[:] = self.errors, self.mass
        memcpy(&self.coef[0, 0], &self.goal[0], start * sizeof(double))
        if self.logistic:
            for k in range(K):
                for i in range(q):
                    for j in range(q):
                        squares += (
                            self.curvature[k, i, j] * (self.coef[k, i] - self.em_coef[k, i])
                            * (self.coef[k, j] - self.em_coef[k, j]))
            self.add_expert_drift(squares)
        if self.scaled:
            for k in range(K):
                self.errors[k] = fmax(exp(self.goal[start + k]), self.floor)
            start += K
        if self.is_constant:
            for k in range(K):
                largest = fmax(largest, self.goal[start + k * p + p - 1])
                masses += self.mass[k]
            for k in range(K):
                self.mass[k] = exp(self.goal[start + k * p + p - 1] - largest)
                total += self.mass[k]
            for k in range(K):
                self.mass[k] *= masses / total
                self.logits[p - 1, k] = log(fmax(self.mass[k] / masses, 1e-300))
            return
        for k in range(K):
            for j in range(p):
                self.logits[j, k] = self.goal[start + k * p + j]
        squares = 0.0
        for k in range(K):
            for i in range(p):
                for j in range(p):
                    squares += (
                        0.5 * self.bound[k, i, j] * (self.logits[i, k] - self.em_logits[i, k])
                        * (self.logits[j, k] - self.em_logits[j, k]))
        self.drift += sqrt(fmax(squares, 0.0) / self.bound_mass)

    cdef void go_to_em(self, double drift, double expert_drift) noexcept nogil:
        """Take EM's parameters after all."""
        self.logits[:, :], self.coef[:, :] = self.em_logits, self.em_coef
        self.errors[:], self.mass[:] = self.em_errors, self.em_mass
        self.drift, self.expert_drift = drift, expert_drift
