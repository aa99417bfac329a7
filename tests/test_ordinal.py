"""Ordered classes: cumulative logits with proportional odds."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, special
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from skmoe import MixtureOfExpertsClassifier, OrderedLogisticRegression
from skmoe._numerics.ordered import between, probabilities
from skmoe.gates import ConstantGate
from skmoe.inference import bootstrap
from skmoe.inference._error_terms import OrdinalTerms
from skmoe.likelihoods import Ordinal
from skmoe.model_selection import select_n_experts

LABELS = ["low", "mid", "high", "top"]
# Of two regimes: slope, and thresholds between the classes.
TRUTH = np.array([[-1.5, -1.0, 0.5, 2.0], [2.0, -2.0, -0.5, 1.0]])
# Satisfaction (low, medium, high) of tenants, by influence within type within contact: R's MASS.
HOUSING = """21 21 28 34 22 36 10 11 36 61 23 17 43 35 40 26 18 54 13 9 10 8 8 12 6 7 9 18 6 7 15 13
13 7 5 11 14 19 37 17 23 40 3 5 23 78 46 43 48 45 86 15 25 62 20 23 20 10 22 24 7 10 21 57 23 13 31
21 13 5 6 13"""


def grades(n, seed=0):
    """Columns, ordered classes of two regimes, of which the second column decides, as numbers."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    k = (rng.uniform(size=n) < special.expit(3 * X[:, 1])).astype(int)
    latent = TRUTH[k, 0] * X[:, 0] + rng.logistic(size=n)
    return X, (latent[:, None] > TRUTH[k, 1:]).sum(axis=1)


def mixture(**settings):
    given = {"n_experts": 2, "likelihood": "ordinal", "n_init": 3, "random_state": 0}
    return MixtureOfExpertsClassifier(**given | settings)


def as_ordered(number):
    return pd.Series(pd.Categorical.from_codes(number, LABELS, ordered=True))


@pytest.fixture(scope="module")
def graded():
    X, number = grades(2000)
    return mixture(tol=1e-8).fit(X, as_ordered(number))


def test_housing_of_mass_is_that_of_polr():
    count = np.array(HOUSING.split(), dtype=float)
    places = np.indices((2, 4, 3, 3)).reshape(4, -1)  # contact, type, influence, satisfaction
    columns = [places[0] == 1, *(places[1] == j for j in (1, 2, 3))]
    X = np.column_stack([places[2] == 1, places[2] == 2, *columns]).astype(float)
    moe = mixture(n_experts=1).fit(X, places[3], sample_weight=count)
    assert count @ moe.log_density(X, places[3]) == pytest.approx(-1739.5746, abs=1e-4)
    expert = moe.experts_[0]
    polr = [0.5664, 1.2888, 0.3603, -0.5724, -0.3662, -1.0910]
    assert_allclose(expert.coef_, polr, atol=1e-4)
    assert_allclose(expert.thresholds_, [-0.4961, 0.6907], atol=1e-4)
    table = moe.summary(X, places[3], sample_weight=count).to_frame()
    known = [0.1248, 0.1047, 0.1272, 0.0955, 0.1192, 0.1552, 0.1515]  # threshold, slopes
    assert_allclose(table["std_error"].to_numpy()[:7], known, atol=2e-4)


def test_one_expert_is_at_the_maximum_of_the_likelihood():
    X, number = grades(500)

    def loss(theta):
        cuts = np.concatenate([[-np.inf], theta[2:], [np.inf]])
        predictor = X @ theta[:2]
        proba = special.expit(cuts[number + 1] - predictor) - special.expit(
            cuts[number] - predictor
        )
        return -np.log(np.maximum(proba, 1e-300)).sum()

    best = optimize.minimize(loss, [0, 0, -1.0, 0, 1.0], method="BFGS", options={"gtol": 1e-4})
    moe = mixture(n_experts=1).fit(X, number)
    assert moe.log_density(X, number).sum() == pytest.approx(-best.fun, abs=1e-5)
    expert = moe.experts_[0]
    assert_allclose([*expert.coef_, *expert.thresholds_], best.x, atol=1e-4)
    alone = OrderedLogisticRegression().fit(X, number)
    assert_allclose(alone.coef_, expert.coef_, atol=1e-6)
    assert_allclose(alone.predict_proba(X), moe.predict_proba(X), atol=1e-6)
    assert_array_equal(alone.predict(X), moe.predict(X))


def test_two_regimes_are_recovered_and_em_never_falls(graded):
    assert np.diff(graded.lower_bounds_).min() > -1e-9
    found = np.array([[e.coef_[0], *e.thresholds_] for e in graded.experts_])
    assert_allclose(found[found[:, 0].argsort()], TRUTH, atol=0.55)  # some four standard errors
    X, number = grades(2000)
    table = graded.summary(X, as_ordered(number)).to_frame()
    assert set(table.loc["expert0"].index) == {
        "intercept", "x0", "x1", "cut: 2 less 1", "cut: 3 less 1"
    }  # fmt: skip
    slopes = table.xs("x0", level=1).iloc[:2]
    order = found[:, 0].argsort()
    gap = slopes["estimate"].to_numpy()[order] - TRUTH[:, 0]
    assert (np.abs(gap) < 4 * slopes["std_error"].to_numpy()[order]).all()
    assert graded.bic(X, as_ordered(number)) == pytest.approx(
        -2 * graded.log_density(X, as_ordered(number)).sum() + 13 * np.log(2000)
    )


def test_intervals_and_their_derivatives_are_known_far_in_the_tails():
    low = np.array([-np.inf, -1.0, 0.3, 30.0, 300.0])
    high = np.array([-40.0, 1.0, 0.4, 31.0, np.inf])
    log_proba, first, second = between(low, high)
    exact = [-40.0, np.log(np.tanh(0.5)), None, -30 + np.log(-np.expm1(-1.0)), -300.0]
    exact[2] = np.log(special.expit(0.4) - special.expit(0.3))
    assert_allclose(log_proba, exact, rtol=1e-10)
    moved = [
        between(low + s, high + t)[1] for s, t in ((1e-5, 0), (-1e-5, 0), (0, 1e-5), (0, -1e-5))
    ]
    assert_allclose(second[0], (moved[0][0] - moved[1][0]) / 2e-5, atol=1e-5)
    assert_allclose(second[1], (moved[2][1] - moved[3][1]) / 2e-5, atol=1e-5)
    assert_allclose(second[2], (moved[2][0] - moved[3][0]) / 2e-5, atol=1e-5)
    values = [between(low + s, high + s)[0] for s in (1e-5, -1e-5)]
    assert_allclose(sum(first), (values[0] - values[1]) / 2e-5, rtol=1e-6, atol=1e-8)


def test_terms_are_derivatives():
    rng = np.random.default_rng(0)
    terms = OrdinalTerms.of((2, 0, 1, 3))
    design = np.column_stack([rng.normal(size=40), np.ones(40)])
    target, theta = rng.integers(4, size=(40, 1)).astype(float), np.array([0.7, 0.2, 1.0, 2.5])
    weights, steps = rng.uniform(size=40), 1e-5 * np.eye(4)
    at = [[terms(theta + sign * step, design, target) for sign in (1, -1)] for step in steps]
    score = [(up.log_density() - down.log_density()) / 2e-5 for up, down in at]
    assert_allclose(terms(theta, design, target).score().T, score, atol=1e-8)
    hessian = [weights @ (up.score() - down.score()) / 2e-5 for up, down in at]
    assert_allclose(terms(theta, design, target).hessian(weights), hessian, atol=1e-7)
    predictors, beside = rng.normal(size=(5, 1)), np.array([[1.0], [2.5]])
    slopes = terms.slopes_of_mean(predictors, beside)
    moves = [(1e-5, np.zeros((2, 1))), *((0.0, 1e-5 * np.eye(2)[:, [j]]) for j in (0, 1))]
    for slope, (step, of_cuts) in zip(slopes, moves, strict=True):
        up, down = (terms.mean_of(predictors + s * step, beside + s * of_cuts) for s in (1, -1))
        assert_allclose(slope[:, :, 0], (up - down) / 2e-5, atol=1e-8)


def test_marginal_effects_are_those_on_probabilities():
    X, number = grades(2000)
    moe = mixture(n_experts=1).fit(X, as_ordered(number))
    table = moe.marginal_effects(X, as_ordered(number)).to_frame()["effect"]
    step = np.array([1e-5, 0.0])
    slope = (moe.predict_proba(X + step) - moe.predict_proba(X - step)).mean(axis=0) / 2e-5
    for label, expected in zip(moe.classes_, slope, strict=True):
        # Effects are those at the maximum, without the experts' penalty of a thousandth.
        assert table[f"probability of {label}", "x0"] == pytest.approx(expected, abs=2e-6)


def test_an_order_comes_from_categories_a_list_or_numbers():
    X, number = grades(300)
    y = as_ordered(number)
    by_categories, by_list, by_numbers = (
        mixture(n_experts=1, likelihood=likelihood).fit(X, target)
        for likelihood, target in [
            ("ordinal", y),
            (Ordinal(order=LABELS), np.asarray(y)),
            ("ordinal", number),
        ]
    )
    assert by_categories.classes_.tolist() == sorted(LABELS)
    proba = by_categories.predict_proba(X)
    assert_allclose(by_list.predict_proba(X), proba)
    places = [by_categories.classes_.tolist().index(label) for label in LABELS]
    assert_allclose(by_numbers.predict_proba(X), proba[:, places])
    parts = by_categories.coefficients().to_frame().loc["thresholds"].index.tolist()
    assert parts == ["low | mid", "mid | high", "high | top"]
    scores, of_list = (
        cross_val_score(mixture(n_experts=1, likelihood=likelihood), X, target, cv=3)
        for likelihood, target in [("ordinal", y), (Ordinal(order=LABELS), np.asarray(y))]
    )
    assert_array_equal(scores, of_list)


def test_a_weight_of_two_is_a_row_given_twice():
    X, number = grades(200)
    weight = np.resize([1, 2, 3], 200)
    weighted = mixture(n_experts=1).fit(X, number, sample_weight=weight)
    repeated = mixture(n_experts=1).fit(np.repeat(X, weight, axis=0), np.repeat(number, weight))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


def test_two_classes_are_a_logistic_regression():
    X, number = grades(400)
    ordered = mixture(n_experts=1).fit(X, number > 1)
    plain = MixtureOfExpertsClassifier(n_experts=1, training="em").fit(X, number > 1)
    assert_allclose(ordered.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def slopes_of(mixture):
    return [expert.coef_[0] for expert in mixture.experts_]


def test_refits_keep_the_order_of_categories():
    X, number = grades(150)
    moe, found = mixture(n_init=1, gate=ConstantGate(), cv=False, tol=1e-3), {}
    for y in (number, as_ordered(number)):
        fitted = clone(moe).fit(X, y)
        given = {"n_resamples": 2, "random_state": 0}
        refits = bootstrap(fitted, X, y, statistic=slopes_of, **given)
        halves = fitted.stability(X, y, **given).n_by["halves"]
        values = [*refits.bootstrap_distribution.ravel(), *halves]
        for criterion in ("bic", "cv"):
            by = {"criterion": criterion, "cv": 2, "random_state": 0}
            selection = select_n_experts(moe, X, y, [2], **by)
            values += [value for each in selection.results_.values() for value in each]
        found[type(y)] = np.array(values)
        assert moe.likelihood == fitted.likelihood == "ordinal"
    of_numbers, of_categories = found.values()
    assert_allclose(of_categories, of_numbers, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "have no order"),
        ({"likelihood": Ordinal(order=LABELS[:3])}, "lacks the classes"),
        ({"likelihood": Ordinal(order=[*LABELS, LABELS[0]])}, "has a class twice"),
        (
            {"experts": RandomForestClassifier(), "likelihood": Ordinal(order=LABELS)},
            "needs experts=None or OrderedLogisticRegression",
        ),
        (
            {"likelihood": Ordinal(order=LABELS), "training": "pooled"},
            "needs likelihood='beta'",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    X, number = grades(200)
    with pytest.raises(ValueError, match=message):
        mixture(**settings).fit(X, np.asarray(as_ordered(number)))


def test_a_fit_that_fails_leaves_the_one_before():
    X, number = grades(200)
    table = pd.DataFrame(X, columns=["a", "b"])
    one = OrderedLogisticRegression().fit(table, number)
    before, wide = one.predict_proba(table), table.assign(c=1.0)
    for order, y, weight, message in [
        (None, np.zeros(200), None, "one class only"),
        ([0, 1, 2], number, None, "lacks the classes"),
        ([0, 1, 2, 3, 0], number, None, "has a class twice"),
        (None, number, -np.ones(200), "[Nn]egative"),
    ]:
        with pytest.raises(ValueError, match=message):
            one.set_params(order=order).fit(wide, y, weight)
        assert_array_equal(one.feature_names_in_, ["a", "b"])
        assert_array_equal(one.predict_proba(table), before)


def test_streams_are_refused():
    assert not hasattr(mixture(), "partial_fit")


def test_probabilities_of_far_rows_are_as_exact_below_as_above():
    low, high = np.log(probabilities(np.array([-60.0, 60.0]), np.array([-1.0, 0.0, 1.0])))
    assert_allclose(low, high[::-1])
    inside = np.log(-np.expm1(-1.0))
    assert_allclose(low, [0, -59 + inside, -60 + inside, -61], atol=1e-12)


def test_derivatives_of_far_rows_are_finite():
    parts = between(np.array([-np.inf, 799.0]), np.array([-800.0, 801.0]))
    assert all(np.isfinite(each).all() for each in np.hstack([parts[0], *parts[1], *parts[2]]))
    assert_allclose(parts[0], [-800.0, -799.0 + np.log(-np.expm1(-2.0))])
