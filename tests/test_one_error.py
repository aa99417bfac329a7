"""One typing error in the target is one row's matter."""

from functools import cache

import numpy as np
import pytest

from skmoe import MixtureOfExpertsRegressor


@cache
def width_and_cover(error):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = X.sum(axis=1) + 0.5 * rng.normal(size=600)
    given = y[:300].copy()
    given[7] += error
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X[:300], given)
    low, high = moe.predict_interval(X[300:], 0.9).T
    return np.median(high - low), np.mean((low <= y[300:]) & (y[300:] <= high))


@pytest.mark.parametrize("error", [1e3, 1e4, 1e6])
def test_intervals_of_other_rows_stay_as_wide(error):
    width, _ = width_and_cover(0.0)
    with_error, cover = width_and_cover(error)
    assert with_error < 1.1 * width
    assert 0.85 < cover < 0.95


def test_floor_is_that_of_the_bulk_of_the_target():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=200)
    clean = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y).likelihood_.floor_
    assert clean == pytest.approx(1e-3 * y.std())
    y[0] = 1e7
    dirty = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y).likelihood_.floor_
    assert dirty < 2 * clean
