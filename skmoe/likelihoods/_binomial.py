"""Successes in a number of trials around the rate that an expert predicts."""

import numpy as np

from ..distributions import BinomialComponents
from ..distributions._counts import log_binomial
from ._base import BaseLikelihood
from ._logit_terms import BinomialTerms


class Binomial(BaseLikelihood):
    r"""Successes in a number of trials.

    .. math:: P(y \mid x, k) = \binom{t}{y} \, p_k(x)^y (1 - p_k(x))^{t - y}

    Give the successes as y and the trials t of each row as ``trials``, or both as the columns of
    y: successes and failures. Without ``trials`` each row is one trial, and y zero or one. Experts
    predict the rate :math:`p_k`: logistic regressions by default, or any classifiers, which learn
    from each row twice, weighted by its successes and by its failures; or any regressors, which
    learn the observed rates, weighted by the trials.

    Rates of experts that are not solved by EM are not allowed so near to 0 or 1 that a row would
    have less than :math:`1 / (2n)` expected successes or failures, half a one in all n rows, so
    that a success where an expert expects none is unlikely and not impossible.

    Attributes
    ----------
    floor_ : float
        The fewest successes, or failures, to expect in a row; 0 with logistic experts.

    See Also
    --------
    skmoe.MixtureOfExpertsClassifier : Classes of single trials.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, trials = rng.normal(size=(500, 1)), rng.integers(1, 40, size=500)
    >>> y = rng.binomial(trials, 1 / (1 + np.exp(-X[:, 0])))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="binomial")
    >>> moe = moe.fit(X, y, trials=trials)
    >>> moe.predict([[0.0], [2.0]]).round(1)
    array([0.5, 0.9])
    >>> moe.predict([[0.0]], trials=[20]).round()
    array([10.])
    """

    glm = "binomial"
    can_be_pooled = True
    takes_trials = True
    _linear = False

    def start(self, y, weight, n_experts):
        self.floor_ = 0.0 if self._linear else 0.5 / weight.sum()
        return self

    def fitting(self, *, in_sample, linear):
        # Logistic regressions that EM solves need no floor.
        twin = Binomial()
        twin._linear = linear
        return twin

    def start_target(self, y, weight):
        return np.arcsin(np.sqrt(y))

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0, *, trials=1.0):
        return  # the rate says it all

    def log_density(self, y, prediction, experts=None, *, trials=1.0):
        return log_binomial(y[:, None], self._means(prediction, trials), trials)

    def components(self, prediction, experts=None, *, trials=1.0):
        return BinomialComponents(self._means(prediction, trials), trials)

    def _means(self, prediction, trials):
        return np.clip(prediction, self.floor_, trials - self.floor_)

    def terms(self):
        return BinomialTerms
