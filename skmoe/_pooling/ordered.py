r"""One regression behind a target of a few values: an ordered logit, against a mixture of lines.

A target of a few values bends lines at the ends of its range, and experts can each take a value for
their own. The ordered logit [1]_, ``P(y <= c) = s(theta_c - x'b)``, has one regression function and
neither reason to be several. Where its evidence, by BIC, is as high as that of the mixture, whose
densities count by what they give to the values, there is one regime.

References
----------
.. [1] P. McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical Society
   B 42 (1980) 109-142.
"""

import numpy as np
from scipy import optimize, special

from .._numerics.columns import quadratic_forms

MOST_VALUES = 10  # of a target that is not continuous
PENALTY = 0.1  # of slopes: they are finite where the columns separate the values
LEAST_MASS = 1e-12


def is_ordered(problem, margin):
    """Whether one ordered logit explains the target as well as the mixture, but for ``margin``."""
    values = values_of(problem)
    if values is None:
        return False
    return ordered_evidence(problem, values) >= evidence_of_values(problem, values) - margin


def values_of(problem):
    """The values of a target, in order, if they are few; None if not."""
    data = problem.data
    if data.y.ndim > 1 or not problem.experts.can_be_wider:
        return None
    values = np.unique(data.y[data.weight > 0])
    return values if 1 < len(values) <= MOST_VALUES else None


def ordered_evidence(problem, values):
    """Log-evidence of the ordered logit over all rows, by BIC."""
    design, weight = problem.experts.design[:, :-1], problem.weight
    level = np.searchsorted(values, problem.data.y)
    n_cuts = len(values) - 1
    shares = np.cumsum(np.bincount(level, weight, minlength=len(values)))[:-1] / weight.sum()
    cuts = special.logit(shares)
    start = np.concatenate([cuts[:1], np.log(np.diff(cuts)), np.zeros(design.shape[1])])
    found = optimize.minimize(
        _loss, start, (design, level, weight, n_cuts), method="L-BFGS-B", jac=True
    )
    return float(-found.fun - 0.5 * len(start) * np.log(weight.sum()))


def _loss(theta, design, level, weight, n_cuts):
    """Penalised negative log-likelihood, and its gradient."""
    steps, slopes = np.exp(np.clip(theta[1:n_cuts], -20, 20)), theta[n_cuts:]
    cuts = theta[0] + np.concatenate([[0.0], np.cumsum(steps)])
    function = design @ slopes
    is_first, is_last = level == 0, level == n_cuts
    upper = np.where(is_last, np.inf, cuts[np.minimum(level, n_cuts - 1)] - function)
    lower = np.where(is_first, -np.inf, cuts[np.maximum(level - 1, 0)] - function)
    p_upper, p_lower = special.expit(upper), special.expit(lower)
    # 1 - s(a) = s(-a): no difference of two numbers near one
    mass = np.where(lower > 0, special.expit(-lower) - special.expit(-upper), p_upper - p_lower)
    mass = np.maximum(mass, LEAST_MASS)
    by_upper = weight * p_upper * (1 - p_upper) / mass
    by_lower = -weight * p_lower * (1 - p_lower) / mass
    by_cut = np.bincount(np.minimum(level, n_cuts - 1), by_upper * ~is_last, minlength=n_cuts)
    by_cut += np.bincount(np.maximum(level - 1, 0), by_lower * ~is_first, minlength=n_cuts)
    of_steps = np.cumsum(by_cut[::-1])[::-1]
    gradient = np.concatenate(
        [
            of_steps[:1],
            of_steps[1:] * steps,
            -design.T @ (by_upper + by_lower) - PENALTY * slopes,
        ]
    )
    return 0.5 * PENALTY * slopes @ slopes - weight @ np.log(mass), -gradient


def evidence_of_values(problem, values):
    """Log-evidence of a mixture over all rows, of whose densities the mass at each value counts."""
    experts, weight = problem.experts, problem.weight
    ((coefficients, precisions),) = experts.posteriors
    inner = ((values[1:] + values[:-1]) / 2 - experts.y_mean[0]) / experts.y_scale[0]
    borders = np.concatenate([[-np.inf], inner, [np.inf]])
    level = np.searchsorted(values, problem.data.y)[:, None]
    variance = 1 / precisions.mean + quadratic_forms(experts.design, coefficients.cov)
    scale, mean = np.sqrt(variance), experts.design @ coefficients.mean.T
    upper, lower = (borders[level + 1] - mean) / scale, (borders[level] - mean) / scale
    mass = np.where(
        lower > 0,
        special.ndtr(-lower) - special.ndtr(-upper),
        special.ndtr(upper) - special.ndtr(lower),
    )
    log_mass = special.logsumexp(
        problem.gate.log_proba + np.log(np.maximum(mass, LEAST_MASS)), axis=1
    )
    return float(weight.sum() * problem.evidence + weight @ (log_mass - problem.log_norm))
