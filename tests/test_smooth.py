"""The Gaussian process of "diverse": its kernel, exact and around centres, and its weights."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from skmoe._ready import smooth
from skmoe._ready.smooth import SmoothRegressor, held_out, negative_evidence

KERNEL = np.array([0.05, 0.7, 1.5, 4.0])  # the noise, and length scales of three columns


def waves(n, noise=0.1, seed=0):
    """A wave in the first of three columns, a line in the second, nothing in the third."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    mean = np.sin(3 * X[:, 0]) + X[:, 1]
    return X, mean + noise * rng.normal(size=n), mean


@pytest.fixture
def known_kernel(monkeypatch):
    def learn(self, *rows):
        self.noise_, self.length_scales_ = KERNEL[0], KERNEL[1:]
        self.indicators_ = smooth.NO_INDICATORS

    monkeypatch.setattr(SmoothRegressor, "_learn_kernel", learn)


def test_mean_is_that_of_scikit_learn(known_kernel):
    X, y, _ = waves(60)
    kernel = Matern(KERNEL[1:], nu=2.5)
    of_scikit_learn = GaussianProcessRegressor(kernel, alpha=KERNEL[0], optimizer=None)
    of_scikit_learn.fit(X, y - y.mean())
    new = waves(20, seed=1)[0]
    expected = y.mean() + of_scikit_learn.predict(new)
    np.testing.assert_allclose(SmoothRegressor(0).fit(X, y).predict(new), expected, rtol=1e-9)


def test_evidence_is_that_of_scikit_learn_at_the_best_variance():
    X, y, _ = waves(40)

    def by_scikit_learn(theta):
        noise, *scales = np.exp(theta)
        gram = Matern(scales, nu=2.5)(X) + noise * np.eye(len(y))
        variance = y @ np.linalg.solve(gram, y) / len(y)
        kernel = ConstantKernel(variance) * (Matern(scales, nu=2.5) + WhiteKernel(noise))
        model = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(X, y)
        prior = -0.5 * np.sum((theta[1:] - 0.5 * np.log(3)) ** 2)
        return model.log_marginal_likelihood_value_ + prior

    first, second = np.log(KERNEL), np.array([-1.0, 0.0, 0.3, 1.0])
    given = X, y[:, None], np.ones(len(y))
    gain = negative_evidence(first, *given)[0] - negative_evidence(second, *given)[0]
    expected = by_scikit_learn(second) - by_scikit_learn(first)
    assert gain * len(y) == pytest.approx(expected, rel=1e-8)


def test_gradient_is_that_of_finite_differences():
    X, y, _ = waves(40)
    given = X, np.column_stack([y, X[:, 2] ** 2]), np.linspace(0.5, 2, len(y))
    theta = np.log(KERNEL)
    expected = approx_fprime(theta, lambda at: negative_evidence(at, *given)[0], 1e-6)
    _, gradient = negative_evidence(theta, *given)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)  # of the differences


@pytest.mark.parametrize("exact_rows", [0, 1000])
def test_a_weight_is_a_row_given_so_often(known_kernel, monkeypatch, exact_rows):
    monkeypatch.setattr(smooth, "EXACT_ROWS", exact_rows)
    X, y, _ = waves(30)
    weight = np.arange(30) % 3  # some are zero
    monkeypatch.setattr(smooth, "FEW_CENTRES", np.count_nonzero(weight))
    weighted = SmoothRegressor(0).fit(X, y, sample_weight=weight)
    monkeypatch.setattr(smooth, "EXACT_ROWS", 1000)
    repeated = SmoothRegressor(0).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)  # jitter


def test_widening_compares_with_rows_left_out(known_kernel):
    X, y, _ = waves(30)
    new = 3 * waves(20, seed=1)[0]
    of_scikit_learn = GaussianProcessRegressor(
        Matern(KERNEL[1:], nu=2.5), alpha=KERNEL[0], optimizer=None
    )

    def variance(kept, X_new):
        _, std = of_scikit_learn.fit(X[kept], y[kept]).predict(X_new, return_std=True)
        return std**2 + KERNEL[0]

    left_out = [variance(np.arange(30) != i, X[[i]])[0] for i in range(30)]
    expected = np.sqrt(np.maximum(variance(np.arange(30), new) / sorted(left_out)[26], 1))[:, None]
    assert expected.min() == 1 < expected.max()
    widening = SmoothRegressor(0).fit(X, y).widening(new)
    np.testing.assert_allclose(widening, expected, rtol=1e-6)  # the nugget
    twice = SmoothRegressor(0).fit(np.tile(X, (2, 1)), np.tile(y, 2))
    weighted = SmoothRegressor(0).fit(X, y, sample_weight=np.full(30, 2))
    noise = KERNEL[0] * np.array([1, 1 / 2])  # that of a row of average weight
    left_out = [twice.left_out_, weighted.left_out_] - noise
    np.testing.assert_allclose(*left_out, rtol=1e-9)


def test_no_row_of_a_grid_is_far_from_the_rows_of_fit(known_kernel, monkeypatch):
    monkeypatch.setattr(smooth, "SEEN_ROWS", 50)
    X = np.stack(np.meshgrid(np.linspace(-1, 1, 50), [-2.0, 2.0], [0.0]), -1).reshape(-1, 3)
    order = np.random.default_rng(0).permutation(100)
    process, shuffled = (SmoothRegressor(0).fit(rows, rows[:, 0]) for rows in (X, X[order]))
    assert len(process.seen_) == 50
    assert process.widening(X).max() < 1.5
    np.testing.assert_allclose(shuffled.widening(2 * X), process.widening(2 * X), rtol=1e-9)


def test_all_rows_count_with_few_centres(known_kernel, monkeypatch):
    X, y, mean = waves(600)
    of_centres_alone = SmoothRegressor(0)
    rows = np.random.RandomState(0).permutation(600)[:200]
    of_centres_alone.fit(X[rows], y[rows])
    monkeypatch.setattr(smooth, "EXACT_ROWS", 0)
    monkeypatch.setattr(smooth, "FEW_CENTRES", 200)
    monkeypatch.setattr(smooth, "BLOCK", 70)
    of_all = SmoothRegressor(0).fit(X, y)
    np.testing.assert_array_equal(of_all.centres_, (X / KERNEL[1:])[rows])
    error, error_of_centres = (
        np.mean((model.predict(X) - mean) ** 2) for model in (of_all, of_centres_alone)
    )
    assert error < 0.6 * error_of_centres


@pytest.mark.parametrize("exact_rows", [0, 1000])
def test_rows_held_out_are_predicted_as_by_fits(known_kernel, monkeypatch, exact_rows):
    X, y, _ = waves(60)
    y, weight, folds = np.column_stack([y, 9 - 2 * y]), np.arange(60) % 3, list(KFold(4).split(X))
    expected = np.empty_like(y)
    for train, test in folds:
        in_fold = SmoothRegressor(0).fit(X[train], y[train], sample_weight=weight[train])
        expected[test] = in_fold.predict(X[test])
    monkeypatch.setattr(smooth, "EXACT_ROWS", exact_rows)
    monkeypatch.setattr(smooth, "FEW_CENTRES", 40)  # all, around which the mean is the exact one
    process = SmoothRegressor(0).fit(X, y, sample_weight=weight)
    found = held_out(process, X, y, weight, folds).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # jitter
    assert np.abs(found - process.predict(X)).max() > 0.1


def test_means_of_many_rows_are_learned_from_some(known_kernel, monkeypatch):
    X, y, mean = waves(900)
    monkeypatch.setattr(smooth, "EXACT_ROWS", 0)
    others = np.random.RandomState(0).permutation(900)[600:]  # a signal there is not to be found
    y[others] += 10 * np.sign(X[others, 2])
    for most_rows, least, most in ((600, 0.99, 1.0), (900, 0.0, 0.95)):
        monkeypatch.setattr(smooth, "MOST_ROWS", most_rows)
        found = SmoothRegressor(random_state=0).fit(X, y).predict(X)
        assert least < np.corrcoef(found, mean)[0, 1] < most


def test_columns_have_length_scales_by_what_they_do_and_noise_is_recovered():
    X, y, mean = waves(500, noise=0.2)
    model = SmoothRegressor(0).fit(X, y)
    wave, line, nothing = model.length_scales_
    assert wave < line < nothing
    gram = Matern(model.length_scales_, nu=2.5)(X) + model.noise_ * np.eye(500)
    square = (y - y.mean()) @ np.linalg.solve(gram, y - y.mean())
    assert np.sqrt(model.noise_ * square / 500) == pytest.approx(0.2, rel=0.15)
    new, _, expected = waves(200, seed=1)
    assert np.sqrt(np.mean((model.predict(new) - expected) ** 2)) < 0.15


EFFECTS = np.array([0.0, 3.0, -1.0, 2.0, -2.0, 1.0])


def kinds(n_rows, effects, seed=0):
    """Numbers of two kinds with their effects, a wave in a third column, and noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, len(effects), (n_rows, 2))
    X = np.column_stack([kind, rng.normal(size=n_rows)])
    mean = effects[kind].sum(axis=1) + np.sin(X[:, 2])
    return X, mean + 0.1 * rng.normal(size=n_rows), mean


def test_columns_of_few_values_have_indicators_where_values_are_kinds(monkeypatch):
    X, y, _ = kinds(150, EFFECTS)
    new, _, expected = kinds(200, EFFECTS, seed=1)
    with_them = SmoothRegressor(0).fit(X, y)
    columns, values = with_them.indicators_
    np.testing.assert_array_equal(columns, np.repeat([0, 1], 6))
    np.testing.assert_array_equal(values, np.tile(np.arange(6), 2))
    monkeypatch.setattr(smooth, "MOST_VALUES", 5)
    without = SmoothRegressor(0).fit(X, y)
    assert not len(without.indicators_[0])
    error, error_without = (np.mean((m.predict(new) - expected) ** 2) for m in (with_them, without))
    assert error < 0.7 * error_without


@pytest.mark.parametrize("effects", [np.zeros(8), np.arange(8.0), np.sin(np.arange(8) / 3)])
def test_columns_of_few_values_have_none_where_these_are_numbers(effects):
    X, y, _ = kinds(300, effects)
    assert not len(SmoothRegressor(0).fit(X, y).indicators_[0])


def test_of_many_rows_more_teach_the_kernel(monkeypatch):
    X, y, _ = waves(2000)
    sizes = []

    def noted(theta, X, *given):
        sizes.append(len(X))
        return negative_evidence(theta, X, *given)

    monkeypatch.setattr(smooth, "negative_evidence", noted)
    SmoothRegressor(0).fit(X, y)
    assert sorted(set(sizes)) == [400, 1000]


def test_outputs_are_those_of_one_each_where_these_are_alike():
    X, y, _ = waves(100)
    both = SmoothRegressor(0).fit(X, np.column_stack([y, 5.0 - 100.0 * y])).predict(X)
    one = SmoothRegressor(0).fit(X, y).predict(X)
    np.testing.assert_allclose(both[:, 1], 5.0 - 100.0 * both[:, 0], rtol=1e-9)
    # The kernel has twice the evidence beside its prior.
    np.testing.assert_allclose(both[:, 0], one, atol=0.02)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_weights_and_of_the_target_do_not_matter(scale):
    X, y, _ = waves(100)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=100)
    one = SmoothRegressor(0).fit(X, y, sample_weight=weight)
    other = SmoothRegressor(0).fit(X, y / scale, sample_weight=scale * weight)
    np.testing.assert_allclose(scale * other.predict(X), one.predict(X), rtol=1e-4)
    assert other.noise_ == pytest.approx(scale * one.noise_, rel=1e-4)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((10, 2)), np.arange(10.0)),
        (np.arange(10.0)[:, None], np.full(10, 3.0)),
        (np.ones((1, 1)), np.ones(1)),
        (np.repeat(np.eye(3), 20, axis=0), np.repeat([1.0, 2.0, 3.0], 20)),
        (np.random.default_rng(0).normal(size=(10, 40)), np.arange(10.0)),
    ],
    ids=["constant columns", "constant target", "one row", "copies without noise", "wide"],
)
def test_rows_that_say_little_have_finite_means_in_the_range_of_the_target(X, y):
    found = SmoothRegressor(0).fit(X, y).predict(X)
    assert found.min() > y.min() - 0.1
    assert found.max() < y.max() + 0.1
