"""When "auto" makes folds, and what happens where out-of-bag predictions or scales give out."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._data import Rows
from skmoe._experts.folds import OutOfBag, Splitting
from skmoe.exceptions import ScaleFloorWarning
from skmoe.gates import ConstantGate


def auto(estimators, X, n_rows):
    rows = Rows(X, np.zeros(len(X)), np.ones(len(X)))
    return Splitting("auto", {}, None, 0, False, n_rows).folds(estimators, rows)


def line(n_samples, n_columns, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_columns))
    return X, X[:, 0] + noise * rng.normal(size=n_samples)


@pytest.mark.parametrize("unit", ["group", "subject"])
def test_one_of_what_folds_are_made_of_is_an_error_that_says_so(unit):
    X, y, ids = np.zeros((5, 1)), np.arange(5.0), np.zeros(5)
    facts = {"groups" if unit == "group" else unit: ids}
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(), 1)
    with pytest.raises(ValueError, match=f"need two {unit}s or more; found 1"):
        moe.fit(X, y, **facts)


@pytest.mark.parametrize("jitter", [0.0, 1e-6])
@pytest.mark.parametrize("classifies", [False, True])
def test_folds_are_those_of_the_rows_before_they_were_copied(classifies, jitter):
    X, y = line(60, 2, 0)
    y = (y > 1).astype(int) if classifies else y
    often, splitting = np.tile(np.arange(60), 3), Splitting(5, {}, None, 0, classifies)
    near = X[often] + jitter * np.random.default_rng(1).normal(size=(180, 2))
    one = splitting.folds([], Rows(X, y, np.ones(60)))
    many = splitting.folds([], Rows(near, y[often], np.full(180, 1 / 3)))
    for fold, of_many in zip(one, many, strict=True):
        for part, part_of_many in zip(fold, of_many, strict=True):
            assert sorted([*part] * 3) == sorted(often[part_of_many])


def test_forests_are_not_predicted_out_of_bags_that_hold_copies():
    X, y = line(60, 2, 0)
    forest, often = RandomForestRegressor(20), np.repeat(np.arange(60), 2)
    splitting = Splitting("auto", {}, None, 0, False)
    alone, copied = Rows(X, y, np.ones(60)), Rows(X[often], y[often], np.ones(120))
    assert isinstance(splitting.folds([forest], alone), OutOfBag)
    assert isinstance(splitting.folds([forest], copied), list)
    with pytest.raises(ValueError, match=r"70 folds were asked for, more than the 60 .* rows"):
        replace(splitting, cv=70).folds([forest], copied)


# Rows a coefficient -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimators", "n_coefficients"),
    [
        ([LinearRegression()], 4),
        ([Ridge()] * 3, 12),
        ([make_pipeline(PolynomialFeatures(2, include_bias=False), Ridge())] * 2, 20),
        ([LinearRegression(), make_pipeline(PolynomialFeatures(2), Ridge())], 15),
        ([MixtureOfExpertsRegressor(n_experts=2, training="em")] * 2, 16),
    ],
)
def test_linear_experts_are_in_sample_from_ten_rows_a_coefficient_on(estimators, n_coefficients):
    X, _ = line(50, 3, 0)
    assert auto(estimators, X, 10.0 * n_coefficients) is None
    assert len(auto(estimators, X, 10.0 * n_coefficients - 1)) == 5


def test_weights_count_as_rows():
    X, y = line(80, 3, 0)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=ConstantGate(), n_init=1, random_state=0, training="em"
    )
    assert not hasattr(moe.fit(X, y), "oof_score_")
    assert hasattr(moe.fit(X, y, sample_weight=np.full(80, 0.9)), "oof_score_")
    assert not hasattr(moe.fit(X[:40], y[:40], sample_weight=np.full(40, 2.0)), "oof_score_")


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.parametrize(  # 3.8, 1.6 and 0.7 rows a coefficient
    "n_columns", [pytest.param(n, marks=[pytest.mark.slow] * (n != 30)) for n in (12, 30, 70)]
)
def test_intervals_cover_new_rows_where_lines_have_too_many_coefficients(n_columns):
    covered = []
    for seed in (0, 10, 20):
        X, y = line(100, n_columns, seed)
        X_test, y_test = line(2000, n_columns, seed + 1)
        moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, training="em").fit(X, y)
        low, high = moe.predict_interval(X_test, 0.9).T
        covered.append(np.mean((low <= y_test) & (y_test <= high)))
        assert moe.oof_score_ < moe.log_density(X, y).mean()
    assert 0.8 < np.mean(covered)


# Scales at their floor --------------------------------------------------------------------------


def test_scale_at_its_floor_is_reported_with_the_name_of_its_expert():
    X, y = line(60, 1, 0)
    experts = [("noisy", LinearRegression()), ("exact", LinearRegression())]
    y = np.where(X[:, 0] > 0, 3.0, y)
    moe = MixtureOfExpertsRegressor(experts, random_state=0)
    with pytest.warns(ScaleFloorWarning, match=r"experts \['(noisy|exact)'\] predict their rows"):
        moe.fit(X, y)
    assert "almost without error." in moe.plan_.findings[-1]
    with pytest.warns(ScaleFloorWarning, match=r"\['expert0', 'expert1'\]"):
        MixtureOfExpertsRegressor(n_experts=2, cv=False, random_state=0, training="em").fit(
            *line(40, 30, 0)
        )


@pytest.mark.parametrize(
    ("n_samples", "likelihood"),
    [
        (40, "gaussian"), (40, "student_t"), (200, "gaussian"),
        pytest.param(200, "student_t", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_defaults_do_not_warn_of_scales_on_ordinary_data(n_samples, likelihood):
    for seed in range(2):
        X, y = line(n_samples, 2, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", ScaleFloorWarning)
            MixtureOfExpertsRegressor(
                n_experts=2, likelihood=likelihood, n_init=3, random_state=seed, training="em"
            ).fit(X, y)


# Out of bag -------------------------------------------------------------------------------------


def uneven(n_samples, seed):
    """Rows of which the heaviest are in every bag that is drawn by weight."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    return X, X[:, 0] + 0.3 * rng.normal(size=n_samples), rng.pareto(1.0, size=n_samples) + 0.05


@pytest.mark.parametrize("n_trees", [30, 100])
def test_forests_whose_bags_all_hold_the_heavy_rows_fall_back_to_folds(n_trees):
    X, y, weight = uneven(66, 0)
    forest = RandomForestRegressor(n_trees, min_samples_leaf=3)
    moe = MixtureOfExpertsRegressor(forest, 3, max_iter=1, random_state=0).fit(X, y, weight)
    assert np.isfinite(moe.oof_log_density_).all()
    with pytest.raises(ValueError, match="so that these have no out-of-bag prediction"):
        moe.set_params(cv="oob").fit(X, y, weight)
