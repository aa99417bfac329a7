"""Anderson acceleration of the last, slow iterations of EM."""

from collections import deque

import numpy as np
from scipy import linalg

MEMORY = 5  # EM steps before this one that are looked at
LARGEST_GAIN = 0.01  # acceleration begins below this gain of an iteration, per unit of weight
SLOW_RATE = 0.2  # ratio of a gain to the one before
SLOW_ITERATIONS = 4  # in succession whose gains fall, but not faster than that
LEAST_SHARE = 0.5  # fraction of the expected gain of EM's own step that a trial must reach
PAUSE = 2  # plain iterations after a proposal that was not better
RIDGE = 1e-10  # relative, of the least squares


class Acceleration:
    r"""Extrapolates EM's steps from the last few of them.

    EM maps a point :math:`\theta` to :math:`\theta + f(\theta)`. Of the last steps, Anderson's
    method [1]_ takes the combination in which they cancel best, in the metric of the complete
    data's curvature, and goes on from the same combination of the points that they lead to. It
    begins where EM is slow: earlier, it would lead to other optima. A proposal has to raise the
    objective by half of what EM's own step promises, ``f' metric f / 2``; else the step is EM's,
    and so the objective never falls [2]_.

    Attributes
    ----------
    is_late : bool
        Whether EM has become slow: only then is there anything to propose.

    References
    ----------
    .. [1] D. G. Anderson, "Iterative procedures for nonlinear integral equations", Journal of the
       ACM 12 (1965) 547-560.
    .. [2] N. C. Henderson and R. Varadhan, "Damped Anderson acceleration with restarts and
       monotonicity control for accelerating EM and EM-like algorithms", Journal of Computational
       and Graphical Statistics 28 (2019) 834-846.
    """

    def __init__(self):
        self._history = deque(maxlen=MEMORY)
        self._gain, self._pause, self._n_slow, self.is_late = None, 0, 0, False

    def note(self, gain):
        """Take the gain of an iteration, per unit of weight."""
        if self._gain is not None and gain < LARGEST_GAIN:
            is_slow = SLOW_RATE * self._gain < gain < self._gain
            self._n_slow = self._n_slow + 1 if is_slow else 0
            self.is_late = self.is_late or self._n_slow >= SLOW_ITERATIONS
        self._gain = gain

    def propose(self, point, step, metric):
        """A point to go on from in place of ``point + step``, and the least gain for it; or None.

        ``step`` is EM's, and ``metric`` the curvature of the complete data times directions
        (n_parameters, n_directions). The gain is the objective's; None where EM's own step is to be
        taken.
        """
        before = list(self._history)
        self._history.append((point, step))
        is_paused, self._pause = self._pause > 0, max(0, self._pause - 1)
        if is_paused or not before:
            return None, 0.0
        points, steps = (np.array(each).T for each in zip(*before, strict=True))
        directions = np.empty((len(step), len(before) + 1))
        directions[:, :-1], directions[:, -1] = step[:, None] - steps, step
        step_changes, weighted = directions[:, :-1], metric(directions)
        normal = step_changes.T @ weighted[:, :-1]
        normal.flat[:: len(normal) + 1] *= 1 + RIDGE
        _, shares, failed = linalg.lapack.dposv(normal, weighted[:, :-1].T @ step)
        if failed:
            return None, 0.0
        changes = point[:, None] - points + step_changes
        promised = 0.5 * step @ weighted[:, -1]
        return point + step - changes @ shares, LEAST_SHARE * promised

    def reject(self):
        """The last proposal was not better: forget what led to it, and let EM go on alone."""
        self._history.clear()
        self._pause = PAUSE
