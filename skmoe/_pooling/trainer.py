"""Training of pooled experts: one, two and more of them, of which the evidence chooses."""

from dataclasses import replace

import numpy as np
from sklearn.utils import _safe_indexing

from .._data import Units
from .._em.loop import DECIDING_ROWS, count, run_em
from .._em.one_pass import make_problem
from .._em.problem import shallow_copy
from .._em.starts import halves
from .._em.trainer import SURROGATE_PENALTY, Trainer
from .._numerics.columns import (
    MOST_COLUMNS,
    StandardColumns,
    effects_of,
    principal_components,
    start_columns,
)
from .._numerics.multinomial import NEWTON_LIMIT
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from .._routing import posterior
from .problem import PooledGate, PooledProblem, cheapest_merger, gate_columns, merged, pooled_parts
from .regimes import BEHIND, IN_FOLD, IN_STACK, ON_ALL_ROWS, WHOLE, RegimeSearch, averaging
from .rivals import MANY, Rivals

SHORT_RUN = 5  # iterations that show which halves are good, and which experts to merge
SAME_ALPHA = 0.1  # change of its logarithm that is negligible
SLOW_RATE = 0.9  # least factor by which gains are assumed to shrink
# Loss by a merger, in units of what BIC pays for the parameters that it saves:
MERGED_BELOW = 1.0  # merged without asking the evidence
TRIED_BELOW = 2.0  # merged if the evidence rises
SAME_EVIDENCE = 1e-5  # per unit of weight
FIRST_BOUND = 4  # of the number of experts; more are tried where as many are found
MANY_LEVELS = 64  # that are random effects
MANY_ROWS = 1500  # rows, with which starts are reliable and splits rarely help
PART_OF_ROWS = 0.4  # of those for starts of EM, as the evidence compares what becomes of these
SPLITS = "functions", "kmeans_x"  # starts that halve an expert
# What ten starts pay for: iterations of an expert, times squares of the columns that it and its
# gate see. Where it is spent, only the heaviest experts are halved, until half as much is lent.
MOVES_WORK = 6e7
HEAVIEST = 3


class PooledTrainer(Trainer):
    """Trains mixtures of one pooled expert and of more, and keeps that of most evidence.

    The best mixture of all experts without pooling, of several starts, is where it begins. Then
    two experts at a time are merged as long as that pays, and, where rows are few, experts are
    split, or two merged and another split, as long as that does [1]_. See ``Trainer`` for the
    parameters; ``problem`` and ``parts`` are those of the mixture that is kept.

    Parameters
    ----------
    expert_seed : int
        Seed of transformers that draw.
    n_experts : int, default=None
        Number of experts; None has the evidence choose it.
    design : tuple of (array-like or DataFrame, array), default=None
        What experts see of the rows, with its names and as an array, where it is known.

    References
    ----------
    .. [1] N. Ueda, R. Nakano, Z. Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models",
       Neural Computation 12 (2000) 2109-2128.
    """

    way = "pooled"

    def __init__(
        self, data, parts, settings, *, splitting, seed, expert_seed, n_experts=None, design=None
    ):
        super().__init__(None, data, parts, settings, folds=None, splitting=splitting, seed=seed)
        self.finds_regimes = settings.finds_regimes
        is_cheap = n_experts is None and not settings.finds_regimes  # a search within a stack
        if settings.in_fold:
            self.effort = IN_FOLD
        elif is_cheap:
            self.effort = IN_STACK
        else:
            self.effort = WHOLE
        self.expert_seed = expert_seed
        if design is None:
            design = parts.linear_design(data, expert_seed)
        source, design = design
        if design is None:
            raise ValueError("Pooling needs dense columns: X.toarray(), or training='em'.")
        self.n_experts = min(self.n_experts, np.count_nonzero(data.weight))
        self.is_searched = n_experts is None
        self.source = source
        self.columns = design
        block = parts.levels(parts.transformer, design)
        self.experts, self.likelihood = pooled_parts(parts, design, data, block)
        self.experts.source = source
        self.lines = {}
        if data.subjects is None:
            weight = data.weight
        else:
            weight = data.subjects.row_weight
        Z = gate_columns(parts.gate.trained, data.Z)
        self._see_the_same = (data.Z is design or data.Z is source) and data.subjects is None
        columns = self.experts.columns
        rows = self.experts.design[:, :-1]
        is_wide = columns.is_wide and len(columns.mean) > MOST_COLUMNS and rows.size > 0
        if self._see_the_same and is_wide:
            vars(data)["columns"] = principal_components(rows, data.weight)
        if not (self._see_the_same and Z.shape[1]):
            if Z.shape[1]:
                block = parts.levels(parts.gate.encoder, Z)
            else:
                block = None
            columns = StandardColumns.of(Z, weight, block)
        self.gate = PooledGate(Z, weight, columns)
        self.work_left = MOVES_WORK * max(settings.n_init / 10, 1)

    _turned = None

    def start(self, previous):
        """Find the mixture, or go on from responsibilities with as many experts as they have.

        Of many rows, a part decides, and all rows go on from the mixture that it led to.
        """
        is_large = len(self.data.y) > DECIDING_ROWS and self.data.subjects is None
        if is_large and self.finds_regimes and not self.settings.in_fold:
            self._start_from_part(previous)
        else:
            self._search(previous)

    def _start_from_part(self, previous):
        part = self._on_part()
        self.progress.say(f"Deciding on {count(len(part.data.y), 'row')}")
        if previous is not None:
            previous = previous[part.data.rows]
        part.start(previous)
        decided = part.problem
        self.progress.say(f"Fitting {count(decided.experts.n_experts)} to all rows")
        self.parts = part.parts
        self.problem = self._like(decided).start(self._responsibilities(part))
        self.effort = ON_ALL_ROWS
        self.converge(self.problem)
        self.trained = part.trained
        self.trained.deciding_weight = part.data.total_weight
        if self.trained.averaging is not None:
            self.trained.averaging = replace(self.trained.averaging, other=self.one_line())

    def _on_part(self):
        """The search on some of the rows, each of which counts as one of all rows does."""
        data = self.data.sample(DECIDING_ROWS)
        rows = data.rows
        # Not by the rows of the part: each stands for all its copies.
        data.weight *= min(1.0, DECIDING_ROWS / np.count_nonzero(self.data.weight))
        # What was one object for all rows is one for the part.
        if self.source is self.data.X:
            source = data.X
        elif self.source is self.data.Z:
            source = data.Z
        else:
            source = _safe_indexing(self.source, rows)
        if self.columns is self.source:
            design = source
        else:
            design = self.columns[rows]
        if self.data.Z is self.columns:
            data.Z = design
        return PooledTrainer(
            data,
            self.parts,
            self.settings,
            splitting=self.splitting,
            seed=self.seed,
            expert_seed=self.expert_seed,
            n_experts=None if self.is_searched else self.n_experts,
            design=(source, design),
        )

    def _responsibilities(self, part):
        """Those of the mixture that a part of the rows led to, for all rows, (n_samples, K)."""
        data = self.data
        model, order, _ = part.parts.model(part.problem, self.settings)
        routes = model.all_routes(data.X)
        log_density = model.log_densities(data.X, data.y, routes, data.exposure)
        resp = np.empty(log_density.shape)
        resp[:, order], _ = posterior(routes.log_weights, log_density)
        return resp

    def _like(self, problem):
        """A mixture of all rows with as many experts, and as these are tied."""
        ties = problem.experts.ties
        if ties is None:
            return self._new_problem(problem.experts.n_experts)
        return RegimeSearch(self).tied_problem(ties.regime, ties.has_offsets)

    def _search(self, previous):
        self.log_evidence = {}
        self._begun_with = {}
        self.rivals = Rivals(self.data.weight, self.converge)
        if previous is None:
            best = self._found()
            for other in self.rivals.close_to(best):  # abandoned while they were little worse
                self._note(other)
                if evidence_of(other) > best.evidence + SAME_EVIDENCE:
                    best = other
        else:
            best = self._new_problem(previous.shape[1]).start(previous)
            if self.settings.in_fold:
                self.converge(best)
                self.problem, self.parts = best, self._parts_of(best)
                return
            self._note(self.converge(best))
        if self.finds_regimes:
            self.progress.say("Comparing with explanations without regimes")
            best, found = RegimeSearch(self).of(best)
            if self.experts.can_be_tied:
                self.trained.regimes = found
            else:
                self.trained.notes += found.notes
        self.trained.log_evidence = dict(sorted(self.log_evidence.items()))
        if self.is_searched and previous is None:
            self.trained.averaging = averaging(best, self.one_line, self.data.weight.sum())
        self.progress.say(f"Kept {count(best.experts.n_experts)}")
        self.problem, self.parts = best, self._parts_of(best)

    def _parts_of(self, problem):
        return self.parts.first(problem.experts.n_experts, is_gated=problem.gate.sees_rows)

    def optima(self, problem, is_cut=False):
        """That other seeds may lead to another optimum than this one, a sentence; a list."""
        n_experts = problem.experts.n_experts
        if n_experts >= MANY:
            many = f"Mixtures of {n_experts} experts have many optima: "
        else:
            many = ""
        if is_cut:
            few_met = "The search was long, and was cut short: "
        else:
            few_met = self._begun_with.get(n_experts) or many
        others = "another random_state, or a larger n_init, may find other regimes; see stability."
        if few_met:
            return [few_met + others]
        return []

    def train(self, *given):
        # Of many small systems, BLAS would open a team of threads for each.
        with few_threads(self.experts.design.size):
            return super().train(*given)

    def run(self, tasks, attributes_now):
        return self._run(self.settings.max_iter, tasks, attributes_now)

    # Mixtures -------------------------------------------------------------------------------

    def _new_problem(self, n_experts):
        Z = self.data.Z
        gate = shallow_copy(self.gate)
        if n_experts == 1:  # its gate has no encoder
            Z = self.data.X
            gate = PooledGate(np.empty((len(self.data.y), 0)), self.gate.weight)
        experts = self.experts.resized(n_experts)
        likelihood = shallow_copy(self.likelihood)
        return PooledProblem(experts, gate, likelihood, self.data, Z=Z)

    def one_line(self, learns_variances=True):
        """One expert, at its maximum, the better of those that starts lead to; others follow."""
        if learns_variances in self.lines:
            return self.lines[learns_variances]
        best = None
        experts = self.experts
        for variance in experts.slope_variances if learns_variances else (1.0,):
            self.experts = shallow_copy(experts)
            self.experts.slope_variances = (variance,)
            self.experts.learns_variances = learns_variances
            problem = self._new_problem(1).start(np.ones((len(self.data.y), 1)))
            self._climb(problem, self.settings.max_iter, tol=0.01 * WHOLE.tol)
            if best is None or problem.evidence > best[0].evidence + SAME_EVIDENCE:
                best = problem, self.experts
        self.lines[learns_variances], self.experts = best
        return best[0]

    def _regimes(self, n_experts):
        """The mixture that starts from one without pooling, the best of several."""
        parts = self.parts.first(n_experts)
        data = self.data
        # Starts are sought in few columns that stand for many, or in the space of few rows.
        if self.experts.columns.is_wide:
            if self._see_the_same:
                data = self._in_row_space()
        elif self.columns.shape[1] > MOST_COLUMNS or self._has_many_levels:
            data = self._in_few_columns()
        experts = parts.solver.experts(
            self.columns if data is self.data else data.X,
            data.y,
            data.weight,
            n_experts,
            penalty=SURROGATE_PENALTY,
            prior=True,
            exposure=data.exposure,
            units=data.units,
        )
        if data is not self.data:
            experts.source = data.X
        else:
            experts.source = self.source
        likelihood = parts.likelihood.fitting(in_sample=True, linear=True)
        likelihood = likelihood.start(data.y, data.weight, n_experts)
        gate = shallow_copy(parts.gate.trained)
        problem = make_problem(experts, gate, likelihood, data, in_sample=True)
        most = min(self.settings.n_init, self.effort.n_init)
        trainer = Trainer(
            problem,
            data,
            parts,
            replace(self.settings, n_init=most),
            folds=None,
            splitting=self.splitting,
            seed=self.seed,
        )
        trainer.moves_in_vain = 0.2  # for each start: those of pooled experts follow
        trainer.part_of_rows = PART_OF_ROWS
        self.progress.trying(n_experts)
        self.progress.say(f"Starts of {count(n_experts)} without pooling", level=2)
        trainer.start(None)
        self._begun_with[n_experts] = trainer.few_met
        return self._new_problem(n_experts).start(problem.resp)

    def _in_row_space(self):
        """The rows in directions of their space: the same to penalties that all slopes share."""
        if self._turned is None:
            X = np.ascontiguousarray(self.experts.design[:, :-1])
            of_target = ()
            if self.data.target is not None:
                of_target = standardisation(self.data.y.reshape(len(X), -1), self.data.weight)
            units = Units(np.zeros(X.shape[1]), np.ones(X.shape[1]), *of_target)
            self._turned = replace(self.data, X=X, Z=X, units=units)
            vars(self._turned)["columns"] = self.data.columns  # their largest directions
        return self._turned

    @property
    def _has_many_levels(self):
        if self.data.subjects is None:
            block = self.experts.columns.block
        else:
            block = None
        return block is not None and np.count_nonzero(effects_of(block)) > MANY_LEVELS

    def _in_few_columns(self):
        """Rows in principal components, one line's effects for levels, and its predictions."""
        if self._turned is None:
            line = self.one_line().experts
            X = self.data.columns
            if self.parts.classes is None:
                first = 0
            else:
                first = 1  # whose function others tell
            coef = line.columns.standard(line.coef[0].reshape(line.design.shape[1], -1)[:, first:])
            if self._has_many_levels:
                block = self.experts.columns.block
                n_rows = self.columns.sum(axis=0)
                effects = effects_of(block)
                kept = effects == 0
                for number in np.unique(block[kept & (block > 0)]):
                    levels = np.flatnonzero(block == number)
                    kept[levels[n_rows[levels].argmax()]] = False  # which others determine
                masks = np.append(effects, 0) == np.unique(effects[effects > 0])[:, None]
                columns = [line.standard @ (coef * mask[:, None]) for mask in masks]
                X = start_columns(np.hstack([self.columns[:, kept], *columns]), self.data.weight)
            if X.shape[1] == MOST_COLUMNS:
                X = np.hstack([X, line.standard @ coef])
            self._turned = replace(self.data, X=X, Z=X if self._see_the_same else self.data.Z)
            vars(self._turned)["columns"] = self.data.columns
        return self._turned

    # Search ---------------------------------------------------------------------------------

    def _found(self):
        """The mixture of most evidence, of all numbers or of the one that was asked for."""
        begins_with_one = self.is_searched or self.n_experts == 1
        if begins_with_one:
            best = self.one_line()
        else:
            best = self._of_that_number()
        self._note(best)
        if self.is_searched and self.n_experts > 1:
            # Numbers of experts to begin with, each where the one before it was kept. For wide
            # tables of levels, two come first: more take long, and seldom pay alone.
            has_levels = self.experts.columns.block is not None and self.data.subjects is None
            is_long = has_levels and self.experts.design.shape[1] * FIRST_BOUND > NEWTON_LIMIT
            bounds = [FIRST_BOUND]
            if is_long:
                bounds = [2, FIRST_BOUND]
            few = [k for k in bounds if k < self.n_experts]
            for bound in (*few, self.n_experts):
                best = self._descend(best, bound)
                if best.evidence < self.settings.to_beat - BEHIND:
                    return best
                if best.experts.n_experts < bound:
                    break
            if best.experts.n_experts > 2 and 2 not in self._begun_with:
                two = self.converge(self._regimes(2), best.evidence)
                self._note(two)
                best = max(best, two, key=evidence_of)
            if np.count_nonzero(self.data.weight) < MANY_ROWS:
                best = self._move(best)
        return best

    def _of_that_number(self):
        """The mixture of so many experts as were asked for, the best that moves lead to."""
        best = self.converge(self._regimes(self.n_experts))
        if self.n_experts == 2 or np.count_nonzero(self.data.weight) >= MANY_ROWS:
            return best
        random_state = np.random.RandomState(self.seed)
        smaller = self._merge(best, self._cheapest_merger(best)[1])
        for other in self._best_split(smaller, random_state):
            self.rivals.add(self.converge(other))
            best = max(best, other, key=lambda problem: problem.evidence)
        return best

    def _descend(self, best, n_experts):
        """Merge two experts at a time, from so many; the best mixture."""
        last = self._regimes(n_experts)
        while True:
            self._climb(last, SHORT_RUN)
            loss, pair = self._cheapest_merger(last)
            if loss > MERGED_BELOW:
                self.converge(last, best.evidence)
            self._note(last)
            best = max(best, last, key=evidence_of)
            if loss > TRIED_BELOW:
                return best
            fewer = self._merge(last, pair)
            if loss > MERGED_BELOW:
                self._note(self.converge(fewer, last.evidence))
                if fewer.evidence < last.evidence:
                    return max(best, fewer, key=evidence_of)
            last = fewer

    def _move(self, best):
        """Split, or merge and split, until no such move is better; the best mixture."""
        random_state = np.random.RandomState(self.seed)
        while True:
            for other in self._moves(best, random_state):
                self._note(self.converge(other, best.evidence))
                if evidence_of(other) > best.evidence + SAME_EVIDENCE:
                    best = other
                    break
            else:
                return best

    def _moves(self, problem, random_state):
        """Mixtures to try in place of one."""
        n_experts = problem.experts.n_experts
        yield from map(self._regimes, filter(self._is_new, [n_experts]))
        if n_experts < self.n_experts and self.work_left > -MOVES_WORK / 2:
            yield from self._best_split(problem, random_state)
        yield from map(self._regimes, filter(self._is_new, [n_experts + 1, n_experts - 1]))
        if n_experts > 2 and self.work_left > 0:
            smaller = self._merge(problem, self._cheapest_merger(problem)[1])
            yield from self._best_split(smaller, random_state)

    def _is_new(self, k):
        return self.work_left > 0 and 2 <= k <= self.n_experts and k not in self._begun_with

    def _best_split(self, problem, random_state):
        """The mixture in which the best expert to halve is halved; none if all are too small."""
        data = self.data
        resp = problem.resp
        splits = []
        if resp.shape[1] > 1:
            alpha = problem.gate.alpha
        else:
            alpha = None
        mass = data.weight @ resp
        if self.work_left > 0:
            least = 0.0
        else:
            least = np.sort(mass)[-HEAVIEST:][0]
        for k in np.flatnonzero(mass >= max(least, 2)):
            for name in SPLITS:
                split = np.column_stack([resp, resp[:, k]])
                split[:, [k, -1]] = halves(data, resp, k, name, random_state)
                splits.append(self._new_problem(len(split.T)).start(split, alpha))
                self._climb(splits[-1], SHORT_RUN)
        if splits:
            return [max(splits, key=lambda split: split.objective)]
        return []

    def _cheapest_merger(self, problem):
        """Two experts to merge, and the loss in units of BIC's price of what that saves."""
        experts = problem.experts
        gate = problem.gate
        if experts.n_experts == 2:  # one line has been tried
            return np.inf, None
        loss, pair = cheapest_merger(experts, problem.resp, gate.log_proba, gate.weight)
        n_saved = experts.design.shape[1] + gate.design.shape[1]
        return 2 * loss / (n_saved * np.log1p(self.data.weight.sum())), pair

    def _merge(self, problem, pair):
        resp = merged(problem.resp, pair)
        return self._new_problem(resp.shape[1]).start(resp, problem.gate.alpha)

    def _note(self, problem):
        """Write down the evidence for so many experts."""
        k = int(problem.experts.n_experts)
        evidence = problem.evidence
        n = self.data.total_weight
        if self.is_searched and evidence_of(problem) == -np.inf:
            return  # one expert, and less simple
        self.progress.say(f"{count(k)}: log-evidence {n * evidence:.1f}", end="")
        self.log_evidence[k] = max(evidence, self.log_evidence.get(k, evidence))
        if self.finds_regimes:
            self.rivals.add(problem)

    # Iterations -----------------------------------------------------------------------------

    def _climb(self, problem, max_iter, tol=WHOLE.tol):
        """Iterate at one precision of the gate; the run."""
        self.progress.trying(problem.experts.n_experts)
        run = run_em(problem, max_iter=max_iter, tol=tol, patience=1)
        size = sum(each.design.shape[1] ** 2 for each in (problem.experts, problem.gate))
        self.work_left -= len(run.objectives) * problem.experts.n_experts * size
        return run

    def converge(self, problem, to_beat=-np.inf, tol=None):
        """Iterate, and learn the gate's precision by turns, while ``to_beat`` is in reach."""
        best = problem.evidence
        best_state = problem.state()
        # Steps of many columns take long, and the evidence hardly changes while all else converges
        # between two steps of the precision.
        is_slow = problem.gate.design.shape[1] > MOST_COLUMNS
        for number, n_steps in enumerate(self.effort.stretches, 1):
            run = self._climb(problem, SHORT_RUN if is_slow else n_steps, tol or self.effort.tol)
            is_settled = problem.learn_alpha() < SAME_ALPHA
            evidence = problem.evidence
            now = f"log-evidence now {self.data.total_weight * evidence:.1f}"
            self.progress.say(f"EM of {count(int(problem.experts.n_experts))}, {now}", level=3)
            if is_slow:
                ends = evidence < best + SAME_EVIDENCE
            else:
                ends = run.converged and is_settled
            if evidence > best:
                best = evidence
                best_state = problem.state()
            to_come = _gain_to_come(run.objectives, sum(self.effort.stretches[number:]))
            if ends or evidence + to_come < to_beat:
                break
        problem.restore(best_state)
        problem.is_at_optimum = ends
        return problem  # at its best


def evidence_of(problem):
    """Key to choose by: nothing is kept that one expert without a gate can be.

    Where the rows of a subject share one expert, experts that ignore the row are no one.
    """
    is_one = problem.data.subjects is None and problem.experts.is_one_expert
    if is_one:
        return -np.inf
    return problem.evidence


def _gain_to_come(objectives, n_left):
    """What later gains may add up to: shrinking as the last, at most at twice the last pace."""
    if len(objectives) < 3:
        return 0.0
    before, gain = np.diff(objectives[-3:])
    rate = max(gain / max(before, 1e-300), SLOW_RATE)
    at_pace = 2 * n_left * np.diff(objectives)[len(objectives) // 2 :].mean()
    if rate >= 1:
        return at_pace
    return min(2 * gain * rate / (1 - rate), at_pace)
