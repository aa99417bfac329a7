"""Mixtures that several test files fit, and what tells them apart."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._pooling import trainer as pooling
from skmoe.distributions import GaussianComponents, MixtureDistribution
from skmoe.distributions._made_of_others import NestedComponents

LIKELIHOODS = {"line": "gaussian", "outputs": "gaussian", "counts": "poisson", "gamma": "gamma"}


def mixture_of(kind, **params):
    """Mixture for a kind of target: one of ``LIKELIHOODS``, or classes."""
    if kind not in LIKELIHOODS:
        return MixtureOfExpertsClassifier(**params)
    return MixtureOfExpertsRegressor(**{"likelihood": LIKELIHOODS[kind], **params})


def regressor_of(likelihood="gaussian", n_experts=2, **params):
    """Mixture of two experts under that likelihood."""
    return MixtureOfExpertsRegressor(n_experts=n_experts, likelihood=likelihood, **params)


def alone(mixture, X, y, *weight, **given):
    """A fit that predicts by the number of most evidence alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "averaging", lambda *_: None)
        return clone(mixture).fit(X, y, *weight, **given)


def mixture_of_equals(distributions):
    """The mixture of some distributions of the same rows, all of the same weight."""
    means = np.stack([each.mean() for each in distributions], axis=1)
    rows = np.arange(len(means))
    nested = [(rows, np.full(len(rows), k), each) for k, each in enumerate(distributions)]
    weights = np.full(means.shape[:2], 1 / len(distributions))
    return MixtureDistribution(weights, NestedComponents(GaussianComponents(means, 1.0), nested))


def crps_of_t(y, weights, mean, scale, df):
    """CRPS at y of a mixture of Student's t variables, all (K,), by pieces between modes."""

    def squared_distance(t, sign):
        return (weights @ special.stdtr(df, sign * (t - mean) / scale)) ** 2

    ends = np.unique([y, *mean, *(mean - 4 * scale), *(mean + 4 * scale)])
    return sum(
        integrate.quad(squared_distance, low, high, args=(1 if low < y else -1), epsabs=1e-10)[0]
        for low, high in pairwise([-np.inf, *ends, np.inf])
    )


def fit_from(kind, X, y, weight, resp, *, max_iter=800, general=False, **params):
    """Fit from these responsibilities for max_iter iterations, or until nothing is gained.

    The problem is the general one, if so asked.
    """
    settings = {"n_experts": resp.shape[1], "init": lambda *args: resp, "n_init": 1, "tol": 0.0}
    moe = mixture_of(kind, training="em", **{**settings, "max_iter": max_iter, **params})
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if general:
            patch.setattr("skmoe._em.one_pass.OnePassProblem.covers", lambda *_, **__: False)
        return moe.fit(X, y, weight)


def problem_of(moe, X, y, weight=None):
    """The problem that a mixture trains."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skmoe._em.trainer.Trainer.start", lambda self, _: found.append(self.problem))
        patch.setattr("skmoe._em.trainer.Trainer.run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            moe.fit(X, y, weight)
    return found[0]


def assert_same_parameters(one, other, rtol, atol=0.0):
    """The same fitted parts, and the same objective."""
    assert_allclose(one.lower_bound_, other.lower_bound_, rtol=1e-9)
    for a, b in zip(
        [*one.experts_, one.gate_, one.likelihood_],
        [*other.experts_, other.gate_, other.likelihood_],
        strict=True,
    ):
        for name in ("coef_", "intercept_", "proportions_"):
            if getattr(a, name, None) is not None:
                assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=atol)
        for name in ("scale_", "shape_"):
            if getattr(a, name, None) is not None:
                assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol)


def assert_same_mixtures(moe, other, *, rtol=1e-6, atol=1e-9):
    """The same fitted mixture, from rows in memory and in blocks, whose sums are added anew."""
    same = {"rtol": rtol, "atol": atol}
    for one, twin in zip(
        [*moe.experts_, moe.gate_, moe.likelihood_],
        [*other.experts_, other.gate_, other.likelihood_],
        strict=True,
    ):
        for name in ("coef_", "intercept_", "proportions_", "scale_", "shape_", "floor_"):
            if getattr(one, name, None) is not None:
                assert_allclose(getattr(twin, name), getattr(one, name), **same)
    assert_allclose(other.expert_load_, moe.expert_load_, **same)
    assert_allclose(other.lower_bounds_, moe.lower_bounds_, **same)
    assert other.n_samples_seen_ == pytest.approx(moe.n_samples_seen_)
    assert other.n_features_in_ == moe.n_features_in_
    ours, theirs = moe.expert_report().columns, other.expert_report().columns
    assert set(ours) == set(theirs)
    assert ours["expert"] == theirs["expert"]
    for name in ("load", "rows", "wins", "gate", "entropy", "overlap", "error", "scale"):
        if name in ours:
            assert_allclose(theirs[name], ours[name], **same)
