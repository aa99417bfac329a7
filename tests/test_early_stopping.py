"""Boosted trees of other libraries that stop early, as experts."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.testing import assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._ready.packages import stops_early, with_median_trees

SMALL = {"num_leaves": 8, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
MANY = 2000
LIGHTGBM = {"n_estimators": MANY, "early_stopping_rounds": 10, "learning_rate": 0.2} | SMALL
XGBOOST = {"n_estimators": MANY, "early_stopping_rounds": 10, "max_depth": 3, "n_jobs": 1}
CATBOOST = {
    "iterations": MANY, "early_stopping_rounds": 10, "depth": 3, "learning_rate": 0.2,
    "thread_count": 1, "verbose": 0, "allow_writing_files": False,
}  # fmt: skip
QUICK = {"n_experts": 2, "n_init": 2, "max_iter": 2, "random_state": 0}


class Recording(LGBMRegressor):
    """Remembers which rows, by the number in the first column, it was fitted and stopped on."""

    stopped = []  # all that were fitted with rows to stop on: a fixture empties it

    def fit(self, X, y, sample_weight=None, **others):
        self.fitted_on_ = X[:, 0].astype(int)
        self.stopped_on_, self.stop_weight_ = None, None
        if "eval_set" in others:
            self.stopped_on_ = others["eval_set"][0][0][:, 0].astype(int)
            self.stop_weight_ = others["eval_sample_weight"][0]
            self.stopped.append(self)
        return super().fit(X, y, sample_weight=sample_weight, **others)


def regressors():
    experts = {"lightgbm": lambda: LGBMRegressor(**LIGHTGBM)}
    experts["pipeline"] = lambda: make_pipeline(StandardScaler(), LGBMRegressor(**LIGHTGBM))
    experts["xgboost"] = lambda: pytest.importorskip("xgboost").XGBRegressor(**XGBOOST)
    experts["catboost"] = lambda: pytest.importorskip("catboost").CatBoostRegressor(**CATBOOST)
    return experts


def classifiers():
    return {
        "lightgbm": lambda: LGBMClassifier(**LIGHTGBM),
        "xgboost": lambda: pytest.importorskip("xgboost").XGBClassifier(**XGBOOST),
        "catboost": lambda: pytest.importorskip("catboost").CatBoostClassifier(**CATBOOST),
    }


def trees_of(expert):
    params = getattr(expert, "_final_estimator", expert).get_params()
    return params["iterations" if "iterations" in params else "n_estimators"]


@pytest.fixture
def stopped(monkeypatch):
    """Models of ``Recording`` that were fitted with rows to stop on, in this test."""
    models = []
    monkeypatch.setattr(Recording, "stopped", models)
    return models


@pytest.fixture(name="rows")
def _rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], 1 - X[:, 1]) + 0.5 * rng.normal(size=300)
    return X, y


@pytest.mark.parametrize("training", ["specialists", "em"])
@pytest.mark.parametrize("name", regressors())
def test_regressors_end_with_the_trees_that_folds_stopped_with(name, training, rows):
    expert = regressors()[name]()
    moe = MixtureOfExpertsRegressor(expert, cv=3, training=training, **QUICK)
    moe.fit(*rows)
    assert all(1 <= trees_of(each) < MANY / 10 for each in moe.experts_)
    assert not any(stops_early(each) for each in moe.experts_)
    assert moe.score(*rows) > 0.6


@pytest.mark.parametrize("name", classifiers())
def test_classifiers_end_with_the_trees_that_folds_stopped_with(name, rows):
    X, y = rows
    moe = MixtureOfExpertsClassifier(classifiers()[name](), cv=3, **QUICK)
    moe.fit(X, (y > 0.5).astype(int))
    assert all(1 <= trees_of(each) < MANY / 10 for each in moe.experts_)
    assert moe.score(X, (y > 0.5).astype(int)) > 0.8


def test_number_of_trees_is_the_median_of_the_folds():
    X, y = np.arange(40.0)[:, None], np.repeat([0.0, 1.0], 20)
    models = []
    for n_trees in (5, 20, 7):
        model = LGBMRegressor(**SMALL).fit(X, y)
        model._best_iteration = n_trees
        models.append(model)
    assert with_median_trees(LGBMRegressor(**LIGHTGBM), models).n_estimators == 7


def test_all_trees_are_fitted_where_no_model_stopped():
    model = DummyClassifier().fit([[0.0]], [1])  # of a fold that holds one class
    expert = make_pipeline(StandardScaler(), LGBMClassifier(**LIGHTGBM))
    assert not stops_early(with_median_trees(expert, [model, model]))
    assert trees_of(with_median_trees(expert, [model])[-1]) == MANY
    lone = LGBMClassifier(**LIGHTGBM | {"n_estimators": 3})
    moe = MixtureOfExpertsClassifier(lone, **QUICK | {"n_experts": 1}).fit([[0.0], [1.0]], [0, 1])
    assert moe.predict_proba([[0.0]]) == pytest.approx(0.5)


def test_models_stop_on_rows_that_are_not_their_folds(rows, stopped):
    """The next fold, whole groups of it: what decides for a row has not seen the row."""
    X, y = rows
    X = np.column_stack([np.arange(300), X])
    groups = np.random.default_rng(1).integers(30, size=300)
    moe = MixtureOfExpertsRegressor(
        Recording(**LIGHTGBM), cv=GroupKFold(3), training="em", **QUICK
    ).fit(X, y, groups=groups)
    folds = [set(test) for _, test in GroupKFold(3).split(X, y, groups)]
    seen = set()
    for model in stopped:
        fitted, stopping = set(model.fitted_on_), set(model.stopped_on_)
        assert fitted
        assert stopping
        (fold,) = (k for k in range(3) if stopping <= folds[(k + 1) % 3])
        seen.add(fold)
        assert not (fitted | stopping) & folds[fold]
        assert not set(groups[list(fitted)]) & set(groups[list(stopping)])
    assert seen == {0, 1, 2}
    assert all(expert.stopped_on_ is None for expert in moe.experts_)  # trees as in the folds


def test_stopping_rows_have_the_weights_of_the_expert(rows, stopped):
    X, y = rows
    X = np.column_stack([np.arange(300), X])
    weight = np.random.default_rng(1).integers(1, 4, size=300)
    MixtureOfExpertsRegressor(
        [("one", Recording(**LIGHTGBM))], cv=3, training="em", random_state=0
    ).fit(X, y, sample_weight=weight)
    assert len(stopped) >= 3
    for model in stopped:
        np.testing.assert_allclose(model.stop_weight_, weight[model.stopped_on_])


@pytest.mark.parametrize("cv", [2, False])
def test_without_a_next_fold_every_fifth_row_stops(cv, rows, stopped):
    X, y = rows
    X = np.column_stack([np.arange(300), X])
    MixtureOfExpertsRegressor(
        [("one", Recording(**LIGHTGBM))], cv=cv, training="em", random_state=0
    ).fit(X, y, sample_weight=np.ones(300))
    n_rows = 300 // (cv or 1)
    assert len(stopped) >= (cv or 1)
    for model in stopped:
        assert len(model.stopped_on_) == n_rows // 5
        assert len(model.fitted_on_) == n_rows - n_rows // 5
        assert not set(model.fitted_on_) & set(model.stopped_on_)


def test_class_that_only_stopping_rows_hold_is_left_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = np.where(X[:, 0] > 0, "a", "b")
    y[0] = "c"
    folds = [
        (np.setdiff1d(np.arange(150), test), test) for test in np.array_split(np.arange(150), 3)
    ]
    moe = MixtureOfExpertsClassifier(LGBMClassifier(**LIGHTGBM), cv=folds, **QUICK).fit(X, y)
    assert moe.score(X, y) > 0.9


def test_noise_is_not_learned():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 4)), rng.normal(size=600)
    moe = MixtureOfExpertsRegressor(LGBMRegressor(**LIGHTGBM), cv=3, **QUICK)
    moe.fit(X[:300], y[:300])
    # 2,000 trees would predict noise with twice its variance: R2 of -1.
    assert moe.score(X[300:], y[300:]) > -0.1


def test_xgboost_callbacks_ask_too_and_others_stay(rows):
    xgboost = pytest.importorskip("xgboost")
    callback = xgboost.callback
    callbacks = [callback.EarlyStopping(rounds=10), callback.LearningRateScheduler(lambda _: 0.2)]
    expert = xgboost.XGBRegressor(n_estimators=MANY, callbacks=callbacks, n_jobs=1)
    moe = MixtureOfExpertsRegressor(expert, cv=3, training="em", **QUICK).fit(*rows)
    for each in moe.experts_:
        assert each.n_estimators < MANY / 10
        assert [type(kept).__name__ for kept in each.callbacks] == ["LearningRateScheduler"]


@pytest.mark.parametrize("by", ["parameter", "dtype"])
def test_categories_reach_lightgbm(by):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    level = rng.integers(20, size=400)
    effect = rng.permutation(np.arange(20.0))  # of no order
    X = np.column_stack([rng.normal(size=400), level])
    y = effect[level] + 0.1 * rng.normal(size=400)
    stump = {"n_estimators": 20, "num_leaves": 3} | {
        key: SMALL[key] for key in ("min_child_samples", "verbose", "n_jobs")
    }

    def splits_by_level(expert, X):
        """Whether trees ask if a row is of certain levels, and not below one."""
        moe = MixtureOfExpertsRegressor(expert, cv=3, **QUICK).fit(X, y)
        trees = [each.booster_.trees_to_dataframe() for each in moe.experts_]
        return any((each["decision_type"] == "==").any() for each in trees)

    assert not splits_by_level(LGBMRegressor(**stump), X)
    if by == "parameter":
        assert splits_by_level(LGBMRegressor(categorical_feature=[1], **stump), X)
    else:
        table = pandas.DataFrame({"x": X[:, 0], "level": pandas.Categorical(level)})
        assert splits_by_level(LGBMRegressor(**stump), table)


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
def test_tables_with_categories_stop_early(library):
    pandas, module = pytest.importorskip("pandas"), pytest.importorskip(library)
    rng = np.random.default_rng(0)
    level = rng.integers(8, size=300)
    table = pandas.DataFrame({"x": rng.normal(size=300)})
    table["c"] = pandas.Categorical(np.array(list("abcdefgh"))[level])
    y = rng.normal(size=8)[level] + table["x"].to_numpy()
    if library == "xgboost":
        expert = module.XGBRegressor(enable_categorical=True, **XGBOOST)
    else:
        expert = module.CatBoostRegressor(cat_features=("c",), **CATBOOST)
    moe = MixtureOfExpertsRegressor(expert, cv=3, **QUICK).fit(table, y)
    assert moe.score(table, y) > 0.95


def test_few_rows_of_lightgbm_are_predicted_as_many_are():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=300)
    moe = MixtureOfExpertsRegressor(LGBMRegressor(**LIGHTGBM), cv=3, **QUICK).fit(X, y)
    expected = np.column_stack([expert.predict(X) for expert in moe.experts_])
    assert_array_equal(moe.predict_experts(X), expected)
    assert_array_equal(moe.predict_experts(X[:20]), expected[:20])
