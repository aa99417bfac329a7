"""The predictive distribution of a mixture."""

import numpy as np
from scipy import special
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from . import _quadrature
from ._arrays import check_n_draws, check_probabilities, draw_places


class MixtureDistribution:
    r"""The predictive distribution :math:`\sum_k \pi_k(x) f_k(y \mid x)` of each of n rows.

    Returned by ``predict_dist`` of a mixture. Every method is vectorised over the rows. With
    several outputs, the density is joint over the outputs, and means, variances, distribution
    function and quantiles are those of each output separately, along the last axis.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_experts)
        Gate probabilities; rows sum to one. Stored as ``weights``.
    components : BaseComponents
        Such as :class:`GaussianComponents` or :class:`ScipyComponents`. Stored as ``components``.
        Their methods get y of shape (n_samples, 1), or several at once, (n_places, n_samples, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import GaussianComponents, MixtureDistribution
    >>> components = GaussianComponents(
    ...     np.array([[-1.0, 1.0]]), np.array([0.5, 0.5])
    ... )
    >>> dist = MixtureDistribution(np.array([[0.5, 0.5]]), components)
    >>> dist.mean(), dist.var(), dist.ppf(0.5).round(6) + 0.0
    (array([0.]), array([1.25]), array([0.]))
    """

    def __init__(self, weights, components):
        self.weights = weights
        self.components = components

    @property
    def discrete(self):
        """Whether the distribution is discrete, on whole numbers."""
        return self.components.discrete

    def _weigh(self, values):
        """Sum over the experts of weight times value; (n, K[, m]) in, (n[, m]) out."""
        return np.einsum("nk,nk...->n...", self.weights, values)

    def mean(self):
        """Mean.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target.
        """
        return self._weigh(self.components.mean)

    def var(self):
        r"""Variance, :math:`\sum_k \pi_k \sigma_k^2 + \sum_k \pi_k (\mu_k - \bar\mu)^2`.

        Returns
        -------
        var : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Within the experts, plus between them.
        """
        return self.var_within() + self.var_between()

    def var_within(self):
        """Part of the variance within the experts: their errors.

        Returns
        -------
        var : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Weighted mean of the variances of the components.
        """
        return self._weigh(self.components.var)

    def var_between(self):
        """Part of the variance between the experts: uncertainty about which of them applies.

        Returns
        -------
        var : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Variance of the means of the components.
        """
        with np.errstate(over="ignore"):  # infinite, of a log-normal that is wide enough
            return self._weigh(self._deviations() ** 2)

    def cov(self):
        """Covariance of the outputs.

        Outputs that are independent within every expert are correlated in the mixture if experts
        differ in several of them.

        Returns
        -------
        cov : ndarray of shape (n_samples, n_outputs, n_outputs)
            Within the experts, plus between them.

        Raises
        ------
        ValueError
            If there is only one output.
        """
        self._check_has_outputs("cov")
        deviations = self._deviations()
        between = np.einsum("nk,nki,nkj->nij", self.weights, deviations, deviations)
        return self._weigh(self.components.cov) + between

    def _deviations(self):
        """Means of the components, less that of the mixture."""
        return self.components.mean - np.expand_dims(self.mean(), 1)

    def output(self, j):
        """Marginal distribution of one of several outputs.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        distribution : MixtureDistribution
            For one output.

        Raises
        ------
        ValueError
            If there is only one output.
        """
        self._check_has_outputs("output")
        return MixtureDistribution(self.weights, self.components.output(j))

    def _has_outputs(self):
        return self.components.mean.ndim == 3

    def _check_has_outputs(self, method):
        if not self._has_outputs():
            raise ValueError(f"{method} needs several outputs; there is one.")

    def _y_shape(self):
        return self.components.mean.shape[2:]

    def _of_each_output(self, method, *args):
        """A method for one output, evaluated for each output, along the last axis."""
        asked = [getattr(self.output(j), method) for j in range(self._y_shape()[0])]
        return np.stack([ask(*(arg[:, j] for arg in args)) for j, ask in enumerate(asked)], axis=1)

    def std(self):
        """Standard deviation.

        Returns
        -------
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target.
        """
        return np.sqrt(self.var())

    def logpdf(self, y):
        """Log-density; for discrete components, the log-probability of the value.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm, joint over the outputs.
        """
        return special.logsumexp(self.components.logpdf(self._expand(y)), b=self.weights, axis=1)

    @available_if(lambda self: self.discrete)
    def logpmf(self, y):
        """Logarithm of the probability of a value, for discrete components.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        log_probability : ndarray of shape (n_samples,)
            The same as ``logpdf``; joint over the outputs.
        """
        return self.logpdf(y)

    @available_if(lambda self: self.discrete)
    def pmf(self, y):
        """Probability of a value, for discrete components.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        probability : ndarray of shape (n_samples,)
            The same as ``pdf``; joint over the outputs.
        """
        return self.pdf(y)

    def pdf(self, y):
        """Density.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        density : ndarray of shape (n_samples,)
            Joint over the outputs.
        """
        return np.exp(self.logpdf(y))

    def cdf(self, y):
        """Distribution function.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        cdf : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Probability of a value of at most y, for each output separately.
        """
        return self._weigh(self.components.cdf(self._expand(y)))

    def sf(self, y):
        """Survival function, ``1 - cdf``, exact in the upper tail.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to evaluate at, one for each row or one for all.

        Returns
        -------
        sf : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Probability of a value above y, for each output separately.
        """
        return self._weigh(self.components.sf(self._expand(y)))

    def ppf(self, q):
        """Quantiles, by a search between the smallest and largest quantile of the components.

        For discrete components it is the smallest y with ``cdf(y) >= q``.

        Parameters
        ----------
        q : float or array-like of shape (n_quantiles,)
            Probabilities between 0 and 1.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            One column for each q, no such axis for a scalar; several outputs add a last axis.

        Raises
        ------
        ValueError
            If a q is not between 0 and 1.
        """
        q = check_probabilities("q", q)
        if self._has_outputs():
            return np.stack([self.output(j).ppf(q) for j in range(self._y_shape()[0])], axis=-1)
        if q.ndim == 0:
            return self._quantile(float(q))
        return np.stack([self._quantile(float(one)) for one in q], axis=1)

    def _quantile(self, q):
        ends = _quadrature.quantiles_of(self, (q,))
        low = np.nanmin(ends, axis=1)
        high = np.nanmax(ends, axis=1)
        if q in (0.0, 1.0):
            if q == 0.0:
                return low
            return high

        def excess(y):
            return self._weigh(self.components.cdf(y[:, None])) - q

        if self.discrete:
            return _quadrature.find_whole(excess, low - 1, high)  # rounding may reach q one before
        return _quadrature.find_root(excess, low, high, noise=4 * np.finfo(float).eps * q)

    def median(self):
        """Median.

        Returns
        -------
        median : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The quantile of 0.5.
        """
        return self.ppf(0.5)

    def rvs(self, size=None, random_state=None):
        """Draw from the distributions.

        Parameters
        ----------
        size : int, default=None
            Number of draws for each row. None is a single draw, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Random number generator, or its seed.

        Returns
        -------
        draws : ndarray of shape (n_samples,) or (n_samples, size)
            In the units of the target; several outputs add a last axis.
        """
        if size is not None:
            check_n_draws("size", size)
        random_state = check_random_state(random_state)
        places = draw_places(self.weights, 1 if size is None else size, random_state)
        draws = self.components.rvs(places, random_state)
        if size is None:
            return draws[:, 0]
        return draws

    def interval(self, level=0.9):
        """Central interval of the given probability.

        Parameters
        ----------
        level : float, default=0.9
            Probability of the interval; the rest is divided equally below and above it.

        Returns
        -------
        low, high : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The two ends.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if np.ndim(level) or not 0 <= level <= 1:
            raise ValueError(f"level must be in [0, 1], such as 0.9 for 90 %; got {level}.")
        return self.ppf((1 - level) / 2), self.ppf((1 + level) / 2)

    def crps(self, y):
        r"""Continuous ranked probability score, :math:`\int (F(t) - [t \ge y])^2 \, dt` [1]_.

        For a point mass it is the absolute error. Gaussian components have a closed form; other
        continuous components need an adaptive quadrature, which ends at an estimated relative error
        of 1e-6. For discrete components it is a sum over whole numbers; long sums are approximated.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, one value for each row or one for all; whole numbers for discrete mixtures.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target, for each output separately; lower is better.

        References
        ----------
        .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
           estimation", Journal of the American Statistical Association 102 (2007) 359-378.
        """
        y = self._expand(y)
        closed = self.components.crps(self.weights, y)
        if closed is not None:
            return closed
        y = np.broadcast_to(y, (len(self.weights), 1, *self._y_shape()))[:, 0]
        if self._has_outputs():
            return self._of_each_output("crps", y)
        return _quadrature.crps(self, y)

    def entropy(self):
        r"""Differential entropy in nats, :math:`-\int p \log p`; of counts, :math:`-\sum p \log p`.

        Computed by Gauss-Legendre quadrature between quantiles of the components, to about 1e-6;
        for discrete mixtures by a sum over whole numbers, approximated if it is long.

        Returns
        -------
        entropy : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            For each output separately.
        """
        if self._has_outputs():
            return self._of_each_output("entropy")
        return _quadrature.entropy(self)

    def _expand(self, y):
        """y with an axis for the experts: (n, 1[, m]) or a scalar."""
        y = np.asarray(y, dtype=np.float64)
        if y.ndim == 0:
            return y
        expected = (len(self.weights), *self._y_shape())
        if y.shape == (expected[0], 1) and len(expected) == 1:
            y = y[:, 0]
        if y.shape != expected:
            raise ValueError(f"y has shape {y.shape}; one value for each row is {expected}.")
        return y[:, None]

    def __repr__(self):
        n_samples, n_experts = self.weights.shape
        return f"<{type(self).__name__} of {n_experts} components for {n_samples} rows>"
