"""Many columns and many experts: exact short cuts, and what they save."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, special
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skmoe import MixtureOfExpertsRegressor
from skmoe._em import parts
from skmoe._numerics import multinomial
from skmoe._numerics.columns import StandardColumns
from skmoe.gates import ConstantGate, SoftmaxGate

rng = np.random.default_rng(0)


def peak_of(call):
    """What a call returns, and the most memory that it held at once, in bytes."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Wide tables ----------------------------------------------------------------------------------


def test_directions_take_the_memory_of_one_copy_of_the_rows():
    X = rng.normal(size=(20, 50_000))
    _, peak = peak_of(lambda: StandardColumns.of(X, np.ones(20)))
    assert peak < 2 * X.nbytes


def test_a_fit_of_a_wide_table_holds_few_copies_of_it():
    X = rng.normal(size=(40, 5_000))
    y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=40)

    def fit():
        return MixtureOfExpertsRegressor(
            n_experts=2, gate=ConstantGate(), n_init=1, random_state=0
        ).fit(X, y)

    fit()
    moe, peak = peak_of(fit)
    assert peak < 4 * X.nbytes
    assert np.isfinite(moe.predict(X)).all()


def test_a_gate_of_very_many_sparse_columns_is_warned_of(monkeypatch):
    monkeypatch.setattr(parts, "MANY_WEIGHTS", 100)
    X = sparse.random_array((80, 60), density=0.1, format="csr", rng=rng)
    y = rng.normal(size=80)
    settings = {"n_init": 1, "max_iter": 1, "cv": 2, "random_state": 0}
    with pytest.warns(UserWarning, match=r"122 weights, for 60 sparse columns.*TruncatedSVD"):
        MixtureOfExpertsRegressor(Ridge(), 2, **settings).fit(X, y)
    for gate in (ConstantGate(), make_pipeline(TruncatedSVD(3), SoftmaxGate())):
        MixtureOfExpertsRegressor(Ridge(), 2, gate=gate, **settings).fit(X, y)
    MixtureOfExpertsRegressor(Ridge(), 1, **settings).fit(X, y)


# Conjugate gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_experts", [2, 3, 6])
def test_conjugate_gradients_end_where_newton_does(n_experts, monkeypatch):
    design = np.column_stack([rng.normal(size=(200, 4)), np.ones(200)])
    targets = rng.dirichlet(np.ones(n_experts), 200) * rng.uniform(0, 2, size=(200, 1))
    penalty, start = np.array([0.1, 0.1, 1.0, 1.0, 0.0]), np.zeros((5, n_experts))
    newton, *_ = multinomial.fit(design, targets, start, penalty, max_iter=50, tol=1e-14)
    settings = {"max_iter": 3, "tol": 1e-14}
    few, n_iter, _, at = multinomial.fit(design, targets, start, penalty, **settings)
    expected, mass = start, targets.sum(axis=1, keepdims=True)
    for _ in range(n_iter):  # none of these is too long
        proba = special.softmax(design @ expected, axis=1)
        gradient = design.T @ (targets - mass * proba) - penalty[:, None] * expected
        pairs = multinomial.pair_grams(design, proba, mass[:, 0])
        hessian = multinomial.hessian_of_pairs(pairs, n_experts).transpose(1, 0, 3, 2)
        hessian = hessian.reshape(gradient.size, -1) + np.diag(np.repeat(penalty, n_experts))
        step = np.linalg.lstsq(hessian, gradient.ravel(), rcond=1e-10)[0]
        expected = expected + step.reshape(gradient.shape)
    proba = special.softmax(design @ expected, axis=1)
    for ours, theirs in zip((few, *at), (expected, proba, np.log(proba)), strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    of_sparse = multinomial.fit(sparse.csr_array(design), targets, start, penalty, **settings)
    assert_array_equal(of_sparse[0], few)
    monkeypatch.setattr(multinomial, "NEWTON_LIMIT", 1)
    settings = {"penalty": penalty, "max_iter": 100, "tol": 1e-14}
    found, _, converged, _ = multinomial.fit(design, targets, start, **settings)
    assert converged
    assert_allclose(found, newton, atol=1e-6)
    assert_allclose(found.sum(axis=1), 0, atol=1e-12)
    monkeypatch.setattr(multinomial, "CG_STEPS", 2)  # fewer than there are columns
    values, found = [-np.inf], start
    settings = {"penalty": penalty, "tol": 1e-14, "curvature": np.diag([9.0, 1.0, 0.1, 1.0, 3.0])}
    for max_iter in (1, 1, 1, 50):
        found, _, _, at = multinomial.fit(design, targets, found, max_iter=max_iter, **settings)
        assert_allclose(at[1], multinomial.log_softmax(design @ found), atol=1e-12)
        values.append(np.vdot(targets, at[1]) - 0.5 * penalty @ (found**2).sum(axis=1))
    assert (np.diff(values) > -1e-11).all()  # rounding of the last ones
    assert values[1] < values[-1] - 1e-3
    assert_allclose(found, newton, atol=1e-6)
    assert_allclose(found.sum(axis=1), 0, atol=1e-12)
    rows = sparse.csr_array(design)
    of_sparse = multinomial.fit(rows, targets, start, max_iter=50, **settings)[0]
    assert_allclose(of_sparse, found, atol=1e-6)
