r"""Logistic regressions of successes in trials, with partially pooled coefficients.

Expert k has one linear function of the columns, f, the log-odds of success. With mean m and
variance v of f for a row, y successes in t trials have the expected log-probability

    E log Binomial(y | t, s(f))  =  log choose(t, y) + y m - t E log(1 + exp(f))

whose last expectation is a sum over nodes of Gauss and Hermite. The bounds that stand for it where
targets are single classes would not do: at rates far from one half they are far more curved than
the likelihood is, and variances would be too small however many the trials are.
"""

import numpy as np
from scipy import special

from .binomial import BinomialExperts
from .pooled_logistic import ignores_rows
from .pooled_steps import Expected, PooledInSteps

NODES, MASSES = np.polynomial.hermite_e.hermegauss(10)
MASSES = MASSES / MASSES.sum()
SMALLEST_VARIANCE = 1e-6  # added to that of each function, for a quotient
DRAWN_IN = 0.5  # successes and failures that each row is given more, where steps begin


class Successes:
    """The binomial likelihood.

    Parameters
    ----------
    trials : ndarray of shape (n_samples,)
        Of the rows.
    """

    n_functions = 1
    first_size = largest_size = 1.0

    def __init__(self, trials):
        self.trials = trials[:, None]

    def first(self, targets, n_experts):
        """``Expected`` of rows whose rates are about those that were observed."""
        rate = (targets + DRAWN_IN) / (self.trials + 2 * DRAWN_IN)
        mean = np.repeat(special.logit(rate)[:, None], n_experts, axis=1)
        return self.expected(targets, mean, np.zeros_like(mean))

    def expected(self, targets, mean, variance, near=None):
        """Expected log-probabilities of successes (n, 1); see ``Expected``."""
        trials, center = self.trials, mean[:, :, 0]
        std = np.sqrt(variance + SMALLEST_VARIANCE)
        functions = mean + std * NODES  # (n_samples, n_experts, n_nodes)
        rates = special.expit(functions)
        # log(1 + exp(f)), without a second exponential.
        log_norm = np.maximum(functions, 0) - np.log(np.maximum(rates, 1 - rates))
        log_choose = -special.betaln(targets + 1, trials - targets + 1) - np.log1p(trials)
        value = log_choose + targets * center - trials * (log_norm @ MASSES)
        slope = targets - trials * (rates @ MASSES)
        curvature = trials * np.maximum(rates @ (MASSES * NODES) / std[:, :, 0], 0.0)
        working = slope + curvature * center
        return Expected(value, curvature[:, :, None], working[:, :, None])


class PooledBinomialExperts(PooledInSteps, BinomialExperts):
    """K logistic regressions of successes with partially pooled coefficients.

    Parameters
    ----------
    X, y, weight, shared_columns, units, block
        As ``PooledExperts`` takes them.
    exposure : ndarray of shape (n_samples,), default=None
        Trials of the rows; None is one each.
    """

    def __init__(
        self, X, y, weight, *, shared_columns=(), exposure=None, units=None,
        block=None,
    ):  # fmt: skip
        super().__init__(
            X, y, weight, 1, penalty=0.0, per_column_unit=False, trials=exposure, units=units
        )
        self._stand_on(X, weight, shared_columns, units, block)
        self._take_targets(exposure)
        self.has_single_trials = bool((self.kind.trials == 1).all())

    def _take_targets(self, trials=None):
        self.kind = Successes(np.ones(len(self.y)) if trials is None else trials)
        self.targets_of_kind = self.y[:, None]

    @property
    def predictions(self):
        """Rates of the experts at the means of their coefficients, (n, K)."""
        return special.expit(self._functions(self.coef))

    def _set_means(self, mean):
        self.coef = mean[:, :, 0]

    @property
    def is_one_expert(self):
        """Whether the gate before two rates of single trials is one logistic regression."""
        return self.has_single_trials and self.n_experts == 2 and ignores_rows(self)
