"""Posteriors of pooled coefficients, and their prior variances; ``pooled`` has the model.

References
----------
.. [1] D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992) 415-447.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .._kernels._pooled import learn_posterior, variance_steps
from .._numerics.multinomial import definite_factors
from .._numerics.statistics import each_times

ROUNDING = 1e-14  # of a matrix of sums, relative
MOMENTS = "mean", "var"


@dataclass(frozen=True)
class Coefficients:
    """Posterior of the coefficients of one output."""

    mean: np.ndarray  # (K, q): means of b_k
    cov: np.ndarray  # (K, q, q): their covariances; zeros between levels that are solved apart
    divergence: float  # KL(q(b) || p(b))
    # Largest value over q(b) of ``sum_k E[cross_k'b_k - 1/2 b_k'gram_k b_k] - divergence``.
    evidence: float
    # ``shared_mean``, ``shared_var``: (q,): means and variances of b_0.
    shared_mean: np.ndarray
    shared_var: np.ndarray
    # ``own_mean``, ``own_var``: (K, q): means and variances of d_k.
    own_mean: np.ndarray
    own_var: np.ndarray
    # What ``pooled_coefficients`` was given where levels were solved apart, or None.
    given: tuple | None = None


def pooled_coefficients(gram, cross, tau, rho, levels=None):
    """Exact posterior of b_0 and d from sums in units of the error variances.

    With T = diag(tau)^(1/2), G_k and h_k the sums and M_k = I + T G_k T:

        L_k = T M_k^-1 T                       covariance of d_k given b_0
        V = (diag(1/rho) + sum_k (G_k - G_k L_k G_k))^-1,   u = sum_k (h_k - G_k L_k h_k)
        E b_0 = V u,   E d_k = L_k (h_k - G_k V u)
        Cov b_k = L_k + (I - L_k G_k) V (I - L_k G_k)'
        evidence = 1/2 [sum_k h_k'L_k h_k + u'V u - sum_k log|M_k| - log|V^-1 diag(rho)|]

    ``gram`` (K, q, q) is ``sum_i lambda_k w_ik x_i x_i'``, ``cross`` (K, q) ``sum_i lambda_k w_ik
    x_i y_i``; ``tau`` and ``rho`` (q,) are the prior variances of d_k and b_0; of several experts
    tau is positive. ``levels`` (q,) are columns between which all of ``gram`` is zero, if these
    are most: they are solved for the others' coefficients, which costs next to nothing.
    """
    given = gram, cross, tau, rho
    return _learned(*given)[0] if levels is None else _solved_apart(given, levels)


def with_whole_cov(coefficients, ties=None):
    """The same Coefficients with covariances between levels, too."""
    if coefficients.given is None:
        return coefficients
    whole = pooled_coefficients(*coefficients.given)
    return whole if ties is None else ties.parted(whole)


def _learned(gram, cross, tau, rho, groups=None):
    """The same in compiled code, and tau and rho, with which the evidence is higher."""
    n_experts, q = cross.shape
    gram, cross = np.ascontiguousarray(gram), np.ascontiguousarray(cross)
    mean, cov, tau, rho = np.empty((n_experts, q)), np.empty(gram.shape), tau.copy(), rho.copy()
    own, shared = np.empty((2, n_experts, q)), np.empty((2, q))
    evidence, divergence = learn_posterior(gram, cross, tau, rho, groups, mean, cov, own, shared)
    return Coefficients(mean, cov, divergence, evidence, *shared, *own), tau, rho


def _solved_apart(given, levels):
    """The same where levels are solved for the others, without covariances between levels."""
    # L_k = diag(alone) + half'half and V = diag(apart) + shared'shared: r and (K + 1) r rows.
    order = np.concatenate([np.flatnonzero(levels), np.flatnonzero(~levels)])
    (n_experts, q), n = given[1].shape, np.count_nonzero(levels)
    cross, tau, rho = given[1][:, order], given[2][order], given[3][order]
    grams = Grams(given[0], order[:n], order[n:])
    alone, half, log_det = grams.inverse(np.sqrt(tau if n_experts > 1 else tau + rho))

    def own(right):  # L_k right_k
        return alone * right + each_times(half.transpose(0, 2, 1), each_times(half, right))

    own_cross = own(cross)
    evidence = 0.5 * np.vdot(cross, own_cross) - log_det
    var = own_var = alone + np.square(half).sum(axis=1)
    of_others = half[:, :, n:].transpose(0, 2, 1)
    rows = of_others @ half  # of the covariances, those of others
    if n_experts == 1:  # b_0 and d are parts of what is normal with the sum of their variances
        share = rho / np.maximum(tau + rho, np.finfo(float).tiny)
        mean, shared_mean, own_mean = own_cross, share * own_cross[0], (1 - share) * own_cross
        shared_var = rho * (1 - share) + share**2 * var[0]
        own_var = tau * share + (1 - share) ** 2 * var
    else:
        half_gram = grams.times(half.transpose(0, 2, 1)).transpose(0, 2, 1)
        apart, shared, log_det = grams.shared(alone, half_gram, np.sqrt(rho))
        right = (cross - grams.times(own_cross[:, :, None])[:, :, 0]).sum(axis=0)
        half_right = shared @ right
        shared_mean = apart * right + half_right @ shared
        evidence += 0.5 * np.vdot(right, shared_mean) - log_det
        shared_var = apart + np.square(shared).sum(axis=0)
        own_mean = own(cross - grams.times(shared_mean[:, None])[:, :, 0])
        mean = shared_mean + own_mean
        # L_k G_k shared', and what diag(apart) adds to the squares of L_k G_k V^(1/2).
        moved = half.transpose(0, 2, 1) @ (half_gram @ shared.T)
        moved += alone[:, :, None] * grams.times(shared.T)
        of_levels = half_gram[:, :, :n] * apart[:n]
        bent = (of_levels @ half_gram[:, :, :n].transpose(0, 2, 1)) @ half
        curved, along = (bent * half).sum(axis=1), (half[:, :, :n] * of_levels).sum(axis=1)
        moves, stays = alone[:, :n] * grams.mass, 1 - alone[:, :n] * grams.mass
        own_var = var + curved + np.square(moved).sum(axis=2)
        own_var[:, :n] += moves**2 * apart[:n] + 2 * moves * along
        rest = shared.T - moved
        var = var + curved + np.square(rest).sum(axis=2)
        var[:, :n] += stays**2 * apart[:n] - 2 * stays * along
        rows += of_others @ bent + rest[:, n:] @ rest.transpose(0, 2, 1)
        rows[:, :, :n] -= of_others @ (of_levels * stays[:, None])
    cov, back = np.zeros((n_experts, q, q)), np.argsort(order)
    cov[:, order[:n], order[:n]] = var[:, :n]
    cov[:, order[n:]] = rows[:, :, back]
    cov[:, :, order[n:]] = cov[:, order[n:]].transpose(0, 2, 1)
    fit = np.vdot(cross, mean) - 0.5 * np.vdot(mean, grams.times(mean[:, :, None])[:, :, 0])
    divergence = fit - 0.5 * np.vdot(given[0], cov) - evidence
    moments = (each.take(back, axis=-1) for each in (shared_mean, shared_var, own_mean, own_var))
    return Coefficients(mean[:, back], cov, divergence, evidence, *moments, given)


class Grams:
    """Gram matrices (K, q, q) that are zero between levels, which come first here."""

    def __init__(self, gram, levels, others):
        self.mass = gram[:, levels, levels]  # (K, s)
        self.of_levels = gram[:, levels][:, :, others]  # (K, s, r)
        self.of_others = gram[:, others][:, :, others]

    def times(self, right):
        """``G_k right_k``, (K, q, m)."""
        n, edge = self.mass.shape[1], self.of_levels
        top, bottom = right[..., :n, :], right[..., n:, :]
        of_levels = self.mass[:, :, None] * top + edge @ bottom
        of_others = edge.transpose(0, 2, 1) @ top + self.of_others @ bottom
        return np.concatenate([of_levels, of_others], axis=1)

    def inverse(self, root):
        """``root (I + root G root)^-1 root = diag(alone) + half'half``; half its log-det."""
        n = self.mass.shape[1]
        share = 1 / (1 + root[:n] ** 2 * self.mass)
        scaled = root[:n, None] * self.of_levels * root[n:]
        left = share[:, :, None] * scaled
        rest = self.of_others * np.outer(root[n:], root[n:])
        factor = _factor(rest - scaled.transpose(0, 2, 1) @ left)
        inverse = _inverses(factor)
        half = np.dstack([-inverse @ left.transpose(0, 2, 1), inverse]) * root
        alone = np.hstack([root[:n] ** 2 * share, np.zeros(factor.shape[:2])])
        return alone, half, _half_log_det(factor) - 0.5 * np.log(share).sum()

    def shared(self, alone, half_gram, root):
        """V = diag(apart) + shared'shared, the inverse where G_k - G_k L_k G_k are summed."""
        n, w = self.mass.shape[1], half_gram.reshape(-1, half_gram.shape[2])
        left = 1 - alone[:, :n] * self.mass
        mass = 1 + root[:n] ** 2 * (left * self.mass).sum(axis=0)
        scaled = w[:, :n] * root[:n]
        # Between levels the sum is diagonal but for ``scaled'scaled``.
        within = _factor(-(scaled / mass) @ scaled.T)
        between = _inverses(within[None])[0] @ (scaled / mass)
        edge = (left[:, :, None] * self.of_levels).sum(axis=0).T - w[:, n:].T @ w[:, :n]
        edge = root[n:, None] * edge * root[:n]
        inner = self.of_others.sum(axis=0) - w[:, n:].T @ w[:, n:]
        weighted = alone[:, :n, None] * self.of_levels
        inner -= np.tensordot(self.of_levels, weighted, ([0, 1], [0, 1]))
        solved = -edge / mass - (edge @ between.T) @ between
        factor = _factor(root[n:, None] * inner * root[n:] + solved @ edge.T)
        inverse = _inverses(factor[None])[0]
        shared = np.block(
            [[between, np.zeros((len(between), len(inner)))], [inverse @ solved, inverse]]
        )
        apart = np.append(root[:n] ** 2 / mass, np.zeros(len(inner)))
        log_det = 0.5 * np.log(mass).sum() + _half_log_det(within) + _half_log_det(factor)
        return apart, shared * root, log_det


def _factor(matrices):
    """Cholesky factors of ``I + matrices``, which rounding may have made a little indefinite."""
    n_columns = matrices.shape[-1]
    largest = np.einsum("...ii->...i", matrices).max(axis=-1, initial=0.0)[..., None, None]
    return definite_factors(matrices + (1 + ROUNDING * largest) * np.eye(n_columns))


def _inverses(factors):
    """Inverses of Cholesky factors (K, q, q)."""
    if not factors.size:
        return factors
    return np.stack([linalg.lapack.dtrtri(factor, lower=True)[0] for factor in factors])


def _half_log_det(factors):
    """Half the log-determinants of the matrices with these Cholesky factors, summed."""
    return np.log(np.einsum("...ii->...i", factors)).sum()


def learn_variances(gram, cross, tau, rho, groups=None, ties=None, levels=None):
    """Variances of a higher evidence, and the posterior under them; the evidence never falls.

    One step of MacKay's [1]_, tau <- sum d^2 / gamma with gamma = size - sum Var d / tau the number
    of coefficients that the rows determine, and likewise rho from the slopes of b_0. Where it
    lowers the evidence, that of EM instead, tau <- mean E d^2, which cannot.

    All is of C functions, with one axis in front: sums (C, K, q, q) and (C, K, q), tau and rho (C,
    q). These share variances: with variances of its own, the function of one class would shrink to
    nothing, as what is added to those of all classes alike makes no difference to the rows.
    ``groups`` are those of ``variance_groups``; without, no variances are learned.

    Returns a list of Coefficients, tau and rho.
    """
    if ties is not None:
        joined = zip(*map(ties.joined, gram, cross), strict=True)
        levels, sums = ties.padded(levels), map(np.stack, joined)
        found, *variances = learn_variances(*sums, tau, rho, groups, levels=levels)
        return [ties.parted(each) for each in found], *variances
    if levels is None and len(gram) == 1:
        found, *variances = _learned(gram[0], cross[0], tau[0], rho[0], groups)
        return [found], *(each[None] for each in variances)

    def found_with(tau, rho):
        of_functions = zip(gram, cross, tau, rho, strict=True)
        return [pooled_coefficients(*each, levels) for each in of_functions], tau, rho

    now, shape = found_with(tau, rho), tau.shape
    if groups is None:
        return now
    steps = np.array([[tau[0], rho[0]]] * 2)  # by MacKay's step and by EM's
    for row, name in enumerate(("own_", "shared_")):
        moments = (np.stack([vars(each)[name + kind] for each in now[0]]) for kind in MOMENTS)
        moments = (each.reshape(-1, shape[1]) for each in moments)
        variance_steps(groups[row], *moments, steps[:, row])
    for step in steps:
        new = found_with(*(np.tile(each, (len(tau), 1)) for each in step))
        if sum(each.evidence for each in new[0]) >= sum(each.evidence for each in now[0]):
            return new
    return now
