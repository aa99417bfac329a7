"""The gate of regions: a softmax gate behind a forest."""

import pickle

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmoe._numerics.trees import Trees
from skmoe.gates import ForestGate, SoftmaxGate


def quadrants(n, seed=0):
    """Rows, and how probable it is that they are of the first of two regimes: a chessboard's."""
    X = np.random.default_rng(seed).uniform(-1, 1, size=(n, 3))
    share = np.where(X[:, 0] * X[:, 1] > 0, 0.875, 0.25)
    return X, np.column_stack([share, 1 - share])


# A forest draws rows, whatever these weigh.
BOOTSTRAP = {"check_sample_weight_equivalence_on_dense_data": "rows are drawn, not their weight"}


@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores")  # one row alone
@pytest.mark.usefixtures("array_namespaces")
@parametrize_with_checks(
    [ForestGate(random_state=0)], expected_failed_checks=lambda gate: BOOTSTRAP
)
def test_gate_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_recovers_regions_that_hyperplanes_cannot_cut():
    X, soft = quadrants(1000)
    X_new, truth = quadrants(1000, seed=1)
    inside = np.abs(X_new[:, :2]).min(axis=1) > 0.2
    found = ForestGate(random_state=0).fit(X, soft).predict_proba(X_new)[inside]
    assert np.abs(found - truth[inside]).mean() < 0.05
    linear = SoftmaxGate().fit(X, soft).predict_proba(X_new)[inside]
    assert np.abs(linear - truth[inside]).mean() > 0.3


def test_is_a_softmax_gate_on_out_of_bag_probabilities():
    X, soft = quadrants(300)
    gate = ForestGate(random_state=0, alpha=1.0).fit(X, soft)
    forest = RandomForestRegressor(
        60, min_samples_leaf=5, max_features=0.5, oob_score=True, random_state=0
    ).fit(X, soft)
    by_hand = SoftmaxGate(1.0).fit(
        np.column_stack([X, np.log(forest.oob_prediction_ + 0.03)]), soft
    )
    columns = np.column_stack([X, np.log(forest.predict(X) + 0.03)])
    proba = by_hand.predict_proba(columns)
    np.testing.assert_allclose(gate.predict_proba(X), proba, rtol=1e-3)  # half precision in leaves


def test_noise_is_not_learned_by_heart():
    rng = np.random.default_rng(0)
    X, label = rng.normal(size=(300, 4)), rng.integers(2, size=300)
    proba = ForestGate(random_state=0).fit(X, label).predict_proba(X)[:, 1]
    # Out of bag, what trees say of noise is worth nothing, and the softmax gate found that out.
    assert np.abs(proba - 0.5).mean() < 0.15


def test_rows_of_weight_zero_change_nothing():
    X, soft = quadrants(200)
    X_more, more = np.vstack([X, 5 + X[:20]]), np.vstack([soft, soft[:20, ::-1]])
    weight = np.append(np.ones(200), np.zeros(20))
    gate = ForestGate(random_state=0).fit(X, soft)
    other = ForestGate(random_state=0).fit(X_more, more, sample_weight=weight)
    np.testing.assert_allclose(other.predict_proba(X), gate.predict_proba(X), atol=1e-6)


# Trees in flat arrays -----------------------------------------------------------------------


def test_flat_trees_predict_what_those_of_scikit_learn_do():
    rng = np.random.default_rng(0)
    X = rng.integers(-9, 10, size=(500, 3)) / 10  # many rows are at a threshold, or next to one
    y = np.column_stack([np.sin(3 * X[:, 0]), X[:, 1] * X[:, 2]]) + rng.normal(size=(500, 2))
    new = rng.integers(-90, 91, size=(20_000, 3)) / 100
    forest = RandomForestRegressor(20, min_samples_leaf=3, random_state=0).fit(X, y)
    flat = Trees.of_forest(forest)
    np.testing.assert_allclose(flat.predict(new), forest.predict(new), atol=1e-6)  # single ones
    np.testing.assert_array_equal(flat.predict(new[:1]), flat.predict(new)[:1])
    assert len(pickle.dumps(flat)) < 0.3 * len(pickle.dumps(forest))
    size = np.abs(y[:, 0]) + 0.1
    boosting = [
        HistGradientBoostingRegressor(loss="gamma", max_iter=20, max_leaf_nodes=leaves)
        for leaves in (3, 31)
    ]
    logs = [np.log(each.fit(X, size).predict(new)) for each in boosting]
    flat = Trees.of_boosting(boosting).predict(new)[:, 0]
    np.testing.assert_allclose(flat, np.mean(logs, axis=0), rtol=1e-10)


def test_flat_trees_of_more_nodes_than_small_integers_hold():
    X = np.random.default_rng(0).normal(size=(500, 1))
    forest = RandomForestRegressor(110, random_state=0).fit(X, X[:, 0])
    flat = Trees.of_forest(forest)
    assert (flat.children.dtype, flat.column.dtype) == (np.int32, np.int8)
    np.testing.assert_allclose(flat.predict(X)[:, 0], forest.predict(X), atol=1e-6)
    few = forest.set_params(n_estimators=9).fit(X, X[:, 0])
    assert Trees.of_forest(few).children.dtype == np.int16


def test_flat_trees_may_be_single_leaves():
    X = np.arange(20.0)[:, None]
    forest = RandomForestRegressor(3, min_samples_leaf=15, random_state=0).fit(X, X[:, 0])
    flat = Trees.of_forest(forest)
    assert len(flat.column) == 0
    np.testing.assert_allclose(flat.predict(X)[:, 0], forest.predict(X), rtol=1e-6)
    forest = RandomForestRegressor(3, min_samples_leaf=9, random_state=0).fit(X, X[:, 0])
    np.testing.assert_allclose(Trees.of_forest(forest).predict(X)[:, 0], forest.predict(X))
