"""``partial_fit`` of a mixture: whether it can, its first rows, and every batch after these."""

import warnings
from numbers import Integral

from sklearn.exceptions import ConvergenceWarning

from .._data import NO_METADATA
from .._em.callbacks import FitTasks
from .._em.rows import FitRows
from .._experts.fitting import learns_batches, split_last
from .._validation import check_rows
from ..exceptions import ExpertCollapseWarning, ScaleFloorWarning
from ..gates import BaseGate
from .stream import Buffer, learn_batch

STREAM_EXPERTS = 4  # for which rows are collected, where their number is to be chosen


def check_batch(mixture, *given, **how):
    """``check_rows`` of new rows for a mixture that goes on; a ValueError if these are trials."""
    likelihood = mixture._likelihood()
    if likelihood.takes_subjects:
        raise ValueError(f"With {likelihood} a mixture learns by fit alone: fit it anew.")
    rows = check_rows(mixture, *given, **how)
    if rows.exposure is not None:
        raise ValueError("After fit a mixture learns from single trials only: fit it anew.")
    return rows


def learns_streams(mixture):
    """For ``available_if``: True, or an AttributeError that names the part that cannot."""
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
    gate = mixture._default_gate() if mixture.gate is None or len(templates) == 1 else mixture.gate
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
    return (
        mixture.experts is None or mixture._solver().penalty_of(split_last(template)[1]) is not None
    )


def learn_rows(mixture, X, y, sample_weight, classes=None):
    """Learn from one more batch: collect it with the first rows, or go on from the last fit."""
    if mixture.__sklearn_is_fitted__() and mixture._buffer is None:
        _go_on(mixture, X, y, sample_weight)
    else:
        _collect(mixture, X, y, sample_weight, classes)


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
    n_experts = STREAM_EXPERTS if is_to_be_chosen else len(mixture._expert_list()[0])
    folds = mixture.cv if isinstance(mixture.cv, Integral) else 0
    buffer.fewest = max(2, n_experts, folds)
    if not buffer.can_be_fitted():
        return
    complete = buffer.is_complete(n_experts)
    if not (complete or buffer.is_due()):
        return
    with warnings.catch_warnings():
        if not complete:  # the next batch may put it right
            warnings.simplefilter("ignore", ExpertCollapseWarning)
            warnings.simplefilter("ignore", ScaleFloorWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
        tasks = FitTasks(mixture, buffer.X, buffer.y, buffer.weight)
        given = buffer.X, buffer.y, buffer.weight, NO_METADATA, {}
        mixture._fit(FitRows.of(mixture, *given), tasks)
    mixture._buffer = None if complete else buffer.after_refit()


def _go_on(mixture, X, y, sample_weight):
    """Learn from a batch after the last fit."""
    if mixture._stream is None and mixture._changed_by is not None:
        raise TypeError(
            f"After {mixture._changed_by} a mixture cannot go on with partial_fit: there are no "
            "sums over the rows that its experts were fitted on."
        )
    if mixture._stream is None:
        raise TypeError(
            "This fit cannot go on with partial_fit, which knows no subjects; and groups, "
            "sparse data or other parameters asked for experts without partial_fit. Fit again, "
            "with dense data, without subject and groups, and with training='em'."
        )
    rows = check_batch(mixture, X, y, sample_weight)
    model, mixture._stream, mixture.expert_load_ = learn_batch(
        mixture._model, mixture._stream, rows, mixture.expert_load_, mixture.forget_factor
    )
    mixture._set_model(model)
    mixture.n_samples_seen_ = mixture._stream.seen
    mixture._changed_by = mixture._changed_by or "partial_fit"
