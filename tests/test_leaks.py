"""Columns that give the target away are named."""

import numpy as np
import pandas as pd
import pytest

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.exceptions import ScaleFloorWarning


def notes_of(X, y, kind=MixtureOfExpertsRegressor, **settings):
    return " ".join(kind(random_state=0, **settings).fit(X, y).expert_report().notes)


@pytest.fixture(name="table")
def _table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
    return table, table["a"] + rng.normal(size=120)


@pytest.mark.parametrize("digits", [4, 15])
def test_shares_that_add_up_to_one(digits):
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=200).round(digits)
    X = np.column_stack([np.random.default_rng(1).normal(size=200), shares[:, :3]])
    with pytest.warns(ScaleFloorWarning, match="linear function of the columns"):
        said = notes_of(X, shares[:, 3], n_experts=1)
    assert "linear function of the columns ['x1', 'x2', 'x3']" in said
    assert "x0" not in said


def test_a_column_in_the_order_of_the_target(table):
    X, y = table
    said = notes_of(X.assign(d=np.exp(-y)), y)
    assert "The columns ['d'] put the rows in the order of the target" in said


def test_a_column_whose_levels_have_one_target_each(table):
    X, y = table
    level = np.arange(120) % 30
    with pytest.warns(ScaleFloorWarning, match="have the same target"):
        said = notes_of(X.assign(key=np.char.add("k", level.astype(str))), level**2 % 31.0)
    assert "Rows of equal values in the columns ['key'] have the same target" in said


def test_a_column_that_names_the_class(table):
    X, y = table
    said = notes_of(X.assign(code=np.where(y > 0, 7, 3)), y > 0, MixtureOfExpertsClassifier)
    assert "Rows of equal values in the columns ['code'] are of the same class" in said


@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_a_good_column_is_no_leak(table, noise):
    X, y = table
    rng = np.random.default_rng(1)
    said = notes_of(X.assign(d=y + noise * rng.normal(size=120)), y)
    assert "?" not in said
    assert "?" not in notes_of(X, y > 0, MixtureOfExpertsClassifier)
