"""GaussianGate, alone and in a mixture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import GaussianGate, SoftmaxGate
from skmoe.metrics import log_score

TYPES = ["full", "diag", "tied"]


def blobs(n_samples, seed, n_blobs=3):
    """Planes over blobs of unlike shape."""
    rng = np.random.default_rng(seed)
    blob = rng.choice(n_blobs, size=n_samples, p=[0.5, 0.3, 0.2])
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    shapes = np.array([[[1.0, 0.0], [0.6, 0.5]], [[0.4, 0.0], [0.0, 1.0]], [[1.0, 0], [0, 0.3]]])
    noise = rng.normal(size=(n_samples, 2))
    X = centres[blob] + np.einsum("nij,nj->ni", shapes[blob], noise)
    slopes = np.array([[1.0, 0.0], [-1.0, 2.0], [0.0, -2.0]])
    return X, (X * slopes[blob]).sum(axis=1) + 0.3 * rng.normal(size=n_samples), blob


@pytest.mark.parametrize("covariance_type", TYPES)
def test_parameters_are_the_weighted_map_estimates(covariance_type):
    X, _, blob = blobs(300, seed=0)
    rng = np.random.default_rng(1)
    soft = special.softmax(2 * np.eye(3)[blob] + rng.normal(size=(300, 3)), axis=1)
    weight = rng.uniform(0.5, 2.0, size=300)
    gate = GaussianGate(covariance_type, prior_rows=5.0).fit(X, soft, sample_weight=weight)

    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    Z, mass = (X - mean) / scale, soft * weight[:, None]
    means = np.stack([np.average(Z, axis=0, weights=column) for column in mass.T])
    scatter = [((Z - m).T * c) @ (Z - m) for m, c in zip(means, mass.T, strict=True)]
    counts = mass.sum(axis=0)
    if covariance_type == "tied":
        scatter, counts = [sum(scatter)] * 3, np.full(3, mass.sum())
    expected = [
        (s + 5.0 * np.eye(2)) / (n + 5.0) * np.outer(scale, scale)
        for s, n in zip(scatter, counts, strict=True)
    ]
    if covariance_type == "diag":
        expected = [c * np.eye(2) for c in expected]
    assert_allclose(gate.means_, means * scale + mean)
    assert_allclose(gate.covariances_, expected)
    assert_allclose(gate.proportions_, mass.sum(axis=0) / mass.sum())


@pytest.mark.parametrize("covariance_type", TYPES)
def test_densities_and_probabilities_are_those_of_scipy(covariance_type):
    X, _, blob = blobs(300, seed=0)
    gate = GaussianGate(covariance_type).fit(X, blob)
    log_joint = np.stack(
        [
            np.log(a) + stats.multivariate_normal(m, c).logpdf(X)
            for a, m, c in zip(gate.proportions_, gate.means_, gate.covariances_, strict=True)
        ],
        axis=1,
    )
    assert_allclose(gate.score_samples(X), special.logsumexp(log_joint, axis=1))
    assert_allclose(gate.predict_proba(X), special.softmax(log_joint, axis=1), atol=1e-12)


def test_tied_covariance_without_prior_is_linear_discriminant_analysis():
    X, _, blob = blobs(400, seed=0)
    gate = GaussianGate("tied", prior_rows=1e-9).fit(X, blob)
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(X, blob)
    assert_allclose(gate.predict_proba(X), lda.predict_proba(X), atol=1e-6)  # the prior's 1e-9


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_joint_likelihood_rises_with_every_iteration(covariance_type, weighted):
    X, y, _ = blobs(400, seed=1)
    weight = np.random.default_rng(0).uniform(0.2, 3, size=400) if weighted else None
    moe = MixtureOfExpertsRegressor(
        n_experts=3, gate=GaussianGate(covariance_type), init="functions", n_init=1,
        tol=1e-9, max_iter=300, random_state=0,
    training="em").fit(X, y, sample_weight=weight)  # fmt: skip
    assert not any(moe.expert_report().columns["revived"])
    assert len(moe.lower_bounds_) > 5
    assert np.diff(moe.lower_bounds_).min() > -1e-9  # sums of 400 terms, per unit of weight


def test_objective_is_the_joint_density_and_the_prior():
    X, y, _ = blobs(300, seed=2)
    moe = MixtureOfExpertsRegressor(LinearRegression(), 3, gate=GaussianGate(), random_state=0).fit(
        X, y
    )
    joint = moe.log_density(X, y).sum() + moe.gate_.score_samples(X).sum()
    objective = (joint + moe.gate_.log_prior()) / 300
    assert_allclose(moe.lower_bound_, objective, rtol=1e-12)


def test_planted_blobs_are_recovered_and_beat_hyperplanes():
    X, y, blob = blobs(1500, seed=0)
    X_test, y_test, _ = blobs(3000, seed=1)
    settings = {"n_experts": 3, "random_state": 0, "max_iter": 500}
    gaussian = MixtureOfExpertsRegressor(gate=GaussianGate(), **settings, training="em").fit(X, y)
    softmax = MixtureOfExpertsRegressor(gate=SoftmaxGate(), **settings, training="em").fit(X, y)
    assert log_score(gaussian, X_test, y_test) > log_score(softmax, X_test, y_test) - 0.01
    planted = GaussianGate().fit(X, blob)
    # Loads fall from 0.5 to 0.2, in the order in which the blobs are numbered. Four standard
    # errors of a mean of 300 rows of unit variance are 0.23.
    assert_allclose(gaussian.gate_.means_, planted.means_, atol=0.23)
    assert_allclose(gaussian.gate_.proportions_, [0.5, 0.3, 0.2], atol=4 * np.sqrt(0.25 / 1500))


def test_scaled_and_shifted_columns_change_nothing():
    X, y, _ = blobs(300, seed=0)
    gate, moved = GaussianGate(), GaussianGate()
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=300)
    factors, shift = np.array([1e-3, 1e4]), np.array([5.0, -1e5])
    gate.fit(X, soft), moved.fit(X * factors + shift, soft)
    assert_allclose(moved.predict_proba(X * factors + shift), gate.predict_proba(X), rtol=1e-7)
    assert_allclose(
        moved.score_samples(X * factors + shift),
        gate.score_samples(X) - np.log(factors).sum(),
        rtol=1e-7,
    )


def test_weight_two_is_a_row_given_twice():
    X, _, blob = blobs(60, seed=0)
    weight = np.random.default_rng(0).integers(0, 3, size=60)
    weighted = GaussianGate().fit(X, blob, sample_weight=weight)
    repeated = GaussianGate().fit(np.repeat(X, weight, axis=0), np.repeat(blob, weight))
    assert_allclose(weighted.covariances_, repeated.covariances_)
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X))


def test_one_row_for_an_expert_leaves_its_covariance_finite():
    X, _, _ = blobs(50, seed=0)
    soft = np.zeros((50, 2))
    soft[:, 0], soft[0] = 1.0, [0.0, 1.0]
    gate = GaussianGate().fit(X, soft)
    assert np.linalg.eigvalsh(gate.covariances_[1]).min() > 0
    assert np.isfinite(gate.predict_log_proba(X)).all()


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied"])
@pytest.mark.parametrize("far", [1e10, 1e100, 1e155, 1e300, np.finfo(float).max])
def test_rows_however_far_have_probabilities(covariance_type, far):
    X, _, blob = blobs(100, seed=0)
    for scale in (1.0, 1e-90):
        gate = GaussianGate(covariance_type).fit(X * scale, blob)
        rows = far * np.array([[1, 1], [1, -1], [-1, 0], [0, 1], [0.9, 0.1]])
        assert_allclose(gate.predict_proba(rows).sum(axis=1), 1)
        assert np.isfinite(gate.score_samples(rows)).all()
    near = GaussianGate(covariance_type).fit(X, blob).predict(rows * (1e10 / far))
    # the direction says whose they are
    assert_array_equal(GaussianGate(covariance_type).fit(X, blob).predict(rows), near)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("weight", [1e-50, 1.0, 1e12, 1e50])
def test_columns_that_depend_on_each_other_have_definite_covariances(covariance_type, weight):
    X, _, blob = blobs(60, seed=0)
    X = np.column_stack([X, X, X.sum(axis=1), np.ones(60)])
    gate = GaussianGate(covariance_type).fit(X, blob, sample_weight=np.full(60, weight))
    assert_allclose(gate.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("covariance_type", "per_expert", "shared"), [("full", 3, 0), ("diag", 2, 0), ("tied", 0, 3)]
)
def test_free_parameters_are_counted(covariance_type, per_expert, shared):
    X, _, blob = blobs(100, seed=0)
    gate = GaussianGate(covariance_type).fit(X, blob)
    assert gate.n_parameters_ == 2 + 3 * 2 + 3 * per_expert + shared
