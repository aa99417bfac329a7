"""Training of experts that are each fitted on all rows, by their densities out of fold."""

from dataclasses import dataclass, replace

import numpy as np

from .._data import TrainingData
from .._doors import ready
from .._em.loop import Run, count
from .._em.problem import ROUNDS_AFTER_STACK, Finished
from .._em.trainer import Trainer, surrogate, train_surrogate
from .._experts.base import Experts
from .._experts.fitting import STACK
from .._experts.prediction import tells_density
from .._model import Model
from .._parallel import few_threads
from ..gates import SoftmaxGate
from .classification import ClassificationDensities
from .clones import Clones
from .regression import RegressionDensities
from .specialisation import Specialisation


@dataclass
class Stacked(Finished):
    """What was learned, with what estimators ask of a trained problem."""

    data: TrainingData  # the rows
    experts: Experts  # EstimatorExperts: all but a stack; the generalist of clones
    model: Model  # fitted
    # (n_samples, n_components) or (n_samples, n_components, n_classes): out-of-fold predictions.
    means: np.ndarray
    gate_proba: np.ndarray  # (n_samples, n_components): of the fitted gate
    # ``resp``, ``log_norm``: (n_samples, n_components) and (n_samples,): out-of-fold
    # responsibilities and log-densities.
    resp: np.ndarray
    log_norm: np.ndarray
    objective: float  # penalised log-likelihood per unit of weight
    prior: float  # the log-prior in it
    converged: bool  # whether the optimiser met its tolerance

    @property
    def load(self):
        """Mean gate probabilities, (n_components,)."""
        return self.weight @ self.gate_proba / self.weight.sum()

    def log_prior(self):
        """Log-prior of gate and likelihood."""
        return self.prior


class StackedTrainer(Trainer):
    """Fits experts on all rows, and the rest on their out-of-fold predictions.

    Parameters as of ``Trainer``, without a problem.

    Parameters
    ----------
    expert_seed : int
        Seed of experts that use random numbers.
    gate : GateParts, default=None
        A gate that was asked for; None is the default, of the best strength: a SoftmaxGate, or a
        ForestGate if there is a generalist.
    numbers : list of int, default=None
        Numbers of specialists to try, where 1 is none; None for a list of experts.
    keeps_softmax : bool, default=False
        Whether the default gate of specialists is to be the SoftmaxGate of the two that it may be.
    instead : callable, default=None
        ``instead(regimes, alike)`` -> Trainer by EM with these parameters, to be tried where linear
        regimes explain the target better than this does. None tries nothing.
    """

    def __init__(
        self,
        data,
        parts,
        settings,
        *,
        folds,
        splitting,
        seed,
        expert_seed,
        gate=None,
        numbers=None,
        keeps_softmax=False,
        instead=None,
    ):
        splits = splitting.gate_folds(folds, data, can_memorise=True)
        super().__init__(None, data, parts, settings, folds=splits, splitting=splitting, seed=seed)
        needs_folds = parts.is_list and any(map(tells_density, parts.templates))
        if folds is None or needs_folds:
            self.expert_folds = splits
        else:
            self.expert_folds = folds
        if parts.classes is None:
            kind = RegressionDensities
        else:
            kind = ClassificationDensities
        self.densities = kind(parts, data, splits, gate, settings.tol)
        self.expert_seed = expert_seed
        self.numbers = numbers
        self.instead = instead
        self.keeps_softmax = keeps_softmax
        if numbers is None:
            self.trained.way = "stack"
        else:
            self.trained.way = "specialists"
        self.trained.grows = False

    def make_experts(self, parts, *, of_regimes=False):
        """Experts (EstimatorExperts) in training, on all rows or each on those of a regime."""
        seed = self.expert_seed + of_regimes
        weight = self.data.weight
        experts = parts.make_estimators(
            self.data,
            self.expert_folds,
            self.settings,
            seed,
            report_weights=not of_regimes,
            once=True,
            density_floor=self.densities.floor if parts.is_list else None,
        )
        if not of_regimes and (weight[weight > 0] == 1).all():
            experts.weighted = [False] * len(parts.names)  # many estimators are slower with weights
        return experts

    def train(self, previous, tasks, attributes_now):
        """Fit it all, in one iteration; see ``Trainer``."""
        tasks.begin(1 if self.instead is None else None)
        if self.numbers is None:
            clones = None
        else:
            clones = Clones(self, self.numbers, self.keeps_softmax)
        if clones is None:
            found = self._fit_unlike()
        else:
            found = clones.fit()
        self.problem, order = self._finish(*found)
        self.progress.say("Trained", self.problem.objective)
        if self.instead is None:
            linear = None
        else:
            linear = self._better_lines()
        if linear is not None:
            self.progress.say("Linear experts explain the target better: trying EM, with more fits")
            trained = self._em_from(linear).train(None, tasks, attributes_now)
            gain = Specialisation.of(
                self.problem.log_norm, trained.problem.log_norm, self.data.weight, of_list=True
            )
            self.progress.say(str(gain))
            if gain.kept:
                n_fits = self.problem.experts.n_fits
                return replace(trained, specialisation=gain, n_other_fits=n_fits)
            self.trained.specialisation = gain
            self.trained.n_other_fits = trained.problem.experts.n_fits
        run = Run([self.problem.objective], converged=self.problem.converged)
        return replace(
            self.trained,
            problem=self.problem,
            model=self.problem.model,
            order=order,
            run=run,
            load=self.problem.load[order],
        )

    def _fit_unlike(self):
        """Fit the experts of a list; the mixture (Candidate), its fitted experts, and those."""
        data = self.data
        names = self.parts.names
        densities = self.densities
        say = self.progress.say
        experts = self.make_experts(self.parts)
        everything = np.ones((len(data.y), len(names)))
        of_experts = count(len(names))
        say(f"Fitting {of_experts} on {count(len(data.y), 'row')}, out of fold")
        with experts.side_by_side(self.settings.n_jobs):
            leaf = ready()
            if leaf is None:
                experts.fit(everything)
            else:
                leaf.diverse.fit_of_list(experts, everything, self.splitting.is_by_row(data))
            say(f"Refitting {of_experts} on all rows")
            fitted = experts.finish(everything)
        say("Learning gate, tails and scales")
        with few_threads(everything.size):
            predictions = densities.standardise(experts.predictions)
            stacked, stack = densities.stack(predictions, fitted)
            densities.begin(stacked)
            means = np.concatenate([predictions, stacked[:, None]], axis=1)
            densities.take_own(experts.own_log_density, means)
            gate = SoftmaxGate()
            chosen = densities.gated([*names, STACK], means, lambda: (gate, data.Z, gate.fit))
        return chosen, [*fitted, stack], experts

    def _em_from(self, linear):
        """A Trainer by EM that goes on from the Trainer of linear experts.

        Experts are fitted in so many rounds at most as the plan has promised: to the regimes of
        linear experts, in each iteration, and first, if some have densities that EM does not use,
        to all rows. Else they have been.
        """
        experts = self.problem.experts
        if experts.own_log_density:
            alike = None
        else:
            alike = experts.state()
        trainer = self.instead(regimes=linear.problem.resp, alike=alike)
        most = ROUNDS_AFTER_STACK - (1 if alike is not None else 2)
        most = min(most, self.settings.max_iter)
        trainer.settings = replace(trainer.settings, max_iter=most)
        trainer.trained.notes += linear.trained.notes
        trainer.trained.paths = linear.trained.paths
        return trainer

    def _better_lines(self):
        """Trainer of linear experts that explain the target better than the stack, or None.

        Their log-likelihood, less BIC's penalty, is then above the score.
        """
        linear = surrogate(self.data, self.parts)
        weight = self.data.weight
        per_parameter = 0.5 * np.log(weight.sum()) / weight.sum()
        n_functions = linear.experts.n_functions * self.n_experts + self.n_experts - 1
        needed = np.average(self.problem.log_norm, weights=weight)
        needed += per_parameter * n_functions * (self.data.columns.shape[1] + 1)
        if self.parts.classes is not None and needed >= 0:  # probabilities are at most 1
            return None
        trainer = train_surrogate(self, linear)
        score = linear.objective - per_parameter * linear.likelihood.n_parameters_
        if score > needed:
            return trainer
        return None

    def _finish(self, chosen, fitted, experts):
        """What was learned, with the model, and the order of the model's experts."""
        data = self.data
        weight = self.data.weight
        parts = self.parts
        likelihood, labels, log_density, objective, converged = self.densities.refit(chosen)
        gate = chosen.fitted_gate(data.Z, labels, weight)
        gate_proba = gate.predict_proba(data.Z)
        order = np.arange(len(chosen.names))
        if gate.can_reorder and not parts.is_list:  # clones, after the generalist
            order = np.append(0, 1 + np.argsort(-(weight @ gate_proba)[1:], kind="stable"))
            gate.reorder(order)
        likelihood.reorder(order)
        fitted = [fitted[k] for k in order]
        y_shape = data.y.shape[1:]
        model = parts.model_of(chosen.names, fitted, gate, likelihood, y_shape)
        stacked = Stacked(
            data=data,
            experts=experts,
            model=model,
            means=self.densities.restore(chosen.means),
            gate_proba=gate_proba,
            resp=chosen.resp,
            log_norm=chosen.log_density,
            objective=objective - self.densities.log_unit,
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )
        return stacked, order
