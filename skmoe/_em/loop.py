"""The EM loop. It drives a problem and does not depend on estimators.

A problem promises ``step()``, one EM iteration that returns the objective reached, ``state()``
and ``restore(state)``, and ``revive()``, which re-seeds dead experts and says whether there were
any.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

ROUNDING = 1e-9  # relative rounding error of an objective summed over rows after Newton steps
FINEST = 1e-13  # relative gain of an objective that may be rounding error
N_GAINS = 5  # gains compared: a single one after an acceleration predicts the next badly
SLOWEST = 0.995  # rate by which gains are taken to shrink at most


@dataclass
class Run:
    """What one run of EM reached."""

    # List of float: after each iteration, per unit of weight.
    objectives: list = field(default_factory=list)
    # Whether the iterations after the best one changed the objective by ``tol`` at most.
    converged: bool = False
    fell: bool = False  # whether the run ended because the objective fell, and did not come back
    interrupted: bool = False  # whether ``after`` ended the run


def run_em(
    problem, *, max_iter, tol, patience, foresees=False, revivals=0, before=None, after=None
):
    """Iterate until the objective gains no more than ``tol``; keep the best iterate.

    EM converges geometrically, so that a small gain may be one of very many. Where it is asked to,
    the loop foresees by the last gains how much is left (Aitken's method [1]_).

    An objective that falls by more than ``tol`` has not converged. It may come back: the run
    ends when it did not for ``patience`` iterations, two at least.

    ``problem`` has ``step``, ``state``, ``restore`` and ``revive``, and is left at the best
    iterate. ``tol`` is per unit of weight; with ``foresees`` it is for all that is left to gain,
    where the objective must rise. ``patience`` is 1 where it does for certain. ``revivals`` is how
    often dead experts may be re-seeded: whenever the run would stop, and halfway. ``before()`` is
    called before each iteration, and ``after(objectives)`` after it; if that returns something
    true, the run ends.

    References
    ----------
    .. [1] D. Böhning, E. Dietz, R. Schaub, P. Schlattmann and B. G. Lindsay, "The distribution of
       the likelihood ratio for mixtures of densities from the one-parameter exponential family",
       Annals of the Institute of Statistical Mathematics 46 (1994) 373-388.
    """
    run = Run()
    best_value, best_state = np.nan, None  # NaN is worse than any number
    gains = []  # the last ones
    reference, stale = -np.inf, []  # best since the last re-seeding, and changes without a gain
    for iteration in range(1, max_iter + 1):
        if before is not None:
            before()
        value = problem.step()
        run.objectives.append(value)
        if after is not None:
            run.interrupted = bool(after(run.objectives))
        change = value - reference
        gains = [*gains[1 - N_GAINS :], change]
        is_rounded = change <= FINEST * abs(value)
        left = change + _to_come(gains) if foresees and not is_rounded else change
        stale = [] if left > tol else [*stale, change]
        reference = max(reference, value)
        if value > best_value or np.isnan(best_value):
            best_value, best_state = value, problem.state()
        fell = not all(change >= -tol - ROUNDING * abs(reference) for change in stale)
        ends = len(stale) >= (max(patience, 2) if fell else patience)
        if reference == best_value:  # else an iterate from before the re-seeding is kept
            run.converged = ends and not fell
        if run.interrupted:
            break
        last_chance = iteration == max_iter // 2
        if revivals and (ends or last_chance) and iteration < max_iter and problem.revive():
            revivals -= 1
            reference, stale, gains = -np.inf, [], []
        elif ends:
            run.fell = fell
            break
    problem.restore(best_state)
    return run


def _to_come(gains):
    """What later gains add up to if they shrink as the last ones did where they shrank least."""
    if gains[-1] <= 0:
        return 0.0
    rate = SLOWEST
    if len(gains) > 2 and min(gains) > 0:
        rate = min(rate, max(gain / before for before, gain in pairwise(gains)))
    return gains[-1] * rate / (1 - rate)
