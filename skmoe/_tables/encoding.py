"""What columns hold, looked at once, and mixed tables as numbers: encoders of experts and gates."""

import sys
from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._compat import target_encoder
from ..exceptions import LeftOutColumnsWarning, NumbersAsStringsWarning, noted, warn_user
from .known import Levels, check_uniform, kind_of
from .mixed import (
    accepts,
    as_pandas,
    becomes_numbers,
    column_numbers,
    describe_columns,
    is_categorical,
    is_table,
    labels_of,
    take_rows,
    takes_categories,
)

HAND_ON = GridSearchCV, RandomizedSearchCV, TransformedTargetRegressor  # the table, as it is
DATES = "dates", "durations", "times of day"
FEWEST_NUMBERS = 10
MOST_OTHERS = 0.1  # values of a column of numbers, and those that are none
MOST_DENSE_COLUMNS = 500
MOST_DENSE_ENTRIES = 2**25  # of sparse rows that are made dense
MOST_NAMED = 5  # columns named in a warning


class DescribedColumns:
    """What the columns of rows hold: looked at once, and asked afterwards.

    Parameters
    ----------
    X : DataFrame, array or sparse matrix of n_samples rows
        The rows.
    weight : ndarray of shape (n_samples,), default=None
        Their weights.

    Attributes
    ----------
    strings, missing : list
        Labels of the columns that hold no numbers, and of those with missing ones.
    is_mixed : bool
        Whether there are any of these.
    """

    def __init__(self, X, weight=None):
        self.X = X
        self.weight = weight
        self.strings, self.missing = describe_columns(X)
        self.is_mixed = bool(self.strings or self.missing)

    @cached_property
    def labels(self):
        """Those of all columns."""
        return labels_of(self.X)

    @cached_property
    def dates(self):
        """Labels of the columns of a table that hold dates or durations."""
        if is_table(self.X):
            strings = self.strings
        else:
            strings = []
        return [label for label in strings if kind_of(self.X[label]) in DATES]

    @cached_property
    def levels(self):
        """Levels of all other ``strings``, by their labels, in the rows of positive weight."""
        has_all = self.weight is None or self.weight.all()
        X = take_rows(self.X, None if has_all else np.flatnonzero(self.weight))
        return {label: Levels.of(X, label) for label in self.strings if label not in self.dates}

    def of_no_use(self, *, shrinks=False):
        """Columns of strings that nearly tell every row apart, no categories.

        Labels of identifiers or free text, and of dates that are written as strings; see
        ``Levels.kind``. ``shrinks`` is for experts that shrink the effects of levels, which can
        have more of them.
        """
        both = ("identifier",) if shrinks else ("identifier", "effects"), ("date",)
        kinds = {label: levels.kind for label, levels in self.levels.items()}
        return tuple([label for label, kind in kinds.items() if kind in unused] for unused in both)


# Encoders ----------------------------------------------------------------------------------------


def table_encoder(
    described, left_out=(), *, averaged=(), averages=None, imputes="median", labels=None
):
    """Unfitted transformer to numbers: one-hot for strings, imputation with indicator.

    Dates become numbers. Categories that ``fit`` did not see are all zeros; columns ``left_out``
    are gone, as are those without a label among ``labels``, where these are given. Levels of those
    ``averaged`` become means of the target, whose type is ``averages``. ``imputes`` is what missing
    numbers become, a strategy of SimpleImputer; None is NaN.
    """
    X = described.X
    strings = set(described.strings)
    if labels is None:
        labels = described.labels
    numeric = [label for label in labels if label not in strings]
    dates = [label for label in described.dates if label in labels]
    averaged = [label for label in labels if label in averaged]
    strings = [label for label in labels if label in strings - {*left_out, *dates}]
    for label in strings:
        column = np.asarray(X[label] if is_table(X) else X[:, label])
        if column.dtype.kind == "O":
            check_uniform(label, column)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = []
    if numeric:
        parts.append((_imputer(imputes), numeric))
    if dates:
        numbers = DateNumbers(indicates=imputes is not None)
        parts.append((make_pipeline(numbers, _imputer(imputes, indicates=False)), dates))
    strings = [label for label in strings if label not in averaged]
    if strings:
        parts.append((one_hot, strings))
    if averaged:
        parts.append((target_encoder(averages), averaged))
    encoder = make_column_transformer(*parts, verbose_feature_names_out=False)
    return encoder.set_output(transform="default")


def _imputer(strategy, *, indicates=True):
    if strategy is None:
        return "passthrough"
    return SimpleImputer(strategy=strategy, add_indicator=indicates, keep_empty_features=True)


def take_columns(X, columns):
    """Numbers of columns that are given by number or name, their labels, and X without others."""
    if is_table(X):
        names = X.columns
    else:
        names = None
    places = [j for each in column_numbers(columns, X.shape[1], names) for j in each]
    labels = labels_of(X)
    return places, [labels[j] for j in places], X.iloc[:, places] if is_table(X) else X[:, places]


def column_encoder(described, columns, imputes="median"):
    """Unfitted transformer to numbers of these columns alone, whatever they hold."""
    places, labels, _ = take_columns(described.X, columns)
    # For all columns: if one has to be encoded, nothing else imputes missing values of later rows.
    if labels and described.is_mixed:
        return table_encoder(described, labels=labels, imputes=imputes)
    return selector(places)


def selector(places, output="default"):
    """Unfitted transformer that takes columns, by number, as they are."""
    chosen = make_column_transformer(
        ("passthrough", places), verbose_feature_names_out=False, sparse_threshold=1.0
    )
    return chosen.set_output(transform=output)


def blocks_of_levels(encoder):
    """Number of the column of strings of each column of an encoded table.

    Numbers (n_columns,) from 1; 0 is a column of numbers. None where there are no strings.
    """
    while isinstance(encoder, Pipeline):
        encoder = encoder.steps[-1][1]
    if not isinstance(encoder, ColumnTransformer):
        return None
    block = np.zeros(len(encoder.get_feature_names_out()), dtype=int)
    for name, transformer, _ in encoder.transformers_:
        if isinstance(transformer, OneHotEncoder):
            sizes = [len(levels) for levels in transformer.categories_]
            numbers = np.repeat(np.arange(len(sizes)) + 1, sizes)
            place = encoder.output_indices_[name]
            if len(numbers) == place.stop - place.start:  # none was dropped
                block[place] = numbers
    if block.any():
        return block
    return None


def default_encoder(described, *, shrinks=False, averages=None, imputes="median"):
    """``table_encoder`` of a table that the user leaves to the mixture.

    Strings that nearly tell every row apart are left out; see ``of_no_use``. With
    ``averages`` the levels that only experts that shrink could use are means of the target, which
    is "continuous", or "auto" for labels; see TargetEncoder.
    """
    left_out = sum(described.of_no_use(shrinks=shrinks or averages is not None), [])
    if len(left_out) == described.X.shape[1]:
        raise ValueError(
            f"The columns {left_out} hold identifiers, free text or dates, and there are no "
            "others: give numbers or categories, or Pipelines as experts and gate."
        )
    if averages:
        averaged = set(described.of_no_use()[0]) - set(left_out)
    else:
        averaged = ()
    return table_encoder(described, left_out, averaged=averaged, averages=averages, imputes=imputes)


def dense_encoder(X):
    """Unfitted Pipeline to dense columns: those of sparse X, or of many 50 singular vectors."""
    if X.shape[1] <= MOST_DENSE_COLUMNS and np.prod(X.shape, dtype=float) <= MOST_DENSE_ENTRIES:
        return make_pipeline(FunctionTransformer(_as_array, accept_sparse=True))
    return make_pipeline(TruncatedSVD(min(50, X.shape[1]), random_state=0))


def _as_array(X):
    if sparse.issparse(X):
        return X.toarray()
    return X


def refused_columns(estimator, described):
    """Columns that hold no numbers, and columns with NaN, that an estimator cannot take."""
    while isinstance(estimator, HAND_ON) and vars(estimator).get("regressor", 0) is not None:
        estimator = vars(estimator).get("regressor", vars(estimator).get("estimator"))
    strings = described.strings
    missing = described.missing
    if not described.is_mixed:
        return [], []
    if accepts(estimator, "string"):
        cannot = []
    else:
        cannot = strings
    if takes_categories(estimator):
        cannot = [column for column in cannot if not is_categorical(described.X, column)]
    return cannot, [] if accepts(estimator, "allow_nan") else missing


def needs_encoding(estimator, described):
    """Whether an estimator cannot take a table as it is."""
    return is_table(described.X) and any(refused_columns(estimator, described))


def encoder_before(role, estimator, described, **encoding):
    """Unfitted ``default_encoder`` for what cannot take a table; None for what takes X as it is."""
    if needs_encoding(estimator, described):
        return default_encoder(described, imputes=imputed_for(estimator), **encoding)
    check_accepts(role, estimator, described)
    return None


def imputed_for(estimator):
    """What missing numbers become for an estimator, see ``table_encoder``."""
    if accepts(estimator, "allow_nan"):
        return None
    return "median"


def check_accepts(role, estimator, described):
    """Raise a ValueError with the Pipeline to write where ``estimator`` cannot take X."""
    cannot, without = refused_columns(estimator, described)
    if not cannot:
        return check_takes_gaps(role, estimator, described)
    what = " and ".join(
        text
        for text, columns in [
            (f"the columns {cannot}, which do not hold numbers", cannot),
            (f"NaN, which the columns {without} contain", without),
        ]
        if columns
    )
    lines = "".join(
        f"            ({transformer}, {columns}),\n"
        for transformer, columns in [
            ("OneHotEncoder(handle_unknown='ignore')", described.strings),
            ("SimpleImputer(add_indicator=True)", described.missing),
        ]
        if columns
    )
    raise ValueError(
        f"The {role} {type(estimator).__name__} cannot take {what}. Put a Pipeline in its place "
        "that encodes them:\n"
        "    make_pipeline(\n"
        f"        make_column_transformer(\n{lines}"
        "            remainder='passthrough',\n"
        "        ),\n"
        f"        {estimator},\n"
        "    )"
    )


def check_takes_gaps(role, estimator, described):
    """Raise a ValueError where ``estimator`` cannot take the missing numbers of X."""
    _, missing = refused_columns(estimator, described)
    if missing:
        raise ValueError(
            f"The {role} {type(estimator).__name__} cannot take NaN, which the columns {missing} "
            "contain. Fit a DataFrame that has such gaps, or impute them:\n"
            f"    make_pipeline(SimpleImputer(add_indicator=True), {estimator})"
        )


def warn_of_left_out(names, dates, who):
    """Name the columns that the default encoder leaves out, if there are any; see ``of_no_use``.

    ``who`` are the parts that have it, in words.
    """
    what = []
    if names:
        what.append(
            f"{names}, which hold identifiers, free text or very many categories (drop them, or "
            "give Pipelines that encode them)"
        )
    if dates:
        what.append(
            f"{dates}, which hold dates as strings (give numbers, such as days since the first)"
        )
    if what:
        if "experts" in who[0]:
            leave = "leave"
        else:
            leave = "leaves"
        warn_user(
            f"The {' and '.join(who)} {leave} out the columns {' and '.join(what)}.",
            LeftOutColumnsWarning,
        )


def warn_of_numbers(described):
    """Name columns of strings that are numbers but for a few cells, and these."""
    for label, levels in described.levels.items():
        if is_categorical(described.X, label):
            values = None
        else:
            values = levels.values
        if values is None:
            texts = []
        else:
            texts = [text for text in values if isinstance(text, str)]
        others = [text for text in texts if not becomes_numbers(np.asarray(text))]
        are_numbers = len(texts) >= FEWEST_NUMBERS and len(others) <= MOST_OTHERS * len(texts)
        if are_numbers and (others or any("." in text for text in texts)):
            if others:
                cells = f", except {', '.join(map(repr, others[:MOST_NAMED]))},"
            else:
                cells = ""
            said = f"Values of column {label!r}{cells} are numbers stored as {len(texts)} strings. "
            said += "Convert it by pd.to_numeric(column, errors='coerce'), or to dtype 'category'."
            warn_user(said, NumbersAsStringsWarning)


def numeric_matrix(X):
    """X as a dense float64 matrix, encoded where it has to be."""
    X = as_pandas(X)  # what transformers with set_output(transform="polars") make
    if sparse.issparse(X):
        return X.toarray().astype(np.float64)
    described = DescribedColumns(X)
    if described.is_mixed:
        return np.asarray(table_encoder(described).fit_transform(X), dtype=np.float64)
    return np.asarray(X, dtype=np.float64)


# A constant column for gates and experts that are shown no other ---------------------------------


class ConstantColumn(TransformerMixin, BaseEstimator):
    """Transformer of anything to a column of ones, so that a model is its intercept alone."""

    def fit(self, X, y=None):
        """Nothing to learn; the transformer."""
        self.n_features_out_ = 1
        return self

    def transform(self, X):
        """Ones, (n_samples, 1)."""
        return np.ones((_num_samples(X), 1))

    def get_feature_names_out(self, input_features=None):
        """The name of the column."""
        return np.array(["constant"], dtype=object)


@noted("Raised by fit of a transformer before experts or gate.")
def fit_columns(transformer, X, y, weight=None):
    """Fit a Pipeline of transformers that may select no column, to rows of positive weight.

    Returns the transformer, followed by a ConstantColumn where it leaves no column, and what it
    makes of X.
    """
    if weight is None or weight.all():
        columns = transformer.fit_transform(X, y)
    else:
        used = np.flatnonzero(weight)
        columns = transformer.fit(take_rows(X, used), y[used]).transform(X)
    if columns.shape[1] > 0:
        return transformer, columns
    constant = ConstantColumn().fit(columns)
    return Pipeline([*transformer.steps, ("constant", constant)]), constant.transform(X)


# Dates and durations as numbers ------------------------------------------------------------------


DAY = np.timedelta64(1, "D")
DAYS = "days"
MISSING = "missing"


class DateNumbers(TransformerMixin, BaseEstimator):
    """Columns of dates and durations as numbers of days, and of the parts of a date that vary.

    For a date, days since 1970; and the day of the year, the day of the week (Monday is 0) and the
    hour, where they differ between the rows of ``fit``. For durations and times, days.
    """

    def __init__(self, indicates=False):
        self.indicates = indicates  # whether columns with missing values in fit get an indicator

    def fit(self, X, y=None):
        """Learn which parts vary."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.parts_ = []
        for label in X.columns:
            numbers = _numbers_of_dates(X[label])
            has_gaps = numbers.pop(MISSING).any()
            varied = [
                part
                for part, values in numbers.items()
                if part == DAYS or np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-1)
            ]
            if self.indicates and has_gaps:
                varied.append(MISSING)
            self.parts_.append(varied)
        return self

    def transform(self, X):
        """Numbers (n_samples, n_parts)."""
        check_is_fitted(self)
        columns = []
        for label, parts in zip(self.feature_names_in_, self.parts_, strict=True):
            numbers = _numbers_of_dates(X[label])
            columns += [numbers.get(part, np.zeros(len(X))) for part in parts]
        return np.column_stack(columns)

    def get_feature_names_out(self, input_features=None):
        """Names such as "when_day_of_week"."""
        names = [
            f"{label} missing" if part == MISSING else f"{label}_{part}"
            for label, parts in zip(self.feature_names_in_, self.parts_, strict=True)
            for part in parts
        ]
        return np.array(names, dtype=object)


def _numbers_of_dates(column):
    """Numbers (n,) of a column of dates or durations, by the name of the part that they are."""
    pandas = sys.modules["pandas"]  # imported, as this is its column
    missing = {MISSING: column.isna().to_numpy(np.float64)}
    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(object)
    kind = pandas.api.types.infer_dtype(column, skipna=True)
    if kind == "time":
        column = column.astype(str).where(column.notna())
    if kind in ("timedelta64", "timedelta", "time"):
        return {DAYS: pandas.to_timedelta(column).to_numpy() / DAY} | missing
    if kind == "period":
        column = pandas.PeriodIndex(column).to_timestamp().to_series()
    dates = pandas.to_datetime(column, utc=True).dt
    days = (dates.tz_convert(None).to_numpy() - np.datetime64(0, "D")) / DAY
    parts = {"day_of_year": dates.day_of_year, "day_of_week": dates.day_of_week, "hour": dates.hour}
    numbers = {part: each.to_numpy(np.float64, na_value=np.nan) for part, each in parts.items()}
    return {DAYS: days} | numbers | missing
