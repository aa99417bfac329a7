"""Training of experts that are each fitted on all rows, with their stack as one more."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from .._data import TrainingData
from .._em.loop import Run
from .._em.progress import count
from .._em.trainer import Trainer, surrogate, train_surrogate
from .._experts.base import Experts
from .._experts.traits import STACK
from .._model import Model
from .._parallel import few_threads
from .._reports.expert_report import ReportSums
from ..gates import ConstantGate, SoftmaxGate
from .specialisation import Specialisation


@dataclass
class StackedProblem:
    """What a stack, or clones beside a generalist, have learned, as estimators ask for it."""

    data: TrainingData  # the rows
    experts: Experts  # EstimatorExperts: all but the stack
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

    top_k = None
    n_revived, has_arrays = None, True
    working_data = ()

    @property
    def y(self):
        """Target."""
        return self.data.y

    @property
    def weight(self):
        """Weights of the rows, (n_samples,)."""
        return self.data.weight

    @property
    def load(self):
        """Mean gate probabilities, (n_components,)."""
        return self.weight @ self.gate_proba / self.weight.sum()

    def log_prior(self):
        """Log-prior of gate and likelihood."""
        return self.prior

    def dead(self):
        """No component: one that the gate leaves out costs nothing."""
        return []

    def copies(self):
        """No component, for the same reason."""
        return np.zeros(self.resp.shape[1], dtype=bool)

    def report_sums(self, model, order):
        """What reports are made of: ReportSums."""
        loss, proba = model.losses(self.y, self.means[:, order]), self.gate_proba[:, order]
        return ReportSums.of(self.resp[:, order], proba, loss, self.weight, self.top_k)

    def streaming_experts(self, order, estimators):
        """None: all rows are needed at once."""


@dataclass
class Learned:
    """What is learned from out-of-fold predictions."""

    stack: object  # estimator: fitted; predicts from what the experts predict
    likelihood: object  # BaseLikelihood: fitted
    penalty: float | None  # L2 penalty of the gate; None for constant proportions
    # (n_samples, n_components): responsibilities under what is learned from all rows.
    labels: np.ndarray
    gate: object  # BaseGate: a fitted gate that was asked for
    # ``means``, ``resp``, ``log_norm``, ``objective``, ``prior``, ``converged``: as of
    # ``StackedProblem``.
    means: np.ndarray
    resp: np.ndarray
    log_norm: np.ndarray
    objective: float
    prior: float
    converged: bool


class StackedTrainer(Trainer):
    """Fits each expert on all rows, and the rest on their out-of-fold predictions.

    A subclass implements ``_learn(predictions, fitted)``.

    Parameters as of ``Trainer``, without a problem.

    Parameters
    ----------
    expert_seed : int
        Of experts that draw.
    gate : GateParts, default=None
        A gate that was asked for; None is the default, a softmax gate of the best strength.
    instead : callable, default=None
        ``instead()`` -> Trainer by EM, to be tried where linear regimes explain the target better
        than the stack does. None tries nothing.
    """

    grows = False
    way = "stack"

    def __init__(
        self, data, parts, settings, *, folds, splitting, seed, expert_seed, gate=None, instead=None
    ):
        splits = splitting.gate_folds(folds, data, can_memorise=True)
        super().__init__(None, data, parts, settings, folds=splits, splitting=splitting, seed=seed)
        self.expert_folds = splits if folds is None else folds
        self.expert_seed, self.gate, self.instead = expert_seed, gate, instead

    def train(self, previous, tasks, attributes_now):
        """Fit it all, in one iteration; see ``Trainer``."""
        tasks.begin(1 if self.instead is None else None)
        data, settings = self.data, self.settings
        experts = self.parts.make_estimators(data, self.expert_folds, settings, self.expert_seed)
        n_experts = len(self.parts.names)
        if (data.weight[data.weight > 0] == 1).all():  # many a fit takes longer with weights
            experts.weighted = [False] * n_experts
        everything = np.ones((len(data.y), n_experts))
        of_experts, say = count(n_experts), self.progress.say
        say(f"Fitting {of_experts} on {count(len(data.y), 'row')}, out of fold")
        with experts.side_by_side(settings.n_jobs):
            experts.fit(everything)
            say(f"Refitting {of_experts} on all rows")
            fitted = experts.finish(everything)
        say("Learning gate, tails and scales")
        with few_threads(everything.size):
            learned = self._learn(experts.predictions, fitted)
            self.problem = self._finish(experts, fitted, learned)
        say("Stacked", self.problem.objective)
        if self.instead is not None and self._has_linear_regimes():
            say("A mixture of linear experts explains the target better: trying EM")
            em = self.instead()
            trained = em.train_begun(previous, tasks, attributes_now)
            self.specialisation = em.specialisation = Specialisation.of(
                self.problem.log_norm, em.problem.log_norm, data.weight, of_list=True
            )
            say(str(self.specialisation))
            if self.specialisation.kept:
                return trained
        run = Run([self.problem.objective], converged=self.problem.converged)
        return self, run, self.problem.model, np.arange(n_experts + 1), self.problem.load

    def _has_linear_regimes(self):
        """Whether the log-likelihood of linear experts, less BIC's penalty, is above the score."""
        linear, weight = surrogate(self.data, self.parts), self.data.weight
        per_parameter = 0.5 * np.log(weight.sum()) / weight.sum()
        n_functions = linear.experts.n_functions * self.n_experts + self.n_experts - 1
        needed = np.average(self.problem.log_norm, weights=weight)
        needed += per_parameter * n_functions * (self.data.columns.shape[1] + 1)
        if self.parts.classes is not None and needed >= 0:  # probabilities are at most 1
            return False
        train_surrogate(self, linear)
        self.ends, self.paths = [], []  # nothing goes on from there
        return linear.objective - per_parameter * linear.likelihood.n_parameters_ > needed

    @abstractmethod
    def _learn(self, predictions, fitted):
        """Stack, likelihood and gate from out-of-fold predictions: Learned.

        ``fitted`` are the experts, fitted on all rows.
        """

    def _finish(self, experts, fitted, learned):
        parts, data = self.parts, self.data
        gate = learned.gate
        if gate is None:  # an M-step from the optimum: the same weights, in a gate of its own kind
            constant = learned.penalty is None
            gate = ConstantGate() if constant else SoftmaxGate(alpha=learned.penalty)
            gate.fit(data.Z, learned.labels, sample_weight=data.weight)
        target = {} if parts.classes is None else {"classes": parts.classes}
        model = parts.model_class(
            names=[*parts.names, STACK],
            experts=[*fitted, learned.stack],
            gate=parts.gate.behind(gate),
            likelihood=learned.likelihood,
            **target,
        )
        return StackedProblem(
            data=data,
            experts=experts,
            model=model,
            means=learned.means,
            gate_proba=gate.predict_proba(data.Z),
            resp=learned.resp,
            log_norm=learned.log_norm,
            objective=learned.objective,
            prior=learned.prior,
            converged=learned.converged,
        )
