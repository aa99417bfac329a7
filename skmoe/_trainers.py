"""From a plan to what trains."""

from dataclasses import replace
from functools import partial

from ._em.search import NumberThenEM, NumberTrainer
from ._experts.fitting import split_last
from ._experts.solvers import has_experts
from ._planning.ways import BIC, EVIDENCE, specialists_to_try
from ._pooling.trainer import PooledTrainer
from ._stacking.trainer import StackedTrainer


def make_trainer(plan, rows, data, parts, settings, splitting, seeds, plain=None):
    """What trains a mixture as it was planned.

    ``rows`` are FitRows. ``parts`` has as many experts as are tried at the most. ``seeds`` are of
    starts, and of experts that draw. The number of experts is chosen with ``plain``, (TrainingData,
    Parts), where that is given, and of rows that are not in memory on a sample.

    What is returned may train several and keep one.
    """
    start_seed, expert_seed = seeds
    plain = (data, parts) if plain is None else plain
    given = {"splitting": splitting, "seed": start_seed}
    make_em = partial(_em_trainer, settings, expert_seed, given)
    by_em = partial(make_em, rows, data, parts, settings.top_k)
    of_pooled = given | {"expert_seed": expert_seed, "n_experts": plan.n_experts}
    pooled = partial(rows.pooled_trainer or PooledTrainer, rows, *plain, settings, **of_pooled)
    if plan.training == "pooled":
        return pooled() if plan.request.top_k is None else NumberThenEM(pooled(), by_em)
    if plan.training == "em":
        if plan.n_experts is not None:
            return by_em()
        if plan.number_by == EVIDENCE:
            return NumberThenEM(pooled(), by_em, keeps=False)
        top_k = None if plan.is_number_of_plain else settings.top_k
        plain_data, plain_parts = plain
        try_em = partial(make_em, rows.sample(), rows.alone(plain_data), plain_parts, top_k)
        search = NumberTrainer(try_em, plan.most_experts, by_bic=plan.number_by == BIC)
        if rows.many or plan.is_number_of_plain:
            return NumberThenEM(search, by_em, keeps=False, on_sample=rows.many)
        return search
    given = given | {
        "folds": splitting.folds(parts.templates, data),
        "expert_seed": expert_seed,
        "gate": None if plan.is_default_gate else parts.gate,
    }
    if plan.training == "specialists":
        given["numbers"] = specialists_to_try(plan.n_experts, plan.most_experts)
    elif plan.is_automatic and not any(has_experts(split_last(e)[1]) for e in parts.templates):
        # What was asked for by name is not given up for another way; a mixture finds regimes.
        given["instead"] = by_em
    return StackedTrainer(data, parts, settings, **given)


def _em_trainer(
    settings, expert_seed, given, rows, data, parts, top_k, n_experts=None
):  # fmt: skip
    """What trains by EM: a Trainer."""
    if n_experts is not None:
        has_encoder = parts.gate.encoder is not None
        parts = parts.first(n_experts)
        if has_encoder and parts.gate.encoder is None:  # nothing stands before its gate
            data = replace(data, Z=data.X)
    splitting, settings = given["splitting"], replace(settings, top_k=top_k)
    problem, folds = rows.problem(data, parts, settings, splitting, expert_seed)
    trainer = rows.trainer(problem, data, rows.finished(parts), settings, folds=folds, **given)
    trainer.n_rows = rows.n_rows
    trainer.why_out_of_fold = splitting.why_out_of_fold(parts.templates, data, folds)
    return trainer
