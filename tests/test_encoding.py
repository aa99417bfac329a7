"""What default experts and gates make of identifiers, dates as strings and nullable columns."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._tables.encoding import DescribedColumns, default_encoder
from skmoe.exceptions import LeftOutColumnsWarning

N = 300


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, training="em", n_init=2, random_state=0)


def table(n_samples=N):
    """A number, a kind, a name of each row, and a day."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"dose": rng.normal(size=n_samples)})
    X["kind"] = rng.choice(["cat", "dog"], n_samples)
    X["name"] = [f"patient {i}" for i in range(n_samples)]
    days = pd.date_range("2020-01-01", periods=min(n_samples, 10_000)).strftime("%Y-%m-%d")
    X["day"] = np.resize(days.to_numpy(dtype=object), n_samples)
    y = np.where(X["kind"] == "cat", 2.0, -2.0) * X["dose"] + 0.1 * rng.normal(size=n_samples)
    return X, y


@pytest.mark.parametrize("n_experts", [1, 2])
def test_identifiers_and_dates_are_left_out_and_named(n_experts):
    X, y = table()
    few = mixture(n_experts=n_experts).fit(X[["dose", "kind"]], y)
    with pytest.warns(
        LeftOutColumnsWarning, match=r"\['name'\].* \['day'\], which hold dates"
    ) as w:
        moe = mixture(n_experts=n_experts).fit(X, y)
    assert len(w) == 1
    assert_array_equal(moe.predict(X), few.predict(X[["dose", "kind"]]))
    names = [term for term in moe.coefficients().terms if "name" in term or "day" in term]
    assert not names


def test_a_list_names_what_it_leaves_out_once_and_a_pipeline_what_it_cannot_read():
    X, y = table()
    with pytest.warns(LeftOutColumnsWarning) as left_out:
        MixtureOfExpertsRegressor([mixture(n_experts=1), Ridge()], cv=2).fit(X, y)
    assert len(left_out) == 1
    with pytest.raises(ValueError, match="could not convert string") as error:
        MixtureOfExpertsRegressor(make_pipeline(StandardScaler(), Ridge())).fit(X[["kind"]], y)
    assert "make_column_transformer" in str(error.value.__notes__)


def test_the_gate_of_given_experts_leaves_them_out_too():
    X, y = table()
    with pytest.warns(LeftOutColumnsWarning, match="'name'"):
        moe = MixtureOfExpertsClassifier(
            [("a", tree()), ("b", tree())], n_init=1, cv=2, random_state=0
        ).fit(X, y > 0)
    assert moe.gate_[:-1].get_feature_names_out().tolist() == ["dose", "kind_cat", "kind_dog"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixtureOfExpertsClassifier([("a", tree())], cv=2).fit(X, y > 0)  # whose gate sees nothing


def tree():
    """A classifier of the numbers alone, which takes tables."""
    dose = make_column_transformer(("passthrough", ["dose"]))
    return make_pipeline(dose, DecisionTreeClassifier(max_depth=2))


def test_experts_of_other_kinds_see_means_of_the_target_by_level(monkeypatch):
    rng = np.random.default_rng(0)
    level, effect = rng.integers(50, size=220), 3 * rng.normal(size=50)
    X = pd.DataFrame({"x": rng.normal(size=220), "town": [f"t{j}" for j in level]})
    y = X["x"].to_numpy() + effect[level] + 0.3 * rng.normal(size=220)
    assert DescribedColumns(X[:120]).of_no_use() == (["town"], [])  # unless they are averaged
    encoder = default_encoder(DescribedColumns(X[:120]), averages="continuous").fit(
        X[:120], y[:120]
    )
    means = pd.Series(encoder.transform(X[120:])[:, -1], index=level[120:])
    assert np.corrcoef(means, effect[means.index])[0, 1] > 0.9
    counts = np.round(y)  # as many columns of means, however few values the target has
    assert encoder.fit_transform(X[:120], counts[:120]).shape == (120, 2)
    members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]
    monkeypatch.setattr("skmoe._ready.diverse.diverse_experts", lambda *_: members)
    moe = MixtureOfExpertsRegressor("diverse", random_state=0).fit(X[:120], y[:120])
    without = MixtureOfExpertsRegressor("diverse", random_state=0).fit(X[["x"]][:120], y[:120])
    assert moe.score(X[120:], y[120:]) > 0.7 > 0.3 > without.score(X[["x"]][120:], y[120:])


@pytest.mark.parametrize("experts", [Ridge(), [("a", Ridge()), ("b", Ridge(9.0))]])
@pytest.mark.parametrize("columns", [["dose", "kind"], ["dose", "when", "took", "kind"]])
def test_given_experts_see_a_mixed_table_as_behind_the_default_encoder(experts, columns):
    X, y = table()
    X["when"], X["took"] = pd.to_datetime(X["day"]), pd.to_timedelta(np.arange(N) % 7, unit="D")
    X = X[columns].copy()
    X.loc[::7, "dose"] = np.nan
    n_experts = "auto" if isinstance(experts, list) else 1
    moe = MixtureOfExpertsRegressor(experts, n_experts, n_init=1, cv=2, random_state=0)
    before = repr(moe)
    mean = moe.fit(X, y).predict(X)
    assert repr(moe) == before
    given = [each for _, each in experts] if isinstance(experts, list) else [experts]
    piped = [make_pipeline(default_encoder(DescribedColumns(X)), each) for each in given]
    piped = [*zip("ab", piped, strict=True)] if isinstance(experts, list) else piped[0]
    assert_allclose(clone(moe).set_params(experts=piped).fit(X, y).predict(X), mean, rtol=1e-9)


def test_experts_that_take_missing_values_get_them():
    X, y = table()
    X.loc[::7, "dose"], X["when"] = np.nan, pd.to_datetime(X["day"]).where(X.index % 5 > 0)
    tree = DecisionTreeRegressor(max_depth=3)
    moe = MixtureOfExpertsRegressor(tree, n_experts=1, cv=2, random_state=0)
    moe.fit(X[["dose", "when", "kind"]], y)
    names = moe.experts_[0][:-1].get_feature_names_out().tolist()
    assert not [name for name in names if "missing" in name]
    seen = moe.experts_[0][:-1].transform(X)
    assert_array_equal(np.isnan(seen[:, 0]), X["dose"].isna())
    assert_array_equal(np.isnan(seen[:, 1]), X["when"].isna())
    with pytest.warns(LeftOutColumnsWarning, match=r"^The experts leave out .*'name'"):
        moe.fit(X[["dose", "name"]], y)


def test_a_table_of_nothing_else_is_refused():
    X, y = table()
    message = (
        r"columns \['name', 'day'\] hold identifiers, free text or dates, and there are no oth"
    )
    with pytest.raises(ValueError, match=message):
        mixture().fit(X[["name", "day"]], y)


@pytest.mark.parametrize(
    ("n_levels", "n_samples", "left_out"),
    [(40, 50, False), (41, 50, True), (41, 409, True), (41, 410, False), (200, 3000, False)],
)
def test_categories_have_forty_levels_or_ten_rows_each(n_levels, n_samples, left_out):
    levels = np.arange(n_samples) % n_levels
    X = pd.DataFrame({"town": [f"town {j}" for j in levels]})
    assert DescribedColumns(X).of_no_use() == ((["town"], []) if left_out else ([], []))
    assert DescribedColumns(X.to_numpy(dtype=object)).of_no_use() == (
        ([0], []) if left_out else ([], [])
    )
    X.loc[0] = None
    assert DescribedColumns(X.astype("category")).of_no_use()[1] == []


@pytest.mark.parametrize(
    ("form", "is_date"),
    [
        ("2020-{m:02}-{d:02}", True),
        ("2020/{m}/{d} 12:30", True),
        ("{d}.{m}.2020", True),
        ("{m:02}/{d:02}/20", True),
        ("10.{m}.{d}.5", False),
        ("A-{m}-{d}", False),
    ],
)
def test_dates_are_told_from_other_strings(form, is_date):
    days = [form.format(m=m, d=d) for m in range(1, 13) for d in range(1, 29)]
    X = pd.DataFrame({"day": days})
    assert DescribedColumns(X).of_no_use() == (([], ["day"]) if is_date else (["day"], []))
