"""One small model in place of a mixture."""

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.metrics import pinball_score
from skmoe.model_selection import DistilledRegressor


def mixture_and_rows(n_outputs=1):
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, size=(400, 2))
    y = np.abs(X[:, 0]) + 0.2 * rng.normal(size=400)
    y = y if n_outputs == 1 else np.column_stack([y, X[:, 1] + rng.normal(size=400)])
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=2, random_state=0)
    return moe.fit(X, y), np.random.default_rng(1).uniform(-3, 3, size=(3000, 2))


def test_a_line_is_distilled_to_itself():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X @ [1.0, -2.0] + 0.3 * rng.normal(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y)
    small = DistilledRegressor(moe, LinearRegression()).fit(X)
    assert_allclose(small.predict(X), moe.predict(X), rtol=1e-8)
    assert_allclose(small.predict_quantiles(X), moe.predict_quantiles(X, [0.05, 0.5, 0.95]))
    assert_allclose(small.predict(X, quantiles=(0.05, 0.5, 0.95)), small.predict_quantiles(X))
    assert small.losses_.kept == pytest.approx(1)
    assert small.losses_.width == pytest.approx(0, abs=1e-8)


def test_losses_are_those_of_rows_held_out():
    moe, X = mixture_and_rows()
    grown = DistilledRegressor(moe, DecisionTreeRegressor(random_state=0), quantiles=[0.1, 0.9])
    y = np.ravel(moe.sample_y(X, random_state=0))
    losses = grown.fit(X, y).losses_
    assert_allclose(grown.predict(X), moe.predict(X))  # the tree knows its rows by heart
    assert 0.97 < losses.kept < 1 - 1e-6  # of rows that it does not know
    error = losses.by_target["root mean square error"]
    assert error[0] < error[1] < losses.by_target["plain"][0]  # the target has more noise
    coverage = losses.by_target["coverage"]
    assert coverage[0] == pytest.approx(0.8, abs=0.05)
    pinball = losses.by_target["mean pinball loss"]
    ((_, test),) = ShuffleSplit(1, test_size=0.25, random_state=0).split(X)
    assert pinball[0] == pytest.approx(-pinball_score(moe, X[test], y[test], quantile=(0.1, 0.9)))
    assert "plain" in str(losses)
    assert "<table>" in losses._repr_html_()


@pytest.mark.parametrize(
    "student",
    [
        LGBMRegressor(n_estimators=30, verbose=-1, n_jobs=1),
        make_pipeline(PolynomialFeatures(6), LinearRegression()),
    ],
    ids=["one output", "Pipeline"],
)
def test_any_regressor_learns_quantiles_in_order(student):
    moe, X = mixture_and_rows()
    small = DistilledRegressor(moe, student, quantiles=(0.1, 0.3, 0.5, 0.7, 0.9))
    weight = np.ones(len(X))
    found = small.fit(X, sample_weight=weight).predict_quantiles(X)
    assert (np.diff(found, axis=1) >= 0).all()
    assert small.losses_.kept > 0.95
    again = clone(small.set_params(mixture=FrozenEstimator(moe))).fit(X)
    assert_allclose(again.predict_quantiles(X), found, rtol=1e-6)


def test_a_column_is_a_target_as_a_vector_is():
    moe, X = mixture_and_rows()
    y = np.ravel(moe.sample_y(X, random_state=0))
    tree = DecisionTreeRegressor(max_leaf_nodes=8, random_state=0)
    of_vector, of_column = (
        DistilledRegressor(moe, tree).fit(X, each).losses_.by_target for each in (y, y[:, None])
    )
    assert of_column == of_vector
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DistilledRegressor(moe, tree).fit(X, y[:-1])


def test_a_search_stands_for_its_best_mixture():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1))
    y = X[:, 0] + 0.3 * rng.normal(size=80)
    moe = MixtureOfExpertsRegressor(training="em", n_init=1, random_state=0)
    search = GridSearchCV(moe, {"n_experts": [1]}, cv=2).fit(X, y)
    small = DistilledRegressor(search, LinearRegression()).fit(X)
    best = DistilledRegressor(search.best_estimator_, LinearRegression()).fit(X)
    assert_allclose(small.predict_quantiles(X), best.predict_quantiles(X))
    assert_allclose(small.predict(X), search.predict(X), rtol=1e-8)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("before", [[], [StandardScaler()]], ids=["one step", "two steps"])
def test_weights_reach_a_pipeline_of_one_output(before, routing):
    moe, X = mixture_and_rows()
    student = make_pipeline(*before, HistGradientBoostingRegressor(max_iter=5))
    weight = (X[:, 0] > 0).astype(float)
    with config_context(enable_metadata_routing=routing):
        weighted = DistilledRegressor(moe, student, quantiles=[0.5]).fit(X, sample_weight=weight)
    mean = np.average(moe.predict(X), weights=weight)
    assert weighted.estimator_.estimators_[0][-1]._baseline_prediction.item() == pytest.approx(mean)


def test_what_cannot_be_distilled_is_refused():
    moe, X = mixture_and_rows()
    tree = DecisionTreeRegressor()
    for quantiles in ([0.5, 0.1], [0.0, 0.5], []):
        with pytest.raises(ValueError, match="rising probabilities"):
            DistilledRegressor(moe, tree, quantiles=quantiles).fit(X)
    with pytest.raises(ValueError, match="were learned"):
        DistilledRegressor(moe, tree).fit(X).predict(X, quantiles=[0.2])
    with pytest.raises(ValueError, match="one output"):
        DistilledRegressor(mixture_and_rows(2)[0], tree).fit(X)
    with pytest.raises(ValueError, match="is for regressors"):
        DistilledRegressor(MixtureOfExpertsClassifier(), tree).fit(X)
