"""A random forest that predicts distributions."""

import copy

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import check_sample_weight
from ..distributions import MixtureDistribution, StudentTComponents
from ..distributions._arrays import take

MOST_BINS = 200  # of the target: between steps of equal width and of equally many rows
DF = 5.0  # of the kernels, whose tails have the power (DF + 1) / 2
WIDTHS = np.geomspace(0.01, 2.0, 16)  # that are tried
LEARNING_ROWS = 2_000  # by which one of them is chosen; by half of them, one of the trials
TRIALS = {"min_samples_leaf": (1, 20), "max_features": (1.0, 0.5)}  # of "best", one by one
MOST_ROWS = 20_000  # of a tree: leaves are weighed by all
LEAST_SPREAD = 1e-3  # of a row, in standard deviations of the target
PILOT_WIDTH = 0.05  # of the density that widths adapt to, in these
LEAST_DENSITY = 0.01  # that they adapt to, over one of these
REPEATS = 0.01  # of the rows, that have a value with two kernels: each makes scores slower
LEAST_WIDTH = 0.03  # of the second, in standard deviations, or half the gap; of proportional ones
SHARES = (0.0, 0.1, 0.2, 0.4, 0.6)  # of its weight that are tried
TINY = 1e-300
ROWS = {"accept_sparse": "csr", "ensure_all_finite": "allow-nan", "dtype": np.float32}


class DensityForestRegressor(RegressorMixin, BaseEstimator):
    r"""A random forest whose leaves give a distribution.

    The targets of the training rows that share leaves with a row are weighted as in quantile
    regression forests [1]_, and each is smoothed by a kernel, Student's t:

    .. math:: p(y \mid x) = \frac1T \sum_t \sum_{i \in \mathrm{leaf}_t(x)}
        \frac{w_i}{\sum_{j \in \mathrm{leaf}_t(x)} w_j} \, t_5(y; y_i, h \sqrt{s(x) r})

    with trees t, weights w of the rows, and the standard deviation s(x) of the weighted targets of
    the row. The factor r is the standard deviation s of all targets; or 1 / f(y_i | x) with a
    density f by kernels of width .05 s, so that kernels are narrower where the targets of a row are
    dense [2]_; or, of positive targets with mean m, s max(y_i / m, .03) squared. The choice and
    the width h maximise the out-of-bag log-density without rows of the same target, so that rounded
    targets do not make h too small. A value that 1 % of the rows have, such as a round price, has
    one more kernel, of scale .03 s, or half the gap between values if that is more, with up to .6
    of its weight, by the log-density with all rows. For speed, targets are put into 200 bins, and
    trees are grown on at most 20,000 rows each; leaves weigh all rows. In a list of experts, the
    forest keeps its density.

    Parameters
    ----------
    n_estimators : int, default=100
        Number of trees.
    min_samples_leaf : "best", int or float, default=1
        As in scikit-learn. "best": 1 or 20, by the out-of-bag log-density on 1,000 rows.
    max_features : {"best", "sqrt", "log2"}, int, float or None, default=1.0
        As in scikit-learn. "best": 1.0 or 0.5, chosen likewise.
    n_jobs : int, default=None
        Number of threads.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Attributes
    ----------
    forest_ : RandomForestRegressor
        The fitted forest.
    width_ : float
        The width h.
    adaptive_ : bool or "proportional"
        Whether r is 1 / f(y_i | x); "proportional" if it grows with the target.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all are strings.

    References
    ----------
    .. [1] N. Meinshausen, "Quantile regression forests", Journal of Machine Learning Research 7,
       2006.
    .. [2] I. S. Abramson, "On bandwidth variation in kernel estimates: a square root law", Annals
       of Statistics 10, 1982.

    Examples
    --------
    The target is about -1 or 1:

    >>> import numpy as np
    >>> from skmoe import DensityForestRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1))
    >>> y = rng.choice([-1, 1], 300) + 0.1 * rng.normal(size=300)
    >>> forest = DensityForestRegressor(random_state=0).fit(X, y)
    >>> dist = forest.predict_dist([[0.0]])
    >>> dist.pdf(-1) > 10 * dist.pdf(0)
    array([ True])
    """

    _out_of_bag = None  # (n_samples, n_bins): weights for the rows that it was fitted on

    def __init__(
        self,
        n_estimators=100,
        *,
        min_samples_leaf=1,
        max_features=1.0,
        n_jobs=None,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Grow the trees and learn the width.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows; values may be missing.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. None: weights of one.

        Returns
        -------
        self : DensityForestRegressor
            Fitted.
        """
        X, y = validate_data(self, X, y, y_numeric=True, **ROWS)
        y = y.astype(np.float64)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        used = weight > 0
        X = X[used]
        y = y[used]
        weight = weight[used]
        forest = RandomForestRegressor(
            self.n_estimators,
            max_samples=min(len(y), MOST_ROWS),
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            **self._best_trees(X, y, weight),
        )
        self.forest_ = forest.fit(X, y, None if sample_weight is None else weight)
        self._level = np.average(y, weights=weight)
        self._spread = np.sqrt(np.average((y - self._level) ** 2, weights=weight)) or 1.0
        bins = _bins_of(y, weight)
        mass = np.bincount(bins, weight)
        self._centres = np.bincount(bins, weight * y) / mass
        self._variances = np.bincount(bins, weight * (y - self._centres[bins]) ** 2) / mass
        leaves = self._leaves(X)
        n_trees = self.n_estimators
        self._of_leaf = np.bincount(leaves.ravel(), np.repeat(weight, n_trees))
        shares = (weight[:, None] / self._of_leaf[leaves]).ravel()
        # (n_nodes, n_bins): of the weight of each leaf of each tree, by bins of the target.
        places = leaves.ravel(), np.repeat(bins, n_trees)
        self._histograms = csr_array((shares, places), (len(self._of_leaf), len(mass)))
        self._learn_kernels(y, weight, bins, leaves)
        return self

    def predict(self, X):
        """Predict the mean.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        mean : ndarray of shape (n_samples,)
            Mean of the distribution.
        """
        return self._weights(X) @ self._centres

    def predict_dist(self, X):
        """Predict the distribution.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        distribution : MixtureDistribution
            Distribution of the target, with a component for each bin with positive weight.
        """
        weights = self._weights(X)
        # A bin is as wide as its targets differ.
        spreads = self._spreads(weights, self.adaptive_)
        scale = np.sqrt((self.width_ * spreads) ** 2 + self._variances)
        weights = np.hstack([weights - weights * self._shares, weights * self._shares])
        scale = np.hstack([scale, np.broadcast_to(self._narrow, scale.shape)])
        unused = weights == 0
        most = np.count_nonzero(~unused, axis=1).max(initial=1)
        bins = np.argsort(unused, axis=1, kind="stable")[:, :most]
        components = StudentTComponents(np.tile(self._centres, 2)[bins], take(scale, bins), DF)
        return MixtureDistribution(take(weights, bins), components)

    def _best_trees(self, X, y, weight):
        # The best by the out-of-bag log-density on some rows, one parameter after the other.
        given = {name: self.get_params()[name] for name in TRIALS}
        best = given | {name: TRIALS[name][0] for name in TRIALS if given[name] == "best"}
        some = np.linspace(0, len(y) - 1, min(len(y), LEARNING_ROWS // 2)).astype(int)
        for name in (name for name in TRIALS if given[name] == "best"):
            trials = [best | {name: value} for value in TRIALS[name]]
            tried = [clone(self).set_params(n_estimators=40, **trial) for trial in trials]
            scores = [each.fit(X[some], y[some], weight[some])._log_density for each in tried]
            best = trials[int(np.argmax(scores))]
        return best

    def _weights(self, X):
        """Weights of the bins, (n_samples, n_bins)."""
        check_is_fitted(self)
        if self._out_of_bag is not None:
            return self._out_of_bag
        leaves = self._leaves(validate_data(self, X, reset=False, **ROWS))
        return self._weigh(leaves, np.full(leaves.shape, 1 / leaves.shape[1]))

    def _leaves(self, X):
        """Numbers (n_samples, n_trees) of the leaves, among the nodes of all trees."""
        sizes = [tree.tree_.node_count for tree in self.forest_.estimators_]
        return self.forest_.apply(X) + np.append(0, np.cumsum(sizes)[:-1])

    def _weigh(self, leaves, factors):
        """Sums (n_samples, n_bins) over trees of the histograms of leaves times factors."""
        n, n_trees = leaves.shape
        of_trees = factors.ravel(), leaves.ravel(), np.arange(0, n * n_trees + 1, n_trees)
        return (csr_array(of_trees, (n, self._histograms.shape[0])) @ self._histograms).toarray()

    def _unseen(self, n):
        """Which trees were grown without which of the n rows, (n, n_trees)."""
        unseen = np.ones((n, self.n_estimators), dtype=bool)
        for tree, rows in enumerate(self.forest_.estimators_samples_):
            unseen[rows, tree] = False
        return unseen

    def _weigh_unseen(self, leaves, unseen, own, bins):
        """Weights (n, n_bins) by ``unseen`` trees, without a row's own weight (n,)."""
        of_leaf = self._of_leaf[leaves]
        own = own[:, None]
        others = np.where(unseen, np.maximum(of_leaf - own, 1e-9 * of_leaf), np.inf)
        n_trees = unseen.sum(axis=1)[:, None]
        weights = self._weigh(leaves, of_leaf / others / n_trees)
        place = np.arange(len(leaves)), bins
        weights[place] = np.maximum(weights[place] - (own / others / n_trees).sum(axis=1), 0.0)
        return weights

    def _learn_kernels(self, y, weight, bins, leaves):
        """Kernels of the largest out-of-bag log-density."""
        unseen = self._unseen(len(y))
        rows = np.flatnonzero(unseen.any(axis=1))
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), LEARNING_ROWS)).astype(int)]
        weights = self._weigh_unseen(leaves[rows], unseen[rows], weight[rows], bins[rows])
        kinds = (False, True, "proportional")[: 3 if y.min() > 0 else 2]
        spreads = {adaptive: self._spreads(weights, adaptive) for adaptive in kinds}
        is_value = np.bincount(bins[np.unique(y, return_index=True)[1]]) == 1
        others = weights.copy()
        others[np.arange(len(rows)), bins[rows]] *= ~is_value[bins[rows]]
        used = np.nonzero(others)
        scores = {}
        (row, bin_), others = used, others[used]
        squares = (y[rows, None] - self._centres) ** 2
        square = squares[used]
        variances = self._variances[bin_]
        for adaptive, spread in spreads.items():
            spread = np.broadcast_to(spread, squares.shape)[used]
            for width in WIDTHS.tolist():
                kernel = others * _kernel(square, (width * spread) ** 2 + variances)
                density = np.bincount(row, kernel, len(rows))
                scores[width, adaptive] = weight[rows] @ np.log(np.maximum(density, TINY))
        self.width_, self.adaptive_ = max(scores, key=scores.get)
        # Values that repeat have narrow kernels too, if rows of the same target gain by these.
        if len(self._centres) > 1:
            step = 0.5 * np.gradient(self._centres)
        else:
            step = 0.0
        self._narrow = np.maximum(step, LEAST_WIDTH * self._spread)
        repeats = is_value & (np.bincount(bins) > max(1, REPEATS * len(bins)))
        variance = (self.width_ * spreads[self.adaptive_]) ** 2 + self._variances
        wide = weights * _kernel(squares, variance)
        gain = (weights * _kernel(squares, self._narrow**2) - wide) @ repeats
        density = wide.sum(axis=1) + np.multiply.outer(SHARES, gain)
        scores = np.log(np.maximum(density, TINY)) @ weight[rows] / weight[rows].sum()
        self._log_density = scores.max()
        self._shares = SHARES[scores.argmax()] * repeats

    def _spreads(self, weights, adaptive):
        """Scales of kernels of width one, (n_samples, 1) or, ``adaptive``, (n_samples, n_bins)."""
        mean = weights @ self._centres
        square = weights @ self._variances
        square += np.einsum("nb,nb->n", weights, (self._centres - mean[:, None]) ** 2)
        own = np.maximum(np.sqrt(square), LEAST_SPREAD * self._spread)[:, None]
        if adaptive is not True:
            even = np.sqrt(own * self._spread)
            if adaptive:
                return even * np.maximum(self._centres / self._level, LEAST_WIDTH)
            return even
        # Gaussian densities (n_bins, n_bins) around the bins, at the bins.
        pilot = norm.pdf(self._centres, self._centres[:, None], PILOT_WIDTH * self._spread)
        return np.sqrt(own / np.maximum(weights @ pilot, LEAST_DENSITY / self._spread))


def _kernel(square, variance):  # but for a constant
    tail = 1 + square / (DF * variance)
    return 1 / (tail**2 * tail * np.sqrt(variance))


def out_of_bag(forest, X, y, rows, weight):
    """A copy of a fitted forest that predicts X alone, each row by trees grown without it.

    Those of numbers ``rows``, with targets y and weights, are all that ``fit`` was given. What is
    in all bags is predicted by all trees, but for its own weight.
    """
    leaves = forest._leaves(np.asarray(X, dtype=np.float32))
    own = np.zeros(len(leaves))
    bins = np.zeros(len(leaves), dtype=int)
    own[rows] = weight
    bins[rows] = _bins_of(y, weight)
    unseen = np.ones(leaves.shape, dtype=bool)
    unseen[rows] = forest._unseen(len(rows))
    unseen[~unseen.any(axis=1)] = True
    found = copy.copy(forest)
    found._out_of_bag = forest._weigh_unseen(leaves, unseen, own, bins)
    return found


def _bins_of(y, weight):
    """Number of the bin of each row; values that many rows have are bins of their own."""
    values, place = np.unique(y, return_inverse=True)
    if len(values) <= MOST_BINS:
        return place
    share = np.bincount(place, weight) / weight.sum()
    rank = np.cumsum(share) - 0.5 * share
    position = (values - values[0]) / (values[-1] - values[0])
    steps = np.floor(0.5 * MOST_BINS * (rank + position)).astype(int)
    return np.unique(steps, return_inverse=True)[1][place]
