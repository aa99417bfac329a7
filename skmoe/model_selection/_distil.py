"""One small model in place of a mixture, and what that costs."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.model_selection import ShuffleSplit
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d, get_tags
from sklearn.utils.validation import check_is_fitted

from .._experts.fitting import fit_weighted, split_last
from .._experts.traits import offers
from .._reports.display import html_table, text_table
from .._tables.vectors import check_weights


class DistilledRegressor(RegressorMixin, BaseEstimator):
    """One small model of the mean and the quantiles of a mixture.

    A mixture asks all its experts. Where there is room for one model only, on a device or in a
    service, another regressor learns what the mixture predicts: its mean and its quantiles, which
    have less noise than the target. The rows need no target, so there may be more of them than
    ``fit`` of the mixture had. ``losses_`` tells from rows held out what is lost.

    Parameters
    ----------
    mixture : MixtureOfExpertsRegressor
        Fitted, of one output; or a Pipeline or search of one. It is not fitted again; within a
        search, which clones what it is given, wrap it in a ``FrozenEstimator``.
    estimator : estimator
        Any regressor, or a Pipeline of one: a tree, linear model, net or boosting. Those of one
        output are fitted once for each quantile, in a ``MultiOutputRegressor``.
    quantiles : tuple of float, default=(0.05, 0.5, 0.95)
        Probabilities, in rising order.
    test_size : float, default=0.25
        Share of the rows on which losses are measured, by a model of the others.
    random_state : int, RandomState instance or None, default=0
        Draws these rows.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows; its outputs are the mean and the quantiles.
    losses_ : DistillationLosses
        Prints as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.model_selection import DistilledRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(500, 1))
    >>> y = np.abs(X[:, 0]) + 0.2 * rng.normal(size=500)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> tree = DecisionTreeRegressor(max_leaf_nodes=16, random_state=0)
    >>> small = DistilledRegressor(moe, tree)
    >>> small = small.fit(rng.uniform(-3, 3, size=(5000, 1)))
    >>> small.losses_.kept > 0.98
    True
    >>> small.predict_quantiles([[2.0]]).round(1)
    array([[1.8, 2.1, 2.4]])
    """

    def __init__(
        self, mixture, estimator, *, quantiles=(0.05, 0.5, 0.95), test_size=0.25, random_state=0
    ):
        self.mixture = mixture
        self.estimator = estimator
        self.quantiles = quantiles
        self.test_size = test_size
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        """Learn what the mixture predicts for these rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows, with a target or without.
        y : array-like of shape (n_samples,), default=None
            Their target, with which losses are measured too; of rows that the mixture has not
            seen, or its own are flattered.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : DistilledRegressor
            Fitted.

        Raises
        ------
        ValueError
            If the mixture is one of classifiers, or quantiles are no rising probabilities.
        """
        levels = np.asarray(self.quantiles, dtype=float)
        rising = levels.ndim == 1 and len(levels) and (np.diff(levels) > 0).all()
        if not rising or levels[0] <= 0 or levels[-1] >= 1:
            raise ValueError(f"quantiles must be rising probabilities; got {self.quantiles!r}.")
        if is_classifier(self.mixture):
            raise ValueError(
                "DistilledRegressor is for regressors: fit a classifier to predict(X), or a "
                "regressor to predict_proba(X), of a mixture of classifiers."
            )
        mixture = self.mixture
        if offers(mixture, "best_estimator_"):  # whose search takes no quantiles
            mixture = mixture.best_estimator_
        mean = mixture.predict(X)
        if mean.ndim > 1:
            raise ValueError("DistilledRegressor is for mixtures of one output.")
        targets = np.column_stack([mean, mixture.predict(X, quantiles=levels)])
        weight = None if sample_weight is None else check_weights(sample_weight, targets)
        splitter = ShuffleSplit(1, test_size=self.test_size, random_state=self.random_state)
        ((train, test),) = splitter.split(targets)
        student = self._learned(X, targets, weight, train)
        found = _parts(student, _safe_indexing(X, test))
        self.losses_ = DistillationLosses._of(levels, targets[test], found)
        if y is not None:
            y = column_or_1d(y).astype(float)
            check_consistent_length(targets, y)
            plain = self._learned(X, y, weight, train).predict(_safe_indexing(X, test))
            self.losses_._measure(y[test], targets[test], found, np.ravel(plain))
        self.estimator_ = self._learned(X, targets, weight, np.arange(len(targets)))
        return self

    def _learned(self, X, targets, weight, rows):
        """A clone of the estimator, fitted to some of the rows."""
        student, X = clone(self.estimator), _safe_indexing(X, rows)
        last = split_last(student)[1]
        if targets.ndim == 2 and not get_tags(last).target_tags.multi_output:
            student = MultiOutputRegressor(student)
        if weight is None:
            return student.fit(X, targets[rows])
        return fit_weighted(student, X, targets[rows], weight[rows])

    def predict(self, X, quantiles=None):
        """Predict the mean of the mixture, or all quantiles that were learned.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        quantiles : tuple of float, default=None
            Those that were learned, in place of the mean.

        Returns
        -------
        mean : ndarray of shape (n_samples,)
            Or quantiles, (n_samples, n_quantiles).
        """
        check_is_fitted(self)
        if quantiles is None:
            return _parts(self.estimator_, X)[:, 0]
        if tuple(np.ravel(quantiles)) != tuple(self.quantiles):
            raise ValueError(f"The quantiles {self.quantiles} were learned; got {quantiles!r}.")
        return self.predict_quantiles(X)

    def predict_quantiles(self, X):
        """Predict the quantiles of the mixture, in rising order.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_quantiles)
            Those of ``quantiles``.
        """
        check_is_fitted(self)
        return _parts(self.estimator_, X)[:, 1:]


class DistillationLosses:
    """What a small model loses against its mixture, on rows held out; prints as a table.

    Parameters
    ----------
    levels : ndarray of shape (n_quantiles,)
        Probabilities of the quantiles.
    kept : float
        Share of the variance of the mixture's means that the small model explains.
    width : float
        Mean absolute error of its quantiles over the mean width between the outer ones; NaN of
        a single quantile.

    Attributes
    ----------
    by_target : dict of str to tuple of float
        With a target, for the mixture and the small model: root mean square error, mean pinball
        loss of the quantiles, and coverage between the outer ones. ``plain`` is the root mean
        square error of the same estimator when fitted to the target itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.model_selection import DistillationLosses
    >>> DistillationLosses(np.array([0.05, 0.95]), 0.99, 0.02)
    small model                        value
    variance of the means explained   99.0 %
    error of quantiles / their width   2.0 %
    """

    def __init__(self, levels, kept, width):
        self.levels, self.kept, self.width = levels, kept, width
        self.by_target = {}

    @classmethod
    def _of(cls, levels, targets, found):
        """Of what the mixture and the small model predict, (n, 1 + n_quantiles)."""
        mean, variance = targets[:, 0], targets[:, 0].var()
        kept = 1 - np.mean((mean - found[:, 0]) ** 2) / variance if variance > 0 else np.nan
        width = np.mean(targets[:, -1] - targets[:, 1])
        error = np.mean(np.abs(targets[:, 1:] - found[:, 1:]))
        return cls(levels, float(kept), float(error / width) if width > 0 else np.nan)

    def _measure(self, y, targets, found, plain):
        """Measure both by targets y; ``plain`` is what the estimator makes of y alone."""

        def losses(values):
            above = y[:, None] - values[:, 1:]
            pinball = np.mean(np.maximum(self.levels * above, (self.levels - 1) * above))
            inside = (values[:, 1] <= y) & (y <= values[:, -1])
            return np.sqrt(np.mean((y - values[:, 0]) ** 2)), pinball, np.mean(inside)

        both = zip(losses(targets), losses(found), strict=True)
        names = "root mean square error", "mean pinball loss", "coverage"
        self.by_target = {
            name: tuple(map(float, pair)) for name, pair in zip(names, both, strict=True)
        }
        self.by_target["plain"] = (float(np.sqrt(np.mean((y - plain) ** 2))),)

    @property
    def _tables(self):
        """Headers and cells."""
        cells = [
            ["variance of the means explained", f"{100 * self.kept:.1f} %"],
            ["error of quantiles / their width", f"{100 * self.width:.1f} %"],
        ]
        yield ["small model", "value"], cells
        if self.by_target:
            *names, plain = self.by_target
            cells = [[name, *(f"{each:.4g}" for each in self.by_target[name])] for name in names]
            cells = [row + [""] for row in cells]
            cells[0][-1] = f"{self.by_target[plain][0]:.4g}"
            yield ["by the target", "mixture", "small model", "plain"], cells

    def __str__(self):
        return "\n\n".join(text_table(*each) for each in self._tables)

    __repr__ = __str__

    def _repr_html_(self):
        return "".join(html_table(*each) for each in self._tables)


def _parts(student, X):
    """Mean and quantiles, these in rising order, (n, 1 + n_quantiles)."""
    values = np.asarray(student.predict(X), dtype=float)
    values[:, 1:] = np.sort(values[:, 1:], axis=1)
    return values
