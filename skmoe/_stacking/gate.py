"""The gate of experts that are each fitted on all rows, from out-of-fold densities."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from .._kernels._exp import exp, log

# Chosen by cross-validated log-score of unlike experts on small tables.
GATE_PENALTIES = (None, 30.0, 3.0)  # L2 of the gate's weights; None: constant proportions
FIRST_PENALTY = 3.0  # while regimes of specialists are sought
DIRICHLET = 0.1  # rows that the prior of the proportions counts as, for each component


def log_gate_of(intercepts, weights, Z):
    """Log-probabilities (n, M) of the gate: intercepts (M,), weights (d, M), columns (n, d)."""
    return log_softmax(intercepts + Z @ weights, axis=1)


def gate_objective(intercepts, weights, Z, log_density, row_weight, penalty):
    """Penalised negative log-likelihood of a mixture of M components, and the gate's gradients.

    Intercepts are (M,), weights (d, M), standardised columns Z (n, d), and log-densities (n, M).
    ``penalty`` is that of the weights; None where these are not learned. Returns the value, to be
    minimised, its derivatives by both, and responsibilities times weights of the rows, (M, n).

    A component is a row in here, so that NumPy's loops go over the samples.
    """
    logits = np.repeat(intercepts[:, None], len(Z), axis=1)
    if penalty is not None:
        logits += weights.T @ Z.T
    joint = logits + log_density.T
    excess, log_gate_norm = _softmax_of_columns(logits)
    resp, log_norm = _softmax_of_columns(joint)
    resp *= row_weight
    excess *= row_weight
    excess -= resp
    proportions = log_softmax(intercepts)
    value = row_weight @ (log_gate_norm - log_norm) - DIRICHLET * proportions.sum()
    of_intercepts = excess.sum(axis=1) - DIRICHLET * (1 - len(intercepts) * np.exp(proportions))
    if penalty is None:
        return value, of_intercepts, np.zeros_like(weights), resp
    value += 0.5 * penalty * np.sum(weights**2)
    return value, of_intercepts, (excess @ Z).T + penalty * weights, resp


def _softmax_of_columns(logits):
    """Softmax of each column of (M, n), which is overwritten, and log-sum-exp, (n,)."""
    largest = logits.max(axis=0)
    logits -= largest
    exp(logits.reshape(-1))
    total = logits.sum(axis=0)
    logits /= total
    log(total)
    return logits, largest + total


def fit_gate(Z, log_density, row_weight, penalty, start=None):
    """Intercepts and weights that minimise ``gate_objective``, by L-BFGS.

    All rows are of positive weight; ``start`` None is equal proportions. Returns intercepts and
    weights, the penalised log-likelihood per unit of weight, and whether L-BFGS met its tolerance.
    """
    M = log_density.shape[1]
    total = row_weight.sum()
    intercepts, weights = start or (np.zeros(M), np.zeros((Z.shape[1], M)))
    gated = penalty is not None
    log_density = np.asfortranarray(log_density)  # as ``gate_objective`` goes through it

    def unpacked(theta):
        return theta[:M], theta[M:].reshape(weights.shape) if gated else weights

    def value_and_gradient(theta):
        value, of_intercepts, of_weights, _ = gate_objective(
            *unpacked(theta), Z, log_density, row_weight, penalty
        )
        if gated:
            gradient = [of_intercepts, of_weights.ravel()]
        else:
            gradient = [of_intercepts]
        return value / total, np.concatenate(gradient) / total

    if gated:
        start = np.concatenate([intercepts, weights.ravel()])
    else:
        start = intercepts
    options = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-6, "maxcor": 20}
    result = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return unpacked(result.x), -float(result.fun), bool(result.success)


def choose_penalty(weight, folds, fit, posterior, *, penalties=GATE_PENALTIES, standard_errors=0.0):
    """The strength of the gate by its out-of-fold log-density, and out-of-fold results.

    ``fit(rows, penalty, start)`` -> parameters, from those of the penalty before, or None;
    ``posterior(parameters, rows)`` -> responsibilities and log-densities of rows, and maybe more of
    each row. ``penalties`` has the simplest gate first, than which the best has to be better by so
    many ``standard_errors``. Rows of weight zero are looked at, and not learned from.

    Returns the best penalty, and what ``posterior`` says under parameters that were fitted without
    the fold, (n, ...) each.
    """
    said = {penalty: [] for penalty in penalties}
    for train, test in folds:
        fitted = None
        seen = train[weight[train] > 0]
        for penalty in penalties:  # each from the one before, on the same rows
            fitted = fit(seen, penalty, fitted)
            said[penalty].append(posterior(fitted, test))
    order = np.argsort(np.concatenate([test for _, test in folds]))
    said = {
        penalty: [np.concatenate(each)[order] for each in zip(*of_folds, strict=True)]
        for penalty, of_folds in said.items()
    }
    log_density = {penalty: each[1] for penalty, each in said.items()}
    best = max(penalties, key=lambda penalty: weight @ log_density[penalty])
    gains = log_density[best] - log_density[penalties[0]]
    total = weight.sum()
    gain = weight @ gains
    if gain <= standard_errors * np.sqrt(weight @ (gains - gain / total) ** 2):
        best = penalties[0]
    return best, *said[best]


def cross_fitted(weight, folds, fit, predict):
    """What ``predict(fit(seen), unseen)`` makes of the rows of each fold, (n, ...).

    Rows of weight zero are looked at, and not learned from.
    """
    values = [predict(fit(train[weight[train] > 0]), test) for train, test in folds]
    every = np.empty((len(weight), *values[0].shape[1:]))
    every[np.concatenate([test for _, test in folds])] = np.concatenate(values)
    return every
