"""A likelihood of its own for each expert."""

import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.likelihoods import (
    Gaussian,
    LogNormal,
    PerExpert,
    PerOutput,
    StudentT,
    WithNoise,
    ZeroInflated,
)


def half_with_tails(seed, n=1500):
    """Two lines side by side, of which the right one has Student's t errors."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 1))
    right = X[:, 0] > 0
    errors = np.where(right, rng.standard_t(3, size=n), rng.normal(size=n))
    return X, np.where(right, 2 - 3 * X[:, 0], X[:, 0]) + 0.1 * errors


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, training="em", random_state=0)


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "laplace"])
def test_equal_likelihoods_are_one_for_all(kind):
    data = half_with_tails(0)
    settings = {"experts": LinearRegression(), "n_init": 1, "init": "kmeans_x", "tol": 1e-7}
    one, each = (
        mixture(likelihood=kind, **settings).fit(*data),
        mixture(likelihood=[kind, kind], **settings).fit(*data),
    )
    assert_allclose(each.lower_bound_, one.lower_bound_, rtol=1e-4)
    order = np.argsort([expert.coef_[0] for expert in each.experts_])
    order_of_one = np.argsort([expert.coef_[0] for expert in one.experts_])
    scale, scale_of_one = each.likelihood_.scale_, one.likelihood_.scale_
    assert_allclose(scale[order], scale_of_one[order_of_one], rtol=1e-3)  # tol of EM
    assert_allclose(each.log_density(*data), one.log_density(*data), atol=0.01)
    assert_allclose(each.bic(*data), one.bic(*data), rtol=1e-4)


def test_density_is_that_of_unlike_distributions_of_scipy():
    X, y = half_with_tails(1)
    moe = mixture(likelihood=[Gaussian(), StudentT(3)]).fit(X, y)
    means, gate, scale = moe.predict_experts(X), moe.gate_proba(X), moe.likelihood_.scale_
    normal = stats.norm(means[:, 0], scale[0])
    tails = stats.t(3, means[:, 1], scale[1])
    expected = np.log(gate[:, 0] * normal.pdf(y) + gate[:, 1] * tails.pdf(y))
    assert_allclose(moe.log_density(X, y), expected, rtol=1e-9)
    cdf = gate[:, 0] * normal.cdf(y) + gate[:, 1] * tails.cdf(y)
    distribution = moe.predict_dist(X)
    assert_allclose(distribution.cdf(y), cdf, atol=1e-12)
    assert_allclose(distribution.cdf(distribution.ppf(0.3)), 0.3, atol=1e-9)
    draws = moe.sample_y(X[:1], 4000, random_state=0)[0]
    one = moe.predict_dist(X[:1])
    assert stats.kstest(draws, lambda at: np.ravel([one.cdf(v) for v in at])).pvalue > 1e-3


def test_regimes_find_the_likelihood_that_made_them():
    data, new = half_with_tails(2), half_with_tails(3)
    moe = mixture(likelihood=["gaussian", StudentT(3)]).fit(*data)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    right = [expert.coef_[0] for expert in moe.experts_]
    assert_allclose(right, [1, -3], atol=0.05)
    assert_allclose(moe.likelihood_.scale_, [0.1, 0.1], rtol=0.1)
    score = moe.log_density(*new).mean()
    assert score > mixture(likelihood="gaussian").fit(*data).log_density(*new).mean() + 0.02
    assert score > mixture(likelihood=StudentT(3)).fit(*data).log_density(*new).mean()


def test_counts_of_which_some_are_overdispersed():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(3000, 1))
    mean = np.exp(2 + X[:, 0])
    spread = X[:, 0] > 0
    y = np.where(spread, rng.poisson(mean * rng.gamma(2, 1 / 2, size=3000)), rng.poisson(mean))
    kinds = ["poisson", "negative_binomial"]
    moe = MixtureOfExpertsRegressor(
        likelihood=kinds, n_experts=2, random_state=0, training="em"
    ).fit(X, y)
    shape = moe.likelihood_.likelihoods_[1].shape_
    assert_allclose(shape, [2], rtol=0.25)  # standard error of a shape from 1500 counts
    assert moe.gate_proba([[-0.9], [0.9]]).argmax(axis=1).tolist() == [0, 1]
    assert moe.predict_dist(X[:5]).discrete
    one_by_one = MixtureOfExpertsRegressor(
        [(kind, PoissonRegressor(alpha=0)) for kind in kinds], cv=False, likelihood=kinds,
        random_state=0, max_iter=500,
    ).fit(X, y)  # fmt: skip
    assert_allclose(one_by_one.lower_bound_, moe.lower_bound_, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
def test_flexible_experts_top_k_and_pickles():
    data = half_with_tails(4, n=600)
    tree = DecisionTreeRegressor(min_samples_leaf=10, random_state=0)
    moe = mixture(
        likelihood=["gaussian", "laplace", "student_t"], experts=tree, n_experts=3, top_k=2
    ).fit(*data)
    twin = pickle.loads(pickle.dumps(moe))
    assert_array_equal(twin.log_density(*data), moe.log_density(*data))
    names = [type(each).__name__ for each in moe.likelihood_.likelihoods_]
    assert names == ["Gaussian", "Laplace", "StudentT"]
    X, y = data
    means, scale = moe.predict_experts(X), moe.likelihood_.scale_
    density = [
        stats.norm.pdf(y, means[:, 0], scale[0]),
        stats.laplace.pdf(y, means[:, 1], scale[1]),
        stats.t.pdf(y, 4, means[:, 2], scale[2]),
    ]
    experts, weights = moe.route(X)
    routed = np.take_along_axis(np.column_stack(density), experts, axis=1)
    expected = np.log((weights * routed).sum(axis=1))
    assert_allclose(moe.log_density(X, y), expected, rtol=1e-9)
    assert_allclose(moe.predict_dist(X).logpdf(y), expected, rtol=1e-9)


def test_one_expert_alone_may_have_noise():
    X, y = half_with_tails(7)
    rng = np.random.default_rng(7)
    bad = (X[:, 0] > 0) & (rng.uniform(size=len(X)) < 0.1)
    y[bad] = rng.uniform(-8, 8, size=bad.sum())
    moe = mixture(likelihood=["gaussian", WithNoise()]).fit(X, y)
    noisy = moe.likelihood_.likelihoods_[1]
    assert_allclose(noisy.share_, bad[X[:, 0] > 0].mean(), atol=0.03)
    assert_allclose([expert.coef_[0] for expert in moe.experts_], [1, -3], atol=0.05)
    with pytest.raises(ValueError, match="PerExpert"):
        mixture(likelihood=WithNoise(PerExpert(["gaussian", "laplace"]))).fit(X, y)


def test_experts_can_be_removed_and_replaced_but_not_added():
    data = half_with_tails(5)
    moe = mixture(likelihood=["gaussian", StudentT(3)], gate=ConstantGate()).fit(*data)
    before = moe.likelihood_.scale_.copy()
    with pytest.raises(ValueError, match="one likelihood for all"):
        moe.add_expert(*half_with_tails(6, n=100), replay=data)
    assert_array_equal(moe.likelihood_.scale_, before)
    second = list(moe.named_experts_)[1]
    moe.replace_expert(second, LinearRegression(), *data)
    assert type(moe.likelihood_.likelihoods_[1]) is StudentT
    moe.remove_expert(second, *data)
    assert [type(each) for each in moe.likelihood_.likelihoods_] == [Gaussian]


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (["gaussian"], "list of 2"),
        (["gaussian", "poisson"], "all of counts"),
        (["gaussian", LogNormal()], "something else than y"),
        (["gaussian", Gaussian(scale="auto")], "cannot depend on the row"),
        (PerExpert("gaussian"), "list of 2"),
        ([ZeroInflated("gamma"), "gamma"], "all experts alike"),
        ([PerOutput(["gaussian", "gaussian"]), "gaussian"], "all experts alike"),
    ],
)
def test_lists_that_do_not_go_together_are_refused(likelihood, message):
    with pytest.raises(ValueError, match=message):
        mixture(likelihood=likelihood).fit(*half_with_tails(0, n=100))
