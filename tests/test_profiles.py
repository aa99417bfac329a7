"""Profiles of experts: shares, means and lifts as pandas computes them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import Ridge

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate


def table_of_two_regimes(n_samples=400):
    """Old rows are mostly of the high kind; a hole in every seventh age."""
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, n_samples)
    kinds = np.where(age > 40, "high", rng.choice(["low", "mid"], n_samples))
    X = pd.DataFrame({"age": age, "kind": kinds, "member": rng.uniform(size=n_samples) < 0.3})
    X["noise"] = rng.normal(size=n_samples)
    y = np.where(age > 40, 10.0, -10 + X["noise"]) + rng.normal(size=n_samples)
    X.loc[::7, "age"] = np.nan
    X.loc[3::50, "kind"] = None
    return X, pd.Series(y, name="income")


@pytest.fixture(scope="module")
def profiled():
    X, y = table_of_two_regimes()
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=3, random_state=0)
    return moe.fit(X, y), X, y


def test_shares_and_means_are_weighted_by_responsibility(profiled):
    moe, X, y = profiled
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    profiles = moe.expert_profiles(X, y, weight).profiles
    resp = moe.responsibilities(X, y) * weight[:, None]
    shares = resp.sum(axis=0) / weight.sum()
    assert [p.expert for p in profiles] == [f"expert{k}" for k in np.argsort(-shares)]
    for profile in profiles:
        k = int(profile.expert[-1])
        assert_allclose(profile.share, shares[k])
        assert_allclose(profile.rows, resp[:, k].sum())
        assert_allclose(profile.target, np.average(y, weights=resp[:, k]))
        predicted = np.average(moe.predict_experts(X)[:, k], weights=resp[:, k])
        assert_allclose(profile.prediction, predicted)


def test_differences_and_lifts_are_those_of_pandas(profiled):
    moe, X, y = profiled
    frame = moe.expert_profiles(X, y).to_frame()
    resp = moe.responsibilities(X, y)
    levels = pd.get_dummies(X[["kind", "member"]].astype(object), prefix_sep="=", dtype=float)
    levels["age missing"], levels["kind missing"] = X["age"].isna(), X["kind"].isna()
    assert set(frame.loc["expert0"].index) == {"age", "noise", *levels.columns}
    for k in range(2):
        of_expert = frame.loc[f"expert{k}"]
        for name, column in {"age": X["age"], "noise": X["noise"], **levels.astype(float)}.items():
            seen = column.notna()
            inside = np.average(column[seen], weights=resp[seen, k])
            outside = np.average(column[seen], weights=1 - resp[seen, k])
            row = of_expert.loc[name]
            assert_allclose([row["inside"], row["outside"]], [inside, outside])
            assert_allclose(row["difference"], (inside - outside) / column.std(ddof=0))
            lift = inside / column.mean() if name in levels else np.nan
            assert_allclose(row["lift"], lift)
        assert of_expert["difference"].abs().round(9).is_monotonic_decreasing


def test_without_a_target_rows_belong_where_the_gate_sends_them(profiled):
    moe, X, _ = profiled
    profiles = moe.expert_profiles(X).profiles
    gate_proba = moe.gate_proba(X)
    for profile in profiles:
        k = int(profile.expert[-1])
        assert_allclose(profile.share, gate_proba[:, k].mean())
        assert profile.target is None


def test_a_typical_row_is_one_of_its_own_near_the_average(profiled):
    moe, X, y = profiled
    X = X.set_index(np.array([f"row {i}" for i in range(len(X))]))
    resp = moe.responsibilities(X, y)
    for profile in moe.expert_profiles(X, y).profiles:
        k, row = int(profile.expert[-1]), X.index.get_loc(profile.typical)
        assert resp[row].argmax() == k
        assert profile.typical_values["kind"] == X["kind"].iloc[row]
        own = resp[:, k] > 0.5
        assert abs(X["noise"].iloc[row] - X["noise"][own].mean()) < 0.5
        assert X["kind"].iloc[row] == X["kind"][own].mode()[0]


def test_rows_may_be_described_by_other_columns(profiled):
    _, X, y = profiled
    scaled = (X[["noise"]] - 3) / 7
    moe = MixtureOfExpertsRegressor(Ridge(), 2, n_init=2, random_state=0).fit(scaled, y)
    described = moe.expert_profiles(scaled, y, described_by=X).to_frame()
    assert {"age", "kind=high", "noise"} <= set(described.loc["expert0"].index)
    of_noise = moe.expert_profiles(scaled, y).to_frame().xs("noise", level="feature")
    assert_allclose(7 * of_noise["inside"] + 3, described.xs("noise", level="feature")["inside"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        moe.expert_profiles(scaled, y, described_by=X[:10])


def test_responsibilities_may_be_given(profiled):
    moe, X, y = profiled
    given = np.random.default_rng(0).dirichlet([1, 1], size=len(y))
    for target in (y, None):
        profiles = moe.expert_profiles(X, target, responsibilities=given).profiles
        shares = {profile.expert: profile.share for profile in profiles}
        assert_allclose([shares["expert0"], shares["expert1"]], given.mean(axis=0))
    with pytest.raises(ValueError, match=r"\(400, 2\) is needed"):
        moe.expert_profiles(X, y, responsibilities=given[:5])


def test_sparse_columns_are_refused():
    X = sparse.random(100, 3, density=0.5, random_state=0, format="csr")
    moe = MixtureOfExpertsRegressor(Ridge(), 1, gate=ConstantGate(), cv=2).fit(X, np.arange(100))
    with pytest.raises(ValueError, match="needs dense columns"):
        moe.expert_profiles(X)


@pytest.mark.parametrize("likelihood", ["poisson", "log_normal", "student_t"])
def test_predictions_are_in_the_units_of_the_target(likelihood):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1))
    y = rng.poisson(np.exp(1 + 0.3 * X[:, 0])) + 1.0
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=likelihood).fit(X, y)
    profile = moe.expert_profiles(X, y).profiles[0]
    assert_allclose(profile.prediction, moe.predict(X).mean())
    assert_allclose(profile.prediction, y.mean(), rtol=0.1)
