"""Components made of others: nested mixtures, several mixtures joined, and zero-inflated ones."""

from functools import partialmethod

import numpy as np

from ._arrays import take
from ._components import BaseComponents
from ._quadrature import mixed


class NestedComponents(BaseComponents):
    """Components some of which are mixtures themselves.

    Parameters
    ----------
    components : BaseComponents
        Components of one kind, such as :class:`GaussianComponents`, for all rows and experts.
    nested : list of (rows, places, distribution)
        Distributions that replace some of the components: row ``i`` of a distribution replaces
        component ``places[i]`` of row ``rows[i]``.

    Notes
    -----
    Methods take one value for all rows, or (n_samples, 1) or (n_samples, 1, n_outputs).

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
        flags = [each.discrete for _, _, each in self.nested]
        n_nested = sum(len(rows) for rows, _, _ in self.nested)
        if n_nested < np.prod(self.components.mean.shape[:2]):
            flags.append(self.components.discrete)
        return all(flags)

    @property
    def has_atoms(self):
        parts = [self.components, *(each.components for _, _, each in self.nested)]
        return any(part.has_atoms for part in parts)

    def _place(self, values, answer):
        values = np.array(values)
        for rows, places, distribution in self.nested:
            values[rows, places] = answer(distribution)
        return values

    @property
    def mean(self):
        """Means, (n_samples, n_experts) or (n_samples, n_experts, n_outputs)."""
        return self._place(self.components.mean, lambda each: each.mean())

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self._place(self.components.var, lambda each: each.var())

    def logpdf(self, y):
        return self._at("logpdf", y)

    def cdf(self, y):
        return self._at("cdf", y)

    def sf(self, y):
        return self._at("sf", y)

    def _at(self, method, y):
        values = np.array(getattr(self.components, method)(y))
        for rows, places, distribution in self.nested:
            if self.components.mean.ndim == 3:
                its_y = y if np.ndim(y) == 0 else y[rows, 0]
                values[rows, places] = getattr(distribution, method)(its_y)
            else:
                its_y = np.broadcast_to(y, (*values.shape[:-1], 1))[..., rows, 0]
                values[..., rows, places] = mixed(distribution, method, its_y)
        return values

    def ppf(self, q):
        return self._place(self.components.ppf(q), lambda each: each.ppf(q))

    @property
    def cov(self):
        return self._place(self.components.cov, lambda each: each.cov())

    def output(self, j):
        nested = [(rows, places, each.output(j)) for rows, places, each in self.nested]
        return NestedComponents(self.components.output(j), nested)

    def rvs(self, places, random_state):
        draws = self.components.rvs(places, random_state)
        for rows, its_places, distribution in self.nested:
            here = places[rows] == np.asarray(its_places)[:, None]
            values = distribution.rvs(places.shape[1], random_state)
            here = here.reshape(here.shape + (1,) * (values.ndim - 2))
            draws[rows] = np.where(here, values, draws[rows])
        return draws


class JoinedComponents(BaseComponents):
    """Components of several mixtures for the same target and rows, joined to one mixture."""

    def __init__(self, parts):
        self.parts = parts
        self.counts = [part.mean.shape[1] for part in parts]
        self.edges = tuple(dict.fromkeys(edge for part in parts for edge in part.edges))

    discrete = property(lambda self: all(part.discrete for part in self.parts))
    has_atoms = property(lambda self: any(part.has_atoms for part in self.parts))
    mean = property(lambda self: np.concatenate([part.mean for part in self.parts], axis=1))
    var = property(lambda self: np.concatenate([part.var for part in self.parts], axis=1))
    cov = property(lambda self: np.concatenate([part.cov for part in self.parts], axis=1))

    def output(self, j):
        return JoinedComponents([part.output(j) for part in self.parts])

    def logpdf(self, y):
        return np.concatenate([part.logpdf(y) for part in self.parts], axis=-1)

    def _of_each(self, method, y):
        """Results of all mixtures, joined along the axis of the experts."""
        axis = 1 - self.parts[0].mean.ndim
        return np.concatenate([getattr(part, method)(y) for part in self.parts], axis=axis)

    cdf, sf = partialmethod(_of_each, "cdf"), partialmethod(_of_each, "sf")

    def ppf(self, q):
        return np.concatenate([part.ppf(q) for part in self.parts], axis=1)

    def rvs(self, places, random_state):
        first, draws = 0, None
        for part, count in zip(self.parts, self.counts, strict=True):
            own = part.rvs(np.clip(places - first, 0, count - 1), random_state)
            here = (places >= first).reshape(places.shape + (1,) * (own.ndim - 2))
            draws = own if draws is None else np.where(here, own, draws)
            first += count
        return draws


class ZeroInflatedComponents(BaseComponents):
    """Components some of which are replaced by a point mass at zero.

    Parameters
    ----------
    components : BaseComponents
        Components for nonnegative targets, such as :class:`PoissonComponents`.
    is_zero : ndarray of bool that broadcasts to (n_samples, n_experts)
        Which components are replaced by a point mass.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import (
    ...     MixtureDistribution, PoissonComponents, ZeroInflatedComponents,
    ... )
    >>> poisson = PoissonComponents(np.array([[3.0, 1.0]]))
    >>> counts = ZeroInflatedComponents(poisson, [False, True])
    >>> MixtureDistribution(np.array([[0.5, 0.5]]), counts).pmf(0).round(3)
    array([0.525])
    """

    edges = (0.0,)

    def __init__(self, components, is_zero):
        self.components = components
        self.is_zero = np.broadcast_to(is_zero, components.mean.shape)

    @property
    def discrete(self):
        return self.components.discrete

    @property
    def has_atoms(self):
        return not self.discrete and bool(self.is_zero.any())

    @property
    def mean(self):
        """Means, (n_samples, n_experts)."""
        return np.where(self.is_zero, 0.0, self.components.mean)

    @property
    def var(self):
        """Variances, (n_samples, n_experts)."""
        return np.where(self.is_zero, 0.0, self.components.var)

    def logpdf(self, y):
        at_zero = np.where(np.equal(y, 0), 0.0, -np.inf)
        return np.where(self.is_zero, at_zero, self.components.logpdf(y))

    def cdf(self, y):
        return np.where(self.is_zero, np.greater_equal(y, 0), self.components.cdf(y))

    def sf(self, y):
        return np.where(self.is_zero, np.less(y, 0), self.components.sf(y))

    def ppf(self, q):
        lowest = -1.0 if self.discrete and q == 0 else 0.0
        return np.where(self.is_zero, lowest, self.components.ppf(q))

    def rvs(self, places, random_state):
        return np.where(take(self.is_zero, places), 0.0, self.components.rvs(places, random_state))
