r"""What pooled experts have in common; and lines, whose error variances are pooled, too.

In standardised columns with the intercept last, x, and a standardised target y, for expert k

    y_i | z_i = k  ~  N(x_i' b_k, 1 / lambda_k)
    b_k = b_0 + d_k,   b_0 ~ N(0, diag(rho)),   d_k ~ N(0, diag(tau))
    lambda_k ~ Gamma(nu / 2, nu s_0 / 2)    (shape, rate)

and alike, but on its own, for each output [1]_. rho and tau hold one variance for the slopes, one
for the levels of each column of many strings, so that these are random effects, and one for the
intercept; that of b_0's intercept is as good as flat. tau, rho, nu and s_0 maximise the
evidence, and b and lambda have posteriors q(b_0, d) and q(lambda), which are normal and Gamma [2]_.
All that they need of the rows are sums.

References
----------
.. [1] A. Gelman and J. Hill, "Data Analysis Using Regression and Multilevel/Hierarchical Models",
   Cambridge University Press (2007), chapter 13.
.. [2] C. M. Bishop, "Pattern Recognition and Machine Learning", Springer (2006), chapter 10.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from .._kernels._pooled import learn_precisions
from .._kernels._pooled_run import LinesRun
from .._numerics.columns import (
    StandardColumns,
    groups_of_slopes,
    parted,
    quadratic_forms,
    sparse_rows,
)
from .._numerics.statistics import KERNEL_COLUMNS, LeastSquaresStatistics, solve_symmetric
from .base import Ties
from .least_squares import LeastSquaresExperts
from .pooled_posteriors import Coefficients, learn_variances

INTERCEPT_VARIANCE = 100.0  # of b_0, on a standardised target: as good as flat
FEW_OTHERS = 6  # columns for one that is no level, from which levels are solved apart
OFFSET_VARIANCE = 0.1  # of offsets, to begin with


class Pooled(ABC):
    """Linear experts with posteriors, a mixin for the ``LinearExperts`` of their kind.

    A ``PooledProblem`` asks for what is here, for ``fit``, ``state`` and ``restore``, and for
    nothing else; ``fit`` must not lower the sum of ``expected_log_density`` over rows and experts,
    weighted by responsibilities and weights of the rows, less ``divergence``.

    Attributes
    ----------
    columns : StandardColumns
        What coefficients belong to.
    standard : ndarray of shape (n_samples, n_features + 1)
        The design before it is turned to its rank.
    y_scale : ndarray of shape (n_outputs,)
        Unit of the target in ``expected_log_density``; one for classes.
    tau, rho : ndarray of shape (n_functions, q + n_offsets)
        Prior variances, of deviations and of what is common; those of offsets within regimes last.
    has_scales : bool
        Whether experts of one function can differ.
    can_be_wider, can_be_tied : bool
        Whether errors are Gaussian, with scales, and whether ``tied`` is for these.
    ties : Ties or None
        Which experts are of one regime; None is each of its own.
    slope_variances : tuple of float
        Prior variances of slopes that one expert is started from; others from the first.
    is_one_expert : bool
        Whether the mixture is what one expert without a gate can be too.
    has_run : bool
        Whether rounds are compiled: ``run_with(gate, resp, begins)`` makes a ``PooledRun``, of
        which ``take_run`` takes what it has found.
    first_rounds : int
        M-steps for the responsibilities of a start.
    """

    y_scale = np.ones(1)
    is_one_expert = has_scales = can_be_wider = False
    averages_variances = False  # whether predictions of one expert are over its and 1
    can_be_tied = True
    ties = None
    slope_variances = (1.0,)
    has_run = False

    def stand_on(self, X, weight, block=None):
        """Take the rows, in columns that the prior sees alike, but for levels of strings."""
        self.columns = StandardColumns.of(X, weight, block)
        self.mean = self.columns.mean  # that ``raw`` takes
        self.scale = self.columns.scale
        levels = self.levels_apart = self.columns.levels  # a row has one at most
        if levels is not None and FEW_OTHERS * np.count_nonzero(~levels) > len(levels):
            self.levels_apart = None  # it takes no longer to solve all columns together
        self._design = self.standard = self.columns.design(X)
        if self.columns.basis is not None:
            self.standard = self.columns.whole.design(X)
        # For sums over rows.
        self.sparse_design = sparse_rows(self._design, levels)

    design = property(lambda self: self._design)
    level_of = property(lambda self: self.columns.level_of)

    @property
    def own(self):
        """Columns of the design in which regimes differ, (q,)."""
        if self.ties is None:
            n_regimes = self.n_experts
        else:
            n_regimes = self.ties.n_regimes
        return np.full(self.columns.n_columns, n_regimes > 1)

    def first_variances(self, n_functions):
        """tau and rho, (n_functions, q + n_offsets), to begin with."""
        if self.ties is None:
            n_offsets = 0
        else:
            n_offsets = self.ties.n_offsets
        learned = np.append(self.own, np.full(n_offsets, True))  # of columns that differ, too
        self._groups = variance_groups(learned, self.columns.n_columns, self.columns.effects)
        tau = self.own.astype(float)
        rho = np.append(np.full(len(tau) - 1, self.slope_variances[0]), INTERCEPT_VARIANCE)
        tau = np.append(tau, np.full(n_offsets, OFFSET_VARIANCE))
        rho = np.append(rho, np.zeros(n_offsets))
        return np.tile(tau, (n_functions, 1)), np.tile(rho, (n_functions, 1))

    def _set_penalty(self):
        self.penalty = 0.0  # priors are part of the evidence

    def resized(self, n_experts):
        """As many untrained experts on the same rows."""
        twin = copy.copy(self)
        twin.n_experts = n_experts
        twin.n_fits = 0
        return twin

    def tied(self, regime, has_offsets):
        """Untrained experts on the same rows, of which some are of one regime; see ``Ties``."""
        twin = self.resized(len(regime))
        twin.ties = Ties(regime, has_offsets, self.columns.n_columns)
        return twin

    @abstractmethod
    def slope_sums(self, resp):
        """Gram (C, K, q - 1, q - 1) and cross (C, K, q - 1) of the slopes of C functions."""

    @abstractmethod
    def begin(self, resp):
        """Forget everything, and learn from the responsibilities (n, K) of a start."""

    @property
    @abstractmethod
    def divergence(self):
        """KL divergence of the posterior of the experts from the prior."""

    @abstractmethod
    def expected_log_density(self):
        """Expected log-density of each row, or a bound of it, (n, K)."""

    def raw(self, coef):
        """Coefficients (p, m) and intercepts (m,) in the units of X, from those of the design."""
        return super().raw(self.columns.standard(coef))


def variance_groups(learned, n_columns, block=None):
    """Which variances are learned, and as one: numbers (2, q + n_offsets) for tau and rho, or -1.

    ``learned`` (q + n_offsets,) are those of tau; ``block`` are the ``effects`` of the columns.
    """
    place = np.arange(len(learned)) - (n_columns - 1)  # from the intercept
    slopes = groups_of_slopes(place < 0, block)
    groups = np.full((2, len(learned)), -1, dtype=np.int32)
    for row, masks in zip(groups, ([*slopes, place == 0, place > 0], slopes), strict=True):
        for number, mask in enumerate(masks):
            row[mask] = number
    groups[0, ~learned] = -1
    return groups


# Lines of least squares ---------------------------------------------------------------------------

# Smallest scales in that of the bulk; of these, one that errors made; what may be rounding, of the
# largest target.
FLOORS = 1e3
FAR = 100.0
ROUNDED = 1e-9
NU = 10.0 ** np.arange(-0.25, 4.01, 0.25)  # grid: from experts that err alone to alike
SHARED_NU = np.array([1e6])  # one error variance for all experts
SMALLEST_FLOOR = 1e-12  # of a variance, for a target that is constant
FEWEST_DF = 2.1  # of a predictive distribution, which then has a variance
SMALL_PENALTY = 1e-6  # of slopes that nothing else holds
ROUNDS_OF_ONE = 8  # the same in a step of one expert


def without_intercept(gram, cross):
    """Sums (..., q, q) and (..., q) for the slopes alone, where intercepts are at their best."""
    mass = np.maximum(gram[..., -1:, -1:], np.finfo(float).tiny)
    column = gram[..., :-1, -1:]
    gram_of_slopes = gram[..., :-1, :-1] - column * column.swapaxes(-1, -2) / mass
    return gram_of_slopes, cross[..., :-1] - (column * (cross[..., -1:, None] / mass))[..., 0]


def loss_of_quadratics(gram, cross):
    """What the largest values of ``cross'b - 1/2 b'gram b`` lose if those of axis 1 have one b."""
    alone = _optimum(gram, cross)
    together = _optimum(gram.sum(axis=1), cross.sum(axis=1))
    return float(alone - together)


def _optimum(gram, cross):
    """Largest values of ``cross'b - 1/2 b'gram b`` for the last axes, summed."""
    penalty = SMALL_PENALTY * np.eye(gram.shape[-1])
    grams = gram.reshape(-1, *penalty.shape)
    rights = cross.reshape(-1, len(penalty), 1)
    return 0.5 * np.vdot(rights, solve_symmetric(grams + penalty, rights))


# Error variances ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Precisions:
    """Posterior Gamma(shape, rate) of the precisions of one output."""

    # ``shape``, ``rate``: (K,): of each expert.
    shape: np.ndarray
    rate: np.ndarray
    # ``nu``, ``centre``: of the prior.
    nu: float
    centre: float

    @property
    def mean(self):
        """Means of lambda, (K,)."""
        return self.shape / self.rate

    @property
    def log_mean(self):
        """Means of log lambda, (K,)."""
        return special.digamma(self.shape) - np.log(self.rate)

    @property
    def divergence(self):
        """KL(q(lambda) || p(lambda))."""
        shape = self.shape
        rate = self.rate
        a = 0.5 * self.nu
        b = 0.5 * self.nu * self.centre
        divergence = shape * np.log(rate) - special.gammaln(shape) - shape + b * shape / rate
        divergence += (shape - a) * self.log_mean - a * np.log(b) + special.gammaln(a)
        return float(divergence.sum())


def pooled_precisions(mass, squares, nu):
    """Posterior of the precisions with the nu (of a grid) and s_0 that maximise the bound together.

    The posterior has shape (nu + mass_k) / 2 and rate (nu s_0 + squares_k) / 2. For each nu, s_0
    solves ``K nu / 2 = sum_k shape_k nu s_0 / (nu s_0 + squares_k)``, by Newton in log s_0.

    ``mass`` (K,) is the weight of the rows, ``squares`` (K,) the expected weighted squares of their
    residuals, positive; ``nu`` (n_grid,) the grid.
    """
    found = np.empty((2, len(mass)))
    mass = np.ascontiguousarray(mass)
    squares = np.ascontiguousarray(squares)
    return Precisions(*found, *learn_precisions(mass, squares, nu, found))


# Experts in training ------------------------------------------------------------------------


class PooledExperts(Pooled, LeastSquaresExperts):
    """K linear experts with partially pooled coefficients and error variances.

    Parameters
    ----------
    X, y, weight
        As ``LinearExperts`` takes them.
    floor : float or ndarray of shape (n_outputs,)
        Standard deviation of the uncertainty of y, such as its rounding.
    shared_scale : bool
        Whether all experts have one error variance.
    block : ndarray of int of shape (n_features,), default=None
        Number of the column of strings that each is a level of; see ``StandardColumns``.

    Attributes
    ----------
    posteriors : list of (Coefficients, Precisions)
        Posteriors for each output.
    tau, rho : ndarray of shape (n_outputs, q)
        Prior variances.
    sums : LeastSquaresStatistics
        Statistics of the last fit.
    """

    def __init__(self, X, y, weight, *, floor, shared_scale, block=None):
        super().__init__(X, y, weight, 1)
        # Priors are in units of the target, which are those of the bulk where errors are huge.
        columns = y.reshape(len(y), -1)
        bulk = FLOORS * np.broadcast_to(floor, self.y_scale.shape)
        far = (self.y_scale > FAR * bulk) & (bulk > ROUNDED * np.abs(columns).max(axis=0))
        if far.any():
            middle = np.quantile(columns, 0.5, axis=0, weights=weight, method="inverted_cdf")
            self.y_mean, self.y_scale = np.where(far, [middle, bulk], [self.y_mean, self.y_scale])
        self.stand_on(X, weight, block)
        self._targets = super().targets
        self._parts = parted(self.design, self.level_of, True)
        self.floor = np.maximum((floor / self.y_scale) ** 2, SMALLEST_FLOOR)
        self.nu = SHARED_NU if shared_scale else NU
        self._of_all = []

    targets = property(lambda self: self._targets)
    has_run = property(lambda self: self.y_scale.size == 1)
    first_rounds = 3

    def begin(self, resp):
        self._begin_anew()
        self._learn(self.sum_rows(resp), self.first_rounds)

    def _begin_anew(self):
        n_outputs = self.y_scale.size
        self.tau, self.rho = self.first_variances(n_outputs)
        half = np.full(self.n_experts, 0.5 * self.weight.sum() / self.n_experts)
        self.posteriors = [(None, Precisions(half, 0.5 * half, 1.0, 0.5))] * n_outputs

    def fit(self, resp, working=None, exposure=None, target=None):
        """All but the responsibilities at their best, given the rest; see ``Experts``."""
        # The rows of one expert are the same ones whatever it learns.
        self._learn(self.sum_rows(resp), ROUNDS_OF_ONE if self.n_experts == 1 else 1)

    def sum_rows(self, resp):
        """Sums over the rows: LeastSquaresStatistics; see ``Pooled``."""
        given = (self.sparse_design, self.targets)
        weights = resp * self.weight[:, None]
        is_wide = self.design.shape[1] > KERNEL_COLUMNS and self.design is self.sparse_design
        if not (is_wide or self.n_experts == 1):
            return LeastSquaresStatistics.from_rows(*given, weights)
        if not self._of_all:  # those of one expert, which has all rows, are kept for all its copies
            self._of_all += [LeastSquaresStatistics.from_rows(*given, self.weight[:, None])]
        if self.n_experts == 1:
            return self._of_all[0]
        # The largest expert has what the others leave.
        order = np.argsort(weights.sum(axis=0), kind="stable")
        small = LeastSquaresStatistics.from_rows(*given, weights[:, order[:-1]])
        fields = zip(vars(self._of_all[0]).values(), vars(small).values(), strict=True)
        left = (whole - part.sum(axis=0, keepdims=True) for whole, part in fields)
        sums = LeastSquaresStatistics.joined([small, LeastSquaresStatistics(*left)])
        return sums[np.argsort(order)]

    def _learn(self, sums, n_rounds=1):
        mass = sums.mass
        tau = self.tau.copy()
        rho = self.rho.copy()
        posteriors = []
        for m, (_, precisions) in enumerate(self.posteriors):
            of_output = replace(sums, cross=sums.cross[:, :, [m]], squares=sums.squares[:, [m]])
            for _ in range(n_rounds):
                unit = precisions.mean[None, :, None]
                (coefficients,), tau[[m]], rho[[m]] = learn_variances(
                    unit[..., None] * sums.gram,
                    unit * of_output.cross[None, :, :, 0],
                    tau[[m]],
                    rho[[m]],
                    self._groups,
                    self.ties,
                    self.levels_apart,
                )
                squares = of_output.residual_squares(coefficients.mean[:, :, None])[:, 0]
                squares += np.einsum("kij,kij->k", sums.gram, coefficients.cov)
                precisions = pooled_precisions(mass, squares + self.floor[m] * mass, self.nu)
            posteriors.append((coefficients, precisions))
        self.n_fits += self.n_experts
        self.sums = sums
        self.restore((posteriors, tau, rho))

    def run_with(self, gate, resp, begins):
        if begins:
            self._begin_anew()
        precisions = self.posteriors[0][1]
        n_rounds = ROUNDS_OF_ONE if self.n_experts == 1 else 1
        return LinesRun(
            (self.design, self.targets[:, 0], self.weight),
            gate.given,
            self._groups,
            resp,
            self.tau[0],
            self.rho[0],
            n_rounds,
            nu=self.nu,
            floor=self.floor[0],
            precisions=np.array([precisions.shape, precisions.rate]),
            ties=self.ties,
        )

    def take_run(self, run):
        posterior = Coefficients(*run.of_coefficients()), Precisions(*run.of_precisions())
        gram, cross = run.of_sums()
        self.sums = LeastSquaresStatistics(gram, cross[:, :, None], run.of_squares()[:, None])
        self.restore(([posterior], *run.of_variances()))

    def state(self):
        return self.posteriors, self.tau, self.rho

    def restore(self, state):
        self.posteriors, self.tau, self.rho = state
        self.set_coef(np.stack([c.mean for c, _ in self.posteriors], axis=2))

    @property
    def divergence(self):
        return sum(c.divergence + p.divergence for c, p in self.posteriors)

    def squared_errors(self):
        """Expected squared errors in units of the error variances, summed over outputs, (n, K)."""
        total = np.zeros((len(self.design), self.n_experts))
        for m, (coefficients, precisions) in enumerate(self.posteriors):
            squares = (self.targets[:, [m]] - self.design @ coefficients.mean.T) ** 2
            forms = quadratic_forms(self.design, coefficients.cov, self.level_of, self._parts)
            squares += forms + self.floor[m]
            total += precisions.mean * squares
        return total

    def expected_log_density(self):
        """Expected log-density of each row of the standardised target, (n, K)."""
        constant = sum(p.log_mean - np.log(2 * np.pi) for _, p in self.posteriors)
        return 0.5 * (constant - self.squared_errors())

    has_scales = can_be_wider = True
    # Large slopes of columns that are nearly dependent, and small errors, are another optimum.
    slope_variances = (1.0, 100.0)

    def slope_sums(self, resp):
        """Sums for the slopes in units of the error variances; see ``Pooled``."""
        sums = self.sum_rows(resp)
        precision = np.stack([p.mean for _, p in self.posteriors])
        cross = precision[:, :, None] * sums.cross.transpose(2, 0, 1)
        return without_intercept(precision[:, :, None, None] * sums.gram, cross)

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one line and variance, at least squares.

        From the sums of the last fit, at its responsibilities.
        """
        own = [each[[k, other]] for each in (self.sums.gram, self.sums.cross, self.sums.squares)]
        sums = LeastSquaresStatistics(
            *(np.append(each, [each.sum(axis=0)], axis=0) for each in own)
        )
        mass = np.maximum(sums.mass, np.finfo(float).tiny)
        coef = sums.solve(np.full(sums.gram.shape[1] - 1, SMALL_PENALTY))
        # Log-likelihoods at the optimum, but for constants, of each alone and of both as one.
        variance = sums.residual_squares(coef) / mass[:, None] + self.floor
        *alone, as_one = -0.5 * mass * np.log(variance).sum(axis=1)
        return float(sum(alone) - as_one)

    def degrees_of_freedom(self, sums):
        """Those of the predictive distributions, (n_experts, n_outputs), from sums over rows.

        ``2 shape_k``, which is what lambda_k is known to, but at most what all rows together leave
        for the scale: s_0 is learned from them, and a point.
        """
        df = []
        for coefficients, precisions in self.posteriors:
            used = np.einsum("k,kij,kij->", precisions.mean, sums.gram, coefficients.cov)
            left = sums.mass.sum() - used
            df.append(np.maximum(np.minimum(2 * precisions.shape, left), FEWEST_DF))
        return np.stack(df, axis=1)
