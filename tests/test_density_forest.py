"""A forest whose leaves give a distribution."""

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmoe import DensityForestRegressor, MixtureOfExpertsRegressor
from skmoe._ready import density_forest

SMALL = DensityForestRegressor(20, random_state=0)


def two_peaks(n, seed=0):
    """Rows around a line or its mirror image, with their log-densities."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 2, size=(n, 2))
    y = rng.choice([-1, 1], n) * X[:, 0] + 0.1 * rng.normal(size=n)
    above, below = stats.norm(X[:, 0], 0.1), stats.norm(-X[:, 0], 0.1)
    return X, y, np.log(0.5 * above.pdf(y) + 0.5 * below.pdf(y))


def noisy_line(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1))
    return X, 3 * X[:, 0] + rng.normal(size=n)


def weights_of_bags(estimator):
    """Of weights, bags are drawn; those of random forests fail these checks as well."""
    check, why = "check_sample_weight_equivalence_on_{}_data", "bags are drawn"
    return {check.format(kind): why for kind in ("dense", "sparse")}


@pytest.mark.usefixtures("array_namespaces")
@parametrize_with_checks([SMALL], expected_failed_checks=weights_of_bags)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weighted", [False, True])
def test_weights_are_shares_of_leaves(weighted):
    X, y = noisy_line(60)
    weight = np.arange(60) % 3 + 1.0 if weighted else None
    forest = DensityForestRegressor(20, min_samples_leaf=4, random_state=0)
    forest.fit(X, y, sample_weight=weight)
    new = noisy_line(10, seed=1)[0]
    there, expected = forest.forest_.apply(X), np.zeros((10, 60))
    for row, leaves in enumerate(forest.forest_.apply(new)):
        for tree, leaf in enumerate(leaves):
            inside = (there[:, tree] == leaf) * (np.ones(60) if weight is None else weight)
            expected[row] += inside / inside.sum() / 20
    dist = forest.predict_dist(new)
    places = np.searchsorted(np.sort(y), dist.components.mean - 1e-9)
    of_all = np.zeros((10, 60))
    np.add.at(of_all, (np.arange(10)[:, None], places), dist.weights)
    np.testing.assert_allclose(of_all, expected[:, np.argsort(y)], atol=1e-12)
    assert dist.weights.shape[1] == np.count_nonzero(expected, axis=1).max()
    np.testing.assert_allclose(forest.predict(new), dist.mean())


@pytest.mark.parametrize("noise", [0.1, 3.0])
@pytest.mark.parametrize(("name", "values"), density_forest.TRIALS.items())
def test_the_best_trees_are_by_the_density_out_of_bag(name, values, noise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 60))
    given = X, X[:, 0] + noise * rng.normal(size=200), np.ones(200)

    def fitted(value, n_trees=30):
        return DensityForestRegressor(n_trees, **{name: value}, random_state=0).fit(*given)

    best = max(values, key=lambda value: fitted(value, 40)._log_density)
    assert best == values[noise > 1]
    forest = fitted("best")
    assert forest.forest_.get_params()[name] == best
    np.testing.assert_array_equal(forest.predict(X), fitted(best).predict(X))


@pytest.mark.parametrize("skewed", [False, True])
def test_the_kernels_have_the_best_density_out_of_bag(skewed):
    X, y = noisy_line(80)
    y = np.exp(y) if skewed else y
    forest = DensityForestRegressor(30, random_state=0).fit(X, y)
    there, order = forest.forest_.apply(X), np.argsort(y)
    weights = np.zeros((80, 80))
    for tree, seen in enumerate(forest.forest_.estimators_samples_):
        for row in np.setdiff1d(np.arange(80), seen):
            inside = there[:, tree] == there[row, tree]
            inside[row] = False
            weights[row] += inside / inside.sum()
    weights = (weights / weights.sum(axis=1, keepdims=True))[:, order]
    deviation = np.sqrt(weights @ y[order] ** 2 - (weights @ y[order]) ** 2)
    own = np.maximum(deviation, 1e-3 * y.std())[:, None]
    density = weights @ stats.norm.pdf(y[order], y[order][:, None], 0.05 * y.std())

    factors = {False: y.std(), True: 1 / np.maximum(density, 0.01 / y.std())}
    if skewed:
        factors["proportional"] = y.std() * np.maximum(y[order] / y.mean(), 0.03) ** 2

    def score(kernels):
        width, adaptive = kernels
        kernel = stats.t(5, y[order], width * np.sqrt(own * factors[adaptive]))
        return np.log(np.sum(weights * kernel.pdf(y[:, None]), axis=1)).sum()

    possible = [(w, adaptive) for w in density_forest.WIDTHS for adaptive in factors]
    assert (forest.width_, forest.adaptive_) == max(possible, key=score)


def test_two_peaks_are_recovered():
    X, y, _ = two_peaks(2000)
    new, target, truth = two_peaks(500, seed=1)
    forest = DensityForestRegressor(min_samples_leaf=10, random_state=0).fit(X, y)
    density, scale = forest.predict_dist(new).logpdf(target), np.std(target)
    assert density.mean() > truth.mean() - 0.25
    assert density.mean() > stats.norm(0, scale).logpdf(target).mean() + 0.5


def test_kernels_are_narrow_where_targets_are_dense():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 1))
    near = rng.uniform(size=800) < 0.5  # half of all rows are close to zero, the others up to ten
    y = np.where(near, rng.uniform(0, 0.2, 800), rng.uniform(2, 10, 800))
    forest = DensityForestRegressor(30, min_samples_leaf=20, random_state=0).fit(X, y)
    assert forest.adaptive_
    components = forest.predict_dist(X[:1]).components
    mean, scale = components.mean[0], components.scale[0]
    assert scale[mean < 0.2].mean() < 0.3 * scale[mean > 2].mean()
    straight, target = noisy_line(800)
    assert not DensityForestRegressor(30, random_state=0).fit(straight, target).adaptive_


def test_rounded_targets_do_not_make_it_narrow():
    X, y = noisy_line(800)
    exact = DensityForestRegressor(random_state=0).fit(X, y)
    rounded = DensityForestRegressor(random_state=0).fit(X, np.round(y))
    assert rounded.width_ >= 0.7 * exact.width_
    new = np.zeros((1, 1))
    at_whole_numbers = rounded.predict_dist(new).pdf(np.array([0.0]))[0]
    assert at_whole_numbers < 1.5 * stats.norm.pdf(0)


def test_values_that_repeat_have_narrow_kernels_as_well():
    def prices(n, seed):  # half of them are round
        X, y = noisy_line(n, seed)
        return X, np.where(np.arange(n) % 2, y, np.round(y / 2) * 2)

    (X, y), (new, target) = prices(1000, 0), prices(4000, 1)
    forest = DensityForestRegressor(50, min_samples_leaf=20, random_state=0).fit(X, y)
    dist = forest.predict_dist(new)
    assert dist.components.scale.min() > 0.0299 * y.std()
    np.testing.assert_allclose(dist.weights.sum(axis=1), 1.0)
    forest._shares = 0 * forest._shares
    assert (dist.logpdf(target) - forest.predict_dist(new).logpdf(target)).mean() > 0.2
    assert forest.fit(X, np.round(y))._narrow.min() >= 0.5
    assert not forest.fit(*noisy_line(1000))._shares.any()


def test_kernels_in_proportion_to_the_target_have_a_least_width():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    y = np.exp(1 + X[:, 0] + rng.normal(size=4000))
    y[rng.random(4000) < 0.05] = 1e-12
    forest = DensityForestRegressor(40, random_state=0).fit(X[:2000], y[:2000])
    assert forest.adaptive_ == "proportional"
    assert forest.predict_dist(X[2000:]).logpdf(y[2000:]).max() < 3


def test_bins_of_many_values_keep_mean_and_variance():
    rng = np.random.default_rng(0)
    y, weight = np.exp(2 * rng.normal(size=3000)), rng.uniform(size=3000)
    y[:600] = 1.0
    bins = density_forest._bins_of(y, weight)
    assert 100 < len(np.unique(bins)) <= density_forest.MOST_BINS + 1
    assert np.array_equal(np.unique(bins), np.arange(bins.max() + 1))
    assert (np.diff(bins[np.argsort(y)]) >= 0).all()
    assert (y[bins == bins[0]] == 1.0).mean() > 0.95
    X = rng.normal(size=(3000, 1))
    forest = DensityForestRegressor(30, min_samples_leaf=0.5, random_state=0).fit(X, y)
    plain = RandomForestRegressor(30, min_samples_leaf=0.5, random_state=0).fit(X, y)
    np.testing.assert_allclose(forest.predict(X).mean(), y.mean())  # leaves are all rows
    assert plain.predict(X).mean() == pytest.approx(y.mean(), rel=0.1)  # those in bags
    dist = forest.predict_dist(X[:1])  # Student's t has 5 / 3 of its scale's variance
    within = dist.weights[0] @ forest._variances
    of_kernels = 5 / 3 * dist.weights[0] @ dist.components.scale[0] ** 2
    assert dist.var()[0] == pytest.approx(y.var() - within + of_kernels)


def test_rows_without_weight_are_left_out_and_units_do_not_matter():
    X, y = noisy_line(100)
    weight = np.ones(100)
    weight[::3] = 0.0
    seen = weight > 0
    dist = SMALL.fit(X, y, sample_weight=weight).predict_dist(X)
    without = SMALL.fit(X[seen], y[seen], sample_weight=np.ones(seen.sum())).predict_dist(X)
    np.testing.assert_array_equal(dist.logpdf(y), without.logpdf(y))
    first = SMALL.fit(X, y).predict_dist(X).logpdf(y)
    units = SMALL.fit(X, 5.0 + 1e6 * y).predict_dist(X).logpdf(5.0 + 1e6 * y)
    np.testing.assert_allclose(units, first - np.log(1e6), atol=1e-6)


def test_missing_values_and_sparse_rows():
    X, y = noisy_line(100)
    X = np.where(np.abs(X) < 0.3, 0.0, X)
    dense = SMALL.fit(X, y).predict_dist(X).logpdf(y)
    of_sparse = SMALL.fit(sparse.csr_array(X), y).predict_dist(sparse.csr_array(X)).logpdf(y)
    np.testing.assert_array_equal(of_sparse, dense)
    X[::5] = np.nan
    assert np.isfinite(SMALL.fit(X, y).predict_dist(X).logpdf(y)).all()


def test_a_constant_target_has_a_finite_density_around_it():
    dist = SMALL.fit(np.arange(10.0)[:, None], np.full(10, 7.0)).predict_dist([[3.0]])
    assert dist.mean() == pytest.approx([7.0])
    assert np.isfinite(dist.logpdf(np.array([7.0]))).all()


def test_out_of_bag_no_tree_has_seen_the_row_nor_has_a_leaf_its_weight():
    X, y = noisy_line(60)
    rows, weight = np.flatnonzero(np.arange(60) % 5), np.arange(48) % 3 + 1.0
    forest = DensityForestRegressor(10, min_samples_leaf=3, random_state=0)
    forest.fit(X[rows], y[rows], sample_weight=weight)
    there, of_new = forest.forest_.apply(X[rows]), forest.forest_.apply(X)
    seen = np.zeros((60, 10), dtype=bool)
    for tree, drawn in enumerate(forest.forest_.estimators_samples_):
        seen[rows[drawn], tree] = True
    expected = np.zeros(60)
    for i in range(60):
        trees = np.flatnonzero(~seen[i])
        for tree in trees if len(trees) else range(10):
            inside = (there[:, tree] == of_new[i, tree]) * (rows != i) * weight
            expected[i] += inside @ y[rows] / inside.sum() / (len(trees) or 10)
    found = density_forest.out_of_bag(forest, X, y[rows], rows, weight)
    np.testing.assert_allclose(found.predict(X), expected)
    np.testing.assert_allclose(found.predict_dist(X).mean(), expected)
    assert (seen.all(axis=1)).any()


@pytest.mark.parametrize("by_row", [True, False])
def test_a_stack_asks_its_forest_out_of_bag_unless_rows_belong_together(by_row):
    X, y, _ = two_peaks(300)
    experts = [("forest", DensityForestRegressor(30)), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=0)
    moe.fit(X, y, **({} if by_row else {"groups": np.arange(300) // 3}))
    assert moe.n_expert_fits_ == (1 if by_row else 6) + 6
    new, target, _ = two_peaks(2000, seed=1)  # which have no lower density than unseen rows
    assert moe.oof_log_density_.mean() < moe.log_density(new, target).mean() + 0.03


def test_in_a_stack_it_keeps_its_peaks():
    X, y, _ = two_peaks(600)
    experts = [("forest", DensityForestRegressor(50)), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=0).fit(X, y)
    assert moe.likelihood_.own_density_[0]
    dist = moe.predict_dist(np.array([[1.5, 1.5]]))
    at_peak, between = dist.pdf(np.array([1.5])), dist.pdf(np.array([0.0]))
    assert at_peak > 10 * between


def test_trees_of_many_rows_are_grown_on_some_and_weighed_by_all(monkeypatch):
    monkeypatch.setattr(density_forest, "MOST_ROWS", 150)
    X, y = noisy_line(1_000)
    forest = DensityForestRegressor(30, random_state=0).fit(X, y)
    assert {tree.tree_.weighted_n_node_samples[0] for tree in forest.forest_.estimators_} == {150}
    np.testing.assert_allclose(forest._of_leaf.sum(), 30 * len(y))
    X_test, y_test = noisy_line(2_000, seed=1)
    truth = stats.norm(3 * X_test[:, 0], 1).logpdf(y_test).mean()
    assert truth - 0.15 < forest.predict_dist(X_test).logpdf(y_test).mean() < truth
