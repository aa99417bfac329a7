"""The plan: what fit will do, said before, and held to."""

import csv
import re
from copy import deepcopy
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe._em.loop import compared
from skmoe._planning.ways import NEEDS, WAYS
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate
from skmoe.likelihoods import Categorical, Gaussian, RandomEffects, StudentT
from skmoe.model_selection import select_n_experts

GUIDE = Path(__file__).parents[1] / "doc" / "guide" / "training.rst"
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2))
Y = X @ [1.0, -2.0] + rng.normal(size=120)
COUNTS = rng.poisson(np.exp(0.5 * X[:, 0] + 1))
LABELS = (X[:, 0] + rng.logistic(size=120) > 0).astype(int)
TREE = DecisionTreeRegressor(max_depth=2, random_state=0)
LIST = [("tree", TREE), ("ridge", Ridge())]
QUICK = {"n_init": 2, "max_iter": 30, "random_state": 0}


regressor = partial(MixtureOfExpertsRegressor, **QUICK)


def same(moe, other, X=X):
    return np.array_equal(moe.predict(X), other.predict(X))


@cache
def fitted_by_default():
    return regressor().fit(X, Y)


# Settings without effect ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "rows"),
    [
        ({"gate": SoftmaxGate()}, {}),
        ({"likelihood": Gaussian()}, {}),
        ({"top_k": 4}, {}),
        ({"top_k": 1}, {}),
        ({"cv": 5}, {}),
        ({"cv": False}, {}),
        ({"training": "pooled"}, {}),
        ({}, {"groups": np.arange(120) // 10}),
        ({}, {"sample_weight": np.ones(120)}),
        ({}, {"upper": Y}),
    ],
)
def test_the_default_by_other_words_is_the_default_to_the_bit(params, rows):
    default, other = fitted_by_default(), regressor(**params).fit(X, Y, **rows)
    assert other.plan_.training == "pooled"
    assert same(default, other)
    np.testing.assert_array_equal(default.log_density(X, Y), other.log_density(X, Y))


@pytest.mark.parametrize(("experts", "gate"), [(LIST, SoftmaxGate()), (LinearRegression(), None)])
def test_the_default_gate_by_name_is_the_default_to_the_bit(experts, gate):
    default, named = regressor(experts, n_experts="auto"), regressor(experts, gate=gate)
    default, named = default.fit(X, Y), named.fit(X, Y)
    assert default.plan_.training == named.plan_.training
    assert same(default, named)


def test_top_k_of_all_is_no_top_k():
    for experts in (TREE, Ridge()):
        all_answer = regressor(experts, n_experts=2).fit(X, Y)
        assert same(all_answer, regressor(experts, n_experts=2, top_k=2).fit(X, Y))


def test_a_gate_says_nothing_before_one_expert():
    one = regressor(n_experts=1).fit(X, Y)
    for gate in (GaussianGate(), DecisionTreeClassifier(), SoftmaxGate(load_balance=0.1)):
        other = regressor(n_experts=1, gate=gate).fit(X, Y)
        assert other.plan_.training == "pooled"
        assert same(one, other)


# One regime is one expert ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"likelihood": StudentT("estimate")}, marks=pytest.mark.slow),
        {"likelihood": Gaussian("shared")},
        {"gate": SoftmaxGate(load_balance=1e-9)},
        {"gate": ConstantGate()},
        pytest.param({"gate": GaussianGate()}, marks=pytest.mark.slow),
        {"gate": DecisionTreeClassifier(max_depth=3)},
        {"training": "em", "cv": 5},
        {"experts": Ridge(), "top_k": 1},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 30 iterations
def test_one_regime_is_one_expert_whatever_is_asked_for(params):
    moe = regressor(**params).fit(X, Y)
    assert len(moe.experts_) == moe.plan_.n_experts == 1


PATIENT = np.arange(120) // 4
TWO = np.column_stack([Y, np.random.default_rng(1).normal(size=120)])
CENSORED = {"upper": np.where(np.arange(120) == 5, np.inf, Y)}
SPARSE, OF_SUBJECTS = sparse.csr_array(X), {"likelihood": RandomEffects(), "gate": ConstantGate()}
ANY_KIND = {  # parameters, rows, and what is given with them
    "two outputs": ({}, X, TWO, {}),
    "weights": ({"training": "em"}, X, Y, {"sample_weight": 0.5 + np.arange(120) / 120}),
    "sparse": ({}, SPARSE, Y, {}),
    "counts": ({"likelihood": "poisson"}, X, COUNTS, {}),
}
MORE_KINDS = {
    "one censored row": ({}, X, Y, CENSORED),
    "two outputs by EM": ({"training": "em"}, X, TWO, {}),
    "groups": ({"training": "em"}, X, Y, {"groups": PATIENT}),
    "subjects": ({"gate": ConstantGate()}, X, Y, {"subject": PATIENT}),
    "intercepts of subjects": (OF_SUBJECTS, X, Y, {"subject": PATIENT}),
    "sparse by EM": ({"experts": Ridge()}, SPARSE, Y, {}),
    "counts by EM": ({"likelihood": "negative_binomial"}, X, COUNTS, {}),
}


@pytest.mark.parametrize(
    ("params", "rows", "y", "given"),
    [
        *ANY_KIND.values(),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE_KINDS.values()),
    ],
    ids=[*ANY_KIND, *MORE_KINDS],
)
def test_one_regime_is_one_expert_in_rows_of_any_kind(params, rows, y, given):
    assert len(regressor(**params).fit(rows, y, **given).experts_) == 1


@pytest.mark.parametrize("training", ["auto", "em"])
def test_one_regime_of_classes_is_one_expert(training):
    moe = MixtureOfExpertsClassifier(**QUICK).set_params(training=training)
    assert len(moe.fit(X, LABELS).experts_) == 1


def test_one_regime_of_more_rows_than_decide_is_one_expert():
    X, noise = rng.normal(size=(10_001, 2)), rng.normal(size=10_001)
    moe = regressor().fit(X, X[:, 0] + noise)
    assert (moe.plan_.training, len(moe.experts_), moe.n_regimes_) == ("pooled", 1, 1)


def test_regimes_are_as_many_as_were_planted():
    y = np.where(X[:, 0] > 0, 4 * X[:, 1], -4 * X[:, 1]) + 0.3 * rng.normal(size=120)
    for params in ({}, {"training": "em"}, {"likelihood": "student_t"}, {"top_k": 1}):
        assert regressor(**params).fit(X, y).plan_.n_experts == 2


@pytest.mark.parametrize("seed", [2, 3])
def test_even_noise_under_a_forest_is_one_expert(seed):
    # Uneven noise may be two: on half of the draws a second scale explains more out of fold.
    X = np.random.default_rng(seed).uniform(-1, 1, size=(200, 2))
    y = X[:, 0] + 0.3 * np.random.default_rng(seed + 1).normal(size=200)
    forest = RandomForestRegressor(20, min_samples_leaf=5, random_state=0)
    found = select_n_experts(regressor(forest), X, y, [1, 2], cv=3, random_state=0)
    assert found.criterion_ == "cv"
    assert found.best_n_experts_ == 1
    assert list(found.best_estimator_.named_experts_) == ["generalist"]


def test_one_clone_is_the_generalist_alone():
    one, many = regressor(TREE, n_experts=1).fit(X, Y), regressor(TREE, n_experts=2).fit(X, Y)
    assert list(one.named_experts_) == ["generalist"]
    assert type(one.likelihood_) is type(many.likelihood_) is StudentT
    if not many.specialisation_.kept:
        assert same(one, many)


# What the plan says is what was fitted --------------------------------------------------------

EXPERTS = {
    "default": None,
    "lines": Ridge(),
    "tree": TREE,
    "forest": RandomForestRegressor(40, max_depth=2, random_state=0),  # each row is out of a bag
    "frozen": FrozenEstimator(Ridge().fit(X, Y)),
    "list": LIST,
    "lines in a list": [("a", Ridge()), ("b", LinearRegression())],
}
ASKED = {
    "nothing": ({}, {}),
    "two": ({"n_experts": 2}, {}),
    "gate": ({"gate": GaussianGate()}, {}),
    "t": ({"likelihood": "student_t"}, {}),
    "folds": ({"cv": 3}, {}),
    "in sample": ({"cv": False, "n_experts": 2}, {}),
    "top": ({"top_k": 1, "n_experts": 2}, {}),
    "balanced": ({"gate": SoftmaxGate(load_balance=0.1)}, {}),
    "warm": ({"warm_start": True}, {}),
    "censored": ({}, {"upper": np.where(np.arange(120) < 9, np.inf, Y)}),
    "subject": ({"gate": ConstantGate()}, {"subject": np.arange(120) // 3}),
    "groups": ({}, {"groups": np.arange(120) // 12}),
    "outputs": ({}, {"y": np.column_stack([Y, X[:, 0]])}),
}


COMBINATIONS = [
    *product(["default", "tree", "list"], ASKED),
    *product(["lines", "forest", "frozen", "lines in a list"], ["nothing", "two", "top"]),
]


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ScaleFloorWarning")  # of a second output
@pytest.mark.parametrize(("kind", "asked"), COMBINATIONS)
def test_what_is_planned_is_what_is_fitted(kind, asked):
    params, rows = ASKED[asked]
    params = dict(params)
    if kind.endswith("list"):
        params.pop("n_experts", None)
    searched = {"tree": ("nothing", "gate", "t", "folds"), "forest": ("nothing",)}
    if asked not in searched.get(kind, ASKED):
        params["n_experts"] = 2  # the search of their number takes long
    y, rows = rows.get("y", Y), {k: v for k, v in rows.items() if k != "y"}
    moe = regressor(EXPERTS[kind], **QUICK | params | {"max_iter": 3, "n_init": 1, "tol": 1.0})
    before = moe.plan(X, y, **rows)
    after = moe.fit(X, y, **rows).plan_
    assert before.training in WAYS
    if after.training != before.training:  # EM in place of a stack, or of pooled experts
        assert before.training in ("stack", "pooled")
        assert after.reasons["training"] != before.reasons["training"]
    if before.n_experts is None:
        assert after.n_experts <= before.most_experts
    else:
        left_out = moe.plan_.training == "specialists" and not moe.specialisation_.kept
        assert after.n_experts == (1 if left_out else before.n_experts)
    assert type(moe.likelihood_).__name__.removeprefix("Pooled") in before.likelihood
    n_names = len(moe.named_experts_)
    extra = {"stack": 1, "specialists": 1 if n_names > 1 else 0}.get(after.training, 0)
    assert n_names == after.n_experts + extra
    if before.most_expert_fits is not None:
        assert moe.n_expert_fits_ <= before.most_expert_fits
    is_in_folds = before.predictions.startswith("out of fold")
    if is_in_folds and after.training == "specialists" and moe.specialisation_.kept:
        has_all = after.n_experts == before.most_experts
        assert (moe.n_expert_fits_ == before.most_expert_fits) == has_all
    assert hasattr(moe, "oof_score_") == (before.predictions.startswith("out"))


REGIMES = np.where(X[:, 0] > 0, 4 * X[:, 1], np.sign(X[:, 1])) + 0.1 * rng.normal(size=120)
FORESTS = [("a", RandomForestRegressor(20, max_depth=2)), ("b", RandomForestRegressor(20))]
HEAVY = np.where(np.arange(120) < 5, 100.0, 0.01)  # rows that are in bag for all members
OF_CLASSES = [("tree", DecisionTreeClassifier(max_depth=2)), ("line", LogisticRegression())]
PROMISED = {
    "list": (LIST, {}, {}),
    "folds": (LIST, {"cv": 3}, {}),
    "groups": (LIST, {}, {"groups": np.arange(120) // 6}),
    "noise": (LIST, {}, {"y": Y}),
    "frozen": ([*LIST, ("frozen", EXPERTS["frozen"])], {}, {}),
    "forests": (FORESTS, {}, {}),
    "bags alone": (FORESTS, {"cv": "oob"}, {}),
    "bags given up": (FORESTS, {}, {"sample_weight": HEAVY}),
    "clones": (TREE, {"cv": 2}, {}),
    "clones in bags": (RandomForestRegressor(20, max_depth=2), {"n_experts": 2}, {}),
    "clones by EM": (TREE, {"training": "em", "n_experts": 2, "cv": 3}, {}),
    "a search by EM": (TREE, {"training": "em", "cv": 2, "max_iter": 2}, {}),
    "in sample": (TREE, {"training": "em", "n_experts": 2, "cv": False}, {}),
    "classes": (OF_CLASSES, {}, {"y": LABELS}),
    "clones of classes": (OF_CLASSES[0][1], {"cv": 2}, {"y": LABELS}),
}


@pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("experts", "params", "rows"), PROMISED.values(), ids=PROMISED)
def test_no_more_is_fitted_than_the_plan_has_promised(experts, params, rows):
    y, facts = rows.get("y", REGIMES), {k: v for k, v in rows.items() if k != "y"}
    kind = MixtureOfExpertsClassifier if y is LABELS else MixtureOfExpertsRegressor
    moe = kind(experts, **QUICK | params)
    most = moe.plan(X, y, **facts).most_expert_fits
    assert 0 < moe.fit(X, y, **facts).n_expert_fits_ <= most == moe.plan_.most_expert_fits
    if y is REGIMES and moe.plan_.training == "em" and params.get("training") is None:
        of_stack = clone(moe).set_params(training="stack").plan(X, y, **facts).most_expert_fits
        assert of_stack < moe.n_expert_fits_ <= 4 * of_stack


def refusal(moe, *rows, **facts):
    """What the plan is refused with, or None."""
    try:
        moe.plan(*rows, **facts)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", EXPERTS)
def test_what_is_refused_names_one_thing_and_a_way_that_is_accepted(kind):
    refused = 0
    for way, (params, rows) in product(WAYS, ASKED.values()):
        params = dict(params)
        if kind.endswith("list"):
            params.pop("n_experts", None)
        y, rows = rows.get("y", Y), {k: v for k, v in rows.items() if k != "y"}
        moe = regressor(EXPERTS[kind], training=way, **params)
        message = refusal(moe, X, y, **rows)
        if message is None:
            assert moe.plan(X, y, **rows).training == way
            continue
        said = re.match(r"training='(\w+)' needs (.+)\. Set that, or training='(\w+)'\.", message)
        if said is None:
            assert "n_experts='auto' compares" in message
            assert moe.set_params(n_experts=2).plan(X, y, **rows).training == way
            continue
        refused += 1
        assert said[1] == way
        assert said[2] in [what() if callable(what) else what for what, _ in NEEDS[way]]
        moe.set_params(training=said[3])
        if kind in ("tree", "forest") and moe.cv is False:
            moe.set_params(n_experts=2)
        assert moe.plan(X, y, **rows).training == said[3]
    assert refused


def test_plan_leaves_the_mixture_as_it_is():
    moe = regressor()
    before = dict(vars(moe))
    moe.plan(X, Y)
    assert vars(moe) == before
    classifier = MixtureOfExpertsClassifier(**QUICK)
    assert classifier.plan(X, LABELS).training == "pooled"
    assert not hasattr(classifier, "classes_")


def test_plan_refuses_what_fit_refuses():
    for params, message in [
        ({"n_experts": 500}, "fewer than n_experts=500"),
        ({"training": "stack"}, "training='stack' needs a list"),
        ({"training": "both"}, "training"),
        ({"likelihood": RandomEffects()}, "needs the subject of each row"),
    ]:
        for method in ("plan", "fit"):
            with pytest.raises(ValueError, match=message):
                getattr(regressor(**params), method)(X, Y)


# Any gate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gate",
    [GaussianGate(), DecisionTreeClassifier(max_depth=2), SoftmaxGate(alpha=3.0), ConstantGate()],
    ids=lambda gate: type(gate).__name__,
)
@pytest.mark.parametrize("experts", [LIST, TREE], ids=["stack", "specialists"])
def test_stacks_and_specialists_take_any_gate(experts, gate):
    """Clones of two regimes that the gate can tell apart are kept behind it."""
    X = np.random.default_rng(3).uniform(-1, 1, size=(300, 2))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.2 * np.random.default_rng(4).normal(size=300)
    training = "specialists" if experts is TREE else "stack"
    assert regressor(experts, gate=gate).plan(X, y).training == training
    moe = regressor(experts, gate=gate, training=training).fit(X[:200], y[:200])
    assert moe.plan_.gate == " ".join(repr(gate).split())
    default = regressor(experts, training=training).fit(X[:200], y[:200])
    scores = [each.log_density(X[200:], y[200:]).mean() for each in (moe, default)]
    constant = np.ptp(moe.gate_proba(X), axis=0).max() < 1e-9
    assert constant == isinstance(gate, ConstantGate)
    if not constant:
        assert scores[0] > scores[1] - 0.3  # of another gate, not of another kind of model
    assert moe.likelihood_.scale_model_ is not None
    resp = moe.oof_responsibilities_
    np.testing.assert_allclose(resp.sum(axis=1), 1)


def test_calibration_that_is_asked_for_is_em():
    moe = MixtureOfExpertsClassifier(likelihood=Categorical(calibration=None), **QUICK)
    assert moe.plan(X, LABELS).training == "em"


# The guide ------------------------------------------------------------------------------------


def table_of_guide(first_cell):
    """Rows of the table that begins with this cell: cells of each."""
    text = GUIDE.read_text("utf-8")
    (table,) = re.findall(rf":header: {first_cell},.*\n.*\n\n((?: {{3}}.*\n)+)", text)
    return list(csv.reader(table.splitlines(), skipinitialspace=True))


WISHES = {
    "a gate other than": ({"gate": GaussianGate()}, {}),
    "another likelihood": ({"likelihood": "log_normal"}, {"y": np.exp(Y)}),
    "counts, rates": ({"likelihood": "poisson"}, {"y": COUNTS}),
    "several outputs": ({}, {"y": np.column_stack([Y, Y])}),
    "censored targets": ({}, {"upper": np.where(np.arange(120) < 9, np.inf, Y)}),
    "rows of one": ({}, {"subject": np.arange(120) // 4}),
    "``top_k``": ({"top_k": 1, "n_experts": 2}, {}),
    "a prior on the loads": ({"gate": SoftmaxGate(load_balance=0.1)}, {}),
    "sparse X": ({}, {"X": sparse.csr_array(X)}),
    "``cv=False``": ({"cv": False}, {}),
    "``warm_start=True``": ({"warm_start": True}, {}),
}


@pytest.mark.skipif(not GUIDE.exists(), reason="pages are not with the sources")
def test_the_guide_says_which_way_serves_which_wish():
    experts = {"em": Ridge(), "pooled": None, "stack": LIST, "specialists": TREE}
    seen = 0
    for wish, *cells in table_of_guide("you ask for"):
        if wish.startswith("files"):
            continue
        (key,) = [key for key in WISHES if wish.startswith(key)]
        params, rows = WISHES[key]
        for way, cell in zip(WAYS, cells, strict=True):
            given = dict(params)
            if way == "stack":
                given.pop("n_experts", None)
            elif way == "specialists":
                given["n_experts"] = 2
            rows_of_way = {k: v for k, v in rows.items() if k not in ("X", "y")}
            moe = regressor(experts[way], **given)
            plan = moe.plan(rows.get("X", X), rows.get("y", Y), **rows_of_way)
            assert plan.training == (way if cell == "yes" else cell), (wish, way)
            seen += 1
    assert seen > 40


def fits_of(way):
    """Target, and fits by this way of training: of linear experts, then of others."""
    y = np.where(LABELS, 5 * X[:, 1], -5 * X[:, 1]) + 0.5 * Y  # two regimes, a soft border
    lines = [("one", LinearRegression()), ("other", Ridge())]
    experts = {"em": (LinearRegression(), TREE), "pooled": (None,), "stack": (lines, LIST)}
    given = {"training": "auto" if way == "pooled" else way}
    if way != "stack":
        given["n_experts"] = 2
    fits = [regressor(each, **given) for each in experts.get(way, (Ridge(), TREE))]
    fits[-1].set_params(max_iter=3 if len(fits) > 1 else 30)
    return y, [moe.fit(X, y) for moe in fits]


METHODS = {
    "predictions, densities": lambda moe, y: [
        *(moe.predict(X), moe.log_density(X, y), moe.responsibilities(X, y)),
        *(moe.gate_proba(X), moe.route(X), moe.sample_y(X)),
    ],
    "``expert_profiles``": lambda moe, y: [moe.expert_profiles(X, y), moe.expert_report(X, y)],
    "``coefficients``": lambda moe, y: moe.coefficients(),
    "``summary``": lambda moe, y: moe.summary(X, y),
    "``bic``": lambda moe, y: [moe.bic(X, y), moe.aic(X, y), moe.icl(X, y)],
    "``log_evidence_``": lambda moe, y: moe.log_evidence_,
    "``oof_score_``": lambda moe, y: moe.oof_score_,
    "``partial_fit``": lambda moe, y: moe.partial_fit(X, y),
    "``add_expert``": lambda moe, y: deepcopy(moe).add_expert(X, y + 100, replay=(X, y)),
    "``remove_expert``": lambda moe, y: moe.remove_expert(list(moe.named_experts_)[-1]),
    "``warm_start``": lambda moe, y: {True: 1}[moe.plan_.goes_on],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.skipif(not GUIDE.exists(), reason="pages are not with the sources")
@pytest.mark.parametrize("way", WAYS)
def test_the_guide_says_what_can_be_asked_of_a_fit(way):
    y, fits = fits_of(way)
    wrong = []
    for method, *cells in table_of_guide("method"):
        (key,) = [key for key in METHODS if method.startswith(key)]
        cell = cells[WAYS.index(way)]
        for moe, is_linear in zip(fits, (True, False), strict=False):
            try:
                METHODS[key](deepcopy(moe), y)
                answers = True
            except (ValueError, AttributeError, KeyError) as error:
                answers = False
                message = str(error)
            conditions = {"yes": True, "in folds": not is_linear, "linear": is_linear}
            if answers != conditions.get(cell, False):
                wrong.append((method, is_linear, None if answers else message))
    assert not wrong


def seconds_in(plan):
    name, about, _ = plan.cells[-1]
    assert name == "cost"
    return float(about.removeprefix("about ").removesuffix(" s"))


def test_the_cost_in_seconds_grows_with_the_work():
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(5000, 9)), rng.normal(size=5000)
    plan = regressor(n_init=10).plan(rows, y)
    assert 1.0 < seconds_in(plan) < 10.0
    less = [
        regressor().plan(rows[:500], y[:500]),
        regressor().plan(rows[:, :2], y),
        regressor(n_init=1).plan(rows, y),
        regressor(n_experts=2).plan(rows, y),
        regressor(training="em", n_experts=2).plan(rows, y),
    ]
    assert max(map(seconds_in, less)) < seconds_in(plan)
    assert plan.cells[-1][2] == "10 starts, 1 to 8 experts, 5,000 rows x 9 columns"
    of_tails = regressor(likelihood="student_t").plan(rows[:500], y[:500])  # not compiled
    assert seconds_in(of_tails) > 5 * seconds_in(less[0])
    of_shapes = regressor(likelihood="weibull").plan(rows[:500], np.exp(y[:500]))  # Newton steps
    assert seconds_in(of_shapes) > 5 * seconds_in(of_tails)
    few = MixtureOfExpertsClassifier().plan(rows, np.digitize(y, [0]))
    many = MixtureOfExpertsClassifier().plan(rows, np.digitize(y, [-1, -0.5, 0, 1]))
    assert seconds_in(many) > seconds_in(few)


def test_the_cost_of_other_models_is_a_number_of_fits_and_of_diverse_seconds():
    def cost(experts, **given):
        return regressor(experts, **given).plan(X, Y).cells[-1]

    assert cost(TREE)[1:] == [
        "at most 134",
        "fits of single estimators: time one of them, and multiply",
    ]
    assert cost(LIST)[1] == "at most 44"  # EM may follow the stack, with three fits in each fold
    assert cost(LIST)[2].endswith("about a quarter, unless EM follows the stack")
    assert cost(LIST, training="stack")[1] == "at most 12"
    assert cost(LIST, training="stack")[2].endswith("and multiply")
    assert cost(FrozenEstimator(Ridge().fit(X, Y)))[2] == "fits of single estimators: none"
    assert cost("diverse")[2] == "fits of single estimators: about 3 s in all"


def test_reports_show_the_best_optima_of_many():
    report = fitted_by_default().expert_report()
    report.optima = [{"objective": -k, "share": 0.1, "smallest": 9.0} for k in range(8)]
    text = str(report)
    assert "optima found by the EM runs, the best 5 of 8 (" in text
    assert text.count("10%") == 5 == report._repr_html_().count("10%")


def test_numbers_that_are_better_by_chance_are_said_apart():
    said = compared("BIC", {1: -5.0, 2: 0.0, 3: 1.7, 4: -np.inf}, 2)
    assert said.startswith("BIC: 2 experts; worse by 5.0 nats for 1; better by 1.7 for 3, too lit")
    assert compared("BIC", {1: 0.0, 2: 1.0}, 1).startswith(
        "No regimes were found. BIC: 1 expert; better by 1.0 nats for 2, too little to count (3 "
    )


def test_numbers_that_were_tried_in_vain_are_no_others_that_were_not_tried():
    said = compared("BIC", {1: -5.0, 2: -np.inf, 3: -np.inf})
    assert "1 expert; with 2 or 3, one has too few rows" in said
    assert "1 expert, and no other number was tried." in compared("BIC", {1: -5.0})


def test_what_was_fitted_counts_what_stands_beside_the_experts():
    moe = regressor(LIST, training="stack").fit(X, Y)
    counted = " 2 experts, one for each estimator of the list, not counting their stack."
    assert counted in moe.plan_.sentence
    alone = fitted_by_default().plan_
    assert (alone.gate, alone.reasons["gate"]) == ("none", "one expert answers for every row")
    assert any(each.startswith("No regimes were found. Evidence: 1 ") for each in alone.findings)
    skewed = np.random.default_rng(0).gamma(1.5, size=120)
    skewed = MixtureOfExpertsRegressor(random_state=0).fit(X, X[:, 0] + skewed)
    assert len(skewed.experts_) > 1  # which are the distribution of the errors
    assert np.ptp(skewed.gate_proba(X), axis=0).max() == 0
    assert skewed.plan_.gate == "ConstantGate"
