"""Every public method that takes rows: on files, on Dask's collections, or refused by name."""

import inspect
import sys
from functools import cache, partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.rows import Files

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

BOUNDS = (0, 150, 150, 400)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 2))
Y = np.abs(X[:, 0]) + 0.2 * RNG.normal(size=400)
LABELS = np.where(Y > 0.8, "high", "low")
TARGETS = {MixtureOfExpertsRegressor: Y, MixtureOfExpertsClassifier: LABELS}
PARAMS = {"n_experts": 2, "training": "em", "random_state": 0, "n_init": 2, "tol": 1e-3}

# Methods that answer row by row, and their other arguments; those that Dask's rows do not have.
OF_ROWS = {
    "predict": {},
    "predict_proba": {},
    "predict_log_proba": {},
    "predict_quantiles": {"q": [0.1, 0.9]},
    "predict_interval": {},
    "predict_experts": {},
    "gate_proba": {},
    "route": {},
    "responsibilities": {},
    "log_density": {},
}
NOT_OF_DASK = {"route", "responsibilities", "log_density"}
DRAWN = {"sample_y"}
DISTRIBUTIONS = {"predict_dist"}
SUMS = {"score", "expert_report"}
REFUSED = {
    "bic": {"y": None},
    "aic": {"y": None},
    "icl": {"y": None},
    "plan": {"y": None},
    "partial_fit": {"y": None},
    "add_expert": {"y": None},
    "summary": {"y": None},
    "stability": {"y": None},
    "marginal_effects": {"y": None},
    "expert_profiles": {},
}


@cache
def fitted_in_memory(kind):
    """A mixture fitted in memory, its target, the same rows in files and in Dask's arrays."""
    y = TARGETS[kind]
    parts = list(zip(BOUNDS, BOUNDS[1:], strict=False))
    files = Files(parts, lambda part: (X[slice(*part)], y[slice(*part)]))
    chunks = np.diff(BOUNDS)
    X_parts = da.from_array(X, chunks=(tuple(chunks[chunks > 0]), 2))
    moe = kind(**PARAMS).fit(X, y)
    return moe, y, files, (X_parts, da.from_array(y, chunks=X_parts.chunks[0]))


@pytest.fixture(params=TARGETS, ids=["regressor", "classifier"])
def fitted(request):
    """``fitted_in_memory``, of either kind."""
    return fitted_in_memory(request.param)


@pytest.fixture(autouse=True)
def in_this_thread():
    """Dask computes in this thread."""
    with dask.config.set(scheduler="synchronous"):
        yield


def methods_of_rows(kind):
    """Names of the public methods that take X."""
    methods = [name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")]
    return {name for name in methods if "X" in inspect.signature(getattr(kind, name)).parameters}


@pytest.mark.parametrize("kind", TARGETS)
def test_each_method_is_known_to_answer_or_to_refuse(kind):
    known = {"fit", *OF_ROWS, *DRAWN, *DISTRIBUTIONS, *SUMS, *REFUSED}
    assert methods_of_rows(kind) <= known


def with_target(method, y):
    """The target as an argument, where the method takes one."""
    return {"y": y} if "y" in inspect.signature(method).parameters else {}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in TARGETS for name in OF_ROWS if hasattr(kind, name)]
)
def test_answers_are_those_of_rows_in_memory(kind, name):
    moe, y, files, (X_parts, _) = fitted_in_memory(kind)
    method = partial(getattr(moe, name), **OF_ROWS[name])
    expected = method(X, **with_target(getattr(moe, name), y))
    blocks = list(method(files))
    if not isinstance(expected, tuple):
        expected, blocks = (expected,), [(block,) for block in blocks]
    for i, each in enumerate(expected):
        same = assert_allclose if each.dtype.kind == "f" else assert_array_equal
        same(np.concatenate([block[i] for block in blocks]), each)
    if name in NOT_OF_DASK:
        with pytest.raises(TypeError, match=rf"{name} takes no Array: have Dask call it"):
            method(X_parts)
        return
    (expected,) = expected
    lazy = method(X_parts)
    assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
    same(lazy.compute(), expected)


def test_each_block_draws_on_its_own_and_again_the_same(fitted):
    moe, y, _, _ = fitted
    once = X[:1].repeat(2000, axis=0)  # blocks of equal rows must not draw alike
    files = Files([0, 1], lambda part: (once,))
    draws = np.asarray(moe.sample_y(files, 2, random_state=0))
    assert draws.shape == (4000, 2)
    assert_array_equal(np.asarray(moe.sample_y(files, 2, random_state=0)), draws)
    assert not np.array_equal(draws[:2000], draws[2000:])
    assert not np.array_equal(np.asarray(moe.sample_y(files, 2)), draws)
    in_memory = moe.sample_y(once, 2, random_state=1)
    if y.dtype.kind == "f":
        levels = [0.1, 0.5, 0.9]
        assert_allclose(np.quantile(draws, levels), np.quantile(in_memory, levels), atol=0.05)
    else:
        assert_allclose((draws == "low").mean(), (in_memory == "low").mean(), atol=0.03)


def test_distributions_come_block_by_block():
    moe, _, files, _ = fitted_in_memory(MixtureOfExpertsRegressor)
    expected = moe.predict_dist(X).ppf(0.3)
    assert_allclose(np.concatenate([each.ppf(0.3) for each in moe.predict_dist(files)]), expected)


@pytest.mark.parametrize("name", sorted(SUMS))
def test_sums_over_blocks_are_those_of_rows_in_memory(fitted, name):
    moe, y, files, parts = fitted
    expected, *found = (getattr(moe, name)(*rows) for rows in ((X, y), (files,), parts))
    for each in found:
        if name == "expert_report":
            assert_allclose(each.columns["rows"], expected.columns["rows"])
        else:
            assert each == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_looks_at_all_rows_refuses_by_name(fitted, name):
    moe, _, files, (X_parts, _) = fitted
    for rows in (files, X_parts):
        what = rf"{name} takes rows in memory, and no (Files|Array): pass (a sample|one block)"
        with pytest.raises(TypeError, match=what):
            getattr(moe, name)(X=rows, **REFUSED[name])


class Doubled(MixtureOfExpertsRegressor):
    """A mixture with methods of its own."""

    def predict(self, X):
        return 2 * super().predict(X)

    def largest(self, X):
        return self.predict(X).max()


def test_methods_of_a_subclass_answer_for_rows_elsewhere_or_refuse():
    _, y, files, _ = fitted_in_memory(MixtureOfExpertsRegressor)
    moe = Doubled(**PARAMS).fit(X, y)
    expected = moe.predict(X)
    assert moe.largest(X) == expected.max()
    assert_allclose(np.asarray(moe.predict(files)), expected)
    with pytest.raises(TypeError, match="largest takes rows in memory, and no Files"):
        moe.largest(files)


def test_where_the_leaf_is_not_there_rows_elsewhere_are_refused(fitted, monkeypatch):
    moe, y, files, (X_parts, y_parts) = fitted
    monkeypatch.setitem(sys.modules, "skmoe.rows", None)
    for ask in (lambda: moe.predict(files), lambda: moe.fit(X_parts, y_parts)):
        with pytest.raises(ImportError, match=r"needs skmoe\.rows, which is not installed"):
            ask()
    assert len(moe.predict(X)) == len(y)
