"""Tables with strings, categories and missing values; sparse matrices."""

import copy
import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from scipy import sparse
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._tables.encoding import DescribedColumns, default_encoder
from skmoe._tables.known import fill_missing, medians_of
from skmoe.exceptions import LeftOutColumnsWarning, NumbersAsStringsWarning
from skmoe.gates import BaseGate, ConstantGate, ForestGate, SoftmaxGate, TreeGate
from skmoe.metrics import log_score

N = 300
QUICK = {"n_init": 4, "tol": 1e-3, "random_state": 0}


regressor = partial(MixtureOfExpertsRegressor, n_experts=2, **QUICK)


classifier = partial(MixtureOfExpertsClassifier, n_experts=2, **QUICK)


@pytest.fixture(name="mixed")
def _mixed():
    """A table of every kind of column, and a target whose slope depends on the town."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.uniform(-1, 1, N),
            "income": rng.normal(size=N),
            "town": rng.choice(["north", "south"], N),
            "size": pd.Categorical(rng.choice(["small", "large"], N)),
            "grade": pd.Categorical(rng.integers(1, 4, N)),
            "owner": rng.integers(0, 2, N).astype(bool),
            "rooms": rng.integers(1, 6, N),
        }
    )
    slope = np.where(table["town"] == "north", 2.0, -2.0)
    y = slope * table["age"].to_numpy() + table["owner"].to_numpy() + 0.1 * rng.normal(size=N)
    table.loc[::9, "income"] = np.nan
    table.loc[::11, "size"] = np.nan
    return table, y


# The default mixture encodes --------------------------------------------------------------------


def test_default_regressor_finds_the_regimes_of_a_mixed_table(mixed):
    X, y = mixed
    train, test = slice(0, 200), slice(200, N)
    moe = regressor().fit(X[train], y[train])
    assert moe.score(X[test], y[test]) > 0.95  # of one linear regression: about 0.2
    assert isinstance(moe.gate_, Pipeline)
    assert [len(expert) for expert in moe.experts_] == [2, 2]
    assert moe.feature_names_in_.tolist() == list(X.columns)


def test_titanic_is_encoded_by_the_default_classifier(shared_data):
    X, y, tests, _ = shared_data("titanic")
    assert X.isna().any().any()
    train = np.setdiff1d(np.arange(len(X)), tests[0])
    moe = classifier().fit(X.iloc[train], y[train])
    shares = np.bincount(y[train]) / len(train)
    assert log_score(moe, X.iloc[tests[0]], y[tests[0]]) > np.log(shares[y[tests[0]]]).mean() + 0.1


def test_unseen_categories_and_new_gaps_are_predicted(mixed):
    X, y = mixed
    moe = regressor().fit(X, y)
    row = X.iloc[:1].assign(town="west", size=None, income=np.nan, age=np.nan)
    row = row.astype({"town": X["town"].dtype, "size": X["size"].dtype})
    assert np.isfinite(moe.predict(row)).all()
    np.testing.assert_allclose(moe.gate_proba(row).sum(), 1.0)


def test_numbers_alone_are_not_encoded(mixed):
    X, y = mixed
    numeric = X[["age", "owner", "rooms"]]
    moe = regressor().fit(numeric, y)
    assert isinstance(moe.gate_, SoftmaxGate)
    assert isinstance(moe.experts_[0], LinearRegression)
    as_array = regressor().fit(numeric.to_numpy(dtype=float), y)
    np.testing.assert_allclose(moe.predict(numeric), as_array.predict(numeric.to_numpy(float)))


@pytest.mark.parametrize(
    ("experts", "gate", "n_experts"),
    [(None, None, 1), (None, None, 2), (LinearRegression(), SoftmaxGate(alpha=1.0), 2)],
    ids=["line", "pooled", "given"],
)
def test_rows_of_weight_zero_are_as_absent_from_what_is_encoded(mixed, experts, gate, n_experts):
    X, y = mixed[0].iloc[:100], mixed[1][:100]
    X = X[["age", "income", "town"]].assign(code=[f"c{k % 50}" for k in range(100)])
    absent = X.assign(code=[f"new {k}" for k in range(100)], town="west", income=1e3)
    table, target = pd.concat([X, absent], ignore_index=True), np.append(y, y + 9)
    weight = np.repeat([1.0, 0.0], 100)
    moe = regressor(experts, gate=gate, n_experts=n_experts, cv=False, n_init=2, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOutColumnsWarning)
        alone = clone(moe).fit(X, y)
        moe.fit(table, target, sample_weight=weight)
    np.testing.assert_allclose(moe.predict(X), alone.predict(X), rtol=1e-6)
    np.testing.assert_allclose(moe.log_density(X, y), alone.log_density(X, y), rtol=1e-6, atol=1e-8)
    names = [each.experts_[0][:-1].get_feature_names_out().tolist() for each in (moe, alone)]
    assert names[0] == names[1]


# Pipelines as experts and gate ------------------------------------------------------------------


# Missing values and categories that experts read themselves --------------------------------------


LGBM = LGBMRegressor(n_estimators=5, verbose=-1)


@pytest.mark.parametrize("model", [LGBM, GridSearchCV(LGBM, {"max_depth": [2]}, cv=2)])
def test_models_that_read_categories_predict_the_same_alone(mixed, model):
    X, y = mixed
    X = X.assign(town=X["town"].astype("category"))  # and numbers with gaps
    for expert in (model, TransformedTargetRegressor(model, func=np.cbrt, inverse_func=cubes)):
        moe = regressor(expert, n_experts=1, cv=2).fit(X, y)
        np.testing.assert_allclose(moe.predict(X), clone(expert).fit(X, y).predict(X))


def cubes(values):
    return values**3


@pytest.mark.parametrize("expert", [HistGradientBoostingRegressor(max_iter=5), LGBM])
def test_boosting_reads_the_categories_of_a_table(mixed, expert):
    X, y = mixed
    X = X.assign(town=X["town"].astype("category"))
    moe = regressor(expert, n_experts=1, cv=2).fit(
        X, y
    )  # with two, the gate may take the town from them
    swapped = X["town"].cat.rename_categories({"north": "south", "south": "north"})
    swapped = X.assign(town=swapped.cat.reorder_categories(["north", "south"]))
    assert not np.allclose(moe.predict_experts(X), moe.predict_experts(swapped))


class NearestMean(BaseGate):
    """A gate as one writes it: how near the mean of an expert's rows is."""

    def fit(self, X, y, sample_weight=None):
        X = validate_data(self, X, dtype=np.float64)
        self.classes_, self.scale_ = np.arange(y.shape[1]), X.std(axis=0)
        self.means_ = y.T @ X / y.sum(axis=0)[:, None]
        return self

    def predict_log_proba(self, X):
        X = validate_data(self, X, dtype=np.float64, reset=False)
        apart = (X[:, None, :] - self.means_) / self.scale_
        return log_softmax(-(apart**2).sum(axis=2), axis=1)

    def reorder(self, order):
        self.classes_, self.means_ = self.classes_[: len(order)], self.means_[order]


OWN_GATES = {
    "tree": TreeGate(),
    "forest": ForestGate(n_estimators=20, random_state=0),
    "softmax": SoftmaxGate(alpha=1.0),
    "classifier": GaussianNB(),
    "subclass": NearestMean(),
}


@pytest.mark.parametrize("kind", OWN_GATES)
def test_gates_of_ones_own_see_the_table_as_encoded_by_a_pipeline(mixed, kind):
    X, y = mixed[0].iloc[:120], mixed[1][:120]
    X = X[["age", "income", "town"]].assign(day=pd.date_range("2024-01-01", periods=120))
    gate, quick = OWN_GATES[kind], {"training": "em", "n_init": 2, "tol": 0.02}
    moe = regressor(LinearRegression(), gate=gate, **quick).fit(X, y)
    assert moe.score(X, y) > 0.8
    by_hand = clone(moe).set_params(gate=make_pipeline(default_encoder(DescribedColumns(X)), gate))
    np.testing.assert_allclose(by_hand.fit(X, y).gate_proba(X), moe.gate_proba(X))
    rows = X.iloc[:3].assign(town=["south", "elsewhere", None], income=np.nan)
    np.testing.assert_allclose(by_hand.predict(rows), moe.predict(rows))
    names = moe.gate_[:-1].get_feature_names_out()
    assert {"town_north", "missingindicator_income", "day_day_of_week"} < set(names)


# Sparse matrices --------------------------------------------------------------------------------


def sparse_problem():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(150, 5)) * (rng.uniform(size=(150, 5)) < 0.6)
    y = np.where(dense[:, 0] > 0, dense[:, 1], -dense[:, 1]) + 0.1 * rng.normal(size=150)
    return dense, y


@pytest.mark.parametrize("gate", [ConstantGate(), LogisticRegression()])
@pytest.mark.parametrize("make_sparse", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_give_what_dense_ones_give(gate, make_sparse):
    dense, y = sparse_problem()
    rows = make_sparse(dense)
    # solver: the one whose answer does not depend on the kind of matrix; dense ridge experts are
    # solved all at once, so both are given in a list.
    experts = [(name, Ridge(solver="lsqr", tol=1e-10)) for name in ("a", "b")]
    moe = regressor(experts, gate=gate).fit(rows, y)
    same = regressor(experts, gate=gate).fit(dense, y)
    np.testing.assert_allclose(moe.predict(rows), same.predict(dense), atol=1e-4)
    np.testing.assert_allclose(moe.gate_proba(rows).sum(axis=1), 1.0)


DEFAULTS = {
    "pooled": regressor(),
    "by EM": regressor(training="em", n_init=1),
    "from starts": regressor(training="em", tol=1e-10),  # which dense rows find in float32
    "counts": regressor(likelihood="poisson"),
    "classes": classifier(),
    "behind proportions": regressor(gate=ConstantGate(), training="pooled"),
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_default_experts_on_sparse_rows_are_those_of_dense_ones(kind):
    dense, y = sparse_problem()
    y = {"classes": y > 0, "counts": np.round(np.exp(y))}.get(kind, y)
    rows = sparse.csr_matrix(dense)
    moe = clone(DEFAULTS[kind]).fit(dense, y)
    expected, of_batch = moe.log_density(dense, y), None
    # Of sparse rows, after those that were centred; the curvature that a stream begins with is that
    # of one of the last iterations, which are others after starts in float32.
    if hasattr(moe, "partial_fit") and kind != "from starts":
        batch = dense[:50] + 0.1
        of_batch = copy.deepcopy(moe).partial_fit(batch, y[:50]).log_density(dense, y)
        moe.partial_fit(sparse.csr_matrix(batch), y[:50])
        np.testing.assert_allclose(moe.log_density(rows, y), of_batch, rtol=1e-9, atol=1e-12)
    moe.fit(rows, y)
    np.testing.assert_allclose(moe.log_density(rows, y), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moe.log_density(dense, y), expected, rtol=1e-6, atol=1e-6)
    assert str(moe.expert_report(rows, y)).count("expert0")
    if of_batch is not None:
        moe.partial_fit(sparse.csr_matrix(batch), y[:50])
        np.testing.assert_allclose(moe.log_density(rows, y), of_batch, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make_rows", [np.asarray, sparse.csr_array])
def test_out_of_bag_predictions_are_those_of_the_forest(make_rows):
    dense, y = sparse_problem()
    rows, labels = make_rows(dense), (y > 0).astype(int)
    params = {"n_estimators": 40, "max_depth": 3, "oob_score": True}
    moe = regressor(RandomForestRegressor(**params), n_experts=1, training="em").fit(rows, y)
    prediction = moe.experts_[0].oob_prediction_[:, None]
    by_hand = moe.likelihood_.log_density(y, prediction)[:, 0]
    np.testing.assert_allclose(moe.oof_log_density_, by_hand)

    moe = classifier(RandomForestClassifier(**params), n_experts=1, training="em").fit(rows, labels)
    proba = moe.experts_[0].oob_decision_function_[:, None]
    by_hand = moe.likelihood_.log_density(labels, proba)[:, 0]
    np.testing.assert_allclose(moe.oof_log_density_, by_hand)


# polars -----------------------------------------------------------------------------------------


@pytest.fixture(name="both")
def _both(mixed):
    """The same rows as tables of polars and of pandas."""
    polars = pytest.importorskip("polars")
    table, y = mixed
    columns = {name: polars.Series(name, table[name].tolist()) for name in ("town", "owner")}
    columns |= {"age": table["age"].to_numpy(), "rooms": table["rooms"].to_numpy()}
    income = [None if np.isnan(value) else value for value in table["income"]]
    columns["income"] = polars.Series(income, dtype=polars.Float32)
    size = table["size"].astype(object)
    size = size.where(size.notna(), None).tolist()
    columns["size"] = polars.Series(size, dtype=polars.Enum(["small", "large"]))
    frame = polars.DataFrame(columns)
    return frame, table[frame.columns].astype({"income": np.float32}), y


def test_tables_of_polars_are_read_as_those_of_pandas(both):
    frame, table, y = both
    moe, same = regressor().fit(frame, y), regressor().fit(table, y)
    assert moe.feature_names_in_.tolist() == frame.columns
    np.testing.assert_array_equal(moe.predict(frame), same.predict(table))
    np.testing.assert_array_equal(moe.predict(table), moe.predict(frame))
    np.testing.assert_array_equal(moe.log_density(frame, y), same.log_density(table, y))
    labels = np.where(y > 0.5, "high", "low")
    moe, same = classifier().fit(frame, labels), classifier().fit(table, labels)
    np.testing.assert_array_equal(moe.predict_proba(frame), same.predict_proba(table))


def test_polars_columns_in_another_order_are_refused(both):
    frame, _, y = both
    moe = regressor().fit(frame.select("age", "rooms"), y)
    with pytest.raises(ValueError, match="feature names should match"):
        moe.predict(frame.select("rooms", "age"))


def test_lazy_frames_are_refused(both):
    frame, _, y = both
    with pytest.raises(TypeError, match=r"its collect\(\) returns"):
        regressor().fit(frame.lazy(), y)


# Values that fit has not met ------------------------------------------------------------------


@pytest.mark.parametrize("classifies", [False, True])
def test_a_value_missing_first_in_predict_is_the_median_of_fit(classifies):
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(120, 2))
    y = X @ [1.0, 2.0] + 0.1 * rng.normal(size=120)
    kind = MixtureOfExpertsClassifier if classifies else MixtureOfExpertsRegressor
    rows, filled = X[:3].copy(), X[:3].copy()
    rows[1, 1], filled[1, 1] = np.nan, np.median(X[:, 1])
    X, rows, filled = (pd.DataFrame(each, columns=["a", "b"]) for each in (X, rows, filled))
    moe = kind(random_state=0).fit(X, y > np.median(y) if classifies else y)
    np.testing.assert_allclose(moe.predict(rows), moe.predict(filled), rtol=1e-12)
    np.testing.assert_allclose(moe.gate_proba(rows), moe.gate_proba(filled), rtol=1e-12)
    assert np.isnan(np.asarray(rows)[1, 1])  # as it was given


def test_a_gap_is_no_matter_to_an_expert_that_saw_one_class():
    X = pd.DataFrame({0: list("ab") * 20, 1: np.arange(40.0)})
    y = np.arange(40) >= 36  # some folds have one class
    experts = HistGradientBoostingClassifier(max_iter=5)
    moe = MixtureOfExpertsClassifier(experts, n_experts=2, random_state=0).fit(X, y)
    X.loc[0, 1] = np.nan
    assert np.isfinite(moe.predict_proba(X[:1])).all()


@pytest.mark.parametrize("has_gaps", [False, True])
def test_nullable_numbers_may_have_gaps_beside_strings(has_gaps):
    numbers, words = np.arange(60) % 7, np.array(list("ab") * 30)
    X = pd.DataFrame({"word": words, "number": pd.array(numbers, dtype="Int64")})
    X["is_odd"] = pd.array(numbers % 2 == 1, dtype="boolean")
    rows = X[:2].copy()
    rows.loc[0, "number"] = rows.loc[1, "is_odd"] = pd.NA
    if has_gaps:
        X[:2] = rows
    plain = X.astype({"number": float, "is_odd": float})
    experts = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    moe = MixtureOfExpertsClassifier(experts, n_experts=1, random_state=0)
    expected = moe.fit(plain, numbers > 2).predict_proba(rows.astype(plain.dtypes))
    np.testing.assert_array_equal(moe.fit(X, numbers > 2).predict_proba(rows), expected)


@pytest.mark.parametrize("columns", [[2, 1], [0, 2]])
def test_other_columns_are_refused_where_names_are_numbers(columns):
    X = pd.DataFrame(np.arange(40.0).reshape(20, 2) ** 2)
    moe = regressor().fit(X, np.arange(20) % 7)
    with pytest.raises(ValueError, match=r"X lacks the columns \[[01]\], which it had in fit"):
        moe.predict(X.set_axis(columns, axis=1))


def test_an_infinite_value_is_refused_by_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, X[:, 0] + rng.normal(size=50))
    X[4, 2] = -np.inf
    with pytest.raises(ValueError, match=r"infinity, in the columns \[2\]"):
        moe.predict(X)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    for rows in (table, table.astype(object), table.assign(kind="u")):
        with pytest.raises(ValueError, match=r"infinity, in the columns \['c'\]"):
            MixtureOfExpertsRegressor(n_experts=1).fit(rows, X[:, 0])


def with_gaps(seed=0, n=80):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=n)
    gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    return X, gaps, y


@pytest.mark.parametrize("when", ["fit", "predict", "stream", "later batch"])
@pytest.mark.parametrize(
    "moe",
    [
        MixtureOfExpertsRegressor(n_experts=2, n_init=1, random_state=0),
        MixtureOfExpertsRegressor(n_experts=2, n_init=1, random_state=0, training="em"),
        MixtureOfExpertsRegressor(n_experts=2, gate=ConstantGate(), random_state=0),
        MixtureOfExpertsRegressor(expert_columns=[0, 2], n_experts=2, n_init=1, random_state=0),
        MixtureOfExpertsClassifier(n_experts=2, n_init=1, random_state=0),
    ],
    ids=["default", "em", "proportions", "columns", "classes"],
)
def test_gaps_of_an_array_are_those_of_a_table_of_the_same_numbers(moe, when):
    X, gaps, y = with_gaps()
    if moe._classifies:  # with errors, so that there is a maximum
        y = np.where(y + np.random.default_rng(1).normal(size=len(y)) > 0, "high", "low")
    found = []
    for rows in (np.asarray, lambda X: pd.DataFrame(X, columns=["x0", "x1", "x2"])):
        own = clone(moe)
        if when in ("stream", "later batch") and moe.expert_columns is None:
            first = gaps if when == "stream" else X
            own.partial_fit(
                rows(first[:40]), y[:40], **({"classes": np.unique(y)} if moe._classifies else {})
            )
            own.partial_fit(rows(gaps[40:]), y[40:])
        else:
            own.fit(rows(gaps if when in ("fit", "stream") else X), y)
        assert get_tags(own).input_tags.allow_nan
        given = rows(gaps)
        found.append((own.gate_proba(given), own.log_density(given, y)))
        assert ("x0 missing" in own.coefficients().terms) == (when in ("fit", "stream"))
    for of_array, of_table in zip(*found, strict=True):  # memory's order changes the rounding
        np.testing.assert_allclose(of_array, of_table, rtol=1e-5, atol=1e-6)


def test_diverse_experts_take_the_gaps_of_an_array_as_those_of_a_table():
    _, gaps, y = with_gaps(n=40)
    moe = MixtureOfExpertsRegressor("diverse", random_state=0)
    of_array = moe.fit(gaps, y).predict(gaps)
    table = pd.DataFrame(gaps, columns=["x0", "x1", "x2"])
    of_table = moe.fit(table, y).predict(table)
    np.testing.assert_allclose(of_array, of_table, rtol=1e-7)


def test_medians_of_arrays_of_single_precision_keep_it():
    X = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    medians = medians_of(X)
    rows = fill_missing(np.where(X > 0, np.nan, X).astype(np.float32), medians)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.where(X > 0, np.median(X, axis=0), X))


@pytest.mark.parametrize("dtype", ["string", "Int64"])
def test_categories_of_types_with_an_na_of_their_own_have_gaps(dtype):
    codes = pd.Series(np.arange(60) % 3, dtype="Int64").astype(dtype)
    X = pd.DataFrame({"kind": codes.mask(np.arange(60) % 7 == 0).astype("category")})
    y = np.sin(np.arange(60))
    plain = pd.DataFrame({"kind": X["kind"].astype(object).where(X["kind"].notna(), None)})
    if dtype == "Int64":
        plain = plain.astype("category")
    one, other = (MixtureOfExpertsRegressor(n_experts=1).fit(each, y) for each in (X, plain))
    np.testing.assert_allclose(one.predict(X), other.predict(plain))


@pytest.mark.parametrize("dtype", ["Int64", "boolean"])
def test_gaps_that_come_after_fit_are_medians_in_columns_that_cannot_hold_these(dtype):
    X = pd.DataFrame({"a": np.arange(40) % 2, "b": np.arange(40.0) ** 2})
    typed = X.astype({"a": dtype})
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(typed, np.sin(X["b"]))
    typed.loc[0, "a"] = pd.NA
    alike = X.astype(float).replace({"a": {0.0: 0.5}}).iloc[:1]
    np.testing.assert_allclose(moe.predict(typed.iloc[:1]), moe.predict(alike))


def test_parts_of_ones_own_that_cannot_take_missing_values_are_named_with_the_columns():
    X, gaps, y = with_gaps()
    gaps[:, 1] = X[:, 1]
    table, named = pd.DataFrame(gaps, columns=list("abc")), r"NaN, which the columns \['a', 'c'\]"
    mixture = partial(MixtureOfExpertsRegressor, n_experts=2, n_init=1, random_state=0)
    for parts, match in (
        ({"experts": Ridge(), "gate": ConstantGate()}, "expert Ridge cannot take"),
        ({"gate": SoftmaxGate(alpha=0.5)}, "gate SoftmaxGate cannot take"),
    ):
        moe = mixture(**parts)
        fitted = clone(moe).fit(X, y)
        with pytest.raises(ValueError, match=match + r" NaN, which the columns \[0, 2\]"):
            fitted.predict(gaps)
        with pytest.raises(ValueError, match=match + " " + named):
            clone(moe).fit(table.assign(a=X[:, 0], c=X[:, 2]), y).predict(table)
        with pytest.raises(ValueError, match=match + r" NaN, which the columns \[0, 2\]"):
            moe.fit(gaps, y)
    own = mixture(experts=HistGradientBoostingRegressor(max_iter=2), gate=ConstantGate())
    assert np.isfinite(own.fit(X, y).predict(gaps)).all()  # they take them


@pytest.mark.parametrize("cell", ["1.0.", "6.2\x1a", "n/a"])
def test_numbers_as_strings_are_named_with_the_cells_in_the_way(cell):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "x": rng.normal(size=60).round(1).astype(str)})
    X.loc[3, "x"] = cell
    said = f"column 'x', except {re.escape(repr(cell))}, are numbers stored as"
    with pytest.warns(NumbersAsStringsWarning, match=said):
        MixtureOfExpertsRegressor(n_experts=1).fit(X, X["a"] + rng.normal(size=60))


@pytest.mark.parametrize(
    "values",
    [
        [str(10115 + 7 * k) for k in range(12)],  # postal codes
        [f"{k}a" for k in range(12)],
        ["low", "1.5", "2.5"],
    ],
)
def test_categories_written_in_digits_are_categories(values):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "x": np.resize(values, 60)})
    MixtureOfExpertsRegressor(n_experts=1).fit(X, X["a"] + rng.normal(size=60))  # without a word
    numbers = X.assign(x=pd.Categorical(np.resize(np.arange(12) / 10, 60).astype(str)))
    MixtureOfExpertsRegressor(n_experts=1).fit(numbers, X["a"] + rng.normal(size=60))
