"""Everything a predictive mixture answers, for components of every kind, against integrals."""

import numpy as np
import pytest
from mixtures import mixture_of_equals
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.distributions import (
    GaussianComponents,
    MixtureDistribution,
    ScipyComponents,
    StudentTComponents,
)

N_ROWS = 12


def parameters(seed=0, shape=(N_ROWS, 3)):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(shape[1]), size=shape[0])
    weights[::4, 0] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, 3 * rng.normal(size=shape), rng.uniform(0.1, 2, size=shape)


def gaussian(mean, scale):
    return GaussianComponents(mean, scale)


CONTINUOUS = {
    "gaussian": gaussian,
    "student_t": lambda mean, scale: StudentTComponents(mean, scale, np.array([2.5, 4, 30])),
    "laplace": lambda mean, scale: ScipyComponents(stats.laplace(loc=mean, scale=scale)),
    "log_normal": lambda mean, scale: ScipyComponents(stats.lognorm(scale, scale=np.exp(mean / 3))),
    "gamma": lambda mean, scale: ScipyComponents(stats.gamma(2.0, mean, scale)),
    "skewed": lambda mean, scale: ScipyComponents(stats.gumbel_r(mean, scale)),
}
DISCRETE = {
    "poisson": lambda mean, scale: ScipyComponents(stats.poisson(np.exp(mean / 2))),
    "negative_binomial": lambda mean, scale: ScipyComponents(
        stats.nbinom(3.0, 1 / (1 + np.exp(mean / 3)))
    ),
}
EVERY_KIND = CONTINUOUS | DISCRETE


def mixture_of(kind, seed=0):
    weights, mean, scale = parameters(seed)
    return MixtureDistribution(weights, EVERY_KIND[kind](mean, scale))


def row_of(dist, i, repeats=1):
    """The mixture of one row, which quad can integrate; by the components' parameters."""
    rows = np.full(repeats, i)
    return MixtureDistribution(dist.weights[rows], components_of(dist.components, rows))


def components_of(components, rows):
    if isinstance(components, GaussianComponents):
        return GaussianComponents(components.mean[rows], components.std[rows])
    if isinstance(components, StudentTComponents):
        own = (getattr(components, name)[rows] for name in ("mean", "scale", "df"))
        return StudentTComponents(*own)
    return ScipyComponents(components._frozen(lambda parameter: parameter[rows]))


def integral(function, dist, low, high):
    """quad over pieces that end at quantiles of the components."""
    ends = [dist.components.ppf(q)[0] for q in (0.01, 0.2, 0.5, 0.8, 0.99)]
    ends = np.unique(np.clip(np.concatenate([*ends, [low, high]]), low, high))
    pieces = zip(ends[:-1], ends[1:], strict=True)
    return sum(integrate.quad(function, a, b, epsabs=1e-11, limit=200)[0] for a, b in pieces)


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_quantiles_and_distribution_function_are_inverses(kind):
    dist = mixture_of(kind)
    for q in (1e-6, 0.03, 0.5, 0.8, 0.9999):
        assert_allclose(dist.cdf(dist.ppf(q)), q, rtol=0, atol=1e-9)
    y = dist.rvs(random_state=0)
    steep = dist.pdf(y) * dist.std() > 1e-3
    assert steep.sum() > N_ROWS // 2
    for i in np.flatnonzero(steep):
        one = row_of(dist, i)
        # A bit of the distribution function over the density.
        assert_allclose(one.ppf(one.cdf(y[i])[0]), y[i], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", DISCRETE)
def test_quantiles_of_counts_are_the_smallest_that_reach_q(kind):
    dist = mixture_of(kind)
    for q in (1e-6, 0.03, 0.5, 0.8, 0.9999):
        quantile = dist.ppf(q)
        assert (dist.cdf(quantile) >= q).all()
        assert (dist.cdf(quantile - 1) < q).all()


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_distribution_function_is_the_integral_of_the_density(kind):
    one = row_of(mixture_of(kind), 1)
    low, high = one.ppf([1e-9, 0.7])[0]
    value = integral(lambda t: one.pdf(t)[0], one, low, high)
    assert_allclose(value, 0.7, atol=1e-6)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_draws_follow_the_distribution(kind):
    dist = mixture_of(kind)
    draws = dist.rvs(2000, random_state=1)
    assert draws.shape == (N_ROWS, 2000)
    assert_array_equal(dist.rvs(2000, random_state=1), draws)
    for i in (0, 1, 5):
        one = row_of(dist, i)
        if kind in DISCRETE:
            edges = np.unique(one.ppf(np.linspace(0.1, 0.9, 8))[0])
            probability = np.diff([0.0, *[one.cdf(edge)[0] for edge in edges], 1.0])
            counts = np.bincount(np.searchsorted(edges, draws[i]), minlength=len(edges) + 1)
            p_value = stats.chisquare(counts, 2000 * probability).pvalue
        else:
            level = np.array([one.cdf(draw)[0] for draw in draws[i, :400]])
            p_value = stats.kstest(level, "uniform").pvalue
        assert p_value > 1e-4  # fixed seeds; 21 tests


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_crps_is_the_integral_of_the_squared_distance_to_a_step(kind):
    dist = mixture_of(kind)
    y = dist.rvs(random_state=2)
    score = dist.crps(y)
    for i in (1, 4):
        one = row_of(dist, i)
        if kind in DISCRETE:
            t = np.arange(400)
            distance = np.array([one.cdf(value)[0] for value in t])
            expected = ((distance - (t >= y[i])) ** 2).sum()
        else:
            low, high = (f(q(one), y[i]) for f, q in ((min, _first), (max, _last)))
            expected = integral(lambda t, one=one: one.cdf(t)[0] ** 2, one, low, y[i])
            expected += integral(lambda t, one=one: one.sf(t)[0] ** 2, one, y[i], high)
        assert_allclose(score[i], expected, rtol=1e-6)


def _first(dist):
    return dist.ppf(1e-10)[0]


def _last(dist):
    return dist.ppf(1 - 1e-10)[0]


def test_crps_of_gaussians_in_closed_form_is_the_one_by_quadrature():
    weights, mean, scale = parameters(shape=(200, 5))
    y = np.random.default_rng(1).normal(scale=4, size=200)
    closed = MixtureDistribution(weights, GaussianComponents(mean, scale)).crps(y)
    numeric = MixtureDistribution(weights, ScipyComponents(stats.norm(mean, scale))).crps(y)
    assert_allclose(closed, numeric, rtol=1e-5)


@pytest.mark.parametrize("n_outputs", [None, 3])
def test_student_t_is_the_one_of_scipy(n_outputs):
    rng = np.random.default_rng(0)
    shape = (8, 2) if n_outputs is None else (8, 2, n_outputs)
    mean, scale = rng.normal(size=shape), rng.uniform(0.1, 2, size=shape[1:])
    df, y = np.array([1.7, 5.5]), rng.normal(size=(8, 1, *shape[2:]))
    components = StudentTComponents(mean, scale, df)
    one = stats.t(df if n_outputs is None else df[:, None], mean, scale)
    assert_allclose(components.cdf(y), one.cdf(y), rtol=1e-12)
    assert_allclose(components.sf(y), one.sf(y), rtol=1e-12)
    assert_allclose(components.ppf(0.03), one.ppf(0.03), rtol=1e-12)
    assert_allclose(components.var, one.var(), rtol=1e-12)
    assert_array_equal(components.ppf(1.0), np.full(shape, np.inf))
    log_density = components.logpdf(y)
    assert log_density.shape == (8, 2)
    for i, k in np.ndindex(8, 2):
        shape_matrix = np.diag(np.atleast_1d(scale[k]) ** 2)
        joint = stats.multivariate_t(np.atleast_1d(mean[i, k]), shape_matrix, df=df[k])
        assert_allclose(log_density[i, k], joint.logpdf(np.atleast_1d(y[i, 0])), rtol=1e-10)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_entropy_is_minus_the_mean_log_density(kind):
    dist = mixture_of(kind)
    entropy = dist.entropy()
    for i in (1, 4):
        one = row_of(dist, i)
        if kind in DISCRETE:
            pmf = np.array([one.pmf(value)[0] for value in range(400)])
            expected = stats.entropy(pmf)
        else:

            def surprise(t, one=one):
                log_density = one.logpdf(t)[0]
                return -np.exp(log_density) * max(log_density, -1e300)

            expected = integral(surprise, one, _first(one), _last(one))
        assert_allclose(entropy[i], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "args"),
    [("norm", ()), ("t", (5.0,)), ("laplace", ()), ("gamma", (3.0,)), ("gumbel_r", ())],
)
def test_one_component_is_the_distribution_of_scipy(name, args):
    loc, scale = np.array([-1.0, 0.0, 7.0]), 0.7
    reference = getattr(stats, name)(*args, loc, scale)
    frozen = getattr(stats, name)(*args, loc[:, None], scale)
    dist = MixtureDistribution(np.ones((3, 1)), ScipyComponents(frozen))
    y = reference.ppf(0.3)
    assert_allclose(dist.entropy(), reference.entropy(), atol=1e-6)
    assert_allclose(dist.median(), reference.median(), rtol=1e-12)
    assert_allclose(dist.mean(), reference.mean(), rtol=1e-12)
    assert_allclose(dist.var(), reference.var(), rtol=1e-12)
    assert_allclose(dist.logpdf(y), reference.logpdf(y), rtol=1e-12)


# Several outputs --------------------------------------------------------------------------------


def two_outputs(scipy=False):
    rng = np.random.default_rng(0)
    weights, mean = rng.dirichlet(np.ones(3), size=7), rng.normal(size=(7, 3, 2))
    scale = rng.uniform(0.5, 1, size=(3, 2))
    components = ScipyComponents(stats.norm(mean, scale)) if scipy else gaussian(mean, scale)
    return MixtureDistribution(weights, components)


@pytest.mark.parametrize("scipy", [False, True])
def test_covariance_of_the_outputs_is_that_of_draws(scipy):
    dist = two_outputs(scipy)
    assert_allclose(np.diagonal(dist.cov(), axis1=1, axis2=2), dist.var(), rtol=1e-12)
    draws = dist.rvs(40_000, random_state=0)
    assert draws.shape == (7, 40_000, 2)
    for i in range(7):
        assert_allclose(np.cov(draws[i].T), dist.cov()[i], atol=0.04)  # five standard errors


def test_covariance_of_nested_mixtures_is_that_of_the_flat_one():
    dist = two_outputs()
    both = mixture_of_equals([dist, dist])
    assert_allclose(both.cov(), dist.cov(), rtol=1e-12)
    assert_allclose(both.output(1).var(), dist.var()[:, 1], rtol=1e-12)


@pytest.mark.parametrize("scipy", [False, True])
def test_output_alone_is_the_marginal(scipy):
    dist = two_outputs(scipy)
    y = np.random.default_rng(1).normal(size=(7, 2))
    for j in range(2):
        alone = dist.output(j)
        assert_allclose(alone.cdf(y[:, j]), dist.cdf(y)[:, j], rtol=1e-12)
        assert_allclose(alone.ppf([0.1, 0.9]), dist.ppf([0.1, 0.9])[:, :, j], rtol=1e-9)
        assert_allclose(alone.crps(y[:, j]), dist.crps(y)[:, j], rtol=1e-9)
        assert_allclose(alone.entropy(), dist.entropy()[:, j], rtol=1e-9)
    assert dist.median().shape == (7, 2)


@pytest.mark.parametrize(("method", "args"), [("cov", ()), ("output", (0,))])
def test_covariances_and_marginals_need_several_outputs(method, args):
    with pytest.raises(ValueError, match="needs several outputs"):
        getattr(mixture_of("gaussian"), method)(*args)


# Fitted mixtures --------------------------------------------------------------------------------


def test_sampled_targets_have_the_predicted_mean_and_deviation():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, X[:, 1], 3 - X[:, 1]) + 0.2 * rng.normal(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=3, random_state=0, training="em").fit(X, y)
    mean, std = moe.predict(X[:5], return_std=True)
    draws = moe.sample_y(X[:5], 20_000, random_state=0)
    assert draws.shape == (5, 20_000)
    assert_allclose(draws.mean(axis=1), mean, atol=0.05)  # five standard errors of at most 1.5
    assert_allclose(draws.std(axis=1), std, rtol=0.05)
    assert moe.sample_y(X[:5]).shape == (5, 1)
    dist = moe.predict_dist(X)
    assert_allclose(dist.var_within() + dist.var_between(), dist.var(), rtol=1e-12)
    assert_allclose(dist.var_within(), moe.gate_proba(X) @ moe.likelihood_.scale_**2, rtol=1e-12)


def test_sampled_classes_have_the_predicted_probabilities():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = np.array(["no", "yes"])[(X[:, 0] + rng.normal(size=200) > 0).astype(int)]
    moe = MixtureOfExpertsClassifier(n_experts=1).fit(X, y)
    draws = moe.sample_y(X[:5], 20_000, random_state=0)
    assert draws.shape == (5, 20_000)
    share = (draws == "yes").mean(axis=1)
    assert_allclose(share, moe.predict_proba(X[:5])[:, 1], atol=0.02)  # five standard errors
