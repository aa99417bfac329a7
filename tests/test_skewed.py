"""Skew-normal and skew t errors, against scipy."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions import SkewNormalComponents, SkewTComponents
from skmoe.distributions._skewed import log_skew_t
from skmoe.likelihoods import SkewNormal, SkewT, WithNoise

LIKELIHOODS = (SkewNormal(), SkewT(), SkewT("estimate"))


def skewed_errors(likelihood, skew, n, seed):
    if isinstance(likelihood, SkewNormal):
        return stats.skewnorm(skew).rvs(n, random_state=seed)
    components = SkewTComponents(np.zeros((n, 1)), 1.0, skew, 4.0)
    return components.rvs(np.zeros((n, 1), dtype=int), np.random.RandomState(seed))[:, 0]


def one_line(likelihood, n=500):
    X = np.random.default_rng(0).uniform(-1, 1, size=(n, 2))
    return X, 1 + 2 * X[:, 0] - X[:, 1] + 0.7 * skewed_errors(likelihood, 4.0, n, seed=1)


def two_lines(likelihood, n=700):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(n, 1))
    first = rng.uniform(size=n) < 1 / (1 + np.exp(-3 * X[:, 0]))
    up = 3 + X[:, 0] + 0.5 * skewed_errors(likelihood, 5.0, n, seed=1)
    down = -1 - 2 * X[:, 0] + 0.3 * skewed_errors(likelihood, -4.0, n, seed=2)
    return X, np.where(first, up, down)


def negative_log_likelihood(theta, X, y, likelihood):
    errors = (y - theta[0] - X @ theta[1:3]) / np.exp(theta[3])
    if isinstance(likelihood, SkewNormal):
        log_density = stats.skewnorm.logpdf(errors, theta[4])
    else:
        df = np.exp(theta[5]) if likelihood.df == "estimate" else likelihood.df
        log_density = log_skew_t(errors, theta[4], df)
    return -(log_density - theta[3]).sum()


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_one_expert_is_at_the_maximum_that_scipy_finds(likelihood):
    X, y = one_line(likelihood)
    start = [1.0, 2.0, -1.0, 0.0, 1.0, 1.0]
    best = optimize.minimize(negative_log_likelihood, start, (X, y, likelihood), method="BFGS")
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood, tol=1e-11, max_iter=1000)
    moe = moe.fit(X, y)
    assert moe.log_density(X, y).sum() == pytest.approx(-best.fun, abs=1e-5)
    fitted, expert = moe.likelihood_, moe.experts_[0]
    found = [expert.intercept_, *expert.coef_, np.log(fitted.scale_[0]), fitted.skew_[0]]
    np.testing.assert_allclose(found, best.x[:5], atol=2e-3)
    if likelihood.get_params().get("df") == "estimate":
        assert np.log(fitted.df_[0]) == pytest.approx(best.x[5], abs=2e-3)
    assert np.diff(moe.lower_bounds_).min() >= -1e-10
    n_parameters = 6 if likelihood.get_params().get("df") == "estimate" else 5
    assert moe.bic(X, y) == pytest.approx(2 * best.fun + n_parameters * np.log(500), abs=1e-4)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_two_regimes_of_opposite_skew_are_recovered(likelihood):
    X, y = two_lines(likelihood)
    params = {"n_experts": 2, "n_init": 3, "random_state": 0}
    moe = MixtureOfExpertsRegressor(likelihood=likelihood, **params).fit(X, y)
    up, down = np.argsort([-expert.coef_[0] for expert in moe.experts_])
    np.testing.assert_allclose(moe.experts_[up].coef_, 1, atol=0.1)
    np.testing.assert_allclose(moe.experts_[down].coef_, -2, atol=0.1)
    np.testing.assert_allclose(moe.experts_[up].intercept_, 3, atol=0.1)
    np.testing.assert_allclose(moe.experts_[down].intercept_, -1, atol=0.1)
    np.testing.assert_allclose(moe.likelihood_.scale_[[up, down]], [0.5, 0.3], atol=0.06)
    assert moe.likelihood_.skew_[up] > 3
    assert moe.likelihood_.skew_[down] < -2.5
    assert np.diff(moe.lower_bounds_).min() >= -1e-10
    symmetric = "gaussian" if isinstance(likelihood, SkewNormal) else "student_t"
    other = MixtureOfExpertsRegressor(training="em", likelihood=symmetric, **params).fit(X, y)
    assert moe.bic(X, y) < other.bic(X, y) - 30


def test_standard_errors_are_those_of_the_inverse_information():
    X, y = one_line(SkewNormal())
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="skew_normal", tol=1e-10)
    summary = moe.fit(X, y).summary(X, y)
    assert summary.terms == ["intercept", "x0", "x1", "log_scale", "skew"]
    theta, steps = summary.estimate, 1e-4 * np.eye(5)

    def value(theta):
        return negative_log_likelihood(theta, X, y, SkewNormal())

    information = [
        [
            value(theta + a + b)
            - value(theta + a - b)
            - value(theta - a + b)
            + value(theta - a - b)
            for a in steps
        ]
        for b in steps
    ]
    expected = np.sqrt(np.diag(np.linalg.inv(np.array(information) / 4e-8)))
    np.testing.assert_allclose(summary.std_error, expected, rtol=1e-3)
    true = [1, 2, -1, np.log(0.7), 4]
    assert (np.abs(theta - true) < 4 * summary.std_error).all()


@pytest.mark.parametrize("skew", [3.0, -40.0, 0.0])
def test_skew_normal_is_that_of_scipy(skew):
    ours = SkewNormalComponents(np.array([[1.0]]), 2.0, skew)
    known = stats.skewnorm(skew, 1.0, 2.0)
    y = np.array([[-3.0], [0.0], [1.5], [6.0]])[:, None]
    for method in ("logpdf", "cdf", "sf"):
        np.testing.assert_allclose(
            getattr(ours, method)(y), getattr(known, method)(y), rtol=1e-9, atol=1e-14
        )
    np.testing.assert_allclose(ours.mean, known.mean())
    np.testing.assert_allclose(ours.var, known.var())
    for q in (0.01, 0.5, 0.99):
        np.testing.assert_allclose(ours.ppf(q), known.ppf(q), rtol=1e-9)


@pytest.mark.parametrize(("skew", "df"), [(3.0, 4.0), (-5.0, 2.5), (40.0, 3.0), (1.0, 100.0)])
def test_skew_t_integrates_its_density(skew, df):
    components = SkewTComponents(np.zeros((1, 1)), 1.0, skew, df)

    def moment(power, end=np.inf):
        def integrand(z):
            return z**power * np.exp(log_skew_t(z, skew, df))

        return integrate.quad(integrand, -np.inf, end, epsabs=1e-12, limit=500)[0]

    for y in (-1.0, 0.2, 2.0, 30.0):
        assert components.cdf(y)[0, 0] == pytest.approx(moment(0, y), abs=1e-10)
        assert components.sf(y)[0, 0] == pytest.approx(1 - moment(0, y), abs=1e-10)
    assert components.mean[0, 0] == pytest.approx(moment(1), rel=1e-8)
    assert components.var[0, 0] == pytest.approx(moment(2) - moment(1) ** 2, rel=1e-6)
    for q in (1e-4, 0.3, 0.999):
        assert components.cdf(components.ppf(q))[0, 0] == pytest.approx(q, rel=1e-10)
    draws = components.rvs(np.zeros((1, 50_000), dtype=int), np.random.RandomState(0))
    assert stats.kstest(draws[0], lambda y: components.cdf(y[:, None])[:, 0]).pvalue > 1e-3


def test_working_target_and_weights_make_the_score():
    # By Fisher's identity the slope of the log-density is the expected slope of the complete one.
    rng = np.random.default_rng(0)
    y, prediction = rng.normal(size=50), rng.normal(size=(50, 2))
    for likelihood in LIKELIHOODS:
        likelihood = likelihood.fitting(in_sample=True, linear=True).start(y, np.ones(50), 2)
        likelihood.update(y, prediction, np.full((50, 2), 0.5))
        working = likelihood.working_weights(y, prediction)
        gap = likelihood.working_target(y, prediction) - (prediction - likelihood._shift)
        slope = gap * (1 if working is None else working) * likelihood.precision_
        up, down = (likelihood.log_density(y, prediction + step) for step in (1e-5, -1e-5))
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5, atol=1e-6)


def test_an_expert_in_the_place_of_another_predicts_locations():
    X, y = two_lines(SkewNormal())
    params = {"n_experts": 2, "likelihood": "skew_normal", "n_init": 3, "random_state": 0}
    moe = MixtureOfExpertsRegressor(**params).fit(X, y)
    up = int(np.argmax([expert.coef_[0] for expert in moe.experts_]))
    fitted = moe.experts_[up].intercept_
    moe.replace_expert(f"expert{up}", LinearRegression(), X, y)
    assert moe.experts_[up].intercept_ == pytest.approx(fitted, abs=0.02)  # the mean is 0.4 above


def test_units_of_the_target_change_nothing():
    X, y = two_lines(SkewNormal(), n=400)
    params = {
        "n_experts": 2,
        "likelihood": "skew_normal",
        "random_state": 0,
        "tol": 1e-8,
        "n_init": 2,
    }
    small, large = (MixtureOfExpertsRegressor(**params).fit(X, factor * y) for factor in (1, 1e6))
    np.testing.assert_allclose(small.likelihood_.skew_, large.likelihood_.skew_, rtol=1e-3)
    np.testing.assert_allclose(1e6 * small.predict(X), large.predict(X), rtol=1e-3)


def test_any_experts_and_other_likelihoods_take_part():
    X, y = two_lines(SkewNormal(), n=300)
    tree = DecisionTreeRegressor(max_depth=3, min_samples_leaf=10)
    params = {"n_experts": 2, "n_init": 2, "max_iter": 20, "tol": 1e-3, "random_state": 0}
    moe = MixtureOfExpertsRegressor(tree, likelihood="skew_normal", **params)
    assert np.isfinite(moe.fit(X, y).oof_score_)
    for likelihood in (["skew_normal", "gaussian"], WithNoise("skew_normal")):
        moe = MixtureOfExpertsRegressor(likelihood=likelihood, **params)
        assert np.diff(moe.fit(X, y).lower_bounds_).min() >= -1e-9


def test_what_cannot_be_is_refused():
    X, y = one_line(SkewNormal(), n=50)
    with pytest.raises(ValueError, match="takes one output"):
        MixtureOfExpertsRegressor(likelihood="skew_t").fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="df must be"):
        MixtureOfExpertsRegressor(likelihood=SkewT(1.0)).fit(X, y)


@pytest.mark.parametrize("skew", [0.5, -5.0, 50.0, -1000.0])
@pytest.mark.parametrize("df", [2.1, 4.0, 200.0, 1e10, 1e14])
def test_skew_t_is_a_distribution_for_any_tail_and_skew(df, skew):
    components = SkewTComponents(np.zeros((1, 1)), 1.0, skew, df)
    z = np.array([-3.0, -1.0, -0.1, -0.0125, 0.001, 0.1, 0.7, 2.0])
    below = np.array([components.cdf(place)[0, 0] for place in z])
    between = [
        integrate.quad(lambda t: np.exp(components.logpdf(t)[0, 0]), *ends, limit=200)[0]
        for ends in zip(z[:-1], z[1:], strict=True)
    ]
    np.testing.assert_allclose(np.diff(below), between, atol=1e-7)  # quad's, at the kink
    if df >= 1e10:
        normal = stats.skewnorm(skew)
        np.testing.assert_allclose(below, normal.cdf(z), atol=1e-8)
        np.testing.assert_allclose(components.mean, normal.mean(), rtol=1e-8)
        np.testing.assert_allclose(components.var, normal.var(), rtol=1e-8)


def test_log_density_of_the_skew_t_goes_on_where_its_tail_underflows():
    z = np.array([-1.0, -3.0, -9.0])
    with_log = log_skew_t(z, 50.0, 1e4)
    inside = 50.0 * z * np.sqrt((1e4 + 1) / (1e4 + z**2))
    log_tail = [_log_tail(place, 1e4 + 1) for place in inside]
    expected = np.log(2) + stats.t(1e4).logpdf(z) + log_tail
    np.testing.assert_allclose(with_log, expected, rtol=1e-3)


def _log_tail(end, df):
    """By integration of the density over the one at the end, of which most is within one."""
    t = stats.t(df)
    share = integrate.quad(lambda u: np.exp(t.logpdf(end - u) - t.logpdf(end)), 0, 1)[0]
    return t.logpdf(end) + np.log(share)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")  # of three rows
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_three_rows_overflow_nowhere(likelihood):
    X, y = two_lines(likelihood)[:2]
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=likelihood, n_init=2, random_state=0)
    with np.errstate(over="raise"):
        moe.fit(X[:3], y[:3])
    assert np.isfinite(moe.log_density(X[:3], y[:3])).all()
