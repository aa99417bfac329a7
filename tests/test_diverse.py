"""experts="diverse": unlike experts that nobody has to name."""

import pickle
from functools import cache

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._experts.fitting import fit_weighted, takes_sample_weight
from skmoe._ready import diverse
from skmoe._ready.diverse import as_one_of_several
from skmoe._ready.smooth import SmoothRegressor

pd = pytest.importorskip("pandas")

NAMES = ["ridge", "boosting", "forest", "trees", "process", "lines"]
CLASSIFIERS = ["logistic", "boosting", "forest", "net", "process"]


def rows(n, seed=0):
    """A line and a wave; a column of strings and one with missing values."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(-2, 2, size=(n, 3)), columns=["a", "b", "c"])
    X["colour"] = rng.choice(["red", "green"], n)
    mean = X["a"] + np.sin(3 * X["b"]) + (X["colour"] == "red")
    X.loc[rng.uniform(size=n) < 0.1, "c"] = np.nan
    return X, 1000.0 + 100.0 * (mean.to_numpy() + 0.2 * rng.normal(size=n))


@cache
def fitted(classifies=False):
    """Fitted without a warning: warnings are errors."""
    X, y = rows(100)
    make = MixtureOfExpertsClassifier if classifies else MixtureOfExpertsRegressor
    return make("diverse", random_state=0).fit(X, labels(y) if classifies else y)


def labels(y):
    return np.where(y > 1000, "high", "low")


@pytest.fixture
def quick(monkeypatch):
    """Let it stand for a list that is fitted in no time."""
    regressors, of_many_lines = diverse._regressors, diverse.diverse_experts
    monkeypatch.setattr(diverse, "_regressors", lambda *given: regressors(*given)[:2])

    def with_one_line(classifies, y=None, sample_weight=None, lines=None):
        lines = None if lines is None else lines.set_params(n_experts=1)
        return of_many_lines(classifies, y, sample_weight, lines)

    monkeypatch.setattr(diverse, "diverse_experts", with_one_line)


def experts(classifies=False, y=None, sample_weight=None):
    lines = None if classifies else MixtureOfExpertsRegressor()
    return dict(diverse.diverse_experts(classifies, y, sample_weight, lines))


# What it stands for --------------------------------------------------------------------------


def test_there_is_a_process_of_classes_for_few_rows_of_equal_weight_alone():
    few, many = np.zeros(diverse.PROCESS_ROWS - 1), np.zeros(diverse.PROCESS_ROWS)
    assert list(experts(True, few)) == CLASSIFIERS
    assert list(experts(True, many)) == CLASSIFIERS[:-1]
    assert list(experts(True, few, np.arange(len(few)))) == CLASSIFIERS[:-1]
    assert list(experts(y=many, sample_weight=np.arange(len(many)))) == NAMES


def test_a_net_is_there_for_enough_rows_to_stop_by_some_of_them():
    few, many = np.zeros(diverse.NET_ROWS - 1), np.zeros(diverse.NET_ROWS)
    assert all(list(experts(y=y)) == NAMES for y in (None, few))
    assert isinstance(experts(y=many)["net"][-1], diverse.NetRegressor)


def test_all_but_the_process_of_classes_take_weights():
    takes = {name: takes_sample_weight(expert) for name, expert in experts(True).items()}
    assert takes.pop("process") is False
    assert all(takes.values())
    assert all(takes_sample_weight(expert) for expert in experts().values())


@pytest.mark.parametrize("routing", [False, True])
def test_the_net_learns_from_its_weights(routing):
    X, y = np.zeros((400, 1)), np.repeat([0.0, 1.0], 200)
    with config_context(enable_metadata_routing=routing):
        net = experts(y=np.zeros(diverse.NET_ROWS))["net"]
        net.set_params(netregressor__random_state=0)
        fit_weighted(net, X, y, np.where(y == 1, 9.0, 1.0))
    assert net.predict(X[:1]) == pytest.approx(0.9, abs=0.05)


def test_the_net_steps_down_its_errors_and_learns_waves_of_two_outputs():
    rng = np.random.default_rng(0)
    shapes = (4, 5), (6, 3), (4, 2)
    layers, slopes = ([rng.normal(size=shape) for shape in shapes] for _ in range(2))
    given = rng.normal(size=(9, 3)), rng.normal(size=(9, 2)), rng.uniform(size=9)
    diverse._write_slopes(slopes, layers, *given)
    found = [each.copy() for each in slopes]
    for layer, slope in zip(layers, found, strict=True):
        errors = []
        for step in (-1e-6, 1e-6):
            layer[1, 1] += step
            errors.append(diverse._write_slopes(slopes, layers, *given))
            layer[1, 1] -= step
        assert errors[1] - errors[0] == pytest.approx(2e-6 * slope[1, 1], rel=1e-6)
    X = rng.normal(size=(1_500, 2))
    y = 1e4 + 100.0 * np.sin(2 * X[:, :1]) * [1, -2] + rng.normal(size=(1_500, 1))
    net = diverse.NetRegressor(random_state=0, batch_size=64, **diverse.NET).fit(X[:1000], y[:1000])
    assert net.score(X[1000:], y[1000:]) > 0.99  # .995 of the variance is not noise


def test_each_fit_has_estimators_of_its_own():
    moe = MixtureOfExpertsRegressor("diverse")
    (_, first), (_, second) = moe._expert_list(), moe._expert_list()
    assert not set(map(id, first)) & set(map(id, second))


# A list in every respect -----------------------------------------------------------------------


@pytest.mark.parametrize("classifies", [False, True])
def test_mixed_tables_are_fitted_and_reported_on(classifies):
    moe, (X, y) = fitted(classifies), rows(300, seed=1)
    names = CLASSIFIERS if classifies else NAMES
    assert list(moe.named_experts_) == [*names, "stack"]
    assert list(moe.expert_report().to_frame().index) == [*names, "stack"]
    assert moe.experts == "diverse"
    assert moe.score(X, labels(y) if classifies else y) > 0.8


def test_it_is_the_list_that_it_stands_for_in_copies_too(quick):
    table, y = rows(60)
    X = table[["a", "b"]].to_numpy()
    moe = MixtureOfExpertsRegressor("diverse", random_state=0).fit(X, y)
    of_list = MixtureOfExpertsRegressor(moe._given_experts(y), random_state=0).fit(X, y)
    again = clone(moe).fit(X, y)
    assert again.get_params() == moe.get_params()
    for other in (of_list, again, pickle.loads(pickle.dumps(moe))):
        np.testing.assert_array_equal(other.predict(X), moe.predict(X))
        assert other.oof_score_ == moe.oof_score_
    X = table[["a", "b", "c"]].to_numpy()  # values are missing
    assert np.isfinite(moe.fit(X, y).predict(X)).all()


def test_tags_and_display_are_those_of_the_list():
    moe = MixtureOfExpertsRegressor("diverse")
    tags = get_tags(moe)
    assert tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    assert not hasattr(moe, "partial_fit")
    assert not is_classifier(moe)
    assert is_classifier(MixtureOfExpertsClassifier("diverse"))
    html = moe._repr_html_()
    assert all(name in html for name in NAMES)


def test_its_parameters_cannot_be_set():
    moe = MixtureOfExpertsRegressor("diverse")
    with pytest.raises(ValueError, match="like, not 'diverse'"):
        moe.set_params(experts__alpha=1.0)
    with pytest.raises(ValueError, match="net__alpha|'net'"):
        moe.set_params(net__alpha=1.0)
    moe.set_params(experts=[("line", Ridge())], line__alpha=2.0)
    assert moe.get_params()["line__alpha"] == 2.0


def test_another_string_or_number_of_experts_is_refused():
    X, y = rows(20)
    with pytest.raises(ValueError, match="'diverse'"):
        MixtureOfExpertsRegressor("divers").fit(X, y)
    with pytest.raises(ValueError, match="n_experts=3, but the list has 6: leave"):
        MixtureOfExpertsRegressor("diverse", n_experts=3).fit(X, y)


def test_lines_see_the_table_itself_and_their_density_is_kept(quick):
    X, y = rows(150)
    y = np.where(np.arange(150) % 2, 1.0, -1.0) * X["a"].to_numpy() + 0.001 * y
    moe = MixtureOfExpertsRegressor("diverse", random_state=0)
    moe.set_params(training="stack")
    assert "lines" in moe.plan(X, y).experts
    moe.fit(X, y)
    lines = moe.named_experts_["lines"]
    assert type(lines) is MixtureOfExpertsRegressor
    assert list(lines.feature_names_in_) == list(X.columns)
    assert moe.fit(X[["a", "b"]].to_numpy(), y).named_experts_["lines"][-1].n_experts == 1


def test_groups_weights_and_another_splitter(quick):
    X, y = rows(90)
    weight, groups = np.repeat([1.0, 2.0, 0.5], 30), np.arange(90) // 3
    moe = MixtureOfExpertsRegressor("diverse", cv=GroupKFold(3), random_state=0)
    moe.fit(X, y, sample_weight=weight, groups=groups)
    assert moe.n_expert_fits_ == 3 * 4
    assert list(moe.named_experts_) == ["ridge", "boosting", "lines", "stack"]


def test_several_outputs_are_learned_by_em(quick):
    X, y = rows(60)
    moe = MixtureOfExpertsRegressor("diverse", max_iter=1, n_init=1, random_state=0)
    moe.fit(X, np.column_stack([y, -y]))
    assert get_tags(moe).target_tags.multi_output
    assert list(moe.named_experts_) == ["ridge", "boosting"]  # no mixture in another
    np.testing.assert_allclose(moe.predict(X)[:, 0], -moe.predict(X)[:, 1], rtol=0.1)


# Cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_columns", "n_times", "n_fits"), [(3, 1, 5), (30, 4, 8)])
def test_a_kernel_of_few_numbers_is_learned_once(monkeypatch, n_columns, n_times, n_fits):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, n_columns))
    y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=150)
    learn, kernels = SmoothRegressor._learn_kernel, []
    monkeypatch.setattr(
        SmoothRegressor, "_learn_kernel", lambda self, *given: kernels.append(learn(self, *given))
    )
    names = [("process", make_pipeline(StandardScaler(), SmoothRegressor())), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(names, cv=3, random_state=0).fit(X, y)
    assert len(kernels) == n_times
    assert moe.n_expert_fits_ == n_fits


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")  # the line
def test_scales_are_wider_in_a_gap():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 1))
    y = np.sin(9 * X[:, 0]) + 0.05 * rng.normal(size=200)
    left, gap = np.abs(X[:, 0]) > 0.5, np.abs(X[:, 0]) < 0.25
    experts = [("process", make_pipeline(StandardScaler(), SmoothRegressor())), ("line", Ridge())]
    moe = MixtureOfExpertsRegressor(experts, training="stack", cv=3, random_state=0)
    moe.fit(X[left], y[left])
    _, std = moe.predict(X, return_std=True)
    assert std[gap].min() > 3 * np.median(std[left])
    assert np.median(std[left]) < 0.1


def test_lines_of_a_list_are_sought_as_those_that_stand_alone(shared_data):
    X, y, *_ = shared_data("cps1985")
    rows = np.random.default_rng(2).permutation(len(y))[:450]
    X, y = pd.get_dummies(X).to_numpy(dtype=float)[rows], y[rows]
    alone, inside = (MixtureOfExpertsRegressor(random_state=0) for _ in range(2))
    as_one_of_several(inside, to_beat=-np.inf)
    best, best_inside = (max(moe.fit(X, y).log_evidence_.values()) for moe in (alone, inside))
    # Searches end at other tolerances; one expert fewer is .02 behind.
    assert best_inside > best - 0.002


def test_lines_far_behind_the_other_experts_are_not_searched_on():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(300, 1))
    y = np.sin(9 * X[:, 0]) + 0.01 * rng.normal(size=300)
    alone = MixtureOfExpertsRegressor(random_state=0)
    experts = [("lines", alone), ("process", SmoothRegressor())]
    moe = MixtureOfExpertsRegressor(experts, cv=3, random_state=0).fit(X, y)
    assert max(moe.experts_[0].log_evidence_) == 4
    as_one_of_several(alone, -np.inf)
    assert max(alone.fit(X, y).log_evidence_) > 4
    assert max(moe.experts_[0].fit(X, y).log_evidence_) > 4  # on its own again
