"""Scores and reports over rows that are not in memory."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from planted import in_parts, two_lines

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate

PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 2, "training": "em"}
in_four_parts = partial(in_parts, bounds=(250, 250, 253, 600))


def rows():
    """Two lines over dependent and constant columns, weights, and labels."""
    X, y, weight, labels = two_lines(600)
    X = np.column_stack([X, X[:, 0] - X[:, 1], np.full(600, 1e6), 1e5 + X[:, 2] ** 2])
    return X, y, weight, labels


@pytest.mark.parametrize("gate", [None, ConstantGate()], ids=["softmax", "constant"])
def test_scores_are_those_of_rows_in_memory(gate):
    X, y, weight, labels = rows()
    moe = MixtureOfExpertsRegressor(gate=gate, **PARAMS).fit(X, y, weight)
    in_memory = moe.score(X, y, weight)
    assert moe.score(in_four_parts(X, y, weight)) == pytest.approx(in_memory, rel=1e-9)
    assert moe.score(X, y) == pytest.approx(moe.score(in_four_parts(X, y)))
    moe = MixtureOfExpertsClassifier(gate=gate, **PARAMS, tol=1e-3).fit(X, labels, weight)
    in_memory = moe.score(X, labels, weight)
    assert moe.score(in_four_parts(X, labels, weight)) == pytest.approx(in_memory)


def test_scores_of_several_outputs_and_of_a_constant_target():
    X, y, weight, _ = rows()
    both = np.column_stack([y, y + X[:, 0] * y])
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(X, both, weight)
    assert moe.score(in_four_parts(X, both, weight)) == pytest.approx(moe.score(X, both, weight))
    constant = np.column_stack([y, np.ones(600)])
    assert moe.score(in_four_parts(X, constant)) == pytest.approx(moe.score(X, constant))


def test_reports_on_files_are_those_on_arrays():
    X, y, weight, labels = rows()
    for moe, target in (
        (MixtureOfExpertsRegressor(**PARAMS), y),
        (MixtureOfExpertsClassifier(**PARAMS, tol=1e-3), labels),
    ):
        moe.fit(X, target)
        expected = moe.expert_report(X, target, weight)
        report = moe.expert_report(in_four_parts(X, target, weight))
        assert report.columns["with"] == expected.columns["with"]
        for name in ("load", "rows", "wins", "gate", "entropy", "overlap", "error", "scale"):
            assert_allclose(report.columns[name], expected.columns[name], rtol=1e-9)
        assert report.balance == pytest.approx(expected.balance)
        assert report.optima == expected.optima


def test_sums_over_collections_of_dask():
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    X, y, weight, _ = rows()
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(X, y)
    parts = [da.from_array(each, chunks=(250, -1)[: each.ndim]) for each in (X, y, weight)]
    with dask.config.set(scheduler="synchronous"):
        assert moe.score(*parts) == pytest.approx(moe.score(X, y, weight))
        report = moe.expert_report(*parts)
    assert_allclose(report.columns["rows"], moe.expert_report(X, y, weight).columns["rows"])


def test_distributions_come_block_by_block():
    X, y, _, _ = rows()
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(X, y)
    blocks = moe.predict_dist(in_four_parts(X, y))
    medians = np.concatenate([distribution.ppf(0.5) for distribution in blocks])
    assert_allclose(medians, moe.predict_quantiles(X, 0.5))
    with pytest.raises(TypeError, match="MixtureDistributions: iterate"):
        np.asarray(blocks)


def test_what_cannot_be_summed_is_refused():
    X, y, weight, _ = rows()
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(X, y)
    files = in_four_parts(X, y)
    with pytest.raises(TypeError, match="exposure is for rows in memory"):
        moe.expert_report(files, exposure=weight)
    with pytest.raises(TypeError, match="pass no y"):
        moe.score(files, y)
    with pytest.raises(ValueError, match="requires y") as raised:
        moe.score(in_four_parts(X))
    assert "In block 0 of the rows." in raised.value.__notes__
    with pytest.raises(ValueError, match="no rows"):
        moe.score(in_parts(X, y, bounds=(0, 0)))
