"""Training of clones: one that is fitted on all rows, and specialists where these pay.

Clones of a flexible estimator often predict worse than one of them, since each has learned from a
part of the rows. Here one clone, the generalist, is fitted on all rows, specialists of regimes are
components beside it, and the out-of-fold log-density decides whether they stay.
"""

from abc import abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from .._em.loop import Run
from .._em.progress import count
from .._em.search import NumberScores
from .._em.starts import HARD_SHARE
from .._em.trainer import Trainer, surrogate, train_surrogate
from .._experts.estimators import fit_at_once
from .._experts.traits import GENERALIST
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from ..gates import BaseGate, ConstantGate, ForestGate
from .gate import GATE_PENALTIES
from .given_gate import gate_around
from .specialisation import Specialisation
from .trainer import StackedProblem

FIRST_PENALTY = 3.0  # L2 penalty of the gate while regimes are sought


@dataclass
class _Candidate:
    """A mixture of which experts, gate strength and out-of-fold densities are known."""

    names: list  # names of the experts
    # (n_samples, n_experts) or (n_samples, n_experts, n_classes): out-of-fold predictions.
    means: np.ndarray
    gate: BaseGate  # its weights are not fitted yet
    columns: np.ndarray  # (n_samples, n_columns): what these are to be fitted on
    penalty: float | None  # L2 penalty of the gate; None where it has no weights
    # ``resp``, ``log_density``: (n_samples, n_experts) and (n_samples,): out of fold.
    resp: np.ndarray
    log_density: np.ndarray
    fitted_gate: BaseGate | None = None  # one that was asked for, fitted


@dataclass
class _Team:
    """Specialists, and the shares of the rows that they are fitted with."""

    names: list  # names of the specialists
    experts: object  # EstimatorExperts
    shares: np.ndarray  # (n_samples, n_experts)


@dataclass
class Refitted:
    """What is learned from the out-of-fold predictions of all rows."""

    likelihood: object  # BaseLikelihood: fitted
    labels: np.ndarray  # (n_samples, n_experts): responsibilities
    # ``objective``, ``prior``, ``converged``: as of ``StackedProblem``.
    objective: float
    prior: float
    converged: bool


class SpecialistsTrainer(Trainer):
    """Fits clones on all rows and on regimes, and keeps the latter where they pay.

    A subclass implements what is learned from out-of-fold predictions.

    Parameters as of ``Trainer``, without a problem.

    Parameters
    ----------
    expert_seed : int
        Of experts that draw.
    numbers : list of int
        Of specialists, to try as long as more are worth more; 1 is the generalist alone.
    gate : GateParts, default=None
        A gate that was asked for; None is the default, a ForestGate of the best strength.

    Attributes
    ----------
    specialisation : Specialisation
        What specialists are worth.
    """

    grows = False
    way = "specialists"

    def __init__(
        self, data, parts, settings, *, folds, splitting, seed, expert_seed, numbers, gate=None
    ):
        splits = splitting.gate_folds(folds, data, can_memorise=True)
        super().__init__(None, data, parts, settings, folds=splits, splitting=splitting, seed=seed)
        self.expert_folds, self.expert_seed, self.gate = folds, expert_seed, gate
        self.numbers = numbers

    def train(self, previous, tasks, attributes_now):
        """Fit it all, in one iteration; see ``Trainer``."""
        tasks.begin(1)
        data, n_jobs = self.data, self.settings.n_jobs
        everything, generalist = np.ones((len(data.y), 1)), self._generalist()
        who = "" if self.numbers == [1] else f"{count(self.numbers[0])} and "
        self.progress.say(f"Fitting {who}a generalist on {count(len(data.y), 'row')}")
        with generalist.side_by_side(n_jobs):
            teams = [self._team(number) for number in self.numbers[:1] if number > 1]
            with ExitStack() as stack:  # in one batch of tasks
                for team in teams:
                    stack.enter_context(team.experts.side_by_side(n_jobs))
                own = [(team.experts, team.shares) for team in teams]
                fit_at_once((generalist, everything), *own)
            fitted = generalist.finish(everything)
            self._begin(generalist.predictions[:, 0])
            chosen, team = self._alone(generalist.predictions), None
            if teams:
                chosen, team = self._best_team(teams, chosen, generalist.predictions)
            if team is not None:
                with team.experts.side_by_side(n_jobs):
                    fitted += team.experts.finish(team.shares)
        # Fits of all teams count.
        generalist.n_fits += sum(each.experts.n_fits for each in teams)
        return self._trained(chosen, fitted, generalist)

    def _team(self, number):
        """So many specialists, to be fitted on the regimes of a mixture of linear experts."""
        parts = self.parts.first(number)
        experts = self._untrained(parts, self.expert_seed + 1, report_weights=True)
        resp = train_surrogate(self, surrogate(self.data, parts), parts).resp
        return _Team(parts.names, experts, HARD_SHARE * resp + (1 - HARD_SHARE) / number)

    def _best_team(self, teams, without, of_generalist):
        """The mixture to keep, and the team in it, if there is one.

        Parameters
        ----------
        teams : list of _Team
            Of the smallest number, fitted; the others that are tried are added.
        without : _Candidate
            The generalist alone.
        of_generalist : ndarray of shape (n_samples, 1, ...)
            Its out-of-fold predictions.
        """
        weight, n_jobs, say = self.data.weight, self.settings.n_jobs, self.progress.say
        best, kept, scores = without, None, {}
        for number in self.numbers:
            if number > len(teams[0].names):
                say(f"Fitting {count(number, 'specialist')}")
                teams.append(self._team(number))
            team = teams[-1]
            with team.experts.side_by_side(n_jobs):
                if team is not teams[0]:
                    team.experts.fit(team.shares)
                found = self._specialise(of_generalist, team)
            scores[number] = float(weight @ found.log_density)
            pays = Specialisation.of(best.log_density, found.log_density, weight).kept
            if pays or kept is None:
                worth = Specialisation.of(without.log_density, found.log_density, weight)
                self.specialisation = worth
                say(str(worth))
            if not pays:
                break
            best, kept = found, team
        if len(scores) > 1:
            chosen = len(kept.names)
            self.number_scores = NumberScores("Out-of-fold log-density", scores, chosen)
        return best, kept

    def _trained(self, chosen, fitted, experts):
        """What ``train`` returns."""
        problem, order = self._finish(chosen, fitted, experts)
        self.problem = problem
        self.progress.say("Finished", problem.objective)
        run = Run([problem.objective], converged=problem.converged)
        return self, run, problem.model, order, problem.load[order]

    # Experts --------------------------------------------------------------------------------

    def _generalist(self):
        parts = replace(self.parts, names=[GENERALIST], templates=self.parts.templates[:1])
        experts = self._untrained(parts, self.expert_seed, report_weights=False)
        weight = self.data.weight
        if (weight[weight > 0] == 1).all():  # many a fit takes longer with weights
            experts.weighted = [False]
        return experts

    def _untrained(self, parts, seed, report_weights):
        return parts.make_estimators(
            self.data, self.expert_folds, self.settings, seed, report_weights=report_weights
        )

    # Learning from out-of-fold predictions ----------------------------------------------------

    @abstractmethod
    def _begin(self, predictions):
        """Look at the out-of-fold predictions (n, ...) of the generalist."""

    @abstractmethod
    def _judge(self, means, Z, penalties):
        """Strength of the gate, responsibilities and log-densities; the latter two out of fold."""

    @abstractmethod
    def _densities(self, means):
        """Log-densities (n, n_experts) of the experts, out of fold. Parameters as of ``_judge``."""

    @abstractmethod
    def _refit(self, means, Z, penalty):
        """What is learned from all rows: Refitted. Parameters as of ``_judge``."""

    def _alone(self, predictions):
        """The generalist without specialists."""
        no_columns = np.empty((len(predictions), 0))
        return self._candidate([GENERALIST], predictions, ConstantGate(), no_columns, (None,))

    def _specialise(self, of_generalist, team):
        """The generalist with a team, whose ``shares`` become those that it is fitted with.

        The regimes of a linear mixture have first specialists, which are fitted already. In these
        rows find new regimes, which have the specialists that stay.
        """
        names, labels = [GENERALIST, *team.names], team.shares
        for penalties in ((FIRST_PENALTY,), GATE_PENALTIES):
            if labels is not team.shares:  # the first specialists are fitted with these
                self.progress.say(f"Fitting {count(len(team.names), 'specialist')} and their gate")
                own = labels[:, 1:]
                team.shares = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300)
                team.experts.fit(team.shares)
            means = np.concatenate([of_generalist, team.experts.predictions], axis=1)
            if self.gate is None:
                gate = ForestGate(random_state=self.seed)
                columns = gate.fit_forest(self.data.Z, labels, self.data.weight)
                found = self._candidate(names, means, gate, columns, penalties)
            else:
                found = self._behind_gate(names, means)
            labels = found.resp
        return found

    def _behind_gate(self, names, means):
        """Experts behind the gate that was asked for, trained around their densities."""
        with few_threads(means.size):
            density = self._densities(means)
        equal = np.full(density.shape, 1 / len(names))
        gate, resp, log_density = gate_around(
            self.gate, self.data, self.folds, density, equal, self.settings.tol
        )
        no_columns = np.empty((len(means), 0))
        return _Candidate(names, means, gate, no_columns, None, resp, log_density, gate)

    def _candidate(self, names, means, gate, columns, penalties):
        with few_threads(means.size):
            judged = self._judge(means, self._standardised(columns), penalties)
        return _Candidate(names, means, gate, columns, *judged)

    def _standardised(self, columns):
        mean, scale = standardisation(columns, self.data.weight)
        return (columns - mean) / scale

    # The model ------------------------------------------------------------------------------

    def _finish(self, chosen, fitted, experts):
        """The trained problem, with the model, and the order of the model's experts."""
        data, weight, parts = self.data, self.data.weight, self.parts
        penalty, columns = chosen.penalty, chosen.columns
        with few_threads(chosen.means.size):
            refitted = self._refit(chosen.means, self._standardised(columns), penalty)
        # An M-step from the optimum: the gate of the same weights, and of its own kind.
        if chosen.fitted_gate is not None:
            gate = chosen.fitted_gate
        elif penalty is None:
            gate = ConstantGate().fit(data.Z, refitted.labels, sample_weight=weight)
        else:
            gate = chosen.gate.set_params(alpha=penalty)
            gate.fit_softmax(columns, refitted.labels, weight)
        gate_proba = gate.predict_proba(data.Z)
        order = np.arange(len(chosen.names))
        if gate.can_reorder:
            order = np.append(0, 1 + np.argsort(-(weight @ gate_proba)[1:], kind="stable"))
            gate.reorder(order)
        refitted.likelihood.reorder(order)
        target = {} if parts.classes is None else {"classes": parts.classes}
        model = parts.model_class(
            names=chosen.names,
            experts=[fitted[k] for k in order],
            gate=parts.gate.behind(gate),
            likelihood=refitted.likelihood,
            **target,
        )
        problem = StackedProblem(
            data=data,
            experts=experts,
            model=model,
            means=chosen.means,
            gate_proba=gate_proba,
            resp=chosen.resp,
            log_norm=chosen.log_density,
            objective=refitted.objective,
            prior=refitted.prior,
            converged=refitted.converged,
        )
        return problem, order
