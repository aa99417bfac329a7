"""Fits on rows that are not in memory."""

from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.pipeline import make_pipeline

from .._compat import check_feature_names, check_n_features
from .._data import Rows, Units
from .._em import starts
from .._em.loop import Progress, run_em
from .._em.one_pass import OnePassProblem
from .._em.parts import warn_of_ignored_weights
from .._em.problem import Settings
from .._em.rows import FitRows
from .._em.trainer import REVIVALS, Trainer
from .._experts.fitting import has_own_density
from .._experts.folds import DEFAULT_FOLDS
from .._experts.solvers import is_linear
from .._numerics.multinomial import BLOCK_LIMIT, NEWTON_LIMIT
from .._planning.ways import MOST_EXPERTS
from .._tables.encoding import DescribedColumns, check_accepts, needs_encoding
from .._tables.mixed import HEAVIEST, check_sizes, decides_itself
from .._validation import check_classes, check_enough_rows, check_exposure, warn_of_small_weights
from ..gates._base import linear_columns_of
from ..gates._classifier import as_gate
from . import _look
from ._blocks import open_rows
from ._gathered import GatheredProblem, Gathering

ELSE = (
    "fit on a sample of the rows in memory, or batch by batch with partial_fit, where the mixture "
    "has it."
)
INSTEAD = f"Set that, or {ELSE}"


def _run_sample(trainer):
    """Choose a start and run EM on a sample of rows, from which another problem continues."""
    problem, settings = trainer.problem, trainer.settings
    with problem.experts.side_by_side(settings.n_jobs):
        trainer.start(None)
        if trainer._may_start_alike():
            trainer._start_flexible(problem.resp)
        patience = settings.patience(trainer.folds, problem.gate)
        given = {"max_iter": trainer.most_iterations, "tol": settings.tol, "patience": patience}
        run_em(problem, revivals=REVIVALS, **given)


class FromSample(Trainer):
    """A Trainer on all rows, which takes its initial parameters from a problem on a sample."""

    def start(self, previous):
        small, self._chose_start = self.problem.on_sample(), previous is None
        if not small.experts.is_solved:
            given = {"folds": self.folds, "splitting": self.splitting, "seed": self.seed}
            trainer = Trainer(small, small.data, self.parts, self.settings, **given)
            _run_sample(trainer)
            self.ends, self.paths = trainer.ends, trainer.paths
        elif self.n_experts > 1:  # only far enough to distinguish good starts from bad ones
            self.ends, self.paths = self._race(small, self.data, None, self.moves_in_vain)
        else:
            small.start(np.ones((len(self.data.weight), 1))).step()
        self.problem.adopt(small)

    def run(self, tasks, attributes_now):
        run = super().run(tasks, attributes_now)
        if not self.problem.experts.is_solved:
            self.problem.warn_of_thinned_rows()
        return run


class ManyRows(FitRows):
    """Rows that are not in memory, represented by a sample in choices and starts.

    ``X``, ``y`` and ``sample_weight`` are as for ``fit``, whose ``others`` have to be None; the
    mixture gets columns and classes.
    """

    many = True
    encoder = None  # of a mixed table, before all parts
    trainer = FromSample

    def __init__(self, mixture, X, y, sample_weight, others):
        self.mixture = mixture
        check_wanted(_wanted_by_all(mixture, others))
        self._has_sums = _has_sums(mixture)
        if not self._has_sums:
            check_wanted(_wanted_by_estimators(mixture))
        self.source = open_rows(X, y, sample_weight, classifies=mixture._classifies)
        Progress(Settings.of(mixture)).say("First look at the rows")
        super().__init__(self._look())
        self.form = _look.TableForm.of(self.look)  # of the tables that experts see, or None
        if not self.look.is_numeric:
            self.checked.X = self.form(self.checked.X)

    @property
    def n_rows(self):
        return self.look.n_rows

    def _look(self):
        """First pass over all rows; returns the sample, with weights that have the sum of all."""
        mixture, source = self.mixture, self.source
        n_experts = mixture.n_experts if isinstance(mixture.n_experts, Integral) else 1
        most = MOST_EXPERTS if mixture.n_experts == "auto" else n_experts
        drawn = partial(_look.n_drawn, starts.FEWEST_ROWS, starts.ROWS_PER_COEFFICIENT * most)
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
        few = few if look.n_rows >= 2 * few else look.n_rows
        places, weight = sample.drawn(few, look.weight)
        X, y = (each[places] for each in sample.arrays)
        if look.names is not None:
            from pandas import DataFrame  # as the blocks were

            X = DataFrame(X, columns=list(look.names), dtype=X.dtype)
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
        mixture, rows, encoded = self.mixture, self.checked, None
        known = _look.KnownColumns.of(rows.X)
        mixture._column_kinds, mixture._medians = known.kinds, None
        self._shown = rows.X  # to experts
        if not self.look.is_numeric:
            rows = self._encode(plan)
            encoded = self.form
        found = {"columns": known, "encoder": self.encoder, "form": encoded}
        self.source.know(mixture._classes, **found)
        columns = self.look.columns
        if self.encoder is not None:
            columns = self.source.reduce(_look.column_moments, None)
        target = self.look.target
        of_target = () if target is None else target.standardisation()
        self.adapted, self._units = rows, Units(*columns.standardisation(), *of_target)

    def _encode(self, plan):
        """The sample, encoded for gate and starts.

        Default experts get it encoded like the gate, and so do others if one of them cannot take
        the table, and none is a Pipeline that expects it. Otherwise they get the table.
        """
        table, request = self.checked.X, plan.request
        self.encoder = _look.fit_encoder(self.look, plan.encoding)
        rows = replace(self.checked, X=_look.encode(self.encoder, table))
        described = self.checked.described
        needs_encoder = any(needs_encoding(each, described) for each in request.templates)
        if request.encodes or (needs_encoder and not any(map(decides_itself, request.templates))):
            self._shown, self.form = rows.X, None
        for each in request.templates:
            check_accepts("expert", each, DescribedColumns(self._shown))
        return rows

    def training_data(self, parts):
        return replace(super().training_data(parts), X=self._shown, units=self._units)

    def alone(self, data):
        return replace(data, weight=self.share * data.weight)

    def sample(self):
        return FitRows(self.adapted)

    def finished(self, parts):
        """See ``FitRows``; rows of the user are encoded for the gate, and perhaps for experts."""
        if self.encoder is None:
            return parts
        before = make_pipeline(self.encoder)
        gate = replace(parts.gate, encoder=before)
        if self.form is not None:  # experts get the tables
            return replace(parts, gate=gate)
        templates = [make_pipeline(self.encoder, template) for template in parts.templates]
        return replace(parts, templates=templates, gate=gate, transformer=before)

    def started(self, likelihood, data, n_experts):
        look, target = self.look, self.look.target
        if target is None:
            return likelihood.start_from_sums(look.mass, n_experts)
        if likelihood.expert_family is not None:
            return likelihood.start_from_sums(look.weight * target.mean[0], n_experts)
        variance, largest = target.squares / look.weight, target.size
        if look.has_one_function:
            variance, largest = variance[0], largest[0]
        return likelihood.start_from_sums(variance, look.values, largest)

    # Problems -------------------------------------------------------------------------------

    def problem(self, data, parts, settings, splitting, seed):
        n_experts = len(parts.names)
        is_softmax = n_experts > 1 and parts.gate.trained.sees_rows
        n_weights = (len(data.units.mean) + 1) * n_experts
        check_wanted(
            {
                f"a softmax gate of at most {NEWTON_LIMIT} weights, columns times experts": (
                    not is_softmax or n_weights <= NEWTON_LIMIT
                )
            },
            f"Ask for fewer experts or ConstantGate(), or {ELSE}",
        )
        folds = splitting.folds(parts.templates, data)
        if self._has_sums:
            problem = self._one_pass(data, parts, settings, folds, seed)
            if problem is not None:
                return problem, None
        check_wanted(_wanted_by_estimators(self.mixture))
        problem = self._gathered(data, parts, settings, folds, seed)
        return problem, problem.small.experts.folds

    def _one_pass(self, data, parts, settings, folds, seed):
        """The problem for linear experts by sums over rows: OnePassProblem.

        None if there would be too many sums, or too few rows, and experts do not need them.
        """
        experts = parts.make_experts(data, None, settings, seed)
        likelihood = parts.likelihood.fitting(in_sample=True, linear=True)
        likelihood = self.started(likelihood, data, len(parts.names))
        known = experts, parts.gate.trained, likelihood, data
        covered = OnePassProblem.covers(*known, load_prior=None, top_k=None)
        is_enough, is_narrow = folds is None, len(data.units.mean) < BLOCK_LIMIT
        can_be_gathered = not self.look.has_one_function or likelihood.expert_family is not None
        if can_be_gathered and not (covered and is_enough and is_narrow):
            return None
        otherwise = "Ask for fewer experts, or set cv=False, or fit rows that are so few in memory."
        check_wanted({"ten rows a coefficient": is_enough}, otherwise)
        check_wanted({f"fewer than {BLOCK_LIMIT} columns": is_narrow}, f"Drop some, or {ELSE}")
        check_wanted({"a target that is not the same for all rows": covered}, f"Else {ELSE}")
        return OnePassProblem(*known, rows=self.source)

    def _gathered(self, data, parts, settings, folds, seed):
        """The problem for estimators that are fitted on rows of their own: GatheredProblem."""
        is_in_sample, cv = folds is None, settings.cv
        given = cv if isinstance(cv, Integral) else DEFAULT_FOLDS
        n_folds = 1 if is_in_sample or isinstance(folds, str) else int(given)
        most = self.source.max_expert_rows
        gathering = Gathering(parts, settings, seed, n_folds, is_in_sample, most, self.form)
        linear = is_in_sample and all(map(is_linear, parts.templates))
        likelihood = parts.likelihood.fitting(in_sample=is_in_sample, linear=linear)
        small = gathering.small_problem(self.alone(data), parts.gate.trained, likelihood)
        if self.look.has_unequal_weights:
            warn_of_ignored_weights(small.experts.ignoring_weights())
        return GatheredProblem(small, data, gathering, self.source)


def check_wanted(wanted, otherwise=INSTEAD):
    """Raise a ValueError that lists missing requirements, and an alternative.

    ``wanted`` maps each requirement to whether it is met.
    """
    lacking = [each for each, is_given in wanted.items() if not is_given]
    if lacking:
        raise ValueError(f"Rows that are not in memory need {'; '.join(lacking)}. {otherwise}")


def _has_sums(mixture):
    """Whether experts are linear, with sums over rows as sufficient statistics."""
    if mixture._is_list or not mixture._likelihood().has_sums:
        return False
    template = mixture._expert_list()[1][0]
    is_one = mixture._solver().penalty_of(template) is not None
    return is_one and (mixture.cv is False or str(mixture.cv) == "auto")


def _wanted_by_all(mixture, others):
    """Requirements of all fits on rows that are not in memory, and whether they are met."""
    gate = mixture.gate
    wanted = {
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
        "another likelihood than 'ordinal'": not mixture._likelihood().is_ordered,
        "a likelihood without subjects": not mixture._likelihood().takes_subjects,
        "a likelihood without a zero component": mixture._likelihood().zero_expert is None,
        "class_weight=None (weigh the rows of a class instead)": mixture.class_weight is None,
        "top_k=None": mixture.top_k is None,
        "warm_start=False": not mixture.warm_start,
    }
    return wanted | {
        f"no {name}, which looks at all rows at once": value is None
        for name, value in others.items()
    }


def _wanted_by_estimators(mixture):
    """Requirements of experts that are fitted on rows of their own."""
    cv, templates = mixture.cv, mixture._expert_list()[1]
    likelihood = mixture._likelihood().fitting(in_sample=False, linear=False)
    return {
        "experts other than mixtures": not any(map(has_own_density, templates)),
        "scales that do not depend on the row": likelihood.scale_estimator() is None,
        "cv='auto', 'prefit', False or a number of folds": (
            cv is False or str(cv) in ("auto", "prefit") or (isinstance(cv, Integral) and cv > 1)
        ),
    }
