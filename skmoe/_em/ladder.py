"""Training of pooled experts: one, two and more of them, of which the evidence chooses."""

import numpy as np

from .._experts.pooled import PooledExperts
from ..likelihoods._pooled import PooledGaussian
from . import make_problem
from .loop import run_em
from .pooled import PooledGate, PooledProblem, gate_columns
from .problem import shallow_copy
from .starts import STARTS, soften
from .trainer import REVIVALS, SURROGATE_PENALTY, Trainer

RUNG_TOL = 1e-6  # per unit of weight; the mixtures to compare differ by little
SPLITS = ("functions", "kmeans_x")  # ways to halve the rows of an expert
SHORT_RUN = 15  # iterations that tell good halves from bad ones
ALPHA_ROUNDS = 4  # changes of the gate's precision
SAME_ALPHA = 0.1  # change of its logarithm that is none
FIRST_LOOK = 10  # iterations, after which the hopeless ones end
SLOW_RATE = 0.9  # by which gains shrink at the fastest, for all that is known
LADDER = (2, 3, 4, 5, 6, 7, 8, 10, 12)  # numbers of experts to try


class Ladder(Trainer):
    """Trains mixtures of one pooled expert, of two, and so on, and keeps that of most evidence.

    A mixture starts from the responsibilities of one without pooling, the best of several starts,
    and from the next smaller mixture with one expert split in two. See ``Trainer`` for the
    parameters; ``problem`` and ``parts`` are those of the mixture that is kept.

    Parameters
    ----------
    expert_seed : int
        Of transformers that draw.
    own_variance : float, default=None
        Prior variance of the experts' deviations; None is learned.

    Attributes
    ----------
    log_evidence : dict of int to float
        For each number of experts that was tried, per unit of weight.
    """

    def __init__(self, data, parts, settings, *, splitting, seed, expert_seed, own_variance=None):
        super().__init__(None, data, parts, settings, folds=None, splitting=splitting, seed=seed)
        source, design = parts.linear_design(data, expert_seed)
        if design is None:
            raise ValueError("pooling needs dense columns: X.toarray(), or pooling=False.")
        self.n_experts = min(self.n_experts, np.count_nonzero(data.weight))
        self.source, self.columns = source, design
        self.likelihood = PooledGaussian(parts.likelihood.scale).start(data.y, data.weight, 1)
        self.experts = PooledExperts(
            design,
            data.y,
            data.weight,
            floor=self.likelihood.floor_,
            shared_scale=self.likelihood.scale == "shared",
            own_variance=own_variance,
        )
        self.experts.source = source
        self.gate = PooledGate(gate_columns(parts.gate.trained, data.Z), data.weight)

    def start(self, previous):
        """Climb the ladder, or go on from responsibilities with as many experts as they have."""
        self.ends, self.paths = [], []
        best = self._climbed() if previous is None else self._continued(previous)
        self.problem, self.parts = best, self.parts.first(best.experts.n_experts)

    def _continued(self, resp):
        problem = self._converge(self._new_problem(resp.shape[1]).start(resp), -np.inf)
        self.log_evidence = {resp.shape[1]: problem.evidence}
        return problem

    def _climbed(self):
        """The mixture of most evidence."""
        random_state = np.random.RandomState(self.seed)
        best = last = self._one_line()
        self.log_evidence = {1: best.evidence}
        for k in sorted({k for k in (*LADDER, self.n_experts) if 1 < k <= self.n_experts}):
            last = self._best_of(k, last, best.evidence, random_state)
            self.log_evidence[k] = last.evidence
            if last.evidence > best.evidence:
                best = last
        return best

    def run(self, tasks, attributes_now):
        """Go on with the mixture that is kept, until it converges; see ``Trainer``."""
        return self._run(self.settings.max_iter, tasks, attributes_now)

    # Rungs ----------------------------------------------------------------------------------

    def _new_problem(self, n_experts):
        if n_experts == 1:  # nothing stands before its gate
            Z, gate = self.data.X, PooledGate(np.empty((len(self.data.y), 0)), self.data.weight)
        else:
            Z, gate = self.data.Z, shallow_copy(self.gate)
        experts, likelihood = self.experts.resized(n_experts), shallow_copy(self.likelihood)
        transformer = self.parts.transformer
        return PooledProblem(experts, gate, likelihood, self.data, Z=Z, transformer=transformer)

    def _one_line(self):
        problem = self._new_problem(1).start(np.ones((len(self.data.y), 1)))
        return self._climb(problem, self.settings.max_iter, tol=0.01 * RUNG_TOL)

    def _best_of(self, n_experts, smaller, to_beat, random_state):
        """The best mixture of so many experts, from the starts there are."""
        seed = random_state.randint(2**31 - 1)
        starts = [self._new_problem(n_experts).start(self._regimes(n_experts, seed))]
        if n_experts == smaller.experts.n_experts + 1:
            halves = [
                self._climb(split, SHORT_RUN) for split in self._splits(smaller, random_state)
            ]
            starts += [max(halves, key=lambda problem: problem.objective)] if halves else []
        ends = [self._converge(problem, to_beat) for problem in starts]
        return max(ends, key=lambda problem: problem.evidence)

    def _regimes(self, n_experts, seed):
        """Responsibilities of a mixture of so many experts without pooling."""
        parts = self.parts.first(n_experts)
        experts = parts.family.experts(
            self.columns, self.data.y, self.data.weight, n_experts,
            penalty=SURROGATE_PENALTY, prior=True,
        )  # fmt: skip
        experts.source = self.source
        likelihood = parts.likelihood.fitting(in_sample=True, linear=True)
        likelihood = likelihood.start(self.data.y, self.data.weight, n_experts)
        gate = shallow_copy(parts.gate.trained)
        problem = make_problem(experts, gate, likelihood, self.data, in_sample=True)
        trainer = Trainer(
            problem, self.data, parts, self.settings,
            folds=None, splitting=self.splitting, seed=seed,
        )  # fmt: skip
        trainer.start(None)
        max_iter, tol = self.settings.max_iter, self.settings.tol
        run_em(problem, max_iter=max_iter, tol=tol, patience=1, revivals=REVIVALS)
        return problem.resp

    def _splits(self, problem, random_state):
        """Problems with one expert more, each of which has taken half the rows of another."""
        data, resp = self.data, problem.resp
        for k in range(resp.shape[1]):
            weight = data.weight * resp[:, k]
            if weight.sum() < 2:
                continue
            for name in SPLITS:
                labels = STARTS[name](data.columns, data.target, weight, 2, random_state)
                own, other = resp[:, [k]].T * soften(labels, 2).T
                halves = np.column_stack([resp, other])
                halves[:, k] = own
                alpha = problem.gate.alpha if resp.shape[1] > 1 else None
                yield self._new_problem(resp.shape[1] + 1).start(halves, alpha)

    # Iterations -----------------------------------------------------------------------------

    def _climb(self, problem, max_iter, to_beat=-np.inf, tol=RUNG_TOL):
        """Iterate at one precision of the gate; the problem.

        The evidence is below the objective. Where gains that go on to shrink as the last one did
        do not lead to ``to_beat``, the run ends.
        """

        def is_hopeless(objectives):
            if len(objectives) <= FIRST_LOOK:
                return False
            before, gain = np.diff(objectives[-3:])
            rate = max(gain / max(before, 1e-300), SLOW_RATE)
            return rate < 1 and objectives[-1] + 2 * gain * rate / (1 - rate) < to_beat

        run_em(problem, max_iter=max_iter, tol=tol, patience=1, after=is_hopeless)
        return problem

    def _converge(self, problem, to_beat):
        """Iterate, and learn the gate's precision by turns; the problem at its best."""
        max_iter = self.settings.max_iter
        self._climb(problem, max_iter, to_beat)
        best, best_state = problem.evidence, problem.state()
        for _ in range(ALPHA_ROUNDS):
            if problem.objective < to_beat or abs(problem.learn_alpha()) < SAME_ALPHA:
                break
            self._climb(problem, max_iter)
            if problem.evidence < best:
                break
            best, best_state = problem.evidence, problem.state()
        problem.restore(best_state)
        return problem
