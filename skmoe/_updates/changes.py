"""What changes a fitted mixture: batches of a stream, and experts that come and go.

``partial_fit``, ``add_expert`` and ``remove_expert`` are the methods of these names.
"""

import copy
import warnings
from dataclasses import replace
from functools import wraps
from itertools import count
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline

from .._attributes import set_model
from .._base import unchanged_on_error
from .._data import NO_METADATA
from .._em.loop import FitTasks
from .._em.parts import GateParts, Parts, adapt_experts
from .._em.problem import STREAM_WORK, Settings
from .._experts.fitting import draw_seeds, has_oob_prediction, is_frozen, learns_batches, split_last
from .._experts.folds import Splitting
from .._parameters import check_expert
from .._planning.plan import FitRows
from .._reports.by_regime import regimes_of
from .._reports.described import finish_later
from .._tables.encoding import DescribedColumns
from .._validation import check_fitted, check_rows
from ..exceptions import ExpertCollapseWarning, NoReplayWarning, ScaleFloorWarning, warn_user
from ..gates import BaseGate
from . import growing
from .stream import Buffer, learn_batch, responsibilities

STREAM_EXPERTS = 4  # for which rows are collected, where their number is to be chosen


def all_or_nothing(change):
    """A change that returns the mixture; after an error it is as it was before."""

    @wraps(change)
    def method(mixture, *args):
        with unchanged_on_error(mixture):
            change(mixture, *args)
        return mixture

    return method


# Batches of a stream ----------------------------------------------------------------------------


def check_batch(mixture, *given, **how):
    """``check_rows`` of new rows for a mixture that goes on; a ValueError if these are trials."""
    likelihood = mixture._likelihood()
    if likelihood.takes_subjects:
        raise ValueError(f"With {likelihood} a mixture learns by fit alone: fit it anew.")
    rows = check_rows(mixture, *given, **how)
    if rows.exposure is not None:
        raise ValueError("After fit a mixture learns from single trials only: fit it anew.")
    return rows


def can_stream(mixture):
    """True, or an AttributeError that names the part that cannot."""
    try:
        obstacle = _obstacle(mixture)
    except (TypeError, ValueError):
        return True  # invalid parameters: partial_fit raises the error, as fit does
    if obstacle:
        raise AttributeError(f"This mixture has no partial_fit: {obstacle}.")
    return True


def _obstacle(mixture):
    """The part that cannot learn from batches, in words, or None."""
    _, templates = mixture._expert_list()
    if mixture.training not in ("auto", "em"):
        return f"training={mixture.training!r} looks at all rows at once; set training='em'"
    if mixture._likelihood().takes_subjects:
        return f"{mixture._likelihood()} is known to fit alone"
    if not _solves(mixture, templates[0]):
        for template in templates:
            if not learns_batches(template):
                return f"the expert {template} has none, and is not solved in closed form"
    if mixture.gate is None or len(templates) == 1:
        gate = mixture._default_gate()
    else:
        gate = mixture.gate
    _, gate = split_last(gate)
    if isinstance(gate, BaseGate) and not gate.learns_batches:
        return f"the gate {gate} has no learn_batch"
    if not isinstance(gate, BaseGate) and not learns_batches(gate):
        return f"the gate {gate} has none"
    likelihood = mixture._likelihood()
    if not likelihood.learns_batches:
        return f"the likelihood {likelihood} has no learn_batch"
    return None


def _solves(mixture, template):
    """Whether the default ``cv`` has linear experts solved all at once."""
    if mixture._is_list or not (mixture.cv is False or mixture.cv == "auto"):
        return False
    last = split_last(template)[1]
    return mixture.experts is None or mixture._solver().penalty_of(last) is not None


@all_or_nothing
def partial_fit(mixture, X, y, sample_weight, classes=None):
    """Collect the batch with the first rows, or go on from the last fit."""
    if mixture._classifies:
        classes = _check_classes(mixture, classes)
    if mixture.__sklearn_is_fitted__() and mixture._buffer is None:
        _go_on(mixture, X, y, sample_weight)
    else:
        _collect(mixture, X, y, sample_weight, classes)


def _check_classes(mixture, classes):
    """All classes: those of the first call."""
    if mixture.class_weight == "balanced":
        raise ValueError("class_weight='balanced' needs all rows: with partial_fit give a dict.")
    if mixture._buffer is None:
        known = mixture._classes
    else:
        known = mixture._buffer.classes
    if not mixture.__sklearn_is_fitted__() and mixture._buffer is None:
        known = None
    if classes is None and known is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    if classes is None:
        return known
    classes = np.unique(classes)
    if known is not None and not np.array_equal(classes, known):
        raise ValueError(
            f"classes={classes.tolist()} are not those of the first call, {known.tolist()}."
        )
    if len(classes) < 2:
        raise ValueError(f"classes={classes.tolist()}; a classifier needs two at least.")
    return classes


def _collect(mixture, X, y, sample_weight, classes):
    """Collect the first rows; refit when they have doubled, or are enough, and forget them."""
    reset = mixture._buffer is None
    if reset:
        mixture._buffer = Buffer(classes)  # _check_target reads the classes from it
    rows = check_batch(mixture, X, y, sample_weight, reset=reset, known=False, may_be_empty=True)
    buffer = mixture._buffer = mixture._buffer.extended(
        rows.X, mixture._labels(rows.y), rows.weight
    )
    mixture.n_samples_seen_ = float(buffer.weight.sum())
    is_to_be_chosen = mixture.n_experts == "auto" and not mixture._is_list
    if is_to_be_chosen:
        n_experts = STREAM_EXPERTS
    else:
        n_experts = len(mixture._expert_list()[0])
    buffer.fewest = max(2, n_experts, mixture.cv if isinstance(mixture.cv, Integral) else 0)
    if not buffer.can_be_fitted():
        return
    complete = buffer.is_complete(n_experts)
    goes_on = buffer.goes_on(n_experts)
    if not (complete or goes_on or buffer.is_due()):
        return
    with warnings.catch_warnings():
        if not complete:  # the next batch may put it right
            for category in (ExpertCollapseWarning, ScaleFloorWarning, ConvergenceWarning):
                warnings.simplefilter("ignore", category)
        tasks = FitTasks(mixture, buffer.X, buffer.y, buffer.weight)
        rows = FitRows.of(mixture, buffer.X, buffer.y, buffer.weight, NO_METADATA, {})
        rows.most_work = STREAM_WORK
        if goes_on:
            rows.previous = responsibilities(mixture._model, rows.checked.X, rows.checked.y)
            rows.fitted_gate = mixture.gate_
        mixture._fit(rows, tasks)
    is_cut = mixture._is_cut and not is_to_be_chosen
    if complete:
        mixture._buffer = None
    else:
        mixture._buffer = buffer.after_refit(is_cut, goes_on)


def _go_on(mixture, X, y, sample_weight):
    """Learn from a batch after the last fit."""
    finish_later(mixture)
    if mixture._stream is None and mixture._changed_by is not None:
        raise TypeError(
            f"After {mixture._changed_by} a mixture cannot go on with partial_fit if it could not "
            "before, was still collecting its first rows, or got an expert without partial_fit "
            "that is not solved in closed form. Fit again with all rows."
        )
    if mixture._stream is None:
        raise TypeError(
            "partial_fit cannot go on from this fit, which had subjects, groups, sparse data or "
            "experts without partial_fit. Fit again without these, with training='em'."
        )
    rows = check_batch(mixture, X, y, sample_weight)
    model, mixture._stream, mixture.expert_load_ = learn_batch(
        mixture._model, mixture._stream, rows, mixture.expert_load_, mixture.forget_factor
    )
    set_model(mixture, model)
    mixture.n_samples_seen_ = mixture._stream.seen
    mixture._changed_by = mixture._changed_by or "partial_fit"


# Experts that come and go -----------------------------------------------------------------------


@all_or_nothing
def add_expert(mixture, X, y, expert, name, sample_weight, replay):
    _check_likelihood_is_that_of_fit(mixture)
    name = _free_name(mixture, name)
    rows = check_batch(mixture, X, y, sample_weight)
    template = _new_template(mixture, name, expert, rows.X)
    draw_seed, *seeds = draw_seeds(mixture.random_state, 3)
    stream = _stream_of(mixture)
    if stream is None:
        n_old = mixture.n_samples_seen_
    else:
        n_old = stream.counted
    old = _old_rows(mixture, rows.X, replay, draw_seed, n_old)
    experts = {f"before_{name}": FrozenEstimator(copy.copy(mixture)), name: template}
    given = _to_train(mixture, experts, _gate_now(mixture, growing.joined(rows, old)), *seeds)
    update = growing.grow(
        mixture._model,
        rows,
        old,
        *given,
        stream=stream,
        report_weights=sample_weight is not None,
        beside=_beside(mixture),
    )
    _set_changed(mixture, "add_expert", update, name)
    mixture.n_samples_seen_ += float(rows.weight.sum())


@all_or_nothing
def remove_expert(mixture, name):
    check_fitted(mixture)
    names = list(mixture.named_experts_)
    if name not in names:
        raise ValueError(f"There is no expert {name!r}; the names are {names}.")
    if len(names) == 1:
        raise ValueError(f"The expert {name!r} is the only one left; a mixture needs one.")
    update = growing.shrink(
        mixture._model,
        names.index(name),
        mixture.expert_load_,
        _beside(mixture),
        _stream_of(mixture),
    )
    _set_changed(mixture, "remove_expert", update, name)


# What the changes are made of ---------------------------------------------------------------


def _free_name(mixture, name):
    taken = list(mixture.named_experts_)
    if name is None:
        return next(free for k in count() if (free := f"expert{k}") not in taken)
    if not isinstance(name, str):
        raise TypeError(f"The name of an expert must be a string; got {name!r}.")
    if name in taken:
        raise ValueError(f"There is an expert {name!r} already; the names are {taken}.")
    mixture._validate_names([name])
    return name


def _new_template(mixture, name, expert, X):
    """The unfitted expert to add, which reads what the others read, of the columns they see."""
    if expert is None and mixture._is_list:
        raise ValueError("The experts are unlike each other: pass the estimator to add.")
    if expert is None:
        if mixture.experts is None:
            expert = mixture._default_expert()
        else:
            expert = mixture.experts
        encoders = [split_last(e)[0] for e in mixture.experts_ if isinstance(e, Pipeline)]
        if mixture.experts is None and encoders:  # fitted to the old categories
            return make_pipeline(FrozenEstimator(encoders[0]), mixture._solver().as_expert(expert))
    expert = mixture._solver().as_expert(expert)
    check_expert(mixture, name, expert)
    columns = mixture.expert_columns
    return adapt_experts([expert], DescribedColumns(X), is_default=False, columns=columns)[0]


def _stream_of(mixture):
    """What ``partial_fit`` goes on from; None where it cannot, or is still collecting rows."""
    if mixture._buffer is not None:
        return None
    return mixture._stream


def _old_rows(mixture, X, replay, seed, n_old):
    """Rows that stand for ``n_old`` earlier ones; None where none are wanted."""
    if isinstance(replay, (tuple, list)) and not replay:
        warn_user(
            "With replay=() the gate sees no old rows: the new expert may take over everywhere.",
            NoReplayWarning,
        )
        return None
    if replay is not None:
        if not isinstance(replay, (tuple, list)) or len(replay) != 2:
            raise ValueError("replay must be a pair (X_old, y_old).")
        old = check_batch(mixture, *replay)
    elif not isinstance(mixture.gate_, Pipeline) and mixture.gate_.can_sample:
        old = growing.generate_rows(mixture._model, X, seed)
    else:
        raise ValueError(
            "Without rows of the old regimes the new expert would take over everywhere, and this "
            "gate cannot generate such rows. Pass replay=(X_old, y_old), drawn at random, about "
            "seven rows for each column; or replay=() if old regimes do not matter."
        )
    return replace(old, weight=old.weight * (n_old / old.weight.sum()))


def _gate_now(mixture, rows):
    """The fitted gate as parts; if it sees no rows, what ``fit`` would make for two experts."""
    encoder, last = split_last(mixture.gate_)
    parts = GateParts.adapt(
        mixture.gate,
        mixture._default_gate(),
        rows,
        2,
        *draw_seeds(mixture.random_state, 1),
        report_weights=False,
    )
    if len(mixture.experts_) > 1 and last.sees_rows >= parts.trained.sees_rows:
        return replace(parts, given=last, encoder=encoder)
    parts.fit_encoder(rows.X, rows.y, rows.weight)
    return parts


def _to_train(mixture, experts, gate, fold_seed, expert_seed):
    """Parts of which one expert, by names, is to be trained; Splitting, Settings, and its seed."""
    parts = Parts(
        model_class=mixture._model_class,
        names=list(experts),
        templates=list(experts.values()),
        solver=mixture._solver(),
        is_default=False,
        is_list=True,
        gate=gate,
        likelihood=mixture._likelihood(),
        classes=mixture._classes,
    )
    trained = [template for template in parts.templates if not is_frozen(template)]
    if mixture.cv is False or isinstance(mixture.cv, Integral):
        cv = mixture.cv
    else:
        cv = "auto"
    if str(mixture.cv) == "oob" and all(map(has_oob_prediction, trained)):
        cv = "oob"
    splitting = Splitting(cv, {}, None, fold_seed, is_classifier(mixture))
    return parts, splitting, Settings.of(mixture), expert_seed


def _check_likelihood_is_that_of_fit(mixture):
    check_fitted(mixture)
    if not mixture._grows:
        raise ValueError(
            "No expert can be added to stacks and specialists, whose gate and scales were learned "
            "from out-of-fold predictions. Fit again; or freeze this mixture as the first expert "
            "of another, fit that with cv='prefit', and add to it."
        )
    asked = type(mixture._likelihood())
    fitted = type(mixture.likelihood_)
    if mixture.likelihood_.averages_experts:
        fitted = type(fitted.plain())
    if asked is not fitted:
        raise ValueError(
            f"The likelihood was {fitted.__name__} in fit and is {asked.__name__} now: a new "
            "expert needs that of the others. Set it back, or fit again."
        )


def _beside(mixture):
    """The Model that predictions average over besides that of the mixture, or None."""
    return vars(mixture).get("_beside", [None])[0]


def _set_changed(mixture, method, update, name):
    """Take another model, and drop what spoke of the last fit alone; ``name`` has changed."""
    regimes = [[each for each in names if each != name] for names in regimes_of(mixture)]
    averaged = vars(mixture).copy()
    model = update.model
    if model.likelihood.averages_experts and not model.likelihood.pooled_.any():
        model = replace(model, likelihood=model.likelihood.for_batches())
    set_model(mixture, model)
    if regimes:
        regimes += [] if method == "remove_expert" else [[name]]
        mixture.regimes_ = [names for names in regimes if names]
        mixture.n_regimes_ = len(mixture.regimes_)
    if update.beside is not None:
        mixture._beside = update.beside, *averaged["_beside"][1:]
        if "model_weights_" in averaged:
            mixture.model_weights_ = averaged["model_weights_"]
    mixture.expert_load_ = update.load
    mixture.n_expert_fits_ += update.n_fits
    mixture._stream = update.stream
    mixture._buffer = mixture._trained = None
    mixture._training_reports = {}
    mixture.__dict__.pop("n_distinct_experts_", None)
    mixture._changed_by = method
    for warning in update.warnings:
        warn_user(*warning)
