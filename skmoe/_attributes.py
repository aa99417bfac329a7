"""The fitted attributes of a mixture, from what was trained."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch

from ._experts.fitting import column_names
from ._model import MADE_LATER, OF_ONE_FIT
from ._numerics.columns import kind_of_target
from ._reports.by_regime import REGIME, first_of, groups_of
from ._reports.described import finish_later
from ._reports.leaks import leak_notes, notes_on_rows
from .exceptions import ExpertCollapseWarning, ScaleFloorWarning, warn_user

WIDER = 2.0  # times as large as among the rows of ``fit`` are errors where no rows were seen


def set_model(mixture, model):
    """Set the attributes that a model has, and delete what spoke of another fit."""
    for name in OF_ONE_FIT:
        vars(mixture).pop(name, None)
    mixture.experts_ = model.experts
    mixture.named_experts_ = Bunch(**dict(zip(model.names, model.experts, strict=True)))
    mixture.gate_ = model.gate
    mixture.likelihood_ = model.likelihood
    mixture._y_shape = model.y_shape


def begin_later(mixture, trained=None):
    """Have what is made later be made of this training."""
    for name in MADE_LATER:
        vars(mixture).pop(name, None)
    mixture._trained = trained


def set_trained(mixture, trained):
    """Set the attributes of what was ``Trained``, without those of its run; dead experts."""
    problem = trained.problem
    order = trained.order
    dead = np.flatnonzero(np.isin(order, problem.dead()))
    set_model(mixture, trained.model)
    mixture.expert_load_ = trained.load
    mixture.lower_bound_ = problem.objective
    mixture._log_prior = problem.log_prior()
    mixture._n_functions = problem.experts.n_functions
    mixture.n_distinct_experts_ = len(order) - len(dead)
    if trained.folds not in (None, "prefit"):
        mixture.oof_log_density_ = problem.log_norm
        mixture.oof_responsibilities_ = problem.resp[:, order]
        mixture.oof_score_ = float(np.average(problem.log_norm, weights=problem.weight))
    return dead


def attributes_now(mixture, trainer):
    """Attributes that the mixture would have if EM stopped here, but for those of the run."""
    twin = copy.copy(mixture)
    set_trained(twin, trainer.finished(trainer.problem.fork()))
    return vars(twin)


def set_fitted(mixture, plan, trained):
    """Set all attributes of a fit, and warn of what went wrong."""
    dead = set_trained(mixture, trained)
    problem = trained.problem
    model = trained.model
    run = trained.run
    mixture.lower_bounds_ = run.objectives
    mixture.start_lower_bounds_ = trained.paths
    if trained.log_evidence is not None:
        mixture.log_evidence_ = trained.log_evidence
    if trained.averaging is not None:
        other = trained.averaging.other
        parts = trained.parts.first(1, is_gated=False)
        other, *_ = parts.model(other, trained.settings)
        weight = trained.averaging.weight
        surroundings = problem.surroundings(model.gate)
        if weight > 0:
            mixture.model_weights_ = trained.averaging.weights
        else:  # it is for rows far from these alone
            other.likelihood.widen(WIDER)
        if weight > 0 or surroundings is not None:
            mixture._beside = other, weight, surroundings
    if trained.specialisation is not None:
        mixture.specialisation_ = trained.specialisation
    mixture.n_iter_ = len(run.objectives)
    mixture.n_expert_fits_ = problem.experts.n_fits + trained.n_other_fits
    mixture.converged_ = run.converged
    mixture.n_samples_seen_ = float(problem.weight.sum())
    mixture._is_cut = trained.is_cut and problem.experts.is_solved
    if trained.regimes is not None:
        mixture.n_regimes_ = trained.regimes.n_regimes
        mixture.regimes_ = trained.regimes.named(model.names, trained.order)
    rows = plan.request.rows
    given = {"names": column_names(mixture), "classifies": mixture._classes is not None}
    mixture.plan_ = plan.fitted(trained, partial(notes_on_rows, rows, **given))
    mixture._grows = trained.grows
    mixture._changed_by = None
    begin_later(mixture, replace(trained, rows=rows))
    leaks = partial(leak_notes, rows, **given)
    notes = mixture.plan_.notes
    _warn_of_training(mixture, trained, dead, leaks, notes)
    if plan.request.many or not rows.are_kept or not problem.experts.is_solved:
        finish_later(mixture)


def _warn_of_training(mixture, trained, dead, leaks, notes):
    """Warn of experts without rows, of scales at their floor, and of EM that has not converged."""
    problem = trained.problem
    folds = trained.folds
    groups = groups_of(mixture, REGIME)
    names = list(mixture.named_experts_)
    if groups.are_regimes:  # as in tables
        names = [f"{name} of {groups.names[groups.of_expert[k]]}" for k, name in enumerate(names)]
    if len(dead):
        loads = [round(float(trained.load[k]), 4) for k in dead]
        warn_user(
            f"The experts {first_of([names[k] for k in dead])} have next to no rows, or are "
            f"copies of others (loads {first_of(loads)}): try fewer experts, or a larger n_init.",
            ExpertCollapseWarning,
        )
    floored = np.setdiff1d(np.flatnonzero(mixture.likelihood_.at_floor_), dead)
    if folds is None and len(floored):
        names = first_of([names[k] for k in floored])
        said = f"The experts {names} predict their rows almost without error."
        memorised = (
            "Unless the target has no noise, they have memorised these rows, and intervals for new "
            "rows are too narrow: use fewer experts, more rows, or training='em' with cv=5."
        )
        why = " ".join(leaks()) or kind_of_target(problem.y, problem.weight) or memorised
        warn_user(f"{said} {why}", ScaleFloorWarning)
        notes.append(f"{said} {memorised}" if why == memorised else said)
    message = trained.settings.not_converged(trained.run, folds)
    if message is not None:
        warn_user(message, ConvergenceWarning)
