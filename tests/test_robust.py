"""Likelihoods under which a few gross outliers do not matter."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import two_soft_lines
from scipy import integrate, optimize, stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Laplace, NegativeBinomial, StudentT, WithNoise
from skmoe.likelihoods._outliers import outlier_bounds
from skmoe.metrics import log_score

ROBUST = {
    "student_t": StudentT(),
    "estimate": StudentT("estimate"),
    "laplace": Laplace(),
    "noise": WithNoise(),
    "noise and student_t": WithNoise("student_t", share=0.02),
}


def soft_lines_and_outliers(seed, n=300, n_outputs=None, errors="normal", share=0.0):
    """Two lines; ``share`` of the rows are gross outliers."""
    X, y, *_, rng = two_soft_lines(n, seed, kind=errors, n_outputs=n_outputs)
    bad = rng.uniform(size=n) < share
    y[bad] += 15 * rng.choice([-1, 1], size=y[bad].shape) + 10 * rng.normal(size=y[bad].shape)
    return X, y, bad


def iterate(moe, X, y, sample_weight=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return moe.fit(X, y, sample_weight)


# EM ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("experts", [None, LinearRegression()])
@pytest.mark.parametrize("likelihood", ROBUST)
def test_likelihood_never_falls(likelihood, experts, gate):
    X, y, _ = soft_lines_and_outliers(0, share=0.05)
    weight = np.random.default_rng(1).integers(0, 4, size=len(y)) * 0.7
    moe = MixtureOfExpertsRegressor(
        experts, 2, gate=gate, likelihood=ROBUST[likelihood], n_init=1, max_iter=60, tol=0,
        random_state=0,
    )  # fmt: skip
    iterate(moe, X, y, weight)
    assert moe.n_iter_ > 10
    # Rounding; and of Laplace, for the few rows that a fit goes through, the bend at zero.
    assert np.diff(moe.lower_bounds_).min() > (-1e-8 if likelihood == "laplace" else -1e-9)


@pytest.mark.parametrize("likelihood", [StudentT(), StudentT("estimate"), WithNoise()])
def test_likelihood_of_two_outputs_never_falls(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n_outputs=2, share=0.05)
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        likelihood=likelihood,
        n_init=1,
        max_iter=60,
        tol=0,
        random_state=0,
        training="em",
    )
    iterate(moe, X, y)
    assert moe.n_iter_ > 10
    assert np.diff(moe.lower_bounds_).min() > -1e-9


def test_one_student_t_expert_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = X @ [1.0, -2.0] + 3 + 0.5 * rng.standard_t(3, size=150)

    def loss(theta):
        return -stats.t.logpdf(y, theta[4], X @ theta[:2] + theta[2], np.exp(theta[3])).sum()

    best = optimize.minimize(loss, [0, 0, 0, 0, 4.0], bounds=[(None, None)] * 4 + [(2.1, 200)])
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), 1, likelihood=StudentT("estimate"), max_iter=1000, tol=1e-12
    )
    iterate(moe, X, y)
    assert_allclose(moe.log_density(X, y).sum(), -best.fun, rtol=1e-6)
    assert_allclose(moe.experts_[0].coef_, best.x[:2], atol=1e-3)
    assert_allclose(moe.likelihood_.scale_, np.exp(best.x[3]), rtol=1e-2)
    assert_allclose(moe.likelihood_.df_, best.x[4], rtol=3e-2)  # a flat top


def test_one_laplace_expert_is_the_median_regression_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = X @ [1.0, -2.0] + 3 + rng.laplace(size=80)
    exact = QuantileRegressor(alpha=0.0).fit(X, y)
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), 1, likelihood="laplace", max_iter=2000, tol=1e-12
    )
    iterate(moe, X, y)
    least = np.abs(y - exact.predict(X)).mean()
    assert_allclose(np.abs(y - moe.predict(X)).mean(), least, rtol=1e-5)
    assert_allclose(moe.experts_[0].coef_, exact.coef_, atol=1e-2)
    assert_allclose(moe.likelihood_.scale_, least, rtol=1e-5)


def test_one_expert_with_noise_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = 3 + X[:, 0] + 0.3 * rng.normal(size=200)
    y[::8] = rng.uniform(-10, 10, size=25)

    def loss(theta):
        own = (1 - theta[3]) * stats.norm.pdf(y, theta[0] * X[:, 0] + theta[1], np.exp(theta[2]))
        return -np.log(own + theta[3] / np.ptp(y)).sum()

    best = optimize.minimize(loss, [1, 3, -1, 0.1], bounds=[(None, None)] * 3 + [(1e-4, 0.5)])
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), 1, likelihood=WithNoise(), max_iter=1000, tol=1e-13
    )
    iterate(moe, X, y)
    assert_allclose(moe.log_density(X, y).sum(), -best.fun, rtol=1e-9)
    fitted = [
        moe.experts_[0].coef_[0], moe.experts_[0].intercept_, np.log(moe.likelihood_.scale_[0]),
        moe.likelihood_.share_,
    ]  # fmt: skip
    assert_allclose(fitted, best.x, atol=1e-3)


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_planted_share_of_noise_is_recovered(share, n_outputs):
    X, y, _ = soft_lines_and_outliers(0, n=3000, n_outputs=n_outputs)
    rng = np.random.default_rng(1)
    bad = rng.uniform(size=3000) < share
    y[bad] = rng.uniform(-30, 30, size=y[bad].shape)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=WithNoise(), n_init=4, random_state=0)
    moe.fit(X, y)
    order = np.argsort([np.atleast_2d(expert.coef_)[0, 1] for expert in moe.experts_])
    # Five standard errors of a share of 3000 rows, and of a scale of 1000.
    assert_allclose(moe.likelihood_.share_, share, atol=5 * np.sqrt(share / 3000) + 5e-3)
    scale = moe.likelihood_.scale_[order].reshape(2, -1)
    assert_allclose(scale, np.tile([[0.6], [0.3]], scale.shape[1]), rtol=0.12)
    proba = moe.likelihood_.noise_proba(y, moe.predict_experts(X))
    proba = (proba * moe.responsibilities(X, y)).sum(axis=1)
    assert_allclose(proba.mean(), moe.likelihood_.share_, atol=1e-3)
    if share:
        assert proba[bad].mean() > 0.9
        assert proba[~bad].mean() < 0.04  # some lie where noise is as likely


def with_noise(seed=0, n=1500, share=0.1, likelihood=None, **planted_params):
    """A fitted mixture beside noise, its rows and which of them are noise."""
    X, y, _ = soft_lines_and_outliers(seed, n=n, **planted_params)
    rng = np.random.default_rng(seed + 1)
    bad = rng.uniform(size=n) < share
    y[bad] = rng.uniform(-30, 30, size=y[bad].shape)
    likelihood = WithNoise() if likelihood is None else likelihood
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=4, random_state=0, training="em"
    )
    return moe.fit(X, y), X, y, bad


def test_lines_and_gate_are_recovered_among_a_tenth_of_noise():
    moe, X, y, bad = with_noise(n=4000)
    order = np.argsort([expert.coef_[1] for expert in moe.experts_])
    coef = np.array([[*moe.experts_[k].coef_, moe.experts_[k].intercept_] for k in order])
    # Five standard errors: the scale over the root of 1800 rows, or of their logarithm.
    assert_allclose(coef, [[0, -1, -2], [0, 2, 2]], atol=0.07)
    assert_allclose(moe.likelihood_.scale_[order], [0.6, 0.3], rtol=0.1)
    slopes = moe.gate_.coef_[order[1]] - moe.gate_.coef_[order[0]]
    assert_allclose(slopes, [3, 0], atol=0.5)
    assert_allclose(moe.likelihood_.share_, bad.mean(), atol=0.01)
    clean = MixtureOfExpertsRegressor(n_experts=2, n_init=4, random_state=0, training="em").fit(
        X[~bad], y[~bad]
    )
    assert_allclose(moe.predict(X), clean.predict(X), atol=0.15)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_density_and_noise_are_those_of_the_formula(n_outputs):
    moe, X, y, _ = with_noise(n=400, n_outputs=n_outputs)
    likelihood, means = moe.likelihood_, moe.predict_experts(X)
    y_new = np.concatenate([y, y[:5] + 100, y[:5] - 100])  # beyond the range of the noise
    means = np.concatenate([means, means[:10]])
    own = stats.norm.pdf(y_new[:, None], means, likelihood.scale_)
    low, high = y.min(axis=0), y.max(axis=0)
    uniform = ((y_new >= low) & (y_new <= high)) / (high - low)
    own, uniform = (own.prod(axis=2), uniform.prod(axis=1)) if n_outputs else (own, uniform)
    share = likelihood.share_
    noise = share * uniform[:, None]
    density = (1 - share) * own + noise
    found = np.exp(likelihood.log_density(y_new, means))
    assert_allclose(found, density, rtol=1e-9, atol=1e-300)
    proba = noise[:400] / density[:400]
    assert_allclose(likelihood.noise_proba(y, means[:400]), proba, rtol=1e-9)
    assert_array_equal(likelihood.noise_proba(y_new, means)[400:], 0)
    assert_array_equal(
        likelihood.working_weights(y, means[:400]), 1 - likelihood.noise_proba(y, means[:400])
    )


def test_noise_belongs_to_an_expert_as_the_gate_says():
    moe, X, y, bad = with_noise()
    proba = moe.likelihood_.noise_proba(y, moe.predict_experts(X))
    surely = (proba > 1 - 1e-6).all(axis=1)
    assert surely.sum() > 0.7 * bad.sum()
    assert not surely[~bad].any()
    # All that tells the experts apart is what is left of their own densities.
    assert_allclose(moe.responsibilities(X, y)[surely], moe.gate_proba(X)[surely], atol=1e-5)


def test_distribution_beside_noise_has_mass_one_quantiles_and_draws():
    moe, X, _, bad = with_noise()
    dist = moe.predict_dist(X[:3])
    low, high = moe.likelihood_.low_, moe.likelihood_.high_
    for i in range(3):
        one = moe.predict_dist(X[i : i + 1])
        ends = np.unique(
            [low, high, *one.components.mean[0], *one.ppf([0.05, 0.2, 0.5, 0.8, 0.95])[0]]
        )
        mass = sum(
            integrate.quad(lambda t, one=one: one.pdf(t)[0], a, b, limit=200)[0]
            for a, b in zip(ends[:-1], ends[1:], strict=True)
        )
        assert_allclose(mass, 1, atol=1e-6)
    for q in (0.01, 0.3, 0.5, 0.99):
        assert_allclose(dist.cdf(dist.ppf(q)), q, atol=1e-9)
    draws = moe.sample_y(X, 20, random_state=0)
    mean, std = moe.predict(X, return_std=True)
    far = np.abs(draws - mean[:, None]) > 6 * std[:, None]
    share = moe.likelihood_.share_
    expected = np.mean(share * (1 - 12 * std / (high - low)))  # of uniform noise, what lies so far
    assert_allclose(far.mean(), expected, atol=0.01)


def test_share_that_was_given_stays():
    moe, *_ = with_noise(n=400, likelihood=WithNoise(share=0.03))
    assert moe.likelihood_.share_ == 0.03


def test_share_does_not_depend_on_the_units_of_the_target():
    moe, X, y, _ = with_noise(n=400)
    other = clone(moe).fit(X, 1000 * y - 7)
    assert_allclose(other.likelihood_.share_, moe.likelihood_.share_, rtol=1e-4)
    assert_allclose(other.likelihood_.scale_, 1000 * moe.likelihood_.scale_, rtol=1e-4)
    resp = moe.responsibilities(X, y)
    assert_allclose(other.responsibilities(X, 1000 * y - 7), resp, atol=1e-4)


def test_rows_without_weight_do_not_widen_the_noise():
    X, y, _ = soft_lines_and_outliers(0, n=200)
    weight = np.ones(200)
    y[:5], weight[:5] = 1e6, 0.0
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=WithNoise()).fit(X, y, weight)
    assert moe.likelihood_.high_ == y[5:].max()


def test_prediction_leaves_noise_out_and_the_distribution_does_not():
    X, y, _ = soft_lines_and_outliers(0, share=0.1)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=WithNoise(), n_init=3, random_state=0)
    moe.fit(X, y)
    dist = moe.predict_dist(X)
    expected = (moe.gate_proba(X) * moe.predict_experts(X)).sum(axis=1)
    mean, std = moe.predict(X, return_std=True)
    assert_allclose(mean, expected, rtol=1e-12)
    assert_allclose(std, dist.without_noise().std(), rtol=1e-12)
    assert (dist.std() > std + 2).all()
    assert_allclose(dist.logpdf(y), moe.log_density(X, y), rtol=1e-12)
    low, high = moe.likelihood_.low_ - 20, moe.likelihood_.high_ + 20
    t = np.linspace(low, high, 200_001)
    density = moe.predict_dist(X[:1])
    mass = sum(density.pdf(value)[0] for value in t[::50]) * (t[50] - t[0])
    assert_allclose(mass, 1, atol=1e-3)  # the jumps fall between two places
    outer = MixtureOfExpertsRegressor([("inner", moe)], cv=False, random_state=0).fit(X, y)
    assert_allclose(outer.predict(X), outer.experts_[0].predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("likelihood", "errors"),
    [(StudentT("estimate"), "student"), (StudentT(3), "student"), (Laplace(), "laplace")],
)
def test_planted_parameters_are_recovered(likelihood, errors):
    X, y, _ = soft_lines_and_outliers(0, n=4000, errors=errors)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=4, random_state=0, training="em"
    )
    moe.fit(X, y)
    order = np.argsort([expert.coef_[1] for expert in moe.experts_])
    coef = np.array([[*moe.experts_[k].coef_, moe.experts_[k].intercept_] for k in order])
    # Five standard errors: the scale over the root of 2000 rows, or of their logarithm.
    assert_allclose(coef, [[0, -1, -2], [0, 2, 2]], atol=0.08)
    assert_allclose(moe.likelihood_.scale_[order], [0.6, 0.3], rtol=0.12)
    if likelihood.get_params().get("df") == "estimate":
        assert_allclose(moe.likelihood_.df_, 3.0, rtol=0.3)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_multivariate_t_recovers_its_degrees_of_freedom_and_scales(n_outputs):
    rng = np.random.default_rng(0)
    shape = (5000,) if n_outputs is None else (5000, n_outputs)
    stretch = np.sqrt(5 / rng.chisquare(5, size=(5000,) + (1,) * (len(shape) - 1)))
    y = np.arange(1, 1 + (n_outputs or 1)) * rng.normal(size=shape) * stretch
    likelihood = StudentT("estimate").start(y, np.ones(5000), 1)
    for _ in range(60):
        likelihood.update(y, np.zeros((5000, 1, *shape[1:])), np.ones((5000, 1)))
    assert_allclose(likelihood.df_, 5, rtol=0.2)
    assert_allclose(likelihood.scale_[0], [1.0] if n_outputs is None else [1.0, 2.0], rtol=0.06)


@pytest.mark.parametrize("likelihood", ROBUST)
def test_weight_of_two_is_a_row_given_twice(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n=120, share=0.05)
    weight = np.random.default_rng(0).integers(1, 4, size=120)
    settings = {"n_experts": 2, "likelihood": ROBUST[likelihood], "n_init": 3, "max_iter": 20}
    weighted = iterate(
        MixtureOfExpertsRegressor(**settings, random_state=0, training="em"), X, y, weight
    )
    repeated = iterate(
        MixtureOfExpertsRegressor(**settings, random_state=0, training="em"),
        np.repeat(X, weight, axis=0),
        np.repeat(y, weight),
    )
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4, atol=1e-4)
    assert_allclose(weighted.log_density(X, y), repeated.log_density(X, y), rtol=1e-4, atol=1e-4)


# Outliers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["student_t", "estimate", "noise"])
def test_outliers_cost_little_from_default_starts(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n=1000)
    X_test, y_test, _ = soft_lines_and_outliers(1, n=2000)
    X_spoilt, spoilt, _ = soft_lines_and_outliers(0, n=1000, share=0.05)
    assert_array_equal(X, X_spoilt)
    scores = {}
    for name, given, target in [
        ("clean", ROBUST[likelihood], y), ("spoilt", ROBUST[likelihood], spoilt),
        ("gaussian, clean", "gaussian", y), ("gaussian, spoilt", "gaussian", spoilt),
    ]:  # fmt: skip
        moe = MixtureOfExpertsRegressor(
            n_experts=2, likelihood=given, random_state=0, training="em"
        )
        scores[name] = log_score(moe.fit(X, target), X_test, y_test)
    assert scores["clean"] > scores["gaussian, clean"] - 0.03  # the price of t_4 for Gaussian rows
    assert scores["spoilt"] > scores["clean"] - 0.1
    assert scores["spoilt"] > scores["gaussian, spoilt"] + 0.4
    if likelihood == "noise":
        assert scores["clean"] > scores["gaussian, clean"] - 0.005
        assert scores["spoilt"] > scores["clean"] - 0.02 + np.log(1 - 0.05)


@pytest.mark.parametrize(
    "expert", [DecisionTreeRegressor(min_samples_leaf=20, random_state=0), KNeighborsRegressor(20)]
)
def test_flexible_experts_leave_outliers_out(expert):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(600, 1))
    truth = np.sin(3 * X[:, 0])
    y = truth + 0.2 * rng.normal(size=600)
    bad = rng.uniform(size=600) < 0.05
    y[bad] += 15 + 5 * rng.normal(size=bad.sum())
    error = {}
    for likelihood in ("gaussian", "student_t"):
        moe = MixtureOfExpertsRegressor(
            expert, 1, likelihood=likelihood, training="em", cv=3, random_state=0
        )
        error[likelihood] = np.abs(iterate(moe, X, y).predict(X) - truth).mean()
    assert error["student_t"] < 0.25
    assert error["student_t"] < 0.5 * error["gaussian"]


def test_working_weights_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    y, prediction = rng.normal(size=40), rng.normal(size=(40, 2))
    distance = np.abs(y[:, None] - prediction)
    t = StudentT(5).start(y, np.ones(40), 2)
    t.update(y, prediction, np.ones((40, 2)))
    expected = 6 / (5 + (distance / t.scale_) ** 2)
    assert_allclose(t.working_weights(y, prediction), expected, rtol=1e-12)
    laplace = Laplace().start(y, np.ones(40), 2)
    laplace.update(y, prediction, np.ones((40, 2)))
    assert_allclose(laplace.scale_, distance.mean(axis=0), rtol=1e-12)
    expected = laplace.scale_ / distance
    assert_allclose(laplace.working_weights(y, prediction), expected, rtol=1e-12)
    expected = stats.laplace.logpdf(y[:, None], prediction, laplace.scale_)
    assert_allclose(laplace.log_density(y, prediction), expected, rtol=1e-12)
    assert_allclose(laplace.components(prediction).logpdf(y[:, None]), expected, rtol=1e-12)


def test_density_far_from_a_laplace_expert_is_its_logarithm():
    y, prediction = np.array([0.0, 1.0, 1e3, 1e6, 1e9]), np.zeros((5, 1))
    laplace = Laplace().start(np.array([-1.0, 1.0] * 20), np.ones(40), 1)
    laplace.update(np.array([-1.0, 1.0] * 20), np.zeros((40, 1)), np.ones((40, 1)))
    expected = laplace.log_density(y, prediction)
    assert np.isfinite(expected).all()
    assert_allclose(laplace.components(prediction).logpdf(y[:, None]), expected, rtol=1e-12)


def test_fence_holds_the_bulk_and_no_gross_outlier():
    rng = np.random.default_rng(0)
    y = rng.normal(size=1000)
    y[:50] = 1e6
    low, high = outlier_bounds(y, np.ones(1000))
    assert -3 < low < -1.5
    assert 1.5 < high < 3
    assert outlier_bounds(y, np.r_[np.zeros(50), np.ones(950)])[1] < high  # rows of no weight
    for n in (*range(1, 40), 999):  # weights that are equal, and repetitions
        weight = 1 + np.arange(n) % 3
        repeated = np.repeat(y[:n], weight)
        bounds = outlier_bounds(repeated, np.full(len(repeated), 0.3))
        assert bounds == outlier_bounds(y[:n], 0.3 * weight)
    assert outlier_bounds(np.r_[np.zeros(95), 1:6], np.ones(100)) == (
        0,
        5,
    )  # no deciles to speak of


def test_floor_is_not_made_by_outliers():
    y = np.random.default_rng(0).normal(size=1000)
    y[:50] = 1e6
    assert StudentT().start(y, np.ones(1000), 1).floor_ < 2e-3
    assert WithNoise().start(y, np.ones(1000), 1).likelihood_.floor_ < 2e-3


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_constant_target_has_a_finite_density_beside_noise():
    X = np.random.default_rng(0).normal(size=(40, 2))
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=WithNoise()).fit(X, np.full(40, 3.0))
    assert np.isfinite(moe.log_density(X, np.full(40, 3.0))).all()
    assert_allclose(moe.predict(X), 3.0, rtol=1e-9)


def test_settings_of_both_likelihoods_can_be_set_from_outside():
    moe = MixtureOfExpertsRegressor(likelihood=WithNoise(StudentT()))
    moe.set_params(likelihood__share=0.1, likelihood__likelihood__df=7.0)
    assert moe.likelihood.likelihood.df == 7.0
    X, y, _ = soft_lines_and_outliers(0, n=100)
    moe.set_params(n_experts=1).fit(X, y)
    assert moe.likelihood_.share_ == 0.1
    assert_array_equal(moe.likelihood_.likelihood_.df_, [7.0])


def test_replaced_expert_is_robust_too():
    X, y, _ = soft_lines_and_outliers(0, n=600)
    X_new, y_new, _ = soft_lines_and_outliers(1, n=600, share=0.05)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="student_t", random_state=0).fit(X, y)
    before = moe.log_density(X, y).mean()
    moe.replace_expert("expert0", LinearRegression(), X_new, y_new)
    assert moe.log_density(X, y).mean() > before - 0.05


# Parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [2, -1.0, np.nan, np.inf, "four", None, [3.0]])
def test_impossible_degrees_of_freedom_are_refused(df):
    X, y, _ = soft_lines_and_outliers(0, n=50)
    with pytest.raises(ValueError, match='df must be a number above 2, or "estimate"'):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=StudentT(df)).fit(X, y)


@pytest.mark.parametrize("share", [0, 0.6, -0.1, np.nan, "some", None])
def test_impossible_shares_of_noise_are_refused(share):
    X, y, _ = soft_lines_and_outliers(0, n=50)
    with pytest.raises(ValueError, match="share must be above 0 and at most 0.5"):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=WithNoise(share=share)).fit(X, y)


@pytest.mark.parametrize("likelihood", ["poisson", NegativeBinomial()])
def test_counts_beside_noise_are_refused(likelihood):
    X, y, _ = soft_lines_and_outliers(0)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=WithNoise(likelihood))
    with pytest.raises(ValueError, match="probabilities of counts"):
        moe.fit(X, np.round(np.abs(y)))


@pytest.mark.parametrize("likelihood", ["cauchy", 3, None])
def test_unknown_likelihoods_beside_noise_are_refused(likelihood):
    X, y, _ = soft_lines_and_outliers(0, n=50)
    with pytest.raises(ValueError, match=r"must be one of \['beta', 'binomial', 'gamma'"):
        MixtureOfExpertsRegressor(n_experts=1, likelihood=WithNoise(likelihood)).fit(X, y)


def test_laplace_refuses_several_outputs():
    X, y, _ = soft_lines_and_outliers(0, n=50, n_outputs=2)
    with pytest.raises(ValueError, match="Laplace takes one output; y has 2"):
        MixtureOfExpertsRegressor(n_experts=1, likelihood="laplace").fit(X, y)


@pytest.mark.parametrize("likelihood", ROBUST)
def test_there_is_no_partial_fit(likelihood):
    moe = MixtureOfExpertsRegressor(likelihood=ROBUST[likelihood], training="em")
    assert not hasattr(moe, "partial_fit")
    with pytest.raises(AttributeError) as info:
        _ = moe.partial_fit
    assert "has no learn_batch" in str(info.value.__cause__)


@pytest.mark.parametrize(
    ("likelihood", "per_expert"),
    [
        ("gaussian", 1),
        ("student_t", 1),
        ("laplace", 1),
        (StudentT("estimate"), 2),
        (WithNoise(share=0.1), 1),
        (WithNoise(), 1.5),
    ],
)
def test_information_criteria_count_scales_and_degrees_of_freedom(likelihood, per_expert):
    X, y, _ = soft_lines_and_outliers(0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, n_init=2, random_state=0, training="em"
    )
    moe.fit(X, y)
    n_parameters = 2 * 3 + 3 + 2 * per_expert  # experts, gate, scales
    log_likelihood = moe.log_density(X, y).sum()
    expected = -2 * log_likelihood + n_parameters * np.log(len(y))
    assert_allclose(moe.bic(X, y), expected, rtol=1e-12)


@pytest.mark.parametrize("likelihood", ROBUST)
def test_experts_are_ordered_and_added_with_their_scales(likelihood):
    X, y, _ = soft_lines_and_outliers(0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=ROBUST[likelihood], n_init=2, random_state=0, training="em"
    ).fit(X, y)
    dist = moe.predict_dist(X)
    expected = moe.likelihood_.log_density(y, moe.predict_experts(X))
    assert_allclose(dist.components.logpdf(y[:, None]), expected, rtol=1e-10)
    assert_allclose(dist.without_noise().mean(), moe.predict(X), rtol=1e-12)
    scale = moe.likelihood_.scale_
    moe.add_expert(X + [10, 0], y, replay=(X, y))
    assert_array_equal(moe.likelihood_.scale_[:2], scale)
    moe.remove_expert("expert0")
    assert_array_equal(moe.likelihood_.scale_[0], scale[1])
    assert np.isfinite(moe.log_density(X, y)).all()
