"""Experts as people use them, on real tables: better held-out than not looking at the row."""

import warnings

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy import sparse, stats
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.metrics import log_score

QUICK = {"n_init": 2, "random_state": 0}
FOREST = {"n_estimators": 20, "min_samples_leaf": 5}
LIGHTGBM = {"n_estimators": 20, "min_child_samples": 10, "n_jobs": 1, "verbose": -1}
MLP = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 30}
KERNEL = RBF(3.0, "fixed") + WhiteKernel(0.5, "fixed")  # on standardised columns


def behind_scaler(last):
    return make_pipeline(StandardScaler(), last)


@pytest.fixture(name="diabetes")
def _diabetes():
    X, y = load_diabetes(return_X_y=True)
    return (X[:300], y[:300]), (X[300:], y[300:])


@pytest.fixture(name="cancer")
def _cancer():
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, [0, 1, 4, 6, 8]]
    return (X[:300], y[:300]), (X[300:], y[300:])


@pytest.fixture(name="clinic")
def _clinic():
    """Diabetes as a clinic would hand it over: words for sex and weight, gaps in the labs."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    rng = np.random.default_rng(0)
    X["sex"] = np.where(X["sex"] == 1, "male", "female")
    X["weight"] = np.where(X.pop("bmi") > 26, "heavy", "light")
    X["weight"] = X["weight"].where(rng.uniform(size=len(X)) > 0.1)
    for lab in ("s1", "s5"):
        X[lab] = X[lab].where(rng.uniform(size=len(X)) > 0.1)
    y = y.to_numpy()
    return (X[:300], y[:300]), (X[300:], y[300:])


def gaussian_score(y_train, y_test):
    """Held-out log-score of the mean and standard deviation of the training targets."""
    return stats.norm(y_train.mean(), y_train.std()).logpdf(y_test).mean()


def shares_score(y_train, y_test):
    """Held-out log-score of the shares of the classes."""
    shares = (np.bincount(y_train) / len(y_train))[y_test]
    return np.log(shares).mean()


def fit_and_score(moe, train, test):
    with warnings.catch_warnings():
        # Few steps of lbfgs are a way to regularise, not a mistake.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return log_score(moe.fit(*train), *test)


REGRESSORS = {
    "forest": (RandomForestRegressor(**FOREST), "oob"),
    "lightgbm": (LGBMRegressor(**LIGHTGBM), 3),
    "mlp": (behind_scaler(MLPRegressor(**MLP)), 3),
    "neighbours": (behind_scaler(KNeighborsRegressor(20)), "auto"),
    "process": (
        behind_scaler(GaussianProcessRegressor(KERNEL, optimizer=None, normalize_y=True)),
        3,
    ),
}
CLASSIFIERS = {
    "forest": (RandomForestClassifier(**FOREST), "oob"),
    "lightgbm": (LGBMClassifier(**LIGHTGBM), 3),
    "mlp": (behind_scaler(MLPClassifier(**MLP)), 3),
    "neighbours": (behind_scaler(KNeighborsClassifier(10)), "auto"),
    "process": (behind_scaler(GaussianProcessClassifier(RBF(3.0, "fixed"), optimizer=None)), 2),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_mixture_of_regressors_beats_a_gaussian_around_the_mean(name, diabetes):
    train, test = diabetes
    expert, cv = REGRESSORS[name]
    moe = MixtureOfExpertsRegressor(expert, 2, cv=cv, max_iter=3, **QUICK)
    score = fit_and_score(moe, train, test)
    assert score > gaussian_score(train[1], test[1]) + 0.1
    # The out-of-fold score is about what new rows get: 300 rows and a few choices apart.
    assert abs(moe.oof_score_ - score) < 0.25


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_mixture_of_classifiers_beats_the_shares_of_the_classes(name, cancer):
    train, test = cancer
    expert, cv = CLASSIFIERS[name]
    moe = MixtureOfExpertsClassifier(expert, 2, cv=cv, max_iter=3, **QUICK)
    score = fit_and_score(moe, train, test)
    assert score > shares_score(train[1], test[1]) + 0.4
    assert moe.score(*test) > 0.9


def test_sparse_words_reach_experts_and_gate_as_they_are():
    """2,000 columns of word counts: two topics price the same word differently."""
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(1.0 * rng.poisson(0.01, size=(600, 2000)))
    topic = rng.integers(2, size=600)
    marks = sparse.csr_array(
        np.stack([topic == 0, topic == 1, rng.random(600) < 0.5], axis=1) * 1.0
    )
    X = sparse.hstack([marks, counts], format="csr")
    y = np.where(topic == 1, 3.0, -3.0) * X[:, [2]].toarray()[:, 0] + 0.2 * rng.normal(size=600)
    train, test = slice(0, 400), slice(400, None)
    settings = {"cv": 5, "random_state": 0}  # a ridge on more columns than rows fits them all
    mixed = MixtureOfExpertsRegressor(Ridge(alpha=1.0), 2, gate=SoftmaxGate(1.0), **settings)
    single = MixtureOfExpertsRegressor(Ridge(alpha=1.0), 1, **settings)
    mixed.fit(X[train], y[train]), single.fit(X[train], y[train])
    assert log_score(mixed, X[test], y[test]) > log_score(single, X[test], y[test]) + 0.3
