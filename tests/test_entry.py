"""Rows that are seen only if their target exceeds an entry: left truncation."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from scipy import optimize, special, stats
from sklearn.ensemble import HistGradientBoostingRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import GaussianGate
from skmoe.inference import bootstrap
from skmoe.likelihoods import LogLogistic, Weibull
from skmoe.metrics import log_score
from skmoe.model_selection import select_n_experts
from skmoe.rows import Files

ERRORS = {"weibull": lambda rng, n: np.log(rng.exponential(size=n)),
          "log_logistic": lambda rng, n: rng.logistic(size=n),
          "log_normal": lambda rng, n: rng.normal(size=n)}  # fmt: skip
TRUTH = np.array([[0.5, 1.0, 2.5], [2.0, -0.7, 1.5]])  # intercept, slope, shape
GATE = [-1.0, 0.0, -2.0]  # of the first regime: intercept and both columns


def late(name, n, seed=0):
    """Durations of two regimes, ends of watching, and entries, of those who are seen."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(3 * n, 2))
    k = (rng.uniform(size=3 * n) < special.expit(1 + 2 * X[:, 1])).astype(int)
    error = ERRORS[name](rng, 3 * n) / TRUTH[k, 2]
    time = np.exp(TRUTH[k, 0] + TRUTH[k, 1] * X[:, 0] + error)
    entry = rng.exponential(3, size=3 * n) * (rng.uniform(size=3 * n) < 0.7)
    end = entry + rng.exponential(15, size=3 * n)
    seen = np.flatnonzero(time > entry)[:n]
    upper = np.where(time <= end, time, np.inf)
    return X[seen], np.minimum(time, end)[seen], upper[seen], entry[seen]


def of_one(seed=1, n=250):
    """One regime, of which nearly half is not seen."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4 * n, 1))
    time = np.exp(1 + 0.5 * X[:, 0] + 0.5 * rng.logistic(size=4 * n))
    entry, length = 2.5 * rng.exponential(size=4 * n), rng.exponential(6, size=4 * n)
    seen = np.flatnonzero(time > entry)[:n]
    X, time, entry, end = X[seen], time[seen], entry[seen], (entry + length)[seen]
    return X, np.minimum(time, end), np.where(time <= end, time, np.inf), entry


DISTRIBUTIONS = {
    "weibull": lambda mean, shape: stats.weibull_min(
        shape, scale=mean / special.gamma(1 + 1 / shape)
    ),
    "log_logistic": lambda median, shape: stats.fisk(shape, scale=median),
    "gamma": lambda mean, shape: stats.gamma(shape, scale=mean / shape),
    "log_normal": lambda median, shape: stats.lognorm(1 / shape, scale=median),
    "gaussian": lambda median, shape: stats.norm(np.log(median), 1 / shape),
    "student_t": lambda median, shape: stats.t(4, np.log(median), 1 / shape),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_one_expert_is_at_the_maximum_of_the_truncated_likelihood(name):
    X, y, upper, entry = of_one()
    if name in ("gaussian", "student_t"):  # a regression of targets above a limit
        y, upper, entry = np.log(y), np.log(upper), np.log(entry)

    def loss(theta):
        each = DISTRIBUTIONS[name](np.exp(theta[0] + theta[1] * X[:, 0]), np.exp(theta[2]))
        seen = np.where(y == upper, each.logpdf(y), each.logsf(y)) - each.logsf(entry)
        return -seen.sum()

    best = optimize.minimize(loss, [1.0, 0.5, 0.6], method="Nelder-Mead", tol=1e-9)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=name, training="em", tol=1e-9)
    moe = moe.fit(X, y, upper=upper, entry=entry)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    given = {"upper": upper, "entry": entry}
    assert moe.log_density(X, y, **given).sum() == pytest.approx(-best.fun, abs=1e-3)
    if name == "student_t":
        return  # which has no standard errors where targets are censored
    table = moe.summary(X, y, **given).to_frame()
    sign = -1 if name in ("log_normal", "gaussian") else 1  # of scales
    assert_allclose(table["estimate"], best.x * [1, 1, sign], atol=1e-3)
    steps = np.eye(3) * 1e-3
    hessian = [
        [
            sum(s * t * loss(best.x + s * a + t * b) for s in (1, -1) for t in (1, -1)) / 4e-6
            for b in steps
        ]
        for a in steps
    ]
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)))
    assert_allclose(table["std_error"], expected, rtol=5e-3)  # both by differences


@pytest.mark.parametrize("name", ERRORS)
def test_two_regimes_and_the_gate_of_all_are_recovered_and_em_never_falls(name):
    X, y, upper, entry = late(name, 1500)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=name, n_init=3, tol=1e-7, random_state=0
    ).fit(X, y, upper=upper, entry=entry)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    level = np.array([expert.intercept_ for expert in moe.experts_])
    shape = 1 / moe.likelihood_.scale_ if name == "log_normal" else moe.likelihood_.shape_
    if name == "weibull":
        level = level - special.gammaln(1 + 1 / shape)
    found = np.column_stack([level, [expert.coef_[0] for expert in moe.experts_], shape])
    first, second = level.argsort()
    assert_allclose(found[[first, second]], TRUTH, atol=0.3)  # some four standard errors
    gate = np.append(moe.gate_.intercept_[first], moe.gate_.coef_[first])
    gate -= np.append(moe.gate_.intercept_[second], moe.gate_.coef_[second])
    assert_allclose(gate, GATE, atol=0.5)  # the same; -1.5 without entry
    assert moe.log_density(X, y, upper=upper, entry=entry).mean() == pytest.approx(
        moe.lower_bound_, abs=1e-3
    )  # but for the penalty


def test_log_density_is_that_of_targets_above_their_entry():
    X, y, upper, entry = late("weibull", 200)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="weibull", n_init=1, tol=1e-3)
    moe = moe.fit(X, y, upper=upper, entry=entry)
    log_density = moe.log_density(X, y, upper=upper)
    log_seen = np.log(moe.predict_dist(X).sf(entry))
    found = moe.log_density(X, y, upper=upper, entry=entry)
    assert_allclose(found, log_density - log_seen, atol=1e-9)
    assert log_score(moe, X, y, upper=upper, entry=entry) == pytest.approx(found.mean())
    weight = np.arange(200) % 3
    given = {"sample_weight": weight, "upper": upper, "entry": entry}
    n_parameters = 2 * 4 + 3
    assert moe.aic(X, y, **given) == pytest.approx(2 * n_parameters - 2 * weight @ found)


def test_targets_may_be_censored_from_their_entry_on():
    rng = np.random.default_rng(0)
    X, time, entry = np.zeros((3000, 1)), 2 * rng.weibull(1.5, 3000), rng.uniform(0, 2, 3000)
    seen = time > entry  # and at one visit later it is known whether the event was before
    X, time, entry = X[seen], time[seen], entry[seen]
    visit = entry + rng.uniform(0.5, 2, len(time))
    y, upper = np.where(time < visit, entry, visit), np.where(time < visit, visit, np.inf)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="weibull").fit(
        X, y, upper=upper, entry=entry
    )
    assert moe.likelihood_.shape_ == pytest.approx([1.5], abs=0.12)  # some three standard errors
    dist = moe.predict_dist(X)
    inside = np.where(time < visit, dist.cdf(visit) - dist.cdf(entry), dist.sf(visit))
    found = moe.log_density(X, y, upper=upper, entry=entry)
    assert_allclose(found, np.log(inside / dist.sf(entry)), atol=1e-9)


def test_nothing_that_entered_late_is_no_entry_and_weights_are_repeats():
    X, y, upper, entry = late("weibull", 150)
    settings = {"n_experts": 2, "likelihood": "weibull", "n_init": 1, "random_state": 0}
    settings["tol"] = 1e-4
    moe = MixtureOfExpertsRegressor(**settings).fit(X, y, upper=upper)
    for none in (np.zeros(150), np.full(150, -np.inf)):
        same = MixtureOfExpertsRegressor(**settings).fit(X, y, upper=upper, entry=none)
        assert same.lower_bound_ == pytest.approx(moe.lower_bound_, abs=1e-12)
    twice = np.repeat(np.arange(150), 1 + np.arange(150) % 2)
    weighted, repeated = (
        MixtureOfExpertsRegressor(**settings).fit(
            X[rows], y[rows], weight, upper=upper[rows], entry=entry[rows]
        )
        for rows, weight in ((np.arange(150), 1.0 + np.arange(150) % 2), (twice, None))
    )
    assert_allclose(
        weighted.predict_quantiles(X, 0.5), repeated.predict_quantiles(X, 0.5), rtol=1e-3
    )


@pytest.mark.parametrize("kind", [Weibull, LogLogistic])
def test_one_target_in_place_of_two_gains_no_more_than_these(kind):
    mean, predictors = np.ones((1, 1)), np.linspace(-6, 6, 201)
    likelihood = kind()
    likelihood.shape_, likelihood.floor_ = np.array([1.7]), 0.0
    targets, shares = np.array([[[0.3]], [[5.0]]]), np.array([[[0.4]], [[0.6]]])
    target = likelihood.middle_target(targets, shares, mean)
    points = np.append(0.0, predictors)[None]  # the first is where it is now

    def gains(each):
        value = likelihood.family.unit(each, points, likelihood.shape_)[0]
        return value - value[:, :1]

    gap = (shares * [gains(each) for each in targets]).sum(axis=0) - gains(target)
    assert gap.min() > -1e-9
    assert gap[0, 101] == pytest.approx(0, abs=1e-12)  # it touches where it is now
    assert gap[0, 102] == pytest.approx(gap[0, 100], abs=1e-4)
    if kind is Weibull:
        assert_allclose(gap, 0, atol=1e-6 * np.abs(gains(target)).max())


def test_boosted_experts_learn_of_what_was_not_seen():
    X, y, upper, entry = late("log_normal", 500)
    trees = HistGradientBoostingRegressor(max_iter=15, max_depth=3)
    settings = {"likelihood": "log_normal", "training": "em", "n_init": 1, "random_state": 0}
    moe = MixtureOfExpertsRegressor(trees, 2, cv=2, max_iter=4, **settings)
    moe = moe.fit(X, y, upper=upper, entry=entry)
    level = MixtureOfExpertsRegressor(n_experts=1, expert_columns=[], **settings)
    level = level.fit(X, y, upper=upper, entry=entry)
    density, of_level = (
        each.log_density(X, y, upper=upper, entry=entry).mean() for each in (moe, level)
    )
    assert density > of_level + 0.1
    naive = MixtureOfExpertsRegressor(trees, 2, cv=2, max_iter=4, **settings)
    naive = naive.fit(X, y, upper=upper)
    new, *_ = late("log_normal", 200, seed=1)
    medians = [np.log(each.predict_quantiles(new, 0.5)).mean() for each in (moe, naive)]
    assert medians[0] < medians[1] - 0.02  # the short ones were missing


def test_entry_goes_through_routing_and_selection():
    X, y, upper, entry = late("weibull", 300)
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="weibull", n_init=2, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        request = moe.set_fit_request(entry=True, upper=True).get_metadata_routing()
    assert request._self_request.fit.requests["entry"] is True
    chosen = select_n_experts(
        moe, X, y, [1, 2], criterion="bic", upper=upper, entry=entry, random_state=0
    )
    best = chosen.best_estimator_
    assert len(best.experts_) == 2
    before = best.lower_bound_
    again = best.set_params(warm_start=True).fit(X, y, upper=upper, entry=entry)
    assert again.lower_bound_ == pytest.approx(before, abs=1e-4)
    standard = bootstrap(best, X, y, upper=upper, entry=entry, n_resamples=3, random_state=0)
    assert np.isfinite(standard.standard_error).all()
    table = best.summary(X, y, upper=upper, entry=entry, cov="sandwich").to_frame()
    plain = best.summary(X, y, upper=upper, entry=entry).to_frame()
    assert_allclose(np.log(table["std_error"] / plain["std_error"]), 0, atol=0.6)


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({}, {"entry": [0, 0, 2.0, 0, 0, 0]}, "entry must be below y: row 2 has entry=2 and y=2"),
        ({}, {"entry": [0, np.nan, 0, 0, 0, 0]}, "entry .*NaN|row 1 has entry=nan"),
        ({}, {"entry": np.zeros(6), "subject": np.arange(6)}, "give no subject"),
        ({}, {"entry": np.zeros(5)}, "inconsistent numbers"),
        ({"likelihood": "poisson"}, {"entry": np.zeros(6)}, "entry, .* needs likelihood="),
        ({"gate": GaussianGate()}, {"entry": [0.5, 0, 0, 0, 0, 0]}, "no GaussianGate"),
        ({"top_k": 1}, {"entry": [0.5, 0, 0, 0, 0, 0]}, "top_k=None where there is entry"),
        ({"training": "pooled"}, {"entry": [0.5, 0, 0, 0, 0, 0]}, "needs"),
    ],
)
def test_what_cannot_be_is_refused(settings, given, message):
    moe = MixtureOfExpertsRegressor(**{"n_experts": 2, "likelihood": "weibull", **settings})
    with pytest.raises(ValueError, match=message):
        moe.fit(np.arange(6.0)[:, None], [1, 3, 2.0, 4, 1, 2], **given)


def test_files_take_no_entry():
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="gamma", training="em")
    with pytest.raises(ValueError, match="entry"):
        moe.fit(Files(["rows.npy"]), entry=np.zeros(3))
