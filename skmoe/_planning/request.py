"""Parameters and rows of one fit, on which all choices of the plan are based."""

from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from scipy import sparse

from .._em.gate_parts import validate_gate
from .._experts.fitting import LINES, PROCESS_ROWS, split_last
from .._experts.least_squares import monotone_columns
from .._experts.solvers import are_solved_sparse
from .._tables.encoding import labels_of, needs_encoding
from ..gates._base import linear_columns_of
from ..gates._classifier import as_gate

MOST_EXPERTS = 8  # that are tried where their number is to be chosen
POOLED_GATES = "the gate None, SoftmaxGate() or ConstantGate(), without L1 penalty and load_balance"


@dataclass
class Request:
    """Parameters and rows of one fit; what has no comment is as it was given."""

    # ``names``, ``templates``: lists: of the experts; of clones whose number is to be chosen, as
    # many as are tried.
    names: list
    templates: list
    # {"default", "clones", "list"}: experts of the mixture's choice, clones of one estimator, or a
    # list of several.
    kind: str
    # Whether experts meet a mixed table behind an encoder: default and "diverse" ones.
    encodes: bool
    encodes_gate: bool  # whether one of the user's own meets a mixed table behind that encoder
    n_experts: int | None  # as asked for; None where it is to be chosen
    # Gate, classifier: without its transformers; None is the default of the way of training.
    gate: object
    likelihood: object
    has_default_likelihood: bool
    cv: object
    top_k: int | None  # None where every expert answers
    expert_columns: object
    warm_start: bool
    groups: object
    is_stream: bool  # whether these are the first rows of a stream
    classifies: bool
    solver: object
    rows: object  # Rows: checked; a sample of ``many`` that are not in memory
    many: bool
    is_wide: bool = False  # whether the default experts have a penalty, for X is wide

    @classmethod
    def of(cls, mixture, rows, groups, many):
        """The request of a mixture."""
        likelihood, gate = mixture._likelihood(), split_last(mixture.gate)[1]
        validate_gate(gate, is_whole=gate is mixture.gate)
        n_experts = mixture.n_experts if isinstance(mixture.n_experts, Integral) else None
        if n_experts is None:
            n_experts = _implied_number(mixture, likelihood, gate)
        # Many rows get the "diverse" experts of many rows.
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
            encodes_gate=mixture.gate is not None
            and linear_columns_of(mixture.gate) is None
            and needs_encoding(mixture.gate, rows.X),
            n_experts=len(names) if kind == "list" else n_experts,
            gate=None if n_clones == 1 else gate,
            likelihood=likelihood,
            has_default_likelihood=isinstance(mixture.likelihood, str)
            and mixture.likelihood == "auto",
            cv=mixture.cv,
            top_k=top_k,
            expert_columns=mixture.expert_columns,
            warm_start=mixture.warm_start,
            groups=groups,
            is_stream=mixture._buffer is not None,
            classifies=mixture._classifies,
            solver=mixture._solver(),
            rows=rows,
            many=many,
            is_wide=mixture._wide_expert is not None,
        )

    def without_lines(self):
        """The request without the mixture among "diverse" experts, which would nest in another."""
        if not (self.kind == "list" and self.encodes and LINES in self.names):
            return self
        kept = [k for k, name in enumerate(self.names) if name != LINES]
        names, templates = [self.names[k] for k in kept], [self.templates[k] for k in kept]
        return replace(self, names=names, templates=templates, n_experts=len(kept))

    @property
    def encodes_experts(self):
        """Whether any experts meet a mixed table behind an encoder."""
        return self.encodes or any(needs_encoding(each, self.rows.X) for each in self.templates)

    @property
    def monotone(self):
        """Columns in which the mixture is monotone, as all experts are: numbers and names."""
        X = self.rows.X
        names = labels_of(X)
        if self.gate is not None or self.expert_columns is not None:
            return [], []
        numbers = monotone_columns(self.templates, names)
        return numbers, [names[number] for number in numbers]

    @property
    def is_unpenalised(self):
        """Whether experts are linear models that are solved at once and shrink nothing."""
        if self.kind == "default":
            return not self.is_wide
        last = split_last(self.templates[0])[1]
        return self.kind == "clones" and self.solver.penalty_of(last) == 0.0

    @property
    def is_solved(self):
        """Whether experts are linear models that EM solves all at once."""
        X = self.rows.X
        if self.kind == "list" or (sparse.issparse(X) and not are_solved_sparse(X.shape)):
            return False
        last = split_last(self.templates[0])[1]
        is_default = self.kind == "default" and not self.is_wide
        return is_default or self.solver.penalty_of(last) is not None

    @property
    def needs_likelihood(self):
        """Whether linear experts have to be predicted in-sample, however few the rows are."""
        return self.is_stream or self.likelihood.takes_subjects

    @property
    def balances_load(self):
        """Whether the gate has a prior on the loads."""
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
    if gate is not None and as_gate(gate).target_load is not None:
        return len(gate.target_load)
    return None


def is_word(value, *words):
    """Whether a parameter is one of these words."""
    return isinstance(value, str) and value in words
