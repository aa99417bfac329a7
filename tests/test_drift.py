"""Sequential tests of whether later rows are as those before."""

import numpy as np
import pytest
from planted import two_lines
from scipy import stats

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._updates.drift import RankTest, _bets
from skmoe.inspection import DriftMonitor


def test_bets_are_fair():
    u = (np.arange(10**6) + 0.5) / 10**6
    bets = _bets(u)
    assert bets.min() > 0
    # The midpoint rule is short of the poles at the ends.
    np.testing.assert_allclose(bets.mean(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(bets[:, :6].mean(axis=0), 1, rtol=1e-9)


@pytest.mark.parametrize("kind", ["normal", "ties"])
def test_ranks_are_uniform_and_independent(kind):
    rng = np.random.default_rng(0)
    values = rng.standard_cauchy(1500) if kind == "normal" else rng.integers(3, size=1500)
    ranks = RankTest(values[:300], np.random.RandomState(0))._ranks(values[300:])
    assert stats.kstest(ranks, "uniform").pvalue > 0.01
    assert abs(stats.spearmanr(ranks[:-1], ranks[1:]).statistic) < 0.09  # three standard errors


def test_false_alarms_are_as_rare_as_was_asked_for():
    rng, highest, last = np.random.default_rng(0), [], []
    for seed in range(150):
        values = rng.normal(size=500)
        test = RankTest(values[:100], np.random.RandomState(seed))
        highest.append(max(test.update(part) for part in np.split(values[100:], 8)))
        last.append(test.wealth)
    # Ville's inequality, at 1 in 10, with three standard errors.
    assert np.mean(np.array(highest) >= 10) <= 0.1 + 3 * np.sqrt(0.09 / 150)
    assert np.mean(last) < 1.5  # an expectation of one


def watched(n_batches, change, **params):
    """A mixture, and a monitor of it after batches of 100 rows, changed in the second half."""
    X, y, *_ = two_lines(600 + 100 * n_batches)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, training="em", random_state=0)
    monitor = DriftMonitor(moe.fit(X[:300], y[:300]), X[300:600], y[300:600], **params)
    for batch in range(n_batches):
        rows = slice(600 + 100 * batch, 700 + 100 * batch)
        X_now, y_now = X[rows], y[rows]
        if batch >= n_batches // 2:
            X_now, y_now = change(X_now, y_now)
        monitor.update(X_now, y_now)
    return monitor


def test_nothing_is_found_where_nothing_drifts():
    monitor = watched(10, lambda X, y: (X, y))
    assert monitor.alarms_ == {}
    assert monitor.n_rows_ == 1000
    assert "alarm" not in str(monitor.reports_[-1])


def test_targets_that_drift_are_found_soon_and_by_name():
    def shifted(X, y):
        return X, y + 0.5 * np.std(y)

    monitor = watched(8, shifted)
    assert monitor.alarms_["PIT"] <= 600
    assert not any(name.startswith("load") for name in monitor.alarms_)  # X is as it was
    before = [report.alarms for report in monitor.reports_[:4]]
    assert before == [[]] * 4
    assert "alarm" in monitor.reports_[-1]._repr_html_()


@pytest.mark.filterwarnings("ignore:A column-vector y:sklearn.exceptions.DataConversionWarning")
def test_a_column_is_a_target_as_a_vector_is():
    X, y, *_ = two_lines(400)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, training="em", random_state=0)
    moe.fit(X[:200], y[:200])
    of_vector, of_column = (
        DriftMonitor(moe, X[200:300], each[200:300]).update(X[300:], each[300:])
        for each in (y, y[:, None])
    )
    assert str(of_column) == str(of_vector)


def test_rows_that_drift_change_loads_and_not_the_fit():
    def mostly_high(X, y):
        kept = np.argsort(-X[:, 0])[:50]
        return X[kept], y[kept]

    alarms = watched(10, mostly_high).alarms_
    assert {"load of expert0", "load of expert1"} & set(alarms)
    assert "PIT" not in alarms


def test_classes_are_watched_by_probability_and_load():
    X, y, *_ = two_lines(900)
    label = np.where(y > np.median(y), "high", "low")
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=2, random_state=0)
    monitor = DriftMonitor(moe.fit(X[:300], label[:300]), X[300:600], label[300:600])
    swapped = np.where(label == "high", "low", "high")
    monitor.update(X[600:], swapped[600:])
    assert "log-density" in monitor.alarms_
    assert "PIT" not in monitor.wealth_


@pytest.mark.parametrize("params", [{"false_alarm_rate": 0}, {"level": 1.0}])
def test_rates_and_levels_are_probabilities(params):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        DriftMonitor(None, None, None, **params)
