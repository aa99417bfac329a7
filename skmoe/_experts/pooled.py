r"""Linear experts with partially pooled coefficients and error variances.

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
.. [3] D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992) 415-447.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, special

from .._kernels._pooled import learn_posterior, learn_precisions
from .._numerics.columns import quadratic_forms
from .._numerics.multinomial import definite_factors
from .._numerics.statistics import LeastSquaresStatistics
from .least_squares import LeastSquaresExperts
from .pooled_base import Pooled

SMALLEST_VARIANCE, LARGEST_VARIANCE = 1e-8, 1e4  # of tau and rho
MOMENTS = "mean", "var"
LONGEST_STEP = 30.0  # factor by which MacKay's step changes a variance at most
NU = 10.0 ** np.arange(-0.25, 4.01, 0.25)  # grid: from experts that err alone to alike
SHARED_NU = np.array([1e6])  # one error variance for all experts
SMALLEST_FLOOR = 1e-12  # of a variance, for a target that is constant
FEWEST_DF = 2.1  # of a predictive distribution, which then has a variance
ROUNDING = 1e-14  # of a matrix of sums, relative
SMALL_PENALTY = 1e-6  # of slopes that nothing else holds
FIRST_ROUNDS = 3  # of coefficients and variances for the responsibilities of a start


# Coefficients -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coefficients:
    """Posterior of the coefficients of one output."""

    mean: np.ndarray  # (K, q): means of b_k
    cov: np.ndarray  # (K, q, q): their covariances
    divergence: float  # KL(q(b) || p(b))
    # Largest value over q(b) of ``sum_k E[cross_k'b_k - 1/2 b_k'gram_k b_k] - divergence``.
    evidence: float
    # ``shared_mean``, ``shared_var``: (q,): means and variances of b_0.
    shared_mean: np.ndarray
    shared_var: np.ndarray
    # ``own_mean``, ``own_var``: (K, q): means and variances of d_k.
    own_mean: np.ndarray
    own_var: np.ndarray

    def repeated(self, n_experts):
        """These, of one line, as those of so many experts."""
        of_experts = {"mean", "cov", "own_mean", "own_var"}
        arrays = {name: np.repeat(vars(self)[name], n_experts, axis=0) for name in of_experts}
        return replace(self, **arrays)


def pooled_coefficients(gram, cross, tau, rho, levels=None, *, has_cov=True):
    """Exact posterior of b_0 and d from sums in units of the error variances.

    With T = diag(tau)^(1/2), G_k and h_k the sums and M_k = I + T G_k T:

        L_k = T M_k^-1 T                       covariance of d_k given b_0
        V = (diag(1/rho) + sum_k (G_k - G_k L_k G_k))^-1,   u = sum_k (h_k - G_k L_k h_k)
        E b_0 = V u,   E d_k = L_k (h_k - G_k V u)
        Cov b_k = L_k + (I - L_k G_k) V (I - L_k G_k)'
        evidence = 1/2 [sum_k h_k'L_k h_k + u'V u - sum_k log|M_k| - log|V^-1 diag(rho)|]

    ``gram`` (K, q, q) is ``sum_i lambda_k w_ik x_i x_i'``, ``cross`` (K, q) ``sum_i lambda_k w_ik
    x_i y_i``; ``tau`` and ``rho`` (q,) are the prior variances of d_k and b_0. tau = 0 everywhere
    is one line for all experts. ``levels`` (q,) are columns between which all of ``gram`` is zero,
    if these are most: they are solved for the others' coefficients, which costs next to nothing.
    Without ``has_cov`` covariances may be left out, and the divergence with them.
    """
    if levels is None:
        return _learned(gram, cross, tau, rho)[0]
    if len(cross) > 1 and not tau.any():
        one = pooled_coefficients(gram.sum(axis=0)[None], cross.sum(axis=0)[None], tau, rho, levels)
        return one.repeated(len(cross))
    root, grams = np.sqrt(tau if len(cross) > 1 else tau + rho), Grams(gram, levels)
    alone, half, log_det = grams.inverse(root)  # L_k = diag(alone) + half'half

    def own(right):  # L_k right_k
        return alone * right + np.einsum("krj,kr->kj", half, np.einsum("krj,kj->kr", half, right))

    own_cross = own(cross)
    evidence = 0.5 * np.vdot(cross, own_cross) - log_det
    own_var = alone + np.square(half).sum(axis=1)
    if len(cross) == 1:  # b_0 and d are parts of what is normal with the sum of their variances
        share = rho / np.maximum(tau + rho, np.finfo(float).tiny)
        mean, shared_mean, own_mean = own_cross, share * own_cross[0], (1 - share) * own_cross
        shared_var = rho * (1 - share) + share**2 * own_var[0]
        own_var, rest = tau * share + (1 - share) ** 2 * own_var, np.zeros((1, len(tau), 0))
    else:
        half_gram = half @ gram
        total = gram.sum(axis=0) - np.tensordot(half_gram, half_gram, ([0, 1], [0, 1]))
        total -= grams.squared(alone)
        right = (cross - np.einsum("kij,kj->ki", gram, own_cross)).sum(axis=0)
        factor = _factor(np.sqrt(rho)[:, None] * total * np.sqrt(rho))
        shared_half = _inverses(factor[None])[0] * np.sqrt(rho)  # V = shared_half'shared_half
        half_right = shared_half @ right
        evidence += 0.5 * half_right @ half_right - _half_log_det(factor)
        shared_mean, shared_var = shared_half.T @ half_right, np.square(shared_half).sum(axis=0)
        own_mean = own(cross - gram @ shared_mean)
        moved = half.transpose(0, 2, 1) @ (half_gram @ shared_half.T)  # L_k G_k shared_half'
        moved += grams.times(alone, shared_half.T)
        own_var += np.square(moved).sum(axis=2)
        mean, rest = shared_mean + own_mean, shared_half.T - moved
    cov, divergence = None, np.nan
    if has_cov:
        cov = half.transpose(0, 2, 1) @ half + rest @ rest.transpose(0, 2, 1)
        np.einsum("kii->ki", cov)[:] += alone
        fitted = np.einsum("kij,kj->ki", gram, mean)
        fit = np.vdot(cross, mean) - 0.5 * (np.vdot(mean, fitted) + np.vdot(gram, cov))
        divergence = fit - evidence
    return Coefficients(mean, cov, divergence, evidence, shared_mean, shared_var, own_mean, own_var)


def _learned(gram, cross, tau, rho, groups=None):
    """The same in compiled code, and tau and rho, with which the evidence is higher."""
    n_experts, q = cross.shape
    if n_experts > 1 and not tau.any():
        one = gram.sum(axis=0, keepdims=True), cross.sum(axis=0, keepdims=True)
        found, *variances = _learned(*one, tau, rho, groups)
        return found.repeated(n_experts), *variances
    gram, cross = np.ascontiguousarray(gram), np.ascontiguousarray(cross)
    mean, cov, tau, rho = np.empty((n_experts, q)), np.empty(gram.shape), tau.copy(), rho.copy()
    own, shared = np.empty((2, n_experts, q)), np.empty((2, q))
    evidence, divergence = learn_posterior(gram, cross, tau, rho, groups, mean, cov, own, shared)
    return Coefficients(mean, cov, divergence, evidence, *shared, *own), tau, rho


class Grams:
    """Gram matrices (K, q, q) that are zero between levels (q,)."""

    def __init__(self, gram, levels):
        self.gram, self.levels, self.others = gram, levels, ~levels
        self.of_levels = gram[:, levels][:, :, self.others]  # (K, s, r)
        self.mass = np.einsum("kii->ki", gram)[:, levels]

    def inverse(self, root):
        """``root (I + root G root)^-1 root = diag(alone) + half'half``; half its log-det."""
        levels, (n_grams, q, _) = self.levels, self.gram.shape
        of_levels, of_others = root[levels], root[self.others]
        share = 1 / (1 + of_levels**2 * self.mass)
        scaled = of_levels[:, None] * self.of_levels * of_others
        left = share[:, :, None] * scaled
        rest = self.gram[:, self.others][:, :, self.others] * np.outer(of_others, of_others)
        factor = _factor(rest - scaled.transpose(0, 2, 1) @ left)
        inverse, alone = _inverses(factor), np.zeros((n_grams, q))
        half = np.empty((n_grams, factor.shape[1], q))
        half[:, :, self.others] = inverse * of_others
        half[:, :, levels] = -(inverse @ left.transpose(0, 2, 1)) * of_levels
        alone[:, levels] = of_levels**2 * share
        return alone, half, _half_log_det(factor) - 0.5 * np.log(share).sum()

    def squared(self, alone):
        """Sum over G diag(alone) G, (q, q), where all but levels have zeros in ``alone``."""
        levels, others, alone = self.levels, self.others, alone[:, self.levels]
        squared, weighted = np.zeros(self.gram.shape[1:]), alone[:, :, None] * self.of_levels
        squared[np.ix_(others, others)] = np.tensordot(self.of_levels, weighted, ([0, 1], [0, 1]))
        of_levels = np.einsum("ks,ksr->sr", self.mass, weighted)
        squared[np.ix_(levels, others)], squared[np.ix_(others, levels)] = of_levels, of_levels.T
        squared[levels, levels] = (alone * self.mass**2).sum(axis=0)
        return squared

    def times(self, alone, right):
        """``diag(alone) G right`` for right (q, m), (K, q, m)."""
        product = np.zeros((*alone.shape, right.shape[1]))
        of_levels = self.mass[:, :, None] * right[self.levels] + self.of_levels @ right[self.others]
        product[:, self.levels] = alone[:, self.levels, None] * of_levels
        return product


def without_intercept(gram, cross):
    """Sums (..., q, q) and (..., q) for the slopes alone, where intercepts are at their best."""
    mass = np.maximum(gram[..., -1:, -1:], np.finfo(float).tiny)
    column = gram[..., :-1, -1:]
    gram_of_slopes = gram[..., :-1, :-1] - column * column.swapaxes(-1, -2) / mass
    return gram_of_slopes, cross[..., :-1] - (column * (cross[..., -1:, None] / mass))[..., 0]


def _factor(matrices):
    """Cholesky factors of ``I + matrices``, which rounding may have made a little indefinite."""
    n_columns = matrices.shape[-1]
    largest = np.einsum("...ii->...i", matrices).max(axis=-1, initial=0.0)[..., None, None]
    return definite_factors(matrices + (1 + ROUNDING * largest) * np.eye(n_columns))


def _inverses(factors):
    """Of Cholesky factors (K, q, q)."""
    if not factors.size:
        return factors
    return np.stack([linalg.lapack.dtrtri(factor, lower=True)[0] for factor in factors])


def _half_log_det(factors):
    """Half the log-determinants of the matrices with these Cholesky factors, summed."""
    return np.log(np.einsum("...ii->...i", factors)).sum()


def learn_variances(gram, cross, tau, rho, groups, ties=None, levels=None):
    """Variances of a higher evidence, and the posterior under them; the evidence never falls.

    One step of MacKay's [3]_, tau <- sum d^2 / gamma with gamma = size - sum Var d / tau the number
    of coefficients that the rows determine, and likewise rho from the slopes of b_0. Where it
    lowers the evidence, that of EM instead, tau <- mean E d^2, which cannot.

    ``groups`` are those of ``variance_groups``. Returns coefficients, tau and rho.
    """
    if ties is not None:
        found, *variances = learn_variances(
            *ties.joined(gram, cross), tau, rho, groups, levels=ties.padded(levels)
        )
        return ties.parted(found), *variances
    if levels is None:
        return _learned(gram, cross, tau, rho, groups)
    sums = gram[None], cross[None], tau[None], rho[None]
    (found,), *variances = learn_variances_of_all(*sums, groups, levels)
    return found, *(each[0] for each in variances)


def learn_variances_of_all(gram, cross, tau, rho, groups, levels=None):
    """The same of functions that share variances, with one axis more in front.

    With variances of its own, the function of one class would shrink to nothing: what is added to
    those of all classes alike makes no difference to the rows.
    """

    def solved(tau, rho, has_cov=True):
        of_functions = zip(gram, cross, tau, rho, strict=True)
        return [pooled_coefficients(*each, levels, has_cov=has_cov) for each in of_functions]

    now, q = solved(tau, rho, False), tau.shape[1]
    moments = [
        [np.stack([vars(each)[name + kind] for each in now]).reshape(-1, q) for kind in MOMENTS]
        for name in ("own_", "shared_")
    ]
    fast, slow = np.stack([tau, rho]), np.stack([tau, rho])
    for row, (mean, var) in enumerate(moments):
        for number in range(groups[row].max() + 1):
            group = groups[row] == number
            if not group.any():
                continue
            last, size = fast[row, 0, group][0], mean[:, group].size
            squares, spread = np.sum(mean[:, group] ** 2), var[:, group].sum()
            fast[row, :, group] = np.clip(
                squares / max(size - spread / last, 1e-10),
                max(SMALLEST_VARIANCE, last / LONGEST_STEP),
                min(LARGEST_VARIANCE, last * LONGEST_STEP),
            )
            slow[row, :, group] = np.clip(
                (squares + spread) / size, SMALLEST_VARIANCE, LARGEST_VARIANCE
            )
    for step in (fast, slow):
        new = solved(*step)
        if sum(each.evidence for each in new) >= sum(each.evidence for each in now):
            return new, *step
    return solved(tau, rho), tau, rho


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
    def log_scale_precision(self):
        """Prior precisions of -1/2 log lambda given s_0, by the curvature at the means, (K,)."""
        return 2 * self.nu * self.centre * self.mean

    @property
    def divergence(self):
        """KL(q(lambda) || p(lambda))."""
        shape, rate, a, b = self.shape, self.rate, 0.5 * self.nu, 0.5 * self.nu * self.centre
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
    mass, squares = np.ascontiguousarray(mass), np.ascontiguousarray(squares)
    return Precisions(*found, *learn_precisions(mass, squares, nu, found))


# Experts in training ------------------------------------------------------------------------


class PooledExperts(Pooled, LeastSquaresExperts):
    """K linear experts with partially pooled coefficients and error variances.

    Parameters
    ----------
    X, y, weight
        As ``LinearExperts`` takes them.
    floor : float or ndarray of shape (n_outputs,)
        Standard deviation of what is not known of y, such as its rounding.
    shared_scale : bool
        Whether all experts have one error variance.
    units : Units, default=None
        Of columns and target, where they are not those of these rows.
    block : ndarray of int of shape (n_features,), default=None
        Of which column of strings they are levels; see ``StandardColumns``.

    Attributes
    ----------
    posteriors : list of (Coefficients, Precisions)
        Of each output.
    tau, rho : ndarray of shape (n_outputs, q)
        Prior variances.
    sums : LeastSquaresStatistics
        Of the last fit.
    """

    def __init__(self, X, y, weight, *, floor, shared_scale, units=None, block=None):
        super().__init__(X, y, weight, 1, units=units)
        self.stand_on(X, weight, units, block)
        self._targets = super().targets
        self.floor = np.maximum((floor / self.y_scale) ** 2, SMALLEST_FLOOR)
        self.nu = SHARED_NU if shared_scale else NU

    targets = property(lambda self: self._targets)

    def without_rows(self):
        twin = super().without_rows()
        twin._targets = twin.predictions = None
        return twin

    def _take_block(self):
        self._targets, self.predictions = super().targets, None

    def begin(self, resp):
        n_outputs = self.y_scale.size
        self.tau, self.rho = self._first_variances(n_outputs)
        half = np.full(self.n_experts, 0.5 * self.weight.sum() / self.n_experts)
        self.posteriors = [(None, Precisions(half, 0.5 * half, 1.0, 0.5))] * n_outputs
        self._learn(self.sum_rows(resp), FIRST_ROUNDS)

    def fit(self, resp, working=None, exposure=None, target=None):
        """All but the responsibilities at their best, given the rest; see ``Experts``."""
        self._learn(self.sum_rows(resp))

    def sum_rows(self, resp):
        """Sums over the rows: LeastSquaresStatistics; see ``Pooled``."""
        weights = resp * self.weight[:, None]
        return LeastSquaresStatistics.from_rows(self.sparse_design, self.targets, weights)

    def learn_sums(self, sums, size=1.0, learns=True):
        """What ``fit`` does, from sums: a whole step, which never lowers the bound."""
        self._learn(sums)

    def _learn(self, sums, n_rounds=1):
        mass = sums.mass
        tau, rho, posteriors = self.tau.copy(), self.rho.copy(), []
        for m, (_, precisions) in enumerate(self.posteriors):
            of_output = LeastSquaresStatistics(
                sums.gram, sums.cross[:, :, [m]], sums.squares[:, [m]]
            )
            for _ in range(n_rounds):
                coefficients, tau[m], rho[m] = learn_variances(
                    precisions.mean[:, None, None] * sums.gram,
                    precisions.mean[:, None] * of_output.cross[:, :, 0],
                    tau[m],
                    rho[m],
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
            squares += quadratic_forms(self.design, coefficients.cov, self.levels) + self.floor[m]
            total += precisions.mean * squares
        return total

    def expected_log_density(self):
        """Expected log-density of each row of the standardised target, (n, K)."""
        return self.log_density_if_wider(1.0)

    has_scales = can_be_wider = True
    # Large slopes of columns that are nearly dependent, and small errors, are another optimum.
    slope_variances = (1.0, 100.0)

    def log_density_if_wider(self, factor):
        """``expected_log_density`` if errors were so many times as large."""
        constant = sum(p.log_mean - np.log(2 * np.pi * factor**2) for _, p in self.posteriors)
        return 0.5 * (constant - self.squared_errors() / factor**2)

    def slope_sums(self, resp):
        """Sums for the slopes in units of the error variances; see ``Pooled``."""
        sums = self.sum_rows(resp)
        precision = np.stack([p.mean for _, p in self.posteriors])
        cross = precision[:, :, None] * sums.cross.transpose(2, 0, 1)
        return without_intercept(precision[:, :, None, None] * sums.gram, cross)

    def loss_as_one(self, k, other):
        """Log-likelihood that two experts lose with one line and variance, at least squares.

        Of the sums of the last fit, at its responsibilities.
        """
        sums = self.sums
        return float(
            self._profiled(sums[[k]])
            + self._profiled(sums[[other]])
            - self._profiled(sums[[k]] + sums[[other]])
        )

    def _profiled(self, sums):
        """Log-likelihood of one expert with these sums at its optimum, but for constants."""
        mass = max(sums.gram[0, -1, -1], np.finfo(float).tiny)
        coef = sums.solve(np.full(sums.gram.shape[1] - 1, SMALL_PENALTY))
        variance = sums.residual_squares(coef)[0] / mass + self.floor
        return -0.5 * mass * np.log(variance).sum()

    def degrees_of_freedom(self, sums):
        """Of the predictive distributions, (n_experts, n_outputs), from sums over the rows.

        ``2 shape_k``, which is what lambda_k is known to, but at most what all rows together leave
        for the scale: s_0 is learned from them, and a point.
        """
        df = []
        for coefficients, precisions in self.posteriors:
            used = np.einsum("k,kij,kij->", precisions.mean, sums.gram, coefficients.cov)
            left = sums.mass.sum() - used
            df.append(np.maximum(np.minimum(2 * precisions.shape, left), FEWEST_DF))
        return np.stack(df, axis=1)
