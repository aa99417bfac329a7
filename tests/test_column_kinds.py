"""What becomes of each kind of column: every row of the table in the guide, held to the code."""

import csv
import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skmoe import MixtureOfExpertsRegressor
from skmoe._tables.encoding import DescribedColumns, default_encoder
from skmoe._tables.known import kinds_of, match_kinds
from skmoe._tables.mixed import check_table
from skmoe.rows import Files

PAGE = Path(__file__).parents[1] / "doc" / "guide" / "tables.rst"
N = 84
GAPS = np.arange(N) % 7 == 3
FIRST = datetime.datetime(2019, 12, 30, 5)  # a Monday
WHEN = [FIRST + datetime.timedelta(hours=41 * k) for k in range(N)]
WHOLE = np.arange(N) * 5 % 12
FLAG = WHOLE > 5
WORDS = np.array(["u", "v", "w"], dtype=object)[np.arange(N) % 3]
NUMBERS = "numbers, also in object and nullable columns of pandas, polars and pyarrow"
BOOLEANS = "booleans, also in such columns"
LEVELS = "strings, categories"
DATES = "dates, times, periods, categories of them"
DURATIONS = "durations, times of day"
ELSEWHERE = "dates and durations of :doc:`files and Dask <many_rows>`"
REFUSED = "complex numbers, lists, tuples, strings among numbers"


def with_gaps(values, gaps):
    """A list of the values, as those of Python, with None where gaps are asked for."""
    values = pd.Series(values, dtype=object)
    return (values.where(~GAPS, None) if gaps else values).tolist()


def arrow(kind, *params):
    """A column of pandas that pyarrow holds."""

    def made(values, *, gaps=False):
        pa = pytest.importorskip("pyarrow")
        dtype = pd.ArrowDtype(getattr(pa, kind)(*params))
        return pd.array(with_gaps(values, gaps), dtype=dtype)

    return made


def of_pandas(dtype=object, change=list):
    """A column of pandas."""

    def made(values, *, gaps=False):
        if "pyarrow" in str(dtype):
            pytest.importorskip("pyarrow")
        values = pd.Series(change(pd.Series(values)), dtype=object)
        return (values.where(~GAPS, np.nan) if gaps else values).astype(dtype)

    return made


def of_polars(kind, *params, cast=None):
    """A table of polars of one column."""

    def made(values, *, gaps=False):
        polars = pytest.importorskip("polars")
        dtype = getattr(polars, kind)
        dtype = dtype(*params) if params else dtype
        cast_first = cast and getattr(polars, cast)
        column = polars.Series("c", with_gaps(values, gaps), dtype=cast_first)
        return polars.DataFrame({"c": column.cast(dtype)})

    return made


def of_arrow_table(kind, *params):
    """A table of pyarrow of one column."""

    def made(values, *, gaps=False):
        pa = pytest.importorskip("pyarrow")
        dtype = getattr(pa, kind)(*params)
        return pa.table({"c": pa.array(with_gaps(values, gaps), type=dtype)})

    return made


def of_time(freq):
    """To periods."""
    return lambda values: values.dt.to_period(freq)


def of_any_year(values, *, gaps=False):
    """A column of dates beyond those that nanoseconds reach."""
    if pd.__version__.startswith("2"):
        pytest.skip("pandas 2 counts nanoseconds.")
    return of_pandas()(values, gaps=gaps)


def of_lists(library):
    """A column of lists, as a library has them."""

    def made(values):
        held = pytest.importorskip(library)
        if library == "polars":
            return held.DataFrame({"c": values})
        return arrow("list_", held.int64())(values)

    return made


DAYS = [when.date() for when in WHEN]
LASTED = [datetime.timedelta(hours=41 * k) for k in range(N)]
CLOCK = [when.time() for when in WHEN]
MIDNIGHT = [datetime.datetime.combine(day, datetime.time()) for day in DAYS]
COLUMNS = {  # by the rows of the table, the values, and what makes a column of them
    NUMBERS: {
        **{
            dtype: (WHOLE, of_pandas(dtype))
            for dtype in ("float16", "float32", "float64", "Int8", "Int64", "UInt16", "Float32")
        },
        "objects": (WHOLE, of_pandas()),
        "Decimal": ([Decimal(int(value)) for value in WHOLE], of_pandas()),
        "int and float": ([int(k) if k % 2 else float(k) for k in WHOLE], of_pandas()),
        "pyarrow int": (WHOLE, arrow("int16")),
        "pyarrow double": (WHOLE, arrow("float64")),
        "pyarrow decimal": ([Decimal(int(value)) for value in WHOLE], arrow("decimal128", 9, 2)),
        "pyarrow table": (WHOLE, of_arrow_table("int32")),
        "pyarrow table of decimals": (
            [Decimal(int(value)) for value in WHOLE],
            of_arrow_table("decimal128", 9, 2),
        ),
        "polars UInt8": (WHOLE, of_polars("UInt8")),
        "polars Float32": (WHOLE, of_polars("Float32")),
        "polars Decimal": (WHOLE, of_polars("Decimal", 9, 2, cast="Float64")),
    },
    BOOLEANS: {
        "bool": (FLAG, of_pandas("bool")),
        "objects": (FLAG, of_pandas()),
        "boolean": (FLAG, of_pandas("boolean")),
        "pyarrow": (FLAG, arrow("bool_")),
        "pyarrow table": (FLAG, of_arrow_table("bool_")),
        "polars": (FLAG, of_polars("Boolean")),
    },
    LEVELS: {
        **{
            dtype: (WORDS, of_pandas(dtype))
            for dtype in ("object", "string", "string[pyarrow]", "category")
        },
        "of pandas 3": (WORDS, of_pandas(pd.Series(["u"]).dtype)),
        "ordered": (WORDS, of_pandas(pd.CategoricalDtype(["u", "v", "w"], ordered=True))),
        "category of numbers": (np.arange(N) % 3, of_pandas(pd.CategoricalDtype([0, 1, 2]))),
        "category of booleans": (FLAG, of_pandas(pd.CategoricalDtype([False, True]))),
        "pyarrow": (WORDS, arrow("string")),
        "pyarrow table": (WORDS, of_arrow_table("large_string")),
        "polars String": (WORDS, of_polars("String")),
        "polars Categorical": (WORDS, of_polars("Categorical")),
        "polars Enum": (WORDS, of_polars("Enum", ["u", "v", "w"])),
    },
    DATES: {
        **{
            f"datetime64[{unit}]": (WHEN, of_pandas(f"datetime64[{unit}]"))
            for unit in ("s", "ms", "us", "ns")
        },
        "zone": (WHEN, of_pandas(change=lambda values: values.dt.tz_localize("UTC"))),
        "datetime": (WHEN, of_pandas()),
        "date": (DAYS, of_pandas()),
        "dates far away": ([day.replace(year=day.year - 2000) for day in DAYS], of_any_year),
        "category": (MIDNIGHT, of_pandas("category")),
        "period[h]": (WHEN, of_pandas("period[h]", of_time("h"))),
        "period[D]": (MIDNIGHT, of_pandas("period[D]", of_time("D"))),
        "objects of period": (MIDNIGHT, of_pandas(change=of_time("D"))),
        "pyarrow date": (DAYS, arrow("date32")),
        "pyarrow timestamp": (WHEN, arrow("timestamp", "us")),
        "pyarrow table of dates": (DAYS, of_arrow_table("date32")),
        "pyarrow table of timestamps": (WHEN, of_arrow_table("timestamp", "ms")),
        "polars Date": (DAYS, of_polars("Date")),
        "polars Datetime": (WHEN, of_polars("Datetime", "ms")),
    },
    DURATIONS: {
        **{
            f"timedelta64[{unit}]": (LASTED, of_pandas(f"timedelta64[{unit}]"))
            for unit in ("s", "ms", "us", "ns")
        },
        "timedelta": (LASTED, of_pandas()),
        "time": (CLOCK, of_pandas()),
        "pyarrow duration": (LASTED, arrow("duration", "ms")),
        "pyarrow time": (CLOCK, arrow("time64", "us")),
        "pyarrow table of times": (CLOCK, of_arrow_table("time32", "s")),
        "polars Duration": (LASTED, of_polars("Duration", "ms")),
        "polars Time": (CLOCK, of_polars("Time")),
    },
    REFUSED: {
        "complex": (1j * WHOLE, of_pandas("complex128")),
        "objects of complex": (1j * WHOLE, of_pandas()),
        "lists": ([[1, 2]] * N, of_pandas()),
        "pyarrow lists": ([[1, 2]] * N, of_lists("pyarrow")),
        "polars lists": ([[1, 2]] * N, of_lists("polars")),
        "tuples": ([(1, 2), (3, 4)] * (N // 2), of_pandas()),
        "dicts": ([{"a": 1}] * N, of_pandas()),
        "strings among numbers": ([1, "a"] * (N // 2), of_pandas()),
        "strings among dates": ([DAYS[0], "a"] * (N // 2), of_pandas()),
    },
}
CASES = [(row, kind) for row, kinds in COLUMNS.items() if row != REFUSED for kind in kinds]
WITH_GAPS = [case for case in CASES if case[1] != "bool"]


def expected(row, values):
    """What experts see of values without gaps: names and numbers."""
    if row in (NUMBERS, BOOLEANS):
        return ["c"], np.array(values, dtype=float)[:, None]
    if row == LEVELS:
        levels = sorted(set(values))
        return [f"c_{level}" for level in levels], np.equal.outer(values, levels).astype(float)
    if row == DURATIONS:
        return ["c_days"], np.array([_days(value) for value in values])[:, None]
    days = [value.toordinal() - datetime.date(1970, 1, 1).toordinal() for value in values]
    hours = [getattr(value, "hour", 0) for value in values]
    parts = {
        "c_days": np.array(days) + np.array(hours) / 24,
        "c_day_of_year": [value.timetuple().tm_yday for value in values],
        "c_day_of_week": [value.weekday() for value in values],
    }
    if max(hours):
        parts["c_hour"] = hours
    return list(parts), np.column_stack(list(parts.values()))


def _days(value):
    if isinstance(value, datetime.time):
        return (value.hour + value.minute / 60) / 24
    return value.total_seconds() / 86400


def checked(column):
    """A table of the column, checked as ``fit`` does."""
    X = column if hasattr(column, "columns") else pd.DataFrame({"c": column})
    return check_table(X, sparse_ok=False, strings_ok=None)


def test_the_table_of_the_guide_has_these_rows():
    if not PAGE.exists():
        pytest.skip("The sources are not there.")
    text = PAGE.read_text(encoding="utf-8").split("How columns are encoded:")[1]
    table = text.split(":widths: 40, 60\n\n")[1].split("\n\n")[0].splitlines()
    rows = [first.strip() for first, _ in csv.reader(table, skipinitialspace=True)]
    assert rows == [*list(COLUMNS)[:-1], ELSEWHERE, REFUSED]


@pytest.mark.parametrize(("row", "kind"), CASES)
def test_each_kind_becomes_what_the_guide_says(row, kind):
    values, make = COLUMNS[row][kind]
    X = checked(make(values))
    names, numbers = expected(row, values)
    encoder = default_encoder(DescribedColumns(X)).fit(X)
    seen = encoder.get_feature_names_out().tolist()
    if kind == "category of booleans":
        names = ["c_0.0", "c_1.0"]
    assert seen == names
    assert_allclose(encoder.transform(X), numbers, rtol=1e-9)
    later = match_kinds(X.iloc[[5]], kinds_of(X))
    assert_allclose(encoder.transform(later), numbers[[5]], rtol=1e-9)
    missing = pd.DataFrame({"c": pd.Series([None], dtype=object)})
    missing = encoder.transform(match_kinds(checked(missing), kinds_of(X)))
    assert_allclose(missing[0], 0 if row == LEVELS else np.median(numbers, axis=0))
    if (row, kind) in WITH_GAPS:
        check_gaps(row, make, values)


def check_gaps(row, make, values):
    """Gaps are a median and one indicator."""
    X = checked(make(values, gaps=True))
    names, numbers = expected(row, values)
    encoder = default_encoder(DescribedColumns(X)).fit(X)
    seen = encoder.transform(X)
    assert len(encoder.get_feature_names_out()) == len(names) + 1
    numbers[GAPS] = 0 if row == LEVELS else np.median(numbers[~GAPS], axis=0)
    assert_allclose(seen, np.column_stack([numbers, GAPS]), rtol=1e-9)
    for i in (3, 5):  # missing and not, alone
        later = match_kinds(checked(make(values, gaps=True)).iloc[[i]], kinds_of(X))
        assert_allclose(encoder.transform(later), seen[[i]], rtol=1e-9)


def files_of(column, y):
    """The rows in two blocks."""
    X = column if hasattr(column, "columns") else pd.DataFrame({"c": column})
    cut = (lambda a, b: X.slice(a, b - a)) if hasattr(X, "slice") else (lambda a, b: X.iloc[a:b])
    blocks = [(cut(a, b), y[a:b]) for a, b in ((0, 30), (30, N))]
    return Files([0, 1], reader=lambda number: blocks[number])


# Of other kinds the same table is made, which other tests look at.
FIRST = {row: next(iter(kinds)) for row, kinds in COLUMNS.items()}
IN_FILES = [(*case, case in WITH_GAPS) for case in CASES if case[1] == FIRST[case[0]]]


@pytest.mark.parametrize(("row", "kind", "gaps"), IN_FILES)
def test_files_are_encoded_as_rows_in_memory(row, kind, gaps):
    values, make = COLUMNS[row][kind]
    column = make(values, gaps=gaps)
    y = np.random.default_rng(0).normal(size=N)
    params = {"n_experts": 1, "training": "em"}
    moe = MixtureOfExpertsRegressor(**params).fit(files_of(column, y))
    X = checked(column)
    same = MixtureOfExpertsRegressor(**params).fit(X, y)
    assert moe.coefficients().terms == same.coefficients().terms
    assert_allclose(moe.predict(X), same.predict(X), rtol=1e-5, atol=1e-6)
    assert_allclose(moe.predict(X.iloc[[5]]), same.predict(X)[5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", COLUMNS[REFUSED])
def test_other_kinds_are_refused_by_name_in_memory_and_in_files(kind):
    values, make = COLUMNS[REFUSED][kind]
    column, y = make(values), np.arange(N)
    X = column if hasattr(column, "columns") else pd.DataFrame({"c": column})
    with pytest.raises(ValueError, match="'c'"):
        MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    with pytest.raises(ValueError, match="'c'"):
        MixtureOfExpertsRegressor(n_experts=1).fit(files_of(column, y))
