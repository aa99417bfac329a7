"""One curve in place of several lines: a regression on spline columns, by the same evidence.

A line of the target's logarithm, with errors of one size there, is a curve as well, and its errors
are skewed and grow with the mean.

Lines between which the gate goes by one column imitate a curve of that column, or a line with a
bend. Both are one regression function, without steps: cubic splines of the column, or linear ones
with knots where the gate goes from one regime to the next, beside all other columns as they are.
A curve of any column, of both kinds, is as probable beforehand.
"""

import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import special
from sklearn.preprocessing import SplineTransformer

from .parts import pooled_parts
from .rivals import CLOSE

N_KNOTS = 5
FEWEST_VALUES = 10  # of a column that a target can be a curve of


@dataclass(frozen=True)
class Curve:
    """A curve of one column in place of regimes."""

    column: str  # its name
    nats: float  # by how much the log-evidence of the curve is higher than theirs, over all rows


def best_curve(search, problem, regime):
    """The curve in place of a mixture of regimes, of the column that parts them most.

    ``regime`` (n_experts,) numbers those of the mixture that ``search`` found. None where no column
    has many values, or columns outnumber rows.
    """
    trainer, experts = search.trainer, problem.experts
    if experts.columns.basis is not None:
        return None
    X, proba = experts.design[:, :-1], problem.gate.proba
    proba = proba @ np.equal.outer(regime, np.arange(regime.max() + 1))
    own = problem.weight[:, None] * proba
    centres = own.T @ X / own.sum(axis=0)[:, None]
    apart = own.sum(axis=0) @ centres**2
    bends = np.array([len(np.unique(column)) >= FEWEST_VALUES for column in X.T])
    if not bends.any():
        return None
    j = int(np.where(bends, apart, -1).argmax())
    column, others = X[:, [j]], np.delete(X, j, axis=1)
    in_order = pairwise(centres[:, j].argsort())
    borders = [np.average(X[:, j], weights=own[:, r] * proba[:, s]) for r, s in in_order]
    knots = np.unique([column.min(), *borders, column.max()])[:, None]
    has_tails = len(regime) > proba.shape[1]
    block = None if experts.columns.block is None else np.delete(experts.columns.block, j)
    splines = SplineTransformer(N_KNOTS), SplineTransformer(degree=1, knots=knots)
    designs = [np.hstack([others, spline.fit_transform(column)]) for spline in splines]
    evidence = [_evidence(search, trainer.data, each, block, has_tails) for each in designs]
    nats = special.logsumexp(evidence) - np.log(2 * bends.sum())
    nats -= search.n_rows * problem.evidence
    return Curve(trainer.name_of_column(j), float(nats))


def line_of_logarithm(search, problem, regime):
    """That one line of ``log(y)`` is ahead of a mixture of regimes, a sentence; a list.

    Empty where the target is not positive, or has several outputs.
    """
    data, experts = problem.data, problem.experts
    smallest = data.y[data.weight > 0].min()
    if not experts.can_be_wider or data.y.ndim > 1 or smallest <= 0:
        return []
    has_tails = len(regime) > regime.max() + 1
    logarithm = replace(data, y=np.log(np.maximum(data.y, smallest)))
    nats = _evidence(search, logarithm, experts.design[:, :-1], experts.columns.block, has_tails)
    nats -= data.weight @ logarithm.y + search.n_rows * problem.evidence
    if nats <= CLOSE:
        return []
    return [
        f"The {regime.max() + 1} regimes may be one line of the target's logarithm: by "
        f"log-evidence over all rows, it is {nats:.1f} nats ahead. Compare "
        "likelihood='log_normal'."
    ]


def _evidence(search, data, design, block, has_tails):
    """Log-evidence of one regime on these columns and rows, over all rows.

    Columns of the design behind those of ``block`` are no levels.
    """
    trainer = copy.copy(search.trainer)
    trainer.data = data = replace(data, units=None)
    if block is not None:
        block = np.pad(block, (0, design.shape[1] - len(block)))
    trainer.experts, _ = pooled_parts(
        trainer.parts, design, data, lambda each: each.start(data.y, data.weight, 1), block
    )
    return search.n_rows * type(search)(trainer).of_one_regime(has_tails).evidence
