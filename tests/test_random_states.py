"""Random states from seeds."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ClassifierGate, ForestGate, TreeGate

FOREST, NEIGHBOURS = RandomForestClassifier(3, max_depth=3), KNeighborsClassifier(5)
DRAWING_GATES = {
    "forest gate": ForestGate(20),
    "classifier gate": ClassifierGate(FOREST),
    "classifier": FOREST,
    "classifier without weights": NEIGHBOURS,  # whose labels are drawn
    "gate of these": ClassifierGate(NEIGHBOURS),
    "tree of gates in a pipeline": make_pipeline(StandardScaler(), TreeGate(gate=ForestGate(20))),
    "tree of classifiers": TreeGate(gate=FOREST),
    "tree of classifiers without weights": TreeGate(gate=NEIGHBOURS),
}


@pytest.mark.parametrize("gate", DRAWING_GATES.values(), ids=DRAWING_GATES.keys())
@pytest.mark.parametrize("n_experts", [1, 2])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gates_are_seeded_by_the_mixture_alone(gate, n_experts):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = np.abs(X[:, 0]) + 0.3 * rng.normal(size=40)
    moe = MixtureOfExpertsRegressor(
        Ridge(), n_experts=n_experts, gate=gate, random_state=0, n_init=1, max_iter=1, cv=2
    )
    one, other = clone(moe).fit(X, y), clone(moe).fit(X, y)
    predicted = one.predict(X)
    assert_array_equal(predicted, other.predict(X))
    if n_experts == 1:  # of which the gate begins with the second expert
        for fitted in (one, other):
            fitted.add_expert(X + 5.0, -y, Ridge(), replay=(X, y))
        assert_array_equal(one.predict(X), other.predict(X))
    else:
        assert (moe.set_params(random_state=1).fit(X, y).predict(X) != predicted).any()
