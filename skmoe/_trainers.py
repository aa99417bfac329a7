"""From a plan to what trains: one function for each way of training."""

from functools import partial

from ._em import make_problem
from ._em.search import NumberTrainer, RoutedTrainer
from ._em.trainer import Trainer
from ._experts.folds import IN_SAMPLE
from ._pooling.trainer import PooledTrainer
from ._stacking.classification import StackedClassification
from ._stacking.regression import StackedRegression
from ._stacking.specialist_classification import SpecialistClassification
from ._stacking.specialist_regression import SpecialistRegression

STACKED = {False: StackedRegression, True: StackedClassification}  # by whether it classifies
SPECIALISTS = {False: SpecialistRegression, True: SpecialistClassification}


def make_trainer(plan, data, parts, settings, splitting, seeds, fitted_gate=None):
    """What trains a mixture as it was planned.

    Parameters
    ----------
    plan : Plan
        With its request.
    data : TrainingData
        The rows.
    parts : Parts
        Experts, of which there are as many as are tried at the most, gate and likelihood.
    settings : Settings
        Parameters of the mixture.
    splitting : Splitting
        Makes folds.
    seeds : (int, int)
        Of starts and of experts that draw.
    fitted_gate : gate, default=None
        To go on from, with ``warm_start``.

    Returns
    -------
    trainer : Trainer
        Or what trains several of them and keeps one.
    """
    start_seed, expert_seed = seeds
    rows, is_by_em = plan.request.rows, plan.training == "em"
    given = {"splitting": splitting, "seed": start_seed}
    by_em = partial(_em_trainer, plan, rows, data, parts, settings, fitted_gate, expert_seed, given)
    if is_by_em and plan.n_experts is None:
        by_bic = plan.predictions == IN_SAMPLE and parts.gate.trained.has_countable_parameters
        return NumberTrainer(by_em, plan.most_experts, by_bic=by_bic)
    if is_by_em:
        return by_em()
    if plan.training == "pooled":
        trainer = PooledTrainer(
            data, parts, settings, expert_seed=expert_seed, n_experts=plan.n_experts, **given
        )
        return trainer if plan.request.top_k is None else RoutedTrainer(trainer, by_em)
    given |= {
        "folds": splitting.folds(parts.templates, rows),
        "expert_seed": expert_seed,
        "gate": None if plan.is_default_gate else parts.gate,
    }
    if plan.training == "specialists":
        return SPECIALISTS[plan.request.classifies](data, parts, settings, **given)
    # What was asked for by name is not given up for another way.
    instead = by_em if plan.is_automatic else None
    return STACKED[plan.request.classifies](data, parts, settings, instead=instead, **given)


def _em_trainer(
    plan, rows, data, parts, settings, fitted_gate, expert_seed, given, n_experts=None
):  # fmt: skip
    """What trains by EM: Trainer."""
    if n_experts is not None:
        parts = parts.first(n_experts)
    splitting = given["splitting"]
    folds = splitting.folds(parts.templates, rows)
    experts = parts.make_experts(data, folds, settings, expert_seed)
    likelihood = parts.likelihood.fitting(in_sample=folds is None, linear=experts.is_solved)
    gate, n_experts = parts.gate.trained, len(parts.names)
    problem = make_problem(
        experts,
        gate if fitted_gate is None else parts.gate.continued(fitted_gate),
        likelihood.start(data.y, data.weight, n_experts),
        data,
        in_sample=folds is None,
        gate_folds=splitting.gate_folds(folds, rows, can_memorise=parts.gate.can_memorise),
        load_prior=gate.prior_counts(n_experts, data.unit_weight.sum()),
        top_k=settings.active_top_k(n_experts),
    )
    return Trainer(problem, data, parts, settings, folds=folds, **given)
