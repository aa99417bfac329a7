"""Shared by displays: style and axes, the mixture in an estimator, rows with a varied column."""

from itertools import cycle, islice
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from .._compat import check_matplotlib_support
from .._experts.fitting import step_inside
from .._fitted import FittedMixture
from .._tables.encoding import numeric_matrix
from .._tables.mixed import as_pandas, describe_columns, is_table
from .._validation import check_fitted, check_responsibilities

ROWS_AT_ONCE = 50_000
JITTER = 0.22  # of points at a category; categories are 1 apart
DASHES = ("-", "--", "-.", (0, (1.2, 1.2)), (0, (7, 2, 1, 2, 1, 2)))
MARKERS = "osD^vPX"
N_COLUMNS = 2
LEGEND = 64
MARK = 8  # panels side by side; characters of a legend's line, a mark
LONGEST_LABEL = 18
MISSING = "missing"  # characters of a category; the label of missing values
LIGHTEST = 0.78  # colour of viridis: lighter yellows are invisible on white


def colours(n):
    """n colours (n, 3), from dark to light, distinguishable in grey and by the colour-blind."""
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0, LIGHTEST, n))[:, :3]


def label_categories(axis, places, labels):
    """Label categories on an axis of matplotlib without overlaps.

    Long labels are cut in the middle, as names often differ at their ends, and many labels are
    rotated; if there are too many, every other one is shown, or fewer.
    """
    half = LONGEST_LABEL // 2
    labels = list(map(str, labels))
    cut = [f"{label[: half - 1]}\u2026{label[-half:]}" for label in labels]
    labels = np.where([len(label) > LONGEST_LABEL for label in labels], cut, labels).tolist()
    across = axis.axis_name == "x"
    inches = axis.figure.get_size_inches() * axis.axes.get_position().size
    if axis.get_ticklabels():
        height = axis.get_ticklabels()[0].get_fontsize() / 72
    else:
        height = 0.14
    width = 0.65 * height * (1 + max(map(len, labels), default=0))
    room = inches[0 if across else 1] / max(1, len(labels))
    turn = across and width > room
    if not (turn or not across):
        step = 1
    else:
        step = int(np.ceil(1.3 * height / room))
    axis.set_ticks(places[::step], labels[::step])
    if turn:
        for label in axis.get_ticklabels():
            label.set(rotation=40 if 2 * height <= room else 90, rotation_mode="anchor")
            label.set(ha="right", va="center_baseline" if 2 * height > room else "top")


def certainty_of(share, n_experts):
    """Certainty, from 0 if all ``n_experts`` shares are equal to 1 if one has everything."""
    if n_experts == 1:
        return np.ones_like(share)
    return np.clip((share - 1 / n_experts) / (1 - 1 / n_experts), 0, 1)


def scatter_rows(ax, x, y, resp, names):
    """Rows, marked by the expert of largest responsibility: filled if certain, else hollow.

    Returns a PathCollection for each expert.
    """
    owner = resp.argmax(axis=1)
    share = resp.max(axis=1)
    n_experts = resp.shape[1]
    certainty = certainty_of(share, n_experts)
    scatters = []
    for k, (colour, marker) in enumerate(zip(colours(n_experts), cycle(MARKERS), strict=False)):
        rows = owner == k
        filled = np.column_stack([np.tile(colour, (rows.sum(), 1)), certainty[rows]])
        scatters.append(
            ax.scatter(
                x[rows],
                y[rows],
                s=16,
                marker=marker,
                facecolors=filled,
                edgecolors="0.1",
                linewidths=0.5,
                label=f"rows of {names[k]}",
                zorder=1.5,
            )
        )
    return scatters


def make_axes(display, ax, n_panels=1, *, size=None):
    """Axes for the panels: new ones, or the given ones.

    Sets ``axes_``, ``ax_`` (the first) and ``figure_`` of the display.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    n_cols = min(n_panels, N_COLUMNS)
    n_rows = -(-n_panels // n_cols)
    if ax is None:
        size = size or ((6.4, 4.8) if n_panels == 1 else (6.8, 2.6 * n_rows + 0.6))
        _, axes = plt.subplots(n_rows, n_cols, figsize=size, layout="constrained", squeeze=False)
        axes = axes.ravel()
        for unused in axes[n_panels:]:
            unused.set_visible(False)
    else:
        axes = np.ravel(np.array(ax, dtype=object))
        if len(axes) != n_panels:
            raise ValueError(f"ax has {len(axes)} axes, but there are {n_panels} panels to draw.")
    display.axes_ = axes[:n_panels]
    display.ax_ = display.axes_[0]
    display.figure_ = display.axes_[0].figure
    return display.axes_


def explain(display, handles, *, own_figure, **options):
    """Legend: above the panels of a figure of our own, where it covers nothing; else inside."""
    if own_figure:
        most = LEGEND // (MARK + max(len(handle.get_label()) for handle in handles))
        options |= {"loc": "outside upper center", "ncols": max(1, min(most, len(handles)))}
    (display.figure_ if own_figure else display.ax_).legend(handles=handles, **options)


def outlined():
    """Path effects that make a line visible on top of others: a white rim."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=5, foreground="w")]


# The mixture in an estimator, and rows with one column varied ---------------------------


def unwrap(estimator, X=None):
    """The fitted mixture at the end of Pipelines and searches, and X as transformed for it."""
    if isinstance(estimator, type):
        raise TypeError(f"{estimator.__name__} is a class: pass a fitted estimator.")
    while not isinstance(estimator, FittedMixture):
        check_is_fitted(estimator)
        inner, X = step_inside(estimator, X)
        if inner is None:
            raise TypeError(
                f"{type(estimator).__name__} is no mixture, nor a Pipeline or search that has one."
            )
        estimator = inner
    check_fitted(estimator)
    return estimator, X


def check_output(shape, output):
    """Number of the output to draw, None if y has only one; from the shape of y in a row."""
    if not shape:
        if output is not None:
            raise ValueError(f"output={output!r} is for several outputs; here y has one.")
        return None
    n_outputs = shape[0]
    if not isinstance(output, Integral) or not 0 <= output < n_outputs:
        raise ValueError(
            f"y has {n_outputs} outputs, of which one can be drawn: pass output=0 to "
            f"output={n_outputs - 1}; got {output!r}."
        )
    return int(output)


def target_name(y, output):
    """Name of y, or of one output of y."""
    if is_table(y):
        return str(y.columns[output or 0])
    if output is not None:
        return f"output {output} of y"
    if getattr(y, "name", None) is None:
        return "y"
    return str(y.name)


def check_class(mixture, class_of_interest):
    """Index of the class in ``classes_``; by default the second of two."""
    classes = mixture.classes_
    if class_of_interest is None and len(classes) == 2:
        return 1
    found = np.flatnonzero(classes == class_of_interest)
    if class_of_interest is None or not len(found):
        raise ValueError(
            f"class_of_interest must be one of {classes.tolist()}; got {class_of_interest!r}."
        )
    return int(found[0])


def given_responsibilities(mixture, groups, Z, y, responsibilities, n_rows):
    """Responsibilities (n, n_groups) that were passed, or computed from y; None without either."""
    if responsibilities is None:
        if y is None:
            return None
        return mixture.responsibilities(Z, y, by=groups.kind)
    return check_responsibilities(responsibilities, n_rows, groups)


class PlottedColumns:
    """Rows of a table or array in which some columns are replaced by points of a grid.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        As the user gave it.
    """

    def __init__(self, X, y=None):
        X = as_pandas(X)
        if sparse.issparse(X):
            raise TypeError("Displays over a feature need dense X: pass X.toarray().")
        if not is_table(X):
            X = check_array(X, dtype=None, ensure_all_finite=False)
        self.X = X
        self.n_rows, self.n_columns = X.shape
        if y is not None and np.shape(y)[:1] != (self.n_rows,):
            raise ValueError(f"y needs {self.n_rows} values; feature= or features= select columns")

    @property
    def names(self):
        """Names of the columns: those of the table, or x0, x1 and so on."""
        if is_table(self.X):
            return [str(name) for name in self.X.columns]
        return [f"x{j}" for j in range(self.n_columns)]

    def find(self, feature):
        """Number of a column, given by its number or its name."""
        if isinstance(feature, Integral) and not isinstance(feature, (bool, np.bool_)):
            if -self.n_columns <= feature < self.n_columns:
                return int(feature) % self.n_columns
        elif is_table(self.X) and feature in list(self.X.columns):
            return list(self.X.columns).index(feature)
        shown = ", ".join([*self.names[:10], "..."][: self.n_columns])
        what = f"There is no feature {feature!r}: give"
        if feature is None:
            what = f"X has {self.n_columns} columns: select one by feature,"
        raise ValueError(
            f"{what} a number below {self.n_columns}"
            + (f", or one of {shown}." if is_table(self.X) else "; X is an array without names.")
        )

    def only(self, feature):
        """Number of the feature, or of the only column if None is given."""
        return self.find(0 if feature is None and self.n_columns == 1 else feature)

    def column(self, j):
        """The values of a column."""
        if is_table(self.X):
            return self.X.iloc[:, j]
        return self.X[:, j]

    def sample(self, n_rows, random_state):
        """Numbers of ``n_rows`` rows to average over, drawn without replacement.

        All of them if there are fewer, or None is given.
        """
        rows = np.arange(self.n_rows)
        if n_rows is None:
            return rows
        if not isinstance(n_rows, Integral) or n_rows < 1:
            raise ValueError(
                f"subsample must be a positive number of rows, or None; got {n_rows!r}."
            )
        if n_rows < len(rows):
            random_state = check_random_state(random_state)
            rows = np.sort(random_state.choice(rows, n_rows, replace=False))
        return rows

    def axis(self, j, resolution):
        """Points of a column in a display: an Axis with at least two points."""
        axis = Axis(self, j, resolution)
        if len(axis.places) < 2:
            what = f"The feature {axis.name!r} has {len(axis.places)} values"
            raise ValueError(f"{what}, but a display needs two or more.")
        return axis

    def at(self, axes, points, rows):
        """X with ``n_points * n_rows`` rows: the given ones at the first point, and so on."""
        X = _safe_indexing(self.X, np.tile(rows, len(points[0])))
        for axis, places in zip(axes, points, strict=True):
            X = axis.put(X, np.repeat(places, len(rows)))
        return X

    def vary(self, axes, points, rows, ask):
        """Evaluate a function for every given row at each point of a grid.

        ``axes`` are the columns that are replaced, ``points`` the values of each of them. ``ask``
        is called with X of ``n_points * len(rows)`` rows, and returns an array of that length.
        Returns the results, (n_points, n_rows, ...).
        """
        n_points = len(points[0])
        at_once = max(1, ROWS_AT_ONCE // len(rows))
        answers = []
        for first in range(0, n_points, at_once):
            part = slice(first, first + at_once)
            n_part = len(points[0][part])
            answer = ask(self.at(axes, [places[part] for places in points], rows))
            answers.append(answer.reshape((n_part, len(rows), *answer.shape[1:])))
        return np.concatenate(answers)

    def typical_row(self):
        """Number of the row nearest to the medians of the columns, with strings one-hot encoded."""
        numbers = numeric_matrix(self.X)
        centred = numbers - np.median(numbers, axis=0)
        spread = np.abs(centred).mean(axis=0)
        return int((np.abs(centred) / np.where(spread > 0, spread, 1.0)).sum(axis=1).argmin())


class Axis:
    """The points of one column in a display.

    Parameters
    ----------
    columns : PlottedColumns
        The table.
    j : int
        Number of the column.
    resolution : int
        Largest number of points, equally spaced; if a numeric column has fewer values, these are
        the points. Other columns have one point for each category.

    Attributes
    ----------
    name : str
        Name of the column.
    places : ndarray of shape (n_points,)
        Positions of the points on the axis.
    labels : list of str or None
        Names of the points, for a column of categories.
    ordered : bool
        Whether points are joined by lines: for numbers, and for ordered categories.
    others : str or None
        What other columns are, if there are any.
    """

    def __init__(self, columns, j, resolution):
        if not isinstance(resolution, Integral) or resolution < 2:
            raise ValueError(f"grid_resolution must be 2 or more; got {resolution!r}.")
        self.j = j
        self.name = columns.names[j]
        self.labels = None
        self.ordered = True
        if columns.n_columns > 1:
            self.others = "other columns: a typical row"
        else:
            self.others = None
        column = columns.column(j)
        of_table = is_table(columns.X)
        if of_table:
            alone = columns.X.iloc[:, [j]]
        else:
            alone = columns.X[:, [j]]
        if column.dtype.kind != "b" and not describe_columns(alone)[0]:
            if of_table:
                values = column.to_numpy(np.float64, na_value=np.nan)
            else:
                values = column
            self.values = values = np.asarray(values, dtype=np.float64)
            self.places = np.unique(values[np.isfinite(values)])
            if len(self.places) > resolution:
                self.places = np.linspace(self.places[0], self.places[-1], resolution)
        else:
            values = np.asarray(column, dtype=object)
            known = np.array([value is not None and value == value for value in values], bool)
            texts = np.where(known, values, "").astype(str)
            found = np.unique(texts[known], return_index=True, return_inverse=True)
            self.labels, first, place = found
            self.ordered = str(column.dtype) == "category" and bool(column.dtype.ordered)
            if self.ordered:
                order = np.argsort(column.cat.codes.to_numpy()[known][first])
                self.labels = self.labels[order]
                first = first[order]
                place = np.argsort(order)[place]
            self.places = np.arange(len(self.labels))
            self.values = np.full(len(values), np.nan)
            self.values[known] = place
            rows = np.flatnonzero(known)[first]
            if not known.all():  # a level of its own, after the others
                self.labels = np.append(self.labels.astype(object), MISSING)
                self.places = np.arange(len(self.labels))
                self.ordered = False
                self.values[~known] = len(rows)
                rows = np.append(rows, known.argmin())
            if of_table:
                self._categories = column.iloc[rows].array
            else:
                self._categories = column[rows]

    def put(self, X, places):
        """A copy of X with this column at the given places of the axis."""
        if self.labels is None:
            values = places
        else:
            values = self._categories[np.asarray(places, int)]
        if is_table(X):
            X.isetitem(self.j, values)
            return X
        if X.dtype.kind in "biu":
            X = X.astype(np.float64)
        X[:, self.j] = values
        return X

    def styles(self, names):
        """Keyword arguments of ``Axes.plot`` for each name, and the offset of its points.

        Numbers have lines, ordered categories lines and points, other categories points.
        """
        n_names = len(names)
        offsets = np.zeros(len(names))
        looks = [{"linestyle": dash} for dash in islice(cycle(DASHES), n_names)]
        if not self.ordered:  # next to the category, without lines
            markers = islice(cycle(MARKERS), n_names)
            looks = [{"linestyle": "none", "marker": each} for each in markers]
            offsets = 0.12 * (np.arange(n_names) - 0.5 * (n_names - 1)) / max(1, n_names / 4)
        elif self.labels is not None:
            looks = [look | {"marker": "o", "markersize": 4} for look in looks]
        each = zip(names, colours(n_names), looks, strict=True)
        return [{"label": name, "color": colour} | look for name, colour, look in each], offsets

    def draw_shares(self, panel, shares, names, what):
        """Lines of shares (n_places, n_names) over the places."""
        lines = [
            panel.plot(self.places + offset, of_name, linewidth=2, **style)[0]
            for of_name, style, offset in zip(shares.T, *self.styles(names), strict=True)
        ]
        self.dress(panel.xaxis)
        panel.set(ylabel=what, ylim=(-0.03, 1.03))
        return lines

    def scattered(self):
        """Positions of rows: their values; for categories with some jitter."""
        if self.labels is None:
            return self.values
        noise = np.random.default_rng(0).uniform(-JITTER, JITTER, size=len(self.values))
        return self.values + noise

    def dress(self, axis):
        """Label an axis of matplotlib, ``ax.xaxis`` or ``ax.yaxis``."""
        axis.set_label_text(self.name)
        if self.labels is not None:
            label_categories(axis, self.places, self.labels)
