"""Posterior of pooled coefficients where most columns are levels of one column of strings.

A row has one level at most, so that the Gram matrices of the experts are diagonal between levels.
Given the coefficients of all other columns, those of different levels are independent: levels are
eliminated one by one, and what is left is a system of the other columns [1]_.

In the notation of ``pooled``, the coefficient of column j and expert k is

    b_jk = sqrt(rho_j) u_j0 + sqrt(tau_j) u_jk,

with independent standard normal coordinates u a priori. Their posterior precision is I + A, where A
is the Gram matrix in these coordinates: an arrow matrix for each level, which has an inverse in
closed form, edges from levels to other columns, and a dense block of these.

References
----------
.. [1] S. R. Searle, G. Casella and C. E. McCulloch, "Variance Components", Wiley (1992), chapter 7:
   absorbing the equations of random effects.
"""

import numpy as np
from scipy import linalg


def posterior_of_levels(gram, cross, tau, rho, levels):
    """Moments of the coefficients, by the names of ``Coefficients``, in a dict.

    The parameters are those of ``pooled_coefficients``. Covariances between levels are zeros.
    """
    n_experts, n_columns = cross.shape
    rest = ~levels
    experts = np.arange(n_experts)

    # Loadings of the coordinates: (n_columns, n_experts, n_experts + 1), the shared one first.
    loadings = np.zeros((n_columns, n_experts, n_experts + 1))
    loadings[:, :, 0] = np.sqrt(rho)[:, None]
    loadings[:, experts, 1 + experts] = np.sqrt(tau)[:, None]
    level_loadings = loadings[levels]
    rest_loadings = loadings[rest]
    n_levels, _, n_coordinates = level_loadings.shape
    n_rest = rest_loadings.shape[0]
    size = n_rest * n_coordinates  # coordinates of the other columns

    # Blocks of I + A, and the right-hand sides, in these coordinates.
    level_gram = np.diagonal(gram, axis1=1, axis2=2)[:, levels].T  # (n_levels, n_experts)
    edge_gram = gram[:, levels][:, :, rest]
    edges = np.einsum("kji,jks,ikt->jsit", edge_gram, level_loadings, rest_loadings, optimize=True)
    edges = edges.reshape(n_levels, n_coordinates, size)
    rest_gram = gram[:, rest][:, :, rest]
    inner = np.einsum("kij,iks,jkt->isjt", rest_gram, rest_loadings, rest_loadings, optimize=True)
    inner = inner.reshape(size, size) + np.eye(size)
    level_cross = np.einsum("kj,jks->js", cross[:, levels], level_loadings)
    rest_cross = np.einsum("kj,jks->js", cross[:, rest], rest_loadings).ravel()

    # Inverses of the arrow matrices: diagonal, and a product of vectors from the shared coordinate.
    own_precision = 1 + tau[levels][:, None] * level_gram
    to_shared = np.sqrt(tau * rho)[levels][:, None] * level_gram / own_precision
    pivot = 1 + rho[levels] * (level_gram / own_precision).sum(axis=1)
    vector = np.column_stack([np.ones(n_levels), -to_shared])
    inverse = vector[:, :, None] * vector[:, None, :] / pivot[:, None, None]
    inverse[:, 1 + experts, 1 + experts] += 1 / own_precision

    # The other columns, with the levels eliminated; then the levels given these.
    turned_edges = inverse @ edges
    schur = inner - edges.reshape(-1, size).T @ turned_edges.reshape(-1, size)
    factor = linalg.cholesky(schur, lower=True)
    rest_cov = linalg.cho_solve((factor, True), np.eye(size))
    rest_mean = rest_cov @ (rest_cross - np.tensordot(turned_edges, level_cross, ((0, 1), (0, 1))))
    level_mean = np.einsum("jst,jt->js", inverse, level_cross) - turned_edges @ rest_mean
    between_cov = -turned_edges @ rest_cov
    level_cov = inverse - between_cov @ turned_edges.swapaxes(1, 2)

    # Moments of the coordinates of all columns, then of coefficients.
    mean = np.empty((n_columns, n_coordinates))
    mean[levels] = level_mean
    mean[rest] = rest_mean.reshape(n_rest, n_coordinates)
    variance = np.empty(mean.shape)
    variance[levels] = np.diagonal(level_cov, axis1=1, axis2=2)
    variance[rest] = np.diagonal(rest_cov).reshape(n_rest, n_coordinates)
    cov = np.zeros((n_experts, n_columns, n_columns))
    level_places = np.flatnonzero(levels)
    rest_places = np.flatnonzero(rest)
    cov[:, level_places, level_places] = np.einsum(
        "jks,jst,jkt->kj", level_loadings, level_cov, level_loadings, optimize=True
    )
    between = np.einsum(
        "jks,jsit,ikt->kji",
        level_loadings,
        between_cov.reshape(n_levels, n_coordinates, n_rest, n_coordinates),
        rest_loadings,
        optimize=True,
    )
    cov[:, level_places[:, None], rest_places] = between
    cov[:, rest_places[:, None], level_places] = between.swapaxes(1, 2)
    cov[:, rest_places[:, None], rest_places] = np.einsum(
        "iks,isjt,jkt->kij",
        rest_loadings,
        rest_cov.reshape(n_rest, n_coordinates, n_rest, n_coordinates),
        rest_loadings,
        optimize=True,
    )

    # log|I + A|; a coordinate of prior variance zero stays standard normal, and adds nothing.
    log_det = np.log(own_precision).sum() + np.log(pivot).sum()
    log_det += 2 * np.log(np.diagonal(factor)).sum()
    explained = mean[levels].ravel() @ level_cross.ravel() + rest_mean @ rest_cross
    moments = (mean**2 + variance - 1).sum()
    return {
        "mean": np.einsum("jks,js->kj", loadings, mean),
        "cov": cov,
        "divergence": 0.5 * float(log_det + moments),
        "evidence": 0.5 * float(explained - log_det),
        "shared_mean": np.sqrt(rho) * mean[:, 0],
        "shared_var": rho * variance[:, 0],
        "own_mean": np.ascontiguousarray(np.sqrt(tau) * mean[:, 1:].T),
        "own_var": np.ascontiguousarray(tau * variance[:, 1:].T),
    }
