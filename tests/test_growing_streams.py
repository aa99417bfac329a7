"""Regimes that come and go in a stream: ``partial_fit`` around ``add_expert`` and the like."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, GaussianGate, TreeGate
from skmoe.likelihoods import Gaussian

# Three planes: two side by side, and a third apart from them.
LOW, HIGH = np.array([[-3, -3], [0, -3], [3.5, -3]]), np.array([[0, 3], [3, 3], [6.5, 3]])
SLOPES, INTERCEPTS = np.array([[1, -2], [2, 1], [-1.5, 1]]), np.array([0, 1, 5])
SCALES = np.array([0.2, 0.4, 0.3])
OLD, NEW, ALL = (0, 1), (2,), (0, 1, 2)


def draw_lines(n, seed, regimes):
    rng = np.random.default_rng(seed)
    k = rng.choice(regimes, size=n)
    X = rng.uniform(LOW[k], HIGH[k])
    return X, (X * SLOPES[k]).sum(axis=1) + INTERCEPTS[k] + SCALES[k] * rng.normal(size=n)


def draw_classes(n, seed, regimes):
    rng = np.random.default_rng(seed)
    k = rng.choice(regimes, size=n)
    X = rng.uniform(LOW[k], HIGH[k])
    logits = np.choose(k, [3 * X[:, 1], 1 - 2 * X[:, 1], 3 * X[:, 1] - 1])
    return X, np.where(rng.uniform(size=n) < special.expit(logits), "yes", "no")


def draw_outputs(n, seed, regimes):
    X, y = draw_lines(n, seed, regimes)
    return X, np.column_stack([y, 1 - 2 * y + 0.1 * np.random.default_rng(seed).normal(size=n)])


def feed(moe, regimes, seed=100, draw=draw_lines):
    for i in range(10):
        moe.partial_fit(*draw(400, seed + i, regimes))
    return moe


def planted_regimes(X, y, n_experts, random_state):
    """For ``init``: what is learned after that is of no matter here."""
    k = (X[:, 0] > 0).astype(int) + (X[:, 0] > 3.25)
    return np.eye(n_experts)[k]


START = {"training": "em", "init": planted_regimes, "n_init": 1, "tol": 1e-4, "random_state": 0}


def joined(*batches):
    return [np.concatenate(values) for values in zip(*batches, strict=True)]


def score(moe, rows):
    return moe.log_density(*rows).mean()


@pytest.fixture(scope="module")
def two_regimes():
    return feed(MixtureOfExpertsRegressor(n_experts=2, random_state=0), OLD, seed=0)


@pytest.fixture
def grown(two_regimes):
    """A stream of two regimes that has met a third."""
    moe = copy.deepcopy(two_regimes)
    return moe.add_expert(*draw_lines(300, 50, NEW), name="new", replay=draw_lines(60, 51, OLD))


def test_a_stream_goes_on_with_a_regime_that_was_added(grown):
    held_out = draw_lines(4000, 60, ALL)
    before = score(grown, held_out)
    feed(grown, ALL)
    order = np.argsort([expert.coef_[0] for expert in grown.experts_])[[1, 2, 0]]
    experts = [grown.experts_[k] for k in order]
    # Standard errors: 0.4 / sqrt(1,600 rows) / 0.9, the deviation of a column, is 0.011; that of
    # the last intercept, five units from its rows, is five times that of a slope.
    assert_allclose([expert.coef_ for expert in experts], SLOPES, atol=0.04)
    assert_allclose([expert.intercept_ for expert in experts], INTERCEPTS, atol=0.15)
    assert_allclose(grown.likelihood_.scale_[order], SCALES, rtol=0.06)
    assert grown.n_samples_seen_ == 8300
    assert score(grown, held_out) > before
    rows = joined(
        *(draw_lines(400, seed, OLD) for seed in range(10)),
        draw_lines(300, 50, NEW),
        *(draw_lines(400, 100 + i, ALL) for i in range(10)),
    )
    whole = MixtureOfExpertsRegressor(n_experts=3, training="em", random_state=0).fit(*rows)
    # The gates are unlike: a tree, and one softmax. 0.01 is what a fifth of the rows would lose.
    assert score(grown, held_out) > score(whole, held_out) - 0.01


@pytest.mark.parametrize("regimes", [OLD, NEW], ids=["old", "new"])
def test_experts_without_rows_stay_where_they_are(grown, regimes):
    calm = grown.experts_[-1:] if regimes == OLD else grown.experts_[:-1]
    before = [expert.coef_ for expert in calm]
    feed(grown, regimes)
    calm = grown.experts_[-1:] if regimes == OLD else grown.experts_[:-1]
    # Hardly any row of the others is in doubt.
    assert_allclose([expert.coef_ for expert in calm], before, atol=0.02)


def test_rows_that_an_expert_is_added_with_count_as_in_a_stream(two_regimes):
    """Those of weight 2 are two rows each, in the batches that follow, too."""
    X, y = draw_lines(100, 50, NEW)
    weight = np.random.default_rng(0).integers(1, 4, size=100)
    one, other = copy.deepcopy(two_regimes), copy.deepcopy(two_regimes)
    replay, held_out = draw_lines(60, 51, OLD), draw_lines(500, 60, ALL)
    one.add_expert(X, y, sample_weight=weight.astype(float), replay=replay)
    other.add_expert(np.repeat(X, weight, axis=0), np.repeat(y, weight), replay=replay)
    other = pickle.loads(pickle.dumps(other))
    for moe in (one, other):
        moe.partial_fit(*draw_lines(200, 52, ALL))
    # EM stops by a tolerance, up to where rounding may move it.
    assert_allclose(one.log_density(*held_out), other.log_density(*held_out), rtol=1e-5, atol=1e-5)
    assert one.n_samples_seen_ == other.n_samples_seen_ == 4200 + weight.sum()
    coef = one.experts_[-1].coef_
    one.partial_fit(*draw_lines(5, 53, NEW))  # as 5 among 300 or so
    assert 0 < np.abs(one.experts_[-1].coef_ - coef).max() < 0.02


SGD = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Ridge(), Ridge(10.0)),
        (Ridge(), SGD),
        (SGD, Ridge()),
        (SGD, None),
        (Ridge(), FrozenEstimator(LinearRegression().fit(*draw_lines(300, 50, NEW)))),
        (make_pipeline(StandardScaler(), Ridge()), None),
    ],
    ids=range(6),
)
def test_experts_of_any_kind_go_on_beside_each_other(old, new):
    moe = MixtureOfExpertsRegressor(old, n_experts=2, **START)
    moe.fit(*draw_lines(1000, 0, OLD)).add_expert(
        *draw_lines(200, 50, NEW), new, replay=draw_lines(60, 51, OLD)
    )
    held_out = draw_lines(2000, 60, ALL)
    before = score(moe, held_out)
    feed(moe, ALL)
    assert score(moe, held_out) > before
    assert score(moe, held_out) > -0.21  # -0.17 under the truth


@pytest.mark.parametrize(
    "likelihood", ["gaussian", Gaussian(covariance="full"), Gaussian("shared")]
)
def test_several_outputs_go_on(likelihood):
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=likelihood, **START)
    moe.fit(*draw_outputs(1000, 0, OLD))
    moe.add_expert(*draw_outputs(200, 50, NEW), replay=draw_outputs(60, 51, OLD))
    held_out = draw_outputs(2000, 60, ALL)
    before = score(moe, held_out)
    assert score(feed(moe, ALL, draw=draw_outputs), held_out) > before


def test_a_classifier_goes_on():
    moe = MixtureOfExpertsClassifier(n_experts=2, n_init=2, random_state=0)
    moe.fit(*draw_classes(2000, 0, OLD))
    moe.add_expert(*draw_classes(300, 50, NEW), replay=draw_classes(100, 51, OLD))
    held_out = draw_classes(4000, 60, ALL)
    before = score(moe, held_out)
    feed(moe, ALL, draw=draw_classes)
    rows = joined(
        draw_classes(2000, 0, OLD),
        draw_classes(300, 50, NEW),
        *(draw_classes(400, 100 + i, ALL) for i in range(10)),
    )
    whole = copy.deepcopy(moe).set_params(n_experts=3, training="em", warm_start=True).fit(*rows)
    assert score(moe, held_out) > before
    assert score(moe, held_out) > score(whole, held_out) - 0.002  # of steps, one for each batch
    assert_allclose(moe.experts_[-1].coef_[0], [0, 3], atol=0.4)  # three standard errors


def test_an_expert_that_cannot_learn_from_batches_ends_the_stream(grown):
    tree = DecisionTreeRegressor(max_depth=4, random_state=0)
    X, y = draw_lines(200, 70, NEW)
    grown.add_expert(X + [5, 0], y, tree, name="tree", replay=draw_lines(100, 71, ALL))
    with pytest.raises(TypeError, match="After add_expert .* an expert without partial_fit"):
        grown.partial_fit(*draw_lines(100, 72, ALL))


@pytest.mark.parametrize("gate", [None, GaussianGate(), ConstantGate(), TreeGate([1, 2])], ids=str)
def test_a_stream_goes_on_without_a_regime_that_was_removed(gate):
    moe = MixtureOfExpertsRegressor(n_experts=3, gate=gate, **START).fit(*draw_lines(1500, 0, ALL))
    gone = next(name for name, expert in moe.named_experts_.items() if expert.coef_[0] < 0)
    held_out = draw_lines(2000, 60, OLD)
    before = score(moe.remove_expert(gone), held_out)
    feed(moe, OLD)
    assert score(moe, held_out) > before
    order = np.argsort([expert.coef_[0] for expert in moe.experts_])
    assert_allclose([moe.experts_[k].coef_ for k in order], SLOPES[:2], atol=0.04)
    assert_allclose(moe.expert_load_, 0.5, atol=0.03)
    moe.remove_expert(list(moe.named_experts_)[order[0]])  # and the last one goes on alone
    alone = feed(moe, (1,)).experts_[0]
    assert_allclose(alone.coef_, SLOPES[1], atol=0.04)


def test_regimes_come_and_go(grown):
    """Also one below the top of the tree of gates."""
    gone = np.argmin([expert.coef_[1] for expert in grown.experts_])  # the first regime
    grown.remove_expert(list(grown.named_experts_)[gone])
    held_out = draw_lines(2000, 60, (1, 2))
    before = score(grown, held_out)
    feed(grown, (1, 2))
    assert score(grown, held_out) > before - 0.002  # the error of a mean of so many rows
    grown.add_expert(*draw_lines(200, 70, (0,)), replay=draw_lines(100, 71, (1, 2)))
    feed(grown, ALL, seed=200)
    assert score(grown, draw_lines(2000, 61, ALL)) > -0.21
