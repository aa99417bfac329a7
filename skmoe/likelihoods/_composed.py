"""What likelihoods that are made of others share."""

import copy
from abc import abstractmethod

import numpy as np

from ._base import BaseLikelihood
from ._names import unfitted


def with_parts(likelihood, parts):
    """A copy of a composed likelihood, made of others that are fitted."""
    twin = copy.copy(likelihood)
    twin._parts = parts
    return twin


def copied_parts(likelihood):
    """Its fitted parts, copied for a change, since EM keeps those before."""
    likelihood._parts = [copy.copy(each) for each in likelihood._parts]
    return likelihood._parts


class Composed(BaseLikelihood):
    """A likelihood of several others, which learn and answer for it."""

    looks_at_target = True

    @abstractmethod
    def _given(self):
        """The likelihoods that it is made of, as they were given."""

    @property
    def _new(self):
        """The same, unfitted, as they are to be trained."""
        return [
            unfitted(each).fitting(in_sample=True, linear=self._linear) for each in self._given()
        ]

    @property
    def _parts(self):
        """The fitted ones."""
        return self.likelihoods_

    @_parts.setter
    def _parts(self, parts):
        self.likelihoods_ = parts

    @property
    def changes_target(self):
        return any(each.changes_target for each in self._new)

    @property
    def is_robust(self):
        return any(each.is_robust for each in self._new)

    @property
    def is_reweighted(self):
        return any(each.is_reweighted for each in self._new)

    @property
    def expert_family(self):
        """Family of the default experts; None where they are lines."""
        families = {each.expert_family for each in self._new}
        return families.pop() if len(families) == 1 else None

    @property
    def takes_exposure(self):
        """Whether all means may be multiplied by an exposure."""
        return all(each.takes_exposure for each in self._new)

    def point(self):
        points = [each.point() for each in self._parts]
        return None if any(point is None for point in points) else np.concatenate(points)

    def at(self, point):
        ends = np.cumsum([len(each.point()) for each in self._parts])[:-1]
        pairs = zip(self._parts, np.split(point, ends), strict=True)
        return with_parts(self, [each.at(part) for each, part in pairs])

    def reorder(self, order):
        for each in copied_parts(self):
            each.reorder(order)

    def extended(self, other, k):
        pairs = zip(self._parts, other._parts, strict=True)
        return with_parts(self, [ours.extended(theirs, k) for ours, theirs in pairs])

    @property
    def n_parameters_(self):
        counts = [each.n_parameters_ for each in self._parts]
        return None if None in counts else sum(counts)


class Around(Composed):
    """A likelihood around a single other one, ``likelihood_``."""

    def _given(self):
        return [self.likelihood]

    @property
    def _parts(self):
        return [self.likelihood_]

    @_parts.setter
    def _parts(self, parts):
        (self.likelihood_,) = parts

    @property
    def independent_outputs(self):
        """Whether several outputs err independently of each other."""
        return self._new[0].independent_outputs

    def expert_target(self, y):
        return self._new[0].expert_target(y)

    def log_prior(self, penalty):
        return self.likelihood_.log_prior(penalty)

    @property
    def scale_(self):
        """Scales of the other likelihood."""
        return self.likelihood_.scale_

    @property
    def at_floor_(self):
        """Whether the scale of each expert is the smallest allowed; (n_experts,)."""
        return self.likelihood_.at_floor_

    @property
    def precision_(self):
        return self.likelihood_.precision_
