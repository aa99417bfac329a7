"""Successes in a number of trials around the rate that an expert predicts."""

import numpy as np

from .._families.counts import BinomialFamily
from ._means import FamilyLikelihood
from ._uncertain import UncertainFunction


class Binomial(FamilyLikelihood):
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

    name = "binomial"

    family = BinomialFamily()
    can_be_pooled = True
    takes_trials = True

    def start_target(self, y, weight):
        return np.arcsin(np.sqrt(y))

    def pooled(self):
        return PooledBinomial()


class PooledBinomial(UncertainFunction, Binomial):
    r"""Predictive distribution of successes around experts with partially pooled coefficients.

    The log-odds of an expert have a normal posterior, of mean m and variance
    :math:`v = x^T C_k x`, and the distribution is a mixture of binomial ones over 21 nodes z of a
    standard normal variable, with masses w:

    .. math:: P(y \mid x, k) = \sum_z w_z \binom{t}{y} \, p_z^y (1 - p_z)^{t - y}, \quad
        p_z = \frac{1}{1 + \exp(-m - \sqrt{v} \, z)}

    A pooled fit makes it of :class:`~skmoe.likelihoods.Binomial`.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, 1, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last.
    own_var_, shared_var_ : ndarray of shape (1, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.
    """
