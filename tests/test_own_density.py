"""Experts of a stack that have a density of their own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._experts.prediction import own_distribution
from skmoe._ready import diverse
from skmoe._ready.diverse import in_fold
from skmoe._stacking.regression import RegressionDensities
from skmoe.distributions import GaussianComponents, MixtureDistribution, ScipyComponents


def two_branches(n, seed):
    """A target on either of two lines that cross, each as likely, and its log-density."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 3))
    branches = np.stack([1 + X[:, 0], -1 - X[:, 0]])
    y = branches[rng.integers(2, size=n), np.arange(n)] + 0.2 * rng.normal(size=n)
    return X, y, special.logsumexp(stats.norm.logpdf(y, branches, 0.2), axis=0) - np.log(2)


def skewed(n, seed):
    """A target whose logarithm is Gaussian, with a scale that depends on the row."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, np.exp(X[:, 0] + 0.5 * np.exp(X[:, 1]) * rng.normal(size=n))


class LogLine(RegressorMixin, BaseEstimator):
    """Log-normal, whose scale is from a small tree of the squared errors of logarithms."""

    def fit(self, X, y, sample_weight=None):
        self.line_ = Ridge().fit(X, np.log(y), sample_weight)
        squares = (np.log(y) - self.line_.predict(X)) ** 2
        self.square_ = DecisionTreeRegressor(max_depth=3, min_samples_leaf=20).fit(X, squares)
        return self


class OfLogarithm(LogLine):
    def pred_dist(self, X):
        scale = np.sqrt(self.square_.predict(X))
        return stats.lognorm(scale, scale=np.exp(self.line_.predict(X)))

    def predict(self, X):
        return self.pred_dist(X).mean()


class Certain(Ridge):
    """A regressor that is surer of itself than it may be."""

    def __init__(self, std=0.0, alpha=1.0):
        super().__init__(alpha=alpha)
        self.std = std

    def predict(self, X, return_std=False):
        mean = np.round(super().predict(X))
        return (mean, np.full(len(mean), self.std)) if return_std else mean


class OfDistribution(Ridge):
    """A regressor with a distribution of this package's: two peaks, beside its prediction."""

    def predict_dist(self, X):
        mean = self.predict(X)[:, None] + np.array([-1.0, 1.0])
        components = GaussianComponents(mean, np.array([0.2, 0.2]))
        return MixtureDistribution(np.full(mean.shape, 0.5), components)


class OfQuantiles(LogLine):
    """The same as quantiles; ``predict`` is the median."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def predict(self, X, quantiles=0.5):
        return self._quantiles(X, np.reshape(quantiles, -1)).reshape(len(X), *np.shape(quantiles))

    def _quantiles(self, X, levels):
        scale = self.factor * np.sqrt(self.square_.predict(X))[:, None]
        return np.exp(self.line_.predict(X)[:, None] + scale * stats.norm.ppf(levels))


class OfAlphas(OfQuantiles):
    """The same in another package's words."""

    def predict(self, X):
        return self._quantiles(X, 0.5)[:, 0]

    def predict_quantiles(self, X, alpha=None):
        return self._quantiles(X, alpha)


def stack(*experts, **settings):
    named = [(type(each).__name__, each) for each in experts]
    return MixtureOfExpertsRegressor(named, training="stack", random_state=0, **settings)


def lines():
    return MixtureOfExpertsRegressor(n_experts=2, n_init=3, random_state=0)


# What it learns ------------------------------------------------------------------------------


def test_recovers_a_density_that_no_scale_and_tails_have():
    (X, y, _), (X_new, y_new, truth) = two_branches(400, 0), two_branches(1000, 1)
    moe = stack(lines(), HistGradientBoostingRegressor(), Ridge()).fit(X, y)
    assert_array_equal(moe.likelihood_.own_density_, [True, False, False, False])
    # The difference of log-densities of a row has a standard deviation of about 0.1 here.
    assert moe.log_density(X_new, y_new).mean() > truth.mean() - 0.03
    assert moe.oof_score_ == pytest.approx(truth.mean(), abs=0.1)
    without = stack(HistGradientBoostingRegressor(), Ridge()).fit(X, y)
    assert without.log_density(X_new, y_new).mean() < truth.mean() - 0.3


def test_density_is_the_gates_mean_of_own_and_learned_ones():
    X, y = skewed(300, 0)
    process = make_pipeline(StandardScaler(), GaussianProcessRegressor(RBF() + WhiteKernel()))
    moe = stack(OfLogarithm(), process, HistGradientBoostingRegressor(max_iter=20)).fit(X, y)
    of_log, pipeline, boosting, of_stack = moe.experts_
    likelihood = moe.likelihood_
    assert_array_equal(likelihood.own_density_[[0, 2, 3]], [True, False, False])
    assert_array_equal(np.isnan(likelihood.scale_), likelihood.own_density_)
    factor = likelihood.scale_model_(X)[:, 0]

    def learned(k, expert):
        at = stats.t(likelihood.df_[k], expert.predict(X), likelihood.scale_[k] * factor)
        return at.logpdf(y), at.cdf(y)

    of_process = stats.norm(*pipeline[-1].predict(pipeline[:-1].transform(X), return_std=True))
    parts = [
        (of_log.pred_dist(X).logpdf(y), of_log.pred_dist(X).cdf(y)),
        (of_process.logpdf(y), of_process.cdf(y))
        if likelihood.own_density_[1]
        else learned(1, pipeline),
        learned(2, boosting),
        learned(3, of_stack),
    ]
    log_density, cdf = np.moveaxis(np.array(parts), 1, 0)
    gate = moe.gate_proba(X).T
    expected = special.logsumexp(np.log(gate) + log_density, axis=0)
    assert_allclose(moe.log_density(X, y), expected, rtol=1e-9)
    distribution = moe.predict_dist(X)
    assert_allclose(distribution.cdf(y), (gate * cdf).sum(axis=0), rtol=1e-9)
    means = np.stack([of_log.predict(X), *(each.predict(X) for each in moe.experts_[1:])])
    assert_allclose(moe.predict(X), (gate * means).sum(axis=0), rtol=1e-9)
    assert_allclose(moe.predict_experts(X), means.T, rtol=1e-9)
    assert_allclose(distribution.cdf(distribution.ppf(0.2)), 0.2, rtol=1e-9)
    draws = moe.predict_dist(X[:1]).rvs(4000, random_state=0)
    # Of 4,000 draws, the standard error of a quarter is 0.007.
    assert np.mean(draws < moe.predict_dist(X[:1]).ppf(0.25)[0]) == pytest.approx(0.25, abs=0.03)


def test_own_densities_are_out_of_fold(monkeypatch):
    X, y, _ = two_branches(150, 0)
    seen, folds = [], KFold(4)
    monkeypatch.setattr(RegressionDensities, "take_own", lambda self, own, *_: seen.append(own))
    stack(lines(), BayesianRidge(), OfDistribution(), Ridge(), cv=folds).fit(X, y)
    (own,) = seen
    assert list(own) == [0, 1, 2]
    expected, anew = np.empty((3, len(y))), np.empty(len(y))
    of_all_rows = clone(lines()).fit(X, y)
    for train, test in folds.split(X):
        bayes = BayesianRidge().fit(X[train], y[train])
        mean, std = bayes.predict(X[test], return_std=True)
        expected[1, test] = stats.norm.logpdf(y[test], mean, std)
        fitted = clone(OfDistribution()).fit(X[train], y[train])
        expected[2, test] = fitted.predict_dist(X[test]).logpdf(y[test])
        anew[test] = lines().fit(X[train], y[train]).log_density(X[test], y[test])
        fitted = in_fold(of_all_rows).fit(X[train], y[train])
        expected[0, test] = fitted.log_density(X[test], y[test])
    assert_allclose([own[k] for k in range(3)], expected, rtol=1e-9)
    # In a fold a mixture goes on until it gains less than 1e-5 a row.
    assert expected[0].mean() == pytest.approx(anew.mean(), abs=1e-4)


def test_lines_of_many_rows_go_on_in_folds(monkeypatch):
    X, y, _ = two_branches(600, 0)
    mixture = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0)
    of_all_rows, train = clone(mixture).fit(X, y), np.arange(600) % 5 > 0
    assert not diverse.forgets_rows(of_all_rows, 600)
    monkeypatch.setattr(diverse, "EM_ROWS", 600)
    assert diverse.forgets_rows(of_all_rows, 600)
    anew = clone(mixture).fit(X[train], y[train]).log_density(X[~train], y[~train])
    gone_on = in_fold(of_all_rows).fit(X[train], y[train]).log_density(X[~train], y[~train])
    assert gone_on.mean() == pytest.approx(anew.mean(), abs=1e-3)


def test_a_density_worse_than_learned_scales_and_tails_is_not_used():
    X, y, _ = two_branches(200, 0)
    alone = stack(Certain(std=1e-4), Ridge()).fit(X, y)
    assert not alone.likelihood_.own_density_.any()
    assert np.isfinite(alone.likelihood_.scale_).all()
    same = stack(Certain(std=1e-3), Ridge()).fit(X, y)
    assert_allclose(alone.log_density(X, y), same.log_density(X, y), rtol=1e-9)


def test_an_infinite_density_is_not_used():
    class Pole(Ridge):
        def predict_dist(self, X):
            gamma = ScipyComponents(stats.gamma(np.full((len(X), 1), 0.5), scale=2.0))
            return MixtureDistribution(np.ones((len(X), 1)), gamma)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.gamma(0.5, 2.0, size=120)
    y[:5] = 0
    assert Pole().fit(X, y).predict_dist(X[:1]).pdf(y[:1]) == np.inf
    moe = stack(Pole(), Ridge(), cv=3).fit(X, y)
    assert not moe.likelihood_.own_density_.any()
    assert np.isfinite(moe.oof_score_)


# Quantiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OfQuantiles, OfAlphas])
def test_quantiles_make_a_density(kind):
    (X, y), (X_new, y_new) = skewed(500, 0), skewed(2000, 1)
    told, known = (each().fit(X, y) for each in (kind, OfLogarithm))
    distribution = own_distribution(told, X_new, 1e-6)
    of_log = known.pred_dist(X_new)
    # Beyond the outermost of twenty quantiles the tails are guessed.
    assert distribution.logpdf(y_new).mean() > of_log.logpdf(y_new).mean() - 0.05
    levels = np.linspace(0.1, 0.9, 9)
    distances = of_log.cdf(distribution.ppf(levels).T) - levels[:, None]
    # Kernels reach below the lowest quantiles of strong skew.
    assert np.abs(distances).max() < 0.07
    moe = stack(kind(), Ridge()).fit(X, y)
    assert moe.likelihood_.own_density_[0]
    assert moe.log_density(X_new, y_new).mean() > of_log.logpdf(y_new).mean() - 0.1


@pytest.mark.parametrize("factor", [1.0, 1e-3])
@pytest.mark.parametrize("kind", [OfQuantiles, OfAlphas])
def test_the_mean_of_a_stack_is_that_of_its_density(kind, factor):
    X, y = skewed(300, 0)
    moe = stack(make_pipeline(StandardScaler(), kind(factor)), Ridge()).fit(X, y)
    assert moe.likelihood_.own_density_[0] == (factor == 1)  # much too narrow ones are not used
    predicted, of_experts = moe.predict(X), moe.predict_experts(X)
    assert_allclose(predicted, moe.predict_dist(X).mean(), rtol=1e-9)
    assert_allclose(predicted, (moe.gate_proba(X) * of_experts).sum(axis=1), rtol=1e-9)
    mean = own_distribution(moe.experts_[0], X, moe.likelihood_.floor_).mean()
    assert_allclose(of_experts[:, 0], mean, rtol=1e-9)
    combination = moe.experts_[2].final_estimator_
    assert_allclose(of_experts[:, 2], combination.predict(of_experts[:, :2]), rtol=1e-9)
    if factor == 1:
        assert (mean > 1.02 * moe.experts_[0].predict(X)).mean() > 0.8  # than the median


def test_quantile_forests_have_a_density():
    RandomForestQuantileRegressor = pytest.importorskip(
        "quantile_forest"
    ).RandomForestQuantileRegressor
    (X, y, _), (X_new, y_new, _) = two_branches(400, 0), two_branches(1000, 1)
    forest = RandomForestQuantileRegressor(50, min_samples_leaf=20, random_state=0)
    moe = stack(forest, Ridge(), cv=3).fit(X, y)
    assert moe.likelihood_.own_density_[0]
    without = stack(RandomForestRegressor(50, min_samples_leaf=20), Ridge(), cv=3).fit(X, y)
    assert moe.log_density(X_new, y_new).mean() > without.log_density(X_new, y_new).mean() + 0.1


# Spikes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [0.0, 1e-12])
def test_rounded_targets_are_not_bought_by_a_spike(std):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.round(X @ [1.0, 1.0] + 0.05 * rng.normal(size=300))
    moe = stack(Certain(std, alpha=1e-6), DecisionTreeRegressor(min_samples_leaf=5)).fit(X, y)
    floor = moe.likelihood_.floor_
    assert floor == pytest.approx(1 / np.sqrt(12))  # the standard deviation of rounding
    highest = -np.log(floor * np.sqrt(2 * np.pi))
    assert moe.likelihood_.own_density_[0]
    assert moe.oof_log_density_.max() <= highest + 1e-9
    grid = moe.predict_dist(X[:20]).pdf(moe.experts_[0].predict(X[:20]))
    assert grid.max() <= np.exp(highest) + 1e-9


def test_components_below_the_floor_are_widened_and_others_stay():
    class Spiked(Ridge):
        def predict_dist(self, X):
            mean = np.repeat(self.predict(X)[:, None], 2, axis=1)
            scale = np.where(np.arange(len(X))[:, None] % 2, [1e-9, 1.0], [0.5, 1.0])
            laplace = ScipyComponents(stats.laplace(mean, scale))
            return MixtureDistribution(np.full(mean.shape, 0.5), laplace)

    X, y, _ = two_branches(100, 0)
    model = Spiked().fit(X, y)
    distribution, mean = own_distribution(model, X, 0.3), model.predict(X)
    odd = np.arange(100) % 2 == 1
    first = np.where(odd, stats.norm(mean, 0.3).pdf(y), stats.laplace(mean, 0.5).pdf(y))
    assert_allclose(distribution.pdf(y), (first + stats.laplace(mean).pdf(y)) / 2, rtol=1e-9)
    assert_allclose(distribution.cdf(distribution.ppf(0.3)), 0.3, rtol=1e-9)


# All the rest --------------------------------------------------------------------------------


def test_units_do_not_matter():
    X, y = skewed(200, 0)
    experts = OfLogarithm(), DecisionTreeRegressor(max_depth=3)
    one, other = stack(*experts).fit(X, y), stack(*experts).fit(X, 1e4 * y)
    assert one.likelihood_.own_density_[0]
    # L-BFGS ends within its tolerance; rounding differs with the unit.
    assert_allclose(other.log_density(X, 1e4 * y) + np.log(1e4), one.log_density(X, y), atol=1e-3)
