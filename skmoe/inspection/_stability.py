"""Whether other seeds, and other rows, lead to the same regimes, in a picture."""

import numpy as np

from .._compat import check_matplotlib_support
from ._axes import make_axes
from ._columns import Columns, unwrap

LABELS = {"seeds": "other seeds", "halves": "halves of the rows"}


class StabilityDisplay:
    """How many regimes refits have, and which rows change sides.

    Left, the share of refits with each number of regimes, by other seeds on the same rows and by
    halves of the rows; the number of the fit is shaded. Right, for each row the share of refits in
    which it is in another regime than in the fit: over a column, or sorted. Rows that change sides
    where two regimes meet are in doubt; if they do everywhere, the regimes are.

    Parameters
    ----------
    stability : Stability
        What the method ``stability`` of a mixture returned.
    axis : Axis, default=None
        Column of the rows to draw over. None sorts the rows.

    Attributes
    ----------
    bars_ : dict of str to BarContainer
        Shares of the numbers of regimes, by "seeds" and "halves".
    changes_ : dict of str to Line2D or PathCollection
        Shares of changes of the rows: a line of sorted ones, else points.
    axes_ : ndarray of Axes
        Left and right.
    ax_ : Axes
        The left one.
    figure_ : Figure
        What holds them.

    See Also
    --------
    skmoe.inference.Stability : The same as a table, with a verdict.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import StabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(60, 1))
    >>> y = np.abs(X[:, 0]) + (X[:, 0] > 0) + 0.1 * rng.normal(size=60)
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=2, training="em", n_init=2, random_state=0
    ... ).fit(X, y)
    >>> display = StabilityDisplay.from_estimator(moe, X, y, n_resamples=2)
    >>> [float(bar.get_height()) for bar in display.bars_["seeds"]]
    [1.0]
    """

    def __init__(self, stability, *, axis=None):
        self.stability, self.axis = stability, axis

    @classmethod
    def from_estimator(
        cls, estimator, X, y, feature=None, *, n_resamples=20, n_jobs=None, random_state=None,
        ax=None, **params,
    ):  # fmt: skip
        """Refit a fitted mixture, and draw what comes of it.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one. The steps before
            the mixture are not fitted anew.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows it was fitted on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        feature : int or str, default=None
            Column of X to draw the rows over, by number or name. None sorts them by their share.
        n_resamples : int, default=20
            Number of refits of each kind.
        n_jobs : int, default=None
            Jobs for the refits.
        random_state : int, RandomState instance or None, default=None
            Draws the seeds and the halves.
        ax : Axes or array-like of two Axes, default=None
            Where to draw: two, or one that is divided. None makes a figure.
        **params : dict
            What else ``stability`` takes, such as ``sample_weight`` and ``subject``.

        Returns
        -------
        display : StabilityDisplay
            Drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, Z = unwrap(estimator, X)
        axis = _axis(X, feature)
        stability = mixture.stability(
            Z, y, n_resamples=n_resamples, n_jobs=n_jobs, random_state=random_state, **params
        )
        return cls(stability, axis=axis).plot(ax)

    @classmethod
    def from_stability(cls, stability, X=None, feature=None, *, ax=None):
        """Draw what ``stability`` found.

        Parameters
        ----------
        stability : Stability
            What it returned.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            The rows, to draw over a column of theirs.
        feature : int or str, default=None
            The column, by number or name. None sorts the rows by their share.
        ax : Axes or array-like of two Axes, default=None
            Where to draw: two, or one that is divided. None makes a figure.

        Returns
        -------
        display : StabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If a feature is given without X, or X has another number of rows.
        """
        check_matplotlib_support(f"{cls.__name__}.from_stability")
        if feature is not None and X is None:
            raise ValueError("Pass X, the rows that stability was asked for, to draw over feature.")
        axis = _axis(X, feature)
        if axis is not None and len(axis.values) != len(stability.labels):
            raise ValueError(
                f"X has {len(axis.values)} rows, and stability knows {len(stability.labels)}: "
                "pass the same ones."
            )
        return cls(stability, axis=axis).plot(ax)

    def plot(self, ax=None):
        """Draw both panels.

        Parameters
        ----------
        ax : Axes or array-like of two Axes, default=None
            Where to draw: two, or one that is divided. None makes a figure.

        Returns
        -------
        display : StabilityDisplay
            Itself.
        """
        left, right = make_axes(self, ax, 2, size=(8.0, 3.8))
        self._draw_numbers(left)
        self._draw_rows(right)
        return self

    def _draw_numbers(self, ax):
        found, width = self.stability, 0.38
        numbers = sorted({found.n_regimes, *found.share["seeds"], *found.share["halves"]})
        ax.axvspan(found.n_regimes - 0.5, found.n_regimes + 0.5, color="0.93", zorder=0)
        looks = {
            "seeds": {"facecolor": "0.25", "edgecolor": "0.25"},
            "halves": {"facecolor": "0.85", "edgecolor": "0.25", "hatch": "///"},
        }
        self.bars_ = {}
        for source, look in looks.items():
            shares = [found.share[source].get(n, 0.0) for n in numbers]
            side = -0.5 if source == "seeds" else 0.5
            self.bars_[source] = ax.bar(
                np.array(numbers) + side * width, shares, width, label=LABELS[source], **look
            )
        ax.set(
            xticks=numbers,
            xlim=(numbers[0] - 1, numbers[-1] + 1),
            ylim=(0, 1.03),
            xlabel=f"number of {found.word}s",
            ylabel="share of refits",
        )
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)

    def _draw_rows(self, ax):
        found = self.stability
        self.changes_ = {}
        for source, filled in (("seeds", True), ("halves", False)):
            changes, colour = found.changes[source][found.counts], "0.25" if filled else "0.55"
            if self.axis is None:
                dashes = "-" if filled else "--"
                places = np.arange(1, len(changes) + 1)
                (self.changes_[source],) = ax.step(
                    places, np.sort(changes)[::-1], dashes, color=colour, where="mid",
                    linewidth=2, label=LABELS[source], zorder=3 if filled else 2,
                )  # fmt: skip
                continue
            self.changes_[source] = ax.scatter(
                self.axis.scattered()[found.counts], changes, s=18,
                facecolors=colour if filled else "none", edgecolors=colour,
                marker="." if filled else "o", label=LABELS[source], zorder=3 if filled else 2,
            )  # fmt: skip
        if self.axis is None:
            ax.set_xlabel("rows, those that change most first")
        else:
            self.axis.dress(ax.xaxis)
        ax.set(ylim=(-0.03, 1.03), ylabel=f"share of refits in another {found.word}")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)


def _axis(X, feature):
    """The column to draw over: Axis, or None."""
    if feature is None:
        return None
    columns = Columns(X)
    return columns.axis(columns.find(feature), 2)
