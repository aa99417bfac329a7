"""Predictive mixtures against scipy.stats and numerical integrals."""

import numpy as np
import pytest
from mixtures import crps_of_t
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, special, stats

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions import (
    BaseComponents,
    GaussianComponents,
    MixtureDistribution,
    NestedComponents,
    ScipyComponents,
    StudentTComponents,
)


def normal_mixture(weights, mean, std):
    mean = np.asarray(mean, dtype=float)
    return MixtureDistribution(np.asarray(weights, float), GaussianComponents(mean, std))


def random_mixtures(seed, n=50, n_experts=4, spread=3.0):
    """Random weights, of which a quarter are zero."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n_experts), size=n)
    weights[rng.uniform(size=weights.shape) < 0.25] = 0.0
    weights[weights.sum(axis=1) == 0, 0] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    mean = spread * rng.normal(size=(n, n_experts))
    return normal_mixture(weights, mean, rng.uniform(0.1, 2, size=n_experts))


@pytest.mark.parametrize("spread", [0.0, 3.0, 1000.0])  # 1000: nothing between the modes
@pytest.mark.parametrize("seed", range(3))
def test_distribution_function_of_a_quantile_is_its_probability(seed, spread):
    dist = random_mixtures(seed, spread=spread)
    for q in (1e-8, 0.01, 0.3, 0.5, 0.77, 0.999):
        # A quantile is good to its last bit, 2e-13 at 1000, times a density of up to 4.
        assert_allclose(dist.cdf(dist.ppf(q)), q, rtol=0, atol=1e-9)


def test_components_of_no_weight_do_not_matter():
    dist = normal_mixture([[0.5, 0.0, 0.5]], [[0.0, 1e6, 1.0]], np.array([1.0, 1e3, 2.0]))
    without = normal_mixture([[0.5, 0.5]], [[0.0, 1.0]], np.array([1.0, 2.0]))
    for q in (0.001, 0.5, 0.999):
        assert_allclose(dist.ppf(q), without.ppf(q), rtol=1e-12, atol=1e-12)
    assert_allclose(dist.mean(), without.mean())
    assert_allclose(dist.var(), without.var())
    assert_allclose(dist.logpdf(0.3), without.logpdf(0.3))


@pytest.mark.parametrize("seed", range(3))
def test_moments_and_distribution_function_are_integrals_of_the_density(seed):
    dist = random_mixtures(seed, n=1)
    low, high = -40.0, 40.0  # more than 13 standard deviations beyond every mean

    def integral(function, upper=high):
        points = [*dist.components.mean[0], *(dist.components.mean[0] + 0.2)]
        points = [p for p in points if p < upper]
        options = {"limit": 500, "epsabs": 1e-11, "points": points}
        return integrate.quad(lambda t: function(t) * dist.pdf(t)[0], low, upper, **options)[0]

    mean = integral(lambda t: t)
    assert_allclose(integral(lambda t: 1.0), 1.0, atol=1e-9)  # the precision of quad
    assert_allclose(dist.mean()[0], mean, atol=1e-9)
    assert_allclose(dist.var()[0], integral(lambda t: (t - mean) ** 2), rtol=1e-8)
    for y in (-2.0, 0.1, 3.0):
        assert_allclose(dist.cdf(y)[0], integral(lambda t: 1.0, upper=y), atol=1e-9)


def test_density_far_from_everything_stays_finite_in_logarithms():
    dist = normal_mixture([[0.5, 0.5]], [[0.0, 1.0]], np.array([1.0, 1.0]))
    assert_allclose(dist.logpdf(1e5), np.log(0.5) + stats.norm.logpdf(1e5 - 1), rtol=1e-12)


def two_outputs(n=7, n_experts=3):
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(n_experts), size=n)
    mean, std = rng.normal(size=(n, n_experts, 2)), rng.uniform(0.5, 1, size=(n_experts, 2))
    return weights, mean, std


def test_several_outputs_have_marginals_and_a_joint_density():
    weights, mean, std = two_outputs()
    dist = normal_mixture(weights, mean, std)
    y = np.random.default_rng(1).normal(size=(7, 2))
    joint = stats.norm.pdf(y[:, None], mean, std).prod(axis=2)
    assert_allclose(dist.pdf(y), (weights * joint).sum(axis=1), rtol=1e-12)  # same formula
    for j in range(2):
        single = normal_mixture(weights, mean[:, :, j], std[:, j])
        assert_allclose(dist.mean()[:, j], single.mean(), rtol=1e-12)
        assert_allclose(dist.var()[:, j], single.var(), rtol=1e-12)
        assert_allclose(dist.cdf(y)[:, j], single.cdf(y[:, j]), rtol=1e-12)
        assert_allclose(dist.ppf([0.1, 0.9])[:, :, j], single.ppf([0.1, 0.9]), rtol=1e-9)
    assert dist.ppf(0.5).shape == (7, 2)
    assert dist.interval()[0].shape == (7, 2)


def test_interval_holds_its_level():
    dist = random_mixtures(1)
    for level in (0.0, 0.5, 0.9):
        low, high = dist.interval(level)
        assert_allclose(dist.cdf(high) - dist.cdf(low), level, atol=1e-9)  # as for quantiles
    low, high = dist.interval(1.0)
    assert (low == -np.inf).all()
    assert (high == np.inf).all()


@pytest.mark.parametrize("shape", [(3,), (7, 2), (1,)])
def test_targets_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="y has shape"):
        random_mixtures(0, n=7).logpdf(np.zeros(shape))


def test_fitted_mixture_answers_with_its_distribution():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, X[:, 1], 3 - X[:, 1]) + 0.2 * rng.normal(size=200)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=3, random_state=0, training="em").fit(X, y)
    dist = moe.predict_dist(X)
    density = stats.norm.pdf(y[:, None], moe.predict_experts(X), moe.likelihood_.scale_)
    expected = np.log((moe.gate_proba(X) * density).sum(axis=1))
    assert_allclose(dist.logpdf(y), expected, rtol=1e-10, atol=1e-10)  # same formula
    assert_allclose(moe.log_density(X, y), expected, rtol=1e-10, atol=1e-10)
    assert_array_equal(moe.predict(X), dist.mean())
    # (1 - 0.8) / 2 is not 0.1 to the last bit.
    quantiles = moe.predict_quantiles(X, [0.1, 0.9])
    assert_allclose(moe.predict_interval(X, 0.8), quantiles, rtol=1e-9, atol=1e-9)


# Components of scipy.stats ----------------------------------------------------------------------


def of_scipy(weights, distribution):
    return MixtureDistribution(np.asarray(weights, float), ScipyComponents(distribution))


def test_components_of_scipy_are_those_of_the_closed_form():
    closed = random_mixtures(0)
    mean, std = closed.components.mean, closed.components.std
    dist = of_scipy(closed.weights, stats.norm(mean, std))
    y = np.linspace(-4, 4, len(mean))
    for name in ("logpdf", "pdf", "cdf", "sf"):
        assert_allclose(getattr(dist, name)(y), getattr(closed, name)(y), rtol=1e-10)
    assert_allclose(dist.mean(), closed.mean(), rtol=1e-12)
    assert_allclose(dist.var(), closed.var(), rtol=1e-12)
    assert_allclose(dist.ppf([0.01, 0.5]), closed.ppf([0.01, 0.5]), rtol=1e-10)


COUNTS = {
    "poisson": stats.poisson([[0.3, 4.0], [20.0, 21.0], [1.0, 150.0]]),
    "nbinom": stats.nbinom([2.0, 5.0], [[0.3, 0.6], [0.1, 0.9], [0.2, 0.5]]),
    "binom": stats.binom(12, [[0.1, 0.9], [0.5, 0.5], [0.0, 1.0]]),
}
COUNT_WEIGHTS = [[0.4, 0.6], [0.9, 0.1], [0.5, 0.5]]


@pytest.mark.parametrize("name", COUNTS)
def test_mixtures_of_counts_have_probabilities_and_quantiles_on_whole_numbers(name):
    dist = of_scipy(COUNT_WEIGHTS, COUNTS[name])
    values = np.arange(300)  # to where 1e-12 is left
    pmf = np.stack([dist.pmf(value) for value in values], axis=1)
    assert_allclose(pmf.sum(axis=1), 1.0, rtol=1e-9)
    cumulative = np.cumsum(pmf, axis=1)
    assert_allclose(dist.cdf(3.7), cumulative[:, 3], rtol=1e-9)
    assert_allclose(dist.mean(), pmf @ values, rtol=1e-9)
    assert_allclose(dist.var(), pmf @ values**2 - (pmf @ values) ** 2, rtol=1e-7)
    for q in (0.013, 0.2, 0.51, 0.77, 0.987):
        expected = (cumulative < q).sum(axis=1)
        assert_array_equal(dist.ppf(q), expected)
        assert (dist.cdf(expected) >= q).all()


@pytest.mark.parametrize("name", COUNTS)
def test_quantile_of_a_reached_probability_is_the_value_itself(name):
    dist = of_scipy(COUNT_WEIGHTS, COUNTS[name])
    for value in (0, 1, 4, 9):
        for row, q in enumerate(dist.cdf(value)):
            if dist.pmf(value)[row] > 1e-12:
                assert dist.ppf(q)[row] == value


@pytest.mark.parametrize("magnitude", [1e-120, 1e-20, 1e-3, 1e20, 1e120])
@pytest.mark.parametrize("share", [0.005, 0.5476])
def test_quantiles_of_components_many_magnitudes_apart(magnitude, share):
    components = ScipyComponents(stats.gamma(18.0, scale=np.array([[1.0, magnitude]])))
    dist = MixtureDistribution(np.array([[1 - share, share]]), components)
    for q in (0.01, 0.3, 0.5, 0.9, 0.999):
        assert_allclose(dist.cdf(dist.ppf(q)), q, rtol=1e-9)


@pytest.mark.parametrize("df", [2.05, 3.0, 30.0, 1e4, np.array([2.5, 4.0, 9.0, 200.0])])
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_crps_of_student_t_mixtures_is_the_integral(df, spread):
    rng = np.random.default_rng(0)
    mean, scale = 3 * rng.normal(size=(100, 4)), np.exp(spread * rng.normal(size=(100, 4)))
    weights, y = rng.dirichlet(np.ones(4), size=100), 5 * rng.normal(size=100)
    found = MixtureDistribution(weights, StudentTComponents(mean, scale, df)).crps(y)
    for i in range(4):
        expected = crps_of_t(y[i], weights[i], mean[i], scale[i], df)
        assert_allclose(found[i] / scale[i].max(), expected / scale[i].max(), atol=4e-6)
    # Of many rows probabilities are interpolated, of few they are not.
    few = MixtureDistribution(weights[:2], StudentTComponents(mean[:2], scale[:2], df)).crps(y[:2])
    assert_allclose(few, found[:2], atol=1e-7)


@pytest.mark.parametrize("df", [1.1, 2.5, 5.0, 60.0, 1e6, np.array([3.0, 7.5, 40.0])])
def test_many_probabilities_of_student_t_components_are_those_of_scipy(df):
    z = np.sinh(np.linspace(-8, 8, 4001))[:, None]
    components = StudentTComponents(np.zeros((len(z), 3)), np.array([1.0, 2.0, 0.5]), df)
    expected = special.stdtr(df, z / components.scale)
    likely = expected > 1e-250
    assert_allclose(components.cdf(z)[likely], expected[likely], rtol=1e-7)
    assert_allclose(components.cdf(z), expected, atol=1e-11, rtol=0)
    assert_allclose(components.sf(-z), components.cdf(z), rtol=1e-12)


def test_scores_and_quantiles_of_mixtures_within_a_mixture_are_those_of_one():
    """Kernels in a mixture, as of a forest among experts, some much narrower than others."""
    rng = np.random.default_rng(0)
    n, n_kernels = 20, 40
    centres, widths = rng.normal(size=(n, n_kernels)), 10 ** rng.uniform(-4, 0, (n, n_kernels))
    shares = rng.dirichlet(np.full(n_kernels, 0.3), size=n)
    shares = np.where(shares < 1e-3, 0.0, shares)
    shares /= shares.sum(axis=1, keepdims=True)
    kernels = MixtureDistribution(shares, StudentTComponents(centres, widths, 5.0))
    flat = StudentTComponents(rng.normal(size=(n, 2)), np.array([0.3, 1.0]), 3.5)
    own = NestedComponents(flat, [(np.arange(n), np.zeros(n, dtype=int), kernels)])
    weights, y = rng.dirichlet(np.ones(2), size=n), 3 * rng.normal(size=n)
    dist = MixtureDistribution(weights, own)
    found, quantiles = dist.crps(y), dist.ppf([0.05, 0.5, 0.95])
    for i in range(6):
        share = np.append(weights[i, 0] * shares[i], weights[i, 1])
        mean, scale = np.append(centres[i], flat.mean[i, 1]), np.append(widths[i], 1.0)
        df = np.append(np.full(n_kernels, 5.0), 3.5)
        assert_allclose(found[i], crps_of_t(y[i], share, mean, scale, df), rtol=1e-4)
        cdf = special.stdtr(df[:, None], (quantiles[i] - mean[:, None]) / scale[:, None])
        assert_allclose(share @ cdf, [0.05, 0.5, 0.95], rtol=1e-9)


class Uniform(BaseComponents):
    """On an interval for each row and expert, with what has no default and no more."""

    def __init__(self, low, high):
        self.low, self.high = low, high
        self.mean, self.var = (low + high) / 2, (high - low) ** 2 / 12

    def logpdf(self, y):
        inside = (self.low <= y) & (y <= self.high)
        return np.where(inside, -np.log(self.high - self.low), -np.inf)

    def cdf(self, y):
        return np.clip((y - self.low) / (self.high - self.low), 0, 1)

    def sf(self, y):
        return 1 - self.cdf(y)

    def ppf(self, q):
        return self.low + q * (self.high - self.low)

    def rvs(self, places, random_state):
        low, high = (np.take_along_axis(end, places, axis=1) for end in (self.low, self.high))
        return random_state.uniform(low, high)


def test_components_of_ones_own_are_those_of_scipy():
    low = np.array([[-1.0, 0.0], [2.0, 5.0]])
    width = np.array([[1.0, 4.0], [2.0, 0.5]])
    weights = np.array([[0.3, 0.7], [0.5, 0.5]])
    own = MixtureDistribution(weights, Uniform(low, low + width))
    known = MixtureDistribution(weights, ScipyComponents(stats.uniform(low, width)))
    y = np.array([-0.5, 5.2])
    for name in ("pdf", "cdf", "sf", "crps"):
        assert_allclose(getattr(own, name)(y), getattr(known, name)(y), rtol=1e-12)
    for name in ("mean", "std", "entropy", "median"):
        assert_allclose(getattr(own, name)(), getattr(known, name)(), rtol=1e-12)
    draws = own.rvs(1000, random_state=0)
    five_errors = 5 * own.std().max() / 1000**0.5
    assert_allclose(draws.mean(axis=1), own.mean(), rtol=0, atol=five_errors)


def test_outputs_of_own_degrees_of_freedom_are_independent():
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=(2, 3, 2)), np.array([0.5, 2.0])
    df = np.broadcast_to(np.array([3.0, 30.0]), mean.shape)
    components, y = StudentTComponents(mean, scale, df), rng.normal(size=(2, 1, 2))
    each = stats.t(df, loc=mean, scale=scale)
    assert_allclose(components.logpdf(y), each.logpdf(y).sum(axis=2))
    assert_allclose(components.var, each.var())
    assert_allclose(components.output(1).cdf(0.3), each.cdf(0.3)[..., 1])
    draws = components.rvs(np.zeros((2, 20_000), dtype=int), np.random.RandomState(0))
    distance = np.abs(draws - mean[:, :1])
    for row in distance:  # of one multivariate t variable they would be far out together
        assert abs(stats.spearmanr(row).statistic) < 4 / np.sqrt(20_000)
