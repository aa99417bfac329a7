"""Random slopes of subjects within the experts, and what is known of subjects."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse, special, stats
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._effects.random_effects import EffectSubjects
from skmoe._effects.terms import RandomEffectsTerms
from skmoe.gates import ConstantGate
from skmoe.inference import subject_effects
from skmoe.likelihoods import RandomEffects

# lme4's sleepstudy: reaction times of 18 subjects on days 0 to 9 of an experiment.
REACTION = """
249.5600 258.7047 250.8006 321.4398 356.8519 414.6901 382.2038 290.1486 430.5853 466.3535
222.7339 205.2658 202.9778 204.7070 207.7161 215.9618 213.6303 217.7272 224.2957 237.3142
199.0539 194.3322 234.3200 232.8416 229.3074 220.4579 235.4208 255.7511 261.0125 247.5153
321.5426 300.4002 283.8565 285.1330 285.7973 297.5855 280.2396 318.2613 305.3495 354.0487
287.6079 285.0000 301.8206 320.1153 316.2773 293.3187 290.0750 334.8177 293.7469 371.5811
234.8606 242.8118 272.9613 309.7688 317.4629 309.9976 454.1619 346.8311 330.3003 253.8644
283.8424 289.5550 276.7693 299.8097 297.1710 338.1665 332.0265 348.8399 333.3600 362.0428
265.4731 276.2012 243.3647 254.6723 279.0244 284.1912 305.5248 331.5229 335.7469 377.2990
241.6083 273.9472 254.4907 270.8021 251.4519 254.6362 245.4523 235.3110 235.7541 237.2466
312.3666 313.8058 291.6112 346.1222 365.7324 391.8385 404.2601 416.6923 455.8643 458.9167
236.1032 230.3167 238.9256 254.9220 250.7103 269.7744 281.5648 308.1020 336.2806 351.6451
256.2968 243.4543 256.2046 255.5271 268.9165 329.7247 379.4445 362.9184 394.4872 389.0527
250.5265 300.0576 269.8939 280.5891 271.8274 304.6336 287.7466 266.5955 321.5418 347.5655
221.6771 298.1939 326.8785 346.8555 348.7402 352.8287 354.4266 360.4326 375.6406 388.5417
271.9235 268.4369 257.2424 277.6566 314.8222 317.2135 298.1353 348.1229 340.2800 366.5131
225.2640 234.5235 238.9008 240.4730 267.5373 344.1937 281.1481 347.5855 365.1630 372.2288
269.8804 272.4428 277.8989 281.7895 279.1705 284.5120 259.2658 304.6306 350.7807 369.4692
269.4117 273.4740 297.5968 310.6316 287.1726 329.6076 334.4818 343.2199 369.1417 364.1236
"""
SLEEP = pd.DataFrame(
    {
        "Days": np.tile(np.arange(10.0), 18),
        "Reaction": np.array(REACTION.split(), dtype=float),
        "Subject": np.repeat(np.arange(18), 10),
    }
)
COVARIANCE = np.array([[[0.5, 0.1], [0.1, 0.2]], [[0.3, 0.0], [0.0, 0.05]]])
WITHIN = np.array([0.3, 0.2])


def rows_of_subjects(n_subjects=150, n_rows=6, seed=0):
    """Subjects of two lines over the first of two columns; X, y, subject, and their regimes."""
    rng = np.random.RandomState(seed)
    subject = np.repeat(np.arange(n_subjects), n_rows)
    X = np.column_stack([rng.uniform(-2, 2, len(subject)), rng.normal(size=len(subject))])
    regime = (rng.uniform(size=n_subjects) < 0.4).astype(int)
    effects = np.einsum(
        "sij,sj->si", np.linalg.cholesky(COVARIANCE)[regime], rng.normal(size=(n_subjects, 2))
    )
    intercept, slope = (effects + np.array([[0.0, 1.0], [3.0, -1.0]])[regime])[subject].T
    noise = WITHIN[regime][subject] * rng.normal(size=len(subject))
    return X, intercept + slope * X[:, 0] + 0.5 * X[:, 1] + noise, subject, regime


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    gate=ConstantGate(),
    likelihood=RandomEffects([0]),
    tol=1e-8,
    n_init=2,
    random_state=0,
)


@pytest.mark.parametrize(
    ("covariance", "log_likelihood", "variances", "within"),
    [  # lmer(Reaction ~ Days + (Days | Subject), REML = FALSE), and (Days || Subject); statsmodels
        ("full", -875.969672, [565.515, 32.682], 654.941),
        ("diag", -876.001628, [584.250, 33.633], 653.116),
    ],
)
def test_one_expert_is_the_mixed_model_of_lme4(covariance, log_likelihood, variances, within):
    likelihood = RandomEffects(["Days"], covariance=covariance)
    moe = mixture(LinearRegression(), n_experts=1, likelihood=likelihood)
    X, y, subject = SLEEP[["Days"]], SLEEP["Reaction"], SLEEP["Subject"]
    moe.fit(X, y, subject=subject)
    assert_allclose(moe.log_density(X, y, subject=subject).sum(), log_likelihood, atol=2e-6)
    assert_allclose(moe.likelihood_.subject_scale_[0] ** 2, variances, rtol=1e-3)
    assert_allclose(moe.likelihood_.scale_**2, within, rtol=1e-4)
    n_parameters = 6 if covariance == "full" else 5
    bic = -2 * log_likelihood + n_parameters * np.log(18)
    assert_allclose(moe.bic(X, y, subject=subject), bic, atol=1e-4)
    frame = moe.summary(X, y, subject=subject).to_frame().loc["expert0"]
    if covariance == "full":  # sqrt(vcov(.)) of lme4 1.1: 6.632, 1.502; r = 0.081
        assert_allclose(frame.loc[["intercept", "Days"], "std_error"], [6.632, 1.502], atol=1e-3)
        correlation = frame.loc["correlation: intercept, Days", "estimate"]
        assert_allclose(correlation, 0.0813, atol=1e-4)


def test_columns_are_named_or_numbered_and_their_zero_does_not_matter():
    X, y, subject = SLEEP[["Days"]], SLEEP["Reaction"], SLEEP["Subject"]
    given = mixture(n_experts=1, likelihood=RandomEffects(["Days"])).fit(X, y, subject=subject)
    numbered = mixture(n_experts=1).fit(1000 + 7 * X.to_numpy(), y, subject=subject)
    assert_allclose(given.likelihood_.scale_, numbered.likelihood_.scale_, rtol=1e-5)
    slopes = [each.likelihood_.subject_scale_[0, 1] for each in (given, numbered)]
    assert_allclose(slopes[0], 7 * slopes[1], rtol=1e-4)
    assert_allclose(
        given.predict_dist(X).var(), numbered.predict_dist(1000 + 7 * X.to_numpy()).var(), rtol=1e-4
    )
    table = X.assign(group=np.repeat(["a", "b", "c"], 60))
    mixed = mixture(n_experts=1, likelihood=RandomEffects(["Days"])).fit(table, y, subject=subject)
    assert mixed.likelihood_.effect_names_ == ("Days",)
    assert_allclose(mixed.likelihood_.subject_scale_[0, 1], slopes[0], rtol=0.1)


@pytest.mark.parametrize("shift", [1e2, 1e6])
def test_slopes_around_a_far_zero_explain_no_less_than_levels_alone(shift):
    X, y, subject, _ = rows_of_subjects(40)
    levels = mixture(likelihood=RandomEffects()).fit(X, y, subject=subject)
    moe = mixture(likelihood=RandomEffects([0], covariance="diag"))
    moe.fit(X + shift, y, subject=subject)
    least = levels.log_density(X, y, subject=subject).sum()
    assert moe.log_density(X + shift, y, subject=subject).sum() >= least - 1e-2


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_planted_regimes_with_slopes_are_recovered_and_the_objective_rises(covariance):
    X, y, subject, regime = rows_of_subjects(300)
    moe = mixture(likelihood=RandomEffects([0], covariance=covariance)).fit(X, y, subject=subject)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    order = np.argsort([expert.intercept_ for expert in moe.experts_])
    coef = [moe.experts_[k].coef_ for k in order]
    assert_allclose(coef, [[1, 0.5], [-1, 0.5]], atol=0.1)
    assert_allclose(moe.likelihood_.scale_[order], WITHIN, rtol=0.06)
    found, planted = moe.likelihood_.covariance_[order], COVARIANCE
    if covariance == "diag":
        planted = COVARIANCE * np.eye(2)
        assert (found[:, 0, 1] == 0).all()
    assert_allclose(found, planted, atol=0.1)
    resp = moe.responsibilities(X, y, subject=subject)[::6]
    assert (resp[:, order].argmax(axis=1) == regime).mean() > 0.97


def test_the_density_of_a_subject_is_that_of_correlated_rows():
    X, y, subject, _ = rows_of_subjects(30)
    moe = mixture(likelihood=RandomEffects([0, 1])).fit(X, y, subject=subject)
    means, likelihood = moe.predict_experts(X), moe.likelihood_
    joint, effects = np.empty((30, 2)), np.column_stack([np.ones(len(X)), X])
    for s in range(30):
        Z = effects[subject == s]
        for k in range(2):
            cov = likelihood.scale_[k] ** 2 * np.eye(6) + Z @ likelihood.covariance_[k] @ Z.T
            rows = subject == s
            joint[s, k] = stats.multivariate_normal.logpdf(y[rows], means[rows, k], cov)
    joint += np.log(moe.gate_proba(X)[0])
    assert_allclose(moe.log_density(X, y, subject=subject), special.logsumexp(joint, axis=1))
    variance = likelihood.scale_**2 + np.einsum(
        "ni,kij,nj->nk", effects, likelihood.covariance_, effects
    )
    assert_allclose(moe.predict_dist(X).components.std ** 2, variance)
    alone = moe.log_density(X, y, subject=np.arange(len(y)))
    assert_allclose(moe.log_density(X, y), alone)


@pytest.mark.parametrize("is_full", [True, False])
def test_terms_are_derivatives_of_the_density_of_subjects(is_full):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), np.arange(1, 9))
    weight = rng.integers(1, 3, size=len(labels))
    Z = np.column_stack([np.ones(len(labels)), rng.normal(size=(len(labels), 2))])
    subjects = EffectSubjects(labels, weight.astype(float), Z)
    design = np.column_stack([rng.normal(size=(len(labels), 2)), np.ones(len(labels))])
    y, mass = rng.normal(size=(len(labels), 1)), rng.uniform(size=8)
    terms = RandomEffectsTerms.of_effects(["a", "b"], is_full=is_full)
    beside = rng.normal(scale=0.3, size=4), [0.5, -0.2, 0.3][: 3 * is_full]
    theta = np.concatenate([rng.normal(size=3), *beside])

    def at(theta):
        return terms(theta, design, y, subjects)

    correlation = np.eye(3)
    if is_full:
        correlation[[0, 0, 1], [1, 2, 2]] = correlation[[1, 2, 2], [0, 0, 1]] = beside[1]
    scales = np.exp(beside[0])
    covariance = correlation * np.outer(scales[1:], scales[1:])
    for s, found in enumerate(at(theta).log_density()):
        rows = np.repeat(np.flatnonzero(labels == s), weight[labels == s])
        cov = scales[0] ** 2 * np.eye(len(rows)) + Z[rows] @ covariance @ Z[rows].T
        exact = stats.multivariate_normal.logpdf(y[rows, 0], design[rows] @ theta[:3], cov)
        assert_allclose(found, exact, rtol=1e-10)
    steps = 1e-5 * np.eye(len(theta))
    score = [(at(theta + e).log_density() - at(theta - e).log_density()) / 2e-5 for e in steps]
    assert_allclose(at(theta).score(), np.transpose(score), atol=1e-6, rtol=1e-6)
    hessian = [mass @ (at(theta + e).score() - at(theta - e).score()) / 2e-5 for e in steps]
    assert_allclose(at(theta).hessian(mass[labels] * weight), hessian, atol=1e-6, rtol=1e-6)


def test_summary_has_the_truth_within_its_intervals():
    X, y, subject, _ = rows_of_subjects(300, seed=1)
    moe = mixture().fit(X, y, subject=subject)
    frame = moe.summary(X, y, subject=subject).to_frame()
    first = int(moe.experts_[0].intercept_ > 1.5)
    sds = np.sqrt(np.diagonal(COVARIANCE, axis1=1, axis2=2))
    correlation = COVARIANCE[:, 0, 1] / sds.prod(axis=1)
    for k, regime in enumerate([first, 1 - first]):
        of_expert = frame.loc[f"expert{k}"]
        line = [[0, 1, 0.5], [3, -1, 0.5]][regime]
        logs = np.log([WITHIN[regime], *sds[regime]])
        truth = np.array([*line, *logs, correlation[regime]])
        assert (np.abs(of_expert["estimate"] - truth) < 3.5 * of_expert["std_error"]).all()
    assert "log_subject_scale: x0" in of_expert.index


def test_weights_are_repeats():
    X, y, subject, _ = rows_of_subjects(40)
    weight = np.random.RandomState(1).randint(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    weighted = mixture().fit(X, y, sample_weight=weight, subject=subject)
    repeated = mixture().fit(X[rows], y[rows], subject=subject[rows])
    assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-4)
    assert_allclose(weighted.likelihood_.covariance_, repeated.likelihood_.covariance_, atol=1e-3)


def test_what_is_known_of_a_subject_is_conditioned_on():
    X, y, subject, _ = rows_of_subjects(60)
    moe = mixture().fit(X, y, subject=subject)
    seen, likelihood = np.arange(len(y)) % 6 < 4, moe.likelihood_
    known = subject_effects(moe, X[seen], y[seen], subject=subject[seen])
    dist = known.predict_dist(X[~seen], subject[~seen])
    Z, means = np.column_stack([np.ones(len(X)), X[:, 0]]), moe.predict_experts(X)
    for s in range(60):
        of = subject == s
        joint = np.log(moe.gate_proba(X)[0])
        inner = np.empty((2, 2, 2))  # mean and variance of two rows under two experts
        for k in range(2):
            cov = (
                likelihood.scale_[k] ** 2 * np.eye(6) + Z[of] @ likelihood.covariance_[k] @ Z[of].T
            )
            joint[k] += stats.multivariate_normal.logpdf(y[of][:4], means[of][:4, k], cov[:4, :4])
            gain = np.linalg.solve(cov[:4, :4], cov[:4, 4:]).T
            inner[0, :, k] = means[of][4:, k] + gain @ (y[of][:4] - means[of][:4, k])
            inner[1, :, k] = np.diag(cov[4:, 4:] - gain @ cov[:4, 4:])
        rows = slice(2 * s, 2 * s + 2)
        assert_allclose(dist.weights[rows], np.tile(special.softmax(joint), (2, 1)), atol=1e-9)
        assert_allclose(dist.components.mean[rows], inner[0])
        assert_allclose(dist.components.var[rows], inner[1])
    left = [
        y[~seen] - each for each in (known.predict(X[~seen], subject[~seen]), moe.predict(X[~seen]))
    ]
    assert np.std(left[0]) < 0.5 * np.std(left[1])
    new = known.predict_dist(X, np.full(len(X), -1))
    assert_allclose(new.mean(), moe.predict(X))
    assert_allclose(new.var(), moe.predict_dist(X).var())
    frame = known.to_frame()
    assert list(frame.columns) == ["expert0", "expert1", "effect: intercept", "effect: x0"]
    assert_allclose(frame[["expert0", "expert1"]].sum(axis=1), 1)


def test_subjects_without_random_effects_have_regimes_that_are_known():
    X, y, subject, regime = rows_of_subjects(60)
    moe = mixture(likelihood="gaussian").fit(X, y, subject=subject)
    known = subject_effects(moe, X, y, subject=subject)
    assert_allclose(known.responsibilities, moe.responsibilities(X, y, subject=subject)[::6])
    expected = (known.responsibilities[subject] * moe.predict_experts(X)).sum(axis=1)
    assert_allclose(known.predict(X, subject), expected)


def test_subjects_are_known_by_counts_of_their_exposure():
    X, _, subject, regime = rows_of_subjects(40)
    rng = np.random.RandomState(1)
    exposure = rng.uniform(0.2, 5.0, size=len(X))
    y = rng.poisson(exposure * np.exp(0.3 * X[:, 0] + 1.5 * regime[subject]))
    given = {"subject": subject, "exposure": exposure}
    moe = mixture(likelihood="poisson", training="em").fit(X, y, **given)
    known = subject_effects(moe, X, y, **given)
    assert_allclose(known.responsibilities, moe.responsibilities(X, y, **given)[::6])
    alone = subject_effects(moe, X, y, subject=subject)
    assert np.abs(known.responsibilities - alone.responsibilities).max() > 0.1


def test_subjects_are_known_by_trials_and_by_bounds():
    X, y, subject, regime = rows_of_subjects(40)
    rng = np.random.RandomState(1)
    trials = rng.randint(2, 9, size=len(X))
    won = rng.binomial(trials, special.expit(X[:, 0] * np.where(regime, 1, -1)[subject]))
    for likelihood, target, given in [
        ("binomial", won, {"trials": trials}),
        ("gaussian", np.minimum(y, 2.5), {"upper": np.where(y < 2.5, y, np.inf)}),
    ]:
        given["subject"] = subject
        moe = mixture(likelihood=likelihood, training="em").fit(X, target, **given)
        known = subject_effects(moe, X, target, **given)
        assert_allclose(known.responsibilities, moe.responsibilities(X, target, **given)[::6])


def test_what_cannot_be_is_refused():
    X, y, subject, regime = rows_of_subjects(20)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(c="x")
    for likelihood, rows, message in [
        (RandomEffects(["day"]), table, "no column 'day'.*'a', 'b', 'c'"),
        (RandomEffects(["a"]), X, "no column 'a'"),
        (RandomEffects([2]), X, "number below 2"),
        (RandomEffects("a"), table, r"columns must be a list, such as \['a'\]"),
        (RandomEffects(0), X, r"columns must be a list, such as \[0\]"),
        (RandomEffects(None), X, r"columns must be a list, such as \[\]"),
        (RandomEffects(["x"]), table.set_axis(["a__x", "b__x", "c"], axis=1), "'a__x', 'b__x'"),
        (RandomEffects([0]), sparse.csr_array(X), "dense columns"),
        (RandomEffects([1, 0]), np.column_stack([np.full(len(X), 3.0), X]), "constant column 'x0'"),
        (RandomEffects(["c"]), table, "'c' is not: encode"),
        (RandomEffects([0], covariance="spherical"), X, "full"),
    ]:
        with pytest.raises(ValueError, match=message):
            mixture(likelihood=likelihood).fit(rows, y, subject=subject)
    classifier = MixtureOfExpertsClassifier(n_experts=1).fit(X, regime[subject])
    with pytest.raises(ValueError, match="MixtureOfExpertsRegressor"):
        subject_effects(classifier, X, regime[subject], subject=subject)
    moe = mixture(likelihood="gaussian").fit(X, y, subject=subject)
    with pytest.raises(ValueError, match="subject of each row"):
        subject_effects(moe, X, y, subject=None)
    with pytest.raises(ValueError, match="top_k=None"):
        subject_effects(moe.set_params(top_k=1), X, y, subject=subject)
