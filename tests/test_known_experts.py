"""Rows whose experts are known: ``fit(..., expert=...)``."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.inference import bootstrap
from skmoe.likelihoods import RandomEffects, ZeroInflated

LINES = np.array([[0.0, 1.0], [1.0, -1.0]])  # which cross, behind a gate that tells little


def rows_of_regimes(n=400, seed=0):
    """X, y, and the expert that made each row; it never changes."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 2))
    expert = (rng.uniform(size=n) < special.expit(0.5 * X[:, 0])).astype(int)
    y = LINES[expert, 0] + LINES[expert, 1] * X[:, 1] + 0.5 * rng.normal(size=n)
    return X, y, expert


def partly(expert, share=0.1, seed=1):
    """Experts of some of the rows, -1 for the others."""
    known = np.random.RandomState(seed).uniform(size=len(expert)) < share
    return np.where(known, expert, -1)


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, random_state=0, n_init=3, tol=1e-8)
unpenalised = partial(mixture, LinearRegression(), gate=SoftmaxGate(alpha=0))


def test_where_all_are_known_experts_and_gate_are_fitted_one_by_one():
    X, y, expert = rows_of_regimes()
    moe = unpenalised().fit(X, y, expert=expert)
    log_likelihood = 0.0
    for k, found in enumerate(moe.experts_):
        alone = LinearRegression().fit(X[expert == k], y[expert == k])
        assert_allclose(np.append(found.coef_, found.intercept_), [*alone.coef_, alone.intercept_])
        error = y[expert == k] - alone.predict(X[expert == k])
        assert_allclose(moe.likelihood_.scale_[k], error.std())
        log_likelihood += stats.norm.logpdf(error, scale=error.std()).sum()
        # Of least squares, by maximum likelihood.
        design = np.column_stack([np.ones(len(error)), X[expert == k]])
        covariance = error.var() * np.linalg.inv(design.T @ design)
        summary = moe.summary(X, y, expert=expert).to_frame().loc[f"expert{k}"]
        assert_allclose(summary["std_error"].iloc[:3], np.sqrt(np.diag(covariance)), rtol=1e-6)
    gate = LogisticRegression(C=np.inf, tol=1e-10).fit(X, expert)
    assert_allclose(np.diff(moe.gate_.coef_, axis=0), gate.coef_, atol=1e-4)
    log_likelihood += gate.predict_log_proba(X)[np.arange(len(X)), expert].sum()
    assert_allclose(moe.log_density(X, y, expert=expert).sum(), log_likelihood, rtol=1e-8)
    assert_array_equal(moe.responsibilities(X, y, expert=expert, by="expert"), np.eye(2)[expert])
    bic = -2 * log_likelihood + 11 * np.log(len(y))
    assert_allclose(moe.bic(X, y, expert=expert), bic, rtol=1e-8)


@pytest.mark.parametrize(
    ("experts", "params"),
    [
        (None, {}),
        (Ridge(1.0), {"gate": ConstantGate()}),
        (LinearRegression(), {"cv": 5}),
        (LinearRegression(), {"gate": LogisticRegression()}),
        (DecisionTreeRegressor(max_depth=2, random_state=0), {"cv": 3}),
        ([("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=2))], {}),
        (None, {"init": "kmeans_xy", "n_init": 1}),
    ],
    ids=str,
)
def test_experts_have_the_numbers_that_were_given(experts, params):
    X, y, expert = rows_of_regimes()
    for planted in (expert, 1 - expert):
        known = partly(planted, 0.3)
        moe = mixture(experts, **{"max_iter": 20} | params).fit(X, y, expert=known)
        assert moe.plan_.training == "em"
        slopes = [
            e.coef_[1]
            if hasattr(e, "coef_")
            else e.predict([[0.0, 1.0]])[0] - e.predict([[0.0, -1.0]])[0]
            for e in moe.experts_
        ]
        assert np.sign(slopes[0]) == (1 if planted is expert else -1)
        assert np.sign(slopes[1]) == -np.sign(slopes[0])
        resp = moe.responsibilities(X, y, expert=known, by="expert")
        assert_array_equal(resp[known >= 0], np.eye(2)[known[known >= 0]])


def test_the_objective_rises_to_what_is_planted():
    X, y, expert = rows_of_regimes(2000)
    known = partly(expert, 0.1)
    moe = unpenalised().fit(X, y, expert=known)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    of_all = moe.log_density(X, y)
    log_gate = np.log(moe.gate_proba(X))
    log_joint = log_gate + stats.norm.logpdf(
        y[:, None], moe.predict_experts(X), moe.likelihood_.scale_
    )
    rows = known >= 0
    of_all[rows] = log_joint[rows, known[rows]]
    assert_allclose(moe.log_density(X, y, expert=known), of_all)
    assert_allclose(moe.lower_bound_, of_all.mean(), rtol=1e-7)
    frame = moe.summary(X, y, expert=known).to_frame()
    for k, line in enumerate(LINES):
        found = frame.loc[f"expert{k}"]
        truth = [line[0], 0.0, line[1], np.log(0.5)]
        assert (np.abs(found["estimate"] - truth) < 3.5 * found["std_error"]).all()
    alone = unpenalised().fit(X, y)
    without = alone.summary(X, y).to_frame()
    gate = frame.index.get_level_values(0).str.startswith("gate")
    assert (frame["std_error"][gate].to_numpy() < without["std_error"][gate].to_numpy()).all()


def test_regimes_that_overlap_have_the_means_of_their_known_rows():
    rng = np.random.RandomState(0)
    X, expert = rng.normal(size=(300, 1)), (np.arange(300) >= 150).astype(int)
    y = rng.normal(size=300) * np.where(expert == 0, 1.0, 1.2) + 0.6 * expert
    known = partly(expert, 0.5)
    moe = unpenalised(gate=ConstantGate()).fit(X, y, expert=known)
    truth = np.array([y[known == 0].mean(), y[known == 1].mean()])
    assert_allclose([e.intercept_ for e in moe.experts_], truth, atol=0.2)
    alone = unpenalised(gate=ConstantGate()).fit(X, y)
    assert np.abs([e.intercept_ for e in alone.experts_] - truth).max() > 0.4


def test_classes_and_zeros_have_known_experts():
    X, y, expert = rows_of_regimes(1000)
    known = partly(expert, 0.3)
    for sign in (1, -1):
        given = known if sign == 1 else np.where(known >= 0, 1 - known, -1)
        moe = MixtureOfExpertsClassifier(n_experts=2, random_state=0, n_init=2)
        moe.fit(X, y > 0.5, expert=given)
        assert np.sign(moe.experts_[0].coef_[0, 1]) == sign
    counts = np.random.RandomState(0).poisson(np.exp(0.5 + 0.3 * X[:, 0])) * expert
    zero = np.where((counts == 0) & (expert == 0) & (known >= 0), 1, -1)
    params = {"likelihood": ZeroInflated("poisson"), "gate": ConstantGate(), "random_state": 0}
    moe = MixtureOfExpertsRegressor(n_experts=1, **params).fit(X, counts, expert=zero)
    assert list(moe.named_experts_)[1] == "zero"
    assert_allclose(moe.gate_.proportions_[1], 1 - expert.mean(), atol=0.05)


def test_one_row_tells_of_its_subject():
    rng = np.random.RandomState(0)
    subject, X = np.repeat(np.arange(80), 5), rng.normal(size=(400, 1))
    expert = (rng.uniform(size=80) < 0.4).astype(int)[subject]
    y = LINES[expert, 0] + LINES[expert, 1] * X[:, 0] + 0.5 * rng.normal(size=80)[subject]
    y += 0.3 * rng.normal(size=400)
    known = np.where((np.arange(400) % 5 == 2) & (subject < 20), expert, -1)
    for likelihood in ("gaussian", RandomEffects()):
        for given in (known, np.where(known >= 0, 1 - known, -1)):
            moe = mixture(gate=ConstantGate(), likelihood=likelihood)
            moe.fit(X, y, subject=subject, expert=given)
            resp = moe.responsibilities(X, y, subject=subject, expert=given, by="expert")
            assert_array_equal(resp[:100], np.eye(2)[np.repeat(given[2:100:5], 5)])
            steep = given[2] if LINES[expert[2], 1] > 0 else 1 - given[2]
            assert moe.experts_[steep].coef_[0] > 0 > moe.experts_[1 - steep].coef_[0]
            frame = moe.summary(X, y, subject=subject, expert=given).to_frame()
            assert frame["std_error"].notna().all()
    torn = known.copy()
    torn[0] = 1 - known[2]
    with pytest.raises(ValueError, match="rows of subject 0 to several experts"):
        mixture(gate=ConstantGate()).fit(X, y, subject=subject, expert=torn)


def test_rows_of_weight_zero_tell_nothing_of_their_subjects():
    X, y, expert = rows_of_regimes(200)
    rng = np.random.RandomState(1)
    subject, known = np.repeat(np.arange(40), 5), np.repeat(expert[::5], 5)
    y = LINES[known, 0] + LINES[known, 1] * X[:, 1] + 0.5 * rng.normal(size=200)
    weight = np.where(np.arange(200) % 5 == 0, 0.0, 1.0)
    given = np.where(weight > 0, np.where(subject < 10, known, -1), 1 - known)
    kept = weight > 0
    moe = mixture(gate=ConstantGate()).fit(X, y, weight, subject=subject, expert=given)
    twin = mixture(gate=ConstantGate()).fit(
        X[kept], y[kept], subject=subject[kept], expert=given[kept]
    )
    assert_allclose(moe.predict(X), twin.predict(X), atol=1e-6)
    found = moe.log_density(X, y, sample_weight=weight, subject=subject, expert=given)
    expected = moe.log_density(X[kept], y[kept], subject=subject[kept], expert=given[kept])
    assert_allclose(found, expected)


def test_a_known_expert_can_have_made_its_row():
    rng = np.random.RandomState(0)
    X, counts = rng.normal(size=(200, 1)), rng.poisson(2.0, size=200) * (np.arange(200) % 4 > 0)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=ZeroInflated("poisson"))
    with pytest.raises(ValueError, match="of expert 1, which makes zeros alone"):
        moe.fit(X, counts, expert=np.where(counts > 0, 1, -1))
    with pytest.raises(ValueError, match="of expert 1, which makes zeros alone"):
        moe.fit(X, counts).bic(X, counts, expert=np.where(counts > 0, 1, -1))
    known = np.where(counts > 0, 0, -1)  # as it is anyway
    assert_allclose(moe.bic(X, counts, expert=known), moe.bic(X, counts))
    with pytest.raises(ValueError, match="Row 0 has y=0 .* makes no zeros"):
        moe.set_params(likelihood=ZeroInflated("gamma")).fit(X, counts, expert=np.zeros(200))


def test_subjects_of_zeros_alone_may_have_other_rows_of_weight_zero():
    rng = np.random.RandomState(0)
    X, subject = rng.normal(size=(200, 1)), np.repeat(np.arange(40), 5)
    weight = np.where(np.arange(200) % 5 == 0, 0.0, 1.0)
    y = np.where((subject % 2 == 0) & (weight > 0), 0, 1 + rng.poisson(2.0, size=200))
    moe = MixtureOfExpertsRegressor(
        n_experts=1, likelihood=ZeroInflated("poisson"), gate=ConstantGate()
    )
    expert = np.where(subject % 2 == 0, 1, -1)
    for given in ({}, {"expert": expert}):
        moe.fit(X, y, sample_weight=weight, subject=subject, **given)
        assert_allclose(moe.gate_.proportions_, [0.5, 0.5], atol=1e-3)
    with pytest.raises(ValueError, match="Row 0 .* makes zeros alone"):
        moe.fit(X, y, subject=subject, expert=expert)


def test_weights_are_repeats():
    X, y, expert = rows_of_regimes(200)
    known, weight = partly(expert, 0.3), np.random.RandomState(1).randint(0, 3, size=200)
    rows = np.repeat(np.arange(200), weight)
    weighted = mixture().fit(X, y, sample_weight=weight, expert=known)
    repeated = mixture().fit(X[rows], y[rows], expert=known[rows])
    assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-4)


def test_refits_and_warm_starts_keep_the_numbers():
    X, y, expert = rows_of_regimes(200)
    known = partly(1 - expert, 0.3)
    moe = unpenalised(warm_start=True, n_init=1).fit(X, y, expert=known)
    before = moe.lower_bound_
    slopes = [e.coef_[1] for e in moe.experts_]
    moe.fit(X, y, expert=known)
    assert moe.lower_bound_ >= before - 1e-10
    assert_allclose([e.coef_[1] for e in moe.experts_], slopes, atol=1e-3)
    result = bootstrap(
        moe.set_params(warm_start=False), X, y, expert=known, n_resamples=5, random_state=0,
        statistic=lambda refit: [e.coef_[1] for e in refit.experts_],
    )  # fmt: skip
    assert (np.sign(result.bootstrap_distribution).T == np.sign(slopes)).all()


def test_what_cannot_be_is_refused():
    X, y, expert = rows_of_regimes(60)
    for params, given, message in [
        ({"n_experts": "auto"}, expert, "n_experts, greater than the largest number of expert"),
        ({"n_experts": 1}, expert, "n_experts, greater than the largest number of expert"),
        ({"training": "pooled"}, expert, "training='pooled' needs experts that are known for no"),
        ({"top_k": 1}, expert, "top_k=None where experts are known"),
        ({"training": "specialists"}, expert, "experts that are known for no"),
        ({}, expert - 2, "number of an expert, from 0"),
        ({}, expert + 0.5, "number of an expert"),
        ({}, expert[:-1], "inconsistent"),
        ({}, np.array(["a"] * 60), "expert"),
    ]:
        with pytest.raises(ValueError, match=message):
            mixture(**params).fit(X, y, expert=given)
    moe = mixture().fit(X, y, expert=np.full(60, -1))  # of none
    with pytest.raises(ValueError, match="below 2"):
        moe.log_density(X, y, expert=expert + 1)
    with pytest.raises(ValueError, match="known experts"):
        bootstrap(
            moe, X, y, expert=expert, method="parametric", n_resamples=2, statistic=np.asarray
        )
    moe = mixture(top_k=1).fit(X, y)
    for method in (moe.responsibilities, moe.log_density, moe.bic):
        with pytest.raises(ValueError, match="top_k=1 leaves experts out"):
            method(X, y, expert=expert)
