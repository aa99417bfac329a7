"""What is printed of a fit, and which waits are warned of before they begin."""

import re
import time

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, _parallel, exceptions
from skmoe._em import loop
from skmoe.exceptions import LongFitWarning
from skmoe.inference import bootstrap
from skmoe.likelihoods import Gaussian
from skmoe.model_selection import select_n_experts

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
    moe = fit(name, verbose=2, **quick(name))
    text = re.sub(r"(?m)^ +[\d.]+ s  ", "", capsys.readouterr().out)
    plan = str(moe.plan(X, Y if FITS[name][0] is MixtureOfExpertsRegressor else Y > 0))
    printed, text = re.split(r"\nFitting (?:2 experts|a generalist) on", text, maxsplit=1)
    assert printed == plan
    assert "nan" not in text
    assert f"lower bound {moe.lower_bound_:.6f}" in text
    if name not in AT_ONCE:
        iterations = [line for line in text.splitlines() if line.startswith("  Iteration ")]
        assert len(iterations) == moe.n_iter_
        for line, objective in zip(iterations, moe.lower_bounds_, strict=True):
            assert f"lower bound {objective:.6f}" in line
        assert ["gain" in line for line in iterations] == [False] + [True] * (moe.n_iter_ - 1)
    starts = {line.split()[2] for line in text.splitlines() if line.startswith("  EM run ")}
    without = ("stacked", "stacked classes", "one start", "top k")
    if name in without:
        assert not starts
    elif moe.start_lower_bounds_:
        assert len(starts) == len(moe.start_lower_bounds_)
    else:  # of the trainer whose fit another one went on from
        assert len(starts) >= 3


@pytest.mark.parametrize("name", ["pooled", "lines", "clones", "stacked"])
def test_a_fit_is_silent_unasked(name, capsys, monkeypatch):
    monkeypatch.setattr(loop, "SILENCE", -1.0)
    fit(name, **quick(name) | {"n_experts": "auto"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("training", ["pooled", "em"])
def test_level_one_has_a_line_for_each_number_that_is_tried_and_the_next_one(training, capsys):
    moe = fit("pooled", verbose=1, cv="auto", n_experts="auto", training=training)
    text = capsys.readouterr().out
    assert "Start" not in text
    assert "Iteration" not in text
    line = (
        r"(?m)^ +[\d.]+ s  (\d+) experts?: [^;]* (\S+?)"
        r"(?:; trying (\d+) experts?( from another start)?)?$"
    )
    tried, values, following, again = zip(*re.findall(line, text), strict=True)
    if training == "em":
        assert following == (*tried[1:], "")
        assert not any(again)
    else:
        assert all(following[:-1])
        assert {1, 2, 3} <= set(moe.log_evidence_) == set(map(int, tried))
        assert {f"{200 * value:.1f}" for value in moe.log_evidence_.values()} <= set(values)
        assert [k for k, other in zip(following, again, strict=True) if other] == [
            k for i, k in enumerate(following) if k in (*following[:i], "1")
        ]
    assert [text.count("Kept 2 experts"), "without regimes" in text] == [1, training == "pooled"]


def test_a_long_fit_is_warned_of_once_and_before_it_begins(monkeypatch):
    monkeypatch.setattr(exceptions, "LONG", 1e-3)
    with pytest.raises(ValueError, match="needs counts"):  # which is said first
        fit("pooled", likelihood="poisson")
    with pytest.warns(LongFitWarning, match="This fit may take about .* n_init") as caught:
        fit("pooled", cv="auto")
    assert [each.category for each in caught] == [LongFitWarning]
    assert "verbose=1 shows progress" in str(caught[0].message)
    with pytest.warns(LongFitWarning) as caught:
        fit("pooled", cv="auto", verbose=1)
    assert "verbose" not in str(caught[0].message)  # which is on
    monkeypatch.setattr(_parallel, "ENOUGH_SECONDS", 0)
    with pytest.warns(LongFitWarning, match=r"\d+ fits of experts may take") as caught:
        moe = fit("specialists")
    assert f"{moe.plan_.most_expert_fits} fits" in str(caught[0].message)
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["stacked", "specialists", "clones", "scale that depends on x"])
def test_fits_of_experts_are_counted_while_they_are_made(name, capsys, monkeypatch):
    monkeypatch.setattr(loop, "SILENCE", -1.0)
    given = {"n_experts": 1, "likelihood": Gaussian("auto")} if " " in name else {}
    moe = fit("specialists" if given else name, verbose=1, **given)
    lines = re.findall(r"s  (\d+) of up to (\d+) fits of experts", capsys.readouterr().out)
    done, most = (list(map(int, each)) for each in zip(*lines, strict=True))
    assert set(most) == {moe.plan_.most_expert_fits}
    assert done == sorted(done)
    assert done[-1] == moe.n_expert_fits_


def test_a_list_is_not_judged_by_its_quickest_estimator(monkeypatch):
    seconds = []
    monkeypatch.setattr(_parallel, "warn_if_long", lambda what, each, *_: seconds.append(each))
    monkeypatch.setattr(_parallel, "ENOUGH_SECONDS", 0.1)
    fit("stacked", experts=[("ridge", Ridge()), ("slow", Slow())])  # 0.2 s in each of two folds
    assert 0.55 < seconds[0] < 1.2  # the fit to all rows included


class Slow(Ridge):
    def fit(self, X, y, sample_weight=None):
        time.sleep(0.2)
        return super().fit(X, y, sample_weight)


def test_refits_tell_how_long_they_take_and_have_one_bar(monkeypatch, capsys):
    moe = fit("pooled", cv="auto")
    monkeypatch.setattr(_parallel, "ENOUGH_SECONDS", 0)
    monkeypatch.setattr(exceptions, "LONG", 1e-3)
    with pytest.warns(LongFitWarning, match="4 fits may take") as caught:
        moe.stability(X, Y, n_resamples=2)
    assert len(caught) == 1
    moe.stability(X, Y, n_resamples=2, verbose=1)  # its lines say how long it takes
    assert re.match(r"(?s)4 fits begin\n.*\n4 of 4 fits, ", capsys.readouterr().out)
    with pytest.warns(LongFitWarning, match=r"3 fits \(.*bootstrap has n_res.*\) may take"):
        bootstrap(moe, X, Y, n_resamples=3)
    bootstrap(moe, X, Y, n_resamples=3, verbose=1)
    assert "3 of 3 fits" in capsys.readouterr().out
    with pytest.warns(LongFitWarning, match="2 fits may take") as caught:
        select_n_experts(moe, X, Y, n_experts=2)
    assert len(caught) == 1
    select_n_experts(moe, X, Y, n_experts=2, verbose=1)
    assert "2 of 2 fits" in capsys.readouterr().out
