"""Random intercepts of subjects within the experts."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._effects.random_effects import EffectSubjects
from skmoe._effects.terms import RandomEffectsTerms
from skmoe.gates import ConstantGate
from skmoe.likelihoods import RandomEffects

WITHIN, BETWEEN = np.array([0.5, 0.3]), np.array([0.8, 0.5])


def rows_of_subjects(n_subjects=120, n_rows=6, seed=0):
    """Subjects of two lines, with intercepts of their own; X, y, subject. It never changes."""
    rng = np.random.RandomState(seed)
    subject = np.repeat(np.arange(n_subjects), n_rows)
    X = rng.normal(size=(len(subject), 1))
    regime = (rng.uniform(size=n_subjects) < 0.4).astype(int)
    shift = BETWEEN[regime] * rng.normal(size=n_subjects)
    line = (2.0 * regime)[subject] + np.array([1.0, -1.0])[regime][subject] * X[:, 0]
    noise = WITHIN[regime][subject] * rng.normal(size=len(subject))
    return X, line + shift[subject] + noise, subject


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    gate=ConstantGate(),
    likelihood=RandomEffects(),
    tol=1e-9,
    random_state=0,
)


@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_of_flexmix_is_reached(seed):
    # flexmix(y ~ x | id, data = d, k = 2, model = FLXMRlmm(random = ~ 1))    # flexmix 2.3.20
    X, y, subject = rows_of_subjects()
    moe = mixture(random_state=seed).fit(X, y, subject=subject)
    assert_allclose(moe.log_density(X, y, subject=subject).sum(), -590.148967192, atol=1e-3)
    likelihood = moe.likelihood_
    assert_allclose(likelihood.subject_scale_[:, 0] ** 2, [0.59315236, 0.188166050], rtol=2e-3)
    assert_allclose(likelihood.scale_**2, [0.24774147, 0.077137467], rtol=2e-3)
    assert_allclose([e.coef_[0] for e in moe.experts_], [1.04515142, -1.021097551], atol=1e-3)
    bic = 2 * 590.148967192 + 9 * np.log(120)
    assert_allclose(moe.bic(X, y, subject=subject), bic, atol=2e-3)


def test_the_density_of_a_subject_is_that_of_correlated_rows():
    X, y, subject = rows_of_subjects(20)
    moe = mixture(n_init=3).fit(X, y, subject=subject)
    means, shares = moe.predict_experts(X), moe.gate_proba(X)[0]
    joint = np.empty((20, 2))
    for s in range(20):
        rows = subject == s
        for k in range(2):
            within, between = moe.likelihood_.scale_[k], moe.likelihood_.subject_scale_[k, 0]
            cov = within**2 * np.eye(6) + between**2
            joint[s, k] = stats.multivariate_normal.logpdf(y[rows], means[rows, k], cov)
    joint += np.log(shares)
    assert_allclose(moe.log_density(X, y, subject=subject), special.logsumexp(joint, axis=1))
    resp = moe.responsibilities(X, y, subject=subject)
    assert_allclose(resp[::6], special.softmax(joint, axis=1), atol=1e-10)
    alone = moe.predict_dist(X).components
    std = np.hypot(moe.likelihood_.scale_, moe.likelihood_.subject_scale_[:, 0])
    assert_allclose(alone.std, np.broadcast_to(std, alone.std.shape))
    assert_allclose(moe.log_density(X, y), moe.log_density(X, y, subject=np.arange(120)))


@pytest.mark.parametrize("experts", [None, LinearRegression(), Ridge(1.0)])
def test_planted_effects_are_recovered_and_the_objective_rises(experts):
    X, y, subject = rows_of_subjects(400, 5)
    moe = mixture(experts, n_init=1, init="kmeans_xy", tol=1e-7).fit(X, y, subject=subject)
    order = np.argsort([expert.intercept_ for expert in moe.experts_])
    assert_allclose([moe.experts_[k].coef_[0] for k in order], [1, -1], atol=0.06)
    assert_allclose([moe.experts_[k].intercept_ for k in order], [0, 2], atol=0.25)
    assert_allclose(moe.likelihood_.scale_[order], WITHIN, rtol=0.08)
    assert_allclose(moe.likelihood_.subject_scale_[order, 0], BETWEEN, rtol=0.2)
    if experts is None or type(experts) is LinearRegression:
        assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_one_expert_is_a_mixed_model_at_its_maximum():
    X, y, subject = rows_of_subjects(40)
    moe = mixture(LinearRegression(), n_experts=1, tol=1e-13).fit(X, y, subject=subject)

    def log_likelihood(mixture):
        return mixture.log_density(X, y, subject=subject).sum()

    best = log_likelihood(moe)
    for factor in (0.98, 1.02):
        other = copy.deepcopy(moe)
        other.likelihood_.scale_ = factor * moe.likelihood_.scale_
        other.likelihood_.relative_factor_ = moe.likelihood_.relative_factor_ / factor
        assert log_likelihood(other) < best
        other = copy.deepcopy(moe)
        other.likelihood_.relative_factor_ = factor * moe.likelihood_.relative_factor_
        assert log_likelihood(other) < best
        other = copy.deepcopy(moe)
        other.experts_[0].coef_ = factor * moe.experts_[0].coef_
        assert log_likelihood(other) < best


def test_terms_are_derivatives_of_the_density_of_subjects():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), np.arange(1, 9))
    weight = rng.integers(1, 3, size=len(labels))
    subjects = EffectSubjects(labels, weight.astype(float), np.ones((len(labels), 1)))
    design = np.column_stack([rng.normal(size=(len(labels), 2)), np.ones(len(labels))])
    y, theta, mass = rng.normal(size=(len(labels), 1)), rng.normal(size=5), rng.uniform(size=8)

    def at(theta):
        return RandomEffectsTerms.of_effects([], is_full=True)(theta, design, y, subjects)

    for s, found in enumerate(at(theta).log_density()):
        rows = np.repeat(np.flatnonzero(labels == s), weight[labels == s])
        cov = np.exp(2 * theta[3]) * np.eye(len(rows)) + np.exp(2 * theta[4])
        exact = stats.multivariate_normal.logpdf(y[rows, 0], design[rows] @ theta[:3], cov)
        assert_allclose(found, exact, rtol=1e-10)
    steps = 1e-5 * np.eye(5)
    score = [(at(theta + e).log_density() - at(theta - e).log_density()) / 2e-5 for e in steps]
    assert_allclose(at(theta).score(), np.transpose(score), atol=1e-6, rtol=1e-6)
    hessian = [mass @ (at(theta + e).score() - at(theta - e).score()) / 2e-5 for e in steps]
    found = at(theta).hessian(mass[labels] * weight)
    assert_allclose(found, hessian, atol=1e-6, rtol=1e-6)


def test_summary_has_both_scales():
    X, y, subject = rows_of_subjects()
    moe = mixture(n_init=2).fit(X, y, subject=subject)
    summary = moe.summary(X, y, subject=subject)
    frame = summary.to_frame()
    assert summary.n_parameters == 9
    assert "720 rows of 120 subjects" in str(summary)
    assert_allclose(summary.log_likelihood, -590.148967192, atol=1e-3)
    of_first = frame.loc["expert0"]
    truth = [0.0, 1.0, np.log(WITHIN[0]), np.log(BETWEEN[0])]
    assert (np.abs(of_first["estimate"] - truth) < 3 * of_first["std_error"]).all()
    # That of a variance in the mean of some 70 subjects, and of one in 5 differences each.
    n_subjects = 120 * moe.expert_load_[0]
    assert_allclose(of_first["std_error"].iloc[3], np.sqrt(0.5 / n_subjects), rtol=0.15)
    assert_allclose(of_first["std_error"].iloc[2], np.sqrt(0.5 / n_subjects / 5), rtol=0.1)
    other = mixture(n_init=2).fit(100 * X, 1e3 * y - 5, subject=subject)
    scaled = other.summary(100 * X, 1e3 * y - 5, subject=subject).to_frame()
    logs = scaled.xs("log_subject_scale", level="term"), frame.xs("log_subject_scale", level="term")
    assert_allclose(logs[0]["estimate"], logs[1]["estimate"] + np.log(1e3), atol=1e-3)
    assert_allclose(logs[0]["std_error"], logs[1]["std_error"], rtol=1e-3)
    with pytest.raises(ValueError, match="subject of each row"):
        moe.summary(X, y)


def test_without_an_effect_there_is_no_summary():
    rng = np.random.RandomState(0)
    subject, X = np.repeat(np.arange(50), 4), rng.normal(size=(200, 1))
    noise = rng.normal(size=(50, 4))
    y = X[:, 0] + (noise - noise.mean(axis=1, keepdims=True)).ravel()
    moe = mixture(n_experts=1).fit(X, y, subject=subject)
    with pytest.raises(ValueError, match="subjects do not differ"):
        moe.summary(X, y, subject=subject)


def test_weights_are_repeats():
    X, y, subject = rows_of_subjects(40)
    weight = np.random.RandomState(1).randint(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    weighted = mixture(n_init=2).fit(X, y, sample_weight=weight, subject=subject)
    repeated = mixture(n_init=2).fit(X[rows], y[rows], subject=subject[rows])
    assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-5)
    assert_allclose(
        weighted.likelihood_.subject_scale_, repeated.likelihood_.subject_scale_, rtol=1e-3
    )


def test_units_make_no_difference():
    X, y, subject = rows_of_subjects(40)
    moe, other = mixture(n_init=2), mixture(n_init=2)
    moe.fit(X, y, subject=subject)
    other.fit(100 * X, 1e3 * y - 5, subject=subject)
    assert_allclose(other.predict(100 * X), 1e3 * moe.predict(X) - 5, rtol=1e-5, atol=1e-2)
    assert_allclose(
        other.likelihood_.subject_scale_, 1e3 * moe.likelihood_.subject_scale_, rtol=1e-3
    )


def test_without_an_effect_the_variance_between_is_next_to_none():
    rng = np.random.RandomState(0)
    subject = np.repeat(np.arange(200), 5)
    X = rng.normal(size=(1000, 1))
    y = X[:, 0] + rng.normal(size=1000)
    moe = mixture(n_experts=1).fit(X, y, subject=subject)
    assert moe.likelihood_.subject_scale_[0, 0] < 0.15
    plain = MixtureOfExpertsRegressor(LinearRegression(), 1).fit(X, y)
    assert_allclose(moe.predict(X), plain.predict(X), atol=0.02)


def test_the_mixture_is_kept_whole():
    X, y, subject = rows_of_subjects(60)
    moe = mixture(n_init=3).fit(X, y, subject=subject)
    twin = pickle.loads(pickle.dumps(moe))
    assert_array_equal(twin.predict(X), moe.predict(X))
    assert not hasattr(moe, "partial_fit")
    with pytest.raises(ValueError, match="fit it anew"):
        moe.add_expert(X, y)
    again = clone(moe).set_params(warm_start=True).fit(X, y, subject=subject)
    before = again.lower_bound_
    assert again.fit(X, y, subject=subject).lower_bound_ >= before - 1e-10


def test_what_cannot_be_is_refused():
    X, y, subject = rows_of_subjects(20)
    for params, rows, message in [
        ({}, {}, "the subject of each row"),
        ({"top_k": 1}, {"subject": subject}, "top_k=None"),
        ({"experts": DecisionTreeRegressor()}, {"subject": subject}, "needs linear experts"),
        ({"cv": 5}, {"subject": subject}, "needs linear experts"),
        ({"training": "pooled"}, {"subject": subject}, "training='pooled' needs likelihood"),
    ]:
        with pytest.raises(ValueError, match=message):
            mixture(**params).fit(X, y, **rows)
    with pytest.raises(ValueError, match="one output"):
        mixture().fit(X, np.column_stack([y, y]), subject=subject)
