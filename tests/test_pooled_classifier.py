"""Partial pooling for classes: bounds against integrals, regimes or none, and how it is used."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.linear_model import LogisticRegression

from skmoe import MixtureOfExpertsClassifier
from skmoe._data import Rows, TrainingData
from skmoe._em.starts import STARTS, soften
from skmoe._experts.pooled_logistic import (
    PooledLogisticExperts,
    expected_of_many,
    expected_of_two,
)  # fmt: skip
from skmoe._pooling.problem import PooledGate, PooledProblem
from skmoe.gates import ConstantGate
from skmoe.likelihoods._pooled import PooledCategorical

N_TEST = 4000


def pooled(**params):
    return MixtureOfExpertsClassifier(
        **({"n_experts": 2, "training": "pooled", "n_init": 4, "random_state": 0} | params)
    )


def classes(n, p, seed, *, n_classes=2, regimes=1, size=1.5):
    """Rows to fit and to test of one or two logistic regressions, behind a soft border."""
    rng = np.random.default_rng([seed, n, p, n_classes, regimes])
    X = rng.normal(size=(n + N_TEST, p))
    coef = size * rng.normal(size=(2, p, n_classes))
    intercept = rng.normal(size=(2, n_classes))
    regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int) * (regimes - 1)
    values = np.einsum("ij,ijc->ic", X, coef[regime]) + intercept[regime]
    y = (values + rng.gumbel(size=values.shape)).argmax(axis=1)
    return X[:n], y[:n], X[n:], y[n:]


def mean_log_proba(model, X, y):
    return np.log(model.predict_proba(X)[np.arange(len(y)), y]).mean()


def problem(X, y, weight, n_experts):
    labels, numbers = np.unique(y, return_inverse=True)
    experts = PooledLogisticExperts(X, numbers, weight, classes=labels)
    likelihood = PooledCategorical().start(numbers, weight, 1)
    data = TrainingData.of(Rows(X, numbers, weight), X)
    gate = PooledGate(X if n_experts > 1 else X[:, :0], weight)
    return PooledProblem(experts.resized(n_experts), gate, likelihood, data)


# Bounds ---------------------------------------------------------------------------------------


def test_expectations_of_two_classes_are_those_of_quadrature():
    mean, variance = np.meshgrid(np.linspace(-9, 9, 9), [1e-6, 0.01, 0.5, 20.0, 400.0])
    mean, variance = mean.reshape(-1, 1, 1), variance.reshape(-1, 1, 1)
    nodes = np.linspace(-9, 9, 20_001)
    mass = special.softmax(-0.5 * nodes**2)
    f = mean[:, 0] + np.sqrt(variance[:, 0]) * nodes
    for label in (0.0, 1.0):
        found = expected_of_two(np.full((len(mean), 1), label), mean, variance)
        exact = special.log_expit(f if label else -f) @ mass
        np.testing.assert_allclose(found.value[:, 0], exact, atol=2e-7)
        proba = special.expit(f)
        np.testing.assert_allclose(
            found.curvature[:, 0, 0], (proba * (1 - proba)) @ mass, atol=1e-7
        )


def test_bound_of_many_classes_is_below_the_expectation_and_close():
    rng = np.random.default_rng(0)
    mean, variance = 2 * rng.normal(size=(6, 1, 3)), rng.exponential(size=(6, 1, 3))
    labels = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    nodes, weights = np.polynomial.hermite_e.hermegauss(25)
    grid = np.stack(np.meshgrid(nodes, nodes, nodes), axis=-1).reshape(-1, 3)
    mass = np.stack(np.meshgrid(weights, weights, weights), axis=-1).reshape(-1, 3).prod(axis=1)
    f = mean + np.sqrt(variance) * grid  # (6, n_nodes, 3)
    exact = ((f * labels[:, None]).sum(axis=2) - special.logsumexp(f, axis=2)) @ (mass / mass.sum())
    found = expected_of_many(labels, mean, variance).value[:, 0]
    assert (found <= exact + 1e-6).all()
    assert (found >= exact - 0.1).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_curvature_and_slope_are_derivatives_of_the_bound(n_classes):
    rng = np.random.default_rng(0)
    expected_of = expected_of_two if n_classes == 2 else expected_of_many
    n_functions = 1 if n_classes == 2 else n_classes
    shape = (5, 2, n_functions)
    mean, variance = rng.normal(size=shape), rng.exponential(size=shape)
    labels = np.eye(n_classes)[rng.integers(n_classes, size=5)][:, -n_functions:]
    now = None
    for _ in range(8):  # of tilts to their best, where they make no difference
        now = expected_of(labels, mean, variance, now)
    for m in range(n_functions):
        step = 1e-4 * np.eye(n_functions)[m]

        def value(mean, variance):
            near = now
            for _ in range(8):
                near = expected_of(labels, mean, variance, near)
            return near.value

        slope = (value(mean + step, variance) - value(mean - step, variance)) / 2e-4
        curvature = -(value(mean, variance + step) - value(mean, variance - step)) / 1e-4
        expected = (now.working - now.curvature * mean)[:, :, m]
        np.testing.assert_allclose(slope, expected, atol=1e-5)
        np.testing.assert_allclose(curvature, now.curvature[:, :, m], atol=1e-5)


@pytest.mark.parametrize(
    ("n", "p", "n_classes", "n_experts", "seed"),
    [
        *((80, 3, 2, 3, seed) for seed in range(2)),
        (60, 5, 2, 1, 0),
        (40, 60, 2, 2, 0),
        (80, 3, 3, 2, 0),
        (60, 5, 4, 1, 0),
    ],
)
def test_bound_never_falls_at_a_fixed_prior_of_the_gate(n, p, n_classes, n_experts, seed):
    X, y, *_ = classes(n, p, seed, n_classes=n_classes, regimes=2)
    weight = np.random.default_rng(seed).exponential(size=n)
    training = problem(X, y, weight, n_experts)
    start = STARTS["functions"](X, training.y, weight, n_experts, np.random.RandomState(seed))
    first = training.start(soften(start, n_experts)).objective
    compiled = problem(X, y, weight, n_experts).start(soften(start, n_experts))
    bounds = [first, *(training.step() for _ in range(12))]
    assert compiled.is_compiled == (n_classes == 2)
    if n_classes == 2:
        for n_rounds in (3, 9):  # it goes on from where it was
            run = compiled.advance(n_rounds, -np.inf, False, [], -np.inf)
        np.testing.assert_allclose(run, bounds[-9:], rtol=1e-8)
        np.testing.assert_allclose(compiled.evidence, training.evidence, rtol=1e-8)
        np.testing.assert_allclose(compiled.experts.coef, training.experts.coef, atol=1e-7)
    bounds = np.array([*bounds, *(training.step() for _ in range(38))])
    # Rounding of sums over rows, of numbers of about the size of the bound.
    assert (np.diff(bounds) >= -1e-9 * np.maximum(1, np.abs(bounds[1:]))).all()
    assert bounds[-1] > bounds[0]


def test_one_expert_of_one_column_is_about_its_exact_posterior():
    X, y, *_ = classes(40, 1, 1)
    training = problem(X, y, np.ones(40), 1).start(np.ones((40, 1)))
    for _ in range(300):
        bound = training.step()
    experts = training.experts
    (coefficients,), design = experts.posterior.coefficients, experts.design
    deviation = np.sqrt(np.diag(coefficients.cov[0]))
    slopes, intercepts = (
        mean + 8 * each * np.linspace(-1, 1, 301)
        for mean, each in zip(coefficients.mean[0], deviation, strict=True)
    )
    grid = np.stack(np.meshgrid(slopes, intercepts, indexing="ij"), axis=-1).reshape(-1, 2)
    prior = stats.norm(scale=np.sqrt(experts.rho[0])).logpdf(grid).sum(axis=1)
    log_joint = special.log_expit((2 * y - 1)[:, None] * (design @ grid.T)).sum(axis=0) + prior
    cell = (slopes[1] - slopes[0]) * (intercepts[1] - intercepts[0])
    evidence = (special.logsumexp(log_joint) + np.log(cell)) / 40
    assert evidence - 0.02 < bound < evidence
    proba = special.softmax(log_joint)
    mean = proba @ grid
    std = np.sqrt(proba @ (grid - mean) ** 2)
    np.testing.assert_allclose(coefficients.mean[0], mean, atol=0.35 * std.max())
    # The bound is known to make the posterior too narrow, by a part of it.
    assert (deviation < 1.05 * std).all()
    assert (deviation > 0.6 * std).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probabilities_are_averages_over_the_posterior(n_classes):
    rng = np.random.default_rng(0)
    n_functions = 1 if n_classes == 2 else n_classes
    mean = 2 * rng.normal(size=(8, 1, n_functions))
    scale = rng.exponential(size=(8, 1, n_functions))
    draws = mean + scale * rng.normal(size=(8, 50000, n_functions))

    def proba(f):
        return special.softmax(np.concatenate([0 * f, f], axis=2) if n_classes == 2 else f, axis=2)

    likelihood = PooledCategorical().start(np.arange(8) % n_classes, np.ones(8), 1)
    found = likelihood.calibrate(proba(mean), row_scale=scale)
    np.testing.assert_allclose(found.sum(axis=2), 1)
    # 64 points have errors of a hundredth or two; the formula for two classes, of one.
    np.testing.assert_allclose(found[:, 0], proba(draws).mean(axis=1), atol=0.04)
    certain = likelihood.calibrate(proba(mean), row_scale=0 * scale)
    np.testing.assert_allclose(certain, proba(mean), atol=1e-12)


# Regimes or none ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "p", "n_classes", "seed"),
    [
        (60, 5, 2, 0),
        (100, 10, 2, 0),
        (100, 4, 3, 0),
        *(pytest.param(60, 5, 2, seed, marks=pytest.mark.slow) for seed in (1, 2)),
        *(pytest.param(100, 5, 3, seed, marks=pytest.mark.slow) for seed in (1, 2)),
    ],
)
def test_without_regimes_there_is_one_expert(n, p, n_classes, seed):
    X, y, X_test, y_test = classes(n, p, seed, n_classes=n_classes, size=0.7)
    moe = pooled(n_experts="auto").fit(X, y)
    assert len(moe.experts_) == 1
    assert list(moe.log_evidence_) == [1, 2, 3, 4]
    told = LogisticRegression(C=1.0).fit(X, y)  # which happens to suit about these coefficients
    assert mean_log_proba(moe, X_test, y_test) > mean_log_proba(told, X_test, y_test) - 0.06


@pytest.mark.parametrize(
    ("n_classes", "seed"), [(2, 0), *(pytest.param(k, 2, marks=pytest.mark.slow) for k in (2, 3))]
)
def test_two_regimes_are_found_without_being_told(n_classes, seed):
    X, y, X_test, y_test = classes(400, 3, seed, n_classes=n_classes, regimes=2, size=2.5)
    moe = pooled(n_experts="auto").fit(X, y)
    told = MixtureOfExpertsClassifier(n_experts=2, random_state=0, training="em").fit(X, y)
    assert len(moe.experts_) == 2
    assert mean_log_proba(moe, X_test, y_test) > mean_log_proba(told, X_test, y_test) - 0.02


@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_columns_than_rows_are_taken(n_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50 + N_TEST, 70))
    values = np.column_stack([2 * X[:, 0], 2 * X[:, 1], 2 * X[:, 2]])[:, :n_classes]
    y = (values + rng.gumbel(size=values.shape)).argmax(axis=1)
    moe = pooled(n_experts=1).fit(X[:50], y[:50])
    assert moe.experts_[0].coef_.shape == (1 if n_classes == 2 else 3, 70)
    share = np.bincount(y[:50]) / 50
    assert mean_log_proba(moe, X[50:], y[50:]) > np.log(share) @ share - 0.05


# Invariance -----------------------------------------------------------------------------------

X2, Y2, X2_TEST, Y2_TEST = classes(150, 3, 2, regimes=2, size=2.5)


@pytest.fixture(scope="module")
def fitted_classes():
    return pooled().fit(X2, Y2)


def assert_alike(one, other, atol=1e-5):
    """The same but for where EM stopped."""
    assert len(one.experts_) == len(other.experts_)
    values = (mean_log_proba(moe, X2_TEST, Y2_TEST) for moe in (one, other))
    np.testing.assert_allclose(*values, atol=atol)


def test_weight_of_two_is_a_row_given_twice():
    twice = np.arange(len(Y2)) % 3 == 0
    rows = np.append(np.arange(len(Y2)), np.flatnonzero(twice))
    weighted = pooled().fit(X2, Y2, sample_weight=1.0 + twice)
    repeated = pooled().fit(X2[rows], Y2[rows])
    assert_alike(weighted, repeated)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, atol=1e-6)


def test_units_do_not_matter(fitted_classes):
    units = np.array([1e-3, 1.0, 1e5])
    found = pooled().fit(X2 * units + 7, Y2).predict_proba(X2_TEST * units + 7)
    np.testing.assert_allclose(found, fitted_classes.predict_proba(X2_TEST), atol=1e-4)


def test_no_class_is_the_reference():
    X, y, X_test, _ = classes(150, 3, 0, n_classes=3)
    moe = pooled(n_experts=1).fit(X, y)
    turned = pooled(n_experts=1).fit(X, (y + 1) % 3)
    # But for where steps ended, and in which of 64 points each class has which coordinates.
    coef, other = moe.experts_[0].coef_, np.roll(turned.experts_[0].coef_, -1, axis=0)
    np.testing.assert_allclose(coef, other, atol=1e-3)
    proba, other = moe.predict_proba(X_test), np.roll(turned.predict_proba(X_test), -1, axis=1)
    np.testing.assert_allclose(proba, other, atol=0.02)
    variances = moe.likelihood_.shared_var_
    np.testing.assert_allclose(variances, np.tile(variances[0], (3, 1)))


# How it is used -------------------------------------------------------------------------------


def test_experts_are_logistic_regressions_and_what_is_asked_agrees(fitted_classes):
    assert len(fitted_classes.experts_) == 2
    assert all(type(expert) is LogisticRegression for expert in fitted_classes.experts_)
    X, y = X2_TEST[:200], Y2_TEST[:200]
    proba = fitted_classes.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    design = fitted_classes.likelihood_.columns_.design(X)
    each = []
    for expert, (cov,) in zip(
        fitted_classes.experts_, fitted_classes.likelihood_.coef_cov_, strict=True
    ):
        variance = np.einsum("ij,jk,ik->i", design, cov, design)
        each.append(special.expit(expert.decision_function(X) / np.sqrt(1 + np.pi * variance / 8)))
    of_second = np.column_stack(each)
    gate = fitted_classes.gate_proba(X)
    np.testing.assert_allclose(proba[:, 1], (gate * of_second).sum(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(fitted_classes.predict(X), proba.argmax(axis=1))
    np.testing.assert_array_equal(fitted_classes.predict_experts(X), of_second > 0.5)
    density = np.where(y[:, None] == 1, of_second, 1 - of_second)
    resp = gate * density / (gate * density).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted_classes.responsibilities(X, y), resp, rtol=1e-8)
    np.testing.assert_allclose(fitted_classes.log_density(X, y), np.log(proba[np.arange(200), y]))
    assert fitted_classes.score(X, y) == (fitted_classes.predict(X) == y).mean()
    assert fitted_classes.start_lower_bounds_ == []
    assert fitted_classes.lower_bound_ == max(fitted_classes.lower_bounds_)
    assert max(fitted_classes.log_evidence_, key=fitted_classes.log_evidence_.get) == 2
    assert len(fitted_classes.expert_report(X2, Y2).to_frame()) == 2


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_few_rows_are_enough(n, n_classes):
    moe = pooled(n_experts="auto").fit(X2[:n], np.arange(n) % n_classes)
    assert np.isfinite(moe.predict_proba(1e3 * X2_TEST)).all()


def test_separable_classes_and_constant_columns_are_taken():
    moe = pooled(n_experts="auto").fit(X2, (X2[:, 0] > 0).astype(int))
    assert moe.score(X2_TEST, X2_TEST[:, 0] > 0) > 0.97
    moe = pooled(n_experts="auto").fit(np.ones((len(Y2), 2)), Y2)
    np.testing.assert_allclose(moe.predict_proba(np.ones((1, 2)))[0, 1], Y2.mean(), atol=0.02)


def test_class_weights_are_weights_of_the_rows():
    balanced = pooled(class_weight="balanced").fit(X2, Y2)
    assert_alike(balanced, pooled().fit(X2, Y2, len(Y2) / 2 / np.bincount(Y2)[Y2]), atol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_labels_that_are_noise_are_one_expert(n_classes, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(80, 3)), rng.integers(0, n_classes, size=80)
    moe = pooled(n_experts="auto").fit(X, y)
    assert len(moe.experts_) == 1
    assert moe.log_evidence_[1] == max(moe.log_evidence_.values())


@pytest.mark.parametrize(
    ("rates", "n_found"), [((0.15, 0.85), 2), ((0.05, 0.5, 0.95), 3), ((0.5,), 1)]
)
def test_subjects_that_differ_in_their_rates_alone_are_as_many_experts(rates, n_found):
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(60), 8)
    rate = np.asarray(rates)[np.arange(60) % len(rates)][subject]
    X = rng.normal(size=(len(subject), 2))
    y = (rng.uniform(size=len(subject)) < rate).astype(int)
    moe = pooled(n_experts="auto", gate=ConstantGate()).fit(X, y, subject=subject)
    found = sorted(special.expit(expert.intercept_[0]) for expert in moe.experts_)
    assert len(found) == n_found
    # 160 to 480 rows for each rate: standard errors of up to 0.04.
    np.testing.assert_allclose(found, rates, atol=0.15)
