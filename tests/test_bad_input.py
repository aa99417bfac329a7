"""Input that cannot be used: the error says what to do, the estimator stays as it was."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import decomposition, linear_model
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, gates
from skmoe._compat import InvalidParameterError
from skmoe._experts.prediction import aligned_proba
from skmoe.exceptions import ExpertCollapseWarning, IgnoredWeightsWarning, SmallWeightsWarning
from skmoe.gates import BaseGate, ConstantGate, GaussianGate, SoftmaxGate
from skmoe.metrics import pinball_score

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(60, 2))
Y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=60)
LABELS = np.where(X[:, 0] * X[:, 1] > 0, "same", "differ")
QUICK = {"n_init": 1, "random_state": 0, "training": "em"}
ALL_ZERO = "zero for every row|at least one non-zero"  # the second is scikit-learn's, since 1.9


class Unkind(RegressorMixin, BaseEstimator):
    """Regressor that raises on few rows, or answers nonsense."""

    def __init__(self, how="raise"):
        self.how = how

    def fit(self, X, y, sample_weight=None):
        if self.how == "raise" and len(X) < len(LABELS):  # rows were dropped: EM is under way
            raise ZeroDivisionError("nothing to divide by")
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        if self.how == "nan":
            return np.full(len(X), np.nan)
        if self.how == "an output a row":
            return X[:, :2].T
        return np.zeros((len(X), 3)) if self.how == "shape" else X[:, 0]


class SilentClassifier(ClassifierMixin, BaseEstimator):
    """Classifier without probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]


class UnkindClassifier(SilentClassifier):
    """Classifier of other than probabilities of its classes."""

    def __init__(self, n_columns=2, low=0.0):
        self.n_columns = n_columns
        self.low = low

    def predict_proba(self, X):
        proba = np.full((len(X), self.n_columns), self.low)
        proba[:, 0] = 1 - self.low
        return proba


class NanGate(BaseGate):
    """Gate that knows nothing."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.arange(y.shape[1])
        return self

    def predict_log_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)

    def reorder(self, order):
        """There is no order."""


def snapshot(estimator):
    """Attributes and how each is printed: the same object may have changed within."""
    return {key: (value, repr(value)) for key, value in vars(estimator).items()}


def assert_same(estimator, before):
    assert list(vars(estimator)) == list(before)
    for key, (value, text) in before.items():
        assert vars(estimator)[key] is value, key
        assert repr(vars(estimator)[key]) == text, key


def assert_fit_raises(estimator, X_bad, y_bad, kind, match, **fit_params):
    """Fit raises and changes nothing, on a fresh estimator and on a fitted one."""
    before = snapshot(estimator)
    with pytest.raises(kind, match=match) as caught:
        estimator.fit(X_bad, y_bad, **fit_params)
    assert_same(estimator, before)

    is_regressor = isinstance(estimator, MixtureOfExpertsRegressor)
    fitted = type(estimator)(None, 2, **QUICK).fit(X, Y if is_regressor else LABELS)
    vars(fitted).update(estimator.get_params(deep=False))
    before = snapshot(fitted)
    with pytest.raises(kind, match=match):
        fitted.fit(X_bad, y_bad, **fit_params)
    assert_same(fitted, before)
    return caught.value


regressor = partial(MixtureOfExpertsRegressor, n_experts=2, **QUICK)


classifier = partial(MixtureOfExpertsClassifier, n_experts=2, **QUICK)


def with_value(array, value):
    array = np.array(array, dtype=float)
    array[3, ...] = value
    return array


# Rows, targets and weights ------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [1, 2])
def test_fewer_rows_than_experts_are_refused_with_both_numbers(n_samples):
    match = f"n_samples={n_samples} rows.*n_experts=3.*fewer experts"
    assert_fit_raises(
        regressor(n_experts=3, training="em"), X[:n_samples], Y[:n_samples], ValueError, match
    )


def test_rows_of_zero_weight_do_not_count_as_rows():
    weight = np.zeros(60)
    weight[:2] = 1
    assert_fit_raises(
        regressor(n_experts=3, training="em"),
        X,
        Y,
        ValueError,
        "n_samples=2 rows",
        sample_weight=weight,
    )


def test_one_class_is_refused_by_its_label():
    match = "one class only, 'same'"
    assert_fit_raises(classifier(), X, np.full(60, "same"), ValueError, match)


@pytest.mark.parametrize("experts", [None, DecisionTreeRegressor(max_depth=2)])
@pytest.mark.parametrize("constant", [0.0, 7.25, -1e12])
def test_constant_target_fits_with_a_finite_density(experts, constant):
    y = np.full(60, constant)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one expert is enough: the other collapses
        moe = regressor(experts).fit(X, y)
    assert (moe.likelihood_.scale_ > 0).all()
    assert np.isfinite(moe.likelihood_.scale_).all()
    assert np.isfinite(moe.log_density(X, y)).all()
    np.testing.assert_allclose(moe.predict(X), constant, rtol=1e-9, atol=1e-9)


TARGETS = {np.nan: "Input y contains NaN: drop the rows", np.inf: "Input y contains infinity"}


@pytest.mark.parametrize("value", TARGETS)
def test_target_that_is_not_finite_is_refused(value):
    assert_fit_raises(regressor(), X, with_value(Y, value), ValueError, TARGETS[value])


@pytest.mark.parametrize("make", [regressor, classifier])
def test_missing_target_is_refused(make):
    assert_fit_raises(make(), X, None, ValueError, "requires y to be passed")


def test_strings_as_target_of_the_regressor_are_refused():
    assert_fit_raises(
        regressor(), X, LABELS, ValueError, "y holds strings, and has to hold numbers"
    )


def test_numbers_as_target_of_the_classifier_are_refused():
    assert_fit_raises(classifier(), X, Y, ValueError, "continuous")


@pytest.mark.parametrize("make", [regressor, classifier])
def test_rows_and_targets_of_unlike_number_are_refused(make):
    assert_fit_raises(
        make(), X, LABELS[:-1] if make is classifier else Y[:-1], ValueError, "60.*59"
    )


def test_infinite_entry_of_an_array_is_refused():
    assert_fit_raises(regressor(), with_value(X, -np.inf), Y, ValueError, "infinity")


def test_infinite_entry_of_a_table_is_refused_with_its_column():
    table = pd.DataFrame({"age": X[:, 0], "income": with_value(X, np.inf)[:, 1]})
    match = r"infinity, in the columns \['income'\]"
    assert_fit_raises(regressor(), table, Y, ValueError, match)


@pytest.mark.parametrize("shape", [(0, 2), (60, 0)])
def test_table_without_rows_or_columns_is_refused(shape):
    table = pd.DataFrame(np.empty(shape))
    assert_fit_raises(regressor(), table, Y[: shape[0]], ValueError, "needs a row and a column")


def test_one_dimensional_rows_are_refused():
    assert_fit_raises(regressor(), X[:, 0], Y, ValueError, "Expected 2D array")


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.full(60, -1.0), "Negative values"),
        (np.zeros(60), ALL_ZERO),
        (np.full(60, np.nan), "NaN"),
        (np.ones(59), r"\(59,\)"),
        (np.ones((60, 2)), "1D"),
    ],
    ids=["negative", "zero", "nan", "short", "2d"],
)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_weights_that_weigh_nothing_are_refused(make, weight, match):
    y = Y if make is regressor else LABELS
    assert_fit_raises(make(), X, y, ValueError, match, sample_weight=weight)


def test_class_weights_of_zero_are_refused():
    moe = classifier(class_weight={"same": 0.0, "differ": 0.0})
    assert_fit_raises(moe, X, LABELS, ValueError, ALL_ZERO)


def test_unknown_keyword_of_fit_is_refused_by_name():
    assert_fit_raises(regressor(), X, Y, TypeError, r"fit takes groups.*'colour'", colour=Y)


# Experts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (regressor(KMeans), "is a class: call it"),
        (regressor(Ridge), "'expert0'.*is a class: call it"),
        (
            classifier([("logit", LogisticRegression)], n_experts="auto"),
            "'logit'.*is a class: call it",
        ),
        (regressor(gate=SoftmaxGate), "gate must be.*is a class: call it"),
        (regressor(OneHotEncoder()), r"fit and predict; OneHotEncoder\(\) lacks \['predict'\]"),
        (classifier(SilentClassifier()), r"fit and predict_proba.*lacks \['predict_proba'\]"),
        (
            classifier([("svc", SVC(probability=False))], n_experts="auto"),
            r"'svc'.*lacks \['predict_proba'\]; .* CalibratedClassifierCV",
        ),
        (regressor("ridge"), "'experts' parameter"),
        (regressor(gate=Ridge()), "'gate' parameter.*'fit' and 'predict_proba'"),
    ],
)
def test_expert_or_gate_that_cannot_answer_is_refused(estimator, match):
    y = Y if isinstance(estimator, MixtureOfExpertsRegressor) else LABELS
    assert_fit_raises(estimator, X, y, (TypeError, ValueError), match)


def test_classifier_among_the_regressors_is_refused():
    moe = regressor([("a", Ridge()), ("b", LogisticRegression())], n_experts="auto")
    message = r"'b' should be a regressor \(others are for MixtureOfExpertsClassifier\)"
    assert_fit_raises(moe, X, Y, ValueError, message)
    with pytest.raises(ValueError, match=r"not a list: begin with a name"):
        moe.set_params(experts__alpha=2.0)
    moe = regressor(Ridge(), n_experts=1).fit(X, Y)
    with pytest.raises(AttributeError, match="No log_evidence_: training='pooled' has it"):
        moe.log_evidence_  # noqa: B018


def test_regressor_among_the_classifiers_is_refused():
    class Both(Ridge):
        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    assert_fit_raises(classifier(Both()), X, LABELS, ValueError, "'expert0' should be a class")


def test_error_of_an_expert_within_em_keeps_its_type_and_names_the_expert():
    experts = [("good", Ridge()), ("bad", Unkind())]
    halves = np.eye(2)[(X[:, 0] > 0).astype(int)]
    moe = regressor(experts, n_experts="auto", cv=False, init=lambda *args: halves)
    error = assert_fit_raises(moe, X, Y, ZeroDivisionError, "nothing to divide by")
    assert any("fit of expert 'bad'" in note for note in error.__notes__)


@pytest.mark.parametrize(
    ("expert", "parameter"),
    [
        (Ridge(alpha=-1.0), "alpha"),
        (Ridge(solver="none"), "solver"),
        (LogisticRegression(C=-1.0), "C"),
        (LogisticRegression(C=0.0), "C"),
        (PoissonRegressor(alpha=-1.0), "alpha"),
    ],
)
def test_parameters_of_experts_that_are_solved_are_checked_as_theirs(expert, parameter):
    moe, y = (classifier, LABELS) if is_classifier(expert) else (regressor, np.ceil(np.abs(Y)))
    settings = {"likelihood": "poisson"} if isinstance(expert, PoissonRegressor) else {}
    match = f"'{parameter}' parameter of {type(expert).__name__}"
    assert_fit_raises(moe(expert, **settings), X, y, InvalidParameterError, match)


@pytest.mark.parametrize("moe", [regressor(n_experts=2), regressor(Ridge(), n_experts=2)])
def test_numbers_whose_squares_are_infinite_are_refused(moe):
    match = "whose square is infinite: give it in larger units"
    assert_fit_raises(moe, X * [1, 1e200], Y, ValueError, match)
    assert_fit_raises(moe, X, Y * 1e200, ValueError, match)


@pytest.mark.parametrize("size", [1e102, 1e120, 1e170, 1e300, 1e-102, 1e-120, 1e-170, 1e-310])
@pytest.mark.parametrize(
    "moe",
    [regressor(), regressor(DecisionTreeRegressor(), n_experts=1), regressor(gate=GaussianGate())],
    ids=["linear", "tree", "gaussian gate"],
)
def test_numbers_of_which_squares_are_none_are_refused_with_their_column(moe, size):
    match = "square is (infinite|zero): give it in (larger|smaller) units, divided by"
    table = pd.DataFrame({"age": X[:, 0], "income": X[:, 1] * size})
    assert_fit_raises(moe, table, Y, ValueError, f"Column 'income' of X.*{match}")
    assert_fit_raises(moe, table.to_numpy(), Y, ValueError, f"Column 1 of X.*{match}")
    assert_fit_raises(moe, X, Y * size, ValueError, f"^y has.*{match}")
    assert_fit_raises(
        moe, X, Y, ValueError, f"^sample_weight has.*{match}", sample_weight=np.full(60, size)
    )


@pytest.mark.parametrize("size", [1e98, 1e-98])
def test_numbers_just_within_the_limits_are_fitted_as_all_others(size):
    for gate in (SoftmaxGate(), GaussianGate()):
        score = regressor(gate=gate).fit(X, Y).score(X, Y)
        tables = [(X * size, Y), (X, Y * size), (X * size, Y * size)]
        for rows, target in [*tables, (X.astype(np.float32), Y * size)]:
            moe = regressor(gate=gate).fit(rows, target)
            # EM stops at tol, which rounding brings a step forward or back
            assert moe.score(rows, target) == pytest.approx(score, abs=1e-4)
            assert np.isfinite(moe.log_density(rows, target)).all()


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [1e-19, 1e-6, 1e6, 1e19])
def test_weights_within_the_limits_are_added_up_in_either_precision(make, dtype, weight):
    y = Y if make is regressor else LABELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallWeightsWarning)
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # where priors outweigh the rows
        for rows in (X, X * [1e-15, 1e15]):
            moe = make(cv=False).fit(rows.astype(dtype), y, sample_weight=np.full(60, weight))
            assert np.isfinite(moe.lower_bound_)
            assert weight < 1 or moe.score(rows.astype(dtype), y) > 0.8


def test_a_mean_beyond_all_numbers_is_refused():
    y = np.exp(100 * Y)  # of a scale of about 50: the mean is exp(50**2 / 2) medians
    moe = regressor(n_experts=1, likelihood="log_normal").fit(X, y)
    with pytest.raises(ValueError, match="mean of row 0 is infinite.*median"):
        moe.predict(X)
    assert np.isfinite(moe.predict_dist(X).median()).all()


def test_classifier_as_gate_that_predicts_nan_is_refused_when_predicting():
    moe = regressor(gate=GaussianNB()).fit(X, Y)
    moe.gate_.classifier_.predict_proba = lambda X: np.full((len(X), 2), np.nan)
    with pytest.raises(ValueError, match=r"The gate GaussianNB\(\) predicted NaN"):
        moe.predict(X)


def test_sparse_column_that_is_too_large_is_refused():
    rows = sparse.csr_array(X * [1.0, 1e150])
    assert_fit_raises(regressor(Ridge()), rows, Y, ValueError, "Column 1 of X.*infinite")


def test_a_column_that_is_constant_may_be_zero():
    moe = regressor().fit(np.column_stack([X, np.zeros(60)]), Y)
    assert np.isfinite(moe.predict(np.column_stack([X, np.full(60, 1e-300)]))).all()


@pytest.mark.parametrize("gate", [SoftmaxGate(), GaussianGate(), ConstantGate()])
def test_rows_too_large_to_compute_with_are_refused_when_predicting(gate):
    moe = regressor(gate=gate).fit(X, Y)
    for method in (moe.predict, moe.gate_proba, moe.predict_dist):
        with pytest.raises(ValueError, match="Column 1 of X has 1e[+]160"):
            method([[0.0, 1e160]])
    with pytest.raises(ValueError, match="^y has 1e[+]170"):
        moe.log_density(X[:1], [1e170])


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("scale", [1 / 60, 1e-6, 1e-18])
def test_weights_that_make_all_rows_less_than_a_few_are_warned_of(make, scale):
    y = Y if make is regressor else LABELS
    weight = rng.uniform(0.5, 1.5, size=60) * (np.arange(60) % 3 > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # they are few rows
        with pytest.warns(SmallWeightsWarning, match="over 40 rows.*by its mean"):
            make().fit(X, y, sample_weight=weight * scale)


@pytest.mark.parametrize(
    "weight",
    [
        np.ones(60),
        np.full(60, 0.3),
        0.9 ** np.arange(60.0),  # old rows fade: the sum is small, no row that counts is
        (np.arange(60) < 20) * 1.0,
        np.full(60, 1e9),
    ],
    ids=["ones", "shares", "fading", "few", "many"],
)
def test_weights_that_are_numbers_of_rows_are_not_warned_of(weight):
    with warnings.catch_warnings():
        warnings.simplefilter("error", SmallWeightsWarning)
        warnings.simplefilter("ignore", ExpertCollapseWarning)
        regressor().fit(X, Y, sample_weight=weight)
        inner = MixtureOfExpertsRegressor(n_experts=2, n_init=1, max_iter=2, training="em")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # shares of its own
            regressor(inner, n_experts=4, max_iter=2, cv=False, n_init=1).fit(
                X, Y, sample_weight=weight
            )


@pytest.mark.parametrize("as_table", [True, False])
def test_column_of_unlike_things_is_refused_by_its_name(as_table):
    kinds = np.array([None, 1.5, "a", "b"] * 15, dtype=object)
    rows = np.column_stack([X.astype(object), kinds])
    match = r"columns \[2\]"
    if as_table:
        rows = pd.DataFrame({"age": X[:, 0], "code": kinds})
        match = r"column 'code' holds values of unlike kinds, \['float', 'str'\]"
    assert_fit_raises(regressor(), rows, Y, ValueError, match)


@pytest.mark.parametrize(
    ("train", "weight"),
    [([], np.ones(60)), (np.arange(30, 60), (np.arange(60) < 30) * 1.0)],
    ids=["no row", "no weight"],
)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_folds_that_leave_nothing_to_train_on_are_refused(make, train, weight):
    first, rest = np.arange(30), np.arange(30, 60)
    folds = [(train, first), (first, rest)]
    expert = DecisionTreeRegressor() if make is regressor else DecisionTreeClassifier()
    y = Y if make is regressor else LABELS
    match = "Fold 0 of cv has no row of positive"
    assert_fit_raises(make(expert, cv=folds), X, y, ValueError, match, sample_weight=weight)


def test_error_of_an_expert_in_another_process_keeps_its_type_and_names_the_expert():
    experts = [("good", Ridge()), ("bad", Ridge(alpha=-1.0))]  # of a class that workers can import
    moe = regressor(experts, n_experts="auto", cv=False, n_jobs=2)
    before = snapshot(moe)
    with pytest.raises(InvalidParameterError, match="'alpha' parameter of Ridge") as caught:
        moe.fit(X, Y)
    assert any("fit of expert 'bad'" in note for note in caught.value.__notes__)
    assert_same(moe, before)


def test_error_of_an_expert_when_predicting_names_the_expert():
    moe = regressor([("ridge", Ridge()), ("tree", DecisionTreeRegressor())], n_experts="auto", cv=3)
    moe.fit(X, Y)
    vars(moe.experts_[0])["coef_"] = None
    with pytest.raises(Exception, match="None|NoneType") as caught:
        moe.predict(X)
    assert caught.value.__notes__ == ["Raised by predict of expert 'ridge'."]


def test_expert_that_predicts_nan_is_refused_by_name():
    moe = regressor([("good", Ridge()), ("bad", Unkind("nan"))], n_experts="auto")
    assert_fit_raises(moe, X, Y, ValueError, "'bad' predicted NaN")


def test_probabilities_below_zero_by_rounding_are_zero():
    given = UnkindClassifier(low=-1e-7).fit(X, LABELS)
    proba = aligned_proba(given, X, given.classes_)
    assert proba.min() == 0


@pytest.mark.parametrize(
    ("expert", "match"),
    [
        (Unkind("shape"), r"array of shape \(12, 3\), where \(12,\) is needed: a number for each"),
        (UnkindClassifier(n_columns=3), r"\(12, 3\), where \(12, 2\) is needed: a column for each"),
        (UnkindClassifier(n_columns=1), r"\(12, 1\), where \(12, 2\) is needed: a column for each"),
        (UnkindClassifier(low=-1.0), "probabilities below zero"),
    ],
)
def test_expert_that_predicts_a_wrong_shape_or_no_probabilities_is_refused_by_name(expert, match):
    make, y = (classifier, LABELS) if is_classifier(expert) else (regressor, Y)
    error = assert_fit_raises(make(expert), X, y, ValueError, match)
    assert any("expert 'expert0'" in note for note in error.__notes__)


def test_predictions_with_a_row_for_each_output_are_refused():
    moe = regressor(Unkind("an output a row"))
    match = r"array of shape \(2, 12\), where \(12, 2\) is needed"
    assert_fit_raises(moe, X, np.column_stack([Y, -Y]), ValueError, match)


def test_frozen_expert_that_knows_other_classes_is_refused():
    three = np.array(["differ", "neither", "same"])[np.arange(60) % 3]
    frozen = FrozenEstimator(LogisticRegression().fit(X, three))
    error = assert_fit_raises(classifier(frozen), X, LABELS, ValueError, r"classes \['neither'\]")
    assert any("expert 'expert0'" in note for note in error.__notes__)


@pytest.mark.parametrize(
    ("experts", "n_experts", "match"),
    [
        ([("a", Ridge()), ("b", Ridge())], 3, "n_experts=3, but the list has 2: leave"),
        ([("a", Ridge()), ("b", "drop")], 2, "n_experts=2, but the list has 1: leave"),
        ([("a", "drop"), ("b", "drop")], "auto", "All experts are 'drop'"),
        ([("a", Ridge()), ("a", Ridge())], "auto", "Names provided are not unique"),
        ([("a__b", Ridge())], "auto", "must not contain __"),
        ([("gate", Ridge())], "auto", "conflict with constructor arguments"),
        ([], "auto", "non-empty list"),
        (
            [("a", Ridge()), Ridge()],
            "auto",
            r"of estimators alone or of \(name, estimator\) tuples",
        ),
        ([("a", Ridge(), 1)], "auto", r"of \(name, estimator\) tuples alone"),
        ([["a", Ridge()]], "auto", r"of \(name, estimator\) tuples alone"),
        ([Ridge(), Ridge()], 3, "n_experts=3, but the list has 2: leave"),
        (["drop", "drop"], "auto", "All experts are 'drop'"),
    ],
)
def test_list_of_experts_with_a_mistake_is_refused(experts, n_experts, match):
    moe = MixtureOfExpertsRegressor(experts, n_experts)
    before = snapshot(moe)
    with pytest.raises(ValueError, match=match):
        moe.fit(X, Y)
    assert_same(moe, before)


# Parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "params"),
    [
        (regressor, {"cv": "folds"}),
        (regressor, {"training": "pooling"}),
        (regressor, {"n_experts": "all"}),
        (regressor, {"init": "random"}),
        (classifier, {"class_weight": "even"}),
    ],
)
def test_unknown_string_is_refused_with_the_known_ones(make, params):
    (name,) = params
    y = Y if make is regressor else LABELS
    assert_fit_raises(make(**params), X, y, ValueError, f"'{name}' parameter.*must be")


def test_unknown_likelihood_is_refused_with_the_known_ones():
    message = r"A likelihood must be one of \['beta', 'binomial', .*; got 'normal'"
    assert_fit_raises(regressor(likelihood="normal"), X, Y, ValueError, message)


@pytest.mark.parametrize(
    "params",
    [
        {"n_experts": 0},
        {"n_init": 0},
        {"max_iter": 0},
        {"tol": -1.0},
        {"cv": 1},
        {"top_k": 0},
        {"forget_factor": 0.0},
    ],
)
def test_number_out_of_range_is_refused_by_name(params):
    (name,) = params
    assert_fit_raises(regressor(**params), X, Y, ValueError, f"'{name}' parameter.*in the range")


def test_start_that_looks_at_the_classes_is_refused():
    match = "init='kmeans_y' looks at the target"
    assert_fit_raises(classifier(init="kmeans_y"), X, LABELS, ValueError, match)


def test_gate_that_returns_nan_is_refused():
    assert_fit_raises(regressor(gate=NanGate()), X, Y, ValueError, "NanGate.* returned NaN")


@pytest.mark.parametrize("cv", [TimeSeriesSplit(3), [], [(np.arange(30), np.arange(30, 60))]])
def test_cv_that_leaves_rows_without_prediction_is_refused(cv):
    moe = regressor(DecisionTreeRegressor(), cv=cv)
    assert_fit_raises(moe, X, Y, ValueError, "hold out every row exactly once")


def test_cv_true_is_refused():
    assert_fit_raises(regressor(cv=True), X, Y, ValueError, "cv=True says nothing")


def test_out_of_bag_predictions_of_a_single_tree_are_refused():
    moe = regressor(DecisionTreeRegressor(), cv="oob")
    assert_fit_raises(moe, X, Y, ValueError, "cv='oob' needs bagging.*DecisionTreeRegressor")


def test_out_of_bag_predictions_with_groups_are_refused():
    moe = regressor(RandomForestRegressor(n_estimators=3), cv="oob")
    match = "not whole groups"
    assert_fit_raises(moe, X, Y, ValueError, match, groups=np.arange(60) % 6)


@pytest.mark.parametrize(
    ("init", "match"),
    [
        (lambda X, y, n_experts, random_state: np.ones((len(X), 3)), r"\(60, 3\).*\(60, 2\)"),
        (lambda X, y, n_experts, random_state: np.zeros(len(X)), r"shape \(60,\)"),
        (lambda X, y, n_experts, random_state: np.zeros((len(X), 2)), "zero in a whole row"),
        (lambda X, y, n_experts, random_state: np.full((len(X), 2), np.nan), "not finite"),
    ],
)
def test_start_that_is_no_responsibilities_is_refused(init, match):
    assert_fit_raises(regressor(init=init), X, Y, ValueError, match)


def test_warm_start_with_another_number_of_experts_is_refused():
    moe = regressor(n_experts=2, training="em", warm_start=True).fit(X, Y)
    moe.set_params(n_experts=3)
    before = snapshot(moe)
    with pytest.raises(ValueError, match="warm_start=True.*2 experts; n_experts is 3"):
        moe.fit(X, Y)
    assert_same(moe, before)


# Columns that a part cannot take --------------------------------------------------------------


NAMES = {
    cls.__name__: cls
    for cls in (Ridge, LogisticRegression, SoftmaxGate, OneHotEncoder, SimpleImputer)
} | {"make_pipeline": make_pipeline, "make_column_transformer": make_column_transformer}


def printed_pipeline(error):
    """The Pipeline that an error tells to write, built."""
    code = str(error).split(":\n", 1)[1]
    return eval(code, NAMES)  # noqa: S307


@pytest.mark.parametrize("gate", [SoftmaxGate(alpha=1.0), LogisticRegression(C=0.5)])
def test_pipeline_printed_for_a_gate_that_cannot_take_an_array_fits(gate):
    rows, match = with_value(X, np.nan), f"The gate {type(gate).__name__} cannot take NaN"
    experts = make_pipeline(SimpleImputer(), LinearRegression())
    error = assert_fit_raises(regressor(experts, gate=gate), rows, Y, ValueError, match)
    moe = regressor(experts, gate=printed_pipeline(error)).fit(rows, Y)
    np.testing.assert_allclose(moe.gate_proba(rows).sum(axis=1), 1.0)


def test_pipeline_printed_for_an_array_fits():
    missing = with_value(X, np.nan)
    match = r"LogisticRegression cannot take NaN, which the columns \[0, 1\]"
    error = assert_fit_raises(classifier(LogisticRegression()), missing, LABELS, ValueError, match)
    assert np.isfinite(
        classifier(printed_pipeline(error)).fit(missing, LABELS).predict_proba(X)
    ).all()


@pytest.mark.parametrize(
    ("experts", "gate", "match"),
    [
        ("diverse", None, "experts='diverse'"),
        (None, GaussianNB(), "GaussianNB"),
        (Ridge(), GaussianNB(), "GaussianNB"),
        (HistGradientBoostingRegressor(), ConstantGate(), "HistGradientBoostingRegressor"),
    ],
)
def test_sparse_rows_are_refused_by_the_part_that_needs_dense_ones(experts, gate, match):
    rows = sparse.csr_array(X)
    moe = regressor(experts, gate=gate)
    if experts == "diverse":
        moe.set_params(n_experts="auto")
    assert_fit_raises(moe, rows, Y, TypeError, f"{match}.* needs dense.*toarray")


@pytest.mark.parametrize(
    ("likelihood", "training", "n_columns"),
    [
        (None, "pooled", 60),
        ("poisson", "em", 60),
        ("gamma", "auto", 60),
        ("binomial", "pooled", 60),
    ],
)
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_default_experts_name_experts_and_a_gate_that_take_wide_sparse_rows(
    likelihood, training, n_columns
):
    rows = sparse.random(50, n_columns, density=0.1, format="csr", random_state=0)
    y = np.arange(50) % 2 + (likelihood == "gamma")
    quick = {"n_experts": 2, "n_init": 1, "max_iter": 1, "cv": 2, "training": "em"}
    make = classifier if likelihood is None else partial(regressor, likelihood=likelihood)
    message = f"Sparse data of 50 rows and {n_columns} columns.*fewer than 500"
    error = assert_fit_raises(make(training=training), rows, y, TypeError, message)
    advice = re.search(r"experts=(.*) and gate=(.*); X.toarray", str(error))
    names = {**vars(linear_model), **vars(decomposition), **vars(gates)}
    names["make_pipeline"] = make_pipeline
    experts, gate = (eval(each, names) for each in advice.groups())
    moe = make(experts, gate=gate, **quick).fit(rows, y)
    assert np.isfinite(moe.log_density(rows, y)).all()


# Asked of a fitted mixture --------------------------------------------------------------------


@pytest.mark.parametrize("make", [regressor, classifier])
def test_another_number_of_columns_is_refused(make):
    moe = make().fit(X, Y if make is regressor else LABELS)
    for ask in (moe.predict, moe.gate_proba, moe.predict_experts):
        with pytest.raises(ValueError, match="3 features, but .* is expecting 2"):
            ask(np.column_stack([X, X[:, 0]]))


def test_class_that_fit_did_not_see_is_refused_by_its_label():
    moe = classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match=r"classes \['neither'\], which were not in fit"):
        moe.log_density(X[:2], ["same", "neither"])


def test_other_number_of_targets_is_refused():
    moe = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="outputs"):
        moe.log_density(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        moe.log_density(X, Y[:-1])


@pytest.mark.parametrize("level", [-0.1, 1.1, 90, np.nan])
def test_level_out_of_range_is_refused(level):
    with pytest.raises(ValueError, match=r"level must be in \[0, 1\]"):
        regressor().fit(X, Y).predict_interval(X, level)


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, 50], np.nan, [[0.5]]])
def test_quantile_out_of_range_is_refused_by_the_name_that_was_typed(q):
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, Y)
    in_range = r" must be .*in \[0, 1\]"
    with pytest.raises(ValueError, match="^q" + in_range):
        moe.predict_quantiles(X, q)
    with pytest.raises(ValueError, match="^quantiles" + in_range):
        moe.predict(X, quantiles=q)
    with pytest.raises(ValueError, match="^quantile" + in_range):
        pinball_score(moe, X, Y, quantile=q)


@pytest.mark.parametrize(
    "rows",
    [
        {"a": 1.0, "b": 2.0},
        {"a": [1.0], "b": [2.0]},
        [{"a": 1.0, "b": 2.0}],
        [[{"a": 1.0}, 2.0]],
        {1.0, 2.0},
        (row for row in [[1.0, 2.0]]),
    ],
    ids=["dict", "dict of columns", "list of dicts", "dicts as cells", "set", "generator"],
)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_rows_of_another_kind_are_refused_with_what_to_give(make, rows):
    match = r"^X must be a DataFrame, or an array.*pandas.DataFrame\(\[row\]\)"
    y = Y if make is regressor else LABELS
    assert_fit_raises(make(), rows, y[:1], TypeError, match)
    moe = make(n_experts=1).fit(pd.DataFrame(X, columns=["a", "b"]), y)
    with pytest.raises(TypeError, match=match):
        moe.predict(rows)
    assert moe.predict(pd.DataFrame([{"a": 1.0, "b": 2.0}])).shape == (1,)


@pytest.mark.parametrize("name", ["coef_", "intercept_"])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_coefficients_of_a_mixture_are_told_where_they_are(make, name):
    moe = make(n_experts=1)
    for each in (moe, moe.fit(X, Y if make is regressor else LABELS)):
        assert not hasattr(each, name)
        with pytest.raises(AttributeError, match=rf"coefficients\(\).*experts_\[k\]\.{name}"):
            getattr(each, name)
    assert not hasattr(moe, "coefs_")
    with pytest.raises(AttributeError, match="has no attribute 'coefs_'"):
        moe.coefs_  # noqa: B018
    tree = make(DecisionTreeClassifier() if make is classifier else DecisionTreeRegressor())
    with pytest.raises(AttributeError) as error:
        tree.partial_fit  # noqa: B018
    assert "is not solved in closed form" in str(error.value.__cause__)


@pytest.mark.parametrize("training", ["auto", "em"])
@pytest.mark.parametrize("experts", [None, Ridge(), DecisionTreeRegressor(), "diverse"])
def test_one_row_is_refused(experts, training):
    moe = MixtureOfExpertsRegressor(experts, training=training)
    assert_fit_raises(moe, X[:1], Y[:1], ValueError, "n_samples=1 row")
    weight = np.eye(60)[7]
    assert_fit_raises(moe, X, Y, ValueError, "n_samples=1 row", sample_weight=weight)
    with pytest.raises(ValueError, match="n_samples=1 row"):
        moe.plan(X[:1], Y[:1])


def test_information_criteria_of_cross_fitted_experts_are_refused():
    moe = regressor(DecisionTreeRegressor(max_depth=2)).fit(X, Y)
    for criterion in (moe.bic, moe.aic):
        with pytest.raises(ValueError, match="Information criteria need"):
            criterion(X, Y)


# Weights that cannot arrive -------------------------------------------------------------------


def test_experts_that_cannot_hear_uneven_weights_are_named_in_a_warning():
    some = [("near", KNeighborsRegressor()), ("ridge", Ridge())]
    for experts, named in ((some, r"s \['near'\]"), (KNeighborsRegressor(), "s")):
        moe = regressor(experts, n_experts="auto" if experts is some else 1, training="auto")
        with pytest.warns(IgnoredWeightsWarning, match=f"expert{named} take no sample_weight"):
            moe.fit(X, Y, sample_weight=np.linspace(1, 2, 60))


def test_gate_that_cannot_hear_uneven_weights_is_named_in_a_warning():
    moe = regressor(gate=KNeighborsClassifier())
    with pytest.warns(IgnoredWeightsWarning, match="gate KNeighborsClassifier"):
        moe.fit(X, Y, sample_weight=np.linspace(1, 2, 60))


@pytest.mark.parametrize("weight", [None, np.full(60, 2.0), np.repeat([0.0, 1.0], 30)])
def test_even_weights_are_nothing_to_warn_of(weight):
    moe = regressor(KNeighborsRegressor(), gate=KNeighborsClassifier(), cv=KFold(3))
    moe.fit(X, Y, sample_weight=weight)  # a warning would be an error
    assert moe.n_expert_fits_ >= 3


def test_failed_fit_does_not_touch_the_experts_that_were_passed():
    tree, gate = DecisionTreeClassifier(), SoftmaxGate()
    moe = classifier(tree, gate=gate)
    with pytest.raises(ValueError, match="one class"):
        moe.fit(X, np.zeros(60, dtype=int))
    assert moe.experts is tree
    assert moe.gate is gate
    assert vars(tree) == vars(clone(tree))
    assert vars(gate) == vars(clone(gate))
