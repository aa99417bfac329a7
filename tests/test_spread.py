"""Scales of Gaussian errors: of each expert, shared, or of the row."""

import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.likelihoods import Gaussian
from skmoe.metrics import log_score


def lines_of_growing_scale(seed, n=800, n_outputs=None, equal=False):
    """Two lines that a hard gate parts; errors grow with the other column."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    mean = np.where(X[:, 0] > 0, 2 + X[:, 1], -2 - X[:, 1])
    spread = np.ones(n) if equal else np.exp(1.2 * X[:, 1])
    scale = np.where(X[:, 0] > 0, 0.4, 0.2) * spread
    if n_outputs:
        mean = np.column_stack([mean, 2 - mean])
    y = mean + (scale * rng.normal(size=mean.shape).T).T
    return X, y, scale


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, training="em", n_init=3, random_state=0)


# Shared -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_shared_scale_is_the_root_mean_square_of_all_residuals(n_outputs):
    rng = np.random.default_rng(0)
    shape = (50,) if n_outputs is None else (50, n_outputs)
    y, prediction = rng.normal(size=shape), rng.normal(size=(50, 3, *shape[1:]))
    weights = rng.uniform(size=(50, 3))
    likelihood = Gaussian("shared").start(y, np.ones(50), 3)
    likelihood.update(y, prediction, weights)
    squares = np.einsum("nk,nk...->...", weights, (y[:, None] - prediction) ** 2)
    expected = np.sqrt(squares / weights.sum())
    for k in range(3):
        assert_allclose(likelihood.scale_[k], expected, rtol=1e-6)
    assert likelihood.n_parameters_ == (n_outputs or 1)


def test_likelihood_of_a_shared_scale_never_falls():
    X, y, _ = lines_of_growing_scale(0)
    moe = mixture(likelihood=Gaussian("shared"), tol=1e-9, max_iter=500).fit(X, y)
    assert moe.n_iter_ > 1
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    assert np.ptp(moe.likelihood_.scale_) == 0


# Full covariances -------------------------------------------------------------------------------


def planted_covariances(seed, n=2000):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    first = X[:, 0] > 0
    covariances = np.array([[[1.0, 0.8], [0.8, 1.0]], [[0.25, -0.2], [-0.2, 0.5]]]) / 4
    mean = np.column_stack([np.where(first, 3 + X[:, 1], -3.0), X[:, 1]])
    errors = np.linalg.cholesky(covariances)[first.astype(int)] @ rng.normal(size=(n, 2, 1))
    return X, mean + errors[:, :, 0], covariances


@pytest.mark.parametrize("scale", ["expert", "shared"])
@pytest.mark.parametrize("experts", [None, LinearRegression()])
def test_planted_covariances_are_recovered_under_a_likelihood_that_rises(experts, scale):
    X, y, truth = planted_covariances(0)
    moe = MixtureOfExpertsRegressor(
        experts, 2, likelihood=Gaussian(scale, covariance="full"), n_init=2, random_state=0,
        tol=1e-9, max_iter=500,
    ).fit(X, y)  # fmt: skip
    # The prior of the default experts, 1e-6, does not see that outputs are correlated.
    assert np.diff(moe.lower_bounds_).min() > (-1e-9 if experts else -1e-7)
    found = moe.likelihood_.covariance_
    if scale == "shared":
        assert_allclose(found[0], found[1], rtol=1e-6)
        assert_allclose(found[0], truth.mean(axis=0), atol=0.03)
        assert moe.likelihood_.n_parameters_ == 3
        return
    order = np.argsort([expert.intercept_[0] for expert in moe.experts_])
    assert_allclose(found[order], truth, atol=0.03)  # five standard errors of 1000 rows
    assert moe.likelihood_.n_parameters_ == 6
    X_test, y_test, _ = planted_covariances(1)
    diag = MixtureOfExpertsRegressor(experts, 2, n_init=2, random_state=0).fit(X, y)
    assert log_score(moe, X_test, y_test) > log_score(diag, X_test, y_test) + 0.2
    assert_allclose(
        moe.bic(X, y),
        -2 * moe.log_density(X, y).sum() + np.log(2000) * (2 * 2 * 3 + 3 + 6),
        rtol=1e-12,
    )
    with pytest.raises(ValueError, match=r"not for Gaussian\(covariance='full'\)"):
        moe.summary(X, y)


def test_density_of_full_covariances_is_the_one_of_scipy():
    X, y, _ = planted_covariances(0, n=300)
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        likelihood=Gaussian("auto", covariance="full"),
        n_init=2,
        random_state=0,
        training="em",
    ).fit(X, y)
    components = moe.predict_dist(X[:5]).components
    values = components.logpdf(y[:5, None])
    for i, k in np.ndindex(5, 2):
        one = stats.multivariate_normal(components.mean[i, k], components.cov[i, k])
        assert_allclose(values[i, k], one.logpdf(y[i]), rtol=1e-10)
    draws = moe.predict_dist(X[:2]).rvs(40_000, random_state=0)
    for i in range(2):
        assert_allclose(np.cov(draws[i].T), moe.predict_dist(X[:2]).cov()[i], atol=0.05)


def test_outputs_that_depend_on_each_other_have_a_floor():
    X, y, _ = lines_of_growing_scale(0, n=200)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=Gaussian(covariance="full"), n_init=2, random_state=0, training="em"
    ).fit(X, np.column_stack([y, 2 * y]))
    floor = moe.likelihood_.floor_
    values = np.linalg.eigvalsh(moe.likelihood_.covariance_ / np.outer(floor, floor))
    assert_allclose(values[:, 0], 1.0, rtol=1e-6)
    assert np.isfinite(moe.log_density(X, np.column_stack([y, 2 * y]))).all()


def test_full_covariance_learns_from_streams_and_keeps_experts_apart():
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=Gaussian(covariance="full"), random_state=0, training="em"
    )
    for seed in range(6):
        X, y, truth = planted_covariances(seed, n=400)
        moe.partial_fit(X, y)
    order = np.argsort([expert.intercept_[0] for expert in moe.experts_])
    assert_allclose(moe.likelihood_.covariance_[order], truth, atol=0.04)
    before = moe.likelihood_.covariance_
    moe.remove_expert("expert0")
    assert_array_equal(moe.likelihood_.covariance_, before[1:])


# Of the row -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize(
    "scale", ["auto", PoissonRegressor(alpha=1e-3), RandomForestRegressor(50, min_samples_leaf=20)]
)
def test_planted_scales_are_recovered(scale, n_outputs):
    X, y, truth = lines_of_growing_scale(0, n=2000, n_outputs=n_outputs)
    moe = mixture(likelihood=Gaussian(scale)).fit(X, y)
    std = moe.predict_dist(X).components.std
    best = np.argmax(moe.gate_proba(X), axis=1)
    std = std[np.arange(len(X)), best].reshape(len(X), -1)
    away = np.abs(X[:, 0]) > 0.1  # from where the gate is unsure
    error = np.log(std / truth[:, None])[away]
    assert np.abs(error).mean() < 0.2
    X_test, y_test, _ = lines_of_growing_scale(1, n=1000, n_outputs=n_outputs)
    gain = log_score(moe, X_test, y_test) - log_score(
        mixture(likelihood=Gaussian("expert")).fit(X, y), X_test, y_test
    )
    assert gain > 0.15 * (n_outputs or 1)


def test_likelihood_of_linear_experts_rises_while_the_scale_of_the_row_stays():
    X, y, _ = lines_of_growing_scale(0)
    moe = mixture(likelihood=Gaussian(PoissonRegressor(alpha=1e-3))).fit(X, y)
    steps = np.sort(np.diff(moe.lower_bounds_))
    assert len(steps) > 4
    assert steps[2:].min() > -1e-9  # but where the regressor was fitted, twice


def test_auto_stays_with_constant_scales_where_errors_are_equal():
    X, y, _ = lines_of_growing_scale(0, equal=True)
    auto = mixture(likelihood=Gaussian("auto")).fit(X, y)
    constant = mixture(likelihood=Gaussian("expert")).fit(X, y)
    assert auto.likelihood_.scale_model_ is None
    # The one is trained in one pass over the rows, the other with all its arrays.
    assert_allclose(auto.likelihood_.scale_, constant.likelihood_.scale_, rtol=1e-3)
    assert_allclose(auto.predict(X), constant.predict(X), rtol=1e-2, atol=1e-2)
    assert_allclose(auto.bic(X, y), constant.bic(X, y), rtol=1e-6)


def test_scale_of_flexible_experts_is_learned_from_out_of_fold_errors():
    X, y, truth = lines_of_growing_scale(0, n=1000)
    tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=0)
    scores = {}
    X_test, y_test, _ = lines_of_growing_scale(1, n=1000)
    for scale in ("expert", "auto"):
        moe = mixture(likelihood=Gaussian(scale), experts=tree).fit(X, y)
        scores[scale] = log_score(moe, X_test, y_test)
        low, high = moe.predict_dist(X_test).interval(0.9)
        assert 0.85 < np.mean((low <= y_test) & (y_test <= high)) < 0.97
    assert scores["auto"] > scores["expert"] + 0.04


def test_density_is_that_of_the_scales_and_integrates_to_one():
    X, y, _ = lines_of_growing_scale(0)
    moe = mixture(likelihood=Gaussian("auto")).fit(X, y)
    spread = moe.likelihood_.scale_model_(X)
    dist = moe.predict_dist(X)
    assert_allclose(dist.components.std, moe.likelihood_.scale_ * spread, rtol=1e-6)
    expected = stats.norm.pdf(y[:, None], moe.predict_experts(X), dist.components.std)
    expected = np.log((moe.gate_proba(X) * expected).sum(axis=1))
    assert_allclose(moe.log_density(X, y), expected, rtol=1e-10)
    again = pickle.loads(pickle.dumps(moe))
    assert_array_equal(again.log_density(X, y), moe.log_density(X, y))


def test_weight_of_two_is_a_row_given_twice():
    X, y, _ = lines_of_growing_scale(0, n=200)
    weight = np.random.default_rng(0).integers(1, 3, size=200)
    scale = PoissonRegressor(alpha=1e-3, tol=1e-9, max_iter=1000)
    settings = {"n_experts": 2, "n_init": 2, "random_state": 0, "tol": 1e-9, "max_iter": 500}
    groups = np.arange(200) % 5  # folds that a repeated row does not change
    models = []
    for rows, given in [(np.arange(200), weight), (np.repeat(np.arange(200), weight), None)]:
        moe = MixtureOfExpertsRegressor(
            LinearRegression(), likelihood=Gaussian(scale), cv=5, **settings
        )
        models.append(moe.fit(X[rows], y[rows], sample_weight=given, groups=groups[rows]))
    assert_allclose(models[0].predict(X), models[1].predict(X), atol=1e-3)
    assert_allclose(models[0].log_density(X, y), models[1].log_density(X, y), atol=1e-2)


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["row", None, 3, object()])
def test_unknown_scales_are_refused(scale):
    X, y, _ = lines_of_growing_scale(0, n=50)
    with pytest.raises(ValueError, match="scale must be one of"):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=Gaussian(scale), training="em").fit(X, y)


def test_unknown_covariances_are_refused():
    X, y, _ = lines_of_growing_scale(0, n=50)
    with pytest.raises(ValueError, match='covariance must be "diag" or "full"'):
        MixtureOfExpertsRegressor(
            n_experts=1, likelihood=Gaussian(covariance="tied"), training="em"
        ).fit(X, y)


@pytest.mark.parametrize("scale", ["auto", LinearRegression()])
def test_what_a_scale_of_the_row_cannot_do_says_so(scale):
    X, y, _ = lines_of_growing_scale(0)
    moe = mixture(likelihood=Gaussian(scale)).fit(X, y)
    assert not hasattr(moe, "partial_fit")
    with pytest.raises(ValueError, match="Information criteria need"):
        moe.bic(X, y)
    with pytest.raises(ValueError, match="Standard errors need"):
        moe.summary(X, y)
    assert moe.likelihood.scale_model_ is None
