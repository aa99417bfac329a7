"""Columns that the gate sees, and those that the experts see: ``y ~ x | z`` of R's flexmix."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._tables.mixed import column_numbers
from skmoe.gates import SoftmaxGate, TreeGate

N = 600
of_dose = partial(
    MixtureOfExpertsRegressor, n_experts=2, expert_columns=["dose"], n_init=3, random_state=0
)
by_kind = partial(of_dose, gate=SoftmaxGate(columns=["kind"]))


@pytest.fixture(scope="module")
def data():
    """A table whose kind decides, softly, between two lines over the dose; the rest is noise."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"noise": rng.normal(size=N), "dose": rng.normal(size=N)})
    X["kind"] = rng.choice(["cat", "dog"], N)
    X["place"] = rng.choice(list("abc"), N)
    first = rng.uniform(size=N) < special.expit(np.where(X["kind"] == "cat", 2.0, -2.0))
    y = np.where(first, 2 * X["dose"], 1 - X["dose"]) + 0.2 * rng.normal(size=N)
    return X, y


def test_it_is_the_mixture_of_pipelines_that_select(data):
    X, y = data
    settings = {"training": "em", "tol": 1e-9}
    short = by_kind(LinearRegression(), **settings).fit(X, y)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    long = MixtureOfExpertsRegressor(
        make_pipeline(make_column_transformer(("passthrough", ["dose"])), LinearRegression()),
        n_experts=2,
        gate=make_pipeline(make_column_transformer((one_hot, ["kind"])), SoftmaxGate()),
        n_init=3,
        random_state=0,
        **settings,
    ).fit(X, y)
    assert np.diff(short.lower_bounds_).min() > -1e-9
    assert_allclose(short.lower_bound_, long.lower_bound_, rtol=1e-10)
    assert_allclose(short.predict(X), long.predict(X), rtol=1e-8)
    assert short.bic(X, y) == pytest.approx(long.bic(X, y), rel=1e-10)


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_planted_lines_and_odds_are_found_under_the_names_of_the_columns(data, training):
    X, y = data
    moe = by_kind(training=training).fit(X, y)
    table = moe.coefficients().to_frame()
    assert table.loc["prediction"].index.tolist() == ["intercept", "dose"]
    table = table.rename(lambda term: term.removesuffix(" (reference)"), level="term")
    gate = [name for part, name in table.index if part.startswith("gate")]
    assert gate == ["intercept", "kind=cat", "kind=dog"]
    assert_allclose(np.sort(table.loc["prediction"].loc["dose"]), [-1, 2], atol=0.05)
    odds = moe.gate_proba(X[:2].assign(kind=["cat", "dog"]))
    assert_allclose(np.sort(odds.max(axis=1)), special.expit([2, 2]), atol=0.06)
    if training == "em":
        names = moe.summary(X, y).to_frame().index.get_level_values(1)
        names = names.str.removesuffix(" (reference)")
        assert set(names) == {"intercept", "dose", "log_scale", "kind=cat", "kind=dog"}


@pytest.mark.parametrize("experts", [None, Ridge(), DecisionTreeRegressor(max_depth=3)])
def test_other_columns_change_nothing(data, experts):
    X, y = data
    moe = by_kind(experts, training="em", n_init=2, max_iter=3, cv=2).fit(X, y)
    other = X.assign(noise=X["noise"].to_numpy()[::-1], place="c")
    assert_array_equal(moe.predict(X), moe.predict(other))
    again = clone(moe).fit(other, y)
    assert_array_equal(moe.predict(X), again.predict(X))


def test_columns_of_arrays_have_numbers(data):
    X, y = data
    named = of_dose(gate=SoftmaxGate(columns=["noise"])).fit(X, y)
    numbers = X[["noise", "dose"]].to_numpy()
    moe = named.set_params(gate__columns=[0], expert_columns=[-1])
    assert_allclose(clone(moe).fit(numbers, y).predict(numbers), named.predict(X))


def test_no_columns_leave_intercepts(data):
    X, y = data
    moe = by_kind(gate=SoftmaxGate(columns=[]), expert_columns=[], training="em").fit(X, y)
    for answer in (moe.predict_experts(X), moe.gate_proba(X)):
        assert np.ptp(answer, axis=0).max() == 0


def test_streams_and_new_experts_see_their_columns(data):
    X, y = data
    moe = by_kind()
    for batch in np.array_split(np.arange(N), 4):
        moe.partial_fit(X.iloc[batch], y[batch])
    assert_allclose(np.sort([e[-1].coef_[0] for e in moe.experts_]), [-1, 2], atol=0.1)
    moe.add_expert(X[:100], y[:100] + 9, Ridge(), replay=(X, y))
    assert [e[-1].coef_.shape for e in moe.experts_] == [(1,)] * 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"expert_columns": ["dosis"]}, "There is no column 'dosis'"),
        ({"gate": SoftmaxGate(columns=["kinds"])}, "There is no column 'kinds'"),
        ({"gate": TreeGate(gate=SoftmaxGate(columns=["kind"]))}, "Select columns in front"),
        ({"gate": make_pipeline("passthrough", SoftmaxGate(columns=[0]))}, "Select columns in"),
        ({"experts": of_dose()}, "expert_columns to the mixture that is an expert"),
    ],
)
def test_what_cannot_be_is_refused(data, params, message):
    with pytest.raises(ValueError, match=message):
        of_dose(**params).fit(*data)


def test_where_all_columns_are_seen_a_choice_is_refused():
    with pytest.raises(ValueError, match="Select columns in front"):
        SoftmaxGate(columns=[0]).fit(np.zeros((4, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ([True, False, False], "no column True"),
        ([np.True_], "no column .*True"),
        ([["a"]], r"no column \['a'\]"),
        ([0, -3], r"given once; \[0, -3\] are columns \[0, 0\]"),
        (["a", 0], r"given once; \['a', 0\] are columns \[0, 0\]"),
    ],
)
def test_masks_and_columns_given_twice_are_refused(columns, problem):
    with pytest.raises(ValueError, match=problem):
        column_numbers(columns, 3, ["a", "b", "c"])
