"""scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate

# The checks fit tiny tables, on which experts may collapse and EM may need more iterations:
# or scales may end at their floor: all are reported, as they should be, and none is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning"),
    pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# A start, refits and their end are there in three iterations, folds in two.
QUICK = {"n_init": 1, "max_iter": 3}
BY_EM = {"training": "em", "cv": 2, **QUICK}


def both(regressor=None, classifier=None, **params):
    return [
        MixtureOfExpertsRegressor(regressor, **params),
        MixtureOfExpertsClassifier(classifier, **params),
    ]


# The solvers of sparse X end where their tolerance lets them: the default one is coarser than the
# weights-are-repeats checks.
EXACT = LinearRegression(tol=1e-14)
BY_LOGISTIC = LogisticRegression(solver="newton-cholesky")
UNLIKE = [("ridge", Ridge(tol=1e-12)), ("tree", DecisionTreeRegressor())]

ESTIMATORS = [
    *both(**QUICK),
    MixtureOfExpertsRegressor(UNLIKE, cv=2),
    # In sample.
    *both(gate=BY_LOGISTIC, cv=False, n_experts=2, **QUICK),
    SoftmaxGate(),
    SoftmaxGate(l1_ratio=0.5, max_iter=3),
    GaussianGate(),
    TreeGate(),
]


WITH_FOLDS = [
    # By EM: scikit-learn's boosting and forests, of which scales and gates are made else, hold
    # weights to be no repeats of rows.
    *both(DecisionTreeRegressor(), DecisionTreeClassifier(), n_experts=2, **BY_EM),
    # The same folds for all rows and their copies: three lines through all rows begin alike.
    *both(EXACT, gate=BY_LOGISTIC, n_experts=3, cv=2, n_init=1, max_iter=2),
]


@pytest.mark.usefixtures("array_namespaces")
@parametrize_with_checks(ESTIMATORS)
def test_estimator_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.usefixtures("array_namespaces")
@parametrize_with_checks(WITH_FOLDS)
def test_experts_and_gates_with_folds_keep_it(estimator, check):
    check(estimator)


# Uninitialised memory ------------------------------------------------------------------------


def filling(value):
    """``numpy.empty`` that does not leave memory as it was."""
    empty = np.empty

    def filled(shape, dtype=float, *args, **kwargs):
        array = empty(shape, dtype, *args, **kwargs)
        if array.dtype.kind in "fi":
            array.fill(value)
        return array

    return filled


def outcome(estimator, X, y, value, monkeypatch):
    """Predictions and fitted numbers of an estimator where fresh memory holds ``value``."""
    with monkeypatch.context() as patched:
        patched.setattr(np, "empty", filling(value))
        fitted = clone(estimator).fit(X, y)
        proba = [fitted.predict_proba(X)] if hasattr(fitted, "predict_proba") else []
        numbers = {name: each for name, each in vars(fitted).items() if name.endswith("_")}
        numbers = {
            name: each
            for name, each in numbers.items()
            if isinstance(each, float | list) or getattr(each, "dtype", "") == "float64"
        }
        return [fitted.predict(X), *proba], numbers


INNER = MixtureOfExpertsClassifier(LogisticRegression(), n_experts=2, cv=False, **QUICK)
NESTED = [
    MixtureOfExpertsClassifier(
        INNER, n_experts=2, cv=cv, training="em", n_init=1, max_iter=1, gate=ConstantGate()
    )
    for cv in (KFold(5), False)
]
STACKS = [
    MixtureOfExpertsRegressor(UNLIKE, training="stack", cv=2),
    MixtureOfExpertsRegressor(DecisionTreeRegressor(), n_experts=2, cv=KFold(5), n_init=1),
    MixtureOfExpertsClassifier(DecisionTreeClassifier(), n_experts=2, cv=KFold(5), n_init=1),
]


@pytest.mark.parametrize(
    "estimator", [*ESTIMATORS, *WITH_FOLDS, *NESTED, *STACKS], ids=lambda each: type(each).__name__
)
@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_results_do_not_depend_on_what_memory_held_before(estimator, first, monkeypatch):
    X = np.random.default_rng(0).normal(size=(30, 2))
    # The training rows of the first fold, or of the last, are of one class where rows keep order.
    y = np.repeat([first, 1 - first], [6, 24] if first else [24, 6])
    estimator = clone(estimator)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    (predictions, numbers), (others, other_numbers) = (
        outcome(estimator, X, y, value, monkeypatch) for value in (0.0, -5.0)
    )
    for one, other in zip(predictions, others, strict=True):
        np.testing.assert_array_equal(one, other)
    assert numbers.keys() == other_numbers.keys()
    for name, number in numbers.items():
        if not isinstance(number, list) or all(isinstance(each, float) for each in number):
            np.testing.assert_array_equal(number, other_numbers[name], err_msg=name)
