"""Rates between 0 and 1 around the prediction of an expert."""

from scipy import special

from .._families.positive import BetaFamily
from ._means import FamilyLikelihood
from ._uncertain import UncertainFunction


class Beta(FamilyLikelihood):
    r"""Rates and shares between 0 and 1 that are no successes in trials.

    .. math:: f_k(y \mid x) = \frac{\Gamma(\phi_k)}{\Gamma(\mu \phi_k) \Gamma((1 - \mu) \phi_k)} \,
        y^{\mu \phi_k - 1} (1 - y)^{(1 - \mu) \phi_k - 1}, \quad \mu = \mu_k(x)

    Beta regression [1]_: shares of income, of ground that is covered, of a test that was solved.
    The variance is :math:`\mu (1 - \mu) / (1 + \phi_k)`. Experts predict the mean: the default ones
    have linear log-odds, and any classifiers or regressors are as under
    :class:`~skmoe.likelihoods.Binomial`. Means of experts that are not solved by EM are not
    allowed nearer to 0 or 1 than :math:`1 / (2n)` on n rows.

    Attributes
    ----------
    concentration_ : ndarray of shape (n_experts,)
        Concentrations :math:`\phi`, a million at most; R's betareg calls them precisions.
    floor_ : float
        How near to 0 or 1 means may be; 0 with experts that EM solves.

    References
    ----------
    .. [1] S. Ferrari and F. Cribari-Neto, "Beta regression for modelling rates and proportions",
       Journal of Applied Statistics 31 (2004) 799-815.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 1))
    >>> mean = 1 / (1 + np.exp(-X[:, 0]))
    >>> y = rng.beta(20 * mean, 20 * (1 - mean))
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="beta").fit(X, y)
    >>> moe.predict([[0.0], [2.0]]).round(2)
    array([0.5 , 0.88])
    >>> moe.likelihood_.concentration_.round()
    array([20.])
    """

    name = "beta"

    family = BetaFamily()
    can_be_pooled = has_sums = True
    per_expert = learned_logs = ("concentration_",)

    def check_values(self, y):
        wrong = ~self.family.supports(y)
        if wrong.any():
            raise ValueError(
                f"Beta needs rates between 0 and 1, and neither; y holds {y[wrong][0]:.6g}. Give "
                "successes in trials to likelihood='binomial'. Other rates of 0 and 1 have to be "
                "moved inside, such as to (y * (n - 1) + 0.5) / n, with the number n of rows."
            )

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(f"Beta takes one output; y has {y.shape[1]}.")
        return super().start(y, weight, n_experts)

    def start_target(self, y, weight):
        return special.logit(y)

    def pooled(self):
        return PooledBeta()


class PooledBeta(UncertainFunction, Beta):
    r"""Predictive distribution of rates around experts with partially pooled coefficients.

    A Beta distribution whose variance is larger by that of its mean,
    :math:`(\mu (1 - \mu))^2 v` with the variance v of the log-odds. A pooled fit makes it of
    :class:`~skmoe.likelihoods.Beta`.

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
