"""How displays look: colours, dashes and marks of the experts, and axes to draw on."""

from itertools import cycle, islice

import numpy as np

from .._compat import check_matplotlib_support

DASHES = ("-", "--", ":", "-.", (0, (7, 2, 1, 2, 1, 2)))
MARKERS = "osD^vPX"
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "ooo", "---")
LIGHTEST = 0.82  # of viridis: lighter yellows are lost on white


def colours(n):
    """So many colours (n, 3), from dark to light: apart in grey too, and to the colour-blind."""
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0, LIGHTEST, n))[:, :3]


def line_styles(names):
    """Keywords of ``Axes.plot`` for the line of each name."""
    dashes = islice(cycle(DASHES), len(names))
    return [
        {"color": colour, "linestyle": dash, "label": name}
        for colour, dash, name in zip(colours(len(names)), dashes, names, strict=True)
    ]


def scatter_rows(ax, x, y, resp, names):
    """Rows as marks of the expert of largest responsibility: filled where it is sure, else hollow.

    Returns
    -------
    scatters : list of PathCollection
        One for each expert.
    """
    owner, share = resp.argmax(axis=1), resp.max(axis=1)
    n_experts = resp.shape[1]
    certainty = np.ones_like(share)
    if n_experts > 1:
        certainty = np.clip((share - 1 / n_experts) / (1 - 1 / n_experts), 0, 1)
    scatters = []
    for k, (colour, marker) in enumerate(zip(colours(n_experts), cycle(MARKERS), strict=False)):
        rows = owner == k
        scatters.append(
            ax.scatter(
                x[rows],
                y[rows],
                s=16,
                marker=marker,
                facecolors=np.column_stack([np.tile(colour, (rows.sum(), 1)), certainty[rows]]),
                edgecolors=[colour],
                linewidths=0.7,
                label=f"rows of {names[k]}",
                zorder=1.5,
            )
        )
    return scatters


class Display:
    """Axes that a display draws on, and names that ``plot`` leaves."""

    def _panels(self, ax, n_panels=1, *, n_cols=3, size=(6.4, 4.8), **subplots_kwargs):
        """So many axes: new ones, those that were given, or the one that was given divided.

        Sets ``axes_``, ``ax_`` (the first) and ``figure_``.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes

        n_cols = min(n_panels, n_cols)
        n_rows = -(-n_panels // n_cols)
        if ax is None:
            figure, axes = plt.subplots(
                n_rows, n_cols, figsize=size, layout="constrained", squeeze=False, **subplots_kwargs
            )
            axes = axes.ravel()
            for unused in axes[n_panels:]:
                unused.set_visible(False)
        elif not isinstance(ax, Axes):
            axes = np.asarray(ax, dtype=object).ravel()
        elif n_panels == 1:
            axes = np.array([ax])
        else:
            if ax.get_subplotspec() is None:
                raise ValueError(
                    f"{n_panels} panels are to be drawn, and ax is not one of subplots that could "
                    "be divided: pass as many axes, or none."
                )
            ax.set_axis_off()
            grid = ax.get_subplotspec().subgridspec(n_rows, n_cols)
            axes = np.array([ax.figure.add_subplot(grid[i]) for i in range(n_panels)])
        if len(axes) < n_panels or (ax is not None and len(axes) != n_panels):
            raise ValueError(f"ax holds {len(axes)} axes, and {n_panels} panels are to be drawn.")
        self.axes_ = axes[:n_panels]
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self.axes_


def panel_size(n_panels, n_cols=3):
    """Size in inches of a figure with so many panels."""
    n_cols = min(n_panels, n_cols)
    if n_panels == 1:
        return 6.4, 4.8
    return 3.2 * n_cols + 0.4, 2.8 * -(-n_panels // n_cols) + 0.4


def legend_above(figure_or_ax, handles, n_cols=4):
    """A legend above a figure of ours, or the best place in an axes that was given."""
    labels = [handle.get_label() for handle in handles]
    if hasattr(figure_or_ax, "add_subplot"):
        return figure_or_ax.legend(
            handles, labels, loc="outside upper center", ncols=min(n_cols, len(handles))
        )
    return figure_or_ax.legend(handles, labels)
