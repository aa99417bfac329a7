"""Importances of columns, and versions for bug reports."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

import skmoe
from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(300, 4))
Y = np.where(X[:, 0] > 0, X[:, 1], -2 * X[:, 2]) + 0.05 * RNG.normal(size=300)


mixture = partial(
    MixtureOfExpertsRegressor,
    experts=DecisionTreeRegressor(max_depth=4),
    training="em",
    cv=3,
    n_init=2,
    random_state=0,
)


def test_importances_are_those_of_the_experts_weighted_by_load():
    moe = mixture(n_experts=2).fit(X, Y)
    expected = moe.expert_load_ @ [expert.feature_importances_ for expert in moe.experts_]
    assert_allclose(moe.feature_importances_, expected)
    assert_allclose(moe.feature_importances_.sum(), 1)
    assert moe.feature_importances_[3] < 0.1


def test_classifiers_have_importances_too():
    forest = RandomForestClassifier(20, max_depth=3)
    moe = MixtureOfExpertsClassifier(forest, 2, n_init=2, random_state=0).fit(X, Y > 0)
    assert moe.feature_importances_.shape == (4,)


def test_scikit_learn_selects_columns_by_them():
    selection = SelectFromModel(mixture(n_experts=2), threshold=0.1).fit(X, Y)
    assert not selection.get_support()[3]


def test_experts_without_importances_are_named():
    experts = [("line", Ridge()), ("forest", RandomForestRegressor(20))]
    moe = mixture(experts=experts)
    with pytest.raises(NotFittedError):
        moe.feature_importances_  # noqa: B018
    moe.fit(X, Y)
    assert not hasattr(moe, "feature_importances_")
    with pytest.raises(AttributeError, match=r"experts \['line'\] have no feature_importances_"):
        moe.feature_importances_  # noqa: B018


def test_versions_are_those_of_the_package_and_of_scikit_learns_report(capsys):
    skmoe.show_versions()
    text = capsys.readouterr().out
    assert f"skmoe: {skmoe.__version__}" in text
    assert "sklearn: " in text
    assert "numpy: " in text
    assert "lightgbm: " in text
