"""Gates against independent formulas and scikit-learn."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, special
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ClassifierGate, ConstantGate, SoftmaxGate
from skmoe.metrics import log_score


def soft_labels(seed=0, n=300, d=3, n_experts=3):
    """Columns of unlike scale, soft labels of mass one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** np.linspace(-2, 2, d) + 3.0
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    logits = Z @ rng.normal(size=(d, n_experts)) + rng.normal(size=(n, n_experts))
    return X, special.softmax(2 * logits, axis=1)


def standardise(X, weight):
    mean = np.average(X, axis=0, weights=weight)
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    return (X - mean) / std, mean, std


def objective_and_gradient(gate, X, targets, weight, alpha):
    """Of the penalised likelihood in standardised units, by definition."""
    Z, mean, std = standardise(X, weight)
    W = gate.coef_ * std
    log_proba = special.log_softmax(Z @ W.T + gate.intercept_ + gate.coef_ @ mean, axis=1)
    residual = weight[:, None] * (targets - targets.sum(axis=1, keepdims=True) * np.exp(log_proba))
    value = (weight[:, None] * targets * log_proba).sum() - alpha / 2 * (W**2).sum()
    return value, np.column_stack([residual.T @ Z - alpha * W, residual.sum(axis=0)])


# Softmax ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mass", ["one", "any"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_gradient_vanishes_at_the_solution(alpha, weighted, mass):
    X, targets = soft_labels()
    rng = np.random.default_rng(1)
    if mass == "any":
        targets = targets * rng.uniform(0, 3, size=(len(X), 1))
    weight = rng.uniform(0, 2, size=len(X)) if weighted else np.ones(len(X))
    gate = SoftmaxGate(alpha, tol=1e-18).fit(X, targets, weight)
    _, gradient = objective_and_gradient(gate, X, targets, weight, alpha)
    # Sums of 300 terms of order one; Newton's last step squares an error of 1e-6 or less.
    assert_allclose(gradient, 0, atol=1e-7)
    assert_allclose(gate.coef_.sum(axis=0), 0, atol=1e-10)
    assert_allclose(gate.intercept_.sum(), 0, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.01, 0.1, 3.0])
def test_class_labels_give_the_fit_of_logistic_regression(alpha):
    X, targets = soft_labels()
    labels = np.array(["b", "a", "c"])[targets.argmax(axis=1)]
    gate = SoftmaxGate(alpha, tol=1e-14).fit(X, labels)
    Z, _, _ = standardise(X, np.ones(len(X)))
    reference = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000).fit(Z, labels)
    # L-BFGS stops at a gradient of about 1e-10 n.
    assert_allclose(gate.predict_proba(X), reference.predict_proba(Z), atol=1e-5)
    assert_array_equal(gate.predict(X), reference.predict(Z))
    assert_array_equal(gate.classes_, reference.classes_)


def test_soft_labels_give_the_fit_of_logistic_regression_on_weighted_copies():
    X, targets = soft_labels()
    targets = targets * np.random.default_rng(1).uniform(0.5, 2, size=(len(X), 1))
    weight = np.random.default_rng(2).uniform(0, 2, size=len(X))
    gate = SoftmaxGate(tol=1e-14).fit(X, targets, weight)
    Z, _, _ = standardise(X, weight)
    copies, labels = np.repeat(Z, 3, axis=0), np.tile(np.arange(3), len(Z))
    shares = (targets * weight[:, None]).ravel()
    reference = LogisticRegression(C=10.0, tol=1e-10, max_iter=10_000)
    reference.fit(copies, labels, sample_weight=shares)
    assert_allclose(gate.predict_proba(X), reference.predict_proba(Z), atol=1e-5)  # as above


def one_step_at_a_time(gate, X, targets, weight, n_steps):
    gate.set_params(warm_start=True, max_iter=1)
    alpha = gate.alpha
    return [
        objective_and_gradient(gate.fit(X, targets, weight), X, targets, weight, alpha)[0]
        for _ in range(n_steps)
    ]


@pytest.mark.parametrize("kind", ["soft", "separable", "many columns"])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_objective_never_falls(alpha, kind):
    X, targets = soft_labels(d=200 if kind == "many columns" else 3)
    if kind == "separable":
        targets = np.eye(3)[np.digitize(X[:, 0], np.quantile(X[:, 0], [0.3, 0.6]))]
    values = one_step_at_a_time(SoftmaxGate(alpha), X, targets, np.ones(len(X)), 15)
    # The start is the constant gate; sums of 300 terms round to 1e-12.
    assert values[0] > -300 * np.log(3)
    assert np.diff(values).min() > -1e-10


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("gap", [1e-9, 1.0, 1e9])
def test_separable_labels_leave_the_gate_finite(gap, alpha):
    x = np.r_[np.linspace(-2, -1, 50), np.linspace(1, 2, 50)] * gap
    labels = np.repeat([0, 1], 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        gate = SoftmaxGate(alpha, max_iter=50).fit(x[:, None], labels)
    assert np.isfinite(gate.coef_).all()
    assert np.isfinite(gate.predict_log_proba(x[:, None])).all()
    assert_array_equal(gate.predict(x[:, None]), labels)


def test_weights_are_repeats():
    X, targets = soft_labels()
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    gate = SoftmaxGate(tol=1e-14).fit(X, targets, weight)
    repeated = SoftmaxGate(tol=1e-14).fit(np.repeat(X, weight, axis=0), targets.repeat(weight, 0))
    # Converged Newton: the square of an error of 1e-7.
    assert_allclose(gate.coef_, repeated.coef_, rtol=1e-9, atol=1e-9)
    assert_allclose(gate.intercept_, repeated.intercept_, rtol=1e-9, atol=1e-9)


def test_units_of_the_columns_do_not_matter():
    X, targets = soft_labels()
    other = X * [1e6, -1e-6, 2.0] + [1e3, 0.0, -50.0]
    # The shift by 1e3 of a column of scale 1e4 costs no more than a digit.
    assert_allclose(
        SoftmaxGate(tol=1e-14).fit(X, targets).predict_proba(X),
        SoftmaxGate(tol=1e-14).fit(other, targets).predict_proba(other),
        atol=1e-10,
    )


def test_many_parameters_are_fitted_to_the_optimum_of_newton(monkeypatch):
    X, targets = soft_labels(n=400, d=170)  # 3 x 171 > 500 parameters
    lbfgs = SoftmaxGate(1.0, max_iter=1000, tol=1e-12).fit(X, targets)
    monkeypatch.setattr("skmoe._numerics.multinomial.NEWTON_LIMIT", 10_000)
    newton = SoftmaxGate(1.0, max_iter=1000, tol=1e-12).fit(X, targets)
    # L-BFGS stops where the mean objective changes by 1e-13, or a gradient of 1e-12.
    ones = np.ones(len(X))
    value = objective_and_gradient(lbfgs, X, targets, ones, 1.0)[0]
    assert_allclose(value, objective_and_gradient(newton, X, targets, ones, 1.0)[0], rtol=1e-8)
    assert_allclose(lbfgs.predict_proba(X), newton.predict_proba(X), atol=1e-4)


def test_rows_without_mass_do_not_matter():
    X, targets = soft_labels()
    far = np.vstack([X, 1e6 * np.ones((5, 3))])
    weight = np.r_[np.ones(len(X)), np.zeros(5)]
    for max_iter in (1, 100):
        gate = SoftmaxGate(max_iter=max_iter, warm_start=True)
        expected = gate.fit(X, targets).predict_proba(X)
        gate = SoftmaxGate(max_iter=max_iter, warm_start=True)
        gate.fit(far, np.vstack([targets, targets[:5]]), weight)
        assert_allclose(gate.predict_proba(X), expected, atol=1e-10)  # rounding of the mean


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate(), ClassifierGate(
    DecisionTreeClassifier(max_depth=3, random_state=0))])  # fmt: skip
def test_reordered_experts_keep_their_probabilities(gate):
    X, targets = soft_labels()
    before = gate.fit(X, targets).predict_proba(X)
    order = np.array([2, 0, 1])
    gate.reorder(order)
    assert_allclose(gate.predict_proba(X), before[:, order], rtol=1e-12)
    assert_allclose(gate.fit(X, targets).predict_proba(X), before, rtol=1e-12)


def test_stopping_before_tol_is_met_warns_unless_the_caller_goes_on():
    X, targets = soft_labels()
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        SoftmaxGate(max_iter=1).fit(X, targets)
    SoftmaxGate(max_iter=1, warm_start=True).fit(X, targets)  # a warning would be an error


# Constant ---------------------------------------------------------------------------------------


def test_constant_gate_gives_the_weighted_shares():
    X, targets = soft_labels()
    weight = np.random.default_rng(0).uniform(size=len(X))
    gate = ConstantGate().fit(X, targets, weight)
    expected = np.average(targets, axis=0, weights=weight)
    assert_allclose(gate.predict_proba(X[:7]), np.tile(expected, (7, 1)), rtol=1e-12)  # rounding
    assert gate.n_parameters_ == 2


def test_constant_gate_gives_an_expert_without_rows_no_probability():
    gate = ConstantGate().fit(np.zeros((3, 1)), [[1, 0], [1, 0], [1, 0]])
    assert_array_equal(gate.predict_log_proba([[0.0]]), [[0.0, -np.inf]])


# Classifiers ------------------------------------------------------------------------------------


def test_classifier_is_fitted_on_weighted_copies():
    X, targets = soft_labels()
    targets = np.round(targets * 2**10) / 2**10  # on the grid that shares are rounded to
    weight = np.random.default_rng(0).uniform(size=len(X))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    gate = ClassifierGate(tree).fit(X, targets, weight)
    copies, labels = np.repeat(X, 3, axis=0), np.tile(np.arange(3), len(X))
    shares = (targets * weight[:, None]).ravel()
    used = targets.ravel() > 1e-3
    tree.fit(copies[used], labels[used], sample_weight=shares[used])
    expected = (tree.predict_proba(X) + 1e-4) / (1 + 3e-4)
    assert_allclose(gate.predict_proba(X), expected, rtol=1e-12)  # rounding


def test_expert_that_the_classifier_never_saw_keeps_the_smoothing():
    X, targets = soft_labels(n_experts=2)
    targets = np.column_stack([targets[:, 0], np.zeros(len(X)), targets[:, 1]])
    gate = ClassifierGate(DecisionTreeClassifier(max_depth=2), smoothing=1e-3).fit(X, targets)
    proba = gate.predict_proba(X)
    assert_allclose(proba[:, 1], 1e-3 / (1 + 3e-3), rtol=1e-12)  # rounding
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("classifier", [LogisticRegression(), KNeighborsClassifier()])
def test_one_expert_with_all_the_rows_gets_all_but_the_smoothing(classifier):
    X, _ = soft_labels()
    targets = np.zeros((len(X), 3))
    targets[:, 1] = 1
    gate = ClassifierGate(classifier, smoothing=1e-3, random_state=0).fit(X, targets)
    expected = np.array([1e-3, 1 + 1e-3, 1e-3]) / (1 + 3e-3)
    assert_allclose(gate.predict_proba(X), np.tile(expected, (len(X), 1)), rtol=1e-12)  # rounding


def test_experts_drawn_for_a_classifier_without_weights_follow_their_shares():
    share = np.array([0.6, 0.1, 0.3])
    n = 4000
    X = np.random.default_rng(0).normal(size=(n, 1))
    knn = KNeighborsClassifier(n_neighbors=n)  # its probabilities are the shares drawn
    gate = ClassifierGate(knn, smoothing=0.0, random_state=0).fit(X, 2.5 * np.tile(share, (n, 1)))
    # Four standard errors of a share of 4000 draws.
    assert_allclose(gate.predict_proba(X[:1])[0], share, atol=4 * np.sqrt(0.25 / n))


# Elastic net and sparse columns --------------------------------------------------------------


def wide_table(n_samples, seed, n_columns=300):
    """Three columns of many decide between two experts; soft labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_columns))
    first = special.expit(X[:, :3] @ np.array([2.0, -2.0, 1.5]))
    return X, np.column_stack([first, 1 - first])


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_elastic_net_solution_meets_the_conditions_of_optimality(l1_ratio):
    X, soft = wide_table(120, seed=0)
    gate = SoftmaxGate(alpha=3.0, l1_ratio=l1_ratio, tol=1e-12, max_iter=500).fit(X, soft)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    W = gate.coef_.T * X.std(axis=0)[:, None]
    slope = Z.T @ (soft - gate.predict_proba(X)) - 3.0 * (1 - l1_ratio) * W
    active = W != 0
    assert 3 <= active.any(axis=1).sum() < 60
    # Coordinate descent leaves each slope within about 1e-4 of its size.
    assert_allclose(slope[active], 3.0 * l1_ratio * np.sign(W[active]), atol=0.02)
    assert np.abs(slope[~active]).max() <= 3.0 * l1_ratio + 0.02


def test_elastic_net_objective_never_falls():
    X, soft = wide_table(120, seed=1)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    gate = SoftmaxGate(alpha=2.0, l1_ratio=0.9, warm_start=True, max_iter=1)
    values = []
    for _ in range(12):
        gate.fit(X, soft)
        W = gate.coef_.T * X.std(axis=0)[:, None]
        penalty = 2.0 * (0.9 * np.abs(W).sum() + 0.05 * (W**2).sum())
        values.append((soft * gate.predict_log_proba(X)).sum() - penalty)
        assert_allclose(gate.log_prior(), -penalty)
    assert Z.shape == X.shape
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0] + 1.0


def steered_by_five(X, rng):
    """Two lines, told apart by a logistic regression on the first five columns."""
    first = 2 * X[:, :5].sum(axis=1) + 0.5 * rng.logistic(size=len(X)) > 0
    return np.where(first, 3 + 2 * X[:, 0], -X[:, 1]) + 0.3 * rng.normal(size=len(X))


def test_l1_gate_over_two_thousand_columns_comes_near_the_gate_that_is_told_which_matter():
    """Held-out log-score on 200 training rows at one stated alpha."""
    five = make_column_transformer(("passthrough", [0, 1, 2, 3, 4]))
    two = make_column_transformer(("passthrough", [0, 1]))
    rng = np.random.default_rng(0)
    X, X_test = rng.normal(size=(200, 2000)), rng.normal(size=(2000, 2000))
    y, y_test = steered_by_five(X, rng), steered_by_five(X_test, rng)
    gates = {
        "told": make_pipeline(five, SoftmaxGate()),
        "l1": SoftmaxGate(alpha=5.0, l1_ratio=1.0),
        "l2": SoftmaxGate(alpha=100.0),
    }
    scores = {
        name: log_score(
            MixtureOfExpertsRegressor(
                make_pipeline(two, LinearRegression()), 2, gate=gate, n_init=3, random_state=0
            ).fit(X, y),
            X_test,
            y_test,
        )
        for name, gate in gates.items()
    }
    assert scores["l1"] > scores["told"] - 0.15
    assert scores["l2"] < scores["told"] - 0.4


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_sparse_columns_give_the_gate_of_dense_ones(l1_ratio):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6)) * (rng.random((200, 6)) < 0.3)
    soft = rng.dirichlet(np.ones(3), size=200)
    settings = {"alpha": 2.0, "l1_ratio": l1_ratio, "tol": 1e-12, "max_iter": 500}
    dense = SoftmaxGate(**settings).fit(X, soft)
    thin = SoftmaxGate(**settings).fit(sparse.csr_array(X), soft)
    # Centring moves only the intercepts, which are free.
    assert_allclose(thin.predict_proba(sparse.csr_array(X)), dense.predict_proba(X), atol=1e-4)
