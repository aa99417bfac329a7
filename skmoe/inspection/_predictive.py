"""The predictive distribution over one feature."""

from numbers import Integral

import numpy as np
from sklearn.base import is_classifier

from .._compat import check_matplotlib_support
from ._axes import make_axes, outlined
from ._columns import PlottedColumns, check_output, target_name, unwrap

LEVELS = (0.5, 0.8, 0.95)
DARKEST, PALEST = 0.45, 0.88  # greys of the smallest level and of the largest


class PredictiveDisplay:
    """The predictive distribution over one feature: a fan of its central intervals.

    The fan is wide where errors are large, and where a mixture is in doubt which regime a row is
    in. The other columns of X stay as they are in one row. Of a classifier the class probabilities
    are drawn.

    Parameters
    ----------
    axis : Axis
        What is drawn over.
    levels : tuple of float
        Probabilities of the intervals, rising.
    intervals : ndarray of shape (n_levels, 2, n_points), default=None
        Their lower and upper ends.
    mean : ndarray of shape (n_points,), default=None
        Of each distribution.
    proba : ndarray of shape (n_points, n_classes), default=None
        Of classes, in place of intervals and mean.
    classes : ndarray of shape (n_classes,), default=None
        Their labels.
    discrete : bool, default=False
        Whether the distributions are of whole numbers: intervals hold both of their ends.
    target_name : str, default="y"
        What is predicted.
    y : ndarray of shape (n_rows,), default=None
        Targets of rows to draw.

    Attributes
    ----------
    points : ndarray of shape (n_points,)
        Where the feature was set to; numbers of the categories of strings.
    fans_ : list of PolyCollection
        The intervals of each level; over categories a BarContainer.
    mean_line_ : Line2D
        The mean.
    lines_ : list of Line2D
        The probability of each class.
    axes_ : ndarray of Axes
        The one that is drawn on.
    ax_ : Axes
        The same.
    figure_ : Figure
        What holds it.

    See Also
    --------
    skmoe.distributions.MixtureDistribution.interval : The intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import PredictiveDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = rng.choice([-1, 1], size=200) * X[:, 0] + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = PredictiveDisplay.from_estimator(moe, X, y, grid_resolution=11)
    >>> display.intervals[0, :, 0].round()  # of level 50 %, at the left end
    array([-3.,  3.])
    """

    def __init__(
        self,
        *,
        axis,
        levels=LEVELS,
        intervals=None,
        mean=None,
        proba=None,
        classes=None,
        discrete=False,
        target_name="y",
        y=None,
    ):
        self.axis, self.levels, self.intervals, self.mean = axis, levels, intervals, mean
        self.proba, self.classes, self.discrete = proba, classes, discrete
        self.target_name, self.y = target_name, y

    @property
    def points(self):
        """Where the feature was set to.

        Returns
        -------
        points : ndarray of shape (n_points,)
            Numbers of the categories, where it has strings.
        """
        return self.axis.places

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, feature=None, *, row=None, levels=LEVELS, output=None,
        grid_resolution=100, ax=None,
    ):  # fmt: skip
        """Draw the predictive distribution of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets. Given, the rows of a regression are drawn, whatever their other columns.
        feature : int or str, default=None
            Column of X by number or name. None is the only one.
        row : int, default=None
            Number of the row of X whose other columns are kept. None is the row that is nearest
            to the medians of all columns.
        levels : sequence of float, default=(0.5, 0.8, 0.95)
            Probabilities of the intervals.
        output : int, default=None
            Which of several outputs to draw.
        grid_resolution : int, default=100
            Points of the feature.
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : PredictiveDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there is no such feature, row, level or output, or it has to be named and is not.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, _ = unwrap(estimator, X)
        output = check_output(mixture._model.y_shape, output)
        levels = tuple(sorted(levels))
        if not levels or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError(f"levels must be probabilities between 0 and 1; got {levels}.")
        columns = PlottedColumns(X)
        axis = columns.axis(columns.only(feature), grid_resolution)
        row = columns.typical_row() if row is None else row
        if not isinstance(row, Integral) or not 0 <= row < columns.n_rows:
            raise ValueError(
                f"row must be the number of a row of X, below {columns.n_rows}; got {row!r}."
            )
        Z = unwrap(estimator, columns.at([axis], [axis.places], [row]))[1]
        if is_classifier(mixture):
            proba = mixture.predict_proba(Z)
            return cls(axis=axis, proba=proba, classes=mixture.classes_).plot(ax)
        distribution = mixture.predict_dist(Z)
        name = target_name(y, output)
        if output is not None:
            distribution = distribution.output(output)
            y = None if y is None else np.asarray(y, dtype=np.float64)[:, output]
        return cls(
            axis=axis,
            levels=levels,
            intervals=np.array([distribution.interval(level) for level in levels]),
            mean=distribution.mean(),
            discrete=distribution.discrete,
            target_name=name,
            y=None if y is None else np.asarray(y, dtype=np.float64).ravel(),
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the fan, or the class probabilities.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : PredictiveDisplay
            Itself.
        """
        (ax,) = make_axes(self, ax)
        if self.proba is not None:
            self._draw_classes(ax)
        else:
            self._draw_fan(ax)
        return self

    def _draw_classes(self, ax):
        names = [str(label) for label in self.classes]
        self.lines_ = self.axis.draw_shares(ax, self.proba, names, "class probability")
        ax.legend(handlelength=3.5)

    def _draw_fan(self, ax):
        self.axis.dress(ax.xaxis)
        greys = np.linspace(DARKEST, PALEST, len(self.levels)) if len(self.levels) > 1 else [0.7]
        self.fans_ = []
        step = "mid" if self.discrete else None
        for k in range(len(self.levels))[::-1]:
            low, high = self.intervals[k] + 0.5 * self.discrete * np.array([[-1], [1]])
            style = {"color": str(greys[k]), "linewidth": 0.3, "zorder": 1}
            style["label"] = f"{self.levels[k]:.0%} interval"
            if self.axis.labels is None:
                fan = ax.fill_between(self.points, low, high, step=step, **style)
            else:
                fan = ax.bar(self.points, high - low, 0.6, low, **style)
            self.fans_.insert(0, fan)
        if self.y is not None:
            ax.plot(
                self.axis.scattered(), self.y, "o", color="k", markersize=2.5, alpha=0.6, zorder=2
            )
        style = {"linestyle": "--", "path_effects": outlined()}
        if self.axis.labels is not None:
            style = {"linestyle": "", "marker": "D"}
        (self.mean_line_,) = ax.plot(
            self.points, self.mean, color="#b3202c", linewidth=1.8, label="mean", **style
        )
        ax.set_ylabel(self.target_name)
        ax.autoscale_view()
        ax.legend(handles=[*self.fans_, self.mean_line_])
