"""Standard errors: derivatives, known formulas, another package's numbers, coverage, refusals."""

import re
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, likelihoods
from skmoe._data import Subjects
from skmoe._families.counts import NegativeBinomialFamily, PoissonFamily
from skmoe._families.positive import GammaFamily
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.inference._error_terms import FamilyTerms, GaussianTerms, SoftmaxTerms
from skmoe.inference._information import MixtureLikelihood
from skmoe.likelihoods import Gaussian

COEF = np.array([[1.0, 2.0, -1.0], [-0.5, -1.0, 1.0]])  # intercept first
SCALE = np.array([0.6, 1.0])
GATE = np.array([-0.4, 1.2, 0.0])  # log-odds of the second expert
FAMILIES = PoissonFamily, NegativeBinomialFamily, GammaFamily


def two_planes(seed, n_samples=400):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    second = rng.uniform(size=n_samples) < 1 / (1 + np.exp(-(GATE[0] + X @ GATE[1:])))
    k = second.astype(int)
    return X, COEF[k, 0] + (COEF[k, 1:] * X).sum(axis=1) + SCALE[k] * rng.normal(size=n_samples)


mixture = partial(MixtureOfExpertsRegressor, n_experts=2, training="em", n_init=3, random_state=0)


@pytest.mark.parametrize("with_subjects", [False, True])
@pytest.mark.parametrize("n_experts", [1, 3])
@pytest.mark.parametrize(
    "terms", [GaussianTerms, SoftmaxTerms, *(FamilyTerms.of(family()) for family in FAMILIES)]
)
def test_gradient_and_information_are_derivatives(terms, n_experts, with_subjects):
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(50, 2)), np.ones(50)])
    gate_design = np.column_stack([rng.normal(size=50), np.ones(50)])
    if terms is GaussianTerms:
        target = rng.normal(size=(50, 2))
    elif terms is SoftmaxTerms:
        target = np.eye(3)[rng.integers(3, size=50)]
    else:
        exposure = np.ones(50) if terms.family.has_density else np.exp(rng.normal(size=50))
        target = np.column_stack([1 + rng.poisson(3, size=50), exposure])
    weight = rng.uniform(0.5, 2, size=50)
    subjects = None
    if with_subjects:
        subjects = Subjects(rng.integers(20, size=50), weight)
        gate_design = gate_design[: len(subjects.labels)]
    likelihood = MixtureLikelihood(terms, design, target, gate_design, weight, n_experts, subjects)
    theta = 0.5 * rng.normal(size=likelihood.size)
    _, gradient, information = likelihood.derivatives(theta)
    steps = 1e-5 * np.eye(likelihood.size)
    up, down = ([likelihood.derivatives(theta + sign * s) for s in steps] for sign in (1, -1))
    # Central differences leave some 1e-10 times third derivatives.
    differences = [(u[0] - d[0]) / 2e-5 for u, d in zip(up, down, strict=True)]
    assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6)
    differences = np.array([(u[1] - d[1]) / 2e-5 for u, d in zip(up, down, strict=True)])
    assert_allclose(information, -differences, rtol=1e-5, atol=1e-5)


def test_standard_errors_of_counts_are_those_of_flexmix(shared_data):
    # m <- flexmix(Patents ~ lgRD, data = patent, k = 3, model = FLXMRglm(family = "poisson"),
    #              concomitant = FLXPmultinom(~RDS),
    #              control = list(iter.max = 5000, tolerance = 1e-14))
    # r <- refit(m); r@coef; sqrt(diag(r@vcov))       # flexmix 2.3.20, of ten starts the best
    estimate = [0.506334, 0.880091, -2.647047, 1.588675, 1.961952, 0.671930]
    std_error = [0.160757, 0.0402190, 0.630937, 0.134730, 0.176297, 0.0455953]
    X, y, _, _ = shared_data("patent")

    def column(name):
        return make_column_transformer(("passthrough", [name]), verbose_feature_names_out=False)

    moe = mixture(
        experts=make_pipeline(column("lgRD"), PoissonRegressor(alpha=0)),
        n_experts=3,
        gate=make_pipeline(column("RDS"), SoftmaxGate(alpha=0)),
        likelihood="poisson",
        n_init=10,
        tol=1e-8,
        max_iter=2000,
    )
    summary = moe.fit(X, y).summary(X, y)
    order = np.argsort(summary.estimate[[1, 3, 5]])[[1, 2, 0]]
    places = np.array([[0, 1], [2, 3], [4, 5]])[order].ravel()
    # flexmix stops its optimiser short of the maximum, by up to 3e-4 of an error here.
    assert_allclose(summary.estimate[places], estimate, atol=1e-3)
    assert_allclose(summary.std_error[places], std_error, rtol=2e-3)
    assert summary.terms == ["intercept", "lgRD"] * 3 + ["intercept", "RDS"] * 2
    assert_allclose(summary.log_likelihood, -197.675, rtol=0, atol=2e-3)


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial", "gamma"])
def test_log_linear_experts_have_the_information_of_their_density(likelihood):
    rng = np.random.default_rng(0)
    X = rng.normal(5, 2, size=(600, 1))
    second = rng.uniform(size=600) < 0.4
    mean = np.exp(np.where(second, 3 - 0.2 * X[:, 0], 0.2 * X[:, 0]))
    exposure = rng.uniform(1, 9, size=600) if likelihood != "gamma" else None
    mean = mean if exposure is None else exposure * mean
    noise = 1.0 if likelihood == "poisson" else rng.gamma(8, 1 / 8, size=600)
    y = mean * noise if likelihood == "gamma" else rng.poisson(mean * noise)
    moe = mixture(likelihood=likelihood, gate=ConstantGate(), tol=1e-7, max_iter=1000)
    summary = moe.fit(X, y, exposure=exposure).summary(X, y, exposure=exposure)
    fitted = moe.log_density(X, y, exposure=exposure).sum()
    assert_allclose(summary.log_likelihood, fitted, rtol=0, atol=1e-2)
    size = 2 if likelihood == "poisson" else 3
    planted = np.array([[0.0, 0.2, np.log(8)], [3.0, -0.2, np.log(8)]])[:, :size]
    planted = planted if summary.estimate[1] > 0 else planted[::-1]
    z = (summary.estimate[: 2 * size] - planted.ravel()) / summary.std_error[: 2 * size]
    assert np.abs(z).max() < 3.5
    assert np.isnan(summary.z[2]) == (likelihood != "poisson")


def test_one_poisson_regression_has_the_textbook_covariance():
    rng = np.random.default_rng(0)
    X, hours = rng.normal(size=(200, 2)), rng.uniform(1, 10, size=200)
    y = rng.poisson(hours * np.exp(0.3 + X @ [0.2, -0.1]))
    moe = mixture(likelihood="poisson", n_experts=1).fit(X, y, exposure=hours)
    summary = moe.summary(X, y, exposure=hours)
    design = np.column_stack([np.ones(200), X])
    mean = hours * np.exp(design @ summary.estimate)
    assert_allclose(design.T @ (y - mean), 0, atol=1e-2)
    expected = np.linalg.inv(design.T @ (design * mean[:, None]))
    assert_allclose(summary.cov, expected, rtol=1e-6)


def test_negative_binomials_of_poisson_counts_are_refused():
    X = np.linspace(0, 1, 200)[:, None]
    y = np.round(np.exp(1 + X[:, 0]))  # varies less than Poisson's counts
    moe = mixture(likelihood="negative_binomial", n_experts=1).fit(X, y)
    with pytest.raises(ValueError, match="Take likelihood='poisson'"):
        moe.summary(X, y)


def test_one_expert_is_ordinary_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, size=(100, 2))
    y = X @ [1.0, -2.0] + np.abs(X[:, 0]) * rng.normal(size=100)
    weight = rng.uniform(0.5, 2, size=100)
    moe = MixtureOfExpertsRegressor(LinearRegression(), 1).fit(X, y, sample_weight=weight)
    design = np.column_stack([np.ones(100), X])
    bread = np.linalg.inv(design.T @ (design * weight[:, None]))
    beta = bread @ (design.T @ (weight * y))
    residual = y - design @ beta
    variance = weight @ residual**2 / weight.sum()

    observed = moe.summary(X, y, weight)
    assert observed.terms == ["intercept", "x0", "x1", "log_scale"]
    assert_allclose(observed.estimate, [*beta, 0.5 * np.log(variance)], rtol=1e-6)
    assert_allclose(observed.cov[:3, :3], variance * bread, rtol=1e-6)
    assert_allclose(observed.std_error[3], np.sqrt(0.5 / weight.sum()), rtol=1e-6)

    sandwich = moe.summary(X, y, weight, cov="sandwich")  # White's HC1
    scores = design * (weight * residual)[:, None]
    expected = 100 / 96 * bread @ scores.T @ scores @ bread  # of four parameters, with the scale
    assert_allclose(sandwich.cov[:3, :3], expected, rtol=1e-6)
    p_value = 2 * stats.t.sf(np.abs(sandwich.z[:3]), 99)
    assert_allclose(sandwich.p_value[:3], p_value)
    reach = (sandwich.upper - sandwich.lower)[:3] / 2
    assert_allclose(reach, stats.t.isf(0.025, 99) * sandwich.std_error[:3])


def test_one_expert_for_classes_is_logistic_regression():
    X, label = load_iris(return_X_y=True)
    X, label = X[:, :2], np.array(["a", "b", "c"])[label]
    moe = MixtureOfExpertsClassifier(LogisticRegression(C=np.inf, max_iter=1000), 1)
    X, label = X[50:], label[50:]  # two of the classes, which overlap
    summary = moe.fit(X, label).summary(X, label)
    assert set(summary.parts) == {"expert0: c against b"}
    design = np.column_stack([np.ones(len(X)), X])
    p = 1 / (1 + np.exp(-design @ summary.estimate))
    assert_allclose(design.T @ ((label == "c") - p), 0, atol=1e-4)
    expected = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    assert_allclose(summary.cov, expected, rtol=1e-5)


def test_estimates_are_at_the_maximum_of_the_log_density_in_raw_units():
    """The mixture's own density at the summary's estimates, and beside them."""
    X, y = two_planes(1)
    X = 1000 + 10 * X
    weight = np.random.default_rng(0).integers(0, 3, size=len(y))
    moe = mixture().fit(X, y, sample_weight=weight)
    summary = moe.summary(X, y, weight)

    def log_likelihood(raw):
        for k, expert in enumerate(moe.experts_):
            intercept, *coef, log_scale = raw[4 * k : 4 * k + 4]
            expert.intercept_, expert.coef_ = intercept, np.array(coef)
            moe.likelihood_.scale_[k] = np.exp(log_scale)
        moe.gate_.intercept_ = np.array([0.0, raw[8]])
        moe.gate_.coef_ = np.array([[0.0, 0.0], raw[9:]])
        return weight @ moe.log_density(X, y)

    raw = summary.estimate
    assert summary.n_samples == weight.sum()
    assert_allclose(log_likelihood(raw), summary.log_likelihood, rtol=1e-9)
    for direction in np.linalg.cholesky(summary.cov).T:
        # One standard error along each axis of the ellipsoid costs about a half.
        for sign in (-0.3, 0.3):
            loss = summary.log_likelihood - log_likelihood(raw + sign * direction)
            assert 0.3 < loss / (0.5 * sign**2) < 2


def test_subjects_count_once_for_the_gate_and_their_rows_for_the_experts():
    rng = np.random.default_rng(0)
    n_subjects, n_rows = 120, 5
    subject = np.repeat(np.arange(n_subjects), n_rows)
    up = rng.uniform(size=n_subjects) < 0.4
    X = rng.normal(size=(len(subject), 1))
    y = np.where(up[subject], 3 + X[:, 0], -2 * X[:, 0]) + 0.3 * rng.normal(size=len(subject))
    moe = mixture(gate=ConstantGate()).fit(X, y, subject=subject)
    summary = moe.summary(X, y, subject=subject)
    assert str(summary).splitlines()[-3].endswith("600 rows of 120 subjects")
    assert_allclose(summary.log_likelihood, moe.log_density(X, y, subject=subject).sum(), rtol=1e-6)
    # Five rows leave no doubt about the expert: shares of 120, and a regression for each group.
    share = np.mean(up)
    assert_allclose(summary.std_error[6], (120 * share * (1 - share)) ** -0.5, rtol=1e-3)
    groups = [up[subject], ~up[subject]]
    for k, rows in enumerate(groups if abs(summary.estimate[1] - 1) < 0.5 else groups[::-1]):
        alone = mixture(n_experts=1).fit(X[rows], y[rows]).summary(X[rows], y[rows])
        assert_allclose(summary.std_error[3 * k : 3 * k + 3], alone.std_error, rtol=1e-3)
    # Copies of the rows under the same subject are no new subjects.
    twice = moe.summary(X, y, np.full(len(y), 2.0), subject=subject)
    assert_allclose(twice.std_error[6], summary.std_error[6], rtol=1e-3)
    assert_allclose(twice.std_error[:6], summary.std_error[:6] / np.sqrt(2), rtol=1e-3)
    sandwich = [moe.summary(X, y, w, subject=subject, cov="sandwich") for w in (None, 2 + 0 * y)]
    assert_allclose(sandwich[1].std_error, sandwich[0].std_error, rtol=1e-3)
    with pytest.raises(ValueError, match="gate differs between rows of subject"):
        mixture().fit(X, y).summary(X, y, subject=subject)


def test_weight_two_is_a_row_given_twice_and_units_go_through():
    X, y = two_planes(2, 300)
    weight = np.random.default_rng(1).integers(1, 3, size=300)
    moe = mixture(tol=1e-8, max_iter=1000).fit(X, y, sample_weight=weight)
    weighted = moe.summary(X, y, weight)
    repeated = moe.summary(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.estimate, repeated.estimate, rtol=1e-6, atol=1e-8)
    assert_allclose(weighted.cov, repeated.cov, rtol=1e-6, atol=1e-10)

    other = mixture(tol=1e-8, max_iter=1000).fit(X * [0.01, 50], 7 * y, sample_weight=weight)
    scaled = other.summary(X * [0.01, 50], 7 * y, weight)
    factor = np.array(2 * [7, 700, 0.14, 1] + [1, 100, 0.02])
    # 1e-6 of the default's penalty is on standardised columns; Newton steps stop at 1e-4 of an
    # error, which is 1e-4 again of a squared one.
    assert_allclose(scaled.std_error / factor, weighted.std_error, rtol=1e-4)


def test_intervals_cover_what_was_planted():
    # Of 11 parameters in 60 tables the share is known to about 1.3 points.
    hits = []
    for seed in range(60):
        X, y = two_planes(seed, 300)
        moe = mixture(n_init=1, init="kmeans_y", tol=1e-4)
        summary = moe.fit(X, y).summary(X, y)
        true = np.array([[*COEF[k], np.log(SCALE[k])] for k in (0, 1)])
        first = int(abs(summary.estimate[1] - COEF[0, 1]) > abs(summary.estimate[1] - COEF[1, 1]))
        true = np.concatenate([*true[[first, 1 - first]], (1 - 2 * first) * GATE])
        hits.append((summary.lower < true) & (true < summary.upper))
    assert 0.90 < np.mean(hits) < 0.975


def test_sandwich_covers_where_errors_are_unequal():
    rng = np.random.default_rng(0)
    z = {"observed": [], "sandwich": []}
    for _ in range(40):
        X = rng.normal(size=(300, 1))
        second = rng.uniform(size=300) < 0.4
        clean = np.where(second, 10 - X[:, 0], 2 * X[:, 0])
        y = clean + 0.5 * np.abs(X[:, 0]) * rng.normal(size=300)
        moe = mixture(gate=ConstantGate(), n_init=1, init="kmeans_y").fit(X, y)
        for cov, found in z.items():
            summary = moe.summary(X, y, cov=cov)
            found.append((summary.estimate[1] - 2) / summary.std_error[1])
    # Of these slopes the variance is three times what equal errors would make it.
    assert np.std(z["observed"]) > 1.4
    assert 0.8 < np.std(z["sandwich"]) < 1.3


def test_a_column_that_is_called_as_a_parameter_is_tested():
    rng = np.random.default_rng(0)
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["cut", "cut:clarity"])
    y = X["cut"].to_numpy() + rng.normal(size=200)
    found = MixtureOfExpertsRegressor(n_experts=1, training="em").fit(X, y).summary(X, y)
    p_value = dict(zip(found.terms, found.p_value, strict=True))
    assert p_value["cut"] < 1e-6 < p_value["cut:clarity"]
    assert np.isnan(p_value["log_scale"])


def test_classes_have_log_odds_against_the_first():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    second = X[:, 0] + 0.3 * rng.logistic(size=1500) > 0
    odds = np.where(second[:, None], X[:, [1]] * [3.0, 0.0], X[:, [1]] * [-3.0, -3.0])
    odds = np.column_stack([np.zeros(1500), odds + [0.0, 0.5]])
    label = np.array(["a", "b", "c"])[(odds + rng.gumbel(size=(1500, 3))).argmax(axis=1)]
    moe = MixtureOfExpertsClassifier(
        n_experts=2, n_init=3, random_state=0, max_iter=500, training="em"
    )
    summary = moe.fit(X, label).summary(X, label)
    assert list(dict.fromkeys(summary.parts)) == [
        "expert0: b against a", "expert0: c against a",
        "expert1: b against a", "expert1: c against a",
        "gate: expert1 against expert0",
    ]  # fmt: skip
    slopes = summary.estimate[[2, 5, 8, 11]]
    planted = np.array([3.0, 0.0, -3.0, -3.0])
    planted = planted if slopes[0] > 0 else planted[[2, 3, 0, 1]]
    assert (np.abs(slopes - planted) < 3.5 * summary.std_error[[2, 5, 8, 11]]).all()
    assert abs(summary.z[13]) > 5
    assert_allclose(summary.log_likelihood, moe.log_density(X, label).sum(), rtol=0, atol=0.5)


def separated():
    X = np.linspace(-3, 3, 200)[:, None]
    noise = np.random.default_rng(0).normal(size=200)
    return X, np.where(X[:, 0] > 0.01, 50 + X[:, 0], -X[:, 0]) + 0.1 * noise


REFUSED = [
    (DecisionTreeRegressor(max_depth=2), {}, "linear or logistic experts"),
    ([("a", LinearRegression()), ("b", Ridge())], {}, "not clones of one estimator"),
    (None, {"gate": GaussianGate()}, "not for GaussianGate"),
    (None, {"gate": SoftmaxGate(0.1, l1_ratio=0.5)}, "L1 penalty"),
    (None, {"top_k": 1}, "with top_k"),
    (Ridge(alpha=1000), {}, "a penalty pulls"),
    (None, {"gate": SoftmaxGate(alpha=100)}, "a penalty pulls"),
]


@pytest.mark.parametrize(("experts", "settings", "message"), REFUSED)
def test_mixtures_without_standard_errors_are_refused(experts, settings, message):
    X, y = two_planes(0)
    moe = mixture(experts=experts, **settings).fit(X, y)
    before = moe.predict(X)
    with pytest.raises(ValueError, match=message) as error:
        moe.summary(X, y)
    assert "skmoe.inference.bootstrap(mixture, X, y" in str(error.value)
    assert_allclose(moe.predict(X), before, rtol=0)


UNCOUNTED = {
    "with top_k": {"top_k": 1},
    "a list of experts, not": {"experts": [("a", LinearRegression()), ("b", Ridge())]},
    "DecisionTreeRegressor is not": {"experts": DecisionTreeRegressor(max_depth=2)},
    "by its own fit": {"experts": LinearRegression(positive=True)},
    "were cross-fitted": {"cv": 2},
    "cross-fitted, as cv='auto' does": {"cv": "auto"},
    "ClassifierGate has no n_parameters_": {"gate": GaussianNB()},
    "Gaussian.* has no n_parameters_": {"likelihood": Gaussian(LinearRegression())},
    "after remove_expert": {},
}


@pytest.mark.parametrize("why", UNCOUNTED)
def test_the_requirement_that_is_not_met_is_named_and_the_line_printed_mends_it(why):
    X, y = two_planes(0)
    if "'auto'" in why:
        X, y = X[:25], y[:25]
    moe = mixture(**{"cv": False, "n_init": 2} | UNCOUNTED[why])
    moe.fit(X, y)
    if "remove" in why:
        moe.remove_expert("expert0")
    for ask in (moe.summary, moe.bic):
        with pytest.raises(ValueError, match=why) as error:
            ask(X, y)
    line = re.search("Run `(.*)`", str(error.value)).group(1)
    eval(line, {"mixture": moe, "X": X, "y": y})
    assert np.isfinite(moe.bic(X, y))
    assert np.isfinite(moe.summary(X, y).log_likelihood)


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")
def test_rows_without_information_are_refused():
    X, y = separated()
    with pytest.raises(ValueError, match=r"the gate tells expert[01] from the others"):
        mixture().fit(X, y).summary(X, y)

    X, y = two_planes(0)
    exact = np.where(X[:, 0] > 0, X[:, 1], y)
    floor = mixture(n_init=10).fit(X, exact)
    with pytest.raises(ValueError, match="at its floor"):
        floor.summary(X, exact)

    moe = mixture().fit(X, y)
    with pytest.raises(ValueError, match="these are not the rows"):
        moe.summary(*two_planes(5))

    label = (X[:, 1] > 0).astype(int)
    classifier = MixtureOfExpertsClassifier(n_experts=1, training="em").fit(X, label)
    with pytest.raises(ValueError, match="Perfect separation: expert0 tells the class [01]"):
        classifier.summary(X, label)

    rates = MixtureOfExpertsRegressor(n_experts=1, likelihood="binomial", training="em")
    with pytest.raises(ValueError, match="expert0 tells successes from failures"):
        rates.fit(X, label).summary(X, label)


def test_experts_that_no_rows_part_are_refused():
    """Two logistic experts behind proportions: of binary labels they say the same as one."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(300, 1)).astype(float)
    label = (X[:, 0] + rng.logistic(size=300) > 0.5).astype(int)

    def halves(X, y, n_experts, random_state):
        first = random_state.uniform(size=(len(y), 1))
        return np.hstack([first, 1 - first])

    moe = MixtureOfExpertsClassifier(
        training="em", n_experts=2, gate=ConstantGate(), n_init=1, init=halves, random_state=0
    ).fit(X, label)
    with pytest.raises(ValueError, match="information about the parameters is singular"):
        moe.summary(X, label)


def test_class_weights_ask_for_the_sandwich():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    label = (X[:, 0] + rng.logistic(size=200) > 1).astype(int)
    moe = MixtureOfExpertsClassifier(n_experts=1, class_weight="balanced", training="em").fit(
        X, label
    )
    with pytest.raises(ValueError, match="cov='sandwich'"):
        moe.summary(X, label)
    assert (moe.summary(X, label, cov="sandwich").std_error > 0).all()


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_without_the_leaf_of_inference_a_mixture_fits_and_says_what_is_not_there(
    training, monkeypatch
):
    monkeypatch.setitem(sys.modules, "skmoe.inference", None)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 1))
    y = X[:, 0] + rng.normal(size=60)
    moe = MixtureOfExpertsRegressor(n_experts=1, training=training).fit(X, y)
    assert moe.predict_interval(X, 0.9).shape == (60, 2)
    for name, ask in {
        "summary": lambda: moe.summary(X, y),
        "marginal_effects": lambda: moe.marginal_effects(X, y),
        "stability": lambda: moe.stability(X, y),
        "terms": moe.likelihood_.terms,
        "PredictorTerms": lambda: likelihoods.PredictorTerms,
    }.items():
        with pytest.raises(ImportError, match=f"{name}.* needs skmoe.inference, which is not inst"):
            ask()


def test_targets_that_cannot_be_have_no_summary():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 1)), rng.gamma(3.0, size=50)
    moe = MixtureOfExpertsRegressor(n_experts=1, likelihood="gamma", training="em").fit(X, y)
    with pytest.raises(ValueError, match="y has impossible values"):
        moe.summary(X, np.append(0.0, y[1:]))
