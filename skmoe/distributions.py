"""The predictive distribution of a mixture, in the words of :mod:`scipy.stats`."""

from functools import cached_property

import numpy as np
from scipy import special, stats
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

__all__ = ["GaussianComponents", "MixtureDistribution", "NestedComponents", "ScipyComponents"]

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class GaussianComponents:
    """Gaussian components, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Means.
    std : ndarray that broadcasts against ``mean``
        Standard deviations, such as one for each expert, (n_experts,) or (n_experts, n_outputs);
        outputs are independent within an expert.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import GaussianComponents
    >>> GaussianComponents(np.array([[-1.0, 1.0]]), np.array([0.5, 2.0])).cdf(-1.0).round(3)
    array([[0.5  , 0.159]])
    """

    discrete = False

    def __init__(self, mean, std):
        self.mean = mean
        self.std = np.broadcast_to(std, mean.shape)

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self.std**2

    def logpdf(self, y):
        """Log-density of each component.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs.
        """
        log_density = -0.5 * ((y - self.mean) / self.std) ** 2 - np.log(self.std) - _HALF_LOG_2PI
        return log_density.sum(axis=2) if log_density.ndim == 3 else log_density

    def cdf(self, y):
        """Distribution function of each component.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return special.ndtr((y - self.mean) / self.std)

    def sf(self, y):
        """Survival function of each component, exact in the upper tail.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return special.ndtr((self.mean - y) / self.std)

    def ppf(self, q):
        """Quantile function of each component.

        Parameters
        ----------
        q : float
            A probability.

        Returns
        -------
        quantiles : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self.mean + self.std * special.ndtri(q)

    def rvs(self, places, random_state):
        """Draw from some of the components.

        Parameters
        ----------
        places : ndarray of shape (n_samples, size)
            For each draw of a row, the number of the component.
        random_state : RandomState
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples, size) or (n_samples, size, n_outputs)
            In the units of the target.
        """
        mean, std = _take(self.mean, places), _take(self.std, places)
        return mean + std * random_state.standard_normal(mean.shape)


class ScipyComponents:
    """Components of any kind that :mod:`scipy.stats` has, one for each row and expert.

    Parameters
    ----------
    distribution : frozen distribution of scipy.stats
        Continuous, or discrete on whole numbers. Its parameters broadcast to
        (n_samples, n_experts) or (n_samples, n_experts, n_outputs), as in
        ``stats.t(4, loc=prediction, scale=scale)``; outputs are independent within an expert.

    Attributes
    ----------
    discrete : bool
        Whether all the probability is on whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from skmoe.distributions import MixtureDistribution, ScipyComponents
    >>> counts = ScipyComponents(stats.poisson(np.array([[1.0, 5.0]])))
    >>> counts.cdf(2.5).round(3)
    array([[0.92 , 0.125]])
    >>> MixtureDistribution(np.array([[0.5, 0.5]]), counts).ppf([0.1, 0.5, 0.9])
    array([[0., 2., 7.]])
    """

    def __init__(self, distribution):
        self.distribution = distribution
        self.discrete = isinstance(distribution.dist, stats.rv_discrete)

    @cached_property
    def mean(self):
        """Means, (n_samples, n_experts) or (n_samples, n_experts, n_outputs)."""
        return np.asarray(self.distribution.mean())

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self.distribution.var()

    def logpdf(self, y):
        """Log-density of each component; of discrete ones, the log-probability of the value.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs.
        """
        log_density = self.distribution.logpmf if self.discrete else self.distribution.logpdf
        return log_density(y).sum(axis=2) if self.mean.ndim == 3 else log_density(y)

    def cdf(self, y):
        """Distribution function of each component.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self.distribution.cdf(y)

    def sf(self, y):
        """Survival function of each component, exact in the upper tail.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self.distribution.sf(y)

    def ppf(self, q):
        """Quantile function of each component.

        Parameters
        ----------
        q : float
            A probability.

        Returns
        -------
        quantiles : ndarray, shaped like ``mean``
            Of each output alone; of discrete components, the smallest whole number whose
            distribution function is at least q.
        """
        return self.distribution.ppf(q)


class NestedComponents:
    """Components some of which are distributions themselves: mixtures within a mixture.

    Parameters
    ----------
    components : object
        Components of one kind, such as :class:`GaussianComponents`, for all rows and experts.
    nested : list of (rows, places, distribution)
        Distributions that take the place of some of them: the one of row ``i`` of a distribution
        is component ``places[i]`` of row ``rows[i]``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import (
    ...     GaussianComponents, MixtureDistribution, NestedComponents,
    ... )
    >>> pair = GaussianComponents(np.array([[-1.0, 1.0]]), np.array([0.5, 0.5]))
    >>> pair = MixtureDistribution(np.array([[0.5, 0.5]]), pair)
    >>> flat = GaussianComponents(np.array([[0.0, 3.0]]), np.array([1.0, 0.5]))
    >>> NestedComponents(flat, [([0], [0], pair)]).var
    array([[1.25, 0.25]])
    """

    def __init__(self, components, nested):
        self.components, self.nested = components, nested

    @property
    def discrete(self):
        """Whether all the probability is on whole numbers."""
        flags = [each.discrete for _, _, each in self.nested]
        n_nested = sum(len(rows) for rows, _, _ in self.nested)
        if n_nested < np.prod(self.components.mean.shape[:2]):
            flags.append(self.components.discrete)
        return all(flags)

    def _place(self, values, answer):
        values = np.array(values)
        for rows, places, distribution in self.nested:
            values[rows, places] = answer(distribution, rows)
        return values

    @property
    def mean(self):
        """Means, (n_samples, n_experts) or (n_samples, n_experts, n_outputs)."""
        return self._place(self.components.mean, lambda each, rows: each.mean())

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self._place(self.components.var, lambda each, rows: each.var())

    def logpdf(self, y):
        """Log-density of each component.

        Parameters
        ----------
        y : float or ndarray of shape (n_samples, 1) or (n_samples, 1, n_outputs)
            Where to look.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs.
        """
        return self._at("logpdf", y)

    def cdf(self, y):
        """Distribution function of each component.

        Parameters
        ----------
        y : float or ndarray of shape (n_samples, 1) or (n_samples, 1, n_outputs)
            Where to look.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self._at("cdf", y)

    def sf(self, y):
        """Survival function of each component.

        Parameters
        ----------
        y : float or ndarray of shape (n_samples, 1) or (n_samples, 1, n_outputs)
            Where to look.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self._at("sf", y)

    def _at(self, method, y):
        return self._place(
            getattr(self.components, method)(y),
            lambda each, rows: getattr(each, method)(y if np.ndim(y) == 0 else y[rows, 0]),
        )

    def ppf(self, q):
        """Quantile function of each component.

        Parameters
        ----------
        q : float
            A probability.

        Returns
        -------
        quantiles : ndarray, shaped like ``mean``
            Of each output alone.
        """
        return self._place(self.components.ppf(q), lambda each, rows: each.ppf(q))

    def rvs(self, places, random_state):
        """Draw from some of the components.

        Parameters
        ----------
        places : ndarray of shape (n_samples, size)
            For each draw of a row, the number of the component.
        random_state : RandomState
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples, size) or (n_samples, size, n_outputs)
            In the units of the target.
        """
        draws = self.components.rvs(places, random_state)
        for rows, its_places, distribution in self.nested:
            here = places[rows] == np.asarray(its_places)[:, None]
            values = distribution.rvs(places.shape[1], random_state)
            here = here.reshape(here.shape + (1,) * (values.ndim - 2))
            draws[rows] = np.where(here, values, draws[rows])
        return draws


class MixtureDistribution:
    r"""The predictive distribution :math:`\sum_k \pi_k(x) f_k(y \mid x)` of each of n rows.

    Returned by ``predict_dist`` of a mixture. Every method answers for all rows at once. With
    several outputs, the density is joint over the outputs, and means, variances, distribution
    function and quantiles are those of each output alone, in one last axis.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_experts)
        Gate probabilities; rows sum to one.
    components : object
        Components with ``mean``, ``var``, ``discrete``, ``logpdf``, ``cdf``, ``sf`` and ``ppf``,
        such as :class:`GaussianComponents` or :class:`ScipyComponents`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import GaussianComponents, MixtureDistribution
    >>> components = GaussianComponents(np.array([[-1.0, 1.0]]), np.array([0.5, 0.5]))
    >>> dist = MixtureDistribution(np.array([[0.5, 0.5]]), components)
    >>> dist.mean(), dist.var(), dist.ppf(0.5).round(6) + 0.0
    (array([0.]), array([1.25]), array([0.]))
    """

    def __init__(self, weights, components):
        self.weights = weights
        self.components = components

    @classmethod
    def of_equals(cls, distributions):
        """The mixture of some distributions of the same rows, all of the same weight.

        Parameters
        ----------
        distributions : list of MixtureDistribution
            With as many rows each.

        Returns
        -------
        distribution : MixtureDistribution
            Whose components are these.
        """
        means = np.stack([each.mean() for each in distributions], axis=1)
        rows = np.arange(len(means))
        nested = [(rows, np.full(len(rows), k), each) for k, each in enumerate(distributions)]
        weights = np.full(means.shape[:2], 1 / len(distributions))
        return cls(weights, NestedComponents(GaussianComponents(means, 1.0), nested))

    @property
    def discrete(self):
        """Whether all the probability is on whole numbers."""
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
            Within the experts plus between them.
        """
        spread = self.components.mean - np.expand_dims(self.mean(), 1)
        return self._weigh(self.components.var + spread**2)

    def std(self):
        """Standard deviation.

        Returns
        -------
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target.
        """
        return np.sqrt(self.var())

    def logpdf(self, y):
        """Log-density; of discrete components, the log-probability of the value.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Where to look, one value for each row or one for all.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm; joint over the outputs.
        """
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        return special.logsumexp(log_weights + self.components.logpdf(self._expand(y)), axis=1)

    @available_if(lambda self: self.discrete)
    def logpmf(self, y):
        """Logarithm of the probability of a value, where components are discrete.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Where to look, one value for each row or one for all.

        Returns
        -------
        log_probability : ndarray of shape (n_samples,)
            The same as ``logpdf``; joint over the outputs.
        """
        return self.logpdf(y)

    @available_if(lambda self: self.discrete)
    def pmf(self, y):
        """Probability of a value, where components are discrete.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Where to look, one value for each row or one for all.

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
            Where to look, one value for each row or one for all.

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
            Where to look, one value for each row or one for all.

        Returns
        -------
        cdf : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Probability of a value of at most y, for each output alone.
        """
        return self._weigh(self.components.cdf(self._expand(y)))

    def sf(self, y):
        """Survival function, ``1 - cdf``, exact in the upper tail.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Where to look, one value for each row or one for all.

        Returns
        -------
        sf : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Probability of a value above y, for each output alone.
        """
        return self._weigh(self.components.sf(self._expand(y)))

    def ppf(self, q):
        """Quantiles, by bisection between the components' smallest and largest.

        The quantile of discrete components is the smallest y with ``cdf(y) >= q``.

        Parameters
        ----------
        q : float or array-like of shape (n_quantiles,)
            Probabilities between 0 and 1.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            One column for each q, none for a scalar; with several outputs one last axis more.

        Raises
        ------
        ValueError
            If a q is not between 0 and 1.
        """
        q = np.asarray(q, dtype=np.float64)
        if q.ndim > 1 or not q.size or not ((q >= 0) & (q <= 1)).all():
            raise ValueError(f"q must be one probability or a list of them, in [0, 1]; got {q}.")
        if q.ndim == 0:
            return self._quantile(float(q))
        return np.stack([self._quantile(float(one)) for one in q], axis=1)

    def _quantile(self, q):
        quantiles = self.components.ppf(q)
        unused = self.weights == 0
        if quantiles.ndim == 3:
            unused = unused[:, :, None]
        low = np.where(unused, np.inf, quantiles).min(axis=1)
        high = np.where(unused, -np.inf, quantiles).max(axis=1)
        if q in (0.0, 1.0):
            return low if q == 0.0 else high
        if self.discrete:
            low = low - 1  # below the quantile, as the search keeps it; both ends are whole
        for _ in range(64):  # the width halves each time: 64 bits are more than a double has
            middle = 0.5 * (low + high)
            middle = np.floor(middle) if self.discrete else middle
            above = self._weigh(self.components.cdf(np.expand_dims(middle, 1))) >= q
            new_low, new_high = np.where(above, low, middle), np.where(above, middle, high)
            if (new_high - new_low >= high - low).all():
                break  # no number left between the two
            low, high = new_low, new_high
        return high

    def rvs(self, size=None, random_state=None):
        """Draw from the distributions.

        Parameters
        ----------
        size : int, default=None
            Draws from each row's distribution. None is one, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples,) or (n_samples, size)
            In the units of the target; with several outputs one last axis more.
        """
        random_state = check_random_state(random_state)
        cumulative = np.cumsum(self.weights, axis=1)
        shape = (len(cumulative), 1 if size is None else size)
        levels = random_state.uniform(size=shape) * cumulative[:, -1:]
        places = (levels[:, :, None] >= cumulative[:, None, :]).sum(axis=2)
        draws = self.components.rvs(places, random_state)
        return draws[:, 0] if size is None else draws

    def interval(self, level=0.9):
        """Central interval of the given probability.

        Parameters
        ----------
        level : float, default=0.9
            Probability that the interval holds, as much of the rest below it as above.

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
            raise ValueError(f"level must be in [0, 1]; got {level}.")
        return self.ppf((1 - level) / 2), self.ppf((1 + level) / 2)

    def _expand(self, y):
        """y with an axis for the experts: (n, 1[, m]) or a scalar."""
        y = np.asarray(y, dtype=np.float64)
        if y.ndim == 0:
            return y
        expected = self.components.mean.shape[:1] + self.components.mean.shape[2:]
        if y.shape == (expected[0], 1) and len(expected) == 1:
            y = y[:, 0]
        if y.shape != expected:
            raise ValueError(f"y has shape {y.shape}; one value for each row is {expected}.")
        return y[:, None]

    def __repr__(self):
        n_samples, n_experts = self.weights.shape
        return f"<{type(self).__name__} of {n_experts} components for {n_samples} rows>"


def _take(values, places):
    """The entries (n, size[, m]) of ``values`` (n, K[, m]) at ``places`` (n, size)."""
    return values[np.arange(len(places))[:, None], places]
