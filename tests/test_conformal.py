"""Conformal intervals: their coverage, and the out-of-fold distribution that calibrates some."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.inference._conformal import tail_of


def two_noises(n, seed):
    """Two lines, the second with five times the noise of the first."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    right = X[:, 0] > 0
    y = np.where(right, 4 - 3 * X[:, 1], 3 * X[:, 1])
    return X, y + np.where(right, 0.5, 0.1) * rng.normal(size=n)


def covered(interval, y):
    """Whether each target is inside."""
    return (interval[:, 0] <= y) & (y <= interval[:, 1])


@pytest.fixture(scope="module")
def wrong():
    """A mixture whose two experts are right, and have one scale where there are two."""
    X, y = two_noises(400, seed=0)
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), n_experts=2, training="em", random_state=0
    ).fit(X, y)
    moe.likelihood_.scale_[:] = 0.3
    return moe


def test_coverage_of_split_conformal_intervals_has_its_beta_distribution(wrong):
    X, y = two_noises(40_000, seed=1)
    cdf = wrong.predict_dist(X).cdf(y)
    tails, weight = np.minimum(cdf, 1 - cdf), np.ones(len(y))
    rng, n, level = np.random.default_rng(2), 49, 0.9
    coverage = []
    for _ in range(500):
        rows = rng.choice(len(y), size=n, replace=False)
        coverage.append(np.mean(tails >= tail_of(tails[rows], weight[rows], level)))
    # Of continuous scores of exchangeable rows, whatever the mixture is: mean 45 / 50.
    exact = stats.beta(45, 5)
    assert abs(np.mean(coverage) - exact.mean()) < 4 * exact.std() / np.sqrt(500)
    assert stats.kstest(coverage, exact.cdf).pvalue > 1e-3


def test_intervals_are_where_the_tails_are_large_enough(wrong):
    X, y = two_noises(600, seed=3)
    levels = [0.5, 0.9]
    intervals = wrong.predict_interval(X[300:], levels, conformal=(X[:300], y[:300]))
    assert intervals.shape == (300, 2, 2)
    tails = np.minimum(*(f(y) for f in (wrong.predict_dist(X).cdf, wrong.predict_dist(X).sf)))
    for j, level in enumerate(levels):
        tail = np.sort(tails[:300])[int((1 - level) * 301 + 1e-9) - 1]
        assert_array_equal(covered(intervals[:, :, j], y[300:]), tails[300:] >= tail)
        one = wrong.predict_interval(X[300:], level, conformal=(X[:300], y[:300]))
        assert_array_equal(one, intervals[:, :, j])


def test_intervals_by_expert_hold_the_level_in_each(wrong):
    X, y = two_noises(8000, seed=4)
    first = wrong.gate_proba(X[4000:]).argmax(axis=1) == 0
    noisy = first == (X[4000:][first, 0].mean() > 0)
    all_rows = wrong.predict_interval(X[4000:], 0.9, conformal=(X[:4000], y[:4000]))
    by_expert = wrong.predict_interval(X[4000:], 0.9, conformal=(X[:4000], y[:4000]), by="expert")
    # A share of 2000 rows errs by .007, and so do the 2000 that calibrate it.
    in_all, in_each = covered(all_rows, y[4000:]), covered(by_expert, y[4000:])
    assert abs(in_all.mean() - 0.9) < 0.02
    assert in_all[noisy].mean() < 0.85
    assert in_all[~noisy].mean() > 0.95
    assert abs(in_each[noisy].mean() - 0.9) < 0.03
    assert abs(in_each[~noisy].mean() - 0.9) < 0.03


def test_weights_are_repeats():
    rng = np.random.default_rng(0)
    cdf, weight = rng.uniform(size=60), rng.integers(0, 4, size=60)
    tails = np.minimum(cdf, 1 - cdf)
    many = np.repeat(tails, weight), np.ones(weight.sum())
    for level in (0.0, 0.3, 0.9, 0.99, 1.0):
        assert tail_of(tails, weight.astype(float), level) == tail_of(*many, level)


def test_intervals_of_bounded_counts_are_finite_and_cover():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(2000, 1))
    y = rng.binomial(1, special.expit(4 * X[:, 0]))  # the largest value has nothing above it
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="binomial").fit(X[:500], y[:500])
    interval = moe.predict_interval(X[1000:], 0.8, conformal=(X[500:1000], y[500:1000]))
    assert set(np.unique(interval)) == {0.0, 1.0}
    assert covered(interval, y[1000:]).mean() > 0.78
    assert np.ptp(interval, axis=1).mean() < 0.9
    alike = np.zeros((200, 1))  # all tails are the same, but for one in two hundred
    ties = moe.predict_interval(alike, 0.99, conformal=(alike, y[:200]))
    assert covered(ties, y[:200]).all()


# Out of fold ----------------------------------------------------------------------------------


def test_out_of_fold_distribution_of_one_expert_is_that_of_its_predictions():
    X, y = two_noises(200, seed=0)
    tree, folds = DecisionTreeRegressor(max_depth=3, random_state=0), KFold(4)
    moe = MixtureOfExpertsRegressor(
        tree, n_experts=1, training="em", cv=folds, likelihood="gaussian"
    )
    moe.fit(X, y)
    predicted = cross_val_predict(tree, X, y, cv=folds)
    assert_allclose(moe.oof_pit_, stats.norm.cdf(y, predicted, moe.likelihood_.scale_[0]))


TREE = DecisionTreeRegressor(max_depth=3, random_state=0)
STACK = [("line", Ridge()), ("tree", TREE), ("own", BayesianRidge())]


def rough(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3))
    noise = 0.3 * np.exp(X[:, 2]) * rng.standard_gamma(1.0, size=n)
    return X, np.abs(X[:, 0]) + X[:, 1] + noise


@pytest.mark.parametrize(
    ("params", "n", "n_draws"),
    [
        ({"experts": STACK}, 200, 2),
        ({"experts": TREE, "n_experts": 2, "training": "specialists"}, 200, 2),
        # Its regimes are chosen with the rows that are out of fold: .87 of 200 rows.
        ({"experts": TREE, "n_experts": 2, "training": "em"}, 800, 2),
    ],
    ids=["stack", "specialists", "em"],
)
@pytest.mark.filterwarnings("ignore:Conformal intervals of this level:UserWarning")
def test_out_of_fold_intervals_cover_new_rows(params, n, n_draws):
    X_new, y_new = rough(1000, seed=100)
    coverage, pit = [], []
    for seed in range(n_draws):
        moe = MixtureOfExpertsRegressor(**params, n_init=3, random_state=seed).fit(*rough(n, seed))
        coverage.append(covered(moe.predict_interval(X_new, 0.9, conformal="oof"), y_new).mean())
        pit.append(moe.oof_pit_)
    # Of 400 rows in all, or 1600, the quantile errs by .015 of coverage, and of new ones by .009.
    assert 0.87 < np.mean(coverage) < 0.94
    assert stats.kstest(np.concatenate(pit), "uniform").statistic < 0.1
    by_expert = moe.predict_interval(X_new, 0.9, conformal="oof", by="expert")
    assert 0.84 < covered(by_expert, y_new).mean() < 0.96


# What cannot be ------------------------------------------------------------------------------


def test_of_few_rows_intervals_are_infinite(wrong):
    X, y = two_noises(30, seed=0)
    with pytest.warns(UserWarning, match="need 9 calibration rows."):
        interval = wrong.predict_interval(X[8:], 0.9, conformal=(X[:8], y[:8]))
    assert_array_equal(interval, np.tile([-np.inf, np.inf], (22, 1)))
    assert np.isfinite(wrong.predict_interval(X[9:], 0.9, conformal=(X[:9], y[:9]))).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"conformal": "oof"}, "missing after training='em' in-sample: give"),
        ({"conformal": True}, "a tuple"),
        ({"conformal": "cv"}, "a tuple"),
        ({"by": "expert"}, "give conformal"),
        ({"conformal": "oof", "by": "regime"}, "None or 'expert'"),
        ({"conformal": "oof", "level": [0.5, 2.0]}, "level must be in"),
        ({"conformal": "oof", "exposure": np.ones(3)}, "without exposure"),
    ],
)
def test_what_has_no_conformal_interval_says_so(wrong, params, message):
    with pytest.raises(ValueError, match=message):
        wrong.predict_interval(np.zeros((3, 2)), **params)


def test_a_changed_mixture_forgets_the_rows_of_its_fit():
    X, y = two_noises(200, seed=0)
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=3), n_experts=2, training="em")
    moe = moe.set_params(random_state=0).fit(X, y)
    assert moe.oof_pit_.shape == y.shape
    moe.set_params(top_k=1)  # predictions are of another distribution
    with pytest.raises(ValueError, match="the top_k of fit, None"):
        moe.predict_interval(X, conformal="oof")
    moe.set_params(top_k=None).predict_interval(X, conformal="oof")
    moe.remove_expert("expert0")
    with pytest.raises(ValueError, match="oof_pit_"):
        moe.predict_interval(X, conformal="oof")
