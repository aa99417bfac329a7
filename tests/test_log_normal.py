"""Log-normal targets: the plain mixture of the logarithm, spoken of in the target's own units."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import two_soft_lines
from scipy import integrate, stats
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.inspection import ExpertDisplay
from skmoe.likelihoods import LogNormal
from skmoe.metrics import log_score


def log_lines(seed, n=800, n_outputs=None):
    """Rows, the exponential of two lines, and these."""
    X, log_y, *_ = two_soft_lines(n, seed, n_outputs=n_outputs)
    return X, np.exp(log_y), log_y


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    likelihood="log_normal",
    training="em",
    n_init=3,
    random_state=0,
)


# Against the logarithm --------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [None, 2])
@pytest.mark.parametrize(
    ("experts", "settings"),
    [
        (None, {}),
        (DecisionTreeRegressor(max_depth=3, random_state=0), {"cv": 3}),
        (RandomForestRegressor(20, min_samples_leaf=20, random_state=0), {"max_iter": 2}),
        ([("line", LinearRegression()), ("mean", DummyRegressor())], {"cv": False}),
        (None, {"n_experts": 3, "top_k": 2}),
    ],
)
def test_it_is_the_gaussian_mixture_of_the_logarithm(experts, settings, n_outputs):
    X, y, log_y = log_lines(0, n=300, n_outputs=n_outputs)
    settings = {"n_experts": 2, "tol": 1e-10, "max_iter": 300} | settings
    settings["gate"] = SoftmaxGate(alpha=1.0)  # keeps borders where both roads end alike
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        moe = mixture(experts, **settings).fit(X, y)
        plain = mixture(experts, likelihood="gaussian", **settings).fit(X, log_y)
    # Linear mixtures take another road, in one pass, to the same optimum.
    close = {"rtol": 0, "atol": 2e-4}
    assert_allclose(moe.responsibilities(X, y), plain.responsibilities(X, log_y), **close)
    jacobian = log_y.reshape(len(y), -1).sum(axis=1)
    assert_allclose(moe.log_density(X, y), plain.log_density(X, log_y) - jacobian, **close)
    assert_allclose(moe.lower_bound_, plain.lower_bound_ - jacobian.mean(), **close)
    assert_allclose(moe.predict_experts(X), plain.predict_experts(X), **close)
    assert_allclose(moe.likelihood_.scale_, plain.likelihood_.scale_, **close)
    for q in (0.05, 0.5, 0.9):
        # Between two experts quantiles move by more than the probabilities do.
        quantile = np.log(moe.predict_quantiles(X, q))
        assert_allclose(plain.predict_dist(X).cdf(quantile), q, **close)
    error, expected = (np.array(m.expert_report().columns["error"]) for m in (moe, plain))
    assert_allclose(error, expected, **close)
    if hasattr(plain, "oof_log_density_"):
        assert_allclose(moe.oof_log_density_, plain.oof_log_density_ - jacobian, **close)


@pytest.mark.parametrize("gate", [SoftmaxGate(), ConstantGate()])
@pytest.mark.parametrize("experts", [None, LinearRegression()])
def test_likelihood_never_falls(experts, gate):
    X, y, _ = log_lines(0, n=300)
    weight = np.random.default_rng(1).integers(0, 4, size=len(y)) * 0.7
    moe = mixture(experts, gate=gate, n_init=1, max_iter=60, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        moe.fit(X, y, weight)
    assert moe.n_iter_ > 10
    assert np.diff(moe.lower_bounds_).min() > -1e-9


def test_weight_of_two_is_a_row_given_twice():
    X, y, _ = log_lines(0, n=150)
    weight = np.random.default_rng(0).integers(1, 4, size=len(y))
    weighted = mixture().fit(X, y, weight)
    repeated = mixture().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-4)


# Planted truth ----------------------------------------------------------------------------------


def test_planted_parameters_are_recovered():
    X, y, _ = log_lines(0, n=4000)
    moe = mixture().fit(X, y)
    order = np.argsort([expert.coef_[1] for expert in moe.experts_])
    coef = np.array([[*moe.experts_[k].coef_, moe.experts_[k].intercept_] for k in order])
    # Five standard errors: the scale over the root of 2000 rows, or of their logarithm.
    assert_allclose(coef, [[0, -1, -2], [0, 2, 2]], atol=0.07)
    assert_allclose(moe.likelihood_.scale_[order], [0.6, 0.3], rtol=0.08)
    slopes = moe.gate_.coef_[order[1]] - moe.gate_.coef_[order[0]]
    assert_allclose(slopes, [3, 0], atol=0.5)


def test_summary_is_that_of_the_logarithm_with_the_likelihood_of_the_target():
    X, y, log_y = log_lines(0, n=500)
    moe = mixture(tol=1e-9, max_iter=500).fit(X, y)
    plain = mixture(likelihood="gaussian", tol=1e-9, max_iter=500).fit(X, log_y)
    summary, expected = moe.summary(X, y), plain.summary(X, log_y)
    assert_array_equal(summary.terms, expected.terms)
    assert_allclose(summary.estimate, expected.estimate, atol=1e-3)
    assert_allclose(summary.std_error, expected.std_error, rtol=1e-3)
    assert_allclose(summary.log_likelihood, moe.log_density(X, y).sum(), rtol=0, atol=1e-2)


def test_bic_tells_log_normal_targets_from_gamma_ones():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(2000, 1))
    mean = np.exp(1 + X[:, 0])
    of_normal = mean * np.exp(0.8 * rng.normal(size=2000))
    of_gamma = mean * rng.gamma(2.0, 0.5, size=2000)
    for y, best in ((of_normal, "log_normal"), (of_gamma, "gamma")):
        bic = {
            each: mixture(None, n_experts=1, likelihood=each).fit(X, y).bic(X, y)
            for each in ("log_normal", "gamma")
        }
        assert min(bic, key=bic.get) == best
        assert np.ptp(list(bic.values())) > 50


def test_experts_of_any_kind_learn_the_logarithm():
    X, y, _ = log_lines(0)
    X_test, y_test, _ = log_lines(1)
    tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)
    scores = {}
    for likelihood in ("log_normal", "gaussian"):
        moe = mixture(tree, likelihood=likelihood, max_iter=3, cv=3).fit(X, y)
        scores[likelihood] = log_score(moe, X_test, y_test)
    assert scores["log_normal"] > scores["gaussian"] + 0.3
    assert log_score(mixture().fit(X, y), X_test, y_test) > scores["log_normal"]  # lines are true


# The distribution -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_density_is_the_log_normal_mixture_of_scipy(n_outputs):
    X, y, _ = log_lines(0, n=200, n_outputs=n_outputs)
    moe = mixture().fit(X, y)
    location, scale = moe.predict_experts(X), moe.likelihood_.scale_
    component = stats.lognorm(scale, scale=np.exp(location))
    log_density = component.logpdf(y[:, None])
    log_density = log_density.sum(axis=2) if n_outputs else log_density
    assert_allclose(moe.likelihood_.log_density(y, location), log_density, rtol=1e-10, atol=1e-10)
    gate = moe.gate_proba(X)
    density = (gate * np.exp(log_density)).sum(axis=1)
    assert_allclose(np.exp(moe.log_density(X, y)), density, rtol=1e-9)
    dist = moe.predict_dist(X)
    assert_allclose(dist.logpdf(y), np.log(density), rtol=1e-9, atol=1e-9)
    mean = np.einsum("nk,nk...->n...", gate, np.exp(location + scale**2 / 2))
    square = np.einsum("nk,nk...->n...", gate, np.exp(2 * location + 2 * scale**2))
    assert_allclose(moe.predict(X), mean, rtol=1e-10)
    assert_allclose(dist.var(), square - mean**2, rtol=1e-7)
    cdf = np.einsum("nk,nk...->n...", gate, component.cdf(y[:, None]))
    assert_allclose(dist.cdf(y), cdf, rtol=1e-10)
    assert_allclose(dist.cdf(dist.ppf(0.3)), 0.3, atol=1e-9)


def test_density_integrates_to_one_and_draws_follow_it():
    X, y, _ = log_lines(0)
    moe = mixture().fit(X, y)
    for row in ([0.0, 0.0], [1.0, -1.0]):
        dist = moe.predict_dist([row])

        def of_log(t, dist=dist):
            return dist.pdf(np.exp(t))[0] * np.exp(t)

        assert_allclose(integrate.quad(of_log, -12, 12, limit=500)[0], 1, atol=1e-6)
        draws = moe.sample_y([row], 1000, random_state=0)[0]
        level = np.array([dist.cdf(draw)[0] for draw in draws])
        assert stats.kstest(level, "uniform").pvalue > 1e-3


def test_nothing_is_probable_below_zero():
    X, y, _ = log_lines(0, n=200)
    moe = mixture().fit(X, y)
    dist = moe.predict_dist(X)
    for value in (0.0, -1.0):
        assert (dist.logpdf(value) == -np.inf).all()
        assert (dist.cdf(value) == 0).all()
        assert (moe.log_density(X, np.full(200, value)) == -np.inf).all()
    assert (moe.predict_interval(X, level=0.999) > 0).all()


def test_predictions_far_outside_stay_numbers():
    X, y, _ = log_lines(0, n=200)
    moe = mixture().fit(X, y)
    far = [[0.0, 1e6], [0.0, -1e6], [9.0, 1e6]]
    assert np.isfinite(moe.predict(far)).all()
    assert np.isfinite(moe.predict_quantiles(far, [0.1, 0.9])).all()


# Beside other parts -----------------------------------------------------------------------------


def test_added_and_replaced_experts_learn_the_logarithm():
    X, y, _ = log_lines(0)
    moe = mixture().fit(X, y)
    scale = moe.likelihood_.scale_
    X_new = X + [8, 0]
    rng = np.random.default_rng(2)
    moe.add_expert(X_new, np.exp(3 - X[:, 1] + 0.1 * rng.normal(size=800)), replay=(X, y))
    assert_allclose(moe.experts_[2].coef_, [0, -1], atol=0.02)
    assert_array_equal(moe.likelihood_.scale_[:2], scale)
    assert_allclose(moe.likelihood_.scale_[2], 0.1, rtol=0.1)
    moe = mixture().fit(X, y)
    before = moe.log_density(X, y).mean()
    moe.replace_expert("expert0", LinearRegression(), X, y)
    assert_allclose(moe.log_density(X, y).mean(), before, atol=0.02)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
def test_mixtures_within_see_the_target_itself():
    X, y, _ = log_lines(0, n=400)
    tree = DecisionTreeRegressor(min_samples_leaf=40, random_state=0)
    lines = mixture(gate=SoftmaxGate(alpha=1.0), max_iter=1000)
    moe = mixture([("lines", lines), ("tree", tree)], n_experts="auto", max_iter=3).fit(X, y)
    dist = moe.predict_dist(X)
    assert_allclose(dist.logpdf(y), moe.log_density(X, y), rtol=1e-9)
    inner = moe.named_experts_["lines"].predict(X)
    assert_allclose(moe.predict_experts(X)[:, 0], np.log(inner), rtol=1e-9)
    expected = moe.gate_proba(X)[:, 0] * inner + moe.gate_proba(X)[:, 1] * np.exp(
        moe.predict_experts(X)[:, 1] + moe.likelihood_.scale_[1] ** 2 / 2
    )
    assert_allclose(moe.predict(X), expected, rtol=1e-9)
    assert moe.log_density(X, y).mean() > mixture().fit(X, y).log_density(X, y).mean() - 0.1


def test_a_gaussian_mixture_within_may_have_means_below_zero():
    X, y, _ = log_lines(0, n=400)
    lines = mixture(likelihood="gaussian", gate=SoftmaxGate(alpha=1.0))
    experts = [("lines", lines), ("tree", DecisionTreeRegressor(max_depth=3))]
    moe = mixture(experts, n_experts="auto").fit(X, y)
    assert (moe.named_experts_["lines"].predict(X) < 0).any()
    assert_allclose(moe.predict_dist(X).logpdf(y), moe.log_density(X, y), rtol=1e-9)
    mean, std = moe.predict(X, return_std=True)
    assert np.isfinite([mean, std]).all()


def test_fitted_it_survives_a_pickle():
    X, y, _ = log_lines(0, n=200)
    moe = mixture().fit(X, y)
    again = pickle.loads(pickle.dumps(moe))
    assert_array_equal(again.predict_quantiles(X, 0.7), moe.predict_quantiles(X, 0.7))


def test_experts_are_drawn_on_their_own_scale():
    pytest.importorskip("matplotlib")
    X, y, log_y = log_lines(0, n=200)
    moe = mixture(n_experts=1).fit(X[:, 1:], y)
    display = ExpertDisplay.from_estimator(moe, X[:, 1:], y, grid_resolution=5)
    assert_allclose(display.y, log_y)
    expected = moe.experts_[0].predict(display.points[:, None])
    assert_allclose(display.predictions[:, 0], expected)
    assert display.ax_.get_ylabel() == "y, on the scale of the experts"


def test_another_likelihood_waits_for_the_next_fit():
    X, y, _ = log_lines(0, n=200)
    moe = mixture().fit(X, y)
    expected = moe.predict(X), moe.expert_report(X, y).columns["error"]
    moe.set_params(likelihood="gaussian")
    assert_array_equal(moe.predict(X), expected[0])
    assert_array_equal(moe.expert_report(X, y).columns["error"], expected[1])
    with pytest.raises(ValueError, match="LogNormal in fit and is Gaussian now"):
        moe.replace_expert("expert0", LinearRegression(), X, y)
    with pytest.raises(ValueError, match="LogNormal in fit and is Gaussian now"):
        moe.add_expert(X, y, replay=(X, y))
    assert moe.fit(X, y).lower_bound_ == mixture(likelihood="gaussian").fit(X, y).lower_bound_


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["log_normal", LogNormal()])
def test_targets_that_are_not_positive_are_refused(likelihood):
    X = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match="LogNormal needs positive targets; y holds 0"):
        mixture(n_experts=1, likelihood=likelihood).fit(X, [1, 2, 0, 3])


def test_there_is_no_partial_fit():
    assert not hasattr(mixture(), "partial_fit")
