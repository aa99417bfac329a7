"""Distributions and log-densities at the limits: any mean, any distance, any skewness."""

import time

import numpy as np
import pytest
from mixtures import mixture_of_equals
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._experts.pooled import loss_of_quadratics
from skmoe._experts.pooled_posteriors import pooled_coefficients
from skmoe._numerics.multinomial import definite_factors
from skmoe.distributions import (
    GaussianComponents,
    MixtureDistribution,
    NegativeBinomialComponents,
    PoissonComponents,
    ScipyComponents,
    StudentTComponents,
)
from skmoe.likelihoods import (
    Gamma,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    StudentT,
)

MEANS = [1e-8, 1e-3, 0.3, 1.0, 17.0, 400.0, 1e4, 1e5, 1e7, 1e9, 4e10, 1e12, 1e15]
SHAPES = [1e-3, 0.3, 1.0, 20.0, 1e6]


def one(components):
    return MixtureDistribution(np.ones(components.mean.shape), components)


def poisson(mean):
    return one(PoissonComponents(np.array([[mean]])))


def negative_binomial(mean, shape):
    return one(NegativeBinomialComponents(np.array([[mean]]), shape))


# Log-densities far away -------------------------------------------------------------------------

SCALES = np.array([0.0, 1.0, 30.0, 700.0, 745.0, 746.0, 1e4, 1e6])
BOTH_SIDES = np.concatenate([-SCALES[::-1], SCALES])


def with_attributes(likelihood, **attributes):
    for name, value in attributes.items():
        setattr(likelihood, name, np.atleast_1d(value))
    return likelihood


def t_logpdf(z, df):
    constant = special.gammaln(0.5 * df + 0.5) - special.gammaln(0.5 * df)
    return constant - 0.5 * np.log(np.pi * df) - 0.5 * (df + 1) * np.log1p(z**2 / df)


# For each: a fitted likelihood, targets, a prediction, and the log-densities in closed form.
def gaussian_case(scale=2.0):
    likelihood = with_attributes(Gaussian().start(BOTH_SIDES, np.ones(16), 1), scale_=scale)
    expected = -0.5 * BOTH_SIDES**2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    return likelihood, 3 + scale * BOTH_SIDES, 3.0, expected


def student_t_case(scale=2.0):
    likelihood = StudentT(4.0).start(BOTH_SIDES, np.ones(16), 1)
    likelihood = with_attributes(likelihood, scale_=scale)
    return likelihood, 3 + scale * BOTH_SIDES, 3.0, t_logpdf(BOTH_SIDES, 4.0) - np.log(scale)


def log_normal_case(scale=1e-4):  # a million of these are e^100
    log_y = 3 + scale * BOTH_SIDES
    likelihood = LogNormal().start(np.exp(log_y), np.ones(16), 1)
    likelihood = with_attributes(likelihood, scale_=scale)
    expected = -0.5 * BOTH_SIDES**2 - np.log(scale) - 0.5 * np.log(2 * np.pi) - log_y
    return likelihood, np.exp(log_y), 3.0, expected


def gamma_case(shape=4.0):
    y = np.concatenate([3 / (1 + SCALES), 3 * (1 + SCALES / np.sqrt(shape))])
    likelihood = with_attributes(Gamma().start(y, np.ones(16), 1), shape_=shape)
    expected = stats.gamma.logpdf(y, shape, scale=3 / shape)  # by xlogy(shape - 1, y) - y
    return likelihood, y, 3.0, expected


def poisson_case():
    y = np.floor(50 + np.sqrt(50) * SCALES)
    likelihood = Poisson().start(y, np.ones(8), 1)
    return likelihood, y, 50.0, y * np.log(50) - 50 - special.gammaln(y + 1)


def negative_binomial_case(shape=4.0):
    y = np.floor(50 + np.sqrt(50 + 50**2 / shape) * SCALES)
    likelihood = with_attributes(NegativeBinomial().start(y, np.ones(8), 1), shape_=shape)
    expected = special.gammaln(y + shape) - special.gammaln(shape) - special.gammaln(y + 1)
    expected += shape * np.log(shape / (shape + 50)) - y * np.log1p(shape / 50)
    return likelihood, y, 50.0, expected


CASES = [gaussian_case, student_t_case, log_normal_case, gamma_case]
COUNT_CASES = [poisson_case, negative_binomial_case]


@pytest.mark.parametrize("case", CASES + COUNT_CASES)
def test_log_densities_are_right_a_million_scales_away(case):
    likelihood, y, prediction, expected = case()
    prediction = np.full((len(y), 1), prediction)
    # Targets are rounded: 1e-16 of y is up to 1e-10 scales, at most 1e6 away.
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert_allclose(likelihood.log_density(y, prediction)[:, 0], expected, **close)
    components = likelihood.components(prediction)
    assert_allclose(components.logpdf(y[:, None])[:, 0], expected, **close)
    assert_allclose(one(components).logpdf(y), expected, **close)


# y, mean, log-probability: y log(mean) - mean - loggamma(y + 1), by mpmath with 50 digits.
POISSON_LOG = [
    (1e9, 1e9, -11.280571451761212),
    (1e9 + 150_000, 1e9, -22.530083988320465),
    (1e15 - 1e9, 1e15, -518.18849289740977),
    (3e15, 1e15, -1295836866004347.8),
    (0.0, 1e15, -1e15),
    (2.0, 1e-8, -37.534508678464676),
]


@pytest.mark.parametrize(("y", "mean", "expected"), POISSON_LOG)
def test_poisson_probabilities_are_right_for_counts_of_any_size(y, mean, expected):
    # The rounding error of y - mean: 1e9 times 1e-16.
    assert_allclose(poisson(mean).logpmf(y), expected, rtol=1e-12, atol=1e-7)
    # Much the same with a shape that large; the roundings of two logarithms add up.
    alike = negative_binomial(mean, 1e30).logpmf(y)
    assert_allclose(alike, expected, rtol=1e-12, atol=3e-7)


# mean, standard deviations from it, and the probability of at most floor(mean + that), or above.
# Integrals of t^k e^-t / k! by mpmath.
POISSON_TAILS = [
    (1e6, -7, 1.212875e-12),
    (1e6, 5, 2.918892e-07),
    (1e6, 7, 1.349937e-12),
    (1e9, -5, 2.864816e-07),
    (1e9, 5, 2.868577e-07),
    (1e9, 30, 5.655606e-198),
    (1e12, -30, 4.884756e-198),
    (1e12, 7, 1.279881e-12),
    (1e15, -4, 3.167123e-05),
    (1e15, 5, 2.866517e-07),
    (1e15, 7, 1.279815e-12),
]


@pytest.mark.parametrize(("mean", "z", "expected"), POISSON_TAILS)
def test_poisson_tails_are_right_for_means_of_any_size(mean, z, expected):
    dist, y = poisson(mean), np.floor(mean + z * np.sqrt(mean))
    assert_allclose((dist.cdf if z < 0 else dist.sf)(y), expected, rtol=1e-6)
    assert_allclose(dist.cdf(y) + dist.sf(y), 1.0, rtol=1e-15)


# Counts of any mean -----------------------------------------------------------------------------


def around(mean, std):
    return np.unique(np.maximum(np.floor(mean + std * np.array([-3, -1, 0, 1, 4.0])), 0))


@pytest.mark.parametrize("mean", MEANS)
def test_poisson_crps_is_its_closed_form(mean):
    dist = poisson(mean)
    spread = mean * (special.ive(0, 2 * mean) + special.ive(1, 2 * mean))
    for y in [*around(mean, np.sqrt(mean)), np.floor(1e6 * mean + 5)]:
        gap = (y - mean) * (2 * stats.poisson.cdf(y, mean) - 1)
        expected = gap + 2 * mean * stats.poisson.pmf(y, mean) - spread
        # SciPy's probabilities of the closed form have an error of 1e-16 times y log y.
        scale = max(1e-6, 1e-15 * y * np.log(y + 2))
        if expected > 1e-3 * spread:  # else a difference of like numbers
            assert_allclose(dist.crps(y), expected, rtol=scale)


@pytest.mark.parametrize("mean", MEANS)
def test_poisson_entropy_is_the_sum_or_its_expansion(mean):
    if mean > 1e4:  # the next term of the expansion is 1e-11
        expected = 0.5 * np.log(2 * np.pi * np.e * mean) - 1 / (12 * mean)
    else:
        log_proba = stats.poisson.logpmf(np.arange(int(mean + 40 * np.sqrt(mean) + 60)), mean)
        expected = -(np.exp(log_proba) * log_proba).sum()
    assert_allclose(poisson(mean).entropy(), expected, rtol=1e-7)


@pytest.mark.parametrize("mean", MEANS)
def test_geometric_entropy_and_quantiles_are_their_closed_form(mean):
    dist = negative_binomial(mean, 1.0)
    assert_allclose(dist.entropy(), np.log1p(mean) + mean * np.log1p(1 / mean), rtol=1e-6)
    for q in (1e-6, 0.1, 0.5, 0.99):
        expected = np.ceil(np.log1p(-q) / -np.log1p(1 / mean) - 1)
        assert_allclose(dist.ppf(q), np.maximum(expected, 0), rtol=1e-9, atol=1)


@pytest.mark.parametrize("mean", [1e7, 1e12, 1e15])
@pytest.mark.parametrize("shape", SHAPES[1:-1])
def test_large_negative_binomial_counts_are_gamma_variables(shape, mean):
    dist, gamma = negative_binomial(mean, shape), stats.gamma(shape, scale=mean / shape)
    # Whole numbers are 1 / mean apart in units of the mean. The first few, of the probability
    # mean**-shape, are not as a density with a pole has it.
    assert_allclose(dist.entropy(), gamma.entropy(), atol=1e-6 + 3 * mean**-shape)
    for y in np.floor(mean * np.array([0.01, 0.5, 3.0])):
        expected = y * (2 * gamma.cdf(y) - 1) - mean / shape / special.beta(0.5, shape)
        expected -= mean * (2 * special.gammainc(shape + 1, y * shape / mean) - 1)
        assert_allclose(dist.crps(y), expected, rtol=1e-5)
    assert_allclose(dist.ppf([0.1, 0.5, 0.9])[0], gamma.ppf([0.1, 0.5, 0.9]), rtol=1e-4)


@pytest.mark.parametrize(
    ("mean", "shape"),
    [
        (mean, shape)
        for mean in (0.3, 17.0, 400.0, 1e4)
        for shape in SHAPES
        if stats.nbinom(shape, shape / (shape + mean)).ppf(1 - 1e-11) <= 2e5  # all to look at
    ],
)
def test_sums_over_some_whole_numbers_are_those_over_all(mean, shape):
    dist = negative_binomial(mean, shape)
    last = dist.ppf(1 - 1e-11)[0]
    numbers = np.arange(last + 1)
    p = stats.nbinom(shape, shape / (shape + mean))
    log_proba, below, above = p.logpmf(numbers), p.cdf(numbers), p.sf(numbers)
    # What the sums leave out has a probability of 1e-10.
    assert_allclose(dist.entropy(), -(np.exp(log_proba) * log_proba).sum(), rtol=1e-6)
    for y in around(mean, dist.std()[0]):
        expected = (np.where(numbers < y, below, above) ** 2).sum()
        assert_allclose(dist.crps(y), expected, rtol=1e-6)


COUNTS = {
    "poisson": PoissonComponents,
    "of scipy": lambda means: ScipyComponents(stats.poisson(means)),
    "tiny shape": lambda means: NegativeBinomialComponents(means, np.array([1e-3, 2.0])),
    "geometric": lambda means: NegativeBinomialComponents(means, np.array([1.0, 2.0])),
    "large shape": lambda means: NegativeBinomialComponents(means, np.array([1e6, 2.0])),
}


def count_mixture(kind, mean):
    """Two experts with far means in the first row, one alone in the second."""
    weights, means = np.array([[0.4, 0.6], [1.0, 0.0]]), mean * np.array([[1.0, 3.0], [1.0, 1e-3]])
    if kind == "nested":
        parts = [count_mixture(part, mean) for part in ("poisson", "geometric")]
        return mixture_of_equals(parts)
    return MixtureDistribution(weights, COUNTS[kind](means))


@pytest.mark.parametrize("mean", [1e-8, 1.0, 400.0, 1e5, 4e10, 1e15])
@pytest.mark.parametrize("kind", [*COUNTS, "nested"])
def test_every_method_of_counts_answers_at_any_mean(kind, mean):
    dist = count_mixture(kind, mean)
    quantiles = dist.ppf([1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert_array_equal(quantiles, np.floor(quantiles))
    middle = dist.median()
    assert (dist.cdf(middle) >= 0.5 - 1e-9).all()
    entropy, crps = dist.entropy(), dist.crps(middle)
    for answer in (
        quantiles,
        dist.mean(),
        dist.var(),
        dist.logpmf(middle),
        dist.cdf(middle),
        dist.sf(middle),
        entropy,
        crps,
        dist.crps(1e3 * middle + 7),
        *dist.interval(0.9),
        dist.rvs(3, random_state=0),
    ):
        assert np.isfinite(answer).all()
    assert (entropy >= 0).all()
    assert (crps >= 0).all()


@pytest.mark.parametrize("mean", [1e-3, 1e5, 1e12, 1e16, 1e20])
def test_draws_of_counts_have_the_mean_and_the_variance_at_any_mean(mean):
    for dist in (poisson(mean), negative_binomial(mean, 5.0)):
        draws = dist.rvs(40_000, random_state=0)[0]
        assert_array_equal(draws, np.floor(draws))
        error = dist.std()[0] / 200
        assert_allclose(draws.mean(), mean, rtol=0, atol=5 * error)
        if mean > 1:
            assert_allclose(draws.std(), dist.std()[0], rtol=0.05)  # five standard errors and more


def test_counts_below_a_few_and_beyond_a_billion_share_a_mixture():
    components = PoissonComponents(np.array([[2.0, 1e9]]))
    dist = MixtureDistribution(np.array([[0.5, 0.5]]), components)
    alone = [poisson(mean).entropy() for mean in (2.0, 1e9)]
    assert_allclose(dist.entropy(), np.mean(alone) + np.log(2), rtol=1e-7)
    assert_allclose(dist.ppf([0.25, 0.75])[0], [2.0, 1e9], rtol=1e-9)


def test_scipy_counts_have_quantiles_where_scipy_has_none():
    for frozen in (stats.poisson([[1e11, 3.0]]), stats.nbinom(2.0, [[1e-17, 0.5]])):
        dist = MixtureDistribution(np.array([[1.0, 0.0]]), ScipyComponents(frozen))
        for q in (0.1, 0.5, 0.9):
            assert_allclose(dist.cdf(dist.ppf(q)), q, rtol=1e-4)  # of a step


def test_counts_of_any_mean_take_no_time():
    methods = ("entropy", "median")
    for dist in map(poisson, MEANS):
        start = time.process_time()
        for method in methods:
            getattr(dist, method)()
        dist.crps(dist.mean())
        assert time.process_time() - start < 2  # some 0.15; walking the numbers took minutes


def test_a_fitted_mixture_of_large_counts_answers():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(200, 1))
    y = rng.poisson(1e9 * np.exp(X[:, 0])).astype(float)
    for likelihood in ("poisson", "negative_binomial"):
        moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood, training="em").fit(X, y)
        assert_allclose(moe.predict(X[:3]), 1e9 * np.exp(X[:3, 0]), rtol=1e-4)
        dist = moe.predict_dist(X[:3])
        for answer in (dist.entropy(), dist.crps(y[:3]), dist.interval(0.9)):
            assert np.isfinite(answer).all()


# Positive targets over many orders of magnitude ---------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e15])
@pytest.mark.parametrize("shape", [0.05, 0.5, 1.0, 3.0, 1e6])
def test_gamma_crps_and_entropy_are_their_closed_form(shape, scale):
    dist = one(ScipyComponents(stats.gamma(np.array([[shape]]), scale=scale)))
    log_scale = shape + special.gammaln(shape) + (1 - shape) * special.digamma(shape)
    assert_allclose(dist.entropy(), log_scale + np.log(scale), atol=1e-6)
    for y in shape * np.array([0.1, 1.0, 3.0]):
        expected = y * (2 * special.gammainc(shape, y) - 1) - 1 / special.beta(0.5, shape)
        expected -= shape * (2 * special.gammainc(shape + 1, y) - 1)
        assert_allclose(dist.crps(scale * y), scale * expected, rtol=1e-6)


@pytest.mark.parametrize("location", [-18.0, 0.0, 34.0])
@pytest.mark.parametrize("scale", [1e-3, 0.5, 3.0])
def test_log_normal_crps_and_entropy_are_their_closed_form(scale, location):
    dist = one(ScipyComponents(stats.lognorm(np.array([[scale]]), scale=np.exp(location))))
    expected = location + 0.5 + np.log(scale * np.sqrt(2 * np.pi))
    assert_allclose(dist.entropy(), expected, atol=1e-6)
    for w in (-2.0, 0.3, 1.5):
        y, mean = np.exp(location + scale * w), np.exp(location + 0.5 * scale**2)
        known = special.ndtr(w - scale) + special.ndtr(scale / np.sqrt(2)) - 1
        expected = y * (2 * special.ndtr(w) - 1) - 2 * mean * known
        assert_allclose(dist.crps(y), expected, rtol=1e-6)


CONTINUOUS = {
    "gaussian": lambda m: GaussianComponents(m * np.array([[1.0, 3.0]]), np.array([m, 0.1 * m])),
    "student_t": lambda m: StudentTComponents(m * np.array([[1.0, 3.0]]), np.array([m, m]), 2.1),
    "gamma": lambda m: ScipyComponents(stats.gamma([[1e-3, 5.0]], scale=m)),
    "log_normal": lambda m: ScipyComponents(stats.lognorm([[0.01, 10.0]], scale=m)),
    "laplace": lambda m: ScipyComponents(stats.laplace(m * np.array([[1.0, 3.0]]), m)),
}


@pytest.mark.parametrize("mean", [1e-8, 1.0, 1e15])
@pytest.mark.parametrize("kind", CONTINUOUS)
def test_every_method_of_continuous_mixtures_answers_at_any_size(kind, mean):
    dist = MixtureDistribution(np.array([[0.4, 0.6]]), CONTINUOUS[kind](mean))
    middle = dist.median()
    for answer in (
        dist.ppf([1e-9, 0.1, 0.9, 1 - 1e-9]),
        dist.mean(),
        dist.var(),
        dist.logpdf(middle),
        dist.cdf(middle),
        dist.sf(middle),
        dist.entropy(),
        dist.crps(middle),
        *dist.interval(0.9),
        dist.rvs(3, random_state=0),
    ):
        assert np.isfinite(answer).all()


# Fits of numbers over many orders of magnitude ------------------------------------------------

N = 30
NUMBERS = np.random.default_rng(0).normal(size=N)
ODD = {
    "many orders": 10.0 ** np.linspace(-51, 40, N),
    "both signs": np.sign(NUMBERS) * 10.0 ** np.random.default_rng(1).uniform(-60, 60, N),
    "offset": 1e15 + NUMBERS,
    "outlier": np.where(np.arange(N) == 7, 1e100, NUMBERS),
    "denormal": np.where(np.arange(N) % 2, 5e-324, NUMBERS),
}


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
@pytest.mark.parametrize("kind", ["numbers", "classes", "counts"])
@pytest.mark.parametrize("odd", ODD)
def test_fits_answer_for_numbers_over_many_orders_of_magnitude(odd, kind):
    X = np.column_stack([np.random.default_rng(2).permutation(ODD[odd]), NUMBERS])
    moe, y = MixtureOfExpertsRegressor(), ODD[odd]
    if kind == "classes":
        moe, y = MixtureOfExpertsClassifier(), (NUMBERS > 0).astype(int)
    elif kind == "counts":
        moe, y = MixtureOfExpertsRegressor(likelihood="poisson"), np.floor(np.exp(2 * NUMBERS))
    moe.set_params(n_experts=2, n_init=1, random_state=0).fit(X, y)
    assert np.isfinite(moe.lower_bound_)
    assert np.isfinite(moe.predict(X)).all()


def precise_sums(seed, precision, n_levels=40):
    """Sums of two experts with levels as columns, one of which has all rows."""
    rng = np.random.default_rng(seed)
    X = np.zeros((90, n_levels + 2))
    X[np.arange(90), rng.integers(n_levels, size=90)] = X[:, -1] = 1.0
    X[:, -2] = X[:, :5].sum(axis=1)  # depends on others
    gram = precision * X.T @ X
    return np.stack([gram, 0 * gram]), np.stack([precision * X.T @ rng.normal(size=90), 0 * X[0]])


@pytest.mark.parametrize("precision", [1.0, 1e12, 1e16, 1e20])
def test_posterior_of_coefficients_exists_at_any_precision(precision):
    for seed in range(10):
        gram, cross = precise_sums(seed, precision)
        tau, rho = np.full((2, len(cross[0])), 1e-8)
        tau[-1], rho[-1] = 150.0, 100.0
        found = pooled_coefficients(gram, cross, tau, rho)
        assert np.isfinite(found.mean).all()
        assert np.isfinite(found.evidence)
        # Equal functions lose nothing as one, but for the rounding of sums as large as these.
        loss = loss_of_quadratics(gram[None, [0, 0]], cross[None, [0, 0]])
        assert abs(loss) <= 1e-6 * precision * 90


def test_factors_of_matrices_that_rounding_made_indefinite_are_those_of_ones_close_by():
    root = np.random.default_rng(0).normal(size=(3, 4, 2)) * [1e9, 1.0]
    matrices = root @ root.swapaxes(1, 2)  # of rank 2: two eigenvalues are noise
    matrices[0] = np.eye(4)
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(matrices)
    factors = definite_factors(matrices)
    assert_array_equal(factors, np.tril(factors))
    size = np.abs(matrices).max(axis=(1, 2), keepdims=True)
    assert_allclose(factors @ factors.swapaxes(1, 2) / size, matrices / size, rtol=0, atol=1e-9)
    assert_array_equal(factors[0], np.eye(4))


def test_variance_between_means_whose_squares_overflow_is_infinite():
    means = np.array([[1.0, 1e200]])
    dist = MixtureDistribution(np.array([[0.5, 0.5]]), GaussianComponents(means, np.ones(2)))
    assert_array_equal(dist.var_between(), np.inf)
    assert_array_equal(dist.var(), np.inf)
