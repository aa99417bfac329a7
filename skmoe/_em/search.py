"""How many experts: mixtures of one, two and more of them, trained in turn."""

from dataclasses import dataclass, replace

import numpy as np

from .loop import Progress, count
from .starts import small_sample_excess

PATIENCE = 2  # the search ends after this many successive numbers that are no better
STRONG = 3.0  # nats by which one more expert must lower BIC / 2: strong evidence (Kass and Raftery)


@dataclass(frozen=True)
class Score:
    """How good a number of experts is: higher is better."""

    value: float  # minus half of BIC, or the sum of out-of-fold log-densities
    log_density: np.ndarray | None  # (n_samples,): out of fold; None where it is BIC
    weight: np.ndarray  # (n_samples,): of the rows

    def is_above(self, other):
        """Whether it is higher by more than chance: strong evidence, or the standard error."""
        if not np.isfinite([self.value, other.value]).all():
            return self.value > other.value
        if self.log_density is None:
            return self.value > other.value + STRONG
        gains = self.log_density - other.log_density
        gain = self.weight @ gains
        return gain > np.sqrt(self.weight @ (gains - gain / self.weight.sum()) ** 2)


class NumberTrainer:
    """Trains one expert, two and more, by EM, and keeps the number that scores best.

    Experts that are at the maximum of their likelihood are compared by BIC [1]_, with what experts
    of few rows overfit; half of it has to fall by 3, strong evidence [2]_. Other experts are
    compared by out-of-fold log-densities, by more than a standard error.

    Parameters
    ----------
    make : callable
        ``make(n_experts)`` -> Trainer.
    most : int
        The largest number.
    by_bic : bool
        Whether numbers are compared by BIC.

    References
    ----------
    .. [1] G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6 (1978)
       461-464.
    .. [2] R. E. Kass and A. E. Raftery, "Bayes factors", Journal of the American Statistical
       Association 90 (1995) 773-795.
    """

    def __init__(self, make, most, *, by_bic):
        self.make = make
        self.most = most
        self.by_bic = by_bic

    def train(self, previous, tasks, attributes_now):
        """Train them in turn; see ``Trainer``."""
        tasks.begin(None)
        best = best_score = progress = score = trained = None
        if self.by_bic:
            criterion = "Half of BIC"
        else:
            criterion = "Out-of-fold log-density"
        scores = {}
        behind = 0
        n_fits = 0
        for n_experts in range(1, self.most + 1):
            trainer = self.make(n_experts)
            progress = progress or Progress(trainer.settings)
            progress.trying(n_experts)
            trainer.progress.verbose -= 1  # one line for each number
            trained = trainer.train(None, tasks, attributes_now)
            n_fits += trained.problem.experts.n_fits
            score = scores[n_experts] = self._score(trained)
            shown = f"{criterion} {score.value:.6f}"
            if self.by_bic:  # what experts of few rows overfit is beyond ``bic()``
                shown = f"corrected BIC {-2 * score.value:.3f}"
            progress.say(f"{count(n_experts)}: {shown}", end="")
            if best is None or score.is_above(best_score):
                best = trained
                best_score = score
                behind = 0
            else:
                behind += 1
            if behind == PATIENCE:
                break
        kept = len(best.parts.names)
        progress.say(f"Kept {count(kept)}")
        values = {k: each.value for k, each in scores.items()}
        n_fits -= best.problem.experts.n_fits
        return replace(best, number_scores=(criterion, values, kept), n_other_fits=n_fits)

    def _score(self, trained):
        problem = trained.problem
        data = trained.problem.data
        log_density = problem.log_norm
        weight = problem.weight
        total = float(weight @ log_density)
        is_spurious = any(problem.likelihood.at_floor_) or len(problem.dead()) > 0
        if is_spurious and len(trained.model.names) > 1:  # a likelihood that grows without a bound
            return Score(-np.inf, log_density, weight)
        if not self.by_bic:
            return Score(total, log_density, weight)
        n_parameters = trained.model.n_parameters(data.X, weight, problem.experts.n_functions)
        penalty = 0.5 * n_parameters * np.log(max(data.unit_weight.sum(), 1.0))
        penalty += small_sample_excess(problem, problem.effective_rows())
        return Score(total - penalty, None, weight)


class NumberThenEM:
    """Has one trainer choose the number of experts, and trains as many by EM.

    Parameters
    ----------
    search : PooledTrainer or NumberTrainer
        Chooses the number with all experts in each row, and a gate that allows for the choice.
    make : callable
        ``make(n_experts)`` -> Trainer.
    keeps : bool, default=True
        Whether what chose the number is kept where ``top_k`` leaves no expert out.
    on_sample : bool, default=False
        Whether it is chosen on a sample of the rows, without calls of callbacks.
    """

    def __init__(self, search, make, *, keeps=True, on_sample=False):
        self.search = search
        self.make = make
        self.keeps = keeps
        self.on_sample = on_sample

    def train(self, previous, tasks, attributes_now):
        """Train them in turn; see ``Trainer``."""
        tasks.begin(None)
        if self.on_sample:
            reported = tasks.silent()
        else:
            reported = tasks
        found = self.search.train(previous, reported, attributes_now)
        n_experts = len(found.parts.names)
        settings = found.settings
        if self.keeps and settings.active_top_k(n_experts) is None:
            return found
        trainer = self.make(n_experts)
        trainer.progress.say(f"EM of {count(n_experts)}")
        reason = f"the evidence chose {count(n_experts)}, and top_k is {settings.top_k}"
        chosen = {"log_evidence": found.log_evidence, "number_scores": found.number_scores}
        chosen["n_other_fits"] = found.n_other_fits + found.problem.experts.n_fits
        return replace(trainer.train(None, tasks, attributes_now), reason=reason, **chosen)
