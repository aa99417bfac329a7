"""Survival curves and hazards of regimes."""

import numpy as np
from sklearn.base import is_classifier

from .._compat import check_matplotlib_support
from .._data import RowMetadata
from .._numerics.statistics import weight_above
from .._reports.by_regime import groups_of
from .._rows.validation import check_known_rows, check_X
from .._tables.vectors import check_weights
from ._axes import line_styles, make_axes
from ._columns import unwrap

KINDS = {"survival": "share without an event", "hazard": "events for each unit of time"}
N_TIMES = 200
LARGEST = 0.95  # probability up to which curves go where there are no targets


class SurvivalDisplay:
    r"""Survival curves, or hazards, of each regime and of the mixture, as means over rows.

    The curve of the mixture is the mean of :math:`S(t \mid x)` over the rows of X, as
    ``predict_dist`` has it, averages over one and several experts included; that of a regime is
    the mean of its :math:`S_k(t \mid x)`, each row counting with its gate probability. Hazards are
    the slopes of minus their logarithms. Where regimes differ, the hazard of the mixture falls
    although that of each may rise: those of short times leave first [1]_.

    With targets, the estimate of Kaplan and Meier [2]_ is drawn beside: where the mixture is true,
    it is near its curve, of the same rows.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
        Where the curves are known.
    curves : ndarray of shape (n_regimes, n_times)
        Of the regimes.
    mixture : ndarray of shape (n_times,)
        Of the mixture.
    names : list of str
        Of the regimes.
    kind : {"survival", "hazard"}, default="survival"
        What they are.
    steps : ndarray of shape (2, n_steps), default=None
        Kaplan and Meier's estimate: times of events, and the share that is left from there on.
    target_name : str, default="y"
        What the times are.

    Attributes
    ----------
    lines_ : list of Line2D
        Of the regimes, and of the mixture as the last.
    kaplan_meier_ : Line2D or None
        The estimate.
    axes_ : ndarray of Axes
        The one that is drawn on.
    ax_ : Axes
        The same.
    figure_ : Figure
        What holds it.

    See Also
    --------
    skmoe.distributions.MixtureDistribution.hazard : The hazard of each row.

    References
    ----------
    .. [1] J. W. Vaupel and A. I. Yashin, "Heterogeneity's ruses: some surprising effects of
       selection on population dynamics", The American Statistician 39 (1985) 176-185.
    .. [2] E. L. Kaplan and P. Meier, "Nonparametric estimation from incomplete observations",
       Journal of the American Statistical Association 53 (1958) 457-481.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import SurvivalDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(300, 1))
    >>> y = np.exp(X[:, 0]) * rng.weibull(2.0, size=300)
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull")
    >>> moe = moe.fit(X, y)
    >>> display = SurvivalDisplay.from_estimator(moe, X, y, times=[1.0, 2.0])
    >>> display.mixture.round(1)
    array([0.7, 0.3])
    """

    def __init__(
        self, *, times, curves, mixture, names, kind="survival", steps=None, target_name="y"
    ):
        self.times, self.curves, self.mixture = times, curves, mixture
        self.names, self.kind, self.steps = list(names), kind, steps
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, upper=None, entry=None, sample_weight=None, times=None,
        kind="survival", by="regime", target_name="y", ax=None,
    ):  # fmt: skip
        """Draw the curves of a fitted mixture.

        Parameters
        ----------
        estimator : MixtureOfExpertsRegressor
            Fitted; or a Pipeline that ends in one, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows, of which the curves are means.
        y : array-like of shape (n_samples,), default=None
            Their targets, for the estimate of Kaplan and Meier. None draws none.
        upper : array-like of shape (n_samples,), default=None
            As in ``fit``. Targets must be observed, or censored on the right. With ``entry`` a row
            counts for those of its columns that were not seen, too.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        times : array-like of shape (n_times,), default=None
            Where to know the curves. None is 200 times up to the largest target, or without
            targets to the 95 % quantile of the row in the middle.
        kind : {"survival", "hazard"}, default="survival"
            What to draw; hazards have no estimate beside them.
        by : {"regime", "expert"}, default="regime"
            What has a curve: where fewer regimes than experts were found, these; else, and by
            "expert", each expert.
        target_name : str, default="y"
            What the times are called.
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : SurvivalDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the mixture has several outputs, targets are censored on the left or between bounds,
            or bounds are given without targets.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if kind not in KINDS:
            raise ValueError(f"kind must be 'survival' or 'hazard'; got {kind!r}.")
        mixture, X = unwrap(estimator, X)
        if is_classifier(mixture) or mixture._y_shape:
            raise ValueError("SurvivalDisplay is for mixtures of regressors with one output.")
        groups, steps = groups_of(mixture, by), None
        if y is None:
            if upper is not None or entry is not None:
                raise ValueError("upper and entry are of targets: give y as well.")
            X = check_X(mixture, X)
            weight = check_weights(sample_weight, X, ensure_non_negative=True)
        else:
            metadata = RowMetadata(upper=upper, entry=entry)
            rows = check_known_rows(mixture, X, y, sample_weight, metadata)
            X, weight, largest = rows.X, rows.weight, rows.y.max()
            steps = None if kind == "hazard" else kaplan_meier(rows)
            if rows.bounds is not None and rows.bounds.entry is not None:  # for those not seen
                weight = weight / mixture._predictive.distribution(X).sf(rows.bounds.entry)
        model, predictive = mixture._model, mixture._predictive.distribution(X)
        if not weight.any():
            raise ValueError("sample_weight is zero for every row; one at least must be positive.")
        if times is None:
            if y is None:
                largest = np.median(predictive.ppf(LARGEST))
            times = np.linspace(0, largest, N_TIMES + 1)[1:]
        times = np.asarray(times, dtype=np.float64)
        routes, of_all = model.routes(X), model.all_routes(X)
        proba = weight[:, None] * routes.dense(routes.weights)
        of_experts, above = _sums(kind, times, proba, model.components(X, of_all))
        proba = weight[:, None] * predictive.weights
        of_mixture, all_above = _sums(kind, times, proba, predictive.components)
        with np.errstate(invalid="ignore"):  # NaN of regimes without rows, or where none is left
            curves = groups.sum(of_experts) / groups.sum(above)
            mean = of_mixture.sum(axis=1) / all_above.sum(axis=1)
        return cls(
            times=times, curves=curves.T, mixture=mean, names=groups.names, kind=kind, steps=steps,
            target_name=target_name,
        ).plot(ax)  # fmt: skip

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : SurvivalDisplay
            Itself.
        """
        (ax,) = make_axes(self, ax)
        self.lines_, self.kaplan_meier_ = [], None
        if self.steps is not None:
            (self.kaplan_meier_,) = ax.step(
                *self.steps, where="post", color="0.6", linewidth=3, label="Kaplan-Meier"
            )
        for curve, style in zip(self.curves, line_styles(self.names), strict=True):
            self.lines_ += ax.plot(self.times, curve, **style)
        if len(self.names) > 1:
            self.lines_ += ax.plot(self.times, self.mixture, "k", linewidth=2.5, label="mixture")
        ax.set(xlabel=self.target_name, ylabel=KINDS[self.kind], xlim=(0, self.times.max()))
        ax.set_ylim(0, 1.02 if self.kind == "survival" else None)
        ax.legend()
        return self


def _sums(kind, times, proba, components):
    """Weighted sums (n_times, n_experts) over the rows, whose ratios are the curves."""

    def summed(function):
        return np.stack([np.einsum("nk,nk->k", proba, function(time)) for time in times])

    left = summed(components.sf)
    if kind == "survival":
        return left, np.tile(proba.sum(axis=0), (len(times), 1))
    density = summed(lambda time: np.exp(components.logpdf(time)))
    return density, left + density if components.discrete else left


def kaplan_meier(rows):
    """Times of events, from zero, and the share that is left from there on, (2, n_steps)."""
    bounds, weight, time = rows.bounds, rows.weight, rows.y
    is_event, entry = np.ones(len(time), dtype=bool), np.full(len(time), -np.inf)
    if bounds is not None:
        is_event = bounds.lower == bounds.upper
        entry = entry if bounds.entry is None else bounds.entry
        if (np.isfinite(bounds.upper) & ~is_event).any() or np.isneginf(bounds.lower).any():
            raise ValueError(
                "Kaplan and Meier's estimate takes targets that are observed, or censored on the "
                "right: leave y out."
            )
    counts = is_event & (weight > 0)
    events, place = np.unique(time[counts], return_inverse=True)
    died = np.bincount(place, weight[counts])
    at_risk = weight_above(time, weight, events) - weight_above(entry, weight, events)
    left = np.cumprod(1 - died / at_risk)
    return np.array([np.append(0.0, events), np.append(1.0, left)])
