"""Tables with strings, categories or missing values: what they hold, and who takes them."""

import sys
from decimal import Decimal
from inspect import signature
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import check_array

LARGEST = 1e101  # sums of products of two such numbers and a weight are finite
HEAVIEST = 1e20  # weight; single precision, too, can add these up


def is_table(X):
    """Whether X is a DataFrame."""
    return hasattr(X, "columns") and hasattr(X, "iloc")


def labels_of(X):
    """Labels of the columns: names in a table, else numbers."""
    if is_table(X):
        return list(X.columns)
    return list(range(X.shape[1]))


def has_shape(X):
    """Whether X is an array, a sparse matrix or a table, and no list."""
    return hasattr(X, "shape")


def dtype_kind(values):
    """Kind of the dtype of an array or a column, as NumPy's letter; "" where there is none."""
    return getattr(getattr(values, "dtype", None), "kind", "")


def as_pandas(X):
    """X, as a table of pandas where it is one of polars or pyarrow.

    Numbers, booleans and strings keep their kind, an Enum its categories; missing values are those
    of pandas.
    """
    pyarrow = sys.modules.get("pyarrow")  # imported if X is its table
    if pyarrow is not None and isinstance(X, (pyarrow.Table, pyarrow.RecordBatch)):
        return _pandas_of_arrow(X)
    polars = sys.modules.get("polars")  # imported if X is its table
    if polars is not None and isinstance(X, polars.LazyFrame):
        raise TypeError("A LazyFrame has no rows yet: pass what its collect() returns.")
    if polars is None or not isinstance(X, polars.DataFrame):
        return X
    try:
        from pandas import Categorical, DataFrame
    except ImportError as error:
        raise ImportError("Tables of polars need pandas as well: pip install pandas.") from error

    def converted(column):
        if isinstance(column.dtype, polars.Enum):
            return Categorical(column.cast(polars.String).to_list(), list(column.dtype.categories))
        if isinstance(column.dtype, polars.Categorical):
            return Categorical(column.cast(polars.String).to_list())
        return column.to_numpy()

    return DataFrame({column.name: converted(column) for column in X.iter_columns()})


def _pandas_of_arrow(table):
    try:
        table = plain_columns(table.to_pandas())
    except ImportError as error:
        raise ImportError("Tables of pyarrow need pandas as well: pip install pandas.") from error
    empty = [label for label in table if table[label].dtype == object and table[label].isna().all()]
    return table.astype(dict.fromkeys(empty, np.float64))


def plain_columns(X):
    """X with floats for numbers with NA and those that are objects, and NaN for None and NA.

    Encoders do not handle NA, and treat None as another level than NaN, although tables read
    from files use NaN for the same.
    """
    columns = {
        label: _plain(X[label])
        for label, dtype in X.dtypes.items()
        if not isinstance(dtype, np.dtype) or dtype.kind == "O"
    }
    return with_columns(X, {label: each for label, each in columns.items() if each is not None})


def with_columns(X, changed):
    """A table with other columns in place of some, by their labels; the table where there are none.

    Labels may be of any kind, while those of ``assign`` are strings.
    """
    if changed:
        X = X.copy(deep=False)
        for label, column in changed.items():
            X[label] = column
    return X


def _plain(column):
    # None where it stays as it is.
    pandas = sys.modules["pandas"]
    dtype = column.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        kind = dtype.categories.dtype
        if isinstance(kind, np.dtype) or kind.na_value is not pandas.NA:
            return None
        return column.cat.rename_categories(dtype.categories.tolist())
    if not isinstance(dtype, np.dtype) and dtype.na_value is not pandas.NA:
        return None
    missing = column.isna()
    if dtype.kind in "biuf":
        return column.astype(np.float64) if missing.any() else None
    has_na = any(value is None or value is pandas.NA for value in column[missing])
    if isinstance(dtype, pandas.StringDtype) or dtype.kind == "U":
        if has_na:
            return column.astype(object).where(~missing, np.nan)
        return None
    objects = column.astype(object).where(~missing, np.nan)
    if not missing.all() and all(map(is_number, objects)):
        return objects.astype(np.float64)
    if has_na or not isinstance(dtype, np.dtype):
        return objects
    return None


def is_number(value):
    """Whether it is a real number, a boolean or missing."""
    if isinstance(value, (Real, Decimal, np.bool_)):
        return not isinstance(value, np.timedelta64)  # a whole number, to NumPy
    return not isinstance(value, str) and is_scalar_missing(value)


def is_missing(value):
    """Whether it is None, NaN, NaT or the NA of pandas, whose comparisons are no booleans."""
    pandas = sys.modules.get("pandas")  # imported if there is such a value
    return value is None or (pandas is not None and value is pandas.NA) or value != value


def types_of(values):
    """Names of the types of values, sorted; None and NaN are none."""
    return sorted({type(value).__name__ for value in values if not is_scalar_missing(value)})


def is_scalar_missing(value):
    """``is_missing`` of what may be a list or an array, which is none."""
    return np.ndim(value) == 0 and is_missing(value)


def check_real(name, values):
    """Refuse complex numbers in a table, an array or a sparse matrix, without printing them all.

    ``name`` is what they are, for errors.
    """
    if is_table(values):
        dtypes = dict(values.dtypes)
    else:
        dtypes = {}
    columns = [label for label, dtype in dtypes.items() if dtype.kind == "c"]
    if columns or dtype_kind(values) == "c":
        if columns:
            where = f", in the columns {columns}"
        else:
            where = ""
        raise ValueError(
            f"Complex data not supported: {name} holds complex numbers{where}. Give both parts."
        )


def take_rows(X, rows):
    """Some rows, by number, or all where that is None."""
    if rows is None:
        return X
    if isinstance(X, np.ndarray):  # checks of other tables take as long as a small net
        return X.take(rows, axis=0)  # in half the time of X[rows]
    return _safe_indexing(X, rows)


def describe_columns(X):
    """Columns of a table or array that hold no numbers, and those with missing values."""
    X = as_pandas(X)
    if is_table(X):
        numeric = X.select_dtypes(["number", "bool"], exclude=["timedelta"]).columns
        strings = [column for column in X.columns if column not in set(numeric)]
        return strings, [column for column in numeric if X[column].isna().any()]
    if sparse.issparse(X) or X.dtype.kind in "biu":
        return [], []
    with np.errstate(over="ignore", invalid="ignore"):
        # Floats have no NaN if their sum is none, as that of infinities of both signs is.
        if X.dtype.kind == "f" and not np.isnan(X.sum()):
            return [], []
    if X.dtype.kind == "O":
        numbers = Real, np.bool_, type(None)
        strings = [j for j in range(X.shape[1]) if not all(isinstance(v, numbers) for v in X[:, j])]
    else:
        if X.dtype.kind in "US":
            strings = list(range(X.shape[1]))
        else:
            strings = []
    numeric = [j for j in range(X.shape[1]) if j not in set(strings)]
    return strings, [j for j in numeric if np.isnan(X[:, j].astype(np.float64)).any()]


def becomes_numbers(column):
    """Whether an array of strings or objects is one of numbers."""
    try:
        column.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def accepts(estimator, what):
    """Whether an estimator takes ``"sparse"``, ``"allow_nan"``, or tables with ``"string"``."""
    if what != "sparse":  # tags may not tell what Pipelines inside take, or what is frozen
        parts = estimator, *estimator.get_params().values()
        if isinstance(estimator, FrozenEstimator) or any(isinstance(e, Pipeline) for e in parts):
            return True
    if get_tags(estimator).no_validation:  # such as a DummyClassifier, which does not look
        return True
    tags = get_tags(estimator).input_tags
    return {
        "sparse": tags.sparse,
        "allow_nan": tags.allow_nan,
        "string": tags.string or tags.categorical,
    }[what]


def takes_categories(estimator):
    """Whether a parameter, of ``fit`` too, says that the categories of a table can be read.

    Boosted trees have no tag for it.
    """
    names = [*estimator.get_params(deep=False), *signature(estimator.fit).parameters]
    return any("categorical" in name or name == "cat_features" for name in names)


def is_categorical(X, column):
    """Whether a column of a table is of the dtype "category"."""
    return is_table(X) and str(X[column].dtype) == "category"


def is_plain(array):
    """Whether it is an array of finite floats with an entry at least, as all checks leave it."""
    is_float = type(array) is np.ndarray and array.dtype in (np.float64, np.float32)
    return is_float and array.size > 0 and bool(np.isfinite(array).all())


def column_sizes(X):
    """Largest absolute value of each numeric column, by its label; NaN of one that has no value."""
    if is_table(X):
        numbers = X.select_dtypes(include=["number"], exclude=["timedelta"])
        return {column: _size(numbers[column].to_numpy(float)) for column in numbers.columns}
    if sparse.issparse(X):
        sizes = np.maximum(X.nanmax(axis=0).toarray(), -X.nanmin(axis=0).toarray()).ravel()
    elif X.dtype.kind == "f":
        sizes = np.atleast_1d(_size(X))
    elif X.dtype.kind == "O":
        strings, _ = describe_columns(X)
        numeric = [j for j in range(X.shape[1]) if j not in set(strings)]
        return dict(zip(numeric, _size(X[:, numeric].astype(np.float64)), strict=True))
    else:
        return {}
    return dict(enumerate(sizes.astype(np.float64)))


def _size(values):
    with np.errstate(invalid="ignore"):  # NumPy may warn of NaN
        return np.fmax(np.fmax.reduce(values, axis=0), -np.fmin.reduce(values, axis=0))


def _is_within(X, limit):
    """Whether an array of floats has no number beyond; False where this takes another look."""
    if is_table(X) or sparse.issparse(X) or X.dtype.kind != "f":
        return False
    least = float(X.min(initial=0.0))
    largest = float(X.max(initial=0.0))
    return -limit <= least and largest <= limit  # not with NaN


def check_sizes(X, name, *, smallest, limit=LARGEST):
    """Refuse columns of numbers whose squares overflow or underflow.

    ``limit`` is the largest absolute value, and 1 / limit the smallest. ``smallest`` refuses a
    column of numbers that are all too small, but not zero, too. The ValueError tells by what to
    divide the column; ``name`` is what X is.
    """
    if not smallest and _is_within(X, limit):
        return
    for column, size in column_sizes(X).items():
        if not (size > limit or (smallest and 0 < size < 1 / limit)):
            continue
        square, units = ("infinite", "larger") if size > limit else ("zero", "smaller")
        if X.ndim == 1:
            what = name
        else:
            what = f"Column {column!r} of {name}"
        raise ValueError(
            f"{what} has {size:.6g} for its largest absolute value, next to those whose square is "
            f"{square}: give it in {units} units, divided by {size:.0e} for example."
        )


def check_table(X, *, sparse_ok, strings_ok):
    """X as a table, a CSR matrix or an array without infinity; NaN and strings may stay.

    There are one row and one column at least; tables are those of pandas. ``strings_ok()`` is
    called for arrays of strings alone: whether one may pass, and is not converted to numbers.
    """
    if is_plain(X) and X.ndim == 2:
        return X
    X = as_pandas(X)
    if is_table(X):
        if not (X.shape[0] and X.shape[1]):
            raise ValueError(f"Found a table of shape {X.shape}: it needs a row and a column.")
        if not X.columns.is_unique:
            several = list(dict.fromkeys(X.columns[X.columns.duplicated()]))
            raise ValueError(f"Several columns are named {several}: each needs a name of its own.")
        check_real("X", X)
        X = plain_columns(X)
    else:
        X = _checked_array(X, sparse_ok, strings_ok)
    infinite = [column for column, size in column_sizes(X).items() if np.isinf(size)]
    if infinite:
        raise ValueError(f"Input X contains infinity, in the columns {infinite}.")
    return X


def _checked_array(X, sparse_ok, strings_ok):
    check_real("X", X)
    if dtype_kind(X) in ("m", "M"):
        raise ValueError("X holds dates or durations: give numbers, such as days since the first.")
    mixed = not sparse.issparse(X) and np.asarray(X).dtype.kind in "OUS"
    if mixed and strings_ok():
        dtype = None
    else:
        dtype = [np.float64, np.float32]
    if sparse_ok:
        accept_sparse = "csr"
    else:
        accept_sparse = False
    try:
        return check_array(X, accept_sparse=accept_sparse, dtype=dtype, ensure_all_finite=False)
    except TypeError as error:
        raise TypeError(
            f"X must be a DataFrame, or an array of numbers: {error}. A row in a dict becomes one "
            "by pandas.DataFrame([row]), a list of such rows by pandas.DataFrame(rows)."
        ) from error
    except ValueError as error:
        if mixed and np.ndim(X) == 2:
            columns = np.asarray(X).T
        else:
            columns = []
        strings = [j for j, column in enumerate(columns) if not becomes_numbers(column)]
        if strings:
            raise ValueError(
                f"{error}, in the columns {strings}. Give a DataFrame, whose strings are encoded."
            ) from error
        raise


def column_numbers(columns, n_columns, names):
    """Numbers of columns that are given by number or by name.

    Numbers count from 0, negative ones from the end. A name is one of ``names``, or that after the
    ``step__`` of a ColumnTransformer, which several columns may have.

    Returns a list for each of ``columns``. Raises a ValueError if there is no such column, or one
    is given twice. True and False are no numbers.
    """
    places = {i: [i % n_columns] for i in range(-n_columns, n_columns)}
    for find in (lambda name: name, _without_step):
        found = {}
        for i, name in enumerate(() if names is None else names):
            found.setdefault(find(name), []).append(i)
        places = found | places  # what is nearer goes first
    known = list(places)  # in which what cannot be hashed can be looked for
    unknown = [each for each in columns if isinstance(each, bool | np.bool_) or each not in known]
    if unknown:
        named = f" or one of {[name for name in known if isinstance(name, str)]}"
        raise ValueError(
            f"There is no column {unknown[0]!r}; it must be a number below {n_columns}"
            f"{named if names is not None else ''}."
        )
    numbers = [places[column] for column in columns]
    flat = [number for each in numbers for number in each]
    if len(set(flat)) < len(flat):
        raise ValueError(f"Each column may be given once; {list(columns)} are columns {flat}.")
    return numbers


def _without_step(name):
    """The name of a column before a ColumnTransformer put that of its step in front."""
    if isinstance(name, str):
        return name.split("__", 1)[-1]
    return name
