"""Ctrl-C while scikit-learn's nets are fitted, and what a fit says of their convergence."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 3))
y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 2])
NET = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
NET_OF_CLASSES = MLPClassifier((3,), max_iter=3, random_state=0)

regressor = partial(MixtureOfExpertsRegressor, n_init=1, max_iter=2, random_state=0)
classifier = partial(MixtureOfExpertsClassifier, n_init=1, max_iter=2, random_state=0)
WITH_NETS = {
    "in-sample": regressor(NET, n_experts=2, cv=False, training="em"),
    "in folds": regressor(NET, n_experts=2, cv=2),
    "in a list": regressor([("net", NET), ("line", Ridge())]),
    "the gate": regressor(LinearRegression(), n_experts=2, gate=NET_OF_CLASSES),
    "of classes": classifier(NET_OF_CLASSES, n_experts=2, cv=False, training="em"),
}


def target_of(moe):
    return y if isinstance(moe, MixtureOfExpertsRegressor) else (y > 0).astype(int)


@pytest.fixture
def interrupt(monkeypatch):
    """``interrupt()``: from now on Ctrl-C comes whenever a net makes a step."""

    def ctrl_c(*_):
        raise KeyboardInterrupt

    optimizer = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer.update_params"
    return partial(monkeypatch.setattr, optimizer, ctrl_c)


@pytest.mark.parametrize("kind", WITH_NETS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ctrl_c_in_a_net_ends_the_fit_and_leaves_the_mixture_as_it_was(kind, interrupt):
    moe = clone(WITH_NETS[kind])
    moe.fit(X, target_of(moe))
    before = dict(vars(moe))
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        moe.fit(X, target_of(moe))
    assert vars(moe).keys() == before.keys()
    assert all(vars(moe)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    ("method", "given"), [("partial_fit", {}), ("add_expert", {"replay": (X[:40], y[:40])})]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ctrl_c_in_a_net_ends_an_update(method, given, interrupt):
    moe = clone(WITH_NETS["in-sample"]).fit(X, y)
    expected = moe.predict(X)
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        getattr(moe, method)(X, y, **given)
    np.testing.assert_array_equal(moe.predict(X), expected)


@pytest.mark.parametrize(
    ("kind", "n_jobs"),
    [*((kind, 1) for kind in WITH_NETS), pytest.param("in-sample", 2, marks=pytest.mark.slow)],
)
def test_a_fit_says_once_that_nets_have_not_converged(kind, n_jobs, capfd):
    moe = clone(WITH_NETS[kind]).set_params(n_jobs=n_jobs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moe.fit(X, target_of(moe))
    said = [each for each in caught if "Stochastic Optimizer" in str(each.message)]
    assert [each.category for each in said] == [ConvergenceWarning]
    assert capfd.readouterr().err == ""  # of workers
