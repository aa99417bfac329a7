"""Targets that are none for Gaussian errors are told by name, pooled or not."""

import warnings

import numpy as np
import pytest

from skmoe import MixtureOfExpertsRegressor
from skmoe._numerics.columns import kind_of_target
from skmoe.exceptions import ScaleFloorWarning


def rows(n=300):
    rng = np.random.default_rng(1)
    return rng, rng.normal(size=(n, 2))


def target(kind, n=300):
    rng, X = rows(n)
    smooth = 5 + X[:, 0] + rng.normal(size=n)
    often = rng.uniform(size=n) < 0.4
    return {
        "binary": (X[:, 0] + rng.normal(size=n) > 0) * 2.0 - 1.0,
        "zeros": np.where(often, 0.0, np.abs(smooth)),
        "ceiling": np.where(often, smooth.max(), smooth),
        "within": np.where(often, 5.0, smooth),
        "exact": np.where(X[:, 0] > 0, X[:, 0], X[:, 1]),
    }[kind]


NAMED = {
    "binary": "two values, -1 and 1.*Classifier",
    "zeros": "% of the targets are exactly 0.*classify y > 0",
    "ceiling": "% of the targets are exactly .*censored.*upper",
    "within": "% of the targets are exactly 5: classify",
    "exact": "Unless the target has no noise, they have memorised these rows",
}


@pytest.mark.parametrize("training", ["pooled", "em"])
@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_scales_at_the_floor_are_told_with_the_kind_of_target_and_have_no_errors(
    kind, training, unit
):
    _, X = rows()
    y = target(kind) * unit
    n_experts = "auto" if training == "pooled" else 2
    moe = MixtureOfExpertsRegressor(n_experts=n_experts, training=training, random_state=0)
    named = NAMED[kind] if unit == 1.0 else "almost without error"
    with pytest.warns(ScaleFloorWarning, match=named):
        moe.fit(X, y)
    at_floor = moe.likelihood_.at_floor_ if training == "pooled" else np.ones(2, dtype=bool)
    if at_floor.all():
        with pytest.raises(ValueError, match="at its floor"):
            moe.summary(X, y)
        return
    found = moe.summary(X, y)
    names = np.array(list(moe.named_experts_))[at_floor]
    assert np.isnan(found.std_error[np.isin(found.parts, names)]).all()
    assert f"n/a in {', '.join(names)}: the errors are as small as their floor" in str(found)
    said = " ".join(str(found).split())
    notes = [note for note in moe.plan_.findings if not note.startswith("Evidence: ")]
    assert all(said.count(note.split(". ")[0]) == 1 for note in notes)


@pytest.mark.parametrize("kind", ["gaussian", "rounded", "two outputs"])
def test_scales_of_noisy_targets_are_at_no_floor(kind):
    rng, X = rows(150)
    y = X[:, 0] + rng.normal(size=150)
    y = {"rounded": np.round(4 * y) / 4, "two outputs": np.column_stack([y, -(y**2)])}.get(kind, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScaleFloorWarning)
        moe = MixtureOfExpertsRegressor(training="pooled", random_state=0).fit(X, y)
    assert not moe.likelihood_.at_floor_.any()
    assert len(moe.likelihood_.at_floor_) == len(moe.experts_)


def test_weights_decide_of_what_kind_a_target_is():
    y = np.append(np.zeros(30), np.linspace(1, 2, 30))
    weight = np.append(np.full(30, 0.01), np.ones(30))
    assert "exactly 0" in kind_of_target(y, np.ones(60))
    assert kind_of_target(y, weight) == ""
    assert "count" in kind_of_target(np.arange(60) % 7, np.ones(60))
    assert kind_of_target(25_000.0 + 500 * (np.arange(60) % 11), np.ones(60)) == ""  # prices
    assert kind_of_target(np.linspace(0, 1, 60), np.ones(60)) == ""
    assert "two values" in kind_of_target(np.column_stack([y, y > 0]), weight)
