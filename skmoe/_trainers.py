"""From a plan to what trains: one function for each way of training."""

from dataclasses import replace
from functools import partial

from ._em import make_problem
from ._em.search import NumberThenEM, NumberTrainer
from ._em.trainer import Trainer
from ._planning.number import BIC, EVIDENCE, specialists_to_try
from ._pooling.trainer import PooledTrainer
from ._stacking.trainer import StackedTrainer


def make_trainer(
    plan, data, parts, settings, splitting, seeds, plain=None, fitted_gate=None
):  # fmt: skip
    """What trains a mixture as it was planned.

    ``parts`` has as many experts as are tried at the most. ``seeds`` are of starts, and of experts
    that draw. The number of experts is chosen with ``plain``, (TrainingData, Parts), where that is
    given. ``fitted_gate`` is one to go on from, with ``warm_start``.

    What is returned may train several and keep one.
    """
    start_seed, expert_seed = seeds
    rows, plain = plan.request.rows, (data, parts) if plain is None else plain
    given = {"splitting": splitting, "seed": start_seed}
    make_em = partial(_em_trainer, rows, settings, fitted_gate, expert_seed, given)
    by_em = partial(make_em, data, parts, settings.top_k)
    pooled = partial(
        PooledTrainer, *plain, settings, expert_seed=expert_seed, n_experts=plan.n_experts, **given
    )
    if plan.training == "pooled":
        return pooled() if plan.request.top_k is None else NumberThenEM(pooled(), by_em)
    if plan.training == "em":
        if plan.n_experts is not None:
            return by_em()
        if plan.number_by == EVIDENCE:
            return NumberThenEM(pooled(), by_em, keeps=False)
        top_k = None if plan.is_number_of_plain else settings.top_k
        search = NumberTrainer(
            partial(make_em, *plain, top_k), plan.most_experts, by_bic=plan.number_by == BIC
        )
        return NumberThenEM(search, by_em, keeps=False) if plan.is_number_of_plain else search
    given = given | {
        "folds": splitting.folds(parts.templates, rows),
        "expert_seed": expert_seed,
        "gate": None if plan.is_default_gate else parts.gate,
    }
    if plan.training == "specialists":
        given["numbers"] = specialists_to_try(plan.n_experts, plan.most_experts)
    elif plan.is_automatic:  # what was asked for by name is not given up for another way
        given["instead"] = by_em
    return StackedTrainer(data, parts, settings, **given)


def _em_trainer(
    rows, settings, fitted_gate, expert_seed, given, data, parts, top_k, n_experts=None
):  # fmt: skip
    """What trains by EM: Trainer."""
    if n_experts is not None:
        has_encoder = parts.gate.encoder is not None
        parts = parts.first(n_experts)
        if has_encoder and parts.gate.encoder is None:  # nothing stands before its gate
            data = replace(data, Z=data.X)
    splitting, settings = given["splitting"], replace(settings, top_k=top_k)
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
    trainer = Trainer(problem, data, parts, settings, folds=folds, **given)
    trainer.why_out_of_fold = splitting.why_out_of_fold(parts.templates, rows, folds)
    return trainer
