"""Coefficients of linear experts and of a softmax gate, by the names of the columns."""

from functools import partial
from numbers import Integral

import numpy as np
from scipy import special
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.utils import check_scalar

from .._experts.fitting import column_names, offers, split_last
from .._experts.rates import RateRegressor
from .._experts.solvers import is_multinomial
from .._numerics.columns import FEWEST_EFFECTS
from .by_regime import composition, groups_of, html_table, in_lines, text_table, under_headings
from .column_names import (
    FROM_MEAN,
    FROM_REFERENCE,
    IS_REFERENCE,
    coding_of_levels,
    columns_of,
    names_of_terms,
)

LINEAR_MODULE = "sklearn.linear_model"
SPREAD = "standard deviation of levels"
OTHERWISE = "expert_profiles(X, y) describes experts of any kind."
NOUGHT = 0.02  # of the errors, or of log-odds: a spread of levels that thousands of rows show
ROUNDING = 1e-12  # relative to the largest coefficient; smaller ones are printed as 0
OF_LOGARITHM = "logarithm of the prediction"
GATE_OF_ERRORS = (
    "The gate is not shown: within a regime it also chooses the size of the errors. "
    "coefficients(by='expert') has it for experts, and GateDisplay draws the regimes."
)


class CoefficientTable:
    """Coefficients of experts and gate; prints as a table and shows as HTML.

    Attributes
    ----------
    experts : list of str
        Names of the experts, or of the regimes, one column each.
    parts, terms : list of str
        For each row the linear predictor, such as the prediction, the log-odds of a class, the
        gate's log-odds against the first expert, or "errors"; and the column of X.
    values : ndarray of shape (n_rows, n_experts)
        In the units of X and y; NaN if the expert does not use the column.
    note : str
        Text below the table.
    """

    def __init__(self, experts, parts, terms, values, note=""):
        self.experts = experts
        self.parts = parts
        self.terms = terms
        self.values = values
        self.note = note
        self._under = under_headings

    def to_frame(self):
        """The table as a DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by part and term, with a column for each expert.
        """
        import pandas as pd

        index = pd.MultiIndex.from_arrays([self.parts, self.terms], names=["part", "term"])
        return pd.DataFrame(self.values, index=index, columns=self.experts)

    def _table(self):
        zero = ROUNDING * np.nanmax(np.abs(self.values), initial=0.0)
        rounded = np.where(np.abs(self.values) <= zero, 0, self.values)
        cells = [["" if each != each else f"{each:.4g}" for each in row] for row in rounded]
        return ["", *self.experts], self._under(self.parts, self.terms, cells)

    def __str__(self):
        text = text_table(*self._table())
        if self.note:
            return f"{text}\n\n{self.note}"
        return text

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(*self._table(), below=self.note.splitlines())


def coefficient_table(mixture, by):
    """The CoefficientTable of a fitted mixture; a ValueError if an expert is not linear."""
    experts = list(mixture.named_experts_)
    values = {}  # by part, term and expert
    for name, expert in mixture.named_experts_.items():
        for part, terms in _of_expert(mixture, name, expert).items():
            for term, value in terms.items():
                values.setdefault(part, {}).setdefault(term, {})[name] = value
    spread = _order_levels(mixture, values, column_names(mixture))
    gate = split_last(mixture.gate_)[1]
    note = ""
    values_of_gate = {}
    if len(experts) > 1 and gate.is_linear:
        values_of_gate = _of_gate(mixture, gate)
    elif len(experts) > 1:
        note = f"The gate, {type(gate).__name__}, has no coefficients."
    groups = groups_of(mixture, by)
    if groups.are_regimes:
        return _table_of_regimes(mixture, groups, values, values_of_gate, spread)
    scale = mixture.likelihood_.scale_
    is_pooled = mixture.likelihood_.averages_experts
    depends_on_row = mixture.likelihood_.scale_model_ is not None and not is_pooled
    if len(experts) > 1 and not (scale is None or depends_on_row or is_classifier(mixture)):
        values |= _of_errors(mixture, experts, scale.reshape(len(scale), -1))
    if values_of_gate:
        values[f"gate: log-odds against {experts[0]}"] = values_of_gate
    return _table(experts, values, spread, note)


def words_of_scale(likelihood):
    """What the scale of the errors is, and of what errors, two str."""
    if likelihood.is_robust:
        kind = "scale"
    else:
        kind = "standard deviation"
    return kind, "errors of the logarithm" if likelihood.changes_target else "errors"


def _of_errors(mixture, names, scales):
    """Scales (n_groups, n_outputs) of the errors, by part, term and name."""
    kind, part = words_of_scale(mixture.likelihood_)
    terms = [f"{kind}, output {j}" if len(scales.T) > 1 else kind for j in range(len(scales.T))]
    each = zip(terms, scales.T, strict=True)
    return {part: {term: dict(zip(names, scale, strict=False)) for term, scale in each}}


def _order_levels(mixture, values, names):
    """Sort levels that are random effects, in ``values``; standard deviations by column."""
    load = dict(zip(mixture.named_experts_, mixture.expert_load_, strict=True))
    spread = {}
    for _, levels, of_column in levels_and_spread(mixture, names):
        for part, terms in values.items():
            effects = {
                name: sum(load[expert] * value for expert, value in terms[name].items())
                for name in levels
                if name in terms
            }
            ordered = iter(sorted(effects, key=effects.get))
            in_order = [next(ordered) if term in effects else term for term in terms]
            values[part] = {term: terms[term] for term in in_order}
        spread |= of_column
    return spread


def levels_and_spread(mixture, names):
    """Name, levels, and standard deviation by name, of each column that is a random effect."""
    likelihood = mixture.likelihood_
    if likelihood.columns_ is None or likelihood.columns_.block is None:
        return
    columns = columns_of(mixture.experts_[np.argmax(likelihood.pooled_)], names)
    prior = likelihood.own_var_ + likelihood.shared_var_
    is_level, variances = likelihood.columns_.of_levels(prior)
    if is_classifier(mixture):
        n_classes = len(mixture.classes_)
    else:
        n_classes = 0
    for level, variance in zip(is_level.T, variances, strict=True):
        places = np.flatnonzero(level)
        spread = {}
        if len(places) < FEWEST_EFFECTS:
            continue
        levels = [columns.names[j] for j in places]
        label = columns.category[places[0]]
        for m, square in enumerate(variance[:1] if n_classes else variance):
            if len(variance) > 1 and not n_classes:
                name = f"{label}, output {m}"
            else:
                name = label
            spread[name] = np.sqrt(square * (2 if n_classes > 2 else 1))  # of log-odds of two
        yield label, levels, spread


def shortened(table, mixture, max_rows):
    """The table, which prints so many rows, and one for levels of a column that do not matter."""
    if max_rows is not None:
        check_scalar(max_rows, "max_rows", Integral, min_val=1)
    scale = mixture.likelihood_.scale_
    gate = mixture.gate_
    names = column_names(mixture)
    nought = {}
    unit = 1.0 if scale is None else np.min(scale)
    of_experts = levels_and_spread(mixture, names)
    found = [(False, *names, max(spread.values()), unit) for *names, spread in of_experts]
    if mixture.likelihood_.averages_experts and offers(split_last(gate)[1], "prior_precision"):
        terms = names_of_terms(mixture, gate)
        precision = split_last(gate)[1].prior_precision()
        sd = columns_of(gate, names).slope * np.sqrt(2 / precision)  # of log-odds of two experts
        for label, (levels, _) in coding_of_levels(mixture, gate).items():
            found.append((True, label, [terms[j] for j in levels], sd[levels].max(), 1.0))
    for of_gate, label, levels, sd, unit in found:
        if sd < NOUGHT * unit and len(levels) >= FEWEST_EFFECTS:
            line = f"{label}: {len(levels)} levels, none matters, sd {sd:.1g}"
            nought |= dict.fromkeys([(of_gate, level) for level in levels], line)
    table._under = partial(under_headings, nought=nought, max_rows=max_rows)
    return table


def _table(names, values, spread, note):
    """A table of values of each part and term, by the names of its columns."""
    values |= {SPREAD: {of: dict.fromkeys(names, sd) for of, sd in spread.items()}}
    rows = [(part, term, row) for part, terms in values.items() for term, row in terms.items()]
    notes = []
    if any(term.endswith(IS_REFERENCE) for _, term, _ in rows):
        notes.append(FROM_REFERENCE)
    notes += [FROM_MEAN.format(column) for column in values.get(SPREAD, ())]
    parts, terms, rows = map(list, zip(*rows, strict=True))
    shown = np.array([[row.get(name, np.nan) for name in names] for row in rows])
    return CoefficientTable(names, parts, terms, shown, "\n".join(filter(None, [*notes, note])))


def _table_of_regimes(mixture, groups, values, values_of_gate, spread):
    """The same for regimes: slopes, mean level and size of the errors, and gate between them."""
    experts = list(mixture.named_experts_)
    load = mixture.expert_load_
    likelihood = mixture.likelihood_
    of_regimes = {}
    variances = []

    def by_name(of_groups):
        return dict(zip(groups.names, of_groups, strict=True))

    for part, terms in values.items():
        rows = {
            term: np.array([row.get(name, np.nan) for name in experts])
            for term, row in terms.items()
        }
        through_log = part.startswith(OF_LOGARITHM)
        of_regimes[part] = {
            term: by_name(_mean(groups, row, load, through_log)) for term, row in rows.items()
        }
        if likelihood.scale_ is not None:
            scale = likelihood.scale_.reshape(len(experts), -1)[:, len(variances)]
            variances.append(groups.error_variance(rows["intercept"][None], load[None], scale)[0])
    if variances:
        of_regimes |= _of_errors(mixture, groups.names, np.sqrt(np.stack(variances, axis=1)))
    note = [composition(groups, experts)]
    gate = split_last(mixture.gate_)[1]
    if likelihood.offset_var_ is None and gate.sees_rows:
        note.append(in_lines(GATE_OF_ERRORS))
    elif len(groups.names) > 1:
        of_gate = {}
        for term, row in values_of_gate.items():
            row = np.array(list(row.values()))
            if term == "intercept":
                row = special.logsumexp(row[:, None], axis=0, b=groups.members)
            else:  # the same for all experts of a regime
                row = _mean(groups, row, load)
            of_gate[term] = by_name(row - row[0])
        of_regimes[f"gate: log-odds against {groups.names[0]}"] = of_gate
    return _table(groups.names, of_regimes, spread, "\n".join(note))


def _mean(groups, values, load, through_log=False):
    """Means (n_groups,) of values (n_experts,), by load; of logarithms, those of exponentials."""
    shares = groups.shares(load)
    if through_log:
        return special.logsumexp(values[:, None], axis=0, b=shares[:, None] * groups.members)
    of_others = np.where(groups.sum(np.isnan(values)) > 0, np.nan, 0.0)  # which lack the column
    return groups.sum(shares * np.nan_to_num(values)) + of_others


def _in_raw_units(mixture, estimator, coef, intercept):
    """Coefficients (n, n_columns) and intercepts (n,) by term, in the units of X."""
    columns = columns_of(estimator, column_names(mixture))
    intercept = intercept + coef @ columns.shift
    coef = coef * columns.slope
    for levels, reference in coding_of_levels(mixture, estimator).values():
        origin = coef[:, levels if reference is None else [reference]].mean(axis=1)
        coef[:, levels] -= origin[:, None]
        intercept = intercept + origin
    terms = names_of_terms(mixture, estimator)
    return {"intercept": intercept} | dict(zip(terms, coef.T, strict=True))


def _of_gate(mixture, gate):
    if not gate.sees_rows:
        log_odds = np.log(gate.proportions_)
        terms = {"intercept": log_odds - log_odds[0]}
    else:
        coef = gate.coef_ - gate.coef_[0]
        intercept = gate.intercept_ - gate.intercept_[0]
        terms = _in_raw_units(mixture, mixture.gate_, coef, intercept)
    experts = list(mixture.named_experts_)
    return {term: dict(zip(experts, row, strict=True)) for term, row in terms.items()}


def _of_expert(mixture, name, expert):
    """Value of each term of an expert, by part."""
    if isinstance(expert, FrozenEstimator):
        expert = expert.estimator
    last = split_last(expert)[1]
    of_rates = isinstance(last, RateRegressor)
    if of_rates:
        last = last.classifier_
    known = any(kind.__module__.startswith(LINEAR_MODULE) for kind in type(last).mro())
    if not (known and offers(last, "coef_") and isinstance(last.coef_, np.ndarray)):
        raise ValueError(
            f"The expert {name!r} has no coefficients: {type(last).__name__} is no linear model of "
            f"scikit-learn. {OTHERWISE}"
        )
    coef = np.atleast_2d(last.coef_)
    intercept = np.atleast_1d(last.intercept_)
    if is_classifier(mixture):
        parts, coef, intercept = _log_odds_against_first(mixture, name, last, coef, intercept)
    else:
        if of_rates:
            part = "log-odds of success"
        else:
            part = predicted(mixture.likelihood_, last)
        if len(coef) > 1:
            parts = [f"{part}, output {j}" for j in range(len(coef))]
        else:
            parts = [part]
    terms = _in_raw_units(mixture, expert, coef, np.broadcast_to(intercept, len(coef)))
    return {part: {term: value[j] for term, value in terms.items()} for j, part in enumerate(parts)}


def predicted(likelihood, last):
    """Name of the linear predictor of a regressor."""
    if likelihood.changes_target:
        return "logarithm of the target"
    log_links = isinstance(last, PoissonRegressor | GammaRegressor) or (
        isinstance(last, TweedieRegressor)
        and (last.link == "log" or (last.link == "auto" and last.power > 0))
    )
    if log_links:
        return OF_LOGARITHM
    return "prediction"


def _log_odds_against_first(mixture, name, last, coef, intercept):
    """Log-odds of each class against the first, as they are printed and as coefficients."""
    first, *others = mixture.classes_.tolist()
    parts = [f"log-odds of {label} against {first}" for label in others]
    same = np.array_equal(last.classes_, mixture.classes_)
    multinomial = len(others) == 1 or (offers(last, "solver") and is_multinomial(last))
    if not (same and multinomial):
        raise ValueError(
            f"The expert {name!r} has no log-odds of all classes against one: it has seen the "
            f"classes {last.classes_.tolist()}, or sets each against all others."
        )
    if len(others) == 1:
        return parts, coef, intercept
    return parts, coef[1:] - coef[0], intercept[1:] - intercept[0]
