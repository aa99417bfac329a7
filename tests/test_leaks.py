"""Columns that give the target away are named."""

import numpy as np
import pandas as pd
import pytest

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._data import Rows
from skmoe._reports.leaks import leak_notes, repeated_rows
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
    with pytest.warns(ScaleFloorWarning, match="as a linear function"):
        said = notes_of(X, shares[:, 3], n_experts=1)
    assert "['x1', 'x2', 'x3'] determine the target as a linear function" in said
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


def graded(n_levels, n_samples=600, seed=0):
    """A number, a grade, and what follows from the grade."""
    rng = np.random.default_rng(seed)
    grade = rng.integers(n_levels, size=n_samples)
    table = pd.DataFrame({"a": rng.normal(size=n_samples)})
    return table.assign(grade=np.char.add("g", grade.astype(str))), rng.normal(size=n_levels)[grade]


def leaks_of(X, y, weight=None, *, classifies=False):
    """What is said of rows, without a fit."""
    weight = np.ones(len(y)) if weight is None else weight
    rows = Rows(X, np.asarray(y), weight)
    return leak_notes(rows, None, classifies=classifies), repeated_rows(rows)[1]


def test_levels_that_give_most_targets_away_are_named_where_scales_are_at_their_floor():
    X, rate = graded(30)
    rate = rate + 1e-4 * np.random.default_rng(1).normal(size=600)  # nearly constant
    y = np.where(np.arange(600) % 6 == 0, rate + X["a"], rate)
    (said,), _ = leaks_of(X, y)
    share = int(said.split("in ")[-1].split("%")[0])
    assert "columns ['grade'] have the same target" in said
    assert 79 <= share <= 85  # 5 of 6 rows, at the edge of two roundings less
    with pytest.warns(ScaleFloorWarning, match=r"\['grade'\] have the same target, in "):
        assert said in notes_of(X, y, n_experts=2, n_init=2)


def test_levels_that_decide_most_classes_are_named():
    X, _ = graded(12)
    number = X["grade"].str[1:].astype(int)
    drawn = np.random.default_rng(1).integers(2, size=600)
    (said,), _ = leaks_of(X, np.where(number < 9, number % 2, drawn), classifies=True)
    assert "columns ['grade'] are of the same class, in 7" in said
    # One class next to alone, as of levels in which an event never happens, is no leak.
    assert leaks_of(X, np.where(number < 9, 0, drawn), classifies=True) == ([], [])


@pytest.mark.parametrize("n_levels", [3, 30, 200, 290, 500])
@pytest.mark.parametrize("seed", range(2))
def test_levels_that_tell_little_are_no_leak(n_levels, seed):
    X, effect = graded(n_levels, seed=seed)
    rng = np.random.default_rng(seed)
    few = (rng.random(600) < 0.5).astype(float)  # null data, ties, and a good column
    for y in (rng.normal(size=600), few, rng.poisson(3, 600), np.maximum(rng.normal(size=600), 0)):
        assert leaks_of(X, y) == ([], [])
    assert leaks_of(X, effect + 0.1 * rng.normal(size=600)) == ([], [])
    assert leaks_of(X, np.round(3 * effect + rng.normal(size=600))) == ([], [])
    assert leaks_of(X, few.astype(int), classifies=True) == ([], [])
    likely = rng.random(600) < 1 / (1 + np.exp(-2 * effect))
    assert leaks_of(X, likely.astype(int), classifies=True) == ([], [])


def rows_given(times, n_distinct=150, n_columns=2, kind="array"):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_distinct, n_columns)), rng.normal(size=n_distinct)
    X, y = np.repeat(X, times, axis=0), np.repeat(y, times)
    if kind == "array":
        return X, y
    X = pd.DataFrame(X).add_prefix("x").assign(kind=np.char.add("k", (X[:, 0] > 0).astype(str)))
    X.loc[X["x0"] > 1, "x1"] = np.nan
    return (X if kind == "table" else X.to_numpy(dtype=object)), y


@pytest.mark.parametrize("kind", ["array", "table", "objects"])
@pytest.mark.parametrize("jitter", [0.0, 1e-4])
def test_rows_that_repeat_others_are_counted(kind, jitter):
    X, y = rows_given(3, kind=kind)
    y = y + jitter * np.random.default_rng(1).normal(size=450)
    _, (said,) = leaks_of(X, y)
    if kind != "objects":  # whose NaN are unlike
        assert said.startswith("300 of 450 rows repeat others")
    assert leaks_of(X, y, np.full(450, 1 / 3))[1] == []  # which is what it says to do
    assert leaks_of(X, (y > 0).astype(int), classifies=True)[1] != []
    distinct, drawn = np.arange(0, 450, 3), np.random.default_rng(2).normal(size=450)
    take = X.iloc if kind == "table" else X
    assert leaks_of(take[distinct], y[distinct])[1] == []
    assert leaks_of(X, drawn)[1] == []  # repeated measurements that differ


@pytest.mark.parametrize("n_columns", [2, 9, 40])
@pytest.mark.parametrize("jitter", [1e-3, 1e-6])
def test_rows_that_nearly_repeat_others_are_counted(n_columns, jitter):
    rng = np.random.default_rng(1)
    X, y = rows_given(3, n_distinct=400, n_columns=n_columns)
    near = X * 10.0 + jitter * rng.normal(size=X.shape), y + jitter * rng.normal(size=len(y))
    shuffled = rng.permutation(len(y))
    _, (said,) = leaks_of(near[0][shuffled], near[1][shuffled])
    assert 780 <= int(said.split()[0]) <= 800
    assert leaks_of(near[0], rng.normal(size=len(y)))[1] == []
    assert leaks_of(near[0][::3], near[1][::3])[1] == []


@pytest.mark.parametrize("n_samples", [50, 500, 5000])
def test_rows_of_few_values_may_be_equal(n_samples):
    rng = np.random.default_rng(0)
    rare = (rng.random((n_samples, 12)) < 0.05).astype(float)
    kinds = [rng.integers(k, size=(n_samples, p)) for k, p in ((2, 1), (3, 3), (2, 8), (10, 4))]
    for X in (rare, *kinds):
        targets = rng.normal(size=n_samples), rng.integers(5, size=n_samples), X.sum(axis=1)
        assert all(leaks_of(X, y)[1] == [] for y in targets)
