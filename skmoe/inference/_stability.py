"""Stability of regimes over random seeds and subsamples."""

from collections import Counter

import numpy as np
from scipy import optimize
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_random_state

from .._compat import with_callbacks_of
from .._em.loop import count, refits
from .._reports.by_regime import regimes_of
from .._validation import check_fitted
from ._bootstrap import EstimateTable, check_bootstrap_rows, with_all_classes

SURE = 0.9  # share of refits, and adjusted Rand index, above which they count as equal
SOURCES = ("seeds", "halves")
OF_ALL_ROWS = ("stack", "specialists")
ADVICE = "Raise n_init; if seeds still differ, do not report the regimes."


class Stability(EstimateTable):
    """Stability of regimes over random seeds and subsamples, the result of ``stability``.

    It prints as a table with a verdict, and shows as HTML. "seeds" are refits to the same rows with
    another ``random_state``, with other starts of the search; "halves" are refits to half of the
    rows, drawn without replacement, which vary like new samples.

    Parameters
    ----------
    labels : ndarray of int of shape (n_samples,)
        Regime of each row in the fit.
    n_regimes : int
        Number of regimes of the fit.
    n_by : dict of str to ndarray of int of shape (n_resamples,)
        For "seeds" and "halves", the number of regimes of each refit.
    labels_by : dict of str to ndarray of int of shape (n_resamples, n_samples)
        The regime of each row in each refit.
    random_states : dict of str to ndarray of int of shape (n_resamples,)
        ``random_state`` of each refit.
    counts : ndarray of bool of shape (n_samples,), default=None
        Rows with positive weight, on which partitions are compared. None: all.
    word : {"regime", "expert"}, default="regime"
        What is counted.

    Attributes
    ----------
    share : dict of str to dict of int to float
        For "seeds" and "halves", the share of refits with each number of regimes.
    rand : dict of str to ndarray of shape (n_resamples,)
        Adjusted Rand index [1]_ between the partition of each refit and that of the fit: 1 for the
        same partition, about 0 for unrelated ones.
    changes : dict of str to ndarray of shape (n_samples,)
        Share of the refits in which a row is in another regime than in the fit, once the regimes
        of the refit are matched to those of the fit with as many rows in common as possible.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.stability : Computes it.

    References
    ----------
    .. [1] L. Hubert and P. Arabie, "Comparing partitions", Journal of Classification 2 (1985)
       193-218.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.inference import Stability
    >>> labels = np.array([0, 0, 1, 1])
    >>> refits = np.array([[1, 1, 0, 0], [0, 0, 1, 0]])
    >>> found = {
    ...     "n_by": {"seeds": np.array([2, 2]), "halves": np.array([2, 2])},
    ...     "labels_by": {"seeds": refits[:1].repeat(2, axis=0), "halves": refits},
    ...     "random_states": {"seeds": np.arange(2), "halves": np.arange(2)},
    ... }
    >>> Stability(labels, 2, **found).changes["halves"]
    array([0. , 0. , 0. , 0.5])
    """

    _is_set = False  # whether the number was given

    def __init__(
        self, labels, n_regimes, *, n_by, labels_by, random_states, counts=None, word="regime"
    ):
        self.labels = np.asarray(labels)
        self.n_regimes = int(n_regimes)
        self.word = word
        self.n_by = n_by
        self.labels_by = labels_by
        self.random_states = random_states
        if counts is None:
            self.counts = np.ones(len(self.labels), bool)
        else:
            self.counts = counts
        known = self.labels[self.counts]
        self.share = {}
        self.rand = {}
        self.changes = {}
        for source in SOURCES:
            found = Counter(n_by[source].tolist())
            self.share[source] = {n: times / found.total() for n, times in sorted(found.items())}
            refits = labels_by[source]
            rand = [adjusted_rand_score(known, each[self.counts]) for each in refits]
            self.rand[source] = np.array(rand)
            moved = [changed(self.labels, each, self.counts) for each in refits]
            self.changes[source] = np.mean(moved, axis=0)

    def verdict(self):
        """Verdict in one sentence.

        Returns
        -------
        verdict : str
            Whether the regimes are reproducible.
        """
        fit = count(self.n_regimes, self.word)
        same = {source: self.share[source].get(self.n_regimes, 0.0) for source in SOURCES}
        rand = {source: float(np.median(self.rand[source])) for source in SOURCES}
        if min(same["seeds"], rand["seeds"]) < SURE:
            what = f"on the same rows {self._found('seeds')}"
            if same["seeds"] >= SURE:
                what = f"seeds agree on {fit}, but not on which rows belong together (median "
                what += f"adjusted Rand index {_two_digits(rand['seeds'])})"
            return f"Not settled: {what}; {self._found('halves')}. {ADVICE}"
        if same["halves"] < SURE:
            may_lack_rows = max(self.share["halves"]) <= self.n_regimes
            what = "is uncertain"
            if may_lack_rows:
                what += ", or halves lack rows"
            return f"The number {what}: {self._found('halves')}."
        if rand["halves"] < SURE:
            if self._is_set:
                number = "was set"
            else:
                number = "is stable"
            return (
                f"The number {number}, {fit}; which rows belong together is less stable (median "
                f"adjusted Rand index {_two_digits(rand['halves'])} in halves of the rows)."
            )
        if self._is_set:
            fit += " (n_experts was set)"
        return f"Stable: seeds and halves of the rows agree on {fit}" + (
            "." if self.n_regimes == 1 else ", and on which rows belong together."
        )

    def _found(self, source):
        """Numbers of regimes and their frequencies, the most frequent first."""
        (n, share), *others = sorted(self.share[source].items(), key=lambda each: -each[1])
        first = f"{share:.0%} of the {source} lead to {count(n, self.word)}"
        return ", ".join([first, *(f"{share:.0%} to {n}" for n, share in others)])

    def to_frame(self, of="refits"):
        """Results as a DataFrame.

        Parameters
        ----------
        of : {"refits", "rows"}, default="refits"
            Rows of the DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            For refits, indexed by "seeds" or "halves" and their number: ``random_state``, number of
            regimes and adjusted Rand index. For rows: their regime in the fit, and the share of
            refits in which it differs, for seeds and for halves.

        Raises
        ------
        ValueError
            If ``of`` is neither.
        """
        import pandas as pd

        number = f"n_{self.word}s"
        if of == "rows":
            changes = {f"changes_by_{source}": self.changes[source] for source in SOURCES}
            return pd.DataFrame({self.word: self.labels, **changes})
        if of != "refits":
            raise ValueError(f"of must be 'refits' or 'rows'; got {of!r}.")
        columns = {"random_state": self.random_states, number: self.n_by, "rand": self.rand}
        frames = {
            source: pd.DataFrame({name: by[source] for name, by in columns.items()})
            for source in SOURCES
        }
        return pd.concat(frames, names=["source", "refit"])

    def _header(self):
        return ["share of refits with", *SOURCES]

    def _cells(self):
        numbers = sorted({self.n_regimes, *(n for each in self.share.values() for n in each)})
        cells = [
            [
                f"  {count(n, self.word)}" + (" (the fit)" if n == self.n_regimes else ""),
                *(f"{self.share[source].get(n, 0):.0%}" for source in SOURCES),
            ]
            for n in numbers
        ]
        if self.n_regimes > 1:  # else it is 0 or 1
            cells.append(["adjusted Rand index against the fit", "", ""])
            for name, of in {"median": np.median, "lowest": np.min}.items():
                cells.append([f"  {name}", *(_two_digits(of(each)) for each in self.rand.values())])
        changes = [self.changes[source][self.counts] for source in SOURCES]
        cells.append([f"share of rows that change their {self.word}", "", ""])
        cells.append(["  average over refits", *(f"{each.mean():.0%}" for each in changes)])
        often = [f"{np.mean(each >= 0.5):.0%}" for each in changes]
        cells.append(["  in half of the refits or more", *often])
        return cells

    def _lines(self):
        return f"{len(self.n_by['seeds'])} refits of each kind.", self.verdict()


def stability(
    mixture, X, y, sample_weight, metadata, groups, n_resamples, n_jobs, random_state, verbose
):
    """Stability of a fitted mixture; parameters are those of its method."""
    check_fitted(mixture)
    if n_resamples < 2:
        raise ValueError(f"n_resamples must be at least 2; got {n_resamples!r}.")
    if mixture._changed_by is not None:
        raise ValueError(
            f"After {mixture._changed_by} no fit can be repeated: call fit, then stability."
        )
    if mixture.plan_.training in OF_ALL_ROWS:
        raise ValueError(
            f"Training by {mixture.plan_.training!r} fits experts to all rows: there are no "
            "regimes to check. Linear experts (experts=None) look for regimes."
        )
    rows = check_bootstrap_rows(mixture, X, y, sample_weight, metadata, groups)
    n_regimes, labels = partition_of(mixture, rows)
    shape = (len(SOURCES), n_resamples)
    largest = np.iinfo(np.int32).max
    seeds = check_random_state(random_state).randint(largest, size=shape)
    seeds = dict(zip(SOURCES, seeds, strict=True))
    tasks = [(source, int(seed)) for source in SOURCES for seed in seeds[source]]
    found = refits(mixture, (X, rows.y), _refit, (mixture, rows), tasks, n_jobs, verbose)
    parts = {"seeds": found[:n_resamples], "halves": found[n_resamples:]}
    n_by = {source: np.array([n for n, _ in part]) for source, part in parts.items()}
    labels_by = {source: np.array([each for _, each in part]) for source, part in parts.items()}
    result = Stability(
        labels,
        n_regimes,
        n_by=n_by,
        labels_by=labels_by,
        random_states=seeds,
        counts=rows.weight > 0,
        word="regime" if regimes_of(mixture) else "expert",
    )
    result._is_set = mixture.n_experts == n_regimes
    return result


def _refit(mixture, rows, source, seed):
    """Number of regimes of a refit, and the regime of each row."""
    twin = with_callbacks_of(mixture).set_params(verbose=0, random_state=seed, warm_start=False)
    drawn = np.arange(len(rows.y))
    if source == "halves":
        random_state = np.random.RandomState(seed)
        (drawn,) = with_all_classes(mixture, rows.y, lambda: [rows.halve(random_state)])
    if rows.metadata.subject is None:
        subject = None
    else:
        subject = rows.metadata.subject[drawn]
    rows.fit(twin, drawn, rows.weight[drawn], subject)
    return partition_of(twin, rows)


def partition_of(mixture, rows):
    """Number of regimes of a fitted mixture, and the regime of each row, (n_samples,)."""
    names = list(mixture.named_experts_)
    regimes = regimes_of(mixture) or [[name] for name in names]
    resp = rows.responsibilities(mixture)
    of_regimes = [resp[:, [names.index(name) for name in each]].sum(axis=1) for each in regimes]
    return len(regimes), np.argmax(of_regimes, axis=0)


def changed(labels, others, counts):
    """Whether rows change their regime, after the best matching on the rows of ``counts``."""
    shared = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(shared, (labels[counts], others[counts]), 1)
    match = np.full(len(shared[0]), -1)
    regimes, found = optimize.linear_sum_assignment(shared, maximize=True)
    match[found] = regimes
    return match[others] != labels


def _two_digits(rand):
    return f"{round(float(rand), 2) + 0.0:.2f}"  # no -0.00
