"""The rows of a fit, with what depends on where they are; here, in memory."""

import copy
from dataclasses import dataclass, field

import numpy as np

from .._data import Rows
from .._validation import check_rows
from . import make_problem
from .trainer import Trainer


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
        gate, n_experts = parts.gate.trained, len(parts.names)
        problem = make_problem(
            experts,
            gate if self.fitted_gate is None else parts.gate.continued(self.fitted_gate),
            self.started(likelihood, data, n_experts),
            data,
            in_sample=folds is None,
            gate_folds=splitting.gate_folds(folds, data, can_memorise=parts.gate.can_memorise),
            load_prior=gate.prior_counts(n_experts, data.unit_weight.sum()),
            top_k=settings.active_top_k(n_experts),
        )
        return problem, folds

    def finished(self, parts):
        """Parts for a model of the rows as they were given."""
        return parts
