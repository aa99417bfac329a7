"""How a mixture is fitted on rows that are not in memory."""

from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier

from .._attributes import attributes_now, set_fitted
from .._compat import check_feature_names, check_n_features
from .._data import Rows, Units
from .._em import starts
from .._em.callbacks import NoTasks
from .._em.one_pass import OnePassProblem
from .._em.parts import adapt_experts, warn_of_ignored_weights
from .._em.progress import Progress
from .._em.settings import Settings
from .._em.trainer import Trainer
from .._experts.folds import DEFAULT_FOLDS, Splitting
from .._experts.solvers import is_linear
from .._experts.traits import draw_seeds, has_own_density
from .._numerics.multinomial import BLOCK_LIMIT, NEWTON_LIMIT
from .._parallel import one_pool
from .._planning.making import make_plan
from .._planning.parts import make_parts
from .._planning.request import MOST_EXPERTS
from .._rows.look import LookParameters, column_moments, first_look, weigh_sample
from .._rows.mixed_tables import TableForm, encode, fit_encoder
from .._rows.opening import open_rows
from .._rows.validation import check_classes, check_exposure, warn_of_small_weights
from .._tables.known import KnownColumns
from .._tables.mixed import HEAVIEST, check_accepts, check_sizes
from .._trainers import make_trainer
from ..gates._classifier import as_gate
from .gathered import GatheredProblem, Gathering
from .memory import ExpertRows, memory_for_rows
from .pooled import pooled_trainer

NEED = "Rows that are not in memory need"
ELSE = (
    "fit on a sample of the rows in memory, or batch by batch with partial_fit, where the mixture "
    "has it."
)
INSTEAD = f"Set that, or {ELSE}"


def fit_many(mixture, X, y, sample_weight, others, tasks):
    """``fit`` on rows that are not in memory.

    ``others`` are the other parameters of ``fit``, which have to be None; ``tasks`` are callbacks.
    """
    settings = Settings.of(mixture)
    check_wanted(NEED, _wanted_by_all(mixture, others), INSTEAD)
    has_sums = mixture.training == "pooled" or _is_solved(mixture)
    if not has_sums:
        check_wanted(NEED, _wanted_by_estimators(mixture), INSTEAD)
    source = open_rows(X, y, sample_weight, classifies=is_classifier(mixture))
    Progress(settings).say("First look at the rows")
    look, rows, share = _look_at(mixture, source)
    _check_counts(mixture, look)
    form, encoder, shown = TableForm.of(look), None, rows.X
    as_given = rows if look.is_numeric else replace(rows, X=form(rows.X))
    plan = make_plan(mixture, as_given, many=True)
    mixture.plan_ = plan.for_users()
    Progress(settings).say(str(plan))
    table = rows.X if form is None else form(rows.X)
    if not look.is_numeric:
        rows, encoder, shown = _encode(mixture, plan.request.templates, look, rows, form)
        form = form if shown is not rows.X else None
    class_weights = None
    if mixture.class_weight is not None:
        class_weights = mixture._class_weights(look.mass)
        look, rows = _weigh_classes(look, rows, class_weights)
    known = KnownColumns.of(table)
    mixture._column_kinds, mixture._medians = known.kinds, None
    encoded = None if encoder is None else form
    source.know(
        mixture._classes, columns=known, encoder=encoder, form=encoded, class_weights=class_weights
    )
    is_known = encoder is None and class_weights is None
    columns = look.columns if is_known else source.reduce(column_moments, None)
    units = Units(*columns.standardisation())
    if look.target is not None:
        units = Units(units.mean, units.scale, *look.target.standardisation())
    fold_seed, gate_seed, *seeds = draw_seeds(mixture.random_state, 4)
    parts = make_parts(mixture, plan, rows, gate_seed)
    data = replace(parts.training_data(rows), X=shown, units=units)
    splitting = Splitting(mixture.cv, {}, None, fold_seed, is_classifier(mixture), plan.n_rows)
    if plan.training == "em" and plan.n_experts is None:
        number = _number_of_sample(plan, share, data, parts, settings, splitting, seeds)
        parts = parts.first(number.n_experts)
    _check_gate(parts, len(columns.mean))
    given = source, look, rows, data, parts, settings, splitting, encoder, *seeds
    if plan.training == "pooled":
        trainer = pooled_trainer(mixture, share, *given)
    else:
        trainer = _one_pass_trainer(*given) if has_sums else None
    is_solved = trainer is not None
    if not is_solved:
        check_wanted(NEED, _wanted_by_estimators(mixture), INSTEAD)
        trainer = _gathered_trainer(share, form, *given)
    trainer.n_rows = look.n_rows
    if plan.training == "em" and plan.n_experts is None:
        trainer.number_scores = number.scores
    with one_pool(mixture.n_jobs):
        trained = trainer.train(None, tasks, partial(attributes_now, mixture))
    set_fitted(mixture, plan, *trained)
    if not is_solved:
        trainer.problem.warn_of_thinned_rows()
    tasks.end()


def _check_gate(parts, n_columns):
    """Raise a ValueError if the gate is too large for Newton's method."""
    n_experts = len(parts.names)
    is_softmax = n_experts > 1 and parts.gate.trained.sees_rows
    wanted = {
        f"a softmax gate of at most {NEWTON_LIMIT} weights, columns times experts": (
            not is_softmax or (n_columns + 1) * n_experts <= NEWTON_LIMIT
        ),
    }
    check_wanted(NEED, wanted, f"Ask for fewer experts or ConstantGate(), or {ELSE}")


class _Number(NamedTuple):
    """Of experts, and the scores of all that were tried."""

    n_experts: int
    scores: object


def _number_of_sample(plan, share, data, parts, settings, splitting, seeds):
    """The number of experts that BIC chooses on the sample, whose rows count as themselves."""
    sample = replace(data, weight=share * data.weight)
    trainer = make_trainer(plan, sample, parts, settings, splitting, seeds)
    best, _, model, *_ = trainer.train(None, NoTasks(), None)
    return _Number(best.problem.load.size, best.number_scores)


def check_wanted(what, wanted, otherwise):
    """Raise a ValueError that names all that ``what`` needs and is not given, and a way out.

    ``what`` is the subject of the sentence, such as "Rows that are not in memory need"; ``wanted``
    has for each requirement whether it is met.
    """
    lacking = [each for each, is_given in wanted.items() if not is_given]
    if lacking:
        raise ValueError(f"{what} {'; '.join(lacking)}. {otherwise}")


def _one_pass_trainer(
    source, look, rows, data, parts, settings, splitting, encoder, start_seed, expert_seed
):
    """What trains linear experts by sums over rows: Trainer.

    None where these sums would be too many, or rows too few, and experts can do without.
    """
    n_experts = len(parts.names)
    experts = parts.make_experts(data, None, settings, expert_seed)
    likelihood = _start(parts.likelihood.fitting(in_sample=True, linear=True), look, n_experts)
    known = experts, parts.gate.trained, likelihood, data
    covered = OnePassProblem.covers(*known, load_prior=None, top_k=None)
    is_enough = splitting.folds(parts.templates, rows) is None
    is_narrow = len(data.units.mean) < BLOCK_LIMIT
    can_be_gathered = not look.has_one_function or likelihood.expert_family is not None
    if can_be_gathered and not (covered and is_enough and is_narrow):
        return None
    otherwise = "Ask for fewer experts, or set cv=False, or fit rows that are so few in memory."
    check_wanted(NEED, {"ten rows a coefficient": is_enough}, otherwise)
    check_wanted(NEED, {f"fewer than {BLOCK_LIMIT} columns": is_narrow}, f"Drop some, or {ELSE}")
    check_wanted(NEED, {"a target that is not the same for all rows": covered}, f"Else {ELSE}")
    problem = OnePassProblem(*known, rows=source)
    if encoder is not None:
        parts = parts.behind(encoder)
    return Trainer(problem, data, parts, settings, folds=None, splitting=splitting, seed=start_seed)


def _gathered_trainer(
    share, form, source, look, rows, data, parts, settings, splitting, encoder, start_seed,
    expert_seed,
):  # fmt: skip
    """What trains estimators on rows of their own: Trainer."""
    folds = splitting.folds(parts.templates, data)
    is_in_sample = folds is None
    given = splitting.cv if isinstance(splitting.cv, Integral) else DEFAULT_FOLDS
    n_folds = 1 if is_in_sample or isinstance(folds, str) else int(given)
    shape = data.y.shape[1:] if data.classes is None else (len(data.classes),)
    gathering = Gathering(
        parts,
        settings,
        expert_seed,
        n_folds,
        is_in_sample,
        ExpertRows.that_fit(
            source.max_expert_rows, data.X, (len(parts.names), *shape), memory_for_rows()
        ),
        form,
    )
    linear = is_in_sample and all(map(is_linear, parts.templates))
    likelihood = parts.likelihood.fitting(in_sample=is_in_sample, linear=linear)
    small = gathering.small_problem(data, share, parts.gate.trained, likelihood)
    if look.has_unequal_weights:
        warn_of_ignored_weights(small.experts.ignoring_weights())
    problem = GatheredProblem(small, data, gathering, source)
    if encoder is not None:
        parts = parts.behind(encoder, experts=form is None)
    folds = small.experts.folds
    return Trainer(
        problem, data, parts, settings, folds=folds, splitting=splitting, seed=start_seed
    )


def _look_at(mixture, source):
    """FirstLook, and the sample that it has drawn; sets what validation sets.

    Returns the look, the sample, with weights of the sum of all, and which share of the weight of
    all rows those of the sample had themselves.
    """
    n_experts = mixture.n_experts if isinstance(mixture.n_experts, Integral) else 1
    most = MOST_EXPERTS if mixture.n_experts == "auto" else n_experts
    fewest, per_column = starts.FEWEST_ROWS, starts.ROWS_PER_COEFFICIENT * most
    parameters = LookParameters(source.classifies, fewest, per_column, mixture._likelihood())
    look = source.reduce(first_look, parameters)
    if look is None or look.n_used < n_experts:
        raise ValueError(
            f"Found n_samples={0 if look is None else look.n_used} rows of positive weight, fewer "
            f"than n_experts={n_experts}. Give more rows, or ask for fewer experts."
        )
    check_sizes(look.columns.size[None], "X", smallest=True)
    heaviest = np.array([np.sqrt(look.weight_squares)])
    check_sizes(heaviest, "sample_weight", smallest=True, limit=HEAVIEST)
    if look.target is not None:
        check_sizes(look.target.size, "y", smallest=True)
    else:
        check_classes(look.values)
        mixture.classes_ = look.values
    warn_of_small_weights(look.weight, look.weight_squares, look.n_used)
    sample = look.sample
    if sample.has_copies:
        sample.mass = source.reduce(weigh_sample, sample)
    n_drawn = parameters.n_drawn(len(look.columns.mean))
    places, weight = sample.drawn(
        n_drawn if look.n_rows >= 2 * n_drawn else look.n_rows, look.weight
    )
    share = sample.mass[places].sum() / look.weight
    X, y = (each[places] for each in sample.arrays)
    if look.names is not None:
        from pandas import DataFrame  # as the blocks were

        X = DataFrame(X, columns=list(look.names), dtype=X.dtype)
    if look.target is None:
        y = np.searchsorted(look.values, y)
    check_feature_names(mixture, X, reset=True)
    check_n_features(mixture, X, reset=True)
    return look, Rows(X, y, weight), share


def _check_counts(mixture, look):
    """Raise a ValueError if successes are more than trials, in whichever block."""
    if mixture._likelihood().takes_trials:
        extremes = np.concatenate([look.target.low, look.target.high])
        check_exposure(mixture, None, None, y=extremes if look.values is None else look.values)


def _weigh_classes(look, rows, class_weights):
    """What was found, and the sample, where rows count by their class besides."""
    mass = look.mass * class_weights
    weight = rows.weight * class_weights[rows.y]
    weight *= mass.sum() / weight.sum()
    return replace(look, mass=mass, weight=mass.sum()), replace(rows, weight=weight)


def _encode(mixture, templates, look, rows, form):
    """Rows of a mixed table as the gate and starts see them, their encoder, and as experts do.

    Experts of the mixture's choice see them as the gate does, others as tables.
    """
    is_default = mixture.experts is None or isinstance(mixture.experts, str)
    has_default_gate = mixture.gate is None and len(templates) > 1
    who = ["experts"] * is_default + ["gate"] * has_default_gate
    encoder = fit_encoder(look, who)
    table = form(rows.X)
    if mixture.gate is not None and mixture.gate.sees_rows:
        check_accepts("The gate SoftmaxGate", mixture.gate, table)
    rows = replace(rows, X=encode(encoder, table))
    shown = rows.X if is_default else table
    adapt_experts(templates, shown, is_default=False)  # raises if one cannot take it
    return rows, encoder, shown


def _start(likelihood, look, n_experts):
    """A likelihood that has looked at the target."""
    target = look.target
    if target is None:
        return likelihood.start_from_sums(look.mass, n_experts)
    if likelihood.expert_family is not None:
        return likelihood.start_from_sums(look.weight * target.mean[0], n_experts)
    variance, largest = target.squares / look.weight, target.size
    if look.has_one_function:
        variance, largest = variance[0], largest[0]
    return likelihood.start_from_sums(variance, look.values, largest)


def _is_solved(mixture):
    """Whether experts are linear ones of which sums over rows tell all."""
    if mixture._is_list or not mixture._likelihood().has_sums:
        return False
    template = mixture._expert_list()[1][0]
    is_one = mixture._solver().penalty_of(template) is not None
    return is_one and (mixture.cv is False or str(mixture.cv) == "auto")


def _wanted_by_all(mixture, others):
    """What all fits on rows that are not in memory need, and whether it is given."""
    gate = mixture.gate
    wanted = {
        "the gate None, SoftmaxGate() or ConstantGate(), without L1 penalty and load_balance": (
            gate is None or as_gate(gate).can_be_pooled
        ),
        "init='auto' or the name of a start": not callable(mixture.init),
        "training='auto', 'em' or 'pooled'": mixture.training in ("auto", "em", "pooled"),
        "shared_effects=None": not mixture._shared_effects(),
        "a likelihood without subjects": not mixture._likelihood().takes_subjects,
        "a likelihood without a zero component": mixture._zero_expert() is None,
        "top_k=None": mixture.top_k is None,
        "warm_start=False": not mixture.warm_start,
    }
    return wanted | {
        f"no {name}, which looks at all rows at once": value is None
        for name, value in others.items()
    }


def _wanted_by_estimators(mixture):
    """What experts need that are fitted on rows of their own."""
    cv, templates = mixture.cv, mixture._expert_list()[1]
    likelihood = mixture._likelihood().fitting(in_sample=False, linear=False)
    return {
        "experts that are no mixtures": not any(map(has_own_density, templates)),
        "outputs that are not reweighted one by one": not likelihood.reweights_outputs,
        "scales that do not depend on the row": likelihood.scale_estimator() is None,
        "cv='auto', 'prefit', False or a number of folds": (
            cv is False or str(cv) in ("auto", "prefit") or (isinstance(cv, Integral) and cv > 1)
        ),
    }
