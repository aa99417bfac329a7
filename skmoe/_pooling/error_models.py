"""Errors of one regression that are not normal with one variance: two models, fitted by likelihood.

The first is a variance that depends on columns: a regression of squared errors with a Gamma
likelihood and a log link, whose maximum is that of normal errors [1]_, [2]_. The second is a
mixture of three normal errors around the regression function, which is skewed or heavy-tailed.

References
----------
.. [1] A. C. Harvey, "Estimating regression models with multiplicative heteroscedasticity",
   Econometrica 44 (1976) 461-465.
.. [2] G. K. Smyth, "Generalized linear models with varying dispersion", Journal of the Royal
   Statistical Society B 51 (1989) 47-60.
"""

import numpy as np
from scipy import linalg

from .._kernels._estep import e_step
from .._parallel import kernel_threads

N_COMPONENTS = 3  # normal errors, of which a mixture is skewed or heavy-tailed
MOST_STEPS = 100  # of Newton's method
SHORTEST_STEP = 1e-8  # part of a Newton step
SMALL_GAIN = 1e-10  # per unit of weight, that a Newton step promises
LAST_GAIN = 1e-3  # nats over all rows, at which EM ends: what is decided is a matter of several
FLOOR = 1e-12  # of a curvature, over the largest


def variance_regression(columns, squares, weight, penalty):
    """Logarithm of a variance that is log-linear in columns, of most likelihood; (n_samples,).

    ``columns`` (n_samples, q) are without an intercept; ``squares`` (n_samples,) are squared
    errors, positive, and ``penalty`` is that of the slopes, L2, per unit of weight.
    """
    design = np.column_stack([columns, np.ones(len(squares))])
    total = weight.sum()
    penalties = np.full(design.shape[1], penalty * total)
    penalties[-1] = 0.0

    def half_deviance(coef, log_variance):
        with np.errstate(over="ignore"):  # a step that is too long, which is halved
            ratio = squares * np.exp(-log_variance)
        # Rows of no weight may have any ratio.
        weighted_ratio = np.where(weight > 0, weight * ratio, 0.0)
        value = weight @ log_variance + weighted_ratio.sum() + 0.5 * penalties @ coef**2
        return value, weighted_ratio

    coef = np.zeros(design.shape[1])
    coef[-1] = np.log(weight @ squares / total)
    log_variance = np.full(len(squares), coef[-1])
    value, weighted_ratio = half_deviance(coef, log_variance)
    for _ in range(MOST_STEPS):
        gradient = design.T @ (weighted_ratio - weight) - penalties * coef
        curvature = (design * weighted_ratio[:, None]).T @ design + np.diag(penalties)
        factor = cholesky_factor(curvature)
        if factor is None:
            break
        step = linalg.cho_solve(factor, gradient, check_finite=False)
        promised = gradient @ step
        change = design @ step

        # The step is halved until the deviance falls, as Armijo's rule asks for.
        size = 1.0
        while size > SHORTEST_STEP:
            new_coef = coef + size * step
            new_log_variance = log_variance + size * change
            new_value, new_ratio = half_deviance(new_coef, new_log_variance)
            if new_value <= value - 1e-4 * size * promised:
                break
            size /= 2
        if not new_value <= value:
            break
        coef = new_coef
        log_variance = new_log_variance
        value = new_value
        weighted_ratio = new_ratio
        if promised <= SMALL_GAIN * total:
            break
    return log_variance


def shape_log_likelihood(design, errors, sd, weight, n_steps, smallest):
    """Log-likelihood of errors over scales as a mixture of three normal ones, by EM.

    They are around a linear function of the design (n_samples, p), which is fitted along: an M-step
    goes to the optimum along the direction of Newton's method by the last Gram matrix, which is
    summed anew after 1, 2, 4, 8 ... steps. ``errors``, ``sd`` and ``weight`` (n_samples,) are
    errors, their relative scales and weights; ``smallest`` is added to the components' variances.

    The value lacks the logarithms of ``sd`` and of 2 pi.
    """
    scaled_design = design / sd[:, None]
    powers = np.ones((len(errors), 3))  # squares of the standardised errors, these, and ones
    powers[:, 1] = errors / sd
    nothing = np.zeros(powers.shape)
    resp = np.empty(powers.shape)
    log_density = np.empty(len(errors))
    n_threads = kernel_threads(resp.size)
    total = weight.sum()

    centre = np.arange(N_COMPONENTS) - 1.0
    precision = np.ones(N_COMPONENTS)
    share = np.full(N_COMPONENTS, 1 / N_COMPONENTS)
    factor = None
    value = -np.inf
    for step in range(n_steps):
        # E-step: joint log-densities are quadratic in the error, with one column a component.
        powers[:, 0] = powers[:, 1] ** 2
        constant = np.log(share) + 0.5 * np.log(precision) - 0.5 * precision * centre**2
        log_joint = powers @ np.stack([-0.5 * precision, precision * centre, constant])
        value_before = value
        value = e_step(log_joint, nothing, weight, resp, log_density, n_threads)
        if step == n_steps - 1 or value - value_before < LAST_GAIN:
            break

        # M-step of the components, from their mass, sums of errors and of squares.
        squares, sums, mass = (powers * weight[:, None]).T @ resp
        share = mass / total
        centre = sums / mass
        variance = squares / mass - centre**2
        precision = 1 / (np.maximum(variance, 0.0) + smallest)

        # M-step of the linear function: precisions of the rows, and what is left to explain.
        row_precision = weight * (resp @ precision)
        residual = powers[:, 1] * row_precision - weight * (resp @ (precision * centre))
        gradient = residual @ scaled_design
        if step & (step - 1) == 0:
            factor = cholesky_factor((scaled_design * row_precision[:, None]).T @ scaled_design)
        if factor is None:
            continue
        direction = linalg.cho_solve(factor, gradient, check_finite=False)
        change = scaled_design @ direction
        length = gradient @ direction / max(row_precision @ change**2, 1e-300)
        powers[:, 1] -= length * change
    return value


def cholesky_factor(matrix):
    """Cholesky factor of a matrix that is definite but for rounding, for ``cho_solve``, or None."""
    diagonal = np.diagonal(matrix)
    if not np.isfinite(diagonal).all():
        return None
    matrix = matrix + FLOOR * max(diagonal.max(initial=0.0), 1e-300) * np.eye(len(matrix))
    try:
        return linalg.cho_factor(matrix, check_finite=False)
    except linalg.LinAlgError:
        return None
