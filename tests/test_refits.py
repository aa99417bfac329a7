"""Cross-fitted experts whose weights hardly moved stay as they were fitted."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import SGDRegressor
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._experts.estimators import BARELY_CHANGED, EstimatorExperts


def two_regimes(n_samples, seed=0):
    """Steps on one side of zero in the first column, a wave on the other; noise 0.1."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 2))
    y = np.where(X[:, 0] > 0, 3 + np.sign(X[:, 1]), np.sin(3 * X[:, 1]))
    return X, y + 0.1 * rng.normal(size=n_samples)


def in_halves(estimators, X, y):
    """Experts that are fitted on one half of the rows and predict the other."""
    halves = np.array_split(np.arange(len(y)), 2)
    return EstimatorExperts(
        [f"expert{k}" for k in range(len(estimators))], estimators, X, y, np.ones(len(y)),
        folds=[(halves[0], halves[1]), (halves[1], halves[0])], min_responsibility=0.0,
        classes=None, are_clones=False,
    )  # fmt: skip


def moved(resp, share):
    """Responsibilities of two experts of which ``share`` of expert 0's weight went over."""
    gone = share * resp[:, 0]
    return resp + np.column_stack([-gone, gone])


@pytest.fixture
def halves():
    X, y = two_regimes(200)
    resp = np.random.default_rng(1).uniform(0.3, 0.7, size=(200, 1))
    return X, y, np.hstack([resp, 1 - resp])


def test_only_experts_whose_weights_moved_are_refitted(halves):
    X, y, resp = halves
    third = np.full((200, 1), 0.5)
    resp = np.hstack([resp, third])
    experts = in_halves([DecisionTreeRegressor(random_state=0)] * 3, X, y)
    changed = resp.copy()
    changed[:, :2] = moved(resp[:, :2], 10 * BARELY_CHANGED)
    with experts.side_by_side(None):
        experts.fit(resp)
        first, predictions = experts.models, experts.predictions
        n_of_all = experts.n_fits
        experts.fit(resp)
        assert experts.n_fits == n_of_all
        assert_array_equal(experts.predictions, predictions)
        experts.fit(changed)
    assert n_of_all < experts.n_fits < 2 * n_of_all
    assert experts.models[2] is first[2]
    assert_array_equal(experts.predictions[:, 2], predictions[:, 2])
    anew = in_halves([DecisionTreeRegressor(random_state=0)] * 3, X, y)
    with anew.side_by_side(None):
        anew.fit(changed)
    assert_array_equal(experts.predictions, anew.predictions)


def test_experts_that_go_on_are_always_refitted(halves):
    X, y, resp = halves
    net = SGDRegressor(warm_start=True, max_iter=5, tol=None, random_state=0)
    experts = in_halves([net] * 2, X, y)
    with experts.side_by_side(None):
        experts.fit(resp)
        n_of_all = experts.n_fits
        experts.fit(resp)
    assert experts.n_fits == 2 * n_of_all


def test_kept_experts_predict_what_refitted_ones_would(monkeypatch):
    X, y = two_regimes(600)
    tree = DecisionTreeRegressor(min_samples_leaf=10)
    moe = MixtureOfExpertsRegressor(tree, n_experts=2, training="em", random_state=0)
    fits, predictions, scores = [], [], []
    for bound in (BARELY_CHANGED, -1.0):
        monkeypatch.setattr("skmoe._experts.estimators.BARELY_CHANGED", bound)
        moe.fit(X, y)
        fits.append(moe.n_expert_fits_)
        predictions.append(moe.predict(X))
        scores.append(moe.oof_score_)
    assert fits[0] < fits[1]
    # A fifth of the noise: the trees that were kept are those of weights within a thousandth.
    assert np.sqrt(np.mean((predictions[0] - predictions[1]) ** 2)) < 0.02
    assert abs(scores[0] - scores[1]) < 0.01
