"""Odd input: every message names the column, the block or the parameter; nothing is let through."""

import datetime
import io
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._tables.known import kinds_of
from skmoe.gates import ForestGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.rows import Files

N = 120
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(N, 2))
Y = X[:, 0] + 0.1 * rng.normal(size=N)
LABELS = np.where(Y > 0, "high", "low")
DATES = pd.date_range("2020-01-01", periods=N)
OF_STRINGS = rng.choice(["u", "v"], N)


def table(**columns):
    made = pd.DataFrame({"age": X[:, 0], "town": OF_STRINGS, "flag": X[:, 1] > 0})
    return made.assign(**columns)


regressor = partial(MixtureOfExpertsRegressor, n_experts=1, n_init=1, random_state=0)


classifier = partial(MixtureOfExpertsClassifier, n_experts=1, n_init=1, random_state=0)


def files(*blocks):
    return Files(list(range(len(blocks))), reader=lambda number: blocks[number])


def changing(first, later):
    """Files of one block, which is another one from the second pass on."""
    passes = []

    def reader(_):
        passes.append(None)
        return first if len(passes) == 1 else later

    return Files([0], reader=reader)


def message(call):
    """The message of the ValueError that a call raises, with its notes."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (each test looks at the words)
        call()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def with_entry(values, entry):
    values = np.array(values, dtype=object)
    values[3] = entry
    return values


# Values of rows -------------------------------------------------------------------------------

NO_NUMBERS = {
    "strings": (LABELS, "strings"),
    "numbers as strings": (np.abs(Y).astype(str), "strings"),
    "a column of them": (pd.Series(np.abs(Y).astype(str)), "str"),
    "categories": (pd.Series(pd.Categorical(LABELS)), "str"),
    "dates": (DATES.to_numpy(), "dates"),
    "a column of dates": (pd.Series(DATES), "dates"),
    "durations": (DATES - DATES[0], "durations"),
    "periods": (pd.Series(DATES.to_period("D")), "Period"),
    "dates of Python": (with_entry(Y, datetime.date(2020, 1, 1)), "date"),
    "dicts": (with_entry(Y, {}), "dict"),
    "complex": (Y * 1j, "complex"),
    "lists of unlike lengths": ([[1.0]] * (N - 1) + [[1.0, 2.0]], "one value for each row"),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("where", ["y", "sample_weight", "exposure", "upper"])
def test_values_that_are_no_numbers_are_refused_by_the_name_of_their_parameter(where, kind):
    values, words = NO_NUMBERS[kind]
    if where == "y":
        fitted = regressor().fit(X, Y)
        calls = [
            lambda: regressor().fit(X, values),
            lambda: fitted.log_density(X, values),
            lambda: fitted.score(X, values),
        ]
    else:
        settings = {"exposure": {"likelihood": "poisson"}, "upper": {"likelihood": "gaussian"}}
        moe = regressor(**settings.get(where, {}))
        calls = [lambda: moe.fit(X, np.ceil(np.abs(Y)), **{where: values})]
    for call in calls:
        said = message(call)
        assert where in said
        assert words in said
        assert len(said) < 400  # and does not print the data


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("where", ["y", "sample_weight"])
def test_files_refuse_them_with_the_block_too(where, kind):
    values, words = NO_NUMBERS[kind]
    block = (X, values) if where == "y" else (X, Y, values)
    said = message(lambda: regressor().fit(files((X, Y, np.ones(N))[: len(block)], block)))
    assert where in said
    assert words in said
    assert "In block 1 of the rows" in said


@pytest.mark.parametrize("values", [Y.astype(object), pd.Series(Y), Y.astype(np.float32), Y > 0])
def test_numbers_in_whatever_array_are_numbers(values):
    same = regressor().fit(X, np.asarray(values, dtype=float))
    np.testing.assert_allclose(regressor().fit(X, values).predict(X), same.predict(X), rtol=1e-5)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("where", ["y", "sample_weight"])
def test_missing_values_among_objects_are_refused_as_nan_is(where, missing):
    values = with_entry(np.abs(Y), missing)
    given = (X, values) if where == "y" else (X, Y, values)
    for call in (lambda: regressor().fit(*given), lambda: regressor().fit(files(given))):
        assert f"Input {where} contains NaN" in message(call)


LABELS_OF_NO_USE = {
    "unlike": (np.array([1, "a"] * (N // 2), dtype=object), ["'int'", "'str'"]),
    "None": (with_entry(LABELS, None), ["row 3"]),
    "NaN": (with_entry(LABELS, np.nan), ["row 3"]),
    "dicts": (with_entry(LABELS, {}), ["'dict'"]),
}


@pytest.mark.parametrize("kind", LABELS_OF_NO_USE)
def test_labels_that_are_missing_or_unlike_are_refused_as_y(kind):
    labels, words = LABELS_OF_NO_USE[kind]
    fitted = classifier().fit(X, LABELS)
    calls = [
        lambda: classifier().fit(X, labels),
        lambda: fitted.log_density(X, labels),
        lambda: classifier().partial_fit(X, labels, classes=["high", "low"]),
        lambda: classifier().fit(files((X, LABELS), (X, labels))),
    ]
    for call in calls:
        said = message(call)
        assert " y " in f" {said}"
        assert all(word in said for word in words)
    assert "In block 1 of the rows" in said


# Columns --------------------------------------------------------------------------------------


def test_columns_of_the_same_name_are_refused_by_it():
    twice = table().rename(columns={"flag": "age"})
    fitted = regressor().fit(table(), Y)
    numbers = pd.DataFrame(X, columns=["age", "age"])
    for call in (
        lambda: regressor().fit(twice, Y),
        lambda: regressor().fit(numbers, Y),
        lambda: fitted.predict(twice),
        lambda: regressor().fit(files((twice, Y))),
        lambda: np.asarray(fitted.predict(files((table(),), (twice,)))),
    ):
        assert "columns are named ['age']" in message(call)


NO_COLUMNS = {
    "lists": [[1, 2]] * N,
    "dicts": [{"a": 1}] * N,
    "arrays": [np.ones(2)] * N,
    "sets": [{1}] * N,
    "complex": X[:, 0] * 1j,
    "unlike": [1, "a"] * (N // 2),
}


@pytest.mark.parametrize("kind", NO_COLUMNS)
def test_columns_that_cannot_be_encoded_are_refused_by_their_name(kind):
    odd = table(odd=pd.Series(NO_COLUMNS[kind]).to_numpy())
    for call in (
        lambda: regressor().fit(odd, Y),
        lambda: regressor().fit(files((odd, Y))),
        lambda: regressor(gate=SoftmaxGate()).fit(odd, Y),
    ):
        said = message(call)
        assert "'odd'" in said
        assert len(said) < 600


def test_dates_in_an_array_are_refused():
    dates = np.column_stack([DATES.to_numpy()] * 2)
    fitted = regressor().fit(X, Y)
    for call in (lambda: regressor().fit(dates, Y), lambda: fitted.predict(dates)):
        assert message(call).startswith("X holds dates")


OTHER_KINDS = {
    "numbers": X[:, 1],
    "booleans": X[:, 1] > 0,
    "strings": OF_STRINGS,
    "dates": DATES,
    "durations": DATES - DATES[0],
    "['list']": pd.Series([[1]] * N),
}


@cache
def _fitted_to_table(classifies):
    if classifies:
        return classifier(training="em").fit(table(), LABELS)
    return regressor().fit(table(), Y)


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("column", ["age", "town", "flag"])
@pytest.mark.parametrize("classifies", [False, True])
def test_a_column_of_another_kind_than_in_fit_is_refused_by_its_name(column, kind, classifies):
    other = table(**{column: OTHER_KINDS[kind]})
    known = "strings" if column == "town" else "numbers"
    moe = _fitted_to_table(classifies)
    is_known = kind == known or (known == "numbers" and kind == "booleans")
    if is_known:
        assert len(moe.predict(other)) == N
        return
    blocks = files((table(),), (other,))
    for call in (lambda: moe.predict(other), lambda: np.asarray(moe.predict(blocks))):
        said = message(call)
        assert f"The column {column!r} holds" in said
        assert kind in said
        assert f"held {known} in fit" in said
    assert "In block 1 of the rows" in said


@pytest.mark.parametrize("from_files", [False, True])
def test_files_of_a_fit_know_their_columns_as_rows_in_memory_do(from_files):
    X_table = table(code=np.arange(N) % 3)
    moe = regressor().fit(files((X_table, Y))) if from_files else regressor().fit(X_table, Y)
    for column in ("age", "code"):
        other = X_table.assign(**{column: OF_STRINGS})
        assert f"column {column!r} holds strings" in message(lambda other=other: moe.predict(other))


@pytest.mark.parametrize("dtype", [object, "str", "category"])
@pytest.mark.parametrize("in_fit", [True, False], ids=["missing in fit", "not missing in fit"])
@pytest.mark.parametrize("from_files", [False, True])
def test_a_missing_string_is_one_level_however_it_is_read(dtype, in_fit, from_files):
    town = pd.Series(OF_STRINGS, dtype=dtype)
    if in_fit:
        town = town.where(np.arange(N) % 7 > 0, None)
    X_table = pd.DataFrame({"age": X[:, 0], "town": town, "zip": OF_STRINGS})
    moe = regressor().fit(files((X_table, Y))) if from_files else regressor().fit(X_table, Y)
    read = pd.read_csv(io.StringIO("age,town,zip\n0.5,,u\n"))
    assert read["town"].dtype.kind == "f"
    rows = [
        read.assign(town=pd.Series([missing], dtype=object)) for missing in (None, np.nan, pd.NA)
    ]
    rows.append(read.assign(town=pd.Series([None], dtype="category")))
    rows.append(pd.concat([read, X_table.iloc[:5]], ignore_index=True))
    for row in rows:
        assert moe.predict(row)[0] == pytest.approx(moe.predict(read)[0], rel=1e-12)


def test_pipelines_are_shown_a_missing_string_as_in_fit():
    encoder = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    X_table = table(town=pd.Series(OF_STRINGS).where(np.arange(N) % 7 > 0))
    moe = regressor(make_pipeline(encoder, DecisionTreeRegressor(max_depth=2)))
    moe.fit(X_table, Y)
    read = table(town=np.nan).iloc[:1]
    assert np.isfinite(moe.predict(read)).all()


def test_columns_with_numbers_for_names_are_matched_too():
    X_table = table().rename(columns={"age": 0, "town": 1, "flag": 2})
    moe = regressor().fit(X_table, Y)
    missing = pd.DataFrame({0: [0.5], 1: [np.nan], 2: [True]})
    assert np.isfinite(moe.predict(missing)).all()
    assert missing[1].dtype.kind == "f"  # as it was
    with pytest.raises(ValueError, match="column 0 holds strings"):
        moe.predict(X_table.rename(columns={0: 1, 1: 0})[[0, 1, 2]])


def test_a_missing_number_may_stand_as_an_object():
    X_table = table(age=np.where(np.arange(N) % 7 > 0, X[:, 0], np.nan))
    moe = regressor().fit(X_table, Y)
    row = X_table.iloc[:1]
    for missing in (None, np.nan, pd.NA):
        same = moe.predict(row.assign(age=pd.Series([missing], dtype=object)))
        np.testing.assert_allclose(same, moe.predict(row.assign(age=np.nan)), rtol=1e-12)
    as_object = row.assign(age=pd.Series([0.5], dtype=object))
    np.testing.assert_allclose(moe.predict(as_object), moe.predict(row.assign(age=0.5)))


def test_columns_of_unlike_things_are_left_to_pipelines():
    odd = table(odd=[[1, 2]] * N)
    chooser = make_column_transformer(("passthrough", ["age"]))
    tree = make_pipeline(chooser, DecisionTreeRegressor(max_depth=2))
    moe = regressor(tree, training="em").fit(odd, Y)  # learns no sizes from all columns
    assert np.isfinite(moe.predict(odd)).all()
    assert "odd" not in kinds_of(odd)


# Files ----------------------------------------------------------------------------------------

OTHER_BLOCKS = {
    "few columns": ((X[:, :1],), "1 features"),
    "infinity": ((np.where(X > 0.9, np.inf, X),), "infinity"),
    "strings": ((np.full(X.shape, "a", dtype=object),), "could not convert string"),
}


@pytest.mark.parametrize("kind", OTHER_BLOCKS)
def test_answers_for_files_name_the_block_that_raised(kind):
    block, words = OTHER_BLOCKS[kind]
    moe = regressor().fit(X, Y)
    for method in (moe.predict, moe.predict_experts, moe.predict_interval):
        said = message(lambda method=method: np.asarray(method(files((X,), block))))
        assert words in said
        assert "In block 1 of the rows" in said


LATER = {
    "fewer rows": ((X[:90], Y[:90]), "90 rows of weight 90, and the first one 120 rows"),
    "no rows": ((X[:0], Y[:0]), "0 rows of weight 0"),
    "other weights": ((X, Y, np.full(N, 2.0)), "weight 240, and the first one .* weight 120"),
    "more columns": ((np.hstack([X, X]), Y), "2 columns, not 4 columns"),
    "a table": ((pd.DataFrame(X, columns=["a", "b"]), Y), r"2 columns, not \['a', 'b'\]"),
    "NaN": ((np.where(X > 0.9, np.nan, X), Y), "Input X contains NaN"),
    "infinity": ((X, np.where(Y > 0.9, np.inf, Y)), "Input y contains infinity"),
    "NaN in y": ((X, np.where(Y > 0.9, np.nan, Y)), "Input y contains NaN"),
    "strings in y": ((X, LABELS), "y holds strings"),
}


@pytest.mark.parametrize("kind", LATER)
@pytest.mark.parametrize("moe", [regressor(training="em"), regressor()], ids=["linear", "pooled"])
def test_files_that_change_between_passes_are_refused(moe, kind):
    later, words = LATER[kind]
    with pytest.raises(ValueError, match=words) as caught:
        moe.fit(changing((X, Y), later))
    of_all_rows = "have changed during" in str(caught.value)
    assert of_all_rows or "In block 0 of the rows." in caught.value.__notes__


def test_a_class_that_comes_later_is_refused_by_its_label():
    later = np.where(LABELS == "low", "lower", LABELS)
    with pytest.raises(ValueError, match=r"classes \['lower'\]") as caught:
        classifier(cv=False).fit(changing((X, LABELS), (X, later)))
    assert "In block 0 of the rows." in caught.value.__notes__


def test_rows_that_stay_the_same_may_be_cut_elsewhere_in_the_next_pass():
    passes = []

    def reader(_):
        passes.append(None)
        cut = 30 if len(passes) % 2 else 70
        yield X[:cut], Y[:cut], np.linspace(0.1, 1, N)[:cut]
        yield X[cut:], Y[cut:], np.linspace(0.1, 1, N)[cut:]

    moe = regressor(training="em").fit(Files([0], reader=reader))
    assert np.isfinite(moe.lower_bound_)


def test_notes_do_not_print_tables_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    rows = pyarrow.table({"a": X[:, 0], "odd": [[1]] * N, "y": Y})
    said = message(lambda: regressor().fit(Files(rows, target="y")))
    assert "'odd'" in said
    assert len(said) < 500
    assert repr(Files(rows)) == "Files(a Table)"


# Parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, "heavy", None, 1e300])
def test_class_weights_that_are_no_weights_are_refused_by_class(value):
    said = message(lambda: classifier(class_weight={"high": value, "low": 1}).fit(X, LABELS))
    assert "class_weight" in said
    assert f"{value!r} for 'high'" in said


def test_a_class_weight_of_zero_leaves_the_class_out():
    three = np.where(X[:, 1] > 0.5, "third", LABELS)
    moe = classifier(training="em", class_weight={"high": 1, "low": 2, "third": 0}).fit(X, three)
    assert moe.predict_proba(X)[:, 2].mean() < 0.1


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("alpha", [np.nan, np.inf, -5, "x", None])
@pytest.mark.parametrize("training", ["auto", "em"])
def test_parameters_of_gates_are_checked_within_a_mixture(alpha, training, in_memory):
    moe = regressor(n_experts=2, gate=SoftmaxGate(alpha), training=training)
    rows = (X, Y) if in_memory else (files((X, Y)),)
    said = message(lambda: moe.fit(*rows))
    assert "'alpha' parameter of SoftmaxGate" in said
    assert repr(alpha) in said


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (TreeGate(gate=SoftmaxGate(-5)), "'alpha' parameter of SoftmaxGate"),
        (ForestGate(n_estimators=-1), "'n_estimators' parameter of ForestGate"),
        (GaussianGate(prior_rows=-1), "'prior_rows' parameter of GaussianGate"),
        (make_pipeline("passthrough", SoftmaxGate("x")), "'alpha' parameter of SoftmaxGate"),
    ],
)
def test_every_gate_is_checked(gate, words):
    assert words in message(lambda: regressor(n_experts=2, gate=gate).fit(X, Y))


@pytest.mark.parametrize("target", [["a", "b"], [1, None], [1, np.nan], [1, -1], [1 + 1j, 1]])
def test_target_loads_that_are_no_numbers_are_refused_by_name(target):
    moe = regressor(n_experts=2, gate=SoftmaxGate(target_load=target, load_balance=0.1))
    assert "target_load" in message(lambda: moe.fit(X, Y))


@pytest.mark.parametrize("n_samples", [-1, 1.5, "many", None, True])
def test_numbers_of_draws_are_refused_by_name(n_samples):
    regression, classification = regressor().fit(X, Y), classifier().fit(X, LABELS)
    for moe in (regression, classification):
        assert "n_samples must be" in message(lambda moe=moe: moe.sample_y(X, n_samples))
    if n_samples is not None:
        rvs = regression.predict_dist(X).rvs
        assert "size must be" in message(lambda: rvs(n_samples))
    assert regression.sample_y(X, np.int64(0)).shape == (N, 0)


@pytest.mark.parametrize(("in_both", "named"), [(range(N), "120 rows"), ([7], "1 rows.*row 7")])
def test_folds_that_train_on_what_they_hold_out_are_refused(in_both, named):
    halves = np.arange(60), np.arange(60, N)
    folds = [(np.union1d(halves[1], list(in_both)), halves[0]), halves]
    if len(in_both) == N:
        folds = [(np.arange(N), np.arange(N))]
    moe = regressor(DecisionTreeRegressor(max_depth=2), cv=folds)
    with pytest.raises(ValueError, match=f"Fold 0 of cv trains on {named}"):
        moe.fit(X, Y)
