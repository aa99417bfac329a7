"""Classifiers that all know all rows: training="stack"."""

import pickle
from functools import cache

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsClassifier
from skmoe._experts.classifier_stack import negative_log_likelihood
from skmoe._stacking.gate import fit_gate, gate_objective
from skmoe.gates import SoftmaxGate


def unlike(**settings):
    experts = [
        ("line", LogisticRegression()),
        ("bayes", GaussianNB()),
        ("tree", DecisionTreeClassifier(min_samples_leaf=10, random_state=0)),
    ]
    return MixtureOfExpertsClassifier(experts, training="stack", random_state=0, **settings)


def three_classes(n, seed=0):
    """Probabilities are those of a logistic regression on products of the columns."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 2))
    scores = np.column_stack([2 * X[:, 0], X[:, 0] * X[:, 1], X[:, 1] ** 2 - 1])
    return X, (softmax(scores, axis=1).cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1)


def probabilities(n=60, n_experts=2, n_classes=3, seed=0):
    """Class probabilities that know something of y, y and weights."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    scores = rng.normal(size=(n, n_experts, n_classes)) + 1.5 * np.eye(n_classes)[y][:, None]
    return softmax(scores, axis=2), y, rng.uniform(0.5, 2, size=n)


# What is maximised ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_the_stack_agrees_with_finite_differences(seed):
    rows = probabilities(seed=seed)

    def at(theta):
        return negative_log_likelihood(theta[:2], theta[2:].reshape(2, 3, 3), *rows)

    def gradient(theta):
        return np.append(*at(theta)[1:])

    theta = np.random.default_rng(seed).normal(size=20)
    # Forward differences of 1.5e-8 on a sum of 60 rows err by about 1e-6 for each parameter.
    assert check_grad(lambda theta: at(theta)[0], gradient, theta) < 1e-4


@pytest.mark.parametrize("penalty", [None, 3.0])
def test_gradient_of_the_gate_agrees_with_finite_differences(penalty):
    rng = np.random.default_rng(0)
    Z, log_density, weight = (
        rng.normal(size=(50, 2)),
        rng.normal(size=(50, 3)),
        rng.uniform(size=50),
    )

    def at(theta):
        weights = theta[3:].reshape(2, 3) * (penalty is not None)
        return gate_objective(theta[:3], weights, Z, log_density, weight, penalty)

    theta = rng.normal(size=9)
    assert check_grad(lambda t: at(t)[0], lambda t: np.append(*at(t)[1:3]), theta) < 1e-4


def test_proportions_are_those_of_em():
    rng = np.random.default_rng(0)
    log_density, weight = rng.normal(size=(80, 3)), rng.uniform(0.5, 2, size=80)
    (intercepts, weights), _, converged = fit_gate(np.zeros((80, 1)), log_density, weight, None)
    proportions = np.full(3, 1 / 3)
    for _ in range(3000):
        resp = proportions * np.exp(log_density)
        mass = weight @ (resp / resp.sum(axis=1, keepdims=True)) + 0.1  # rows of the prior
        proportions = mass / mass.sum()
    assert converged
    assert (weights == 0).all()
    # L-BFGS stops at a gradient of 1e-6.
    np.testing.assert_allclose(softmax(intercepts), proportions, atol=1e-4)


# What it learns ------------------------------------------------------------------------------


def test_predicts_the_average_of_experts_and_stack_by_the_gate():
    X, _ = three_classes(50, seed=1)
    moe = fitted_once()
    assert list(moe.named_experts_) == ["line", "bayes", "tree", "stack"]
    proba = np.stack([expert.predict_proba(X) for expert in moe.experts_], axis=1)
    stack = moe.named_experts_["stack"]
    scores = np.einsum("nkc,k->nc", np.log(proba[:, :3] + 1e-3), stack.weights_)
    scores += np.einsum("nkd,kdc->nc", proba[:, :3], stack.coef_)
    np.testing.assert_allclose(softmax(scores, axis=1), proba[:, 3])
    likelihood = moe.likelihood_
    share = likelihood.epsilon_[0]
    np.testing.assert_array_equal(likelihood.epsilon_, share)  # one of all components
    smooth = (1 - share) * proba + share * likelihood.class_share_
    np.testing.assert_allclose(likelihood.calibrate(proba), smooth)
    expected = np.einsum("nk,nkc->nc", moe.gate_proba(X), smooth)
    np.testing.assert_allclose(moe.predict_proba(X), expected)
    np.testing.assert_array_equal(moe.predict(X), expected.argmax(axis=1))
    np.testing.assert_array_equal(moe.predict_experts(X), proba.argmax(axis=2))


def test_out_of_fold_score_is_no_better_than_chance_where_labels_are_noise():
    chance = 2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)
    scores = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(60, 3)), rng.permutation(np.repeat([0, 1, 1], 20))
        scores.append(unlike().fit(X, y).oof_score_)
    assert chance - 0.1 < np.mean(scores) < chance


def test_better_than_stacking_of_probabilities():
    X, y = load_digits(return_X_y=True)
    train, test = np.arange(300), np.arange(300, 1797)
    experts = [
        ("bayes", GaussianNB(var_smoothing=1e-3)),
        ("tree", DecisionTreeClassifier(random_state=0)),
        ("neighbours", KNeighborsClassifier(5)),
    ]
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X[train], y[train]))
    stack = StackingClassifier(experts, cv=folds).fit(X[train], y[train])
    moe = MixtureOfExpertsClassifier(experts, training="stack", cv=folds).fit(X[train], y[train])
    losses = [log_loss(y[test], model.predict_proba(X[test])) for model in (moe, stack)]
    assert losses[0] < 0.97 * losses[1]
    assert moe.score(X[test], y[test]) > stack.score(X[test], y[test]) - 0.01


def test_gate_knows_which_expert_is_better_where():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(400, 2))
    y = np.where((X[:, 1] > 0) == (X[:, 0] < 0), "in", "out")
    known = LogisticRegression(C=100).fit(X, np.where(X[:, 1] > 0, "in", "out"))
    reverse = LogisticRegression(C=100).fit(X, np.where(X[:, 1] > 0, "out", "in"))
    frozen = [("left", FrozenEstimator(known)), ("right", FrozenEstimator(reverse))]
    moe = MixtureOfExpertsClassifier(frozen, training="stack", random_state=0).fit(X, y)
    assert moe.n_expert_fits_ == 0
    assert isinstance(moe.gate_, SoftmaxGate)
    proba = moe.gate_proba([[-1.5, 1.0], [1.5, 1.0]])
    assert proba[0, 0] > 0.9
    assert proba[1, 1] > 0.9
    assert moe.score(X, y) > 0.95
    assert moe.responsibilities([[-1.5, 1.0]], ["in"])[0, 0] > 0.95


def test_out_of_fold_density_is_that_of_new_rows():
    X, y = three_classes(600)
    moe = unlike().fit(X, y)
    error = moe.oof_log_density_.std() / np.sqrt(600)
    X_new, y_new = three_classes(3000, seed=1)
    # Experts in folds see four fifths of the rows, so that new rows may be a little likelier.
    assert abs(moe.oof_score_ - moe.log_density(X_new, y_new).mean()) < 3 * error + 0.02
    assert moe.oof_score_ == pytest.approx(moe.oof_log_density_.mean())


# Weights, classes, folds ---------------------------------------------------------------------


def test_weights_are_repeated_rows():
    X, y = three_classes(120)
    weight = np.random.default_rng(0).integers(1, 3, size=120)
    rows = np.repeat(np.arange(120), weight)
    numbers = np.arange(120) % 3
    folds, repeated = (
        [(np.flatnonzero(each != k), np.flatnonzero(each == k)) for k in range(3)]
        for each in (numbers, numbers[rows])
    )
    moe = unlike(cv=folds).set_params(tree="drop").fit(X, y, sample_weight=weight)
    other = unlike(cv=repeated).set_params(tree="drop").fit(X[rows], y[rows])
    # Logistic regressions stop at a gradient of 1e-4.
    np.testing.assert_allclose(other.predict_proba(X), moe.predict_proba(X), atol=2e-3)
    assert other.oof_score_ == pytest.approx(moe.oof_score_, abs=1e-3)


def test_rows_of_weight_zero_change_nothing():
    X, y = three_classes(120)
    X_more, y_more = np.vstack([X, 9 + X[:30]]), np.append(y, 2 - y[:30])
    weight = np.append(np.ones(120), np.zeros(30))
    numbers = np.arange(150) % 3
    more = [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in range(3)]
    folds = [(train[train < 120], test[test < 120]) for train, test in more]
    moe = unlike(cv=folds).fit(X, y)
    other = unlike(cv=more).fit(X_more, y_more, sample_weight=weight)
    np.testing.assert_allclose(other.predict_proba(X), moe.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(other.oof_log_density_[:120], moe.oof_log_density_, atol=1e-5)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 1.0, 2: 0.5}])
def test_weights_of_classes_are_weights_of_rows(class_weight):
    X, y = three_classes(150)
    weights = class_weight
    if class_weight == "balanced":
        weights = dict(enumerate(150 / (3 * np.bincount(y))))
    moe = unlike(class_weight=class_weight).fit(X, y)
    other = unlike().fit(X, y, sample_weight=[weights[label] for label in y])
    np.testing.assert_allclose(other.predict_proba(X), moe.predict_proba(X))


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_class_that_some_folds_lack():
    X, y = three_classes(60)
    y = np.where(np.arange(60) < 2, "rare", np.where(y > 0, "a", "b"))
    moe = unlike(cv=3).fit(X, y)
    proba = moe.predict_proba(X)
    assert np.isfinite(moe.oof_score_)
    assert (proba > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_an_expert_that_knows_fewer_classes():
    X, y = three_classes(200)
    binary = FrozenEstimator(LogisticRegression().fit(X[y < 2], y[y < 2]))
    experts = [("some", binary), ("all", LogisticRegression())]
    moe = MixtureOfExpertsClassifier(experts, training="stack", random_state=0).fit(X, y)
    assert moe.score(X, y) > binary.score(X, y)
    assert (moe.predict_proba(X) > 0).all()


@pytest.mark.parametrize("n", [4, 10])
def test_few_rows_will_do(n):
    X = np.random.default_rng(0).normal(size=(n, 2))
    moe = unlike().fit(X, np.arange(n) % 2)
    assert np.isfinite(moe.predict_proba(X)).all()


# As any mixture ------------------------------------------------------------------------------


@cache
def fitted_once():
    return unlike().fit(*three_classes(200))


def test_what_is_fitted_keeps_its_meaning():
    X, y = three_classes(200)
    moe = fitted_once()
    proba, resp = moe.gate_proba(X), moe.responsibilities(X, y)
    np.testing.assert_allclose(proba.mean(axis=0), moe.expert_load_)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    assert moe.oof_responsibilities_.shape == resp.shape
    assert moe.n_expert_fits_ == 18
    for report in (moe.expert_report(), moe.expert_report(X, y)):
        assert report.columns["expert"] == ["line", "bayes", "tree", "stack"]
    with pytest.raises(ValueError, match="Information criteria need"):
        moe.bic(X, y)
    for other in (pickle.loads(pickle.dumps(moe)), clone(moe).fit(X, y)):
        np.testing.assert_array_equal(other.predict_proba(X), moe.predict_proba(X))


def test_regimes_of_a_list_are_found():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(2600, 3))
    slope = np.where(X[:, 0] > 0, 8.0, -8.0)
    y = (rng.uniform(size=len(X)) < expit(slope * X[:, 1])).astype(int)
    experts = [("line", LogisticRegression()), ("tree", DecisionTreeClassifier(max_depth=2))]
    moe = MixtureOfExpertsClassifier(experts, random_state=0).fit(X[:600], y[:600])
    assert moe.specialisation_.kept
    stack = clone(moe).set_params(training="stack").fit(X[:600], y[:600])
    gain = moe.log_density(X[600:], y[600:]) - stack.log_density(X[600:], y[600:])
    assert gain.mean() > 0.3
