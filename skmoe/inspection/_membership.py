"""Who answers where, by gate probabilities, and how surely rows belong to experts."""

from numbers import Integral

import numpy as np
from scipy import ndimage

from .._compat import check_matplotlib_support
from .._reports.by_regime import groups_of
from .._tables.known import check_weights
from . import _axes

SMALLEST = 1e-4  # a responsibility below is none at all, and not drawn in a rootogram
KINDS = ("rootogram", "heatmap")
MOST_PANELS = 4  # where features are not named


class GateDisplay:
    r"""Gate probabilities as curves over one feature, or as regions over two.

    Where X has other columns the probabilities are their partial dependence [1]_,
    :math:`\frac{1}{n} \sum_i \pi_k(x_S, x_{i, C})`: the mean over the rows of X, in each of which
    the features S are set to the point and all others C stay. What the gate decides by columns
    that go together is then averaged away.

    A region is where an expert is the most probable one; the paler, the less probable.

    Parameters
    ----------
    panels : list of tuple of Axis
        What each panel is drawn over, one feature or two.
    proba : list of ndarray of shape (n_points, n_experts) or (n_points, n_points, n_experts)
        Gate probabilities of each panel; of two features, those of the first along the second
        axis, as ``pcolormesh`` has it.
    names : list of str
        Names of the experts.
    responsibilities : ndarray of shape (n_rows, n_experts), default=None
        Of rows that are drawn into the regions.

    Attributes
    ----------
    points : list of tuple of ndarray
        Where each panel's features were set to.
    lines_ : list of list of Line2D
        The curves of each panel of one feature, an empty list for one of two.
    scatters_ : list of list of PathCollection
        The rows of each panel of two features, by expert, hollow where it is in doubt; an empty
        list where none were given.
    meshes_ : list of QuadMesh or None
        The regions of each panel of two features, None for one of one.
    axes_ : ndarray of Axes
        The panels.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        What holds them.

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
        self.panels, self.proba, self.names = panels, proba, list(names)
        self.responsibilities = responsibilities

    @property
    def points(self):
        """Where each panel's features were set to.

        Returns
        -------
        points : list of tuple of ndarray
            One array for each feature of a panel.
        """
        return [tuple(axis.places for axis in panel) for panel in self.panels]

    @classmethod
    def from_estimator(
        cls, estimator, X, features=None, *, y=None, responsibilities=None, grid_resolution=100,
        subsample=200, sample_weight=None, random_state=None, by="regime", ax=None,
    ):  # fmt: skip
        """Draw the gate of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows, for the range of the features and the values of the others.
        features : int, str, tuple of two, or list of these, default=None
            Columns of X by number or name, one panel for each entry of a list; a tuple of two is
            a panel of regions. None is the only column of X, or the pair where there are two,
            and of more columns the four that the gate's partial dependence varies most along.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets. Given, the rows are drawn into the regions, with the mark of the expert that
            most likely made them, hollow where that is in doubt.
        responsibilities : array-like of shape (n_samples, n_experts), default=None
            In place of those that follow from y: ``oof_responsibilities_`` of the training rows.
        grid_resolution : int, default=100
            Points of a feature. Half as many for each of two, where there are others to average
            over.
        subsample : int, default=200
            Rows to average over, drawn without replacement. None is all.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the average.
        random_state : int, RandomState instance or None, default=None
            Draws the rows.
        by : {"regime", "expert"}, default="regime"
            What is drawn: where fewer regimes than experts were found, regime0 is the experts of
            ``regimes_[0]`` together, and so on; else, and by "expert", each expert.
        ax : Axes or array-like of Axes, default=None
            Where to draw: one for each panel, or one that is divided. None makes a figure.

        Returns
        -------
        display : GateDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there is no such feature, or one has no values.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, Z = _axes.unwrap(estimator, X)
        columns, groups = _axes.PlottedColumns(X), groups_of(mixture, by)
        resp = _axes.given_responsibilities(mixture, groups, Z, y, responsibilities, columns.n_rows)
        sample = columns.sample(subsample, sample_weight, random_state)
        axes, proba = _gate_panels(estimator, groups, columns, features, sample, grid_resolution)
        names = groups.names
        return cls(panels=axes, proba=proba, names=names, responsibilities=resp).plot(ax)

    def plot(self, ax=None):
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw: one for each panel, or one that is divided. None makes a figure.

        Returns
        -------
        display : GateDisplay
            Itself.
        """
        n_panels = len(self.panels)
        panels = _axes.make_axes(self, ax, n_panels)
        self.lines_, self.meshes_, self.scatters_ = [], [], []
        for panel, axes, proba in zip(panels, self.panels, self.proba, strict=True):
            lines, mesh, scatters = [], None, []
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
        """A legend of the curves, or else of the rows; regions have their names on them."""
        handles = next(filter(None, self.lines_), None)
        if handles is None:
            rows = next(filter(None, self.scatters_), [])
            handles = [scatter for scatter in rows if len(scatter.get_offsets())]
        if handles and own_figure:
            place = {"loc": "outside upper center", "ncols": min(3, len(handles))}
            self.figure_.legend(handles=handles, handlelength=2.8, **place)
        elif handles:
            self.ax_.legend(handles=handles)

    def _draw_regions(self, panel, axes, proba):
        across, up = axes
        owner, n_experts = proba.argmax(axis=2), len(self.names)
        strength = 0.1 + 0.45 * _axes.certainty_of(proba.max(axis=2), n_experts)[:, :, None]
        shades = strength * _axes.colours(n_experts)[owner] + 1 - strength
        style = {"shading": "nearest", "zorder": 0.5, "rasterized": True}
        mesh = panel.pcolormesh(across.places, up.places, shades, **style)
        for k in range(n_experts):
            others = np.delete(proba, k, axis=2)
            lead = proba[:, :, k] - (others.max(axis=2) if n_experts > 1 else -1)
            if across.ordered and up.ordered and lead.min() < 0 < lead.max():
                panel.contour(across.places, up.places, lead, [0], colors="k", linewidths=1.2)
            if (owner == k).any():
                self._name_region(panel, axes, owner == k, self.names[k])
        for axis, its in ((panel.xaxis, across), (panel.yaxis, up)):
            its.dress(axis)
        if self.responsibilities is not None:
            places = across.scattered(), up.scattered()
            return mesh, _axes.scatter_rows(panel, *places, self.responsibilities, self.names)
        return mesh, []

    @staticmethod
    def _name_region(panel, axes, mask, name):
        """Write the name where the region is widest, and near the middle of such places."""
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        widest = np.argwhere(depth == depth.max())
        middle = np.median(widest, axis=0)
        i, j = widest[((widest - middle) ** 2).sum(axis=1).argmin()]
        at = axes[0].places[j], axes[1].places[i]
        box = {"boxstyle": "round,pad=0.2", "facecolor": "w", "alpha": 0.8, "edgecolor": "none"}
        panel.text(*at, name, ha="center", va="center", bbox=box)


def _gate_panels(estimator, groups, columns, features, sample, resolution):
    """Axes of the features of each panel, and gate probabilities there, two lists.

    Probabilities are a mean over the other columns as they are in the sample: rows and shares.
    Where no features are named, of more columns than two, they are those along which
    probabilities vary most, in that order.
    """
    each, (rows, share) = range(columns.n_columns), sample
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

    axes, averages = [], []
    for panel in panels:
        is_all = len(panel) == len(each)
        fewer = max(2, resolution // 2) if len(panel) == 2 and not is_all else resolution
        axes.append(tuple(columns.axis(j, fewer) for j in panel))
        points = [grid.ravel() for grid in np.meshgrid(*(axis.places for axis in axes[-1]))]
        used = slice(1 if is_all else None)
        proba = columns.vary(axes[-1], points, rows[used], ask)
        proba = np.einsum("r,prk->pk", share[used] / share[used].sum(), proba)
        averages.append(proba.reshape((*(len(axis.places) for axis in axes[-1][::-1]), -1)))
    if are_sought:
        ranges = [np.ptp(proba, axis=0).max() for proba in averages]
        best = np.argsort(ranges, kind="stable")[::-1][:MOST_PANELS]
        axes, averages = [axes[j] for j in best], [averages[j] for j in best]
    return axes, averages


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
                "A panel is drawn over one feature, or a tuple of two unlike ones; got "
                f"{panel if len(panel) != 1 else panel[0]!r}."
            )
    if not panels:
        raise ValueError("features is empty: name one at least.")
    return panels


# How surely rows belong to experts ---------------------------------------------------------------


class ResponsibilityDisplay:
    """Responsibilities of experts, or of regimes, for rows, as rootograms or as a heat map.

    A rootogram is a histogram whose bars are as high as the square root of their counts, so that
    small ones are seen [1]_. Bars at both ends and a gap between: the expert's rows can be told
    from others. What lies in between is shared; no bar at 1 is an expert without rows of its
    own. Rows of which an expert has less than 1e-4 are left out, or they would dwarf the rest.

    The heat map has a line for each row, those of one expert together, the surest first.

    Parameters
    ----------
    responsibilities : array-like of shape (n_rows, n_experts)
        Rows sum to one.
    names : list of str, default=None
        Names of the experts; None is expert0, expert1 and so on.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.

    Attributes
    ----------
    counts_ : ndarray of shape (n_bins, n_experts)
        Rows in each bar of the rootograms, by weight.
    image_ : AxesImage
        The heat map.
    axes_ : ndarray of Axes
        The panels.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        What holds them.

    References
    ----------
    .. [1] F. Leisch, "FlexMix: a general framework for finite mixture models and latent class
       regression in R", Journal of Statistical Software 11 (2004) 8, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import ResponsibilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = ResponsibilityDisplay.from_estimator(moe, X, y)
    >>> len(display.axes_)
    2
    """

    def __init__(self, responsibilities, *, names=None, sample_weight=None):
        self.responsibilities = np.asarray(responsibilities, dtype=np.float64)
        expert_names = [f"expert{k}" for k in range(self.responsibilities.shape[1])]
        self.names = expert_names if names is None else list(names)
        self.sample_weight = check_weights(
            sample_weight, self.responsibilities, ensure_non_negative=True
        )

    @classmethod
    def from_estimator(
        cls, estimator, X=None, y=None, *, kind="rootogram", n_bins=20, sample_weight=None,
        by="regime", ax=None,
    ):  # fmt: skip
        """Draw the responsibilities of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows. None is the training rows, out of fold, where experts are cross-fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        kind : {"rootogram", "heatmap"}, default="rootogram"
            What to draw.
        n_bins : int, default=20
            Bars of a rootogram.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the counts.
        by : {"regime", "expert"}, default="regime"
            What is drawn: where fewer regimes than experts were found, regime0 is the experts of
            ``regimes_[0]`` together, and so on; else, and by "expert", each expert.
        ax : Axes or array-like of Axes, default=None
            Where to draw: one for each expert, or one that is divided. None makes a figure.

        Returns
        -------
        display : ResponsibilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are no rows: only one of X and y is given, or neither and the mixture has no
            ``oof_responsibilities_``.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, Z = _axes.unwrap(estimator, X)
        if (X is None) != (y is None):
            raise ValueError("Pass both X and y, or neither for the training rows.")
        groups = groups_of(mixture, by)
        if X is not None:
            resp = mixture.responsibilities(Z, y, by=by)
        elif "oof_responsibilities_" in vars(mixture):
            resp = groups.proba(mixture.oof_responsibilities_)
        else:
            raise ValueError(
                "Pass X and y: only mixtures with cross-fitted experts keep the responsibilities "
                "of their training rows."
            )
        display = cls(resp, names=groups.names, sample_weight=sample_weight)
        return display.plot(ax, kind=kind, n_bins=n_bins)

    def plot(self, ax=None, *, kind="rootogram", n_bins=20):
        """Draw the rootograms or the heat map.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw: one for each expert, or one that is divided. None makes a figure.
        kind : {"rootogram", "heatmap"}, default="rootogram"
            What to draw.
        n_bins : int, default=20
            Bars of a rootogram.

        Returns
        -------
        display : ResponsibilityDisplay
            Itself.

        Raises
        ------
        ValueError
            If there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}.")
        if kind == "rootogram":
            return self._draw_rootograms(ax, n_bins)
        return self._draw_heat_map(ax)

    def _draw_rootograms(self, ax, n_bins):
        n_experts = len(self.names)
        panels = _axes.make_axes(self, ax, n_experts)
        edges = np.linspace(0, 1, n_bins + 1)
        self.counts_ = np.empty((n_bins, n_experts))
        for k, panel in enumerate(panels):
            share = self.responsibilities[:, k]
            drawn = share >= SMALLEST
            counts = np.histogram(share[drawn], edges, weights=self.sample_weight[drawn])[0]
            panel.stairs(counts, edges, fill=True, facecolor="0.75", edgecolor="k")
            panel.set(title=self.names[k], xlim=(0, 1), xlabel="responsibility")
            panel.set_xticks([0, 0.5, 1])
            self.counts_[:, k] = counts
            panel.set_yscale("function", functions=(lambda n: np.sqrt(np.maximum(n, 0)), np.square))
        for k, panel in enumerate(panels):
            panel.set_ylim(0, 1.1 * self.counts_.max())
            if k % _axes.N_COLUMNS == 0:
                panel.set_ylabel("rows (square root scale)")
        return self

    def _draw_heat_map(self, ax):
        (ax,) = _axes.make_axes(self, ax)
        owner = self.responsibilities.argmax(axis=1)
        order = np.lexsort([-self.responsibilities.max(axis=1), owner])
        style = {"cmap": "Greys", "vmin": 0, "vmax": 1, "aspect": "auto"}
        self.image_ = ax.imshow(self.responsibilities[order], interpolation="nearest", **style)
        borders = np.cumsum(np.bincount(owner, minlength=len(self.names)))[:-1]
        for border in borders:
            ax.axhline(border - 0.5, color="k", linestyle=":", linewidth=1)
        ax.set_xticks(np.arange(len(self.names)), self.names)
        ax.set_ylabel("rows, by their largest responsibility")
        self.figure_.colorbar(self.image_, ax=ax, label="responsibility")
        return self
