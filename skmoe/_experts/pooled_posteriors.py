"""Posteriors of pooled coefficients, and their prior variances; ``pooled`` has the model.

References
----------
.. [1] D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992) 415-447.
"""

from dataclasses import dataclass

import numpy as np

from .._kernels._pooled import learn_posterior, variance_steps
from .pooled_levels import posterior_of_levels

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
    # What ``pooled_coefficients`` is given for all covariances where levels were solved apart.
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
    if levels is None:
        return _learned(gram, cross, tau, rho)[0]
    moments = posterior_of_levels(gram, cross, tau, rho, levels)
    return Coefficients(**moments, given=(gram, cross, tau, rho))


def with_whole_cov(coefficients, ties=None):
    """The same Coefficients with covariances between levels, too."""
    if coefficients.given is None:
        return coefficients
    whole = pooled_coefficients(*coefficients.given)
    if ties is None:
        return whole
    return ties.parted(whole)


def _learned(gram, cross, tau, rho, groups=None):
    """The same in compiled code, and tau and rho, with which the evidence is higher."""
    n_experts, q = cross.shape
    gram = np.ascontiguousarray(gram)
    cross = np.ascontiguousarray(cross)
    tau = tau.copy()
    rho = rho.copy()
    mean = np.empty((n_experts, q))
    cov = np.empty(gram.shape)
    own = np.empty((2, n_experts, q))
    shared = np.empty((2, q))
    evidence, divergence = learn_posterior(gram, cross, tau, rho, groups, mean, cov, own, shared)
    return Coefficients(mean, cov, divergence, evidence, *shared, *own), tau, rho


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
        levels = ties.padded(levels)
        sums = map(np.stack, joined)
        found, *variances = learn_variances(*sums, tau, rho, groups, levels=levels)
        return [ties.parted(each) for each in found], *variances
    if len(gram) == 1 and levels is None:
        found, *variances = _learned(gram[0], cross[0], tau[0], rho[0], groups)
        return [found], *(each[None] for each in variances)

    def found_with(tau, rho):
        of_functions = zip(gram, cross, tau, rho, strict=True)
        return [pooled_coefficients(*each, levels) for each in of_functions], tau, rho

    now = found_with(tau, rho)
    shape = tau.shape
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
