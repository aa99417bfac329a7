"""Log-normal targets: the plain mixture of the logarithm, spoken of in the target's own units."""

import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import two_soft_lines
from scipy import stats
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.likelihoods import LogNormal


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
        (
            RandomForestRegressor(20, min_samples_leaf=20, random_state=0),
            {"max_iter": 2, "n_init": 1},
        ),
        ([("line", LinearRegression()), ("mean", DummyRegressor())], {"cv": False}),
        (None, {"n_experts": 3, "top_k": 2, "n_init": 1}),
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


# Planted truth ----------------------------------------------------------------------------------


def test_summary_is_that_of_the_logarithm_with_the_likelihood_of_the_target():
    X, y, log_y = log_lines(0, n=500)
    moe = mixture(tol=1e-9, max_iter=500).fit(X, y)
    plain = mixture(likelihood="gaussian", tol=1e-9, max_iter=500).fit(X, log_y)
    summary, expected = moe.summary(X, y), plain.summary(X, log_y)
    assert_array_equal(summary.terms, expected.terms)
    assert_allclose(summary.estimate, expected.estimate, atol=1e-3)
    assert_allclose(summary.std_error, expected.std_error, rtol=1e-3)
    assert_allclose(summary.log_likelihood, moe.log_density(X, y).sum(), rtol=0, atol=1e-2)


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


def test_another_likelihood_waits_for_the_next_fit():
    X, y, _ = log_lines(0, n=200)
    moe = mixture().fit(X, y)
    expected = moe.predict(X), moe.expert_report(X, y).columns["error"]
    moe.set_params(likelihood="gaussian")
    assert_array_equal(moe.predict(X), expected[0])
    assert_array_equal(moe.expert_report(X, y).columns["error"], expected[1])
    with pytest.raises(ValueError, match="LogNormal in fit and is Gaussian now"):
        moe.add_expert(X, y, replay=(X, y))
    assert moe.fit(X, y).lower_bound_ == mixture(likelihood="gaussian").fit(X, y).lower_bound_


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["log_normal", LogNormal()])
def test_targets_that_are_not_positive_are_refused(likelihood):
    X = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match="LogNormal needs positive targets; y holds 0"):
        mixture(n_experts=1, likelihood=likelihood).fit(X, [1, 2, 0, 3])
