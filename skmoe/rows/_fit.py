"""Fits on rows that are not in memory."""

from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np

from .._compat import check_feature_names, check_n_features
from .._data import NO_METADATA, Rows, Units
from .._em import starts
from .._em.loop import Progress
from .._em.one_pass import OnePassProblem
from .._em.problem import Settings
from .._em.trainer import Trainer
from .._numerics.multinomial import BLOCK_LIMIT, NEWTON_LIMIT
from .._planning.plan import FitRows
from .._planning.ways import MOST_EXPERTS
from .._tables.known import kinds_of
from .._tables.mixed import HEAVIEST, check_sizes
from .._validation import check_classes, check_enough_rows, check_exposure, warn_of_small_weights
from ..exceptions import ThinnedRowsWarning, warn_user
from ..gates._base import linear_columns_of
from ..gates._classifier import as_gate
from . import _look
from ._blocks import SAME_WEIGHT, open_rows

ELSE = (
    "fit on a sample of the rows in memory, or batch by batch with partial_fit, where the mixture "
    "has it."
)
INSTEAD = f"Set that, or {ELSE}"


class FromSample(Trainer):
    """A Trainer on all rows, which takes its initial parameters from a problem on a sample."""

    def start(self, previous):
        small = self.problem.on_sample()
        self._chose_start = previous is None
        if self.n_experts > 1:  # only far enough to distinguish good starts from bad ones
            self._race(small, self.data, None, self.moves_in_vain)
        else:
            small.start(np.ones((len(self.data.weight), 1))).step()
        self.problem.adopt(small)


def rows_of_fit(mixture, X, y, sample_weight, others):
    """The rows of a fit that are not in memory: ManyRows, or FitRows of a sample of them.

    ``X``, ``y`` and ``sample_weight`` are as for ``fit``, whose ``others`` have to be None. Linear
    experts learn from sums over all rows, and others from rows in memory.
    """
    check_wanted(
        {
            f"no {name}, which looks at all rows at once": value is None
            for name, value in others.items()
        }
    )
    lacking = _lacking(mixture)
    rows = ManyRows(mixture, X, y, sample_weight, has_sums=not lacking)
    if not (lacking or rows.look.is_numeric):
        lacking = ["numbers without missing values"]
        rows = ManyRows(mixture, X, y, sample_weight, has_sums=False)
    if lacking:
        return rows.in_memory(lacking)
    return rows


class ManyRows(FitRows):
    """Rows that are not in memory, represented by a sample in choices and starts.

    The mixture gets columns and classes. Without sums over rows, the sample is as large as may be.
    """

    many = True
    trainer = FromSample

    def __init__(self, mixture, X, y, sample_weight, *, has_sums):
        self.mixture = mixture
        self.source = open_rows(X, y, sample_weight, classifies=mixture._classifies)
        Progress(Settings.of(mixture)).say("First look at the rows")
        super().__init__(self._look(has_sums))

    @property
    def n_rows(self):
        return self.look.n_rows

    def in_memory(self, lacking):
        """A sample of rows that may be as many as an expert is fitted on at most, as FitRows."""
        most = self.source.max_expert_rows
        mixture = self.mixture
        rows = self.checked
        if self.share < 1 - SAME_WEIGHT:
            warn_user(
                f"The mixture is fitted on {len(rows.y):,} of {self.n_rows:,} rows, drawn by a "
                f"hash of their content (max_expert_rows). All rows need {'; '.join(lacking)}.",
                ThinnedRowsWarning,
            )
        if mixture._classifies:
            y = mixture.classes_[rows.y]
        else:
            y = rows.y
        # Penalties have the influence that they have on so many rows.
        found = FitRows.of(mixture, rows.X, y, self.share * rows.weight, NO_METADATA, {})
        if mixture._classifies and len(mixture.classes_) < len(self.look.values):
            unseen = np.setdiff1d(self.look.values, mixture.classes_).tolist()
            raise ValueError(
                f"The classes {unseen} are not in the {most:,} rows drawn: raise max_expert_rows."
            )
        return found

    def _look(self, has_sums):
        """First pass over all rows; returns the sample, with weights that have the sum of all."""
        mixture = self.mixture
        source = self.source
        if isinstance(mixture.n_experts, Integral):
            n_experts = mixture.n_experts
        else:
            n_experts = 1
        drawn = partial(_look.n_drawn, source.max_expert_rows, 0)
        if has_sums:
            if mixture.n_experts == "auto":
                most = MOST_EXPERTS
            else:
                most = n_experts
            per_coefficient = starts.ROWS_PER_COEFFICIENT * most
            drawn = partial(_look.n_drawn, starts.FEWEST_ROWS, per_coefficient)
        likelihood = mixture._likelihood()
        parameters = mixture._classifies, likelihood, drawn
        look = self.look = source.reduce(_look.first_look, parameters)
        check_enough_rows(0 if look is None else look.n_used, n_experts)
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
            sample.mass = source.reduce(_look.weigh_sample, sample)
        few = drawn(len(look.columns.mean))
        if has_sums and look.n_rows < 2 * few:
            few = look.n_rows
        places, weight = sample.drawn(few, look.weight)
        X, y = (each[places] for each in sample.arrays)
        if look.names is not None:
            X = _look.as_table(look, X)
        if look.target is None:
            y = np.searchsorted(look.values, y)
        check_feature_names(mixture, X, reset=True)
        check_n_features(mixture, X, reset=True)
        if likelihood.takes_trials:  # successes are no more than trials, in whichever block
            extremes = look.values
            if extremes is None:
                extremes = np.concatenate([look.target.low, look.target.high])
            check_exposure(mixture, None, None, y=extremes)
        # Share of the weight of all rows that the rows of the sample have.
        self.share = sample.mass[places].sum() / look.weight
        return Rows(X, y, weight)

    def adapt(self, plan):
        mixture = self.mixture
        rows = self.checked
        mixture._column_kinds = kinds_of(rows.X)
        mixture._medians = None
        self.source.know(mixture._classes, columns=_look.KnownColumns.of(rows.X))
        columns = self.look.columns
        target = self.look.target
        if target is None:
            of_target = ()
        else:
            of_target = target.standardisation()
        self.adapted = rows
        self._units = Units(*columns.standardisation(), *of_target)

    def training_data(self, parts):
        return replace(super().training_data(parts), units=self._units)

    def alone(self, data):
        return replace(data, weight=self.share * data.weight)

    def sample(self):
        return FitRows(self.adapted)

    def started(self, likelihood, data, n_experts):
        look = self.look
        target = self.look.target
        if target is None:
            return likelihood.start_from_sums(look.mass, n_experts)
        if likelihood.expert_family is not None:
            return likelihood.start_from_sums(target.mean[0], n_experts)
        variance = target.squares / look.weight
        largest = target.size
        if look.has_one_function:
            variance = variance[0]
            largest = largest[0]
        return likelihood.start_from_sums(variance, look.values, largest)

    # Problems -------------------------------------------------------------------------------

    def problem(self, data, parts, settings, splitting, seed):
        n_experts = len(parts.names)
        is_softmax = n_experts > 1 and parts.gate.trained.sees_rows
        n_weights = (len(data.units.mean) + 1) * n_experts
        what = f"a softmax gate of at most {NEWTON_LIMIT} weights, columns times experts"
        otherwise = f"Ask for fewer experts or ConstantGate(), or {ELSE}"
        check_wanted({what: not is_softmax or n_weights <= NEWTON_LIMIT}, otherwise)
        folds = splitting.folds(parts.templates, data)
        experts = parts.make_experts(data, None, settings, seed)
        likelihood = parts.likelihood.fitting(in_sample=True, linear=True)
        likelihood = self.started(likelihood, data, n_experts)
        known = experts, parts.gate.trained, likelihood, data
        otherwise = "Ask for fewer experts, or set cv=False, or fit rows that are so few in memory."
        check_wanted({"ten rows a coefficient": folds is None}, otherwise)
        covered = OnePassProblem.covers(*known, load_prior=None, top_k=None)
        is_narrow = len(data.units.mean) < BLOCK_LIMIT
        check_wanted({f"fewer than {BLOCK_LIMIT} columns": is_narrow}, f"Drop some, or {ELSE}")
        what = "fewer coefficients an expert, and a target that is not the same for all rows"
        check_wanted({what: covered}, f"Else {ELSE}")
        return OnePassProblem(*known, rows=self.source), None


def check_wanted(wanted, otherwise=INSTEAD):
    """Raise a ValueError that lists missing requirements, and an alternative.

    ``wanted`` maps each requirement to whether it is met.
    """
    lacking = [each for each, is_given in wanted.items() if not is_given]
    if lacking:
        raise ValueError(f"Rows that are not in memory need {'; '.join(lacking)}. {otherwise}")


def _lacking(mixture):
    """What mixtures that learn from sums over all rows have, and this one has not, in words."""
    gate = mixture.gate
    likelihood = mixture._likelihood()
    penalty = mixture._solver().penalty_of(mixture._expert_list()[1][0])
    if mixture.experts is None and penalty is not None:
        penalty = 0.0  # that of the default is a prior
    wanted = {
        "linear experts, copies of one, with cv='auto' or False": (
            not mixture._is_list
            and likelihood.has_sums
            and penalty is not None
            and (mixture.cv is False or str(mixture.cv) == "auto")
        ),
        "the gate None or one with sums over rows (has_sums), such as SoftmaxGate() without L1 "
        "penalty or ConstantGate()": gate is None or as_gate(gate).has_sums,
        "a gate without load_balance": gate is None or as_gate(gate).load_balance == 0,
        "init='auto' or the name of a start": not callable(mixture.init),
        "training='auto' or 'em' (pooling matters little with so many rows)": (
            mixture.training in ("auto", "em")
        ),
        "expert_columns=None, and a gate without columns": (
            mixture.expert_columns is None and linear_columns_of(gate) is None
        ),
        "no penalty of such experts": likelihood.expert_family is None or not penalty,
        "a likelihood without subjects": not likelihood.takes_subjects,
        "outputs that err independently": likelihood.independent_outputs,
        "class_weight=None (weigh the rows of a class instead)": mixture.class_weight is None,
        "top_k=None": mixture.top_k is None,
        "warm_start=False": not mixture.warm_start,
    }
    return [each for each, is_given in wanted.items() if not is_given]
