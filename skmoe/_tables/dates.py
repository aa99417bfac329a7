"""Dates and durations as numbers."""

import sys

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

DAY = np.timedelta64(1, "D")
PARTS = ("days", "day_of_year", "day_of_week", "hour")
MISSING = "missing"  # beside them, an indicator


class DateNumbers(TransformerMixin, BaseEstimator):
    """Columns of dates and durations as numbers of days, and of the parts of a date that vary.

    Of a date, days since 1970; and the day of the year, the day of the week (Monday is 0) and the
    hour, where they differ between the rows of ``fit``. Of a duration, days; of a time, of its day.
    """

    def __init__(self, indicates=False):
        self.indicates = indicates  # whether columns with gaps in fit have an indicator beside them

    def fit(self, X, y=None):
        """Learn which parts vary."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.parts_ = [
            [part for part in PARTS if part == "days" or _varies(_part(X[label], part))]
            for label in X.columns
        ]
        for label, parts in zip(X.columns, self.parts_, strict=True):
            if self.indicates and X[label].isna().any():
                parts.append(MISSING)
        return self

    def transform(self, X):
        """Numbers (n_samples, n_parts)."""
        check_is_fitted(self)
        columns = [
            _part(X[label], part)
            for label, parts in zip(self.feature_names_in_, self.parts_, strict=True)
            for part in parts
        ]
        return np.column_stack(columns)

    def get_feature_names_out(self, input_features=None):
        """Names such as "when_day_of_week"."""
        return np.array(
            [
                f"{label} missing" if part == MISSING else f"{label}_{part}"
                for label, parts in zip(self.feature_names_in_, self.parts_, strict=True)
                for part in parts
            ],
            dtype=object,
        )


def _varies(values):
    values = values[~np.isnan(values)]
    return len(values) > 0 and values.min() < values.max()


def _part(column, part):
    """One part of a column of dates or durations, floats (n,); constant where it has none."""
    pandas = sys.modules["pandas"]  # imported, as this is its column
    if part == MISSING:
        return column.isna().to_numpy(np.float64)
    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(object)
    kind = pandas.api.types.infer_dtype(column, skipna=True)
    if kind == "time":
        column = column.astype(str).where(column.notna())
    if kind in ("timedelta64", "timedelta", "time"):
        durations = pandas.to_timedelta(column).to_numpy()
        return durations / DAY if part == "days" else np.zeros(len(column))
    if kind == "period":
        column = pandas.PeriodIndex(column).to_timestamp().to_series()
    values = pandas.to_datetime(column, utc=True)
    if part == "days":
        return (values.dt.tz_convert(None).to_numpy() - np.datetime64(0, "D")) / DAY
    of_dates = values.dt
    parts = of_dates.day_of_year, of_dates.day_of_week, of_dates.hour
    return dict(zip(PARTS[1:], parts, strict=True))[part].to_numpy(np.float64, na_value=np.nan)
