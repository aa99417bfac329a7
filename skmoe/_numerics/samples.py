"""Few rows that stand for many; and rows that repeat others."""

from hashlib import blake2b

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.utils import gen_batches

from .._tables.mixed import as_pandas, is_table, take_rows

# Few rows that stand for many: drawn by a hash of what is in them --------------------------------

# Whether a row is drawn depends on its content and weight alone, and not on the rows around it.
# So the sample is the same in whatever order and in whatever blocks the rows come, and a row
# given twice is a row of weight 2. Rows of content c and weight W, all its copies together, are
# drawn with probability about ``min(1, W t)``, by priority sampling [1]_: those of the smallest
# ``u(c) / W``, with u a hash between 0 and 1.
#
# References
# ----------
# .. [1] N. Duffield, C. Lund and M. Thorup, "Priority sampling for estimation of arbitrary subset
#    sums", Journal of the ACM 54 (2007) 32.


HASHED_ROWS = 2**14  # at a time: their hashes stay in the cache
DRAWN_FROM = 2**16  # rows of one block in memory
SPARE = 2  # times as many rows are kept as are asked for: copies may come that make one heavier
TARGET_PLACE = 2**32  # place of the target among the columns


class RowSample:
    """Rows of the smallest ``u / W``, from blocks of rows; two samples add up.

    Parameters
    ----------
    size : int
        Rows to keep, ``SPARE`` times those that are asked for.
    hashes : ndarray of uint64 of shape (n_rows,)
        Hashes of the content of rows.
    mass : ndarray of shape (n_rows,)
        Their weights.
    copies : ndarray of ints of shape (n_rows,)
        How many rows each stands for.
    arrays : tuple of ndarrays or tables of n_rows rows
        What is to be known of them; a table is kept as an array of objects.
    """

    def __init__(self, size, hashes, mass, copies, arrays):
        order = np.argsort(hashes)
        order = order[mass[order] > 0]
        hashes = hashes[order]
        mass = mass[order]
        copies = copies[order]
        first = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        if len(first) < len(hashes):
            mass, copies = (np.add.reduceat(each, first) for each in (mass, copies))
        places = order[first]
        hashes = hashes[first]
        if len(first) > size:
            kept = np.sort(np.argpartition(_priority(hashes, mass), size)[:size])
            places, hashes, mass, copies = (each[kept] for each in (places, hashes, mass, copies))
        self.size = size
        self.hashes = hashes
        self.mass = mass
        self.copies = copies
        taken = (take_rows(each, places) for each in arrays)
        plain = (each.to_numpy(dtype=object) if is_table(each) else each for each in taken)
        self.arrays = tuple(plain)

    def __add__(self, other):
        both = ((each.hashes, each.mass, each.copies, *each.arrays) for each in (self, other))
        hashes, mass, copies, *arrays = map(np.concatenate, zip(*both, strict=True))
        return RowSample(self.size, hashes, mass, copies, arrays)

    @property
    def has_copies(self):
        """Whether rows came more than once; some blocks may then have left one of them out."""
        return bool((self.copies > 1).any())

    def weigh(self, hashes, weight):
        """Weights (n_kept,) of the kept rows, from the hashes and weights of a block of rows."""
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        known = self.hashes[places] == hashes
        return np.bincount(places[known], weight[known], minlength=len(self.hashes))

    def drawn(self, n_rows, total):
        """Places of the drawn rows among the kept ones, and their weights, of sum ``total``."""
        priority = _priority(self.hashes, self.mass)
        if len(priority) <= n_rows:
            return np.arange(len(priority)), self.mass * (total / self.mass.sum())
        order = np.argpartition(priority, n_rows)
        places = np.sort(order[:n_rows])
        threshold = priority[order[n_rows]]
        weight = self.mass[places]
        by_chance = weight * threshold < 1  # the others are drawn for sure
        weight[by_chance] = (total - weight[~by_chance].sum()) / max(np.count_nonzero(by_chance), 1)
        return places, weight


def _priority(hashes, mass):
    return ((hashes >> np.uint64(11)) + 0.5) * 2.0**-53 / mass


def sample_rows(X, y, weight, n_rows, classes=None):
    """Rows in memory, drawn by a hash of their content.

    They are at most ``n_rows``, fewer where fewer differ. Returns their numbers in the order of
    their hashes, and their weights, with the same sum as that of all rows. ``classes`` are labels,
    where y holds class numbers.
    """
    hashes = hash_rows(X, y, classes)
    numbers = np.arange(len(y))
    sample = None
    for rows in gen_batches(len(hashes), DRAWN_FROM):
        drawn = RowSample(
            SPARE * n_rows,
            hashes[rows],
            weight[rows],
            np.ones_like(numbers[rows]),
            (numbers[rows],),
        )
        if sample is None:
            sample = drawn
        else:
            sample = sample + drawn
    if sample.has_copies:
        sample.mass = sample.weigh(hashes, weight)
    places, drawn_weight = sample.drawn(n_rows, weight.sum())
    return sample.arrays[0][places], drawn_weight


# Hashes -----------------------------------------------------------------------------------------


def hash_rows(X, y, classes=None):
    """Hash of the content of each row, (n_samples,) uint64, whatever the type of its numbers.

    ``classes`` are labels, where y holds class numbers.
    """
    X = as_pandas(X)
    targets = y.reshape(len(y), -1)
    total = np.zeros(len(y), dtype=np.uint64)
    if sparse.issparse(X):
        entries = sparse.coo_array(X)
        hashed = _mixed(_bits(entries.data) + _salt(entries.col.astype(np.uint64)))
        ones = np.ones(X.shape[1], dtype=np.uint64)
        total += sparse.csr_array((hashed, entries.coords), shape=X.shape) @ ones
        columns = []
    elif is_table(X):
        columns = [X.iloc[:, j].to_numpy() for j in range(X.shape[1])]
    else:
        columns = [X[:, j] for j in range(X.shape[1])]
    columns = {place: _code_labels(column) for place, column in enumerate(columns)}
    if classes is not None:
        columns[TARGET_PLACE] = _bits(_code_labels(classes))[y]
    else:
        for j in range(targets.shape[1]):
            columns[TARGET_PLACE + j] = _code_labels(targets[:, j])
    salts = {place: _salt(np.array([place], dtype=np.uint64)) for place in columns}
    for rows in gen_batches(len(y), HASHED_ROWS):
        for place, column in columns.items():
            total[rows] += _mixed(_bits(column[rows]) + salts[place])
        total[rows] = _mixed(total[rows])
    return total


def _bits(values):
    """The bits of numbers as float64, with one zero; codes stay."""
    if values.dtype == np.uint64:
        return values
    return (values.astype(np.float64) + 0.0).view(np.uint64)


def _code_labels(column):
    """Codes (n,) uint64 of strings and other things, by what is printed of them; numbers stay."""
    if column.dtype == np.uint64:
        return column.astype(np.float64)
    if column.dtype.kind in "fiub":
        return column
    labels, numbers = np.unique(column.astype(str), return_inverse=True)
    digests = [blake2b(str(label).encode(), digest_size=8).digest() for label in labels]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)[numbers]


def _salt(places):
    return _mixed((places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))


def _mixed(bits):
    """Bits of which each depends on all, as SplitMix64 mixes them."""
    bits = bits ^ (bits >> np.uint64(30))
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


# Rows that repeat others: with columns and a target that are the same or nearly so ---------------


MOST_COMPARED = 100_000  # rows, the first ones, that are looked at
SPREAD = 10_000  # values, evenly spaced, that tell how wide a column is
LEAST_COPIED = 0.1  # of the rows; fewer copies change little
SAME_ROW = 0.01
SAME_TARGET = 0.15  # interquartile ranges between rows that repeat each other
LESS = 0.1, 0.01, 1e-10  # of that, where as many rows would be as near by chance
N_NEXT = 8  # rows in the order of a projection that a row is compared with
LEAST_NEAR = 0.9  # share of the pairs of such columns whose targets have to be near
REPEATED_BY_CHANCE = 0.05  # rows of such columns for each row, if columns are independent


def first_copies(rows):
    """The first row that each repeats, or itself, (n_samples,); where copies are few none does."""
    X = rows.X
    used = np.flatnonzero(rows.weight > 0)[:MOST_COMPARED]
    first = np.arange(len(rows.y))
    if sparse.issparse(X) or len(used) < 2:
        return first
    if is_table(X):
        take = X.iloc[used].items()
    else:
        take = enumerate(X[used].T.copy())
    scaled = np.array([_in_interquartile_ranges(np.asarray(each)) for _, each in take])
    for width in SAME_ROW * np.array([1.0, *LESS]):
        by_chance = np.log(len(used) / REPEATED_BY_CHANCE)
        if any((by_chance := by_chance + _log_share_within(x, width)) <= 0 for x in scaled):
            break
    else:
        return first
    target = np.array([*map(_in_interquartile_ranges, rows.y.reshape(len(first), -1)[used].T)])
    group = _groups_of_near_rows(scaled, target, width)
    _, place, group = np.unique(group, return_index=True, return_inverse=True)
    if len(place) <= (1 - LEAST_COPIED) * len(used):
        first[used] = used[place[group]]
    return first


def _in_interquartile_ranges(column):
    """A column in units in which equal levels, and missing values, are 0 apart, and others far."""
    values = np.asarray(column, dtype=object if column.dtype.kind not in "fiub" else float)
    if values.dtype == object:
        numbers = {}
        try:
            return np.array([numbers.setdefault(v, len(numbers)) for v in values], dtype=float)
        except TypeError:  # lists and the like are not compared: none equals another
            return np.arange(len(values), dtype=float)
    is_known = np.isfinite(values)
    if is_known.any():
        known = values[is_known]
    else:
        known = np.zeros(1)
    some = np.sort(known[:: 1 + len(known) // SPREAD])  # quicker than percentiles
    spread = some[3 * len(some) // 4] - some[len(some) // 4] or known.std() or 1.0
    return np.where(is_known, (values - known.min()) / spread, -1.0)


def _log_share_within(values, width):
    """Logarithm of the share of pairs of rows whose values are no farther apart than that."""
    ordered = np.sort(values[:: 1 + len(values) // SPREAD])
    ends = np.searchsorted(ordered, [ordered - width, ordered + width], side="right")
    return np.log(max(np.mean(ends[1] - ends[0] - 1), 1 / len(ordered)) / (len(ordered) - 1))


def _groups_of_near_rows(scaled, target, width):
    """Number of the group of each row, linked by rows near in columns and target; from one sort.

    Near rows are near in any projection, so that each is compared with the next few in its order.
    Rows whose columns are near and whose targets are not are measured again: no groups.
    """
    order = np.argsort(np.random.default_rng(0).normal(size=len(scaled)) @ scaled)
    n_alike = 0
    links = []
    for step in range(1, min(N_NEXT, len(order) - 1) + 1):
        one = order[:-step]
        other = order[step:]
        for column in scaled:  # the first ones leave few pairs to the others
            is_alike = np.abs(column[one] - column[other]) <= width
            one = one[is_alike]
            other = other[is_alike]
        is_near = (np.abs(target[:, one] - target[:, other]) <= SAME_TARGET).all(axis=0)
        n_alike += len(one)
        links.append((one[is_near], other[is_near]))
    ends = np.concatenate(links, axis=1)
    if ends.shape[1] < LEAST_NEAR * n_alike:
        return np.arange(len(order))
    graph = sparse.coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(len(order),) * 2)
    return connected_components(graph, directed=False)[1]
