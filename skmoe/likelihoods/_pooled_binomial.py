"""What pooled experts leave of the binomial likelihood: averages over uncertain log-odds."""

import numpy as np
from scipy import special

from ..distributions import AveragedBinomialComponents
from ._binomial import Binomial
from ._uncertain import UncertainFunction

# Of a standard normal variable. Equal distances leave no gaps far out, as nodes of Gauss would,
# and are as exact for what is smooth.
NODES = np.linspace(-5, 5, 21)
MASSES = special.softmax(-0.5 * NODES**2)
MOST_CERTAIN = 1e-15  # of a rate, or of what it leaves


class PooledBinomial(UncertainFunction, Binomial):
    r"""Predictive distribution of successes around experts with partially pooled coefficients.

    The log-odds of an expert have a normal posterior, of mean m and variance
    :math:`v = x^T C_k x`, and the distribution is a mixture of binomial ones over 21 nodes z of a
    standard normal variable, with masses w:

    .. math:: P(y \mid x, k) = \sum_z w_z \binom{t}{y} \, p_z^y (1 - p_z)^{t - y}, \quad
        p_z = \frac{1}{1 + \exp(-m - \sqrt{v} \, z)}

    A fit with ``pooling`` makes it of :class:`~skmoe.likelihoods.Binomial`.

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

    per_expert = ("coef_cov_",)

    def for_batches(self):
        return self.into(Binomial())

    def fitting(self, *, in_sample, linear):
        """This likelihood as it is to be trained, without a floor."""
        twin = PooledBinomial()
        twin._linear = linear
        return twin

    def components(self, prediction, experts=None, row_scale=None, *, trials=1.0):
        """``row_scale``, from ``scale_model_``, is of all experts, and None is zero."""
        if row_scale is None:
            return super().components(prediction, experts, trials=trials)
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts, axis=1)
        log_odds = special.logit(np.clip(prediction / trials, MOST_CERTAIN, 1 - MOST_CERTAIN))
        rates = special.expit(log_odds[:, :, None] + row_scale[:, :, None] * NODES)
        return AveragedBinomialComponents(rates, MASSES, trials)
