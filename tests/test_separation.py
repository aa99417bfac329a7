"""What reports say of a gate that separates experts perfectly."""

import numpy as np
import pytest
from scipy import special

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate

HINT = "perfectly: the maximum-likelihood estimate of its weights does not exist"


def two_planes(slope, gap=0.0, n=400):
    """Regimes that cross over with a logistic slope; infinite for a clean cut."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n, 2))
    X[:, 0] += gap * np.sign(X[:, 0])
    cut = np.inf if np.isinf(slope) else slope
    with np.errstate(invalid="ignore"):
        first = rng.uniform(size=n) < special.expit(cut * X[:, 0])
    return X, np.where(first, 5 + X[:, 1], -5 - X[:, 1]) + 0.1 * rng.normal(size=n)


def notes(X, y, gate=None, **params):
    moe = MixtureOfExpertsRegressor(n_experts=2, gate=gate, random_state=0, **params)
    return moe.fit(X, y).expert_report().notes


@pytest.mark.parametrize("training", ["em", "auto"])
def test_a_clean_cut_is_reported(training):
    X, y = two_planes(np.inf, gap=0.2)
    (note,) = notes(X, y, training=training)
    assert HINT in note
    assert "expert0" in note


def test_the_summary_says_the_same():
    X, y = two_planes(np.inf, gap=0.2)
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="Perfect separation"):
        moe.summary(X, y)


@pytest.mark.parametrize("slope", [0.0, 4.0, 40.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 10.0])
def test_overlapping_regimes_are_not(slope, alpha):
    assert not notes(*two_planes(slope), SoftmaxGate(alpha=alpha), training="em")


def test_neither_are_proportions_nor_data_without_regimes():
    X, y = two_planes(np.inf, gap=0.2)
    assert not notes(X, y, ConstantGate(), training="em")
    noise = np.random.default_rng(1).normal(size=len(X))
    assert not notes(X, X[:, 0] + noise, training="em")
