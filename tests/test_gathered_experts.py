"""Experts of any kind on rows that are not in memory: fitted on rows of their own."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, planted
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._data import Rows
from skmoe._em.rows import FitRows
from skmoe._numerics.samples import hash_rows
from skmoe._planning.plan import make_plan
from skmoe.exceptions import IgnoredWeightsWarning, ThinnedRowsWarning
from skmoe.gates import ConstantGate
from skmoe.likelihoods import Gaussian, RandomEffects, ZeroInflated
from skmoe.rows._blocks import BlockRows
from skmoe.rows._gathered import fold_numbers

pytestmark = pytest.mark.usefixtures("few_rows_for_starts")

PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 3}


def rows_of_two_regimes(n=2000, seed=0):
    """Rows with two numbers, a count, and one of three classes for a target."""
    lines = [[[0, 0], [2, 0], [0, 1], [2, 0]], [[0, 0], [0, -1], [-2, 0], [0, 1]]]
    log_odds = [np.diag([0, 2, -1]), [[0, 0, 0], [0, 0, 1], [0, -2, 0]]]
    rows = planted(n, gate=[-1 / 0.3, 0, 0, 0], coef=lines, noise=0.3, random_state=seed)
    count = rows.target([[0, 0.5, 0, 1], [0, 0, -0.3, 0]], "poisson")
    label = rows.target(np.append(log_odds, np.zeros((2, 1, 3)), axis=1), "classes")
    return rows.X, {"lines": rows.y, "line": rows.y[:, 0], "count": count, "class": label}


@pytest.mark.parametrize(
    ("kind", "params", "target"),
    [
        (MixtureOfExpertsRegressor, {"likelihood": Gaussian(covariance="full")}, "lines"),
        (
            MixtureOfExpertsRegressor,
            {
                "experts": make_pipeline(PolynomialFeatures(1), PoissonRegressor(alpha=0)),
                "likelihood": "poisson",
                "tol": 1e-6,
            },
            "count",
        ),
        (MixtureOfExpertsRegressor, {"experts": Ridge(), "likelihood": "student_t"}, "line"),
        (
            MixtureOfExpertsRegressor,
            {"experts": make_pipeline(PolynomialFeatures(2), Ridge())},
            "line",
        ),
        (
            MixtureOfExpertsClassifier,
            {
                "experts": make_pipeline(PolynomialFeatures(1), LogisticRegression(C=1e3)),
                "tol": 1e-5,
            },
            "class",
        ),
    ],
    ids=["two outputs that err together", "counts", "tails", "pipeline", "three classes"],
)
def test_linear_experts_without_sums_end_where_rows_in_memory_do(kind, params, target):
    X, y = rows_of_two_regimes()
    moe = kind(**PARAMS, **params, training="em").fit(X, y[target])
    other = kind(**PARAMS, **params).fit(in_parts(X, y[target]))
    assert other.lower_bound_ == pytest.approx(moe.lower_bound_, abs=1e-3)  # near the maximum
    assert_allclose(other.expert_load_, moe.expert_load_, atol=0.02)
    report = other.expert_report()
    assert sum(report.columns["rows"]) == pytest.approx(2000)
    assert np.asarray(other.predict(in_parts(X))).shape == y[target].shape


def test_proportions_of_a_constant_gate():
    X, y = rows_of_two_regimes()
    experts = make_pipeline(PolynomialFeatures(1), LinearRegression())
    moe = MixtureOfExpertsRegressor(experts, gate=ConstantGate(), **PARAMS)
    one_pass = MixtureOfExpertsRegressor(gate=ConstantGate(), **PARAMS)
    files = in_parts(X, y["line"])
    assert moe.fit(files).lower_bound_ == pytest.approx(one_pass.fit(files).lower_bound_, abs=1e-3)
    assert_allclose(moe.gate_.proportions_, one_pass.gate_.proportions_, atol=0.01)


TREES = {
    "regression": (
        MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=6), **PARAMS),
        "line",
    ),
    "classes": (MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=4), **PARAMS), "class"),
    "list": (
        MixtureOfExpertsRegressor(
            [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=5))],
            random_state=0,
            n_init=3,
        ),
        "line",
    ),
}


@pytest.mark.parametrize(("moe", "target"), TREES.values(), ids=TREES)
def test_trees_from_blocks_predict_new_rows_as_well_as_from_memory(moe, target):
    X, y = rows_of_two_regimes()
    X_new, y_new = rows_of_two_regimes(seed=1)
    memory = clone(moe).set_params(training="em")

    def held_out(seed, *rows):
        return memory.set_params(random_state=seed).fit(*rows).log_density(X_new, y_new[target])

    in_memory = np.mean([held_out(seed, X, y[target]) for seed in range(3)])
    found = [held_out(seed, in_parts(X, y[target])) for seed in range(3)]
    assert np.mean(found) > in_memory - 0.03  # trees of one seed differ by as much
    assert not hasattr(memory, "oof_log_density_")
    order = np.random.default_rng(0).permutation(2000)
    bounds = (1, 40, 40, 800, 2000)
    memory.fit(in_parts(X[order], y[target][order], bounds=bounds))
    assert_allclose(memory.log_density(X_new, y_new[target]), found[2], atol=1e-6)


def test_experts_are_told_by_rows_that_they_have_not_seen():
    X, _ = rows_of_two_regimes()
    y = np.random.default_rng(0).normal(size=2000)
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(), **PARAMS).fit(in_parts(X, y))
    assert moe.likelihood_.scale_.min() > 1  # by heart they know them without error
    X_new, y_new = rows_of_two_regimes(seed=1)[0], np.random.default_rng(1).normal(size=2000)
    assert moe.log_density(X_new, y_new).mean() > -2


def test_folds_are_of_the_content_of_rows_and_of_equal_size():
    X, y = rows_of_two_regimes()
    folds = fold_numbers(hash_rows(X, y["line"]), 5)
    assert_array_equal(folds[::-1], fold_numbers(hash_rows(X[::-1], y["line"][::-1]), 5))
    assert np.bincount(folds).min() > 340


@pytest.mark.parametrize(
    ("moe", "target", "share"),
    [
        (
            MixtureOfExpertsRegressor(likelihood=Gaussian(covariance="full"), **PARAMS),
            "lines",
            0.98,
        ),
        (
            MixtureOfExpertsClassifier(
                make_pipeline(PolynomialFeatures(1), LogisticRegression(C=1e3)), **PARAMS, tol=1e-4
            ),
            "class",
            0.98,
        ),
        # Ten iterations are all that cross-fitted experts have.
        (
            MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=5), cv=3, **PARAMS),
            "line",
            0.4,
        ),
    ],
    ids=["lines", "classes", "trees"],
)
def test_copies_are_reseeded_on_the_way_to_where_others_end(moe, target, share, monkeypatch):
    X, y = rows_of_two_regimes()
    files = in_parts(X, y[target])
    expected = moe.fit(files).lower_bound_

    def start_alike(trainer):
        with trainer.problem.experts.side_by_side(None):
            trainer.problem.start(np.full((len(trainer.data.y), 2), 0.5)).step()

    monkeypatch.setattr("skmoe.rows._fit._run_sample", start_alike)
    moe.fit(files)
    assert sum(moe.expert_report().columns["revived"]) > 0
    assert moe.n_distinct_experts_ == 2
    alike = moe.lower_bounds_[0]
    assert moe.lower_bound_ - alike > share * (expected - alike)


def frozen(expert, rows, X, y):
    return FrozenEstimator(expert.fit(X[rows], y[rows]))


@pytest.mark.parametrize("cv", ["auto", "prefit"])
def test_frozen_experts_get_a_gate_and_scales_as_in_memory(cv):
    X, y = rows_of_two_regimes(seed=1)
    line, tree = LinearRegression(), DecisionTreeRegressor(max_depth=5)
    experts = [
        ("a", frozen(line, X[:, 0] > 0, X, y["line"])),
        ("b", frozen(tree, X[:, 0] < 0, X, y["line"])),
    ]
    X, y = rows_of_two_regimes()
    moe = MixtureOfExpertsRegressor(experts, cv=cv, random_state=0).fit(X, y["line"])
    bound, coef, scale = moe.lower_bound_, moe.gate_.coef_, moe.likelihood_.scale_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moe.fit(in_parts(X, y["line"], max_expert_rows=1500))
    assert moe.lower_bound_ == pytest.approx(bound, abs=2e-3)
    assert_allclose(moe.likelihood_.scale_, scale, rtol=0.03)
    assert_allclose(moe.gate_.coef_, coef, atol=0.3)
    assert moe.experts_[1].estimator is tree
    assert moe.n_expert_fits_ == 0


def test_frozen_experts_beside_others():
    X, y = rows_of_two_regimes()
    experts = [("a", frozen(Ridge(), X[:, 0] > 0, X, y["line"])), ("b", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, random_state=0).fit(X, y["line"])
    bound = moe.lower_bound_
    moe.fit(in_parts(X, y["line"]))
    assert moe.lower_bound_ == pytest.approx(bound, abs=1e-3)


def test_experts_without_weights_have_the_rows_that_they_win():
    X, y = rows_of_two_regimes()
    X_new, y_new = rows_of_two_regimes(seed=1)
    near = KNeighborsRegressor(10)
    moe = MixtureOfExpertsRegressor(near, training="em", cv=3, tol=1e-3, **PARAMS)
    in_memory = moe.fit(X, y["line"]).log_density(X_new, y_new["line"]).mean()
    files = in_parts(X, y["line"])
    assert moe.fit(files).log_density(X_new, y_new["line"]).mean() > in_memory - 0.03
    assert sum(expert.n_samples_fit_ for expert in moe.experts_) == 2000
    with pytest.warns(ThinnedRowsWarning):
        moe.fit(in_parts(X, y["line"], max_expert_rows=400))
    assert max(expert.n_samples_fit_ for expert in moe.experts_) <= 400
    assert moe.log_density(X_new, y_new["line"]).mean() > in_memory - 0.3  # a fifth of the rows


def test_experts_without_weights_are_named_where_weights_differ():
    X, y = rows_of_two_regimes()
    weight = np.random.default_rng(0).integers(1, 3, 2000)
    moe = MixtureOfExpertsRegressor(KNeighborsRegressor(10), cv=2, n_experts=2, random_state=0)
    with pytest.warns(IgnoredWeightsWarning, match=r"\['expert0', 'expert1'\] take no sample_w"):
        moe.fit(in_parts(X, y["line"], weight))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moe.fit(in_parts(X, y["line"], np.full(2000, 3.0)))


def test_rows_beyond_max_expert_rows_are_thinned_and_said_so():
    X, y = rows_of_two_regimes()
    experts = make_pipeline(PolynomialFeatures(1), LinearRegression())
    moe = MixtureOfExpertsRegressor(experts, **PARAMS)
    with pytest.warns(ThinnedRowsWarning, match=r"fitted on 400 of these.*max_expert_rows"):
        moe.fit(in_parts(X, y["line"], max_expert_rows=400))
    everything = MixtureOfExpertsRegressor(experts, **PARAMS).fit(in_parts(X, y["line"]))
    assert_allclose(moe.predict(X), everything.predict(X), atol=0.2)
    assert moe.lower_bound_ == pytest.approx(everything.lower_bound_, abs=0.02)
    assert sum(moe.expert_report().columns["rows"]) == pytest.approx(2000)


def test_rows_given_twice_are_rows_of_weight_two():
    X, y = rows_of_two_regimes()
    weight = np.random.default_rng(0).integers(1, 4, 2000)
    again = np.random.default_rng(1).permutation(np.repeat(np.arange(2000), weight))
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=5), **PARAMS)
    predictions = moe.fit(in_parts(X, y["line"], weight)).predict(X)
    moe.fit(in_parts(X[again], y["line"][again], bounds=(700, len(again))))
    assert_allclose(moe.predict(X), predictions, atol=1e-6)


def test_kernels_travel_to_the_rows(monkeypatch):
    X, y = rows_of_two_regimes()
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=5), **PARAMS)
    predictions = moe.fit(in_parts(X, y["line"])).predict(X)
    task = BlockRows._task
    monkeypatch.setattr(
        BlockRows, "_task", lambda self, *args: pickle.loads(pickle.dumps(task(self, *args)))
    )
    assert_allclose(moe.fit(in_parts(X, y["line"])).predict(X), predictions, atol=1e-6)


def test_collections_of_dask():
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    X, y = rows_of_two_regimes()
    X_parts, parts = (da.from_array(a, chunks=(700, -1)[: a.ndim]) for a in (X, y["lines"]))
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), **PARAMS)
    with dask.config.set(scheduler="synchronous"):
        mean = moe.fit(X_parts, parts).predict(X)
    assert_allclose(moe.fit(in_parts(X, y["lines"])).predict(X), mean, atol=1e-6)


def test_names_of_columns_reach_the_experts():
    pandas = pytest.importorskip("pandas")
    X, y = rows_of_two_regimes()
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), **PARAMS)
    moe.fit(in_parts(table, y["line"]))
    assert_array_equal(moe.experts_[0].feature_names_in_, ["a", "b", "c"])
    assert_array_equal(moe.gate_.feature_names_in_, ["a", "b", "c"])
    kind = np.where(X[:, 0] > 0, "cat", "dog")
    classes = MixtureOfExpertsClassifier(**PARAMS).fit(
        in_parts(table.assign(kind=kind), y["class"])
    )
    assert "kind=cat" in classes.coefficients().terms
    assert classes.predict_proba(table.assign(kind=kind)).shape == (2000, 3)


@pytest.mark.parametrize(
    ("mixture", "target", "names"),
    [
        (MixtureOfExpertsRegressor, "line", ["ridge", "boosting", "forest", "net", "process"]),
        (MixtureOfExpertsRegressor, "lines", ["ridge", "boosting", "forest", "net", "process"]),
        (MixtureOfExpertsClassifier, "class", ["logistic", "boosting", "forest", "net"]),
    ],
)
def test_diverse_experts_of_many_rows_are_without_the_process_of_few(mixture, target, names):
    X, y = rows_of_two_regimes(n=60)
    rows = FitRows(Rows(X, y[target], np.ones(60)))
    rows.many = True
    request = make_plan(mixture("diverse"), rows).request
    assert request.names == names
    request.templates[1].fit(X, y[target])


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"experts": MixtureOfExpertsRegressor()}, "experts other than mixtures"),
        ({"likelihood": Gaussian("auto"), "cv": 5}, "scales that do not depend on the row"),
        ({"cv": "oob"}, "a number of folds"),
        (
            {"experts": [("a", Ridge()), ("b", Ridge())], "training": "stack"},
            "training='auto' or 'em'",
        ),
        ({"likelihood": RandomEffects()}, "a likelihood without subjects"),
        ({"likelihood": ZeroInflated()}, "without a zero component"),
    ],
    ids=range(6),
)
def test_what_cannot_be_gathered_is_refused_by_name(params, what):
    X, y = rows_of_two_regimes()
    moe = MixtureOfExpertsRegressor(**params)
    before = vars(moe).copy()
    with pytest.raises(ValueError, match=f"need .*{what}.*in memory.*partial_fit"):
        moe.fit(in_parts(X, y["line"]))
    assert vars(moe) == before
