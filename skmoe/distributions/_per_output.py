"""Components whose outputs are of different kinds."""

import numpy as np

from ._components import BaseComponents


class PerOutputComponents(BaseComponents):
    """Components of several outputs, independent within an expert and each of its own kind.

    Parameters
    ----------
    outputs : list of BaseComponents
        Components of one output each, such as :class:`GaussianComponents`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import (
    ...     GaussianComponents, PerOutputComponents, PoissonComponents,
    ... )
    >>> size = GaussianComponents(np.array([[2.0]]), np.array([1.0]))
    >>> count = PoissonComponents(np.array([[3.0]]))
    >>> PerOutputComponents([size, count]).cdf(np.array([[[2.0, 3.0]]])).round(3)
    array([[[0.5  , 0.647]]])
    """

    asks_each_output = True

    def __init__(self, outputs):
        self.outputs = outputs

    @property
    def discrete(self):
        return all(each.discrete for each in self.outputs)

    @property
    def has_atoms(self):
        return any(each.has_atoms for each in self.outputs)

    def without_noise(self):
        return PerOutputComponents([each.without_noise() for each in self.outputs])

    def _stacked(self, answers):
        return np.stack(answers, axis=-1)

    @property
    def mean(self):
        """Means, (n_samples, n_experts, n_outputs)."""
        return self._stacked([each.mean for each in self.outputs])

    @property
    def var(self):
        """Variances, shaped like ``mean``."""
        return self._stacked([each.var for each in self.outputs])

    def _of_each(self, method, y):
        y = np.broadcast_to(y, (*np.shape(y)[:-1], len(self.outputs)))
        return [getattr(each, method)(y[..., j]) for j, each in enumerate(self.outputs)]

    def logpdf(self, y):
        return sum(self._of_each("logpdf", y))

    def cdf(self, y):
        return self._stacked(self._of_each("cdf", y))

    def sf(self, y):
        return self._stacked(self._of_each("sf", y))

    def ppf(self, q):
        return self._stacked([each.ppf(q) for each in self.outputs])

    def output(self, j):
        return self.outputs[j]

    def rvs(self, places, random_state):
        return self._stacked([each.rvs(places, random_state) for each in self.outputs])
