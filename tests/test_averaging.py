"""Predictions that average over one expert and the number of most evidence."""

import pickle

import numpy as np
import pytest
from mixtures import alone, crps_of_t
from scipy import integrate, special, stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.problem import FEW_ROWS
from skmoe._numerics.columns import Surroundings
from skmoe._pooling.regimes import LEAST, averaging
from skmoe.gates import ConstantGate
from skmoe.metrics import log_score

QUICK = {"n_init": 3, "random_state": 0}
NEW = np.random.default_rng(1).normal(size=(50, 2))


def lines(n, *, slopes=(1.0, -0.3), noise=0.6, seed=0):
    """Rows of two lines, on two sides of zero; by default a little unlike."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = np.where(X[:, 0] > 0, slopes[0] * X[:, 1], slopes[1] * X[:, 1])
    return X, y + noise * rng.normal(size=n)


def fits(mixture, X, y, **given):
    """The average, the number of most evidence alone, and one expert."""
    one = clone(mixture).set_params(n_experts=1).fit(X, y, **given)
    return clone(mixture).fit(X, y, **given), alone(mixture, X, y, **given), one


@pytest.fixture(name="unclear", scope="module")
def _unclear():
    """Two lines in 60 rows that are a few nats ahead of one, as ``fits`` returns them."""
    return fits(MixtureOfExpertsRegressor(**QUICK), *lines(60))


def test_weights_are_those_of_the_tempered_evidence(unclear):
    moe = unclear[0]
    evidence = moe.log_evidence_
    ahead = 60 * (evidence[2] - evidence[1])
    of_one = 1 / (1 + np.exp((ahead - 3) / 4))
    assert 0.05 < of_one < 0.5
    assert moe.model_weights_ == pytest.approx({1: of_one, 2: 1 - of_one}, rel=1e-4)
    said = f"1 expert and 2, with the weights {of_one:.2f} and {1 - of_one:.2f}"
    for text in (moe.plan_, moe.expert_report()):
        assert said in " ".join(str(text).split())


@pytest.mark.parametrize(
    ("params", "n", "averages"),
    [
        ({}, FEW_ROWS - 1, True),
        ({}, FEW_ROWS, False),
        ({"n_experts": 2}, 60, False),
        ({"training": "em"}, 60, False),
    ],
)
def test_the_plan_says_beforehand_whether_predictions_average(params, n, averages):
    plan = MixtureOfExpertsRegressor(**params).plan(*lines(n))
    assert ("Predictions will average" in str(plan)) == averages


def test_the_distribution_is_the_average_of_two(unclear):
    moe, best, one = unclear
    of_one, y = moe.model_weights_[1], np.linspace(-2, 2, len(NEW))
    dist, others = moe.predict_dist(NEW), [best.predict_dist(NEW), one.predict_dist(NEW)]
    for name in ("pdf", "cdf", "sf"):
        one_each = [getattr(each, name)(y) for each in others]
        expected = np.average(one_each, axis=0, weights=[1 - of_one, of_one])
        np.testing.assert_allclose(getattr(dist, name)(y), expected, rtol=2e-4)
    expected = (1 - of_one) * best.predict(NEW) + of_one * one.predict(NEW)
    np.testing.assert_allclose(moe.predict(NEW), expected, rtol=2e-4)
    np.testing.assert_allclose(moe.log_density(NEW, y), dist.logpdf(y), rtol=1e-10)


def test_regimes_and_reports_are_those_of_the_best_number(unclear):
    moe, best, _ = unclear
    assert moe.n_regimes_ == best.n_regimes_ == len(moe.experts_) == 2
    X, y = lines(60)
    np.testing.assert_array_equal(moe.gate_proba(NEW), best.gate_proba(NEW))
    np.testing.assert_array_equal(moe.responsibilities(X, y), best.responsibilities(X, y))
    said = (
        "\nFewer than 130 rows: predictions average over 1 expert and 2, with the weights\n"
        f"{moe.model_weights_[1]:.2f} and {moe.model_weights_[2]:.2f}."
    )
    assert (shown := str(moe.summary(X, y))).replace(said, "") == str(best.summary(X, y)) != shown
    effects = [str(each.marginal_effects(X, y)) for each in (moe, best)]
    assert effects[0] == effects[1]


def test_density_integrates_to_one_and_quantiles_and_draws_agree_with_it(unclear):
    dist = unclear[0].predict_dist(NEW[:3])
    total, _ = integrate.quad_vec(dist.pdf, -60, 60)
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    levels = [0.01, 0.3, 0.5, 0.95]
    for q, quantile in zip(levels, dist.ppf(levels).T, strict=True):
        np.testing.assert_allclose(dist.cdf(quantile), q, rtol=1e-8)
    draws = unclear[0].sample_y(NEW[:3], 20_000, random_state=0)
    for row, values in enumerate(draws):
        cdf = np.array([dist.cdf(q)[row] for q in np.quantile(values, levels)])
        np.testing.assert_allclose(cdf, levels, atol=0.015)  # four standard errors
    crps = np.abs(draws - 0.2).mean(axis=1) - 0.5 * np.abs(np.diff(draws)).mean(axis=1)
    np.testing.assert_allclose(dist.crps(np.full(3, 0.2)), crps, atol=0.02)


def test_clear_regimes_are_not_averaged():
    X, y = lines(60, slopes=(3.0, -3.0))
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, y)
    assert not hasattr(moe, "model_weights_")
    best = alone(moe, X, y)
    among = 0.5 * NEW
    assert moe._predictive.weights(among)[1].mean() < 0.005
    np.testing.assert_array_equal(moe.predict_interval(X), best.predict_interval(X))


def gap(n, p=1, seed=0):
    """Two lines that meet nowhere, one on each side of an empty stretch of the first column."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, p))
    X[:, 0] = np.sign(X[:, 0]) * rng.uniform(1, 2, n)
    y = np.where(X[:, 0] > 0, X[:, -1] + 1, -X[:, -1]) + 0.1 * rng.normal(size=n)
    return X, y


@pytest.mark.parametrize("p", [1, 4])
def test_where_nothing_was_seen_one_expert_has_a_twentieth(p):
    X, y = gap(200, p)
    moe, best, one = fits(MixtureOfExpertsRegressor(**QUICK), X, y)
    assert len(moe.experts_) == 2
    assert not hasattr(moe, "model_weights_")
    new = np.zeros((5, p))
    new[:, 0] = [-0.3, 0.0, 0.3, 10.0, 1e6]
    of_one = moe._predictive.weights(new)[1][:, 0]
    assert (of_one > 0.04).all()
    assert of_one[-1] == pytest.approx(0.05)
    targets = np.array([-3.0, 0.0, 1.0, 5.0, 0.0])
    mean, scale = one.predict(new), one.predict(new, return_std=True)[1]
    likelihood = one.likelihood_
    scale = np.sqrt(4 * likelihood.scale_**2 + likelihood.variances(new)[:, 0, 0])
    density = stats.t.pdf(targets, likelihood.df_, mean, scale)
    expected = (1 - of_one) * np.exp(best.log_density(new, targets)) + of_one * density
    np.testing.assert_allclose(np.exp(moe.log_density(new, targets)), expected, rtol=1e-3)
    dist = moe.predict_dist(new)
    np.testing.assert_allclose(dist.pdf(targets), expected, rtol=1e-3)
    parts, names = dist.components.parts, ("mean", "scale", "df")
    joined = [np.hstack([getattr(part, name) for part in parts]) for name in names]
    integrals = [crps_of_t(*row) for row in zip(targets, dist.weights, *joined, strict=True)]
    np.testing.assert_allclose(dist.crps(targets), integrals, rtol=1e-4)
    np.testing.assert_allclose(
        moe.predict(new), (1 - of_one) * best.predict(new) + of_one * mean, rtol=1e-3
    )


def test_a_regime_that_nobody_has_seen_is_not_ruled_out():
    X, y = gap(200)
    new = np.linspace(-0.5, 0.5, 50)[:, None]
    unseen = 4.0 + 0.1 * np.random.default_rng(1).normal(size=50)
    moe, best, one = fits(MixtureOfExpertsRegressor(**QUICK), X, y)
    scores = [log_score(each, new, unseen) for each in (moe, best, one)]
    assert scores[1] < -50
    assert scores[0] > scores[2] + np.log(0.04 / 2)
    # Rows like those of the fit lose next to nothing, and no more than a twentieth elsewhere.
    more = gap(2000, seed=1)
    assert log_score(moe, *more) > log_score(best, *more) - 0.005
    lines = np.where(new[:, 0] > 0, new[:, 0] + 1, -new[:, 0])
    lost = best.log_density(new, lines) - moe.log_density(new, lines)
    assert lost.max() <= -np.log(0.95) + 1e-6


def test_distance_does_not_depend_on_units_and_ignores_columns_without_effect():
    X, y = gap(300, 4)
    new = np.random.default_rng(1).uniform(-2, 2, (40, 4))
    shift, unit = np.array([1e4, -3, 0, 2]), np.array([100.0, 0.01, 1, 7])
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, y)
    other = clone(moe).fit(shift + unit * X, y)
    weights, others = moe._predictive.weights(new)[1], other._predictive.weights(shift + unit * new)
    np.testing.assert_allclose(others[1], weights, atol=1e-4)
    is_in_gap = np.abs(new[:, 0]) < 0.8
    assert weights[is_in_gap].min() > weights[~is_in_gap & (np.abs(new[:, 0]) > 1)].max()


def test_squared_distances_are_those_of_the_nearest_rows():
    rng = np.random.default_rng(0)
    X, slopes = rng.normal(size=(60, 3)), np.array([2.0, 0.0, 0.5])
    copies = np.vstack([X, X[:20]])
    weight = np.append(np.full(60, 1.0), np.full(20, 2.0))
    found = Surroundings.of(copies, weight, slopes)
    Z, new = X * slopes, rng.normal(size=(30, 3))
    between = ((Z[:, None] - Z) ** 2).sum(axis=2) + np.diag(np.full(60, np.inf))
    nearest = np.repeat(between.min(axis=1), np.append(np.full(20, 3), np.full(40, 1)))
    usual = np.quantile(nearest, 0.9, method="inverted_cdf")
    distance = ((new * slopes)[:, None] - Z) ** 2
    distance = distance.sum(axis=2).min(axis=1)
    np.testing.assert_allclose(found.far(new), np.maximum(1 - usual / distance, 0), atol=1e-6)
    assert not found.far(X).any()
    assert Surroundings.of(X[:, :1], np.ones(60), np.zeros(1)) is None


def test_rows_that_are_close_next_to_an_outlier_are_not_far():
    X = np.random.default_rng(0).normal(scale=1e-6, size=(300, 1))
    X[0] = 1e3  # next to its square, those of the other distances are lost to rounding
    found = Surroundings.of(X, np.ones(300), np.ones(1))
    assert not found.far(X).any()
    np.testing.assert_allclose(found.far([[500.0]]), 1.0, atol=1e-6)


def test_new_rows_of_one_line_are_hardly_less_likely_than_under_one_expert():
    gaps = []
    for seed in range(4):
        X, y = lines(40, slopes=(1.0, 1.0), seed=seed)
        new = lines(2000, slopes=(1.0, 1.0), seed=seed + 100)
        scores = [log_score(each, *new) for each in fits(MixtureOfExpertsRegressor(**QUICK), X, y)]
        gaps.append(np.subtract(scores[0], scores[1:]))
    of_best, of_one = np.transpose(gaps)
    assert of_best.min() > -1e-9
    assert of_best.max() > 0.03  # where two experts were kept
    assert of_one.mean() > -0.02


def test_many_rows_are_not_averaged():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(*lines(200, slopes=(0.7, 0.1)))
    assert len(moe.experts_) == 2
    assert not hasattr(moe, "model_weights_")


def test_nothing_is_averaged_with_a_given_number_of_experts():
    moe = MixtureOfExpertsRegressor(n_experts=2, **QUICK).fit(*lines(60))
    assert not hasattr(moe, "model_weights_")


@pytest.mark.parametrize(
    ("n_rows", "gap", "expected"),
    [(FEW_ROWS, 1.0, 0.0), (50, 1.0, special.expit(0.5)), (50, 40.0, 0.0)],
)
def test_rows_and_evidence_decide(n_rows, gap, expected):
    class Problem:
        def __init__(self, n_experts, evidence):
            self.experts, self.evidence = self, evidence
            self.n_experts = n_experts

    best, one = Problem(2, gap / n_rows - 1.0), Problem(1, -1.0)
    found = averaging(best, lambda learns_variances: one, n_rows)
    assert found.weight == pytest.approx(expected)
    assert len(found.notes) == (expected > 0)


def test_a_row_of_weight_two_is_two_rows(unclear):
    X, y = lines(60)
    moe = MixtureOfExpertsRegressor(**QUICK)
    half = clone(moe).fit(np.repeat(X, 2, axis=0), np.repeat(y, 2), np.full(120, 0.5))
    assert half.model_weights_ == pytest.approx(unclear[0].model_weights_, rel=1e-3)
    np.testing.assert_allclose(half.predict(NEW), unclear[0].predict(NEW), atol=1e-3)


def test_copies_searches_and_folds(unclear):
    X, y = lines(60)
    moe = unclear[0]
    again = pickle.loads(pickle.dumps(moe))
    np.testing.assert_array_equal(again.predict_interval(NEW), moe.predict_interval(NEW))
    search = GridSearchCV(clone(moe), {"n_experts": [1, "auto"]}, cv=2)
    search.fit(X, y)
    scores = cross_val_score(clone(moe), X, y, cv=2)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(scores.mean())


def test_changes_of_a_mixture_leave_the_regimes_alone(unclear):
    X, y = lines(60)
    best = pickle.loads(pickle.dumps(unclear[1])).remove_expert("expert1")
    moe = pickle.loads(pickle.dumps(unclear[0])).remove_expert("expert1")
    np.testing.assert_array_equal(moe.predict(NEW), best.predict(NEW))
    moe = pickle.loads(pickle.dumps(unclear[0])).partial_fit(X, y)
    best = pickle.loads(pickle.dumps(unclear[1])).partial_fit(X, y)
    np.testing.assert_array_equal(moe.predict(NEW), best.predict(NEW))
    assert not hasattr(moe, "model_weights_")


def test_probabilities_of_classes():
    X, log_odds = lines(100, slopes=(3.0, -1.5), noise=0.0)
    y = (log_odds > np.random.default_rng(0).logistic(size=100)).astype(int)
    moe, best, one = fits(MixtureOfExpertsClassifier(**QUICK), X, y)
    of_one = moe.model_weights_[1]
    expected = (1 - of_one) * best.predict_proba(NEW) + of_one * one.predict_proba(NEW)
    np.testing.assert_allclose(moe.predict_proba(NEW), expected, rtol=2e-4)
    labels = np.ones(len(NEW), dtype=int)
    np.testing.assert_allclose(moe.log_density(NEW, labels), np.log(expected[:, 1]), rtol=2e-4)


def classes_of_one_line(n, slope=1.0, *, seed=0):
    """Rows of two classes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, (slope * X[:, 0] > rng.logistic(size=n)).astype(int)


def log_evidence_of_one_column(x, y, variance):
    """By quadrature; an intercept has the variance 100."""
    slope, intercept = np.meshgrid(np.linspace(-40, 40, 1601), np.linspace(-15, 15, 401))
    value = stats.norm.logpdf(slope, scale=np.sqrt(variance)) + stats.norm.logpdf(
        intercept, scale=10
    )
    standard = (x - x.mean()) / x.std()
    for each, label in zip(standard, 2 * y - 1, strict=True):
        value += special.log_expit(label * (intercept + slope * each))
    return special.logsumexp(value) + np.log(80 / 1600 * 30 / 400)


@pytest.mark.parametrize("slope", [1.5, 6.0])
def test_one_expert_of_classes_averages_over_its_prior_variance(slope):
    X, y = classes_of_one_line(40, slope)
    X = X[:, :1]
    moe, best, one = fits(MixtureOfExpertsClassifier(**QUICK), X, y)
    assert len(moe.experts_) == 1
    learned = moe.likelihood_.shared_var_[0, 0]
    ahead = log_evidence_of_one_column(X[:, 0], y, learned)
    ahead -= log_evidence_of_one_column(X[:, 0], y, 1.0)
    of_one = 1 / (1 + np.exp(ahead - 1))
    # The bounds of both are a few hundredths of a nat below the evidence.
    expected = {1: 1 - of_one, "unit variance": of_one}
    assert moe.model_weights_ == pytest.approx(expected, abs=0.03)
    assert "a learned prior variance of the slopes and 1, with" in " ".join(str(moe.plan_).split())
    np.testing.assert_allclose(best.predict_proba(X), one.predict_proba(X), atol=1e-6)
    # The average is between one expert and what the prior of variance 1 holds back.
    log_odds = [np.abs(special.logit(each.predict_proba(X)[:, 1])).mean() for each in (moe, best)]
    assert (log_odds[0] < log_odds[1]) == (learned > 1)


def test_large_slopes_and_none_are_not_held_at_the_unit_variance():
    moe = MixtureOfExpertsClassifier(**QUICK).fit(*classes_of_one_line(100, 1e3))
    assert not hasattr(moe, "model_weights_")
    X = np.random.default_rng(0).normal(size=(100, 12))
    y = np.arange(100) % 3
    moe = MixtureOfExpertsClassifier(**QUICK).fit(X, y)
    assert not hasattr(moe, "model_weights_")
    np.testing.assert_allclose(moe.predict_proba(X), 1 / 3, atol=0.1)


def test_counts():
    X, log_mean = lines(60, slopes=(0.55, -0.55), noise=0.0)
    y = np.random.default_rng(2).poisson(np.exp(0.5 + log_mean))
    moe = MixtureOfExpertsRegressor(likelihood="poisson", **QUICK).fit(X, y)
    assert moe.model_weights_[1] > LEAST
    dist = moe.predict_dist(NEW[:5])
    assert dist.discrete
    values = np.arange(200.0)
    proba = np.array([dist.pmf(each) for each in values])
    np.testing.assert_allclose(proba.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(values @ proba, moe.predict(NEW[:5]), rtol=1e-3)
    np.testing.assert_array_equal(dist.ppf(0.7), (proba.cumsum(axis=0) < 0.7).sum(axis=0))


def test_several_outputs():
    X, y = lines(60)
    y = np.column_stack([y, 0.2 * y + np.random.default_rng(3).normal(size=60)])
    moe, best, one = fits(MixtureOfExpertsRegressor(training="pooled", **QUICK), X, y)
    of_one, target = moe.model_weights_[1], np.ones((len(NEW), 2))
    logs = [best.log_density(NEW, target), one.log_density(NEW, target)]
    expected = special.logsumexp(logs, axis=0, b=[[1 - of_one], [of_one]])
    np.testing.assert_allclose(moe.log_density(NEW, target), expected, rtol=2e-4)
    dist = moe.predict_dist(NEW)
    np.testing.assert_allclose(dist.cdf(dist.median()), 0.5, rtol=1e-8)
    draws = dist.rvs(20_000, random_state=0)[:3]
    cov = [np.cov(each.T) for each in draws]
    np.testing.assert_allclose(cov, dist.cov()[:3], rtol=0.1, atol=0.03)


def test_subjects_are_averaged_whole():
    rng = np.random.default_rng(4)
    subject = np.repeat(np.arange(30), 2)
    X = np.repeat(rng.normal(size=(30, 1)), 2, axis=0)
    X = np.column_stack([X, rng.normal(size=60)])
    slope = np.where(rng.random(30) < 0.5, 1.0, -0.3)[subject]
    y = slope * X[:, 1] + 0.5 * rng.normal(size=60)
    mixture = MixtureOfExpertsRegressor(gate=ConstantGate(), training="pooled", **QUICK)
    moe, best, one = fits(mixture, X, y, subject=subject)
    of_one = moe.model_weights_[1]
    logs = [each.log_density(X, y, subject=subject) for each in (best, one)]
    expected = special.logsumexp(logs, axis=0, b=[[1 - of_one], [of_one]])
    found = moe.log_density(X, y, subject=subject)
    assert found.shape == (30,)
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_tables_with_strings():
    pandas = pytest.importorskip("pandas")
    X, y = lines(60)
    table = pandas.DataFrame(X, columns=["a", "b"])
    table["side"] = np.where(X[:, 0] > 0, "right", "left")
    moe, best, one = fits(MixtureOfExpertsRegressor(**QUICK), table, y)
    of_one = moe.model_weights_[1]
    expected = (1 - of_one) * best.predict(table) + of_one * one.predict(table)
    np.testing.assert_allclose(moe.predict(table), expected, atol=1e-4)


def test_a_part_that_total_and_other_parts_give_is_found():
    """Large slopes of small differences are another optimum of the prior variance."""
    rng = np.random.default_rng(0)
    others = rng.normal(size=(160, 6))
    y = others.mean(axis=1) + rng.normal(size=160)
    total = others.mean(axis=1) + 0.01 * (y + 0.05 * rng.normal(size=160))
    X = np.column_stack([others, total])
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X[:80], y[:80])
    line = np.linalg.lstsq(np.column_stack([X[:80], np.ones(80)]), y[:80])[0]
    error = y[80:] - np.column_stack([X[80:], np.ones(80)]) @ line
    expected = stats.norm.logpdf(error, scale=0.05).mean()
    assert moe.log_density(X[80:], y[80:]).mean() > expected - 0.1
