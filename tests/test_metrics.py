"""Scores of fitted mixtures, bare or at the end of a Pipeline or a search."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import crps_score, grid_log_score, interval_score, log_score, pinball_score


def line(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    return X, X @ [3.0, -1.0] + rng.normal(size=n_samples)


def test_log_score_is_the_weighted_mean_log_density():
    X, y = line()
    weight = np.random.default_rng(1).uniform(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    model = LinearRegression().fit(X, y)
    scale = np.std(y - model.predict(X))
    expected = np.average(stats.norm.logpdf(y, model.predict(X), scale), weights=weight)
    # The default experts' penalty of 1e-6 is all that parts them.
    assert_allclose(log_score(moe, X, y, sample_weight=weight), expected, rtol=1e-6)


def test_log_score_reaches_through_pipelines_and_searches():
    X, y = line()
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(n_experts=1))
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
    with pytest.raises(TypeError, match="LinearRegression has no log_density"):
        log_score(LinearRegression().fit(X, y), X, y)


def test_grid_log_score_is_the_probability_of_the_cell_in_either_tail():
    X, y = line()
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    mean, scale = moe.predict(X[:1])[0], moe.likelihood_.scale_[0]
    for distance in (-10.0, -0.2, 0.3, 10.0):
        at = np.array([mean + distance * scale])
        far = abs(distance)
        low, high = far - 0.5 / scale, far + 0.5 / scale
        expected = np.log(stats.norm.cdf(-low) - stats.norm.cdf(-high))
        assert_allclose(grid_log_score(moe, X[:1], at), expected, rtol=1e-8)


def test_interval_score_is_width_and_fine_of_the_gaussian_quantiles():
    X, y = line()
    weight = np.random.default_rng(1).uniform(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
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
        moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
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
        moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0).fit(X, y)
        middles = (np.arange(500) + 0.5) / 500
        expected = 2 * pinball_score(moe, X, y, weight, quantile=middles)
        # The midpoint rule over 500 quantiles leaves some 1e-5 of the score.
        assert_allclose(crps_score(moe, X, y, weight), expected, rtol=1e-3)


@pytest.mark.parametrize("scoring", [crps_score, interval_score, pinball_score])
def test_proper_scores_prefer_the_mixture_that_made_the_data(scoring):
    rng = np.random.default_rng(3)
    X = rng.uniform(-2, 2, size=(300, 1))
    y = np.where(X[:, 0] > 0, 1.0, 0.1) * rng.normal(size=300)
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(n_init=2, random_state=0))
    search = GridSearchCV(
        pipeline, {"mixtureofexpertsregressor__n_experts": [1, 2]}, scoring=scoring, cv=2
    ).fit(X, y)
    one, two = search.cv_results_["mean_test_score"]
    assert one < two < 0
