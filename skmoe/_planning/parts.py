"""Experts, gate and likelihood of a plan, adapted to the rows."""

from functools import partial

from .._em.gate_parts import GateParts
from .._em.parts import Parts, adapt_experts
from .._experts.traits import column_names
from .._experts.wide import with_best_penalty
from .._tables.encoding import identifiers, warn_of_left_out, warn_of_numbers
from ..gates import SoftmaxGate


def make_parts(mixture, plan, rows, gate_seed, *, plain=False):
    """Experts, gate and likelihood of a plan, adapted; ``plain`` ones without own gate."""
    names, templates = plan.request.names, plan.request.templates
    is_default, encoding, columns = plan.request.encodes, plan.encoding, mixture.expert_columns
    shrinks, averages = plan.training == "pooled", plan.training == "stack"
    target_type = "continuous" if mixture._classes is None else "auto"
    kinds, left_out = partial(identifiers, rows.X, rows.weight), ([], [])
    if encoding:
        left_out = kinds(shrinks=shrinks or averages)
        warn_of_numbers(rows.X)
        warn_of_left_out(*left_out, encoding)
    names_of_columns = column_names(mixture)
    gate = None if plain or plan.is_default_gate else mixture.gate
    adapted = adapt_experts(
        templates, rows.X, is_default=is_default, columns=columns, weight=rows.weight,
        shrinks=shrinks, averages=target_type if averages and rows.y.ndim == 1 else None,
    )  # fmt: skip
    encodes = adapted[0] is not templates[0]
    if plan.request.is_wide:
        given = rows.X, rows.y, rows.weight, gate_seed, plan.request.groups
        adapted = [with_best_penalty(adapted[0], *given)] * len(adapted)
    adapted_gate = GateParts.adapt(
        gate, SoftmaxGate(), rows, len(names), gate_seed, unseen=plan.request.monotone[0],
        of_dense=plan.training in ("stack", "specialists") or plan.request.is_wide,
    )  # fmt: skip
    return Parts(
        model_class=mixture._model_class,
        names=names,
        templates=adapted,
        encodes=encodes,
        solver=mixture._solver(),
        is_default=is_default,
        is_list=mixture._is_list,
        gate=adapted_gate,
        likelihood=mixture._likelihood().of_columns(rows.X.shape[1], names_of_columns),
        classes=mixture._classes,
        feature_names=names_of_columns,
        has_own_columns=columns is not None or (shrinks and bool(encoding) and left_out != kinds()),
    )
