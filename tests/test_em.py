"""EM: the likelihood rises, and to where independent implementations find it rise."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_less
from planted import planted
from scipy import special, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.loop import run_em
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import ConstantGate, SoftmaxGate


class PlainLinearRegression(LinearRegression):
    """Linear regression that the mixture does not recognise, and so fits as any estimator."""


def rows_of_lines(seed, n=300, n_experts=2, n_outputs=None):
    """Linear experts behind a soft gate in three columns of unlike scale."""
    noise = np.linspace(0.3, 0.8, n_experts)
    truth = {"coef": 2.0, "intercept": 3.0, "noise": noise, "n_outputs": n_outputs}
    X, y, *_ = planted(n, n_experts=n_experts, random_state=seed, **truth)
    return X * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0], y


def rows_of_classes(seed, n=400, n_experts=2, n_classes=2):
    truth = {"coef": 2.5, "n_outputs": n_classes, "kind": "classes"}
    X, y, *_ = planted(n, 2, n_experts=n_experts, random_state=seed, **truth)
    return X * [1.0, 5.0], np.unique(y, return_inverse=True)[1]


def weights(seed, n):
    """Some zero, some large."""
    return np.random.default_rng(seed + 100).integers(0, 4, size=n) * 0.7


def iterate(moe, X, y, sample_weight=None):
    """Fit to the last of max_iter iterations, whatever is gained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return moe.fit(X, y, sample_weight)


# Default experts are pooled unless they are told not to be: both objectives rise.
LINES = [(None, "em"), (None, "pooled"), (LinearRegression(), "em")]


def assert_never_falls(moe):
    assert moe.n_iter_ > 3
    # A sum of some hundred terms of order one, per unit of weight: rounding is below 1e-13 and
    # Newton steps are accepted on such a rounded comparison, so 1e-9 is well above.
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    assert_allclose(moe.lower_bound_, max(moe.lower_bounds_), rtol=0, atol=0)


# Monotone likelihood ----------------------------------------------------------------------------


def test_starts_rise_to_where_em_goes_on_from():
    X, y = rows_of_lines(seed=3, n_experts=3)
    moe = iterate(
        MixtureOfExpertsRegressor(n_experts=3, n_init=6, random_state=0, training="em"), X, y
    )
    paths = moe.start_lower_bounds_
    lengths = sorted(map(len, paths))
    assert len(paths) > 6  # moves follow
    assert min(np.diff(path).min() for path in paths) > -1e-9
    # Each start and move had a hundred iterations at most, the two best of them more.
    assert lengths[-3] <= 115
    assert lengths[-1] <= 415
    assert_allclose(max(map(max, paths)), moe.lower_bounds_[0], atol=1e-3)
    assert max(map(max, paths)) <= moe.lower_bounds_[0] + 1e-9
    optima = moe.expert_report().optima
    assert_allclose(max(map(max, paths)), optima[0]["objective"])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize(("experts", "training"), LINES)
@pytest.mark.parametrize("seed", range(2))
def test_likelihood_of_regression_never_falls(seed, experts, training, gate, weighted):
    n_experts = 2 + seed % 2
    X, y = rows_of_lines(seed, n_experts=n_experts)
    moe = MixtureOfExpertsRegressor(
        experts, n_experts, gate=gate, n_init=1, max_iter=40, tol=0, random_state=seed,
        training=training,
    )  # fmt: skip
    iterate(moe, X, y, weights(seed, len(y)) if weighted else None)
    assert moe.plan_.training == training
    assert_never_falls(moe)


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize(("experts", "training"), LINES)
def test_likelihood_of_two_outputs_never_falls(experts, training, gate):
    X, y = rows_of_lines(0, n_outputs=2)
    moe = MixtureOfExpertsRegressor(
        experts, 2, gate=gate, n_init=1, max_iter=40, tol=0, random_state=0, training=training
    )
    iterate(moe, X, y, weights(0, len(y)))
    assert moe.plan_.training == training
    assert_never_falls(moe)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("experts", [None, LogisticRegression(C=1.0)])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_likelihood_of_classification_never_falls(seed, n_classes, experts, gate, weighted):
    X, y = rows_of_classes(seed, n_experts=2 + seed, n_classes=n_classes)
    moe = MixtureOfExpertsClassifier(
        experts, 2 + seed, gate=gate, n_init=1, max_iter=40, tol=0, random_state=seed,
        training="em",
    )  # fmt: skip
    iterate(moe, X, y, weights(seed, len(y)) if weighted else None)
    assert_never_falls(moe)


def test_likelihood_never_falls_where_the_gate_has_too_many_parameters_for_newton():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 260))  # 2 x 261 parameters of the gate
    y = np.where(X[:, 0] + X[:, 1] > 0, 3 + X[:, 2], -3 - X[:, 3]) + 0.5 * rng.normal(size=600)
    moe = MixtureOfExpertsRegressor(
        Ridge(alpha=0.0), 2, gate=SoftmaxGate(alpha=1.0), cv=False, n_init=1, max_iter=15, tol=0
    )
    iterate(moe.set_params(random_state=0), X, y)
    assert_never_falls(moe)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_likelihood_never_falls_on_the_floor_of_the_scale():
    x = np.linspace(-1, 1, 60)
    y = np.where(x < 0, x, 1 - x)  # without noise
    moe = MixtureOfExpertsRegressor(
        n_experts=2, n_init=1, max_iter=40, tol=0, random_state=0, training="em"
    )
    iterate(moe, x[:, None], y)
    assert_allclose(moe.likelihood_.scale_, moe.likelihood_.floor_, rtol=1e-12)
    assert_never_falls(moe)


# An independent reference -----------------------------------------------------------------------


def reference_em(X, y, resp, weight, alpha, n_iter):
    """Linear regressions behind a softmax gate: normal equations and Newton to convergence.

    Returns coefficients (K, d + 1), standard deviations (K,) and gate probabilities (n, K).
    """
    n, K = resp.shape
    mean = np.average(X, axis=0, weights=weight)
    Z = np.c_[(X - mean) / np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight)), np.ones(n)]
    design = np.c_[X, np.ones(n)]
    p = Z.shape[1]
    V = np.zeros((K - 1, p))  # the last expert's are minus the sum of the others
    contrast = np.vstack([np.eye(K - 1), -np.ones(K - 1)])
    penalty = alpha * np.append(np.ones(p - 1), 0.0)
    for _ in range(n_iter):
        beta, sigma = [], []
        for k in range(K):
            w = weight * resp[:, k]
            beta.append(np.linalg.solve((design.T * w) @ design, (design.T * w) @ y))
            sigma.append(np.sqrt(w @ (y - design @ beta[-1]) ** 2 / w.sum()))
        beta, sigma = np.array(beta), np.array(sigma)
        for _ in range(50):
            pi = special.softmax(Z @ (contrast @ V).T, axis=1)
            full = ((resp - pi) * weight[:, None]).T @ Z - contrast @ V * penalty
            H = np.zeros((K, p, K, p))
            for a in range(K):
                for b in range(K):
                    w = weight * pi[:, a] * ((a == b) - pi[:, b])
                    H[a, :, b, :] = (Z.T * w) @ Z + (a == b) * np.diag(penalty)
            H = np.einsum("ai,apbq,bj->ipjq", contrast, H, contrast).reshape(p * (K - 1), -1)
            step = np.linalg.solve(H, (contrast.T @ full).ravel()).reshape(V.shape)
            V += step
            if np.abs(step).max() < 1e-12:
                break
        pi = special.softmax(Z @ (contrast @ V).T, axis=1)
        resp = pi * stats.norm.pdf(y[:, None], design @ beta.T, sigma)
        resp /= resp.sum(axis=1, keepdims=True)
    return beta, sigma, pi


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("seed", "n_experts"), [(0, 2), (1, 3)])
def test_regression_reaches_the_optimum_of_an_independent_em(seed, n_experts, weighted):
    X, y = rows_of_lines(seed, n=400, n_experts=n_experts)
    weight = weights(seed, len(y)) if weighted else np.ones(len(y))
    mean, std = X.mean(axis=0), X.std(axis=0)
    start = special.softmax(
        (X - mean) / std @ np.random.default_rng(seed).normal(size=(3, n_experts)), axis=1
    )
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), n_experts, init=lambda *args: start, n_init=1, max_iter=2000, tol=1e-13
    ).fit(X, y, weight)
    beta, sigma, pi = reference_em(X, y, start, weight, alpha=0.1, n_iter=1000)

    order = np.argsort(-(weight @ pi))
    fitted = np.column_stack(
        [[e.coef_ for e in moe.experts_], [e.intercept_ for e in moe.experts_]]
    )
    # Both stop where an iteration gains nothing: at 1e-13 per row the parameters are within
    # the root of it, about 1e-6, of the optimum.
    assert_allclose(fitted, beta[order], rtol=1e-5, atol=1e-5)
    assert_allclose(moe.likelihood_.scale_, sigma[order], rtol=1e-5)
    assert_allclose(moe.gate_proba(X), pi[:, order], atol=1e-5)


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_linear_regression_fitted_as_any_estimator_takes_the_same_path(
    n_outputs, gate, monkeypatch
):
    monkeypatch.setattr("skmoe.gates._softmax.LONGEST_DRIFT", -1.0)  # curvature at each step
    monkeypatch.setattr("skmoe._em.one_pass.OnePassProblem.accelerates", False)
    monkeypatch.setattr("skmoe._em.general.GeneralProblem.accelerates", False)
    X, y = rows_of_lines(3, n_outputs=n_outputs)
    start = np.random.default_rng(0).dirichlet(np.ones(2), size=len(y))
    params = {"gate": gate, "init": lambda *args: start, "n_init": 1, "max_iter": 30, "tol": 1e-7}
    native = iterate(MixtureOfExpertsRegressor(LinearRegression(), 2, **params), X, y)
    general = iterate(MixtureOfExpertsRegressor(PlainLinearRegression(), 2, **params), X, y)
    assert type(general.experts_[0]) is PlainLinearRegression
    # Two least-squares solvers on well conditioned columns: rounding alone parts them, which
    # the iterations amplify somewhat.
    assert_allclose(native.lower_bounds_, general.lower_bounds_, rtol=1e-9)
    assert_allclose(native.predict(X), general.predict(X), rtol=1e-9, atol=1e-9)
    assert_allclose(native.gate_proba(X), general.gate_proba(X), rtol=1e-8, atol=1e-9)


# Classifiers at the optimum ---------------------------------------------------------------------


def penalised_log_likelihood(flat, X, Z, labels, weight, C, K):
    """Of logistic experts (penalty as in scikit-learn) behind a softmax gate (alpha 0.1)."""
    d = X.shape[1]
    n_classes = labels.shape[1]
    experts = flat[: K * (d + 1) * n_classes].reshape(K, d + 1, n_classes)
    gate = flat[K * (d + 1) * n_classes :].reshape(d + 1, K)
    log_gate = special.log_softmax(Z @ gate[:-1] + gate[-1], axis=1)
    scores = np.einsum("nd,kdc->nkc", X, experts[:, :-1]) + experts[:, -1]
    log_proba = special.log_softmax(scores, axis=2)
    own = np.einsum("nkc,nc->nk", log_proba, labels)
    likelihood = weight @ special.logsumexp(log_gate + own, axis=1)
    return likelihood - 0.5 / C * (experts[:, :-1] ** 2).sum() - 0.05 * (gate[:-1] ** 2).sum()


@pytest.mark.parametrize("n_experts", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_the_penalised_likelihood_vanishes_for_a_fitted_classifier(n_experts, weighted):
    X, y = rows_of_classes(2, n=400, n_experts=n_experts, n_classes=3)
    weight = weights(0, len(y)) if weighted else np.ones(len(y))
    moe = MixtureOfExpertsClassifier(
        LogisticRegression(C=2.0), n_experts, max_iter=5000, tol=1e-13, n_init=2, random_state=0
    ).fit(X, y, weight)
    mean = np.average(X, axis=0, weights=weight)
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    Z = (X - mean) / std
    experts = [np.vstack([e.coef_.T, e.intercept_]) for e in moe.experts_]
    gate = moe.gate_
    gate = np.vstack([(gate.coef_ * std).T, gate.intercept_ + gate.coef_ @ mean])
    flat = np.concatenate([np.ravel(experts), np.ravel(gate)])
    args = (X, Z, np.eye(3)[y], weight, 2.0, n_experts)

    value = penalised_log_likelihood(flat, *args)
    assert_allclose(moe.lower_bound_, value / weight.sum(), rtol=1e-10)  # rounding of the sums
    gradient = np.empty_like(flat)
    for j in range(len(flat)):
        step = 1e-5 * np.maximum(1.0, np.abs(flat[j])) * (np.arange(len(flat)) == j)
        ahead = penalised_log_likelihood(flat + step, *args)
        behind = penalised_log_likelihood(flat - step, *args)
        gradient[j] = (ahead - behind) / (2 * step[j])
    # A gain of 1e-13 per row times 400 rows, under a curvature of up to 1e4 (columns of scale
    # 5), leaves a gradient of about 1e-3; at the start it is of the order of 100.
    assert_array_less(np.abs(gradient), 2e-3)


# Information criteria ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")  # of a third of two
@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_information_criteria_of_regression_count_every_free_parameter(n_outputs, gate):
    X, y = rows_of_lines(0, n_outputs=n_outputs)
    weight = weights(0, len(y))
    moe = MixtureOfExpertsRegressor(n_experts=3, gate=gate, random_state=0, training="em").fit(
        X, y, weight
    )
    m, d, K = n_outputs or 1, X.shape[1], 3
    in_gate = (K - 1) * (d + 1) if isinstance(gate, SoftmaxGate) else K - 1
    n_parameters = K * m * (d + 1) + K * m + in_gate
    log_likelihood = weight @ moe.predict_dist(X).logpdf(y)
    bic = -2 * log_likelihood + n_parameters * np.log(weight.sum())
    assert_allclose(moe.bic(X, y, weight), bic, rtol=1e-12)  # the same sums
    assert_allclose(moe.aic(X, y, weight), -2 * log_likelihood + 2 * n_parameters, rtol=1e-12)


# Stopping, going on, re-seeding -----------------------------------------------------------------


def test_warm_start_goes_on_from_where_the_last_fit_ended():
    X, y = rows_of_lines(1)
    params = {"n_experts": 2, "n_init": 1, "random_state": 0, "tol": 1e-12}
    at_once = iterate(MixtureOfExpertsRegressor(max_iter=30, **params, training="em"), X, y)
    moe = MixtureOfExpertsRegressor(max_iter=15, warm_start=True, **params, training="em")
    first = iterate(moe, X, y).lower_bounds_
    second = iterate(moe, X, y).lower_bounds_
    assert second[0] > first[-1]
    # Experts in the order of their load, the gate in other units: rounding parts the paths.
    assert_allclose(first + second, at_once.lower_bounds_, rtol=1e-9)


def test_stopping_before_tol_is_met_warns():
    X, y = rows_of_lines(1)
    moe = MixtureOfExpertsRegressor(n_experts=2, max_iter=3, tol=0.0, random_state=0, training="em")
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        moe.fit(X, y)
    assert not moe.converged_
    assert moe.n_iter_ == len(moe.lower_bounds_) == 3


class Scripted:
    """A problem whose objectives are given, and which is re-seeded where they ask for it."""

    def __init__(self, values, reseeded_after=()):
        self.values, self.reseeded_after, self.n_steps, self.kept = values, reseeded_after, 0, None

    def advance(self, *_):
        self.n_steps += 1
        return [self.values[self.n_steps - 1]]

    def state(self):
        return self.n_steps

    def restore(self, state):
        self.kept = state

    def revive(self):
        return self.n_steps in self.reseeded_after

    def run(self, patience, **settings):
        max_iter = len(self.values)
        run = run_em(self, max_iter=max_iter, tol=0.01, patience=patience, **settings)
        return run.converged, run.fell, self.kept, self.n_steps


@pytest.mark.parametrize("patience", [1, 2])
def test_convergence_is_a_change_within_tol_and_not_a_fall(patience):
    # Within tol, upwards and downwards, as rounding may; the highest value is kept.
    last = 2 + patience
    assert Scripted([1, 2, 2.005, 2.006, 3]).run(patience) == (True, False, last, last)
    assert Scripted([1, 2, 1.995, 1.995, 3]).run(patience) == (True, False, 2, last)
    # A fall that stays, that comes to rest below the best, and one that comes back.
    assert Scripted([1, 2, 1.5, 1.2, 1, 1]).run(patience) == (False, True, 2, 4)
    assert Scripted([1, 2, 1.5, 1.5, 1.5]).run(patience) == (False, True, 2, 4)
    assert Scripted([1, 2, 1.5, 2.5, 2.5, 2.5]).run(patience) == (True, False, 4, 4 + patience)
    assert Scripted([1, 2, np.nan, np.nan, 3]).run(patience) == (False, True, 2, 4)
    # A number is better than none, wherever it comes.
    assert Scripted([np.nan, 1, 2, 2, 2]).run(patience) == (True, False, 3, 3 + patience)
    assert Scripted([np.nan, -np.inf, -np.inf, -np.inf]).run(patience)[2] == 2
    assert Scripted([np.nan] * 3).run(patience)[:2] == (False, True)
    # Iterations that run out, while it gains and after a fall.
    assert Scripted([1, 2, 3]).run(patience) == (False, False, 3, 3)
    assert Scripted([1, 2, 1]).run(patience) == (False, False, 2, 3)


def test_convergence_is_that_of_the_iterate_that_is_kept_whatever_re_seeding_did():
    # Converged at 2, or on its way there; re-seeded, and converged at 1.5, which is thrown away.
    settled = Scripted([1, 2, 2, 1, 1.5, 1.5, 3], reseeded_after=[3])
    assert settled.run(1, revivals=1) == (True, False, 2, 6)
    on_its_way = Scripted([0, 1, 2, 1, 1.5, 1.5, 3], reseeded_after=[3])
    assert on_its_way.run(1, revivals=1) == (False, False, 3, 6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_experts_that_do_not_maximise_the_likelihood_are_not_called_converged(alpha, seed):
    X, y = rows_of_lines(seed)
    moe = MixtureOfExpertsRegressor(Lasso(alpha), 2, cv=False, n_init=2, random_state=seed)
    moe.fit(X, y)  # and does not warn of max_iter, which was not reached
    after = np.array(moe.lower_bounds_[np.argmax(moe.lower_bounds_) + 1 :])
    assert moe.n_iter_ < moe.max_iter
    assert moe.converged_ == (after >= moe.lower_bound_ - moe.tol).all()


@pytest.mark.parametrize("name", ["concrete", "power_plant", "banana", "mammographic"])
def test_defaults_converge_on_ordinary_tables(name, shared_data):
    X, y, _, info = shared_data(name)
    is_classes = info["task"] == "classification"
    mixture = MixtureOfExpertsClassifier if is_classes else MixtureOfExpertsRegressor
    X, y = np.asarray(X)[:2000], y[:2000]
    for n_experts in (2, 4):
        assert mixture(n_experts=n_experts, random_state=0).fit(X, y).converged_


def one_owns_all_but_two_rows(X, y, n_experts, random_state):
    resp = np.full((len(X), n_experts), 1e-6)
    resp[:, 0] = 1.0
    resp[:2] = [0.0, 1.0]
    return resp


@pytest.mark.parametrize("seed", range(2))
def test_an_expert_that_starts_with_next_to_nothing_is_brought_to_life(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=400)
    y = np.where(x > 0, 2 * x, -1 - x) + 0.1 * rng.normal(size=400)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, init=one_owns_all_but_two_rows, n_init=1, max_iter=500, training="em"
    ).fit(x[:, None], y)
    # A line through two rows has no residuals and keeps them: only a new start moves it.
    assert moe.expert_load_.min() > 0.4
    slopes = sorted(expert.coef_[0] for expert in moe.experts_)
    assert_allclose(slopes, [-1, 2], atol=0.05)  # five standard errors


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_more_experts_than_the_rows_can_feed_are_reported():
    x = np.repeat([-1.0, 0.0, 1.0], 20)
    y = np.tile([0.0, 1.0], 30) * (x == 0) + x
    moe = MixtureOfExpertsRegressor(n_experts=8, random_state=0, max_iter=300, training="em")
    with pytest.warns(ExpertCollapseWarning, match="next to no rows"):
        moe.fit(x[:, None], y)
    assert np.isfinite(moe.predict(x[:, None])).all()


# What X may be ----------------------------------------------------------------------------------


@pytest.mark.parametrize("training", ["em", "pooled"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_float32_gives_the_result_of_float64(kind, training):
    # From one start: rounding can choose among the moves of a search.
    settings = {"n_experts": 2, "n_init": 1, "random_state": 0, "training": training}
    if kind == "regression":
        X, y = rows_of_lines(0)
        moe = MixtureOfExpertsRegressor(**settings)
    else:
        X, y = rows_of_classes(0)
        moe = MixtureOfExpertsClassifier(**settings)
    expected = moe.fit(X, y).log_density(X, y)
    X32 = X.astype(np.float32)
    # Columns rounded to 6e-8 of themselves, and a fit that stops within tol=1e-5.
    assert_allclose(moe.fit(X32, y).log_density(X32, y), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("experts", "params"),
    [
        (None, {"training": "em"}),
        (None, {"training": "pooled"}),
        (PlainLinearRegression(), {}),
        (DecisionTreeRegressor(), {"training": "em"}),
        (DecisionTreeRegressor(), {}),
        ([("line", Ridge()), ("tree", DecisionTreeRegressor())], {}),
    ],
)
def test_read_only_data_is_left_alone_and_gives_the_same_result(experts, params):
    X, y = rows_of_lines(0, n=100)
    weight = weights(0, len(y))
    moe = MixtureOfExpertsRegressor(
        experts, 2, n_init=1, max_iter=20, tol=1e-3, random_state=0, **params
    )
    expected = moe.fit(X, y, weight).predict(X)
    for array in (X, y, weight):
        array.flags.writeable = False
    assert_allclose(moe.fit(X, y, weight).predict(X), expected, rtol=0, atol=0)
