"""Which experts are one regression function, whose errors are not Gaussian: by the evidence.

A mixture of Gaussian lines imitates errors of any shape by experts that have their slopes in
common. In the mixture of highest evidence, experts are tied two at a time, those first whose
slopes differ least, down to one regime. Ties are of two kinds: *shape*, in which experts of a
regime have offsets and are as probable, among these, in all rows; and *spread*, in which they have
one intercept, and the gate says where errors are large. So offsets that the gate parts by the
columns, as a step in the level, are no ties.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special, stats
from scipy.cluster import hierarchy
from sklearn.isotonic import isotonic_regression
from sklearn.tree import DecisionTreeRegressor

from .._em.loop import count
from .._em.problem import FEW_ROWS, shallow_copy
from .._experts.pooled import loss_of_quadratics
from . import rivals
from .problem import PooledProblem, RegimeGate

MARGIN = 4.0  # nats that experts without ties have to be ahead, as their prior variances are free
FEWEST_ROWS = 5.0  # of a regime; fewer are outliers of another
SAME = 0.05  # nats over all rows; partitions that are closer are equal
SHAPE = "shape"
SPREAD = "spread"
ERRORS = {
    SHAPE: "have other tails than the likelihood's, are skewed, or differ in level",
    SPREAD: "are heteroscedastic or have heavy tails",
    None: "vary more than the likelihood's",
}
VALLEY = 0.9  # density between two peaks, in units of what fills it
TOLD = 0.5  # nats of evidence for a valley
FEW = 0.05  # part of the rows that are outliers
LEVELS = 3  # of the variance: wide errors at both ends of a column, narrow ones between


@dataclass(frozen=True)
class Regimes:
    """How experts were found to be regimes."""

    # (n_experts,): number of the regime of each expert.
    regime: np.ndarray
    n_functions: int  # regression functions: different slopes, or levels that columns predict
    # The highest log-evidence, over all rows, of each number of functions that was looked at; with
    # ``MARGIN`` more where experts are tied.
    support: dict
    notes: list  # comments on the choice, as sentences

    n_regimes = property(lambda self: int(self.regime.max()) + 1)

    # Whether experts were tied, by the evidence for numbers of regimes.
    were_compared = property(lambda r: r.n_functions < len(r.regime) and len(r.support) > 1)

    def named(self, names, order):
        """Names of the experts of each regime, a list of lists; by the first of each.

        Expert ``j`` of the names is expert ``order[j]`` here.
        """
        groups = {}
        for name, k in zip(names, order, strict=True):
            groups.setdefault(int(self.regime[k]), []).append(name)
        return list(groups.values())


def errors_of(problem):
    """The regime of each expert of a mixture, (n_experts,), and notes on errors, a list.

    Experts with the same slopes are components of errors. Where the density of all errors has
    several peaks, with valleys between them, each peak is a regime that differs in level alone.
    """
    experts = problem.experts
    load = problem.load
    ties = problem.experts.ties
    if ties is None:
        return np.arange(len(load)), []
    if experts.can_be_wider:
        kind = SHAPE if ties.has_offsets else SPREAD
    else:
        kind = None
    shape = ERRORS[kind]
    if kind == SHAPE and ties.n_regimes == 1 and experts.y_scale.size == 1:
        levels = experts.coef[:, -1, 0]
        sd = experts.posteriors[0][1].mean ** -0.5
        errors = (experts.targets - experts.design[:, :-1] @ experts.coef[0, :-1])[:, 0]
        nats, valleys = _valleys(errors, problem.weight, levels, sd, load)
        peaks = np.unique(np.searchsorted(valleys, levels), return_inverse=True)[1]
        share = np.bincount(peaks, load)
        levels = experts.y_scale[0] * (levels - load @ levels)
        if len(share) > 1 and share.min() > FEW:
            found = zip(np.bincount(peaks, load * levels) / share, share, strict=True)
            found = " and ".join(f"{level:.3g} ({part:.0%})" for level, part in found)
            found = f"peaks at {found}, and no column tells which row is at which"
            if nats > TOLD:
                return peaks, [
                    f"{peaks.max() + 1} regimes have their slopes in common and differ in level "
                    f"alone: errors have {found}."
                ]
            shape = f"may have {found}: a close call"
    return ties.regime, [
        f"{len(load)} experts are {count(ties.n_regimes, 'regime')}: those of one regime share a "
        f"regression function, whose errors {shape}."
    ]


def _valleys(errors, weight, centre, sd, share):
    """Where a mixture of normal errors has valleys between its peaks, and what speaks for these.

    It is by how many nats the errors, were the valleys filled, are less likely, but for what BIC
    takes for components that a pair of peaks does not need. With far less, there are no valleys.
    """
    grid = np.unique(centre + sd * np.linspace(-3, 3, 31)[:, None])
    density = stats.norm.pdf(grid[:, None], centre, sd) @ share
    width = np.gradient(grid)
    found = []
    for top in np.flatnonzero(np.diff(np.sign(np.diff(density))) < 0) + 1:
        filled = np.append(
            isotonic_regression(density[:top], sample_weight=width[:top]),
            isotonic_regression(density[top:], sample_weight=width[top:], increasing=False),
        )
        found.append((weight @ np.log(np.interp(errors, grid, density / filled)), top, filled))
    gain, _, filled = min(found)
    gain -= (len(centre) - 2) * np.log(weight.sum())
    is_low = (density < VALLEY * filled) & (gain > -rivals.CLOSE)
    edges = np.flatnonzero(np.diff(np.pad(is_low, 1)))
    return gain, [grid[i + density[i:j].argmin()] for i, j in edges.reshape(-1, 2)]


class RegimeSearch:
    """Ties experts of a mixture of most evidence.

    Parameters
    ----------
    trainer : PooledTrainer
        Which converges mixtures.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self.n_rows = trainer.data.weight.sum()

    def of(self, best):
        """The mixture of as few regimes as the evidence allows for.

        From the problem of highest evidence, without ties; returns one with ties, or the same, and
        Regimes.
        """
        n_rows = self.n_rows
        n_experts = best.experts.n_experts
        others = self.trainer.rivals
        support = {k: n_rows * each for k, each in self.trainer.log_evidence.items()}
        support = others.without_copies(support, n_experts)
        chosen = best
        rows = best.effective_rows()
        can_be_tied = best.experts.can_be_tied
        is_one_line = False
        can_be_wider = best.experts.can_be_wider
        to_try = [
            regime
            for regime in (partitions(best) if can_be_tied and n_experts > 1 else [])
            if regime.max() == 0 or np.bincount(regime, rows).min() >= FEWEST_ROWS
        ]
        if to_try and rows.min() < FEWEST_ROWS:
            chosen = self._tied(best, to_try.pop(), -np.inf)
        to_beat = n_rows * chosen.evidence - MARGIN
        # After a long search from many down, but for one, until the first that are too few.
        is_long = self.trainer.work_left <= 0
        for regime in [*to_try[:1], *to_try[:0:-1]] if is_long else to_try:
            tied = self._tied(best, regime, to_beat)
            n_regimes = tied.experts.ties.n_regimes
            value = n_rows * tied.evidence
            plain = support.get(n_regimes, -np.inf)
            if n_regimes == 1 and value < max(to_beat, plain):
                other, tied = self._one_line(best, tied)
                value = max(value, other)
            if value <= plain:
                continue  # that many experts need no ties
            support[n_regimes] = value + MARGIN
            # One line's errors may be such as no ties describe: then experts stay as they are.
            is_one_line = value >= to_beat and n_rows * tied.evidence < plain and can_be_wider
            if value >= to_beat and not is_one_line:
                chosen = tied
            if (value >= to_beat) != (is_long and n_regimes > 1):
                break
        # An abandoned mixture may be better after it has converged.
        for other in others.close_to(chosen):
            if n_rows * (other.evidence - chosen.evidence) > SAME:
                chosen = other
        n_functions = rivals.count_regimes(chosen)
        if chosen.experts.ties is not None:
            value = n_rows * chosen.evidence + MARGIN
            support[n_functions] = max(value, support.get(n_functions, value))
        support = dict(sorted(support.items()))
        ahead, notes = rivals.best_surface(self, chosen) if n_functions > 1 else (-np.inf, [])
        regime, of_errors = errors_of(chosen)
        if (ahead > rivals.CLOSE or is_one_line) and can_be_tied:
            return chosen, Regimes(np.zeros(len(regime), dtype=int), n_functions, support, notes)
        if can_be_tied:
            word = "regime"
        else:
            word = "expert"
        notes = [*of_errors, *notes, *rivals.close_numbers(support, n_functions, word)]
        notes += others.notes(chosen, word)
        if n_functions > 1 or n_experts >= rivals.MANY or is_long:
            notes += self.trainer.optima(best, is_long)
        return chosen, Regimes(regime, n_functions, support, notes)

    def _one_line(self, best, tied):
        """Log-evidence of one line with errors of another kind, and the better ties."""
        if not best.experts.can_be_wider:
            family = type(self.trainer.parts.likelihood.family)
            return rivals.overdispersed_evidence(best, family), tied
        one = self.trainer.one_line()
        evidence, variance, self.spread = rivals.uneven_line(one)
        # Less MARGIN: it must not have less than experts without ties.
        if evidence >= self.n_rows * best.evidence:
            resp = levels_of(variance, one)
            together = np.zeros(resp.shape[1], dtype=int)
            anew = self.tied_problem(together, has_offsets=False).start(resp)
            tied = max(tied, self.trainer.converge(anew), key=lambda each: each.evidence)
        return evidence - MARGIN, tied

    def _tied(self, best, regime, to_beat):
        """The better mixture of two kinds of ties."""
        found = []
        for kind in (SHAPE, SPREAD) if best.experts.has_scales else (SHAPE,):
            tied = self.tied_problem(regime, kind == SHAPE).start(best.resp)
            found.append(self.trainer.converge(tied, to_beat / self.n_rows))
            self.trainer.rivals.add(found[-1])
        return max(found, key=lambda each: each.evidence)

    def tied_problem(self, regime, has_offsets):
        """Untrained experts of these regimes: ties of shape have offsets, those of spread none."""
        trainer = self.trainer
        experts = trainer.experts.tied(regime, has_offsets)
        gate = shallow_copy(trainer.gate)
        likelihood = shallow_copy(trainer.likelihood)
        if has_offsets:
            gate = RegimeGate(gate, regime)
        # A gate that does not depend on the row has no encoder, and takes X as it is.
        if gate.sees_rows:
            Z = trainer.data.Z
        else:
            Z = trainer.data.X
        return PooledProblem(experts, gate, likelihood, trainer.data, Z=Z)


def levels_of(variance, one):
    """As responsibilities (n_samples, 3) the rows of three levels of a function of the columns."""
    X = one.experts.standard[:, :-1]
    tree = DecisionTreeRegressor(max_leaf_nodes=LEVELS)
    levels = tree.set_params(random_state=0).fit(X, np.log(variance), one.weight).apply(X)
    return np.equal.outer(levels, np.unique(levels)).astype(float)


def partitions(problem):
    """Regimes of experts, from one regime to one less than there are experts; labels (K,) each.

    From each number of regimes to the next lower one, the two regimes are merged whose experts
    lose least, pair by pair, with common slopes.
    """
    gram, cross = problem.experts.slope_sums(problem.resp)
    pairs = map(list, combinations(range(len(cross[0])), 2))
    loss = [max(loss_of_quadratics(gram[:, pair], cross[:, pair]), 0.0) for pair in pairs]
    tree = hierarchy.linkage(loss, "complete")
    return [hierarchy.cut_tree(tree, r + 1)[:, 0] for r in range(len(tree))]


# Predictions that average over two mixtures -------------------------------------------------------


TEMPER = 0.25  # part of the log-evidence that counts
PRIOR = 3.0  # nats by which several experts have to be better than one
OF_VARIANCE = 1.0  # nats by which the variance of most evidence is favoured by its choice
UNIT = "unit variance"  # of slopes, on standardised columns
LEAST = 0.01  # weight of the other mixture, below which it is left out


@dataclass(frozen=True)
class Averaging:
    """Another mixture beside the one that was kept, where few rows do not tell which is the better.

    One has one expert, the other the number of most evidence: a few nats decide, which a few rows
    make. Predictions average over both, by weights [1]_ in which the log-evidence counts a fourth,
    since that of the best of many mixtures is the highest by chance as well, and there are only
    bounds of it.

    Far from the rows of ``fit`` one expert has some weight whatever the evidence: where nothing was
    seen, there may be another regime. ``Average`` has how much.

    One expert of classes, whose slopes grow with their prior variance where columns all but
    separate the classes, averages over the variance of most evidence and 1.

    References
    ----------
    .. [1] J. A. Hoeting, D. Madigan, A. E. Raftery and C. T. Volinsky, "Bayesian model averaging: a
       tutorial", Statistical Science 14 (1999) 382-417.
    """

    other: object  # PooledProblem of one expert
    weight: float  # of it
    n_experts: int  # of the mixture that was kept

    @property
    def weights(self):
        """By number of experts, or name; the other last if there are two of one expert."""
        weights = {1: self.weight, self.n_experts: 1 - self.weight}
        return weights | ({UNIT: self.weight} if self.n_experts == 1 else {})

    @property
    def notes(self):
        """What is averaged in all rows and why, a sentence, in a list."""
        if self.weight == 0:
            return []
        over = f"{count(1)} and {self.n_experts}"
        if self.n_experts == 1:
            over = "a learned prior variance of the slopes and 1"
        weights = " and ".join(f"{each:.2f}" for each in self.weights.values())
        few = f"Fewer than {FEW_ROWS} rows"
        return [f"{few}: predictions average over {over}, with the weights {weights}."]


def averaging(best, one_line, n_rows):
    """The Averaging of ``best`` and what ``one_line(learns_variances)`` makes, or None.

    Only where rows are few, by weight, has the other any weight among those of ``fit``.
    """
    n_experts = best.experts.n_experts
    weighs = n_rows < FEW_ROWS
    temper, prior = (1.0, OF_VARIANCE) if n_experts == 1 else (TEMPER, PRIOR)
    if n_experts == 1 and not (weighs and best.experts.averages_variances):
        return None
    other = one_line(n_experts > 1)
    ahead = n_rows * (best.evidence - other.evidence) - prior
    if weighs:
        weight = float(special.expit(-temper * ahead))
    else:
        weight = 0.0
    if not (weight >= LEAST):
        weight = 0.0
    if n_experts > 1 or weight > 0:
        return Averaging(other, weight, n_experts)
    return None


# Effort of the search for mixtures of pooled experts ---------------------------------------------


@dataclass(frozen=True)
class Effort:
    """Limits of a search; the defaults are those of a mixture that stands alone."""

    n_init: float = float("inf")  # starts without pooling at most
    tol: float = 1e-6  # per unit of weight; the mixtures to compare differ by little
    # Iterations between changes of the gate's precision.
    stretches: tuple = (10, 10, 20, 40, 80, 160, 160)


WHOLE = Effort()
IN_FOLD = Effort(tol=1e-5, stretches=(10, 10, 20))  # from what was found on all rows
IN_STACK = Effort(6, 1e-5, WHOLE.stretches[:5])  # of one expert among others
ON_ALL_ROWS = Effort(tol=1e-5, stretches=(5, 10, 20))  # from what a part of the rows led to
BEHIND = 0.2  # nats a row below the best other expert: more experts then help little
