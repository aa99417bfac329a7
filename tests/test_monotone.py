"""Mixtures of experts that are monotone in a column."""

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe._experts.least_squares import monotone_columns
from skmoe.gates import ForestGate

LIGHT = {"n_estimators": 30, "num_leaves": 8, "verbose": -1, "n_jobs": 1}
QUICK = {"cv": 3, "random_state": 0}


def regimes(n=400):
    """Rows whose first column also says which of two regimes a row is of, and how it errs."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n, 3))
    is_low = rng.uniform(size=n) < 1 / (1 + np.exp(-5 * X[:, 0] - 2 * X[:, 1]))
    y = np.where(is_low, X[:, 0] - 2, X[:, 0] + 1) + X[:, 2] ** 2
    return X, y + (0.05 + 0.2 * (X[:, 0] > 0)) * rng.normal(size=n)


def steepest_fall(moe, X, column=0):
    """Largest fall of means and quantiles along a column, others held, of 50 rows."""
    grid = np.linspace(-1.1, 1.1, 45)
    profiles = np.repeat(np.asarray(X)[:50], len(grid), axis=0)
    profiles[:, column] = np.tile(grid, 50)
    values = np.column_stack([moe.predict(profiles), moe.predict_quantiles(profiles, [0.1, 0.9])])
    return -np.diff(values.reshape(50, len(grid), 3), axis=1).min()


@pytest.mark.parametrize(
    ("experts", "settings"),
    [
        (LGBMRegressor(monotone_constraints=[1, 0, 0], **LIGHT), {"n_experts": 2}),
        (LGBMRegressor(monotone_constraints=[1, 0, 0], **LIGHT), {"n_experts": 1}),
        (HistGradientBoostingRegressor(max_iter=10, monotonic_cst=[1, 1, 1]), {"n_experts": 2}),
        (
            HistGradientBoostingRegressor(max_iter=10, monotonic_cst=[1, 0, 0]),
            {"n_experts": 2, "training": "em", "max_iter": 2},
        ),
        (
            [
                ("few", LGBMRegressor(monotone_constraints=[1, 0, 0], **LIGHT)),
                ("hist", HistGradientBoostingRegressor(max_iter=20, monotonic_cst=[1, 0, 0])),
            ],
            {"training": "stack"},
        ),
    ],
    ids=["clones", "generalist", "every column", "em", "stack"],
)
def test_means_and_quantiles_are_monotone_as_the_experts_are(experts, settings):
    X, y = regimes()
    moe = MixtureOfExpertsRegressor(experts, **settings, **QUICK).fit(X, y)
    assert steepest_fall(moe, X) < 1e-9
    if moe.n_experts != 1:
        assert "in which experts are monotone" in moe.plan_.reasons["gate"]


def test_sparse_rows_can_be_constrained_in_every_column():
    X, y = regimes(200)
    expert = LGBMRegressor(monotone_constraints=[1, 1, 1], **LIGHT)
    moe = MixtureOfExpertsRegressor(expert, 2, training="em", max_iter=2, cv=2, random_state=0)
    found = moe.fit(sparse.csr_matrix(X), y).predict(sparse.csr_matrix(X))
    assert_allclose(found, moe.fit(X, y).predict(X), rtol=1e-6)


def test_a_gate_that_sees_the_column_breaks_it():
    X, y = regimes()
    expert = LGBMRegressor(monotone_constraints=[1, 0, 0], **LIGHT)
    gate = ForestGate(random_state=0)
    moe = MixtureOfExpertsRegressor(expert, 2, gate=gate, **QUICK).fit(X, y)
    assert steepest_fall(moe, X) > 0.5


def test_constraints_are_read_as_the_libraries_write_them():
    def columns(*experts, names=range(3)):
        return monotone_columns(experts, list(names))

    boosting = HistGradientBoostingRegressor
    up = boosting(monotonic_cst=[0, 1, -1])
    assert columns(up) == [1, 2]
    assert columns(up, boosting(monotonic_cst=[0, 1, 1])) == [1]  # the last is not of one direction
    assert columns(up, boosting()) == []
    assert columns(boosting(monotonic_cst={"b": -1}), names="abc") == [1]
    assert columns(LGBMRegressor(monotone_constraints="1,0,-1")) == [0, 2]
    light = LGBMRegressor()  # the strings are those of CatBoost
    for text, expected in {
        "[1,0,-1]": [0, 2],
        "0:1,2:-1": [0, 2],
        "b: 1": [1],
        "a:0,c:-1": [2],
    }.items():
        assert columns(light.set_params(monotone_constraints=text), names="abc") == expected
    assert columns(make_pipeline(StandardScaler(), up)) == []  # whatever its columns are
    xgboost = pytest.importorskip("xgboost").XGBRegressor
    assert columns(xgboost(monotone_constraints="(0,1,-1)")) == [1, 2]
    assert columns(xgboost(monotone_constraints={"c": 1}), names="abc") == [2]
