"""How much each expert has to do."""

import numpy as np

from .._compat import check_matplotlib_support
from .._reports.by_regime import groups_of
from ._axes import make_axes
from ._columns import unwrap


class LoadDisplay:
    """The load of each expert, or regime, and its effective rows.

    The load is the mean probability that the gate gives the expert, before the target is known;
    the effective rows are the sum of its responsibilities, by weight, afterwards. Loads that
    differ from the shares of the rows say that the gate leans the wrong way.

    Parameters
    ----------
    names : list of str
        Names of the experts.
    load : array-like of shape (n_experts,)
        Loads; they sum to one.
    rows : array-like of shape (n_experts,)
        Effective rows.

    Attributes
    ----------
    load_bars_ : BarContainer
        Bars of the loads.
    row_bars_ : BarContainer
        Bars of the shares of the effective rows.
    axes_ : ndarray of Axes
        The one that is drawn on.
    ax_ : Axes
        The same.
    figure_ : Figure
        What holds it.

    See Also
    --------
    skmoe.MixtureOfExpertsRegressor.expert_report : The same as a table, and more.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import LoadDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 1, size=(200, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = LoadDisplay.from_estimator(moe)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['expert0', 'expert1']
    >>> display.rows.round()
    array([136.,  64.])
    """

    def __init__(self, *, names, load, rows):
        self.names = list(names)
        self.load, self.rows = np.asarray(load), np.asarray(rows)

    @classmethod
    def from_estimator(cls, estimator, X=None, y=None, *, sample_weight=None, by="regime", ax=None):
        """Draw the loads of a fitted mixture.

        Parameters
        ----------
        estimator : mixture
            Fitted; or a Pipeline that ends in a mixture, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows. None is the training rows, out of fold where experts are cross-fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        by : {"regime", "expert"}, default="regime"
            What is drawn: where fewer regimes than experts were found, regime0 is the experts of
            ``regimes_[0]`` together, and so on; else, and by "expert", each expert.
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : LoadDisplay
            Drawn.

        Raises
        ------
        ValueError
            If only one of X and y is given, or neither after ``partial_fit`` or ``add_expert``.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mixture, Z = unwrap(estimator, X)
        columns = mixture.expert_report(Z, y, sample_weight, by=by).columns
        names = columns[groups_of(mixture, by).kind]
        return cls(names=names, load=columns["load"], rows=columns["rows"]).plot(ax)

    def plot(self, ax=None):
        """Draw the bars.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : LoadDisplay
            Itself.
        """
        n_experts = len(self.names)
        (ax,) = make_axes(self, ax, size=(6.4, 1.6 + 0.45 * n_experts))
        places, height = np.arange(n_experts), 0.38
        shares = self.rows / self.rows.sum()
        self.load_bars_ = ax.barh(
            places - height / 2, self.load, height, color="0.25", label="load"
        )
        self.row_bars_ = ax.barh(
            places + height / 2,
            shares,
            height,
            color="0.85",
            edgecolor="0.25",
            hatch="///",
            label="effective rows",
        )
        labels = [f"{load:.0%}" for load in self.load]
        box = {"facecolor": "w", "edgecolor": "none", "pad": 0.5}
        ax.bar_label(self.load_bars_, labels, padding=4, bbox=box)
        ax.bar_label(
            self.row_bars_, [f"{rows:,.0f} rows" for rows in self.rows], padding=4, bbox=box
        )
        ax.axvline(
            1 / n_experts, color="k", linestyle=":", linewidth=1, zorder=0, label="equal loads"
        )
        ax.set(
            yticks=places,
            yticklabels=self.names,
            ylim=(n_experts - 0.4, -0.6),
            xlim=(0, 1.2 * max(self.load.max(), shares.max(), 1 / n_experts)),
            xlabel="share",
        )
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        return self
