"""Rows that are not in memory: files, and whatever a reader returns."""

import pickle
import re
import tracemalloc
import weakref

import numpy as np
import pytest
from mixtures import assert_same_mixtures
from numpy.testing import assert_allclose, assert_array_equal
from planted import in_parts, two_lines
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._data import ArrayRows
from skmoe._em.sums import PassParameters, run_pass
from skmoe.exceptions import ExpertCollapseWarning, ThinnedRowsWarning
from skmoe.gates import BaseGate, ConstantGate, SoftmaxGate
from skmoe.likelihoods import Gaussian
from skmoe.rows import Blocks, Files
from skmoe.rows._blocks import IterableRows, open_rows

pytestmark = pytest.mark.usefixtures("few_rows_for_starts")

SAME = {"rtol": 1e-6, "atol": 1e-9}  # the sums of blocks are added in another order


SEVEN = [1, 40, 40, 800, 801, 1500, 2000]  # ends of blocks, of which one is empty


@pytest.fixture(scope="module")
def lines():
    """Rows, and a mixture of lines fitted on them in memory."""
    X, y, weight, _ = two_lines(unlike_units=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skmoe._em.starts.FEWEST_ROWS", 300)
        patch.setattr("skmoe._em.starts.ROWS_PER_COEFFICIENT", 5)
        moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0)
        return X, y, weight, moe.fit(X, y, weight)


def test_lines_from_blocks_are_those_of_rows_in_memory(lines):
    X, y, weight, moe = lines
    files = in_parts(X, y, weight, bounds=SEVEN)
    other = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files)
    assert_same_mixtures(moe, other)
    assert other.start_lower_bounds_[0] == pytest.approx(moe.start_lower_bounds_[0])


def test_classes_from_blocks_are_those_of_rows_in_memory():
    X, _, weight, labels = two_lines(unlike_units=True)
    params = {"n_experts": 2, "random_state": 0, "tol": 1e-4, "n_init": 3}
    moe = MixtureOfExpertsClassifier(**params, training="em").fit(X, labels, weight)
    other = MixtureOfExpertsClassifier(**params).fit(in_parts(X, labels, weight, bounds=SEVEN))
    assert_array_equal(other.classes_, ["no", "yes"])
    assert_same_mixtures(moe, other)


def test_bic_of_a_sample_chooses_the_number_of_experts():
    X, y, weight, labels = two_lines()
    for kind, target in ((MixtureOfExpertsRegressor, y), (MixtureOfExpertsClassifier, labels)):
        moe = kind(n_init=2, random_state=0).fit(in_parts(X, target, weight, bounds=[700, 2000]))
        assert len(moe.experts_) == moe.plan_.n_experts == 2
        assert moe.plan_.findings[0].startswith("Half of BIC")
        same = kind(n_experts=2, n_init=2, random_state=0)
        same.fit(in_parts(X, target, weight, bounds=[2000]))
        assert moe.lower_bound_ == pytest.approx(same.lower_bound_, abs=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"experts": Ridge(3.0), "likelihood": Gaussian("shared"), "gate": ConstantGate()},
        {"gate": SoftmaxGate(alpha=2.0), "init": "kmeans_x", "n_init": 2},
    ],
    ids=str,
)
def test_parts_that_a_pass_over_the_rows_covers(params):
    X, y, _, _ = two_lines(unlike_units=True)
    y = np.round(y, 1)  # on a grid, whose step is the floor of the scales
    moe = MixtureOfExpertsRegressor(**{"n_experts": 2, **params}, training="em", random_state=0)
    other = MixtureOfExpertsRegressor(**moe.get_params(deep=False))
    moe.fit(X, y)
    other.fit(in_parts(X, y, bounds=[900, 2000]))
    assert_allclose(other.predict(X), moe.predict(X), **SAME)
    assert_allclose(other.likelihood_.floor_, moe.likelihood_.floor_, rtol=1e-12)
    assert other.likelihood_.floor_ == pytest.approx(0.1 / np.sqrt(12))


def test_kernels_travel_to_the_rows(lines, monkeypatch):
    X, y, weight, moe = lines
    add = IterableRows._add_blocks

    def sent(self, task):
        return add(self, pickle.loads(pickle.dumps(task)))

    monkeypatch.setattr(IterableRows, "_add_blocks", sent)
    files = in_parts(X, y, weight, bounds=[900, 2000])
    assert_same_mixtures(moe, MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files))


def test_any_number_of_threads_sums_to_the_same_bits(lines, monkeypatch):
    monkeypatch.setattr("skmoe.rows._blocks.SLICE_ROWS", 300)
    X, y, weight, moe = lines
    files, fits = in_parts(X, y, weight, bounds=[900, 2000]), []
    for n_threads in (1, 3):
        monkeypatch.setattr("skmoe._parallel.n_openmp_threads", lambda n=n_threads: n)
        fits.append(MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files))
        assert_same_mixtures(moe, fits[-1])
    assert_array_equal(fits[0].predict(X), fits[1].predict(X))
    assert fits[0].lower_bounds_ == fits[1].lower_bounds_


def test_memory_that_blocks_share_tells_nothing_of_other_blocks():
    X, y, weight, _ = two_lines(unlike_units=True)
    X, y = X.astype(np.float32), y.astype(np.float32)
    rng = np.random.default_rng(0)
    sizes = [5, 1200, 40, 755]  # a smaller block after a larger one sees a part of its memory
    for with_curvature in (False, True, False):
        parameters = PassParameters(
            np.zeros(3),
            np.ones(3),
            rng.normal(size=(4, 2)) / 100,
            rng.normal(size=(2, 4)),
            np.ones(2),
            with_curvature=with_curvature,
        )
        source = open_rows(
            in_parts(X, y, weight, bounds=np.cumsum(sizes)), None, None, classifies=False
        )
        source.know(None)
        expected = run_pass(ArrayRows(X, y, weight), parameters)
        assert_allclose(source.reduce(run_pass, parameters), expected, rtol=1e-4)


def test_a_block_is_let_go_before_the_next_one_is_read():
    blocks = []

    def read(path):
        for i in range(3):
            assert [each() for each in blocks] == [None] * i
            X = np.zeros((3, 1))
            blocks.append(weakref.ref(X))
            block = X, np.zeros(3)
            del X
            yield block
            del block

    assert len(list(Blocks(lambda number, X, y: y, Files([0], reader=read)))) == 3


def test_threads_have_the_settings_of_who_fits(monkeypatch):
    monkeypatch.setattr("skmoe.rows._blocks.SLICE_ROWS", 300)
    monkeypatch.setattr("skmoe._parallel.n_openmp_threads", lambda: 3)
    X, y, weight, _ = two_lines(unlike_units=True)
    source = open_rows(in_parts(X, y, weight, bounds=[900, 2000]), None, None, classifies=False)
    source.know(None)
    with config_context(transform_output="pandas"):
        found = source.reduce(lambda rows, _: [(rows.n_rows, get_config()["transform_output"])], 0)
    assert found == [(n, "pandas") for n in (300, 300, 300, 300, 300, 300, 200)]
    assert get_config()["transform_output"] == "default"


def test_penalised_logistic_experts():
    X, _, _, labels = two_lines(unlike_units=True)
    experts = LogisticRegression(C=0.1)
    params = {"n_experts": 2, "random_state": 0, "tol": 1e-4, "n_init": 3}
    moe = MixtureOfExpertsClassifier(experts, **params).fit(X, labels)
    other = MixtureOfExpertsClassifier(experts, **params).fit(in_parts(X, labels, bounds=[9, 2000]))
    assert_same_mixtures(moe, other)


def test_single_precision_from_blocks_is_that_of_rows_in_memory():
    X, y, _, _ = two_lines(unlike_units=True)
    X = X.astype(np.float32)
    # An even number of the kernel's chunks: each then adds up the same rows.
    files = in_parts(X, y, bounds=[1024, 2000])
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0).fit(X, y)
    other = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files)
    assert_allclose(other.predict(X), moe.predict(X), rtol=1e-5, atol=1e-4)


def test_rows_given_twice_are_rows_of_weight_two():
    X, y, weight, _ = two_lines(1500, unlike_units=True)
    X, y, copies = np.round(X, 1), np.round(y, 1), np.random.default_rng(0).integers(1, 4, 1500)
    again = np.repeat(np.arange(1500), copies)
    np.random.default_rng(1).shuffle(again)
    params = {"n_experts": 2, "random_state": 0}
    moe = MixtureOfExpertsRegressor(**params).fit(in_parts(X, y, copies, bounds=[800, 1500]))
    files = in_parts(X[again], y[again], bounds=[10, 900, len(again)])
    other = MixtureOfExpertsRegressor(**params).fit(files)
    assert_allclose(other.predict(X), moe.predict(X), **SAME)
    assert_allclose(other.lower_bounds_, moe.lower_bounds_, **SAME)


def test_rows_of_a_regime_that_no_block_but_one_holds():
    X, y, _, _ = two_lines(unlike_units=True)
    order = np.argsort(X[:, 0])  # each regime in blocks of its own
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0).fit(X, y)
    files = in_parts(X[order], y[order], bounds=[500, 1000, 1500, 2000])
    assert_same_mixtures(moe, MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files))


def test_dead_experts_are_reseeded_as_in_memory(monkeypatch):
    X, y, _, _ = two_lines(unlike_units=True)
    monkeypatch.setattr("skmoe._em.problem.dead_experts", lambda problem: np.array([1]))
    params = {"n_experts": 2, "random_state": 0}
    moe = MixtureOfExpertsRegressor(**params, training="em")
    other = MixtureOfExpertsRegressor(**params)
    with pytest.warns(ExpertCollapseWarning):
        moe.fit(X, y)
    with pytest.warns(ExpertCollapseWarning):
        other.fit(in_parts(X, y, bounds=[900, 2000]))
    assert max(moe.expert_report().columns["revived"]) == 3
    assert moe.lower_bound_ > moe.lower_bounds_[0]
    assert moe.expert_report().columns["revived"] == other.expert_report().columns["revived"]
    assert_allclose(other.lower_bounds_, moe.lower_bounds_, **SAME)


# Files ------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path):
    """Three ``.npy`` files of columns, weight and target, and the rows."""
    X, y, weight, _ = two_lines(unlike_units=True)
    table = np.column_stack([weight, X, y])
    for number, rows in enumerate([slice(300), slice(300, 300), slice(300, 2000)]):
        np.save(tmp_path / f"part-{number}.npy", table[rows])
        np.save(tmp_path / f"X-{number}.npy", np.asfortranarray(X[rows]))
    return tmp_path, X, y, weight


def test_columns_of_npy_files(parts, lines):
    folder, X, y, _ = parts
    files = Files(str(folder / "part-*.npy"), target=-1, weight=0, block_rows=512)
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files)
    assert_same_mixtures(lines[3], moe)
    assert [len(mean) for mean in moe.predict(files)] == [300, 512, 512, 512, 164]


def test_predictions_for_files_are_those_of_rows_in_memory(parts, lines):
    folder, X, y, _ = parts
    moe = lines[3]
    files = Files(str(folder / "part-*.npy"), target=-1, weight=0, block_rows=700)
    for method, params in {
        "predict": {},
        "gate_proba": {},
        "predict_experts": {},
        "predict_interval": {"level": 0.8},
        "predict_quantiles": {"q": [0.1, 0.5]},
    }.items():
        blocks = getattr(moe, method)(files, **params)
        assert isinstance(blocks, Blocks)
        assert_allclose(np.asarray(blocks), getattr(moe, method)(X, **params), atol=1e-12)
    for method in ("log_density", "responsibilities"):
        assert_allclose(
            np.asarray(getattr(moe, method)(files)), getattr(moe, method)(X, y), rtol=1e-9
        )
    mean, std = next(iter(moe.predict(files, return_std=True)))
    assert_allclose(std, moe.predict(X[:300], return_std=True)[1], rtol=1e-12)
    without = Files(folder / "X-0.npy")
    assert_allclose(np.asarray(moe.predict(without)), moe.predict(X[:300]), rtol=1e-12)
    with pytest.raises(ValueError, match="needs the target"):
        np.asarray(moe.log_density(without))
    with pytest.raises(TypeError, match="takes no y with Files"):
        moe.log_density(files, y)


def test_class_probabilities_for_files():
    X, _, _, labels = two_lines(unlike_units=True)
    moe = MixtureOfExpertsClassifier(n_experts=2, random_state=0, n_init=2, tol=1e-3)
    files = in_parts(X, labels, bounds=[100, 2000])
    moe.fit(files)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        assert_array_equal(np.asarray(getattr(moe, method)(files)), getattr(moe, method)(X))
    assert_array_equal(np.asarray(moe.log_density(files)), moe.log_density(X, labels))


def test_names_of_columns_of_tables(lines):
    pandas = pytest.importorskip("pandas")
    X, y, weight, moe = lines
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    files = Files([0, 1], reader=lambda part: (table[part::2], y[part::2], weight[part::2]))
    named = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(files)
    assert_same_mixtures(moe, named)
    assert_array_equal(named.feature_names_in_, ["a", "b", "c"])
    assert_array_equal(named.experts_[0].feature_names_in_, ["a", "b", "c"])
    named.predict(table)
    other = Files([0, 1], reader=lambda part: (table[["a", "b", "c"][part:]], y))
    with pytest.raises(ValueError, match="must have the same columns"):
        MixtureOfExpertsRegressor(n_experts=2).fit(other)


def test_a_fit_tells_of_rows_starts_and_iterations_when_asked(capsys):
    X, y, *_ = two_lines(unlike_units=True)
    settings = {"n_experts": 2, "n_init": 3, "random_state": 0}
    moe = MixtureOfExpertsRegressor(**settings, verbose=2).fit(in_parts(X, y, bounds=[1000, 2000]))
    lines = re.sub(r"(?m)^ +[\d.]+ s  ", "", capsys.readouterr().out).splitlines()
    assert lines[0] == "First look at the rows"
    plan = str(moe.plan_).splitlines()
    seconds = plan.index(next(line for line in plan if line.startswith("cost")))
    assert lines[1 : 1 + seconds] == plan[:seconds]
    assert lines[1 + len(plan)] == "Fitting 2 experts on 2,000 rows"
    starts = [line.split()[2] for line in lines if line.startswith("  EM run ")]
    assert starts == [str(number) for number in range(1, len(starts) + 1)]  # and what they lead to
    assert len(starts) == len(moe.start_lower_bounds_) >= 3
    assert sum(line.startswith("  Iteration ") for line in lines) == moe.n_iter_


def test_a_fit_on_files_goes_on_as_a_stream(lines):
    X, y, weight, moe = lines
    other = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(
        in_parts(X, y, weight, bounds=[500, 2000])
    )
    for each in (moe_again := MixtureOfExpertsRegressor(n_experts=2, training="em"), other):
        each.set_params(random_state=0)
    moe_again.fit(X, y, weight).partial_fit(X[:200], y[:200])
    other.partial_fit(X[:200], y[:200])
    assert_allclose(other.predict(X), moe_again.predict(X), **SAME)


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr("skmoe.rows._look.MOST_VALUES", 1000)
    n = 10_000

    def block(number):
        X, y, _, _ = two_lines(n=n, seed=number, unlike_units=True)
        return X, y

    peaks = []
    for n_blocks in (2, 12):
        files = Files(range(n_blocks), reader=block)
        moe = MixtureOfExpertsRegressor(n_experts=2, n_init=2, random_state=0, tol=1e-2)
        tracemalloc.start()
        moe.fit(files)
        assert sum(len(mean) for mean in moe.predict(files)) == n * n_blocks
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


# Gates of one's own -------------------------------------------------------------------------------


class Kept(BaseGate):
    """Proportions with as many prior rows for each expert, learned from sums over rows."""

    has_sums = True
    sees_rows = wants_curvature = False
    exact_sums = True
    prior = 500.0

    def _set(self, mass):
        self.mass_, self.classes_ = mass, np.arange(len(mass))
        self.proportions_ = (mass + self.prior) / (mass + self.prior).sum()

    def fit(self, X, y, sample_weight=None):
        self.n_columns_ = X.shape[1]
        self._set((y if sample_weight is None else y * sample_weight[:, None]).sum(axis=0))
        return self

    def begin_sums(self, X, n_experts, units):
        self.n_columns_ = X.shape[1]
        self._set(np.ones(n_experts))

    def sum_logits(self):
        logits = np.zeros((self.n_columns_ + 1, len(self.mass_)))
        logits[-1] = np.log(self.proportions_)
        return logits

    def set_logits(self, logits):
        proportions = np.exp(logits[-1] - logits[-1].max())
        total = self.mass_.sum() + self.prior * len(self.mass_)
        self._set(np.maximum(total * proportions / proportions.sum() - self.prior, 0.0))

    def learn_sums(self, sums, size=1.0):
        self._set(sums.mass)

    def forget_curvature(self):
        pass

    def curvature_of_each(self):
        curvature = np.zeros((len(self.mass_), self.n_columns_ + 1, self.n_columns_ + 1))
        curvature[:, -1, -1] = self.mass_
        return curvature

    def predict_log_proba(self, X):
        return np.tile(np.log(self.proportions_), (len(X), 1))

    def log_prior(self):
        return self.prior * float(np.log(self.proportions_).sum())

    def reorder(self, order):
        self._set(self.mass_[order])


class Hesitant(SoftmaxGate):
    """Takes half of each step."""

    has_sums = True

    def learn_sums(self, sums, size=1.0):
        super().learn_sums(sums, 0.5 * size)


@pytest.mark.parametrize("gate", [Kept(), Hesitant()], ids=["proportions", "softmax"])
def test_a_gate_with_sums_over_rows_is_fitted_as_in_memory(gate):
    X, y, weight, _ = two_lines(unlike_units=True)
    moe = MixtureOfExpertsRegressor(
        n_experts=2, gate=gate, training="em", tol=1e-8, max_iter=300, random_state=0
    )
    files = in_parts(X, y, weight, bounds=[900, 2000])
    other = clone(moe).fit(files)
    assert type(other.gate_) is type(gate)
    assert_same_mixtures(moe.fit(X, y, weight), other)
    assert np.diff(other.lower_bounds_).min() > -1e-9
    if gate.sees_rows:
        plain = clone(moe).set_params(gate=SoftmaxGate()).fit(files)
        assert_allclose(other.gate_proba(X), plain.gate_proba(X), atol=0.01)
    else:
        mass = other.responsibilities(X, y).T @ weight
        expected = (mass + Kept.prior) / (mass + Kept.prior).sum()
        assert_allclose(other.gate_.proportions_, expected, atol=1e-4)


def test_a_gate_that_does_not_promise_sums_is_asked_for_none():
    class Own(ConstantGate):
        def fit(self, X, y, sample_weight=None):
            super().fit(X, y, sample_weight)
            self.set_mass(np.ones(y.shape[1]))  # whatever the rows are
            return self

        def learn_sums(self, sums, size=1.0):
            raise AssertionError

    X, y, weight, _ = two_lines()
    moe = MixtureOfExpertsRegressor(n_experts=2, gate=Own(), training="em", random_state=0)
    assert_allclose(moe.fit(X, y, weight).gate_.proportions_, 0.5)
    moe.fit(in_parts(X, y, weight, bounds=[900, 2000]))  # of all rows, as a sample in memory
    assert_allclose(moe.gate_.proportions_, 0.5)


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"gate": SoftmaxGate(l1_ratio=0.5)}, "SoftmaxGate"),
        ({"init": lambda X, y, n_experts, random_state: np.eye(2)[(y > 0) * 1]}, "init='auto'"),
        ({"training": "pooled"}, "training='auto' or 'em'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_all_rows_at_once_has_a_sample_and_says_why(params, what):
    X, y, _, _ = two_lines(unlike_units=True)
    moe = MixtureOfExpertsRegressor(n_experts=2, n_init=1, max_iter=20, tol=1e-2, **params)
    with pytest.warns(ThinnedRowsWarning, match=f"on 300 of 2,000 rows,.*All rows need .*{what}"):
        moe.fit(in_parts(X, y, bounds=[900, 2000], max_expert_rows=300))
    assert moe.plan_.training == moe.plan(X[:300], y[:300]).training


@pytest.mark.parametrize(
    ("params", "n_columns", "what"),
    [
        (
            {"n_experts": 100, "gate": ConstantGate()},
            3,
            r"ten rows a coefficient\. Ask for fewer experts, or set cv=False, or fit rows",
        ),
        (
            {"n_experts": 200, "cv": False},
            3,
            r"at most 500 weights, .*\. Ask for fewer experts or ConstantGate\(\), or fit on a",
        ),
        (
            {"n_experts": 1, "cv": False},
            600,
            r"fewer than 500 columns\. Drop some, or fit on a sample",
        ),
    ],
    ids=range(3),
)
def test_rows_that_are_too_few_or_too_wide_are_told_what_helps(params, n_columns, what):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, n_columns)), rng.normal(size=2000)
    with pytest.raises(ValueError, match=what):
        MixtureOfExpertsRegressor(**params).fit(in_parts(X, y, bounds=[900, 2000]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda X, y: (np.where(X > 529, np.nan, X), y), "NaN"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y, -np.ones(len(y))), "Negative values in sample_weight"),
        (lambda X, y: (X,), "no target"),
    ],
    ids=range(4),
)
def test_rows_that_cannot_be_used_are_refused_and_nothing_changes(lines, change, what):
    X, y, _, _ = two_lines(unlike_units=True)
    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, max_iter=2, n_init=1, tol=1.0)
    before = vars(moe.fit(X, y)).copy()
    files = Files([slice(900), slice(900, 2000)], reader=lambda s: change(X[s], y[s]))
    with pytest.raises(ValueError, match=what):
        moe.fit(files)
    assert vars(moe) == before


def test_more_successes_than_trials_are_found_in_any_block():
    X, y, *_ = two_lines(unlike_units=True)
    successes = (y > 0).astype(float)
    successes[-1] = 2.0
    moe = MixtureOfExpertsRegressor(n_experts=2, likelihood="binomial")
    with pytest.raises(ValueError, match="between 0 and the trials"):
        moe.fit(in_parts(X, successes, bounds=[1000, 2000]))


def test_other_arguments_of_fit_are_refused():
    X, y, weight, labels = two_lines(unlike_units=True)
    moe, files = MixtureOfExpertsRegressor(n_experts=2), in_parts(X, y, bounds=[2000])
    with pytest.raises(TypeError, match="hold target and weights"):
        moe.fit(files, y)
    with pytest.raises(TypeError, match="hold target and weights"):
        moe.fit(files, sample_weight=weight)
    for name in ("subject", "groups"):
        with pytest.raises(ValueError, match=f"no {name}"):
            moe.fit(files, **{name: weight})
    with pytest.raises(ValueError, match="A reader returns"):
        moe.fit(Files([0], reader=lambda part: (X, y), target=0))
    with pytest.raises(ValueError, match="y to be passed"):
        MixtureOfExpertsRegressor(n_experts=2).fit(X)
    for place in ("nowhere/*.npy", "s3://bucket/*.parquet"):
        with pytest.raises(FileNotFoundError, match="address is read by Files.*dataset"):
            moe.fit(Files(place, target=0))
    with pytest.raises(ValueError, match="give a reader"):
        moe.fit(Files(["table.csv"], target=0))


def test_an_error_in_the_middle_leaves_the_mixture_as_it_was():
    X, y, _, _ = two_lines(unlike_units=True)
    n_calls = 0

    def read(rows):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 6:
            raise KeyboardInterrupt("lost")
        return X[rows], y[rows]

    moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0, n_init=2)
    with pytest.raises(KeyboardInterrupt, match="lost"):
        moe.fit(Files([slice(900), slice(900, 2000)], reader=read))
    assert vars(moe) == vars(MixtureOfExpertsRegressor(n_experts=2, random_state=0, n_init=2))
    n_calls = -1000
    before = vars(moe.fit(Files([slice(900), slice(900, 2000)], reader=read))).copy()
    n_calls = 3
    with pytest.raises(KeyboardInterrupt, match="lost"):
        moe.fit(Files([slice(900), slice(900, 2000)], reader=read))
    assert vars(moe) == before


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"target": 7}, "below 3; got 7"),
        ({"target": "y"}, "below 3; got 'y'"),
        ({"target": 2, "weight": -1}, "both column 2, which cannot be both"),
        ({"target": 2, "block_rows": 9.5}, "block_rows must be an integer"),
    ],
)
def test_columns_and_sizes_that_files_cannot_have(given, problem, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((20, 3)))
    with pytest.raises(ValueError, match=problem):
        list(Files(tmp_path / "rows.npy", **given))


def test_arrays_of_a_file_must_match(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(20))
    with pytest.raises(ValueError, match=r"shape \(20,\)"):
        list(Files(tmp_path / "flat.npy", target=0))
    with pytest.raises(TypeError, match="array or a DataFrame; got list"):
        list(Files([0], reader=lambda part: ([[1.0]], [2.0])))


@pytest.mark.parametrize(
    ("files", "error", "what"),
    [
        (Files(None), TypeError, "paths must be a path, a list, .*; got NoneType"),
        (Files(iter(["a.npy"])), TypeError, "read twice; got list_iterator"),
        (Files([0], "npy"), TypeError, "reader must be a function or None; got 'npy'"),
        (Files([0], lambda part: None), TypeError, r"return \(X, y\), .*; got NoneType"),
        (Files([0], lambda part: (np.zeros(3), np.zeros(3))), ValueError, r"has shape \(3,\)"),
        (
            Files([0], lambda part: (np.zeros((3, 1)), np.ones(3), 1.0)),
            TypeError,
            "weight of a block must be an array; got float",
        ),
    ],
    ids=range(6),
)
def test_files_and_readers_that_give_no_rows_say_so(files, error, what):
    for use in (list, MixtureOfExpertsRegressor(n_experts=1).fit):
        with pytest.raises(error, match=what):
            use(files)


def test_a_column_that_a_table_does_not_have():
    arrow = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"no column 'y', but there are \['a'\]"):
        list(Files(arrow.table({"a": [1.0, 2.0]}), target="y"))
    with pytest.raises(ValueError, match="both column 'a', which cannot be both"):
        list(Files(arrow.table({"a": [1.0, 2.0]}), target="a", weight="a"))


def test_labels_are_strings_in_all_blocks_or_in_none():
    labels = [np.array(["a", "b"] * 10), np.array([0, 1] * 10)]
    files = Files([0, 1], reader=lambda part: (np.zeros((20, 2)), labels[part]))
    with pytest.raises(ValueError, match="must be strings in all blocks"):
        MixtureOfExpertsClassifier(n_experts=1).fit(files)


def test_blocks_of_unequal_outputs_and_files_without_rows():
    X, y = np.zeros((20, 2)), np.zeros((20, 2))
    files = Files([1, 2], reader=lambda m: (X, y[:, :m]))
    with pytest.raises(ValueError, match="as many outputs each: 1, then 2"):
        MixtureOfExpertsRegressor(n_experts=1).fit(files)
    with pytest.raises(ValueError, match="no rows in Files"):
        np.asarray(Blocks(lambda number, X, y: y, Files([0], reader=lambda part: (X[:0], y[:0]))))


def test_files_of_one_class_are_refused_as_rows_in_memory_are():
    X, y = np.zeros((20, 2)), np.ones(20, dtype=int)
    for rows in ((X, y), (Files([0], reader=lambda part: (X, y)),)):
        with pytest.raises(ValueError, match="y has one class only, 1"):
            MixtureOfExpertsClassifier(n_experts=1).fit(*rows)


# Tables that are asked again -------------------------------------------------------------------


class Stream:
    """What gives its rows by Arrow's PyCapsule interface alone."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", ["stream", "query", "dataset"])
def test_tables_and_queries_are_read_in_every_pass(kind, tmp_path):
    arrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    dataset = pytest.importorskip("pyarrow.dataset")
    rng = np.random.default_rng(0)
    x, kinds = rng.uniform(-3, 3, size=700), rng.choice(list("ab"), size=700)
    y = np.where(kinds == "a", 1.0, -1.0) * x + 0.1 * rng.normal(size=700)
    table = polars.DataFrame({"x": x, "kind": kinds, "y": y})
    table.write_parquet(tmp_path / "rows.parquet")
    source = {
        "stream": lambda: Stream(table),
        "query": lambda: polars.scan_parquet(tmp_path / "*.parquet").select("x", "kind", "y"),
        "dataset": lambda: dataset.dataset(tmp_path),
    }[kind]()  # fmt: skip
    files = Files(source, target="y", block_rows=300)
    blocks = list(files)
    assert [len(X) for X, _, _ in blocks] == [300, 300, 100]
    assert "rows" not in repr(files)  # no table is printed
    moe = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=2, random_state=0).fit(files)
    in_memory = MixtureOfExpertsRegressor(n_experts=2, training="em", n_init=2, random_state=0)
    in_memory.fit(table.drop("y"), y)
    assert_allclose(np.asarray(moe.predict(files)), in_memory.predict(table.drop("y")), atol=1e-3)
    with pytest.raises(TypeError, match="can be read twice"):
        list(Files(arrow.RecordBatchReader.from_stream(table), target="y"))
