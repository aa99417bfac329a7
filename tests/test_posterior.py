"""Summary of pooled mixtures: formulas, numerical derivatives, maximum likelihood, coverage."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from mixtures import mixture_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from skmoe._data import RowMetadata
from skmoe._experts.pooled import Pooled, PooledExperts
from skmoe.gates import ConstantGate
from skmoe.inference import bootstrap
from skmoe.inference._estimates import raw_parameters
from skmoe.inference._posterior import estimates_of

COEF = np.array([[1.0, 2.0, -1.0], [-1.0, -1.0, 1.0]])  # intercept first
GATE = np.array([0.0, 1.5, 0.0])  # log-odds of the second expert


def rows(seed, n, kind, size=1.0, noise=1.0, regimes=2):
    """Rows of one regime, or of two behind a soft border: numbers, or two or three classes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    regime = (rng.uniform(size=n) < special.expit(GATE[0] + X @ GATE[1:])) * (regimes - 1)
    value = size * (COEF[regime, 0] + (COEF[regime, 1:] * X).sum(axis=1))
    if kind == "line":
        return X, value + noise * rng.normal(size=n)
    values = np.column_stack([np.zeros(n), value, X[:, 1]][: 3 if kind == "three" else 2])
    return X, (values + rng.gumbel(size=values.shape)).argmax(axis=1)


mixture = partial(mixture_of, n_experts=2, n_init=4, random_state=0)


@pytest.mark.parametrize("kind", ["line", "two", "three"])
def test_one_expert_and_many_rows_is_maximum_likelihood(kind):
    X, y = rows(0, 2000, kind, regimes=1)
    found = mixture(kind, n_experts=1, training="pooled").fit(X, y).summary(X, y)
    told = mixture(kind, n_experts=1, training="em").fit(X, y).summary(X, y)
    assert (found.parts, found.terms) == (told.parts, told.terms)
    assert (np.abs(found.estimate - told.estimate) < 0.4 * told.std_error).all()  # shrunk
    assert_allclose(found.std_error, told.std_error, rtol=0.03)


@pytest.mark.parametrize(("kind", "n", "size"), [("line", 2000, 1.0), ("two", 4000, 2.0)])
def test_overlapping_regimes_and_many_rows_are_maximum_likelihood(kind, n, size):
    X, y = rows(0, n, kind, size)
    moe = mixture(kind).fit(X, y)
    assert len(moe.experts_) == 2
    found = moe.summary(X, y)
    resp = moe.responsibilities(X, y)  # maximum likelihood has several optima
    start = {"init": lambda *args: resp, "n_init": 1, "tol": 1e-8, "max_iter": 2000}
    told = mixture(kind, training="em", **start).fit(X, y).summary(X, y)
    of_scale = np.array(found.terms) == "log_scale"  # experts have about the same
    of_gate = np.char.startswith(found.parts, "gate")
    ratio = found.std_error / told.std_error
    assert_allclose(ratio[~of_scale & ~of_gate], 1, atol=0.05 if kind == "line" else 0.2)
    # The prior shrinks what the rows tell little about, and scales towards each other.
    assert ((ratio > 0.6) & (ratio < 1.1)).all()
    assert (np.abs(found.estimate - told.estimate)[~of_scale] < told.std_error[~of_scale]).all()
    # Most of it is that membership is uncertain: under known membership, and for classes with
    # curvatures as large as they can be, standard deviations are smaller.
    design = np.column_stack([np.ones(n), X])
    variance = np.exp(2 * found.estimate[3]) if kind == "line" else 4.0
    weighted = design * resp[:, :1]
    known = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ weighted)))
    assert (found.std_error[:3] > 1.05 * known).all()


def log_likelihood(moe, X, y, kind):
    """Log-likelihood of each row as a function of parameters in raw units."""
    n_experts, n_odds = len(moe.experts_), 1 if kind == "line" else len(moe.classes_) - 1

    def function(theta):
        of_experts, gate = np.split(theta, [n_experts * n_odds * (3 + (kind == "line"))])
        of_experts = of_experts.reshape(n_experts, n_odds, -1)
        coef, gate = of_experts[:, :, :3], gate.reshape(n_experts - 1, 3)
        values = coef[:, :, 0] + np.einsum("ij,kcj->ikc", X, coef[:, :, 1:])  # (n, K, n_odds)
        if kind == "line":
            log_scale = of_experts[:, 0, 3]
            log_density = stats.norm.logpdf(y[:, None], values[:, :, 0], np.exp(log_scale))
        else:
            values = np.concatenate([np.zeros((*values.shape[:2], 1)), values], axis=2)
            log_density = special.log_softmax(values, axis=2)[np.arange(len(y)), :, y]
        log_odds = np.column_stack([np.zeros(len(X)), gate[:, 0] + X @ gate[:, 1:].T])
        return special.logsumexp(special.log_softmax(log_odds, axis=1) + log_density, axis=1)

    return function


def log_posterior(moe, X, y, kind, alpha):
    """Log-posterior as a function of parameters in raw units, and the common log-scale.

    ``alpha`` is the precision of the prior of the gate's slopes.
    """
    likelihood, n_experts = moe.likelihood_, len(moe.experts_)
    mean, scale = X.mean(axis=0), X.std(axis=0)
    n_odds, n_classes = (1, 1) if kind == "line" else (len(moe.classes_) - 1, len(moe.classes_))
    per_function = 3 + (kind == "line")
    contrast, of_rows = np.ones((1, 1)), log_likelihood(moe, X, y, kind)
    if n_classes > 2:
        contrast = np.eye(n_odds) + 1  # of differences from the first class

    def standard(coef):
        return np.append(coef[1:] * scale, coef[0] + coef[1:] @ mean)

    def function(theta):
        theta, level = theta[:-1], theta[-1]
        of_experts, gate = np.split(theta, [n_experts * n_odds * per_function])
        of_experts = of_experts.reshape(n_experts, n_odds, per_function)
        coef, gate = of_experts[:, :, :3], gate.reshape(n_experts - 1, 3)
        total = of_rows(theta).sum()
        if kind == "line":
            log_scale = of_experts[:, 0, 3]
        each = np.array([[standard(c) for c in of_expert] for of_expert in coef])
        for j in range(3):  # b_k = b_0 + d_k
            own, shared = likelihood.own_var_[0, j], likelihood.shared_var_[0, j]
            over_experts = own * np.eye(n_experts) + shared
            cov = np.kron(over_experts, contrast)
            total += stats.multivariate_normal.logpdf(each[:, :, j].ravel(), cov=cov)
        over_gate = np.eye(n_experts - 1) + 1
        slopes = np.array([standard(g) for g in gate])
        for j, precision in enumerate([alpha, alpha, 0.1]):
            total += stats.multivariate_normal.logpdf(slopes[:, j], cov=over_gate / precision)
        if kind == "line":
            return total - 0.5 * likelihood.log_scale_precision_ @ (log_scale - level) ** 2
        return total - 0.5 * level**2

    return function


def hessian(function, at, steps):
    """By central differences."""
    d = len(at)
    found, shifts = np.empty((d, d)), np.diag(steps)
    for i in range(d):
        for j in range(i + 1):
            corners = [
                (a * b) * function(at + a * shifts[i] + b * shifts[j])
                for a in (1, -1)
                for b in (1, -1)
            ]
            found[i, j] = found[j, i] = sum(corners) / (4 * steps[i] * steps[j])
    return found


@pytest.mark.parametrize("kind", ["line", "two", "three"])
def test_few_rows_have_the_curvature_of_the_log_posterior(kind, monkeypatch):
    def halves(experts, n_functions):  # a prior that lets all coefficients differ, not learned
        tau, rho = first(experts, n_functions)
        experts._groups = np.full_like(experts._groups, -1)
        return np.where(tau > 0, 0.5, tau), np.where(rho == 1, 0.5, rho)

    first = Pooled.first_variances
    monkeypatch.setattr(Pooled, "first_variances", halves)
    monkeypatch.setattr(PooledExperts, "slope_variances", (1.0,))
    X, y = rows(0, 100 if kind == "line" else 400, kind, size=4.0, noise=2.0)
    X = X * [1.0, 5.0] + [2.0, 0.0]
    moe = mixture(kind, training="pooled").fit(X, y)
    assert len(moe.experts_) == 2
    found = moe.summary(X, y)
    at = np.append(found.estimate, found.estimate[3] if kind == "line" else 0.0)
    steps = 1e-2 * np.append(found.std_error, 0.05)
    alpha = moe.gate_.alpha
    under_weak, under_own = (
        log_posterior(moe, X, y, kind, each) for each in (min(alpha, 2.5**-2), alpha)
    )
    expected = -np.linalg.inv(hessian(under_weak, at, steps))
    # From the maximum under the fit's prior to that under the weak one, by a Newton step.
    slope = [
        sum(
            a * b * function(at + a * step)
            for a in (1, -1)
            for b, function in ((1, under_weak), (-1, under_own))
        )
        / (2 * step.sum())
        for step in np.diag(steps)
    ]
    change = expected @ slope
    expected = (expected + np.outer(change, change))[:-1, :-1]
    unit = np.outer(found.std_error, found.std_error)
    # Differences over a hundredth of an error leave 1e-4; the common log-scale is all but flat.
    # What coefficients and scales have to do with each other through the prior is left out.
    assert_allclose(found.cov / unit, expected / unit, atol=0.03 if kind == "line" else 2e-3)


@pytest.mark.parametrize("by_subject", [False, True])
@pytest.mark.parametrize("kind", ["line", "two", "three"])
def test_sandwich_is_that_of_numerical_scores(kind, by_subject):
    X, y = rows(0, 120 if kind == "line" else 240, kind, size=3.0)
    settings, facts = {}, {}
    if by_subject:  # of one expert: dependence within subjects is all that they are about
        settings, facts = {"n_experts": 1}, {"subject": np.arange(len(y)) // 3}
    weight = np.random.default_rng(1).integers(1, 3, size=len(y)).astype(float)
    moe = mixture(kind, training="pooled", **settings).fit(X, y, weight, **facts)
    found = moe.summary(X, y, weight, cov="sandwich", **facts)
    posterior = moe.summary(X, y, weight, **facts)
    function, at, size = log_likelihood(moe, X, y, kind), found.estimate, len(found.estimate)
    steps = 1e-3 * np.diag(posterior.std_error)
    scores = (
        np.column_stack(
            [(function(at + step) - function(at - step)) / (2 * step.sum()) for step in steps]
        )
        * weight[:, None]
    )
    if by_subject:
        scores = scores.reshape(-1, 3, size).sum(axis=1)
    information = -hessian(lambda theta: weight @ function(theta), at, 10 * steps.sum(axis=0))
    half = estimates_of(moe, X, y, weight, RowMetadata(**facts))._laplace[0]
    cov = half @ half.T  # but for the weaker prior of the gate
    n_units, n_rows, n_parameters = len(scores), len(y), np.trace(information @ cov)
    factor = n_units / (n_units - 1) * (n_rows - 1) / (n_rows - n_parameters)
    middle = factor * scores.T @ scores - information
    extra = posterior.cov - cov
    expected = cov + cov @ middle @ cov + extra
    unit = np.outer(found.std_error, found.std_error)
    assert_allclose(found.cov / unit, expected / unit, atol=0.05 if kind == "line" else 2e-3)


def test_sandwich_of_one_expert_is_whites_also_by_clusters():
    rng = np.random.default_rng(0)
    X, subject = rng.normal(size=(600, 2)), np.repeat(np.arange(200), 3)
    y = 1 + 3 * X[:, 0] - 2 * X[:, 1] + np.exp(X[:, 0] / 2) * rng.normal(size=600)
    y += 0.5 * rng.normal(size=200)[subject]
    design = np.column_stack([np.ones(600), X])
    bread = np.linalg.inv(design.T @ design)
    for facts in ({}, {"subject": subject}):
        moe = mixture("line", n_experts=1, training="pooled").fit(X, y, **facts)
        found = moe.summary(X, y, cov="sandwich", **facts)
        scores = design * (y - moe.predict(X))[:, None]
        if facts:
            scores = scores.reshape(200, 3, 3).sum(axis=1)
        n_units = len(scores)  # four parameters, with the scale
        factor = n_units / (n_units - 1) * 599 / (600 - 4)
        expected = factor * bread @ scores.T @ scores @ bread
        told = mixture("line", n_experts=1, training="em").fit(X, y, **facts)
        told = told.summary(X, y, cov="sandwich", **facts)
        assert (told.df, found.df.max()) == (n_units - 1, n_units - 1)
        for cov in (expected, told.cov[:3, :3]):  # slopes are shrunken by a thousandth
            assert_allclose(found.std_error[:3], np.sqrt(np.diag(cov)), rtol=0.01)
        assert np.isnan(found.p_value).all()
        assert "sandwich" in str(found)
        assert "few" not in str(found)
    few = np.repeat(np.arange(20), 30)
    moe.fit(X, y, subject=few)
    for table in (moe.summary, moe.marginal_effects):
        found = table(X, y, subject=few, cov="sandwich")
        assert "few (20)" in str(found)
        reach = stats.t.isf(0.025, 19) * found.std_error
        assert_allclose((found.upper - found.lower)[-1] / 2, reach[-1])  # of what has 19 at most


@pytest.mark.parametrize("seed", [0, 10])
def test_a_gate_that_found_no_slope_is_not_sure_of_that(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 2))
    up = rng.uniform(size=60) < special.expit(X[:, 1])
    y = np.where(up, 1 + X @ [2.0, -1.0], -1 - X @ [1.0, -1.0]) + 0.7 * rng.normal(size=60)
    moe = mixture("line").fit(X, y)
    found, resp = moe.summary(X, y), moe.responsibilities(X, y)
    assert moe.gate_.alpha > 1e5
    start = {"init": lambda *args: resp, "n_init": 1, "tol": 1e-8, "max_iter": 2000}
    told = mixture("line", training="em", **start).fit(X, y).summary(X, y)
    # How far maximum likelihood is from there, too; under a weak prior it is somewhat nearer.
    expected = np.hypot(told.std_error, told.estimate - found.estimate)[-2:]
    assert_allclose(found.std_error[-2:], expected, rtol=0.25)


def test_class_weights_ask_for_the_sandwich_of_pooled_classes():
    X, y = rows(0, 400, "two")
    moe = mixture("two", n_experts=1, class_weight={0: 1.0, 1: 2.0}).fit(X, y)
    with pytest.raises(ValueError, match="cov='sandwich'"):
        moe.summary(X, y)
    weight = np.where(y == 1, 2.0, 1.0)
    told = mixture("two", n_experts=1).fit(X, y, weight).summary(X, y, weight, cov="sandwich")
    assert_allclose(moe.summary(X, y, cov="sandwich").cov, told.cov, rtol=1e-6)


def test_intervals_of_lines_are_students_with_what_is_left_for_the_error_variance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    y = X @ [2.0, -1.0, 1.0] + rng.normal(size=20)
    found = mixture("line", n_experts=1, training="pooled").fit(X, y).summary(X, y, level=0.9)
    told = stats.t.interval(0.9, 16, found.estimate[1:4], found.std_error[1:4])
    assert_allclose([found.lower[1:4], found.upper[1:4]], told, rtol=0.02)  # weak prior
    assert found.df[4] == np.inf  # of the log-scale
    X, y = rows(0, 200, "two")
    moe = mixture("two", n_experts=1).fit(X, y)
    assert (moe.summary(X, y).df == np.inf).all()
    X, y = rows(0, 200, "line")
    Y = np.column_stack([y, y[::-1]])
    moe = mixture("line").fit(X, Y)
    df = moe.summary(X, Y).df
    assert len(df) == 2 * 2 * 4 + 3
    places = [0, 4, 8, 12]
    assert_allclose(df[places].reshape(2, 2), moe.likelihood_.df_)
    assert np.isinf(df[[3, 7, 11, 15, *range(16, 19)]]).all()


def test_units_go_through_and_weights_are_repetitions():
    X, y = rows(1, 300, "line", noise=0.5)
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    plain = mixture("line").fit(X, y, sample_weight=weight).summary(X, y, weight)
    X2, y2 = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    repeated = mixture("line").fit(X2, y2).summary(X2, y2)
    assert_allclose(repeated.cov, plain.cov, rtol=1e-3, atol=1e-6)
    far = X * [0.01, 50] + [7, 0]
    scaled = mixture("line").fit(far, 7 * y, sample_weight=weight).summary(far, 7 * y, weight)
    factor = np.array(2 * [700, 0.14] + [100, 0.02])
    slopes = [1, 2, 5, 6, 9, 10]
    assert_allclose(scaled.std_error[slopes] / factor, plain.std_error[slopes], rtol=1e-3)
    assert_allclose(scaled.std_error[[3, 7]], plain.std_error[[3, 7]], rtol=1e-3)


@pytest.mark.parametrize("kind", ["line", "two", "three"])
@pytest.mark.parametrize("n_experts", [1, 2])
def test_more_columns_than_rows_have_standard_deviations(kind, n_experts):
    rng = np.random.default_rng(0)
    X, y = rows(0, 50, kind, size=4.0, noise=0.1)
    X = np.column_stack([X, rng.normal(size=(50, 60)), np.ones(50)])
    moe = mixture(kind, n_experts=n_experts, training="pooled").fit(X, y)
    found = moe.summary(X, y)
    assert np.isfinite(found.estimate).all()
    assert (found.std_error > 0).all()
    assert "n/a" not in str(found)
    # What the rows say nothing about, such as a constant column, keeps its prior variance.
    likelihood, places = moe.likelihood_, np.flatnonzero(np.array(found.terms) == "x62")
    prior = (likelihood.own_var_ + likelihood.shared_var_)[0, -2] * (2 if kind == "three" else 1)
    of_experts = found.std_error[places[~np.char.startswith(found.parts, "gate")[places]]]
    assert_allclose(of_experts, np.sqrt(prior), rtol=1e-6)


def test_lines_of_more_columns_than_rows_are_those_of_ridge_regression():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 60))
        y = X @ rng.normal(size=60) + rng.normal(size=40)
        moe = mixture("line", n_experts=1).fit(X, y)
        found = moe.summary(X, y)
        standard, scale = (X - X.mean(axis=0)) / X.std(axis=0), moe.likelihood_.scale_[0]
        prior = np.diag(1 / moe.likelihood_.shared_var_[0, :-1])
        cov = np.linalg.inv(standard.T @ standard / scale**2 + prior)
        expected = np.sqrt(np.diag(cov)) / X.std(axis=0)
        assert_allclose(found.std_error[1:-1], expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["line", "two"])
def test_levels_of_strings_differ_as_by_maximum_likelihood(kind):
    rng = np.random.default_rng(0)
    levels = np.repeat(["a", "b", "c"], 400)
    table = pd.DataFrame({"x": rng.normal(size=1200), "kind": levels})
    value = table["x"].to_numpy() + np.repeat([0.0, 1.0, -1.0], 400)
    y = value + (rng.normal if kind == "line" else rng.logistic)(size=1200)
    y = y if kind == "line" else np.where(y > 0, "yes", "no")
    found = mixture(kind, n_experts=1).fit(table, y).summary(table, y)
    told = mixture(kind, n_experts=1, training="em").fit(table, y).summary(table, y)
    # a is the reference by maximum likelihood, and here the most frequent.
    known = ~np.isnan(told.estimate)
    assert_array_equal(np.isnan(found.estimate), ~known)
    assert_allclose(found.std_error[known], told.std_error[known], rtol=0.03)
    assert (np.abs(found.estimate - told.estimate)[known] < told.std_error[known]).all()


def levels_of(n, seed=1):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    table["kind"] = rng.choice(["cat", "dog", "fish"], n, p=[0.2, 0.5, 0.3])
    table["sex"] = rng.choice(["f", "m", None], n, p=[0.3, 0.6, 0.1])
    y = table["a"] + 2.0 * (table["kind"] == "cat") + (table["sex"] == "m") + rng.normal(size=n)
    return table, y.to_numpy()


def test_levels_are_differences_from_the_most_frequent_and_all_else_stays():
    table, y = levels_of(200)
    y = y + 3.0 * table["a"] * (table["b"] > 0)
    moe = mixture("line", n_experts=2, n_init=1).fit(table, y)
    found, raw = moe.summary(table, y), raw_parameters(moe)
    cov = estimates_of(moe, table, y).covariance()
    parts, terms = np.array(found.parts), np.array(found.terms)
    for part in dict.fromkeys(found.parts):
        place = {terms[i]: i for i in np.flatnonzero(parts == part)}
        references = ["kind=dog (reference)", "sex=m (reference)"]
        levels = {"kind=cat": 0, "kind=fish": 0, "sex=f": 1, "sex missing": 1}
        if references[0] not in place:  # proportions
            continue
        for term, j in levels.items():
            direction = np.zeros(len(raw))
            direction[[place[term], place[references[j]]]] = [1.0, -1.0]
            assert_allclose(found.estimate[place[term]], direction @ raw)
            expected = np.sqrt(direction @ cov @ direction)
            assert_allclose(found.std_error[place[term]], expected)
        direction = np.zeros(len(raw))
        direction[[place[term] for term in ["intercept", *references]]] = 1.0
        assert_allclose(found.estimate[place["intercept"]], direction @ raw)
        assert np.isnan(found.estimate[[place[term] for term in references]]).all()
        for term in ("a", "b"):
            assert_allclose(found.estimate[place[term]], raw[place[term]])
            assert_allclose(found.std_error[place[term]] ** 2, cov[place[term], place[term]])
    by_bootstrap = bootstrap(moe, table, y, n_resamples=2, random_state=0)
    assert_array_equal(by_bootstrap.estimate, found.estimate)


def test_subjects_count_once():
    rng = np.random.default_rng(0)
    X, subject = rng.normal(size=(400, 2)), np.repeat(np.arange(80), 5)
    up = (rng.uniform(size=80) < 0.4)[subject]
    y = np.where(up, 1 + X[:, 0], -1 - X[:, 0]) + 2 * X[:, 1] + rng.normal(size=400)
    found, told = (
        mixture("line", gate=ConstantGate(), training=training)
        .fit(X, y, subject=subject)
        .summary(X, y, subject=subject)
        for training in ("pooled", "em")
    )
    assert found.n_subjects == 80
    order = [0, 1, 2, 4, 5, 6, 8]
    assert_allclose(found.std_error[order], told.std_error[order], rtol=0.05)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_an_expert_without_an_error_leaves_the_others_their_standard_errors():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    exact = rng.uniform(size=200) < 0.4
    y = np.where(exact, 5.0, X[:, 0] + rng.normal(size=200))
    moe = mixture("line").fit(X, y)
    (k,) = np.flatnonzero(moe.likelihood_.at_floor_)
    found = moe.summary(X, y)
    of_exact = np.array(found.parts) == f"expert{k}"
    assert_array_equal(np.isnan(found.std_error), of_exact)
    rest = (
        mixture("line", n_experts=1, training="pooled")
        .fit(X[~exact], y[~exact])
        .summary(X[~exact], y[~exact])
    )
    others = np.char.startswith(found.parts, "expert") & ~of_exact
    assert_allclose(found.std_error[others], rest.std_error, rtol=0.1)
    assert f"n/a in expert{k}: the errors are as small" in str(found)
    assert "are exactly 5" in str(found)  # and what to do about it


def test_what_has_no_posterior_is_refused():
    X, y = rows(0, 200, "line", noise=0.5)
    moe = mixture("line").fit(X, y)
    with pytest.raises(ValueError, match="no maximum near the fit.*training='em', cv=False"):
        moe.summary(X, y[::-1])  # where the fit is at no maximum
    weighted = mixture("two", class_weight="balanced").fit(X, y > 0)
    with pytest.raises(ValueError, match="class_weight"):
        weighted.summary(X, y > 0)
    moe.remove_expert("expert1")
    with pytest.raises(ValueError, match="after remove_expert"):
        moe.summary(X, y)


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_summary_by_bootstrap_is_the_covariance_of_its_resamples(training, monkeypatch):
    few = partial(bootstrap, n_resamples=4)
    monkeypatch.setattr("skmoe.inference._bootstrap.bootstrap", few)
    X, y = rows(0, 100, "line")
    moe = mixture("line", n_experts=1, training=training).fit(X, y)
    found, result = moe.summary(X, y, cov="bootstrap"), few(moe, X, y, random_state=0)
    assert_allclose(found.std_error, result.standard_error, rtol=1e-10)
    assert_array_equal(found.estimate, result.estimate)
    assert np.isfinite(found.p_value[0]) == (training == "em")
    assert "bootstrap" in str(found)


@pytest.mark.parametrize(("kind", "n"), [("line", 150), ("two", 300)])
def test_intervals_cover_what_was_planted(kind, n):
    hits = []
    for seed in range(100):
        # Of two regimes of classes, several explanations are often as good.
        X, y = rows(seed, n, kind, noise=0.5, regimes=2 if kind == "line" else 1)
        moe = mixture(kind, n_experts=2 if kind == "line" else 1, n_init=2).fit(X, y)
        found = moe.summary(X, y)
        if kind == "two":
            true = COEF[0]
        elif len(moe.experts_) == 1:
            continue
        else:
            first = int(abs(found.estimate[1] - 2) > abs(found.estimate[1] + 1))
            true = np.column_stack([COEF, np.log([0.5, 0.5])])[[first, 1 - first]].ravel()
            true = np.append(true, (1 - 2 * first) * GATE)
        hits.append((found.lower < true) & (true < found.upper))
    assert len(hits) > 90
    assert 0.92 < np.mean(hits) < 0.98  # of 300 or 1100 intervals that depend on each other


def test_levels_that_are_random_effects_are_differences_from_their_mean():
    rng = np.random.default_rng(5)
    level, effect = rng.integers(0, 40, 800), rng.normal(size=40)
    table = pd.DataFrame({"x": rng.normal(size=800), "town": [f"t{j:02}" for j in level]})
    y = 2.0 + table["x"].to_numpy() + effect[level] + 0.7 * rng.normal(size=800)
    moe = mixture("line", n_experts=1).fit(table, y)
    found, raw = moe.summary(table, y), raw_parameters(moe)
    cov = estimates_of(moe, table, y).covariance()
    terms = np.array(found.terms)
    of_levels = np.char.startswith(terms, "town=")
    assert of_levels.sum() == 40
    directions = np.eye(len(raw))
    directions[np.ix_(of_levels, of_levels)] -= 1 / 40
    directions[terms == "intercept", of_levels] += 1 / 40
    assert_allclose(found.estimate, directions @ raw)
    variances = np.einsum("ij,jk,ik->i", directions, cov, directions)
    assert_allclose(found.std_error, np.sqrt(variances))
    # Of one line they are those of the fit itself, under whose prior levels have one scale.
    columns = moe.likelihood_.columns_
    to_raw = np.zeros((42, 42))
    to_raw[0] = np.append(-columns.mean / columns.scale, 1.0)
    to_raw[1:, :-1] = np.diag(1 / columns.scale)
    of_fit = to_raw @ moe.likelihood_.coef_cov_[0, 0] @ to_raw.T
    variances = np.einsum("ij,jk,ik->i", directions[:42, :42], of_fit, directions[:42, :42])
    assert_allclose(found.std_error[:42], np.sqrt(variances), rtol=1e-4)
    # What is printed does not depend on the level that some would call the reference.
    assert_allclose(found.estimate[of_levels].sum(), 0.0, atol=1e-9)
    truth = effect - effect.mean()
    covered = (found.lower[of_levels] <= truth) & (truth <= found.upper[of_levels])
    assert covered.sum() >= 35  # 38 expected, with a standard deviation of 1.4
    assert abs(found.estimate[terms == "intercept"] - 2.0 - effect.mean()) < 0.1
    (note,) = [note for note in found.notes if "levels of town" in note]
    assert abs(float(note.split()[-1]) - effect.std()) < 0.15
    assert "n/a" not in str(found)
