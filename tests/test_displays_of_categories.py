"""Displays over categories: points that no line joins, rows and names that do not overlap."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import ExpertDisplay, GateDisplay, PredictiveDisplay

JOBS = [
    "Craft-repair", "Exec-managerial", "Handlers-cleaners", "Machine-op-inspct and others",
    "Prof-specialty", "Sales",
]  # fmt: skip
SIZES = ["small", "medium", "large"]  # not in the order of the alphabet


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    job = rng.integers(6, size=300)
    X = pd.DataFrame({"hours": rng.normal(size=300), "job": np.array(JOBS)[job]})
    X["size"] = pd.Categorical(rng.choice(SIZES, size=300), SIZES, ordered=True)
    X["place"] = rng.choice([f"place {i:02d}" for i in range(40)], size=300)
    y = np.where(job > 2, 3 + X["hours"], -X["hours"]) + 0.3 * rng.normal(size=300)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0).fit(X, y)
    return moe, X, y


def overlaps(axis):
    """Whether names on an axis, as they are turned, lie on each other."""
    axis.axes.figure.canvas.draw()
    labels = axis.get_ticklabels()
    turned = {label.get_rotation() for label in labels}
    boxes = [label.get_window_extent() for label in labels]
    if turned == {40.0}:  # boxes of slanted names overlap; their lines, a height apart, do not
        height = labels[0].get_fontsize() * axis.axes.figure.dpi / 72
        ends = np.array([box.x1 for box in boxes])
        return (np.diff(ends) * np.sin(np.deg2rad(40.0)) < height).any()
    return any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize("feature", ["job", "size", "place"])
@pytest.mark.parametrize("display", [GateDisplay, ExpertDisplay, PredictiveDisplay])
def test_names_of_categories_do_not_overlap(display, feature, table):
    moe, X, y = table
    if display is GateDisplay:
        shown = GateDisplay.from_estimator(moe, X, features=[feature, "hours"], subsample=20)
    else:
        shown = display.from_estimator(moe, X, y, feature=feature)
    assert not overlaps(shown.ax_.xaxis)


def test_no_line_joins_categories_without_an_order(table):
    moe, X, y = table
    (lines,) = GateDisplay.from_estimator(moe, X, features="job", subsample=20).lines_
    display = ExpertDisplay.from_estimator(moe, X, y, feature="job")
    for group in (lines, display.lines_, display.preferred_lines_):
        assert all(line.get_linestyle() == "None" for line in group)
        assert len({line.get_marker() for line in group}) == len(group)  # told apart in grey
        # The points of the experts are beside each other, nearest to their own category.
        places = np.array([line.get_xdata() for line in group])
        assert (np.ptp(places, axis=0) > 0).all()
        assert_array_equal(np.round(places), np.tile(np.arange(6), (len(group), 1)))


def test_categories_of_an_order_are_joined_in_that_order(table):
    moe, X, _ = table
    display = GateDisplay.from_estimator(moe, X, features="size", subsample=None)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == SIZES
    (line, _), (proba,) = display.lines_[0], display.proba
    assert line.get_linestyle() == "-"
    for size, at_size in zip(SIZES, proba, strict=True):
        everywhere = X.assign(size=pd.Categorical([size] * 300, SIZES, ordered=True))
        assert_allclose(at_size, moe.gate_proba(everywhere).mean(axis=0), rtol=1e-6)


def test_missing_values_are_the_last_category_and_long_names_are_cut_in_the_middle(table):
    moe, X, y = table
    X = X.assign(job=X["job"].where(np.arange(300) % 9 > 0))
    display = ExpertDisplay.from_estimator(moe, X, y, feature="job")
    assert_array_equal(display.axis.labels, [*JOBS, "missing"])
    assert_array_equal(display.axis.values[:10:9], 6)
    assert np.isfinite(display.predictions).all()
    shown = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert shown[3] == "Machine-\u2026nd others"
    levels = MixtureOfExpertsRegressor(n_experts=1).fit(X, y).marginal_effects(X, y).columns
    assert sum(name.startswith("job: ") for name in levels) == 6  # as in the table of coefficients
