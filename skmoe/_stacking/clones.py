"""Clones of a flexible expert: one that is fitted on all rows, and specialists where these pay.

Clones of a flexible estimator often predict worse than one of them, since each has learned from a
part of the rows. Here one clone, the generalist, is fitted on all rows, specialists of regimes are
further components, and the out-of-fold log-density decides whether they are kept.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from .._em.loop import count
from .._em.starts import HARD_SHARE
from .._em.trainer import surrogate, train_surrogate
from .._experts.estimators import fit_at_once
from .._experts.fitting import GENERALIST
from ..gates import ForestGate, SoftmaxGate
from .gate import FIRST_PENALTY, GATE_PENALTIES
from .specialisation import Specialisation

PENALTIES = (*GATE_PENALTIES, 0.3)  # a border between regimes of clones may be a sharp one


@dataclass
class Team:
    """Specialists, and the shares of the rows that they are fitted with."""

    names: list  # names of the specialists
    experts: object  # EstimatorExperts
    shares: np.ndarray  # (n_samples, n_experts)
    # Gain of a forest gate over a softmax gate; None with a gate that was given.
    gate_gain: Specialisation | None = None


class Clones:
    """A generalist and specialists; ``trainer`` is the StackedTrainer that they are for.

    ``numbers`` are those of specialists, to try as long as more are worth more; 1 is the generalist
    alone.
    """

    def __init__(self, trainer, numbers):
        self.trainer, self.numbers = trainer, numbers

    def fit(self):
        """Fit all; the mixture (Candidate), its fitted experts, and those in training."""
        trainer, numbers = self.trainer, self.numbers
        n_rows, n_jobs = len(trainer.data.y), trainer.settings.n_jobs
        parts, densities = trainer.parts, trainer.densities
        one = replace(parts, names=[GENERALIST], templates=parts.templates[:1])
        generalist = trainer.make_experts(one, report_weights=False)
        everything = np.ones((n_rows, 1))
        who = "" if numbers == [1] else f"{count(numbers[0])} and "
        trainer.progress.say(f"Fitting {who}a generalist on {count(n_rows, 'row')}")
        with generalist.side_by_side(n_jobs):
            teams = [self._team(number) for number in numbers[:1] if number > 1]
            with ExitStack() as stack:  # in one batch of tasks
                for team in teams:
                    stack.enter_context(team.experts.side_by_side(n_jobs))
                own = [(team.experts, team.shares) for team in teams]
                fit_at_once((generalist, everything), *own)
            fitted = generalist.finish(everything)
            means = densities.standardise(generalist.predictions)
            densities.begin(means[:, 0])
            chosen, team = densities.alone([GENERALIST], means), None
            if teams:
                chosen, team = self._best_team(teams, chosen)
            if team is not None:
                trainer.progress.say("Refitting the specialists on all rows")
                with team.experts.side_by_side(n_jobs):
                    fitted += team.experts.finish(team.shares)
        # Fits of all teams count.
        generalist.n_fits += sum(each.experts.n_fits for each in teams)
        return chosen, fitted, generalist

    def _team(self, number):
        """So many specialists, to be fitted on the regimes of a mixture of linear experts."""
        trainer, parts = self.trainer, self.trainer.parts.first(number)
        experts = trainer.make_experts(parts, of_regimes=True)
        resp = train_surrogate(trainer, surrogate(trainer.data, parts), parts).resp
        return Team(parts.names, experts, HARD_SHARE * resp + (1 - HARD_SHARE) / number)

    def _best_team(self, teams, without):
        """The mixture to keep, and the team in it, if there is one.

        ``teams`` has that of the smallest number, fitted; the others that are tried are added.
        ``without`` is the generalist alone.
        """
        trainer, weight = self.trainer, self.trainer.data.weight
        n_jobs, say = trainer.settings.n_jobs, trainer.progress.say
        best, kept, scores = without, None, {}
        for number in self.numbers:
            if number > len(teams[0].names):
                say(f"Fitting {count(number, 'specialist')}")
                teams.append(self._team(number))
            team = teams[-1]
            with team.experts.side_by_side(n_jobs):
                if team is not teams[0]:
                    team.experts.fit(team.shares)
                found = self._specialise(without, team)
            scores[number] = float(weight @ found.log_density)
            pays = self._pays(best, found)
            if pays or kept is None:
                worth = Specialisation.of(without.log_density, found.log_density, weight)
                trainer.specialisation = worth
                say(str(worth))
            if not pays:
                break
            best, kept = found, team
        if len(scores) > 1:
            chosen = len(kept.names)
            trainer.number_scores = "Out-of-fold log-density", scores, chosen
        trainer.gate_gain = kept and kept.gate_gain
        return best, kept

    def _specialise(self, without, team):
        """The generalist with a team, whose ``shares`` become those that it is fitted with.

        The regimes of a linear mixture have first specialists, which are fitted already. In these
        rows find new regimes, which have the specialists that stay. Where a softmax gate scores as
        well as the forest, it is the one: its file is small, and it is quick.
        """
        trainer, data = self.trainer, self.trainer.data
        names, labels = [*without.names, *team.names], team.shares
        shares = np.insert(team.shares, 0, 1 / len(team.names), axis=1)
        shares /= shares.sum(axis=1, keepdims=True)

        def default_gate():
            gate = ForestGate(random_state=trainer.seed)
            return gate, gate.fit_forest(data.Z, labels, data.weight), gate.fit_softmax

        for penalties in ((FIRST_PENALTY,), PENALTIES):
            if labels is not team.shares:  # the first specialists are fitted with these
                trainer.progress.say("Fitting new specialists and their gate")
                own = labels[:, 1:]
                team.shares = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300)
                team.experts.fit(team.shares)
            own = trainer.densities.standardise(team.experts.predictions)
            means = np.concatenate([without.means, own], axis=1)
            found = trainer.densities.gated(names, means, default_gate, penalties, shares)
            labels = shares = found.resp
        if trainer.densities.gate is not None or not self._pays(without, found):
            return found  # a second gate does not get a second attempt
        softmax = SoftmaxGate()
        given = lambda: (softmax, data.Z, softmax.fit), PENALTIES, found.shares
        light = trainer.densities.gated(names, means, *given)
        team.gate_gain = Specialisation.of(light.log_density, found.log_density, data.weight)
        takes_light = not team.gate_gain.kept and self._pays(without, light)
        return light if takes_light else found

    def _pays(self, without, found):
        weight = self.trainer.data.weight
        return Specialisation.of(without.log_density, found.log_density, weight).kept
