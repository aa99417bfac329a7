"""From parameters and rows to the plan: experts, gate, likelihood, folds and cost."""

from dataclasses import replace
from functools import partial

import numpy as np

from .._data import check_ids
from .._em.gate_parts import GateParts
from .._em.loop import count
from .._em.parts import Parts, adapt_experts
from .._em.problem import FEW_ROWS
from .._experts.fitting import column_names, is_frozen, split_last
from .._experts.folds import IN_FOLDS, IN_SAMPLE, OUT_OF_BAG, PREFIT, decide_folds
from .._experts.wide import N_FOLDS, PENALTIES, with_best_penalty
from .._tables.encoding import identifiers, warn_of_left_out, warn_of_numbers
from .._validation import check_enough_rows
from ..gates import SoftmaxGate
from .plan import Plan, count_columns
from .ways import (
    MOST_EXPERTS,
    OUT_OF_FOLD,
    Request,
    choose_number,
    choose_training,
    chosen_by,
    has_plain_gate,
    specialists_to_try,
)

AS_GOOD = "where its out-of-fold log-density is as high"
AVERAGES = (
    "Predictions will average over one expert and the number chosen, or of one expert of classes "
    "over its prior variance, unless the evidence is clear."
)


def make_plan(mixture, given):
    """The plan of a fit to the rows that were given: FitRows.

    Raises a ValueError if parameters and rows do not go together.
    """
    rows, groups, previous = given.checked, given.split_params.get("groups"), given.previous
    if groups is not None:
        groups = check_ids("groups", groups, rows.X)
    request = Request.of(mixture, rows, groups, given.many)
    training, why_training = choose_training(mixture.training, request)
    if training != "stack":
        request = request.without_lines()
    n_experts, why_n_experts = choose_number(training, request, previous)
    check_enough_rows(np.count_nonzero(rows.weight), n_experts or 1)
    if n_experts is not None and request.kind != "list":
        names, templates = mixture._expert_list(rows.y, rows.weight, n_experts)
        request = replace(request, names=names, templates=templates)
    n_rows = _rows_that_count(training, request, n_experts)
    kind, n_folds, why_folds = _folds(training, request, n_rows)
    number_by = None if n_experts is not None else chosen_by(training, request)
    if number_by == OUT_OF_FOLD and kind == IN_SAMPLE:
        raise ValueError(
            "n_experts='auto' needs predictions for rows that the experts have not seen, so no "
            "cv=False, unless they are linear. Set that, or a number of experts."
        )
    gate, is_default_gate, why_gate = _gate(mixture, training, request)
    likelihood, why_likelihood = _likelihood(training, request)
    experts, why_experts = _experts(request)
    averages = training == "pooled" and n_experts is None and not given.many
    averages = averages and rows.weight.sum() < FEW_ROWS
    most = min(MOST_EXPERTS, np.count_nonzero(rows.weight)) if n_experts is None else n_experts
    return Plan(
        training=training,
        n_experts=n_experts,
        most_experts=int(most),
        experts=experts,
        gate=gate,
        likelihood=likelihood,
        predictions=kind if n_folds is None else f"{kind}, {count(n_folds, 'fold')}",
        reasons={
            "training": why_training,
            "experts": why_experts,
            "n_experts": why_n_experts,
            "gate": why_gate,
            "likelihood": why_likelihood,
            "predictions": why_folds,
        },
        most_expert_fits=_most_fits(
            mixture, training, request, n_experts, int(most), kind, n_folds or 1
        ),
        notes=[AVERAGES] if averages else [],
        request=request,
        is_automatic=mixture.training == "auto",
        is_default_gate=is_default_gate,
        n_rows=n_rows,
        number_by=number_by,
        is_number_of_plain=number_by not in (None, OUT_OF_FOLD) and not has_plain_gate(request),
        shape=(given.n_rows, count_columns(rows.X) if request.is_solved else np.shape(rows.X)[1]),
        n_init=mixture.n_init,
    )


def _gate(mixture, training, request):
    """The gate in words, whether it is the default, and the reason."""
    if len(request.names) == 1:
        return "none", True, "one expert answers for every row"
    default = mixture._default_gate(training)
    if request.gate is None:
        _, unseen = request.monotone
        why = f"the default, of all columns but {unseen}, in which experts are monotone"
        why = why if unseen else "the default"
        if training == "specialists":
            why += f"; a softmax gate, quicker to serve, {AS_GOOD}"
        return type(default).__name__, True, why
    if mixture.gate is request.gate and is_same(request.gate, default):
        return type(default).__name__, True, "as asked for, and the default"
    return _in_words(request.gate), False, "as asked for"


def is_same(estimator, other):
    """Whether two estimators are of one class and have the same parameters."""
    return type(estimator) is type(other) and repr(estimator) == repr(other)


def _likelihood(training, request):
    """The likelihood in words, and the reason."""
    if request.likelihood.is_ordered:
        return _in_words(request.likelihood), "as asked for"
    if request.mixture._classifies:
        calibrated = "calibrated out of fold" if request.has_default_likelihood else "as asked for"
        return _in_words(request.likelihood), "the only one of classes" if training in (
            "pooled",
            "em",
        ) else calibrated
    if training in ("stack", "specialists"):
        return "StudentT", "tails, and scales by row, are learned from out-of-fold errors"
    if request.has_default_likelihood:
        return _in_words(request.likelihood), "the default where experts have their own rows"
    return _in_words(request.likelihood), "as asked for"


def _rows_that_count(training, request, n_experts):
    """Rows by which "auto" judges whether linear experts are predicted in-sample."""
    if request.needs_likelihood:
        return np.inf
    if n_experts is None and training == "em":
        return 0.0 if chosen_by(training, request) == OUT_OF_FOLD else np.inf
    return request.rows.weight.sum()


def _folds(training, request, n_rows):
    """How rows are predicted in training, the number of folds, and the reason."""
    rows, mixture = request.rows, request.mixture
    if training == "pooled":
        asked = ["cv"] * (not request.has_cv("auto") and mixture.cv is not False)
        asked += ["groups"] * (request.groups is not None)
        without = f", so that {' and '.join(asked)} have no effect" if asked else ""
        return IN_SAMPLE, None, f"nothing is fitted in folds{without}"
    columns = mixture.expert_columns
    kind, n_folds, reason = decide_folds(
        mixture.cv,
        adapt_experts(request.templates, rows.X, is_default=request.encodes, columns=columns),
        rows.X,
        rows.y,
        {} if request.groups is None else {"groups": request.groups},
        n_rows=n_rows,
        subject=rows.subject,
    )
    if training in ("stack", "specialists") and kind == IN_SAMPLE:
        return IN_FOLDS, min(5, len(rows.y)), "all experts are combined by out-of-fold predictions"
    return kind, n_folds, reason


def _experts(request):
    """The experts in words, and the reason."""
    if request.kind == "list":
        return ", ".join(request.names), "as asked for"
    name = type(split_last(request.templates[0])[1]).__name__
    if request.is_wide:
        shape = "{:,} rows of {:,} columns".format(*request.rows.X.shape)
        return name, f"the default of {shape}; its penalty is chosen by cross-validation"
    return name, "the default" if request.kind == "default" else "as asked for"


def _in_words(part):
    """An object on one line."""
    return " ".join(repr(part).split())


def _most_fits(mixture, training, request, n_experts, most, kind, n_folds):
    """Fits of single estimators at the most; None where experts are solved at once."""
    if training == "pooled" or (request.is_solved and kind == IN_SAMPLE):
        return None
    n_trained = sum(not is_frozen(each) for each in request.templates[:most])
    # Bags that all hold too many rows are given up for folds, unless they are asked for.
    in_folds = kind == IN_FOLDS or (kind == OUT_OF_BAG and not request.has_cv("oob"))
    once = n_trained * (n_folds if in_folds else 1)
    at_the_end = n_trained if in_folds else 0
    of_penalty = request.is_wide * len(PENALTIES) * N_FOLDS
    if training == "stack":
        return once + at_the_end
    if training == "specialists":
        per_expert = n_folds if in_folds else 1
        n_tried = sum(specialists_to_try(n_experts, most))
        given_up = n_tried * (kind == OUT_OF_BAG and in_folds)
        of_penalty += given_up
        return (1 + 2 * n_tried) * per_expert + of_penalty + (1 + most) * in_folds
    steps = mixture.max_iter if kind in (IN_SAMPLE, PREFIT) else min(mixture.max_iter, 10)
    return (steps + 2) * once + at_the_end + of_penalty


# Experts, gate and likelihood of a plan, adapted to the rows -------------------------------------


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
