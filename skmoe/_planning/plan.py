"""The plan: what ``fit`` does, or has done, and why; it prints as a table."""

import textwrap
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .._doors import not_in_onnx
from .._em.loop import count
from .._experts.fitting import STACK
from .._reports.by_regime import WIDTH, html_table, in_lines
from .._tables.encoding import labels_of, needs_encoding
from .._tables.levels import Levels
from .._tables.mixed import describe_columns, is_table
from ..exceptions import warn_if_long
from ..gates._base import linear_columns_of
from .ways import Request

DECISIVE = 3.0  # log-evidence over all rows, a factor of 20


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
        After ``fit``: what else was tried, and by how much it lost, and whatever else is to be
        said of the mixture and its rows. Before: what else to expect. Where skl2onnx is installed,
        what cannot be converted to ONNX is printed below these.

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
    is_automatic: bool = field(default=True, repr=False)
    is_default_gate: bool = field(default=True, repr=False)
    n_rows: float = field(default=0.0, repr=False)
    number_by: str | None = field(default=None, repr=False)
    is_number_of_plain: bool = field(default=False, repr=False)
    shape: tuple = field(default=(0, 0), repr=False)  # rows, and columns with levels
    n_init: int = field(default=1, repr=False)
    mixture: object = field(default=None, repr=False, compare=False)  # that is yet to be fitted

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
        if self.most_expert_fits is not None:
            fits = f"at most {self.most_expert_fits:,}"
            return [*cells, ["cost", fits, "fits of single estimators"]]
        n_rows, n_columns = self.shape
        tried = count(self.most_experts)
        if self.number_by is not None:
            tried = f"1 to {tried}"
        what = f"{count(self.n_init, 'start')}, {tried}, {n_rows:,} rows x {n_columns:,} columns"
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
                drop_whitespace=True,
            )
        lines += map(in_lines, self._notes)
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(["", "chosen", "because"], self.cells, below=self._notes)

    @cached_property
    def findings(self):
        """What else is to be said, in sentences."""
        about_rows, self.about_rows = self.about_rows, list  # which let go of the rows
        return [*about_rows(), *self.notes]

    def __getstate__(self):
        return {"findings": self.findings} | vars(self)

    @property
    def _notes(self):
        """What stands below the table."""
        return self.findings + not_in_onnx(self.mixture, self.training)

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

    @property
    def encoding(self):
        """Parts that see a mixed table behind an encoder, in words."""
        request = self.request
        encodes = request.encodes_experts and request.mixture.expert_columns is None
        experts = ["default experts" if request.encodes else "experts"] * encodes
        is_default = self.is_default_gate and experts != ["default experts"]
        gate = "default gate" if is_default else "gate"
        given = request.mixture.gate
        encodes_gate = self.is_default_gate or (
            linear_columns_of(given) is None and needs_encoding(given, request.rows.X)
        )
        return experts + [gate] * (len(request.names) > 1 and encodes_gate)

    def for_users(self):
        """The plan without what ``fit`` alone needs."""
        return replace(self, request=None)

    def fitted(self, trainer, names, n_rows, about_rows):
        """The plan of what was fitted in the end.

        The names are of the experts, ``n_rows`` is the weight of all rows.
        """
        reasons, zero = self.reasons, self.request.likelihood.zero_expert
        training, notes = trainer.way, trainer.findings(n_rows)
        has_ties = trainer.regimes is not None and trainer.regimes.n_regimes < len(names)
        if self.n_experts is None and trainer.log_evidence is not None and not has_ties:
            notes += bound_notes(trainer.log_evidence, n_rows)
        if training != self.training:
            reasons = reasons | {"training": trainer.reason}
        gate = self.gate
        if trainer.default_gate is not None:
            gate, why = trainer.default_gate
            reasons = reasons | {"gate": f"{reasons['gate']}; {why}"}
        n_experts = len([name for name in names if name not in (STACK, zero)])
        if training == "specialists":
            n_experts = max(1, n_experts - 1)  # beside the generalist
        return replace(
            self,
            training=training,
            n_experts=n_experts,
            gate=gate,
            n_regimes=None if trainer.regimes is None else trainer.regimes.n_regimes,
            reasons=reasons,
            notes=notes,
            about_rows=about_rows,
            request=None,
        )


def bound_notes(log_evidence, n_rows):
    """A sentence where the evidence is for the largest number of experts tried; a list.

    ``log_evidence`` is per row, by the number of experts.
    """
    *fewer, largest = sorted(log_evidence)
    rises = fewer and log_evidence[largest] - max(map(log_evidence.get, fewer)) > DECISIVE / n_rows
    if not rises:
        return []
    return [
        f"The evidence still rises at {largest} experts, the largest number tried: n_experts says "
        "how many there may be."
    ]


# About how long linear experts take that are solved all at once ----------------------------------


FIRST_ROWS = 1_000  # in which levels are counted
SECONDS, PER_ENTRY = 0.05, 3e-6  # of an expert with ten starts, and for each entry of its columns
FEW_STARTS = 5  # as many starts cost what does not depend on their number
SEARCHED = 0.55  # of all experts that may be tried: a search ends two numbers behind the best


def count_columns(X):
    """Number of the columns of X, levels of strings being columns, by its first rows."""
    first = X.iloc[:FIRST_ROWS] if is_table(X) else X[:FIRST_ROWS]
    strings, _ = describe_columns(first)
    levels = [Levels.of(first, label) for label in strings]
    kept = [len(each.values) for each in levels if each.kind in ("category", "effects")]
    return len(labels_of(X)) - len(strings) + sum(kept)


def seconds_of(plan):
    """Seconds that a fit takes by a formula, measured on a core of 2024."""
    n_rows, n_columns = plan.shape
    numbers = np.arange(1, plan.most_experts + 1)
    n_experts = plan.most_experts if plan.number_by is None else SEARCHED * numbers.sum()
    starts = (FEW_STARTS + plan.n_init) / (FEW_STARTS + 10)
    return n_experts * starts * (SECONDS + PER_ENTRY * n_rows * min(n_rows, n_columns))


def warn_of_wait(plan):
    """Warn where experts that are solved all at once will take long; others by their first fits."""
    if plan.most_expert_fits is None:
        quicker = "a number for n_experts, a smaller n_init, a sample of the rows"
        warn_if_long("This fit", seconds_of(plan), f"{quicker}, or a list of estimators")
