r"""One regression behind counts and successes that vary more than their likelihood allows for.

Experts of one regime have offsets that are as probable in all rows, so that counts are any mixture
of ``Poisson(c_k mu)``, and successes one of rates whose log-odds are shifted. Rates that vary on
their own scale are neither. A negative binomial [1]_ and a beta-binomial regression [2]_ have one
regression function; where their evidence, by BIC, is as high as that of the mixture, there is one
regime.

References
----------
.. [1] J. F. Lawless, "Negative binomial and mixed Poisson regression", Canadian Journal of
   Statistics 15 (1987) 209-225.
.. [2] D. A. Williams, "The analysis of binary responses from toxicological experiments involving
   reproduction and teratogenicity", Biometrics 31 (1975) 949-952.
"""

import numpy as np
from scipy import optimize, special

from .._families.binomial import BinomialFamily
from .._families.negative_binomial import NegativeBinomialFamily
from .._families.poisson import PoissonFamily

PENALTY = 0.1  # of slopes: they are finite where the columns separate rates of zero
LARGEST_LINEAR, LARGEST_LOG_SIZE = 30.0, 15.0  # so far, nothing is different from infinity


def overdispersed_evidence(problem, family):
    """Log-evidence over all rows, by BIC, of one regression with overdispersion.

    Minus infinity for a ``glm`` that has none.
    """
    if family not in LOSSES:
        return -np.inf
    design, data = problem.experts.design, problem.data
    size = np.ones(len(design)) if data.exposure is None else data.exposure
    start = np.zeros(design.shape[1] + 1)
    given = (design, np.ravel(data.y), size, problem.weight, LOSSES[family])
    found = optimize.minimize(_overdispersed_loss, start, given, method="L-BFGS-B", jac=True)
    return float(-found.fun - 0.5 * len(start) * np.log(problem.weight.sum()))


def _overdispersed_loss(theta, design, y, size, weight, log_density):
    """Penalised negative log-likelihood, and its gradient; the logarithm of a size comes last."""
    slopes = np.append(theta[:-2], 0.0)
    linear = np.clip(design @ theta[:-1], -LARGEST_LINEAR, LARGEST_LINEAR)
    log_size = np.clip(theta[-1], -LARGEST_LOG_SIZE, LARGEST_LOG_SIZE)
    value, by_linear, by_size = log_density(y, size, linear, np.exp(log_size))
    gradient = np.append(design.T @ (weight * by_linear) - PENALTY * slopes, weight @ by_size)
    return 0.5 * PENALTY * slopes @ slopes - weight @ value, -gradient


def _negative_binomial(y, exposure, linear, shape):
    """Log-probability, and its slopes in the linear function and in ``log(shape)``."""
    family = NegativeBinomialFamily()
    value = family.log_density(y, exposure * np.exp(linear), shape)
    return value, *family.first(y, linear, shape, exposure)


def _beta_binomial(y, trials, linear, size):
    """Log-probability, and its slopes in the log-odds and in ``log(size)``."""
    rate, other = special.expit(linear), special.expit(-linear)
    a, b = size * rate, size * other
    value = special.betaln(y + a, trials - y + b) - special.betaln(a, b)
    value -= special.betaln(y + 1, trials - y + 1) + np.log1p(trials)
    common = special.digamma(size) - special.digamma(trials + size)
    by_a = special.digamma(y + a) - special.digamma(a) + common
    by_b = special.digamma(trials - y + b) - special.digamma(b) + common
    return value, size * rate * other * (by_a - by_b), a * by_a + b * by_b


LOSSES = {PoissonFamily(): _negative_binomial, BinomialFamily(): _beta_binomial}
