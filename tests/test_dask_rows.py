"""Rows in collections of Dask's: arrays and DataFrames."""

import subprocess
import sys

import numpy as np
import pytest
from mixtures import assert_same_mixtures
from numpy.testing import assert_allclose, assert_array_equal
from planted import two_lines
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

SAME = {"rtol": 1e-6, "atol": 1e-9}  # the sums of blocks are added in another order
PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 3}


@pytest.fixture(autouse=True)
def one_thread(few_rows_for_starts):
    """Dask computes in this thread; starts are tried on a sample."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("chunks", [(2000,), (300, 0, 1700), (1, 39, 560, 200, 1, 699, 500)])
def test_lines_from_arrays_are_those_of_rows_in_memory(chunks, scheduler):
    X, y, weight, _ = two_lines()
    moe = MixtureOfExpertsRegressor(**PARAMS, training="em").fit(X, y, weight)
    blocks = (da.from_array(each, chunks=(chunks, -1)[: each.ndim]) for each in (X, y, weight))
    with dask.config.set(scheduler=scheduler):
        other = MixtureOfExpertsRegressor(**PARAMS).fit(*blocks)
    assert_same_mixtures(moe, other)


def test_classes_from_arrays():
    X, _, _, labels = two_lines()
    moe = MixtureOfExpertsClassifier(**PARAMS, training="em", tol=1e-4).fit(X, labels)
    X_parts = da.from_array(X, chunks=((900, 0, 1100), -1))
    parts = da.from_array(labels, chunks=((900, 0, 1100),))
    other = MixtureOfExpertsClassifier(**PARAMS, training="em", tol=1e-4).fit(X_parts, parts)
    assert_same_mixtures(moe, other)
    assert_allclose(other.predict_proba(X_parts).compute(), moe.predict_proba(X), **SAME)


def test_predictions_are_computed_when_they_are_asked_for():
    X, y, _, _ = two_lines()
    moe = MixtureOfExpertsRegressor(**PARAMS, training="em").fit(X, y)
    read = []

    def load(block):
        read.append(len(block))
        return block

    parts = da.from_array(X, chunks=((900, 0, 1100), -1))
    parts = parts.map_blocks(load, dtype=X.dtype, meta=X[:0])
    mean, std = moe.predict(parts, return_std=True)
    quantiles = moe.predict(parts, quantiles=[0.1, 0.5])
    intervals = moe.predict_interval(parts, level=[0.5, 0.8, 0.9])
    assert not read
    assert quantiles.chunks == ((900, 0, 1100), (2,))
    for answer, expected in (
        (mean, moe.predict(X)),
        (std, moe.predict(X, return_std=True)[1]),
        (quantiles, moe.predict_quantiles(X, [0.1, 0.5])),
        (intervals, moe.predict_interval(X, [0.5, 0.8, 0.9])),
    ):
        assert answer.shape == expected.shape
        assert_allclose(answer.compute(), expected, **SAME)
    lazy, expected = moe.predict(parts), moe.predict(X)
    moe.fit(X, -y)  # not what was asked
    assert_allclose(lazy.compute(), expected, **SAME)
    with pytest.raises(TypeError, match="no exposure with Array"):
        moe.predict(parts, exposure=y)
    with pytest.raises(ValueError, match="in 3 chunks.*rechunk"):
        moe.predict(parts.rechunk((-1, 1)))


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_predictions_of_data_frames_keep_index_and_partitions(dtype):
    pandas = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    X, _, _, labels = two_lines(400)
    labels = np.where(labels == labels[0], "one", "other").astype(dtype)
    table = pandas.DataFrame(X, columns=["a", "b", "c"]).assign(kind="known")
    table.index = pandas.Index(5 + 3 * np.arange(len(X)), name="id")
    # Of an encoder that knows no other category than those in fit.
    encoder = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    expert = make_pipeline(encoder, LogisticRegression())
    moe = MixtureOfExpertsClassifier(expert, **PARAMS, training="em").fit(table, labels)
    parts = dd.from_pandas(table, npartitions=3)
    parts = dd.concat([parts, parts[parts["a"] > np.inf]])  # whose partitions have no rows
    for lazy, expected in (
        (moe.predict(parts), pandas.Series(moe.predict(table), table.index)),
        (
            moe.predict_proba(parts),
            pandas.DataFrame(moe.predict_proba(table), table.index, moe.classes_),
        ),
    ):
        assert lazy.npartitions == parts.npartitions
        assert lazy.divisions == parts.divisions
        computed = lazy.compute()
        assert (pandas.Series(lazy.dtypes) == pandas.Series(computed.dtypes)).all()
        assert_same = pandas.testing.assert_frame_equal
        if computed.ndim == 1:
            assert_same = pandas.testing.assert_series_equal
        assert_same(computed, expected)


def test_data_frames_keep_their_names_and_unknown_numbers_of_rows():
    pandas = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    X, y, weight, _ = two_lines()
    table = pandas.DataFrame(X, columns=["a", "b", "c"]).assign(y=y, w=weight)
    moe = MixtureOfExpertsRegressor(**PARAMS, training="em").fit(table[["a", "b", "c"]], y, weight)
    parts = dd.from_pandas(table, npartitions=3)
    columns = parts[["a", "b", "c"]]
    other = MixtureOfExpertsRegressor(**PARAMS).fit(columns, parts["y"], parts["w"])
    assert_same_mixtures(moe, other)
    assert_array_equal(other.feature_names_in_, ["a", "b", "c"])
    assert_allclose(other.predict(columns).compute(), moe.predict(table[["a", "b", "c"]]), **SAME)
    # As arrays, of which Dask does not know the numbers of rows.
    other = MixtureOfExpertsRegressor(**PARAMS).fit(
        columns.to_dask_array(), parts["y"].to_dask_array(), parts["w"].to_dask_array()
    )
    assert_same_mixtures(moe, other)


def test_collections_that_do_not_fit_together_are_refused_by_name():
    X, y, _, _ = two_lines()
    moe = MixtureOfExpertsRegressor(n_experts=2)
    before = vars(moe).copy()
    X_parts = da.from_array(X, chunks=(500, -1))
    with pytest.raises(TypeError, match="y must be a Dask collection"):
        moe.fit(X_parts, y)
    with pytest.raises(ValueError, match="X has 4 blocks of rows, y has 2.*rechunk"):
        moe.fit(X_parts, da.from_array(y, chunks=1000))
    weight = da.ones(2000, chunks=((400, 600, 500, 500),))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        moe.fit(X_parts, da.from_array(y, chunks=500), weight)
    with pytest.raises(ValueError, match="in 3 chunks.*rechunk"):
        moe.fit(da.from_array(X, chunks=(500, 1)), da.from_array(y, chunks=500))
    with pytest.raises(TypeError, match="two-dimensional Dask array"):
        moe.fit(da.from_array(y, chunks=500), da.from_array(y, chunks=500))
    with pytest.raises(ValueError, match="no target"):
        moe.fit(X_parts)
    with pytest.raises(ValueError, match="NaN") as raised:
        moe.fit(da.where(X_parts > 3, np.nan, X_parts), da.from_array(y, chunks=500))
    assert any("In block" in note for note in raised.value.__notes__)
    assert vars(moe) == before


def test_an_error_in_the_middle_leaves_the_mixture_as_it_was():
    X, y, _, _ = two_lines()
    n_calls = 0

    def load(block):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 12:
            raise KeyboardInterrupt
        return block

    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, n_init=2)
    before = vars(moe.fit(X, y)).copy()
    X_parts = da.from_array(X, chunks=(500, -1)).map_blocks(load, dtype=X.dtype, meta=X[:0])
    with pytest.raises(KeyboardInterrupt):
        moe.fit(X_parts, da.from_array(y, chunks=500))
    assert vars(moe) == before


def test_a_cluster_fits_what_one_machine_fits():
    distributed = pytest.importorskip("distributed")
    X, y, _, _ = two_lines()
    moe = MixtureOfExpertsRegressor(**PARAMS, training="em").fit(X, y)
    with (
        dask.config.set(scheduler=None),
        distributed.LocalCluster(
            2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        X_parts = da.from_array(X, chunks=(300, -1)).persist()
        other = MixtureOfExpertsRegressor(**PARAMS).fit(X_parts, da.from_array(y, chunks=300))
        assert_allclose(other.predict(X_parts).compute(), moe.predict(X), **SAME)
    assert_same_mixtures(moe, other)


def test_nobody_imports_dask_who_has_no_collection():
    code = (
        "import sys, numpy as np\n"
        "from skmoe import MixtureOfExpertsRegressor\n"
        "from skmoe.rows import Files\n"
        "X = np.linspace(-1, 1, 100)[:, None]\n"
        "MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, abs(X[:, 0])).predict(X)\n"
        "assert 'dask' not in sys.modules and 'pyarrow.parquet' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", code], check=True)
