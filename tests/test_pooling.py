"""Partial pooling: formulas against dense references, regimes or none, and how it is used."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from planted import planted
from scipy import special, stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV

from skmoe import MixtureOfExpertsRegressor
from skmoe._data import Rows, Subjects, TrainingData
from skmoe._em.starts import STARTS, soften
from skmoe._experts.pooled import PooledExperts, pooled_precisions
from skmoe._experts.pooled_posteriors import pooled_coefficients
from skmoe._numerics.columns import StandardColumns, parted, quadratic_forms
from skmoe._numerics.statistics import LeastSquaresStatistics
from skmoe._pooling.problem import INTERCEPT_PENALTY, PooledGate, PooledProblem
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.likelihoods import Gaussian, StudentT
from skmoe.likelihoods._pooled import PooledGaussian
from skmoe.model_selection import select_n_experts

N_TEST = 4000


def pooled(**params):
    return MixtureOfExpertsRegressor(**({"training": "pooled", "random_state": 0} | params))


def one_line(n, p, seed):
    """Rows to fit and to test of a linear model with errors of 1."""
    rng = np.random.default_rng([seed, n, p, 1])
    X = rng.normal(size=(n + N_TEST, p))
    y = X @ rng.normal(size=p) + rng.normal() + rng.normal(size=len(X))
    return X[:n], y[:n], X[n:], y[n:]


def two_regimes(n, p, seed):
    """Rows of two linear models behind a soft border, with errors of 0.5."""
    rng = np.random.default_rng([seed, n, p, 2])
    X = rng.normal(size=(n + N_TEST, p))
    coef, intercept = rng.normal(size=(2, p)), rng.normal(size=2)
    regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
    y = np.einsum("ij,ij->i", X, coef[regime]) + intercept[regime] + 0.5 * rng.normal(size=len(X))
    return X[:n], y[:n], X[n:], y[n:]


def density_of_line(X, y, X_test, y_test):
    """Mean log-density of ordinary least squares with the unbiased error variance."""
    line = LinearRegression().fit(X, y)
    variance = ((y - line.predict(X)) ** 2).sum() / (len(y) - X.shape[1] - 1)
    return stats.norm.logpdf(y_test, line.predict(X_test), np.sqrt(variance)).mean()


# Formulas -------------------------------------------------------------------------------------


def dense(design, y, resp, tau, rho):
    """Means, covariances and evidence of K experts by the joint normal of all coefficients.

    The rows come K times, with precision resp under expert k.
    """
    n_experts, q = resp.shape[1], design.shape[1]
    blocks = [
        np.hstack([design] + [design * (j == k) for j in range(n_experts)])
        for k in range(n_experts)
    ]
    stacked, precision = np.vstack(blocks), resp.T.ravel()
    target = np.tile(y, n_experts)
    prior = np.concatenate([rho, np.tile(tau, n_experts)])
    cov = np.linalg.inv(stacked.T @ (precision[:, None] * stacked) + np.diag(1 / prior))
    mean = cov @ stacked.T @ (precision * target)
    to_expert = [
        np.hstack([np.eye(q)] + [np.eye(q) * (j == k) for j in range(n_experts)])
        for k in range(n_experts)
    ]
    root = np.sqrt(precision)
    marginal = (root[:, None] * stacked * prior) @ (root[:, None] * stacked).T + np.eye(len(root))
    log_density = stats.multivariate_normal(np.zeros(len(root)), marginal).logpdf(root * target)
    # What is left without a constant: the normal density of the rows at zero coefficients.
    evidence = log_density - stats.norm.logpdf(root * target).sum()
    return (
        np.stack([T @ mean for T in to_expert]),
        np.stack([T @ cov @ T.T for T in to_expert]),
        evidence,
    )


@pytest.mark.parametrize("n_experts", [1, 2, 3])
def test_coefficients_and_evidence_are_those_of_the_joint_normal(n_experts):
    rng = np.random.default_rng(n_experts)
    design, y = np.column_stack([rng.normal(size=(15, 2)), np.ones(15)]), rng.normal(size=15)
    resp = rng.dirichlet(np.ones(n_experts), size=15) * 3.0
    tau, rho = np.array([0.3, 0.3, 0.5]), np.array([0.8, 0.8, 100.0])
    gram = np.einsum("ik,ip,iq->kpq", resp, design, design)
    found = pooled_coefficients(gram, np.einsum("ik,ip,i->kp", resp, design, y), tau, rho)
    mean, cov, evidence = dense(design, y, resp, tau, rho)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.evidence, evidence, rtol=1e-9)
    np.testing.assert_allclose(found.shared_mean + found.own_mean, mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("n_experts", "variances"), [(1, [1.5e4]), (2, [2e4, 1e4])])
def test_divergence_is_no_difference_of_sums_over_rows(n_experts, variances):
    rng = np.random.default_rng(0)
    rows, coef = np.linalg.qr(rng.normal(size=(6, 3)))[0], 1e3 * rng.normal(size=6)
    gram = np.tile(1e10 * rows @ rows.T, (n_experts, 1, 1))  # as of counts of such means
    found = pooled_coefficients(gram, gram @ coef, np.full(6, 1e4), np.full(6, 5e3))
    # Of the sum of experts with the same sums, and of their difference, whose mean is zero.
    expected = 1.5 * sum(np.log(1e10 * variance) - 1 for variance in variances)
    expected += 0.5 * n_experts * coef @ rows @ rows.T @ coef / variances[0]
    # Of the ones that are added to sums of 1e14, two digits are left.
    np.testing.assert_allclose(found.divergence, expected, rtol=0.05)


def test_precisions_maximise_their_bound_over_a_fine_grid():
    mass, squares = np.array([30.0, 12.0, 50.0]), np.array([20.0, 30.0, 26.0])
    nu = np.array([0.5, 3.0, 20.0])
    found = pooled_precisions(mass, squares, nu)

    def bound(nu, centre):
        a, b = nu / 2, nu * centre / 2
        shape, rate = a + mass / 2, b + squares / 2
        value = a * np.log(b) - special.gammaln(a) + special.gammaln(shape)
        return (value - shape * np.log(rate)).sum()

    grid = [bound(each, s) for each in nu for s in np.geomspace(0.1, 10, 2001)]
    assert bound(found.nu, found.centre) >= max(grid) - 1e-12
    divergence = 0.0  # by quadrature
    for shape, rate in zip(found.shape, found.rate, strict=True):
        q = stats.gamma(shape, scale=1 / rate)
        p = stats.gamma(found.nu / 2, scale=2 / (found.nu * found.centre))
        divergence += q.expect(lambda x, q=q, p=p: q.logpdf(x) - p.logpdf(x), lb=1e-9, ub=50)
    np.testing.assert_allclose(found.divergence, divergence, rtol=1e-6)


def test_volume_of_the_gate_is_that_of_its_whole_curvature():
    rng = np.random.default_rng(0)
    gate = PooledGate(rng.normal(size=(30, 2)), rng.uniform(0.5, 2, 30))
    gate.begin(rng.dirichlet(np.ones(3), 30), np.array([0.3, 0.3]))
    proba, prior, variance = gate.proba, np.tile([0.3, 0.3, INTERCEPT_PENALTY], 3), np.empty(3)
    kernel = proba[:, :, None] * (np.eye(3) - proba[:, None]) * gate.weight[:, None, None]
    whole = np.einsum("nkl,ni,nj->kilj", kernel, gate.design, gate.design).reshape(9, 9)
    expected = -0.5 * np.linalg.slogdet(np.eye(9) + whole / prior)[1]
    assert gate.log_volume(variance) == pytest.approx(expected, rel=1e-10)
    of_each = np.linalg.inv(whole + np.diag(prior)).diagonal().reshape(3, 3)
    np.testing.assert_allclose(variance, of_each.sum(axis=0) - 1 / prior[:3])  # less their mean


def test_quadratic_forms_of_many_columns_are_those_of_few():
    rng = np.random.default_rng(0)
    design, half = rng.normal(size=(30, 60)), rng.normal(size=(2, 60, 90))
    cov = half @ half.swapaxes(1, 2)
    cov[1, :5] = cov[1, :, :5] = 0.0  # known coefficients: it is singular
    found = quadratic_forms(design, cov)
    assert_allclose(found, np.einsum("ni,kij,nj->nk", design, cov, design), rtol=1e-8)
    levels = np.arange(60) < 5
    design[:, :5] = np.eye(5)[rng.integers(0, 5, 30)]
    short = parted(design, levels, is_short=True)
    assert short[0].dtype == np.float32
    expected = quadratic_forms(design, cov, levels)
    assert_allclose(quadratic_forms(None, cov, levels, short), expected, rtol=1e-5)
    design[0, 7] = 1e30  # a row of weight 0, beyond the range of single precision
    assert parted(design, levels, is_short=True)[0].dtype == np.float64


def test_sums_of_the_largest_of_many_wide_experts_are_what_the_others_leave():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(40, 130)), rng.normal(size=40), rng.integers(0, 3, 40) * 1.0
    experts = PooledExperts(X, y, weight, floor=0.0, shared_scale=False).resized(3)
    resp = rng.dirichlet([1.0, 5.0, 1.0], size=40)
    given = experts.design, experts.targets, resp * weight[:, None]
    expected = LeastSquaresStatistics.from_rows(*given)
    for name, sums in vars(experts.sum_rows(resp)).items():
        assert_allclose(sums, vars(expected)[name], atol=1e-11, err_msg=name)


def test_space_of_the_rows_stands_for_all_columns():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(12, 30)), rng.normal(size=(5, 30))
    columns = StandardColumns.of(X, np.ones(12))
    y, rho = rng.normal(size=12), 0.4
    inside, outside = columns.design(X), columns.variances_of_unseen(new, np.ones((1, 31)))[:, 0]
    full = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(12)])
    results = []
    for design in (inside, full):
        prior = np.append(np.full(design.shape[1] - 1, rho), 100.0)
        found = pooled_coefficients(
            (design.T @ design)[None], (design.T @ y)[None], np.zeros(len(prior)), prior
        )
        results.append(found)
    few, many = results
    new_full = np.column_stack([(new - X.mean(axis=0)) / X.std(axis=0), np.ones(5)])
    np.testing.assert_allclose(few.evidence, many.evidence, rtol=1e-9)
    np.testing.assert_allclose(
        columns.design(new) @ few.mean[0], new_full @ many.mean[0], rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(
        quadratic_forms(columns.design(new), few.cov)[:, 0] + rho * outside,
        quadratic_forms(new_full, many.cov)[:, 0],
        rtol=1e-8,
    )
    np.testing.assert_allclose(
        columns.standard(few.mean.T)[:, 0], many.mean[0], rtol=1e-8, atol=1e-10
    )


# The bound rises ------------------------------------------------------------------------------


def problem(X, y, weight, n_experts, shared_scale=False):
    likelihood = PooledGaussian().start(y, weight, n_experts)
    experts = PooledExperts(X, y, weight, floor=likelihood.floor_, shared_scale=shared_scale)
    data = TrainingData.of(Rows(X, y, weight), X, y)
    gate = PooledGate(X if n_experts > 1 else X[:, :0], weight)
    return PooledProblem(experts.resized(n_experts), gate, likelihood, data), data


@pytest.mark.parametrize(
    ("n", "p", "n_outputs", "n_experts", "shared_scale"),
    [(40, 1, 1, 3, False), (60, 5, 2, 3, False), (50, 80, 1, 2, False), (150, 4, 1, 3, True),
     (60, 5, 2, 1, False), (60, 5, 1, 1, False)],
)  # fmt: skip
def test_bound_never_falls_at_a_fixed_prior_of_the_gate(n, p, n_outputs, n_experts, shared_scale):
    rng = np.random.default_rng([n, p])
    X = rng.normal(size=(n, p))
    y = np.column_stack([np.where(X[:, 0] > 0, X.sum(axis=1), -X[:, 0]), X[:, 0]])
    y = (y + 0.3 * rng.normal(size=y.shape))[:, :n_outputs]
    y, weight = y[:, 0] if n_outputs == 1 else y, rng.exponential(size=n)
    training, data = problem(X, y, weight, n_experts, shared_scale)
    labels = STARTS["functions"](
        data.columns, data.target, weight, n_experts, np.random.RandomState(0)
    )
    first = training.start(soften(labels, n_experts)).objective
    compiled = problem(X, y, weight, n_experts, shared_scale)[0].start(soften(labels, n_experts))
    n_rounds = 12 if n_experts > 1 else 1  # later ones may fall by rounding, where it stops
    bounds = [first, *(training.step() for _ in range(n_rounds))]
    if n_outputs == 1:
        run = compiled.advance(n_rounds, -np.inf, False, [], -np.inf)
        np.testing.assert_allclose(run, bounds[1:], rtol=1e-8)
        np.testing.assert_allclose(compiled.evidence, training.evidence, rtol=1e-8)
        np.testing.assert_allclose(compiled.experts.coef, training.experts.coef, atol=1e-6)
    assert compiled.is_compiled == (n_outputs == 1)
    bounds = np.array([*bounds, *(training.step() for _ in range(60 - n_rounds))])
    # Rounding of sums over rows, of numbers of about the size of the bound.
    assert (np.diff(bounds) >= -1e-9 * np.maximum(1, np.abs(bounds[1:]))).all()
    assert bounds[-1] > bounds[0]


def test_bound_never_falls_with_subjects():
    rng = np.random.default_rng(0)
    X, subject = rng.normal(size=(80, 4)), np.repeat(np.arange(20), 4)
    y = np.where(subject % 2, X[:, 0], -X[:, 0]) + X[:, 1] + 0.5 * rng.normal(size=80)
    weight = rng.exponential(size=80)
    likelihood = PooledGaussian().start(y, weight, 3)
    experts = PooledExperts(X, y, weight, floor=likelihood.floor_, shared_scale=False).resized(3)
    data = TrainingData.of(Rows(X, y, weight), X, y, subjects=Subjects(subject, weight))
    gate = PooledGate(X[:, :0], data.subjects.row_weight)
    training = PooledProblem(experts, gate, likelihood, data)
    training.start(0.1 + 0.7 * np.eye(3)[subject % 2])
    bounds = np.array([training.step() for _ in range(60)])
    assert (np.diff(bounds) >= -1e-10).all()
    assert bounds[-1] > bounds[0] + 0.05
    coef = np.stack([coefficients.mean for coefficients, _ in experts.posteriors])[0]
    assert np.ptp(coef[:, 0]) > 0.5


def test_bound_of_one_line_is_below_its_exact_evidence_and_close():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 2))
    training, _ = problem(X, X @ [1.0, -0.5] + rng.normal(size=25), np.ones(25), 1)
    training.start(np.ones((25, 1)))
    for _ in range(200):
        bound = training.step()
    experts = training.experts
    (_, precisions), design = experts.posteriors[0], experts.design
    prior = design @ np.diag(experts.rho[0]) @ design.T  # rho is what evidence made it

    def log_joint(log_precision):  # with lambda, over which the exact evidence is an integral
        precision = np.exp(log_precision)
        covariance = prior + np.eye(25) / precision
        of_rows = stats.multivariate_normal(np.zeros(25), covariance).logpdf(experts.targets[:, 0])
        a, b = precisions.nu / 2, precisions.nu * precisions.centre / 2
        return of_rows + stats.gamma(a, scale=1 / b).logpdf(precision) + log_precision

    grid = np.log(precisions.mean[0]) + np.linspace(-4, 4, 801)
    values = np.array([log_joint(each) for each in grid])
    exact = special.logsumexp(values) + np.log(grid[1] - grid[0])
    exact = (exact - 25 * np.log(experts.y_scale[0])) / 25
    assert bound <= exact + 1e-3  # the floor of y takes a little from the bound, nothing from this
    assert bound >= exact - 0.02  # coefficients and precision are nearly independent


# Subjects ---------------------------------------------------------------------------------------


def of_patients(seed):
    """Rows of sixty patients, five each: X, y, patient, regime of each row, coefficients."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(60), 5)
    X, coef = rng.normal(size=(300, 3)), rng.normal(size=(2, 3))
    regime = patient % 2
    y = np.einsum("ij,ij->i", X, coef[regime]) + 0.5 * rng.normal(size=300)
    return X, y, patient, regime, coef


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")  # of exact lines
@pytest.mark.parametrize("seed", [0, 1])
def test_patients_share_a_regime_each_and_their_number_is_found(seed):
    X, y, patient, regime, coef = of_patients(seed)
    moe = pooled(gate=ConstantGate()).fit(X, y, subject=patient)
    assert len(moe.experts_) == 2
    found = moe.responsibilities(X, y, subject=patient).argmax(axis=1)
    assert max((found == regime).mean(), (found != regime).mean()) > 0.95
    first = np.argmin([np.abs(line.coef_ - coef[0]).sum() for line in moe.experts_])
    np.testing.assert_allclose(moe.experts_[first].coef_, coef[0], atol=0.2)  # 4 standard errors
    assert len(pooled(gate=ConstantGate()).fit(X, X[:, 0] + y - y, subject=patient).experts_) == 1


def test_weights_are_rows_that_a_subject_has_more_than_once():
    X, y, patient, *_ = of_patients(2)
    weight = np.where(np.arange(300) % 3 == 0, 2, 1)
    moe = pooled(n_experts=2, gate=ConstantGate())
    weighted = clone(moe).fit(X, y, sample_weight=weight, subject=patient)
    X2, y2, patient2 = (np.repeat(each, weight, axis=0) for each in (X, y, patient))
    repeated = clone(moe).fit(X2, y2, subject=patient2)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-4)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-6)


# Mergers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_loss_by_a_merger_is_that_of_least_squares(n_outputs):
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(60, 3)), rng.normal(size=(60, 2)), rng.uniform(1, 2, size=60)
    y = y[:, 0] if n_outputs == 1 else y
    resp = rng.dirichlet([0.5, 0.5, 0.5], size=60)
    experts = PooledExperts(X, y, weight, floor=0.0, shared_scale=False).resized(3)
    experts.begin(resp)

    def log_likelihood(row_weight):
        target, total = y.reshape(60, -1), row_weight.sum()
        residuals = target - LinearRegression().fit(X, target, row_weight).predict(X)
        return -0.5 * total * np.log(row_weight @ residuals**2 / total).sum()

    row_weight = resp * weight[:, None]
    parts, whole = row_weight[:, [0, 2]], row_weight[:, [0, 2]].sum(axis=1)
    expected = sum(map(log_likelihood, parts.T)) - log_likelihood(whole)
    np.testing.assert_allclose(experts.loss_as_one(0, 2), expected, rtol=1e-5)


# Regimes or none ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "p", "seed"),
    [
        (60, 5, 0),
        (100, 10, 0),
        *(pytest.param(60, 5, seed, marks=pytest.mark.slow) for seed in (1, 2)),
        *(pytest.param(100, 10, seed, marks=pytest.mark.slow) for seed in (1, 2)),
    ],
)
def test_without_regimes_there_is_one_line(n, p, seed):
    X, y, X_test, y_test = one_line(n, p, seed)
    moe = pooled().fit(X, y)
    assert len(moe.experts_) == 1
    assert sorted(moe.log_evidence_) == list(moe.log_evidence_) == [1, 2, 3, 4]
    # Shrinkage may cost a little where all coefficients are far from zero.
    assert moe.log_density(X_test, y_test).mean() - density_of_line(X, y, X_test, y_test) > -0.03


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_regimes_are_found_without_being_told(seed):
    X, y, X_test, y_test = two_regimes(200, 5, seed)
    moe = pooled().fit(X, y)
    told = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    assert len(moe.experts_) == 2
    gain = moe.log_density(X_test, y_test).mean() - told.log_density(X_test, y_test).mean()
    assert gain > -0.02


def test_starts_on_some_of_the_rows_lead_to_the_same_mixture(few_rows_for_starts, monkeypatch):
    X, y, *_ = two_regimes(400, 3, 0)
    on_some = pooled().fit(X, y)
    monkeypatch.setattr("skmoe._pooling.trainer.PART_OF_ROWS", 10.0)
    on_all = pooled().fit(X, y)
    assert len(on_some.experts_) == len(on_all.experts_) == 2
    assert on_some.log_evidence_[2] == pytest.approx(on_all.log_evidence_[2], abs=1e-3)


def test_two_regimes_of_many_columns_are_found_from_starts_in_few():
    X, y, X_test, y_test = two_regimes(300, 70, 0)
    moe = pooled().fit(X, y)
    assert len(moe.experts_) == 2
    assert moe.log_density(X_test, y_test).mean() - density_of_line(X, y, X_test, y_test) > 1.5


@pytest.mark.parametrize(("n", "p"), [(60, 60), (60, 200)])
def test_more_columns_than_rows_are_predicted_about_as_by_cross_validated_ridge(n, p):
    gains, alphas = [], np.logspace(-3, 4, 30)
    for seed in range(3):
        rng = np.random.default_rng([seed, n, p])
        X = rng.normal(size=(n + 2000, p))
        y = X[:, :5] @ rng.normal(size=5) + rng.normal(size=len(X))
        moe = pooled().fit(X[:n], y[:n])
        ridge = RidgeCV(alphas, store_cv_results=True).fit(X[:n], y[:n])
        left_out = ridge.cv_results_[:, list(alphas).index(ridge.alpha_)].mean()
        line = stats.norm.logpdf(y[n:], ridge.predict(X[n:]), np.sqrt(left_out)).mean()
        log_density = moe.log_density(X[n:], y[n:])
        assert np.isfinite(log_density).all()
        gains.append(log_density.mean() - line)
    assert np.mean(gains) > -0.05


def test_a_table_of_more_columns_than_rows_is_fitted_as_its_array():
    data = planted(60, 80, random_state=1)
    settings = {"n_init": 2, "random_state": 0}
    array = MixtureOfExpertsRegressor(**settings).fit(data.X, data.y)
    table = MixtureOfExpertsRegressor(**settings).fit(pd.DataFrame(data.X).add_prefix("x"), data.y)
    # Columns are summed in another order.
    assert_allclose(table.lower_bound_, array.lower_bound_, rtol=1e-9)


def test_intervals_cover():
    X, y, X_test, y_test = two_regimes(200, 5, 0)
    low, high = pooled(n_experts=2).fit(X, y).predict_interval(X_test, level=0.9).T
    # Four standard errors of 4000 rows are 0.02; the fit of 200 rows adds to it.
    assert ((low < y_test) & (y_test < high)).mean() == pytest.approx(0.9, abs=0.04)
    X, y, X_test, y_test = one_line(30, 10, 0)  # least squares would cover about 0.8 here
    low, high = pooled(n_experts=1).fit(X, y).predict_interval(X_test, level=0.9).T
    assert 0.85 < ((low < y_test) & (y_test < high)).mean() < 0.96


# Invariance -----------------------------------------------------------------------------------

X2, Y2, X2_TEST, Y2_TEST = two_regimes(100, 3, 0)


def assert_alike(one, other, X=X2_TEST, y=Y2_TEST, atol=2e-3):
    """The same but for where EM stopped, at gains of 1e-6 per unit of weight."""
    assert len(one.experts_) == len(other.experts_)
    np.testing.assert_allclose(*(moe.log_density(X, y).mean() for moe in (one, other)), atol=atol)


@pytest.fixture(scope="module")
def fitted_lines():
    return pooled(n_experts=2).fit(X2, Y2)


def test_weight_of_two_is_a_row_given_twice():
    twice = np.arange(len(Y2)) % 3 == 0
    rows = np.append(np.arange(len(Y2)), np.flatnonzero(twice))
    weighted = pooled(n_experts=2).fit(X2, Y2, sample_weight=1.0 + twice)
    repeated = pooled(n_experts=2).fit(X2[rows], Y2[rows])
    assert_alike(weighted, repeated, atol=1e-5)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, atol=1e-6)


def test_order_of_rows_does_not_matter(fitted_lines):
    order = np.random.default_rng(0).permutation(len(Y2))
    assert_alike(fitted_lines, pooled(n_experts=2).fit(X2[order], Y2[order]), atol=1e-5)


def test_units_do_not_matter(fitted_lines):
    scaled = pooled(n_experts=2).fit(X2 * [1e-3, 1.0, 1e5] + 7, 1e4 * Y2 - 3)
    np.testing.assert_allclose(
        scaled.predict(X2_TEST * [1e-3, 1.0, 1e5] + 7),
        1e4 * fitted_lines.predict(X2_TEST) - 3,
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        scaled.lower_bound_, fitted_lines.lower_bound_ - np.log(1e4), rtol=1e-6
    )


# How it is used -------------------------------------------------------------------------------


def test_predictive_variance_pays_for_what_is_not_known_of_the_lines(fitted_lines):
    far = 50 * X2_TEST[:1]
    near_std, far_std = (fitted_lines.predict(X, return_std=True)[1] for X in (X2_TEST[:1], far))
    assert far_std > 5 * near_std
    components = fitted_lines.predict_dist(X2_TEST[:3]).components
    assert (components.scale > fitted_lines.likelihood_.scale_).all()
    assert (components.df < len(Y2) + 10).all()


@pytest.mark.parametrize("n", [2, 3, 6])
def test_few_rows_are_enough(n):
    moe = pooled().fit(X2[:n], Y2[:n])
    assert np.isfinite(moe.predict(X2_TEST)).all()
    assert np.isfinite(moe.log_density(X2_TEST, Y2_TEST)).all()


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        pooled().fit(X2[:1], Y2[:1])


def test_constant_targets_and_columns_are_taken():
    assert pooled().fit(X2, np.full(len(Y2), 3.0)).predict(X2[:1]) == pytest.approx(3.0)
    moe = pooled().fit(np.ones((len(Y2), 2)), Y2)
    assert moe.predict(np.ones((1, 2))) == pytest.approx(Y2.mean(), abs=0.5)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")  # of exact lines
def test_exact_lines_are_taken():
    np.testing.assert_allclose(pooled().fit(X2, X2[:, 0]).predict(X2), X2[:, 0], atol=1e-4)


def test_warm_start_goes_on_with_as_many_experts(fitted_lines):
    moe = pooled(warm_start=True).fit(X2, Y2)
    number = len(moe.experts_)
    moe.fit(X2, Y2)
    assert list(moe.log_evidence_) == [number]
    assert_alike(moe, fitted_lines)


@pytest.mark.parametrize(
    ("params", "fit_params", "match"),
    [
        ({"experts": Ridge()}, {}, "needs linear experts without a penalty"),
        ({"likelihood": StudentT()}, {}, "needs likelihood='beta'"),
        ({"likelihood": Gaussian("auto")}, {}, "needs likelihood='beta'"),
        ({"likelihood": Gaussian(covariance="full")}, {}, "needs likelihood='beta'"),
        ({"gate": GaussianGate()}, {}, "needs gate=None"),
        ({"gate": SoftmaxGate(l1_ratio=0.5)}, {}, "needs gate=None"),
        ({"gate": SoftmaxGate(load_balance=0.1)}, {}, "needs gate=None"),
        ({"cv": "oob"}, {}, "needs cv other"),
        ({"top_k": 1}, {}, "needs top_k=None"),
        ({}, {"upper": Y2 + 1}, "needs targets without censoring"),
        (
            {},
            {"subject": np.arange(len(Y2)) // 2},
            "The gate differs between rows of subject 0, which share",
        ),
        ({}, {"exposure": np.ones(len(Y2))}, "exposure"),
    ],
)
def test_what_pooling_does_not_know_is_refused_and_the_mixture_stays(
    fitted_lines, params, fit_params, match
):
    moe = pooled(n_experts=2).set_params(**params)
    with pytest.raises(ValueError, match=match):
        moe.fit(X2, Y2, **fit_params)
    assert not hasattr(moe, "experts_")
    again = pickle.loads(pickle.dumps(fitted_lines)).set_params(**params)
    with pytest.raises(ValueError, match=match):
        again.fit(X2, Y2, **fit_params)
    assert len(again.experts_) == len(fitted_lines.experts_)


# The default ----------------------------------------------------------------------------------


def is_pooled(moe):
    return hasattr(moe, "log_evidence_") and isinstance(moe.likelihood_, PooledGaussian)


def test_a_mixture_within_a_mixture_is_not_pooled_by_default():
    pair = MixtureOfExpertsRegressor(n_experts=2, n_init=2)
    moe = MixtureOfExpertsRegressor(pair, n_experts=2, max_iter=3, tol=1.0, random_state=0)
    assert not any(map(is_pooled, moe.fit(X2, Y2).experts_))


def test_a_number_of_experts_is_that_number():
    X, y, *_ = one_line(60, 2, 0)
    for n_experts in (1, 2, 3):
        moe = pooled(n_experts=n_experts).fit(X, y)
        assert len(moe.experts_) == n_experts
        assert list(moe.log_evidence_) == [n_experts]


def test_evidence_of_each_number_chooses_it(fitted_lines):
    moe = MixtureOfExpertsRegressor(random_state=0)
    found = select_n_experts(moe, X2, Y2, [1, 2])
    assert found.criterion_ == "evidence"
    assert found.best_n_experts_ == len(found.best_estimator_.experts_) == 2
    evidence = [pooled(n_experts=1).fit(X2, Y2).log_evidence_[1], fitted_lines.log_evidence_[2]]
    np.testing.assert_allclose(found.results_["log_evidence"], len(Y2) * np.array(evidence))
    assert select_n_experts(moe, X2, Y2, [1, 2], criterion="bic").criterion_ == "bic"
    with pytest.raises(ValueError, match="needs pooled experts, .* trained by 'em'"):
        select_n_experts(MixtureOfExpertsRegressor(Ridge()), X2, Y2, [1, 2], criterion="evidence")


@pytest.mark.parametrize("n", [40, 300])
def test_streams_go_on_from_a_pooled_fit_by_maximum_likelihood(n):
    X, y, X_test, y_test = two_regimes(1500, 3, 1)
    moe = MixtureOfExpertsRegressor(random_state=0).fit(X[:n], y[:n])
    assert is_pooled(moe)
    before = moe.log_density(X_test, y_test).mean()
    for start in range(n, 1500, 100):
        moe.partial_fit(X[start : start + 100], y[start : start + 100])
    assert type(moe.likelihood_) is Gaussian
    after = moe.log_density(X_test, y_test).mean()
    whole = pooled().fit(X, y).log_density(X_test, y_test).mean()
    assert after > before - 0.005
    assert after > whole - 0.05
    assert np.isfinite(moe.bic(X, y))
