"""scikit-learn's contract."""

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
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


def both(regressor=None, classifier=None, **params):
    return [
        MixtureOfExpertsRegressor(regressor, **params),
        MixtureOfExpertsClassifier(classifier, **params),
    ]


# The solver that Ridge has for sparse X ends where its tolerance lets it: the default one is
# coarser than the weights-are-repeats checks.
UNLIKE = [("ridge", Ridge(tol=1e-12)), ("tree", DecisionTreeRegressor())]

ESTIMATORS = [
    *both(n_init=2, max_iter=5),  # as scikit-learn checks its own mixtures
    # By EM: scikit-learn's boosting and forests, of which scales and gates are made else, hold
    # weights to be no repeats of rows.
    *both(DecisionTreeRegressor(), DecisionTreeClassifier(), training="em", cv=2, **QUICK),
    MixtureOfExpertsRegressor(UNLIKE, training="em", cv=2, **QUICK),
    # In sample: the shuffle of folds, which so few rows would bring, depends on their number. And
    # two experts: four would pass through all fifteen rows, where rounding chooses the lines.
    *both(gate=LogisticRegression(solver="newton-cholesky"), cv=False, n_experts=2, **QUICK),
    *both(gate=DecisionTreeClassifier(random_state=0), **QUICK),
    *both(gate=ConstantGate(), **QUICK),
    SoftmaxGate(),
    SoftmaxGate(l1_ratio=0.5, max_iter=3),
    GaussianGate(),
    TreeGate(),
    TreeGate(gate=LogisticRegression(solver="newton-cholesky")),
]


@pytest.mark.usefixtures("array_namespaces")
@parametrize_with_checks(ESTIMATORS)
def test_estimator_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
