"""Survival curves and hazards of regimes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.distributions import GaussianComponents, MixtureDistribution
from skmoe.inspection import SurvivalDisplay
from skmoe.likelihoods import ZeroInflated

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def durations(n=600):
    """Durations in two regimes, ends of watching, and entries, of all."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    k = (rng.uniform(size=n) < special.expit(2 * X[:, 1])).astype(int)
    location = np.exp(np.where(k, 2 + 0.3 * X[:, 0], 0.5 - 0.3 * X[:, 0]))
    time = location * rng.weibull(np.where(k, 2.5, 1.5))
    entry, end = rng.exponential(1.0, size=n), rng.exponential(15, size=n)
    return X, time, entry, end


@pytest.fixture(scope="module")
def censored():
    X, time, _, end = durations()
    y, upper = np.minimum(time, end), np.where(time <= end, time, np.inf)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="weibull", n_init=2, random_state=0)
    return moe.fit(X, y, upper=upper), X, y, upper


def test_the_curve_of_the_mixture_is_near_kaplan_and_meier(censored):
    moe, X, y, upper = censored
    display = SurvivalDisplay.from_estimator(moe, X, y, upper=upper)
    times, left = display.steps
    # One time after the other.
    share = [1.0]
    for time in np.sort(y[y == upper]):
        share.append(share[-1] * (1 - 1 / np.sum(y >= time)))
    assert_allclose(left, share)
    estimate = left[np.searchsorted(times, display.times, side="right") - 1]
    assert np.abs(estimate - display.mixture).max() < 0.06  # Kolmogorov's 1.6 / sqrt(n), n = 600
    assert len(display.ax_.lines) == 4
    assert display.ax_.get_legend_handles_labels()[1][-1] == "mixture"


def test_regimes_make_up_the_mixture_and_hazards_are_slopes(censored):
    moe, X, *_ = censored
    times = np.linspace(0.5, 12, 400)
    weight = np.arange(len(X)) % 3
    survival, hazard = (
        SurvivalDisplay.from_estimator(moe, X, sample_weight=weight, times=times, kind=kind)
        for kind in ("survival", "hazard")
    )
    load = weight @ moe.gate_proba(X) / weight.sum()
    assert_allclose(load @ survival.curves, survival.mixture)
    dist = moe.predict_dist(X)
    expected = [np.average(dist.sf(time), weights=weight) for time in times[::100]]
    assert_allclose(survival.mixture[::100], expected)
    pairs = zip(survival.curves, hazard.curves, strict=True)
    for curve, rate in ((survival.mixture, hazard.mixture), *pairs):
        assert_allclose(-np.gradient(np.log(curve), times)[1:-1], rate[1:-1], rtol=2e-3)
    assert hazard.steps is None


def test_with_entries_curves_are_those_of_all():
    X, time, entry, _ = durations(1500)
    seen = time > entry
    X, y, entry = X[seen], time[seen], entry[seen]
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="weibull", n_init=2, random_state=0)
    moe = moe.fit(X, y, entry=entry)
    display = SurvivalDisplay.from_estimator(moe, X, y, entry=entry, times=[1.0, 3.0, 6.0])
    of_all = [(time > t).mean() for t in display.times]
    assert_allclose(display.mixture, of_all, atol=0.04)  # some three standard errors
    times, left = display.steps
    estimate = left[np.searchsorted(times, display.times, side="right") - 1]
    assert_allclose(estimate, of_all, atol=0.06)  # of the few who enter before they end
    assert (y > 3).mean() > of_all[1] + 0.08


def test_the_hazard_of_a_row_is_known_far_in_the_tail(censored):
    moe, X, *_ = censored
    one = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull")
    one = one.fit(X, 2 * np.random.default_rng(1).weibull(2.5, size=len(X)))
    shape = one.likelihood_.shape_
    scale = one.predict(X[:3]) / special.gamma(1 + 1 / shape)
    for time in (0.5, 2.0, 60.0):
        expected = shape / scale * (time / scale) ** (shape - 1)
        assert_allclose(one.predict_dist(X[:3]).hazard(time), expected, rtol=1e-6)
    dist = MixtureDistribution(
        np.array([[0.3, 0.7]]), GaussianComponents(np.array([[0.0, 1.0]]), np.array([1.0, 1.0]))
    )
    assert dist.hazard(0.5) == pytest.approx(dist.pdf(0.5) / dist.sf(0.5))
    assert dist.hazard(40.0) == pytest.approx([39.0], abs=0.1)  # where the survival is zero


def test_hazards_of_counts_are_probabilities_and_of_one_output():
    rng = np.random.default_rng(0)
    X, y = np.zeros((300, 1)), rng.poisson(2.0, size=300)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="poisson").fit(X, y)
    dist = moe.predict_dist(X[:2])
    expected = dist.pmf(3) / (1 - dist.cdf(2))
    assert_allclose(dist.hazard(3), expected)
    display = SurvivalDisplay.from_estimator(moe, X, times=[3.0], kind="hazard")
    assert_allclose(display.mixture, expected[0])
    two = MixtureOfExpertsRegressor(n_experts=1).fit(X, rng.normal(size=(300, 2)))
    with pytest.raises(ValueError, match="hazard takes one output"):
        two.predict_dist(X[:2]).hazard(0.5)
    atoms = MixtureOfExpertsRegressor(n_experts=1, likelihood=ZeroInflated("gamma"))
    atoms = atoms.fit(X, np.where(y == 0, 0.0, rng.gamma(2.0, size=300)))
    with pytest.raises(ValueError, match="hazard needs a density"):
        atoms.predict_dist(X).hazard(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "density"}, "kind must be"),
        ({"by": "row"}, "by must be"),
        ({"upper": "between"}, "censored on the right"),
    ],
)
def test_what_cannot_be_drawn_is_refused(censored, change, message):
    moe, X, y, _ = censored
    if "upper" in change:
        change = {"upper": y + 1.0}
    with pytest.raises(ValueError, match=message):
        SurvivalDisplay.from_estimator(moe, X, y, **change)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"entry": 0.1}, "give y"),
        ({"upper": 9.0}, "give y"),
        ({"sample_weight": 0.0}, "[zZ]ero"),
        ({"sample_weight": -1.0}, "[Nn]egative"),
    ],
)
def test_bounds_without_targets_and_impossible_weights_are_refused(censored, given, message):
    moe, X, *_ = censored
    given = {name: np.full(len(X), value) for name, value in given.items()}
    with pytest.raises(ValueError, match=message):
        SurvivalDisplay.from_estimator(moe, X, times=[1.0], **given)


def test_hazards_are_not_known_where_none_is_left(censored):
    moe, X, *_ = censored
    display = SurvivalDisplay.from_estimator(moe, X, times=[1.0, 1e6], kind="hazard")
    assert_array_equal(np.isnan(display.mixture), [False, True])


def test_other_mixtures_are_refused():
    X, time, *_ = durations(60)
    classes = MixtureOfExpertsClassifier(n_experts=1).fit(X, time > 2)
    both = MixtureOfExpertsRegressor(LinearRegression(), 1).fit(X, np.column_stack([time, time]))
    for mixture in (classes, both):
        with pytest.raises(ValueError, match="with one output"):
            SurvivalDisplay.from_estimator(mixture, X)
