"""A mixture whose experts all know all rows: from its parts to its model."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import RidgeCV

from .._data import TrainingData
from .._experts.base import Experts
from .._experts.traits import has_own_density
from .._model import Model
from .._numerics.statistics import standardisation
from .._parallel import few_threads
from ..gates import ConstantGate, SoftmaxGate
from ..likelihoods import StudentT
from .pool import ErrorSizes, PoolRows, cross_fit_pool, cross_fit_sizes, fit_pool, pool_posterior

STACK = "stack"


def check_pool(mixture, names, templates, X, subject):
    """Raise a ValueError unless ``specialisation=0`` is known for what the user asks.

    Parameters
    ----------
    mixture : MixtureOfExpertsRegressor
        With parameters that are valid by themselves.
    names, templates : lists of length n_experts
        Of its experts.
    X : array-like
        As it was given to ``fit``.
    subject : array-like or None
        The same.
    """
    wants = {
        "a list of two named experts or more": isinstance(mixture.experts, list) and len(names) > 1,
        f"another name than {STACK!r} for its experts": STACK not in names,
        "experts that are no mixtures": not any(map(has_own_density, templates)),
        "likelihood='gaussian' or 'student_t'": isinstance(mixture.likelihood, str)
        and mixture.likelihood in ("gaussian", "student_t"),
        "the default gate": mixture.gate is None,
        "out-of-fold predictions, so no cv=False": mixture.cv is not False,
        "top_k=None": mixture.top_k is None,
        "load_balance=0": mixture.load_balance == 0,
        "no shared_effects": not mixture.shared_effects,
        "warm_start=False": not mixture.warm_start,
        "no subject": subject is None,
        "dense X, none that is sparse": not sparse.issparse(X),
    }
    lacking = [what for what, is_there in wants.items() if not is_there]
    if lacking:
        raise ValueError(f"specialisation=0 needs {'; '.join(lacking)}.")


@dataclass
class PooledProblem:
    """What a fit with ``specialisation=0`` has learned: what estimators ask of a trained problem.

    Attributes
    ----------
    data : TrainingData
        The rows.
    experts : EstimatorExperts
        All but the stack.
    model : RegressionModel
        Fitted.
    folds : list of (train, test)
        Of the gate.
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
    folds: list
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

    def blocks(self):
        """What reports are made of: all rows in one block."""
        yield slice(None), self.resp, self.gate_proba, self.means


def train_pool(parts, data, splitting, folds, settings, seed):
    """Fit experts on all rows, and the rest on their out-of-fold predictions.

    Parameters
    ----------
    parts : Parts
        Experts, gate and likelihood.
    data : TrainingData
        The rows.
    splitting : Splitting
        Makes folds where the experts have none.
    folds : None, OutOfBag, "prefit" or list of (train, test)
        Of the experts.
    settings : Settings
        Parameters of the mixture.
    seed : int
        Of experts that draw.

    Returns
    -------
    problem : PooledProblem
        With the fitted model.
    """
    if data.y.ndim > 1:
        raise ValueError(f"specialisation=0 needs one output; y has {data.y.shape[1]}.")
    splits = splitting.gate_folds(folds, data, can_memorise=True)
    experts = parts.make_estimators(
        data, splits if folds is None else folds, replace(settings, ensemble=False), seed
    )
    if (data.weight[data.weight > 0] == 1).all():  # many a fit takes longer with weights
        experts.weighted = [False] * len(parts.names)
    everything = np.ones((len(data.y), len(parts.names)))
    with experts.side_by_side(settings.n_jobs):
        experts.fit(everything)
        fitted = experts.finish(everything)
    with few_threads(everything.size):
        return _learn_pool(parts, data, experts, fitted, splits)


def _learn_pool(parts, data, experts, fitted, folds):
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
    rows = PoolRows(target, means, (Z - mean) / scale, sizes.centred(log_size), weight)
    penalty, resp, log_norm = cross_fit_pool(rows, floor, folds)
    seen = rows.take(used)
    parameters, objective, converged = fit_pool(seen, floor, None)
    if penalty is not None:
        parameters, objective, converged = fit_pool(seen, floor, penalty, parameters)
    labels, log_density = pool_posterior(parameters, rows, floor)
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
    return PooledProblem(
        data=data,
        experts=experts,
        model=model,
        folds=folds,
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
