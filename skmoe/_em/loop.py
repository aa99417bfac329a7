"""The EM loop. It drives a problem and knows nothing of estimators.

A problem promises ``step()``, one EM iteration that returns the objective reached, ``state()``
and ``restore(state)``, and ``revive(round)``, which re-seeds dead experts and says whether there
were any.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Run:
    """What one run of EM reached.

    Attributes
    ----------
    objectives : list of float
        After each iteration, per unit of weight.
    converged : bool
        Whether the stopping rule was met before the iterations ran out.
    interrupted : bool
        Whether ``after`` ended the run.
    """

    objectives: list = field(default_factory=list)
    converged: bool = False
    interrupted: bool = False


def run_em(problem, *, max_iter, tol, patience, revivals=0, before=None, after=None):
    """Iterate until the objective gains less than ``tol``; keep the best iterate.

    Parameters
    ----------
    problem : object
        With ``step``, ``state``, ``restore`` and ``revive``.
    max_iter : int
        Iterations at most.
    tol : float
        Smallest gain that counts, per unit of weight.
    patience : int
        Iterations without such a gain over the best so far, after which to stop. 1 where the
        objective rises for certain.
    revivals : int, default=0
        How often dead experts may be re-seeded: whenever the run would stop, and halfway.
    before : callable, default=None
        Called without arguments before each iteration.
    after : callable, default=None
        Called after each iteration with the objectives so far. If it returns something true,
        the run ends.

    Returns
    -------
    run : Run
        The problem is left at the best iterate.
    """
    run = Run()
    best_value, best_state, stale = -np.inf, None, 0
    reference = -np.inf  # best since the last re-seeding
    for iteration in range(1, max_iter + 1):
        if before is not None:
            before()
        value = problem.step()
        run.objectives.append(value)
        if after is not None:
            run.interrupted = bool(after(run.objectives))
        stale = 0 if value > reference + tol else stale + 1
        reference = max(reference, value)
        if value > best_value or best_state is None:
            best_value, best_state = value, problem.state()
        run.converged = stale >= patience
        if run.interrupted:
            break
        last_chance = iteration == max_iter // 2
        if revivals and (run.converged or last_chance) and iteration < max_iter:
            if problem.revive():
                revivals -= 1
                reference, stale, run.converged = -np.inf, 0, False
        if run.converged:
            break
    problem.restore(best_state)
    return run
