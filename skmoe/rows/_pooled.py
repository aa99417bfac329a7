"""Pooled experts on rows that are not in memory: passes over these, from sums to sums.

A pass computes the expected log-densities of the rows, a few thousand at a time, and leaves what
the next step of experts and gate needs of them. No array of all rows is made.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._em.loop import count, same_as_heavier
from .._em.one_pass import compare_densities, sum_for_report
from .._model import posterior
from .._numerics import multinomial
from .._numerics.columns import StandardColumns
from .._numerics.statistics import add_fields
from .._planning.plan import bound_notes
from .._pooling.averaging import WHOLE
from .._pooling.problem import ALPHA_STEPS, GateUnderPrior, PooledProblem
from .._pooling.trainer import PooledTrainer

PASS_ROWS = 4096  # at a time
GROWTH = 1.3  # of the size of a step, after one that raised the bound
SMALLEST_SIZE = 0.02  # of a step, below which none is taken
ROUNDING = 1e-12  # of the bound, relative


@dataclass(frozen=True)
class PooledSums:
    """Sums over rows at one point of the parameters; those of two blocks add up."""

    value: float  # log-density of the rows, without divergences and units
    of_experts: object  # from ``Pooled.sum_rows``
    # (p, n_experts): columns times what responsibilities exceed the gate by: the slope of the gate.
    excess: np.ndarray
    # (n_experts * (n_experts - 1) / 2, p, p): Gram matrices weighted by products of two gate
    # probabilities.
    pairs: np.ndarray
    rows_gram: np.ndarray  # (p, p): Gram matrix of all rows
    gate_mass: np.ndarray  # (n_experts,): summed probabilities of the gate

    __add__ = add_fields


@dataclass(frozen=True)
class PooledAnswers:
    """A mixture of pooled experts on its way, without rows; see ``Answers``."""

    experts: object  # Pooled: without rows
    columns: StandardColumns  # what the gate sees; none for proportions
    logits: np.ndarray  # (p, n_experts): coefficients of the gate's design

    def on_rows(self, block):
        """Experts on a few rows at a time of a block, the gate's design and log-probabilities."""
        n_columns = len(self.columns.mean)
        for start in range(0, block.n_rows, PASS_ROWS):
            rows = slice(start, start + PASS_ROWS)
            X = block.X[rows]
            design = self.columns.design(X[:, :n_columns])
            log_gate = multinomial.log_softmax(design @ self.logits)
            yield self.experts.on_block(X, block.y[rows], block.weight[rows]), design, log_gate

    def over(self, block):
        """Target, weights, logarithms of gate and densities (n_rows, K), and predictions."""
        for experts, _, log_gate in self.on_rows(block):
            log_density = experts.expected_log_density()
            yield experts.y, experts.weight, log_gate, log_density, experts.predictions


def sum_pooled(block, answers):
    """E-step on a block; a kernel for ``RowSource.reduce`` that returns PooledSums."""
    total = None
    for experts, design, log_gate in answers.on_rows(block):
        resp, log_norm = posterior(log_gate, experts.expected_log_density())
        proba, weight = np.exp(log_gate), experts.weight
        part = PooledSums(
            float(weight @ log_norm),
            experts.sum_rows(resp),
            design.T @ ((resp - proba) * weight[:, None]),
            multinomial.pair_grams(design, proba, weight),
            (design.T * weight) @ design,
            weight @ proba,
        )
        total = part if total is None else total + part
    return total


class SummedGate(GateUnderPrior):
    """A gate that learns from sums.

    Parameters
    ----------
    gate : GateUnderPrior
        Whose weights and prior to go on from.
    """

    def __init__(self, gate):
        self.columns, self.coef, self.alpha = gate.columns, gate.coef, gate.alpha

    def learn_sums(self, sums, size=1.0):
        """A Newton step, or a part of it, from sums at the weights as they are."""
        self.coef = self._newton(self.coef, sums, size)

    def learn_alpha(self, sums):
        """MacKay's steps for ``alpha``, each before the optimum of the parabola in the sums."""
        start = self.coef
        for _ in range(ALPHA_STEPS):
            self.alpha = self._best_alpha(sums.pairs)
            self.coef = self._newton(start, sums)

    def _newton(self, coef, sums, size=1.0):
        penalty = self._penalty()
        hessian = multinomial.hessian_of_pairs(sums.pairs, coef.shape[1])
        step, _ = multinomial.newton_direction(
            multinomial.factor_hessian(hessian, penalty), sums.excess - penalty[:, None] * coef
        )
        return coef + size * multinomial.shortening(step, sums.rows_gram).min() * step


class PooledRowsProblem(PooledProblem):
    """A mixture of pooled experts in training on rows that are not in memory; see ``Problem``.

    Attributes
    ----------
    sums : PooledSums
        Of the last pass.

    Parameters
    ----------
    small : PooledProblem
        The same mixture, trained on ``data``, whose parameters to go on from.
    data : TrainingData
        A sample, whose weights are those of all rows together.
    rows : RowSource
        All rows, in the units of ``small``.
    """

    has_arrays = False
    of_state = ("sums", "load", "objective", "_evidence")

    def __init__(self, small, data, rows):
        experts, likelihood = small.experts.without_rows(), small.likelihood
        super().__init__(experts, SummedGate(small.gate), likelihood, data, Z=small.Z)
        experts.source = small.experts.source
        self.rows, self._size = rows, 1.0
        self._pass()

    def step(self):
        """An M-step from the sums of the last pass, then a pass; both again if the bound fell."""
        before, learns = self.state(), True
        least = self.objective - ROUNDING * abs(self.objective)
        while self._size > SMALLEST_SIZE:
            self.experts.learn_sums(self.sums.of_experts, self._size, learns)
            self.gate.learn_sums(self.sums, self._size)
            if self._pass() >= least:
                self._size = min(1.0, GROWTH * self._size)
                return self.objective
            self.restore(before)
            self._size, learns = 0.5 * self._size, False
        self._size = 1.0
        return self.objective

    def learn_alpha(self):
        before = self.gate.alpha
        self.gate.learn_alpha(self.sums)
        self._pass()
        return np.abs(np.log(self.gate.alpha / before)).max(initial=0.0)

    def _pass(self):
        self.sums = self.rows.reduce(sum_pooled, self._answers)
        self.load = self.sums.gate_mass / self.data.total_weight
        return self._set_objective(self.sums.value)

    def _pairs(self):
        return self.sums.pairs

    def _sums(self):
        return self.sums.of_experts

    @property
    def _answers(self):
        return PooledAnswers(self.experts.without_rows(), self.gate.columns, self.gate.coef)

    # What is known of it --------------------------------------------------------------------

    def effective_rows(self):
        return self.sums.of_experts.mass

    def copies(self):
        differences = self.rows.reduce(compare_densities, self._answers)
        return same_as_heavier(differences.largest, self.load)

    def report_sums(self, model, order):
        return self.rows.reduce(sum_for_report, (self._answers, model, order))


class PooledFromSample(PooledTrainer):
    """A PooledTrainer on a sample of the rows, which goes on from there on all of them.

    The rows of the sample count as themselves and not as all those that they stand for.
    """

    may_average = False

    def __init__(self, rows, data, parts, settings, **given):
        super().__init__(rows, rows.alone(data), parts, settings, **given)
        self.rows, self._all_data, self.finds_regimes = rows, data, False

    def start(self, previous):
        self.progress.say(f"A sample of {count(len(self.data.y), 'row')}")
        super().start(previous)
        tried, n_rows, data = self.log_evidence, len(self.data.y), self._all_data
        if self.is_searched:
            found = ", ".join(f"{value:.4f} for {k}" for k, value in tried.items())
            choice = (
                f"The number of experts was chosen by the evidence of {n_rows:,} rows, drawn by a "
                f"hash of their content; a row of these: {found}."
            )
            self.notes = [*self.notes, choice, *bound_notes(tried, self.data.total_weight)]
        self.progress.say("All rows")
        self.problem = PooledRowsProblem(self.problem, data, self.rows.source)
        stretches = [n_steps for n_steps in WHOLE.stretches if n_steps <= self.settings.max_iter]
        self.effort = replace(WHOLE, tol=self.settings.tol, stretches=stretches)
        self.converge(self.problem)  # learns the gate's precision on all rows, too
        self.log_evidence = {}
        self._note(self.problem)
        self.parts = self.rows.finished(self.parts)
