"""What must not matter does not: the order of rows, copies, names, units, the number of jobs."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate

LINEAR = {"n_experts": 2, "n_init": 6, "max_iter": 30, "tol": 1e-4, "random_state": 0}
TREES = {**LINEAR, "n_init": 3, "max_iter": 3, "training": "em"}


def kink(seed=0, n=200):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n, 2))
    y = np.where(X[:, 0] > 0, 2 * X[:, 0], -1 - X[:, 0] + X[:, 1]) + 0.2 * rng.normal(size=n)
    return X, y


def splits(n, seed=0):
    return list(KFold(4, shuffle=True, random_state=seed).split(np.zeros(n)))


def linear():
    return MixtureOfExpertsRegressor(**LINEAR, training="em")


def trees(cv):
    expert = DecisionTreeRegressor(max_depth=4, min_samples_leaf=3, random_state=0)
    return MixtureOfExpertsRegressor(expert, cv=cv, **TREES)


def assert_same(moe, other, X, *, rtol=1e-6, X_other=None):
    """The same predictive distribution.

    1e-6: sums in another order differ by 1e-15, of which a gate of weights in the hundreds and
    iterations that stop at tol make more; a different optimum would differ in the first digit.
    """
    X_other = X if X_other is None else X_other
    assert_allclose(moe.predict(X), other.predict(X_other), rtol=rtol, atol=rtol)
    std = [m.predict(x, return_std=True)[1] for m, x in ((moe, X), (other, X_other))]
    assert_allclose(*std, rtol=rtol)
    assert_allclose(moe.lower_bound_, other.lower_bound_, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_order_of_rows_does_not_matter(kind):
    X, y = kink()
    order = np.random.default_rng(1).permutation(len(y))
    if kind == "linear":
        moe, other = linear(), linear()
    else:
        inverse = np.argsort(order)
        folds = splits(len(y))
        moe, other = trees(folds), trees([(inverse[a], inverse[b]) for a, b in folds])
    assert_same(moe.fit(X, y), other.fit(X[order], y[order]), X)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_weight_of_two_is_a_row_given_twice(kind, seed):
    X, y = kink(seed)
    weight = np.random.default_rng(seed + 1).integers(0, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    if kind == "linear":
        moe, other = linear(), linear()
    else:
        folds = splits(len(y))
        carried = [
            (np.flatnonzero(np.isin(rows, a)), np.flatnonzero(np.isin(rows, b))) for a, b in folds
        ]
        moe, other = trees(folds), trees(carried)
        # A leaf's smallest weight, not its number of rows. Leaves are large, as in small nodes
        # two columns often split alike, and rounding would choose between them.
        for each in (moe, other):
            each.experts.set_params(min_samples_leaf=1, min_weight_fraction_leaf=0.1)
    assert_same(moe.fit(X, y, weight), other.fit(X[rows], y[rows]), X)


def test_rows_of_no_weight_do_not_matter():
    X, y = kink()
    weight = np.ones(len(y) + 20)
    weight[-20:] = 0
    far = np.random.default_rng(0).normal(size=(20, 2)) + 100
    moe = linear().fit(np.vstack([X, far]), np.append(y, np.full(20, 1e3)), weight)
    assert_same(linear().fit(X, y), moe, X)


def test_scale_of_the_weights_does_not_matter_without_penalties():
    X, y = kink()
    params = {**LINEAR, "experts": LinearRegression()}
    moe = MixtureOfExpertsRegressor(gate=SoftmaxGate(alpha=0.1), **params, training="em").fit(X, y)
    # The penalty stands beside the sum over rows, so it scales along.
    other = MixtureOfExpertsRegressor(gate=SoftmaxGate(alpha=0.3), **params, training="em")
    assert_same(moe, other.fit(X, y, np.full(len(y), 3.0)), X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few iterations
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")  # two are enough
@pytest.mark.parametrize("cv", [False, 3])
def test_order_of_named_experts_does_not_matter(cv):
    X, y = kink()
    experts = [
        ("ridge", Ridge(alpha=0.1)),
        ("line", LinearRegression()),
        ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
    ]
    params = {**TREES, "n_experts": "auto", "cv": cv}
    start = np.random.default_rng(0).dirichlet(np.ones(3), size=len(y))
    order = [2, 0, 1]
    moe = MixtureOfExpertsRegressor(experts, **params, init=lambda *args: start)
    permuted = MixtureOfExpertsRegressor(
        [experts[k] for k in order], **params, init=lambda *args: start[:, order]
    )
    assert_same(moe.fit(X, y), permuted.fit(X, y), X)
    assert_allclose(moe.expert_load_[order], permuted.expert_load_, rtol=1e-6)
    assert list(permuted.named_experts_) == ["tree", "ridge", "line"]


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_prediction_follows_the_units_of_the_target(kind):
    X, y = kink()
    moe, other = (linear(), linear()) if kind == "linear" else (trees(4), trees(4))
    moe.fit(X, y)
    other.fit(X, 2.0**10 * y - 2.0**14)
    mean, std = moe.predict(X, return_std=True)
    other_mean, other_std = other.predict(X, return_std=True)
    # y loses four digits to the shift.
    assert_allclose(other_mean, 2.0**10 * mean - 2.0**14, rtol=1e-6)
    assert_allclose(other_std, 2.0**10 * std, rtol=1e-6)
    assert_allclose(other.lower_bound_, moe.lower_bound_ - 10 * np.log(2), rtol=1e-6)


@pytest.mark.parametrize("kind", ["default", "linear regression", "trees"])
def test_prediction_does_not_depend_on_the_units_of_the_columns(kind):
    X, y = kink()
    if kind == "trees":
        moe, other = trees(4), trees(4)
    else:
        experts = None if kind == "default" else LinearRegression()
        moe = MixtureOfExpertsRegressor(experts, **LINEAR)
        other = MixtureOfExpertsRegressor(experts, **LINEAR)
    scaled = X * [2.0**12, 2.0**-7] + [2.0**10, 0.25]
    # The columns lose some digits to the shift.
    assert_same(moe.fit(X, y), other.fit(scaled, y), X, X_other=scaled)


# Jobs -------------------------------------------------------------------------------------------


def mixtures():
    forest = RandomForestRegressor(10, min_samples_leaf=5, random_state=0)
    return {
        "linear": linear(),
        "trees": trees(4),
        "oob": MixtureOfExpertsRegressor(forest, cv="oob", **{**TREES, "max_iter": 2}),
    }


@pytest.mark.filterwarnings("ignore:.*oob.*:UserWarning")
@pytest.mark.parametrize(
    "backend",
    ["threading", pytest.param("loky", marks=pytest.mark.slow)],  # processes to start
)
@pytest.mark.parametrize("kind", ["linear", "trees", "oob"])
def test_number_of_jobs_does_not_matter(kind, backend):
    X, y = kink()
    expected = mixtures()[kind].fit(X, y)
    with joblib.parallel_config(backend=backend):
        moe = mixtures()[kind].set_params(n_jobs=2).fit(X, y)
    # The same computations, in other threads or processes.
    assert_same(expected, moe, X, rtol=1e-9)


@pytest.mark.parametrize("kind", ["linear", "trees", "oob"])
def test_a_row_alone_is_answered_as_in_a_batch(kind):
    X, y = kink()
    moe = mixtures()[kind].fit(X, y)
    mean, std = moe.predict(X[:20], return_std=True)
    quantiles = moe.predict_quantiles(X[:20], [0.1, 0.9])
    density = moe.log_density(X[:20], y[:20])
    for i in range(20):
        row = X[i : i + 1]
        # BLAS may sum a product of matrices of other shapes in another order.
        assert_allclose(np.ravel(moe.predict(row, return_std=True)), [mean[i], std[i]], rtol=1e-12)
        assert_allclose(moe.predict_quantiles(row, [0.1, 0.9])[0], quantiles[i], rtol=1e-10)
        assert_allclose(moe.log_density(row, y[i : i + 1]), density[i], rtol=1e-10, atol=1e-12)


def classes(seed=0, n=300):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, np.where(X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=n) > 0, "same", "differ")


def classifier(kind, cv=4):
    params = {**TREES, "n_init": 3}
    if kind == "logistic":
        return MixtureOfExpertsClassifier(**{**LINEAR, "n_init": 3, "max_iter": 100})
    if kind == "oob":
        forest = RandomForestClassifier(10, min_samples_leaf=5, random_state=0)
        return MixtureOfExpertsClassifier(forest, cv="oob", **params)
    return MixtureOfExpertsClassifier(
        DecisionTreeClassifier(max_depth=3, random_state=0), cv=cv, **params
    )


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_weight_of_two_is_a_row_given_twice_to_a_classifier(kind):
    X, y = classes()
    weight = np.random.default_rng(1).integers(1, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    folds = splits(len(y))
    carried = [
        (np.flatnonzero(np.isin(rows, a)), np.flatnonzero(np.isin(rows, b))) for a, b in folds
    ]
    moe = classifier(kind, folds).fit(X, y, weight)
    other = classifier(kind, carried).fit(X[rows], y[rows])
    assert_allclose(moe.predict_proba(X), other.predict_proba(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_names_of_the_classes_do_not_matter(kind):
    X, y = classes()
    renamed = np.where(y == "same", 0, 7)  # in the other order
    moe = classifier(kind, splits(len(y))).fit(X, y)
    other = classifier(kind, splits(len(y))).fit(X, renamed)
    # Logistic regression and trees treat the classes alike, up to the order of sums.
    assert_allclose(moe.predict_proba(X), other.predict_proba(X)[:, ::-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda scaler: {"experts": make_pipeline(scaler, LinearRegression()), **LINEAR},
        lambda scaler: {"experts": make_pipeline(scaler, DecisionTreeRegressor()), **TREES},
        lambda scaler: {"gate": make_pipeline(scaler, SoftmaxGate()), **LINEAR},
    ],
    ids=["lines", "trees", "gate"],
)
def test_a_transformer_that_may_work_in_place_changes_no_rows_of_others(make):
    X, y = kink()
    given = X.copy()
    moe, other = (
        MixtureOfExpertsRegressor(**make(StandardScaler(copy=copy))).set_params(training="em")
        for copy in (False, True)
    )
    prediction = moe.fit(X, y).predict(X)
    assert_array_equal(X, given)
    assert_array_equal(prediction, other.fit(given, y).predict(given))
