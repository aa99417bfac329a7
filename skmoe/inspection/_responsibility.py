"""How surely rows belong to experts."""

import numpy as np

from .._compat import check_matplotlib_support
from .._reports.by_regime import groups_of
from .._tables.known import check_weights
from ._axes import N_COLUMNS, make_axes
from ._columns import unwrap

SMALLEST = 1e-4  # a responsibility below is none at all, and not drawn in a rootogram
KINDS = ("rootogram", "heatmap")


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
        mixture, Z = unwrap(estimator, X)
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
        panels = make_axes(self, ax, n_experts)
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
            panel.set_yscale("function", functions=(_root, np.square))
        for k, panel in enumerate(panels):
            panel.set_ylim(0, 1.1 * self.counts_.max())
            if k % N_COLUMNS == 0:
                panel.set_ylabel("rows (square root scale)")
        return self

    def _draw_heat_map(self, ax):
        (ax,) = make_axes(self, ax)
        owner = self.responsibilities.argmax(axis=1)
        order = np.lexsort([-self.responsibilities.max(axis=1), owner])
        self.image_ = ax.imshow(
            self.responsibilities[order],
            cmap="Greys",
            vmin=0,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
        )
        borders = np.cumsum(np.bincount(owner, minlength=len(self.names)))[:-1]
        for border in borders:
            ax.axhline(border - 0.5, color="k", linestyle=":", linewidth=1)
        ax.set(
            xticks=np.arange(len(self.names)),
            xticklabels=self.names,
            ylabel="rows, by their largest responsibility",
        )
        self.figure_.colorbar(self.image_, ax=ax, label="responsibility")
        return self


def _root(counts):
    return np.sqrt(np.maximum(counts, 0.0))
