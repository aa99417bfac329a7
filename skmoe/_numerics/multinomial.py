"""Penalised multinomial logistic regression on soft labels: one solver for gates and experts.

The objective, to be maximised over ``coef`` (p, K), with log-probabilities
``log_proba = log_softmax(design @ coef)`` and soft labels ``targets`` (n, K):

    sum_i sum_k targets_ik log_proba_ik - 1/2 sum_j penalty_j sum_k coef_jk**2

The rows of ``targets`` need not sum to one: a row of mass m counts m times [1]_.

References
----------
.. [1] D. Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of
   Statistical Mathematics 44 (1992) 197-200: gradient and Hessian.
.. [2] J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear
   models via coordinate descent", Journal of Statistical Software 33 (2010) 1-22.
.. [3] A. R. De Pierro, "A modified expectation maximization algorithm for penalized likelihood
   estimation in emission tomography", IEEE Transactions on Medical Imaging 14 (1995) 132-137.
"""

import numpy as np
from scipy import sparse
from sklearn.linear_model import ElasticNet

from .._kernels import _systems
from .._kernels._estep import e_step
from .._kernels._softmax_steps import softmax_newton
from .._parallel import kernel_threads
from .statistics import weighted_grams

NEWTON_LIMIT = 500  # parameters; above, a Newton step costs more than several passes over the rows
MOST_FILLED = 2**25  # entries of sparse rows that Newton's method fills
LONGEST_CHANGE = 10.0  # root mean square change of the logits by a step from sums
CG_STEPS = 5  # for one step of Newton
OVERSHOT = 0.01  # part of a slope that may be left behind the optimum along a step
ROUNDING = 1e-14  # of the log-likelihood, per unit of mass
BLOCK_LIMIT = 500  # columns; above, a stream's curvature is a diagonal
LONGEST_STREAM_STEP = 3.0  # change of a logit by one batch of a stream, which may be a single row


def softmax(logits):
    """Softmax of each row, and its logarithm; (n, K) in, (n, K) out."""
    logits = np.ascontiguousarray(logits)
    n_samples = len(logits)
    dtype = logits.dtype
    proba = np.empty_like(logits)
    log_norm = np.empty(n_samples, dtype)
    ones = np.ones(n_samples)
    e_step(logits, np.zeros_like(logits), ones, proba, log_norm, kernel_threads(logits.size))
    return proba, logits - log_norm[:, None]


def log_softmax(logits):
    """Log of the softmax of each row; (n, K) in, (n, K) out."""
    return softmax(logits)[1]


def fit(design, targets, coef, penalty, *, max_iter, tol, curvature=None):
    """Raise the objective from ``coef``; it never falls.

    ``design`` (n_samples, p), which may be sparse, has columns of like scale, of which the last is
    the intercept; ``targets`` (n_samples, K) are soft labels times weights. The rows of ``coef``
    (p, K) sum to zero, and so do those of the result. ``penalty`` (p,) is L2, of each row of
    ``coef``. ``max_iter`` are Newton steps, or, above 500 parameters, times five of conjugate
    gradients, preconditioned by a ``curvature`` (p, p), the functions' mean, which may be out of
    date. They end when the next one promises less than ``tol``, per unit of mass.

    Returns coef, the number of steps, whether ``tol`` was met, and the ``softmax`` there, if known.
    """
    mass = targets.sum(axis=1)
    if coef.shape[1] == 1 or not mass.any():
        return coef, 0, True, None
    if not mass.all():  # rows without mass must not hold back the length of a step
        used = mass > 0
        return *fit(
            design[used],
            targets[used],
            coef,
            penalty,
            max_iter=max_iter,
            tol=tol,
            curvature=curvature,
        )[:3], None
    is_sparse = sparse.issparse(design)
    if coef.size > NEWTON_LIMIT or (is_sparse and np.prod(design.shape) > MOST_FILLED):
        return _conjugate_gradients(design, targets, coef, penalty, curvature, max_iter, tol)
    if is_sparse:
        design = design.toarray()
    coef = coef.copy()
    at = (np.empty(targets.shape), np.empty(targets.shape))
    return coef, *softmax_newton(design, targets, coef, penalty, max_iter, tol, *at), at


def _conjugate_gradients(design, targets, coef, penalty, curvature, max_iter, tol):
    """What ``fit`` does, preconditioned by the curvature; the objective is concave along a step."""
    mass = targets.sum(axis=1)
    logits = design @ coef
    before = None
    turned = design.T
    at = softmax(logits)
    n_steps = CG_STEPS * max_iter
    if curvature is None:
        factor = None
    else:
        factor = factor_definite(curvature + np.diag(penalty))
    penalty = penalty[:, None]
    for n_iter in range(1, n_steps + 1):
        slope = turned @ (targets - mass[:, None] * at[0]) - penalty * coef
        if factor is None:  # columns are of like scale
            step = slope / (mass.sum() / coef.shape[1] + penalty)
        else:
            step = np.column_stack([solve_factored(factor, each) for each in slope.T])
        promised = np.vdot(slope, step)
        if before is not None:
            step += max(0.0, (promised - np.vdot(before[0], step)) / before[1]) * before[2]
        before = (slope, promised, step)
        change = design @ step
        along = np.vdot(slope, step)
        if min(promised, along) <= max(tol, ROUNDING) * mass.sum():
            return coef, n_iter, True, at
        bend = (at[0] * change**2).sum(axis=1) - (at[0] * change).sum(axis=1) ** 2
        size = along / max(mass @ bend + (penalty * step**2).sum(), ROUNDING * along)
        rise = -np.inf
        while size and rise < -OVERSHOT * along:  # past the optimum along the step
            at = softmax(logits + size * change)
            rise = np.vdot(targets - mass[:, None] * at[0], change)
            rise -= np.vdot(penalty * (coef + size * step), step)
            last = size
            size = 0.9 * size * along / (along - min(rise, 0.0))
        coef = coef + last * step
        logits = logits + last * change
    return coef, n_iter, False, at


def curvature(design, mass, proba):
    r"""Upper bound on the curvature of the log-likelihood, additive over rows.

    The classes are uncoupled by

    .. math:: \sum_k p_k v_k^2 - (\sum_k p_k v_k)^2
        = \tfrac12 \sum_{jk} p_j p_k (v_j - v_k)^2 \le 2 \sum_k p_k (1 - p_k) v_k^2,

    with equality for two classes and :math:`v_1 = -v_2`. In wide designs the columns are, too:
    :math:`(x^T v)^2 \le \lVert x \rVert_1 \sum_j |x_j| v_j^2` [3]_.

    ``mass`` (n_samples,) are the sums of the rows' soft labels, ``proba`` (n_samples, K)
    probabilities. Returns (K, p, p) or, above 500 columns, (K, p): a matrix, or its diagonal, for
    each class.
    """
    weights = 2 * mass[:, None] * proba * (1 - proba)
    if design.shape[1] > BLOCK_LIMIT:
        size = abs(design)
        return (size.T @ (weights * (size @ np.ones(size.shape[1]))[:, None])).T
    return weighted_grams(design, weights)


def stream_step(design, targets, coef, penalty, bound, *, keep, gain):
    """One step for a batch of a stream, by the running curvature of all that was seen.

    The rows seen before are a parabola around ``coef``, their optimum: weighted by ``keep``,
    their slope there is that of the penalty, and their curvature is in ``bound``.

    All else is as in ``fit``, of the rows of the batch. Returns coef, and the bound of all rows;
    ``gain`` is the factor of those of the batch.
    """
    mass = targets.sum(axis=1)
    proba = np.exp(log_softmax(design @ coef))
    bound = keep * bound + gain * curvature(design, mass, proba)
    slope = gain * (design.T @ (targets - mass[:, None] * proba))
    slope -= (1 - keep) * penalty[:, None] * coef
    if bound.ndim == 2:
        steep = bound.T + penalty[:, None]
        step = slope / np.where(steep > 0, steep, 1.0)  # no curvature: a column of zeros
    else:
        factors = (factor_definite(each + np.diag(penalty)) for each in bound)
        step = np.column_stack([*map(solve_factored, factors, slope.T)])
    step -= step.mean(axis=1, keepdims=True)
    longest = np.abs(design @ step).max()
    return coef + min(1.0, LONGEST_STREAM_STEP / max(longest, 1e-300)) * step, bound


def elastic_net(coef, l1_ratio):
    """The penalty per unit of alpha."""
    if l1_ratio > 0:
        absolute = np.abs(coef).sum()
    else:
        absolute = 0.0
    return l1_ratio * absolute + 0.5 * (1 - l1_ratio) * np.vdot(coef, coef)


def fit_elastic_net(X, targets, start, alpha, l1_ratio, *, max_iter, tol):
    """Raise the objective with an L1 part by proximal Newton steps, class after class [2]_.

    Each class's step is a weighted elastic net on its working response, solved by coordinate
    descent, then halved until the objective rises.

    ``X`` has columns of like scale, without an intercept; the last row of ``start`` (n_features +
    1, K) are the intercepts, free of penalty. The penalty is ``alpha * (l1_ratio * |coef|_1 + (1 -
    l1_ratio) / 2 * |coef|_2^2)``. ``max_iter`` are rounds over the classes, which end when one
    gains less than ``tol``, per unit of mass. Returns coef, the number of rounds and whether they
    converged.
    """
    coef = start[:-1].copy()
    intercept = start[-1].copy()
    mass = targets.sum(axis=1)
    logits = X @ coef + intercept
    log_proba = log_softmax(logits)

    def penalised(log_proba, coef):
        return np.vdot(targets, log_proba) - alpha * elastic_net(coef, l1_ratio)

    value = penalised(log_proba, coef)
    for n_iter in range(1, max_iter + 1):
        before = value
        for k in range(targets.shape[1]):
            proba = np.exp(log_proba[:, k])
            curvature = np.maximum(mass * proba * (1 - proba), 1e-4 * mass)
            used = np.flatnonzero(curvature > 0)
            slope = targets[used, k] - mass[used] * proba[used]
            response = logits[used, k] + slope / curvature[used]
            net = ElasticNet(
                alpha / curvature.sum(),
                l1_ratio=l1_ratio,
                tol=1e-7,
                max_iter=10_000,
                warm_start=True,
            )
            net.coef_ = coef[:, k].copy()
            net.fit(X[used], response, sample_weight=curvature[used])
            step = net.coef_ - coef[:, k]
            shift = net.intercept_ - intercept[k]
            direction = X @ step + shift
            size = 1.0
            while size > 1e-6:
                new_logits = logits.copy()
                new_logits[:, k] += size * direction
                new_log_proba = log_softmax(new_logits)
                new_coef = coef.copy()
                new_coef[:, k] += size * step
                new_value = penalised(new_log_proba, new_coef)
                if new_value > value:
                    coef = new_coef
                    logits = new_logits
                    log_proba = new_log_proba
                    value = new_value
                    intercept[k] += size * shift
                    break
                size /= 2
        if value - before <= tol * mass.sum():
            return np.vstack([coef, intercept]), n_iter, True
    return np.vstack([coef, intercept]), max_iter, False


def pair_grams(design, proba, mass):
    """Gram matrices (K (K - 1) / 2, p, p) for ``hessian_of_pairs``.

    ``proba`` (n_samples, K) are probabilities of the classes, ``mass`` (n_samples,) weights.
    """
    second, first = np.tril_indices(proba.shape[1], -1)  # of each pair of classes
    return weighted_grams(design, mass[:, None] * proba[:, first] * proba[:, second])


def hessian_of_pairs(grams, n_classes):
    """Negative Hessian of the log-likelihood, (K, p, K, p).

    ``grams`` (K (K - 1) / 2, p, p) are those of the rows with weights of mass times the
    probabilities of two classes, (k, l) with k < l, l slowest.
    """
    p = grams.shape[1]
    hessian = np.empty((n_classes, p, n_classes, p))
    _systems.softmax_curvature(grams, hessian)
    return hessian


def factor_hessian(hessian, penalty):
    """Cholesky factor of the negative Hessian of the objective.

    It is (K p, K p), for ``newton_direction``. ``hessian`` (K, p, K, p), that of the
    log-likelihood, is overwritten; ``penalty`` is as in ``fit``.
    """
    n_classes, p = hessian.shape[:2]
    _systems.add_softmax_penalty(hessian, penalty)
    return factor_definite(hessian.reshape(n_classes * p, n_classes * p))


def newton_direction(factor, gradient):
    """Newton direction, (p, K), and the decrement gradient . step."""
    # A factor (K p, p) is of the curvatures of each class alone.
    step = np.empty(gradient.shape)
    p = len(gradient)
    if factor.shape[1] < factor.shape[0]:
        step = np.column_stack([*map(solve_factored, factor.reshape(-1, p, p), gradient.T)])
        step -= step.mean(axis=1, keepdims=True)
        return step, np.vdot(gradient, step)
    return step, _systems.softmax_step(factor, gradient, step)


def shortening(step, rows_gram):
    """Factors (K,) that keep changes of logits in bounds, from the Gram matrix of all rows."""
    unit = max(np.abs(step).max() / 1e100, 1.0)  # of columns that all but depend on others
    squares = np.einsum("jk,jk->k", step / unit, rows_gram @ (step / unit))
    change = unit * np.sqrt(np.maximum(squares, 0.0) / rows_gram[-1, -1])
    return np.minimum(1.0, LONGEST_CHANGE / np.maximum(change, 1e-300))


def solve_factored(factor, right):
    """Solution (n,) of the system of a matrix with this factor, from ``factor_definite``."""
    solution = np.array(right)
    _systems.solve_factored(factor, solution)
    return solution


def factor_definite(matrix):
    """Cholesky factor, if need be of the matrix with a little more on its diagonal."""
    factor = np.array(matrix)
    jitter = 1e-12
    while not _systems.cholesky(factor):  # ends: at the trace it is definite
        if not np.isfinite(matrix).all():
            return np.full_like(matrix, np.nan)
        scale = max(np.trace(matrix) / len(matrix), 1e-300)
        factor = matrix + jitter * scale * np.eye(len(matrix))
        jitter *= 10
    return factor


def definite_factors(matrices):
    """Cholesky factors (..., p, p) of matrices that are definite but for rounding."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        each = matrices.reshape(-1, *matrices.shape[-2:])
        upper = np.triu([factor_definite(matrix) for matrix in each])
        return upper.swapaxes(1, 2).reshape(matrices.shape)
