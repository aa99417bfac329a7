"""Which experts are one regression function, whose errors are not Gaussian: by the evidence.

A mixture of Gaussian lines imitates errors of any shape by experts that have their slopes in
common. Of the mixture that has most evidence, experts are tied two at a time, those first whose
slopes differ least, down to one regime. Ties are of two kinds: *shape*, in which experts of a
regime have offsets and are as probable, among these, in all rows; and *spread*, in which they have
one intercept, and the gate says where errors are large. So offsets that the gate parts by the
columns, as a step in the level, are no ties.
"""

from itertools import combinations

import numpy as np

from .._em.loop import count
from .._em.problem import shallow_copy
from .._experts.pooled_steps import loss_of_quadratics
from .problem import PooledProblem, RegimeGate
from .rivals import (
    CLOSE,
    MANY,
    best_curve,
    close_numbers,
    line_of_logarithm,
    overdispersed_evidence,
    uneven_line,
)

MARGIN = 4.0  # nats that experts without ties have to be ahead, as their prior variances are free
FEWEST_ROWS = 5.0  # of a regime; fewer are outliers of another
WIDER, WIDE_SHARE = 3.0, 0.1  # errors, and share, of an expert that is put behind another
ROUGH = 0.05  # nats over all rows that a step still gains where what is sought is a note
SHAPE, SPREAD = "shape", "spread"
MOST_VALUES = 10  # of a target that is not continuous


class Regimes:
    """How experts were found to be regimes.

    Parameters
    ----------
    regime : ndarray of int of shape (n_experts,)
        Number of the regime of each expert.
    kind : {"shape", "spread"} or None
        Of the ties; None where each expert is a regime.
    support : dict of int to float
        The highest log-evidence, over all rows, of each number of regimes that was looked at; with
        ``MARGIN`` more where experts are tied.
    n_values : int, default=None
        Of the target, where they are few.
    curve : Curve, default=None
        That was tried in place of several regimes.
    rivals : list of str, default=()
        Notes on one line of the logarithm, on other partitions into as many regimes, and on other
        optima.
    """

    def __init__(self, regime, kind, support, n_values=None, curve=None, rivals=()):
        self.regime, self.kind, self.support = np.asarray(regime), kind, support
        self.n_values, self.curve, self.rivals = n_values, curve, list(rivals)
        self.n_regimes = int(self.regime.max()) + 1

    @property
    def were_compared(self):
        """Whether experts were tied, by the evidence for numbers of regimes."""
        return self.n_regimes < len(self.regime) and len(self.support) > 1

    def named(self, names, order):
        """Names of the experts of each regime, a list of lists; by the first of each.

        Expert ``j`` of the names is expert ``order[j]`` here.
        """
        groups = {}
        for name, k in zip(names, order, strict=True):
            groups.setdefault(int(self.regime[k]), []).append(name)
        return list(groups.values())

    def notes(self):
        """What is to be said of the choice, in sentences; a list."""
        n_regimes, n_experts = self.n_regimes, len(self.regime)
        notes = []
        if self.n_values is not None and n_regimes > 1:
            notes.append(
                f"The target has {self.n_values} values, and regimes may be no more than these: "
                "take MixtureOfExpertsClassifier, or an ordinal model."
            )
        if n_regimes < n_experts:
            notes.append(
                f"{n_experts} experts are {count(n_regimes, 'regime')}: experts of one regime are "
                f"one regression function, whose errors {ERRORS[self.kind]}."
            )
        curve = self.curve
        if curve is not None and curve.nats > CLOSE:
            notes.append(
                f"The {n_regimes} regimes may be one curve, or one line with a bend: by "
                "log-evidence over all rows, one line and spline columns of "
                f"{curve.column} are {curve.nats:.1f} nats ahead. Compare "
                "make_pipeline(SplineTransformer(), RidgeCV()), or a tree as expert."
            )
        return notes + close_numbers(self.support, n_regimes) + self.rivals


ERRORS = {
    SHAPE: "have heavier tails than the likelihood's, or are skewed",
    SPREAD: "have a spread that depends on the columns, or heavy tails",
}


class RegimeSearch:
    """Ties experts of a mixture of most evidence.

    Parameters
    ----------
    trainer : PooledTrainer
        Which converges mixtures.
    """

    def __init__(self, trainer):
        self.trainer, self.n_rows = trainer, trainer.data.weight.sum()

    def of(self, best):
        """The mixture of as few regimes as the evidence allows for.

        Of the problem of most evidence, without ties; returns one with ties, or the same, and
        Regimes.
        """
        n_rows, n_experts = self.n_rows, best.experts.n_experts
        support = {k: n_rows * each for k, each in self.trainer.log_evidence.items()}
        chosen, kind, rows = best, None, best.effective_rows()
        to_try = [
            regime
            for regime in partitions(best)
            if regime.max() == 0 or np.bincount(regime, rows).min() >= FEWEST_ROWS
        ]
        if n_experts > 1 and rows.min() < FEWEST_ROWS:
            chosen, kind = self._tied(best, to_try.pop(), -np.inf)
        to_beat = n_rows * chosen.evidence - MARGIN
        for regime in to_try:
            tied, kind_of_tied = self._tied(best, regime, to_beat)
            n_regimes, value = tied.experts.ties.n_regimes, n_rows * tied.evidence
            plain = support.get(n_regimes, -np.inf)
            if n_regimes == 1 and value < max(to_beat, plain):
                other, tied, kind_of_tied = self._one_line(best, tied, kind_of_tied)
                value = max(value, other)
            if value <= plain:
                continue  # so many experts do without ties
            support[n_regimes] = value + MARGIN
            if value >= to_beat:
                chosen, kind = tied, kind_of_tied
                break
        ties, n_experts = chosen.experts.ties, chosen.experts.n_experts
        regime = np.arange(n_experts) if ties is None else ties.regime
        if ties is not None:
            value = n_rows * chosen.evidence + MARGIN
            support[ties.n_regimes] = max(value, support.get(ties.n_regimes, value))
        curve = best_curve(self, chosen, regime) if regime.max() > 0 else None
        support, rivals = dict(sorted(support.items())), self.trainer.rivals.notes(chosen)
        if regime.max() > 0:
            rivals += line_of_logarithm(self, chosen, regime)
        if regime.max() > 0 or best.experts.n_experts >= MANY:
            rivals += self.trainer.optima(best)
        return chosen, Regimes(regime, kind, support, _number_of_values(best), curve, rivals)

    def _one_line(self, best, tied, kind):
        """Log-evidence of one line with errors of another kind, the better ties, and their kind."""
        if not best.experts.can_be_wider:
            return overdispersed_evidence(best, self.trainer.parts.likelihood.family), tied, kind
        evidence, resp = uneven_line(self.trainer.one_line())
        # Less MARGIN: it is not to be behind experts without ties.
        if evidence < self.n_rows * best.evidence:
            return evidence - MARGIN, tied, kind
        anew = self._new(SPREAD, np.zeros(resp.shape[1], dtype=int)).start(resp)
        tied = max(tied, self._converged(anew, -np.inf), key=lambda each: each.evidence)
        return evidence - MARGIN, tied, SPREAD

    def of_one_regime(self, has_tails):
        """The mixture that is one regression function, of one expert or of two of unlike scales."""
        one = self.trainer.one_line()
        if not has_tails or not one.experts.can_be_wider:
            return one
        tails = self._with_tails(one, np.zeros(1, dtype=int))
        tails = self.trainer.converge(tails, tol=ROUGH / self.n_rows)
        return max(one, tails, key=lambda each: each.evidence)

    def _tied(self, best, regime, to_beat):
        """The better mixture of two kinds of ties, and its kind."""
        experts, n_regimes = best.experts, max(regime) + 1
        kinds = (SHAPE, SPREAD) if experts.has_scales else (SHAPE,)
        found = [
            (self._converged(self._new(kind, regime).start(best.resp), to_beat), kind)
            for kind in kinds
        ]
        is_searched, can_be_wider = self.trainer.is_searched, experts.can_be_wider
        if is_searched and can_be_wider and n_regimes > 1:
            found.append((self._converged(self._with_tails(best, regime), to_beat), SHAPE))
        for tied, _ in found:
            self.trainer.rivals.add(tied)
        tied, kind = max(found, key=lambda each: each[0].evidence)
        may_start_anew = can_be_wider and (is_searched or 2 * n_regimes <= len(regime))
        if may_start_anew and self.n_rows * tied.evidence < to_beat:
            # Lines that cross, of even errors, say nothing of where the errors of one are large.
            anew = self._with_tails(tied, tied.experts.ties.regime, SPREAD)
            if self._converged(anew, to_beat).evidence > tied.evidence:
                return anew, SPREAD
        return tied, kind

    def _new(self, kind, regime):
        trainer = self.trainer
        experts = trainer.experts.tied(regime, kind == SHAPE)
        gate = shallow_copy(trainer.gate)
        gate = RegimeGate(gate, regime) if kind == SHAPE else gate
        likelihood = shallow_copy(trainer.likelihood)
        # What sees no row stands before nothing, and knows columns as they come.
        Z = trainer.data.Z if gate.sees_rows else trainer.data.X
        return PooledProblem(experts, gate, likelihood, trainer.data, Z=Z)

    def _with_tails(self, best, regime, kind=SHAPE):
        """The heaviest expert of each regime, and another behind it of larger errors."""
        experts, load = best.experts, best.load
        cores = [
            max(np.flatnonzero(regime == r), key=lambda k: load[k]) for r in range(max(regime) + 1)
        ]
        log_gate = best.gate.log_proba[:, cores]
        inner = log_gate + experts.expected_log_density()[:, cores] + np.log1p(-WIDE_SHARE)
        outer = log_gate + experts.log_density_if_wider(WIDER)[:, cores] + np.log(WIDE_SHARE)
        log_resp = np.hstack([inner, outer])
        resp = np.exp(log_resp - log_resp.max(axis=1, keepdims=True))
        resp /= resp.sum(axis=1, keepdims=True)
        return self._new(kind, np.tile(np.arange(len(cores)), 2)).start(resp)

    def _converged(self, problem, to_beat):
        return self.trainer.converge(problem, to_beat / self.n_rows)


def partitions(problem):
    """Regimes of experts, from one regime to one less than there are experts; labels (K,) each.

    Of each number of regimes the next lower one joins the two whose slopes lose least as one.
    """
    gram, cross = problem.experts.slope_sums(problem.resp)
    regime = np.arange(len(cross[0]))
    found = []
    while regime.max() > 0:
        pairs = combinations(range(regime.max() + 1), 2)
        loss, first, second = min(
            (loss_of_quadratics(gram[:, [i, j]], cross[:, [i, j]]), i, j) for i, j in pairs
        )
        regime = np.where(regime == second, first, regime)
        regime = regime - (regime > second)
        gram[:, first] += gram[:, second]
        cross[:, first] += cross[:, second]
        gram, cross = np.delete(gram, second, axis=1), np.delete(cross, second, axis=1)
        found.insert(0, regime)
    return found


def _number_of_values(problem):
    """How many values a target of few of them has, or None."""
    data = problem.data
    if data.y.ndim > 1 or not problem.experts.can_be_wider:
        return None
    n_values = len(np.unique(data.y[data.weight > 0]))
    return n_values if 1 < n_values <= MOST_VALUES else None
