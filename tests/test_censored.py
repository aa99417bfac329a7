"""Censored targets: interval probabilities, expected targets, EM, standard errors, scores."""

from functools import partial

import numpy as np
import pytest
from mixtures import regressor_of
from numpy.testing import assert_allclose
from scipy import integrate, optimize, special, stats
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.distributions import GaussianComponents, StudentTComponents
from skmoe.distributions._scipy import GammaComponents
from skmoe.gates import SoftmaxGate
from skmoe.inference import bootstrap
from skmoe.likelihoods import Gaussian, StudentT
from skmoe.likelihoods._gaussian import gaussian_between, student_between
from skmoe.metrics import log_score
from skmoe.model_selection import select_n_experts

# Of the logarithm of the time in two regimes: coefficients, intercept and scale; and of the gate.
REGIMES = np.array([[0.8, 0.0, 2.0, 0.4], [-0.5, 0.0, 0.5, 0.6]])
GATE = np.array([0.3, 0.0, 1.5])  # log-odds of the first: intercept, two columns
LIKELIHOODS = ["gaussian", "log_normal", "gamma", StudentT("estimate")]


def failure_times(n=1000, seed=0):
    """Accelerated failure times in two regimes, two fifths censored: X, y, upper, time."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 2))
    first = rng.uniform(size=n) < special.expit(GATE[0] + X @ GATE[1:])
    coef = REGIMES[np.where(first, 0, 1)]
    time = np.exp((coef[:, :2] * X).sum(axis=1) + coef[:, 2] + coef[:, 3] * rng.normal(size=n))
    end = np.exp(1.75 + 1.2 * rng.normal(size=n))
    return X, np.minimum(time, end), np.where(time <= end, time, np.inf), time


def all_kinds(n=300, seed=0):
    """One regime of positive targets: some observed, others censored in each of three ways."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    y = np.exp(1 + X[:, 0]) * rng.gamma(3.0, 1 / 3.0, size=n)
    upper, kind = y.copy(), rng.integers(5, size=n)
    y[kind == 1] *= rng.uniform(size=np.sum(kind == 1))
    upper[kind == 1] = np.inf
    upper[kind == 2] *= rng.uniform(1, 2, size=np.sum(kind == 2))
    y[kind == 2] = -np.inf
    y[kind == 3] = np.floor(y[kind == 3])
    upper[kind == 3] = np.floor(upper[kind == 3]) + 1
    return X, y, upper


mixture = partial(regressor_of, n_init=3, max_iter=2000, tol=1e-6, random_state=0)


def frozen(likelihood, prediction, k=0):
    """What SciPy calls the distribution of an expert of a fitted likelihood."""
    name = type(likelihood).__name__
    if name == "Gamma":
        shape = likelihood.shape_[k]
        return stats.gamma(shape, scale=prediction / shape)
    scale = likelihood.scale_[k]
    if name == "LogNormal":
        return stats.lognorm(scale, scale=np.exp(prediction))
    if name == "StudentT":
        return stats.t(likelihood.df_[k], prediction, scale)
    return stats.norm(prediction, scale)


def log_probability(distribution, y, upper):
    """By definition."""
    with np.errstate(divide="ignore"):
        inside = np.log(distribution.cdf(upper) - distribution.cdf(y))
    return np.where(y == upper, distribution.logpdf(np.where(y == upper, upper, 1.0)), inside)


# Numbers -------------------------------------------------------------------------------------

INTERVALS = [(-np.inf, 1.0), (0.5, np.inf), (-1.0, 2.0), (6.0, np.inf), (2.0, 2.0001), (-9.0, -8.0)]


@pytest.mark.parametrize(("low", "high"), INTERVALS)
@pytest.mark.parametrize("df", [None, 2.5, 4.0])
def test_moments_between_bounds_are_integrals(low, high, df):
    distribution = stats.norm() if df is None else stats.t(df)
    between = gaussian_between if df is None else lambda *ends: student_between(*ends, df)
    weight, mean, squares = between(np.array([[low]]), np.array([[high]]))

    def moment(power):
        def value(z):
            u = 1.0 if df is None else (df + 1) / (df + z**2)
            return u ** (power >= 0) * z ** max(power, 0) * np.exp(distribution.logpdf(z) - peak)

        return integrate.quad(value, low, high, epsabs=0, epsrel=1e-11)[0]

    peak = distribution.logpdf(min(max(0.0, low), high))
    mass, of_u, of_uz, of_uzz = (moment(power) for power in (-1, 0, 1, 2))
    if df is not None:
        assert_allclose(weight, of_u / mass, rtol=1e-7)
    assert_allclose(mean, of_uz / of_u, rtol=1e-6)
    assert_allclose(squares, of_uzz / mass, rtol=1e-6)


def test_what_is_observed_has_no_variance():
    z = np.array([[-2.0, 0.0, 30.0]])
    for weight, mean, squares in (gaussian_between(z, z), student_between(z, z, 4.0)):
        assert_allclose(mean, z)
        assert_allclose(squares, (1.0 if weight is None else weight) * z**2)


def test_probabilities_are_exact_in_the_tails():
    at = np.array([[40.0]])
    gaussian = GaussianComponents(np.zeros((1, 1)), np.ones((1, 1)))
    # The first terms of Mills' ratio.
    asymptote = stats.norm.logpdf(40) + np.log(1 / 40 - 1 / 40**3 + 3 / 40**5)
    assert_allclose(gaussian.log_between(at, np.inf * at), asymptote, rtol=1e-9)
    assert_allclose(gaussian.log_between(-np.inf * at, -at), asymptote, rtol=1e-9)
    narrow = gaussian.log_between(at, at + 1e-9) - np.log(1e-9)
    assert_allclose(narrow, stats.norm.logpdf(40), rtol=1e-6)
    # Where the tails themselves are no floats, they go on without a jump.
    for components, places in (
        (StudentTComponents(np.zeros((1, 1)), 1.0, 200.0), [390.0, 400.0, 410.0, 420.0, 430.0]),
        (
            GammaComponents(np.ones((1, 1)), np.full((1, 1), 50.0)),
            [16.0, 17.0, 18.0, 19.0, 20.0, 21.0],
        ),
    ):
        tails = np.array([components.logsf(np.array([[z]]))[0, 0] for z in places])
        assert tails[0] > np.log(1e-290) > tails[-1]
        assert np.abs(np.diff(tails, 3)).max() < 0.03
    lower = GammaComponents(np.ones((1, 1)), np.full((1, 1), 50.0))
    tails = np.array([lower.logcdf(np.exp([[z]]))[0, 0] for z in -np.arange(13, 16, 0.5)])
    assert_allclose(np.diff(tails, 2), 0, atol=1e-3)  # 50 log x


def test_terms_are_derivatives():
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(12, 2)), np.ones(12)])
    low = rng.normal(size=12)
    high = low + rng.uniform(0.1, 2, size=12)
    low[:3], high[3:6], high[6:8] = -np.inf, np.inf, low[6:8]
    theta, weight = np.array([0.3, -0.2, 0.1, 0.2]), rng.uniform(size=12)

    censored = Gaussian().censored_terms()

    def terms(theta):
        return censored(theta, design, np.column_stack([low, high]))

    def derivative(value):
        steps = 1e-5 * np.eye(4)
        return np.stack([(value(theta + h) - value(theta - h)) / 2e-5 for h in steps], axis=1)

    score = derivative(lambda theta: terms(theta).log_density())
    assert_allclose(terms(theta).score(), score, atol=1e-8)
    hessian = derivative(lambda theta: weight @ terms(theta).score())
    assert_allclose(terms(theta).hessian(weight), hessian, atol=1e-8)


# Maximum likelihood --------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["gaussian", "log_normal", "gamma", "student_t"])
def test_one_expert_is_at_an_independent_maximum(likelihood):
    X, y, upper = all_kinds()
    moe = mixture(likelihood, 1, tol=1e-12).fit(X, y, upper=upper)
    design = np.column_stack([X, np.ones(len(y))])
    expert, fitted = moe.experts_[0], moe.likelihood_
    start = np.append(expert.coef_, expert.intercept_)
    logs = np.log([fitted.shape_ if likelihood == "gamma" else fitted.scale_]).ravel()

    def loss(theta):
        prediction, kind = design @ theta[:3], type(fitted)
        here = kind()
        if likelihood == "gamma":
            prediction, here.shape_ = np.exp(prediction), np.exp(theta[3:])
        else:
            here.scale_, here.df_ = np.exp(theta[3:]), np.array([4.0])
        return -log_probability(frozen(here, prediction), y, upper).sum()

    begin, settings = np.append(start, logs) + 0.05, {"xatol": 1e-5, "fatol": 1e-6}
    best = optimize.minimize(loss, begin, method="Nelder-Mead", options=settings)
    assert_allclose(moe.log_density(X, y, upper=upper).sum(), -best.fun, atol=2e-4)
    assert_allclose(np.append(start, logs)[:4], best.x[:4], atol=2e-3)


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
def test_noise_within_intervals_is_recovered(likelihood):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 20, size=(1000, 1))
    noise = rng.normal(size=1000) if likelihood == "gaussian" else rng.standard_t(4, size=1000)
    y = np.floor(0.7 * X[:, 0] + 0.15 * noise)  # less than a grid of points would allow for
    moe = mixture(likelihood, 1, tol=1e-8).fit(X, y, upper=y + 1)
    assert_allclose(moe.likelihood_.scale_, 0.15, atol=0.03)
    assert_allclose(moe.experts_[0].coef_, 0.7, atol=0.01)
    assert_allclose(moe.experts_[0].intercept_, 0.0, atol=0.05)


def test_degrees_of_freedom_are_at_their_maximum():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1))
    y = X[:, 0] + rng.standard_t(3, size=500)
    upper = np.where(y > 1, np.inf, y)
    moe = mixture(StudentT("estimate"), 1, tol=1e-9).fit(X, np.minimum(y, 1.0), upper=upper)
    value, best = moe.log_density(X, np.minimum(y, 1.0), upper=upper).sum(), moe.likelihood_.df_
    assert 2.2 < best[0] < 5
    for factor in (0.98, 1.02):
        moe.likelihood_.df_ = factor * best
        assert moe.log_density(X, np.minimum(y, 1.0), upper=upper).sum() < value


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_em_rises(likelihood):
    X, y, upper, _ = failure_times(150)
    moe = mixture(likelihood, n_init=1, max_iter=10, tol=0.0)
    with pytest.warns(UserWarning, match="max_iter"):
        moe.fit(X, y, upper=upper)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    assert moe.lower_bounds_[-1] > moe.lower_bounds_[0] + 0.01


def test_em_of_subjects_rises_and_keeps_them_together():
    X, y, upper, _ = failure_times(300)
    subject = np.repeat(np.arange(100), 3)
    X[:, 1] = X[subject * 3, 1]
    gate = make_pipeline(ColumnTransformer([("own", "passthrough", [1])]), SoftmaxGate())
    moe = mixture("log_normal", gate=gate).fit(X, y, upper=upper, subject=subject)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    resp = moe.responsibilities(X, y, upper=upper, subject=subject).reshape(100, 3, 2)
    assert_allclose(resp, resp[:, :1] + np.zeros((1, 3, 1)))
    assert moe.log_density(X, y, upper=upper, subject=subject).shape == (100,)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_densities_are_those_of_the_fitted_mixture(likelihood):
    X, y, upper, _ = failure_times(200)
    moe = mixture(likelihood, n_init=1, tol=1e-4).fit(X, y, upper=upper)
    gate, predictions = moe.gate_proba(X), moe.predict_experts(X)
    joint = np.column_stack(
        [
            np.log(gate[:, k])
            + log_probability(frozen(moe.likelihood_, predictions[:, k], k), y, upper)
            for k in range(2)
        ]
    )
    assert_allclose(moe.log_density(X, y, upper=upper), special.logsumexp(joint, axis=1), rtol=1e-6)
    resp = moe.responsibilities(X, y, upper=upper)
    assert_allclose(resp, special.softmax(joint, axis=1), rtol=1e-5, atol=1e-12)


def within(summary, truth):
    """Distances from the truth in standard errors, with experts in its order."""
    estimate, error = summary.estimate.copy(), summary.std_error.copy()
    if estimate[0] < estimate[4]:  # the second regime first
        order = [*range(4, 8), *range(4), *range(8, 11)]
        estimate, error = estimate[order], error[order]
        estimate[8:] *= -1
    return (estimate - truth) / error


@pytest.mark.parametrize("seed", range(2))
def test_planted_regimes_are_recovered(seed):
    X, y, upper, _ = failure_times(600, seed)
    assert 0.35 < np.isinf(upper).mean() < 0.45
    moe = mixture("log_normal", n_init=2).fit(X, y, upper=upper)
    experts = [[each[2], each[0], each[1], np.log(each[3])] for each in REGIMES]
    truth = np.concatenate([*experts, -GATE])
    assert np.abs(within(moe.summary(X, y, upper=upper), truth)).max() < 4
    # As if all times were observed.
    naive = mixture("log_normal", training="em", n_init=2).fit(X, y)
    assert max(e.intercept_ for e in naive.experts_) < 2 - 4 * 0.04


def test_a_fit_says_what_its_predictions_and_errors_are_of():
    X, y, upper, _ = failure_times(200)
    moe = mixture("log_normal", n_experts=1)
    note = "Predictions are of the uncensored target"
    assert note in str(moe.fit(X, y, upper=upper).expert_report())
    assert note not in str(moe.fit(X, y).expert_report())


def test_standard_errors_are_of_the_observed_information():
    X, y, upper = all_kinds()
    moe = mixture("log_normal", 1, tol=1e-12).fit(X, y, upper=upper)
    design, summary = np.column_stack([np.ones(len(y)), X]), moe.summary(X, y, upper=upper)

    def value(theta):
        distribution = stats.lognorm(np.exp(theta[3]), scale=np.exp(design @ theta[:3]))
        return log_probability(distribution, y, upper).sum()

    steps = 1e-3 * np.eye(4)
    hessian = [
        [
            value(summary.estimate + a + b) - value(summary.estimate + a - b)
            - value(summary.estimate - a + b) + value(summary.estimate - a - b)
            for b in steps
        ]
        for a in steps
    ]  # fmt: skip
    information = -np.array(hessian) / 4e-6
    assert_allclose(summary.cov, np.linalg.inv(information), rtol=1e-3, atol=1e-6)
    assert_allclose(summary.log_likelihood, moe.log_density(X, y, upper=upper).sum())
    with pytest.raises(ValueError, match="'gaussian', 'log_normal' or 'weibull', not for StudentT"):
        mixture("student_t", 1).fit(X, y, upper=upper).summary(X, y, upper=upper)


def test_a_scale_that_experts_share_is_one_parameter():
    X, y, upper, _ = failure_times(300)
    logs = np.log(y), np.log(upper)
    moe = mixture(Gaussian(scale="shared"), training="em").fit(X, logs[0], upper=logs[1])
    summary = moe.summary(X, logs[0], upper=logs[1])
    assert np.linalg.matrix_rank(summary.cov) == 10  # six coefficients, a scale, three of the gate
    scales = [i for i, term in enumerate(summary.terms) if term == "log_scale"]
    assert_allclose(summary.estimate[scales], np.log(moe.likelihood_.scale_[0]), atol=1e-3)
    assert_allclose(np.ptp(summary.cov[:, scales], axis=1), 0, atol=1e-12)
    gained = summary.log_likelihood - moe.log_density(X, logs[0], upper=logs[1]).sum()
    assert 0 <= gained < 0.01  # between where EM stopped and the maximum


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_another_unit_of_the_target_changes_units_alone(factor):
    X, y, upper, _ = failure_times(200)
    here, there = (
        mixture("gaussian", n_init=1)
        .fit(X, f * y, upper=f * upper)
        .summary(X, f * y, upper=f * upper)
        for f in (1.0, factor)
    )
    slopes = [1, 2, 5, 6]
    assert_allclose(there.estimate[slopes], factor * here.estimate[slopes], rtol=1e-3)
    assert_allclose(there.std_error[slopes], factor * here.std_error[slopes], rtol=1e-3)


@pytest.mark.parametrize("experts", [None, LinearRegression(), DecisionTreeRegressor(max_depth=2)])
def test_without_censoring_it_is_the_ordinary_fit(experts):
    X, _, _, time = failure_times(150)
    params = {"experts": experts, "n_init": 1, "tol": 1e-3}
    params["cv"] = 2 if isinstance(experts, DecisionTreeRegressor) else "auto"
    plain = mixture("log_normal", **params).fit(X, time)
    observed = mixture("log_normal", **params).fit(X, time, upper=time.copy())
    assert_allclose(observed.predict(X), plain.predict(X), rtol=0)
    assert_allclose(observed.log_density(X, time, upper=time), plain.log_density(X, time), rtol=0)


def test_a_weight_of_two_is_a_row_given_twice():
    X, y, upper, _ = failure_times(150)
    twice = np.arange(150) < 70
    rows = np.concatenate([np.arange(150), np.flatnonzero(twice)])
    weighted = mixture("log_normal", n_init=1).fit(X, y, 1.0 + twice, upper=upper)
    repeated = mixture("log_normal", n_init=1).fit(X[rows], y[rows], upper=upper[rows])
    assert_allclose(weighted.predict_experts(X), repeated.predict_experts(X), rtol=1e-6)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    upper = np.where(y > 0.5, np.inf, y)
    moe = mixture("gaussian", 1, cv=False, max_iter=5)
    with pytest.warns(UserWarning, match="almost without error|max_iter"):
        moe.fit(X, np.minimum(y, 0.5), upper=upper)
    assert np.isfinite(moe.predict(X)).all()


def test_a_warm_start_stays_at_the_optimum():
    X, y, upper, _ = failure_times(300)
    moe = mixture("log_normal", warm_start=True, n_init=1).fit(X, y, upper=upper)
    before = moe.lower_bound_
    assert moe.fit(X, y, upper=upper).lower_bounds_[0] > before - 0.01
    assert_allclose(moe.lower_bound_, before, atol=1e-5)


# Any estimators ------------------------------------------------------------------------------


def test_forests_as_experts_know_of_censoring():
    X, y, upper, time = failure_times(300)
    X_new, _, _, time_new = failure_times(400, seed=1)
    forest = RandomForestRegressor(5, min_samples_leaf=10, random_state=0)
    params = {"experts": forest, "n_init": 1, "cv": 3, "max_iter": 4}
    moe = mixture("log_normal", **params).fit(X, y, upper=upper)
    naive = mixture("log_normal", **params, training="em").fit(X, y)
    assert not hasattr(moe, "specialisation_")  # EM, and no clones beside a generalist
    assert log_score(moe, X_new, time_new) > log_score(naive, X_new, time_new) + 0.2
    for rows in (np.ones(400, dtype=bool), X_new[:, 1] < -0.5):  # where the first regime is rare
        for at in (1.0, 3.0, 8.0):
            alive = moe.predict_dist(X_new[rows]).sf(at).mean()
            assert abs(alive - np.mean(time_new[rows] > at)) < 0.1


def test_a_single_cross_fitted_expert_iterates():
    X, y, upper, time = failure_times(200)
    tree = DecisionTreeRegressor(min_samples_leaf=20)
    moe = mixture("gamma", 1, experts=tree, cv=3).fit(X, y, upper=upper)
    assert moe.n_iter_ > 1
    assert moe.predict(X).mean() > 1.15 * y.mean()


def test_unlike_experts_and_gates_learn_from_censored_targets():
    X, y, upper, _ = failure_times(200)
    experts = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(min_samples_leaf=20))]
    moe = mixture("student_t", "auto", experts=experts, max_iter=2, cv=2, n_init=1).fit(
        X, np.log(y), upper=np.log(upper)
    )
    assert moe.oof_responsibilities_.shape == (200, 2)
    assert np.isfinite(moe.oof_log_density_).all()


def test_survival_functions_fall_from_one_to_zero():
    X, y, upper, _ = failure_times(300)
    dist = mixture("log_normal", n_init=1).fit(X, y, upper=upper).predict_dist(X[:7])
    curve = np.stack([dist.sf(t) for t in (0.0, 0.5, 2.0, 10.0, 1e6)], axis=1)
    assert curve.shape == (7, 5)
    assert (np.diff(curve, axis=1) < 0).all()
    assert_allclose(curve[:, [0, -1]], [[1, 0]] * 7, atol=1e-6)
    assert_allclose(dist.sf(y[:7]), 1 - dist.cdf(y[:7]))


# Scores and what else takes upper ------------------------------------------------------------


def test_log_score_is_the_mean_log_probability():
    X, y, upper, _ = failure_times(200)
    moe = mixture("log_normal", n_init=1).fit(X, y, upper=upper)
    expected = moe.log_density(X, y, upper=upper).mean()
    assert_allclose(log_score(moe, X, y, upper=upper), expected)
    alive = np.log(moe.predict_dist(X).sf(2.0)).mean()  # of rows that are all censored
    assert_allclose(log_score(moe, X, np.full(200, 2.0), upper=np.full(200, np.inf)), alive)


def test_selection_and_bootstrap_take_upper():
    X, y, upper, _ = failure_times(150)
    estimator = mixture("log_normal", experts=LinearRegression(), n_init=1, tol=1e-4)
    for criterion in ("bic", "cv"):
        chosen = select_n_experts(
            estimator, X, y, [1, 2], upper=upper, criterion=criterion, cv=2, random_state=0
        )
        assert chosen.best_n_experts_ == 2
    moe = estimator.fit(X, y, upper=upper)
    assert moe.bic(X, y, upper=upper) < moe.set_params(n_experts=1).fit(X, y, upper=upper).bic(
        X, y, upper=upper
    )
    result = bootstrap(moe, X, y, upper=upper, n_resamples=3, random_state=0)
    assert np.isfinite(result.standard_error).all()


def test_errors_of_reports_are_distances_from_the_bounds():
    X, y, upper, _ = failure_times(200)
    moe = mixture("log_normal", n_init=1).fit(X, y, upper=upper)
    predictions, resp = moe.predict_experts(X), moe.responsibilities(X, y, upper=upper)
    nearest = np.clip(predictions, np.log(y)[:, None], np.log(upper)[:, None])
    loss = (resp * (nearest - predictions) ** 2).sum(axis=0) / resp.sum(axis=0)
    report = moe.expert_report(X, y, upper=upper)
    assert_allclose(report.columns["error"], np.sqrt(loss))
    assert_allclose(moe.expert_report().columns["error"], np.sqrt(loss), rtol=1e-6)
    assert "expert1" in str(moe.expert_profiles(X, y, upper=upper))


def test_upper_passes_through_pipelines_and_metadata_routing():
    X, y, upper, _ = failure_times(150)
    expected = mixture("log_normal", n_init=1, tol=1e-10).fit(X, y, upper=upper).predict(X)
    pipe = make_pipeline(StandardScaler(), mixture("log_normal", n_init=1, tol=1e-10))
    pipe.fit(X, y, mixtureofexpertsregressor__upper=upper)
    assert_allclose(pipe.predict(X), expected, rtol=1e-2)
    of_last = log_score(pipe[-1], pipe[:-1].transform(X), y, upper=upper)
    assert_allclose(log_score(pipe, X, y, upper=upper), of_last)
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(
            StandardScaler(), mixture("log_normal", n_init=1).set_fit_request(upper=True)
        )
        assert_allclose(routed.fit(X, y, upper=upper).predict(X), expected, rtol=0.05)


# Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "upper", "message"),
    [
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 3.0, 4.0], "row 1 has y=2 and upper=1"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 3.0, 4.0], "upper is NaN in row 1"),
        ([1.0, np.nan, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], "y is NaN in row 1"),
        ([-np.inf, 2.0, 3.0, 4.0], [np.inf, 2.0, 3.0, 4.0], "Row 0 has no finite bound"),
        ([1.0, 2.0, 3.0, np.inf], [1.0, 2.0, 3.0, np.inf], "Row 3 has no finite bound"),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0], "inconsistent numbers of samples"),
        ([[1.0], [2.0], [3.0], [4.0]], np.ones((4, 2)), "1d array"),
    ],
)
def test_impossible_bounds_are_refused(y, upper, message):
    X = np.arange(4.0)[:, None]
    moe = mixture("gaussian", 1)
    with pytest.raises(ValueError, match=message):
        moe.fit(X, y, upper=upper)
    fitted = mixture("gaussian", 1, training="em").fit(X, [1.0, 2.0, 1.5, 3.0])
    with pytest.raises(ValueError, match=message):
        fitted.log_density(X, y, upper=upper)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"likelihood": "beta"}, "upper needs likelihood='gamma'"),
        ({"likelihood": "poisson"}, "upper needs likelihood"),
        ({"likelihood": Gaussian("auto")}, "without a scale that depends on the row"),
        ({"likelihood": "gaussian", "training": "pooled"}, "targets without censoring"),
        (
            {
                "likelihood": "auto",
                "n_experts": "auto",
                "training": "stack",
                "experts": [("a", LinearRegression()), ("b", RandomForestRegressor(5))],
            },
            "targets without censoring, so no upper",
        ),
        (
            {"experts": MixtureOfExpertsRegressor(n_experts=1)},
            "where there is upper, so no mixtures",
        ),
    ],
)
def test_what_cannot_learn_from_censored_targets_says_so(params, message):
    X, y, upper, _ = failure_times(60)
    with pytest.raises(ValueError, match=message):
        mixture(**{"likelihood": "log_normal"} | params).fit(X, y, upper=upper)


@pytest.mark.parametrize("y", [[1.0, 2.0, 3.0], [-np.inf, -np.inf, -np.inf]])
def test_targets_that_are_all_beyond_their_bounds_are_refused(y):
    upper = np.full(3, np.inf if y[0] > 0 else 1.0)
    with pytest.raises(ValueError, match="censored on the same side"):
        mixture("gaussian", 1).fit([[0.0], [1.0], [2.0]], y, upper=upper)


def test_several_outputs_and_classes_are_not_censored():
    X, y, upper, _ = failure_times(60)
    with pytest.raises(ValueError, match="upper is for one output"):
        mixture("gaussian").fit(X, np.column_stack([y, y]), upper=upper)
    with pytest.raises(ValueError, match="upper needs"):
        MixtureOfExpertsClassifier(n_experts=2).fit(X, y > 3, upper=upper)
