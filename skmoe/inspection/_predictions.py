"""Predictions over one feature: those of each expert, and the predictive distribution."""

import numpy as np
from sklearn.base import is_classifier

from .._reports.by_regime import groups_of
from .._validation import check_X
from . import _axes

LEVELS = (0.5, 0.8, 0.95)
THICK = 3.0
THIN = 1.2  # widths of lines
DARKEST = 0.45
PALEST = 0.88  # greys of the smallest level and of the largest


class ExpertDisplay:
    r"""Prediction of each expert over one feature, thick where the gate prefers that expert.

    If X has other columns, an expert's curve is its partial dependence over its own rows,
    :math:`\sum_i r_{ik} \mu_k(x_S, x_{i, C}) / \sum_i r_{ik}`: the feature is set to the point in
    each row of X, which is weighted by its responsibility, or by its gate probability if targets
    are not given. Rows of others thus hardly count for an expert's curve.

    For a classifier, the curves are the probabilities of one class.

    Parameters
    ----------
    axis : Axis
        The feature.
    predictions : ndarray of shape (n_points, n_experts)
        Predictions of each expert, in the units of the target, or probabilities.
    proba : ndarray of shape (n_points, n_experts)
        Gate probabilities, averaged over the rows as in :class:`GateDisplay`.
    names : list of str
        Names of the experts.
    target_name : str, default="y"
        Name of the target.
    y : ndarray of shape (n_rows,), default=None
        Targets of rows to draw; for classifiers, whether a row is in the class.
    responsibilities : ndarray of shape (n_rows, n_experts), default=None
        Responsibilities of these rows.
    of_class : bool, default=False
        Whether predictions are probabilities of a class.

    Attributes
    ----------
    points : ndarray of shape (n_points,)
        Values of the feature; for strings, numbers of the categories.
    lines_ : list of Line2D
        The curve of each expert.
    preferred_lines_ : list of Line2D
        The same, but NaN where the gate prefers another expert.
    scatters_ : list of PathCollection
        For each expert, the rows for which it has the largest responsibility; hollow if uncertain.
    axes_ : ndarray of Axes
        The axes, an array of one.
    ax_ : Axes
        The same.
    figure_ : Figure
        The figure.

    See Also
    --------
    GateDisplay : Gate probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import ExpertDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = ExpertDisplay.from_estimator(moe, X, y)
    >>> display.predictions.shape
    (100, 2)
    """

    def __init__(
        self,
        *,
        axis,
        predictions,
        proba,
        names,
        target_name="y",
        y=None,
        responsibilities=None,
        of_class=False,
    ):
        self.axis = axis
        self.predictions = predictions
        self.proba = proba
        self.names = list(names)
        self.target_name = target_name
        self.y = y
        self.responsibilities = responsibilities
        self.of_class = of_class

    @property
    def points(self):
        """Values of the feature.

        Returns
        -------
        points : ndarray of shape (n_points,)
            For strings, numbers of the categories.
        """
        return self.axis.places

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        feature=None,
        *,
        responsibilities=None,
        output=None,
        class_of_interest=None,
        grid_resolution=100,
        subsample=200,
        random_state=None,
        by="regime",
        ax=None,
    ):
        """Draw the experts of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets. If given, the rows are drawn.
        feature : int or str, default=None
            Column of X by number or name. None: the only column.
        responsibilities : array-like of shape (n_samples, n_experts), default=None
            Used instead of those computed from y, such as ``oof_responsibilities_``.
        output : int, default=None
            Number of the output to draw, if there are several.
        class_of_interest : int, float, bool or str, default=None
            For classifiers, the class whose probability is drawn. None: the second of two.
        grid_resolution : int, default=100
            Number of points of the feature.
        subsample : int, default=200
            Number of rows to average over, drawn without replacement. None: all rows.
        random_state : int, RandomState instance or None, default=None
            Random number generator for the subsample, or its seed.
        by : {"regime", "expert"}, default="regime"
            Whether to draw regimes, where regime0 is the experts of ``regimes_[0]`` together, or
            each expert. The two differ only if experts are tied.
        ax : Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : ExpertDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no such feature, output or class, or a required one is None.
        """
        mixture, Z = _axes.unwrap(estimator, X)
        output = _axes.check_output(mixture._model.y_shape, output)
        of_class = is_classifier(mixture)
        if of_class:
            column = _axes.check_class(mixture, class_of_interest)
        else:
            column = output
        columns = _axes.PlottedColumns(X, y)
        groups = groups_of(mixture, by)
        axis = columns.axis(columns.only(feature), grid_resolution)
        resp = _axes.given_responsibilities(mixture, groups, Z, y, responsibilities, columns.n_rows)
        rows = columns.sample(subsample, random_state)
        if columns.n_columns == 1:
            rows = rows[:1]

        def ask(X):
            Z = _axes.unwrap(estimator, X)[1]
            if of_class:  # calibrated probabilities
                said = mixture._model.expert_proba(check_X(mixture, Z))
            else:
                said = mixture.predict_experts(Z)
            said = said if column is None else said[..., column]
            proba = mixture.gate_proba(Z)
            return np.stack([groups.mean(said, proba), groups.proba(proba)], axis=-1)

        answers = columns.vary([axis], [axis.places], rows, ask)
        mass = resp
        if mass is None:
            mass = groups.proba(mixture.gate_proba(_axes.unwrap(estimator, columns.X)[1]))
        mass = np.maximum(mass[rows], 1e-12)  # an expert without rows is averaged over all rows
        target = None
        name = _axes.target_name(y, output)
        if y is not None:
            if output is None:
                target = np.asarray(y)
            else:
                target = np.asarray(y, dtype=np.float64)[:, output]
            target = target.ravel()
        if of_class:
            label = mixture.classes_[column]
            name = f"probability of {label}"
            if target is not None:
                target = target == label
        elif mixture.likelihood_.changes_target:
            if target is not None:
                target = mixture.likelihood_.expert_target(target)
            name = f"{name}, on the scale of the experts"
        predictions = np.einsum("prk,rk->pk", answers[..., 0], mass / mass.sum(axis=0))
        return cls(
            axis=axis,
            predictions=predictions,
            proba=answers[..., 1].mean(axis=1),
            names=groups.names,
            target_name=name,
            y=target,
            responsibilities=resp,
            of_class=of_class,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the curves and the rows.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : ExpertDisplay
            The same display.
        """
        (ax,) = _axes.make_axes(self, ax)
        preferred = self.proba.argmax(axis=1)
        styles, offsets = self.axis.styles(self.names)
        self.lines_ = []
        self.preferred_lines_ = []
        self.scatters_ = []
        if self.y is not None:
            self.scatters_ = _axes.scatter_rows(
                ax, self.axis.scattered(), self._heights(), self.responsibilities, self.names
            )
            for scatter in self.scatters_:
                scatter.set_label(f"_{scatter.get_label()}")
        for k, (style, offset) in enumerate(zip(styles, offsets, strict=True)):
            points = self.points + offset
            hollow = {}
            full = {}
            if not self.axis.ordered:  # by size, if line widths vary
                hollow = {"markersize": 9, "markerfacecolor": "w"}
                full = {"markersize": 11}
            curve = self.predictions[:, k]
            own = np.where(preferred == k, curve, np.nan)
            (line,) = ax.plot(points, curve, linewidth=THIN, **style, **hollow)
            line.set_label(f"_{self.names[k]}")
            (thick,) = ax.plot(points, own, linewidth=THICK, **style, **full)
            thick.set_path_effects(_axes.outlined())
            self.lines_.append(line)
            self.preferred_lines_.append(thick)
        self.axis.dress(ax.xaxis)
        ax.set_ylabel(self.target_name)
        if self.of_class:
            ax.set_yticks(np.linspace(0, 1, 6))
        elif self.y is not None:  # lines may extend far beyond the targets
            shown = np.concatenate([self.y, *(line.get_ydata() for line in self.preferred_lines_)])
            low = np.nanmin(shown)
            high = np.nanmax(shown)
            margin = 0.05 * (high - low)
            ax.set_ylim(low - margin, high + margin)
        title = f"{'thick' if self.axis.ordered else 'filled'}: preferred by the gate"
        if self.scatters_ and self.of_class:
            title += "\nrows: above 1 if of the class, below 0 if not"
        ax.legend(handlelength=3.5, title=title, title_fontsize="small")
        return self

    def _heights(self):
        """Heights of rows: their targets; for classes above 1 and below 0, by expert."""
        if not self.of_class:
            return np.asarray(self.y, dtype=np.float64)
        beyond = 0.04 * (1 + self.responsibilities.argmax(axis=1))
        return np.where(self.y, 1 + beyond, -beyond)


# The predictive distribution over one feature ----------------------------------------------------


class PredictiveDisplay:
    """Predictive distribution over one feature: a fan of central intervals.

    The fan is wide where errors are large, and where the regime is uncertain. The other columns of
    X are fixed at the values of the row nearest to their medians. For a classifier the class
    probabilities are drawn.

    Parameters
    ----------
    axis : Axis
        The feature.
    levels : tuple of float
        Probabilities of the intervals, increasing.
    intervals : ndarray of shape (n_levels, 2, n_points), default=None
        Their lower and upper ends.
    mean : ndarray of shape (n_points,), default=None
        Mean of each distribution.
    proba : ndarray of shape (n_points, n_classes), default=None
        Class probabilities, in place of intervals and mean.
    classes : ndarray of shape (n_classes,), default=None
        Their labels.
    discrete : bool, default=False
        Whether the distributions are discrete, so that intervals include both ends.
    target_name : str, default="y"
        Name of the target.
    y : ndarray of shape (n_rows,), default=None
        Targets of rows to draw.

    Attributes
    ----------
    points : ndarray of shape (n_points,)
        Values of the feature; for strings, numbers of the categories.
    fans_ : list of PolyCollection
        The intervals of each level; a BarContainer for categories.
    mean_line_ : Line2D
        The mean.
    lines_ : list of Line2D
        The probability of each class.
    axes_ : ndarray of Axes
        The axes, an array of one.
    ax_ : Axes
        The same.
    figure_ : Figure
        The figure.

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

    points = ExpertDisplay.points

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
        self.axis = axis
        self.levels = levels
        self.intervals = intervals
        self.mean = mean
        self.proba = proba
        self.classes = classes
        self.discrete = discrete
        self.target_name = target_name
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        feature=None,
        *,
        levels=LEVELS,
        output=None,
        grid_resolution=100,
        ax=None,
    ):
        """Draw the predictive distribution of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets. If given, the rows are drawn (regression only), whatever their other
            columns.
        feature : int or str, default=None
            Column of X by number or name. None: the only column.
        levels : sequence of float, default=(0.5, 0.8, 0.95)
            Probabilities of the intervals.
        output : int, default=None
            Number of the output to draw, if there are several.
        grid_resolution : int, default=100
            Number of points of the feature.
        ax : Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : PredictiveDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no such feature, level or output, or a required one is None.
        """
        mixture, _ = _axes.unwrap(estimator, X)
        output = _axes.check_output(mixture._model.y_shape, output)
        levels = tuple(sorted(levels))
        if not levels or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError(f"levels must be probabilities between 0 and 1; got {levels}.")
        columns = _axes.PlottedColumns(X, y)
        axis = columns.axis(columns.only(feature), grid_resolution)
        Z = _axes.unwrap(estimator, columns.at([axis], [axis.places], [columns.typical_row()]))[1]
        if is_classifier(mixture):
            return cls(axis=axis, proba=mixture.predict_proba(Z), classes=mixture.classes_).plot(ax)
        distribution = mixture.predict_dist(Z)
        name = _axes.target_name(y, output)
        if output is not None:
            distribution = distribution.output(output)
            if y is not None:
                y = np.asarray(y, dtype=np.float64)[:, output]
        if y is not None:
            y = np.asarray(y, dtype=np.float64).ravel()
        intervals = np.array([distribution.interval(level) for level in levels])
        return cls(
            axis=axis,
            levels=levels,
            intervals=intervals,
            mean=distribution.mean(),
            discrete=distribution.discrete,
            target_name=name,
            y=y,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the intervals, or the class probabilities.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : PredictiveDisplay
            The same display.
        """
        (panel,) = _axes.make_axes(self, ax)
        if self.proba is None:
            handles = self._draw_fan(panel)
        else:
            names = [str(label) for label in self.classes]
            handles = self.axis.draw_shares(panel, self.proba, names, "class probability")
            self.lines_ = handles
        _axes.explain(
            self, handles, own_figure=ax is None, handlelength=2.8, title=self.axis.others
        )
        return self

    def _draw_fan(self, ax):
        self.axis.dress(ax.xaxis)
        if len(self.levels) > 1:
            greys = np.linspace(DARKEST, PALEST, len(self.levels))
        else:
            greys = [0.7]
        self.fans_ = []
        if self.discrete:
            step = "mid"
        else:
            step = None
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
            style = {"color": "k", "markersize": 2.5, "alpha": 0.6, "zorder": 2}
            ax.plot(self.axis.scattered(), self.y, "o", **style)
        style = {"linestyle": "--", "path_effects": _axes.outlined()}
        if self.axis.labels is not None:
            style = {"linestyle": "", "marker": "D"}
        style |= {"color": "#b3202c", "linewidth": 1.8, "label": "mean"}
        (self.mean_line_,) = ax.plot(self.points, self.mean, **style)
        ax.set_ylabel(self.target_name)
        ax.autoscale_view()
        return [*self.fans_, self.mean_line_]
