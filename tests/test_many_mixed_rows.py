"""Tables with strings and missing values that are not in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, mixed_table
from sklearn.base import clone

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.exceptions import LeftOutColumnsWarning
from skmoe.gates import ConstantGate
from skmoe.rows import Files

pytestmark = pytest.mark.usefixtures("few_rows_for_starts")

pandas = pytest.importorskip("pandas")

SAME = {"rtol": 1e-6, "atol": 1e-9}  # the sums of blocks are added in another order
PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 3}
PARTITIONS = {
    "one block": [2000],
    "three, one of them empty": [300, 300, 2000],
    "seven": [1, 40, 600, 800, 801, 1500, 2000],
}


def terms_of(moe):
    """Of the table of coefficients; a sample of the rows says which level is the reference."""
    return [term.removesuffix(" (reference)") for term in moe.coefficients().terms]


@pytest.mark.parametrize("bounds", PARTITIONS.values(), ids=PARTITIONS)
def test_strings_from_blocks_are_those_of_rows_in_memory(bounds):
    X, y, _ = mixed_table(with_gaps=False)
    moe = MixtureOfExpertsRegressor(**PARAMS, training="em", tol=1e-7).fit(X, y)
    other = clone(moe).fit(in_parts(X, y, bounds=bounds))
    assert other.lower_bound_ == pytest.approx(moe.lower_bound_, abs=1e-6)
    assert_allclose(other.predict(X), moe.predict(X), atol=1e-2)  # both stopped near the maximum
    assert terms_of(other) == terms_of(moe)
    assert_array_equal(other.feature_names_in_, ["a", "kind", "b"])
    assert_allclose(np.asarray(other.predict(in_parts(X, bounds=bounds))), other.predict(X), **SAME)


def test_blocks_in_which_a_column_is_empty():
    X, y, _ = mixed_table()
    order = np.argsort(X["kind"].isna() * 2.0 + X["b"].isna(), kind="stable")
    X, y = X.iloc[order], y[order]
    n_gaps = int(X["kind"].isna().sum())
    files = in_parts(X, y, bounds=[2000 - n_gaps, 2000])
    expected = MixtureOfExpertsRegressor(**PARAMS).fit(in_parts(X, y, bounds=[2000]))
    assert_allclose(
        MixtureOfExpertsRegressor(**PARAMS).fit(files).predict(X), expected.predict(X), **SAME
    )

    def read(rows):  # as from a CSV file, a column without entries is one of numbers
        block = X[rows]
        empty = block["kind"].isna().all()
        return (block.assign(kind=np.nan) if empty else block.fillna({"kind": np.nan})), y[rows]

    slices = [slice(2000 - n_gaps), slice(2000 - n_gaps, 2000)]
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(Files(slices, read))
    assert moe.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-5)


def test_two_classes_of_mixed_rows_and_rows_given_twice():
    X, _, labels = mixed_table()
    X["a"], weight = X["a"].round(1), np.random.default_rng(0).integers(1, 3, len(X))
    params = {**PARAMS, "tol": 1e-4}
    moe = MixtureOfExpertsClassifier(**params)
    moe.fit(in_parts(X, labels, weight, bounds=[900, 2000]))
    again = np.repeat(np.arange(2000), weight)
    np.random.default_rng(1).shuffle(again)
    files = in_parts(X.iloc[again], labels[again], bounds=[700, len(again)])
    other = MixtureOfExpertsClassifier(**params).fit(files)
    assert_allclose(other.predict_proba(X), moe.predict_proba(X), **SAME)


def test_parquet_files_with_strings(tmp_path):
    pytest.importorskip("pyarrow")
    X, y, _ = mixed_table()
    table = X.assign(y=y, kind=X["kind"].astype("category"), c=pandas.array(X["b"] > 3, "boolean"))
    table[:900].to_parquet(tmp_path / "0.parquet", row_group_size=400)
    table[900:].to_parquet(tmp_path / "1.parquet")
    files = Files(str(tmp_path / "*.parquet"), target="y")
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(files)
    other = MixtureOfExpertsRegressor(**PARAMS).fit(
        in_parts(table[[*"a", "kind", *"bc"]], y, bounds=[2000])
    )
    assert moe.lower_bound_ == pytest.approx(other.lower_bound_, abs=1e-9)
    assert np.asarray(moe.predict(files)).shape == (2000,)


def test_directories_datasets_and_tables_of_pyarrow(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    dataset = pytest.importorskip("pyarrow.dataset")
    X, y, _ = mixed_table()
    table = X.assign(y=y, c=(X["b"] > 3).astype(object).where(X["b"].notna(), None))
    (tmp_path / "later").mkdir()
    table[:900].to_parquet(tmp_path / "0.parquet")
    table[900:].to_parquet(tmp_path / "later" / "1.parquet")
    arrow = pyarrow.Table.from_pandas(table)
    places = [str(tmp_path), tmp_path, arrow, dataset.dataset(tmp_path, format="parquet")]
    fits = [
        MixtureOfExpertsRegressor(**PARAMS, training="em").fit(
            Files(each, target="y", block_rows=700)
        )
        for each in places
    ]
    assert "c missing" in fits[0].coefficients().terms  # booleans are numbers
    X_arrow = arrow.drop_columns(["y"])
    for moe in fits:
        assert_allclose(moe.predict(X_arrow), fits[0].predict(X_arrow), **SAME)
        assert_allclose(np.asarray(moe.predict(Files(arrow, target="y"))), moe.predict(X_arrow))
    in_memory = MixtureOfExpertsRegressor(**PARAMS, training="em").fit(X_arrow, arrow["y"])
    assert in_memory.lower_bound_ == pytest.approx(fits[0].lower_bound_, abs=1e-3)
    assert in_memory.feature_names_in_.tolist() == ["a", "kind", "b", "c"]


def test_data_frames_of_dask_with_strings():
    dask = pytest.importorskip("dask")
    dd = pytest.importorskip("dask.dataframe")
    X, y, _ = mixed_table()
    X = X.fillna({"kind": np.nan})
    table = dd.from_pandas(X.assign(y=y), npartitions=3)
    with dask.config.set(scheduler="synchronous"):
        moe = MixtureOfExpertsRegressor(**PARAMS).fit(table[["a", "kind", "b"]], table["y"])
        mean = moe.predict(table[["a", "kind", "b"]]).compute()
    other = MixtureOfExpertsRegressor(**PARAMS).fit(in_parts(X, y, bounds=[900, 2000]))
    assert_allclose(mean, other.predict(X), **SAME)


def test_identifiers_are_left_out_and_named(monkeypatch):
    X, y, _ = mixed_table()
    named = X.assign(name=[f"row {i}" for i in range(2000)])
    with pytest.warns(LeftOutColumnsWarning, match=r"\['name'\], which hold identifiers"):
        moe = MixtureOfExpertsRegressor(**PARAMS).fit(in_parts(named, y, bounds=[900, 2000]))
    assert not [term for term in moe.coefficients().terms if "name" in term]
    monkeypatch.setattr("skmoe._tables.known.MOST_COUNTED", 100)
    with pytest.warns(LeftOutColumnsWarning, match=r"\['name'\], which hold identifiers"):
        other = MixtureOfExpertsRegressor(**PARAMS).fit(in_parts(named, y, bounds=[900, 2000]))
    assert_array_equal(other.predict(named), moe.predict(named))
    files = in_parts(named[["name"]], y, bounds=[900, 2000])
    match = r"\['name'\] hold identifiers.*no others"
    with pytest.warns(LeftOutColumnsWarning), pytest.raises(ValueError, match=match):
        MixtureOfExpertsRegressor(**PARAMS).fit(files)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"b": np.inf}, "infinity"),
        ({"b": 1e200}, "largest absolute value"),
        ({"kind": np.array(["a", 1] * 1000, dtype=object)}, "unlike kinds"),
    ],
    ids=range(3),
)
def test_mixed_rows_that_cannot_be_used_are_refused(change, what):
    X, y, _ = mixed_table()
    with pytest.raises(ValueError, match=what):
        MixtureOfExpertsRegressor(**PARAMS).fit(in_parts(X.assign(**change), y, bounds=[900, 2000]))


def test_a_constant_gate_and_one_expert_take_mixed_rows():
    X, y, _ = mixed_table()
    files = in_parts(X, y, bounds=[900, 2000])
    for params in ({"gate": ConstantGate()}, {"n_experts": 1}):
        moe = MixtureOfExpertsRegressor(**PARAMS | params).fit(files)
        assert moe.gate_proba(X).shape == (2000, moe.n_experts)
        assert_allclose(moe.gate_proba(X).sum(axis=1), 1.0)
