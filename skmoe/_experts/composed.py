"""Experts that other linear experts train and predict."""

import copy

import numpy as np

from .base import Experts


class ComposedExperts(Experts):
    """Linear experts made of others, ``parts``, which are copied before they change.

    Forks then do not share them.
    """

    is_solved = True
    n_fits = property(lambda self: self.parts[0].n_fits)
    shared_columns = property(lambda self: self.parts[0].shared_columns)
    owner = property(lambda self: self.parts[0].owner)

    def __init__(self, parts):
        self.parts = parts

    def copied(self):
        """The parts, copied for a change."""
        self.parts = [copy.copy(each) for each in self.parts]
        return self.parts

    def on_rows(self, rows, weight):
        """A copy on some of the rows, with other weights."""
        return type(self)([each.on_rows(rows, weight) for each in self.parts])

    def point(self):
        points = [each.point() for each in self.parts]
        return None if any(point is None for point in points) else np.concatenate(points)

    def go_to(self, point):
        ends = np.cumsum([each.coef.size for each in self.parts])[:-1]
        for each, part in zip(self.copied(), np.split(point, ends), strict=True):
            each.go_to(part)

    def state(self):
        return [each.state() for each in self.parts]

    def restore(self, state):
        for each, its_state in zip(self.copied(), state, strict=True):
            each.restore(its_state)
