"""Calibration of predictive distributions."""

import numpy as np
from scipy import stats
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from .._reports.by_regime import Groups, groups_of
from .._routing import Routes, posterior
from .._tables.known import check_weights
from .._validation import check_X
from ..distributions import MixtureDistribution
from ._axes import check_output, make_axes, unwrap

KINDS = ("pit", "experts", "coverage")
BAND = 0.95  # probability of the band of counts under perfect calibration


class CalibrationDisplay:
    r"""Calibration of predictive distributions: PIT histograms and coverage of intervals.

    The probability integral transform (PIT) of a target is :math:`u_i = F(y_i \mid x_i)`, with
    the predicted distribution function. It is uniform if predictions are calibrated [1]_: a
    U-shaped histogram indicates distributions that are too narrow, a hump ones that are too wide, a
    slope bias. If they are calibrated, each bar is within the grey band with probability 95 %.

    For counts the PIT is randomised: drawn uniformly between F just below the target and F at the
    target, which is again uniform [2]_.

    The PIT of an expert is :math:`F_k(y_i \mid x_i)`, weighted by the responsibilities
    :math:`r_{ik}`; it is uniform as well if the model is right.

    The coverage of a level is the share of targets in the central interval of that
    probability, :math:`|2 u_i - 1| \le` level.

    For class probabilities there is scikit-learn's ``sklearn.calibration.CalibrationDisplay``.

    Parameters
    ----------
    pit : ndarray of shape (n_rows,)
        PIT of the mixture.
    expert_pit : ndarray of shape (n_rows, n_experts)
        PIT of each expert.
    responsibilities : ndarray of shape (n_rows, n_experts)
        Responsibilities, zero for experts that are not used for a row.
    names : list of str
        Names of the experts.
    sample_weight : ndarray of shape (n_rows,), default=None
        Weights of the rows.
    randomised : bool, default=False
        Whether the PIT was drawn at random, as for counts.
    name : str, default=None
        Name in the legend of the coverage.

    Attributes
    ----------
    densities_ : list of ndarray of shape (n_bins,)
        Heights of the bars of each histogram; 1 if uniform.
    bands_ : list of (float, float)
        The band around 1 in each histogram.
    coverage_line_ : Line2D
        Coverage over level.
    axes_ : ndarray of Axes
        The panels.
    ax_ : Axes
        The first of them.
    figure_ : Figure
        The figure.

    See Also
    --------
    skmoe.metrics.log_score : A score that rewards both calibration and sharpness.

    References
    ----------
    .. [1] T. Gneiting, F. Balabdaoui and A. E. Raftery, "Probabilistic forecasts, calibration and
       sharpness", Journal of the Royal Statistical Society B 69 (2007) 243-268.
    .. [2] C. Czado, T. Gneiting and L. Held, "Predictive model assessment for count data",
       Biometrics 65 (2009) 1254-1261, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import CalibrationDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(600, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=600)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(
    ...     X[:300], y[:300]
    ... )
    >>> display = CalibrationDisplay.from_estimator(moe, X[300:], y[300:])
    >>> display.coverage([0.5, 0.9]).round(1)
    array([0.5, 0.9])
    """

    def __init__(
        self,
        *,
        pit,
        expert_pit,
        responsibilities,
        names,
        sample_weight=None,
        randomised=False,
        name=None,
    ):
        self.pit = pit
        self.expert_pit = expert_pit
        self.responsibilities = responsibilities
        self.names = list(names)
        self.sample_weight = sample_weight
        self.randomised = randomised
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        kind="pit",
        n_bins=10,
        output=None,
        sample_weight=None,
        random_state=None,
        name=None,
        by="regime",
        ax=None,
    ):
        """Draw the calibration of a fitted mixture, preferably on held-out rows.

        Parameters
        ----------
        estimator : mixture
            Fitted regressor; or a Pipeline that ends in one, or a search over one.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. On training rows calibration looks better than it is.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        kind : {"pit", "experts", "coverage"}, default="pit"
            A histogram of the PIT, one for each expert, or coverage over level.
        n_bins : int, default=10
            Bars of a histogram.
        output : int, default=None
            Number of the output to draw, if there are several.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        random_state : int, RandomState instance or None, default=None
            Random number generator for the PIT of counts, or its seed.
        name : str, default=None
            Name in the legend of the coverage. None: the name of the estimator.
        by : {"regime", "expert"}, default="regime"
            Histograms with kind="experts": one for each regime, where regime0 is the experts of
            ``regimes_[0]`` together, or for each expert. They differ if a regime has several.
        ax : Axes or array-like of Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : CalibrationDisplay
            The display.

        Raises
        ------
        TypeError
            If the mixture is a classifier.
        ValueError
            If there is no such output, or several and ``output`` is None.
        """
        mixture, Z = unwrap(estimator, X)
        if is_classifier(mixture):
            raise TypeError("For classes take sklearn.calibration.CalibrationDisplay.")
        output = check_output(mixture._model.y_shape, output)
        y = mixture._check_target(y, known=True)
        Z = check_X(mixture, Z)
        check_consistent_length(Z, y)
        routes = mixture._model.routes(Z)
        distribution = MixtureDistribution(routes.weights, mixture._model.components(Z, routes))
        if name is None:
            name = type(estimator).__name__
        display = cls._of(
            distribution,
            routes,
            y,
            groups_of(mixture, by),
            output,
            sample_weight,
            random_state,
            name,
        )
        return display.plot(ax, kind=kind, n_bins=n_bins)

    @classmethod
    def from_predictions(
        cls,
        distribution,
        y,
        *,
        kind="pit",
        n_bins=10,
        output=None,
        sample_weight=None,
        random_state=None,
        name=None,
        ax=None,
    ):
        """Draw the calibration of predictive distributions, as ``predict_dist`` returns them.

        Parameters
        ----------
        distribution : MixtureDistribution
            For n rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        kind : {"pit", "experts", "coverage"}, default="pit"
            A histogram of the PIT, one for each expert, or coverage over level.
        n_bins : int, default=10
            Bars of a histogram.
        output : int, default=None
            Number of the output to draw, if there are several.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        random_state : int, RandomState instance or None, default=None
            Random number generator for the PIT of counts, or its seed.
        name : str, default=None
            Name in the legend of the coverage.
        ax : Axes or array-like of Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : CalibrationDisplay
            The display.

        Raises
        ------
        ValueError
            If y does not have a value for each row, or the output is missing or does not exist.
        """
        with np.errstate(divide="ignore"):
            routes = Routes(np.log(distribution.weights))
        groups = Groups([f"expert{k}" for k in range(routes.n_experts)])
        y = np.asarray(y, dtype=np.float64)
        output = check_output(distribution._y_shape(), output)
        return cls._of(
            distribution, routes, y, groups, output, sample_weight, random_state, name
        ).plot(ax, kind=kind, n_bins=n_bins)

    @classmethod
    def _of(cls, distribution, routes, y, groups, output, sample_weight, random_state, name):
        weight = check_weights(sample_weight, y, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("sample_weight is zero for every row; one at least must be positive.")
        components = distribution.components
        resp, _ = posterior(routes.log_weights, components.logpdf(distribution._expand(y)))
        if output is not None:
            distribution = distribution.output(output)
            y = y[:, output]
            components = distribution.components
        at = y[:, None]
        expert_pit = np.broadcast_to(components.cdf(at), routes.shape)
        if distribution.discrete:  # the same draw for all experts: the mixture's PIT is their mean
            below = check_random_state(random_state).uniform(size=at.shape)
            expert_pit = expert_pit - below * np.exp(components.logpdf(at))
        return cls(
            pit=np.einsum("nk,nk->n", distribution.weights, expert_pit),
            expert_pit=groups.mean(routes.dense(expert_pit), routes.dense(routes.weights)),
            responsibilities=groups.proba(routes.dense(resp)),
            names=groups.names,
            sample_weight=weight,
            randomised=distribution.discrete,
            name=name,
        )

    def coverage(self, levels):
        """Share of the targets in central intervals.

        Parameters
        ----------
        levels : float or array-like of shape (n_levels,)
            Probabilities of the intervals.

        Returns
        -------
        coverage : float or ndarray of shape (n_levels,)
            About equal to the levels if the mixture is calibrated.
        """
        inside = np.abs(2 * self.pit[:, None] - 1) <= np.atleast_1d(levels)
        covered = np.average(inside, axis=0, weights=self.sample_weight)
        if np.ndim(levels):
            return covered
        return float(covered[0])

    def plot(self, ax=None, *, kind="pit", n_bins=10):
        """Draw the histograms or the coverage.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Axes to draw on: one for each expert with kind="experts". None creates a
            figure.
        kind : {"pit", "experts", "coverage"}, default="pit"
            A histogram of the PIT, one for each expert, or coverage over level.
        n_bins : int, default=10
            Bars of a histogram.

        Returns
        -------
        display : CalibrationDisplay
            The same display.

        Raises
        ------
        ValueError
            If there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}.")
        if kind == "coverage":
            return self._draw_coverage(ax)
        if self.sample_weight is None:
            weight = np.ones(len(self.pit))
        else:
            weight = self.sample_weight
        drawn = [(None, self.pit, weight)]
        if kind == "experts":
            masses = (weight[:, None] * self.responsibilities).T
            drawn = list(zip(self.names, self.expert_pit.T, masses, strict=True))
        self.densities_ = []
        self.bands_ = []
        for panel, (title, pit, mass) in zip(make_axes(self, ax, len(drawn)), drawn, strict=True):
            self._draw_histogram(panel, pit, mass, n_bins)
            if kind == "experts":
                panel.set_title(title)
        return self

    def _draw_histogram(self, panel, pit, mass, n_bins):
        edges = np.linspace(0, 1, n_bins + 1)
        total = mass.sum()
        density = np.histogram(pit, edges, weights=mass)[0] * n_bins / max(total, 1e-300)
        effective = max(1, round(total**2 / max((mass**2).sum(), 1e-300)))
        tails = (1 - BAND) / 2, (1 + BAND) / 2
        band = stats.binom.ppf(tails, effective, 1 / n_bins) * n_bins / effective
        panel.stairs(density, edges, fill=True, facecolor="#9ecae1", edgecolor="k", linewidth=1)
        panel.axhspan(*band, color="k", alpha=0.13, linewidth=0, label=f"{BAND:.0%} if calibrated")
        panel.legend(loc="lower center")
        for end in band:
            panel.axhline(end, color="k", linestyle=":", linewidth=1)
        panel.axhline(1, color="k", linestyle="--", linewidth=1.2)
        panel.set(xlabel="randomised PIT" if self.randomised else "PIT", ylabel="density")
        panel.set(xlim=(0, 1), ylim=(0, 1.15 * max(density.max(), band[1], 1.0)))
        self.densities_.append(density)
        self.bands_.append(tuple(band))

    def _draw_coverage(self, ax):
        (ax,) = make_axes(self, ax, size=(5.0, 5.0))
        levels = np.linspace(0, 1, 101)
        if not any(line.get_label() == "calibrated" for line in ax.lines):
            ax.plot([0, 1], [0, 1], color="0.6", linewidth=4, label="calibrated")
        dash = (("-", "--", "-.", ":") * (1 + len(ax.lines)))[len(ax.lines) - 1]
        covered = self.coverage(levels)
        (self.coverage_line_,) = ax.plot(levels, covered, dash, color="k", label=self.name)
        ax.set(xlabel="level of the interval", ylabel="share of the targets inside")
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        if self.name is not None:
            ax.legend(loc="upper left")
        return self
