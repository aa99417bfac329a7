"""What is known of rows beside X and y reaches every method, or is refused."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import skmoe
from skmoe import MixtureOfExpertsRegressor, inference, inspection, metrics, model_selection
from skmoe._data import RowMetadata
from skmoe.gates import ConstantGate
from skmoe.inference import membership_summary
from skmoe.inspection import SurvivalDisplay
from skmoe.metrics import concordance_index, log_score
from skmoe.model_selection import gate_test, n_experts_test, select_n_experts
from skmoe.model_selection._censoring import Limits
from skmoe.model_selection._likelihood_ratio import _draw

NOT_TAKEN = {
    "subject_effects": {"entry"},  # which is of rows that are independent
    "log_score": {"subject"},  # a score is a mean over rows
    "concordance_index": {"exposure", "trials", "subject", "expert"},  # has nothing to do with it
    "SurvivalDisplay.from_estimator": {"exposure", "trials", "subject", "expert"},
}


def everything_public():
    """Names and signatures of functions and methods that users call."""
    for module in (skmoe, inference, inspection, metrics, model_selection):
        for name in module.__all__:
            each = getattr(module, name)
            methods = inspect.getmembers(each, callable) if inspect.isclass(each) else []
            found = {f"{name}.{method}": of for method, of in methods if method[0] != "_"}
            for where, function in (found or {name: each}).items():
                try:
                    yield where, inspect.signature(function)
                except (TypeError, ValueError):
                    continue  # properties and exceptions


def test_what_takes_some_of_it_takes_all_or_is_listed():
    takes_upper = {
        where: set(RowMetadata._fields) - signature.parameters.keys()
        for where, signature in everything_public()
        if "upper" in signature.parameters
    }
    assert len(takes_upper) > 20
    assert {where: lacking for where, lacking in takes_upper.items() if lacking} == NOT_TAKEN


def truncated(n=400, seed=0, shift=0.0):
    """Durations of two regimes behind a constant gate, seen beyond their entries."""
    rng = np.random.default_rng(seed)
    X, z = rng.normal(size=(2, 4 * n, 1))
    k = (rng.uniform(size=4 * n) < special.expit(shift * z[:, 0])).astype(int)
    time = np.exp(np.array([0.0, 2.0])[k] + 0.5 * X[:, 0] + 0.3 * rng.normal(size=4 * n))
    entry = rng.exponential(2, size=4 * n) * (rng.uniform(size=4 * n) < 0.7)
    end = entry + rng.exponential(20, size=4 * n)
    seen = np.flatnonzero(time > entry)[:n]
    y, upper = np.minimum(time, end), np.where(time <= end, time, np.inf)
    expert = np.where(rng.uniform(size=4 * n) < 0.2, k, -1)
    given = {"upper": upper[seen], "entry": entry[seen], "expert": expert[seen]}
    return X[seen], y[seen], z[seen], given


SETTINGS = {"n_experts": 2, "likelihood": "log_normal", "random_state": 0, "n_init": 2}


@pytest.fixture(name="fitted", scope="module")
def _fitted():
    """A mixture of truncated rows, and these."""
    X, y, z, given = truncated()
    moe = MixtureOfExpertsRegressor(**SETTINGS, gate=ConstantGate(), tol=1e-7)
    return moe.fit(X, y, **given), X, y, z, given


def test_a_report_on_the_training_rows_is_that_of_the_fit(fitted):
    moe, X, y, _, given = fitted
    found, expected = (each.to_frame() for each in (moe.expert_report(X, y, **given),
                                                    moe.expert_report()))  # fmt: skip
    for name in ("load", "rows", "wins", "error", "scale"):
        assert_allclose(found[name], expected[name], rtol=1e-6)
    profiles = moe.expert_profiles(X, y, **given).to_frame()
    resp = moe.responsibilities(X, y, **given)
    of_resp = moe.expert_profiles(X, y, responsibilities=resp).to_frame()
    assert_allclose(profiles["difference"], of_resp["difference"], rtol=1e-9)


def test_refits_of_stability_are_given_the_rows_of_the_fit(fitted):
    moe, X, y, _, given = fitted
    moe = clone(moe).set_params(tol=1e-3, n_init=1).fit(X, y, **given)
    found = moe.stability(X, y, **given, n_resamples=2, random_state=0)
    seed = int(found.random_states["seeds"][0])
    again = clone(moe).set_params(random_state=seed).fit(X, y, **given)
    labels = again.responsibilities(X, y, **given).argmax(axis=1)
    assert (found.labels_by["seeds"][0] == labels).all()


def test_predictors_of_regimes_are_those_of_all_rows_seen_or_not():
    X, y, z, given = truncated(1500, shift=1.0)
    moe = MixtureOfExpertsRegressor(**SETTINGS, gate=ConstantGate()).fit(X, y, **given)
    found = membership_summary(moe, X, y, z, **given).to_frame()
    estimate, error = found["estimate"], found["std_error"]
    assert (np.abs(estimate - [0, 1]) < 3 * error).all()
    naive = membership_summary(moe, X, y, z, upper=given["upper"], expert=given["expert"])
    assert naive.to_frame()["estimate"].iloc[0] > 4 * error.iloc[0]  # more long times are seen


def test_the_gate_is_tested_by_the_likelihoods_of_rows_that_were_seen(fitted):
    _, X, y, _, given = fitted
    moe = MixtureOfExpertsRegressor(**SETTINGS, tol=1e-8)
    result = gate_test(moe, X, y, **given)
    with_gate, without = (
        clone(moe).set_params(gate=gate).fit(X, y, **given) for gate in (None, ConstantGate())
    )
    gain = with_gate.log_density(X, y, **given).sum() - without.log_density(X, y, **given).sum()
    assert result.statistic == pytest.approx(2 * gain, abs=0.02)  # but for the gate's penalty
    assert result.df == 1


def test_targets_are_drawn_beyond_their_entries_from_experts_that_are_known(fitted):
    moe, *_ = fitted
    n, rng = 20_000, np.random.RandomState(0)
    X, entry = np.full((n, 1), 0.3), np.repeat([4.0, 12.0, 0.0, -np.inf], n // 4)
    y = _draw(moe, X, rng, entry=entry)
    assert (y > entry).all()
    dist = moe.predict_dist(X)
    uniform = dist.sf(y) / dist.sf(entry)
    for part in np.split(uniform, 4):
        assert stats.kstest(part, "uniform").pvalue > 0.01
    expert = np.where(np.arange(n) % 2, 1, -1)
    y, sf = _draw(moe, X, rng, entry=entry, expert=expert), dist.components.sf
    uniform = (sf(y[:, None]) / sf(entry[:, None]))[expert == 1, 1]
    assert stats.kstest(uniform, "uniform").pvalue > 0.01


def test_limits_are_those_of_rows_that_have_entered():
    known, is_limit = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True])
    limits = Limits(known, is_limit, np.ones(4), np.array([0.0, 0.0, 2.5, 0.0]))
    # At 1 three have entered, at 3 the last two: of the limits 2/3 are beyond 1, 1/3 beyond 3.
    rng = np.random.RandomState(0)
    drawn = np.array([limits.draw(rng) for _ in range(4000)])
    assert (drawn[:, is_limit] == known[is_limit]).all()
    assert np.mean(drawn[:, 1] == 3) == pytest.approx(0.5, abs=0.04)  # five standard errors
    alone = Limits(known, is_limit, np.ones(4), np.array([0.0, 1.5, 1.5, 1.5]))
    assert set(alone.draw(rng)) <= {1.0, 3.0, 4.0}  # nothing of the others is beyond 1
    assert alone.draw(rng)[1] > 2


def test_one_expert_more_is_not_found_where_short_times_are_missing():
    rng = np.random.default_rng(1)
    time, entry = rng.weibull(2.0, size=400), rng.exponential(0.7, size=400)
    seen = time > entry
    y, entry, X = time[seen], entry[seen], np.zeros((seen.sum(), 1))
    moe = MixtureOfExpertsRegressor(likelihood="weibull", n_init=1, tol=1e-3, random_state=0)
    end = entry + rng.exponential(1.0, size=len(y))
    y, given = np.minimum(y, end), {"entry": entry, "upper": np.where(y < end, y, np.inf)}
    result = n_experts_test(moe, X, y, **given, n_resamples=9, random_state=0)
    assert result.pvalue >= 0.2
    one, two = (
        clone(moe).set_params(n_experts=k).fit(X, y, **given).log_density(X, y, **given).sum()
        for k in (1, 2)
    )
    assert result.statistic == pytest.approx(max(0.0, 2 * (two - one)), abs=1e-6)


def test_experts_that_are_known_go_through_selection_and_score(fitted):
    moe, X, y, _, given = fitted
    with pytest.raises(ValueError, match="expert"):  # one expert is no candidate for them
        select_n_experts(moe, X, y, [1], criterion="bic", **given)
    expected = moe.log_density(X, y, **given).mean()
    assert log_score(moe, X, y, **given) == pytest.approx(expected)


def test_scores_are_given_what_fit_is_given_by_metadata_routing(fitted):
    _, X, y, _, given = fitted
    moe = MixtureOfExpertsRegressor(**SETTINGS | {"n_init": 1}, tol=1e-3)
    folds = [(np.arange(0, 400, 2), np.arange(1, 400, 2))]
    train, test = ({name: v[part] for name, v in given.items()} for part in folds[0])
    fit = moe.fit(X[::2], y[::2], **train)
    expected = fit.log_density(X[1::2], y[1::2], **test).mean()
    with config_context(enable_metadata_routing=True):
        routed = clone(moe).set_fit_request(upper=True, entry=True, expert=True)
        found = cross_val_score(routed, X, y, cv=folds, scoring=log_score, params=given)
    assert found[0] == pytest.approx(expected, abs=1e-9)


def test_concordance_is_of_those_that_had_entered(fitted):
    moe, X, y, _, given = fitted
    upper, entry = given["upper"], given["entry"]
    median, right, total = moe.predict_dist(X).median(), 0.0, 0
    for i in np.flatnonzero(y == upper):
        later = (y > y[i]) & (entry < y[i])
        right, total = right + (median[later] > median[i]).sum(), total + later.sum()
    found = concordance_index(moe, X, y, upper=upper, entry=entry)
    assert found == pytest.approx(right / total, abs=1e-9)
    assert found != concordance_index(moe, X, y, upper=upper)


def test_averages_over_numbers_of_experts_are_those_of_predictions():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    y = np.exp(np.where(X[:, 0] > 0, 1.0, -0.3) * X[:, 1]) * rng.gamma(3, 1 / 3, size=60)
    moe = MixtureOfExpertsRegressor(likelihood="gamma", n_init=3, random_state=0).fit(X, y)
    assert 0.1 < moe.model_weights_[1] < 0.9
    dist, entry = moe.predict_dist(X), 0.5 * y
    found = moe.log_density(X, y, entry=entry)
    assert_allclose(found, dist.logpdf(y) - np.log(dist.sf(entry)), atol=1e-9)
    times = np.array([0.5, 2.0, 5.0])
    shown = {
        kind: SurvivalDisplay.from_estimator(moe, X, times=times, kind=kind).mixture
        for kind in ("survival", "hazard")
    }
    left = np.array([dist.sf(time).mean() for time in times])
    assert_allclose(shown["survival"], left, rtol=1e-9)
    density = np.array([dist.pdf(time).mean() for time in times])
    assert_allclose(shown["hazard"], density / left, rtol=1e-9)
