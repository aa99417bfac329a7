"""Rows: those of a call, checked; those of a fit, as the parts of a mixture see them; subjects.

And where rows are: what sums over them are asked of.
"""

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._numerics.columns import start_columns
from ._numerics.samples import first_copies, sample_rows
from ._numerics.statistics import standardisation
from ._tables.encoding import DescribedColumns
from ._tables.mixed import is_missing

MOST_KEPT = 500_000  # entries of rows that are kept after a fit, until reports are asked for
SAME_GATE = 1e-8  # in log-probability; what differs by less is rounding


class RowMetadata(NamedTuple):
    """What is given for rows besides X, y and weights; None for what is not."""

    # Each (n_samples,), as ``fit`` takes them.
    exposure: object = None
    trials: object = None
    subject: object = None
    upper: object = None

    def given(self):
        """Those that are not None, by name."""
        return {name: values for name, values in self._asdict().items() if values is not None}

    def checked(self, X):
        """As arrays, after a check that they have an entry for each row of X."""
        given = {name: np.asarray(values) for name, values in self.given().items()}
        if self.subject is not None:
            given["subject"] = check_ids("subject", self.subject, X)
        check_consistent_length(X, *given.values())
        return RowMetadata(**given)

    def take(self, rows):
        """Entries of some of the rows; all have to be arrays."""
        return RowMetadata(**{name: values[rows] for name, values in self.given().items()})


NO_METADATA = RowMetadata()


@dataclass(frozen=True)
class Bounds:
    """Lower and upper bound of each target, equal where it was observed."""

    # ``lower``, ``upper``: (n_samples,): infinite where a target has one bound only.
    lower: np.ndarray
    upper: np.ndarray

    def __getitem__(self, rows):
        return Bounds(self.lower[rows], self.upper[rows])

    @property
    def points(self):
        """Finite values (n_samples,) in place of the targets: midpoints, or the finite bound."""
        lower = np.where(np.isfinite(self.lower), self.lower, self.upper)
        return lower + 0.5 * (np.where(np.isfinite(self.upper), self.upper, self.lower) - lower)


@dataclass
class Rows:
    """The rows that a user gave to a method, checked."""

    # Array, sparse matrix or DataFrame of n_samples rows: as experts and gate are given it.
    X: object
    y: np.ndarray  # (n_samples,) or (n_samples, n_outputs): target, or class numbers
    weight: np.ndarray  # (n_samples,): weights
    exposure: np.ndarray | None = None  # (n_samples,): factors of the predictions
    subject: np.ndarray | None = None  # (n_samples,): rows of one subject share one expert
    # Bounds if some targets are censored; y then holds ``bounds.points``.
    bounds: Bounds | None = None

    @cached_property
    def described(self):
        """What the columns of X hold: DescribedColumns."""
        return DescribedColumns(self.X, self.weight)

    first_copies = cached_property(first_copies)

    @property
    def are_kept(self):
        """Whether they are few enough to be kept after a fit, for whoever asks for reports."""
        return np.prod(self.X.shape) <= MOST_KEPT

    @property
    def has_unequal_weights(self):
        """Whether some row of positive weight counts more than another."""
        return np.ptp(self.weight[self.weight > 0]) > 0

    def dense(self):
        """The same with a dense X."""
        if sparse.issparse(self.X):
            return replace(self, X=self.X.toarray())
        return self


class Subjects:
    r"""Which rows belong to which subject.

    The likelihood of a subject s is that of all its rows together under one expert,

    .. math:: \sum_k \pi_k(x_s) \prod_{i \in s} f_k(y_i \mid x_i)^{w_i}

    so that a row of weight 2 is a row that its subject has twice. A subject whose rows all have
    weight zero does not count.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Subject of each row.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.

    Attributes
    ----------
    labels : ndarray of shape (n_subjects,)
        Sorted.
    numbers : ndarray of shape (n_samples,)
        Place in ``labels`` of the subject of each row.
    counts : ndarray of shape (n_subjects,)
        1 for a subject that counts, else 0.
    row_weight : ndarray of shape (n_samples,)
        Shares of the rows in their subject; sums to one over a subject that counts.
    """

    def __init__(self, labels, weight):
        self.labels, self._first, self.numbers = number_ids(labels)
        places = np.arange(len(labels))
        shape = len(self.labels), len(labels)
        self._weighted_sum = sparse.csr_array((weight, (self.numbers, places)), shape=shape)
        self._weighted_sum.eliminate_zeros()  # rows of weight 0 may have densities of 0
        total = np.bincount(self.numbers, weight)
        self.counts = (total > 0).astype(np.float64)
        self._total = np.where(total > 0, total, 1.0)
        self.row_weight = weight / self._total[self.numbers]

    def weighted_sum(self, values):
        """Sums over the rows of each subject (n_subjects, ...), times weights."""
        return self._weighted_sum @ values

    def average(self, values):
        """Weighted means over the rows of each subject, for each row (n_samples, ...)."""
        return self.of_rows((self._weighted_sum @ values) / self._total[:, None])

    def of_rows(self, values):
        """What holds for each subject, for each of its rows."""
        return values[self.numbers]

    def of_first_rows(self, values):
        """Those of the first row of each subject."""
        return values[self._first]

    def per_row(self, log_density):
        """What each row adds to the log-density of its subject, if all add the same."""
        return self.of_rows(log_density / self._total)

    def log_gate(self, log_gate):
        """Log-probabilities of the gate for each subject, which must be those of all its rows.

        They are those of its first row. Raises a ValueError if the gate tells rows of one subject
        apart.
        """
        of_subject = self.of_first_rows(log_gate)
        same = np.isclose(self.of_rows(of_subject), log_gate, rtol=0, atol=SAME_GATE)
        if not same.all():
            subject = self.labels[self.numbers[np.flatnonzero(~same.all(axis=1))[0]]]
            raise ValueError(
                f"The gate differs between rows of subject {subject}, which share one expert: take "
                "SoftmaxGate(columns=[...]) of columns constant in subjects, or ConstantGate()."
            )
        return of_subject


def check_ids(name, ids, X):
    """An id for each row of X, (n_samples,), of which none is missing; or None."""
    if ids is None:
        return None
    ids = column_or_1d(ids)
    check_consistent_length(X, ids)
    if ids.dtype.kind == "O":
        missing = any(map(is_missing, ids))
    else:
        missing = (ids != ids).any()
    if missing:
        raise ValueError(f"{name} has missing values: every row needs one.")
    return ids


def number_ids(ids):
    """Which ids there are, and which of them each row has.

    Objects are the same id if they are equal: 1 and "1" are two. Returns sorted labels, by their
    strings where there is no other order, the number of the first row of each, and for each row the
    place of its id in the labels.
    """
    if ids.dtype.kind != "O":
        return np.unique(ids, return_index=True, return_inverse=True)
    first = {}
    for row, value in enumerate(ids):
        first.setdefault(value, row)
    try:
        labels = sorted(first)
    except TypeError:
        labels = sorted(first, key=str)
    place = {value: number for number, value in enumerate(labels)}
    return (
        np.fromiter(labels, dtype=object, count=len(labels)),
        np.array([first[value] for value in labels]),
        np.array([place[value] for value in ids]),
    )


@dataclass(frozen=True)
class Units:
    """What columns and target are standardised with."""

    # ``mean``, ``scale``: (n_features,): of the columns.
    mean: np.ndarray
    scale: np.ndarray
    # ``y_mean``, ``y_scale``: (n_outputs,): of the target; None of class numbers.
    y_mean: np.ndarray | None = None
    y_scale: np.ndarray | None = None


@dataclass
class TrainingData:
    """The rows of one fit, as the parts of the mixture see them."""

    X: object  # array-like or DataFrame of n_samples rows: for the experts
    y: np.ndarray  # (n_samples,) or (n_samples, n_outputs): target, or class numbers
    weight: np.ndarray  # (n_samples,): weights
    Z: object  # array-like of n_samples rows: for the gate: X after the gate's transformers
    # (n_samples,) or (n_samples, n_outputs): the target as starts see it, for robust likelihoods
    # with its outliers drawn in; None for classifiers.
    start_target: np.ndarray | None = None
    exposure: np.ndarray | None = None  # (n_samples,): factors of the predictions
    subjects: Subjects | None = None  # rows that share an expert
    # Ints: numbers of the rows in the data that these are a sample of.
    rows: np.ndarray | None = None
    classes: np.ndarray | None = None  # (n_classes,): labels, where y holds class numbers
    # Units of the rows that these stand for; None where they stand for themselves.
    units: Units | None = None
    bounds: Bounds | None = None  # bounds of censored targets

    @classmethod
    def of(cls, rows, Z, start_target=None, classes=None, subjects=None):
        """Training data of checked rows."""
        return cls(
            rows.X,
            rows.y,
            rows.weight,
            Z,
            start_target,
            rows.exposure,
            subjects,
            classes=classes,
            bounds=rows.bounds,
        )

    @property
    def unit_weight(self):
        """Weights of what counts once: of rows, or of subjects."""
        if self.subjects is None:
            return self.weight
        return self.subjects.counts

    first_copies = cached_property(first_copies)

    @cached_property
    def total_weight(self):
        """Sum of the weights."""
        return self.weight.sum()

    @cached_property
    def columns(self):
        """Z in numbers, standardised, few: for the starts; (n_samples, n_columns)."""
        return start_columns(self.Z, self.weight)

    @cached_property
    def target(self):
        """Standardised target (n_samples, n_outputs); None for classifiers."""
        if self.start_target is None:
            return None
        target = self.start_target.reshape(len(self.y), -1)
        mean, scale = standardisation(target, self.weight)
        return (target - mean) / scale

    @cached_property
    def points(self):
        """Columns and target side by side."""
        if self.target is None:
            return self.columns
        return np.column_stack([self.columns, self.target])

    def sample(self, n_rows):
        """About so many of the rows, with weights of the same sum; see ``sample_rows``."""
        rows, weight = sample_rows(self.X, self.y, self.weight, n_rows, self.classes)
        X = _safe_indexing(self.X, rows)
        Z = _safe_indexing(self.Z, rows)
        of_rows = self.start_target, self.exposure, self.bounds
        start_target, exposure, bounds = (None if v is None else v[rows] for v in of_rows)
        return TrainingData(
            X,
            self.y[rows],
            weight,
            Z,
            start_target,
            exposure,
            rows=rows,
            classes=self.classes,
            bounds=bounds,
        )


# Where rows are, and sums over them ---------------------------------------------------------------


class IteratedRows:
    """Rows that give ``(X, y, weight)`` of each block when iterated over, the same each time.

    y and weight may be None. This class distinguishes what the leaf ``rows`` reads from arrays.
    """

    max_expert_rows = 100_000  # that an expert is fitted on at most, where sums do not tell all


def is_out_of_core(X):
    """Whether these rows are not in memory: iterated over, or a collection of Dask's."""
    if isinstance(X, IteratedRows):
        return True
    dask = sys.modules.get("dask")  # imported if X is its collection
    return dask is not None and hasattr(type(X), "__dask_graph__") and dask.is_dask_collection(X)


class ArrayRows:
    """Rows in arrays, or in memory maps: one block. ``BlockRows`` of the leaf ``rows`` has many.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features) or sparse matrix
        Columns, of floats; sparse ones are standardised, with their intercept.
    y : ndarray of shape (n_samples,)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights.
    offset : ndarray of shape (n_samples,), default=None
        Logarithms of exposures, which are added to linear predictors.

    Attributes
    ----------
    X, y, weight, offset
        The same, y and weight as contiguous float64.
    n_rows : int
        Number of rows.
    """

    def __init__(self, X, y, weight, offset=None):
        self.X = X
        self.offset = offset
        self.y, self.weight = (np.ascontiguousarray(each, dtype=np.float64) for each in (y, weight))
        self.n_rows = X.shape[0]
        self._memory = {}

    def reduce(self, kernel, parameters):
        """Sums over all rows.

        ``kernel(block, parameters)`` -> sums over the rows of a block, which can be added by ``+``.
        It depends on nothing else, and can be pickled; here it goes through the rows in blocks,
        and threads, of its own. Sums of blocks are added in their order; None without rows.
        """
        return kernel(self, parameters)

    def part(self, rows):
        """A slice of the rows."""
        if self.offset is None:
            offset = None
        else:
            offset = self.offset[rows]
        return ArrayRows(self.X[rows], self.y[rows], self.weight[rows], offset)

    def memory(self, name, shape, dtype):
        """An array for a kernel to write to, kept for its next call."""
        array = self._memory.get((name, *shape))
        if array is None:
            array = self._memory[name, *shape] = np.empty(shape, dtype)
        return array

    def __getstate__(self):
        return {**vars(self), "_memory": {}}
