"""Small fits reach the numbers in golden.json; a commit that changes one says which and why.

``python tests/test_golden.py`` writes the numbers that are new or have changed. Most fits make a
few iterations from given responsibilities, so that neither rounding nor a better search of
initialisations moves them.
"""

import json
import warnings
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from planted import in_parts, mixed_table, planted
from scipy import sparse, special
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from skmoe.likelihoods import Categorical, Gaussian, RandomEffects, StudentT

GOLDEN = Path(__file__).with_name("golden.json")
N, EVERY = 240, 4  # rows, and rows of a subject
FIVE = slice(20, N, N // 5)  # rows that are predicted
# Rounding, which differs between processors and versions of NumPy, moves numbers by 4e-8 at most.
RTOL, ATOL = 1e-7, 1e-8
OF_OPTIMISERS = 1e-5  # of stacks: where L-BFGS ends, gains are 1e-9, and parameters the root of it


# Rows -------------------------------------------------------------------------------------------

TARGETS = {
    "normal": {"noise": [0.5, 0.8, 0.3]},
    "student": {"kind": "student", "noise": 0.3},
    "gumbel": {"kind": "gumbel", "coef": np.tile([1.0, -0.5, 0.0, 0.0], (3, 1))},
    "outputs": {"n_outputs": 2, "coef": 1.0},
    "poisson": {"kind": "poisson", "coef": 0.5, "intercept": 1.0, "exposure": (1, 4)},
    "counts": {"kind": "negative_binomial", "coef": 0.5, "exposure": (1, 4)},
    "binomial": {"kind": "binomial", "coef": 1.0, "exposure": (1, 9)},
    "gamma": {"kind": "gamma", "coef": 0.5},
    "inverse_gaussian": {"kind": "inverse_gaussian", "coef": 0.5},
    "two": {"kind": "logistic"},
    "three": {"kind": "classes", "n_outputs": 3},
}


@cache
def rows_of(kind):
    """X, target, responsibilities near the truth, and what ``fit`` may be given of these rows.

    Rows of a subject have one value in the first column.
    """
    rows = planted(N, **{"n_experts": 3, "random_state": 3} | TARGETS.get(kind, {}))
    order = np.argsort(rows.X[:, 0])
    X, y, resp, weight = (each[order] for each in (rows.X, rows.y, rows.near(), rows.weights()))
    X[:, 0] = X[::EVERY, 0].repeat(EVERY)
    facts = {"sample_weight": weight, "subject": np.arange(N) // EVERY}
    if rows.exposure is not None:
        facts["trials" if kind == "binomial" else "exposure"] = rows.exposure[order]
    if kind == "table":
        X, y, _ = mixed_table(N)
    if kind == "rates":
        y = special.expit(y / 2)
    if y.dtype.kind == "f" and y.ndim == 1:
        facts["upper"] = np.where(rows.rng.uniform(size=N) < 0.3, np.inf, y)
    return X, y, resp, facts


# Fits -------------------------------------------------------------------------------------------


def whole(moe, X, y, **given):
    return moe.fit(X, y, **given)


def again(moe, X, y, **given):
    """A fit that goes on from another, on other rows."""
    part = slice(0, N, 2)
    moe.fit(X[part], y[part], **{name: each[part] for name, each in given.items()})
    return moe.set_params(warm_start=True).fit(X, y, **given)


def as_stream(moe, X, y, **given):
    """``fit``, and four batches."""
    moe.fit(X, y, **given)
    for k in range(4):
        part = slice(k, N, 4)
        moe.partial_fit(X[part], y[part], **{name: each[part] for name, each in given.items()})
    return moe


def grown(moe, X, y):
    """A fourth expert is added, behind a tree of gates."""
    return moe.fit(X, y).add_expert(X + 5, 2 * y + 1, replay=(X[::8], y[::8]))


def shrunk(moe, X, y):
    return moe.fit(X, y).remove_expert("expert1")


def from_files(moe, X, y):
    return moe.fit(in_parts(X, y))


def as_sparse(moe, X, y):
    return moe.fit(sparse.csr_array(np.where(X > 0, X, 0.0)), y)


def case(kind, *facts, fit=whole, **params):
    """Rows, the names of what ``fit`` is given of them, and parameters of the mixture."""
    return kind, facts, fit, params


FOLDS = {"cv": 3, "max_iter": 2}
ACCELERATED = {"max_iter": 500, "tol": 1e-5}
BY_SUBJECT = SoftmaxGate(columns=[0])
BALANCED = SoftmaxGate(columns=[0], load_balance=0.1)
# What fit is given and parameters, of which any two go together, but for "folds": acceleration
# needs predictions of rows that experts have seen.
OPTIONS = {
    "top_k": ((), {"top_k": 2}),
    "folds": ((), FOLDS),
    "load": ((), {"gate": BALANCED}),
    "subject": (("subject",), {}),
    "weights": (("sample_weight",), {}),
    "upper": (("upper",), {}),
    "student_t": ((), {"likelihood": StudentT(3.0)}),
    "accelerated": ((), ACCELERATED),
}


def crossed(kind, *facts, skip=(), sizes=(0, 1, 2), **params):
    """Cases with so many of the options."""
    found = {}
    for chosen in (each for size in sizes for each in combinations(OPTIONS, size)):
        if {"folds", "accelerated"} <= {*chosen} or {*skip} & {*chosen}:
            continue
        given, settings = list(facts), {"gate": BY_SUBJECT, **params}
        for name in chosen:
            given += OPTIONS[name][0]
            settings |= OPTIONS[name][1]
        found[" ".join([kind, *chosen])] = case(kind, *given, **settings)
    return found


W, SUBJECT = "sample_weight", "subject"
LINE, SQUARES = ("line", LinearRegression()), make_pipeline(PolynomialFeatures(2), Ridge())
LIST = [LINE, ("ridge", Ridge(5.0)), ("tree", DecisionTreeRegressor(max_depth=1))]
UNLIKE = [*LIST[:2], ("squares", SQUARES)]
LOGISTIC = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10)
CLASSIFIERS = [("logistic", LOGISTIC), ("bayes", GaussianNB())]
PAST = [Ridge(alpha).fit(*rows_of("student")[:2]) for alpha in (1.0, 1e3)]
FROZEN = [(f"past {k}", FrozenEstimator(each)) for k, each in enumerate(PAST)]
GATES = {
    "alpha": SoftmaxGate(alpha=0.0),
    "lasso": SoftmaxGate(alpha=1.0, l1_ratio=0.5),
    "columns": SoftmaxGate(columns=[2, 0]),
    "load": SoftmaxGate(load_balance=0.1, target_load=[1, 2, 3]),
    "full": GaussianGate(),
    "diag": GaussianGate("diag", load_balance=0.1),
    "tied": GaussianGate("tied"),
    "constant": ConstantGate(),
    "constant load": ConstantGate(load_balance=0.1),
    "logistic": LOGISTIC,
    "bayes": GaussianNB(),
    "pipeline": make_pipeline(StandardScaler(), SoftmaxGate()),
    "tree": TreeGate(),
}
LIKELIHOODS = {
    "gaussian": case("normal", W, likelihood="gaussian"),
    "shared scale": case("normal", W, likelihood=Gaussian("shared")),
    "scale model": case("normal", likelihood=Gaussian(Ridge())),
    "student_t": case("student", W, likelihood="student_t"),
    "student_t df": case("student", likelihood=StudentT("estimate")),
    "poisson": case("poisson", W, "exposure", likelihood="poisson"),
    "negative_binomial": case("counts", "exposure", likelihood="negative_binomial"),
    "binomial": case("binomial", W, "trials", likelihood="binomial"),
    "beta": case("rates", W, likelihood="beta"),
    "gamma": case("gamma", W, likelihood="gamma"),
    "weibull": case("gamma", W, likelihood="weibull"),
    "inverse_gaussian": case("inverse_gaussian", W, likelihood="inverse_gaussian"),
    "log_normal": case("gamma", W, likelihood="log_normal"),
    "outputs": case("outputs", W),
    "outputs full": case("outputs", W, likelihood=Gaussian(covariance="full")),
    "outputs student_t": case("outputs", top_k=2, likelihood="student_t"),
    "two": case("two", W),
    "three": case("three", W),
    "smoothing": case(
        "two", experts=LOGISTIC, likelihood=Categorical(calibration="smoothing"), **FOLDS
    ),
    "random intercepts": case("normal", SUBJECT, gate=BY_SUBJECT, likelihood=RandomEffects()),
    "random slopes": case("normal", SUBJECT, W, gate=ConstantGate(), likelihood=RandomEffects([1])),
    **{
        f"censored {name}": case("gamma", "upper", likelihood=name)
        for name in ("gamma", "weibull", "log_normal", "student_t")
    },
}
POOLED = {"training": "pooled", "n_experts": 2, "max_iter": 500, "tol": 1e-6}
STACK = {"training": "stack", "tol": 1e-5}
SPECIALISTS = {"training": "specialists", "n_experts": 2, "tol": 1e-6}
DEFAULT = {"init": "auto", "n_init": 4, "max_iter": 500, "tol": 1e-5}
OF_NUMBERS = ("upper", "student_t", "accelerated")
CASES = {
    **crossed("normal"),
    **crossed("poisson", "exposure", sizes=(1,), skip=OF_NUMBERS, likelihood="poisson"),
    "poisson accelerated": case("poisson", likelihood="poisson", n_experts=2, **ACCELERATED),
    **crossed("three", sizes=(1,), skip=("folds", *OF_NUMBERS)),
    "three accelerated": case("three", **ACCELERATED),
    **{f"gate {name}": case("normal", gate=gate) for name, gate in GATES.items()},
    **LIKELIHOODS,
    "expert columns": case("normal", expert_columns=[0, 1]),
    "table": case("table", W),
    "table subject": case("table", SUBJECT, gate=ConstantGate()),
    "sparse": case("normal", fit=as_sparse),
    "list": case("normal", W, experts=LIST, cv=False),
    "list folds": case("normal", experts=LIST, cv=4, max_iter=2),
    "poisson regression": case("poisson", experts=PoissonRegressor(), likelihood="poisson"),
    "classifiers": case("three", experts=CLASSIFIERS, cv=False),
    "logistic": case("two", W, experts=LogisticRegression(C=0.5), class_weight="balanced"),
    "frozen": case("student", experts=[*FROZEN, LINE], top_k=2),
    "prefit": case("normal", W, experts=FROZEN, cv="prefit"),
    "nested": case("two", experts=[CLASSIFIERS[1], ("moe", MixtureOfExpertsClassifier(None, 1))]),
    "pooled": case("normal", **POOLED),
    "pooled subject": case("normal", SUBJECT, W, gate=BY_SUBJECT, **POOLED),
    "pooled constant": case("two", gate=ConstantGate(), **POOLED),
    "pooled ties": case("gumbel", **POOLED),
    "pooled outputs": case("outputs", **POOLED),
    "pooled poisson": case("poisson", "exposure", likelihood="poisson", **POOLED),
    "pooled binomial": case("binomial", "trials", likelihood="binomial", **POOLED),
    "pooled beta": case("rates", likelihood="beta", **POOLED),
    "pooled gamma": case("gamma", W, likelihood="gamma", **POOLED),
    "pooled inverse_gaussian": case("inverse_gaussian", likelihood="inverse_gaussian", **POOLED),
    "pooled classes": case("three", W, **POOLED),
    "pooled table": case("table", **POOLED),
    "stack": case("normal", experts=UNLIKE, **STACK),
    "stack gate": case("student", experts=UNLIKE, gate=SoftmaxGate(alpha=1.0), **STACK),
    "stack constant": case("normal", W, experts=LIST, gate=ConstantGate(), **STACK),
    "stack classes": case("three", experts=CLASSIFIERS, **STACK),
    "specialists": case("normal", experts=SQUARES, **SPECIALISTS),
    "specialists of classes": case("two", experts=LOGISTIC, **SPECIALISTS),
    "warm start": case("normal", W, cv=False, fit=again),
    "stream": case("normal", W, fit=as_stream),
    "stream gaussian": case("normal", gate=GaussianGate(), forget_factor=0.99, fit=as_stream),
    "stream classes": case("three", fit=as_stream),
    "grown": case("normal", fit=grown),
    "shrunk": case("normal", fit=shrunk),
    "files": case("normal", init="kmeans_x", fit=from_files),
    "default": case("gumbel", **DEFAULT, training="auto", n_experts="auto"),
    "default classes": case("two", **DEFAULT, training="auto", n_experts=2),
    "default em": case("normal", **DEFAULT),
    "default em of counts": case("counts", **DEFAULT, n_experts=2, likelihood="poisson"),
}


def fit_of(name):
    """The fitted mixture of a case, its rows, and what methods are given of them."""
    kind, names, fit, params = CASES[name]
    X, y, resp, facts = rows_of(kind)
    of_list = isinstance(params.get("experts"), list)
    n_experts = params.get("n_experts", len(params["experts"]) if of_list else 3)
    n_start = n_experts if n_experts in (1, 2) else 3
    resp = resp[:, :n_start] / resp[:, :n_start].sum(axis=1, keepdims=True)
    start = {"init": lambda X, y, *_: resp[:: N // len(y)], "n_init": 1, "max_iter": 5, "tol": 0.0}
    params = {"n_experts": n_experts, "training": "em", "random_state": 0} | start | params
    regresses = kind not in ("two", "three")
    moe = (MixtureOfExpertsRegressor if regresses else MixtureOfExpertsClassifier)(**params)
    facts = {name: facts[name] for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # iterations are few
        warnings.simplefilter("ignore", ExpertCollapseWarning)
        moe = fit(moe, X, y, **facts)
    return moe, X, y, facts


def numbers(name):
    """What is compared: dict of names to list of float."""
    moe, X, y, facts = fit_of(name)
    five = getattr(X, "iloc", X)[FIVE]
    regresses = hasattr(moe, "predict_quantiles")
    found = {
        "objective": moe.lower_bound_,
        "load": moe.expert_load_,
        "predictions": moe.predict(five) if regresses else moe.predict_proba(five),
        "log_density": moe.log_density(X, y, **facts).sum(),
        "responsibilities": moe.responsibilities(X, y, **facts)[FIVE],
    }
    if regresses:
        found["quantiles"] = moe.predict_quantiles(five, [0.1, 0.5, 0.9])
    return {key: np.ravel(value).tolist() for key, value in found.items()}


# Comparison -------------------------------------------------------------------------------------


@cache
def kept():
    return json.loads(GOLDEN.read_text("utf-8"))


def assert_same(found, expected, rtol=RTOL):
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert_allclose(found[key], values, rtol=rtol, atol=ATOL, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_that_were_kept(name):
    is_stack = name.startswith(("stack", "specialists"))
    assert_same(numbers(name), kept()[name], OF_OPTIMISERS if is_stack else RTOL)


def test_numbers_are_kept_of_these_fits_alone():
    assert list(kept()) == list(CASES)


def write():
    """Write the numbers of all fits, and print whose are new; others stay to the last digit."""
    before, lines = kept() if GOLDEN.exists() else {}, []
    for name in CASES:
        record = {
            key: [float(f"{value:.12g}") for value in values]
            for key, values in numbers(name).items()
        }
        try:
            assert_same(record, before.get(name, {}))
            record = before[name]
        except AssertionError:
            print(name)
        lines.append(f"{json.dumps(name)}: {json.dumps(record)}")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    write()
