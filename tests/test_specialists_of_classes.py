"""Clones of a classifier that specialise beside a generalist: training="specialists"."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsClassifier
from skmoe.gates import ConstantGate, ForestGate

TREE = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)


def clones(expert=TREE, n_experts=2, **settings):
    settings = {"n_init": 2, "random_state": 0, **settings}
    return MixtureOfExpertsClassifier(expert, n_experts, **settings)


def rows(n, seed, regimes):
    """Labels by the third column, the other way round on the fields of one colour of a board."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 4))
    turned = regimes & (X[:, 0] * X[:, 1] < 0)
    log_odds = 3 * np.where(turned, -X[:, 2], X[:, 2])
    return X, np.where(rng.uniform(size=n) < 1 / (1 + np.exp(-log_odds)), "yes", "no")


@cache
def fitted():
    return clones().fit(*rows(500, seed=0, regimes=True))


def loss(moe, X, y):
    return log_loss(y, moe.predict_proba(X), labels=moe.classes_)


def test_specialists_are_kept_where_there_are_regimes():
    moe, new = fitted(), rows(1000, seed=1, regimes=True)
    alone = clones(n_experts=1).fit(*rows(500, seed=0, regimes=True))
    assert list(moe.named_experts_) == ["generalist", "expert0", "expert1"]
    assert isinstance(moe.gate_, ForestGate)
    assert moe.specialisation_.kept
    assert loss(moe, *new) < 0.85 * loss(alone, *new)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n", [35, 120])
def test_default_experts_specialise_or_are_left_out(n, n_classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 3)), rng.integers(n_classes, size=n)
    moe = clones(None, training="specialists", n_init=1).fit(X, y)
    assert len(moe.experts_) == (3 if moe.specialisation_.kept else 1)
    np.testing.assert_allclose(moe.predict_proba(X).sum(axis=1), 1.0)


@pytest.mark.parametrize("seed", range(2))
def test_noise_is_predicted_as_by_one(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(900, 3)), rng.integers(2, size=900)
    moe = clones(RandomForestClassifier(30, random_state=0)).fit(X[:300], y[:300])
    assert loss(moe, X[300:], y[300:]) < np.log(2) + 0.03
    assert moe.specialisation_.gain < 0.05


def test_without_specialists_one_classifier_is_left(monkeypatch):
    X, y = rows(200, seed=0, regimes=False)
    monkeypatch.setattr("skmoe._stacking.specialisation.STANDARD_ERRORS", np.inf)
    moe = clones().fit(X, y)
    assert list(moe.named_experts_) == ["generalist"]
    assert isinstance(moe.gate_, ConstantGate)
    np.testing.assert_array_equal(
        moe.experts_[0].predict_proba(X), clone(TREE).fit(X, y).predict_proba(X)
    )
    assert "left out" in str(moe.expert_report())


def test_what_is_fitted_keeps_its_meaning():
    moe, (X, y) = fitted(), rows(500, seed=0, regimes=True)
    gate, proba = moe.gate_proba(X), moe._model.expert_proba(X)
    np.testing.assert_allclose(gate.sum(axis=1), 1)
    np.testing.assert_allclose(
        moe.predict_proba(X), np.einsum("nk,nkc->nc", gate, proba), atol=1e-12
    )
    np.testing.assert_allclose(moe.expert_load_, gate.mean(axis=0))
    assert moe.oof_score_ == pytest.approx(moe.specialisation_.score_with)
    assert moe.n_expert_fits_ == 6 + 11 * 2
    again = clone(moe).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), moe.predict_proba(X))


def test_rows_of_weight_zero_change_nothing():
    X, y = rows(150, seed=0, regimes=True)
    folds = [(np.arange(150) % 3 != k, np.arange(150) % 3 == k) for k in range(3)]
    folds = [(np.flatnonzero(train), np.flatnonzero(test)) for train, test in folds]
    weight = (np.arange(150) % 5 > 0).astype(float)
    moe = clones(cv=folds).fit(X, y, sample_weight=weight)
    flipped = np.where(weight > 0, y, np.where(y == "yes", "no", "yes"))
    other = clones(cv=folds).fit(X, flipped, sample_weight=weight)
    np.testing.assert_allclose(moe.predict_proba(X), other.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_few_rows_of_several_classes_will_do(n_classes):
    X = np.random.default_rng(0).normal(size=(12, 2))
    moe = clones().fit(X, np.arange(12) % n_classes)
    assert moe.predict_proba(X).shape == (12, n_classes)
    np.testing.assert_allclose(moe.predict_proba(X).sum(axis=1), 1)
