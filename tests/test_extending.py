"""A likelihood and a gate from outside the package, written against what is public alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted, validate_data

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions import ScipyComponents
from skmoe.gates import BaseGate, SoftmaxGate
from skmoe.likelihoods import BaseLikelihood, PredictorTerms

COEF = np.array([[4.0, 2.0], [-1.0, -1.0]])  # intercept first
SCALE = np.array([0.3, 0.6])


class GumbelTerms(PredictorTerms):
    logs_of = ("scale_",)
    standardises = True

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.scale = np.exp(self.logs[0])
        self.z = (self.target - self.predictors) / self.scale
        self.tail = np.exp(-self.z)

    def log_density(self):
        return (-self.z - self.tail - self.logs[0]).sum(axis=1)

    def first(self):
        return [(1 - self.tail) / self.scale, self.z * (1 - self.tail) - 1]

    def second(self):
        z, tail = self.z, self.tail
        mixed = (tail - 1 - z * tail) / self.scale
        return [[-tail / self.scale**2, mixed], [mixed, -z * (1 - tail) - z**2 * tail]]


class Gumbel(BaseLikelihood):
    """Gumbel errors; experts predict the most probable value."""

    per_expert = ("scale_",)

    def start(self, y, weight, n_experts):
        if y.ndim > 1:
            raise ValueError("Gumbel takes one output.")
        spread = np.sqrt(np.cov(y, aweights=weight))
        self.floor_ = 1e-3 * spread
        self.scale_ = np.full(n_experts, spread)
        return self

    def working_weights(self, y, prediction):
        z = (y[:, None] - prediction) / self.scale_
        z = np.where(np.abs(z) < 1e-6, 1e-6, np.maximum(z, -20.0))
        return -np.expm1(-z) / z  # at a fixed point of weighted least squares the score is zero

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        residuals = y[:, None] - prediction
        mass = weights.sum(axis=0)
        rate, first = 1 / self.scale_, (weights * residuals).sum(axis=0)
        for _ in range(20):  # Newton steps: the log-likelihood is concave in the rate
            tail = weights * residuals * np.exp(np.minimum(-rate * residuals, 50.0))
            slope = mass / rate - first + tail.sum(axis=0) - penalty * rate
            curvature = mass / rate**2 + (tail * residuals).sum(axis=0) + penalty
            step = slope / np.maximum(curvature, 1e-300)
            rate = rate + np.clip(step, -0.5 * rate, rate)
        self.scale_ = np.maximum(1 / rate, self.floor_)

    def components(self, prediction, experts=None):
        scale = self.scale_ if experts is None else self.scale_[experts]
        return ScipyComponents(stats.gumbel_r(prediction, scale))

    def log_density(self, y, prediction, experts=None):
        return self.components(prediction, experts).logpdf(y[:, None])

    def log_prior(self, penalty):
        return -0.5 * float(np.sum(penalty / self.scale_**2))

    def terms(self):
        return GumbelTerms


class RadialGate(BaseGate):
    """Gaussians of one width each: which expert's centre is near."""

    objective = "joint"

    def __init__(self, prior_rows=5.0):
        self.prior_rows = prior_rows

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        weights = y if sample_weight is None else y * np.asarray(sample_weight)[:, None]
        mass = np.maximum(weights.sum(axis=0), 1e-9)
        self.classes_ = np.arange(y.shape[1])
        self.proportions_ = mass / mass.sum()
        self.centers_ = weights.T @ X / mass[:, None]
        squares = (weights * cdist(X, self.centers_, "sqeuclidean")).sum(axis=0)
        mean = weights.sum(axis=1) @ X / mass.sum()
        self._prior = self.prior_rows * (weights.sum(axis=1) @ (X - mean) ** 2).sum() / mass.sum()
        degrees = (mass + self.prior_rows) * X.shape[1]
        self.variances_ = (squares + self._prior) / degrees
        return self

    def log_prior(self):
        log_det = self.prior_rows * self.n_features_in_ * np.log(self.variances_)
        return -0.5 * float(np.sum(log_det + self._prior / self.variances_))

    def _log_joint(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        squares = cdist(X, self.centers_, "sqeuclidean") / self.variances_
        log_det = X.shape[1] * np.log(2 * np.pi * self.variances_)
        return np.log(self.proportions_) - 0.5 * (squares + log_det)

    def predict_log_proba(self, X):
        log_joint = self._log_joint(X)
        return log_joint - logsumexp(log_joint, axis=1, keepdims=True)

    def score_samples(self, X):
        return logsumexp(self._log_joint(X), axis=1)

    def reorder(self, order):
        self.classes_ = self.classes_[: len(order)]
        self.proportions_ = self.proportions_[order] / self.proportions_[order].sum()
        self.centers_, self.variances_ = self.centers_[order], self.variances_[order]

    @property
    def n_parameters_(self):
        return self.centers_.size + 2 * len(self.variances_) - 1


def planted(seed, n_samples=1500):
    """Two regimes with Gumbel errors, the second far from the origin, to the left or right."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 1))
    k = (rng.uniform(size=n_samples) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(int)
    return X, rng.gumbel(COEF[k, 0] + COEF[k, 1] * X[:, 0], SCALE[k]), k


def mixture(**settings):
    settings = {"n_experts": 2, "n_init": 2, "random_state": 0, "tol": 1e-8} | settings
    return MixtureOfExpertsRegressor(likelihood=Gumbel(), max_iter=500, **settings)


@pytest.fixture(scope="module")
def fitted():
    X, y, k = planted(0)
    return mixture().fit(X, y), X, y, k


def test_objective_rises_to_the_planted_regimes(fitted):
    moe, X, y, k = fitted
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    order = np.argsort(-moe.predict_experts(np.zeros((1, 1)))[0])
    ends = moe.predict_experts([[0.0], [1.0]])[:, order]
    # Five standard errors of some 0.02: 750 rows with a standard deviation of 0.4 or 0.8.
    assert_allclose(ends, [COEF[:, 0], COEF.sum(axis=1)], atol=0.15)
    assert_allclose(moe.likelihood_.scale_[order], SCALE, rtol=0.15)


def test_distributions_are_those_of_the_likelihood(fitted):
    moe, X, y, _ = fitted
    assert moe.predict(X).shape == y.shape
    below = moe.predict_quantiles(X, [0.1, 0.5, 0.9])
    # The standard error of a share among 1500 rows is 0.013 at most.
    assert_allclose((y[:, None] <= below).mean(axis=0), [0.1, 0.5, 0.9], atol=0.04)
    low, high = moe.predict_interval(X, level=0.8).T
    assert_allclose(((low <= y) & (y <= high)).mean(), 0.8, atol=0.04)
    drawn = moe.sample_y(X, n_samples=20, random_state=0)
    assert_allclose((drawn <= below[:, [0]]).mean(), 0.1, atol=0.02)
    report = moe.expert_report(X, y)
    assert len(report) == 2
    assert np.isfinite(moe.bic(X, y))


def test_summary_has_the_standard_errors_of_numerical_derivatives():
    X, y, _ = planted(1, 300)
    moe = mixture(gate=SoftmaxGate(alpha=1e-6)).fit(X, y)
    summary = moe.summary(X, y)
    assert summary.terms == ["intercept", "x0", "log_scale"] * 2 + ["intercept", "x0"]

    def log_likelihood(theta):
        (a, b, s), (c, d, t), (e, f) = theta[:3], theta[3:6], theta[6:]
        x, log_odds = X[:, 0], e + f * X[:, 0]
        first = stats.gumbel_r.logpdf(y, a + b * x, np.exp(s)) - np.logaddexp(0, log_odds)
        second = stats.gumbel_r.logpdf(y, c + d * x, np.exp(t)) - np.logaddexp(0, -log_odds)
        return np.logaddexp(first, second).sum()

    theta = summary.estimate
    assert_allclose(summary.log_likelihood, log_likelihood(theta), rtol=1e-9)
    assert_allclose(summary.log_likelihood, moe.log_density(X, y).sum(), rtol=0, atol=1e-2)
    steps = 1e-3 * np.eye(len(theta))
    information = np.array(
        [
            [
                sum(
                    -i * j * log_likelihood(theta + i * a + j * b)
                    for i in (-1, 1)
                    for j in (-1, 1)
                )
                for b in steps
            ]
            for a in steps
        ]
    ) / 4e-6
    # Central differences leave some 1e-6 times fourth derivatives.
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    assert_allclose(summary.std_error, expected, rtol=1e-3)


def test_weights_count_as_repeats():
    X, y, _ = planted(2, 200)
    weight = np.random.default_rng(0).integers(0, 3, size=200)
    rows = np.repeat(np.arange(200), weight)
    settings = {"n_init": 1, "gate": RadialGate()}
    weighted = mixture(**settings).fit(X, y, sample_weight=weight)
    repeated = mixture(**settings).fit(X[rows], y[rows])
    # Sums over the rows in another order, and some hundred iterations after them.
    assert_allclose(weighted.predict(X), repeated.predict(X[:]), rtol=0, atol=1e-4)


def test_radial_gate_finds_planted_islands():
    rng = np.random.default_rng(0)
    k = rng.integers(2, size=1000)
    centers, widths = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([0.5, 1.0])
    X = centers[k] + widths[k, None] * rng.normal(size=(1000, 2))
    y = rng.gumbel(COEF[k, 0] + COEF[k, 1] * X[:, 1], SCALE[k])
    moe = mixture(gate=RadialGate()).fit(X, y)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    gate = moe.gate_
    order = np.argsort(gate.centers_[:, 0])
    # Standard errors are 0.05 at most; the prior adds five rows to 500.
    assert_allclose(gate.centers_[order], centers, atol=0.2)
    assert_allclose(np.sqrt(gate.variances_[order]), widths, rtol=0.15)
    assert (moe.responsibilities(X, y).argmax(axis=1) == order[k]).mean() > 0.97


def test_likelihood_without_terms_is_refused_by_name():
    class Silent(Gumbel):
        def terms(self):
            return None

    X, y, _ = planted(3, 200)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=Silent(), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"not for Silent\(\)"):
        moe.summary(X, y)
