"""What ``fit`` will do: every "auto" is resolved here, once, from parameters and rows."""

import html
import textwrap
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin

from ._data import check_ids
from ._em.gate_parts import validate_gate
from ._em.parts import adapt_experts
from ._em.progress import count
from ._experts.diverse import PROCESS_ROWS
from ._experts.families import are_solved_sparse, is_linear
from ._experts.fitting import split_last, supports_warm_start
from ._experts.folds import IN_FOLDS, IN_SAMPLE, OUT_OF_BAG, PREFIT, decide_folds
from ._experts.traits import STACK, has_oob_prediction, has_own_density, is_frozen
from ._parameters import check_enough_rows
from ._reports.display import WIDTH, html_table
from .gates._classifier import as_gate

WAYS = ("em", "pooled", "stack", "specialists")
MOST_EXPERTS = 8  # that are tried where their number is to be chosen
NUMBERS_OF_SPECIALISTS = (4, 8)  # that are tried beside a generalist
EVIDENCE, BIC, OUT_OF_FOLD = "the evidence", "BIC", "the out-of-fold log-density"
MOST_POOLED_ROWS = 10_000  # by "auto": beyond, pooling costs more than it tells


class Need(NamedTuple):
    """What a way of training needs: a noun phrase, and whether a request gives it."""

    what: str
    is_given: object


@dataclass
class Request:
    """Parameters and rows of one fit, as ways of training are asked about them.

    Attributes
    ----------
    cv, groups, likelihood, shared_effects, warm_start, classifies
        As given to the mixture or to ``fit``.
    """

    # ``names``, ``templates``: lists: of the experts; of clones whose number is to be chosen, as
    # many as are tried.
    names: list
    templates: list
    # {"default", "clones", "list"}: experts of the mixture's choice, clones of one estimator, or a
    # named list.
    kind: str
    # Whether experts meet a mixed table behind an encoder: default and "diverse" ones.
    encodes: bool
    n_experts: int | None  # as asked for; None where it is to be chosen
    # Gate, classifier: without its transformers; None is the default of the way of training.
    gate: object
    likelihood: object
    has_default_likelihood: bool
    cv: object
    top_k: int | None  # None where every expert answers
    shared_effects: object
    warm_start: bool
    groups: object
    is_stream: bool  # whether these are the first rows of a stream
    classifies: bool
    family: object
    rows: object  # Rows: checked; a sample of ``many`` that are not in memory
    many: bool

    @classmethod
    def of(cls, mixture, rows, groups, many):
        """What a mixture is asked for."""
        likelihood, gate = mixture._likelihood(), split_last(mixture.gate)[1]
        validate_gate(gate)
        n_experts = mixture.n_experts if isinstance(mixture.n_experts, Integral) else None
        if n_experts is None:
            n_experts = _implied_number(mixture, likelihood, gate)
        # of "diverse" experts, many rows have those that do not look at all pairs of rows
        y = np.broadcast_to(0.0, (PROCESS_ROWS, *rows.y.shape[1:])) if many else rows.y
        names, templates = mixture._expert_list(
            y, rows.weight, MOST_EXPERTS if n_experts is None else n_experts
        )
        kind = "list" if mixture._is_list else "default" if mixture.experts is None else "clones"
        n_clones = None if n_experts is None else len(names)
        top_k = mixture.top_k
        if n_clones is not None and top_k is not None and top_k >= n_clones:
            top_k = None
        return cls(
            names=names,
            templates=templates,
            kind=kind,
            encodes=mixture.experts is None or isinstance(mixture.experts, str),
            n_experts=len(names) if kind == "list" else n_experts,
            gate=None if n_clones == 1 else gate,
            likelihood=likelihood,
            has_default_likelihood=isinstance(mixture.likelihood, str)
            and mixture.likelihood == "auto",
            cv=mixture.cv,
            top_k=top_k,
            shared_effects=mixture._shared_effects(),
            warm_start=mixture.warm_start,
            groups=groups,
            is_stream=mixture._buffer is not None,
            classifies=isinstance(mixture, ClassifierMixin),
            family=mixture._family(),
            rows=rows,
            many=many,
        )

    @property
    def is_unpenalised(self):
        """Whether experts are linear models that are solved at once and shrink nothing."""
        if self.kind == "default":
            return True
        last = split_last(self.templates[0])[1]
        return self.kind == "clones" and self.family.penalty_of(last) == 0.0

    @property
    def is_solved(self):
        """Whether experts are linear models that EM solves all at once."""
        X = self.rows.X
        if self.kind == "list" or (sparse.issparse(X) and not are_solved_sparse(X.shape)):
            return False
        last = split_last(self.templates[0])[1]
        return self.kind == "default" or self.family.penalty_of(last) is not None

    @property
    def needs_likelihood(self):
        """Whether linear experts have to be predicted in-sample, however few the rows are."""
        return self.is_stream or bool(self.shared_effects) or self.likelihood.takes_subjects

    @property
    def balances_load(self):
        """Whether a prior on the loads is asked for."""
        return self.gate is not None and as_gate(self.gate).load_balance > 0

    @property
    def can_pool_gate(self):
        """Whether partial pooling can learn the gate, as it does the default one."""
        return self.gate is None or as_gate(self.gate).can_be_pooled

    @property
    def can_count_gate(self):
        """Whether the gate, as the default one, has parameters that can be counted."""
        return self.gate is None or as_gate(self.gate).has_countable_parameters


def _implied_number(mixture, likelihood, gate):
    """Number of experts that another parameter asks for, or None."""
    if mixture._is_list:
        return None
    if isinstance(mixture.shared_effects, dict):
        lists = mixture.shared_effects.values()
        numbers = [k for each in lists if isinstance(each, list) for one in each for k in one]
        return 1 + max(numbers, default=0)
    if gate is not None and as_gate(gate).target_load is not None:
        return len(gate.target_load)
    return likelihood.n_experts


# What each way of training needs --------------------------------------------------------------

_OUT_OF_FOLD = (
    Need(
        "likelihood='auto' or 'student_t'",
        lambda r: r.has_default_likelihood or r.likelihood.can_be_stacked,
    ),
    Need("one output", lambda r: r.rows.y.ndim == 1),
    Need("targets that are observed, so no upper", lambda r: r.rows.bounds is None),
    Need("rows that are independent, so no subject", lambda r: r.rows.subject is None),
    Need("dense X", lambda r: not sparse.issparse(r.rows.X)),
    Need("out-of-fold predictions, so no cv=False", lambda r: r.cv is not False),
    Need("experts that are yet to be fitted, so no cv='prefit'", lambda r: not _is(r.cv, "prefit")),
    Need(
        "experts with out-of-bag predictions for cv='oob'",
        lambda r: not _is(r.cv, "oob") or all(map(has_oob_prediction, r.templates)),
    ),
    Need("top_k=None", lambda r: r.top_k is None),
    Need("a gate without load_balance", lambda r: not r.balances_load),
    Need("shared_effects=None", lambda r: not r.shared_effects),
    Need("warm_start=False", lambda r: not r.warm_start),
    Need("all rows at once, and no stream", lambda r: not r.is_stream),
    Need("rows in memory", lambda r: not r.many),
)
NEEDS = {
    "pooled": (
        Need("linear experts without a penalty, such as experts=None", lambda r: r.is_unpenalised),
        Need(
            "likelihood='gaussian', 'poisson', 'gamma', 'binomial' or 'categorical'",
            lambda r: r.likelihood.can_be_pooled,
        ),
        Need(
            "the gate None, SoftmaxGate() or ConstantGate(), without L1 penalty and load_balance",
            lambda r: r.can_pool_gate,
        ),
        Need("targets that are observed, so no upper", lambda r: r.rows.bounds is None),
        Need(
            "no shared_effects of classes or of some experts",
            lambda r: (
                not isinstance(r.shared_effects, dict) and not (r.classifies and r.shared_effects)
            ),
        ),
        Need("cv other than 'oob' and 'prefit'", lambda r: not _is(r.cv, "oob", "prefit")),
        Need(
            "top_k=None, or a number of experts that is to be chosen",
            lambda r: r.top_k is None or r.n_experts is None,
        ),
        Need("all rows at once, and no stream", lambda r: not r.is_stream),
    ),
    "stack": (
        Need("a list of two named experts", lambda r: r.kind == "list" and len(r.names) > 1),
        Need(f"another name than {STACK!r} for its experts", lambda r: STACK not in r.names),
        Need("experts that are no mixtures", lambda r: not any(map(has_own_density, r.templates))),
        *_OUT_OF_FOLD,
    ),
    "specialists": (
        Need("one estimator, no list", lambda r: r.kind != "list"),
        Need("an expert that is no mixture", lambda r: not has_own_density(r.templates[0])),
        *_OUT_OF_FOLD,
    ),
    "em": (
        Need(
            "the subject of each row, by subject=, under this likelihood",
            lambda r: not r.likelihood.takes_subjects or r.rows.subject is not None,
        ),
        Need(
            "top_k=None under a likelihood of subjects",
            lambda r: not r.likelihood.takes_subjects or r.top_k is None,
        ),
        Need(
            "experts that predict a number where there is upper, so no mixtures",
            lambda r: r.rows.bounds is None or not any(map(has_own_density, r.templates)),
        ),
    ),
}
LACK_NO_WAY = "Set that."


def _is(value, *names):
    return isinstance(value, str) and value in names


def lacking(way, request):
    """The first thing that a way of training needs and a request does not give, or None."""
    return next((need.what for need in NEEDS[way] if not need.is_given(request)), None)


def _preferred(request):
    """The way of training that "auto" would like, and why."""
    experts = request.templates
    if request.kind == "default":
        return "pooled", "the experts are the default ones, linear models"
    if all(map(is_linear, experts)):
        return "em", "the experts are linear models that were given, fitted by maximum likelihood"
    if all(map(is_frozen, experts)):
        return "em", "the experts are frozen: gate and scales alone are learned"
    if all(is_linear(e) or is_frozen(e) or supports_warm_start(e) for e in experts):
        return "em", "experts go on from iteration to iteration, are frozen or linear"
    if request.kind == "list":
        return "stack", "the experts are a list of unlike models"
    return "specialists", "the experts are clones of a model that is not linear"


def choose_training(training, request):
    """The way of training and the reason for it.

    Raises a ValueError if what is asked for cannot be trained in this way, or in no way.
    """
    if training != "auto":
        lack = lacking(training, request)
        if lack is not None:
            others = [way for way in WAYS if way != training and lacking(way, request) is None]
            way_out = f"Set that, or training={others[0]!r}." if others else LACK_NO_WAY
            raise ValueError(f"training={training!r} needs {lack}. {way_out}")
        return training, "as asked for"
    way, reason = _preferred(request)
    lack = lacking(way, request)
    n_rows = len(request.rows.y)
    if way == "pooled" and lack is None and (request.many or n_rows > MOST_POOLED_ROWS):
        return "em", f"{reason}; pooling tells little where rows are more than {MOST_POOLED_ROWS:,}"
    if lack is None:
        return way, reason
    last = lacking("em", request)
    if last is not None:
        raise ValueError(f"This mixture needs {last}. {LACK_NO_WAY}")
    return "em", f'"{way}" needs {lack}'


# The plan -------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What ``fit`` does, or has done, and why; prints as a table and shows as HTML.

    Attributes
    ----------
    training : {"em", "pooled", "stack", "specialists"}
        The way of training.
    n_experts : int or None
        Number of experts: of clones that specialise, beside the generalist; None where it is
        chosen, which ``fit`` does.
    most_experts : int
        Number of experts that are tried at the most.
    experts, gate, likelihood, predictions : str
        What they are.
    reasons : dict of str to str
        Why each of these was chosen.
    most_expert_fits : int or None
        Fits of single estimators at the most; None where experts are solved all at once, in
        closed form or by Newton steps.
    n_regimes : int or None
        After ``fit`` of pooled experts: number of regression functions.
    findings : list of str
        After ``fit``: what else was tried, and by how much it lost.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> plan = MixtureOfExpertsRegressor().plan(X, X[:, 0])
    >>> plan.training
    'pooled'
    >>> plan.reasons["training"]
    'the experts are the default ones, linear models'
    """

    training: str
    n_experts: int | None
    most_experts: int
    experts: str
    gate: str
    likelihood: str
    predictions: str
    reasons: dict
    most_expert_fits: int | None
    findings: list = field(default_factory=list)
    request: Request = field(default=None, repr=False)
    n_regimes: int | None = None
    is_automatic: bool = field(default=True, repr=False)
    is_default_gate: bool = field(default=True, repr=False)
    n_rows: float = field(default=0.0, repr=False)
    number_by: str | None = field(default=None, repr=False)
    is_number_of_plain: bool = field(default=False, repr=False)

    @property
    def cells(self):
        """Rows of the table: name, choice and reason."""
        if self.n_experts is None:
            n_experts = f"up to {self.most_experts}"
        else:
            n_experts = str(self.n_experts)
            if self.n_regimes not in (None, self.n_experts):
                n_experts += f", {count(self.n_regimes, 'regime')}"
        values = {
            "training": self.training,
            "experts": self.experts,
            "n_experts": n_experts,
            "gate": self.gate,
            "likelihood": self.likelihood,
            "predictions": self.predictions,
        }
        cells = [[name, value, self.reasons.get(name, "")] for name, value in values.items()]
        most = self.most_expert_fits
        fits = "none" if most is None else f"at most {most:,}"
        why = "experts are solved all at once" if most is None else "fits of single estimators"
        return [*cells, ["cost", fits, why]]

    def __str__(self):
        cells = self.cells
        first, second = (max(len(row[i]) for row in cells) for i in (0, 1))
        lines = []
        for name, value, reason in cells:
            start = f"{name.ljust(first)}  {value.ljust(second)}  "
            lines += textwrap.wrap(
                start + reason,
                max(WIDTH, len(start) + 30),
                subsequent_indent=" " * len(start),
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        lines += [textwrap.fill(each, WIDTH, break_on_hyphens=False) for each in self.findings]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self):
        table = html_table(["", "chosen", "because"], self.cells)
        return table + "".join(f"<p>{html.escape(each)}</p>" for each in self.findings)

    @property
    def sentence(self):
        """The way of training and the number of experts, as reports quote them."""
        n_experts = count(self.n_experts)
        if self.n_regimes not in (None, self.n_experts):
            n_experts += f" of {count(self.n_regimes, 'regime')}"
        why = self.reasons["n_experts"]
        return f'Trained by "{self.training}": {self.reasons["training"]}. {n_experts}, {why}.'

    @property
    def goes_on(self):
        """Whether ``warm_start`` can go on from what was fitted: from responsibilities."""
        return self.training in ("em", "pooled")

    def for_users(self):
        """The plan without what ``fit`` alone needs."""
        return replace(self, request=None)

    def fitted(self, trainer, names, n_rows):
        """The plan of what was fitted in the end.

        The names are of the experts, ``n_rows`` is the weight of all rows.
        """
        reasons, zero = self.reasons, self.request.likelihood.zero_expert
        training, findings = trainer.way, trainer.findings(n_rows)
        if training != self.training:
            reasons = reasons | {"training": trainer.reason}
        n_experts = len([name for name in names if name not in (STACK, zero)])
        if training == "specialists":
            n_experts = max(1, n_experts - 1)  # beside the generalist
        return replace(
            self,
            training=training,
            n_experts=n_experts,
            n_regimes=None if trainer.regimes is None else trainer.regimes.n_regimes,
            reasons=reasons,
            findings=findings,
            request=None,
        )


def make_plan(mixture, rows, groups=None, previous=None, *, many=False):
    """The plan of a fit.

    ``previous`` are responsibilities that ``warm_start`` goes on from; with ``many``, rows are not
    in memory. Raises a ValueError if parameters and rows do not go together.
    """
    if groups is not None:
        groups = check_ids("groups", groups, rows.X)
    request = Request.of(mixture, rows, groups, many)
    training, why_training = choose_training(mixture.training, request)
    n_experts, why_n_experts = _number(training, request, previous)
    check_enough_rows(rows, n_experts or 1)
    if n_experts is not None and request.kind != "list":
        names, templates = mixture._expert_list(rows.y, rows.weight, n_experts)
        request = replace(request, names=names, templates=templates)
    n_rows = _rows_that_count(training, request, n_experts)
    kind, n_folds, why_folds = _folds(training, request, n_experts, n_rows)
    number_by = None if n_experts is not None else _number_by(training, request)
    if number_by == OUT_OF_FOLD and kind == IN_SAMPLE:
        raise ValueError(
            "n_experts='auto' needs predictions for rows that the experts have not seen, so no "
            "cv=False, unless they are linear. Set that, or a number of experts."
        )
    gate, is_default_gate, why_gate = _gate(mixture, training, request)
    likelihood, why_likelihood = _likelihood(training, request)
    experts, why_experts = _experts(request)
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
        request=request,
        is_automatic=mixture.training == "auto",
        is_default_gate=is_default_gate,
        n_rows=n_rows,
        number_by=number_by,
        is_number_of_plain=number_by not in (None, OUT_OF_FOLD) and not _has_plain_gate(request),
    )


def _number(training, request, previous):
    """Number of experts, None where it is to be chosen, and the reason."""
    if request.kind == "list":
        return request.n_experts, "those of the list"
    n_zero = request.likelihood.zero_expert is not None
    n_before = None if previous is None else previous.shape[1] - n_zero
    if request.n_experts is not None and n_before not in (None, request.n_experts):
        raise ValueError(
            f"warm_start=True goes on from the last fit, which has {count(n_before)}; n_experts is "
            f"{request.n_experts}. Set n_experts={n_before}, or warm_start=False."
        )
    if request.n_experts is not None:
        return request.n_experts, "as asked for"
    if n_before is not None:
        return n_before, "as many as in the last fit, since warm_start=True"
    if training == "specialists":
        return None, (
            "chosen by the out-of-fold log-density: 4 beside one of all rows if they raise it by "
            "more than its standard error, 8 if these raise it again"
        )
    if is_frozen(request.templates[0]):
        return 1, "copies of what is frozen would be alike"
    if request.many and training == "em" and not _can_count(request):
        return NUMBERS_OF_SPECIALISTS[0], "of rows that are not in memory it is not chosen"
    way = _number_by(training, request)
    is_other_gate = way != OUT_OF_FOLD and not _has_plain_gate(request)
    behind = ", behind a softmax gate where all experts answer" if is_other_gate else ""
    return None, f"chosen by {way}{behind}"


def _number_by(training, request):
    """What chooses the number of experts: ``EVIDENCE``, ``BIC`` or ``OUT_OF_FOLD``."""
    plain = replace(request, gate=None, top_k=None)
    if training == "pooled":
        return EVIDENCE
    if request.kind == "default" and not _has_plain_gate(request) and _pools(plain):
        return EVIDENCE
    return BIC if _can_count(plain) else OUT_OF_FOLD


def _pools(request):
    """Whether the default experts are pooled by "auto"."""
    is_small = len(request.rows.y) <= MOST_POOLED_ROWS and not request.many
    return is_small and lacking("pooled", request) is None


def _has_plain_gate(request):
    """Whether the number of experts can be chosen behind the gate that is asked for."""
    return request.top_k is None and request.can_count_gate


def _can_count(request):
    """Whether experts are linear, and compared by BIC: at the maximum of their likelihood."""
    in_sample = request.cv is False or _is(request.cv, "auto")
    return in_sample and request.groups is None and request.is_solved


def _gate(mixture, training, request):
    """The gate in words, whether it is the default, and the reason."""
    if len(request.names) == 1:
        return "none", True, "one expert answers for every row"
    default = mixture._default_gate(training)
    if request.gate is None:
        return type(default).__name__, True, "the default"
    if mixture.gate is request.gate and is_same(request.gate, default):
        return type(default).__name__, True, "as asked for, and the default"
    return _in_words(request.gate), False, "as asked for"


def is_same(estimator, other):
    """Whether two estimators are of one class and have the same parameters."""
    return type(estimator) is type(other) and repr(estimator) == repr(other)


def _likelihood(training, request):
    """The likelihood in words, and the reason."""
    if request.classifies:
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
        return 0.0 if _number_by(training, request) == OUT_OF_FOLD else np.inf
    return request.rows.weight.sum()


def _folds(training, request, n_experts, n_rows):
    """How rows are predicted in training, the number of folds, and the reason."""
    if training == "pooled":
        asked = [
            name
            for name, is_given in {
                "cv": not _is(request.cv, "auto") and request.cv is not False,
                "groups": request.groups is not None,
            }.items()
            if is_given
        ]
        without = f", so that {' and '.join(asked)} have no effect" if asked else ""
        return IN_SAMPLE, None, f"nothing is fitted in folds{without}"
    rows = request.rows
    kind, n_folds, reason = decide_folds(
        request.cv,
        adapt_experts(request.templates, rows.X, is_default=request.encodes),
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
    return name, "the default" if request.kind == "default" else "as asked for"


def _in_words(part):
    """An object on one line."""
    return " ".join(repr(part).split())


def specialists_to_try(n_experts, most):
    """Numbers of specialists, of which 1 is none: those that are tried, or the one asked for."""
    if n_experts is not None:
        return [n_experts]
    return [k for k in NUMBERS_OF_SPECIALISTS if k <= most] or [1]


def _most_fits(mixture, training, request, n_experts, most, kind, n_folds):
    """Fits of single estimators at the most; None where experts are solved at once."""
    if training == "pooled" or (request.is_solved and kind == IN_SAMPLE):
        return None
    n_trained = sum(not is_frozen(each) for each in request.templates[:most])
    # Bags that all hold too many rows are given up for folds, unless they are asked for.
    in_folds = kind == IN_FOLDS or (kind == OUT_OF_BAG and request.cv != "oob")
    once = n_trained * (n_folds if in_folds else 1)
    at_the_end = n_trained if in_folds else 0
    if training == "stack":
        return once + at_the_end
    if training == "specialists":
        per_expert = n_folds if in_folds else 1
        n_tried = sum(specialists_to_try(n_experts, most))
        given_up = n_tried * (kind == OUT_OF_BAG and in_folds)
        return (1 + 2 * n_tried) * per_expert + given_up + (1 + most) * in_folds
    steps = mixture.max_iter if kind in (IN_SAMPLE, PREFIT) else min(mixture.max_iter, 10)
    return (steps + 2) * once + at_the_end
