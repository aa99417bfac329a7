"""Clones that specialise beside a generalist: training="specialists"."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor as Boosting
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._experts.fitting import with_fewer_trees
from skmoe.gates import ConstantGate, ForestGate, SoftmaxGate


def clones(expert=None, n_experts=2, **settings):
    expert = DecisionTreeRegressor() if expert is None else expert
    return MixtureOfExpertsRegressor(expert, n_experts, random_state=0, **settings)


def chessboard(n, seed):
    """Two regimes on the fields of a chessboard of four, each with a function of its own."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 4))
    mean = np.where(X[:, 0] * X[:, 1] > 0, 2 * X[:, 2], X[:, 3] - 2 * X[:, 2])
    return X, mean + 0.3 * rng.normal(size=n)


def blurred(n, seed):
    """Two regimes, each the likelier the farther a column is to its side."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 4))
    is_first = rng.uniform(size=n) < 1 / (1 + np.exp(-2 * X[:, 0]))
    y = np.where(is_first, np.sin(2 * X[:, 2]) + 4, X[:, 3] ** 2)
    return X, y + 0.3 * rng.normal(size=n)


def one_function(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 4))
    return X, np.sin(2 * X[:, 0]) + X[:, 2] + 0.5 * rng.normal(size=n)


def error(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


@cache
def fitted_once():
    return clones().fit(*chessboard(300, seed=0))


# What it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expert", "n_fits"),
    [
        (DecisionTreeRegressor(), 28),
        (RandomForestRegressor(30), 5),
        (KNeighborsRegressor(), 28),
        (HistGradientBoostingRegressor(), 28),
    ],
)
def test_specialists_halve_the_error_where_there_are_regimes(expert, n_fits):
    X, y = chessboard(1000, seed=0)
    X_new, y_new = chessboard(2000, seed=1)
    moe = clones(expert).fit(X, y)
    assert isinstance(moe.gate_, ForestGate)
    # A generalist once a fold, specialists twice, and all once more for predictions; out of bag
    # the fits of the last round predict.
    assert moe.n_expert_fits_ == n_fits
    alone = clone(expert).fit(X, y)
    # The gate may err near the borders, and a neighbour needs rows of its own regime.
    assert error(moe, X_new, y_new) < 0.65 * error(alone, X_new, y_new)
    score = moe.log_density(X_new, y_new).mean()
    # The standard error of either is about 0.03; experts in folds see four fifths of the rows.
    assert score == pytest.approx(moe.specialisation_.score_with, abs=0.15)


def test_a_softmax_gate_is_kept_where_a_forest_scores_no_higher():
    X, y = blurred(400, seed=0)
    moe = clones(DecisionTreeRegressor(min_samples_leaf=5), cv=3, n_init=3)
    assert "the default; or a SoftmaxGate, if" in moe.plan(X, y).reasons["gate"]
    other = clone(moe).set_params(gate=ForestGate(random_state=0)).plan(X, y)  # not replaced
    assert (other.reasons["gate"], other.is_default_gate) == ("as asked for", False)
    moe.fit(X, y)
    assert type(moe.gate_) is SoftmaxGate
    assert moe.plan_.gate == "SoftmaxGate"
    changes = "the out-of-fold log-density changes by"
    assert f"the default; with a ForestGate {changes} +0.0" in moe.plan_.reasons["gate"]
    weight = moe.gate_.coef_[1:] - moe.gate_.coef_[0]
    assert np.argmax(np.abs(weight).max(axis=0)) == 0  # the column that decides
    plan = fitted_once().plan_
    assert plan.gate == "ForestGate"
    assert f"the default; with a SoftmaxGate {changes} -0." in plan.reasons["gate"]


@pytest.mark.parametrize("rows", [chessboard, blurred])
def test_default_gates_by_name_are_the_default_to_the_bit(rows):
    X, y = rows(400, seed=0)
    default = clones(DecisionTreeRegressor(min_samples_leaf=5), cv=3, n_init=3).fit(X, y)
    kept = type(default.gate_)
    assert kept is (ForestGate if rows is chessboard else SoftmaxGate)
    for gate in (ForestGate(), SoftmaxGate()):
        named = clone(default).set_params(gate=gate).fit(X, y)
        assert "as asked for" in named.plan_.reasons["gate"]
        if type(gate) in (ForestGate, kept):  # what the plan of the default has named
            np.testing.assert_array_equal(named.predict(X), default.predict(X))
            np.testing.assert_array_equal(named.oof_log_density_, default.oof_log_density_)
        else:
            assert type(named.gate_) is SoftmaxGate
            assert named.oof_score_ == named.specialisation_.score_with < default.oof_score_


def segments(n, seed):
    """A line of its own in each of twelve segments of a column."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 3))
    slopes = 3 * np.random.default_rng(0).normal(size=(12, 2))
    own = slopes[(3 * (X[:, 0] + 2)).astype(int) % 12]
    return X, np.einsum("ij,ij->i", X[:, 1:], own) + 0.3 * rng.normal(size=n)


def test_their_number_is_chosen_out_of_fold():
    X_new, y_new = segments(2000, seed=1)
    neighbours = KNeighborsRegressor()
    many = clones(neighbours, n_experts="auto").fit(*segments(600, seed=0))
    assert many.plan_.n_experts == 8
    assert many.plan_.findings[0].startswith("Out-of-fold log-density: 8 experts; worse by")
    assert many.n_expert_fits_ == many.plan_.most_expert_fits == 5 * (1 + 2 * 4 + 2 * 8) + 9
    few = clones(neighbours, n_experts=4).fit(*segments(600, seed=0))
    gain = many.log_density(X_new, y_new).mean() - few.log_density(X_new, y_new).mean()
    assert gain > 0.02
    assert few.specialisation_.score_without == many.specialisation_.score_without
    assert few.specialisation_.gain < many.specialisation_.gain


def test_where_a_few_do_not_pay_no_more_are_tried():
    moe = clones(KNeighborsRegressor(), n_experts="auto").fit(*one_function(200, seed=0))
    assert not moe.specialisation_.kept
    assert moe.plan_.n_experts == 1
    assert moe.n_expert_fits_ == 5 * (1 + 2 * 4) + 1


def test_no_more_are_tried_where_columns_do_not_tell_errors():
    tree = DecisionTreeRegressor(min_samples_leaf=5)
    moe = clones(tree, n_experts="auto", cv=3).fit(*chessboard(400, seed=0))
    assert moe.plan_.n_experts == 4
    assert moe.n_expert_fits_ == 3 * (1 + 2 * 4) + 5 < moe.plan_.most_expert_fits


def test_first_specialists_have_a_quarter_of_the_boosted_trees_and_the_others_all():
    boosting = HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=5)
    assert with_fewer_trees(make_pipeline(boosting))[-1].max_iter == 3
    moe = clones(boosting, cv=2).fit(*chessboard(200, seed=0))
    assert [each.n_iter_ for each in moe.experts_] == [8, 8, 8]
    for other in (MLPRegressor(), RandomForestRegressor(), KNeighborsRegressor()):
        assert with_fewer_trees(other) is other


def test_one_function_is_left_to_the_generalist_unless_others_predict_it_better():
    expert, gains, n_left = KernelRidge(kernel="rbf"), [], 0
    X_new, y_new = one_function(2000, seed=99)
    for seed in range(4):
        X, y = one_function(300, seed)
        moe = clones(expert, n_experts=3).fit(X, y)
        if moe.specialisation_.kept:
            alone = clones(expert, n_experts=1, training="specialists").fit(X, y)
            gains.append(np.mean(moe.log_density(X_new, y_new) - alone.log_density(X_new, y_new)))
            continue
        n_left += 1
        assert list(moe.named_experts_) == ["generalist"]
        np.testing.assert_allclose(moe.predict(X), expert.fit(X, y).predict(X), rtol=1e-9)
    assert n_left >= 1
    assert sum(gains) > -0.01


def test_a_mixture_without_specialists_is_consistent():
    X, y = np.random.default_rng(0).normal(size=(2, 200, 1))
    moe = clones(DecisionTreeRegressor(max_depth=2)).fit(X, y[:, 0])
    assert not moe.specialisation_.kept
    assert list(moe.named_experts_) == ["generalist"]
    assert isinstance(moe.gate_, ConstantGate)
    assert moe.n_distinct_experts_ == 1
    np.testing.assert_allclose(moe.expert_load_, [1.0])
    np.testing.assert_allclose(moe.gate_proba(X), 1.0)
    np.testing.assert_allclose(moe.responsibilities(X, y[:, 0]), 1.0)
    np.testing.assert_array_equal(moe.predict(X), moe.experts_[0].predict(X))
    assert moe.oof_score_ == pytest.approx(moe.specialisation_.score_without)
    for report in (moe.expert_report(), moe.expert_report(X, y[:, 0])):
        assert "Specialists were left out" in str(report)
        assert "Specialists were left out" in report._repr_html_()


def test_intervals_cover_where_there_is_nothing_to_learn():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 3)), rng.normal(size=300)
    X_new, y_new = rng.normal(size=(2000, 3)), rng.normal(size=2000)
    low, high = clones().fit(X, y).predict_interval(X_new, 0.9).T
    # The standard deviation of 300 rows errs by 4 %, and so the cover by about 2 points.
    assert 0.85 < np.mean((low < y_new) & (y_new < high)) < 0.95


def test_units_do_not_matter():
    X, y = chessboard(200, seed=0)
    smooth = KernelRidge(kernel="rbf", alpha=0.1)  # trees might turn on the last bit of a weight
    moe, other = clones(smooth).fit(X, y), clones(smooth).fit(X, 1e4 * y)
    assert moe.specialisation_.kept
    np.testing.assert_allclose(other.predict(X), 1e4 * moe.predict(X), rtol=1e-6)
    assert other.oof_score_ == pytest.approx(moe.oof_score_ - np.log(1e4), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, -7.0, 1e9])
def test_a_constant_target_is_predicted(value):
    X = np.arange(40.0)[:, None]
    moe = clones().fit(X, np.full(40, value))
    np.testing.assert_allclose(moe.predict(X), value, rtol=1e-6, atol=1e-100)
    assert np.isfinite(moe.oof_score_)


@pytest.mark.parametrize("n", [2, 5, 10])
def test_few_rows_will_do(n):
    X, y = chessboard(n, seed=0)
    assert np.isfinite(clones().fit(X, y).predict_interval(X)).all()


# Weights, folds, jobs ------------------------------------------------------------------------


def test_rows_of_weight_zero_change_nothing():
    X, y = chessboard(300, seed=0)
    X_more, y_more = np.vstack([X, 5 + X[:30]]), np.append(y, 100 + y[:30])
    folds = list(KFold(3).split(X))
    extra = np.array_split(np.arange(300, 330), 3)
    more = []
    for k, (train, test) in enumerate(folds):
        others = np.concatenate([part for j, part in enumerate(extra) if j != k])
        more.append((np.append(train, others), np.append(test, extra[k])))
    weight = np.append(np.ones(300), np.zeros(30))
    smooth = KernelRidge(kernel="rbf", alpha=0.1)
    moe = clones(smooth, cv=folds).fit(X, y)
    other = clones(smooth, cv=more).fit(X_more, y_more, sample_weight=weight)
    assert moe.specialisation_.kept
    np.testing.assert_allclose(other.predict(X), moe.predict(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.oof_log_density_[:300], moe.oof_log_density_, atol=1e-6)


# As any mixture ------------------------------------------------------------------------------


def test_what_is_fitted_keeps_its_meaning():
    (X, y), moe = chessboard(300, seed=0), fitted_once()
    assert list(moe.named_experts_) == ["generalist", "expert0", "expert1"]
    assert moe.expert_load_[1] >= moe.expert_load_[2]
    proba, resp = moe.gate_proba(X), moe.responsibilities(X, y)
    np.testing.assert_allclose(proba.mean(axis=0), moe.expert_load_)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.sum(proba * moe.predict_experts(X), axis=1), moe.predict(X))
    distribution = moe.predict_dist(X)
    np.testing.assert_allclose(distribution.mean(), moe.predict(X))
    np.testing.assert_allclose(distribution.logpdf(y), moe.log_density(X, y))
    assert moe.oof_responsibilities_.shape == resp.shape
    assert moe.oof_score_ == pytest.approx(moe.oof_log_density_.mean())
    assert moe.oof_score_ == pytest.approx(moe.specialisation_.score_with)
    assert moe.lower_bound_ == moe.lower_bounds_[-1]
    assert moe._log_prior < 0
    report = str(moe.expert_report())
    assert "Specialists were kept" in report
    outcome = "specialists besides the generalist, as they raise the out-of-fold log-density"
    assert outcome == moe.plan_.reasons["n_experts"]
    assert f"2 experts, {outcome}." in " ".join(report.split())
    assert "optima" not in report  # those of linear experts, which found the regions
    with pytest.raises(ValueError, match="Information criteria need"):
        moe.bic(X, y)


# Where it is not available -------------------------------------------------------------------


def test_by_name_it_is_what_auto_chooses_and_says_what_is_in_its_way():
    X, y = chessboard(300, seed=0)
    named = clones(training="specialists").fit(X, y)
    np.testing.assert_array_equal(named.predict(X), fitted_once().predict(X))
    message = "training='specialists' needs top_k=None. Set that, or training='em'."
    with pytest.raises(ValueError, match=f"^{message}$"):
        clones(training="specialists", top_k=1).fit(X, y)


def test_errors_of_experts_name_them():
    X, y = chessboard(100, seed=0)
    with pytest.raises(ValueError, match="max_depth") as raised:
        clones(DecisionTreeRegressor(max_depth=-1)).fit(X, y)
    assert "generalist" in raised.value.__notes__[0]


# Tasks --------------------------------------------------------------------------------------


def test_forests_of_too_few_trees_for_out_of_bag_predictions_are_fitted_in_folds():
    X, y = chessboard(200, seed=0)
    few = RandomForestRegressor(3, random_state=0)
    moe = clones(few).fit(X, y)
    in_folds = clones(few, cv=5).fit(X, y)
    np.testing.assert_array_equal(moe.oof_log_density_, in_folds.oof_log_density_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.parametrize("is_list", [False, True])
def test_warm_start_after_a_fit_with_experts_beside_those_given_is_em_from_the_start(is_list):
    X, y = chessboard(150, 0)
    tree = DecisionTreeRegressor(max_depth=2, random_state=0)
    moe = MixtureOfExpertsRegressor(
        [("tree", tree), ("line", Ridge())] if is_list else tree,
        "auto" if is_list else 2,
        n_init=1,
        max_iter=2,
        random_state=0,
    ).fit(X, y)
    assert len(moe.experts_) == 3
    moe.set_params(warm_start=True).fit(X, y)
    assert moe.plan_.training == "em"
    by_em = clone(moe).set_params(training="em", warm_start=False).fit(X, y)
    np.testing.assert_array_equal(moe.predict(X), by_em.predict(X))


def test_an_expert_that_predicts_a_quantile_is_warned_of():
    with pytest.warns(UserWarning, match="predicts a quantile"):
        clones(Boosting(loss="quantile", n_estimators=2), 1).fit(*one_function(60, 0))
