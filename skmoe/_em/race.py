"""Short EM runs from many starts, of which the best goes on."""

from dataclasses import dataclass, field

import numpy as np

from .._parallel import jobs, threads_for_rows
from .loop import during_start, print_start, run_em

SHORT_RUN = 10  # EM iterations to tell a good start from a bad one
FIRST_LOOK = 4  # iterations, after which the hopeless ones end
SLOW_RATE = 0.95  # by which gains shrink at the fastest, for all that is known so early
FINALISTS = 5  # starts that go on
LONGER_RUN = 50  # for so many iterations more, to tell the best of them
SAME = 1e-6  # per unit of weight; starts closer than this have most likely met
TIE = 1e-9  # per unit of weight; the first of equal starts wins


def best_start(problem, starts, n_jobs, verbose=0, first=0, most=np.inf):
    """Run EM briefly from each start, longer from the best; the state after the best run.

    The problem, of experts that are quick to fit, is left alone. ``first`` is the number of the
    first start, for what is printed; ``most`` are the iterations of all runs together, about.

    Returns the state, for ``problem.restore``; where each run ended that tells good starts from bad
    ones, its objective and fewest effective rows of an expert; and paths, the objectives of each
    run, longer ones of those that went on.
    """
    with threads_for_rows(len(problem.y)), jobs(n_jobs, shared=(problem,)) as run:
        return _best_of_runs(starts, run, verbose, first, most)


@dataclass
class _Contestant:
    """A start on its way: responsibilities, then what EM made of them."""

    number: int
    resp: np.ndarray | None
    state: object = None
    objectives: list = field(default_factory=list)
    converged: bool = False
    fewest_rows: float = np.nan

    @property
    def objective(self):
        """The best so far."""
        return np.fmax.reduce(self.objectives)  # NaN is none

    def may_reach(self, objective):
        """Whether gains that go on to shrink as the last one did, or slowly, lead so far."""
        if self.converged or len(self.objectives) < 3:
            return not self.objective < objective
        before, gain = np.diff(self.objectives[-3:])
        rate = gain / before if before > 0 else 1.0
        if not rate < 1:  # it gathers speed
            return True
        rate = max(rate, SLOW_RATE)
        return not self.objectives[-1] + gain * rate / (1 - rate) < objective


def _best_of_runs(starts, run, verbose, first, most):
    starts = starts[: max(int(min(most / FIRST_LOOK, len(starts))), 1)]
    contestants = [_Contestant(first + i, resp) for i, resp in enumerate(starts)]
    runs = _race(contestants, SHORT_RUN, run, verbose)
    paths = [contestant.objectives for contestant in runs]
    ends = [(contestant.objective, contestant.fewest_rows) for contestant in runs]
    finalists = []
    while runs and len(finalists) < FINALISTS:
        best = _best(runs)
        finalists.append(best)
        runs = [other for other in runs if abs(other.objective - best.objective) > SAME]
        runs = [other for other in runs if other.may_reach(finalists[0].objective)]
    left = (most - sum(map(len, paths))) / len(finalists)
    if (len(finalists) > 1 or most < np.inf) and left >= SHORT_RUN:
        finalists = _race(finalists, int(min(left, LONGER_RUN)), run, verbose)
    for finalist in finalists:
        paths[finalist.number - first] = finalist.objectives
    return _best(finalists).state, ends, paths


def _race(contestants, max_iter, run, verbose):
    """So many iterations of each, but for those that are hopelessly behind after the first few.

    The limit that they head for is projected from the last gains by Aitken's method.
    """
    first = run(_race_on, ((contestant, FIRST_LOOK, verbose) for contestant in contestants))
    best = _best(first).objective
    going = [not c.converged and c.may_reach(best) for c in first]
    left = [c for c, go in zip(first, going, strict=True) if go]
    rest = iter(run(_race_on, ((c, max_iter - FIRST_LOOK, verbose) for c in left)))
    return [next(rest) if go else c for c, go in zip(first, going, strict=True)]


def _best(runs):
    """The contestant of the highest objective; of equal ones the first."""
    best = runs[0]
    for other in runs[1:]:
        if other.objective > best.objective + TIE or np.isnan(best.objective):
            best = other
    return best


def _race_on(problem, contestant, max_iter, verbose):
    problem = problem.fork()
    if contestant.state is None:
        problem.start(contestant.resp)
    else:
        problem.restore(contestant.state)
    after = during_start(contestant.number) if verbose else None
    ran = run_em(problem, max_iter=max_iter, tol=1e-6, patience=1, after=after)
    objectives = contestant.objectives + ran.objectives
    if verbose:
        print_start(contestant.number, objectives)
    return _Contestant(
        contestant.number,
        None,
        problem.state(),
        objectives,
        ran.converged,
        problem.effective_rows().min(),
    )
