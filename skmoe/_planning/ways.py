"""What was asked for, and what is chosen: the way of training, by what each needs, and all else."""

from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral

import numpy as np
from scipy import sparse

from .._em.loop import DECIDING_ROWS, count
from .._em.parts import adapt_experts, validate_gate
from .._experts.fitting import (
    LINES,
    STACK,
    has_own_density,
    is_frozen,
    split_last,
    supports_warm_start,
)
from .._experts.folds import IN_FOLDS, IN_SAMPLE, decide_folds
from .._experts.least_squares import monotone_columns
from .._experts.prediction import has_oob_density
from .._experts.solvers import are_solved_sparse, has_experts, is_linear
from ..gates import SoftmaxGate
from ..gates._classifier import as_gate
from ..likelihoods import BaseLikelihood

DIVERSE = 3.0
ENTRIES = 3e3
SLOWER_CLASSES = 3  # seconds of "diverse", measured
OF_ONE = "one expert answers for every row"
MOST_EXPERTS = 8  # that are tried where their number is to be chosen
POOLED_GATES = "gate=None, SoftmaxGate() or ConstantGate(), without L1 penalty and load_balance"


@dataclass
class Request:
    """A mixture and the rows of one fit, on which all choices of the plan are based."""

    mixture: object
    rows: object  # Rows: checked; a sample of ``many`` that are not in memory
    many: bool
    groups: object  # as they were given
    likelihood: object  # unstarted
    # Gate, classifier: without its transformers; None is the default of the way of training.
    gate: object
    n_experts: int | None  # as asked for; None where it is to be chosen
    top_k: int | None  # None where every expert answers
    # ``names``, ``templates``: lists: of the experts; of clones whose number is to be chosen, as
    # many as are tried.
    names: list
    templates: list

    @classmethod
    def of(cls, mixture, rows, groups, many):
        """The request of a mixture."""
        likelihood = mixture._likelihood()
        gate = split_last(mixture.gate)[1]
        validate_gate(gate, is_whole=gate is mixture.gate)
        if isinstance(mixture.n_experts, Integral):
            n_experts = mixture.n_experts
        else:
            n_experts = None
        is_list = mixture._is_list
        if n_experts is None and not is_list and gate is not None:
            target_load = as_gate(gate).target_load
            if target_load is None:
                n_experts = None
            else:
                n_experts = len(target_load)
        names, templates = mixture._expert_list(
            rows.y, rows.weight, MOST_EXPERTS if n_experts is None else n_experts
        )
        n_clones = None if n_experts is None else len(names)
        top_k = mixture.top_k
        if n_clones is not None and top_k is not None and top_k >= n_clones:
            top_k = None
        if n_clones == 1:
            gate = None
        if is_list:
            n_experts = len(names)
        return cls(
            mixture, rows, many, groups, likelihood, gate, n_experts, top_k, names, templates
        )

    def __post_init__(self):
        mixture = self.mixture
        gate = self.gate
        y = self.rows.y
        experts = mixture.experts
        is_default = mixture.experts is None
        # What experts are: the default ones, clones of one estimator, or a list of several.
        if mixture._is_list:
            self.kind = "list"
        elif is_default:
            self.kind = "default"
        else:
            self.kind = "clones"
        # Default and "diverse" experts get a mixed table from an encoder.
        self.encodes = is_default or isinstance(experts, str)
        # The default experts have a penalty where X is wide.
        self.is_wide = mixture._wide_expert is not None
        self.is_stream = mixture._buffer is not None  # these are its first rows
        # Whether EM learns from sums over rows, in compiled loops.
        self.has_sums = self.likelihood.has_sums and (gate is None or as_gate(gate).has_sums)
        if y.ndim > 1:
            self.n_outputs = len(y.T)
        else:
            self.n_outputs = len(vars(mixture).get("classes_", "1"))
        likelihood = mixture.likelihood
        self.has_default_likelihood = isinstance(likelihood, str) and likelihood == "auto"

    def without_lines(self):
        """The request without the mixture among "diverse" experts, which would nest in another."""
        kept = [k for k, name in enumerate(self.names) if name != LINES]
        names = [self.names[k] for k in kept]
        templates = [self.templates[k] for k in kept]
        return replace(self, names=names, templates=templates, n_experts=len(kept))

    def has_cv(self, *words):
        """Whether ``cv`` is one of these words."""
        return isinstance(self.mixture.cv, str) and self.mixture.cv in words

    @cached_property
    def monotone(self):
        """Columns in which the mixture is monotone, as all experts are: numbers and names."""
        if self.is_solved or (self.gate, self.mixture.expert_columns) != (None, None):
            return [], []
        names = self.rows.described.labels
        numbers = monotone_columns(self.templates, names)
        return numbers, [names[number] for number in numbers]

    @property
    def is_unpenalised(self):
        """Whether experts are linear models that are solved at once and shrink nothing."""
        if self.kind == "default":
            return not self.is_wide
        last = split_last(self.templates[0])[1]
        return self.kind == "clones" and self.mixture._solver().penalty_of(last) == 0.0

    @cached_property
    def is_solved(self):
        """Whether experts are linear models that EM solves all at once."""
        X = self.rows.X
        if self.kind == "list" or (sparse.issparse(X) and not are_solved_sparse(X.shape)):
            return False
        last = split_last(self.templates[0])[1]
        is_default = self.kind == "default" and not self.is_wide
        return is_default or self.mixture._solver().penalty_of(last) is not None


# Ways of training, and what they need ------------------------------------------------------------


WAYS = ("em", "pooled", "stack", "specialists")
LACK_NO_WAY = "Set that."


# What each way needs, as a noun phrase, and whether a request gives it. Phrases that name
# likelihoods are made when they are asked for: there may be one more by then.
_named = BaseLikelihood.names_where
_OUT_OF_FOLD = (
    (
        lambda: f"likelihood='auto', {_named(lambda each: each.can_be_stacked)}",
        lambda r: r.has_default_likelihood or r.likelihood.can_be_stacked,
    ),
    ("one output", lambda r: r.rows.y.ndim == 1),
    ("targets without censoring, so no upper", lambda r: r.rows.bounds is None),
    ("rows that are independent, so no subject", lambda r: r.rows.subject is None),
    ("out-of-fold predictions, so no cv=False", lambda r: r.mixture.cv is not False),
    ("experts that are yet to be fitted, so no cv='prefit'", lambda r: not r.has_cv("prefit")),
    (
        "experts with out-of-bag predictions for cv='oob'",
        lambda r: not r.has_cv("oob") or all(map(has_oob_density, r.templates)),
    ),
    ("top_k=None", lambda r: r.top_k is None),
    (
        "a gate without load_balance",
        lambda r: r.gate is None or not as_gate(r.gate).load_balance > 0,
    ),
    ("warm_start=False", lambda r: not r.mixture.warm_start),
    ("all rows at once, and no stream", lambda r: not r.is_stream),
    ("rows in memory", lambda r: not r.many),
)
NEEDS = {
    "pooled": (
        ("linear experts without a penalty, such as experts=None", lambda r: r.is_unpenalised),
        (
            lambda: f"likelihood={_named(lambda each: each.can_be_pooled)}",
            lambda r: r.likelihood.can_be_pooled,
        ),
        (POOLED_GATES, lambda r: r.gate is None or as_gate(r.gate).can_be_pooled),
        ("targets without censoring, so no upper", lambda r: r.rows.bounds is None),
        ("cv other than 'oob' and 'prefit'", lambda r: not r.has_cv("oob", "prefit")),
        (
            "top_k=None, or a number of experts that is to be chosen",
            lambda r: r.top_k is None or r.n_experts is None,
        ),
        ("all rows at once, and no stream", lambda r: not r.is_stream),
    ),
    "stack": (
        ("a list of two models or more", lambda r: r.kind == "list" and len(r.names) > 1),
        (f"another name than {STACK!r} for its experts", lambda r: STACK not in r.names),
        *_OUT_OF_FOLD,
    ),
    "specialists": (
        ("one estimator, no list", lambda r: r.kind != "list"),
        ("an expert that is no mixture", lambda r: not has_own_density(r.templates[0])),
        *_OUT_OF_FOLD,
    ),
    "em": (
        (
            "the subject of each row, by subject=, under this likelihood",
            lambda r: not r.likelihood.takes_subjects or r.rows.subject is not None,
        ),
        (
            "top_k=None under a likelihood of subjects",
            lambda r: not r.likelihood.takes_subjects or r.top_k is None,
        ),
        (
            "experts that predict a number where there is upper, so no mixtures",
            lambda r: r.rows.bounds is None or not any(map(has_own_density, r.templates)),
        ),
    ),
}


def lacking(way, request):
    """The first thing that a way of training needs and a request does not give, or None."""
    what = next((what for what, is_given in NEEDS[way] if not is_given(request)), None)
    if callable(what):
        return what()
    return what


def _preferred(request):
    """The way of training that "auto" would like, and why."""
    experts = request.templates
    if request.is_wide:
        return "specialists", "the experts are penalised linear models, as X is wide"
    if request.kind == "default":
        return "pooled", "the experts are the default ones, linear models"
    if all(map(is_linear, experts)):
        return "em", "the experts are linear models that were given, fitted by maximum likelihood"
    if all(map(is_frozen, experts)):
        return "em", "the experts are frozen: gate and scales alone are learned"
    if all(is_linear(e) or is_frozen(e) or supports_warm_start(e) for e in experts):
        return "em", "all experts are linear, frozen, or continue from the last iteration"
    if request.kind == "list":
        return "stack", "the experts are a list of models of different kinds"
    if request.n_experts == 1:
        return "specialists", "one model, not linear, without copies"
    return "specialists", "one model, not linear"


def choose_training(training, request):
    """The way of training and the reason for it.

    Raises a ValueError if what is asked for cannot be trained in this way, or in no way.
    """
    if training != "auto":
        lack = lacking(training, request)
        if lack is not None:
            others = [way for way in WAYS if way != training and lacking(way, request) is None]
            if others:
                way_out = f"Set that, or training={others[0]!r}."
            else:
                way_out = LACK_NO_WAY
            raise ValueError(f"training={training!r} needs {lack}. {way_out}")
        return training, "as asked for"
    way, reason = _preferred(request)
    lack = lacking(way, request)
    if way == "pooled" and lack is None and not can_be_pooled_by_auto(request):
        return "em", f"{reason}; pooling takes long above {DECIDING_ROWS:,} rows of this kind"
    if lack is None:
        return way, reason
    last = lacking("em", request)
    if last is not None:
        raise ValueError(f"This mixture needs {last}. {LACK_NO_WAY}")
    if lack.startswith("likelihood="):
        lack = f"the default, does not support likelihood={_in_words(request.mixture.likelihood)}"
        return "em", f'"{way}", {lack}'
    return "em", f'"{way}" needs {lack}'


def can_be_pooled_by_auto(request):
    """Whether rows are few, or a part of them can decide for all: dense ones without subjects."""
    rows = request.rows
    if request.many:
        return False
    return len(rows.y) <= DECIDING_ROWS or not (sparse.issparse(rows.X) or rows.subject is not None)


# How many experts, or what will choose their number ----------------------------------------------


NUMBERS_OF_SPECIALISTS = (4, 8)  # that are tried in addition to a generalist
EVIDENCE = "the evidence"
BIC = "BIC"
OUT_OF_FOLD = "the out-of-fold log-density"


def choose_number(training, request, previous):
    """Number of experts, None where it is to be chosen, and the reason."""
    if request.kind == "list":
        return request.n_experts, "one for each estimator of the list"
    if previous is None:
        n_before = None
    else:
        n_before = previous.shape[1]
    if request.n_experts is not None and n_before not in (None, request.n_experts):
        raise ValueError(
            f"warm_start=True goes on from the last fit, which has {count(n_before)}; n_experts is "
            f"{request.n_experts}. Set n_experts={n_before}, or warm_start=False."
        )
    if training == "specialists" and n_before is None and request.n_experts != 1:
        numbers = request.n_experts or "4 or 8"
        return request.n_experts, f"none or {numbers} specialists, by {OUT_OF_FOLD}"
    if request.n_experts is not None:
        return request.n_experts, "as asked for"
    if n_before is not None:
        return n_before, "as many as in the last fit, since warm_start=True"
    if is_frozen(request.templates[0]):
        return 1, "copies of a frozen model would be equal"
    way = chosen_by(training, request)
    is_other_gate = way != OUT_OF_FOLD and not has_plain_gate(request)
    if is_other_gate:
        behind = ", with a softmax gate and all experts"
    else:
        behind = ""
    n_rows = len(request.rows.y)
    if way == EVIDENCE and n_rows > DECIDING_ROWS and request.rows.subject is None:
        behind = f"{behind}, decided on {DECIDING_ROWS:,} of {n_rows:,} rows, fitted to all"
    return None, f"chosen by {way}{behind}"


def chosen_by(training, request):
    """What chooses the number of experts: ``EVIDENCE``, ``BIC`` or ``OUT_OF_FOLD``."""
    plain = replace(request, gate=None, top_k=None)
    if training == "pooled":
        return EVIDENCE
    if request.kind == "default" and not has_plain_gate(request):
        # The plain ones are pooled by "auto".
        if can_be_pooled_by_auto(request) and lacking("pooled", plain) is None:
            return EVIDENCE
    # Linear experts at the maximum of their likelihood are compared by BIC.
    in_sample = plain.mixture.cv is False or plain.has_cv("auto")
    if in_sample and plain.groups is None and plain.is_solved:
        return BIC
    return OUT_OF_FOLD


def has_plain_gate(request):
    """Whether the number of experts can be chosen with the requested gate."""
    gate = request.gate
    return request.top_k is None and (gate is None or as_gate(gate).has_countable_parameters)


def specialists_to_try(n_experts, most):
    """Numbers of specialists, of which 1 is none: those that are tried, or the one asked for."""
    if n_experts is not None:
        return [n_experts]
    return [k for k in NUMBERS_OF_SPECIALISTS if k <= most] or [1]


# Experts, gate, likelihood and predictions in words, each with the reason -----------------------


def choose_gate(mixture, training, request):
    """The gate in words, whether it is the default, and the reason."""
    if len(request.names) == 1:
        return "none", True, OF_ONE
    default = mixture._default_gate(training)
    asked = request.gate
    either = ""
    if training == "specialists":
        either = "; or a SoftmaxGate, if its out-of-fold log-density is as high"
    if asked is None:
        _, unseen = request.monotone
        why = "the default"
        if unseen:
            why += f", without {unseen}, in which experts are monotone"
        return type(default).__name__, True, why + either
    if mixture.gate is asked and _is_like(asked, default):
        return type(default).__name__, True, f"as asked for, and the default{either}"
    if mixture.gate is asked and training == "specialists" and _is_like(asked, SoftmaxGate()):
        return SoftmaxGate.__name__, True, "as asked for, one of the two default ones"
    return _in_words(asked), False, "as asked for"


def _is_like(gate, other):
    """Whether two gates are of one class and have the same parameters."""
    if type(gate) is not type(other):
        return False
    # The same at a tenth of the cost of comparing what estimators print.
    return repr(gate.get_params(deep=False)) == repr(other.get_params(deep=False))


def choose_likelihood(training, request):
    """The likelihood in words, and the reason."""
    in_words = _in_words(request.likelihood)
    is_stacked = training in ("stack", "specialists")
    classifies = request.mixture._classifies
    is_default = request.has_default_likelihood
    if is_stacked and not classifies:
        return "StudentT", "tails, and scales by row, are learned from out-of-fold errors"
    if classifies and not is_stacked:
        return in_words, "the one for classes"
    if not is_default:
        return in_words, "as asked for"
    if classifies:
        why = "calibrated out of fold"
    else:
        why = "the default of training by 'em' and 'pooled'"
    return in_words, why


def rows_that_count(training, request, n_experts):
    """Rows by which "auto" judges whether linear experts are predicted in-sample."""
    if request.is_stream or request.likelihood.takes_subjects:
        return np.inf
    if n_experts is None and training == "em":
        if chosen_by(training, request) == OUT_OF_FOLD:
            return 0.0
        return np.inf
    return request.rows.weight.sum()


def choose_folds(training, request, n_rows):
    """How rows are predicted in training, the number of folds, and the reason."""
    rows = request.rows
    mixture = request.mixture
    if training == "pooled":
        asked = []
        if not request.has_cv("auto") and mixture.cv is not False:
            asked.append("cv")
        if request.groups is not None:
            asked.append("groups")
        if asked:
            without = f", so that {' and '.join(asked)} have no effect"
        else:
            without = ""
        return IN_SAMPLE, None, f"nothing is fitted in folds{without}"
    experts = adapt_experts(
        request.templates,
        rows.described,
        is_default=request.encodes,
        columns=mixture.expert_columns,
    )
    if request.groups is None:
        groups = {}
    else:
        groups = {"groups": request.groups}
    kind, n_folds, reason = decide_folds(
        mixture.cv, experts, rows, groups, n_rows=n_rows, subject=rows.subject
    )
    if training in ("stack", "specialists") and kind == IN_SAMPLE:
        return IN_FOLDS, min(5, len(rows.y)), "all experts are combined by out-of-fold predictions"
    return kind, n_folds, reason


def choose_experts(request):
    """The experts in words, and the reason."""
    if request.kind == "list":
        return ", ".join(request.names), "as asked for"
    name = type(split_last(request.templates[0])[1]).__name__
    if request.is_wide:
        shape = "{:,} rows of {:,} columns".format(*request.rows.X.shape)
        return name, f"the default of {shape}; its penalty is chosen by cross-validation"
    return name, "the default" if request.kind == "default" else "as asked for"


def time_of_fits(training, request, n_entries):
    """How long fits of single estimators take, in words, where X has so many entries."""
    if training == "stack" and request.kind == "list" and request.encodes:
        seconds = SLOWER_CLASSES**request.mixture._classifies * (DIVERSE + n_entries / ENTRIES)
        return f"about {float(f'{seconds:.1g}'):g} s in all"
    if all(map(is_frozen, request.templates)):
        once = "none"
    else:
        once = "time one of them, and multiply"
    if em_may_follow(training, request):
        return f"{once}; about a quarter, unless EM follows the stack"
    return once


def em_may_follow(training, request):
    """Whether EM is tried after a stack, where linear experts explain the target better.

    What was asked for by name is not given up for another way; a mixture finds regimes.
    """
    if training != "stack" or request.mixture.training != "auto":
        return False
    return not any(has_experts(split_last(each)[1]) for each in request.templates)


def _in_words(part):
    """An object on one line."""
    return " ".join(repr(part).split())
