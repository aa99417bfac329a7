"""Default experts of wide X: penalised, by cross-validation, and never behind the plain model."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, cross_val_score

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._experts import folds
from skmoe._experts.folds import PENALTIES, with_best_penalty
from skmoe.exceptions import ExpertCollapseWarning

SQUARED = "neg_mean_squared_error"
CLASSIFIER = LogisticRegression(max_iter=1000)


def texts(n, n_words=600, n_topics=5, seed=0):
    """Rows of unit length, words by a law of Zipf within topics, and the topics' shares."""
    rng = np.random.default_rng(seed)
    common = 1 / np.arange(1, n_words + 1)
    words = rng.gamma(0.3, size=(n_topics, n_words)) * common
    words /= words.sum(axis=1, keepdims=True)
    shares = rng.dirichlet(np.full(n_topics, 0.2), size=n)
    X = sparse.csr_array(rng.poisson(60 * shares @ words).astype(float))
    length = np.sqrt(np.maximum(X.multiply(X).sum(axis=1), 1.0))
    return sparse.csr_array(sparse.diags_array(1 / length) @ X), shares, rng


def of_numbers(n, seed=0):
    X, shares, rng = texts(n, seed=seed)
    return X, 2 * shares[:, 0] - shares[:, 1] + 0.3 * rng.normal(size=n)


def of_classes(n, seed=0):
    X, shares, rng = texts(n, seed=seed)
    return X, np.array(["a", "b", "c"])[
        (5 * shares[:, :3] + rng.gumbel(size=(n, 3))).argmax(axis=1)
    ]


@pytest.fixture
def unfilled(monkeypatch):
    """No sparse rows are filled."""

    def refuse(self, *args, **kwargs):
        assert min(self.shape) < 100, "X was filled"
        return filled(self, *args, **kwargs)

    filled = sparse.csr_array.toarray
    for kind in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, refuse)


def test_sparse_texts_with_numbers_are_predicted_as_well_as_by_ridge(unfilled):
    X, y = of_numbers(900)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X[:300], y[:300])
    plain = RidgeCV(PENALTIES).fit(X[:300], y[:300])
    assert moe.plan_.training == "specialists"
    assert isinstance(moe.experts_[0], Ridge)
    assert moe.score(X[300:], y[300:]) > plain.score(X[300:], y[300:]) - 0.01


def test_sparse_texts_of_classes_are_predicted_as_well_as_by_logistic_regression(unfilled):
    X, y = of_classes(900)
    moe = MixtureOfExpertsClassifier(random_state=0).fit(X[:300], y[:300])
    plain = clone(CLASSIFIER).set_params(C=moe.experts_[0].C).fit(X[:300], y[:300])
    assert isinstance(moe.experts_[0], LogisticRegression)
    ours, theirs = (log_loss(y[300:], each.predict_proba(X[300:])) for each in (moe, plain))
    assert ours < theirs + 0.01
    assert moe.score(X[300:], y[300:]) > plain.score(X[300:], y[300:]) - 0.01


def test_without_regimes_one_expert_is_the_plain_model():
    X, y = of_numbers(250)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    assert len(moe.experts_) == 1
    plain = Ridge(moe.experts_[0].alpha, random_state=moe.experts_[0].random_state).fit(X, y)
    assert_allclose(moe.predict(X), plain.predict(X), atol=1e-3)  # of an iterative solver


def test_plan_names_the_experts_the_penalty_and_the_reason_and_fits_nothing(monkeypatch):
    monkeypatch.setattr(Ridge, "fit", None)
    X, y = of_numbers(100)
    plan = MixtureOfExpertsRegressor().plan(X, y)
    assert (plan.training, plan.experts) == ("specialists", "Ridge")
    assert plan.reasons["experts"].endswith("its penalty is chosen by cross-validation")
    assert "wide" in plan.reasons["training"]
    assert plan.most_expert_fits > len(PENALTIES) * folds.N_FOLDS


@pytest.mark.parametrize("params", [{"training": "em"}, {"top_k": 1}, {"likelihood": "student_t"}])
def test_em_has_the_penalised_experts_too(params, unfilled):
    X, y = of_numbers(200)
    moe = MixtureOfExpertsRegressor(n_experts=2, max_iter=3, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # there are no regimes
        moe.fit(X, y)
    assert {type(expert) for expert in moe.experts_} == {Ridge}
    assert np.isfinite(moe.log_density(X, y)).all()


def test_penalty_is_that_of_the_lowest_cross_validated_loss():
    X, y = of_numbers(120)
    folds = KFold(5, shuffle=True, random_state=3)
    best = with_best_penalty(Ridge(solver="lsqr", tol=1e-10), X, y, np.ones(120), 3)
    scores = [
        cross_val_score(Ridge(a, solver="lsqr", tol=1e-10), X, y, cv=folds, scoring=SQUARED).mean()
        for a in PENALTIES
    ]
    assert best.alpha == PENALTIES[np.argmax(scores)]
    assert 1e-4 < best.alpha < 1e3  # not at an end


def test_rows_of_weight_zero_have_no_part_in_the_penalty():
    X, y = of_numbers(120)
    spoilt, weight = np.append(y, 1e6), np.append(np.ones(120), 0.0)
    more = sparse.vstack([X, X[[0]]], format="csr")
    ours = with_best_penalty(Ridge(), more, spoilt, weight, 0)
    assert ours.alpha == with_best_penalty(Ridge(), X, y, np.ones(120), 0).alpha


def test_groups_stay_together_when_the_penalty_is_chosen():
    """Rows that were copied thrice can be learned by heart, unless copies are in one fold."""
    X, shares, rng = texts(60)
    y = rng.normal(size=60)  # nothing to learn
    groups, often = np.repeat(np.arange(60), 3), np.repeat(np.arange(60), 3)
    given = Ridge(), X[often], y[often], np.ones(180), 0
    assert with_best_penalty(*given, groups).alpha > 100 * with_best_penalty(*given).alpha


@pytest.mark.parametrize("rare", [1, 2])
def test_a_rare_class_does_not_stop_the_choice(rare):
    X, _ = of_classes(40)
    y = np.r_[np.zeros(40 - rare, dtype=int), np.ones(rare, dtype=int)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_best_penalty(CLASSIFIER, X, y, np.ones(40), 0).C > 0


def test_narrow_rows_after_wide_ones_have_the_default_experts_again():
    X, y = of_numbers(60)
    moe = MixtureOfExpertsRegressor(n_experts=1, random_state=0).fit(X, y)
    assert moe.plan_.training == "specialists"
    assert moe.fit(X[:, :3].toarray(), y).plan_.training == "pooled"


def test_pooling_and_streams_of_wide_sparse_rows_are_refused_as_before():
    X, y = of_numbers(60)
    with pytest.raises(TypeError, match="Give experts and a gate that take it"):
        MixtureOfExpertsRegressor(training="pooled").fit(X, y)
    with pytest.raises(TypeError, match="Give experts and a gate that take it"):
        MixtureOfExpertsRegressor().partial_fit(X, y)
    with pytest.raises(TypeError, match="Give experts and a gate that take it"):
        MixtureOfExpertsRegressor(likelihood="poisson").fit(X, np.round(np.exp(y)))
