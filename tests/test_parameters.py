"""Parameters, clones, pickles, displays, metadata, labels and what is kept of the folds."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import get_tags

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Categorical

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(80, 2))
Y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=80)
C = (X[:, 0] * X[:, 1] > 0).astype(int)
GROUPS = np.arange(80) // 5
QUICK = {"n_init": 1, "random_state": 0}


def regressor(experts=None, n_experts=2, **params):
    return MixtureOfExpertsRegressor(experts, n_experts, **(settings_for(experts) | params))


def classifier(experts=None, n_experts=2, **params):
    return MixtureOfExpertsClassifier(experts, n_experts, **(settings_for(experts) | params))


def settings_for(experts):
    """Experts that are given are trained by EM."""
    return QUICK | {"training": "auto" if experts is None else "em"}


def unlike(**params):
    experts = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2))]
    return regressor(experts, "auto", **params)


# get_params, set_params, clone ----------------------------------------------------------------


def test_parameters_of_a_single_expert_are_those_of_experts():
    moe = regressor(Ridge(alpha=2.0), gate=SoftmaxGate(alpha=0.5))
    assert moe.get_params()["experts__alpha"] == 2.0
    assert moe.get_params()["gate__alpha"] == 0.5
    assert "experts__alpha" not in moe.get_params(deep=False)
    assert moe.set_params(experts__alpha=3.0, gate__alpha=1.0, tol=1e-3) is moe
    assert (moe.experts.alpha, moe.gate.alpha, moe.tol) == (3.0, 1.0, 1e-3)


def test_parameters_of_listed_experts_go_by_their_names():
    moe = unlike()
    assert moe.get_params()["tree__max_depth"] == 2
    assert moe.get_params()["ridge"] is moe.experts[0][1]
    moe.set_params(tree__max_depth=5, ridge=LinearRegression())
    assert moe.experts[1][1].max_depth == 5
    assert isinstance(moe.experts[0][1], LinearRegression)


def test_dropped_expert_is_left_out():
    moe = unlike().set_params(tree="drop").fit(X, Y)
    assert list(moe.named_experts_) == ["ridge"]
    assert moe.gate_proba(X).shape == (80, 1)


@pytest.mark.parametrize(
    "experts",
    [
        [Ridge(), DecisionTreeRegressor()],
        [Ridge(), RandomForestRegressor(), Ridge(), Ridge()],
        [make_pipeline(Ridge()), "drop", make_pipeline(Ridge())],
        [FrozenEstimator(Ridge()), "drop", "drop"],
    ],
)
def test_experts_without_names_have_those_of_a_pipeline(experts):
    moe, named = regressor(experts, "auto"), make_pipeline(*experts).steps
    assert moe._expert_list()[0] == [name for name, each in named if each != "drop"]
    with_names = regressor(named, "auto")
    assert moe.get_params().keys() == with_names.get_params().keys()
    assert moe.experts is experts
    assert clone(moe).get_params().keys() == moe.get_params().keys()


def test_parameters_of_experts_without_names_are_set_by_those_they_get():
    experts = [Ridge(), DecisionTreeRegressor(), Ridge()]
    moe = regressor(experts, "auto")
    moe.set_params(decisiontreeregressor__max_depth=5, **{"ridge-2__alpha": 3.0})
    assert (experts[1].max_depth, experts[2].alpha) == (5, 3.0)
    moe.set_params(**{"ridge-1": "drop"}, tol=0.1)  # and the others keep their names
    assert moe.get_params()["ridge-2"] is experts[2]
    assert isinstance(experts[0], Ridge)
    assert moe._expert_list()[0] == ["decisiontreeregressor", "ridge-2"]
    moe.set_params(experts=[Ridge()], ridge__alpha=7.0)
    assert moe.experts[0].alpha == 7.0
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        moe.set_params(colour=1)


def test_one_call_turns_one_expert_into_a_list_and_back():
    moe = regressor(Ridge(), "auto")
    moe.set_params(experts=[("a", Ridge()), ("b", Ridge())], b__alpha=7.0)
    assert moe.get_params()["b__alpha"] == 7.0
    moe.set_params(experts=Ridge(), experts__alpha=4.0)
    assert moe.get_params()["experts__alpha"] == 4.0


def test_clone_copies_experts_and_gate():
    moe = unlike(gate=SoftmaxGate(alpha=0.3), cv=2).fit(X, Y)
    copied = clone(moe)
    assert not hasattr(copied, "experts_")
    assert copied.get_params()["tree__max_depth"] == 2
    assert copied.gate.alpha == 0.3
    assert copied.gate is not moe.gate
    assert copied.experts[0][1] is not moe.experts[0][1]
    np.testing.assert_array_equal(copied.fit(X, Y).predict(X), moe.predict(X))


def test_fit_leaves_parameters_alone():
    moe = unlike(gate=SoftmaxGate(), cv=2)
    before = {key: repr(value) for key, value in moe.get_params().items()}
    moe.fit(X, Y)
    assert {key: repr(value) for key, value in moe.get_params().items()} == before
    assert moe.gate_.get_params() == SoftmaxGate().get_params()


def test_grid_search_goes_over_experts_gate_and_their_number():
    moe = regressor(Ridge(), gate=SoftmaxGate(), max_iter=20, tol=1e-2)
    grid = {"n_experts": [1, 2], "experts__alpha": [0.1, 100.0], "gate__alpha": [0.1]}
    search = GridSearchCV(moe, grid, cv=3, error_score="raise").fit(X, Y)
    assert search.best_params_["n_experts"] == 2  # planted: two planes behind a hinge
    assert search.best_params_["experts__alpha"] == 0.1
    assert len(search.best_estimator_.experts_) == 2


# Pickle ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "experts", "y"),
    [
        (regressor, None, Y),
        (classifier, None, C),
        (regressor, DecisionTreeRegressor(max_depth=2), Y),
        (classifier, DecisionTreeClassifier(max_depth=2), C),
    ],
)
def test_skops_has_few_types_to_trust_and_loads_the_same_mixture(make, experts, y):
    skops = pytest.importorskip("skops.io")
    moe = make(experts).fit(X, y)
    saved = skops.dumps(moe)
    types = skops.get_untrusted_types(data=saved)
    assert len(types) < 15
    of_others = {"sklearn.utils._bunch.Bunch", "sklearn.tree._tree.Tree"}
    assert {each for each in types if not each.startswith("skmoe.")} <= of_others
    revived = skops.loads(saved, trusted=types)
    np.testing.assert_array_equal(revived.predict(X), moe.predict(X))
    np.testing.assert_array_equal(revived.log_density(X, y), moe.log_density(X, y))
    assert str(revived.expert_report()) == str(moe.expert_report())
    if experts is None:  # it goes on with a stream as well
        for each in (moe, revived):
            each.partial_fit(X[:50], y[:50])
        np.testing.assert_array_equal(revived.predict(X), moe.predict(X))


def test_file_of_joblib_holds_the_same_mixture(tmp_path):
    moe = regressor(DecisionTreeRegressor(max_depth=2), cv=3).fit(X, Y)
    joblib.dump(moe, tmp_path / "moe.joblib", compress=3)
    for mmap_mode in (None, "r"):
        if mmap_mode:  # read-only arrays, which only an uncompressed file has
            joblib.dump(moe, tmp_path / "moe.joblib")
        revived = joblib.load(tmp_path / "moe.joblib", mmap_mode=mmap_mode)
        np.testing.assert_array_equal(revived.predict(X), moe.predict(X))
        np.testing.assert_array_equal(revived.log_density(X, Y), moe.log_density(X, Y))


# Display --------------------------------------------------------------------------------------


# Tags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moe", "sparse", "allow_nan", "multi_output"),
    [
        (regressor(), True, True, True),
        (regressor(gate=GaussianNB()), False, False, True),
        (regressor(Ridge()), True, False, True),
        (regressor(Ridge(), gate=ConstantGate()), True, False, True),
        (regressor(Ridge(), gate=LogisticRegression()), True, False, True),
        (regressor(HistGradientBoostingRegressor()), False, True, False),
        (regressor(DecisionTreeRegressor(), gate=DecisionTreeClassifier()), True, True, True),
        (
            regressor([("a", DecisionTreeRegressor()), ("b", HistGradientBoostingRegressor())]),
            False,
            True,
            False,
        ),
        (regressor([("a", DecisionTreeRegressor()), ("b", Ridge())]), True, False, True),
        (regressor([("a", DecisionTreeRegressor()), ("b", "drop")]), True, True, True),
        (regressor(make_pipeline(StandardScaler(), Ridge())), False, True, True),
    ],
)
def test_tags_are_what_all_parts_take(moe, sparse, allow_nan, multi_output):
    tags = get_tags(moe)
    assert (tags.input_tags.sparse, tags.input_tags.allow_nan) == (sparse, allow_nan)
    assert tags.target_tags.multi_output == multi_output


# Names of columns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "experts",
    [None, Ridge(), DecisionTreeRegressor(max_depth=2), make_pipeline(StandardScaler(), Ridge())],
)
def test_names_of_columns_are_kept_and_checked(experts):
    table = pd.DataFrame(X, columns=["left", "right"])
    moe = regressor(experts).fit(table, Y)
    assert moe.feature_names_in_.tolist() == ["left", "right"]
    moe.predict(table)  # a warning of an expert about names would be an error
    with pytest.raises(ValueError, match="feature names should match"):
        moe.predict(table[["right", "left"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        moe.predict(X)


def test_refit_on_an_array_forgets_the_names():
    moe = regressor().fit(pd.DataFrame(X, columns=["left", "right"]), Y).fit(X, Y)
    assert not hasattr(moe, "feature_names_in_")
    assert not hasattr(moe.experts_[0], "feature_names_in_")


@pytest.mark.parametrize("last", [Ridge(), DecisionTreeRegressor(max_depth=2)])
def test_parts_of_a_pandas_world_fit_together(last):
    steps = (PolynomialFeatures(2), StandardScaler())
    with config_context(transform_output="pandas"):
        gate = make_pipeline(StandardScaler(), LogisticRegression())
        moe = regressor(make_pipeline(*steps, last), gate=gate).fit(X, Y)
        in_pandas = moe.predict(X)  # a warning about names would be an error
        with config_context(transform_output="default"):
            in_arrays = clone(moe).fit(X, Y).predict(X)
        np.testing.assert_allclose(in_pandas, in_arrays)


# Metadata -------------------------------------------------------------------------------------


class Remember(RegressorMixin, BaseEstimator):
    """Regressor that tells the first column, which tells the rows, of what each fit sees."""

    seen = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(frozenset(X[:, 0].astype(int).tolist()))
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.zeros(len(X))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("cv", ["auto", 4, GroupKFold(4)])
def test_rows_of_one_group_stay_in_one_fold(cv, routing):
    numbered = np.arange(80.0)[:, None]
    Remember.seen.clear()
    with config_context(enable_metadata_routing=routing):
        regressor(Remember(), cv=cv, n_experts=1).fit(numbered, Y, groups=GROUPS)
    *in_folds, of_all = Remember.seen
    assert of_all == set(range(80))
    assert len(set(in_folds)) == (5 if cv == "auto" else 4)
    for seen in in_folds:
        left_out = sorted(of_all - seen)
        assert left_out
        assert not set(GROUPS[left_out]) & set(GROUPS[sorted(seen)])


def test_auto_makes_no_more_folds_than_groups():
    Remember.seen.clear()
    moe = regressor(Remember(), n_experts=1)
    moe.fit(np.arange(80.0)[:, None], Y, groups=np.arange(80) % 3)
    assert len(set(Remember.seen)) == 3 + 1  # and all rows
    assert "3 folds" in moe.plan_.predictions


def test_cross_validate_routes_weights_and_groups():
    weight = rng.uniform(0.5, 2, size=80)
    with config_context(enable_metadata_routing=True):
        moe = regressor(DecisionTreeRegressor(max_depth=2), cv=GroupKFold(3))
        moe.set_fit_request(sample_weight=True)
        result = cross_validate(
            moe,
            X,
            Y,
            cv=GroupKFold(2),
            params={"sample_weight": weight, "groups": GROUPS},
            return_estimator=True,
            return_indices=True,
            scoring=make_scorer(r2_score).set_score_request(sample_weight=False),
            error_score="raise",
        )
    train = result["indices"]["train"][0]
    by_hand = clone(moe).fit(X[train], Y[train], sample_weight=weight[train], groups=GROUPS[train])
    np.testing.assert_allclose(result["estimator"][0].predict(X), by_hand.predict(X))


def scaled(last):
    """A Pipeline with steps that take weights, nested ones too."""
    return make_pipeline(
        make_column_transformer((StandardScaler(), [0, 1])), StandardScaler(), last
    )


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 80)])
@pytest.mark.parametrize(
    ("make", "experts", "y"),
    [
        (regressor, scaled(DecisionTreeRegressor(max_depth=2)), Y),
        (regressor, scaled(Ridge()), Y),
        (regressor, [("a", scaled(Ridge())), ("b", Ridge())], Y),
        (classifier, scaled(DecisionTreeClassifier(max_depth=2)), C),
        pytest.param(
            classifier,
            CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2), cv=2),
            C,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["tree", "ridge", "list", "classifier", "calibrated"],
)
def test_responsibilities_reach_the_last_step_with_and_without_routing(make, experts, y, weight):
    moe = make(experts, "auto" if isinstance(experts, list) else 2, max_iter=3, cv=2)
    with config_context(enable_metadata_routing=True):
        routed = clone(moe).fit(X, y, sample_weight=weight)
    plain = clone(moe).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.log_density(X, y), plain.log_density(X, y))


def test_requests_of_the_estimators_that_were_passed_stay_as_they_were():
    expert = scaled(DecisionTreeRegressor(max_depth=2))
    with config_context(enable_metadata_routing=True):
        regressor(expert).fit(X, Y)
        assert all(not hasattr(step, "_metadata_request") for _, step in expert.steps)


# Classes --------------------------------------------------------------------------------------


def test_balanced_classes_are_those_of_weights_by_hand():
    y = (X[:, 0] + 0.3 * rng.normal(size=80) > 0.6).astype(int)
    balanced = classifier(class_weight="balanced", tol=1e-3).fit(X, y)
    by_hand = classifier(tol=1e-3).fit(X, y, sample_weight=(80 / (2 * np.bincount(y)))[y])
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X), atol=1e-9)
    # In-sample logistic experts with an intercept keep the (weighted) shares of the classes.
    share = np.average(balanced.predict_proba(X)[:, 1], weights=(1 / np.bincount(y))[y])
    assert share == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([False, True]), np.array([-1, 7])]
)
@pytest.mark.parametrize("experts", [None, DecisionTreeClassifier(max_depth=2, random_state=0)])
def test_labels_of_any_kind_are_predicted_as_they_came(experts, labels):
    moe, numbers = classifier(experts).fit(X, labels[C]), classifier(experts).fit(X, C)
    assert moe.classes_.tolist() == labels.tolist()
    assert moe.predict(X).dtype == labels.dtype
    np.testing.assert_array_equal(moe.predict(X), labels[numbers.predict(X)])
    np.testing.assert_array_equal(moe.log_density(X, labels[C]), numbers.log_density(X, C))


@pytest.mark.parametrize("calibration", ["auto", "temperature", "smoothing", None])
def test_class_that_a_fold_lacks_gets_a_probability(calibration):
    y = C.copy()
    y[:2] = 2  # in one fold, or in two, of KFold: some model never sees it, if in one
    classes = []

    class Telling(DecisionTreeClassifier):
        def fit(self, X, y, sample_weight=None):
            super().fit(X, y, sample_weight)
            classes.append(self.classes_.tolist())
            return self

    likelihood = Categorical(calibration=calibration)
    moe = classifier(Telling(max_depth=2), cv=KFold(4), likelihood=likelihood)
    moe.fit(X, y)
    assert [0, 1] in classes
    assert any(expert.classes_.tolist() == [0, 1, 2] for expert in moe.experts_)
    assert (moe.predict_proba(X)[:, 2] > 0).all()
    assert np.isfinite(moe.oof_log_density_).all()


# What is kept of the folds ---------------------------------------------------------------------


def test_frozen_expert_stays_as_it_is():
    frozen = Ridge().fit(X, Y + 1)
    moe = regressor([("frozen", FrozenEstimator(frozen)), ("new", Ridge())], "auto").fit(X, Y)
    np.testing.assert_array_equal(moe.predict_experts(X)[:, 0], frozen.predict(X))


@pytest.mark.parametrize("make", [regressor, classifier])
def test_out_of_fold_attributes_are_there_only_with_folds(make):
    y = Y if make is regressor else C
    kept = ("oof_score_", "oof_log_density_", "oof_responsibilities_")
    moe = make(cv=3, training="em").fit(X, y)
    assert all(hasattr(moe, name) for name in kept)
    assert moe.oof_log_density_.shape == (80,)
    np.testing.assert_allclose(moe.oof_responsibilities_.sum(axis=1), 1.0)
    before = moe.predict(X)
    del moe.oof_log_density_, moe.oof_responsibilities_  # as the guide's page on serving does
    np.testing.assert_array_equal(moe.predict(X), before)
    assert "cross-fitted" in moe._why_not_solved()[0]
    moe.set_params(cv=False).fit(X, y)
    assert not any(hasattr(moe, name) for name in kept)


def test_out_of_fold_score_is_the_weighted_mean_of_the_rows():
    weight = rng.uniform(0.5, 2, size=80)
    moe = regressor(DecisionTreeRegressor(max_depth=2)).fit(X, Y, sample_weight=weight)
    assert moe.oof_score_ == pytest.approx(np.average(moe.oof_log_density_, weights=weight))


def test_out_of_fold_densities_are_those_of_models_that_did_not_see_the_row():
    folds, tree = KFold(4), DecisionTreeRegressor(max_depth=3, random_state=0)
    moe = regressor(tree, cv=folds, n_experts=1).fit(X, Y)
    predictions = np.empty((80, 1))
    for train, test in folds.split(X):
        predictions[test, 0] = clone(tree).fit(X[train], Y[train]).predict(X[test])
    log_density = moe.likelihood_.components(predictions).logpdf(Y[:, None])[:, 0]
    np.testing.assert_allclose(moe.oof_log_density_, log_density, rtol=1e-9)
    assert moe.log_density(X, Y).mean() > moe.oof_score_  # what is refitted did see them


# Other attributes -----------------------------------------------------------------------------


@pytest.mark.parametrize("experts", [None, DecisionTreeRegressor(max_depth=2)])
def test_clones_are_ordered_by_falling_load(experts):
    moe = regressor(experts, n_experts=3, training="em").fit(X, Y)
    assert list(moe.named_experts_) == ["expert0", "expert1", "expert2"]
    assert list(moe.named_experts_.values()) == moe.experts_
    assert (np.diff(moe.expert_load_) <= 0).all()
    np.testing.assert_allclose(moe.gate_proba(X).mean(axis=0), moe.expert_load_)
    columns = [expert.predict(X) for expert in moe.experts_]
    np.testing.assert_array_equal(moe.predict_experts(X), np.column_stack(columns))


def test_listed_experts_keep_their_order():
    experts = [("far", DummyRegressor(strategy="constant", constant=9.0)), ("ridge", Ridge())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the first one collapses, as it should
        moe = regressor(experts, "auto").fit(X, Y)
    assert list(moe.named_experts_) == ["far", "ridge"]
    assert moe.expert_load_[0] < moe.expert_load_[1]


@pytest.mark.parametrize(
    "init", ["kmeans_y", "kmeans_xy", "kmeans_x", "functions", "residuals", "scattered"]
)
def test_each_start_leads_to_a_fit_that_beats_one_expert(init):
    moe = regressor(init=init, n_init=2).fit(X, Y)
    assert moe.log_density(X, Y).mean() > regressor(n_experts=1).fit(X, Y).log_density(X, Y).mean()


@pytest.mark.parametrize("make", [regressor, classifier])
def test_start_of_ones_own_sees_the_data_as_they_came(make):
    seen = []

    def start(X_seen, y_seen, n_experts, random_state):
        seen.append((X_seen, y_seen, n_experts))
        right = X_seen[:, 0] > 0
        return np.column_stack([right, ~right]) * 3.0

    y = Y if make is regressor else np.where(C, "yes", "no")
    moe = make(init=start, n_init=2).fit(X, y)
    assert len(seen) == 2
    for X_seen, y_seen, n_experts in seen:
        np.testing.assert_array_equal(X_seen, X)
        np.testing.assert_array_equal(y_seen, y)
        assert n_experts == 2
    assert len(moe.experts_) == 2
