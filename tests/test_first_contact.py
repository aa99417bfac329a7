"""Default settings on tables with strings, numbers and holes: no error, and no warning."""

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.pipeline import make_pipeline

import skmoe
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.inspection import CalibrationDisplay, ExpertDisplay, GateDisplay, PredictiveDisplay

N_ROWS = 200


def with_holes(X, y):
    """At most 200 rows, drawn, with holes in every third column of strings and of numbers."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))[:N_ROWS]
    X, y = X.iloc[rows].reset_index(drop=True), np.asarray(y)[rows]
    for kind in ({"include": "number"}, {"exclude": "number"}):
        for name in X.select_dtypes(**kind).columns[::3]:
            X[name] = X[name].mask(rng.uniform(size=len(X)) < 0.08)
    return X, y


def of_regimes():
    """Two regimes by region, one of which has no effect of the dose."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"dose": rng.uniform(0, 5, 400), "age": rng.integers(20, 80, 400)})
    X["region"] = rng.choice(["north", "south", "east"], 400)
    X["sex"] = pd.Categorical(rng.choice(["female", "male"], 400))
    slope = np.where(X["region"] == "north", 2.0, 0.0)
    return X, 1 + slope * X["dose"] + 0.4 * rng.normal(size=400)


def of_countries():
    table = pytest.importorskip("plotly.data").gapminder()
    return table[["continent", "year", "pop", "gdpPercap"]], table["lifeExp"]


def of_patients():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X.assign(sex=X["sex"].map({1.0: "first", 2.0: "second"})), y


def of_wines():
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = X[["alcohol", "malic_acid", "hue", "proline"]]
    return X.assign(color=pd.cut(X.pop("hue"), 3, labels=["low", "mid", "high"]).astype(object)), y


MADE = {
    "regimes": of_regimes,
    "countries": of_countries,
    "patients": of_patients,
    "wines": of_wines,
}
SHARED = ["cps1985", "abalone", "titanic", "german_credit"]
OF_CLASSES = {"wines", "titanic", "german_credit"}


@pytest.fixture(name="fitted", scope="module", params=[*MADE, *SHARED])
def _fitted(request):
    """A default mixture, its table and its target."""
    name = request.param
    made = MADE[name]() if name in MADE else request.getfixturevalue("shared_data")(name)[:2]
    X, y = with_holes(*made)
    assert X.isna().any().any()
    assert len(X.select_dtypes(exclude="number").columns) > 0
    mixture = MixtureOfExpertsClassifier if name in OF_CLASSES else MixtureOfExpertsRegressor
    return mixture(random_state=0).fit(X, y), X, y


def test_tables_print(fitted):
    moe, X, y = fitted
    names = set(moe.coefficients().terms)
    for column in X.select_dtypes("number").columns:
        assert column in names
        assert (f"{column} missing" in names) == X[column].isna().any()
    summary = moe.summary(X, y)
    estimates = summary.to_frame()["estimate"]
    strings = X.select_dtypes(exclude="number")
    few = [name for name in strings if strings[name].nunique(dropna=False) < 10]  # not by mean
    references = {f"{name}={strings[name].mode()[0]} (reference)" for name in few}
    assert set(estimates.index[estimates.isna()].get_level_values("term")) == references
    for table in (summary, moe.coefficients(), moe.expert_report()):
        lines = str(table).splitlines()
        assert len(lines) > len(moe.experts_)
        assert "nan" not in str(table)
    n_told, ties = getattr(moe, "n_regimes_", len(moe.experts_)), moe.likelihood_.regime_
    n_functions = len(moe.experts_) if ties is None else len(set(ties))
    if n_functions > n_told:  # a regime of several pieces, which are told one by one
        n_told = len(moe.experts_)
    for profiles in (moe.expert_profiles(X, y), moe.expert_profiles(X)):
        assert str(profiles).count("% of the rows") == n_told


def test_displays_draw(fitted):
    moe, X, y = fitted
    word = X.select_dtypes(exclude="number").columns[0]
    number = X.select_dtypes("number").columns[0]
    is_classifier = isinstance(moe, MixtureOfExpertsClassifier)
    of_class = {"class_of_interest": 1} if is_classifier else {}
    for feature in (word, number):
        ExpertDisplay.from_estimator(moe, X, y, feature, random_state=0, **of_class)
        if not is_classifier:
            PredictiveDisplay.from_estimator(moe, X, y, feature)
    for features in (word,), (number,), (word, number):
        has_gate = len(moe.experts_) > 1
        with nullcontext() if has_gate else pytest.raises(ValueError, match="no gate to draw"):
            GateDisplay.from_estimator(moe, X, y, features, random_state=0)
    if not is_classifier:
        CalibrationDisplay.from_estimator(moe, X, y, random_state=0)


def test_predictions_go_through_a_pipeline(fitted):
    moe, X, y = fitted
    pipe = make_pipeline("passthrough", moe)  # of which predict hands its arguments on
    new = X.iloc[:20].copy()
    new[X.columns[0]] = None  # a hole where there was none
    new = new.astype({X.columns[0]: X.dtypes.iloc[0]}, errors="ignore")
    if isinstance(moe, MixtureOfExpertsClassifier):
        np.testing.assert_allclose(pipe.predict_proba(new).sum(axis=1), 1.0)
        assert pipe.score(X, y) > np.bincount(y).max() / len(y) - 0.05
        return
    quantiles = pipe.predict(new, quantiles=[0.05, 0.5, 0.95])
    assert (np.diff(quantiles, axis=1) > 0).all()
    low, high = pipe.predict(X, quantiles=[0.05, 0.95]).T
    assert 0.8 < np.mean((low <= y) & (y <= high)) < 0.99


def test_sources_that_are_not_compiled_say_what_to_do(tmp_path):
    package = Path(skmoe.__file__).parent
    shutil.copytree(
        package, tmp_path / "skmoe", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    of_sources = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", "import skmoe"],
        cwd=tmp_path, env=of_sources, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: The kernels of skmoe are not compiled")
    assert str(tmp_path) in last
    assert "`pip install -e .`" in last
