"""What a fit prints: nothing unasked; else every start, stage and iteration, in numbers."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(200, 2))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=200)

FITS = {
    "pooled": (MixtureOfExpertsRegressor, {}),
    "classes": (MixtureOfExpertsClassifier, {}),
    "lines": (MixtureOfExpertsRegressor, {"training": "em"}),
    "one start": (MixtureOfExpertsRegressor, {"training": "em", "n_init": 1}),
    "clones": (
        MixtureOfExpertsRegressor,
        {"experts": DecisionTreeRegressor(max_depth=2), "training": "em"},
    ),
    "list": (
        MixtureOfExpertsRegressor,
        {
            "experts": [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2))],
            "training": "em",
        },
    ),
    "stacked": (
        MixtureOfExpertsRegressor,
        {
            "experts": [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2))],
            "training": "stack",
        },
    ),
    "stacked classes": (
        MixtureOfExpertsClassifier,
        {
            "experts": [("line", LogisticRegression()), ("tree", DecisionTreeClassifier())],
            "training": "stack",
        },
    ),
    "specialists": (MixtureOfExpertsRegressor, {"experts": DecisionTreeRegressor(max_depth=2)}),
    "top k": (MixtureOfExpertsRegressor, {"experts": LinearRegression(), "top_k": 1, "n_init": 1}),
}


AT_ONCE = ("stacked", "stacked classes", "specialists")  # without iterations
IN_FOLDS = ("clones", "list", *AT_ONCE)


def fit(name, **params):
    make, own = FITS[name]
    settings = {"n_experts": "auto" if isinstance(own.get("experts"), list) else 2, "n_init": 3}
    y = Y if make is MixtureOfExpertsRegressor else Y > 0
    return make(**settings | {"random_state": 0, "cv": 2} | own | params).fit(X, y)


def quick(name):
    return {} if name in IN_FOLDS else {"cv": "auto"}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_speaks_when_asked_and_of_numbers_alone(name, capsys):
    moe = fit(name, verbose=1, **quick(name))
    text = capsys.readouterr().out
    plan = str(moe.plan(X, Y if FITS[name][0] is MixtureOfExpertsRegressor else Y > 0))
    printed, text = text.split("\nFitting 2 experts", maxsplit=1)
    # The seconds of the last row follow the last fit.
    assert printed.partition("\ncost ")[0] == plan.partition("\ncost ")[0]
    assert "nan" not in text
    assert f"lower bound {moe.lower_bound_:.6f}" in text
    if name not in AT_ONCE:
        iterations = [line for line in text.splitlines() if line.startswith("  Iteration ")]
        assert len(iterations) == moe.n_iter_
        for line, objective in zip(iterations, moe.lower_bounds_, strict=True):
            assert f"lower bound {objective:.6f}" in line
        assert ["gain" in line for line in iterations] == [False] + [True] * (moe.n_iter_ - 1)
    starts = {line.split()[1] for line in text.splitlines() if line.startswith("  Start ")}
    without = ("stacked", "stacked classes", "one start", "top k")
    if name in without:
        assert not starts
    elif moe.start_lower_bounds_:
        assert len(starts) == len(moe.start_lower_bounds_)
    else:  # of the trainer whose fit another one went on from
        assert len(starts) >= 3


@pytest.mark.parametrize("name", ["pooled", "clones", "stacked"])
def test_a_fit_is_silent_unasked(name, capsys):
    fit(name, **quick(name))
    assert capsys.readouterr().out == ""


def test_every_number_of_experts_that_pooling_tries_is_told(capsys):
    moe = fit("pooled", verbose=1, cv="auto", n_experts="auto")
    text = capsys.readouterr().out
    assert {1, 2, 3} <= set(moe.log_evidence_)
    for n_experts, evidence in moe.log_evidence_.items():
        plural = "" if n_experts == 1 else "s"
        assert f"  {n_experts} expert{plural} pooled\t log-evidence {evidence:.6f}" in text
    assert "Kept 2 experts" in text
