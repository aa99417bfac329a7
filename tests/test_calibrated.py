"""One logistic regression with calibrated probabilities, in place of several experts."""

import numpy as np
import pytest
from scipy import optimize, special

from skmoe import MixtureOfExpertsClassifier
from skmoe._pooling.rivals import gain_of_calibration


def answers(n, seed, *, guessed=0.0, crossing=False):
    """Answers by a steep logistic regression, a share guessed; or by two regressions that cross."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    log_odds = 4 * X[:, 0] + 3 * X[:, 1]
    if crossing:
        log_odds = 0.5 * np.where(X[:, 2] > 0, log_odds, -log_odds)
    proba = guessed + (1 - 2 * guessed) * special.expit(log_odds)
    return X, (rng.random(n) < proba).astype(int)


def test_gain_is_that_of_another_optimiser():
    X, y = answers(400, seed=0, guessed=0.1)
    design, weight = np.column_stack([X, np.ones(400)]), np.full(400, 1.5)

    def loss(theta, shares):
        coef, proba = theta[:4], special.expit(design @ theta[:4])
        proba = shares[1] + (1 - sum(shares)) * proba
        # Two functions of opposite sign, each with the penalty of half its slopes.
        return 0.5 * 0.1 * 0.5 * (coef[:3] ** 2).sum() - weight @ np.where(
            y == 1, np.log(proba), np.log1p(-proba)
        )

    plain = optimize.minimize(loss, np.zeros(4), ((0.0, 0.0),), method="BFGS")
    guessing = optimize.minimize(
        lambda theta: loss(theta, special.softmax(np.append(theta[4:], 0.0))[:2]),
        np.append(plain.x, [-3.0, -3.0]),
        method="BFGS",
    )
    expected = plain.fun - guessing.fun - np.log(weight.sum())
    assert gain_of_calibration(design, y, weight, 2) == pytest.approx(expected, abs=0.01)
    assert expected > 5


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_gained_where_no_answer_is_guessed(seed):
    X, y = answers(400, seed)
    design = np.column_stack([X, np.ones(400)])
    assert gain_of_calibration(design, y, np.ones(400), 2) < 0


def test_experts_that_are_one_with_guesses_are_said_to_be():
    moe = MixtureOfExpertsClassifier(random_state=0).fit(*answers(1500, seed=0, guessed=0.1))
    assert moe.plan_.n_experts > 1
    (note,) = [each for each in moe.expert_report().notes if "may be no regimes" in each]
    assert "calibrated" in note
    assert "explains the rows better" in note


def test_two_regressions_that_cross_are_two():
    """And not four constants behind the gate."""
    moe = MixtureOfExpertsClassifier(random_state=0).fit(*answers(1500, seed=2, crossing=True))
    assert moe.plan_.n_experts == 2
    assert not [each for each in moe.expert_report().notes if "may be no regimes" in each]
    ahead = (moe.log_evidence_[2] - moe.log_evidence_[1]) * 1500
    assert ahead > 100
