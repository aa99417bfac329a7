"""Experts of any kind on rows that are not in memory: fitted on a sample that is."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, planted
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.exceptions import IgnoredWeightsWarning, ThinnedRowsWarning
from skmoe.likelihoods import Gaussian

PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 3}


def rows_of_two_regimes(n=2000, seed=0):
    """Rows with two numbers, and one of three classes for a target."""
    lines = [[[0, 0], [2, 0], [0, 1], [2, 0]], [[0, 0], [0, -1], [-2, 0], [0, 1]]]
    log_odds = [np.diag([0, 2, -1]), [[0, 0, 0], [0, 0, 1], [0, -2, 0]]]
    rows = planted(n, gate=[-1 / 0.3, 0, 0, 0], coef=lines, noise=0.3, random_state=seed)
    label = rows.target(np.append(log_odds, np.zeros((2, 1, 3)), axis=1), "classes")
    return rows.X, {"lines": rows.y, "line": rows.y[:, 0], "class": label}


MIXTURES = {
    "trees": (MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=6), **PARAMS), "line"),
    "classes": (MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=4), **PARAMS), "class"),
    "list": (
        MixtureOfExpertsRegressor([Ridge(), DecisionTreeRegressor(max_depth=5)], random_state=0),
        "line",
    ),
    "few of the experts": (MixtureOfExpertsRegressor(top_k=1, **PARAMS), "line"),
    "outputs that err together": (
        MixtureOfExpertsRegressor(likelihood=Gaussian(covariance="full"), **PARAMS),
        "lines",
    ),
    "experts without weights": (MixtureOfExpertsRegressor(KNeighborsRegressor(9), 2, cv=3), "line"),
}


@pytest.mark.parametrize(("moe", "target"), MIXTURES.values(), ids=MIXTURES)
def test_mixtures_from_blocks_are_those_of_rows_in_memory(moe, target):
    X, y = rows_of_two_regimes()
    X_new, y_new = rows_of_two_regimes(seed=1)
    moe = clone(moe).set_params(training="em", tol=1e-3, random_state=0)
    in_memory = moe.fit(X, y[target]).log_density(X_new, y_new[target]).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ThinnedRowsWarning)
        found = moe.fit(in_parts(X, y[target])).log_density(X_new, y_new[target])
    assert found.mean() > in_memory - 0.05  # folds and starts are drawn anew
    order = np.random.default_rng(0).permutation(2000)
    moe.fit(in_parts(X[order], y[target][order], bounds=(1, 40, 40, 800, 2000)))
    assert_allclose(moe.log_density(X_new, y_new[target]), found, atol=1e-6)


def test_frozen_experts_get_a_gate_and_scales_as_in_memory():
    X, y = rows_of_two_regimes(seed=1)
    line, tree = LinearRegression(), DecisionTreeRegressor(max_depth=5)
    experts = [
        ("a", FrozenEstimator(line.fit(X[X[:, 0] > 0], y["line"][X[:, 0] > 0]))),
        ("b", FrozenEstimator(tree.fit(X[X[:, 0] < 0], y["line"][X[:, 0] < 0]))),
    ]
    X, y = rows_of_two_regimes()
    moe = MixtureOfExpertsRegressor(experts, cv="prefit", random_state=0).fit(X, y["line"])
    other = clone(moe).fit(in_parts(X, y["line"]))
    assert other.lower_bound_ == pytest.approx(moe.lower_bound_, abs=1e-6)
    assert_allclose(other.gate_proba(X), moe.gate_proba(X), atol=1e-3)
    assert other.experts_[1].estimator is tree


def test_rows_beyond_max_expert_rows_are_left_out_and_said_so():
    X, y = rows_of_two_regimes()
    experts = make_pipeline(PolynomialFeatures(1), LinearRegression())
    moe = MixtureOfExpertsRegressor(experts, training="em", **PARAMS)
    match = r"fitted on 400 of 2,000 rows,.* \(max_expert_rows\).*All rows need linear experts"
    with pytest.warns(ThinnedRowsWarning, match=match):
        moe.fit(in_parts(X, y["line"], max_expert_rows=400))
    assert moe.n_samples_seen_ == pytest.approx(400)
    everything = clone(moe).fit(in_parts(X, y["line"]))
    assert everything.n_samples_seen_ == pytest.approx(2000)
    X_new, y_new = rows_of_two_regimes(seed=1)
    few, all_of_them = (each.log_density(X_new, y_new["line"]).mean() for each in (moe, everything))
    assert few == pytest.approx(all_of_them, abs=0.05)
    assert sum(everything.expert_report().columns["rows"]) == pytest.approx(2000)


def test_a_class_that_the_sample_does_not_have_is_named():
    X, y = rows_of_two_regimes()
    label = np.where(np.arange(2000) == 8, "rare", y["class"])
    moe = MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=2), cv=2, **PARAMS)
    match = r"The classes \['rare'\] are not in the 100 rows drawn: raise max_expert_rows"
    with pytest.warns(ThinnedRowsWarning), pytest.raises(ValueError, match=match):
        moe.fit(in_parts(X, label, max_expert_rows=100))


def test_experts_without_weights_are_named_where_weights_differ():
    X, y = rows_of_two_regimes()
    weight = np.random.default_rng(0).integers(1, 3, 2000)
    near = KNeighborsRegressor(10)
    moe = MixtureOfExpertsRegressor(near, cv=2, n_experts=2, training="em", random_state=0)
    with pytest.warns(IgnoredWeightsWarning, match="The experts take no sample_weight"):
        moe.fit(in_parts(X, y["line"], weight))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moe.fit(in_parts(X, y["line"], np.full(2000, 3.0)))


def test_rows_given_twice_are_rows_of_weight_two():
    X, y = rows_of_two_regimes()
    weight = np.random.default_rng(0).integers(1, 4, 2000)
    again = np.random.default_rng(1).permutation(np.repeat(np.arange(2000), weight))
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=5), training="em", **PARAMS)
    predictions = moe.fit(in_parts(X, y["line"], weight)).predict(X)
    moe.fit(in_parts(X[again], y["line"][again], bounds=(700, len(again))))
    assert_allclose(moe.predict(X), predictions, atol=1e-6)


def test_collections_of_dask():
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    X, y = rows_of_two_regimes()
    X_parts, parts = (da.from_array(a, chunks=(700, -1)[: a.ndim]) for a in (X, y["lines"]))
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), cv=2, **PARAMS)
    with dask.config.set(scheduler="synchronous"):
        mean = moe.fit(X_parts, parts).predict(X)
    assert_allclose(moe.fit(in_parts(X, y["lines"])).predict(X), mean, atol=1e-6)


def test_names_of_columns_reach_the_experts():
    pandas = pytest.importorskip("pandas")
    X, y = rows_of_two_regimes()
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), training="em", **PARAMS)
    moe.fit(in_parts(table, y["line"]))
    assert_array_equal(moe.experts_[0].feature_names_in_, ["a", "b", "c"])
    assert_array_equal(moe.gate_.feature_names_in_, ["a", "b", "c"])
