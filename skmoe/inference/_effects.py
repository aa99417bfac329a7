"""Average marginal effects of columns, with standard errors by the delta method."""

import time

import numpy as np
from scipy import sparse, special
from sklearn.base import is_classifier

from .._experts.fitting import split_last
from .._experts.prediction import columns_seen, have_common_transformers
from .._numerics.multinomial import log_softmax
from .._reports.by_regime import first_of, in_lines
from .._reports.expert_report import in_order
from .._tables.known import check_weights
from .._tables.mixed import is_table, take_rows
from .._validation import check_fitted
from ..exceptions import warn_if_long
from ..gates import SoftmaxGate
from ..inspection._axes import Axis, PlottedColumns
from ._bootstrap import EstimateTable, bootstrap_covariance
from ._estimates import OTHERWISE, raw_parameters
from ._posterior import NOT_NORMAL, estimates_of
from ._summary import check_options, kind_of_errors

STEP = 1e-5  # of a column of numbers, in standard deviations
SMALLEST_STEP = 1e-10  # of the largest of its values
JUMP = 1e3  # such steps, above which a column counts as one of categories
NOT_ESTIMABLE = 1e-6  # standard deviations
MOST_LEVELS = 200
LARGEST_MISMATCH = 1e-2  # of means, in standard deviations of the target given the columns


class MarginalEffects(EstimateTable):
    r"""Average marginal effects with standard errors; prints as a table and shows as HTML.

    Parameters
    ----------
    quantities, columns : list of str
        The quantity, such as "mean", and the column of X; for a column of categories, with the
        two levels.
    effect : ndarray of shape (n_effects,)
        Averages over rows. NaN (n/a in print) for effects that the rows do not identify.
    cov : ndarray of shape (n_effects, n_effects)
        Covariance of the effects, by the delta method.
    kind : {"observed", "sandwich", "posterior", "bootstrap"}
        Covariance of the parameters; see :class:`MixtureSummary`.
    has_tests : bool
        Whether there are tests; with pooling there are none.
    level : float
        Level of the confidence intervals.
    n_rows : float
        Weight of the rows in the averages.
    notes : sequence of str, default=()
        Which columns have no effects, and why.
    df : float, default=inf
        Degrees of freedom of Student's t for the intervals.

    Attributes
    ----------
    std_error : ndarray of shape (n_effects,)
        Square roots of the diagonal of ``cov``.
    z, p_value : ndarray of shape (n_effects,)
        Wald's statistics for the hypothesis that an effect is zero, and their two-sided p-values;
        NaN without tests.
    lower, upper : ndarray of shape (n_effects,)
        Ends of the intervals: of Student's t where ``df`` is finite, else normal ones.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.marginal_effects : Computes it.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(
    ...     {
    ...         "dose": rng.uniform(-2, 2, size=300),
    ...         "sex": rng.choice(["f", "m"], size=300, p=[0.6, 0.4]),
    ...     }
    ... )
    >>> responds = rng.uniform(size=300) < np.where(X["sex"] == "m", 0.7, 0.3)
    >>> y = np.where(responds, 2 + 2 * X["dose"], 0) + 0.5 * rng.normal(size=300)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0)
    >>> effects = moe.fit(X, y).marginal_effects(X, y)
    >>> print(effects)
                                     effect  std_error      z  p_value     2.5 %   97.5 %
    mean
      dose                           0.7807     0.0808   9.66   <0.001    0.6223   0.9392
      sex: m against f                0.832      0.154   5.42   <0.001     0.531    1.133
    gate: probability of expert0
      dose                         0.001511     0.0266   0.06    0.955  -0.05057  0.05359
      sex: m against f              -0.3888     0.0608  -6.39   <0.001    -0.508  -0.2696
    gate: probability of expert1
      dose                        -0.001511     0.0266  -0.06    0.955  -0.05359  0.05057
      sex: m against f               0.3888     0.0608   6.39   <0.001    0.2696    0.508
    expert0: mean
      dose                         -0.04552     0.0344  -1.32    0.186    -0.113  0.02193
      sex: m against f             -0.01385     0.0984  -0.14    0.888   -0.2067    0.179
    expert1: mean
      dose                            1.956     0.0391  49.96   <0.001     1.879    2.032
      sex: m against f              -0.1535     0.0899  -1.71    0.088   -0.3298  0.02269
    <BLANKLINE>
    averages over 300 rows, which are taken as given
    standard errors from the observed information
    """

    value = "effect"
    index = {"quantity": "quantities", "column": "columns"}

    def __init__(
        self,
        quantities,
        columns,
        effect,
        cov,
        *,
        kind,
        has_tests,
        level,
        n_rows,
        notes=(),
        df=np.inf,
    ):
        self.quantities = quantities
        self.columns = columns
        self.kind = kind
        self.level = level
        self.notes = tuple(notes)
        self.has_tests = has_tests
        self.n_rows = n_rows
        self.df = df
        self._set(effect, cov, tested=np.diag(cov) > 0, df=df)

    def _lines(self):
        return (
            f"averages over {self.n_rows:g} rows, which are taken as given",
            kind_of_errors(self),
            *self.notes,
        )


def marginal_effects(mixture, X, y, sample_weight, metadata, cov, level):
    """Effects of a fitted mixture; parameters are those of its method."""
    check_fitted(mixture)
    check_options(mixture, cov, level)
    if sparse.issparse(X):
        raise TypeError("marginal_effects takes dense X: pass X.toarray().")
    is_pooled = mixture.likelihood_.averages_experts
    estimates = estimates_of(mixture, X, y, sample_weight, metadata)
    lacks = [slice(0)] * 2
    more = []
    if cov == "bootstrap":  # columns without a coefficient have 0
        *found, more = bootstrap_covariance(mixture, X, y, sample_weight, metadata)
        raw, covariance = map(np.nan_to_num, found)
        of_experts, of_gate = estimates.split_raw(np.isnan(np.diag(found[1])) & ~np.isnan(found[0]))
        lacks = of_experts[0].any(axis=0)[: len(estimates.columns.to_raw)], of_gate.any(axis=0)
    else:
        raw, covariance, _, are_known = estimates.found(cov == "sandwich")
    rows = estimates.rows
    used = np.flatnonzero(estimates.rows.weight)
    weight = check_weights(sample_weight, rows.X)[used]
    if rows.exposure is None:
        exposure = None
    else:
        exposure = rows.exposure[used]
    changes = Changes(mixture, estimates, take_rows(rows.X, used), weight, lacks)
    if not is_pooled:
        fitted = Averages(mixture, estimates, raw_parameters(mixture), exposure)
        _check_means(mixture, rows, used, fitted.means(changes.base))
    averages = Averages(mixture, estimates, raw, exposure)
    found = []  # for each change and quantity that it changes
    for name, after, before, share in changes.each():
        pairs = zip(averages.at(after, share), averages.at(before, share), strict=True)
        effect, slope = (a - b for a, b in pairs)
        if not changes.is_estimable(after, before, share):
            effect[:] = np.nan
        found += [(i, name, effect[i], slope[i]) for i in np.flatnonzero(slope.any(axis=1))]
    if not found:
        why = " ".join(["experts and gate depend on no column of X.", *changes.notes()])
        raise ValueError(f"There are no effects: {why}")
    quantity, columns, effect, slopes = zip(*sorted(found, key=lambda row: row[0]), strict=True)
    effect = np.array(effect)
    slopes = np.array(slopes)
    if cov == "bootstrap":
        known = slopes.any(axis=1)
    else:
        known = are_known(slopes)
    unknown = ~known
    notes = changes.notes() + more
    if is_pooled and unknown.any():
        notes.append(in_lines(NOT_NORMAL))
    elif not is_pooled:
        effect[unknown] = np.nan
    if np.isnan(effect).any() and not more:
        notes.append("n/a: collinear with other columns, or hardly determined by the rows")
    unknown |= np.isnan(effect)
    cov_of_effects = slopes @ covariance @ slopes.T
    cov_of_effects[unknown] = cov_of_effects[:, unknown] = np.nan
    return MarginalEffects(
        [averages.names[i] for i in quantity],
        list(columns),
        effect,
        cov_of_effects,
        kind="posterior" if is_pooled and cov == "observed" else cov,
        has_tests=not is_pooled,
        level=level,
        n_rows=float(weight.sum()),
        notes=notes,
        df=np.max(estimates.degrees_of_freedom(cov == "sandwich")),
    )


def _check_means(mixture, rows, used, means):
    """Raise a ValueError if the terms do not have the mean that the mixture predicts."""
    model = mixture._model
    if is_classifier(mixture):
        predicted = model.proba(rows.X)
        scale = 1.0
    else:
        distribution = model.distribution(rows.X, rows.exposure)
        predicted = distribution.mean()
        scale = distribution.std().mean()
    gap = np.abs(means - predicted.reshape(len(predicted), -1)[used]).mean()
    if not gap <= LARGEST_MISMATCH * scale:
        raise ValueError(
            f"The terms of {mixture.likelihood_} do not have the mean that the mixture predicts: "
            f"they differ by {gap:.3g} on average. Give them mean_of. {OTHERWISE}"
        )


class Averages:
    """Averages of the mean, of the probabilities of the experts or regimes, and of their means.

    ``raw`` are parameters as of ``raw_parameters``; means are multiplied by ``exposure`` (n,).
    ``names`` are those of the averages.
    """

    def __init__(self, mixture, estimates, raw, exposure=None):
        self.terms = estimates.terms
        n_columns = len(estimates.columns.to_raw)
        self.exposure = exposure
        of_experts, self.gate_coef = estimates.split_raw(raw)
        self.coef = of_experts[:, :, :n_columns]
        self.beside = of_experts[:, :, n_columns:].swapaxes(1, 2)
        regime = mixture.likelihood_.regime_
        if regime is None:
            regime = list(range(len(of_experts)))
        else:
            regime = in_order(regime)
        self.members = [np.flatnonzero(np.equal(regime, r)) for r in range(max(regime) + 1)]
        self.names = self._names(mixture)

    def _names(self, mixture):
        if is_classifier(mixture):
            outputs = [f"probability of {label}" for label in mixture.classes_.tolist()]
        else:
            n_outputs = self.coef.shape[1]
            outputs = [f"mean of output {c}" for c in range(n_outputs)]
            if n_outputs == 1:
                outputs = ["mean"]
        if len(self.members) == 1:
            return outputs
        experts = list(mixture.named_experts_)
        names = [", ".join(experts[k] for k in members) for members in self.members]
        if len(names) < len(experts):
            names = [f"regime{r} ({each})" for r, each in enumerate(names)]
        of_gate = [f"gate: probability of {name}" for name in names]
        return outputs + of_gate + [f"{name}: {output}" for name in names for output in outputs]

    def means(self, seen):
        """Mean of each row, (n_samples, n_outputs).

        ``seen`` are the columns of experts and gate, after a column of ones.
        """
        log_gate, means, _ = self._predict(seen)
        return np.einsum("nk,nkc->nc", np.exp(log_gate), means)

    def _predict(self, seen):
        """Log-probabilities (n, K), means (n, K, n_outputs) and, by expert, slopes of these."""
        log_odds = seen[1] @ self.gate_coef.T
        log_gate = log_softmax(np.column_stack([np.zeros(len(log_odds)), log_odds]))
        if self.exposure is None:
            unit = 1.0
        else:
            unit = self.exposure[:, None, None]
        means = []
        slopes = []
        for coef, beside in zip(self.coef, self.beside, strict=True):
            predictors = seen[0] @ coef.T
            means.append(self.terms.mean_of(predictors, beside))
            slopes.append([each * unit for each in self.terms.slopes_of_mean(predictors, beside)])
        return log_gate, np.stack(means, axis=1) * unit, slopes

    def at(self, seen, weight):
        """Weighted sums over rows, in the order of ``names``.

        ``seen`` is as of ``means``. Returns the sums, and their derivatives by the parameters,
        (n_names, n_parameters).
        """
        log_gate, means, slopes = self._predict(seen)
        proba = np.exp(log_gate)
        sums = []
        gradients = []
        for output, values, by_log_proba, by_mean in self._each(log_gate, means):
            beyond = by_log_proba - proba * by_log_proba.sum(axis=1, keepdims=True)
            parts = []
            for of_expert, (by_predictors, *by_beside) in zip(by_mean.T, slopes, strict=True):
                share = (weight * of_expert)[:, None]
                of_coef = (share * by_predictors[:, output]).T @ seen[0]
                of_beside = [(share * each[:, output]).sum(axis=0) for each in by_beside]
                parts.append(np.column_stack([of_coef, *of_beside]).ravel())
            of_gate = (weight[:, None] * beyond)[:, 1:].T @ seen[1]
            sums.append(weight @ values)
            gradients.append(np.concatenate([*parts, of_gate.ravel()]))
        return np.array(sums), np.array(gradients)

    def _each(self, log_gate, means):
        """Output, values of the rows (n,) and their derivatives (n, K), for each average.

        By the logarithm of each expert's probability, and by its mean.
        """
        proba = np.exp(log_gate)
        nothing = np.zeros(log_gate.shape)
        outputs = range(means.shape[2])
        for c in outputs:
            yield c, (proba * means[:, :, c]).sum(axis=1), proba * means[:, :, c], proba
        if len(self.members) == 1:
            return
        for members in self.members:
            by_log_proba = nothing.copy()
            by_log_proba[:, members] = proba[:, members]
            yield 0, by_log_proba.sum(axis=1), by_log_proba, nothing
        for members in self.members:
            share = nothing.copy()
            share[:, members] = special.softmax(log_gate[:, members], axis=1)
            for c in outputs:
                values = (share * means[:, :, c]).sum(axis=1)
                yield c, values, share * (means[:, :, c] - values[:, None]), share


class Changes:
    """Changes of the columns of X, checked rows of positive weight, one or several for each.

    ``base`` are the columns of experts and gate, after a column of ones, a pair, and ``lacks`` says
    which of them have coefficients without a variance. After ``each``, ``unseen`` and ``too_many``
    name columns without a change: those that experts and gate do not use, or only in steps, and
    those with more than ``MOST_LEVELS`` levels.
    """

    def __init__(self, mixture, estimates, X, weight, lacks):
        if not is_table(X) and X.dtype == np.float32:
            X = X.astype(np.float64)
        self.columns = PlottedColumns(X)
        self.weight = weight
        self.mixture = mixture
        self.base = self._seen(self.columns.X)
        self.unseen = []
        self.too_many = []
        self.units = [np.where(part.std(axis=0) > 0, part.std(axis=0), 1.0) for part in self.base]
        both = (estimates.columns, estimates.gate_columns)
        self.lacks = lacks
        self.recode = [
            None if each.kept.all() else each.to_raw @ each.from_raw for each in both
        ]  # identified coefficients

    def _seen(self, X):
        experts = self.mixture.experts_[0]
        gate = self.mixture.gate_
        ones = np.ones((len(self.weight), 1))
        of_experts = np.hstack([ones, columns_seen(experts, X)])
        if not isinstance(split_last(gate)[1], SoftmaxGate):
            return of_experts, ones
        if have_common_transformers([experts, gate]):
            return of_experts, of_experts
        return of_experts, np.hstack([ones, columns_seen(gate, X)])

    def each(self):
        """Yield each change: name, columns after and before, and weights of the rows.

        Names of categories include the levels. The weighted sum of differences is the effect.
        """
        began = time.monotonic()
        was_long = False
        n_columns = self.columns.n_columns
        for j in range(n_columns):
            total = (time.monotonic() - began) / max(j, 1) * n_columns
            quicker = "a sample of the rows, in fit and here"
            was_long = was_long or warn_if_long("The effects", total, quicker, is_told=True)
            axis = Axis(self.columns, j, 2)
            yield from self._of_numbers(axis) if axis.labels is None else self._of_levels(axis)

    def _of_numbers(self, axis):
        known = np.isfinite(axis.values)
        values = axis.values[known]
        weight = np.where(known, self.weight, 0.0)
        if not weight.any():
            self.unseen.append(axis.name)
            return
        mean = np.average(values, weights=weight[known])
        spread = np.sqrt(np.average((values - mean) ** 2, weights=weight[known]))
        step = max(STEP * spread, SMALLEST_STEP * np.abs(values).max()) or STEP
        ends = axis.values + step, axis.values - step
        try:
            after, before = (self._put(axis, end) for end in ends)
        except ValueError:  # of an encoder, without this number
            yield from self._of_levels(axis)
            return
        jumping = self._jumps(axis, (after, before), step, JUMP * step / (spread or 1.0))
        if jumping > 0.5:
            yield from self._of_levels(axis)
        elif jumping > 0 or _are_same(after, before):
            self.unseen.append(axis.name)
        else:
            gap = np.where(known, ends[0] - ends[1], 1.0)
            yield axis.name, after, before, weight / weight.sum() / gap

    def _jumps(self, axis, ends, step, limit):
        """Share of the rows that change after half a step, but not by half."""
        jumps = np.zeros(len(self.weight), dtype=bool)
        for sign, end in zip((1, -1), ends, strict=True):
            whole = self._change(end)
            if (whole > limit).any():
                half = self._change(self._put(axis, axis.values + sign * step / 2))
                jumps |= (whole > limit) & (np.abs(half - whole / 2) > whole / 4)
        return np.average(jumps, weights=self.weight)

    def _change(self, seen):
        """Largest change of each row, in standard deviations."""
        parts = zip(seen, self.base, self.units, strict=True)
        return np.max([np.abs((part - base) / unit).max(axis=1) for part, base, unit in parts], 0)

    def _of_levels(self, axis):
        known = np.isfinite(axis.values)
        places, number = np.unique(axis.values[known], return_inverse=True)
        often = np.bincount(number, self.weight[known], len(places)).argmax()
        before = self._put(axis, np.full(len(known), places[often]))
        if _are_same(before, self.base):
            self.unseen.append(axis.name)
            return
        if len(places) > MOST_LEVELS:
            self.too_many.append(axis.name)
            return
        labels = [f"{place:g}" for place in places]
        if axis.labels is not None:
            labels = [axis.labels[int(place)] for place in places]
        weight = self.weight / self.weight.sum()
        for place, label in zip(places, labels, strict=True):
            if place != places[often]:
                after = self._put(axis, np.full(len(known), place))
                yield f"{axis.name}: {label} against {labels[often]}", after, before, weight

    def _put(self, axis, values):
        return self._seen(axis.put(self.columns.X.copy(), values))

    def is_estimable(self, after, before, weight):
        """Whether the change depends only on identified coefficients."""
        parts = zip(after, before, self.units, self.recode, self.lacks, strict=True)
        for a, b, unit, recode, lacks in parts:
            change = (a - b)[weight > 0]
            if change[:, lacks].any():
                return False
            if recode is None:
                continue
            beyond = np.abs(change @ recode - change)
            size = np.abs(change / unit).max()
            if (beyond / unit).max() > NOT_ESTIMABLE * size:
                return False
        return True

    def notes(self):
        """Lines about the columns without a change."""
        notes = []
        if self.unseen:
            notes.append(
                f"left out: {first_of(self.unseen)}, not used by experts and gate, or only in steps"
            )
        if self.too_many:
            notes.append(f"left out: {first_of(self.too_many)}, of more than {MOST_LEVELS} levels")
        return notes


def _are_same(seen, other):
    return all(np.array_equal(a, b) for a, b in zip(seen, other, strict=True))
