"""Levels of strings under pooling: effects that are shrunk, by a variance of each column."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from planted import planted

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._experts.base import Ties
from skmoe._experts.pooled import variance_groups
from skmoe._experts.pooled_posteriors import learn_variances, pooled_coefficients, with_whole_cov
from skmoe._numerics.columns import StandardColumns, quadratic_forms, sparse_rows
from skmoe._pooling import problem

N_TEST = 500
ONE = {"training": "pooled", "n_experts": 1, "random_state": 0}


def table_of_levels(n_levels, per_level, sd, seed=0):
    """Rows to fit and to test with their targets, and the effects of the levels."""
    rng = np.random.default_rng([n_levels, int(per_level), seed])
    n = int(n_levels * per_level)
    X = pd.DataFrame(rng.normal(size=(n + N_TEST, 3)), columns=["a", "b", "c"])
    number = np.append(np.arange(n) % n_levels, rng.integers(n_levels, size=N_TEST))
    effects = sd * rng.normal(size=n_levels)
    y = (0.3 * X["a"] + 0.3 * X["b"] + effects[number]).to_numpy() + 0.5 * rng.normal(size=len(X))
    X["state"] = [f"s{k:03}" for k in number]
    return (X[:n], y[:n]), (X[n:], y[n:]), effects


def gain(fit, test, **params):
    """Mean log-density of new rows with the column over that without it, and the first mixture."""
    moe = MixtureOfExpertsRegressor(**ONE | params).fit(*fit)
    (X, y), (X_test, y_test) = ((X.drop(columns="state"), y) for X, y in (fit, test))
    without = MixtureOfExpertsRegressor(**ONE | params).fit(X, y)
    return moe.log_density(*test).mean() - without.log_density(X_test, y_test).mean(), moe


@pytest.mark.parametrize(("n_levels", "per_level"), [(48, 11), (120, 3)])
def test_levels_that_tell_much_are_used_however_many_they_are(n_levels, per_level):
    fit, test, effects = table_of_levels(n_levels, per_level, 2.0)
    ahead, moe = gain(fit, test)
    assert ahead > 0.7
    levels = pd.DataFrame({"state": [f"s{k:03}" for k in range(n_levels)]}).assign(a=0, b=0, c=0)
    assert np.corrcoef(moe.predict(levels[["a", "b", "c", "state"]]), effects)[0, 1] > 0.97


@pytest.mark.parametrize(("n_levels", "per_level"), [(48, 11), (80, 1.5)])
def test_levels_that_tell_nothing_cost_next_to_nothing(n_levels, per_level):
    tables = [table_of_levels(n_levels, per_level, 0.0, seed)[:2] for seed in range(2)]
    assert np.mean([-gain(*table)[0] for table in tables]) < 0.03


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "gamma", "categorical"])
def test_intercepts_are_free_beside_levels_of_unlike_frequencies(likelihood):
    (X, y), _, _ = table_of_levels(48, 6, 1.0)
    common = np.arange(len(X)) % 2 == 0
    X, y = X.assign(state=X["state"].mask(common, "common")), y + 2 * common
    if likelihood == "categorical":
        y = y > 1
        predicted = MixtureOfExpertsClassifier(**ONE).fit(X, y).predict_proba(X)[:, 1]
    else:
        y = {"gaussian": y, "poisson": np.round(np.exp(y)), "gamma": np.exp(y)}[likelihood]
        predicted = MixtureOfExpertsRegressor(**ONE, likelihood=likelihood).fit(X, y).predict(X)
    if likelihood == "gamma":  # whose score weights rows by their means
        predicted, y = y / predicted, 1.0
    # The others average over the posterior of their coefficients.
    tolerance = 1e-4 if likelihood == "gaussian" else 0.07
    assert_allclose(predicted.mean(), np.mean(y), rtol=tolerance)


def test_intervals_of_levels_that_fit_has_not_seen_hold():
    held = []
    for seed in range(8):
        fit, (X, _), _ = table_of_levels(40, 8, 2.0, seed)
        moe = MixtureOfExpertsRegressor(**ONE).fit(*fit)
        rng = np.random.default_rng(seed)
        y = 0.3 * X["a"] + 0.3 * X["b"] + rng.normal(size=len(X)) * np.sqrt(4 + 0.25)
        low, high = moe.predict_interval(X.assign(state="new"), 0.9).T
        held.append(np.mean((low < y) & (y < high)))
    assert 0.85 < np.mean(held) < 0.93


def test_a_random_intercept_is_what_it_is_in_a_mixed_model():
    """Effects and variances of one column of levels alone, against the closed form."""
    fit, _, _ = table_of_levels(30, 6, 1.0)
    X, y = fit[0][["state"]], fit[1]
    moe = MixtureOfExpertsRegressor(**ONE).fit(X, y)
    means = pd.Series(y).groupby(X["state"].to_numpy()).mean()
    likelihood = moe.likelihood_
    scale = likelihood.columns_.scale[0]
    variance = likelihood.shared_var_[0, 0] / scale**2
    shrinkage = variance / (variance + likelihood.scale_[0] ** 2 / 6)
    expected = means.mean() + shrinkage * (means - means.mean())
    found = moe.predict(pd.DataFrame({"state": means.index}))
    assert_allclose(found, expected, atol=0.02)
    # Analysis of variance: between and within, balanced.
    within = np.mean([y[X["state"].to_numpy() == k].var(ddof=1) for k in means.index])
    assert_allclose(likelihood.scale_[0] ** 2, within, rtol=0.05)
    assert_allclose(variance, means.var(ddof=1) - within / 6, rtol=0.15)


def test_variances_of_blocks_raise_the_evidence_and_find_what_was_planted():
    rng = np.random.default_rng(0)
    block = np.repeat([0, 1, 2], [20, 60, 80])
    sd = np.array([1.0, 0.1, 4.0])[block]
    X = np.column_stack([rng.normal(size=(800, 160)), np.ones(800)])
    y = X @ np.append(sd * rng.normal(size=160), 0.0) + rng.normal(size=800)
    gram, cross = (X.T @ X)[None], (X.T @ y)[None]
    tau, rho = np.zeros((1, 161)), np.append(np.ones(160), 100.0)[None]
    evidence = [pooled_coefficients(gram, cross, tau[0], rho[0]).evidence]
    groups = variance_groups(np.zeros(161, bool), 161, block)
    for _ in range(40):
        (found,), tau, rho = learn_variances(gram[None], cross[None], tau, rho, groups)
        evidence.append(found.evidence)
    assert (np.diff(evidence) > -1e-9).all()
    assert_allclose(np.sqrt(rho[0, [0, 20, 80]]), [1.0, 0.1, 4.0], rtol=0.3)
    assert all(np.ptp(rho[0, :160][block == each]) == 0 for each in range(3))


def test_forms_of_several_columns_of_strings_are_those_of_all_columns():
    rng = np.random.default_rng(0)
    level_of = np.repeat([0, 2, 0, 5, 0], [1, 11, 2, 14, 1])
    design, half = rng.normal(size=(60, 29)), rng.normal(size=(3, 29, 40))
    for number, n_levels in ((2, 11), (5, 14)):
        design[:, level_of == number] = 1.7 * np.eye(n_levels)[rng.integers(n_levels, size=60)]
    design[0, level_of == 5] = 0.0  # a row of no level
    cov = half @ half.swapaxes(1, 2)
    expected = np.einsum("ni,kij,nj->nk", design, cov, design)
    assert_allclose(quadratic_forms(design, cov, level_of), expected)


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_rounds_of_few_levels_are_the_same_in_compiled_code(kind, monkeypatch):
    (X, y), _, _ = table_of_levels(12, 10, 1.0)
    y = y > 0 if kind is MixtureOfExpertsClassifier else y
    fits = []
    for most in (0, 150):
        monkeypatch.setattr(problem, "COMPILED_LEVELS", most)
        fits.append(kind(training="pooled", n_experts=2, random_state=0).fit(X, y))
    assert_allclose(*(fit.lower_bound_ for fit in fits), rtol=1e-6)
    assert_allclose(*(fit.gate_proba(X) for fit in fits), atol=1e-4)


def test_levels_solved_apart_have_the_posterior_of_all_columns_at_once():
    (X, _), _, _ = table_of_levels(12, 4, 1.0)
    rows = np.column_stack([X[["a", "b"]], pd.get_dummies(X["state"]).to_numpy(float)])
    columns = StandardColumns.of(rows, np.ones(len(rows)), block=np.repeat([0, 1], [2, 12]))
    design, levels = columns.design(rows), columns.levels
    assert levels.tolist() == [False] * 2 + [True] * 12 + [False]
    assert sparse_rows(design[:, levels], levels).nnz == len(rows)
    rng = np.random.default_rng(0)
    resp = rng.dirichlet(np.ones(3), size=len(design))
    gram = np.einsum("ik,ip,iq->kpq", resp, design, design)
    cross = np.einsum("ik,ip,i->kp", resp, design, rng.normal(size=len(design)))
    tau, rho = rng.uniform(0.1, 2, size=(2, design.shape[1]))
    found = pooled_coefficients(gram, cross, tau, rho, levels)
    expected = pooled_coefficients(gram, cross, tau, rho)
    between = np.outer(levels, levels) & ~np.eye(len(levels), dtype=bool)
    assert (found.cov[:, between] == 0).all()
    assert_allclose(with_whole_cov(found).cov, expected.cov)
    expected.cov[:, between] = 0
    for name, value in list(vars(expected).items())[:-1]:
        assert_allclose(vars(found)[name], value, rtol=1e-8, atol=1e-11, err_msg=name)
    groups = variance_groups(np.full(len(tau), True), len(tau), columns.block)
    given = *(each[None] for each in (gram, cross, tau, rho)), groups
    learned = (learn_variances(*given, levels=each) for each in (None, levels))
    for ours, others in zip(*(each[1:] for each in learned), strict=True):
        assert_allclose(ours, others, rtol=1e-8)
    assert_allclose(
        quadratic_forms(design, found.cov, levels), quadratic_forms(design, found.cov), rtol=1e-9
    )
    ties = Ties([0, 1, 0], True, len(tau))
    variances = np.pad(np.stack([tau, rho]), [(0, 0), (0, ties.n_offsets)], constant_values=0.1)
    given = gram[None], cross[None], *variances[:, None]
    tied = [learn_variances(*given, ties=ties, levels=each)[0][0] for each in (None, levels)]
    assert_allclose(tied[1].mean, tied[0].mean, rtol=1e-8, atol=1e-11)
    tied[0].cov[:, between] = 0
    assert_allclose(tied[1].cov, tied[0].cov, rtol=1e-8, atol=1e-11)


def table_of_two_regimes(n_rows, *, of_levels, of_number, seed=0):
    """Two lines, of which the log-odds are of thirty levels and of the first of four numbers."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=["a", "b", "c", "d"])
    number = rng.integers(30, size=n_rows)
    log_odds = of_levels * rng.normal(size=30)[number] + of_number * X["a"].to_numpy()
    sign = np.where(rng.logistic(size=n_rows) < log_odds, 1.0, -1.0)
    X["state"] = [f"s{k:02}" for k in number]
    return X, sign * (2 + X["b"].to_numpy()) + 0.3 * rng.normal(size=n_rows)


def test_levels_of_the_gate_have_a_variance_of_their_own():
    X, y = table_of_two_regimes(700, of_levels=3.0, of_number=0.0)
    moe = MixtureOfExpertsRegressor(**ONE | {"n_experts": 2}).fit(X, y)
    precision = moe.gate_[-1].prior_precision()
    # Two functions that sum to zero: each has half the log-odds.
    assert_allclose(precision[4:] ** -0.5, 3.0 / 2, rtol=0.3)
    assert precision[:4].min() > 30 * precision[4]
    X, y = table_of_two_regimes(700, of_levels=0.0, of_number=3.0)
    moe.fit(X, y)
    precision = moe.gate_[-1].prior_precision()
    assert precision[4:].min() > 10 * precision[0]
    table = moe.summary(X, y).to_frame().reset_index()
    errors = table[table["term"].str.startswith("state=") & table["part"].str.startswith("gate")]
    # Of a difference between two levels, and between two experts.
    assert (errors["std_error"].dropna() < 1.1 * np.sqrt(4 / precision[-1])).all()


def test_two_regimes_have_levels_that_their_gate_does_not_see():
    (X, y), _, effects = table_of_levels(48, 8, 2.0)
    y = y + np.where(X["a"] > 0, 4 * X["b"], -4 * X["b"])
    moe = MixtureOfExpertsRegressor(training="pooled", n_experts=2, random_state=0).fit(X, y)
    assert len(moe.experts_) == 2
    assert moe.predict_experts(X).std(axis=0).min() > 1.5
    assert_allclose(moe.gate_proba(X), moe.gate_proba(X.assign(state="other")))
    assert not np.allclose(moe.predict(X), moe.predict(X.assign(state="other")), atol=0.5)


def test_levels_that_do_not_matter_are_printed_as_one_line():
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {"x": rng.normal(size=400), "state": rng.integers(20, size=400).astype(str)}
    )
    noise = rng.normal(size=400)
    noise -= [noise[table["state"] == level].mean() for level in table["state"]]  # all are alike
    y = 2 * table["x"].to_numpy() + noise
    moe = MixtureOfExpertsRegressor(**ONE).fit(table, y)
    for printed in (moe.coefficients(), moe.summary(table, y)):
        assert str(printed).count("state: 20 levels, none matters, sd ") == 1
        assert "state=" not in str(printed)
        assert "state=" not in printed._repr_html_()
        terms = printed.to_frame().index.get_level_values("term")
        assert np.char.startswith(terms.to_numpy(str), "state=").sum() == 20


def test_levels_that_do_not_matter_to_the_gate_are_one_line_and_others_at_most_max_rows():
    rng = np.random.default_rng(0)
    x, up = np.repeat(rng.normal(size=(2, 20)), 20, axis=1)  # the same in all states
    table = pd.DataFrame({"x": x, "state": np.tile(np.arange(20), 20).astype(str)})
    y = np.tile(np.linspace(-1, 1, 20), 20) + 3 * np.sign(x + up) * x + 0.3 * rng.normal(size=400)
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(table, y)
    for ask, n_tables in ((moe.coefficients, 1), (partial(moe.summary, table, y), 2)):
        everything, _, of_gate = str(ask(max_rows=None)).partition("gate: ")
        assert "state: 20 levels, none matters, sd 0.0" in of_gate
        assert "state=" not in of_gate
        assert everything.count("state=") == 20 * n_tables
        short = str(ask(max_rows=6)).partition("gate: ")[0]
        assert short.count(" more\n") == n_tables
        assert len(short.partition("errors")[0].splitlines()) == 1 + 8 * n_tables
    with pytest.raises(ValueError, match="max_rows == 0, must be >= 1"):
        moe.coefficients(max_rows=0)


def test_coefficients_have_levels_in_order_and_their_spread():
    fit, _, effects = table_of_levels(20, 30, 2.0)
    moe = MixtureOfExpertsRegressor(**ONE).fit(*fit)
    of_levels = moe.coefficients().to_frame()
    shown = of_levels.loc["prediction"].filter(like="=", axis=0).iloc[:, 0]
    assert shown.is_monotonic_increasing
    assert len(shown) == 20
    (spread,) = of_levels.loc["standard deviation of levels"].iloc[:, 0]
    assert_allclose(spread, np.std(effects), rtol=0.1)  # of 20, each known to .1
    (label,) = of_levels.loc["standard deviation of levels"].index
    assert shown.index[0].startswith(f"{label}=")


# Columns as many as their rank ------------------------------------------------------------------


@pytest.mark.parametrize("n_levels", [3, 12])  # of the prior of all columns, or of their own
def test_columns_of_one_variance_are_as_many_as_their_rank_and_nothing_changes(
    n_levels, monkeypatch
):
    data = planted(240, 2, coef=3.0, random_state=3)
    levels = np.arange(240) % n_levels
    X = pd.DataFrame(data.X, columns=["a", "b"])
    X = X.assign(half=X.a + X.b, level=[f"l{k}" for k in levels], other=levels % 2 == 0)
    X["other"] = X.other.map(str)
    y = data.y + 0.5 * np.cos(levels)

    def fitted():
        return MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0).fit(X, y)

    few = fitted()
    monkeypatch.setattr(StandardColumns, "_turned", lambda self, *given: self)
    many = fitted()
    # EM stops within its tolerance of the same optimum.
    assert_allclose(few.lower_bound_, many.lower_bound_, rtol=1e-6)
    new = X.iloc[:20].assign(half=5.0, other="no")  # against what the rows of fit have
    for rows in (X, new):
        found, expected = (np.array(m.predict(rows, return_std=True)) for m in (few, many))
        assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        assert_allclose(few.gate_proba(rows), many.gate_proba(rows), atol=1e-3)
    likelihoods = few.likelihood_, many.likelihood_
    cov, expected = (likelihood.coef_cov_ for likelihood in likelihoods)
    assert_allclose(cov, expected, rtol=1e-2, atol=1e-3 * expected.max())


def test_turned_columns_span_the_rows_and_keep_blocks_apart():
    rng = np.random.default_rng(0)
    level = np.eye(12)[rng.integers(12, size=90)]
    side = np.eye(3)[rng.integers(3, size=90)]
    X = np.column_stack([level, rng.normal(size=90), side])
    block = np.repeat([1, 0, 2], [12, 1, 3])
    columns = StandardColumns.of(X, np.ones(90), block)
    assert columns.n_columns == 12 + 1 + 2 + 1  # three sides have two directions
    whole = columns.whole.design(X)
    assert_allclose(columns.basis.T @ columns.basis, np.eye(15), atol=1e-12)
    assert_allclose(columns.design(X)[:, :-1] @ columns.basis.T, whole[:, :-1], atol=1e-12)
    assert_allclose(columns.design(X)[:, columns.levels], whole[:, :12], atol=1e-15)
    assert (columns.effects[columns.levels[:-1]] == 1).all()
    variances = np.append(np.where(columns.effects == 1, 2.0, 3.0), 5.0)[None]
    expected = np.append(np.where(block == 1, 2.0, 3.0), 5.0)[None]
    assert_allclose(columns.standard_variances(variances), expected)
    # Under the prior alone, the covariance is the prior's.
    cov = columns.whole_cov(np.diag(variances[0])[None, None], variances)
    assert_allclose(cov[0, 0], np.diag(expected[0]), atol=1e-12)
