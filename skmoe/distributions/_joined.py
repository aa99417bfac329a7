"""Components of several mixtures, side by side."""

import numpy as np

from ._components import BaseComponents
from ._student_t import StudentTComponents


def joined_components(parts):
    """Components of several mixtures as those of one; of Student's t components, of that kind."""
    if any(type(part) is not StudentTComponents for part in parts):
        return JoinedComponents(parts)
    arrays = ([getattr(part, name) for part in parts] for name in ("mean", "scale", "df"))
    return StudentTComponents(*(np.concatenate(each, axis=1) for each in arrays))


class JoinedComponents(BaseComponents):
    """Components of several mixtures of the same target and rows as those of one."""

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

    def cdf(self, y):
        return self._of_each("cdf", y)

    def sf(self, y):
        return self._of_each("sf", y)

    def logcdf(self, y):
        return self._of_each("logcdf", y)

    def logsf(self, y):
        return self._of_each("logsf", y)

    def _of_each(self, method, y):
        """Joined over the experts, whose axis is the last but for outputs."""
        axis = 1 - self.parts[0].mean.ndim
        return np.concatenate([getattr(part, method)(y) for part in self.parts], axis=axis)

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
