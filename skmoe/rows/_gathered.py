"""EM for any estimators on rows that are not in memory.

Models predict the rows out of fold, block by block. A pass returns sums for the gate, and for each
expert a sample of its own rows, drawn by a hash of their content, on which it is fitted.
"""

from dataclasses import dataclass

import numpy as np

from .._data import ArrayRows, TrainingData
from .._em.general import GeneralProblem
from .._em.loop import same_as_heavier
from .._em.one_pass import FIRST_ROWS, compare_densities, sum_for_report
from .._em.problem import INNER_STEPS, Problem, shallow_copy
from .._experts.estimators import SAME_SHARE, EstimatorExperts
from .._experts.fitting import NEGLIGIBLE_SHARE, is_frozen, round_shares
from .._experts.prediction import expert_prediction
from .._model import posterior
from .._numerics.multinomial import log_softmax, pair_grams
from .._numerics.samples import SPARE, RowSample, hash_rows
from .._numerics.statistics import add_fields
from .._tables.mixed import is_table
from ..exceptions import ThinnedRowsWarning, warn_user


@dataclass(frozen=True)
class Gathering:
    """How the rows of experts are gathered, and experts fitted on them."""

    parts: object  # Parts: experts, gate and likelihood
    settings: object  # Settings: parameters of the mixture
    seed: int  # seed of the experts
    # By a hash of the content of rows; 1 for predictions in sample, or of frozen experts.
    n_folds: int
    in_sample: bool  # whether experts predict their training rows
    most_rows: int  # on which an expert is fitted at most
    form: object  # TableForm: of the rows, where the user gave tables

    def folds(self, hashes):
        """(train, test) for each fold of rows, by their hashes, or the value for no folds."""
        if self.n_folds == 1:
            return None if self.in_sample else "prefit"
        numbers = fold_numbers(hashes, self.n_folds)
        return [
            (np.flatnonzero(numbers != f), np.flatnonzero(numbers == f))
            for f in range(self.n_folds)
        ]

    def experts(self, data, hashes):
        """EstimatorExperts on some rows."""
        experts = self.parts.make_estimators(
            data,
            self.folds(hashes),
            self.settings,
            self.seed,
            report_weights=False,
            kind=GatheredExperts,
        )
        experts.n_jobs = self.settings.n_jobs
        return experts

    def small_problem(self, data, gate, likelihood):
        """The mixture on a sample of the rows, whose weights have the size of those of all rows."""
        return GeneralProblem(
            self.experts(data, hash_rows(data.X, data.y, data.classes)),
            gate,
            likelihood.start(data.y, data.weight, len(self.parts.names)),
            data,
            n_inner=1 if self.in_sample else INNER_STEPS,
        )


class GatheredProblem(Problem):
    """A mixture of estimators in training; see ``Problem``.

    Attributes
    ----------
    rows : RowSource
        All rows, of which ``data`` are a sample.
    found : Gathered
        Result of the last pass.

    Parameters
    ----------
    small : GeneralProblem
        The same mixture on ``data``, to start with.
    data : TrainingData
        A sample, whose weights have the sum of those of all rows.
    gathering : Gathering
        How the experts get their rows.
    rows : RowSource
        All rows.
    """

    has_arrays = False
    found = None
    objective = -np.inf

    def __init__(self, small, data, gathering, rows):
        super().__init__(small.experts, shallow_copy(small.gate), small.likelihood, data)
        self.small, self.rows, self.gathering = small, rows, gathering

    def on_sample(self):
        return self.small

    def adopt(self, small):
        """Take models and parameters of the problem on a sample, and make an E-step."""
        units, n_experts = self.data.units, len(small.experts.names)
        self.experts, self.likelihood = small.experts, shallow_copy(small.likelihood)
        self.gate = shallow_copy(self.gate)
        begun = self.Z, n_experts, (units.mean, units.scale)
        if small.gate.sees_rows:
            slopes = small.gate.coef_.T
            intercepts = small.gate.intercept_ + units.mean @ slopes
            self.gate.begin_sums(*begun, np.vstack([slopes * units.scale[:, None], intercepts]))
        else:
            self.gate.begin_sums(*begun)
            self.gate.set_logits(np.log(np.maximum(small.gate.proportions_, 1e-300))[None])
        self._pass()

    def reseed(self, dead):
        """See ``Problem``; done on the sample. The other experts do not change."""
        small, experts, data = self.small, shallow_copy(self.small.experts), self.small.data
        experts.models, experts.last_fit = self.experts.models, None
        experts.n_fits = self.experts.n_fits
        hashes = hash_rows(data.X, data.y, data.classes)
        experts.predictions = self._answers.predict(data.X, hashes)
        small.experts, small.gate = experts, shallow_copy(self.gate)
        small.likelihood = shallow_copy(self.likelihood)
        small.e_step()
        small.reseed(dead)
        small.step()
        revived = np.isin(np.arange(len(self.load)), dead)
        experts.models = [
            new if is_new else old
            for new, old, is_new in zip(experts.models, self.experts.models, revived, strict=True)
        ]
        self.adopt(small)

    # EM -------------------------------------------------------------------------------------

    def step(self):
        """M-step on the gathered rows, then a pass; the objective."""
        data, hashes, means, shares, weights, seen = self._gathered()
        experts = self.gathering.experts(data, hashes)
        experts.min_responsibility, experts.n_fits = 0.0, self.experts.n_fits
        experts.won = shares >= shares.max(axis=1, keepdims=True) - SAME_SHARE
        # Experts are fitted with the weights of the drawn rows, and not of all that these
        # represent, so that penalties keep their influence.
        self.experts, self.resp = experts, weights * (shares >= self._least) * seen
        self.likelihood, self.gate = shallow_copy(self.likelihood), shallow_copy(self.gate)
        working = self.likelihood.working_data(data.y, means)
        self.working, self.working_exposure = working
        self.experts.fit(self.resp, *self.working_data)
        self.likelihood.update(data.y, self.experts.predictions, weights, 0.0)
        self.gate.learn_sums(self.found)
        self._pass()
        return self.objective

    def _gathered(self):
        """Rows drawn for any expert, their hashes, predictions, responsibilities, and weights.

        With the weights (n, K) the rows drawn for an expert represent all of its rows. The last is
        the share (K,) of the weight of its rows that was drawn.
        """
        found, most = self.found, self.gathering.most_rows
        drawn = [own.drawn(most, mass) for own, mass in zip(found.own, found.mass, strict=True)]
        each = list(zip(found.own, (rows for rows, _ in drawn), strict=True))
        hashes = [own.hashes[rows] for own, rows in each]
        all_hashes, first, numbers = np.unique(
            np.concatenate(hashes), return_index=True, return_inverse=True
        )
        arrays = ([part[rows] for part in own.arrays] for own, rows in each)
        X, y, means, shares = (np.concatenate(parts)[first] for parts in zip(*arrays, strict=True))
        weights, seen = np.zeros(shares.shape), np.zeros(len(drawn))
        ends = np.cumsum([len(each) for each in hashes])[:-1]
        for k, (at, (_, weight)) in enumerate(zip(np.split(numbers, ends), drawn, strict=True)):
            weights[at, k] = weight
            seen[k] = found.own[k].mass[drawn[k][0]].sum() / max(weight.sum(), 1e-300)
        form = self.gathering.form
        X = X if form is None else form(X)
        data = TrainingData(X, y, np.ones(len(y)), None)
        return data, all_hashes, means, shares, weights, np.minimum(seen, 1.0)

    @property
    def _least(self):
        """Responsibility below which a row is not given to an expert."""
        folds = None if self.gathering.in_sample else "hashes"
        return self.gathering.settings.least_responsibility(folds, len(self.experts.names))

    @property
    def _answers(self):
        data, logits = self.data, self.gate.sum_logits()
        how = self.gathering.n_folds, self.gathering.form, data.units, data.classes
        given = *how, data.y.shape[1:], logits, self.likelihood
        return FoldAnswers(self.experts.names, self.experts.models, *given)

    def _pass(self):
        n_kept = SPARE * self.gathering.most_rows
        parameters = self._answers, n_kept, self._least, self.gate.wants_curvature
        self.found = self.rows.reduce(gather, parameters)
        self.load = self.found.gate_mass / self.weight.sum()
        self.objective = (self.found.value + self.log_prior()) / self.weight.sum()

    def state(self):
        names = (
            "experts", "gate", "likelihood", "found", "load", "objective", "resp", "working",
            "working_exposure",
        )  # fmt: skip
        return {name: vars(self).get(name) for name in names}

    def restore(self, state):
        vars(self).update(state)

    # Attributes --------------------------------------------------------------------

    def warn_of_thinned_rows(self):
        """Warn about experts that had more rows than they were fitted on."""
        most, rows = self.gathering.most_rows, self.found.own_rows
        known = zip(self.experts.names, self.experts.estimators, rows, strict=True)
        thinned = [name for name, each, n in known if n > most and not is_frozen(each)]
        if thinned:
            warn_user(
                f"The experts {thinned} have up to {rows.max():,} rows of their own and were "
                f"fitted on {most:,} of these (max_expert_rows), drawn by a hash of their content. "
                "Gate and scales are estimated from all rows.",
                ThinnedRowsWarning,
            )

    def effective_rows(self):
        return self.found.mass

    def copies(self):
        first, data = slice(FIRST_ROWS), self.data
        table = None if data.X is data.Z else data.X.iloc[first]
        few = ArrayRows(np.asarray(data.Z[first]), data.y[first], data.weight[first], table)
        differences = compare_densities(few, self._answers)
        if same_as_heavier(differences.largest, self.load).any():  # not needed in most passes
            differences = self.rows.reduce(compare_densities, self._answers)
        return same_as_heavier(differences.largest, self.load)

    def report_sums(self, model, order):
        return self.rows.reduce(sum_for_report, (self._answers, model, order))

    def streaming_experts(self, order, estimators):
        return self.experts.streaming(self.resp, order, estimators)


class GatheredExperts(EstimatorExperts):
    """EstimatorExperts on gathered rows, which change in every iteration."""

    n_jobs = None
    won = None  # (n, K): which experts have the largest responsibility of all, drawn or not

    def wins(self, resp, k):
        """Rows (n,) that expert k wins, of those that were drawn for it."""
        return super().wins(resp, k) if self.won is None else self.won[:, k] & (resp[:, k] > 0)

    def fit(self, resp, *working_data):
        with self.side_by_side(self.n_jobs):
            super().fit(resp, *working_data)

    def finish(self, resp, *working_data):
        with self.side_by_side(self.n_jobs):
            return super().finish(resp, *working_data)


# A pass over the rows: sums for the gate, and rows for each expert --------------------------------


PASS_ROWS = 2**15  # at a time: more for estimators than for a kernel


@dataclass(frozen=True)
class FoldAnswers:
    """A mixture of estimators in training, without rows, out of fold; see ``Answers``."""

    names: list  # names of the experts
    # List of lists of estimators: for each expert one for each fold, fitted without it, or one for
    # all rows.
    models: list
    n_folds: int  # the fold of a row follows from a hash of its content
    form: object  # TableForm: of the rows, where the user gave tables
    units: object  # Units: of the columns, for the gate
    classes: np.ndarray | None  # (n_classes,): labels, where y holds class numbers
    y_shape: tuple  # of a target of numbers
    logits: np.ndarray  # (p, n_experts): coefficients of the gate's logits in standardised columns
    likelihood: object  # BaseLikelihood: of the experts

    def over(self, block):
        """Target, weights, logits, log-densities (n, K) and predictions, a few rows at a time."""
        for _, _, _, *answers in self.over_rows(block):
            yield answers

    def over_rows(self, block):
        """The same, after standardised columns, the columns of the experts, and hashes of these."""
        for start in range(0, block.n_rows, PASS_ROWS):
            rows = slice(start, start + PASS_ROWS)
            X, y = block.X[rows], block.y[rows]
            y = y if self.classes is None else y.astype(np.intp)
            shown = X if block.table is None else block.table.iloc[rows]
            hashes = hash_rows(shown, y, self.classes)
            predictions = self.predict(shown, hashes)
            columns = (X - self.units.mean) / self.units.scale
            logits = columns @ self.logits[:-1] + self.logits[-1]
            log_density = self.likelihood.log_density(y, predictions)
            yield columns, shown, hashes, y, block.weight[rows], logits, log_density, predictions

    def predict(self, X, hashes):
        """Predictions (n_rows, K, ...) of models fitted without the row, by its hash."""
        X = X if self.form is None or is_table(X) else self.form(X)
        folds = fold_numbers(hashes, self.n_folds)
        shape = self.y_shape if self.classes is None else (len(self.classes),)
        predictions = np.empty((len(folds), len(self.names), *shape))
        known = {}  # clones with the same fit are one model
        for k, (name, models) in enumerate(zip(self.names, self.models, strict=True)):
            for fold in np.unique(folds) if len(models) > 1 else [0]:
                rows = folds == fold if len(models) > 1 else slice(None)
                model = models[fold]
                if (id(model), fold) not in known:
                    known[id(model), fold] = expert_prediction(
                        name, model, X[rows], shape, self.classes
                    )
                predictions[rows, k] = known[id(model), fold]
        return predictions


def fold_numbers(hashes, n_folds):
    """The fold of each row, (n_rows,), by the hash of its content."""
    return ((hashes >> np.uint64(7)) % np.uint64(n_folds)).astype(np.intp)


@dataclass(frozen=True)
class Gathered:
    """Sums over rows, see ``Sums``, and the rows of each expert; those of two blocks add up."""

    value: float  # log-likelihood
    mass: np.ndarray  # (n_experts,): summed responsibilities
    # ``excess``, ``rows_gram``, ``pairs``: for the gate, as in ``Sums``.
    excess: np.ndarray
    rows_gram: np.ndarray
    pairs: np.ndarray | None
    own_rows: np.ndarray  # (n_experts,): number of the rows that are an expert's
    # (n_experts,) of RowSample: rows drawn by the responsibility of each expert: X, target,
    # predictions, responsibilities.
    own: np.ndarray
    is_separate = False

    @property
    def gate_mass(self):
        """Summed probabilities of the gate, (n_experts,)."""
        return np.maximum(self.mass - self.excess[-1], 0.0)

    __add__ = add_fields


def gather(block, parameters):
    """E-step on a block; a kernel for ``RowSource.reduce`` that returns Gathered.

    ``parameters`` are the mixture at the moment, FoldAnswers; how many rows to keep for each
    expert; the responsibility below which a row is not an expert's; and whether to sum the
    curvature of the gate.
    """
    (answers, n_kept, least, with_curvature), total = parameters, None
    for columns, shown, hashes, y, weight, *given in answers.over_rows(block):
        logits, log_density, predictions = given
        log_gate = log_softmax(logits)
        resp, log_norm = posterior(log_gate, log_density)
        proba, shares = np.exp(log_gate), round_shares(resp)
        design = np.column_stack([columns, np.ones(len(columns))])
        shares[shares <= NEGLIGIBLE_SHARE] = 0.0
        mass = shares * weight[:, None]
        ones, rows = np.ones(len(hashes), dtype=int), (shown, y, predictions, shares)
        part = Gathered(
            float(weight @ log_norm),
            weight @ resp,
            design.T @ ((resp - proba) * weight[:, None]),
            (design.T * weight) @ design,
            pair_grams(design, proba, weight) if with_curvature else None,
            np.count_nonzero((shares >= least) & (mass > 0), axis=0),
            np.array([RowSample(n_kept, hashes, own, ones, rows) for own in mass.T]),
        )
        total = part if total is None else total + part
    return total
