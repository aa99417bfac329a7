"""The likelihood and the gate that the guide writes do all that those of the package do."""

import doctest
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from planted import planted
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe.distributions import ScipyComponents
from skmoe.gates import BaseGate, ConstantGate, SoftmaxGate
from skmoe.inference._information import MixtureLikelihood
from skmoe.likelihoods import BaseLikelihood, Gamma, Gaussian, Poisson, StudentT

COEF = np.array([[4.0, 2.0], [-1.0, -1.0]])  # intercept first
SCALE = np.array([0.3, 0.6])


PAGES = Path(__file__).parents[1] / "doc" / "guide"


def classes_of_the_guide():
    """What the pages import and the classes they write, by name."""
    names = {"__name__": __name__}
    text = (PAGES / "extending.rst").read_text("utf-8")
    for example in doctest.DocTestParser().get_examples(text):
        if example.source.startswith(("import", "from", "class")):
            exec(example.source, names)
    return names


GUIDE = classes_of_the_guide()
Gumbel, GumbelTerms, RadialGate = (GUIDE[n] for n in ("Gumbel", "GumbelTerms", "RadialGate"))


def rows_of_two_regimes(seed, n_samples=1500):
    """Rows with Gumbel errors, the second regime mostly where x is large."""
    truth = {"gate": [2, 0], "coef": COEF[:, ::-1], "noise": SCALE}
    X, y, k, *_ = planted(n_samples, 1, kind="gumbel", random_state=seed, **truth)
    return X, y, k


mixture = partial(
    MixtureOfExpertsRegressor,
    n_experts=2,
    likelihood=Gumbel(),
    n_init=2,
    max_iter=500,
    tol=1e-8,
    random_state=0,
)


@pytest.fixture(scope="module")
def gumbel_lines():
    X, y, k = rows_of_two_regimes(0)
    return mixture().fit(X, y), X, y, k


def test_objective_rises_to_the_planted_regimes(gumbel_lines):
    moe, X, y, k = gumbel_lines
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    order = np.argsort(-moe.predict_experts(np.zeros((1, 1)))[0])
    ends = moe.predict_experts([[0.0], [1.0]])[:, order]
    # Five standard errors of some 0.02: 750 rows with a standard deviation of 0.4 or 0.8.
    assert_allclose(ends, [COEF[:, 0], COEF.sum(axis=1)], atol=0.15)
    assert_allclose(moe.likelihood_.scale_[order], SCALE, rtol=0.15)


def test_distributions_are_those_of_the_likelihood(gumbel_lines):
    moe, X, y, _ = gumbel_lines
    assert moe.predict(X).shape == y.shape
    below = moe.predict_quantiles(X, [0.1, 0.5, 0.9])
    # The standard error of a share among 1500 rows is 0.013 at most.
    assert_allclose((y[:, None] <= below).mean(axis=0), [0.1, 0.5, 0.9], atol=0.04)
    low, high = moe.predict_interval(X, level=0.8).T
    assert_allclose(((low <= y) & (y <= high)).mean(), 0.8, atol=0.04)
    drawn = moe.sample_y(X, n_samples=20, random_state=0)
    assert_allclose((drawn <= below[:, [0]]).mean(), 0.1, atol=0.02)
    report = moe.expert_report(X, y).columns
    assert_allclose(report["load"], moe.gate_proba(X).mean(axis=0))
    assert_allclose(report["scale"], moe.likelihood_.scale_)
    assert np.isfinite(moe.bic(X, y))


def test_summary_has_the_standard_errors_of_numerical_derivatives():
    X, y, _ = rows_of_two_regimes(1, 300)
    moe = mixture(gate=SoftmaxGate(alpha=1e-6)).fit(X, y)
    summary = moe.summary(X, y)
    assert summary.terms == ["intercept", "x0", "log_scale"] * 2 + ["intercept", "x0"]

    def log_likelihood(theta):
        (a, b, s), (c, d, t), (e, f) = theta[:3], theta[3:6], theta[6:]
        x, log_odds = X[:, 0], e + f * X[:, 0]
        first = stats.gumbel_r.logpdf(y, a + b * x, np.exp(s)) - np.logaddexp(0, log_odds)
        second = stats.gumbel_r.logpdf(y, c + d * x, np.exp(t)) - np.logaddexp(0, -log_odds)
        return np.logaddexp(first, second).sum()

    theta = summary.estimate
    assert_allclose(summary.log_likelihood, log_likelihood(theta), rtol=1e-9)
    assert_allclose(summary.log_likelihood, moe.log_density(X, y).sum(), rtol=0, atol=1e-2)
    steps = 1e-3 * np.eye(len(theta))

    def minus_second(a, b):
        signs = [(i, j) for i in (-1, 1) for j in (-1, 1)]
        return -sum(i * j * log_likelihood(theta + i * a + j * b) for i, j in signs) / 4e-6

    information = np.array([[minus_second(a, b) for b in steps] for a in steps])
    # Central differences leave some 1e-6 times fourth derivatives.
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    assert_allclose(summary.std_error, expected, rtol=1e-3)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_terms_of_own_have_the_derivatives_of_their_density(n_outputs):
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(50, 2)), np.ones(50)])
    target, weight = rng.gumbel(size=(50, n_outputs)), rng.uniform(0.5, 2, size=50)
    likelihood = MixtureLikelihood(GumbelTerms, design, target, design[:, 1:], weight, 2)
    theta = 0.3 * rng.normal(size=likelihood.size)
    _, gradient, information = likelihood.derivatives(theta)
    steps = 1e-5 * np.eye(likelihood.size)
    up, down = ([likelihood.derivatives(theta + sign * s) for s in steps] for sign in (1, -1))
    # Central differences leave some 1e-10 times third derivatives.
    differences = [(u[0] - d[0]) / 2e-5 for u, d in zip(up, down, strict=True)]
    assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5)
    differences = [(u[1] - d[1]) / 2e-5 for u, d in zip(up, down, strict=True)]
    assert_allclose(information, -np.array(differences), rtol=1e-4, atol=1e-4)


def test_weights_count_as_repeats():
    X, y, _ = rows_of_two_regimes(2, 200)
    weight = np.random.default_rng(0).integers(0, 3, size=200)
    rows = np.repeat(np.arange(200), weight)
    settings = {"n_init": 1, "gate": RadialGate()}
    weighted = mixture(**settings).fit(X, y, sample_weight=weight)
    repeated = mixture(**settings).fit(X[rows], y[rows])
    # Sums over the rows in another order, and some hundred iterations after them.
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=0, atol=1e-4)


def test_radial_gate_finds_planted_islands():
    rng = np.random.default_rng(0)
    k = rng.integers(2, size=1000)
    centers, widths = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([0.5, 1.0])
    X = centers[k] + widths[k, None] * rng.normal(size=(1000, 2))
    y = rng.gumbel(COEF[k, 0] + COEF[k, 1] * X[:, 1], SCALE[k])
    moe = mixture(gate=RadialGate()).fit(X, y)
    assert np.diff(moe.lower_bounds_).min() > -1e-9
    gate = moe.gate_
    order = np.argsort(gate.centers_[:, 0])
    # Standard errors are 0.05 at most; the prior adds five rows to 500.
    assert_allclose(gate.centers_[order], centers, atol=0.2)
    assert_allclose(np.sqrt(gate.variances_[order]), widths, rtol=0.15)
    assert (moe.responsibilities(X, y).argmax(axis=1) == order[k]).mean() > 0.97


@pytest.mark.parametrize("experts", [None, DecisionTreeRegressor(max_depth=2, random_state=0)])
def test_linear_gate_without_sums_over_rows_is_fitted_row_by_row(experts):
    class Own(BaseGate):
        is_linear = True  # and no max_iter, whose steps would be made from sums

        def fit(self, X, y, sample_weight=None):
            self.inner_ = SoftmaxGate().fit(X, y, sample_weight)
            self.coef_, self.intercept_ = self.inner_.coef_, self.inner_.intercept_
            return self

        def learn_batch(self, X, y, sample_weight, **factors):
            self.fit(X, y, sample_weight)

        def predict_log_proba(self, X):
            return self.inner_.predict_log_proba(X)

    X, y, _ = rows_of_two_regimes(7, 300)
    settings = {"likelihood": "gaussian", "training": "em", "experts": experts, "cv": "auto"}
    moe = mixture(gate=Own(), **settings).fit(X, y)
    plain = mixture(gate=SoftmaxGate(), **settings).fit(X, y)
    # EM ends near its optimum: by single steps here, by fits there. Experts have no order.
    proba, expected = moe.gate_proba(X), plain.gate_proba(X)
    order = [0, 1] if (proba[:, 0] - 0.5) @ (expected[:, 0] - 0.5) > 0 else [1, 0]
    assert_allclose(proba[:, order], expected, atol=0.005)


def test_standard_errors_of_a_density_with_a_kink_are_refused():
    class LaplaceTerms(GumbelTerms):
        def log_densities(self):
            return stats.laplace.logpdf(self.target, self.predictors, np.exp(self.logs[0]))

    class Laplace(Gumbel):
        def working_weights(self, y, prediction):
            return 1 / np.maximum(np.abs(y[:, None] - prediction), 1e-6)

        def components(self, prediction, experts=None):
            return ScipyComponents(stats.laplace(prediction, self.scale_))

        def terms(self):
            return LaplaceTerms

    X, y, _ = rows_of_two_regimes(5, 100)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=Laplace()).fit(X, y)
    with pytest.raises(ValueError, match="LaplaceTerms: the log-density has a kink"):
        moe.summary(X, y)


@pytest.mark.parametrize("base", [Gumbel, Gaussian])
def test_terms_of_another_density_are_refused(base):
    class Logistic(base):
        def components(self, prediction, experts=None, row_scale=None):
            scale = self.scale_ if experts is None else self.scale_[experts]
            return ScipyComponents(stats.logistic(prediction, scale))

    X, y, _ = rows_of_two_regimes(5, 100)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=Logistic()).fit(X, y)
    with pytest.raises(ValueError, match=f"{base.__name__}Terms does not match the log-density"):
        moe.summary(X, y)


@pytest.mark.parametrize("base", [Gaussian, Poisson, Gamma, StudentT, SoftmaxGate, ConstantGate])
def test_what_derives_from_a_part_of_ours_is_not_taken_for_it(base):
    """Pooling and stacks know the densities of ours, not what a subclass makes of them."""
    own = type("Own", (base,), {})()
    part = {"gate": own} if issubclass(base, BaseGate) else {"likelihood": own}
    X, y, _ = rows_of_two_regimes(5, 100)
    tree = DecisionTreeRegressor(max_depth=2)
    for experts in (None, [("line", LinearRegression()), ("tree", tree)]):
        plan = MixtureOfExpertsRegressor(experts, **part).plan(X, np.exp(y))
        takes_any = experts is not None and "gate" in part  # a stack does
        assert plan.training == ("stack" if takes_any else "em")


# Its name ----------------------------------------------------------------------------------------


@pytest.fixture
def named():
    """The likelihood of the guide under a name, with all that it may say that it can."""
    known = BaseLikelihood.by_name.copy()

    class Named(Gumbel):
        name = "gumbel"
        can_be_pooled = can_be_stacked = takes_upper = True

        def censored_terms(self):
            return GumbelTerms

    yield Named
    BaseLikelihood.by_name.clear()
    BaseLikelihood.by_name.update(known)


UPPER = np.where(np.arange(60) < 9, 50.0, -50.0)
TREES = [("a", DecisionTreeRegressor(max_depth=2)), ("b", LinearRegression())]


def messages():
    """What is said where a likelihood cannot be pooled, stacked, censored or summed up."""
    X, y, _ = rows_of_two_regimes(0, 60)
    upper, silent = np.maximum(UPPER, y), type("Silent", (Gumbel,), {"terms": lambda _: None})()
    tried = [
        lambda: mixture(likelihood="student_t", training="pooled").fit(X, y),
        lambda: mixture(TREES, likelihood="log_normal", training="stack").fit(X, y),
        lambda: mixture(likelihood="beta").fit(X, y, upper=upper),
        lambda: mixture(likelihood=silent, n_experts=1).fit(X, y).summary(X, y),
        lambda: (
            mixture(likelihood=StudentT("estimate"), n_experts=1, training="em")
            .fit(X, y, upper=upper)
            .summary(X, y, upper=upper)
        ),
    ]
    for each in tried:
        with pytest.raises(ValueError, match="likelihood='.* or '") as error:
            each()
        yield str(error.value)


def test_a_likelihood_is_named_for_what_it_says_that_it_can(named):
    assert all("'gumbel'" in message for message in messages())


def test_a_likelihood_without_a_name_is_in_no_message():
    assert not any("gumbel" in message for message in messages())


def test_a_name_is_the_likelihood(named):
    X, y, _ = rows_of_two_regimes(0, 200)
    moe, other = (mixture(likelihood=each, training="em").fit(X, y) for each in ("gumbel", named()))
    assert type(moe.likelihood_) is named
    assert_allclose(moe.predict(X), other.predict(X))
    with pytest.raises(ValueError, match=r"must be one of \['beta', .*'gumbel', .*got 'gumble'"):
        mixture(likelihood="gumble").fit(X, y)
