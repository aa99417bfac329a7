"""The objective of all starts, iteration by iteration."""

import numpy as np

from .._compat import check_matplotlib_support
from ._axes import make_axes
from ._columns import unwrap


class ConvergenceDisplay:
    """The objective of EM after each iteration, of all starts and of the run that went on.

    Each start gets ten iterations, the five best of them fifty more, and EM goes on from the
    best. The lines of the starts that end at the same height found the same optimum; how many
    reach the best one is how far it can be trusted. Where the experts are not linear, linear
    ones stand in while the start is chosen: their objective is another, and so has a panel of
    its own.

    Parameters
    ----------
    starts : list of list of float
        Objectives of each start, ``start_lower_bounds_`` of the mixture.
    run : list of float
        Objectives of the run, ``lower_bounds_``.
    goes_on : bool, default=True
        Whether the run goes on with the objective of the starts.

    Attributes
    ----------
    best_start : int or None
        Number of the start that EM went on from.
    start_lines_ : list of Line2D
        One for each start.
    run_line_ : Line2D
        Of the run.
    axes_ : ndarray of Axes
        One or two.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        What holds them.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.expert_report : Lists the optima with their shares.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import ConvergenceDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=2, training="em", random_state=0
    ... ).fit(X, y)
    >>> display = ConvergenceDisplay.from_estimator(moe)
    >>> len(display.start_lines_)
    10
    """

    def __init__(self, *, starts, run, goes_on=True):
        self.starts, self.run, self.goes_on = starts, run, goes_on
        self.best_start = int(np.argmax([max(path) for path in starts])) if starts else None

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the objectives of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        ax : Axes or array-like of Axes, default=None
            Where to draw; where the starts have a panel of their own, two axes, or one that is
            divided. None makes a figure.

        Returns
        -------
        display : ConvergenceDisplay
            Drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, _ = unwrap(estimator)
        display = cls(
            starts=mixture.start_lower_bounds_,
            run=mixture.lower_bounds_,
            goes_on=mixture._starts_go_on,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the lines.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : ConvergenceDisplay
            Itself.
        """
        apart = bool(self.starts) and not self.goes_on
        size = (9.0, 4.0) if apart else (6.4, 4.2)
        axes = make_axes(self, ax, 2 if apart else 1, size=size)
        above, below = axes[0], axes[-1]
        self.start_lines_ = []
        for i, path in enumerate(self.starts):
            best = i == self.best_start
            (line,) = above.plot(
                np.arange(1, len(path) + 1),
                path,
                color="0.2" if best else "0.55",
                linewidth=1.8 if best else 1.0,
                linestyle="--" if best else "-",
                marker="" if best else "o",
                markevery=[-1],
                markersize=4,
                label="best start" if best else "_start",
                zorder=2.5 if best else 2.0,
            )
            self.start_lines_.append(line)
        others = [line for i, line in enumerate(self.start_lines_) if i != self.best_start]
        if others:
            others[0].set_label("other starts, and where they ended")
        before = 0
        if self.starts and self.goes_on:
            before = len(self.starts[self.best_start])
        (self.run_line_,) = below.plot(
            before + np.arange(1, len(self.run) + 1),
            self.run,
            color="k",
            linewidth=2.2,
            marker="D",
            markevery=[int(np.argmax(self.run))],
            label="EM from there, and what was kept",
        )
        for panel in axes:
            panel.set(xlabel="EM iteration", ylabel="objective (nats per row)")
            panel.xaxis.get_major_locator().set_params(integer=True)
        if apart:
            above.set_title("starts, with linear experts")
            below.set_title("EM")
        for panel in axes:
            panel.legend()
        return self
