"""The plan: what ``fit`` does, or has done, and why; how it is made and carried out."""

import copy
import textwrap
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .._data import Rows, check_ids
from .._em.loop import count
from .._em.one_pass import make_problem
from .._em.parts import GateParts, Parts, adapt_experts
from .._em.problem import FEW_ROWS, ROUNDS_AFTER_STACK, Settings
from .._em.trainer import Trainer
from .._experts.fitting import LINES, STACK, column_names, is_frozen, split_last
from .._experts.folds import (
    IN_FOLDS,
    IN_SAMPLE,
    N_FOLDS,
    OUT_OF_BAG,
    PENALTIES,
    PREFIT,
    with_best_penalty,
)
from .._reports.by_regime import WIDTH, html_table, in_lines
from .._tables.encoding import needs_encoding, warn_of_left_out, warn_of_numbers
from .._validation import check_enough_rows, check_rows
from ..gates import SoftmaxGate
from ..gates._base import linear_columns_of
from .ways import (
    MOST_EXPERTS,
    OF_ONE,
    OUT_OF_FOLD,
    Request,
    choose_experts,
    choose_folds,
    choose_gate,
    choose_likelihood,
    choose_number,
    choose_training,
    chosen_by,
    em_may_follow,
    has_plain_gate,
    rows_that_count,
    specialists_to_try,
    time_of_fits,
)

KEPT = "category", "effects"  # kinds of columns of strings that experts see
REASONED = "training", "experts", "n_experts", "gate", "likelihood", "predictions"
DECISIVE = 3.0  # log-evidence over all rows, a factor of 20
CENSORED = "Predictions are of the uncensored target; errors are distances from the bounds."
AVERAGES = (
    "Predictions will average over one expert and the number chosen, unless the evidence is clear "
    "(for one expert of classes: over two prior variances)."
)


@dataclass
class Plan:
    """What ``fit`` does, or has done, and why; prints as a table and shows as HTML.

    Attributes
    ----------
    training : {"em", "pooled", "stack", "specialists"}
        The way of training.
    n_experts : int or None
        Number of experts, without the generalist; None if ``fit`` chooses it.
    most_experts : int
        Largest number of experts that is tried.
    experts, gate, likelihood, predictions : str
        Descriptions of these; predictions are those of the experts in training.
    reasons : dict of str to str
        Reason for each of these.
    most_expert_fits : int or None
        Largest number of fits of single estimators; None if experts are solved together, in
        closed form or by Newton steps.
    n_regimes : int or None
        After ``fit`` of pooled experts: number of regression functions.
    findings : list of str
        After ``fit``: alternatives that were tried, and their distance, and notes on the mixture
        and its rows. Before: what else to expect.

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
    # ``notes`` are in ``findings``, below what ``about_rows()`` says of the rows, when asked for.
    notes: list = field(default_factory=list, repr=False)
    about_rows: object = field(default=list, repr=False, compare=False)
    request: Request = field(default=None, repr=False)
    n_regimes: int | None = None
    is_default_gate: bool = field(default=True, repr=False)
    n_rows: float = field(default=0.0, repr=False)
    number_by: str | None = field(default=None, repr=False)
    is_number_of_plain: bool = field(default=False, repr=False)
    # Rows, columns with levels, and outputs or, of more than two, classes.
    shape: tuple = field(default=(0, 0, 1), repr=False)
    n_init: int = field(default=1, repr=False)
    # How many reasons make EM slow: arrays in place of sums, Newton steps for the experts.
    n_slow: int = field(default=0, repr=False)
    time_of_fits: str = field(default="", repr=False)  # how long single estimators take, in words
    em_may_follow: bool = field(default=False, repr=False)  # after a stack

    @property
    def cells(self):
        """Rows of the table: name, choice and reason."""
        n_experts = f"{self.n_experts or f'up to {self.most_experts}'}{self._of_regimes}"
        chosen = vars(self) | {"n_experts": n_experts}
        cells = [[name, chosen[name], why] for name, why in self.reasons.items()]
        if self.most_expert_fits is not None:
            fits = f"at most {self.most_expert_fits:,}"
            return [*cells, ["cost", fits, f"fits of single estimators: {self.time_of_fits}"]]
        n_rows, n_columns, _ = self.shape
        tried = count(self.most_experts)
        if self.number_by is not None:
            tried = f"1 to {tried}"
        what = f"{count(self.n_init, 'start')}, {tried}, {n_rows:,} rows x {n_columns:,} columns"
        what += unsure_of(self)
        return [*cells, ["cost", f"about {float(f'{seconds_of(self):.1g}'):g} s", what]]

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
            )
        lines += map(in_lines, self.findings)
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(["", "chosen", "because"], self.cells, below=self.findings)

    @cached_property
    def findings(self):
        """Notes, in sentences."""
        about_rows = self.about_rows
        self.about_rows = list  # which release the rows
        return [*about_rows(), *self.notes]

    def __getstate__(self):
        return {"findings": self.findings} | vars(self)

    @property
    def sentence(self):
        """The way of training and the number of experts, for reports."""
        n_experts = count(self.n_experts) + self._of_regimes
        why = self.reasons["n_experts"]
        return f'Trained by "{self.training}": {self.reasons["training"]}. {n_experts}, {why}.'

    @property
    def _of_regimes(self):
        fewer = self.n_regimes not in (None, self.n_experts)
        if fewer:
            return f" ({count(self.n_regimes, 'regime')})"
        return ""

    @property
    def likely_fits(self):
        """Fits of single estimators that are made in most fits of a mixture, about."""
        is_search = self.training == "em" and self.number_by is not None
        if self.em_may_follow or is_search:
            return self.most_expert_fits // 4
        if self.request.kind == "list":
            return self.most_expert_fits
        return self.most_expert_fits // 2

    @property
    def goes_on(self):
        """Whether ``warm_start`` can continue from the fit, by responsibilities."""
        return self.training in ("em", "pooled")

    @property
    def encoding(self):
        """Parts that get an encoded table, in words."""
        request = self.request
        needs = [needs_encoding(each, request.rows.described) for each in request.templates]
        encodes = (request.encodes or any(needs)) and request.mixture.expert_columns is None
        experts = ["default experts" if request.encodes else "experts"] * encodes
        is_default = self.is_default_gate and experts != ["default experts"]
        if is_default:
            gate = "default gate"
        else:
            gate = "gate"
        given = request.mixture.gate
        encodes_gate = self.is_default_gate or (
            linear_columns_of(given) is None and needs_encoding(given, request.rows.described)
        )
        return experts + [gate] * (len(request.names) > 1 and encodes_gate)

    def fitted(self, trained, about_rows):
        """The plan as it was carried out, from what was ``Trained``."""
        reasons = dict(self.reasons)
        gate = self.gate
        training = trained.way
        names = trained.model.names
        n_rows = float(trained.problem.weight.sum())
        notes = trained.findings(n_rows)
        if self.request.rows.bounds is not None:
            notes.append(CENSORED)
        has_ties = trained.regimes is not None and trained.regimes.n_regimes < len(names)
        if self.n_experts is None and trained.log_evidence is not None and not has_ties:
            *fewer, largest = sorted(trained.log_evidence)
            best = max(map(trained.log_evidence.get, fewer or [largest]))
            weight = trained.deciding_weight or n_rows
            if weight * (trained.log_evidence[largest] - best) > DECISIVE:
                notes.append(
                    f"The evidence still rises at {largest} experts, the largest number tried: "
                    "a larger n_experts tries that many, and merges those of one regime."
                )
        if training != self.training:
            reasons["training"] = trained.reason
        if len(names) == 1:
            gate = "none"
            reasons["gate"] = OF_ONE
        elif self.is_default_gate and not split_last(trained.model.gate)[1].sees_rows:
            gate = "ConstantGate"
            reasons["gate"] = f"{reasons['gate']}; weights by row don't help"
        elif trained.default_gate is not None:
            gate, why = trained.default_gate
            reasons["gate"] = f"{reasons['gate'].partition(';')[0]}; {why}"
        if trained.specialisation is not None and training == "specialists":
            if len(names) > 1:
                why = "specialists besides the generalist, as they"
            else:
                why = "as specialists do not clearly"
            reasons["n_experts"] = f"{why} raise the out-of-fold log-density"
        has_stack = STACK in names
        n_experts = max(1, len(names) - has_stack - (training == "specialists"))
        if has_stack and len(names) > 1:
            reasons["n_experts"] += ", not counting their stack"
        return replace(
            self,
            training=training,
            n_experts=n_experts,
            gate=gate,
            n_regimes=None if trained.regimes is None else trained.regimes.n_regimes,
            reasons=reasons,
            notes=notes,
            about_rows=about_rows,
            request=None,
        )


# Approximate time of linear experts that are solved together ----------------------------------


SECONDS = 0.025
PER_ENTRY = 3e-6  # for an expert with ten starts, and for each entry of its columns
FEW_STARTS = 5  # number of starts that costs as much as what does not depend on it
OF_STARTS = 5_000
# Rows on which starts are tried, and the share of that work for others: of maximum likelihood, and
# where a part of the rows decides, so that there is one mixture of all.
LATER = 0.1
LATER_POOLED = 0.02
SEARCHED = 0.55  # share of the experts that are tried: a search ends two numbers after the best
FEW_COLUMNS = 50  # up to which it is within a factor of five
SLOW = 12  # times as long, where EM does not learn from sums, and where experts take Newton steps


def seconds_of(plan):
    """Seconds of a fit by a formula, from measurements on a core of 2024."""
    n_rows, n_columns, n_outputs = plan.shape
    if plan.training == "pooled":
        later = LATER_POOLED
    else:
        later = LATER
    n_rows = min(n_rows, OF_STARTS) + later * max(n_rows - OF_STARTS, 0)
    most = plan.most_experts
    if plan.number_by is None:
        n_experts = most
    else:
        n_experts = SEARCHED * most * (most + 1) / 2
    starts = (FEW_STARTS + plan.n_init) / (FEW_STARTS + 10)
    seconds = SECONDS + PER_ENTRY * n_rows * min(n_rows, n_columns)
    return n_experts * starts * seconds * (1 + n_outputs) / 2 * SLOW**plan.n_slow


def unsure_of(plan):
    """That the formula does not know how long searches of many columns take, in words."""
    if plan.shape[1] > FEW_COLUMNS:
        return ", with so many columns up to ten times as long"
    return ""


# The rows of a fit -------------------------------------------------------------------------------


@dataclass
class FitRows:
    """The rows of a fit, in memory unless a subclass says otherwise."""

    checked: Rows  # as they were given, or a sample of them: what choices are based on
    # (n_samples, n_experts): responsibilities that ``warm_start`` continues from.
    previous: np.ndarray | None = None
    fitted_gate: object = None  # to continue from, or None
    most_work: float = np.inf  # see ``Settings``
    split_params: dict = field(default_factory=dict)  # what a splitter is given
    adapted: Rows | None = None  # as the parts of the mixture are adapted to them

    many = False  # whether they are not in memory, and ``checked`` is a sample
    trainer = Trainer  # class of what trains on them by EM

    @property
    def n_rows(self):
        """Number of all rows."""
        return len(self.checked.y)

    @classmethod
    def of(cls, mixture, X, y, sample_weight, metadata, split_params):
        """The rows that ``fit`` was given; the mixture learns columns and classes."""
        previous = gate = None
        may_go_on = mixture.warm_start and mixture._buffer is None
        if may_go_on and mixture.__sklearn_is_fitted__() and mixture.plan_.goes_on:
            given = {"sample_weight": sample_weight, **metadata._asdict()}
            previous = mixture.responsibilities(X, y, by="expert", **given)
            gate = mixture.gate_
        rows = check_rows(mixture, X, y, sample_weight, metadata, reset=True, known=False)
        if rows.are_kept:  # the user may change theirs
            rows = copy.deepcopy(rows)
        return cls(rows, previous, gate, split_params=split_params)

    def adapt(self, plan):
        """Make the rows ready for what was planned: set ``adapted``."""
        self.adapted = self.checked
        if plan.training == "pooled":
            self.adapted = plan.request.rows = self.checked.dense()

    def training_data(self, parts):
        """TrainingData for the parts; fits what stands before the gate."""
        return parts.training_data(self.adapted)

    def alone(self, data):
        """Training data whose rows count as themselves, and for no others."""
        return data

    def sample(self):
        """Rows in memory to choose the number of experts on: all, where they are."""
        return self

    def started(self, likelihood, data, n_experts):
        """The likelihood, which has looked at the target of all rows."""
        return likelihood.start(data.y, data.weight, n_experts)

    def problem(self, data, parts, settings, splitting, seed):
        """An untrained problem for EM, and the folds of its experts.

        ``data`` are of ``training_data``; ``seed`` is that of experts that draw.
        """
        folds = splitting.folds(parts.templates, data)
        experts = parts.make_experts(data, folds, settings, seed)
        likelihood = parts.likelihood.fitting(in_sample=folds is None, linear=experts.is_solved)
        gate = parts.gate.trained
        n_experts = len(parts.names)
        problem = make_problem(
            experts,
            gate if self.fitted_gate is None else parts.gate.continued(self.fitted_gate),
            self.started(likelihood, data, n_experts),
            data,
            in_sample=folds is None,
            gate_folds=splitting.gate_folds(folds, data, can_memorise=gate.can_memorise),
            load_prior=gate.prior_counts(n_experts, data.unit_weight.sum()),
            top_k=settings.active_top_k(n_experts),
        )
        return problem, folds

    def finished(self, parts):
        """Parts for a model of the rows as they were given."""
        return parts


# From parameters and rows to the plan ------------------------------------------------------------


def make_plan(mixture, given):
    """The plan of a fit to these rows, a FitRows.

    Raises a ValueError if parameters and rows do not go together.
    """
    rows = given.checked
    previous = given.previous
    groups = check_ids("groups", given.split_params.get("groups"), rows.X)
    request = Request.of(mixture, rows, groups, given.many)
    training, why_training = choose_training(mixture.training, request)
    if training != "stack" and request.encodes and LINES in request.names:
        request = request.without_lines()
    n_experts, why_n_experts = choose_number(training, request, previous)
    check_enough_rows(np.count_nonzero(rows.weight), n_experts or 1)
    if n_experts not in (None, request.n_experts) and request.kind != "list":
        names, templates = mixture._expert_list(rows.y, rows.weight, n_experts)
        request = replace(request, names=names, templates=templates)
    n_rows = rows_that_count(training, request, n_experts)
    kind, n_folds, why_folds = choose_folds(training, request, n_rows)
    if n_experts is not None:
        number_by = None
    else:
        number_by = chosen_by(training, request)
    if number_by == OUT_OF_FOLD and kind == IN_SAMPLE:
        raise ValueError(
            "n_experts='auto' compares experts that are not linear by out-of-fold predictions: "
            "set a number of experts, or another cv than False."
        )
    gate, is_default_gate, why_gate = choose_gate(mixture, training, request)
    likelihood, why_likelihood = choose_likelihood(training, request)
    experts, why_experts = choose_experts(request)
    averages = training == "pooled" and n_experts is None and rows.weight.sum() < FEW_ROWS
    n_columns = np.shape(rows.X)[1]
    takes_newton = request.likelihood.expert_family is not None
    if request.is_solved and rows.described.strings:  # levels of strings are columns
        levels = rows.described.levels.values()
        n_columns += sum(len(each.values) for each in levels if each.kind in KEPT) - len(levels)
    if n_experts is None:
        most = min(MOST_EXPERTS, np.count_nonzero(rows.weight))
    else:
        most = n_experts
    most_fits = _most_fits(mixture, training, request, n_experts, int(most), kind, n_folds or 1)
    reasons = why_training, why_experts, why_n_experts, why_gate, why_likelihood, why_folds
    if kind == OUT_OF_BAG and mixture.cv != "oob":
        either = ", or"
    else:
        either = ","
    if n_folds is None:
        predictions = kind
    else:
        predictions = f"{kind}{either} {count(n_folds, 'fold')}"
    return Plan(
        training,
        n_experts,
        int(most),
        experts,
        gate,
        likelihood,
        predictions,
        reasons=dict(zip(REASONED, reasons, strict=True)),
        most_expert_fits=most_fits,
        notes=[AVERAGES] if averages else [],
        request=request,
        is_default_gate=is_default_gate,
        n_rows=n_rows,
        number_by=number_by,
        is_number_of_plain=number_by not in (None, OUT_OF_FOLD) and not has_plain_gate(request),
        shape=(given.n_rows, n_columns, request.n_outputs),
        n_init=mixture.n_init,
        n_slow=0 if training == "pooled" else (not request.has_sums) + takes_newton,
        time_of_fits=time_of_fits(training, request, given.n_rows * n_columns),
        em_may_follow=em_may_follow(training, request),
    )


def _most_fits(mixture, training, request, n_experts, most, kind, n_folds):
    """Largest number of fits of single estimators; None if experts are solved together."""
    if training == "pooled" or (request.is_solved and kind == IN_SAMPLE):
        return None
    n_trained = sum(not is_frozen(each) for each in request.templates[:most])
    per_expert = at_the_end = 1
    if kind == IN_FOLDS:
        per_expert = n_folds
    elif kind == OUT_OF_BAG and not request.has_cv("oob"):
        per_expert = n_folds + 1  # folds follow on bags that hold too many rows
    else:
        at_the_end = 0
    of_penalty = request.is_wide * len(PENALTIES) * N_FOLDS
    if training == "stack":
        most_fits = n_trained * (per_expert + at_the_end)
        if em_may_follow(training, request):
            most_fits += n_trained * (ROUNDS_AFTER_STACK * per_expert + at_the_end)
        return most_fits
    if training == "specialists":
        most, tried = most * (most > 1), specialists_to_try(n_experts, most)
        n_tried = sum(each for each in tried if each > 1)  # 1 is the generalist alone
        return (1 + 2 * n_tried) * per_expert + of_penalty + (1 + most) * at_the_end
    settings = Settings.of(mixture)
    is_censored = request.rows.bounds is not None
    if kind in (IN_SAMPLE, PREFIT):
        folds = None
    else:
        folds = kind
    numbers = [most]
    most_fits = of_penalty
    if n_experts is None:
        numbers = [*range(1, most + 1)]
        if request.many:  # which are a sample
            numbers.append(most)
    for number in numbers:
        n_rounds = settings.most_iterations(folds, number, request.likelihood, is_censored)
        if number > 1:
            n_rounds += 2  # which compare starts
        most_fits += min(number, n_trained) * (n_rounds * per_expert + at_the_end)
    return most_fits


# Experts, gate and likelihood of a plan, adapted to the rows -------------------------------------


def make_parts(mixture, plan, rows, gate_seed, *, plain=False):
    """Experts, gate and likelihood of a plan, adapted; ``plain`` ones without a given gate."""
    names = plan.request.names
    templates = plan.request.templates
    is_default = plan.request.encodes
    encoding = plan.encoding
    columns = mixture.expert_columns
    shrinks = plan.training == "pooled"
    averages = plan.training == "stack"
    if mixture._classes is None:
        target_type = "continuous"
    else:
        target_type = "auto"
    described = rows.described
    has_own_columns = columns is not None
    if encoding and described.strings:
        left_out = described.of_no_use(shrinks=shrinks or averages)
        has_own_columns |= shrinks and left_out != described.of_no_use()
        warn_of_numbers(described)
        warn_of_left_out(*left_out, encoding)
    names_of_columns = column_names(mixture)
    if plain or plan.is_default_gate:
        gate = None
    else:
        gate = mixture.gate
    adapted = adapt_experts(
        templates,
        described,
        is_default=is_default,
        columns=columns,
        shrinks=shrinks,
        averages=target_type if averages and rows.y.ndim == 1 else None,
    )
    encodes = adapted[0] is not templates[0]
    if plan.request.is_wide:
        adapted = [
            with_best_penalty(
                adapted[0], rows.X, rows.y, rows.weight, gate_seed, plan.request.groups
            )
        ] * len(adapted)
    adapted_gate = GateParts.adapt(
        gate,
        SoftmaxGate(),
        rows,
        len(names),
        gate_seed,
        unseen=plan.request.monotone[0],
        of_dense=plan.training in ("stack", "specialists") or plan.request.is_wide,
    )
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
        has_own_columns=has_own_columns,
    )
