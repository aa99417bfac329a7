"""Linear and logistic experts predict without checking the rows again, and say the same."""

from copy import copy
from functools import lru_cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._experts.prediction import predict_linear
from skmoe.gates import SoftmaxGate


def kinked(n_classes=None, n=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 1.0]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    score = np.abs(Z[:, 0]) + Z[:, 1] + 0.3 * rng.normal(size=n)
    return X, score if n_classes is None else np.digitize(
        score, np.linspace(0.2, 1.5, n_classes)[1:]
    )


@lru_cache
def trained_on(n_classes):
    params = {"n_experts": 3, "random_state": 0, "training": "em", "tol": 0.1}
    if n_classes is None:
        return MixtureOfExpertsRegressor(**params).fit(*kinked())
    return MixtureOfExpertsClassifier(**params).fit(*kinked(n_classes))


def one_by_one(moe, X):
    if hasattr(moe, "classes_"):
        return np.stack([expert.predict_proba(X) for expert in moe.experts_], axis=1)
    return np.stack([expert.predict(X) for expert in moe.experts_], axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [None, 2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_predictions_are_those_of_the_experts(n_classes, fit_intercept, dtype):
    X, y = kinked(n_classes)
    moe = copy(trained_on(n_classes))
    expert = Ridge() if n_classes is None else LogisticRegression(solver="newton-cholesky")
    expert.set_params(fit_intercept=fit_intercept)
    shares = np.random.default_rng(1).uniform(size=(3, len(y)))
    moe.experts_ = [clone(expert).fit(X, y, share) for share in shares]
    X = X.astype(dtype)
    classes = getattr(moe, "classes_", None)
    assert_allclose(predict_linear(moe.experts_, X, classes), one_by_one(moe, X), rtol=1e-10)
    proba = moe.gate_.predict_proba(X)
    assert_allclose(moe.gate_proba(X), proba, rtol=1e-10)
    mixed = np.einsum("nk,nk...->n...", proba, one_by_one(moe, X))
    answer = moe.predict(X) if classes is None else moe.predict_proba(X)
    assert_allclose(answer, mixed, rtol=1e-9)


def test_an_expert_that_is_replaced_is_heard_at_once():
    X, y = kinked()
    moe = MixtureOfExpertsRegressor(Ridge(), 2, random_state=0).fit(X, y)
    moe.predict(X)
    moe.experts_[0].coef_ = moe.experts_[0].coef_ + 1.0
    moe.experts_[1] = LinearRegression().fit(X, -y)
    assert_allclose(moe.predict_experts(X), one_by_one(moe, X), rtol=1e-10)


class Doubled(Ridge):
    def predict(self, X):
        return 2 * super().predict(X)


class Cautious(SoftmaxGate):
    def predict_log_proba(self, X):
        return np.zeros_like(super().predict_log_proba(X)) - np.log(2)


def test_subclasses_answer_for_themselves():
    X, y = kinked()
    moe = MixtureOfExpertsRegressor(
        Doubled(), 2, gate=Cautious(), cv=False, max_iter=50, tol=1.0, random_state=0
    ).fit(X, y)
    assert predict_linear(moe.experts_, X, None) is None
    assert_allclose(moe.predict_experts(X), one_by_one(moe, X))
    assert_allclose(moe.gate_proba(X), 0.5)


def test_what_is_wrong_with_the_rows_is_said_as_ever():
    X, y = kinked()
    moe = MixtureOfExpertsRegressor(Ridge(), 2, random_state=0).fit(X, y)
    missing = X.copy()
    missing[3, 0] = np.nan
    with pytest.raises(ValueError, match="cannot take NaN"):
        moe.predict(missing)
    moe.experts_[0].coef_ = np.full(3, 1e308)
    with pytest.raises(ValueError, match=r"Expert 'expert.' predicted NaN or infinity"):
        with np.errstate(over="ignore"):
            moe.predict(X)
