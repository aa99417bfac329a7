"""Profiles: columns in which the rows of an expert differ from others, and a typical row."""

import html
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length

from .._tables.encoding import DescribedColumns
from .._tables.mixed import check_table, is_missing, is_table
from .by_regime import html_table, in_lines, text_table

LEAST_SHARE = 5e-4  # of the rows, for more than a line
LEAST_DIFFERENCE = 0.1  # in standard deviations; smaller ones are not printed
MOST_LINES = 5  # lines printed for an expert
MOST_CLASSES = 3
HEADER = ["", "its rows", "other rows", "difference", "lift"]
NOTE = "difference: in standard deviations of all rows"
NOTE_ON_LIFT = ";\nlift: share among its rows over that among all"


@dataclass
class Profile:
    """One expert and its rows.

    Attributes
    ----------
    expert : str
        Name of the expert, or of the regime.
    share : float
        Share of all rows, by weight.
    rows : float
        Number of these rows.
    prediction : ndarray of shape (n_outputs,) or (n_classes,)
        Mean prediction for its rows; for classifiers, of the probabilities.
    target : ndarray of the same shape, or None
        Observed mean of its rows.
    typical : label
        Index of the row of X that is closest to the average of its rows.
    typical_values : dict of str to object
        Values of that row.
    features : dict of str to ndarray
        A value for each number and for each level of other columns, the largest difference first;
        see ``ExpertProfiles.to_frame``. ``column`` is the column to which each belongs.
    """

    expert: str
    share: float
    rows: float
    prediction: np.ndarray
    target: np.ndarray | None
    typical: object
    typical_values: dict = field(repr=False)
    features: dict = field(repr=False)

    def shown(self):
        """Numbers of the features to print: those of the largest differences.

        Without those that chance explains for this number of rows; one for a column of two levels,
        two for a column of more.
        """
        if self.share > 0:
            others = self.rows / self.share - self.rows
        else:
            others = 0.0
        if not others > 0:
            return []
        least = max(LEAST_DIFFERENCE, 2 * np.sqrt(1 / self.rows + 1 / others))
        n_levels = Counter(self.features["column"][np.isfinite(self.features["lift"])])
        shown = []
        n_shown = Counter()
        for i, column in enumerate(self.features["column"]):
            if n_levels[column] == 2:
                most = 1
            else:
                most = 2
            if abs(self.features["difference"][i]) >= least and n_shown[column] < most:
                shown.append(i)
                n_shown[column] += 1
        return shown[:MOST_LINES]


class ExpertProfiles:
    """Profiles of the rows of each expert; prints as a table and shows as HTML.

    Attributes
    ----------
    profiles : list of Profile
        One for each expert, or regime, the largest first.
    outputs : list of str
        Names of the classes, or of the outputs of y.
    of_classes : bool
        Whether predictions are probabilities.
    kind : {"expert", "regime"}
        Whether experts or regimes have profiles.
    notes : list of str
        Notes on the fit, in sentences.
    """

    def __init__(self, profiles, outputs, of_classes, kind="expert", notes=()):
        self.profiles = profiles
        self.outputs = outputs
        self.of_classes = of_classes
        self.kind = kind
        self.notes = list(notes)

    def to_frame(self):
        """All differences as a DataFrame; only the largest ones are printed.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by expert or regime, and feature, as ``age``, ``kind=low`` or ``age missing``.
            ``inside`` and ``outside``: mean, or share of the level, among the rows of the expert
            and among all others, weighted by responsibilities. ``difference``: their difference,
            in standard deviations of all rows. ``lift``: share of the level among the rows of the
            expert, divided by that among all rows; NaN for numbers.
        """
        import pandas as pd

        names = ("inside", "outside", "difference", "lift")
        frames = {
            profile.expert: pd.DataFrame(
                {name: profile.features[name] for name in names}, index=profile.features["feature"]
            )
            for profile in self.profiles
        }
        return pd.concat(frames, names=[self.kind, "feature"])

    def _headline(self, profile):
        if profile.share > LEAST_SHARE:
            predicts = f", predicts {self._answer(profile)}"
        else:
            predicts = ""
        share = f"{_percent(profile.share)} of the rows ({profile.rows:.0f})"
        return f"{profile.expert}: {share}{predicts}"

    def _answer(self, profile):
        """Mean prediction of an expert for its rows, with the observed mean in brackets."""
        predicted = profile.prediction
        observed = profile.target
        places = range(len(predicted))
        if self.of_classes:
            places = np.argsort(-predicted, kind="stable")[:MOST_CLASSES]
        if self.of_classes:
            show = _percent
        else:
            show = _number
        if len(predicted) > 1:
            names = [f"{name} " for name in self.outputs]
        else:
            names = [""]
        text = ", ".join(names[j] + show(predicted[j]) for j in places)
        if not self.of_classes:
            text += " on average"
        if observed is None:
            return text
        return f"{text} (observed {', '.join(show(observed[j]) for j in places)})"

    def _cells(self, profile):
        """Cells of the features to print."""
        features = profile.features
        cells = []
        for i in profile.shown():
            is_level = np.isfinite(lift := features["lift"][i])
            if is_level:
                show = _percent
            else:
                show = _number
            cells.append(
                [
                    "  " + features["feature"][i],
                    show(features["inside"][i]),
                    show(features["outside"][i]),
                    f"{features['difference'][i]:+.1f}",
                    ("<0.01" if lift < 0.01 else f"{lift:.2g}") if is_level else "",
                ]
            )
        return cells

    def _below(self, profile):
        """Line below the features of an expert."""
        if profile.share < LEAST_SHARE:
            return []
        shown = [profile.features["column"][i] for i in profile.shown()]
        columns = list(dict.fromkeys([*shown, *profile.typical_values]))
        values = [f"{name} {_value(profile.typical_values[name])}" for name in columns[:MOST_LINES]]
        if shown or len(self.profiles) == 1:
            alike = []
        else:
            alike = ["no column distinguishes its rows"]
        return [*alike, f"typical row {profile.typical}: {', '.join(values)}"]

    def __str__(self):
        cells = [self._cells(profile) for profile in self.profiles]
        header, *table = text_table(HEADER, sum(cells, [])).split("\n")
        if table:
            text = [header]
        else:
            text = []
        for profile, of_expert in zip(self.profiles, cells, strict=True):
            text += [self._headline(profile), *table[: len(of_expert)]]
            text += [f"  {line}" for line in self._below(profile)]
            del table[: len(of_expert)]
        if any(cells):
            text += ["", self._note(cells)]
        if self.notes:
            text.append("")
        return "\n".join([*text, *map(in_lines, self.notes)])

    __repr__ = __str__

    def _repr_html_(self):
        cells = [self._cells(profile) for profile in self.profiles]
        tables = [
            html_table(HEADER, own, self._headline(each), self._below(each))
            for own, each in zip(cells, self.profiles, strict=True)
        ]
        below = [self._note(cells), *self.notes]
        return "".join([*tables, *(f"<p>{html.escape(each)}</p>" for each in below)])

    def _note(self, cells):
        return NOTE + NOTE_ON_LIFT * any(lift for *_, lift in sum(cells, []))


def _percent(share):
    if 0.0005 <= share < 0.00995:
        return f"{share:.1%}"
    return f"{share:.0%}"


def _number(value):
    if 1000 <= abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _value(value):
    if is_missing(value):
        return "missing"
    if isinstance(value, float | np.floating):
        return _number(value)
    return str(value)


# Where rows differ --------------------------------------------------------------------------------


def check_columns(table, X):
    """A table or array that describes the rows of X, checked."""
    table = check_table(table, sparse_ok=True, strings_ok=lambda: True)
    check_consistent_length(X, table)
    return table


def profile_experts(mixture, rows, groups, membership, table):
    """Profiles of all experts, or regimes, on some rows: ExpertProfiles.

    ``membership`` (n_samples, n_groups) are the responsibilities; ``table`` has the columns of the
    description. The target may be None.
    """
    if sparse.issparse(table):
        raise ValueError("expert_profiles needs dense columns: described_by=X.toarray().")
    model = replace(mixture._model, top_k=None)
    y = rows.y
    of_classes = is_classifier(mixture)
    if of_classes:
        outputs = [str(label) for label in mixture.classes_.tolist()]
        predictions = model.expert_proba(rows.X)
        if y is None:
            target = None
        else:
            target = np.eye(len(outputs))[y]
    else:
        predictions = model.distribution(rows.X, rows.exposure).components.mean
        predictions = predictions.reshape(len(membership), len(model.names), -1)
        outputs = [f"output {j}" for j in range(predictions.shape[2])]
        if y is not None and rows.bounds is None:
            target = y.reshape(len(y), -1)
        else:
            target = None
    if groups.are_regimes:
        predictions = groups.mean(predictions, model.routes(rows.X).weights)
    mass = membership * rows.weight[:, None]
    features, distance = _compare_group(table, mass, rows.weight)
    own = np.where(membership == membership.max(axis=1, keepdims=True), distance, np.inf)
    values = dict(_columns(table))
    profiles = []
    for k, name in enumerate(groups.names):
        share = mass[:, k] / max(mass[:, k].sum(), np.finfo(float).tiny)
        typical = int(np.argmin(own[:, k] if np.isfinite(own[:, k]).any() else distance[:, k]))
        profiles.append(
            Profile(
                name,
                float(mass[:, k].sum() / rows.weight.sum()),
                float(mass[:, k].sum()),
                share @ predictions[:, k],
                None if target is None else share @ target,
                table.index[typical] if is_table(table) else typical,
                {column: np.asarray(value)[typical] for column, value in values.items()},
                _sorted_features(features, k),
            )
        )
    profiles.sort(key=lambda profile: -profile.share)
    return ExpertProfiles(profiles, outputs, of_classes, groups.kind, mixture._short_notes)


def _sorted_features(features, k):
    """Features of expert k, the largest difference first."""
    of_expert = {
        name: values[:, k] if values.ndim == 2 else values for name, values in features.items()
    }
    difference = np.nan_to_num(of_expert["difference"])
    order = np.lexsort((-difference, -np.abs(difference).round(9)))  # the larger of equal ones
    return {name: values[order] for name, values in of_expert.items()}


def _columns(X):
    """Name and values of each column."""
    if is_table(X):
        return [(str(name), X[name]) for name in X.columns]
    return [(f"x{j}", X[:, j]) for j in range(X.shape[1])]


def _compare_group(X, mass, weight):
    """Means and shares of all columns among the rows of each expert and among the others.

    Returns a dict of ``feature`` and ``column`` (n_features,), and ``inside``, ``outside``,
    ``difference`` and ``lift`` (n_features, n_experts); and the distance of each row from the
    average of each expert, summed over the columns.
    """
    described = DescribedColumns(X, weight)
    left_out = sum(described.of_no_use(), [])
    distance = np.zeros(mass.shape)
    parts = []
    for label, (name, column) in zip(described.labels, _columns(X), strict=True):
        if label in left_out:
            continue
        has_levels = label in described.strings or column.dtype == bool
        if has_levels:
            compare = _compare_levels
        else:
            compare = _compare_numbers
        parts.append(compare(name, column, mass, weight, distance))
    names, columns, inside, outside, scale, overall = (
        np.concatenate(of_all) for of_all in zip(*parts, strict=True)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        features = {
            "feature": names,
            "column": columns,
            "inside": inside,
            "outside": outside,
            "difference": (inside - outside) / np.where(scale > 0, scale, np.inf)[:, None],
            "lift": inside / overall[:, None],
        }
    return features, distance


def _means(values, mass, weight):
    """Means of values (n_samples, n_values): by mass, by the rest of the weight, and by weight."""
    with np.errstate(divide="ignore", invalid="ignore"):  # an expert without rows, or with all
        total = mass.sum(axis=0)
        everything = weight.sum()
        sums = values.T @ mass
        all_sums = values.T @ weight
        rest = everything - total
        rest = np.where(rest > 1e-9 * everything, rest, np.nan)
        return sums / total, (all_sums[:, None] - sums) / rest, all_sums / everything


def _compare_numbers(name, column, mass, weight, distance):
    values = np.asarray(column, dtype=np.float64)
    missing = np.isnan(values)
    seen = ~missing
    inside, outside, mean = _means(values[seen, None], mass[seen], weight[seen])
    scale = np.sqrt(weight[seen] @ (values[seen] - mean) ** 2 / max(weight[seen].sum(), 1e-300))
    if scale > 0:
        distance[seen] += np.nan_to_num((values[seen, None] - inside) / scale) ** 2
    part = [[name], [name], inside, outside, [scale], [np.nan]]
    if not missing.any():
        return part
    distance[missing] += 1.0
    of_missing = _compare_shares([f"{name} missing"], name, missing[:, None], mass, weight)
    return [np.concatenate(both) for both in zip(part, of_missing, strict=True)]


def _compare_levels(name, column, mass, weight, distance):
    values = np.asarray(column, dtype=object)
    missing = np.fromiter(map(is_missing, values), dtype=bool, count=len(values))
    levels = sorted(set(values[~missing]), key=str)
    place = {level: j for j, level in enumerate(levels)}
    names = [f"{name}={level}" for level in levels]
    if missing.any():
        names.append(f"{name} missing")
    codes = np.array([place.get(value, len(levels)) for value in values])
    one_hot = sparse.csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)))
    part = _compare_shares(names, name, one_hot, mass, weight)
    distance += 1.0 - np.nan_to_num(part[2])[codes]
    return part


def _compare_shares(names, column, indicators, mass, weight):
    inside, outside, share = _means(indicators, mass, weight)
    return [names, [column] * len(names), inside, outside, np.sqrt(share * (1 - share)), share]
