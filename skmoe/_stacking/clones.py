"""Clones of a flexible expert: one that is fitted on all rows, and specialists where these pay.

Clones of a flexible estimator often predict worse than one of them, since each has learned from a
part of the rows. Here one clone, the generalist, is fitted on all rows, specialists of regimes are
further components, and the out-of-fold log-density decides whether they are kept.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._em.loop import count
from .._em.starts import HARD_SHARE
from .._em.trainer import surrogate, train_surrogate
from .._experts.fitting import GENERALIST, with_fewer_trees
from ..gates import ForestGate, SoftmaxGate
from .gate import FIRST_PENALTY, GATE_PENALTIES
from .specialisation import Specialisation

LIGHT_PENALTIES = (FIRST_PENALTY, 0.3)  # of a softmax gate: a border of regimes may be sharp
LEAST_SIGNAL = 3.0  # standard errors of a correlation
FEW_TREES = {"n_estimators": 20}  # of forests that only look at where regimes may be


@dataclass
class Team:
    """Specialists, and the shares of the rows that they are fitted with."""

    names: list  # names of the specialists
    # EstimatorExperts: quick ones of the regimes of a linear mixture, and those of what these find.
    first: object
    experts: object
    shares: np.ndarray  # (n_samples, n_experts)
    default_gate: tuple | None = None  # as of ``Trained``; None with a gate that was given
    of_softmax: object = None  # Candidate: with the SoftmaxGate of the two that are the default


class Clones:
    """A generalist and specialists; ``trainer`` is the StackedTrainer that they are for.

    ``numbers`` are those of specialists, to try as long as more are worth more; 1 is the generalist
    alone. ``keeps_softmax`` is as of the trainer.
    """

    def __init__(self, trainer, numbers, keeps_softmax):
        self.trainer = trainer
        self.numbers = numbers
        self.keeps_softmax = keeps_softmax

    def fit(self):
        """Fit all; the mixture (Candidate), its fitted experts, and those in training."""
        trainer = self.trainer
        n_rows = len(trainer.data.y)
        n_jobs = trainer.settings.n_jobs
        parts = trainer.parts
        densities = trainer.densities
        one = replace(parts, names=[GENERALIST], templates=parts.templates[:1])
        generalist = trainer.make_experts(one)
        everything = np.ones((n_rows, 1))
        teams = []
        trainer.progress.say(f"Fitting a generalist on {count(n_rows, 'row')}")
        with generalist.side_by_side(n_jobs):
            generalist.fit(everything)
            fitted = generalist.finish(everything)
            means = densities.standardise(generalist.predictions)
            densities.begin(means[:, 0])
            chosen = densities.alone([GENERALIST], means)
            team = None
            if self.numbers != [1]:
                chosen, team = self._best_team(teams, chosen)
            if team is not None:
                trainer.progress.say("Refitting the specialists on all rows")
                with team.experts.side_by_side(n_jobs):
                    fitted += team.experts.finish(team.shares)
        # Fits of all teams count.
        generalist.n_fits += sum(each.first.n_fits + each.experts.n_fits for each in teams)
        return chosen, fitted, generalist

    def _team(self, number):
        """So many specialists, to be fitted on the regimes of a mixture of linear experts."""
        trainer = self.trainer
        parts = self.trainer.parts.first(number)
        trainer.progress.say(f"Finding {number} regimes by linear experts")
        quick = replace(parts, templates=list(map(with_fewer_trees, parts.templates)))
        both = (trainer.make_experts(each, of_regimes=True) for each in (quick, parts))
        linear = train_surrogate(trainer, surrogate(trainer.data, parts), parts)
        trainer.trained.paths = linear.trained.paths
        shares = HARD_SHARE * linear.problem.resp + (1 - HARD_SHARE) / number
        return Team(parts.names, *both, shares)

    def _best_team(self, teams, without):
        """The mixture to keep, and the team in it, if there is one; ``teams`` gets all.

        ``without`` is the generalist alone.
        """
        trainer = self.trainer
        weight = self.trainer.data.weight
        n_jobs = trainer.settings.n_jobs
        say = trainer.progress.say
        best = without
        kept = None
        scores = {}
        for number in self.numbers:
            if teams and not self._has_structure(best):
                break
            team = self._team(number)
            teams.append(team)
            say(f"Fitting {count(number, 'specialist')}")
            with team.first.side_by_side(n_jobs), team.experts.side_by_side(n_jobs):
                team.first.fit(team.shares)
                found = self._specialise(without, team)
            scores[number] = float(weight @ found.log_density)
            pays = self._worth(best, found).kept
            if pays or kept is None:
                trainer.trained.specialisation = self._worth(without, found)
                say(str(trainer.trained.specialisation))
            if not pays:
                break
            best = found
            kept = team
        if self.keeps_softmax and kept is not None:
            best = kept.of_softmax or without
            kept.default_gate = None
            scores[len(kept.names)] = float(weight @ best.log_density)
            trainer.trained.specialisation = self._worth(without, best)
            if not trainer.trained.specialisation.kept:
                return without, None
        if len(scores) > 1:
            trainer.trained.number_scores = "Out-of-fold log-density", scores, len(kept.names)
        trainer.trained.default_gate = kept and kept.default_gate
        return best, kept

    def _specialise(self, without, team):
        """The generalist with a team, whose ``shares`` become those that it is fitted with.

        Under the first specialists, fitted already, rows find the regimes of those that stay. Where
        a softmax gate scores as well as the forest, it is the one: it is small, and quick.
        """
        trainer = self.trainer
        data = self.trainer.data
        names = [*without.names, *team.names]
        labels = team.shares
        shares = np.insert(team.shares, 0, 1 / len(team.names), axis=1)
        shares /= shares.sum(axis=1, keepdims=True)

        def default_gate():
            return self._forest(labels, {} if experts is team.experts else FEW_TREES)

        rounds = (team.first, (FIRST_PENALTY,)), (team.experts, GATE_PENALTIES)
        for experts, penalties in rounds:
            if experts is team.experts:
                trainer.progress.say("Fitting new specialists")
                own = labels[:, 1:]
                team.shares = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300)
                experts.fit(team.shares)
            trainer.progress.say("Learning gate and densities")
            own = trainer.densities.standardise(experts.predictions)
            means = np.concatenate([without.means, own], axis=1)
            found = trainer.densities.gated(names, means, default_gate, penalties, shares)
            labels = shares = found.resp
        if trainer.densities.gate is not None or not self._worth(without, found).kept:
            return found  # a second gate does not get a second attempt
        softmax = SoftmaxGate()
        light = team.of_softmax = trainer.densities.gated(
            names, means, lambda: (softmax, data.Z, softmax.fit), LIGHT_PENALTIES, found.shares
        )
        gain = self._worth(light, found)
        takes_light = not gain.kept and self._worth(without, light).kept
        name, other = ("SoftmaxGate", "ForestGate")[:: 1 if takes_light else -1]
        if takes_light:
            change = gain.gain
        else:
            change = -gain.gain
        change = f"{change:+.3f} a row (standard error {gain.standard_error:.3f})"
        others = f"with a {other} the out-of-fold log-density changes by {change}"
        team.default_gate = name, others
        if takes_light:
            return light
        return found

    def _forest(self, labels, settings):
        """An unfitted gate, but for its forest, the columns of its weights, and what fits these."""
        data = self.trainer.data
        gate = ForestGate(random_state=self.trainer.seed, **settings)
        return gate, gate.fit_forest(data.Z, labels, data.weight), gate.fit_softmax

    def _has_structure(self, found):
        """Whether columns say in which third of its distribution a row is, out of bag.

        Then more specialists may learn it. Classes have no such thirds: there they always may.
        """
        if found.cdf is None:
            return True
        third = np.clip(3 * found.cdf, 0, 2).astype(int)
        weight = self.trainer.data.weight
        labels = np.eye(3)[third]
        log_proba = self._forest(labels, FEW_TREES)[1][:, -3:]
        both = np.cov(labels.T, np.exp(log_proba).T, aweights=weight)
        least = LEAST_SIGNAL * np.sqrt(both.diagonal()[:3] * both.diagonal()[3:] / weight.sum())
        return (both[:3, 3:].diagonal() > least).any()

    def _worth(self, without, found):
        return Specialisation.of(without.log_density, found.log_density, self.trainer.data.weight)
