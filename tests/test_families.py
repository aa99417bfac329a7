"""Families of errors: what they promise, and that one written here needs no change elsewhere."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from skmoe import MixtureOfExpertsRegressor
from skmoe._families.base import Family, LogitLink
from skmoe._families.binomial import BinomialFamily
from skmoe._families.gamma import GammaFamily
from skmoe._families.negative_binomial import NegativeBinomialFamily
from skmoe._families.poisson import PoissonFamily
from skmoe.distributions import ScipyComponents
from skmoe.likelihoods._means import FamilyLikelihood
from skmoe.likelihoods._uncertain import UncertainFunction

NODES, MASSES = np.polynomial.hermite_e.hermegauss(60)
MASSES = MASSES / MASSES.sum()


# Rates that are no successes in trials ------------------------------------------------------------


class BetaFamily(LogitLink):
    """Rates of variance ``mean (1 - mean) / (1 + scale)``."""

    scale, has_precision, unit_has_scale, has_density = "size_", True, True, True

    def unit(self, y, predictor, scale=1.0):
        mean, slope = self.mean(predictor), self.mean_slope(predictor)
        a, b = scale * mean, scale * special.expit(-predictor)
        value = mean * np.log(y) + (1 - mean) * np.log1p(-y)
        value = value - (special.gammaln(a) + special.gammaln(b)) / scale
        by_mean = special.logit(y) - special.digamma(a) + special.digamma(b)
        information = scale * (special.polygamma(1, a) + special.polygamma(1, b))
        return value, slope * by_mean, slope**2 * information + 0 * y

    def normaliser(self, scale):
        return special.gammaln(scale)

    def constant(self, y, size=1.0):
        return -np.log(y) - np.log1p(-y)

    def statistic(self, value, y, mean, variance, scale):
        """Slope of the log-density in the logarithm of the scale."""
        rate, other = special.expit(mean), special.expit(-mean)
        slope = special.digamma(scale) + rate * np.log(y) + other * np.log1p(-y)
        slope = slope - rate * special.digamma(scale * rate)
        return scale * (slope - other * special.digamma(scale * other))

    def best_scale(self, mean, scale=1.0):
        return scale * np.exp(np.clip(1.5 * mean, -1, 1))

    def first(self, y, predictor, scale=1.0, size=1.0):
        value, slope, _ = self.unit(y, predictor, scale)
        return [scale * slope, self.statistic(value, y, predictor, 0.0, scale)]

    def second(self, y, predictor, scale=1.0, size=1.0):
        up, down, more, less = (
            self.first(y, predictor + step, scale * np.exp(of_log))
            for step, of_log in ((1e-5, 0), (-1e-5, 0), (0, 1e-5), (0, -1e-5))
        )
        pairs = zip(up, down, strict=True), zip(more, less, strict=True)
        return [[(high - low) / 2e-5 for high, low in each] for each in pairs]

    def log_density(self, y, mean, scale=1.0, size=1.0):
        return self.components(mean, scale).logpdf(y)

    def components(self, mean, scale=1.0, size=1.0):
        return ScipyComponents(stats.beta(mean * scale, (1 - mean) * scale))

    def averaged(self, mean, variance, scale, size):
        more = mean * (1 - mean) * variance
        return self.components(mean, (1 - more) / (1 / (1 + scale) + more))


class Beta(FamilyLikelihood):
    """Rates between 0 and 1, learned by sums and pooled, too."""

    family, per_expert, learned_logs = BetaFamily(), ("size_",), ("size_",)
    can_be_pooled = has_sums = True

    def start_target(self, y, weight):
        return special.logit(y)

    def pooled(self):
        return PooledBeta()


class PooledBeta(UncertainFunction, Beta):
    """Rates around experts whose coefficients have a posterior."""


TRUTH = np.array([[-1.0, 0.0, -0.5], [1.0, 0.0, 1.0]])  # intercept first
SIZES = np.array([8.0, 30.0])


def rates(n=1500, seed=0):
    """Columns, and rates of two regimes behind a soft border."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    k = (rng.uniform(size=n) < special.expit(3 * X[:, 0])).astype(int)
    mean = special.expit(TRUTH[k, 0] + (TRUTH[k, 1:] * X).sum(axis=1))
    return X, rng.beta(SIZES[k] * mean, SIZES[k] * (1 - mean))


def mixture(**settings):
    return MixtureOfExpertsRegressor(**{"likelihood": Beta(), "random_state": 0, **settings})


@pytest.fixture(scope="module")
def by_sums():
    """A mixture by maximum likelihood, of which all is learned from sums over rows."""
    return mixture(n_experts=2, n_init=3, training="em", tol=1e-8).fit(*rates())


def test_new_family_is_learned_by_sums_and_never_falls(by_sums):
    assert np.diff(by_sums.lower_bounds_).min() > -1e-9
    coef = np.array([[e.intercept_, *e.coef_] for e in by_sums.experts_])
    order = coef[:, 0].argsort()
    assert_allclose(coef[order], TRUTH, atol=0.2)  # some four standard errors
    assert_allclose(by_sums.likelihood_.size_[order], SIZES, rtol=0.25)


def test_new_family_has_standard_errors_at_the_maximum(by_sums):
    table = by_sums.summary(*rates()).to_frame()
    sizes = table["estimate"].to_numpy()[[3, 7]]
    assert_allclose(np.sort(sizes), np.sort(np.log(by_sums.likelihood_.size_)), atol=0.01)
    gap = np.abs(np.sort(sizes) - np.log(SIZES))
    assert (gap < 4 * table["std_error"].to_numpy()[[3, 7]].max()).all()


def test_new_family_goes_through_arrays_to_the_same_optimum(by_sums):
    X, y = rates()
    moe = mixture(n_experts=2, n_init=3, training="em", tol=1e-8, top_k=2).fit(X, y)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    assert_allclose(moe.lower_bound_, by_sums.lower_bound_, atol=1e-6)


def test_new_family_is_pooled_and_finds_its_regimes(by_sums):
    X, y = rates()
    moe = mixture().fit(X, y)
    assert isinstance(moe.likelihood_, PooledBeta)
    assert moe.n_regimes_ == 2
    X, y = rates(seed=1)
    assert moe.log_density(X, y).mean() > by_sums.log_density(X, y).mean() - 0.01
    low, high = moe.predict_interval(X, 0.9).T
    assert ((low < y) & (y < high)).mean() == pytest.approx(0.9, abs=0.03)


# What all promise ---------------------------------------------------------------------------------

TARGETS = {
    PoissonFamily(): np.array([0.0, 1.0, 7.0, 40.0])[:, None],
    GammaFamily(): np.array([0.01, 0.5, 3.0, 20.0])[:, None],
    BinomialFamily(): np.array([0.0, 0.2, 0.7, 1.0])[:, None],
    BetaFamily(): np.array([0.01, 0.2, 0.7, 0.99])[:, None],
}
SCALES = np.array([0.7, 5.0, 60.0])


@pytest.mark.parametrize("family", TARGETS, ids=lambda family: type(family).__name__)
def test_slopes_are_derivatives(family):
    y, predictor = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    up, down = (family.unit(y, predictor + step, SCALES) for step in (1e-5, -1e-5))
    _, slope, curvature = family.unit(y, predictor, SCALES)
    assert_allclose(slope, (up[0] - down[0]) / 2e-5, rtol=1e-6, atol=1e-7)
    if type(family).second is Family.second:  # else it may be an expected one
        assert_allclose(curvature, -(up[1] - down[1]) / 2e-5, rtol=1e-6, atol=1e-8)
    by_mean = (family.mean(predictor + 1e-5) - family.mean(predictor - 1e-5)) / 2e-5
    assert_allclose(family.mean_slope(predictor), by_mean, rtol=1e-8)
    assert_allclose(family.mean(family.link(family.mean(predictor))), family.mean(predictor))


@pytest.mark.parametrize("family", TARGETS, ids=lambda family: type(family).__name__)
def test_parts_of_the_log_density_add_up(family):
    y, predictor = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    scale = SCALES if family.has_precision else 1.0
    value = scale * family.unit(y, predictor, scale)[0]
    value = value + family.normaliser(scale) + family.constant(y)
    assert_allclose(value, family.log_density(y, family.mean(predictor), scale), rtol=1e-10)


@pytest.mark.parametrize("family", TARGETS, ids=lambda family: type(family).__name__)
def test_expectations_are_those_of_a_finer_quadrature(family):
    y, mean = TARGETS[family], np.tile([-1.0, 0.3, 2.0], (4, 1))
    variance = np.array([1e-4, 0.1, 0.4])
    predictors = mean[:, :, None] + np.sqrt(variance)[:, None] * NODES
    exact = family.unit(y[:, :, None], predictors, SCALES[:, None])
    found = family.expected_unit(y, mean, variance, SCALES)
    # Ten nodes, and a millionth of variance more, where there is no closed form.
    for one, other in zip(found[:2], exact[:2], strict=True):
        assert_allclose(one, other @ MASSES, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("family", [GammaFamily(), BetaFamily(), NegativeBinomialFamily()])
def test_first_and_second_derivatives_by_predictor_and_scale(family):
    y = np.array([0.02, 0.4, 0.9])[:, None] if family.is_rate else np.array([1.0, 4.0])[:, None]
    predictor, steps = np.array([-0.5, 0.8]), np.array([[1e-5, 0], [0, 1e-5]])

    def at(step, of_log):
        scale = np.array([2.0, 9.0]) * np.exp(of_log)
        value = family.log_density(y, family.mean(predictor + step), scale)
        return value, family.first(y, predictor + step, scale)

    second = family.second(y, predictor, np.array([2.0, 9.0]))
    for i, step in enumerate(steps):
        up, down = at(*step), at(*-step)
        assert_allclose(at(0, 0)[1][i], (up[0] - down[0]) / 2e-5, rtol=1e-5, atol=1e-6)
        for j, (high, low) in enumerate(zip(up[1], down[1], strict=True)):
            assert_allclose(second[i][j], (high - low) / 2e-5, rtol=1e-5, atol=1e-5)
