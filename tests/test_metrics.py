"""Scores of fitted mixtures, bare or at the end of a Pipeline or a search."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_pinball_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.metrics import crps_score, interval_score, log_score, pinball_score


def line(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    return X, X @ [3.0, -1.0] + rng.normal(size=n_samples)


def test_log_score_is_the_weighted_mean_log_density():
    X, y = line()
    weight = np.random.default_rng(1).uniform(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y)
    model = LinearRegression().fit(X, y)
    scale = np.std(y - model.predict(X))
    expected = np.average(stats.norm.logpdf(y, model.predict(X), scale), weights=weight)
    # The default experts' penalty of 1e-6 is all that parts them.
    assert_allclose(log_score(moe, X, y, sample_weight=weight), expected, rtol=1e-6)


def test_log_score_reaches_through_pipelines_and_searches():
    X, y = line()
    pipeline = make_pipeline(
        StandardScaler(), MixtureOfExpertsRegressor(n_experts=1, training="em")
    )
    search = GridSearchCV(
        pipeline, {"mixtureofexpertsregressor__n_experts": [1]}, scoring=log_score, cv=2
    ).fit(X, y)
    bare = pipeline.fit(X, y)[-1]
    expected = bare.log_density(pipeline[:-1].transform(X), y).mean()
    assert_allclose(log_score(pipeline, X, y), expected)
    assert_allclose(log_score(search, X, y), expected)
    assert np.isfinite(cross_val_score(pipeline, X, y, scoring=log_score, cv=3)).all()


def test_log_score_of_what_is_no_mixture_says_what_it_is_for():
    X, y = line()
    with pytest.raises(TypeError, match=r"LinearRegression has no log_density.*n_experts=1\)"):
        log_score(LinearRegression().fit(X, y), X, y)
    with pytest.raises(TypeError, match=r"MixtureOfExpertsClassifier\(model, n_experts=1\)"):
        log_score(LogisticRegression().fit(X, y > 0), X, y > 0)
    with pytest.raises(TypeError, match="for regressors: take log_score for classes"):
        crps_score(MixtureOfExpertsClassifier(n_experts=1).fit(X, y > 0), X, y > 0)


def test_interval_score_is_width_and_fine_of_the_gaussian_quantiles():
    X, y = line()
    weight = np.random.default_rng(1).uniform(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y)
    mean, scale = moe.predict(X), moe.likelihood_.scale_[0]
    reach = stats.norm.ppf(0.9) * scale  # level 0.8
    fine = 10 * np.maximum(np.abs(y - mean) - reach, 0)
    expected = -np.average(2 * reach + fine, weights=weight)
    # Quantiles are found by bisection, to some 1e-8 of the scale.
    assert_allclose(interval_score(moe, X, y, weight, level=0.8), expected, rtol=1e-7)


def test_pinball_score_is_scikit_learns_loss_of_predicted_quantiles():
    rng = np.random.default_rng(2)
    X = rng.uniform(-2, 2, size=(300, 1))
    Y = np.column_stack([np.abs(X[:, 0]), X[:, 0]]) + 0.1 * rng.normal(size=(300, 2))
    weight = rng.uniform(size=300)
    for y in (Y[:, 0], Y):
        moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, training="em").fit(X, y)
        losses = [
            mean_pinball_loss(y, moe.predict_quantiles(X, q), sample_weight=weight, alpha=q)
            for q in (0.1, 0.9)
        ]
        score = pinball_score(moe, X, y, weight, quantile=[0.1, 0.9])
        assert_allclose(score, -np.mean(losses), rtol=1e-9)


def test_crps_score_is_twice_the_pinball_score_over_all_quantiles():
    rng = np.random.default_rng(2)
    X = rng.uniform(-2, 2, size=(60, 1))
    Y = np.column_stack([np.abs(X[:, 0]), X[:, 0]]) + 0.1 * rng.normal(size=(60, 2))
    weight = rng.uniform(size=60)
    for y in (Y[:, 0], Y):
        moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0, training="em").fit(
            X, y
        )
        middles = (np.arange(500) + 0.5) / 500
        expected = 2 * pinball_score(moe, X, y, weight, quantile=middles)
        # The midpoint rule over 500 quantiles leaves some 1e-5 of the score.
        assert_allclose(crps_score(moe, X, y, weight), expected, rtol=1e-3)


@pytest.fixture(name="counted", scope="module")
def _counted():
    """Events over unlike times, and a mixture of one expert of them."""
    rng = np.random.default_rng(5)
    X, time = rng.normal(size=(200, 1)), rng.uniform(0.5, 20, size=200)
    y = rng.poisson(time * np.exp(0.5 * X[:, 0]))
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="poisson", training="em")
    return moe.fit(X, y, exposure=time), X, y, time


def test_scores_of_counts_are_those_of_poisson_distributions_over_their_exposure(counted):
    moe, X, y, time = counted
    expected = stats.poisson(time * moe.predict(X))
    low, high = expected.interval(0.9)
    fine = 20 * (np.maximum(low - y, 0) + np.maximum(y - high, 0))
    steps = np.arange(400)[:, None]
    crps = ((expected.cdf(steps) - (steps >= y)) ** 2).sum(axis=0)
    known = {
        interval_score: -(high - low + fine).mean(),
        pinball_score: -mean_pinball_loss(y, expected.median(), alpha=0.5),
        crps_score: -crps.mean(),
    }
    for score, value in known.items():
        options = {"quantile": 0.5} if score is pinball_score else {}
        assert_allclose(score(moe, X, y, exposure=time, **options), value, rtol=1e-6)
    r2 = r2_score(y / time, moe.predict(X), sample_weight=time)
    assert moe.score(X, y, exposure=time) == pytest.approx(r2)


@pytest.mark.parametrize("scoring", [None, crps_score])
def test_metadata_routing_gives_scores_the_exposure(counted, scoring):
    moe, X, y, time = counted
    halves = [(np.arange(100), np.arange(100, 200))]
    fitted = clone(moe).fit(X[:100], y[:100], exposure=time[:100])
    score = scoring or MixtureOfExpertsRegressor.score
    with config_context(enable_metadata_routing=True):
        routed = clone(moe).set_fit_request(exposure=True).set_score_request(exposure=True)
        params = {"exposure": time}
        found = cross_val_score(routed, X, y, cv=halves, scoring=scoring, params=params)
    assert found[0] == pytest.approx(score(fitted, X[100:], y[100:], exposure=time[100:]))


EVERY_SCORE = [crps_score, interval_score, log_score, pinball_score]


@pytest.mark.parametrize("scoring", EVERY_SCORE)
@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_column_of_targets_scores_as_the_vector_does(scoring, likelihood):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 1))
    y = rng.poisson(np.exp(1 + X[:, 0])).astype(float)
    weight = rng.uniform(size=60)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood, training="em").fit(X, y)
    for given in (y[:, None], y[:, None].tolist(), pd.DataFrame({"y": y})):
        assert scoring(moe, X, given) == scoring(moe, X, y)
        assert scoring(moe, X, given, weight) == scoring(moe, X, y, weight)


@pytest.mark.parametrize("scoring", [s for s in EVERY_SCORE if s is not log_score])
def test_scores_of_several_outputs_are_means_over_them(scoring):
    rng = np.random.default_rng(2)
    X = rng.uniform(-2, 2, size=(80, 1))
    Y = np.column_stack([np.abs(X[:, 0]), X[:, 0]]) + 0.1 * rng.normal(size=(80, 2))
    weight = rng.uniform(size=80)
    both = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, Y)
    # Outputs of one linear expert are independent: two mixtures of one output are the same.
    alone = [
        MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, Y[:, j]) for j in range(2)
    ]
    expected = np.mean([scoring(alone[j], X, Y[:, j], weight) for j in range(2)])
    assert_allclose(scoring(both, X, Y, weight), expected, rtol=1e-6)


@pytest.mark.parametrize("scoring", EVERY_SCORE)
def test_targets_of_another_shape_than_the_predictions_are_refused(scoring):
    X, y = line(2)  # two rows and two columns would broadcast
    Y = np.column_stack([y, y])
    X_fit, y_fit = line()
    one = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X_fit, y_fit)
    two = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(
        X_fit, np.column_stack([y_fit, y_fit])
    )
    for moe, wrong in ((one, Y), (two, y), (two, y[:, None])):
        with pytest.raises(ValueError, match="y has|inconsistent"):
            scoring(moe, X, wrong)
