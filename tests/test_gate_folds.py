"""What a gate has memorised of the rows that it weighs counts nowhere."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsRegressor
from skmoe._em.cross_fitted_gate import CrossFittedGate
from skmoe.gates import ClassifierGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.metrics import log_score

GATES = {
    "softmax": SoftmaxGate(),
    "gaussian": GaussianGate(),
    "levels": TreeGate(),
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(10, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
}


def one_regime(n_samples, seed):
    """A step and a line in two of 20 columns, and noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 20))
    return X, X[:, 0] + (X[:, 1] > 0) + rng.normal(size=n_samples)


def two_regimes(n_samples, seed):
    """Steps on one side of a border, a slope and ten times the noise on the other."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 2))
    first = X[:, 0] > 0
    y = np.where(first, 3 + np.sign(X[:, 1]), 2 * X[:, 1])
    return X, y + np.where(first, 0.1, 1.0) * rng.normal(size=n_samples)


SLOW = {"gaussian", "forest", "boosting"}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in GATES]
)
def test_out_of_fold_score_is_that_of_new_rows_whatever_the_gate(name):
    X, y = one_regime(300, 0)
    X_test, y_test = one_regime(2000, 1)
    expert = KNeighborsRegressor(20)
    moe = MixtureOfExpertsRegressor(
        expert, 3, gate=GATES[name], training="em", max_iter=3, random_state=0
    )
    moe.fit(X, y)
    # Standard errors: 0.04 of the mean over 300 rows, 0.02 over 2000; in-sample gates are 0.2 to
    # 2 too sure.
    assert abs(moe.oof_score_ - log_score(moe, X_test, y_test)) < 0.13
    low, high = moe.predict_interval(X_test, 0.9).T
    assert 0.86 < np.mean((low <= y_test) & (y_test <= high)) < 0.96  # as one expert's, 0.92


@pytest.mark.parametrize("cv", ["auto", "prefit"])
def test_gates_that_can_memorise_rows_are_trained_without_a_fold_beside_any_experts(cv):
    (X, y), (X_test, y_test), (X_old, y_old) = map(one_regime, (300, 2000, 300), (0, 1, 2))
    X, X_test, X_old = X[:, :3], X_test[:, :3], X_old[:, :3]
    experts = LinearRegression()
    if cv == "prefit":
        experts = [
            (f"of_half{k}", FrozenEstimator(LinearRegression().fit(X_old[k::2], y_old[k::2])))
            for k in (0, 1)
        ]
    moe = MixtureOfExpertsRegressor(
        experts, 2 if cv == "auto" else "auto", gate=GATES["tree"], cv=cv, random_state=0
    ).fit(X, y)
    low, high = moe.predict_interval(X_test, 0.9).T
    # About 0.6 where the tree is trusted on rows that it knows by heart.
    assert 0.85 < np.mean((low <= y_test) & (y_test <= high)) < 0.95


def halves(n_samples):
    first, last = np.array_split(np.arange(n_samples), 2)
    return [(last, first), (first, last)]


@pytest.mark.parametrize("name", GATES)
def test_labels_of_a_fold_do_not_move_its_own_probabilities(name):
    X, _ = two_regimes(200, 0)
    labels = np.random.default_rng(0).dirichlet(np.ones(3), size=200)
    other = labels.copy()
    other[:100] = labels[:100, ::-1]
    template = GATES[name] if hasattr(GATES[name], "is_costly") else ClassifierGate(GATES[name])
    gate = CrossFittedGate(template, halves(200))
    gate.fit(X, labels, np.ones(200))
    before = gate.log_proba_of_checked(X)
    gate.begin()
    gate.fit(X, other, np.ones(200))
    after = gate.log_proba_of_checked(X)
    assert_array_equal(after[:100], before[:100])
    assert (after[100:] != before[100:]).any()
    assert not hasattr(template, "classes_")  # copies learn, it does not


def test_steps_from_sums_are_those_of_the_gate_on_the_other_rows():
    rng = np.random.default_rng(0)
    X, weight = 10 + rng.normal(size=(300, 4)), rng.integers(0, 3, size=300).astype(float)
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    template = SoftmaxGate(max_iter=1, warm_start=True)
    from_sums = CrossFittedGate(template, folds, sum_to_one=True)
    by_fit = CrossFittedGate(template, folds)
    for labels in rng.dirichlet(np.full(3, 0.3), size=(4, 300)):
        from_sums.fit(X, labels, weight)
        by_fit.fit(X, labels, weight)
        for one, other in zip(from_sums.models, by_fit.models, strict=True):
            assert_allclose(one.coef_, other.coef_, rtol=1e-7)  # of the columns' large mean
            assert_allclose(one.intercept_, other.intercept_, rtol=1e-7)
            assert_allclose(one.log_prior(), other.log_prior(), rtol=1e-7)
