"""Quantiles through ``predict``, and intervals of several levels."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor

QUANTILES, LEVELS = [0.05, 0.5, 0.95], [0.5, 0.9]


def fitted(n_outputs=1, **params):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 2))
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.2 * rng.normal(size=200)
    y = y if n_outputs == 1 else np.column_stack([y, -y + rng.normal(size=200)])
    settings = {"n_experts": 2, "training": "em", "n_init": 2, "random_state": 0} | params
    return MixtureOfExpertsRegressor(**settings).fit(X, y), X, y


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("quantiles", [0.3, QUANTILES])
def test_predict_gives_the_quantiles_of_the_distribution(n_outputs, quantiles):
    moe, X, _ = fitted(n_outputs)
    predicted = moe.predict(X, quantiles=quantiles)
    assert_array_equal(predicted, moe.predict_quantiles(X, quantiles))
    assert predicted.shape == (200, *np.shape(quantiles), *[2] * (n_outputs > 1))


def test_quantiles_go_through_a_pipeline():
    _, X, y = fitted()
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=2, random_state=0)
    pipe = make_pipeline(StandardScaler(), moe).fit(X, y)
    predicted = pipe.predict(X, quantiles=QUANTILES)
    assert_array_equal(predicted, pipe[-1].predict_quantiles(pipe[0].transform(X), QUANTILES))
    share = (y[:, None] <= predicted).mean(axis=0)
    assert np.abs(share - QUANTILES).max() < 3 * np.sqrt(0.25 / len(y))  # standard errors


def test_quantiles_take_an_exposure():
    rng = np.random.default_rng(0)
    X, exposure = rng.uniform(size=(200, 1)), rng.uniform(1, 50, size=200)
    y = rng.poisson(3 * exposure)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="poisson").fit(X, y, exposure=exposure)
    assert_array_equal(
        moe.predict(X, quantiles=QUANTILES, exposure=exposure),
        moe.predict_dist(X, exposure=exposure).ppf(QUANTILES),
    )


def test_standard_deviations_and_quantiles_at_once_are_refused():
    moe, X, _ = fitted()
    with pytest.raises(ValueError, match="return_std or for quantiles"):
        moe.predict(X, return_std=True, quantiles=0.5)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_intervals_of_several_levels_are_those_of_each(n_outputs):
    moe, X, _ = fitted(n_outputs)
    intervals = moe.predict_interval(X, LEVELS)
    for j, level in enumerate(LEVELS):
        assert_array_equal(intervals[:, :, j], moe.predict_interval(X, level))
    assert intervals.shape == (200, 2, 2, *[2] * (n_outputs > 1))


@pytest.mark.parametrize("level", [[], [0.5, 1.5], [[0.5]], 2.0])
def test_levels_that_are_none_are_refused(level):
    moe, X, _ = fitted()
    with pytest.raises(ValueError, match="level must be"):
        moe.predict_interval(X, level)
