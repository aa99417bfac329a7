"""Experts that take strings and missing values themselves, on rows that are not in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, mixed_table
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.exceptions import LeftOutColumnsWarning
from skmoe.gates import ConstantGate, SoftmaxGate

pytestmark = pytest.mark.usefixtures("few_rows_for_starts")

pandas = pytest.importorskip("pandas")

PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 3}
PARTITIONS = ([2000], [300, 300, 2000], [1, 40, 800, 801, 2000])


def table_with_a_rare_kind(seed=0):
    """Two lines over numbers and kinds, some of them missing, a rare kind late, and labels."""
    X, y, labels = mixed_table(seed=seed)
    X.loc[X.index[-3:], "kind"] = "yak"
    return X, y, labels


def one_hot(last):
    numbers = SimpleImputer(add_indicator=True)
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["kind"]), (numbers, ["a", "b"])
        ),
        last,
    )


@pytest.mark.parametrize("gate", [None, ConstantGate()], ids=["softmax", "constant"])
def test_pipelines_end_where_rows_in_memory_do(gate):
    X, y, _ = table_with_a_rare_kind()
    moe = MixtureOfExpertsRegressor(one_hot(Ridge()), gate=gate, tol=1e-4, **PARAMS)
    bound, mean = moe.fit(X, y).lower_bound_, moe.predict(X)
    moe.fit(in_parts(X, y, bounds=[300, 300, 2000]))
    assert moe.lower_bound_ == pytest.approx(bound, abs=2e-3)  # both near the maximum
    assert_allclose(moe.predict(X), mean, atol=0.2)
    assert_array_equal(moe.feature_names_in_, ["a", "kind", "b"])
    assert_allclose(np.asarray(moe.predict(in_parts(X, bounds=[900, 2000]))), moe.predict(X))


def test_classes_from_pipelines():
    X, _, labels = table_with_a_rare_kind()
    moe = MixtureOfExpertsClassifier(one_hot(LogisticRegression()), tol=1e-3, **PARAMS)
    bound = moe.fit(X, labels).lower_bound_
    assert moe.fit(in_parts(X, labels, bounds=[900, 2000])).lower_bound_ > bound - 2e-3
    assert moe.predict_proba(X).shape == (2000, 2)


def test_trees_behind_encoders_predict_new_rows_as_well_as_from_memory():
    X, y, _ = table_with_a_rare_kind()
    X_new, y_new, _ = table_with_a_rare_kind(seed=1)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encoded = make_column_transformer((ordinal, ["kind"]), remainder="passthrough")
    experts = make_pipeline(encoded, DecisionTreeRegressor(max_depth=5))
    moe = MixtureOfExpertsRegressor(experts, training="em", cv=3, tol=1e-2, **PARAMS)
    in_memory = moe.fit(X, y).log_density(X_new, y_new).mean()
    found = moe.fit(in_parts(X, y, bounds=[900, 2000])).log_density(X_new, y_new)
    assert found.mean() > in_memory - 0.05
    order = np.random.default_rng(0).permutation(2000)
    X.index = np.linspace(0, 1, 2000)  # by which rows of a block could be taken for others
    moe.fit(in_parts(X.iloc[order], y[order], bounds=[1, 40, 800, 2000]))
    assert_allclose(moe.log_density(X_new, y_new), found, atol=1e-6)


class SeesCategories(DecisionTreeRegressor):
    """A tree of the codes of categories, which are the same only if the categories are."""

    def fit(self, X, y, sample_weight=None):
        self.dtypes_ = X.dtypes
        return super().fit(self._codes(X), y, sample_weight)

    def predict(self, X):
        assert X.dtypes["kind"] == self.dtypes_["kind"]
        return super().predict(self._codes(X))

    def _codes(self, X, categorical_features="kind"):
        return np.column_stack([X["kind"].cat.codes, X[["a", "b"]].fillna(0.0)])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags


@pytest.mark.parametrize("bounds", PARTITIONS, ids=len)
def test_categories_are_those_of_all_blocks(bounds):
    X, y, _ = table_with_a_rare_kind()
    files = in_parts(X, y, bounds=bounds, change=lambda X: X.astype({"kind": "category"}))
    moe = MixtureOfExpertsRegressor(SeesCategories(max_depth=4), n_experts=1, cv=False).fit(files)
    assert list(moe.experts_[0].dtypes_["kind"].categories) == ["cat", "dog", "owl", "yak"]
    X = X.astype({"kind": "category"})
    alone = SeesCategories(max_depth=4).fit(X, y)
    assert_allclose(moe.predict(X), alone.predict(X))


def test_boosting_splits_categories_as_on_the_whole_table():
    X, y, _ = table_with_a_rare_kind()
    boosting = HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype")
    files = in_parts(X, y, bounds=[900, 2000], change=lambda X: X.astype({"kind": "category"}))
    moe = MixtureOfExpertsRegressor(boosting, n_experts=1, cv=False).fit(files)
    X = X.astype({"kind": "category"})
    assert_allclose(moe.predict(X), boosting.fit(X, y).predict(X), rtol=1e-6)


def test_categories_in_data_frames_of_dask():
    dask = pytest.importorskip("dask")
    dd = pytest.importorskip("dask.dataframe")
    X, y, _ = table_with_a_rare_kind()
    X = X.astype({"kind": "category"})
    table = dd.from_pandas(X.assign(y=y), npartitions=3)
    moe = MixtureOfExpertsRegressor(
        SeesCategories(max_depth=4), cv=2, n_init=1, n_experts=2, random_state=0
    )
    with dask.config.set(scheduler="synchronous"):
        mean = moe.fit(table[["a", "kind", "b"]], table["y"]).predict(X)
    assert_allclose(moe.fit(in_parts(X, y, bounds=[900, 2000])).predict(X), mean, atol=1e-6)


def test_the_gate_leaves_out_identifiers_that_experts_may_read():
    X, y, _ = table_with_a_rare_kind()
    X["name"] = [f"row {i}" for i in range(2000)]
    moe = MixtureOfExpertsRegressor(one_hot(Ridge()), tol=1e-2, **PARAMS)
    with pytest.warns(LeftOutColumnsWarning, match=r"default gate leaves out the columns \['name'"):
        moe.fit(in_parts(X, y, bounds=[900, 2000]))
    assert moe.experts_[0].feature_names_in_.tolist() == ["a", "kind", "b", "name"]


def test_a_gate_of_ones_own_sees_the_table_encoded():
    X, y, _ = table_with_a_rare_kind()
    rows = in_parts(X, y, bounds=[900, 2000])
    moe = MixtureOfExpertsRegressor(Ridge(), tol=1e-4, **PARAMS).fit(rows)
    same = clone(moe).set_params(gate=SoftmaxGate()).fit(rows)
    assert_allclose(same.gate_proba(X), moe.gate_proba(X), rtol=1e-6)
    stiff = clone(moe).set_params(gate=SoftmaxGate(alpha=10.0)).fit(rows)
    assert (stiff.gate_[-1].coef_ ** 2).sum() < (moe.gate_[-1].coef_ ** 2).sum()


@pytest.mark.parametrize("expert", [LinearRegression(), DecisionTreeRegressor(max_depth=4)])
def test_experts_that_cannot_take_the_table_see_it_encoded(expert):
    X, y, _ = table_with_a_rare_kind()
    rows = in_parts(X, y, bounds=[900, 2000])
    piped = MixtureOfExpertsRegressor(one_hot(expert), tol=1e-2, **PARAMS).fit(rows)
    moe = MixtureOfExpertsRegressor(expert, tol=1e-2, **PARAMS).fit(rows)
    assert moe.score(X, y) > piped.score(X, y) - 0.01
    assert moe.experts_[0].feature_names_in_.tolist() == list(X.columns)
