"""Mixtures in ONNX, run by onnxruntime, against the mixtures themselves."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import DensityForestRegressor, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._ready.smooth import SmoothRegressor
from skmoe.gates import ConstantGate, ForestGate, GaussianGate, SoftmaxGate, TreeGate

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skmoe.onnx")

# Regimes are two, iterations few: what is learned does not matter here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
QUICK = {"n_init": 2, "random_state": 0}
FOREST = {"n_estimators": 20, "min_samples_leaf": 5, "random_state": 0}
# skl2onnx writes the leaves of forests in single precision.
TOLERANCE = 1e-5


def draw(n_samples, n_columns=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_columns))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], 1 - X[:, 1]) + 0.2 * rng.normal(size=n_samples)
    return X, y


@pytest.fixture(name="rows")
def _rows():
    return draw(200)


@pytest.fixture(name="table")
def _table():
    pandas = pytest.importorskip("pandas")
    X, y = draw(200)
    rng = np.random.default_rng(1)
    table = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "n": rng.integers(9, size=200)})
    table["c"] = rng.choice(["u", "v", "w"], size=200).astype(object)
    table["d"] = rng.choice(["left", "right"], size=200).astype(object)
    table.loc[::17, "a"] = np.nan
    table.loc[::19, "c"] = None
    return table, y


def outputs(estimator, X, options=None):
    """What onnxruntime computes, by the name of the output."""
    options = {id(estimator): options} if options else None
    if hasattr(X, "columns"):  # skl2onnx does not know the strings of pandas 3
        strings = X.columns[[dtype.kind not in "fi" for dtype in X.dtypes]]
        X = X.astype(dict.fromkeys(strings, object))
    graph = skl2onnx.to_onnx(estimator, X[:1], options=options).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feeds = {"X": X}
    if hasattr(X, "columns"):
        feeds = X.fillna(dict.fromkeys(strings, "nan"))
        feeds = {name: column.to_numpy()[:, None] for name, column in feeds.items()}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def check_regressor(moe, X):
    found = outputs(moe, X, {"gate": True})
    np.testing.assert_allclose(found["gate_proba"], moe.gate_proba(X), atol=TOLERANCE)
    prediction = found["variable"].reshape(moe.predict(X).shape)
    np.testing.assert_allclose(prediction, moe.predict(X), atol=TOLERANCE)


def check_classifier(moe, X):
    found = outputs(moe, X, {"gate": True, "zipmap": False})
    np.testing.assert_allclose(found["gate_proba"], moe.gate_proba(X), atol=TOLERANCE)
    np.testing.assert_allclose(found["probabilities"], moe.predict_proba(X), atol=TOLERANCE)
    np.testing.assert_array_equal(found["label"], moe.predict(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"gate": ConstantGate()},
        {"experts": LinearRegression()},
        {"experts": Ridge(), "gate": GaussianGate()},
        {"experts": Ridge(), "likelihood": "student_t", "gate": LogisticRegression()},
        {"experts": Ridge(), "n_experts": 3, "top_k": 2},
        {
            "experts": make_pipeline(StandardScaler(), Ridge()),
            "gate": make_pipeline(StandardScaler(), SoftmaxGate()),
        },
        {"experts": DecisionTreeRegressor(min_samples_leaf=5), "cv": 3},
        {"experts": GradientBoostingRegressor(n_estimators=5), "cv": 3},
    ],
    ids=str,
)
def test_mean_and_gate_are_those_of_the_mixture(parameters, rows):
    X, y = rows
    parameters = {"n_experts": 2, "training": "em", "max_iter": 20, "tol": 1e-2} | parameters
    moe = MixtureOfExpertsRegressor(**parameters, **QUICK).fit(X, y)
    check_regressor(moe, X)


@pytest.mark.parametrize(
    "experts",
    [
        RandomForestRegressor(**FOREST),
        [("line", Ridge()), ("forest", RandomForestRegressor(**FOREST))],
        [("line", Ridge()), ("forest", DensityForestRegressor(20, random_state=0))],
    ],
    ids=["clones", "unlike", "own densities"],
)
def test_experts_on_all_rows_stacks_and_forest_gates(experts, rows):
    training = "stack" if isinstance(experts, list) else "specialists"
    moe = MixtureOfExpertsRegressor(experts, training=training, cv=3, **QUICK)
    check_regressor(moe.fit(*rows), rows[0])
    check_regressor(moe, rows[0].astype(np.float32))


def test_the_diverse_list(rows):
    X, y = rows
    moe = MixtureOfExpertsRegressor("diverse", cv=3, **QUICK)
    moe.fit(X, y)
    assert moe._model.own_density[-2]  # the lines are a mixture
    check_regressor(moe, X)
    check_regressor(moe, X.astype(np.float32))


def test_the_diverse_list_of_a_table(table):
    moe = MixtureOfExpertsRegressor("diverse", cv=3, **QUICK)
    check_regressor(moe.fit(*table), table[0])


class Quantiles(LinearRegression):
    """Tells quantiles, of which the median is no mean."""

    def predict(self, X, quantiles=None):
        line = super().predict(X)
        return line if quantiles is None else line[:, None] - np.log1p(-np.asarray(quantiles))


def test_medians_are_not_taken_for_the_means_of_a_stack(rows, monkeypatch):
    converters = skl2onnx._supported_operators.sklearn_operator_name_map
    monkeypatch.setitem(converters, Quantiles, "SklearnLinearRegressor")
    experts = [("told", Quantiles()), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, training="stack", cv=2, **QUICK).fit(*rows)
    with pytest.raises(NotImplementedError, match="'told'.* takes the mean of its density"):
        outputs(moe, rows[0])


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_smooth_regressors(n_outputs, rows):
    X, y = rows
    y = y if n_outputs == 1 else np.column_stack([y, X[:, 2]])
    kind = np.arange(len(y)) % 5
    X, y = np.column_stack([X, kind]), (y.T + np.array([0.0, 9.0, -5.0, 7.0, -9.0])[kind]).T
    experts = [("smooth", SmoothRegressor()), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, training="em", cv=2, max_iter=2, **QUICK)
    check_regressor(moe.fit(X, y), X)
    assert len(moe.experts_[0].indicators_[0]) == 5


def test_clones_of_a_table(table):
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c", "d"]), (SimpleImputer(), ["a", "b", "n"])
    )
    expert = make_pipeline(encoder, HistGradientBoostingRegressor(max_iter=10))
    moe = MixtureOfExpertsRegressor(expert, 2, cv=3, **QUICK)
    check_regressor(moe.fit(*table), table[0])


@pytest.mark.parametrize("gate", [TreeGate(sizes=[2, 1]), TreeGate(gate=GaussianGate())], ids=str)
def test_trees_of_gates(gate, rows):
    moe = MixtureOfExpertsRegressor(Ridge(), 3, gate=gate, training="em", max_iter=5, **QUICK)
    check_regressor(moe.fit(*rows), rows[0])


def test_log_normal_means(rows):
    X, y = rows
    quick = {"training": "em", "max_iter": 5} | QUICK
    moe = MixtureOfExpertsRegressor(Ridge(), 2, likelihood="log_normal", **quick)
    check_regressor(moe.fit(X, np.exp(0.3 * y)), X)


OF_TREES = {
    "tree": DecisionTreeRegressor(min_samples_leaf=2),
    "forest": RandomForestRegressor(5, min_samples_leaf=5),
    "extra": ExtraTreesRegressor(5, min_samples_leaf=5),
    "gradient": GradientBoostingRegressor(n_estimators=5),
    "bagging": BaggingRegressor(DecisionTreeRegressor(), n_estimators=3),
    "boosting": HistGradientBoostingRegressor(max_iter=5),
    "in a Pipeline": make_pipeline(StandardScaler(), DecisionTreeRegressor(min_samples_leaf=2)),
}


@pytest.mark.parametrize("kind", OF_TREES)
def test_trees_see_rows_as_those_of_scikit_learn_do(kind):
    """On a grid of tenths, many rows in double precision are as far as that from a threshold."""
    rng = np.random.default_rng(0)
    X = rng.integers(-20, 21, size=(300, 2)) / 10
    X[:, 1] -= 121.3  # as longitudes are
    y = np.sin(3 * X[:, 0]) + rng.normal(size=300)
    cells = np.stack(np.meshgrid(*[np.arange(-20, 21) / 10] * 2), axis=-1).reshape(-1, 2)
    cells[:, 1] -= 121.3
    quick = {"cv": 2, "max_iter": 2, "training": "em"} | QUICK
    gate = ForestGate(20, random_state=0) if kind == "tree" else ConstantGate()
    moe = MixtureOfExpertsRegressor(OF_TREES[kind], 2, gate=gate, **quick)
    moe.fit(X, y)
    found = outputs(moe, cells, {"gate": True})
    # Probabilities of the gate's forest, and leaves, are in single precision.
    np.testing.assert_allclose(found["variable"][:, 0], moe.predict(cells), atol=2e-5)
    np.testing.assert_allclose(found["gate_proba"], moe.gate_proba(cells), atol=2e-5)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial", "gamma"])
def test_means_have_the_floor_of_the_mixture(likelihood):
    X = np.random.default_rng(0).normal(size=(60, 1))
    y = np.where(X[:, 0] > 0, 8.0, 0.0 if likelihood != "gamma" else 1e-9)
    experts = DecisionTreeRegressor(max_depth=2)
    quick = {"cv": 2, "max_iter": 2, "training": "em"} | QUICK
    moe = MixtureOfExpertsRegressor(experts, 2, likelihood=likelihood, **quick).fit(X, y)
    moe.likelihood_.floor_ = max(moe.likelihood_.floor_, 0.01)  # Gamma's is next to nothing
    assert moe.predict(X).min() == pytest.approx(moe.likelihood_.floor_)
    check_regressor(moe, X)


@pytest.mark.parametrize("classifies", [False, True])
def test_averages_over_one_expert_and_several(classifies):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = np.where(X[:, 0] > 0, X[:, 1], -0.3 * X[:, 1]) + 0.6 * rng.normal(size=60)
    if classifies:
        X = rng.normal(size=(100, 2))
        log_odds = np.where(X[:, 0] > 0, 3 * X[:, 1], -1.5 * X[:, 1])
        moe = MixtureOfExpertsClassifier(**QUICK).fit(X, log_odds > rng.logistic(size=100))
        check_classifier(moe, X)
    else:
        moe = MixtureOfExpertsRegressor(**QUICK).fit(X, y)
        check_regressor(moe, X)
    assert 0.01 < moe.model_weights_[1] < 0.99


@pytest.mark.parametrize("classifies", [False, True])
def test_one_expert_far_from_the_rows(classifies):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    log_odds = np.where(X[:, 0] > 0, 4 * X[:, 1], -4 * X[:, 1])
    new = 3 * X[:60]
    if classifies:
        moe = MixtureOfExpertsClassifier(**QUICK).fit(X, log_odds > rng.logistic(size=300))
        check_classifier(moe, new)
    else:
        moe = MixtureOfExpertsRegressor(**QUICK).fit(X, log_odds + 0.1 * rng.normal(size=300))
        check_regressor(moe, new)
    assert moe._predictive.weights(new)[1].max() > 0.04


def test_more_columns_than_rows():
    X, y = draw(60, 100)
    moe = MixtureOfExpertsClassifier(n_experts=2, **QUICK).fit(X, y > 0.5)
    assert moe.likelihood_.columns_.basis is not None
    check_classifier(moe, np.random.default_rng(1).normal(size=(20, 100)))


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_several_outputs_and_nested_mixtures(rows):
    X, y = rows
    moe = MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(X, np.column_stack([y, X[:, 2]]))
    check_regressor(moe, X)
    inner = MixtureOfExpertsRegressor(Ridge(), n_experts=2, **QUICK)
    experts = [("inner", inner), ("line", Ridge())]
    nested = MixtureOfExpertsRegressor(experts, training="em", cv=False, max_iter=3, **QUICK)
    check_regressor(nested.fit(X, y), X)


def test_single_precision(rows):
    X, y = rows
    moe = MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(X, y)
    found = outputs(moe, X.astype(np.float32), {"gate": True})
    assert found["variable"].dtype == found["gate_proba"].dtype == np.float32
    np.testing.assert_allclose(found["variable"][:, 0], moe.predict(X), atol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "n_classes"),
    [
        ({}, 2),
        ({}, 3),
        ({"experts": LogisticRegression()}, 3),
        ({"experts": RandomForestClassifier(**FOREST), "cv": 3, "max_iter": 2}, 3),
        (
            {
                "experts": [
                    ("line", LogisticRegression()),
                    ("forest", RandomForestClassifier(**FOREST)),
                ],
                "training": "stack",
                "cv": 3,
            },
            2,
        ),
    ],
    ids=str,
)
def test_class_probabilities_are_those_of_the_mixture(parameters, n_classes, rows):
    X, y = rows
    classes = np.digitize(y, [-0.5, 1.5][: n_classes - 1])
    labels = classes if n_classes == 3 else np.array(["low", "high"])[classes]
    parameters = {"n_experts": 2} | parameters
    if isinstance(parameters.get("experts"), list):
        del parameters["n_experts"]
    check_classifier(MixtureOfExpertsClassifier(**parameters, **QUICK).fit(X, labels), X)


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_histogram_boosting_on_missing_values(n_classes, rows):
    X, y = rows
    X = X.copy()
    X[::7, 0] = np.nan
    settings = {"n_experts": 2, "gate": ConstantGate(), "cv": 2, "max_iter": 2, **QUICK}
    if n_classes == 0:
        boosting = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5)
        tree = MixtureOfExpertsRegressor(DecisionTreeRegressor(), **settings | {"max_iter": 1})
        with pytest.raises(NotImplementedError, match="put a SimpleImputer"):  # not for ever
            skl2onnx.to_onnx(tree.fit(X, y), X[:1])
        return check_regressor(MixtureOfExpertsRegressor(boosting, **settings).fit(X, y), X)
    boosting = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    labels = np.digitize(y, [-0.5, 1.5][: n_classes - 1])
    check_classifier(MixtureOfExpertsClassifier(boosting, **settings).fit(X, labels), X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_histogram_boosting_of_training_rows_at_its_thresholds(dtype):
    # With more rows than bins thresholds are values of rows, which rounding would send elsewhere.
    X = np.random.default_rng(0).normal(size=(600, 3))
    moe = MixtureOfExpertsRegressor(HistGradientBoostingRegressor(max_iter=20), 1, random_state=0)
    moe.fit(X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2])
    found = outputs(moe, X := X.astype(dtype))["variable"][:, 0]
    np.testing.assert_allclose(found, moe.predict(X), atol=1e-5)


def test_table_with_strings_and_missing_values_is_encoded(table):
    X, y = table
    check_regressor(MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(X, y), X)
    check_classifier(MixtureOfExpertsClassifier(n_experts=2, **QUICK).fit(X, y > 0.5), X)


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_a_mixture_of_a_table_that_has_grown(table, training):
    X, y = table
    moe = MixtureOfExpertsRegressor(n_experts=2, training=training, **QUICK).fit(X, y)
    new = X[:40].assign(a=np.linspace(5, 9, 40))
    moe.add_expert(new, 5 - new["a"], replay=(X[40:80], y[40:80]))
    check_regressor(moe, X.assign(c="other"))
    check_regressor(moe.remove_expert("expert0"), X.assign(c="other"))


@pytest.mark.parametrize(("n_classes", "n_experts"), [(2, "auto"), (3, 2)])
def test_pooled_classes_that_have_grown(rows, n_classes, n_experts):
    X, y = (part[:120] for part in rows)
    labels, new = np.digitize(y, [-0.5, 1.5][: n_classes - 1]), X + [9, 0, 0]
    moe = MixtureOfExpertsClassifier(n_experts=n_experts, cv=3, **QUICK).fit(X, labels)
    assert ("_beside" in vars(moe)) == (n_experts == "auto")
    tree = DecisionTreeClassifier(min_samples_leaf=3)
    moe.add_expert(new, (X[:, 1] + 2 * X[:, 2] > 0).astype(int), tree, replay=(X, labels))
    assert moe.likelihood_.temperature_[-1] != 1
    check_classifier(moe, np.vstack([X, new]))


def test_unknown_category_is_that_of_the_mixture(table):
    X, y = table
    moe = MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(X, y)
    new = X.assign(c="other", a=np.nan)
    check_regressor(moe, new)
    check_classifier(MixtureOfExpertsClassifier(n_experts=2, **QUICK).fit(X, y > 0.5), new)


def test_columns_of_numbers_given_one_by_one(table):
    X, y = table
    X = X[["a", "b", "n"]].fillna(0.0)
    check_regressor(MixtureOfExpertsRegressor(Ridge(), 2, **QUICK).fit(X, y), X)


def test_within_a_pipeline_and_a_search(rows):
    X, y = rows
    search = GridSearchCV(
        MixtureOfExpertsRegressor(Ridge(), 2, tol=1e-3, **QUICK), {"experts__alpha": [0.1]}, cv=2
    )
    pipe = make_pipeline(StandardScaler(), search).fit(X, y)
    np.testing.assert_allclose(outputs(pipe, X)["variable"][:, 0], pipe.predict(X), atol=1e-8)
    classes = (y > 0.5).astype(int)
    pipe = make_pipeline(StandardScaler(), MixtureOfExpertsClassifier(n_experts=2, **QUICK))
    # onnxruntime has dictionaries of probabilities, skl2onnx's default, in single precision alone.
    found = outputs(pipe.fit(X, classes), X.astype(np.float32))
    np.testing.assert_array_equal(found["output_label"], pipe.predict(X))
    proba = [[row[0], row[1]] for row in found["output_probability"]]
    np.testing.assert_allclose(proba, pipe.predict_proba(X), atol=1e-5)


class Mean(RegressorMixin, BaseEstimator):
    """An expert that skl2onnx has never heard of."""

    def fit(self, X, y, sample_weight=None):
        self.mean_ = np.average(y, weights=sample_weight)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"experts": [("m", Mean()), ("r", Ridge())], "cv": 3, "training": "em"},
            "expert 'm'.*no converter of Mean",
        ),
        (
            {"experts": Ridge(), "gate": TreeGate([1, 1], LogisticRegression())},
            "gate.*ClassifierGate is none of",
        ),
        (
            {"experts": Ridge(), "gate": make_pipeline(SplineTransformer(), SoftmaxGate())},
            "gate.*no converter of SplineTransformer",
        ),
        (
            {
                "experts": TransformedTargetRegressor(Ridge(), transformer=PowerTransformer()),
                "training": "em",
            },
            "expert 'expert0'.*has to be a StandardScaler",
        ),
        ({"likelihood": "gamma"}, "likelihood PooledGamma"),
    ],
)
def test_what_cannot_be_converted_is_named(parameters, message, rows):
    X, y = rows
    moe = MixtureOfExpertsRegressor(n_experts=2, **parameters, **QUICK).fit(X, np.exp(y))
    with pytest.raises(NotImplementedError, match=message):
        outputs(moe, X)


def test_labels_without_a_converter_are_named(rows):
    X, y = rows
    moe = MixtureOfExpertsClassifier(n_experts=2, **QUICK)
    labels = np.where(y > 0.5, *np.array(["2020", "2021"], "M8[Y]"))
    with pytest.raises(NotImplementedError, match="integers or strings"):
        outputs(moe.fit(X, labels), X)


def test_table_of_another_number_of_columns_is_refused(table):
    X, y = table
    moe = MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(X, y)
    with pytest.raises(ValueError, match="fit had 5 columns; initial_types have 4"):
        outputs(moe, X[["a", "b", "n", "c"]])
    with pytest.raises(ValueError, match="how many columns each input"):
        skl2onnx.to_onnx(
            moe, initial_types=[("X", skl2onnx.common.data_types.FloatTensorType([None, None]))]
        )


@pytest.mark.parametrize("mixture", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_mixtures_that_are_not_fitted_are_refused(mixture):
    with pytest.raises(NotFittedError):
        skl2onnx.to_onnx(mixture(), np.zeros((1, 2)))
