"""Successes in trials."""

import numpy as np
from scipy import special

from ..distributions import AveragedBinomialComponents, BinomialComponents
from ..distributions._counts import log_binomial
from .base import LogitLink

# Of a standard normal variable. Equal distances leave no gaps far out, as nodes of Gauss would,
# and are as exact for what is smooth.
NODES = np.linspace(-5, 5, 21)
MASSES = special.softmax(-0.5 * NODES**2)
MOST_CERTAIN = 1e-15  # of a rate, or of what it leaves


class BinomialFamily(LogitLink):
    """Successes in trials, which are the sizes, with log-odds that are linear."""

    def unit(self, y, predictor, scale=1.0):
        rate = special.expit(predictor)
        # log(1 + exp(predictor)), without a second exponential.
        log_norm = np.maximum(predictor, 0) - np.log(np.maximum(rate, 1 - rate))
        return y * predictor - log_norm, y - rate, rate * (1 - rate)

    def constant(self, y, size=1.0):
        return -special.betaln(y + 1, size - y + 1) - np.log1p(size)

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return log_binomial(y, mean, size)

    def components(self, mean, scale=1.0, size=1.0):
        return BinomialComponents(mean, size)

    def averaged(self, mean, variance, scale, size):
        log_odds = special.logit(np.clip(mean / size, MOST_CERTAIN, 1 - MOST_CERTAIN))
        rates = special.expit(log_odds[:, :, None] + np.sqrt(variance)[:, :, None] * NODES)
        return AveragedBinomialComponents(rates, MASSES, size)
