"""The table of coefficients: they add up to what experts and gate say, by the names of columns."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import special
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
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
    coefficients.index = coefficients.index.str.removesuffix(" (reference)")
    return (by_hand(X)[list(coefficients.index)] @ coefficients).to_numpy()


@pytest.mark.parametrize("training", ["pooled", "em"])
def test_they_add_up_to_predictions_and_log_odds_of_the_gate(training):
    X, y = mixed_table()
    moe = MixtureOfExpertsRegressor(n_experts=2, training=training, n_init=2, random_state=0)
    table = moe.fit(X, y).coefficients()
    assert_allclose(add_up(table, "prediction", X), moe.predict_experts(X), atol=1e-9)
    log_odds = add_up(table, "gate: log-odds against expert0", X)
    assert_allclose(special.softmax(log_odds, axis=1), moe.gate_proba(X), atol=1e-9)


def test_columns_that_are_called_as_other_terms_are_told_apart():
    X, y = mixed_table()
    X.insert(1, "age missing", np.arange(len(X)) % 7)
    by_name = by_hand(X.drop(columns="age missing"))
    by_name = by_name.rename(columns={"dose": "intercept (2)", "age missing": "age missing (2)"})
    by_name = by_name.assign(**{"age missing": X["age missing"], "intercept": 1.0})
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=1, random_state=0)
    moe.fit(X.rename(columns={"dose": "intercept"}), y)
    terms = moe.coefficients().to_frame().loc["prediction"]
    terms.index = terms.index.str.removesuffix(" (reference)")
    predictions = moe.predict_experts(X.rename(columns={"dose": "intercept"}))
    assert_allclose(by_name[terms.index] @ terms, predictions, atol=1e-9)


def test_random_effects_are_named_after_their_column_whatever_it_is_called():
    X, y = mixed_table()
    X["home=town"] = [f"L{j % 12}" for j in range(len(X))]
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
    assert "levels of home=town: differences from their mean" in str(moe.coefficients())


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
    assert set(table.parts) == {"prediction", "errors"}
    assert "The gate, GaussianGate, has no coefficients." in str(table)
    assert set(moe.set_params(n_experts=1).fit(X, y).coefficients().parts) == {"prediction"}


@pytest.mark.parametrize(
    ("likelihood", "term"), [("gaussian", "standard deviation"), ("student_t", "scale")]
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_experts_that_differ_in_their_errors_alone_can_be_told_apart(likelihood, term, n_outputs):
    X = np.random.default_rng(0).normal(size=(400, 2))
    sizes = np.where(X[:, :1] > 0, 3.0, 0.2) * [1.0, 5.0][:n_outputs]
    y = X[:, 1:] + sizes * np.random.default_rng(1).normal(size=(400, n_outputs))
    y = y if n_outputs > 1 else y.ravel()
    settings = {"training": "em", "n_experts": 2, "likelihood": likelihood, "n_init": 2}
    moe = MixtureOfExpertsRegressor(random_state=0, **settings).fit(X, y)
    errors = moe.coefficients().to_frame().loc["errors"]
    names = [term] if n_outputs == 1 else [f"{term}, output {j}" for j in range(n_outputs)]
    assert errors.index.tolist() == names
    assert_allclose(errors.to_numpy().T, moe.likelihood_.scale_.reshape(2, n_outputs))
    assert (errors.max(axis=1) > 8 * errors.min(axis=1)).all()
    if likelihood == "gaussian":
        moe.set_params(training="pooled").fit(X, y)
        errors = moe.coefficients(by="expert").to_frame().loc["errors"]
        assert (errors.max(axis=1) > 8 * errors.min(axis=1)).all()
    alone = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood).fit(X, y)
    assert "errors" not in alone.coefficients().parts


def test_summary_says_how_far_from_the_coefficients_it_is():
    X, y = mixed_table()
    em = {"n_experts": 2, "training": "em", "n_init": 2, "random_state": 0}
    y, X = y + 2 * np.random.default_rng(2).normal(size=len(y)), X[["dose"]]
    early = MixtureOfExpertsRegressor(tol=1e-3, **em).fit(X, y)
    table, found = early.coefficients(), early.summary(X, y)
    note = next(each for each in found.notes if "where EM stopped" in each)
    far = float(note.split("up to ")[1].split()[0])
    apart = (
        table.to_frame().loc["prediction"].to_numpy().T - found.estimate[:6].reshape(2, 3)[:, :2]
    )
    assert 0 < (abs(apart) / found.std_error[:6].reshape(2, 3)[:, :2]).max() < 1.1 * far
    late = MixtureOfExpertsRegressor(tol=1e-12, max_iter=5000, **em).fit(X, y)
    assert "where EM stopped" not in str(late.summary(X, y))


def table_of_strings(n_samples=400):
    """A number, a kind of three levels, a town of twelve, and a target of two regimes."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["high", "low", "mid"], n_samples, p=[0.2, 0.5, 0.3])
    town = rng.integers(12, size=n_samples)
    X = pd.DataFrame({"dose": rng.normal(size=n_samples), "kind": kind})
    X["town"] = [f"town {j:02}" for j in town]
    y = rng.normal(size=12)[town] + 2.0 * (kind == "mid") + 0.3 * rng.normal(size=n_samples)
    is_second = rng.random(n_samples) < np.where(kind == "low", 0.2, 0.8)
    return X, y + is_second * (4.0 + 2 * X["dose"])


def same_row(moe, part, names):
    """Part and column of ``coefficients`` that have what stands in a part of ``summary``."""
    if part.startswith("gate: "):
        return f"gate: log-odds against {names[0]}", part.removeprefix("gate: ").split()[0]
    name, _, classes = part.partition(": ")
    if classes:
        return f"log-odds of {classes}", name
    return "prediction" if moe.likelihood == "auto" else "logarithm of the prediction", name


@pytest.mark.parametrize(
    ("by", "settings"),
    [
        ("expert", {"n_experts": 1}),
        ("expert", {"n_experts": 2}),
        ("regime", {"n_experts": 2, "regimes": 1}),
        ("expert", {"training": "em", "n_experts": 2, "tol": 1e-10}),
        ("expert", {"n_experts": 2, "likelihood": "poisson"}),
        ("expert", {"n_experts": 2, "classes": 3}),
        ("expert", {"n_experts": 1, "training": "em", "classes": 2}),
    ],
    ids=str,
)
def test_they_are_the_estimates_of_summary(by, settings):
    X, y = table_of_strings()
    settings, kind, tolerance = dict(settings), MixtureOfExpertsRegressor, 1e-7
    n_classes = settings.pop("classes", None)
    if n_classes:
        kind, X = MixtureOfExpertsClassifier, X[["dose", "kind"]]
        y = np.digitize(y, [0, 2][: n_classes - 1])
    if settings.pop("regimes", None):  # one regression with heavy tails
        errors = np.random.default_rng(1).standard_t(2, size=len(y))
        X, y = X[["dose", "kind"]], X["dose"] + (X["kind"] == "low") + errors
    if "likelihood" in settings:
        y = np.round(np.exp(y / 3))
    if settings.get("training") == "em":
        X, tolerance = X[["dose", "kind"]], 1e-2  # summary goes on to the maximum
    weight = 1.0 + (X["kind"] == "high") * 9.0  # by which it is the most frequent level
    moe = kind(n_init=2, random_state=0, **settings).fit(X, y, weight)
    assert by == "expert" or moe.n_regimes_ < len(moe.experts_)
    table, summary = moe.coefficients(by=by).to_frame(), moe.summary(X, y, weight, by=by).to_frame()
    assert table.loc[table.index.isin(["kind=high (reference)"], level="term")].eq(0).all(axis=None)
    names, n_compared = list(table.columns), 0
    for (part, term), estimate in summary["estimate"].items():
        place, name = same_row(moe, part, names)
        if (place, term) in table.index and name in names and np.isfinite(estimate):
            assert_allclose(
                table.loc[(place, term), name], estimate, rtol=tolerance, atol=tolerance
            )
            n_compared += 1
    assert n_compared >= 4 * len(names)
    assert {t for t in summary.index.get_level_values("term") if "=" in t} == {
        t for t in table.index.get_level_values("term") if "=" in t
    }
