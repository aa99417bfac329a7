"""The table of coefficients: they add up to what experts and gate say, by the names of columns."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import special
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate


def mixed_table(n_samples=300):
    """Numbers, one with holes, a kind of three levels, and a target of two regimes."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.normal(40, 10, n_samples), "dose": rng.normal(size=n_samples)})
    X["kind"] = rng.choice(["high", "low", "mid"], n_samples)
    y = np.where(X["age"] < 40, 3 * X["dose"] + (X["kind"] == "low"), 1 - X["dose"])
    X.loc[::9, "age"] = np.nan
    return X, y + 0.2 * rng.normal(size=n_samples)


def by_hand(X):
    """Columns as they are named in the table, of which the intercept is one."""
    columns = X.select_dtypes("number").copy()
    for name in columns.columns[columns.isna().any()]:
        columns[f"{name} missing"] = columns[name].isna()
        columns[name] = columns[name].fillna(columns[name].median())
    for name in X.columns.difference(X.select_dtypes("number").columns):
        for level in X[name].unique():
            columns[f"{name}={level}"] = X[name] == level
    return columns.assign(intercept=1.0).astype(float)


def add_up(table, part, X):
    coefficients = table.to_frame().loc[part].dropna()
    return (by_hand(X)[list(coefficients.index)] @ coefficients).to_numpy()


@pytest.mark.parametrize("training", ["pooled", "em"])
def test_they_add_up_to_predictions_and_log_odds_of_the_gate(training):
    X, y = mixed_table()
    moe = MixtureOfExpertsRegressor(n_experts=2, training=training, n_init=2, random_state=0)
    table = moe.fit(X, y).coefficients()
    assert_allclose(add_up(table, "prediction", X), moe.predict_experts(X), atol=1e-9)
    log_odds = add_up(table, "gate: log-odds against expert0", X)
    assert_allclose(special.softmax(log_odds, axis=1), moe.gate_proba(X), atol=1e-9)


@pytest.mark.parametrize("classes", [["no", "yes"], ["few", "more", "most"]])
def test_those_of_classes_are_log_odds_against_the_first(classes):
    X, y = mixed_table()
    labels = np.array(classes)[pd.qcut(y, len(classes), labels=False)]
    moe = MixtureOfExpertsClassifier(n_experts=2, training="em", cv=False, n_init=2, random_state=0)
    table = moe.fit(X, labels).coefficients()
    first, *others = classes
    for k, expert in enumerate(moe.experts_):
        with np.errstate(divide="ignore"):
            log_proba = expert.predict_log_proba(X)
        for j, label in enumerate(others):
            log_odds = add_up(table, f"log-odds of {label} against {first}", X)[:, k]
            certain = (log_proba < -30).any(axis=1)  # up to rounding of probabilities near 1
            expected = (log_proba[:, j + 1] - log_proba[:, 0])[~certain]
            assert_allclose(log_odds[~certain], expected, rtol=1e-3, atol=1e-6)


def test_those_of_counts_are_of_the_logarithm():
    X, y = mixed_table()
    counts = np.random.default_rng(0).poisson(np.exp(np.clip(y, -2, 2)))
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="poisson", n_init=2, random_state=0)
    table = moe.fit(X, counts).coefficients()
    logs = add_up(table, "logarithm of the prediction", X)
    assert_allclose(np.exp(logs), moe.predict_experts(X), rtol=1e-9)


def test_those_of_several_outputs_have_a_part_each():
    X, y = mixed_table()
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=1, random_state=0)
    table = moe.fit(X, np.column_stack([y, -2 * y])).coefficients()
    for j in range(2):
        of_output = add_up(table, f"prediction, output {j}", X)
        assert_allclose(of_output, moe.predict_experts(X)[:, :, j], atol=1e-9)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), RobustScaler(), MinMaxScaler((-3, 5)), MaxAbsScaler()], ids=str
)
def test_scalers_are_undone(scaler):
    X, y = mixed_table()
    encode = make_column_transformer(
        (OneHotEncoder(), ["kind"]), (make_pipeline(scaler, SimpleImputer()), ["age", "dose"])
    )
    moe = MixtureOfExpertsRegressor(
        make_pipeline(encode, Ridge()),
        n_experts=2,
        gate=make_pipeline(encode, SoftmaxGate()),
        n_init=1,
        random_state=0,
    )
    whole = X["age"].notna()
    table = moe.fit(X, y).coefficients()
    predicted = moe.predict_experts(X)[whole]
    assert_allclose(add_up(table, "prediction", X[whole]), predicted, atol=1e-9)
    log_odds = add_up(table, "gate: log-odds against expert0", X[whole])
    assert_allclose(special.softmax(log_odds, axis=1), moe.gate_proba(X)[whole], atol=1e-9)


def test_columns_are_named_whatever_is_inside_a_pipeline():
    X, y = mixed_table()
    encode = make_column_transformer(
        (OneHotEncoder(drop=["low"]), ["kind"]),
        (make_pipeline(SimpleImputer(), PolynomialFeatures(2, include_bias=False)), ["age"]),
        (SimpleImputer(add_indicator=True), [0]),
        remainder="passthrough",
    )
    line = make_pipeline(encode, FunctionTransformer(), LinearRegression())
    moe = MixtureOfExpertsRegressor(line, n_experts=1, random_state=0).fit(X, y)
    assert moe.coefficients().terms[1:] == [  # with their parts, as "age" is there twice
        "onehotencoder__kind=high", "onehotencoder__kind=mid", "pipeline__age", "pipeline__age^2",
        "simpleimputer__age", "simpleimputer__age missing", "remainder__dose",
    ]  # fmt: skip
    unnamed = make_pipeline(FunctionTransformer(np.asarray), LinearRegression())
    moe = MixtureOfExpertsRegressor(unnamed, n_experts=1, random_state=0).fit(X[["dose"]], y)
    assert moe.coefficients().terms[1:] == ["x0"]


def test_experts_that_see_other_columns_leave_rows_empty():
    X, y = mixed_table()
    X = X[["dose"]].assign(weight=1 + np.arange(len(X)) % 7)
    of_dose = make_pipeline(make_column_transformer(("passthrough", ["dose"])), Ridge())
    moe = MixtureOfExpertsRegressor([("all", Ridge()), ("dose", of_dose)], random_state=0).fit(X, y)
    values = moe.coefficients().to_frame().loc["prediction"]
    assert values.index.tolist() == ["intercept", "dose", "weight"]
    assert values.isna().to_numpy().tolist() == [[False, False], [False, False], [False, True]]


def test_an_expert_without_coefficients_is_named():
    X, y = mixed_table()
    X, labels = X[["dose"]], np.digitize(y, [-1, 1])
    line, tree = (
        FrozenEstimator(e.fit(X, y)) for e in (Ridge(), DecisionTreeRegressor(max_depth=1))
    )
    moe = MixtureOfExpertsRegressor([("line", line), ("tree", tree)]).fit(X, y)
    with pytest.raises(ValueError, match="'tree' has no coefficients: DecisionTreeRegressor"):
        moe.coefficients()
    one_vs_rest = FrozenEstimator(SGDClassifier(loss="log_loss", random_state=0).fit(X, labels))
    moe = MixtureOfExpertsClassifier([("sgd", one_vs_rest)]).fit(X, labels)
    with pytest.raises(ValueError, match="'sgd' has no log-odds of all classes"):
        moe.coefficients()


def test_a_gate_without_coefficients_is_left_out():
    X, y = mixed_table()
    X = X[["dose"]]
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=1, random_state=0)
    constant = moe.set_params(gate=ConstantGate()).fit(X, y).coefficients().to_frame()
    odds = constant.loc[("gate: log-odds against expert0", "intercept")]
    assert_allclose(special.softmax(odds), moe.gate_.proportions_)
    table = moe.set_params(gate=GaussianGate()).fit(X, y).coefficients()
    assert set(table.parts) == {"prediction"}
    assert "The gate, GaussianGate, has no coefficients." in str(table)
    assert set(moe.set_params(n_experts=1).fit(X, y).coefficients().parts) == {"prediction"}


def test_the_table_reads_as_text_and_as_html():
    X, y = mixed_table()
    X = X.rename(columns={"dose": "dose <mg>"})
    expert = LogisticRegression(C=1e-12)  # whose coefficients are next to nothing
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), ("passthrough", ["dose <mg>"]))
    moe = MixtureOfExpertsClassifier(
        make_pipeline(encode, expert), 2, gate=ConstantGate(), n_init=1, random_state=0
    )
    table = moe.fit(X, y > 0).coefficients()
    lines = str(table).splitlines()
    assert lines[0].split() == ["expert0", "expert1"]
    assert lines[1] == "log-odds of True against False"
    assert [line.split()[0] for line in lines[2:5]] == ["intercept", "kind=high", "kind=low"]
    assert lines[-2].startswith("gate: log-odds against expert0")
    assert "<td>  dose &lt;mg&gt;</td>" in table._repr_html_()
