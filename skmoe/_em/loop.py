"""The EM loop. It drives a problem and does not depend on estimators.

A problem promises ``step()``, one EM iteration that returns the objective reached, ``state()``
and ``restore(state)``, and ``revive()``, which re-seeds dead experts and says whether there were
any.
"""

import copy
import time
import warnings
from dataclasses import dataclass, field

import numpy as np

from .. import _compat
from .._kernels._linear_run import left_to_gain
from .._parallel import jobs

ROUNDING = 1e-9  # relative rounding error of an objective summed over rows after Newton steps
NEARLY_SAME = 5e-3  # per unit of weight; ends of short runs that are closer are of one optimum
DECIDING_ROWS = 10_000  # of more rows, which decide number, regimes and what explains them better
N_GAINS = 5  # gains compared, as one gain after an acceleration is a poor predictor of the next


@dataclass
class Run:
    """What one run of EM reached."""

    # List of float: after each iteration, per unit of weight.
    objectives: list = field(default_factory=list)
    # Whether the iterations after the best one changed the objective by ``tol`` at most.
    converged: bool = False
    fell: bool = False  # whether the run ended because the objective fell and did not recover
    interrupted: bool = False  # whether ``after`` ended the run


@dataclass
class Trained:
    """What a trainer fills while it trains: problem, model, and what is said of them."""

    # As of ``Trainer``; ``parts`` are those of the problem.
    parts: object
    settings: object
    folds: object
    way: str = "em"  # of training, as the mixtures' parameter names it
    problem: object = None  # Problem or Stacked: at its best iterate
    run: Run | None = None  # that led there
    # As ``Parts.model`` returns them.
    model: object = None
    order: np.ndarray | None = None
    load: np.ndarray | None = None
    # Why it was kept, where another way of training was planned.
    reason: str = "EM raises the out-of-fold log-density by more than its standard error"
    # Where each start ended: objective, and fewest effective rows of an expert.
    ends: list = field(default_factory=list)
    paths: list = field(default_factory=list)  # objectives of each start
    # Evidence of each number of experts that was tried, where evidence chooses it, per unit of
    # weight; a lower bound where a better mixture was found before EM converged.
    log_evidence: dict | None = None
    # Weight of the part of the rows that this is of; None where it is of all rows.
    deciding_weight: float | None = None
    # Where BIC or the out-of-fold log-density chooses: its name, its value for each number of
    # experts that was tried, higher being better, and the number that was chosen.
    number_scores: tuple | None = None
    # Specialisation: what specialists are worth, where they have to be worth their while.
    specialisation: object = None
    regimes: object = None  # Regimes: which experts are of one, where that is looked for
    averaging: object = None  # Averaging: one expert that predictions average over, too
    # Name of the default gate that was kept among several, and what another would do.
    default_gate: tuple | None = None
    notes: list = field(default_factory=list)  # other results of the training, in sentences
    grows: bool = True  # whether experts can be added to the model
    is_cut: bool = False  # whether it ended for want of work
    n_other_fits: int = 0  # of single experts, of mixtures that were tried and left out
    rows: object = None  # Rows: those of ``fit``, or a sample of them

    def findings(self, n_rows):
        """All that is to be said of it: what else was tried, by how much it lost, and ``notes``."""
        if self.regimes is None:
            found = []
        else:
            found = list(self.regimes.notes)  # the verdict first
        if self.log_evidence is not None and len(self.log_evidence) > 1:
            weight = self.deciding_weight or n_rows
            values = {k: weight * value for k, value in self.log_evidence.items()}, None
            if (regimes := self.regimes) is not None and regimes.were_compared:
                values = regimes.support, regimes.n_functions, "regime"
            if regimes is not None and regimes.n_regimes < regimes.n_functions:
                values = *values[:2], "different regression", " among mixtures alone"
            found.append(compared("Evidence", *values))
        if self.number_scores is not None:
            found.append(compared(*self.number_scores))
        found += self.notes
        if self.specialisation is not None:
            found.append(" ".join(str(self.specialisation).split()))
        if self.averaging is not None:
            found += self.averaging.notes
        return found


def run_em(
    problem,
    *,
    max_iter,
    tol,
    patience,
    foresees=False,
    revivals=0,
    before=None,
    after=None,
    in_runs=True,
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
    true, the run ends. ``in_runs`` says whether several iterations may be made before ``after`` is
    called for each.

    References
    ----------
    .. [1] D. Böhning, E. Dietz, R. Schaub, P. Schlattmann and B. G. Lindsay, "The distribution of
       the likelihood ratio for mixtures of densities from the one-parameter exponential family",
       Annals of the Institute of Statistical Mathematics 46 (1994) 373-388.
    """
    run = Run()
    best_value = np.nan
    best_state = None  # NaN is worse than any number
    gains = []  # the last ones
    reference = -np.inf
    stale = []  # best since the last re-seeding, and changes without a gain
    pending = []  # objectives of iterations that were made together
    for iteration in range(1, max_iter + 1):
        if before is not None:
            before()
        if not pending:
            if revivals and iteration <= max_iter // 2:
                left = max_iter // 2
            else:
                left = max_iter
            if in_runs:
                most = left - iteration + 1
            else:
                most = 1
            pending = list(problem.advance(most, tol, foresees, gains, reference))
        value = pending.pop(0)
        run.objectives.append(value)
        if after is not None:
            run.interrupted = bool(after(run.objectives))
        change = value - reference
        gains = [*gains[1 - N_GAINS :], change]
        left = left_to_gain(gains, value, foresees)
        if left > tol:
            stale = []
        else:
            stale = [*stale, change]
        reference = max(reference, value)
        if value > best_value or np.isnan(best_value) or best_state is None:
            best_value = value
            best_state = None if pending else problem.state()
        fell = not all(change >= -tol - ROUNDING * abs(reference) for change in stale)
        ends = len(stale) >= (max(patience, 2) if fell else patience)
        if reference == best_value:  # else an iterate from before the re-seeding is kept
            run.converged = ends and not fell
        if run.interrupted:
            break
        last_chance = iteration == max_iter // 2
        if revivals and (ends or last_chance) and iteration < max_iter and problem.revive():
            revivals -= 1
            reference = -np.inf
            stale = []
            gains = []
        elif ends:
            run.fell = fell
            break
    problem.restore(best_state)
    return run


# A fit as scikit-learn's callbacks see it: one task, and a task for each EM iteration in it ------


class FitTasks:
    """Callbacks of an estimator in one fit; X, y and weights are as they were given to ``fit``.

    scikit-learn has callbacks from version 1.9 on; on older versions this does nothing. They are
    torn down by the decorator of ``fit``, whatever it raises.
    """

    def __init__(self, estimator, X, y, sample_weight):
        self._context = estimator._init_callback_context(max_subtasks=None)
        self.has_callbacks = _compat.has_callbacks(estimator)
        self._has_begun = False
        if sample_weight is None:
            metadata = None
        else:
            metadata = {"sample_weight": sample_weight}
        self._given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def silent(self):
        """A twin that does not call callbacks, for a fit within the fit."""
        twin = copy.copy(self)
        twin.has_callbacks = False
        twin._has_begun = True
        return twin

    def begin(self, max_iter):
        """The fit begins, unless it has; it takes ``max_iter`` iterations at most."""
        if not self._has_begun:
            self._has_begun = True
            self._context.max_subtasks = max_iter  # known only after the data have been checked
            self._context.call_on_fit_task_begin(**self._given)

    def begin_iteration(self):
        """An EM iteration, or a refit, begins."""
        if self.has_callbacks:
            self._iteration = self._context.subcontext(task_name="EM iteration")
            self._iteration.call_on_fit_task_begin(**self._given)

    def end_iteration(self, fitted_attributes):
        """An EM iteration ends; whether a callback asks to stop.

        ``fitted_attributes()`` -> dict, what the estimator would hold if it stopped here; called
        only if a callback reads it.
        """
        return self.has_callbacks and self._iteration.call_on_fit_task_end(
            **self._given, reconstruction_attributes=fitted_attributes
        )

    def end(self):
        """The fit ends; the estimator is fitted."""
        self._context.call_on_fit_task_end(**self._given)


def refits(mixture, rows, function, shared, tasks, n_jobs, verbose=0, what="fits"):
    """Results of tasks that refit a mixture, in order; warns of a long wait after the first.

    ``rows`` are X and y, for a progress bar with a task for each, and ``what`` for the warning.
    """
    twin = _compat.with_callbacks_of(mixture, _compat.ProgressBar)
    n_told = 0
    with (
        warnings.catch_warnings(),
        _compat.callback_management_context(twin),
        jobs(n_jobs, shared) as run,
    ):
        # Of one refit among many; of all where their time is printed.
        warnings.filterwarnings("ignore", "" if verbose else rf"(?!{len(tasks)} fits)")
        told = FitTasks(twin, *rows, None)
        told.begin(len(tasks))
        if verbose:
            print(f"{len(tasks)} fits begin", flush=True)
        for done, seconds, total in run.as_they_come(function, tasks, f"{len(tasks)} {what}"):
            if verbose:
                left = f"{seconds:.1f} s so far, about {total - seconds:.0f} s to come"
                print(f"{len(done)} of {len(tasks)} fits, {left}", flush=True)
            for _ in range(n_told, len(done)):
                told.begin_iteration()
                told.end_iteration(dict)
            n_told = len(done)
        told.end()
    return done


# Messages while a fit runs, if ``verbose`` -------------------------------------------------------


SILENCE = 5.0  # seconds, after which verbose=1 prints the next line of verbose=2


class Progress:
    """Lines on standard output: stages and numbers of experts; at level 2 starts and iterations.

    Parameters
    ----------
    settings : Settings
        With ``verbose``, and when the fit began.
    """

    def __init__(self, settings):
        self.verbose = settings.verbose
        self._began = settings.began
        self._spoken = time.monotonic()
        self._before = ""  # what ends an open line
        self._tried = set()  # numbers of experts

    def say(self, what, objective=None, more="", level=1, end="\n"):
        """Print one line, if lines of this level are asked for, or none was printed for long."""
        now = time.monotonic()
        if self.verbose >= level or (self.verbose > 0 and now - self._spoken > SILENCE):
            if objective is None:
                value = ""
            else:
                value = f"\t lower bound {objective:.6f} per row"
            what = f"{now - self._began:7.1f} s  {what}".replace("\n", " ")
            print(f"{self._before}{what}{value}{more}", end=end, flush=True)
            self._spoken = now
            self._before = "" if end else "\n"

    def trying(self, n_experts):
        """End the line of the last number of experts by the one that comes next."""
        if self._before:
            if n_experts in self._tried:
                again = " from another start"
            else:
                again = ""
            print(f"; trying {count(n_experts)}{again}", flush=True)
            self._before = ""
        self._tried.add(n_experts)


def count(number, what="expert"):
    """A number of things in words: "1 expert", "2 experts"."""
    if number == 1:
        return f"{number} {what}"
    return f"{number:,} {what}s"


def compared(criterion, values, chosen=None, what="expert", having=""):
    """A sentence about numbers of experts, or of ``what``, of which the chosen one is first.

    ``values`` are in nats over all rows, higher is better. ``chosen`` None is the best; a larger
    number that is better than the chosen one was so by no more than chance.
    """
    if chosen is None:
        best = max(values, key=values.get)
    else:
        best = chosen
    losses = {k: values[best] - v for k, v in sorted(values.items()) if k != best and v > -np.inf}
    said = f"{criterion}{having}: {count(best, what)}"
    if best == 1:
        said = f"No regimes were found. {said}"
    if len(values) == 1:
        return f"{said}, and no other number was tried."
    if not losses:
        numbers = " or ".join(str(k) for k in sorted(values) if k != best)
        return f"{said}; with {numbers}, one has too few rows, or is a copy of another."
    less = ", ".join(f"{loss:.1f} for {k}" for k, loss in losses.items() if loss >= 0)
    more = ", ".join(f"{-g:.1f} for {k}, too little to count" for k, g in losses.items() if g < 0)
    if less:
        said += f"; worse by {less}"
    if more:
        said += f"; better by {more}"
    return said.replace(" for", " nats for", 1) + " (3 nats are odds of 20 to 1)."


# Dead experts, and the rows that they are re-seeded with -----------------------------------------


N_CANDIDATES = 16  # rows of high loss, around which a dead expert may begin anew
SAME_DENSITY = 1e-6  # in log-density, for every row: two experts that data cannot distinguish


def dead_experts(problem):
    """Numbers of the experts with next to no rows, and of copies of others."""
    load = problem.load
    n_experts = len(problem.load)
    few = problem.effective_rows() < enough_effective_rows(problem, n_experts)
    return np.flatnonzero(few | (load < 0.01 / n_experts) | problem.copies())


def enough_effective_rows(problem, n_experts):
    """Weight of rows below which an expert is dead."""
    return min(problem.experts.minimum_rows, 0.1 * problem.weight.sum() / n_experts)


def copies_of_heavier(log_density, load):
    """Whether a heavier expert has the same density in all rows, (n_experts,)."""
    copies = np.zeros(len(load), dtype=bool)
    order = np.argsort(-load, kind="stable")
    with np.errstate(invalid="ignore"):  # rows that are impossible under both
        for i, k in enumerate(order[1:], 1):
            apart = np.abs(log_density[:, order[:i]] - log_density[:, [k]])
            copies[k] = np.where(np.isnan(apart), 0.0, apart).max(axis=0).min() < SAME_DENSITY
    return copies


def reseeded(resp, loss, dead, data):
    """Responsibilities (n, K) in which each dead expert has the rows around a place of high loss.

    ``loss`` (n,) is the negative log-density of each row, ``data`` are the rows: TrainingData.
    """
    resp = resp.copy()
    weight = data.weight
    for k in dead:
        rows = rows_of_loss(data, loss, weight.sum() / (2 * resp.shape[1]))
        resp[rows] *= 0.1
        resp[rows, k] += 0.9
        loss = loss.copy()
        loss[rows] = weight @ loss / weight.sum()  # the next dead expert goes elsewhere
    return resp


def rows_of_loss(data, loss, mass):
    """Rows around a place where the mixture fits badly, for a dead expert: their numbers.

    They have about the weight ``mass``, and of some candidates the place has the most loss.
    """
    points = data.points
    weights = data.weight
    order = np.argsort(-loss, kind="stable")
    order = order[weights[order] > 0]
    cumulative = np.cumsum(weights[order])
    quantiles = np.linspace(0, 0.1, N_CANDIDATES) * cumulative[-1]
    best = -np.inf
    best_rows = order[:1]
    for candidate in order[np.unique(np.searchsorted(cumulative, quantiles, side="right"))]:
        distance = ((points - points[candidate]) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")
        enough = np.searchsorted(np.cumsum(weights[nearest]), mass)
        radius = distance[nearest[min(enough, len(nearest) - 1)]]
        rows = np.flatnonzero(distance <= radius * (1 + 1e-9))
        weight = weights[rows]
        if weight.sum() > 0 and weight @ loss[rows] / weight.sum() > best:
            best = weight @ loss[rows] / weight.sum()
            best_rows = rows
    return best_rows
