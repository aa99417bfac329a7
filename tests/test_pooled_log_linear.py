"""Partial pooling of counts and positive targets: the bound, regimes or none, how it is used."""

import numpy as np
import pytest
from planted import linear_models
from scipy import special, stats
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._data import Rows, Subjects, TrainingData
from skmoe._em.starts import STARTS, soften
from skmoe._experts.pooled_generalized_linear import PooledGeneralizedLinearExperts
from skmoe._families.counts import PoissonFamily
from skmoe._families.positive import GammaFamily
from skmoe._numerics.gamma_shapes import inverse_trigamma, shape_of_deviance
from skmoe._pooling.problem import PooledGate, PooledProblem
from skmoe.gates import ConstantGate
from skmoe.likelihoods._counts import PooledPoisson
from skmoe.likelihoods._positive import PooledGamma

N_TEST = 4000
KINDS = ["poisson", "gamma"]


def pooled(kind="poisson", **params):
    defaults = {"n_experts": 2, "training": "pooled", "n_init": 4, "random_state": 0}
    return MixtureOfExpertsRegressor(likelihood=kind, **defaults | params)


def log_linear_rows(kind, n, p, seed, **params):
    """Rows to fit and to test."""
    X, y, *_ = linear_models(kind, n, p, seed, n_test=N_TEST, level=1.0, **params)
    return X[:n], y[:n], X[n:], y[n:]


def problem(kind, X, y, weight, n_experts, **settings):
    subjects = settings.pop("subject", None)
    likelihood = {"poisson": PooledPoisson, "gamma": PooledGamma}[kind]()
    likelihood = likelihood.fitting(in_sample=True, linear=True).start(y, weight, 1)
    experts = PooledGeneralizedLinearExperts(X, y, weight, family=likelihood.family, **settings)
    units = None if subjects is None else Subjects(subjects, weight)
    data = TrainingData.of(Rows(X, y, weight), X, np.sqrt(y), subjects=units)
    seen = X if n_experts > 1 and subjects is None else X[:, :0]
    gate = PooledGate(seen, weight if subjects is None else data.subjects.row_weight)
    return PooledProblem(experts.resized(n_experts), gate, likelihood, data)


# Expectations ---------------------------------------------------------------------------------


SHAPES = np.array([3.0, 0.4])


def expected(kind, y, mean, variance, exposure=1.0):
    """Of the log-density, its slope in the mean, and -2 times that in the variance."""
    family = {"poisson": PoissonFamily, "gamma": GammaFamily}[kind]()
    scale = 1.0 if kind == "poisson" else SHAPES
    value, *slopes = family.expected_unit(y / exposure, mean, variance)
    rest = family.normaliser(scale) + family.constant(y, exposure)
    return exposure * scale * value + rest, *(exposure * scale * each for each in slopes)


def test_inverse_trigamma():
    value = np.array([1e-12, 1e-6, 0.01, 1.0, 30.0, 1e8])
    np.testing.assert_allclose(special.polygamma(1, inverse_trigamma(value)), value, rtol=1e-10)


# The bound ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "p", "n_experts", "seed"),
    [*((80, 3, 3, seed) for seed in range(2)), (60, 5, 1, 0), (40, 60, 2, 1), (20, 30, 3, 1)],
)
def test_bound_never_falls_and_compiled_rounds_are_those_of_numpy(
    kind, n, p, n_experts, seed, monkeypatch
):
    X, y, *_ = log_linear_rows(kind, n, p, seed, regimes=2)
    weight = np.random.default_rng(seed).exponential(size=n)
    exposure = np.random.default_rng(seed).uniform(0.1, 5, size=n)
    settings = {"exposure": exposure} if kind == "poisson" else {}
    compiled, training = (problem(kind, X, y, weight, n_experts, **settings) for _ in range(2))
    given = X, training.data.target, weight, n_experts, np.random.RandomState(seed)
    start = soften(STARTS["functions"](*given), n_experts)
    run = compiled.start(start).advance(6, -np.inf, False, [], -np.inf)
    monkeypatch.setattr(PooledGeneralizedLinearExperts, "has_run", False)
    training.start(start)
    bounds = [training.step() for _ in run]
    np.testing.assert_allclose(run, bounds, rtol=1e-8)
    np.testing.assert_allclose(compiled.experts.coef, training.experts.coef, atol=1e-7)
    np.testing.assert_allclose(compiled.experts.scales, training.experts.scales, rtol=1e-7)
    bounds = np.array(bounds + [training.step() for _ in range(44)])
    # Rounding of sums over rows, of numbers of about the size of the bound.
    assert (np.diff(bounds) >= -1e-9 * np.maximum(1, np.abs(bounds[1:]))).all()
    assert bounds[-1] > bounds[0]


@pytest.mark.parametrize("kind", KINDS)
def test_bound_never_falls_with_subjects(kind):
    X, y, *_ = log_linear_rows(kind, 80, 4, 0, regimes=2)
    subject = np.repeat(np.arange(20), 4)
    weight = np.random.default_rng(0).exponential(size=80)
    training = problem(kind, X, y, weight, 3, subject=subject)
    training.start(0.1 + 0.7 * np.eye(3)[subject % 2])
    assert (np.diff([training.step() for _ in range(40)]) >= -1e-9).all()
    assert np.ptp(training.experts.coef[:, 0]) > 0


def test_one_expert_of_one_column_is_about_its_exact_posterior():
    rng = np.random.default_rng(0)
    X, exposure = rng.normal(size=(30, 1)), rng.uniform(1, 3, size=30)
    y = rng.poisson(exposure * np.exp(0.7 * X[:, 0] + 0.2)).astype(float)
    training = problem("poisson", X, y, np.ones(30), 1, exposure=exposure).start(np.ones((30, 1)))
    for _ in range(100):
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
    means = exposure[:, None] * np.exp(design @ grid.T + np.log(experts.unit))
    log_joint = stats.poisson.logpmf(y[:, None], means).sum(axis=0) + prior
    cell = (slopes[1] - slopes[0]) * (intercepts[1] - intercepts[0])
    evidence = (special.logsumexp(log_joint) + np.log(cell)) / 30
    assert evidence - 1e-3 < bound < evidence
    proba = special.softmax(log_joint)
    mean = proba @ grid
    std = np.sqrt(proba @ (grid - mean) ** 2)
    np.testing.assert_allclose(coefficients.mean[0], mean, atol=0.05 * std.max())
    np.testing.assert_allclose(deviation, std, rtol=0.05)


# Regimes or none ------------------------------------------------------------------------------


def log_density_of_one(kind, X, y, X_test, y_test):
    settings = {"alpha": 1e-6, "solver": "newton-cholesky", "tol": 1e-8}
    if kind == "poisson":
        line = PoissonRegressor(**settings).fit(X, y)
        return stats.poisson.logpmf(y_test, line.predict(X_test)).mean()
    line = GammaRegressor(**settings).fit(X, y)
    ratio = y / line.predict(X)
    shape = shape_of_deviance(np.mean(ratio - 1 - np.log(ratio)))
    return stats.gamma.logpdf(y_test, shape, scale=line.predict(X_test) / shape).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "p", "seed"), [(60, 5, 0), pytest.param(100, 10, 1, marks=pytest.mark.slow)]
)
def test_without_regimes_there_is_one_expert(kind, n, p, seed):
    X, y, X_test, y_test = log_linear_rows(kind, n, p, seed)
    moe = pooled(kind, n_experts="auto").fit(X, y)
    assert len(moe.experts_) == 1
    assert list(moe.log_evidence_) == [1, 2, 3, 4]
    one = log_density_of_one(kind, X, y, X_test, y_test)
    assert moe.log_density(X_test, y_test).mean() > one - 0.03


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_two_regimes_are_found_without_being_told(kind, seed):
    X, y, X_test, y_test = log_linear_rows(kind, 200, 5, seed, regimes=2)
    moe = pooled(kind, n_experts="auto").fit(X, y)
    told = pooled(kind, training="em").fit(X, y)
    assert len(moe.experts_) == 2
    gain = moe.log_density(X_test, y_test).mean() - told.log_density(X_test, y_test).mean()
    assert gain > -0.02


@pytest.mark.parametrize("kind", KINDS)
def test_more_columns_than_rows_are_taken(kind):
    X, y, X_test, y_test = log_linear_rows(kind, 50, 70, 0)
    moe = pooled(kind, n_experts="auto").fit(X, y)
    constant = pooled(kind, n_experts=1).fit(0 * X, y).log_density(0 * X_test, y_test)
    assert moe.log_density(X_test, y_test).mean() > constant.mean() - 0.05
    assert np.isfinite(moe.predict(10 * X_test)).all()


# Invariance -----------------------------------------------------------------------------------

X2, Y2, X2_TEST, Y2_TEST = log_linear_rows("poisson", 120, 3, 0, regimes=2)
HOURS = np.random.default_rng(0).uniform(0.5, 4, size=len(Y2))


@pytest.fixture(scope="module")
def fitted_counts():
    return pooled().fit(X2, Y2, exposure=HOURS)


def assert_alike(one, other, atol=1e-5):
    """The same but for where EM stopped."""
    assert len(one.experts_) == len(other.experts_)
    values = (moe.log_density(X2_TEST, Y2_TEST).mean() for moe in (one, other))
    np.testing.assert_allclose(*values, atol=atol)


def test_weight_of_two_is_a_row_given_twice():
    twice = np.arange(len(Y2)) % 3 == 0
    rows = np.append(np.arange(len(Y2)), np.flatnonzero(twice))
    weighted = pooled().fit(X2, Y2, sample_weight=1.0 + twice, exposure=HOURS)
    repeated = pooled().fit(X2[rows], Y2[rows], exposure=HOURS[rows])
    assert_alike(weighted, repeated)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, atol=1e-6)


def test_units_do_not_matter(fitted_counts):
    units = np.array([1e-3, 1.0, 1e5])
    scaled = pooled().fit(X2 * units + 7, Y2, exposure=60 * HOURS)
    np.testing.assert_allclose(scaled.lower_bound_, fitted_counts.lower_bound_, rtol=1e-6)
    found = 60 * scaled.predict(X2_TEST * units + 7)
    np.testing.assert_allclose(found, fitted_counts.predict(X2_TEST), rtol=1e-3)


def test_counts_of_two_rows_are_those_of_one_with_their_exposures_together():
    X, y = np.repeat(X2, 2, axis=0), np.random.default_rng(0).poisson(np.repeat(Y2, 2))
    hours = np.repeat(HOURS, 2)
    apart = pooled(n_experts=1).fit(X, y, exposure=hours)
    y_sum, hours_sum = y.reshape(-1, 2).sum(axis=1), hours.reshape(-1, 2).sum(axis=1)
    together = pooled(n_experts=1).fit(X2, y_sum, exposure=hours_sum)
    np.testing.assert_allclose(apart.predict(X2), together.predict(X2), rtol=1e-4)


# How it is used -------------------------------------------------------------------------------


def test_experts_are_log_linear_models_and_what_is_asked_agrees(fitted_counts):
    assert len(fitted_counts.experts_) == 2
    assert all(type(expert) is PoissonRegressor for expert in fitted_counts.experts_)
    X, y, hours = X2_TEST[:100], Y2_TEST[:100], np.linspace(1, 3, 100)
    design, shapes = fitted_counts.likelihood_.columns_.design(X), []
    for (cov,) in fitted_counts.likelihood_.coef_cov_:
        shapes.append(inverse_trigamma(np.einsum("ij,jk,ik->i", design, cov, design)))
    shape = np.column_stack(shapes)
    plug_in = np.column_stack([expert.predict(X) for expert in fitted_counts.experts_])
    np.testing.assert_allclose(fitted_counts.predict_experts(X), plug_in)
    mean = hours[:, None] * plug_in * shape / np.exp(special.digamma(shape))
    gate = fitted_counts.gate_proba(X)
    found = fitted_counts.predict(X, exposure=hours)
    np.testing.assert_allclose(found, (gate * mean).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found, hours * fitted_counts.predict(X), rtol=1e-9)
    pmf = gate * stats.nbinom.pmf(y[:, None], shape, shape / (shape + mean))
    density = fitted_counts.log_density(X, y, exposure=hours)
    np.testing.assert_allclose(density, np.log(pmf.sum(axis=1)), rtol=1e-8)
    resp = fitted_counts.responsibilities(X, y, exposure=hours, by="expert")
    np.testing.assert_allclose(resp, pmf / pmf.sum(axis=1, keepdims=True), atol=1e-9)
    draws = fitted_counts.sample_y(X[:1], 20000, random_state=0)[0]
    expected, std = fitted_counts.predict(X[:1], return_std=True)
    assert abs(draws.mean() - expected[0]) < 4 * std[0] / np.sqrt(20000)
    report = fitted_counts.expert_report(X2, Y2, exposure=HOURS).columns
    # That of fit has the responsibilities of the bound.
    expected = fitted_counts.expert_report().columns["error"]
    np.testing.assert_allclose(report["error"], expected, rtol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_patients_share_a_regime_each(kind):
    patient, rng = np.repeat(np.arange(30), 6), np.random.default_rng(0)
    X, regime = rng.normal(size=(180, 2)), np.repeat(np.arange(30), 6) % 2
    y = rng.poisson(np.exp(1 + np.where(regime, 0.6, -0.6) * X[:, 0])) + (kind != "poisson")
    moe = pooled(kind, n_experts="auto", gate=ConstantGate()).fit(X, y, subject=patient)
    assert len(moe.experts_) == 2
    found = moe.responsibilities(X, y, subject=patient).argmax(axis=1)
    assert max((found == regime).mean(), (found != regime).mean()) > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 6])
def test_few_rows_are_enough(kind, n):
    moe = pooled(kind, n_experts="auto").fit(X2[:n], 1 + Y2[:n])
    assert np.isfinite(moe.predict(X2_TEST)).all()
    assert np.isfinite(moe.log_density(X2_TEST, Y2_TEST + 1)).all()


def test_an_outlier_a_single_event_and_constant_columns_are_taken():
    y = np.where(np.arange(len(Y2)) == 3, 1e6, Y2)
    assert np.isfinite(pooled().fit(X2, y).log_density(X2_TEST, Y2_TEST)).all()
    assert 0 < pooled().fit(X2, np.where(np.arange(len(Y2)) == 3, 1.0, 0.0)).predict(X2).sum() < 5
    constant = np.ones((len(Y2), 2))
    moe = pooled(n_experts=1).fit(constant, Y2)
    np.testing.assert_allclose(moe.predict(constant[:1]), Y2.mean(), rtol=0.01)


def test_summary_of_one_regime_has_the_curvature_of_its_likelihood(fitted_counts):
    assert fitted_counts.n_regimes_ == 1
    frame = fitted_counts.summary(X2, Y2, exposure=HOURS, by="expert").to_frame()
    levels = frame["estimate"].xs("intercept", level=1)
    point = np.concatenate([levels[:2], fitted_counts.experts_[0].coef_, levels[2:]])

    def loss(p):  # levels of two experts, their slopes, log-odds of the second
        mean = np.exp(X2 @ p[2:-1] + p[:2, None]) * HOURS
        log_gate = -np.logaddexp(0, [[p[-1]], [-p[-1]]])
        return -special.logsumexp(stats.poisson.logpmf(Y2, mean) + log_gate, axis=0).sum()

    steps = 1e-3 * np.eye(len(point))
    hessian = [
        [
            sum(s * t * loss(point + s * a + t * b) for s in (1, -1) for t in (1, -1)) / 4e-6
            for a in steps
        ]
        for b in steps
    ]
    std = np.sqrt(np.diag(np.linalg.inv(hessian)))
    found = frame["std_error"].to_numpy()
    # The prior leaves them a little less than the likelihood alone.
    np.testing.assert_allclose(found[[0, 4, 1, 2, 3, 8]], std, rtol=0.03)
    np.testing.assert_allclose(found[5:8], found[1:4])


@pytest.fixture(scope="module")
def positive():
    X, y, *_ = log_linear_rows("gamma", 120, 3, 0, regimes=2)
    return X, y, pooled("gamma").fit(X, y)


def test_of_positive_targets_what_is_asked_agrees(positive):
    X, y, moe = positive
    assert all(type(expert) is GammaRegressor for expert in moe.experts_)
    np.testing.assert_allclose(moe.likelihood_.shape_, 5.0, rtol=0.5)
    distribution = moe.predict_dist(X)
    np.testing.assert_allclose(moe.predict(X), distribution.mean())
    np.testing.assert_allclose(moe.log_density(X, y), np.log(distribution.pdf(y)), rtol=1e-9)
    assert (distribution.components.mean > moe.predict_experts(X)).all()
    low, high = moe.predict_interval(log_linear_rows("gamma", 120, 3, 0, regimes=2)[2]).T
    test = log_linear_rows("gamma", 120, 3, 0, regimes=2)[3]
    assert 0.83 < ((low < test) & (test < high)).mean() < 0.96
    shapes = moe.summary(X, y).to_frame().xs("log_shape", level="term")
    np.testing.assert_allclose(np.exp(shapes["estimate"]), moe.likelihood_.shape_)
    # A log-shape is known to about the root of two over its rows.
    expected = np.sqrt(2 / moe.responsibilities(X, y).sum(axis=0))
    np.testing.assert_allclose(shapes["std_error"], expected, rtol=0.15)


def test_constant_exact_tiny_and_outlying_targets_are_taken():
    moe = pooled("gamma", n_experts="auto").fit(X2, np.full(len(Y2), 3.0))
    np.testing.assert_allclose(moe.predict(X2[:5]), 3.0, rtol=1e-3)
    moe = pooled("gamma", n_experts="auto").fit(X2, np.exp(X2[:, 0]))
    np.testing.assert_allclose(moe.predict(X2), np.exp(X2[:, 0]), rtol=1e-2)
    y = 1e-300 + np.random.default_rng(0).gamma(0.05, size=len(Y2))
    assert np.isfinite(pooled("gamma", n_experts=1).fit(X2, y).log_density(X2, y)).all()
    y = np.where(np.arange(len(Y2)) == 3, 1e9, Y2 + 1)
    moe = pooled("gamma").fit(X2, y)
    plain = pooled("gamma", n_experts=1, training="em").fit(X2, y)
    assert moe.log_density(X2, y).mean() > plain.log_density(X2, y).mean()
