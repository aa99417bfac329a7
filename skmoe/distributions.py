"""The predictive distribution of a mixture, in the words of :mod:`scipy.stats`."""

from functools import cached_property

import numpy as np
from scipy import special, stats
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from . import _quadrature, _regions

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

    def crps(self, weights, y):
        r"""Continuous ranked probability score of their mixture, in closed form.

        .. math:: \sum_k \pi_k A(y - \mu_k, \sigma_k) - \tfrac12 \sum_{jk} \pi_j \pi_k
            A\bigl(\mu_j - \mu_k, \sqrt{\sigma_j^2 + \sigma_k^2}\bigr)

        where A is the mean of the absolute value of a Gaussian variable [1]_.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Of the mixture.
        y : float or ndarray that broadcasts against ``mean``
            Targets.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of each output alone.

        References
        ----------
        .. [1] E. P. Grimit, T. Gneiting, V. J. Berrocal and N. A. Johnson, "The continuous
           ranked probability score for circular variables and its application to mesoscale
           forecast ensemble verification", Quarterly Journal of the Royal Meteorological
           Society 132 (2006) 2925-2942.
        """
        gap = _mean_absolute(y - self.mean, self.std)
        for k in range(weights.shape[1]):
            spread = np.hypot(self.std[:, [k]], self.std)
            between = _mean_absolute(self.mean[:, [k]] - self.mean, spread)
            gap[:, k] -= 0.5 * np.einsum("nj,nj...->n...", weights, between)
        return np.einsum("nk,nk...->n...", weights, gap)

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return _diagonal(self.var)

    def output(self, j):
        """The components of one output alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : GaussianComponents
            Of one output.
        """
        return GaussianComponents(self.mean[..., j], self.std[..., j])

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


def _mean_absolute(mean, std):
    """Mean of the absolute value of Gaussian variables."""
    z = mean / std
    return std * 2 * np.exp(-0.5 * z**2 - _HALF_LOG_2PI) + mean * (2 * special.ndtr(z) - 1)


def _diagonal(var):
    """Covariance matrices (..., m, m) from variances (..., m) of independent outputs."""
    return var[..., None] * np.eye(var.shape[-1])


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

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return _diagonal(self.var)

    def output(self, j):
        """The components of one output alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : ScipyComponents
            Of one output.
        """

        return ScipyComponents(self._frozen(lambda parameter: parameter[..., j]))

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
        drawn = self._frozen(lambda parameter: _take(parameter, places))
        return drawn.rvs(size=_take(self.mean, places).shape, random_state=random_state)

    def _frozen(self, select):
        """The distribution with some of its parameters, which are first shaped like ``mean``."""

        def of(parameter):
            return select(np.broadcast_to(parameter, self.mean.shape))

        frozen = self.distribution
        named = {name: of(parameter) for name, parameter in frozen.kwds.items()}
        return frozen.dist(*(of(parameter) for parameter in frozen.args), **named)


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

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return self._place(self.components.cov, lambda each, rows: each.cov())

    def output(self, j):
        """The components of one output alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : NestedComponents
            Of one output.
        """
        nested = [(rows, places, each.output(j)) for rows, places, each in self.nested]
        return NestedComponents(self.components.output(j), nested)

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
        Gate probabilities; rows sum to one. Kept as ``weights``.
    components : object
        Components with ``mean``, ``var``, ``discrete``, ``logpdf``, ``cdf``, ``sf``, ``ppf``
        and ``rvs``, such as :class:`GaussianComponents` or :class:`ScipyComponents`; with several
        outputs also ``cov`` and ``output``. Kept as ``components``. Some that have
        ``crps(weights, y)`` know a closed form of it.

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
        return self.var_within() + self.var_between()

    def var_within(self):
        """The part of the variance that is the experts' own noise.

        Returns
        -------
        var : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Mean of the variances of the components.
        """
        return self._weigh(self.components.var)

    def var_between(self):
        """The part of the variance that is doubt about which expert answers.

        Returns
        -------
        var : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Variance of the means of the components.
        """
        return self._weigh(self._deviations() ** 2)

    def cov(self):
        """Covariance of the outputs.

        Outputs that are independent within every expert are not so in the mixture: they move
        together where experts differ in several.

        Returns
        -------
        cov : ndarray of shape (n_samples, n_outputs, n_outputs)
            Within the experts plus between them.

        Raises
        ------
        ValueError
            If there is one output only.
        """
        self._check_outputs("cov", several=True)
        deviations = self._deviations()
        between = np.einsum("nk,nki,nkj->nij", self.weights, deviations, deviations)
        return self._weigh(self.components.cov) + between

    def _deviations(self):
        """Means of the components, less that of the mixture."""
        return self.components.mean - np.expand_dims(self.mean(), 1)

    def output(self, j):
        """The distribution of one of several outputs alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        distribution : MixtureDistribution
            Of one output.

        Raises
        ------
        ValueError
            If there is one output only.
        """
        self._check_outputs("output", several=True)
        return MixtureDistribution(self.weights, self.components.output(j))

    def _has_outputs(self):
        return self.components.mean.ndim == 3

    def _check_outputs(self, method, *, several):
        if self._has_outputs() != several:
            wanted = "needs several outputs" if several else "takes one output: ask output(j)"
            raise ValueError(f"{method} {wanted}; y has shape {self._y_shape()} in each row.")

    def _y_shape(self):
        return self.components.mean.shape[2:]

    def _of_each_output(self, method, *args):
        """What a method for one output says of each of them, in one last axis."""
        outputs = range(self._y_shape()[0])
        arrays = [[arg[:, j] for arg in args] for j in outputs]
        answers = [getattr(self.output(j), method)(*arrays[j]) for j in outputs]
        return np.stack(answers, axis=1)

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
        """Quantiles, searched between the components' smallest and largest.

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
            Draws from each row's distribution. None is one, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples,) or (n_samples, size)
            In the units of the target; with several outputs one last axis more.
        """
        random_state = check_random_state(random_state)
        places = draw_places(self.weights, 1 if size is None else size, random_state)
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

    def modes(self):
        """Local maxima of the density.

        They are looked for on a grid as fine as the components and refined by golden section.

        Returns
        -------
        modes : ndarray of shape (n_samples, n_modes)
            Highest first, so that ``modes()[:, 0]`` is the mode; filled up with NaN in rows that
            have fewer than others. Good to 1e-7 standard deviations or so, where the density is
            level to rounding.

        Raises
        ------
        ValueError
            If there are several outputs.
        """
        self._check_outputs("modes", several=False)
        return _regions.modes(self)

    def hdr(self, level=0.9):
        """Regions of highest density: the smallest ones that hold the given probability.

        Where the density has several modes, the region may be several intervals, and leaves out
        the valley between them, which ``interval`` does not. Their ends are searched from a grid
        as fine as the components.

        Parameters
        ----------
        level : float, default=0.9
            Probability of the region, of discrete mixtures at least.

        Returns
        -------
        regions : list of ndarray of shape (n_intervals, 2)
            For each row the lower and upper ends of its intervals; of discrete mixtures the first
            and last whole number of each run.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, or if there are several outputs.
        """
        self._check_outputs("hdr", several=False)
        if np.ndim(level) or not 0 < level < 1:
            raise ValueError(f"level must be in (0, 1); got {level}.")
        return _regions.highest_density(self, level)

    def crps(self, y):
        r"""Continuous ranked probability score, :math:`\int (F(t) - [t \ge y])^2 \, dt` [1]_.

        Of a sure prediction it is the absolute error. In closed form for Gaussian components;
        by Gauss and Legendre's rule between quantiles of the components otherwise, and as a sum
        over all whole numbers for discrete ones.

        Parameters
        ----------
        y : float or array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, one value for each row or one for all; whole ones for discrete mixtures.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the units of the target; lower is better. Of each output alone.

        References
        ----------
        .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
           estimation", Journal of the American Statistical Association 102 (2007) 359-378.
        """
        y = self._expand(y)
        if hasattr(self.components, "crps"):
            return self.components.crps(self.weights, y)
        y = np.broadcast_to(y, (len(self.weights), 1, *self._y_shape()))[:, 0]
        return self._of_each_output("crps", y) if self._has_outputs() else _quadrature.crps(self, y)

    def entropy(self):
        r"""Differential entropy in nats, :math:`-\int p \log p`; of counts, :math:`-\sum p \log p`.

        By Gauss and Legendre's rule between quantiles of the components, good to some 1e-6; as a
        sum over all whole numbers for discrete mixtures.

        Returns
        -------
        entropy : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of each output alone.
        """
        return self._of_each_output("entropy") if self._has_outputs() else _quadrature.entropy(self)

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


def draw_places(weights, size, random_state):
    """Numbers of columns (n, size), drawn with the probabilities in each row of ``weights``."""
    cumulative = np.cumsum(weights, axis=1)
    levels = random_state.uniform(size=(len(weights), size)) * cumulative[:, -1:]
    return (levels[:, :, None] >= cumulative[:, None, :]).sum(axis=2)


def _take(values, places):
    """The entries (n, size[, m]) of ``values`` (n, K[, m]) at ``places`` (n, size)."""
    return values[np.arange(len(places))[:, None], places]
