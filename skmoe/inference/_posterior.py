"""Posterior of a mixture with pooling, in the units of X and y."""

import numpy as np
from scipy import linalg

from .._em.pooled import INTERCEPT_PENALTY
from .._experts.fitting import split_last
from .._experts.prediction import columns_seen
from .._numerics.columns import StandardColumns
from .._numerics.multinomial import hessian_of_pairs
from .._numerics.statistics import weighted_grams
from ..gates import SoftmaxGate
from ._estimates import parameter_names, raw_parameters

NOTES = (
    "of the experts: membership of the rows and prior variances taken as known",
    "of the gate: normal approximation, from the curvature of its penalised log-likelihood",
)


def posterior(mixture, rows):
    """Names, means and covariance of all parameters.

    Parameters
    ----------
    mixture : mixture
        Fitted with pooling.
    rows : Rows
        Those that it was fitted on.

    Returns
    -------
    parts, terms : list of str
        Where each parameter belongs, and what it is.
    mean : ndarray of shape (n_terms,)
    covariance : ndarray of shape (n_terms, n_terms)
        Parameters of different experts are related by their common prior alone, and that is left
        out.
    """
    likelihood = mixture.likelihood_
    n_experts, terms = len(mixture.experts_), likelihood.posterior_terms
    of_logs = likelihood.log_scale_variances()
    to_raw = raw_units(likelihood.columns_)
    outside = outside_space(likelihood.columns_)
    blocks = []
    for of_outputs, of_scales in zip(likelihood.coef_cov_, of_logs, strict=True):
        for cov, own, prior in zip(of_outputs, of_scales, likelihood.outside_var_, strict=True):
            blocks += [to_raw @ cov @ to_raw.T + prior * outside, *own]
    if n_experts > 1:
        blocks.append(_gate_covariance(mixture, rows))
    names = parameter_names(mixture, terms)
    return *names, raw_parameters(mixture, terms), linalg.block_diag(*blocks)


def raw_units(columns):
    """Matrix that makes coefficients in raw units, intercept first, of those of a design."""
    standard = columns.standard(np.eye(len(columns.design(columns.mean[None])[0])))
    slopes = standard[:-1] / columns.scale[:, None]
    return np.vstack([standard[-1] - columns.mean @ slopes, slopes])


def outside_space(columns):
    """Covariance of coefficients in raw units per unit of variance outside of the design."""
    n_columns = len(columns.mean)
    if columns.basis is None:
        return np.zeros((n_columns + 1, n_columns + 1))
    rest = np.eye(n_columns) - columns.basis @ columns.basis.T
    to_raw = np.vstack([-columns.mean / columns.scale, np.diag(1 / columns.scale)])
    return to_raw @ rest @ to_raw.T


def _gate_covariance(mixture, rows):
    """Of the log-odds against the first expert, in raw units."""
    gate = split_last(mixture.gate_)[1]
    weight, proba, is_softmax = rows.weight, mixture.gate_proba(rows.X), type(gate) is SoftmaxGate
    Z = columns_seen(mixture.gate_, rows.X) if is_softmax else np.empty((len(weight), 0))
    columns = StandardColumns.of(Z, weight)
    design, n_experts = columns.design(Z), proba.shape[1]
    alpha = gate.alpha if is_softmax else np.inf
    second, first = np.tril_indices(n_experts, -1)
    pairs = weighted_grams(design, weight[:, None] * proba[:, first] * proba[:, second])
    hessian = hessian_of_pairs(pairs, n_experts).reshape(n_experts * design.shape[1], -1)
    prior = np.append(np.full(design.shape[1] - 1, alpha), INTERCEPT_PENALTY)
    covariance = np.linalg.inv(hessian + np.diag(np.tile(prior, n_experts)))
    against_first = np.column_stack([-np.ones(n_experts - 1), np.eye(n_experts - 1)])
    change = np.kron(against_first, raw_units(columns))
    outside = np.kron(against_first @ against_first.T, outside_space(columns) / alpha)
    return change @ covariance @ change.T + outside
