"""Sequential tests for drift of later rows."""

from bisect import bisect_left, bisect_right, insort

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state, column_or_1d

from .._reports.by_regime import html_table, text_table

LARGEST = 1e100  # wealth above which bets are not continued
SLOPES = np.array([0.5, 0.95, -0.5, -0.95])  # bets on a shift
CURVES = np.array([0.95, -0.9])  # on values at both ends, and in the middle
POWER = 0.3  # on values at one end


class DriftMonitor:
    r"""Sequential tests, batch by batch, of whether new rows resemble held-out rows.

    Four kinds of scores are monitored: the log-density of the target, the predictive distribution
    function at the target (the probability integral transform), whether the target is in the
    interval of the given level, and the gate probability of each expert, which does not need the
    target. Each score is ranked among those of all earlier rows. As long as rows are exchangeable,
    whatever their distribution and the quality of the mixture, these ranks are independent and
    uniform [1]_. Bets against this, with new ones from every row on, multiply a wealth whose
    expectation then stays one. By Ville's inequality the probability that the wealth of a score
    *ever* reaches ``n_scores / false_alarm_rate`` is at most ``false_alarm_rate``, however often
    batches are tested.

    Parameters
    ----------
    estimator : mixture
        Fitted; or a Pipeline that ends in a mixture, or a search over one. It must not change
        meanwhile: give a deep copy of a mixture that continues by ``partial_fit``.
    X : array-like or DataFrame of shape (n_samples, n_features)
        Some hundred rows that were not in ``fit``, without drift.
    y : array-like of shape (n_samples,)
        Their target.
    false_alarm_rate : float, default=0.01
        Probability of an alarm, at any time, without drift.
    level : float, default=0.9
        Level of the intervals whose coverage is monitored.
    random_state : int, RandomState instance or None, default=0
        Random number generator that breaks ties.

    Attributes
    ----------
    wealth_ : dict of str to float
        Wealth of the bets on each score.
    threshold_ : float
        Wealth at which there is an alarm.
    alarms_ : dict of str to int
        Scores that have reached the threshold, and after how many rows.
    reports_ : list of DriftReport
        Report of each batch.
    n_rows_ : int
        Number of rows in all batches so far.

    See Also
    --------
    CalibrationDisplay : Draws coverage and the probability integral transform.

    References
    ----------
    .. [1] V. Vovk, I. Nouretdinov and A. Gammerman, "Testing exchangeability on-line", Proceedings
       of the 20th International Conference on Machine Learning (2003) 768-775.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.inspection import DriftMonitor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(900, 1))
    >>> y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=900)
    >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0)
    >>> monitor = DriftMonitor(moe.fit(X[:300], y[:300]), X[300:600], y[300:600])
    >>> monitor.update(X[600:750], y[600:750]).alarms
    []
    >>> "log-density" in monitor.update(X[750:], y[750:] + 0.2).alarms
    True
    """

    def __init__(self, estimator, X, y, *, false_alarm_rate=0.01, level=0.9, random_state=0):
        for name, value in {"false_alarm_rate": false_alarm_rate, "level": level}.items():
            if not 0 < value < 1:
                raise ValueError(f"{name} must be between 0 and 1; got {value}.")
        self.estimator, self.level = estimator, level
        scores = self._scores(X, y)
        random_state = check_random_state(random_state)
        self._tests = {name: RankTest(values, random_state) for name, values in scores.items()}
        self.threshold_ = len(scores) / false_alarm_rate
        self.n_rows_, self.alarms_, self.reports_ = 0, {}, []
        self._means = {name: float(np.mean(values)) for name, values in scores.items()}

    @property
    def wealth_(self):
        """Wealth of the bets on each score."""
        return {name: test.wealth for name, test in self._tests.items()}

    def update(self, X, y):
        """Test the next batch.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their target.

        Returns
        -------
        report : DriftReport
            Prints as a table.
        """
        scores, cells = self._scores(X, y), []
        n_rows = len(scores["log-density"])
        for name, values in scores.items():
            test = self._tests[name]
            highest = test.update(values)
            if highest >= self.threshold_ and name not in self.alarms_:
                self.alarms_[name] = self.n_rows_ + n_rows
            cells.append((name, self._means[name], float(np.mean(values)), test.wealth))
        self.n_rows_ += n_rows
        self.reports_.append(DriftReport(cells, list(self.alarms_), n_rows, self.threshold_))
        return self.reports_[-1]

    def _scores(self, X, y):
        """Values (n,) of each score, by its name."""
        from ..inspection._axes import unwrap

        mixture, X = unwrap(self.estimator, X)
        scores = {"log-density": mixture.log_density(X, y)}
        if not is_classifier(mixture) and not mixture._y_shape:
            y = column_or_1d(y).astype(float)
            distribution = mixture.predict_dist(X)
            low, high = distribution.interval(self.level)
            scores["PIT"] = distribution.cdf(y)
            scores[f"in {100 * self.level:.4g} % interval"] = ((low <= y) & (y <= high)) * 1.0
        if len(mixture.named_experts_) > 1:
            gate = zip(mixture.named_experts_, mixture.gate_proba(X).T, strict=True)
            scores |= {f"load of {name}": proba for name, proba in gate}
        return scores


class DriftReport:
    """Report of a DriftMonitor on a batch; prints as a table.

    Parameters
    ----------
    cells : list of (str, float, float, float)
        Name of each score, its means in the reference rows and in the batch, and the wealth of
        its bets.
    alarms : list of str
        Scores that have drifted, in this batch or before.
    n_rows : int
        Number of rows in the batch.
    threshold : float
        Wealth of an alarm.

    Examples
    --------
    >>> from skmoe.inspection import DriftReport
    >>> DriftReport([("log-density", 0.21, -0.7, 1.2e4)], ["log-density"], 50, 500)
    score        before  batch   wealth
    log-density    0.21   -0.7  1.2e+04  alarm
    """

    def __init__(self, cells, alarms, n_rows, threshold):
        self.cells, self.alarms, self.n_rows, self.threshold = cells, alarms, n_rows, threshold

    @property
    def _table(self):
        header = ["score", "before", "batch", "wealth", ""]
        return header, [
            [name, f"{before:.3g}", f"{now:.3g}", f"{wealth:.2g}", "alarm" * (name in self.alarms)]
            for name, before, now, wealth in self.cells
        ]

    def __str__(self):
        return text_table(*self._table)

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(*self._table, f"{self.n_rows} rows; alarm from {self.threshold:.4g}")


class RankTest:
    """Bets against the exchangeability of a sequence of numbers.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        The first numbers, without bets.
    random_state : RandomState
        Breaks ties.
    """

    def __init__(self, values, random_state):
        self._sorted, self._random_state = sorted(map(float, values)), random_state
        self._n_bets, self._started = 0, np.zeros(1)  # (n_bets,), once there are bets

    @property
    def wealth(self):
        """Mean over all bets, including those that have not started."""
        return float(self._started.mean() + 1 / (1 + self._n_bets))

    def update(self, values):
        """Bet on each of the values (n,); returns the highest wealth."""
        highest = 0.0
        for bets in _bets(self._ranks(values)):
            self._n_bets += 1
            # The share of the reserve that leaves 1 / (1 + n) of it for later.
            begins = 1 / (self._n_bets * (self._n_bets + 1))
            self._started = np.minimum((self._started + begins) * bets, LARGEST)
            highest = max(highest, self.wealth)
        return highest

    def _ranks(self, values):
        """Ranks of values among those before each, uniform between 0 and 1."""
        shares = self._random_state.uniform(size=len(values))
        ranks = np.empty(len(values))
        for i, value in enumerate(map(float, values)):
            low, high = bisect_left(self._sorted, value), bisect_right(self._sorted, value)
            ranks[i] = (low + shares[i] * (high - low + 1)) / (len(self._sorted) + 1)
            insort(self._sorted, value)
        return ranks


def _bets(ranks):
    """Factors of the stakes of each bet, (n, n_bets): densities on the unit interval."""
    u = np.clip(ranks, 1e-12, 1 - 1e-12)[:, None]
    linear = 1 + SLOPES * (2 * u - 1)
    curved = 1 + CURVES * (6 * u**2 - 6 * u + 1)
    ends = POWER * np.hstack([u, 1 - u]) ** (POWER - 1)
    return np.hstack([linear, curved, ends])
