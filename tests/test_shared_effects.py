"""Columns with one coefficient for all experts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import planted
from scipy import optimize, special, stats
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.placing import unlike_orders
from skmoe._tables.mixed import column_numbers
from skmoe.gates import ConstantGate, SoftmaxGate
from skmoe.likelihoods import Gaussian

SCALES = np.array([0.3, 1.0])


def rows_with_a_shared_slope(n=600, seed=0, n_outputs=None):
    """Two lines of unlike noise; column 1 acts on both alike, with a slope of 1.5."""
    truth = {"gate": [0, 0, 0, special.logit(0.4)], "coef": [[-2, 1.5, 0, 1], [2, 1.5, 0, -1]]}
    X, y, *_, rng = planted(n, noise=SCALES, random_state=seed, **truth)
    return X, y if n_outputs is None else np.column_stack([y, -2 * y + rng.normal(size=n)])


def mixture(columns, experts=None, **params):
    defaults = {
        "gate": ConstantGate(), "training": "em", "tol": 1e-10, "max_iter": 3000, "random_state": 0,
    }  # fmt: skip
    return MixtureOfExpertsRegressor(experts, 2, shared_effects=columns, **defaults | params)


def test_textbook_likelihood_with_a_shared_slope_is_reached(shared_data):
    X, y, *_ = shared_data("fabricfault")  # Aitkin (1996); the value is that of R's flexmix
    X = np.log(X[["Length"]].to_numpy())
    for experts in (None, PoissonRegressor(alpha=0)):
        moe = mixture([0], experts, likelihood="poisson").fit(X, y)
        assert_allclose(moe.log_density(X, y).sum(), -86.3311, rtol=0, atol=1e-3)
        assert moe.experts_[0].coef_ == moe.experts_[1].coef_


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t", "laplace"])
def test_planted_slopes_are_recovered_and_the_objective_rises(likelihood):
    X, y = rows_with_a_shared_slope()
    moe = mixture([1, 2], likelihood=likelihood, n_init=4, tol=1e-7).fit(X, y)
    slopes = np.array([expert.coef_ for expert in moe.experts_])
    assert_array_equal(slopes[0, 1:], slopes[1, 1:])
    # Three standard errors of 360 rows of noise 0.3, which say most about shared slopes.
    assert_allclose(slopes[0, 1:], [1.5, 0.0], atol=0.06)
    assert_allclose(np.sort(slopes[:, 0]), [-2, 2], atol=0.25)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_a_general_optimiser_finds_no_better_maximum():
    X, y = rows_with_a_shared_slope(200)
    moe = mixture([1, -1], LinearRegression()).fit(X, y)

    def loss(theta):
        means = theta[:2] * X[:, [0]] + theta[2:4] + (X[:, 1:] @ theta[4:6])[:, None]
        shares = np.array([special.log_expit(theta[6]), special.log_expit(-theta[6])])
        joint = shares + stats.norm.logpdf(y[:, None], means, np.exp(theta[7:]))
        return -special.logsumexp(joint, axis=1).sum()

    first = np.array([expert.coef_[0] for expert in moe.experts_])
    intercepts = np.array([expert.intercept_ for expert in moe.experts_])
    log_odds = special.logit(moe.gate_.proportions_[0])
    theta = np.concatenate(
        [first, intercepts, moe.experts_[0].coef_[1:], [log_odds], np.log(moe.likelihood_.scale_)]
    )
    assert_allclose(loss(theta), -moe.log_density(X, y).sum(), rtol=1e-10)
    best = optimize.minimize(loss, theta + 0.01, method="BFGS", options={"gtol": 1e-5})
    assert_allclose(loss(theta), best.fun, rtol=0, atol=1e-5)
    assert_allclose(moe.bic(X, y), 2 * best.fun + 9 * np.log(200), atol=1e-4)


def test_shared_slopes_of_several_outputs_belong_to_each():
    X, y = rows_with_a_shared_slope(n_outputs=2)
    moe = mixture([1]).fit(X, y)
    slopes = np.array([expert.coef_[:, 1] for expert in moe.experts_])
    assert_array_equal(slopes[0], slopes[1])
    assert_allclose(slopes[0], [1.5, -3.0], atol=0.2)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_shared_slopes_of_gamma_experts_are_recovered():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    first = rng.uniform(size=1500) < 0.5
    mean = np.exp(np.where(first, 2 + X[:, 0], -1 - X[:, 0]) + 0.7 * X[:, 1])
    shape = np.where(first, 10.0, 2.0)
    moe = mixture([1], likelihood="gamma").fit(X, mean * rng.gamma(shape) / shape)
    slopes = np.array([expert.coef_ for expert in moe.experts_])
    assert slopes[0, 1] == slopes[1, 1]
    assert_allclose(slopes[0, 1], 0.7, atol=0.05)
    assert_allclose(np.sort(slopes[:, 0]), [-1, 1], atol=0.1)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_weight_two_is_a_row_given_twice():
    X, y = rows_with_a_shared_slope(150)
    weight = np.random.default_rng(0).integers(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    weighted = mixture([1], Ridge(1.0), tol=1e-8).fit(X, y, sample_weight=weight)
    repeated = mixture([1], Ridge(1.0), tol=1e-8).fit(X[rows], y[rows])
    assert_allclose(weighted.predict_experts(X), repeated.predict_experts(X), rtol=1e-5, atol=1e-7)


def test_columns_have_names():
    pd = pytest.importorskip("pandas")
    X, y = rows_with_a_shared_slope(200)
    table = pd.DataFrame(X, columns=["own", "shared", "none"])
    by_name = mixture(["shared"]).fit(table, y)
    assert_allclose(by_name.predict(table), mixture([1]).fit(X, y).predict(X), rtol=1e-12)
    squares = make_pipeline(PolynomialFeatures(2, include_bias=False), LinearRegression())
    moe = mixture(["shared", "shared^2"], squares).fit(table, y)
    names = list(moe.experts_[0][0].get_feature_names_out())
    for name in names:
        slopes = [expert[-1].coef_[names.index(name)] for expert in moe.experts_]
        assert (slopes[0] == slopes[1]) == (name in ("shared", "shared^2"))
    kinds = table.assign(kind=np.where(X[:, 2] > 0, "a", "b"))
    moe = mixture(["kind_a", "kind_b"]).fit(kinds, y)
    assert_array_equal(moe.experts_[0][-1].coef_[-2:], moe.experts_[1][-1].coef_[-2:])


@pytest.mark.parametrize("training", ["em", "pooled"])
def test_a_factor_has_one_name(training):
    pd = pytest.importorskip("pandas")
    X, y = rows_with_a_shared_slope(200)
    table = pd.DataFrame({"kind_of": X[:, 0], "shared": X[:, 1]})
    table["kind"] = np.where(X[:, 2] > 0.5, "a", np.where(X[:, 2] > -0.5, "b", "c"))
    params = {"training": training, "tol": 1e-5}
    levels = mixture(["kind_a", "kind_b", "kind_c"]).set_params(**params).fit(table, y)
    factor = mixture(["kind"]).set_params(**params).fit(table, y)
    assert_allclose(factor.predict(table), levels.predict(table), rtol=1e-9)


def test_columns_behind_a_column_transformer_go_by_their_names():
    pd = pytest.importorskip("pandas")
    X, y = rows_with_a_shared_slope(200)
    table = pd.DataFrame(X, columns=["own", "shared", "none"])
    table["kind"] = np.where(X[:, 2] > 0, "a", "b")
    parts = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind"]), remainder="passthrough"
    )
    experts = make_pipeline(parts, LinearRegression())
    gate = make_pipeline(clone(parts), SoftmaxGate())
    moe = mixture(["shared", "kind"], experts, gate=gate).fit(table, y)
    slopes = np.array([expert[-1].coef_ for expert in moe.experts_])
    names = list(moe.experts_[0][0].get_feature_names_out())
    assert names[3] == "remainder__shared"
    assert_array_equal(slopes[0] == slopes[1], [True, True, False, True, False])
    by_pairs = mixture({"kind": [[0, 1]]}, experts, gate=gate).fit(table, y)
    slopes = np.array([expert[-1].coef_ for expert in by_pairs.experts_])
    assert_array_equal(slopes[0] == slopes[1], [True, True, False, False, False])
    with pytest.raises(ValueError, match="no column 'Kind'.*'kind'.*'shared'"):
        mixture(["Kind"], experts, gate=gate).fit(table, y)


def test_levels_belong_to_the_longest_name_of_a_column():
    names = ["a_b", "a_b_x", "a_b_y", "a_x"]
    assert column_numbers(["a_b"], 4, names, ["a_b", "a"]) == [[0]]  # is one itself
    assert column_numbers(["a"], 4, ["a_b_x", "a_x", "a_y"], ["a_b", "a"]) == [[1, 2]]
    assert column_numbers(["a_b"], 4, ["a_b_x", "a_x", "a_y"], ["a_b", "a"]) == [[0]]


def test_without_columns_nothing_is_shared():
    X, y = rows_with_a_shared_slope(200)
    assert_allclose(mixture([]).fit(X, y).predict(X), mixture(None).fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("columns", "message"),
    [([3], "no column 3; it must be a number below 3"), (["x"], "no column 'x'")],
)
def test_columns_that_are_not_there_are_refused(columns, message):
    X, y = rows_with_a_shared_slope(50)
    with pytest.raises(ValueError, match=message):
        mixture(columns).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"experts": DecisionTreeRegressor()},
        {"cv": 5},
        {"experts": LinearRegression(), "likelihood": "poisson"},
    ],
    ids=["tree", "folds", "another family"],
)
def test_other_experts_share_nothing(params):
    X, y = rows_with_a_shared_slope(50)
    with pytest.raises(ValueError, match="shared_effects needs linear experts"):
        mixture([0], **params).fit(X, np.abs(y).round())


def test_there_is_no_partial_fit_with_shared_effects():
    X, y = rows_with_a_shared_slope(200)
    assert not hasattr(mixture([1]).fit(X, y), "partial_fit")


# Classes -------------------------------------------------------------------------------------


def planted_classes(n=1500):
    """Two regimes of the log-odds, in which column 1 has one slope. The stream never changes."""
    rng = np.random.RandomState(0)
    X, first = rng.normal(size=(n, 2)), rng.uniform(size=n) < 0.4
    log_odds = np.where(first, 1 - 2 * X[:, 0], 2 * X[:, 0] - 1) + X[:, 1]
    return X, (rng.uniform(size=n) < special.expit(log_odds)).astype(int)


def classifier(columns, experts=None, **params):
    defaults = {"gate": ConstantGate(), "tol": 1e-9, "max_iter": 3000, "random_state": 0}
    return MixtureOfExpertsClassifier(experts, 2, shared_effects=columns, **defaults | params)


def test_classes_reach_the_likelihood_of_flexmix():
    # stepFlexmix(cbind(y, 1 - y) ~ x1, data = d, k = 2, nrep = 10,
    #             model = FLXMRglmfix(family = "binomial", fixed = ~ 0 + x2))  # flexmix 2.3.20
    X, y = planted_classes()
    moe = classifier([1]).fit(X, y)
    assert_allclose(moe.log_density(X, y).sum(), -944.125874807, atol=1e-3)
    assert_allclose(moe.bic(X, y), 1932.131072, atol=2e-3)
    slopes = np.array([expert.coef_[0] for expert in moe.experts_])
    assert_allclose(slopes[:, 1], 1.16541052, atol=2e-3)
    assert slopes[0, 1] == slopes[1, 1]
    assert np.diff(moe.lower_bounds_).min() >= -1e-12


def test_a_general_optimiser_finds_no_better_classes():
    X, y = planted_classes(400)
    rng = np.random.RandomState(1)
    y = np.where(rng.uniform(size=400) < 0.3, 2, y)
    moe = classifier([1], LogisticRegression(C=np.inf), tol=1e-10, n_init=4).fit(X, y)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    own = np.array([expert.coef_[1:, 0] - expert.coef_[0, 0] for expert in moe.experts_])
    bias = np.array([e.intercept_[1:] - e.intercept_[0] for e in moe.experts_])
    shared = moe.experts_[0].coef_[1:, 1] - moe.experts_[0].coef_[0, 1]
    assert_allclose(moe.experts_[1].coef_[:, 1], moe.experts_[0].coef_[:, 1])

    def loss(theta):
        own, bias = theta[:4].reshape(2, 1, 2), theta[4:8].reshape(2, 1, 2)
        odds = own * X[:, [0]] + bias + theta[8:10] * X[:, [1]]
        log_proba = special.log_softmax(np.pad(odds, ((0, 0), (0, 0), (1, 0))), axis=2)
        shares = np.array([special.log_expit(theta[10]), special.log_expit(-theta[10])])
        return -special.logsumexp(shares + log_proba[:, np.arange(400), y].T, axis=1).sum()

    log_odds = special.logit(moe.gate_.proportions_[0])
    theta = np.concatenate([own.ravel(), bias.ravel(), shared, [log_odds]])
    assert_allclose(loss(theta), -moe.log_density(X, y).sum(), rtol=1e-8)
    best = optimize.minimize(loss, theta, method="BFGS", options={"gtol": 1e-5})
    assert_allclose(loss(theta), best.fun, rtol=0, atol=1e-3)
    assert_allclose(moe.bic(X, y), 2 * loss(theta) + 11 * np.log(400), rtol=1e-8)


def test_one_expert_shares_with_nobody():
    X, y = planted_classes(200)
    reference = LogisticRegression(C=2.0, tol=1e-10).fit(X, y)
    moe = MixtureOfExpertsClassifier(LogisticRegression(C=2.0), 1, shared_effects=[0]).fit(X, y)
    assert_allclose(moe.predict_proba(X), reference.predict_proba(X), atol=1e-6)


def test_shared_effects_of_classes_have_one_standard_error():
    X, y = planted_classes()
    rows = classifier([1]).fit(X, y).summary(X, y).to_frame()
    of_column = rows[rows.index.get_level_values("term") == "x1"]
    assert len(of_column) == 2
    assert of_column["std_error"].nunique() == 1


# Some of the experts -------------------------------------------------------------------------

NESTED = {0: [[0, 1], [2, 3]], 1: [[0, 1, 2, 3]]}


def nested(n=400):
    """Four lines, two of slope 1 and two of slope -1; column 1 acts on all alike."""
    rng = np.random.RandomState(0)
    X, regime = rng.normal(size=(n, 2)), rng.randint(4, size=n)
    mean = np.array([0.0, 4, 8, 12])[regime] + np.array([1.0, -1, 1, -1])[regime] * X[:, 0]
    return X, mean + 0.5 * X[:, 1] + 0.5 * rng.normal(size=n)


def of_four(effects=NESTED, experts=None, **params):
    defaults = {"gate": ConstantGate(), "tol": 1e-9, "random_state": 0}
    return MixtureOfExpertsRegressor(experts, 4, shared_effects=effects, **defaults | params)


@pytest.mark.parametrize("seed", range(3))
def test_nested_effects_reach_the_likelihood_of_flexmix(seed):
    # flexmix(y ~ 1, data = d, k = 4, cluster = ...,                          # flexmix 2.3.20
    #         model = FLXMRglmfix(nested = list(k = c(2, 2), formula = c(~ 0 + x1, ~ 0 + x1)),
    #                             fixed = ~ 0 + x2, varFix = TRUE))
    X, y = nested()
    moe = of_four(likelihood=Gaussian("shared"), random_state=seed).fit(X, y)
    assert_allclose(moe.log_density(X, y).sum(), -784.573131607, atol=1e-3)
    assert_allclose(moe.bic(X, y), 1635.052373, atol=2e-3)
    slopes = np.array([expert.coef_ for expert in moe.experts_])
    assert slopes[0, 0] == slopes[1, 0]
    assert slopes[2, 0] == slopes[3, 0]
    assert_allclose(np.sort(slopes[[0, 2], 0]), [-0.96094053, 1.042874751], atol=1e-3)
    assert_allclose(slopes[:, 1], 0.48909766, atol=1e-3)
    assert np.diff(moe.lower_bounds_).min() >= -1e-12
    rows = moe.summary(X, y).to_frame()
    assert rows.loc["expert0"].loc["x0", "std_error"] == rows.loc["expert1"].loc["x0", "std_error"]


def test_nested_effects_of_counts_are_recovered():
    X, _ = nested(1000)
    rng = np.random.RandomState(1)
    regime = rng.randint(3, size=1000)
    log_mean = np.array([1.0, 3.0, 5.0])[regime] + np.array([0.5, 0.5, -0.3])[regime] * X[:, 0]
    y = rng.poisson(np.exp(log_mean))
    moe = MixtureOfExpertsRegressor(
        n_experts=3, gate=ConstantGate(), likelihood="poisson", random_state=0,
        shared_effects={0: [[0, 1]]},
    ).fit(X[:, :1], y)  # fmt: skip
    slopes = [float(expert.coef_[0]) for expert in moe.experts_]
    assert slopes[0] == slopes[1]
    assert_allclose(slopes, [0.5, 0.5, -0.3], atol=0.05)


def test_a_dict_of_all_experts_is_a_list():
    X, y = rows_with_a_shared_slope(200)
    by_list = mixture([1]).fit(X, y)
    by_dict = mixture({1: [[0, 1]]}).fit(X, y)
    assert_allclose(by_dict.predict(X), by_list.predict(X), atol=1e-8)


def test_orders_of_experts_that_differ_are_those_of_their_pairs():
    def orders(*columns):
        return unlike_orders(np.array(columns).T)

    assert orders([0] * 12, list(range(12))) == [list(range(12))]
    assert len(orders([0, 0, 2, 2], [0, 0, 0, 0])) == 3
    assert len(orders([0, 0, 2])) == 3
    assert len(orders([0, 0, 2, 2], [0, 1, 1, 3])) == 12
    assert len(orders([0, 0, 0, 3, 3, 3])) == 10
    assert len(orders([0, 0, 0, 0, 0, 5, 5, 5, 5, 5])) <= 24


@pytest.mark.parametrize("lists", [[0, 1], [[0, 4]], [[0, 1], [1, 2]], [["expert0"]], [[]], []])
def test_wrong_lists_of_experts_are_refused(lists):
    X, y = nested(50)
    with pytest.raises(ValueError, match="must be a list of lists of experts"):
        of_four({0: lists}).fit(X, y)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ([True, False, False], "no column True"),
        ([np.True_], "no column .*True"),
        ([["a"]], r"no column \['a'\]"),
        ([0, -3], r"given once; \[0, -3\] are columns \[0, 0\]"),
        (["a", 0], r"given once; \['a', 0\] are columns \[0, 0\]"),
        ({"a": [[0, 1]], -3: [[0, 1]]}, "given once"),
    ],
)
def test_masks_and_columns_given_twice_are_refused(columns, problem):
    with pytest.raises(ValueError, match=problem):
        column_numbers(columns, 3, ["a", "b", "c"])
