"""Training of clones: one that all rows teach, and specialists that must be worth their while.

An expert that is flexible enough to draw its own regions loses by EM: each clone has a part of the
rows, and the borders between them are no easier to learn than the target. Here one clone, the
generalist, knows all rows, and the gate may leave every row to it.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._experts.traits import GENERALIST
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from ..gates import ConstantGate, ForestGate
from ..likelihoods import StudentT
from .loop import Run, run_em
from .stacked import StackedProblem
from .stacked_parameters import (
    GATE_PENALTIES,
    ErrorSizes,
    StackedRows,
    cross_fit_parameters,
    cross_fit_sizes,
    fit_parameters,
    posterior_of,
)
from .starts import HARD_SHARE
from .trainer import Trainer, surrogate

FIRST_PENALTY = 3.0  # of the gate while regimes are sought; see GATE_PENALTIES
START_ITERATIONS = 200  # of the linear mixture, at most
STANDARD_ERRORS = 1.0  # of the gain in log-density, which specialists have to be worth


@dataclass(frozen=True)
class Specialisation:
    """What specialists are worth: out-of-fold log-densities with and without them.

    Attributes
    ----------
    score_without, score_with : float
        Mean out-of-fold log-density of the generalist alone, and of the mixture with specialists.
    standard_error : float
        Of the difference between the two, over the rows.
    """

    score_without: float
    score_with: float
    standard_error: float

    @classmethod
    def of(cls, log_density_without, log_density_with, weight):
        """From the log-densities (n,) of the rows and their weights."""
        without, with_ = (
            float(np.average(values, weights=weight))
            for values in (log_density_without, log_density_with)
        )
        deviations = log_density_with - log_density_without - (with_ - without)
        return cls(without, with_, float(np.sqrt(weight @ deviations**2) / weight.sum()))

    @property
    def gain(self):
        """Difference of the two scores."""
        return self.score_with - self.score_without

    @property
    def kept(self):
        """Whether the gain is more than its standard error, so that specialists were kept."""
        return self.gain > STANDARD_ERRORS * self.standard_error

    def __str__(self):
        verdict = "kept" if self.kept else "left out"
        return (
            f"Specialists were {verdict}: beside the generalist they change the out-of-fold "
            f"log-density by {self.gain:+.3f} a row (standard error {self.standard_error:.3f})."
        )


@dataclass
class _Candidate:
    """A mixture but for its fitted experts, as out-of-fold predictions have shaped it.

    Attributes
    ----------
    names : list of str
        Of the experts.
    rows : StackedRows
        With their predictions.
    gate : BaseGate
        Of which the weights are to be fitted still.
    columns : array-like of n_samples rows
        What these are fitted on.
    penalty : float or None
        Of the gate's weights; None where there are none.
    resp, log_density : ndarray of shape (n_samples, n_experts) and (n_samples,)
        Out of fold.
    """

    names: list
    rows: StackedRows
    gate: object
    columns: object
    penalty: float | None
    resp: np.ndarray
    log_density: np.ndarray


class SpecialistsTrainer(Trainer):
    """Fits clones on all rows and on regimes, and keeps the latter where they pay.

    Parameters as of ``Trainer``, without a problem.

    Parameters
    ----------
    expert_seed : int
        Of experts that draw.

    Attributes
    ----------
    specialisation : Specialisation
        What specialists are worth.
    """

    grows = False

    def __init__(self, data, parts, settings, *, folds, splitting, seed, expert_seed):
        splits = splitting.gate_folds(folds, data, can_memorise=True)
        super().__init__(None, data, parts, settings, folds=splits, splitting=splitting, seed=seed)
        self.expert_folds, self.expert_seed = folds, expert_seed

    def train(self, previous, tasks, attributes_now):
        """Fit it all, in one iteration; see ``Trainer``."""
        tasks.begin(1)
        n_jobs, everything = self.settings.n_jobs, np.ones((len(self.data.y), 1))
        regimes = self._linear_regimes()
        generalist = self._clones([GENERALIST], self.parts.templates[:1])
        specialists = self._clones(self.parts.names, self.parts.templates)
        with generalist.side_by_side(n_jobs), specialists.side_by_side(n_jobs):
            generalist.fit(everything)
            fitted = generalist.finish(everything)
            self._measure_errors(generalist.predictions)
            without = self._alone(generalist)
            with_, shares = self._specialise(generalist, specialists, regimes)
            self.specialisation = Specialisation.of(
                without.log_density, with_.log_density, self.data.weight
            )
            chosen = without
            if self.specialisation.kept:
                chosen, fitted = with_, fitted + specialists.finish(shares)
        generalist.n_fits += specialists.n_fits
        model, order = self._finish(chosen, fitted, generalist)
        run = Run([self.problem.objective], converged=self.problem.converged)
        return run, model, order, self.problem.load[order]

    # Experts --------------------------------------------------------------------------------

    def _linear_regimes(self):
        """Responsibilities (n, K) of a mixture of linear experts, softened."""
        linear = surrogate(self.data, self.parts)
        start = Trainer(
            linear,
            self.data,
            self.parts,
            self.settings,
            folds=None,
            splitting=self.splitting,
            seed=self.seed,
        )
        start.start(None)
        self.ends, self.paths = start.ends, start.paths
        run_em(linear, max_iter=START_ITERATIONS, tol=self.settings.tol, patience=1)
        return HARD_SHARE * linear.resp + (1 - HARD_SHARE) / self.n_experts

    def _clones(self, names, templates):
        """Experts in training that are refitted on all their rows at the end."""
        settings = replace(self.settings, ensemble=False)
        parts = replace(self.parts, names=names, templates=templates)
        seed = self.expert_seed + (len(names) > 1)
        experts = parts.make_estimators(self.data, self.expert_folds, settings, seed)
        weight = self.data.weight
        if len(names) == 1 and (weight[weight > 0] == 1).all():  # fits take longer with weights
            experts.weighted = [False]
        return experts

    # What is learned from out-of-fold predictions --------------------------------------------

    def _measure_errors(self, predictions):
        """Set the target in units of its standard deviation, and the sizes of its errors."""
        data, y, weight = self.data, self.data.y, self.data.weight
        self.likelihood = StudentT(df="estimate").start(y, weight, 1)
        self.middle = np.average(y, weights=weight)
        deviation = np.sqrt(np.average((y - self.middle) ** 2, weights=weight))
        self.unit = max(deviation, 1e3 * self.likelihood.floor_)
        self.floor = max(1e-3, self.likelihood.floor_ / self.unit)
        self.target = self._in_units(y)
        errors = self.target - self._in_units(predictions)[:, 0]
        Z = np.asarray(data.Z, dtype=np.float64)
        models, log_size = cross_fit_sizes(Z, errors, weight, self.folds, self.floor)
        self.sizes = ErrorSizes(models, self.parts.gate.encoder, log_size, weight)
        self.log_size = self.sizes.centred(log_size)

    def _in_units(self, values):
        return (values - self.middle) / self.unit

    def _candidate(self, names, predictions, gate, columns, penalties):
        weight = self.data.weight
        mean, scale = standardisation(columns, weight)
        rows = StackedRows(
            self.target,
            self._in_units(predictions),
            (columns - mean) / scale,
            self.log_size,
            weight,
        )
        learned = cross_fit_parameters(rows, self.floor, self.folds, penalties)
        return _Candidate(names, rows, gate, columns, *learned)

    def _alone(self, generalist):
        """The generalist without specialists."""
        no_columns = np.empty((len(self.data.y), 0))
        predictions = generalist.predictions
        return self._candidate([GENERALIST], predictions, ConstantGate(), no_columns, (None,))

    def _specialise(self, generalist, specialists, regimes):
        """The generalist and specialists, and the shares (n, K) that the latter were fitted with.

        Specialists of the regimes of a linear mixture are fitted first, then those of the
        regimes that these have left the rows in.
        """
        labels, shares = regimes, regimes
        for penalties in ((FIRST_PENALTY,), GATE_PENALTIES):
            specialists.fit(shares)
            gate = ForestGate(random_state=self.seed)
            columns = gate.fit_forest(self.data.Z, labels, self.data.weight)
            found = self._candidate(
                [GENERALIST, *self.parts.names],
                np.column_stack([generalist.predictions, specialists.predictions]),
                gate,
                columns,
                penalties,
            )
            fitted_with, labels = shares, found.resp
            shares = labels[:, 1:] / np.maximum(labels[:, 1:].sum(axis=1, keepdims=True), 1e-300)
        return found, fitted_with

    # The model ------------------------------------------------------------------------------

    def _finish(self, chosen, fitted, experts):
        """The fitted model and the order of its experts; sets the problem."""
        data, weight, rows = self.data, self.data.weight, chosen.rows
        seen = rows.take(weight > 0)
        with few_threads(rows.means.size):
            parameters, objective, converged = fit_parameters(seen, self.floor, None)
            if chosen.penalty is not None:
                parameters, objective, converged = fit_parameters(
                    seen, self.floor, chosen.penalty, parameters
                )
        labels, log_density = posterior_of(parameters, rows, self.floor)
        # An M-step from the optimum: the gate of the same weights, and of its own kind.
        if chosen.penalty is None:
            gate = ConstantGate().fit(data.Z, labels, sample_weight=weight)
        else:
            gate = chosen.gate.set_params(alpha=chosen.penalty)
            gate.fit_softmax(chosen.columns, labels, weight)
        self.sizes.slope = parameters.slope
        likelihood = self.likelihood
        likelihood.scale_ = self.unit * parameters.scales(self.floor)
        likelihood.df_ = np.full(len(fitted), parameters.df)
        likelihood.scale_model_ = self.sizes
        self.problem = StackedProblem(
            data=data,
            experts=experts,
            model=None,
            means=self.middle + self.unit * rows.means,
            gate_proba=gate.predict_proba(data.Z),
            resp=chosen.resp,
            log_norm=chosen.log_density - np.log(self.unit),
            objective=objective - np.log(self.unit),
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )
        order = np.append(0, 1 + np.argsort(-self.problem.load[1:], kind="stable"))
        gate.reorder(order)
        likelihood.reorder(order)
        model = self.parts.model_class(
            names=chosen.names,
            experts=[fitted[k] for k in order],
            gate=self.parts.gate.behind(gate),
            likelihood=likelihood,
        )
        return model, order
