"""One pass by blocks an iteration: several outputs, three classes, counts, Gamma targets."""

import numpy as np
import pytest
from mixtures import assert_same_parameters, fit_from, mixture_of, problem_of
from numpy.testing import assert_allclose
from planted import rows_and_start
from scipy import special, stats
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor

import skmoe._em.sums as block_pass_module
from skmoe._data import ArrayRows
from skmoe._em.one_pass import OnePassProblem
from skmoe._em.sums import ClassErrors, FamilyErrors, GaussianErrors, PassParameters, block_pass
from skmoe._families.counts import PoissonFamily
from skmoe._families.positive import GammaFamily
from skmoe.likelihoods import Gaussian

KINDS = ["outputs", "three", "counts", "gamma"]


def problem_that_trains(kind, X, y, weight, resp, **params):
    moe = mixture_of(kind, n_experts=resp.shape[1], cv=False, training="em", **params)
    return problem_of(moe, X, y, weight)


# Sums ---------------------------------------------------------------------------------------------


def reference(errors, design, functions, y):
    """Log-densities (n, K), slopes and Hessians of each row in its functions, and squares."""
    n, K, m = functions.shape
    rows = np.arange(n)
    if isinstance(errors, GaussianErrors):
        mean = functions * errors.y_scale + errors.y_mean
        log_density = stats.norm(mean, errors.scale).logpdf(y[:, None]).sum(axis=2)
        left = (y[:, None] - mean) / errors.y_scale
        return log_density, left, np.ones((n, K, 1)), left**2
    if isinstance(errors, ClassErrors):
        proba = special.softmax(functions, axis=2)
        log_density = np.log(proba[rows, :, y])
        pairs = [(a, b) for b in range(m) for a in range(b)]
        bend = np.stack([proba[..., a] * proba[..., b] for a, b in pairs], axis=2)
        return log_density, np.eye(m)[y][:, None] - proba, bend, None
    mean = np.exp(functions[..., 0])
    if isinstance(errors.family, PoissonFamily):
        log_density = stats.poisson(mean).logpmf(y[:, None])
        return log_density, (y[:, None] - mean)[..., None], mean[..., None], None
    ratio = y[:, None] / mean
    log_density = stats.gamma(errors.scale, scale=mean / errors.scale).logpdf(y[:, None])
    unit = (1 + np.log(ratio) - ratio)[..., None]
    return log_density, (ratio - 1)[..., None], ratio[..., None], unit


def drawn_pass(kind, n, seed=0):
    rng = np.random.default_rng(seed)
    X, K, m = rng.normal(size=(n, 2)) + 3, 3, {"outputs": 2, "three": 4}.get(kind, 1)
    y = {
        "outputs": rng.normal(size=(n, 2)) * [1, 10] + 2,
        "three": rng.integers(0, 4, size=n),
        "counts": rng.poisson(2.0, size=n),
        "gamma": rng.gamma(3.0, size=n),
    }[kind]
    errors = {
        "outputs": GaussianErrors(
            rng.uniform(1, 3, (K, 2)), np.array([2.0, 1.0]), np.array([1, 9])
        ),
        "three": ClassErrors(),
        "counts": FamilyErrors(PoissonFamily()),
        "gamma": FamilyErrors(GammaFamily(), rng.uniform(1, 5, K)),
    }[kind]
    gate, experts = rng.normal(size=(3, K)), rng.normal(size=(K, 3, m))
    parameters = X.mean(axis=0), X.std(axis=0), gate, experts, errors
    return X, y, rng.uniform(size=n), parameters


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_their_definitions(kind, given, monkeypatch):
    monkeypatch.setattr(block_pass_module, "PASS_ROWS", 64)
    X, y, weight, parameters = drawn_pass(kind, 150)
    mean, scale, gate, experts, errors = parameters
    resp = np.random.default_rng(1).dirichlet(np.ones(3), size=150) if given else None
    sums = block_pass(
        ArrayRows(X, y, weight), PassParameters(*parameters, resp=resp, with_curvature=True)
    )
    design = np.column_stack([(X - mean) / scale, np.ones(150)])
    log_gate = special.log_softmax(design @ gate, axis=1)
    functions = np.einsum("np,kpm->nkm", design, experts)
    log_density, slope, bend, squares = reference(errors, design, functions, y)
    if given:
        value = weight @ (resp * log_gate).sum(axis=1)
        if kind != "outputs":
            value += weight @ (resp * log_density).sum(axis=1)
    else:
        joint = log_gate + log_density
        value = weight @ special.logsumexp(joint, axis=1)
        resp = special.softmax(joint, axis=1)
    if hasattr(errors, "constant") and errors.constant is not None:
        value -= weight @ errors.constant(y.astype(float))
    mass, proba = resp * weight[:, None], np.exp(log_gate)
    expected = {
        "value": value,
        "mass": mass.sum(axis=0),
        "cross": np.einsum("nk,np,nkm->kpm", mass, design, slope),
        "gram": np.einsum("nk,nkg,np,nq->kgpq", mass, bend, design, design),
        "excess": design.T @ (mass - proba * weight[:, None]),
        "pairs": np.stack(
            [
                np.einsum("n,np,nq->pq", weight * proba[:, a] * proba[:, b], design, design)
                for b in range(3)
                for a in range(b)
            ]
        ),
    }
    for name, each in expected.items():
        assert_allclose(getattr(sums, name), each, rtol=1e-11, atol=1e-11)
    if squares is not None:
        squares = np.einsum("nk,nkm->km", mass, squares)
        assert_allclose(sums.squares, squares if kind == "outputs" else squares[:, 0], rtol=1e-11)


def test_large_counts_near_their_means_lose_no_digits():
    y, step = np.full(1, 1e12), 1e-9
    functions = np.log(y)[None, None] + step
    log_probability, (_, slope, *_) = FamilyErrors(PoissonFamily()).compare(y, functions)
    step = functions[0, 0, 0] - np.log(y[0])  # as it was rounded
    assert_allclose(-slope, y[0] * np.expm1(step), rtol=1e-12)
    assert_allclose(log_probability, -0.5 * y[0] * step**2, rtol=1e-6)


# EM -----------------------------------------------------------------------------------------------


EXPERTS = [
    ("outputs", {}),
    ("outputs", {"likelihood": Gaussian("shared")}),
    ("outputs", {"experts": LinearRegression()}),
    ("three", {}),
    ("three", {"experts": LogisticRegression(C=0.1)}),
    ("counts", {}),
    ("counts", {"experts": PoissonRegressor(alpha=0)}),
    ("gamma", {}),
]


@pytest.mark.parametrize(("kind", "params"), EXPERTS)
def test_both_problems_end_at_the_same_optimum(kind, params):
    data = rows_and_start(kind, n=500, n_experts=2)
    fast = fit_from(kind, *data, **params)
    assert fast.n_iter_ < 800
    general = fit_from(kind, *data, general=True, max_iter=2000, **params)
    assert type(fast.experts_[0]) is type(general.experts_[0])
    # Objectives within 1e-12 of their highest leave parameters the root of that.
    assert_same_parameters(fast, general, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_objective_never_falls(kind):
    for seed in range(6):
        n_experts = 2 + seed % 3
        X, y, weight, near = rows_and_start(kind, n=150, n_experts=n_experts, random_state=seed)
        any_resp = np.random.default_rng(seed).dirichlet(np.ones(n_experts), size=len(X))
        resp = near if seed % 2 else any_resp
        problem = problem_that_trains(kind, X, y, weight, resp)
        assert type(problem) is OnePassProblem
        problem.start(resp)
        objectives = [problem.step() for _ in range(60)]
        # Sums of 150 rows of order ten; see ROUNDING of the sweeps.
        assert np.diff(objectives).min() >= -1e-12 * max(1.0, np.abs(objectives).max())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_two_are_rows_given_twice(kind):
    X, y, _, resp = rows_and_start(kind, n=300)
    times = np.random.default_rng(1).integers(0, 3, size=len(X))
    twice = np.repeat(np.arange(len(X)), times)
    one = fit_from(kind, X, y, times.astype(float), resp, max_iter=15)
    other = fit_from(kind, X[twice], y[twice], None, resp[twice], max_iter=15)
    assert_same_parameters(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_an_expert_of_no_rows_and_copies_stay_finite(kind):
    X, y, weight, resp = rows_and_start(kind, n=200)
    resp = np.column_stack([resp[:, 0], resp[:, 0], 0 * resp[:, 0]])
    resp /= resp.sum(axis=1, keepdims=True)
    moe = fit_from(kind, X, y, weight, resp, max_iter=10)
    assert np.isfinite(moe.lower_bounds_).all()
    assert np.isfinite(moe.predict_proba(X) if kind == "three" else moe.predict(X)).all()
