"""Planted mixtures are found again from the default starts."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, special, stats
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate

N_HELD_OUT = 4000


@dataclass
class Planted:
    """y ~ sum_k softmax(X @ gate.T + gate_intercept)_k N(X @ slopes_k + intercept_k, scale_k)."""

    n: int
    draw: object  # (rng, n) -> X
    slopes: np.ndarray
    intercepts: np.ndarray
    scales: np.ndarray
    gate: np.ndarray
    gate_intercept: np.ndarray

    @property
    def n_experts(self):
        return len(self.slopes)

    def log_gate(self, X):
        return special.log_softmax(X @ self.gate.T + self.gate_intercept, axis=1)

    def means(self, X):
        return X @ self.slopes.T + self.intercepts

    def sample(self, rng, n):
        X = self.draw(rng, n)
        proba = np.exp(self.log_gate(X))
        label = (rng.uniform(size=(n, 1)) > np.cumsum(proba, axis=1)[:, :-1]).sum(axis=1)
        mean = self.means(X)[np.arange(n), label]
        return X, mean + self.scales[label] * rng.normal(size=n)

    def log_joint(self, X, y):
        log_density = stats.norm.logpdf(y[:, None], self.means(X), self.scales)
        return self.log_gate(X) + log_density

    def log_density(self, X, y):
        return special.logsumexp(self.log_joint(X, y), axis=1)

    def responsibilities(self, X, y):
        return special.softmax(self.log_joint(X, y), axis=1)

    def values(self, X):
        """Slopes, intercepts, scales and mean gate of each expert, (K, d + 3)."""
        share = np.exp(self.log_gate(X)).mean(axis=0)
        return np.column_stack([self.slopes, self.intercepts, self.scales, share])

    def standard_errors(self, X, y):
        """Of ``values``, from the outer products of the scores of all parameters at the truth.

        The gate's default prior, alpha 0.1 on standardised columns, is added to the
        information, which is singular where the gate is sharp.
        """
        n, d, K = len(X), X.shape[1], self.n_experts
        Z = np.column_stack([X, np.ones(n)])
        resp, proba = self.responsibilities(X, y), np.exp(self.log_gate(X))
        z_score = (y[:, None] - self.means(X)) / self.scales
        of_mean = (resp * z_score / self.scales)[:, :, None] * Z[:, None]
        of_scale = resp * (z_score**2 - 1) / self.scales
        of_gate = (resp - proba)[:, :-1, None] * Z[:, None]
        scores = np.column_stack([of_mean.reshape(n, -1), of_scale, of_gate.reshape(n, -1)])
        prior = np.r_[np.zeros(K * (d + 2)), np.tile(np.r_[0.1 * X.var(axis=0), 1e-3], K - 1)]
        covariance = np.linalg.inv(scores.T @ scores + np.diag(prior))
        gradient = np.zeros((K, scores.shape[1]))
        for k in range(K):
            change = proba[:, [k]] * ((np.arange(K) == k) - proba)
            gradient[k, K * (d + 2) :] = (change[:, :-1].T @ Z / n).ravel()
        share = np.sqrt(np.einsum("kp,pq,kq->k", gradient, covariance, gradient))
        # The share of the rows that were drawn differs from the planted one by this much.
        realised = np.sqrt(proba.mean(axis=0) * (1 - proba.mean(axis=0)) / n)
        variances = np.diag(covariance)
        return np.column_stack(
            [
                np.sqrt(variances[: K * (d + 1)]).reshape(K, d + 1),
                np.sqrt(variances[K * (d + 1) : K * (d + 2)]),
                np.maximum(share, realised),
            ]
        )


def uniform(low, high, d=1):
    return lambda rng, n: rng.uniform(low, high, size=(n, d))


def normal(d):
    return lambda rng, n: rng.normal(size=(n, d))


def kink():
    """Sharp gate: two lines that meet the gate's step at 0."""
    return Planted(
        600,
        uniform(-3, 3),
        np.array([[2.0], [-1.0]]),
        np.array([0.0, -1.0]),
        np.array([0.1, 0.1]),
        np.array([[50.0], [-50.0]]),
        np.zeros(2),
    )


def soft_gate():
    return Planted(
        1500,
        normal(2),
        np.array([[1.0, 2.0], [-2.0, 0.5], [0.0, -1.5]]),
        np.array([0.0, 3.0, -3.0]),
        np.array([0.5, 0.5, 0.5]),
        np.array([[1.5, 0.0], [-1.0, 1.0], [0.0, -1.0]]),
        np.array([0.3, 0.0, -0.3]),
    )


def crossing_lines():
    return Planted(
        600,
        uniform(-2, 2),
        np.array([[1.0], [-1.0]]),
        np.array([0.0, 0.3]),
        np.array([0.2, 0.2]),
        np.zeros((2, 1)),
        np.log([0.6, 0.4]),
    )


def rare_regime():
    """3 % of the rows, anywhere in X."""
    return Planted(
        2000, normal(2), np.array([[1.0, 1.0], [-2.0, 1.0]]), np.array([0.0, 2.0]),
        np.array([0.3, 0.3]), np.zeros((2, 2)), np.log([0.97, 0.03]),
    )  # fmt: skip


def unequal_noise():
    """Scales that differ by a factor of ten."""
    return Planted(
        1000, uniform(-2, 2, 2), np.array([[1.0, -1.0], [0.5, 1.0]]), np.array([0.0, 1.0]),
        np.array([0.1, 1.0]), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2),
    )  # fmt: skip


def six_experts():
    rng = np.random.default_rng(7)
    return Planted(
        6000, normal(10), rng.normal(size=(6, 10)), 2 * rng.normal(size=6), np.full(6, 0.4),
        1.5 * rng.normal(size=(6, 10)) / np.sqrt(2), np.zeros(6),
    )  # fmt: skip


def xor():
    """Quadrants of two columns, an expert each, and six columns of noise."""
    slopes = np.zeros((4, 8))
    slopes[:, :2] = [[1.0, 1.0], [-1.5, 0.5], [0.5, -1.5], [-1.0, -1.0]]
    gate = np.zeros((4, 8))
    gate[:, :2] = 12 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    return Planted(
        2000,
        lambda rng, n: np.column_stack([rng.uniform(-2, 2, size=(n, 2)), rng.normal(size=(n, 6))]),
        slopes, np.array([1.0, -1.0, -1.0, 1.0]), np.full(4, 0.2), gate, np.zeros(4),
    )  # fmt: skip


def parallel_lines():
    """The same steep slopes, one unit apart, anywhere in X."""
    slope = np.array([4.0, -3.0, 2.0, 5.0, -1.0])
    return Planted(
        1000, normal(5), np.tile(slope, (3, 1)), np.array([-1.0, 0.0, 1.0]), np.full(3, 0.15),
        np.zeros((3, 5)), np.log([0.4, 0.35, 0.25]),
    )  # fmt: skip


def eight_segments():
    """A broken line with jumps: segment k between k and k + 1."""
    slopes = np.array([2.0, -3.0, 1.0, 3.0, -2.0, 0.0, 2.5, -1.0])
    middles = np.array([0.0, 1.0, -1.0, 0.5, 2.0, -1.5, 0.5, 1.5])
    sharp = 40.0 * np.arange(8)
    return Planted(
        1600, uniform(0, 8), slopes[:, None], middles - slopes * (np.arange(8) + 0.5),
        np.full(8, 0.15), sharp[:, None], -40.0 * np.r_[0.0, np.cumsum(np.arange(1.0, 8.0))],
    )  # fmt: skip


HARD = [xor, parallel_lines, eight_segments]


def recover(model, seed):
    """Gap in held-out log-density to a fit from the truth; errors in standard errors (K, d + 3)."""
    rng = np.random.default_rng([seed, len(model.slopes), model.n])
    X, y = model.sample(rng, model.n)
    X_new, y_new = model.sample(rng, N_HELD_OUT)
    params = {"n_experts": model.n_experts, "random_state": seed, "max_iter": 500}
    moe = MixtureOfExpertsRegressor(**params, training="em").fit(X, y)
    from_truth = MixtureOfExpertsRegressor(
        init=lambda *args: model.responsibilities(X, y), n_init=1, **params, training="em"
    ).fit(X, y)
    gap = np.mean(from_truth.log_density(X_new, y_new) - moe.log_density(X_new, y_new))
    return gap, errors(model, moe, X, y), errors(model, from_truth, X, y)


def errors(model, moe, X, y):
    fitted = np.column_stack(
        [
            [expert.coef_ for expert in moe.experts_],
            [expert.intercept_ for expert in moe.experts_],
            moe.likelihood_.scale_,
            moe.expert_load_,
        ]
    )
    relative = (fitted[:, None] - model.values(X)) / model.standard_errors(X, y)
    _, order = optimize.linear_sum_assignment(np.minimum(relative**2, 1e6).sum(axis=2).T)
    return relative[order, np.arange(len(order))]


def assert_recovered(model, seed):
    gap, found, from_truth = recover(model, seed)
    # What a hundredth of the noise costs; another optimum costs tenths.
    assert gap < 0.02
    # Four standard errors: one of 16,000 values is further out by chance. Where the penalty of
    # the gate moves the fit from the truth as well, it is no further out than that one.
    assert np.abs(found).max() < max(4.0, 1.01 * np.abs(from_truth).max())
    assert np.abs(from_truth).max() < 5.0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("model", [kink, soft_gate, crossing_lines, rare_regime, unequal_noise])
def test_planted_model_is_recovered(model, seed):
    assert_recovered(model(), seed)


@pytest.mark.parametrize("model", [six_experts, *HARD])
def test_planted_model_of_many_experts_or_columns_is_recovered(model):
    assert_recovered(model(), seed=1)


def planted_classifier(seed, n=1500):
    """Two logistic regressions of opposite sign behind a soft gate in another column."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    gate = special.expit(3 * X[:, 0])
    slopes = np.array([[0.0, 4.0, 1.0], [0.0, -3.0, 2.0]])
    label = (rng.uniform(size=n) > gate).astype(int)
    proba = special.expit(np.einsum("nd,nd->n", X, slopes[label]))
    each = special.expit(X @ slopes.T)
    truth = gate * each[:, 0] + (1 - gate) * each[:, 1]
    return X, (rng.uniform(size=n) < proba).astype(int), truth, slopes


@pytest.mark.parametrize("training", ["em", "pooled"])
@pytest.mark.parametrize("seed", range(2))
def test_planted_classifier_is_recovered(seed, training):
    X, y, _, slopes = planted_classifier(seed)
    moe = MixtureOfExpertsClassifier(
        n_experts=2, max_iter=500, random_state=seed, training=training
    ).fit(X, y)
    found = np.array([expert.coef_[0] for expert in moe.experts_])
    found = found[np.argsort(-found[:, 1])]
    # 750 labels for each: standard errors of about 0.4 for the large slopes.
    assert_allclose(found, slopes, atol=1.6)
    X_new, _, truth, _ = planted_classifier(seed + 100, N_HELD_OUT)
    proba = moe.predict_proba(X_new)[:, 1]
    divergence = truth * np.log(truth / proba) + (1 - truth) * np.log((1 - truth) / (1 - proba))
    # Expected is half a row's worth for each of 12 parameters, 12 / 2 / 1500 = 0.004.
    assert divergence.mean() < 0.016


def repeated_choices(seed, rates, columns, n_subjects=60, n_rows=8):
    """Subjects of several rates of a class, which columns say nothing of; X, y, subject, rate."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_rows)
    rate = np.asarray(rates)[np.arange(n_subjects) % len(rates)][subject]
    X = rng.normal(size=(len(subject), 2)) if columns else np.ones((len(subject), 1))
    return X, (rng.uniform(size=len(subject)) < rate).astype(int), subject, rate


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("columns", [False, True], ids=["intercepts", "idle columns"])
@pytest.mark.parametrize("rates", [(0.15, 0.85), (0.05, 0.5, 0.95)])
def test_subjects_that_differ_in_their_rates_alone_are_told_apart(rates, columns, seed):
    X, y, subject, rate = repeated_choices(seed, rates, columns)
    params = {"n_experts": len(rates), "gate": ConstantGate(), "random_state": seed}
    params["training"] = "em"
    moe = MixtureOfExpertsClassifier(**params).fit(X, y, subject=subject)
    of_rate = np.eye(len(rates))[np.searchsorted(rates, rate)]
    from_truth = MixtureOfExpertsClassifier(init=lambda *args: of_rate, n_init=1, **params)
    from_truth.fit(X, y, subject=subject)
    # The optimum next to the truth, or a better one, up to what tol leaves at a rate of 0.96.
    assert moe.lower_bound_ > from_truth.lower_bound_ - 25 * moe.tol
    one = MixtureOfExpertsClassifier(n_experts=1, training="em").fit(X, y, subject=subject)
    assert moe.lower_bound_ > one.lower_bound_ + 0.1


def three_planes(seed, n=88):
    """Planes in two columns; the gate may see the second alone. X, y and the plane of each row."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    plane = np.searchsorted([-1 / 3, 1 / 3], X[:, 1] + rng.logistic(size=n) / 8)
    slopes, intercepts = rng.normal(size=(3, 2)), 0.5 * rng.normal(size=3)
    y = np.einsum("nd,nd->n", X, slopes[plane]) + intercepts[plane]
    return X, y + 0.12 * rng.normal(size=n), plane


@pytest.mark.parametrize("seed", range(2))
def test_three_planes_on_few_rows_are_found_behind_a_gate_that_sees_one_column(seed):
    X, y, plane = three_planes(seed)
    one_column = ColumnTransformer([("second", "passthrough", [1])])
    params = {"n_experts": 3, "gate": make_pipeline(one_column, SoftmaxGate()), "cv": False}
    of_plane = np.eye(3)[plane]
    from_truth = MixtureOfExpertsRegressor(
        init=lambda *args: of_plane, n_init=1, **params, training="em"
    )
    best = from_truth.fit(X, y).lower_bound_
    moe = MixtureOfExpertsRegressor(random_state=seed, **params, training="em").fit(X, y)
    assert len(y) * (moe.lower_bound_ - best) > -0.5  # of a log-likelihood of some tens
