"""Components made of others: nested mixtures, and several mixtures joined."""

from functools import partialmethod

import numpy as np

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
        self.components = components
        self.nested = nested

    @property
    def discrete(self):
        flags = [each.discrete for _, _, each in self.nested]
        n_nested = sum(len(rows) for rows, _, _ in self.nested)
        if n_nested < np.prod(self.components.mean.shape[:2]):
            flags.append(self.components.discrete)
        return all(flags)

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
                if np.ndim(y) == 0:
                    its_y = y
                else:
                    its_y = y[rows, 0]
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

    discrete = property(lambda self: all(part.discrete for part in self.parts))
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

    cdf = partialmethod(_of_each, "cdf")
    sf = partialmethod(_of_each, "sf")

    def ppf(self, q):
        return np.concatenate([part.ppf(q) for part in self.parts], axis=1)

    def rvs(self, places, random_state):
        first = 0
        draws = None
        for part, count in zip(self.parts, self.counts, strict=True):
            own = part.rvs(np.clip(places - first, 0, count - 1), random_state)
            here = (places >= first).reshape(places.shape + (1,) * (own.ndim - 2))
            if draws is None:
                draws = own
            else:
                draws = np.where(here, own, draws)
            first += count
        return draws
