"""How displays look: colours, dashes and marks of the experts, and axes to draw on."""

from itertools import cycle, islice

import numpy as np

from .._compat import check_matplotlib_support

DASHES = ("-", "--", "-.", (0, (1.2, 1.2)), (0, (7, 2, 1, 2, 1, 2)))
MARKERS = "osD^vPX"
N_COLUMNS = 2  # panels side by side
LONGEST_LABEL = 18  # characters of a category
LIGHTEST = 0.78  # colour of viridis: lighter yellows are lost on white


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


def category_styles(names):
    """Keywords of ``Axes.plot`` for the points of each name at categories, which no line joins.

    And by how much the points of each name stand beside the category, (n_names,).
    """
    styles = [
        {"color": colour, "linestyle": "none", "marker": marker, "label": name}
        for colour, marker, name in zip(colours(len(names)), cycle(MARKERS), names, strict=False)
    ]
    return styles, 0.12 * (np.arange(len(names)) - 0.5 * (len(names) - 1)) / max(1, len(names) / 4)


def label_categories(axis, places, labels):
    """Name categories on an axis of matplotlib, so that no name lies on another.

    Names that are long are cut, those that are many are turned, and of too many for that every
    other is shown, or fewer.
    """
    labels = [
        label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "\u2026"
        for label in map(str, labels)
    ]
    figure, panel = axis.figure, axis.axes.get_position()
    across = axis.axis_name == "x"
    inches = (
        panel.width * figure.get_figwidth() if across else panel.height * figure.get_figheight()
    )
    height = axis.get_ticklabels()[0].get_fontsize() / 72 if axis.get_ticklabels() else 0.14
    width = 0.65 * height * (1 + max(map(len, labels), default=0))
    room = inches / max(1, len(labels))
    turn = across and width > room
    step = 1 if not (turn or not across) else int(np.ceil(1.3 * height / room))
    axis.set_ticks(places[::step], labels[::step])
    if turn:
        for label in axis.get_ticklabels():
            label.set(rotation=40 if 2 * height <= room else 90, rotation_mode="anchor")
            label.set(ha="right", va="center_baseline" if 2 * height > room else "top")


def certainty_of(share, n_experts):
    """From 0, where the largest of ``n_experts`` shares is as the others, to 1, where it is all."""
    if n_experts == 1:
        return np.ones_like(share)
    return np.clip((share - 1 / n_experts) / (1 - 1 / n_experts), 0, 1)


def scatter_rows(ax, x, y, resp, names):
    """Rows as marks of the expert of largest responsibility: filled where it is sure, else hollow.

    Returns a PathCollection for each expert.
    """
    owner, share = resp.argmax(axis=1), resp.max(axis=1)
    n_experts = resp.shape[1]
    certainty = certainty_of(share, n_experts)
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
                edgecolors="0.1",
                linewidths=0.5,
                label=f"rows of {names[k]}",
                zorder=1.5,
            )
        )
    return scatters


def make_axes(display, ax, n_panels=1, *, size=None):
    """So many axes: new ones, those that were given, or the one that was given divided.

    Sets ``axes_``, ``ax_`` (the first) and ``figure_`` of the display.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    n_cols = min(n_panels, N_COLUMNS)
    n_rows = -(-n_panels // n_cols)
    if ax is None:
        size = size or ((6.4, 4.8) if n_panels == 1 else (6.8, 2.6 * n_rows + 0.6))
        _, axes = plt.subplots(n_rows, n_cols, figsize=size, layout="constrained", squeeze=False)
        axes = axes.ravel()
        for unused in axes[n_panels:]:
            unused.set_visible(False)
    elif not isinstance(ax, Axes):
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_panels:
            raise ValueError(f"ax holds {len(axes)} axes, and {n_panels} panels are to be drawn.")
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
    display.axes_ = axes[:n_panels]
    display.ax_, display.figure_ = display.axes_[0], display.axes_[0].figure
    return display.axes_


def outlined():
    """Path effects of a line that has to be seen on others: a white rim."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=5, foreground="w")]
