"""Training of a mixture whose experts all know all rows, with their stack as one expert more."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import RidgeCV

from .._data import TrainingData
from .._experts.base import Experts
from .._experts.traits import STACK
from .._model import Model
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from .._report import ReportSums
from ..gates import ConstantGate, SoftmaxGate
from ..likelihoods import StudentT
from .loop import Run
from .stacked_parameters import (
    ErrorSizes,
    StackedRows,
    cross_fit_parameters,
    cross_fit_sizes,
    fit_parameters,
    posterior_of,
)
from .trainer import Trainer


@dataclass
class StackedProblem:
    """What a fit with ``specialisation=0`` has learned: what estimators ask of a trained problem.

    Attributes
    ----------
    data : TrainingData
        The rows.
    experts : EstimatorExperts
        All but the stack.
    model : RegressionModel
        Fitted.
    means : ndarray of shape (n_samples, n_components)
        Out-of-fold predictions.
    gate_proba : ndarray of shape (n_samples, n_components)
        Of the fitted gate.
    resp, log_norm : ndarray of shape (n_samples, n_components) and (n_samples,)
        Out-of-fold responsibilities and log-densities.
    objective : float
        Penalised log-likelihood per unit of weight.
    prior : float
        The log-prior in it.
    converged : bool
        Whether the optimiser met its tolerance.
    """

    data: TrainingData
    experts: Experts
    model: Model
    means: np.ndarray
    gate_proba: np.ndarray
    resp: np.ndarray
    log_norm: np.ndarray
    objective: float
    prior: float
    converged: bool

    top_k = None
    n_revived = None

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
        """Log-prior of gate, scales and degrees of freedom."""
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


class StackedTrainer(Trainer):
    """Fits each expert on all rows, and the rest on their out-of-fold predictions.

    Parameters as of ``Trainer``, without a problem.

    Parameters
    ----------
    expert_seed : int
        Of experts that draw.
    """

    def __init__(self, data, parts, settings, *, folds, splitting, seed, expert_seed):
        if data.y.ndim > 1:
            raise ValueError(f"specialisation=0 needs one output; y has {data.y.shape[1]}.")
        splits = splitting.gate_folds(folds, data, can_memorise=True)
        super().__init__(None, data, parts, settings, folds=splits, splitting=splitting, seed=seed)
        self.expert_folds = splits if folds is None else folds
        self.expert_seed = expert_seed

    def train(self, previous, tasks, attributes_now):
        """Fit it all, in one iteration; see ``Trainer``."""
        tasks.begin(1)
        data, settings = self.data, replace(self.settings, ensemble=False)
        experts = self.parts.make_estimators(data, self.expert_folds, settings, self.expert_seed)
        n_experts = len(self.parts.names)
        if (data.weight[data.weight > 0] == 1).all():  # many a fit takes longer with weights
            experts.weighted = [False] * n_experts
        everything = np.ones((len(data.y), n_experts))
        with experts.side_by_side(settings.n_jobs):
            experts.fit(everything)
            fitted = experts.finish(everything)
        with few_threads(everything.size):
            self.problem = self._learn(experts, fitted)
        run = Run([self.problem.objective], converged=self.problem.converged)
        return run, self.problem.model, np.arange(n_experts + 1), self.problem.load

    def _learn(self, experts, fitted):
        parts, data, folds = self.parts, self.data, self.folds
        y, weight = data.y, data.weight
        n_components = len(fitted) + 1
        likelihood = StudentT(df="estimate").start(y, weight, n_components)
        middle = np.average(y, weights=weight)
        unit = max(np.sqrt(np.average((y - middle) ** 2, weights=weight)), 1e3 * likelihood.floor_)
        floor = max(1e-3, likelihood.floor_ / unit)
        target, predictions = (y - middle) / unit, (experts.predictions - middle) / unit
        used = weight > 0
        combination = RidgeCV().fit(predictions[used], target[used], sample_weight=weight[used])
        stacked = combination.predict(predictions)
        Z = np.asarray(data.Z, dtype=np.float64)
        models, log_size = cross_fit_sizes(Z, target - stacked, weight, folds, floor)
        sizes = ErrorSizes(models, parts.gate.encoder, log_size, weight)
        mean, scale = standardisation(Z, weight)
        means = np.column_stack([predictions, stacked])
        rows = StackedRows(target, means, (Z - mean) / scale, sizes.centred(log_size), weight)
        penalty, resp, log_norm = cross_fit_parameters(rows, floor, folds)
        seen = rows.take(used)
        parameters, objective, converged = fit_parameters(seen, floor, None)
        if penalty is not None:
            parameters, objective, converged = fit_parameters(seen, floor, penalty, parameters)
        labels, log_density = posterior_of(parameters, rows, floor)
        sizes.slope = parameters.slope
        likelihood.scale_ = unit * parameters.scales(floor)
        likelihood.df_ = np.full(n_components, parameters.df)
        likelihood.scale_model_ = sizes
        # An M-step from the optimum: the gate of the same weights, and of its own kind.
        gate = ConstantGate() if penalty is None else SoftmaxGate(alpha=penalty)
        gate.fit(data.Z, labels, sample_weight=weight)
        combination.intercept_ = middle + unit * combination.intercept_
        combination.intercept_ -= middle * combination.coef_.sum()
        model = parts.model_class(
            names=[*parts.names, STACK],
            experts=[*fitted, stack_of(parts.names, fitted, combination)],
            gate=parts.gate.behind(gate),
            likelihood=likelihood,
        )
        return StackedProblem(
            data=data,
            experts=experts,
            model=model,
            means=middle + unit * means,
            gate_proba=gate.predict_proba(data.Z),
            resp=resp,
            log_norm=log_norm - np.log(unit),
            objective=objective - np.log(unit),
            prior=objective * weight.sum() - weight @ log_density,
            converged=converged,
        )


def stack_of(names, fitted, combination):
    """A StackingRegressor of fitted estimators and a fitted regressor of their predictions."""
    stack = StackingRegressor(
        list(zip(names, fitted, strict=True)), final_estimator=combination, cv="prefit"
    )
    stack.estimators_, stack.final_estimator_ = fitted, combination
    stack.stack_method_ = ["predict"] * len(fitted)
    return stack
