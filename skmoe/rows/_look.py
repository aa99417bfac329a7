"""First pass over rows that are not in memory: all that training needs before EM."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.multiclass import check_classification_targets

from .._numerics.samples import SPARE, RowSample, hash_rows
from .._tables import encoding, mixed
from .._tables.known import kinds_of, match_kinds
from .._tables.levels import Levels, check_uniform

MOST_VALUES = 100_000  # values of a target on a grid
BLOCK_ROWS = 2048  # of moments, at a time
ADDED = ("n_rows", "n_used", "weight", "weight_squares", "columns", "sample")  # of looks


@dataclass(frozen=True)
class Moments:
    """Weighted moments of columns, and their extremes; those of two blocks of rows add up [1]_.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance", The American Statistician 37 (1983) 242-247.
    """

    # Float or ndarray of shape (n_columns,): weight of the rows, or of the rows with a value.
    weight: float | np.ndarray
    # ``mean``, ``squares``: (n_columns,): weighted means, and weighted sums of squares about them.
    mean: np.ndarray
    squares: np.ndarray
    # ``low``, ``high``: (n_columns,): smallest and largest value; infinity and minus infinity for
    # a column without values.
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, X, weight):
        """Moments of the rows of an array (n_rows, n_columns); NaN is a missing value."""
        total = None
        for start in range(0, len(X), BLOCK_ROWS):
            block = X[start : start + BLOCK_ROWS].astype(np.float64)
            of_block = cls._of_few(block, weight[start : start + BLOCK_ROWS])
            total = of_block if total is None else total + of_block
        return total

    @classmethod
    def _of_few(cls, X, weight):
        total = weight.sum()
        mean = weight @ X / total if total > 0 else X[0]
        if np.isnan(mean).any():
            return cls._of_gaps(X, weight)
        centred = X - mean
        error = weight @ centred / max(total, 1e-300)  # rounding error of a large mean
        squares = np.maximum(weight @ centred**2 - total * error**2, 0.0)
        return cls(total, mean + error, squares, X.min(axis=0), X.max(axis=0))

    @classmethod
    def _of_gaps(cls, X, weight):
        there = ~np.isnan(X)
        weights, X = weight[:, None] * there, np.where(there, X, 0.0)
        total = weights.sum(axis=0)
        mean = (weights * X).sum(axis=0) / np.maximum(total, 1e-300)
        squares = (weights * (X - mean) ** 2).sum(axis=0)
        low, high = (np.where(there, X, none) for none in (np.inf, -np.inf))
        return cls(total, mean, squares, low.min(axis=0), high.max(axis=0))

    def __add__(self, other):
        weight = self.weight + other.weight
        share = other.weight / np.maximum(weight, 1e-300)
        apart = other.mean - self.mean
        return Moments(
            weight,
            self.mean + share * apart,
            self.squares + other.squares + self.weight * share * apart**2,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def size(self):
        """Largest absolute value of each column, (n_columns,); NaN for a column without values."""
        return np.where(self.low > self.high, np.nan, np.maximum(self.high, -self.low))

    def standardisation(self):
        """Mean and scale of each column, (n_columns,); the scale of a constant column is 1."""
        scale = np.sqrt(self.squares / self.weight)
        constant = scale <= 10 * np.finfo(float).eps * np.maximum(np.abs(self.mean), 1e-300)
        return self.mean, np.where(constant | (self.low == self.high), 1.0, scale)


def n_drawn(fewest, per_column, n_columns):
    """Number of rows to draw: ``per_column`` times the number of columns plus one."""
    return max(fewest, per_column * (n_columns + 1))


@dataclass(frozen=True)
class FirstLook:
    """What the first pass finds; the results for two blocks add up."""

    names: tuple | None  # tuple of str: of the columns, where they have any
    # ``n_rows``, ``n_used``: all rows, and those of positive weight.
    n_rows: int
    n_used: int
    # ``weight``, ``weight_squares``: sums of the weights and of their squares.
    weight: float
    weight_squares: float
    columns: Moments  # moments of X
    has_gaps: np.ndarray  # (n_features,) of bool: whether a column has rows without a number
    levels: dict  # dict of str to Levels: of columns that are not numeric
    dtypes: dict  # dict of str to dtype: of the same columns, as the first of the blocks has them
    target: Moments | None  # moments of the target; None for labels
    # Ndarray or None, or tuple of these: distinct values of the target, for each of several
    # outputs; None if there are too many for a grid.
    values: np.ndarray | None
    mass: np.ndarray | None  # weight of each of the distinct labels
    sample: RowSample  # rows X, y to start from

    def __add__(self, other):
        if self.names != other.names or len(self.columns.mean) != len(other.columns.mean):
            ours, theirs = (
                f"{len(look.columns.mean)} columns" if look.names is None else list(look.names)
                for look in (self, other)
            )
            raise ValueError(f"Blocks of rows must have the same columns: {ours}, then {theirs}.")
        if self.target is not None and self.target.mean.shape != other.target.mean.shape:
            ours, theirs = self.target.mean.size, other.target.mean.size
            raise ValueError(
                f"Blocks of rows must have as many outputs each: {ours}, then {theirs}."
            )
        values, mass = self._all_values(other)
        return FirstLook(
            **{name: vars(self)[name] + vars(other)[name] for name in ADDED},
            names=self.names,
            has_gaps=self.has_gaps | other.has_gaps,
            levels=add_levels(self.levels, other.levels, self.names or ()),
            dtypes=other.dtypes | self.dtypes,
            target=None if self.target is None else self.target + other.target,
            values=values,
            mass=mass,
        )

    @property
    def has_one_function(self):
        """Whether the target is a single number, or one of two classes."""
        return len(self.values) == 2 if self.target is None else self.target.mean.size == 1

    @property
    def has_unequal_weights(self):
        """Whether positive weights differ."""
        return self.weight_squares * self.n_used > self.weight**2 * (1 + 1e-12)

    @property
    def strings(self):
        """Levels of the columns that are not numeric, by their labels."""
        return {label: levels for label, levels in self.levels.items() if levels.n_values}

    @property
    def is_numeric(self):
        """Whether all values are numbers, and none is missing."""
        return not self.strings and not self.has_gaps.any()

    def _all_values(self, other):
        if isinstance(self.values, tuple):
            both = zip(self.values, other.values, strict=True)
            return tuple(_few_of_both(ours, theirs) for ours, theirs in both), None
        if self.mass is not None and _are_strings(self.values) != _are_strings(other.values):
            ours, theirs = self.values.tolist(), other.values.tolist()
            raise ValueError(
                "Labels must be strings in all blocks of rows, or in none: "
                f"{ours[0]!r} is in one, and {theirs[0]!r} in another."
            )
        if self.mass is None:
            return _few_of_both(self.values, other.values), None
        values = np.concatenate([self.values, other.values])
        values, numbers = np.unique(values, return_inverse=True)
        return values, np.bincount(numbers, np.concatenate([self.mass, other.mass]))


def first_look(block, parameters):
    """Kernel for ``RowSource.reduce``: FirstLook of a block, after checking it."""
    # Whether there are labels; who checks other targets; how many rows to draw of so many columns.
    (classifies, likelihood, drawn), X, y, weight = parameters, block.X, block.y, block.weight
    used = weight > 0
    levels = {} if block.table is None else levels_of(block.table, used)
    mixed.check_sizes(X, "X", smallest=False)
    mixed.check_sizes(weight, "sample_weight", smallest=False, limit=mixed.HEAVIEST)
    if classifies:
        check_classification_targets(y)
        target, (values, numbers) = None, np.unique(y, return_inverse=True)
        mass = np.bincount(numbers, weight)
    else:
        mixed.check_sizes(y, "y", smallest=False)
        likelihood.check_values(y)
        target, mass = Moments.of(y.reshape(len(y), -1), weight), None
        each = [_few_values(column[used]) for column in y.reshape(len(y), -1).T]
        values = each[0] if y.ndim == 1 else tuple(each)
    return FirstLook(
        block.names,
        len(X),
        np.count_nonzero(used),
        float(weight.sum()),
        float(weight @ weight),
        Moments.of(X, weight),
        np.zeros(X.shape[1], dtype=bool) if block.table is None else np.isnan(X).any(axis=0),
        levels,
        {label: block.table[label].dtype for label in levels},
        target,
        values,
        mass,
        RowSample(
            SPARE * drawn(X.shape[1]),
            hash_rows(block.values, y),
            weight,
            np.ones(len(X), dtype=int),
            (block.values, y),
        ),
    )


def weigh_sample(block, sample):
    """Kernel: weights (n_kept,) of the sample's rows in a block."""
    return sample.weigh(hash_rows(block.values, block.y), block.weight)


def column_moments(rows, _):
    """Kernel: Moments of the columns of rows in arrays."""
    return Moments.of(rows.X, rows.weight)


def _are_strings(labels):
    return isinstance(labels[0], str)


def _few_of_both(ours, theirs):
    return None if ours is None or theirs is None else _few_values(np.append(ours, theirs))


def _few_values(values):
    """Distinct values, or None where there are too many."""
    distinct = np.unique(values)
    return distinct if len(distinct) <= MOST_VALUES else None


# Tables with strings and missing values -----------------------------------------------------------
#
# An encoder is not fitted on the rows, but on what the first pass found: on a table of a few rows
# with the levels of the strings, the means of the numbers, and missing values where there are any.


@dataclass(frozen=True)
class KnownColumns:
    """Columns of the rows in ``fit``."""

    n_columns: int  # how many there are
    names: tuple | None = None  # tuple of str: of those of a table
    kinds: dict = field(default_factory=dict)  # what they hold; see ``kinds_of``

    @classmethod
    def of(cls, X):
        """Columns of a table or an array."""
        return cls(X.shape[1], tuple(X.columns) if mixed.is_table(X) else None, kinds_of(X))

    def match(self, X):
        """Other rows, as in ``match_kinds``; ValueError also if these have other columns."""
        names = tuple(X.columns) if mixed.is_table(X) else None
        if names != self.names or X.shape[1] != self.n_columns:
            ours, theirs = (
                f"{n} columns" if each is None else list(each)
                for each, n in ((self.names, self.n_columns), (names, X.shape[1]))
            )
            raise ValueError(f"Rows must have the columns of earlier rows: {ours}, not {theirs}.")
        return match_kinds(mixed.plain_columns(X) if mixed.is_table(X) else X, self.kinds)


def in_form(look, table):
    """A table of strings or missing values of a FirstLook, with the dtypes of all blocks."""
    from pandas import CategoricalDtype  # as the blocks were

    dtypes = dict.fromkeys(look.names, np.dtype(np.float64))
    for label, levels in look.strings.items():
        dtypes[label] = look.dtypes[label]
        if isinstance(dtypes[label], CategoricalDtype):
            # Too many to count: an identifier, which is not encoded as categories.
            many = levels.values is None
            dtypes[label] = object if many else CategoricalDtype(sorted(levels.known))
    categories = {x: dtype for x, dtype in dtypes.items() if dtype == "category"}
    plain = mixed.plain_columns(table.astype(categories))  # these may be booleans
    return plain.astype(dtypes)


def split_table(table):
    """A table of a block, checked, and its numbers.

    Returns the table with floats for its numbers, None if all values are numbers and none is
    missing; and the numbers, NaN where a value is missing or not a number.
    """
    table = mixed.check_table(table, sparse_ok=False, strings_ok=None)
    check_no_dates(table)
    strings, missing = mixed.describe_columns(table)
    if not (strings or missing):
        return None, table
    is_number = ~table.columns.isin(strings)
    numbers = np.full(table.shape, np.nan)
    numeric = table.loc[:, is_number]
    numbers[:, is_number] = numeric.to_numpy(dtype=np.float64, na_value=np.nan)
    plain = {
        label: numbers[:, j] if is_number[j] else table[label].array
        for j, label in enumerate(table.columns)
    }
    return type(table)(plain), numbers


def check_no_dates(X):
    """Raise a ValueError for columns of dates or durations."""
    dates = encoding.DescribedColumns(X).dates
    if dates:
        raise ValueError(
            f"The columns {dates} hold dates or durations, which are not encoded: put numbers in "
            "their place, such as the month or the days since the first, drop them, or give "
            "Pipelines as experts and gate."
        )


def levels_of(table, used):
    """Levels of the columns of a table that are not numeric, by their labels, in the rows used."""
    table = table[used]
    return {label: Levels.of(table, label) for label in mixed.describe_columns(table)[0]}


def add_levels(levels, other, labels):
    """Levels of two blocks, joined; a column that only one of them has is missing in the other."""
    nothing = Levels(np.array([np.nan], dtype=object), 0)
    return {
        label: levels.get(label, nothing) + other.get(label, nothing)
        for label in labels
        if label in levels or label in other
    }


def fit_encoder(look, who):
    """The encoder of default experts and gates, fitted.

    As for rows in memory, except that missing numbers are replaced by means, with a warning about
    columns that are left out.

    ``who`` are the parts that are default ones. Raises a ValueError if there are no columns left,
    or one holds numbers and other things.
    """
    strings = look.strings
    has_numbers = dict(zip(look.names, np.isfinite(look.columns.low), strict=True))
    for label, levels in strings.items():
        if has_numbers[label]:
            raise ValueError(
                f"The column {label!r} holds numbers in some blocks of rows, and others in others: "
                "make all of them strings, or all numbers."
            )
        check_uniform(label, levels.values if levels.values is not None else [])
    kinds = {label: levels.kind for label, levels in strings.items()}
    names, dates = encoding.columns_of_no_use(kinds, shrinks=False)
    encoding.warn_of_left_out(names, dates, who)
    encoding.check_any_left(names + dates, len(look.names))
    few = encoding.DescribedColumns(_table_of_few_rows(look, strings))
    return encoding.table_encoder(few, names + dates, imputes="mean").fit(few.X)


def encode(encoder, table):
    """The table of a block, encoded by a fitted encoder; columns may be empty."""
    table = mixed.plain_columns(table)
    for _, part, labels in encoder.transformers_:
        if isinstance(part, OneHotEncoder):
            empty = [label for label in labels if table[label].dtype.kind == "f"]
            table = table.astype(dict.fromkeys(empty, object))
    return encoder.transform(table)


def _table_of_few_rows(look, strings):
    from pandas import Categorical, CategoricalDtype, DataFrame  # as the blocks were

    known = {label: levels.values for label, levels in strings.items() if levels.values is not None}
    n_rows = max([2, *map(len, known.values())])
    columns = {}
    for label, mean, has_gaps in zip(look.names, look.columns.mean, look.has_gaps, strict=True):
        if label in strings:
            columns[label] = np.resize(known.get(label, np.array(["?"], dtype=object)), n_rows)
            if isinstance(look.dtypes[label], CategoricalDtype):  # perhaps of numbers
                columns[label] = Categorical(columns[label])
        else:
            columns[label] = np.full(n_rows, mean)
            columns[label][-1] = np.nan if has_gaps else mean
    return DataFrame(columns)
