"""What is known of rows beside X and y reaches every method, or is refused."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import skmoe
from skmoe import MixtureOfExpertsRegressor, inference, inspection, metrics, model_selection
from skmoe._data import RowMetadata
from skmoe.gates import ConstantGate
from skmoe.metrics import log_score

NOT_TAKEN = {
    "log_score": {"subject"},  # a score is a mean over rows
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


def censored(n=400, seed=0):
    """Durations of two regimes behind a constant gate, some of them censored."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1))
    k = rng.integers(0, 2, size=n)
    time = np.exp(np.array([0.0, 2.0])[k] + 0.5 * X[:, 0] + 0.3 * rng.normal(size=n))
    end = rng.exponential(20, size=n)
    return X, np.minimum(time, end), {"upper": np.where(time <= end, time, np.inf)}


SETTINGS = {"n_experts": 2, "likelihood": "log_normal", "random_state": 0, "n_init": 2}


@pytest.fixture(name="fitted", scope="module")
def _fitted():
    """A mixture of censored rows, and these."""
    X, y, given = censored()
    moe = MixtureOfExpertsRegressor(**SETTINGS, gate=ConstantGate(), tol=1e-7)
    return moe.fit(X, y, **given), X, y, given


def test_a_report_on_the_training_rows_is_that_of_the_fit(fitted):
    moe, X, y, given = fitted
    found, expected = (each.to_frame() for each in (moe.expert_report(X, y, **given),
                                                    moe.expert_report()))  # fmt: skip
    for name in ("load", "rows", "wins", "error", "scale"):
        assert_allclose(found[name], expected[name], rtol=1e-6)
    profiles = moe.expert_profiles(X, y, **given).to_frame()
    resp = moe.responsibilities(X, y, **given)
    of_resp = moe.expert_profiles(X, y, responsibilities=resp).to_frame()
    assert_allclose(profiles["difference"], of_resp["difference"], rtol=1e-9)


def test_refits_of_stability_are_given_the_rows_of_the_fit(fitted):
    moe, X, y, given = fitted
    moe = clone(moe).set_params(tol=1e-3, n_init=1).fit(X, y, **given)
    found = moe.stability(X, y, **given, n_resamples=2, random_state=0)
    seed = int(found.random_states["seeds"][0])
    again = clone(moe).set_params(random_state=seed).fit(X, y, **given)
    labels = again.responsibilities(X, y, **given).argmax(axis=1)
    assert (found.labels_by["seeds"][0] == labels).all()


def test_scores_are_given_what_fit_is_given_by_metadata_routing(fitted):
    _, X, y, given = fitted
    moe = MixtureOfExpertsRegressor(**SETTINGS | {"n_init": 1}, tol=1e-3)
    folds = [(np.arange(0, 400, 2), np.arange(1, 400, 2))]
    train, test = ({name: v[part] for name, v in given.items()} for part in folds[0])
    fit = moe.fit(X[::2], y[::2], **train)
    expected = fit.log_density(X[1::2], y[1::2], **test).mean()
    with config_context(enable_metadata_routing=True):
        routed = clone(moe).set_fit_request(upper=True)
        found = cross_val_score(routed, X, y, cv=folds, scoring=log_score, params=given)
    assert found[0] == pytest.approx(expected, abs=1e-9)


def test_averages_over_numbers_of_experts_are_those_of_predictions():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    y = np.exp(np.where(X[:, 0] > 0, 1.0, -0.3) * X[:, 1]) * rng.gamma(3, 1 / 3, size=60)
    moe = MixtureOfExpertsRegressor(likelihood="gamma", n_init=3, random_state=0).fit(X, y)
    assert 0.1 < moe.model_weights_[1] < 0.9
    dist = moe.predict_dist(X)
    assert_allclose(moe.log_density(X, y), dist.logpdf(y), atol=1e-9)
