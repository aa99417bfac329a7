"""Gate probabilities."""

from numbers import Integral

import numpy as np
from scipy import ndimage

from .._reports.by_regime import groups_of
from . import _axes

MOST_PANELS = 4  # if features are not given
RANKING_ROWS = 40
RANKING_POINTS = 20  # by which they are chosen
NAME_BOX = {"boxstyle": "round,pad=0.2", "facecolor": "w", "alpha": 0.8, "edgecolor": "none"}


class GateDisplay:
    r"""Gate probabilities as curves over one feature, or as regions over two.

    If X has other columns, the probabilities are partial dependence [1]_,
    :math:`\frac{1}{n} \sum_i \pi_k(x_S, x_{i, C})`: the mean over the rows of X, with
    the features S set to the point and the other columns C unchanged. Interactions with other
    columns are averaged away.

    In a region one expert is the most probable; paler colours are lower probabilities.

    Parameters
    ----------
    panels : list of tuple of Axis
        Axes of each panel, one feature or two.
    proba : list of ndarray of shape (n_points, n_experts) or (n_points, n_points, n_experts)
        Gate probabilities of each panel; for two features, the first one is along the second
        axis, as in ``pcolormesh``.
    names : list of str
        Names of the experts.
    responsibilities : ndarray of shape (n_rows, n_experts), default=None
        Responsibilities of rows that are drawn on the regions.

    Attributes
    ----------
    points : list of tuple of ndarray
        Values of the features of each panel.
    lines_ : list of list of Line2D
        The curves of each panel; an empty list for panels of two features.
    scatters_ : list of list of PathCollection
        The rows in each panel of two features, by expert, hollow if uncertain; an empty list
        without rows.
    meshes_ : list of QuadMesh or None
        The regions of each panel of two features; None for panels of one feature.
    axes_ : ndarray of Axes
        The panels.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        The figure.

    See Also
    --------
    ExpertDisplay : Predictions of each expert over one feature.

    References
    ----------
    .. [1] J. H. Friedman, "Greedy function approximation: a gradient boosting machine", The
       Annals of Statistics 29 (2001) 1189-1232, section 8.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import GateDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = GateDisplay.from_estimator(moe, X)
    >>> [line.get_label() for line in display.lines_[0]]
    ['expert0', 'expert1']
    """

    def __init__(self, *, panels, proba, names, responsibilities=None):
        self.panels = panels
        self.proba = proba
        self.names = list(names)
        self.responsibilities = responsibilities

    @property
    def points(self):
        """Values of the features of each panel.

        Returns
        -------
        points : list of tuple of ndarray
            One array for each feature of a panel.
        """
        return [tuple(axis.places for axis in panel) for panel in self.panels]

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        features=None,
        *,
        responsibilities=None,
        grid_resolution=100,
        subsample=200,
        random_state=None,
        by="regime",
        ax=None,
    ):
        """Draw the gate of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows, for the range of the features and the values of the others.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets. If given, the rows are drawn on the regions, marked by the expert of the
            largest responsibility, hollow if uncertain.
        features : int, str, tuple of two, or list of these, default=None
            Columns of X by number or name, one panel for each entry of a list; a tuple of two is
            a panel of regions. None: the only column, both of two, or the four of largest effect.
        responsibilities : array-like of shape (n_samples, n_experts), default=None
            Used instead of those computed from y, such as ``oof_responsibilities_``.
        grid_resolution : int, default=100
            Number of points per feature; half as many for each of two, if there are other columns
            to average over.
        subsample : int, default=200
            Number of rows to average over, drawn without replacement. None: all rows.
        random_state : int, RandomState instance or None, default=None
            Random number generator for the subsample, or its seed.
        by : {"regime", "expert"}, default="regime"
            Whether to draw regimes, where regime0 is the experts of ``regimes_[0]`` together, or
            each expert. The two differ only if experts are tied.
        ax : Axes or array-like of Axes, default=None
            Axes to draw on: one for each panel. None creates a figure.

        Returns
        -------
        display : GateDisplay
            The display.

        Raises
        ------
        ValueError
            If there is one expert, no such feature, or a feature has no values.
        """
        mixture, Z = _axes.unwrap(estimator, X)
        columns = _axes.PlottedColumns(X, y)
        groups = groups_of(mixture, by)
        resp = _axes.given_responsibilities(mixture, groups, Z, y, responsibilities, columns.n_rows)
        if len(mixture.experts_) == 1:
            raise ValueError("There is no gate to draw: this mixture has one expert.")
        rows = columns.sample(subsample, random_state)
        axes, proba = _gate_panels(estimator, groups, columns, features, rows, grid_resolution)
        return cls(panels=axes, proba=proba, names=groups.names, responsibilities=resp).plot(ax)

    def plot(self, ax=None):
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Axes to draw on: one for each panel. None creates a figure.

        Returns
        -------
        display : GateDisplay
            The same display.
        """
        panels = _axes.make_axes(self, ax, len(self.panels))
        self.lines_ = []
        self.meshes_ = []
        self.scatters_ = []
        for panel, axes, proba in zip(panels, self.panels, self.proba, strict=True):
            lines = []
            mesh = None
            scatters = []
            if len(axes) == 1:
                lines = axes[0].draw_shares(panel, proba, self.names, "gate probability")
            else:
                mesh, scatters = self._draw_regions(panel, axes, proba)
            self.lines_.append(lines)
            self.meshes_.append(mesh)
            self.scatters_.append(scatters)
        self._explain(own_figure=ax is None)
        return self

    def _explain(self, *, own_figure):
        """Legend of the curves, or of the rows; regions are labelled directly."""
        handles = next(filter(None, self.lines_), None)
        if handles is None:
            rows = next(filter(None, self.scatters_), [])
            handles = [scatter for scatter in rows if len(scatter.get_offsets())]
        if handles:
            is_flat = all(np.ptp(np.vstack(each), axis=0).max() < 0.01 for each in self.proba)
            if is_flat:
                title = "The gate hardly depends on these columns"
            else:
                title = None
            _axes.explain(self, handles, own_figure=own_figure, handlelength=2.8, title=title)

    def _draw_regions(self, panel, axes, proba):
        across, up = axes
        owner = proba.argmax(axis=2)
        n_experts = len(self.names)
        strength = 0.1 + 0.45 * _axes.certainty_of(proba.max(axis=2), n_experts)[:, :, None]
        shades = strength * _axes.colours(n_experts)[owner] + 1 - strength
        mesh = panel.pcolormesh(
            across.places, up.places, shades, shading="nearest", zorder=0.5, rasterized=True
        )
        for k in range(n_experts):
            others = np.delete(proba, k, axis=2)
            lead = proba[:, :, k] - (others.max(axis=2) if n_experts > 1 else -1)
            if across.ordered and up.ordered and lead.min() < 0 < lead.max():
                panel.contour(across.places, up.places, lead, [0], colors="k", linewidths=1.2)
            if (owner == k).any():
                # The name stands where the region is widest, near the middle of such places.
                depth = ndimage.distance_transform_edt(np.pad(owner == k, 1))[1:-1, 1:-1]
                widest = np.argwhere(depth == depth.max())
                i, j = widest[((widest - np.median(widest, axis=0)) ** 2).sum(axis=1).argmin()]
                panel.text(
                    across.places[j],
                    up.places[i],
                    self.names[k],
                    ha="center",
                    va="center",
                    bbox=NAME_BOX,
                )
        for axis, its in ((panel.xaxis, across), (panel.yaxis, up)):
            its.dress(axis)
        if self.responsibilities is not None:
            return mesh, _axes.scatter_rows(
                panel, across.scattered(), up.scattered(), self.responsibilities, self.names
            )
        return mesh, []


def _gate_panels(estimator, groups, columns, features, rows, resolution):
    """Axes of the features of each panel, and the gate probabilities, two lists.

    Probabilities are averaged over the other columns of the rows. Without
    features, and with more than two columns, the features are those with the largest effect.
    """
    each = range(columns.n_columns)
    are_sought = features is None and len(each) > 2
    if are_sought:
        panels = [[j] for j in each if len(_axes.Axis(columns, j, resolution).places) > 1]
        if not panels:
            raise ValueError("X has no column of two values or more; pass rows that differ.")
    else:
        panels = [[columns.find(name) for name in panel] for panel in _panels(features, len(each))]

    def ask(X):
        mixture, Z = _axes.unwrap(estimator, X)
        return groups.proba(mixture.gate_proba(Z))

    def average(panel, resolution, rows):
        is_all = len(panel) == len(each)
        if len(panel) == 2 and not is_all:
            fewer = max(2, resolution // 2)
        else:
            fewer = resolution
        axes = tuple(columns.axis(j, fewer) for j in panel)
        points = [grid.ravel() for grid in np.meshgrid(*(axis.places for axis in axes))]
        proba = columns.vary(axes, points, rows[:1] if is_all else rows, ask).mean(axis=1)
        return axes, proba.reshape((*(len(axis.places) for axis in axes[::-1]), -1))

    if are_sought:
        some = rows[:: max(1, len(rows) // RANKING_ROWS)]
        ranges = [np.ptp(average(panel, RANKING_POINTS, some)[1], axis=0).max() for panel in panels]
        panels = [panels[j] for j in np.argsort(ranges, kind="stable")[::-1][:MOST_PANELS]]
    return zip(*(average(panel, resolution, rows) for panel in panels), strict=True)


def _panels(features, n_columns):
    """A tuple of features for each panel."""
    if features is None:
        return [tuple(range(n_columns))]
    if isinstance(features, (str, Integral, tuple)):
        features = [features]
    panels = [entry if isinstance(entry, tuple) else (entry,) for entry in features]
    for panel in panels:
        if len(panel) not in (1, 2) or len(set(panel)) < len(panel):
            raise ValueError(
                "A panel has one feature, or a tuple of two different ones; got "
                f"{panel if len(panel) != 1 else panel[0]!r}."
            )
    if not panels:
        raise ValueError("features is empty: give at least one.")
    return panels
